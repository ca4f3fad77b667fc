"""How the operations of ``ops/`` work on a whole batch, where their kind does not tell it.

The rules of ``vectorize.py`` for reshaping, joining and products. They stand here together, and not
under the declarations, since each is made of operations from several of these modules. An operation
made elsewhere says it by its own ``.batch``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradplan.known import constant_value
from gradplan.ops.array import (
    broadcast_to,
    identity_n,
    reshape,
    shape,
    sum_to_shape,
    transpose,
)
from gradplan.ops.constant import constant
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


@_rule("IdentityN")
def _(op: Any, b: Any) -> Any:
    return identity_n([b.full(i) for i in range(len(op.inputs))])


@_of_first("OfShape")
def _(op: Any, b: Any) -> Any:
    return of_shape(b.inputs[0], b.shape(op.inputs[1]))


@_of_first("BroadcastTo")
def _(op: Any, b: Any) -> Any:
    return broadcast_to(b.aligned(0, b.rank(op.outputs[0])), b.shape(op.inputs[1]))


@_rule("Fill")
def _(op: Any, b: Any) -> Any:
    if b.batched[0]:
        return None
    return broadcast_to(b.aligned(1, b.rank(op.outputs[0])), b.shape(op.inputs[0]))


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
        return matmul(x, y, tx, ty)
    if b.batched[0]:
        x = transpose(x, (0, 2, 1)) if tx else x
        return b.unfold(matmul(b.fold(x), y, transpose_b=ty))
    # (X Y)' = Y' X'
    y = y if ty else transpose(y, (0, 2, 1))
    product = matmul(b.fold(y), x, transpose_b=not tx)
    columns = shape(op.outputs[0])[:1]
    return transpose(reshape(product, concat([shape(y)[:2], columns], 0)), (0, 2, 1))


# ---- arrays --------------------------------------------------------------------------------------


def _before(first: Any, vector: Any) -> Any:
    """The vector, or the matrix, with an element or a row before it."""
    return concat([constant(np.array([first]), vector.dtype), vector], 0)


@_rule("MatrixDiag", "MatrixDiagPart", "MatrixSetDiag")
def _(op: Any, b: Any) -> Any:
    return b.apply([b.full(i) for i in range(len(op.inputs))])


@_rule("Pack")
def _(op: Any, b: Any) -> Any:
    return b.apply([b.full(i) for i in range(len(op.inputs))], axis=_later(op.attrs["axis"]))


@_of_first("Unpack", "Split", "SplitV")
def _(op: Any, b: Any) -> Any:
    axis = op.attrs["axis"]
    return None if axis is None else b.apply(axis=_later(axis))


@_of_one("ReverseV2", "Squeeze")
def _(op: Any, b: Any) -> Any:
    axes = op.attrs["axis"]
    if not axes:  # Squeeze: every dimension of size 1, but not the batch
        return reshape(b.inputs[0], b.shape(shape(op.outputs[0]))) if op.type == "Squeeze" else None
    return b.apply(axis=tuple(map(_later, axes)))


@_of_first("Roll")
def _(op: Any, b: Any) -> Any:
    axes = op.attrs["axis"]
    return b.apply(axis=tuple(map(_later, axes))) if len(op.inputs) == 2 else None


@_of_first("Slice")
def _(op: Any, b: Any) -> Any:
    begin, size = op.inputs[1:]
    return b.apply([b.inputs[0], _before(0, begin), _before(-1, size)])


@_of_first("SliceGrad")
def _(op: Any, b: Any) -> Any:
    target, begin = op.inputs[1:]
    return b.apply([b.inputs[0], b.shape(target), _before(0, begin)])


@_of_first("PadV2", "MirrorPad")
def _(op: Any, b: Any) -> Any:
    return b.apply([b.inputs[0], _before([0, 0], op.inputs[1]), *op.inputs[2:]])


@_of_first("MirrorPadGrad")
def _(op: Any, b: Any) -> Any:
    return b.apply([b.inputs[0], _before([0, 0], op.inputs[1]), b.shape(op.inputs[2])])


@_of_first("Tile")
def _(op: Any, b: Any) -> Any:
    return b.apply([b.inputs[0], _before(1, op.inputs[1])])


@_of_first("TileGrad")
def _(op: Any, b: Any) -> Any:
    return b.apply([b.inputs[0], _before(1, op.inputs[1]), b.shape(op.inputs[2])])


# ---- indices -------------------------------------------------------------------------------------


def _axis_later(op: Any, i: int) -> Any:
    """The axis in input ``i`` after a new first dimension; None if a run alone tells it."""
    known = constant_value(op.inputs[i])
    if known is None or op.attrs["batch_dims"]:
        return None
    return constant(np.asarray(_later(int(known)), known.dtype))


@_of_first("GatherV2")
def _(op: Any, b: Any) -> Any:
    axis = _axis_later(op, 2)
    return None if axis is None else b.apply([b.inputs[0], op.inputs[1], axis])


@_of_first("GatherGrad")
def _(op: Any, b: Any) -> Any:
    axis = _axis_later(op, 3)
    if axis is None:
        return None
    return b.apply([b.inputs[0], op.inputs[1], b.shape(op.inputs[2]), axis])


def _last(x: Any, rank: int) -> Any:
    """The first dimension put last."""
    return transpose(x, (*range(1, rank + 1), 0))


def _first(x: Any, rank: int) -> Any:
    return transpose(x, (rank, *range(rank)))


@_of_first("GatherNd")
def _(op: Any, b: Any) -> Any:
    if op.attrs["batch_dims"]:
        return None
    params = _last(b.inputs[0], b.rank(op.inputs[0]))
    return _first(b.apply([params, op.inputs[1]]), b.rank(op.outputs[0]))


@_rule("ScatterNd")
def _(op: Any, b: Any) -> Any:
    if op.attrs["batch_dims"] or b.batched[0] or b.batched[2]:
        return None
    updates = _last(b.inputs[1], b.rank(op.inputs[1]))
    target = b.shape(op.inputs[2])
    inputs = [op.inputs[0], updates, concat([target[1:], target[:1]], 0)]
    return _first(b.apply(inputs), b.rank(op.outputs[0]))


@_rule("BatchMatMulV2")
def _(op: Any, b: Any) -> Any:
    rank = max(map(b.rank, op.inputs))
    return b.apply([b.aligned(i, rank) for i in (0, 1)])


# ---- images: each by itself ----------------------------------------------------------------------


@_of_first("Conv2D", "Conv3D", "DepthwiseConv2dNative", "AvgPool", "AvgPool3D")
def _(op: Any, b: Any) -> Any:
    return b.unfold(b.apply([b.fold(b.inputs[0]), *op.inputs[1:]]))


@_rule("MaxPoolGrad", "MaxPoolGradGrad", "MaxPool3DGrad", "MaxPool3DGradGrad")
def _(op: Any, b: Any) -> Any:
    return b.unfold(b.apply([b.fold(b.full(i)) for i in range(3)]))


@_rule(
    "Conv2DBackpropInput",
    "Conv3DBackpropInputV2",
    "DepthwiseConv2dNativeBackpropInput",
    "AvgPoolGrad",
    "AvgPool3DGrad",
)
def _(op: Any, b: Any) -> Any:
    *sizes_and_filter, dy = b.inputs
    if any(b.batched[:-1]):
        return None
    sizes = b.shape(op.inputs[0])
    folded = concat([sizes[:1] * sizes[1:2], sizes[2:]], 0)
    return b.unfold(b.apply([folded, *sizes_and_filter[1:], b.fold(dy)]))
