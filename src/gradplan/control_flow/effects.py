"""Effects in bodies: a gradient runs a body again, and must not write a variable or call Python a
second time. It takes what that gave when the body ran, which becomes one more result of it::

    y, i = while(..., lambda y, i: (y * v.assign_add(1), i + 1))

    y, i, kept = while(..., lambda y, i: (y * (a := v.assign_add(1)), i + 1, a))
    again: y = scan(lambda y, a: y * a, kept)                         what is differentiated

An operation with bodies of its own inside a body is replayed there in the same way, and what its
effects gave is handed out through both.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradplan.body import Body, behind
from gradplan.graph import Graph, Operation, Tensor, get_default_graph
from gradplan.opdef import HOST, REGISTRY, STATE, VIEW, is_variable
from gradplan.ops.constant import constant


class Given(NamedTuple):
    """What an effect gave inside an operation: tensor ``t`` of its body ``k``, or what an effect
    gave inside of that."""

    op: Operation
    k: int
    t: Tensor | Given


Source = Tensor | Given

#: ``keep(source, like, *rows)``: what stands for a source where an operation is replayed, of the
#: type and shape of ``like``; or of rows of that shape.
Keep = Callable[..., Tensor]

#: By the type of an operation what makes it again in the default graph, without its effects:
#: ``(op, what stands for its inputs, keep, written)`` -> its results.
_REPLAYS: dict[str, Callable[..., Sequence[Tensor]]] = {}


def replays(name: str) -> Callable[[Any], Any]:
    """Says how operations of a type are made again."""

    def note(function: Any) -> Any:
        _REPLAYS[name] = _REPLAYS["Stateless" + name] = function
        return function

    return note


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


def overwritten(op: Operation, dys: Sequence[Tensor | None]) -> set[Tensor]:
    """The variables that are written between a run of an operation and that of its gradient: by
    what makes ``dys`` of its results."""
    variables = {t for t in op.inputs if is_variable(t)}
    writers = [o for o in _writers(op.graph) if o.id > op.id]
    later = [o for o in writers if not variables.isdisjoint(o.inputs[: o.writes])]
    if not later:
        return set()
    before = behind([dy for dy in dys if dy is not None])
    return variables & {t for o in later if o in before for t in o.inputs[: o.writes]}


def _writers(graph: Graph) -> list[Operation]:
    """All operations that write variables."""
    found: list[Operation] = graph.extras.setdefault("writers", [])
    seen = graph.extras.get("looked at", 0)
    graph.extras["looked at"] = len(graph._ops)
    found += [op for op in graph._ops[seen:] if op.writes]
    return found


class Kept:
    """What stands in the body of a gradient for what effects of the body gave.

    Parameters
    ----------
    op : Operation
        With bodies.
    body : Body
        One of them.
    written : collection of Tensor, optional
        Variables around ``op`` that change while it is differentiated: those that a body writes of
        which it is a part.
    """

    def __init__(self, op: Operation, body: Body, written: Iterable[Tensor] = ()) -> None:
        self._written = _written(op, body, written)
        self._places: dict[Source, Tensor] = {}
        if any([_keeps_rows(o, self._written) for o in body._ops]):
            _step(op)

    def replace(self, graph: Graph, op: Operation, stand_ins: dict[Tensor, Tensor]) -> bool:
        """Whether an operation is not to be copied (``body.copy_into``)."""
        if quietly(graph, op, stand_ins):
            return True
        if not _must_be_kept(op, self._written):
            return False
        if "bodies" in op.attrs and any(t.dtype.is_floating for t in op.outputs):
            given = [stand_ins[t] for t in op.inputs]
            made = _REPLAYS[op.type](op, given, self._place, self._written)
            stand_ins.update(zip(op.outputs, made, strict=True))
        else:
            stand_ins.update({t: self._place(t, t) for t in op.outputs})
        return True

    def _place(self, source: Source, like: Tensor, *rows: None) -> Tensor:
        if source not in self._places:
            graph, dims = get_default_graph(), like._shape
            attrs = {"dtype": like.dtype, "shape": None if dims is None else (*rows, *dims)}
            types = [(like.dtype, attrs["shape"])]
            name = f"kept/{like.name}"
            place = Operation(graph, REGISTRY["Placeholder"], name, (), attrs, types)  # type: ignore[arg-type]
            self._places[source] = graph.add(place, hidden=True).outputs[0]
        return self._places[source]

    def needed(self, made: Body) -> list[tuple[Source, Tensor]]:
        """What the body of the gradient takes of this, and its stand-in."""
        used = behind(made.outputs)
        return [(t, place) for t, place in self._places.items() if place.op in used]


def _written(op: Operation, body: Body, written: Iterable[Tensor]) -> set[Tensor]:
    """What stands in a body for variables that it writes, or that are ``written`` around it."""
    changed = {*written, *body.written()}
    around = op.inputs[op.writes + op.attrs["arguments"] :]
    return {s for s, t in zip(body.taken, around, strict=True) if t in changed}


def _must_be_kept(op: Operation, written: set[Tensor]) -> bool:
    """Whether an operation of a body gives something else if it runs again."""
    reads = op.opdef.kind is VIEW or "bodies" in op.attrs
    return has_effect(op) or reads and not written.isdisjoint(op.inputs)


def _keeps_rows(op: Operation, written: set[Tensor]) -> bool:
    """Whether what an operation has to keep may have another shape whenever it runs."""
    if "bodies" not in op.attrs or not _must_be_kept(op, written):
        return False
    if op.type.endswith("While"):
        return True
    for body in op.attrs["bodies"]:
        inner = _written(op, body, written)
        kept = [t for o in body._ops if _must_be_kept(o, inner) for t in o.outputs]
        if "settled" in op.attrs and any(t._shape is None or None in t._shape for t in kept):
            return True
        if any(_keeps_rows(o, inner) for o in body._ops):
            return True
    return False


def _step(op: Operation) -> None:
    """Let a loop or conditional run by plans of its own."""
    op.attrs = {**op.attrs, "stepped": True, "roots": ()}
    op.asked = ()


def expose(source: Source, *_: Any) -> Tensor:
    """What an effect gave, around the operation in which it is: another result of that, behind
    those of its bodies; in a branch that did not run zeros, of a loop the rows of all trips.
    Programs that were made of the operation before keep what it was."""
    if isinstance(source, Tensor):
        return source
    op, k, t = source.op, source.k, expose(source.t)
    known = op.attrs["bodies"][k].extras.setdefault("kept", {})
    if t in known:
        return known[t]
    if op.type.endswith("While"):  # how many rows that will be no plan knows
        _step(op)
    dims, bodies, attrs = t._shape, [], {**op.attrs}
    is_if = "settled" in attrs
    at = len(attrs["bodies"][k].outputs)
    unknown = dims is None or None in dims
    for i, body in enumerate(attrs["bodies"]):
        changed, more = copy.copy(body), t
        if i != k:
            if not is_if:
                bodies.append(body)  # the condition of a loop
                continue
            with body.as_default():
                more = constant(np.zeros([d or 0 for d in dims or ()], t.dtype.np), t.dtype)
        changed.programs = {}
        changed.outputs = [*body.outputs[:at], more, *body.outputs[at:]]
        bodies.append(changed)
    if not is_if:
        rows = op.outputs[-1]._shape  # of what every trip of a scan gave, or took
        trips = None if rows is None or len(bodies) > 1 else rows[0]
        dims = None if dims is None else (trips, *dims)
    elif unknown:  # the branches give other shapes: the predicate has to be known before
        attrs["settled"] = True
        if not attrs["stepped"]:
            attrs["roots"] = tuple(sorted({*attrs["roots"], op.writes}))
            op.asked = tuple(sorted({*op.asked, op.writes}))
    attrs["bodies"] = tuple(bodies)
    attrs["types"] = (*attrs["types"][:at], t.dtype, *attrs["types"][at:])
    op.attrs = attrs
    for later in op.outputs[at:]:
        later.index += 1
    known[t] = Tensor(op, at, t.dtype, dims)
    op.outputs = (*op.outputs[:at], known[t], *op.outputs[at:])
    return known[t]
