"""Effects in bodies: a gradient runs a body again, and must not write a variable or call Python a
second time. It takes what that gave when the body ran, which becomes one more result of it."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np

from gradplan.body import Body, behind
from gradplan.graph import Graph, Operation, Tensor
from gradplan.opdef import HOST, REGISTRY, STATE, VIEW, captured
from gradplan.ops.constant import constant


def has_effect(op: Operation) -> bool:
    """Whether an operation inside a body, or inside of one of its own, must not run again. To be
    shown or checked once more does no harm."""
    if "bodies" in op.attrs:
        return any(has_effect(o) for body in op.attrs["bodies"] for o in body._ops)
    return op.opdef.kind in (STATE, HOST) and op.type not in ("Print", "Assert")


def quietly(graph: Graph, op: Operation, stand_ins: dict[Tensor, Tensor]) -> bool:
    """``replace`` of ``body.copy_into``: nothing is shown or checked again."""
    if op.type not in ("Print", "Assert"):
        return False
    stand_ins.update(zip(op.outputs, [stand_ins[t] for t in op.inputs], strict=False))
    return True


class Kept:
    """What stands in the body of a gradient for what effects of the body gave.

    Parameters
    ----------
    op : Operation
        With bodies.
    body : Body
        One of them.
    """

    def __init__(self, op: Operation, body: Body) -> None:
        self._op, self._body = op, body
        self._written = {captured(body, t) for t in body.written()}
        self._stand_ins: dict[Tensor, Tensor] = {}

    def replace(self, graph: Graph, op: Operation, stand_ins: dict[Tensor, Tensor]) -> bool:
        """Whether an operation is not to be copied (``body.copy_into``)."""
        if quietly(graph, op, stand_ins):
            return True
        reads = op.opdef.kind is VIEW and not self._written.isdisjoint(op.inputs)
        if not reads and not has_effect(op):
            return False
        if "bodies" in op.attrs and any(t.dtype.is_floating for t in op.outputs):
            raise LookupError(
                f"the gradient of '{self._op.name}' (made at {self._op.made_at}) would run "
                f"'{op.name}' inside it again, which writes variables or calls Python (made at "
                f"{op.made_at}): do that outside of one of the two"
            )
        for t in op.outputs:
            attrs = {"dtype": t.dtype, "shape": t._shape}
            types = [(t.dtype, t._shape)]
            place = Operation(graph, REGISTRY["Placeholder"], f"kept/{t.name}", (), attrs, types)
            stand_ins[t] = self._stand_ins[t] = graph.add(place, hidden=True).outputs[0]
        return True

    def needed(self, made: Body, expose: Callable[[Tensor], Tensor]) -> dict[Tensor, Tensor]:
        """What the body of the gradient takes of this: its stand-in, by what ``expose`` gives for
        the result in the graph around both."""
        used = behind(made.outputs)
        known = self._body.extras.setdefault("kept", {})
        out = {}
        for t, place in self._stand_ins.items():
            if place.op in used:
                if t not in known:
                    known[t] = expose(t)
                out[known[t]] = place
        return out


def expose(op: Operation, k: int, t: Tensor) -> Tensor:
    """Another result of an operation, behind those of its bodies: tensor ``t`` of body ``k``, and
    zeros of the other one; of a loop the rows of all trips. Programs that were made of the
    operation before keep what it was."""
    dims, bodies, attrs = t._shape, [], {**op.attrs}
    at = len(attrs["bodies"][k].outputs)
    unknown = dims is None or None in dims
    for i, body in enumerate(attrs["bodies"]):
        more = t
        if i != k:
            with body.as_default():
                more = constant(np.zeros(() if unknown else dims, t.dtype.np), t.dtype)
        changed = copy.copy(body)
        changed.programs = {}
        changed.outputs = [*body.outputs[:at], more, *body.outputs[at:]]
        bodies.append(changed)
    if "settled" not in attrs:
        rows = op.outputs[-1]._shape  # of what every trip gave, or took
        dims = None if dims is None else (None if rows is None else rows[0], *dims)
    elif unknown:  # the branches give other shapes: the predicate has to be known before
        dims, attrs["settled"] = None, True
        if not attrs["stepped"]:
            attrs["roots"] = tuple(sorted({*attrs["roots"], op.writes}))
            op.asked = tuple(sorted({*op.asked, op.writes}))
    attrs["bodies"] = tuple(bodies)
    attrs["types"] = (*attrs["types"][:at], t.dtype, *attrs["types"][at:])
    op.attrs = attrs
    for later in op.outputs[at:]:
        later.index += 1
    new = Tensor(op, at, t.dtype, dims)
    op.outputs = (*op.outputs[:at], new, *op.outputs[at:])
    return new
