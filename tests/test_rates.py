"""Learning rates that decay, moving averages, the global step."""

import math

import numpy as np
import pytest

import gradplan as gp

T = gp.train
POINTS = [0, 1, 4, 9, 10, 11, 25, 30, 70, 100]


def wave(p):
    return 0.5 * (1 + math.cos(math.pi * p))


def restarts(n, first, t, m, alpha=0.0):
    """The period in which n lies, found by walking."""
    start, length, scale = 0.0, float(first), 1.0
    while n >= start + length:
        start, length, scale = start + length, length * t, scale * m
    return (1 - alpha) * scale * wave((n - start) / length) + alpha


def polynomial(n, steps, end, power, cycle):
    steps = steps * max(1, math.ceil(n / steps)) if cycle else steps
    return (1.0 - end) * (1 - min(n, steps) / steps) ** power + end


CASES = {
    "exponential": (T.exponential_decay, (10, 0.5), lambda n: 0.5 ** (n / 10)),
    "stairs": (T.exponential_decay, (10, 0.5, True), lambda n: 0.5 ** (n // 10)),
    "natural": (T.natural_exp_decay, (10, 0.5), lambda n: math.exp(-0.5 * n / 10)),
    "natural-stairs": (T.natural_exp_decay, (10, 0.5, True), lambda n: math.exp(-0.5 * (n // 10))),
    "inverse": (T.inverse_time_decay, (10, 0.5), lambda n: 1 / (1 + 0.5 * n / 10)),
    "inverse-stairs": (T.inverse_time_decay, (10, 0.5, True), lambda n: 1 / (1 + 0.5 * (n // 10))),
    "polynomial": (
        T.polynomial_decay, (30, 0.25, 2.0), lambda n: polynomial(n, 30, 0.25, 2, False)),
    "cycle": (
        T.polynomial_decay, (30, 0.25, 2.0, True), lambda n: polynomial(n, 30, 0.25, 2, True)),
    "cosine": (T.cosine_decay, (40, 0.1), lambda n: 0.9 * wave(min(n, 40) / 40) + 0.1),
    "restarts": (T.cosine_decay_restarts, (10,), lambda n: restarts(n, 10, 2.0, 1.0)),
    "restarts-2": (
        T.cosine_decay_restarts, (10, 3.0, 0.5, 0.1), lambda n: restarts(n, 10, 3.0, 0.5, 0.1)),
    "restarts-even": (
        T.cosine_decay_restarts, (10, 1.0, 0.5), lambda n: restarts(n, 10, 1.0, 0.5)),
    "linear-cosine": (
        T.linear_cosine_decay, (40, 1.5, 0.2, 0.01),
        lambda n: (0.2 + 1 - min(n, 40) / 40) * wave(3 * min(n, 40) / 40) + 0.01),
    "no-noise": (
        T.noisy_linear_cosine_decay, (40, 0.0, 0.5, 1.5, 0.2, 0.01),
        lambda n: (0.2 + 1 - min(n, 40) / 40) * wave(3 * min(n, 40) / 40) + 0.01),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_rates_follow_their_formula(case):
    make, args, want = CASES[case]
    step = gp.placeholder(gp.int64, [])
    short, long = make(1.0, step, *args), make(np.float64(1.0), step, *args)
    assert short.dtype is gp.float32 and long.dtype is gp.float64
    with gp.Session() as sess:
        for n in POINTS:
            got = sess.run([short, long], {step: n})
            np.testing.assert_allclose(got, want(n), rtol=1e-5, atol=2e-7)
            np.testing.assert_allclose(got[1], want(n), rtol=1e-12, atol=1e-14)


def test_numbers_may_be_tensors_and_steps_variables():
    count = gp.train.get_or_create_global_step()
    t = gp.placeholder(gp.float32, [])
    rate = T.cosine_decay_restarts(gp.constant(1.0), count, gp.constant(10), t_mul=t)
    with gp.Session() as sess:
        sess.run(count.initializer)
        for n in POINTS:
            count.load(n, sess)
            for value in (1.0, 3.0):
                want = restarts(n, 10, value, 1.0)
                np.testing.assert_allclose(sess.run(rate, {t: value}), want, rtol=1e-5, atol=2e-7)


def test_noise_has_the_variance_it_should_have():
    gp.set_random_seed(4)
    rate = T.noisy_linear_cosine_decay(1.0, 15, 100, 4.0, 0.5, num_periods=0.0, beta=0.0)
    with gp.Session() as sess:
        got = np.array([sess.run(rate) for _ in range(3000)])
    assert abs(got.mean() - 0.85) < 4 / math.sqrt(3000)
    assert 0.93 < got.std() < 1.07


def test_piecewise_constant():
    x = gp.placeholder(gp.float32, [])
    y = T.piecewise_constant(x, [1.0, 2.5], [1, 2, gp.constant(3)])
    only = T.piecewise_constant(x, [], [7.0])
    with gp.Session() as sess:
        got = [sess.run(y, {x: v}) for v in (-1.0, 1.0, 1.1, 2.5, 2.6)]
        assert got == [1, 1, 2, 2, 3] and sess.run(only, {x: 0.0}) == 7.0
    for text, args in [
        ("1 less", ([1.0], [1.0])),
        ("same dtype", ([gp.constant(1.0, gp.float64)], [1.0, 2.0])),
        ("all with the same dtype", ([1.0], [1.0, 2])),
    ]:
        with pytest.raises(ValueError, match=text):
            T.piecewise_constant(x, *args)
    with pytest.raises(ValueError, match="global_step is required for exponential_decay"):
        T.exponential_decay(0.1, None, 10, 0.5)


def test_a_rate_that_decays_trains():
    count = gp.train.create_global_step()
    w = gp.Variable(0.0)
    rate = T.exponential_decay(1.0, count, 1, 0.5)
    step = T.GradientDescentOptimizer(rate).minimize(-w, count)
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for _ in range(3):
            sess.run(step)
        assert sess.run(w) == 1.75 and gp.train.global_step(sess, count) == 3


# ---- moving averages -----------------------------------------------------------------------------


def test_averages_of_variables_after_each_step():
    w = gp.Variable([1.0, 2.0], name="w", dtype=gp.float64)
    n = gp.Variable(0, name="n", trainable=False)
    slow = T.ExponentialMovingAverage(0.9)
    quick = T.ExponentialMovingAverage(0.9, num_updates=n, name="quick")
    x = gp.placeholder(gp.float64, [2])
    with gp.control_dependencies([w.assign(x)]):
        update = gp.group(slow.apply(), quick.apply([w]), n.assign_add(1))
    assert [a.average(w).op.name for a in (slow, quick)] == [
        "w/ExponentialMovingAverage",
        "w/quick",
    ]
    assert slow.average(n) is None and slow.name == "ExponentialMovingAverage"
    assert gp.moving_average_variables() == [w]
    a = b = np.array([1.0, 2.0])
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for i, value in enumerate(np.random.default_rng(0).normal(size=(50, 2))):
            sess.run(update, {x: value})
            decay = float(np.float32(0.9))
            a = a - (1 - decay) * (a - value)
            fast = float(min(np.float32(0.9), np.float32(1 + i) / np.float32(10 + i)))
            b = b - (1 - fast) * (b - value)
            got = sess.run([slow.average(w), quick.average(w)])
            np.testing.assert_allclose(got, [a, b], rtol=1e-6)


def test_averages_of_tensors_begin_with_zero():
    x = gp.placeholder(gp.float32, [])
    t = x * 2.0
    plain, fair = T.ExponentialMovingAverage(0.5), T.ExponentialMovingAverage(0.5, zero_debias=True)
    update = gp.group(plain.apply([t]), fair.apply([t]))
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for value, want in [(3.0, [3.0, 6.0]), (3.0, [4.5, 6.0]), (0.5, [2.75, 22 / 7])]:
            sess.run(update, {x: value})
            got = sess.run([plain.average(t), fair.average(t)])
            np.testing.assert_allclose(got, want, rtol=1e-6)


def test_assign_moving_average_debiases():
    v = gp.Variable(7.0, name="v")
    x = gp.placeholder(gp.float32, [])
    update = T.assign_moving_average(v, x, 0.75)
    assert [u.op.name for u in gp.global_variables()] == ["v", "v/biased", "v/local_step"]
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        assert sess.run(update, {x: 4.0}) == 4.0
        np.testing.assert_allclose(sess.run(update, {x: 8.0}), (0.75 + 2) / (1 - 0.75**2))


def test_averages_are_restored_into_their_variables(tmp_path):
    w = gp.Variable([1.0], name="w")
    n = gp.Variable(5, name="n", trainable=False)
    ema = T.ExponentialMovingAverage(0.5)
    update = ema.apply([w])
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        w.load([3.0], sess)
        n.load(6, sess)
        sess.run(update)
        path = gp.train.Saver().save(sess, str(tmp_path / "m"))
    gp.reset_default_graph()
    w, n = gp.Variable([0.0], name="w"), gp.Variable(0, name="n", trainable=False)
    with gp.Session() as sess:
        gp.train.Saver(T.ExponentialMovingAverage(0.5).variables_to_restore()).restore(sess, path)
        assert sess.run(w) == [2.0] and sess.run(n) == 6
    with pytest.raises(TypeError, match="half, float, or double: n"):
        T.ExponentialMovingAverage(0.5).apply([n])


# ---- the global step -----------------------------------------------------------------------------


def test_global_steps():
    assert T.get_global_step() is None
    mine = gp.Variable(3, name="global_step", trainable=False)
    assert T.get_global_step() is mine and T.get_or_create_global_step() is mine
    with pytest.raises(ValueError, match="already exists"):
        T.create_global_step()
    other = gp.Graph()
    assert T.create_global_step(other) is T.get_global_step(other)
    for text, value in [
        ("must be a Variable or Tensor", 3),
        ("integer type", gp.constant(1.0)),
        ("not scalar", gp.constant([1])),
    ]:
        with pytest.raises(TypeError, match=text):
            T.assert_global_step(value)
