"""Programs of loops, branches and effects, drawn at random: values, first and second derivatives,
what the variable is at the end, and how often Python was called, as in plain Python."""

import random

import numpy as np
import pytest

import gradplan as gp


class Jet:
    """A value, and its first and second derivative with respect to x."""

    def __init__(self, f, d=0.0, h=0.0):
        self.f, self.d, self.h = f, d, h

    def __add__(self, other):
        other = other if isinstance(other, Jet) else Jet(other)
        return Jet(self.f + other.f, self.d + other.d, self.h + other.h)

    def __mul__(self, other):
        o = other if isinstance(other, Jet) else Jet(other)
        return Jet(
            self.f * o.f,
            self.d * o.f + self.f * o.d,
            self.h * o.f + 2 * self.d * o.d + self.f * o.h,
        )

    def __lt__(self, other):
        return self.f < other


class Plain:
    """What a program does, in Python. What an effect gives is a constant."""

    def __init__(self, x):
        self.x, self.v, self.calls = Jet(x, 1.0), 1.0, 0

    def add(self, a):
        self.v += 0.1 * a.f
        return self.v

    def call(self, a):
        self.calls += 1
        return np.cos(a.f)

    def read(self, a):
        return self.v

    def cond(self, below, yes, no):
        return yes() if below else no()

    def loop(self, most, limit, body, a):
        for _ in range(most):
            if limit is not None and not a < limit:
                break
            a = body(a)
        return a

    def map(self, body, rows):
        return sum([body(r) for r in rows], start=Jet(0.0))

    def fold(self, body, rows, a):
        for r in rows:
            a = body(a, r)
        return a


class Traced:
    """The same as a graph; of what Python gives the shape is known or not."""

    def __init__(self, x, known):
        self.x, self.calls, self._known = x, 0, known
        self.v = gp.get_variable("v", initializer=np.float64(1.0), trainable=False)

    def add(self, a):
        return self.v.assign_add(0.1 * a)

    def call(self, a):
        def cos(value):
            self.calls += 1
            return np.cos(value)

        out = gp.py_func(cos, [a], gp.float64)
        if not self._known:
            return gp.reshape(out, [])
        out.set_shape([])
        return out

    def read(self, a):
        with gp.control_dependencies([a]):
            return self.v + 0.0

    def cond(self, below, yes, no):
        return gp.cond(below, yes, no)

    def loop(self, most, limit, body, a):
        def test(i, a):
            return i < most if limit is None else gp.logical_and(i < most, a < limit)

        return gp.while_loop(test, lambda i, a: (i + 1, body(a)), [0, a])[1]

    def map(self, body, rows):
        return gp.reduce_sum(gp.map_fn(body, gp.constant(rows, gp.float64)))

    def fold(self, body, rows, a):
        return gp.foldl(body, gp.constant(rows, gp.float64), a)


def drawn(r, depth):
    """A list of statements, with others inside."""
    out = []
    for _ in range(2 if depth else r.randint(1, 3)):
        within = ["cond", "loop", "map", "fold"] * 2 if depth else []
        kind = r.choice(["line", "square", "add", "call", "read", *within])
        if kind in ("line", "square"):
            out.append((kind, r.uniform(-0.9, 0.9), r.uniform(-1, 1)))
        elif kind == "cond":
            out.append((kind, r.uniform(-1, 1.5), drawn(r, depth - 1), drawn(r, depth - 1)))
        elif kind == "loop":
            limit = r.choice([None, 0.5, 1.5])
            out.append((kind, r.randint(0, 3), limit, drawn(r, depth - 1)))
        elif kind in ("map", "fold"):
            rows = [r.uniform(-1, 1) for _ in range(r.randint(0, 3))]
            out.append((kind, rows, drawn(r, depth - 1)))
        else:
            out.append((kind,))
    return out


STATEMENTS = {
    "line": lambda w, a, k, m: a * k + w.x * m,
    "square": lambda w, a, k, m: a * a * (0.3 * k) + w.x * w.x * m,
    "add": lambda w, a: a * 0.5 * w.add(a) + w.x,
    "call": lambda w, a: a * w.call(a) + w.x * 0.5,
    "read": lambda w, a: a * 0.3 + w.x * w.read(a),
    "cond": lambda w, a, limit, yes, no: w.cond(
        a < limit, lambda: run(w, yes, a), lambda: run(w, no, a)
    ),
    "loop": lambda w, a, most, limit, body: w.loop(most, limit, lambda a: run(w, body, a), a),
    "map": lambda w, a, rows, body: a * 0.5 + w.map(lambda r: run(w, body, a * r), rows),
    "fold": lambda w, a, rows, body: w.fold(lambda a, r: run(w, body, a * r), rows, a),
}


def run(world, statements, a):
    for kind, *rest in statements:
        a = STATEMENTS[kind](world, a, *rest)
    return a


@pytest.mark.parametrize("optimize", [True, False], ids=["optimised", "plain"])
@pytest.mark.parametrize("depth, seed", [*[(2, i) for i in range(40)], *[(3, i) for i in range(8)]])
def test_as_in_python(depth, seed, optimize):
    statements = drawn(random.Random(f"{depth} {seed}"), depth)
    x = gp.placeholder(gp.float64, [])
    world = Traced(x, known=seed % 4 > 0)
    y = run(world, statements, x * 1.0)
    (g,) = gp.gradients(y, x, unconnected_gradients="zero")
    (h,) = gp.gradients(g, x, unconnected_gradients="zero")
    with gp.Session(config=gp.ConfigProto(optimize=optimize)) as sess:
        for at in (0.7, -0.4):
            sess.run(world.v.initializer)
            world.calls = 0
            found = [*sess.run([y, g, h], {x: at}), sess.run(world.v), world.calls]
            plain = Plain(at)
            jet = run(plain, statements, plain.x * 1.0)
            want = [jet.f, jet.d, jet.h, plain.v, plain.calls]
            np.testing.assert_allclose(found, want, 1e-9, 1e-12, err_msg=f"{statements} at {at}")
