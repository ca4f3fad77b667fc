"""Arguments, names and errors as TensorFlow 1's; ``make test-tf`` compares all of them."""

import numpy as np
import pytest

import gradplan as gp

x = np.float32([[1, 2, 2], [3, 0, 3]])


@pytest.mark.parametrize(
    "call, old, new",
    [
        (lambda: gp.reduce_sum(x, axis=0, reduction_indices=0), "reduction_indices", "axis"),
        (lambda: gp.reduce_max(x, 0, keepdims=True, keep_dims=True), "keep_dims", "keepdims"),
        (lambda: gp.argmax(x, axis=1, dimension=1), "dimension", "axis"),
        (lambda: gp.argmin(x, axis=1, dimension=1), "dimension", "axis"),
        (lambda: gp.expand_dims(x, 1, dim=1), "dim", "axis"),
        (lambda: gp.nn.softmax(x, axis=1, dim=1), "dim", "axis"),
        (
            lambda: gp.nn.softmax_cross_entropy_with_logits_v2(labels=x, logits=x, axis=1, dim=1),
            "dim",
            "axis",
        ),
    ],
)
def test_an_old_name_beside_the_new_one_is_refused(call, old, new):
    with pytest.raises(ValueError, match=f"both '{old}' and '{new}'") as refused:
        call()
    assert "test_arguments.py" in str(refused.value)


def test_default_names_are_those_of_tensorflow():
    n = gp.constant([[7, -7]])
    assert gp.floordiv(n, 2).op.name == "floordiv"
    assert (n // 2).op.name == "floordiv_1"
    assert gp.floor_div(n, 2).op.name == "FloorDiv_2"  # names differ in more than their case
    assert gp.nn.softmax(x, axis=0).op.name.startswith("transpose")
    assert gp.nn.softmax(x, axis=0, name="mine").op.name == "mine"


def test_rounding_integers_is_no_operation():
    n = gp.constant([1, 2])
    assert gp.round(n) is n
    with pytest.raises(TypeError, match="bool"):
        gp.round([True])


def test_sizes_out_of_a_static_shape_can_stand_in_a_list():
    t = gp.placeholder(gp.float32, [None, 4, 3])
    flat = gp.reshape(t, [-1, t.get_shape()[1] * t.get_shape()[2]])
    assert flat.shape.as_list() == [None, 12]
    assert gp.reshape(t, (-1, t.get_shape()[2])).shape.as_list() == [None, 3]
    with pytest.raises(TypeError, match="Dimension|None"):
        gp.reshape(t, [t.get_shape()[0], 12])


def test_none_is_no_tensor():
    with pytest.raises(ValueError, match="None values not supported"):
        gp.constant(1.0) + None
    with pytest.raises(ValueError, match="None values not supported"):
        gp.convert_to_tensor(None)


@pytest.mark.parametrize("call", [lambda: gp.reshape(x, 6), lambda: gp.fill(2, 0)])
def test_a_number_is_no_shape(call):
    with pytest.raises(ValueError, match="must be a vector"):
        call()
    assert gp.zeros(3).shape.as_list() == [3]  # this has always been allowed


def test_no_gradient_flows_through_an_assignment():
    v, w = gp.Variable([1.0, 2.0]), gp.Variable([3.0, 4.0])
    assert gp.gradients(gp.assign(v, w * 2.0), [v, w]) == [None, None]


def test_a_slash_is_no_name():
    with pytest.raises(ValueError, match="'/' is not a valid scope name"):
        gp.no_op(name="/")


def test_names_of_older_programs():
    y, row = gp.constant(x), np.float32([1, 2, 2])
    calls = [
        (gp.arg_max(y, 1), [1, 0]),
        (gp.arg_min(y, 0, gp.int32), [0, 1, 0]),
        (gp.scalar_mul(2, y), 2 * x),
        (y[:, gp.newaxis], x[:, None]),
        (gp.linalg.transpose(y), x.T),
        (gp.linalg.diag(row), np.diag(row)),
        (gp.linalg.diag_part([y, y]), [[1, 0], [1, 0]]),
        (gp.linalg.tensor_diag_part(gp.linalg.tensor_diag(y)), x),
        (gp.math.top_k(row, 1).values, [2]),
    ]
    for got, want in calls:
        np.testing.assert_array_equal(gp.Session().run(got), want)
    assert gp.arg_min(y, 0, gp.int32).dtype is gp.int32
    with pytest.raises(ValueError, match="scalar"):
        gp.scalar_mul(row, y)


@pytest.mark.parametrize(
    "values, never_less, always_more",
    [([], 1, 1), ([3], 1, 1), ([1, 2, 2], 1, 0), ([[1, 2], [3, 4]], 1, 1), ([1, 3, 2], 0, 0)],
)
def test_monotonic(values, never_less, always_more):
    given = np.array(values, np.int32)
    calls = [gp.is_non_decreasing(given), gp.is_strictly_increasing(given)]
    assert gp.Session().run(calls) == [never_less, always_more]


@pytest.mark.parametrize("known", [True, False])
def test_sufficient_statistics(known):
    p = gp.placeholder(gp.float32, x.shape if known else None)
    count, total, squares, shift = gp.nn.sufficient_statistics(p, [1], 1.0, keep_dims=True)
    got = gp.Session().run([count, total, squares, shift], {p: x})
    wanted = (3, (x - 1).sum(1)[:, None], ((x - 1) ** 2).sum(1)[:, None], 1)
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_array_equal(a, b)
    assert gp.nn.sufficient_statistics(p, [0])[3] is None


def test_a_tuple_waits_for_all():
    v = gp.Variable(1.0)
    out = gp.tuple([gp.constant([2.0]), None, gp.no_op()], control_inputs=[v.assign_add(1.0)])
    assert out[1] is None and isinstance(out[2], gp.Operation)
    sess = gp.Session()
    sess.run(v.initializer)
    for fetch, want in ((out[0], 2.0), (out[2], 3.0)):
        sess.run(fetch)
        assert sess.run(v) == want
    with pytest.raises(ValueError, match="at least one"):
        gp.tuple([None])


def test_what_lists_of_sizes_tell_of_a_shape():
    t, one = gp.placeholder(gp.float32), gp.placeholder(gp.int32)
    c = gp.zeros([2, 3, 4])
    assert gp.tile(t, [0, 2]).shape.as_list() == [0, None]
    assert gp.ones([one, 3]).shape.as_list() == [None, 3]
    assert gp.reshape(c, gp.stack([gp.shape(c)[0], -1])).shape.as_list() == [2, 12]
    assert gp.reshape(c, [gp.shape(c)[0], one, -1]).shape.as_list() == [2, None, None]
    pair = gp.placeholder(gp.float32, [2, None])
    assert gp.dynamic_stitch([[0, 2], [4]], [pair, pair[:1]]).shape.as_list() == [5, None]


def test_names_of_what_is_not_there():
    graph = gp.get_default_graph()
    x = gp.constant(1, name="x")
    assert graph.get_tensor_by_name("x:0") is x and graph.get_operation_by_name("x") is x.op
    for name, error, text in [
        ("x", ValueError, "'x' refers to an Operation, not a Tensor"),
        ("y", ValueError, r"'y' looks like an \(invalid\) Operation name, not a Tensor"),
        ("y:0", KeyError, "The operation, 'y', does not exist"),
        ("x:1", KeyError, "exists but only has 1 outputs"),
    ]:
        with pytest.raises(error, match=text):
            graph.get_tensor_by_name(name)
    with pytest.raises(KeyError, match="'y' refers to an Operation not in the graph"):
        graph.get_operation_by_name("y")


def test_a_constant_of_none():
    with pytest.raises(ValueError, match="None values not supported"):
        gp.constant(None)


def test_dimensions_are_compared_and_reckoned_with():
    known, unknown = gp.placeholder(gp.float32, [7, None]).shape
    assert known > 6 and known >= 7 and known < 8 and known <= known and not known < 7
    assert 6 < known and known > gp.Dimension(3)
    assert (unknown > 1) is None and (known < unknown) is None
    assert (9 - known, 15 // known, known % 4, 9 % known, known - 1) == (2, 2, 3, 2, 6)
    assert (9 - unknown).value is None and (unknown % 4).value is None
    with pytest.raises(TypeError, match="is no dimension"):
        known < 1.5  # noqa: B015


def test_lists_cast_their_tensors_to_the_type_asked_for():
    v, t, n = gp.constant([1.0, 2.0, 3.0]), gp.constant(2.0, gp.float64), gp.Variable(4)
    y = v * [1, t, n]
    matrix = gp.convert_to_tensor([[n, 2], [3, t]], gp.float32)
    assert y.dtype is gp.float32 and matrix.dtype is gp.float32
    assert gp.zeros([n, t]).shape.as_list() == [None, None]
    dv, dt = gp.gradients(y, [v, t])
    with gp.Session() as sess:
        sess.run(n.initializer)
        assert sess.run(y).tolist() == [1.0, 4.0, 12.0]
        assert sess.run(matrix).tolist() == [[4.0, 2.0], [3.0, 2.0]]
        assert sess.run(dv).tolist() == [1.0, 2.0, 4.0] and sess.run(dt) == 2.0
        assert sess.run(gp.zeros([n, t])).shape == (4, 2)
    for wrong in ([n, t], [[n, 1], [2, t]]):
        with pytest.raises(TypeError, match="list containing a tensor of dtype float64 to int32"):
            gp.convert_to_tensor(wrong)


def test_a_scalar_tensor_is_the_shape_of_a_vector():
    n = gp.placeholder(gp.int32, [])
    with gp.Session() as sess:
        assert sess.run([gp.zeros(n), gp.ones(n + 1)], {n: 2})[1].tolist() == [1.0] * 3
    assert gp.zeros(gp.constant(2) + 1).shape.as_list() == [3]
