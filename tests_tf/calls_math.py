"""Calls of the remaining elementwise operations, of types, of reductions and of derivatives."""

from table import Bad, Call, rows

TYPES = "uint8 int8 int16 float16 bfloat16"

ZEROS = {"second": "TensorFlow divides by the elements and takes 0 where they are 0"}
MOMENTS = {"second": "TensorFlow takes the mean within the variance for a constant"}
CALLS = rows(
    Call,
    Call("tf.lgamma(p)", tol=1e-4), Call("tf.digamma(p)", tol=1e-4), Call("tf.erfc(x)", tol=1e-4),
    *[Call(f"tf.{f}(p, q)", differs={
        "first": "nothing flows to the first argument, as in TensorFlow before 1.9"})
      for f in ("igamma", "igammac")],
    "tf.zeta(p + 1.0, q)", "tf.polygamma(2.0, p)",
    "tf.betainc(p, q, u)", "tf.truncatediv(n, k)", "tf.truncatemod(n, k)", "tf.truncatemod(x, p)",
    "tf.div_no_nan(x, zeros)", "tf.div_no_nan(x=x, y=p)", "tf.math.xdivy(zeros, x)",
    "tf.math.xlogy(x, p)", "tf.log_sigmoid(x)", "tf.add_n([x, y, x])", "tf.add_n([n, k])",
    Call("tf.accumulate_n([x, y])", differs={"name": "TensorFlow 1's name; it is add_n's in 2"}),
    "tf.scalar_mul(2.0, x)", "tf.conj(x)", "tf.real(x)", "tf.imag(x)",
    "tf.is_non_decreasing(v)", "tf.saturate_cast(x * 100.0, tf.uint8)", "tf.bitcast(v, tf.int32)",
    "tf.to_bfloat16(x)", "tf.math.add(x, y)", "tf.math.reduce_sum(x, 1)", "tf.math.exp(x)",
    "tf.math.log(p)", "tf.math.abs(x)", "tf.math.pow(p, 2.0)", "tf.math.minimum(x, y)",
    "tf.math.add_n([x, y])", "tf.math.argmax(x, 1)", "tf.math.square(x)", "tf.math.sigmoid(x)",
    "tf.math.reduce_logsumexp(x, 1)", "tf.math.softplus(x)", "tf.math.top_k(v, 2)",
    *[f"tf.cast(n, tf.{t})" for t in TYPES.split()],
    *[f"tf.cast(tf.cast(n, tf.{t}), tf.float32)" for t in TYPES.split()],
    *[f"tf.reshape(tf.cast(n, '{t}'), [3, 2])" for t in TYPES.split()],
    *[f"tf.cast(k, tf.{t}) + tf.cast(k, tf.{t})" for t in TYPES.split()[:3]],
    *[f"tf.reduce_sum(tf.cast(k, tf.{t}), 1)" for t in TYPES.split()[:3]],
    "tf.constant([1, 2], tf.uint8)", "tf.constant(1.5, tf.float16)", "tf.zeros([2], tf.int16)",
    "tf.constant([300, 7], tf.int16) * tf.constant([300, 7], tf.int16)",
    "tf.reduce_prod(x)", Call("tf.reduce_prod(zeros, 1)", differs=ZEROS),
    "tf.reduce_prod(c, axis=[0, 2], keepdims=True)",
    "tf.reduce_prod(n, 0)", "tf.math.xlogy(x, p[0])",
    "tf.unsorted_segment_prod(m, rows, 3)", "tf.cumsum(x)",
    "tf.cumsum(x, 1, exclusive=True)", "tf.cumsum(n)",
    "tf.cumsum(c, axis=-1, reverse=True, name='sums')", "tf.cumprod(x, 1)",
    Call("tf.cumprod(zeros, 1)", differs=ZEROS | {"first": ZEROS["second"]}),
    "tf.cumprod(x, axis=0, exclusive=True, reverse=True)", "tf.count_nonzero(zeros)",
    "tf.count_nonzero(zeros, 1, dtype=tf.int32)", "tf.count_nonzero(input_tensor=b, axis=0)",
    "tf.nn.l2_loss(x)", Call("tf.nn.moments(x, [0])", differs=MOMENTS),
    Call("tf.nn.moments(c, axes=[0, 1], keep_dims=True)", differs=MOMENTS),
    "tf.nn.weighted_moments(x, [1], p)", "tf.norm(x)",
    "tf.nn.sufficient_statistics(x, [0])",
    "tf.nn.normalize_moments(2.0, v, p[0] + 9.0, None)", "tf.norm(x, 1, 0)",
    "tf.norm(x, np.inf, axis=1)", "tf.norm(x, ord=3, axis=1)", "tf.norm(tensor=x, axis=1, "
    "keepdims=True)", "tf.norm(m, 'fro', axis=[0, 1])", "tf.norm(m, 'euclidean')",
    "tf.math.reduce_euclidean_norm(x, 1)",
    "tf.arg_max(x, 1)", "tf.arg_min(x, dimension=0)", "tf.argmin(x, dimension=1)",
    # ---- derivatives
    "tf.gradients(x * y, [x, y], grad_ys=[p])", "tf.gradients([x * y, x], x, [None, p])",
    "tf.gradients(x, [x, v, x])", "tf.gradients(x, v, unconnected_gradients='zero')",
    "tf.gradients(tf.cast(tf.cast(x, tf.int32), tf.float32), [x])",
    "tf.gradients(x * y, x, name='g', aggregation_method=tf.AggregationMethod.ADD_N)",
    "tf.hessians(tf.reduce_sum(tf.exp(v)), v)", "tf.hessians(tf.reduce_sum(x * x * x), [x])",
    "tf.hessians(tf.reduce_sum(x * x * v * v), [x, v], name='no')",
    "first = tf.gradients(tf.tanh(x * v) * v, x)[0]\nout = tf.gradients(first, v)",
    "first = tf.gradients(tf.sigmoid(x * v) * v, x)[0]\nout = tf.gradients(first, [x, v])",
    # A fluid's equations: u is a derivative, and its derivatives are part of the loss.
    "p = tf.tanh(x * v)\np = tf.reduce_sum(tf.tanh(p * v), 1)\nu = tf.gradients(p, x)[0]\n"
    "w = -tf.gradients(p, v)[0]\n"
    "out = tf.gradients(u, x)[0] + tf.gradients(u, v)[0] + u * w",
    "u = tf.gradients(tf.tanh(x * v), x)[0]\nu = tf.gradients(u, x)[0]\n"
    "out = tf.gradients(u, x)[0] * v",
    "out = tf.hessians(tf.reduce_sum(x * x * x), [x]), tf.reshape(x, [-1]), tf.while_loop(\n"
    "    lambda k: k < 3, lambda k: k + 1, [0])",
    "@tf.custom_gradient\ndef f(a):\n    return a * a, lambda dy: dy * 7.0\nout = f(x)",
    "with tf.get_default_graph().gradient_override_map({'Relu': 'Identity'}):\n"
    "    out = tf.nn.relu(x)",
    "tf.zeros_like(tf.gradients(tf.reduce_max(ties, 1), ties)[0])",
)  # fmt: skip

ERRORS = rows(
    Bad,
    "tf.add_n([])", "tf.add_n([x, z])", "tf.add_n([x, n])", "tf.truncatediv(x, n)",
    "tf.cumsum(x, 2)", "tf.cumsum(b)", "tf.reduce_prod(x, 3)", "tf.nn.l2_loss(n)", "tf.norm(n)",
    "tf.norm(x, 'no')", "tf.norm(x, axis=[0, 1, 2])", "tf.gradients(x, [x], [y, y])",
    Bad("tf.hessians(x, n)", ours="TypeError"), "tf.saturate_cast(b, tf.int32)",
    "tf.bitcast(x, tf.float64)", Bad("tf.constant(300, tf.uint8)", ours="TypeError"),
    "tf.cast(x, tf.int8) + n",
    "tf.lgamma(n)", "tf.nn.moments(x, [2])", "tf.accumulate_n([])",
)  # fmt: skip
