"""The run: opens systems, holds their results against each other, then times them in turn."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, sleep
from typing import Any, NamedTuple

from benchmarks.children import Child, Skipped
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import PLOT_BATCH, SWEEP_WIDTHS, Workload, sweep

#: Seconds between two systems' turns, in which the threads of the first stop spinning.
PAUSE = 0.05
#: Relative difference that a loss may have, of the largest number compared. In the sweep some
#: network has a unit so near to zero that rounding sends it to one side or the other of ReLU.
TOLERANCE = 1e-3
SWEEP_TOLERANCE = 1e-2


@dataclass(frozen=True)
class Options:
    """How to run.

    Attributes
    ----------
    seconds : float
        For every system on every workload, in all rounds together.
    peers : Path
        Where the other systems' environments are.
    """

    seconds: float
    rounds: int
    threads: int
    peers: Path
    quick: bool = False


class Effort(NamedTuple):
    """Seconds for each system in so many rounds, after agreement within the tolerance."""

    seconds: float
    rounds: int
    tolerance: float


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class Fleet:
    """The children of a run, and what is known of each system."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.facts: dict[str, dict[str, Any]] = {}
        self.children: dict[str, Child] = {}
        self.reasons: dict[str, str] = {}

    def start(self, names: Iterable[str]) -> None:
        """Start a child for each system; those that cannot start have a reason instead."""
        self.reasons = {}
        for name in names:
            try:
                child = Child(name, self.options.threads, self.options.peers)
            except Skipped as reason:
                self.reasons[name] = f"skipped: {reason}"
                continue
            self.children[name] = child
            known = self.facts.setdefault(name, child.facts)
            seconds = min(known["import_seconds"], child.facts["import_seconds"])
            known["import_seconds"] = seconds  # the best of all the fresh processes

    def stop(self) -> None:
        for child in self.children.values():
            child.close()
        self.children = {}

    def measure(
        self, work: Workload, names: Iterable[str], effort: Effort
    ) -> dict[str, dict[str, Any]]:
        """One row for each system: its times, or the reason why it has none."""
        rows: dict[str, dict[str, Any]] = {}
        numbers: dict[str, list[float]] = {}
        for name in names:
            if name in self.reasons:
                rows[name] = {"status": self.reasons[name]}
                continue
            try:
                answer = self.children[name].ask(
                    do="open", workload=asdict(work), threads=self.options.threads
                )
            except Skipped as reason:
                rows[name] = {"status": f"skipped: {reason}"}
                continue
            numbers[name] = answer.pop("numbers")
            self.facts[name]["blas"] = answer.pop("blas")
            rows[name] = {"status": "ok", "number": numbers[name][-1], **answer}
        for name, reason in disagreements(numbers, effort.tolerance).items():
            rows[name]["status"] = reason
        timed = [name for name in rows if rows[name]["status"] == "ok"]
        self._time(timed, rows, effort)
        return rows

    def _time(self, names: list[str], rows: dict[str, dict[str, Any]], effort: Effort) -> None:
        medians: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(effort.rounds):
            at = turn % max(1, len(names))  # nobody always follows the same neighbour
            for name in names[at:] + names[:at]:
                if rows[name]["status"] != "ok":
                    continue
                sleep(PAUSE)
                try:
                    found = self.children[name].ask(
                        do="time", seconds=effort.seconds / effort.rounds
                    )
                except Skipped as reason:
                    rows[name]["status"] = f"failed: {reason}"
                    continue
                rows[name]["us"] = min(rows[name].get("us", found["best"]), found["best"])
                medians[name].append(found["median"])
        for name, found in medians.items():
            if found:
                rows[name]["median_us"] = sorted(found)[len(found) // 2]


def disagreements(numbers: dict[str, list[float]], tolerance: float) -> dict[str, str]:
    """Systems whose numbers are not those of NumPy, or of the first system without it."""
    if not numbers:
        return {}
    judge = "numpy" if "numpy" in numbers else next(iter(numbers))
    wanted = numbers[judge]
    allowed = tolerance * max(map(abs, wanted))
    found = {}
    for name, given in numbers.items():
        if len(given) != len(wanted):
            found[name] = f"disagrees: {len(given)} numbers, {judge} has {len(wanted)}"
            continue
        gaps = [abs(a - b) for a, b in zip(given, wanted, strict=True)]
        worst = max(range(len(gaps)), key=lambda i: gaps[i] if gaps[i] == gaps[i] else 1e300)
        if not gaps[worst] <= allowed:
            found[name] = (
                f"disagrees: number {worst} is {given[worst]:.6g}, {judge} has {wanted[worst]:.6g}"
            )
    return found


def run_workloads(fleet: Fleet, works: list[Workload], names: list[str]) -> dict[str, Any]:
    """Time named workloads, each in fresh processes."""
    results = {}
    effort = Effort(fleet.options.seconds, fleet.options.rounds, TOLERANCE)
    for work in works:
        began = perf_counter()
        able = [name for name in names if work.kind in SYSTEMS[name].kinds]
        fleet.start(able)
        try:
            rows = fleet.measure(work, able, effort)
        finally:
            fleet.stop()
        results[work.name] = {**asdict(work), "title": work.title, "systems": rows}
        say(f"{work.name}: {perf_counter() - began:.0f} s")
        for name, row in rows.items():
            if row["status"] != "ok":
                say(f"  {name} {row['status']}")
    return results


def run_sweep(fleet: Fleet, names: list[str]) -> list[dict[str, Any]]:
    """Time the width x batch sweep; a process serves all its points."""
    began = perf_counter()
    names = [name for name in names if "train" in SYSTEMS[name].kinds]
    fleet.start(names)
    effort = Effort(fleet.options.seconds * 0.15, min(3, fleet.options.rounds), SWEEP_TOLERANCE)
    points = []
    try:
        for work in sweep(fleet.options.quick):
            line = work.batch == PLOT_BATCH and work.sizes[1] in SWEEP_WIDTHS[::2]
            able = [name for name in names if line or SYSTEMS[name].sweeps == "all"]
            rows = fleet.measure(work, able, effort)
            points.append(
                {
                    "width": work.sizes[1],
                    "batch": work.batch,
                    "parameters": work.parameters,
                    "systems": {
                        name: {k: row.get(k) for k in ("status", "us", "median_us")}
                        for name, row in rows.items()
                    },  # fmt: skip
                }
            )
    finally:
        fleet.stop()
    say(f"sweep: {perf_counter() - began:.0f} s")
    return points
