"""gradplan: a compiled graph executor for neural networks on CPUs, with TensorFlow 1's vocabulary.

>>> import gradplan as gp
>>> x = gp.placeholder(gp.float32, [None, 2], name="x")
>>> w = gp.get_variable("w", initializer=[[1.0], [2.0]])
>>> y = gp.matmul(x, w)
>>> with gp.Session() as sess:
...     sess.run(gp.global_variables_initializer())
...     print(sess.run(y, {x: [[3.0, 4.0]]}))
[[11.]]
"""

from typing import Any

from gradplan import errors, opdef, train
from gradplan._core import isa, isa_levels
from gradplan.dtypes import DType, as_dtype, bool, float32, float64, int32, int64
from gradplan.gradients import gradients
from gradplan.graph import (
    Graph,
    GraphKeys,
    Operation,
    Tensor,
    add_to_collection,
    control_dependencies,
    get_collection,
    get_default_graph,
    get_default_session,
    name_scope,
    reset_default_graph,
)
from gradplan.opdef import register_tensor_conversion_function
from gradplan.ops import initializers, nn
from gradplan.ops.array import (
    broadcast_to,
    expand_dims,
    fill,
    identity,
    ones,
    ones_like,
    reshape,
    shape,
    stop_gradient,
    sum_to_shape,
    transpose,
    zeros,
    zeros_like,
)
from gradplan.ops.constant import (
    constant,
    convert_to_tensor,
    placeholder,
    placeholder_with_default,
)
from gradplan.ops.control import Print, group, no_op
from gradplan.ops.functions import (
    acos,
    acosh,
    asin,
    asinh,
    atan,
    atan2,
    atanh,
    ceil,
    cos,
    cosh,
    erf,
    erfc,
    expm1,
    floor,
    is_finite,
    is_inf,
    is_nan,
    reciprocal,
    rint,
    round,
    rsqrt,
    sin,
    sinh,
    squared_difference,
    tan,
)
from gradplan.ops.initializers import (
    constant_initializer,
    glorot_normal_initializer,
    glorot_uniform_initializer,
    ones_initializer,
    random_normal_initializer,
    random_uniform_initializer,
    truncated_normal_initializer,
    variance_scaling_initializer,
    zeros_initializer,
)
from gradplan.ops.linalg import matmul
from gradplan.ops.logic import (
    equal,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    logical_xor,
    not_equal,
)
from gradplan.ops.math import (
    abs,
    add,
    cast,
    clip_by_value,
    div,
    divide,
    exp,
    floor_div,
    floordiv,
    floormod,
    log,
    log1p,
    maximum,
    minimum,
    mod,
    mul,
    multiply,
    neg,
    negative,
    pow,
    realdiv,
    sigmoid,
    sign,
    sqrt,
    square,
    sub,
    subtract,
    tanh,
    to_double,
    to_float,
    to_int32,
    to_int64,
    truediv,
)
from gradplan.ops.random import (
    random_normal,
    random_uniform,
    set_random_seed,
    truncated_normal,
)
from gradplan.ops.reduce import (
    argmax,
    argmin,
    reduce_all,
    reduce_any,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_sum,
)
from gradplan.ops.slicing import concat, where
from gradplan.ops.state import (
    Variable,
    assign,
    assign_add,
    assign_sub,
    global_variables,
    global_variables_initializer,
    local_variables,
    local_variables_initializer,
    trainable_variables,
    variables_initializer,
)
from gradplan.ops.variable_scope import (
    AUTO_REUSE,
    VariableScope,
    get_variable,
    get_variable_scope,
    variable_scope,
)
from gradplan.session import ConfigProto, InteractiveSession, Session
from gradplan.shapes import Dimension, TensorShape

opdef.resolve()
del opdef


def __getattr__(name: str) -> Any:
    """``__version__``, looked up when it is asked for: that takes longer than all the rest."""
    if name != "__version__":
        raise AttributeError(f"module 'gradplan' has no attribute {name!r}")
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gradplan")
    except PackageNotFoundError:  # imported from a source tree that was never installed
        return "0+unknown"


__all__ = [name for name in dir() if not name.startswith("_") and name != "Any"]
