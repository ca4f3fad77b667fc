"""Optimizers, decays and averages, in gradplan and in TensorFlow: values and names of variables.

Each text trains in a session of its own, and leaves what it found in ``out``.
"""

import numpy as np
import pytest
from both import evaluate

import gradplan as gp

pytestmark = pytest.mark.filterwarnings("ignore")

TRAIN = """
rng = np.random.default_rng(3)
start, grads = rng.normal(size=(2, 3)), rng.normal(size=(20, 2, 3))
w = tf.Variable(start, name="w", dtype=tf.{dtype})
g = tf.placeholder(tf.{dtype}, [2, 3])
optimizer = {make}
step = optimizer.apply_gradients([(g, w)], tf.train.get_or_create_global_step())
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for x in grads:
        sess.run(step, {{g: x}})
    got = sess.run([w] + [optimizer.get_slot(w, n) for n in optimizer.get_slot_names()])
out = [tf.constant(v) for v in got]
out += sorted(v.op.name for v in tf.global_variables()) + optimizer.get_slot_names() + [step.name]
"""

ROWS = """
rng = np.random.default_rng(3)
start, grads = rng.normal(size=(4, 3)), rng.normal(size=(20, 3, 3))
w = tf.Variable(start, name="w", dtype=tf.{dtype})
g = tf.placeholder(tf.{dtype}, [3, 3])
optimizer = {make}
loss = tf.reduce_sum(tf.nn.embedding_lookup(w, [3, 1, 3]) * g)
step = optimizer.minimize(loss)
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for x in grads:
        sess.run(step, {{g: x}})
    got = sess.run([w] + [optimizer.get_slot(w, n) for n in optimizer.get_slot_names()])
out = [tf.constant(v) for v in got]
"""

OPTIMIZERS = [
    "GradientDescentOptimizer(0.1)",
    "MomentumOptimizer(0.1, 0.9)",
    "MomentumOptimizer(0.1, 0.9, use_nesterov=True)",
    "AdagradOptimizer(0.1)",
    "AdadeltaOptimizer(1.0, 0.9, 1e-3)",
    "RMSPropOptimizer(0.01)",
    "RMSPropOptimizer(0.01, 0.8, 0.7, 1e-3)",
    "RMSPropOptimizer(0.01, 0.8, 0.5, 1e-3, centered=True)",
    "AdamOptimizer(0.01)",
    "FtrlOptimizer(0.1)",
    "FtrlOptimizer(0.1, -0.75, l1_regularization_strength=0.3, l2_regularization_strength=0.2)",
    "FtrlOptimizer(0.1, l1_regularization_strength=0.3, l2_shrinkage_regularization_strength=0.1)",
    "ProximalGradientDescentOptimizer(0.1, 0.3, 0.2)",
    "ProximalAdagradOptimizer(0.1, 0.1, 0.3, 0.2)",
]

DECAYS = [
    "exponential_decay(0.5, n, 10, 0.7)",
    "exponential_decay(0.5, n, 10, 0.7, staircase=True)",
    "natural_exp_decay(0.5, n, 10, 0.7)",
    "inverse_time_decay(0.5, n, 10, 0.7, True)",
    "polynomial_decay(0.5, n, 30, 0.1, 2.0)",
    "polynomial_decay(0.5, n, 30, 0.1, 0.5, cycle=True)",
    "cosine_decay(0.5, n, 30, 0.1)",
    "cosine_decay_restarts(0.5, n, 7, 1.5, 0.8, 0.1)",
    "cosine_decay_restarts(0.5, n, 7, 1.0)",
    "linear_cosine_decay(0.5, n, 30, 1.5, 0.1, 0.01)",
    "noisy_linear_cosine_decay(0.5, n, 30, 0.0)",
    "piecewise_constant(n, [5, 10], [0.5, 0.2, 0.1])",
]

DECAY = """
n = tf.placeholder(tf.int32, [])
rate = tf.train.{make}
with tf.Session() as sess:
    out = [tf.constant([sess.run(rate, {{n: i}}) for i in (0, 1, 5, 6, 11, 29, 30, 31, 70)])]
"""

AVERAGES = """
w = tf.Variable([1.0, 2.0], name="w", dtype=tf.float64)
n = tf.Variable(0, name="n", trainable=False)
x = tf.placeholder(tf.float64, [2])
t = tf.identity(x, name="t")
ema = tf.train.ExponentialMovingAverage(0.9, {arguments})
with tf.control_dependencies([tf.assign(w, x)]):
    moved = ema.apply([w, t])
with tf.control_dependencies([moved]):
    update = tf.assign_add(n, 1)
seen = []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for value in np.random.default_rng(0).normal(size=(20, 2)):
        sess.run(update, {{x: value}})
        seen.append(sess.run([ema.average(w), ema.average(t)]))
out = [tf.constant(np.array(seen))] + sorted(v.op.name for v in tf.global_variables())
out += sorted(ema.variables_to_restore()) + [ema.average_name(n)]
"""


def compare(tensorflow, text, tol=1e-6):
    ours, theirs = evaluate(gp, text, {}), tensorflow.evaluate(text, {})
    assert theirs["error"] is None and ours["error"] is None, (ours["error"], theirs["error"])
    for a, b in zip(ours["values"], theirs["values"], strict=True):
        np.testing.assert_allclose(a, b, rtol=tol, atol=tol)
    assert [n for n in ours["names"] if "'" in n] == [n for n in theirs["names"] if "'" in n]


@pytest.mark.parametrize("text", [TRAIN, ROWS], ids=["whole", "rows"])
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_optimizers(tensorflow, make, text):
    # TensorFlow's proximal ones refuse variables of float64.
    dtype, tol = ("float32", 2e-6) if make.startswith("Proximal") else ("float64", 1e-9)
    compare(tensorflow, text.format(make=f"tf.train.{make}", dtype=dtype), tol)


@pytest.mark.parametrize("make", DECAYS)
def test_decays(tensorflow, make):
    compare(tensorflow, DECAY.format(make=make))


@pytest.mark.parametrize("arguments", ["", "num_updates=n", "zero_debias=True, name='slow'"])
def test_averages(tensorflow, arguments):
    compare(tensorflow, AVERAGES.format(arguments=arguments))
