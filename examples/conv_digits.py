"""A convolutional network reads handwritten digits.

The network of the classic tutorial, smaller: twice a convolution, relu and max pooling, then a
dense layer with dropout. Dropout is switched by a placeholder with a default, so that evaluation
feeds nothing but images. One set of 3 x 3 taps looks at every place of the image, which is why
a digit that was moved by a pixel is still the same digit to it.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf
from gradplan.datasets import load_digits

BATCH, EPOCHS, TEST = 50, 6, 360


def weight_variable(shape: list[int]) -> tf.Variable:
    """Return small random weights that break the symmetry of the units."""
    return tf.Variable(tf.truncated_normal(shape, stddev=0.1))


def bias_variable(units: int) -> tf.Variable:
    """Return biases slightly above 0, so that no relu starts dead."""
    return tf.Variable(tf.constant(0.1, shape=[units]))


def conv_layer(x: tf.Tensor, channels: int) -> tf.Tensor:
    """Convolve with 3 x 3 taps, rectify, and halve the image."""
    w = weight_variable([3, 3, int(x.get_shape()[3]), channels])
    h = tf.nn.conv2d(x, w, strides=[1, 1, 1, 1], padding="SAME")
    h = tf.nn.relu(tf.nn.bias_add(h, bias_variable(channels)))
    return tf.nn.max_pool(h, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding="SAME")


def main() -> dict[str, float]:
    """Train the network; return its accuracy on the images it has not seen."""
    images, labels = load_digits()
    rng = np.random.default_rng(0)
    order = rng.permutation(len(images))
    images, onehot = images[order], np.eye(10, dtype=np.float32)[labels[order]]

    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(0)
        x = tf.placeholder(tf.float32, [None, 64])
        y = tf.placeholder(tf.float32, [None, 10])
        keep_prob = tf.placeholder_with_default(1.0, [])
        h = conv_layer(tf.reshape(x, [-1, 8, 8, 1]), 8)
        h = conv_layer(h, 16)  # [batch, 2, 2, 16]
        h = tf.reshape(h, [-1, 2 * 2 * 16])
        h = tf.nn.relu(tf.matmul(h, weight_variable([64, 64])) + bias_variable(64))
        h = tf.nn.dropout(h, keep_prob)
        logits = tf.matmul(h, weight_variable([64, 10])) + bias_variable(10)
        loss = tf.reduce_mean(tf.nn.softmax_cross_entropy_with_logits(labels=y, logits=logits))
        train = tf.train.AdamOptimizer(3e-3).minimize(loss)
        right = tf.equal(tf.argmax(logits, 1), tf.argmax(y, 1))
        accuracy = tf.reduce_mean(tf.cast(right, tf.float32))

        sess.run(tf.global_variables_initializer())
        for _ in range(EPOCHS):
            order = rng.permutation(len(images) - TEST)
            for rows in np.array_split(order, len(order) // BATCH):
                sess.run(train, {x: images[rows], y: onehot[rows], keep_prob: 0.7})
        test = {x: images[-TEST:], y: onehot[-TEST:]}
        unseen = float(sess.run(accuracy, test))
        spread = np.ptp([sess.run(loss, {**test, keep_prob: 0.7}) for _ in range(5)])
    print(f"{unseen:.1%} of {TEST} unseen digits are right after {EPOCHS} epochs")
    print(f"with dropout the loss of the same images varies by {spread:.4f}")
    return {"accuracy": unseen, "spread": float(spread)}


if __name__ == "__main__":
    main()
