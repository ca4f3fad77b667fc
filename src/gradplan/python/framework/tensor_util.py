"""``tf.python.framework.tensor_util``."""

from gradplan.porting import get_static_value as constant_value
from gradplan.porting import is_tensor

__all__ = ["constant_value", "is_tensor"]
