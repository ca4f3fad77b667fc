"""Names, control dependencies and collections of the default graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from gradplan.graph import get_default_graph


@contextmanager
def name_scope(
    name: str | None, default_name: str | None = None, values: Any = None
) -> Iterator[str]:
    """Put the names of operations made inside under a scope of the default graph.

    Parameters
    ----------
    name : str or None
        The scope; None takes ``default_name``.
    default_name : str, optional
    values : list, optional
        Accepted as in TensorFlow 1; the graph is the default one.

    Yields
    ------
    str
        The full scope with a slash at its end.

    Examples
    --------
    >>> import gradplan as gp
    >>> with gp.Graph().as_default(), gp.name_scope("hidden") as scope:
    ...     print(scope, gp.constant(1.0, name="c").name)
    hidden/ hidden/c:0
    """
    with get_default_graph().name_scope(default_name if name is None else name) as scope:
        yield scope


def control_dependencies(control_inputs: Iterable[Any] | None) -> Any:
    """Make what is built inside run after ``control_inputs`` (operations, tensors or variables).

    Examples
    --------
    >>> import gradplan as gp
    >>> with gp.Graph().as_default():
    ...     v = gp.Variable(1.0)
    ...     with gp.control_dependencies([v.assign_add(2.0)]):
    ...         after = v.read_value()
    ...     with gp.Session() as sess:
    ...         sess.run(v.initializer)
    ...         print(sess.run(after))
    3.0
    """
    return get_default_graph().control_dependencies(control_inputs)


def add_to_collection(name: Any, value: Any) -> None:
    """Add to a collection of the default graph."""
    get_default_graph().add_to_collection(name, value)


def add_to_collections(names: Any, value: Any) -> None:
    """Add to several collections of the default graph, or to the one that ``names`` names."""
    get_default_graph().add_to_collections(names, value)


def get_collection_ref(key: Any) -> list[Any]:
    """The collection's own list, which may be changed."""
    return get_default_graph().get_collection_ref(key)


def get_collection(key: Any, scope: str | None = None) -> list[Any]:
    """A copy of a collection of the default graph, filtered by a regular expression on names."""
    return get_default_graph().get_collection(key, scope)
