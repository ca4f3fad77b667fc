"""A physics-informed network solves the heat equation.

A rod of length 1 is hot in the middle and held at 0 at both ends: ``u_t = u_xx``, with
``u(x, 0) = sin(pi x)``. The network is never shown a temperature. Its loss is how far it is from
obeying the equation at points drawn at random, with derivatives of the network by its inputs from
``tf.gradients``, and those of the loss by its weights on top of them. What holds at the start and
at the ends is built in: ``u = sin(pi x) + 4 x (1 - x) t/T net(x, t)``, where T is the last time.

The solution is ``exp(-pi^2 t) sin(pi x)``. (Raissi, Perdikaris, Karniadakis, arXiv 1711.10561;
boundary values by construction: Lagaris et al., IEEE Trans. Neural Networks 9, 1998.)
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

UNITS, POINTS, STEPS, END = 20, 200, 2000, 0.3


def network(x: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
    """Return a net of two hidden layers; smooth, as it is derived three times."""
    h = tf.concat([x, t / END], 1)
    for layer in range(2):
        n = int(h.get_shape()[1])
        w = tf.get_variable(f"w{layer}", [n, UNITS])
        b = tf.get_variable(f"b{layer}", [UNITS], initializer=tf.zeros_initializer)
        h = tf.tanh(tf.matmul(h, w) + b)
    return tf.matmul(h, tf.get_variable("w", [UNITS, 1]))


def main() -> dict[str, float]:
    """Train the network and compare it with the solution."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(0)
        x = tf.placeholder(tf.float32, [None, 1])
        t = tf.placeholder(tf.float32, [None, 1])
        u = tf.sin(np.pi * x) + 4 * x * (1 - x) * (t / END) * network(x, t)
        u_x, u_t = tf.gradients(u, [x, t])
        u_xx = tf.gradients(u_x, x)[0]
        loss = tf.reduce_mean(tf.square(u_t - u_xx))
        rate = tf.placeholder(tf.float32, [])
        train = tf.train.AdamOptimizer(rate).minimize(loss)

        sess.run(tf.global_variables_initializer())
        losses = []
        for step in range(STEPS):
            feed = {x: rng.random([POINTS, 1]), t: END * rng.random([POINTS, 1])}
            feed[rate] = 1e-2 * 0.1 ** (2 * step / STEPS)
            losses.append(sess.run([loss, train], feed)[0])
        grid = np.stack(np.meshgrid(np.linspace(0, 1, 21), np.linspace(0, END, 21)), -1)
        points = grid.reshape(-1, 2)
        found = sess.run(u, {x: points[:, :1], t: points[:, 1:]})[:, 0]

    exact = np.exp(-(np.pi**2) * points[:, 1]) * np.sin(np.pi * points[:, 0])
    error = float(np.abs(found - exact).max())
    print(f"mean square of u_t - u_xx: {losses[0]:.2f} -> {np.mean(losses[-50:]):.1e}")
    print(f"largest error of the temperature {error:.1e}")
    return {"residual": float(np.mean(losses[-50:])), "error": error}


if __name__ == "__main__":
    main()
