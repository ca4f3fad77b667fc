"""Gradients of bodies that write variables, call Python or show something: nothing happens twice,
and they are those of the values that were there."""

import numpy as np
import pytest

import gradplan as gp

CONFIGS = [None, gp.ConfigProto(optimize=False)]


@pytest.fixture(params=CONFIGS, ids=["optimised", "plain"])
def config(request):
    return request.param


class Given:
    """A variable that starts at 0, a scalar and a predicate, and the calls of a function."""

    def __init__(self):
        self.v = gp.get_variable("v", initializer=0.0, trainable=False)
        self.x, self.p = gp.placeholder(gp.float32, []), gp.placeholder(gp.bool, [])
        self.calls = []

    def called(self, t, shape=()):
        def note(value):
            self.calls.append(float(value))
            return value

        out = gp.py_func(note, [t], gp.float32)
        if shape is not None:
            out.set_shape(shape)
        return out

    def run(self, fetches, x=0.5, p=True, config=None):
        """The values of fetches, and what the variable is after that."""
        self.calls.clear()
        with gp.Session(config=config) as sess:
            sess.run(gp.global_variables_initializer())
            found = sess.run(fetches, {self.x: x, self.p: p})
            return [float(f) for f in found], float(sess.run(self.v))


def after(op, make):
    with gp.control_dependencies([op]):
        return make()


#: By name: what a body computes of x; its value and derivative, if v was 1 while it ran.
BODIES = {
    "after": (lambda g: after(g.v.assign_add(1.0), lambda: gp.exp(gp.identity(g.x))),
              lambda x: (np.exp(x), np.exp(x))),
    "times": (lambda g: g.x * g.v.assign_add(1.0), lambda x: (x, 1.0)),
    "read": (lambda g: after(g.v.assign_add(1.0), lambda: g.x * g.x * (g.v + g.v)),
             lambda x: (2 * x * x, 4 * x)),
    "called": (lambda g: gp.exp(after(g.v.assign_add(1.0), lambda: g.called(g.x)) + g.x),
               lambda x: (np.exp(2 * x), np.exp(2 * x))),
    "called, of unknown shape": (
        lambda g: gp.reshape(gp.exp(after(g.v.assign_add(1.0), lambda: g.called(g.x, None))), [])
        * g.x, lambda x: (np.exp(x) * x, np.exp(x))),
    "shown": (lambda g: gp.exp(gp.Print(after(g.v.assign_add(1.0), lambda: g.x * 1.0), [g.x])),
              lambda x: (np.exp(x), np.exp(x))),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
def test_of_a_branch(name, config, capfd):
    given = Given()
    body, want = BODIES[name]
    y = gp.cond(given.p, lambda: body(given), lambda: given.x * 3.0)
    (g,) = gp.gradients(y, given.x)
    found, v = given.run([y, g], 0.5, True, config)
    np.testing.assert_allclose(found, want(0.5), 1e-6)
    assert v == 1.0 and len(given.calls) == ("called" in name)
    assert len(capfd.readouterr().err.splitlines()) == (name == "shown")
    found, v = given.run([y, g], 0.5, False, config)
    np.testing.assert_allclose(found, (1.5, 3.0), 1e-6)
    assert v == 0.0 and not given.calls


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("kind", ["map", "scan", "fold"])
def test_of_trips(name, kind, config):
    """Trip k finds v = k; of what depends on v the first trip alone is weighed."""
    given = Given()
    body, want = BODIES[name]
    rows = gp.constant([1.0, 0.0, 0.0])
    if kind == "map":
        y = gp.reduce_sum(gp.map_fn(lambda r: r * body(given), rows))
    elif kind == "scan":
        y = gp.scan(lambda a, r: a + r * body(given), rows, 0.0)[-1]
    else:
        y = gp.foldl(lambda a, r: a + r * body(given), rows, 0.0)
    (g,) = gp.gradients(y, given.x)
    found, v = given.run([y, g], 0.5, True, config)
    np.testing.assert_allclose(found, want(0.5), 1e-6)
    assert v == 3.0 and len(given.calls) == 3 * ("called" in name)


def test_every_trip_has_what_it_found(config):
    given = Given()
    y = gp.scan(lambda a, r: a * r * given.v.assign_add(1.0), gp.stack([given.x] * 3), 1.0)[-1]
    (g,) = gp.gradients(y, given.x)
    found, v = given.run([y, g], 2.0, True, config)
    np.testing.assert_allclose(found, (6 * 2.0**3, 18 * 2.0**2))
    assert v == 3.0


def test_of_second_order(config):
    given = Given()
    y = gp.cond(given.p, lambda: given.x**3 * given.v.assign_add(2.0), lambda: given.x)
    (g,) = gp.gradients(y, given.x)
    (h,) = gp.gradients(g, given.x)
    found, v = given.run([y, g, h], 2.0, True, config)
    np.testing.assert_allclose(found, (16.0, 24.0, 24.0))
    assert v == 2.0


def test_what_was_planned_before_the_gradient_was_made_still_runs():
    v = gp.get_variable("v", initializer=0.0, trainable=False)
    x, p = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.bool, [])
    y = gp.cond(p, lambda: x * v.assign_add(1.0), lambda: x)
    z = gp.map_fn(lambda r: r * v.assign_add(1.0), y)
    with gp.Session() as sess:
        sess.run(v.initializer)
        step = sess.make_callable([y, z], [x, p])
        step(np.ones(2, np.float32), True)
        gs = gp.gradients(z, x)
        sess.run(v.initializer)
        for n in (2, 5):  # the plan there is, and another one
            y_, z_ = step(np.ones(n, np.float32), True)
        assert y_.tolist() == [4.0] * 5 and z_.tolist() == [20.0, 24.0, 28.0, 32.0, 36.0]
        sess.run(v.initializer)
        (g,) = sess.run(gs, {x: np.ones(3), p: True})
        assert g.tolist() == [2.0, 3.0, 4.0] and sess.run(v) == 4.0


def test_shown_in_a_loop_is_shown_once(capfd, config):
    given = Given()
    y = gp.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, gp.Print(a, [i]) * given.x),
                      [0, given.x])[1]  # fmt: skip
    found, _ = given.run([y, *gp.gradients(y, given.x)], 2.0, True, config)
    np.testing.assert_allclose(found, (16.0, 32.0))
    assert len(capfd.readouterr().err.splitlines()) == 3


@pytest.mark.parametrize("name", BODIES)
def test_of_a_loop(name, config):
    """Trip k finds v = k; of what depends on v the first trip alone is weighed."""
    given = Given()
    body, want = BODIES[name]

    def trip(i, a):
        return i + 1, a + gp.where(i < 1, 1.0, 0.0) * body(given)

    y = gp.while_loop(lambda i, a: i < 3, trip, [0, 0.0])[1]
    (g,) = gp.gradients(y, given.x)
    found, v = given.run([y, g], 0.5, True, config)
    np.testing.assert_allclose(found, want(0.5), 1e-6)
    assert v == 3.0 and len(given.calls) == 3 * ("called" in name)


@pytest.mark.parametrize("limit", [9.0, -1.0])
def test_of_a_loop_that_its_own_effects_end(limit, config):
    v, x = gp.Variable(1.0), gp.placeholder(gp.float32, [])
    y = gp.while_loop(lambda z: z < limit, lambda z: z * x + v.assign_add(1.0), [v + 0.0])
    dv, dx = gp.gradients(y, [v, x])
    (ddx,) = gp.gradients(dx, x)
    with gp.Session(config=config) as sess:
        for at in (1.0, 0.5):
            sess.run(v.initializer)
            found = sess.run([y, dv, dx, ddx, *gp.gradients(y, x)], {x: at})
            z = np.polynomial.Polynomial([1.0])  # of x
            trips = 0
            while z(at) < limit:
                trips += 1
                z = z * np.polynomial.Polynomial([0, 1]) + (trips + 1)
            first = z.deriv()(at)
            np.testing.assert_allclose(found, [z(at), at**trips, first, z.deriv(2)(at), first])
            assert sess.run(v) == 1 + trips


def test_rows_that_python_makes_in_a_loop(config):
    """Of other shapes every time, and none in the second loop that is made."""
    x, n = gp.placeholder(gp.float64, [None]), gp.placeholder(gp.int32, [])
    calls = []

    def rows(i):
        calls.append(int(i))
        return np.arange(1.0, 2.0 + i)

    def trip(i, a):
        made = gp.py_func(rows, [i], gp.float64)
        made.set_shape([None])
        return i + 1, a + gp.reduce_sum(made * made) * gp.reduce_prod(x)

    y = gp.while_loop(lambda i, a: i < n, trip, [0, np.float64(0)])[1]
    (g,) = gp.gradients(y, x)
    with gp.Session(config=config) as sess:
        for trips in (3, 0, 1):
            calls.clear()
            found = sess.run([y, g], {x: [2.0, 3.0], n: trips})
            weight = sum(sum(k * k for k in range(1, 2 + i)) for i in range(trips))
            np.testing.assert_allclose(found[0], 6 * weight)
            np.testing.assert_allclose(found[1], [3 * weight, 2 * weight])
            assert calls == [*range(trips)]


def test_a_variable_that_is_written_between_a_branch_and_its_gradient(config):
    """As in TensorFlow the gradient is that of the value that there was."""
    v = gp.get_variable("v", initializer=3.0)
    x, p = gp.placeholder(gp.float32, []), gp.placeholder(gp.bool, [])
    y = gp.cond(p, lambda: x * v, lambda: x)
    z = gp.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, a * v), [0, y])[1]
    z = gp.map_fn(lambda r: r * z * v, gp.ones([2]))
    z = gp.reduce_sum(z * v.assign_add(gp.reduce_sum(z)))
    (g,) = gp.gradients(z, x)
    with gp.Session(config=config) as sess:
        sess.run(v.initializer)
        found = sess.run([z, g], {x: 0.5, p: True})
        assert found == [81 * (3 + 81), 2 * 81 * (3 + 81)]


def test_what_is_given_on_to_another_conditional(config):
    """Whose sizes are looked at before the gradient asks the first one for more."""
    v = gp.get_variable("v", initializer=0.0, trainable=False)
    x, p = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.bool, [])
    y = gp.cond(p, lambda: gp.tanh(x * v.assign_add(1.0)), lambda: x * 0.5)
    z = gp.cond(p, lambda: gp.sin(y * v.assign_add(1.0)), lambda: y[:1])
    (g,) = gp.gradients(z, x)
    with gp.Session(config=config) as sess:
        sess.run(v.initializer)
        found = sess.run([z, g], {x: [0.25, 0.5], p: True})
    t = np.tanh([0.25, 0.5])
    np.testing.assert_allclose(found, [np.sin(2 * t), 2 * np.cos(2 * t) * (1 - t * t)], 1e-6)
