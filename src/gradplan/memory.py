"""Where every buffer of a plan lies: analyses over the instructions, which never change what is
computed.

``alias`` lets the result of an elementwise instruction take the place of an operand that dies
there; ``place`` gives offsets, largest buffer first, each in the smallest gap that fits among the
buffers alive at the same time (greedy by size: Y. Pisarchyk and J. Lee, arXiv 2001.03288).
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gradplan import tiling

if TYPE_CHECKING:
    from gradplan.bind import Insn, Storage

ALIGNMENT = 64


def _aligned(nbytes: int) -> int:
    nbytes = nbytes or 1  # what is empty has an address of its own too
    return (nbytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def lifetimes(insns: Sequence[Insn]) -> list[Storage]:
    """Set ``first`` and ``last`` of every storage in the arena; returns them in order of birth."""
    found: dict[int, Storage] = {}
    for i, insn in enumerate(insns):
        for view in insn.views + insn.around:
            s = view.storage.root()
            if s.segment == 0:
                if id(s) not in found:
                    found[id(s)] = s
                    s.first = s.last = i
                s.last = max(s.last, i + insn.span)
    return list(found.values())


def alias(insns: Sequence[Insn]) -> None:
    """Let results take the place of operands that die where they are born."""
    lifetimes(insns)
    for i, insn in enumerate(insns):
        if not insn.operands:
            continue
        written, read = tiling.uses(insn.attrs)
        for n, out in enumerate(insn.outs):
            if out is None or n not in written:  # column sums are none of the program's
                continue
            born = out.storage.root()
            if born.segment or born.first != i or out.size * out.dtype.size != born.bytes:
                continue
            for k, view in zip(insn.operands, insn.ins, strict=True):
                dying = view.storage.root()
                if (
                    k is not None
                    and dying.segment == 0
                    and dying.last == i
                    and dying.first < i
                    and dying.bytes == born.bytes
                    and read.get(k, -1) <= written[n]
                    and _same_layout(view, out)
                    # Another look at the dying buffer would see what was written already.
                    and all(v is view or v.storage.root() is not dying for v in insn.ins)
                ):
                    born.target = dying
                    dying.last = born.last
                    break


def _same_layout(a: object, b: object) -> bool:
    return (a.offset, a.dims, a.strides, a.dtype.size) == (  # type: ignore[attr-defined]
        b.offset,  # type: ignore[attr-defined]
        b.dims,  # type: ignore[attr-defined]
        b.strides,  # type: ignore[attr-defined]
        b.dtype.size,  # type: ignore[attr-defined]
    )


def place(insns: Sequence[Insn], reuse: bool = True) -> tuple[int, int]:
    """Give every storage of the arena its offset.

    Parameters
    ----------
    reuse : bool
        False puts every storage in a place of its own: the oracle of the planner.

    Returns
    -------
    peak, bound : int
        Bytes of the arena, and the most bytes alive at one instruction: no plan can do with less.
    """
    storages = lifetimes(insns)
    if not reuse:
        peak = 0
        for s in storages:
            s.offset, peak = peak, peak + _aligned(s.bytes)
        return peak, live_bound(storages, len(insns))
    peak = 0
    placed: list[tuple[int, int, int, int]] = []  # where from and to, when from and to; sorted
    for s in sorted(storages, key=lambda s: (-s.bytes, s.first)):
        size = _aligned(s.bytes)
        first, last = s.first, s.last
        best, best_gap, end = None, 0, 0
        for low, high, born, dies in placed:
            if born <= last and first <= dies:
                gap = low - end
                if gap >= size and (best is None or gap < best_gap):
                    best, best_gap = end, gap
                if high > end:
                    end = high
        s.offset = end if best is None else best
        insort(placed, (s.offset, s.offset + size, first, last))
        peak = max(peak, s.offset + size)
    return peak, live_bound(storages, len(insns))


def live_bound(storages: Sequence[Storage], n: int) -> int:
    """The largest number of bytes alive at one of ``n`` instructions."""
    change = [0] * (n + 1)
    for s in storages:
        change[s.first] += _aligned(s.bytes)
        change[s.last + 1] -= _aligned(s.bytes)
    most = now = 0
    for step in change:
        now += step
        most = max(most, now)
    return most
