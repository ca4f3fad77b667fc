"""``tf.contrib.util``."""

from gradplan.porting import get_static_value as constant_value

__all__ = ["constant_value"]
