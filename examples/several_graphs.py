"""Several graphs and several sessions at once.

A graph says what is to be computed; a session has the values of its variables. Three sessions on
one graph are three networks, each of which is trained here on a sample of its own of the digits, in
a thread of its own. A second graph knows nothing of networks: it averages what they say. The
average is right more often than its members are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np

import gradplan as tf
from gradplan.datasets import load_digits

MEMBERS, KNOWN, STEPS = 3, 1000, 60


def main() -> dict[str, float]:
    """Train the members and ask them together."""
    images, labels = load_digits()
    rng = np.random.default_rng(0)
    samples = rng.integers(KNOWN, size=[MEMBERS, 150])  # few, so that the members differ

    network = tf.Graph()
    with network.as_default():
        tf.set_random_seed(0)
        x = tf.placeholder(tf.float32, [None, 64])
        y = tf.placeholder(tf.int64, [None])
        w1 = tf.get_variable("w1", [64, 32])
        w2 = tf.get_variable("w2", [32, 10])
        logits = tf.matmul(tf.nn.relu(tf.matmul(x, w1)), w2)
        probabilities = tf.nn.softmax(logits)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        train = tf.train.AdamOptimizer(0.01).minimize(tf.reduce_mean(losses))
        init = tf.global_variables_initializer()
    network.finalize()

    with tf.Graph().as_default() as jury:
        opinions = tf.placeholder(tf.float32, [None, None, 10])  # [members, images, digits]
        verdict = tf.argmax(tf.reduce_mean(opinions, axis=0), axis=1)

    def teach(sess: tf.Session, rows: np.ndarray) -> np.ndarray:
        """Train one member; return its opinion about the images it has not seen."""
        sess.run(init)
        for _ in range(STEPS):
            sess.run(train, {x: images[rows], y: labels[rows]})
        return sess.run(probabilities, {x: images[KNOWN:]})

    sessions = [tf.Session(graph=network) for _ in range(MEMBERS)]
    with ThreadPoolExecutor(MEMBERS) as pool:
        said = list(pool.map(teach, sessions, samples))
    weights = [sess.run(w1) for sess in sessions]
    for sess in sessions:
        sess.close()
    with tf.Session(graph=jury) as sess:
        decided = sess.run(verdict, {opinions: said})

    members = [float((p.argmax(1) == labels[KNOWN:]).mean()) for p in said]
    together = float((decided == labels[KNOWN:]).mean())
    apart = min(float(np.abs(weights[i] - weights[i - 1]).max()) for i in range(MEMBERS))
    print(f"members {', '.join(f'{m:.1%}' for m in members)}; together {together:.1%}")
    print(f"largest difference of their weights {apart:.2f} or more")
    return {"best": max(members), "together": together, "apart": apart}


if __name__ == "__main__":
    main()
