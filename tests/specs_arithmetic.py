"""The rows of :mod:`specs` for small integers, the other quotients, special functions, running sums
and products, and statistics."""

import numpy as np
import scipy.special
from specs import (
    AXES,
    FLOATS,
    INTS,
    NUMBERS,
    SMALL,
    TWO,
    Bad,
    Spec,
    axes_of,
    between,
    binary,
    distinct,
    divisor,
    f32,
    grid,
    i32,
    near_one,
    normal,
    positive,
    reduction,
    sweep,
    unary,
)

import gradplan as gp

InvalidArgument = gp.errors.InvalidArgumentError
INTEGERS = INTS + SMALL


def as_double(function):
    """SciPy's, which knows no long double."""
    return lambda *xs: function(*[np.asarray(x, np.float64) for x in xs])


def quotient(x, y):
    """Rounded towards zero, by integers of Python's."""
    exact = [int(a) // int(b) if (a < 0) == (b < 0) else -(-int(a) // int(b))
             for a, b in np.nditer(np.broadcast_arrays(x, y), ["zerosize_ok"])]  # fmt: skip
    exact = [(e + 2**63) % 2**64 - 2**63 for e in exact]  # the least one divided by -1 wraps
    wide = np.array(exact, np.int64).reshape(np.broadcast_shapes(x.shape, y.shape))
    return wide.astype(x.dtype)


def unless(which, function):
    """``function(x, y)``, and 0 where one of them is 0."""

    def oracle(x, y):
        with np.errstate(all="ignore"):
            return np.where((x, y)[which] == 0, 0, function(x, y))

    return oracle


def some_zeros(rng, shape, dtype, shapes=()):
    x = divisor(rng, shape, dtype)
    return np.where(rng.random(shape) < 0.3, dtype.type(0), x)


def apart(rng, shape, dtype, shapes=()):
    """No two elements near each other, and none near 0."""
    return distinct(rng, shape, dtype) + dtype.type(0.1)


def small(op, build, oracle, sample=(normal,), dtypes=SMALL, **more):
    """A binary operation on small integers, which other kernels do as well."""
    shapes = (((), (3,)), ((1025,), ()), ((17,), (17,)), ((2, 1), (1, 3)), ((0,), (1,)))
    return Spec(op, build, oracle, sample, sweep(shapes), dtypes, elementwise=True, **more)


def accumulate_n(*xs):
    return gp.accumulate_n(xs, xs[0].shape, xs[0].dtype)


def scan(ufunc):
    start = 0 if ufunc is np.add else 1

    def oracle(x, axis=0, exclusive=False, reverse=False):
        x = np.moveaxis(x, axis, 0)
        x = x[::-1] if reverse else x
        y = ufunc.accumulate(x, 0, dtype=x.dtype)
        if exclusive:
            y = np.concatenate([np.full_like(x[:1], start), y[:-1]])[: len(x)]
        return np.moveaxis(y[::-1] if reverse else y, 0, axis)

    return oracle


def recurrence(x, dy):
    """The gradient of a running product, term by term."""
    n = len(x)
    out = np.zeros_like(x)
    for i in range(n):
        for k in range(i, n):
            out[i] += dy[k] * np.prod(np.delete(x[: k + 1], i, 0), 0)
    return out


def moments(x, axes, keepdims=False):
    axes = axes_of(axes)
    return np.mean(x, axes, keepdims=keepdims), np.var(x, axes, keepdims=keepdims)


def weighted_moments(x, w, axes, keepdims=False):
    w = np.broadcast_to(w, x.shape)
    mean = np.expand_dims(np.average(x, axes, w), axes)
    spread = np.expand_dims(np.average((x - mean) ** 2, axes, w), axes)
    return (mean, spread) if keepdims else (np.squeeze(mean, axes), np.squeeze(spread, axes))


def numpy_norm(x, ord="euclidean", axis=None, keepdims=False):
    name = {"euclidean": None}.get(ord, ord)
    if axis is None:
        out = np.linalg.norm(x.ravel(), name)
        return out.reshape((1,) * x.ndim) if keepdims else out
    return np.linalg.norm(x, name, axes_of(axis), keepdims)


def wrapping(function, **start):
    def oracle(x, axis, keepdims):
        return function(x, axis, x.dtype, keepdims=keepdims)

    return oracle


def mean_of_small(x, axis=None, keepdims=False):
    """Without a sum that wraps, towards zero."""
    total = np.sum(x, axis, np.int64, keepdims=keepdims)
    n = max(1, x.size // max(1, total.size))
    return (np.sign(total) * (abs(total) // n)).astype(x.dtype)


def extreme(function, end):
    return lambda x, axis=None, keepdims=False: function(
        x, axes_of(axis), keepdims=keepdims, initial=getattr(np.iinfo(x.dtype), end)
    )


# fmt: off
FEW = (((7,),), ((1025,),), ((3, 5),), ((0,),))
LINES = tuple(((s,), a) for s, a in AXES if 0 not in s and len(s) != 1 or s == (7,))
SCANS = (
    *sweep(((1,), (7,), (3, 5), (0, 3), (1025,)), {}, {"exclusive": True, "reverse": True}),
    (((2, 3, 4),), {"axis": 1, "exclusive": True}), (((2, 3, 4),), {"axis": -1, "reverse": True}),
    (((3, 7),), {"axis": 0, "reverse": True}),
)
SCAN_BAD = (
    Bad(ValueError, ("axis 2", "(2, 3)"), (f32(2, 3),), {"axis": 2}),
    Bad(ValueError, ("axis -3", "(2, 3)"), (f32(2, 3),), {"axis": -3}),
    Bad(ValueError, ("axis 0", "0 dimensions"), (f32(),)),
    Bad(TypeError, ("bool",), (np.zeros(2, bool),)),
)
MOMENTS = tuple(((s,), {"axes": a, "keepdims": k}) for s, a, k in [
    ((7,), [0], False), ((3, 5), [0], True), ((3, 5), [1], False), ((2, 3, 4), [0, 2], False),
    ((33, 17), [-1], False), ((3, 5), None, False)])
NORMS = tuple(((s,), a) for s, a in [
    ((7,), {}), ((3, 5), {}), ((3, 5), {"keepdims": True}), ((3, 5), {"axis": 1}),
    ((3, 5), {"ord": 1, "axis": 0}), ((3, 5), {"ord": np.inf, "axis": -1, "keepdims": True}),
    ((17,), {"ord": 3}), ((5,), {"ord": 2.5, "axis": 0}), ((3, 5), {"ord": 1}),
    ((3, 5), {"ord": "fro", "axis": [0, 1]}), ((2, 3, 5), {"ord": 1, "axis": [1, 2]}),
    ((2, 3, 5), {"ord": np.inf, "axis": [-1, 0], "keepdims": True}),
    ((2, 3, 5), {"axis": [0, 2]})])

SPECS = [
    # ---- small integers
    small("Add/small", gp.add, np.add),
    small("Sub/small", gp.subtract, np.subtract),
    small("Mul/small", gp.multiply, np.multiply),
    small("Add/mul_add", lambda x, y: x * y + x, lambda x, y: x * y + x),
    small("FloorDiv/small", gp.floordiv, np.floor_divide, (normal, between(1, 9)), bad=(
        Bad(InvalidArgument, ("division by zero", "element 1"),
            (np.ones(2, np.int8), np.array([1, 0], np.int8))),)),
    small("RealDiv/small", gp.truediv, lambda x, y: x.astype("f") / y.astype("f"),
          (normal, between(1, 9)), ulps=0.51),
    small("Less/small", gp.less, np.less),
    small("LessEqual/small", gp.less_equal, np.less_equal),
    small("Greater/small", gp.greater, np.greater),
    small("GreaterEqual/small", gp.greater_equal, np.greater_equal),
    small("Equal/small", gp.equal, np.equal, (between(0, 3),)),
    small("NotEqual/small", gp.not_equal, np.not_equal, (between(0, 3),)),
    Spec("AssignAdd/small", gp.assign_add, np.add, (normal,), ((((7,), (7,)), {}),), SMALL,
         variables=1),
    Spec("Sum/small", gp.reduce_sum,
         lambda x, axis=None, keepdims=False: np.sum(x, axes_of(axis), x.dtype, keepdims=keepdims),
         (normal,), (*sweep(FEW), (((3, 5),), {"axis": 0}), (((0, 3),), {"axis": 0})), SMALL),
    Spec("Mean/small", gp.reduce_mean, mean_of_small, (normal,),
         (*sweep(FEW), (((33, 65),), {"axis": 1})), SMALL),
    Spec("Max/small", gp.reduce_max, extreme(np.max, "min"), (normal,),
         (*sweep(FEW), (((3, 5),), {"axis": 1}), (((0, 3),), {"axis": 0})), SMALL),
    Spec("Min/small", gp.reduce_min, extreme(np.min, "max"), (normal,),
         (*sweep(FEW), (((3, 5),), {"axis": 1}), (((0, 3),), {"axis": 0})), SMALL),
    Spec("Identity/half", lambda x: gp.transpose(gp.identity(x)), np.transpose, (normal,),
         sweep(((), (7,), (33, 65))), ("float16", *SMALL)),
    # ---- quotients
    Spec("TruncateDiv", gp.truncatediv, quotient, (normal, divisor), sweep(TWO), INTS,
         elementwise=True, bad=(
             Bad(InvalidArgument, ("division by zero", "element 1"),
                 (i32(2) + 7, np.array([1, 0], np.int32))),
             Bad(ValueError, ("(2,)", "(3,)"), (i32(2), i32(3))),
             Bad(TypeError, ("float32",), (f32(2), f32(2))))),
    small("TruncateDiv/small", gp.truncatediv, quotient, (normal, between(1, 9))),
    binary("TruncateMod", gp.truncatemod, np.fmod, (grid(0.5), near_one), widen=False, bad=(
        Bad(InvalidArgument, ("division by zero", "element 0"), (i32(3), i32())),)),
    binary("DivNoNan", gp.div_no_nan, unless(1, np.divide), (normal, divisor), FLOATS),
    Spec("DivNoNan/zeros", gp.div_no_nan, unless(1, np.divide), (normal, some_zeros),
         sweep((((17,), (17,)), ((1025,), (1025,)))), ulps=0.51),
    binary("MulNoNan", gp.multiply_no_nan, unless(1, np.multiply), (normal, divisor), FLOATS),
    binary("Xdivy", gp.xdivy, unless(0, np.divide), (divisor, divisor), FLOATS),
    Spec("Xdivy/zeros", gp.xdivy, unless(0, np.divide), (some_zeros, divisor),
         sweep((((17,), (17,)),)), ulps=0.51, diff=(1,)),
    binary("Xlogy", gp.xlogy, unless(0, lambda x, y: x * np.log(y)), (divisor, positive), FLOATS,
           3),
    Spec("Xlogy/zeros", gp.xlogy, unless(0, lambda x, y: x * np.log(y)), (some_zeros, positive),
         sweep((((17,), (17,)),)), ulps=3, diff=(1,)),
    Spec("Softplus/log_sigmoid", gp.log_sigmoid, lambda x: -np.logaddexp(0, -x), (normal,),
         sweep(((), (7,), (1025,), (2, 3))), ulps=4, diff=(0,)),
    # ---- sums of many
    Spec("AddN/accumulate", accumulate_n, lambda *xs: sum(xs[1:], xs[0]), (normal,),
         sweep((((7,),) * 3, ((2, 3),) * 2)), NUMBERS, 2, lambda *xs: sum(map(abs, xs)), (0, 1),
         bad=(Bad(ValueError, ("(2,)",), (f32(3), f32(2))),)),
    # ---- special functions
    unary("Lgamma", gp.lgamma, as_double(scipy.special.gammaln), positive, ulps=8,
          scale=lambda x: 1 + abs(as_double(scipy.special.gammaln)(x))),
    Spec("Digamma", gp.digamma, as_double(scipy.special.digamma), (positive,),
         sweep(((), (7,), (1025,), (2, 3), (0,))), ulps=1, diff=(0,), bad=(
             Bad(TypeError, ("int32",), (i32(2),)),)),
    Spec("Polygamma", gp.polygamma,
         lambda a, x: (-1.0) ** (a + 1) * scipy.special.gamma(np.asarray(a + 1, float))
         * scipy.special.zeta(np.asarray(a + 1, float), np.asarray(x, float)),
         (lambda rng, shape, dtype, shapes=(): rng.integers(1, 4, shape).astype(dtype),
          between(1.5, 5)),
         sweep((((), (7,)), ((3, 1), (5,)), ((1025,), (1025,)))), ulps=8, diff=(1,), bad=(
             Bad(ValueError, ("(2,)", "(3,)"), (f32(2), f32(3))),)),
    Spec("Zeta", gp.zeta, as_double(scipy.special.zeta), (between(1.5, 5), between(1, 5)),
         sweep((((), (7,)), ((3, 1), (5,)), ((1025,), (1025,)))), ulps=8, diff=(1,)),
    Spec("Igamma", gp.igamma, as_double(scipy.special.gammainc), (positive, positive),
         sweep((((), (7,)), ((3, 1), (5,)), ((1025,), (1025,)))), ulps=1, diff=(1,)),
    Spec("Igammac", gp.igammac, as_double(scipy.special.gammaincc), (positive, positive),
         sweep((((), (7,)), ((3, 1), (5,)), ((1025,), (1025,)))), ulps=1, diff=(1,)),
    Spec("Betainc", gp.betainc, as_double(scipy.special.betainc),
         (positive, positive, between(0.1, 0.9)),
         sweep((((), (), (7,)), ((3, 1), (), (5,)), ((1025,),) * 3)), ulps=1, diff=(2,)),
    Spec("Lgamma/lbeta", gp.lbeta,
         lambda x: as_double(scipy.special.gammaln)(x).sum(-1)
         - as_double(scipy.special.gammaln)(x.sum(-1)), (positive,),
         sweep(((2,), (3, 5), (2, 3, 4))), ulps=40, scale=lambda x: 1 + x.sum(-1) ** 2, diff=(0,)),
    # ---- running sums and products
    Spec("Cumsum", gp.cumsum, scan(np.add), (normal,), SCANS, NUMBERS + ("int16", "uint8"), 40,
         scale=lambda x, **a: scan(np.add)(abs(x), **a) + 1e-3, diff=(0,), bad=SCAN_BAD),
    Spec("Cumprod", gp.cumprod, scan(np.multiply), (between(-1.1, 1.1),), SCANS,
         NUMBERS + ("int8", "int16"), 2000, diff=(0,), bad=SCAN_BAD),
    Spec("Cumprod/zeros", gp.cumprod, scan(np.multiply), (some_zeros,),
         sweep(((5,), (6, 2)), {}, {"exclusive": True}, {"reverse": True}), ulps=8, diff=(0,)),
    Spec("LinearRecurrence", lambda x, dy: gp.gradients(gp.cumprod(x), x, dy)[0], recurrence,
         (some_zeros, normal), sweep((((5,), (5,)), ((1,), (1,)), ((6, 2), (6, 2)))), ulps=60,
         scale=lambda x, dy: recurrence(abs(x), abs(dy)) + 1, diff=(0, 1)),
    reduction("Prod", gp.reduce_prod, wrapping(np.prod), between(-1.1, 1.1), ulps=2000),
    Spec("Prod/zeros", gp.reduce_prod,
         lambda x, axis=None, keepdims=False: np.prod(x, axes_of(axis), keepdims=keepdims),
         (some_zeros,), sweep(((4,), (3, 4), (2, 2, 3)), {}, {"axis": -1}, {"axis": [0]})
         + ((((2, 2, 3),), {"axis": [0, 2], "keepdims": True}),), ulps=8, diff=(0,)),
    Spec("Prod/small", gp.reduce_prod,
         lambda x, axis=None: np.prod(x, axis, x.dtype), (between(1, 4),),
         (*sweep(FEW), (((3, 5),), {"axis": 1})), SMALL),
    # ---- statistics
    Spec("Sum/count_nonzero", gp.count_nonzero,
         lambda x, axis=None, keepdims=False: np.asarray(
             np.count_nonzero(x, axes_of(axis), keepdims=keepdims)),
         (between(0, 2),), LINES, NUMBERS + ("uint8",), widen=False),
    Spec("Mul/l2_loss", gp.nn.l2_loss, lambda t: np.sum(t * t) / 2, (normal,),
         sweep(((), (7,), (3, 5), (1025,), (0,))), ulps=4, diff=(0,)),
    Spec("Mean/moments", gp.nn.moments, moments, (normal,), MOMENTS, ulps=16,
         scale=lambda x, axes, keepdims: moments(abs(x), axes, keepdims)[:1]
         + (moments(x, axes, keepdims)[1],), diff=(0,), bad=(
             Bad(ValueError, ("dimension 2",), (f32(2, 3),), {"axes": [2]}),)),
    Spec("Sum/weighted_moments", lambda x, w, axes, keepdims=False:
         gp.nn.weighted_moments(x, axes, w, keepdims=keepdims), weighted_moments,
         (normal, positive),
         ((((7,), (7,)), {"axes": (0,)}), (((3, 5), (3, 1)), {"axes": (0,), "keepdims": True}),
          (((3, 5), (5,)), {"axes": (0, 1)}), (((2, 3, 4), ()), {"axes": (0, 2)})), ulps=60,
         scale=lambda x, w, axes, keepdims=False: tuple(
             1 + a for a in weighted_moments(abs(x), w, axes, keepdims)), diff=(0, 1)),
    Spec("Mean/variance", gp.reduce_variance,
         lambda x, axis=None, keepdims=False: np.var(x, axes_of(axis), keepdims=keepdims),
         (normal,), LINES[:8], ulps=16, scale=lambda x, axis=None, keepdims=False: np.mean(
             x * x, axes_of(axis), keepdims=keepdims), diff=(0,),
         bad=(Bad(TypeError, ("int32",), (i32(3),)),)),
    Spec("Sqrt/std", gp.reduce_std,
         lambda x, axis=None, keepdims=False: np.std(x, axes_of(axis), keepdims=keepdims),
         (distinct,), sweep(((7,), (3, 5))) + ((((3, 5),), {"axis": 1}),), ulps=16, diff=(0,)),
    Spec("Sqrt/euclidean_norm", gp.reduce_euclidean_norm,
         lambda x, axis=None, keepdims=False: np.sqrt(np.sum(
             x * x if x.dtype.kind == "f" else x.astype(float) ** 2, axes_of(axis),
             keepdims=keepdims)).astype(x.dtype),
         (divisor,), LINES[:8], NUMBERS, 4, diff=(0,)),
    Spec("Sqrt/norm", gp.norm, numpy_norm, (apart,), NORMS, ulps=16, diff=(0,), bad=(
        Bad(ValueError, ("'nuc'",), (f32(2, 3),), {"ord": "nuc"}),
        Bad(ValueError, ("-1",), (f32(2, 3),), {"ord": -1}),
        Bad(ValueError, ("matrices", "2.5"), (f32(2, 3),), {"ord": 2.5, "axis": [0, 1]}),
        Bad(ValueError, ("[0, 0]",), (f32(2, 3),), {"axis": [0, 0]}),
        Bad(ValueError, ("dimension 2",), (f32(2, 3),), {"axis": 2}),
        Bad(TypeError, ("int32",), (i32(2, 3),)))),
    Spec("ArgMax/dimension", lambda x, axis: gp.argmax(x, dimension=axis),
         lambda x, axis: np.argmax(x, axis), (between(-4, 5),), ((((3, 5),), {"axis": 1}),),
         NUMBERS),
]
# fmt: on
ELSEWHERE = {"Bitcast": "test_types.test_bitcast"}
