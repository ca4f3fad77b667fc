"""The operation ``Scan``: it repeats a body as often as is known before. A trip takes a row of each
of its stacks, and gives a row of others. Its gradient is a scan in the other direction."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from gradplan import dtypes, shapes
from gradplan.bind import evaluate
from gradplan.body import Body, copy_into
from gradplan.control_flow.bodies import (
    captured_views,
    declare,
    inside,
    make,
    results,
    shape_values,
    trace,
)
from gradplan.control_flow.effects import Given, Keep, Kept, expose, overwritten, replays
from gradplan.control_flow.enters import entered
from gradplan.control_flow.tensor_array import is_empty_array
from gradplan.control_flow.totals import accumulated
from gradplan.gradients import dense_gradients, flows_into, takes_gradient
from gradplan.graph import Operation, Tensor, get_default_graph
from gradplan.opdef import captured
from gradplan.ops.array import shape, zeros_like
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.indexed_slices import (
    Rows,
    flat_rows,
    is_of_rows,
    marks_of,
    row_of_each,
    rows_of,
    whole_of,
)
from gradplan.ops.logic import logical_not, logical_or
from gradplan.ops.slicing import concat

_scan_rules, *_SCAN = declare(
    "StatelessScan", "Scan", "Repeats a body over rows of tensors; see :func:`scan`."
)


def carry(binder: Any, op: Operation, first: int, n: int) -> list[Any]:
    """Places for what goes from trip to trip, holding what the first trip takes."""
    out = []
    for i, t in enumerate(op.inputs[first : first + n]):
        view, dims = binder.view(t), binder.shape(op.outputs[i])
        place = binder.scratch(f"{op.name} carried", view.dtype, dims)
        if view.dims == dims:
            binder.copy(place, view)
        else:  # an array of which only the first trip tells the shape
            binder.emit("fill_zero", [place], [])
        out.append(place)
    return out


def hand_on(binder: Any, carried: Sequence[Any], results: Sequence[Any]) -> None:
    """The results of a trip become what the next one takes: all at once, as far as can be seen."""
    places = [c.storage for c in carried]
    kept = [
        binder.copied(r) if r.storage in places and r is not c else r
        for c, r in zip(carried, results, strict=True)
    ]
    for c, r in zip(carried, kept, strict=True):
        if r is not c:
            binder.copy(c, r)


def carried_shapes(
    body: Body, inputs: Sequence[Any], first: int, n: int, value: Any, exactly: bool = False
) -> tuple[list[Any], list[Any]]:
    """The shapes of what is carried, inputs [first, first + n) of the body, and of its results.

    A new array (tensor_array.py) has rows of size 0 till something is written. ``exactly`` refuses
    a shape of which less is known after a trip than before.
    """
    inputs = list(inputs)
    found = body.shapes(body.inputs, inputs, value, evaluate)
    new = [
        i
        for i, (a, b) in enumerate(zip(inputs[first : first + n], found, strict=False))
        if a is not None and len(a) == 2 and a[1] == 0 and b != a
    ]
    for i in new:
        rows = found[i]
        inputs[first + i] = None if rows is None else (inputs[first + i][0], *rows[1:])  # type: ignore[index]
    if new:
        found = body.shapes(body.inputs, inputs, value, evaluate)
    enters = inputs[first : first + n]
    same_shapes(enters, found[:n], exactly)
    return enters, found


def same_shapes(enters: Sequence[Any], leaves: Sequence[Any], exactly: bool = False) -> None:
    for i, (a, b) in enumerate(zip(enters, leaves, strict=True)):
        vague = None not in (a, b) and None not in a and None in b
        if shapes.merge(a, b) is False or exactly and vague:
            raise ValueError(
                f"the shape of loop variable {i} is not an invariant for the loop. It enters the "
                f"loop with shape {shapes.text(a)}, but has shape {shapes.text(b)} after one "
                "iteration. Provide shape invariants using the shape_invariants argument of "
                "while_loop, with None for a size that changes"
            )


def invariants(
    arguments: Sequence[Tensor], outputs: Sequence[Tensor], starts: Sequence[Any]
) -> list[Any]:
    """What is known in every trip of the shapes of what a loop carries that no plan holds."""
    enters = [t._shape for t in arguments]
    leaves = [t._shape for t in outputs[: len(enters)]]
    same_shapes(enters, leaves)
    return [
        (None, *b[1:]) if a is None and b and start and start[1:] == (0,) else a  # a new array
        for a, b, start in zip(enters, leaves, starts, strict=True)
    ]


def scan_loop(
    trips: Any,
    body: Body,
    initial: Sequence[Tensor],
    stacks: Sequence[Tensor],
    name: str,
    reverse: bool = False,
    stepped: bool = False,
    again: Operation | None = None,
) -> Sequence[Tensor]:
    """A ``Scan``: what is carried at the end, the stacked rows of the body's other results, and for
    every trip what it took of what is carried.

    Parameters
    ----------
    trips : Tensor of int64, shape []
        Taken from the stacks instead, where there are any.
    body : Body
        ``(number of the trip, *carried, *rows of the stacks) -> (*carried, *rows)``.
    initial, stacks : sequence of Tensor
    name : str
    reverse : bool, optional
        Whether the last rows come first.
    stepped : bool, optional
        Whether shapes change from trip to trip; rows are then of different shapes, and what is
        stacked can be taken by such scans alone.
    again : Operation, optional
        The loop of which this is what it does once more, with what every trip took kept.
    """
    n = len(initial)
    types = [t.dtype for t in (*body.outputs, *initial)]
    arguments = [convert_to_tensor(trips, dtypes.int64), *initial, *stacks]
    attrs: dict[str, Any] = {"carried": n, "reverse": reverse, "again": again}
    return make(_SCAN, [body], arguments, types, name, stepped=stepped, **attrs)


@_scan_rules.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    first, n, carried = attrs["writes"], attrs["arguments"], attrs["carried"]
    (body,) = attrs["bodies"]
    enters, stacks = (
        in_shapes[first + 1 : first + 1 + carried],
        in_shapes[first + 1 + carried : first + n],
    )
    trips = None
    for i, s in enumerate(stacks):
        if s is not None and not s:
            raise ValueError(f"element {i} is a scalar: it has no rows to go through")
        if s is None or s[0] is None:
            continue
        if trips not in (None, s[0]):
            raise ValueError(f"the elements have {trips} and {s[0]} rows")
        trips = s[0]
    if attrs["stepped"]:
        enters = invariants(body.arguments[1 : 1 + carried], body.outputs, enters)
        rows = [*[t._shape for t in body.outputs[carried:]], *enters]
        return [*enters, *[None if s is None else (trips, *s) for s in rows]]
    if not stacks:
        count = value(first)
        trips = None if count is None else int(count)
    rows = [None if s is None else s[1:] for s in stacks]
    values = shape_values(body, first + n, value)
    inputs = [(), *enters, *rows, *in_shapes[first + n :]]
    enters, found = carried_shapes(body, inputs, 1, carried, values)
    stacked = [None if s is None else (trips, *s) for s in (*found[carried:], *enters)]
    return [*enters, *stacked]


@_scan_rules.lower
def _(binder: Any, op: Operation) -> None:
    (body,) = op.attrs["bodies"]
    n, first = op.attrs["carried"], op.writes + 1
    carried = carry(binder, op, first, n)
    given = captured_views(binder, op)
    stacks = [
        binder.contiguous(binder.view(t))
        for t in op.inputs[first + n : op.writes + op.attrs["arguments"]]
    ]
    rows = [binder.scratch(f"{op.name} row", x.dtype, x.dims[1:]) for x in stacks]
    trip = binder.scratch(f"{op.name} trip", dtypes.int64, ())
    wanted = [binder.wanted(op, i) for i in range(n, len(op.outputs))]
    outs = [binder.result(op, n + i) if w else None for i, w in enumerate(wanted)]
    trips = stacks[0].dims[0] if stacks else int(binder.value(op.inputs[op.writes]))
    row_dims = [binder.shape(t)[1:] for t in op.outputs[n:]]
    made = [
        binder.scratch(f"{op.name} result", t.dtype, d)
        for t, d in zip(op.outputs[n:], row_dims, strict=True)
    ]
    insn = binder.emit_around(
        "scan_loop",
        [*outs, *rows, trip],
        [*stacks, *made],
        [trips, len(stacks), op.attrs["reverse"]],
    )
    start = len(binder.insns)
    n_rows = len(made) - n
    for row, view, w in zip(made[n_rows:], carried, wanted[n_rows:], strict=True):
        if w:
            binder.copy(row, view)  # before the trip may overwrite it
    results = inside(binder, op, body, [trip, *carried, *rows, *given])
    for row, view, w in zip(made[:n_rows], results[n:], wanted[:n_rows], strict=True):
        if w:
            binder.copy(row, view)
    hand_on(binder, carried, results[:n])
    insn.span = len(binder.insns) - start
    insn.around = [*carried, *given]
    for i, place in enumerate(carried):
        binder.alias(op, place, i)


@_scan_rules.gradient
@entered
def scan_gradient(op: Operation, *dys: Any) -> Any:
    (body,) = op.attrs["bodies"]
    n, first = op.attrs["carried"], op.writes + 1
    end = op.writes + op.attrs["arguments"]
    initial, stacks, taken = (
        op.inputs[first : first + n],
        op.inputs[first + n : end],
        op.inputs[end:],
    )
    n_rows = len(body.outputs) - n
    history = list(op.outputs[n + n_rows :])
    floats = _connected(op, dys)
    stacked = [i for i, t in enumerate(stacks) if takes_gradient(op, t)]
    outer = [i for i, t in enumerate(taken) if takes_gradient(op, t)]
    if not floats and not any([dy is not None for dy in dys[n : len(body.outputs)]]):
        return [None] * len(op.inputs)  # of what effects gave alone
    with op.graph.as_default():
        d_final = [dys[i] if dys[i] is not None else zeros_like(op.outputs[i]) for i in floats]
        d_rows = [(j, dys[n + j]) for j in range(n_rows) if dys[n + j] is not None]
        d_history = [(i, dys[n + n_rows + i]) for i in floats if dys[n + n_rows + i] is not None]
        elements = [*history, *stacks, *[dy for _, dy in d_rows], *[dy for _, dy in d_history]]
    kept = Kept(op, body, overwritten(op, dys))
    stepped = op.attrs["stepped"]
    markable = [i for i in outer if taken[i]._shape]
    totalled = [*d_final, *[taken[i] for i in outer]]
    arguments = [(dtypes.int64, ()), *[(t.dtype, t._shape) for t in totalled]]
    arguments += [(dtypes.bool, taken[i]._shape[:1]) for i in markable]  # type: ignore[index]
    if stepped:
        arguments[1 : 1 + len(floats)] = [
            (t.dtype, t._shape) for t in [body.arguments[1 + i] for i in floats]
        ]
    arguments += [(t.dtype, None if t._shape is None else t._shape[1:]) for t in elements]
    reached: list[list[int]] = []  # of stacked and of outer, those on which something depends
    alone: dict[int, Rows] = {}  # of those in outer of which rows alone are taken

    def back(trip: Tensor, *rest: Tensor) -> Any:
        inner = get_default_graph()
        parts = iter(rest)

        def take(count: int) -> list[Tensor]:
            return [next(parts) for _ in range(count)]

        d_carried, totals = take(len(floats)), dict(zip(outer, take(len(outer)), strict=True))
        marks = dict(zip(markable, take(len(markable)), strict=True))
        carried, rows = take(n), take(len(stacks))
        d_made, d_took = take(len(d_rows)), take(len(d_history))
        around = [captured(inner, t) for t in taken]
        inside = [trip, *carried, *rows, *around]
        stand_ins = dict(zip(body.inputs, inside, strict=True))
        outs = copy_into(inner, body, stand_ins, replace=kept.replace)
        ys = [outs[i] for i in floats] + [outs[n + j] for j, _ in d_rows]
        xs = [carried[i] for i in floats] + [rows[i] for i in stacked] + [around[i] for i in outer]
        found = dense_gradients(ys, xs, [*d_carried, *d_made])
        of_rows = len(floats), len(floats) + len(stacked)
        d_in = [
            zeros_like(carried[i]) if g is None else g
            for i, g in zip(floats, found[: of_rows[0]], strict=True)
        ]
        for (i, _), more in zip(d_history, d_took, strict=True):
            d_in[floats.index(i)] += more
        d_stacked = _found(stacked, found[slice(*of_rows)])
        d_outer = _found(outer, found[of_rows[1] :])
        reached.extend([[*d_stacked], [*d_outer]])
        for i, g in d_outer.items():
            if is_of_rows(g):
                mine = rows_of(g)
                if stepped and i in marks:  # which gives other numbers of rows in every trip
                    mark = marks_of(mine, marks[i])
                    mine = Rows(None, None, mine.whole, rest=g, marked=mark)
                if i in marks or mine.marked is None and not stepped:
                    alone[i] = mine
        whole = {**d_outer, **{i: rows.rest for i, rows in alone.items()}}
        return (
            *d_in,
            *[accumulated(totals[i], g) for i, g in whole.items() if g is not None],
            *[logical_or(marks[i], r.marked) for i, r in alone.items() if r.marked is not None],
            *d_stacked.values(),
            *[x for r in alone.values() if r.values is not None for x in (r.values, r.indices)],
        )

    made, returned = trace(op.graph, back, arguments, "back")  # type: ignore[arg-type]
    results(made, returned)
    more = kept.needed(made)
    made.arguments += [place for _, place in more]
    elements = _used_rows(made, [*elements, *[expose(Given(op, 0, t)) for t, _ in more]])
    summed = [i for i in reached[1] if i not in alone or alone[i].rest is not None]
    marked = [i for i, rows in alone.items() if rows.marked is not None]
    at = 1 + len(floats)
    carried = made.arguments[at : at + len(outer) + len(markable)]
    present = [*[i in summed for i in outer], *[i in marked for i in markable]]
    made.arguments[at : at + len(carried)] = itertools.compress(carried, present)
    with op.graph.as_default():
        trips = op.inputs[op.writes]
        reverse = not op.attrs["reverse"]
        start = [*d_final, *[zeros_like(taken[i]) for i in summed]]
        start += [first_marked(taken[i]) for i in marked]
        outs = iter(scan_loop(trips, made, start, elements, "scan_grad", reverse, stepped))
        out: list[Any] = [None] * len(op.inputs)
        for i in floats:
            d = next(outs)
            out[first + i] = None if is_empty_array(initial[i]) else d
        for i in summed:
            out[end + i] = next(outs)
        marks = {i: next(outs) for i in marked}
        for i in reached[0]:
            out[first + n + i] = next(outs)
        for i, rows in alone.items():
            rows = rows._replace(rest=out[end + i], marked=marks.get(i), whole=shape(taken[i]))
            if rows.values is not None:
                rows = _of_all_trips(rows, next(outs), next(outs), taken[i])
            out[end + i] = whole_of(rows)
    return out


def _connected(op: Operation, dys: Sequence[Tensor | None]) -> list[int]:
    """What of that which is carried has to do with the results that ``dys`` are of."""
    (body,) = op.attrs["bodies"]
    n = op.attrs["carried"]
    floats = [i for i in range(n) if body.outputs[i].dtype.is_floating]
    of_trips = dys[len(body.outputs) :]
    found = {i for i in floats if dys[i] is not None or of_trips[i] is not None}
    while True:
        ends = [
            t for i, t in enumerate(body.outputs) if i in found or i >= n and dys[i] is not None
        ]
        behind = flows_into(ends)
        more = {i for i in floats if i in found or body.arguments[1 + i] in behind}
        if more == found:
            return sorted(found)
        found = more


def _found(numbers: Sequence[int], dxs: Sequence[Tensor | None]) -> dict[int, Tensor]:
    return {i: dx for i, dx in zip(numbers, dxs, strict=True) if dx is not None}


@replays("Scan")
def _(op: Operation, given: Sequence[Tensor], keep: Keep, written: set[Tensor]) -> Any:
    first, end = op.writes + 1, op.writes + op.attrs["arguments"]
    stacks, n = given[first:end], op.attrs["carried"]
    made, kept = replayed(op, 0, given[end:], keep, written)
    made.arguments += kept.values()
    return scan_loop(
        given[first - 1],
        made,
        stacks[:n],
        [*stacks[n:], *kept],
        "scan_again",
        op.attrs["reverse"],
        op.attrs["stepped"],
    )


def replayed(
    op: Operation,
    k: int,
    taken: Sequence[Tensor],
    keep: Keep,
    written: set[Tensor],
    before: Sequence[tuple[Any, Any]] = (),
) -> tuple[Body, dict[Tensor, Tensor]]:
    """Body ``k`` of a loop without its effects, in the default graph: ``taken`` stands there for
    what it takes from around it. And rows of what the effects gave, with what stands for these in
    the body. It has arguments ``before`` those that it has."""
    body = op.attrs["bodies"][k]
    kept = Kept(op, body, written)

    def again(*arguments: Tensor) -> Any:
        inner = get_default_graph()
        around = [captured(inner, t) for t in taken]
        inside = [*arguments[len(before) :], *around]
        stand_ins = dict(zip(body.inputs, inside, strict=True))
        return copy_into(inner, body, stand_ins, replace=kept.replace)

    types = [*before, *[(t.dtype, t._shape) for t in body.arguments]]
    made, returned = trace(get_default_graph(), again, types, "again")
    results(made, returned)
    return made, {keep(Given(op, k, t), place, None): place for t, place in kept.needed(made)}


def _of_all_trips(rows: Rows, values: Tensor, indices: Tensor, table: Tensor) -> Rows:
    """``rows`` with what all trips give to them.

    A row 0 of zeros is the first, as in TensorFlow 1, whose optimizers change row 0 for it.
    """
    nothing = zeros_like(table[:1])
    values, indices = flat_rows(values, indices, rows.whole, table._shape)
    indices = concat([zeros_like(row_of_each(nothing), indices.dtype), indices], 0)
    return rows._replace(values=concat([nothing, values], 0), indices=indices)


def first_marked(table: Tensor) -> Tensor:
    """A bool for each row of a table, true for row 0 alone: which rows count before a loop."""
    return concat([logical_not(row_of_each(table[:1])), row_of_each(table[1:])], 0)


def _used_rows(body: Body, stacks: Sequence[Tensor]) -> list[Tensor]:
    """Drop the last arguments of a body that nothing in it takes: which of ``stacks`` remain."""
    taken = {t for op in body._ops for t in op.inputs} | set(body.outputs)
    first = len(body.arguments) - len(stacks)
    rows = body.arguments[first:]
    body.arguments[first:] = [t for t in rows if t in taken]
    return [s for s, t in zip(stacks, rows, strict=True) if t in taken]
