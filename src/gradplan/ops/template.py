"""Functions that make their variables when they are called for the first time and share them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from gradplan.graph import GraphKeys, at_user_line, get_default_graph
from gradplan.ops.state import Variable
from gradplan.ops.variable_scope import VariableScope, variable_scope

__all__ = ["make_template"]


class Template:
    """What :func:`make_template` gives.

    Attributes
    ----------
    name : str
    func : callable
    variable_scope : VariableScope or None
        Where its variables are; None before the first call.
    """

    def __init__(
        self, name: str, func: Callable[..., Any], now: bool, unique_name: Any, custom_getter: Any
    ) -> None:
        if name is None:
            raise ValueError("name cannot be None.")
        self.name = name
        self.func = func
        self.variable_scope: VariableScope | None = None
        self._opening = (unique_name, name)
        self._getter = custom_getter
        self._called = False
        if now:
            with self._open(auxiliary_name_scope=False) as scope:
                self.variable_scope = scope

    def _open(self, **how: Any) -> Any:
        name, default = self._opening
        return variable_scope(name, default, custom_getter=self._getter, **how)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The function's result, with the variables of the first call."""
        if self.variable_scope is None:
            opened = self._open()
        else:
            opened = variable_scope(self.variable_scope, reuse=self._called)
        with opened as scope:
            self.variable_scope = self.variable_scope or scope
            before = len(get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES))
            result = self.func(*args, **kwargs)
            made = get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES)[before:]
        if self._called and made:
            raise ValueError(
                at_user_line(
                    f"Trainable variable created when calling the template {self.name!r} after the "
                    "first time, perhaps you used tf.Variable when you meant tf.get_variable: "
                    f"{made}"
                )
            )
        self._called = True
        return result

    @property
    def variable_scope_name(self) -> str | None:
        """The prefix of its variables, with a slash; None before the first call."""
        return None if self.variable_scope is None else f"{self.variable_scope.name}/"

    def _of(self, key: str) -> list[Variable]:
        return self.variable_scope.get_collection(key) if self._called else []  # type: ignore[union-attr]

    @property
    def global_variables(self) -> list[Variable]:
        return self._of(GraphKeys.GLOBAL_VARIABLES)

    @property
    def local_variables(self) -> list[Variable]:
        return self._of(GraphKeys.LOCAL_VARIABLES)

    @property
    def trainable_variables(self) -> list[Variable]:
        return self._of(GraphKeys.TRAINABLE_VARIABLES)

    @property
    def non_trainable_variables(self) -> list[Variable]:
        trained = set(self.trainable_variables)
        return [v for v in self.global_variables if v not in trained]

    @property
    def variables(self) -> list[Variable]:
        return self.global_variables + self.local_variables


def make_template(
    name_: str,
    func_: Callable[..., Any],
    create_scope_now_: bool = False,
    unique_name_: str | None = None,
    custom_getter_: Any = None,
    **kwargs: Any,
) -> Template:
    """A function that makes its variables by :func:`get_variable` in its first call, and shares
    them with all others.

    Parameters
    ----------
    name_ : str
        The variable scope, made unique.
    func_ : callable
    create_scope_now_ : bool, optional
        Open the scope here, not in the first call. Default: False.
    unique_name_ : str, optional
        The variable scope as it stands, instead of ``name_``.
    custom_getter_ : callable, optional
        See :func:`get_variable`.
    **kwargs
        Arguments that every call of ``func_`` gets.

    Returns
    -------
    Template
        Called like ``func_``.

    Raises
    ------
    ValueError
        If ``name_`` is None; when called again, if that needs a new variable.

    Examples
    --------
    >>> import gradplan as gp
    >>> def scale(x):
    ...     return x * gp.get_variable("w", [], initializer=gp.ones_initializer())
    >>> template = gp.make_template("scale", scale)
    >>> a, b = template(1.0), template(2.0)
    >>> [v.name for v in template.variables]
    ['scale/w:0']
    """
    func = functools.partial(func_, **kwargs) if kwargs else func_
    return Template(name_, func, create_scope_now_, unique_name_, custom_getter_)
