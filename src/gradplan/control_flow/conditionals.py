"""``cond`` and ``case``: the operation ``If`` runs one of two bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradplan import dtypes
from gradplan.bind import evaluate
from gradplan.body import Body, copy_into
from gradplan.control_flow.bodies import (
    apart,
    call,
    captured_views,
    declare,
    flatten,
    inside,
    make,
    pack,
    results,
    shape_values,
    trace,
)
from gradplan.control_flow.branches import Parts
from gradplan.control_flow.effects import Given, Keep, Kept, expose, overwritten, replays
from gradplan.control_flow.enters import entered
from gradplan.control_flow.tensor_array import TensorArray, with_rows_of
from gradplan.gradients import dense_gradients, takes_gradient
from gradplan.graph import Operation, Tensor, at_user_line, get_default_graph
from gradplan.opdef import captured, graph_of
from gradplan.ops.array import identity
from gradplan.ops.constant import convert_to_tensor
from gradplan.shapes import Shape

__all__ = ["cond"]

_if_rules, *_IF = declare("StatelessIf", "If", "Runs one of two bodies; see :func:`cond`.")


@_if_rules.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    first, bodies = attrs["writes"] + 1, attrs["bodies"]
    if attrs["stepped"]:
        found = [[t._shape for t in body.outputs] for body in bodies]
    else:
        predicate = value(first - 1) if attrs["settled"] else None
        if predicate is not None:
            bodies = bodies[:1] if predicate else bodies[1:]
        found = [
            body.shapes(body.inputs, in_shapes[first:], shape_values(body, first, value), evaluate)
            for body in bodies
        ]
    return [_common(*both) for both in zip(*found, strict=True)]


def _common(a: Shape | None, *others: Shape | None) -> Shape | None:
    """What two shapes have in common."""
    for b in others:
        if a is None or b is None or len(a) != len(b):
            return None
        a = tuple(x if x == y else None for x, y in zip(a, b, strict=True))
    return a


@_if_rules.lower
def _(binder: Any, op: Operation) -> None:
    outs = [binder.result(op, i) for i in range(len(op.outputs))]
    given = captured_views(binder, op)
    bodies = op.attrs["bodies"]
    predicate = binder.value(op.inputs[op.writes]) if op.attrs["settled"] else None
    if predicate is not None:
        for out, view in zip(outs, inside(binder, op, bodies[not predicate], given), strict=True):
            binder.copy(out, view)
        return
    insn = binder.emit_around("if_else", [], [binder.contiguous(binder.view(op.inputs[op.writes]))])
    start = len(binder.insns)
    parts = []
    for body in bodies:
        for out, view in zip(outs, inside(binder, op, body, given), strict=True):
            binder.copy(out, view)
        parts.append(len(binder.insns) - start)
    insn.attrs, insn.span, insn.around = [parts[0]], parts[1], [*outs, *given]


@_if_rules.gradient
@entered
def _(op: Operation, *dys: Any) -> Any:
    graph, first = op.graph, op.writes + 1
    taken = list(op.inputs[first:])
    xs = [i for i, t in enumerate(taken) if takes_gradient(op, t)]
    if not xs:
        return [None] * len(op.inputs)
    given = [dy for dy in dys if dy is not None]
    bodies, found, kept = [], [], []
    written = overwritten(op, given)
    for body in op.attrs["bodies"]:
        kept.append(Kept(op, body, written))

        def derive(body: Body = body) -> Any:
            inner = get_default_graph()
            stand_ins = dict(zip(body.inputs, [captured(inner, t) for t in taken], strict=True))
            outs = copy_into(inner, body, stand_ins, replace=kept[-1].replace)
            ys = [y for y, dy in zip(outs, dys, strict=True) if dy is not None]
            at = [captured(inner, taken[i]) for i in xs]
            return dense_gradients(ys, at, [captured(inner, dy) for dy in given])

        made, derived = trace(graph, derive, [], "grad")
        bodies.append(made)
        found.append(derived)
    of_xs = zip(xs, zip(*found, strict=True), strict=True)
    parts = [Parts(bodies, taken[i], found_of_x) for i, found_of_x in of_xs]
    for k, body in enumerate(bodies):
        results(body, [t for p in parts for t in p.returned[k]])
        around = {expose(Given(op, k, t)): place for t, place in kept[k].needed(body)}
        body.extras.setdefault("captured", {}).update(around)
    types = [t.dtype for t in bodies[0].outputs]
    predicate, settled = op.inputs[op.writes], op.attrs["settled"]
    outs = iter(make(_IF, bodies, [predicate], types, "cond_grad", settled=settled))
    out: list[Any] = [None] * len(taken)
    for i, p in zip(xs, parts, strict=True):
        out[i] = p.joined([next(outs) for _ in p.returned[0]])
    return [None] * first + out


@replays("If")
def _(op: Operation, given: Sequence[Tensor], keep: Keep, written: set[Tensor]) -> Any:
    graph, bodies = get_default_graph(), []
    for k, body in enumerate(op.attrs["bodies"]):
        kept = Kept(op, body, written)

        def again(body: Body = body, kept: Kept = kept) -> Any:
            inner = get_default_graph()
            taken = [captured(inner, t) for t in given[op.writes + 1 :]]
            return copy_into(
                inner, body, dict(zip(body.inputs, taken, strict=True)), replace=kept.replace
            )

        made, returned = trace(graph, again, [], "again")
        results(made, returned)
        around = {keep(Given(op, k, t), place): place for t, place in kept.needed(made)}
        made.extras.setdefault("captured", {}).update(around)
        bodies.append(made)
    types, settled = [t.dtype for t in bodies[0].outputs], op.attrs["settled"]
    return make(_IF, bodies, [given[op.writes]], types, "cond_again", settled=settled)


def _tensors(body: Body, leaves: list[Any]) -> list[Any]:
    """What a branch returned, numbers as tensors: made before the other branch is."""
    with body.as_default():
        return [
            x if x is None or isinstance(x, (Operation, TensorArray)) else convert_to_tensor(x)
            for x in leaves
        ]


def _contents(bodies: list[Body], first: list[Any], second: list[Any]) -> list[list[Any]]:
    """What the two branches return as tensors, arrays by their contents; after all of them the
    number of rows of every array that has more room than rows in one of the branches."""
    contents: list[list[Any]] = [[], []]
    sizes: list[list[Any]] = [[], []]
    for i, pair in enumerate(zip(first, second, strict=True)):
        arrays = [isinstance(x, TensorArray) for x in pair]
        if arrays[0] != arrays[1]:
            raise TypeError(
                at_user_line(
                    "cond: Outputs of true_fn and false_fn must have the same type: output "
                    f"{i} is a TensorArray of one of them alone"
                )
            )
        for k, body in enumerate(bodies):
            x, other = pair[k], pair[1 - k]
            with body.as_default():
                contents[k].append(with_rows_of(x, other) if arrays[0] else x)
                if arrays[0] and not (x.is_exact and other.is_exact):
                    sizes[k].append(x.size())
    return [c + s for c, s in zip(contents, sizes, strict=True)]


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
        Without arguments; both return the same structure of tensors of the same types, of
        TensorArrays, or operations. What they take from around them is computed in any case.
    strict : bool, optional
        Whether a list of one tensor stays a list. Default: False, as in TensorFlow 1.
    name : str, optional
    fn1, fn2 : callable, optional
        Old names of ``true_fn`` and ``false_fn``.

    Raises
    ------
    TypeError
        If ``pred`` is a Python bool or a function is missing.
    ValueError
        If the structures or types differ.

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
        graph.reserve("Switch", "switch_t", "switch_f")  # by which TensorFlow chooses
        pred = identity(pred, "pred_id")
        bodies, returned = [], []
        for function in functions:
            body, result = call(graph, function, [], [], repeats=False)  # type: ignore[arg-type]
            bodies.append(body)
            returned.append(pack(result, _tensors(body, flatten(result))))
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
        for body, leaves in zip(bodies, _contents(bodies, first, second), strict=True):
            results(body, leaves)
        for a, b in zip(bodies[0].outputs, bodies[1].outputs, strict=True):
            if a.dtype is not b.dtype:
                raise ValueError(
                    at_user_line(
                        "cond: Outputs of true_fn and false_fn must have the same type: "
                        f"{a.dtype.name}, {b.dtype.name}"
                    )
                )
        types = [t.dtype for t in bodies[0].outputs]
        outs = apart(make(_IF, bodies, [pred], types, "Merge", settled=False))
    sizes = iter(outs[len(first) :])
    out = pack(
        returned[0],
        [
            (a.holding(t, None if a.is_exact and b.is_exact else next(sizes)))
            if isinstance(a, TensorArray)
            else t
            for a, b, t in zip(first, second, outs, strict=False)
        ],
    )
    if not strict and isinstance(out, (list, tuple)) and len(out) == 1:
        return out[0]
    return out
