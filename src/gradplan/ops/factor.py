"""Decompositions into eigenvalues, singular values, and orthogonal and triangular factors, by
LAPACK."""

from __future__ import annotations

from typing import Any

from gradplan import shapes
from gradplan.graph import Tensor
from gradplan.names import named
from gradplan.opdef import CALL, VIEW, apply, op
from gradplan.ops.array import expand_dims, zeros_like
from gradplan.ops.math import square
from gradplan.ops.matmul import matmul
from gradplan.ops.matrices import adjoint as transposed
from gradplan.ops.matrices import at_least_matrix, least, swapped, weights
from gradplan.ops.matrices import square as square_shape
from gradplan.ops.slicing import concat
from gradplan.ops.solve import cube, matrix_triangular_solve, work

__all__ = ["qr", "self_adjoint_eig", "self_adjoint_eigvals", "svd"]


def _diagonal(values: Tensor) -> Tensor:
    """Matrices with these diagonals."""
    rows = expand_dims(values, -2)
    return weights(matmul(rows, rows, adjoint_a=True), 0.0, 1.0, 0.0) * rows


def _gaps(values: Tensor) -> Tensor:
    """``1 / (x_j - x_i)`` beside the diagonal, and 0 on it."""
    gaps = expand_dims(values, -2) - expand_dims(values, -1)
    return weights(gaps, 1.0, 0.0, 1.0) / (gaps + weights(gaps, 0.0, 1.0, 0.0))


# ---- eigenvalues ---------------------------------------------------------------------------------

_FAILED = "{} was not successful. The input might not be valid."
_EIGEN = _FAILED.format("Self-adjoint eigen decomposition")
_SVD = _FAILED.format("Singular value decomposition")


def self_adjoint_eig(tensor: Any, name: str | None = None) -> Any:
    """Eigenvalues and eigenvectors of symmetric matrices: ``A V = V diag(e)``.

    Parameters
    ----------
    tensor : tensor_like of float, shape [..., n, n]
        Only the lower triangle is read.
    name : str, optional

    Returns
    -------
    e : Tensor, shape [..., n]
        In ascending order.
    v : Tensor, shape [..., n, n]
        The eigenvectors as columns, orthonormal; of either sign.

    Raises
    ------
    ValueError
        If they are no square matrices.
    InvalidArgumentError
        When run, if an element is NaN or infinite.

    Notes
    -----
    The gradient (M. B. Giles, *Collected matrix derivative results*, 2008) of eigenvectors is
    infinite where eigenvalues are equal.

    Examples
    --------
    >>> import gradplan as gp
    >>> e, v = gp.self_adjoint_eig([[2.0, 0.0], [0.0, 1.0]])
    >>> gp.Session().run(e)
    array([1., 2.], dtype=float32)
    """
    return apply(_eigh.opdef, [tensor], {}, name)


def self_adjoint_eigvals(tensor: Any, name: str | None = None) -> Tensor:
    """The eigenvalues alone, as of :func:`self_adjoint_eig`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.self_adjoint_eigvals([[2.0, 0.0], [0.0, 1.0]]))
    array([1., 2.], dtype=float32)
    """
    return apply(_eigvalsh.opdef, [tensor], {}, name or "SelfAdjointEigV2")


@op(
    "SelfAdjointEigV2",
    CALL,
    kernel="lapack_eigh",
    types="T -> T T",
    flops=lambda attrs, in_shapes: 4 * cube(attrs, in_shapes),
    failure=_EIGEN,
)
def _eigh(tensor: Any, name: str | None = None) -> Any:
    """See :func:`self_adjoint_eig`."""


@op("SelfAdjointEigvals", CALL, kernel="lapack_eigh", flops=cube, failure=_EIGEN)
def _eigvalsh(tensor: Any, name: str | None = None) -> Any:
    """See :func:`self_adjoint_eigvals`."""


@_eigh.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    s = square_shape(in_shapes[0])
    return [None if s is None else s[:-1], s]


@_eigvalsh.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    s = square_shape(in_shapes[0])
    return None if s is None else s[:-1]


def _lower_eigh(binder: Any, op: Any) -> None:
    a = binder.contiguous(binder.view(op.inputs[0]))
    n = a.dims[-1]
    vectors = binder.scratch(op.name, a.dtype, a.dims) if len(op.outputs) == 2 else None
    extra = work(binder, op, a, 3 * n * n + 38 * n + 1, 5 * n + 3)
    binder.emit("lapack_eigh", [binder.result(op), vectors, *extra], [a])
    if vectors is not None:
        binder.alias(op, swapped(vectors), 1)


_eigh.lower(_lower_eigh)
_eigvalsh.lower(_lower_eigh)


@_eigh.gradient
@named("set_diag_1")
def _(op: Any, de: Any, dv: Any) -> Any:
    e, v = op.outputs
    inner = None if de is None else _diagonal(de)
    if dv is not None:
        turned = _gaps(e) * matmul(v, dv, adjoint_a=True)
        inner = turned if inner is None else inner + turned
    return _of_lower_triangle(matmul(v, matmul(inner, v, adjoint_b=True)))


@_eigvalsh.gradient
@named("set_diag")
def _(op: Any, de: Any) -> Any:
    _, v = self_adjoint_eig(op.inputs[0])
    return _of_lower_triangle(matmul(v * expand_dims(de, -2), v, adjoint_b=True))


def _of_lower_triangle(g: Tensor) -> Tensor:
    """The gradient of what reads the lower triangle and takes it for both."""
    return (g + transposed(g)) * weights(g, 1.0, 0.5, 0.0)


# ---- singular values -----------------------------------------------------------------------------


def svd(
    tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None
) -> Any:
    """Singular value decomposition ``A = U diag(s) V'``.

    Parameters
    ----------
    tensor : tensor_like of float, shape [..., m, n]
    full_matrices : bool, optional
        U and V square, [..., m, m] and [..., n, n]; else [..., m, p] and [..., n, p] with
        p = min(m, n). Default: False.
    compute_uv : bool, optional
        Whether U and V are wanted. Default: True.
    name : str, optional

    Returns
    -------
    s : Tensor, shape [..., p]
        In descending order.
    u, v : Tensor
        Unless ``compute_uv`` is False. V is not transposed, other than NumPy's.

    Raises
    ------
    ValueError
        If it has fewer than two dimensions.
    InvalidArgumentError
        When run, if an element is NaN or infinite.
    NotImplementedError
        For gradients of full U and V of matrices that may not be square.

    Notes
    -----
    The gradient (J. Townsend, *Differentiating the singular value decomposition*, 2016) of U and V
    is infinite where singular values are equal.

    Examples
    --------
    >>> import gradplan as gp
    >>> s, u, v = gp.svd([[0.0, 2.0], [3.0, 0.0]])
    >>> gp.Session().run(s)
    array([3., 2.], dtype=float32)
    """
    if not compute_uv:
        return apply(_svd_values.opdef, [tensor], {}, name or "Svd")
    return apply(_svd.opdef, [tensor], {"full_matrices": bool(full_matrices)}, name)


@op(
    "Svd",
    CALL,
    kernel="lapack_svd",
    types="T -> T T T",
    flops=lambda attrs, in_shapes: 4 * cube(attrs, in_shapes),
    failure=_SVD,
)
def _svd(tensor: Any, full_matrices: Any = False, name: str | None = None) -> Any:
    """See :func:`svd`."""


@op("SvdValues", CALL, kernel="lapack_svd", flops=cube, failure=_SVD)
def _svd_values(tensor: Any, name: str | None = None) -> Any:
    """See :func:`svd`."""


@_svd.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    at_least_matrix(s)
    if s is None:
        return [None] * 3
    *batch, m, n = s
    p = least(m, n)
    full = attrs["full_matrices"]
    return [(*batch, p), (*batch, m, m if full else p), (*batch, n, n if full else p)]


@_svd_values.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    at_least_matrix(s)
    return None if s is None else (*s[:-2], least(*s[-2:]))


def _lower_svd(binder: Any, op: Any) -> None:
    a = binder.contiguous(binder.view(op.inputs[0]))
    *batch, m, n = a.dims
    p = min(m, n)
    u = v = None
    s = binder.result(op)
    if len(op.outputs) == 3:
        u = binder.result(op, 1)
        columns = binder.shape(op.outputs[2])[-1]
        v = binder.scratch(op.name, a.dtype, (*batch, columns, n))
        binder.alias(op, swapped(v), 2)
    floats = m * n + 4 * p * p + 8 * p + max(m, n) + 64 * (m + n) + 1
    extra = work(binder, op, a, floats, 8 * p + 1)
    binder.emit("lapack_svd", [s, u, v, *extra], [a], [int(op.attrs.get("full_matrices", 0))])


_svd.lower(_lower_svd)
_svd_values.lower(_lower_svd)


@_svd_values.gradient
@named("MatMul_1")
def _(op: Any, ds: Any) -> Any:
    _, u, v = svd(op.inputs[0])
    return matmul(u * expand_dims(ds, -2), v, adjoint_b=True)


def _svd_result(op: Any) -> tuple[str | None]:
    """TensorFlow's way depends on which side is longer."""
    shape = op.inputs[0]._shape
    if shape is None or None in shape[-2:]:
        return (None,)
    m, n = shape[-2:]
    return ("MatMul_5" if m == n else "add_4" if m < n else "matrix_transpose_1/transpose",)


@_svd.gradient
@named(_svd_result)
def _(op: Any, ds: Any, du: Any, dv: Any) -> Any:
    (a,), (s, u, v) = op.inputs, op.outputs
    m: Any
    n: Any
    m, n = (None, None) if a._shape is None else a._shape[-2:]
    if op.attrs["full_matrices"] and (m is None or m != n):
        if du is not None or dv is not None:
            raise NotImplementedError(
                f"Svd '{op.name}': with full_matrices the gradient of u and v is that of square "
                f"matrices alone, but the input is {shapes.text(a._shape)} (made at {op.made_at})"
            )
        _, u, v = svd(a)
    row, column = expand_dims(s, -2), expand_dims(s, -1)
    inner = zeros_like(matmul(column, row)) if ds is None else _diagonal(ds)
    uu, vv = [None if g is None else matmul(t, g, adjoint_a=True) for t, g in ((u, du), (v, dv))]
    if uu is not None:
        inner = inner + _gaps(square(s)) * (uu - transposed(uu)) * row
    if vv is not None:
        inner = inner + column * (_gaps(square(s)) * (vv - transposed(vv)))
    out = matmul(u, matmul(inner, v, adjoint_b=True))
    if uu is not None and (least(m, n) is None or m > n):  # what moves out of the span of u
        out = out + matmul((du - matmul(u, uu)) / row, v, adjoint_b=True)
    if vv is not None and (least(m, n) is None or n > m):
        out = out + matmul(u, (dv - matmul(v, vv)) / row, adjoint_b=True)
    return out


# ---- QR ------------------------------------------------------------------------------------------


def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> Any:
    """Decomposition ``A = Q R`` into an orthogonal and an upper triangular matrix.

    Parameters
    ----------
    input : tensor_like of float, shape [..., m, n]
    full_matrices : bool, optional
        Q [..., m, m] and R [..., m, n]; else [..., m, p] and [..., p, n] with p = min(m, n).
        Default: False.
    name : str, optional

    Returns
    -------
    q, r : Tensor

    Raises
    ------
    ValueError
        If it has fewer than two dimensions.
    NotImplementedError
        For gradients of full matrices where m > n.

    Notes
    -----
    The signs of R's diagonal are those of LAPACK. The gradient is that of S. F. Walter and L.
    Lehmann (2018) for m >= n, and of D. A. O. Roberts and L. R. Roberts (arXiv 2009.10071) for
    m < n.

    Examples
    --------
    >>> import gradplan as gp
    >>> q, r = gp.qr([[3.0, 1.0], [4.0, 2.0]])
    >>> gp.Session().run(gp.abs(r)).round(4).tolist()[1]
    [0.0, 0.4000000059604645]
    """
    return apply(_qr.opdef, [input], {"full_matrices": bool(full_matrices)}, name)


@op(
    "Qr",
    CALL,
    kernel="lapack_qr",
    types="T -> T T",
    flops=cube,
    failure=_FAILED.format("QR decomposition"),
)
def _qr(input: Any, full_matrices: Any = False, name: str | None = None) -> Any:
    """See :func:`qr`."""


@_qr.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    at_least_matrix(s)
    if s is None:
        return [None] * 2
    *batch, m, n = s
    p = m if attrs["full_matrices"] else least(m, n)
    return [(*batch, m, p), (*batch, p, n)]


@_qr.lower
def _(binder: Any, op: Any) -> None:
    a = binder.contiguous(swapped(binder.view(op.inputs[0])))
    *batch, n, m = a.dims
    columns = binder.shape(op.outputs[0])[-1]
    q = binder.scratch(op.name, a.dtype, (*batch, columns, m))
    extra = work(binder, op, a, m * n + min(m, n) + 32 * (m + n) + 1, None)
    binder.emit("lapack_qr", [q, binder.result(op, 1), *extra], [a])
    binder.alias(op, swapped(q))


@_qr.gradient
def _(op: Any, dq: Any, dr: Any) -> Any:
    (a,), (q, r) = op.inputs, op.outputs
    m, n = (None, None) if a._shape is None else a._shape[-2:]
    if op.attrs["full_matrices"] and not (m is not None and n is not None and m <= n):
        raise NotImplementedError(
            f"Qr '{op.name}': with full_matrices there is a gradient for m <= n alone, but the "
            f"input is {shapes.text(a._shape)} (made at {op.made_at})"
        )
    dq = zeros_like(q) if dq is None else dq
    dr = zeros_like(r) if dr is None else dr * weights(r, 0.0, 1.0, 1.0)
    if m is not None and n is not None and m >= n:
        return _qr_step(q, r, dq, dr)
    # A = (X Y), R = (U W), with as many columns in X and U as Q has: X = Q U, Y = Q W.
    y, w = [_columns(t, q, after=True) for t in (a, dr)]
    dx = _qr_step(q, _columns(r, q), dq + matmul(y, w, adjoint_b=True), _columns(dr, q))
    return concat([dx, matmul(q, w)], -1)


def _qr_step(q: Tensor, r: Tensor, dq: Tensor, dr: Tensor) -> Tensor:
    """The gradient for a square R."""

    def divided(x: Tensor) -> Tensor:  # x R'^-1
        return transposed(matrix_triangular_solve(r, transposed(x), lower=False))

    qq, rr = matmul(q, dq, adjoint_a=True), matmul(r, dr, adjoint_b=True)
    turned = qq - transposed(qq) + rr - transposed(rr)
    inner = dr + divided(turned * weights(turned, 1.0, 0.0, 0.0))
    return matmul(q, inner) + divided(dq - matmul(q, qq))


@op("ColumnsOf", VIEW, types="T any -> T")
def _columns(x: Any, like: Any, after: Any = False, name: str | None = None) -> Any:
    """As many columns of ``x`` as ``like`` has, or those after them."""


@_columns.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    x, like = in_shapes
    if x is None:
        return None
    p = None if like is None else like[-1]
    if x[-1] is not None and p is not None and p > x[-1]:
        raise ValueError(f"{shapes.text(x)} has no {p} columns")
    if not attrs["after"]:
        return (*x[:-1], p)
    if x[-1] is None or p is None:
        return (*x[:-1], None)
    least(x[-1], p)
    return (*x[:-1], x[-1] - p)


@_columns.lower
def _(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    length = binder.shape(op.outputs[0])[-1]
    start = x.dims[-1] - length if op.attrs["after"] else 0
    binder.alias(op, x.window(len(x.dims) - 1, start, length))


@_columns.gradient
def _(op: Any, dy: Any) -> Any:
    x, like = op.inputs
    after = op.attrs["after"]
    rest = zeros_like(_columns(x, like, after=not after))
    return concat([rest, dy] if after else [dy, rest], -1), None
