"""The triangle problem: is a point inside a triangle?

Each side of a triangle is a straight line, and a point is inside when it lies on the right side of
all three. One neuron draws one line, so a linear model can do no better than cut the square in two.
Three hidden neurons can draw the three sides, and the output neuron is then an AND of them: an MLP
2-3-1 is the smallest network that solves it.

The triangle here has the corners (-1, -1), (1, -1) and (0, 1); points are drawn from the square
around it, so half of them are inside. The best single line is the horizontal one at half height,
and is right for three points in four.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf


def sample(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points ``[n, 2]`` and whether each is inside: 1 or 0, ``[n, 1]``."""
    points = np.random.default_rng(seed).uniform(-1, 1, [n, 2]).astype(np.float32)
    inside = 2 * np.abs(points[:, 0]) + points[:, 1] < 1
    return points, inside.astype(np.float32)[:, None]


def accuracy_of(hidden: int, steps: int = 3000) -> float:
    """Train a model with this many hidden neurons (0: linear) and test it on fresh points."""
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(1)
        x = tf.placeholder(tf.float32, [None, 2])
        y = tf.placeholder(tf.float32, [None, 1])
        h, size = x, 2
        if hidden:
            w1 = tf.Variable(tf.random_normal([2, hidden]))
            b1 = tf.Variable(tf.zeros([hidden]))
            h, size = tf.sigmoid(tf.matmul(x, w1) + b1), hidden
        w2 = tf.Variable(tf.random_normal([size, 1]))
        b2 = tf.Variable(tf.zeros([1]))
        logits = tf.matmul(h, w2) + b2  # [batch, 1]
        loss = tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits))
        train = tf.train.AdamOptimizer(0.05).minimize(loss)
        right = tf.equal(tf.cast(logits > 0, tf.float32), y)
        accuracy = tf.reduce_mean(tf.cast(right, tf.float32))

        sess.run(tf.global_variables_initializer())
        points, inside = sample(512, seed=0)
        for _ in range(steps):
            sess.run(train, {x: points, y: inside})
        points, inside = sample(10000, seed=1)
        return float(sess.run(accuracy, {x: points, y: inside}))


def main() -> dict[str, float]:
    """Train both models and print how often each is right."""
    found = {"linear": accuracy_of(hidden=0), "2-3-1": accuracy_of(hidden=3)}
    for name, accuracy in found.items():
        print(f"{name:8} {accuracy:.4f}")
    return found


if __name__ == "__main__":
    main()
