"""Vectorize: what a part of a graph gives for every row of a batch, in one pass.

Before::

    seed --> mul(seed, w) --> matmul(., a) --> dx              for one seed

After::

    seeds [n, ...] --> mul(seeds, w) --> matmul(., a) --> dxs [n, ...]    for n of them

Every operation that depends on the seed is made again for a whole batch, along a new first
dimension; what does not depend on it is shared by all rows. An elementwise operation has its
operands' ranks aligned, a reduction its axes shifted; what else there is says how by
``OpDef.batch``. An operation that does not say is made once for every row, which is right for
all of them but needs the number of rows while the graph is built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradplan import shapes, stages
from gradplan.graph import Operation, Tensor
from gradplan.known import constant_value
from gradplan.opdef import HOST, MAP, REDUCE, STATE, VIEW, OpDef, apply
from gradplan.ops import batching
from gradplan.ops.array import broadcast_to, expand_dims, reshape, shape, zeros
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant
from gradplan.ops.slicing import concat


class _UnknownRank(Exception):
    pass


class Batch:
    """What the rule of an operation works with.

    Attributes
    ----------
    inputs : list of Tensor
        What stands for the operation's inputs.
    batched : list of bool
        Which of them have the batch as a new first dimension.
    size : int or None
        The number of rows, if it is known.
    """

    def __init__(
        self,
        op: Operation,
        new: dict[Tensor, Tensor],
        seeds: Tensor,
        repeated: dict[Tensor, Tensor] | None = None,
    ) -> None:
        self.op = op
        self.inputs = [new.get(t, t) for t in op.inputs]
        self.batched = [t in new for t in op.inputs]
        self.seeds = seeds
        self._repeated = {} if repeated is None else repeated
        self.size = None if seeds._shape is None else seeds._shape[0]

    def rank(self, t: Tensor) -> int:
        """The rank of a tensor of the original graph; where it is unknown, the operation is made
        for every row."""
        if t._shape is None:
            raise _UnknownRank
        return len(t._shape)

    def shape(self, target: Tensor, ones: int = 0) -> Tensor:
        """The shape ``[batch, 1 (so many times), *target]``, of the vector ``target``."""
        known = constant_value(target)
        if known is not None and self.size is not None:
            return constant(np.array([self.size, *[1] * ones, *known.ravel()], target.dtype.np))
        rows = cast(shape(self.seeds)[:1], target.dtype)
        return concat([rows, constant(np.ones(ones, target.dtype.np)), target], 0)

    def full(self, i: int) -> Tensor:
        """Input ``i``, for every row the same if it is not batched; that costs no memory."""
        x = self.inputs[i]
        return x if self.batched[i] else self.repeat(x)

    def repeat(self, x: Tensor) -> Tensor:
        """What is the same for every row; once for all that take it, so that what flows back to
        it is added up before it is summed over the rows."""
        if x not in self._repeated:
            self._repeated[x] = broadcast_to(x, self.shape(shape(x)))
        return self._repeated[x]

    def aligned(self, i: int, rank: int) -> Tensor:
        """Input ``i``; if it is batched, with dimensions of size 1 after the batch, up to
        ``rank``."""
        more = rank - self.rank(self.op.inputs[i])
        if not self.batched[i] or not more:
            return self.inputs[i]
        return expand_dims(self.inputs[i], tuple(range(1, 1 + more)))

    def fold(self, x: Tensor) -> Tensor:
        """``x``, of shape ``[batch, n, ...]``, as ``[batch * n, ...]``: for what works row by
        row."""
        if x._shape is not None and None not in x._shape:
            rows, n, *rest = x._shape
            return reshape(x, [rows * n, *rest])  # type: ignore[operator]
        dims = shape(x)
        return reshape(x, concat([dims[:1] * dims[1:2], dims[2:]], 0))

    def unfold(self, y: Tensor) -> Tensor:
        """The inverse of :meth:`fold`, for the operation's result."""
        return reshape(y, self.shape(shape(self.op.outputs[0])))

    def apply(self, inputs: Sequence[Tensor] | None = None, **attrs: Any) -> Any:
        """The operation itself on other inputs (by default those of the batch), and with other
        attributes."""
        made = apply(
            self.op.opdef,
            self.inputs if inputs is None else list(inputs),
            {**self.op.attrs, **attrs} if attrs else self.op.attrs,
        )
        first = made if isinstance(made, Tensor) else made[0]
        first.op.gradient_type = self.op.gradient_type
        return made


def vectorize(results: Sequence[Tensor | None], seed: Tensor, seeds: Tensor) -> list[Tensor | None]:
    """The results for each of many seeds.

    Parameters
    ----------
    results : sequence of Tensor or None
    seed : Tensor
        What they depend on.
    seeds : Tensor
        What to put in its place: many of its kind, along a new first dimension.

    Returns
    -------
    list of Tensor or None
        Each with that first dimension; None for None.
    """
    new = {seed: seeds}
    repeated: dict[Tensor, Tensor] = {}
    path = _after(seed, results)
    if any(map(stages.is_stepped, path)):  # what these keep of their trips cannot be joined
        return _one_by_one(path, results, seed, seeds)
    for op in path:
        b = Batch(op, new, seeds, repeated)
        made = _batched(op, b)
        for t, out in zip(op.outputs, [made] if isinstance(made, Tensor) else made, strict=True):
            if t._shape is not None:  # what shapes that only a run knows have lost
                known = shapes.merge(out._shape, (b.size, *t._shape))
                assert known is not False, f"{op.type}: {out} is no batch of {t}"
                out._shape = known  # type: ignore[assignment]
            new[t] = out
    same = Batch(seed.op, {}, seeds, repeated).repeat
    return [None if t is None else new[t] if t in new else same(t) for t in results]


def _one_by_one(
    path: Sequence[Operation], results: Sequence[Tensor | None], seed: Tensor, seeds: Tensor
) -> list[Tensor | None]:
    """All of it again for every seed."""
    batch = Batch(seed.op, {}, seeds)
    count = batch.size
    if count is None:
        raise ValueError(
            f"{path[0]} has plans of its own, for which the number of gradients must be known "
            "while the graph is built: give the tensors a static shape"
        )
    rows: list[list[Tensor]] = [[] for _ in results]
    for k in range(count):
        new = {seed: seeds[k]}
        for op in path:
            made = Batch(op, new, seeds).apply()
            new.update(zip(op.outputs, [made] if isinstance(made, Tensor) else made, strict=True))
        for row, t in zip(rows, results, strict=True):
            if t is not None:
                row.append(expand_dims(new.get(t, t), 0))
    return [
        None if t is None else concat(row, 0) if row else batch.repeat(t)
        for row, t in zip(rows, results, strict=True)
    ]


def _after(seed: Tensor, results: Sequence[Tensor | None]) -> list[Operation]:
    """The operations between the seed and the results, in the order in which they were made."""
    above: set[Operation] = set()
    stack = [t.op for t in results if t is not None]
    while stack:
        op = stack.pop()
        if op not in above and op.id > seed.op.id:
            above.add(op)
            stack.extend([t.op for t in op.inputs])
    depends = {seed}
    path = []
    for op in sorted(above, key=lambda op: op.id):
        # What follows from the shape alone is the same for every row.
        if op.opdef.static is None and any([t in depends for t in op.inputs]):
            depends.update(op.outputs)
            path.append(op)
    return path


def _batched(op: Operation, b: Batch) -> Any:
    opdef = op.opdef
    rule = opdef.batch or batching.RULES.get(opdef.name)
    if opdef.kind is STATE or opdef.kind is HOST and rule is None:
        raise ValueError(f"{op} has an effect, and cannot be done for many gradients at once")
    try:
        made = _by_kind(op, opdef, b) if rule is None else rule(op, b)
    except _UnknownRank:
        made = None
    return _row_by_row(op, b) if made is None else made


def _by_kind(op: Operation, opdef: OpDef, b: Batch) -> Any:
    plain = opdef.shape is None
    if plain and (opdef.kind is MAP or opdef.kind is VIEW):
        if len(op.inputs) == 1:
            return b.apply()
        rank = max(b.rank(t) for t in op.inputs)
        # Of the full rank all are made alike: TanhGrad and others know no broadcasting backwards.
        return b.apply(
            [
                b.aligned(i, rank) if b.batched[i] or b.rank(t) < rank else b.full(i)
                for i, t in enumerate(op.inputs)
            ]
        )
    if opdef.kind is REDUCE and "axis" in op.attrs and len(op.inputs) == 1:
        return b.apply(axis=_shifted(op.attrs["axis"], op.inputs[0], b))
    return None


def _shifted(axes: Any, x: Tensor, b: Batch) -> tuple[int, ...]:
    if axes is None:
        return tuple(range(1, 1 + b.rank(x)))
    return tuple(a + 1 if a >= 0 else a for a in axes)


def _row_by_row(op: Operation, b: Batch) -> list[Tensor]:
    """Every row by itself: right for all operations."""
    if b.size is None:
        if any(t._shape is None for t in op.inputs):
            raise ValueError(
                f"{op} has no rule for a batch of tensors of unknown rank: give them a static shape"
            )
        raise ValueError(
            f"{op} has no rule for a batch whose size is not known while the graph is built "
            f"(inputs: {', '.join(map(str, op.inputs))}): give the tensors a static shape"
        )
    if not b.size:
        return [zeros(b.shape(shape(t)), t.dtype) for t in op.outputs]
    rows: list[list[Tensor]] = [[] for _ in op.outputs]
    for k in range(b.size):
        inputs = [x[k] if many else x for x, many in zip(b.inputs, b.batched, strict=True)]
        made = b.apply(inputs)
        for row, t in zip(rows, [made] if isinstance(made, Tensor) else made, strict=True):
            row.append(expand_dims(t, 0))
    return [concat(row, 0) for row in rows]
