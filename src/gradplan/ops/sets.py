"""What has a size that the data decide: masks, sets, partitions and stitches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, VALUES
from gradplan.graph import Tensor, at_user_line
from gradplan.known import constant_value
from gradplan.opdef import CALL, VIEW, apply, graph_of, op
from gradplan.ops.array import (
    entering,
    expand_dims,
    identity_n,
    reshape,
    shape,
    take_first,
    zeros_like,
)
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor, require_constant
from gradplan.ops.gather import (
    emit_fill,
    emit_scatter,
    gather,
    merge_dims,
    merged_shape,
    scalar_argument,
)
from gradplan.ops.math import maximum
from gradplan.ops.reduce import reduce_max
from gradplan.ops.scatter import last_of_equals
from gradplan.ops.slicing import concat, where

__all__ = [
    "boolean_mask",
    "dynamic_partition",
    "dynamic_stitch",
    "listdiff",
    "setdiff1d",
    "unique",
    "unique_with_counts",
]

# ---- masks ---------------------------------------------------------------------------------------


def boolean_mask(tensor: Any, mask: Any, name: str = "boolean_mask", axis: Any = None) -> Tensor:
    """The elements or slices of ``tensor`` where ``mask`` holds.

    Parameters
    ----------
    tensor : tensor_like
    mask : tensor_like of bool
        Of the dimensions of ``tensor`` from ``axis`` on, of known rank.
    name : str, optional
    axis : int, optional
        Default: 0.

    Returns
    -------
    Tensor
        With one dimension in the place of those of the mask, as long as the mask has true elements.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the rank of one is not known.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.boolean_mask([[1, 2], [3, 4], [5, 6]], [True, False, True]))
    array([[1, 2],
           [5, 6]], dtype=int32)
    """
    graph = graph_of([tensor, mask])
    with graph.as_default(), graph.name_scope(name) as scope:
        x, mask = convert_to_tensor(tensor), convert_to_tensor(mask)
        if mask.dtype is not dtypes.bool:
            raise TypeError(at_user_line(f"boolean_mask: mask must be bool, not {mask.dtype.name}"))
        for t, what in ((x, "tensor"), (mask, "mask")):
            if t._shape is None:
                raise ValueError(at_user_line(f"boolean_mask needs a {what} of known rank: {t}"))
        assert x._shape is not None and mask._shape is not None
        rank, n = len(x._shape), len(mask._shape)
        at = 0 if axis is None else int(require_constant(axis, "axis"))
        at += rank if at < 0 else 0
        if n == 0:
            raise ValueError(at_user_line("boolean_mask: mask cannot be a scalar"))
        if not 0 <= at <= rank - n or shapes.merge(x._shape[at : at + n], mask._shape) is False:
            raise ValueError(
                at_user_line(
                    f"boolean_mask: mask {shapes.text(mask._shape)} does not fit tensor "
                    f"{shapes.text(x._shape)} from axis {axis or 0} on"
                )
            )
        x = entering(x, f"/{scope}Reshape_grad/Reshape")
        if n > 1:
            x = merge_dims(x, at, n)
        flat = reshape(mask, expand_dims(shape(x)[at], 0))  # which is an error if they differ
        # counted from the end, the axis gives a dense gradient, as TensorFlow's has it
        return gather(x, where(flat)[:, 0], axis=at - rank + n - 1)


# ---- sets ----------------------------------------------------------------------------------------


class Unique(NamedTuple):
    """The distinct elements, and where each element is among them."""

    y: Tensor
    idx: Tensor


class UniqueWithCounts(NamedTuple):
    """The distinct elements, where each element is among them, and how often each occurs."""

    y: Tensor
    idx: Tensor
    count: Tensor  # type: ignore[assignment]


class ListDiff(NamedTuple):
    """What is in the first list alone, and where it stands there."""

    out: Tensor
    idx: Tensor


def _vectors(in_shapes: Any) -> None:
    for s in in_shapes:
        if s is not None and len(s) != 1:
            raise ValueError(f"a vector is expected, not shape {shapes.text(s)}")
        if s is not None and s[0] is not None and s[0] >= 2**30:
            raise ValueError(f"{s[0]} elements are more than 2**30 - 1")


def _table(binder: Any, n: int) -> Any:
    """Scratch memory for a hash table of ``n`` entries."""
    return binder.scratch("table", dtypes.int32, (1 << (n + n // 2).bit_length(),))


@op(
    "UniqueWithCounts",
    CALL,
    kernel="unique",
    types="T -> T @out_idx @out_idx int64",
    T=VALUES,
    flops=10,
)
def _unique(x: Any, out_idx: Any = dtypes.int32, name: str | None = None) -> Any:
    """The distinct elements first of all, the place of each, counts, and how many are distinct.
    Behind the distinct elements is -1, if they are integers; behind their counts is anything."""


@_unique.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    _vectors(in_shapes)
    return [*[in_shapes[0] or (None,)] * 3, ()]


@_unique.lower
def _(binder: Any, op: Any) -> None:
    x = binder.contiguous(binder.view(op.inputs[0]))
    y, idx, n = (binder.result(op, i) for i in (0, 1, 3))
    counts = binder.result(op, 2) if binder.wanted(op, 2) else None
    binder.emit("unique", [y, idx, counts, n, _table(binder, x.size)], [x])


def padded_unique(x: Tensor) -> tuple[Tensor, Tensor]:
    """:func:`unique` of integers with -1 behind the distinct ones, so that the shape of what
    depends on them does not change from run to run."""
    y, idx, _, _ = _unique(x)
    return y, idx


def _index_type(out_idx: Any, function: str) -> Any:
    out = dtypes.as_dtype(out_idx)
    if not out.is_integer:
        raise TypeError(at_user_line(f"{function}: indices have an integer type, not {out.name}"))
    return out


def unique(x: Any, out_idx: Any = dtypes.int32, name: str | None = None) -> Unique:
    """The distinct elements of a vector, in the order in which they first occur.

    Parameters
    ----------
    x : tensor_like
        A vector. A NaN equals nothing, not even itself.
    out_idx : DType, optional
        int32 or int64. Default: int32.
    name : str, optional

    Returns
    -------
    y : Tensor
    idx : Tensor
        As long as ``x``: ``y[idx[i]] == x[i]``.

    Raises
    ------
    ValueError
        If ``x`` is no vector.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(list(gp.unique([4, 7, 4, 1])))
    [array([4, 7, 1], dtype=int32), array([0, 1, 0, 2], dtype=int32)]
    """
    return Unique(*_distinct(x, out_idx, name or "Unique", 2))


def unique_with_counts(
    x: Any, out_idx: Any = dtypes.int32, name: str | None = None
) -> UniqueWithCounts:
    """:func:`unique`, and how often each of the distinct elements occurs.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.unique_with_counts([4, 7, 4, 1]).count)
    array([2, 1, 1], dtype=int32)
    """
    return UniqueWithCounts(*_distinct(x, out_idx, name or "UniqueWithCounts", 3))


def _distinct(x: Any, out_idx: Any, name: str, results: int) -> list[Tensor]:
    graph = graph_of([x])
    with graph.as_default(), graph.name_scope(name) as scope:
        y, idx, counts, n = _unique(x, out_idx=_index_type(out_idx, "unique"))
        found = [take_first(y, n), idx] + ([take_first(counts, n)] if results == 3 else [])
        return identity_n(found, scope)


@op("ListDiff", CALL, kernel="list_diff", types="T T -> T @out_idx int64", T=VALUES, flops=10)
def _list_diff(x: Any, y: Any, out_idx: Any = dtypes.int32, name: str | None = None) -> Any:
    """What is left first of all, where it stands, and how much it is."""


@_list_diff.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    _vectors(in_shapes)
    return [*[in_shapes[0] or (None,)] * 2, ()]


@_list_diff.lower
def _(binder: Any, op: Any) -> None:
    x, y = (binder.contiguous(binder.view(t)) for t in op.inputs)
    outs = [binder.result(op, i) for i in range(3)]
    binder.emit("list_diff", [*outs, _table(binder, y.size)], [x, y])


def setdiff1d(x: Any, y: Any, index_dtype: Any = dtypes.int32, name: str | None = None) -> ListDiff:
    """The elements of ``x`` that are not in ``y``, in their order and as often as they occur.

    Parameters
    ----------
    x, y : tensor_like
        Vectors of one type.
    index_dtype : DType, optional
        int32 or int64. Default: int32.
    name : str, optional

    Returns
    -------
    out : Tensor
    idx : Tensor
        ``out[i] == x[idx[i]]``.

    Raises
    ------
    ValueError
        If one is no vector.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(list(gp.setdiff1d([1, 2, 3, 4], [2, 4])))
    [array([1, 3], dtype=int32), array([0, 2], dtype=int32)]
    """
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name or "ListDiff") as scope:
        out, idx, n = _list_diff(x, y, out_idx=_index_type(index_dtype, "setdiff1d"))
        return ListDiff(*identity_n([take_first(out, n), take_first(idx, n)], scope))


def listdiff(x: Any, y: Any, out_idx: Any = None, name: str | None = None) -> ListDiff:
    """Old name of :func:`setdiff1d`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.listdiff([1, 2, 3, 4], [2, 4]).out)
    array([1, 3], dtype=int32)
    """
    return setdiff1d(x, y, dtypes.int32 if out_idx is None else out_idx, name)


# ---- partitions and stitches ---------------------------------------------------------------------


@op(
    "DynamicPartition",
    CALL,
    kernel="partition",
    types="any I -> int64 int64",
    flops=0,
    fallible=True,
)
def _partition(data: Any, partitions: Any, num_partitions: int = 1, name: str | None = None) -> Any:
    """The rows of part 0, then those of part 1 and so on; and where each part begins."""


@_partition.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    data, parts = in_shapes
    if data is not None and parts is not None:
        if len(parts) > len(data) or shapes.merge(data[: len(parts)], parts) is False:
            raise ValueError(
                f"data {shapes.text(data)} must begin with the dimensions of partitions "
                f"{shapes.text(parts)}"
            )
    known = parts is not None and None not in parts
    return [(shapes.size(parts) if known else None,), (attrs["num_partitions"] + 1,)]


@_partition.lower
def _(binder: Any, op: Any) -> None:
    parts = binder.contiguous(binder.view(op.inputs[1]))
    outs = [binder.result(op, i) for i in (0, 1)]
    binder.emit("partition", outs, [parts.reshaped((parts.size,))])


@op("RowsBetween", VIEW, types="T I I -> T", T=dtypes.INTEGERS)
def _rows_between(x: Any, start: Any, stop: Any, name: str | None = None) -> Any:
    """Rows ``start`` to ``stop`` of ``x``, which a run computes; see :func:`take_first`."""


@_rows_between.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    start, stop = (scalar_argument(value(i), in_shapes[i], "a bound") for i in (1, 2))
    x = in_shapes[0]
    if x is None:
        return None
    if start is None or stop is None:
        return (None, *x[1:])
    if not 0 <= start <= stop or x[0] is not None and stop > x[0]:
        raise ValueError(f"rows {start} to {stop} of {shapes.text(x)} cannot be taken")
    return (stop - start, *x[1:])


@_rows_between.lower
def _(binder: Any, op: Any) -> None:
    start = int(binder.value(op.inputs[1]))
    length = binder.shape(op.outputs[0])[0]
    binder.alias(op, binder.view(op.inputs[0]).window(0, start, length))


def partition_rows(data: Any, partitions: Any, num_partitions: int) -> list[Tensor]:
    """The numbers of the rows of every part; ``data`` begins with the dimensions of
    ``partitions``."""
    order, bounds = _partition(data, partitions, num_partitions=num_partitions)
    return [_rows_between(order, bounds[p], bounds[p + 1]) for p in range(num_partitions)]


def dynamic_partition(
    data: Any, partitions: Any, num_partitions: int, name: str | None = None
) -> list[Tensor]:
    """The rows of ``data`` in ``num_partitions`` lists: each goes where ``partitions`` says.

    Parameters
    ----------
    data : tensor_like
    partitions : tensor_like of int32 or int64
        Of the first dimensions of ``data``, of known rank; in ``[0, num_partitions)``.
    num_partitions : int
    name : str, optional

    Returns
    -------
    list of Tensor
        The rows in their order.

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``num_partitions`` is not positive.
    InvalidArgumentError
        At run time, if a partition is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.dynamic_partition([10, 20, 30], [1, 0, 1], 2))
    [array([20], dtype=int32), array([10, 30], dtype=int32)]
    """
    n = int(require_constant(num_partitions, "num_partitions"))
    if n < 1:
        raise ValueError(at_user_line(f"dynamic_partition: num_partitions must be positive: {n}"))
    graph = graph_of([data, partitions])
    with graph.as_default(), graph.name_scope(name or "DynamicPartition") as scope:
        x, parts = convert_to_tensor(data), convert_to_tensor(partitions)
        x = entering(x, f"/{scope[:-1]}_grad/Reshape_1")
        rows = partition_rows(x, parts, n)
        if parts._shape is None or x._shape is None and len(parts._shape) != 1:
            raise ValueError(at_user_line("dynamic_partition needs inputs of known rank"))
        if not parts._shape:
            x = expand_dims(x, 0)
        else:
            x = merge_dims(x, 0, len(parts._shape))
        axis = -len(x._shape or ())  # which gives a dense gradient, as TensorFlow's has it
        return identity_n([gather(x, r, axis=axis) for r in rows], scope)


@op("DynamicStitch", CALL, kernel="scatter", types="I I T -> T", T=ALL, flops=0, fallible=True)
def stitch(size: Any, indices: Any, data: Any, name: str | None = None) -> Any:
    """``size`` rows: those of ``data`` where ``indices`` says, of equals the last; else 0."""


@stitch.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    size = scalar_argument(value(0), in_shapes[0], "size")
    indices, data = in_shapes[1:]
    if data is None or indices is None:
        return None
    if len(indices) != 1 or not data or shapes.merge(indices, data[:1]) is False:
        raise ValueError(f"{shapes.text(indices)} indices do not fit data {shapes.text(data)}")
    out = merged_shape((size,), data[1:])
    if None not in out:
        shapes.size(out)
    return out


@stitch.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    indices = binder.contiguous(binder.view(op.inputs[1]))
    emit_fill(binder, out, 0)
    dims = (1, out.dims[0], shapes.size(out.dims[1:]))
    indices = indices.reshaped((1, indices.size))
    emit_scatter(binder, out.reshaped(dims), indices, binder.view(op.inputs[2]), "set")


@stitch.gradient
def _(op: Any, dy: Any) -> Any:
    size, indices, _ = op.inputs
    seen = last_of_equals(expand_dims(indices, -1), expand_dims(size, 0))
    rows = gather(dy, indices)
    return None, None, where(seen, rows, zeros_like(rows))


def dynamic_stitch(indices: Sequence[Any], data: Sequence[Any], name: str | None = None) -> Tensor:
    """Rows of several tensors in one: ``result[indices[m][i..]] = data[m][i..]``.

    Parameters
    ----------
    indices : list of tensor_like of int32 or int64
        Of known rank. Of equal ones the last wins, of all lists.
    data : list of tensor_like
        Each begins with the dimensions of its indices; what follows is the same for all.
    name : str, optional

    Returns
    -------
    Tensor
        Of one row more than the largest index says; rows that no index names are 0.

    Raises
    ------
    ValueError
        If the lists are empty or differ in length, or the shapes do not fit.
    InvalidArgumentError
        At run time, if an index is negative.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.dynamic_stitch([[0, 2], [1]], [[10, 30], [20]]))
    array([10, 20, 30], dtype=int32)
    """
    if not len(indices) or len(indices) != len(data):
        raise ValueError(
            at_user_line(
                f"dynamic_stitch: {len(indices)} indices and {len(data)} data; there must be as "
                "many of both, and some"
            )
        )
    graph = graph_of([*indices, *data])
    with graph.as_default(), graph.name_scope(name or "DynamicStitch") as scope:
        flat, rows, known = [], [], []
        for k, (i, x) in enumerate(zip(indices, data, strict=True)):
            i = convert_to_tensor(i, dtypes.int32 if isinstance(i, list) and not i else None)
            x = convert_to_tensor(x)
            if i._shape is None or x._shape is None:
                raise ValueError(at_user_line("dynamic_stitch needs inputs of known rank"))
            n = len(i._shape)
            if n > len(x._shape) or shapes.merge(x._shape[:n], i._shape) is False:
                raise ValueError(
                    at_user_line(
                        f"dynamic_stitch: data {shapes.text(x._shape)} must begin with the "
                        f"dimensions of their indices {shapes.text(i._shape)}"
                    )
                )
            flat.append(reshape(i, [-1]))
            known.append(constant_value(i))
            x = entering(x, f"/{scope[:-1]}_grad/GatherV2{k and f'_{k}' or ''}")
            rows.append(merge_dims(x, 0, n) if n else expand_dims(x, 0))
        every = flat[0] if len(flat) == 1 else concat(flat, 0)
        ends = [i.max(initial=-1) for i in known if i is not None]
        if len(ends) == len(known):
            size: Tensor = constant(1 + max(ends), dtypes.int64)
        else:
            least = constant(-1, dtypes.int64)
            size = maximum(cast(reduce_max(every), dtypes.int64), least) + 1
        return apply(stitch.opdef, [size, every, concat(rows, 0)], {}, scope)
