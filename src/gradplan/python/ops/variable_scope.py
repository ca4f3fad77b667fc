"""``tf.python.ops.variable_scope``: its names are those of ``gp``."""

from gradplan import *
