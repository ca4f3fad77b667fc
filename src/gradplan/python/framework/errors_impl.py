"""``tf.python.framework.errors_impl``: ``gp.errors``."""

from gradplan.errors import *
