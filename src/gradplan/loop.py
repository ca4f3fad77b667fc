"""Many steps in one call: shuffle, gather mini-batches, run, collect what is fetched; all of it in
C."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from time import monotonic
from typing import Any, NamedTuple

import numpy as np

#: Row numbers handed to C at a time, in which whole epochs are strung together.
_CHUNK = 1 << 20


class Feed(NamedTuple):
    """An array to feed.

    Attributes
    ----------
    array : ndarray
        C-contiguous, of the feed's type.
    gathered : bool
        Whether each step takes some of its rows; otherwise all steps take it as it is.
    """

    array: np.ndarray
    gathered: bool


class Order(NamedTuple):
    """Which rows the steps take.

    Attributes
    ----------
    rows : int
        Rows of the gathered arrays.
    batch : int
    shuffle : bool
    seed : int or None
    drop_remainder : bool
        Whether the rows left at the end of an epoch are left out.
    """

    rows: int
    batch: int
    shuffle: bool
    seed: int | None
    drop_remainder: bool

    def epoch(self, number: int) -> np.ndarray:
        """The rows of an epoch, in order: a function of seed and number alone."""
        if not self.shuffle:
            return np.arange(self.rows)
        seed = [self.seed, number] if self.seed is not None else None
        return np.random.default_rng(seed).permutation(self.rows)

    @property
    def steps_per_epoch(self) -> int:
        full, rest = divmod(self.rows, self.batch)
        return full + (rest > 0 and not self.drop_remainder)

    def chunks(self, steps: int) -> Iterator[tuple[np.ndarray, int]]:
        """Runs of rows, each with its batch size, that make so many steps."""
        full = self.rows - self.rows % self.batch
        epoch = 0
        while steps > 0:
            parts: list[np.ndarray] = []
            room = min(steps * self.batch, _CHUNK)
            rest: np.ndarray | None = None
            while room > 0 and rest is None:
                order = self.epoch(epoch)
                epoch += 1
                parts.append(order[:full])
                room -= full
                if full < self.rows and not self.drop_remainder:
                    rest = order[full:]
            rows = np.concatenate(parts)[: steps * self.batch].astype(np.int64)
            if len(rows):
                yield rows, self.batch
            steps -= len(rows) // self.batch
            if rest is not None and steps > 0:
                yield rest.astype(np.int64), len(rest)
                steps -= 1


def make_order(
    feeds: Sequence[Feed],
    batch_size: int,
    shuffle: bool,
    seed: int | None,
    drop_remainder: bool,
) -> Order:
    """The order for these feeds; ValueError for lengths or a batch size that cannot be."""
    lengths = {len(f.array) for f in feeds if f.gathered}
    if not lengths:
        raise ValueError("loop: no array has rows to take batches from")
    if len(lengths) > 1:
        raise ValueError(f"loop: the arrays differ in length: {sorted(lengths)}")
    (rows,) = lengths
    if not 0 < batch_size <= rows:
        raise ValueError(f"loop: batch_size must be from 1 to the {rows} rows, not {batch_size}")
    return Order(rows, batch_size, shuffle, seed, drop_remainder)


def run(
    bind: Callable[[Sequence[Any]], tuple[Any, Any]],
    feeds: Sequence[Feed],
    order: Order,
    steps: int,
    on_progress: Callable[[int], Any] | None,
    every: float,
) -> list[np.ndarray]:
    """Run the steps; what each fetch gave, end to end, up to the step at which it was stopped."""
    done = 0
    results: list[list[np.ndarray]] = []
    gathered = tuple([f.gathered for f in feeds])
    arrays = tuple([f.array for f in feeds])

    due = monotonic() + every

    def progress(step: int) -> Any:
        nonlocal due
        assert on_progress is not None
        stop = on_progress(done + step)
        due = monotonic() + every
        return stop

    for rows, batch in order.chunks(steps):
        example = [f.array[:batch] if f.gathered else f.array for f in feeds]
        executable, _ = bind(example)
        n = len(rows) // batch
        callback = progress if on_progress is not None else None
        values, ran = executable.loop(arrays, gathered, rows, batch, n, every, callback)
        results.append([v[:ran] for v in values])
        done += ran
        if ran < n:
            break
        # An epoch may be over sooner than it is time to report.
        if on_progress is not None and done < steps and monotonic() >= due and progress(0):
            break
    return [np.concatenate(parts) for parts in zip(*results, strict=True)]


def run_each(
    call: Callable[[Sequence[Any]], Sequence[Any]],
    feeds: Sequence[Feed],
    order: Order,
    steps: int,
    on_progress: Callable[[int], Any] | None,
    every: float,
) -> list[np.ndarray]:
    """The same, step by step through ``call``: for what takes several plans a step."""
    results: list[Sequence[Any]] = []
    due = monotonic() + every
    for rows, batch in order.chunks(steps):
        for at in range(0, len(rows), batch):
            taken = rows[at : at + batch]
            results.append(call([f.array[taken] if f.gathered else f.array for f in feeds]))
            if on_progress is None or monotonic() < due or len(results) == steps:
                continue
            if on_progress(len(results)):
                return [np.array(values) for values in zip(*results, strict=True)]
            due = monotonic() + every
    return [np.array(values) for values in zip(*results, strict=True)]
