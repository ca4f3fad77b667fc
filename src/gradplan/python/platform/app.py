"""``tf.python.platform.app``: ``gp.app``."""

from gradplan.app import *
