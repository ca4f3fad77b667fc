"""Fuse: a chain of elementwise operations becomes one operation that runs as one tile program.

Before::

    a = x * w      b = a + c      y = relu(b)

After::

    y = Fused(x, w, c)      t0 = mul(x, w); t0 = add(t0, c); y = relu(t0)

A group has one result, and takes in an operation only when all that it feeds lies inside. Its
shape is then the broadcast of all its inputs whatever the sizes turn out to be, so the pass need
not know them; an operation that is known to be smaller than the result stays outside, since inside
it would be computed over and over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import _core, shapes
from gradplan.graph import Operation, Tensor
from gradplan.opdef import MAP, OpDef, broadcast_all, infer_shapes
from gradplan.program import Program, is_pure, rebuild
from gradplan.tile import Step, compile_steps

#: Steps in one group; beyond it a chain is cut, and its parts still run from cache.
MAX_STEPS = 32

FUSED = OpDef(
    "Fused",
    MAP,
    inputs=(),
    attrs={},
    in_types=("any*",),
    out_types=("T",),
    type_set=(),
    kernel=None,
    flops=lambda attrs, in_shapes: attrs["flops_per_element"] * max(map(shapes.size, in_shapes)),
    writes=0,
    fallible=False,
)


def _fused_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    """The broadcast of all inputs; members with a rule of their own are asked one by one."""
    if all(m.opdef.shape is None for m in attrs["members"]):
        return broadcast_all(in_shapes)
    shape_of = dict(zip(attrs["taken"], in_shapes, strict=True))
    for m in attrs["members"]:
        given = [shape_of[t] for t in m.inputs]
        shape_of[m.outputs[0]] = infer_shapes(m.opdef, m.attrs, given, value)[0]
    return shape_of[m.outputs[0]]


def _lower_fused(binder: Any, op: Operation) -> None:
    binder.tile(binder.result(op), [binder.view(t) for t in op.inputs], op.attrs["code"])


FUSED.shape = _fused_shape
FUSED.lower = _lower_fused


class _Group:
    """Operations to be fused: the root first, in reverse order; and what they take from outside."""

    def __init__(self, root: Operation) -> None:
        self.root = root
        self.members = [root]
        self.outside = set(root.inputs)

    def join(self, op: Operation) -> bool:
        outside = (self.outside - set(op.outputs)) | set(op.inputs)
        if len(self.members) == MAX_STEPS or len(outside) >= _core.MAX_ARGS:
            return False
        if len(self.members) >= _core.MAX_TEMPS:  # fewer steps cannot need more registers than that
            inputs = _ordered_inputs([op, *self.members[::-1]])
            if compile_steps(_steps([op, *self.members[::-1]], inputs), len(inputs)) is None:
                return False
        self.members.append(op)
        self.outside = outside
        return True


def run(program: Program) -> Program:
    """See the module's text."""
    groups: dict[Operation, _Group] = {}
    consumers = program.consumers()
    kept = {t for t in program.fetches} | {t for op in program.targets for t in op.outputs}
    pinned = {c for op in program._ops for c in op.control_inputs}
    for op in reversed(program._ops):
        if op.opdef.kind is not MAP or not is_pure(op) or op.opdef.kernel is None:
            continue
        result = op.outputs[0]
        users = {groups.get(user) for user in consumers[result]}
        group = users.pop() if len(users) == 1 else None
        if (
            group is None
            or result in kept
            or op in pinned
            or not _as_large(result, group.root.outputs[0])
            or not group.join(op)
        ):
            group = _Group(op)
        groups[op] = group
    fused = {g.root: g for g in groups.values() if len(g.members) > 1}
    if not fused:
        return program
    inside = {op for g in fused.values() for op in g.members} - set(fused)
    mapped: dict[Tensor, Tensor] = {}

    def visit(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Sequence[Tensor] | None:
        mapped.update(zip(op.inputs, inputs, strict=True))
        if op in inside:
            return op.outputs  # nobody but the group will look at these
        if op not in fused:
            return None
        members = fused[op].members[::-1]
        taken = _ordered_inputs(members)
        steps = _steps(members, taken)
        attrs = {
            "steps": steps,
            "code": compile_steps(steps, len(taken)),
            "flops_per_element": sum(m.opdef.flops for m in members),
            "fallible": any(m.opdef.fallible for m in members),
            "members": members,  # for errors, which name the operation that the user wrote
            "taken": taken,
        }
        result = op.outputs[0]
        return out.make(
            FUSED, [mapped[t] for t in taken], attrs, [(result.dtype, result._shape)], op
        ).outputs

    return rebuild(program, visit)


def _as_large(t: Tensor, root: Tensor) -> bool:
    return t._shape is not None and t._shape == root._shape


def _ordered_inputs(members: Sequence[Operation]) -> list[Tensor]:
    """What the members take from outside, in the order of first use."""
    made = {t for op in members for t in op.outputs}
    return list(dict.fromkeys(t for op in members for t in op.inputs if t not in made))


def _steps(members: Sequence[Operation], inputs: Sequence[Tensor]) -> list[Step]:
    """The tile program: operand k >= 0 is input k, -1 - i the result of step i."""
    number = {t: k for k, t in enumerate(inputs)}
    steps = []
    for i, op in enumerate(members):
        name = op.opdef.tile_name([t.dtype for t in op.inputs], op.outputs[0].dtype)
        size = op.outputs[0].dtype.size
        steps.append(Step(name, tuple(number[t] for t in op.inputs), size))
        number[op.outputs[0]] = -1 - i
    return steps
