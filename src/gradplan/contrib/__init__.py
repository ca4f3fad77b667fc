"""``tf.contrib``: of its many packages, what graphs of dense tensors need."""

from gradplan.contrib import framework, layers, opt, util

__all__ = ["framework", "layers", "opt", "util"]
