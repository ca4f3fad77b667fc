"""What programs look up by name: the same names stand in both graphs.

Those of results are compared for every call of the tables too (``test_calls.py``).
"""

import re

import pytest
from both import evaluate
from inputs import used

import gradplan as gp

NETWORKS = {
    "perceptron": """
x = tf.placeholder(tf.float32, [None, 3], name="x")
with tf.variable_scope("l"):
    w = tf.get_variable("w", [3, 4])
    b = tf.get_variable("b", [4], initializer=tf.zeros_initializer())
h = tf.nn.relu(tf.matmul(x, w) + b)
y = tf.nn.softmax(h)
loss = tf.reduce_mean(tf.square(y - 1.0))
xs = [w, b]
""",
    "known sizes": """
x = tf.placeholder(tf.float32, [5, 4], name="x")
w = tf.get_variable("w", [4, 4], initializer=tf.truncated_normal_initializer(stddev=0.1))
v = tf.get_variable("v", [5, 4], initializer=tf.random_normal_initializer())
u = tf.get_variable("u", [5, 4], initializer=tf.constant_initializer(0.5))
h = tf.tanh(tf.matmul(x, w) + v) * tf.sigmoid(u) - u / v
loss = tf.reduce_sum(tf.sqrt(tf.exp(h))) + tf.nn.l2_loss(w)
xs = [w, v, u]
""",
    "convolution": """
x = tf.placeholder(tf.float32, [None, 8, 8, 1], name="x")
f = tf.get_variable("f", [3, 3, 1, 2], initializer=tf.glorot_normal_initializer())
c = tf.get_variable("c", [2], initializer=tf.ones_initializer())
w = tf.Variable(tf.random_uniform([32, 3], -1.0, 1.0), name="dense")
h = tf.nn.bias_add(tf.nn.conv2d(x, f, [1, 1, 1, 1], "SAME"), c)
h = tf.nn.max_pool(tf.nn.elu(h), [1, 2, 2, 1], [1, 2, 2, 1], "SAME")
y = tf.matmul(tf.reshape(h, [-1, 32]), w)
loss = tf.reduce_mean(tf.reduce_sum(tf.log(1.0 + tf.exp(y)), axis=1))
xs = [f, c, w]
""",
    "embedding": """
i = tf.placeholder(tf.int32, [None], name="i")
e = tf.get_variable("e", [7, 3], initializer=tf.random_uniform_initializer(-1.0, 1.0))
w = tf.get_variable("w", [3, 2], initializer=tf.orthogonal_initializer())
y = tf.matmul(tf.nn.embedding_lookup(e, i), w)
loss = tf.reduce_sum(tf.maximum(y, 0.5))
xs = [e, w]
""",
    "recurrent": """
x = tf.placeholder(tf.float32, [None, 3, 2], name="x")
w = tf.get_variable("w", [6, 4], initializer=tf.variance_scaling_initializer())
h = tf.zeros([tf.shape(x)[0], 4])
for step in tf.unstack(x, axis=1):
    h = tf.tanh(tf.matmul(tf.concat([step, h], 1), w))
loss = tf.reduce_mean(h)
xs = [w]
""",
    "parts": """
x = tf.placeholder(tf.float32, [None, 5], name="x")
with tf.variable_scope("l", partitioner=tf.fixed_size_partitioner(2)):
    w = tf.get_variable("w", [5, 4])
    s = tf.get_variable("s", [], initializer=tf.zeros_initializer())
v = tf.get_variable("v", [4, 3], partitioner=tf.variable_axis_size_partitioner(16, axis=1))
loss = tf.reduce_sum(tf.square(tf.matmul(tf.matmul(x, w), v.as_tensor()))) + s
xs = [*w, *v, s]
""",
    "template": """
def layer(x, width):
    return tf.tanh(tf.matmul(x, tf.get_variable("w", [4, width])))
x = tf.placeholder(tf.float32, [None, 4], name="x")
first = tf.make_template("layer", layer, width=4)
second = tf.make_template("layer", layer, width=4)
third = tf.make_template("now", layer, create_scope_now_=True, width=4)
fourth = tf.make_template("none", layer, unique_name_="own", width=4)
loss = tf.reduce_sum(fourth(third(third(second(first(first(x)))))))
xs = first.variables + second.trainable_variables + third.variables + fourth.global_variables
""",
}
OPTIMIZERS = {
    "descent": "GradientDescentOptimizer(0.1)",
    "momentum": "MomentumOptimizer(0.1, 0.9, use_nesterov=True)",
    "adam": "AdamOptimizer()",
    "adagrad": "AdagradOptimizer(0.1)",
    "adadelta": "AdadeltaOptimizer()",
    "rmsprop": "RMSPropOptimizer(0.1, momentum=0.5)",
    "centered": "RMSPropOptimizer(0.1, centered=True)",
    "ftrl": "FtrlOptimizer(0.1)",
    "proximal": "ProximalGradientDescentOptimizer(0.1)",
    "proximal_adagrad": "ProximalAdagradOptimizer(0.1)",
}
#: What TensorFlow makes of an argument that is an attribute here, or on the way to a result; the
#: steps by which Adam changes some rows alone are others.
ASIDE = re.compile(
    r"""gradients|(^|.*/)(Const(_\d+)?|shape_as_tensor|reduction_indices|perm|axis|num
    |packed(/\d)?)$|Adam/update_e/|strided_slice/stack""",
    re.VERBOSE,
)
#: TensorFlow 2 put another number, beta, into this optimizer, and made its first slot with it.
BETA = re.compile(r"Ftrl/(Maximum|mul|truediv|add|beta)|.*/Ftrl/Initializer")
TRAIN = """
step = tf.train.get_or_create_global_step()
optimizer = tf.train.{}
pairs = optimizer.compute_gradients(loss)
train = optimizer.apply_gradients(pairs, global_step=step)
out = tf.get_default_graph().get_operations()
"""


ARRAY = "a = tf.TensorArray(tf.float32, 0, dynamic_size=True).write(0, x).write(1, y); "
SUMS = "lambda a, r: (a[0] * r, a[1] + r), x, (v, v)"
WINDOW = "'VALID', dilation_rate=[2]"
RESULTS = [
    "tf.map_fn(tf.exp, x)", "tf.map_fn(lambda r: (r, r * 2.0), x, (tf.float32, tf.float32))",
    "tf.map_fn(lambda r: r[0] * r[1], (x, y), tf.float32, name='m')",
    "tf.scan(tf.add, x)", "tf.scan(tf.add, x, v, reverse=True, name='s')", f"tf.scan({SUMS})",
    "tf.foldl(tf.add, x)", "tf.foldr(tf.add, x, v, name='f')", f"tf.foldr({SUMS})",
    "tf.while_loop(lambda i, m: i < 3, lambda i, m: (i + 1, m * 2.0), [0, x])",
    "tf.while_loop(lambda i: i < 3, lambda i: i + 1, [0], maximum_iterations=5, name='w')",
    "tf.cond(b[0, 0], lambda: (x, y, x), lambda: (y, x, x), name='c')",
    "tf.case([(b[0, 0], lambda: (x, y))], default=lambda: (y, x))",
    "tf.case([(b[0, 0], lambda: (x, y))], default=lambda: (y, x), exclusive=True, name='c')",
    "tf.case([(b[0, 0], lambda: x), (b[0, 1], lambda: y)], exclusive=True)",
    "tf.train.piecewise_constant(one, [1, 2], [0.1, 0.2, 0.3])",
    "tf.train.natural_exp_decay(0.1, one, 10, 0.9)",
    ARRAY + "out = [a.stack(), a.stack(), a.read(0), a.gather([1]), a.size(), a.concat()]",
    ARRAY + "out = [a.stack('a'), a.read(0, 'b'), a.gather([1], 'c'), a.concat('d'), a.size('e')]",
    "tf.py_func(abs, [x], tf.float32)", "tf.py_func(abs, [x], [tf.float32], name='p')",
    "tf.py_func(abs, [x], tf.float32, stateful=False)", "tf.py_func(print, [x], [])",
    "tf.nn.moments(x, [0], name='m')", "tf.nn.moments(c, [0, 1], keep_dims=True)",
    "tf.nn.batch_normalization(x, v, p[0], v, v, 1e-3)",
    "tf.nn.batch_normalization(x, v, p[0], None, v, 1e-3)",
    "tf.nn.batch_normalization(x, v, 2.0, v, None, 1e-3)",
    "tf.nn.batch_normalization(x, 0.5, 2.0, 3.0, 4.0, 1e-3)",
    "tf.nn.softmax_cross_entropy_with_logits_v2(labels=prob, logits=x, axis=0, name='s')",
    "tf.nn.softmax_cross_entropy_with_logits(labels=c, logits=c)",
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=zero, logits=c)",
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=x, name='xe')",
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=zero, logits=c, name='xe')",
    "tf.transpose(x, name=None)",
    *[f"tf.losses.{f}(u, p, weights={w}, reduction='{r}')"
      for f in ("absolute_difference", "hinge_loss", "log_loss", "mean_squared_error")
      for w in ("1.0", "column")
      for r in ("none", "weighted_sum", "weighted_sum_over_batch_size", "weighted_mean")],
    "tf.losses.absolute_difference(u, p); out = tf.losses.absolute_difference(u, p)",
    *[f"tf.norm(x, {how}, keepdims=True)"
      for how in ("2", "1", "np.inf", "3", "'fro', [0, 1]", "1, [0, 1]", "np.inf, [0, 1]")],
    "tf.norm(x, 1, [0, 1], name='n')", "tf.clip_by_global_norm([x, y], 1.0, name='c')",
    f"tf.nn.convolution(signal, filters[0], {WINDOW})",
    f"tf.nn.convolution(image, filters, {WINDOW.replace('2', '2, 1')}, name='c')",
    f"tf.nn.pool(signal, [2], 'MAX', {WINDOW})", "tf.nn.pool(signal, [2], 'AVG', 'SAME')",
    "tf.nn.max_pool1d(signal, 2, 1, 'SAME')", "tf.nn.atrous_conv2d(image, filters, 1, 'SAME')",
    "tf.nn.depthwise_conv2d(image, depth, [1, 1, 1, 1], 'SAME', rate=[2, 2])",
    "tf.nn.atrous_conv2d_transpose(tf.ones([2, 6, 5, 4]), filters, [2, 6, 5, 3], 2, 'SAME')",
    "tf.nn.in_top_k(x, classes, 2, name='k')",
    "tf.eye(3, 3)", "tf.eye(2, 3, [2])", "tf.eye(2, batch_shape=[2], name='e')", "tf.eye(one)",
    "tf.sort(c, 1)", "tf.sort(c, 1, 'DESCENDING', name='s')", "tf.argsort(c, 1, name='s')",
    "tf.nn.embedding_lookup([x, y], [0, 3, 2], 'div', max_norm=1.0)",
    "tf.math.reduce_std(x)", "tf.math.reduce_variance(x, 0, name='r')", "tf.lbeta(p)",
    "tf.linalg.lstsq(tall, tall[:, :2], fast=False)", "tf.math.multiply_no_nan(x, y)",
    "tf.space_to_batch(image, [[0, 0], [0, 1]], 2)", "tf.SparseTensor([[0]], [s], [3]) * v",
]  # fmt: skip
#: Calls that take names in the current scope beside that of the result, or must not.
ASIDES = [
    "tf.scan(tf.add, x)", "tf.foldl(tf.add, x)", "tf.foldr(tf.add, x, name='f')",
    "tf.Assert(tf.reduce_all(b), [x])", "tf.Assert(tf.reduce_all(b), [x], name='a')",
    "tf.assert_positive(x)", "tf.assert_negative(x, name='n')", "tf.assert_non_negative(x)",
    "tf.assert_non_positive(x)", "tf.assert_less(x, y)", "tf.assert_greater_equal(x, y)",
    *[f"tf.{f}({a})" for f in ("reduce_sum", "reduce_mean", "reduce_max", "reduce_min",
                               "reduce_prod", "reduce_logsumexp", "count_nonzero", "norm")
      for a in ("x", "x, keepdims=True", "x, name='n'", "x, 1", "[1.0, 2.0]", "np.ones(3)")],
    "tf.reduce_all(b)", "tf.reduce_any(b, name='n')", "tf.reduce_any(b, 0)", "tf.trace(m)",
    "tf.reduce_sum(tf.placeholder(tf.float32))", "tf.reduce_sum(one)", "tf.reduce_all(b[0, 0])",
    "tf.nn.moments(x, [0])", "tf.nn.sufficient_statistics(x, [0])", "tf.nn.l2_normalize(x)",
    "tf.losses.mean_squared_error(x, y)", "tf.losses.softmax_cross_entropy(prob, x)",
    "tf.nn.fused_batch_norm(image, v, v)", "tf.nn.softmax(x, 0)", "tf.nn.softmax(c, 2)",
    "tf.nn.softmax(c, 1, name='n')", "tf.nn.log_softmax(x, 0)",
    "tf.nn.fused_batch_norm(image, v, v, v, v, is_training=False)",
    "tf.nn.softmax_cross_entropy_with_logits(labels=prob, logits=x)",
    "tf.nn.softmax_cross_entropy_with_logits(labels=prob, logits=x, name='n')",
    "tf.range(5)", "tf.range(1, 5, 2)", "tf.range(one, name='n')", "tf.range(one, 7.0)",
    "tf.one_hot(i, 3)", "tf.one_hot(i, 3, 2.0, 1.0)", "tf.one_hot(i, one, on_value=True, "
    "off_value=False)", "tf.pad(x, [[1, 1], [0, 0]])", "tf.pad(x, [[1, 1], [0, 0]], name='n')",
    "tf.pad(x, [[1, 1], [0, 0]], constant_values=1.0)", "tf.pad(x, [[1, 1], [1, 1]], 'REFLECT')",
    "tf.slice(x, [0, 0], [1, 2])", "tf.slice(x, [one, 0], [1, -1])", "tf.slice(x, at[0], [1, 1])",
    "tf.reshape(x, [tf.shape(x)[0], 3])", "tf.zeros([one, 3])", "tf.ones([one, 3])",
    "tf.fill([one, 3], 2.0)", "tf.tile(x, [one, 2])", "tf.random_normal([one, 3])",
    "tf.convert_to_tensor([1.0, s])", "tf.convert_to_tensor([[1.0, s], [s, s]])",
    "tf.stack([1.0, s])", "tf.constant([1, 2]) + [one, 3]", "tf.concat([x, [[1.0, 2.0, s]]], 0)",
    "tf.sequence_mask([1, 2])", "tf.sequence_mask(lengths, 3)", "tf.sequence_mask([1, 2], 3)",
    "tf.required_space_to_batch_paddings([4, 4], [2, 2])", "tf.div(x, 2.0)", "tf.div(n, 2)",
    "x[one]", "x[one, :2]", "x[0][one]", "tf.Variable(1.0).initialized_value()",
    "tf.Variable(tf.Variable(2.0).initialized_value())", "tf.clip_by_value(x, 0.0, 1.0)",
    "tf.train.ExponentialMovingAverage(0.9).apply([tf.Variable(1.0), tf.Variable(2.0)])",
    "tf.train.AdamOptimizer().minimize(tf.reduce_sum(tf.get_variable('w', [2]) ** 2))",
    "tf.nn.nce_loss(z, v[:3], tf.constant([[1], [2]], tf.int64), tf.ones([2, 4]), 2, 3)",
    "tf.nn.fixed_unigram_candidate_sampler(tf.constant([[1]], tf.int64), 1, 2, False, 3, "
    "unigrams=[1.0, 2.0, 1.0])",
    "tf.nn.compute_accidental_hits(tf.constant([[1]], tf.int64), tf.constant([1], tf.int64), 1)",
    "tf.sparse_retain(tf.SparseTensor([[0]], [s], [3]), [True])",
    "tf.sparse_reduce_sum(tf.SparseTensor([[0]], [s], [3]))", "tf.local_variables_initializer()",
    "tf.unique(i)", "tf.unique_with_counts(i, name='n')", "tf.setdiff1d(i, rows, name='n')",
    "tf.dynamic_partition(x, classes, 3)", "tf.shape_n([x, v], name='n')", "tf.identity_n([x, i])",
]  # fmt: skip
#: What programs make next, by the names that such calls take.
NEXT = """
out = [out, tf.constant(1.0), tf.rank(x), tf.range(3), tf.subtract(x, x), x + x,
       tf.concat([x, x], 0), tf.stop_gradient(x), tf.reshape(x, [-1]), tf.where(b), tf.shape(x),
       tf.ones([2]), tf.stack([x]), x @ z, x[0], tf.cond(b[0, 0], lambda: x, lambda: y),
       tf.is_variable_initialized(tf.get_variable("next", [])), tf.expand_dims(x, 0),
       tf.diag_part(m), tf.convert_to_tensor([s]), tf.transpose(x), tf.zeros_like(x)]
"""
PARTS = """
out = []
for g in gs:
    out += [g.values, g.indices] if isinstance(g, tf.IndexedSlices) else [g]
"""


#: Loops and conditionals, in which S(...) notes what the user's functions see and make.
INSIDE = {
    "cond": "S(tf.cond(p, lambda: f(x), lambda: f(y)))",
    "operations": "S(tf.cond(p, lambda: tf.no_op(), lambda: tf.group(f(x).op)))",
    "assignments": "S(tf.cond(p, lambda: tf.assign(v, v * 2.0), lambda: tf.assign_add(v, f(v))))",
    "numbers": "S(*tf.cond(p, lambda: (x, 1.0, y), lambda: (f(x), 2.0, x), name='c')); f(x)",
    "cond in cond": "S(tf.cond(p, lambda: tf.cond(n > 0, lambda: f(x), lambda: f(y)), "
    "lambda: f(y)))",
    "case": "S(tf.case([(p, lambda: f(x)), (n > 2, lambda: f(y))], default=lambda: f(x * y)))",
    "while": "S(*tf.while_loop(lambda i, a: S(i, a, i < n), lambda i, a: (i + 1, f(a)), [0, x]))",
    "while again": "for k in 'ab': "
    "S(tf.while_loop(lambda i: S(i, i < n), lambda i: f(i), [0], name=k))",
    "while with a bound": "S(*tf.while_loop(lambda i, a: S(i, a, i < n), "
    "lambda i, a: (i + 1, f(a)), (0, x), maximum_iterations=7))",
    "while in while": "S(*tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, tf.while_loop("
    "lambda j, b: j < i, lambda j, b: (j + 1, f(b)), [0, a])[1]), [0, x]))",
    "cond in while": "S(*tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, tf.cond(i > 1, "
    "lambda: f(a), lambda: f(y))), [0, x]))",
    "while in cond": "S(tf.cond(p, lambda: tf.while_loop(lambda i, a: i < n, "
    "lambda i, a: (i + 1, f(a)), [0, x])[1], lambda: f(y)))",
    "map": "S(tf.map_fn(f, x))",
    "map of two": "S(*tf.map_fn(lambda r: (f(*r), r[0]), (x, y), 2 * (tf.float32,), name='m'))",
    "scan": "S(tf.scan(f, x)); S(tf.scan(f, x, v, reverse=True))",
    "scan of two": "S(*tf.scan(lambda a, r: (f(a[0], r[0]), f(a[1], r[1])), (x, y), (v, v)))",
    "folds": "S(tf.foldl(f, x)); S(tf.foldr(f, x, v))",
    "of unknown rows": "u = tf.placeholder(tf.float32, [None, 2]); "
    "S(tf.foldl(f, u), tf.foldr(f, u, v), tf.scan(f, u, v, reverse=True))",
    "fold of two": "S(*tf.foldl(lambda a, r: (f(a[0], r[0]), f(a[1], r[1])), (x, y), (v, v)))",
    "map in map": "S(tf.map_fn(lambda r: tf.map_fn(f, r), x))",
    "cond in map": "S(tf.map_fn(lambda r: tf.cond(n > 0, lambda: f(r), lambda: f(v)), x))",
    "array": "S(tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a.write(i, f(x[i]))), "
    "[0, tf.TensorArray(tf.float32, 3)])[0])",
    "read": "A = tf.TensorArray(tf.float32, 3).unstack(x); S(*tf.while_loop(lambda i, a: i < 3, "
    "lambda i, a: (i + 1, f(A.read(i))), [0, v]))",
    "scopes": "S(tf.cond(p, lambda: scoped(x), lambda: scoped(y)))",
    "gradients": "S(*tf.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, "
    "S(*tf.gradients(tf.exp(a), a))), [0, x]))",
    "a cell": "S(tf.scan(lambda h, r: S(tf.tanh(tf.matmul([r], W)[0] + h)), x, tf.zeros([2])))",
}  # fmt: skip
SEEN = """
x, y = tf.placeholder(tf.float32, [3, 2], name="x"), tf.placeholder(tf.float32, [3, 2], name="y")
p, n = tf.placeholder(tf.bool, [], name="p"), tf.placeholder(tf.int32, [], name="n")
v, W = tf.get_variable("v", [2]), tf.get_variable("W", [2, 2])
out = []
def S(*ts):
    out.extend(ts)
    return ts[-1]
def f(*ts):
    return [S(*ts, t + t, tf.abs(t), t * t, tf.reduce_sum(t), tf.constant(1.0), tf.identity(t))
            for t in ts][0]
def scoped(t):
    with tf.name_scope("in"):
        S(t * t)
        with tf.name_scope("deep"):
            S(t + 1.0)
    with tf.name_scope("in"):
        return S(t * 3.0)
"""
#: Those that end in an integer or nothing.
NO_FLOATS = ("operations", "while again", "array")
COMPUTED = "[g for g, _ in tf.train.AdamOptimizer().compute_gradients(tf.reduce_sum(out[-1] * v))]"
#: Variables that training makes in a scope. Slots and the global step go by the variable scope, the
#: powers of Adam by the name scope.
SCOPED = """
with tf.{scope}("net"):
    w, u = tf.Variable(tf.zeros([2]), name="w"), tf.get_variable("u", [2])
with tf.{scope}("train"):
    loss = tf.reduce_sum(w * u)
    step = tf.train.get_or_create_global_step()
    average = tf.train.ExponentialMovingAverage(0.9, zero_debias=True)
    out = [average.apply([w, u, w * u]), average.average(w)]
    for _ in range(2):
        optimizer = tf.train.{optimizer}
        out.append(optimizer.minimize(loss, global_step=step))
        out += [optimizer.get_slot(w, name) for name in optimizer.get_slot_names()]
out += tf.global_variables() + tf.global_variables("train") + [tf.constant(1.0)]
"""


def both(tensorflow, text, arrays=()):
    arrays = dict(arrays)
    found = evaluate(gp, text, arrays, run=False), tensorflow.evaluate(text, arrays, run=False)
    for answer in found:
        assert answer["error"] is None, answer["error"]
    return found[0]["names"], found[1]["names"]


@pytest.mark.parametrize("text", RESULTS)
def test_results(tensorflow, text):
    ours, theirs = both(tensorflow, text if "out =" in text else f"out = {text}", used(text))
    assert ours == theirs


@pytest.mark.parametrize("text", ASIDES)
def test_names_that_come_next(tensorflow, text):
    text = f"with tf.name_scope('sc'):\n  out = {text}" + NEXT.replace("\n", "\n  ")
    ours, theirs = both(tensorflow, text, used(text))
    assert ours == theirs


@pytest.mark.parametrize("text", INSIDE.values(), ids=list(INSIDE))
def test_names_inside(tensorflow, text):
    ours, theirs = both(tensorflow, SEEN + text)
    assert ours == theirs
    found = "out = [tf.get_default_graph().get_tensor_by_name(n) for n in names]"
    again = "\n".join([SEEN, text, f"names = {theirs}", found])
    assert both(tensorflow, again) == (theirs, theirs)


@pytest.mark.parametrize("text", [t for k, t in INSIDE.items() if k not in NO_FLOATS])
@pytest.mark.parametrize("gs", ["tf.gradients(out[-1], [x, y, v, W])", COMPUTED])
def test_gradients_through(tensorflow, text, gs):
    """With respect to what is around loops and conditionals; None where nothing depends on it."""
    text = f"{SEEN}{text}\nout = [g if g is None else g.name for g in {gs}]"
    ours, theirs = evaluate(gp, text, {}, run=False), tensorflow.evaluate(text, {}, run=False)
    assert ours["names"] == theirs["names"]


@pytest.mark.parametrize("scope", ["name_scope", "variable_scope"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS.values())
def test_variables_of_training_in_a_scope(tensorflow, optimizer, scope):
    ours, theirs = both(tensorflow, SCOPED.format(scope=scope, optimizer=optimizer))
    assert ours == theirs


@pytest.mark.parametrize("network", NETWORKS)
def test_gradients(tensorflow, network):
    """Those of variables, of what stands between, and by the rows that are taken."""
    more = "h, " if "\nh =" in NETWORKS[network] and network != "recurrent" else ""
    ours, theirs = both(
        tensorflow, f"{NETWORKS[network]}gs = tf.gradients(loss, [{more}*xs])" + PARTS
    )
    assert ours == theirs


@pytest.mark.parametrize("network", NETWORKS)
def test_computed_gradients(tensorflow, network):
    text = "gs = [g for g, _ in tf.train.AdamOptimizer().compute_gradients(loss)]"
    ours, theirs = both(tensorflow, NETWORKS[network] + text + PARTS)
    assert ours == theirs


@pytest.mark.parametrize("network, optimizer", [
    *[(n, "adam") for n in NETWORKS], *[("perceptron", o) for o in OPTIMIZERS],
])  # fmt: skip
def test_everything_that_training_makes(tensorflow, network, optimizer):
    text = NETWORKS[network] + TRAIN.format(OPTIMIZERS[optimizer])
    ours, theirs = both(tensorflow, text)
    lacking = [
        name
        for name in theirs
        if name not in ours and not ASIDE.match(name) and not BETA.match(name)
    ]
    assert not lacking
