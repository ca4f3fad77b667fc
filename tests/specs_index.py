"""The rows of :mod:`specs` for what takes indices: gather, scatter, segments, sorting and sets."""

import numpy as np
from specs import (
    ALL,
    FLOATS,
    INTS,
    NUMBERS,
    Bad,
    Spec,
    between,
    bools,
    distinct,
    divisor,
    f32,
    i32,
    normal,
    sweep,
)

import gradplan as gp
from gradplan.ops.gather import gather_rows
from gradplan.ops.scatter import _ravel_index, last_of_equals
from gradplan.ops.segment import _segment_count
from gradplan.ops.sets import _rows_between

InvalidArgument = gp.errors.InvalidArgumentError

# ---- samplers ------------------------------------------------------------------------------------


def below(bound, low=0, kind="int32"):
    """Indices below a number, or below what a function of all shapes gives."""

    def sample(rng, shape, dtype, shapes):
        n = bound(shapes) if callable(bound) else bound
        return rng.integers(low, max(low + 1, n), shape).astype(kind)

    return sample


def rows(shapes):
    """The first dimension of the first input."""
    return shapes[0][0]


def least(shapes):
    """The smallest dimension of the first input: an index that fits any of its axes."""
    return min(shapes[0])


def ordered(bound, kind="int32"):
    """Sorted segment ids, with gaps."""

    def sample(rng, shape, dtype, shapes):
        return np.sort(rng.integers(0, bound, shape)).astype(kind)

    return sample


def round_robin(rng, shape, dtype, shapes):
    """Each of three segments has rows; one row in four has none."""
    return (np.arange(int(np.prod(shape))) % 4 - 1).reshape(shape).astype("int32")


def permutation(rng, shape, dtype, shapes):
    return rng.permutation(shape[0]).astype(dtype)


def few(rng, shape, dtype, shapes=()):
    """Many equal elements."""
    return rng.integers(-3, 4, shape).astype(dtype)


def near_one(rng, shape, dtype, shapes=()):
    """Factors whose product over many rows stays in range."""
    if dtype.kind == "i":
        return rng.choice([-2, -1, 1, 3], shape).astype(dtype)
    return (rng.uniform(0.8, 1.25, shape) * rng.choice([-1, 1], shape)).astype(dtype)


# ---- oracles -------------------------------------------------------------------------------------


def taken(x, i, axis=0, batch_dims=0):
    if batch_dims == 0:
        return np.take(x, i, axis)
    both = [taken(a, b, axis - 1, batch_dims - 1) for a, b in zip(x, i, strict=True)]
    return np.stack(both) if both else np.zeros((0, *np.zeros(x.shape[1:])[..., :0].shape), x.dtype)


def taken_nd(x, i, batch_dims=0):
    if batch_dims:
        return np.stack([taken_nd(a, b, batch_dims - 1) for a, b in zip(x, i, strict=True)])
    if not i.shape[-1]:
        return np.broadcast_to(x, i.shape[:-1] + x.shape)
    return x[tuple(np.moveaxis(i, -1, 0))]


def combined(x, i, updates, how):
    """``x`` with updates combined by index vectors, one after another."""
    x = np.array(x)
    updates = np.broadcast_to(updates, i.shape[:-1] + x.shape[i.shape[-1] :])
    with np.errstate(all="ignore"):
        for at in np.ndindex(i.shape[:-1]):
            place = tuple(i[at])
            x[place] = how(x[place], updates[at])
    return x


def replaced(old, new):
    return new


def quotient(x, y):
    """Integers towards zero."""
    if x.dtype.kind != "i":
        return x / y
    return (np.sign(x) * np.sign(y) * (abs(x) // abs(y))).astype(x.dtype)


def hot(i, on, off, depth, axis=-1):
    at = i.ndim if axis == -1 else axis
    shape = [1] * (i.ndim + 1)
    shape[at] = depth
    return np.where(np.expand_dims(i, at) == np.arange(depth).reshape(shape), on, off)


def segments(how, empty):
    """A segment operation: ``how`` over the rows of each; ``empty(dtype)`` where there are none."""

    def oracle(data, ids, num_segments=None):
        n = num_segments
        if n is None:
            n = int(ids[-1]) + 1 if ids.size else 0
        flat = data.reshape(ids.size, *data.shape[ids.ndim :])
        out = np.empty((n, *data.shape[ids.ndim :]), data.dtype)
        for k in range(n):
            mine = flat[ids.ravel() == k]
            out[k] = how(mine) if len(mine) else empty(data.dtype)
        return out

    return oracle


def narrowest(dtype):
    """The type that gradplan had, of what the oracle got widened."""
    return {np.dtype("float64"): np.float32, np.dtype("longdouble"): np.float64}.get(dtype, dtype)


def lowest(dtype):
    narrow = np.dtype(narrowest(dtype))
    return np.finfo(narrow).min if narrow.kind == "f" else np.iinfo(narrow).min


def highest(dtype):
    narrow = np.dtype(narrowest(dtype))
    return np.finfo(narrow).max if narrow.kind == "f" else np.iinfo(narrow).max


def summed(x):
    return x.sum(0, dtype=x.dtype)


def mean(x):
    total = summed(x)
    return total / len(x) if x.dtype.kind == "f" else quotient(total, np.array(len(x), x.dtype))


def nothing(dtype):
    return 0


def magnitude(how=summed):
    """What rounding of a segment sum is relative to."""
    return lambda data, ids, num_segments=None: segments(how, nothing)(abs(data), ids, num_segments)


def of_rows(oracle):
    """An oracle for segments of chosen rows."""
    return lambda x, i, ids, num_segments=None: oracle(x[i], ids, num_segments)


def counted(x, w=None, **lengths):
    n = int(x.max(initial=-1)) + 1
    n = min(max(n, lengths.get("minlength", n)), lengths.get("maxlength", 1 << 30))
    w = np.ones(x.shape, np.int32) if w is None else w
    return np.array([summed(w[x == k].ravel()) for k in range(n)], w.dtype)


def histogram(x, limits, nbins):
    low, high = (float(v) for v in limits)
    at = np.clip(np.floor((x.astype(np.float64) - low) / ((high - low) / nbins)), 0, nbins - 1)
    return np.bincount(at.astype(int).ravel(), minlength=nbins).astype(np.int32)


def largest(x, k):
    order = np.argsort(-x, -1, kind="stable")[..., :k]
    return np.take_along_axis(x, order, -1), order.astype(np.int32)


def arranged(x, axis=-1, direction="ASCENDING"):
    """Indices that sort; equals stay in their order."""
    return np.argsort(x if direction == "ASCENDING" else -x, axis, kind="stable").astype(np.int32)


def among(x, targets, k):
    right = np.take_along_axis(x, targets[:, None].astype(int), 1)
    return (x > right).sum(1) < k


def masked(x, mask, axis=0):
    first = np.moveaxis(x, range(axis, axis + mask.ndim), range(mask.ndim))
    return np.moveaxis(first[mask], 0, axis)


def first_seen(x):
    """Distinct elements in the order in which they come, places and counts."""
    y, start, inverse, counts = np.unique(x, True, True, True)
    order = np.argsort(start)
    rank = np.argsort(order)
    return y[order], rank[inverse].astype(np.int32), counts[order].astype(np.int32)


def without(x, y):
    (at,) = np.nonzero(~np.isin(x, y))
    return x[at], at.astype(np.int32)


def stitched(i, j, x, y):
    n = int(max(i.max(initial=-1), j.max(initial=-1))) + 1
    out = np.zeros((n, *x.shape[i.ndim :]), x.dtype)
    for at, data in ((i, x), (j, y)):
        for k in np.ndindex(at.shape):
            out[at[k]] = data[k]
    return out


def norms_clipped(x, i, max_norm):
    rows = x[i]
    norm = np.sqrt((rows**2).sum(-1, keepdims=True))
    return rows * max_norm / np.maximum(norm, max_norm)


def mod_table(*shards):
    total = sum(len(s) for s in shards)
    return np.stack([shards[k % len(shards)][k // len(shards)] for k in range(total)])


# ---- builders ------------------------------------------------------------------------------------


def dynamic_stitch(i, j, x, y):
    return gp.dynamic_stitch([i, j], [x, y])


def embedding_mod(a, b, c, ids):
    return gp.nn.embedding_lookup([a, b, c], ids)


def embedding_div(a, b, c, ids):
    return gp.nn.embedding_lookup([a, b, c], ids, "div")


def tensor_scatter(op, build, how, dtypes, ulps=0, bad=(), **more):
    cases = (
        ((5,), (3, 1), (3,)),
        ((4, 3), (6, 1), (6, 3)),
        ((3, 4), (7, 2), (7,)),
        ((3, 3, 2), (2, 2, 2), (2, 2, 2)),
        ((3,), (0, 1), (0,)),
        ((3, 2), (1, 0), (1, 3, 2)),
        ((129, 33), (515, 1), (515, 33)),
    )
    return Spec(
        op,
        build,
        lambda x, i, u: combined(x, i, u, how),
        (normal, below(3), normal),
        sweep(cases),
        dtypes,
        ulps,
        diff=(0, 2),
        rank_needed=True,
        scale=lambda x, i, u: combined(abs(x), i, abs(u), np.add),
        bad=(
            Bad(ValueError, ("(2, 3)", "(2, 2)"), (f32(4, 3), i32(2, 1), f32(2, 2))),
            Bad(ValueError, ("length 3", "(4, 3)"), (f32(4, 3), i32(2, 3), f32(2))),
            Bad(
                InvalidArgument,
                ("5", "position 1", "[0, 4)"),
                (f32(4), np.array([[0], [5]], np.int32), f32(2)),
            ),
            *bad,
        ),
        **more,
    )


def variable_scatter(op, build, how, dtypes=NUMBERS, ulps=0.51, updates=normal, bad=(), **more):
    cases = (
        ((5,), (3,), (3,)),
        ((4, 3), (2, 2), (2, 2, 3)),
        ((4, 3), (), (3,)),
        ((4, 3), (2,), ()),
        ((4, 0), (2,), (2, 0)),
        ((3,), (0,), (0,)),
        ((1025,), (7,), ()),
    )
    return Spec(
        op,
        build,
        lambda v, i, u: combined(v, i[..., None], u, how),
        (normal, below(3), updates),
        sweep(cases),
        dtypes,
        ulps,
        scale=lambda v, i, u: combined(abs(v), i[..., None], abs(u), np.add),
        variables=1,
        bad=(
            Bad(ValueError, ("(2,)", "(4, 3)"), (f32(4, 3), i32(2), f32(2))),
            Bad(TypeError, ("int32", "float32"), (f32(4), i32(2), i32(2))),
            *bad,
        ),
        **more,
    )


def nd_variable_scatter(op, build, how, dtypes=NUMBERS, ulps=0.51):
    cases = (
        ((5,), (3, 1), (3,)),
        ((4, 3), (2, 2, 1), (2, 2, 3)),
        ((4, 3), (5, 2), (5,)),
        ((4, 3), (1,), (3,)),
        ((3,), (0, 1), (0,)),
    )
    return Spec(
        op,
        build,
        lambda v, i, u: combined(v, i, u, how),
        (normal, below(3), normal),
        sweep(cases),
        dtypes,
        ulps,
        scale=lambda v, i, u: combined(abs(v), i, abs(u), np.add),
        variables=1,
        bad=(Bad(ValueError, ("(2, 2)", "(4, 3)"), (f32(4, 3), i32(2, 1), f32(2, 2))),),
    )


# fmt: off
UNSORTED = (
    (((7,), (7,)), 3), (((5, 3), (5,)), 4), (((2, 3, 4), (2, 3)), 3), (((0, 3), (0,)), 2),
    (((3, 0), (3,)), 2), (((), ()), 2), (((1,), (1,)), 2),
)
UNSORTED = tuple((s, {"num_segments": n}) for s, n in UNSORTED)
FILLED = ((((7,), (7,)), {}), (((5, 3), (5,)), {}), (((2, 3, 4), (2, 3)), {}))
FILLED = tuple((s, {"num_segments": 3}) for s, _ in FILLED)
WIDE = ((((515, 33), (515,)), {"num_segments": 67}),)
SORTED = sweep((((7,), (7,)), ((5, 3), (5,)), ((4, 2, 3), (4,)), ((0, 3), (0,)), ((3, 0), (3,)),
                ((1,), (1,))))
SPARSE = (
    (((5,), (7,), (7,)), {}), (((4, 3), (6,), (6,)), {}),
    (((4, 3), (6,), (6,)), {"num_segments": 6}),
    (((4, 3), (0,), (0,)), {}),
)

TO_TWO = below(2, -1)


def unsorted(op, build, how, empty, sample=normal, ulps=0, scale=None, dtypes=NUMBERS,
             cases=UNSORTED, ids=TO_TWO, diff=(0,)):
    return Spec(op, build, segments(how, empty), (sample, ids), cases, dtypes, ulps, scale,
                diff=diff, bad=() if "/" in op else (
                    Bad(ValueError, ("(3, 2)", "(2,)"), (f32(3, 2), i32(2)), {"num_segments": 2}),
                    Bad(ValueError, ("-1",), (f32(3), i32(3)), {"num_segments": -1}),
                    Bad(TypeError, ("bool",), (np.zeros(3, bool), i32(3)), {"num_segments": 1}),
                    Bad(InvalidArgument, ("2", "position 1", "[0, 2)"),
                        (f32(3), np.array([0, 2, -1], np.int32)), {"num_segments": 2})))


def in_order(op, build, how, empty, sample=normal, ulps=0, scale=None, dtypes=NUMBERS):
    return Spec(op, build, segments(how, empty), (sample, ordered(4)), SORTED, dtypes, ulps, scale,
                diff=(0,), bad=() if "/" in op else (
                    Bad(ValueError, ("(3, 2)", "(2,)"), (f32(3, 2), i32(2))),
                    Bad(TypeError, ("bool",), (np.zeros(3, bool), i32(3)))))


def product(x):
    return x.prod(0, dtype=x.dtype)


def biggest(x):
    return x.max(0)


def smallest(x):
    return x.min(0)


def over_root(x):
    return x.sum(0) / np.sqrt(x.dtype.type(len(x)))


SPECS = [
    # ---- gather
    Spec("GatherV2", gp.gather, taken, (normal, below(least)), (
        (((5,), ()), {}), (((5,), (3,)), {}), (((4, 3), (2, 3)), {}), (((4, 3), (7,)), {"axis": 1}),
        (((3, 4, 5), (2, 2)), {"axis": -2}), (((3, 4, 5), ()), {"axis": 2}), (((4, 0), (3,)), {}),
        (((5,), (0,)), {}), (((3, 4, 5), (3, 2)), {"axis": 1, "batch_dims": 1}),
        (((2, 3, 4, 2), (2, 3, 3)), {"axis": 2, "batch_dims": 2}),
        (((3, 2, 5), (3, 2)), {"axis": 2, "batch_dims": 1}), (((65, 33), (515,)), {}),
     ), ALL, diff=(0,), bad=(
         Bad(ValueError, ("axis 2", "(2, 3)"), (f32(2, 3), i32(1)), {"axis": 2}),
         Bad(ValueError, ("axis -3", "(2, 3)"), (f32(2, 3), i32(1)), {"axis": -3}),
         Bad(ValueError, ("dimension",), (f32(), i32(1))),
         Bad(ValueError, ("batch_dims 2", "(1,)"), (f32(2, 3), i32(1)),
             {"batch_dims": 2, "axis": 2}),
         Bad(ValueError, ("batch_dims 1", "axis 0"), (f32(2, 3), i32(2)),
             {"batch_dims": 1, "axis": 0}),
         Bad(ValueError, ("(2, 3)", "(4, 1)"), (f32(2, 3), i32(4, 1)),
             {"batch_dims": 1, "axis": 1}),
         Bad(TypeError, ("indices", "float32"), (f32(2, 3), f32(1))),
         Bad(InvalidArgument, ("3", "position 1", "[0, 3)"), (f32(3), np.array([0, 3], np.int32))),
         Bad(InvalidArgument, ("-1", "position 0"), (f32(2, 3), i32(2) - 1), {"axis": 1}),
         Bad(InvalidArgument, (str(2**32), "position 0"), (f32(2, 3), np.array([2**32]))),
         Bad(InvalidArgument, ("0", "[0, 0)"), (f32(0, 3), i32(1))))),
    Spec("GatherV2/int64", gp.gather, taken, (normal, below(rows, kind="int64")),
         sweep((((5,), (3,)), ((4, 3), (2, 3)))), diff=(0,)),
    Spec("GatherV2/drop", lambda x, i: gather_rows(x, i, 0, drop=True),
         lambda x, i: np.where((i < 0).reshape(i.shape + (1,) * (x.ndim - 1)), 0, x[i]),
         (normal, below(rows, -2)), sweep((((5,), (9,)), ((4, 3), (9,)))), NUMBERS, diff=(0,)),
    Spec("GatherV2/batch_gather", gp.batch_gather, lambda x, i: taken(x, i, i.ndim - 1, i.ndim - 1),
         (normal, below(2)), sweep((((3, 4), (3, 2)), ((5,), (2,)), ((2, 3, 4, 2), (2, 3, 1)))),
         diff=(0,), rank_needed=True),
    Spec("GatherGrad", lambda x, i, dy: gp.gradients(gp.gather(x, i, axis=1), x, dy)[0],
         lambda x, i, dy: np.stack([combined(np.zeros(x.shape[1:], x.dtype), i[:, None], d, np.add)
                                    for d in dy]),
         (normal, below(3), normal), sweep((((2, 3), (4,), (2, 4)), ((2, 3, 2), (3,), (2, 3, 2)))),
         ulps=4, scale=lambda x, i, dy: abs(dy).sum(1, keepdims=True) + 0 * x, diff=(2,)),
    Spec("GatherNd", gp.gather_nd, taken_nd, (normal, below(least)), (
        (((5,), (3, 1)), {}), (((5,), (1,)), {}), (((3, 4), (7, 2)), {}), (((3, 4), (2, 2, 1)), {}),
        (((3, 4, 5), (2, 2)), {}), (((3, 4), (2, 0)), {}), (((5,), (0, 1)), {}),
        (((3, 4), (3, 2, 1)), {"batch_dims": 1}), (((65, 33), (515, 1)), {}),
     ), ALL, diff=(0,), bad=(
         Bad(ValueError, ("length 3", "(2, 3)"), (f32(2, 3), i32(1, 3))),
         Bad(ValueError, ("indices", "()"), (f32(2, 3), i32())),
         Bad(ValueError, ("(2, 3)", "(4, 1)"), (f32(2, 3), i32(4, 1)), {"batch_dims": 1}),
         Bad(InvalidArgument, ("3", "position 3", "[0, 3)"),
             (f32(2, 3), np.array([[0, 0], [1, 3]], np.int32))))),
    Spec("OneHot", lambda i, on, off, depth, axis=-1: gp.one_hot(i, depth, on, off, axis), hot,
         (below(5, -1), normal, normal), (
             (((), (), ()), {"depth": 4}), (((7,), (), ()), {"depth": 4}),
             (((7,), (), ()), {"depth": 3, "axis": 0}), (((2, 3), (), ()), {"depth": 4, "axis": 1}),
             (((2, 3), (), ()), {"depth": 0}), (((0,), (), ()), {"depth": 3}),
             (((515,), (), ()), {"depth": 33}),
         ), ALL, flat=True),
    Spec("OneHot/plain", gp.one_hot, lambda i, depth, axis=-1, dtype=None:
         hot(i, 1, 0, depth, axis).astype(dtype or "float32"), (below(5, -1),), (
             (((3,),), {"depth": 4}), (((3,),), {"depth": 4, "dtype": "bool"}),
             (((3,),), {"depth": 4, "dtype": "int64", "axis": 0}),
         ), INTS, bad=(
             Bad(ValueError, ("depth -1",), (i32(3),), {"depth": -1}),
             Bad(ValueError, ("axis 2", "(3,)"), (i32(3),), {"depth": 2, "axis": 2}),
             Bad(ValueError, ("axis -2",), (i32(3),), {"depth": 2, "axis": -2}),
             Bad(ValueError, ("depth", "scalar"), (i32(3),), {"depth": [2]}),
             Bad(TypeError, ("indices", "float32"), (f32(3),), {"depth": 2}))),
    # ---- scatter
    Spec("ScatterNd", gp.scatter_nd, lambda i, u, shape:
         combined(np.zeros(shape, u.dtype), i, u, np.add), (below(3), normal), (
             (((3, 1), (3,)), {"shape": [5]}), (((6, 1), (6, 3)), {"shape": [4, 3]}),
             (((7, 2), (7,)), {"shape": [3, 4]}), (((0, 1), (0, 2)), {"shape": [3, 2]}),
             (((2, 2, 1), (2, 2, 3)), {"shape": [4, 3]}), (((1,), (2,)), {"shape": [3, 2]}),
         ), NUMBERS, 4, lambda i, u, shape: abs(u).sum() + np.zeros(shape), diff=(1,), bad=(
             Bad(ValueError, ("(2, 3)", "(2, 2)"), (i32(2, 1), f32(2, 2)), {"shape": [4, 3]}),
             Bad(ValueError, ("-1", "negative"), (i32(2, 1), f32(2)), {"shape": [-1]}),
             Bad(ValueError, ("2**47",), (i32(2, 3), f32(2)), {"shape": [2**24, 2**24, 1]}),
             Bad(TypeError, ("bool",), (i32(2, 1), np.zeros(2, bool)), {"shape": [3]}),
             Bad(InvalidArgument, ("-1", "position 0", "[0, 3)"), (i32(2, 1) - 1, f32(2)),
                 {"shape": [3]}))),
    tensor_scatter("TensorScatterUpdate", gp.tensor_scatter_nd_update, replaced, ALL),
    tensor_scatter("TensorScatterAdd", gp.tensor_scatter_nd_add, np.add, NUMBERS, 4),
    tensor_scatter("TensorScatterSub", gp.tensor_scatter_nd_sub, np.subtract, NUMBERS, 4),
    Spec("LastOfEquals", lambda i: last_of_equals(i, [3, 4]),
         lambda i: np.array([not any((i[k] == j).all() for j in i[k + 1 :]) for k in range(len(i))],
                            bool),
         (below(3),), sweep(((5, 1), (9, 2), (0, 1), (2, 0))), INTS),
    Spec("RavelIndex", lambda i: _ravel_index(i, [3, 4]),
         lambda i: (i * [4, 1]).sum(-1).astype(np.int64), (below(3),),
         sweep(((5, 2), (2,), (2, 3, 2), (0, 2))), INTS),
    variable_scatter("ScatterUpdate", gp.scatter_update, replaced, ALL, 0),
    variable_scatter("ScatterAdd", gp.scatter_add, np.add, ulps=2),
    variable_scatter("ScatterSub", gp.scatter_sub, np.subtract, ulps=2),
    variable_scatter("ScatterMul", gp.scatter_mul, np.multiply, updates=near_one, ulps=4),
    variable_scatter("ScatterDiv", gp.scatter_div, quotient, updates=divisor, ulps=4),
    variable_scatter("ScatterMin", gp.scatter_min, np.minimum, ulps=0),
    variable_scatter("ScatterMax", gp.scatter_max, np.maximum, ulps=0),
    nd_variable_scatter("ScatterNdUpdate", gp.scatter_nd_update, replaced, ALL, 0),
    nd_variable_scatter("ScatterNdAdd", gp.scatter_nd_add, np.add, ulps=2),
    nd_variable_scatter("ScatterNdSub", gp.scatter_nd_sub, np.subtract, ulps=2),
    # ---- segments
    unsorted("UnsortedSegmentSum", gp.unsorted_segment_sum, summed, nothing, ulps=4,
             scale=magnitude(), cases=UNSORTED + WIDE),
    unsorted("UnsortedSegmentProd", gp.unsorted_segment_prod, product, lambda dtype: 1, near_one,
             4),
    unsorted("UnsortedSegmentMin", gp.unsorted_segment_min, smallest, highest, distinct, diff=()),
    unsorted("UnsortedSegmentMax", gp.unsorted_segment_max, biggest, lowest, distinct, diff=()),
    unsorted("UnsortedSegmentMin/filled", gp.unsorted_segment_min, smallest, highest, distinct,
             ids=round_robin, cases=FILLED),
    unsorted("UnsortedSegmentMax/filled", gp.unsorted_segment_max, biggest, lowest, distinct,
             ids=round_robin, cases=FILLED),
    unsorted("UnsortedSegmentSum/mean", gp.unsorted_segment_mean, mean, nothing, ulps=4,
             scale=magnitude(mean)),
    unsorted("UnsortedSegmentSum/sqrt_n", gp.unsorted_segment_sqrt_n, over_root, nothing, ulps=4,
             scale=magnitude(over_root), dtypes=FLOATS),
    in_order("SegmentSum", gp.segment_sum, summed, nothing, ulps=4, scale=magnitude()),
    in_order("SegmentProd", gp.segment_prod, product, lambda dtype: 1, near_one, 4),
    in_order("SegmentMin", gp.segment_min, smallest, nothing, distinct),
    in_order("SegmentMax", gp.segment_max, biggest, nothing, distinct),
    in_order("SegmentSum/mean", gp.segment_mean, mean, nothing, ulps=4, scale=magnitude(mean)),
    Spec("SegmentCount", _segment_count, lambda ids: np.int64(ids[-1] + 1 if ids.size else 0),
         (ordered(9),), sweep(((7,), (0,), (1,))), INTS, bad=(
             Bad(ValueError, ("vector", "(2, 2)"), (i32(2, 2),)),
             Bad(InvalidArgument, ("1", "position 2", "order"), (np.array([0, 2, 1], np.int32),)),
             Bad(InvalidArgument, ("-1", "position 0"), (np.array([-1, 0], np.int32),)))),
    Spec("SegmentSum/sparse", gp.sparse_segment_sum, of_rows(segments(summed, nothing)),
         (normal, below(rows), ordered(4)), SPARSE, NUMBERS, 4, of_rows(magnitude()), diff=(0,)),
    Spec("SegmentSum/sparse_mean", gp.sparse_segment_mean, of_rows(segments(mean, nothing)),
         (normal, below(rows), ordered(4)), SPARSE, ulps=4, scale=of_rows(magnitude(mean)),
         diff=(0,)),
    Spec("SegmentSum/sparse_sqrt_n", gp.sparse_segment_sqrt_n,
         of_rows(segments(over_root, nothing)), (normal, below(rows), ordered(4)), SPARSE,
         ulps=4, scale=of_rows(magnitude(over_root)),
         diff=(0,)),
    # ---- counting
    Spec("Bincount", gp.bincount, counted, (between(0, 6),), (
        (((7,),), {}), (((0,),), {}), (((2, 3),), {"minlength": 9}), (((9,),), {"maxlength": 3}),
        (((1025,),), {})), INTS, bad=(
            Bad(InvalidArgument, ("-2", "position 1"), (np.array([1, -2], np.int32),)),
            Bad(TypeError, ("float32",), (f32(3),)))),
    Spec("Bincount/weights", lambda w, x: gp.bincount(x, w), lambda w, x: counted(x, w),
         (normal, below(5)), sweep((((7,), (7,)), ((2, 3), (2, 3)))), NUMBERS, 4,
         lambda w, x: counted(x, abs(w)), flat=True),
    Spec("HistogramFixedWidth", gp.histogram_fixed_width, histogram,
         (between(-3, 9), lambda rng, shape, dtype, shapes: np.array([-1, 6], dtype)), (
             (((9,), (2,)), {"nbins": 5}), (((2, 3), (2,)), {"nbins": 1}),
             (((0,), (2,)), {"nbins": 3}), (((1025,), (2,)), {"nbins": 100})), NUMBERS,
         widen=False, bad=(
             Bad(ValueError, ("nbins", "0"), (f32(3), f32(2)), {"nbins": 0}),
             Bad(ValueError, ("value_range", "(3,)"), (f32(3), f32(3))),
             Bad(InvalidArgument, ("order",), (f32(3), f32(2))),
             Bad(InvalidArgument, ("element 1", "NaN"),
                 (np.array([1, np.nan]), np.array([0.0, 1.0]))))),
    # ---- order
    Spec("TopKV2", lambda x, k: gp.nn.top_k(x, k).values, lambda x, k: largest(x, k)[0],
         (distinct,), ((((7,),), {"k": 3}), (((2, 5),), {"k": 5}), (((3, 40),), {"k": 2}),
                       (((2, 2, 17),), {"k": 1}), (((5,),), {"k": 0}), (((0, 3),), {"k": 2})),
         NUMBERS, diff=(0,)),
    Spec("TopKV2/ties", gp.nn.top_k, largest, (few,), (
        (((9,),), {"k": 4}), (((3, 100),), {"k": 5}), (((3, 100),), {"k": 70}),
        (((17, 1025),), {"k": 20}), (((2, 1025),), {"k": 1000}), (((1,),), {"k": 1})),
        NUMBERS, bad=(
            Bad(ValueError, ("k = 4", "(2, 3)"), (f32(2, 3),), {"k": 4}),
            Bad(ValueError, ("-1",), (f32(2, 3),), {"k": -1}),
            Bad(ValueError, ("dimension",), (f32(),), {"k": 0}),
            Bad(ValueError, ("k", "scalar"), (f32(3),), {"k": [1]}),
            Bad(TypeError, ("bool",), (np.zeros(3, bool),)))),
    Spec("TopKV2/sort", gp.sort, lambda x, axis=-1, direction="ASCENDING":
         np.take_along_axis(x, arranged(x, axis, direction).astype(int), axis), (distinct,), (
             (((7,),), {}), (((3, 5),), {"axis": 0}), (((3, 5),), {"direction": "DESCENDING"}),
             (((2, 3, 4),), {"axis": -2}), (((0,),), {}), (((1,),), {})), NUMBERS, diff=(0,),
         rank_needed=True),
    Spec("TopKV2/argsort", gp.argsort, arranged, (few,), (
        (((7,),), {}), (((65,),), {"direction": "DESCENDING"}), (((3, 1025),), {}),
        (((40, 3),), {"axis": 0}), (((2, 0),), {})), NUMBERS, rank_needed=True, bad=(
            Bad(ValueError, ("axis 1", "(3,)"), (f32(3),), {"axis": 1}),
            Bad(ValueError, ("UP",), (f32(3),), {"direction": "UP"}))),
    Spec("LogicalAnd/in_top_k", gp.nn.in_top_k, among, (distinct, below(lambda s: s[0][1])),
         tuple((s, {"k": k}) for s in (((5, 7), (5,)), ((1, 1), (1,)), ((0, 3), (0,)))
               for k in (1, 3))),
    Spec("InvertPermutation", gp.invert_permutation, lambda x: np.argsort(x).astype(x.dtype),
         (permutation,), sweep(((5,), (1,), (0,), (1025,))), INTS, bad=(
             Bad(ValueError, ("vector", "(2, 2)"), (i32(2, 2),)),
             Bad(TypeError, ("float32",), (f32(2),)),
             Bad(InvalidArgument, ("2", "position 1", "[0, 2)"), (np.array([0, 2], np.int32),)),
             Bad(InvalidArgument, ("1", "position 2", "twice"), (np.array([0, 1, 1], np.int32),)))),
    # ---- sizes that depend on the data
    Spec("Where", gp.where, np.argwhere, (few,),
         sweep(((7,), (3, 5), (0,), (2, 0, 3), (1,), (2, 3, 4), (1025,))), ALL, bad=(
             Bad(ValueError, ("both",), (np.zeros(3, bool),), {"x": 1}),)),
    Spec("GatherV2/boolean_mask", gp.boolean_mask, masked, (normal, bools), (
                           (((7,), (7,)), {}), (((3, 4), (3,)), {}), (((3, 4), (3, 4)), {}),
                           (((2, 3, 4), (3, 4)), {"axis": 1}), (((2, 3), (3,)), {"axis": 1}),
                           (((0, 3), (0,)), {})), ALL, diff=(0,), rank_needed=True, bad=(
             Bad(ValueError, ("(4,)", "(3, 2)"), (f32(3, 2), np.zeros(4, bool))),
             Bad(ValueError, ("scalar",), (f32(3), np.zeros((), bool))),
             Bad(TypeError, ("int32",), (f32(3), i32(3))))),
    Spec("UniqueWithCounts", gp.unique_with_counts, first_seen, (few,),
         sweep(((9,), (0,), (1,), (1025,))), ALL, bad=(
             Bad(ValueError, ("vector", "(2, 2)"), (f32(2, 2),)),)),
    Spec("UniqueWithCounts/unique", gp.unique, lambda x: first_seen(x)[:2], (normal,),
         sweep(((9,), (300,))), ALL),
    Spec("ListDiff", gp.setdiff1d, without, (few, between(-2, 2)),
         sweep((((9,), (3,)), ((0,), (3,)), ((5,), (0,)), ((1025,), (2,)))), NUMBERS, widen=False,
         bad=(Bad(ValueError, ("vector", "(2, 2)"), (f32(2, 2), f32(3))),
              Bad(TypeError, ("int32", "float32"), (f32(2), i32(2))))),
    Spec("DynamicPartition", gp.dynamic_partition,
         lambda x, p, num_partitions: [x[p == k] for k in range(num_partitions)],
         (normal, below(3)), ((((7,), (7,)), {"num_partitions": 3}),
                              (((5, 2), (5,)), {"num_partitions": 4}),
                              (((2, 3, 2), (2, 3)), {"num_partitions": 3}),
                              (((0, 2), (0,)), {"num_partitions": 1})), ALL, diff=(0,),
         rank_needed=True, bad=(
             Bad(ValueError, ("(3, 2)", "(2,)"), (f32(3, 2), i32(2)), {"num_partitions": 2}),
             Bad(ValueError, ("positive", "0"), (f32(3), i32(3)), {"num_partitions": 0}),
             Bad(InvalidArgument, ("2", "position 0", "[0, 2)"), (f32(3), i32(3) + 2),
                 {"num_partitions": 2}))),
    Spec("RowsBetween", lambda x: _rows_between(x, 1, 3), lambda x: x[1:3], (normal,),
         sweep(((5,), (3, 2))), INTS),
    Spec("DynamicStitch", dynamic_stitch, stitched, (below(5), below(4), normal, normal),
         sweep((((3,), (2,), (3,), (2,)), ((3,), (), (3, 2), (2,)), ((2, 2), (0,), (2, 2, 3),
                (0, 3)))), ALL, diff=(2, 3), rank_needed=True),
    # ---- embeddings
    Spec("GatherV2/embedding", gp.nn.embedding_lookup, taken, (normal, below(rows)),
         sweep((((5, 3), (2, 2)), ((4,), (3,)), ((3, 2, 2), ()))), NUMBERS, diff=(0,)),
    Spec("GatherV2/embedding_max_norm", gp.nn.embedding_lookup, norms_clipped,
         (normal, below(rows)), sweep((((5, 3), (2, 2)), ((4, 1), (3,))), {"max_norm": 1.5}),
         ulps=8, diff=(0,), rank_needed=True),
    Spec("GatherV2/embedding_mod", embedding_mod, lambda a, b, c, i: mod_table(a, b, c)[i],
         (normal, normal, normal, below(8)),
         sweep((((3, 2), (3, 2), (2, 2), (7,)), ((3,), (3,), (2,), (2, 3)))), NUMBERS,
         diff=(0, 1, 2)),
    Spec("GatherV2/embedding_div", embedding_div,
         lambda a, b, c, i: np.concatenate([a, b, c])[i], (normal, normal, normal, below(8)),
         sweep((((3, 2), (3, 2), (2, 2), (7,)), ((3,), (3,), (2,), (2, 3)))), NUMBERS,
         diff=(0, 1, 2)),
]
# fmt: on
