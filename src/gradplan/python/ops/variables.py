"""``tf.python.ops.variables``: its names are those of ``gp``."""

from gradplan import *
