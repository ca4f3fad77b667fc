"""Epilogue: what is done to each element of a matrix product is done while its rows are in cache.

Before::

    p = matmul(a, b)      y = Fused(p, bias)      s = sum of y over its rows

After::

    y, s = MatMulMap(a, b, bias)

A layer's bias and activation run so, and backwards the activation's gradient with the sum for the
bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import _core, shapes
from gradplan.graph import Operation, Tensor
from gradplan.opdef import CALL, MAP, REGISTRY, OpDef
from gradplan.passes.fuse import FUSED, fused_shape, inputs_of, steps_of
from gradplan.probe import probe
from gradplan.program import Program, is_pure, rebuild
from gradplan.tiling import compile_steps


def _flops(attrs: dict[str, Any], in_shapes: Any) -> int:
    product = REGISTRY["MatMul"].flops(attrs, in_shapes[:2])
    (m, n) = _shape(attrs, in_shapes, None)[0]
    return product + m * n * attrs["flops_per_element"]


def _shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    out = fused_shape(attrs, in_shapes, value)
    return out if attrs["column_sums"] is None else [*out, attrs["column_sums"]]


def _lower(binder: Any, op: Operation) -> None:
    a, b = binder.matrices(op.attrs, op.inputs[:2])
    y = binder.result(op)
    sums = binder.result(op, 1) if op.attrs["column_sums"] is not None else None
    others = [binder.view(t).broadcast(y.dims) for t in op.inputs[2:]]
    binder.emit(
        "matmul_map",
        [y, sums and sums.reshaped((y.dims[1],))],
        [a, b, *others],
        op.attrs["code"],
        # The program calls the result 0, the product 1 and the other operands 2, 3 ...
        operands=[None, None, *range(2, 2 + len(others))],
    )


MATMUL_MAP = OpDef(
    "MatMulMap",
    CALL,
    out_types=("T", "T"),
    kernel="matmul_map",
    flops=_flops,
)
MATMUL_MAP.shape = _shape
MATMUL_MAP.lower = _lower


def run(program: Program) -> Program:
    """See the module's text."""
    consumers = program.consumers()
    pinned = program.pinned()
    kept = program.kept() | {t for op in pinned for t in op.outputs}
    sizes = probe(program)
    products: set[Operation] = set()  # they run inside the operation that takes their result
    maps: dict[Operation, Tensor] = {}  # such an operation, and the product that it takes
    sums: dict[Operation, Operation] = {}  # and the sum of its columns
    for op in program._ops:
        product = _product_for(op, consumers, kept, sizes)
        if product is not None and op not in pinned:
            products.add(product.op)
            maps[op] = product
            column_sum = next(
                (c for c in consumers[op.outputs[0]] if _sums_columns(c, sizes)), None
            )
            if column_sum is not None:
                sums[op] = column_sum
    if not maps:
        return program
    summed: dict[Operation, Tensor] = {}

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        if op in products:
            return op.outputs  # nobody but its map will look at it
        if op in summed:
            return [summed[op]]
        if op not in maps:
            return None
        made = _make(out, op, maps[op], sums.get(op), tensors)
        if op in sums:
            summed[sums[op]] = made.outputs[1]
        return made.outputs[:1]

    return rebuild(program, visit)


def _product_for(op: Operation, consumers: Any, kept: set[Tensor], sizes: Any) -> Tensor | None:
    """The product that ``op`` may take in: nobody else takes it, and the result has its size."""
    if op.opdef.kind is not MAP or not is_pure(op) or len(op.outputs) != 1:
        return None
    if len(op.inputs) + 3 > _core.MAX_ARGS:
        return None
    for t in op.inputs:
        if (
            t.op.type == "MatMul"
            and is_pure(t.op)
            and t.dtype.is_floating
            and op.outputs[0].dtype is t.dtype
            and t not in kept
            and len(consumers[t]) == op.inputs.count(t) == 1
            and t in sizes
            and sizes[t] == sizes.get(op.outputs[0])
        ):
            return t
    return None


def _sums_columns(op: Operation, sizes: Any) -> bool:
    """Whether the operation sums a matrix over its rows, to a vector of a size that is known."""
    if op.type != "SumToShape" or not is_pure(op) or op.outputs[0] not in sizes:
        return False
    static, x = op.outputs[0]._shape, sizes.get(op.inputs[0])
    if x is None or static is None or None in static or len(x) != 2 or x == static:
        return False
    return shapes.size(static) == x[1] and static[-1:] == x[1:]  # type: ignore[arg-type]


def _make(
    out: Program,
    op: Operation,
    product: Tensor,
    column_sum: Operation | None,
    tensors: dict[Tensor, Tensor],
) -> Operation:
    fused = op.opdef is FUSED
    members: list[Operation] = list(op.attrs["members"]) if fused else [op]
    taken: list[Tensor] = list(op.attrs["taken"]) if fused else inputs_of(members)
    # What stands for each tensor that the members take, in the program that is being rewritten.
    given = dict(zip(taken, op.inputs if fused else taken, strict=True))
    inner = next(t for t in taken if given[t] is product)
    others = [t for t in taken if t is not inner]
    steps = steps_of(members, [inner, *others])
    matmul = product.op
    result = op.outputs[0]
    outputs, names = [(result.dtype, result._shape)], [op.name]
    if column_sum is not None:
        outputs.append((result.dtype, column_sum.outputs[0]._shape))
        names.append(column_sum.name)
    attrs = {
        **matmul.attrs,
        "code": compile_steps(steps, 1 + len(others)),
        "results": [len(members)],
        "names": names,
        "sums": [],
        "flops_per_element": sum(m.opdef.flops for m in members),
        "fallible": any(m.opdef.fallible for m in members),
        "column_sums": None if column_sum is None else column_sum.outputs[0]._shape,
        "members": [_renamed(matmul, inner), *members],
        "taken": [*matmul.inputs, *others],
    }
    inputs = [tensors[t] for t in (*matmul.inputs, *[given[t] for t in others])]
    return out.make(MATMUL_MAP, inputs, attrs, outputs, op)


def _renamed(matmul: Operation, result: Tensor) -> Any:
    """The product as the first member: its result is the tensor that the other members know."""

    class Member:
        opdef, attrs, inputs, outputs = matmul.opdef, matmul.attrs, matmul.inputs, (result,)
        name, type, origin, made_at = matmul.name, matmul.type, matmul.origin, matmul.made_at

    return Member
