"""Rows of products of any rank, decompositions and solutions of equations."""

import numpy as np
from specs import NUMBERS, Bad, Spec, f32, i32, move, normal, sweep

import gradplan as gp
from gradplan.ops import exponential, factor, matrices

InvalidArgument = gp.errors.InvalidArgumentError


def t(x):
    return np.swapaxes(x, -1, -2)


def narrow(function):
    """NumPy's decompositions know no long double."""

    def oracle(*xs, **attrs):
        return function(*[x.astype(np.float64) if x.dtype.kind == "f" else x for x in xs], **attrs)

    return oracle


def largest(function):
    """The magnitude that rounding is relative to: the largest element, and 1."""

    def scale(*xs, **attrs):
        out = narrow(function)(*xs, **attrs)
        outs = out if isinstance(out, tuple) else (out,)
        return tuple(np.full_like(o, 1 + abs(o).max(initial=0)) for o in outs)

    return scale


def dominant(rng, shape, dtype, shapes=()):
    """Well conditioned: a multiple of the identity, and something."""
    x = rng.uniform(-1, 1, shape)
    if len(shape) > 1:
        x += 3 * np.eye(*shape[-2:])
    return x.astype(dtype)


def spread(rng, shape, dtype, shapes=()):
    """With singular values and eigenvalues far from each other and from 0."""
    *batch, m, n = shape
    p = min(m, n)
    out = np.zeros(shape)
    for i in np.ndindex(*batch):
        u, v = [np.linalg.qr(rng.standard_normal((k, k)))[0] for k in (m, n)]
        out[i] = u[:, :p] @ np.diag(1 + np.arange(p)) @ v[:p]
    return out.astype(dtype)


SQUARES = sweep(((1, 1), (3, 3), (2, 4, 4), (2, 1, 3, 3), (0, 0), (0, 3, 3), (2, 0, 0), (17, 17)))
NOT_SQUARE = (Bad(ValueError, ("(2, 3)", "square"), (f32(2, 3),)),
              Bad(ValueError, ("at least rank 2", "(3,)"), (f32(3),)),
              Bad(TypeError, ("int32",), (i32(2, 2),)))  # fmt: skip
NANS = np.full((2, 2), np.nan, np.float32)
SECOND_BAD = np.array([[[2, 0], [0, 1]], [[1, 2], [2, 4]]], np.float32)


# ---- positive definite ---------------------------------------------------------------------------


def spd(x):
    return gp.matmul(x, x, adjoint_b=True) + gp.constant(1, x.dtype)


def cholesky(x):
    """Of the lower triangle of what is symmetric by construction."""
    return gp.cholesky(spd(x))


def cholesky_oracle(x):
    return np.linalg.cholesky(x @ t(x) + 1)


def logdet(x):
    return gp.linalg.logdet(spd(x))


def logdet_oracle(x):
    return np.linalg.slogdet(x @ t(x) + 1)[1]


def cholesky_solve(x, b):
    return gp.cholesky_solve(gp.cholesky(spd(x)), b)


# ---- of either sign ------------------------------------------------------------------------------


def symmetric(x):
    return x + gp.linalg.adjoint(x)


def first_positive(v):
    """Columns whose first element is positive."""
    return v * gp.stop_gradient(gp.sign(v[..., :1, :]))


def eigh(x):
    e, v = gp.self_adjoint_eig(symmetric(x))
    return e, first_positive(v)


def eigh_oracle(x):
    e, v = np.linalg.eigh(x + t(x))
    return e, v * np.sign(v[..., :1, :])


def eigvals(x):
    return gp.self_adjoint_eigvals(symmetric(x))


def svd(x, full_matrices=False):
    s, u, v = gp.svd(x, full_matrices)
    signs = gp.stop_gradient(gp.sign(v[..., :1, :]))
    return s, u * signs, v * signs


def svd_oracle(x, full_matrices=False):
    u, s, v = np.linalg.svd(x, False)
    signs = np.sign(t(v)[..., :1, :])
    return s, u * signs, t(v) * signs


def qr(x, full_matrices=False, tall=False):
    q, r = gp.qr(x, full_matrices)
    if full_matrices and tall:
        return gp.abs(r)  # the other columns of q are any
    signs = gp.stop_gradient(gp.sign(matrices.diagonal(r)))
    return q * gp.expand_dims(signs, -2), r * gp.expand_dims(signs, -1)


def qr_oracle(x, full_matrices=False, tall=False):
    *batch, m, n = x.shape
    mode = "complete" if full_matrices else "reduced"
    p = m if full_matrices else min(m, n)
    q, r = np.zeros((*batch, m, p)), np.zeros((*batch, p, n))
    for i in np.ndindex(*batch):
        q[i], r[i] = np.linalg.qr(x[i], mode)
    if full_matrices and m > n:
        return abs(r)
    signs = np.sign(np.diagonal(r, axis1=-2, axis2=-1))
    return q * signs[..., None, :], r * signs[..., :, None]


# ---- products ------------------------------------------------------------------------------------


def product(a, b, transpose_a=False, adjoint_b=False):
    return np.matmul(t(a) if transpose_a else a, t(b) if adjoint_b else b)


PRODUCTS = tuple(
    (((*a, k, m) if ta else (*a, m, k), (*b, n, k) if tb else (*b, k, n)),
     {"transpose_a": ta, "adjoint_b": tb})
    for a, b, m, k, n, ta, tb in [
        ((2,), (2,), 2, 3, 4, False, False), ((5, 1), (3,), 2, 3, 1, True, False),
        ((), (3,), 1, 4, 2, False, True), ((3,), (), 2, 4, 3, False, False),
        ((3,), (), 2, 4, 3, False, True), ((3,), (1,), 2, 4, 3, True, True),
        ((2, 1, 2), (2, 2), 2, 1, 3, True, True), ((0,), (0,), 2, 3, 2, False, False),
        ((2,), (2,), 3, 0, 2, False, False), ((3,), (), 2, 0, 2, False, False),
        ((17,), (17,), 9, 33, 17, False, False),
    ]
)  # fmt: skip


def triangle(x, lower=True):
    return np.tril(x) if lower else np.triu(x)


def solve_triangle(a, b, lower=True, adjoint=False):
    a = triangle(a, lower)
    return np.linalg.solve(t(a) if adjoint else a, b)


def solve_oracle(a, b, adjoint=False):
    return np.linalg.solve(t(a) if adjoint else a, b)


SIDES = tuple(((a, b), {}) for a, b in [
    ((1, 1), (1, 1)), ((3, 3), (3, 2)), ((2, 4, 4), (2, 4, 1)), ((2, 1, 3, 3), (2, 1, 3, 2)),
    ((0, 0), (0, 2)), ((3, 3), (3, 0)), ((0, 3, 3), (0, 3, 2)), ((17, 17), (17, 5)),
])  # fmt: skip
OTHER_SIDES = (
    Bad(ValueError, ("(3, 3)", "(2, 1)"), (f32(3, 3), f32(2, 1))),
    Bad(ValueError, ("(2, 3, 3)", "(3, 3, 1)"), (f32(2, 3, 3), f32(3, 3, 1))),
    Bad(ValueError, ("rank 2", "rhs", "(3,)"), (f32(3, 3), f32(3))),
    Bad(TypeError, ("int32",), (i32(2, 2), i32(2, 2))),
)
SINGULAR = ("Input matrix is not invertible.", "matrix 1 of 2")
TWO_SIDES = np.ones((2, 2, 1), np.float32)


def with_attrs(cases, *attrs):
    return tuple((s, a) for i, (s, _) in enumerate(cases) for a in (attrs if i < 4 else attrs[:1]))


def lstsq(a, b, l2_regularizer=0.0, fast=True):
    *batch, m, n = a.shape
    out = np.zeros((*batch, n, b.shape[-1]))
    root = np.sqrt(l2_regularizer) if fast else 0.0
    for i in np.ndindex(*batch):
        left = np.concatenate([a[i], root * np.eye(n)]) if root else a[i]
        right = np.concatenate([b[i], np.zeros((n, b.shape[-1]))]) if root else b[i]
        out[i] = np.linalg.lstsq(left, right, rcond=None)[0]
    return out


RECTANGLES = [((4, 2), (4, 3)), ((2, 4), (2, 1)), ((2, 5, 3), (2, 5, 2)), ((3, 3), (3, 1))]


def expm(x):
    """Its series; SciPy's is further from it than gradplan's."""
    term = np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape)
    out = term.copy()
    for k in range(1, 120):
        term = term @ x / k
        out += term
    return out


def dots(a, b, axes):
    return np.tensordot(a, b, axes)


DOTS = tuple((s, {"axes": a}) for *s, a in [
    ((2, 3), (3, 4), 1), ((2, 3), (2, 3), 2), ((2,), (3,), 0),
    ((2, 3, 4), (4, 3, 5), [[2, 1], [0, 1]]),
    ((2, 3, 4), (3, 2), [[-2], [0]]), ((3, 2), (2, 2, 3), [[0], [2]]), ((2, 0), (0, 3), 1),
    ((), (2,), 0), ((2, 1, 3), (3, 1), [[2, 1], [0, 1]]), ((17, 9), (9, 5), [1, 0]),
])  # fmt: skip


def einsum(*xs, equation):
    return gp.einsum(equation, *xs)


def einsum_oracle(*xs, equation):
    return np.einsum(equation, *xs)


def einsum_scale(*xs, equation):
    return np.einsum(equation, *[abs(x) for x in xs])


EINSUMS = tuple((s, {"equation": e}) for e, *s in [
    ("i,j->ji", (3,), (2,)), ("i,i", (5,), (5,)),
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)),
    ("bij,bjk->bki", (2, 2, 3), (2, 3, 4)), ("bi,bjk->bijk", (2, 3), (2, 1, 4)),
    ("abij,baj->iab", (2, 3, 2, 4), (3, 2, 4)), ("ij->", (2, 3)), ("ab,cd->adcb", (2, 3), (0, 2)),
    ("ba", (2, 3)), (",ij->ji", (), (2, 3)), ("i,ij->ij", (2,), (2, 3)),
    ("ij,j->ij", (2, 3), (3,)), ("bij,b->j", (2, 3, 4), (2,)),
    ("ij,jk,kl->il", (2, 3), (3, 4), (4, 2)), ("a,ab,abc->abc", (2,), (2, 3), (2, 3, 2)),
    ("ij,jk->k", (0, 3), (3, 2)), ("bqhd,bkhd->bhqk", (2, 3, 2, 5), (2, 4, 2, 5)),
])  # fmt: skip
HIDDEN = tuple((s, {"equation": e}) for e, *s in [
    ("i...,i...", (3, 2), (3, 2)), ("...i,ij->...j", (2, 5, 3), (3, 4)),
    ("...ij,...jk->...ik", (2, 2, 3), (3, 2)), ("...,...->...", (2, 1, 3), (4, 1)),
    ("...i,...j->i...j", (2, 2), (3, 1, 4)), ("...a,...->...a", (2, 3), (4, 1)),
    ("...ij->j...i", (2, 3, 2, 2)),
])  # fmt: skip


def vectors(shape):
    return tuple(((s, s), {}) for s in shape)


def matvec(a, b, transpose_a=False):
    return np.matmul(t(a) if transpose_a else a, b[..., None])[..., 0]


# fmt: off
SPECS = [
    Spec("BatchMatMulV2", gp.matmul, product, (normal,), PRODUCTS, NUMBERS, 3,
         lambda a, b, **attrs: product(abs(a), abs(b), **attrs), (0, 1), bad=(
             Bad(ValueError, ("(2, 3)", "(4, 5)"), (f32(7, 2, 3), f32(7, 4, 5))),
             Bad(ValueError, ("leading", "(7, 2, 3)", "(6, 3, 5)"), (f32(7, 2, 3), f32(6, 3, 5))),
             Bad(ValueError, ("rank 2", "'b'", "(3,)"), (f32(7, 2, 3), f32(3))),
             Bad(TypeError, ("int32", "float32"), (f32(2, 2, 3), i32(2, 3, 2))))),
    Spec("BatchMatMulV2/matvec", gp.linalg.matvec, matvec, (normal,),
         ((((5, 2, 3), (5, 3)), {}), (((4, 3, 2), (3,)), {"transpose_a": True}),
          (((2, 3), (5, 3)), {}), (((0, 2, 3), (0, 3)), {})), NUMBERS, 3,
         lambda a, b, **attrs: matvec(abs(a), abs(b), **attrs), (0, 1)),
    Spec("MatMul/tensordot", gp.tensordot, dots, (normal,), DOTS, NUMBERS, 4,
         lambda a, b, axes: dots(abs(a), abs(b), axes), (0, 1), rank_needed=True, bad=(
             Bad(ValueError, ("tensordot", "[2]", "[-2, 1]"), (f32(2, 3), f32(3, 2)),
                 {"axes": [[2], [0]]}),
             Bad(ValueError, ("tensordot", "twice"), (f32(2, 2), f32(2, 2)),
                 {"axes": [[0, 0], [0, 1]]}),
             Bad(ValueError, ("tensordot", "3 axes"), (f32(2, 2), f32(2, 2)), {"axes": 3}),
             Bad(ValueError, ("tensordot", "equally many"), (f32(2, 2), f32(2, 2)),
                 {"axes": [[0], [0, 1]]}))),
    Spec("MergeDims", einsum, einsum_oracle, (normal,), EINSUMS, NUMBERS, 6, einsum_scale,
         (0, 1, 2), bad=(
             Bad(ValueError, ("einsum", "'ij,jk->ik'", "'j'", "size 3", "size 4"),
                 (f32(2, 3), f32(4, 5)), {"equation": "ij,jk->ik"}),
             Bad(ValueError, ("einsum", "'ij'", "(2,)"), (f32(2),), {"equation": "ij"}),
             Bad(ValueError, ("einsum", "2 operands", "1"), (f32(2, 3),), {"equation": "ij,jk"}),
             Bad(ValueError, ("einsum", "'k'", "no operand"), (f32(2, 3),), {"equation": "ij->k"}),
             Bad(ValueError, ("einsum", "twice"), (f32(2, 3),), {"equation": "ij->ii"}),
             Bad(ValueError, ("einsum", "'i2'"), (f32(2, 3),), {"equation": "i2"}))),
    Spec("MergeDims/hidden", einsum, einsum_oracle, (normal,), HIDDEN, NUMBERS, 6, einsum_scale,
         (0, 1), rank_needed=True, bad=(
             Bad(ValueError, ("einsum", "'...ijk'", "(2, 3)"), (f32(2, 3),),
                 {"equation": "...ijk"}),)),
    Spec("EqualDims", lambda x, y: matrices._equal_dims(x, y, ((0, 1), (1, 0))), lambda x, y: x,
         (normal,), ((((2, 3), (3, 2)), {}), (((0, 3), (3, 0)), {})), diff=(0,), bad=(
             Bad(ValueError, ("dimension 1", "(2, 3)", "(2, 2)"), (f32(2, 3), f32(2, 2))),)),
    move("Adjoint", gp.linalg.adjoint, t, sweep(((2, 3), (0, 3), (2, 3, 4), (33, 65))), bad=(
        Bad(ValueError, ("rank 2", "(3,)"), (f32(3),)),)),
    Spec("DiagonalView", matrices.diagonal, lambda x: np.diagonal(x, axis1=-2, axis2=-1), (normal,),
         sweep(((2, 3), (3, 2), (0, 3), (2, 3, 3), (17, 17))), NUMBERS, diff=(0,), bad=(
             Bad(ValueError, ("rank 2", "(3,)"), (f32(3),)),)),
    Spec("DiagonalView/square", lambda x: gp.einsum("ii->i", x),
         lambda x: np.diagonal(x), (normal,), sweep(((3, 3), (0, 0), (1, 1))), NUMBERS, diff=(0,)),
    Spec("DiagonalPadded", lambda x, dy: gp.gradients(matrices.diagonal(x), x, dy)[0],
         lambda x, dy: np.stack([np.diag(d) for d in dy]), (normal,),
         ((((2, 3, 3), (2, 3)), {}), (((1, 1, 1), (1, 1)), {})), diff=(1,)),
    Spec("MatrixWeights", lambda x: matrices.weights(x, 2.0, 0.5, 0.0),
         lambda x: np.tril(np.full(x.shape[-2:], 2.0), -1) + 0.5 * np.eye(*x.shape[-2:]), (normal,),
         sweep(((2, 3), (3, 2), (0, 3), (4, 2, 2))), flat=True),
    Spec("Cross", gp.cross, np.cross, (normal,),
         vectors(((3,), (2, 3), (0, 3), (2, 1, 3), (33, 3))),
         NUMBERS, 4, lambda a, b: sum(abs(np.roll(a, i, -1) * np.roll(b, j, -1))
                                      for i, j in ((-1, -2), (-2, -1))), (0, 1), bad=(
             Bad(ValueError, ("3", "(2, 2)"), (f32(2, 2), f32(2, 2))),
             Bad(ValueError, ("(2, 3)", "(3,)"), (f32(2, 3), f32(3))))),
    # ---- inverses and equations
    Spec("Cholesky", cholesky, narrow(cholesky_oracle), (dominant,), SQUARES, ulps=30,
         scale=largest(cholesky_oracle), diff=(0,)),
    Spec("Cholesky/alone", gp.cholesky, lambda x: x, (normal,), SQUARES[4:5], bad=(
        Bad(InvalidArgument, ("Cholesky decomposition was not successful. The input might not be "
                              "valid.", "matrix 1 of 2"), (SECOND_BAD - np.float32(0.5),)),
        Bad(InvalidArgument, ("not successful", "matrix 0 of 1"), (NANS,)), *NOT_SQUARE)),
    Spec("Cholesky/logdet", logdet, narrow(logdet_oracle), (dominant,), SQUARES[:-1], ulps=30,
         scale=largest(logdet_oracle), diff=(0,)),
    Spec("MatrixTriangularSolve/cholesky_solve", cholesky_solve,
         narrow(lambda x, b: np.linalg.solve(x @ t(x) + 1, b)), (dominant,), SIDES, ulps=200,
         scale=largest(lambda x, b: np.linalg.solve(x @ t(x) + 1, b)), diff=(0, 1)),
    Spec("MatrixInverse", gp.matrix_inverse,
         narrow(lambda x, adjoint=False: np.linalg.inv(t(x) if adjoint else x)), (dominant,),
         (*SQUARES, *sweep(((3, 3), (2, 4, 4)), {"adjoint": True})), ulps=100,
         scale=largest(lambda x, adjoint=False: np.linalg.inv(x)), diff=(0,), bad=(
             Bad(InvalidArgument, ("Input is not invertible.", "matrix 1 of 2"), (SECOND_BAD,)),
             Bad(InvalidArgument, ("Input is not invertible.",), (NANS,)), *NOT_SQUARE)),
    Spec("MatrixDeterminant", gp.matrix_determinant, narrow(np.linalg.det), (dominant,),
         SQUARES[:-1], ulps=60, scale=largest(np.linalg.det), diff=(0,), bad=NOT_SQUARE),
    Spec("LogMatrixDeterminant", gp.log_matrix_determinant,
         narrow(lambda x: tuple(np.linalg.slogdet(x))), (dominant,), SQUARES, ulps=60,
         scale=largest(lambda x: tuple(np.linalg.slogdet(x))), diff=(0,), bad=NOT_SQUARE),
    Spec("MatrixSolve", gp.matrix_solve, narrow(solve_oracle), (dominant,),
         with_attrs(SIDES, {}, {"adjoint": True}), ulps=100, scale=largest(solve_oracle),
         diff=(0, 1), bad=(
             Bad(InvalidArgument, SINGULAR, (SECOND_BAD, TWO_SIDES)), *OTHER_SIDES)),
    Spec("MatrixTriangularSolve", gp.matrix_triangular_solve, narrow(solve_triangle), (dominant,),
         with_attrs(SIDES, {}, {"adjoint": True}, {"lower": False},
                    {"lower": False, "adjoint": True}), ulps=100, scale=largest(solve_triangle),
         diff=(0, 1), bad=(
             Bad(InvalidArgument, SINGULAR, (np.stack([np.eye(2), np.diag([1.0, 0.0])]),
                                             TWO_SIDES.astype(np.float64))),
             *OTHER_SIDES)),
    Spec("MatrixSolveLs", gp.matrix_solve_ls, narrow(lstsq), (spread,),
         tuple((s, {"fast": False}) for s in [*RECTANGLES, ((0, 2), (0, 3)), ((2, 0), (2, 3)),
                                               ((9, 17), (9, 2))]),
         ulps=400, scale=largest(lstsq), diff=(0, 1), bad=(
             Bad(InvalidArgument, ("Least squares", "matrix 0 of 1"), (NANS, NANS),
                 {"fast": False}),)),
    Spec("MatrixExponential", gp.linalg.expm, expm, (dominant,), SQUARES,
         ulps=500, scale=largest(expm), diff=(0,), bad=(
             Bad(InvalidArgument, ("exponential", "matrix 0 of 1"), (NANS,)), *NOT_SQUARE)),
    Spec("UpperRight", exponential._upper_right,
         lambda x: x[..., :x.shape[-2] // 2, x.shape[-1] // 2:], (normal,),
         sweep(((2, 2), (3, 4, 6), (0, 0))), diff=(0,)),
    # ---- decompositions
    Spec("SelfAdjointEigV2", eigh, narrow(eigh_oracle), (spread,), SQUARES[:4] + SQUARES[-1:],
         ulps=4000, scale=largest(eigh_oracle), diff=(0,)),
    Spec("SelfAdjointEigV2/alone", gp.self_adjoint_eig, lambda x: (x[:, 0], x), (normal,),
         SQUARES[5:6], bad=(
        Bad(InvalidArgument, ("Self-adjoint eigen", "matrix 0 of 1"), (NANS,)), *NOT_SQUARE)),
    Spec("SelfAdjointEigvals", eigvals, narrow(lambda x: np.linalg.eigvalsh(x + t(x))), (spread,),
         SQUARES, ulps=60, scale=largest(lambda x: np.linalg.eigvalsh(x + t(x))), diff=(0,)),
    Spec("Svd", svd, narrow(svd_oracle), (spread,),
         sweep(((1, 1), (3, 3), (4, 2), (2, 4), (2, 3, 2), (17, 9))), ulps=400,
         scale=largest(svd_oracle), diff=(0,), bad=(
             Bad(ValueError, ("rank 2", "(3,)"), (f32(3),)),
             Bad(InvalidArgument, ("Singular value", "matrix 0 of 1"), (NANS,)))),
    Spec("Svd/full", svd, narrow(svd_oracle), (spread,),
         sweep(((3, 3), (2, 2, 2)), {"full_matrices": True}), ulps=400, scale=largest(svd_oracle)),
    Spec("Svd/full values", lambda x: gp.svd(x, True)[0], narrow(lambda x: svd_oracle(x)[0]),
         (spread,), sweep(((3, 2), (2, 3), (0, 2))), ulps=100,
         scale=largest(lambda x: svd_oracle(x)[0]), diff=(0,)),
    Spec("SvdValues", lambda x: gp.svd(x, compute_uv=False),
         narrow(lambda x: np.linalg.svd(x, compute_uv=False)), (spread,),
         sweep(((1, 1), (4, 2), (2, 4), (2, 3, 3), (0, 3), (3, 0), (17, 9))), ulps=60,
         scale=largest(lambda x: np.linalg.svd(x, compute_uv=False)), diff=(0,)),
    Spec("Qr", qr, narrow(qr_oracle), (spread,),
         sweep(((1, 1), (3, 3), (4, 2), (2, 4), (2, 3, 2), (17, 9), (0, 3), (3, 0))), ulps=200,
         scale=largest(qr_oracle), diff=(0,), bad=(
             Bad(ValueError, ("rank 2", "(3,)"), (f32(3),)),)),
    Spec("Qr/full", qr, narrow(qr_oracle), (spread,),
         tuple(((d,), {"full_matrices": True, "tall": d[-2] > d[-1]})
               for d in ((3, 3), (2, 4), (4, 2), (3, 0))), ulps=200, scale=largest(qr_oracle)),
    Spec("ColumnsOf", lambda x, y, after=False: factor._columns(x, y, after),
         lambda x, y, after=False: x[..., y.shape[-1]:] if after else x[..., :y.shape[-1]],
         (normal,), tuple(((s, u), {"after": a}) for s, u in [((2, 5), (3, 2)), ((0, 2), (2,)),
                                                              ((3, 2, 2), (2, 2))]
                          for a in (False, True)), diff=(0,), bad=(
             Bad(ValueError, ("3 columns", "(2, 2)"), (f32(2, 2), f32(3))),)),
]
# fmt: on
