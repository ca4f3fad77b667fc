"""Embeddings of sparse ids: the product of a sparse matrix of weights and the table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import dtypes
from gradplan.graph import Tensor, at_user_line
from gradplan.ops.array import expand_dims, identity, ones_like, reshape, shape, zeros_like
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.embedding import shards_of
from gradplan.ops.entries import entries_matmul, gather_entries, scatter_entries
from gradplan.ops.logic import equal, greater
from gradplan.ops.math import cast, floordiv, floormod, maximum, minimum, sqrt, square
from gradplan.ops.matrices import equal_shapes, merge_dims, number_of
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.slicing import concat, where
from gradplan.ops.sparse_tensor import SparseTensor, to_sparse

__all__ = ["embedding_lookup_sparse"]


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
    params : tensor_like of float, shape [vocabulary, ...], or list of them
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
    graph = ids.graph
    with graph.as_default(), graph.name_scope(name or "embedding_lookup_sparse") as scope:
        tables = [convert_to_tensor(p) for p in shards_of(params)]
        if not tables:
            raise ValueError(at_user_line("embedding_lookup_sparse: there is no table"))
        kind = tables[0].dtype
        if given is None:
            weights = ones_like(ids.values, kind)
        else:
            weights = equal_shapes(cast(given.values, kind), ids.values)
        numbers = cast(ids.values, dtypes.int64)
        out = None
        for part, mine in enumerate(_owned(numbers, tables, partition_strategy)):
            more = _sums(tables[part], ids, mine, weights, max_norm)
            out = more if out is None else out + more
        assert out is not None
        if combiner != "sum":
            rows, n = ids.indices[:, :1], ids.dense_shape[:1]
            squared = combiner == "sqrtn"
            total = scatter_entries(square(weights) if squared else weights, rows, n)
            total = sqrt(total) if squared else total
            count = scatter_entries(ones_like(weights), rows, n)
            one = constant(1, kind)
            out = out / expand_dims(where(equal(count, zeros_like(count)), one, total), -1)
        whole = tables[0]._shape
        if whole is not None and len(whole) == 2:
            out = identity(out, name=scope)
        else:
            size = cast(shape(tables[0]), dtypes.int64)
            out = reshape(out, concat([ids.dense_shape[:1], size[1:]], 0), name=scope)
        if whole is not None:
            first = ids.shape.as_list()[0] if ids.shape.ndims else None
            out.set_shape([first, *whole[1:]])
        return out


def _owned(numbers: Tensor, tables: Sequence[Tensor], strategy: str) -> list[Any]:
    """For each part which ids it holds, and their rows in it; None for all, if it is the only
    one."""
    k = len(tables)
    if k == 1:
        return [(None, numbers)]
    if strategy == "mod":
        owner, row = floormod(numbers, k), floordiv(numbers, k)
        return [(equal(owner, constant(p, dtypes.int64)), row) for p in range(k)]
    sizes = [cast(shape(t)[0], dtypes.int64) for t in tables]
    total = sum(sizes[1:], sizes[0])
    each, extra = floordiv(total, k), floormod(total, k)  # the first parts hold one more
    owner = maximum(floordiv(numbers, each + 1), floordiv(numbers - extra, maximum(each, 1)))
    owner = maximum(minimum(owner, k - 1), 0)  # an id beyond all is out of the last one's range
    return [
        (equal(owner, constant(p, dtypes.int64)), numbers - (each * p + minimum(extra, p)))
        for p in range(k)
    ]


def _sums(table: Tensor, ids: SparseTensor, mine: Any, weights: Tensor, max_norm: Any) -> Tensor:
    """The weighted sums of the rows of one part, [n, length]."""
    held, row = mine
    if held is not None:
        row = where(held, row, zeros_like(row))
        weights = where(held, weights, zeros_like(weights))
    flat = table
    if table._shape is None or len(table._shape) != 2:
        flat = merge_dims(table, (1, None))
    column = expand_dims(row, -1)
    if max_norm is not None:
        most = number_of(max_norm, table.dtype)
        squares = reduce_sum(square(gather_entries(flat, column)), 1)
        positive = greater(squares, zeros_like(squares))
        norm = sqrt(where(positive, squares, ones_like(squares)))  # no slope at 0
        norm = where(positive, norm, squares)
        weights = weights * most / maximum(norm, most)
    places = concat([ids.indices[:, :1], column], 1)
    size = concat([ids.dense_shape[:1], cast(shape(flat), dtypes.int64)[:1]], 0)
    return entries_matmul(places, weights, size, flat)
