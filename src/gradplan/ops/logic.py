"""Comparisons and logic: elementwise, with bool results."""

from __future__ import annotations

import operator
from typing import Any

from gradplan.dtypes import BOOLEAN, REALS, VALUES
from gradplan.opdef import MAP, op

__all__ = [
    "equal",
    "greater",
    "greater_equal",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
]


def _comparison(name: str, public: str, kernel: str, sign: str, T: Any) -> Any:
    """Declare the six comparisons, which differ in their sign alone."""

    def compare(x: Any, y: Any, name: str | None = None) -> Any: ...

    compare.__name__ = compare.__qualname__ = public
    example = [getattr(operator, f"__{kernel}__")(a, 2) for a in (1, 2, 3)]
    compare.__doc__ = f"""Whether ``x {sign} y``, elementwise, with broadcasting.

    Parameters
    ----------
    x, y : tensor_like
        Of one type; shapes that broadcast. NaN is unequal to everything.
    name : str, optional

    Returns
    -------
    Tensor
        bool, of the broadcast shape.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.{public}([1, 2, 3], 2)).tolist()
    {example}
    """
    # == compares identity, as in TensorFlow 1: tensors are keys of feed dictionaries.
    method = None if kernel in ("eq", "ne") else f"__{kernel}__ {name}"
    return op(name, MAP, kernel=kernel, types="T T -> bool", T=T, operator=method)(compare)


equal = _comparison("Equal", "equal", "eq", "==", VALUES)
not_equal = _comparison("NotEqual", "not_equal", "ne", "!=", VALUES)
less = _comparison("Less", "less", "lt", "<", REALS)
less_equal = _comparison("LessEqual", "less_equal", "le", "<=", REALS)
greater = _comparison("Greater", "greater", "gt", ">", REALS)
greater_equal = _comparison("GreaterEqual", "greater_equal", "ge", ">=", REALS)


@op("LogicalAnd", MAP, kernel="and", T=BOOLEAN, operator="__and__ and")
def logical_and(x: Any, y: Any, name: str | None = None) -> Any:
    """``x and y``, elementwise on bool tensors, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.logical_and([True, False], True)).tolist()
    [True, False]
    """


@op("LogicalOr", MAP, kernel="or", T=BOOLEAN, operator="__or__ or")
def logical_or(x: Any, y: Any, name: str | None = None) -> Any:
    """``x or y``, elementwise on bool tensors, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.logical_or([True, False], False)).tolist()
    [True, False]
    """


@op("LogicalXor", MAP, kernel="xor", T=BOOLEAN, operator="__xor__ xor")
def logical_xor(x: Any, y: Any, name: str | None = None) -> Any:
    """Whether exactly one of ``x`` and ``y`` holds, elementwise on bool tensors, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.logical_xor([True, False], True)).tolist()
    [False, True]
    """


@op("LogicalNot", MAP, kernel="not", T=BOOLEAN, operator="__invert__ LogicalNot")
def logical_not(x: Any, name: str | None = None) -> Any:
    """``not x``, elementwise on a bool tensor.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.logical_not([True, False])).tolist()
    [False, True]
    """
