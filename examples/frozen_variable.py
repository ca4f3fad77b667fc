"""A variable with ``trainable=False`` stays put.

An optimizer changes the variables of the collection ``tf.trainable_variables()`` and no others.
What is not in it (a mean to subtract, a layer that was learnt before, a step counter) takes part in
the forward pass like any variable and is saved with the rest, but training leaves it as it is. It
can still be assigned, and ``var_list=`` names it to an optimizer all the same.

Here a line ``slope * x + shift`` is fitted to points of ``3 x + 5`` with the shift frozen at 4: the
slope has to make up for it.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

X = np.linspace(0, 1, 11, dtype=np.float32)
Y = 3 * X + 5


def main() -> dict[str, float]:
    """Fit the slope alone, then, by ``var_list``, the shift alone."""
    with tf.Graph().as_default(), tf.Session() as sess:
        slope = tf.Variable(0.0, name="slope")
        shift = tf.Variable(4.0, name="shift", trainable=False)
        loss = tf.reduce_mean(tf.square(slope * X + shift - Y))
        optimizer = tf.train.GradientDescentOptimizer(0.5)
        train = optimizer.minimize(loss)
        train_shift = optimizer.minimize(loss, var_list=[shift])
        sess.run(tf.global_variables_initializer())

        names = [variable.op.name for variable in tf.trainable_variables()]
        for _ in range(200):
            sess.run(train)
        fitted, frozen = sess.run([slope, shift])
        for _ in range(200):
            sess.run(train_shift)
        moved = sess.run(shift)
    best = 3 + X.sum() / np.square(X).sum()  # least squares, given that the shift is 1 too small
    print(f"trainable: {names}")
    print(f"shift {frozen:.4f} (frozen at 4), slope {fitted:.4f} (best for it: {best:.4f})")
    print(f"shift {moved:.4f} after training by var_list")
    return {"shift": float(frozen), "slope": float(fitted), "best": float(best),
            "trainable": len(names), "moved": float(moved)}  # fmt: skip


if __name__ == "__main__":
    main()
