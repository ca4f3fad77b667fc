"""Rows of operations on sparse tensors. Their dense shape is that of the first input."""

import numpy as np
from specs import ALL, NUMBERS, Bad, Spec, bools, f32, i32, normal

import gradplan as gp
from gradplan.ops import entries, sparse_embedding

InvalidArgument = gp.errors.InvalidArgumentError


def indices(of=0, kind="int64", columns=None):
    """Rows of indices, in any order and repeated, of dimensions of the input number ``of``."""

    def sample(rng, shape, dtype, shapes):
        dims = shapes[of] if columns is None else [shapes[k][0] for k in columns]
        return np.stack([rng.integers(0, d, shape[0]) for d in dims[: shape[1]]], 1).astype(kind)

    return sample


def in_order(kind="int64"):
    """Different indices of elements of the first input, in order."""

    def sample(rng, shape, dtype, shapes):
        flat = np.sort(rng.permutation(int(np.prod(shapes[0])))[: shape[0]])
        return np.stack(np.unravel_index(flat, shapes[0]), 1).astype(kind)

    return sample


def sparse(like, i, v):
    return gp.SparseTensor(i, v, gp.shape(like, out_type=gp.int64))


def dense(like, i, v):
    out = np.zeros(like.shape, v.dtype)
    np.add.at(out, tuple(i.T), v)
    return out


def parts(sp):
    """The places are floats beside floats: what is differentiated is of one type."""
    return gp.cast(sp.indices, sp.dtype) if sp.dtype.is_floating else sp.indices, sp.values


# ---- what NumPy computes -------------------------------------------------------------------------


def gathered(x, i):
    return x[tuple(i.T)]


def scattered(v, i, like):
    return np.zeros(like.shape, v.dtype) + dense(like, i, v) if v.ndim == 1 else _slices(v, i, like)


def _slices(v, i, like):
    out = np.zeros(like.shape, v.dtype)
    np.add.at(out, tuple(i.T), v)
    return out


def to_dense(like, i, v, default=0):
    out = np.full(like.shape, default, v.dtype)
    out[tuple(i.T)] = v
    return out


def product(like, i, v, b, adjoint_a=False, adjoint_b=False):
    a = dense(like, i, v)
    return (a.T if adjoint_a else a) @ (b.T if adjoint_b else b)


def product_scale(like, i, v, b, **attrs):
    return product(like, i, abs(v), abs(b), **attrs)


def ordered(like, i, v):
    order = np.lexsort(i.T[::-1])
    return i[order], v[order]


def union(like, i, v, j, w):
    rows = np.unique(np.concatenate([i, j]), axis=0)
    return rows, (dense(like, i, v) + dense(like, j, w))[tuple(rows.T)]


def union_scale(like, i, v, j, w):
    return tuple(abs(x).astype(v.dtype) for x in union(like, i, abs(v), j, abs(w)))


def soft(like, i, v):
    e = np.exp(v)
    return e / dense(like, i, e).sum(-1)[tuple(i[:, :-1].T)]


def reduced(like, i, v, axis=None, keepdims=False):
    axis = tuple(axis) if isinstance(axis, list) else axis
    return dense(like, i, v).sum(axis, keepdims=keepdims)


def lookup(table, weights, places, like, held=True, adjoint=False):
    rows = gp.shape(like, out_type=gp.int64)[0]
    return sparse_embedding.row_sums(table, weights, places, rows, held, adjoint=adjoint)


def looked_up(table, weights, places, like, adjoint=False):
    out = np.zeros((len(like), *table.shape[1:]), table.dtype)
    i, j = places.T[::-1] if adjoint else places.T
    np.add.at(out, i, weights.reshape(-1, *[1] * (table.ndim - 1)) * table[j])
    return out


# ---- the table -----------------------------------------------------------------------------------

MATRICES = tuple(((s, (n, 2), (n,), b), a) for s, n, b, a in [
    ((3, 4), 5, (4, 2), {}), ((3, 4), 0, (4, 2), {}), ((1, 1), 3, (1, 1), {}),
    ((3, 4), 7, (3, 2), {"adjoint_a": True}), ((3, 4), 6, (2, 4), {"adjoint_b": True}),
    ((3, 4), 6, (5, 3), {"adjoint_a": True, "adjoint_b": True}), ((2, 3), 4, (3, 0), {}),
    ((0, 3), 0, (3, 2), {}), ((33, 17), 90, (17, 5), {}),
])  # fmt: skip
ENTRIES = tuple(((s, (n, len(s)), (n,)), {}) for s, n in [
    ((4,), 3), ((2, 3), 4), ((2, 3, 4), 9), ((5, 1), 0), ((1, 1), 1), ((33, 17), 65),
])  # fmt: skip
SLICES = tuple(((x, i), {}) for x, i in [
    ((4,), (6, 1)), ((4, 3), (5, 1)), ((4, 3), (5, 2)), ((2, 3, 2, 2), (4, 2)), ((4, 3), (0, 1)),
    ((3, 0), (2, 1)), ((17, 33), (9, 1)),
])  # fmt: skip
SCATTERS = tuple(((v, i, like), {}) for v, i, like in [
    ((6,), (6, 1), (4,)), ((5, 3), (5, 1), (4, 3)), ((5,), (5, 2), (4, 3)), ((0,), (0, 1), (3,)),
    ((33, 5), (33, 1), (9, 5)),
])  # fmt: skip
LOOKUPS = [((4, 2), 6, 3), ((4,), 5, 3), ((4, 2, 3), 5, 2), ((3, 0), 2, 2), ((4, 2), 0, 3),
           ((33, 17), 90, 9)]  # fmt: skip
AXES = ({}, {"axis": 0}, {"axis": -1, "keepdims": True}, {"axis": [0, 1]}, {"keepdims": True})
TWO = np.array([[0, 0], [1, 2]])
THREE = np.array([[0, 0], [1, 1], [1, 0]])


def retain(like, i, v, mask):
    return parts(gp.sparse_retain(sparse(like, i, v), mask))


# fmt: off
SPECS = [
    Spec("SparseGather", lambda x, i: entries.gather_entries(x, i), gathered,
         (normal, indices(kind="int32")), SLICES, ALL, diff=(0,), bad=(
             Bad(InvalidArgument, ("3", "position 2", "[0, 2)"),
                 (f32(2, 3), np.array([[0, 1], [3, 1]]))),
             Bad(InvalidArgument, ("-1", "position 1", "[0, 3)"), (f32(2, 3), np.array([[0, -1]]))),
             Bad(ValueError, ("3 dimensions", "(2, 3)"), (f32(2, 3), i32(1, 3))),
             Bad(ValueError, ("matrix", "(3,)"), (f32(2, 3), i32(3))),
             Bad(TypeError, ("indices", "float32"), (f32(2), f32(2, 1))))),
    Spec("SparseGather/transposed", lambda x, i: entries.gather_entries(gp.transpose(x), i),
         lambda x, i: gathered(x.T, i),
         (normal, lambda rng, s, dtype, shapes: rng.integers(0, min(shapes[0]), s)),
         tuple(((x, i), {}) for x, i in [((4, 3), (5, 1)), ((4, 3), (5, 2))]), diff=(0,)),
    Spec("SparseScatter", lambda v, i, like: entries.scatter_entries(v, i, gp.shape(like)),
         scattered, (normal, indices(2), normal), SCATTERS, NUMBERS, 6,
         lambda v, i, like: scattered(abs(v), i, like), (0,), bad=(
             Bad(InvalidArgument, ("3", "position 1", "[0, 2)"),
                 (f32(2), np.array([[0], [3]]), f32(2))),
             Bad(ValueError, ("(2,)", "(3, 1)"), (f32(2), i32(3, 1), f32(2))))),
    Spec("SparseToDense",
         lambda like, i, v, default=0: gp.sparse_to_dense(i, gp.shape(like), v, default),
         to_dense, (normal, in_order(), normal),
         (*ENTRIES, (((2, 3), (4, 2), (4,)), {"default": True}), (((2, 3), (4, 2), ()), {})), ALL,
         diff=(2,), rank_needed=True, bad=(
             Bad(InvalidArgument, ("row 2", "out of order or repeated"),
                 (f32(2, 2), THREE, f32(3))),
             Bad(InvalidArgument, ("row 1", "repeated"), (f32(2, 2), TWO * 0, f32(2))),
             Bad(InvalidArgument, ("2", "position 3", "[0, 2)"), (f32(2, 2), TWO, f32(2))),
             Bad(ValueError, ("(3,)", "(2, 2)"), (f32(2, 3), TWO, f32(3))),
             Bad(ValueError, ("2 dimensions", "[2]"), (f32(2), TWO, f32(2))),
             Bad(TypeError, ("float32",), (f32(2), f32(2, 1), f32(2))))),
    Spec("SparseToDense/any order",
         lambda like, i, v: gp.sparse_to_dense(i, gp.shape(like), v, validate_indices=False),
         to_dense, (normal, indices(kind="int32"), normal), ENTRIES, ALL, rank_needed=True),
    Spec("SparseToDense/vector of indices",
         lambda like, i, v: gp.sparse_to_dense(i, gp.shape(like), v, 3),
         lambda like, i, v: to_dense(like, i[:, None], v, 3),
         (normal, lambda rng, s, dtype, shapes: np.arange(*s), normal),
         ((((5,), (3,), (3,)), {}),), NUMBERS, diff=(2,), rank_needed=True),
    Spec("SparseTensorDenseMatMul", lambda like, i, v, b, **attrs:
         gp.sparse_tensor_dense_matmul(sparse(like, i, v), b, **attrs), product,
         (normal, indices(), normal), MATRICES, NUMBERS, 8, product_scale, (2, 3), bad=(
             Bad(ValueError, ("3", "2", "(2, 1)"), (f32(2, 3), TWO, f32(2), f32(2, 1))),
             Bad(ValueError, ("rank 2", "'b'", "(3,)"), (f32(2, 3), TWO, f32(2), f32(3))),
             Bad(InvalidArgument, ("2", "position 3", "[0, 2)"),
                 (f32(2, 2), TWO, f32(2), f32(2, 1))),
             Bad(TypeError, ("int32", "float32"), (f32(2, 3), TWO, f32(2), i32(3, 1))))),
    Spec("EmbeddingSums", lookup, looked_up, (normal, normal, indices(columns=(3, 0)), normal),
         tuple(((t, (n,), (n, 2), (rows,)), {}) for t, n, rows in LOOKUPS), NUMBERS, 8,
         lambda t, w, *more: looked_up(abs(t), abs(w), *more), (0, 1), bad=(
             Bad(InvalidArgument, ("2", "position 3", "[0, 2)"),
                 (f32(2, 3), f32(2), TWO, f32(2))),
             Bad(ValueError, ("at least one dimension",), (f32(), f32(2), TWO, f32(2))),
             Bad(ValueError, ("pairs", "(3, 1)"), (f32(2), f32(3), i32(3, 1), f32(2))),
             Bad(ValueError, ("(3,)", "(2, 2)"), (f32(2, 3), f32(3), TWO, f32(2))))),
    Spec("EmbeddingSums/adjoint", lambda *args: lookup(*args, adjoint=True),
         lambda *args: looked_up(*args, adjoint=True),
         (normal, normal, indices(columns=(0, 3)), normal),
         tuple(((t, (n,), (n, 2), (rows,)), {}) for t, n, rows in LOOKUPS), NUMBERS, 8,
         lambda t, w, *more: looked_up(abs(t), abs(w), *more, adjoint=True), (0, 1)),
    Spec("SparseDots", lambda x, y, i: entries.entries_dots(i, x, y),
         lambda x, y, i: (x[i[:, 0]] * y[i[:, 1]]).sum(-1),
         (normal, normal, indices(columns=(0, 1))),
         tuple((s, {}) for s in [((3, 4), (2, 4), (5, 2)), ((3, 4), (2, 4), (0, 2)),
                                 ((3, 0), (2, 0), (3, 2)), ((7, 33), (5, 33), (9, 2))]),
         ulps=8, scale=lambda x, y, i: abs(x[i[:, 0]] * y[i[:, 1]]).sum(-1), diff=(0, 1), bad=(
             Bad(InvalidArgument, ("2", "position 3", "[0, 2)"), (f32(2, 3), f32(2, 3), TWO)),
             Bad(ValueError, ("(2, 3)", "(2, 4)"), (f32(2, 3), f32(2, 4), TWO)))),
    Spec("SparseOrder", lambda like, i, v: parts(gp.sparse_reorder(sparse(like, i, v))), ordered,
         (normal, indices(), normal), ENTRIES, ALL, diff=(2,)),
    Spec("SparseUnique",
         lambda like, i, v, j, w: parts(gp.sparse_add(sparse(like, i, v), sparse(like, j, w))),
         union, (normal, indices(), normal, indices(), normal),
         tuple((s + ((n, len(s[0])), (n,)), {}) for (s, _), n in
               zip(ENTRIES, (2, 4, 0, 3, 1, 33), strict=True)), NUMBERS, 8, union_scale,
         diff=(2, 4)),
    Spec("SparseWhere", retain, lambda like, i, v, mask: (i[mask], v[mask]),
         (normal, indices(), normal, bools),
         tuple(((*s, s[2]), {}) for s, _ in ENTRIES), ALL, diff=(2,)),
    Spec("SameSizes", lambda x, y: entries.same_sizes(*[gp.shape(t, out_type=gp.int64)
                                                        for t in (x, y)]),
         lambda x, y: np.array(x.shape), (normal,), ((((2, 3), (2, 3)), {}), (((), ()), {})),
         bad=(Bad(ValueError, ("[2, 3]", "[3, 2]"), (f32(2, 3), f32(3, 2))),)),
    Spec("SparseSoftmax", lambda like, i, v: gp.sparse_softmax(sparse(like, i, v)).values, soft,
         (normal, in_order(), normal), ENTRIES[1:], ulps=20,
         scale=lambda like, i, v: np.ones_like(v), diff=(2,), bad=(
             Bad(InvalidArgument, ("row 2", "out of order"), (f32(2, 2), THREE, f32(3))),
             Bad(ValueError, ("2 columns",), (f32(2), i32(2, 1).astype(np.int64), f32(2))))),
    Spec("SparseScatter/sum", lambda like, i, v, **attrs:
         gp.sparse_reduce_sum(sparse(like, i, v), **attrs), reduced, (normal, indices(), normal),
         tuple((s, a) for s, _ in ENTRIES[1:2] + ENTRIES[-1:] for a in AXES if "axis" in a and
               a["axis"] != [0, 1]), NUMBERS, 8,
         lambda like, i, v, **attrs: reduced(like, i, abs(v), **attrs), (2,), rank_needed=True),
    Spec("Sum/sparse", lambda like, i, v, **attrs:
         gp.sparse_reduce_sum(sparse(like, i, v), **attrs), reduced, (normal, indices(), normal),
         tuple((s, a) for s, _ in ENTRIES[1:3] for a in AXES if a.get("axis") in (None, [0, 1])
               and ("axis" not in a or len(s[0]) == 2)), NUMBERS, 8,
         lambda like, i, v, **attrs: reduced(like, i, abs(v), **attrs), (2,), rank_needed=True),
    Spec("SparseScatter/add", lambda like, i, v: gp.sparse_add(like, sparse(like, i, v)),
         lambda like, i, v: like + dense(like, i, v), (normal, indices(), normal), ENTRIES, NUMBERS,
         8, lambda like, i, v: abs(like) + dense(like, i, abs(v)), (0, 2)),
    Spec("SparseGather/times", lambda like, i, v: (sparse(like, i, v) * like).values,
         lambda like, i, v: v * gathered(like, i), (normal, indices(), normal), ENTRIES, NUMBERS,
         0.51, diff=(0, 2)),
]
# fmt: on
