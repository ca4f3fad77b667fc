"""Joining, cutting and choosing elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL
from gradplan.graph import Graph, Tensor, at_user_line
from gradplan.opdef import (
    CALL,
    MAP,
    VIEW,
    apply,
    graph_of,
    op,
    register_tensor_conversion_function,
    to_tensor,
)
from gradplan.ops.array import (
    broadcast_to,
    expand_dims,
    shape,
    shape_argument,
    sum_to_like,
    take_first,
    zeros_like,
)
from gradplan.ops.constant import (
    constant,
    convert_data,
    convert_to_tensor,
    has_tensor,
    require_constant,
)
from gradplan.ops.logic import not_equal

__all__ = ["concat", "where"]

# ---- joining and cutting -------------------------------------------------------------------------


@op("ConcatV2", CALL, types="T* -> T", T=ALL, flops=0)
def _concat(values: Any, axis: Any = 0, name: str | None = None) -> Any:
    """Tensors joined along a dimension; see :func:`concat`."""


def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Join tensors along a dimension that exists.

    Parameters
    ----------
    values : list of tensor_like
        Of one type, and of shapes that differ along ``axis`` alone.
    axis : int
        Negative ones count from the end.
    name : str, optional

    Raises
    ------
    ValueError
        If there is nothing to join, the axis is out of range, or shapes differ elsewhere.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.concat([[[1, 2]], [[3, 4]]], axis=0))
    array([[1, 2],
           [3, 4]], dtype=int32)
    """
    if isinstance(values, (int, float)) or isinstance(axis, (list, tuple)) and len(axis) != 1:
        raise TypeError("concat(values, axis): the list of tensors comes first, then the axis")
    if isinstance(values, Tensor):
        values = [values]
    if not len(values):
        raise ValueError(at_user_line(f"concat '{name}': nothing to join, the list is empty"))
    where = int(require_constant(axis, "axis"))
    return apply(_concat.opdef, list(values), {"axis": where}, name)


@_concat.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    known = [s for s in in_shapes if s is not None]
    if not known:
        return None
    rank, axis = len(known[0]), attrs["axis"]
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


@_concat.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    axis = op.attrs["axis"] % len(out.dims)
    start = 0
    for t in op.inputs:
        part = binder.view(t)
        window = out.window(axis, start, part.dims[axis])
        binder.copy(window, part)
        start += part.dims[axis]


@_concat.gradient
def _(op: Any, dy: Any) -> Any:
    sizes = [shape(t) for t in op.inputs]
    axis = op.attrs["axis"]
    return [
        apply(_concat_part.opdef, [dy, *sizes], {"axis": axis, "part": i})
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


def _convert_list(value: Any, dtype: Any, name: str, graph: Graph) -> Tensor:
    """A list as a tensor; one with tensors among its elements is stacked along a new first
    dimension."""
    if not has_tensor(value):
        return convert_data(value, dtype, name, graph)
    if dtype is None:
        dtype = next((v.dtype for v in value if hasattr(v, "dtype")), None)
    with graph.as_default():
        rows = [expand_dims(convert_to_tensor(v, dtype), 0) for v in value]
        return concat(rows, 0, name=name.rstrip("/"))


for _type in (list, tuple):
    register_tensor_conversion_function(_type, _convert_list)


@op("StridedSlice", VIEW, T=ALL)
def _strided_slice(input: Any, key: Any = (), name: str | None = None) -> Any:
    """Slicing by Python's syntax with constant bounds."""


@op("StridedSliceGrad", CALL, types="T I -> T", T=ALL, flops=0)
def _strided_slice_grad(dy: Any, shape: Any, key: Any = (), name: str | None = None) -> Any:
    """Zeros of ``shape`` with ``dy`` in the place that :func:`_strided_slice` cut out."""


def _spell_key(key: Any) -> Any:
    """A subscript as a tuple of ints, ``(start, stop, step)``, ``...`` and None."""
    out: list[Any] = []
    for item in key if isinstance(key, tuple) else (key,):
        if isinstance(item, slice):
            bounds = (item.start, item.stop, item.step)
            out.append(tuple(None if b is None else _index(b) for b in bounds))
            if out[-1][2] == 0:
                raise ValueError("slice step cannot be zero")
        elif item is None or item is Ellipsis:
            out.append(item)
        else:
            out.append(_index(item))
    if out.count(Ellipsis) > 1:
        raise ValueError("Multiple ellipses in a slice are not allowed")
    return tuple(out)


def _index(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(
            "a tensor is sliced by integers, slices, ... and None, known while the graph is "
            f"built; not by {value!r}"
        )
    return value.__index__()


def cut(key: Any, dims: Sequence[int | None]) -> list[tuple[int | None, int, int | None, int]]:
    """What each dimension of a slice's result, and each index dropped, takes from the input.

    Returns
    -------
    list of (input dimension or None, start, length or None, step)
        The input dimension is None for a new dimension; the length is -1 for a dimension that an
        index drops and None where it is not known.
    """
    n = sum(1 for item in key if item is not None and item is not Ellipsis)
    if n > len(dims):
        raise ValueError(f"Index out of range: {n} subscripts for a tensor of rank {len(dims)}")
    if Ellipsis not in key:
        key = (*key, Ellipsis)
    out: list[tuple[int | None, int, int | None, int]] = []
    at = 0
    for item in key:
        if item is None:
            out.append((None, 0, 1, 0))
            continue
        if item is Ellipsis:
            for _ in range(len(dims) - n):
                out.append((at, 0, dims[at], 1))
                at += 1
            continue
        dim = dims[at]
        if isinstance(item, int):
            if dim is not None and not -dim <= item < dim:
                raise ValueError(f"slice index {item} of dimension {at} out of bounds (size {dim})")
            out.append((at, item if item >= 0 or dim is None else item + dim, -1, 1))
        elif dim is None:
            whole = item in ((None, None, None), (None, None, 1), (0, None, None))
            out.append((at, 0, None, 1 if whole else item[2] or 1))
        else:
            start, stop, step = slice(*item).indices(dim)
            out.append((at, start, len(range(start, stop, step)), step))
        at += 1
    return out


@_strided_slice.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,) = in_shapes
    if given is None:
        return None
    return tuple(n for _, _, n, _ in cut(attrs["key"], given) if n != -1)


@_strided_slice.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    binder.alias(op, view.cut(cut(op.attrs["key"], view.dims)))


@_strided_slice.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    dx = apply(_strided_slice_grad.opdef, [dy, shape(x)], {"key": op.attrs["key"]})
    dx.set_shape(x._shape)
    return dx


@_strided_slice_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return shape_argument(value(1), in_shapes[1])[0]


@_strided_slice_grad.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    binder.emit("fill_zero", [out], [])
    binder.copy(out.cut(cut(op.attrs["key"], out.dims)), binder.view(op.inputs[0]))


@_strided_slice_grad.gradient
def _(op: Any, g: Any) -> Any:
    return apply(_strided_slice.opdef, [g], {"key": op.attrs["key"]}), None


def _getitem(self: Tensor, key: Any) -> Tensor:
    return apply(_strided_slice.opdef, [self], {"key": _spell_key(key)}, "strided_slice")


Tensor.overload("__getitem__", _getitem)


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
