"""Element types. The number of a type is the one that C knows (``enum gp_dtype`` in
csrc/plan.h).

What the sets are for::

    ALL        what is stored, moved (copied, reshaped, gathered, chosen), fed, fetched and cast
    VALUES     what has a value to compare: bool and REALS
    REALS      what TensorFlow 1 adds, subtracts, multiplies, orders and sums: NUMBERS and SMALL
    NUMBERS    what every kernel that computes takes: int32, int64, float32, float64
    FLOATS     float32, float64              INTEGERS   int32, int64: also what indices are
    SMALL      uint8, int8, int16            WHOLE      INTEGERS and SMALL
    STORED     float16, bfloat16: kept and moved alone; arithmetic wants a cast to float32

NumPy has no bfloat16: arrays of it hold the bits as uint16 inside gradplan, and nowhere outside.
"""

from __future__ import annotations

import builtins
from functools import cache
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
    np : numpy.dtype
        Of the arrays that hold it; uint16 for bfloat16.
    short : str
        The suffix of the type in kernel names: ``"f32"``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.float32.as_numpy_dtype, gp.int64.is_integer, gp.as_dtype("double")
    (<class 'numpy.float32'>, True, gp.float64)
    """

    __slots__ = (
        "is_bool",
        "is_floating",
        "is_integer",
        "name",
        "np",
        "number",
        "short",
        "size",
    )

    def __init__(self, number: int, numpy_type: type, short: str, name: str | None = None) -> None:
        self.number = number
        self.np = np.dtype(numpy_type)  # of the arrays that hold it
        self.name = name or self.np.name
        self.short = short
        self.size = self.np.itemsize
        self.is_floating = self.np.kind == "f" or name is not None
        self.is_integer = self.np.kind in "iu" and name is None
        self.is_bool = self.np.kind == "b"

    @property
    def as_numpy_dtype(self) -> Any:
        """NumPy's scalar type; of bfloat16 that of the package ml_dtypes."""
        return _ml_bfloat16() if self is bfloat16 else self.np.type

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
        return _limits(self)[0]

    @property
    def max(self) -> Any:
        """The largest finite value of the type."""
        return _limits(self)[1]

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
uint8 = DType(5, np.uint8, "u8")
int8 = DType(6, np.int8, "i8")
int16 = DType(7, np.int16, "i16")
float16 = DType(8, np.float16, "f16")
bfloat16 = DType(9, np.uint16, "bf16", "bfloat16")

BOOLEAN = (bool,)
INTEGERS = (int32, int64)
FLOATS = (float32, float64)
NUMBERS = INTEGERS + FLOATS
SMALL = (uint8, int8, int16)
STORED = (float16, bfloat16)
WHOLE = INTEGERS + SMALL
REALS = NUMBERS + SMALL
VALUES = BOOLEAN + REALS
ALL = VALUES + STORED

_BY_NUMPY = {d.np: d for d in VALUES + (float16,)}
# TF1 reads Python's own float as float32; NumPy would say float64.
_BY_NAME: dict[Any, DType] = {d.name: d for d in ALL} | {
    "float": float32,
    "double": float64,
    "half": float16,
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
            given = np.dtype("O" if type_value is None else type_value)  # NumPy has None for floats
            found = bfloat16 if is_bfloat16(given) else _BY_NUMPY.get(given.newbyteorder("="))
    except TypeError:
        found = None
    if found is None:
        names = ", ".join(d.name for d in ALL)
        raise TypeError(f"{type_value!r} is no type that gradplan has; it has {names}")
    return found


# ---- bfloat16 ------------------------------------------------------------------------------------


@cache
def _limits(dtype: DType) -> tuple[Any, Any]:
    if dtype is bfloat16:
        largest = float.fromhex("0x1.fep127")
        return -largest, largest
    found = np.finfo(dtype.np) if dtype.is_floating else np.iinfo(dtype.np.name)
    return found.min, found.max


def is_bfloat16(given: np.dtype) -> builtins.bool:
    """Whether it is the bfloat16 of ml_dtypes (or of another package of that name)."""
    # NumPy makes the name up anew each time.
    return given.kind == "V" and given.itemsize == 2 and given.name == "bfloat16"


def _ml_bfloat16() -> Any:
    try:
        from ml_dtypes import bfloat16 as found
    except ImportError:
        raise ImportError(
            "NumPy has no bfloat16: `pip install gradplan[bfloat16]` brings one (the package "
            "ml_dtypes); or fetch gp.cast(x, gp.float32)"
        ) from None
    return found


class Bits(np.ndarray):
    """An array of bfloat16 by their bits, and not of the integers that NumPy sees."""


def to_bits(values: Any) -> np.ndarray:
    """Numbers as bfloat16, by their bits: the nearest, halves to even."""
    if isinstance(values, Bits):
        return values
    given = np.asarray(values)
    if is_bfloat16(given.dtype):
        return np.ascontiguousarray(given).view(np.uint16).reshape(given.shape).view(Bits)
    with np.errstate(all="ignore"):
        wide = given.astype(np.float64)
        near = wide.astype(np.float32)
        bits = near.view(np.uint32)
        # What was lost is kept as a last bit of 1, so that the next rounding goes the right way.
        cut = np.where(np.abs(near) > np.abs(wide), bits - 1, bits) | 1
        bits = np.where((near == wide) | np.isnan(wide), bits, cut).astype(np.uint32)
        rounded = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    quiet = (bits >> 16 & 0x8000) | 0x7FC0
    return np.where(np.isnan(wide), quiet, rounded).astype(np.uint16).view(Bits)


def from_bits(bits: Any) -> np.ndarray:
    """The numbers, as float32, of which ``bits`` are the bfloat16."""
    return np.asarray((np.asarray(bits).astype(np.uint32) << 16).view(np.float32))


def outside(dtype: DType, value: Any) -> Any:
    """A fetched array as the caller sees it."""
    return value.view(_ml_bfloat16()) if dtype is bfloat16 else value
