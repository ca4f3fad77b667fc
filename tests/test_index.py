"""Indexing, segments, sorting and sets: what their rows in ``specs_index.py`` cannot hold."""

import numpy as np
import pytest
from core_plan import Plan, call

import gradplan as gp
from gradplan import _core
from gradplan.gradients import dense_gradients

UNOPTIMISED = gp.ConfigProto(optimize=False)
InvalidArgument = gp.errors.InvalidArgumentError
NAN, INF = np.nan, np.inf
I4, I8, F, D, B = np.int32, np.int64, np.float32, np.float64, np.bool_


@pytest.fixture(params=[None, UNOPTIMISED], ids=["optimised", "unoptimised"])
def config(request):
    return request.param


# ---- variables: a bad index changes nothing ------------------------------------------------------

SCATTERS = [gp.scatter_update, gp.scatter_add, gp.scatter_sub, gp.scatter_mul, gp.scatter_div,
            gp.scatter_min, gp.scatter_max]  # fmt: skip


@pytest.mark.parametrize("scatter", SCATTERS)
def test_a_bad_row_leaves_every_variable_as_it_was(scatter, config):
    v, w = gp.Variable([1.0, 2.0, 3.0]), gp.Variable([1.0, 2.0, 3.0])
    i = gp.placeholder(gp.int32, [None])
    step = [scatter(v, [0, 1], [5.0, 7.0]), scatter(w, i, 9.0)]
    sess = gp.Session(config=config)
    sess.run([v.initializer, w.initializer])
    for bad, place in (([0, 3], 1), ([-1], 0)):
        with pytest.raises(InvalidArgument, match=rf"{bad[place]} at position {place} .*\[0, 3\)"):
            sess.run(step, {i: bad})
        for variable in (v, w):
            np.testing.assert_array_equal(sess.run(variable), [1, 2, 3])
    sess.run(step, {i: [2]})
    assert sess.run(v)[0] != 1 or scatter is gp.scatter_min


@pytest.mark.parametrize("scatter", [gp.scatter_nd_update, gp.scatter_nd_add, gp.scatter_nd_sub])
def test_a_bad_index_vector_leaves_the_variable_as_it_was(scatter, config):
    v = gp.Variable(np.ones((2, 3), F))
    i = gp.placeholder(gp.int64, [None, None])
    out = scatter(v, i, [5.0, 7.0])
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    with pytest.raises(InvalidArgument, match=r"3 at position 3 .*\[0, 3\).*test_index.py"):
        sess.run(out, {i: [[0, 0], [1, 3]]})
    assert (sess.run(v) == 1).all()
    with pytest.raises(InvalidArgument, match=r"updates must have shape \(2, 3\)"):
        sess.run(out, {i: [[0], [1]]})  # these name rows of 3
    assert sess.run(out, {i: [[0, 0], [1, 2]]})[1, 2] != 1


def test_integers_are_not_divided_by_zero(config):
    v, d = gp.Variable([7, -8, 9]), gp.placeholder(gp.int32, [2])
    out = gp.scatter_div(v, [0, 1], d)
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    with pytest.raises(InvalidArgument, match="ScatterDiv.*division by zero at element 1"):
        sess.run(out, {d: [2, 0]})
    assert sess.run(v).tolist() == [7, -8, 9]
    assert sess.run(out, {d: [2, 3]}).tolist() == [3, -2, 9]
    least = np.iinfo(I4).min
    v.load([least, 0, 0], sess)
    assert sess.run(out, {d: [-1, 1]})[0] == least  # wraps


def test_rows_of_the_variable_itself(config):
    v = gp.Variable([1.0, 2.0, 3.0])
    out = gp.scatter_update(v, [2, 1, 0], v)
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    assert sess.run(out).tolist() == [3, 2, 1]
    assert sess.run(out).tolist() == [1, 2, 3]


def test_only_a_variable_is_scattered_to():
    with pytest.raises(TypeError, match="Variable"):
        gp.scatter_add(gp.constant([1.0]), [0], [1.0])
    with pytest.raises(ValueError, match="scalar"):
        gp.scatter_add(gp.Variable(1.0), [0], [1.0])


def test_reads_before_and_after_a_scatter(config):
    v = gp.Variable([1.0, 2.0])
    old = v.read_value() + 0.0
    new = gp.scatter_add(v, [1], [5.0])
    sess = gp.Session(config=config)
    sess.run(v.initializer)
    a, b = sess.run([old, new])
    assert a.tolist() == [1, 2] and b.tolist() == [1, 7]


# ---- NaN, zeros of both signs, ties --------------------------------------------------------------

ODD = [1.0, NAN, -0.0, INF, 0.0, -INF, -1.0, NAN]


@pytest.mark.parametrize("dtype", [F, D])
@pytest.mark.parametrize("repeats", [1, 9])  # by insertion, by the bytes of the keys
def test_order_of_what_is_no_number(dtype, repeats, isa):
    x = np.array(ODD * repeats, dtype)
    values, where = gp.Session().run([gp.sort(x), gp.argsort(x)])
    np.testing.assert_array_equal(values, np.sort(x))  # NaN last
    np.testing.assert_array_equal(where, np.argsort(x, kind="stable"))
    top = gp.nn.top_k(np.tile(x, 40), 20 * repeats)  # selected
    values, where = gp.Session().run(list(top))
    nans = np.flatnonzero(np.isnan(np.tile(x, 40)))
    np.testing.assert_array_equal(where, nans[: 20 * repeats])


def test_integers_at_the_edge_are_ordered(isa):
    for dtype in (I4, I8):
        info = np.iinfo(dtype)
        x = np.array([0, info.min, -1, info.max, info.min, 1] * 20, dtype)
        np.testing.assert_array_equal(gp.Session().run(gp.sort(x)), np.sort(x))
        np.testing.assert_array_equal(gp.Session().run(gp.nn.top_k(x, 2).values), [info.max] * 2)


@pytest.mark.parametrize("dtype", [F, D])
def test_distinct_floats(dtype):
    """0 and -0 are equal, a NaN is equal to nothing."""
    y, idx, count = gp.Session().run(list(gp.unique_with_counts(np.array(ODD, dtype))))
    np.testing.assert_array_equal(y, np.array([1, NAN, 0, INF, -INF, -1, NAN], dtype))
    assert idx.tolist() == [0, 1, 2, 3, 2, 4, 5, 6] and count.tolist() == [1, 1, 2, 1, 1, 1, 1]
    out = gp.setdiff1d(np.array(ODD, dtype), np.array([0, NAN, 1], dtype))
    np.testing.assert_array_equal(gp.Session().run(out.idx), [1, 3, 5, 6, 7])


def test_many_distinct_elements():
    x = np.random.default_rng(0).integers(0, 2**40, 20000) * 2**20
    y, idx = gp.Session().run(list(gp.unique(x)))
    np.testing.assert_array_equal(y[idx], x)
    assert len(set(y.tolist())) == len(y)


def test_in_top_k_cannot_say():
    x = np.array([[1, 2, 3], [1, NAN, 3], [1, 2, INF], [1, 2, 3], [1, 2, 3], [2, 2, 2]], F)
    got = gp.Session().run(gp.nn.in_top_k(x, [2, 2, 1, 3, -1, 1], 1))
    assert got.tolist() == [True, False, False, False, False, True]
    assert gp.Session().run(gp.nn.in_top_k(np.zeros((2, 0), F), [0, 1], 1)).tolist() == [False] * 2
    for x, t, words in ((np.zeros((2, 3), F), [0] * 3, r"\(3,\)"), (np.zeros(2, F), [0], "rank 2")):
        with pytest.raises(ValueError, match=f"in_top_k.*{words}.*test_index.py"):
            gp.nn.in_top_k(x, t, 1)
    x, t = gp.placeholder(gp.float32), gp.placeholder(gp.int32, [None])
    with pytest.raises(InvalidArgument, match="test_index.py"):
        gp.Session().run(gp.nn.in_top_k(x, t, 1), {x: np.zeros((3, 2)), t: [0]})


# ---- derivatives where updates collide -----------------------------------------------------------


def test_an_update_that_is_overwritten_has_no_derivative():
    x, u = gp.constant([1.0, 2.0, 3.0]), gp.constant([4.0, 5.0, 6.0])
    y = gp.tensor_scatter_update(x, [[1], [1], [0]], u)
    dx, du = gp.Session().run(gp.gradients(gp.reduce_sum(y * y), [x, u]))
    assert dx.tolist() == [0, 0, 6] and du.tolist() == [0, 10, 12]
    y = gp.dynamic_stitch([[0, 1], [1]], [x[:2], u[:1]])
    dx, du = gp.Session().run(gp.gradients(gp.reduce_sum(y * y), [x, u]))
    assert dx.tolist() == [2, 0, 0] and du.tolist() == [8, 0, 0]


@pytest.mark.parametrize("zeros", [0, 1, 2])
def test_gradient_of_a_product_with_zeros(zeros):
    x = np.array([2.0, 3.0, 5.0, 7.0])
    x[:zeros] = 0
    t = gp.constant(x)
    for y in (gp.segment_prod(t, [0, 0, 0, 1]), gp.unsorted_segment_prod(t, [0, 0, 0, 1], 2)):
        want = [np.prod(np.delete(x[:3], k)) for k in range(3)] + [1]
        np.testing.assert_allclose(gp.Session().run(gp.gradients(y, t)[0]), want)


# ---- sizes that depend on the data ---------------------------------------------------------------


def test_segments_of_a_length_that_only_a_feed_tells(config):
    x, ids = gp.placeholder(gp.float32, [None, 3]), gp.placeholder(gp.int64, [None])
    step = gp.Session(config=config).make_callable(gp.segment_sum(x, ids) * 2.0, [x, ids])
    for n in (5, 200, 0):
        data = np.ones((n, 3), F)
        got = step(data, np.arange(n) // 2)
        assert got.shape == (-(-n // 2), 3) and got.sum() == 6 * n
    for bad, words in (([0, 2, 1], "order"), ([-1, 0, 0], "-1 at position 0"),
                       ([0, 0, 2**60], str(2**60))):  # fmt: skip
        with pytest.raises(InvalidArgument, match=f"SegmentCount.*{words}.*test_index.py"):
            step(np.ones((3, 3)), bad)


def test_few_fed_ids_are_data():
    """A plan is bound for how many segments there are, not for the ids themselves."""
    ids = gp.placeholder(gp.int32, [4])
    y, n = gp.segment_sum(gp.constant([1.0, 2.0, 3.0, 4.0]), ids), gp.unique(ids).y
    step = gp.Session().make_callable([y, n], [ids])
    for few in ([0, 0, 1, 1], [0, 1, 1, 1], [0, 0, 0, 1], [1, 1, 1, 1]):
        sums, distinct = step(few)
        assert sums.tolist() == np.bincount(few, [1, 2, 3, 4]).tolist()
        assert distinct.tolist() == sorted(set(few))
    assert len(step.plans) == 2


def test_sorted_segments_with_a_number_of_segments():
    x, ids = gp.constant([1.0, 2.0]), gp.placeholder(gp.int32, [None])
    out = gp.sparse_segment_sum(x, [0, 1, 1], ids, num_segments=3)
    sess = gp.Session()
    assert sess.run(out, {ids: [0, 1, 1]}).tolist() == [1, 4, 0]
    for bad, words in (([0, 2, 1], "order"), ([-1, 0, 0], "-1"), ([0, 1, 3], "3 at position 2")):
        with pytest.raises(InvalidArgument, match=words):
            sess.run(out, {ids: bad})


def test_training_through_a_mask(config):
    x, keep = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.bool, [None])
    w = gp.Variable(2.0)
    loss = gp.reduce_sum(gp.boolean_mask(x * w, keep))
    train = gp.train.GradientDescentOptimizer(0.5).minimize(loss)
    sess = gp.Session(config=config)
    sess.run(gp.global_variables_initializer())
    value, _ = sess.run([loss, train], {x: [1, 2, 3], keep: [True, False, True]})
    assert value == 8 and sess.run(w) == 0
    with pytest.raises(InvalidArgument, match="Reshape.*test_index.py"):
        sess.run(loss, {x: [1, 2, 3], keep: [True, False]})


def test_sizes_and_axes_may_be_tensors(config):
    n, axis = gp.placeholder(gp.int32, []), gp.placeholder(gp.int32, [])
    x = gp.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    sess = gp.Session(config=config)
    assert sess.run(gp.nn.top_k(x, n).values, {n: 2}).tolist() == [[3, 2], [6, 5]]
    assert sess.run(gp.one_hot([1], n), {n: 3}).tolist() == [[0, 1, 0]]
    assert sess.run(gp.unsorted_segment_sum(x, [1, 1], n), {n: 2})[1].tolist() == [5, 7, 9]
    taken = gp.gather(x, [1], axis=axis)
    assert sess.run(taken, {axis: 0}).tolist() == [[4, 5, 6]]
    assert sess.run(taken, {axis: -1}).tolist() == [[2], [5]]
    (g,) = gp.gradients(taken, x)
    assert sess.run(g, {axis: 1}).tolist() == [[0, 1, 0]] * 2
    with pytest.raises(InvalidArgument, match="axis 2.*test_index.py"):
        sess.run(taken, {axis: 2})
    with pytest.raises(InvalidArgument, match="k = 4.*test_index.py"):
        sess.run(gp.nn.top_k(x, n).values, {n: 4})
    shape = gp.placeholder(gp.int32, [1])
    assert sess.run(gp.scatter_nd([[1]], [5.0], shape), {shape: [3]}).tolist() == [0, 5, 0]


# ---- calls that must fail ------------------------------------------------------------------------

X = np.zeros((2, 3), F)


@pytest.mark.parametrize(
    "build, exc, words",
    [
        (lambda: gp.where([True], x=[1]), ValueError, "both"),
        (lambda: gp.unique([1, 2], out_idx=gp.float32), TypeError, "unique.*float32"),
        (lambda: gp.setdiff1d([1], [2], index_dtype=gp.bool), TypeError, "setdiff1d.*bool"),
        (lambda: gp.dynamic_stitch([], []), ValueError, "dynamic_stitch.*0"),
        (lambda: gp.dynamic_stitch([[0]], [[1], [2]]), ValueError, "1 indices and 2"),
        (lambda: gp.dynamic_stitch([[0]], [[1, 2]]), ValueError, r"\(2,\).*\(1,\)"),
        (lambda: gp.one_hot([1], 2, on_value=1, off_value=0.0), TypeError, "one_hot.*float32"),
        (lambda: gp.batch_gather([1], 0), ValueError, "batch_gather.*vector"),
        (lambda: gp.batch_gather([1], gp.placeholder(gp.int32)), ValueError, "known rank"),
        (lambda: gp.histogram_fixed_width([1.0], [0.0, 1.0], dtype="float32"), TypeError, "float"),
        (lambda: gp.bincount([1, 2], [1.0]), ValueError, r"\(1,\).*\(2,\)"),
        (lambda: gp.nn.embedding_lookup([], [0]), ValueError, "at least one"),
        (lambda: gp.nn.embedding_lookup(X, [0], "hash"), ValueError, "'hash'"),
        (lambda: gp.scatter_nd([[2**62, 0]], [1], [2**40, 2**40]), ValueError, "2\\*\\*47"),
        (lambda: gp.boolean_mask(X, gp.placeholder(gp.bool)), ValueError, "known rank"),
        (lambda: gp.reshape(X, gp.placeholder(gp.int32, [65])), ValueError, "not of 65"),
    ],
)
def test_refused(build, exc, words):
    with pytest.raises(exc, match=words):
        build()


@pytest.mark.parametrize(
    "build, words",
    [
        (lambda i: gp.nn.embedding_lookup([X, X], i), "position 1"),
        (lambda i: gp.nn.embedding_lookup([X, X], i, "div"), "position 1"),
        (lambda i: gp.nn.embedding_lookup(X, i), r"position 1 .*\[0, 2\)"),
        (lambda i: gp.gather(X, i), r"position 1 .*\[0, 2\)"),
        (lambda i: gp.gradients(gp.gather(gp.constant(X) * 2.0, i), [])
         or gp.unsorted_segment_sum([1.0, 2.0], gp.abs(i), 2), r"position 1 .*\[0, 2\)"),
        (lambda i: gp.dynamic_partition([1, 2], i, 2), r"position 1 .*\[0, 2\)"),
        (lambda i: gp.invert_permutation(i), r"position 1 .*\[0, 2\)"),
    ],
)  # fmt: skip
def test_out_of_range(build, words, config):
    i = gp.placeholder(gp.int32, [2])
    out = build(i)
    for bad in (9, -9):
        with pytest.raises(InvalidArgument, match=f"{words}.*test_index.py|position 0.*test_index"):
            gp.Session(config=config).run(out, {i: [1, bad]})


def test_a_gradient_alone_refuses_a_bad_index():
    x, i = gp.Variable([1.0, 2.0]), gp.placeholder(gp.int32, [1])
    (g,) = dense_gradients(gp.gather(x, i), x)
    sess = gp.Session()
    for bad in (-1, 2):
        with pytest.raises(InvalidArgument, match=f"GatherGrad.*{bad} at position 0"):
            sess.run(g, {i: [bad]})


# ---- gradients of rows ---------------------------------------------------------------------------


TAKEN = {
    "gather": lambda w: gp.gather(w, [2, 0, 2]),
    "lookup": lambda w: gp.nn.embedding_lookup(w, [[2], [0]]),
    "one row": lambda w: gp.gather(w, 1),
    "none": lambda w: gp.gather(w, np.zeros([0], np.int64)),
    "twice": lambda w: gp.add_n([gp.gather(w, [1, 1]), gp.gather(w, np.array([0, 2], np.int64))]),
    "negative": lambda w: gp.gather(-w, [1, 0]),
    "points": lambda w: gp.gather_nd(w, [[2], [0]]),
}


@pytest.mark.parametrize("shape", [(3, 2), (3,), (3, 0), (3, 2, 1)], ids=str)
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("how", TAKEN)
def test_the_gradient_of_rows_is_slices(how, known, shape):
    value = np.arange(np.prod(shape), dtype="f8").reshape(shape)
    w = gp.placeholder(gp.float64, shape if known else [None] * len(shape))
    y = gp.square(TAKEN[how](w))
    (g,), (dense,) = gp.gradients(y, w), dense_gradients(y, w)
    assert isinstance(g, gp.IndexedSlices)
    (second,), (want,) = gp.gradients(g.values, w), dense_gradients(dense, w)
    with gp.Session() as sess:
        got, at, whole = sess.run(g, {w: value})
        by_hand = np.zeros(shape)
        np.add.at(by_hand, at, got)
        assert tuple(whole) == shape and at.shape == (len(got),)
        np.testing.assert_allclose(by_hand, sess.run(dense, {w: value}))
        np.testing.assert_allclose(sess.run(gp.convert_to_tensor(g), {w: value}), by_hand)
        np.testing.assert_allclose(
            sess.run(gp.convert_to_tensor(second), {w: value}), sess.run(want, {w: value})
        )


@pytest.mark.parametrize(
    "use",
    [
        lambda w: gp.reduce_sum(gp.gather(w, [0])) + gp.reduce_sum(w * w),
        lambda w: gp.gather(w, [0], axis=1),
        lambda w: gp.gather(gp.reshape(w, [2, 3]), [0]),
        lambda w: gp.gather(gp.square(w), [0]),
        lambda w: gp.boolean_mask(w, [True, False, True]),
        lambda w: gp.dynamic_partition(w, [0, 1, 0], 2)[0],
        lambda w: gp.sparse_segment_sum(w, [0, 2], [0, 0]),
        lambda w: gp.gather_nd(w, [[0, 1]]),
    ],
)
def test_the_gradient_of_anything_else_is_a_tensor(use):
    w = gp.constant(np.ones((3, 2), F))
    assert isinstance(gp.gradients(use(w), w)[0], gp.Tensor)


def test_slices_are_clipped_applied_added_fed_and_weigh_gradients():
    w = gp.Variable(np.ones((4, 2), F))
    (g,) = gp.gradients(gp.reduce_sum(gp.gather(w, [1, 3])) * 3.0, w)
    clipped, norm = gp.clip_by_global_norm([g, None], 1.0)
    one = gp.clip_by_norm(g, 1.0)
    step = gp.train.GradientDescentOptimizer(1.0).apply_gradients([(clipped[0], w)])
    total = gp.add_n([g, gp.ones([4, 2]), g])
    weighed = gp.gradients(w * 2.0, w, grad_ys=g)[0]
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        assert sess.run(norm) == sess.run(gp.global_norm([g])) == 6.0
        assert isinstance(sess.run(g), gp.IndexedSlicesValue)
        np.testing.assert_allclose(sess.run(one).values, np.full((2, 2), 0.5))
        np.testing.assert_allclose(sess.run(total)[:, 0], [1, 7, 1, 7])
        np.testing.assert_allclose(sess.run(weighed)[:, 0], [0, 6, 0, 6])
        fed = gp.IndexedSlicesValue(np.ones((2, 2), F), np.array([2, 2], np.int32), [4, 2])
        given = sess.run(gp.convert_to_tensor(g), {g: fed})
        np.testing.assert_allclose(given[:, 0], [0, 0, 2, 0])
        sess.run(step)
        np.testing.assert_allclose(sess.run(w)[:, 0], [1, 0.5, 1, 0.5])


# ---- threads -------------------------------------------------------------------------------------


def test_same_bits_for_any_number_of_threads(isa):
    rng = np.random.default_rng(1)
    table, rows = rng.standard_normal((700, 48)).astype(F), rng.integers(0, 700, 3001)
    x = rng.standard_normal((3001, 48)).astype(F)
    wide = rng.standard_normal((37, 3000)).astype(F)
    v = gp.Variable(table)
    outs = [gp.gather(table, rows), gp.unsorted_segment_sum(x, rows, 700),
            gp.segment_sum(x, np.sort(rows)), gp.one_hot(rows, 50), gp.scatter_add(v, rows, x),
            gp.gather(wide, rows % 3000, axis=1), *gp.nn.top_k(wide, 7), *gp.nn.top_k(wide, 900),
            gp.gradients(gp.gather(gp.constant(wide), rows % 3000, axis=1), [])
            or gp.argsort(wide)]  # fmt: skip
    results = []
    for threads in (1, 2, 5):
        with gp.Session(config=gp.ConfigProto(intra_op_parallelism_threads=threads)) as sess:
            sess.run(v.initializer)
            results.append(sess.run(outs))
    for more in results[1:]:
        for a, b in zip(results[0], more, strict=True):
            assert a.tobytes() == b.tobytes()
    np.testing.assert_array_equal(results[0][0], table[rows])
    np.testing.assert_array_equal(results[0][-1], np.argsort(wide, 1, kind="stable"))


# ---- malformed plans -----------------------------------------------------------------------------


def good(kernel):
    """Arguments of a call that is allowed: outs, ins and attributes."""
    x, i, v = np.zeros((2, 5, 3), F), np.zeros((1, 4), I4), np.zeros(4, I4)
    return {
        "gather": ([(F, (2, 4, 3))], [x, i], [0]),
        "scatter": ([(F, (2, 5, 3))], [i, np.zeros((2, 4, 3), F)], [1, 0, 0]),
        "ravel_index": ([(I8, (4,))], [np.zeros((4, 2), I4)], [3, 4]),
        "one_hot": ([(F, (4, 2, 3))], [np.zeros((4, 3), I4), np.zeros((), F), np.zeros((), F)], []),
        "fill": ([(F, (4,))], [], [0]),
        "invert_permutation": ([(I4, (4,))], [np.arange(4, dtype=I4)], []),
        "last_of_equals": ([(B, (4,)), (I8, (9,))], [v], []),
        "where": ([(I8, (6, 2)), (I8, ())], [np.zeros((2, 3), B)], []),
        "partition": ([(I8, (4,)), (I8, (3,))], [v], []),
        "segment_count": ([(I8, ())], [v], []),
        "histogram": ([(I4, (4,))], [np.zeros(5, F), np.arange(2, dtype=F)], []),
        "unique": ([(F, (4,)), (I4, (4,)), (I4, (4,)), (I8, ()), (I4, (8,))], [np.zeros(4, F)], []),
        "list_diff": ([(F, (4,)), (I4, (4,)), (I8, ()), (I4, (8,))],
                      [np.zeros(4, F), np.zeros(4, F)], []),
        "top_k": ([(F, (2, 3)), (I4, (2, 3)), (I8, (1, 12))], [np.zeros((2, 9), F)], [1]),
    }[kernel]  # fmt: skip


KERNELS = ("gather scatter ravel_index one_hot fill invert_permutation last_of_equals where "
           "partition segment_count histogram unique list_diff top_k").split()  # fmt: skip


@pytest.mark.parametrize("kernel", KERNELS)
def test_a_good_plan_runs(kernel, isa):
    call(kernel, *good(kernel))


@pytest.mark.parametrize("kernel", KERNELS)
def test_plans_that_differ_in_one_thing_are_refused(kernel):
    """Another type, rank or dim of any argument, none at all, another number of them."""

    def refused(outs, ins, attrs):
        with pytest.raises(ValueError, match="malformed plan"):
            call(kernel, outs, ins, attrs)

    outs, ins, attrs = good(kernel)
    refused([*outs, (F, (4,))], ins, attrs)
    refused(outs, [*ins, np.zeros(3, F)], attrs)
    refused(outs, ins, [*attrs, 1])
    arguments = [np.zeros(s, t) for t, s in outs] + list(ins)
    odd = {"gather": {2}, "scatter": {1}, "fill": {0}, "last_of_equals": {1}, "partition": {1},
           "histogram": {0, 1}, "unique": {4}, "list_diff": {3, 5}, "top_k": {2}}  # fmt: skip
    for n, a in enumerate(arguments):
        others = [a[None] if kernel not in ("fill", "where") else None]
        if kernel not in ("fill",):
            others.append(np.zeros(a.shape, B if a.dtype != B else F))
        if a.ndim and n not in odd.get(kernel, ()) and kernel not in ("segment_count",):
            others.append(np.zeros((a.shape[0] + 1, *a.shape[1:]), a.dtype))
        for other in others:
            if other is None:
                continue
            changed = [*arguments]
            changed[n] = other
            k = len(outs)
            refused([(b.dtype, b.shape) for b in changed[:k]], changed[k:], attrs)


@pytest.mark.parametrize(
    "kernel, attrs, words",
    [("gather", [2], "attribute"), ("gather", [-1], "attribute"), ("scatter", [7, 0, 0], "attrib"),
     ("scatter", [1, 3, 0], "attribute"), ("scatter", [1, 0, 2], "attribute"),
     ("ravel_index", [3, -1], "out of range"), ("ravel_index", [2**40, 2**40], "too large")],
)  # fmt: skip
def test_attributes_are_checked(kernel, attrs, words):
    outs, ins, _ = good(kernel)
    with pytest.raises(ValueError, match=words):
        call(kernel, outs, ins, attrs)


@pytest.mark.parametrize(
    "kernel, at, other, words",
    [("unique", 4, (I4, (4,)), "too small"), ("unique", 4, (I4, (12,)), "too small"),
     ("list_diff", 3, (I4, (4,)), "too small"), ("top_k", 2, (I8, (1, 11)), "too small"),
     ("top_k", 2, (I8, (0, 12)), "too small"), ("partition", 1, (I8, (0,)), "shapes"),
     ("histogram", 0, (I4, (0,)), "shapes"), ("top_k", 0, None, None), ("unique", 2, None, None),
     ("unique", 0, None, "missing"), ("top_k", 2, None, "missing")],
)  # fmt: skip
def test_scratch_is_checked(kernel, at, other, words):
    outs, ins, attrs = good(kernel)
    outs = [*outs]
    outs[at] = other
    if words is None:
        call(kernel, outs, ins, attrs)
        return
    with pytest.raises(ValueError, match=words):
        call(kernel, outs, ins, attrs)


def test_batches_divide_the_groups():
    for kernel in ("gather", "scatter"):
        outs, ins, attrs = good(kernel)
        at = next(n for n, a in enumerate(ins) if a.ndim == 2)
        ins[at] = np.zeros((3, 4), I4)
        with pytest.raises(ValueError, match="batches"):
            call(kernel, outs, ins, attrs)


def test_strided_arguments_are_refused():
    for kernel in ("gather", "scatter", "top_k", "unique", "one_hot"):
        outs, ins, attrs = good(kernel)
        ins = [np.repeat(a, 2, -1)[..., ::2] if a.ndim else a for a in ins]
        plan = Plan()
        out = [plan.output(*o) for o in outs]
        plan.call(kernel, out, [plan.input(a) for a in ins], list(attrs))
        with pytest.raises(ValueError, match="contiguous"):
            plan.build()


def test_the_kernels_are_in_every_table():
    assert set(KERNELS) <= set(_core.kernels())
