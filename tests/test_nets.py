"""Dropout, losses, initializers and what else gp.nn has that no row can hold."""

import re

import numpy as np
import pytest
from core_plan import call
from scipy import stats

import gradplan as gp

InvalidArgument = gp.errors.InvalidArgumentError
LOSSES = gp.losses

# ---- dropout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout(dtype):
    x = gp.placeholder(dtype, [None, 100])
    for give in ({"rate": 0.25}, {"keep_prob": 0.75}, {"rate": gp.constant(0.25, dtype)}):
        y = gp.nn.dropout(x, seed=1, **give)
        value = np.random.default_rng(0).uniform(1, 2, (300, 100)).astype(dtype)
        got, g = gp.Session().run([y, gp.gradients(y, x)[0]], {x: value})
        kept = got != 0
        np.testing.assert_allclose(got[kept], (value / 0.75)[kept], 1e-6)
        np.testing.assert_allclose(g, kept / 0.75, 1e-6)  # the same mask
        assert abs(kept.mean() - 0.75) < 4 * np.sqrt(0.75 * 0.25 / kept.size)
        assert y.dtype == dtype and y.shape.as_list() == [None, 100]


def test_dropout_of_nothing_is_the_input():
    x = gp.placeholder(gp.float32, [3])
    for give in ({"rate": 0}, {"rate": 0.0}, {"keep_prob": 1.0}, {"keep_prob": 1},
                 {"rate": gp.constant(0.0)}, {"keep_prob": gp.constant(1.0)}):  # fmt: skip
        assert gp.nn.dropout(x, **give) is x
    v = gp.Variable(1.0)  # known only when it runs
    session = gp.Session()
    session.run(v.initializer)
    y = gp.nn.dropout(x, keep_prob=v)
    np.testing.assert_array_equal(session.run(y, {x: [1, 2, 3]}), [1, 2, 3])


def test_dropout_by_a_fed_rate():
    """A script feeds keep_prob: 0.5 to train, 1 to test."""
    x, keep = gp.constant(np.ones(1000, np.float32)), gp.placeholder_with_default(1.0, [])
    y = gp.nn.dropout(x, keep, seed=1)
    session = gp.Session()
    np.testing.assert_array_equal(session.run(y), np.ones(1000))
    assert sorted(set(session.run(y, {keep: 0.5}).tolist())) == [0, 2]
    a, b = (session.run(y, {keep: 0.5}) for _ in range(2))
    assert not np.array_equal(a, b)
    # The slope of x m / keep by keep, the mask being fixed.
    y, g = session.run([y, gp.gradients(y, keep)[0]], {keep: 0.5})
    np.testing.assert_allclose(g, -y.sum() / 0.5, 1e-5)


def test_dropout_refuses_a_fed_rate():
    x, rate = gp.constant([1.0, 2.0]), gp.placeholder(gp.float32, [])
    v = gp.Variable(0.0)
    step = gp.assign_add(v, gp.reduce_sum(gp.nn.dropout(x, rate=rate)))
    session = gp.Session()
    session.run(v.initializer)
    for bad in (1.0, -0.1, np.nan):
        with pytest.raises(InvalidArgument, match=rf"{bad:g} is not in \[0, 1\).*test_nets"):
            session.run(step, {rate: bad})
        assert session.run(v) == 0
    with pytest.raises(ValueError, match=r"scalar.*test_nets"):
        gp.nn.dropout(x, rate=gp.placeholder(gp.float32, [2]))


def test_dropout_refuses():
    x = gp.ones([2, 3])
    for give, words in (({}, "needs a rate"), ({"rate": 1.0}, "[0, 1)"), ({"rate": -0.5}, "[0, 1)"),
                        ({"keep_prob": 0.0}, "[0, 1)"), ({"keep_prob": 0.5, "rate": 0.5}, "both"),
                        ({"keep_prob": "a"}, "'a'"), ({"rate": float("nan")}, "[0, 1)"),
                        ({"rate": 0.5, "noise_shape": [None]}, "(2, 3)")):  # fmt: skip
        with pytest.raises(ValueError, match=re.escape(words) + ".*test_nets"):
            gp.nn.dropout(x, **give)
    with pytest.raises(ValueError, match=r"int32.*test_nets"):
        gp.nn.dropout([1, 2], rate=0.5)
    with pytest.raises(ValueError, match=r"\(4, 3\)"):
        gp.nn.dropout(x, rate=0.5, noise_shape=[4, 3])


def test_malformed_rates():
    x = np.float32(0.5)
    assert call("check_fraction", [("float32", ())], [x])[0] == 0.5
    for outs, ins in (([("float64", ())], [x]), ([("float32", (1,))], [x]), ([], [x]),
                      ([("float32", ())], [np.int32(0)]), ([("float32", ())], [x, x])):  # fmt: skip
        with pytest.raises(ValueError):
            call("check_fraction", outs, ins)


@pytest.mark.parametrize("noise", [[None, 1], [40, 1], "tensor"])
def test_dropout_by_rows(noise):
    x = gp.placeholder(gp.float32, [None, 5])
    shape = gp.placeholder(gp.int32, [2]) if noise == "tensor" else noise
    y = gp.nn.dropout(x, rate=0.5, noise_shape=shape, seed=1)
    feed = {x: np.ones((40, 5))} | ({shape: [40, 1]} if noise == "tensor" else {})
    got = gp.Session().run(y, feed)
    assert set(got.sum(1).tolist()) == {0.0, 10.0}


# ---- losses --------------------------------------------------------------------------------------


def xent(z, x):
    return np.maximum(x, 0) - x * z + np.log1p(np.exp(-abs(x)))


def log_softmax(x):
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


NUMBERS = {
    "absolute_difference": lambda z, p: abs(p - z),
    "mean_squared_error": lambda z, p: (p - z) ** 2,
    "huber_loss": lambda z, p: np.where(abs(p - z) < 1, (p - z) ** 2 / 2, abs(p - z) - 0.5),
    "log_loss": lambda z, p: -z * np.log(p + 1e-7) - (1 - z) * np.log(1 - p + 1e-7),
    "hinge_loss": lambda z, p: np.maximum(0, 1 - (2 * z - 1) * p),
    "sigmoid_cross_entropy": xent,
}


def reduced(losses, weights, reduction):
    w = np.broadcast_to(weights, losses.shape)
    total = (losses * w).sum()
    if reduction == "none":
        return losses * w
    by = {"weighted_sum": 1, "weighted_mean": w.sum(), "weighted_sum_over_batch_size": losses.size,
          "weighted_sum_by_nonzero_weights": np.count_nonzero(w)}[reduction]  # fmt: skip
    return total / by if by else 0.0


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("weights", [1.0, 0.0, 2.5, [[0.0], [2.0], [1.0]], "all"])
def test_losses_of_numbers(name, weights):
    rng = np.random.default_rng(1)
    z, p = rng.integers(0, 2, (3, 4)).astype(float), rng.uniform(0.1, 3, (3, 4))
    p = p / 4 if name == "log_loss" else p
    weights = rng.integers(0, 3, (3, 4)).astype(np.float32) if weights == "all" else weights
    for reduction in LOSSES.Reduction.all():
        label, x = gp.placeholder(gp.float32, [None, 4]), gp.placeholder(gp.float32, [3, 4])
        loss = getattr(LOSSES, name)(label, x, weights, reduction=reduction)
        want = reduced(NUMBERS[name](z, p), weights, reduction)
        got, g = gp.Session().run([loss, gp.gradients(loss, x)[0]], {label: z, x: p})
        np.testing.assert_allclose(got, want, 2e-5, 1e-6)
        d, h = rng.normal(size=p.shape), 1e-6
        ends = [reduced(NUMBERS[name](z, p + s * d), weights, reduction) for s in (h, -h)]
        np.testing.assert_allclose((g * d).sum(), np.sum(ends[0] - ends[1]) / (2 * h), 1e-4, 1e-4)
        assert loss.dtype is gp.float32


def test_huber_loss_takes_a_delta():
    got = gp.Session().run(LOSSES.huber_loss([0.0, 0.0], [1.0, 5.0], delta=2.0))
    np.testing.assert_allclose(got, (0.5 + 2 * 5 - 2) / 2)


def test_cosine_distance():
    rng = np.random.default_rng(1)
    z, p = rng.normal(size=(2, 3, 4))
    for axis in (0, 1, -1):
        losses = 1 - (z * p).sum(axis, keepdims=True)
        w = np.arange(losses.size).reshape(losses.shape)
        got = gp.Session().run(LOSSES.cosine_distance(z, p, axis, w))
        np.testing.assert_allclose(got, (losses * w).sum() / np.count_nonzero(w), 1e-5)
        np.testing.assert_array_equal(got, gp.Session().run(
            LOSSES.cosine_distance(z, p, weights=w, dim=axis)))  # fmt: skip
    with pytest.raises(ValueError, match=r"axis.*test_nets"):
        LOSSES.cosine_distance(z, p)


@pytest.mark.parametrize("weights", [1.0, 0.0, 3.0, [1.0, 0.0, 2.0], [[1.0], [0.0], [2.0]]])
def test_mean_pairwise_squared_error(weights):
    rng = np.random.default_rng(1)
    z, p = rng.normal(size=(2, 3, 2, 4))
    d = (p - z).reshape(3, 8)
    pairs = (d[:, :, None] - d[:, None, :]) ** 2
    each = pairs.sum((1, 2)) / (8 * 7)
    w = np.broadcast_to(np.ravel(weights), 3)
    want = (each * w).sum()
    loss = LOSSES.mean_pairwise_squared_error(z, p, weights)
    np.testing.assert_allclose(gp.Session().run(loss), want, 1e-5)
    assert LOSSES.get_losses() == [loss]
    one = LOSSES.mean_pairwise_squared_error([[1.0]], [[3.0]])  # there is no pair
    assert gp.Session().run(one) == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("smoothing", [0, 0.1])
def test_cross_entropies(dtype, smoothing):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, 3)).astype(dtype)
    k = rng.integers(0, 3, 5)
    hot = np.eye(3, dtype=int)[k]
    w = np.array([0, 1, 2, 0, 1.5])
    tolerance = 1e-5 if dtype == "float32" else 1e-12
    z = hot * (1 - smoothing) + smoothing / 3
    loss = LOSSES.softmax_cross_entropy(hot, x, w, smoothing)
    want = reduced(-(z * log_softmax(x)).sum(1), w, "weighted_sum_by_nonzero_weights")
    np.testing.assert_allclose(gp.Session().run(loss), want, tolerance)
    assert loss.dtype == dtype
    z = hot * (1 - smoothing) + smoothing / 2
    loss = LOSSES.sigmoid_cross_entropy(hot, x, label_smoothing=smoothing)
    np.testing.assert_allclose(gp.Session().run(loss), xent(z, x).mean(), tolerance)
    if not smoothing:
        for labels, weights in ((k, w), (k[:, None], w), (k[:, None], w[:, None]), (k, 2.0)):
            loss = LOSSES.sparse_softmax_cross_entropy(labels, x, weights)
            each = -log_softmax(x)[np.arange(5), k]
            want = reduced(each, np.ravel(weights) if np.ndim(weights) else weights,
                           "weighted_sum_by_nonzero_weights")  # fmt: skip
            np.testing.assert_allclose(gp.Session().run(loss), want, tolerance)


def test_no_gradient_flows_into_one_hot_labels():
    z, x = gp.placeholder(gp.float32, [2, 3]), gp.placeholder(gp.float32, [2, 3])
    loss = LOSSES.softmax_cross_entropy(z, x)
    gz, gx = gp.gradients(loss, [z, x])
    assert gz is None and gx is not None


def test_losses_of_nothing_are_zero():
    x = gp.placeholder(gp.float32, [None, 3])
    for reduction in (LOSSES.Reduction.SUM_BY_NONZERO_WEIGHTS, LOSSES.Reduction.MEAN,
                      LOSSES.Reduction.SUM_OVER_BATCH_SIZE):  # fmt: skip
        loss = LOSSES.mean_squared_error(gp.zeros_like(x), x, reduction=reduction)
        got, g = gp.Session().run([loss, gp.gradients(loss, x)[0]], {x: np.zeros((0, 3))})
        assert got == 0 and g.shape == (0, 3)
        loss = LOSSES.mean_squared_error(gp.zeros_like(x), x, 0.0, reduction=reduction)
        got, g = gp.Session().run([loss, gp.gradients(loss, x)[0]], {x: np.ones((2, 3))})
        assert got == 0 and not g.any()


def test_collections():
    assert LOSSES.get_losses() == LOSSES.get_regularization_losses() == []
    assert gp.Session().run(LOSSES.get_regularization_loss()) == 0
    with pytest.raises(ValueError, match=r"no loss.*test_nets"):
        LOSSES.get_total_loss()
    with gp.name_scope("a"):
        first = LOSSES.absolute_difference([0.0], [2.0])
    LOSSES.absolute_difference([0.0], [3.0], loss_collection=None)
    second = LOSSES.mean_squared_error([0.0], [3.0])
    third = LOSSES.log_loss([1.0], [0.5], loss_collection="mine")
    gp.get_variable("v", initializer=[5.0], regularizer=gp.reduce_sum)
    assert LOSSES.get_losses() == [first, second]
    assert LOSSES.get_losses("a/") == [first] and LOSSES.get_losses(None, "mine") == [third]
    session = gp.Session()
    session.run(gp.global_variables_initializer())
    total = LOSSES.get_total_loss
    totals = [total(), total(False), total(scope="a"),
              LOSSES.get_regularization_loss()]  # fmt: skip
    assert session.run(totals) == [16, 11, 2, 5]
    assert totals[0].op.name == "total_loss"


def test_losses_refuse():
    x = gp.placeholder(gp.float32, [3, 4])
    for name in (*NUMBERS, "softmax_cross_entropy"):
        with pytest.raises(ValueError, match=rf"{name}.*\(3, 5\).*\(3, 4\).*test_nets"):
            getattr(LOSSES, name)(gp.zeros([3, 5]), x)
        with pytest.raises(ValueError, match=rf"{name}.*None.*test_nets"):
            getattr(LOSSES, name)(None, x)
    with pytest.raises(ValueError, match=r"Reduction.*test_nets"):
        LOSSES.mean_squared_error(x, x, reduction="average")
    with pytest.raises(ValueError, match=r"broadcast.*test_nets"):
        LOSSES.mean_squared_error(x, x, gp.zeros([4]))
    with pytest.raises(ValueError, match=r"labels \(3, 2\).*test_nets"):
        LOSSES.sparse_softmax_cross_entropy(gp.zeros([3, 2], gp.int32), x)
    loss = LOSSES.sparse_softmax_cross_entropy(gp.constant([0, 4, 1]), x)
    with pytest.raises(InvalidArgument, match=r"4 at position 1.*test_nets"):
        gp.Session().run(loss, {x: np.zeros((3, 4))})


def test_a_loss_fuses_with_its_gradient():
    """No more instructions than by hand."""

    def instructions(build):
        with gp.Graph().as_default():
            x, z = gp.placeholder(gp.float32, [None, 4]), gp.placeholder(gp.float32, [None, 4])
            loss = build(z, x)
            fetches = [loss, gp.gradients(loss, x)[0]]
            return len(gp.Session().plan(fetches, {x: np.ones((9, 4)), z: np.ones((9, 4))}))

    by_hand = instructions(lambda z, x: gp.reduce_mean(gp.squared_difference(x, z)))
    assert instructions(LOSSES.mean_squared_error) <= by_hand + 2


# ---- initializers --------------------------------------------------------------------------------

I = gp.initializers  # noqa: E741
K = gp.keras.initializers


@pytest.mark.parametrize(
    "init, shape, want",
    [(I.zeros(), [2], [0, 0]), (I.ones(gp.int32), [2], [1, 1]),
     (I.constant([1, 2]), [3], [1, 2, 2]),
     (I.identity(3.0), [2, 3], [[3, 0, 0], [0, 3, 0]]), (K.Zeros(), [1], [0])],
)  # fmt: skip
def test_initializers_that_are_known(init, shape, want):
    value = gp.Session().run(init(shape, partition_info=None))
    np.testing.assert_array_equal(value, want)
    assert value.dtype == init.dtype.as_numpy_dtype
    assert init(shape, gp.float64).dtype is gp.float64


FANS = [([200, 300], 200, 300), ([5, 5, 20, 30], 500, 750), ([1000], 1000, 1000)]


@pytest.mark.parametrize("shape, fan_in, fan_out", FANS)
def test_scaled_initializers(shape, fan_in, fan_out):
    average = (fan_in + fan_out) / 2
    for make, n, scale, uniform in (
        (I.glorot_uniform, average, 1, True), (I.glorot_normal, average, 1, False),
        (I.he_uniform, fan_in, 2, True), (I.he_normal, fan_in, 2, False),
        (I.lecun_uniform, fan_in, 1, True), (I.lecun_normal, fan_in, 1, False),
        (lambda seed: I.variance_scaling(3.0, "fan_out", "untruncated_normal", seed), fan_out, 3,
         None),
        (lambda seed: I.uniform_unit_scaling(2.0, seed), np.prod(shape[:-1]), 4, True),
    ):  # fmt: skip
        x = gp.Session().run(make(seed=1)(shape)).ravel().astype(float)
        std = np.sqrt(scale / n)
        if uniform:
            law = stats.uniform(-std * np.sqrt(3), 2 * std * np.sqrt(3))
        elif uniform is None:
            law = stats.norm(0, std)
        else:
            law = stats.truncnorm(-2, 2, 0, std / 0.8796256610342398)
        assert stats.kstest(x, law.cdf).pvalue > 1e-3


def test_configurations_go_round():
    for init in (
        I.Zeros(gp.float64), I.Ones(), I.Constant(2.0), I.RandomNormal(1.0, 2.0, 3, gp.float64),
        I.TruncatedNormal(1.0, 2.0, 3), I.RandomUniform(1.0, 2.0, 3), I.UniformUnitScaling(2.0, 3),
        I.VarianceScaling(2.0, "fan_out", "uniform", 3), I.Orthogonal(2.0, 3), I.Identity(2.0),
        K.RandomNormal(), K.RandomUniform(), K.TruncatedNormal(), I.glorot_normal(3),
    ):  # fmt: skip
        config = init.get_config()
        again = type(init).from_config(config)
        assert again.get_config() == config and type(again) is type(init)
        if type(init).__name__ in K.__all__:
            kept = K.deserialize(K.serialize(init))
            assert kept.get_config() == config
    assert K.RandomNormal().stddev == 0.05 and K.RandomUniform().minval == -0.05
    assert K.get("glorot_uniform").mode == "fan_avg" and K.get(None) is None
    assert isinstance(K.get("Zeros"), I.Zeros) and isinstance(K.get(I.Ones), I.Ones)
    for bad in ("nothing", "get", 3):
        with pytest.raises(ValueError, match=r"initializer.*test_nets"):
            K.get(bad)


def test_initializers_refuse():
    for init, words in ((I.identity(), "matrices"), (I.orthogonal(), "two dimensions")):
        with pytest.raises(ValueError, match=f"{words}.*test_nets"):
            init([3])
    with pytest.raises(ValueError, match="known"):
        I.zeros()([None])


@pytest.mark.parametrize("shape", [(4, 4), (7, 3), (3, 7), (2, 3, 4)])
def test_orthogonal(shape):
    w = gp.get_variable("w", shape, initializer=gp.orthogonal_initializer(2.0, seed=1))
    session = gp.Session()
    session.run(w.initializer)
    m = session.run(w).reshape(-1, shape[-1]) / 2.0
    few = m @ m.T if m.shape[0] < m.shape[1] else m.T @ m
    np.testing.assert_allclose(few, np.eye(len(few)), atol=1e-5)


def test_orthogonal_has_no_favourite_sign():
    x = gp.orthogonal_initializer(seed=1)([1, 1])
    session = gp.Session()
    assert {float(session.run(x)[0, 0]) for _ in range(30)} == {-1.0, 1.0}


# ---- the rest ------------------------------------------------------------------------------------


def test_normalize_moments():
    x = np.random.default_rng(0).normal(3, 2, (50, 4))
    for shift in (None, 2.5):
        d = x - (shift or 0)
        mean, variance = gp.Session().run(
            list(gp.nn.normalize_moments(gp.constant(50.0, gp.float64), d.sum(0), (d * d).sum(0),
                                         shift))
        )  # fmt: skip
        np.testing.assert_allclose(mean, x.mean(0), 1e-12)
        np.testing.assert_allclose(variance, x.var(0), 1e-9)


def test_zero_fraction():
    for value in ([0.0, 1.0, 0.0], [True, False], [[0, 0]]):
        got = gp.Session().run(gp.nn.zero_fraction(value))
        np.testing.assert_allclose(got, 1 - np.count_nonzero(value) / np.size(value), 1e-7)


def test_clipping_of_zeros_and_of_infinities():
    x = gp.placeholder(gp.float32, [3])
    session = gp.Session()
    for clip in (gp.clip_by_norm, gp.clip_by_average_norm):
        np.testing.assert_array_equal(session.run(clip(x, 1.0), {x: [0, 0, 0]}), [0, 0, 0])
    y = gp.clip_by_norm(x, 1.0)
    np.testing.assert_array_equal(session.run(gp.gradients(y, x)[0], {x: [0, 0, 0]}), [1, 1, 1])
    (clipped, none), norm = gp.clip_by_global_norm([x, None], 1.0)
    assert none is None and clipped.op.name.startswith("clip_by_global_norm")
    np.testing.assert_array_equal(session.run(clipped, {x: [0, 0, 0]}), [0, 0, 0])
    assert np.isnan(session.run(clipped, {x: [1, np.inf, 0]})).all()
    assert session.run(norm, {x: [3, 4, 0]}) == 5
    (scaled,), given = gp.clip_by_global_norm([x], 1.0, use_norm=10.0)
    np.testing.assert_allclose(session.run(scaled, {x: [1, 2, 3]}), [0.1, 0.2, 0.3], 1e-6)
    assert session.run(given) == 10


def test_clipping_refuses():
    x = gp.ones([3])
    for clip in (gp.clip_by_norm, gp.clip_by_average_norm):
        with pytest.raises(ValueError, match=r"clip_norm.*\(2, 3\).*test_nets"):
            clip(x, gp.ones([2, 3]))
    for clip in (gp.global_norm, lambda t: gp.clip_by_global_norm(t, 1.0)):
        with pytest.raises(TypeError, match=r"list.*test_nets"):
            clip(x)
        with pytest.raises(ValueError, match=r"needs a tensor.*test_nets"):
            clip([None])


def test_losses_of_logits_refuse():
    x = gp.ones([3])
    for build in (lambda: gp.nn.weighted_cross_entropy_with_logits(gp.ones([2]), x, 1.0),
                 lambda: gp.nn.log_poisson_loss(gp.ones([2]), x)):  # fmt: skip
        with pytest.raises(ValueError, match=r"\(3,\) vs \(2,\).*test_nets"):
            build()
    with pytest.raises(ValueError, match=r"pos_weight.*test_nets"):
        gp.nn.weighted_cross_entropy_with_logits(labels=x, logits=x)
    got = gp.Session().run(
        gp.nn.weighted_cross_entropy_with_logits(targets=x, logits=x, pos_weight=2.0)
    )
    np.testing.assert_allclose(got, 2 * np.log1p(np.exp(-1)), 1e-6)


def test_log_poisson_loss_has_a_slope_at_no_counts():
    z = gp.constant([0.0, 1.0])
    y = gp.nn.log_poisson_loss(z, [1.0, 1.0], compute_full_loss=True)
    np.testing.assert_allclose(gp.Session().run(gp.gradients(y, z)[0]), [-1, -1])


def test_weighted_cross_entropy_has_its_slope_at_zero():
    x = gp.constant([0.0, 0.0])
    y = gp.nn.weighted_cross_entropy_with_logits([1.0, 0.0], x, 3.0)
    np.testing.assert_allclose(gp.Session().run(gp.gradients(y, x)[0]), [-1.5, 0.5])


def test_the_names_are_there():
    for space, names in ((gp.random, "normal uniform truncated_normal gamma poisson multinomial "
                          "categorical shuffle set_random_seed"),
                         (gp.initializers, "zeros ones constant random_normal random_uniform "
                          "truncated_normal uniform_unit_scaling variance_scaling glorot_uniform "
                          "glorot_normal he_normal he_uniform lecun_normal lecun_uniform "
                          "orthogonal identity"),
                         (gp, "random_normal random_uniform truncated_normal random_gamma "
                          "random_poisson multinomial random_shuffle random_crop set_random_seed "
                          "orthogonal_initializer uniform_unit_scaling_initializer "
                          "clip_by_norm")):  # fmt: skip
        for name in names.split():
            assert callable(getattr(space, name)), name
