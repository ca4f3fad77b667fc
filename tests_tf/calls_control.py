"""Loops that grow: shapes that change from trip to trip, and arrays of dynamic size."""

from table import Bad, Call

GROWS = "shape_invariants=[tf.TensorShape([]), tf.TensorShape([None, 3])]"
VARIABLE = "V = tf.get_variable('V', initializer=np.float32(1.0), use_resource=True)"
ARRAY = "tf.TensorArray(tf.float32, size=0, dynamic_size=True, clear_after_read=False)"


CALLS = [
    Call(f"""
i, m = tf.while_loop(lambda i, m: i < 3, lambda i, m: (i + 1, tf.concat([m, tf.tanh(m)], 0)),
                     [0, x], {GROWS})
out = [i + 0, m * 1.0]"""),
    Call(f"""
i, m = tf.while_loop(lambda i, m: i < rows[2], lambda i, m: (i + 1, tf.concat([m, y * m[:2]], 0)),
                     [tf.constant(0), tf.constant(1.0, shape=[2, 3])], {GROWS})
out = m + 1.0"""),
    Call(f"""
i, m = tf.while_loop(lambda i, m: tf.shape(m)[0] > 1, lambda i, m: (i + 1, m[1:] * m[:-1]),
                     [0, x], {GROWS})
out = m + 0.0"""),
    Call(f"""
def outer(i, m):
    j, m = tf.while_loop(lambda j, m: j < i, lambda j, m: (j + 1, tf.concat([m, m[:1] * y[:1]], 0)),
                         [0, m], {GROWS})
    return i + 1, m

out = tf.while_loop(lambda i, m: i < 3, outer, [0, x], {GROWS})[1] + 0.0"""),
    Call(f"""
out = tf.while_loop(lambda i, m: i < -1, lambda i, m: (i + 1, tf.concat([m, m], 0)),
                    [0, x], {GROWS})[1] + 0.0"""),
    Call(f"""
_, h, a = tf.while_loop(lambda i, h, a: i < 4,
                        lambda i, h, a: (i + 1, tf.tanh(h + y), a.write(i, h * x)),
                        [0, x, {ARRAY}])
out = [a.stack() * 1.0, a.size() + 0, a.concat() * 1.0, a.read(2) + 0.0, a.gather([3]) + 0.0]"""),
    Call(f"""
_, h, a = tf.while_loop(lambda i, h, a: tf.reduce_sum(h) < 20.0,
                        lambda i, h, a: (i + 1, h * 2.0, a.write(i, h)), [0, p, {ARRAY}])
out = [a.stack() * 1.0, a.size() + 0]"""),
    Call(f"""
a = {ARRAY}.write(0, p)
i, a = tf.while_loop(lambda i, a: tf.reduce_sum(a.read(i - 1)) < 20.0,
                     lambda i, a: (i + 1, a.write(i, a.read(i - 1) * 2.0)), [1, a])
out = [a.stack() * 1.0, i + 0, a.size() + 0]"""),
    Call(f"""
a = {ARRAY}.unstack(c)
_, b = tf.while_loop(lambda i, b: i < a.size(), lambda i, b: (i + 1, b.write(i, a.read(i) * w)),
                     (0, {ARRAY}), maximum_iterations=5)
out = b.stack() + 0.0"""),
    Call(f"""
def decode(i, token, h, logits):
    h = tf.tanh(tf.matmul(h, m) + tf.gather(tall, [token]))
    scores = tf.matmul(h, rhs)
    return i + 1, tf.argmax(scores[0], output_type=tf.int32), h, logits.write(i, scores)

start = [0, 0, tf.zeros([1, 3], tf.float64), {ARRAY.replace("float32", "float64")}]
i, token, h, logits = tf.while_loop(
    lambda i, token, h, logits: tf.logical_and(i < 7, tf.reduce_sum(h) < 2.0), decode, start)
out = [logits.stack() * 1.0, i + 0, token + 0, h + 0.0]"""),
    Call(f"""
def outer(i, a):
    s = tf.while_loop(lambda j, s: j < i, lambda j, s: (j + 1, tf.concat([s, v * s[:3]], 0)),
                      [0, v], [tf.TensorShape([]), tf.TensorShape([None])])[1]
    return i + 1, a.write(i, tf.reduce_sum(s))

out = tf.while_loop(lambda i, a: i < 4, outer, [0, {ARRAY}])[1].stack() * 1.0"""),
    Call("out = tf.map_fn(lambda r: tf.reduce_sum(tf.boolean_mask(r, r > 0.0) ** 2), x) * 1.0"),
    # rows of what is around a loop
    Call("""out = tf.while_loop(lambda i, t: i < 3, lambda i, t: (i + 1, t * tf.gather(x, rows)),
                    [0, tf.ones([3, 3])])[1] + 0.0""",
         differs={"second": "TensorFlow's is not connected, though it is not 0"}),
    Call("out = tf.map_fn(lambda j: tf.gather(x, j) * y[0], rows, tf.float32) * 1.0"),
    Call("out = tf.map_fn(lambda j: tf.gather(x, j) * tf.gather(x, [0]), rows, tf.float32) * 1.0"),
    Call("out = tf.map_fn(lambda j: tf.gather(x, j) * tf.reduce_sum(x), rows, tf.float32) * 1.0"),
    Call("out = tf.map_fn(lambda j: tf.gather(x, j), rows, tf.float32) * tf.gather(x, [1, 1, 0])"),
    Call("out = tf.map_fn(lambda j: tf.gather_nd(x, [[j], [0]]), rows, tf.float32) * 1.0"),
    Call("out = tf.scan(lambda t, j: tf.sin(t) * tf.gather(x, j), rows, v) * 1.0"),
    Call("""out = tf.map_fn(lambda i_: tf.foldl(lambda t, j: t * tf.gather(d, j), i_, d[0]),
                    zero % 2, tf.float64) * 1.0"""),
    # what bodies write and ask Python for is taken as it was
    Call(f"""{VARIABLE}
out = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * x * V.assign_add(1.0)),
                    [0, y])[1] + 0.0"""),
    Call(f"""{VARIABLE}
out = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.cond(
    i > 0, lambda: a * x * V.assign_add(1.0), lambda: tf.sin(a))), [0, y])[1] + 0.0"""),
    Call(f"""{VARIABLE}
out = tf.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, tf.while_loop(
    lambda j, b: j < i, lambda j, b: (j + 1, b * V.assign_add(0.5) * x), [0, a])[1]),
    [0, y])[1] + 0.0"""),
    Call(f"""{VARIABLE}
out = tf.foldl(lambda a, r: tf.while_loop(
    lambda j, b: j < 2, lambda j, b: (j + 1, b * V.assign_add(0.5) * r), [0, a])[1], y) * 1.0"""),
    Call(f"""{VARIABLE}
out = tf.cond(b[0, 0], lambda: tf.foldl(lambda a, r: a * r * V.assign_add(1.0), x),
              lambda: y[0]) * 1.0"""),
    Call("""
def trip(i, a):
    t = tf.py_func(np.cos, [a], tf.float32)
    t.set_shape([2, 3])
    return i + 1, a * t * x
out = tf.while_loop(lambda i, a: i < 3, trip, [0, y])[1] + 0.0"""),
    Call(f"out = {ARRAY}.write(1, x).write(0, y).stack() * 1.0"),
    Call(f"out = {ARRAY}.scatter([1, 0], x).stack() * 1.0"),
    Call(f"out = {ARRAY}.split(z, [1, 1, 1]).stack() * 1.0"),
    Call("out = tf.TensorArray(tf.float32, 2).scatter([1, 0], x).gather([1]) * 1.0"),
]  # fmt: skip

ERRORS = [
    Bad("tf.while_loop(lambda m: True, lambda m: tf.concat([m, m], 0), [x])"),
    Bad("""out = tf.while_loop(lambda m: True, lambda m: tf.concat([m, m], 0), [x],
                               [tf.TensorShape([2, 3])])"""),
    Bad("tf.while_loop(lambda m: True, lambda m: m, [x], [tf.TensorShape([4, 3])])"),
    Bad("tf.while_loop(lambda m: True, lambda m: m, [x], [tf.TensorShape([4, 3]), s])"),
    Bad("tf.TensorArray(tf.float32)"),
    Bad(f"out = {ARRAY}.write(0, x).read(1)"),
]  # fmt: skip
