"""Forward and backward of a dense layer as matrix products.

A dense layer on a batch is one product, ``Z = X W + b`` and ``Y = tanh(Z)``, with X [batch, n],
W [n, m] and b [m]. Let ``G = dL/dY`` come from the layer above. The backward pass is two products
of the same size, and a sum:

    D = G * (1 - Y^2)         [batch, m]   through the activation, element by element
    dL/dW = X^T D             [n, m]
    dL/db = sum of D's rows   [m]
    dL/dX = D W^T             [batch, n]   what goes to the layer below

To see that it is right, the Jacobian of Y is computed the slow way, one row for every element of Y,
and multiplied by G. It has ``batch * m`` rows: which is why nobody trains with it.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

BATCH, N, M = 4, 3, 2


def main() -> dict[str, float]:
    """Compute the three gradients both ways; return the largest differences."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.constant(rng.normal(size=[BATCH, N]))
        w = tf.constant(rng.normal(size=[N, M]))
        b = tf.constant(rng.normal(size=[M]))
        g = tf.constant(rng.normal(size=[BATCH, M]))
        y = tf.tanh(tf.matmul(x, w) + b)

        d = g * (1 - tf.square(y))
        by_products = {
            "dL/dW": tf.matmul(x, d, transpose_a=True),
            "dL/db": tf.reduce_sum(d, axis=0),
            "dL/dX": tf.matmul(d, w, transpose_b=True),
        }
        rows = {name: [] for name in by_products}
        for i in range(BATCH):
            for j in range(M):
                gradients = tf.gradients(y[i, j], [w, b, x])
                for name, gradient in zip(rows, gradients, strict=True):
                    rows[name].append(gradient)

        found = {}
        upstream = sess.run(g).reshape(-1)
        for name, product in by_products.items():
            jacobian = np.stack(sess.run(rows[name]))  # [batch * m, ...]
            slow = np.tensordot(upstream, jacobian, 1)
            fast = sess.run(product)
            found[name] = float(np.abs(fast - slow).max())
            print(f"{name} {list(fast.shape)} from a Jacobian {list(jacobian.shape)}: "
                  f"largest difference {found[name]:.1e}")  # fmt: skip
    return found


if __name__ == "__main__":
    main()
