"""The order in which a program runs: found once, before any size is known.

Operations keep the order in which they were made, but for those that need no instruction, which
come first so that nothing waits for them, and those that write state. These run as soon as nothing
that could still fail is left and nobody waits for the old value; so a run that fails has, wherever
the data allows it, changed nothing, and a gradient dies as soon as it has been applied.
"""

from __future__ import annotations

import heapq
from typing import NamedTuple

from gradplan import errors
from gradplan.graph import Operation, Tensor
from gradplan.opdef import Kind, is_variable
from gradplan.program import Program


class Schedule(NamedTuple):
    """An order and what it implies.

    Attributes
    ----------
    ops : list of Operation
    snapshots : set of Tensor
        Tensors that lie where a variable lies and are taken after the variable was written: they
        need a copy when they are made.
    """

    ops: list[Operation]
    snapshots: set[Tensor]


def is_fallible(op: Operation) -> bool:
    """Whether a value can make the operation fail."""
    return op.opdef.fallible or op.attrs.get("fallible", False)


class _Edges(NamedTuple):
    """What the order of some operations must respect.

    Attributes
    ----------
    ops : list of Operation
    before : list of list of int
        For every operation those that must run first.
    users : dict of int to set of int
        For every operation that writes those that had better run first: they take the old value.
    aliases : dict of Tensor to Operation
        The tensors that lie where a variable lies.
    writes : dict of Operation to list of int
        For every variable those that write it, in order.
    """

    ops: list[Operation]
    before: list[list[int]]
    users: dict[int, set[int]]
    aliases: dict[Tensor, Operation]
    writes: dict[Operation, list[int]]


def check(program: Program) -> None:
    """Raise InvalidArgumentError if :func:`order` would."""
    edges = _edges(program)
    if not all([j < i for i, before in enumerate(edges.before) for j in before]):
        _list_schedule(edges)


def order(program: Program) -> Schedule:
    """The order of the program's live operations.

    Raises
    ------
    InvalidArgumentError
        If two assignments to one variable are not ordered by any edge, or no order respects all
        edges.
    """
    edges = _edges(program)
    if not edges.writes:
        return Schedule(edges.ops, set())
    done = _list_schedule(edges)
    return Schedule([edges.ops[i] for i in done], _late(edges, done))


def _edges(program: Program) -> _Edges:
    live = program.live()
    ops = [op for op in program._ops if op in live]
    writers = [i for i, op in enumerate(ops) if op.writes]
    if not writers:
        return _Edges(ops, [], {}, {}, {})
    position = {op: i for i, op in enumerate(ops)}
    before = [[position[t.op] for t in op.inputs] for op in ops]
    for i, op in enumerate(ops):
        if op.control_inputs:
            before[i] += [position[c] for c in op.control_inputs]
    bit_of = {w: 1 << n for n, w in enumerate(writers)}
    after: list[int] = []  # for every operation a mask of the writers that come before it
    for edges in before:
        mask = 0
        for j in edges:
            mask |= after[j] | bit_of.get(j, 0)
        after.append(mask)

    writes: dict[Operation, list[int]] = {}
    for w in writers:
        for ref in ops[w].inputs[: ops[w].writes]:
            writes.setdefault(ref.op, []).append(w)
    for variable, at in writes.items():
        for a, b in zip(at, at[1:], strict=False):
            if not after[b] & bit_of[a]:
                _refuse_unordered(variable, ops[a], ops[b])

    aliases = _aliases(ops)
    users: dict[int, set[int]] = {w: set() for w in writers}
    for i, op in enumerate(ops):
        for t in op.inputs:
            if t not in aliases:
                continue
            for w in writes.get(aliases[t], ()):
                if w == i or after[i] & bit_of[w]:
                    continue
                users[w].add(i)
                if t.op is aliases[t] and t not in op.inputs[: op.writes]:
                    before[w].append(i)  # a read is of the value before the writing
    return _Edges(ops, before, users, aliases, writes)


def _refuse_unordered(variable: Operation, a: Operation, b: Operation) -> None:
    raise errors.InvalidArgumentError(
        None,
        b.origin,
        f"variable '{variable.name}' is assigned by '{a.name}' (made at {a.made_at}) "
        f"and by '{b.name}' (made at {b.made_at}) in one run, and nothing orders "
        "the two: put one under control_dependencies of the other, or run them in two runs.",
    )


def _aliases(ops: list[Operation]) -> dict[Tensor, Operation]:
    """The tensors that lie where a variable lies, each with the variable."""
    out: dict[Tensor, Operation] = {}
    for op in ops:
        if op.opdef.writes:
            for ref, t in zip(op.inputs[: op.writes], op.outputs, strict=False):
                out[t] = ref.op
        elif op.outputs and is_variable(op.outputs[0]):
            out[op.outputs[0]] = op  # the place of a variable itself
        elif op.opdef.kind in (Kind.VIEW, Kind.HOST) and op.outputs and op.inputs:
            if op.inputs[0] in out:
                out.update(dict.fromkeys(op.outputs, out[op.inputs[0]]))
    return out


def _is_free(op: Operation) -> bool:
    """Whether the operation needs no instruction: it names a place, looks at one, or is known."""
    return not op.inputs or op.opdef.kind is Kind.VIEW or op.opdef.static is not None


def _list_schedule(edges: _Edges) -> list[int]:
    ops, before, users = edges.ops, edges.before, edges.users
    waiting = [len(edges) for edges in before]
    after: list[list[int]] = [[] for _ in ops]
    for i, first in enumerate(before):
        for j in first:
            after[j].append(i)
    fallible = sum(map(is_fallible, ops))
    # Of what writes nothing: what needs no instruction first, then by the place in the program.
    ready: list[tuple[bool, int]] = []
    writers: list[int] = []

    def make_ready(i: int) -> None:
        if ops[i].opdef.writes:
            writers.append(i)
        else:
            heapq.heappush(ready, (not _is_free(ops[i]), i))

    for i, n in enumerate(waiting):
        if n == 0:
            make_ready(i)
    finished = [False] * len(ops)
    done: list[int] = []
    while ready or writers:
        eager = next(
            (w for w in writers if not fallible and all(finished[u] for u in users[w])), None
        )
        if eager is not None:
            i = eager
            writers.remove(i)
        elif ready:
            i = heapq.heappop(ready)[1]
        else:
            i = min(writers)
            writers.remove(i)
        finished[i] = True
        done.append(i)
        fallible -= is_fallible(ops[i])
        for j in after[i]:
            waiting[j] -= 1
            if waiting[j] == 0:
                make_ready(j)
    if len(done) < len(ops):
        stuck = next(i for i, f in enumerate(finished) if not f)
        raise errors.InvalidArgumentError(
            None,
            ops[stuck].origin,
            f"'{ops[stuck].name}' reads a variable before one assignment and, by its control "
            "dependencies, after another that itself waits for the first: no order satisfies both",
        )
    return done


def _late(edges: _Edges, done: list[int]) -> set[Tensor]:
    """The aliases that somebody takes after the variable was written again."""
    ops, aliases, writes = edges.ops, edges.aliases, edges.writes
    place = {ops[i]: n for n, i in enumerate(done)}
    written_at = {v: sorted(place[ops[w]] for w in at) for v, at in writes.items()}
    late = set()
    for op in ops:
        for t in op.inputs[op.writes :]:
            variable = aliases.get(t)
            if variable is None or t.op is variable:  # who takes the variable itself reads it there
                continue
            if any(place[t.op] < w < place[op] for w in written_at.get(variable, ())):
                late.add(t)
    return late
