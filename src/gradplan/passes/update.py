"""Update: a weight gradient is applied while it is computed, and never goes to memory.

Before::

    g = matmul(a, b)      w = apply_adam(w, m, v, ..., g)

After::

    w = MatMulApplyAdam(w, m, v, ..., a, b)

C computes some rows of the product and makes the optimizer's step with them while they are in
cache. Large products are still made apart.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from gradplan import _core
from gradplan.graph import Operation, Tensor
from gradplan.opdef import REGISTRY, STATE, OpDef
from gradplan.program import Program, is_pure, rebuild

#: The optimizers' steps that the kernel matmul_update can make, by their kernels, with its number
#: for each (csrc/optim.c).
STEPS = {"apply_gradient_descent": 0, "apply_momentum": 1, "apply_adam": 2}
#: The largest m k n for which the step rides on the product. Beyond, the product is faster with
#: copies of its factors, which every panel of an update would make anew. (Measured with two
#: threads at v3: 512 x 128 x 256 1.08 times faster than apart, 784 x 128 x 512 1.02 times, 1024 x
#: 512 x 2048 2 times slower.)
LARGEST = 1 << 26


@functools.cache
def _with_product(step: OpDef) -> OpDef:
    """The operation ``step`` with a product in the place of its gradient."""
    product, n, grad = REGISTRY["MatMul"], step.writes, step.inputs.index("grad")

    def shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
        assert product.shape is not None and step.shape is not None
        given = list(in_shapes[:-2])
        given.insert(grad, product.shape(attrs, in_shapes[-2:], value))
        return step.shape(attrs, given, value)

    def flops(attrs: dict[str, Any], in_shapes: Any) -> int:
        rows, columns = in_shapes[0]
        total: int = product.flops(attrs, in_shapes[-2:]) + rows * columns * step.flops
        return total

    def lower(binder: Any, op: Operation) -> None:
        outs = [binder.written(op, i) for i in range(n)]
        numbers = [binder.contiguous(binder.view(t)) for t in op.inputs[n:-2]]
        factors = []
        for view in binder.matrices(op.attrs, op.inputs[-2:]):
            # A factor that is one of the variables must be read before any of it is changed.
            changes = any(view.storage is out.storage for out in outs)
            factors.append(binder.copied(view) if changes else view)
        nesterov = [int(op.attrs["use_nesterov"])] if "use_nesterov" in op.attrs else []
        rows, depth = factors[0].dims
        if depth <= _core.SMALL_DEPTH and rows * depth * factors[1].dims[1] <= LARGEST:
            attrs = [STEPS[str(step.kernel)], *(nesterov or [0])]
            binder.emit("matmul_update", outs, [*factors, *numbers], attrs, updates=True)
        else:
            product = binder.scratch(op.name, outs[0].dtype, outs[0].dims)
            binder.emit("matmul", [product], factors)
            numbers.insert(grad - n, product)
            binder.emit(step.kernel, outs, numbers, nesterov, updates=True)

    opdef = OpDef(
        f"MatMul{step.name}",
        STATE,
        kernel="matmul_update",
        flops=flops,
        writes=n,
    )
    opdef.shape, opdef.lower = shape, lower
    return opdef


def run(program: Program) -> Program:
    """See the module's text."""
    consumers = program.consumers()
    pinned = program.pinned()
    kept = program.kept()
    products: dict[Operation, Operation] = {}  # for each step the product that it takes
    for op in program._ops:
        if op.opdef.kernel in STEPS and not op.control_inputs:
            grad = op.inputs[op.opdef.inputs.index("grad")]
            alone = len(consumers[grad]) == 1 and grad not in kept and grad.op not in pinned
            if alone and grad.op.type == "MatMul" and is_pure(grad.op) and len(op.outputs) == 1:
                products[op] = grad.op
    if not products:
        return program
    inside = set(products.values())

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        if op in inside:
            return op.outputs  # nobody but its step will look at it
        if op not in products:
            return None
        product = products[op]
        grad = op.opdef.inputs.index("grad")
        factors = [tensors[t] for t in product.inputs]
        made = out.make(
            _with_product(op.opdef),
            [*inputs[:grad], *inputs[grad + 1 :], *factors],
            {**op.attrs, **product.attrs},
            [(t.dtype, t._shape) for t in op.outputs],
            op,
        )
        return made.outputs

    return rebuild(program, visit)
