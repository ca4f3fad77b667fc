"""``tf.python.ops.math_ops``: its names are those of ``gp``."""

from gradplan import *
