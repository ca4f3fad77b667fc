"""Where every buffer of a plan lies, and every variable of a session: analyses over the
instructions, which never change what is computed.

``alias`` lets the result of an elementwise instruction take the place of an operand that dies
there; ``place`` gives offsets, largest buffer first, each in the smallest gap that fits among the
buffers alive at the same time (greedy by size: Y. Pisarchyk and J. Lee, arXiv 2001.03288; the walk
is in csrc/place.c).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from gradplan import _core, shapes, tiling

if TYPE_CHECKING:
    from gradplan.bind import Insn
    from gradplan.graph import Operation
    from gradplan.views import Storage

ALIGNMENT = 64


def _aligned(nbytes: int) -> int:
    nbytes = nbytes or 1  # what is empty has an address of its own too
    return (nbytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def alignment(nbytes: int) -> int:
    """That of a variable: the largest power of two, up to 64, of which its size is a multiple."""
    return (nbytes | ALIGNMENT) & -(nbytes | ALIGNMENT)


def state_order(
    variables: Sequence[Operation], trainable: Collection[Operation]
) -> list[tuple[Operation, int, int]]:
    """The order of variables in a session's memory, each with its size and alignment in bytes.

    What is trained lies together, and so do all slots of one name, those of large alignment first,
    so that nothing lies between them: a step of many variables is one pass over memory. Each such
    group begins on a cache line, as one variable of its size would.
    """
    trained = {o.name for o in trainable}

    def nbytes(o: Operation) -> int:
        t = o.outputs[0]
        return shapes.size(t._shape) * t.dtype.size  # type: ignore[arg-type]

    def group(o: Operation) -> tuple[bool, str]:
        owner, _, slot = o.name.rpartition("/")
        return o not in trainable, slot if owner in trained else ""

    placed = []
    before = None
    for o in sorted(variables, key=lambda o: (group(o), -alignment(nbytes(o)))):
        first = group(o) != before
        placed.append((o, nbytes(o), ALIGNMENT if first else alignment(nbytes(o))))
        before = group(o)
    return placed


def lifetimes(insns: Sequence[Insn]) -> list[Storage]:
    """Set ``first`` and ``last`` of every storage in the arena; returns those that lie in no other,
    in order of birth."""
    seen: set[Storage] = set()
    roots: list[Storage] = []
    for i, insn in enumerate(insns):
        for view in insn.views + insn.around:
            s: Storage | None = view.storage
            while s is not None and s.segment == 0:
                if s not in seen:
                    seen.add(s)
                    s.first = s.last = i
                    if s.target is None:
                        roots.append(s)
                s.last = max(s.last, i + insn.span)
                s = s.target
    return roots


def alias(insns: Sequence[Insn]) -> None:
    """Let results take the place of operands that die where they are born; or these that of the
    results, where it is a part of a run."""
    lifetimes(insns)
    for i, insn in enumerate(insns):
        if not insn.operands:
            continue
        written, read = tiling.uses(insn.attrs)
        taken: set[Storage] = set()  # a result that nobody reads may die here, too
        for n, out in enumerate(insn.outs):
            if out is None or n not in written:  # column sums are none of the program's
                continue
            born = out.storage
            if born.segment or born.first != i or out.size * out.dtype.size != born.bytes:
                continue
            for k, view in zip(insn.operands, insn.ins, strict=True):
                dying = view.storage.root()
                if (
                    k is not None
                    and dying.segment == 0
                    and dying not in taken
                    and dying.last == i
                    and dying.first < i
                    and dying.bytes == born.bytes
                    and read.get(k, -1) <= written[n]
                    and _same_layout(view, out)
                    # Another look at the dying buffer would see what was written already.
                    and all(v is view or v.storage.root() is not dying for v in insn.ins)
                ):
                    taken.add(dying)
                    if born.target is None:
                        born.target = dying
                        dying.last = born.last
                    else:
                        dying.target = born
                        born.root().first = min(born.root().first, dying.first)
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
    by_size = sorted(storages, key=lambda s: (-s.bytes, s.first))
    nbytes = [_aligned(s.bytes) for s in by_size]
    offsets, peak = _core.place(nbytes, [s.first for s in by_size], [s.last for s in by_size])
    for s, offset in zip(by_size, offsets, strict=True):
        s.offset = offset
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
