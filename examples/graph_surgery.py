"""Surgery on a graph by name: look inside a network, and put something else there.

Every tensor has a name, and any tensor can be fetched, fed or derived, wherever it lies. A program
that was given a graph, and not the Python that built it, finds its way by ``get_operations`` and
``get_tensor_by_name``. It feeds a hidden layer in place of the input, changes images along the
gradient of an answer until the network is fooled, and moves the values of the variables by name
into another graph.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf
from gradplan.datasets import load_digits


def build() -> tf.Graph:
    """Return a graph with the operations ``image``, ``hidden/relu``, ``logits`` and ``train``."""
    graph = tf.Graph()
    with graph.as_default():
        tf.set_random_seed(0)
        x = tf.placeholder(tf.float32, [None, 64], name="image")
        y = tf.placeholder(tf.int64, [None], name="label")
        with tf.variable_scope("hidden"):
            w = tf.get_variable("w", [64, 32])
            h = tf.nn.relu(tf.matmul(x, w, name="product"), name="relu")
        with tf.variable_scope("out"):
            v = tf.get_variable("w", [32, 10])
        logits = tf.matmul(h, v, name="logits")
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        loss = tf.reduce_mean(losses, name="loss")
        tf.train.AdamOptimizer(0.01).minimize(loss, name="train")
        tf.global_variables_initializer()  # named "init"
    return graph


def main() -> dict[str, float]:
    """Train by name, then operate; return what each operation shows."""
    images, labels = load_digits()
    graph, other = build(), build()
    with tf.Session(graph=graph) as sess:
        sess.run("init")
        for _ in range(100):
            sess.run("train", {"image:0": images, "label:0": labels})
        logits = graph.get_tensor_by_name("logits:0")
        hidden = graph.get_tensor_by_name("hidden/relu:0")
        full = sess.run(logits, {"image:0": images})
        accuracy = float((full.argmax(1) == labels).mean())
        # Feed the hidden layer: the image is then not needed. Without its unit 0, what changes?
        inside = sess.run(hidden, {"image:0": images})
        same = sess.run(logits, {hidden: inside})
        inside[:, 0] = 0
        lesioned = sess.run(logits, {hidden: inside})

        # Derive an answer with respect to the image, after the graph was built.
        with graph.as_default():
            image = graph.get_operation_by_name("image").outputs[0]
            slope = tf.gradients(logits[:, 3], image, name="why_three")[0]
            variables = tf.trainable_variables()
        others = images[labels != 3]
        up = sess.run(slope, {image: others})
        changed = others + 2 * up / np.linalg.norm(up, axis=1, keepdims=True)
        threes = float((sess.run(logits, {image: changed}).argmax(1) == 3).mean())

        values = {v.op.name: sess.run(v) for v in variables}
        kinds = {op.type for op in graph.get_operations()}

    with tf.Session(graph=other) as sess:
        sess.run("init")
        with other.as_default():
            for variable in tf.trainable_variables():
                variable.load(values[variable.op.name], sess)
        moved = sess.run("logits:0", {"image:0": images})
    found = {
        "accuracy": accuracy,
        "fed": float(np.abs(same - full).max()),
        "lesion": float(np.abs(lesioned - full).max()),
        "threes": threes,
        "moved": float(np.abs(moved - full).max()),
        "matmul": "MatMul" in kinds,
    }
    print(f"{accuracy:.1%} right; without a hidden unit logits change by {found['lesion']:.2f}")
    print(f"moved up the slope, {threes:.1%} of the other digits are read as threes")
    print(f"hidden layer fed: {found['fed']:.1e}; moved to another graph: {found['moved']:.1e}")
    return found


if __name__ == "__main__":
    main()
