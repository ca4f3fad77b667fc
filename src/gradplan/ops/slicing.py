"""Joining, cutting and choosing elements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL
from gradplan.graph import Tensor, at_user_line
from gradplan.known import constant_value
from gradplan.opdef import CALL, MAP, VIEW, apply, graph_of, op, to_tensor
from gradplan.ops.array import broadcast_to, identity, sum_to_like, take_first, zeros_like
from gradplan.ops.constant import (
    constant,
    convert_to_tensor,
    require_constant,
)
from gradplan.ops.logic import not_equal
from gradplan.ops.sizes import shape, shape_argument

__all__ = [
    "concat",
    "pack",
    "parallel_stack",
    "stack",
    "unpack",
    "unstack",
    "where",
]

# ---- joining and cutting -------------------------------------------------------------------------


@op("ConcatV2", CALL, types="T* -> T", T=ALL, flops=0)
def _concat(values: Any, axis: Any = 0, name: str | None = None) -> Any:
    """Tensors joined along a dimension; see :func:`concat`."""


@op("Concat", CALL, types="I T* -> T", T=ALL, flops=0)
def concat_along(concat_dim: Any, values: Any, name: str | None = None) -> Any:
    """The same, along a dimension that only a run tells."""


def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Join tensors along a dimension that exists.

    Parameters
    ----------
    values : list of tensor_like
        Of one type, and of shapes that differ along ``axis`` alone.
    axis : int, or a scalar tensor of integers
        Negative ones count from the end.
    name : str, optional

    Raises
    ------
    TypeError
        If the axis comes first, as it did before TensorFlow 1.0.
    ValueError
        If there is nothing to join, the axis is out of range, or shapes differ elsewhere.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.concat([[[1, 2]], [[3, 4]]], axis=0))
    array([[1, 2],
           [3, 4]], dtype=int32)
    """
    if isinstance(values, (int, float, np.integer)) or isinstance(axis, (list, tuple)):
        raise TypeError(
            at_user_line("concat(values, axis): the list of tensors comes first, then the axis")
        )
    if isinstance(values, Tensor):
        values = [values]
    if not len(values):
        raise ValueError(at_user_line(f"concat '{name}': nothing to join, the list is empty"))
    if isinstance(axis, Tensor) and constant_value(axis) is None:
        return apply(concat_along.opdef, [axis, *values], {}, name)
    known = require_constant(axis, "axis")
    if known.dtype.kind != "i" or known.size != 1:
        raise TypeError(at_user_line(f"concat '{name}': axis must be an integer, not {axis!r}"))
    attrs = {"axis": int(known.ravel()[0])}
    only = convert_to_tensor(values[0]) if len(values) == 1 else None
    if only is None or only._shape is None:
        return apply(_concat.opdef, list(values), attrs, name)
    try:
        _joined(attrs["axis"], [only._shape])
    except ValueError as error:
        raise ValueError(at_user_line(f"concat '{name}': {error}")) from None
    return identity(only, name)


def _joined(axis: int, in_shapes: Any) -> Any:
    known = [s for s in in_shapes if s is not None]
    if not known:
        return None
    rank = len(known[0])
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is out of range for inputs of rank {rank}")
    axis %= rank
    out: Any = (None,) * rank
    for s in known:
        rest = None if len(s) != rank else s[:axis] + (None,) + s[axis + 1 :]
        out = False if rest is None else shapes.merge(out, rest)
        if out is False:
            listed = ", ".join(map(shapes.text, in_shapes))
            raise ValueError(f"shapes {listed} differ in other dimensions than axis {axis}")
    along = [None if s is None else s[axis] for s in in_shapes]
    joined = None if None in along else sum(along)  # type: ignore[arg-type]
    return out[:axis] + (joined,) + out[axis + 1 :]


@_concat.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return _joined(attrs["axis"], in_shapes)


@concat_along.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    axis, parts = value(0), in_shapes[1:]
    if in_shapes[0] is not None and shapes.size([d or 0 for d in in_shapes[0]]) > 1:
        raise ValueError(f"the axis must be a scalar, not of shape {shapes.text(in_shapes[0])}")
    if axis is not None:
        return _joined(int(axis.ravel()[0]), parts)
    ranks = {len(s) for s in parts if s is not None}
    return (None,) * ranks.pop() if len(ranks) == 1 else None


def _parts(whole: Any, axis: int, inputs: Any, binder: Any) -> Any:
    axis %= len(whole.dims)
    start = 0
    for t in inputs:
        size = binder.shape(t)[axis]
        yield t, whole.window(axis, start, size)
        start += size


@_concat.parts
def _(binder: Any, op: Any, whole: Any) -> Any:
    return _parts(whole, op.attrs["axis"], op.inputs, binder)


@concat_along.parts
def _(binder: Any, op: Any, whole: Any) -> Any:
    axis = int(binder.value(op.inputs[0]).ravel()[0])
    return _parts(whole, axis, op.inputs[1:], binder)


@_concat.gradient
def _(op: Any, dy: Any) -> Any:
    sizes = [shape(t) for t in op.inputs]
    axis = op.attrs["axis"]
    return [
        apply(_concat_part.opdef, [dy, *sizes], {"axis": axis, "part": i}, "Slice")
        for i in range(len(op.inputs))
    ]


@op("ConcatPart", VIEW, types="T I* -> T", T=ALL)
def _concat_part(dy: Any, sizes: Any, axis: Any = 0, part: Any = 0, name: str | None = None) -> Any:
    """The part of a joined tensor that came from input number ``part``, given the shapes of all."""


@_concat_part.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return shape_argument(value(attrs["part"] + 1), in_shapes[attrs["part"] + 1])[0]


@_concat_part.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    axis = op.attrs["axis"] % len(view.dims)
    along = [int(binder.value(t)[axis]) for t in op.inputs[1:]]
    part = op.attrs["part"]
    binder.alias(op, view.window(axis, sum(along[:part]), along[part]))


@_concat_part.gradient
def _(op: Any, g: Any) -> Any:
    parts = [
        g if i == op.attrs["part"] else broadcast_to(constant(0, g.dtype), size)
        for i, size in enumerate(op.inputs[1:])
    ]
    return [concat(parts, op.attrs["axis"])] + [None] * len(parts)


# ---- stacking ------------------------------------------------------------------------------------


@op("Pack", CALL, types="T* -> T", T=ALL, flops=0)
def _pack(values: Any, axis: Any = 0, name: str | None = None) -> Any:
    """Tensors of one shape along a new dimension; see :func:`stack`."""


def stack(values: Any, axis: int = 0, name: str = "stack") -> Tensor:
    """Join tensors of one shape along a new dimension.

    Parameters
    ----------
    values : list of tensor_like
        Of one type and shape.
    axis : int, optional
        Where the new dimension stands in the result; negative ones count from its end. Default:
        0.
    name : str, optional

    Raises
    ------
    ValueError
        If there is nothing to stack, shapes differ, or the axis is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.stack([[1, 2], [3, 4]], axis=1))
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    if isinstance(values, Tensor):
        values = unstack(values)
    if not len(values):
        raise ValueError(at_user_line(f"Pack '{name}': nothing to stack, the list is empty"))
    where = int(require_constant(axis, "axis"))
    return apply(_pack.opdef, list(values), {"axis": where}, name)


pack = stack


def parallel_stack(values: Any, name: str = "parallel_stack") -> Tensor:
    """:func:`stack` along a new first dimension.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.parallel_stack([1, 2]))
    array([1, 2], dtype=int32)
    """
    graph = graph_of([values])
    with graph.as_default(), graph.name_scope(name):
        return stack(values, 0, "ParallelConcat")


@_pack.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    each: Any = None
    for s in in_shapes:
        each = shapes.merge(each, s)
        if each is False:
            listed = ", ".join(map(shapes.text, in_shapes))
            raise ValueError(f"shapes {listed} differ: only tensors of one shape can be stacked")
    if each is None:
        return None
    axis, rank = attrs["axis"], len(each) + 1
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is not in [{-rank}, {rank}) for inputs of rank {rank - 1}")
    axis %= rank
    return each[:axis] + (len(in_shapes),) + each[axis:]


@_pack.parts
def _(binder: Any, op: Any, whole: Any) -> Any:
    axis = op.attrs["axis"] % len(whole.dims)
    return [(t, whole.index(axis, i)) for i, t in enumerate(op.inputs)]


@_pack.gradient
def _(op: Any, dy: Any) -> Any:
    return unstack(dy, len(op.inputs), op.attrs["axis"])


@op("Unpack", VIEW, types="T -> T*", T=ALL)
def _unpack(value: Any, num: Any = 0, axis: Any = 0, name: str | None = None) -> Any:
    """What lies at each index of a dimension; see :func:`unstack`."""


def unstack(
    value: Any, num: int | None = None, axis: int = 0, name: str = "unstack"
) -> list[Tensor]:
    """Cut a tensor along a dimension into what lies at each of its indices: undoes :func:`stack`.

    Parameters
    ----------
    value : tensor_like
    num : int, optional
        The size of the dimension. Default: its static size.
    axis : int, optional
        Negative ones count from the end. Default: 0.
    name : str, optional

    Returns
    -------
    list of Tensor
        Views: nothing is copied.

    Raises
    ------
    ValueError
        If ``num`` is not the size, or neither is known; if the axis is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> [int(t) for t in gp.Session().run(gp.unstack([3, 4, 5]))]
    [3, 4, 5]
    """
    value = convert_to_tensor(value)
    where = int(require_constant(axis, "axis"))
    given = value._shape
    if num is None:
        if given is not None and not -len(given) <= where < len(given):
            raise ValueError(
                at_user_line(f"unstack '{name}': axis {where} is out of range for {value}")
            )
        num = None if given is None else given[where]
        if num is None:
            raise ValueError(
                at_user_line(
                    f"unstack '{name}': Cannot infer num from shape {value.shape}: give it"
                )
            )
    out = apply(_unpack.opdef, [value], {"num": int(num), "axis": where}, name)
    return as_list(out)


unpack = unstack


def _rows(x: Tensor) -> Iterator[Tensor]:
    if not x._shape or x._shape[0] is None:
        raise TypeError(f"{x} is not iterable: its first dimension is unknown")
    return iter(unstack(x))


Tensor.overload("__iter__", _rows)


def as_list(out: Any) -> list[Tensor]:
    """What ``apply`` made of an operation with any number of results."""
    if isinstance(out, Tensor):
        return [out]
    return list(out) if isinstance(out, (list, tuple)) else []


@_unpack.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,), num, axis = in_shapes, attrs["num"], attrs["axis"]
    if given is None:
        return [None] * num
    if not -len(given) <= axis < len(given):
        raise ValueError(f"axis {axis} is out of range for an input of rank {len(given)}")
    axis %= len(given)
    if given[axis] not in (None, num):
        raise ValueError(f"dimension {axis} of {shapes.text(given)} has not the size num={num}")
    return [given[:axis] + given[axis + 1 :]] * num


@_unpack.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    axis = op.attrs["axis"] % len(view.dims)
    for i in range(len(op.outputs)):
        binder.alias(op, view.index(axis, i), i)


@_unpack.gradient
def _(op: Any, *dys: Any) -> Any:
    return stack(zeros_for_none(op, dys), op.attrs["axis"])


def zeros_for_none(op: Any, dys: Any) -> list[Tensor]:
    """Gradients of all results, also of those that nothing depends on."""
    return [
        broadcast_to(constant(0, t.dtype), shape(t)) if dy is None else dy
        for t, dy in zip(op.outputs, dys, strict=True)
    ]


# ---- choosing ------------------------------------------------------------------------------------


@op("Select", MAP, kernel="select", types="bool T T -> T", T=ALL)
def _select(condition: Any, x: Any, y: Any, name: str | None = None) -> Any:
    """``x`` where the condition holds, else ``y``."""


@op("ConditionOfRows", VIEW, types="bool any -> bool")
def _condition_of_rows(condition: Any, x: Any, name: str | None = None) -> Any:
    """A condition for :func:`where`: a vector, for an ``x`` of higher rank, stands for its rows."""


@_condition_of_rows.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    condition, x = in_shapes
    if condition is None or len(condition) != 1:
        return condition
    return None if x is None else condition + (1,) * (len(x) - 1)


@_condition_of_rows.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    dims = binder.shape(op.outputs[0])
    binder.alias(op, view.seen(dims, view.strides + (0,) * (len(dims) - len(view.dims))))


@op("Where", CALL, kernel="where", types="bool -> int64 int64", flops=0)
def _where(condition: Any, name: str | None = None) -> Any:
    """The coordinates of what is true, first of all, and how many there are."""


@_where.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,) = in_shapes
    if given is None:
        return [(None, None), ()]
    return [(None if None in given else shapes.size(given), len(given)), ()]


def _coordinates(condition: Any, name: str | None) -> Tensor:
    """The coordinates of what is true or not 0, in row-major order."""
    graph = graph_of([condition])
    with graph.as_default(), graph.name_scope(name or "Where") as scope:
        condition = convert_to_tensor(condition)
        if condition.dtype is not dtypes.bool:
            condition = not_equal(condition, zeros_like(condition))
        rows, count = _where(condition)
        return take_first(rows, count, name=scope)


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """Choose elements: ``x`` where ``condition`` holds, else ``y``; or, without these, the
    coordinates of what holds.

    Parameters
    ----------
    condition : tensor_like of bool
        A vector chooses whole rows of an ``x`` of higher rank, as in TensorFlow 1; otherwise the
        three shapes broadcast. Without ``x`` and ``y`` it may have any type: not 0 counts as true.
    x, y : tensor_like, optional
        Of one type.
    name : str, optional

    Returns
    -------
    Tensor
        Without ``x`` and ``y``, int64 of shape [number of true elements, rank of ``condition``], in
        row-major order.

    Raises
    ------
    ValueError
        If the shapes do not broadcast, or one of ``x`` and ``y`` is missing.

    Notes
    -----
    The gradient goes to the one that was chosen; the other gets 0.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.where([True, False], [1, 2], [3, 4]))
    array([1, 4], dtype=int32)
    >>> gp.Session().run(gp.where([[True, False], [False, True]]))
    array([[0, 0],
           [1, 1]])
    """
    if x is None and y is None:
        return _coordinates(condition, name)
    if x is None or y is None:
        raise ValueError(at_user_line("where needs both x and y, or neither"))
    graph = graph_of([condition, x, y])
    condition = to_tensor(condition, None, "Select/condition", graph)
    if not isinstance(x, Tensor) and isinstance(y, Tensor):
        x = to_tensor(x, y.dtype, "Select/x", graph)
    x = to_tensor(x, None, "Select/x", graph)
    if condition._shape is None or len(condition._shape) == 1 and x._shape != condition._shape:
        condition = _condition_of_rows(condition, x)
    return apply(_select.opdef, [condition, x, y], {}, name)


@_select.gradient
def _(op: Any, dy: Any) -> Any:
    condition, x, y = op.inputs
    zero = constant(0, dy.dtype)
    return (
        None,
        sum_to_like(_select(condition, dy, zero), x, op),
        sum_to_like(_select(condition, zero, dy), y, op),
    )
