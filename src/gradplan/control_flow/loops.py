"""The operations ``While`` and ``Scan``, and their gradients.

``While`` repeats a body as long as another holds. ``Scan`` repeats one as often as is known before:
a trip takes a row of each of its stacks, and gives a row of others. The gradient of a scan is a
scan in the other direction; that of ``While`` makes the loop anew as a scan of as many trips as it
took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.bind import evaluate
from gradplan.body import Body, copy_into
from gradplan.control_flow import sizing
from gradplan.control_flow.bodies import (
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
from gradplan.control_flow.growing import Findings, changes, depends_on_values
from gradplan.control_flow.tensor_array import TensorArray, is_empty_array, resized
from gradplan.gradients import dense_gradients
from gradplan.graph import Operation, Tensor, at_user_line, get_default_graph
from gradplan.opdef import captured, graph_of, is_variable
from gradplan.ops.array import identity, zeros_like
from gradplan.ops.constant import convert_to_tensor, require_constant

__all__ = ["while_loop"]

_while_rules, *_WHILE = declare(
    "StatelessWhile", "While", "Repeats a body as long as another holds; see :func:`while_loop`."
)
_scan_rules, *_SCAN = declare(
    "StatelessScan", "Scan", "Repeats a body over rows of tensors; see :func:`scan`."
)


def _carry(binder: Any, op: Operation, first: int, n: int) -> list[Any]:
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


def _hand_on(binder: Any, carried: Sequence[Any], results: Sequence[Any]) -> None:
    """The results of a trip become what the next one takes: all at once, as far as can be seen."""
    places = [c.storage for c in carried]
    kept = [
        binder.copied(r) if r.storage in places and r is not c else r
        for c, r in zip(carried, results, strict=True)
    ]
    for c, r in zip(carried, kept, strict=True):
        if r is not c:
            binder.copy(c, r)


def _carried_shapes(
    body: Body, inputs: Sequence[Any], first: int, n: int, value: Any, exactly: bool = False
) -> tuple[list[Any], list[Any]]:
    """The shapes of what is carried, inputs [first, first + n) of the body, and of its results.

    A new array (tensor_array.py) has rows of size 0 till something is written. ``exactly`` refuses
    a shape of which less is known after a trip than before.
    """
    inputs = list(inputs)
    found = body.shapes(body.inputs, inputs, value, evaluate)
    grown = [
        i
        for i, (a, b) in enumerate(zip(inputs[first : first + n], found, strict=False))
        if a is not None and len(a) == 2 and a[1] == 0 and b not in (None, a)
    ]
    for i in grown:
        inputs[first + i] = (inputs[first + i][0], *found[i][1:])  # type: ignore[index]
    if grown:
        found = body.shapes(body.inputs, inputs, value, evaluate)
    enters = inputs[first : first + n]
    _same_shapes(enters, found[:n], exactly)
    return enters, found


def _same_shapes(enters: Sequence[Any], leaves: Sequence[Any], exactly: bool = False) -> None:
    for i, (a, b) in enumerate(zip(enters, leaves, strict=True)):
        vague = None not in (a, b) and None not in a and None in b
        if shapes.merge(a, b) is False or exactly and vague:
            raise ValueError(
                f"the shape of loop variable {i} is not an invariant for the loop. It enters the "
                f"loop with shape {shapes.text(a)}, but has shape {shapes.text(b)} after one "
                "iteration. Provide shape invariants using the shape_invariants argument of "
                "while_loop, with None for a size that changes"
            )


def _invariants(
    arguments: Sequence[Tensor], outputs: Sequence[Tensor], starts: Sequence[Any]
) -> list[Any]:
    """What is known in every trip of the shapes of what a loop carries that runs from Python."""
    enters = [t._shape for t in arguments]
    leaves = [t._shape for t in outputs[: len(enters)]]
    _same_shapes(enters, leaves)
    return [
        (None, *b[1:]) if a is None and b and start and start[1:] == (0,) else a  # a new array
        for a, b, start in zip(enters, leaves, starts, strict=True)
    ]


@_while_rules.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    first, n = attrs["writes"], attrs["arguments"]
    body = attrs["bodies"][1]
    if attrs["stepped"]:
        return [*_invariants(body.arguments, body.outputs, in_shapes[first : first + n]), ()]
    values = shape_values(body, first + n, value)
    enters, _ = _carried_shapes(body, in_shapes[first:], 0, n, values, exactly=True)
    return [*enters, ()]


@_while_rules.lower
def _(binder: Any, op: Operation) -> None:
    test, body = op.attrs["bodies"]
    carried = _carry(binder, op, op.writes, op.attrs["arguments"])
    given = captured_views(binder, op)
    holds = binder.scratch(f"{op.name} predicate", dtypes.bool, ())
    trips = binder.result(op, len(op.outputs) - 1)
    insn = binder.emit("while_loop", [trips], [holds])
    start = len(binder.insns)
    binder.copy(holds, inside(binder, op, test, [*carried, *given])[0])
    tested = len(binder.insns) - start
    _hand_on(binder, carried, inside(binder, op, body, [*carried, *given]))
    most = op.attrs["most"]
    insn.attrs = [tested, -1 if most is None else most]
    insn.span, insn.around = len(binder.insns) - start, [*carried, *given]
    for i, place in enumerate(carried):
        binder.alias(op, place, i)


@_while_rules.gradient
def _(op: Operation, *dys: Any) -> Any:
    first, n = op.writes, op.attrs["arguments"]
    if op.attrs["bodies"][1].has_effects:
        raise LookupError(
            f"the loop '{op.name}' (made at {op.made_at}) writes variables, draws random numbers "
            "or calls Python: to be differentiated it is run again, which would do so twice"
        )
    if op.graph.outer is not None and not op.attrs["stepped"]:
        return _while_gradient_inside(op, dys)
    body = _as_scan(op)
    initial, stepped = op.inputs[first : first + n], op.attrs["stepped"]
    again = scan_loop(op.outputs[-1], body, initial, [], "while_again", stepped=stepped)
    given = [*dys[:-1], *[None] * (len(again) - n)]
    found = _scan_gradient(again[0].op, *given)
    out: list[Any] = [None] * len(op.inputs)
    out[first : first + n] = found[1 : 1 + n]
    for t, g in zip(again[0].op.inputs[1 + n :], found[1 + n :], strict=True):
        out[op.inputs.index(t, first + n)] = g
    return out


def _while_gradient_inside(op: Operation, dys: Sequence[Tensor | None]) -> Any:
    """The gradient of a loop within a loop, which takes another number of trips every time: nothing
    is kept, what a trip took is computed anew from the start. Time grows with the square of the
    trips, memory not at all."""
    body, end = op.attrs["bodies"][1], op.writes + op.attrs["arguments"]
    initial, taken = op.inputs[op.writes : end], op.inputs[end:]
    floats = [i for i, t in enumerate(initial) if t.dtype.is_floating]
    outer = [i for i, t in enumerate(taken) if t.dtype.is_floating and not is_variable(t)]

    def again(trip: Tensor, *carried: Tensor) -> Any:
        inner = get_default_graph()
        inside = [*carried, *[captured(inner, t) for t in taken]]
        return trip + 1, *copy_into(inner, body, dict(zip(body.inputs, inside, strict=True)))

    def back(trips: Tensor, *rest: Tensor) -> Any:
        inner = get_default_graph()
        around = [captured(inner, t) for t in taken]
        start = [np.int64(0), *[captured(inner, t) for t in initial]]
        _, *before = while_loop(lambda trip, *_: trip < trips - 1, again, start)
        carried = [identity(t) for t in before]
        outs = copy_into(inner, body, dict(zip(body.inputs, [*carried, *around], strict=True)))
        xs = [carried[i] for i in floats] + [around[i] for i in outer]
        # what led to this trip is for the trips before it
        found = dense_gradients(
            [outs[i] for i in floats], xs, rest[: len(floats)], stop_gradients=before
        )
        found = [zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)]
        totals = [
            total + g for total, g in zip(rest[len(floats) :], found[len(floats) :], strict=True)
        ]
        return trips - 1, *found[: len(floats)], *totals

    with op.graph.as_default():
        first = [zeros_like(op.outputs[i]) if dys[i] is None else dys[i] for i in floats]
        sums = [zeros_like(taken[i]) for i in outer]
        start = [op.outputs[-1], *first, *sums]
        _, *found = while_loop(lambda trips, *_: trips > 0, back, start)
    out: list[Any] = [None] * len(op.inputs)
    for i, g in zip([op.writes + i for i in floats] + [end + i for i in outer], found, strict=True):
        out[i] = None if is_empty_array(op.inputs[i]) else g
    return out


def _as_scan(op: Operation) -> Body:
    """The body of a while loop with the trip's number as another, unused first argument."""
    body, taken = op.attrs["bodies"][1], op.inputs[op.writes + op.attrs["arguments"] :]
    arguments = [(dtypes.int64, ()), *[(t.dtype, t._shape) for t in body.arguments]]

    def again(trip: Tensor, *carried: Tensor) -> Any:
        inner = get_default_graph()
        inside = [*carried, *[captured(inner, t) for t in taken]]
        stand_ins = dict(zip(body.inputs, inside, strict=True))
        return copy_into(inner, body, stand_ins)

    made, returned = trace(op.graph, again, arguments, "again")  # type: ignore[arg-type]
    results(made, returned)
    return made


def scan_loop(
    trips: Any,
    body: Body,
    initial: Sequence[Tensor],
    stacks: Sequence[Tensor],
    name: str,
    reverse: bool = False,
    stepped: bool = False,
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
    """
    n = len(initial)
    types = [t.dtype for t in (*body.outputs, *initial)]
    arguments = [convert_to_tensor(trips, dtypes.int64), *initial, *stacks]
    attrs: dict[str, Any] = {"carried": n, "reverse": reverse}
    grows = (lambda found, closely: True) if stepped else None
    return make(_SCAN, [body], arguments, types, name, grows, **attrs)


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
        enters = _invariants(body.arguments[1 : 1 + carried], body.outputs, enters)
        rows = [*[t._shape for t in body.outputs[carried:]], *enters]
        return [*enters, *[None if s is None else (trips, *s) for s in rows]]
    if not stacks:
        count = value(first)
        trips = None if count is None else int(count)
    rows = [None if s is None else s[1:] for s in stacks]
    values = shape_values(body, first + n, value)
    inputs = [(), *enters, *rows, *in_shapes[first + n :]]
    enters, found = _carried_shapes(body, inputs, 1, carried, values)
    stacked = [None if s is None else (trips, *s) for s in (*found[carried:], *enters)]
    return [*enters, *stacked]


@_scan_rules.lower
def _(binder: Any, op: Operation) -> None:
    (body,) = op.attrs["bodies"]
    n, first = op.attrs["carried"], op.writes + 1
    carried = _carry(binder, op, first, n)
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
    insn = binder.emit(
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
    _hand_on(binder, carried, results[:n])
    insn.span = len(binder.insns) - start
    insn.around = [*carried, *given]
    for i, place in enumerate(carried):
        binder.alias(op, place, i)


@_scan_rules.gradient
def _scan_gradient(op: Operation, *dys: Any) -> Any:
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
    floats = [i for i, t in enumerate(initial) if t.dtype.is_floating]
    stacked = [i for i, t in enumerate(stacks) if t.dtype.is_floating]
    outer = [i for i, t in enumerate(taken) if t.dtype.is_floating and not is_variable(t)]
    with op.graph.as_default():
        d_final = [dys[i] if dys[i] is not None else zeros_like(op.outputs[i]) for i in floats]
        d_rows = [(j, dys[n + j]) for j in range(n_rows) if dys[n + j] is not None]
        d_history = [(i, dys[n + n_rows + i]) for i in floats if dys[n + n_rows + i] is not None]
        sums = [zeros_like(taken[i]) for i in outer]
        elements = [*history, *stacks, *[dy for _, dy in d_rows], *[dy for _, dy in d_history]]
    stepped = op.attrs["stepped"]
    arguments = [(dtypes.int64, ()), *[(t.dtype, t._shape) for t in (*d_final, *sums)]]
    if stepped:
        arguments[1 : 1 + len(floats)] = [
            (t.dtype, t._shape) for t in [body.arguments[1 + i] for i in floats]
        ]
    arguments += [(t.dtype, None if t._shape is None else t._shape[1:]) for t in elements]

    def back(trip: Tensor, *rest: Tensor) -> Any:
        inner = get_default_graph()
        parts = iter(rest)

        def take(count: int) -> list[Tensor]:
            return [next(parts) for _ in range(count)]

        d_carried, totals = take(len(floats)), take(len(outer))
        carried, rows = take(n), take(len(stacks))
        d_made, d_took = take(len(d_rows)), take(len(d_history))
        around = [captured(inner, t) for t in taken]
        inside = [trip, *carried, *rows, *around]
        outs = copy_into(inner, body, dict(zip(body.inputs, inside, strict=True)))
        ys = [outs[i] for i in floats] + [outs[n + j] for j, _ in d_rows]
        xs = [carried[i] for i in floats] + [rows[i] for i in stacked] + [around[i] for i in outer]
        found = dense_gradients(ys, xs, [*d_carried, *d_made])
        found = [zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)]
        d_in = found[: len(floats)]
        for (i, _), more in zip(d_history, d_took, strict=True):
            d_in[floats.index(i)] += more
        mine = found[len(floats) + len(stacked) :]
        return (
            *d_in,
            *[total + g for total, g in zip(totals, mine, strict=True)],
            *found[len(floats) : len(floats) + len(stacked)],
        )

    made, returned = trace(op.graph, back, arguments, "back")  # type: ignore[arg-type]
    results(made, returned)
    elements = _used_rows(made, elements)
    with op.graph.as_default():
        trips = op.inputs[op.writes]
        reverse = not op.attrs["reverse"]
        start = [*d_final, *sums]
        outs = scan_loop(trips, made, start, elements, "scan_grad", reverse, stepped)
    out: list[Any] = [None] * len(op.inputs)
    for k, i in enumerate(floats):
        out[first + i] = None if is_empty_array(initial[i]) else outs[k]
    for k, i in enumerate(outer):
        out[end + i] = outs[len(floats) + k]
    for k, i in enumerate(stacked):
        out[first + n + i] = outs[len(floats) + len(outer) + k]
    return out


def _used_rows(body: Body, stacks: Sequence[Tensor]) -> list[Tensor]:
    """Drop the last arguments of a body that nothing in it takes: which of ``stacks`` remain."""
    taken = {t for op in body._ops for t in op.inputs} | set(body.outputs)
    first = len(body.arguments) - len(stacks)
    rows = body.arguments[first:]
    body.arguments[first:] = [t for t in rows if t in taken]
    return [s for s, t in zip(stacks, rows, strict=True) if t in taken]


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
    Same structure as ``loop_vars``
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
    A loop whose shapes stay as they are runs inside the plan, without Python. One whose shapes
    change, or in which a shape depends on what a trip computes, runs from Python, and its body is
    bound for each shape that it meets.

    To be differentiated the loop is run again with what every trip took kept: memory grows with the
    number of trips. A loop inside the plan within a loop is run again for every trip instead.

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
            def call(*leaves: Tensor) -> Any:
                given = pack(loop_vars, _wrapped(like, leaves))
                return function(*given) if several else function(given)

            return call

        test, holds = trace(graph, with_structure(cond), arguments, "cond")
        results(test, [holds])
        if test.outputs[0].dtype is not dtypes.bool or test.outputs[0]._shape not in ((), None):
            raise TypeError(at_user_line(f"while_loop: cond must give a bool scalar, not {holds}"))
        inside, returned = trace(graph, with_structure(body), arguments, "body")
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
        with inside.as_default():
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
        most = None
        if maximum_iterations is not None:
            most = int(require_constant(maximum_iterations, "maximum_iterations"))
        sizes = list(range(len(flat), len(initial)))
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
            counted = make(_WHILE, parts, first, kinds, "Size", most=most)
            for i, k in zip(dynamic, sizes, strict=True):
                initial[i] = resized(initial[i], counted[chosen.index(k)])
            inside = sizing.with_room(graph, inside, dynamic)
            del initial[sizing.taken(test, inside, len(flat)) :]
            kept = len(initial)
            del test.arguments[kept:], inside.arguments[kept:], inside.outputs[kept:], wanted[kept:]
        freed = [a != b for a, b in zip(wanted, [t._shape for t in initial], strict=True)]

        def grows(found: Findings, closely: Callable[[], Findings]) -> bool:
            if depends_on_values(inside.arguments, found.shapes):
                found = closely()
            return _grows(initial, inside, found.shapes, freed)

        starts = [t._shape for t in initial]
        changing = grows if any(map(_may_change, initial, inside.arguments)) else None
        types = [*[t.dtype for t in initial], dtypes.int64]
        outs = make(_WHILE, [test, inside], initial, types, "Exit", changing, starts, most=most)
    ends = outs[: len(flat)] if exact else outs[:-1]
    out = pack(loop_vars, _wrapped(like, ends))
    if several and len(out) == 1 and not return_same_structure:
        return out[0]
    return out


def _grows(
    initial: Sequence[Tensor], body: Body, leaves: Sequence[Any], freed: Sequence[bool]
) -> bool:
    """Whether a loop carries something whose shape changes, and its invariant allows that; of what
    an invariant frees it is enough that it may change."""
    for t, argument, leaf, free in zip(initial, body.arguments, leaves, freed, strict=True):
        if _may_change(t, argument) and changes([t._shape], [leaf], surely=not free):
            return True
    return False


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
