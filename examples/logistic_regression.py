"""Logistic regression: is it a three or an eight?

A linear function of the 64 pixels gives the logit, and its sigmoid the probability of an eight. The
loss is the cross-entropy and a small weight decay, which keeps the weights finite: the two digits
can be told apart by a plane, and without it the weights would grow for ever. The gradient at the
end tells whether the descent has arrived: the loss is convex, so where it is zero is the minimum.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf
from gradplan.datasets import load_digits

DECAY = 1e-2


def main() -> dict[str, float]:
    """Train on two thirds of the images and count what is right among the others."""
    images, labels = load_digits()
    chosen = (labels == 3) | (labels == 8)
    images, labels = images[chosen], (labels[chosen] == 8).astype(np.float32)[:, None]
    cut = 2 * len(images) // 3

    with tf.Graph().as_default(), tf.Session() as sess:
        x = tf.placeholder(tf.float32, shape=(None, 64))
        y = tf.placeholder(tf.float32, shape=(None, 1))
        with tf.variable_scope("logistic"):
            w = tf.get_variable("w", [64, 1], initializer=tf.zeros_initializer())
            b = tf.get_variable("b", [1], initializer=tf.zeros_initializer())
        logits = tf.nn.xw_plus_b(x, w, b)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits)
        loss = tf.reduce_mean(entropy) + DECAY * tf.nn.l2_loss(w)
        train = tf.train.MomentumOptimizer(0.5, 0.9).minimize(loss)
        slope = tf.global_norm(tf.gradients(loss, [w, b]))
        correct = tf.equal(tf.round(tf.sigmoid(logits)), y)
        accuracy = tf.reduce_mean(tf.cast(correct, tf.float32))

        sess.run(tf.global_variables_initializer())
        feed = {x: images[:cut], y: labels[:cut]}
        for _ in range(600):
            sess.run(train, feed)
        last, norm = sess.run([loss, slope], feed)
        right = sess.run(accuracy, {x: images[cut:], y: labels[cut:]})
    print(f"loss {last:.4f}, norm of its gradient {norm:.1e}")
    print(f"{right:.1%} of {len(images) - cut} unseen digits are right")
    return {"loss": float(last), "gradient": float(norm), "accuracy": float(right)}


if __name__ == "__main__":
    main()
