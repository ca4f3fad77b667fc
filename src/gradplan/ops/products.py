"""Running sums and products along an axis, and products along axes."""

from __future__ import annotations

from typing import Any

from gradplan import shapes
from gradplan.dtypes import FLOATS, REALS
from gradplan.graph import Tensor
from gradplan.names import named
from gradplan.opdef import CALL, op
from gradplan.ops.array import ones_like, reshape, shape
from gradplan.ops.constant import require_constant
from gradplan.ops.reduce import (
    REDUCTION_DOC,
    declare_reduction,
    reduced_axes,
    reduction,
    restored,
)

__all__ = ["cumprod", "cumsum", "reduce_prod"]

# ---- running sums and products -------------------------------------------------------------------

SUM, PROD, RECUR = range(3)  # enum scan_kind of csrc/scan.c


def _scan(name: str, kind: int, T: Any) -> Any:
    """Declare an operation that walks along the axis in its attributes."""

    def same_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
        given = in_shapes[0]
        for other in in_shapes[1:]:
            given = shapes.merge(given, other)
        if given is not None and not -len(given) <= attrs["axis"] < len(given):
            raise ValueError(
                f"axis {attrs['axis']} is out of range for {len(given)} dimensions of "
                f"{shapes.text(given)}"
            )
        return given

    def lower(binder: Any, op: Any) -> None:
        dims = binder.shape(op.outputs[0])
        axis = op.attrs["axis"] % len(dims)
        walk = shapes.size(dims[:axis]), dims[axis], shapes.size(dims[axis + 1 :])
        views = [binder.contiguous(binder.view(t)).reshaped(walk) for t in op.inputs]
        attrs = [kind, int(op.attrs["exclusive"]), int(op.attrs["reverse"])]
        binder.emit("scan", [binder.result(op).reshaped(walk)], views, attrs)

    def decorate(function: Any) -> Any:
        declared = op(name, CALL, kernel="scan", T=T)(function)
        declared.shape(same_shape)
        declared.lower(lower)
        return declared

    return decorate


def _walk(axis: Any, exclusive: Any, reverse: Any) -> dict[str, Any]:
    value = require_constant(axis, "axis")
    if value.size != 1 or value.dtype.kind not in "iu":
        raise ValueError(f"axis must be an integer, not {value.tolist()!r}")
    return {"axis": int(value.item()), "exclusive": bool(exclusive), "reverse": bool(reverse)}


@_scan("Cumsum", SUM, REALS)
def cumsum(
    x: Any, axis: Any = 0, exclusive: Any = False, reverse: Any = False, name: str | None = None
) -> Any:
    """Running sum along ``axis``: ``y[i] = x[0] + ... + x[i]``.

    Parameters
    ----------
    x : tensor_like
        Of one dimension or more.
    axis : int, optional
        Default: 0.
    exclusive : bool, optional
        Leave ``x[i]`` out of ``y[i]``; the first is 0. Default: False.
    reverse : bool, optional
        Begin at the other end. Default: False.
    name : str, optional

    Returns
    -------
    Tensor
        Of the same type and shape. Integers wrap around.

    Raises
    ------
    ValueError
        If ``axis`` is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run([gp.cumsum([1, 2, 3]), gp.cumsum([1, 2, 3], exclusive=True)])
    [array([1, 3, 6], dtype=int32), array([0, 1, 3], dtype=int32)]
    """
    return [x], _walk(axis, exclusive, reverse)


@cumsum.gradient
def _(op: Any, dy: Any) -> Any:
    a = op.attrs
    return cumsum(dy, a["axis"], a["exclusive"], not a["reverse"])


@_scan("Cumprod", PROD, REALS)
def cumprod(
    x: Any, axis: Any = 0, exclusive: Any = False, reverse: Any = False, name: str | None = None
) -> Any:
    """Running product along ``axis``: ``y[i] = x[0] * ... * x[i]``; arguments and errors as
    :func:`cumsum`.

    Notes
    -----
    Nothing is divided by ``x``, so that the gradient is exact where elements are 0 too.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run([gp.cumprod([2, 3, 4]), gp.cumprod([2, 3, 4], reverse=True)])
    [array([ 2,  6, 24], dtype=int32), array([24, 12,  4], dtype=int32)]
    """
    return [x], _walk(axis, exclusive, reverse)


@cumprod.gradient
@named("div_no_nan")
def _(op: Any, dy: Any) -> Any:
    # dL/dx_i = (product before i) * s_i, where s_i sums dy_k times the product between i and k:
    # s_i = dy_i + x_n s_n if n comes next, or dy_n + x_n s_n if the products are exclusive.
    x, a = op.inputs[0], op.attrs
    axis, back = a["axis"], not a["reverse"]
    before = cumprod(x, axis, True, a["reverse"])
    if a["exclusive"]:
        return before * _recurrence(dy, x, axis, True, back)
    return before * (dy + _recurrence(x * dy, x, axis, True, back))


@_scan("LinearRecurrence", RECUR, FLOATS)
def _recurrence(
    g: Any,
    x: Any,
    axis: Any = 0,
    exclusive: Any = True,
    reverse: Any = False,
    name: str | None = None,
) -> Any:
    """``t`` before each step of ``t = g[i] + x[i] * t`` along ``axis``, from 0 on."""


@_recurrence.gradient
def _(op: Any, dy: Any) -> Any:
    x, a = op.inputs[1], op.attrs
    dg = _recurrence(dy, x, a["axis"], True, not a["reverse"])
    return dg, dg * op.outputs[0]


# ---- products along axes -------------------------------------------------------------------------


@declare_reduction("Prod", "reduce_prod", REALS)
def reduce_prod(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Any:
    """Product of the elements along ``axis``; of no elements, 1. Integers wrap around.{doc}
    Notes
    -----
    The gradient is made of products of the other elements, so it is right where elements are 0.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_prod([[1.0, 2.0], [3.0, 4.0]], axis=0))
    array([3., 8.], dtype=float32)
    """
    return reduction(input_tensor, axis, keepdims, reduction_indices, keep_dims)


reduce_prod.__doc__ = (reduce_prod.__doc__ or "").replace("{doc}", REDUCTION_DOC)


@reduce_prod.gradient
@named(lambda op: ("Reshape_3" if op.attrs["keepdims"] else "Reshape_4",))
def _(op: Any, dy: Any) -> Any:
    x, axes = op.inputs[0], op.attrs["axis"]
    if x._shape is not None:
        return restored(op, dy) * _others(x, reduced_axes(axes, len(x._shape)))
    if axes is None:  # of an unknown number of dimensions
        others = reshape(_others(reshape(x, [-1]), (0,)), shape(x))
        return dy * others  # of which dy, if it is kept, has as many as x
    return restored(op, dy) * _others(x, axes)


def _others(x: Tensor, axes: Any) -> Tensor:
    """For every element the product of all others along ``axes``: of those beside it on the first
    axis, times the products of the other lines."""
    if not axes:
        return ones_like(x)
    first, *rest = axes
    beside = cumprod(x, first, exclusive=True) * cumprod(x, first, exclusive=True, reverse=True)
    if not rest:
        return beside
    return beside * _others(reduce_prod(x, first, keepdims=True), rest)
