"""``tf.python.client``."""

from gradplan.python.client import device_lib

__all__ = ["device_lib"]
