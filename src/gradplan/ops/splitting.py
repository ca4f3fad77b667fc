"""Cutting a tensor into parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.dtypes import ALL
from gradplan.graph import Tensor, at_user_line
from gradplan.known import known_sizes
from gradplan.opdef import VIEW, apply, op
from gradplan.ops.array import identity, reshape
from gradplan.ops.constant import convert_to_tensor, require_constant
from gradplan.ops.sizes import bound_list, list_argument, listed, shape
from gradplan.ops.slicing import as_list, concat, concat_along, stack, zeros_for_none

__all__ = ["split"]


@op("Split", VIEW, types="T I* -> T*", T=ALL)
def _split(value: Any, at: Any, num: Any = 1, axis: Any = None, name: str | None = None) -> Any:
    """``num`` parts of one size; see :func:`split`."""


@op("SplitV", VIEW, types="T I I* -> T*", T=ALL)
def _split_v(
    value: Any, sizes: Any, at: Any, num: Any = 1, axis: Any = None, name: str | None = None
) -> Any:
    """Parts of the sizes in the second input; see :func:`split`."""


def split(
    value: Any, num_or_size_splits: Any, axis: Any = 0, num: int | None = None, name: str = "split"
) -> list[Tensor]:
    """Cut a tensor along a dimension into parts.

    Parameters
    ----------
    value : tensor_like
    num_or_size_splits : int, or a vector of int32 or int64
        How many parts of one size, or the size of each; one of these may be -1, which takes what
        remains.
    axis : int, or a scalar tensor of integers, optional
        Negative ones count from the end. Default: 0.
    num : int, optional
        How many parts there are, for a tensor of sizes whose static shape does not tell.
    name : str, optional

    Returns
    -------
    list of Tensor
        Views: nothing is copied.

    Raises
    ------
    ValueError
        If the dimension cannot be cut so, or the axis is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> [t.tolist() for t in gp.Session().run(gp.split([1, 2, 3, 4, 5, 6], [1, 3, -1]))]
    [[1], [2, 3, 4], [5, 6]]
    """
    value = convert_to_tensor(value)
    attrs, more = list_argument(axis, "axis", "Split")
    if attrs["axis"] is not None and len(attrs["axis"]) != 1:
        raise ValueError(at_user_line(f"split '{name}': axis must be a scalar, not {axis!r}"))
    sizes = num_or_size_splits
    tensor = isinstance(sizes, Tensor)
    if not tensor and not isinstance(sizes, (list, tuple)):
        sizes = require_constant(sizes, "num_or_size_splits")
    elif tensor and sizes._shape == ():
        sizes = require_constant(sizes, "the number of parts")
    if isinstance(sizes, np.ndarray) and sizes.ndim == 0:
        if sizes.dtype.kind != "i" or sizes < 1:
            raise ValueError(at_user_line(f"split '{name}': there cannot be {sizes} parts"))
        out = apply(_split.opdef, [value, *more], {"num": int(sizes), **attrs}, name)
        return as_list(out)
    with value.graph.as_default():
        sizes = (
            convert_to_tensor(sizes if len(sizes) else np.zeros(0, np.int32))
            if not tensor
            else sizes
        )
    if num is None:
        num = sizes._shape[0] if sizes._shape and len(sizes._shape) == 1 else None
        if num is None:
            raise ValueError(
                at_user_line(f"split '{name}': Cannot infer num from sizes {sizes}: give num")
            )
    out = as_list(apply(_split_v.opdef, [value, sizes, *more], {"num": int(num), **attrs}, name))
    for t, n in zip(out, known_sizes(sizes) or (), strict=False):
        if n is not None and n >= 0 and t._shape is not None and attrs["axis"] is not None:
            dims = list(t._shape)
            dims[attrs["axis"][0]] = n
            t.set_shape(dims)
    return out


def _split_axis(attrs: dict[str, Any], given: Any, axes: Any) -> int:
    if len(axes) != 1 or not -len(given) <= axes[0] < len(given):
        raise ValueError(f"axis {list(axes)} is out of range for an input of rank {len(given)}")
    return axes[0] % len(given)


@_split.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    num, given = attrs["num"], in_shapes[0]
    axes = listed(attrs["axis"], value, 1, in_shapes)
    if given is None or axes is None:
        return [None if given is None else (None,) * len(given)] * num
    axis = _split_axis(attrs, given, axes)
    n = given[axis]
    if n is not None and n % num:
        raise ValueError(f"{num} parts of one size cannot be made of dimension {axis} of {n}")
    return [given[:axis] + (None if n is None else n // num,) + given[axis + 1 :]] * num


@_split_v.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    num, given = attrs["num"], in_shapes[0]
    axes, sizes = listed(attrs["axis"], value, 2, in_shapes), value(1)
    if in_shapes[1] is not None and len(in_shapes[1]) != 1:
        raise ValueError(f"sizes must be a vector, not of shape {shapes.text(in_shapes[1])}")
    if sizes is not None and len(sizes) != num:
        raise ValueError(f"there are {len(sizes)} sizes {sizes.tolist()} for {num} parts")
    if given is None or axes is None:
        return [None if given is None else (None,) * len(given)] * num
    axis = _split_axis(attrs, given, axes)
    parts = [None] * num if sizes is None else _part_sizes(sizes, given[axis], axis)
    return [given[:axis] + (n,) + given[axis + 1 :] for n in parts]


def _part_sizes(sizes: Any, dim: int | None, axis: int) -> list[int | None]:
    parts: list[int | None] = [int(n) for n in sizes]
    rest = parts.count(-1)
    if rest > 1 or any(n < -1 for n in parts):  # type: ignore[operator]
        raise ValueError(f"sizes {parts}: at most one may be -1, none below")
    total = sum(n for n in parts if n != -1)  # type: ignore[misc]
    if dim is not None and (total > dim if rest else total != dim):
        raise ValueError(f"sizes {parts} do not add up to dimension {axis}, which is {dim}")
    return [(None if dim is None else dim - total) if n == -1 else n for n in parts]


def _lower_split(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    axis = bound_list(binder, op, "axis", 1 if op.type == "Split" else 2)[0] % len(view.dims)
    start = 0
    for i, t in enumerate(op.outputs):
        n = binder.shape(t)[axis]
        binder.alias(op, view.window(axis, start, n), i)
        start += n


_split.lower(_lower_split)
_split_v.lower(_lower_split)


def _join_back(op: Any, *dys: Any) -> Any:
    at = op.inputs[1 if op.type == "Split" else 2 :]
    axis = at[0] if at else op.attrs["axis"][0]
    return [concat(zeros_for_none(op, dys), axis), *[None] * (len(op.inputs) - 1)]


_split.gradient(_join_back)
_split_v.gradient(_join_back)


@concat_along.gradient
def _(op: Any, dy: Any) -> Any:
    axis, *values = op.inputs
    sizes = stack([shape(v) for v in values])  # [n, rank]
    parts = split(dy, sizes[:, reshape(axis, np.zeros(0, np.int32))], axis, len(values))
    return [None, *[identity(t, name="Slice") for t in parts]]
