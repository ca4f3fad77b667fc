"""Integers, gamma, Poisson, categories, permutations, crops: streams, statistics, refusals."""

import numpy as np
import pytest
from core_plan import Plan
from scipy import stats
from test_random import philox

import gradplan as gp
from gradplan.ops.streams import initial_state

N = 50_000
InvalidArgument = gp.errors.InvalidArgumentError
DRAWS = {
    "ints": lambda shape, seed=None: gp.random_uniform(shape, -3, 1000, gp.int32, seed=seed),
    "gamma": lambda shape, seed=None: gp.random_gamma(shape, 0.7, seed=seed),
    "poisson": lambda shape, seed=None: gp.random_poisson(12.0, shape, seed=seed),
    "multinomial": lambda shape, seed=None: gp.multinomial(
        np.zeros((1, 9), np.float32), int(np.prod(shape)), seed
    ),
    "shuffle": lambda shape, seed=None: gp.random_shuffle(np.arange(np.prod(shape)), seed=seed),
    "crop": lambda shape, seed=None: gp.random_crop(np.arange(10_000), shape, seed=seed),
}


def key_of(tensor, kind):
    (op,) = [op for op in tensor.graph.get_operations() if op.type == kind]
    return initial_state(op)[0]


def chi_square(counts, probabilities):
    """p-value of counts under these probabilities; rare classes are put together."""
    want = np.asarray(probabilities) * counts.sum()
    order = np.argsort(want)
    counts, want = counts[order], want[order]
    few = int(np.searchsorted(np.cumsum(want), 20)) + 1
    merge = lambda x: np.concatenate([[x[:few].sum()], x[few:]])  # noqa: E731
    return stats.chisquare(merge(counts), merge(want)).pvalue


# ---- streams -------------------------------------------------------------------------------------


def words(key, counters, attempt=0):
    w = philox(key, counters, attempt)
    return w[1] << np.uint64(32) | w[0]


@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_stream_of_integers(dtype, isa):
    """Words times the range, of which the high half counts (Lemire); see csrc/rng.c."""
    bits, each = (32, 4) if dtype == "int32" else (64, 2)
    for low, high in ((-5, 12), (-(2 ** (bits - 2)), 2 ** (bits - 2) + 7)):  # many are drawn again
        with gp.Graph().as_default() as graph:
            x = gp.random_uniform([1001], low, high, dtype, seed=3)
        key, session = key_of(x, "RandomUniformInt"), gp.Session(graph=graph)
        for run in range(2):  # in the second the counter has moved on
            blocks = run * -(-1001 // each) + np.arange(-(-1001 // each))
            want = np.full(1001, low, object)
            open_, attempt = np.full(1001, True), 0
            while open_.any():
                w = philox(key, blocks, attempt)
                w = w if bits == 32 else w[1::2] << np.uint64(32) | w[0::2]
                product = w.T.ravel()[:1001].astype(object) * (high - low)
                want[open_] = (low + (product >> bits))[open_]
                open_ &= (product % 2**bits < 2**bits % (high - low)).astype(bool)
                attempt += 1
            np.testing.assert_array_equal(session.run(x), want.astype(dtype))


def test_stream_of_categories():
    logits = np.random.default_rng(0).normal(size=(3, 7))
    x = gp.multinomial(logits, 50, seed=3)
    u = (words(key_of(x, "Multinomial"), np.arange(150)) >> np.uint64(11)) * 2.0**-53
    sums = np.cumsum(np.exp(logits), 1)
    want = [
        np.searchsorted(s, r * s[-1], "right") for s, r in zip(sums, u.reshape(3, 50), strict=True)
    ]
    np.testing.assert_array_equal(gp.Session().run(x), want)


def test_stream_of_a_shuffle():
    """Fisher and Yates, inside out, with one word a step."""
    x = gp.random_shuffle(np.arange(9), seed=3)
    w = philox(key_of(x, "RandomShuffle"), np.arange(5))
    w = (w[1::2] << np.uint64(32) | w[0::2]).T.ravel()
    want = []
    for i in range(9):
        j = int(w[i - 1]) * (i + 1) >> 64 if i else 0
        want.append(None)
        want[i] = want[j]
        want[j] = i
    np.testing.assert_array_equal(gp.Session().run(x), want)


@pytest.mark.parametrize("kind", DRAWS)
def test_threads_and_passes_do_not_change_a_draw(kind):
    x = DRAWS[kind]([3000], seed=5)
    y = gp.cast(x, gp.float64) * 2.0
    runs = []
    for config in (
        gp.ConfigProto(intra_op_parallelism_threads=1),
        gp.ConfigProto(intra_op_parallelism_threads=4),
        gp.ConfigProto(optimize=False),
    ):
        session = gp.Session(config=config)
        runs.append([session.run([x, y]) for _ in range(2)])
    for (a, b), *_ in runs[1:]:
        np.testing.assert_array_equal(a, runs[0][0][0])
        np.testing.assert_array_equal(b, runs[0][0][1])
    assert not np.array_equal(runs[0][0][0], runs[0][1][0])  # the next run draws anew
    np.testing.assert_array_equal(runs[0][1][0], runs[1][1][0])


@pytest.mark.parametrize("kind", DRAWS)
def test_seeds(kind):
    def draw(graph_seed=None, seed=None):
        with gp.Graph().as_default():
            if graph_seed is not None:
                gp.set_random_seed(graph_seed)
            x, session = DRAWS[kind]([64], seed=seed), gp.Session()
            # One crop has 9,937 places to start at: a run in a thousand would find two alike.
            return [session.run(x) for _ in range(4)]

    for seeds in ({"graph_seed": 1}, {"seed": 2}, {"graph_seed": 1, "seed": 2}):
        np.testing.assert_array_equal(draw(**seeds), draw(**seeds))
    drawn = [draw(1), draw(2), draw(seed=1), draw(seed=2), draw(1, 99), draw(), draw()]
    for i, a in enumerate(drawn):
        assert not any(np.array_equal(a, b) for b in drawn[:i])


def test_the_graph_seed_chooses_as_tensorflow():
    assert gp.random.get_seed(None) == (None, None)
    assert gp.random.get_seed(7) == (87654321, 7)
    gp.random.set_random_seed(3)
    gp.no_op()
    assert gp.random.get_seed(None) == (3, 1)
    assert gp.random.get_seed(7) == (3, 7)


# ---- integers ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [gp.int32, gp.int64])
def test_integers_are_uniform(dtype):
    x = gp.Session().run(gp.random_uniform([N], -3, 8, dtype, seed=1))
    assert x.dtype == dtype.as_numpy_dtype and x.min() == -3 and x.max() == 7
    assert chi_square(np.bincount(x + 3), np.full(11, 1 / 11)) > 1e-3
    # An interval that two thirds of the words do not fill evenly: modulo would prefer its start.
    third = int(dtype.max) // 3 * 2
    x = gp.Session().run(gp.random_uniform([N], -third, third, dtype, seed=2))
    assert stats.kstest(x / third, stats.uniform(-1, 2).cdf).pvalue > 1e-3


def test_integers_of_the_widest_interval():
    for dtype in (gp.int32, gp.int64):
        x = gp.Session().run(gp.random_uniform([N], dtype.min, dtype.max, dtype, seed=1))
        scaled = x.astype(float) / float(dtype.max)
        assert stats.kstest(scaled, stats.uniform(-1, 2).cdf).pvalue > 1e-3
    assert gp.Session().run(gp.random_uniform([3], 5, 6, gp.int32)).tolist() == [5, 5, 5]


def test_integers_refuse():
    x = gp.random_uniform([2], 3, 3, gp.int32)
    with pytest.raises(InvalidArgument, match=r"minval 3 is not less than maxval 3.*test_draws"):
        gp.Session().run(x)
    assert gp.Session().run(gp.random_uniform([0], 3, 3, gp.int32)).shape == (0,)
    with pytest.raises(ValueError, match=r"maxval.*test_draws"):
        gp.random_uniform([2], dtype=gp.int32)
    with pytest.raises(ValueError, match=r"scalars.*test_draws"):
        gp.random_uniform([2], [0, 0], [1, 2], gp.int32)
    with pytest.raises(TypeError, match="bool"):
        gp.random_uniform([2], dtype=gp.bool)
    with pytest.raises(ValueError, match="-1"):
        gp.random_uniform([-1], 0, 5, gp.int32)


def test_a_run_that_fails_changes_nothing():
    high, v = gp.placeholder(gp.int32, []), gp.Variable(1.0)
    step = gp.group(v.assign_add(1.0), gp.random_uniform([2], 0, high, gp.int32, seed=1).op)
    session = gp.Session()
    session.run(v.initializer)
    with pytest.raises(InvalidArgument, match="minval 0"):
        session.run(step, {high: 0})
    assert session.run(v) == 1
    session.run(step, {high: 1})
    assert session.run(v) == 2


# ---- gamma and Poisson ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_gamma(dtype):
    small = (
        0.05 if dtype == "float64" else 0.3
    )  # in float32 many of 0.05 are below the least number
    for alpha in (small, 0.7, 1.0, 3.5, 200.0):
        x = gp.Session().run(gp.random_gamma([N], alpha, 2.0, dtype, seed=1))
        assert x.dtype == dtype and x.shape == (N,)
        assert stats.kstest(x, stats.gamma(alpha, scale=0.5).cdf).pvalue > 1e-3, alpha
        assert abs(x.mean() / (alpha / 2) - 1) < 5 / np.sqrt(alpha * N)


def test_gamma_shapes_and_gradient():
    alpha, beta = gp.placeholder(gp.float64, [None, 1]), gp.placeholder(gp.float64, [3])
    x = gp.random_gamma([4, 2], alpha, beta, gp.float64, seed=1)
    assert x.shape.ndims is None or x.shape.as_list() == [4, 2, None, 3]
    feed = {alpha: [[1.0], [30.0]], beta: [1.0, 2.0, 4.0]}
    assert gp.gradients(x, alpha) == [None]
    y, db = gp.Session().run([x, gp.gradients(x, beta)[0]], feed)
    assert y.shape == (4, 2, 2, 3)
    np.testing.assert_allclose(db, -(y / [1.0, 2.0, 4.0]).sum((0, 1, 2)), 1e-12)
    shape = gp.placeholder(gp.int32, [2])
    assert gp.Session().run(gp.random_gamma(shape, [1.0]), {shape: [2, 0]}).shape == (2, 0, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64"])
def test_poisson(dtype):
    for rate in (0.0, 0.3, 4.0, 9.99, 10.0, 37.0, 2000.0):
        x = gp.Session().run(gp.random_poisson(rate, [N], dtype, seed=1))
        assert x.dtype == dtype and x.shape == (N,)
        high = int(rate + 12 * np.sqrt(rate) + 3)
        p = stats.poisson(rate).pmf(np.arange(high))
        counts = np.bincount(x.astype(int), minlength=high)
        assert len(counts) == high
        assert rate == 0 and counts[0] == N or chi_square(counts, p / p.sum()) > 1e-3, rate


def test_poisson_of_large_rates():
    """Where log(k!) is of no use: the counts are normal to within their own size."""
    for rate in (1e6, 1e12, 1e15):
        x = gp.Session().run(gp.random_poisson(gp.constant(rate, gp.float64), [N], gp.int64, 1))
        assert stats.kstest((x - rate) / np.sqrt(rate), stats.norm.cdf).pvalue > 1e-3, rate


def test_poisson_takes_integers_and_shapes():
    x = gp.random_poisson([[0], [1000]], [5], seed=1)
    y = gp.Session().run(x)
    assert x.shape.as_list() == [5, 2, 1] and y.shape == (5, 2, 1)
    assert (y[:, 0] == 0).all() and (y[:, 1] > 800).all()
    lam = gp.placeholder(gp.float32, [])
    assert gp.gradients(gp.random_poisson(lam, [2]), lam) == [None]


@pytest.mark.parametrize("bad", [-1.0, 0.0, np.nan, np.inf])
def test_gamma_refuses(bad):
    alpha = gp.placeholder(gp.float32, [3])
    with pytest.raises(InvalidArgument, match=r"position 2 must be positive and finite.*test_dra"):
        gp.Session().run(gp.random_gamma([2], alpha), {alpha: [1, 2, bad]})


@pytest.mark.parametrize("bad, dtype", [(-1, "float32"), (np.nan, "int64"), (3e9, "int32")])
def test_poisson_refuses(bad, dtype):
    rate = gp.placeholder(gp.float32, [3])
    with pytest.raises(InvalidArgument, match=r"rate .* at position 1 must be finite.*test_draws"):
        gp.Session().run(gp.random_poisson(rate, [2], dtype), {rate: [1, bad, 2]})
    with pytest.raises(TypeError, match="bool"):
        gp.random_poisson(1.0, [2], gp.bool)


# ---- categories ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_multinomial(dtype):
    logits = np.array([[0, 1, 2, -np.inf, 3], [700, -700, 699, 650, -np.inf]], dtype)
    x = gp.multinomial(logits, N, seed=1)
    assert x.dtype is gp.int64 and x.shape.as_list() == [2, N]
    for row, drawn in zip(logits.astype(float), gp.Session().run(x), strict=True):
        p = np.exp(row - row.max())
        some = p > 1e-12
        counts = np.bincount(drawn, minlength=5)
        assert not counts[~some].any()
        assert chi_square(counts[some], p[some] / p.sum()) > 1e-3


def test_multinomial_shapes_and_types():
    n = gp.placeholder(gp.int32, [])
    logits = gp.placeholder(gp.float32, [None, 3])
    x = gp.random.categorical(logits, n, dtype=gp.int32)
    assert x.dtype is gp.int32
    for batch, samples in ((0, 4), (2, 0), (3, 5), (40, 2)):
        y = gp.Session().run(x, {n: samples, logits: np.zeros((batch, 3))})
        assert y.shape == (batch, samples)
    assert gp.gradients(gp.cast(x, gp.float32), logits) == [None]
    assert set(gp.Session().run(gp.multinomial([[0, 0]], 99, seed=1)).ravel().tolist()) == {0, 1}


def test_multinomial_refuses():
    logits = gp.placeholder(gp.float32, [2, 3])
    x = gp.multinomial(logits, 4)
    for bad, words in (
        ([[0, 0, 0], [0, np.nan, 0]], "nan at position 4"),
        ([[np.inf, 0, 0], [0, 0, 0]], "inf at position 0"),
        ([[0, 0, 0], [-np.inf] * 3], "row 1 has no finite"),
    ):
        with pytest.raises(InvalidArgument, match=f"{words}.*test_draws"):
            gp.Session().run(x, {logits: bad})
    for shape, n, words in (([3], 1, "matrix"), ([2, 0], 1, "no class"), ([2, 3], -1, "negative")):
        with pytest.raises(ValueError, match=f"{words}.*test_draws"):
            gp.multinomial(gp.zeros(shape), n)
    with pytest.raises(TypeError, match="float32"):
        gp.multinomial([[0.0]], 1, output_dtype=gp.float32)


# ---- rows and windows ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32", "float64"])
def test_shuffle(dtype):
    for shape in ((), (0,), (1,), (7,), (5, 3), (4, 0), (9, 2, 2)):
        value = (np.arange(np.prod(shape)) % 251).reshape(shape).astype(dtype)
        got = gp.Session().run(gp.random_shuffle(value, seed=1))
        assert got.shape == shape and got.dtype == dtype
        rows = lambda x: sorted(x.tolist()) if x.ndim else x  # noqa: E731
        assert rows(np.asarray(got)) == rows(value)


def test_every_permutation_is_as_likely():
    x = gp.random_shuffle(np.arange(4), seed=1)
    session = gp.Session()
    seen = {}
    for _ in range(2400):
        p = tuple(session.run(x).tolist())
        seen[p] = seen.get(p, 0) + 1
    assert len(seen) == 24
    assert chi_square(np.array(list(seen.values())), np.full(24, 1 / 24)) > 1e-3


def test_shuffle_reads_what_is_transposed_and_has_no_gradient():
    x = gp.placeholder(gp.float32, [2, 3])
    y = gp.random_shuffle(gp.transpose(x), seed=1)
    got = gp.Session().run(y, {x: [[1, 2, 3], [4, 5, 6]]})
    assert sorted(got.tolist()) == [[1, 4], [2, 5], [3, 6]]
    with pytest.raises(LookupError, match="RandomShuffle"):
        gp.gradients(y, x)


def test_crop_takes_every_place_as_often():
    value = np.arange(20).reshape(4, 5)
    x = gp.random_crop(value, [2, 3], seed=1)
    assert x.shape.as_list() == [2, 3]
    session = gp.Session()
    counts = np.zeros((3, 3), int)
    for _ in range(1800):
        got = session.run(x)
        i, j = divmod(int(got[0, 0]), 5)
        np.testing.assert_array_equal(got, value[i : i + 2, j : j + 3])
        counts[i, j] += 1
    assert chi_square(counts.ravel(), np.full(9, 1 / 9)) > 1e-3


def test_crop_of_what_is_fed():
    value, size = gp.placeholder(gp.float32, [None, None]), gp.placeholder(gp.int32, [2])
    x = gp.random_crop(value, size, seed=1)
    (g,) = gp.gradients(x, value)
    session = gp.Session()
    for shape, wanted in (((4, 5), (4, 5)), ((3, 7), (1, 2)), ((3, 7), (0, 2))):
        y, dy = session.run([x, g], {value: np.ones(shape), size: wanted})
        np.testing.assert_array_equal(y, np.ones(wanted))
        assert dy.shape == shape and dy.sum() == np.prod(wanted) and set(dy.ravel()) <= {0, 1}
    with pytest.raises(InvalidArgument, match=r"\(3, 7\).*\[4, 2\].*test_draws"):
        session.run(x, {value: np.ones((3, 7)), size: [4, 2]})
    with pytest.raises(ValueError, match=r"\(2,\).*\[3\].*test_draws"):
        gp.random_crop([1, 2], [3])


# ---- kernels refuse what is malformed ------------------------------------------------------------

MALFORMED = {
    "random_uniform_int": (
        [("int32", (4,))],
        [("int32", ()), ("int32", ())],
        [([("float32", (4,))], None), (None, [("int64", ()), ("int32", ())]),
         (None, [("int32", (3,)), ("int32", (3,))]), (None, [("int32", (4,)), ("int32", ())])],
    ),
    "random_gamma": (
        [("float32", (2, 3))],
        [("float32", (3,))],
        [([("float64", (2, 3))], None), (None, [("float32", (2,))]),
         (None, [("float32", (1, 2, 3))]), ([("int32", (2, 3))], [("int32", (3,))])],
    ),
    "random_poisson": (
        [("int32", (2, 3))],
        [("float32", (3,))],
        [([("bool", (2, 3))], None), (None, [("float32", (2,))]), (None, [("int32", (3,))])],
    ),
    "random_shuffle": (
        [("int32", (2, 3))],
        [("int32", (2, 3))],
        [([("int64", (2, 3))], None), (None, [("int32", (3, 2))])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kernel", MALFORMED)
def test_malformed_plans(kernel):
    def build(outs, ins, state=("int64", (2,))):
        plan = Plan()
        args = [plan.output(*o) for o in outs] + [plan.state(np.zeros(state[1], state[0]))]
        plan.call(kernel, args, [plan.input(np.ones(s, d)) for d, s in ins])
        return plan.build()

    outs, ins, bad = MALFORMED[kernel]
    build(outs, ins)
    for other_outs, other_ins in bad:
        with pytest.raises(ValueError):
            build(other_outs or outs, other_ins or ins)
    with pytest.raises(ValueError, match="state"):
        build(outs, ins, ("int64", (3,)))
    with pytest.raises(ValueError):
        build(outs, [*ins, ins[0]])


def test_malformed_multinomial():
    good = {"out": ("int32", (2, 5)), "sums": ("float64", (2, 3)), "logits": ("float32", (2, 3))}

    def build(**changes):
        plan, parts = Plan(), good | changes
        outs = [plan.output(*parts["out"]), plan.state(np.zeros(2, np.int64))]
        outs.append(plan.arena(*parts["sums"]))
        plan.call("multinomial", outs, [plan.input(np.ones(*parts["logits"][::-1]))])
        return plan.build()

    build()
    for changes in (
        {"out": ("float32", (2, 5))}, {"out": ("int32", (3, 5))}, {"out": ("int32", (10,))},
        {"sums": ("float32", (2, 3))}, {"sums": ("float64", (2, 2))}, {"sums": ("float64", (0, 3))},
        {"logits": ("int32", (2, 3))}, {"logits": ("float32", (2, 4))},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            build(**changes)


@pytest.mark.parametrize("kernel", ["window", "window_grad"])
def test_malformed_windows(kernel):
    def build(whole=("int32", (4, 5)), part=("int32", (2, 3)), begin=("int32", (2,)), n=2):
        plan = Plan()
        out, given = (part, whole) if kernel == "window" else (whole, part)
        ins = [np.ones(s, d) for d, s in (given, begin)]
        plan.call(kernel, [plan.output(*out)], [plan.input(a) for a in ins[:n]])
        return plan.build()

    build()
    for changes in (
        {"part": ("int64", (2, 3))}, {"part": ("int32", (6,))}, {"part": ("int32", (5, 3))},
        {"begin": ("int32", (3,))}, {"begin": ("float32", (2,))}, {"begin": ("int32", (2, 1))},
        {"n": 1},
    ):  # fmt: skip
        with pytest.raises(ValueError):
            build(**changes)
