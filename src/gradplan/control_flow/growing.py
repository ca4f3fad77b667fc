"""Which loops and conditionals no single plan can hold (``compiled.Stepped`` runs these).

A plan knows every shape before it runs. It cannot hold a loop that carries something of another
shape from each trip to the next, nor a body in which a shape depends on a value that the body
itself computes::

    while_loop(..., lambda i, m: (i + 1, concat([m, m], 0)))          (3, 2), (6, 2), (12, 2), ...
    map_fn(lambda row: reduce_sum(boolean_mask(row, row > 0)))        the mask's count

Whether that is so is decided when the loop is made, with large numbers for the sizes that are not
known then: if all is alike under these, the loop runs inside the plan.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradplan.body import Body
from gradplan.graph import Operation, Tensor
from gradplan.opdef import CALL, constant_value, infer_shapes
from gradplan.program import is_pure
from gradplan.shapes import Shape, size
from gradplan.stages import MAX_SIZES, is_stepped

#: What stands for sizes that are not known yet, and for those that follow from a value: primes of
#: which arithmetic in int32 can make larger ones.
_UNKNOWN, _VALUE = 1000003, 1000033


class Findings(NamedTuple):
    """What a body is like.

    Attributes
    ----------
    stepped : bool
        Whether a shape in it depends on a value that it computes.
    roots : set of Tensor
        Those of its inputs from around it from whose values a shape follows.
    shapes : list of shape
        Of its outputs.
    """

    stepped: bool
    roots: set[Tensor]
    shapes: list[Shape | None]


def glance(body: Body) -> Findings | None:
    """What can be said at once: where no shape in it depends on a value."""
    if any([op.asked or is_stepped(op) or op.attrs.get("roots") for op in body._ops]):
        return None
    return Findings(False, set(), [t._shape for t in body.outputs])


def examine(
    body: Body,
    given: Sequence[Shape | None],
    around: Sequence[Tensor],
    evaluate: Any = None,
) -> Findings:
    """Go through a body whose inputs have these shapes; ``around`` is what ``body.taken`` stands
    for. ``evaluate`` computes what follows from shapes (``bind.evaluate``), which takes time."""
    shape_of = {t: _filled(s, _UNKNOWN) for t, s in zip(body.inputs, given, strict=True)}
    constants = {t: constant_value(x) for t, x in zip(body.taken, around, strict=True)}
    follows: dict[Tensor, set[Tensor]] = {t: {t} for t in body.taken}  # known when it is bound
    stepped, roots = False, set()

    def value_of(t: Tensor) -> np.ndarray | None:
        static = t.op.opdef.static
        if t in constants:
            return constants[t]
        if static is None:
            if evaluate is None or follows.get(t) != set() or len(t.op.outputs) > 1:
                return None
            if any([not _is_small(shape_of[x]) for x in (t, *t.op.inputs)]):
                return None  # no size
            parts = {x: value_of(x) for x in t.op.inputs}
            single = all([v is not None and len(x.op.outputs) == 1 for x, v in parts.items()])
            return evaluate([t], parts.__getitem__, parts)[0] if single else None
        given = [shape_of[x] for x in t.op.inputs]
        return None if None in given else static(t.op.attrs, given)

    for op in body._ops:
        if op.outputs and op.outputs[0] in shape_of:
            continue
        stepped = stepped or is_stepped(op)
        if op.opdef.static is not None:
            follows.update({t: set() for t in op.outputs})
        elif is_pure(op) and op.inputs and all([t in follows for t in op.inputs]):
            origin = set().union(*[follows[t] for t in op.inputs])
            if not (origin and op.opdef.kind is CALL and op.opdef.kernel):  # as in stages.py
                follows.update(dict.fromkeys(op.outputs, origin))
        found = _shapes(op, [shape_of[t] for t in op.inputs], value_of)
        asked = op.attrs.get("roots", ())
        if any([s is None or None in s for s in found]):
            if all([shape_of[t] is not None for t in op.inputs]):
                asked = op.asked
        for t in [op.inputs[i] for i in asked]:
            roots |= follows.get(t, set())
            stepped = stepped or t not in follows
        shape_of.update({t: _filled(s, _VALUE) for t, s in zip(op.outputs, found, strict=True)})
    return Findings(stepped, roots, [shape_of[t] for t in body.outputs])


def _is_small(shape: Shape | None) -> bool:
    return shape is not None and size(shape) <= MAX_SIZES  # type: ignore[arg-type]


def _filled(shape: Shape | None, number: int) -> Shape | None:
    return None if shape is None else tuple(number if d is None else d for d in shape)


def _shapes(op: Operation, given: Sequence[Shape | None], value_of: Any) -> Sequence[Shape | None]:
    def value(i: int) -> np.ndarray | None:
        return value_of(op.inputs[i])

    try:
        return infer_shapes(op.opdef, op.attrs, given, value, len(op.outputs))
    except (ValueError, TypeError, OverflowError):
        return [t._shape for t in op.outputs]  # sizes that are not so large, or not equal


def changes(enters: Sequence[Shape | None], leaves: Sequence[Shape | None], surely: bool) -> bool:
    """Whether what is carried has another shape after a trip; ``surely`` leaves out those sizes of
    which nothing is known."""
    for a, b in zip(enters, leaves, strict=False):
        if a is None or b is None:
            if a is not b and not surely:
                return True
        elif len(a) != len(b):
            return True
        else:
            pairs = zip(_large(a), b, strict=True)
            if any([m != n and not (surely and n == _VALUE) for m, n in pairs]):
                return True
    return False


def depends_on_values(arguments: Sequence[Tensor], leaves: Sequence[Shape | None]) -> bool:
    """Whether a size that may change is one that follows from a value."""
    return any(
        [
            s is not None and _VALUE in s and (t._shape is None or None in t._shape)
            for t, s in zip(arguments, leaves, strict=False)
        ]
    )


def _large(shape: Shape) -> Sequence[int]:
    return [_UNKNOWN if d is None else d for d in shape]
