"""Fuse: elementwise operations on one shape become one operation that runs as one tile program.

Before::

    a = x * w      b = a + c      y = relu(b)      z = exp(b)

After::

    y, z = Fused(x, w, c)      t0 = mul(x, w); t0 = add(t0, c); y = relu(t0); z = exp(t0)

An operation joins the group of what it takes, if both have the same static shape and no path leads
out of the group and back in. A group with one result has the broadcast of all its inputs as its
shape, whatever the sizes turn out to be. With several results the sizes must turn out equal; where
unknown dimensions were not what they seemed, the group is lowered operation by operation. What a
shape follows from stays by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradplan import _core, shapes
from gradplan.graph import Operation, Tensor
from gradplan.opdef import MAP, OpDef, broadcast_all, infer_shapes
from gradplan.probe import probe
from gradplan.program import Program, is_pure, rebuild
from gradplan.tiling import Step, compile_steps

#: Steps in one group; beyond it a chain is cut, and its parts still run from cache.
MAX_STEPS = 48

FUSED = OpDef(
    "Fused",
    MAP,
    kernel=None,
    flops=lambda attrs, in_shapes: (
        (attrs["flops_per_element"] + len(attrs["sums"])) * max(map(shapes.size, in_shapes))
    ),
)


def fused_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    """The shapes of the results, then of the sums; members with a rule of their own are asked one
    by one."""
    members, sums = attrs["members"], attrs["sums"]
    if all([m.opdef.shape is None for m in members]):
        return [broadcast_all(in_shapes)] * len(attrs["results"]) + sums
    shape_of = dict(zip(attrs["taken"], in_shapes, strict=True))
    for m in members:
        given = [shape_of[t] for t in m.inputs]
        shape_of[m.outputs[0]] = infer_shapes(m.opdef, m.attrs, given, value)[0]
    return [shape_of[members[i].outputs[0]] for i in attrs["results"]] + sums


def _lower_fused(binder: Any, op: Operation) -> None:
    views = [binder.view(t) for t in op.inputs]
    outs = [binder.result(op, i) for i in range(len(op.outputs))]
    n = len(op.attrs["results"])
    binder.tile(outs[:n], views, op.attrs["code"], outs[n:])


FUSED.shape = fused_shape
FUSED.lower = _lower_fused


class _Group(NamedTuple):
    """Operations that run as one.

    Attributes
    ----------
    members : list of Operation
        In the program's order.
    inputs : dict
        What they take from outside, in the order of first use.
    mask : int
        Bit i stands for operation i of the program.
    """

    members: list[Operation]
    inputs: dict[Tensor, None]
    mask: int


class _Fuser:
    """Grows groups along the program."""

    def __init__(self, program: Program) -> None:
        self.consumers = program.consumers()
        self.sizes = probe(program)
        self.kept = program.kept()
        apart = program.pinned() | _sizing(program)
        #: For every operation a mask of those that it depends on.
        self.ancestors: list[int] = []
        self.groups: dict[Operation, _Group] = {}
        #: For every operation the first member of the groups that reach across it.
        self.reach = np.arange(len(program._ops))
        for op in program._ops:
            mask = 0
            for before in (*[t.op for t in op.inputs], *op.control_inputs):
                mask |= self.ancestors[before.id] | 1 << before.id
            self.ancestors.append(mask)
            if _fusable(op) and op not in apart and op.outputs[0] in self.sizes:
                self._place(op)

    def _place(self, op: Operation) -> None:
        """Put the operation into the groups of what it takes, all of them if that may be."""
        near: list[_Group] = []
        size = self.sizes[op.outputs[0]]
        for t in op.inputs:
            group = self.groups.get(t.op)
            if group is not None and group not in near and self.sizes.get(t) == size:
                near.append(group)
        choices = [near, *([g] for g in reversed(near))] if len(near) > 1 else [near]
        for choice in choices if near else ():
            group = self._joined(choice, op)
            if group is not None:
                self.groups.update(dict.fromkeys(group.members, group))
                first = group.members[0].id
                np.minimum(self.reach[first : op.id + 1], first, out=self.reach[first : op.id + 1])
                return
        self.groups[op] = _Group([op], dict.fromkeys(op.inputs), 1 << op.id)

    def _joined(self, groups: Sequence[_Group], op: Operation) -> _Group | None:
        """The groups and the operation as one, unless a path leaves it and comes back, or C cannot
        run it as one program."""
        mask = 1 << op.id
        for g in groups:
            mask |= g.mask
        # What the only group took before leads to it by no path: this was seen to as it grew.
        taken = [t for g in groups for t in g.inputs] if len(groups) > 1 else []
        outside = [t.op for t in (*taken, *op.inputs) if not mask >> t.op.id & 1]
        if any([self.ancestors[other.id] & mask for other in outside]):
            return None
        members = [m for g in groups for m in g.members]
        if len(members) >= MAX_STEPS:
            return None
        if len(groups) > 1:
            members.sort(key=lambda m: m.id)
            inputs = dict.fromkeys(inputs_of([*members, op]))
        else:
            inputs = groups[0].inputs | dict.fromkeys([t for t in op.inputs if t.op in outside])
        members.append(op)
        group = _Group(members, inputs, mask)
        if not self._fits(group) or self._comes_back(group, outside):
            return None
        if len(members) <= _core.MAX_TEMPS:  # fewer steps cannot need more registers than that
            return group
        code = compile_steps(steps_of(members, list(inputs)), len(inputs))
        return group if code is not None else None

    def _fits(self, group: _Group) -> bool:
        """Whether it has no more inputs and results than C takes."""
        room = _core.MAX_ARGS - len(group.inputs)
        if room >= len(group.members):
            return True
        return room > 0 and len(self.results(group.members)) <= room

    def _comes_back(self, group: _Group, stack: list[Operation]) -> bool:
        """Whether a path through other groups, which run as one, leads from the group to one of the
        operations of ``stack``."""
        first = group.members[0].id
        while self.reach[first] < first:  # what lies before it may take from a group that does not
            first = self.reach[first]
        seen: set[Operation] = set()
        while stack:
            op = stack.pop()
            if group.mask >> op.id & 1:
                return True
            unit = self.groups[op].members if op in self.groups else [op]
            if op in seen or unit[-1].id < first:
                continue
            seen.update(unit)
            for m in unit:
                stack.extend([t.op for t in m.inputs if t.op not in seen])
                stack.extend(m.control_inputs)
        return False

    def results(self, members: Sequence[Operation]) -> list[int]:
        """The members whose result somebody else takes."""
        inside = set(members)
        return [
            i
            for i, m in enumerate(members)
            if m.outputs[0] in self.kept or not inside.issuperset(self.consumers[m.outputs[0]])
        ]


def _fusable(op: Operation) -> bool:
    return op.opdef.kind is MAP and op.opdef.kernel is not None and is_pure(op)


def _sizing(program: Program) -> set[Operation]:
    """What shapes follow from, which is computed when a plan is bound: a group would tie it to what
    the run computes."""
    seen: set[Operation] = set()
    stack = [op.inputs[i].op for op in program._ops for i in op.asked]
    while stack:
        op = stack.pop()
        if op not in seen and op.opdef.static is None:
            seen.add(op)
            stack.extend([t.op for t in op.inputs])
    return seen


def run(program: Program) -> Program:
    """See the module's text."""
    fuser = _Fuser(program)
    groups = {op: g for op, g in fuser.groups.items() if len(g.members) > 1}
    if not groups:
        return program
    made: dict[Tensor, Tensor] = {}

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        group = groups.get(op)
        if group is None:
            return None
        if op is group.members[0]:
            made.update(_make(out, group, fuser.results(group.members), tensors))
        return [made.get(op.outputs[0], op.outputs[0])]  # inside, nobody will look at it

    return rebuild(program, visit, _order(program, groups))


def _make(
    out: Program,
    group: _Group,
    results: Sequence[int],
    tensors: dict[Tensor, Tensor],
) -> dict[Tensor, Tensor]:
    """The operation that stands for a group; for every result of a member what stands for it."""
    members, taken = group.members, list(group.inputs)
    steps = steps_of(members, taken)
    last = members[results[-1]]
    fused = out.make(
        FUSED,
        [tensors[t] for t in taken],
        {
            "code": compile_steps(steps, len(taken), results),
            "results": results,
            "names": [members[i].name for i in results],
            "sums": [],  # shapes of sums over everything (reduce.py)
            "flops_per_element": sum(m.opdef.flops for m in members),
            "fallible": any(m.opdef.fallible for m in members),
            "members": members,  # for errors, which name the operation that the user wrote
            "taken": taken,
        },
        [(members[i].outputs[0].dtype, members[i].outputs[0]._shape) for i in results],
        last,
    )
    return {members[i].outputs[0]: t for i, t in zip(results, fused.outputs, strict=True)}


def _order(program: Program, groups: dict[Operation, _Group]) -> list[Operation]:
    """The program's operations with the members of a group in a row, after all that they take."""
    out: list[Operation] = []
    done: set[Operation] = set()
    for op in program._ops:
        stack = [op]
        while stack:
            unit = groups[stack[-1]].members if stack[-1] in groups else [stack[-1]]
            if unit[0] in done:
                stack.pop()
                continue
            before = [t.op for m in unit for t in m.inputs] + [
                c for m in unit for c in m.control_inputs
            ]
            waiting = [b for b in before if b not in done and b not in unit]
            if waiting:
                stack.extend(reversed(waiting))
            else:
                stack.pop()
                done.update(unit)
                out.extend(unit)
    return out


def inputs_of(members: Sequence[Operation]) -> list[Tensor]:
    """What the members take from outside, in the order of first use."""
    made = {t for op in members for t in op.outputs}
    return list(dict.fromkeys(t for op in members for t in op.inputs if t not in made))


def steps_of(members: Sequence[Operation], inputs: Sequence[Tensor]) -> list[Step]:
    """The tile program: operand k >= 0 is input k, -1 - i the result of step i."""
    number = {t: k for k, t in enumerate(inputs)}
    steps = []
    for i, op in enumerate(members):
        name = op.opdef.tile_name([t.dtype for t in op.inputs], op.outputs[0].dtype)
        size = op.outputs[0].dtype.size
        steps.append(Step(name, tuple(number[t] for t in op.inputs), size))
        number[op.outputs[0]] = -1 - i
    return steps
