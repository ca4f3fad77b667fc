"""Embeddings of sparse ids: the product of a sparse matrix of weights and the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import NUMBERS
from gradplan.graph import Tensor, at_user_line
from gradplan.names import gradient_called
from gradplan.opdef import CALL, graph_of, op
from gradplan.ops.array import expand_dims, identity, ones_like, reshape, shape, zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.embedding import clipped, places_of, shards_of
from gradplan.ops.entries import entries_dots, scatter_entries
from gradplan.ops.gather import merged_shape, scalar_argument
from gradplan.ops.logic import equal
from gradplan.ops.math import sqrt, square
from gradplan.ops.matrices import equal_shapes, merge_dims
from gradplan.ops.ranges import range as sequence
from gradplan.ops.sizes import size
from gradplan.ops.slicing import concat, where
from gradplan.ops.sparse_tensor import to_sparse

__all__ = ["embedding_lookup_sparse"]


@op(
    "EmbeddingSums",
    CALL,
    kernel="sparse_matmul",
    types="T T I I bool -> T",
    T=NUMBERS,
    flops=lambda attrs, in_shapes: 2 * in_shapes[1][0] * shapes.size(in_shapes[0][1:]),
    fallible=True,
)
def row_sums(
    table: Any,
    weights: Any,
    places: Any,
    size: Any,
    held: Any,
    adjoint: Any = False,
    name: str | None = None,
) -> Any:
    """``size`` rows, to which for each (i, j) of ``places`` its weight times row j of the table is
    added at i; with ``adjoint``, row i at j.

    ``held`` says which of them count, a scalar that all do; the weights of the others must be 0.
    It makes no difference but to the gradient's IndexedSlices (indexed_slices.py).
    """


@row_sums.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    table, weights, places, size, _ = in_shapes
    if table == ():
        raise ValueError("the table must have at least one dimension")
    if places is not None and shapes.merge(places, (None, 2)) is False:
        raise ValueError(f"places must be pairs, but are {shapes.text(places)}")
    if places is not None and shapes.merge(weights, places[:1]) is False:
        raise ValueError(f"weights {shapes.text(weights)} of places {shapes.text(places)}")
    return merged_shape((scalar_argument(value(3), size, "size"),), table and table[1:])


@row_sums.lower
def _(binder: Any, op: Any) -> None:
    table, weights, places = [binder.contiguous(binder.view(t)) for t in op.inputs[:3]]
    out = binder.result(op)
    rows = [x.reshaped((x.dims[0], shapes.size(x.dims[1:]))) for x in (out, table)]
    binder.emit("sparse_matmul", rows[:1], [places, weights, rows[1]], [int(op.attrs["adjoint"])])


@row_sums.gradient
def _(op: Any, dy: Any) -> Any:
    table, weights, places, _, held = op.inputs
    turned = bool(op.attrs["adjoint"])
    rows = cast(shape(table), dtypes.int64)[0]
    dtable = row_sums(dy, weights, places, rows, held, adjoint=not turned)
    a, b = [_flat(x) for x in ((table, dy) if turned else (dy, table))]
    return dtable, entries_dots(places, a, b), None, None, None


def embedding_lookup_sparse(
    params: Any,
    sp_ids: Any,
    sp_weights: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    combiner: str | None = None,
    max_norm: Any = None,
) -> Tensor:
    """The weighted mean, or sum, of the embeddings of the ids in each row of a sparse matrix.

    Parameters
    ----------
    params : tensor_like of float, shape [vocabulary, ...], list of them, or PartitionedVariable
        The table; of a list, one of its parts each.
    sp_ids : SparseTensor of int32 or int64, shape [n, m]
        Its values are the ids.
    sp_weights : SparseTensor of float, or None
        A weight for each id, at the same indices. None: weights of 1.
    partition_strategy : str, optional
        Where id i lies in a list of k parts: "mod", row ``i // k`` of part ``i % k``, or "div",
        each part holds neighbouring ids. Default: "mod".
    name : str, optional
    combiner : str, optional
        "sum"; "mean", the sum by the sum of the weights; or "sqrtn", by the root of the sum of
        their squares. Default: "mean".
    max_norm : float, optional
        Embeddings of a larger norm are scaled down to it first.

    Returns
    -------
    Tensor, shape [n, ...]

    Raises
    ------
    ValueError
        If the combiner or strategy is unknown, or there is no table.
    TypeError
        If ids or weights are not sparse.
    InvalidArgumentError
        When run, if an id is out of range.

    Notes
    -----
    Rows without ids are 0. TensorFlow, which leaves out those after the last id, wants none.

    Examples
    --------
    >>> import gradplan as gp
    >>> ids = gp.SparseTensor([[0, 0], [0, 1], [1, 0]], [0, 2, 1], [2, 2])
    >>> table = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    >>> gp.Session().run(gp.nn.embedding_lookup_sparse(table, ids, None, combiner="sum"))
    array([[6., 8.],
           [3., 4.]], dtype=float32)
    """
    combiner = combiner or "mean"
    if combiner not in ("mean", "sqrtn", "sum"):
        raise ValueError(
            at_user_line(
                f"embedding_lookup_sparse: combiner must be one of 'mean', 'sqrtn' or 'sum', not "
                f"{combiner!r}"
            )
        )
    if partition_strategy not in ("mod", "div"):
        raise ValueError(
            at_user_line(
                "embedding_lookup_sparse: partition_strategy must be 'mod' or 'div', not "
                f"{partition_strategy!r}"
            )
        )
    ids = to_sparse(sp_ids, "sp_ids")
    given = None if sp_weights is None else to_sparse(sp_weights, "sp_weights")
    graph = graph_of([ids.values])
    with graph.as_default(), graph.name_scope(name or "embedding_lookup_sparse") as scope:
        tables = [convert_to_tensor(p) for p in shards_of(params)]
        if not tables:
            raise ValueError(at_user_line("embedding_lookup_sparse: there is no table"))
        kind = tables[0].dtype
        if given is None:
            weights = ones_like(ids.values, kind)
        else:
            weights = equal_shapes(cast(given.values, kind), ids.values)
            weights = reshape(weights, [-1], name="Reshape")
        numbers = cast(ids.values, dtypes.int64)
        owned = [(constant(True), numbers)]
        if len(tables) > 1:
            owner, row = places_of(numbers, tables, partition_strategy)
            parts = range(len(tables))
            owned = [(equal(owner, constant(p, dtypes.int64)), row) for p in parts]
        segments, lead = ids.indices[:, :1], ids.dense_shape[:1]
        if max_norm is None:
            sums = _sums(tables, owned, segments, lead[0], weights, scope)
        else:
            count = size(numbers, out_type=dtypes.int64)
            each = expand_dims(sequence(count), -1)
            rows = _sums(tables, owned, each, count, ones_like(weights), scope)
            rows = clipped(rows, max_norm, tables[0])
            sums = row_sums(rows, weights, concat([segments, each], 1), lead[0], constant(True))
        if combiner == "sum":
            out = identity(sums, name=scope)
        else:
            squared = combiner == "sqrtn"
            total = scatter_entries(square(weights) if squared else weights, segments, lead)
            total = sqrt(total) if squared else total
            count = scatter_entries(ones_like(weights), segments, lead)
            one = constant(1, kind)
            total = where(equal(count, zeros_like(count)), one, total)
            out = _flat(sums) / expand_dims(total, -1)
            out = reshape(out, shape(sums), name=scope)
        whole = tables[0]._shape
        if whole is not None:
            first = ids.shape.as_list()[0] if ids.shape.ndims else None
            out.set_shape([first, *whole[1:]])
        return out


def _sums(
    tables: Sequence[Tensor], owned: Any, segments: Tensor, n: Tensor, weights: Tensor, scope: str
) -> Tensor:
    """The weighted sums of the rows that the parts hold, [n, ...]; to TensorFlow they are lookups
    in ``scope``."""
    out = None
    for part, (held, row) in enumerate(owned):
        mine, lookup = weights, "embedding_lookup"
        if len(tables) > 1:
            row, mine = [where(held, x, zeros_like(x)) for x in (row, weights)]
            lookup += f"/GatherV2_{part}" if part else "/GatherV2"
        places = concat([segments, expand_dims(row, -1)], 1)
        more = row_sums(tables[part], mine, places, n, held)
        gradient_called(more, f"/{scope}{lookup}_grad/EmbeddingSums", None)
        out = more if out is None else out + more
    assert out is not None
    return out


def _flat(x: Tensor) -> Tensor:
    """The rows of a tensor as vectors."""
    return x if x._shape is not None and len(x._shape) == 2 else merge_dims(x, (1, None))
