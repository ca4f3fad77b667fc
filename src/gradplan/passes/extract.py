"""Extract: copy what the fetches need out of the user's graph; a fed tensor becomes a placeholder.

Before::

    x --> h --> loss --> dh --> train        run(loss, {h: ...})

After::

    h (placeholder) --> loss
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

from gradplan import errors
from gradplan.graph import Operation, Tensor
from gradplan.opdef import REGISTRY
from gradplan.program import Program
from gradplan.shapes import text


def run(
    fetches: Sequence[Tensor],
    feeds: Sequence[Tensor],
    targets: Sequence[Operation],
    done: Set[Operation] = frozenset(),
    places: Mapping[Tensor, Tensor] | None = None,
) -> Program:
    """The program that computes ``fetches`` and executes ``targets`` from ``feeds``, where the
    operations of ``done`` have been executed and what is taken of them is fed. ``places`` says
    which variables stand behind placeholders.

    Raises
    ------
    InvalidArgumentError
        If it depends on a placeholder that is not fed.
    """
    fed = set(feeds)
    seen: set[Operation] = set()
    stack = [t.op for t in fetches if t not in fed] + list(targets)
    while stack:
        op = stack.pop()
        if op not in seen:
            seen.add(op)
            stack.extend([t.op for t in op.inputs if t not in fed])
            stack.extend([c for c in op.control_inputs if c not in done])
    out = Program()
    tensors: dict[Tensor, Tensor] = {}
    placeholder = REGISTRY["Placeholder"]
    for t in feeds:
        attrs: dict[str, Any] = {"dtype": t.dtype, "shape": t._shape}
        if t.op.opdef is placeholder:
            attrs = t.op.attrs
        tensors[t] = out.make(placeholder, (), attrs, [(t.dtype, t._shape)], t.op).outputs[0]
    ops: dict[Operation, Operation] = {}
    for op in sorted(seen, key=lambda op: op.id):
        if op.opdef is placeholder:
            if op.outputs[0] in fed:
                ops[op] = tensors[op.outputs[0]].op
                continue
            if places and op.outputs[0] in places:
                v = places[op.outputs[0]]
                types = [(v.dtype, v._shape)]
                ops[op] = out.make(v.op.opdef, (), v.op.attrs, types, v.op)
                tensors[op.outputs[0]] = ops[op].outputs[0]
                continue
            _refuse_unfed(op)
        controls = tuple([ops[c] for c in op.control_inputs if c not in done])
        made = ops[op] = out.again(op, [tensors[t] for t in op.inputs], controls)
        for old, new in zip(op.outputs, made.outputs, strict=True):
            tensors.setdefault(old, new)
    out.feeds = [tensors[t] for t in feeds]
    out.fetches, out.names = [tensors[t] for t in fetches], [t.name for t in fetches]
    out.targets = [ops[op] for op in targets]
    return out


def _refuse_unfed(op: Operation) -> None:
    t = op.outputs[0]
    raise errors.InvalidArgumentError(
        None,
        op.origin,
        f"You must feed a value for placeholder tensor '{op.name}' with dtype {t.dtype.name} and "
        f"shape {text(t._shape)} (made at {op.made_at}): pass it in feed_dict.",
    )
