"""A hidden Markov model by ``tf.scan``: the forward algorithm against all paths.

A state that is not seen moves at random, and each time emits a symbol that is seen. How likely is a
sequence of symbols? Summed over all paths of states, ``S^T`` of them, it would take for ever; the
forward algorithm carries one number for each state from symbol to symbol,

    alpha_t[j] = logsumexp_i(alpha_{t-1}[i] + log A[i, j]) + log B[j, symbol_t]

The gradient of the result with respect to the terms ``log B[j, symbol_t]`` is the probability that
the state was j at time t, given all symbols: the backward algorithm is back-propagation.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy.special import logsumexp

import gradplan as tf

STATES, SYMBOLS, TIMES = 3, 4, 7


def brute_force(start: np.ndarray, move: np.ndarray, emit: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the log-likelihood and the posterior of states ``[T, S]`` by listing all paths."""
    paths = np.array(list(itertools.product(range(STATES), repeat=TIMES)))
    logs = start[paths[:, 0]] + emit[np.arange(TIMES), paths].sum(1)
    logs += move[paths[:, :-1], paths[:, 1:]].sum(1)
    total = logsumexp(logs)
    weights = np.exp(logs - total)
    return float(total), np.stack([weights @ (paths == s) for s in range(STATES)], 1)


def main() -> dict[str, float]:
    """Compute likelihood and posterior both ways; return the differences."""
    rng = np.random.default_rng(0)
    start = np.log(rng.dirichlet(np.ones(STATES)))
    move = np.log(rng.dirichlet(np.ones(STATES), STATES))
    emission = np.log(rng.dirichlet(np.ones(SYMBOLS), STATES))  # [S, symbols]

    with tf.Graph().as_default(), tf.Session() as sess:
        symbols = tf.placeholder(tf.int32, [None])
        scores = tf.gather(tf.transpose(tf.constant(emission)), symbols)  # [T, S]

        def step(alpha: tf.Tensor, score: tf.Tensor) -> tf.Tensor:
            return tf.reduce_logsumexp(tf.expand_dims(alpha, 1) + move, axis=0) + score

        alphas = tf.scan(step, scores[1:], initializer=start + scores[0])
        likelihood = tf.reduce_logsumexp(alphas[-1])
        posterior = tf.gradients(likelihood, scores)[0]

        seen = rng.integers(SYMBOLS, size=TIMES)
        total, states = sess.run([likelihood, posterior], {symbols: seen})
        long = sess.run(likelihood, {symbols: rng.integers(SYMBOLS, size=1000)})
    exact, exact_states = brute_force(start, move, emission.T[seen])
    print(f"log-likelihood {total:.12f}, over {STATES**TIMES} paths {exact:.12f}")
    print(f"most probable states {states.argmax(1)}; of 1000 symbols: {long:.2f}")
    return {
        "likelihood": abs(float(total) - exact),
        "posterior": float(np.abs(states - exact_states).max()),
        "long": float(long),
    }


if __name__ == "__main__":
    main()
