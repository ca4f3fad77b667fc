"""Optimizers step by step against their formulas, and training that goes on bit for bit."""

import os

import numpy as np
import pytest

import gradplan as gp

GRADS = [np.array([0.3, -1.5, 0.0]), np.array([2.0, 0.1, -0.4]), np.array([-0.7, 0.9, 1e-3])]


def run_steps(optimizer, dtype, steps=6):
    """The values of a variable of three elements after each step with the gradients above."""
    v = gp.Variable(np.array([1.0, -2.0, 3.0], dtype), name="v")
    g = gp.placeholder(v.dtype, [3])
    step = gp.Session()
    apply = optimizer.apply_gradients([(g, v)])
    step.run(gp.global_variables_initializer())
    out = []
    for i in range(steps):
        step.run(apply, {g: GRADS[i % 3]})
        out.append(step.run(v))
    return out


def gradient_descent(lr):
    v = np.array([1.0, -2.0, 3.0])
    for i in range(6):
        v = v - lr * GRADS[i % 3]
        yield v


def momentum(lr, mu, nesterov):
    v, accum = np.array([1.0, -2.0, 3.0]), np.zeros(3)
    for i in range(6):
        g = GRADS[i % 3]
        accum = mu * accum + g
        v = v - lr * (g + mu * accum if nesterov else accum)
        yield v


def adam(lr, beta1, beta2, epsilon):
    v, m, s = np.array([1.0, -2.0, 3.0]), np.zeros(3), np.zeros(3)
    for t in range(1, 7):
        g = GRADS[(t - 1) % 3]
        m = beta1 * m + (1 - beta1) * g
        s = beta2 * s + (1 - beta2) * g * g
        v = v - lr * np.sqrt(1 - beta2**t) / (1 - beta1**t) * m / (np.sqrt(s) + epsilon)
        yield v


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize(
    ("make", "want"),
    [
        (lambda: gp.train.GradientDescentOptimizer(0.1), lambda: gradient_descent(0.1)),
        (lambda: gp.train.MomentumOptimizer(0.1, 0.9), lambda: momentum(0.1, 0.9, False)),
        (lambda: gp.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True), lambda: momentum(0.1,
        0.9, True)), (lambda: gp.train.AdamOptimizer(0.01), lambda: adam(0.01, 0.9, 0.999, 1e-8)),
        (lambda: gp.train.AdamOptimizer(0.1, 0.8, 0.9, 1e-3), lambda: adam(0.1, 0.8, 0.9, 1e-3)),
    ],
    ids=["sgd", "momentum", "nesterov", "adam", "adam-2"],
)  # fmt: skip
def test_optimizers_follow_their_formula(make, want, dtype):
    for got, wanted in zip(run_steps(make(), dtype), want(), strict=True):
        assert got.dtype == dtype
        # Hyperparameters are float32, as in TensorFlow 1.
        np.testing.assert_allclose(got, wanted, rtol=2e-6, atol=1e-7)


def test_a_tensor_as_learning_rate():
    rate = gp.placeholder(gp.float32, [])
    w = gp.Variable(1.0)
    step = gp.train.GradientDescentOptimizer(rate).minimize(gp.square(w))
    sess = gp.Session()
    sess.run(w.initializer)
    sess.run(step, {rate: 0.25})
    assert sess.run(w) == 0.5


def test_global_step_and_var_list():
    a, b = gp.Variable(1.0, name="a"), gp.Variable(1.0, name="b")
    count = gp.train.get_or_create_global_step()
    step = gp.train.GradientDescentOptimizer(0.5).minimize(a * a + b * b, count, var_list=[b])
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    for _ in range(3):
        sess.run(step)
    assert sess.run([a, b, count]) == [1.0, 0.0, 3]
    assert gp.train.get_global_step() is count


def test_slots_have_the_names_of_tensorflow_1():
    with gp.variable_scope("layer"):
        w = gp.get_variable("w", [2])
    for make in (gp.train.AdamOptimizer, lambda: gp.train.MomentumOptimizer(0.1, 0.9)):
        make().minimize(gp.reduce_sum(w))
    assert [v.op.name for v in gp.global_variables()] == [
        "layer/w",
        "beta1_power",
        "beta2_power",
        "layer/w/Adam",
        "layer/w/Adam_1",
        "layer/w/Momentum",
    ]
    assert [v.op.name for v in gp.trainable_variables()] == ["layer/w"]


def test_two_optimizers_on_one_variable():
    w = gp.Variable([1.0, 2.0], name="w")
    one = gp.train.AdamOptimizer(0.1).minimize(gp.reduce_sum(w * w))
    two = gp.train.AdamOptimizer(0.1).minimize(gp.reduce_sum(w))
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    sess.run(one)
    sess.run(two)
    assert len({v.name for v in gp.global_variables()}) == len(gp.global_variables()) == 9


def test_errors_of_optimizers():
    w = gp.Variable(1.0)
    frozen = gp.Variable(1.0, trainable=False)
    sgd = gp.train.GradientDescentOptimizer(0.1)
    with pytest.raises(ValueError, match="No gradients provided for any variable"):
        sgd.minimize(frozen * 2.0)
    with pytest.raises(ValueError, match="No variables"):
        sgd.apply_gradients([])
    with pytest.raises(TypeError, match="not a variable"):
        sgd.minimize(w * 2.0, var_list=[w.value()])
    with pytest.raises(ValueError, match=r"'grad' has shape \(2,\)"):
        sgd.apply_gradients([(gp.zeros([2]), w)])
    gp.reset_default_graph()
    with pytest.raises(ValueError, match="No variables to optimize"):
        gp.train.AdamOptimizer().minimize(gp.constant(1.0))


def build(seed=3):
    """A small network with noise: returns a function that trains some steps, and its parts."""
    gp.reset_default_graph()
    gp.set_random_seed(seed)
    x = gp.placeholder(gp.float32, [None, 5])
    noisy = x + gp.random_normal(gp.shape(x), stddev=0.1)
    h = gp.nn.tanh(gp.matmul(noisy, gp.get_variable("w", [5, 8])) + gp.get_variable("b", [8]))
    loss = gp.reduce_mean(gp.square(gp.matmul(h, gp.get_variable("v", [8, 1])) - 1.0))
    count = gp.train.get_or_create_global_step()
    step = gp.train.AdamOptimizer(0.01).minimize(loss, count)
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    data = np.random.default_rng(0).normal(size=(50, 7, 5)).astype("f")

    def train(n):
        return [float(sess.run([loss, step], {x: data[int(sess.run(count))]})[0]) for _ in range(n)]

    return sess, train, count


def test_training_resumed_from_a_checkpoint_goes_on_bit_for_bit(tmp_path):
    sess, train, count = build()
    whole = train(30)
    sess, train, count = build()
    first = train(12)
    path = gp.train.Saver().save(sess, str(tmp_path / "model"), count)
    assert path == str(tmp_path / "model-12") and os.path.exists(path + ".npz")
    sess, train, count = build(seed=99)
    gp.train.Saver().restore(sess, gp.train.latest_checkpoint(str(tmp_path)))
    assert first + train(18) == whole


def test_the_same_program_gives_the_same_bits():
    runs = []
    for _ in range(2):
        _, train, _ = build()
        runs.append(train(20))
    assert runs[0] == runs[1]
    _, train, _ = build(seed=4)
    assert train(20) != runs[0]


def test_optimised_training_equals_unoptimised():
    losses = []
    for optimise in (True, False):
        gp.reset_default_graph()
        gp.set_random_seed(1)
        x = gp.placeholder(gp.float32, [None, 4])
        h = x
        for i, n in enumerate((6, 3)):
            w = gp.get_variable(f"w{i}", [h.shape[1].value, n])
            h = gp.nn.relu(gp.matmul(h, w) + gp.get_variable(f"b{i}", [n]))
        loss = gp.reduce_mean(
            gp.nn.softmax_cross_entropy_with_logits(labels=h * 0.0 + 0.3, logits=h)
        )
        step = gp.train.MomentumOptimizer(0.1, 0.9).minimize(loss)
        sess = gp.Session(config=gp.ConfigProto(optimize=optimise))
        sess.run(gp.global_variables_initializer())
        data = np.random.default_rng(1).normal(size=(9, 4)).astype("f")
        losses.append([float(sess.run([loss, step], {x: data})[0]) for _ in range(10)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-6)


def test_savers_choose_and_rename(tmp_path):
    a, b = gp.Variable(1.0, name="a"), gp.Variable(2.0, name="b")
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    path = gp.train.Saver({"other": a}).save(sess, str(tmp_path / "named"))
    with np.load(path + ".npz") as file:
        assert file.files == ["other"] and file["other"] == 1.0
    a.load(5.0, sess)
    gp.train.Saver({"other": b}).restore(sess, path)
    assert sess.run([a, b]) == [5.0, 1.0]
    with pytest.raises(gp.errors.NotFoundError, match="'a'"):
        gp.train.Saver([a]).restore(sess, path)
    later = gp.train.Saver()
    c = gp.Variable(3.0, name="c")
    sess.run(c.initializer)
    with np.load(later.save(sess, str(tmp_path / "all")) + ".npz") as file:
        assert sorted(file.files) == ["a", "b"]
    for bad in ([], {}):
        with pytest.raises(ValueError, match="No variables to save"):
            gp.train.Saver(bad)
    with pytest.raises(TypeError, match="must hold Variables"):
        gp.train.Saver([gp.constant(1.0)])


def test_old_checkpoints_are_deleted(tmp_path):
    v = gp.Variable(1.0, name="v")
    sess = gp.Session()
    sess.run(v.initializer)
    saver = gp.train.Saver(max_to_keep=2)
    for i in range(5):
        v.load(float(i), sess)
        saver.save(sess, str(tmp_path / "m"), global_step=i)
    assert sorted(p.name for p in tmp_path.glob("*.npz")) == ["m-3.npz", "m-4.npz"]
    assert saver.last_checkpoints == [str(tmp_path / "m-3"), str(tmp_path / "m-4")]
    state = gp.train.get_checkpoint_state(str(tmp_path))
    assert state.model_checkpoint_path == gp.train.latest_checkpoint(str(tmp_path))
    keeps_all = gp.train.Saver(max_to_keep=None)
    for i in range(10, 18):
        keeps_all.save(sess, str(tmp_path / "m"), global_step=i)
    assert len(list(tmp_path.glob("*.npz"))) == 10


def test_a_refused_checkpoint_changes_no_variable(tmp_path):
    a, b = gp.Variable([1.0, 2.0], name="a"), gp.Variable(3, name="b")
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    saver = gp.train.Saver()
    np.savez(tmp_path / "shape.npz", a=np.zeros(2, "f"), b=np.zeros(2, "i4"))
    np.savez(tmp_path / "dtype.npz", a=np.zeros(2, "f"), b=np.float32(0))
    np.savez(tmp_path / "missing.npz", a=np.zeros(2, "f"))
    (tmp_path / "text.npz").write_text("no checkpoint")
    for name, error in [
        ("shape", gp.errors.InvalidArgumentError),
        ("dtype", gp.errors.InvalidArgumentError),
        ("missing", gp.errors.NotFoundError),
        ("text", gp.errors.DataLossError),
        ("absent", gp.errors.NotFoundError),
    ]:
        with pytest.raises(error):
            saver.restore(sess, str(tmp_path / name))
    with pytest.raises(ValueError, match="None"):
        saver.restore(sess, None)
    with pytest.raises(ValueError, match="doesn't exist"):
        saver.save(sess, str(tmp_path / "nowhere" / "m"))
    values = sess.run([a, b])
    assert values[0].tolist() == [1.0, 2.0] and values[1] == 3


def test_names_of_gradients_slots_and_numbers():
    x = gp.placeholder(gp.float32, [None, 3])
    w, b = gp.get_variable("w", [3, 4]), gp.get_variable("b", [4])
    loss = gp.reduce_mean(gp.square(gp.matmul(x, w) + b))
    plain = gp.gradients(loss, [w, b, loss])
    assert [g.name for g in plain] == [
        "gradients/MatMul_grad/MatMul_1:0",
        "gradients/add_grad/Reshape:0",
        "gradients/grad_ys_0:0",
    ]
    optimizer = gp.train.AdamOptimizer()
    pairs = optimizer.compute_gradients(loss)
    assert [g.name for g, _ in pairs] == [
        "gradients_1/MatMul_grad/tuple/control_dependency_1:0",
        "gradients_1/add_grad/tuple/control_dependency_1:0",
    ]
    optimizer.apply_gradients(pairs)
    graph = gp.get_default_graph()
    for name in (
        "gradients/Square_grad/Mul_1",
        "gradients/Mean_grad/truediv",
        "w/Initializer/random_uniform/sub",
        "w/Adam/Initializer/zeros",
        "Adam/learning_rate",
        "Adam/beta1",
        "Adam/update_w/ApplyAdam",
    ):
        assert graph.get_operation_by_name(name).name == name
    names = [o.name for o in graph.get_operations()]
    assert len(set(names)) == len(names)
    with gp.Session() as sess:  # the names cost no instruction
        sess.run(gp.global_variables_initializer())
        runs = [sess.make_callable(list(g), [x]) for g in (plain[:2], [g for g, _ in pairs])]
        values = [run(np.ones((2, 3), np.float32)) for run in runs]
        assert len(runs[0].plan) == len(runs[1].plan)
    for one, other in zip(*values, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_name_that_is_taken_changes_places():
    graph = gp.get_default_graph()
    a, b = gp.constant(1.0, name="a").op, gp.constant(2.0, name="b").op
    graph.rename(b, "a")
    assert (b.name, a.name) == ("a", "b")
    assert graph.get_operation_by_name("a") is b and graph.get_operation_by_name("b") is a
    graph.rename(b, "a")
    graph.rename(b, "c")
    assert graph.get_operation_by_name("c") is b and gp.constant(1.0, name="c").op.name == "c_1"
    with pytest.raises(KeyError):
        graph.get_operation_by_name("a")
