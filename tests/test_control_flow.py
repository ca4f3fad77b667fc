"""Conditionals and loops: values, gradients, effects, errors, and what can be stopped."""

import os
import signal
import threading
import time
from collections import namedtuple

import numpy as np
import pytest
from specs import numerical

import gradplan as gp

UNOPTIMISED = gp.ConfigProto(optimize=False)


@pytest.fixture(params=[None, UNOPTIMISED], ids=["optimised", "unoptimised"])
def config(request):
    return request.param


@pytest.fixture(autouse=True)
def graph():
    with gp.Graph().as_default() as g:
        yield g


def check_derivatives(build, value, config=None):
    """First and second order of a scalar function of one placeholder."""
    value = np.asarray(value, np.float64)
    x = gp.placeholder(gp.float64, value.shape)
    y = build(x)
    (first,) = gp.gradients(y, x)
    weights = np.linspace(0.5, 1.5, value.size).reshape(value.shape)
    (second,) = gp.gradients(gp.reduce_sum(first * weights), x)
    sess = gp.Session(config=config)
    got = sess.run([first, second], {x: value})
    np.testing.assert_allclose(
        got[0], numerical(lambda v: sess.run(y, {x: v}), value), rtol=1e-6, atol=1e-8
    )
    want = numerical(lambda v: (sess.run(first, {x: v}) * weights).sum(), value)
    np.testing.assert_allclose(got[1], want, rtol=1e-6, atol=1e-8)


# ---- cond ----------------------------------------------------------------------------------------


def test_cond(config):
    p, x = gp.placeholder(gp.bool, []), gp.placeholder(gp.float32, [None])
    y = gp.cond(p, lambda: x + 1.0, lambda: x * x)
    sess = gp.Session(config=config)
    for n in (3, 0, 5):
        a = np.arange(n, dtype=np.float32)
        np.testing.assert_array_equal(sess.run(y, {p: True, x: a}), a + 1)
        np.testing.assert_array_equal(sess.run(y, {p: False, x: a}), a * a)


def test_cond_of_structures(config):
    p = gp.placeholder(gp.bool, [])
    one = {"a": 1.0, "b": [2, gp.constant(True)]}
    other = {"a": gp.constant(3.0), "b": [4, False]}
    sess = gp.Session(config=config)
    out = gp.cond(p, lambda: one, lambda: other)
    assert sess.run(out, {p: True}) == {"a": 1.0, "b": [2, True]}
    assert sess.run(out, {p: False}) == {"a": 3.0, "b": [4, False]}
    assert isinstance(gp.cond(p, lambda: [1], lambda: [2]), gp.Tensor)
    assert isinstance(gp.cond(p, lambda: [1], lambda: [2], strict=True), list)


def test_only_one_branch_runs(config):
    p, x = gp.placeholder(gp.bool, []), gp.placeholder(gp.int32, [])
    y = gp.cond(p, lambda: 7 // x, lambda: 0)
    sess = gp.Session(config=config)
    assert sess.run(y, {p: False, x: 0}) == 0
    assert sess.run(y, {p: True, x: 2}) == 3
    with pytest.raises(gp.errors.InvalidArgumentError, match="division by zero.*test_control"):
        sess.run(y, {p: True, x: 0})


def test_branches_of_different_shapes(config):
    p = gp.placeholder(gp.bool, [])
    x = gp.constant([1.0, 2.0, 3.0])
    y = gp.cond(p, lambda: x[:1], lambda: x) * 2.0
    sess = gp.Session(config=config)
    np.testing.assert_array_equal(sess.run(y, {p: True}), [2])
    np.testing.assert_array_equal(sess.run(y, {p: False}), [2, 4, 6])
    computed = gp.cond(
        gp.reduce_sum(gp.random_uniform([2], 1.0, 2.0)) > 1.0, lambda: x[1:], lambda: x
    )
    np.testing.assert_array_equal(sess.run(computed), [2, 3])


def test_assignments_in_branches(config):
    p = gp.placeholder(gp.bool, [])
    v, w = gp.Variable(1.0), gp.Variable(10.0)
    before = v.read_value()
    change = gp.cond(p, lambda: gp.assign_add(v, w), lambda: gp.assign(w, v * 5.0))
    sess = gp.Session(config=config)
    sess.run(gp.global_variables_initializer())
    assert sess.run([change, before], {p: True}) == [11.0, 1.0]
    assert sess.run([v, w]) == [11.0, 10.0]
    assert sess.run(change, {p: False}) == 55.0
    assert sess.run([v, w]) == [11.0, 55.0]
    step = gp.cond(p, lambda: gp.group(v.assign(0.0).op), lambda: gp.no_op())
    sess.run(step, {p: False})
    assert sess.run(v) == 11.0
    sess.run(step, {p: True})
    assert sess.run(v) == 0.0


def test_a_read_after_an_assignment_in_a_branch(config):
    v = gp.Variable(1.0)

    def change():
        with gp.control_dependencies([v.assign_add(2.0)]):
            return v.read_value() * 10.0

    y = gp.cond(gp.placeholder_with_default(True, []), change, lambda: v + 0.0)
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    assert sess.run(y) == 30.0


def test_gradients_of_cond(config):
    for value in ([0.5, 1.0], [-0.5, -2.0]):
        check_derivatives(
            lambda x: gp.cond(
                gp.reduce_sum(x) > 0.0,
                lambda: gp.reduce_sum(gp.exp(x) * x[0]),
                lambda: gp.reduce_sum(x * x * x),
            ),
            value,
            config,
        )


def test_case_where_no_two_may_hold():
    x, count = gp.placeholder(gp.float32, []), gp.Variable(0)
    pairs = [(x < 5.0, lambda: x * 2.0), (x < 3.0, lambda: x * 3.0), (x > 7.0, lambda: x)]
    y = gp.case(pairs, default=lambda: -x, exclusive=True)
    last = gp.case(pairs[:2], exclusive=True)  # of the last predicate TensorFlow takes no account
    with gp.control_dependencies([y]):
        more = count.assign_add(1)
    sess = gp.Session()
    sess.run(count.initializer)
    assert [sess.run(y, {x: v}) for v in (4.0, 6.0, 9.0)] == [8.0, -6.0, 9.0]
    assert sess.run(last, {x: 2.0}) == 4.0
    said = r"exclusive=True: more than 1 conditions .*Less.* evaluated as True: \[True True False\]"
    with pytest.raises(gp.errors.InvalidArgumentError, match=said):
        sess.run(more, {x: 2.0})
    assert sess.run(count) == 0


def test_case():
    x = gp.placeholder(gp.float32, [])
    y = gp.case({x < 0.0: lambda: gp.constant(-1), x > 5.0: lambda: gp.constant(1)}, lambda: 0)
    sess = gp.Session()
    assert [sess.run(y, {x: v}) for v in (-3, 9, 2)] == [-1, 1, 0]


@pytest.mark.parametrize(
    "exc, words, arguments",
    [
        (TypeError, "callable", (True, None, None)),
        (TypeError, "Python bool", (True, lambda: 1, lambda: 2)),
        (TypeError, "bool scalar", ([True, False], lambda: 1, lambda: 2)),
        (ValueError, "same type: int32, float32", ("p", lambda: 1, lambda: 2.0)),
        (ValueError, "structures", ("p", lambda: [1, 2], lambda: 1)),
        (ValueError, "must return", ("p", lambda: None, lambda: None)),
    ],
)
def test_bad_conds(exc, words, arguments):
    pred = gp.placeholder(gp.bool, []) if arguments[0] == "p" else arguments[0]
    with pytest.raises(exc, match=f"(?s){words}.*test_control_flow.py"):
        gp.cond(pred, *arguments[1:])


# ---- while ---------------------------------------------------------------------------------------


def test_while(config):
    n = gp.placeholder(gp.int32, [])
    i, (a, b) = gp.while_loop(
        lambda i, ab: i < n, lambda i, ab: (i + 1, (ab[1], ab[0] + ab[1])), (0, (0, 1))
    )
    sess = gp.Session(config=config)
    for k, want in ((0, 0), (1, 1), (10, 55), (30, 832040)):
        assert sess.run([i, a], {n: k}) == [k, want]


def test_one_loop_variable(config):
    y = gp.while_loop(lambda x: x < 100.0, lambda x: x * 3.0, [2.0])
    assert gp.Session(config=config).run(y) == 162.0
    y = gp.while_loop(lambda x: x < 100.0, lambda x: [x * 3.0], [2.0], return_same_structure=True)
    assert isinstance(y, list)
    y = gp.while_loop(lambda x: x < 100.0, lambda x: x * 3.0, 2.0, maximum_iterations=2)
    assert gp.Session(config=config).run(y) == 18.0


def test_loops_in_loops(config):
    def outer(i, total):
        _, row = gp.while_loop(lambda j, s: j < i, lambda j, s: (j + 1, s + i * j), [0, 0])
        return i + 1, gp.cond(gp.equal(i % 2, 0), lambda: total + row, lambda: total)

    _, total = gp.while_loop(lambda i, t: i < 9, outer, [0, 0])
    want = sum(sum(i * j for j in range(i)) for i in range(0, 9, 2))
    assert gp.Session(config=config).run(total) == want


def test_variables_in_loops(config):
    v = gp.Variable(1.0)

    def body(i):
        with gp.control_dependencies([v.assign_add(gp.cast(i, gp.float32))]):
            return i + 1

    done = gp.while_loop(lambda i: i < 5, body, [0])
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    assert sess.run(done) == 5
    assert sess.run(v) == 11.0


def test_random_numbers_differ_from_trip_to_trip(config):
    def body(i, x, y):
        return i + 1, y, gp.random_uniform([], seed=3)

    _, a, b = gp.while_loop(lambda i, x, y: i < 4, body, [0, 0.0, 0.0])
    a, b = gp.Session(config=config).run([a, b])
    assert a != b


def test_gradients_of_while(config):
    check_derivatives(
        lambda x: gp.reduce_sum(
            gp.while_loop(
                lambda i, z: gp.reduce_sum(z * z) < 50.0,
                lambda i, z: (i + 1, z * (1.0 + x * x) + gp.sin(x)),
                [0, x],
            )[1]
        ),
        [0.4, -0.7],
        config,
    )


def test_gradients_of_nested_loops():
    def outer(i, z):
        inner = gp.while_loop(lambda j, s: j < i, lambda j, s: (j + 1, s * z), [0, z])[1]
        return i + 1, gp.cond(i > 1, lambda: inner * 0.5, lambda: inner)

    check_derivatives(lambda x: gp.while_loop(lambda i, z: i < 3, outer, [0, x])[1], 0.9)


def test_the_same_tensor_twice():
    check_derivatives(
        lambda x: gp.while_loop(lambda a, b: a < 10.0, lambda a, b: (a * b, b), [x, x])[0], 1.7
    )


@pytest.mark.parametrize(
    "exc, words, build",
    [
        (TypeError, "callable", lambda: gp.while_loop(1, 2, [0])),
        (ValueError, "No loop variables", lambda: gp.while_loop(lambda: True, lambda: (), [])),
        (TypeError, "bool scalar", lambda: gp.while_loop(lambda i: i, lambda i: i, [0])),
        (ValueError, "nested structure", lambda: gp.while_loop(
            lambda i, j: i < 1, lambda i, j: (i, (j, j)), [0, 0])),
        (TypeError, "int32.*float32", lambda: gp.while_loop(
            lambda i: i < 1, lambda i: gp.cast(i, gp.float32), [0])),
        (ValueError, "not an invariant.*\\(2,\\).*\\(4,\\)", lambda: gp.while_loop(
            lambda x: gp.reduce_sum(x) < 1.0, lambda x: gp.concat([x, x], 0),
            [gp.constant([1.0, 2.0])])),
    ],
)  # fmt: skip
def test_bad_loops(exc, words, build):
    with pytest.raises(exc, match=f"(?s){words}.*test_control_flow.py"):
        build()


def test_what_is_inside_stays_inside():
    inside = []

    def body(i):
        inside.append(i + 1)
        return inside[0]

    gp.while_loop(lambda i: i < 5, body, [0])
    with pytest.raises(ValueError, match="inside of a loop or conditional"):
        inside[0] + 1
    with pytest.raises(ValueError, match="inside a loop or conditional: return it"):
        gp.Session().run(inside[0])


def test_an_error_inside_changes_no_variable(config):
    v = gp.Variable(1.0)
    x = gp.placeholder(gp.int32, [])
    y = gp.while_loop(lambda i: i > -3, lambda i: i - 1 + 0 * (7 // i), [x])
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    with pytest.raises(gp.errors.InvalidArgumentError, match="division by zero.*test_control"):
        sess.run([y, v.assign(5.0)], {x: 3})
    assert sess.run(v) == 1.0


@pytest.mark.usefixtures("no_collector")
def test_an_endless_loop_can_be_stopped():
    y = gp.while_loop(lambda i: i > -1, lambda i: (i + 1) % 1000, [0])
    v = gp.Variable(1.0)
    sess = gp.Session()
    sess.run(v.initializer)
    old = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    start = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            sess.run([y, v.assign(5.0)])
    finally:
        timer.join()
        signal.signal(signal.SIGINT, old)
    assert time.monotonic() - start < 5
    assert sess.run(v) == 1.0


# ---- loops over rows -----------------------------------------------------------------------------

X = np.array([[1.0, 2.0], [3.0, -1.0], [0.5, 4.0]])


def test_map(config):
    x = gp.placeholder(gp.float64, [None, 2])
    y = gp.map_fn(lambda r: gp.reduce_sum(r * r), x)
    two = gp.map_fn(lambda rs: (rs[0] + rs[1], gp.cast(rs[0][0] > 1.0, gp.int32)), (x, x),
                    dtype=(gp.float64, gp.int32))  # fmt: skip
    sess = gp.Session(config=config)
    for n in (3, 1, 0):
        np.testing.assert_allclose(sess.run(y, {x: X[:n]}), (X[:n] ** 2).sum(1))
        a, b = sess.run(two, {x: X[:n]})
        np.testing.assert_array_equal(a, 2 * X[:n])
        np.testing.assert_array_equal(b, X[:n, 0] > 1)


def test_random_numbers_differ_from_row_to_row(config):
    y = gp.map_fn(lambda r: r * 0.0 + gp.random_uniform([], seed=3), gp.zeros([5]))
    assert len(set(gp.Session(config=config).run(y))) == 5


def test_scan_and_folds(config):
    x = gp.placeholder(gp.float64, [None, 2])
    sums = gp.scan(lambda a, r: a + r, x)
    pair = gp.scan(lambda a, r: (a[0] * 0.5 + r[0], a[1] + 1), x, (np.float64(1.0), 0))
    back = gp.scan(lambda a, r: a * 0.5 + r[1], x, np.float64(0.0), reverse=True)
    ends = gp.foldl(lambda a, r: a * 2.0 + r, x), gp.foldr(lambda a, r: a * 2.0 + r, x)
    got = gp.Session(config=config).run([sums, *pair, back, *ends], {x: X})
    np.testing.assert_allclose(got[0], np.cumsum(X, 0))
    np.testing.assert_allclose(got[1], [1.5, 3.75, 2.375])
    np.testing.assert_array_equal(got[2], [1, 2, 3])
    np.testing.assert_allclose(got[3], [2.0 + 0.5 * (-1.0 + 0.5 * 4.0), -1.0 + 0.5 * 4.0, 4.0])
    np.testing.assert_allclose(got[4], (X[0] * 2 + X[1]) * 2 + X[2])
    np.testing.assert_allclose(got[5], (X[2] * 2 + X[1]) * 2 + X[0])


def test_gradients_of_scan(config):
    for reverse in (False, True):
        check_derivatives(
            lambda x, reverse=reverse: gp.reduce_sum(
                gp.square(
                    gp.scan(lambda a, r: gp.tanh(a * x[0, 0] + r), x, x[0] * 0.1, reverse=reverse)
                )
            ),
            X,
            config,
        )


def test_gradients_of_map(config):
    check_derivatives(
        lambda x: gp.reduce_sum(gp.map_fn(lambda r: gp.exp(r) * gp.reduce_sum(x * x[0, 1]), x)),
        X * 0.2,
        config,
    )


def test_training_a_recurrent_net(config):
    """A step of gradient descent through a scan is that of the unrolled net."""
    rng = np.random.default_rng(0)
    data = rng.standard_normal((5, 3, 2))
    losses = []
    for unrolled in (False, True):
        w = gp.Variable(rng.standard_normal((4, 4)) * 0 + 0.3)
        u = gp.Variable(np.full((2, 4), 0.2))
        x = gp.placeholder(gp.float64, [5, 3, 2])

        def cell(h, row, w=w, u=u):
            return gp.tanh(gp.matmul(h, w) + gp.matmul(row, u))

        h = gp.zeros([3, 4], gp.float64)
        if unrolled:
            for t in range(5):
                h = cell(h, x[t])
        else:
            h = gp.foldl(cell, x, h)
        loss = gp.reduce_mean(gp.square(h - 0.5))
        train = gp.train.GradientDescentOptimizer(0.5).minimize(loss, var_list=[w, u])
        sess = gp.Session(config=config)
        sess.run(gp.variables_initializer([w, u]))
        step = sess.make_callable([loss, train], [x])
        losses.append([step(data)[0] for _ in range(10)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-12)
    assert losses[0][-1] < losses[0][0]


@pytest.mark.parametrize(
    "exc, words, build",
    [
        (TypeError, "callable", lambda: gp.map_fn(1, X)),
        (ValueError, "rows, not be scalars", lambda: gp.map_fn(lambda r: r, 1.0)),
        (ValueError, "3 and 2 rows", lambda: gp.map_fn(lambda r: r[0] + r[1], (X, X[:2]))),
        (ValueError, "another structure", lambda: gp.scan(lambda a, r: (a, a), X, 0.0)),
        (ValueError, "not an invariant", lambda: gp.scan(lambda a, r: r, X, np.float64(0.0))),
        (ValueError, "1 dtypes for 2", lambda: gp.map_fn(lambda r: (r, r), X, dtype=gp.float64)),
    ],
)
def test_bad_scans(exc, words, build):
    with pytest.raises(exc, match=f"(?s){words}.*test_control_flow.py"):
        build()


def test_plan_shows_what_belongs_to_a_loop():
    y = gp.while_loop(lambda x: x < 100.0, lambda x: x * 3.0, [2.0])
    text = str(gp.Session().plan(y))
    assert "while_loop" in text and "  tile_small" in text.split("while_loop")[1]


# ---- TensorArray ---------------------------------------------------------------------------------


def test_arrays_are_filled_in_loops(config):
    n, x = gp.placeholder(gp.int32, []), gp.placeholder(gp.float32, [None])

    def body(i, array):
        return i + 1, array.write(i, x * gp.cast(i, gp.float32))

    _, array = gp.while_loop(lambda i, a: i < n, body, [0, gp.TensorArray(gp.float32, size=n)])
    sess = gp.Session(config=config)
    for rows, cols in ((4, 3), (2, 1), (0, 2)):
        a = np.arange(cols, dtype=np.float32)
        got = sess.run([array.stack(), array.size()], {n: rows, x: a})
        np.testing.assert_array_equal(got[0], np.outer(np.arange(rows), a))
        assert got[1] == rows


def test_arrays_outside_loops(config):
    a = gp.TensorArray(gp.float64, 3).unstack(X)
    b = a.write(1, [7.0, 8.0])
    got = gp.Session(config=config).run([a.read(1), b.read(1), b.concat(), a.stack()])
    np.testing.assert_array_equal(got[0], X[1])
    np.testing.assert_array_equal(got[1], [7, 8])
    np.testing.assert_array_equal(got[2], [1, 2, 7, 8, 0.5, 4])
    np.testing.assert_array_equal(got[3], X)


def test_gradients_through_arrays(config):
    def build(x):
        source = gp.TensorArray(gp.float64, 3).unstack(x)

        def body(i, h, out):
            h = gp.tanh(h * source.read(i))
            return i + 1, h, out.write(2 - i, h * h)

        _, h, out = gp.while_loop(
            lambda i, h, a: i < 3, body, [0, x[0], gp.TensorArray(gp.float64, 3)]
        )
        return gp.reduce_sum(h) + gp.reduce_sum(out.stack() * x)

    check_derivatives(build, X, config)


def test_an_array_is_written_in_its_place():
    def body(i, a):
        return i + 1, a.write(i, gp.cast(i, gp.float32))

    array = gp.TensorArray(gp.float32, 1000, element_shape=[])
    _, done = gp.while_loop(lambda i, a: i < 1000, body, [0, array])
    sess = gp.Session()
    np.testing.assert_array_equal(sess.run(done.stack()), np.arange(1000))
    inside = str(sess.plan(done.stack())).split("while_loop")[1].split("write_row")
    assert len(inside) == 2 and not any("f32[1000]" in part for part in inside[:1])


@pytest.mark.parametrize(
    "exc, words, build",
    [
        (ValueError, "Size must be", lambda: gp.TensorArray(gp.float32)),
        (TypeError, "int32.*float32", lambda: gp.TensorArray(gp.float32, 1).write(
            0, gp.constant(1))),
        (ValueError, "(2,).*(3,)", lambda: gp.TensorArray(
            gp.float32, 2, element_shape=[3]).write(0, [1.0, 2.0])),
    ],
)  # fmt: skip
def test_bad_arrays(exc, words, build):
    with pytest.raises(exc, match=f"(?s){words}.*test_control_flow.py"):
        build()


def test_rows_out_of_range():
    i = gp.placeholder(gp.int32, [])
    array = gp.TensorArray(gp.float64, 3).unstack(X)
    sess = gp.Session()
    for bad in (3, -1):
        for y in (array.read(i), array.write(i, [0.0, 0.0]).stack()):
            with pytest.raises(gp.errors.InvalidArgumentError, match=f"{bad}.*\\[0, 3\\)"):
                sess.run(y, {i: bad})


# ---- Python in the graph, and assertions ---------------------------------------------------------


def test_py_func(config):
    x = gp.placeholder(gp.float32, [None])

    def split(a):
        return a[a > 0], np.int64((a <= 0).sum()), np.ones((2, a.size, 1), bool)

    up, rest, ones = gp.py_func(split, [x], [gp.float32, gp.int64, gp.bool])
    total = gp.reduce_sum(up) * 2.0
    sess = gp.Session(config=config)
    for a in ([1.0, -2.0, 3.0], [-1.0], [], [4.0, 5.0]):
        got = sess.run([up, rest, ones, total], {x: a})
        want = split(np.array(a, np.float32))
        for g, w in zip(got, want, strict=False):
            np.testing.assert_array_equal(g, w)
        assert got[3] == 2 * want[0].sum()


def test_py_func_without_results():
    seen = []
    call = gp.py_func(seen.append, [gp.constant(3)], [])
    assert isinstance(call, gp.Operation)
    gp.Session().run(call)
    gp.Session().run([call, gp.constant(1)])
    assert [int(s) for s in seen] == [3, 3]


def test_py_func_in_a_loop():
    y = gp.while_loop(
        lambda i, s: i < 4, lambda i, s: (i + 1, s + gp.cond(i > 1, lambda: i, lambda: 0)), [0, 0]
    )[1]
    total = gp.py_func(lambda a: a + 1, [y], gp.int32)
    assert gp.Session().run(total) == 6


def fail_with(error):
    def fail(x):
        raise error

    return fail


@pytest.mark.parametrize(
    "function, exc, words",
    [
        (
            lambda x: x.astype("f8"),
            gp.errors.InvalidArgumentError,
            "value 0 is float64.*float32",
        ),
        (lambda x: (x, x), gp.errors.InvalidArgumentError, "2 values, Tout has 1"),
        (lambda x: x[:0], gp.errors.InvalidArgumentError, r"value 0 has shape \(0,\).*\(1,\)"),
        (lambda x: 1 // 0, gp.errors.UnknownError, "ZeroDivisionError: integer division"),
        (lambda x: int("x"), gp.errors.InvalidArgumentError, "ValueError: invalid literal"),
        (lambda x: len(1), gp.errors.InvalidArgumentError, "TypeError: object of type 'int'"),
        (lambda x: next(iter([])), gp.errors.OutOfRangeError, "StopIteration"),
        (fail_with(NotImplementedError("no")), gp.errors.UnimplementedError, "fail: NotImpl.*no"),
        (fail_with(MemoryError()), gp.errors.ResourceExhaustedError, "MemoryError"),
        (fail_with(gp.errors.DataLossError(None, None, "lost")), gp.errors.DataLossError, "lost"),
        (fail_with(KeyboardInterrupt("now")), KeyboardInterrupt, "now"),
    ],
)
def test_py_func_that_fails(function, exc, words):
    """TensorFlow's classes; what the function raised is their cause, with its own traceback."""
    v = gp.Variable(1.0)
    y = gp.py_func(function, [gp.constant([1.0])], gp.float32)
    y.set_shape([1])
    sess = gp.Session()
    sess.run(v.initializer)
    with pytest.raises(exc, match=words) as caught:
        sess.run([y, v.assign(2.0)])
    assert sess.run(v) == 1.0
    cause = caught.value.__cause__
    if cause is not None:
        while cause.__traceback__.tb_next is not None:
            cause.__traceback__ = cause.__traceback__.tb_next
        assert cause.__traceback__.tb_frame.f_code.co_filename == __file__
    if exc is not KeyboardInterrupt and words != "lost":
        assert "test_control_flow.py" in str(caught.value) and "PyFunc" in str(caught.value)


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda: gp.assert_equal(1, 2, message="sizes"), r"sizes .*== y .* = \[1\] .* = \[2\]"),
        (lambda: gp.assert_less([1, 2], [2, 2], data=["told", [7]]), r"failed: told \[7\] \(at "),
        (lambda: gp.assert_positive([3, 1, 0, 4], summarize=2), r"x > 0 .* = \[3 1...\]"),
        (lambda: gp.assert_equal(gp.shape(gp.zeros([2, 3])), [2, 4]), r"\[2 3\].*\[2 4\]"),
    ],
)
def test_constants_are_checked_at_once(build, words):
    with pytest.raises(gp.errors.InvalidArgumentError, match=words) as caught:
        build()
    assert "test_control_flow.py" in str(caught.value)
    gp.assert_less([1, 2], [2, 3])  # holds


def test_assertions(config):
    x = gp.placeholder(gp.float32, [None])
    v = gp.Variable(1.0)
    checks = {
        gp.assert_positive(x): ([1.0], [1.0, 0.0]),
        gp.assert_less(x, 3.0, message="too large"): ([2.0], [1.0, 3.0, 5.0, 6.0]),
        gp.Assert(gp.reduce_sum(x) > 0.0, ["sum of", x], summarize=2): ([1.0], [-1.0, 0.0, 0.5]),
    }
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    for check, (good, bad) in checks.items():
        with gp.control_dependencies([check]):
            y = gp.identity(x)
        np.testing.assert_array_equal(sess.run(y, {x: good}), good)
        with pytest.raises(gp.errors.InvalidArgumentError, match="assertion failed.*test_control"):
            sess.run([y, v.assign(5.0)], {x: bad})
        assert sess.run(v) == 1.0
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"too large.*\[1.0 3.0 5.0\.\.\.\]"):
        sess.run(list(checks)[1], {x: [1.0, 3.0, 5.0, 6.0]})


def test_ranks():
    gp.assert_rank(gp.zeros([2]), 1)
    with pytest.raises(ValueError, match="rank 2"):
        gp.assert_rank(gp.zeros([2]), 2)


def test_one_of_the_predicates_has_to_hold_without_a_default(unoptimised):
    x = gp.placeholder(gp.float32, [])
    y = gp.case([(x < 0.0, lambda: -x), (x > 9.0, lambda: x * 2.0)])
    g = gp.gradients(y, x)[0]
    for config in (None, unoptimised):
        with gp.Session(config=config) as sess:
            assert [sess.run([y, g], {x: v}) for v in (-2.0, 10.0)] == [[2.0, -1.0], [20.0, 2.0]]
            with pytest.raises(
                gp.errors.InvalidArgumentError,
                match=r"None of conditions evaluated as True: \[False False\]",
            ):
                sess.run(y, {x: 3.0})


def test_what_was_there_before_waits_for_its_predicate_too():
    x = gp.placeholder(gp.float32, [])
    alone = gp.case([(x < 0.0, lambda: x)])
    several = gp.case(
        [(x < 0.0, lambda: {"a": x, "b": [x, 1]}), (x > 9.0, lambda: {"a": x, "b": [x, 2]})]
    )
    with gp.Session() as sess:
        assert sess.run([alone, several], {x: -2.0}) == [-2.0, {"a": -2.0, "b": [-2.0, 1]}]
        for y in (alone, several):
            with pytest.raises(gp.errors.InvalidArgumentError, match="None of conditions"):
                sess.run(y, {x: 3.0})


def test_a_single_loop_variable_of_several_tensors_keeps_its_structure():
    Pair = namedtuple("Pair", "i a")
    loop = lambda p: (Pair(p.i + 1, p.a * 2),)  # noqa: E731
    (p,) = gp.while_loop(lambda p: p.i < 3, loop, [Pair(gp.constant(0), gp.constant(1))])
    alone = gp.while_loop(lambda i: i < 3, lambda i: i + 1, [0])
    with gp.Session() as sess:
        assert sess.run(p) == Pair(3, 8) and sess.run(alone) == 3


# ---- numbers that are none -----------------------------------------------------------------------


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_are_checked(bad, unoptimised):
    x = gp.placeholder(gp.float32, [None])
    checked = [
        gp.check_numerics(x, "seen"),
        gp.verify_tensor_all_finite(x, "seen"),
        gp.verify_tensor_all_finite(x=x, message="seen"),
    ]
    assert [t.op.name for t in checked] == ["CheckNumerics", "VerifyFinite", "VerifyFinite_1"]
    for config in (None, unoptimised):
        with gp.Session(config=config) as sess:
            for y in checked:
                g = gp.gradients(y * y, x)[0]
                assert sess.run(y, {x: [1.0, 2.0]}).tolist() == [1.0, 2.0]
                assert sess.run(g, {x: [1.0, 2.0]}).tolist() == [2.0, 4.0]
                assert sess.run(y, {x: []}).tolist() == []
                with pytest.raises(
                    gp.errors.InvalidArgumentError, match="seen : Tensor had NaN or Inf values"
                ):
                    sess.run(y, {x: [1.0, bad]})


def test_all_numbers_of_a_graph_are_checked():
    v = gp.Variable([1.0, 2.0], name="v")
    x = gp.placeholder(gp.float32, [], name="x")
    train = v.assign(v * gp.log(x, name="bad"))
    check = gp.add_check_numerics_ops()
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        sess.run([train, check], {x: np.e})
        with pytest.raises(gp.errors.InvalidArgumentError, match="bad:0 : Tensor had NaN or Inf"):
            sess.run([train, check], {x: 0.0})
        np.testing.assert_allclose(sess.run(v), [1.0, 2.0], 1e-6)
