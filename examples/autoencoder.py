"""An autoencoder squeezes digits through a bottleneck of eight numbers.

The encoder makes eight numbers of 64 pixels, the decoder has to draw the image from them again. The
best that linear maps can do is known: project on the eight principal components, which NumPy finds
by a singular value decomposition. A hidden layer of tanh on both sides has to beat it.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf
from gradplan.datasets import load_digits

CODE, HIDDEN, BATCH, EPOCHS = 8, 64, 64, 40


def layer(x: tf.Tensor, units: int, activation=tf.identity) -> tf.Tensor:
    """Return a dense layer whose variables are named for the scope it stands in."""
    n = x.shape[1].value
    w = tf.get_variable("w", [n, units], initializer=tf.glorot_uniform_initializer())
    b = tf.get_variable("b", [units], initializer=tf.zeros_initializer())
    return activation(tf.matmul(x, w) + b)


def main() -> dict[str, float]:
    """Train the autoencoder; return its error on unseen images beside that of the components."""
    images, _ = load_digits()
    rng = np.random.default_rng(0)
    images = images[rng.permutation(len(images))]
    known, unseen = images[:1400], images[1400:]

    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(1)
        x = tf.placeholder(tf.float32, [None, 64], name="image")
        with tf.variable_scope("encoder"):
            with tf.variable_scope("hidden"):
                h = layer(x, HIDDEN, tf.nn.tanh)
            code = layer(h, CODE)
        with tf.variable_scope("decoder"):
            with tf.variable_scope("hidden"):
                h = layer(code, HIDDEN, tf.nn.tanh)
            drawn = layer(h, 64, tf.nn.sigmoid)
        loss = tf.losses.mean_squared_error(labels=x, predictions=drawn)
        train = tf.train.AdamOptimizer(5e-3).minimize(loss)

        sess.run(tf.global_variables_initializer())
        for _ in range(EPOCHS):
            order = rng.permutation(len(known))
            for i in range(0, len(known), BATCH):
                sess.run(train, {x: known[order[i : i + BATCH]]})
        error = float(sess.run(loss, {x: unseen}))
        codes = sess.run(code, {x: unseen[:3]})
        from_codes = sess.run(drawn, {code: codes})  # the decoder alone: no image is fed
        names = [v.op.name for v in tf.trainable_variables()]

    mean = known.mean(0)
    components = np.linalg.svd(known - mean)[2][:CODE]  # [8, 64]
    projected = (unseen - mean) @ components.T @ components + mean
    linear = float(np.square(projected - unseen).mean())
    print(f"{CODE} numbers an image: error {error:.4f}, principal components {linear:.4f}")
    print(f"decoded from codes: {from_codes.shape}; variables: {', '.join(names[:4])}, ...")
    return {"error": error, "linear": linear}


if __name__ == "__main__":
    main()
