"""Fitting a curve with L-BFGS: SciPy's optimizer on gradplan's gradients.

``scipy.optimize`` wants a function of one flat vector that returns a value and its gradient. A
callable of the session is just that, without the dictionary of a ``run``. What the vector means is
said in the graph: here amplitude, decay, frequency, phase and shift of a swinging that dies out,

    y = a exp(-k t) cos(w t + p) + c

five numbers of very different kinds, for which gradient descent would need one rate each.
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize

import gradplan as tf

TRUTH = np.array([2.0, 0.4, 5.0, 0.7, -1.0])
START = np.array([1.0, 1.0, 4.5, 0.0, 0.0])


def main() -> dict[str, float]:
    """Fit the five parameters; compare with as many steps of gradient descent."""
    rng = np.random.default_rng(0)
    times = np.linspace(0, 5, 200)
    a, k, w, p, c = TRUTH
    measured = a * np.exp(-k * times) * np.cos(w * times + p) + c + rng.normal(0, 0.02, 200)

    with tf.Graph().as_default(), tf.Session() as sess:
        parameters = tf.get_variable("parameters", initializer=START)
        a, k, w, p, c = tf.unstack(parameters)
        curve = a * tf.exp(-k * times) * tf.cos(w * times + p) + c
        loss = tf.reduce_mean(tf.square(curve - measured))
        (gradient,) = tf.gradients(loss, [parameters])
        sess.run(tf.global_variables_initializer())

        vector = tf.placeholder(tf.float64, START.shape)
        put = sess.make_callable(parameters.assign(vector), feed_list=[vector])
        both = sess.make_callable([loss, gradient])

        def value_and_gradient(theta: np.ndarray) -> tuple[float, np.ndarray]:
            put(theta)
            return tuple(both())

        result = minimize(value_and_gradient, START, jac=True, method="L-BFGS-B")
        fitted = result.x

        put(START)
        descent = tf.train.GradientDescentOptimizer(0.05).minimize(loss)
        for _ in range(result.nfev):
            sess.run(descent)
        slow = float(sess.run(loss))
    error = float(np.abs(fitted - TRUTH).max())
    print(f"L-BFGS: loss {result.fun:.2e} after {result.nfev} gradients; descent {slow:.2e}")
    print(f"a, k, w, p, c = {fitted.round(3)}, largest error {error:.3f}")
    return {"loss": float(result.fun), "slow": slow, "error": error}


if __name__ == "__main__":
    main()
