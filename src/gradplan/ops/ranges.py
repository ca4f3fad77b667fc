"""Sequences of numbers, and masks made of them."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import VIEW, apply, graph_of, op
from gradplan.ops.array import broadcast_to, expand_dims, reshape
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor, has_tensor, to_array
from gradplan.ops.logic import equal, less
from gradplan.ops.math import maximum
from gradplan.ops.reduce import reduce_max
from gradplan.ops.slicing import concat, stack, where

__all__ = ["eye", "lin_space", "linspace", "range", "sequence_mask"]


#: A range of up to so many elements is a part of the plan; a longer one the run makes.
_SHORT = 1024
_COUNTED = (dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64)


@op("Range", VIEW, T=dtypes.NUMBERS)
def _range(start: Any, limit: Any, delta: Any, least: Any = 0, name: str | None = None) -> Any:
    """``start + i * delta`` up to ``limit``; see :func:`range`. ``least``: so many at least."""


def _length(start: Any, limit: Any, delta: Any) -> int:
    if not delta:
        raise ValueError("delta must not be 0")
    if start > limit if delta > 0 else start < limit:
        raise ValueError(
            f"start {start} must not be {'above' if delta > 0 else 'below'} limit {limit} for "
            f"delta {delta}"
        )
    if isinstance(start, np.integer):
        return -((int(start) - int(limit)) // int(delta))
    with np.errstate(all="ignore"):
        n = np.ceil(np.abs((limit - start) / delta))
    if not n <= shapes.MAX_SIZE:
        raise ValueError(f"from {start} to {limit} by {delta} is no finite sequence")
    return int(n)


@_range.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    for s in in_shapes:
        if s is not None and s != ():
            raise ValueError(f"start, limit and delta must be scalars, not {shapes.text(s)}")
    given = [value(i) for i in builtins.range(3)]
    if any(v is None for v in given):
        return (None,)
    n = _length(*[v[()] for v in given])
    if n < attrs["least"]:
        raise ValueError(f"there must be {attrs['least']} at least, not {n}")
    shapes.size((n,))
    return (n,)


@_range.lower
def _(binder: Any, op: Any) -> None:
    start, _, delta = [binder.value(t)[()] for t in op.inputs]
    (n,), dtype = binder.shape(op.outputs[0]), op.outputs[0].dtype
    wide = np.int64 if isinstance(start, np.integer) else np.float64
    ends = np.array([start, delta], wide)
    if n > _SHORT and dtype in _COUNTED:
        binder.emit("range", [binder.result(op)], [], ends.view(np.int64).tolist())
    else:
        values = ends[0] + np.arange(n) * ends[1]
        binder.alias(op, binder.constant(op.name, dtype, values))


def range(
    start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str = "range"
) -> Tensor:
    """The numbers ``start``, ``start + delta``, ... below ``limit`` (above, for a negative delta).

    Parameters
    ----------
    start : scalar tensor_like of numbers
        Default, where only one is given: that is the limit, and this is 0.
    limit : scalar tensor_like
        Not itself part of it.
    delta : scalar tensor_like, optional
        Default: 1.
    dtype : DType, optional
        Default: the widest of the three in the order int32, int64, float32, float64.
    name : str, optional

    Returns
    -------
    Tensor, a vector
        The plan is bound for the values of the three; a short one is a part of it.

    Raises
    ------
    ValueError
        If ``delta`` is 0, or ``limit`` lies on the wrong side of ``start``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.range(3, 18, 5))
    array([ 3,  8, 13], dtype=int32)
    """
    if limit is None:
        start, limit = 0, start
    given = [start, limit, delta]
    if dtype is None:
        kinds = [_kind(v) for v in given]
        order = [dtypes.int32, dtypes.int64, dtypes.float32, dtypes.float64]
        wrong = next((k for k in kinds if k not in order), None)
        if wrong is not None:
            raise TypeError(at_user_line(f"Range '{name}': there is none of type {wrong.name}"))
        dtype = order[max(order.index(k) for k in kinds)]
    wanted, graph = dtypes.as_dtype(dtype), graph_of(given)
    with graph.as_default(), graph.name_scope(name or "Range") as scope:
        ends = [_of_type(v, wanted, n) for v, n in zip(given, _range.opdef.inputs, strict=True)]
        return apply(_range.opdef, ends, {"least": 0}, scope)


def _kind(value: Any) -> dtypes.DType:
    if has_tensor(value):
        return convert_to_tensor(value).dtype
    return to_array(value)[1]


def _of_type(value: Any, dtype: dtypes.DType, name: str) -> Tensor:
    if has_tensor(value):
        return cast(convert_to_tensor(value), dtype)
    return constant(value, dtype, name=name)


def linspace(start: Any, stop: Any, num: Any, name: str | None = None) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, both included, with even distances.

    Parameters
    ----------
    start, stop : scalar tensor_like of float32 or float64
    num : scalar tensor_like of int32 or int64
        1 gives ``start`` alone.
    name : str, optional

    Raises
    ------
    ValueError
        If ``num`` is below 1.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.linspace(0.0, 1.0, 5))
    array([0.  , 0.25, 0.5 , 0.75, 1.  ], dtype=float32)
    """
    graph = graph_of([start, stop, num])
    with graph.as_default(), graph.name_scope(name or "LinSpace") as scope:
        first = convert_to_tensor(start, name="start")
        last = convert_to_tensor(stop, first.dtype, "stop")
        if not first.dtype.is_floating:
            raise TypeError(at_user_line(f"linspace: start and stop must be floats, not {first}"))
        for t in (first, last):
            if t._shape not in (None, ()):
                raise ValueError(at_user_line(f"linspace: start and stop must be scalars, not {t}"))
        first, last = [reshape(t, np.zeros(0, np.int32)) for t in (first, last)]
        n = convert_to_tensor(num, name="num")
        zero, one = [constant(k, n.dtype) for k in (0, 1)]
        i = apply(_range.opdef, [zero, n, one], {"least": 1}, "Range")
        steps = cast(maximum(n - one, one), first.dtype)
        even = first + (last - first) / steps * cast(i, first.dtype)
        ends = equal(i, n - one)
        return where(ends & (i > zero), last, even, name=scope)


lin_space = linspace


def eye(
    num_rows: Any,
    num_columns: Any = None,
    batch_shape: Any = None,
    dtype: Any = dtypes.float32,
    name: str | None = None,
) -> Tensor:
    """The identity matrix, or a batch of them.

    Parameters
    ----------
    num_rows, num_columns : scalar tensor_like of int32 or int64
        Default: as many columns as rows.
    batch_shape : tensor_like of int32 or int64, optional
        Leading dimensions.
    dtype : DType, optional
        Default: float32.
    name : str, optional

    Raises
    ------
    ValueError
        If a size is negative.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.eye(2, 3))
    array([[1., 0., 0.],
           [0., 1., 0.]], dtype=float32)
    """
    columns = num_rows if num_columns is None else num_columns
    for n in (num_rows, columns):
        if not has_tensor(n) and n < 0:
            raise ValueError(at_user_line(f"eye: {n} is negative"))
    graph = graph_of([num_rows, columns, batch_shape])
    last = "diag" if num_rows == columns else "set_diag"  # as TensorFlow makes it
    with graph.as_default(), graph.name_scope(name or "eye"):
        equals = equal(expand_dims(range(num_rows), 1), range(columns))
        if batch_shape is None or not len_or_one(batch_shape):
            return cast(equals, dtype, name=last)
        batch = convert_to_tensor(batch_shape)
        sizes = stack([cast(convert_to_tensor(n), batch.dtype) for n in (num_rows, columns)])
        return broadcast_to(cast(equals, dtype), concat([batch, sizes], 0), name=last)


def len_or_one(value: Any) -> int:
    """The length of a list; a tensor counts as one."""
    return len(value) if isinstance(value, (list, tuple)) else 1


def sequence_mask(
    lengths: Any, maxlen: Any = None, dtype: Any = dtypes.bool, name: str | None = None
) -> Tensor:
    """Which steps each sequence has: ``mask[..., j] = j < lengths[...]``.

    Parameters
    ----------
    lengths : tensor_like of int32 or int64
    maxlen : scalar tensor_like of the same type, optional
        The last dimension's size. Default: the largest length, which the run finds.
    dtype : DType, optional
        Default: bool.
    name : str, optional

    Raises
    ------
    ValueError
        If ``maxlen`` is no scalar.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sequence_mask([1, 3, 2], 4, gp.int32))
    array([[1, 0, 0, 0],
           [1, 1, 1, 0],
           [1, 1, 0, 0]], dtype=int32)
    """
    graph = graph_of([lengths, maxlen])
    with graph.as_default(), graph.name_scope(name or "SequenceMask"):
        lengths = convert_to_tensor(lengths)
        if not lengths.dtype.is_integer:
            raise TypeError(at_user_line(f"sequence_mask: lengths must be integers, not {lengths}"))
        zero, one = [constant(k, lengths.dtype) for k in (0, 1)]
        if maxlen is None:
            limit = maximum(reduce_max(lengths), zero)
        else:
            limit = convert_to_tensor(maxlen, None if has_tensor(maxlen) else lengths.dtype)
            limit = cast(limit, lengths.dtype)
            if limit._shape not in (None, ()):
                raise ValueError(at_user_line(f"sequence_mask: maxlen must be a scalar: {limit}"))
        steps = apply(_range.opdef, [zero, limit, one], {"least": 0}, "Range")
        mask = less(steps, expand_dims(lengths, -1))
        return cast(mask, dtypes.as_dtype(dtype), name="Cast_1")
