"""The rows of :mod:`specs` for ``ops/functions.py`` and ``ops/activations.py``."""

import numpy as np
import scipy.special
from specs import (
    FLOATS,
    FULL,
    INTS,
    NUMBERS,
    ONE,
    TWO,
    Spec,
    between,
    binary,
    bools,
    distinct,
    divisor,
    grid,
    normal,
    positive,
    reduction,
    sweep,
    unary,
)

import gradplan as gp


def as_double(function):
    """SciPy's, which knows no long double."""
    return lambda x: function(np.asarray(x, np.float64))


def elu(x, low=1, scale=1):
    return np.where(x < 0, low * np.expm1(np.minimum(x, 0)), scale * x)


def smallest(x, axis, keepdims):
    highest = np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).max
    return np.min(x, axis, keepdims=keepdims, initial=highest)


def logsumexp(x, axis=None, keepdims=False):
    axis = tuple(axis) if isinstance(axis, list) else axis
    with np.errstate(divide="ignore"):
        return np.log(np.sum(np.exp(x), axis, keepdims=keepdims))


TRUTHS = tuple(
    (s, {k: tuple(v) if isinstance(v, list) else v for k, v in a.items()}) for s, a in FULL
)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772
KINKS = grid(0.5)

# fmt: off
SPECS = [
    unary("Reciprocal", gp.reciprocal, lambda x: 1 / x, divisor),
    unary("Rsqrt", gp.rsqrt, lambda x: 1 / np.sqrt(x), positive, ulps=1.5),
    unary("Expm1", gp.expm1, np.expm1, ulps=4),
    binary("SquaredDifference", gp.squared_difference, lambda x, y: (x - y) * (x - y), ulps=4,
           scale=lambda x, y: x * x + y * y),
    unary("Floor", gp.floor, np.floor, KINKS, diff=(), flat=True),
    unary("Ceil", gp.ceil, np.ceil, KINKS, diff=(), flat=True),
    unary("Rint", gp.rint, np.rint, grid(0), diff=(), flat=True),
    unary("Round", gp.round, np.rint, grid(0), diff=(), flat=True),
    unary("IsNan", gp.is_nan, np.isnan, diff=()),
    unary("IsInf", gp.is_inf, np.isinf, diff=()),
    unary("IsFinite", gp.is_finite, np.isfinite, diff=()),
    unary("Sin", gp.sin, np.sin, ulps=2),
    unary("Cos", gp.cos, np.cos, ulps=2),
    unary("Tan", gp.tan, np.tan, between(-1, 1), ulps=2),
    unary("Asin", gp.asin, np.arcsin, between(-0.7, 0.7), ulps=2),
    unary("Acos", gp.acos, np.arccos, between(-0.7, 0.7), ulps=2),
    unary("Atan", gp.atan, np.arctan, ulps=2),
    binary("Atan2", gp.atan2, np.arctan2, (divisor, divisor), FLOATS, ulps=2),
    unary("Sinh", gp.sinh, np.sinh, ulps=3),
    unary("Cosh", gp.cosh, np.cosh, ulps=3),
    unary("Asinh", gp.asinh, np.arcsinh, ulps=3),
    unary("Acosh", gp.acosh, np.arccosh, between(1.1, 5), ulps=3),
    unary("Atanh", gp.atanh, np.arctanh, between(-0.7, 0.7), ulps=3),
    unary("Erf", gp.erf, as_double(scipy.special.erf), ulps=4),
    # SciPy's is off by 10 units, libm's by 3 (against 40 digits of mpmath)
    unary("Erfc", gp.erfc, as_double(scipy.special.erfc), between(-3, 3), ulps=14),
    unary("Relu6", gp.nn.relu6, lambda x: np.clip(x, 0, 6), grid(0.5, low=-3, high=9)),
    unary("Elu", gp.nn.elu, elu, KINKS, ulps=4),
    unary("Selu", gp.nn.selu, lambda x: elu(x, SELU_SCALE * SELU_ALPHA, SELU_SCALE), KINKS, ulps=5),
    unary("Softsign", gp.nn.softsign, lambda x: x / (1 + abs(x)), KINKS, ulps=2),
    Spec("Select/leaky_relu", gp.nn.leaky_relu, lambda x: np.where(x > 0, x, x * 0.2), (KINKS,),
         sweep(ONE), ulps=2, diff=(0,)),
    Spec("Maximum/clip", lambda x, y: gp.clip_by_value(x, y - 1, y + 1),
         lambda x, y: np.clip(x, y - 1, y + 1), (grid(0), grid(0.5)), sweep(TWO), ulps=1,
         diff=(0, 1)),
    binary("FloorDiv/div", gp.div, np.floor_divide, (normal, divisor), INTS, diff=()),
    binary("RealDiv/div", gp.div, np.divide, (normal, divisor), FLOATS),
    reduction("Min", gp.reduce_min, smallest, distinct),
    Spec("Sum/logsumexp", gp.reduce_logsumexp, logsumexp, (normal,), FULL, ulps=20,
         scale=lambda x, **axes: 1 + abs(logsumexp(x, **axes)), diff=(0,)),
    Spec("Greater/all", gp.reduce_all, np.all, (bools,), TRUTHS, ("bool",), widen=False),
    Spec("Greater/any", gp.reduce_any, np.any, (bools,), TRUTHS, ("bool",), widen=False),
    Spec("ArgMax/argmin", gp.argmin, lambda x, axis=0: np.argmin(x, axis),
         (between(-4, 5),), sweep(((7,), (3, 5), (2, 3, 2, 1, 3)), {}, {"axis": -1}), NUMBERS),
    Spec("ConcatV2/crelu", gp.nn.crelu,
         lambda x: np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], -1), (KINKS,),
         sweep(((3,), (2, 3), (0,))), diff=(0,)),
]
# fmt: on
