"""Loops within loops that count their trips: their gradients keep what the trips took."""

import numpy as np
import pytest
from test_control_flow import X, check_derivatives

import gradplan as gp

#: How an inner loop counts within trip ``j`` of the outer one, and whether the number of its trips
#: is known when a plan is bound.
COUNTS = {
    "below a constant": (0, lambda i, x, j: i < 4, 1, True),
    "in other steps": (1, lambda i, x, j: i < 8, 3, True),
    "to a constant": (2, lambda i, x, j: gp.less_equal(i, 5), 1, True),
    "not at all": (5, lambda i, x, j: i < 4, 1, True),
    "from below": (-3, lambda i, x, j: 0 > i, 2, True),
    "to the rows": (0, lambda i, x, j: i < gp.shape(x)[0], 1, True),
    "twice the rows": (0, lambda i, x, j: i < 2 * gp.shape(x)[0], 1, True),
    "to the outer counter": (0, lambda i, x, j: i < j, 1, False),
    "and looks": (0, lambda i, x, j: (i < 3) & (gp.reduce_sum(x) < 1e9), 1, False),
}


@pytest.fixture(autouse=True)
def graph():
    with gp.Graph().as_default() as g:
        yield g


def inner(how, x, j, most=None):
    start, goes_on, step, _ = COUNTS[how]

    def body(i, h):
        return i + step, gp.tanh(h) * 1.1 + x * 0.3

    return gp.while_loop(lambda i, h: goes_on(i, x, j), body, [start, x], maximum_iterations=most)[
        1
    ]


def outer(how, x, most=None):
    def body(j, h):
        return j + 1, inner(how, gp.sin(h), j, most)

    return gp.while_loop(lambda j, h: j < 3, body, [0, x])[1]


def scans(graph):
    """Whether some body of the graph has a scan in it."""
    bodies = [b for op in graph.get_operations() for b in op.attrs.get("bodies", ())]
    return any("Scan" in op.type for b in bodies for op in b.get_operations()) or any(
        scans(b) for b in bodies
    )


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("how", COUNTS)
def test_loops_within_loops(how, optimize):
    check_derivatives(
        lambda x: gp.reduce_sum(gp.sin(outer(how, x))), X / 3, gp.ConfigProto(optimize=optimize)
    )


@pytest.mark.parametrize("how", COUNTS)
def test_trips_are_counted_where_that_is_known(how, graph):
    x = gp.placeholder(gp.float64, [None, 2])
    y = outer(how, x)
    assert not scans(graph)
    gp.gradients(y, x)
    assert scans(graph) is COUNTS[how][-1]


@pytest.mark.parametrize("most", [0, 2, 9])
def test_maximum_iterations(most):
    check_derivatives(lambda x: gp.reduce_sum(gp.sin(outer("below a constant", x, most))), X / 3)


def test_a_number_of_trips_that_is_fed():
    x, n = gp.placeholder(gp.float64, X.shape), gp.placeholder(gp.int32, [])

    def trip(row):
        return gp.while_loop(lambda i, h: i < n, lambda i, h: (i + 1, h * row), [0, row])[1]

    dx = gp.gradients(gp.map_fn(trip, x), x)[0]
    step = gp.Session().make_callable(dx, [x, n])
    for trips in (3, 0, 1, 3):
        np.testing.assert_allclose(step(X, trips), (trips + 1) * X**trips, 1e-12)


def test_a_number_of_trips_of_another_type():
    x = gp.constant(X)
    n, start = gp.constant(2, gp.int64), gp.constant(0, gp.int64)

    def trip(row):
        return gp.while_loop(lambda i, h: i < n, lambda i, h: (i + 1, h * row), [start, row])[1]

    dx = gp.gradients(gp.map_fn(trip, x), x)[0]
    np.testing.assert_allclose(gp.Session().run(dx), 3 * X**2, 1e-12)


# ---- loops on their own: one that counts is not run again for its gradient -----------------------

#: What stops a loop of rows; whether the number of its trips is known when a plan is bound.
STOPS = {
    "rows": (lambda i, h, x, n: i < gp.shape(x)[0], True),
    "twice the rows": (lambda i, h, x, n: i < 2 * gp.shape(x)[0], True),
    "a constant": (lambda i, h, x, n: gp.less_equal(i, 5), True),
    "never begins": (lambda i, h, x, n: i < -1, True),
    "a feed": (lambda i, h, x, n: i < n, False),
    "a value": (lambda i, h, x, n: gp.reduce_sum(gp.abs(h)) < 4.0, False),
}


def recurrent(stop, **more):
    """A recurrent net over rows, and what a step of it fetches and is fed."""
    x = gp.placeholder(gp.float64, [None, 3])
    n = gp.placeholder(gp.int32, [])
    w = gp.get_variable("w", initializer=np.linspace(-0.5, 0.7, 9).reshape(3, 3))

    def body(i, h):
        row = gp.gather(x, i % gp.shape(x)[0])
        return i + 1, gp.tanh(gp.tensordot(h, w, 1) + row) + h * 0.5

    start = [0, gp.ones([3], gp.float64)]
    i, h = gp.while_loop(lambda i, h: STOPS[stop][0](i, h, x, n), body, start, **more)
    loss = gp.reduce_sum(h * h)
    first = [gp.convert_to_tensor(g) for g in gp.gradients(loss, [w, x])]
    second = gp.gradients(gp.reduce_sum(first[0] * first[0]), w)
    fetches = [i, h, loss, *first, *second]
    return fetches, {x: np.random.default_rng(3).standard_normal((4, 3)), n: 7}


def kernels(sess, fetches, feed):
    plan = sess.plan(fetches, feed)
    return [] if plan is None else [insn.kernel for insn in plan._insns]


@pytest.mark.parametrize("most", [None, 3])
@pytest.mark.parametrize("stop", STOPS)
def test_a_loop_that_counts_is_run_once(stop, most, unoptimised):
    fetches, feed = recurrent(stop, maximum_iterations=most)
    found = []
    for config in (None, unoptimised):
        with gp.Session(config=config) as sess:
            sess.run(gp.global_variables_initializer())
            found.append(sess.run(fetches, feed))
            if STOPS[stop][1]:
                once = "while_loop" not in kernels(sess, fetches, feed)
                assert once is (config is None)
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, 1e-12, 1e-14)
    trips = {"rows": 4, "twice the rows": 8, "a constant": 6, "never begins": 0, "a feed": 7}
    if stop in trips:
        assert found[0][0] == min(trips[stop], 99 if most is None else most)


def test_two_gradients_of_a_loop_that_counts(unoptimised):
    fetches, feed = recurrent("rows")
    w = gp.trainable_variables()[0]
    fetches = [*fetches, *gp.gradients(gp.reduce_sum(gp.sin(fetches[1])), [w])]
    found = []
    for config in (None, unoptimised):
        with gp.Session(config=config) as sess:
            sess.run(gp.global_variables_initializer())
            found.append(sess.run(fetches, feed))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, 1e-12, 1e-14)


def test_a_loop_that_waits_is_run_when_it_may(unoptimised):
    """One under a control dependency is left where it is."""
    v = gp.get_variable("v", initializer=np.ones(3))
    with gp.control_dependencies([v.assign(v * 2.0)]):
        h = gp.while_loop(lambda i, h: i < 3, lambda i, h: (i + 1, h * v), [0, v.read_value()])[1]
    dv = gp.gradients(h, v)[0]
    for config in (None, unoptimised):
        with gp.Session(config=config) as sess:
            sess.run(gp.global_variables_initializer())
            np.testing.assert_array_equal(sess.run([h, dv]), [[16.0] * 3, [32.0] * 3])


def test_errors_name_the_operation_in_the_loop():
    x, k = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.int32, [])
    total = gp.while_loop(
        lambda i, s: i < gp.shape(x)[0], lambda i, s: (i + 1, s + gp.gather(x, i + k)), [0, 0.0]
    )[1]
    fetches = [total, gp.gradients(total, x)[0]]
    with gp.Session() as sess:
        assert "while_loop" not in kernels(sess, fetches, {x: [1.0, 2.0], k: 0})
        with pytest.raises(
            gp.errors.InvalidArgumentError, match=r"'while/GatherV2': .*while/add_1"
        ):
            sess.run(fetches, {x: [1.0, 2.0], k: 1})


# ---- random loops --------------------------------------------------------------------------------


def random_body(draw, x, w, b):
    """A body over a counter and two vectors: each a random function of both and of a row of x."""
    rows = gp.shape(x)[0]
    kinds = draw.integers(0, 6, 2)

    def new(kind, h, i, other):
        row = gp.gather(x, gp.floormod(i, rows))
        return [
            lambda: gp.tanh(gp.tensordot(h, w, 1) + row),
            lambda: h * 0.7 + gp.sin(row) * b,
            lambda: gp.where(h > row, h * 0.5, row + other),
            lambda: gp.reduce_mean(x, 0) * h + other * 0.1,
            lambda: gp.cond(gp.reduce_sum(h) > 0.0, lambda: h * 0.9 + row, lambda: gp.sigmoid(h)),
            lambda: gp.while_loop(
                lambda j, h: j < 2, lambda j, h: (j + 1, h * 0.8 + b), [0, gp.sin(h)]
            )[1],
        ][kind]()

    step = int(draw.integers(1, 3))
    return lambda i, g, h: (i + step, new(kinds[0], g, i, h), new(kinds[1], h, i, g))


@pytest.mark.parametrize("seed", range(24))
def test_random_loops_equal_the_unoptimised(seed, unoptimised):
    draw = np.random.default_rng(seed)
    x = gp.placeholder(gp.float64, [None, 3])
    w = gp.get_variable("w", initializer=draw.standard_normal((3, 3)) * 0.5)
    b = gp.get_variable("b", initializer=draw.standard_normal(3) * 0.3)
    rows, few = gp.shape(x)[0], int(draw.integers(0, 6))
    stop = [
        lambda i, g, h: i < rows,
        lambda i, g, h: i < few,
        lambda i, g, h: gp.less_equal(i, 2 * rows - 1),
        lambda i, g, h: gp.logical_and(i < rows, gp.reduce_sum(g) < 9.0),
    ][draw.integers(0, 4)]
    start = [int(draw.integers(-1, 3)), x[0] * 0.1 + b, gp.ones([3], gp.float64)]
    most = int(draw.integers(0, 6)) if draw.random() < 0.3 else None
    out = gp.while_loop(stop, random_body(draw, x, w, b), start, maximum_iterations=most)
    fetches, losses = [*out], [gp.reduce_sum(gp.sin(out[1]) + out[2]), gp.reduce_sum(out[2] ** 2)]
    for loss in losses:
        first = [gp.convert_to_tensor(g) for g in gp.gradients(loss, [w, b, x]) if g is not None]
        second = gp.gradients([gp.reduce_sum(g * g) for g in first], [w, b, x])
        fetches += [*first, *[gp.convert_to_tensor(g) for g in second if g is not None]]
    fetches = [fetches[i] for i in draw.permutation(len(fetches))[: 1 + len(fetches) // 2]]
    fed = [draw.standard_normal((int(draw.integers(1, 6)), 3)) for _ in range(3)]
    found = []
    for config in (None, unoptimised):
        with gp.Session(config=config) as sess:
            sess.run(gp.global_variables_initializer())
            found.append([value for batch in fed for value in sess.run(fetches, {x: batch})])
    for got, want in zip(*found, strict=True):
        np.testing.assert_allclose(got, want, 1e-9, 1e-11)
