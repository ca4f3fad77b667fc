"""Training: optimizers, checkpoints, the global step."""

from gradplan.train.checkpoint import (
    checkpoint_exists,
    get_checkpoint_state,
    latest_checkpoint,
)
from gradplan.train.optimizer import (
    AdamOptimizer,
    GradientDescentOptimizer,
    MomentumOptimizer,
    Optimizer,
)
from gradplan.train.saver import Saver, get_global_step, get_or_create_global_step

__all__ = [
    "AdamOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "Saver",
    "checkpoint_exists",
    "get_checkpoint_state",
    "get_global_step",
    "get_or_create_global_step",
    "latest_checkpoint",
]
