"""Networks drawn at random, trained for some steps: optimised as unoptimised, to 1e-7 in float64.

They hold what programs train: products, normalisation whose statistics a conditional keeps,
residues, loops over rows, losses of parts, clipped gradients.
"""

import numpy as np
import pytest

import gradplan as gp

ROWS, STEPS = 16, 4
ACTIVATIONS = [
    gp.tanh, gp.nn.relu, gp.sigmoid, gp.nn.elu, gp.nn.softplus, gp.square, gp.sin, gp.identity,
    gp.nn.leaky_relu, gp.nn.softmax, lambda t: t * gp.sigmoid(t), lambda t: gp.exp(-t * t),
    lambda t: gp.nn.l2_normalize(t, 1),
]  # fmt: skip
LOSSES = [
    lambda h: gp.reduce_mean(gp.square(h - 1.0)),
    lambda h: gp.reduce_sum(gp.abs(h)),
    lambda h: gp.reduce_mean(gp.reduce_sum(gp.square(h), 1)),
    lambda h: gp.reduce_mean(gp.log(1.0 + gp.square(h))),
]
OPTIMIZERS = [
    lambda: gp.train.GradientDescentOptimizer(0.05), lambda: gp.train.AdamOptimizer(0.03),
    lambda: gp.train.MomentumOptimizer(0.02, 0.9), lambda: gp.train.RMSPropOptimizer(0.01),
    lambda: gp.train.AdagradOptimizer(0.1), lambda: gp.train.FtrlOptimizer(0.05),
    lambda: gp.train.AdamWOptimizer(0.02),
]  # fmt: skip


class Network:
    """A network and what a step of its training fetches."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        n = int(self.rng.integers(2, 9))
        self.x = gp.placeholder(gp.float64, [self.one_of([None, ROWS]), n])
        self.training = gp.placeholder(gp.bool, [])
        self.count = self.variable(trainable=False)
        h, parts = self.x, []
        for _ in range(self.rng.integers(1, 5)):
            h = self.one_of(ACTIVATIONS)(self.one_of(self.LAYERS)(self, h, int(h.shape[1])))
            if self.chance(0.3):
                parts.append(gp.reduce_mean(gp.square(h)))
        loss = self.one_of(LOSSES)(h)
        total = gp.add_n([loss, *parts])
        self.fetches = [loss, total, *self.trained(total)]

    def one_of(self, things):
        return things[self.rng.integers(len(things))]

    def chance(self, p):
        return self.rng.random() < p

    def variable(self, *shape, trainable=True):
        value = self.rng.standard_normal(shape) * 0.5 if trainable else np.zeros(shape)
        return gp.Variable(value, trainable=trainable)

    def dense(self, h, width):
        units = self.one_of([1, 8, int(self.rng.integers(1, 9))])
        out = gp.matmul(h, self.variable(width, units))
        return out + self.variable(units) if self.chance(0.7) else out

    def normalised(self, h, width):
        mean, variance = gp.nn.moments(h, [0], keep_dims=self.chance(0.5))
        if self.chance(0.6):
            kept, now = self.variable(*mean.shape.as_list(), trainable=False), (mean, variance)

            def update():
                with gp.control_dependencies([kept.assign(kept * 0.9 + now[0] * 0.1)]):
                    return [gp.identity(t) for t in now]

            mean, variance = gp.cond(
                self.training, update, lambda: [kept * 1.0, now[1] * 0.0 + 1.0]
            )
        return (h - mean) * gp.rsqrt(variance + 0.01) * self.variable(width) + self.variable(width)

    def counted(self, h, width):
        def one():
            with gp.control_dependencies([self.count.assign_add(1.0)]):
                return gp.tanh(h * self.count.read_value() * 0.1)

        return gp.cond(self.training, one, lambda: h * 0.5)

    def joined(self, h, width):
        return gp.concat([h, self.one_of(ACTIVATIONS)(h)], 1)

    def residual(self, h, width):
        return h + self.one_of(ACTIVATIONS)(gp.matmul(h, self.variable(width, width)))

    def mapped(self, h, width):
        w = self.variable(width)
        return gp.map_fn(lambda r: gp.sin(r * w) * gp.reduce_sum(r), h)

    def scanned(self, h, width):
        return gp.scan(lambda a, r: gp.tanh(a + r), h, gp.zeros([width], gp.float64))

    LAYERS = (dense, dense, dense, normalised, counted, joined, residual, mapped, scanned)

    def trained(self, total):
        if not gp.trainable_variables():
            return []
        optimizer = self.one_of(OPTIMIZERS)()
        pairs = [(g, v) for g, v in optimizer.compute_gradients(total) if g is not None]
        if not pairs:
            return []
        grads, variables = zip(*pairs, strict=True)
        more = []
        if self.chance(0.3):
            grads, norm = gp.clip_by_global_norm(grads, 1.0)
            more.append(norm)
        if self.chance(0.3):
            more += grads[:2]
        return [*more, optimizer.apply_gradients(list(zip(grads, variables, strict=True)))]


def no_two_results_overlap(plan):
    for insn in plan._insns:
        made = [v for v in insn.outs if v is not None and v.size and v.dense]
        places = sorted(
            (v.storage.root().segment, v.storage.root().slot, at, at + v.size * v.dtype.size)
            for v in made
            for at in [v.storage.start() + v.offset]
        )
        for (*a, _, end), (*b, start, _) in zip(places, places[1:], strict=False):
            assert a != b or end <= start, insn.op


@pytest.mark.parametrize("seed", range(60))
def test_training(seed, unoptimised):
    with gp.Graph().as_default():
        network = Network(seed)
        rows = np.random.default_rng(1).standard_normal((ROWS, int(network.x.shape[1])))
        found = []
        for config in (None, unoptimised):
            with gp.Session(config=config) as sess:
                sess.run(gp.global_variables_initializer())
                fed = [{network.x: rows, network.training: k != 2} for k in range(STEPS)]
                no_two_results_overlap(sess.plan(network.fetches, fed[0]))
                values = [v for f in fed for v in sess.run(network.fetches, f) if v is not None]
                values += sess.run(gp.global_variables())
                found.append(np.concatenate([np.ravel(v) for v in values]))
        np.testing.assert_allclose(*found, 1e-7, 1e-8)
