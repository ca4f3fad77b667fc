"""TensorFlow's names of gradients that are made in another way here; tests_tf has hundreds."""

import numpy as np
import pytest

import gradplan as gp

ENTER = "gradients/{}/Enter_grad/b_acc_3"
ARRAY = "TensorArrayScatter/TensorArrayScatterV3_grad/TensorArrayGatherV3"
#: What is made of x and y, [3, 2], and v, [2]; the names of the gradients with respect to them.
GRADIENTS = {
    "a variable of a loop, and what it takes": (
        lambda x, y, v: gp.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * y), [0, x])[1],
        ["gradients/while/Enter_1_grad/Exit", ENTER.format("while/mul"), None]),
    "a loop in a loop": (
        lambda x, y, v: gp.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, gp.while_loop(
            lambda j, b: j < i, lambda j, b: (j + 1, b * v), [0, a])[1] + y), [0, x])[1],
        ["gradients/while/Enter_1_grad/Exit", ENTER.format("while/add_1"),
         ENTER.format("while/while/mul")]),
    "a branch in a loop": (
        lambda x, y, v: gp.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, gp.cond(
            i < 1, lambda: a * y, lambda: gp.sin(a))), [0, x])[1],
        ["gradients/while/Enter_1_grad/Exit", ENTER.format("while/cond/mul"), None]),
    "an array that a loop fills": (
        lambda x, y, v: gp.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a.write(
            i, x[i] * v)), [0, gp.TensorArray(gp.float32, 0, dynamic_size=True)])[1].stack(),
        [ENTER.format("while/strided_slice"), None, ENTER.format("while/mul")]),
    "rows": (
        lambda x, y, v: gp.map_fn(lambda r: r[0] * r[1] * v, (x, y), gp.float32),
        [f"gradients/map/TensorArrayUnstack/{ARRAY}", f"gradients/map/TensorArrayUnstack_1/{ARRAY}",
         ENTER.format("map/while/mul_1")]),
    "the first of a fold": (
        lambda x, y, v: gp.foldl(lambda a, r: a * r, x, v),
        [f"gradients/foldl/TensorArrayUnstack/{ARRAY}", None,
         "gradients/foldl/while/Enter_2_grad/Exit"]),
    "branches": (
        lambda x, y, v: gp.cond(v[0] > 0.0, lambda: x * y, lambda: gp.sin(x)),
        ["gradients/AddN", "gradients/cond/mul/Switch_1_grad/cond_grad", None]),
    "sums inside come first": (
        lambda x, y, v: gp.cond(v[0] > 0.0, lambda: x * x, lambda: gp.sin(x)),
        ["gradients/AddN_1", None, None]),
    "an array": (
        lambda x, y, v: gp.TensorArray(gp.float32, 3).unstack(x).stack(),
        [f"gradients/TensorArrayUnstack/{ARRAY}", None, None]),
    "one operation of several sums": (
        lambda x, y, v: gp.sort(gp.segment_mean(x, [0, 0, 1]) * v, name="s"),
        ["gradients/SegmentMean_grad/GatherV2", None, "gradients/mul_grad/Reshape"]),
    "a function that adds up": (
        lambda x, y, v: gp.nn.fused_batch_norm(gp.reshape(x, [1, 3, 1, 2]), v, v * 2.0)[0],
        ["gradients/Reshape_grad/Reshape", None, "gradients/AddN"]),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_names(name):
    make, want = GRADIENTS[name]
    rng = np.random.default_rng(0)
    x, y, v = (gp.constant(rng.random(s, np.float32)) for s in ([3, 2], [3, 2], [2]))
    found = gp.gradients(make(x, y, v), [x, y, v])
    assert [g if g is None else g.op.name for g in found] == want
    gp.Session().run([g for g in found if g is not None])


def test_rows_of_a_loop():
    x = gp.get_variable("x", [3, 2])
    y = gp.map_fn(lambda i: gp.gather(x, i), gp.constant([0, 2]), gp.float32)
    (g,) = gp.gradients(y, x)
    assert isinstance(g, gp.IndexedSlices)
    assert g.name == "gradients/map/while/GatherV2/Enter_grad/b_acc_8:0"


def test_hessians_and_what_follows_have_tensorflows_names():
    x = gp.placeholder(gp.float32, [2, 3], "x")
    (h,) = gp.hessians(gp.reduce_sum(x * x * x), [x])
    (third,) = gp.gradients(h, x)
    (again,) = gp.hessians(gp.reduce_sum(x * x), x, name="not used")
    names = [t.op.name for t in (h, third, again, gp.reshape(x, [-1]))]
    assert names == ["Reshape_1", "gradients_1/AddN_2", "Reshape_3", "Reshape_4"]
    at = np.arange(6.0).reshape(2, 3)
    with gp.Session() as sess:
        np.testing.assert_allclose(sess.run(h, {x: at}).reshape(6, 6), np.diag(6 * at.ravel()))
        np.testing.assert_allclose(sess.run(third, {x: at}), np.full((2, 3), 6.0))


def test_results_in_a_scope_of_their_own():
    x = gp.placeholder(gp.float32, [2, 3], "x")
    rows = gp.batch_gather(x, [[0], [1]])
    (dx,) = gp.gradients(rows, x)
    assert rows.op.name == "BatchGather/Reshape_3"
    assert dx.op.name == "gradients/BatchGather/Reshape_2_grad/Reshape"
    assert gp.batch_gather(x, [[0], [1]], name="k").op.name == "k/Reshape_3"
    known = gp.sparse_reorder(gp.SparseTensor([[1, 0], [0, 1]], [1.0, 2.0], [2, 2]))
    unknown = gp.sparse_reorder(gp.sparse_placeholder(gp.float32))
    assert known.dense_shape.op.name == "SparseTensor_1/dense_shape"
    assert unknown.dense_shape.op.name == "Identity"
