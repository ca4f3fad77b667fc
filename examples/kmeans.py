"""K-means by segment sums: digits in ten groups, without their labels.

Two steps in turn: every image goes to the nearest centre, and every centre to the mean of its
images. The second is a sum by segments divided by their sizes. Distances need no difference of
every pair: ``|x - c|^2 = |x|^2 - 2 x.c + |c|^2``, and the first term is the same for all centres.
SciPy, from the same start, has to find the same centres.
"""

from __future__ import annotations

import numpy as np
from scipy.cluster.vq import kmeans2

import gradplan as tf
from gradplan.datasets import load_digits

K, MOST = 10, 100


def main() -> dict[str, float]:
    """Move the centres until nothing changes; return how pure the groups are."""
    images, labels = load_digits()
    images = images.astype(np.float64)
    start = images[np.random.default_rng(5).choice(len(images), K, replace=False)]

    with tf.Graph().as_default(), tf.Session() as sess:
        points = tf.constant(images)
        centres = tf.Variable(start)
        products = tf.matmul(points, centres, transpose_b=True)  # [1797, 10]
        distances = tf.reduce_sum(tf.square(centres), 1) - 2 * products
        nearest = tf.argmin(distances, 1)
        inertia = tf.reduce_sum(tf.reduce_min(distances, 1)) + tf.reduce_sum(tf.square(points))
        sums = tf.unsorted_segment_sum(points, nearest, K)
        counts = tf.unsorted_segment_sum(tf.ones_like(points[:, :1]), nearest, K)
        means = sums / counts
        moved = tf.reduce_max(tf.abs(means - centres))
        with tf.control_dependencies([moved, inertia]):
            update = tf.assign(centres, means)

        sess.run(tf.global_variables_initializer())
        history = []
        for _ in range(MOST):
            total, shift, _ = sess.run([inertia, moved, update])
            history.append(total)
            if shift == 0:
                break
        group, found = sess.run([nearest, centres])

    purity = sum(np.bincount(labels[group == k]).max() for k in range(K)) / len(labels)
    peer, _ = kmeans2(images, start, iter=MOST, minit="matrix")
    difference = float(np.abs(peer - found).max())
    print(f"{len(history)} steps, sum of squares {history[0]:.0f} -> {history[-1]:.0f}")
    print(f"most frequent digits of the groups: {purity:.1%}; from SciPy's: {difference:.1e}")
    return {
        "steps": len(history),
        "rises": float(np.diff(history).max()),
        "purity": float(purity),
        "difference": difference,
    }


if __name__ == "__main__":
    main()
