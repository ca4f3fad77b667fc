"""A Gaussian process whose scales are found by the marginal likelihood.

Heights at points ``x`` are jointly normal with the covariance
``K = s^2 exp(-(x - x')^2 / (2 l^2)) + n^2 I``. How likely what was measured is tells which length
``l``, scale ``s`` and noise ``n`` are right. With the Cholesky factor ``K = L L^T`` its logarithm
is

    -1/2 y^T K^-1 y - sum(log diag L) - N/2 log(2 pi)

and ``tf.gradients`` goes through the factor. (Rasmussen and Williams, "Gaussian Processes for
Machine Learning", 2006, algorithm 2.1.)
"""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import multivariate_normal

import gradplan as tf

N, NOISE = 60, 0.2


def main() -> dict[str, float]:
    """Train three scales on a noisy sine and predict it."""
    rng = np.random.default_rng(3)
    x_data = np.sort(rng.uniform(-4, 4, N))
    y_data = np.sin(1.5 * x_data) + rng.normal(0, NOISE, N)
    x_new = np.linspace(-4, 4, 81)

    with tf.Graph().as_default(), tf.Session() as sess:
        logs = tf.Variable(np.zeros(3), name="log_scales")  # positive numbers by their logarithms
        length, scale, noise = tf.unstack(tf.exp(logs))

        def covariance(a: np.ndarray, b: np.ndarray) -> tf.Tensor:
            square = tf.squared_difference(tf.expand_dims(a, 1), tf.expand_dims(b, 0))
            return tf.square(scale) * tf.exp(-square / (2 * tf.square(length)))

        k = covariance(x_data, x_data) + tf.square(noise) * tf.eye(N, dtype=tf.float64)
        factor = tf.cholesky(k)
        alpha = tf.cholesky_solve(factor, y_data[:, None])  # K^-1 y, [N, 1]
        likelihood = (
            -0.5 * tf.reduce_sum(y_data[:, None] * alpha)
            - tf.reduce_sum(tf.log(tf.diag_part(factor)))
            - N / 2 * math.log(2 * math.pi)
        )
        train = tf.train.AdamOptimizer(0.05).minimize(-likelihood)

        cross = covariance(x_new, x_data)  # [81, N]
        mean = tf.squeeze(tf.matmul(cross, alpha), 1)
        half = tf.matrix_triangular_solve(factor, tf.transpose(cross), lower=True)
        variance = tf.square(scale) - tf.reduce_sum(tf.square(half), 0)

        sess.run(tf.global_variables_initializer())
        first = sess.run(likelihood)
        for _ in range(300):
            sess.run(train)
        last, k_last, scales = sess.run([likelihood, k, tf.exp(logs)])
        found, deviation = sess.run([mean, tf.sqrt(variance)])

    truth = np.sin(1.5 * x_new)
    error = float(np.sqrt(np.mean((found - truth) ** 2)))
    inside = float(np.mean(np.abs(found - truth) < 2 * deviation))
    peer = multivariate_normal(np.zeros(N), k_last).logpdf(y_data)
    print(f"log likelihood {first:.2f} -> {last:.2f}; length, scale, noise {scales.round(3)}")
    print(f"error of the mean {error:.3f}; {inside:.0%} of the sine within two deviations")
    return {"gain": float(last - first), "noise": float(scales[2]), "error": error,
            "inside": inside, "difference": float(abs(last - peer))}  # fmt: skip


if __name__ == "__main__":
    main()
