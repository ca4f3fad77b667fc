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

    def refined(self, h, width):
        """A loop whose trips write a variable."""
        w = self.variable(width, width)

        def trip(i, a):
            return i + 1, gp.tanh(gp.matmul(a, w)) + h * self.count.assign_add(0.1)

        return gp.while_loop(lambda i, a: i < 3, trip, [0, h])[1]

    def until(self, h, width):
        w = self.variable(width)

        def go_on(i, a):
            return gp.logical_and(i < 4, gp.reduce_sum(gp.abs(a)) > 1.0)

        return gp.while_loop(go_on, lambda i, a: (i + 1, gp.sin(a * w) * 0.7), [0, h])[1]

    def called(self, h, width):
        def row(r):
            t = gp.py_func(np.cos, [r], gp.float64)
            t.set_shape(r.shape)
            return r * t

        return row(h) if self.chance(0.5) else gp.map_fn(row, h)

    def array(self, h, width):
        w, a = self.variable(width), gp.TensorArray(gp.float64, size=0, dynamic_size=True)

        def trip(i, a):
            return i + 1, a.write(i, gp.tanh(h * w) * gp.cast(i, gp.float64))

        _, a = gp.while_loop(lambda i, a: i < 3, trip, [0, a])
        return gp.reduce_sum(a.stack(), 0)

    def lstm(self, h, width):
        w, zero = self.variable(width + 3, 12), gp.zeros([1, 3], gp.float64)

        def cell(state, x):
            c, out = state
            i, f, g, o = gp.split(gp.matmul(gp.concat([gp.expand_dims(x, 0), out], 1), w), 4, 1)
            c = gp.sigmoid(f) * c + gp.sigmoid(i) * gp.tanh(g)
            return c, gp.sigmoid(o) * gp.tanh(c)

        return gp.scan(cell, h, (zero, zero))[1][:, 0, :]

    def attention(self, h, width):
        q, k = (gp.matmul(h, self.variable(width, 4)) for _ in range(2))
        return gp.matmul(gp.nn.softmax(gp.matmul(q, k, transpose_b=True) * 0.5), h)

    def embedded(self, h, width):
        ids = gp.cast(gp.abs(gp.reduce_sum(h, 1) * 3.0), gp.int32) % 7
        return h + gp.nn.embedding_lookup(self.variable(7, width), ids)

    def masked(self, h, width):
        """The number of rows follows from their values."""
        return h + gp.reduce_sum(gp.boolean_mask(h, gp.reduce_sum(h, 1) > 0.0), 0) * 0.1

    def gated(self, h, width):
        a, b = gp.split(gp.matmul(h, self.variable(width, 6)), 2, 1)
        return gp.where(a > 0.0, a, gp.exp(a) - 1.0) * gp.sigmoid(b)

    def summed(self, h, width):
        return gp.cumsum(h, 1) * gp.reduce_sum(gp.nn.top_k(h, 1).values, 1, keepdims=True)

    LAYERS = (
        dense, dense, dense, dense, normalised, counted, joined, residual, mapped, scanned,
        refined, until, called, array, lstm, attention, embedded, masked, gated, summed,
    )  # fmt: skip

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


@pytest.mark.parametrize("seed", range(120))
def test_training(seed, unoptimised):
    with gp.Graph().as_default():
        network = Network(seed)
        rows = np.random.default_rng(1).standard_normal((ROWS, int(network.x.shape[1])))
        found = []
        for config in (None, unoptimised):
            with gp.Session(config=config) as sess:
                sess.run(gp.global_variables_initializer())
                step = sess.make_callable(network.fetches, [network.x, network.training])
                values = [v for k in range(STEPS) for v in step(rows, k != 2) if v is not None]
                values = [getattr(v, "values", v) for v in values]  # of rows
                for plan in filter(None, step.plans):
                    no_two_results_overlap(plan)
                values += sess.run(gp.global_variables())
                found.append(np.concatenate([np.ravel(v) for v in values]))
        np.testing.assert_allclose(*found, 1e-7, 1e-8)
