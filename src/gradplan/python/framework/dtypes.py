"""``tf.python.framework.dtypes``."""

from gradplan.dtypes import *
from gradplan.dtypes import DType, as_dtype
