"""Clocks: the best of blocks long enough to be timed."""

from __future__ import annotations

import gc
import statistics
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice, starmap
from time import perf_counter
from typing import Any

#: Seconds of the shortest block: a clock's jitter is small beside it, a scheduler's tick is not.
BLOCK = 2e-3


class Stopwatch:
    """Times a function in blocks of calls.

    The calls are made by ``itertools``: what the loop itself costs is some 20 ns a call.
    """

    def __init__(self, call: Callable[..., Any], feeds: Iterable[tuple[Any, ...]] = ((),)) -> None:
        self._call = call
        self._feeds: Iterator[tuple[Any, ...]] = cycle(feeds)
        self._calls = 1
        self.block()  # the first call may plan, or compile
        while min(self.block(), self.block()) * self._calls < BLOCK and self._calls < 1 << 20:
            self._calls *= 2

    def block(self) -> float:
        """Seconds of one call, from one block."""
        feeds = islice(self._feeds, self._calls)
        start = perf_counter()
        deque(starmap(self._call, feeds), maxlen=0)
        return (perf_counter() - start) / self._calls

    def run(self, seconds: float, least: int = 1) -> list[float]:
        """Time blocks until ``seconds`` have passed, without the garbage collector."""
        gc.collect()
        gc.disable()
        try:
            end = perf_counter() + seconds
            times = [self.block() for _ in range(least)]
            while perf_counter() < end:
                times.append(self.block())
            return times
        finally:
            gc.enable()


def best(call: Callable[..., Any], *args: Any, seconds: float = 0.2) -> float:
    """Seconds of one call of a function: the best block."""
    return min(Stopwatch(call, [args]).run(seconds, least=3))


def once(call: Callable[..., Any], *args: Any) -> float:
    """Seconds of one call, made once."""
    start = perf_counter()
    call(*args)
    return perf_counter() - start


def microseconds(times: list[float]) -> dict[str, float]:
    """Best and median, for JSON."""
    return {"best": min(times) * 1e6, "median": statistics.median(times) * 1e6}
