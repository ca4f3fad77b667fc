"""Linear equations that have no solution, or many."""

from __future__ import annotations

from typing import Any

from gradplan.graph import Tensor
from gradplan.opdef import CALL, apply, graph_of, op
from gradplan.ops.array import broadcast_to, shape, zeros_like
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.math import sqrt
from gradplan.ops.matmul import matmul
from gradplan.ops.matrices import number_of, swapped, weights
from gradplan.ops.slicing import concat
from gradplan.ops.solve import cholesky, cholesky_solve, cube, emit_solve, solution_shape, work

__all__ = ["matrix_solve_ls"]


@op(
    "MatrixSolveLs",
    CALL,
    kernel="lapack_lstsq",
    flops=cube,
    failure="Least squares did not converge. The input might not be valid.",
)
def _least_squares(matrix: Any, rhs: Any, name: str | None = None) -> Any:
    """Of the X that minimise ``|A X - B|`` the one of least norm."""


@_least_squares.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return solution_shape(in_shapes, square_ones=False)


@_least_squares.lower
def _(binder: Any, op: Any) -> None:
    a = binder.contiguous(swapped(binder.view(op.inputs[0])))
    n, m = a.dims[-2:]
    k, p = binder.shape(op.outputs[0])[-1], min(m, n)
    levels = 2 + max(0, (p // 26).bit_length())
    floats = 12 * p + 50 * p + 8 * p * levels + p * k + 676 + 32 * (m + n + k) + 1
    floats += m * n + max(m, n) * k + p
    extra = work(binder, op, a, floats, 3 * p * levels + 11 * p + 1)
    emit_solve(binder, op, a, extra)


@_least_squares.gradient
def _(op: Any, dx: Any) -> Any:
    # X = P B for the pseudo-inverse P, of which dP = -P dA P + P P' dA' (I - A P)
    # + (I - P A) dA' P' P, where the rank does not change.
    a, b = op.inputs
    outer = matmul(a, a, adjoint_b=True)
    eye = broadcast_to(weights(outer, 0.0, 1.0, 0.0), shape(outer))
    p = _least_squares(a, eye)
    dp = matmul(dx, b, adjoint_b=True)
    pp = matmul(p, p, adjoint_b=True)  # P P'
    outside = matmul(dp, pp, adjoint_a=True)  # dP' P P'
    da = outside - matmul(a, matmul(p, outside)) - matmul(p, matmul(dp, p, adjoint_b=True), True)
    inside = matmul(matmul(p, p, adjoint_a=True), dp, adjoint_b=True)  # P' P dP'
    return da + inside - matmul(matmul(inside, p), a), matmul(p, dx, adjoint_a=True)


def matrix_solve_ls(
    matrix: Any, rhs: Any, l2_regularizer: Any = 0.0, fast: bool = True, name: str | None = None
) -> Tensor:
    """Least squares: the X that minimises ``|A X - B|^2 + l2_regularizer |X|^2``.

    Parameters
    ----------
    matrix : tensor_like of float, shape [..., m, n]
    rhs : tensor_like, shape [..., m, k]
    l2_regularizer : float, optional
        Ignored unless ``fast``, as in TensorFlow.
    fast : bool, optional
        By the Cholesky decomposition of ``A' A`` (or ``A A'`` if m < n), which must be well
        conditioned and of full rank. Otherwise, and where m and n are known only at run time, by
        singular values; of many solutions then the one of least norm.
    name : str, optional

    Returns
    -------
    Tensor, shape [..., n, k]

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        When run, if the decomposition fails.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.matrix_solve_ls([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]], [[1.0], [3.0], [5.0]])
    >>> gp.Session().run(x).round(4).ravel().tolist()
    [1.0, 2.0]
    """
    graph, name = graph_of([matrix, rhs]), name or ("matrix_solve_ls" if fast else "MatrixSolveLs")
    with graph.as_default(), graph.name_scope(name) as scope:
        a = convert_to_tensor(matrix, rhs.dtype if isinstance(rhs, Tensor) else None)
        b = convert_to_tensor(rhs, a.dtype)
        solution_shape((a._shape, b._shape), square_ones=False)
        if not fast:
            return apply(_least_squares.opdef, [a, b], {}, scope)
        plain = not isinstance(l2_regularizer, Tensor) and float(l2_regularizer) == 0
        factor = None if plain else number_of(l2_regularizer, a.dtype)
        sizes = (None, None) if a._shape is None else a._shape[-2:]
        if None in sizes:
            return _regularised(a, b, factor)
        tall = sizes[0] >= sizes[1]  # type: ignore[operator]
        gram = matmul(a, a, adjoint_a=tall, adjoint_b=not tall)
        if factor is not None:
            gram = gram + factor * weights(gram, 0.0, 1.0, 0.0)
        root = cholesky(gram)
        if tall:
            return cholesky_solve(root, matmul(a, b, adjoint_a=True))
        return matmul(a, cholesky_solve(root, b), adjoint_a=True)


def _regularised(a: Tensor, b: Tensor, factor: Tensor | None) -> Tensor:
    """Of unknown m and n: the regulariser is more equations, ``sqrt(factor) X = 0``."""
    if factor is not None:
        gram, right = [matmul(a, t, adjoint_a=True) for t in (a, b)]  # for their shapes alone
        more = broadcast_to(sqrt(factor) * weights(gram, 0.0, 1.0, 0.0), shape(gram))
        a, b = concat([a, more], -2), concat([b, zeros_like(right)], -2)
    return _least_squares(a, b)
