"""``tf.python.framework``."""

from gradplan.python.framework import dtypes, errors_impl, ops, tensor_shape, tensor_util

__all__ = ["dtypes", "errors_impl", "ops", "tensor_shape", "tensor_util"]
