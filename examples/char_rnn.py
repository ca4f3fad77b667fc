"""A recurrent network learns a rhyme, letter by letter, and says it by itself.

The state of a gated recurrent unit goes from letter to letter. In training the letters are known:
``tf.scan`` carries the state over them, and the gradient flows back through all steps. To speak,
each letter that comes out goes in again: that is a ``tf.while_loop``, in whose ``tf.TensorArray``
the letters are collected. The whole rhyme comes from one letter, in one run.
(Gated units: Cho et al., arXiv 1406.1078.)
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

TEXT = "one for sorrow, two for joy, three for a girl, four for a boy. "
LETTERS = sorted(set(TEXT))
UNITS, STEPS = 48, 250


class GatedUnit:
    """A cell: how a state ``[batch, units]`` changes with a letter."""

    def __init__(self, inputs: int, units: int) -> None:
        with tf.variable_scope("cell"):
            self.gates = tf.get_variable("gates", [inputs + units, 2 * units])
            self.gate_biases = tf.get_variable("gate_biases", initializer=tf.ones([2 * units]))
            self.candidate = tf.get_variable("candidate", [inputs + units, units])

    def __call__(self, state: tf.Tensor, x: tf.Tensor) -> tf.Tensor:
        """Return the next state."""
        gates = tf.matmul(tf.concat([x, state], 1), self.gates) + self.gate_biases
        keep, reset = tf.split(tf.sigmoid(gates), 2, axis=1)
        new = tf.tanh(tf.matmul(tf.concat([x, reset * state], 1), self.candidate))
        return keep * state + (1 - keep) * new


def main() -> dict[str, float]:
    """Train on the rhyme, then let the network say it twice."""
    codes = np.array([LETTERS.index(c) for c in 2 * TEXT])
    n = len(LETTERS)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(0)
        text = tf.placeholder(tf.int32, [None, 1])  # [time, batch]
        following = tf.placeholder(tf.int32, [None, 1])
        cell = GatedUnit(n, UNITS)
        w = tf.get_variable("w", [UNITS, n])
        states = tf.scan(cell, tf.one_hot(text, n), initializer=tf.zeros([1, UNITS]))
        logits = tf.tensordot(states, w, 1)  # [time, batch, letters]
        loss = tf.reduce_mean(
            tf.nn.sparse_softmax_cross_entropy_with_logits(labels=following, logits=logits)
        )
        optimizer = tf.train.AdamOptimizer(0.01)
        slopes, variables = zip(*optimizer.compute_gradients(loss), strict=True)
        slopes, _ = tf.clip_by_global_norm(slopes, 1.0)
        train = optimizer.apply_gradients(zip(slopes, variables, strict=True))

        length = tf.placeholder(tf.int32, [])

        def speak(i, letter, state, said):
            state = cell(state, tf.one_hot(letter, n))
            letter = tf.argmax(tf.matmul(state, w), 1, output_type=tf.int32)
            return i + 1, letter, state, said.write(i, letter)

        first = [0, text[0], tf.zeros([1, UNITS]), tf.TensorArray(tf.int32, size=length)]
        *_, said = tf.while_loop(lambda i, *_: i < length, speak, first)
        spoken = said.stack()

        sess.run(tf.global_variables_initializer())
        feed = {text: codes[:, None], following: np.roll(codes, -1)[:, None]}
        losses = [sess.run([loss, train], feed)[0] for _ in range(STEPS)]
        found = sess.run(spoken, {text: codes[:1, None], length: len(codes) - 1})
    result = TEXT[0] + "".join(LETTERS[i] for i in found[:, 0])
    right = float(np.mean([a == b for a, b in zip(result, 2 * TEXT, strict=True)]))
    print(f"loss {losses[0]:.3f} -> {losses[-1]:.4f}; {right:.0%} of the letters are right:")
    print(result)
    return {"first": float(losses[0]), "last": float(losses[-1]), "right": right}


if __name__ == "__main__":
    main()
