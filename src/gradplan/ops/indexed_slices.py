"""IndexedSlices: some rows of a tensor that is zero elsewhere, as the gradient of a gather is."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

from gradplan import shapes
from gradplan.composite import register_session_run_conversion_functions
from gradplan.dtypes import DType, int64
from gradplan.graph import Graph, Operation, Tensor, at_user_line
from gradplan.known import constant_value, known_sizes
from gradplan.opdef import apply, graph_of, register_tensor_conversion_function
from gradplan.ops.array import ones_like, reshape, shape, zeros, zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.gather import gather, gather_grad
from gradplan.ops.logic import greater, logical_or
from gradplan.ops.math import maximum
from gradplan.ops.ranges import range as sequence
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.segment import unsorted_segment_sum
from gradplan.ops.sets import unique
from gradplan.ops.shaping import squeeze
from gradplan.ops.sizes import size
from gradplan.ops.slicing import concat, where
from gradplan.ops.sums import add_n
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
        self._origin: tuple[Tensor, Rows] | None = None  # of a gradient: it, and all that it adds
        self._drop = False  # whether a negative index is none, as optimizers may be told
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

    # What an optimizer may take instead of a gradient, since it is less work.

    @property
    def _dense(self) -> Tensor | None:
        """The same as a tensor, if it is there."""
        return None if self._origin is None else self._origin[0]

    @property
    def _names_all(self) -> bool:
        """Whether it has surely every row."""
        marked = None if self._origin is None else self._origin[1].marked
        return marked is not None and marked._shape == () and bool(constant_value(marked))

    @property
    def _taken(self) -> IndexedSlices:
        """The same with the rows as often as they were taken."""
        if self._origin is None or self._origin[1].marked is not None:
            return self
        return _as_they_are(self._origin[1])

    @property
    def _added(self) -> Tensor | IndexedSlices:
        """The same without rows that count though nothing is added to them."""
        if self._origin is None:
            return self
        grad, rows = self._origin
        return grad if rows.rest is not None else _as_they_are(rows)

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


class Rows(NamedTuple):
    """A tensor of which some rows alone count, by its parts: what gradients of rows that are taken
    are made of, and what goes through loops and conditionals of them.

    Attributes
    ----------
    values, indices : Tensor or None
        What is added to which rows.
    whole : Tensor
        The shape of the whole.
    drop : bool
        Whether a negative index is none.
    padded : bool
        Whether there are negative indices of zeros, where a branch that did not run takes rows.
    rest : Tensor or None
        More of the whole, of which the marked rows count.
    marked : Tensor of bool, shape [] or [rows], or None
        Which rows count whatever is added to them: a scalar marks all or none.
    """

    values: Tensor | None
    indices: Tensor | None
    whole: Tensor
    drop: bool = False
    padded: bool = False
    rest: Tensor | None = None
    marked: Tensor | None = None


def as_slices(grad: Tensor | None) -> Any:
    """A gradient as IndexedSlices, if it is that of rows alone that were taken; else itself.

    The dense sum of these rows, which nothing takes then, is never computed.
    """
    if grad is None or not is_of_rows(grad):
        return grad
    slices, name = _slices_of(grad), grad.op.name
    if name.endswith("/b_acc_3"):  # of a loop, for which TensorFlow adds up three tensors
        with grad.graph.name_scope(_scope(grad.op)):
            grad.graph.rename(slices.values.op, "b_acc_8")
    return slices


def _slices_of(grad: Tensor) -> IndexedSlices:
    with grad.graph.as_default():
        rows = rows_of(grad)
        if rows.marked is None:
            repeated = any([t.op.type == "EmbeddingSums" for t, _ in _terms(grad) or ()])
            if not (repeated or rows.drop):
                return IndexedSlices(*rows[:3])
            slices = IndexedSlices(*rows_of(grad, dropped=True, distinct=True)[:3])
            slices._origin = grad, rows
            return slices
        if rows.drop:
            rows = rows_of(grad, dropped=True)
        with grad.graph.name_scope(_scope(grad.op)):
            if rows.padded and rows.indices is not None:  # where that is so row 0 is marked too
                rows = rows._replace(indices=maximum(rows.indices, 0))
            slices = _with_marked(rows)
        slices._origin = grad, rows
        return slices


def _as_they_are(rows: Rows) -> IndexedSlices:
    """IndexedSlices for an optimizer, which may have negative indices."""
    slices = IndexedSlices(*rows[:3])
    slices._drop = rows.drop
    return slices


def _with_marked(rows: Rows) -> IndexedSlices:
    """IndexedSlices to which the marked rows are added, zeros if there is no rest of them."""
    whole, marked = rows.whole, rows.marked
    assert marked is not None
    if marked._shape == ():
        at = sequence(where(marked, whole[0], zeros_like(whole[0])))
    else:
        at = where(marked)[:, 0]
    if rows.rest is not None:
        more = gather(rows.rest, at)
    else:
        assert rows.values is not None
        more = zeros(concat([shape(at, out_type=whole.dtype), whole[1:]], 0), rows.values.dtype)
    if rows.values is None:
        return IndexedSlices(more, at, whole)
    indices = _of_one_type([rows.indices, at])
    return IndexedSlices(concat([rows.values, more], 0), concat(indices, 0), whole)


#: What elementwise operations do to rows they do to the whole, where the rest stays zero.
_ROW_BY_ROW = ("Neg", "Cast", "Identity")


def _marks(graph: Graph) -> dict[Tensor, tuple[Tensor, bool]]:
    """The gradients that have marked rows (:class:`Rows`), with what marks them, and whether the
    others are padded."""
    return graph.extras.setdefault("marked rows", {})


def is_of_rows(t: Tensor) -> bool:
    """Whether it is the sum of rows alone that were taken."""
    return _terms(t) is not None


def _terms(t: Tensor) -> list[tuple[Tensor, list[Operation]]] | None:
    """The terms of a sum of rows, each with what is done to it afterwards; None for what is no such
    sum, and for one that takes a sum twice, which may have more terms than can be told."""
    marks, found, sums = _marks(t.graph), [], set()
    stack: list[tuple[Tensor, list[Operation]]] = [(t, [])]
    while stack:
        x, later = stack.pop()
        while x.op.type in _ROW_BY_ROW and x not in marks:
            later = [*later, x.op]
            x = x.op.inputs[0]
        if x.op.type == "AddN" and x not in marks:
            if x in sums:
                return None
            sums.add(x)
            stack += [(y, later) for y in reversed(x.op.inputs)]
        elif x in marks or _adds_rows(x.op):
            found.append((x, later))
        else:
            return None
    return found


def _adds_rows(op: Operation) -> bool:
    if op.type == "EmbeddingSums":
        return bool(op.attrs["adjoint"])
    if op.attrs.get("batch_dims"):
        return False
    if op.type == "ScatterNd":
        where = op.inputs[0]._shape
        return where is not None and len(where) == 2 and where[1] == 1
    if op.type != "GatherGrad":
        return False
    axis = constant_value(op.inputs[3])
    return axis is not None and int(axis) == 0


def rows_of(t: Tensor, dropped: bool = False, distinct: bool = False) -> Rows:
    """The parts of what :func:`is_of_rows`; ``dropped`` leaves out those of negative indices, so
    that a run tells how many there are, and ``distinct`` adds up what one embedding of sparse ids
    gives to one row, as TensorFlow 1 does."""
    terms = _terms(t)
    assert terms is not None
    return merged([_rows(x, later, dropped, distinct) for x, later in terms], _scope(t.op))


def _rows(t: Tensor, later: Sequence[Operation], dropped: bool, distinct: bool) -> Rows:
    graph = t.graph
    marked, padded = _marks(graph).get(t, (None, False))
    with graph.as_default(), graph.name_scope(_scope(t.op)):
        if t.op.type != "GatherGrad" and marked is not None:
            rows = Rows(None, None, shape(t), rest=t, marked=marked)
        else:
            rows = _taken(t)
            rows = rows._replace(marked=marked, padded=padded, drop=rows.drop and not padded)
        if rows.drop and dropped:
            assert rows.indices is not None
            there = where(rows.indices >= 0)[:, 0]
            kept = gather(rows.values, there), gather(rows.indices, there)
            rows = rows._replace(values=kept[0], indices=kept[1], drop=False)
            graph.rename(kept[0].op, "Reshape")  # as TensorFlow calls a lookup's gradient
        if distinct and t.op.type == "EmbeddingSums":
            assert rows.values is not None
            found = unique(rows.indices)
            added = unsorted_segment_sum(rows.values, found.idx, size(found.y))
            graph.rename(added.op, "Reshape")
            rows = rows._replace(values=added, indices=found.y)
    for op in reversed(later):
        with graph.as_default(), graph.name_scope(_scope(op)):
            parts = rows.values, rows.rest
            values, rest = [None if x is None else apply(op.opdef, [x], op.attrs) for x in parts]
            rows = rows._replace(values=values, rest=rest)
    return rows


def merged(terms: Sequence[Rows], scope: str | None = None) -> Rows:
    """The sum of several."""
    if len(terms) == 1:
        return terms[0]
    graph = terms[0].whole.graph
    with graph.as_default(), graph.name_scope(scope):
        values = [r.values for r in terms if r.values is not None]
        indices = _of_one_type([r.indices for r in terms if r.indices is not None])
        rests = [r.rest for r in terms if r.rest is not None]
        marks = [r.marked for r in terms if r.marked is not None]
        return Rows(
            concat(values, 0) if len(values) > 1 else values[0] if values else None,
            concat(indices, 0) if len(indices) > 1 else indices[0] if indices else None,
            terms[0].whole,
            any([r.drop for r in terms]),
            any([r.padded for r in terms]),
            add_n(rests) if len(rests) > 1 else rests[0] if rests else None,
            functools.reduce(_either, marks) if marks else None,
        )


def _either(a: Tensor, b: Tensor) -> Tensor:
    """Their logical or, which is known where one of them marks all."""
    for x in (a, b):
        if x._shape == () and constant_value(x):
            return x
    return logical_or(a, b)


def whole_of(rows: Rows) -> Tensor:
    """The tensor itself, of which :func:`rows_of` finds these parts again."""
    terms = [] if rows.rest is None else [rows.rest]
    if rows.values is not None:
        drop = rows.drop or rows.padded
        terms.insert(0, gather_grad(rows.values, rows.indices, rows.whole, 0, drop=drop))
    if rows.marked is not None:
        _marks(rows.whole.graph)[terms[-1]] = rows.marked, rows.padded and not rows.drop
    return add_n(terms) if len(terms) > 1 else terms[0]


def marks_of(rows: Rows, like: Tensor) -> Tensor:
    """Which rows count, a bool for each as in ``like``."""
    marked = zeros_like(like) if rows.marked is None else logical_or(rows.marked, zeros_like(like))
    if rows.values is None:
        return marked
    ones = ones_like(rows.indices, "float32")
    times = gather_grad(ones, rows.indices, shape(like), 0, drop=rows.drop or rows.padded)
    return logical_or(marked, greater(times, zeros_like(times)))


def row_of_each(table: Tensor) -> Tensor:
    """A bool for each row of a table, false. Where the rank is known its shape follows from that of
    the table alone, as loops and conditionals want it."""
    dims = table._shape
    if dims is None:
        return zeros(shape(table)[:1], "bool")
    if dims[0] is not None:
        return zeros(dims[:1], "bool")
    return zeros_like(reduce_sum(table, list(range(1, len(dims)))), "bool")


def _of_one_type(indices: Sequence[Any]) -> list[Tensor]:
    if all([i.dtype is indices[0].dtype for i in indices]):
        return list(indices)
    return [cast(i, int64) for i in indices]


def _scope(op: Operation) -> str:
    """The name scope that an operation stands in."""
    return f"{op.name.rpartition('/')[0]}/"


def _taken(t: Tensor) -> Rows:
    """The rows that an operation adds up."""
    op = t.op
    if op.type == "ScatterNd":
        return Rows(op.inputs[1], squeeze(op.inputs[0], [-1]), op.inputs[2])
    if op.type == "EmbeddingSums":
        return _weighted(*op.inputs)
    dy, indices, whole = op.inputs[:3]
    values, indices = flat_rows(dy, indices, whole, t._shape)
    return Rows(values, indices, whole, op.attrs["drop"])


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


def _weighted(dy: Tensor, weights: Tensor, places: Tensor, n: Tensor, held: Tensor) -> Rows:
    """What sparse_embedding.py adds up: row i of ``dy`` by its weight for each (i, j) at j."""
    whole = concat([reshape(n, [1]), shape(dy, out_type=int64)[1:]], 0)
    if dy._shape is not None:
        weights = reshape(weights, [-1, *[1] * len(dy._shape[1:])])
    else:
        weights = reshape(weights, concat([[-1], ones_like(shape(dy)[1:])], 0))
    values, indices, drop = gather(dy, places[:, 0]) * weights, places[:, 1], held._shape != ()
    if drop:
        indices = where(held, indices, -ones_like(indices))
    return Rows(values, indices, whole, drop)


register_tensor_conversion_function(IndexedSlices, _dense)
register_session_run_conversion_functions(IndexedSlices, _fetch, _feed, _parts)
