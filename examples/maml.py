"""Learning to learn: the inner step of MAML, a gradient through an update.

A sine of any amplitude and phase shall be learnt from ten points in one step of gradient descent.
No network can do that from weights drawn at random; but weights can be found from which one step
goes far. The step is part of the graph, ``w' = w - rate * gradient(loss, w)``, and the loss after
it is minimised with respect to ``w``: a gradient of a gradient. Along a random direction it is
compared with a difference. (Finn, Abbeel, Levine, arXiv 1703.03400.)
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

UNITS, POINTS, TASKS, RATE, STEPS = 32, 10, 8, 0.05, 1500
SHAPES = {"w1": [1, UNITS], "b1": [UNITS], "w2": [UNITS, UNITS], "b2": [UNITS], "w3": [UNITS, 1]}


def forward(x: tf.Tensor, w: dict[str, tf.Tensor]) -> tf.Tensor:
    """Return the network's values for given weights: variables, or what a step made of them."""
    h = tf.tanh(tf.matmul(x, w["w1"]) + w["b1"])
    h = tf.tanh(tf.matmul(h, w["w2"]) + w["b2"])
    return tf.matmul(h, w["w3"])


def sample(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return points of some sines: ``[tasks, 2 * points, 1]``; half to learn from, half to test."""
    x = rng.uniform(-3, 3, [TASKS, 2 * POINTS, 1])
    amplitude, phase = rng.uniform(0.5, 2, [TASKS, 1, 1]), rng.uniform(0, np.pi, [TASKS, 1, 1])
    return x, amplitude * np.sin(x - phase)


def main() -> dict[str, float]:
    """Train the weights to start from; return the losses before and after one step on new sines."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(0)
        x = tf.placeholder(tf.float64, [TASKS, 2 * POINTS, 1])
        y = tf.placeholder(tf.float64, [TASKS, 2 * POINTS, 1])
        weights = {name: tf.get_variable(name, s, tf.float64) for name, s in SHAPES.items()}
        before, after = [], []
        for xs, ys in zip(tf.unstack(x), tf.unstack(y), strict=True):
            inner = tf.reduce_mean(tf.square(forward(xs[:POINTS], weights) - ys[:POINTS]))
            slopes = tf.gradients(inner, list(weights.values()))
            fast = {n: w - RATE * g for (n, w), g in zip(weights.items(), slopes, strict=True)}
            before.append(tf.reduce_mean(tf.square(forward(xs[POINTS:], weights) - ys[POINTS:])))
            after.append(tf.reduce_mean(tf.square(forward(xs[POINTS:], fast) - ys[POINTS:])))
        loss = tf.add_n(after) / TASKS
        unadapted = tf.add_n(before) / TASKS
        optimizer = tf.train.AdamOptimizer(3e-3)
        train = optimizer.minimize(loss)
        gradient = tf.gradients(loss, weights["w2"])[0]

        sess.run(tf.global_variables_initializer())
        new_x, new_y = sample(np.random.default_rng(1))
        new = {x: new_x, y: new_y}
        w, g = sess.run([weights["w2"], gradient], new)
        direction = rng.normal(size=w.shape)
        ends = [sess.run(loss, {**new, weights["w2"]: w + e * direction}) for e in (1e-5, -1e-5)]
        difference = abs((ends[0] - ends[1]) / 2e-5 / np.sum(g * direction) - 1)

        untrained = float(sess.run(loss, new))
        for _ in range(STEPS):
            some_x, some_y = sample(rng)
            sess.run(train, {x: some_x, y: some_y})
        start, adapted = (float(v) for v in sess.run([unadapted, loss], new))
    print(f"new sines after one step: {untrained:.3f} untrained, {adapted:.3f} trained to learn")
    print(f"before the step {start:.3f}; gradient from the difference {difference:.1e}")
    return {"untrained": untrained, "start": start, "adapted": adapted,
            "difference": float(difference)}  # fmt: skip


if __name__ == "__main__":
    main()
