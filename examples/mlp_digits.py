"""A multi-layer perceptron reads handwritten digits.

64 pixels, two hidden layers of rectified units and ten logits, trained on mini-batches by Adam. The
training set is shuffled anew for every epoch. The last 360 images are never trained on: what the
network makes of them is what it has learnt.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf
from gradplan.datasets import load_digits

BATCH, EPOCHS, TEST = 32, 12, 360


def dense(x: tf.Tensor, units: int, name: str) -> tf.Tensor:
    """Return ``x w + b`` with new variables."""
    with tf.variable_scope(name):
        w = tf.get_variable("w", [x.get_shape()[1], units])  # Glorot's uniform by default
        b = tf.get_variable("b", [units], initializer=tf.constant_initializer(0.0))
        return tf.matmul(x, w) + b


def main() -> dict[str, float]:
    """Train the network; return its accuracy on both sets."""
    images, labels = load_digits()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))
    images, labels = images[order], labels[order]

    with tf.Graph().as_default():
        tf.set_random_seed(0)
        x = tf.placeholder(tf.float32, [None, 64])
        y = tf.placeholder(tf.int64, [None])
        h = tf.nn.relu(dense(x, 64, "hidden1"))
        h = tf.nn.relu(dense(h, 32, "hidden2"))
        logits = dense(h, 10, "logits")
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        )
        train = tf.train.AdamOptimizer(learning_rate=3e-3).minimize(loss)
        accuracy = tf.reduce_mean(tf.to_float(tf.equal(tf.argmax(logits, 1), y)))

        with tf.Session() as sess:
            sess.run(tf.global_variables_initializer())
            train_x, train_y = images[:-TEST], labels[:-TEST]
            for _ in range(EPOCHS):
                order = rng.permutation(len(train_x))
                for i in range(0, len(order) - BATCH + 1, BATCH):
                    rows = order[i : i + BATCH]
                    sess.run(train, feed_dict={x: train_x[rows], y: train_y[rows]})
            seen = accuracy.eval({x: train_x, y: train_y})
            unseen = accuracy.eval({x: images[-TEST:], y: labels[-TEST:]})
    print(f"right after {EPOCHS} epochs: {seen:.1%} of the training set, {unseen:.1%} of the test")
    return {"train": float(seen), "test": float(unseen)}


if __name__ == "__main__":
    main()
