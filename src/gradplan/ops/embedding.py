"""Rows of tables of parameters: embedding_lookup, which is ``gp.nn``'s."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import dtypes
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import graph_of
from gradplan.ops.array import identity, ones_like, reshape, shape
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.gather import gather, gather_rows
from gradplan.ops.logic import equal, greater, less
from gradplan.ops.math import divide, floordiv, floormod, maximum, sqrt
from gradplan.ops.partitioned import PartitionedVariable
from gradplan.ops.reduce import reduce_max, reduce_sum
from gradplan.ops.scatter import checked_index
from gradplan.ops.slicing import concat, where

__all__ = ["embedding_lookup"]


def embedding_lookup(
    params: Any,
    ids: Any,
    partition_strategy: str = "mod",
    name: str | None = None,
    validate_indices: bool = True,
    max_norm: Any = None,
) -> Tensor:
    """The rows of a table at ``ids``.

    Parameters
    ----------
    params : tensor_like, Variable, or a list of them
        A table, or the shards of one.
    ids : tensor_like of int32 or int64
    partition_strategy : {"mod", "div"}, optional
        How rows are spread over n shards: row i lies in shard ``i % n``; or the rows follow each
        other, and the first shards have one more where n does not divide their number.
    name : str, optional
    validate_indices : bool, optional
        Accepted; they always are.
    max_norm : float, optional
        Rows whose Euclidean norm is larger are scaled down to it.

    Returns
    -------
    Tensor
        Of shape ``ids.shape + params.shape[1:]``.

    Raises
    ------
    ValueError
        If there is no table, or ``partition_strategy`` is none.
    InvalidArgumentError
        At run time, if an id is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.embedding_lookup([[1.0, 2.0], [3.0, 4.0]], [[1], [0]]))
    array([[[3., 4.]],
    <BLANKLINE>
           [[1., 2.]]], dtype=float32)
    """
    shards = shards_of(params)
    if not shards:
        raise ValueError(at_user_line("embedding_lookup: need at least one param"))
    if partition_strategy not in ("mod", "div"):
        raise ValueError(
            at_user_line(
                f"embedding_lookup: partition_strategy must be 'mod' or 'div', not "
                f"{partition_strategy!r}"
            )
        )
    graph = graph_of([*shards, ids])
    with graph.as_default(), graph.name_scope(name or "embedding_lookup") as scope:
        ids = convert_to_tensor(ids)
        tables = [convert_to_tensor(v) for v in shards]
        if len(tables) == 1:
            rows = gather(tables[0], ids, name=scope)
            if max_norm is not None:
                rows = clipped(rows, max_norm, tables[0])
            return identity(rows)
        rows = _from_shards(tables, ids, partition_strategy)
        return rows if max_norm is None else clipped(rows, max_norm, tables[0])


def shards_of(params: Any) -> list[Any]:
    """The shards of a table; nested lists of numbers are one table."""
    shards = list(params) if isinstance(params, (list, tuple, PartitionedVariable)) else [params]
    numbers = bool(shards) and all(isinstance(v, (int, float, list, tuple)) for v in shards)
    return [params] if numbers else shards


def _from_shards(tables: list[Tensor], ids: Tensor, strategy: str) -> Tensor:
    """The rows at ``ids``: of each table those that it holds, and zeros. Which hold how many only
    a run finds, but no shape depends on it."""
    owner, row = places_of(reshape(ids, [-1]), tables, strategy)
    none = -ones_like(row)
    parts = [
        gather_rows(t, where(equal(owner, constant(p, dtypes.int64)), row, none), 0, drop=True)
        for p, t in enumerate(tables)
    ]
    rows = parts[0]
    for more in parts[1:]:
        rows = rows + more
    return reshape(rows, concat([shape(ids), shape(tables[0])[1:]], 0), name="Reshape_1")


def places_of(ids: Tensor, tables: Sequence[Tensor], strategy: str) -> tuple[Tensor, Tensor]:
    """In which of the tables every id is, and in which row of it, as int64."""
    n = constant(len(tables), dtypes.int64)
    sizes = [cast(shape(t)[0], dtypes.int64) for t in tables]
    if strategy == "mod":
        ids = checked_index(ids, reduce_max(sizes) * n)
        return floormod(ids, n), floordiv(ids, n)
    total = reduce_sum(sizes)
    ids = checked_index(ids, total)
    # the first `extras` tables have one row more than the others
    each, extras = maximum(floordiv(total, n), 1), floormod(total, n)
    owner = maximum(floordiv(ids, each + 1), floordiv(ids - extras, each))
    longer = less(owner, extras)
    return owner, where(longer, floormod(ids, each + 1), floormod(ids - extras, each))


def clipped(rows: Tensor, max_norm: Any, table: Tensor) -> Tensor:
    """Rows of at most that norm."""
    if table._shape is None:
        raise ValueError(
            at_user_line(f"embedding_lookup: max_norm needs params of known rank, not {table}")
        )
    most = convert_to_tensor(max_norm, rows.dtype)
    axes = list(range(1 - len(table._shape), 0))
    total = reduce_sum(rows * rows, axes, keepdims=True) if axes else rows * rows
    positive = greater(total, constant(0, rows.dtype))
    safe = where(positive, total, constant(1, rows.dtype))  # the root has a slope there
    norm = where(positive, sqrt(safe), total)
    return divide(rows * most, maximum(norm, most), name="clip_by_norm")
