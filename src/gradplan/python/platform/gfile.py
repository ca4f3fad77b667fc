"""``tf.python.platform.gfile``: ``gp.gfile``."""

from gradplan.gfile import *
