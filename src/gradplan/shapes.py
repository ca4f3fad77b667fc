"""Static shapes. Inside gradplan a shape is a plain tuple of ints and None, or None when even the
rank is unknown; :class:`TensorShape` and :class:`Dimension` are what TensorFlow 1 programs see."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

Shape = tuple["int | None", ...]

#: The largest tensor, in elements or bytes: what an address can span on today's machines.
MAX_SIZE = 2**47


class Dimension:
    """One dimension of a static shape; ``.value`` is an int, or None if unknown."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = None if value is None else dimension_value(value)

    def __int__(self) -> int:
        if self.value is None:
            raise TypeError("this dimension is unknown (None) until a plan is bound")
        return self.value

    __index__ = __int__

    def __eq__(self, other: object) -> Any:
        other_value = other.value if isinstance(other, Dimension) else other
        if self.value is None or other_value is None:
            return None  # TF1: neither equal nor different while one is unknown
        return self.value == other_value

    def __ne__(self, other: object) -> Any:
        equal = self == other
        return None if equal is None else not equal

    def _ordered(self, other: Any, relation: Any) -> bool | None:
        value = dimension_value(other)
        return None if self.value is None or value is None else relation(self.value, value)

    def __lt__(self, other: Any) -> bool | None:
        return self._ordered(other, operator.lt)

    def __le__(self, other: Any) -> bool | None:
        return self._ordered(other, operator.le)

    def __gt__(self, other: Any) -> bool | None:
        return self._ordered(other, operator.gt)

    def __ge__(self, other: Any) -> bool | None:
        return self._ordered(other, operator.ge)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Dimension({self.value})"

    def __str__(self) -> str:
        return "?" if self.value is None else str(self.value)

    def _arithmetic(self, other: Any, function: Any) -> Dimension:
        other = other.value if isinstance(other, Dimension) else other
        unknown = self.value is None or other is None
        return Dimension(None if unknown else function(self.value, int(other)))

    def __add__(self, other: Any) -> Dimension:
        return self._arithmetic(other, lambda a, b: a + b)

    __radd__ = __add__

    def __sub__(self, other: Any) -> Dimension:
        return self._arithmetic(other, lambda a, b: a - b)

    def __mul__(self, other: Any) -> Dimension:
        return self._arithmetic(other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> Dimension:
        return self._arithmetic(other, lambda a, b: b - a)

    def __floordiv__(self, other: Any) -> Dimension:
        return self._arithmetic(other, lambda a, b: a // b)

    def __rfloordiv__(self, other: Any) -> Dimension:
        return self._arithmetic(other, lambda a, b: b // a)

    def __mod__(self, other: Any) -> Dimension:
        return self._arithmetic(other, lambda a, b: a % b)

    def __rmod__(self, other: Any) -> Dimension:
        return self._arithmetic(other, lambda a, b: b % a)


def dimension_value(value: Any) -> int | None:
    """The int or None behind an int-like, a Dimension or None; anything else is a TypeError."""
    if value is None or isinstance(value, int) and not isinstance(value, bool):
        dim = value
    elif isinstance(value, Dimension):
        dim = value.value
    else:
        try:
            dim = value.__index__()
        except (AttributeError, TypeError):
            raise TypeError(f"{value!r} is no dimension: give an int or None") from None
    if dim is not None and dim < 0:
        raise ValueError(f"dimension {dim} is negative; use None where a size is unknown")
    if dim is not None and dim > MAX_SIZE:
        raise ValueError(f"dimension {dim} exceeds the limit of 2**47")
    return dim


class TensorShape:
    """A static shape: a sequence of :class:`Dimension`, or unknown altogether.

    Parameters
    ----------
    dims : None, int, sequence of int, None or Dimension, or TensorShape
        None stands for an unknown rank.

    Examples
    --------
    >>> s = TensorShape([None, 3])
    >>> s.as_list(), s.ndims, s[1].value, s.is_fully_defined()
    ([None, 3], 2, 3, False)
    >>> print(s)
    (?, 3)
    """

    __slots__ = ("_dims",)

    def __init__(self, dims: Any) -> None:
        self._dims: Shape | None = as_shape(dims)

    @property
    def dims(self) -> list[Dimension] | None:
        return None if self._dims is None else [Dimension(d) for d in self._dims]

    @property
    def ndims(self) -> int | None:
        return None if self._dims is None else len(self._dims)

    rank = ndims

    def as_list(self) -> list[int | None]:
        """The dimensions as a list of ints and Nones; ValueError if the rank is unknown."""
        if self._dims is None:
            raise ValueError("as_list() is not defined on an unknown TensorShape")
        return list(self._dims)

    def is_fully_defined(self) -> bool:
        return self._dims is not None and None not in self._dims

    def num_elements(self) -> int | None:
        return math.prod(self._dims) if self.is_fully_defined() else None  # type: ignore[arg-type]

    def is_compatible_with(self, other: Any) -> bool:
        """Whether one tensor could have both shapes."""
        return merge(self._dims, as_shape(other)) is not False

    def assert_is_compatible_with(self, other: Any) -> None:
        if not self.is_compatible_with(other):
            raise ValueError(f"Shapes {self} and {TensorShape(other)} are incompatible")

    def merge_with(self, other: Any) -> TensorShape:
        """The more definite of both; ValueError if they contradict each other."""
        merged = merge(self._dims, as_shape(other))
        if merged is False:
            raise ValueError(f"Shapes {self} and {TensorShape(other)} are not compatible")
        return TensorShape(merged)

    def concatenate(self, other: Any) -> TensorShape:
        more = as_shape(other)
        return TensorShape(None if self._dims is None or more is None else self._dims + more)

    def with_rank(self, rank: int) -> TensorShape:
        return self.merge_with((None,) * rank)

    def __len__(self) -> int:
        if self._dims is None:
            raise ValueError("Cannot take the length of Shape with unknown rank.")
        return len(self._dims)

    def __bool__(self) -> bool:
        return self._dims is not None

    def __iter__(self) -> Iterator[Dimension]:
        if self._dims is None:
            raise ValueError("Cannot iterate over a shape with unknown rank.")
        return (Dimension(d) for d in self._dims)

    def __getitem__(self, key: int | slice) -> Any:
        if self._dims is None:
            return TensorShape(None) if isinstance(key, slice) else Dimension(None)
        if isinstance(key, slice):
            return TensorShape(self._dims[key])
        return Dimension(self._dims[key])

    def __eq__(self, other: object) -> bool:
        try:
            return self._dims == as_shape(other)
        except (TypeError, ValueError):
            return False

    def __hash__(self) -> int:
        return hash(self._dims)

    def __repr__(self) -> str:
        return f"TensorShape({None if self._dims is None else self.as_list()})"

    def __str__(self) -> str:
        return text(self._dims)


def as_shape(value: Any) -> Shape | None:
    """Any of TF1's ways to write a shape, as a tuple of ints and None (or None: unknown rank)."""
    if value is None:
        return None
    if type(value) is tuple and all([d is None or type(d) is int and d >= 0 for d in value]):
        return value
    if isinstance(value, TensorShape):
        return value._dims
    if isinstance(value, (int, Dimension)) and not isinstance(value, bool):
        return (dimension_value(value),)
    if isinstance(value, str) or not isinstance(value, Sequence) and not hasattr(value, "__iter__"):
        raise TypeError(f"{value!r} is no shape: give a list of ints and Nones")
    dims = list(value)
    try:
        return tuple([dimension_value(d) for d in dims])
    except (TypeError, ValueError) as error:
        raise type(error)(f"shape {dims}: {error}") from None


def merge(a: Shape | None, b: Shape | None) -> Shape | None | bool:
    """The more definite of two static shapes, or False if they contradict each other."""
    if a == b:
        return a
    if a is None or b is None:
        return b if a is None else a
    if len(a) != len(b):
        return False
    if any([x != y and x is not None and y is not None for x, y in zip(a, b, strict=True)]):
        return False
    return tuple([y if x is None else x for x, y in zip(a, b, strict=True)])


def text(shape: Shape | None) -> str:
    """The shape as TF1 prints it: ``(?, 3)``."""
    if shape is None:
        return "<unknown>"
    inside = ", ".join("?" if d is None else str(d) for d in shape)
    return f"({inside},)" if len(shape) == 1 else f"({inside})"


def broadcast(a: Shape | None, b: Shape | None) -> Shape | None:
    """The shape of ``a op b`` under NumPy's rule, with unknown dimensions.

    Raises
    ------
    ValueError
        If a known pair of dimensions differs and neither is 1.
    """
    if a == b and (a is None or None not in a):
        return a
    if a is None or b is None:
        return None
    if len(a) < len(b):
        a = (1,) * (len(b) - len(a)) + a
    elif len(b) < len(a):
        b = (1,) * (len(a) - len(b)) + b
    out: list[int | None] = []
    for x, y in zip(a, b, strict=True):
        if x == 1 or x == y:
            out.append(y)
        elif y == 1:
            out.append(x)
        elif x is None or y is None:
            out.append(y if x is None else x)
        else:
            raise ValueError(f"dimensions {x} and {y} do not broadcast")
    return tuple(out)


def size(shape: Sequence[int]) -> int:
    """Elements of a concrete shape, refused when they pass 2**47 even if another dimension is 0."""
    if math.prod(d for d in shape if d) > MAX_SIZE:
        raise ValueError(f"shape {tuple(shape)} has more than 2**47 elements")
    return math.prod(shape)


@functools.lru_cache(4096)  # asked several times for every operation that is bound
def strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Row-major strides in elements: ``strides((2, 3, 4)) == (12, 4, 1)``."""
    out = []
    step = 1
    for d in reversed(shape):
        out.append(step)
        step *= d
    return tuple(reversed(out))
