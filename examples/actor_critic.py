"""An actor, a critic and a target network find the way through a room.

The room has 5 x 5 places, a wall with one gap, and the exit in the far corner; each step costs 1.
The critic learns what a place is worth from the next one, ``-1 + discount * V(next)``. To take that
from the very network that is being trained makes it chase its own tail: a copy, the target network,
gives it, and follows slowly by ``tf.assign``. The actor makes a step more probable by how much
better it turned out than the critic thought. 32 walkers explore at the same time.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

SIDE, EXIT, WALKERS, STEPS, DISCOUNT, FOLLOW = 5, (4, 4), 32, 1500, 0.95, 0.05
WALL = {(2, 0), (2, 1), (2, 2), (2, 3)}
MOVES = [(0, 1), (1, 0), (0, -1), (-1, 0)]


def lead(place: int, down: int, right: int) -> int:
    """Return where a move leads: nowhere, if there is a wall."""
    i, j = place // SIDE + down, place % SIDE + right
    free = 0 <= min(i, j) and max(i, j) < SIDE and (i, j) not in WALL
    return i * SIDE + j if free else place


def network(place: tf.Tensor, outputs: int, scope: str) -> tf.Tensor:
    """Return a table as a network: one hidden layer on the one-hot place."""
    with tf.variable_scope(scope):
        w1 = tf.get_variable("w1", [SIDE * SIDE, 32])
        w2 = tf.get_variable("w2", [32, outputs])
        hidden = tf.nn.tanh(tf.matmul(tf.one_hot(place, SIDE * SIDE), w1))
        return tf.matmul(hidden, w2)


def main() -> dict[str, float]:
    """Train both; return the steps to the exit and the error of the critic at the start."""
    after = np.array([[lead(place, *move) for move in MOVES] for place in range(SIDE * SIDE)])
    rng = np.random.default_rng(0)
    goal = EXIT[0] * SIDE + EXIT[1]
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(0)
        place = tf.placeholder(tf.int32, [None])
        action = tf.placeholder(tf.int32, [None])
        following = tf.placeholder(tf.int32, [None])
        ended = tf.placeholder(tf.float32, [None])
        logits = network(place, 4, "actor")
        value = tf.squeeze(network(place, 1, "critic"), 1)
        later = tf.squeeze(network(following, 1, "target"), 1)
        target = tf.stop_gradient(-1 + DISCOUNT * (1 - ended) * later)
        advantage = tf.stop_gradient(target - value)
        minus_log_p = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=action, logits=logits)
        entropy = -tf.reduce_sum(tf.nn.softmax(logits) * tf.nn.log_softmax(logits), 1)
        actor_loss = tf.reduce_mean(minus_log_p * advantage - 0.05 * entropy)
        critic_loss = tf.losses.mean_squared_error(target, value)

        names, key = ("actor", "critic", "target"), tf.GraphKeys.GLOBAL_VARIABLES
        actors, critics, targets = (tf.get_collection(key, scope=name) for name in names)
        train = [
            tf.train.AdamOptimizer(0.01).minimize(actor_loss, var_list=actors),
            tf.train.AdamOptimizer(0.02).minimize(critic_loss, var_list=critics),
        ]
        copy = [tf.assign(t, c) for t, c in zip(targets, critics, strict=True)]
        follow = [tf.assign_add(t, FOLLOW * (c - t)) for t, c in zip(targets, critics, strict=True)]
        draw = tf.squeeze(tf.multinomial(logits, 1), 1)
        sess.run(tf.global_variables_initializer())
        sess.run(copy)
        here = np.zeros(WALKERS, int)
        for _ in range(STEPS):
            chosen = sess.run(draw, {place: here})
            there = after[here, chosen]
            out = there == goal
            sess.run(train, {place: here, action: chosen, following: there, ended: out})
            sess.run(follow)
            here = np.where(out | (rng.random(WALKERS) < 0.02), 0, there)

        best = sess.run(logits, {place: np.arange(SIDE * SIDE)}).argmax(1)
        worth, lag = sess.run([value[0], critics[0] - targets[0]], {place: [0]})
    way = [0]
    while way[-1] != goal and len(way) < 50:
        way.append(int(after[way[-1], best[way[-1]]]))
    exact = -(1 - DISCOUNT**8) / (1 - DISCOUNT)  # eight steps are the shortest way
    print(f"steps to the exit: {len(way) - 1}, through {way}")
    print(f"the critic thinks the start is worth {worth:.2f}; the shortest way is {exact:.2f}")
    return {"steps": len(way) - 1, "error": abs(worth - exact), "lag": np.abs(lag).max()}


if __name__ == "__main__":
    main()
