"""``tf.python.ops.random_ops``: its names are those of ``gp``."""

from gradplan import *
