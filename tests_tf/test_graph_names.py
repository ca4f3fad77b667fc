"""What programs look up by name: the same names stand in both graphs."""

import re

import pytest
from both import evaluate

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


PARTS = """
out = []
for g in gs:
    out += [g.values, g.indices] if isinstance(g, tf.IndexedSlices) else [g]
"""


def both(tensorflow, text):
    found = evaluate(gp, text, {}, run=False), tensorflow.evaluate(text, {}, run=False)
    for answer in found:
        assert answer["error"] is None, answer["error"]
    return found[0]["names"], found[1]["names"]


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
