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

import sys as _sys
from typing import Any

from gradplan import errors, keras, opdef, source, test, train
from gradplan._core import isa, isa_levels
from gradplan.composite import register_session_run_conversion_functions
from gradplan.control_flow import *
from gradplan.custom import (
    NoGradient,
    NotDifferentiable,
    RegisterGradient,
    custom_gradient,
)
from gradplan.derivatives import batch_jacobian, hessian_vector_product, hessians, jacobian
from gradplan.dtypes import (
    DType,
    as_dtype,
    bfloat16,
    bool,
    float16,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    uint8,
)
from gradplan.gradients import AggregationMethod, UnconnectedGradients, gradients
from gradplan.graph import (
    Graph,
    GraphKeys,
    Operation,
    Tensor,
    get_default_graph,
    get_default_session,
    reset_default_graph,
)
from gradplan.opdef import register_tensor_conversion_function
from gradplan.ops import initializers, linalg, losses, manip, nn, random, sparse
from gradplan.ops import math_names as math
from gradplan.ops.arithmetic import *
from gradplan.ops.array import *
from gradplan.ops.blocks import *
from gradplan.ops.casts import *
from gradplan.ops.clip import *
from gradplan.ops.constant import *
from gradplan.ops.control import *
from gradplan.ops.counting import *
from gradplan.ops.diagonals import *
from gradplan.ops.draws import *
from gradplan.ops.einsum import *
from gradplan.ops.factor import *
from gradplan.ops.functions import *
from gradplan.ops.gather import *
from gradplan.ops.host import *
from gradplan.ops.indexed_slices import *
from gradplan.ops.initialized import *
from gradplan.ops.initializers import *
from gradplan.ops.least_squares import *
from gradplan.ops.logic import *
from gradplan.ops.math import *
from gradplan.ops.matmul import *
from gradplan.ops.matrices import *
from gradplan.ops.order import *
from gradplan.ops.padding import *
from gradplan.ops.partitioned import *
from gradplan.ops.patches import *
from gradplan.ops.products import *
from gradplan.ops.ranges import *
from gradplan.ops.reduce import *
from gradplan.ops.scatter import *
from gradplan.ops.segment import *
from gradplan.ops.sets import *
from gradplan.ops.shaping import *
from gradplan.ops.sizes import *
from gradplan.ops.slicing import *
from gradplan.ops.solve import *
from gradplan.ops.sparse_math import *
from gradplan.ops.sparse_tensor import *
from gradplan.ops.special import *
from gradplan.ops.splitting import *
from gradplan.ops.state import *
from gradplan.ops.statistics import *
from gradplan.ops.streams import *
from gradplan.ops.strided import *
from gradplan.ops.sums import *
from gradplan.ops.template import *
from gradplan.ops.variable_scope import *
from gradplan.ops.variates import *
from gradplan.porting import *
from gradplan.porting import refuse_names as _refuse_names
from gradplan.scopes import (
    add_to_collection,
    add_to_collections,
    control_dependencies,
    get_collection,
    get_collection_ref,
    name_scope,
)
from gradplan.session import ConfigProto, InteractiveSession, Session
from gradplan.shapes import Dimension, TensorShape
from gradplan.test import check_gradients
from gradplan.train.moving_averages import moving_average_variables

opdef.resolve()
for _module in (
    globals(),
    *map(vars, (initializers, linalg, losses, manip, math, nn, random, sparse)),
):
    source.locate(_module)
for _module in (vars(train), vars(test), vars(keras.initializers)):
    source.locate(_module)
for _names, _space in ((linalg, "linalg."), (losses, "losses."), (nn, "nn."), (train, "train.")):
    _names.__getattr__ = _refuse_names(_names, _space)  # type: ignore[method-assign]
_refuse = _refuse_names(_sys.modules[__name__])
del opdef, source

#: What only programs that come from TensorFlow ask for: imported when they do.
_LATE = {
    "app": "gradplan.app",
    "compat": "gradplan.compat",
    "contrib": "gradplan.contrib",
    "datasets": "gradplan.datasets",
    "flags": "gradplan.flags",
    "gfile": "gradplan.gfile",
    "logging": "gradplan.logging",
    "nest": "gradplan.python.util.nest",
    "python": "gradplan.python",
}


def __getattr__(name: str) -> Any:
    """``__version__``, looked up when it is asked for: that takes longer than all the rest."""
    if name in _LATE:
        from importlib import import_module

        return import_module(_LATE[name])
    if name != "__version__":
        return _refuse(name)
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("gradplan")
    except PackageNotFoundError:  # imported from a source tree that was never installed
        return "0+unknown"


__all__ = [name for name in dir() if not name.startswith("_") and name != "Any"]
