"""Inverses, determinants and solutions of linear equations, by LAPACK."""

from __future__ import annotations

from typing import Any

from gradplan import shapes
from gradplan.dtypes import int32
from gradplan.graph import Tensor
from gradplan.names import named
from gradplan.opdef import CALL, graph_of, op
from gradplan.ops.array import expand_dims
from gradplan.ops.constant import constant
from gradplan.ops.math import log
from gradplan.ops.matmul import matmul
from gradplan.ops.matrices import adjoint as transposed
from gradplan.ops.matrices import at_least_matrix, diagonal, square, swapped, weights
from gradplan.ops.reduce import reduce_sum

__all__ = [
    "cholesky",
    "cholesky_solve",
    "log_matrix_determinant",
    "matrix_determinant",
    "matrix_inverse",
    "matrix_solve",
    "matrix_triangular_solve",
]

SINGULAR = "Input matrix is not invertible."


def cube(attrs: dict[str, Any], in_shapes: Any) -> int:
    """The work on matrices [..., m, n], about."""
    *batch, m, n = in_shapes[0]
    return shapes.size(batch) * 2 * m * n * max(m, n)


def work(binder: Any, op: Any, x: Any, floats: int, ints: int | None) -> list[Any]:
    """Memory for the tasks into which a kernel of LAPACK cuts the matrices of the view ``x``."""
    batch, (m, n) = shapes.size(x.dims[:-2]), x.dims[-2:]
    tasks = max(1, min(batch, 16)) if batch * m * n * max(m, n) >= 1 << 17 else 1
    from_floats = binder.scratch(op.name, x.dtype, (tasks, floats))
    if ints is None:
        return [from_floats]
    return [from_floats, binder.scratch(op.name, int32, (tasks, ints))]


# ---- Cholesky ------------------------------------------------------------------------------------


@op(
    "Cholesky",
    CALL,
    kernel="lapack_cholesky",
    flops=cube,
    failure="Cholesky decomposition was not successful. The input might not be valid.",
)
def cholesky(input: Any, name: str | None = None) -> Any:
    """The lower triangular L with ``A = L L'``, for symmetric positive definite matrices.

    Parameters
    ----------
    input : tensor_like of float, shape [..., n, n]
        Only the lower triangle is read.
    name : str, optional

    Returns
    -------
    Tensor, shape [..., n, n]
        With zeros above the diagonal.

    Raises
    ------
    ValueError
        If they are no square matrices.
    InvalidArgumentError
        When run, if one is not positive definite.

    Notes
    -----
    The gradient is symmetric (I. Murray, *Differentiation of the Cholesky decomposition*,
    arXiv 1602.07527).

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.cholesky([[4.0, 2.0], [2.0, 5.0]]))
    array([[2., 0.],
           [1., 2.]], dtype=float32)
    """


@cholesky.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return square(in_shapes[0])


@cholesky.gradient
def _(op: Any, dl: Any) -> Any:
    factor = op.outputs[0]
    inner = matmul(factor, dl, adjoint_a=True)
    inner = inner * weights(inner, 1.0, 0.5, 0.0)
    left = _triangular(factor, inner, adjoint=True)  # L'^-1 inner
    out = _triangular(factor, transposed(left), adjoint=True)
    return (out + transposed(out)) * constant(0.5, out.dtype)


def cholesky_solve(chol: Any, rhs: Any, name: str | None = None) -> Tensor:
    """Solve ``A X = B``, given the Cholesky decomposition ``A = L L'``.

    Parameters
    ----------
    chol : tensor_like of float, shape [..., n, n]
        L, of which the lower triangle is read.
    rhs : tensor_like, shape [..., n, k]
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        When run, if L has a zero on its diagonal.

    Examples
    --------
    >>> import gradplan as gp
    >>> chol = gp.cholesky([[4.0, 2.0], [2.0, 5.0]])
    >>> gp.Session().run(gp.cholesky_solve(chol, [[8.0], [12.0]]))
    array([[1.],
           [2.]], dtype=float32)
    """
    graph = graph_of([chol, rhs])
    with graph.as_default(), graph.name_scope(name or "cholesky_solve"):
        return _triangular(chol, _triangular(chol, rhs), adjoint=True)  # type: ignore[no-any-return]


# ---- inverses and determinants -------------------------------------------------------------------


@op("MatrixInverse", CALL, kernel="lapack_inverse", flops=cube, failure="Input is not invertible.")
def matrix_inverse(input: Any, adjoint: Any = False, name: str | None = None) -> Any:
    """The inverse of square matrices.

    Parameters
    ----------
    input : tensor_like of float, shape [..., n, n]
    adjoint : bool, optional
        The inverse of the transpose instead.
    name : str, optional

    Raises
    ------
    ValueError
        If they are no square matrices.
    InvalidArgumentError
        When run, if one is singular.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matrix_inverse([[4.0]]))
    array([[0.25]], dtype=float32)
    """


@matrix_inverse.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return square(in_shapes[0])


@matrix_inverse.lower
def _(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    n = x.dims[-1]
    outs = [binder.result(op), *work(binder, op, x, 32 * n, n)]
    binder.emit(
        "lapack_inverse", outs, [binder.contiguous(swapped(x) if op.attrs["adjoint"] else x)]
    )


@matrix_inverse.gradient
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    if op.attrs["adjoint"]:
        return -matmul(y, matmul(dy, y, adjoint_a=True))
    return -matmul(y, matmul(dy, y, adjoint_b=True), adjoint_a=True)


def _lower_determinant(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    n = x.dims[-1]
    outs = [binder.result(op, i) for i in range(len(op.outputs))]
    outs += work(binder, op, x, n * n, n)
    binder.emit(op.opdef.kernel, outs, [binder.contiguous(x)])


@op("MatrixDeterminant", CALL, kernel="lapack_det", flops=cube)
def matrix_determinant(input: Any, name: str | None = None) -> Any:
    """The determinant of square matrices; 0 for singular ones.

    Parameters
    ----------
    input : tensor_like of float, shape [..., n, n]
    name : str, optional

    Returns
    -------
    Tensor, shape [...]

    Raises
    ------
    ValueError
        If they are no square matrices.

    Notes
    -----
    The gradient takes the inverse, so there it must exist.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.matrix_determinant([[2.0, 0.0], [1.0, 4.0]])))
    8.0
    """


@matrix_determinant.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    s = square(in_shapes[0])
    return None if s is None else s[:-2]


matrix_determinant.lower(_lower_determinant)


@matrix_determinant.gradient
def _(op: Any, dy: Any) -> Any:
    return _each_matrix(dy * op.outputs[0]) * matrix_inverse(op.inputs[0], adjoint=True)


def _each_matrix(x: Tensor) -> Tensor:
    """A number for each matrix, made to broadcast to it."""
    return expand_dims(x, [-2, -1])


@op("LogMatrixDeterminant", CALL, kernel="lapack_slogdet", types="T -> T T", flops=cube)
def log_matrix_determinant(input: Any, name: str | None = None) -> Any:
    """The sign and the logarithm of the absolute value of determinants.

    Parameters
    ----------
    input : tensor_like of float, shape [..., n, n]
    name : str, optional

    Returns
    -------
    sign, log_abs_determinant : Tensor, shape [...]
        0 and -inf for a singular matrix.

    Raises
    ------
    ValueError
        If they are no square matrices.

    Examples
    --------
    >>> import gradplan as gp
    >>> sign, log = gp.linalg.slogdet([[-1.0, 0.0], [0.0, 1.0]])
    >>> [float(x) for x in gp.Session().run([sign, log])]
    [-1.0, 0.0]
    """


@log_matrix_determinant.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    s = square(in_shapes[0])
    return [None if s is None else s[:-2]] * 2


log_matrix_determinant.lower(_lower_determinant)


@log_matrix_determinant.gradient
def _(op: Any, _: Any, dlog: Any) -> Any:
    if dlog is None:
        return None  # the sign is constant between its jumps
    return _each_matrix(dlog) * matrix_inverse(op.inputs[0], adjoint=True)


def logdet(matrix: Any, name: str | None = None) -> Tensor:
    """The logarithm of the determinant of symmetric positive definite matrices.

    Parameters
    ----------
    matrix : tensor_like of float, shape [..., n, n]
    name : str, optional

    Raises
    ------
    ValueError
        If they are no square matrices.
    InvalidArgumentError
        When run, if one is not positive definite.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.linalg.logdet([[1.0, 0.0], [0.0, 1.0]])))
    0.0
    """
    graph = graph_of([matrix])
    with graph.as_default(), graph.name_scope(name or "logdet"):
        factor = cholesky(matrix)
        return constant(2.0, factor.dtype) * reduce_sum(log(diagonal(factor)), [-1])


# ---- equations -----------------------------------------------------------------------------------


def solution_shape(in_shapes: Any, square_ones: bool = True) -> Any:
    """The shape of X in ``A X = B``."""
    a, b = in_shapes
    at_least_matrix(a, "matrix")
    at_least_matrix(b, "rhs")
    a = square(a) if square_ones else a
    if a is None or b is None:
        return None
    if shapes.merge(a[:-1], b[:-1]) is False:
        raise ValueError(
            f"matrix {shapes.text(a)} and rhs {shapes.text(b)} must agree in all dimensions but "
            "the last"
        )
    batch = shapes.merge(a[:-2], b[:-2])
    return (*batch, a[-1], b[-1])  # type: ignore[misc]


def emit_solve(binder: Any, op: Any, a: Any, extra: list[Any], attrs: Any = ()) -> None:
    """LAPACK takes and gives right-hand sides column by column."""
    dims = binder.shape(op.outputs[0])
    x = binder.scratch(op.name, a.dtype, (*dims[:-2], dims[-1], dims[-2]))
    b = binder.contiguous(swapped(binder.view(op.inputs[1])))
    binder.emit(op.opdef.kernel, [x, *extra], [a, b], attrs)
    binder.alias(op, swapped(x))


@op("MatrixSolve", CALL, kernel="lapack_solve", flops=cube, failure=SINGULAR)
def matrix_solve(matrix: Any, rhs: Any, adjoint: Any = False, name: str | None = None) -> Any:
    """Solve ``A X = B``.

    Parameters
    ----------
    matrix : tensor_like of float, shape [..., n, n]
    rhs : tensor_like, shape [..., n, k]
    adjoint : bool, optional
        Solve ``A' X = B`` instead.
    name : str, optional

    Returns
    -------
    Tensor, shape [..., n, k]

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        When run, if a matrix is singular.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matrix_solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]))
    array([[1. ],
           [0.5]], dtype=float32)
    """


@matrix_solve.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return solution_shape(in_shapes)


@matrix_solve.lower
def _(binder: Any, op: Any) -> None:
    a = binder.contiguous(binder.view(op.inputs[0]))
    n = a.dims[-1]
    emit_solve(binder, op, a, work(binder, op, a, n * n, n), [int(bool(op.attrs["adjoint"]))])


@matrix_solve.gradient
def _(op: Any, dx: Any) -> Any:
    a, x, adjoint = op.inputs[0], op.outputs[0], bool(op.attrs["adjoint"])
    db = matrix_solve(a, dx, adjoint=not adjoint)
    return -matmul(x, db, adjoint_b=True) if adjoint else -matmul(db, x, adjoint_b=True), db


@op(
    "MatrixTriangularSolve",
    CALL,
    kernel="lapack_triangular",
    flops=lambda attrs, in_shapes: shapes.size(in_shapes[0]) * in_shapes[1][-1],
    failure=SINGULAR,
)
def _triangular(
    matrix: Any, rhs: Any, lower: Any = True, adjoint: Any = False, name: str | None = None
) -> Any:
    """See :func:`matrix_triangular_solve`."""


def matrix_triangular_solve(
    matrix: Any,
    rhs: Any,
    lower: Any = True,
    adjoint: Any = False,
    name: str | None = None,
) -> Tensor:
    """Solve ``A X = B`` for triangular A, by substitution.

    Parameters
    ----------
    matrix : tensor_like of float, shape [..., n, n]
        One triangle is read, the other taken for zeros.
    rhs : tensor_like, shape [..., n, k]
    lower : bool, optional
        Whether it is the lower triangle. Default: True.
    adjoint : bool, optional
        Solve ``A' X = B`` instead.
    name : str, optional

    Returns
    -------
    Tensor, shape [..., n, k]

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        When run, if a diagonal has a zero.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matrix_triangular_solve([[2.0, 0.0], [1.0, 4.0]], [[2.0], [5.0]]))
    array([[1.],
           [1.]], dtype=float32)
    """
    graph = graph_of([matrix, rhs])
    with graph.as_default(), graph.name_scope(name or "triangular_solve"):
        return _triangular(matrix, rhs, lower, adjoint)  # type: ignore[no-any-return]


@_triangular.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return solution_shape(in_shapes)


@_triangular.lower
def _(binder: Any, op: Any) -> None:
    flags = [int(bool(op.attrs[key])) for key in ("lower", "adjoint")]
    emit_solve(binder, op, binder.contiguous(binder.view(op.inputs[0])), [], flags)


@_triangular.gradient
@named("MatrixBandPart", "triangular_solve/MatrixTriangularSolve")
def _(op: Any, dx: Any) -> Any:
    a, x = op.inputs[0], op.outputs[0]
    lower, adjoint = bool(op.attrs["lower"]), bool(op.attrs["adjoint"])
    db = _triangular(a, dx, lower=lower, adjoint=not adjoint)
    da = matmul(x, db, adjoint_b=True) if adjoint else matmul(db, x, adjoint_b=True)
    return -(da * weights(da, float(lower), 1.0, float(not lower))), db
