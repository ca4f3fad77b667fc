"""A learning rate that falls with the global step.

A rate is a tensor like any other: an optimizer takes an expression of the step counter, which
``minimize`` counts up, or a placeholder that is fed. A constant rate comes near the minimum soon
and then swings about it, as far as the rate is large; one that falls goes on. Here the median of
noisy numbers is found, whose loss ``|x - m|`` has slopes of the same size everywhere.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

STEPS, RATE = 2000, 0.5


def run(kind: str) -> tuple[float, float]:
    """Return how far from the median the last 200 steps are on average, and the last rate."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as sess:
        sample = tf.placeholder(tf.float32, [])
        m = tf.Variable(0.0)
        loss = tf.abs(sample - m)
        global_step = tf.train.get_or_create_global_step()
        step = tf.cast(global_step, tf.float32)
        fed = tf.placeholder_with_default(RATE, [], name="rate")
        rate = {
            "constant": tf.constant(RATE),
            "exponential": RATE * tf.pow(0.1, step / 800),
            "staircase": RATE * tf.pow(0.1, tf.floor(step / 800)),
            "inverse": RATE / (1 + step / 20),
            "fed": fed,
        }[kind]
        train = tf.train.GradientDescentOptimizer(rate).minimize(loss, global_step=global_step)
        sess.run(tf.global_variables_initializer())
        values = []
        for i in range(STEPS):
            feed = {sample: rng.normal(3, 1)}
            if kind == "fed":
                feed[fed] = RATE / (1 + i / 20)
            sess.run(train, feed)
            values.append(sess.run(m))
        assert sess.run(global_step) == STEPS
        last = float(sess.run(rate))
    return float(np.abs(np.array(values[-200:]) - 3).mean()), last


def main() -> dict[str, float]:
    """Try each schedule; return how far from the median each ends."""
    found = {}
    for kind in ("constant", "exponential", "staircase", "inverse", "fed"):
        found[kind], last = run(kind)
        print(f"{kind:12} error {found[kind]:.3f}, last rate {last:.4f}")
    return found


if __name__ == "__main__":
    main()
