"""Element types. The number of a type is the one that C knows (``enum gp_dtype`` in
csrc/plan.h)."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np


class DType:
    """The type of a tensor's elements, such as ``gp.float32``.

    Two types are equal when NumPy would call them equal, so ``gp.float32 == np.float32`` holds and
    so does ``gp.float32 == "float32"``.

    Attributes
    ----------
    name : str
        TensorFlow's name of the type: ``"float32"``.
    as_numpy_dtype : type
        NumPy's scalar type.
    short : str
        The suffix of the type in kernel names: ``"f32"``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.float32.as_numpy_dtype, gp.int64.is_integer, gp.as_dtype("double")
    (<class 'numpy.float32'>, True, gp.float64)
    """

    __slots__ = (
        "as_numpy_dtype",
        "is_bool",
        "is_floating",
        "is_integer",
        "name",
        "np",
        "number",
        "short",
        "size",
    )

    def __init__(self, number: int, numpy_type: type, short: str) -> None:
        self.number = number
        self.as_numpy_dtype = numpy_type
        self.np = np.dtype(numpy_type)
        self.name = self.np.name
        self.short = short
        self.size = self.np.itemsize
        self.is_floating = self.np.kind == "f"
        self.is_integer = self.np.kind == "i"
        self.is_bool = self.np.kind == "b"

    @property
    def base_dtype(self) -> DType:
        """The type itself; TensorFlow 1 strips the reference mark of a variable's type here."""
        return self

    @property
    def as_datatype_enum(self) -> int:
        return self.number

    @property
    def is_complex(self) -> builtins.bool:
        return False

    @property
    def min(self) -> Any:
        """The smallest finite value of the type."""
        return np.finfo(self.np).min if self.is_floating else np.iinfo(self.np.name).min

    @property
    def max(self) -> Any:
        """The largest finite value of the type."""
        return np.finfo(self.np).max if self.is_floating else np.iinfo(self.np.name).max

    def is_compatible_with(self, other: Any) -> builtins.bool:
        return self is as_dtype(other)

    def __eq__(self, other: object) -> builtins.bool:
        if self is other:
            return True
        if other is None or isinstance(other, DType):
            return False
        try:
            return self is as_dtype(other)
        except TypeError:
            return False

    def __hash__(self) -> builtins.int:
        return self.number

    def __repr__(self) -> str:
        return f"gp.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return as_dtype, (self.name,)


bool = DType(0, np.bool_, "b")
int32 = DType(1, np.int32, "i32")
int64 = DType(2, np.int64, "i64")
float32 = DType(3, np.float32, "f32")
float64 = DType(4, np.float64, "f64")

ALL = (bool, int32, int64, float32, float64)
NUMBERS = (int32, int64, float32, float64)
FLOATS = (float32, float64)
INTEGERS = (int32, int64)
BOOLEAN = (bool,)

_BY_NUMPY = {d.np: d for d in ALL}
# TF1 reads Python's own float as float32; NumPy would say float64.
_BY_NAME: dict[Any, DType] = {d.name: d for d in ALL} | {
    "float": float32,
    "double": float64,
    builtins.float: float32,
    builtins.bool: bool,
    builtins.int: int64,
}


def as_dtype(type_value: Any) -> DType:
    """Convert a name, a Python type or a NumPy type to a :class:`DType`.

    Parameters
    ----------
    type_value : DType, str, type or numpy.dtype
        ``"float"`` and ``float`` mean float32, as in TensorFlow 1.

    Returns
    -------
    DType

    Raises
    ------
    TypeError
        If gradplan has no such type; the message lists those it has.

    Examples
    --------
    >>> import numpy as np
    >>> as_dtype("float"), as_dtype(np.int32)
    (gp.float32, gp.int32)
    """
    if isinstance(type_value, DType):
        return type_value
    try:
        found = _BY_NAME.get(type_value)
        if found is None:
            found = _BY_NUMPY.get(np.dtype(type_value).newbyteorder("="))
    except TypeError:
        found = None
    if found is None:
        names = ", ".join(d.name for d in ALL)
        raise TypeError(f"{type_value!r} is no type that gradplan has; it has {names}")
    return found
