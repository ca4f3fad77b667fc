"""``tf.contrib.framework``: the global step, and variables by name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from gradplan.graph import GraphKeys, get_default_graph
from gradplan.porting import is_tensor
from gradplan.python.util import nest
from gradplan.train import get_global_step, get_or_create_global_step

__all__ = [
    "get_global_step",
    "get_local_variables",
    "get_model_variables",
    "get_or_create_global_step",
    "get_trainable_variables",
    "get_unique_variable",
    "get_variables",
    "get_variables_by_name",
    "get_variables_by_suffix",
    "is_tensor",
    "nest",
]


def get_variables(
    scope: Any = None, suffix: str | None = None, collection: Any = GraphKeys.GLOBAL_VARIABLES
) -> list[Any]:
    """The variables of a collection, by where their names start and end.

    Parameters
    ----------
    scope : str or VariableScope, optional
        A regular expression, matched at the start of the name.
    suffix : str, optional
        The end of the name.
    collection : optional
        Default: ``GraphKeys.GLOBAL_VARIABLES``.

    Examples
    --------
    >>> import gradplan as gp
    >>> with gp.variable_scope("a"):
    ...     w, b = gp.get_variable("w", [2]), gp.get_variable("b", [2])
    >>> gp.contrib.framework.get_variables("a", suffix="b")
    [<gp.Variable 'a/b:0' shape=(2,) dtype=float32>]
    """
    found = get_default_graph().get_collection(collection, getattr(scope, "name", scope))
    pattern = None if suffix is None else re.compile(re.escape(suffix.split(":")[0]) + "$")
    return [v for v in found if pattern is None or pattern.search(v.op.name)]


def get_local_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """:func:`get_variables` of the collection ``LOCAL_VARIABLES``."""
    return get_variables(scope, suffix, GraphKeys.LOCAL_VARIABLES)


def get_model_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """:func:`get_variables` of the collection ``MODEL_VARIABLES``."""
    return get_variables(scope, suffix, GraphKeys.MODEL_VARIABLES)


def get_trainable_variables(scope: Any = None, suffix: str | None = None) -> list[Any]:
    """:func:`get_variables` of the collection ``TRAINABLE_VARIABLES``."""
    return get_variables(scope, suffix, GraphKeys.TRAINABLE_VARIABLES)


def get_variables_by_suffix(suffix: str, scope: Any = None) -> list[Any]:
    """:func:`get_variables` with a suffix."""
    return get_variables(scope, suffix)


def get_variables_by_name(given_name: str, scope: Any = None) -> list[Any]:
    """The variables of which ``given_name`` is the whole name, or what follows a slash."""
    ends = get_variables(scope, given_name)
    return [v for v in ends if f"/{v.op.name}".endswith(f"/{given_name}")]


def get_unique_variable(var_op_name: str) -> Any:
    """The variable of this name; ValueError if there is none."""
    found: Iterable[Any] = get_variables_by_name(var_op_name)
    exact = [v for v in found if v.op.name == var_op_name]
    if not exact:
        raise ValueError(f"Variable {var_op_name} does not uniquely identify a variable")
    return exact[0]
