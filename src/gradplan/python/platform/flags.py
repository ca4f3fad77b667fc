"""``tf.python.platform.flags``: ``gp.flags``."""

from gradplan.flags import *
