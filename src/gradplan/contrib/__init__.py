"""``tf.contrib``: of its many packages, what graphs of dense tensors need."""

from gradplan.contrib import opt

__all__ = ["opt"]
