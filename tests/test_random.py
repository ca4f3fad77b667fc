"""Random operations: the stream bit by bit, seeds, statistics, and how sessions go through it."""

import numpy as np
import pytest
from scipy import stats

import gradplan as gp
from gradplan.ops.streams import initial_state

UNOPTIMISED = gp.ConfigProto(optimize=False)
DRAWS = {"uniform": gp.random_uniform, "normal": gp.random_normal, "truncated": gp.truncated_normal}


# ---- the oracle: Philox4x32-10 as csrc/rng.c describes it ----------------------------------------


def philox(key, counters, attempt=0):
    """The four words of the blocks ``counters``: uint32 [4, n]."""
    counters = np.asarray(counters, np.uint64)
    low = np.uint64(0xFFFFFFFF)
    zero = np.zeros_like(counters)
    c = [counters & low, counters >> np.uint64(32), zero + np.uint64(attempt), zero]
    key = int(key) % 2**64
    k = [key % 2**32, key // 2**32]
    for _ in range(10):
        p, q = c[0] * np.uint64(0xD2511F53), c[2] * np.uint64(0xCD9E8D57)
        c = [
            (q >> np.uint64(32)) ^ c[1] ^ np.uint64(k[0]),
            q & low,
            (p >> np.uint64(32)) ^ c[3] ^ np.uint64(k[1]),
            p & low,
        ]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return np.array(c, np.uint64)


def blocks(kind, dtype, key, counters, attempt=0):
    """Elements of whole blocks, one block a row; before what is too large is drawn again."""
    w = philox(key, counters, attempt)
    if dtype == "float32":
        u = (w >> np.uint64(8)).astype(np.float64) * 2.0**-24
    else:
        high, low = w[1::2] >> np.uint64(5), w[0::2] >> np.uint64(6)
        u = (high.astype(np.float64) * 2.0**26 + low.astype(np.float64)) * 2.0**-53
    if kind == "uniform":
        return u.T
    r = np.sqrt(-2 * np.log1p(-u[0::2]))
    z = np.empty_like(u)
    z[0::2], z[1::2] = r * np.cos(2 * np.pi * u[1::2]), r * np.sin(2 * np.pi * u[1::2])
    return z.T


def stream(kind, dtype, key, n, counter=0):
    """The first n elements of a run that starts at ``counter``."""
    blocks_of_run = -(-n // (4 if dtype == "float32" else 2))
    counters = np.uint64(counter) + np.arange(blocks_of_run, dtype=np.uint64)
    out = blocks(kind, dtype, key, counters)
    attempt = 0
    while kind == "truncated" and (abs(out) > 2).any():
        attempt += 1
        out = np.where(abs(out) > 2, blocks(kind, dtype, key, counters, attempt), out)
    return out.ravel()[:n]


def sample_op(tensor):
    """The operation that draws, below the scaling."""
    return next(op for op in tensor.graph.get_operations() if op.type in
                ("RandomUniform", "RandomStandardNormal", "TruncatedNormal"))  # fmt: skip


def test_philox_known_answers():
    """Of the Random123 distribution (kat_vectors: philox4x32, 10 rounds)."""
    want = [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]
    assert philox(0, [0]).ravel().tolist() == want


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", DRAWS)
def test_stream(kind, dtype, isa):
    """Element by element; the next run goes on where this one ended."""
    for n in (0, 1, 2, 3, 4, 5, 17, 511, 512, 513, 1025):
        graph = gp.Graph()
        with graph.as_default():
            x = DRAWS[kind]([n], dtype=dtype, seed=7)
            key, counter = initial_state(sample_op(x))
        session = gp.Session(graph=graph)
        for _ in range(2):
            got = session.run(x)
            want = stream(kind, dtype, key, n, int(counter))
            assert got.dtype == dtype
            if kind == "uniform":
                np.testing.assert_array_equal(got, want)
            else:
                # near a full turn the angle's rounding shows, and at the edge of the truncation
                tolerance = 2e-6 if dtype == "float32" else 1e-14
                np.testing.assert_allclose(got, want, tolerance, tolerance)
            counter += -(-n // (4 if dtype == "float32" else 2))


@pytest.mark.parametrize("kind", DRAWS)
def test_every_isa_draws_the_same(kind):
    from gradplan import _core

    x = DRAWS[kind]([1001], seed=3)
    results = []
    for level in _core.isa_levels():
        previous = _core.use_isa(level)
        try:
            results.append(gp.Session().run(x))
        finally:
            _core.use_isa(previous)
    for r in results[1:]:
        np.testing.assert_allclose(r, results[0], 2e-6, 2e-6)


# ---- seeds ---------------------------------------------------------------------------------------


def draw(kind="normal", graph_seed=None, op_seed=None, before=0, n=64):
    """A first run in a new graph and session, after ``before`` other operations."""
    with gp.Graph().as_default():
        if graph_seed is not None:
            gp.set_random_seed(graph_seed)
        for _ in range(before):
            gp.no_op()
        x = DRAWS[kind]([n], seed=op_seed)
        return gp.Session().run(x)


@pytest.mark.parametrize("kind", DRAWS)
def test_seeds_repeat(kind):
    for graph_seed, op_seed in [(1, None), (None, 2), (1, 2), (-5, None), (None, 2**62), (0, 0)]:
        first, second = (draw(kind, graph_seed, op_seed) for _ in range(2))
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("kind", DRAWS)
def test_seeds_differ(kind):
    results = [
        draw(kind, **seeds)
        for seeds in ({"graph_seed": 1}, {"graph_seed": 2}, {"op_seed": 1}, {"op_seed": 2},
                      {"graph_seed": 1, "op_seed": 9}, {"graph_seed": 2, "op_seed": 9}, {}, {})
    ]  # fmt: skip
    for i, a in enumerate(results):
        for b in results[:i]:
            assert not np.array_equal(a, b)


def test_a_graph_seed_counts_the_place_in_the_graph():
    assert not np.array_equal(draw(graph_seed=1), draw(graph_seed=1, before=1))
    np.testing.assert_array_equal(draw(op_seed=1), draw(op_seed=1, before=1))


def test_operations_of_one_graph_draw_differently():
    gp.set_random_seed(1)
    a, b = gp.random_normal([100]), gp.random_normal([100])
    x, y = gp.Session().run([a, b])
    assert not np.array_equal(x, y)
    assert abs(np.corrcoef(x, y)[0, 1]) < 0.4


def test_one_operation_is_drawn_once_a_run():
    x = gp.random_normal([100])
    a, b, c = gp.Session().run([x, x + 0.0, x * 2.0])
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(2 * a, c)


def test_equal_operations_are_not_merged():
    a, b = gp.random_normal([100]), gp.random_normal([100])
    for config in (None, UNOPTIMISED):
        x, y = gp.Session(config=config).run([a, b])
        assert not np.array_equal(x, y)


def test_streams_are_independent():
    """The mean of many streams' first elements, and their correlation, are those of chance."""
    gp.set_random_seed(11)
    rows = np.stack(gp.Session().run([gp.random_normal([200]) for _ in range(100)]))
    assert abs(rows[:, 0].mean()) < 0.4
    off = np.corrcoef(rows)[~np.eye(100, dtype=bool)]
    assert abs(off).max() < 0.4 and abs(off.mean()) < 0.01


# ---- statistics ----------------------------------------------------------------------------------

N = 100_000


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_statistics(dtype):
    x = gp.Session().run(gp.random_uniform([N], -1.0, 3.0, dtype, seed=1))
    assert x.min() >= -1 and x.max() < 3
    assert abs(x.mean() - 1) < 0.02 and abs(x.var() - 16 / 12) < 0.02
    assert stats.kstest(x, stats.uniform(-1, 4).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.02


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_statistics(dtype):
    x = gp.Session().run(gp.random_normal([N], 2.0, 3.0, dtype, seed=1))
    assert abs(x.mean() - 2) < 0.04 and abs(x.std() - 3) < 0.04
    assert abs(stats.skew(x)) < 0.05 and abs(stats.kurtosis(x)) < 0.1
    assert stats.kstest(x, stats.norm(2, 3).cdf).pvalue > 1e-3
    assert abs(np.corrcoef(x[:-1], x[1:])[0, 1]) < 0.02


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_truncated_statistics(dtype):
    x = gp.Session().run(gp.truncated_normal([N], 1.0, 0.5, dtype, seed=1))
    assert abs(x - 1).max() <= 1 + 1e-6  # two standard deviations, and a rounding
    assert stats.kstest(x, stats.truncnorm(-2, 2, 1, 0.5).cdf).pvalue > 1e-3
    raw = gp.Session().run(gp.truncated_normal([N], dtype=dtype, seed=2))
    assert abs(raw).max() <= 2


# ---- sessions ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", DRAWS)
def test_optimised_draws_the_same(kind):
    x = DRAWS[kind]([3, 17], seed=5)
    y = gp.nn.relu(x * 2.0 + 1.0)
    results = []
    for config in (None, UNOPTIMISED):
        for fetches in (y, [x, y], {"y": y, "s": gp.reduce_sum(x)}):
            session = gp.Session(config=config)
            out = [session.run(fetches) for _ in range(2)]
            key = "y" if isinstance(fetches, dict) else 1 if isinstance(fetches, list) else ...
            results.append([o[key] for o in out])
    for r in results[1:]:
        np.testing.assert_array_equal(r, results[0])


def test_the_sequence_goes_on_whatever_is_fetched():
    x = gp.random_normal([5], seed=1)
    a, b = x + 1.0, x * 2.0
    session = gp.Session()
    got = [session.run(x), session.run(a) - 1, session.run(b) / 2, session.run([x, a])[0]]
    plain = gp.Session()
    want = [plain.run(x) for _ in range(4)]
    np.testing.assert_allclose(got, want, 1e-5, 1e-6)
    assert len({tuple(w) for w in want}) == 4


def test_a_run_without_it_leaves_the_sequence_alone():
    x, y = gp.random_normal([5], seed=1), gp.constant(1.0)
    one, other = gp.Session(), gp.Session()
    first = one.run(x)
    one.run(y)
    np.testing.assert_array_equal(other.run([x, y])[0], first)
    np.testing.assert_array_equal(other.run(x), one.run(x))


def test_a_fed_random_operation_does_not_draw():
    x = gp.random_normal([2], seed=1)
    one, other = gp.Session(), gp.Session()
    np.testing.assert_array_equal(one.run(x * 2.0, {x: [1, 2]}), [2, 4])
    np.testing.assert_array_equal(one.run(x), other.run(x))


def test_the_shape_may_come_from_a_feed():
    x = gp.placeholder(gp.float32, [None, 3])
    noise = gp.random_normal(gp.shape(x), seed=1)
    session = gp.Session()
    for n in (4, 0, 7, 4):
        got, total = session.run([noise, x + noise], {x: np.ones((n, 3))})
        assert got.shape == total.shape == (n, 3)
        np.testing.assert_array_equal(total, got + 1)


def test_scale_and_shift_may_be_tensors_and_differentiate():
    mean, stddev = gp.placeholder(gp.float32, []), gp.placeholder(gp.float32, [3])
    x = gp.random_normal([4, 3], mean, stddev, seed=1)
    session = gp.Session()
    y, (dm, ds) = session.run([x, gp.gradients(x, [mean, stddev])], {mean: 1.0, stddev: [1, 2, 3]})
    assert dm == 12
    np.testing.assert_allclose(ds, ((y - 1) / [1, 2, 3]).sum(0), 1e-5)
    assert y.shape == (4, 3)


def test_no_gradient_flows_into_the_draw():
    w = gp.constant(2.0)
    x = gp.random_normal([4], seed=1)
    assert gp.gradients(x * w, x) != [None]
    shape = gp.placeholder(gp.int32, [1])
    assert gp.gradients(gp.random_normal(shape), shape) == [None]


@pytest.mark.parametrize("kind", DRAWS)
def test_refusals(kind):
    build = DRAWS[kind]
    with pytest.raises(ValueError if kind == "uniform" else TypeError, match="int32"):
        build([2], dtype=gp.int32)
    with pytest.raises(ValueError, match="shape"):
        build([None, 2])
    with pytest.raises(ValueError, match="-1"):
        build([-1])
    with pytest.raises(ValueError, match=r"2\*\*47"):
        build([2**24, 2**24])
    shape = gp.placeholder(gp.int32, [2])
    x = build(shape)
    assert gp.Session().run(x, {shape: [2, 3]}).shape == (2, 3)
    with pytest.raises(gp.errors.InvalidArgumentError, match="-3"):
        gp.Session().run(x, {shape: [2, -3]})


def test_dropping_by_a_mask_trains():
    """The same draw serves the forward pass and the gradient."""
    x = gp.placeholder(gp.float64, [None, 5])
    mask = gp.cast(gp.random_uniform(gp.shape(x), seed=1) < 0.5, gp.float64)
    y = gp.reduce_sum(gp.square(x * mask))
    session = gp.Session()
    value = np.arange(20.0).reshape(4, 5) + 1
    m, g = session.run([mask, gp.gradients(y, x)[0]], {x: value})
    np.testing.assert_array_equal(g, 2 * value * m)
    assert 0 < m.mean() < 1


# ---- inside loops and conditionals ---------------------------------------------------------------


def repeated(body):
    return lambda x: gp.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, body(a, i)), [0, x])[1]


def appended(x):
    return gp.concat([x, x[:4] * gp.random_normal([4])], 0)


INSIDE = {
    "cond": lambda x: gp.cond(x[0] > 0, lambda: x * gp.random_normal([4]), lambda: x),
    "map": lambda x: gp.map_fn(lambda r: r * gp.random_normal([]), x),
    "scan": lambda x: gp.scan(lambda a, r: a * gp.random_uniform([]) + r, x, 0.0),
    "while": repeated(lambda a, i: a * gp.random_normal([4])),
    "nested": repeated(lambda a, i: gp.cond(
        i > 0, lambda: gp.map_fn(lambda r: r * gp.random_normal([]), a), lambda: a * 2.0)),
    "while in while": repeated(lambda a, i: gp.while_loop(
        lambda j, b: j < i, lambda j, b: (j + 1, b * gp.random_normal([4])), [0, a])[1]),
    "array": lambda x: gp.while_loop(
        lambda i, t: i < 3, lambda i, t: (i + 1, t.write(i, x * gp.random_normal([4]))),
        [0, gp.TensorArray(gp.float32, 0, dynamic_size=True)])[1].stack(),
    "growing": lambda x: gp.while_loop(
        lambda a: gp.size(a) < 12, appended, [x], [gp.TensorShape([None])]),
    "dropout": lambda x: gp.cond(x[0] > 0, lambda: gp.nn.dropout(x, 0.5), lambda: x),
    "poisson": lambda x: gp.map_fn(lambda r: r * gp.random_poisson(3.0, []), x),
    "gamma": lambda x: gp.map_fn(lambda r: r * gp.random_gamma([], 2.0), x),
    "multinomial": lambda x: gp.map_fn(
        lambda r: r * gp.cast(gp.multinomial(gp.ones([1, 9]), 1)[0, 0], gp.float32), x),
    "shuffle": lambda x: gp.map_fn(lambda r: r * gp.random_shuffle([1.0, 2.0, 3.0, 4.0])[0], x),
    "integers": lambda x: gp.map_fn(
        lambda r: r * gp.cast(gp.random_uniform([], 1, 99, gp.int32), gp.float32), x),
    "crop": lambda x: gp.map_fn(lambda r: r * gp.random_crop(np.arange(9.0, dtype="f"), [1])[0], x),
    "candidates": lambda x: gp.map_fn(
        lambda r: r * gp.nn.uniform_candidate_sampler([[1]], 1, 3, True, 9)[2], x),
}  # fmt: skip


@pytest.mark.parametrize("config", [None, UNOPTIMISED], ids=["optimised", "plain"])
@pytest.mark.parametrize("build", INSIDE.values(), ids=list(INSIDE))
def test_gradients_find_the_numbers_that_were_drawn(build, config):
    """All of these are linear in x, and so equal to x times their derivative."""
    x = gp.placeholder(gp.float32, [4])
    y = gp.reduce_sum(build(x))
    (g,) = gp.gradients(y, x)
    (second,) = gp.gradients(gp.reduce_sum(g * g * x), x)  # g does not depend on x
    sess, fed = gp.Session(config=config), {x: np.array([1, 2, 3, 4], np.float32)}
    found = [sess.run([y, g, second], fed) for _ in range(6)]
    for value, slope, square in found:
        np.testing.assert_allclose(value, slope @ fed[x], 2e-5, 1e-6)
        np.testing.assert_allclose(square, slope * slope, 2e-5, 1e-6)
    assert len({value for value, _, _ in found}) > 1  # other numbers in every run


def test_no_two_draw_the_same_numbers():
    """With a seed, too: in branches, trips, loops and runs."""
    gp.set_random_seed(0)
    p, zero = gp.placeholder(gp.bool, []), gp.zeros([3])

    def draw(_=None):
        return gp.random_uniform([])

    choice = gp.cond(p, draw, draw)
    trips = [gp.map_fn(draw, zero), gp.map_fn(draw, zero)]
    both = gp.map_fn(lambda r: gp.map_fn(draw, zero), zero)
    loops = gp.scan(lambda a, r: gp.while_loop(
        lambda i, s: i < 3, lambda i, s: (i + 1, s + draw()), [0, r])[1], zero)  # fmt: skip
    wanted = [choice, gp.concat(trips, 0), gp.reshape(both, [-1]), loops[1:], draw()]
    for _ in range(2):
        sess = gp.Session()
        runs = [sess.run(wanted, {p: q}) for q in (True, False, True, False)]
        numbers = np.concatenate([np.ravel(v) for run in runs for v in run])
        assert len(set(numbers.tolist())) == numbers.size == 4 * 19
    again = [gp.Session().run(wanted, {p: True}) for _ in range(2)]
    for a, b in zip(*again, strict=True):
        np.testing.assert_array_equal(a, b)  # the same in every session


def test_streams_of_runs_and_of_trips(isa):
    """A run's stream is one of those of the session's state, a trip's is one of the run's."""
    rows = gp.map_fn(lambda r: gp.random_uniform([5], seed=7), gp.zeros([3]))
    draw = next(op for op in gp.get_default_graph()._ops if op.type == "RandomStream")

    def inner(stream, number):
        w = philox(stream[0], [(int(stream[1]) + number) % 2**64], 2**32 - 1)[:, 0]
        return w[1] << np.uint64(32) | w[0], w[3] << np.uint64(32) | w[2]

    state, sess = initial_state(draw), gp.Session()
    for run in range(3):
        got = sess.run(rows)
        for trip in range(3):
            key, counter = inner(inner(state, run), trip)
            want = stream("uniform", "float32", key, 5, counter)
            np.testing.assert_array_equal(got[trip], want.astype(np.float32))


def test_checkpoints_keep_streams(tmp_path):
    x = gp.get_variable("x", initializer=np.ones(4, np.float32))
    wanted = [build(x) for name, build in INSIDE.items() if name in ("nested", "array", "cond")]
    sess, saver = gp.Session(), gp.train.Saver()
    sess.run(gp.global_variables_initializer())
    sess.run(wanted)
    path = saver.save(sess, str(tmp_path / "model"))
    after = sess.run(wanted)
    for restored in (sess, gp.Session()):
        saver.restore(restored, path)
        for a, b in zip(restored.run(wanted), after, strict=True):
            np.testing.assert_array_equal(a, b)
