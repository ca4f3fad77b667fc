"""IndexedSlices: some rows of a tensor that is zero elsewhere, as the gradient of a gather is."""

from __future__ import annotations

from typing import Any, NamedTuple

from gradplan import shapes
from gradplan.composite import register_session_run_conversion_functions
from gradplan.dtypes import DType, int64
from gradplan.graph import Graph, Operation, Tensor, at_user_line
from gradplan.opdef import (
    apply,
    constant_value,
    graph_of,
    known_sizes,
    register_tensor_conversion_function,
)
from gradplan.ops.array import ones_like, reshape, shape
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.gather import gather
from gradplan.ops.math import cast
from gradplan.ops.segment import unsorted_segment_sum
from gradplan.ops.shaping import squeeze
from gradplan.ops.sizes import size
from gradplan.ops.slicing import concat, where
from gradplan.shapes import Shape, TensorShape

__all__ = ["IndexedSlices", "IndexedSlicesValue"]


class IndexedSlicesValue(NamedTuple):
    """The arrays of some :class:`IndexedSlices`: what a run gives for them.

    Attributes
    ----------
    values : array, shape [n, ...]
    indices : array, shape [n]
    dense_shape : array or None
    """

    values: Any
    indices: Any
    dense_shape: Any


class IndexedSlices:
    """Rows of a tensor that is zero elsewhere: ``dense[indices[i]] += values[i]``.

    Parameters
    ----------
    values : tensor_like, shape [n, ...]
    indices : tensor_like of int32 or int64, shape [n]
        Where one stands there twice, its rows are added.
    dense_shape : tensor_like, optional
        The shape of the whole tensor; needed where it is converted to a tensor.

    Raises
    ------
    ValueError
        If the numbers of values and indices are different.

    Notes
    -----
    It stands for a tensor wherever one is expected. Optimizers that are given it change these rows
    alone.

    Examples
    --------
    >>> import gradplan as gp
    >>> rows = gp.IndexedSlices([[1.0], [2.0], [3.0]], [0, 2, 0], dense_shape=[3, 1])
    >>> gp.Session().run(gp.convert_to_tensor(rows))
    array([[4.],
           [0.],
           [2.]], dtype=float32)
    """

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None) -> None:
        graph = graph_of([values, indices])
        with graph.as_default(), graph.name_scope("IndexedSlices"):
            self._values = convert_to_tensor(values, name="values")
            self._indices = convert_to_tensor(indices, name="indices")
            self._dense_shape = (
                None if dense_shape is None else convert_to_tensor(dense_shape, name="dense_shape")
            )
        v, i = self._values._shape, self._indices._shape
        if not self._indices.dtype.is_integer:
            raise TypeError(at_user_line(f"IndexedSlices: indices {self._indices} are no integers"))
        if v == () or (i is not None and len(i) != 1):
            raise ValueError(
                at_user_line(
                    f"IndexedSlices: values {shapes.text(v)} need rank 1 or more, indices "
                    f"{shapes.text(i)} rank 1"
                )
            )
        if v is not None and i is not None and shapes.merge(v[:1], i) is False:
            raise ValueError(
                at_user_line(f"IndexedSlices: {v[0]} values, but {i[0]} indices for them")
            )

    @property
    def values(self) -> Tensor:
        return self._values

    @property
    def indices(self) -> Tensor:
        return self._indices

    @property
    def dense_shape(self) -> Tensor | None:
        return self._dense_shape

    @property
    def shape(self) -> TensorShape:
        """What is known of the whole tensor's shape while the graph is built."""
        return TensorShape(None if self._dense_shape is None else known_sizes(self._dense_shape))

    @property
    def name(self) -> str:
        return self._values.name

    @property
    def op(self) -> Operation:
        return self._values.op

    @property
    def dtype(self) -> DType:
        return self._values.dtype

    @property
    def graph(self) -> Graph:
        return self._values.graph

    def with_values(self, values: Any) -> IndexedSlices:
        """Other values for the same rows."""
        return IndexedSlices(values, self._indices, self._dense_shape)

    def __neg__(self) -> IndexedSlices:
        return self.with_values(-self._values)

    def __repr__(self) -> str:
        return (
            f"IndexedSlices(indices={self._indices}, values={self._values}, "
            f"dense_shape={self._dense_shape})"
        )


def _dense(value: IndexedSlices, dtype: DType | None, name: str, graph: Graph) -> Tensor:
    if dtype is not None and value.dtype is not dtype:
        raise ValueError(
            f"Tensor conversion requested dtype {dtype.name} for IndexedSlices with dtype "
            f"{value.dtype.name}"
        )
    if value.dense_shape is None:
        raise ValueError(
            f"Tensor conversion requested for IndexedSlices without dense_shape: {value!r}"
        )
    if value.graph is not graph:
        raise ValueError(f"{value!r} must be from the same graph as the other inputs.")
    with graph.as_default():
        known = constant_value(value.dense_shape)
        rows = value.dense_shape[0] if known is None else int(known[0])
        own = None if name == "Const" else name  # which a constant would be called
        return unsorted_segment_sum(value.values, value.indices, rows, name=own)


def _fetch(value: IndexedSlices) -> Any:
    parts = [value.values, value.indices]
    if value.dense_shape is None:
        return parts, lambda got: IndexedSlicesValue(got[0], got[1], None)
    return [*parts, value.dense_shape], lambda got: IndexedSlicesValue(*got)


def _feed(key: IndexedSlices, value: Any) -> Any:
    return list(zip(_parts(key), value, strict=False))


def _parts(key: IndexedSlices) -> list[Tensor]:
    return [t for t in (key.values, key.indices, key.dense_shape) if t is not None]


def as_slices(grad: Tensor | None, counted: bool = False) -> Any:
    """A gradient as IndexedSlices, if it is that of rows alone that were taken; else itself.

    The dense sum of these rows, which nothing takes then, is never computed. With ``counted`` there
    have to be as many rows in every run: none is left out for its index.
    """
    if grad is None:
        return None
    terms = list(grad.op.inputs) if grad.op.type == "AddN" else [grad]
    if not all([_is_of_rows(t, counted) for t in terms]):
        return grad
    graph = grad.graph
    with graph.as_default():
        rows = [_rows(t, graph) for t in terms]
        if len(rows) == 1:
            return rows[0]
        indices = [r.indices for r in rows]
        if any([i.dtype is not indices[0].dtype for i in indices]):
            indices = [cast(i, int64) for i in indices]
        with graph.name_scope(f"{grad.op.name.rpartition('/')[0]}/"):
            values = concat([r.values for r in rows], 0)
            return IndexedSlices(values, concat(indices, 0), rows[0].dense_shape)


#: What elementwise operations do to rows they do to the whole, where the rest stays zero.
_ROW_BY_ROW = ("Neg", "Cast", "Identity")


def _is_of_rows(t: Tensor, counted: bool) -> bool:
    while t.op.type in _ROW_BY_ROW:
        t = t.op.inputs[0]
    op = t.op
    if op.type == "EmbeddingSums":
        return bool(op.attrs["adjoint"]) and not (counted and op.inputs[4]._shape != ())
    if op.attrs.get("batch_dims"):
        return False
    if op.type == "ScatterNd":
        where = op.inputs[0]._shape
        return where is not None and len(where) == 2 and where[1] == 1
    if op.type != "GatherGrad" or counted and op.attrs["drop"]:
        return False
    axis = constant_value(op.inputs[3])
    return axis is not None and int(axis) == 0


def _rows(t: Tensor, graph: Graph) -> IndexedSlices:
    later = []
    while t.op.type in _ROW_BY_ROW:
        later.append(t.op)
        t = t.op.inputs[0]
    taken = _taken(t, graph)
    for op in reversed(later):
        with graph.name_scope(f"{op.name.rpartition('/')[0]}/"):
            taken = taken.with_values(apply(op.opdef, [taken.values], op.attrs))
    return taken


def _taken(t: Tensor, graph: Graph) -> IndexedSlices:
    op = t.op
    with graph.name_scope(f"{op.name.rpartition('/')[0]}/"):
        if op.type == "ScatterNd":
            return IndexedSlices(op.inputs[1], squeeze(op.inputs[0], [-1]), op.inputs[2])
        if op.type == "EmbeddingSums":
            return _weighted(*op.inputs)
        dy, indices, whole = op.inputs[:3]
        values, indices = flat_rows(dy, indices, whole, t._shape)
        if op.attrs.get("drop"):
            there = where(indices >= 0)[:, 0]
            values, indices = gather(values, there), gather(indices, there)
        return IndexedSlices(values, indices, whole)


def flat_rows(
    dy: Tensor, indices: Tensor, whole: Tensor, static: Shape | None
) -> tuple[Tensor, Tensor]:
    """Rows at indices of any rank as one row for each of a vector of indices; ``whole`` is the
    shape of what they are rows of, and ``static`` what is known of it."""
    inner = None if static is None or None in static[1:] else static[1:]
    # -1 tells passes that a vector of indices changes nothing, but cannot be found beside a 0
    if inner is not None and 0 not in inner:
        values = reshape(dy, [-1, *inner])
    else:
        values = reshape(dy, concat([reshape(size(indices), [1]), whole[1:]], 0))
    return values, reshape(indices, [-1])


def _weighted(dy: Tensor, weights: Tensor, places: Tensor, n: Tensor, held: Tensor) -> Any:
    """What sparse_embedding.py adds up: row i of ``dy`` by its weight for each (i, j) at j."""
    if held._shape != ():
        there = where(held)[:, 0]
        weights, places = gather(weights, there), gather(places, there)
    whole = concat([reshape(n, [1]), shape(dy, out_type=int64)[1:]], 0)
    if dy._shape is not None:
        weights = reshape(weights, [-1, *[1] * len(dy._shape[1:])])
    else:
        weights = reshape(weights, concat([[-1], ones_like(shape(dy)[1:])], 0))
    return IndexedSlices(gather(dy, places[:, 0]) * weights, places[:, 1], whole)


register_tensor_conversion_function(IndexedSlices, _dense)
register_session_run_conversion_functions(IndexedSlices, _fetch, _feed, _parts)
