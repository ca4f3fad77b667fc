"""Candidate samplers and the losses made of them."""

import itertools

import numpy as np
import pytest
from core_plan import Plan
from test_draws import chi_square

import gradplan as gp

N = 40_000
InvalidArgument = gp.errors.InvalidArgumentError
WEIGHTS = [5.0, 0.0, 1.0, 2.0, 2.0, 10.0, 0.5]
SAMPLERS = {
    "uniform": gp.nn.uniform_candidate_sampler,
    "log_uniform": gp.nn.log_uniform_candidate_sampler,
    "fixed_unigram": lambda *args, **more: gp.nn.fixed_unigram_candidate_sampler(
        *args, unigrams=WEIGHTS, **more
    ),
}
P = {
    "uniform": np.full(7, 1 / 7),
    "log_uniform": np.diff(np.log(np.arange(1, 9))) / np.log(8),
    "fixed_unigram": np.array(WEIGHTS) / sum(WEIGHTS),
}


@pytest.mark.parametrize("kind", SAMPLERS)
def test_probabilities(kind):
    true = np.array([[0, 6], [3, 2]])
    out = SAMPLERS[kind](true, 2, N, False, 7, seed=1)
    assert [t.shape.as_list() for t in out] == [[N], [2, 2], [N]]
    assert [t.dtype for t in out] == [gp.int64, gp.float32, gp.float32]
    sampled, true_count, sampled_count = gp.Session().run(list(out))
    counts = np.bincount(sampled, minlength=7)
    some = P[kind] > 0
    assert not counts[~some].any()
    assert chi_square(counts[some], P[kind][some]) > 1e-3
    np.testing.assert_allclose(true_count, N * P[kind][true], 1e-6)
    np.testing.assert_allclose(sampled_count, N * P[kind][sampled], 1e-6)


@pytest.mark.parametrize("kind", SAMPLERS)
def test_unique_samples(kind):
    """All different; the counts are those of as many tries as it took."""
    some = int((P[kind] > 0).sum())
    for n in (1, 4, some):
        out = SAMPLERS[kind]([[5, 0, 3]], 3, n, True, 7, seed=4)
        sampled, true_count, sampled_count = gp.Session().run(list(out))
        assert len(set(sampled.tolist())) == n and P[kind][sampled].all()
        matches = []
        for tries in range(n, 400):
            count = n * P[kind] if tries == n else 1 - (1 - P[kind]) ** tries
            if np.allclose(true_count, [count[[5, 0, 3]]], 1e-5):
                matches.append(tries)
                np.testing.assert_allclose(sampled_count, count[sampled], 1e-5)
        assert matches


def test_log_uniform_over_many_classes():
    sampled = gp.nn.log_uniform_candidate_sampler([[0]], 1, 2000, True, 10**6, seed=1)[0]
    got = gp.Session().run(sampled)
    assert len(set(got.tolist())) == 2000 and 0 <= got.min() and got.max() < 10**6
    assert (got < 1000).sum() > 300


def test_all_candidates():
    out = gp.nn.all_candidate_sampler([[1], [2]], 1, 3, True)
    sampled, true_count, sampled_count = gp.Session().run(out)
    np.testing.assert_array_equal(sampled, [0, 1, 2])
    np.testing.assert_array_equal(true_count, [[1], [1]])
    np.testing.assert_array_equal(sampled_count, [1, 1, 1])


@pytest.mark.parametrize("kind", SAMPLERS)
def test_a_sampler_repeats_with_its_seed(kind):
    out = SAMPLERS[kind]([[0]], 1, 5, True, 7, seed=4)
    one, other = gp.Session(), gp.Session(config=gp.ConfigProto(optimize=False))
    runs = [one.run(list(out)) for _ in range(3)]
    for run in runs:
        for a, b in zip(run, other.run(list(out)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert len({tuple(r[0].tolist()) for r in runs}) > 1
    assert gp.gradients(out[1], gp.zeros([1])) == [None]


def test_samplers_refuse():
    true = gp.placeholder(gp.int64, [None, 1])
    out = gp.nn.uniform_candidate_sampler(true, 1, 3, False, 7)
    for bad in (7, -1):
        words = rf"{bad} at position 1 is not in \[0, 7\).*test_sampling"
        with pytest.raises(InvalidArgument, match=words):
            gp.Session().run(list(out), {true: [[0], [bad]]})
    for args, words in (((1, 8, True, 7), "8 different"), ((1, 0, False, 7), "num_sampled"),
                        ((0, 1, False, 7), "num_true"), ((1, 1, False, 0), "range_max"),
                        ((2, 1, False, 7), "2 columns")):  # fmt: skip
        with pytest.raises(ValueError, match=f"{words}.*test_sampling"):
            gp.nn.log_uniform_candidate_sampler(true, *args)
    for more, words in (({}, "one of"), ({"unigrams": [1.0], "vocab_file": "x"}, "one of"),
                        ({"unigrams": [1.0, -1.0]}, "negative"), ({"unigrams": [1.0]}, "range_max"),
                        ({"unigrams": [0.0, 0.0]}, "0 have"),
                        ({"unigrams": [1.0, np.nan]}, "finite"),
                        ({"unigrams": [1.0, 0.0], "shard": 1}, "shard")):  # fmt: skip
        with pytest.raises(ValueError, match=f"{words}.*test_sampling"):
            gp.nn.fixed_unigram_candidate_sampler(true, 1, 1, True, 2, **more)


def test_unigrams_of_a_file_with_reserved_classes_and_shards(tmp_path):
    file = tmp_path / "vocabulary.csv"
    file.write_text("the,16\nof,9\na,4\nto,1\n")
    sampler = gp.nn.fixed_unigram_candidate_sampler
    out = sampler([[1], [2]], 1, 2, False, 5, str(file), distortion=0.5, num_reserved_ids=1)
    np.testing.assert_allclose(gp.Session().run(out[1]), [[2 * 0.4], [2 * 0.3]], 1e-6)
    out = sampler([[1]], 1, 2, False, 2, str(file), num_shards=2, shard=1)
    np.testing.assert_allclose(gp.Session().run(out[1]), [[2 * 1 / 10]], 1e-6)


# ---- losses --------------------------------------------------------------------------------------


def logits_by_hand(w, b, labels, x, sampled, true_count, sampled_count, hits):
    """[batch, num_true + num_sampled], by TensorFlow's formula."""
    true = np.stack([[xi @ w[k] + b[k] for k in ks] for xi, ks in zip(x, labels, strict=True)])
    other = x @ w[sampled].T + b[sampled]
    if hits:
        for i, j in itertools.product(range(len(x)), range(len(sampled))):
            if sampled[j] in labels[i]:
                other[i, j] = -np.inf
    return np.concatenate([true - np.log(true_count), other - np.log(sampled_count)], 1)


@pytest.mark.parametrize("num_true", [1, 2])
@pytest.mark.parametrize("hits", [False, True])
@pytest.mark.parametrize("loss", [gp.nn.nce_loss, gp.nn.sampled_softmax_loss])
def test_sampled_losses(loss, num_true, hits):
    rng = np.random.default_rng(0)
    w, b, x = rng.normal(size=(9, 4)), rng.normal(size=9), rng.normal(size=(5, 4))
    labels = rng.permuted(np.tile(np.arange(9), (5, 1)), axis=1)[:, :num_true]
    inputs = [gp.placeholder(gp.float64, a.shape) for a in (w, b, x)]
    sampled = gp.nn.log_uniform_candidate_sampler(labels, num_true, 6, True, 9, seed=1)
    out = loss(inputs[0], inputs[1], labels, inputs[2], 6, 9, num_true, sampled, hits)
    grads = [gp.convert_to_tensor(g) for g in gp.gradients(out, inputs)]
    session = gp.Session()
    feed = dict(zip(inputs, (w, b, x), strict=True))
    got, values, slopes = session.run([out, list(sampled), grads], feed)

    def by_hand(w, b, x):
        logits = logits_by_hand(w, b, labels, x, *values, hits)
        z = np.zeros_like(logits)
        z[:, :num_true] = 1 / num_true
        if loss is gp.nn.nce_loss:
            finite = np.where(np.isfinite(logits), logits, -1e9)
            return (np.logaddexp(0, finite) - z * finite).sum(1)
        return np.log(np.exp(logits).sum(1)) - (z * np.where(z, logits, 0)).sum(1)

    np.testing.assert_allclose(got, by_hand(w, b, x), 1e-6)
    for i, slope in enumerate(slopes):  # against a central difference
        d = rng.normal(size=slope.shape)
        ends = [
            by_hand(*[a + h * d if k == i else a for k, a in enumerate((w, b, x))]).sum()
            for h in (1e-6, -1e-6)
        ]
        want = (ends[0] - ends[1]) / 2e-6
        np.testing.assert_allclose((slope * d).sum(), want, 1e-5, 1e-5)


def test_sampled_softmax_draws_for_itself_and_trains():
    gp.set_random_seed(1)
    w = gp.Variable(np.zeros((50, 4), np.float32))
    b = gp.Variable(np.zeros(50, np.float32))
    x = gp.placeholder(gp.float32, [None, 4])
    labels = gp.placeholder(gp.int64, [None, 1])
    loss = gp.reduce_mean(gp.nn.sampled_softmax_loss(w, b, labels, x, 10, 50))
    step = gp.train.GradientDescentOptimizer(1.0).minimize(loss)
    session = gp.Session()
    session.run(gp.global_variables_initializer())
    rng = np.random.default_rng(0)
    k = rng.integers(0, 4, 64)
    feed = {x: np.eye(4)[k], labels: k[:, None]}
    first = session.run(loss, feed)
    for _ in range(50):
        session.run(step, feed)
    assert session.run(loss, feed) < 0.3 * first


# ---- kernels refuse what is malformed ------------------------------------------------------------

GOOD = {
    "sampled": ("int64", (4,)),
    "true_count": ("float32", (3,)),
    "sampled_count": ("float32", (4,)),
    "state": ("int64", (2,)),
    "table": ("int64", (8,)),
    "true": ("int64", (3,)),
    "attrs": (0, 9, 1),
    "sums": None,
}


@pytest.mark.parametrize(
    "changes",
    [{"sampled": ("int32", (4,))}, {"sampled": ("int64", (2, 2))},
     {"true_count": ("float32", (4,))},
     {"sampled_count": ("float32", (3,))}, {"sampled_count": ("float64", (4,))},
     {"state": ("int64", (3,))}, {"table": ("int64", (7,))}, {"table": ("int64", (4,))},
     {"table": ("int64", (0,))}, {"true": ("int32", (3,))}, {"attrs": (4, 9, 1)},
     {"attrs": (-1, 9, 1)}, {"attrs": (0, 3, 1)}, {"attrs": (0, 0, 0)}, {"attrs": (0, 9, 2)},
     {"attrs": (0, 9)}, {"attrs": (0, 2**62, 0)}, {"attrs": (2, 9, 1)}, {"attrs": (3, 9, 1)},
     {"attrs": (2, 9, 1), "sums": ("float64", (8,))},
     {"attrs": (2, 9, 1), "sums": ("float32", (9,))}, {"sums": ("float64", (9,))}],
)  # fmt: skip
def test_malformed_samplers(changes):
    def build(parts):
        plan = Plan()
        outs = [plan.output(*parts[k]) for k in ("sampled", "true_count", "sampled_count")]
        outs.append(plan.state(np.zeros(parts["state"][1], np.int64)))
        outs.append(plan.arena(*parts["table"]))
        ins = [plan.input(np.zeros(*parts["true"][::-1]))]
        if parts["sums"]:
            ins.append(plan.input(np.ones(*parts["sums"][::-1])))
        plan.call("candidate_sampler", outs, ins, list(parts["attrs"]))
        return plan.build()

    build(GOOD)
    with pytest.raises(ValueError):
        build(GOOD | changes)


@pytest.mark.parametrize(
    "changes",
    [{"row": ("int64", (6,))}, {"row": ("int32", (5,))}, {"at": ("int64", (5,))},
     {"count": ("int64", (1,))}, {"true": ("int64", (6,))}, {"true": ("int32", (3, 2))},
     {"sampled": ("int64", (2, 2))}],
)  # fmt: skip
def test_malformed_hits(changes):
    good = {"row": ("int32", (6,)), "at": ("int64", (6,)), "count": ("int64", ()),
            "true": ("int64", (3, 2)), "sampled": ("int64", (4,))}  # fmt: skip

    def build(parts):
        plan = Plan()
        outs = [plan.output(*parts[k]) for k in ("row", "at", "count")]
        ins = [plan.input(np.zeros(*parts[k][::-1])) for k in ("true", "sampled")]
        plan.call("accidental_hits", outs, ins)
        return plan.build()

    build(good)
    with pytest.raises(ValueError):
        build(good | changes)
