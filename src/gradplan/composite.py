"""Values of several tensors, such as a SparseTensor: how a session fetches and feeds them."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

#: ``fetch(value) -> (tensors, rebuild)``, ``feed(key, value) -> [(tensor, value), ...]`` and
#: ``keys(key) -> [tensor, ...]``.
Fetch = Callable[[Any], tuple[Sequence[Any], Callable[[list[Any]], Any]]]
Feed = Callable[[Any, Any], Sequence[tuple[Any, Any]]]
Keys = Callable[[Any], Sequence[Any]]
_registered: list[tuple[Any, Fetch, Feed | None, Keys | None]] = []


def register_session_run_conversion_functions(
    tensor_type: Any,
    fetch_function: Fetch,
    feed_function: Feed | None = None,
    feed_function_for_partial_run: Keys | None = None,
) -> None:
    """Let :meth:`Session.run` fetch and feed values of a type that is made of several tensors.

    Parameters
    ----------
    tensor_type : type
    fetch_function : callable
        ``fetch_function(value)`` gives what to fetch, and a function that makes the result of a
        list of what was fetched.
    feed_function : callable, optional
        ``feed_function(key, value)`` gives pairs of a tensor and what to feed it.
    feed_function_for_partial_run : callable, optional
        ``feed_function_for_partial_run(key)`` gives those tensors alone, in the same order; needed
        with ``feed_function``, since a run is prepared before there are values.

    Raises
    ------
    ValueError
        If the type is registered already, or one function for feeding is there alone.

    Examples
    --------
    >>> import gradplan as gp
    >>> class Interval:
    ...     def __init__(self, low, high):
    ...         self.low, self.high = low, high
    >>> gp.register_session_run_conversion_functions(
    ...     Interval, lambda i: ([i.low, i.high], lambda values: Interval(*values)))
    >>> float(gp.Session().run(Interval(gp.constant(1.0), gp.constant(2.0))).high)
    2.0
    """
    if any(kind is tensor_type for kind, *_ in _registered):
        raise ValueError(f"{tensor_type.__name__} is registered already")
    if (feed_function is None) != (feed_function_for_partial_run is None):
        raise ValueError("feed_function and feed_function_for_partial_run belong together")
    _registered.append((tensor_type, fetch_function, feed_function, feed_function_for_partial_run))


def fetched(value: Any) -> tuple[Sequence[Any], Callable[[list[Any]], Any]] | None:
    """What to fetch for ``value`` and how to make its result of that; None for a plain tensor."""
    for kind, fetch, _, _ in _registered:
        if isinstance(value, kind):
            return fetch(value)
    return None


def _values_of(feed: Feed, key: Any, value: Any) -> list[Any]:
    return [v for _, v in feed(key, value)]


def _values_of_nest(key: Any, parts: Sequence[Any], value: Any) -> list[Any]:
    if not isinstance(value, (list, tuple)) or len(value) != len(parts):
        given = f"{len(value)} values" if isinstance(value, (list, tuple)) else repr(value)
        raise ValueError(f"Cannot feed {given} for {key!r}: it takes {len(parts)} values in a list")
    pairs = zip(parts, value, strict=True)
    return [x for part, v in pairs for x in ([v] if part is None else part[1](v))]


def fed(key: Any) -> tuple[Sequence[Any], Callable[[Any], list[Any]]] | None:
    """The tensors that ``key`` feeds, and a function of its value that gives theirs; None for a
    plain tensor. A tuple, such as a recurrent net's state, is fed a nest like it."""
    if isinstance(key, (list, tuple)):
        parts = [fed(k) for k in key]
        pairs = zip(key, parts, strict=True)
        tensors = [t for k, part in pairs for t in ([k] if part is None else part[0])]
        return tensors, functools.partial(_values_of_nest, key, parts)
    for kind, _, feed, keys in _registered:
        if feed is not None and keys is not None and isinstance(key, kind):
            return keys(key), functools.partial(_values_of, feed, key)
    return None
