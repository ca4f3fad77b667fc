"""Many steps in one call: the same bits as single calls, and all is checked before the first."""

import _thread
import threading
import time

import numpy as np
import pytest

import gradplan as gp

ROWS = 103


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, 5)).astype("f"), rng.integers(0, 3, ROWS).astype("i4")


def training():
    """A session, its step of loss and update, and its variables."""
    gp.reset_default_graph()
    gp.set_random_seed(1)
    x = gp.placeholder(gp.float32, [None, 5])
    y = gp.placeholder(gp.int32, [None])
    h = gp.nn.relu(gp.matmul(x, gp.get_variable("w", [5, 16])) + gp.get_variable("b", [16]))
    logits = gp.matmul(h, gp.get_variable("v", [16, 3]))
    loss = gp.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    loss = gp.reduce_mean(loss)
    train = gp.train.AdamOptimizer(0.01).minimize(loss)
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    return sess, sess.make_callable([loss, train], [x, y]), gp.global_variables()


def rows_of(epochs, batch, shuffle, seed, drop):
    """The rows of every step, as the documentation says."""
    for e in range(epochs):
        rng = np.random.default_rng([seed, e])
        order = rng.permutation(ROWS) if shuffle else np.arange(ROWS)
        for i in range(0, ROWS, batch):
            rows = order[i : i + batch]
            if len(rows) == batch or not drop:
                yield rows


@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize("drop", [True, False])
@pytest.mark.parametrize("batch", [1, 10, 103])
def test_a_loop_gives_the_bits_of_single_calls(data, shuffle, drop, batch):
    x, y = data
    sess, step, variables = training()
    want = [step(x[r], y[r])[0] for r in rows_of(2, batch, shuffle, 7, drop)]
    end = sess.run(variables)
    sess, step, variables = training()
    losses, nothing = step.loop([x, y], batch, 2, shuffle=shuffle, seed=7, drop_remainder=drop)
    assert nothing is None and losses.tolist() == want
    for a, b in zip(sess.run(variables), end, strict=True):
        np.testing.assert_array_equal(a, b)


def test_steps_instead_of_epochs(data):
    x, y = data
    _, step, _ = training()
    want = [step(x[r], y[r])[0] for r in rows_of(3, 10, True, 3, False)][:25]
    _, step, _ = training()
    assert step.loop([x, y], 10, steps=25, seed=3)[0].tolist() == want


def test_arrays_are_converted_as_a_whole(data):
    x, y = data
    _, step, _ = training()
    want = step.loop([x, y], 10, seed=1)[0]
    _, step, _ = training()
    got = step.loop([np.asfortranarray(x.astype("f8")), y.astype("i8").tolist()], 10, seed=1)[0]
    np.testing.assert_array_equal(got, want)


def test_a_memory_map_is_read_where_it_lies(data, tmp_path):
    x, y = data
    mapped = np.memmap(tmp_path / "x", "f", "w+", shape=x.shape)
    mapped[:] = x
    _, step, _ = training()
    want = step.loop([x, y], 10, seed=1)[0]
    _, step, _ = training()
    np.testing.assert_array_equal(step.loop([mapped, y], 10, seed=1)[0], want)


def test_feeds_that_are_the_same_in_every_step():
    x, rate = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.float32, [])
    total = gp.Variable(0.0)
    sess = gp.Session()
    sess.run(total.initializer)
    step = sess.make_callable({"t": total.assign_add(rate * gp.reduce_sum(x))}, [x, rate])
    assert step.loop([np.ones(6), 0.5], 3)["t"].tolist() == [1.5, 3.0]


def test_progress_is_reported_though_epochs_are_short():
    x = gp.placeholder(gp.float32, [None])
    seen = []
    step = gp.Session().make_callable(gp.reduce_sum(x), [x])

    def progress(done):
        seen.append(done)
        return len(seen) == 3

    sums = step.loop([np.ones(13)], 10, steps=10**7, on_progress=progress, every=0.01)
    assert len(sums) == seen[-1] and seen == sorted(seen)
    assert sums[:4].tolist() == [10, 3, 10, 3]


def test_progress_may_stop_the_loop(data):
    seen = []

    def progress(step):
        seen.append(step)
        return step >= 2000

    _, step, _ = training()
    losses, _ = step.loop(data, 10, steps=10**7, on_progress=progress, every=0.001)
    assert len(losses) == seen[-1] >= 2000 and seen == sorted(seen)


@pytest.mark.usefixtures("no_collector")
def test_ctrl_c_stops_between_two_steps(data):
    sess, step, variables = training()
    threading.Timer(0.3, _thread.interrupt_main).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        step.loop(data, 10, steps=2 * 10**6)
    assert time.monotonic() - start < 30
    assert all(np.isfinite(v).all() for v in sess.run(variables))
    step(data[0][:10], data[1][:10])


def test_what_cannot_be_is_refused_before_the_first_step(data):
    x, y = data
    sess, step, variables = training()
    before = sess.run(variables)
    cases = [
        (lambda: step.loop([x, y[:50]], 10), ValueError, "differ in length"),
        (lambda: step.loop([x], 10), TypeError, "2 feeds, but 1 arrays"),
        (lambda: step.loop([x, y], 0), ValueError, "batch_size must be from 1 to the 103 rows"),
        (lambda: step.loop([x, y], 104), ValueError, "batch_size"),
        (lambda: step.loop([x, y], 2.5), TypeError, "integer"),
        (lambda: step.loop([x, y], 10, epochs=0), ValueError, "nothing to do"),
        (lambda: step.loop([x[:, :4], y], 10), ValueError, "Cannot feed value of shape"),
        (lambda: step.loop([x, y + 0.5], 10), TypeError, "int32 cannot hold"),
        (lambda: step.loop([x[:0], y[:0]], 1), ValueError, "batch_size"),
    ]
    for call, error, words in cases:
        with pytest.raises(error, match=words):
            call()
    vector = sess.make_callable(gp.placeholder_with_default([1.0, 2.0], [2]), [])
    with pytest.raises(ValueError, match="must be a scalar"):
        vector.loop([], 1)
    for a, b in zip(sess.run(variables), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_label_out_of_range_is_named(data):
    x, y = data
    _, step, _ = training()
    y[50] = 9
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"9 at position 0 is not in \[0, 3\)"):
        step.loop([x, y], 10, shuffle=False)
