"""``tf.python.framework``."""

import sys

from gradplan import dtypes
from gradplan import errors as errors_impl
from gradplan.python.framework import ops, tensor_shape, tensor_util

__all__ = ["dtypes", "errors_impl", "ops", "tensor_shape", "tensor_util"]

# So that `from gradplan.python.framework.dtypes import float32` finds them, too.
sys.modules.update({f"{__name__}.{name}": globals()[name] for name in __all__})
