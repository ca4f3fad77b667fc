"""Functions of one number or two: powers and roots, rounding, trigonometry, the error function."""

from __future__ import annotations

import math
from typing import Any

from gradplan.dtypes import NUMBERS
from gradplan.graph import Tensor
from gradplan.names import named
from gradplan.opdef import MAP, op
from gradplan.ops.array import sum_to_like
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.math import exp, square, subtract

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "erf",
    "erfc",
    "expm1",
    "floor",
    "is_finite",
    "is_inf",
    "is_nan",
    "reciprocal",
    "rint",
    "round",
    "rsqrt",
    "sin",
    "sinh",
    "squared_difference",
    "tan",
]

# ---- powers and roots ----------------------------------------------------------------------------


@op("Reciprocal", MAP, kernel="reciprocal", flops=4)
def reciprocal(x: Any, name: str | None = None) -> Any:
    """``1 / x``, elementwise; of 0 an infinity.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reciprocal([2.0, -4.0]))
    array([ 0.5 , -0.25], dtype=float32)
    """


@reciprocal.gradient
@named("ReciprocalGrad")
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return -dy * square(y)


@op("Rsqrt", MAP, kernel="rsqrt", flops=10)
def rsqrt(x: Any, name: str | None = None) -> Any:
    """``1 / sqrt(x)``, elementwise; of 0 an infinity, of a negative number NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.rsqrt([4.0, 0.25]))
    array([0.5, 2. ], dtype=float32)
    """


@rsqrt.gradient
@named("RsqrtGrad")
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return dy * (constant(-0.5, y.dtype) * y * square(y))


@op("Expm1", MAP, kernel="expm1", flops=20)
def expm1(x: Any, name: str | None = None) -> Any:
    """``exp(x) - 1``, exact to the last places for small ``x`` too.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.expm1([0.0, 1e-10]))
    array([0.e+00, 1.e-10], dtype=float32)
    """


@expm1.gradient
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return dy * (y + constant(1, y.dtype))


@op("SquaredDifference", MAP, kernel="squared_difference", T=NUMBERS, flops=2)
def squared_difference(x: Any, y: Any, name: str | None = None) -> Any:
    """``(x - y) * (x - y)``, with broadcasting; types and errors as :func:`add`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.squared_difference([1.0, 2.0], 4.0))
    array([9., 4.], dtype=float32)
    """


@squared_difference.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    dx = dy * (constant(2, x.dtype) * subtract(x, y))
    return sum_to_like(dx, x, op), sum_to_like(-dx, y, op)


# ---- rounding ------------------------------------------------------------------------------------


@op("Floor", MAP, kernel="floor", flops=1)
def floor(x: Any, name: str | None = None) -> Any:
    """The largest whole number not above each element.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.floor([1.5, -1.5]))
    array([ 1., -2.], dtype=float32)
    """


@floor.gradient
def _(op: Any, dy: Any) -> Any:
    return None  # piecewise constant


@op("Ceil", MAP, kernel="ceil", flops=1)
def ceil(x: Any, name: str | None = None) -> Any:
    """The smallest whole number not below each element.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.ceil([1.5, -1.5]))
    array([ 2., -1.], dtype=float32)
    """


@ceil.gradient
def _(op: Any, dy: Any) -> Any:
    return None  # piecewise constant


@op("Rint", MAP, kernel="rint", flops=1)
def rint(x: Any, name: str | None = None) -> Any:
    """The nearest whole number; of two as near, the even one.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.rint([0.5, 1.5, -1.7]))
    array([ 0.,  2., -2.], dtype=float32)
    """


@rint.gradient
def _(op: Any, dy: Any) -> Any:
    return None  # piecewise constant


@op("Round", MAP, kernel="round", flops=1)
def _round(x: Any, name: str | None = None) -> Any:
    """The nearest whole number; see :func:`round`."""


def round(x: Any, name: str | None = None) -> Tensor:
    """The nearest whole number, of two as near the even one; integers stay as they are.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.round([0.5, 1.5, -1.7]))
    array([ 0.,  2., -2.], dtype=float32)
    """
    x = convert_to_tensor(x)
    return x if x.dtype.is_integer else _round(x, name=name)


@_round.gradient
def _(op: Any, dy: Any) -> Any:
    return None  # piecewise constant


# ---- what kind of number -------------------------------------------------------------------------


@op("IsNan", MAP, kernel="is_nan", flops=1, types="T -> bool")
def is_nan(x: Any, name: str | None = None) -> Any:
    """Whether each element is NaN: bool.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.is_nan([float("nan"), float("inf"), 1.0])).tolist()
    [True, False, False]
    """


@op("IsInf", MAP, kernel="is_inf", flops=1, types="T -> bool")
def is_inf(x: Any, name: str | None = None) -> Any:
    """Whether each element is an infinity: bool.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.is_inf([float("nan"), float("inf"), 1.0])).tolist()
    [False, True, False]
    """


@op("IsFinite", MAP, kernel="is_finite", flops=1, types="T -> bool")
def is_finite(x: Any, name: str | None = None) -> Any:
    """Whether each element is neither NaN nor an infinity: bool.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.is_finite([float("nan"), float("inf"), 1.0])).tolist()
    [False, False, True]
    """


# ---- trigonometry --------------------------------------------------------------------------------


@op("Sin", MAP, kernel="sin", flops=20)
def sin(x: Any, name: str | None = None) -> Any:
    """Sine, of radians; NaN for infinities.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.sin(1.0)):.4f}"
    '0.8415'
    """


@sin.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * cos(op.inputs[0])


@op("Cos", MAP, kernel="cos", flops=20)
def cos(x: Any, name: str | None = None) -> Any:
    """Cosine, of radians; NaN for infinities.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.cos(1.0)):.4f}"
    '0.5403'
    """


@cos.gradient
def _(op: Any, dy: Any) -> Any:
    return -dy * sin(op.inputs[0])


@op("Tan", MAP, kernel="tan", flops=30)
def tan(x: Any, name: str | None = None) -> Any:
    """Tangent, of radians; NaN for infinities.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.tan(1.0)):.4f}"
    '1.5574'
    """


@tan.gradient
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return dy * (constant(1, y.dtype) + square(y))


@op("Asin", MAP, kernel="asin", flops=20)
def asin(x: Any, name: str | None = None) -> Any:
    """The angle in radians, in [-pi/2, pi/2], whose sine is ``x``; NaN outside [-1, 1].

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.asin(0.5)):.4f}"
    '0.5236'
    """


@asin.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy * rsqrt(constant(1, x.dtype) - square(x))


@op("Acos", MAP, kernel="acos", flops=20)
def acos(x: Any, name: str | None = None) -> Any:
    """The angle in radians, in [0, pi], whose cosine is ``x``; NaN outside [-1, 1].

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.acos(0.5)):.4f}"
    '1.0472'
    """


@acos.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return -dy * rsqrt(constant(1, x.dtype) - square(x))


@op("Atan", MAP, kernel="atan", flops=20)
def atan(x: Any, name: str | None = None) -> Any:
    """The angle in radians, in [-pi/2, pi/2], whose tangent is ``x``.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.atan(1.0)):.4f}"
    '0.7854'
    """


@atan.gradient
@named("mul")
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy / (constant(1, x.dtype) + square(x))


@op("Atan2", MAP, kernel="atan2", flops=30)
def atan2(y: Any, x: Any, name: str | None = None) -> Any:
    """The angle in radians, in [-pi, pi], of the point ``(x, y)``; with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.atan2(1.0, -1.0)):.4f}"
    '2.3562'
    """


@atan2.gradient
def _(op: Any, dy: Any) -> Any:
    y, x = op.inputs
    share = dy / (square(x) + square(y))
    return sum_to_like(share * x, y, op), sum_to_like(-share * y, x, op)


# ---- hyperbolic functions ------------------------------------------------------------------------


@op("Sinh", MAP, kernel="sinh", flops=30)
def sinh(x: Any, name: str | None = None) -> Any:
    """Hyperbolic sine, ``(exp(x) - exp(-x)) / 2``.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.sinh(1.0)):.4f}"
    '1.1752'
    """


@sinh.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * cosh(op.inputs[0])


@op("Cosh", MAP, kernel="cosh", flops=30)
def cosh(x: Any, name: str | None = None) -> Any:
    """Hyperbolic cosine, ``(exp(x) + exp(-x)) / 2``.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.cosh(1.0)):.4f}"
    '1.5431'
    """


@cosh.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * sinh(op.inputs[0])


@op("Asinh", MAP, kernel="asinh", flops=30)
def asinh(x: Any, name: str | None = None) -> Any:
    """Inverse hyperbolic sine.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.asinh(1.0)):.4f}"
    '0.8814'
    """


@asinh.gradient
def _(op: Any, dy: Any) -> Any:
    return dy / cosh(op.outputs[0])


@op("Acosh", MAP, kernel="acosh", flops=30)
def acosh(x: Any, name: str | None = None) -> Any:
    """Inverse hyperbolic cosine; NaN below 1.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.acosh(2.0)):.4f}"
    '1.3170'
    """


@acosh.gradient
def _(op: Any, dy: Any) -> Any:
    return dy / sinh(op.outputs[0])


@op("Atanh", MAP, kernel="atanh", flops=30)
def atanh(x: Any, name: str | None = None) -> Any:
    """Inverse hyperbolic tangent; infinite at -1 and 1, NaN beyond.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.atanh(0.5)):.4f}"
    '0.5493'
    """


@atanh.gradient
@named("mul")
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy / (constant(1, x.dtype) - square(x))


# ---- the error function --------------------------------------------------------------------------


@op("Erf", MAP, kernel="erf", flops=40)
def erf(x: Any, name: str | None = None) -> Any:
    """The error function ``2 / sqrt(pi) * integral of exp(-t*t) for t from 0 to x``.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.erf(1.0)):.4f}"
    '0.8427'
    """


@erf.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy * (constant(2 / math.sqrt(math.pi), x.dtype) * exp(-square(x)))


@op("Erfc", MAP, kernel="erfc", flops=40)
def erfc(x: Any, name: str | None = None) -> Any:
    """``1 - erf(x)``, exact to the last places for large ``x`` too.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.erfc(1.0)):.4f}"
    '0.1573'
    """


@erfc.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return -dy * (constant(2 / math.sqrt(math.pi), x.dtype) * exp(-square(x)))
