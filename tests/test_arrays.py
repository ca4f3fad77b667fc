"""Arrays whose arguments are tensors, static shapes, and the checkers of the kernels."""

import numpy as np
import pytest
from core_plan import Failed, Plan, call

import gradplan as gp

UNOPTIMISED = gp.ConfigProto(optimize=False)
X = np.arange(24, dtype=np.float32).reshape(4, 6)


@pytest.fixture(params=[None, UNOPTIMISED], ids=["optimised", "unoptimised"])
def config(request):
    return request.param


@pytest.fixture(autouse=True)
def graph():
    with gp.Graph().as_default() as g:
        yield g


def window(x, begin, size):
    return x[tuple(slice(b, b + n) for b, n in zip(begin, size, strict=True))]


#: What it is, how to build it from x and tensors, the oracle, and two sets of values for them.
TENSORS = {
    "expand_dims": (gp.expand_dims, lambda x, a: np.expand_dims(x, int(a)), [(1,), (-1,)]),
    "squeeze": (lambda x, a: gp.squeeze(gp.expand_dims(x, a), [a]), lambda x, a: x, [(0,), (2,)]),
    "transpose": (gp.transpose, lambda x, p: np.transpose(x, p), [([1, 0],), ([0, 1],)]),
    "concat": (lambda x, a: gp.concat([x, 2.0 * x], a),
               lambda x, a: np.concatenate([x, 2 * x], int(a)), [(0,), (-1,)]),
    "tile": (gp.tile, np.tile, [([2, 1],), ([0, 3],)]),
    "pad": (gp.pad, np.pad, [([[1, 0], [2, 3]],), ([[0, 0], [0, 1]],)]),
    "mirror": (lambda x, p: gp.pad(x, p, "symmetric"), lambda x, p: np.pad(x, p, "symmetric"),
               [([[1, 0], [2, 3]],), ([[0, 0], [0, 1]],)]),
    "reverse": (gp.reverse, lambda x, a: np.flip(x, tuple(a)), [([0],), ([-1],)]),
    "roll": (lambda x, s, a: gp.roll(x, [s], [a]), lambda x, s, a: np.roll(x, int(s), int(a)),
             [(1, 0), (-8, 1)]),
    "slice": (gp.slice, window, [([1, 2], [2, 3]), ([0, 0], [4, 1])]),
    "slice_at": (lambda x, b: gp.slice(x, b, [2, 2]), lambda x, b: window(x, b, (2, 2)),
                 [([1, 2],), ([2, 4],)]),
    "slice_rows": (lambda x, i: gp.slice(x, [i * 2, 1], [2, -1]),
                   lambda x, i: x[2 * i : 2 * i + 2, 1:], [(0,), (1,)]),
    "strided_slice": (lambda x, b, e: gp.strided_slice(x, b, e, [1, 2]),
                      lambda x, b, e: x[b[0] : e[0], b[1] : e[1] : 2],
                      [([1, 2], [2, 5]), ([0, -3], [-1, 6])]),
    "getitem": (lambda x, a, b: x[a:b, None, ::-1][..., b], lambda x, a, b:
                x[a:b, None, ::-1][..., b], [(-4, 3), (1, -1)]),
    "bounds": (lambda x, a, b: x[a:b, ::a], lambda x, a, b: x[a:b, ::a], [(1, 3), (-2, 4)]),
    "split": (lambda x, n: gp.split(x, [n, -1])[1], lambda x, n: x[n:], [(1,), (4,)]),
    "split_sizes": (lambda x, n: gp.split(x, n, 1, num=2)[0] * 2.0, lambda x, n: 2 * x[:, : n[0]],
                    [([1, 5],), ([4, 2],)]),
    "split_axis": (lambda x, a: gp.split(x, 2, a)[1], lambda x, a: np.split(x, 2, int(a))[1],
                   [(0,), (1,)]),
    "band": (gp.matrix_band_part, lambda x, a, b: np.tril(np.triu(x, -a), b), [(1, 2), (0, 3)]),
    "broadcast_to": (lambda x, n: gp.broadcast_to(x[:, :1], [2, n, n]),
                     lambda x, n: np.broadcast_to(x[:, :1], (2, n, n)), [(4,), (4,)]),
    "space_to_batch": (gp.space_to_batch_nd, lambda x, b, p: np.concatenate(
        [np.pad(x, [(0, 0), p[0]])[:, i :: b[0]] for i in range(b[0])]),
        [([2], [[0, 0]]), ([4], [[1, 1]])]),
    "eye": (lambda x, n: gp.eye(n, 3, [2]) + x[0, 0], lambda x, n: np.stack([np.eye(n, 3)] * 2),
            [(2,), (5,)]),
    "range": (lambda x, a, b, d: gp.range(a, b, d) + gp.cast(x[0, 0], gp.int32),
              lambda x, a, b, d: np.arange(a, b, d), [(0, 5, 2), (7, -1, -3)]),
    "linspace": (lambda x, n: gp.linspace(x[0, 1], x[1, 0], n),
                 lambda x, n: np.linspace(x[0, 1], x[1, 0], n), [(1,), (6,)]),
}  # fmt: skip


@pytest.mark.parametrize("unknown", [False, True], ids=["known", "unknown"])
@pytest.mark.parametrize("how", ["fed", "computed"])
@pytest.mark.parametrize("name", TENSORS)
def test_arguments_may_be_tensors(name, how, unknown, config):
    build, oracle, values = TENSORS[name]
    x = gp.placeholder(gp.float32, None if unknown else [4, 6])
    feeds = [gp.placeholder(gp.int32, np.shape(v)) for v in values[0]]
    given = feeds
    if how == "computed":  # by something that only a run can tell
        zero = gp.cast(gp.reduce_sum(gp.abs(x)) * 0.0, gp.int32)
        given = [f + zero for f in feeds]
    y = build(x, *given)
    session = gp.Session(config=config)
    for v in values:
        got = session.run(y, {x: X, **dict(zip(feeds, v, strict=True))})
        want = oracle(X, *[np.array(i) for i in v])
        np.testing.assert_allclose(got, want, 1e-6)
        assert y.shape.is_compatible_with(got.shape)


@pytest.mark.parametrize("name", [n for n in TENSORS if n not in ("range", "eye", "linspace")])
def test_gradients_with_tensors_as_arguments(name, config):
    """The operations are linear: the directional derivative is the value of the direction."""
    build, oracle, values = TENSORS[name]
    x = gp.placeholder(gp.float32, [None, 6])
    feeds = [gp.placeholder(gp.int32, np.shape(v)) for v in values[0]]
    y = build(x, *feeds)
    (g,) = gp.gradients(gp.reduce_sum(y * y), x)
    assert g.shape.as_list() == [None, 6]
    session = gp.Session(config=config)
    direction = np.random.default_rng(1).standard_normal(X.shape).astype(np.float32)
    for v in values:
        args = [np.array(i) for i in v]
        got = session.run(g, {x: X, **dict(zip(feeds, v, strict=True))})
        want = 2 * (oracle(X, *args) * oracle(direction, *args)).sum()
        np.testing.assert_allclose((got * direction).sum(), want, 1e-4)


@pytest.mark.parametrize(
    "build, feed, words",
    [(lambda x, i: x[i], 4, ["SliceAt", "index 4", "[0, 4)"]),
     (lambda x, i: x[:, i], -7, ["SliceAt", "-7", "position 1"]),
     (lambda x, i: gp.slice(x, [i, 0], [2, 2]), 3, ["SliceAt", "3", "[0, 3)"]),
     (lambda x, i: gp.slice(x, [0, 0], [i, 2]), 5, ["Slice", "size 5", "size 4"]),
     (lambda x, i: x[::i], 0, ["StridedSlice", "step", "zero"]),
     (lambda x, i: gp.transpose(x, [0, i]), 2, ["Transpose", "[0, 2]", "permutation"]),
     (lambda x, i: gp.concat([x, x], i), 2, ["Concat", "axis 2"]),
     (lambda x, i: gp.expand_dims(x, i), 3, ["ExpandDims", "[-3, 2]"]),
     (lambda x, i: gp.tile(x, [i, 1]), -1, ["Tile", "negative"]),
     (lambda x, i: gp.tile(x, [i, i]), 2**30, ["Tile", "2**47"]),
     (lambda x, i: gp.pad(x, [[i, 0], [0, 0]]), -1, ["PadV2", "negative"]),
     (lambda x, i: gp.pad(x, [[i, 0], [0, 0]], "REFLECT"), 4, ["MirrorPad", "[4, 0]"]),
     (lambda x, i: gp.reverse(x, [i]), 2, ["ReverseV2", "axis [2]"]),
     (lambda x, i: gp.roll(x, 1, [i]), 2, ["Roll", "axis 2"]),
     (lambda x, i: gp.split(x, [i, 1])[0], 2, ["SplitV", "[2, 1]", "4"]),
     (lambda x, i: gp.split(x, 2, i)[0], -3, ["Split", "axis [-3]"]),
     (lambda x, i: gp.range(0, 5, i), 0, ["Range", "delta"]),
     (lambda x, i: gp.linspace(0.0, 1.0, i), 0, ["Range", "1 at least"]),
     (lambda x, i: gp.matrix_band_part(x, i, 0), 5, ["MatrixBand", "num_lower 5"]),
     (lambda x, i: gp.eye(i), -1, ["Range", "-1"]),
     (lambda x, i: gp.zeros([i, 2]), -1, ["BroadcastTo", "negative"]),
     (lambda x, i: gp.space_to_batch_nd(x, [i], [[0, 0]]), 4, ["SpaceToBatchND", "blocks of 4"])],
)  # fmt: skip
@pytest.mark.parametrize("how", ["fed", "computed"])
def test_a_tensor_that_does_not_fit(build, feed, words, how):
    """It fails with a message that names all, and no variable is written."""
    x, i = gp.placeholder(gp.float32, [None, 6]), gp.placeholder(gp.int32, [])
    runs = gp.Variable(0)
    used = i if how == "fed" else i + gp.cast(gp.reduce_sum(gp.abs(x)) * 0.0, gp.int32)
    y = build(x, used)
    session = gp.Session()
    session.run(runs.initializer)
    with pytest.raises(gp.errors.InvalidArgumentError) as caught:
        session.run([y, runs.assign_add(1)], {x: X, i: feed})
    for word in [*words, "test_arrays.py"]:
        assert word in str(caught.value)
    assert session.run(runs) == 0


@pytest.mark.parametrize(
    "build, exc, words",
    [(lambda x: x[gp.constant(1.5)], TypeError, "integers"),
     (lambda x: x[gp.constant([1, 2])], TypeError, "scalar"),
     (lambda x: x[True], TypeError, "integers"), (lambda x: x["a"], TypeError, "'a'"),
     (lambda x: x[..., 1, ...], ValueError, "ellipses"), (lambda x: x[::0], ValueError, "zero"),
     (lambda x: gp.concat(0, [x, x]), TypeError, "comes first"),
     (lambda x: gp.unstack(gp.placeholder(gp.float32, [None])), ValueError, "infer num"),
     (lambda x: gp.split(x, 0), ValueError, "0 parts"),
     (lambda x: gp.split(x, gp.placeholder(gp.int32, [None])), ValueError, "infer num"),
     (lambda x: gp.squeeze(x, 0, squeeze_dims=0), ValueError, "not both"),
     (lambda x: gp.fill([2], [1, 2]), ValueError, "scalar"),
     (lambda x: gp.eye(-1), ValueError, "negative"),
     (lambda x: gp.sequence_mask([1.0]), TypeError, "integers"),
     (lambda x: gp.sequence_mask([1], [3]), ValueError, "scalar"),
     (lambda x: gp.meshgrid(x, x), ValueError, "no vector"),
     (lambda x: gp.meshgrid([1], [2], indexing="yx"), ValueError, "indexing"),
     (lambda x: gp.reverse_sequence(x, [1] * 4, 1, seq_dim=1), ValueError, "one of its names"),
     (lambda x: gp.strided_slice(x, [0], [1, 2]), ValueError, "1, 2"),
     (lambda x: gp.matrix_transpose([1.0]), ValueError, "rank 2")],
)  # fmt: skip
def test_refused_while_the_graph_is_built(build, exc, words):
    with pytest.raises(exc, match=words):
        build(gp.constant(X))


def test_static_shapes_from_partly_known_sizes():
    x, n = gp.placeholder(gp.float32, [None, 3]), gp.placeholder(gp.int32, [])
    batch = gp.shape(x)[0]
    for y, want in [
        (gp.reshape(x, gp.stack([batch, 3, 1])), [None, 3, 1]),
        (gp.reshape(x, [batch, -1]), [None, None]),
        (gp.zeros([batch, gp.shape(x)[1], n]), [None, 3, None]),
        (gp.fill(gp.concat([gp.shape(x)[:1], [7]], 0), 1.0), [None, 7]),
        (gp.broadcast_to(1.0, gp.identity(gp.shape(x))), [None, 3]),
        (gp.slice(x, [0, 1], [n, 2]), [None, 2]), (gp.slice(x, [n, 1], [2, -1]), [2, 2]),
        (x[n], [3]), (x[n:], [None, 3]), (x[:, n], [None]), (x[..., None, n], [None, 1]),
        (gp.stack([x, x], 1), [None, 2, 3]), (gp.unstack(x, axis=1)[0], [None]),
        (gp.split(x, [1, 2], 1)[1], [None, 2]), (gp.split(x, [1, n])[0], [1, 3]),
        (gp.tile(x, [1, 2]), [None, 6]), (gp.pad(x, [[1, 1], [0, 2]]), [None, 5]),
        (gp.sequence_mask(gp.shape(x), 4), [2, 4]), (gp.range(2, 8, 2), [3]),
        (gp.eye(3, batch_shape=[batch]), [None, 3, 3]), (gp.matrix_diag(x), [None, 3, 3]),
        (gp.matrix_band_part(x, 0, 0), [None, 3]), (gp.squeeze(x[None], 0), [None, 3]),
        (gp.random_uniform([batch, 5]), [None, 5]), (gp.concat([x, x], 1), [None, 6]),
        (gp.transpose(x, gp.stack([n, 1])), [None, None]),
    ]:  # fmt: skip
        assert y.shape.as_list() == want, y


def test_size_rank_and_shape_n():
    x = gp.placeholder(gp.float32)
    session = gp.Session()
    got = session.run([gp.size(x), gp.rank(x), *gp.shape_n([x, x[0]])], {x: X})
    assert [np.asarray(g).tolist() for g in got] == [24, 2, [4, 6], [6]]
    with pytest.raises(ValueError, match="int32"):
        gp.size(gp.broadcast_to(1.0, [2**31]))
    assert session.run(gp.size(gp.broadcast_to(1.0, [2**31]), out_type=gp.int64)) == 2**31


def test_sequence_mask_of_the_largest_length(config):
    n = gp.placeholder(gp.int64, [None, None])
    mask = gp.sequence_mask(n)
    assert mask.shape.as_list() == [None, None, None]
    session = gp.Session(config=config)
    for v in ([[2, 0, 3]], [[0]], np.zeros((0, 2))):
        got = session.run(mask, {n: np.array(v, np.int64)})
        want = np.arange(int(np.max(v, initial=0))) < np.asarray(v)[..., None]
        np.testing.assert_array_equal(got, want)


def test_a_batch_cut_at_a_fed_place_is_one_plan():
    x, i = gp.constant(X), gp.placeholder(gp.int32, [])
    step = gp.Session().make_callable(gp.slice(x, [i * 2, 0], [2, -1]), [i])
    np.testing.assert_array_equal(step(0), X[:2])
    plan = step.plan
    np.testing.assert_array_equal(step(1), X[2:])
    assert step.plan is plan


def test_parts_of_a_variable_are_its_value_before_the_writing(config):
    v = gp.Variable(X)
    parts = [*gp.split(v, 2), *gp.unstack(v), v[::-1], gp.reverse(v, [1]), gp.matrix_diag_part(v)]
    with gp.control_dependencies([v.assign(v * 0.0)]):
        late = [p + 0.0 for p in parts]
    session = gp.Session(config=config)
    session.run(v.initializer)
    want = [X[:2], X[2:], *X, X[::-1], X[:, ::-1], np.diagonal(X)]
    for g, w in zip(session.run(late), want, strict=True):
        np.testing.assert_array_equal(g, w)


def test_views_cost_no_instruction():
    x = gp.placeholder(gp.float32, [4, 4])
    (part,) = gp.unstack(gp.split(x[None], 1, 1)[0])
    y = gp.matrix_diag_part(gp.reverse(gp.transpose(part), [0]))
    step = gp.Session().make_callable(y, [x])
    a = np.arange(16.0, dtype=np.float32).reshape(4, 4)
    np.testing.assert_array_equal(step(a), np.diagonal(a.T[::-1]))
    assert len(step.plan) == 1  # the copy to where it is fetched


def test_sizes_that_are_clamped_are_not_taken_for_equal():
    """x[:5] has 5 elements of any long x, but not of a short one."""
    x, y = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.float32, [None, None])
    sizes = [gp.shape(x[:5]), gp.shape(y[0, :5]), gp.shape(gp.squeeze(y)),
             gp.shape(gp.matrix_diag_part(y)), gp.shape(x)]  # fmt: skip
    session = gp.Session()
    for n, m, k in ((9, 2, 8), (3, 2, 7), (3, 7, 2), (4, 4, 4), (2, 1, 3), (5, 3, 1)):
        got = session.run(sizes, {x: np.ones(n), y: np.ones((m, k))})
        want = [[min(n, 5)], [min(k, 5)], [d for d in (m, k) if d > 1], [min(m, k)], [n]]
        assert [g.tolist() for g in got] == want


def test_tile_beyond_the_rank_of_kernels(config):
    x = gp.placeholder(gp.float64, [2] * 6)
    times = [2, 3, 2, 2, 1, 2]
    y = gp.tile(x, times)
    (g,) = gp.gradients(y * y, x)
    a = np.random.default_rng(0).standard_normal([2] * 6)
    got, slope = gp.Session(config=config).run([y, g], {x: a})
    np.testing.assert_array_equal(got, np.tile(a, times))
    np.testing.assert_allclose(slope, 2 * a * np.prod(times))


def test_split_of_which_one_part_is_used():
    x = gp.constant(X)
    a, b = gp.split(x, 2)
    dx = gp.gradients(gp.reduce_sum(b * b), x)[0]
    np.testing.assert_array_equal(gp.Session().run(dx), np.concatenate([0 * X[:2], 2 * X[2:]]))
    assert gp.gradients(a, b) == [None]


def test_strided_slice_masks():
    x = gp.constant(np.arange(60).reshape(3, 4, 5))
    cases = [
        (([1, 2], [3, 4], [1, 1]), {}, np.s_[1:3, 2:4]),
        (([1, 2], [3, 4]), {"begin_mask": 1, "end_mask": 2}, np.s_[:3, 2:]),
        (([1, 9, 2], [0, 9, 4], [-1, 9, 1]), {"ellipsis_mask": 2}, np.s_[1:0:-1, ..., 2:4]),
        (([0, 9, 1], [2, 9, 3], [1, 9, 1]), {"new_axis_mask": 2}, np.s_[0:2, None, 1:3]),
        (([-1, 0], [9, 2], [1, 1]), {"shrink_axis_mask": 1}, np.s_[-1, 0:2]),
    ]
    session = gp.Session()
    for args, masks, key in cases:
        want = np.arange(60).reshape(3, 4, 5)[key]
        np.testing.assert_array_equal(session.run(gp.strided_slice(x, *args, **masks)), want)
        begin = gp.placeholder(gp.int32, [len(args[0])])
        got = session.run(gp.strided_slice(x, begin, *args[1:], **masks), {begin: args[0]})
        np.testing.assert_array_equal(got, want)


def test_old_names_and_namespaces():
    assert gp.pack is gp.stack and gp.unpack is gp.unstack and gp.lin_space is gp.linspace
    assert gp.reverse_v2 is gp.reverse and gp.manip.roll is gp.roll and gp.manip.tile is gp.tile
    names = [gp.stack([1, 2]), gp.unstack([1, 2])[1], gp.split([1, 2], 2)[1], gp.concat([[1]], 0)]
    assert [t.name for t in names] == ["stack:0", "unstack:1", "split:1", "concat:0"]
    ops = [gp.tile([1], [2]), gp.pad([1], [[0, 1]]), gp.rank([1]), gp.size([1]), gp.diag([1])]
    assert [t.op.name for t in ops] == ["Tile", "Pad", "Rank", "Size", "Diag"]


def test_required_space_to_batch_paddings():
    n = gp.placeholder(gp.int32, [2])
    paddings, crops = gp.required_space_to_batch_paddings(n, [3, 2], [[1, 0], [0, 2]])
    got = gp.Session().run([paddings, crops], {n: [4, 7]})
    np.testing.assert_array_equal(got, [[[1, 1], [0, 3]], [[0, 1], [0, 1]]])
    x = gp.placeholder(gp.float32, [1, None, None])
    paddings, crops = gp.required_space_to_batch_paddings(gp.shape(x)[1:], [3, 2])
    y = gp.batch_to_space_nd(gp.space_to_batch_nd(x, [3, 2], paddings), [3, 2], crops)
    np.testing.assert_array_equal(gp.Session().run(y, {x: X[None]}), X[None])


def test_broadcast_static_shape():
    shape = gp.broadcast_static_shape(gp.TensorShape([None, 1, 3]), gp.TensorShape([5, 3]))
    assert shape.as_list() == [None, 5, 3]
    with pytest.raises(ValueError, match="2 and 3"):
        gp.broadcast_static_shape(gp.TensorShape([2]), gp.TensorShape([3]))


# ---- malformed plans -----------------------------------------------------------------------------


def f32(*shape):
    return np.zeros(shape, np.float32)


def i32(*shape):
    return np.zeros(shape, np.int32)


SEQUENCES = (1, 2, 1, 3, 1)  # the batch is 2, there are 3 steps


@pytest.mark.parametrize(
    "kernel, out, ins, attrs",
    [("slice_at", f32(2, 4), [f32(3, 4), i32()], [0]),  # no axis
     ("slice_at", f32(2, 4), [f32(3, 4), i32()], [0, 2]),
     ("slice_at", f32(2, 4), [f32(3, 4), i32()], [0, -1]),
     ("slice_at", f32(2, 4), [f32(3, 4), i32(), i32()], [0, 0, 0]),  # one axis twice
     ("slice_at", f32(4, 4), [f32(3, 4), i32()], [0, 0]),
     ("slice_at", f32(2), [f32(3, 4), i32()], [0, 0]),
     ("slice_at", i32(2, 4), [f32(3, 4), i32()], [0, 0]),
     ("slice_at", f32(2, 4), [f32(3, 4), f32()], [0, 0]),
     ("slice_at", f32(2, 4), [f32(3, 4), i32(1)], [0, 0]), ("slice_at", f32(2, 4), [], []),
     ("paste_at", f32(3, 4), [f32(4, 4), i32()], [0, 0]),
     ("paste_at", f32(3, 4), [f32(2, 8)[:, ::2], i32()], [0, 0]),
     ("reverse_sequence", f32(*SEQUENCES), [f32(*SEQUENCES), i32(2)], []),
     ("reverse_sequence", f32(*SEQUENCES), [f32(*SEQUENCES), i32(3)], [0]),
     ("reverse_sequence", f32(*SEQUENCES), [f32(*SEQUENCES), i32(2)], [1]),
     ("reverse_sequence", f32(*SEQUENCES), [f32(*SEQUENCES), f32(2)], [0]),
     ("reverse_sequence", f32(*SEQUENCES), [f32(*SEQUENCES), i32(2)], [2]),
     ("reverse_sequence", f32(2, 3), [f32(2, 3), i32(2)], [0]),
     ("reverse_sequence", f32(1, 2, 1, 3, 2), [f32(*SEQUENCES), i32(2)], [0]),
     ("range", f32(3), [], [0]), ("range", f32(3), [i32()], [0, 1]),
     ("range", np.zeros(3, bool), [], [0, 1])],
)  # fmt: skip
def test_malformed_plans_are_refused(kernel, out, ins, attrs):
    with pytest.raises(ValueError, match="malformed plan"):
        call(kernel, [(out.dtype, out.shape)], ins, attrs)


@pytest.mark.parametrize("dtype", ["bool", "int32", "int64", "float32", "float64"])
def test_windows_of_strided_arrays(dtype):
    x = (np.arange(4 * 6 * 5) % 7).reshape(4, 6, 5).astype(dtype)
    for view in (x, x[::-1, ::2], x.transpose(2, 0, 1), x[..., ::-1]):
        dims = tuple(d - 1 for d in view.shape)
        starts = [np.array(k, np.int64) for k in (1, 0, -dims[2] - 1)]
        (got,) = call("slice_at", [(dtype, dims)], [view, *starts], [1, 0, 1, 2])
        np.testing.assert_array_equal(got, view[1:, :-1, :-1])


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_long_ranges(dtype):
    want = np.arange(5000).astype(dtype) * np.array(3, dtype) - np.array(7, dtype)
    y = gp.range(-7, 15000 - 7, 3, dtype)
    np.testing.assert_array_equal(gp.Session().run(y), want)
    assert y.shape.as_list() == [5000]
    top = np.iinfo(np.int64).max
    np.testing.assert_array_equal(
        gp.Session().run(gp.range(top - 6000, top, 2)), np.arange(top - 6000, top, 2)
    )


def test_values_are_checked_by_the_kernels():
    x = f32(*SEQUENCES)
    for bad in (4, -1, 2**40):
        plan = Plan()
        out = plan.output(x.dtype, x.shape)
        ins = [plan.input(x), plan.input(np.array([0, bad]))]
        plan.call("reverse_sequence", [out], ins, [0])
        with pytest.raises(Failed) as caught:
            plan.run()
        assert caught.value.args[2:] == (1, bad, 4)


# ---- argmax --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int32", "int64", "float32", "float64"])
def test_argmax_finds_the_first_of_the_largest_in_rows_of_any_length(dtype):
    rng = np.random.default_rng(3)
    for n in (2, 31, 63, 64, 65, 96, 127, 333):
        x = rng.integers(-9, 9, (8, n)).astype(dtype)  # with many ties
        x[np.arange(8), rng.integers(0, n, 8)] = 9
        x[0] = x[1] = -9
        x[1, -1] = 9
        if x.dtype.kind == "f":
            x[2, -1], x[3, 0], x[4, [n // 2, n - 1]], x[5] = [np.nan] * 4
            x[6], x[6, n // 2] = -np.inf, -0.0
        want = np.argmax(x, 1)
        for given, axis in ((x, 1), (np.ascontiguousarray(x.T), 0)):
            np.testing.assert_array_equal(gp.Session().run(gp.argmax(given, axis)), want)
