"""Arrays of dynamic size in loops: how many rows they get is found out first.

Such an array enters a loop as two variables, its rows and its size, and ``grown`` gives it room
before a row is written. As it is written down that is a loop whose shapes grow, with a plan for
each size. Mostly the size does not depend on the rows, and two loops do, both inside plans::

    i, rows, size = while(i < n; i + 1, write(grown(rows, i + 1), i, f(rows)), max(size, i + 1))

    i, size = while(i < n; i + 1, max(size, i + 1))
    i, rows = while(i < n; i + 1, write(rows, i, f(rows)))          where grown(rows, size) enters
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradplan.body import Body, behind, copy_into
from gradplan.control_flow.bodies import results, trace
from gradplan.control_flow.tensor_array import grown, write
from gradplan.graph import Graph, Tensor, get_default_graph
from gradplan.opdef import HOST, STATE, captured
from gradplan.ops.array import identity
from gradplan.ops.constant import convert_to_tensor


def chosen(test: Body, body: Body, arrays: Sequence[int], sizes: Sequence[int]) -> list[int] | None:
    """The loop variables on which the sizes of arrays depend; None if the loop must not be cut in
    two: a size depends on rows, or on an effect, which must not happen twice, or an array comes
    from elsewhere.

    ``arrays`` and ``sizes`` are numbers of loop variables.
    """
    if any([_origin(body.outputs[i]) is not body.arguments[i] for i in arrays]):
        return None
    wanted = set(sizes)
    at = {t: i for part in (test, body) for i, t in enumerate(part.arguments)}
    while True:
        ops = behind([*test.outputs, *[body.outputs[i] for i in wanted]])
        more = {at[t] for op in ops for t in op.outputs if t in at} - wanted
        if not more:
            break
        wanted |= more
    effects = any([op.opdef.kind in (STATE, HOST) for op in ops])
    return None if effects or wanted & {*arrays} else sorted(wanted)


def passes(body: Body, i: int) -> bool:
    """Whether a loop variable leaves the body as it enters."""
    return body.outputs[i] is body.arguments[i]


def _origin(array: Tensor) -> Tensor:
    """Of which array one is that was written."""
    while array.op.opdef in (grown.opdef, write.opdef, identity.opdef):
        array = array.op.inputs[0]
    return array


def part_of(graph: Graph, body: Body, chosen: Sequence[int], outputs: Sequence[Tensor]) -> Body:
    """The part of a loop's body that computes ``outputs`` from the chosen loop variables."""
    arguments = [body.arguments[i] for i in chosen]

    def part(*given: Tensor) -> list[Tensor]:
        stand_ins = _around(body, outputs) | dict(zip(arguments, given, strict=True))
        return copy_into(get_default_graph(), body, stand_ins, outputs)

    made, returned = trace(graph, part, [(t.dtype, t._shape) for t in arguments], "size")
    results(made, returned)
    return made


def with_room(graph: Graph, body: Body, arrays: Sequence[int]) -> Body:
    """The body for arrays that have room for all that is written."""
    whose = {body.arguments[i] for i in arrays}
    growing = [
        op for op in body._ops if op.opdef is grown.opdef and _origin(op.outputs[0]) in whose
    ]

    def part(*given: Tensor) -> list[Tensor]:
        stand_ins = _around(body, body.outputs) | dict(zip(body.arguments, given, strict=True))
        nothing = convert_to_tensor(np.int32(0))
        stand_ins |= {op.inputs[1]: nothing for op in growing}
        return copy_into(get_default_graph(), body, stand_ins, body.outputs)

    made, returned = trace(graph, part, [(t.dtype, t._shape) for t in body.arguments], "body")
    results(made, returned)
    made.original = body
    return made


def taken(test: Body, body: Body, n: int) -> int:
    """How many loop variables there must be: the first ``n``, without the sizes after them if
    nothing else depends on these."""
    ops = behind([*test.outputs, *body.outputs[:n]])
    sizes = [*test.arguments[n:], *body.arguments[n:]]
    return len(body.arguments) if any([t.op in ops for t in sizes]) else n


def _around(body: Body, outputs: Sequence[Tensor]) -> dict[Tensor, Tensor]:
    """What stands in the default graph for what those outputs take from around the body."""
    inner, ops = get_default_graph(), behind(outputs)
    around = {t: captured(body, t) for t in body.captures}
    return {s: captured(inner, t) for t, s in around.items() if s.op in ops}
