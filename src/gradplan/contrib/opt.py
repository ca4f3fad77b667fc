"""``tf.contrib.opt``: optimizers that are no part of :mod:`gradplan.train` in TensorFlow 1."""

from gradplan.train.adam import AdamWOptimizer, LAMBOptimizer
from gradplan.train.scipy_optimizer import ScipyOptimizerInterface

__all__ = ["AdamWOptimizer", "LAMBOptimizer", "ScipyOptimizerInterface"]
