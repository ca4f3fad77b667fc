"""One row for every operation: what it should compute, where to sample it, and what it refuses.

``test_ops.py`` makes all its tests from :data:`SPECS`. To test a new operation, add a row::

    unary("Softplus", gp.nn.softplus, lambda x: np.logaddexp(0, x), normal, ulps=4)

A row that one of the helpers does not fit is a :class:`Spec`, spelled out. Oracles are written for
NumPy arrays of any float type: they get the inputs widened (float32 to float64, float64 to
long double) and integers as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import gradplan as gp
from gradplan.train import steps

# ---- types ---------------------------------------------------------------------------------------

FLOATS = ("float32", "float64")
INTS = ("int32", "int64")
NUMBERS = FLOATS + INTS
ALL = ("bool", *NUMBERS)
SMALL = ("uint8", "int8", "int16")
#: All that NumPy has; of bfloat16 test_types.py.
TYPES = (*ALL, *SMALL, "float16")
#: Enough for what moves elements by their size.
MOVED = (*ALL, "int16")


@dataclass(frozen=True)
class Bad:
    """A call that must fail: while the graph is built, or while it runs if ``exc`` is an OpError.

    Attributes
    ----------
    exc : type
    words : tuple of str
        All of them stand in the message, beside the operation's type and the source line.
    args : tuple of ndarray
        The inputs: arrays are fed, anything else is passed as it is.
    attrs : dict
    """

    exc: type
    words: tuple
    args: tuple
    attrs: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Spec:
    """What the tests know of one operation.

    Attributes
    ----------
    op : str
        The registered type; a suffix after a slash tells rows of one type apart.
    build : callable
        ``build(*tensors, **attrs)`` makes it by the public API: a tensor or a tuple of tensors.
    oracle : callable
        ``oracle(*arrays, **attrs)``: the value, or a tuple of values.
    sample : tuple of callable
        For each input ``(rng, shape, dtype, shapes) -> array``; the last one serves all that
        remain.
    cases : tuple of (shapes of the inputs, attrs)
    dtypes : tuple of str
    ulps : float
        Units in the last place of ``scale`` that a float result may be off.
    scale : callable or None
        ``scale(*arrays, **attrs)``: the magnitude that rounding is relative to where it is not the
        result itself, such as ``sum(abs(x))`` for a sum.
    diff : tuple of int
        The inputs that gradients flow into.
    flat : bool
        It is constant between its jumps, and its gradient is None or 0.
    widen : bool
        Whether the oracle gets its inputs in a wider type; not where it has jumps.
    elementwise : bool
        Whether it is defined on NaN and infinities, element by element.
    variables : int
        The first so many inputs are variables.
    rank_needed : bool
        It may refuse inputs of unknown rank.
    bad : tuple of Bad
    """

    op: str
    build: Callable
    oracle: Callable
    sample: tuple
    cases: tuple
    dtypes: tuple = FLOATS
    ulps: float = 0
    scale: Callable | None = None
    diff: tuple = ()
    flat: bool = False
    widen: bool = True
    elementwise: bool = False
    variables: int = 0
    rank_needed: bool = False
    bad: tuple = ()

    @property
    def type(self):
        return self.op.split("/")[0]

    def __str__(self):
        return self.op

    def inputs(self, shapes, dtype, seed=0):
        """Sampled inputs of these shapes."""
        rng = np.random.default_rng([seed, len(self.op), *[len(s) for s in shapes]])
        more = len(shapes) - len(self.sample)
        samplers = self.sample + self.sample[-1:] * more
        return [
            np.asarray(f(rng, s, np.dtype(dtype), shapes))
            for f, s in zip(samplers, shapes, strict=True)
        ]


# ---- samplers ------------------------------------------------------------------------------------


def normal(rng, shape, dtype, shapes=()):
    """Of any sign, a few units in size; small integers; either bool."""
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        return rng.integers(-99, 100, shape).astype(dtype)
    return (2 * rng.standard_normal(shape)).astype(dtype)


def between(low, high):
    def sample(rng, shape, dtype, shapes=()):
        if dtype.kind in "iu":
            return rng.integers(low, high, shape).astype(dtype)
        return rng.uniform(low, high, shape).astype(dtype)

    return sample


positive = between(0.3, 4)
unit = between(0.05, 0.95)


def grid(offset, step=1.0, low=-4, high=5):
    """Near the points ``offset + k * step``: away from a kink that lies half a step off."""

    def sample(rng, shape, dtype, shapes=()):
        whole = rng.integers(low, high, shape)
        if dtype.kind in "iu":
            return whole.astype(dtype)
        return ((whole + rng.uniform(-0.1, 0.1, shape)) * step + offset).astype(dtype)

    return sample


def divisor(rng, shape, dtype, shapes=()):
    """Of any sign, and not near zero."""
    size = rng.integers(1, 9, shape) if dtype.kind in "iu" else rng.uniform(0.6, 3, shape)
    return (size * rng.choice([-1, 1], shape)).astype(dtype)


def distinct(rng, shape, dtype, shapes=()):
    """No two elements near each other."""
    n = int(np.prod(shape))
    ranks = (rng.permutation(n) - n // 2).reshape(shape)
    return (ranks if dtype.kind in "iu" else ranks * 0.25).astype(dtype)


def bools(rng, shape, dtype, shapes=()):
    return rng.integers(0, 2, shape).astype(bool)


def labels(kind):
    """Class numbers for the first input, whose last dimension is the classes."""

    def sample(rng, shape, dtype, shapes):
        return rng.integers(0, max(1, shapes[0][-1]), shape).astype(kind)

    return sample


def probabilities(axis):
    """Positive, with sum 1 along ``axis``: what a cross-entropy takes for granted."""

    def sample(rng, shape, dtype, shapes=()):
        p = rng.uniform(0.1, 1, shape)
        return (p / p.sum(axis, keepdims=True)).astype(dtype)

    return sample


# fmt: off
# ---- shapes --------------------------------------------------------------------------------------

ONE = ((), (0,), (1,), (3,), (7,), (17,), (1023,), (1025,), (2, 3), (4, 0, 3), (3, 1, 2, 1, 2))
TWO = (
    ((), ()), ((), (3,)), ((7,), ()), ((1,), (17,)), ((17,), (1,)), ((1,), (1,)), ((0,), (0,)),
    ((0,), (1,)), ((), (0,)), ((1023,), (1023,)), ((1025,), ()), ((1025,), (1025,)), ((2, 3), (3,)),
    ((3,), (2, 3)), ((2, 1), (1, 3)), ((5, 1), (3, 5, 7)), ((33, 1), (33, 65)), ((4, 0, 3), (3,)),
    ((2, 1, 3, 1, 2), (1, 4, 1, 5, 2)), ((3, 1, 1), (2, 1, 3, 5, 1)),
)
THREE = (
    ((), (), ()), ((3,), (3,), (3,)), ((), (7,), (7,)), ((17,), (), ()), ((2, 3), (3,), (2, 1)),
    ((1,), (2, 1), (1, 3)), ((0,), (0,), (0,)), ((1025,), (1025,), ()), ((0,), (1,), ()),
    ((2, 1, 3, 1, 2), (4, 1, 5, 1), (1, 1, 1, 1, 2)),
)


def sweep(shapes, *attrs):
    """Every shape, or tuple of shapes, with every set of attributes."""
    many = [s if s and isinstance(s[0], tuple) else (s,) for s in shapes]
    return tuple((s, a) for s in many for a in (attrs or ({},)))


# ---- the rows that most operations need ----------------------------------------------------------


def f32(*shape):
    return np.zeros(shape, np.float32)


def i32(*shape):
    return np.zeros(shape, np.int32)


def unary(op, build, oracle, sample=normal, dtypes=FLOATS, ulps=0.51, diff=(0,), bad=(), **more):
    """Elementwise, of one input."""
    wrong = "bool" if "bool" not in dtypes else "float32"
    refused = Bad(TypeError, (wrong,), (np.zeros(2, wrong),))
    return Spec(op, build, oracle, (sample,), sweep(ONE), dtypes, ulps, diff=diff, elementwise=True,
                bad=(refused, *bad), **more)


def binary(op, build, oracle, sample=(normal,), dtypes=NUMBERS, ulps=0.51, diff=(0, 1), bad=(),
           **more):
    """Elementwise, of two inputs that broadcast."""
    a, b = np.zeros((2, 3), dtypes[0]), np.zeros((4,), dtypes[0])
    refused = (
        Bad(ValueError, ("(2, 3)", "(4,)"), (a, b)),
        Bad(ValueError, ("(2, 3)", "(3, 2)"), (a, a.T)),
        Bad(TypeError, ("bool", "float64"), (np.zeros(2, "bool"), np.zeros(2))),
    )
    return Spec(op, build, oracle, sample, sweep(TWO), dtypes, ulps, diff=diff, elementwise=True,
                bad=refused + bad, **more)


def compare(op, build, oracle, dtypes=NUMBERS):
    return binary(op, build, oracle, (between(-3, 4),), dtypes, diff=())


def move(op, build, oracle, cases=None, diff=(0,), bad=(), **more):
    """What moves elements, of whatever type, without computing on them."""
    cases = sweep(ONE) if cases is None else cases
    return Spec(op, build, oracle, (normal,), cases, MOVED, diff=diff, bad=bad, **more)


def to_shape(pairs):
    """Cases of one input, with a shape as its attribute."""
    return tuple(((tuple(s),), {"shape": t}) for s, t in pairs)


AXES = (
    ((), {}), ((7,), {}), ((0,), {}), ((1,), {"axis": 0}), ((1025,), {"axis": -1}), ((3, 5), {}),
    ((3, 5), {"axis": 0}), ((3, 5), {"axis": 1, "keepdims": True}), ((3, 5), {"axis": [0, 1]}),
    ((3, 5), {"axis": []}), ((3, 5), {"keepdims": True}), ((1023, 3), {"axis": 0}),
    ((3, 1023), {"axis": 1}), ((2, 3, 17), {"axis": [0, 2]}), ((2, 3, 17), {"axis": -2}),
    ((5, 1, 4), {"axis": 1}), ((2, 3, 2, 1, 3), {"axis": [1, 4], "keepdims": True}),
    ((2, 3, 2, 1, 3), {"axis": [0, 2, 3]}), ((4, 0, 3), {"axis": 2}), ((4, 0, 3), {"axis": 1}),
    ((33, 65), {"axis": 0}), ((65, 33), {"axis": 1}), ((1, 1), {"axis": [0, 1]}),
)
FULL = tuple(((s,), a) for s, a in AXES)
NOT_EMPTY = tuple(c for c in FULL if 0 not in c[0][0])


def axes_of(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def reduction(op, build, oracle, sample=normal, cases=FULL, ulps=0.51, scale=None, diff=(0,),
              **more):
    """Over the axes in ``axis``; the oracle takes (x, axis, keepdims)."""
    refused = (
        Bad(ValueError, ("dimension 2", "(2, 2)"), (f32(2, 2),), {"axis": 2}),
        Bad(ValueError, ("dimension -3", "(2, 2)"), (f32(2, 2),), {"axis": [0, -3]}),
        Bad(ValueError, ("axis", "twice", "(2, 2)"), (f32(2, 2),), {"axis": [1, -1]}),
        Bad(TypeError, ("bool",), (np.zeros(2, bool),)),
    )

    def on_axes(function):
        return function and (
            lambda x, axis=None, keepdims=False: function(x, axis=axes_of(axis), keepdims=keepdims)
        )

    return Spec(op, build, on_axes(oracle), (sample,), cases, NUMBERS, ulps, on_axes(scale), diff,
                bad=refused, **more)


# ---- oracles that NumPy does not have ------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def wrapping_sum(x, axis, keepdims):
    return np.sum(x, axis, x.dtype, keepdims=keepdims)


def reduced_size(x, axis):
    axes = range(x.ndim) if axis is None else [a % x.ndim for a in np.atleast_1d(axis).astype(int)]
    return int(np.prod([x.shape[a] for a in axes]))


def mean(x, axis, keepdims):
    """As TensorFlow: integers divide towards zero; the mean of no floats is NaN."""
    n = reduced_size(x, axis)
    if x.dtype.kind != "i":
        with np.errstate(all="ignore"):
            return np.sum(x, axis, keepdims=keepdims) / x.dtype.type(n)
    total = np.sum(x, axis, np.int64, keepdims=keepdims)
    return (np.sign(total) * (abs(total) // max(1, n))).astype(x.dtype)


def largest(x, axis, keepdims):
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return np.max(x, axis, keepdims=keepdims, initial=lowest)


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis, keepdims=True, initial=-np.inf))
    return e / e.sum(axis, keepdims=True)


def log_softmax(x, axis=-1):
    shifted = x - x.max(axis, keepdims=True, initial=-np.inf)
    return shifted - np.log(np.exp(shifted).sum(axis, keepdims=True))


def xent(logits, labels, axis=-1):
    return -(labels * log_softmax(logits, axis)).sum(axis)


def sparse_xent(logits, labels):
    return -np.take_along_axis(log_softmax(logits), labels[..., None].astype(np.int64), -1)[..., 0]


def matmul(a, b, transpose_a=False, transpose_b=False):
    return np.matmul(a.T if transpose_a else a, b.T if transpose_b else b)


def matmul_scale(a, b, **flags):
    return matmul(abs(a), abs(b), **flags)


def sum_to(x, shape):
    lead = x.ndim - len(shape)
    x = x.sum(tuple(range(lead)))
    axes = tuple(i for i, d in enumerate(shape) if d == 1 and x.shape[i] != 1)
    return x.sum(axes, keepdims=True)


def select(c, x, y):
    """As TensorFlow 1: a vector condition chooses rows."""
    if c.ndim == 1 and x.ndim > 1:
        c = c.reshape(c.shape + (1,) * (x.ndim - 1))
    return np.where(c, x, y)


def scattered(x, dy, key):
    out = np.zeros(x.shape, dy.dtype)
    out[key] = dy
    return out


def sgd(var, alpha, grad):
    return var - alpha * grad


def momentum(var, accum, lr, grad, mu, use_nesterov=False):
    accum = mu * accum + grad
    return var - (lr * grad + lr * mu * accum if use_nesterov else lr * accum), accum


def adam(var, m, v, beta1_power, beta2_power, lr, beta1, beta2, eps, grad, use_nesterov=False):
    alpha = lr * np.sqrt(1 - beta2_power) / (1 - beta1_power)
    m = m + (1 - beta1) * (grad - m)
    v = v + (1 - beta2) * (grad * grad - v)
    step = beta1 * m + (1 - beta1) * grad if use_nesterov else m
    return var - alpha * step / (np.sqrt(v) + eps), m, v


def concat(*xs, axis):
    return gp.concat(xs, axis)


def updated(apply, n):
    """An optimizer's update of n variables, as a function of them: their new values."""

    def build(*inputs, **attrs):
        new = apply(*[v._ref for v in inputs[:n]], *inputs[n:], **attrs)
        with gp.control_dependencies([new]):
            return (new, *[v.read_value() for v in inputs[1:n]])

    return build


def softmax_cross_entropy_with_logits(logits, labels, axis=None):
    return gp.nn.softmax_cross_entropy_with_logits_v2(labels=labels, logits=logits, axis=axis)


def near_one(rng, shape, dtype, shapes=()):
    """Divisors so near 1 that a float of ``grid(0.5)`` divided by them is far from whole."""
    if dtype.kind in "iu":
        return divisor(rng, shape, dtype)
    return (rng.choice([-1, 1], shape) * rng.uniform(0.98, 1.02, shape)).astype(dtype)


# ---- the table -----------------------------------------------------------------------------------

InvalidArgument = gp.errors.InvalidArgumentError
S = np.s_
MATMUL = tuple(
    (((k, m) if ta else (m, k), (n, k) if tb else (k, n)), {"transpose_a": ta, "transpose_b": tb})
    for m, k, n in [(1, 1, 1), (2, 3, 4), (7, 17, 3), (1, 9, 7), (8, 9, 1), (33, 65, 17), (0, 3, 4),
                    (4, 0, 3), (4, 3, 0), (64, 1, 10)]
    for ta in (False, True)
    for tb in (False, True)
)
SOFTMAX = sweep(((1,), (7,), (5, 3), (4, 1), (0, 3), (4, 0), (33, 10), (2, 1025),
                 (2, 3, 2, 1, 5)))
SLICES = (
    ((7,), S[2]), ((7,), S[-1]), ((7,), S[1:5]), ((7,), S[::-1]), ((7,), S[5:1:-2]), ((7,), S[9:]),
    ((7,), S[3:3]), ((7,), S[None]), ((7,), S[...]), ((), S[...]), ((), S[None]), ((0,), S[:]),
    ((5, 6), S[1]), ((5, 6), S[:, 2]), ((5, 6), S[1:4, ::3]), ((5, 6), S[..., -2:]),
    ((5, 6), S[-1, None, ::-1]),
    ((2, 3, 4), S[1, ..., 0]), ((2, 3, 4), S[:, None, 1:, ::-2]), ((1025,), S[1:-1]),
    ((2, 1, 3, 4, 2), S[0, :, 1:, ..., 1]), ((4, 0, 3), S[1:, :, 2]),
)
RESHAPES = (
    ((2, 6), [3, 4]), ((2, 6), [-1]), ((12,), [4, -1, 1]), ((), [1, 1]), ((1, 1), []),
    ((0, 3), [0]), ((4, 0, 3), [-1, 3]), ((1025,), [5, 205]), ((2, 3, 4), [4, 3, 2]),
)
BROADCASTS = (
    ((), [3]), ((1,), [3]), ((3,), [2, 3]), ((2, 1), [2, 17]), ((3,), [3]), ((1,), [0]), ((), []),
    ((2, 1, 3), [4, 2, 5, 3]), ((1, 1), [33, 65]), ((0,), [2, 0]),
)
CONCATS = (
    (((2,), (3,)), 0), (((0,), (3,)), -1), (((2, 3), (4, 3), (0, 3)), 0),
    (((2, 3), (2, 1)), 1), (((2, 3), (2, 1), (2, 17)), -1), (((2, 3, 1, 2), (2, 1, 1, 2)), 1),
    (((2, 0, 3), (2, 0, 3)), 2),
    (((1,),) * 30, 0),
)
CONCATS = tuple((s, {"axis": a}) for s, a in CONCATS)
TRANSPOSES = (
    *sweep(((), (3,), (0,), (2, 3), (33, 65), (2, 3, 2, 1, 3))), (((2, 3),), {"perm": [1, 0]}),
    (((2, 3, 4),), {"perm": [2, 0, 1]}), (((4, 0, 3),), {"perm": [0, 2, 1]}),
    (((2, 3, 2, 1, 3),), {"perm": [4, 0, 2, 1, 3]}),
)
ALIKE = sweep([(s, s) for s in ONE])
SCALARS = ((),) * 6

SPECS = [
    # ---- arithmetic
    binary("Add", gp.add, np.add),
    binary("Sub", gp.subtract, np.subtract),
    binary("Mul", gp.multiply, np.multiply),
    binary("RealDiv", gp.divide, np.divide, (normal, divisor), FLOATS),
    binary("RealDiv/integers", gp.truediv, lambda x, y: x.astype(float) / y, (normal, divisor),
           INTS, diff=()),
    binary("FloorDiv", gp.floordiv, np.floor_divide, (grid(0.5), near_one), diff=(), flat=True,
           widen=False, bad=(Bad(InvalidArgument, ("division by zero", "element 1"),
                                 (i32(2) + 7, np.array([1, 0], np.int32))),)),
    binary("FloorMod", gp.floormod, np.remainder, (grid(0.5), near_one), widen=False,
           bad=(Bad(InvalidArgument, ("division by zero", "element 0"), (i32(3), i32())),)),
    binary("Pow", gp.pow, np.power, (positive, normal), FLOATS, 1),
    # as TensorFlow, an integer to a negative power is refused
    Spec("Pow/integers", gp.pow, np.power, (between(-5, 6), between(0, 9)), sweep(TWO), INTS,
         bad=(Bad(InvalidArgument, ("negative", "element 2"),
                  (i32(3), np.array([0, 1, -1], np.int32))),)),
    binary("Maximum", gp.maximum, np.maximum, (grid(0), grid(0.5))),
    binary("Minimum", gp.minimum, np.minimum, (grid(0), grid(0.5))),
    unary("Neg", gp.negative, np.negative, dtypes=NUMBERS),
    unary("Abs", gp.abs, np.abs, grid(0.5), NUMBERS),
    unary("Sign", gp.sign, np.sign, grid(0.5), NUMBERS, diff=(), flat=True),
    unary("Square", gp.square, np.square, dtypes=NUMBERS),
    unary("Sqrt", gp.sqrt, np.sqrt, positive),
    unary("Exp", gp.exp, np.exp, ulps=2),
    unary("Log", gp.log, np.log, positive, ulps=2),
    unary("Log1p", gp.log1p, np.log1p, between(-0.6, 4), ulps=4),
    unary("Sigmoid", gp.sigmoid, sigmoid, ulps=4),
    unary("Tanh", gp.tanh, np.tanh, ulps=4),
    unary("Relu", gp.nn.relu, lambda x: np.where(x < 0, 0, x), grid(0.5)),
    unary("Softplus", gp.nn.softplus, lambda x: np.logaddexp(0, x), ulps=4),
    Spec("SigmoidGrad", lambda x, dy: gp.gradients(gp.sigmoid(x), x, dy)[0],
         lambda x, dy: dy * sigmoid(x) * (1 - sigmoid(x)), (normal,),
         sweep((((3,), (3,)), ((2, 3), (2, 3)))), ulps=20, scale=lambda x, dy: abs(dy),
         diff=(0, 1)),
    Spec("TanhGrad", lambda x, dy: gp.gradients(gp.tanh(x), x, dy)[0],
         lambda x, dy: dy * (1 - np.tanh(x) ** 2), (normal,),
         sweep((((3,), (3,)), ((2, 3), (2, 3)))), ulps=20, scale=lambda x, dy: abs(dy),
         diff=(0, 1)),
    Spec("ReluGrad", lambda x, dy: gp.gradients(gp.nn.relu(x), x, dy)[0],
         lambda x, dy: dy * (x > 0), (grid(0.5), normal), sweep((((3,), (3,)), ((2, 3), (2, 3)))),
         diff=(0, 1)),
    # ---- types, comparisons and logic
    Spec("Cast", lambda x, to: gp.cast(x, to), lambda x, to: x.astype(to), (normal,),
         sweep(ONE, *[{"to": t} for t in ALL]), ALL, 0.51, widen=False, bad=(
             Bad(InvalidArgument, ("element 1",), (np.array([1, np.nan]),), {"to": "int32"}),
             Bad(InvalidArgument, ("element 0", "int64"), (np.array(1e19),), {"to": "int64"}))),
    compare("Equal", gp.equal, np.equal, ALL),
    compare("NotEqual", gp.not_equal, np.not_equal, ALL),
    compare("Less", gp.less, np.less),
    compare("LessEqual", gp.less_equal, np.less_equal),
    compare("Greater", gp.greater, np.greater),
    compare("GreaterEqual", gp.greater_equal, np.greater_equal),
    binary("LogicalAnd", gp.logical_and, np.logical_and, dtypes=("bool",), diff=()),
    binary("LogicalOr", gp.logical_or, np.logical_or, dtypes=("bool",), diff=()),
    binary("LogicalXor", gp.logical_xor, np.logical_xor, dtypes=("bool",), diff=()),
    unary("LogicalNot", gp.logical_not, np.logical_not, dtypes=("bool",), diff=()),
    Spec("Select", gp.where, select, (bools, normal),
         sweep(THREE), MOVED, diff=(1, 2), elementwise=True, rank_needed=True, bad=(
             Bad(ValueError, ("(3,)", "(4,)"), (np.zeros(3, bool), f32(4), f32(4))),
             Bad(ValueError, ("(2, 3)", "(2, 4)"), (np.zeros((), bool), f32(2, 3), f32(2, 4))),
             Bad(TypeError, ("condition", "bool"), (f32(3), f32(3), f32(3))),
             Bad(TypeError, ("int32", "float32"), (np.zeros(3, bool), f32(3), i32(3))))),
    Spec("ConditionOfRows", lambda c, x, y: gp.where(c, x, y), select, (bools, normal),
         tuple(((s[:1], s, s), {}) for s in ((3, 2), (2, 3, 4), (1, 5), (0, 3))), ALL, diff=(1, 2)),
    # ---- products and sums
    Spec("MatMul", gp.matmul, matmul, (normal,), MATMUL, NUMBERS, 3, matmul_scale, (0, 1), bad=(
        Bad(ValueError, ("(2, 3)", "(4, 5)"), (f32(2, 3), f32(4, 5))),
        Bad(ValueError, ("rank 2", "'a'", "(3,)"), (f32(3), f32(3, 1))),
        Bad(ValueError, ("3", "2"), (f32(2, 3), f32(2, 3)), {"transpose_b": False}),
        Bad(TypeError, ("int32", "float32"), (f32(2, 3), i32(3, 2))))),
    reduction("Sum", gp.reduce_sum, wrapping_sum, ulps=4,
              scale=lambda x, axis, keepdims: np.sum(abs(x), axis, keepdims=keepdims)),
    reduction("Sum/transposed", lambda x, axis=None, keepdims=False:
              gp.reduce_sum(gp.transpose(x), axis, keepdims),
              lambda x, axis, keepdims: wrapping_sum(x.T, axis, keepdims), ulps=4,
              scale=lambda x, axis, keepdims: np.sum(abs(x.T), axis, keepdims=keepdims)),
    reduction("Mean", gp.reduce_mean, mean, ulps=4,
              scale=lambda x, axis, keepdims: mean(abs(x), axis, keepdims)),
    reduction("Max", gp.reduce_max, largest, distinct),
    Spec("MeanWeight", lambda x, axis=None: gp.gradients(gp.reduce_mean(x, axis), x)[0],
         lambda x, axis=None: np.ones_like(x) / reduced_size(x, axis), (normal,),
         ((((5,),), {}), (((3, 5),), {"axis": 1})), ulps=0.51, flat=True),
    Spec("ArgMax", gp.argmax,
         lambda x, axis=0, output_type=np.int64: np.argmax(x, axis).astype(output_type),
         (between(-4, 5),), sweep(((7,), (3, 5), (2, 131), (2, 3, 2, 1, 3)), {}, {"axis": -1},
                                  {"axis": 0, "output_type": "int32"})
         + ((((0, 3),), {"axis": 1}),), NUMBERS, bad=(
             Bad(ValueError, ("2", "(2, 3)"), (f32(2, 3),), {"axis": 2}),
             Bad(ValueError, ("empty",), (f32(0, 3),), {"axis": 0}),
             Bad(TypeError, ("bool",), (np.zeros(2, bool),)))),
    # ---- nets
    Spec("BiasAdd", gp.nn.bias_add, np.add, (normal,),
         sweep((((5, 3), (3,)), ((2, 4, 7), (7,)), ((0, 3), (3,)))), NUMBERS, 0.51,
         diff=(0, 1), bad=(
             Bad(ValueError, ("(4,)", "(2, 3)"), (f32(2, 3), f32(4))),
             Bad(ValueError, ("vector", "(1, 3)"), (f32(2, 3), f32(1, 3))))),
    Spec("Softmax", gp.nn.softmax, softmax, (normal,), SOFTMAX, ulps=20, diff=(0,), bad=(
        Bad(ValueError, ("dimension",), (f32(),)), Bad(TypeError, ("int32",), (i32(3),)))),
    Spec("Softmax/axis", gp.nn.softmax, softmax, (normal,),
         (*sweep(((7, 3), (2, 3, 4)), {"axis": 0}, {"axis": 1}, {"axis": -2}),), ulps=20, diff=(0,),
         rank_needed=True, bad=(Bad(ValueError, ("axis 2", "rank 2"), (f32(2, 3),), {"axis": 2}),)),
    Spec("LogSoftmax", gp.nn.log_softmax, log_softmax, (normal,), SOFTMAX, ulps=20,
         scale=lambda x: 1 + abs(log_softmax(x)), diff=(0,), bad=(
             Bad(ValueError, ("dimension",), (f32(),)),
             Bad(TypeError, ("bool",), (np.zeros(3, bool),)))),
    Spec("SoftmaxCrossEntropyWithLogits", softmax_cross_entropy_with_logits, xent,
         (normal, probabilities(-1)),
         sweep((((3,), (3,)), ((5, 7), (5, 7)), ((0, 3), (0, 3)), ((33, 10), (33, 10)),
                ((2, 3, 4), (2, 3, 4)))), ulps=40, scale=lambda x, p: 1 + xent(x, p), diff=(0, 1),
         bad=(
             Bad(ValueError, ("(2, 3)", "(2, 4)"), (f32(2, 3), f32(2, 4))),
             Bad(ValueError, ("dimension",), (f32(), f32())))),
    Spec("SoftmaxCrossEntropyWithLogits/axis", softmax_cross_entropy_with_logits, xent,
         (normal, probabilities(1)),
         sweep((((5, 3, 2), (5, 3, 2)), ((2, 7), (2, 7)), ((4, 3, 0), (4, 3, 0))), {"axis": 1}),
         ulps=40, scale=lambda x, p, axis: 1 + xent(x, p, axis), diff=(0, 1), rank_needed=True,
         bad=(Bad(ValueError, ("axis", "3"), (f32(2, 3), f32(2, 3)), {"axis": 3}),)),
    Spec("SparseSoftmaxCrossEntropyWithLogits",
         lambda x, k: gp.nn.sparse_softmax_cross_entropy_with_logits(labels=k, logits=x),
         sparse_xent, (normal, labels("int32")),
         sweep((((3,), ()), ((5, 7), (5,)), ((0, 3), (0,)), ((33, 10), (33,)),
                ((2, 3, 4), (2, 3)))),
         ulps=40, scale=lambda x, k: 1 + sparse_xent(x, k), diff=(0,), bad=(
             Bad(ValueError, ("(2, 3)", "(3,)"), (f32(2, 3), i32(3))),
             Bad(TypeError, ("labels", "float32"), (f32(2, 3), f32(2))),
             Bad(InvalidArgument, ("label", "3", "position 1", "[0, 3)"),
                 (f32(2, 3), np.array([0, 3], np.int32))),
             Bad(InvalidArgument, ("label", "-1", "position 0"), (f32(2, 3), i32(2) - 1)))),
    Spec("SparseSoftmaxCrossEntropyWithLogits/int64",
         lambda x, k: gp.nn.sparse_softmax_cross_entropy_with_logits(labels=k, logits=x),
         sparse_xent, (normal, labels("int64")), sweep((((5, 7), (5,)),)), ulps=40,
         scale=lambda x, k: 1 + sparse_xent(x, k), diff=(0,), bad=(
             Bad(InvalidArgument, (str(2**32), "position 1"), (f32(2, 3), np.array([0, 2**32]))),)),
    Spec("Log1p/sigmoid_cross_entropy",
         lambda x, z: gp.nn.sigmoid_cross_entropy_with_logits(labels=z, logits=x),
         lambda x, z: np.logaddexp(0, x) - x * z, (normal, unit),
         sweep((((5,), (5,)), ((3, 17), (3, 17)))), ulps=8,
         scale=lambda x, z: 1 + abs(x), diff=(0, 1)),
    # ---- moving elements
    move("PlaceholderWithDefault", lambda x: gp.placeholder_with_default(x, x.shape), np.copy),
    move("Identity", gp.identity, np.copy),
    move("StopGradient", gp.stop_gradient, np.copy, diff=(), flat=True),
    move("Shape", lambda x, out_type=gp.int32: gp.shape(x, out_type=out_type),
         lambda x, out_type=gp.int32: np.array(x.shape, out_type.as_numpy_dtype),
         sweep(ONE, {}, {"out_type": gp.int64}), diff=()),
    move("Reshape", gp.reshape, np.reshape, to_shape(RESHAPES), bad=(
        Bad(ValueError, ("6", "(2, 3)", "[4, -1]"), (f32(2, 3),), {"shape": [4, -1]}),
        Bad(ValueError, ("6", "(2, 3)", "(7,)"), (f32(2, 3),), {"shape": [7]}),
        Bad(ValueError, ("-1",), (f32(2, 3),), {"shape": [-1, -1]}),
        Bad(ValueError, ("-2",), (f32(2, 3),), {"shape": [-2, 3]}),
        Bad(ValueError, ("2**47",), (f32(2, 3),), {"shape": [2**30, 2**30, 0]}),
        Bad(TypeError, ("shape", "float32"), (f32(2, 3), f32(1))))),
    move("Reshape/transposed", lambda x, shape: gp.reshape(gp.transpose(x), shape),
         lambda x, shape: np.reshape(x.T, shape), to_shape(RESHAPES)),
    move("ExpandDims", gp.expand_dims, lambda x, axis: np.expand_dims(x, axes_of(axis)),
         sweep(((), (3,), (0,), (2, 3)), {"axis": 0}, {"axis": -1}, {"axis": [0, -1]}), bad=(
             Bad(ValueError, ("axis", "[-3, 2]"), (f32(2, 3),), {"axis": 3}),
             Bad(ValueError, ("axis", "[-3, 2]"), (f32(2, 3),), {"axis": -4}))),
    move("Transpose", gp.transpose, lambda x, perm=None: np.transpose(x, perm), TRANSPOSES, bad=(
        Bad(ValueError, ("[0, 0]", "(2, 3)"), (f32(2, 3),), {"perm": [0, 0]}),
        Bad(ValueError, ("[0]", "(2, 3)"), (f32(2, 3),), {"perm": [0]}),
        Bad(ValueError, ("[1, 2]", "(2, 3)"), (f32(2, 3),), {"perm": [1, 2]}))),
    move("BroadcastTo", gp.broadcast_to, np.broadcast_to, to_shape(BROADCASTS), bad=(
        Bad(ValueError, ("3", "4", "(3,)"), (f32(3),), {"shape": [4]}),
        Bad(ValueError, ("(2, 3)", "[3]"), (f32(2, 3),), {"shape": [3]}),
        Bad(ValueError, ("(3,)", "[1]"), (f32(3),), {"shape": [1]}),
        Bad(ValueError, ("-1", "negative"), (f32(1),), {"shape": [-1]}),
        Bad(ValueError, ("2**47",), (f32(1),), {"shape": [2**24, 2**24, 1]}))),
    move("Fill", lambda x, shape: gp.fill(shape, x), lambda x, shape: np.full(shape, x),
         to_shape((((), []), ((), [2, 3]), ((), [0])))),
    move("BroadcastTo/zeros_like", gp.zeros_like, np.zeros_like, diff=(), flat=True),
    move("BroadcastTo/ones_like", gp.ones_like, np.ones_like, diff=(), flat=True),
    Spec("SumToShape", gp.sum_to_shape, sum_to, (normal,),
         to_shape((t, list(s)) for s, t in BROADCASTS), NUMBERS, 4,
         lambda x, shape: sum_to(abs(x), shape), (0,), bad=(
             Bad(ValueError, ("3", "4", "(3,)"), (f32(3),), {"shape": [4]}),
             Bad(ValueError, ("[1, 3]", "(3,)"), (f32(3),), {"shape": [1, 3]}),
             Bad(ValueError, ("-1",), (f32(3),), {"shape": [-1]}))),
    move("ConcatV2", concat,
         lambda *xs, axis: np.concatenate(xs, axis), CONCATS, diff=(0, 1), bad=(
             Bad(ValueError, ("axis 2",), (f32(2, 3), f32(2, 3)), {"axis": 2}),
             Bad(ValueError, ("(2, 3)", "(2, 4)"), (f32(2, 3), f32(2, 4)), {"axis": 0}),
             Bad(ValueError, ("(2, 3)", "(2,)"), (f32(2, 3), f32(2)), {"axis": 0}),
             Bad(ValueError, ("empty",), (), {"axis": 0}),
             Bad(TypeError, ("int32", "float32"), (f32(2), i32(2)), {"axis": 0}))),
    move("Identity/concat", concat, lambda x, axis: x, ((((2, 3),), {"axis": -2}),), bad=(
        Bad(ValueError, ("axis 2", "rank 1"), (f32(2),), {"axis": 2}),)),
    Spec("ConcatPart", lambda x, y, dy, axis: gp.gradients(gp.concat([x, y], axis), [x, y], dy),
         lambda x, y, dy, axis: np.split(dy, [x.shape[axis]], axis), (normal,),
         ((((2,), (3,), (5,)), {"axis": 0}), (((2, 3), (2, 1), (2, 4)), {"axis": 1}),
          (((2, 0), (2, 1), (2, 1)), {"axis": -1})), diff=(2,)),
    move("StridedSlice", lambda x, key: x[key], lambda x, key: x[key],
         tuple(((s,), {"key": k}) for s, k in SLICES), bad=(
             Bad(ValueError, ("3", "(3, 2)"), (f32(3, 2),), {"key": S[3]}),
             Bad(ValueError, ("-4", "(3, 2)"), (f32(3, 2),), {"key": S[-4]}),
             Bad(ValueError, ("3 subscripts", "(3, 2)"), (f32(3, 2),), {"key": S[0, 0, 0]}))),
    Spec("StridedSliceGrad", lambda x, dy, key: gp.gradients(x[key], x, dy)[0], scattered,
         (normal,), tuple(((s, np.zeros(s)[k].shape), {"key": k}) for s, k in SLICES), diff=(1,)),
    # ---- variables
    Spec("ReadVariableOp", lambda v: v.read_value(), np.copy, (normal,), sweep(ONE), ALL, diff=(0,),
         variables=1),
    Spec("Assign", gp.assign, lambda v, x: x, (normal,), ALIKE, ALL, variables=1, bad=(
        Bad(ValueError, ("(2, 3)", "(3,)"), (f32(2, 3), f32(3))),
        Bad(TypeError, ("int32", "float32"), (f32(3), i32(3))))),
    Spec("AssignAdd", gp.assign_add, np.add, (normal,), ALIKE, NUMBERS, 0.51, variables=1,
         bad=(Bad(ValueError, ("(2, 3)", "(3,)"), (f32(2, 3), f32(3))),)),
    Spec("AssignSub", gp.assign_sub, np.subtract, (normal,), ALIKE, NUMBERS, 0.51, variables=1,
         bad=(Bad(ValueError, ("(2, 3)", "(3,)"), (f32(2, 3), f32(3))),)),
    Spec("ApplyGradientDescent", updated(steps.apply_gradient_descent, 1), sgd,
         (normal, unit, normal), sweep([(s, (), s) for s in ONE]), ulps=2,
         scale=lambda v, a, g: abs(v) + abs(a * g), variables=1, bad=(
             Bad(ValueError, ("grad", "(3,)", "(2,)"), (f32(3), f32(), f32(2))),
             Bad(ValueError, ("alpha", "(1,)"), (f32(3), f32(1), f32(3))))),
    Spec("ApplyMomentum", updated(steps.apply_momentum, 2), momentum,
         (normal, normal, unit, normal, unit),
         sweep([(s, s, (), s, ()) for s in ONE], {}, {"use_nesterov": True}), ulps=4,
         scale=lambda v, a, lr, g, mu, **_: (abs(v) + abs(a) + abs(g), abs(a) + abs(g)),
         variables=2,
         bad=(Bad(ValueError, ("accum", "(2,)"), (f32(3), f32(2), f32(), f32(3), f32())),)),
    Spec("ApplyAdam", updated(steps.apply_adam, 3), adam,
         (normal, normal, positive, unit, unit, unit, unit, unit, between(0.1, 1), normal),
         sweep([(s, s, s, *SCALARS, s) for s in ONE], {}, {"use_nesterov": True}), ulps=20,
         scale=lambda v, m, s, b1, b2, lr, *r, **_: (
             abs(v) + lr * (abs(m) + abs(r[-1])) / (1 - b1), abs(m) + abs(r[-1]), s + r[-1] ** 2),
         variables=3,
         bad=(Bad(ValueError, ("'v'", "(2,)"), (f32(3), f32(3), f32(2), *[f32()] * 6, f32(3))),)),
]

#: Operations that the table cannot hold, and the test that stands for a row.
ELSEWHERE = {
    "Const": "test_ops.test_constant",
    "Placeholder": "test_ops.test_placeholder",
    "VariableV2": "test_ops.test_variable",
    "NoOp": "test_ops.test_group",
    "Print": "test_ops.test_print",
    "RandomUniform": "test_random.test_stream",
    "RandomStandardNormal": "test_random.test_stream",
    "TruncatedNormal": "test_random.test_stream",
}


def numerical(f, x, step=1e-4):
    """Gradient of a scalar function by central differences of fourth order."""
    x = np.asarray(x, np.float64)
    out = np.zeros(x.shape)
    for at in np.ndindex(x.shape):
        d = np.zeros(x.shape)
        d[at] = step
        out[at] = (8 * (f(x + d) - f(x - d)) - (f(x + 2 * d) - f(x - 2 * d))) / (12 * step)
    return out
