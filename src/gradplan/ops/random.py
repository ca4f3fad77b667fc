"""The names of ``gp.random``; each is declared in one of the modules below."""

from gradplan.ops.draws import categorical, multinomial
from gradplan.ops.draws import random_gamma as gamma
from gradplan.ops.draws import random_poisson as poisson
from gradplan.ops.sampling import (
    all_candidate_sampler,
    fixed_unigram_candidate_sampler,
    log_uniform_candidate_sampler,
    uniform_candidate_sampler,
)
from gradplan.ops.streams import get_seed, set_random_seed
from gradplan.ops.variates import random_normal as normal
from gradplan.ops.variates import random_shuffle as shuffle
from gradplan.ops.variates import random_uniform as uniform
from gradplan.ops.variates import truncated_normal

__all__ = [
    "all_candidate_sampler",
    "categorical",
    "fixed_unigram_candidate_sampler",
    "gamma",
    "get_seed",
    "log_uniform_candidate_sampler",
    "multinomial",
    "normal",
    "poisson",
    "set_random_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
    "uniform_candidate_sampler",
]
