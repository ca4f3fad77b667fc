"""What derivatives are made of beside the public operations."""

from __future__ import annotations

from typing import Any

from gradplan import shapes
from gradplan.dtypes import ALL, NUMBERS
from gradplan.graph import Tensor
from gradplan.opdef import CALL, VIEW, op
from gradplan.ops.array import shape, shape_argument
from gradplan.ops.constant import constant
from gradplan.ops.reduce import reduce_sum

__all__: list[str] = []


@op("OfShape", VIEW, types="T I -> T", T=ALL)
def of_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    """``x`` itself, whose shape must turn out to be ``shape``: nothing is broadcast."""


@of_shape.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    target, unknown = shape_argument(value(1), in_shapes[1])
    return unknown if target is None else _merged(in_shapes[0], target)


def _merged(given: Any, wanted: Any) -> Any:
    both = shapes.merge(given, wanted)
    if both is False:
        raise ValueError(
            f"a gradient of shape {shapes.text(given)} does not fit the shape "
            f"{shapes.text(wanted)} of what it is the gradient of"
        )
    return both


@of_shape.gradient
def _(op: Any, dy: Any) -> Any:
    return dy, None


def like(gradient: Tensor, x: Tensor) -> Tensor:
    """``gradient``, which must have the shape of ``x``; checked when a plan is bound unless it is
    known already. ValueError if it cannot have it."""
    known = x._shape is not None and None not in x._shape
    if gradient is x or known and gradient._shape == x._shape:
        return gradient
    both = _merged(gradient._shape, x._shape)
    out = of_shape(gradient, shape(x))
    out._shape = both
    return out


@op("UnitRows", CALL, types="T I -> T", T=NUMBERS, flops=0)
def unit_rows(one: Any, shape: Any, name: str | None = None) -> Any:
    """All tensors of a shape that are ``one`` in one place and 0 elsewhere, along a new first
    dimension: the identity matrix, its rows reshaped."""


@unit_rows.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    if in_shapes[0] not in (None, ()):
        raise ValueError(f"one must be a scalar, not of shape {shapes.text(in_shapes[0])}")
    dims, unknown = shape_argument(value(1), in_shapes[1])
    if dims is None:
        return None if unknown is None else (None, *unknown)
    if any(d < 0 for d in dims):
        raise ValueError(f"{list(dims)} has a negative dimension")
    n = shapes.size(dims)
    shapes.size((n, n))
    return (n, *dims)


@unit_rows.lower
def _(binder: Any, op: Any) -> None:
    out, one = binder.result(op), binder.view(op.inputs[0])
    n = out.dims[0]
    binder.emit("fill_zero", [out], [])
    if n:
        binder.copy(out.seen((n,), (n + 1,)), one.broadcast((n,)))


@unit_rows.gradient
def _(op: Any, dy: Any) -> Any:
    return reduce_sum(dy * unit_rows(constant(1, dy.dtype), op.inputs[1])), None
