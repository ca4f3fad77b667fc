"""Rows of the operations that shape, join, cut, pad and lay out arrays."""

import numpy as np
from specs import ALL, FLOATS, NUMBERS, Bad, Spec, f32, i32, move, normal, sweep

import gradplan as gp
from gradplan.ops.array import take_first

InvalidArgument = gp.errors.InvalidArgumentError


def cases(*pairs):
    """Cases of one input: (shape, attributes)."""
    return tuple(((s,), a) for s, a in pairs)


def fixed(*values):
    """A sampler that gives one of ``values``, the one of the wanted shape."""

    def sample(rng, shape, dtype, shapes=()):
        return next(np.asarray(v) for v in values if np.shape(v) == shape)

    return sample


# ---- oracles -------------------------------------------------------------------------------------


def unstack(x, axis=0, num=None):
    return [np.squeeze(p, axis) for p in np.split(x, x.shape[axis], axis)] if x.shape[axis] else []


def split(x, parts, axis=0):
    if isinstance(parts, int):
        return np.split(x, parts, axis)
    rest = x.shape[axis] - sum(n for n in parts if n > 0)
    sizes = [rest if n == -1 else n for n in parts]
    return np.split(x, np.cumsum(sizes)[:-1], axis)


def window(begin, size):
    return tuple(slice(b, None if n == -1 else b + n) for b, n in zip(begin, size, strict=True))


def cut(x, begin, size):
    return x[window(begin, size)]


def pasted(x, dy, begin, size):
    out = np.zeros(x.shape, dy.dtype)
    out[window(begin, size)] = dy
    return out


def slice_at(x, i, key):
    return x[key(int(i))]


def slice_at_grad(x, dy, i, key):
    out = np.zeros(x.shape, dy.dtype)
    out[key(int(i))] = dy
    return out


def pad(x, c, paddings):
    pads = np.reshape(paddings, (-1, 2))
    return np.pad(x, pads, constant_values=c[()]) if x.ndim else x


def mirror(x, paddings, mode):
    return np.pad(x, paddings, {"REFLECT": "reflect", "SYMMETRIC": "symmetric"}[mode])


def adjoint(forward):
    """The gradient of a linear operation, one unit vector after the other."""

    def oracle(x, dy, **attrs):
        out = np.zeros(x.size, dy.dtype)
        for i in range(x.size):
            unit = np.zeros(x.size, dy.dtype)
            unit[i] = 1
            out[i] = (forward(unit.reshape(x.shape), **attrs) * dy).sum()
        return out.reshape(x.shape)

    return oracle


def back(build):
    return lambda x, dy, **attrs: gp.gradients(build(x, **attrs), x, dy)[0]


def adjoint_row(op, build, forward, pairs):
    """A row for the gradient of a linear operation of one input."""
    return Spec(
        op,
        back(build),
        adjoint(forward),
        (normal,),
        tuple(((s, forward(np.zeros(s), **a).shape), a) for s, a in pairs),
        ulps=2,
        scale=lambda x, dy, **a: 1 + adjoint(forward)(x, abs(dy), **a),
        diff=(1,),
    )


def reverse_sequence(x, n, seq_axis, batch_axis=0):
    out = np.moveaxis(x.copy(), (batch_axis, seq_axis), (0, 1))
    for row, k in zip(out, n, strict=True):
        row[:k] = row[:k][::-1].copy()
    return np.moveaxis(out, (0, 1), (batch_axis, seq_axis))


def roll(x, shift, axis):
    by, axes = np.broadcast_arrays(shift, axis)
    return np.roll(x, tuple(int(s) for s in by.ravel()), tuple(int(a) for a in axes.ravel()))


def diag(x):
    out = np.zeros(x.shape * 2, x.dtype)
    for i in np.ndindex(*x.shape):
        out[i + i] = x[i]
    return out


def diag_part(x):
    half = x.shape[: x.ndim // 2]
    return np.array([x[i + i] for i in np.ndindex(*half)], x.dtype).reshape(half)


def matrix_diag(x):
    return x[..., None] * np.eye(x.shape[-1], dtype=x.dtype)


def set_diag(x, d):
    out = x.copy()
    for i in range(d.shape[-1]):
        out[..., i, i] = d[..., i]
    return out


def band(x, lower, upper):
    m, n = x.shape[-2:]
    i, j = np.indices((m, n))
    inside = ((lower < 0) | (i - j <= lower)) & ((upper < 0) | (j - i <= upper))
    return np.where(inside, x, np.zeros((), x.dtype))


def space_to_depth(x, block_size, data_format="NHWC"):
    x = np.moveaxis(x, 1, 3) if data_format == "NCHW" else x
    b = block_size
    out = np.concatenate([x[:, i::b, j::b] for i in range(b) for j in range(b)], 3)
    return np.moveaxis(out, 3, 1) if data_format == "NCHW" else out


def depth_to_space(x, block_size, data_format="NHWC"):
    x = np.moveaxis(x, 1, 3) if data_format == "NCHW" else x
    b, (n, h, w, c) = block_size, x.shape
    out = np.zeros((n, h * b, w * b, c // b // b), x.dtype)
    for k, part in enumerate(np.split(x, b * b, 3)):
        out[:, k // b :: b, k % b :: b] = part
    return np.moveaxis(out, 3, 1) if data_format == "NCHW" else out


def space_to_batch(x, block_shape, paddings):
    m = len(block_shape)
    x = np.pad(x, [(0, 0), *paddings, *[(0, 0)] * (x.ndim - m - 1)])
    parts = [
        x[(slice(None), *[slice(o, None, b) for o, b in zip(at, block_shape, strict=True)])]
        for at in np.ndindex(*block_shape)
    ]
    return np.concatenate(parts, 0)


def batch_to_space(x, block_shape, crops):
    m, parts = len(block_shape), int(np.prod(block_shape))
    wide = [d * b for d, b in zip(x.shape[1 : m + 1], block_shape, strict=True)]
    out = np.zeros((x.shape[0] // parts, *wide, *x.shape[m + 1 :]), x.dtype)
    for at, part in zip(np.ndindex(*block_shape), np.split(x, parts, 0), strict=True):
        key = [slice(o, None, b) for o, b in zip(at, block_shape, strict=True)]
        out[(slice(None), *key)] = part
    key = [slice(a, d - b) for (a, b), d in zip(crops, wide, strict=True)]
    return out[(slice(None), *key)]


def patches(x, ksizes, strides, rates, padding):
    (kh, kw), (sh, sw), (rh, rw) = ksizes[1:3], strides[1:3], rates[1:3]
    if padding == "SAME":
        pads = []
        for d, k, s, r in zip(x.shape[1:3], (kh, kw), (sh, sw), (rh, rw), strict=True):
            total = max(0, (-(-d // s) - 1) * s + (k - 1) * r + 1 - d)
            pads.append((total // 2, total - total // 2))
        x = np.pad(x, [(0, 0), *pads, (0, 0)])
    h = (x.shape[1] - (kh - 1) * rh - 1) // sh + 1
    w = (x.shape[2] - (kw - 1) * rw - 1) // sw + 1
    out = [x[:, i * rh :, j * rw :][:, ::sh, ::sw][:, :h, :w] for i in range(kh) for j in range(kw)]
    return np.concatenate(out, 3)


def ranged(start, limit, delta):
    if not isinstance(delta, float):
        return np.arange(start, limit, delta, np.int32)
    start, limit, delta = [float(np.float32(v)) for v in (start, limit, delta)]
    return start + delta * np.arange(np.ceil((limit - start) / delta))


def grid(x, y, indexing="xy"):
    return np.meshgrid(x, y, indexing=indexing)


# fmt: off
# ---- cases ---------------------------------------------------------------------------------------

STACKS = (
    (((),), 0), (((), (), ()), -1), (((3,), (3,)), 1), (((2, 3),) * 3, 1), (((2, 3),) * 2, -3),
    (((0, 2),) * 2, 0), (((1025,),) * 2, 1),
)
UNSTACKS = (
    ((3,), 0, 3), ((1,), 0, 1), ((2, 3), 1, 3), ((2, 3), -2, 2), ((2, 0), 0, 2), ((1025, 2), 1, 2),
)
SPLITS = (
    ((6,), 3, 0), ((6,), [1, 5], 0), ((6,), [2, 0, -1], -1), ((4, 6), 2, 1), ((4, 6), [1, 3], 0),
    ((2, 3, 4), [4], 2), ((4, 0), 2, 0), ((2, 1025), [1000, 25], 1),
)
WINDOWS = (
    ((), [], []), ((7,), [2], [3]), ((7,), [0], [-1]), ((7,), [7], [-1]), ((4, 5), [1, 0], [2, -1]),
    ((4, 5), [3, 5], [1, 0]), ((2, 3, 4), [0, 1, 2], [2, 2, 2]), ((0, 3), [0, 1], [0, 2]),
    ((3, 1025), [1, 1], [2, 1023]),
)
WINDOWS = cases(*[(s, {"begin": b, "size": n}) for s, b, n in WINDOWS])
PADS = (
    ((), []), ((3,), [[1, 2]]), ((3,), [[0, 0]]), ((0,), [[2, 0]]), ((2, 3), [[1, 1], [0, 2]]),
    ((2, 3, 2), [[0, 1], [0, 0], [2, 1]]), ((2, 1025), [[0, 1], [3, 0]]),
)
MIRRORS = (
    ((3,), [[2, 2]], "REFLECT"), ((3,), [[3, 3]], "SYMMETRIC"), ((3,), [[0, 0]], "REFLECT"),
    ((4, 3), [[3, 0], [1, 2]], "REFLECT"), ((2, 3), [[1, 2], [3, 0]], "SYMMETRIC"),
    ((2, 3, 4), [[1, 1], [0, 0], [2, 3]], "REFLECT"), ((1,), [[0, 1]], "SYMMETRIC"),
)
MIRRORS = tuple((s, {"paddings": p, "mode": m}) for s, p, m in MIRRORS)
TILES = (
    ((), []), ((3,), [2]), ((3,), [0]), ((0,), [3]), ((2, 3), [1, 1]), ((2, 3), [2, 3]),
    ((3, 1, 2), [2, 4, 1]), ((1025,), [2]), ((2, 1, 2, 1, 2), [2, 3, 2, 2, 3]),
)
TILES = tuple((s, {"multiples": m}) for s, m in TILES)
MATRICES = ((1, 1), (3, 3), (2, 4), (4, 2), (0, 3), (2, 3, 4), (33, 35))
BLOCKS = (
    ((1, 4), [2], [[0, 0]]), ((2, 5, 3), [3], [[1, 0]]), ((1, 4, 6, 2), [2, 3], [[0, 0], [0, 0]]),
    ((2, 3, 2, 1), [2, 2], [[1, 0], [0, 2]]), ((1, 2, 3, 4), [1, 1], [[0, 0], [0, 0]]),
    ((1, 2, 2, 2, 3), [2, 1, 2], [[0, 0], [1, 0], [1, 1]]), ((0, 4), [2], [[0, 0]]),
)
UNBLOCKS = (
    ((4, 2), [2], [[0, 0]]), ((6, 2, 3), [3], [[1, 2]]), ((12, 2, 1, 2), [2, 3], [[1, 0], [0, 1]]),
    ((4, 2, 3), [2, 1], [[0, 0], [1, 1]]), ((8, 1, 2, 2), [2, 2, 2], [[0, 1], [0, 0], [1, 1]]),
)
PATCHES = tuple((s, {"ksizes": [1, *k, 1], "strides": [1, *t, 1], "rates": [1, *r, 1],
                     "padding": p})
                for s, k, t, r, p in (
    ((1, 3, 3, 1), (2, 2), (1, 1), (1, 1), "VALID"), ((2, 5, 4, 2), (3, 2), (2, 1), (1, 1), "SAME"),
    ((1, 6, 5, 1), (2, 3), (1, 2), (2, 1), "VALID"), ((1, 4, 4, 3), (3, 3), (3, 2), (2, 1), "SAME"),
    ((1, 1, 1, 2), (1, 1), (1, 1), (1, 1), "SAME")))
SHUFFLES = (
    ((1, 2, 2, 1), 2, "NHWC"), ((2, 4, 6, 3), 2, "NHWC"), ((1, 3, 6, 2), 3, "NHWC"),
    ((2, 3, 4, 2), 2, "NCHW"), ((0, 2, 2, 1), 2, "NHWC"),
)
UNSHUFFLES = (
    ((1, 1, 1, 4), 2, "NHWC"), ((2, 2, 3, 12), 2, "NHWC"), ((1, 1, 2, 18), 3, "NHWC"),
    ((2, 8, 2, 1), 2, "NCHW"),
)
LENGTHS = fixed(np.array([2, 0, 3], np.int32), np.array([4, 1], np.int32), np.zeros(0, np.int32))

SPECS = [
    # ---- joining and cutting
    move("Pack", lambda *xs, axis: gp.stack(xs, axis), lambda *xs, axis: np.stack(xs, axis),
         tuple((s, {"axis": a}) for s, a in STACKS), diff=(0, 1), bad=(
             Bad(ValueError, ("(2,)", "(3,)", "differ"), (f32(2), f32(3)), {"axis": 0}),
             Bad(ValueError, ("axis 3", "[-3, 3)"), (f32(2, 2), f32(2, 2)), {"axis": 3}),
             Bad(ValueError, ("empty", "stack"), (), {"axis": 0}),
             Bad(TypeError, ("int32", "float32"), (f32(2), i32(2)), {"axis": 0}))),
    move("Unpack", gp.unstack, unstack,
         cases(*[(s, {"axis": a, "num": n}) for s, a, n in UNSTACKS]), bad=(
             Bad(ValueError, ("num=3", "(2, 4)"), (f32(2, 4),), {"num": 3}),
             Bad(ValueError, ("axis 2", "rank 2"), (f32(2, 4),), {"num": 2, "axis": 2}))),
    Spec("IdentityN", lambda x, y: tuple(gp.identity_n([x, y])), lambda x, y: (x, y),
         (normal, normal), sweep((((3,), (2, 4)), ((), (0, 2)))), ALL, diff=(0, 1)),
    Spec("Split", lambda x, parts, axis: tuple(gp.split(x, parts, axis)), split, (normal,),
         cases(*[(s, {"parts": n, "axis": a}) for s, n, a in SPLITS if isinstance(n, int)]), ALL,
         diff=(0,), bad=(
             Bad(ValueError, ("4 parts", "dimension 0 of 6"), (f32(6),), {"parts": 4, "axis": 0}),
             Bad(ValueError, ("axis [1]", "rank 1"), (f32(6),), {"parts": 2, "axis": 1}))),
    Spec("SplitV", lambda x, parts, axis: tuple(gp.split(x, parts, axis)), split, (normal,),
         cases(*[(s, {"parts": n, "axis": a}) for s, n, a in SPLITS if isinstance(n, list)]), ALL,
         diff=(0,), bad=(
             Bad(ValueError, ("[2, 3]", "add up", "6"), (f32(6),), {"parts": [2, 3], "axis": 0}),
             Bad(ValueError, ("[7, -1]", "6"), (f32(6),), {"parts": [7, -1], "axis": 0}),
             Bad(ValueError, ("at most one",), (f32(6),), {"parts": [-1, -1], "axis": 0}),
             Bad(ValueError, ("none below",), (f32(6),), {"parts": [8, -2], "axis": 0}))),
    Spec("Concat", lambda a, x, y: gp.concat([x, y], a), lambda a, x, y: np.concatenate([x, y], a),
         (fixed(np.int32(-1)), normal), (
             (((), (2, 3), (2, 1)), {}), (((), (2,), (0,)), {}), (((), (2, 1, 3), (2, 1, 5)), {}),
         ), ALL, diff=(1, 2), bad=(
             Bad(InvalidArgument, ("axis 2", "rank 2"), (np.int32(2), f32(2, 3), f32(2, 3))),
             Bad(InvalidArgument, ("(2, 3)", "(2, 4)"), (np.int32(0), f32(2, 3), f32(2, 4))),
             Bad(TypeError, ("concat_dim", "float32"), (f32(), f32(2), f32(2))))),
    move("Slice", gp.slice, cut, WINDOWS, bad=(
        Bad(ValueError, ("begin 2", "size 3", "size 4"), (f32(4),), {"begin": [2], "size": [3]}),
        Bad(ValueError, ("begin 5", "4"), (f32(4),), {"begin": [5], "size": [-1]}),
        Bad(ValueError, ("begin -1",), (f32(4),), {"begin": [-1], "size": [1]}),
        Bad(ValueError, ("size -2",), (f32(4),), {"begin": [1], "size": [-2]}),
        Bad(ValueError, ("(2, 3)", "(1,)"), (f32(2, 3),), {"begin": [1], "size": [1]}),
        Bad(TypeError, ("begin", "float32"), (f32(4),), {"begin": [1.0], "size": [1]}))),
    Spec("SliceGrad", back(gp.slice), pasted, (normal,),
         tuple(((s[0], cut(np.zeros(s[0]), **a).shape), a) for s, a in WINDOWS), diff=(1,)),
    Spec("SliceAt", lambda x, i, key: x[key(i)], slice_at, (normal, fixed(np.int64(1))), (
        (((3,), ()), {"key": lambda i: i}), (((2, 3), ()), {"key": lambda i: (i, i)}),
        (((2, 3, 4), ()), {"key": lambda i: (slice(None), i)}),
        (((2, 3, 4), ()), {"key": lambda i: (None, ..., i)}),
        (((4, 3, 4), ()), {"key": lambda i: (slice(None, None, -2), 2, i)}),
        (((4, 0), ()), {"key": lambda i: i}), (((3, 1025), ()), {"key": lambda i: i - 3}),
        (((3, 1025), ()), {"key": lambda i: (slice(2), i)}),
    ), ALL, diff=(0,), rank_needed=True, bad=(
        Bad(InvalidArgument, ("3", "position 0", "[0, 3)"), (f32(3), np.int32(3)),
            {"key": lambda i: i}),
        Bad(InvalidArgument, ("-4", "position 0"), (f32(3), np.int32(-4)), {"key": lambda i: i}),
        Bad(InvalidArgument, (str(2**32), "position 1"), (f32(2, 3), np.int64(2**32)),
            {"key": lambda i: (slice(None), i)}))),
    Spec("SliceAtGrad", lambda x, dy, i, key: gp.gradients(x[key(i)], x, dy)[0], slice_at_grad,
         (normal, normal, fixed(np.int64(1))), (
             (((3,), (), ()), {"key": lambda i: i}), (((2, 3), (2,), ()),
                 {"key": lambda i: (slice(None), i)}),
             (((2, 3, 4), (3,), ()), {"key": lambda i: (i, slice(None), i)})), diff=(1,)),
    move("TakeFirst", take_first, lambda x, count: x[:count], cases(
        ((3,), {"count": 2}), ((3,), {"count": 0}), ((0, 2), {"count": 0}), ((2, 3), {"count": 1})),
         bad=(Bad(ValueError, ("4 rows", "(3,)"), (f32(3),), {"count": 4}),
              Bad(ValueError, ("scalar",), (f32(),), {"count": 0}))),
    Spec("PadRows", back(take_first), lambda x, dy, count: np.concatenate([dy, x[count:] * 0]),
         (normal,), ((((3,), (2,)), {"count": 2}), (((2, 3), (1, 3)), {"count": 1})), diff=(1,)),
    # ---- dimensions
    move("Squeeze", gp.squeeze, lambda x, axis=None: np.squeeze(
        x, None if axis in (None, []) else tuple(np.atleast_1d(axis))), cases(
            ((), {}), ((3,), {}), ((1, 3, 1), {}), ((1, 3, 1), {"axis": 0}), ((1, 0),
                {"axis": [0]}),
            ((1, 3, 1), {"axis": [0, -1]}), ((2, 1), {"axis": -1}), ((1, 1), {"axis": []})), bad=(
                Bad(ValueError, ("axis 2", "[-2, 2)"), (f32(2, 1),), {"axis": 2}),
                Bad(ValueError, ("dimension 0 is 2",), (f32(2, 1),), {"axis": 0}),
                Bad(TypeError, ("axis", "0.5"), (f32(2, 1),), {"axis": 0.5}))),
    move("Transpose/matrix", gp.matrix_transpose, lambda x: np.swapaxes(x, -1, -2),
         sweep(((2, 3), (0, 2), (2, 3, 4), (2, 1, 3, 5))), bad=(
             Bad(ValueError, ("rank 2", "matrix_transpose"), (f32(3),)),)),
    move("EnsureShape", gp.ensure_shape, lambda x, shape: x, cases(
        ((), {"shape": None}), ((2, 3), {"shape": [None, 3]}), ((0,), {"shape": [0]})), bad=(
            Bad(ValueError, ("(2, 3)", "(?, 4)"), (f32(2, 3),), {"shape": [None, 4]}),
            Bad(ValueError, ("(2, 3)", "(?,)"), (f32(2, 3),), {"shape": [None]}))),
    move("Size", lambda x, **a: gp.size(x, **a), lambda x, out_type=gp.int32:
         np.array(x.size, out_type.as_numpy_dtype), sweep(((), (3,), (2, 0), (2, 3)), {},
                                                          {"out_type": gp.int64}), diff=()),
    move("Rank", gp.rank, lambda x: np.array(x.ndim, np.int32), sweep(((), (3,), (2, 0, 1))),
         diff=()),
    move("Tile", gp.tile, lambda x, multiples: np.tile(x, multiples), cases(*TILES), bad=(
        Bad(ValueError, ("-1", "negative"), (f32(2),), {"multiples": [-1]}),
        Bad(ValueError, ("multiples", "(2, 3)"), (f32(2, 3),), {"multiples": [2]}),
        Bad(ValueError, ("2**47",), (f32(2),), {"multiples": [2**47]}))),
    adjoint_row("TileGrad", gp.tile, lambda x, multiples: np.tile(x, multiples), TILES),
    Spec("BroadcastTo/meshgrid", lambda x, y, **a: tuple(gp.meshgrid(x, y, **a)), grid, (normal,),
         sweep((((3,), (2,)), ((1,), (0,)), ((), (2,))), {}, {"indexing": "ij"}), ALL, diff=(0, 1)),
    Spec("BroadcastArgs", gp.broadcast_dynamic_shape,
         lambda a, b: np.array(np.broadcast_shapes(tuple(a), tuple(b)), a.dtype).reshape(-1),
         (fixed(*[np.array(v, np.int64) for v in ([2, 1], [3], [], [4, 1, 3])]),),
         sweep((((2,), (1,)), ((1,), (3,)), ((0,), (2,)), ((0,), (0,)))), ("int64",),
         bad=(Bad(InvalidArgument, ("2", "3", "broadcast"), (np.array([2]), np.array([3]))),
              Bad(ValueError, ("vector",), (np.array([[2]]), np.array([3]))))),
    # ---- ranges
    Spec("Range", lambda **a: gp.range(**a), ranged, (), (
             ((), {"start": 0, "limit": 5, "delta": 1}), ((), {"start": 3, "limit": 3, "delta": 1}),
             ((), {"start": 7, "limit": -3, "delta": -4}), ((),
                 {"start": 2, "limit": 19, "delta": 3}),
             ((), {"start": 0, "limit": 2.5, "delta": 0.5}),
             ((), {"start": -5, "limit": 4000, "delta": 3}),
             ((), {"start": 0.5, "limit": 200.0, "delta": 0.1}),
             ((), {"start": 1.0, "limit": 0.0, "delta": -0.3})), ("float32",), 0.51, bad=(
                 Bad(ValueError, ("delta", "0"), (), {"start": 0, "limit": 5, "delta": 0}),
                 Bad(ValueError, ("start 5", "limit 0"), (), {"start": 5, "limit": 0, "delta": 1}),
                 Bad(ValueError, ("start 0", "limit 5"), (), {"start": 0, "limit": 5, "delta": -1}),
                 Bad(ValueError, ("inf",), (), {"start": 0.0, "limit": np.inf, "delta": 1}),
                 Bad(ValueError, ("scalars", "(2,)"), (),
                     {"start": [0, 1], "limit": 3, "delta": 1}),
                 Bad(TypeError, ("bool",), (), {"start": True, "limit": False, "delta": True}))),
    Spec("Range/linspace", gp.linspace, np.linspace, (normal,),
         tuple((((), ()), {"num": n}) for n in (1, 2, 5, 64)), FLOATS, 2,
         lambda a, b, num: abs(a) + abs(b) + np.zeros(num), (0, 1), bad=(
             Bad(ValueError, ("1", "0", "Range"), (f32(), f32()), {"num": 0}),
             Bad(TypeError, ("int32",), (i32(), i32()), {"num": 2}))),
    # ---- padding
    Spec("PadV2", lambda x, c, paddings: gp.pad(x, paddings, constant_values=c), pad, (normal,),
         tuple(((s, ()), {"paddings": p}) for s, p in PADS), ALL, diff=(0, 1), bad=(
             Bad(ValueError, ("paddings", "(1, 2)", "(2, 3)"), (f32(2, 3), f32()),
                 {"paddings": [[1, 1]]}),
             Bad(ValueError, ("paddings", "(2,)"), (f32(3), f32()), {"paddings": [1, 1]}),
             Bad(ValueError, ("-1", "negative"), (f32(3), f32()), {"paddings": [[-1, 0]]}),
             Bad(ValueError, ("scalar", "(1,)"), (f32(3), f32(1)), {"paddings": [[1, 0]]}),
             Bad(ValueError, ("2**47",), (f32(3), f32()), {"paddings": [[2**47, 0]]}))),
    move("MirrorPad", gp.pad, mirror, cases(*MIRRORS), bad=(
        Bad(ValueError, ("[3, 0]", "dimension 0", "REFLECT"), (f32(3),),
            {"paddings": [[3, 0]], "mode": "REFLECT"}),
        Bad(ValueError, ("[0, 4]", "SYMMETRIC"), (f32(3),),
            {"paddings": [[0, 4]], "mode": "SYMMETRIC"}),
        Bad(ValueError, ("mode", "'WRAP'", "pad"), (f32(3),),
            {"paddings": [[0, 4]], "mode": "WRAP"}))),
    adjoint_row("MirrorPadGrad", gp.pad, mirror, MIRRORS),
    move("ReverseV2", gp.reverse, lambda x, axis: np.flip(x, tuple(axis)), cases(
        ((3,), {"axis": [0]}), ((3,), {"axis": []}), ((2, 3), {"axis": [-1]}), ((0, 2),
            {"axis": [0]}),
        ((2, 3, 4), {"axis": [0, 2]}), ((1025,), {"axis": [-1]})), bad=(
            Bad(ValueError, ("axis [2]", "rank 2"), (f32(2, 3),), {"axis": [2]}),
            Bad(ValueError, ("[1, -1]", "twice"), (f32(2, 3),), {"axis": [1, -1]}),
            Bad(TypeError, ("axis", "True"), (f32(2, 3),), {"axis": [True, False]}))),
    Spec("ReverseSequence", gp.reverse_sequence, reverse_sequence, (normal, LENGTHS), (
        (((3, 4), (3,)), {"seq_axis": 1}), (((5, 3), (3,)), {"seq_axis": 0, "batch_axis": 1}),
        (((2, 5, 3), (2,)), {"seq_axis": -2}), (((4, 2, 2, 3), (3,)),
            {"seq_axis": 0, "batch_axis": 3}),
        (((0, 4), (0,)), {"seq_axis": 1}), (((3, 64, 7), (3,)), {"seq_axis": 1})), ALL, diff=(0,),
        bad=(
            Bad(InvalidArgument, ("5", "position 1", "[0, 5)"),
                (f32(2, 4), np.array([4, 5], np.int32)), {"seq_axis": 1}),
            Bad(InvalidArgument, ("-1", "position 0"), (f32(2, 4), np.array([-1, 0])),
                {"seq_axis": 1}),
            Bad(ValueError, ("3 seq_lengths", "2 examples"), (f32(2, 4), i32(3)), {"seq_axis": 1}),
            Bad(ValueError, ("seq_axis 0", "batch_axis 0"), (f32(2, 4), i32(2)), {"seq_axis": 0}),
            Bad(ValueError, ("seq_axis 2", "rank 2"), (f32(2, 4), i32(2)), {"seq_axis": 2}),
            Bad(ValueError, ("seq_axis", "reverse_sequence"), (f32(2, 4), i32(2)), {}))),
    move("Roll", gp.roll, roll, cases(
        ((5,), {"shift": 2, "axis": 0}), ((5,), {"shift": -6, "axis": -1}),
        ((2, 3), {"shift": [1, -1], "axis": [0, 1]}), ((2, 3), {"shift": [1, 1], "axis": [1, 1]}),
        ((0, 3), {"shift": 1, "axis": 0}), ((3, 4, 5), {"shift": [1, 7], "axis": [2, 0]}),
        ((1025,), {"shift": 1000, "axis": 0}), ((3,), {"shift": [], "axis": []})), bad=(
            Bad(ValueError, ("scalar", "rank 1"), (f32(),), {"shift": 1, "axis": 0}),
            Bad(ValueError, ("axis 1", "rank 1"), (f32(3),), {"shift": 1, "axis": 1}),
            Bad(ValueError, ("1 shifts", "2 axes"), (f32(3, 3),), {"shift": 1, "axis": [0, 1]}))),
    # ---- diagonals
    move("Diag", gp.diag, diag, sweep(((1,), (3,), (0,), (2, 3), (2, 1, 2))), bad=(
        Bad(ValueError, ("rank 1",), (f32(),)),)),
    move("DiagPart", gp.diag_part, diag_part, sweep(((1, 1), (3, 3), (0, 0), (2, 3, 2, 3))), bad=(
        Bad(ValueError, ("(2, 3)",), (f32(2, 3),)), Bad(ValueError, ("(2, 2, 2)",),
            (f32(2, 2, 2),)),
        Bad(ValueError, ("(2, 3, 3, 2)",), (f32(2, 3, 3, 2),)))),
    move("MatrixDiag", gp.matrix_diag, matrix_diag, sweep(((1,), (3,), (0,), (2, 3), (2, 0, 2))),
         bad=(Bad(ValueError, ("rank 1",), (f32(),)),)),
    move("MatrixDiagPart", gp.matrix_diag_part, lambda x: np.diagonal(x, 0, -2, -1),
         sweep(MATRICES), bad=(Bad(ValueError, ("rank 2", "(3,)"), (f32(3),)),)),
    move("MatrixSetDiag", gp.matrix_set_diag, set_diag,
         sweep([(s, (*s[:-2], min(s[-2:]))) for s in MATRICES]), diff=(0, 1), bad=(
             Bad(ValueError, ("(2,)", "(3,)", "(2, 4)"), (f32(2, 4), f32(3))),
             Bad(ValueError, ("rank 2", "(3,)"), (f32(3), f32(3))),
             Bad(TypeError, ("int32", "float32"), (f32(2, 2), i32(2))))),
    Spec("MatrixDiagPart/trace", gp.trace, lambda x: np.trace(x, 0, -2, -1).astype(x.dtype),
         (normal,), sweep(MATRICES), NUMBERS, 4,
         lambda x: np.trace(abs(x), 0, -2, -1), diff=(0,)),
    move("MatrixBand", gp.matrix_band_part, lambda x, num_lower, num_upper:
         band(x, num_lower, num_upper), cases(*[
             (s, {"num_lower": a, "num_upper": b}) for s in ((3, 3), (2, 4), (4, 2), (2, 2, 3))
             for a, b in ((0, 0), (-1, 0), (0, -1), (1, 1))], ((0, 2), {"num_lower": 0,
                                                                    "num_upper": 1})), bad=(
                 Bad(ValueError, ("num_lower 3", "2"), (f32(2, 4),),
                     {"num_lower": 3, "num_upper": 0}),
                 Bad(ValueError, ("num_upper 5", "4"), (f32(2, 4),),
                     {"num_lower": 0, "num_upper": 5}),
                 Bad(ValueError, ("rank 2",), (f32(3),), {"num_lower": 0, "num_upper": 0}))),
    # ---- blocks
    move("SpaceToDepth", gp.space_to_depth, space_to_depth, cases(*[
        (s, {"block_size": b, "data_format": f}) for s, b, f in SHUFFLES]), bad=(
            Bad(ValueError, ("block_size 2", "height 3"), (f32(1, 3, 4, 1),), {"block_size": 2}),
            Bad(ValueError, ("rank 4", "(3, 4)"), (f32(3, 4),), {"block_size": 2}),
            Bad(ValueError, ("block_size", "space_to_depth"), (f32(1, 2, 2, 1),),
                {"block_size": 1}))),
    move("DepthToSpace", gp.depth_to_space, depth_to_space, cases(*[
        (s, {"block_size": b, "data_format": f}) for s, b, f in UNSHUFFLES]), bad=(
            Bad(ValueError, ("6 channels", "4"), (f32(1, 1, 1, 6),), {"block_size": 2}),
            Bad(ValueError, ("data_format", "depth_to_space"), (f32(1, 1, 1, 4),),
                {"block_size": 2, "data_format": "NCW"}))),
    move("SpaceToBatchND", gp.space_to_batch_nd, space_to_batch, cases(*[
        (s, {"block_shape": b, "paddings": p}) for s, b, p in BLOCKS]), bad=(
            Bad(ValueError, ("5", "blocks of 2"), (f32(1, 5),),
                {"block_shape": [2], "paddings": [[0, 0]]}),
            Bad(ValueError, ("[0]", "positive"), (f32(1, 5),),
                {"block_shape": [0], "paddings": [[0, 0]]}),
            Bad(ValueError, ("[[0, -1]]", "negative"), (f32(1, 5),),
                {"block_shape": [2], "paddings": [[0, -1]]}),
            Bad(ValueError, ("paddings", "(1, 2)", "(2, 2)"), (f32(1, 5),),
                {"block_shape": [2], "paddings": [[0, 0], [0, 0]]}),
            Bad(ValueError, ("(3,)", "1 dimensions"), (f32(3),),
                {"block_shape": [2], "paddings": [[0, 0]]}))),
    move("BatchToSpaceND", gp.batch_to_space_nd, batch_to_space, cases(*[
        (s, {"block_shape": b, "crops": c}) for s, b, c in UNBLOCKS]), bad=(
            Bad(ValueError, ("batch of 3", "[2]"), (f32(3, 2),),
                {"block_shape": [2], "crops": [[0, 0]]}),
            Bad(ValueError, ("crops [3, 2]", "2 blocks"), (f32(2, 2),),
                {"block_shape": [2], "crops": [[3, 2]]}))),
    move("ExtractImagePatches", gp.extract_image_patches, patches, cases(*PATCHES), bad=(
        Bad(ValueError, ("rank 4", "(3, 4)"), (f32(3, 4),), PATCHES[0][1]),
        Bad(ValueError, ("ksizes", "extract_image_patches"), (f32(1, 3, 3, 1),),
            {**PATCHES[0][1], "ksizes": [1, 2, 2, 2]}),
        Bad(ValueError, ("strides", "positive", "extract_image_patches"), (f32(1, 3, 3, 1),),
            {**PATCHES[0][1], "strides": [1, 0, 1, 1]}))),
    adjoint_row("ExtractImagePatchesGrad", gp.extract_image_patches, patches, PATCHES),
]
