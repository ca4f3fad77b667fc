"""Variables in parts: their values, what is made of them, and checkpoints of other parts."""

from table import Bad, Call, rows

W = """
w = tf.get_variable("w", initializer=tf.reshape(tf.range(10.0), [5, 2]),
                    partitioner=tf.fixed_size_partitioner(2))
"""

IDENTITY = "initializer=tf.initializers.identity(3.0)"
#: Two steps of training, saved, and restored into a model in other parts, or in none.
MOVED = """
import tempfile

def model(partitioner, start):
    w = tf.get_variable("w", [5, 4], partitioner=partitioner,
                        initializer=tf.constant_initializer(start))
    step = tf.train.AdamOptimizer(0.1).minimize(tf.reduce_sum(tf.square(tf.convert_to_tensor(w))))
    return w, step

def run(partitioner, start, work):
    with tf.Graph().as_default(), tf.Session() as sess:
        w, step = model(partitioner, start)
        sess.run(tf.global_variables_initializer())
        work(sess, step)
        sess.run(step)
        return sess.run(tf.identity(w))

with tempfile.TemporaryDirectory() as folder:
    def save(sess, step):
        sess.run(step)
        tf.train.Saver({}).save(sess, folder + "/m")

    def restore(sess, step):
        tf.train.Saver({}).restore(sess, folder + "/m")

    out = [tf.constant(run({}, 2.0, save)), tf.constant(run({}, -1.0, restore))]
"""
PARTITIONERS = ["tf.fixed_size_partitioner(2)", "tf.fixed_size_partitioner(3, axis=1)", "None"]


def moved(there, here, var_list=""):
    return MOVED.format(var_list, var_list, there, here)


CALLS = rows(
    Call,
    *[W + "out = " + text for text in (
        "w.as_tensor()", "tf.identity(w)", "tf.convert_to_tensor(w)",
        "tf.matmul(x, tf.convert_to_tensor(w)[:3])", "x[:, :2] * tf.reduce_sum(w)",
        "tf.ones([5, 2]) * w", "x[:, :2] @ tf.transpose(w)", "tf.cast(w, tf.float64)",
        "tf.shape(w)", "tf.nn.l2_loss(w)", "tf.add_n([w, w])", "[v.value() for v in w]",
        "tf.gradients(tf.reduce_sum(tf.square(w)), list(w))", "tf.gradients(w, [*w])",
        "tf.nn.embedding_lookup(w, [1, 4, 2], partition_strategy='div')",
        "tf.nn.embedding_lookup(w, [1, 2, 3])",
        "w.assign(tf.ones([5, 2]) * x[0, 0])", "w.assign(w, name='same')",
        "w.assign([tf.ones([3, 2]), tf.zeros([2, 2])])", "w.assign_add(tf.ones([5, 2]))",
        "w.assign_sub(tf.ones([5, 2]), name='less')", "tf.assign(w, tf.ones([5, 2]))",
        "tf.assign_add(w, tf.ones([5, 2]))", "tf.assign_sub(w, tf.ones([5, 2]))",
        "[w.name, str(len(w)), *[v.op.name for v in tf.trainable_variables()]]",
    )],
    W + """
ids = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], tf.constant([0, 3, 1], tf.int64), [2, 2])
out = tf.nn.embedding_lookup_sparse(w, ids, None, combiner="sum")""",
    W + """
with tf.variable_scope("", reuse=True):
    same = tf.get_variable("w"), tf.get_variable("w", [5, 2])
    part = tf.get_variable("w/part_1", [2, 2])
out = [str(v is w) for v in same] + [part.op.name]""",
    *[f"""
w = tf.get_variable("w", [4, 4], {IDENTITY}, partitioner=tf.fixed_size_partitioner(3, axis={axis}))
out = w.as_tensor()""" for axis in (0, 1)],
    """
def initializer(shape, dtype, partition_info):
    return tf.fill(shape, float(partition_info.var_offset[0] + partition_info.full_shape[1]))
out = tf.get_variable("w", [5, 2], initializer=initializer,
                      partitioner=tf.fixed_size_partitioner(2)).as_tensor()""",
    """
first = tf.create_partitioned_variables([5, 2], [2, 1], tf.ones_initializer(), name="w")
again = tf.create_partitioned_variables([5, 2], [2, 1], None, name="w", reuse=True)
other = tf.create_partitioned_variables([4], [4], tf.range(4.0), trainable=False)
out = [*other, *[v.op.name for v in first + other + tf.trainable_variables()]]
out += [str(again == first)]""",
    W + """
steps = [make(0.1).minimize(tf.reduce_sum(w)) for make in 2 * [tf.train.AdamOptimizer]]
tf.train.ExponentialMovingAverage(0.9).apply()
out = [v.op.name for v in tf.global_variables()]""",
    *[moved(there, here) for there in PARTITIONERS for here in PARTITIONERS],
    *[moved(there, here, "{'a': [v for v in tf.global_variables() if v.op.name in "
                         "('w/part_0', 'w/part_1', 'w/part_2')]}")
      for there, here in (PARTITIONERS[:2], PARTITIONERS[1::-1])],
)  # fmt: skip


ERRORS = rows(
    Bad,
    *[W + "out = " + text for text in (
        "w * 2.0", "2.0 * w", "-w", "w[0]", "w + w", "w.eval()", "w.value()", "w.op",
        "w.initializer", "tf.gradients(tf.reduce_sum(w), w)", "tf.gradients(tf.reduce_sum(w), [w])",
        "tf.convert_to_tensor(w, tf.float64)", "tf.Session().run(w)",
        "tf.variables_initializer([w])", "w.assign([tf.ones([3, 2])])",
        "w.assign([[1.0, 2.0]] * 5)", "w.assign(tf.ones([4, 2]))", "w.assign(tf.ones([5, 3]))",
        "w.assign(1.0)",
        "tf.train.AdamOptimizer().minimize(tf.reduce_sum(w), var_list=[w])",
        "tf.train.AdamOptimizer().minimize(tf.reduce_sum(w), var_list=w)",
        "tf.train.AdamOptimizer().apply_gradients([(tf.ones([5, 2]), w)])",
        "tf.train.Saver(w)", "tf.train.Saver([w, *w])", "tf.train.Saver([w, w])",
        "tf.train.Saver([*w, *w])", "tf.train.Saver({'a': w, 'b': w})", "tf.train.Saver({'a': []})",
        "tf.train.Saver({'a': [*w, tf.Variable(1.0)]})",
        "tf.get_variable('w')", "tf.get_variable('w/part_0', [3, 2])",
        "tf.get_variable('r', [5], partitioner=3)",
        "tf.create_partitioned_variables([5, 2], [2], None)",
        "tf.create_partitioned_variables([5, 2], [2, 2], None)",
        "tf.create_partitioned_variables([], [], None)",
    )],
    W + """
with tf.variable_scope("", reuse=True):
    out = tf.get_variable("w", [5, 2], partitioner=tf.fixed_size_partitioner(3))""",
    W + """
with tf.variable_scope("", reuse=tf.AUTO_REUSE):
    out = tf.get_variable("w", [5, 2])""",
)  # fmt: skip
