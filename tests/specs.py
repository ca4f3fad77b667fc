"""One row for every operation: what it should compute, where to sample it, and what it refuses.

``test_ops.py`` makes all its tests from :data:`SPECS`. To test a new operation, add a row::

    unary("Softplus", gp.nn.softplus, lambda x: np.logaddexp(0, x), normal, ulps=4)

A row that one of the helpers does not fit is a :class:`Spec`, spelled out. Oracles are written for
NumPy arrays of any float type: they get the inputs widened (float32 to float64, float64 to long double) and
integers as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import gradplan as gp

# ---- types ---------------------------------------------------------------------------------------

FLOATS = ("float32", "float64")
INTS = ("int32", "int64")
NUMBERS = FLOATS + INTS
ALL = ("bool", *NUMBERS)


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
        For each input ``(rng, shape, dtype, shapes) -> array``; the last one serves all that remain.
    cases : tuple of (shapes of the inputs, attrs)
    dtypes : tuple of str
    ulps : float
        Units in the last place of ``scale`` that a float result may be off.
    scale : callable or None
        ``scale(*arrays, **attrs)``: the magnitude that rounding is relative to where it is not the result
        itself, such as ``sum(abs(x))`` for a sum.
    diff : tuple of int
        The inputs that gradients flow into.
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
    if dtype.kind == "i":
        return rng.integers(-99, 100, shape).astype(dtype)
    return (2 * rng.standard_normal(shape)).astype(dtype)


def between(low, high):
    def sample(rng, shape, dtype, shapes=()):
        if dtype.kind == "i":
            return rng.integers(low, high, shape).astype(dtype)
        return rng.uniform(low, high, shape).astype(dtype)

    return sample


positive = between(0.3, 4)
unit = between(0.05, 0.95)


def grid(offset, step=1.0, low=-4, high=5):
    """Near the points ``offset + k * step``: away from a kink that lies half a step off."""

    def sample(rng, shape, dtype, shapes=()):
        whole = rng.integers(low, high, shape)
        if dtype.kind == "i":
            return whole.astype(dtype)
        return ((whole + rng.uniform(-0.1, 0.1, shape)) * step + offset).astype(dtype)

    return sample


def divisor(rng, shape, dtype, shapes=()):
    """Of any sign, and not near zero."""
    size = rng.integers(1, 9, shape) if dtype.kind == "i" else rng.uniform(0.6, 3, shape)
    return (size * rng.choice([-1, 1], shape)).astype(dtype)


def distinct(rng, shape, dtype, shapes=()):
    """No two elements near each other."""
    n = int(np.prod(shape))
    return ((rng.permutation(n) - n // 2) * (1 if dtype.kind == "i" else 0.25)).reshape(shape).astype(dtype)  # fmt: skip


def bools(rng, shape, dtype, shapes=()):
    return rng.integers(0, 2, shape).astype(bool)


def labels(kind):
    """Class numbers for the first input, whose last dimension is the classes."""

    def sample(rng, shape, dtype, shapes):
        return rng.integers(0, max(1, shapes[0][-1]), shape).astype(kind)

    return sample


def probabilities(rng, shape, dtype, shapes=()):
    p = rng.uniform(0.1, 1, shape)
    return (p / p.sum(-1, keepdims=True)).astype(dtype)


# ---- shapes --------------------------------------------------------------------------------------

ONE = ((), (0,), (1,), (3,), (7,), (17,), (1023,), (1025,), (2, 3), (4, 0, 3), (3, 1, 2, 1, 2))
TWO = (
    ((), ()), ((), (3,)), ((7,), ()), ((1,), (17,)), ((17,), (1,)), ((1,), (1,)), ((0,), (0,)),
    ((0,), (1,)), ((), (0,)), ((1023,), (1023,)), ((1025,), ()), ((1025,), (1025,)), ((2, 3), (3,)),
    ((3,), (2, 3)), ((2, 1), (1, 3)), ((5, 1), (3, 5, 7)), ((33, 1), (33, 65)), ((4, 0, 3), (3,)),
    ((2, 1, 3, 1, 2), (1, 4, 1, 5, 2)), ((3, 1, 1), (2, 1, 3, 5, 1)),
)  # fmt: skip
THREE = (
    ((), (), ()), ((3,), (3,), (3,)), ((), (7,), (7,)), ((17,), (), ()), ((2, 3), (3,), (2, 1)),
    ((1,), (2, 1), (1, 3)), ((0,), (0,), (0,)), ((1025,), (1025,), ()), ((0,), (1,), ()),
    ((2, 1, 3, 1, 2), (4, 1, 5, 1), (1, 1, 1, 1, 2)),
)  # fmt: skip


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
                bad=(refused, *bad), **more)  # fmt: skip


def binary(op, build, oracle, sample=(normal,), dtypes=NUMBERS, ulps=0.51, diff=(0, 1), bad=(), **more):  # fmt: skip
    """Elementwise, of two inputs that broadcast."""
    a, b = np.zeros((2, 3), dtypes[0]), np.zeros((4,), dtypes[0])
    refused = (
        Bad(ValueError, ("(2, 3)", "(4,)"), (a, b)),
        Bad(ValueError, ("(2, 3)", "(3, 2)"), (a, a.T)),
        Bad(TypeError, ("bool", "float64"), (np.zeros(2, "bool"), np.zeros(2))),
    )
    return Spec(op, build, oracle, sample, sweep(TWO), dtypes, ulps, diff=diff, elementwise=True,
                bad=refused + bad, **more)  # fmt: skip


def compare(op, build, oracle, dtypes=NUMBERS):
    return binary(op, build, oracle, (between(-3, 4),), dtypes, diff=())


AXES = (
    ((), {}), ((7,), {}), ((0,), {}), ((1,), {"axis": 0}), ((1025,), {"axis": -1}), ((3, 5), {}),
    ((3, 5), {"axis": 0}), ((3, 5), {"axis": 1, "keepdims": True}), ((3, 5), {"axis": [0, 1]}),
    ((3, 5), {"axis": []}), ((3, 5), {"keepdims": True}), ((1023, 3), {"axis": 0}),
    ((3, 1023), {"axis": 1}), ((2, 3, 17), {"axis": [0, 2]}), ((2, 3, 17), {"axis": -2}),
    ((5, 1, 4), {"axis": 1}), ((2, 3, 2, 1, 3), {"axis": [1, 4], "keepdims": True}),
    ((2, 3, 2, 1, 3), {"axis": [0, 2, 3]}), ((4, 0, 3), {"axis": 2}), ((4, 0, 3), {"axis": 1}),
    ((33, 65), {"axis": 0}), ((65, 33), {"axis": 1}), ((1, 1), {"axis": [0, 1]}),
)  # fmt: skip
FULL = tuple(((s,), a) for s, a in AXES)
NOT_EMPTY = tuple(c for c in FULL if 0 not in c[0][0])


def axes_of(axis):
    return tuple(axis) if isinstance(axis, list) else axis


def reduction(op, build, oracle, sample=normal, cases=FULL, ulps=0.51, scale=None, diff=(0,), **more):  # fmt: skip
    """Over the axes in ``axis``; the oracle takes (x, axis, keepdims)."""
    refused = (
        Bad(ValueError, ("2", "(2, 3)"), (f32(2, 3),), {"axis": 2}),
        Bad(ValueError, ("-3", "(2, 3)"), (f32(2, 3),), {"axis": [0, -3]}),
        Bad(ValueError, ("axis", "twice", "(2, 3)"), (f32(2, 3),), {"axis": [1, -1]}),
        Bad(TypeError, ("bool",), (np.zeros(2, bool),)),
    )

    def on_axes(function):
        return function and (
            lambda x, axis=None, keepdims=False: function(x, axis=axes_of(axis), keepdims=keepdims)
        )

    return Spec(op, build, on_axes(oracle), (sample,), cases, NUMBERS, ulps, on_axes(scale), diff,
                bad=refused, **more)  # fmt: skip


# ---- oracles that NumPy does not have ------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def wrapping_sum(x, axis, keepdims):
    return np.sum(x, axis, x.dtype, keepdims=keepdims)


def mean(x, axis, keepdims):
    """As TensorFlow: integers divide towards zero; the mean of no floats is NaN."""
    if x.dtype.kind != "i":
        with np.errstate(all="ignore"):
            return np.sum(x, axis, keepdims=keepdims) / (x.size / max(1, np.sum(x, axis).size) if x.size else np.float64(np.prod([x.shape[a] for a in ((range(x.ndim)) if axis is None else np.atleast_1d(axis))])))  # fmt: skip
    total = np.sum(x, axis, np.int64, keepdims=keepdims)
    n = x.size // max(1, total.size)
    return (np.sign(total) * (abs(total) // max(1, n))).astype(x.dtype)


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


def momentum(var, accum, lr, grad, mu, nesterov=False):
    accum = mu * accum + grad
    return var - (lr * grad + lr * mu * accum if nesterov else lr * accum), accum


def adam(var, m, v, beta1_power, beta2_power, lr, beta1, beta2, eps, grad, nesterov=False):
    alpha = lr * np.sqrt(1 - beta2_power) / (1 - beta1_power)
    m = m + (1 - beta1) * (grad - m)
    v = v + (1 - beta2) * (grad * grad - v)
    step = beta1 * m + (1 - beta1) * grad if nesterov else m
    return var - alpha * step / (np.sqrt(v) + eps), m, v
