"""Calls of the operations that gradplan began with, in TensorFlow 1's spelling."""

from table import Bad, Call, rows

UNARY = "abs acos acosh asin asinh atan atanh ceil cos cosh erf erfc exp expm1 floor log log1p"
UNARY += " negative reciprocal rint round rsqrt sigmoid sign sin sinh sqrt square tan tanh"
#: Where those are sampled that are not defined everywhere.
DOMAIN = dict.fromkeys("acos asin atanh".split(), "u")
DOMAIN |= dict.fromkeys("log log1p sqrt rsqrt".split(), "p") | {"acosh": "(p + 1.0)"}
ACTIVATIONS = "relu relu6 elu selu softplus softsign leaky_relu crelu sigmoid tanh"

XENT = {"second": "TensorFlow takes the derivative with respect to the labels for a constant"}

CALLS = rows(
    Call,
    # ---- elementwise
    *[f"tf.{f}({DOMAIN.get(f, 'x')})" for f in UNARY.split()],
    *[f"tf.nn.{f}(x)" for f in ACTIVATIONS.split()],
    "tf.add(x, y)", "tf.add(x=x, y=v)", "tf.subtract(x, s)", "tf.multiply(column, row)",
    "tf.divide(x, p)", "tf.truediv(n, 4)", "tf.div(n, k)", "tf.div(x, p)", "tf.floordiv(n, k)",
    "tf.floor_div(n, k)", "tf.floordiv(x, p)", "tf.mod(n, k)", "tf.floormod(x, p)",
    "tf.realdiv(x, p)", "tf.pow(p, x)", "tf.pow(n, k)", "tf.pow(x, 2.0)", "tf.pow(p, 0.5)",
    "tf.maximum(x, y)", "tf.minimum(x, 0.0)", "tf.squared_difference(x, y)", "tf.atan2(x, y)",
    "tf.maximum(ties, 2.0)", "tf.minimum(x=ties, y=3.0)", "tf.pow(zeros, 2.0)",
    Call("tf.mul(x, y)", "tf.multiply(x, y)"), Call("tf.sub(x, y)", "tf.subtract(x, y)"),
    Call("tf.neg(x)", "tf.negative(x)"),
    "x + y", "x - 1.0", "2.0 * x", "x / p", "1.0 / p", "n / k", "n // k", "n % k", "-n", "abs(x)",
    "x ** 2.0", "2.0 ** x", "x < y", "x >= 0.0", "b & b2", "b | b2", "b ^ b2", "~b", "x + v + s",
    "np.float32(2) * x", "np.ones((2, 3), np.float32) - x", "x @ z", "10 - n", "7 // k",
    "tf.clip_by_value(x, -0.5, 0.5)", "tf.clip_by_value(t=x, clip_value_min=0.0, clip_value_max=v)",
    "tf.floor(odd)", "tf.ceil(odd)", "tf.round(odd)", "tf.rint(odd)", "tf.sign(odd)",
    "tf.is_nan(odd)", "tf.is_inf(odd)", "tf.is_finite(odd)", "tf.sqrt(odd)", "tf.log(odd)",
    "tf.maximum(odd, 0.0)", "tf.nn.relu(odd)", "tf.nn.softplus(odd)", "tf.exp(odd)",
    "tf.abs(n)", "tf.sign(n)", "tf.square(n)", "tf.round(n)", "tf.negative(l)",
    # ---- types, comparisons and logic
    "tf.cast(x, tf.int32)", "tf.cast(n, 'float32')", "tf.cast(x, dtype=tf.float64, name='wide')",
    "tf.cast(b, tf.float32)", "tf.cast(n, tf.bool)", "tf.to_float(n)", "tf.to_double(x)",
    "tf.to_int32(x)", "tf.to_int64(x)",
    *[f"tf.{f}(ties, 2.0)"
      for f in "equal not_equal less less_equal greater greater_equal".split()],
    *[f"tf.{f}(b, b2)" for f in "logical_and logical_or logical_xor".split()],
    "tf.logical_not(b)", "tf.equal(b, b2)", "tf.where(b, x, y)", "tf.where(br, x, y)",
    "tf.where(condition=x > 0, x=x, y=tf.zeros_like(x))",
    # ---- products and reductions
    "tf.matmul(x, z)", "tf.matmul(x, y, transpose_b=True)", "tf.matmul(x, y, True)",
    "tf.matmul(d, d, adjoint_b=True, name='gram')", "tf.matmul(n, k, transpose_a=True)",
    "tf.matmul(e, z)", "tf.matmul(big, big, transpose_a=True)",
    *[f"tf.reduce_{f}({a})" for f in "sum mean max min logsumexp".split()
      for a in ("x", "c, 1", "c, [0, -1]", "x, axis=0, keepdims=True")],
    "tf.reduce_sum(x, reduction_indices=[1])", "tf.reduce_mean(input_tensor=x, axis=1)",
    "tf.reduce_sum(x, 1, keep_dims=True)", "tf.reduce_sum(x, [])", "tf.reduce_sum(s)",
    "tf.reduce_sum(n, 0)", "tf.reduce_mean(n)", "tf.reduce_max(n, 1)", "tf.reduce_max(ties, 1)",
    "tf.reduce_min(ties)", "tf.reduce_sum(e, 0)", "tf.reduce_mean(e, 0)", "tf.reduce_max(e, 0)",
    "tf.reduce_all(b, 1)", "tf.reduce_any(b, axis=0, keepdims=True)", "tf.reduce_all(b)",
    "tf.reduce_any(b, name='some')", "tf.reduce_sum(big, 0)", "tf.reduce_sum(x, tf.constant(0))",
    "tf.argmax(x)", "tf.argmax(x, 1)", "tf.argmin(x, axis=-1)", "tf.argmax(x, dimension=1)",
    "tf.argmax(ties, 1)", "tf.argmin(ties, 0, output_type=tf.int32)",
    "tf.argmax(input=x, axis=1, name='best', output_type=tf.int32)",
    # ---- nets
    "tf.nn.softmax(x)", "tf.nn.softmax(logits=c, dim=1)", "tf.nn.softmax(x, axis=0)",
    "tf.nn.log_softmax(x)", "tf.nn.log_softmax(c, axis=1)", "tf.nn.bias_add(x, v)",
    "tf.nn.bias_add(c, w, name='b')", "tf.nn.bias_add(image, v, data_format='NHWC')",
    "tf.nn.softmax_cross_entropy_with_logits(labels=prob, logits=x)",
    Call("tf.nn.softmax_cross_entropy_with_logits_v2(labels=prob, logits=x)", differs=XENT),
    Call("tf.nn.softmax_cross_entropy_with_logits_v2(labels=prob, logits=x, dim=0)", differs=XENT),
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes, logits=x)",
    "tf.nn.sigmoid_cross_entropy_with_logits(labels=u, logits=x)",
    # ---- moving elements
    "tf.identity(x)", "tf.stop_gradient(x) * x", "tf.shape(x)", "tf.shape(c, out_type=tf.int64)",
    "tf.reshape(x, [3, 2])", "tf.reshape(x, [-1])", "tf.reshape(tensor=x, shape=(1, -1, 3))",
    "tf.reshape(x, tf.shape(y))", "tf.reshape(c, [tf.shape(c)[0], 12])", "tf.reshape(e, [0, 7])",
    "tf.reshape(row, [3])",
    "tf.expand_dims(x, 0)", "tf.expand_dims(x, -1)", "tf.expand_dims(input=x, axis=1)",
    "tf.expand_dims(x, dim=1)", "tf.transpose(x)", "tf.transpose(c, [2, 0, 1])",
    "tf.transpose(a=c, perm=[0, 2, 1], name='swap')", "tf.broadcast_to(v, [2, 3])",
    "tf.concat([x, y], 0)", "tf.concat(values=[x, y, x], axis=-1)", "tf.concat([x], 0)",
    "tf.concat([c, c], 1, name='joined')",
    "x[0]", "x[-1, 1:]", "c[..., 1]", "c[:, ::2, ::-1]", "x[:, tf.newaxis]", "x[1:1]", "c[1, -2:]",
    "v[::-2]", "c[0, ..., None]",
    "tf.fill([2, 2], 7)", "tf.fill(dims=[3], value=s)", "tf.zeros([2, 3])",
    "tf.ones([2], tf.int32)",
    "tf.zeros(shape=[2], dtype=tf.float64, name='o')", "tf.zeros_like(x)", "tf.ones_like(n)",
    "tf.zeros_like(x, dtype=tf.int32)", "tf.ones_like(tensor=x, name='i')",
    "tf.constant([1, 2])", "tf.constant(1.5, shape=[2, 2])", "tf.constant(3, tf.float64)",
    "tf.constant([[1.0, 2.0]], dtype=tf.float32, name='k')", "tf.constant([])",
    "tf.constant(np.arange(3))", "tf.constant(True)", "tf.convert_to_tensor([1.0, 2.0])",
    "tf.convert_to_tensor([s, 1.0])", "tf.placeholder_with_default(x, [None, 3])",
    # ---- variables, control and random numbers
    "tf.Variable([1.0, 2.0]) + 1.0", "tf.assign(tf.Variable(tf.zeros([2, 3])), x)",
    "tf.assign_add(tf.Variable(tf.ones([2, 3])), x)",
    "tf.assign_sub(ref=tf.Variable(tf.ones([2, 3])), value=x)",
    "tf.get_variable('g', [2, 3], initializer=tf.ones_initializer()) * x",
    "tf.get_variable('g', initializer=[1.0, 2.0, 3.0]) * x", "tf.group(tf.identity(x))",
    "tf.no_op()", "tf.assign(tf.Variable([1.0]), [1])", "tf.tuple([x, y])",
    "tf.gradients(x * x, [x], [y])",
    "tf.gradients(x, [x, y], stop_gradients=[y])", "tf.gradients([x * y, y], [x, y])",
    Call("tf.gradients(n, [x])", differs={"error": "integers have no derivative"}), "tf.zeros(3)",
    "tf.ones(2, tf.int32)",
    Call("list(x)", "tf.unstack(x)"),
    *[Call(t, values=False) for t in (
        "tf.random_normal([2, 3])", "tf.random_uniform([2, 3], -1, 1)",
        "tf.truncated_normal([2, 3], stddev=0.1, name='t')",
        "tf.random_normal(shape=[2], mean=1.0, stddev=2.0, dtype=tf.float64, seed=1)",
        "tf.random_uniform([4], maxval=9, dtype=tf.int32)",
        "tf.get_variable('g', [2, 3], initializer=tf.truncated_normal_initializer(stddev=0.1))",
        "tf.get_variable('g', [2, 3], initializer=tf.random_uniform_initializer(-1, 1))",
        "tf.get_variable('g', [2, 3])",
    )],
)  # fmt: skip

ERRORS = rows(
    Bad,
    "tf.reshape(x, [-1, -1])", "tf.transpose(x, [0, 0])", "tf.argmax(e, 0)",
    # What TensorFlow 1 refused and compat.v1 does no longer, or not in these words.
    Bad("tf.argmax(b)", ours="TypeError"), Bad("tf.constant(2**40, tf.int32)", ours="TypeError"),
    Bad("tf.concat(0, [x, y])", ours="TypeError"),
    Bad("tf.nn.softmax(x, axis=2)", ours="ValueError"),
    Bad("tf.nn.softmax_cross_entropy_with_logits(x, x)", ours="ValueError"),
    Bad("tf.nn.sigmoid_cross_entropy_with_logits(x, u)", ours="ValueError"),
    Bad("tf.nn.sparse_softmax_cross_entropy_with_logits(labels=u, logits=x)", ours="TypeError"),
    # What TensorFlow leaves to luck: no check, a message of Python's own, or none at all.
    Bad("tf.gradients(x, x, [v])", ours="ValueError"),
    Bad("tf.constant(1, shape=[None])", ours="ValueError"),
    Bad("tf.zeros([None])", ours="ValueError"),
    Bad("tf.floordiv(n, zero)", ours="InvalidArgumentError"),
    Bad("tf.mod(n, zero)", ours="InvalidArgumentError"),
    "tf.add(x, z)", "tf.add(x, n)", "x + n", "tf.add(b, b)", "tf.subtract(x, 'a')", "x + None",
    "tf.exp(n)", "tf.sqrt(b)", "tf.matmul(x, y)", "tf.matmul(x, n)", "tf.matmul(v, x)",
    "tf.matmul(s, s)", "tf.reshape(x, [4])", "tf.reshape(x, [-1, 4])",
    "tf.reshape(x, [2, -3])", "tf.reshape(x, v)", "tf.reshape(x, [[6]])", "tf.reshape(x, [2**40])",
    "tf.expand_dims(x, 3)", "tf.expand_dims(x, -4)",
    "tf.transpose(x, [0])", "tf.transpose(x, [1, 2])", "tf.broadcast_to(x, [3])",
    "tf.broadcast_to(v, [4])", "tf.concat([x, z], 0)", "tf.concat([x, n], 0)", "tf.concat([], 0)",
    "tf.concat([x, y], 2)", "tf.concat([x, v], 0)", "tf.concat([s, s], 0)",
    "tf.reduce_sum(x, 2)", "tf.reduce_sum(x, [0, -3])", "tf.reduce_sum(b)",
    "tf.reduce_mean(x, 0.5)",
    "tf.reduce_sum(x, axis=0, reduction_indices=0)", "tf.reduce_all(x)", "tf.argmax(x, 2)",
    "tf.argmax(x, axis=1, dimension=1)",
    "tf.where(b, x, z)", "tf.where(x, x, y)", "tf.where(b, x)", "tf.equal(x, n)", "tf.less(b, b)",
    "tf.logical_and(x, y)", "tf.logical_not(n)", "tf.nn.relu(b)", "tf.nn.softmax(s)",
    "tf.nn.softmax(n)", "tf.nn.bias_add(x, w)", "tf.nn.bias_add(v, v)",
    "tf.nn.bias_add(x, x)", "tf.nn.bias_add(x, v, data_format='HWNC')",

    "tf.nn.softmax_cross_entropy_with_logits(labels=z, logits=x)",
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=ids, logits=x)",
    "tf.nn.sparse_softmax_cross_entropy_with_logits(labels=classes + 2, logits=x)",

    "tf.nn.sigmoid_cross_entropy_with_logits(labels=v, logits=x)",

    "tf.constant([1, 2, 3], shape=[2])", "tf.constant(1.5, tf.int32)", "tf.constant([1, [2]])",
    "tf.cast(x, 'nothing')",
    "tf.constant(object())", "tf.zeros([-1])", "tf.fill([-2], 0)",
    "tf.fill(2, 0)", "tf.fill([2], v)", "tf.reshape(x, 6)", "tf.broadcast_to(s, 3)",
    "tf.pow(k, n - 10)", "x[2]", "x[0, 0, 0]", "x[..., ...]", "x[::0]", "x['a']", "s[0]", "x[:, 5]",
    "tf.assign(tf.Variable([1.0]), v)",
    "tf.get_variable('g')", "tf.get_variable('g', [2], initializer=tf.constant([1.0]))",
    "tf.get_variable('g', [2]), tf.get_variable('g', [2])",
    "tf.gradients([x], [x], [])",
    "tf.placeholder('float33')", "tf.placeholder(tf.float32, [2]) + 1.0", "bool(x)", "len(x)",
    "if x > 0:\n    out = x", "tf.random_uniform([2], dtype=tf.int32)",
    "tf.random_normal([2], dtype=tf.int32)", "tf.clip_by_value(x, 0.0, z)",
    "tf.placeholder_with_default(x, [3])", "tf.identity(x, name='a b')", "x.set_shape([3, 3])",
    "tf.convert_to_tensor(x, tf.float64)", "tf.no_op(name='/')",
)  # fmt: skip
