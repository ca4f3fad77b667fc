"""Slots: variables that stand beside another one, under its name."""

from __future__ import annotations

from typing import Any

from gradplan.graph import default_graph
from gradplan.ops.state import Variable
from gradplan.ops.variable_scope import get_variable_scope


def make_slot(primary: Any, value: Any, name: str) -> Variable:
    """A variable ``<primary>/<name>``, not trainable, under the current variable scope; ``_1``,
    ``_2`` ... follow where there are some already. That of a part is the same part of the whole's
    slot.

    Parameters
    ----------
    primary : Variable or Tensor
    value : callable
        Gives the initial value.
    name : str
    """
    graph = primary.graph
    with default_graph(graph), graph.control_dependencies(None), graph.name_scope(None):
        base = under_scope(primary.op.name)
        own, count = name, 0
        while f"{base}/{own}" in graph._by_name:
            count += 1
            own = f"{name}_{count}"
        slot = Variable(value, trainable=False, name=f"{base}/{own}")
    part = getattr(primary, "_save_slice_info", None)
    if part is not None and slot.shape.as_list() == part.var_shape:
        whole = under_scope(part.full_name)
        slot._save_slice_info = part._replace(full_name=f"{whole}/{own}")
    return slot


def under_scope(name: str) -> str:
    """The full name of a variable in the current variable scope."""
    scope = get_variable_scope().name
    return f"{scope}/{name}" if scope else name
