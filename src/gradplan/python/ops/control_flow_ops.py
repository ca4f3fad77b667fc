"""``tf.python.ops.control_flow_ops``: its names are those of ``gp``."""

from gradplan import *
