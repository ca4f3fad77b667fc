"""``tf.python.ops.nn_ops``: ``gp.nn``."""

from gradplan.ops.nn import *
