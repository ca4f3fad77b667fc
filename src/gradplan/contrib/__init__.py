"""``tf.contrib``: of its many packages, what graphs of dense tensors need."""

from gradplan.contrib import framework, layers, util

__all__ = ["framework", "layers", "util"]
