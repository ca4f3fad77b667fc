"""A generative adversarial network on a line.

The generator makes numbers of noise, the discriminator tells them from real ones, which are
normal with mean 4 and deviation 0.5. Each has its own loss and its own variables: the optimizer of
one leaves those of the other alone. Told what the discriminator looks for, the generator moves its
numbers to where the real ones are. The discriminator is shown eight numbers at a time: one alone
does not tell that all are the same, which is how such a generator likes to cheat. (Goodfellow
et al., arXiv 1406.2661; packs against collapse: Lin et al., arXiv 1712.04086.)
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

MEAN, DEVIATION, PACK, BATCH, STEPS = 4.0, 0.5, 8, 256, 2000


def linear(x: tf.Tensor, units: int, scope: str) -> tf.Tensor:
    """Return ``x w + b`` with variables that exist once, however often it is called."""
    with tf.variable_scope(scope, reuse=tf.AUTO_REUSE):
        w = tf.get_variable(
            "w", [x.get_shape()[1], units], initializer=tf.random_normal_initializer(stddev=0.5)
        )
        b = tf.get_variable("b", [units], initializer=tf.constant_initializer(0.0))
        return tf.matmul(x, w) + b


def generator(noise: tf.Tensor) -> tf.Tensor:
    """Return numbers ``[batch, 1]`` made of noise."""
    with tf.variable_scope("generator"):
        return linear(tf.nn.softplus(linear(noise, 8, "hidden")), 1, "out")


def discriminator(numbers: tf.Tensor) -> tf.Tensor:
    """Return the logit of being real of every pack of numbers, in order of size."""
    with tf.variable_scope("discriminator"):
        h = tf.sort(tf.reshape(numbers, [-1, PACK]))
        h = tf.nn.leaky_relu(linear(h, 16, "hidden1"))
        h = tf.nn.leaky_relu(linear(h, 16, "hidden2"))
        return linear(h, 1, "out")


def main() -> dict[str, float]:
    """Train both in turn; return mean and deviation of what the generator makes."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(1)
        real = tf.placeholder(tf.float32, shape=[None, 1])
        fake = generator(tf.random_uniform([BATCH, 1], -1, 1))
        on_real, on_fake = discriminator(real), discriminator(fake)
        entropy = tf.nn.sigmoid_cross_entropy_with_logits
        loss_d = tf.reduce_mean(
            entropy(labels=0.9 * tf.ones_like(on_real), logits=on_real)
            + entropy(labels=tf.zeros_like(on_fake), logits=on_fake)
        )
        loss_g = tf.reduce_mean(entropy(labels=tf.ones_like(on_fake), logits=on_fake))
        variables = tf.trainable_variables()
        train = {}
        for name, loss in (("discriminator", loss_d), ("generator", loss_g)):
            own = [v for v in variables if v.name.startswith(name)]
            train[name] = tf.train.AdamOptimizer(2e-3, beta1=0.5).minimize(loss, var_list=own)

        sess.run(tf.global_variables_initializer())

        def made() -> tuple[float, float]:
            numbers = np.concatenate([sess.run(fake) for _ in range(50)])
            return float(numbers.mean()), float(numbers.std())

        first = made()
        for _ in range(STEPS):
            sess.run(train["discriminator"], {real: rng.normal(MEAN, DEVIATION, [BATCH, 1])})
            sess.run(train["generator"])
        mean, deviation = made()
    print(f"made at first {first[0]:.2f} +- {first[1]:.2f}, later {mean:.2f} +- {deviation:.2f}")
    print(f"real          {MEAN:.2f} +- {DEVIATION:.2f}; {len(variables)} variables")
    return {"first": first[0], "mean": mean, "deviation": deviation, "variables": len(variables)}


if __name__ == "__main__":
    main()
