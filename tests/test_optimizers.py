"""Every optimizer over 50 steps against its formula in NumPy; slots, names, rows, checkpoints."""

import numpy as np
import pytest

import gradplan as gp

STEPS = 50
START = np.array([[1.0, -2.0, 3.0], [0.01, 0.5, -0.7]])
GRADS = np.random.default_rng(3).normal(size=(STEPS, 2, 3)) * [[1.0, 0.1, 3.0], [0.0, 1e-3, 1.0]]


def f(x):
    """A hyperparameter as it is rounded to float32 on its way, as in TensorFlow 1."""
    return float(np.float32(x))


def gradient_descent(w, grads, lr):
    for g in grads:
        w = w - f(lr) * g
    return w


def momentum(w, grads, lr, mu, nesterov=False):
    a = 0.0
    for g in grads:
        a = f(mu) * a + g
        w = w - f(lr) * (g + f(mu) * a if nesterov else a)
    return w


def adagrad(w, grads, lr, start=0.1):
    a = np.full_like(w, start)
    for g in grads:
        a = a + g * g
        w = w - f(lr) * g / np.sqrt(a)
    return w


def adadelta(w, grads, lr, rho, epsilon):
    a = u = np.zeros_like(w)
    for g in grads:
        a = f(rho) * a + (1 - f(rho)) * g * g
        step = np.sqrt(u + f(epsilon)) / np.sqrt(a + f(epsilon)) * g
        u = f(rho) * u + (1 - f(rho)) * step * step
        w = w - f(lr) * step
    return w


def rmsprop(w, grads, lr, decay, mu, epsilon, centered):
    ms, mg, mom = np.ones_like(w), np.zeros_like(w), np.zeros_like(w)
    for g in grads:
        ms = f(decay) * ms + (1 - f(decay)) * g * g
        if centered:
            mg = f(decay) * mg + (1 - f(decay)) * g
        mom = f(mu) * mom + f(lr) * g / np.sqrt(ms - mg**2 + f(epsilon))
        w = w - mom
    return w


def adam(w, grads, lr, beta1, beta2, epsilon):
    m = v = np.zeros_like(w)
    power1, power2 = np.float32(beta1), np.float32(beta2)
    for g in grads:
        m = f(beta1) * m + (1 - f(beta1)) * g
        v = f(beta2) * v + (1 - f(beta2)) * g * g
        rate = f(lr) * np.sqrt(1 - float(power2)) / (1 - float(power1))
        w = w - rate * m / (np.sqrt(v) + f(epsilon))
        power1, power2 = power1 * np.float32(beta1), power2 * np.float32(beta2)
    return w


def adam_w(w, grads, decay, lr):
    m = v = np.zeros_like(w)
    power1, power2 = np.float32(0.9), np.float32(0.999)
    for g in grads:
        m = f(0.9) * m + (1 - f(0.9)) * g
        v = f(0.999) * v + (1 - f(0.999)) * g * g
        w = w - f(decay) * w
        rate = f(lr) * np.sqrt(1 - float(power2)) / (1 - float(power1))
        w = w - rate * m / (np.sqrt(v) + f(1e-8))
        power1, power2 = power1 * np.float32(0.9), power2 * np.float32(0.999)
    return w


def lamb(w, grads, lr, decay):
    m = v = np.zeros_like(w)
    power1, power2 = np.float32(0.9), np.float32(0.999)
    for g in grads:
        m = f(0.9) * m + (1 - f(0.9)) * g
        v = f(0.999) * v + (1 - f(0.999)) * g * g
        direction = m / (1 - float(power1)) / (np.sqrt(v / (1 - float(power2))) + f(1e-6))
        r = direction + f(decay) * w
        w = w - f(lr) * np.linalg.norm(w) / np.linalg.norm(r) * r
        power1, power2 = power1 * np.float32(0.9), power2 * np.float32(0.999)
    return w


def ftrl(w, grads, lr, power=-0.5, l1=0.0, l2=0.0, shrinkage=0.0):
    a, z = np.full_like(w, 0.1), np.zeros_like(w)
    for g in grads:
        new = a + g * g
        slope = g + 2 * f(shrinkage) * w
        z = z + slope - (new ** -f(power) - a ** -f(power)) / f(lr) * w
        scale = new ** -f(power) / f(lr) + 2 * f(l2)
        w = np.where(np.abs(z) > f(l1), (np.sign(z) * f(l1) - z) / scale, 0.0)
        a = new
    return w


def proximal(w, grads, lr, l1, l2):
    for g in grads:
        p = w - f(lr) * g
        w = np.sign(p) * np.maximum(np.abs(p) - f(lr) * f(l1), 0) / (1 + f(lr) * f(l2))
    return w


def proximal_adagrad(w, grads, lr, l1, l2):
    a = np.full_like(w, 0.1)
    for g in grads:
        a = a + g * g
        rate = f(lr) / np.sqrt(a)
        p = w - rate * g
        w = np.sign(p) * np.maximum(np.abs(p) - rate * f(l1), 0) / (1 + rate * f(l2))
    return w


T = gp.train
CASES = {
    "sgd": (T.GradientDescentOptimizer, (0.1,), {}, gradient_descent, (0.1,)),
    "momentum": (T.MomentumOptimizer, (0.1, 0.9), {}, momentum, (0.1, 0.9)),
    "nesterov": (
        T.MomentumOptimizer, (0.1, 0.9), {"use_nesterov": True}, momentum, (0.1, 0.9, True)),
    "adagrad": (T.AdagradOptimizer, (0.1,), {}, adagrad, (0.1,)),
    "adagrad-2": (T.AdagradOptimizer, (0.3, 2.0), {}, adagrad, (0.3, 2.0)),
    "adadelta": (T.AdadeltaOptimizer, (1.0, 0.9, 1e-3), {}, adadelta, (1.0, 0.9, 1e-3)),
    "rmsprop": (T.RMSPropOptimizer, (0.01,), {}, rmsprop, (0.01, 0.9, 0.0, 1e-10, False)),
    "rmsprop-2": (
        T.RMSPropOptimizer, (0.01, 0.8, 0.7, 1e-3), {}, rmsprop, (0.01, 0.8, 0.7, 1e-3, False)),
    "centered": (
        T.RMSPropOptimizer, (0.01, 0.8, 0.5, 1e-3), {"centered": True},
        rmsprop, (0.01, 0.8, 0.5, 1e-3, True)),
    "adam": (T.AdamOptimizer, (0.01,), {}, adam, (0.01, 0.9, 0.999, 1e-8)),
    "adamw": (T.AdamWOptimizer, (0.01, 0.1), {}, adam_w, (0.01, 0.1)),
    "lamb": (T.LAMBOptimizer, (0.01,), {}, lamb, (0.01, 0.01)),
    "ftrl": (T.FtrlOptimizer, (0.1,), {}, ftrl, (0.1,)),
    "ftrl-2": (
        T.FtrlOptimizer, (0.1, -0.5, 0.1, 0.3, 0.2),
        {"l2_shrinkage_regularization_strength": 0.01}, ftrl, (0.1, -0.5, 0.3, 0.2, 0.01)),
    "ftrl-power": (T.FtrlOptimizer, (0.1, -0.75), {}, ftrl, (0.1, -0.75)),
    "proximal": (
        T.ProximalGradientDescentOptimizer, (0.1, 0.3, 0.2), {}, proximal, (0.1, 0.3, 0.2)),
    "proximal-adagrad": (
        T.ProximalAdagradOptimizer, (0.1, 0.1, 0.3, 0.2), {}, proximal_adagrad, (0.1, 0.3, 0.2)),
}  # fmt: skip
SLOTS = {
    "momentum": {"momentum": "w/Momentum"},
    "adagrad": {"accumulator": "w/Adagrad"},
    "proximal-adagrad": {"accumulator": "w/ProximalAdagrad"},
    "adadelta": {"accum": "w/Adadelta", "accum_update": "w/Adadelta_1"},
    "rmsprop": {"momentum": "w/RMSProp_1", "rms": "w/RMSProp"},
    "centered": {"mg": "w/RMSProp_1", "momentum": "w/RMSProp_2", "rms": "w/RMSProp"},
    "adam": {"m": "w/Adam", "v": "w/Adam_1"},
    "ftrl": {"accum": "w/Ftrl", "linear": "w/Ftrl_1"},
    "sgd": {},
}
#: Those that change the rows of a gather alone; the others change all.
BY_ROWS = sorted(set(CASES) - {"adam", "adamw", "lamb"})


def make(case):
    optimizer, args, kwargs, _, _ = CASES[case]
    return optimizer(*args, **kwargs)


def train(case, dtype="f8", grads=GRADS, optimise=True):
    gp.reset_default_graph()
    w = gp.Variable(START.astype(dtype), name="w")
    g = gp.placeholder(w.dtype, [2, 3])
    step = make(case).apply_gradients([(g, w)])
    with gp.Session(config=gp.ConfigProto(optimize=optimise)) as sess:
        sess.run(gp.global_variables_initializer())
        for x in grads:
            sess.run(step, {g: x})
        return sess.run(w), sess.plan(step, {g: grads[0]})


@pytest.mark.parametrize("case", CASES)
def test_fifty_steps_follow_the_formula(case):
    formula, args = CASES[case][3:]
    got, plan = train(case)
    np.testing.assert_allclose(got, formula(START, GRADS, *args), rtol=1e-12, atol=1e-13)
    np.testing.assert_array_equal(train(case, optimise=False)[0], got)
    short = train(case, "f4")[0]
    assert short.dtype == np.float32
    np.testing.assert_allclose(short, got, rtol=2e-4, atol=2e-5)
    if case not in ("adam", "adamw", "lamb"):  # these count their steps too
        assert len(plan) == 1


def test_slots_stand_in_the_variable_scope_and_powers_in_the_name_scope(tmp_path):
    def model(partitioner):
        with gp.variable_scope("net"):
            w = gp.get_variable("w", [4, 2], partitioner=partitioner)
        with gp.variable_scope("train"):
            optimizer = gp.train.AdamOptimizer()
            step = gp.train.get_or_create_global_step()
            loss = gp.reduce_sum(gp.square(gp.convert_to_tensor(w)))
            return w, optimizer, optimizer.minimize(loss, step)

    w, optimizer, train = model(None)
    assert train.name == "train/Adam"
    assert [v.op.name for v in gp.global_variables("train")] == [
        *("train/global_step", "train/beta1_power", "train/beta2_power"),
        *("train/net/w/Adam", "train/net/w/Adam_1"),
    ]
    with gp.name_scope("again"):
        gp.train.AdamOptimizer().minimize(gp.reduce_sum(w))
    assert [v.op.name for v in gp.global_variables()[-4:]] == [
        *("again/beta1_power", "again/beta2_power", "net/w/Adam", "net/w/Adam_1"),
    ]
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        sess.run(train)
        kept = sess.run(optimizer.get_slot(w, "m"))
        gp.train.Saver().save(sess, str(tmp_path / "m"))
    with gp.Graph().as_default(), gp.Session() as sess:
        parts, optimizer, _ = model(gp.fixed_size_partitioner(2))
        gp.train.Saver().restore(sess, str(tmp_path / "m"))
        halves = sess.run([optimizer.get_slot(part, "m") for part in parts])
        assert np.array_equal(np.concatenate(halves), kept)


@pytest.mark.parametrize("case", SLOTS)
def test_slots_have_the_names_of_tensorflow_1(case):
    w = gp.Variable(START, name="w")
    optimizer = make(case)
    optimizer.minimize(gp.reduce_sum(w * w))
    assert optimizer.get_slot_names() == sorted(SLOTS[case])
    assert {n: optimizer.get_slot(w, n).op.name for n in SLOTS[case]} == SLOTS[case]
    assert optimizer.get_slot(w, "none") is None
    assert gp.trainable_variables() == [w]


@pytest.mark.parametrize("case", CASES)
def test_gradients_of_rows(case):
    """Rows of a table, one of them twice: as dense steps on these rows, or on all for Adam."""
    formula, args = CASES[case][3:]
    w = gp.Variable(START, name="w")
    rows = gp.placeholder(gp.int32, [None])
    weights = gp.placeholder(gp.float64, [None, 3])
    loss = gp.reduce_sum(gp.nn.embedding_lookup(w, rows) * weights)
    optimizer = make(case)
    pairs = optimizer.compute_gradients(loss)
    assert isinstance(pairs[0][0], gp.IndexedSlices)
    step = optimizer.apply_gradients(pairs)
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for g in GRADS:
            sess.run(step, {rows: [1, 1], weights: np.array([g[1] * 0.25, g[1] * 0.75])})
        got = sess.run(w)
    grads = GRADS * [[0.0], [1.0]]
    want = formula(START, grads, *args)
    if case in BY_ROWS:
        want[0] = START[0]
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


class Own(gp.train.Optimizer):
    """What users write: it must see no index that is none."""

    def __init__(self):
        super().__init__(False, "Own")

    def _apply_sparse(self, grad, var):
        return gp.scatter_sub(var, grad.indices, gp.tanh(grad.values) * 0.1)


@pytest.mark.parametrize("optimize", [True, False], ids=["optimised", "as built"])
@pytest.mark.parametrize("strategy", ["mod", "div"])
@pytest.mark.parametrize("case", ["sgd", "own", *BY_ROWS[::3]])
def test_shards_of_a_table_are_changed_as_one(case, strategy, optimize):
    """By ids that are fewer and more than there are rows, some of them often, some of none of a
    shard; and by one plan, whatever the ids are."""
    rng = np.random.default_rng(5)
    start = rng.normal(size=(7, 2))
    order = [i for p in range(3) for i in range(p, 7, 3)] if strategy == "mod" else range(7)
    table = gp.Variable(start)
    shards = [gp.Variable(x) for x in np.split(start[order], [3, 5])]
    ids = gp.placeholder(gp.int64, [None])
    train = []
    for w in (table, shards):
        rows = gp.nn.embedding_lookup(w, ids, strategy)
        loss = gp.reduce_sum(gp.square(rows - 1.0) * [1.0, 2.0])
        other = {"sgd": gp.train.GradientDescentOptimizer(0.1), "own": Own()}
        train.append((other.get(case) or make(case)).minimize(loss, var_list=w))
    with gp.Session(config=gp.ConfigProto(optimize=optimize)) as sess:
        sess.run(gp.global_variables_initializer())
        step = sess.make_callable(train, [ids])
        for n in (5, 1, 0, 40, 5):
            step(rng.integers(0, 7, n) if n != 1 else [6])
        whole, parts = sess.run([table, shards])
        assert len(step.plans) == 1 or case == "own"
        with pytest.raises(gp.errors.InvalidArgumentError, match=r"7 .* is not in \[0, "):
            step([1, 7])
        assert np.array_equal(sess.run(table), whole)
    assert not np.allclose(whole[6], start[6])
    np.testing.assert_allclose(np.concatenate(parts), whole[order], rtol=1e-12)


def test_gradients_of_rows_that_meet():
    w = gp.Variable(np.ones((4, 2), "f"), name="w")
    a, b = gp.gather(w, [0, 3]), gp.gather(w, gp.constant([[3, 1]], gp.int64))
    sgd = gp.train.GradientDescentOptimizer(1.0)
    ((g, _),) = sgd.compute_gradients(gp.reduce_sum(a) + 2.0 * gp.reduce_sum(b))
    assert isinstance(g, gp.IndexedSlices) and g.shape.as_list() == [4, 2]
    dense = gp.convert_to_tensor(g)
    step = sgd.apply_gradients([(g, w)])
    with gp.Session() as sess:
        sess.run(w.initializer)
        got = sess.run(g)
        assert sorted(got.indices) == [0, 1, 3, 3] and got.dense_shape.tolist() == [4, 2]
        assert sess.run(dense)[:, 0].tolist() == [1.0, 2.0, 0.0, 3.0]
        sess.run(step)
        assert sess.run(w)[:, 1].tolist() == [0.0, -1.0, 1.0, -2.0]
    # Used as a whole as well, the gradient is dense.
    ((g, _),) = sgd.compute_gradients(gp.reduce_sum(a) + gp.reduce_sum(w))
    assert isinstance(g, gp.Tensor)


def test_clipped_gradients_of_rows_stay_so():
    w = gp.Variable(np.ones((4, 2), "f"), name="w")
    momentum = gp.train.MomentumOptimizer(1.0, 0.5)
    ((g, _),) = momentum.compute_gradients(gp.reduce_sum(gp.gather(w, [2, 0, 2])) * 3.0)
    clipped = [
        gp.clip_by_value(g, -1.0, 2.0),
        gp.clip_by_norm(g, 1.0),
        gp.clip_by_global_norm([g, None], 1.0)[0][0],
        -g,
    ]
    norm = gp.global_norm([g])
    with gp.Session() as sess:
        sess.run(w.initializer)
        got = sess.run(clipped)
        unit = 1 / np.sqrt(6)
        for value, want in zip(got, [2.0, unit, unit, -3.0], strict=True):
            assert isinstance(value, gp.IndexedSlicesValue)
            assert value.indices.tolist() == [2, 0, 2]
            np.testing.assert_allclose(value.values, np.full((3, 2), want), rtol=1e-6)
        np.testing.assert_allclose(sess.run(norm), 3 * np.sqrt(6), rtol=1e-6)


def test_wrong_indexed_slices():
    with pytest.raises(ValueError, match="2 values, but 1 indices"):
        gp.IndexedSlices([[1.0], [2.0]], [0])
    with pytest.raises(ValueError, match="rank 1"):
        gp.IndexedSlices([1.0], [[0]])
    with pytest.raises(TypeError, match="no integers"):
        gp.IndexedSlices([1.0], [0.0])
    with pytest.raises(ValueError, match="without dense_shape"):
        gp.convert_to_tensor(gp.IndexedSlices([1.0], [0]))
    w = gp.Variable([1.0, 2.0])
    slices = gp.IndexedSlices([1.0], [gp.placeholder_with_default(2, [])])
    step = gp.train.AdagradOptimizer(0.1).apply_gradients([(slices, w)])
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        with pytest.raises(gp.errors.InvalidArgumentError, match="2"):
            sess.run(step)
        assert sess.run(w).tolist() == [1.0, 2.0]


@pytest.mark.parametrize("case", ["rmsprop-2", "ftrl-2", "adamw", "adadelta"])
def test_training_goes_on_from_a_checkpoint(case, tmp_path):
    whole = train(case)[0]
    gp.reset_default_graph()
    w = gp.Variable(START, name="w")
    g = gp.placeholder(w.dtype, [2, 3])
    step = make(case).apply_gradients([(g, w)])
    saver = gp.train.Saver()
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for x in GRADS[:20]:
            sess.run(step, {g: x})
        path = saver.save(sess, str(tmp_path / "model"))
    with gp.Session() as sess:
        saver.restore(sess, path)
        for x in GRADS[20:]:
            sess.run(step, {g: x})
        np.testing.assert_array_equal(sess.run(w), whole)


@pytest.mark.parametrize("case", CASES)
def test_a_gradient_that_is_the_variable_itself(case):
    """It is read before the variable is written, by rows and columns that differ too."""
    formula, args = CASES[case][3:]
    w = gp.Variable(START[:, :2], name="w")
    step = make(case).apply_gradients([(gp.transpose(w.value()), w)])
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        sess.run(step)
        got = sess.run(w)
    want = formula(START[:, :2], [START[:, :2].T], *args)
    np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-13)


def test_rates_that_are_tensors_functions_or_of_another_type():
    w, v = gp.Variable(1.0), gp.Variable(np.float64(1.0))
    rate = gp.placeholder(gp.float64, [])
    loss = gp.cast(w, gp.float64) * 3.0 + v
    for lr in (rate, lambda: rate):
        step = gp.train.RMSPropOptimizer(lr, decay=0.5, epsilon=0.0).minimize(loss)
        with gp.Session() as sess:
            sess.run(gp.global_variables_initializer())
            sess.run(step, {rate: 0.25})
            got = sess.run([w, v])
        np.testing.assert_allclose(got, [1 - 0.75 / np.sqrt(5), 1 - 0.25], rtol=1e-6)


def test_updates_wait_for_what_they_are_told_to_wait_for():
    mean = gp.Variable(0.0, trainable=False)
    w = gp.Variable(1.0)
    gp.add_to_collection(gp.GraphKeys.UPDATE_OPS, mean.assign(5.0).op)
    with gp.control_dependencies(gp.get_collection(gp.GraphKeys.UPDATE_OPS)):
        adam = gp.train.AdamOptimizer(0.1)
        pairs = adam.compute_gradients(w * w)
        step = adam.apply_gradients(pairs)
    assert not pairs[0][0].op.control_inputs  # it writes nothing, and shall fuse
    assert step in gp.get_collection(gp.GraphKeys.TRAIN_OP)
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        sess.run(step)
        assert sess.run(mean) == 5.0


def test_an_optimizer_of_ones_own():
    class Signs(gp.train.Optimizer):
        def __init__(self, rate):
            super().__init__(False, "Signs")
            self.rate = rate

        def _create_slots(self, var_list):
            for v in var_list:
                self._zeros_slot(v, "count", self._name)

        def _prepare(self):
            self.rate_t = gp.convert_to_tensor(self._call_if_callable(self.rate))

        def _apply_dense(self, grad, var):
            count = self.get_slot(var, "count").assign_add(gp.ones_like(grad))
            return gp.group(gp.assign_sub(var, self.rate_t * gp.sign(grad)).op, count.op)

    w = gp.Variable([1.0, -1.0], name="w")
    optimizer = Signs(0.5)
    step = optimizer.minimize(gp.reduce_sum(gp.gather(w * w, [0, 1, 1])))
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        sess.run(step)
        count = optimizer.get_slot(w, "count")
        assert count.op.name == "w/Signs"
        assert sess.run(w).tolist() == [0.5, -0.5] and sess.run(count).tolist() == [1.0, 1.0]
    with pytest.raises(NotImplementedError, match="Optimizer"):
        gp.train.Optimizer(False, "bare").minimize(w[0])


def test_a_counter_among_the_trainable_variables_is_left_alone():
    """``tf.Variable(0)``, from which most scripts count their steps."""
    step, w = gp.Variable(0, name="step"), gp.Variable(2.0)
    optimizer = gp.train.AdamOptimizer(0.5)
    pairs = optimizer.compute_gradients(w * w * gp.cast(step + 1, gp.float32))
    assert [(g is None, v) for g, v in pairs] == [(True, step), (False, w)]
    train = optimizer.apply_gradients(pairs, global_step=step)
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for _ in range(3):
            sess.run(train)
        assert sess.run(step) == 3 and sess.run(w) < 1.0
    assert optimizer.get_slot(step, "m") is None
    names = [v.name for v in optimizer.variables()]
    assert names == sorted(names) and len(names) == 4


def test_errors():
    w, n = gp.Variable(1.0, name="w"), gp.Variable(1, name="n", trainable=False)
    adam = gp.train.AdamOptimizer()
    for text, error, call in [
        ("must be positive", ValueError, lambda: gp.train.AdagradOptimizer(0.1, 0.0)),
        ("negative or zero", ValueError, lambda: gp.train.FtrlOptimizer(0.1, 0.5)),
        ("positive or zero", ValueError, lambda: gp.train.FtrlOptimizer(0.1, -0.5, -1.0)),
        ("l1_reg", ValueError,
         lambda: gp.train.FtrlOptimizer(0.1, l1_regularization_strength=-1.0)),
        ("must be a tensor", TypeError, lambda: adam.minimize(lambda: w * w)),
        ("gate_gradients", ValueError, lambda: adam.minimize(w * w, gate_gradients=3)),
        ("Invalid type.*n:0", ValueError, lambda: adam.apply_gradients([(1, n)])),
        ("Invalid type.*mul", ValueError, lambda: adam.minimize(n * n, var_list=[w])),
        ("No gradients provided for any variable", ValueError,
         lambda: adam.minimize(w * w, var_list=[n])),
        ("No variables provided", ValueError, lambda: adam.apply_gradients([])),
        (r"No gradients provided for any variable: \['w:0'\]", ValueError,
         lambda: adam.apply_gradients([(None, w)])),
        ("No gradients provided for any variable, check your graph", ValueError,
         lambda: adam.minimize(gp.constant(1.0), var_list=[w])),
        ("Must specify the optimizer name", ValueError, lambda: gp.train.AdamOptimizer(name="")),
        (r"'momentum' has shape \(2,\)", ValueError,
         lambda: gp.train.RMSPropOptimizer(0.1, momentum=[0.1, 0.2]).minimize(w * w)),
    ]:  # fmt: skip
        with pytest.raises(error, match=text):
            call()
