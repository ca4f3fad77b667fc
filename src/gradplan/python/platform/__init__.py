"""``tf.python.platform``."""

from gradplan import app, flags, gfile
from gradplan import logging as tf_logging

__all__ = ["app", "flags", "gfile", "tf_logging"]
