"""The exponential of matrices."""

from __future__ import annotations

from typing import Any

from gradplan.graph import Tensor
from gradplan.names import gradient_called
from gradplan.opdef import CALL, VIEW, graph_of, op
from gradplan.ops.array import zeros_like
from gradplan.ops.matrices import adjoint, square
from gradplan.ops.slicing import concat
from gradplan.ops.solve import cube, work

__all__ = ["expm"]


@op(
    "MatrixExponential",
    CALL,
    kernel="lapack_expm",
    flops=lambda attrs, in_shapes: 10 * cube(attrs, in_shapes),
    failure="The exponential was not computed. The input might not be valid.",
)
def _expm(input: Any, name: str | None = None) -> Any:
    """See :func:`expm`."""


def expm(input: Any, name: str | None = None) -> Tensor:
    """The exponential ``I + A + A^2 / 2! + ...`` of square matrices.

    Parameters
    ----------
    input : tensor_like of float, shape [..., n, n]
    name : str, optional

    Raises
    ------
    ValueError
        If they are no square matrices.
    InvalidArgumentError
        When run, if an element is NaN or infinite.

    Notes
    -----
    By scaling and squaring (N. J. Higham, *The scaling and squaring method for the matrix
    exponential revisited*, 2005). The gradient is a block of the exponential of a matrix of twice
    the size (C. Van Loan, 1978).

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.linalg.expm([[0.0, 1.0], [0.0, 0.0]]))
    array([[1., 1.],
           [0., 1.]], dtype=float32)
    """
    graph = graph_of([input])
    with graph.as_default(), graph.name_scope(name or "matrix_exponential") as scope:
        return gradient_called(_expm(input, name="Reshape_1"), f"/{scope}Reshape_grad/Reshape")


@_expm.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return square(in_shapes[0])


@_expm.lower
def _(binder: Any, op: Any) -> None:
    x = binder.contiguous(binder.view(op.inputs[0]))
    n = x.dims[-1]
    outs = [binder.result(op), *work(binder, op, x, 6 * n * n, n)]
    binder.emit("lapack_expm", outs, [x])


@_expm.gradient
def _(op: Any, dy: Any) -> Any:
    a = adjoint(op.inputs[0])
    upper, lower = concat([a, dy], -1), concat([zeros_like(a), a], -1)
    whole = _expm(concat([upper, lower], -2))
    return _upper_right(whole)


@op("UpperRight", VIEW)
def _upper_right(x: Any, name: str | None = None) -> Any:
    """The upper right quarter of matrices [..., 2 n, 2 n]."""


@_upper_right.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    return None if s is None else (*s[:-2], *[None if d is None else d // 2 for d in s[-2:]])


@_upper_right.lower
def _(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    rank, n = len(x.dims), x.dims[-1] // 2
    binder.alias(op, x.window(rank - 2, 0, n).window(rank - 1, n, n))


@_upper_right.gradient
def _(op: Any, dy: Any) -> Any:
    nothing = zeros_like(dy)
    return concat([concat([nothing, dy], -1), concat([nothing, nothing], -1)], -2)
