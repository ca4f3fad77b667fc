"""``tf.nest``: lists, tuples, named tuples and dictionaries of anything, as a tree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

__all__ = [
    "assert_same_structure",
    "flatten",
    "is_nested",
    "is_sequence",
    "map_structure",
    "pack_sequence_as",
]


def is_sequence(seq: Any) -> bool:
    """Whether ``seq`` is a list, a tuple or a dictionary."""
    return isinstance(seq, (list, tuple, Mapping))


is_nested = is_sequence


def _children(structure: Any) -> list[Any]:
    """What a list, tuple or dictionary holds; of a dictionary in the order of its sorted keys."""
    if isinstance(structure, Mapping):
        return [structure[key] for key in sorted(structure)]
    return list(structure)


def _rebuilt(structure: Any, children: list[Any]) -> Any:
    if isinstance(structure, Mapping):
        by_key = dict(zip(sorted(structure), children, strict=True))
        return type(structure)((key, by_key[key]) for key in structure)  # type: ignore[call-arg]
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*children)
    return type(structure)(children)


def flatten(structure: Any) -> list[Any]:
    """The leaves, in order.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.nest.flatten({"b": [1, (2, 3)], "a": 4})
    [4, 1, 2, 3]
    """
    if not is_sequence(structure):
        return [structure]
    return [leaf for child in _children(structure) for leaf in flatten(child)]


def pack_sequence_as(structure: Any, flat_sequence: Any) -> Any:
    """The leaves in ``flat_sequence``, in this structure; ValueError if there are more or fewer."""
    flat = list(flat_sequence)
    wanted = len(flatten(structure))
    if len(flat) != wanted:
        raise ValueError(
            f"Could not pack sequence. Structure had {wanted} elements, but flat_sequence had "
            f"{len(flat)} elements."
        )
    return _pack(structure, iter(flat))


def _pack(structure: Any, leaves: Iterator[Any]) -> Any:
    if not is_sequence(structure):
        return next(leaves)
    return _rebuilt(structure, [_pack(child, leaves) for child in _children(structure)])


def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True) -> None:
    """ValueError if the trees differ; TypeError if, by ``check_types``, only their types do."""
    if is_sequence(nest1) != is_sequence(nest2):
        raise ValueError(
            f"The two structures don't have the same nested structure: {nest1!r} and {nest2!r}"
        )
    if not is_sequence(nest1):
        return
    if check_types and type(nest1) is not type(nest2):
        raise TypeError(
            "The two structures don't have the same sequence type: "
            f"{type(nest1).__name__} and {type(nest2).__name__}"
        )
    mappings = [n for n in (nest1, nest2) if isinstance(n, Mapping)]
    if len(nest1) != len(nest2) or (len(mappings) == 2 and set(nest1) != set(nest2)):
        raise ValueError(
            f"The two structures don't have the same nested structure: {nest1!r} and {nest2!r}"
        )
    for one, two in zip(_children(nest1), _children(nest2), strict=True):
        assert_same_structure(one, two, check_types)


def map_structure(func: Callable[..., Any], *structure: Any, **kwargs: Any) -> Any:
    """``func`` of the leaves at each place of one or several trees of equal structure.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.nest.map_structure(lambda a, b: a + b, [1, (2,)], [10, (20,)])
    [11, (22,)]
    """
    check_types = kwargs.pop("check_types", True)
    if kwargs or not structure:
        raise ValueError("map_structure takes a function, structures and check_types alone")
    for other in structure[1:]:
        assert_same_structure(structure[0], other, check_types)
    leaves = zip(*map(flatten, structure), strict=True)
    return pack_sequence_as(structure[0], [func(*those) for those in leaves])
