"""Training: optimizers, checkpoints, the global step."""

from gradplan.train.adam import AdamOptimizer, AdamWOptimizer, LAMBOptimizer
from gradplan.train.adaptive import (
    AdadeltaOptimizer,
    AdagradOptimizer,
    FtrlOptimizer,
    ProximalAdagradOptimizer,
    RMSPropOptimizer,
)
from gradplan.train.checkpoint import (
    checkpoint_exists,
    get_checkpoint_state,
    latest_checkpoint,
)
from gradplan.train.descent import (
    GradientDescentOptimizer,
    MomentumOptimizer,
    ProximalGradientDescentOptimizer,
)
from gradplan.train.optimizer import Optimizer
from gradplan.train.saver import Saver, get_global_step, get_or_create_global_step

__all__ = [
    "AdadeltaOptimizer",
    "AdagradOptimizer",
    "AdamOptimizer",
    "AdamWOptimizer",
    "FtrlOptimizer",
    "GradientDescentOptimizer",
    "LAMBOptimizer",
    "MomentumOptimizer",
    "Optimizer",
    "ProximalAdagradOptimizer",
    "ProximalGradientDescentOptimizer",
    "RMSPropOptimizer",
    "Saver",
    "checkpoint_exists",
    "get_checkpoint_state",
    "get_global_step",
    "get_or_create_global_step",
    "latest_checkpoint",
]
