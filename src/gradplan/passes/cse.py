"""Common subexpressions: of two pure operations with equal inputs and attributes the second is
dropped.

Before::

    a = exp(x)    b = exp(x)    y = a + b

After::

    a = exp(x)    y = a + a
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradplan.graph import Operation, Tensor
from gradplan.program import Program, is_pure, rebuild

#: Of an array that is compared with others; two larger ones are seldom equal.
MOST_BYTES = 1 << 16


def run(program: Program) -> Program:
    """See the module's text."""
    seen: dict[Any, Operation] = {}

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        # Operations without inputs other than constants are places, not values: placeholders,
        # variables.
        if not is_pure(op) or not op.outputs or not inputs and op.opdef.static is None:
            return None
        key = (op.opdef, inputs, tuple([(k, _hashable(v)) for k, v in op.attrs.items()]))
        if key in seen:
            return [tensors[t] for t in seen[key].outputs]
        seen[key] = op
        return None

    return rebuild(program, visit)


def _hashable(value: Any) -> Any:
    """Equal for equal attributes; arrays count by their bits, so that 0.0 and -0.0 stay two
    constants."""
    if isinstance(value, np.ndarray):
        if value.nbytes > MOST_BYTES:
            return id(value)
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, float):
        return value.hex()
    return type(value), value
