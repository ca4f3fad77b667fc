"""Totals over the trips of a loop: the gradient of what each trip takes a row of is added up in
place, a row a trip::

    total + zeros with dy as row i        a walk over the whole in every trip
    add_row(total, dy, i)                 a row
"""

from __future__ import annotations

from typing import Any

from gradplan import shapes
from gradplan.dtypes import NUMBERS
from gradplan.graph import Tensor
from gradplan.opdef import CALL, op
from gradplan.ops.gather import emit_scatter


@op("AddRow", CALL, kernel="scatter", types="T T I -> T", T=NUMBERS, flops=0, fallible=True)
def add_row(x: Any, row: Any, index: Any, axis: int = 0, name: str | None = None) -> Any:
    """``x`` with ``row`` added to what stands at ``index`` along ``axis``."""


@add_row.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    x, row, index = in_shapes
    if x is not None and row is not None:
        at = attrs["axis"]
        if not 0 <= at < len(x) or shapes.merge(x[:at] + x[at + 1 :], row) is False:
            raise ValueError(f"{shapes.text(row)} is no row of {shapes.text(x)} along axis {at}")
    if index not in (None, ()):
        raise ValueError(f"the index of a row is a scalar, not of shape {shapes.text(index)}")
    return x


@add_row.lower
def _(binder: Any, op: Any) -> None:
    x, row, index = map(binder.view, op.inputs)
    out = binder.taken_over(op)
    at = op.attrs["axis"]
    dims = shapes.size(x.dims[:at]), x.dims[at], shapes.size(x.dims[at + 1 :])
    index = binder.contiguous(index).reshaped((1, 1))
    emit_scatter(binder, out.reshaped(dims), index, row, "add")


@add_row.gradient
def _(op: Any, dy: Any) -> Any:
    index, at = op.inputs[2], op.attrs["axis"]
    return dy, dy[(slice(None),) * at + (index,)], None


def accumulated(total: Tensor, more: Tensor) -> Tensor:
    """``total + more``, where ``more`` is what a trip gives."""
    if more.op.type == "AddN":
        for term in more.op.inputs:
            total = accumulated(total, term)
        return total
    dims, axes = total._shape, more.op.attrs.get("axes", ())
    if more.op.type != "SliceAtGrad" or not more.op.attrs["drop"] or len(axes) != 1 or not dims:
        return total + more  # type: ignore[no-any-return]
    row, sizes, index = more.op.inputs
    n, at = sizes[axes[0]], axes[0] % len(dims)
    return add_row(total, row, (index + n) % n, at)  # type: ignore[no-any-return]
