"""Linear regression: the first program of every course.

Points lie about a plane, ``y = x w + b + noise``. Gradient descent on the mean square of the error
finds ``w`` and ``b``; as the error is a quadratic function of them there is one minimum, which
``numpy.linalg.lstsq`` computes in one go, and to which the descent has to come.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

SLOPES, SHIFT = np.array([2.0, -3.0, 0.5]), 4.0
STEPS = 400


def sample(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return points ``[n, 3]`` and noisy heights ``[n, 1]``."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, [n, len(SLOPES)])
    y = x @ SLOPES + SHIFT + rng.normal(0, 0.1, n)
    return x.astype(np.float32), y.astype(np.float32)[:, None]


def main() -> dict[str, float]:
    """Fit the plane by gradient descent and compare it with the exact solution."""
    points, heights = sample(200)
    with tf.Graph().as_default():
        x = tf.placeholder(tf.float32, [None, 3], name="x")
        y = tf.placeholder(tf.float32, [None, 1], name="y")
        w = tf.Variable(tf.zeros([3, 1]), name="w")
        b = tf.Variable(tf.zeros([1]), name="b")
        predicted = tf.matmul(x, w) + b
        loss = tf.reduce_mean(tf.square(predicted - y))
        train = tf.train.GradientDescentOptimizer(0.3).minimize(loss)

        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            first = sess.run(loss, {x: points, y: heights})
            for _ in range(STEPS):
                sess.run(train, feed_dict={x: points, y: heights})
            last, slopes, shift = sess.run([loss, w, b], feed_dict={x: points, y: heights})

    exact = np.linalg.lstsq(np.hstack([points, np.ones([200, 1])]), heights, rcond=None)[0]
    difference = float(np.abs(np.vstack([slopes, shift]) - exact).max())
    print(f"loss {first:.4f} -> {last:.4f}; w = {slopes[:, 0].round(3)}, b = {shift[0]:.3f}")
    print(f"largest difference from least squares {difference:.1e}")
    return {"first": float(first), "last": float(last), "difference": difference}


if __name__ == "__main__":
    main()
