"""The names of operations: unique in a graph, under scopes, and numbered as TensorFlow's are; those
of gradients that are made in another way."""

from __future__ import annotations

import functools
import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from gradplan.source import at_user_line

if TYPE_CHECKING:
    from gradplan.graph import Operation

_OP_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\\-/]*")
_SCOPE_NAME = re.compile(r"[A-Za-z0-9_.\\\-/]*")


@functools.lru_cache(maxsize=4096)
def _is_name(name: str, within: bool) -> bool:
    """Whether an operation may have the name, at the root or within a scope."""
    return bool(_OP_NAME.fullmatch(name) or within and _SCOPE_NAME.fullmatch(name))


class Names:
    """What a graph knows of names.

    The inside of a loop or conditional that a user wrote has those of the graph around it
    (``share_names``): to TensorFlow it is a part of it.
    """

    current: Any  # where operations are made now (Graph.current)
    extras: dict[str, Any]

    def _start_names(self) -> None:
        self._by_name: dict[str, Operation] = {}
        self._names: dict[str, int] = {}
        self._scope = ""  # the current name scope, without a slash at its end
        self._lock = threading.RLock()

    def share_names(self, other: Names) -> None:
        """Have the names of another graph for one's own."""
        self._by_name, self._names, self._lock = other._by_name, other._names, other._lock

    def unique_name(self, name: str, mark_as_used: bool = True) -> str:
        """``name`` inside the current scope, with ``_1``, ``_2`` ... added if it is taken."""
        with self._lock:
            if self._scope:
                name = f"{self._scope}/{name}"
            key = name.lower()  # names that differ by case alone would clash in file systems
            names = self._names
            count = names.get(key, 0)
            if mark_as_used:
                names[key] = count + 1
            if count:
                while f"{key}_{count}" in names:
                    count += 1
                if mark_as_used:
                    names[f"{key}_{count}"] = 1
                name = f"{name}_{count}"
            return name

    def reserve(self, *names: str) -> None:
        """Use up names that operations have in TensorFlow which are none here: what is made next
        is numbered after them."""
        for name in names:
            self.current.unique_name(name)

    def rename(self, op: Operation, name: str) -> None:
        """Another name in the current scope for what was made just now; what has it takes its."""
        full = f"{self._scope}/{name}" if self._scope else name
        with self._lock:
            other, self._by_name[full] = self._by_name.get(full, op), op
            if other is not op:
                other.name, self._by_name[op.name] = op.name, other
            elif full != op.name:
                del self._by_name[op.name]
            op.name = full
            self._names.setdefault(full.lower(), 1)

    def op_name(self, name: str) -> str:
        """The full name for a new operation; a name that ends in ``/`` is taken as it stands."""
        if name[-1:] == "/" and name != "/":
            return name[:-1]
        if not _is_name(name, self._scope != ""):
            raise ValueError(at_user_line(_no_name(name)))
        return self.unique_name(name)

    def name_scope(self, name: str | None) -> AbstractContextManager[str]:
        """Put the names of what is made inside under ``name/``; yields the full scope with slash.

        None or ``""`` goes back to the root; a name that ends in ``/`` re-enters that very scope.
        """
        graph = self.current
        if not name:
            scope = ""
        elif name.endswith("/"):
            scope = name[:-1]
        else:
            if not _is_name(name, graph._scope != ""):
                raise ValueError(at_user_line(_no_name(name)))
            scope = graph.unique_name(name)
        return _Within(graph, scope)


class _Within:
    """With it, a graph's scope is another one: a class, since a generator takes twice as long, and
    there is a scope for nearly every operation."""

    __slots__ = ("_before", "_graph", "_scope")

    def __init__(self, graph: Names, scope: str) -> None:
        self._graph, self._scope = graph, scope

    def __enter__(self) -> str:
        self._before, self._graph._scope = self._graph._scope, self._scope
        return f"{self._scope}/" if self._scope else ""

    def __exit__(self, *error: object) -> None:
        self._graph._scope = self._before


def named(*names: Any) -> Callable[[Any], Any]:
    """For a gradient: TensorFlow's names of its results, where its last operation has another.

    A single name is that of the first result; ``gradients`` gives it to what was made for it. One
    function of the operation gives them all where they depend on it.
    """

    def attach(gradient: Any) -> Any:
        gradient.names = names[0] if callable(names[0]) else lambda op: names
        return gradient

    return attach


def gradient_called(t: Any, *names: str | None) -> Any:
    """``t``, the gradient of whose operation has these names in TensorFlow, where it is made in
    another way; a name that begins with a slash stands in the scope around the gradient's own."""
    t.graph.extras.setdefault("gradient_names", {})[t.op] = names
    return t


def is_gradient_called(op: Operation) -> bool:
    """Whether the gradient of an operation has such names."""
    return op in op.graph.extras.get("gradient_names", ())


def sums_are_within(graph: Names, scope: str) -> None:
    """Of what stands in a scope gradients are added up where TensorFlow does not: their sums have
    no part in its numbers."""
    graph.extras.setdefault("summing scopes", set()).add(scope.rstrip("/"))


def is_within(op: Operation) -> bool:
    """Whether an operation stands in such a scope."""
    return op.name.rpartition("/")[0] in op.graph.extras.get("summing scopes", ())


def _no_name(name: str) -> str:
    return f"'{name}' is not a valid scope name: letters, digits and . _ - / may stand in one"
