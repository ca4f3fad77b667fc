"""Storages and views: what an instruction's arguments are before they become plan records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from gradplan import shapes
from gradplan.dtypes import DType

ARENA, STATE, CONST, EXTERN = range(4)


class Storage:
    """A stretch of memory of one segment.

    Attributes
    ----------
    name : str
        The operation or variable that it belongs to, for people.
    bytes : int
    segment : int
        ARENA, STATE, CONST or EXTERN.
    offset : int
        From the segment's base, or from that of its target; in the arena ``memory.place`` gives it.
    slot : int
        EXTERN: the number of the feed or fetch. STATE: the number of the variable.
    target : Storage or None
        The storage in which it lies: whose place it takes (``memory.alias``), or a run.
    parts : sequence of Storage
        What a run is made of; itself, if it is none.
    first, last : int
        The first and last instruction that touches it.
    """

    __slots__ = (
        "_parts",
        "bytes",
        "first",
        "last",
        "name",
        "offset",
        "segment",
        "slot",
        "target",
    )

    def __init__(
        self, name: str, nbytes: int, segment: int = ARENA, offset: int = 0, slot: int = -1
    ) -> None:
        self.name = name
        self.bytes = nbytes
        self.segment = segment
        self.offset = offset
        self.slot = slot
        self.target: Storage | None = None
        self._parts: list[Storage] = []
        self.first = self.last = -1

    @classmethod
    def run(cls, parts: list[Storage]) -> Storage:
        """Storages side by side, as one. Variables lie so; what is in the arena will."""
        names = parts[0].name, parts[-1].name
        whole = cls("..".join(names), sum(s.bytes for s in parts), parts[0].segment)
        whole.offset, whole._parts = parts[0].offset, parts
        if whole.segment == ARENA:
            at = 0
            for s in parts:
                s.target, s.offset, at = whole, at, at + s.bytes
        return whole

    @property
    def parts(self) -> Sequence[Storage]:
        return self._parts or (self,)

    def root(self) -> Storage:
        """The storage in which this one lies in the end."""
        s = self
        while s.target is not None:
            s = s.target
        return s

    def start(self) -> int:
        """Its offset from the segment's base."""
        at, s = self.offset, self
        while s.target is not None:
            s = s.target
            at += s.offset
        return at


class View:
    """A strided look at a storage; offset in bytes, strides in elements."""

    __slots__ = ("dense", "dims", "dtype", "offset", "size", "storage", "strides")

    def __init__(
        self,
        storage: Storage,
        dtype: DType,
        dims: tuple[int, ...],
        strides: tuple[int, ...] | None = None,
        offset: int = 0,
    ) -> None:
        self.storage = storage
        self.dtype = dtype
        self.dims = dims
        self.size = math.prod(dims)
        self.offset = offset
        dense = shapes.strides(dims)
        self.strides = dense if strides is None else strides
        # Row-major without gaps; the stride of a dimension of size 1 says nothing.
        self.dense = (
            strides is None
            or strides == dense
            or self.size == 0
            or all([d == 1 or a == b for d, a, b in zip(dims, strides, dense, strict=True)])
        )

    def seen(self, dims: Sequence[int], strides: Sequence[int], start: int = 0) -> View:
        """Another view from element ``start`` of this one's."""
        return View(
            self.storage,
            self.dtype,
            tuple(dims),
            tuple(strides),
            self.offset + start * self.dtype.size,
        )

    def is_whole(self) -> bool:
        """Whether it shows all of its storage, in order."""
        return self.dense and self.offset == 0 and self.size * self.dtype.size == self.storage.bytes

    def lies_at(self, other: View) -> bool:
        """Whether this is the same elements as ``other`` in the same order."""
        return self.storage is other.storage and (self.offset, self.dims, self.strides) == (
            other.offset,
            other.dims,
            other.strides,
        )

    def reshaped(self, dims: tuple[int, ...]) -> View:
        """The same elements in another shape; only of a dense view."""
        if dims == self.dims:
            return self
        assert self.dense and math.prod(dims) == self.size
        return View(self.storage, self.dtype, dims, None, self.offset)

    def transposed(self, perm: Sequence[int]) -> View:
        return self.seen([self.dims[p] for p in perm], [self.strides[p] for p in perm])

    def broadcast(self, dims: tuple[int, ...]) -> View:
        """With stride 0 along what is repeated."""
        if dims == self.dims:
            return self
        lead = len(dims) - len(self.dims)
        steps = [
            0 if have == 1 and want != 1 else step
            for have, want, step in zip(self.dims, dims[lead:], self.strides, strict=True)
        ]
        return self.seen(dims, [0] * lead + steps)

    def is_blas_matrix(self) -> bool:
        """Whether BLAS can read a matrix where it lies: its rows, or its columns, are
        contiguous."""
        (rows, cols), (down, across) = self.dims, self.strides
        return self.size == 0 or any(
            (n == 1 or inner == 1) and (m == 1 or outer >= n)
            for m, n, outer, inner in ((rows, cols, down, across), (cols, rows, across, down))
        )

    def is_row_or_one(self) -> bool:
        """Whether it is a row without gaps, or one element that stands for all."""
        return self.dense or self.strides == (0,)

    def window(self, axis: int, start: int, length: int) -> View:
        """``length`` elements from ``start`` along one dimension."""
        dims = list(self.dims)
        dims[axis] = length
        return self.seen(dims, self.strides, 0 if 0 in dims else start * self.strides[axis])

    def index(self, axis: int, i: int) -> View:
        """What lies at index ``i`` of one dimension, which is dropped."""
        dims = self.dims[:axis] + self.dims[axis + 1 :]
        steps = self.strides[:axis] + self.strides[axis + 1 :]
        return self.seen(dims, steps, 0 if 0 in dims else i * self.strides[axis])

    def cut(self, parts: Sequence[tuple[Any, ...]]) -> View:
        """The slice that ``ops.strided.cut`` described."""
        dims, steps, begin = [], [], 0
        for axis, start, length, step in parts:
            if axis is None:
                dims.append(1)
                steps.append(0)
                continue
            begin += start * self.strides[axis]
            if length != -1:
                dims.append(length)
                steps.append(step * self.strides[axis])
        empty = 0 in dims
        return self.seen(dims, steps, 0 if empty else begin)


def slots(views: Iterable[View | None]) -> list[int]:
    """The numbers of the variables in which views lie."""
    storages = [part for v in views if v is not None for part in v.storage.parts]
    return [s.slot for s in storages if s.segment == STATE]


def collapse(views: Sequence[View]) -> list[View]:
    """Views of equal dims, with neighbouring dimensions merged wherever all of them allow it."""
    dims = views[0].dims
    if all([v.dense and v.dims == dims for v in views]):
        return [v.reshaped((v.size,)) for v in views]
    merged: list[int] = []
    steps: list[list[int]] = [[] for _ in views]
    for k, d in enumerate(dims):
        if d == 1:
            continue
        if merged and all(s[-1] == v.strides[k] * d for s, v in zip(steps, views, strict=True)):
            merged[-1] *= d
            for s, v in zip(steps, views, strict=True):
                s[-1] = v.strides[k]
        else:
            merged.append(d)
            for s, v in zip(steps, views, strict=True):
                s.append(v.strides[k])
    return [v.seen(merged, s) for v, s in zip(views, steps, strict=True)]
