"""A neuron that learns: stochastic gradient descent by hand, and the optimizer's.

A neuron computes ``y = sigmoid(w x + b)``. For one example with the target ``t`` and the loss
``L = (y - t)^2 / 2``, the chain rule gives

    dL/dw = (y - t) * y * (1 - y) * x        dL/db = (y - t) * y * (1 - y)

(the slope of the sigmoid is ``y (1 - y)``), and a step against the gradient is
``w -= rate * dL/dw``. The same steps are taken here in three lines of NumPy and by
``GradientDescentOptimizer``, which has found these formulas by itself. The neuron learns a
logical OR.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float64)
T = np.array([0, 1, 1, 1], np.float64)
START = np.array([0.3, -0.2])
RATE, EPOCHS = 2.0, 300


def by_hand() -> tuple[np.ndarray, float]:
    """Return weights and bias after SGD written out."""
    w, b = START.copy(), 0.0
    for _ in range(EPOCHS):
        for x, t in zip(X, T, strict=True):
            y = 1 / (1 + np.exp(-(w @ x + b)))
            delta = (y - t) * y * (1 - y)
            w, b = w - RATE * delta * x, b - RATE * delta
    return w, b


def by_gradplan() -> tuple[np.ndarray, float]:
    """Return weights and bias after the same steps taken by the optimizer."""
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float64, [2])
        t = tf.placeholder(tf.float64, [])
        w = tf.Variable(START)
        b = tf.Variable(0.0, dtype=tf.float64)
        y = tf.sigmoid(tf.reduce_sum(w * x) + b)
        loss = tf.square(y - t) / 2
        train = tf.train.GradientDescentOptimizer(RATE).minimize(loss)
        sess.run(tf.global_variables_initializer())
        step = sess.make_callable(train, [x, t])
        for _ in range(EPOCHS):
            for example, target in zip(X, T, strict=True):
                step(example, target)
        return sess.run(w), float(sess.run(b))


def main() -> dict[str, float]:
    """Train both ways and compare the weights."""
    (w1, b1), (w2, b2) = by_hand(), by_gradplan()
    print(f"by hand   w = {w1}, b = {b1:.12f}")
    print(f"gradplan  w = {w2}, b = {b2:.12f}")
    right = ((X @ w2 + b2 > 0) == (T > 0.5)).mean()
    difference = max(np.abs(w1 - w2).max(), abs(b1 - b2))
    print(f"largest difference {difference:.1e}; right for {right:.0%} of OR")
    return {"difference": float(difference), "accuracy": float(right)}


if __name__ == "__main__":
    main()
