"""Slots: variables that stand beside another one, under its name."""

from __future__ import annotations

from typing import Any

from gradplan.graph import default_graph
from gradplan.ops.state import Variable


def make_slot(primary: Any, value: Any, name: str) -> Variable:
    """A variable ``<primary>/<name>``, not trainable; ``_1``, ``_2`` ... follow where there are
    some already. That of a part is the same part of the whole's slot.

    Parameters
    ----------
    primary : Variable or Tensor
    value : callable
        Gives the initial value.
    name : str
    """
    graph = primary.graph
    base, count = f"{primary.op.name}/{name}", 0
    while (f"{base}_{count}" if count else base) in graph._by_name:
        count += 1
    with default_graph(graph), graph.control_dependencies(None), graph.name_scope(None):
        slot = Variable(value, trainable=False, name=f"{base}_{count}" if count else base)
    part = getattr(primary, "_save_slice_info", None)
    if part is not None and slot.shape.as_list() == part.var_shape:
        own = slot.op.name.removeprefix(primary.op.name)
        slot._save_slice_info = part._replace(full_name=part.full_name + own)
    return slot
