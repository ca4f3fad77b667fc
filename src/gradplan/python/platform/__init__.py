"""``tf.python.platform``: ``gp.app``, ``gp.flags``, ``gp.gfile`` and ``gp.logging``."""

import sys

from gradplan import app, flags, gfile
from gradplan import logging as tf_logging

__all__ = ["app", "flags", "gfile", "tf_logging"]

# So that `from gradplan.python.platform.gfile import Exists` finds them, too.
sys.modules.update({f"{__name__}.{name}": globals()[name] for name in __all__})
