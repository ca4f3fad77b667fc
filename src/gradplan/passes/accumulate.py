"""Accumulate: products of which only the sum is taken are added up by one operation.

Before::

    p = matmul(a, b)      q = matmul(c, d)      r = matmul(e, f)      y = p + q      z = y + r

After::

    z = MatMulSum(a, b, c, d, e, f)

So the gradient of weights that the steps of a recurrent net share stays in the cache, and threads
meet once for many small products. The order of the sum stays what it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import _core
from gradplan.graph import Operation, Tensor
from gradplan.opdef import CALL, REGISTRY, OpDef
from gradplan.probe import probe
from gradplan.program import Program, is_pure, rebuild

#: Of fewer products the sum had better run with what comes after it.
LEAST = 4
MOST = (_core.MAX_ARGS - 1) // 2


def _pairs(attrs: dict[str, Any], items: Sequence[Any]) -> list[tuple[dict[str, Any], Any]]:
    """For every product its attributes and its two ``items``."""
    return list(zip(attrs["products"], zip(items[::2], items[1::2], strict=True), strict=True))


def _shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    rule: Any = REGISTRY["MatMul"].shape
    first, *rest = [rule(a, pair, value) for a, pair in _pairs(attrs, in_shapes)]
    if any(s != first for s in rest):
        raise ValueError("the products that are added up differ in shape")
    return first


def _flops(attrs: dict[str, Any], in_shapes: Any) -> int:
    flops: Any = REGISTRY["MatMul"].flops
    return sum(flops(a, pair) for a, pair in _pairs(attrs, in_shapes))


def _lower(binder: Any, op: Operation) -> None:
    factors = [v for a, ts in _pairs(op.attrs, op.inputs) for v in binder.matrices(a, ts)]
    binder.emit("matmul_sum", [binder.result(op)], factors)


MATMUL_SUM = OpDef(
    "MatMulSum",
    CALL,
    kernel="matmul_sum",
    flops=_flops,
)
MATMUL_SUM.shape = _shape
MATMUL_SUM.lower = _lower


def run(program: Program) -> Program:
    """See the module's text."""
    if sum(op.type == "MatMul" for op in program._ops) < LEAST:
        return program
    chains = _chains(program)
    if not chains:
        return program
    position = {op: i for i, op in enumerate(program._ops)}
    # the sum is made where the last of its products was
    last = {max([t.op for t in ts], key=position.__getitem__): op for op, ts in chains.items()}
    made: dict[Operation, Tensor] = {}

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        if op in chains:
            return [made[op]]
        if op in last:
            end = last[op]
            products = [t.op for t in chains[end]]
            factors = [tensors[t] for p in products for t in p.inputs]
            result = end.outputs[0]
            made[end] = out.make(
                MATMUL_SUM,
                factors,
                {"products": [p.attrs for p in products]},
                [(result.dtype, result._shape)],
                end,
            ).outputs[0]
        return None

    return rebuild(program, visit)


def _chains(program: Program) -> dict[Operation, list[Tensor]]:
    """Sums of products alone, each with these in its order; no sum is a part of another."""
    consumers, sizes = program.consumers(), probe(program)
    kept = program.kept()
    kept |= {t for op in program.pinned() for t in op.outputs}

    def is_own(t: Tensor) -> bool:
        """Whether nobody but the sum takes it."""
        return t not in kept and len(consumers[t]) == 1

    def is_product(t: Tensor) -> bool:
        return t.op.type == "MatMul" and is_pure(t.op) and t.dtype.is_floating and is_own(t)

    found: dict[Operation, list[Tensor]] = {}
    for op in program._ops:
        if op.type != "Add" or not is_pure(op):
            continue
        x, y = op.inputs
        if not is_product(y) or x is y or sizes.get(x) is None or sizes.get(x) != sizes.get(y):
            continue
        before = found.get(x.op, []) if is_own(x) else []
        if before and len(before) < MOST:
            found[op] = [*found.pop(x.op), y]
        elif is_product(x):
            found[op] = [x, y]
    return {op: products for op, products in found.items() if len(products) >= LEAST}
