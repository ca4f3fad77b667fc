"""Names, scopes, conversion and the errors of building a graph."""

import numpy as np
import pytest

import gradplan as gp


def names(graph=None):
    return [op.name for op in (graph or gp.get_default_graph()).get_operations()]


def test_default_names_are_those_of_tensorflow_1():
    x = gp.placeholder(gp.float32, [None, 2])
    w = gp.Variable(np.ones((2, 3), "f"), name="w")
    y = gp.nn.relu(gp.matmul(x, w) + 1.0)
    z = -y * 2.0 / 3.0 - 1.0
    gp.reduce_mean(gp.square(z)), gp.reduce_sum(z), gp.argmax(z, 1), gp.cast(z, gp.int32)
    assert names() == [
        "Placeholder",
        "w/initial_value",
        "w",
        "w/Assign",
        "w/read",
        "MatMul",
        "add/y",
        "add",
        "Relu",
        "Neg",
        "mul/y",
        "mul",
        "truediv/y",
        "truediv",
        "sub/y",
        "sub",
        "Square",
        "Mean",
        "Sum",
        "ArgMax",
        "Cast",
    ]
    assert y.name == "Relu:0" and w.name == "w:0" and z.op.type == "Sub"


def test_the_axes_of_a_reduction_take_a_name_that_tensorflow_gives_them():
    x, unknown = gp.placeholder(gp.float32, [None, 2]), gp.placeholder(gp.float32)
    gp.reduce_mean(x), gp.reduce_sum(x, 1), gp.reduce_any(x > 0.0)
    with gp.name_scope("inner"):
        gp.reduce_max(x, name="largest")
        assert gp.constant(1.0).name == "inner/Const_1:0"
    assert gp.constant(1.0).name == "Const_2:0"
    gp.reduce_sum(unknown)
    assert gp.rank(x).name == "Rank_1:0" and gp.range(3).name == "range_1:0"
    assert "Const" not in names()  # there is no operation for what is an attribute


def test_results_of_one_operation_of_tensorflow_are_outputs_of_one_here():
    ids = gp.placeholder(gp.int32, [None], name="ids")
    y, idx = gp.unique(ids)
    with gp.name_scope("s"):
        first, second = gp.dynamic_partition(gp.cast(ids, gp.float32), idx - 1, 2, name="p")
    assert [t.name for t in (y, idx, first, second)] == ["Unique:0", "Unique:1", "s/p:0", "s/p:1"]
    graph = gp.get_default_graph()
    assert graph.get_tensor_by_name("Unique:1") is idx
    assert graph.get_operation_by_name("s/p").outputs == (first, second)
    assert (idx + 1).op.node_def.input[0] == "Unique:1"
    with gp.control_dependencies([y]):
        after = gp.constant(3)
    session = gp.Session()
    feed = {ids: [7, 7, 4, 9]}
    assert session.run([y.name, idx.name, after], feed)[0].tolist() == [7, 4, 9]
    assert session.run(idx, feed).tolist() == [0, 0, 1, 2]
    assert session.run(y, feed).tolist() == [7, 4, 9]
    assert session.run(second, {ids: [5, 6], "Unique:1": [2, 1]}).tolist() == [5.0]


def test_a_gradient_of_some_results_of_an_operation():
    x = gp.constant([1.0, 2.0, 3.0, 4.0])
    first, second, _ = gp.dynamic_partition(x, [0, 1, 0, 2], 3)
    dx = gp.gradients([first * 5.0, second * 7.0], x)[0]
    assert gp.Session().run(dx).tolist() == [5.0, 7.0, 5.0, 0.0]
    image = gp.ones([1, 2, 2, 1]) * gp.reshape(x, [1, 2, 2, 1])
    y, mean, variance = gp.nn.fused_batch_norm(image, [2.0], [0.0])
    assert [t.op for t in (mean, variance)] == [y.op] * 2
    dmean = gp.gradients(mean, x)[0]
    assert gp.Session().run(dmean).tolist() == [0.25] * 4


def test_names_are_made_unique_and_ignore_case():
    assert [gp.constant(1.0, name=n).op.name for n in ("a", "a", "a_1", "A", "b")] == [
        "a",
        "a_1",
        "a_1_1",
        "A_2",
        "b",
    ]


def test_name_scopes():
    with gp.name_scope("outer") as scope:
        assert scope == "outer/"
        assert gp.constant(1.0, name="c").op.name == "outer/c"
        with gp.name_scope("inner"):
            assert gp.no_op().name == "outer/inner/NoOp"
        with gp.name_scope(None):
            assert gp.no_op().name == "NoOp"
        with gp.name_scope("outer/"):
            assert gp.constant(1.0, name="c").op.name == "outer/c_1"
    with gp.name_scope("outer") as again:
        assert again == "outer_1/"
    with gp.name_scope(None, "fallback") as scope:
        assert scope == "fallback/"


@pytest.mark.parametrize("name", ["a b", "-a", "ä", "a:0", "/a"])
def test_bad_names_are_refused(name):
    with pytest.raises(ValueError, match="not a valid scope name"):
        gp.constant(1.0, name=name)
    with pytest.raises(ValueError, match="not a valid scope name"), gp.name_scope(name):
        pass


def test_gradient_names_tell_where_they_come_from():
    x = gp.constant(2.0, name="x")
    y = gp.square(x, name="y")
    (dx,) = gp.gradients(y, x)
    assert dx.op.name.startswith("gradients/y_grad/")
    assert dx.op.source == y.op.source


def test_graph_elements_by_name():
    a = gp.constant(1.0, name="a")
    graph = gp.get_default_graph()
    assert graph.get_tensor_by_name("a:0") is a
    assert graph.get_operation_by_name("a") is a.op
    assert graph.as_graph_element("a:0") is a and graph.as_graph_element(a.op) is a.op
    with pytest.raises(KeyError, match="did you mean 'a'"):
        graph.get_tensor_by_name("aa:0")
    with pytest.raises(KeyError, match="does not exist"):
        graph.get_tensor_by_name("a:1")
    with pytest.raises(ValueError, match="not a Tensor"):
        graph.get_tensor_by_name("a")
    with pytest.raises(ValueError, match="Tensor, not a"):
        graph.get_operation_by_name("a:0")
    with pytest.raises(TypeError, match="Can not convert a float"):
        graph.as_graph_element(1.5)


def test_static_shapes_as_tensorflow_1_shows_them():
    x = gp.placeholder(gp.float32, [None, 3], name="x")
    assert x.shape.as_list() == [None, 3] == x.get_shape().as_list()
    assert x.shape[1].value == 3 and x.shape[0].value is None and int(x.shape[1]) == 3
    assert str(x.shape) == "(?, 3)" and x.shape.ndims == 2
    assert repr(x) == "<gp.Tensor 'x:0' shape=(?, 3) dtype=float32>"
    assert str(x) == 'Tensor("x:0", shape=(?, 3), dtype=float32)'
    x.set_shape([5, None])
    assert x.shape == [5, 3]
    with pytest.raises(ValueError, match="not compatible"):
        x.set_shape([4, 3])
    unknown = gp.placeholder(gp.float32)
    assert str(unknown.shape) == "<unknown>" and unknown.shape.ndims is None
    with pytest.raises(ValueError, match="unknown"):
        unknown.shape.as_list()


def test_operators_take_numpy_and_python_operands_on_either_side():
    x = gp.constant([1.0, 2.0])
    a = np.array([10.0, 20.0], "f")
    results = [x + a, a + x, a - x, 1 - x, 2 / x, x**2, 2.0**x, a * x, x % 2.0, 7 // x, -x, abs(-x)]
    want = [a + [1, 2], a + [1, 2], a - [1, 2], [0, -1], [2, 1], [1, 4], [2, 4], a * [1, 2]]
    want += [[1, 0], [7, 3], [-1, -2], [1, 2]]
    for got, wanted in zip(gp.Session().run(results), want, strict=True):
        np.testing.assert_allclose(got, wanted)
        assert got.dtype == np.float32


def test_tensors_have_no_truth_value_length_or_array():
    x = gp.constant([1.0, 2.0])
    for use in (bool, len, np.array, float):
        with pytest.raises(TypeError):
            use(x)
    assert [t.shape.as_list() for t in x] == [[], []]
    assert x == x and (x == gp.constant(1.0)) is False and len({x, x}) == 1


@pytest.mark.parametrize(
    ("value", "dtype"),
    [
        (1, gp.int32),
        (2**40, gp.int64),
        (1.0, gp.float32),
        (True, gp.bool),
        ([1, 2.5], gp.float32),
        (np.float64(1.0), gp.float64),
        (np.arange(3), gp.int64),
        (np.ones(2, ">f8"), gp.float64),
        ([], gp.float32),
    ],
)
def test_constants_take_the_type_tensorflow_1_gives_them(value, dtype):
    assert gp.constant(value).dtype is dtype
    np.testing.assert_array_equal(gp.Session().run(gp.constant(value)), value)


@pytest.mark.parametrize(
    ("value", "dtype", "error", "words"),
    [
        (1.5, gp.int32, TypeError, "Expected int32"),
        (1, gp.bool, TypeError, "Expected bool"),
        (2**31, gp.int32, TypeError, "out of the range of int32"),
        (2**70, None, TypeError, "no numbers"),
        ("text", None, TypeError, "no numbers"),
        (None, None, ValueError, "None values"),
        (1j, None, TypeError, "no numbers"),
        ([[1], [1, 2]], None, ValueError, "ragged"),
    ],
)
def test_constants_that_cannot_be(value, dtype, error, words):
    with pytest.raises(error, match=words):
        gp.constant(value, dtype)


def test_lists_with_tensors_among_their_elements():
    x = gp.placeholder(gp.float32, [None, 2])
    y = gp.reshape(x, [gp.shape(x)[0] * 2, 1])
    packed = gp.convert_to_tensor([gp.constant(1.0), 2.0, gp.constant(3.0)])
    sess = gp.Session()
    assert sess.run(y, {x: np.ones((3, 2))}).shape == (6, 1)
    assert sess.run(packed).tolist() == [1.0, 2.0, 3.0]


def test_build_errors_name_operation_shapes_and_line():
    x = gp.placeholder(gp.float32, [None, 3], name="x")
    with pytest.raises(ValueError) as caught:
        gp.matmul(x, gp.zeros([4, 2]), name="product")
    text = str(caught.value)
    assert "MatMul 'product'" in text and "(?, 3)" in text and "(4, 2)" in text
    assert "test_graph.py:" in text
    with pytest.raises(TypeError, match=r"type int32 that does not match type float32.*test_graph"):
        x + gp.constant(1)
    with pytest.raises(TypeError, match="Expected int32"):
        gp.constant(1) + 1.5
    with pytest.raises(TypeError, match="not one of: float32, float64"):
        gp.exp(gp.constant(1))


def test_a_bad_call_leaves_the_graph_as_it_was():
    x = gp.placeholder(gp.float32, [2])
    before = names()
    with pytest.raises(ValueError):
        gp.add(x, gp.placeholder(gp.float32, [3], name="other"))
    assert names() == [*before, "other"]


def test_operations_of_two_graphs_do_not_mix():
    a = gp.constant(1.0)
    with gp.Graph().as_default():
        b = gp.constant(2.0)
    with pytest.raises(ValueError, match="same graph"):
        a + b
    with pytest.raises(ValueError, match="not an element of this graph"):
        gp.Session().run([a, b])
    # A tensor's own graph grows, whatever the default one is.
    assert (b * 2.0).graph is b.graph


def test_default_graphs():
    first = gp.get_default_graph()
    with gp.Graph().as_default() as inner:
        assert gp.get_default_graph() is inner
        with pytest.raises(AssertionError):
            gp.reset_default_graph()
    assert gp.get_default_graph() is first
    gp.reset_default_graph()
    assert gp.get_default_graph() is not first


def test_a_finalized_graph_grows_no_more():
    a = gp.constant(1.0)
    gp.get_default_graph().finalize()
    with pytest.raises(RuntimeError, match="finalized"):
        a + 1.0
    assert gp.Session().run(a) == 1.0


def test_a_graph_that_grows_inside_a_loop_is_reported():
    sess = gp.Session()
    with pytest.warns(UserWarning, match=r"grew before each of 100 runs.*test_graph.py"):
        for _ in range(102):
            sess.run(gp.constant(1.0))


def test_collections_and_their_scopes():
    with gp.variable_scope("a"):
        v = gp.get_variable("v", [1])
    w = gp.get_variable("w", [1], trainable=False)
    assert gp.global_variables() == [v, w] and gp.trainable_variables() == [v]
    assert gp.global_variables("a") == [v] and gp.trainable_variables("b") == []
    assert gp.get_collection(gp.GraphKeys.GLOBAL_VARIABLES, scope=".*w") == [w]
    gp.add_to_collection("mine", 3)
    assert gp.get_collection("mine") == [3]


def test_gradients_of_what_is_not_connected_or_not_differentiable():
    x, z = gp.constant(2.0), gp.constant(3.0)
    assert gp.gradients(x * 2.0, [z]) == [None]
    assert gp.gradients(gp.floordiv(x, 2.0), [x]) == [None]
    assert gp.gradients(gp.cast(gp.argmax([x, z]), gp.float32), [x]) == [None]
    assert gp.gradients(gp.stop_gradient(x) * 2.0, [x]) == [None]
    with pytest.raises(TypeError, match="no float"):
        gp.gradients(gp.constant(1), [x])
    with pytest.raises(ValueError, match="2 grad_ys for 1 ys"):
        gp.gradients(x, [x], grad_ys=[1.0, 2.0])


def test_gradients_add_up_over_ys_and_weights():
    x = gp.constant([1.0, 2.0])
    a, b = x * x, 3.0 * x
    sess = gp.Session()
    assert sess.run(gp.gradients([a, b], x)[0]).tolist() == [5.0, 7.0]
    assert sess.run(gp.gradients([a, b], x, grad_ys=[[1.0, 0.0], None])[0]).tolist() == [5.0, 3.0]
    assert sess.run(gp.gradients(a + b, [x, a])[1]).tolist() == [1.0, 1.0]
    assert sess.run(gp.gradients(a * x, x, stop_gradients=[a])[0]).tolist() == [1.0, 4.0]
    assert sess.run(gp.gradients(x, x)[0]).tolist() == [1.0, 1.0]


def test_names_that_are_none():
    graph = gp.get_default_graph()
    gp.constant(1.0, name="w")
    with pytest.raises(TypeError, match=r"Tensor names are strings \(or similar\), not int"):
        graph.get_tensor_by_name(3)
    with pytest.raises(TypeError, match="Operation names are strings"):
        graph.get_operation_by_name(gp.constant(1.0))
    with pytest.raises(ValueError, match=r'looks a like a Tensor name.*"<op_name>:<output_index>"'):
        graph.get_tensor_by_name("w:x")
    with pytest.raises(KeyError, match="'w', exists but only has 1 outputs"):
        graph.get_tensor_by_name("w:3")


def test_a_graph_as_data_and_as_text():
    x = gp.placeholder(gp.float32, [2], name="x")
    with gp.control_dependencies([gp.no_op(name="first")]):
        y = gp.identity(x, name="y")
    found = gp.get_default_graph().as_graph_def()
    assert [(n.name, n.op, n.input) for n in found.node] == [
        ("x", "Placeholder", []),
        ("first", "NoOp", []),
        ("y", "Identity", ["x", "^first"]),
    ]
    assert str(found).count("node {") == 3 and 'attr { key: "shape" value: (2,) }' in str(found)
    assert y.op.node_def.name == "y"


def test_collections_by_several_names_and_by_expression():
    a, b = gp.Variable(1.0, name="a/w"), gp.Variable(1.0, name="b/w")
    gp.add_to_collections(["one", "two", "one"], a)
    gp.add_to_collections("two", b)
    assert gp.get_collection("one") == [a] and gp.get_collection("two") == [a, b]
    assert gp.get_collection("two", scope="b/") == gp.get_collection("two", scope="[b-z]") == [b]
    gp.get_collection_ref("one").clear()
    assert gp.get_collection("one") == [] and "two" in gp.get_default_graph().collections


def test_building_looks_for_no_line(monkeypatch):
    """Python searches a code's lines from its beginning: a long script would pay for every one."""
    monkeypatch.setattr(gp.graph, "line_of", None)
    x = gp.placeholder(gp.float32, [None])
    y = gp.reduce_sum(gp.tanh(x) * 2.0)
    dx = gp.gradients(y, x)[0]
    monkeypatch.undo()
    assert y.op.source == dx.op.source
    assert y.op.made_at.startswith(__file__) and x.op.source[1] == y.op.source[1] - 1


def test_lines_of_a_script():
    """Several on a line, one over several lines, and what a function makes that is called twice."""
    script = "a = gp.constant(1.0); b = a + a\nc = gp.add(\n    a,\n    b,\n)\n\ndef f():\n"
    script += "    return gp.tanh(a)\n\nd = f()\ne = f()\nfor k in range(2):\n    g = gp.exp(a)\n"
    names = {"gp": gp}
    exec(compile(script, "script.py", "exec"), names)
    found = {k: names[k].op.made_at for k in "abcdeg"}
    assert found == {
        "a": "script.py:1", "b": "script.py:1", "c": "script.py:2", "d": "script.py:8",
        "e": "script.py:8", "g": "script.py:13",
    }  # fmt: skip
