"""How the operations of ``ops/`` work on a whole batch, where their kind does not tell it.

The rules of ``vectorize.py`` for reshaping, joining and products. They stand here together, and not
under the declarations, since each is made of operations from several of these modules. An operation
made elsewhere says it by its own ``.batch``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradplan.ops.array import (
    broadcast_to,
    reshape,
    shape,
    sum_to_shape,
    transpose,
)
from gradplan.ops.linalg import matmul
from gradplan.ops.seeds import of_shape
from gradplan.ops.slicing import concat

Rule = Callable[[Any, Any], Any]

#: By the type of the operation.
RULES: dict[str, Rule] = {}


def _rule(*types: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for name in types:
            RULES[name] = rule
        return rule

    return register


def _of_first(*types: str) -> Callable[[Rule], Rule]:
    """The rule where the first input alone is batched; others are shapes and counts."""

    def register(rule: Rule) -> Rule:
        return _rule(*types)(lambda op, b: None if any(b.batched[1:]) else rule(op, b))

    return register


def _of_one(*types: str) -> Callable[[Rule], Rule]:
    """The rule where there is one input; an axis that is an input itself is left to each row."""

    def register(rule: Rule) -> Rule:
        return _rule(*types)(lambda op, b: rule(op, b) if len(op.inputs) == 1 else None)

    return register


def _later(axis: int) -> int:
    """The axis after a new first dimension."""
    return axis + 1 if axis >= 0 else axis


# ---- looks at a buffer ---------------------------------------------------------------------------


@_of_first("Reshape")
def _(op: Any, b: Any) -> Any:
    return reshape(b.inputs[0], b.shape(op.inputs[1]))


@_of_first("OfShape")
def _(op: Any, b: Any) -> Any:
    return of_shape(b.inputs[0], b.shape(op.inputs[1]))


@_of_first("BroadcastTo")
def _(op: Any, b: Any) -> Any:
    return broadcast_to(b.aligned(0, b.rank(op.outputs[0])), b.shape(op.inputs[1]))


@_of_first("SumToShape")
def _(op: Any, b: Any) -> Any:
    target = op.inputs[1]
    fewer = b.rank(op.inputs[0]) - b.rank(op.outputs[0])
    out = sum_to_shape(b.inputs[0], b.shape(target, ones=fewer))
    return reshape(out, b.shape(target)) if fewer else out


@_of_one("ExpandDims")
def _(op: Any, b: Any) -> Any:
    return b.apply(axis=tuple(map(_later, op.attrs["axis"])))


@_of_one("Transpose")
def _(op: Any, b: Any) -> Any:
    rank = b.rank(op.inputs[0])
    perm = op.attrs["perm"]
    perm = range(rank)[::-1] if perm is None else perm
    return b.apply(perm=(0, *[1 + p % rank for p in perm]))


@_of_first("StridedSlice")
def _(op: Any, b: Any) -> Any:
    return b.apply(key=((None, None, None), *op.attrs["key"]))


@_of_first("StridedSliceGrad")
def _(op: Any, b: Any) -> Any:
    key = ((None, None, None), *op.attrs["key"])
    return b.apply([b.inputs[0], b.shape(op.inputs[1]), *op.inputs[2:]], key=key)


@_rule("ConditionOfRows")
def _(op: Any, b: Any) -> Any:
    if b.batched[0]:
        return None
    out = op.outputs[0]  # of the other input it takes the rank alone
    return broadcast_to(out, b.shape(shape(out)))


def _rows_first(x: Any, rank: int) -> Any:
    """The first two dimensions exchanged."""
    return transpose(x, (1, 0, *range(2, rank + 1)))


@_of_first("TakeFirst")
def _(op: Any, b: Any) -> Any:
    rank = b.rank(op.inputs[0])
    return _rows_first(b.apply([_rows_first(b.inputs[0], rank), op.inputs[1]]), rank)


@_of_first("PadRows")
def _(op: Any, b: Any) -> Any:
    rank, target = b.rank(op.inputs[0]), b.shape(op.inputs[1])
    rows = [_rows_first(b.inputs[0], rank), concat([target[1:2], target[:1], target[2:]], 0)]
    return _rows_first(b.apply(rows), rank)


# ---- joining -------------------------------------------------------------------------------------


@_rule("ConcatV2")
def _(op: Any, b: Any) -> Any:
    parts = [b.full(i) for i in range(len(op.inputs))]
    return b.apply(parts, axis=_later(op.attrs["axis"]))


@_of_first("ConcatPart")
def _(op: Any, b: Any) -> Any:
    sizes = [b.shape(size) for size in op.inputs[1:]]
    return b.apply([b.inputs[0], *sizes], axis=_later(op.attrs["axis"]))


# ---- products --------------------------------------------------------------------------------


@_rule("MatMul")
def _(op: Any, b: Any) -> Any:
    """A batch of one factor is more rows, or columns, of it."""
    x, y = b.inputs
    tx, ty = op.attrs["transpose_a"], op.attrs["transpose_b"]
    if all(b.batched):
        return None
    if b.batched[0]:
        x = transpose(x, (0, 2, 1)) if tx else x
        return b.unfold(matmul(b.fold(x), y, transpose_b=ty))
    # (X Y)' = Y' X'
    y = y if ty else transpose(y, (0, 2, 1))
    product = matmul(b.fold(y), x, transpose_b=not tx)
    columns = shape(op.outputs[0])[:1]
    return transpose(reshape(product, concat([shape(y)[:2], columns], 0)), (0, 2, 1))
