"""``tf.python.ops.init_ops``: its names are those of ``gp``."""

from gradplan import *
