"""A variational autoencoder draws digits that nobody wrote.

The encoder gives each image a normal distribution of codes, ``N(mean, exp(logvar))``; the decoder
makes an image of a code drawn from it. To draw in a way that has a gradient, noise from a standard
normal is scaled and shifted: ``z = mean + exp(logvar / 2) * noise``. The loss is a bound of the
images' negative log-likelihood,

    cross-entropy of the image + KL(N(mean, exp(logvar)) || N(0, 1))

whose second term, ``sum (mean^2 + exp(logvar) - 1 - logvar) / 2``, makes the codes fill a standard
normal: then new images come from codes drawn there. (Kingma and Welling, arXiv 1312.6114.)
"""

from __future__ import annotations

import numpy as np

import gradplan as tf
from gradplan.datasets import load_digits

CODE, HIDDEN, BATCH, EPOCHS = 4, 64, 64, 30


def dense(x: tf.Tensor, units: int) -> tf.Tensor:
    """Return ``x w + b`` with new variables."""
    w = tf.Variable(tf.glorot_uniform_initializer()([int(x.shape[1]), units]))
    return tf.matmul(x, w) + tf.Variable(tf.zeros([units]))


def main() -> dict[str, float]:
    """Train the model; return its bound and how near new images are to real ones."""
    images, _ = load_digits()
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(2)
        x = tf.placeholder(tf.float32, [None, 64])
        h = tf.nn.relu(dense(x, HIDDEN))
        mean, logvar = dense(h, CODE), dense(h, CODE)
        noise = tf.random_normal(tf.shape(mean))
        z = mean + tf.exp(logvar / 2) * noise  # [batch, 4]
        logits = dense(tf.nn.relu(dense(z, HIDDEN)), 64)
        drawn = tf.sigmoid(logits)
        entropy = tf.reduce_sum(
            tf.nn.sigmoid_cross_entropy_with_logits(labels=x, logits=logits), axis=1
        )
        kl = 0.5 * tf.reduce_sum(tf.square(mean) + tf.exp(logvar) - 1 - logvar, axis=1)
        loss = tf.reduce_mean(entropy + kl)
        train = tf.train.AdamOptimizer(5e-3).minimize(loss)

        sess.run(tf.global_variables_initializer())
        first = float(sess.run(loss, {x: images}))
        for _ in range(EPOCHS):
            order = rng.permutation(len(images))
            for i in range(0, len(images), BATCH):
                sess.run(train, {x: images[order[i : i + BATCH]]})
        last, used = sess.run([loss, tf.reduce_mean(kl)], {x: images})
        new = sess.run(drawn, {z: rng.normal(size=[100, CODE])})

    def nearest(rows: np.ndarray) -> float:
        """Mean distance of each row to the nearest image."""
        return float(np.sqrt(np.square(rows[:, None] - images).sum(2)).min(1).mean())

    blurred = nearest(np.repeat(images.mean(0)[None], 100, 0))
    found = {"first": first, "last": float(last), "kl": float(used), "new": nearest(new)}
    print(f"bound {first:.1f} -> {last:.1f}, of which the codes {used:.2f}")
    print(f"new images are {found['new']:.2f} from the nearest real one, the mean {blurred:.2f}")
    return {**found, "blurred": blurred}


if __name__ == "__main__":
    main()
