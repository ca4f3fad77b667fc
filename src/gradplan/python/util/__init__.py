"""``tf.python.util``."""

from gradplan import compat
from gradplan.python.util import nest

__all__ = ["compat", "nest"]
