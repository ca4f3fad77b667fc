"""Fold: what depends on constants alone is computed now, by the very kernels that would compute it
later.

Before::

    y = x * (sqrt(4.0) + 1.0)

After::

    y = x * 3.0
"""

from __future__ import annotations

from collections.abc import Sequence

from gradplan import bind, errors, shapes
from gradplan.graph import Operation, Tensor
from gradplan.opdef import REGISTRY, Kind
from gradplan.program import Program, is_pure, rebuild

#: Bytes up to which a folded result may be larger than what it is made from.
_LIMIT = 65536


def run(program: Program) -> Program:
    """See the module's text."""
    known: set[Tensor] = set()  # tensors whose value depends on constants alone
    for op in program._ops:
        if not op.inputs and op.opdef.static is not None or _foldable(op, known):
            known.update(op.outputs)
    # Of those, the ones that something else takes; the rest lies behind them.
    wanted = {
        t for op in program._ops if op.outputs and op.outputs[0] not in known for t in op.inputs
    }
    wanted.update(program.fetches)
    folded = [t for t in known if t in wanted and t.op.inputs and _worth_it(t)]
    folded.sort(key=lambda t: t.op.id)
    if not folded:
        return program
    try:
        values = dict(zip(folded, bind.evaluate(folded), strict=True))
    except (errors.OpError, ValueError):
        return program  # an integer divided by zero, say: the run itself reports it
    const = REGISTRY["Const"]

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        if not op.outputs or not all(t in values for t in op.outputs):
            return None
        made = []
        for t in op.outputs:
            attrs = {"value": values[t], "dtype": t.dtype}
            made.append(out.make(const, (), attrs, [(t.dtype, values[t].shape)], op).outputs[0])
        return made

    return rebuild(program, visit)


def _foldable(op: Operation, known: set[Tensor]) -> bool:
    return (
        is_pure(op)
        and bool(op.inputs)
        and op.opdef.kind is not Kind.STATE
        and "bodies" not in op.attrs  # a loop may take long, or never end
        and all(t in known for t in op.inputs)
    )


def _worth_it(t: Tensor) -> bool:
    """A view costs nothing as it is, and a large result would only make the plan large."""
    if t._shape is None or None in t._shape:
        return False
    size = shapes.size(t._shape) * t.dtype.size  # type: ignore[arg-type]
    return size <= _LIMIT and t.op.opdef.kind is not Kind.VIEW or size <= 64
