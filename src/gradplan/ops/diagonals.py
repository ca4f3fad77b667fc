"""Diagonals and bands of matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.dtypes import ALL
from gradplan.graph import Tensor
from gradplan.names import gradient_called, named
from gradplan.opdef import CALL, VIEW, graph_of, op
from gradplan.ops.array import zeros_like
from gradplan.ops.constant import constant, convert_to_tensor, has_tensor
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.sizes import shape
from gradplan.ops.slicing import where

__all__ = [
    "diag",
    "diag_part",
    "matrix_band_part",
    "matrix_diag",
    "matrix_diag_part",
    "matrix_set_diag",
    "trace",
]

# ---- of tensors ----------------------------------------------------------------------------------


@op("Diag", CALL, T=ALL, flops=0)
def diag(diagonal: Any, name: str | None = None) -> Any:
    """``out[i, ..., k, i, ..., k] = diagonal[i, ..., k]``, and zeros elsewhere.

    Parameters
    ----------
    diagonal : tensor_like, of rank 1 at least
    name : str, optional

    Raises
    ------
    ValueError
        For a scalar.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.diag([1, 2]))
    array([[1, 0],
           [0, 2]], dtype=int32)
    """


@diag.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,) = in_shapes
    if given == ():
        raise ValueError("the diagonal must have rank 1 at least")
    if given is None:
        return None
    if None not in given:
        shapes.size(given * 2)
    return given * 2


@diag.lower
def _(binder: Any, op: Any) -> None:
    x, out = binder.view(op.inputs[0]), binder.result(op)
    binder.emit("fill_zero", [out], [])
    binder.copy(_half(out), x)


def _half(view: Any) -> Any:
    """Of a view of dims [a, b, ..., a, b, ...] what lies at equal indices."""
    n = len(view.dims) // 2
    return view.seen(view.dims[:n], [view.strides[i] + view.strides[n + i] for i in range(n)])


@diag.gradient
def _(op: Any, dy: Any) -> Any:
    return diag_part(dy)


@op("DiagPart", VIEW, T=ALL)
def diag_part(input: Any, name: str | None = None) -> Any:
    """``out[i, ..., k] = input[i, ..., k, i, ..., k]``.

    Parameters
    ----------
    input : tensor_like, shape [a, ..., c, a, ..., c]
    name : str, optional

    Raises
    ------
    ValueError
        If the first half of the dimensions is not the second.

    Notes
    -----
    No element moves: the result is a view with other strides.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.diag_part([[1, 2], [3, 4]]))
    array([1, 4], dtype=int32)
    """


@diag_part.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,) = in_shapes
    if given is None:
        return None
    n = len(given) // 2
    half = False if len(given) % 2 or not given else shapes.merge(given[:n], given[n:])
    if half is False:
        raise ValueError(
            f"the dimensions {shapes.text(given)} are not some dimensions and the same once more"
        )
    return half


@diag_part.lower
def _(binder: Any, op: Any) -> None:
    binder.alias(op, _half(binder.view(op.inputs[0])))


@diag_part.gradient
def _(op: Any, dy: Any) -> Any:
    return diag(dy)


# ---- of matrices ---------------------------------------------------------------------------------


def _diagonal(view: Any) -> Any:
    """Of a view of dims [..., m, n] the main diagonals, [..., min(m, n)]."""
    *lead, m, n = view.dims
    *steps, down, across = view.strides
    return view.seen([*lead, min(m, n)], [*steps, down + across])


def _matrices(given: Any) -> Any:
    if given is not None and len(given) < 2:
        raise ValueError(f"the input must have rank 2 at least, but has shape {shapes.text(given)}")
    return given


@op("MatrixDiag", CALL, T=ALL, flops=0)
def matrix_diag(diagonal: Any, name: str | None = "diag") -> Any:
    """Matrices with given diagonals: ``out[..., i, i] = diagonal[..., i]``, zeros elsewhere.

    Parameters
    ----------
    diagonal : tensor_like, shape [..., n]
    name : str, optional

    Returns
    -------
    Tensor, shape [..., n, n]

    Raises
    ------
    ValueError
        For a scalar.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matrix_diag([[1, 2]]))
    array([[[1, 0],
            [0, 2]]], dtype=int32)
    """


@matrix_diag.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,) = in_shapes
    if given == ():
        raise ValueError("the diagonal must have rank 1 at least")
    if given is None:
        return None
    out = (*given, given[-1])
    if None not in out:
        shapes.size(out)
    return out


@matrix_diag.lower
def _(binder: Any, op: Any) -> None:
    x, out = binder.view(op.inputs[0]), binder.result(op)
    binder.emit("fill_zero", [out], [])
    binder.copy(_diagonal(out), x)


@matrix_diag.gradient
def _(op: Any, dy: Any) -> Any:
    return matrix_diag_part(dy)


@op("MatrixDiagPart", VIEW, T=ALL)
def matrix_diag_part(input: Any, name: str | None = "diag_part") -> Any:
    """The main diagonals of matrices: ``out[..., i] = input[..., i, i]``.

    Parameters
    ----------
    input : tensor_like, shape [..., m, n]
    name : str, optional

    Returns
    -------
    Tensor, shape [..., min(m, n)]
        A view with other strides.

    Raises
    ------
    ValueError
        If the rank is below 2.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matrix_diag_part([[1, 2, 3], [4, 5, 6]]))
    array([1, 5], dtype=int32)
    """


@matrix_diag_part.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given = _matrices(in_shapes[0])
    if given is None:
        return None
    return (*given[:-2], None if None in given[-2:] else min(given[-2:]))


@matrix_diag_part.lower
def _(binder: Any, op: Any) -> None:
    binder.alias(op, _diagonal(binder.view(op.inputs[0])))


@matrix_diag_part.gradient
@named("diag")
def _(op: Any, dy: Any) -> Any:
    return matrix_set_diag(zeros_like(op.inputs[0]), dy)


@op("MatrixSetDiag", CALL, T=ALL, flops=0)
def matrix_set_diag(input: Any, diagonal: Any, name: str | None = "set_diag") -> Any:
    """Matrices with their main diagonals replaced.

    Parameters
    ----------
    input : tensor_like, shape [..., m, n]
    diagonal : tensor_like, shape [..., min(m, n)]
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matrix_set_diag([[1, 2], [3, 4]], [7, 8]))
    array([[7, 2],
           [3, 8]], dtype=int32)
    """


@matrix_set_diag.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, of_diagonal = _matrices(in_shapes[0]), in_shapes[1]
    if given is None or of_diagonal is None:
        return given
    wanted = (*given[:-2], None if None in given[-2:] else min(given[-2:]))
    if shapes.merge(wanted, of_diagonal) is False:
        raise ValueError(
            f"the diagonal must have shape {shapes.text(wanted)} for an input of shape "
            f"{shapes.text(given)}, not {shapes.text(of_diagonal)}"
        )
    return given


@matrix_set_diag.lower
def _(binder: Any, op: Any) -> None:
    x, diagonal = [binder.view(t) for t in op.inputs]
    out = binder.result(op)
    binder.copy(out, x)
    binder.copy(_diagonal(out), diagonal)


@matrix_set_diag.gradient
def _(op: Any, dy: Any) -> Any:
    return matrix_set_diag(dy, zeros_like(op.inputs[1])), matrix_diag_part(dy)


def trace(x: Any, name: str | None = None) -> Tensor:
    """The sum of the main diagonal of each matrix.

    Parameters
    ----------
    x : tensor_like, shape [..., m, n]
    name : str, optional

    Returns
    -------
    Tensor, shape [...]

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.trace([[1.0, 2.0], [3.0, 4.0]])))
    5.0
    """
    graph = graph_of([x])
    with graph.as_default(), graph.name_scope(name or "Trace") as scope:
        return reduce_sum(matrix_diag_part(x), -1, name=scope)


# ---- bands ---------------------------------------------------------------------------------------


@op("MatrixBand", VIEW, types="I I I -> bool")
def _band(dims: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Any:
    """Which elements of a matrix, the last of ``dims``, lie in a band."""


@_band.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, lower, upper = [value(i) for i in range(3)]
    for s in in_shapes[1:]:
        if s is not None and shapes.size([d or 1 for d in s]) != 1:
            raise ValueError(f"num_lower and num_upper must be scalars, not {shapes.text(s)}")
    if in_shapes[0] is not None and in_shapes[0][0] in (0, 1):
        raise ValueError(f"the input must have rank 2 at least, but has rank {in_shapes[0][0]}")
    if dims is None:
        return (None, None)
    m, n = [int(d) for d in dims[-2:]]
    for what, number, most in (("num_lower", lower, m), ("num_upper", upper, n)):
        if number is not None and int(number.ravel()[0]) > most:
            raise ValueError(f"{what} {int(number.ravel()[0])} must not be above {most}")
    return (m, n)


@_band.lower
def _(binder: Any, op: Any) -> None:
    m, n = binder.shape(op.outputs[0])
    lower, upper = [int(binder.value(t).ravel()[0]) for t in op.inputs[1:]]
    below = np.arange(m)[:, None] - np.arange(n)
    inside = (lower < 0) | (below <= lower)
    mask = inside & ((upper < 0) | (-below <= upper))
    binder.alias(op, binder.constant(op.name, op.outputs[0].dtype, mask))


def matrix_band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Tensor:
    """Matrices with zeros outside of a band around the main diagonal.

    Parameters
    ----------
    input : tensor_like, shape [..., m, n]
    num_lower, num_upper : scalar tensor_like of int32 or int64
        How many diagonals below and above the main one to keep; negative: all of them.
    name : str, optional

    Raises
    ------
    ValueError
        If the rank is below 2, ``num_lower`` is above m, or ``num_upper`` above n.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matrix_band_part([[1, 2], [3, 4]], -1, 0))
    array([[1, 0],
           [3, 4]], dtype=int32)
    """
    x = convert_to_tensor(input)
    with x.graph.as_default(), x.graph.name_scope(name or "MatrixBandPart") as scope:
        band = [v if has_tensor(v) else np.int64(v) for v in (num_lower, num_upper)]
        inside = _band(shape(x), *band)
        out = where(inside, x, constant(np.zeros((), x.dtype.np)), name=scope)
        gradient_called(out, None, "MatrixBandPart")
    out.set_shape(x._shape)
    return out
