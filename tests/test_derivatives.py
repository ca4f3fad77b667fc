"""Gradients as TensorFlow 1 forms them, what users define, Jacobians, and checks of gradients."""

import re
import time

import numpy as np
import pytest
from test_ops import DIFFERENTIABLE, Case, describe, each

import gradplan as gp
from gradplan.gradients import dense_gradients
from gradplan.opdef import REGISTRY, VIEW, OpDef, apply
from gradplan.ops import batching
from gradplan.ops.array import take_first
from gradplan.vectorize import vectorize

UNOPTIMISED = gp.ConfigProto(optimize=False)


def run(fetches, feed=None, config=None):
    return gp.Session(config=config).run(fetches, feed)


# ---- gradients -----------------------------------------------------------------------------------


def test_stop_gradients_take_their_tensors_as_constants():
    a = gp.constant(3.0)
    b = 2.0 * a
    assert run(gp.gradients(a + b, [a, b], stop_gradients=[a, b])) == [1.0, 1.0]
    assert run(gp.gradients(a + b, [a, b])) == [3.0, 1.0]
    assert gp.gradients(b, [a], stop_gradients=b) == [None]
    # a loop through a stopped tensor goes on through what is not stopped
    c = a * b
    assert run(gp.gradients(c, [a], stop_gradients=[b])) == [6.0]


def test_stopped_output_stops_though_another_output_goes_on():
    x = gp.constant([[1.0, 2.0]])

    @gp.custom_gradient
    def both(x):
        return [x * 2.0, x * 3.0], lambda da, db: 2.0 * da + 3.0 * db

    a, b = both(x)
    np.testing.assert_array_equal(run(gp.gradients([a, b], x)[0]), [[5, 5]])
    np.testing.assert_array_equal(run(gp.gradients([a, b], x, stop_gradients=a)[0]), [[3, 3]])


def test_what_is_not_connected_is_none_or_zeros():
    x, z = gp.constant([1.0, 2.0]), gp.placeholder(gp.float64, [None, 3])
    v = gp.Variable([[1.0]])
    y = x * x
    assert gp.gradients(y, [z, v]) == [None, None]
    for how in ("zero", gp.UnconnectedGradients.ZERO):
        dx, dz, dv = gp.gradients(y, [x, z, v], unconnected_gradients=how)
        got = run([dx, dz, dv], {z: np.ones((2, 3))})
        assert [g.tolist() for g in got] == [[2.0, 4.0], [[0.0] * 3] * 2, [[0.0]]]
        assert dz.dtype == gp.float64
    with pytest.raises(ValueError, match="Unknown value for unconnected_gradients: 'ones'"):
        gp.gradients(y, x, unconnected_gradients="ones")


def test_ys_that_are_xs_and_repeated_ones():
    x = gp.constant(3.0)
    y = x * x
    assert run(gp.gradients([x, y], [x, y, x])) == [7.0, 1.0, 7.0]
    assert run(gp.gradients([y, y], x)) == [12.0]
    assert run(gp.gradients(y, y)) == [1.0]
    assert gp.gradients(y, []) == []


def test_weights_of_ys():
    x = gp.constant([1.0, 2.0])
    a, b = x * x, 3.0 * x
    got = run(gp.gradients([a, b], x, grad_ys=[None, gp.constant([2.0, 0.5])])[0])
    assert got.tolist() == [8.0, 5.5]
    with pytest.raises(ValueError, match="Passed 1 grad_ys for 2 ys"):
        gp.gradients([a, b], x, grad_ys=[None])
    with pytest.raises(ValueError, match=r"shape \(3,\) does not fit .* shape \(2,\)"):
        gp.gradients(a, x, grad_ys=[[1.0, 2.0, 3.0]])
    with pytest.raises(ValueError, match="float64"):
        gp.gradients(a, x, grad_ys=gp.constant([1.0, 2.0], gp.float64))


def test_weights_of_a_shape_that_only_a_feed_shows_are_not_broadcast():
    x, w = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.float32, [None])
    (g,) = gp.gradients(x * x, x, grad_ys=w)
    assert run(g, {x: [1, 2], w: [1, 3]}).tolist() == [2, 12]
    assert len(gp.Session().plan(g, {x: [1, 2], w: [1, 3]}).insns) == 1
    for config in (None, UNOPTIMISED):
        with pytest.raises(gp.errors.InvalidArgumentError, match=r"\(1,\) does not fit .*\(2,\)"):
            run(g, {x: [1, 2], w: [1]}, config)


def test_nothing_flows_through_integers_and_bools():
    x = gp.constant([1.5, -2.5])
    i = gp.cast(x, gp.int32)
    assert gp.gradients(gp.cast(i * 2, gp.float32), [x, i]) == [None, None]
    assert gp.gradients(gp.cast(x > 0.0, gp.float32), x) == [None]
    chosen = gp.where(x > 0.0, x * 2.0, x * 3.0)
    assert run(gp.gradients(chosen, x)[0]).tolist() == [2.0, 3.0]


def test_options_that_change_nothing_and_those_that_are_none():
    x = gp.constant(2.0)
    plain = run(gp.gradients(x * x * x, x))
    for method in (None, 0, 1, 2):
        more = {"colocate_gradients_with_ops": True, "gate_gradients": True, "name": None}
        assert run(gp.gradients(x * x * x, x, aggregation_method=method, **more)) == plain
    assert gp.AggregationMethod.EXPERIMENTAL_ACCUMULATE_N == 2
    with pytest.raises(ValueError, match="Invalid aggregation_method specified 7"):
        gp.gradients(x, x, aggregation_method=7)
    with pytest.raises(TypeError, match="float is neither tensor nor variable"):
        gp.gradients(x, 2.0)
    with pytest.raises(ValueError, match="no y"):
        gp.gradients([], x)
    with gp.Graph().as_default():
        other = gp.constant(1.0)
    with pytest.raises(ValueError, match="same graph"):
        gp.gradients(x, other)


def test_operation_without_gradient_is_named_with_its_line():
    x = gp.constant([1.0, 2.0])
    with gp.get_default_graph().gradient_override_map({"Exp": "NobodyRegisteredThis"}):
        y = gp.exp(x, name="culprit")
    with pytest.raises(LookupError, match=r"'culprit' \(op type: Nobody.*test_derivatives.py"):
        gp.gradients(y, x)


def test_chain_of_ten_thousand_operations_in_linear_time():
    def seconds(n):
        with gp.Graph().as_default():
            x = h = gp.constant(1.0)
            for _ in range(n):
                h = gp.negative(h)
            start = time.perf_counter()
            (g,) = gp.gradients(h, x)
            return time.perf_counter() - start, g

    few = min(seconds(1000)[0] for _ in range(3))
    many, _ = seconds(10_000)
    _, g = seconds(1000)
    assert many < 50 * few  # ten times the work; a hundred times if it were quadratic
    assert gp.Session(graph=g.graph).run(g) == 1.0


# ---- sums of many gradients ----------------------------------------------------------------------


def tensorflow_sum(xs):
    """As AddN of TensorFlow's CPU kernel: two to nine terms, then the others by eights."""
    head = len(xs) if len(xs) < 10 else {0: 8, 1: 9}.get(len(xs) % 8, len(xs) % 8)
    groups = [xs[:head]] + [xs[i : i + 8] for i in range(head, len(xs), 8)]
    totals = []
    for group in groups:
        total = group[0]
        for x in group[1:]:
            total = total + x
        totals.append(total)
    out = totals[0]
    for total in totals[1:]:
        out = out + total
    return out


@pytest.mark.parametrize("n", [2, 8, 9, 10, 16, 17, 24, 25, 31, 32, 33, 60])
def test_add_n_rounds_as_tensorflow(n, isa):
    rng = np.random.default_rng(n)
    xs = [
        (10.0 ** rng.integers(-3, 4, 41) * rng.standard_normal(41)).astype("f4") for _ in range(n)
    ]
    inputs = [gp.placeholder(gp.float32, [None]) for _ in xs]
    total = gp.add_n(inputs)
    for config in (None, UNOPTIMISED):
        got = run(total, dict(zip(inputs, xs, strict=True)), config)
        np.testing.assert_array_equal(got, tensorflow_sum(xs))


def test_gradients_that_meet_are_one_instruction():
    x = gp.placeholder(gp.float32, [None])
    factors = [gp.placeholder(gp.float32, [None]) for _ in range(6)]
    (g,) = gp.gradients([x * f for f in factors], x)
    assert g.op.type == "AddN" and len(g.op.inputs) == 6
    feed = dict.fromkeys([x, *factors], np.ones(100, np.float32))
    assert len(gp.Session().plan(g, feed).insns) == 1


def test_sums_are_numbered_as_tensorflow_meets_them():
    """Breadth first: z comes before x and y, of which one product is further down."""
    x, y, z = (gp.placeholder(gp.float32, [2], name=n) for n in "xyz")
    late = gp.tanh(gp.sin(x * y))
    out = late + x * y + z * z
    names = [g.op.name for g in gp.gradients(out, [x, y, z])]
    assert names == ["gradients/AddN_1", "gradients/AddN_2", "gradients/AddN"]
    more = gp.gradients(out + gp.cast(gp.shape(x)[0], gp.float32) * y, [y, z])
    assert [g.op.name for g in more] == ["gradients_1/AddN_1", "gradients_1/AddN"]


def test_add_n_of_one_and_of_what_does_not_fit():
    x = gp.constant([1, 2])
    assert gp.add_n([x]) is x
    assert gp.add_n([x], name="total").op.name == "total"
    for bad in ([], x, 3):
        with pytest.raises(ValueError, match=r"at least one Tensor.*test_derivatives.py"):
            gp.add_n(bad)
    with pytest.raises(ValueError, match=r"Input 0: \(2,\) != input 1: \(1,\)"):
        gp.add_n([x, [1]])
    with pytest.raises(TypeError, match="int32"):
        gp.add_n([x, gp.constant([1.0, 2.0])])
    p = gp.placeholder(gp.int32, [None])
    with pytest.raises(gp.errors.InvalidArgumentError, match="Input 0"):
        run(gp.add_n([x, p]), {p: [1]})


# ---- gradients that users define -----------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    """What a test registers is forgotten after it."""
    from gradplan import custom

    monkeypatch.setattr(custom, "_registered", dict(custom._registered))


def test_gradient_override_map(registry):
    @gp.RegisterGradient("Doubled")
    def doubled(op, grad):
        assert op.type == "Exp" and op.get_attr("_gradient_op_type") == "Doubled"
        return 2.0 * grad

    graph = gp.get_default_graph()
    x = gp.constant([1.0, 2.0])
    with graph.gradient_override_map({"Exp": "Doubled"}):
        y = gp.exp(x)
        with graph.gradient_override_map({"Sin": "Cos"}):  # of another operation, which is allowed
            z = gp.exp(x)
            s = gp.sin(x)
    outside = gp.exp(x)
    for t in (y, z):
        np.testing.assert_array_equal(run(gp.gradients(t, x)[0]), [2, 2])
    np.testing.assert_allclose(run(gp.gradients(outside, x)[0]), np.exp([1, 2]), rtol=1e-6)
    np.testing.assert_allclose(run(gp.gradients(s, x)[0]), -np.sin([1, 2]), rtol=1e-6)
    with pytest.raises(ValueError, match="_gradient_op_type"):
        outside.op.get_attr("_gradient_op_type")
    for bad in ({"Exp": 1}, {1: "Exp"}, "Exp", None):
        with pytest.raises(TypeError, match="mapping strings to strings"):
            with graph.gradient_override_map(bad):
                pass


def test_overridden_gradient_ends_with_its_block_though_that_fails():
    graph = gp.get_default_graph()
    with pytest.raises(RuntimeError), graph.gradient_override_map({"Exp": "Nothing"}):
        raise RuntimeError
    assert gp.exp(1.0).op.gradient_type is None


def test_registration(registry):
    with pytest.raises(TypeError, match="op_type must be a string"):
        gp.RegisterGradient(3)
    with pytest.raises(TypeError, match="op_type must be a string"):
        gp.NotDifferentiable(None)
    with pytest.raises(TypeError, match="must be a function"):
        gp.RegisterGradient("Mine")(3)
    with pytest.raises(KeyError, match="two gradient with name 'Exp'"):
        gp.RegisterGradient("Exp")(lambda op, dy: dy)
    gp.RegisterGradient("Mine")(lambda op, dy: dy)
    with pytest.raises(KeyError, match=r"'Mine'.*test_derivatives.py"):
        gp.NoGradient("Mine")
    gp.NotDifferentiable("Stopped")
    x = gp.constant(1.0)
    with gp.get_default_graph().gradient_override_map({"Exp": "Stopped"}):
        assert gp.gradients(gp.exp(x), x) == [None]


def test_registered_gradient_must_fit(registry):
    x, p = gp.constant([1.0, 2.0]), gp.placeholder(gp.float32, [None])
    cases = {
        "Two": (lambda op, dy: (dy, dy), ValueError, "Num gradients 2 generated for op Exp.*1"),
        "Long": (lambda op, dy: gp.constant([1.0] * 3), ValueError, r"\(3,\).*\(2,\)"),
        "Wide": (lambda op, dy: gp.cast(dy, gp.float64), ValueError, "float64"),
    }
    for name, (f, exc, words) in cases.items():
        gp.RegisterGradient(name)(f)
        with gp.get_default_graph().gradient_override_map({"Exp": name}):
            y = gp.exp(x)
        with pytest.raises(exc, match=words):
            gp.gradients(y, x)
    gp.RegisterGradient("Fed")(lambda op, dy: p)
    with gp.get_default_graph().gradient_override_map({"Exp": "Fed"}):
        (g,) = gp.gradients(gp.exp(x), x)
    assert run(g, {p: [3, 4]}).tolist() == [3, 4]
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"\(2,\)"):
        run(g, {p: [3]})


@pytest.mark.parametrize("config", [None, UNOPTIMISED])
def test_custom_gradient_of_several_arguments_and_results(config):
    seen = []

    @gp.custom_gradient
    def f(x, y, scale=1.0):
        """Documented."""

        def grad(da, db):
            seen.append((da, db))
            return scale * da * y, None

        return (x * y, x + y), grad

    x, y = gp.constant([1.0, 2.0]), gp.constant([3.0, 5.0])
    a, b = f(x, y, scale=10.0)
    assert f.__doc__ == "Documented." and f.__name__ == "f"
    for t, want in ((a, [3, 10]), (b, [4, 7])):
        assert run(t, config=config).tolist() == want
    dx, dy = gp.gradients(a, [x, y])
    assert dy is None
    assert run(dx, config=config).tolist() == [30, 50]
    assert run(seen[-1][1]).tolist() == [0, 0]  # of what nobody took
    with pytest.raises(ValueError, match=r"\(3,\)"):  # the gradient is what f says
        gp.gradients(f(x, y, scale=gp.constant([1.0] * 3))[0], x)


def test_custom_gradient_has_derivatives_of_higher_order():
    @gp.custom_gradient
    def cube(x):
        return x * x * x, lambda dy: dy * 3.0 * x * x

    x = gp.constant(2.0, gp.float64)
    first = gp.gradients(cube(x), x)[0]
    second = gp.gradients(first, x)[0]
    assert run([first, second, gp.gradients(second, x)[0]]) == [12.0, 12.0, 6.0]


def test_custom_gradient_with_variables():
    @gp.custom_gradient
    def layer(x):
        w = gp.get_variable("w", initializer=[[2.0], [3.0]])

        def grad(dy, variables=None):
            assert variables == [w]
            return gp.matmul(dy, w, transpose_b=True), [10.0 * gp.matmul(x, dy, transpose_a=True)]

        return gp.matmul(x, w), grad

    x = gp.constant([[1.0, 1.0]])
    y = layer(x)
    (w,) = gp.trainable_variables()
    dx, dw = gp.gradients(y, [x, w])
    sess = gp.Session()
    sess.run(w.initializer)
    got = sess.run([y, dx, dw])
    assert [g.tolist() for g in got] == [[[5.0]], [[2.0, 3.0]], [[10.0], [10.0]]]

    @gp.custom_gradient
    def careless(x):
        return x * w, lambda dy: dy

    with pytest.raises(TypeError, match=r"keyword argument 'variables' \(it uses w:0\)"):
        careless(x)


def test_custom_gradient_refuses():
    x = gp.constant([1.0, 2.0])
    for bad in (lambda x: x, lambda x: (x, x, x), lambda x: (x, 3)):
        with pytest.raises(TypeError, match=r"must return a pair.*test_derivatives.py"):
            gp.custom_gradient(bad)(x)
    y = gp.custom_gradient(lambda x: (x * 2.0, lambda dy: [dy, dy]))(x)
    with pytest.raises(ValueError, match="expected to return 1 gradients of arguments.* 2"):
        gp.gradients(y, x)


# ---- Jacobians and Hessians ----------------------------------------------------------------------

RNG = np.random.default_rng(0)
A, B, C = (RNG.standard_normal(s) for s in ((4, 5), (2, 3), (5,)))


#: Functions of a float64 matrix of shape (3, 4).
FUNCTIONS = {
    "elementwise": lambda x: gp.tanh(x * 2.0) / (1.0 + x * x),
    "layer": lambda x: gp.nn.softmax(gp.nn.bias_add(gp.matmul(x, A), gp.reduce_sum(x) * C)),
    "rank": lambda x: x[0] * x + gp.reduce_mean(x, 1, keepdims=True),
    "product of it with it": lambda x: gp.matmul(x, x, transpose_b=True),
    "products": lambda x: gp.matmul(B, x) + gp.matmul(x, B, True, True)[:2, :1],
    "reduced": lambda x: gp.reduce_max(x * x, 0) + gp.reduce_sum(x, [-2]) * gp.reduce_mean(x),
    "joined": lambda x: gp.concat([x, x * x, gp.ones_like(x)], -1)[1:, ::2],
    "taken": lambda x: x[:, None, 1:3] * x[..., :1, None],
    "moved": lambda x: gp.transpose(x) * gp.expand_dims(gp.reshape(x, [-1])[:3], 0),
    "repeated": lambda x: (
        gp.broadcast_to(x[:, :1], [3, 4]) * x + gp.reduce_logsumexp(x, 1)[:, None]
    ),
    "chosen": lambda x: gp.where([True, False, True], x, x * x) + gp.maximum(x, 0.1),
    "cross entropy": lambda x: gp.nn.softmax_cross_entropy_with_logits_v2(
        labels=gp.nn.softmax(2.0 * x), logits=x
    ),
    "classes": lambda x: gp.nn.sparse_softmax_cross_entropy_with_logits(labels=[0, 3, 1], logits=x),
    "scalar": lambda x: gp.reduce_sum(gp.nn.log_softmax(x) * x),
    "printed": lambda x: gp.Print(x, [x], first_n=0) * x,
    "linear": lambda x: gp.matmul(x, A),
}


def rows_one_by_one(y, x, feed):
    """The Jacobian by a gradient for every element."""
    sess, flat = gp.Session(), gp.reshape(y, [-1])
    w = gp.placeholder(y.dtype, [None])
    (g,) = gp.gradients(flat, x, grad_ys=w)
    shape, given = sess.run([gp.shape(y), gp.shape(x)], feed)
    n = int(np.prod(shape))
    if g is None:
        return np.zeros((*shape, *given))
    rows = [sess.run(g, {**feed, w: unit}) for unit in np.eye(n)]
    return np.reshape(rows, (*shape, *given))


@pytest.mark.parametrize("static", [(3, 4), (None, 4), (None, None)])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_jacobian_and_hessian(name, static):
    x = gp.placeholder(gp.float64, static)
    y = FUNCTIONS[name](x)
    feed = {x: RNG.standard_normal((3, 4))}
    before = gp.get_default_graph().version
    jac = gp.jacobian(y, x)
    assert gp.get_default_graph().version - before < 250  # not a gradient for every element
    hess = gp.hessians(y, x)[0]
    first = gp.gradients(y, x)[0]
    for t, of in ((jac, y), (hess, first)):
        want = rows_one_by_one(of, x, feed)
        assert t.shape.is_compatible_with(want.shape)
        for config in (None, UNOPTIMISED):
            np.testing.assert_allclose(run(t, feed, config), want, 1e-11, 1e-12)
    v = RNG.standard_normal((3, 4))
    (product,) = gp.hessian_vector_product(y, [x], [v])
    want = np.einsum("ijkl,kl", run(hess, feed), v)
    if product is None:
        assert not want.any()
    else:
        np.testing.assert_allclose(run(product, feed), want, 1e-9, 1e-11)


def test_rules_are_of_operations_that_there_are():
    assert set(batching.RULES) <= set(REGISTRY)
    assert not [name for name in batching.RULES if REGISTRY[name].batch is not None]


def tiny(spec):
    """The first case of a row of which a Jacobian is soon made by hand."""
    few = [c for c in spec.cases if 0 < sum(np.prod(s) for s in c[0]) <= 40]
    return few[:1]


@pytest.mark.parametrize("unknown", [None, "dims"])
@each(DIFFERENTIABLE)
def test_jacobian_of_every_operation(spec, unknown):
    """By its rule, or row by row, which takes static shapes."""
    for shapes, attrs in tiny(spec):
        note = describe(shapes, attrs)
        arrays = spec.inputs(shapes, "float64")
        try:
            case = Case(spec, arrays, attrs, unknown=unknown)
        except ValueError:
            assert spec.rank_needed, note
            continue
        xs = [case.inputs[i] for i in spec.diff if i < len(arrays)]
        with case.graph.as_default():
            for y in [y for y in case.outs if y.dtype.is_floating]:
                try:
                    found = gp.jacobian(y, xs)
                except ValueError as error:
                    assert not y.shape.is_fully_defined(), note
                    assert "has no rule for a batch" in str(error), note
                    continue
                w = gp.placeholder(y.dtype, y._shape)
                by_row = dense_gradients(y, xs, grad_ys=w)
                value = case.run(y)
                units = np.eye(value.size).reshape(value.size, *value.shape)
                for got, g in zip(found, by_row, strict=True):
                    assert (got is None) == (g is None), note
                    if g is None:
                        continue
                    feeds = case.feeds(arrays)
                    want = [case.session.run(g, {**feeds, w: unit}) for unit in units]
                    got = case.run(got)
                    want = np.reshape(want, got.shape)
                    np.testing.assert_allclose(got, want, 1e-9, 1e-9, err_msg=note)


def test_derivatives_of_a_jacobian():
    x = gp.placeholder(gp.float64, [None, 4])
    y = gp.tanh(gp.matmul(x, A))
    size = gp.reduce_sum(gp.square(gp.jacobian(y, x)))
    gp.check_gradients(size, x, {x: RNG.standard_normal((2, 4))})


def test_one_plan_serves_jacobians_of_any_size():
    x = gp.placeholder(gp.float32, [None])
    step = gp.Session().make_callable(gp.jacobian(x * x, x), [x])
    for n in (3, 0, 1, 7):
        value = np.arange(n, dtype=np.float32)
        np.testing.assert_array_equal(step(value), np.diag(2 * value))


def test_jacobian_of_several_and_of_what_is_not_connected():
    x, v = gp.constant([1.0, 2.0]), gp.Variable([[3.0]])
    y = x * v.value()
    jx, jv, none = gp.jacobian(y, [x, v, gp.constant(1.0)])
    sess = gp.Session()
    sess.run(v.initializer)
    assert none is None
    # y has shape (1, 2)
    np.testing.assert_array_equal(sess.run(jx), [[[3, 0], [0, 3]]])
    np.testing.assert_array_equal(sess.run(jv), [[[[1]], [[2]]]])
    assert gp.jacobian(y, gp.constant(1.0)) is None
    assert gp.hessians(y, [gp.constant(1.0)]) == [None]
    np.testing.assert_array_equal(run(gp.hessians(3.0 * x, x)[0]), np.zeros((2, 2)))
    np.testing.assert_array_equal(run(gp.jacobian(x, x)), np.eye(2))
    assert run(gp.jacobian(gp.constant(2.0) * 1.0, [])) == []
    with pytest.raises(TypeError, match=r"no float.*test_derivatives.py"):
        gp.jacobian(gp.constant(1), x)


@pytest.mark.parametrize("static", [(3, 4), (None, 4), (None, None)])
def test_batch_jacobian(static):
    x = gp.placeholder(gp.float64, static)
    value = RNG.standard_normal((3, 4))
    for f in (lambda x: gp.nn.softmax(gp.matmul(x, A)), lambda x: gp.reduce_sum(x * x, 1),
              lambda x: gp.expand_dims(x, 1) * gp.expand_dims(x, 2)):  # fmt: skip
        y = f(x)
        got = run(gp.batch_jacobian(y, x), {x: value})
        whole = rows_one_by_one(y, x, {x: value})
        want = [whole[k][..., k, :] for k in range(3)]
        np.testing.assert_allclose(got, want, 1e-12, 1e-12)
    assert gp.batch_jacobian(y, gp.constant([[1.0]] * 3)) is None


def test_batch_jacobian_refuses():
    x = gp.placeholder(gp.float32, [None, 2])
    with pytest.raises(ValueError, match="output needs a known rank"):
        gp.batch_jacobian(gp.reduce_sum(x), x)
    with pytest.raises(ValueError, match="inp needs a known rank"):
        gp.batch_jacobian(x, gp.placeholder(gp.float32))
    with pytest.raises(ValueError, match="Need first dimension of output shape"):
        gp.batch_jacobian(gp.constant([1.0, 2.0, 3.0]), gp.constant([[1.0], [2.0]]))
    with pytest.raises(gp.errors.InvalidArgumentError, match="reshape"):
        run(gp.batch_jacobian(gp.concat([x, x], 0), x), {x: [[1, 2]]})


def test_hessian_vector_product_needs_a_vector_for_each_x():
    x = gp.constant([1.0, 2.0])
    with pytest.raises(ValueError, match="the same length, not 1 and 2"):
        gp.hessian_vector_product(x * x, [x], [x, x])
    with pytest.raises(ValueError, match=r"\(3,\)"):
        gp.hessian_vector_product(x * x, [x], [[1.0, 2.0, 3.0]])
    assert gp.hessian_vector_product(x * 2.0, [x], [x]) == [None]


def turned(x):
    """The transpose of a matrix, by an operation that does not say how it works on a batch."""
    opdef = OpDef(
        "Turned", VIEW, inputs=("x",), attrs={}, in_types=("T",), out_types=("T",),
        type_set=(gp.float64,), kernel=None, flops=0, writes=0, fallible=False,
    )  # fmt: skip
    opdef.shape = lambda attrs, in_shapes, value: in_shapes[0] and in_shapes[0][::-1]
    opdef.lower = lambda binder, op: binder.alias(op, binder.view(op.inputs[0]).transposed((1, 0)))
    opdef.gradient = lambda op, dy: turned(dy)
    return apply(opdef, [x], {})


def test_operation_without_a_rule_is_made_row_by_row():
    x = gp.placeholder(gp.float64, [3, 4])
    seed = x * 1.0
    y = turned(gp.tanh(seed)) * turned(seed)
    for rows in (0, 1, 5):
        seeds = gp.constant(RNG.standard_normal((rows, 3, 4)))
        (out,) = vectorize([y], seed, seeds)
        given, got = run([seeds, out])
        want = np.swapaxes(np.tanh(given) * given, 1, 2)
        np.testing.assert_allclose(got, want, 1e-12)
    np.testing.assert_allclose(
        run(gp.jacobian(y, x), {x: np.ones((3, 4))}),
        rows_one_by_one(y, x, {x: np.ones((3, 4))}),
        1e-12,
    )
    with pytest.raises(ValueError, match="Turned.*has no rule for a batch whose size is not known"):
        vectorize([y], seed, gp.placeholder(gp.float64, [None, 3, 4]))


def test_product_of_two_batches():
    x = gp.placeholder(gp.float64, [3, 4])
    seed = x * 1.0
    seeds = gp.constant(RNG.standard_normal((5, 3, 4)))
    (out,) = vectorize([gp.matmul(gp.tanh(seed), seed, transpose_a=True)], seed, seeds)
    given, got = run([seeds, out])
    np.testing.assert_allclose(got, [np.tanh(s).T @ s for s in given], 1e-12)


def test_vectorized_functions_of_every_kind():
    """Not gradients alone: whatever depends on the seed, linear or not."""
    x = gp.placeholder(gp.float64, [3, 4])
    seed = x * 1.0
    many = RNG.standard_normal((5, 3, 4))
    seeds = gp.constant(many)
    results = [f(seed) for f in FUNCTIONS.values()]
    results += [gp.argmax(seed, 1), gp.cast(seed > 0.0, gp.int32), gp.constant(7.0), seed,
                take_first(seed, 2), gp.where([True, False, True], seed, x)]  # fmt: skip
    found = vectorize(results, seed, seeds)
    sess = gp.Session()
    got = sess.run(found, {x: np.ones((3, 4))})
    for t, many_at_once in zip(results, got, strict=True):
        want = [sess.run(t, {x: np.ones((3, 4)), seed: row}) for row in many]
        np.testing.assert_allclose(many_at_once, want, 1e-11, 1e-12, err_msg=t.name)


def test_what_has_an_effect_is_not_vectorised():
    v = gp.Variable([1.0, 2.0])
    seed = gp.constant([1.0, 1.0]) * 1.0
    with pytest.raises(ValueError, match="has an effect"):
        vectorize([gp.assign(v, seed)], seed, gp.constant([[1.0, 1.0]]))


def test_vectorised_custom_gradient_has_the_values_and_refuses_to_be_differentiated():
    f = gp.custom_gradient(lambda x: (x * x, lambda dy: dy * 5.0))
    seed = gp.constant([1.0, 2.0]) * 1.0
    seeds = gp.constant([[1.0, 2.0], [3.0, 4.0]])
    (out,) = vectorize([f(seed)], seed, seeds)
    np.testing.assert_array_equal(run(out), [[1, 4], [9, 16]])
    with pytest.raises(LookupError, match="CustomGradient"):
        gp.gradients(out, seeds)


def test_jacobian_of_a_custom_gradient_and_of_an_overridden_one(registry):
    f = gp.custom_gradient(lambda x: (x * x, lambda dy: dy * 5.0))
    x = gp.constant([1.0, 2.0])
    np.testing.assert_array_equal(run(gp.jacobian(f(x), x)), 5 * np.eye(2))
    gp.RegisterGradient("Same")(lambda op, dy: dy)
    with gp.get_default_graph().gradient_override_map({"Exp": "Same"}):
        y = gp.exp(x)
    np.testing.assert_array_equal(run(gp.jacobian(y, x)), np.eye(2))


# ---- checks of gradients -------------------------------------------------------------------------


def test_compute_gradient():
    x, w = gp.placeholder(gp.float64, [2, 3]), gp.placeholder(gp.float64, [3, 2])
    y = gp.tanh(gp.matmul(x, w))
    values = [RNG.standard_normal((2, 3)), RNG.standard_normal((3, 2))]
    with gp.Session():
        pairs = gp.test.compute_gradient([x, w], [[2, 3], [3, 2]], y, [2, 2], values)
        error = gp.test.compute_gradient_error([x, w], [[2, 3], [3, 2]], y, [2, 2], values)
        one = gp.test.compute_gradient(x, [2, 3], y, [2, 2], extra_feed_dict={w: values[1]})
        none = gp.test.compute_gradient(x, [2, 3], w, [3, 2], extra_feed_dict={w: values[1]})
    for theoretical, numeric in [*pairs, one]:
        assert theoretical.shape == numeric.shape == (6, 4)
        np.testing.assert_allclose(theoretical, numeric, 1e-5, 1e-6)
    jac = rows_one_by_one(y, x, {x: values[0], w: values[1]}).reshape(4, 6).T
    np.testing.assert_allclose(pairs[0][0], jac, 1e-12, 1e-12)
    assert 0 < error == max(abs(a - b).max() for a, b in pairs) < 1e-5
    assert not none[0].any() and not none[1].any()


def test_compute_gradient_refuses():
    x = gp.placeholder(gp.float32, [2])
    with pytest.raises(ValueError, match="No default session"):
        gp.test.compute_gradient(x, [2], x, [2])
    with gp.Session():
        with pytest.raises(ValueError, match=r"y has shape \(2,\), not y_shape \(3,\)"):
            gp.test.compute_gradient(x, [2], x * 1.0, [3])
        with pytest.raises(ValueError, match=r"\(3,\), not x_shape \(2,\)"):
            gp.test.compute_gradient(x, [2], x * 1.0, [2], [1, 2, 3])
        with pytest.raises(ValueError, match="1 x, 1 x_shape and 2 x_init_value"):
            gp.test.compute_gradient([x], [[2]], x * 1.0, [2], [[1, 2], [3, 4]])
        with pytest.raises(TypeError, match="no float"):
            gp.test.compute_gradient(x, [2], gp.cast(x, gp.int32), [2])


def test_compute_gradient_finds_what_is_wrong(registry):
    gp.RegisterGradient("Twice")(lambda op, dy: 2.0 * dy * gp.cos(op.inputs[0]))
    x = gp.placeholder(gp.float64, [2])
    with gp.get_default_graph().gradient_override_map({"Sin": "Twice"}), gp.Session():
        y = gp.sin(x)
        assert gp.test.compute_gradient_error(x, [2], y, [2], np.zeros(2)) == pytest.approx(1, 1e-3)


def test_check_gradients_passes_what_is_right():
    x = gp.placeholder(gp.float64, [None, 4])
    v = gp.Variable(RNG.standard_normal((4, 2)))
    ys = [gp.nn.softmax(gp.matmul(x, v)), gp.reduce_sum(gp.exp(x)), x * x]
    sess = gp.Session()
    sess.run(v.initializer)
    before = sess.run(v)
    gp.check_gradients(ys, [x, v], {x: RNG.standard_normal((3, 4))}, sess)
    np.testing.assert_array_equal(sess.run(v), before)
    x32 = gp.constant(RNG.standard_normal((3, 4)).astype(np.float32))
    gp.check_gradients(gp.nn.log_softmax(x32) * gp.exp(0.5 * x32), x32)
    gp.check_gradients(gp.reduce_sum(x32[:0]), x32)


def test_check_gradients_names_operation_element_and_values(registry):
    def wrong_in_one_place(op, dy):
        x = op.inputs[0]
        return dy * gp.cos(x) + gp.constant([[0.0, 0.0, 0.0], [0.0, 0.5, 0.0]], gp.float64)

    gp.RegisterGradient("WrongInOnePlace")(wrong_in_one_place)
    x = gp.constant(RNG.standard_normal((2, 3)))
    h = gp.reshape(3.0 * gp.transpose(x), [-1, 3])
    with gp.get_default_graph().gradient_override_map({"Sin": "WrongInOnePlace"}):
        y = gp.sin(h, name="culprit")
    with pytest.raises(AssertionError) as caught:
        gp.check_gradients(gp.exp(y), [x])
    text = str(caught.value)
    found = re.search(
        r"gradient of culprit \(Sin, made at .*test_derivatives.py:\d+\) with respect to element "
        r"\[1, 1\] of Reshape:0 is (\S+), but differences of values give (\S+) \(at .*test_deriv",
        text,
    )
    assert found, text
    analytic, numeric = map(float, found.groups())
    assert analytic - numeric == pytest.approx(0.5, rel=1e-6)


def test_check_gradients_of_what_stops():
    x = gp.constant([1.0, 2.0], gp.float64)
    with pytest.raises(AssertionError, match="every operation by itself is right"):
        gp.check_gradients(x * gp.stop_gradient(x), x)
    with pytest.raises(ValueError, match="no y depends on any x"):
        gp.check_gradients(gp.stop_gradient(x), x)
    with pytest.raises(ValueError, match="no y to differentiate"):
        gp.check_gradients([], x)
    with pytest.raises(TypeError, match="no float"):
        gp.check_gradients(gp.constant(1), x)


def test_check_gradients_does_not_take_nan_for_right(registry):
    gp.RegisterGradient("Nan")(lambda op, dy: dy * float("nan"))
    x = gp.constant([1.0, 2.0], gp.float64)
    with gp.get_default_graph().gradient_override_map({"Sin": "Nan"}):
        y = gp.sin(x)
    with pytest.raises(AssertionError, match=r"Sin.*is nan, but"):
        gp.check_gradients(y, x)


def test_variable_gets_its_value_back_though_the_check_fails(registry):
    gp.RegisterGradient("Bad")(lambda op, dy: dy * 0.0)
    v = gp.Variable([1.0, 2.0])
    with gp.get_default_graph().gradient_override_map({"Square": "Bad"}):
        y = gp.square(v)
    sess = gp.Session()
    sess.run(v.initializer)
    with pytest.raises(AssertionError, match="Square"):
        gp.check_gradients(y, v, session=sess)
    assert sess.run(v).tolist() == [1.0, 2.0]
