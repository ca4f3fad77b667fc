"""The gradient of a conditional with respect to what its branches take from around it.

Where rows alone are taken it is made of those of the branch that ran, as in TensorFlow 1, where a
branch that takes rows gives every row, with zeros, if the other one ran::

    cond(p, lambda: gather(w, i), lambda: y)               p: rows i           else: all rows, zeros
    cond(p, lambda: gather(w, i), lambda: gather(w, j))    p: rows i, and all  else: rows j, and all

So that a plan can hold it, the branch that ran gives as many rows for the other one as that takes,
zeros at row -1, which is none, and a bool says whether all rows count beside them. How many those
are is found out outside of all loops and conditionals (``Rows`` in ops/indexed_slices.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan.body import Body, behind, copy_into
from gradplan.graph import Tensor
from gradplan.opdef import HOST, STATE, captured
from gradplan.ops.array import ones, ones_like, shape, zeros_like
from gradplan.ops.constant import constant
from gradplan.ops.gather import gather_rows
from gradplan.ops.indexed_slices import (
    Rows,
    is_of_rows,
    merged,
    row_of_each,
    rows_of,
    whole_of,
)
from gradplan.ops.logic import logical_not


class Parts:
    """What each branch returns for the gradient with respect to ``x``, and what is made of it.

    Parameters
    ----------
    bodies : list of Body
        The branches of the gradient, to which operations are added.
    x : Tensor
        What is around them.
    found : sequence of Tensor or None
        The gradient in each of them; None where nothing depends on x.
    """

    def __init__(self, bodies: list[Body], x: Tensor, found: Sequence[Tensor | None]) -> None:
        self.x = x
        self.returned: list[list[Tensor]] = [[], []]
        self._rows: list[Rows] = []  # of each branch that takes rows, if none takes the whole
        takes = [k for k in (0, 1) if found[k] is not None]
        rows = {k: _rows(bodies[k], found[k]) for k in takes}
        if takes and None not in rows.values():
            for k, r in rows.items():
                self._return_rows(k, bodies, r, alone=len(takes) == 1)
            return
        for body, g, out in zip(bodies, found, self.returned, strict=True):
            with body.as_default():
                out.append(zeros_like(captured(body, x)) if g is None else g)

    def _return_rows(self, k: int, bodies: list[Body], rows: Any, alone: bool) -> None:
        """Let branch ``k`` return rows, and the other one as many; whether all rows count is not
        known where it ``alone`` takes some."""
        body, other = bodies[k], bodies[1 - k]
        mine, others = self.returned[k], self.returned[1 - k]
        with body.as_default():
            mark = constant(False) if rows.marked is None else rows.marked
        with other.as_default():
            x = captured(other, self.x)
            if rows.values is not None and rows.indices is not None:
                mine += [rows.values, rows.indices]
                indices = _as_many(body, other, rows.indices)
                others += [zeros_like(gather_rows(x, indices, 0, drop=True)), indices]
            if rows.rest is not None:
                mine.append(rows.rest)
                others.append(zeros_like(x))
            if alone:
                mine.append(mark)
                others.append(constant(True) if mark._shape == () else logical_not(row_of_each(x)))
        self._rows.append(rows)

    def joined(self, outs: Sequence[Tensor]) -> Tensor:
        """The gradient, from what the conditional gives for ``returned``."""
        if not self._rows:
            return outs[0]
        parts, whole, terms = iter(outs), shape(self.x), []
        for rows in self._rows:
            values, indices, rest = [
                None if t is None else next(parts) for t in (rows.values, rows.indices, rows.rest)
            ]
            marked = next(parts) if len(self._rows) == 1 else constant(True)
            padded = rows.values is not None
            terms.append(Rows(values, indices, whole, rows.drop, padded, rest, marked))
        return whole_of(merged(terms))


def _rows(body: Body, g: Any) -> Rows | None:
    """The parts of a gradient in one branch, if it is of rows alone and the other branch can tell
    how many they are: that must not take an effect."""
    if not is_of_rows(g):
        return None
    with body.as_default():
        rows = rows_of(g)
    if rows.indices is None or _has_size(rows.indices):
        return rows
    effects = any([op.opdef.kind in (STATE, HOST) for op in behind([rows.indices])])
    return None if effects else rows


def _has_size(indices: Tensor) -> bool:
    return indices._shape is not None and None not in indices._shape


def _as_many(body: Body, other: Body, indices: Tensor) -> Tensor:
    """A -1 for each of ``indices`` of ``body``, in the other branch."""
    if _has_size(indices):
        return -ones(indices._shape, indices.dtype)
    stand_ins = {captured(body, t): captured(other, t) for t in body.captures}
    return -ones_like(copy_into(other, body, stand_ins, [indices])[0])
