"""A policy gradient balances a pole on a cart.

A network gives probabilities of pushing left and right, from position, speed, angle and turning of
the pole. Ten carts play an episode at a time. Afterwards every push is made more probable by how
good what came after it was: the gradient of ``-mean(log p(push) * advantage)``. The advantage is
how many steps the cart lasted from there on, discounted, less the average at that time.
(REINFORCE: Williams, Machine Learning 8, 1992; the cart-pole: Barto, Sutton, Anderson, 1983.)
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

CARTS, LONGEST, ITERATIONS, DISCOUNT = 10, 200, 60, 0.98


def move(state: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the states ``[carts, 4]`` 20 ms on (masses 1 and 0.1 kg, half a pole 0.5 m)."""
    x, v, angle, turning = state.T
    sin, cos = np.sin(angle), np.cos(angle)
    force = (np.where(right, 10.0, -10.0) + 0.05 * turning**2 * sin) / 1.1
    twist = (9.8 * sin - cos * force) / (0.5 * (4 / 3 - 0.1 * cos**2 / 1.1))
    push = force - 0.05 * twist * cos / 1.1
    return state + 0.02 * np.stack([v, push, turning, twist], 1)


def main() -> dict[str, float]:
    """Train the policy; return how long the carts last before and after."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(0)
        states = tf.placeholder(tf.float32, [None, 4])
        actions = tf.placeholder(tf.int32, [None])
        advantages = tf.placeholder(tf.float32, [None])
        w1 = tf.get_variable("w1", [4, 16])
        w2 = tf.get_variable("w2", [16, 2])
        logits = tf.matmul(tf.nn.relu(tf.matmul(states, w1)), w2)
        drawn = tf.squeeze(tf.multinomial(logits, 1), 1)
        minus_log_p = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=actions, logits=logits)
        loss = tf.reduce_mean(minus_log_p * advantages)
        train = tf.train.AdamOptimizer(0.02).minimize(loss)

        def play() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            """Return states ``[T, carts, 4]``, actions, and which carts were still up."""
            state, up, rows = rng.uniform(-0.05, 0.05, [CARTS, 4]), np.ones(CARTS, bool), []
            while up.any() and len(rows) < LONGEST:
                action = sess.run(drawn, {states: state})
                rows.append((state, action, up))
                state = np.where(up[:, None], move(state, action == 1), state)
                up = up & (np.abs(state[:, 0]) < 2.4) & (np.abs(state[:, 2]) < 0.2095)
            return tuple(np.stack(column) for column in zip(*rows, strict=True))

        sess.run(tf.global_variables_initializer())
        lasted = []
        for _ in range(ITERATIONS):
            seen, done, up = play()
            lasted.append(up.sum(0).mean())
            future = np.zeros(up.shape)
            for i in reversed(range(len(up))):
                future[i] = up[i] + DISCOUNT * (future[i + 1] if i + 1 < len(up) else 0)
            advantage = future - future.mean(1, keepdims=True)
            feed = {states: seen[up], actions: done[up], advantages: advantage[up]}
            sess.run(train, feed)
    found = {"before": float(np.mean(lasted[:5])), "after": float(np.mean(lasted[-5:]))}
    print(f"the carts last {found['before']:.0f} steps at first, {found['after']:.0f} at the end")
    return found


if __name__ == "__main__":
    main()
