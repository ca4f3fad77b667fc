"""Bodies: the insides of loops and conditionals, graphs of their own.

A :class:`Body` is traced by calling the user's function while the body is the default graph. What
the function takes from around it becomes an input of the body, and of the operation that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import repeat
from typing import Any

import numpy as np

from gradplan.dtypes import DType, int64
from gradplan.graph import Graph, Operation, Tensor
from gradplan.known import assembled
from gradplan.opdef import HOST, REGISTRY, STATE, captured, infer_shapes
from gradplan.program import Program, is_pure
from gradplan.shapes import Shape


class Body(Graph):
    """A graph with inputs and outputs.

    Parameters
    ----------
    outer : Graph
    arguments : sequence of (DType, shape)
    names : sequence of str, optional
        Of the arguments, if the body is a part of ``outer`` for whoever looks a name up, as what a
        user's function makes is. Default: it has names of its own.

    Attributes
    ----------
    is_part : bool
        Whether it has names in common with ``outer``.
    original : Body or None
        The user's, of which it was made for another way to run it.
    repeats : bool
        Whether it is the body of a loop, or its condition.
    trip_number : Tensor or None
        The number of the trip, int64 []: an argument, once ``trip`` was asked for it.
    arguments : list of Tensor
        Placeholders for what the operation hands to the body.
    outputs : list of Tensor
    taken : list of Tensor
        What stands in it for those inputs of its operation that all bodies take.
    programs : dict
        What the compiler made of it, by what is known of the sizes.
    """

    def __init__(
        self,
        outer: Graph,
        arguments: Sequence[tuple[DType, Shape | None]],
        names: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self.outer = outer
        self.is_part = names is not None
        if self.is_part:
            self.share_names(outer)
        self.seed = outer.seed
        self._scope = outer._scope
        self._collections = outer._collections
        self.original: Body | None = None
        self.repeats = False
        self.trip_number: Tensor | None = None
        self.arguments: list[Tensor] = []
        self.outputs: list[Tensor] = []
        self.taken: list[Tensor] = []
        self.programs: dict[Any, Program] = {}
        for (dtype, shape), name in zip(arguments, names or repeat("argument"), strict=False):
            attrs = {"dtype": dtype, "shape": shape}
            name = self.unique_name(name)
            op = Operation(self, REGISTRY["Placeholder"], name, (), attrs, [(dtype, shape)])
            self.arguments.append(self.add(op).outputs[0])

    @property
    def captures(self) -> list[Tensor]:
        """What it takes from the graph around it, in the order of first use."""
        found = self.extras.get("captured", {})
        return [t for t in found if t.op.graph is self.outer]

    def trip(self) -> Tensor | None:
        if self.trip_number is None and self.repeats:
            attrs = {"dtype": int64, "shape": ()}
            op = Operation(self, REGISTRY["Placeholder"], "trip", (), attrs, [(int64, ())])
            self.trip_number = self.add(op, hidden=True).outputs[0]
        return self.trip_number

    @property
    def inputs(self) -> list[Tensor]:
        return [*self.arguments, *self.taken]

    def written(self) -> list[Tensor]:
        """The variables around it that something inside writes."""
        inner = {t for op in self._ops for t in op.inputs[: op.writes]}
        return [t for t in self.captures if captured(self, t) in inner]

    @property
    def has_effects(self) -> bool:
        """Whether it must run as often as it is asked to, no more and no less."""
        return any(op.opdef.kind in (STATE, HOST) for op in self._ops)

    @property
    def is_fallible(self) -> bool:
        return any(op.opdef.fallible or op.attrs.get("fallible", False) for op in self._ops)

    def asked(self, inputs: Sequence[Tensor]) -> set[int]:
        """The inputs, by number, from whose values the shape of something inside follows."""
        stack = [op.inputs[i] for op in self._ops for i in op.asked]
        seen: set[Tensor] = set()
        while stack:
            t = stack.pop()
            if t not in seen:
                seen.add(t)
                if t.op.opdef.static is None:
                    stack.extend(t.op.inputs)
        return {i for i, t in enumerate(inputs) if t in seen}

    def shapes(
        self,
        inputs: Sequence[Tensor],
        given: Sequence[Shape | None],
        value: Callable[[int], np.ndarray | None],
        evaluate: Callable[..., list[np.ndarray]] | None = None,
    ) -> list[Shape | None]:
        """The shapes of its outputs for inputs of these shapes; ``value`` is of inputs, and
        ``evaluate`` computes what follows from known values (``bind.evaluate``)."""
        number = {t: i for i, t in enumerate(inputs)}
        values: dict[Tensor, np.ndarray | None] = {}
        shape_of: dict[Tensor, Shape | None] = dict(zip(inputs, given, strict=True))

        def stated(t: Tensor) -> np.ndarray | None:
            if t in number:
                return value(number[t])
            static = t.op.opdef.static
            if static is not None:
                return static(t.op.attrs, [shape_of[x] for x in t.op.inputs])
            return values.get(t)

        def value_of(t: Tensor) -> np.ndarray | None:
            found = stated(t)
            if found is None and evaluate is not None and t not in number and t not in values:
                found = values[t] = computed(t)
            return found

        def computed(t: Tensor) -> np.ndarray | None:
            found = assembled(t, shape_of[t], stated)
            if found is None:
                around = [x for y in t.op.inputs for x in y.op.outputs] if is_pure(t.op) else []
                given = {x: value_of(x) for x in around}
                if given and not any([v is None for v in given.values()]):
                    assert evaluate is not None
                    found = evaluate([t], given.__getitem__, given)[0]
            return found

        for op in self._ops:
            if op.outputs and op.outputs[0] in shape_of:
                continue
            found = infer_shapes(
                op.opdef,
                op.attrs,
                [shape_of[t] for t in op.inputs],
                lambda i, op=op: value_of(op.inputs[i]),  # type: ignore[misc]
                len(op.outputs),
            )
            shape_of.update(zip(op.outputs, found, strict=True))
        return [shape_of[t] for t in self.outputs]


def behind(outputs: Sequence[Tensor]) -> set[Operation]:
    """The operations that compute ``outputs``."""
    seen: set[Operation] = set()
    stack = [t.op for t in outputs]
    while stack:
        op = stack.pop()
        if op not in seen:
            seen.add(op)
            stack += [*[t.op for t in op.inputs], *op.control_inputs]
    return seen


def copy_into(
    graph: Graph,
    body: Body,
    stand_ins: dict[Tensor, Tensor],
    outputs: Sequence[Tensor] | None = None,
    replace: Callable[[Graph, Operation, dict[Tensor, Tensor]], bool] | None = None,
) -> list[Tensor]:
    """Make the operations of ``body`` again in ``graph``: what stands for its outputs there.

    ``stand_ins`` says what stands for its inputs; it is filled with all that is made. Where
    ``outputs`` are given only these are made, and what they need. ``replace(graph, op, stand_ins)``
    says of what is not to be made, and fills in what stands for its outputs.
    """
    made: dict[Operation, Operation] = {}
    needed = None if outputs is None else behind(outputs)
    for op in body._ops:
        if op.outputs and op.outputs[0] in stand_ins or needed is not None and op not in needed:
            continue
        if replace is not None and replace(graph, op, stand_ins):
            continue
        copy = Operation(
            graph,
            op.opdef,
            graph.unique_name(op.name.rsplit("/", 1)[-1]),
            tuple([stand_ins[t] for t in op.inputs]),
            op.attrs,
            [(t.dtype, t._shape) for t in op.outputs],
            tuple([made[c] for c in op.control_inputs if c in made]),
            op.site,
            op.origin,
        )
        copy.asked = op.asked
        made[op] = graph.add(copy)
        stand_ins.update(zip(op.outputs, copy.outputs, strict=True))
    return [stand_ins[t] for t in (body.outputs if outputs is None else outputs)]
