"""``tf.python.ops.array_ops``: its names are those of ``gp``."""

from gradplan import *
