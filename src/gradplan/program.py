"""A Program: the private graph that the passes rewrite and a plan is bound from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gradplan.dtypes import DType
from gradplan.graph import Graph, Operation, Tensor
from gradplan.opdef import STATE, Kind, OpDef
from gradplan.shapes import Shape


class Program(Graph):
    """A graph that has inputs and outputs.

    Attributes
    ----------
    feeds : list of Tensor
        The placeholders that a run fills, in order.
    fetches : list of Tensor
        What a run returns, in order.
    names : list of str
        Of the fetches in the user's graph.
    targets : list of Operation
        What a run must also execute.
    pattern : tuple of shape or None
        The shapes of the feeds with a prime for each different unknown size (``probe.py``).
    sizes : dict or None
        The shapes under the pattern, once they are found (``probe.py``).
    used : tuple of (set of Tensor, set of Operation) or None
        What a run takes and executes once shapes are known; the first binding finds it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.feeds: list[Tensor] = []
        self.fetches: list[Tensor] = []
        self.names: list[str] = []
        self.targets: list[Operation] = []
        self.pattern: tuple[tuple[int, ...] | None, ...] = ()
        self.sizes: dict[Tensor, tuple[int, ...]] | None = None
        self.used: tuple[set[Tensor], set[Operation]] | None = None

    def make(
        self,
        opdef: OpDef,
        inputs: Sequence[Tensor],
        attrs: dict[str, Any],
        outputs: Iterable[tuple[DType, Shape | None]],
        like: Operation,
        controls: tuple[Operation, ...] = (),
    ) -> Operation:
        """A new operation that stands for ``like``: with its name, its source line and its
        origin."""
        op = Operation(
            self,
            opdef,
            like.name,
            tuple(inputs),
            attrs,
            outputs,
            controls,
            like.site,
            like.origin,
        )
        op.id = len(self._ops)
        if opdef is like.opdef and len(inputs) == len(like.inputs):
            op.asked = like.asked
        self._ops.append(op)
        return op

    def again(
        self, op: Operation, inputs: Sequence[Tensor], controls: tuple[Operation, ...] = ()
    ) -> Operation:
        """The operation of another graph once more, as it is, on these inputs. (Set slot by slot:
        every pass makes most of a program again.)"""
        made = Operation.__new__(Operation)
        made.id, made.graph = len(self._ops), self
        made.opdef, made.name, made.attrs = op.opdef, op.name, op.attrs
        made.inputs, made.control_inputs, made.asked = tuple(inputs), controls, op.asked
        made.site, made.origin, made.gradient_type = op.site, op.origin, None
        outputs = []
        for t in op.outputs:
            stand_in = Tensor.__new__(Tensor)
            stand_in.op, stand_in.index = made, t.index
            stand_in.dtype, stand_in._shape = t.dtype, t._shape
            outputs.append(stand_in)
        made.outputs = tuple(outputs)
        self._ops.append(made)
        return made

    def live(self) -> set[Operation]:
        """The operations that something wanted depends on."""
        seen: set[Operation] = set()
        stack = [t.op for t in self.fetches] + self.targets + [t.op for t in self.feeds]
        while stack:
            op = stack.pop()
            if op not in seen:
                seen.add(op)
                stack.extend([t.op for t in op.inputs])
                stack.extend(op.control_inputs)
        return seen

    def consumers(self) -> dict[Tensor, list[Operation]]:
        """For every tensor the operations that take it, once per place they take it in."""
        out: dict[Tensor, list[Operation]] = {t: [] for op in self._ops for t in op.outputs}
        for op in self._ops:
            for t in op.inputs:
                out[t].append(op)
        return out

    def kept(self) -> set[Tensor]:
        """What is wanted of the program itself, which no pass may do away with."""
        return set(self.fetches) | {t for op in self.targets for t in op.outputs}

    def pinned(self) -> set[Operation]:
        """What others must run after."""
        return {c for op in self._ops for c in op.control_inputs}


#: What a pass says of one operation: None to keep it, or the tensors that stand for its outputs.
Visit = Callable[
    [Program, Operation, "tuple[Tensor, ...]", "dict[Tensor, Tensor]"], "Sequence[Tensor] | None"
]


def is_pure(op: Operation) -> bool:
    """Whether the operation may be removed, merged with its like or computed earlier."""
    return op.opdef.kind not in (STATE, Kind.HOST) and not op.control_inputs


def rebuild(program: Program, visit: Visit, order: Sequence[Operation] | None = None) -> Program:
    """A new Program in which ``visit`` may put tensors in the place of an operation.

    It is called as ``visit(out, op, inputs, tensors)`` in the program's order, or in another
    ``order`` that respects all edges: with what stands for the operation's inputs, and for any
    tensor so far.

    Operations that nothing wanted depends on are left out. A control dependency on a replaced
    operation becomes one on the operations that stand for it.
    """
    out = Program()
    tensors: dict[Tensor, Tensor] = {}
    live, awaited = program.live(), program.pinned().union(program.targets)
    stand_ins: dict[Operation, list[Operation]] = {}  # of those that something must run after
    for op in program._ops if order is None else order:
        if op not in live:
            continue
        inputs = tuple([tensors.get(t, t) for t in op.inputs])
        replaced = visit(out, op, inputs, tensors)
        if replaced is None:
            before = [s for c in op.control_inputs for s in stand_ins[c]]
            made = out.again(op, inputs, tuple(dict.fromkeys(before)) if before else ())
            replaced = made.outputs
            if op in awaited:
                stand_ins[op] = [made]
        elif op in awaited:
            stand_ins[op] = list(dict.fromkeys([t.op for t in replaced]))
        for old, new in zip(op.outputs, replaced, strict=True):
            tensors[old] = new
    out.pattern = program.pattern
    if program.sizes is not None:  # what stands for a tensor has its shape
        out.sizes = {tensors[t]: s for t, s in program.sizes.items() if t in tensors}
    out.feeds = [tensors[t] for t in program.feeds]
    out.fetches, out.names = [tensors[t] for t in program.fetches], program.names
    out.targets = list(dict.fromkeys([s for op in program.targets for s in stand_ins[op]]))
    return out
