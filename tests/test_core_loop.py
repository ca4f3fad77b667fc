"""gradplan._core: many steps in one call."""

import _thread
import threading
import time

import numpy as np
import pytest
from core_plan import RANGE, Failed, Plan, same

from gradplan import _core

rng = np.random.default_rng(1)
OPS = _core.tile_ops()
BATCH, N = 4, 50


def look(plan, number, shape, strides):
    record = plan.bufs[number].copy()
    record["rank"] = len(shape)
    record["dims"][:], record["strides"][:] = 0, 0
    record["dims"][: len(shape)], record["strides"][: len(shape)] = shape, strides
    plan.bufs.append(record)
    return len(plan.bufs) - 1


def training_plan(batch=BATCH, width=3, classes=5):
    """Softmax regression: feeds x, labels, rate; fetches the loss and a count of steps."""
    plan = Plan()
    x = plan.input(np.zeros((batch, width), np.float32))
    labels = plan.input(np.zeros(batch, np.int32))
    rate = plan.input(np.array(0.5, np.float32))
    w = plan.state(np.ones((width, classes), np.float32))
    steps = plan.state(np.zeros((), np.int64))
    loss, count = plan.output(np.float32, ()), plan.output(np.int64, ())
    shapes = [(batch, classes), (batch,), (batch, classes)]
    z, losses, dz = (plan.arena(np.float32, s) for s in shapes)
    plan.call("matmul", [z], [x, w])
    plan.call("sparse_softmax_xent", [losses, dz], [z, labels])
    plan.call("reduce_mean", [look(plan, loss, (1,), (1,))], [losses])
    plan.call("tile", [count], [steps], [1, 0, OPS["copy.i64"], 0, 1, -1, -1])
    one = plan.state(np.ones((), np.int64))
    plan.call("tile", [steps], [steps, one], [1, 0, OPS["add.i64"], 0, 1, 2, -1])
    dw = plan.arena(np.float32, (width, classes))
    plan.call("matmul", [dw], [look(plan, x, (width, batch), (1, width)), dz])
    plan.call("apply_gradient_descent", [w], [rate, dw])
    return plan


@pytest.fixture
def data():
    x = rng.standard_normal((N, 3)).astype(np.float32)
    return x, rng.integers(0, 5, N).astype(np.int32), np.array(0.1, np.float32)


GATHERED = (True, True, False)


def by_hand(data, order, steps):
    plan = training_plan()
    exe = plan.build()
    losses = []
    for i in range(steps):
        rows = order[i * BATCH : (i + 1) * BATCH]
        losses.append(exe.run((data[0][rows], data[1][rows], data[2]))[0])
    return np.array(losses, np.float32), plan.states()[0]


@pytest.mark.parametrize("threads", [1, 2])
def test_same_bits_as_single_calls(data, threads):
    for order in (rng.permutation(N), rng.integers(0, N, 60), np.arange(N), np.zeros(60, np.int64),
                  np.arange(N)[::-1].copy()):  # fmt: skip
        steps = len(order) // BATCH
        losses, w = by_hand(data, order, steps)
        plan = training_plan()
        exe = plan.build(threads=threads)
        (got, counts), done = exe.loop(data, GATHERED, order.astype(np.int64), BATCH, steps)
        same(got, losses)
        same(plan.states()[0], w)
        same(counts, np.arange(steps))
        assert done == steps


def test_consecutive_rows_are_not_copied(data):
    losses, w = by_hand(data, np.arange(N), N // BATCH)
    plan = training_plan()
    exe = plan.build()
    (got, _), done = exe.loop(data, GATHERED, None, BATCH, N // BATCH)
    same(got, losses)
    same(plan.states()[0], w)
    (got, _), done = exe.loop(data, GATHERED, None, BATCH, 0)
    assert done == 0 and len(got) == 0


def test_rows_of_any_width():
    for width in (0, 1, 2, 3, 7, 33):
        plan = Plan()
        x = plan.input(np.zeros((BATCH, width)))
        total = plan.output(np.float64, ())
        plan.call("reduce_sum", [look(plan, total, (1, 1), (1, 1))], [x])
        array = rng.standard_normal((N, width))
        order = rng.permutation(N)[:48]
        (got,), _ = plan.build().loop((array,), (True,), order, BATCH, 12)
        want = array[order].reshape(12, BATCH * width).sum(1)
        np.testing.assert_allclose(got, want, 1e-12, 1e-12)


def test_memory_map(tmp_path, data):
    np.save(tmp_path / "x.npy", data[0])
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    order = rng.permutation(N)[:48]
    losses, _ = by_hand(data, order, 12)
    (got, _), _ = training_plan().build().loop((mapped, *data[1:]), GATHERED, order, BATCH, 12)
    same(got, losses)


def test_what_is_refused_before_the_first_step(data):
    x, labels, rate = data
    order = np.arange(48)
    plan = training_plan()
    exe = plan.build()
    good = [data, GATHERED, order, BATCH, 12]

    def bad(error, match, **changes):
        names = ["arrays", "gathered", "order", "batch", "steps"]
        args = [changes.pop(n, g) for n, g in zip(names, good, strict=True)]
        with pytest.raises(error, match=match):
            exe.loop(*args, **changes)

    for value in (N, -1, 2**62, -(2**63)):
        wrong = order.copy()
        wrong[-1] = value
        bad(IndexError, "order: row", order=wrong)
    bad(ValueError, "48 rows are needed", order=order[:-1])
    bad(TypeError, "int64", order=order.astype(np.int32))
    bad(TypeError, "int64", order=order[::2])
    bad(TypeError, "int64", order=order[None])
    bad(TypeError, "int64", order=list(order))
    bad(ValueError, "more than the 50", order=None, steps=13)
    bad(ValueError, "batch of 0", batch=0)
    bad(ValueError, "-1 steps", steps=-1)
    bad(ValueError, "too many", steps=1 << 62)
    bad(ValueError, "too many", batch=1 << 62)
    bad(ValueError, "not a batch of 5", batch=5)
    bad(ValueError, "another", arrays=(x, labels[:-1], rate))
    bad(TypeError, "feed 0", arrays=(x.astype(float), labels, rate))
    bad(TypeError, "feed 0", arrays=(x[:, :2].copy(), labels, rate))
    bad(TypeError, "feed 0", arrays=(np.asfortranarray(x), labels, rate))
    bad(TypeError, "feed 0", arrays=(x.tolist(), labels, rate))
    bad(TypeError, "feed 2", arrays=(x, labels, np.zeros(1, np.float32)))
    bad(ValueError, "feed 2", gathered=(True, True, True))
    bad(TypeError, "feed 0", gathered=(False, True, False))
    bad(TypeError, "3 arrays", arrays=data[:2])
    bad(TypeError, "3 arrays", gathered=GATHERED[:2])
    bad(TypeError, "callback", callback=3)
    bad(ValueError, "every_seconds", every_seconds=float("nan"))
    same(plan.states()[0], np.ones((3, 5), np.float32))
    assert plan.states()[1] == 0

    vector = Plan()
    vector.call("fill_zero", [vector.output(np.float32, (3,))], [])
    with pytest.raises(ValueError, match="fetch 0 has rank 1"):
        vector.build().loop((), (), None, 1, 1)


def test_no_feeds():
    plan = Plan()
    counter = plan.state(np.zeros((), np.int64))
    out = plan.output(np.int64, ())
    one = [1, 0, OPS["add.i64"], 0, 1, 2, -1]
    plan.call("tile", [counter], [counter, plan.state(np.ones((), np.int64))], one)
    plan.call("tile", [out], [counter], [1, 0, OPS["copy.i64"], 0, 1, -1, -1])
    plan.sets = [3]
    exe = plan.build()
    (counts,), done = exe.loop((), (), None, 1, 100_000)
    same(counts, np.arange(1, 100_001))
    assert plan.session.get_flag(3)


def test_a_step_that_fails(data):
    """The steps before it have happened; it raises what a single call would."""
    x, labels, rate = data
    labels = labels.copy()
    labels[22] = 5
    losses, w = by_hand((x, labels, rate), np.arange(N), 5)
    plan = training_plan()
    plan.sets = [1]
    exe = plan.build()
    with pytest.raises(Failed) as error:
        exe.loop((x, labels, rate), GATHERED, None, BATCH, 12)
    assert error.value.args == (RANGE, 1, 2, 5, 5)
    same(plan.states()[0], w)
    assert plan.session.get_flag(1)


def test_uninitialised(data):
    plan = training_plan()
    plan.needs = [2]
    with pytest.raises(Failed) as error:
        plan.build().loop(data, GATHERED, None, BATCH, 12)
    assert error.value.args[:2] == (-1, 2)


def test_callback(data):
    plan = training_plan()
    exe = plan.build()
    order = rng.integers(0, N, BATCH * 200_000)
    seen = []

    def callback(step):
        # the session can be used, the plan itself too
        _, count = exe.run((data[0][:4], data[1][:4], data[2]))
        seen.append((step, int(plan.states()[1]), int(count)))
        return len(seen) == 3

    (losses, counts), done = exe.loop(data, GATHERED, order, BATCH, 200_000, 0.002, callback)
    assert len(losses) == len(counts) == done == seen[-1][0] < 200_000
    assert [s[0] for s in seen] == sorted({s[0] for s in seen})
    assert [(count, now) for _, now, count in seen] == [
        (step + i, step + i + 1) for i, (step, _, _) in enumerate(seen)
    ]

    def raises(step):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        exe.loop(data, GATHERED, order, BATCH, 200_000, 0, raises)
    plan.session.close()
    with pytest.raises(RuntimeError, match="closed"):
        exe.loop(data, GATHERED, order, BATCH, 200_000)


@pytest.mark.usefixtures("no_collector")
def test_interrupt(data):
    """Ctrl-C ends it soon, between two steps."""
    plan = training_plan()
    exe = plan.build()
    order = rng.integers(0, N, BATCH * 1_000_000)
    timer = threading.Timer(0.1, _thread.interrupt_main)
    timer.start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        exe.loop(data, GATHERED, order, BATCH, 1_000_000)
    assert time.monotonic() - start < 1
    w, done, _ = plan.states()
    again = training_plan()
    again.build().loop(data, GATHERED, order, BATCH, int(done))
    same(again.states()[0], w)


def test_an_order_that_changes_meanwhile(data):
    """Another thread writes nonsense into it: an error, not a crash."""
    exe = training_plan().build()
    order = np.zeros(BATCH * 500_000, np.int64)
    stop = []

    def spoil():
        time.sleep(0.02)
        while not stop:
            order[-1000:] = 1 << 40

    thread = threading.Thread(target=spoil)
    thread.start()
    try:
        with pytest.raises(IndexError, match="order: row"):
            exe.loop(data, GATHERED, order, BATCH, 500_000)
    finally:
        stop.append(1)
        thread.join()


def test_loops_of_two_sessions_at_once(data):
    order = rng.integers(0, N, BATCH * 3000)
    want = training_plan().build().loop(data, GATHERED, order, BATCH, 3000)[0][0]
    plans = [training_plan() for _ in range(3)]
    exes = [p.build() for p in plans]
    got = [None] * 3

    def work(i):
        got[i] = exes[i].loop(data, GATHERED, order, BATCH, 3000)[0][0]

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for g in got:
        same(g, want)
