"""Sparse tensors in sessions, embeddings of sparse ids, and plans of their kernels."""

import numpy as np
import pytest
from core_plan import Plan
from specs import numerical

import gradplan as gp
from gradplan import _core, composite

InvalidArgument = gp.errors.InvalidArgumentError
VALUE = gp.SparseTensorValue(
    np.array([[0, 1], [2, 0]]), np.array([1.0, 2.0], np.float32), np.array([3, 4])
)


def same(got, want):
    assert isinstance(got, gp.SparseTensorValue)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


# ---- feeds and fetches ---------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [None, [None, None], [3, None], [3, 4]])
def test_a_session_feeds_and_fetches_them(shape):
    x = gp.sparse_placeholder(gp.float32, shape, name="x")
    assert x.dtype is gp.float32 and x.graph is gp.get_default_graph() and x.op is x.values.op
    double = gp.SparseTensor(x.indices, x.values * 2.0, x.dense_shape)
    session = gp.Session()
    for _ in range(2):  # prepared, then from the cache
        same(session.run(x, {x: VALUE}), VALUE)
    twice = VALUE._replace(values=VALUE.values * 2)
    total = gp.reduce_sum(x.values)
    got = session.run({"a": [x, total], "b": (double, total.op)}, {x: tuple(VALUE)})
    same(got["a"][0], VALUE)
    same(got["b"][0], twice)
    assert got["a"][1] == 3 and got["b"][1] is None
    same(session.run([double, x], {x: list(VALUE)})[0], twice)
    scale = gp.placeholder(gp.float32, [])
    step = session.make_callable([total * scale, x], [scale, x])
    for k in (2, 3):
        number, back = step(k, VALUE)
        assert number == 3 * k
        same(back, VALUE)
    other = gp.SparseTensorValue(np.zeros((0, 2), int), np.zeros(0, np.float32), [3, 4])
    same(step(1, other)[1], other)
    with session:
        same(double.eval({x: VALUE}), twice)
    with pytest.raises(ValueError, match="no default session"):
        double.eval({x: VALUE})


def test_what_cannot_be_fed():
    x = gp.sparse_placeholder(gp.float32, [3, 4])
    session = gp.Session()
    with pytest.raises(TypeError, match="SparseTensorValue"):
        session.run(x, {x: np.zeros((3, 4))})
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        session.run(x, {x: VALUE._replace(indices=np.zeros((2, 3), int))})
    with pytest.raises(InvalidArgument, match="indices"):
        session.run(x)
    with pytest.raises(TypeError, match="SparseTensor cannot be converted"):
        gp.reduce_sum(x)


@pytest.mark.parametrize("target", [[3, 4], [-1], [2, -1, 3], [12], [1, 12, 1], [4, 3]])
def test_reshape(target):
    dense = np.zeros((3, 4), np.float32)
    dense[[2, 0, 1], [3, 1, 0]] = [5, 6, 7]  # not in order
    x = gp.SparseTensor([[2, 3], [0, 1], [1, 0]], [5.0, 6.0, 7.0], [3, 4])
    want = dense.reshape(target)
    y = gp.sparse_reshape(x, target)
    fed = gp.sparse_placeholder(gp.float32)
    later = gp.sparse_reshape(fed, gp.constant(target))
    rank = gp.sparse_reshape(fed, target)
    assert y.get_shape().as_list() == list(want.shape) and len(rank.get_shape()) == want.ndim
    sess = gp.Session()
    for got in sess.run([y, later, rank], {fed: sess.run(x)}):
        assert tuple(got.dense_shape) == want.shape and got.values.tolist() == [5, 6, 7]
        np.testing.assert_array_equal(want[tuple(got.indices.T)], got.values)
    empty = gp.SparseTensorValue(np.zeros((0, 2), np.int64), np.zeros(0, np.float32), [3, 4])
    assert sess.run(rank, {fed: empty}).indices.shape == (0, want.ndim)
    other, words = gp.sparse_reshape(fed, [2, -1, 3]), r"Cannot reshape.*35 elements"
    with pytest.raises(InvalidArgument, match=words):
        sess.run(other, {fed: empty._replace(dense_shape=[5, 7])})


def test_reshape_to_another_number_of_elements():
    x = gp.SparseTensor([[0, 1]], [1.0], [2, 3])
    for bad in ([5], [4, -1], [-1, -1]):
        with pytest.raises(ValueError, match="Cannot reshape|at most one -1"):
            gp.sparse_reshape(x, bad)


@pytest.mark.parametrize("dtype", [gp.int32, gp.int64])
def test_a_placeholder_whose_shape_is_a_tensor(dtype):
    """As programs for graph networks make it."""
    x = gp.sparse_placeholder(gp.float32, shape=gp.constant([4, 3], dtype=dtype))
    y = gp.sparse_tensor_dense_matmul(x, gp.ones([3, 2]))
    assert x.get_shape().as_list() == [4, 3] and y.shape.as_list() == [4, 2]
    value = (np.array([[0, 1]]), np.float32([2.0]), np.array([4, 3]))
    assert gp.Session().run(y, {x: value}).tolist() == [[2.0, 2.0], [0, 0], [0, 0], [0, 0]]
    unknown = gp.sparse_placeholder(gp.float32, gp.placeholder(gp.int64, [2]))
    assert unknown.indices.shape.as_list() == [None, 2]


@pytest.mark.parametrize(
    "parts, exc, words",
    [(([0], [1.0], [2]), ValueError, "rank 2"), (([[0]], 1.0, [2]), ValueError, "rank 1"),
     (([[0]], [1.0], 2), ValueError, "rank 1"), (([[0]], [1.0, 2.0], [2]), ValueError, "fit"),
     (([[0]], [1.0], [2, 2]), ValueError, "fit"), (([[0.5]], [1.0], [2]), TypeError, "int64")],
)  # fmt: skip
def test_what_is_no_sparse_tensor(parts, exc, words):
    with pytest.raises(exc, match=words):
        gp.SparseTensor(*parts)
    with pytest.raises(TypeError, match="sp_input must be a SparseTensor.*test_sparse"):
        gp.sparse_tensor_to_dense(gp.zeros([2]))


def test_static_shape_and_constants():
    x = gp.SparseTensor.from_value(VALUE)
    assert x.shape.as_list() == x.get_shape().as_list() == [3, 4]
    assert gp.SparseTensor.from_value(x) is x and "dense_shape" in repr(x)
    assert gp.sparse_placeholder(gp.float32, [None, 2]).shape.as_list() == [None, None]
    assert gp.sparse_placeholder(gp.float32).shape.ndims is None
    empty = gp.SparseTensor([], gp.zeros([0]), [])
    assert gp.Session().run(empty).indices.shape == (0, 0)
    same(gp.Session().run(gp.sparse_reorder(VALUE)), VALUE)


def test_other_types_can_be_registered():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    before = list(composite._registered)
    try:
        gp.register_session_run_conversion_functions(
            Pair, lambda p: ([p.a, p.b], lambda v: Pair(*v)),
            lambda p, v: [(p.a, v[0]), (p.b, v[1])], lambda p: [p.a, p.b])  # fmt: skip
        pair = Pair(gp.placeholder(gp.float32, []), gp.placeholder(gp.float32, []))
        got, total = gp.Session().run([pair, pair.a + pair.b], {pair: (1, 2)})
        assert (got.a, got.b, total) == (1, 2, 3)
        with pytest.raises(ValueError, match="registered already"):
            gp.register_session_run_conversion_functions(Pair, lambda p: ([], list))
        with pytest.raises(ValueError, match="belong together"):
            gp.register_session_run_conversion_functions(
                dict, lambda p: ([], list), lambda p, v: []
            )
    finally:
        composite._registered[:] = before


# ---- sums ----------------------------------------------------------------------------------------


def test_small_sums_are_left_out():
    x = gp.SparseTensor([[0], [1], [3]], [1.0, -5.0, 2.0], [4])
    y = gp.SparseTensor([[3], [2]], [-2.0, 0.5], [4])
    session = gp.Session()
    got = session.run(gp.sparse_add(x, y, 0.75))
    same(got, ([[0], [1]], [1, -5], [4]))
    same(session.run(gp.sparse_add(x, y, gp.constant(2.0))), ([[1]], [-5], [4]))
    assert session.run(gp.sparse_add(x, y)).indices.ravel().tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match=r"\[4\].*\[5\]"):
        gp.sparse_add(x, gp.SparseTensor([[0]], [1.0], [5]))
    with pytest.raises(ValueError, match=r"\(4,\).*\(1,\)"):
        gp.sparse_add(x, [1.0])
    with pytest.raises(TypeError, match="SparseTensor.*test_sparse"):
        gp.sparse_add([1.0], [1.0])


def test_sums_refuse():
    x = gp.sparse_placeholder(gp.float32)
    assert gp.Session().run(gp.sparse_reduce_sum(x), {x: VALUE}) == 3
    with pytest.raises(ValueError, match="rank must be known.*test_sparse"):
        gp.sparse_reduce_sum(x, 0)
    with pytest.raises(ValueError, match="dimension 2.*test_sparse"):
        gp.sparse_reduce_sum(VALUE, 2)
    with pytest.raises(ValueError, match="rank.*known.*test_sparse"):
        gp.sparse_to_dense(gp.placeholder(gp.int64), [3], 1.0)
    with pytest.raises(ValueError, match="scalar, vector, or matrix.*test_sparse"):
        gp.sparse_to_dense([[[1]]], [3], 1.0)
    np.testing.assert_array_equal(gp.Session().run(gp.sparse_to_dense(2, [3], 1.0)), [0, 0, 1])


def test_products_are_the_same_bits_for_any_number_of_threads(isa):
    rng = np.random.default_rng(0)
    i = np.stack([rng.integers(0, 300, 2000), rng.integers(0, 200, 2000)], 1)
    v, b = rng.standard_normal(2000).astype(np.float32), rng.standard_normal((200, 70)).astype("f")
    outs = []
    for threads in (1, 2):
        session = gp.Session(config=gp.ConfigProto(intra_op_parallelism_threads=threads))
        values, dense = gp.constant(v), gp.constant(b)
        y = gp.sparse_tensor_dense_matmul(gp.SparseTensor(i, values, [300, 200]), dense)
        outs.append(session.run([y, *gp.gradients(gp.reduce_sum(y * y), [values, dense])]))
    for one, two in zip(*outs, strict=True):
        assert one.tobytes() == two.tobytes()
    want = np.zeros((300, 70))
    np.add.at(want, i[:, 0], v[:, None].astype(float) * b[i[:, 1]])
    np.testing.assert_allclose(outs[0][0], want, 1e-4, 1e-4)


# ---- embeddings ----------------------------------------------------------------------------------

IDS = [[0, 0], [0, 1], [2, 0], [2, 1], [2, 2]], [0, 8, 4, 5, 4], [4, 3]
WEIGHTS = [0.5, 1.0, 2.0, 3.0, -1.0]
K = 3


def embedded(table, combiner, weights, max_norm=None):
    """The definition, id by id."""
    out = np.zeros((4, *table.shape[1:]))
    for row in (0, 2):
        mine = [k for k, (i, _) in enumerate(IDS[0]) if i == row]
        w = np.array([weights[k] for k in mine])
        rows = [table[IDS[1][k]] for k in mine]
        if max_norm is not None:
            rows = [r * min(1, max_norm / np.linalg.norm(r)) for r in rows]
        total = sum(a * r for a, r in zip(w, rows, strict=True))
        out[row] = total / {"sum": 1, "mean": w.sum(), "sqrtn": np.sqrt((w**2).sum())}[combiner]
    return out


@pytest.mark.parametrize("strategy", ["mod", "div"])
@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
@pytest.mark.parametrize("weighted", [False, True])
def test_embedding_lookup_sparse(strategy, combiner, weighted):
    rng = np.random.default_rng(1)
    table = rng.standard_normal((10, 2))
    shards = [table[p::K] if strategy == "mod" else table[[0, 4, 7][p] : [4, 7, 10][p]]
              for p in range(K)]  # fmt: skip
    ids = gp.SparseTensor(*IDS)
    weights = (
        gp.SparseTensor(IDS[0], gp.constant(WEIGHTS, gp.float64), IDS[2]) if weighted else None
    )
    numbers = WEIGHTS if weighted else [1.0] * 5
    session = gp.Session()
    for max_norm in (None, 0.7):
        want = embedded(table, combiner, numbers, max_norm)
        for params in (table, shards):
            tensors = gp.constant(table) if params is table else [gp.constant(s) for s in shards]
            out = gp.nn.embedding_lookup_sparse(
                tensors, ids, weights, strategy, combiner=combiner, max_norm=max_norm
            )
            np.testing.assert_allclose(session.run(out), want, 1e-12, 1e-12)
    flat = gp.placeholder(gp.float64, [10, 2])
    out = gp.nn.embedding_lookup_sparse(flat, ids, weights, combiner=combiner, max_norm=0.7)
    assert out.shape.as_list() == [4, 2]
    w = rng.standard_normal([4, 2])
    g = gp.convert_to_tensor(gp.gradients(gp.reduce_sum(out * w), flat)[0])
    direction = rng.standard_normal(table.shape)
    slope = (session.run(g, {flat: table}) * direction).sum()
    up, down = [
        (embedded(table + h * direction, combiner, numbers, 0.7) * w).sum() for h in (1e-6, -1e-6)
    ]
    np.testing.assert_allclose(slope, (up - down) / 2e-6, 1e-6, 1e-8)


#: Rows of the parts that hold the ids [0, 8, 4, 5, 4], by strategy.
TOUCHED = {"one": [[0, 4, 5, 8]], "mod": [[0], [1], [1, 2]], "div": [[0], [0, 1], [1]]}


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("max_norm", [None, 0.7])
@pytest.mark.parametrize("parts", TOUCHED)
@pytest.mark.parametrize("inner", [(2,), (), (2, 2)], ids=str)
def test_the_gradient_of_an_embedding_is_slices(inner, parts, max_norm, optimize):
    rng = np.random.default_rng(4)
    lengths = {"one": [10], "mod": [4, 3, 3], "div": [4, 3, 3]}[parts]
    tables = [rng.uniform(0.3, 1.0, (n, *inner)) for n in lengths]
    xs = [gp.placeholder(gp.float64, t.shape) for t in tables]
    fed = gp.sparse_placeholder(gp.int64)
    more = [gp.placeholder(gp.float64, [None])]
    out = gp.nn.embedding_lookup_sparse(
        xs, fed, gp.SparseTensor(fed.indices, more[0], fed.dense_shape),
        "mod" if parts == "one" else parts, combiner="sqrtn", max_norm=max_norm,
    )  # fmt: skip
    y = gp.reduce_sum(gp.sin(out) * np.arange(1.0, 5.0).reshape(4, *[1] * len(inner)))
    first = gp.gradients(y, xs)
    assert all([isinstance(g, gp.IndexedSlices) for g in first])
    whole = [gp.convert_to_tensor(g) for g in first]
    size = gp.add_n([gp.reduce_sum(gp.square(g)) for g in whole])
    second = [gp.convert_to_tensor(g) for g in gp.gradients(size, [*xs, *more])]
    session = gp.Session(config=gp.ConfigProto(optimize=optimize))
    ids = gp.SparseTensorValue(np.array(IDS[0]), np.array(IDS[1]), np.array(IDS[2]))
    given = {**dict(zip(xs, tables, strict=True)), fed: ids, more[0]: np.array(WEIGHTS)}
    got = session.run([first, whole, second], given)
    for k, (x, slices, dense) in enumerate(zip(xs, *got[:2], strict=True)):
        rows = slices.indices if max_norm is None else set(slices.indices)  # each once
        assert sorted(rows) == TOUCHED[parts][k]
        np.testing.assert_array_equal(slices.dense_shape, x.shape.as_list())
        by_hand = np.zeros(x.shape.as_list())
        np.add.at(by_hand, slices.indices, slices.values)
        np.testing.assert_allclose(dense, by_hand, 1e-12, 1e-12)
    for derivative, f, at in [(got[1], y, xs), (got[2], size, [*xs, *more])]:
        for g, x in zip(derivative, at, strict=True):
            want = numerical(lambda v, f=f, x=x: session.run(f, {**given, x: v}), given[x])
            np.testing.assert_allclose(g, want, 1e-6, 1e-7)


def test_a_part_that_holds_no_id_is_left_alone():
    parts = [gp.Variable(np.ones((3, 2))) for _ in range(2)]
    y = gp.nn.embedding_lookup_sparse(parts, gp.SparseTensor([[0, 0]], [3], [1, 1]), None)
    optimizer = gp.train.MomentumOptimizer(0.1, 0.9)
    step = optimizer.minimize(gp.reduce_sum(y))
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for v in parts:
            sess.run(optimizer.get_slot(v, "momentum").assign(np.ones((3, 2))))
        sess.run(step)
        np.testing.assert_array_equal(sess.run(parts[0]), np.ones((3, 2)))
        np.testing.assert_allclose(sess.run(parts[1])[:, 0], [1, 1 - 0.1 * 1.9, 1], 1e-6)


@pytest.mark.parametrize("optimize", [True, False])
def test_rows_of_parts_that_follow_from_constants_and_shapes(optimize):
    """How many there are is known when a plan is bound, and no tile program hides it from that."""
    parts = [gp.placeholder(gp.float32, [2, 3]) for _ in range(2)]
    v = gp.placeholder(gp.float32, [3])
    ids = gp.SparseTensor([[0, 0], [0, 1], [1, 0]], np.int64([3, 0, 1]), [2, 2])
    weights = gp.SparseTensor(ids.indices, v, ids.dense_shape)
    out = gp.nn.embedding_lookup_sparse(parts, ids, weights, "div", combiner="sum")
    session = gp.Session(config=gp.ConfigProto(optimize=optimize))
    fed = {parts[0]: np.ones((2, 3)), parts[1]: np.ones((2, 3)), v: np.array([2.0, 3.0, 4.0])}
    first, last = session.run(gp.gradients(out, parts), fed)
    assert first.indices.tolist() == [0, 1] and first.values[:, 0].tolist() == [3.0, 4.0]
    assert last.indices.tolist() == [1] and last.values[:, 0].tolist() == [2.0]


def test_a_variable_in_parts_is_a_list_of_them():
    w = gp.get_variable("w", [5, 2], partitioner=gp.fixed_size_partitioner(2))
    ids = gp.SparseTensor([[0, 0], [1, 0], [2, 0]], [0, 1, 3], [3, 1])
    for strategy in ("mod", "div"):
        outs = [gp.nn.embedding_lookup_sparse(p, ids, None, strategy) for p in (w, list(w))]
        assert isinstance(gp.gradients(outs[0], list(w))[0], gp.IndexedSlices)
        with gp.Session() as sess:
            sess.run(gp.global_variables_initializer())
            one, other, first = sess.run([*outs, w.as_tensor()])
        np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(one, first[[0, 3, 4] if strategy == "mod" else [0, 1, 3]])


def test_an_embedding_inside_a_loop_is_of_the_loop():
    w = gp.Variable(np.ones((4, 2)))
    ids = gp.SparseTensor([[0, 0]], [2], [1, 1])

    def trip(i, total):
        with gp.control_dependencies([w.assign_add(np.ones((4, 2)))]):
            return i + 1, total + gp.nn.embedding_lookup_sparse(w, ids, None)

    total = gp.while_loop(lambda i, _: i < 3, trip, [0, gp.zeros([1, 2], gp.float64)])[1]
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        np.testing.assert_array_equal(sess.run(total), [[9.0, 9.0]])


def test_embeddings_of_any_rank_and_of_fed_ids():
    table = np.random.default_rng(2).standard_normal((9, 2, 3)).astype(np.float32)
    ids = gp.sparse_placeholder(gp.int32)
    fed = gp.SparseTensorValue(np.array(IDS[0]), np.array(IDS[1], np.int32), np.array(IDS[2]))
    session = gp.Session()
    for shape in ([9, 2, 3], None):
        params = gp.placeholder(gp.float32, shape)
        out = gp.nn.embedding_lookup_sparse(params, ids, None)
        got = session.run(out, {params: table, ids: fed})
        np.testing.assert_allclose(got, embedded(table, "mean", [1.0] * 5), 1e-5, 1e-6)
    with pytest.raises(InvalidArgument, match=r"9 at position 3 is not in \[0, 9\)"):
        bad = fed._replace(values=np.array([0, 9, 1, 2, 3], np.int32))
        session.run(out, {params: table, ids: bad})


@pytest.mark.parametrize("strategy", ["mod", "div"])
@pytest.mark.parametrize("number", [-1, 10, 99])
def test_ids_out_of_range_are_found_in_any_part(strategy, number):
    parts = [gp.ones([n, 2]) for n in (4, 3, 3)]
    ids = gp.SparseTensor([[0, 0]], [number], [1, 1])
    for found in (
        gp.nn.embedding_lookup_sparse(parts, ids, None, strategy),
        gp.nn.embedding_lookup(parts, [0, number], strategy),
    ):
        with pytest.raises(InvalidArgument, match=r"is not in \[0, (3|10|12)\).*test_sparse"):
            gp.Session().run(found)


@pytest.mark.parametrize(
    "args, more, words",
    [(([], IDS, None), {}, "no table"), (([[1.0]], IDS, None), {"combiner": "max"}, "'max'"),
     (([[1.0]], IDS, None), {"partition_strategy": "x"}, "'x'")],
)  # fmt: skip
def test_embedding_lookup_sparse_refuses(args, more, words):
    params, ids, weights = args
    with pytest.raises(ValueError, match=f"embedding_lookup_sparse.*{words}.*test_sparse"):
        gp.nn.embedding_lookup_sparse(params, gp.SparseTensor(*ids), weights, **more)
    with pytest.raises(TypeError, match="sp_ids must be a SparseTensor"):
        gp.nn.embedding_lookup_sparse([[1.0]], [1, 2], None)
    with pytest.raises(ValueError, match=r"\(2,\).*\(5,\)"):
        few = gp.SparseTensor([[0, 0], [0, 1]], [1.0, 2.0], IDS[2])
        gp.nn.embedding_lookup_sparse(gp.ones([9, 2]), gp.SparseTensor(*ids), few)


# ---- malformed plans -----------------------------------------------------------------------------

F, LONG, B = np.float32, np.int64, np.bool_
PAIRS, FIVE = np.zeros((5, 2), LONG), np.zeros(5, F)
GOOD = {
    "sparse_matmul": ([(F, (3, 2))], [PAIRS, FIVE, np.zeros((4, 2), F)], (0,)),
    "sparse_dots": ([(F, (5,))], [PAIRS, np.zeros((3, 4), F), np.zeros((2, 4), F)], ()),
    "sparse_add": ([(F, (3, 4, 2))], [PAIRS, np.zeros((5, 2), F)], ()),
    "sparse_softmax": ([(F, (5,))], [PAIRS, FIVE], ()),
    "sparse_gather": ([(F, (5, 2))], [np.zeros((3, 4, 2), F), PAIRS], ()),
    "sparse_set": ([(F, (3, 4))], [PAIRS, FIVE], (0,)),
    "sparse_order": ([(LONG, (5,)), (LONG, (5,))], [PAIRS], ()),
    "sparse_unique": ([(LONG, (5,)), (LONG, (5,)), (LONG, ())], [PAIRS, np.arange(5)], ()),
    "sparse_where": ([(LONG, (5,)), (LONG, ())], [np.zeros(5, B)], ()),
}


def plan_of(kernel, outs, ins, attrs):
    plan = Plan()
    made = [plan.arena(*o) for o in outs]
    plan.call(kernel, made, [plan.input(x) for x in ins], list(attrs))
    return plan


@pytest.mark.parametrize("kernel", GOOD)
def test_plans_are_checked(kernel):
    outs, ins, attrs = GOOD[kernel]
    plan_of(kernel, outs, ins, attrs).build()
    wrong = [
        ("number of arguments", outs[:-1], ins, attrs),
        ("number of arguments", outs, ins[:-1], attrs),
        ("number of attributes", outs, ins, (*attrs, 1)),
    ]
    for i, (kind, dims) in enumerate(outs):
        other = np.int32 if kind is LONG else np.float64
        shapes = [(9, *dims[1:]), (*dims, 2)] if dims else [(2,)]
        if kernel in ("sparse_add", "sparse_set", "sparse_matmul"):
            shapes = [(*dims, 2), dims[:-1]]  # the first dimension is free
        wrong += [("", [*outs[:i], (kind, s), *outs[i + 1 :]], ins, attrs) for s in shapes]
        wrong.append(("dtype", [*outs[:i], (other, dims), *outs[i + 1 :]], ins, attrs))
    for i, x in enumerate(ins):
        more = np.zeros((x.shape[0] + 2, *x.shape[1:]), x.dtype)[:-1]
        gaps = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)[..., ::2]
        odd = x.astype(np.float64)
        wrong.append(("not contiguous", outs, [*ins[:i], gaps, *ins[i + 1 :]], attrs))
        if x.dtype != B:
            wrong.append(("dtype", outs, [*ins[:i], odd, *ins[i + 1 :]], attrs))
        if (kernel, i) not in {("sparse_matmul", 2), ("sparse_dots", 1), ("sparse_dots", 2),
                               ("sparse_gather", 0)}:  # fmt: skip
            wrong.append(("disagree", outs, [*ins[:i], more, *ins[i + 1 :]], attrs))
        wrong.append(("", outs, [*ins[:i], np.zeros((*x.shape, 1), x.dtype), *ins[i + 1 :]], attrs))
    for words, *parts in wrong:
        with pytest.raises(ValueError, match=f"malformed plan.*{words}"):
            plan_of(kernel, *parts).build()


def test_an_order_that_is_none_is_refused():
    outs, (pairs, _), attrs = GOOD["sparse_unique"]
    plan = plan_of("sparse_unique", outs, [pairs, np.array([0, 1, 7, 2, 3])], attrs)
    with pytest.raises(Exception, match="7"):
        plan.run()
    assert "sparse_unique" in _core.kernels()
