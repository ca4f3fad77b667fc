"""Loops that carry other shapes from trip to trip, bodies that compute shapes, growing arrays."""

import os
import signal
import threading
import time

import numpy as np
import pytest
from test_control_flow import X, check_derivatives

import gradplan as gp

SCALAR, ROWS, ANY = gp.TensorShape([]), gp.TensorShape([None, 2]), gp.TensorShape(None)


@pytest.fixture(params=[True, False], ids=["optimised", "unoptimised"])
def config(request):
    return gp.ConfigProto(optimize=request.param)


@pytest.fixture(autouse=True)
def graph():
    with gp.Graph().as_default() as g:
        yield g


def loop_of(t):
    """The loop whose result ``t`` is: each but the first has a name of its own."""
    return t.op if "bodies" in t.op.attrs else t.op.inputs[0].op


def stepped(t):
    return loop_of(t).attrs["stepped"]


def doubled(x, n, function=lambda m: m * 2.0):
    """``x`` with ``function`` of all rows after it, n times."""
    return gp.while_loop(
        lambda i, m: i < n,
        lambda i, m: (i + 1, gp.concat([m, function(m)], 0)),
        [0, x],
        [SCALAR, ROWS],
    )[1]


# ---- loops ---------------------------------------------------------------------------------------


def test_a_loop_whose_shapes_grow(config):
    n = gp.placeholder(gp.int32, [])
    m = doubled(gp.constant(X), n)
    assert stepped(m) and m.shape.as_list() == [None, 2]
    after = gp.reduce_sum(m * 2.0, 1)
    sess = gp.Session(config=config)
    step = sess.make_callable([m, after, gp.shape(m)], [n])
    for trips in (0, 1, 3, 0, 2):
        want = X
        for _ in range(trips):
            want = np.concatenate([want, want * 2])
        got = step(trips)
        np.testing.assert_array_equal(got[0], want)
        np.testing.assert_allclose(got[1], want.sum(1) * 2)
        np.testing.assert_array_equal(got[2], want.shape)


def test_what_was_fed_with_unknown_size_may_grow_without_invariants(config):
    x = gp.placeholder(gp.float64, [None])
    y = gp.while_loop(lambda m: gp.size(m) < 9, lambda m: gp.concat([m, m[:1] + m[-1:]], 0), [x])
    got = gp.Session(config=config).run(y, {x: [1.0, 2.0]})
    np.testing.assert_array_equal(got, [1, 2, 3, 4, 5, 6, 7, 8, 9])
    ends = gp.while_loop(lambda m: gp.size(m) > 2, lambda m: m[1:-1], [x])
    for n in (0, 1, 2, 7, 8):
        want = np.arange(n)
        while want.size > 2:
            want = want[1:-1]
        np.testing.assert_array_equal(gp.Session(config=config).run(ends, {x: np.arange(n)}), want)


def test_shapes_that_stay_run_inside_the_plan():
    x, n = gp.placeholder(gp.float64, [None, 2]), gp.placeholder(gp.int32, [])
    batch = gp.shape(x)[0]
    bodies = {
        "same": lambda i, m: (i + 1, m + x),
        "made": lambda i, m: (i + 1, m + gp.zeros([batch, 2], gp.float64)),
        "reshaped": lambda i, m: (i + 1, gp.reshape(gp.reshape(m, [-1]), [batch, 2])),
        "row": lambda i, m: (i + 1, m + m[i]),
    }
    for name, body in bodies.items():
        for more in ({}, {"shape_invariants": [SCALAR, ROWS]}):
            y = gp.while_loop(lambda i, m: i < n, body, [0, x], **more)[1]
            assert not stepped(y), name
            assert gp.Session().run(y, {x: X, n: 2}).shape == X.shape
    made = gp.while_loop(
        lambda i, m: i < n,
        lambda i, m: (i + 1, gp.zeros([gp.shape(m)[0], 2], gp.float64) + m),
        [0, X],
        [SCALAR, ROWS],
    )[1]
    assert not stepped(made)
    fixed = gp.while_loop(
        lambda i, m: i < 3, lambda i, m: (i + 1, m * 2.0), [0, X], [SCALAR, ROWS]
    )[1]
    assert not stepped(fixed) and fixed.shape.as_list() == [3, 2]


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_gradients_of_growing_loops(config, rows):
    def build(x):
        return gp.reduce_sum(doubled(x, 2, lambda m: gp.sin(m) * x[:1]) ** 2)

    check_derivatives(build, X[:rows] / 4, config)


def test_gradients_of_shrinking_loops(config):
    def build(x):
        return gp.reduce_prod(
            gp.while_loop(lambda m: gp.shape(m)[0] > 1, lambda m: m[1:] * m[:-1], [x], [ROWS])
        )

    check_derivatives(build, X / 3, config)


def test_gradients_of_third_order():
    x = gp.placeholder(gp.float64, [None])
    y = gp.while_loop(lambda m: gp.size(m) < 4, lambda m: gp.concat([m, m * m], 0), [x])
    ys = [gp.reduce_sum(y)]  # x + 2 x^2 + x^4
    for _ in range(3):
        ys.append(gp.gradients(ys[-1], x)[0])
    got = gp.Session().run(ys, {x: [3.0]})
    np.testing.assert_allclose([np.sum(g) for g in got], [102, 121, 112, 72])


def test_growing_loops_in_each_other_and_in_conditionals(config):
    p, x = gp.placeholder(gp.bool, []), gp.placeholder(gp.float64, [None, 2])

    def outer(i, m):
        inner = doubled(m, i)
        return i + 1, gp.cond(p, lambda: doubled(inner, 1), lambda: inner)

    y = gp.while_loop(lambda i, m: i < 3, outer, [0, x], [SCALAR, ROWS])[1]
    sess = gp.Session(config=config)
    for chosen in (True, False):
        want = X
        for i in range(3):
            for _ in range(i + chosen):
                want = np.concatenate([want, want * 2])
        np.testing.assert_array_equal(sess.run(y, {p: chosen, x: X}), want)
        dx = sess.run(gp.gradients(y, x)[0], {p: chosen, x: X})
        np.testing.assert_allclose(dx, np.full(X.shape, want.sum() / X.sum()))


def test_growing_loops_for_every_row(config):
    x = gp.placeholder(gp.float64, [None, 2])
    y = gp.map_fn(lambda row: gp.reduce_sum(doubled(gp.expand_dims(row, 0), 2)), x)
    z = gp.scan(
        lambda a, row: a + gp.reduce_sum(doubled(gp.expand_dims(row, 0), 1) * a), x, 1.0 * X[0, 0]
    )
    sess = gp.Session(config=config)
    for n in (3, 1, 0):
        got = sess.run([y, *gp.gradients(y, x), z], {x: X[:n]})
        np.testing.assert_allclose(got[0], X[:n].sum(1) * 9)
        np.testing.assert_allclose(got[1], np.full((n, 2), 9))
        np.testing.assert_allclose(got[2], X[0, 0] * np.cumprod(1 + 3 * X[:n].sum(1)))
    check_derivatives(
        lambda x: gp.reduce_sum(
            gp.scan(
                lambda a, row: a * gp.reduce_sum(doubled(gp.expand_dims(row, 0), 1) * a),
                x,
                0.5 * x[0, 0],
            )
        ),
        X / 5,
        config,
    )


def test_shapes_that_a_body_computes(config):
    x, n = gp.placeholder(gp.float64, [None, 3]), gp.placeholder(gp.int32, [])
    values = np.array([[1.0, -2.0, 3.0], [-1.0, -1.0, -1.0], [4.0, 5.0, -6.0]])
    masked = gp.map_fn(lambda row: gp.reduce_sum(gp.boolean_mask(row, row > 0.0) ** 2), x)
    heads = gp.while_loop(
        lambda i, s: i < 3,
        lambda i, s: (i + 1, s + gp.reduce_sum(x[:i])),
        [0, gp.zeros_like(x[0, 0])],
    )[1]
    chosen = gp.cond(n > 0, lambda: gp.boolean_mask(x, x > 0.0), lambda: gp.reshape(x, [-1])[:n])
    ranges = gp.while_loop(
        lambda i, s: i < 4,
        lambda i, s: (
            i + 1,
            s + gp.map_fn(lambda k: gp.reduce_sum(gp.range(i)) * k, np.array([1, 2], np.int32)),
        ),
        [0, np.array([0, 0], np.int32)],
    )[1]
    sess = gp.Session(config=config)
    np.testing.assert_array_equal(sess.run(masked, {x: values}), [10, 0, 41])
    np.testing.assert_array_equal(
        sess.run(gp.gradients(masked, x)[0], {x: values}), np.maximum(values, 0) * 2
    )
    assert sess.run(heads, {x: values}) == values[:1].sum() + values[:2].sum()
    np.testing.assert_array_equal(sess.run(chosen, {x: values, n: 1}), [1, 3, 4, 5])
    assert sess.run(chosen, {x: values, n: -7}).tolist() == [1, -2]
    assert sess.run(ranges).tolist() == [4, 8]


def test_sizes_that_follow_from_what_a_body_takes_from_around_it(config):
    x, n = gp.placeholder(gp.float64, [None]), gp.placeholder(gp.int32, [])
    count = gp.reduce_sum(gp.cast(x > 0.0, gp.int32))
    for size in (n, count):

        def body(i, s, size=size):
            return i + 1, s + gp.reduce_sum(gp.ones([size * 2]))

        y = gp.while_loop(lambda i, s: i < 3, body, [0, 0.0])[1]
        assert not stepped(y)
        sess = gp.Session(config=config)
        assert sess.run(y, {x: [1.0, -1.0, 2.0], n: 2}) == 12.0
        assert sess.run(y, {x: [1.0], n: 1}) == 6.0


# ---- effects -------------------------------------------------------------------------------------


def test_variables_in_growing_loops(config):
    v, w = gp.Variable(1.0), gp.Variable(X[:1])

    def body(i, m):
        with gp.control_dependencies([v.assign_add(2.0)]):
            return i + 1, gp.concat([m, gp.identity(w)], 0)

    before = gp.identity(v)
    m = gp.while_loop(lambda i, m: i < 3, body, [0, X], [SCALAR, ROWS])[1]
    with gp.control_dependencies([m]):
        after = v.read_value()
    sess = gp.Session(config=config)
    sess.run(gp.global_variables_initializer())
    got = sess.run([m, before, after])
    np.testing.assert_array_equal(got[0], np.concatenate([X, X[:1], X[:1], X[:1]]))
    assert got[1:] == [1.0, 7.0] and sess.run(v) == 7.0


def test_training_through_a_growing_loop(config):
    w = gp.Variable(np.eye(2) * 0.5)
    y = doubled(gp.constant(X / 4), 2, lambda m: gp.matmul(m, w))
    loss = gp.reduce_mean(gp.square(y - 1.0))
    train = gp.train.GradientDescentOptimizer(0.05).minimize(loss)
    sess = gp.Session(config=config)
    sess.run(gp.global_variables_initializer())
    step = sess.make_callable([train, loss])
    losses = [step()[1] for _ in range(20)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0] * 0.95


def test_random_numbers_in_growing_loops(config):
    def body(i, m):
        return i + 1, gp.concat([m, gp.random_uniform([1, 2])], 0)

    m = gp.while_loop(lambda i, m: i < 4, body, [0, gp.zeros([0, 2])], [SCALAR, ROWS])[1]
    sess = gp.Session(config=config)
    a, b = sess.run(m), sess.run(m)
    assert len(np.unique(np.concatenate([a, b]))) == 16


def test_python_in_growing_loops(config):
    seen = []

    def note(m):
        seen.append(len(m))
        return np.concatenate([m, m[-1:] + 1])

    def body(m):
        out = gp.py_func(note, [m], gp.int64)
        out.set_shape([None])
        return out

    start = np.array([5])
    m = gp.while_loop(lambda m: gp.size(m) < 4, body, [start], [gp.TensorShape([None])])
    assert gp.Session(config=config).run(m).tolist() == [5, 6, 7, 8]
    assert seen == [1, 2, 3]


def test_a_failing_trip_changes_no_variable_outside(config):
    v, d = gp.Variable(1), gp.placeholder(gp.int32, [])
    m = gp.while_loop(
        lambda m: gp.size(m) < 4,
        lambda m: gp.concat([m, [4 // (d - m[-1])]], 0),
        [np.array([0], np.int32)],
        [gp.TensorShape([None])],
    )
    add = v.assign_add(1)
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    with pytest.raises(gp.errors.InvalidArgumentError, match="(?s)division by zero.*test_growing"):
        sess.run([m, add], {d: 2})
    assert sess.run(v) == 1
    assert sess.run([m, add], {d: 7})[1] == 2


# ---- errors --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "exc, words, build",
    [
        (ValueError, "not an invariant.*(3, 2).*(6, 2).*shape_invariants", lambda: gp.while_loop(
            lambda m: True, lambda m: gp.concat([m, m], 0), [X])),
        (ValueError, "not an invariant.*(3, 2).*(6, 2)", lambda: gp.while_loop(
            lambda m: True, lambda m: gp.concat([m, m], 0), [X], [gp.TensorShape([3, 2])])),
        (ValueError, r"not an invariant.*\(\?, 2\).*\(\?, 3\)", lambda: gp.while_loop(
            lambda m: True, lambda m: gp.concat([m, m[:, :1]], 1), [X], [ROWS])),
        (ValueError, "invariant specified.*(3, 2).*(4, 2)", lambda: gp.while_loop(
            lambda m: True, lambda m: m, [X], [gp.TensorShape([4, 2])])),
        (ValueError, "1 shape invariants for 2", lambda: gp.while_loop(
            lambda i, m: True, lambda i, m: (i, m), [0, X], [SCALAR])),
        (TypeError, "dynamic size.*returned", lambda: gp.while_loop(
            lambda a: True, lambda a: a.stack(), [gp.TensorArray(gp.float32, dynamic_size=True)])),
        (ValueError, r"one shape.*\[1, 2\]", lambda: gp.TensorArray(gp.float32, 2).split(
            [1.0, 2.0, 3.0], [1, 2])),
    ],
)  # fmt: skip
def test_refusals(exc, words, build):
    with pytest.raises(exc, match=f"(?s){words}.*test_growing.py"):
        build()


def test_a_shape_that_the_invariant_does_not_allow_in_a_run():
    x, n = gp.placeholder(gp.float64, [None, 2]), gp.placeholder(gp.int32, [])

    def body(i, m):
        return i + 1, gp.reshape(gp.boolean_mask(m, m > 0.0), [n + i, -1])

    y = gp.while_loop(lambda i, m: i < 2, body, [0, x], [SCALAR, ROWS], name="loop")[1]
    sess = gp.Session()
    with pytest.raises(
        gp.errors.InvalidArgumentError,
        match=r"(?s)loop.*variable 1 has shape \(1, 4\) after trip 0.*\(\?, 2\).*test_growing.py",
    ):
        sess.run(y, {x: [[1.0, 2.0], [3.0, 4.0]], n: 1})


def test_rows_of_different_shapes_cannot_be_stacked():
    x = gp.placeholder(gp.float64, [None, 2])
    y = gp.map_fn(lambda row: gp.boolean_mask(row, row > 0.0), x)
    sess = gp.Session()
    np.testing.assert_array_equal(sess.run(y, {x: [[1.0, -1.0], [-1.0, 2.0]]}), [[1], [2]])
    with pytest.raises(
        gp.errors.InvalidArgumentError, match=r"(?s)shapes \(1,\) and \(2,\).*test_growing.py"
    ):
        sess.run(y, {x: [[1.0, -1.0], [1.0, 2.0]]})


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.usefixtures("no_collector")
def test_an_endless_growing_loop_can_be_stopped():
    def body(i, m):
        return i + 1, gp.concat([m, m], 0)[: gp.minimum(i, 3)]

    y = gp.while_loop(lambda i, m: i >= 0, body, [0, X], [SCALAR, ROWS])[1]
    v = gp.Variable(1.0)
    sess = gp.Session()
    sess.run(v.initializer)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        sess.run(y)
    assert time.perf_counter() - start < 60.0
    assert sess.run(v) == 1.0


# ---- arrays of dynamic size ----------------------------------------------------------------------


def filled(n, x, array=None, **more):
    """Row i is x ** (i + 1)."""
    array = gp.TensorArray(gp.float64, size=0, dynamic_size=True) if array is None else array

    def body(i, h, a):
        return i + 1, h * x, a.write(i, h)

    return gp.while_loop(lambda i, h, a: i < n, body, [0, x, array], **more)[2]


@pytest.mark.parametrize("more", [{}, {"maximum_iterations": 9}], ids=["bare", "bounded"])
def test_an_array_grows_in_a_loop(config, more):
    n, x = gp.placeholder(gp.int32, []), gp.placeholder(gp.float64, [None])
    a = filled(n, x, **more)
    assert not stepped(a.value)
    fetches = [a.stack(), a.size(), a.concat(), a.gather([0, 2]), a.read(1)]
    sess = gp.Session(config=config)
    for rows, cols in ((4, 2), (3, 1), (4, 0)):
        v = np.linspace(1.0, 2.0, cols)
        want = v ** np.arange(1, rows + 1)[:, None]
        got = sess.run(fetches, {n: rows, x: v})
        np.testing.assert_allclose(got[0], want)
        assert got[1] == rows
        np.testing.assert_allclose(got[2], want.ravel())
        np.testing.assert_allclose(got[3], want[[0, 2]])
        np.testing.assert_allclose(got[4], want[1])
    assert sess.run([a.stack(), a.size(), a.concat()], {n: 0, x: [1.0, 2.0]})[0].shape == (0, 2)


def test_an_array_that_grows_is_as_fast_as_one_that_does_not():
    n, x = gp.placeholder(gp.int32, []), gp.placeholder(gp.float64, [None])
    plans = []
    for array in (None, gp.TensorArray(gp.float64, size=n)):
        step = gp.Session().make_callable(filled(n, x, array).stack(), [n, x])
        step(5, [1.0, 2.0])
        assert len(step.plans) == 1
        plans.append([line.split()[1] for line in str(step.plan).splitlines() if "<-" in line][1:])
    assert plans[0] == plans[1]


def test_gradients_of_arrays_that_grow(config):
    check_derivatives(lambda x: gp.reduce_sum(gp.sin(filled(3, x).stack())), X[0] / 2, config)

    def until(x):  # how many trips depends on what is computed
        a = gp.TensorArray(gp.float64, dynamic_size=True, element_shape=[2])
        _, a = gp.while_loop(
            lambda h, a: gp.reduce_sum(h) < 5.0,
            lambda h, a: (h * 2.0, a.write(a.size(), h * h)),
            [x, a],
        )
        return gp.reduce_sum(a.stack() * a.read(1))

    check_derivatives(until, [0.4, 0.7], config)


def test_trips_that_depend_on_the_rows_of_the_array(config):
    def build(x):
        a = gp.TensorArray(gp.float64, size=0, dynamic_size=True).write(0, x)
        i, a = gp.while_loop(
            lambda i, a: gp.reduce_sum(a.read(i - 1)) < 5.0,
            lambda i, a: (i + 1, a.write(i, a.read(i - 1) * 2.0)),
            [1, a],
        )
        assert stepped(i)
        return gp.reduce_sum(a.write(a.size(), x * x).stack() ** 2)

    x = gp.placeholder(gp.float64, [2])
    y = build(x)
    rows = np.array([0.4, 0.7]) * [[1], [2], [4], [8]]
    want = (rows**2).sum() + (np.array([0.4, 0.7]) ** 4).sum()
    np.testing.assert_allclose(gp.Session(config=config).run(y, {x: [0.4, 0.7]}), want)
    check_derivatives(build, [0.4, 0.7], config)


def test_trips_that_depend_on_random_numbers(config):
    gp.set_random_seed(1)
    i, a = gp.while_loop(
        lambda i, a: gp.random_uniform([]) < 0.8,
        lambda i, a: (i + 1, a.write(i, gp.cast(i, gp.float32))),
        [0, gp.TensorArray(gp.float32, dynamic_size=True)],
    )
    sess = gp.Session(config=config)
    for _ in range(5):
        n, rows = sess.run([i, a.stack()])
        np.testing.assert_array_equal(rows, np.arange(n).reshape(rows.shape))


def test_arrays_that_grow_in_nested_loops(config):
    def inner(i, a):
        return gp.while_loop(
            lambda j, a: j < i, lambda j, a: (j + 1, a.write(a.size(), 10 * i + j)), [0, a]
        )[1]

    a = gp.TensorArray(gp.int32, size=0, dynamic_size=True, element_shape=[])
    a = gp.while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, inner(i, a)), [0, a])[1]
    sess = gp.Session(config=config)
    assert sess.run(a.stack()).tolist() == [10, 20, 21, 30, 31, 32]

    def local(i):
        b = gp.TensorArray(gp.int32, size=0, dynamic_size=True)
        return gp.reduce_sum(inner(i, b.write(0, 5)).stack())

    assert sess.run(gp.map_fn(local, np.array([1, 3], np.int32))).tolist() == [15, 98]


def test_an_array_made_in_the_body_grows_beside_one_of_the_loop(config):
    def body(i, a):
        b = gp.TensorArray(gp.int32, size=0, dynamic_size=True).write(1, i).write(0, 7)
        return i + 1, a.write(i, b.stack())

    a = gp.TensorArray(gp.int32, size=0, dynamic_size=True)
    i, a = gp.while_loop(lambda i, a: i < 3, body, [0, a])
    assert not stepped(i)
    assert gp.Session(config=config).run(a.stack()).tolist() == [[7, 0], [7, 1], [7, 2]]


def test_arrays_that_grow_outside_loops(config):
    at, x = gp.placeholder(gp.int32, []), gp.placeholder(gp.float64, [None])
    a = gp.TensorArray(gp.float64, size=0, dynamic_size=True, clear_after_read=False)
    b = a.write(1, x).write(0, x * 2.0)
    assert b.stack().shape.as_list() == [2, None]
    c = b.write(at, x * 3.0)
    d = a.unstack(X).scatter([4, 1], X[:2])
    e = a.scatter([2, 0], X[:2])
    f = a.split(gp.reshape(X, [6]), [2, 2, 2])
    sess = gp.Session(config=config)
    v = np.array([1.0, 2.0])
    np.testing.assert_array_equal(sess.run(b.stack(), {x: v}), [v * 2, v])
    np.testing.assert_array_equal(sess.run(c.stack(), {x: v, at: 1}), [v * 2, v * 3])
    np.testing.assert_array_equal(sess.run(c.stack(), {x: v, at: 3}), [v * 2, v, v * 0, v * 3])
    np.testing.assert_array_equal(sess.run(d.stack()), [X[0], X[1], X[2], [0, 0], X[0]])
    np.testing.assert_array_equal(sess.run(e.stack()), [X[1], [0, 0], X[0]])
    np.testing.assert_array_equal(sess.run([f.stack(), f.size()])[0], X)
    assert sess.run([a.size(), b.size(), d.size()], {x: v}) == [0, 2, 5]
    dx = sess.run(gp.gradients(c.stack(), x)[0], {x: v, at: 3})
    np.testing.assert_array_equal(dx, [6, 6])
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"-1.*\[0, 2\)"):
        sess.run(c.stack(), {x: v, at: -1})


def test_scatter_and_split_of_fixed_arrays(config):
    lengths, x = gp.placeholder(gp.int32, [None]), gp.placeholder(gp.float64, [None])
    a = gp.TensorArray(gp.float64, size=3)
    sess = gp.Session(config=config)
    np.testing.assert_array_equal(sess.run(a.scatter([2, 1, 0], X).stack()), X[::-1])
    y = a.split(x, lengths).stack()
    assert sess.run(y, {x: np.arange(6), lengths: [3, 3]}).tolist() == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(gp.errors.InvalidArgumentError):
        sess.run(y, {x: np.arange(6), lengths: [2, 1, 3]})


def test_a_size_that_the_loop_does_not_reach(config):
    a = gp.TensorArray(gp.float64, size=5, dynamic_size=True)
    x = gp.constant([1.0, 2.0], gp.float64)
    y = filled(3, x, a)
    assert gp.Session(config=config).run([y.size(), gp.shape(y.stack())[0]]) == [5, 5]
    assert gp.Session(config=config).run(y.stack())[3:].tolist() == [[0, 0], [0, 0]]


def test_the_size_inside_the_loop(config):
    a = gp.TensorArray(gp.int32, size=2, dynamic_size=True, element_shape=[])
    _, a = gp.while_loop(
        lambda i, a: i < 5, lambda i, a: (i + 1, a.write(i, a.size())), [0, a], [SCALAR, ANY]
    )
    assert gp.Session(config=config).run(a.stack()).tolist() == [2, 2, 2, 3, 4]


# ---- together with the rest ----------------------------------------------------------------------


def test_the_hessian_of_a_growing_loop(config):
    x = gp.placeholder(gp.float64, [2])
    y = gp.reduce_sum(doubled(gp.expand_dims(x, 0), 2, lambda m: m * x), 0)  # x + 2 x^2 + x^3
    (second,) = gp.hessians(gp.reduce_sum(y**2), x)
    v = np.array([1.0, 2.0])
    y, dy, ddy = v + 2 * v**2 + v**3, 1 + 4 * v + 3 * v**2, 4 + 6 * v
    got = gp.Session(config=config).run(second, {x: v})
    np.testing.assert_allclose(got, np.diag(2 * (dy**2 + y * ddy)))
    unknown = gp.placeholder(gp.float64, [None])
    with pytest.raises(ValueError, match="static shape"):
        gp.hessians(gp.reduce_sum(doubled(gp.expand_dims(unknown[:2], 0), 2) ** 2), unknown)


def test_variables_of_loops_in_growing_loops(config):
    w, v = gp.Variable(np.eye(2)), gp.Variable(0)

    def inner(j, m):
        with gp.control_dependencies([v.assign_add(1)]):
            return j + 1, gp.concat([m, gp.matmul(m, w)], 0)

    def outer(i, m):
        m = gp.while_loop(lambda j, m: j < i, inner, [0, m], [SCALAR, ROWS])[1]
        return i + 1, m

    m = gp.while_loop(lambda i, m: i < 3, outer, [0, X], [SCALAR, ROWS])[1]
    sess = gp.Session(config=config)
    sess.run(gp.global_variables_initializer())
    np.testing.assert_array_equal(sess.run(m), np.tile(X, (8, 1)))
    assert sess.run(v) == 3


def test_assignments_of_computed_shapes_in_branches(config):
    v, x, p = gp.Variable(0.0), gp.placeholder(gp.float32, [None]), gp.placeholder(gp.bool, [])
    chosen = gp.cond(
        p,
        lambda: gp.assign_add(v, gp.reduce_sum(gp.boolean_mask(x, x > 0.0))),
        lambda: gp.identity(v),
    )
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    got = [sess.run(chosen, {x: [1.0, -2.0, 3.0], p: q}) for q in (True, False, True)]
    assert got == [4.0, 4.0, 8.0] and sess.run(v) == 8.0


def test_control_dependencies_of_growing_loops(config):
    n, v = gp.placeholder(gp.int32, []), gp.Variable(0)
    with gp.control_dependencies([gp.Assert(n > 0, ["n must be positive"])]):
        m = doubled(gp.constant(X), n)
    with gp.control_dependencies([m.op]):
        add = v.assign_add(1)
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    assert sess.run([gp.shape(m)[0], add], {n: 1}) == [6, 1]
    assert sess.run(add, {n: 2}) == 2
    with pytest.raises(gp.errors.InvalidArgumentError, match="n must be positive"):
        sess.run(add, {n: 0})
    assert sess.run(v) == 2


def test_results_of_growing_loops_can_be_fed(config):
    m = doubled(gp.constant(X), 2)
    sess = gp.Session(config=config)
    np.testing.assert_array_equal(sess.run(m + 1.0, {m: X}), X + 1)
    count, rows = loop_of(m).outputs[:2]
    got = sess.run([m + 1.0, count], {rows: X})
    np.testing.assert_array_equal(got[0], X + 1)
    assert got[1] == 2


def test_epochs_over_a_growing_loop(config):
    x, total = gp.placeholder(gp.float64, [None, 2]), gp.Variable(0.0, dtype=gp.float64)
    sess = gp.Session(config=config)
    step = sess.make_callable(total.assign_add(gp.reduce_sum(doubled(x, 2))), [x])
    sess.run(total.initializer)
    got = step.loop([X], 1, shuffle=False)
    np.testing.assert_allclose(got, np.cumsum(X.sum(1)) * 9)


@pytest.mark.parametrize("dtype", [gp.bfloat16, gp.float16, gp.int8, gp.bool], ids=str)
def test_types_of_growing_loops(config, dtype):
    c = gp.cast(gp.constant([1, 0]), dtype)
    m = gp.while_loop(
        lambda m: gp.size(m) < 5, lambda m: gp.concat([m, m], 0), [c], [gp.TensorShape([None])]
    )
    rows = gp.map_fn(lambda c: gp.concat([c], 0), gp.stack([m, m]))
    got = gp.Session(config=config).run([m, rows])
    assert got[0].dtype == dtype.as_numpy_dtype
    assert got[0].astype(int).tolist() == [1, 0] * 4 and got[1].shape == (2, 8)


def test_structures_and_other_ranks(config):
    out = gp.while_loop(
        lambda d: d["i"] < 2,
        lambda d: {
            "i": d["i"] + 1,
            "m": (gp.concat([d["m"][0]] * 2, 0), gp.expand_dims(d["m"][1], 0)),
        },
        [{"i": gp.constant(0), "m": (gp.constant(X), gp.constant(7))}],
        [{"i": SCALAR, "m": (ROWS, ANY)}],
        maximum_iterations=5,
    )  # fmt: skip
    got = gp.Session(config=config).run(out)
    assert got["i"] == 2 and got["m"][0].shape == (12, 2) and got["m"][1].tolist() == [[7]]


def test_a_shape_made_of_the_one_before(config):
    x = gp.placeholder(gp.float64, [None, 2])

    def body(i, m):
        return i + 1, gp.zeros([gp.shape(m)[0] * 2, 2], gp.float64) + gp.reduce_sum(m)

    m = gp.while_loop(lambda i, m: i < 2, body, [0, x])[1]
    assert stepped(m)
    got = gp.Session(config=config).run(m, {x: X})
    np.testing.assert_allclose(got, np.full((12, 2), X.sum() * 12))


def test_growing_loops_that_fill_an_array(config):
    n = gp.placeholder(gp.int32, [])

    def build(v):
        def outer(i, a):
            s = doubled(gp.expand_dims(v, 0), i, lambda m: m[:1] * v)
            return i + 1, a.write(i, gp.reduce_sum(s, 0))

        a = gp.TensorArray(gp.float64, size=0, dynamic_size=True)
        return gp.while_loop(lambda i, a: i < n, outer, [0, a])[1]

    v = gp.placeholder(gp.float64, [2])
    a = build(v)
    assert a.stack().shape.as_list() == [None, 2]
    sess = gp.Session(config=config)
    x = np.array([2.0, 3.0])
    got = sess.run([a.stack(), *gp.gradients(a.stack(), v)], {v: x, n: 2})
    np.testing.assert_allclose(got[0], [x, x + x * x])
    np.testing.assert_allclose(got[1], 2 + 2 * x)
    (second,) = gp.gradients(gp.gradients(a.stack(), v)[0], v)
    np.testing.assert_allclose(sess.run(second, {v: x, n: 2}), [2, 2])
    assert sess.run([a.stack(), a.size()], {v: x, n: 0})[0].shape == (0, 2)


# ---- sizes that may differ -----------------------------------------------------------------------


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, 2))


def test_a_loop_that_goes_on_with_rows_of_another_number(config):
    x, y = (gp.placeholder(gp.float64, [None, 2]) for _ in "xy")
    m = gp.while_loop(lambda i, m: i < 3, lambda i, m: (i + 1, y * gp.reduce_sum(m)), [0, x])[1]
    assert stepped(m)
    sess = gp.Session(config=config)
    grads = gp.gradients(m, [x, y])
    for n, k in ((2, 3), (3, 3), (1, 0), (0, 4)):
        a, b = rows(n), rows(k, 1)
        want = a
        for _ in range(3):
            want = b * want.sum()
        got = sess.run([m, *grads], {x: a, y: b})
        np.testing.assert_allclose(got[0], want, 1e-12)
        assert [g.shape for g in got[1:]] == [a.shape, b.shape]
        np.testing.assert_allclose(got[1], np.full(a.shape, b.sum() ** 3), 1e-12)


def test_branches_of_another_number_of_rows(config):
    x, y = (gp.placeholder(gp.float64, [None, 2]) for _ in "xy")
    cut = gp.cond(gp.reduce_sum(x) > 0, lambda: gp.concat([x, y], 0)[:4], lambda: x[:4] * 2)
    both = gp.cond(gp.reduce_sum(x) > 0, lambda: x * 3, lambda: y)
    sess = gp.Session(config=config)
    for sign in (1, -1):
        a, b = sign * np.abs(rows(3)), rows(2)
        want = [np.concatenate([a, b])[:4], a * 3] if sign > 0 else [a * 2, b]
        for g, w in zip(sess.run([cut, both], {x: a, y: b}), want, strict=True):
            np.testing.assert_array_equal(g, w)


def test_a_loop_whose_rows_are_cut_off(config):
    x = gp.placeholder(gp.float64, [None, 2])
    m = gp.while_loop(lambda i, m: i < 3, lambda i, m: (i + 1, gp.concat([m, x], 0)[:5]), [0, x])[1]
    assert stepped(m)
    for n in (1, 2, 4, 7):
        a = rows(n)
        got = gp.Session(config=config).run(m, {x: a})
        np.testing.assert_array_equal(got, np.concatenate([a] * 4)[: 5 if n < 5 else None][:5])


@pytest.mark.parametrize("batch", ["of x", "fed", "computed"])
def test_a_loop_whose_sizes_are_alike_runs_inside_the_plan(batch, config):
    x, n = gp.placeholder(gp.float64, [None, 2]), gp.placeholder(gp.int32, [])
    size = {"of x": gp.shape(x)[0], "fed": n, "computed": 3 * gp.size(x) // 6}[batch]
    start = [0, gp.zeros([size, 2], gp.float64), gp.zeros([size, 4], gp.float64)]

    def body(i, h, wide):
        joined = gp.concat([x, h], 1)
        made = gp.cond(gp.equal(i % 2, 0), lambda: gp.tanh(joined), lambda: joined + wide)
        return i + 1, gp.reshape(made[:, :2] + h, [size, 2]), made

    h = gp.while_loop(lambda i, *_: i < 3, body, start)[1]
    assert not stepped(h)
    sess = gp.Session(config=config)
    for k in (1, 3):
        a = rows(k)
        want, wide = np.zeros((k, 2)), np.zeros((k, 4))
        for i in range(3):
            joined = np.concatenate([a, want], 1)
            wide = joined + wide if i % 2 else np.tanh(joined)
            want = wide[:, :2] + want
        np.testing.assert_allclose(sess.run(h, {x: a, n: k}), want, 1e-12)


def test_sizes_that_set_shape_tells(config):
    x = gp.placeholder(gp.float64, [None, None])
    before = gp.while_loop(lambda i, m: i < 2, lambda i, m: (i + 1, m * 2.0), [0, x])[1]
    x.set_shape([None, 2])
    picked = gp.boolean_mask(x, x[:, 0] > 0.0)
    picked.set_shape([3, 2])

    def body(i, m):
        return i + 1, gp.concat([m[:, :1], picked[:, 1:]], 1)

    after = gp.while_loop(lambda i, m: i < 2, body, [0, gp.ones([3, 2], gp.float64)])[1]
    assert not stepped(before) and not stepped(after)
    given = np.array([[1.0, 2.0], [-1.0, 3.0], [4.0, 5.0], [6.0, 7.0]])
    got = gp.Session(config=config).run([before, after], {x: given})
    np.testing.assert_array_equal(got[0], given * 4)
    np.testing.assert_array_equal(got[1], [[1.0, 2.0], [1.0, 5.0], [1.0, 7.0]])
