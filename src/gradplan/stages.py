"""Stages: where a shape depends on a value that only a run computes, the run is cut in two.

Before::

    x --> Where --> count, rows --> TakeFirst(rows, count) --> y          y has count rows

After::

    stage 0:  x --> Where --> count, rows
    stage 1:  rows, count = ... --> TakeFirst(rows, count) --> y          bound when count is known

Nearly every program has one stage, and nothing is done for it. A value that is fed, such as the
batch size that a script feeds beside its data, needs no stage of its own, nor does arithmetic on
it: the plan is bound for that value as it is bound for the shapes of the feeds.

A loop or conditional of which no plan can be made, since a shape in it changes from trip to trip or
depends on what the trip computes, is marked ``stepped`` (control_flow/growing.py). It runs at the
beginning of a stage, with a plan for each shape that a trip meets, and the rest of the stage is
bound for what came out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from gradplan.graph import Operation, Tensor
from gradplan.known import constant_value, known_sizes
from gradplan.opdef import CALL, HOST, REGISTRY, STATE, VIEW, OpDef, infer, is_variable
from gradplan.program import is_pure

#: A fed vector of up to so many elements may hold sizes; a longer one holds data.
MAX_SIZES = 64


class Stage(NamedTuple):
    """A part of a program that is optimised, bound and run by itself.

    Attributes
    ----------
    fetches, feeds : list of Tensor
    targets : list of Operation
        What is executed though nobody takes a value from it.
    valued : set of Tensor
        The feeds whose values, not only their shapes, must be known when a plan is bound.
    done : set of Operation
        What earlier stages have executed.
    steps : list of Operation
        Loops and conditionals that are run before it, since no plan holds them.
    """

    fetches: list[Tensor]
    feeds: list[Tensor]
    targets: list[Operation]
    valued: set[Tensor]
    done: set[Operation]
    steps: list[Operation]


def is_stepped(op: Operation) -> bool:
    """Whether the operation runs by plans of its own, and not inside another."""
    return op.attrs.get("stepped", False) or op.type == "AddN" and _adds_ragged(op)


def _adds_ragged(op: Operation) -> bool:
    """Whether the rows of what is added may be of different shapes: what a loop whose shapes change
    kept of every trip, for its gradient, or a sum of such."""
    seen: set[Tensor] = set()
    stack = list(op.inputs)
    while stack:
        t = stack.pop()
        if t in seen or t._shape is not None and None not in t._shape[1:]:
            continue
        seen.add(t)
        if t.op.type == "AddN":
            stack.extend(t.op.inputs)
        elif t.op.attrs.get("stepped", False):
            if t not in t.op.outputs[: t.op.attrs.get("carried", len(t.op.outputs))]:
                return True
    return False


def handed_to(op: Operation, fed: Iterable[Tensor] = ()) -> list[Tensor]:
    """What a stepped operation takes that another one has to compute."""
    return [
        t for t in op.inputs if t not in fed and not is_variable(t) and constant_value(t) is None
    ]


def unfold(
    fetches: Sequence[Tensor], feeds: Sequence[Tensor], targets: Sequence[Operation]
) -> tuple[list[Tensor], list[Tensor], list[Operation]]:
    """The same fetches, feeds and targets, where a feed takes the place of what was known while the
    graph was built: what was found by its value is found anew for whatever is fed."""
    known = {t for t in feeds if known_sizes(t) is not None or constant_value(t) is not None}
    if not known:
        return list(fetches), list(feeds), list(targets)
    ops: dict[Operation, Operation] = {}
    tensors: dict[Tensor, Tensor] = {}

    def make(like: Operation, opdef: OpDef, attrs: dict[str, Any], outputs: Any) -> Operation:
        inputs = tuple([tensors.get(t, t) for t in like.inputs])
        made = Operation(
            like.graph,
            opdef,
            like.name,
            inputs if opdef is like.opdef else (),
            attrs,
            outputs,
            tuple([ops.get(c, c) for c in like.control_inputs]),
            like.site,
            like.origin,
        )
        made.id = like.id
        return made

    for t in known:
        attrs = {"dtype": t.dtype, "shape": t._shape}
        made = make(t.op, REGISTRY["Placeholder"], attrs, [(t.dtype, t._shape)])
        tensors[t] = made.outputs[0]
    needed = _needed([*[t.op for t in fetches if t not in known], *targets], set(feeds))
    for op in sorted(needed, key=lambda op: op.id):
        if not any([t in tensors for t in op.inputs] + [c in ops for c in op.control_inputs]):
            continue
        given = [tensors.get(t, t) for t in op.inputs]
        asked = {i for i in op.asked if given[i] is op.inputs[i]}

        def value(i: int, given: list[Tensor] = given, asked: set[int] = asked) -> Any:
            found = constant_value(given[i])
            if found is None:
                asked.add(i)
            return found

        types, dims = [t.dtype for t in given], [t._shape for t in given]
        made = make(
            op,
            op.opdef,
            op.attrs,
            infer(op.opdef, op.attrs, types, dims, value),
        )
        made.asked, made.gradient_type = tuple(sorted(asked)), op.gradient_type
        ops[op] = made
        for old, new in zip(op.outputs, made.outputs, strict=True):
            tensors.setdefault(old, new)
    return (
        [tensors.get(t, t) for t in fetches],
        [tensors.get(t, t) for t in feeds],
        [ops.get(op, op) for op in targets],
    )


def split(
    fetches: Sequence[Tensor],
    feeds: Sequence[Tensor],
    targets: Sequence[Operation],
    changing: Sequence[Tensor] = (),
) -> list[Stage]:
    """The stages, in order; the last one fetches ``fetches``, in their order. No plan is bound for
    what follows from feeds that are ``changing`` in every run."""
    fed = set(feeds)
    needed = _needed([*[t.op for t in fetches if t not in fed], *targets], fed)
    if not any([op.asked or is_stepped(op) for op in needed]):
        return [Stage(list(fetches), list(feeds), list(targets), set(), set(), [])]
    ops = sorted(needed, key=lambda op: op.id)
    known, valued = _known(ops, fed, changing)
    computed = _asked(ops, fed, known) + [op for op in ops if is_stepped(op)]
    if not computed:
        return [Stage(list(fetches), list(feeds), list(targets), valued, set(), [])]
    level = _levels(ops, fed, known)
    early = _needed([op for op in computed if not is_stepped(op) or not _has_effect(op)], fed)
    late = {op: max(level.values()) for op in ops if _has_effect(op) and op not in early}
    if late:  # what cannot be undone waits until all is known that can fail
        level = _levels(ops, fed, known, late)
    return _stages(ops, level, known, valued, list(fetches), feeds, set(targets))


def _needed(roots: Iterable[Operation], fed: set[Tensor]) -> set[Operation]:
    seen: set[Operation] = set()
    stack = list(roots)
    while stack:
        op = stack.pop()
        if op not in seen:
            seen.add(op)
            stack.extend([t.op for t in op.inputs if t not in fed])
            stack.extend(op.control_inputs)
    return seen


def _has_effect(op: Operation) -> bool:
    return op.writes > 0 or op.opdef.kind is HOST


def _known(
    ops: Sequence[Operation], fed: set[Tensor], changing: Sequence[Tensor]
) -> tuple[set[Tensor], set[Tensor]]:
    """What is known when a plan is bound: what follows from constants, shapes and fed sizes; and
    the fed sizes from which something follows that a shape depends on."""
    sizes = {t for t in fed if _may_be_sizes(t) and t not in changing}
    known = set(sizes)
    follows: dict[Tensor, frozenset[Tensor]] = {t: frozenset([t]) for t in sizes}
    for op in ops:
        if op.opdef.static is not None:
            known.update(op.outputs)
        elif (
            op.inputs
            and is_pure(op)
            and not is_stepped(op)
            and all([t in known for t in op.inputs])
        ):
            origin = frozenset().union(*[follows.get(t, frozenset()) for t in op.inputs])
            if origin and op.opdef.kind is CALL and op.opdef.kernel:
                continue  # what is counted or looked up is data, though there be few of them
            known.update(op.outputs)
            follows.update(dict.fromkeys(op.outputs, origin))
    valued: set[Tensor] = set()
    for op in ops:
        for i in op.asked:
            t = op.inputs[i]
            valued |= follows.get(t, frozenset())
            if t in fed:
                valued.add(t)
    return known, valued


def _may_be_sizes(t: Tensor) -> bool:
    shape = t._shape
    if not t.dtype.is_integer or shape is None or len(shape) > 1:
        return False
    return not shape or shape[0] is not None and shape[0] <= MAX_SIZES


def _asked(ops: Sequence[Operation], fed: set[Tensor], known: set[Tensor]) -> list[Operation]:
    """The operations whose values shapes depend on, and which a run must compute."""
    asked = [op.inputs[i] for op in ops for i in op.asked]
    return [t.op for t in asked if t not in known and t not in fed]


def _levels(
    ops: Sequence[Operation],
    fed: set[Tensor],
    known: set[Tensor],
    least: dict[Operation, int] | None = None,
) -> dict[Operation, int]:
    """The stage of every operation: one after that of the values which its shape depends on, and
    for a stepped one of all that it takes."""
    level: dict[Operation, int] = {}
    for op in ops:
        at = 0 if least is None else least.get(op, 0)
        for t in op.inputs:
            if t not in fed:
                at = max(at, level[t.op])
        for c in op.control_inputs:
            at = max(at, level[c])
        for i in op.asked:
            t = op.inputs[i]
            if t not in known and t not in fed:
                at = max(at, level[t.op] + 1)
        if is_stepped(op):
            before = [*[t.op for t in handed_to(op, fed)], *op.control_inputs]
            before += _readers(ops, op)
            at = max([at, *[level[b] + 1 for b in before]])
        level[op] = at
    return level


def _readers(ops: Sequence[Operation], op: Operation) -> list[Operation]:
    """What was made before ``op`` and looks at variables that it writes."""
    changed = set(op.inputs[: op.writes])
    return [
        o
        for o in (ops if changed else ())
        if o.id < op.id and any([t in changed for t in o.inputs[o.writes :]])
    ]


def _stages(
    ops: Sequence[Operation],
    level: dict[Operation, int],
    known: set[Tensor],
    valued: set[Tensor],
    fetches: list[Tensor],
    feeds: Sequence[Tensor],
    targets: set[Operation],
) -> list[Stage]:
    fed = set(feeds)
    asked = {op.inputs[i] for op in ops for i in op.asked}
    last = max(level.values())
    written: dict[Operation, int] = {}  # variable -> the first stage that writes it
    handed: list[dict[Tensor, None]] = [{} for _ in range(last + 1)]
    for op in ops:
        for ref in op.inputs[: op.writes]:  # a stepped operation writes before its stage begins
            written[ref.op] = min(level[op] - is_stepped(op), written.get(ref.op, last))
        if is_stepped(op):
            for t in handed_to(op, fed):
                if not is_stepped(t.op):
                    handed[level[t.op]][t] = None
    #: What a stage needs from earlier ones.
    crossing: list[dict[Tensor, None]] = [{} for _ in range(last + 1)]
    wanted: list[list[Operation]] = [[] for _ in range(last + 1)]
    used: list[set[Tensor]] = [set() for _ in range(last + 1)]
    done: list[set[Operation]] = [set() for _ in range(last + 1)]
    for at in range(last + 1):
        again = _repeatable(ops, level, written, at, fed)
        done[at] = {op for op in ops if level[op] < at + is_stepped(op) and op not in again}
        mine = [op for op in ops if level[op] == at]
        mine += [c for op in mine for c in op.control_inputs if c in again]
        for op in [op for op in mine if is_stepped(op)]:
            mine.remove(op)
            for c in op.control_inputs:
                if not is_stepped(c):
                    wanted[level[c]].append(c)
        seen: set[Operation] = set()
        while mine:
            op = mine.pop()
            if op in seen:
                continue
            seen.add(op)
            for t in op.inputs:
                if t in fed:
                    used[at].add(t)
                elif t.op in done[at]:
                    crossing[at][t] = None
                elif level[t.op] < at:
                    mine.append(t.op)
            for c in op.control_inputs:
                if c in done[at] and not is_stepped(c):
                    wanted[level[c]].append(c)
    for t in fetches:
        if t in fed:
            used[last].add(t)
        elif t.op in done[last]:
            crossing[last][t] = None
    out = []
    for at in range(last + 1):
        later = [t for more in crossing[at + 1 :] for t in more if level[t.op] == at]
        later = [*[t for t in later if not is_stepped(t.op)], *handed[at]]
        steps = [op for op in ops if level[op] == at and is_stepped(op)]
        mine = [op for op in ops if level[op] == at and op in targets and op not in steps]
        own = [t for t in feeds if t in used[at]]
        given = [*own, *crossing[at]]
        out.append(
            Stage(
                fetches if at == last else list(dict.fromkeys(later)),
                given,
                list(dict.fromkeys([*mine, *wanted[at]])),
                {t for t in given if t in valued or t not in fed and (t in known or t in asked)},
                done[at],
                steps,
            )
        )
    return out


def _repeatable(
    ops: Sequence[Operation],
    level: dict[Operation, int],
    written: dict[Operation, int],
    at: int,
    fed: set[Tensor],
) -> set[Operation]:
    """The operations of earlier stages that cost nothing to make again in stage ``at``: constants,
    places of variables, and looks at a variable that no stage before writes."""
    out: set[Operation] = set()
    for op in ops:
        if level[op] >= at or op.control_inputs:
            continue
        if not op.inputs:
            if op.opdef.kind is VIEW or op.opdef.kind is STATE or is_variable(op.outputs[0]):
                out.add(op)
        elif op.opdef.kind is VIEW and op.opdef.static is None:
            if all(
                [t not in fed and t.op in out and written.get(t.op, at) >= at for t in op.inputs]
            ):
                out.add(op)
    return out
