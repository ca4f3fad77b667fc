"""Word embeddings by negative sampling: words that are used alike come to lie together.

Skip-gram: each word of a sentence has to tell its neighbours. With thousands of words a softmax
over all of them is too much for every pair; noise-contrastive estimation asks instead which of a
few words is the neighbour and which were drawn from a known distribution, one logistic regression
each. The corpus is generated: a sentence keeps to one subject, in no order. Nothing tells the
network which words belong to a subject; it is in the vectors afterwards.
"""

from __future__ import annotations

import numpy as np

import gradplan as tf

SUBJECTS = [
    "cat dog horse cow sheep goat hen duck".split(),
    "red green blue white black yellow brown grey".split(),
    "bread butter cheese milk egg salt honey apple".split(),
    "rain snow wind cloud storm sun fog frost".split(),
]
WORDS = [word for subject in SUBJECTS for word in subject]
SUBJECT = np.repeat(np.arange(len(SUBJECTS)), [len(s) for s in SUBJECTS])
SIZE, SAMPLED, BATCH, STEPS = 8, 6, 128, 1500


def pairs(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return n words and a neighbour of each: of its subject, but for one in five, by chance."""
    word = rng.integers(len(WORDS), size=n)
    same = SUBJECT[word] * 8 + rng.integers(8, size=n)
    neighbour = np.where(rng.random(n) < 0.8, same, rng.integers(len(WORDS), size=n))
    return word, neighbour[:, None]


def main() -> dict[str, float]:
    """Train the vectors; return how often the nearest word is of the same subject."""
    rng = np.random.default_rng(0)
    with tf.Graph().as_default(), tf.Session() as sess:
        tf.set_random_seed(0)
        inputs = tf.placeholder(tf.int32, [BATCH])
        labels = tf.placeholder(tf.int64, [BATCH, 1])
        embeddings = tf.Variable(tf.random_uniform([len(WORDS), SIZE], -1.0, 1.0))
        nce_weights = tf.Variable(tf.truncated_normal([len(WORDS), SIZE], stddev=SIZE**-0.5))
        nce_biases = tf.Variable(tf.zeros([len(WORDS)]))
        embed = tf.nn.embedding_lookup(embeddings, inputs)  # [batch, 8]
        loss = tf.reduce_mean(
            tf.nn.nce_loss(
                weights=nce_weights,
                biases=nce_biases,
                labels=labels,
                inputs=embed,
                num_sampled=SAMPLED,
                num_classes=len(WORDS),
            )
        )
        train = tf.train.AdamOptimizer(0.02).minimize(loss)
        normalized = tf.nn.l2_normalize(embeddings, 1)
        similarity = tf.matmul(normalized, normalized, transpose_b=True)
        _, top = tf.nn.top_k(tf.matrix_set_diag(similarity, tf.fill([len(WORDS)], -1.0)), k=3)

        sess.run(tf.global_variables_initializer())
        before = sess.run(top)
        for _ in range(STEPS):
            words, neighbours = pairs(rng, BATCH)
            sess.run(train, {inputs: words, labels: neighbours})
        after = sess.run(top)

    found = {}
    for name, near in (("before", before), ("after", after)):
        found[name] = float((SUBJECT[near[:, 0]] == SUBJECT).mean())
        words = ", ".join(WORDS[i] for i in near[WORDS.index("cheese")])
        print(f"{name}: nearest word of the same subject {found[name]:.0%}; cheese: {words}")
    return found


if __name__ == "__main__":
    main()
