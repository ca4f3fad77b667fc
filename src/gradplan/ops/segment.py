"""Rows combined by segment: segment_sum and its kin."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import NUMBERS
from gradplan.graph import Tensor
from gradplan.names import named
from gradplan.opdef import CALL, graph_of, op
from gradplan.ops.array import (
    broadcast_to,
    entering,
    expand_dims,
    ones_like,
    reshape,
    shape,
    zeros_like,
)
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.gather import (
    FAILS,
    NEGATIVE_SKIPPED,
    emit_fill,
    emit_scatter,
    gather,
    gather_rows,
    merged_shape,
    scalar_argument,
)
from gradplan.ops.logic import equal
from gradplan.ops.math import abs, divide, floordiv, maximum, multiply, sign, sqrt
from gradplan.ops.slicing import concat, where

__all__ = [
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "sparse_segment_mean",
    "sparse_segment_sqrt_n",
    "sparse_segment_sum",
    "unsorted_segment_max",
    "unsorted_segment_mean",
    "unsorted_segment_min",
    "unsorted_segment_prod",
    "unsorted_segment_sqrt_n",
    "unsorted_segment_sum",
]

# ---- the operations ------------------------------------------------------------------------------


def _data_size(attrs: dict[str, Any], in_shapes: Any) -> int:
    return shapes.size(in_shapes[0])


def _segment_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    data, ids, of_count = in_shapes
    count = scalar_argument(value(2), of_count, "num_segments")
    if count is not None and count < 0:
        raise ValueError(f"num_segments {count} is negative")
    if data is None or ids is None:
        return None
    if len(ids) > len(data) or shapes.merge(data[: len(ids)], ids) is False:
        raise ValueError(
            f"data {shapes.text(data)} must begin with the dimensions of segment_ids "
            f"{shapes.text(ids)}"
        )
    out = merged_shape((count,), data[len(ids) :])
    if None not in out:
        shapes.size(out)
    return out


def _segment_op(name: str, how: str, empty: Any) -> Any:
    """Declare a segment operation; ``empty(dtype)`` is the value of a segment without rows."""
    unsorted = name.startswith("Unsorted")

    def combine(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any: ...

    combine.__name__ = combine.__qualname__ = f"_{name.lower()}"
    declared = op(
        name, CALL, kernel="scatter", types="T I I -> T", T=NUMBERS, flops=_data_size, fallible=True
    )(combine)
    declared.shape(_segment_shape)

    @declared.lower
    def _(binder: Any, op: Any) -> None:
        out, ids = binder.result(op), binder.contiguous(binder.view(op.inputs[1]))
        rows, inner = out.dims[0], shapes.size(out.dims[1:])
        emit_fill(binder, out, empty(out.dtype))
        emit_scatter(
            binder,
            out.reshaped((1, rows, inner)),
            ids.reshaped((1, ids.size)),
            binder.view(op.inputs[0]),
            how,
            NEGATIVE_SKIPPED if unsorted else FAILS,
            segments=not unsorted,
        )

    return declared


_unsorted_sum = _segment_op("UnsortedSegmentSum", "add", lambda dtype: 0)
_unsorted_prod = _segment_op("UnsortedSegmentProd", "mul", lambda dtype: 1)
_unsorted_min = _segment_op("UnsortedSegmentMin", "min", lambda dtype: dtype.max)
_unsorted_max = _segment_op("UnsortedSegmentMax", "max", lambda dtype: dtype.min)
# of segments that are sorted the first row is set, so that an empty one may have any value
_sorted_sum = _segment_op("SegmentSum", "add", lambda dtype: 0)
_sorted_prod = _segment_op("SegmentProd", "mul", lambda dtype: 1)
_sorted_min = _segment_op("SegmentMin", "min", lambda dtype: 0)
_sorted_max = _segment_op("SegmentMax", "max", lambda dtype: 0)


def _of_rows(op: Any, x: Any) -> Tensor:
    """What ``x`` has for its segment, for every row of the data; 0 where the row is dropped."""
    return gather_rows(x, op.inputs[1], 0, drop=op.type.startswith("Unsorted"))


@_unsorted_sum.gradient
@_sorted_sum.gradient
@named(lambda op: ("SelectV2" if op.type == "UnsortedSegmentSum" else "GatherV2",))
def _(op: Any, dy: Any) -> Any:
    return _of_rows(op, dy), None, None


@_unsorted_min.gradient
@_unsorted_max.gradient
@_sorted_min.gradient
@_sorted_max.gradient
@named(lambda op: ("SelectV2_2" if op.type.startswith("Unsorted") else "SelectV2",))
def _(op: Any, dy: Any) -> Any:
    data, ids, count = op.inputs
    chosen = cast(equal(data, _of_rows(op, op.outputs[0])), dy.dtype)
    shared = dy / maximum(_unsorted_sum(chosen, ids, count), constant(1, dy.dtype))
    return chosen * _of_rows(op, shared), None, None


@_unsorted_prod.gradient
@_sorted_prod.gradient
@named("mul")
def _(op: Any, dy: Any) -> Any:
    # The product of all others: through the division where nothing is 0; where one element is 0
    # it alone has a derivative, where two are none has.
    data, ids, count = op.inputs
    zero = equal(data, zeros_like(data))
    zeros = _unsorted_sum(cast(zero, dtypes.int32), ids, count)
    rest = where(zero, ones_like(data), data)
    others = _of_rows(op, dy * _unsorted_prod(rest, ids, count)) / rest
    seen = equal(_of_rows(op, zeros), cast(zero, dtypes.int32))
    return where(seen, others, zeros_like(data)), None, None


# ---- sorted segments -----------------------------------------------------------------------------


@op("SegmentCount", CALL, kernel="segment_count", types="I -> int64", flops=0, fallible=True)
def _segment_count(segment_ids: Any, name: str | None = None) -> Any:
    """One more than the last of sorted segment ids."""


@_segment_count.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    if in_shapes[0] is not None and len(in_shapes[0]) != 1:
        raise ValueError(f"segment_ids must be a vector, not {shapes.text(in_shapes[0])}")
    return ()


def _sorted(function: Any, data: Any, segment_ids: Any, name: str | None) -> Tensor:
    graph = graph_of([data, segment_ids])
    with graph.as_default(), graph.name_scope(name or function.opdef.name) as scope:
        ids = convert_to_tensor(segment_ids)
        return function(data, ids, _segment_count(ids), name=scope)


_SORTED_DOC = """

    Parameters
    ----------
    data : tensor_like
    segment_ids : tensor_like of int32 or int64
        A vector, as long as the first dimension of ``data``: sorted, and not negative. The result
        has one row more than the last of them says.
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        At run time, if the ids are not sorted or one is negative.
"""


def segment_sum(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """Sum of the rows of each segment: ``result[i] = sum(data[j] where segment_ids[j] == i)``; 0
    of none.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.segment_sum([[1, 2], [3, 4], [5, 6]], [0, 0, 2]))
    array([[4, 6],
           [0, 0],
           [5, 6]], dtype=int32)
    """
    return _sorted(_sorted_sum, data, segment_ids, name)


def segment_prod(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """Product of the rows of each segment; 1 of none.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.segment_prod([2, 3, 4], [0, 0, 1]))
    array([6, 4], dtype=int32)
    """
    return _sorted(_sorted_prod, data, segment_ids, name)


def segment_min(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """Smallest of the rows of each segment, element by element; 0 of none.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.segment_min([2, 3, 4], [0, 0, 1]))
    array([2, 4], dtype=int32)
    """
    return _sorted(_sorted_min, data, segment_ids, name)


def segment_max(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """Largest of the rows of each segment, element by element; 0 of none.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.segment_max([2, 3, 4], [0, 0, 1]))
    array([3, 4], dtype=int32)
    """
    return _sorted(_sorted_max, data, segment_ids, name)


def segment_mean(data: Any, segment_ids: Any, name: str | None = None) -> Tensor:
    """Mean of the rows of each segment; 0 of none. Integers divide towards zero.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.segment_mean([2.0, 3.0, 4.0], [0, 0, 1]))
    array([2.5, 4. ], dtype=float32)
    """
    graph = graph_of([data, segment_ids])
    with graph.as_default(), graph.name_scope(name or "SegmentMean") as scope:
        ids, data = convert_to_tensor(segment_ids), convert_to_tensor(data)
        count = _segment_count(ids)
        total = _sorted_sum(entering(data, f"/{scope[:-1]}_grad/GatherV2"), ids, count)
        return _shared(total, _rows_of_segments(data, ids, count), scope)


def _rows_of_segments(data: Tensor, ids: Tensor, count: Any) -> Tensor:
    """How many rows each segment has, at least 1, in a shape that broadcasts against the result."""
    one = constant(1, data.dtype)
    rows = _unsorted_sum(broadcast_to(one, shape(ids)), ids, count)
    rows = maximum(rows, one)
    if data._shape is not None and ids._shape is not None:
        more = len(data._shape) - len(ids._shape)
        return expand_dims(rows, [*range(-more, 0)]) if more else rows
    inner = shape(shape(data))[0] - shape(shape(ids))[0]
    ones = broadcast_to(constant([1]), expand_dims(inner, 0))
    return reshape(rows, concat([shape(rows), ones], 0))


def _shared(total: Tensor, rows: Tensor, name: str) -> Tensor:
    if total.dtype.is_floating:
        return divide(total, rows, name=name)
    return multiply(sign(total), floordiv(abs(total), rows), name=name)


# ---- unsorted segments ---------------------------------------------------------------------------

_UNSORTED_DOC = """

    Parameters
    ----------
    data : tensor_like
    segment_ids : tensor_like of int32 or int64
        Of the first dimensions of ``data``. Rows with a negative id are dropped.
    num_segments : tensor_like of int32 or int64
        A scalar: the rows of the result.
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``num_segments`` is negative.
    InvalidArgumentError
        At run time, if an id is not below ``num_segments``.
"""


def unsorted_segment_sum(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """Sum of the rows of each segment: ``result[i] = sum(data[j..] where segment_ids[j..] == i)``;
    0 of none.{doc}
    Notes
    -----
    Rows are added in their order, whatever the number of threads.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.unsorted_segment_sum([[1, 2], [3, 4], [5, 6]], [1, 0, 1], 2))
    array([[3, 4],
           [6, 8]], dtype=int32)
    """
    return _unsorted_sum(data, segment_ids, num_segments, name=name)


def unsorted_segment_prod(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """Product of the rows of each segment; 1 of none.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.unsorted_segment_prod([2, 3, 4], [1, 0, 1], 2))
    array([3, 8], dtype=int32)
    """
    return _unsorted_prod(data, segment_ids, num_segments, name=name)


def unsorted_segment_min(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """Smallest of the rows of each segment; of none, the type's largest value.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.unsorted_segment_min([2, 3, 4], [1, 0, 1], 2))
    array([3, 2], dtype=int32)
    """
    return _unsorted_min(data, segment_ids, num_segments, name=name)


def unsorted_segment_max(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """Largest of the rows of each segment; of none, the type's smallest value.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.unsorted_segment_max([2, 3, 4], [1, 0, 1], 2))
    array([3, 4], dtype=int32)
    """
    return _unsorted_max(data, segment_ids, num_segments, name=name)


def unsorted_segment_mean(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """Mean of the rows of each segment; 0 of none.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.unsorted_segment_mean([2.0, 3.0, 5.0], [1, 0, 1], 2))
    array([3. , 3.5], dtype=float32)
    """
    graph = graph_of([data, segment_ids, num_segments])
    with graph.as_default(), graph.name_scope(name or "UnsortedSegmentMean"):
        ids, data = convert_to_tensor(segment_ids), convert_to_tensor(data)
        rows = _rows_of_segments(data, ids, num_segments)
        return _shared(_unsorted_sum(data, ids, num_segments), rows, "truediv")


def unsorted_segment_sqrt_n(
    data: Any, segment_ids: Any, num_segments: Any, name: str | None = None
) -> Tensor:
    """Sum of the rows of each segment over the root of their number; 0 of none.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.unsorted_segment_sqrt_n([1.0, 2.0, 3.0, 4.0], [0, 0, 0, 0], 1))
    array([5.], dtype=float32)
    """
    graph = graph_of([data, segment_ids, num_segments])
    with graph.as_default(), graph.name_scope(name or "UnsortedSegmentSqrtN"):
        ids, data = convert_to_tensor(segment_ids), convert_to_tensor(data)
        rows = _rows_of_segments(data, ids, num_segments)
        return divide(_unsorted_sum(data, ids, num_segments), sqrt(rows), "truediv")


# ---- segments of chosen rows ---------------------------------------------------------------------

_SPARSE_DOC = """

    Parameters
    ----------
    data : tensor_like
    indices : tensor_like of int32 or int64
        A vector: the rows of ``data`` to take, in ``[0, data.shape[0])``.
    segment_ids : tensor_like of int32 or int64
        A vector, as long as ``indices``: sorted, and not negative.
    name : str, optional
    num_segments : tensor_like of int32 or int64, optional
        The rows of the result. Default: one more than the last of ``segment_ids``.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        At run time, if an index is out of range or the ids are not sorted.
"""


def _sparse(
    kind: str, root: Any, data: Any, indices: Any, segment_ids: Any, name: Any, num_segments: Any
) -> Tensor:
    """The sum of chosen rows, over ``root`` of their number in each segment."""
    graph = graph_of([data, indices, segment_ids, num_segments])
    with graph.as_default(), graph.name_scope(name or kind) as scope:
        data, ids = convert_to_tensor(data), convert_to_tensor(segment_ids)
        data = entering(data, f"/{scope[:-1]}_grad/{kind}Grad")
        # counted from the end, the axis gives a dense gradient, as TensorFlow's has it
        rank = None if data._shape is None else len(data._shape)
        rows = gather(data, indices, axis=-rank if rank else 0)
        count = _segment_count(ids)
        if num_segments is None:
            total = _sorted_sum(rows, ids, count, name=None if root else scope)
        else:
            with graph.control_dependencies([count.op]):  # it sees that the ids are sorted
                count = convert_to_tensor(num_segments)
                total = _unsorted_sum(rows, ids, count, name=None if root else scope)
        if root is None:
            return total
        return divide(total, root(_rows_of_segments(rows, ids, count)), scope)


def sparse_segment_sum(
    data: Any, indices: Any, segment_ids: Any, name: str | None = None, num_segments: Any = None
) -> Tensor:
    """:func:`segment_sum` of the rows of ``data`` at ``indices``.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sparse_segment_sum([1.0, 2.0, 4.0], [2, 0, 2], [0, 0, 1]))
    array([5., 4.], dtype=float32)
    """
    return _sparse("SparseSegmentSum", None, data, indices, segment_ids, name, num_segments)


def sparse_segment_mean(
    data: Any, indices: Any, segment_ids: Any, name: str | None = None, num_segments: Any = None
) -> Tensor:
    """:func:`segment_mean` of the rows of ``data`` at ``indices``; of floats.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sparse_segment_mean([1.0, 2.0, 4.0], [2, 0, 2], [0, 0, 1]))
    array([2.5, 4. ], dtype=float32)
    """
    kind = "SparseSegmentMean"
    return _sparse(kind, lambda n: n, data, indices, segment_ids, name, num_segments)


def sparse_segment_sqrt_n(
    data: Any, indices: Any, segment_ids: Any, name: str | None = None, num_segments: Any = None
) -> Tensor:
    """Sum of the rows of ``data`` at ``indices`` over the root of their number.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sparse_segment_sqrt_n([1.0, 2.0], [1, 1, 1, 1], [0, 0, 0, 0]))
    array([4.], dtype=float32)
    """
    return _sparse("SparseSegmentSqrtN", sqrt, data, indices, segment_ids, name, num_segments)


for _functions, _doc in (
    ((segment_sum, segment_prod, segment_min, segment_max, segment_mean), _SORTED_DOC),
    (
        (
            unsorted_segment_sum,
            unsorted_segment_prod,
            unsorted_segment_min,
            unsorted_segment_max,
            unsorted_segment_mean,
            unsorted_segment_sqrt_n,
        ),
        _UNSORTED_DOC,
    ),
    ((sparse_segment_sum, sparse_segment_mean, sparse_segment_sqrt_n), _SPARSE_DOC),
):
    for _function in _functions:
        _function.__doc__ = (_function.__doc__ or "").replace("{doc}", _doc)
