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

#: Each step takes other rows, some of them twice and one of them with the weight 0.
SPARSE_ROWS = """
rng = np.random.default_rng(3)
w = {table}
g = tf.placeholder(tf.{dtype}, [3, 3])
ids = tf.sparse_placeholder(tf.int64, [3, 4])
weights = tf.sparse_placeholder(tf.{dtype}, [3, 4])
optimizer = {make}
rows = tf.nn.embedding_lookup_sparse(w, ids, weights, {how})
step = optimizer.minimize(tf.reduce_sum(tf.square(rows) * g))
parts = list(w) if isinstance(w, list) or hasattr(w, "as_tensor") else [w]
at = np.array([[0, 0], [0, 2], [1, 1], [2, 0], [2, 3]])
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for k in range(20):
        numbers, x = rng.integers(0, 7, 5), rng.uniform(0.1, 1.0, 5)
        numbers[2], x[1] = numbers[0], 0.0
        sess.run(step, {{ids: (at, numbers, [3, 4]), weights: (at, x, [3, 4]),
                         g: rng.normal(size=(3, 3))}})
    got = sess.run(parts + [optimizer.get_slot(v, n) for v in parts
                            for n in optimizer.get_slot_names()])
out = [tf.constant(v) for v in got]
"""

TABLES = {
    "one": ('tf.Variable(rng.normal(size=(7, 3)), name="w", dtype=tf.{dtype})', 'combiner="sum"'),
    "clipped": ("tf.Variable(rng.normal(size=(7, 3)), dtype=tf.{dtype})", "max_norm=0.8"),
    "mod": (
        "[tf.Variable(rng.normal(size=(n, 3)), dtype=tf.{dtype}) for n in (3, 2, 2)]",
        'combiner="sqrtn", max_norm=1.0',
    ),
    "div": (
        "[tf.Variable(rng.normal(size=(n, 3)), dtype=tf.{dtype}) for n in (3, 2, 2)]",
        'partition_strategy="div"',
    ),
    "parts": (
        'tf.get_variable("w", [7, 3], tf.{dtype}, tf.ones_initializer(), '
        "partitioner=tf.fixed_size_partitioner(3))",
        'combiner="sum"',
    ),
}

#: Row 0 is taken in the first step alone.
LOOP_ROWS = """
rng = np.random.default_rng(3)
w = tf.Variable(rng.normal(size=(7, 3)), name="w", dtype=tf.{dtype})
g = tf.placeholder(tf.{dtype}, [3, 2, 3])
ids = tf.placeholder(tf.int32, [3, 2])
optimizer = {make}
start = tf.ones([2, 3], tf.{dtype})
out = {loop}
step = optimizer.minimize(tf.reduce_sum(out * g))
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for k in range(20):
        numbers = rng.integers(1, 5, (3, 2))
        numbers[0, 1] = numbers[1, 0] if k else 0
        sess.run(step, {{ids: numbers, g: rng.normal(size=(3, 2, 3))}})
    got = sess.run([w] + [optimizer.get_slot(w, n) for n in optimizer.get_slot_names()])
out = [tf.constant(v) for v in got]
"""

LOOPS = {
    "while": (
        "tf.while_loop(lambda i, s: i < 3, lambda i, s: "
        "(i + 1, s * tf.tanh(tf.gather(w, ids[i]))), [0, start])[1]"
    ),
    "map": "tf.map_fn(lambda i: tf.square(tf.gather(w, i)), ids, tf.{dtype})",
    "scan": "tf.scan(lambda s, i: s * tf.tanh(tf.nn.embedding_lookup(w, i)), ids, start)",
    "nested": (
        "tf.map_fn(lambda row: tf.map_fn(lambda i: tf.square(tf.gather(w, i)), row, tf.{dtype}), "
        "ids, tf.{dtype})"
    ),
    "sparse": (
        "tf.map_fn(lambda i: tf.square(tf.nn.embedding_lookup_sparse(w, tf.SparseTensor("
        "tf.constant([[0, 0], [1, 0]], tf.int64), tf.cast(i, tf.int64), "
        "tf.constant([2, 1], tf.int64)), None)), ids, tf.{dtype})"
    ),
}

#: Which rows count depends on which branches ran, and how often; row 0 is taken in the first step.
INSIDE_ROWS = """
rng = np.random.default_rng(3)
w = tf.Variable(rng.normal(size=(7, 3)), name="w", dtype=tf.{dtype})
g = tf.placeholder(tf.{dtype}, [2, 3])
ids = tf.placeholder(tf.int32, [3, {n}])
p, n = tf.placeholder(tf.bool, [3]), tf.placeholder(tf.int32, [3])
optimizer = {make}
start = tf.ones(tf.stack([tf.shape(ids)[1], 3]), tf.{dtype})

def rows(i):
    return tf.tanh(tf.gather(w, ids[i]))

pairs = optimizer.compute_gradients(tf.reduce_sum({inside} * g))
{clip}
step = optimizer.apply_gradients(pairs)
seen = []
with tf.Session() as sess:
    sess.run(tf.global_variables_initializer())
    for k in range(12):
        numbers = rng.integers(1, 5, (3, 2))
        numbers[0, 1] = numbers[1, 0] if k else 0
        sess.run(step, {{ids: numbers, g: rng.normal(size=(2, 3)), n: rng.integers(0, 4, 3),
                         p: rng.integers(0, 3 - k % 2, 3) > 0}})
        slots = [optimizer.get_slot(w, n) for n in optimizer.get_slot_names()]
        seen.append(sess.run([w] + slots))
out = [tf.constant(np.array(v)) for v in zip(*seen)]
out.append(str(isinstance(pairs[0][0], tf.IndexedSlices)))
"""

WHILE = "tf.while_loop(lambda {0}, s: {0} < {1}, lambda {0}, s: ({0} + 1, {2}), [0, {3}])[1]"
INNER = WHILE.format("j", "n[i]", "s * rows(j)", "s")
INSIDE = {
    "cond": "tf.cond(p[0], lambda: rows(0), lambda: start)",
    "both": "tf.cond(p[0], lambda: rows(0), lambda: rows(1) * rows(2))",
    "whole": "tf.cond(p[0], lambda: rows(0), lambda: start * tf.reduce_sum(w))",
    "two": "rows(1) * tf.cond(p[0], lambda: rows(0), lambda: start)",
    "case": (
        "tf.case([(p[0], lambda: rows(0)), (p[1], lambda: start), (p[2], lambda: rows(1))], "
        "default=lambda: start * 2)"
    ),
    "cond in cond": (
        "tf.cond(p[0], lambda: tf.cond(tf.reduce_all(p[1:]), lambda: rows(0), lambda: start), "
        "lambda: start)"
    ),
    "cond in while": WHILE.format(
        "i", "n[0]", "s * tf.cond(p[i], lambda: rows(i), lambda: start)", "start"
    ),
    "cond in map": (
        "tf.reduce_sum(tf.map_fn(lambda x: tf.cond(x[0], lambda: rows(x[1]), lambda: start), "
        "(p, n % 3), tf.{dtype}), 0)"
    ),
    "while in cond": "tf.cond(p[0], lambda: "
    + WHILE.format("j", "n[0]", "s * rows(j)", "start")
    + ", lambda: start)",
    "while in while": WHILE.format("i", "3", INNER, "start"),
    "while in cond in while": WHILE.format(
        "i", "3", f"tf.cond(p[i], lambda: {INNER}, lambda: s)", "start"
    ),
    "cond in while in while": WHILE.format(
        "i",
        "3",
        INNER.replace("rows(j)", "tf.cond(p[j], lambda: rows(j), lambda: start)"),
        "start",
    ),
    "while in map": "tf.reduce_sum(tf.map_fn(lambda i: "
    + INNER.replace("[0, s]", "[0, start]")
    + ", tf.range(3), tf.{dtype}), 0)",
    "growing": (
        "tf.reduce_sum(tf.while_loop(lambda i, s: i < n[0], lambda i, s: (i + 1, "
        "tf.concat([s, rows(i)], 0)), [0, start], "
        "[tf.TensorShape([]), tf.TensorShape([None, 3])])[1])"
    ),
    "of other shapes": (
        "tf.reduce_sum(tf.cond(p[0], lambda: rows(0), lambda: tf.concat([start, rows(1)], 0)))"
    ),
    "masked": (
        "tf.reduce_sum(tf.cond(p[0], lambda: tf.tanh(tf.gather(w, tf.boolean_mask(ids[0], "
        "ids[0] > 2))), lambda: start))"
    ),
}  # fmt: skip
#: Where the values are those of TensorFlow one by one, and not added up for each row.
NORMED = [k for k in INSIDE if k != "growing" and "while in" not in k]

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


def of(make):
    # TensorFlow's proximal ones refuse variables of float64.
    return ("float32", 2e-6) if make.startswith("Proximal") else ("float64", 1e-9)


@pytest.mark.parametrize("text", [TRAIN, ROWS], ids=["whole", "rows"])
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_optimizers(tensorflow, make, text):
    dtype, tol = of(make)
    compare(tensorflow, text.format(make=f"tf.train.{make}", dtype=dtype), tol)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_embeddings_of_sparse_ids(tensorflow, make, table):
    dtype, tol = of(make)
    variable, how = TABLES[table]
    text = SPARSE_ROWS.format(
        make=f"tf.train.{make}", dtype=dtype, table=variable.format(dtype=dtype), how=how
    )
    compare(tensorflow, text, tol)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_rows_taken_in_loops(tensorflow, make, loop):
    dtype, tol = of(make)
    text = LOOP_ROWS.format(
        make=f"tf.train.{make}", dtype=dtype, loop=LOOPS[loop].format(dtype=dtype)
    )
    compare(tensorflow, text, tol)


def inside_rows(make, inside, n=2, clip=""):
    dtype, tol = of(make)
    expression = INSIDE[inside].format(dtype=dtype)
    make = f"tf.train.{make}"
    return INSIDE_ROWS.format(make=make, dtype=dtype, inside=expression, n=n, clip=clip), tol


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("make", OPTIMIZERS)
def test_rows_taken_inside(tensorflow, make, inside):
    compare(tensorflow, *inside_rows(make, inside))


@pytest.mark.parametrize("inside", INSIDE)
def test_rows_taken_inside_of_unknown_number(tensorflow, inside):
    compare(tensorflow, *inside_rows("MomentumOptimizer(0.1, 0.9)", inside, n=None))


@pytest.mark.parametrize("inside", NORMED)
def test_norms_of_rows_taken_inside(tensorflow, inside):
    """That of all that is added to rows, though one is named twice."""
    clip = "pairs = [(tf.clip_by_global_norm([pairs[0][0]], 0.3)[0][0], w)]"
    compare(tensorflow, *inside_rows("MomentumOptimizer(0.1, 0.9)", inside, clip=clip))


@pytest.mark.parametrize("combiner", ["'sum'", "'mean'", "'sqrtn'", "'sum', max_norm=0.6"])
def test_norms_of_embeddings(tensorflow, combiner):
    """That of what is added to each row, though ids name it several times."""
    text = f"""
w = tf.Variable(np.arange(12.0).reshape(6, 2) / 7)
ids = tf.SparseTensor([[0, 0], [0, 1], [1, 0], [2, 0], [2, 1]], [3, 1, 3, 5, 3], [3, 2])
found = tf.nn.embedding_lookup_sparse(w, ids, None, combiner={combiner})
grad, = tf.gradients(tf.reduce_sum(tf.square(found)), w)
clipped, norm = tf.clip_by_global_norm([grad], 1.0)
out = [norm, tf.shape(grad.values), tf.convert_to_tensor(clipped[0])]
"""
    ours, theirs = evaluate(gp, text, {}, orders=0), tensorflow.evaluate(text, {}, orders=0)
    assert ours["error"] is None and theirs["error"] is None
    for a, b in zip(ours["values"], theirs["values"], strict=True):
        np.testing.assert_allclose(a, b, 1e-12)


@pytest.mark.parametrize("make", DECAYS)
def test_decays(tensorflow, make):
    compare(tensorflow, DECAY.format(make=make))


@pytest.mark.parametrize("arguments", ["", "num_updates=n", "zero_debias=True, name='slow'"])
def test_averages(tensorflow, arguments):
    compare(tensorflow, AVERAGES.format(arguments=arguments))
