"""Elementwise arithmetic."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes
from gradplan.dtypes import FLOATS, NUMBERS, REALS, SMALL
from gradplan.graph import Tensor
from gradplan.names import named
from gradplan.opdef import MAP, graph_of, op
from gradplan.ops.array import ones_like, sum_to_like, zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.logic import greater_equal, less_equal
from gradplan.ops.slicing import where

__all__ = [
    "abs",
    "add",
    "div",
    "divide",
    "exp",
    "floor_div",
    "floordiv",
    "floormod",
    "log",
    "log1p",
    "maximum",
    "minimum",
    "mod",
    "mul",
    "multiply",
    "neg",
    "negative",
    "pow",
    "realdiv",
    "sigmoid",
    "sign",
    "sqrt",
    "square",
    "sub",
    "subtract",
    "tanh",
    "truediv",
]

# ---- arithmetic ----------------------------------------------------------------------------------


@op("Add", MAP, kernel="add", T=REALS, operator="__add__ add")
def add(x: Any, y: Any, name: str | None = None) -> Any:
    """Sum of two tensors, ``x + y``, with broadcasting.

    Parameters
    ----------
    x, y : tensor_like
        float32, float64, int8 to int64 or uint8, of one type; shapes that broadcast.
    name : str, optional

    Returns
    -------
    Tensor
        Of the same type and the broadcast shape. Integers wrap around.

    Raises
    ------
    TypeError
        If the types differ.
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.add([1.0, 2.0], 10.0))
    array([11., 12.], dtype=float32)
    """


@add.gradient
def _(op: Any, dy: Any) -> Any:
    return sum_to_like(dy, op.inputs[0], op), sum_to_like(dy, op.inputs[1], op)


@op("Sub", MAP, kernel="sub", T=REALS, operator="__sub__ sub")
def subtract(x: Any, y: Any, name: str | None = None) -> Any:
    """Difference of two tensors, ``x - y``, with broadcasting; types and errors as :func:`add`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.subtract([3, 4], 1))
    array([2, 3], dtype=int32)
    """


@subtract.gradient
def _(op: Any, dy: Any) -> Any:
    return sum_to_like(dy, op.inputs[0], op), sum_to_like(-dy, op.inputs[1], op)


@op("Mul", MAP, kernel="mul", T=REALS, operator="__mul__ mul")
def multiply(x: Any, y: Any, name: str | None = None) -> Any:
    """Elementwise product, ``x * y``, with broadcasting; types and errors as :func:`add`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.multiply([1.0, 2.0], [3.0, 4.0]))
    array([3., 8.], dtype=float32)
    """


@multiply.gradient
@named("Mul", "Mul_1")
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    return sum_to_like(dy * y, x, op), sum_to_like(dy * x, y, op)


@op("RealDiv", MAP, kernel="div", T=FLOATS)
def _real_div(x: Any, y: Any, name: str | None = None) -> Any:
    """Quotient of floats, ``x / y``; a zero divisor gives an infinity or NaN."""


@_real_div.gradient
@named("RealDiv")
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    dx = dy / y
    return sum_to_like(dx, x, op), sum_to_like(-dx * op.outputs[0], y, op)


def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Quotient as Python's ``/``: integers are converted to float64 first, those of 8 and 16 bits
    to float32.

    Parameters
    ----------
    x, y : tensor_like
        Numbers of one type, shapes that broadcast.
    name : str, optional

    Returns
    -------
    Tensor
        Floats; a zero divisor gives an infinity or NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.truediv([1, 2], 4))
    array([0.25, 0.5 ])
    """
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name or "truediv") as scope:
        x, y = _pair(x, y)
        if x.dtype.is_integer and x.dtype is y.dtype:
            wide = dtypes.float32 if x.dtype in SMALL else dtypes.float64
            x, y = cast(x, wide), cast(y, wide)
        return _real_div(x, y, name=scope)


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The same as ``x / y``: see :func:`truediv`.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.divide(1.0, 4.0)))
    0.25
    """
    return truediv(x, y, name)


def _pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors; what is none yet takes the type of the other."""
    if not hasattr(x, "op") and hasattr(y, "op"):
        return convert_to_tensor(x, y.dtype, "x"), convert_to_tensor(y)
    x = convert_to_tensor(x, name="x")
    return x, convert_to_tensor(y, None if hasattr(y, "op") else x.dtype, "y")


Tensor.overload("__truediv__", lambda x, y: truediv(x, y))
Tensor.overload("__rtruediv__", lambda x, y: truediv(y, x))


@op("FloorDiv", MAP, kernel="floordiv", T=REALS, fallible=True, operator="__floordiv__ floordiv")
def floor_div(x: Any, y: Any, name: str | None = None) -> Any:
    """Quotient rounded towards minus infinity, as Python's ``//``, with broadcasting.

    Raises
    ------
    InvalidArgumentError
        At run time, if an integer divisor is zero; it names the element.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.floor_div([7, -7], 2))
    array([ 3, -4], dtype=int32)
    """


@floor_div.gradient
def _(op: Any, dy: Any) -> Any:
    return None, None  # piecewise constant


def floordiv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The same as ``x // y``: see :func:`floor_div`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.floordiv([7, -7], 2))
    array([ 3, -4], dtype=int32)
    """
    return floor_div(x, y, name or "floordiv")


@op("FloorMod", MAP, kernel="floormod", T=NUMBERS, fallible=True, operator="__mod__ mod")
def floormod(x: Any, y: Any, name: str | None = None) -> Any:
    """Remainder with the sign of the divisor, as Python's ``%``, with broadcasting.

    Raises
    ------
    InvalidArgumentError
        At run time, if an integer divisor is zero; it names the element.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.floormod([7, -7], 4))
    array([3, 1], dtype=int32)
    """


@floormod.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    return sum_to_like(dy, x, op), sum_to_like(-dy * floordiv(x, y), y, op)


@op("Pow", MAP, kernel="pow", T=NUMBERS, flops=40, fallible=True, operator="__pow__ pow")
def pow(x: Any, y: Any, name: str | None = None) -> Any:
    """``x`` to the power ``y``, with broadcasting; types as :func:`add`.

    Raises
    ------
    InvalidArgumentError
        At run time, if an integer is raised to a negative power.

    Notes
    -----
    The gradient with respect to ``y`` is ``x**y * log(x)`` where ``x > 0`` and 0 elsewhere, as in
    TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.pow([2.0, 3.0], 2.0))
    array([4., 9.], dtype=float32)
    """


@pow.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    dx = dy * y * pow(x, y - 1)
    if not x.dtype.is_floating:
        return sum_to_like(dx, x, op), None
    # log of a positive number only: the other branch must not bring in a NaN.
    safe = where(x > 0, x, ones_like(x))
    return sum_to_like(dx, x, op), sum_to_like(dy * op.outputs[0] * log(safe), y, op)


@op("Maximum", MAP, kernel="maximum", T=NUMBERS)
def maximum(x: Any, y: Any, name: str | None = None) -> Any:
    """The larger of ``x`` and ``y``, with broadcasting; NaN where either is NaN.

    The gradient goes to ``x`` where ``x >= y``, else to ``y``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.maximum([1.0, 5.0], 3.0))
    array([3., 5.], dtype=float32)
    """


@op("Minimum", MAP, kernel="minimum", T=NUMBERS)
def minimum(x: Any, y: Any, name: str | None = None) -> Any:
    """The smaller of ``x`` and ``y``, with broadcasting; NaN where either is NaN.

    The gradient goes to ``x`` where ``x <= y``, else to ``y``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.minimum([1.0, 5.0], 3.0))
    array([1., 3.], dtype=float32)
    """


def _choose(op: Any, dy: Any, to_x: Any) -> Any:
    zero = constant(0, dy.dtype)
    return (
        sum_to_like(where(to_x, dy, zero), op.inputs[0], op),
        sum_to_like(where(to_x, zero, dy), op.inputs[1], op),
    )


@maximum.gradient
@named("SelectV2", "SelectV2_1")
def _(op: Any, dy: Any) -> Any:
    return _choose(op, dy, greater_equal(*op.inputs))


@minimum.gradient
@named("SelectV2", "SelectV2_1")
def _(op: Any, dy: Any) -> Any:
    return _choose(op, dy, less_equal(*op.inputs))


# ---- one operand ---------------------------------------------------------------------------------


@op("Neg", MAP, kernel="neg", T=NUMBERS, operator="__neg__ Neg")
def negative(x: Any, name: str | None = None) -> Any:
    """``-x``, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(-gp.constant([1.0, -2.0]))
    array([-1.,  2.], dtype=float32)
    """


@negative.gradient
def _(op: Any, dy: Any) -> Any:
    return -dy


@op("Abs", MAP, kernel="abs", T=NUMBERS, operator="__abs__ Abs")
def abs(x: Any, name: str | None = None) -> Any:
    """Absolute value, elementwise; its gradient is ``sign(x)``, 0 at 0.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.abs([-1.5, 2.0]))
    array([1.5, 2. ], dtype=float32)
    """


@abs.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * sign(op.inputs[0])


@op("Sign", MAP, kernel="sign", T=NUMBERS)
def sign(x: Any, name: str | None = None) -> Any:
    """-1, 0 or 1 by the sign of each element; NaN stays NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sign([-3.0, 0.0, 2.0]))
    array([-1.,  0.,  1.], dtype=float32)
    """


@sign.gradient
def _(op: Any, dy: Any) -> Any:
    return zeros_like(dy)  # piecewise constant


@op("Square", MAP, kernel="square", T=NUMBERS)
def square(x: Any, name: str | None = None) -> Any:
    """``x * x``, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.square([2, -3]))
    array([4, 9], dtype=int32)
    """


@square.gradient
@named("Mul_1")
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy * (x * constant(2, x.dtype))


@op("Sqrt", MAP, kernel="sqrt", flops=8)
def sqrt(x: Any, name: str | None = None) -> Any:
    """Square root, elementwise; NaN for negative elements.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sqrt([4.0, 2.25]))
    array([2. , 1.5], dtype=float32)
    """


@sqrt.gradient
@named("SqrtGrad")
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return dy * constant(0.5, y.dtype) / y


@op("Exp", MAP, kernel="exp", flops=15)
def exp(x: Any, name: str | None = None) -> Any:
    """The exponential ``e**x``, elementwise, within 2 units in the last place.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.exp([0.0, 1.0]))
    array([1.       , 2.7182817], dtype=float32)
    """


@exp.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * op.outputs[0]


@op("Log", MAP, kernel="log", flops=15)
def log(x: Any, name: str | None = None) -> Any:
    """Natural logarithm, elementwise; ``log(0)`` is -inf, of a negative NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.log([1.0, 0.0]))
    array([  0., -inf], dtype=float32)
    """


@log.gradient
@named("mul")
def _(op: Any, dy: Any) -> Any:
    return dy / op.inputs[0]


@op("Log1p", MAP, kernel="log1p", flops=18)
def log1p(x: Any, name: str | None = None) -> Any:
    """``log(1 + x)``, exact to the last places for small ``x`` too.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.log1p([0.0, 1e-10]))
    array([0.e+00, 1.e-10], dtype=float32)
    """


@log1p.gradient
@named("mul")
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy / (x + constant(1, x.dtype))


@op("Sigmoid", MAP, kernel="sigmoid", flops=20)
def sigmoid(x: Any, name: str | None = None) -> Any:
    """The logistic function ``1 / (1 + exp(-x))``, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sigmoid([0.0, 100.0]))
    array([0.5, 1. ], dtype=float32)
    """


@sigmoid.gradient
def _(op: Any, dy: Any) -> Any:
    return _sigmoid_grad(op.outputs[0], dy)


@op("SigmoidGrad", MAP, kernel="sigmoid_grad", flops=3)
def _sigmoid_grad(y: Any, dy: Any, name: str | None = None) -> Any:
    """``dy * y * (1 - y)``: the gradient of :func:`sigmoid` from its result."""


@_sigmoid_grad.gradient
def _(op: Any, g: Any) -> Any:
    y, dy = op.inputs
    both = g * dy
    return both - 2.0 * both * y, _sigmoid_grad(y, g)


@op("Tanh", MAP, kernel="tanh", flops=25)
def tanh(x: Any, name: str | None = None) -> Any:
    """Hyperbolic tangent, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.tanh([0.0, 20.0]))
    array([0., 1.], dtype=float32)
    """


@tanh.gradient
def _(op: Any, dy: Any) -> Any:
    return _tanh_grad(op.outputs[0], dy)


@op("TanhGrad", MAP, kernel="tanh_grad", flops=3)
def _tanh_grad(y: Any, dy: Any, name: str | None = None) -> Any:
    """``dy * (1 - y * y)``: the gradient of :func:`tanh` from its result."""


@_tanh_grad.gradient
def _(op: Any, g: Any) -> Any:
    y, dy = op.inputs
    return g * -2.0 * dy * y, _tanh_grad(y, g)


def div(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Quotient as Python 2's ``/``: of integers rounded down, of floats exact.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.div([7, -7], 2))
    array([ 3, -4], dtype=int32)
    """
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name or "div") as scope:
        x, y = _pair(x, y)
        return (floordiv if x.dtype.is_integer else _real_div)(x, y, name=scope)


#: TensorFlow's names from before 1.0, and its synonyms.
mul, sub, neg, mod, realdiv = multiply, subtract, negative, floormod, _real_div
