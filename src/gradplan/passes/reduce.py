"""Reduce: a sum of everything closes the tile program that computes what it sums.

Before::

    t = Fused(x, y)      s = reduce_sum(t)

After::

    s = Fused(x, y)      t0 = sub(x, y); t0 = square(t0); s0 = sum(t0)

Where nobody else takes ``t``, it never goes to memory. A loss and the gradient of a single bias
run so. The sums have the bits of those they stand for: they are made of the same blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import _core, shapes
from gradplan.graph import Operation, Tensor
from gradplan.opdef import MAP, REDUCE
from gradplan.passes.fuse import FUSED, inputs_of, steps_of
from gradplan.probe import probe
from gradplan.program import Program, is_pure, rebuild
from gradplan.tiling import compile_steps

#: The kernels of sums, and whether they divide.
SUMS = {"reduce_sum": False, "reduce_mean": True}
#: The same elements in the same order.
RESHAPING = ("Reshape", "ExpandDims", "Squeeze")


def run(program: Program) -> Program:
    """See the module's text."""
    consumers = program.consumers()
    kept = program.kept()
    pinned = program.pinned()
    sizes = probe(program)
    closing: dict[Operation, list[Operation]] = {}  # for each group the sums that close it
    for op in program._ops:
        if op not in pinned and _sums_everything(op, sizes):
            producer = _summed(op).op
            if producer not in pinned and _is_group(producer):
                closing.setdefault(producer, []).append(op)
    closed: dict[Operation, tuple[list[Operation], list[Tensor], dict[str, Any]]] = {}
    for group, found in closing.items():
        found = found[: _core.MAX_SUMS]
        left = [t for t in group.outputs if t in kept or any(c not in found for c in consumers[t])]
        attrs = _attrs(group, found, left)
        if attrs is not None:
            closed[group] = found, left, attrs
    if not closed:
        return program
    made: dict[Tensor, Tensor] = {}

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        if op.outputs and op.outputs[0] in made:
            return [made[op.outputs[0]]]
        if op not in closed:
            return None
        found, left, attrs = closed[op]
        results = [*left, *[r.outputs[0] for r in found]]
        new = out.make(FUSED, inputs, attrs, [(t.dtype, t._shape) for t in results], op)
        made.update(zip(results, new.outputs, strict=True))
        return [made.get(t, t) for t in op.outputs]  # a result that is only summed is gone

    return rebuild(program, visit)


def _sums_everything(op: Operation, sizes: dict[Tensor, tuple[int, ...]]) -> bool:
    if op.opdef.kind is not REDUCE or op.opdef.kernel not in SUMS or not is_pure(op):
        return False
    result, static = op.outputs[0], op.outputs[0]._shape
    known = static is not None and None not in static and shapes.size(static) == 1  # type: ignore[arg-type]
    return known and result.dtype.is_floating and op.inputs[0] in sizes


def _summed(op: Operation) -> Tensor:
    """What a sum of everything sums, whatever shape it is given before."""
    t = op.inputs[0]
    while t.op.type in RESHAPING and is_pure(t.op):
        t = t.op.inputs[0]
    return t


def _is_group(op: Operation) -> bool:
    mapped = op.opdef.kind is MAP and (op.opdef is FUSED or op.opdef.kernel is not None)
    return mapped and is_pure(op)


def _attrs(
    group: Operation, found: Sequence[Operation], left: Sequence[Tensor]
) -> dict[str, Any] | None:
    """The group's attributes with these sums and what is left of its results; None if C cannot run
    that."""
    if group.opdef is FUSED:
        attrs = group.attrs
        members, taken = attrs["members"], attrs["taken"]
        step_of = dict(zip(group.outputs, attrs["results"], strict=True))
        flops, fallible = attrs["flops_per_element"], attrs["fallible"]
    else:
        members, taken = [group], inputs_of([group])
        step_of = {group.outputs[0]: 0}
        flops, fallible = group.opdef.flops, group.opdef.fallible
    if len(taken) + len(left) + 2 * len(found) > _core.MAX_ARGS:
        return None
    results = [step_of[t] for t in left]
    sums = [(step_of[_summed(r)], SUMS[str(r.opdef.kernel)]) for r in found]
    code = compile_steps(steps_of(members, taken), len(taken), results, sums)
    if code is None:
        return None
    return {
        "code": code,
        "results": results,
        "names": [*[members[i].name for i in results], *[r.name for r in found]],
        "sums": [r.outputs[0]._shape for r in found],
        "flops_per_element": flops,
        "fallible": fallible,
        "members": members,
        "taken": taken,
    }
