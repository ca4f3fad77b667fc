"""The operation ``While``: it repeats a body as long as another holds. Its gradient makes the loop
anew as a scan of as many trips as it took (scans.py)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.body import copy_into
from gradplan.control_flow import sizing
from gradplan.control_flow.bodies import (
    apart,
    call,
    captured_views,
    declare,
    flatten,
    inside,
    make,
    outline,
    pack,
    results,
    shape_leaves,
    shape_values,
    trace,
)
from gradplan.control_flow.counted import trips_of
from gradplan.control_flow.effects import Keep, expose, has_effect, overwritten, quietly, replays
from gradplan.control_flow.enters import entered
from gradplan.control_flow.growing import Findings
from gradplan.control_flow.scans import (
    carried_shapes,
    carry,
    first_marked,
    hand_on,
    invariants,
    replayed,
    scan_gradient,
    scan_loop,
)
from gradplan.control_flow.tensor_array import ROOM, TensorArray, is_empty_array, resized
from gradplan.control_flow.totals import accumulated
from gradplan.gradients import dense_gradients, takes_gradient
from gradplan.graph import Operation, Tensor, at_user_line, get_default_graph
from gradplan.opdef import captured, graph_of
from gradplan.ops.array import identity, shape, zeros_like
from gradplan.ops.constant import convert_to_tensor, require_constant
from gradplan.ops.indexed_slices import Rows, is_of_rows, marks_of, rows_of, whole_of
from gradplan.ops.logic import logical_or

__all__ = ["while_loop"]

_while_rules, *_WHILE = declare(
    "StatelessWhile", "While", "Repeats a body as long as another holds; see :func:`while_loop`."
)


@_while_rules.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    first, n = attrs["writes"], attrs["arguments"]
    body = attrs["bodies"][1]
    if attrs["stepped"]:
        rows = [t._shape for t in body.outputs[n:]]  # of what effects gave in every trip
        return [
            *invariants(body.arguments, body.outputs, in_shapes[first : first + n]),
            *[None if s is None else (None, *s) for s in rows],
            (),
        ]
    values = shape_values(body, first + n, value)
    enters, _ = carried_shapes(body, in_shapes[first:], 0, n, values, exactly=True)
    return [*enters, ()]


@_while_rules.lower
def _(binder: Any, op: Operation) -> None:
    test, body = op.attrs["bodies"]
    carried = carry(binder, op, op.writes, op.attrs["arguments"])
    given = captured_views(binder, op)
    holds = binder.scratch(f"{op.name} predicate", dtypes.bool, ())
    trips = binder.result(op, len(op.outputs) - 1)
    insn = binder.emit_around("while_loop", [trips], [holds])
    start = len(binder.insns)
    binder.copy(holds, inside(binder, op, test, [*carried, *given])[0])
    tested = len(binder.insns) - start
    hand_on(binder, carried, inside(binder, op, body, [*carried, *given]))
    most = op.attrs["most"]
    insn.attrs = [tested, -1 if most is None else most]
    insn.span, insn.around = len(binder.insns) - start, [*carried, *given]
    for i, place in enumerate(carried):
        binder.alias(op, place, i)


@_while_rules.gradient
@entered
def _(op: Operation, *dys: Any) -> Any:
    first, n = op.writes, op.attrs["arguments"]
    trips, written = None, overwritten(op, dys)
    if not op.attrs["stepped"]:
        trips = trips_of(op)
        effects = any([has_effect(o) for o in op.attrs["bodies"][1]._ops])
        if op.graph.outer is not None and trips is None and not effects and not written:
            return _while_gradient_inside(op, dys)
    with op.graph.as_default():
        again = _as_scan(op, op.inputs, expose, written, trips)[0].op
    found = scan_gradient(again, *dys[:n], *[None] * (len(again.outputs) - n))
    out: list[Any] = [None] * len(op.inputs)
    out[first : first + n] = found[1 : 1 + n]
    end = again.attrs["arguments"]
    for t, g in zip(again.inputs[end:], found[end:], strict=True):
        out[op.inputs.index(t, first + n)] = g
    return out


@replays("While")
def _as_scan(
    op: Operation,
    given: Sequence[Tensor],
    keep: Keep,
    written: set[Tensor],
    trips: Tensor | None = None,
) -> Sequence[Tensor]:
    """The results of a loop that makes as many trips, whose number is another, unused argument."""
    first, end = op.writes, op.writes + op.attrs["arguments"]
    made, kept = replayed(op, 1, given[end:], keep, written, [(dtypes.int64, ())])
    made.arguments += kept.values()
    counted = op.outputs[-1]
    trips = keep(counted, counted) if trips is None else trips
    stepped = op.attrs["stepped"]
    outs = scan_loop(
        trips, made, given[first:end], [*kept], "while_again", stepped=stepped, again=op
    )
    return [*outs[: len(op.outputs) - 1], trips]


def _while_gradient_inside(op: Operation, dys: Sequence[Tensor | None]) -> Any:
    """The gradient of a loop within a loop that takes another number of trips every time: nothing
    is kept, what a trip took is computed anew from the start. Time grows with the square of the
    trips, memory not at all."""
    body, end = op.attrs["bodies"][1], op.writes + op.attrs["arguments"]
    initial, taken = op.inputs[op.writes : end], op.inputs[end:]
    floats = [i for i, t in enumerate(initial) if t.dtype.is_floating]
    outer = [i for i, t in enumerate(taken) if takes_gradient(op, t)]

    # What is carried, and its gradients: what enters the loop may be known more closely.
    dims = [t._shape for t in body.arguments]
    every_trip = [shapes.TensorShape(s) for s in ((), *dims)]

    def again(trip: Tensor, *carried: Tensor) -> Any:
        inner = get_default_graph()
        inside = [*carried, *[captured(inner, t) for t in taken]]
        stand_ins = dict(zip(body.inputs, inside, strict=True))
        return trip + 1, *copy_into(inner, body, stand_ins, replace=quietly)

    markable = [i for i in outer if taken[i]._shape]
    reached: set[int] = set()  # those in outer on which something depends
    alone: set[int] = set()  # and of which rows alone are taken

    def back(trips: Tensor, *rest: Tensor) -> Any:
        inner = get_default_graph()
        around = [captured(inner, t) for t in taken]
        start = [np.int64(0), *[captured(inner, t) for t in initial]]
        _, *before = while_loop(lambda trip, *_: trip < trips - 1, again, start, every_trip)
        carried = [identity(t) for t in before]
        stand_ins = dict(zip(body.inputs, [*carried, *around], strict=True))
        outs = copy_into(inner, body, stand_ins, replace=quietly)
        xs = [carried[i] for i in floats] + [around[i] for i in outer]
        # what led to this trip is for the trips before it
        found = dense_gradients(
            [outs[i] for i in floats], xs, rest[: len(floats)], stop_gradients=before
        )
        marks = dict(zip(markable, rest[len(xs) :], strict=True))
        totals = list(rest[len(floats) : len(xs)])
        for k, (i, g) in enumerate(zip(outer, found[len(floats) :], strict=True)):
            if g is not None:
                reached.add(i)
                totals[k] = accumulated(totals[k], g)
            if i in marks and g is not None and is_of_rows(g):
                alone.add(i)
                marks[i] = logical_or(marks[i], marks_of(rows_of(g), marks[i]))
        d_in = [
            zeros_like(x) if g is None else g
            for x, g in zip(xs[: len(floats)], found, strict=False)
        ]
        return trips - 1, *d_in, *totals, *marks.values()

    with op.graph.as_default():
        first = [zeros_like(op.outputs[i]) if dys[i] is None else dys[i] for i in floats]
        sums = [zeros_like(taken[i]) for i in outer]
        marks = [first_marked(taken[i]) for i in markable]
        start: list[Tensor] = [op.outputs[-1], *first, *sums, *marks]  # type: ignore[list-item]
        known = [t._shape for t in start]
        known[1 : 1 + len(first)] = [dims[i] for i in floats]
        types = [(t.dtype, s) for t, s in zip(start, known, strict=True)]
        made, returned = trace(op.graph, back, types, "back")
        results(made, returned)
        carried = len(start) - len(marks)  # and the marks of tables of which rows alone are taken
        kept = [*range(1 + len(floats))]
        kept += [1 + len(floats) + k for k, i in enumerate(outer) if i in reached]
        kept += [carried + k for k, i in enumerate(markable) if i in alone]

        def step(*given: Tensor) -> Any:
            inner = get_default_graph()
            stand_ins = {captured(made, t): captured(inner, t) for t in made.captures}
            stand_ins |= {made.arguments[k]: t for k, t in zip(kept, given, strict=True)}
            return copy_into(inner, made, stand_ins, [made.outputs[k] for k in kept])

        invariants = [shapes.TensorShape(known[k]) for k in kept]
        _, *found = while_loop(
            lambda trips, *_: trips > 0, step, [start[k] for k in kept], invariants
        )
        marked = dict(zip(sorted(alone), found[len(floats) + len(reached) :], strict=True))
        of_xs = [op.writes + i for i in floats] + [end + i for i in sorted(reached)]
        out: list[Any] = [None] * len(op.inputs)
        for i, g in zip(of_xs, found, strict=False):
            out[i] = None if is_empty_array(op.inputs[i]) else g
        for i, mark in marked.items():
            out[end + i] = whole_of(
                Rows(None, None, shape(taken[i]), rest=out[end + i], marked=mark)
            )
    return out


def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    shape_invariants: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
    maximum_iterations: Any = None,
    return_same_structure: bool = False,
) -> Any:
    """Repeat ``body`` as long as ``cond`` holds.

    Parameters
    ----------
    cond : callable
        ``cond(*loop_vars)`` gives a bool scalar.
    body : callable
        ``body(*loop_vars)`` gives new loop variables, of the same types, and of shapes that the
        invariants allow.
    loop_vars : list or tuple, nested
        Of tensors, arrays or numbers: what the first trip takes.
    shape_invariants : same structure of TensorShape, optional
        What is known of the shapes in every trip: None for a dimension that may change. Those of a
        TensorArray are not looked at. Default: the static shapes of ``loop_vars``.
    parallel_iterations, back_prop, swap_memory : optional
        Accepted as in TensorFlow 1; they change nothing here.
    name : str, optional
    maximum_iterations : int, optional
    return_same_structure : bool, optional
        Whether one loop variable comes back in its list. Default: False.

    Returns
    -------
    Same structure as what ``body`` returns
        What the loop variables are at the end; a single one by itself.


    Raises
    ------
    TypeError
        If ``cond`` or ``body`` is not callable, or a type changes.
    ValueError
        If there are no loop variables, the structure changes, or a shape does where no invariant
        allows it.
    InvalidArgumentError
        In a run where a shape turns out to be none that the invariants allow.

    Notes
    -----
    A loop whose shapes stay as they are runs inside the plan. One whose shapes change, or in which
    a shape depends on what a trip computes, has a plan of its body for each shape that it meets;
    Python makes these when they are met first, and has nothing to do with the trips after that.

    A variable is read in every trip as the trips before have left it, so a body may train.

    To be differentiated the loop is run again with what every trip took kept: memory grows with the
    number of trips. One that counts to a constant or a size keeps that as it runs, and need not be
    run again. Another one within a loop of the plan is run again for every trip instead. No
    variable is written twice, nor Python called: what that gave is kept, by a loop with plans of
    its own.

    Examples
    --------
    >>> import gradplan as gp
    >>> i, total = gp.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), [0, 0])
    >>> print(gp.Session().run(total))
    10
    >>> grown = gp.while_loop(
    ...     lambda m: gp.size(m) < 5,
    ...     lambda m: gp.concat([m, m * 10], 0),
    ...     [gp.constant([1])],
    ...     shape_invariants=[gp.TensorShape([None])],
    ... )
    >>> gp.Session().run(grown)
    array([   1,   10,   10,  100,   10,  100,  100, 1000], dtype=int32)
    """
    if not callable(cond) or not callable(body):
        raise TypeError(at_user_line("while_loop: cond and body must be callable"))
    like = flatten(loop_vars)
    flat = [x.value if isinstance(x, TensorArray) else x for x in like]
    dynamic = [i for i, x in enumerate(like) if isinstance(x, TensorArray) and x.dynamic]
    if not flat:
        raise ValueError(at_user_line("while_loop: No loop variables provided"))
    several = isinstance(loop_vars, (list, tuple))
    graph = graph_of([x for x in flat if isinstance(x, Tensor)] or [get_default_graph()])
    with graph.as_default(), graph.name_scope(name or "while"):
        initial = [convert_to_tensor(x) for x in flat]
        wanted = [t._shape for t in initial]
        if shape_invariants is not None:
            wanted = [
                t._shape if isinstance(x, TensorArray) else shapes.as_shape(s)
                for x, t, s in zip(
                    like, initial, shape_leaves(shape_invariants, len(flat)), strict=True
                )
            ]
        for i in dynamic:
            dims = wanted[i]
            wanted[i] = None if dims is None else (None, *dims[1:])
            with graph.name_scope(ROOM):
                initial.append(like[i].size())
            wanted.append(())
        for t, s in zip(initial, wanted, strict=True):
            if shapes.merge(t._shape, s) is False and not is_empty_array(t):
                raise ValueError(
                    at_user_line(
                        f"while_loop: The shape invariant specified for {t.name} is not compatible "
                        f"with the initial shape of the loop variable. It enters the loop with "
                        f"shape {shapes.text(t._shape)}, but the specified shape invariant is "
                        f"{shapes.text(s)}"
                    )
                )
        arguments = [
            (t.dtype, None if is_empty_array(t) else s)
            for t, s in zip(initial, wanted, strict=True)
        ]

        def with_structure(function: Callable[..., Any]) -> Callable[..., Any]:
            def of_leaves(*leaves: Tensor) -> Any:
                given = pack(loop_vars, _wrapped(like, leaves))
                return function(*given) if several else function(given)

            return of_leaves

        counts = maximum_iterations is not None  # as the first of the loop variables
        if counts:
            graph.reserve("maximum_iterations", "iteration_counter")
        merges, identities = (
            ([name] * len(arguments), [name] * counts) for name in ("Merge", "Identity")
        )
        test, holds = call(graph, with_structure(cond), arguments, *merges, ["Less"] * counts)
        graph.reserve(*["LogicalAnd"] * counts)
        results(test, [holds])
        if test.outputs[0].dtype is not dtypes.bool or test.outputs[0]._shape not in ((), None):
            raise TypeError(at_user_line(f"while_loop: cond must give a bool scalar, not {holds}"))
        inside, returned = call(
            graph, with_structure(body), arguments, *identities, ["add"] * counts
        )
        given = flatten(returned)
        leaves = [x.value if isinstance(x, TensorArray) else x for x in given]
        one = several and len(loop_vars) == 1 and not isinstance(returned, (list, tuple))
        if len(leaves) != len(flat) or not one and outline(returned) != outline(loop_vars):
            raise ValueError(
                at_user_line(
                    "while_loop: The two structures don't have the same nested structure: loop "
                    f"variables {loop_vars!r}, body returned {returned!r}"
                )
            )
        for i in dynamic:
            if not isinstance(given[i], TensorArray) or not given[i].dynamic:
                raise TypeError(
                    at_user_line(
                        f"while_loop: loop variable {i} is a TensorArray of dynamic size, but the "
                        f"body returned {given[i]!r} for it"
                    )
                )
        with inside.as_default(), inside.name_scope(ROOM):
            leaves += [given[i].size() for i in dynamic]
        results(
            inside,
            leaves,
            [
                t.dtype if not isinstance(x, Tensor) else None
                for t, x in zip(initial, leaves, strict=True)
            ],
        )
        for i, (a, b) in enumerate(zip(initial, inside.outputs, strict=True)):
            if a.dtype is not b.dtype:
                raise TypeError(
                    at_user_line(
                        f"while_loop: loop variable {i} enters with type {a.dtype.name} and leaves "
                        f"the body with type {b.dtype.name}"
                    )
                )
        n = len(flat)
        if test.trip_number is not None or inside.trip_number is not None:
            for part in (test, inside):
                part.arguments.insert(n, part.trip())  # type: ignore[arg-type]
            with inside.as_default():
                inside.outputs.insert(n, convert_to_tensor(inside.trip() + 1))  # type: ignore[operator]
            initial.insert(n, convert_to_tensor(np.int64(0)))
            wanted.insert(n, ())
            n += 1
        most = None
        if maximum_iterations is not None:
            most = int(require_constant(maximum_iterations, "maximum_iterations"))
        sizes = list(range(n, len(initial)))
        exact = all(like[i].is_exact and sizing.passes(inside, i) for i in dynamic)
        chosen = None
        if not exact and all(like[i].is_exact for i in dynamic):
            chosen = sizing.chosen(test, inside, dynamic, sizes)
        if chosen is not None:
            exact = True
            first = [initial[i] for i in chosen]
            parts = [
                sizing.part_of(graph, test, chosen, test.outputs),
                sizing.part_of(graph, inside, chosen, [inside.outputs[i] for i in chosen]),
            ]
            kinds = [*[t.dtype for t in first], dtypes.int64]
            with graph.name_scope(ROOM):
                counted = make(_WHILE, parts, first, kinds, "Size", most=most)
                for i, k in zip(dynamic, sizes, strict=True):
                    initial[i] = resized(initial[i], counted[chosen.index(k)])
            inside = sizing.with_room(graph, inside, dynamic)
            del initial[sizing.taken(test, inside, n) :]
            kept = len(initial)
            del test.arguments[kept:], inside.arguments[kept:], inside.outputs[kept:], wanted[kept:]
        bound = [a == b for a, b in zip(wanted, [t._shape for t in initial], strict=True)]

        def grows(found: Findings, benefit: bool) -> bool:
            changing = zip(initial, inside.arguments, found.changes(bound, benefit), strict=True)
            return any(change and _may_change(t, argument) for t, argument, change in changing)

        changing = grows if any(map(_may_change, initial, inside.arguments)) else None
        types = [*[t.dtype for t in initial], dtypes.int64]
        outs = make(_WHILE, [test, inside], initial, types, "Exit", changing, initial, most=most)
        ends = [*outs[: len(flat)], *([] if exact else outs[n:-1])]
        ends = apart(ends, counted=most is not None)
    out = pack([returned] if one else returned, _wrapped(like, ends))
    if several and (one or len(flat) == 1) and not return_same_structure:
        return out[0]
    return out


def _may_change(initial: Tensor, argument: Tensor) -> bool:
    """Whether the shape of a loop variable is allowed to change."""
    dims = argument._shape
    return not is_empty_array(initial) and (dims is None or None in dims)


def _wrapped(like: Sequence[Any], leaves: Sequence[Tensor]) -> list[Any]:
    """The loop variables as the functions see them: arrays as :class:`TensorArray`, with their
    sizes if these come after all variables."""
    sizes = iter(leaves[len(like) :])
    return [
        x.holding(t, next(sizes, None) if x.dynamic else None) if isinstance(x, TensorArray) else t
        for x, t in zip(like, leaves, strict=False)
    ]
