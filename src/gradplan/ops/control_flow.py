"""Conditionals and loops, which run inside the plan: three operations that have bodies.

``If`` runs one of two bodies. ``While`` repeats one as long as another holds. ``Scan`` repeats one
as often as is known before: it takes a row of each of its stacks a trip, and gives rows of others.
Gradients are of ``Scan`` alone, and again scans, backwards; that of ``While`` makes the loop anew as
a scan of as many trips as it took.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradplan import dtypes, passes, probe, shapes
from gradplan.body import Body, copy_into
from gradplan.dtypes import DType
from gradplan.gradients import gradients
from gradplan.graph import Graph, Operation, Tensor, at_user_line, get_default_graph
from gradplan.opdef import CALL, STATE, apply, captured, graph_of, is_variable, op
from gradplan.ops.array import expand_dims, identity, zeros_like
from gradplan.ops.constant import convert_to_tensor, require_constant
from gradplan.ops.slicing import concat
from gradplan.passes import extract
from gradplan.shapes import Shape

__all__ = ["case", "cond", "foldl", "foldr", "map_fn", "scan", "while_loop"]


# ---- bodies --------------------------------------------------------------------------------------


def trace(
    outer: Graph,
    function: Callable[..., Any],
    arguments: Sequence[tuple[DType, Shape | None]],
    name: str,
) -> tuple[Body, Any]:
    """A body made by calling ``function`` on its arguments, and what the function returned."""
    body = Body(outer, arguments)
    with body.as_default(), body.name_scope(name):
        returned = function(*body.arguments)
    return body, returned


def flatten(structure: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dictionaries, in order (keys sorted)."""
    if isinstance(structure, dict):
        return [x for k in sorted(structure) for x in flatten(structure[k])]
    if isinstance(structure, (list, tuple)):
        return [x for part in structure for x in flatten(part)]
    return [structure]


def pack(structure: Any, leaves: Sequence[Any]) -> Any:
    """``leaves`` in the structure of ``structure``."""
    rest = iter(leaves)

    def build(part: Any) -> Any:
        if isinstance(part, dict):
            made = {k: build(part[k]) for k in sorted(part)}
            return type(part)((k, made[k]) for k in part)
        if isinstance(part, (list, tuple)):
            made_list = [build(p) for p in part]
            return type(part)(*made_list) if hasattr(part, "_fields") else type(part)(made_list)
        return next(rest)

    return build(structure)


def _results(
    body: Body, returned: Any, dtypes_wanted: Sequence[DType | None] | None = None
) -> None:
    """Make what a function returned the outputs of its body; an operation becomes a bool."""
    leaves = flatten(returned)
    wanted = dtypes_wanted or [None] * len(leaves)
    with body.as_default():
        for leaf, dtype in zip(leaves, wanted, strict=True):
            if isinstance(leaf, Operation):
                with body.control_dependencies([leaf]):
                    out = identity(convert_to_tensor(True))
            else:
                out = convert_to_tensor(leaf, dtype)
            body.outputs.append(captured(body, out) if out.graph is not body else out)


def _program(body: Body, inputs: Sequence[Tensor], binder: Any, given: Sequence[Any]) -> Any:
    """The body as a program, optimised as its graph is."""
    if not binder.optimised:
        return extract.run(body.outputs, inputs, [])
    pattern = probe.pattern([t._shape for t in inputs], [v.dims for v in given])
    if pattern not in body.programs:
        program = extract.run(body.outputs, inputs, [])
        program.pattern = pattern
        body.programs[pattern] = passes.optimise(program)
    return body.programs[pattern]


def _inside(binder: Any, op: Operation, body: Body, views: Sequence[Any]) -> Any:
    """Lower a body: where its results lie. ``views`` are those of its inputs, in order."""
    inputs = body.inputs
    program = _program(body, inputs, binder, views)
    first = op.writes + op.attrs["arguments"]
    values = {}
    for i in body.asked(inputs):
        if i >= len(body.arguments):
            value = binder.value(op.inputs[first + i - len(body.arguments)])
            if value is not None:
                values[i] = value
    return binder.inside(program, views, values)


def _captured_views(binder: Any, op: Operation) -> list[Any]:
    """Where what bodies take from around them lies; a copy of what they may overwrite."""
    written = set(op.inputs[: op.writes])
    places = {binder.view(t).storage for t in written}
    out = []
    for t in op.inputs[op.writes + op.attrs["arguments"] :]:
        view = binder.view(t)
        out.append(binder.copied(view) if view.storage in places and t not in written else view)
    return out


def _shape_values(op_attrs: dict[str, Any], body: Body, first: int, value: Any) -> Any:
    """``value`` for a body's shape rules: of its captures, which are inputs from ``first`` on."""
    n = len(body.arguments)
    return lambda i: value(first + i - n) if i >= n else None


def _declare(name: str, stateful: str) -> Any:
    """An operation with bodies, twice: where they have effects it must run exactly as asked."""
    types = "any* -> @types*"

    def build(inputs: Any, types: Any = (), bodies: Any = ()) -> Any: ...

    pure = op(name, CALL, types=types, T=dtypes.ALL, flops=_flops)(build)
    active = op(stateful, STATE, types=types, T=dtypes.ALL, flops=_flops)(build)

    class Both:
        """Attaches a rule to both."""

        def __getattr__(self, rule: str) -> Any:
            def attach(function: Any) -> Any:
                getattr(active, rule)(function)
                return getattr(pure, rule)(function)

            return attach

    return Both(), pure.opdef, active.opdef


def _flops(attrs: dict[str, Any], in_shapes: Any) -> int:
    return 0


_if_rules, _IF, _ACTIVE_IF = _declare("StatelessIf", "If")
_while_rules, _WHILE, _ACTIVE_WHILE = _declare("StatelessWhile", "While")
_scan_rules, _SCAN, _ACTIVE_SCAN = _declare("StatelessScan", "Scan")


def _make(
    defs: tuple[Any, Any],
    bodies: Sequence[Body],
    arguments: Sequence[Tensor],
    types: Sequence[DType],
    name: str,
    **attrs: Any,
) -> Sequence[Tensor]:
    """One operation with bodies: its inputs are variables they write, ``arguments``, captures."""
    captures = list(dict.fromkeys(t for body in bodies for t in body.captures))
    written = list(dict.fromkeys(t for body in bodies for t in body.written()))
    captures = [t for t in captures if t not in written] + written
    for body in bodies:
        body.taken = [captured(body, t) for t in captures]
    attrs |= {
        "types": tuple(types),
        "bodies": tuple(bodies),
        "writes": len(written),
        "arguments": len(arguments),
        "fallible": any(body.is_fallible for body in bodies),
    }
    opdef = defs[any(body.has_effects for body in bodies)]
    made = apply(opdef, [*written, *arguments, *captures], attrs, name)
    return made if isinstance(made, tuple) else (made,)


# ---- If ------------------------------------------------------------------------------------------


@_if_rules.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    first = attrs["writes"] + 1
    found = [
        body.shapes(
            body.inputs,
            in_shapes[first:],
            _shape_values(attrs, body, first, value),
        )
        for body in attrs["bodies"]
    ]
    out: list[Any] = []
    for a, b in zip(*found, strict=True):
        if a == b:
            out.append(a)
            continue
        predicate = value(first - 1)  # the shapes depend on it, then
        if predicate is not None:
            return found[0 if bool(predicate) else 1]
        same = a is not None and b is not None and len(a) == len(b)
        out.append(
            tuple(x if x == y else None for x, y in zip(a, b, strict=True)) if same else None
        )
    return out


@_if_rules.lower
def _(binder: Any, op: Operation) -> None:
    outs = [binder.result(op, i) for i in range(len(op.outputs))]
    given = _captured_views(binder, op)
    predicate = binder.contiguous(binder.view(op.inputs[op.writes]))
    insn = binder.emit("if_else", [], [predicate])
    start = len(binder.insns)
    parts = []
    for body in op.attrs["bodies"]:
        results = _inside(binder, op, body, given)
        for out, view in zip(outs, results, strict=True):
            if out.dims == view.dims:  # of other dims is the branch that is not taken
                binder.copy(out, view)
        parts.append(len(binder.insns) - start)
    insn.attrs, insn.span, insn.around = [parts[0]], parts[1], [*outs, *given]


@_if_rules.gradient
def _(op: Operation, *dys: Any) -> Any:
    graph, first = op.graph, op.writes + 1
    taken = list(op.inputs[first:])
    xs = [i for i, t in enumerate(taken) if t.dtype.is_floating and not is_variable(t)]
    given = [dy for dy in dys if dy is not None]
    bodies = []
    for body in op.attrs["bodies"]:

        def derive(body: Body = body) -> Any:
            inner = get_default_graph()
            stand_ins = dict(
                zip(
                    body.inputs,
                    [captured(inner, t) for t in taken],
                    strict=True,
                )
            )
            outs = copy_into(inner, body, stand_ins)
            ys = [y for y, dy in zip(outs, dys, strict=True) if dy is not None]
            at = [captured(inner, taken[i]) for i in xs]
            found = gradients(ys, at, [captured(inner, dy) for dy in given])
            return [zeros_like(x) if g is None else g for x, g in zip(at, found, strict=True)]

        made, returned = trace(graph, derive, [], "grad")
        _results(made, returned)
        bodies.append(made)
    out: list[Any] = [None] * len(taken)
    if xs:
        types = [taken[i].dtype for i in xs]
        made_out = _make((_IF, _ACTIVE_IF), bodies, [op.inputs[op.writes]], types, "cond_grad")
        for i, g in zip(xs, made_out, strict=True):
            out[i] = g
    return [None] * first + out


def cond(
    pred: Any,
    true_fn: Callable[[], Any] | None = None,
    false_fn: Callable[[], Any] | None = None,
    strict: bool = False,
    name: str | None = None,
    fn1: Callable[[], Any] | None = None,
    fn2: Callable[[], Any] | None = None,
) -> Any:
    """What ``true_fn()`` makes if ``pred`` holds, else what ``false_fn()`` makes; only that runs.

    Parameters
    ----------
    pred : tensor_like of bool, shape []
    true_fn, false_fn : callable
        Without arguments; both return the same structure of tensors of the same types, or
        operations. What they take from around them is computed in any case.
    strict : bool, optional
        Whether a list of one tensor stays a list. Default: False, as in TensorFlow 1.
    name : str, optional
    fn1, fn2 : callable, optional
        Old names of ``true_fn`` and ``false_fn``.

    Raises
    ------
    TypeError
        If ``pred`` is a Python bool, a function is missing, or the types differ.
    ValueError
        If the structures differ.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [])
    >>> y = gp.cond(x > 0.0, lambda: gp.log(x), lambda: x * 2.0)
    >>> print(gp.Session().run(y, {x: -3.0}))
    -6.0
    """
    functions = true_fn or fn1, false_fn or fn2
    if not all(callable(f) for f in functions):
        raise TypeError(at_user_line("cond: true_fn and false_fn must be callable"))
    if isinstance(pred, bool):
        raise TypeError(at_user_line("cond: pred must not be a Python bool"))
    graph = graph_of([pred, get_default_graph()])
    with graph.as_default(), graph.name_scope(name or "cond"):
        pred = convert_to_tensor(pred)
        if pred.dtype is not dtypes.bool or pred._shape not in ((), None):
            raise TypeError(at_user_line(f"cond: pred must be a bool scalar, not {pred}"))
        bodies, returned = [], []
        for function in functions:
            body, result = trace(graph, function, [], "branch")  # type: ignore[arg-type]
            bodies.append(body)
            returned.append(result)
        first, second = map(flatten, returned)
        if pack(returned[0], [0] * len(first)) != pack(returned[1], [0] * len(second)):
            raise ValueError(
                at_user_line(
                    "cond: Incompatible return types of true_fn and false_fn: the two structures "
                    f"don't match: {returned[0]!r} and {returned[1]!r}"
                )
            )
        if None in first or None in second:
            raise ValueError(at_user_line("cond: true_fn and false_fn must return a value"))
        for body, leaves in zip(bodies, (first, second), strict=True):
            _results(body, leaves)
        for a, b in zip(bodies[0].outputs, bodies[1].outputs, strict=True):
            if a.dtype is not b.dtype:
                raise TypeError(
                    at_user_line(
                        "cond: Outputs of true_fn and false_fn must have the same type: "
                        f"{a.dtype.name}, {b.dtype.name}"
                    )
                )
        types = [t.dtype for t in bodies[0].outputs]
        outs = _make((_IF, _ACTIVE_IF), bodies, [pred], types, "Merge")
    out = pack(returned[0], outs)
    if not strict and isinstance(out, (list, tuple)) and len(out) == 1:
        return out[0]
    return out


def case(
    pred_fn_pairs: Any,
    default: Callable[[], Any] | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """What the function of the first predicate that holds makes, or else ``default()``.

    Parameters
    ----------
    pred_fn_pairs : list of (tensor_like of bool, callable), or dict
    default : callable, optional
        Default: the last function.
    exclusive : bool, optional
        Accepted; the first that holds is taken.
    strict : bool, optional
        See :func:`cond`.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [])
    >>> y = gp.case([(x < 0.0, lambda: -x), (x > 9.0, lambda: x * 0.0)], default=lambda: x)
    >>> sess = gp.Session()
    >>> print(*[sess.run(y, {x: v}) for v in (-2.0, 10.0, 3.0)])
    2.0 0.0 3.0
    """
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    if not all(isinstance(p, (list, tuple)) and len(p) == 2 and callable(p[1]) for p in pairs):
        raise TypeError(at_user_line("case: pairs of a predicate and a function are expected"))
    if default is None:
        if not pairs:
            raise ValueError(at_user_line("case: there is nothing to choose from"))
        default = pairs.pop()[1]
    with get_default_graph().name_scope(name):
        chosen = default
        for predicate, function in reversed(pairs):

            def choose(p: Any = predicate, f: Any = function, rest: Any = chosen) -> Any:
                return cond(p, f, rest, strict=strict)

            chosen = choose
        return chosen()


# ---- loops ---------------------------------------------------------------------------------------


def _carry(binder: Any, op: Operation, first: int, n: int) -> list[Any]:
    """Places for what goes from trip to trip, holding what the first trip takes."""
    out = []
    for t in op.inputs[first : first + n]:
        view = binder.view(t)
        place = binder.scratch(f"{op.name} carried", view.dtype, view.dims)
        binder.copy(place, view)
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


def _same_shapes(enters: Sequence[Any], leaves: Sequence[Any]) -> None:
    for i, (a, b) in enumerate(zip(enters, leaves, strict=True)):
        if (
            shapes.merge(a, b) is False
            or b is not None
            and a is not None
            and None not in a
            and a != b
        ):
            raise ValueError(
                f"the shape of loop variable {i} is not an invariant for the loop. It enters the "
                f"loop with shape {shapes.text(a)}, but has shape {shapes.text(b)} after one "
                "iteration"
            )


@_while_rules.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    first, n = attrs["writes"], attrs["arguments"]
    body = attrs["bodies"][1]
    found = body.shapes(
        body.inputs,
        in_shapes[first:],
        _shape_values(attrs, body, first + n, value),
    )
    enters = in_shapes[first : first + n]
    _same_shapes(enters, found)
    return [*enters, ()]


@_while_rules.lower
def _(binder: Any, op: Operation) -> None:
    test, body = op.attrs["bodies"]
    carried = _carry(binder, op, op.writes, op.attrs["arguments"])
    given = _captured_views(binder, op)
    holds = binder.scratch(f"{op.name} predicate", dtypes.bool, ())
    trips = binder.result(op, len(op.outputs) - 1)
    insn = binder.emit("while_loop", [trips], [holds])
    start = len(binder.insns)
    binder.copy(holds, _inside(binder, op, test, [*carried, *given])[0])
    tested = len(binder.insns) - start
    _hand_on(binder, carried, _inside(binder, op, body, [*carried, *given]))
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
    if op.graph.outer is not None:
        return _while_gradient_inside(op, dys)
    body = _as_scan(op)
    again = scan_loop(op.outputs[-1], body, op.inputs[first : first + n], [], "while_again")
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
        _, *carried = while_loop(lambda trip, *_: trip < trips - 1, again, start)
        outs = copy_into(inner, body, dict(zip(body.inputs, [*carried, *around], strict=True)))
        xs = [carried[i] for i in floats] + [around[i] for i in outer]
        found = gradients([outs[i] for i in floats], xs, rest[: len(floats)])
        found = [zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)]
        totals = [
            total + g for total, g in zip(rest[len(floats) :], found[len(floats) :], strict=True)
        ]
        return trips - 1, *found[: len(floats)], *totals

    with op.graph.as_default():
        first = [zeros_like(initial[i]) if dys[i] is None else dys[i] for i in floats]
        sums = [zeros_like(taken[i]) for i in outer]
        start = [op.outputs[-1], *first, *sums]
        _, *found = while_loop(lambda trips, *_: trips > 0, back, start)
    out: list[Any] = [None] * len(op.inputs)
    for i, g in zip([op.writes + i for i in floats] + [end + i for i in outer], found, strict=True):
        out[i] = g
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
    _results(made, returned)
    return made


def scan_loop(
    trips: Any,
    body: Body,
    initial: Sequence[Tensor],
    stacks: Sequence[Tensor],
    name: str,
    reverse: bool = False,
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
    """
    n = len(initial)
    types = [t.dtype for t in (*body.outputs, *initial)]
    arguments = [convert_to_tensor(trips, dtypes.int64), *initial, *stacks]
    attrs = {"carried": n, "reverse": reverse}
    return _make((_SCAN, _ACTIVE_SCAN), [body], arguments, types, name, **attrs)


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
    if not stacks:
        count = value(first)
        trips = None if count is None else int(count)
    rows = [None if s is None else s[1:] for s in stacks]
    found = body.shapes(
        body.inputs,
        [(), *enters, *rows, *in_shapes[first + n :]],
        _shape_values(attrs, body, first + n, value),
    )
    _same_shapes(enters, found[:carried])
    stacked = [None if s is None else (trips, *s) for s in (*found[carried:], *enters)]
    return [*enters, *stacked]


@_scan_rules.lower
def _(binder: Any, op: Operation) -> None:
    (body,) = op.attrs["bodies"]
    n, first = op.attrs["carried"], op.writes + 1
    carried = _carry(binder, op, first, n)
    given = _captured_views(binder, op)
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
    results = _inside(binder, op, body, [trip, *carried, *rows, *given])
    for row, view, w in zip(made, [*results[n:], *carried], wanted, strict=True):
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
        d_final = [dys[i] if dys[i] is not None else zeros_like(initial[i]) for i in floats]
        d_rows = [(j, dys[n + j]) for j in range(n_rows) if dys[n + j] is not None]
        d_history = [(i, dys[n + n_rows + i]) for i in floats if dys[n + n_rows + i] is not None]
        sums = [zeros_like(taken[i]) for i in outer]
        elements = [*history, *stacks, *[dy for _, dy in d_rows], *[dy for _, dy in d_history]]
    arguments = [(dtypes.int64, ()), *[(t.dtype, t._shape) for t in (*d_final, *sums)]]
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
        found = gradients(ys, xs, [*d_carried, *d_made])
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
    _results(made, returned)
    elements = _used_rows(made, elements)
    with op.graph.as_default():
        trips = op.inputs[op.writes]
        reverse = not op.attrs["reverse"]
        outs = scan_loop(trips, made, [*d_final, *sums], elements, "scan_grad", reverse)
    out: list[Any] = [None] * len(op.inputs)
    for k, i in enumerate(floats):
        out[first + i] = outs[k]
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
    """Repeat ``body`` as long as ``cond`` holds; it runs inside the plan, without Python.

    Parameters
    ----------
    cond : callable
        ``cond(*loop_vars)`` gives a bool scalar.
    body : callable
        ``body(*loop_vars)`` gives new loop variables, of the same types and shapes.
    loop_vars : list or tuple, nested
        Of tensors, arrays or numbers: what the first trip takes.
    shape_invariants : optional
        Shapes that the body may take for granted. The shapes of one run do not change in it.
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
        If there are no loop variables, or the structure or a shape changes.

    Notes
    -----
    To be differentiated the loop is run again with what every trip took kept: memory grows with the
    number of trips. A loop within a loop is run again for every trip instead.

    Examples
    --------
    >>> import gradplan as gp
    >>> i, total = gp.while_loop(lambda i, s: i < 5, lambda i, s: (i + 1, s + i), [0, 0])
    >>> print(gp.Session().run(total))
    10
    """
    if not callable(cond) or not callable(body):
        raise TypeError(at_user_line("while_loop: cond and body must be callable"))
    flat = flatten(loop_vars)
    if not flat:
        raise ValueError(at_user_line("while_loop: No loop variables provided"))
    several = isinstance(loop_vars, (list, tuple))
    graph = graph_of([x for x in flat if isinstance(x, Tensor)] or [get_default_graph()])
    with graph.as_default(), graph.name_scope(name or "while"):
        initial = [convert_to_tensor(x) for x in flat]
        wanted = [t._shape for t in initial]
        if shape_invariants is not None:
            wanted = [shapes.as_shape(s) for s in _shape_leaves(shape_invariants, len(flat))]
        arguments = [(t.dtype, s) for t, s in zip(initial, wanted, strict=True)]

        def with_structure(function: Callable[..., Any]) -> Callable[..., Any]:
            def call(*leaves: Tensor) -> Any:
                given = pack(loop_vars, leaves)
                return function(*given) if several else function(given)

            return call

        test, holds = trace(graph, with_structure(cond), arguments, "cond")
        _results(test, [holds])
        if test.outputs[0].dtype is not dtypes.bool or test.outputs[0]._shape not in ((), None):
            raise TypeError(at_user_line(f"while_loop: cond must give a bool scalar, not {holds}"))
        inside, returned = trace(graph, with_structure(body), arguments, "body")
        leaves = flatten(returned)
        one = several and len(loop_vars) == 1 and not isinstance(returned, (list, tuple))
        if len(leaves) != len(flat) or not one and _outline(returned) != _outline(loop_vars):
            raise ValueError(
                at_user_line(
                    "while_loop: The two structures don't have the same nested structure: loop "
                    f"variables {loop_vars!r}, body returned {returned!r}"
                )
            )
        _results(
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
        types = [*[t.dtype for t in initial], dtypes.int64]
        outs = _make((_WHILE, _ACTIVE_WHILE), [test, inside], initial, types, "Exit", most=most)
    out = pack(loop_vars, outs[:-1])
    if several and len(out) == 1 and not return_same_structure:
        return out[0]
    return out


def _outline(structure: Any) -> Any:
    """What two structures have in common if they are nested alike; lists and tuples are."""
    if isinstance(structure, dict):
        return {k: _outline(v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [_outline(part) for part in structure]
    return None


def _shape_leaves(structure: Any, n: int) -> list[Any]:
    if isinstance(structure, shapes.TensorShape):
        return [structure]
    out = []
    for part in structure:
        out += _shape_leaves(part, 0) if isinstance(part, (list, tuple)) else [part]
    if n and len(out) != n:
        raise ValueError(at_user_line(f"while_loop: {len(out)} shape invariants for {n} variables"))
    return out


# ---- loops over rows -----------------------------------------------------------------------------


def _over_rows(
    function: Callable[..., Any],
    elems: Any,
    initializer: Any,
    name: str,
    reverse: bool,
    dtype: Any = None,
    stacked: bool = True,
) -> tuple[Any, Any]:
    """What is carried at the end, and the stack of what was carried or made in every trip."""
    if not callable(function):
        raise TypeError(at_user_line(f"{name}: fn must be callable"))
    graph = graph_of([x for x in flatten(elems) if isinstance(x, Tensor)] or [get_default_graph()])
    with graph.as_default(), graph.name_scope(name):
        stacks = [convert_to_tensor(x) for x in flatten(elems)]
        for x in stacks:
            if x._shape == ():
                raise ValueError(at_user_line(f"{name}: elements must have rows, not be scalars"))
        maps = initializer is _NOTHING
        carried = [] if maps else [convert_to_tensor(x) for x in flatten(initializer)]
        arguments: list[Any] = [(dtypes.int64, ()), *[(t.dtype, t._shape) for t in carried]]
        arguments += [(t.dtype, None if t._shape is None else t._shape[1:]) for t in stacks]

        def step(trip: Tensor, *leaves: Tensor) -> Any:
            rows = pack(elems, leaves[len(carried) :])
            if maps:
                return function(rows)
            return function(pack(initializer, leaves[: len(carried)]), rows)

        body, returned = trace(graph, step, arguments, "fn")
        like = returned if maps else initializer
        leaves = flatten(returned)
        if not maps and len(leaves) != len(carried):
            raise ValueError(
                at_user_line(
                    f"{name}: fn returned {returned!r}, of another structure than the initial "
                    f"value {initializer!r}"
                )
            )
        types = [None] * len(leaves) if maps else [t.dtype for t in carried]
        if maps and dtype is not None:
            types = [dtypes.as_dtype(d) for d in flatten(dtype)]
            if len(types) != len(leaves):
                raise ValueError(
                    at_user_line(f"{name}: {len(types)} dtypes for {len(leaves)} results")
                )
        _results(body, leaves, types)
        if stacked and not maps:
            body.outputs += body.outputs[: len(carried)]
        outs = scan_loop(0, body, carried, stacks, "loop", reverse)
    n = len(carried)
    return pack(like, outs[:n]) if n else None, pack(
        like, outs[n : n + len(leaves)]
    ) if stacked else None


_NOTHING = object()


def map_fn(
    fn: Callable[..., Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
) -> Any:
    """``fn`` of every row of ``elems``, stacked.

    Parameters
    ----------
    fn : callable
        Of one row, in the structure of ``elems``.
    elems : tensor_like, shape [n, ...], or a structure of them
    dtype : DType or structure of them, optional
        Of what ``fn`` gives, where that has another structure than ``elems``.
    parallel_iterations, back_prop, swap_memory, infer_shape : optional
        Accepted as in TensorFlow 1; they change nothing here.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.map_fn(lambda x: x * x, [1.0, 2.0, 3.0]))
    array([1., 4., 9.], dtype=float32)
    """
    return _over_rows(fn, elems, _NOTHING, name or "map", False, dtype)[1]


def scan(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """``a = fn(a, row)`` for every row of ``elems``: all the values of ``a``, stacked.

    Parameters
    ----------
    fn : callable
        ``fn(a, row)`` gives the next ``a``, of the same structure, types and shapes.
    elems : tensor_like, shape [n, ...], or a structure of them
    initializer : tensor_like or structure, optional
        The first ``a``. Default: the first row, which is then the first result too.
    parallel_iterations, back_prop, swap_memory, infer_shape : optional
        Accepted as in TensorFlow 1; they change nothing here.
    reverse : bool, optional
        Go from the last row to the first. Default: False.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.scan(lambda a, x: a + x, [1.0, 2.0, 3.0]))
    array([1., 3., 6.], dtype=float32)
    """
    if initializer is not None:
        return _over_rows(fn, elems, initializer, name or "scan", reverse)[1]
    first, rest = _split_first(elems, reverse)
    _, stack = _over_rows(fn, rest, first, name or "scan", reverse)

    def join(a: Any, b: Any) -> Any:
        parts = [b, expand_dims(a, 0)] if reverse else [expand_dims(a, 0), b]
        return concat(parts, 0)

    return pack(first, [join(a, b) for a, b in zip(flatten(first), flatten(stack), strict=True)])


def foldl(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """``a = fn(a, row)`` for every row of ``elems``, from the first to the last: the last ``a``.

    The parameters are those of :func:`scan`.

    Examples
    --------
    >>> import gradplan as gp
    >>> print(gp.Session().run(gp.foldl(lambda a, x: a * 10 + x, [1, 2, 3])))
    123
    """
    return _fold(fn, elems, initializer, name or "foldl", False)


def foldr(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """``a = fn(a, row)`` for every row of ``elems``, from the last to the first: the last ``a``.

    The parameters are those of :func:`scan`.

    Examples
    --------
    >>> import gradplan as gp
    >>> print(gp.Session().run(gp.foldr(lambda a, x: a * 10 + x, [1, 2, 3])))
    321
    """
    return _fold(fn, elems, initializer, name or "foldr", True)


def _fold(fn: Any, elems: Any, initializer: Any, name: str, reverse: bool) -> Any:
    if initializer is None:
        initializer, elems = _split_first(elems, reverse)
    return _over_rows(fn, elems, initializer, name, reverse, stacked=False)[0]


def _split_first(elems: Any, reverse: bool) -> tuple[Any, Any]:
    tensors = [convert_to_tensor(x) for x in flatten(elems)]
    first = [t[-1] if reverse else t[0] for t in tensors]
    rest = [t[:-1] if reverse else t[1:] for t in tensors]
    return pack(elems, first), pack(elems, rest)
