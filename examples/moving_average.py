"""Moving averages of the weights are better than the weights.

Stochastic gradient descent with a constant rate never settles: every batch pulls the weights
another way. Their moving average, ``average = decay * average + (1 - decay) * w``, stands still in
the middle. It has to be taken after the step of the optimizer, so it is made under
``tf.control_dependencies``; ``read_value`` reads the variable there, not at the start of the run.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

SIZE, BATCH, STEPS, RATE, DECAY = 10, 4, 2000, 0.08, 0.99


def main() -> dict[str, float]:
    """Train a linear model on noisy targets; return the errors of weights and average."""
    rng = np.random.default_rng(0)
    truth = rng.normal(size=[SIZE, 1])
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float64, [None, SIZE])
        y = tf.placeholder(tf.float64, [None, 1])
        w = tf.Variable(np.zeros([SIZE, 1]), name="w")
        average = tf.Variable(w.initialized_value(), trainable=False, name="w_average")
        loss = tf.reduce_mean(tf.squared_difference(tf.matmul(x, w), y))
        step = tf.train.GradientDescentOptimizer(RATE).minimize(loss)
        with tf.control_dependencies([step]):
            train = tf.assign_sub(average, (1 - DECAY) * (average - w.read_value()))

        sess.run(tf.global_variables_initializer())
        by_hand, errors = np.zeros([SIZE, 1]), []
        for _ in range(STEPS):
            points = rng.normal(size=[BATCH, SIZE])
            noisy = points @ truth + rng.normal(0, 1, [BATCH, 1])
            found_average = sess.run(train, {x: points, y: noisy})
            found = sess.run(w)
            by_hand = DECAY * by_hand + (1 - DECAY) * found
            errors.append([np.linalg.norm(v - truth) for v in (found, found_average)])
        difference = float(np.abs(by_hand - found_average).max())
        trained = len(tf.trainable_variables())
    weights, averaged = (float(v) for v in np.mean(errors[STEPS // 2 :], axis=0))
    print(f"distance from the truth: weights {weights:.3f}, their average {averaged:.3f}")
    print(f"the average by NumPy differs by {difference:.1e}")
    return {"weights": weights, "averaged": averaged, "difference": difference, "trained": trained}


if __name__ == "__main__":
    main()
