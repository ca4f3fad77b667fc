"""TensorFlow's names of the gradients of loops and conditionals. There every value from around one
has an operation inside, Enter or Switch, named after the first operation that takes the value::

    while_loop(..., lambda i, a: (i + 1, a * w), [0, x])      cond(..., lambda: y * 2.0, lambda: v)

    of x: gradients/while/Enter_1_grad/Exit
    of w: gradients/while/mul/Enter_grad/b_acc_3
    of y: gradients/cond/mul/Switch_grad/cond_grad
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradplan.body import Body
from gradplan.graph import Operation, Tensor
from gradplan.names import named
from gradplan.opdef import captured
from gradplan.ops.array import identity
from gradplan.ops.indexed_slices import is_of_rows


def entered(gradient: Callable[..., Any]) -> Callable[..., Any]:
    """Gives the results of a gradient these names."""

    @named(_names)
    def of_user(op: Operation, *dys: Any) -> Any:
        dxs = gradient(op, *dys)
        if not _bodies(op)[-1].is_part:
            return dxs
        return [dx if dx is None or is_of_rows(dx) else identity(dx) for dx in dxs]

    return of_user


def _names(op: Operation) -> list[str | None]:
    """For each input of an operation the name of the gradient with respect to it, in the scope
    around its own; None where that has another name."""
    bodies, first, n = _bodies(op), op.writes, op.attrs["arguments"]
    if not bodies[-1].is_part:
        return []
    scope = op.name.rpartition("/")[0]
    if "settled" in op.attrs:
        names: list[str | None] = [None]
        both = [_taken([body], "Switch", "cond_grad") for body in bodies]
        taken = {t: "/AddN" if t in both[1 - k] else both[k][t] for k in (0, 1) for t in both[k]}
    else:
        taken, names = _taken(bodies, "Enter", "b_acc_3"), []
    if "carried" in op.attrs:  # TensorFlow counts the trips twice, and takes rows from arrays
        n, carried = n - 1, op.attrs["carried"]
        names = [None]
        names += [_numbered(f"/{scope}/while/Enter", i + 2) + "_grad/Exit" for i in range(carried)]
        names += [None] * (n - carried)  # rows.py names these
    elif "most" in op.attrs:
        counted = op.attrs["most"] is not None
        names += [_numbered(f"/{scope}/Enter", i + counted) + "_grad/Exit" for i in range(n)]
    body = op.attrs["bodies"][-1]  # of which op may be a copy, with other inputs
    outside = {captured(body, t): t for t in body.captures}
    names += [taken.get(outside[t]) for t in body.taken]
    return [None] * first + names


def _bodies(op: Operation) -> list[Body]:
    """The bodies of an operation as the user's functions made them."""
    return [body.original or body for body in op.attrs["bodies"]]


def _numbered(name: str, i: int) -> str:
    return f"{name}_{i}" if i else name


def _taken(bodies: Sequence[Body], kind: str, last: str) -> dict[Tensor, str]:
    """The names of gradients with respect to what bodies take from around them."""
    found: dict[Tensor, str] = {}

    def enter(tensors: list[Tensor], scope: str, depth: int) -> None:
        new = [t for t in dict.fromkeys(tensors) if t not in found]
        for i, t in enumerate(new):  # there is one Enter for each of the loops
            found[t] = f"{_numbered(f'/{scope}/{kind}', i * depth)}_grad/{last}"

    def walk(body: Body, around: dict[Tensor, Tensor], depth: int) -> None:
        for o in body._ops:
            given = [around[t] for t in o.inputs if t in around]
            if o.type == "ReadVariableOp" and given:
                around[o.outputs[0]] = given[0]
            elif "bodies" not in o.attrs:
                enter(given, o.name, depth)
            else:
                if "most" in o.attrs:
                    variables = o.inputs[o.writes : o.writes + o.attrs["arguments"]]
                    scope = o.name.rpartition("/")[0]
                    enter([around[t] for t in variables if t in around], scope, depth)
                for inner in _bodies(o):
                    known = [t for t in inner.captures if t in around]
                    inside = {captured(inner, t): around[t] for t in known}
                    walk(inner, inside, depth + ((kind == "Switch") == ("settled" in o.attrs)))

    for body in bodies:
        walk(body, {captured(body, t): t for t in body.captures}, 1)
    return found
