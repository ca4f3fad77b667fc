"""``tf.contrib``: of its many packages, what graphs of dense tensors need."""

from gradplan import source
from gradplan.contrib import framework, layers, opt, util

source.locate(vars(layers))

__all__ = ["framework", "layers", "opt", "util"]
