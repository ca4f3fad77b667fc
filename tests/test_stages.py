"""Shapes that depend on values: fed sizes, and programs cut into stages."""

import threading

import numpy as np
import pytest

import gradplan as gp
from gradplan.ops.array import take_first

UNOPTIMISED = gp.ConfigProto(optimize=False)
X = np.array([1.0, -2.0, 3.0, -4.0, 5.0], np.float32)


@pytest.fixture(params=[None, UNOPTIMISED], ids=["optimised", "unoptimised"])
def config(request):
    return request.param


@pytest.fixture(autouse=True)
def graph():
    with gp.Graph().as_default() as g:
        yield g


def positives(x):
    """As many elements of x, the first ones, as are above zero: a size that only a run can tell."""
    return take_first(x, gp.reduce_sum(gp.cast(x > 0.0, gp.int32)))


def test_a_fed_size(config):
    n = gp.placeholder(gp.int32, [])
    y = gp.zeros([n, 2]) + 1.0
    sess = gp.Session(config=config)
    for k in (3, 0, 7, 3):
        assert sess.run(y, {n: k}).shape == (k, 2)


def test_arithmetic_on_a_fed_size(config):
    n, x = gp.placeholder(gp.int32, []), gp.placeholder(gp.float32, [None])
    y = gp.reshape(x, [n * 2, -1])
    step = gp.Session(config=config).make_callable(y, [n, x])
    for k in (1, 3, 2, 3):
        np.testing.assert_array_equal(step(k, np.arange(12)), np.arange(12).reshape(2 * k, -1))
    assert len(step.plans) == 1  # bound for the size; nothing runs before it


def test_a_fed_shape(config):
    dims = gp.placeholder(gp.int32, [2])
    y = gp.fill(dims, 7)
    sess = gp.Session(config=config)
    for shape in ((2, 3), (3, 2), (0, 5)):
        np.testing.assert_array_equal(sess.run(y, {dims: shape}), np.full(shape, 7))
    with pytest.raises(gp.errors.InvalidArgumentError, match="negative"):
        sess.run(y, {dims: (-1, 2)})
    assert sess.run(y, {dims: (1, 1)}).shape == (1, 1)


def test_a_shape_fed_without_its_rank(config):
    x, dims = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.int64, [None])
    sess = gp.Session(config=config)
    assert sess.run(gp.reshape(x, dims), {x: X[:4], dims: [2, 2]}).shape == (2, 2)
    assert sess.run(gp.reshape(x, dims), {x: X[:4], dims: [1, 2, 2]}).shape == (1, 2, 2)


def test_a_computed_size(config):
    x = gp.placeholder(gp.float32, [None])
    step = gp.Session(config=config).make_callable(positives(x) * 2.0, [x])
    for a in (X, -X, X[:0], np.ones(9, np.float32), X):
        np.testing.assert_array_equal(step(a), 2 * a[: (a > 0).sum()])
    assert len(step.plans) == 2


def test_sizes_after_sizes(config):
    x = gp.placeholder(gp.float32, [None])
    once = positives(x) - 1.5
    twice = positives(once)
    step = gp.Session(config=config).make_callable([twice, once, gp.shape(twice), x + 1.0], [x])
    first = X[:3] - 1.5
    got = step(X)
    assert len(step.plans) == 3
    for a, b in zip(got, (first[:1], first, [1], X + 1), strict=True):
        np.testing.assert_array_equal(a, b)


def test_gradients_cross_stages(config):
    x = gp.placeholder(gp.float64, [None])
    w = gp.Variable(np.float64(3))
    loss = gp.reduce_mean(gp.square(positives(x) * w))
    first = gp.gradients(loss, [x, w])
    second = gp.gradients(gp.reduce_sum(first[0]), w)
    sess = gp.Session(config=config)
    sess.run(w.initializer)
    dx, dw, d2 = sess.run([*first, *second], {x: X})
    want = np.zeros(5)
    want[:3] = 2 * X[:3] * 9 / 3
    np.testing.assert_allclose(dx, want)
    np.testing.assert_allclose(dw, (2 * X[:3] ** 2 * 3).mean())
    np.testing.assert_allclose(d2[0] if isinstance(d2, list) else d2, (4 * X[:3] * 3 / 3).sum())


def test_training_through_stages(config):
    x = gp.placeholder(gp.float32, [None])
    w = gp.Variable(2.0)
    loss = gp.reduce_sum(positives(x) * w)
    train = gp.train.GradientDescentOptimizer(0.5).minimize(loss)
    sess = gp.Session(config=config)
    sess.run(gp.global_variables_initializer())
    step = sess.make_callable([loss, train], [x])
    value, _ = step(X)
    assert value == 4.0
    assert sess.run(w) == 2.0 - 0.5 * X[:3].sum()


def test_reads_see_the_start_of_the_run(config):
    """Though the size depends on the new value, and so the variable is written in stage 0."""
    n = gp.Variable(1)
    x = gp.constant(X)
    old = n.read_value()
    cut = take_first(x, gp.assign_add(n, 1))
    both = gp.reduce_sum(cut) * 0.0 + gp.cast(old, gp.float32)
    sess = gp.Session(config=config)
    sess.run(n.initializer)
    for k in (1, 2, 3):
        a, b = sess.run([both, cut])
        assert a == k and len(b) == k + 1


def test_effects_happen_once_and_late(config):
    x = gp.placeholder(gp.float32, [None])
    runs = gp.Variable(0)
    count = gp.assign_add(runs, 1)
    with gp.control_dependencies([count]):
        y = positives(x) + 0.0
    wrong = gp.reshape(positives(x), [2, -1])
    sess = gp.Session(config=config)
    sess.run(runs.initializer)
    sess.run(y, {x: X})
    assert sess.run(runs) == 1
    with pytest.raises(gp.errors.InvalidArgumentError, match="Reshape"):
        sess.run([wrong, count], {x: X})
    assert sess.run(runs) == 1


def test_random_numbers_are_drawn_once(config):
    x = gp.random_uniform([100], -1.0, 1.0, seed=1)
    y, n = positives(x), gp.reduce_sum(gp.cast(x > 0.0, gp.int32))
    a, b, whole = gp.Session(config=config).run([y, n, x])
    assert len(a) == b == (whole > 0).sum()
    np.testing.assert_array_equal(a, whole[:b])


def test_a_size_out_of_range_names_its_operation(config):
    n, x = gp.placeholder(gp.int32, []), gp.constant(X)
    y = take_first(x, n * n)
    sess = gp.Session(config=config)
    with pytest.raises(gp.errors.InvalidArgumentError, match="TakeFirst.*9 rows.*test_stages.py"):
        sess.run(y, {n: 3})
    assert len(sess.run(y, {n: 2})) == 4


def test_loop_through_stages(config):
    x = gp.placeholder(gp.float32, [None])
    total = gp.Variable(0.0)
    step = gp.Session(config=config)
    step.run(total.initializer)
    call = step.make_callable(total.assign_add(gp.reduce_sum(positives(x))), [x])
    seen = []
    sums = call.loop([np.arange(6.0)], 2, shuffle=False, epochs=2, every=0, on_progress=seen.append)
    np.testing.assert_array_equal(sums, np.cumsum([0.0, 5.0, 9.0, 0.0, 5.0, 9.0]))
    assert seen == [1, 2, 3, 4, 5]
    assert len(call.loop([np.arange(6.0)], 2, on_progress=lambda n: True, every=0)) == 1


def test_threads_do_not_mix_stages():
    x = gp.placeholder(gp.float32, [None])
    runs = gp.Variable(0)
    size = gp.assign_add(runs, 1)
    with gp.control_dependencies([size]):
        again = runs.read_value()
    cut = gp.reduce_sum(take_first(x, size % 3)) * 0.0 + gp.cast(again, gp.float32)
    sess = gp.Session()
    sess.run(runs.initializer)
    step = sess.make_callable(cut, [x])
    results = [[], [], []]

    def work(mine):
        for _ in range(50):
            mine.append(int(step(X)))

    threads = [threading.Thread(target=work, args=(r,)) for r in results]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(sum(results, [])) == list(range(1, 151))


def test_feeds_in_the_place_of_constants(config):
    """What was found by their values while the graph was built is found anew."""
    dims, n, start = gp.constant([2, 3]), gp.constant(3), gp.constant(0.5)
    x, v = gp.placeholder(gp.float32, [None]), gp.Variable(1.0)
    ones = gp.zeros(dims) + 1.0
    count = gp.reduce_sum(ones) * gp.cast(gp.size(ones), gp.float32)
    rows = gp.reshape(x, [-1, dims[1]])
    slope = gp.gradients(gp.reduce_sum(rows * rows), x)[0]
    chosen = gp.cond(n > 2, lambda: v.assign_add(1.0), lambda: v.assign_sub(5.0))
    power = gp.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, a * 2.0), [0, 1.0])[1]
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    got = sess.run([ones, gp.shape(ones), count], {dims: [1, 2]})
    assert got[0].tolist() == [[1.0, 1.0]] and got[1].tolist() == [1, 2] and got[2] == 4.0
    got = sess.run([rows, slope], {x: np.arange(8), dims: [0, 4]})
    assert got[0].shape == (2, 4) and got[1].tolist() == list(range(0, 16, 2))
    assert sess.run(count) == 36.0  # without a feed they are what they were
    assert sess.run(chosen, {n: 1}) == -4.0 and sess.run(chosen) == -3.0
    step = sess.make_callable([gp.range(n), power, start * 2.0], [n, start])
    for fed, base in ((2, 1.0), (4, -3.0)):
        got = step(fed, base)
        assert got[0].tolist() == list(range(fed)) and got[1:] == [2.0**fed, 2.0 * base]
    assert sess.run([dims, n, gp.shape(ones)], {dims: [7, 7]})[0].tolist() == [7, 7]
    with pytest.raises(gp.errors.InvalidArgumentError, match="reshape a tensor with 8 elements"):
        sess.run(rows, {x: np.arange(8), dims: [0, 3]})


def test_a_sparse_placeholder_of_known_shape_is_fed_it(config):
    sparse = gp.sparse_placeholder(gp.float32, [2])
    dense = gp.sparse_tensor_to_dense(sparse)
    value = gp.SparseTensorValue([[1]], [3.0], [2])
    assert gp.Session(config=config).run(dense, {sparse: value}).tolist() == [0.0, 3.0]
