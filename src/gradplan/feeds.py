"""Feeds: what a caller gives becomes an array that C can read where it lies."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.graph import Operation, Tensor


def to_feed(t: Tensor, value: Any) -> np.ndarray:
    """A fed value as a C-contiguous, aligned array of the tensor's type.

    Raises
    ------
    TypeError
        If the value is a tensor, holds no numbers, or would lose its meaning in the tensor's type.
    ValueError
        If its shape does not fit.
    """
    wanted = t.dtype.np
    if isinstance(value, (Tensor, Operation)) or hasattr(value, "_as_graph_element"):
        raise TypeError(
            f"The value of a feed cannot be a tensor, but {t.name!r} is fed {value!r}: run it "
            "first, and feed the array."
        )
    try:
        given = value if isinstance(value, dtypes.Bits) else np.asarray(value)
    except ValueError:
        raise ValueError(
            f"Cannot feed {t.name!r}: the nested lists are ragged (made at {t.op.made_at})"
        ) from None
    if dtypes.is_bfloat16(given.dtype) and t.dtype is not dtypes.bfloat16:
        given = dtypes.from_bits(dtypes.to_bits(given))
    if given.dtype != wanted or t.dtype is dtypes.bfloat16:
        given = _cast_feed(t, given)
    shape = t._shape
    if shape is None or given.shape != shape:
        if shapes.merge(shape, given.shape) is False:
            raise ValueError(
                f"Cannot feed value of shape {given.shape!r} for Tensor '{t.name}', which has "
                f"shape '{shapes.text(shape)}' (made at {t.op.made_at})"
            )
    out = np.asarray(given, wanted, order="C")
    out = out if out.flags.aligned else out.copy()
    return out.view(dtypes.Bits) if t.dtype is dtypes.bfloat16 else out


def _cast_feed(t: Tensor, given: np.ndarray) -> np.ndarray:
    kind, wanted = given.dtype.kind, t.dtype
    if wanted is dtypes.bfloat16 and (kind in "biuf" or dtypes.is_bfloat16(given.dtype)):
        return dtypes.to_bits(given)
    order = "b iu f"
    if kind not in "biuf" or kind == "b" and not given.size:
        raise TypeError(
            f"Cannot feed {t.name!r} of type {wanted.name} an array of type {given.dtype} "
            f"(made at {t.op.made_at})"
        )
    with np.errstate(all="ignore"):
        out = given.astype(wanted.np)
        loses = (
            order.index(kind) > order.index(wanted.np.kind) or kind in "iu" and wanted.is_integer
        )
        if loses and given.size and not np.array_equal(out.astype(given.dtype), given):
            at = int(np.flatnonzero(out.astype(given.dtype).ravel() != given.ravel())[0])
            raise TypeError(
                f"Cannot feed {t.name!r} of type {wanted.name} an array of type {given.dtype}: "
                f"element {at} is {given.ravel()[at]!r}, which {wanted.name} cannot hold "
                f"(made at {t.op.made_at})"
            )
    return out
