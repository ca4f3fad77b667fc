"""Gradients of rows that the trips of a loop take: they are added up in place (totals.py)."""

import numpy as np
import pytest

import gradplan as gp

CONFIGS = [None, gp.ConfigProto(optimize=False)]
X = np.random.default_rng(0).standard_normal((5, 4, 3))
#: What trip ``i``, of five or of three, takes of x [5, 4, 3].
TAKEN = {
    "a row": (5, lambda x, i: x[i]),
    "a column": (3, lambda x, i: gp.reduce_sum(x[:, i], 0)),
    "of the last axis": (3, lambda x, i: gp.reduce_sum(x[..., i]) * gp.ones([4, 3], gp.float64)),
    "from the end": (5, lambda x, i: x[-1 - i]),
    "two of them": (5, lambda x, i: x[i] * x[4 - i] + x[0]),
    "an element": (3, lambda x, i: x[i, i, i] * gp.ones([4, 3], gp.float64)),
    "rows of a row": (3, lambda x, i: x[i][i] * gp.ones([4, 3], gp.float64)),
    "cut first": (3, lambda x, i: x[1:, i, ::2][:3] * gp.ones([3, 2], gp.float64)),
    "a row and the whole": (5, lambda x, i: x[i] * gp.reduce_mean(x)),
    "the same row every time": (5, lambda x, i: x[i * 0 + 2]),
    "of an array": (5, lambda x, i: gp.TensorArray(gp.float64, 5).unstack(x).read(i)),
}


def looped(kind, trips, take, x, scale):
    def trip(i, total):
        return i + 1, gp.sin(total * scale) + gp.reduce_sum(gp.tanh(take(x, i)) ** 2)

    if kind == "scan":
        start = gp.constant(0.1, gp.float64)
        return gp.foldl(lambda total, i: trip(i, total)[1], gp.range(trips), start)
    total = gp.while_loop(lambda i, _: i < trips, trip, [0, np.float64(0.1)])[1]
    return total


def written_out(trips, take, x, scale):
    total = gp.constant(0.1, gp.float64)
    for i in range(trips):
        taken = take(x, gp.constant(i))
        total = gp.sin(total * scale) + gp.reduce_sum(gp.tanh(taken) ** 2)
    return total


@pytest.mark.parametrize("kind", ["scan", "while"])
@pytest.mark.parametrize("name", TAKEN)
def test_gradients_of_rows_that_trips_take(name, kind):
    trips, take = TAKEN[name]
    x, scale = gp.placeholder(gp.float64, [None, 4, 3]), gp.placeholder(gp.float64, [])
    found = []
    for y in (looped(kind, trips, take, x, scale), written_out(trips, take, x, scale)):
        first = gp.gradients(y, [x, scale])
        weight = gp.constant(np.random.default_rng(1).standard_normal(X.shape))
        second = gp.gradients(gp.reduce_sum(first[0] * weight), [x, scale])
        found.append([y, *first, *second])
    for config in CONFIGS:
        with gp.Session(config=config) as sess:
            for a, b in zip(*sess.run(found, {x: X, scale: 0.7}), strict=True):
                np.testing.assert_allclose(a, b, 1e-12, 1e-12)


@pytest.mark.parametrize("config", CONFIGS, ids=["optimised", "plain"])
@pytest.mark.parametrize("dtype", [gp.float32, gp.float64])
def test_of_a_vector_in_a_loop_whose_trips_differ(dtype, config):
    x, n = gp.placeholder(dtype, [6]), gp.placeholder(gp.int32, [])

    def outer(i, total):
        inner = gp.while_loop(
            lambda j, a: gp.logical_and(j < i, a < 9.0), lambda j, a: (j + 1, a + x[j] ** 2),
            [0, total],
        )  # fmt: skip
        return i + 1, inner[1]

    y = gp.while_loop(lambda i, _: i < n, outer, [0, gp.zeros([], dtype)])[1]
    (g,) = gp.gradients(y, x)
    with gp.Session(config=config) as sess:
        for trips in (4, 0, 6):
            at = np.array([0.5, -1.0, 0.25, 2.0, 1.0, 0.125])
            times = np.zeros(6)
            total = 0.0
            for i in range(trips):
                for j in range(i):
                    if total >= 9.0:
                        break
                    total += at[j] ** 2
                    times[j] += 1
            found = sess.run([y, g], {x: at, n: trips})
            np.testing.assert_allclose(found[0], total)
            np.testing.assert_allclose(found[1], 2 * at * times)


def test_nothing_is_copied_from_trip_to_trip():
    x, w = gp.placeholder(gp.float32, [40, 8]), gp.Variable(np.eye(8, dtype=np.float32))
    rows = gp.matmul(x, w)
    h = gp.while_loop(
        lambda i, h: i < 40, lambda i, h: (i + 1, gp.tanh(h + rows[i])), [0, gp.zeros([8])]
    )[1]
    (g,) = gp.gradients(h, w)
    with gp.Session() as sess:
        sess.run(w.initializer)
        plan = sess.plan(g, {x: np.ones((40, 8))})
    kernels = [insn.kernel for insn in plan._insns]
    start = max(i for i, kernel in enumerate(kernels) if kernel == "scan_loop")
    span = plan._insns[start + 1 : start + 1 + plan._insns[start].span]
    whole = [insn.kernel for insn in span for v in insn.outs if v.size == 320]
    assert whole == ["scatter"]


def test_what_is_not_wanted_is_not_computed():
    """The gradient with respect to data that a loop reads would be a table for every trip."""
    x, w = gp.placeholder(gp.float32, [50, 8]), gp.Variable(np.ones(8, np.float32))
    h = gp.while_loop(
        lambda i, h: i < 40, lambda i, h: (i + 1, gp.tanh(h * w + x[i])), [0, gp.zeros([8])]
    )[1]
    gp.gradients(h, w)
    scans = [op for op in gp.get_default_graph().get_operations() if op.type.endswith("Scan")]
    assert not [t for op in scans for t in op.outputs if t.shape.as_list() == [50, 8]]
