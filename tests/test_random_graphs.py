"""Graphs drawn at random, against NumPy: optimised and not, several fetches, other batch sizes.

A drawn program is a list of steps of four integers: which operation, on which values of the pool,
with which option. So a failing graph shrinks to a short list, which is enough to build it again.
Floats hold small whole numbers as long as they can, where every sum and product is exact and must
agree to the last bit; what came through a transcendental function is marked inexact and compared to
a tolerance.

``GRADPLAN_EXAMPLES=20000 GRADPLAN_PROFILE=nightly pytest tests/test_random_graphs.py`` draws more,
and new ones.
"""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from specs import axes_of, largest, log_softmax, select, sigmoid, softmax

import gradplan as gp

EXAMPLES = int(os.environ.get("GRADPLAN_EXAMPLES", 300))
BATCH = 5
MAX_SIZE, MAX_RANK, LIMIT = 2000, 5, 64

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


class Value:
    """A tensor beside the means to compute it by NumPy.

    Attributes
    ----------
    tensor : Tensor
    now : ndarray
        Its value for the feeds that the graph is drawn with.
    compute : callable
        ``compute(*values of inputs)``.
    inputs : list of Value
    after : list of Value
        What is executed with it, though it takes no value from there.
    exact : bool
    used : int
        Of so many inputs the value is taken, of the others the shape alone.
    """

    def __init__(self, tensor, now, compute, inputs=(), exact=True, after=(), used=9):
        self.tensor, self.now, self.compute = tensor, now, compute
        self.inputs, self.exact, self.after = list(inputs), exact, list(after)
        self.used = used


class Refused(Exception):
    """NumPy cannot do this with these shapes."""

    value = None  # the one that it cannot compute


def calculate(function, *arrays):
    try:
        with np.errstate(all="ignore"):
            return np.asarray(function(*arrays))
    except (ValueError, IndexError, np.exceptions.AxisError) as error:
        raise Refused(str(error)) from None


class Drawing:
    """A graph under construction: the pool of values and what each step adds to it."""

    def __init__(self, smooth=False):
        self.smooth = smooth
        self.pool = []
        self.feeds = {}
        self.writes = []  # of the variable, in order
        kinds = ["float64"] * 3 if smooth else ["float32", "float64", "int32"]
        for kind, shape in zip(
            kinds * 2 + ["bool", kinds[0]],
            [(None, 3), (3,), (None, 1), (None, 3), (), (2, 0, 3), (None, 3), (3, 2)],
            strict=True,
        ):
            x = gp.placeholder(kind, shape)
            self.feeds[x] = shape
            self.pool.append(Value(x, self.sample(x, BATCH), None))
        self.variable = gp.Variable(np.zeros(3, kinds[0]))
        self.start = np.array([1, -2, 3], kinds[0])
        self.pool.append(Value(self.variable.read_value(), self.start, None))

    def sample(self, x, batch):
        shape = tuple(batch if d is None else d for d in self.feeds[x])
        rng = np.random.default_rng([batch, list(self.feeds).index(x)])
        if x.dtype == gp.bool:
            return rng.integers(0, 2, shape).astype(bool)
        if self.smooth:
            return rng.uniform(-1, 1, shape)
        return rng.integers(-3, 4, shape).astype(x.dtype.np)

    # ---- picking and adding --------------------------------------------------------------------

    def pick(self, number, accept=lambda v: True):
        fitting = [v for v in self.pool if accept(v)]
        if not fitting:
            raise Refused
        return fitting[-1 - number % len(fitting)]

    def number(self, k, like=None):
        def fits(v):
            kind = v.now.dtype.kind
            return v.now.dtype == like.now.dtype if like is not None else kind in "if"

        return self.pick(k, fits)

    def floating(self, k):
        return self.pick(k, lambda v: v.now.dtype.kind == "f")

    def add(self, build, compute, *inputs, exact=True, used=9):
        now = calculate(compute, *[v.now for v in inputs])
        if now.size > MAX_SIZE or now.ndim > MAX_RANK:
            raise Refused
        tensor = build(*[v.tensor for v in inputs])
        assert tensor.dtype == now.dtype, f"{tensor} should be {now.dtype}"
        assert tensor.shape.is_compatible_with(now.shape), f"{tensor} should be {now.shape}"
        exact = exact and all(v.exact for v in inputs)
        made = Value(tensor, now, compute, inputs, exact, used=used)
        if now.dtype.kind in "if" and now.size and not self.smooth and abs(now).max() > LIMIT:
            low, high = now.dtype.type(-4), now.dtype.type(4)
            made = Value(
                gp.minimum(gp.maximum(tensor, low), high),
                np.clip(now, low, high),
                lambda x: np.clip(x, low, high),
                [made],
                exact,
            )
        self.pool.append(made)
        return made

    def step(self, kind, a, b, c):
        table = SMOOTH if self.smooth else STEPS
        try:
            table[kind % len(table)](self, a, b, c)
        except Refused:
            pass


# ---- the steps -----------------------------------------------------------------------------------

ARITHMETIC = (
    (gp.add, np.add), (gp.subtract, np.subtract), (gp.multiply, np.multiply),
    (gp.maximum, np.maximum), (gp.minimum, np.minimum),
)  # fmt: skip
COMPARISONS = (
    (gp.less, np.less), (gp.greater_equal, np.greater_equal), (gp.equal, np.equal),
    (gp.not_equal, np.not_equal),
)  # fmt: skip
LOGIC = (
    (gp.logical_and, np.logical_and), (gp.logical_or, np.logical_or),
    (gp.logical_xor, np.logical_xor),
)  # fmt: skip
UNARY = (
    (gp.negative, np.negative), (gp.abs, np.abs), (gp.square, np.square), (gp.sign, np.sign),
    (gp.identity, np.copy), (gp.stop_gradient, np.copy), (lambda x: gp.maximum(x, x), np.copy),
)  # fmt: skip
CURVES = (
    (gp.tanh, np.tanh), (gp.sigmoid, sigmoid), (gp.nn.softplus, lambda x: np.logaddexp(0, x)),
    (lambda x: gp.exp(gp.tanh(x)), lambda x: np.exp(np.tanh(x))),
    (lambda x: gp.sqrt(gp.square(x) + 1.0), lambda x: np.sqrt(np.square(x) + 1)),
    (lambda x: x / (gp.square(x) + 2.0), lambda x: x / (np.square(x) + 2)),
    (lambda x: gp.log(gp.square(x) + 1.0), lambda x: np.log(np.square(x) + 1)),
)  # fmt: skip
TRIVIAL = (  # what simplify knows
    (lambda x: x * 1, np.copy), (lambda x: 1 * x, np.copy), (lambda x: x - 0, np.copy),
    (lambda x: x + 0, np.copy), (lambda x: x * 0, lambda x: x * 0), (lambda x: x**2, np.square),
    (lambda x: x**1, np.copy), (lambda x: -gp.negative(x), np.copy), (lambda x: x * x, np.square),
    (lambda x: gp.reshape(gp.reshape(x, [-1]), gp.shape(x)), np.copy),
    (lambda x: gp.transpose(gp.transpose(x)), np.copy),
)  # fmt: skip
S = np.s_
SLICES = S[0], S[-1], S[1:], S[::-1], S[..., 0], S[:, 1:], S[None], S[..., ::2], S[2:2]


def binary(g, a, b, c):
    build, compute = ARITHMETIC[c % (3 if g.smooth else 5)]
    x = g.number(a)
    g.add(build, compute, x, g.number(b, like=x))


def unary(g, a, b, c):
    build, compute = UNARY[c % len(UNARY)]
    g.add(build, compute, g.number(a))


def relu(g, a, b, c):
    g.add(gp.nn.relu, lambda x: np.maximum(x, 0), g.floating(a))


def curve(g, a, b, c):
    build, compute = CURVES[c % len(CURVES)]
    g.add(build, compute, g.floating(a), exact=False)


def trivial(g, a, b, c):
    build, compute = TRIVIAL[c % len(TRIVIAL)]
    g.add(build, compute, g.number(a))


def compare(g, a, b, c):
    build, compute = COMPARISONS[c % len(COMPARISONS)]
    x = g.pick(a, lambda v: v.exact and v.now.dtype.kind in "if")
    y = g.pick(b, lambda v: v.exact and v.now.dtype == x.now.dtype)
    g.add(build, compute, x, y)


def logic(g, a, b, c):
    def is_bool(v):
        return v.now.dtype.kind == "b"

    if c % 4 == 3:
        g.add(gp.logical_not, np.logical_not, g.pick(a, is_bool))
    else:
        g.add(*LOGIC[c % 4], g.pick(a, is_bool), g.pick(b, is_bool))


def where(g, a, b, c):
    condition = g.pick(c, lambda v: v.now.dtype.kind == "b")
    x = g.number(a)
    y = g.number(b, like=x)
    g.add(gp.where, select, condition, x, y)


def cast(g, a, b, c):
    to = ("float32", "float64", "int32", "int64", "bool")[c % 5]
    x = g.pick(a, lambda v: v.exact)

    def converted(v):
        if "int" in to and not np.isfinite(v).all():
            raise ValueError("no integer")  # the largest of no floats is -inf
        return v.astype(to)

    g.add(lambda t: gp.cast(t, to), converted, x)


def divide(g, a, b, c):
    x = g.pick(a, lambda v: v.exact and v.now.dtype.kind in "if")
    by = x.now.dtype.type((2, -3, 1)[c % 3])
    build, compute = ((gp.floordiv, np.floor_divide), (gp.floormod, np.remainder))[b % 2]
    g.add(lambda t: build(t, by), lambda v: compute(v, by), x)


def reshape(g, a, b, c):
    x = g.pick(a)
    n = len(x.now.shape)
    kind = c % 6
    if kind == 5 and n:
        p, q = (np.random.default_rng([b, i]).permutation(n) for i in (0, 1))
        g.add(
            lambda t: gp.transpose(gp.transpose(t, p), q),
            lambda v: np.transpose(np.transpose(v, p), q),
            x,
        )
    elif kind == 0:
        g.add(lambda t: gp.reshape(t, [-1]), lambda v: v.reshape(-1), x)
    elif kind == 1 and n and x.tensor.shape[n - 1].value:
        last = x.now.shape[-1]
        g.add(lambda t: gp.reshape(t, [-1, last]), lambda v: v.reshape(-1, last), x)
    elif kind == 2:
        axis = b % (n + 1)
        g.add(lambda t: gp.expand_dims(t, axis), lambda v: np.expand_dims(v, axis), x)
    elif kind == 3 and n:
        perm = np.random.default_rng(b).permutation(n)
        g.add(lambda t: gp.transpose(t, perm), lambda v: np.transpose(v, perm), x)
    else:
        y = g.pick(b)
        g.add(
            lambda t, like: gp.broadcast_to(t, gp.shape(like)),
            lambda v, like: np.broadcast_to(v, like.shape),
            x,
            y,
            used=1,
        )


def cut(g, a, b, c):
    key = SLICES[c % len(SLICES)]
    g.add(lambda t: t[key], lambda v: v[key], g.pick(a))


def join(g, a, b, c):
    x = g.pick(a, lambda v: v.now.ndim > 0)
    y = g.pick(b, lambda v: v.now.dtype == x.now.dtype)
    axis = c % x.now.ndim
    z = (x, y, x)[: 2 + c % 2]
    g.add(lambda *ts: gp.concat(ts, axis), lambda *vs: np.concatenate(vs, axis), *z)


def reduce(g, a, b, c):
    x = g.number(a)
    rank = x.now.ndim
    axis = None if not rank or b % 4 == 3 else [b % rank] if b % 4 else sorted({0, b % rank})
    keep = bool(c // 4 % 2)
    kind = c % 3
    if kind == 0 or g.smooth and kind == 2:
        total = lambda v: np.sum(v, axes_of(axis), v.dtype, keepdims=keep)  # noqa: E731
        g.add(lambda t: gp.reduce_sum(t, axis, keep), total, x)
    elif kind == 1:
        if x.now.dtype.kind == "f" and x.now.size:
            g.add(lambda t: gp.reduce_mean(t, axis, keep),
                  lambda v: np.mean(v, axes_of(axis), keepdims=keep), x, exact=False)  # fmt: skip
    elif x.now.size:
        g.add(lambda t: gp.reduce_max(t, axis, keep),
              lambda v: largest(v, axes_of(axis), keep), x)  # fmt: skip


def product(g, a, b, c):
    x = g.pick(a, lambda v: v.now.ndim == 2 and v.now.dtype.kind in "if")
    y = g.pick(b, lambda v: v.now.ndim == 2 and v.now.dtype == x.now.dtype)
    ta, tb = bool(c % 2), bool(c // 2 % 2)
    g.add(
        lambda s, t: gp.matmul(s, t, ta, tb),
        lambda s, t: np.matmul(s.T if ta else s, t.T if tb else t),
        x,
        y,
    )


def normalise(g, a, b, c):
    x = g.pick(a, lambda v: v.now.dtype.kind == "f" and v.now.ndim and v.now.shape[-1])
    build, compute = ((gp.nn.softmax, softmax), (gp.nn.log_softmax, log_softmax))[c % 2]
    g.add(build, lambda v: compute(v).astype(v.dtype), x, exact=False)


def arg(g, a, b, c):
    x = g.pick(a, lambda v: v.exact and v.now.dtype.kind in "if" and v.now.ndim and v.now.size)
    axis = c % x.now.ndim

    def first(v):  # where nothing is asked for, NumPy need not complain
        rest = v.shape[:axis] + v.shape[axis + 1 :]
        return np.argmax(v, axis) if 0 not in rest else np.zeros(rest, np.int64)

    g.add(lambda t: gp.argmax(t, axis), first, x)


SHAPES = (
    (gp.shape, lambda v: np.array(v.shape, np.int32)), (gp.zeros_like, np.zeros_like),
    (gp.ones_like, np.ones_like),
)  # fmt: skip


def shape_of(g, a, b, c):
    build, compute = SHAPES[c % len(SHAPES)]
    g.add(build, compute, g.pick(a), used=0)


WRITES = (  # how to write a new value, and what it is
    (lambda v, new, old: v.assign(new), lambda x, old: x),
    (lambda v, new, old: v.assign_add(new - old), lambda x, old: old + x),
    (lambda v, new, old: v.assign_sub(old - new), lambda x, old: old - x),
)


def write(g, a, b, c):
    """An assignment after all the earlier ones, and a read ordered after it."""
    x = g.pick(a, lambda v: v.now.dtype == g.start.dtype and v.now.shape == (3,) and v.exact)
    if x.tensor.shape.as_list() != [3]:
        raise Refused
    build, combine = WRITES[c % len(WRITES)]
    low, high = g.start.dtype.type(-8), g.start.dtype.type(8)

    def compute(x, old):
        return np.clip(combine(x, old), low, high)

    before = g.writes[-1:]
    with gp.control_dependencies([w.tensor for w in before]):
        old = g.pool[len(g.feeds)]  # the read that nothing orders
        if before:
            old = Value(g.variable.read_value(), before[0].now, lambda v: v, before)
        new = gp.minimum(gp.maximum(combine(x.tensor, old.tensor), low), high)
        tensor = build(g.variable, new, old.tensor)
    made = Value(tensor, calculate(compute, x.now, old.now), compute, [x, old], after=before)
    g.writes.append(made)
    g.pool.append(made)
    with gp.control_dependencies([tensor]):
        g.pool.append(Value(g.variable.read_value(), made.now, lambda v: v, [made]))


STEPS = (binary, binary, unary, relu, curve, trivial, compare, logic, where, cast, divide, reshape,
         reshape, cut, join, reduce, reduce, product, normalise, arg, shape_of, write,
         write)  # fmt: skip
SMOOTH = (binary, binary, curve, curve, trivial, where, reshape, reshape, cut, join, reduce,
          product, normalise)  # fmt: skip


# ---- evaluating ----------------------------------------------------------------------------------


def evaluate(g, fetches, feeds, start):
    """The values by NumPy, and the variable's after the run."""
    done = {}
    for v, x in zip(g.pool, g.feeds, strict=False):
        done[v] = feeds[x]
    done[g.pool[len(g.feeds)]] = start
    stack = list(fetches)
    while stack:
        v = stack[-1]
        missing = [i for i in (*v.inputs, *v.after) if i not in done]
        if missing:
            stack.extend(missing)
            continue
        if v not in done:
            try:
                done[v] = calculate(v.compute, *[done[i] for i in v.inputs])
            except Refused as error:
                error.value = v
                raise
        stack.pop()
    executed = [w for w in g.writes if w in done]
    return [done[v] for v in fetches], done[executed[-1]] if executed else start


def needed(fetches, value):
    """Whether anything takes more of ``value`` than the shape, which may be known without it."""
    seen, stack = set(), list(fetches)
    while stack:
        v = stack.pop()
        if v not in seen:
            seen.add(v)
            stack += v.inputs[: v.used] + v.after
    return value in seen


def close(got, want, exact, note):
    got = np.asarray(got)
    assert got.shape == want.shape and got.dtype == want.dtype, f"{note}: {got.dtype}{got.shape}"
    if exact or got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, note)
    else:
        tolerance = 3e-3 if got.dtype == np.float32 else 1e-7
        np.testing.assert_allclose(got, want, tolerance, tolerance, err_msg=note)


programs = st.lists(st.tuples(*[st.integers(0, 60)] * 4), min_size=12, max_size=40)


@settings(max_examples=EXAMPLES)
@given(programs, st.lists(st.integers(0, 60), max_size=4), st.sampled_from([1, 0, 7, 2]))
def test_values(steps, picks, other_batch):
    with gp.Graph().as_default() as graph:
        g = Drawing()
        for step in steps:
            g.step(*step)
        fetches = list(dict.fromkeys([g.pool[-1], *[g.pick(p) for p in picks]]))
        tensors = [v.tensor for v in fetches]
        sessions = [
            gp.Session(graph=graph, config=gp.ConfigProto(optimize=o)) for o in (True, False)
        ]
        starts = [g.start] * 2
        for session in sessions:
            session.load({g.variable: g.start})
        for batch in (
            BATCH,
            BATCH,
            other_batch,
            BATCH,
        ):  # the second run starts where the first ended
            feeds = {x: g.sample(x, batch) for x in g.feeds}
            try:
                wants, end = evaluate(g, fetches, feeds, starts[0])
            except Refused as refused:
                for session in sessions:  # an error, and nothing has changed
                    if not needed(fetches, refused.value):
                        continue
                    with pytest.raises(gp.errors.InvalidArgumentError):
                        session.run(tensors, feeds)
                    np.testing.assert_array_equal(session.run(g.variable), starts[0])
                continue
            results = []
            for k, session in enumerate(sessions):
                results.append(session.run(tensors, feeds))
                for v, got, want in zip(fetches, results[-1], wants, strict=True):
                    close(got, want, v.exact, f"{v.tensor.name}, optimised: {not k}, batch {batch}")
                np.testing.assert_array_equal(session.run(g.variable), end)
            for a, b in zip(*results, strict=True):
                np.testing.assert_array_equal(a, b, "optimised against unoptimised")
            starts = [end] * 2


@settings(max_examples=EXAMPLES)
@given(programs)
def test_gradients(steps):
    """Along one random direction of all inputs at once, against finite differences."""
    with gp.Graph().as_default() as graph:
        g = Drawing(smooth=True)
        for step in steps:
            g.step(*step)
        last = g.pool[-1]
        if last.now.dtype.kind != "f":
            return
        f = gp.reduce_sum(gp.tanh(last.tensor))
        xs = [x for x in g.feeds if x.dtype == gp.float64]
        grads = gp.gradients(f, xs)
        known = [d for d in grads if d is not None]
        optimised = gp.Session(graph=graph)
        plain = gp.Session(graph=graph, config=gp.ConfigProto(optimize=False))
        for session in (optimised, plain):
            session.load({g.variable: g.start})
        for batch in (BATCH, 2):
            feeds = {x: g.sample(x, batch) for x in g.feeds}
            try:
                evaluate(g, [last], feeds, g.start)
            except Refused as refused:
                if needed([last], refused.value):
                    with pytest.raises(gp.errors.InvalidArgumentError):
                        optimised.run([f, *known], feeds)
                continue
            rng = np.random.default_rng(batch)
            ways = [rng.standard_normal(feeds[x].shape) for x in xs]
            values = iter(optimised.run([f, *known], feeds)[1:])
            others = iter(plain.run([f, *known], feeds)[1:])
            slope = size = 0.0
            for x, d, way in zip(xs, grads, ways, strict=True):
                if d is None:
                    continue
                value, other = next(values), next(others)
                assert value.shape == feeds[x].shape
                np.testing.assert_allclose(value, other, 1e-9, 1e-9)
                slope += (value * way).sum()
                size += abs(value * way).sum()

            def at(h, feeds=feeds, ways=ways):
                moved = dict(feeds)
                moved.update({x: feeds[x] + h * w for x, w in zip(xs, ways, strict=True)})
                return float(plain.run(f, moved))

            h = 1e-4
            want = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h)
            assert abs(slope - want) <= 1e-6 * (1 + size), (slope, want)
