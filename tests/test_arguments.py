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
