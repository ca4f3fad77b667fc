"""Every pass, for what it makes of a program and for the value of what it made."""

import numpy as np
import pytest

import gradplan as gp
from gradplan import _core, passes, schedule
from gradplan.graph import Graph
from gradplan.passes import accumulate, cse, extract, fold, fuse, simplify
from gradplan.program import rebuild
from gradplan.tiling import head_of_sum


def program(fetches, feeds=(), targets=()):
    return extract.run(fetches, list(feeds), list(targets))


def types(p):
    """How many live operations of each type, the places of values left out."""
    counts = {}
    live = p.live()
    for op in p._ops:
        if op in live and op.type not in ("Const", "Placeholder", "VariableV2", "NoOp"):
            counts[op.type] = counts.get(op.type, 0) + 1
    return counts


def both(fetches, feed_dict=None, initialise=()):
    """The results, optimised; equal to the unoptimised ones to the last bit."""
    results = []
    for optimise in (True, False):
        session = gp.Session(config=gp.ConfigProto(optimize=optimise))
        for v in initialise:
            session.run(v.initializer)
        results.append(session.run(fetches, feed_dict))
    for a, b in zip(*[r if isinstance(r, list) else [r] for r in results], strict=True):
        np.testing.assert_array_equal(a, b)
    return results[0]


def holder(shape=(3,), dtype=gp.float32):
    return gp.placeholder(dtype, shape)


# ---- a pass in general ---------------------------------------------------------------------------


@pytest.mark.parametrize("name, run", passes.PASSES, ids=[n for n, _ in passes.PASSES])
def test_a_pass_is_pure(name, run):
    """It changes neither its argument nor the user's graph, and nothing after it has settled."""
    x = holder()
    y = gp.nn.relu(gp.identity(x) * 1.0 + gp.exp(gp.constant(0.0)) + gp.exp(x) * gp.exp(x))
    before = program([y], [x])
    listing = [(op.type, op.inputs, op.control_inputs) for op in before._ops]
    user = [(op.type, op.inputs) for op in gp.get_default_graph()._ops]
    after = run(before)
    assert [(op.type, op.inputs, op.control_inputs) for op in before._ops] == listing
    assert [(op.type, op.inputs) for op in gp.get_default_graph()._ops] == user
    assert types(run(after)) == types(after)
    assert len(after.fetches) == 1 and len(after.feeds) == 1


@pytest.mark.parametrize("name, run", passes.PASSES, ids=[n for n, _ in passes.PASSES])
def test_a_pass_keeps_names_lines_and_origins(name, run):
    x = holder()
    y = gp.add(gp.multiply(x, 2.0), gp.multiply(x, 2.0), name="sum")
    after = run(program([y], [x]))
    assert after.fetches[0].op.origin is y.op
    assert after.fetches[0].op.name == "sum" and after.fetches[0].op.source == y.op.source


def test_extract_takes_what_is_needed_only():
    x = holder()
    h = gp.exp(x)
    y = gp.tanh(h)
    gp.sigmoid(h)
    assert types(program([y], [x])) == {"Exp": 1, "Tanh": 1}
    assert types(program([y], [h])) == {"Tanh": 1}
    assert types(program([h], [h])) == {}
    np.testing.assert_allclose(both(y, {h: [0, 1, 2]}), np.tanh([0, 1, 2]), 1e-6)
    np.testing.assert_array_equal(both(h, {h: [0, 1, 2]}), [0, 1, 2])


def test_extract_refuses_a_placeholder_that_is_not_fed():
    x = gp.placeholder(gp.float32, [2], name="x")
    y = gp.placeholder(gp.float32, [2])
    with pytest.raises(gp.errors.InvalidArgumentError, match="'x'.*test_passes.py"):
        program([x + y], [y])
    program([y * 2.0], [y])  # one that nothing needs may stay unfed


# ---- fold ----------------------------------------------------------------------------------------


def test_fold_computes_constants():
    x = holder()
    y = x * (gp.sqrt(gp.constant(4.0)) + 1.0)
    after = fold.run(program([y], [x]))
    assert types(after) == {"Mul": 1}
    (value,) = [op.attrs["value"] for op in after.live() if op.type == "Const"]
    assert value == 3 and value.dtype == np.float32
    np.testing.assert_array_equal(both(y, {x: [1, 2, 3]}), [3, 6, 9])


def test_fold_folds_a_fetch():
    y = gp.exp(gp.constant([0.0, 1.0])) + 1.0
    assert types(fold.run(program([y]))) == {}
    np.testing.assert_allclose(both(y), [2, 1 + np.e], 1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (None, 4), None])
def test_arithmetic_on_shapes_is_done_when_a_plan_is_bound(shape):
    x = holder(shape)
    y = x / gp.cast(gp.reduce_sum(gp.shape(x) * 2), gp.float32)
    value = np.ones((3, 4))
    np.testing.assert_allclose(both(y, {x: value}), value / 14, 1e-6)
    assert len(gp.Session().plan(y, {x: value})) == 1


def test_fold_leaves_what_depends_on_a_feed_a_variable_or_chance():
    x, v = holder(()), gp.Variable(1.0)
    for y in (x + 1.0, v + 1.0, gp.random_normal([])):
        p = program([y], [x])
        assert types(fold.run(p)) == types(p)


def test_fold_does_not_blow_up_the_plan():
    y = gp.zeros([1000, 1000]) + 1.0
    after = fold.run(program([y]))
    assert sum(op.attrs["value"].nbytes for op in after._ops if op.type == "Const") < 1e6
    assert both(y).sum() == 1e6


def test_fold_leaves_an_error_to_the_run():
    y = gp.floordiv(gp.constant(1), gp.constant(0))
    assert types(fold.run(program([y]))) == {"FloorDiv": 1}
    for optimise in (True, False):
        session = gp.Session(config=gp.ConfigProto(optimize=optimise))
        with pytest.raises(
            gp.errors.InvalidArgumentError, match="division by zero.*test_passes.py"
        ):
            session.run(y)


def test_fold_ignores_a_constant_that_is_fed():
    c = gp.constant(2.0)
    y = gp.sqrt(c)
    np.testing.assert_array_equal(both(y, {c: 9.0}), 3)


# ---- simplify, rule by rule ----------------------------------------------------------------------

RULES = {
    "identity": (lambda x: gp.identity(x), {}),
    "stop_gradient": (lambda x: gp.stop_gradient(x), {}),
    "default": (lambda x: gp.placeholder_with_default(x, [2, 3]), {}),
    "x - 0": (lambda x: x - 0.0, {}),
    "x * 1": (lambda x: x * 1.0, {}),
    "1 * x": (lambda x: 1.0 * x, {}),
    "x * x": (lambda x: x * x, {"Square": 1}),
    "x / 1": (lambda x: x / 1.0, {}),
    "x ** 1": (lambda x: x**1.0, {}),
    "x ** 2": (lambda x: x**2.0, {"Square": 1}),
    "--x": (lambda x: -gp.negative(x), {}),
    "reshape to itself": (lambda x: gp.reshape(x, [2, 3]), {}),
    "reshape twice": (lambda x: gp.reshape(gp.reshape(x, [6]), [3, 2]), {"Reshape": 1}),
    "broadcast to itself": (lambda x: gp.broadcast_to(x, [2, 3]), {}),
    "sum to itself": (lambda x: gp.sum_to_shape(x, [2, 3]), {}),
    "transpose twice": (lambda x: gp.transpose(gp.transpose(x)), {}),
    "transpose back": (lambda x: gp.transpose(gp.transpose(x, [1, 0]), [1, 0]), {}),
    "product of a transpose": (lambda x: gp.matmul(gp.transpose(x), x), {"MatMul": 1}),
    "product with a transpose": (lambda x: gp.matmul(x, gp.transpose(x, [1, 0])), {"MatMul": 1}),
    "product of two": (
        lambda x: gp.matmul(gp.transpose(x), gp.transpose(x), True, False),
        {"MatMul": 1},
    ),
    "a slice of everything": (lambda x: x[:, 0:3], {}),
    "the only column": (lambda x: gp.reshape(x, [6, 1])[:, 0], {"Reshape": 2}),
    # and what only looks like one of them
    "reversed": (lambda x: x[::-1], {"StridedSlice": 1}),
    "the only row, reversed": (
        lambda x: gp.reshape(x, [1, 6])[::-1],
        {"Reshape": 1, "StridedSlice": 1},
    ),
    "x - 1": (lambda x: x - 1.0, {"Sub": 1}),
    "0 - x": (lambda x: 0.0 - x, {"Sub": 1}),
    "x + 0": (lambda x: x + 0.0, {"Add": 1}),  # -0.0 + 0.0 is 0.0
    "x * 0": (lambda x: x * 0.0, {"Mul": 1}),  # NaN stays NaN
    "1 / x": (lambda x: 1.0 / x, {"RealDiv": 1}),
    "1 ** x": (lambda x: 1.0**x, {"Pow": 1}),
    "x ** 3": (lambda x: x**3.0, {"Pow": 1}),
    "ones that widen": (lambda x: x * gp.ones([4, 2, 3]), {"Mul": 1, "BroadcastTo": 1}),
    "broadcast": (lambda x: gp.broadcast_to(x, [4, 2, 3]), {"BroadcastTo": 1}),
    "abs twice": (lambda x: gp.abs(gp.abs(x)), {"Abs": 2}),
}


@pytest.mark.parametrize("rule", RULES)
def test_simplify(rule):
    build, want = RULES[rule]
    x = holder((2, 3))
    y = build(x)
    after = simplify.run(program([y], [x]))
    assert types(after) == want
    assert after.fetches[0].shape.as_list() == y.shape.as_list()
    value = np.array([[1, -2, 0.5], [0, 4, -0.0]])
    with np.errstate(all="ignore"):
        got = both(y, {x: value})
    assert got.shape == tuple(y.shape.as_list())


def test_simplify_composes_transposes():
    x = holder((2, 3, 4))
    for p, q in [((2, 0, 1), (1, 0, 2)), ((1, 2, 0), (1, 2, 0)), ((0, 2, 1), (2, 0, 1))]:
        y = gp.transpose(gp.transpose(x, p), q)
        assert types(simplify.run(program([y], [x]))) == {"Transpose": 1}
        value = np.arange(24.0).reshape(2, 3, 4)
        np.testing.assert_array_equal(both(y, {x: value}), value.transpose(p).transpose(q))
    y = gp.transpose(gp.transpose(x, (1, 2, 0)), (2, 0, 1))
    assert types(simplify.run(program([y], [x]))) == {}


def test_simplify_computes_only_the_columns_that_are_taken():
    """The gradient of what a recurrent cell joins with its data."""
    a, h, w = holder((None, 3)), holder((None, 2)), holder((5, 4))
    y = gp.matmul(gp.concat([a, h], 1), w)
    for xs in ([h], [a], [a, h]):
        found = gp.gradients(y, xs)
        after = simplify.run(program(found, [a, h, w]))
        assert types(after)["MatMul"] == 2  # one for the shape of y
        assert types(after).get("ConcatPart", 0) == (0 if len(xs) == 1 else 2)
        assert types(after).get("Slice", 0) == (1 if len(xs) == 1 else 0)
        feed = {a: np.ones((7, 3)), h: np.ones((7, 2)), w: np.arange(20.0).reshape(5, 4)}
        for x, g in zip(xs, gp.Session().run(found, feed), strict=True):
            rows = feed[w].sum(1)
            np.testing.assert_array_equal(g, np.tile(rows[:3] if x is a else rows[3:], (7, 1)))


def test_simplify_keeps_what_has_control_inputs():
    v = gp.Variable(1.0)
    with gp.control_dependencies([v.assign_add(1.0)]):
        y = gp.identity(gp.constant(5.0))
    session = gp.Session()
    session.run(v.initializer)
    assert session.run(y) == 5
    assert session.run(v) == 2
    assert types(simplify.run(program([y])))["Identity"] == 1


def test_simplify_of_unknown_sizes():
    x = holder((None, 3))
    assert types(simplify.run(program([gp.reshape(x, [-1, 3])], [x]))) == {"Reshape": 1}
    assert types(simplify.run(program([gp.broadcast_to(x, gp.shape(x))], [x])))["BroadcastTo"] == 1
    y = gp.reshape(gp.reshape(x, [-1]), [-1, 1])
    np.testing.assert_array_equal(both(y, {x: np.ones((2, 3))}), np.ones((6, 1)))


# ---- cse -----------------------------------------------------------------------------------------


def test_cse_merges_equal_operations():
    x = holder()
    y = gp.exp(x) + gp.exp(x)
    assert types(cse.run(program([y], [x]))) == {"Exp": 1, "Add": 1}
    z = gp.tanh(gp.exp(x)) * gp.tanh(gp.exp(x))
    assert types(cse.run(program([z], [x]))) == {"Exp": 1, "Tanh": 1, "Mul": 1}
    np.testing.assert_allclose(both(y, {x: [0, 1, 2]}), 2 * np.exp([0, 1, 2]), 1e-6)


def test_cse_merges_constants_by_their_bits():
    x = holder()
    y = [x + gp.constant(1.0), x + gp.constant(1.0), x + gp.constant(np.float32(1.0))]
    assert types(cse.run(program(y, [x]))) == {"Add": 1}
    y = [x * gp.constant(0.0), x * gp.constant(-0.0)]
    assert types(cse.run(program(y, [x]))) == {"Mul": 2}
    one, other = both(y, {x: [1, 2, 3]})
    assert not np.signbit(one).any() and np.signbit(other).all()


def test_cse_looks_at_attributes():
    x = holder((2, 3))
    y = [gp.reduce_sum(x, 0), gp.reduce_sum(x, 1), gp.reduce_sum(x, 0), gp.reduce_sum(x, 0, True)]
    assert types(cse.run(program(y, [x]))) == {"Sum": 3}
    y = [gp.cast(x, gp.float64), gp.cast(x, gp.int32), gp.cast(x, gp.float64)]
    assert types(cse.run(program(y, [x]))) == {"Cast": 2}


def test_cse_looks_at_the_order_of_operands():
    x, y = holder(), holder()
    assert types(cse.run(program([x - y, y - x], [x, y]))) == {"Sub": 2}


def test_cse_merges_no_two_random_operations():
    a, b = gp.random_normal([3], seed=1), gp.random_normal([3], seed=2)
    counts = types(cse.run(program([a + b])))
    assert counts["RandomStandardNormal"] == 2
    c, d = (
        gp.random_uniform([100], seed=5) for _ in range(2)
    )  # one seed, two streams all the same
    assert types(cse.run(program([c + d])))["RandomUniform"] == 2


def test_cse_merges_no_reads_on_two_sides_of_a_write():
    v = gp.Variable(1.0)
    before = v.read_value()
    with gp.control_dependencies([before]):
        write = v.assign_add(1.0)
    with gp.control_dependencies([write]):
        after = v.read_value()
    p = cse.run(program([before, after]))
    assert types(p)["ReadVariableOp"] == 2
    assert both([before, after], initialise=[v]) == [1, 2]


def test_cse_merges_no_places():
    x, y = holder(), holder()
    a, b = gp.Variable(1.0), gp.Variable(1.0)
    assert len(cse.run(program([x + y], [x, y])).feeds) == 2
    p = cse.run(program([a + b]))
    assert sum(op.type == "VariableV2" for op in p._ops) == 2


def test_cse_keeps_every_fetch():
    x = holder()
    y = [gp.exp(x), gp.exp(x)]
    p = cse.run(program(y, [x]))
    assert len(p.fetches) == 2 and p.fetches[0] is p.fetches[1]
    a, b = both(y, {x: [0, 1, 2]})
    np.testing.assert_array_equal(a, b)
    a[:] = 7  # results are arrays of their own
    assert (b != 7).all()


# ---- fuse ----------------------------------------------------------------------------------------


def groups(p):
    return [op for op in p._ops if op.type == "Fused"]


def members(group):
    return [m.type for m in group.attrs["members"]]


def test_fuse_makes_one_operation_of_a_chain():
    x, w, c = holder(), holder(), holder()
    y = gp.nn.relu(x * w + c)
    p = fuse.run(program([y], [x, w, c]))
    assert types(p) == {"Fused": 1}
    (group,) = groups(p)
    assert members(group) == ["Mul", "Add", "Relu"]
    assert len(group.inputs) == 3 and len(group.outputs) == 1
    plan = gp.Session().plan(y, {x: [1, 2, 3], w: [1, 1, 1], c: [0, 0, 0]})
    assert len(plan) == 1 and plan.arena_bytes == 0
    np.testing.assert_array_equal(both(y, {x: [1, 2, 3], w: [1, -1, 1], c: [0, 0, 1]}), [1, 0, 4])


def test_fuse_gives_a_fetched_intermediate_too():
    x = holder()
    h = gp.exp(x)
    y = h * 2.0 + 1.0
    (group,) = groups(fuse.run(program([y, h], [x])))
    assert len(group.outputs) == 2
    value, inner = both([y, h], {x: [0, 1, 2]})
    np.testing.assert_array_equal(value, inner * 2 + 1)
    np.testing.assert_allclose(inner, np.exp([0, 1, 2]), 1e-6)


def test_fuse_keeps_a_target():
    x = holder()
    h = gp.exp(x)
    p = fuse.run(program([h * 2.0 + 1.0], [x], [h.op]))
    assert types(p) == {"Fused": 1} and [op.type for op in p.targets] == ["Fused"]


def test_fuse_takes_in_what_two_members_use():
    x = holder()
    h = gp.exp(x)
    y = h * h + h
    (group,) = groups(fuse.run(program([y], [x])))
    assert members(group) == ["Exp", "Mul", "Add"] and len(group.inputs) == 1
    np.testing.assert_allclose(both(y, {x: [0, 1, 2]}), np.exp([0, 2, 4]) + np.exp([0, 1, 2]), 1e-6)


def test_fuse_gives_what_others_use():
    x = holder()
    h = gp.exp(x)
    y, z = h * 2.0 + 1.0, gp.reduce_sum(h)
    p = fuse.run(program([y, z], [x]))
    assert types(p) == {"Fused": 1, "Sum": 1} and len(groups(p)[0].outputs) == 2
    one, other = gp.tanh(h * 2.0), gp.sigmoid(h * 3.0)
    p = fuse.run(program([one, other], [x]))
    assert types(p) == {"Fused": 1}
    assert sorted(members(groups(p)[0])) == ["Exp", "Mul", "Mul", "Sigmoid", "Tanh"]
    a, b, c, d = both([y, z, one, other], {x: [0, 1, 2]})
    e = np.exp([0, 1, 2])
    wants = 2 * e + 1, e.sum(), np.tanh(2 * e), 1 / (1 + np.exp(-3 * e))
    for got, want in zip((a, b, c, d), wants, strict=True):
        np.testing.assert_allclose(got, want, 1e-6)


def test_fuse_lets_no_path_leave_a_group_and_come_back():
    x = holder()
    h = gp.exp(x)
    y = h / gp.reduce_sum(h)
    p = fuse.run(program([y], [x]))
    assert types(p) == {"Exp": 1, "Sum": 1, "RealDiv": 1}
    e = np.exp([0, 1, 2])
    np.testing.assert_allclose(both(y, {x: [0, 1, 2]}), e / e.sum(), 1e-6)


def test_fuse_lets_no_path_come_back_through_another_group():
    """a -> sum -> b and b' -> sum -> a': neither pair may be one unless the other is not."""
    x, y = holder(), holder()
    a, b = gp.exp(x), gp.exp(y)
    up, down = gp.reduce_sum(a), gp.reduce_sum(b)
    fetches = [gp.tanh(b * up), gp.tanh(a * down), gp.sigmoid(a) + b]
    ea, eb = np.exp([0.0, 0.1, 0.2]), np.exp([0.3, 0.2, 0.1])
    got = both(fetches, {x: [0, 0.1, 0.2], y: [0.3, 0.2, 0.1]})
    wants = np.tanh(eb * ea.sum()), np.tanh(ea * eb.sum()), 1 / (1 + np.exp(-ea)) + eb
    for g, want in zip(got, wants, strict=True):
        np.testing.assert_allclose(g, want, 1e-6)


def test_fuse_of_sizes_that_turn_out_different():
    """What was one unknown size in the group's program is two in the feeds."""
    x, y = holder((None, 3)), holder((None, 3))
    h = gp.exp(x)
    fetches = [h * 2.0, h + y, gp.tanh(h + y)]
    for n, m in [(4, 4), (1, 4), (4, 1), (1, 1), (0, 0), (0, 1)]:
        a, b = np.full((n, 3), 0.5), np.full((m, 3), 2.0)
        wants = 2 * np.exp(a), np.exp(a) + b, np.tanh(np.exp(a) + b)
        for got, want in zip(both(fetches, {x: a, y: b}), wants, strict=True):
            assert got.shape == want.shape
            np.testing.assert_allclose(got, want, 1e-6)


def test_fuse_does_not_compute_a_smaller_operand_over_and_over():
    x, b = holder((100, 3)), holder((3,))
    y = x * gp.exp(b) + 1.0
    p = fuse.run(program([y], [x, b]))
    assert types(p) == {"Exp": 1, "Fused": 1}
    value = np.ones((100, 3))
    np.testing.assert_allclose(both(y, {x: value, b: [0, 1, 2]})[7], np.exp([0, 1, 2]) + 1, 1e-6)


def test_fuse_of_unknown_rank_is_right():
    x, y = holder(None), holder(None)
    z = gp.nn.relu(gp.exp(x) * gp.tanh(y) - 1.0)
    for a, b in [((2, 3), (3,)), ((3,), (2, 3)), ((), (4,)), ((0,), (1,))]:
        va, vb = np.ones(a), np.full(b, 2.0)
        want = np.maximum(np.exp(va) * np.tanh(vb) - 1, 0)
        got = both(z, {x: va, y: vb})
        np.testing.assert_allclose(got, want, 1e-5)
        assert got.shape == want.shape


def test_fuse_refuses_at_run_time_by_the_name_of_a_member():
    x, y = holder((None,)), holder((None,))
    z = gp.nn.relu(gp.add(gp.exp(x), y, name="culprit"))
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"Add 'culprit'.*test_passes.py"):
        gp.Session().run(z, {x: [1, 2], y: [1, 2, 3]})


def test_fuse_cuts_a_long_chain():
    x = holder((1000,))
    y, want = x, np.linspace(-1, 1, 1000, dtype=np.float32)
    feed = {x: want}
    for k in range(200):
        y = gp.tanh(y) if k % 20 == 19 else y * np.float32(1.01) + np.float32(0.01 * (k % 3))
        value = want.astype(float)
        value = (
            np.tanh(value)
            if k % 20 == 19
            else value * np.float32(1.01) + np.float32(0.01 * (k % 3))
        )
        want = value.astype(np.float32)
    p = fuse.run(program([y], [x]))
    sizes = [len(members(g)) for g in groups(p)]
    assert max(sizes) <= fuse.MAX_STEPS and sum(sizes) + len(types(p)) - 1 >= 380
    assert len(sizes) <= 20  # the constants fill the arguments before the steps run out
    np.testing.assert_allclose(both(y, feed), want, 1e-4, 1e-5)


def test_fuse_stays_within_the_arguments_of_a_kernel():
    xs = [holder() for _ in range(3 * _core.MAX_ARGS)]
    y = xs[0]
    for x in xs[1:]:
        y = y + x
    p = fuse.run(program([y], xs))
    assert groups(p)
    assert all(len(g.inputs) + len(g.outputs) <= _core.MAX_ARGS for g in groups(p))
    got = both(y, {x: [k, 1, 0] for k, x in enumerate(xs)})
    np.testing.assert_array_equal(got, [sum(range(len(xs))), len(xs), 0])


def test_fuse_stays_within_the_registers_of_a_kernel():
    """The leaves, used twice each, are alive all at once: more than there are temps."""
    x = holder()
    leaves = [gp.tanh(x * float(k)) for k in range(2 * _core.MAX_TEMPS + 5)]
    y = leaves[0]
    for leaf in leaves[1:]:
        y = leaf * y
    z = leaves[0]
    for leaf in leaves[1:]:
        z = leaf + z
    p = fuse.run(program([z + y], [x]))
    assert groups(p) and all(g.attrs["code"][1] <= _core.MAX_TEMPS for g in groups(p))
    got = both(z + y, {x: [0.1, 0.2, 0.3]})
    terms = np.tanh(np.outer(range(len(leaves)), [0.1, 0.2, 0.3]))
    np.testing.assert_allclose(got, terms.sum(0) + terms.prod(0), 1e-5)


def test_fuse_of_mixed_types():
    """A result takes no register of another element size: its condition would be overwritten."""
    for dtype in (gp.float32, gp.float64, gp.int64):
        x = gp.placeholder(dtype, [100])
        y = gp.where(gp.greater(x, 0), x * 2, -x) + gp.cast(gp.less(x, 5), dtype) * x
        value = np.arange(100) - 50
        want = np.where(value > 0, 2 * value, -value) + (value < 5) * value
        assert len(groups(fuse.run(program([y], [x])))) == 1
        np.testing.assert_array_equal(both(y, {x: value}), want)


def test_fuse_keeps_a_member_that_others_must_run_after():
    v = gp.Variable([1.0, 2.0, 3.0])
    h = v * 2.0
    with gp.control_dependencies([h]):
        write = v.assign_add([1.0, 1.0, 1.0])
    y = h + 1.0
    old, new = both([y, write], initialise=[v])
    np.testing.assert_array_equal(old, [3, 5, 7])
    np.testing.assert_array_equal(new, [2, 3, 4])


def test_fuse_does_not_move_a_read_past_a_write():
    v = gp.Variable([1.0, 2.0])
    y = gp.tanh(v * 2.0) + 1.0  # of the value before
    write = v.assign(v * 10.0)
    z = gp.exp(write * 0.0) + write
    a, b = both([y, z], initialise=[v])
    np.testing.assert_allclose(a, np.tanh([2, 4]) + 1, 1e-6)
    np.testing.assert_array_equal(b, [11, 21])


# ---- rebuild and the schedule --------------------------------------------------------------------


def test_rebuild_keeps_control_dependencies():
    v = gp.Variable(0.0)
    with gp.control_dependencies([v.assign_add(1.0)]):
        a = gp.identity(gp.constant(1.0), name="a")
    with gp.control_dependencies([a]):
        b = v.read_value()
    p = program([b])
    copy = rebuild(p, lambda *_: None)
    assert [(o.type, [c.name for c in o.control_inputs]) for o in copy._ops] == [
        (o.type, [c.name for c in o.control_inputs]) for o in p._ops
    ]
    p = passes.optimise(p)
    (read,) = [op for op in p._ops if op.type == "ReadVariableOp"]
    assert [c.name for c in read.control_inputs] == ["a"]
    assert both(b, initialise=[v]) == 1


def test_rebuild_moves_a_control_dependency_to_the_stand_in():
    """a, which b must wait for, is replaced by what it stands for."""
    x = holder(())
    a = gp.identity(gp.exp(x))
    with gp.control_dependencies([a]):
        b = gp.constant(3.0) + x
    p = passes.optimise(program([b], [x]))
    (waiting,) = [op for op in p._ops if op.control_inputs and op.type != "Const"]
    assert [c.type for c in waiting.control_inputs] == ["Exp"]


def test_rebuild_drops_what_nothing_needs():
    x = holder()
    y = gp.exp(x)
    p = program([y], [x])
    after = rebuild(p, lambda out, op, inputs, _: inputs if op.type == "Exp" else None)
    assert after.fetches[0] is after.feeds[0]
    assert isinstance(after, Graph) and types(after) == {}


def test_writes_come_after_all_that_can_fail():
    v = gp.Variable([1.0, 2.0])
    k = gp.placeholder(gp.int32, [1])
    write = v.assign_add([1.0, 1.0])
    loss = gp.nn.sparse_softmax_cross_entropy_with_logits(labels=k, logits=gp.reshape(v, [1, 2]))
    p = passes.optimise(program([loss], [k], [write.op]))
    order = [op.type for op in schedule.order(p).ops]
    assert order.index("AssignAdd") > order.index("SparseSoftmaxCrossEntropyWithLogits")
    for optimise in (True, False):
        session = gp.Session(config=gp.ConfigProto(optimize=optimise))
        session.run(v.initializer)
        with pytest.raises(gp.errors.InvalidArgumentError):
            session.run([loss, write], {k: [5]})
        np.testing.assert_array_equal(session.run(v), [1, 2])


def test_two_writes_that_nothing_orders_are_refused():
    v = gp.Variable(1.0, name="v")
    a, b = v.assign(2.0), v.assign(3.0)
    for optimise in (True, False):
        session = gp.Session(config=gp.ConfigProto(optimize=optimise))
        with pytest.raises(
            gp.errors.InvalidArgumentError, match="'v'.*test_passes.py.*test_passes.py"
        ):
            session.run([a, b])
        assert session.run(a) == 2 and session.run(b) == 3


def test_sizes_that_were_equal_once_are_not_taken_for_equal():
    with gp.Graph().as_default():
        a, b = gp.placeholder(gp.float64, [None]), gp.placeholder(gp.float64, [None])
        step = gp.Session().make_callable(gp.gradients(gp.concat([a, b * b], 0), [a, b]), [a, b])
        for n, m in ((2, 2), (2, 3), (4, 1)):
            da, db = step(np.ones(n), np.full(m, 3.0))
            np.testing.assert_array_equal(da, np.ones(n))
            np.testing.assert_array_equal(db, np.full(m, 6.0))


# ---- sums of products ----------------------------------------------------------------------------


def products_of(n, shape=(4, 5)):
    pairs = [(holder((shape[0], 3)), holder((3, shape[1]))) for _ in range(n)]
    return [x for pair in pairs for x in pair], [gp.matmul(a, b) for a, b in pairs]


def feeds_for(xs):
    rng = np.random.default_rng(0)
    return {x: rng.integers(-3, 4, x.shape.as_list()).astype(np.float32) for x in xs}


@pytest.mark.parametrize("n", [2, 3, 4, 9, 17, 30])
def test_accumulate_adds_products_by_one_operation(n):
    xs, products = products_of(n)
    y = gp.add_n(products)
    after = accumulate.run(simplify.run(program([y], xs)))
    # TensorFlow adds the first of them one by one, the others by eights
    head = head_of_sum(n)
    sums = (head >= accumulate.LEAST) + (n - head) // 8
    assert types(after).get("MatMulSum", 0) == sums
    got = both(y, feeds_for(xs))
    np.testing.assert_array_equal(got, sum(gp.Session().run(products, feeds_for(xs))))


def test_accumulate_leaves_what_others_take():
    xs, products = products_of(6)
    y = gp.add_n(products[:5]) + products[5]
    assert types(accumulate.run(simplify.run(program([y], xs)))) == {"MatMulSum": 1}
    for fetches in ([y, products[2]], [y, gp.exp(products[2])]):
        after = accumulate.run(simplify.run(program(fetches, xs)))
        assert "MatMulSum" not in types(after)
        both(fetches, feeds_for(xs))


def test_accumulate_of_one_product_taken_twice():
    xs, products = products_of(4)
    both(products[0] + products[1] + products[1] + products[2] + products[3], feeds_for(xs))


def test_accumulate_of_sizes_that_differ():
    a, b = gp.placeholder(gp.float64, [None, 3]), gp.placeholder(gp.float64, [1, 3])
    w = gp.placeholder(gp.float64, [3, 2])
    y = gp.matmul(b, w) + gp.matmul(a, w) + gp.matmul(a, w) + gp.matmul(a, w)
    both(y, {a: np.ones((5, 3)), b: np.ones((1, 3)), w: np.ones((3, 2))})


# ---- results that are parts of others ------------------------------------------------------------


def copies(step):
    return str(step.plan).count("y = copy(")


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("join", [gp.concat, gp.stack])
def test_results_are_computed_where_they_are_joined(join, axis):
    x = holder((3, 5))
    parts = [gp.exp(x), x * 2.0, gp.tanh(x)]
    y = join(parts, axis) + 1.0
    step = gp.Session().make_callable(y, [x])
    value = np.arange(15, dtype=np.float32).reshape(3, 5) / 16
    got = step(value)
    assert copies(step) == 0
    np.testing.assert_array_equal(got, both(y, {x: value}))


def test_what_is_joined_twice_fetched_or_taken_often_is_copied():
    x = holder((3, 5))
    value = np.arange(15, dtype=np.float32).reshape(3, 5) / 16
    part = gp.exp(x)
    for fetches, want in [
        (gp.concat([part, part], 1), 1),
        ([gp.concat([part, x], 1), part], 2),
        ([gp.concat([part, x], 1), gp.reduce_sum(part, 0), gp.reduce_max(part, 1)], 2),
        (gp.concat([gp.concat([part, x], 1), gp.concat([x, x], 1)], 0), 5),
    ]:
        step = gp.Session().make_callable(fetches, [x])
        step(value)
        assert copies(step) == want
        both(fetches, {x: value})


def test_a_joined_result_that_another_takes_too():
    x, w = holder((3, 5)), holder((5, 2))
    part = gp.nn.relu(x - 1.0)
    y = gp.concat([part, x], 1)
    for other in (gp.matmul(part, w), gp.reduce_sum(part, 0), part * part, gp.nn.softmax(part)):
        value = np.arange(15, dtype=np.float32).reshape(3, 5)
        both([y, other], {x: value, w: np.ones((5, 2), np.float32)})


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.bool_])
def test_a_constant_of_one_number_takes_the_room_of_one(dtype, unoptimised):
    with gp.Graph().as_default():
        c = gp.constant(np.ones((), dtype), shape=[300, 400])
        x = gp.placeholder(dtype, [None, 300, 400])
        looks = [c, gp.transpose(c), c[::2, 1:], gp.reshape(c, [-1]), gp.concat([c, c], 1)]
        looks += [gp.where(gp.equal(x[0], c), x[0], c), gp.reduce_sum(gp.cast(c, gp.float32))]
        v = gp.Variable(c)
        fed = {x: np.zeros((2, 300, 400), dtype)}
        found = []
        for config in (None, unoptimised):
            with gp.Session(config=config) as sess:
                sess.run(v.initializer)
                found.append(sess.run([*looks, v], fed))
                assert sess.plan(v.initializer).constants.nbytes <= 128
                found[-1][0][:] = 0  # a copy, not the constant itself
        ones = np.ones((300, 400), dtype)
        want = [ones, ones.T, ones[::2, 1:], ones.ravel(), np.hstack([ones, ones]), ones, 120_000]
        for results in found:
            assert not results.pop(0).any()
            for a, b in zip(results, [*want[1:], ones], strict=True):
                np.testing.assert_array_equal(a, b)
        assert c.op.get_attr("value").strides == (0, 0)
