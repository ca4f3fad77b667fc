"""Loops that count their trips.

Most loops go on while a counter is below a bound. How many trips that makes follows without running
them::

    i, h = while(i < n; i + 2, f(h))          max(0, (n - i + 1) // 2) trips
"""

from __future__ import annotations

import numpy as np

from gradplan import bind, dtypes
from gradplan.body import copy_into
from gradplan.control_flow.growing import sizes_of
from gradplan.graph import Operation, Tensor
from gradplan.known import constant_value
from gradplan.ops.casts import cast
from gradplan.ops.math import floordiv, maximum, minimum


def trips_of(op: Operation) -> Tensor | None:
    """How many trips a ``While`` makes, an int64, if that is known when a plan is bound; None where
    it is not, or more than a counter decides."""
    test, body = op.attrs["bodies"]
    compared = _itself(test.outputs[0]).op
    if compared.type not in ("Less", "LessEqual") or compared.inputs[0] not in test.arguments:
        return None
    k = test.arguments.index(compared.inputs[0])
    step = _step(_itself(body.outputs[k]).op, body.arguments[k])
    stop = _around(op, compared.inputs[1])
    start = op.inputs[op.writes + k]
    if step is None or stop is None or not (_is_known(start) and _is_known(stop)):
        return None
    beyond = step - 1 if compared.type == "Less" else step
    with op.graph.as_default():
        span = cast(stop, dtypes.int64) - cast(start, dtypes.int64)
        count = maximum(floordiv(span + beyond, step), np.int64(0))
        most = op.attrs["most"]
        return count if most is None else minimum(count, np.int64(most))


def _itself(t: Tensor) -> Tensor:
    while t.op.type == "Identity":
        t = t.op.inputs[0]
    return t


def _step(added: Operation, counter: Tensor) -> int | None:
    """By how much the counter grows in a trip."""
    if added.type != "Add" or counter not in added.inputs or not counter.dtype.is_integer:
        return None
    a, b = added.inputs
    value = constant_value(b if a is counter else a)
    return int(value) if value is not None and value.ndim == 0 and value > 0 else None


def _around(op: Operation, t: Tensor) -> Tensor | None:
    """The same around a loop as ``t`` in its condition, if that is the same in every trip."""
    test = op.attrs["bodies"][0]
    stack, seen = [t], {t}
    while stack:
        x = stack.pop()
        if x in test.arguments:
            return None
        if x.op.opdef.static is None:  # shapes do not change
            new = [y for y in x.op.inputs if y not in seen]
            seen.update(new)
            stack += new
    stand_ins = dict(zip(test.inputs, op.inputs[op.writes :], strict=True))
    return copy_into(op.graph, test, stand_ins, [t])[0]


def _is_known(t: Tensor) -> bool:
    """Whether a value is known when a plan is bound."""
    if constant_value(t) is not None:
        return True
    return sizes_of(t.graph)[0].around([t], bind.evaluate).value(t) is not None
