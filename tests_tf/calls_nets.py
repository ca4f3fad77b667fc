"""Calls of convolutions, pools, normalisations, losses, initializers and random numbers."""

from table import Bad, Call, rows

CONV = "tf.nn.conv2d(image, filters, {})"
POOL = "tf.nn.{}_pool(image, [1, 2, 3, 1], {})"
LOSSES = (
    "absolute_difference hinge_loss huber_loss log_loss mean_squared_error sigmoid_cross_entropy"
)
#: The argument orders of the losses: hinge and cross-entropies call the second one logits.
ARGS = dict.fromkeys(LOSSES.split(), "u, p") | {"log_loss": "u, prob"}
REDUCTIONS = "NONE SUM MEAN SUM_OVER_BATCH_SIZE SUM_OVER_NONZERO_WEIGHTS SUM_BY_NONZERO_WEIGHTS"
INITIALIZERS = "random_normal random_uniform truncated_normal uniform_unit_scaling orthogonal"
INITIALIZERS += " variance_scaling glorot_uniform glorot_normal"

CALLS = rows(
    Call,
    # ---- convolutions
    CONV.format("[1, 1, 1, 1], 'SAME'"), CONV.format("[1, 2, 2, 1], 'VALID'"),
    CONV.format("strides=[1, 2, 1, 1], padding='SAME', name='c'"), CONV.format("1, 'VALID'"),
    CONV.format("[1, 1, 1, 1], 'VALID', dilations=[1, 2, 2, 1]"),
    CONV.format("[1, 1, 1, 1], [[0, 0], [1, 2], [0, 1], [0, 0]]"),
    "tf.nn.conv2d(input=image, filter=filters[:1, :1], strides=[1, 1, 1, 1], padding='SAME')",
    "tf.nn.conv2d_backprop_input([2, 6, 5, 3], filters, tf.ones([2, 3, 3, 4]), "
    "[1, 2, 2, 1], 'SAME')",
    "tf.nn.conv2d_backprop_filter(image, [3, 2, 3, 4], tf.ones([2, 4, 4, 4]), "
    "[1, 1, 1, 1], 'VALID')",
    "tf.nn.depthwise_conv2d(image, depth, [1, 1, 1, 1], 'SAME')",
    "tf.nn.depthwise_conv2d_native(image, depth, [1, 2, 2, 1], 'VALID')",
    "tf.nn.separable_conv2d(image, depth, tf.ones([1, 1, 6, 4]), [1, 1, 1, 1], 'SAME')",
    "tf.nn.conv2d_transpose(tf.ones([2, 3, 3, 4]), filters, [2, 6, 5, 3], [1, 2, 2, 1])",
    "tf.nn.conv1d(signal, filters[0], 2, 'SAME')", "tf.nn.conv1d(value=signal, filters=filters[0], "
    "stride=1, padding='VALID')",
    "tf.nn.conv1d_transpose(tf.ones([2, 5, 4]), filters[0], [2, 9, 3], 2)",
    "tf.nn.atrous_conv2d(image, filters, 2, 'SAME')", "tf.nn.convolution(image, filters, 'VALID')",
    "tf.nn.conv3d(volume, tf.ones([2, 2, 2, 2, 3]), [1, 1, 1, 1, 1], 'SAME')",
    "tf.nn.convolution(input=signal, filter=filters[0], padding='SAME', strides=[2])",
    # ---- pools
    *[POOL.format(f, a) for f in ("max", "avg") for a in (
        "[1, 2, 2, 1], 'SAME'", "[1, 1, 1, 1], 'VALID'",
        "strides=[1, 2, 3, 1], padding='SAME', name='p'")],
    "tf.nn.max_pool(value=image, ksize=[1, 2, 2, 1], strides=[1, 2, 2, 1], padding='VALID')",
    "tf.nn.pool(image, [2, 2], 'MAX', 'SAME')",
    "tf.nn.pool(image, [2, 2], 'AVG', 'VALID', strides=[2, 2])",
    "tf.nn.max_pool_with_argmax(image, [1, 2, 2, 1], [1, 2, 2, 1], 'SAME')",
    # ---- normalisation
    "tf.nn.lrn(image)", "tf.nn.local_response_normalization(input=image, depth_radius=1, bias=2.0, "
    "alpha=0.5, beta=0.75)", "tf.nn.batch_normalization(x, v, p[0], None, None, 1e-3)",
    "tf.nn.batch_normalization(x=x, mean=v, variance=p[0], offset=v, scale=p[1], "
    "variance_epsilon=0.01, name='bn')",
    "tf.nn.batch_normalization(x, v, 2.0, None, None, 1e-3)",
    "tf.nn.batch_normalization(x, 0.5, 2.0, 1.0, 3.0, 1e-3)",
    "tf.nn.batch_normalization(x, np.float32([1.0, 2.0]), np.float32([1.0, 2.0]), v, None, 1e-3)",
    "tf.nn.batch_normalization(tf.cast(x, tf.float64), 0.5, 2.0, None, 3.0, 1e-3)",
    "tf.nn.batch_normalization(x, v, p[0], v, p[1], v[0])",
    Call("tf.nn.fused_batch_norm(image, p[0], v)[0]", tol=2e-4),
    # TensorFlow lets nothing flow through the statistics.
    "[tf.stop_gradient(t) for t in tf.nn.fused_batch_norm(image, p[0], v)[1:3]]",
    Call("tf.nn.fused_batch_norm(image, p[0], v, mean=tf.stop_gradient(v), "
         "variance=tf.stop_gradient(p[1]), is_training=False)[0]", tol=2e-4),
    "tf.nn.batch_norm_with_global_normalization(image, v, p[0], v, p[1], 1e-3, True)",
    "tf.nn.l2_normalize(x, 1)", "tf.nn.l2_normalize(x=x, dim=0, epsilon=1e-3)",
    "tf.nn.bias_add(tf.transpose(image, [0, 3, 1, 2]), v, 'NCHW')",
    # ---- layers and clips
    "tf.nn.xw_plus_b(x, z, w)", "tf.nn.relu_layer(x, z, w)", "tf.nn.zero_fraction(zeros)",
    Call("tf.nn.swish(x)", differs={"name": "TensorFlow's stands under its custom gradient"}),
    "tf.nn.relu6(x * 9.0)", "tf.clip_by_norm(x, 0.5)", "tf.clip_by_norm(x, 99.0)",
    "tf.clip_by_norm(t=x, clip_norm=1.0, axes=[1], name='cn')", "tf.clip_by_average_norm(x, 0.1)",
    "tf.clip_by_global_norm([x, y], 1.0)",
    "tf.clip_by_global_norm(t_list=[x, None], clip_norm=9.0)",
    "tf.global_norm([x, y])", "tf.nn.dropout(x, 1.0)", "tf.nn.dropout(x, rate=0.0)",
    Call("tf.nn.dropout(x, keep_prob=0.5)", values=False),
    Call("tf.nn.dropout(x, rate=0.5)", values=False),
    Call("tf.nn.dropout(c, 0.5, noise_shape=[2, 1, 4], seed=1, name='d')", values=False),
    # ---- losses
    "tf.nn.weighted_cross_entropy_with_logits(u, x, 2.0)", "tf.nn.log_poisson_loss(p, x)",
    "tf.nn.weighted_cross_entropy_with_logits(targets=u, logits=x, pos_weight=0.5)",
    "tf.nn.log_poisson_loss(targets=p, log_input=x, compute_full_loss=True)",
    *[f"tf.losses.{f}({ARGS[f]})" for f in LOSSES.split()],
    *[f"tf.losses.{f}({ARGS[f]}, weights=column, scope='l')" for f in LOSSES.split()],
    *[f"tf.losses.mean_squared_error(u, p, zeros, reduction=tf.losses.Reduction.{r})"
      for r in REDUCTIONS.split()],
    "tf.losses.mean_squared_error(labels=u, predictions=p)",
    "tf.losses.huber_loss(u, p, delta=0.5)",
    "tf.losses.cosine_distance(u, p, axis=1)", "tf.losses.cosine_distance(u, p, dim=1)",
    "tf.losses.mean_pairwise_squared_error(u, p)", "tf.losses.softmax_cross_entropy(prob, x)",
    "tf.losses.softmax_cross_entropy(onehot_labels=prob, logits=x, weights=2.0, "
    "label_smoothing=0.1)",
    "tf.losses.sparse_softmax_cross_entropy(classes, x)",
    "tf.losses.sparse_softmax_cross_entropy(labels=classes, logits=x, weights=column[:, 0])",
    "tf.losses.sigmoid_cross_entropy(b, x, label_smoothing=0.2)",
    "tf.losses.compute_weighted_loss(x, 0.5)", "tf.losses.compute_weighted_loss(x, column)",
    "tf.losses.mean_squared_error(u, p); out = tf.losses.get_losses(), tf.losses.get_total_loss()",
    "tf.losses.add_loss(s); out = tf.losses.get_total_loss(add_regularization_losses=False)",
    "out = tf.losses.get_regularization_loss()",
    *[Call(f"tf.nn.{f}(z, v, at[:, :1], tf.ones([2, 4]), 2, 3)", values=False)
      for f in ("nce_loss", "sampled_softmax_loss")],
    *[Call(t, values=False) for t in (
        "tf.nn.log_uniform_candidate_sampler(tf.cast(at, tf.int64), 2, 3, True, 9)",
        "tf.nn.uniform_candidate_sampler(tf.cast(at, tf.int64), 2, 3, False, 9)",
        # ---- random numbers and initializers
        "tf.random_gamma([2], p)", "tf.random_gamma(shape=[2], alpha=1.5, beta=v)",
        "tf.random_poisson(p, [2])", "tf.multinomial(x, 5)",
        "tf.multinomial(logits=x, num_samples=2, "
        "seed=1, output_dtype=tf.int32)", "tf.random.categorical(x, 4)", "tf.random_shuffle(x)",
        "tf.random_crop(x, [1, 2])", "tf.random_uniform([4], 0, 9, tf.int64)",
        "tf.random_normal(tf.shape(x))", "tf.random_uniform([tf.shape(x)[0], 2])",
        *[f"tf.random.{f}([2, 3])" for f in "normal uniform truncated_normal".split()],
        "tf.random.shuffle(x)", "tf.random.gamma([2], 1.5)", "tf.random.poisson(p, [2])",
        "tf.random.multinomial(x, 2)",
        *[f"tf.get_variable('g', [4, 3], initializer=tf.{f}_initializer())"
          for f in INITIALIZERS.split()],
        *[f"tf.get_variable('g', [4, 3], initializer=tf.initializers.{f}())"
          for f in "he_normal he_uniform lecun_normal lecun_uniform".split()],
    )],
    "tf.get_variable('g', [2, 3], initializer=tf.constant_initializer([1.0, 2.0, 3.0] * 2)) * x",
    "tf.get_variable('g', [3, 3], initializer=tf.initializers.identity(2.0)) * v",
    "tf.get_variable('g', [2], initializer=tf.initializers.constant(0.5, dtype=tf.float32))",
    "tf.initializers.zeros()([2, 2])", "tf.ones_initializer(dtype=tf.float64)([2])",
)  # fmt: skip

ERRORS = rows(
    Bad,
    CONV.format("[1, 1, 1, 1], 'NONE'"), CONV.format("[1, 0, 1, 1], 'SAME'"),
    Bad(CONV.format("[2, 1, 1, 1], 'SAME'"), ours="ValueError"), CONV.format("[1, 1, 1], 'SAME'"),
    "tf.nn.conv2d(image, filters[:, :, :2], [1, 1, 1, 1], 'SAME')",
    "tf.nn.conv2d(x, filters, [1, 1, 1, 1], 'SAME')",
    "tf.nn.conv2d(image, x, [1, 1, 1, 1], 'SAME')",
    "tf.nn.conv2d(image, tf.ones([9, 9, 3, 1]), [1, 1, 1, 1], 'VALID')",
    "tf.nn.conv2d_transpose(tf.ones([2, 3, 3, 4]), filters, [2, 9, 5, 3], [1, 2, 2, 1])",
    "tf.nn.max_pool(image, [1, 0, 2, 1], [1, 1, 1, 1], 'SAME')",
    "tf.nn.max_pool(image, [1, 2, 2, 1], [1, 0, 1, 1], 'SAME')",
    "tf.nn.max_pool(image, [1, 9, 9, 1], [1, 1, 1, 1], 'VALID')",
    "tf.nn.avg_pool(x, [1, 2, 2, 1], [1, 1, 1, 1], 'VALID')", "tf.nn.lrn(x)",
    "tf.nn.fused_batch_norm(image, x, v)", "tf.nn.dropout(x, 0.0)", "tf.nn.dropout(x, 1.5)",
    "tf.nn.dropout(x, rate=-0.1)", "tf.nn.dropout(n, 0.5)", "tf.nn.dropout(x)",
    "tf.clip_by_global_norm(x, 1.0)", "tf.losses.mean_squared_error(u, z)",
    "tf.losses.mean_squared_error(u, None)", "tf.losses.mean_squared_error(u, p, weights=w)",
    "tf.losses.mean_squared_error(u, p, reduction='no')", "tf.losses.softmax_cross_entropy(x, z)",
    "tf.losses.cosine_distance(u, p)", "tf.losses.get_total_loss()",
    "tf.nn.weighted_cross_entropy_with_logits(targets=v, logits=z, pos_weight=1.0)",
    "tf.multinomial(v, 2)", "tf.multinomial(x, -1)", "tf.random_crop(x, [3, 3])",
    "tf.random_gamma([2], n)", "tf.random_uniform([2], 5, 5, tf.int32)",
    "tf.get_variable('g', [3], initializer=tf.orthogonal_initializer())",
    "tf.variance_scaling_initializer(scale=-1.0)", "tf.variance_scaling_initializer(mode='no')",
)  # fmt: skip
