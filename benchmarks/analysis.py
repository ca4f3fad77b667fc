"""What the figures say: ratios, the best peer, where gradplan loses, cliffs in the sweep."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from benchmarks.systems import OURS, SYSTEMS
from benchmarks.tables import short


class Aim(NamedTuple):
    """How many times faster than a peer gradplan is meant to be; "best" is the fastest of them."""

    workload: str
    ours: str
    peer: str
    factor: float


AIMS = (
    Aim("triangle", "gradplan", "best", 10),
    Aim("triangle", "gradplan-loop", "jax-scan", 2.5),
    Aim("digits", "gradplan", "best", 3.6),
    Aim("digits", "gradplan", "numpy", 2),
    Aim("digits", "gradplan-loop", "jax-scan", 1.6),
    Aim("deep", "gradplan", "best", 3.3),
    Aim("deep", "gradplan-loop", "jax-scan", 1.9),
    Aim("policy", "gradplan", "best", 4.5),
    Aim("policy", "gradplan-loop", "jax-scan", 1.6),
    Aim("critic", "gradplan", "best", 1.4),
    Aim("critic", "gradplan-loop", "jax-scan", 1.1),
    Aim("mnist", "gradplan", "best", 1.15),
    Aim("mnist", "gradplan-loop", "jax-scan", 1.2),
    Aim("wide", "gradplan", "best", 1),
    Aim("wide", "gradplan", "jax", 1.15),
    Aim("forward1", "gradplan", "onnx", 3),
    Aim("forward1", "gradplan", "onnx-1", 3),
    Aim("forward32", "gradplan", "onnx", 1.5),
    Aim("forward32", "gradplan", "onnx-1", 1.5),
    Aim("chain", "gradplan", "jax", 1),
)
#: Of log-log interpolation between neighbours in the sweep: more is a cliff.
CLIFF = 1.10


def times(rows: dict[str, Any]) -> dict[str, float]:
    """Best microseconds of the systems that were timed."""
    return {n: row["us"] for n, row in rows.items() if row["status"] == "ok" and row.get("us")}


def best_peer(rows: dict[str, Any], loop: bool = False) -> str | None:
    """The fastest other system of a kind."""
    found = times(rows)
    peers = [n for n in found if n not in OURS and SYSTEMS[n].loop == loop]
    return min(peers, key=found.__getitem__, default=None)


def judge_aims(workloads: dict[str, Any]) -> list[tuple[Aim, str, float]]:
    """Every aim that was measured, with the peer meant and the ratio found."""
    judged = []
    for aim in AIMS:
        rows = workloads.get(aim.workload, {}).get("systems", {})
        found = times(rows)
        peer = best_peer(rows) if aim.peer == "best" else aim.peer
        if peer in found and aim.ours in found:
            judged.append((aim, peer, found[peer] / found[aim.ours]))
    return judged


def lost(workloads: dict[str, Any], points: Iterable[dict[str, Any]]) -> list[str]:
    """One sentence for each workload and each point of the sweep where another system is faster,
    and for each workload that gradplan was not timed on."""
    cases = [(name, result["systems"]) for name, result in workloads.items()]
    cases += [(f"sweep, width {p['width']}, batch {p['batch']}", p["systems"]) for p in points]
    sentences = []
    for name, rows in cases:
        found = times(rows)
        for ours in OURS:
            if ours not in found:
                if ours in rows and name in workloads:
                    sentences.append(f"{name}: {SYSTEMS[ours].title} was not timed")
                continue
            loop = SYSTEMS[ours].loop
            faster = [
                f"{SYSTEMS[peer].title} {short(found[peer])} us "
                f"({found[ours] / found[peer]:.2f} times as fast)"
                for peer in sorted(found, key=found.__getitem__)
                if peer not in OURS and SYSTEMS[peer].loop == loop and found[peer] < found[ours]
            ]
            if faster:
                sentences.append(
                    f"{name}: {SYSTEMS[ours].title} takes {short(found[ours])} us, "
                    + ", ".join(faster)
                )
    return sentences


def cliffs(points: list[dict[str, Any]], system: str = "gradplan") -> list[str]:
    """Points of the sweep that are slower than their neighbours let expect.

    On a log-log scale the cost of a step that is a sum of powers of its size is convex, so a point
    lies on or below the straight line between its two neighbours along either axis. One that lies
    CLIFF above it tells of a crossover that is badly chosen.
    """
    grid = {(p["width"], p["batch"]): times(p["systems"]).get(system) for p in points}
    found = []
    for axis, name in ((0, "width"), (1, "batch")):
        for lane in {key[1 - axis] for key in grid}:
            keys = sorted(k for k in grid if k[1 - axis] == lane and grid[k])
            for low, here, high in zip(keys, keys[1:], keys[2:], strict=False):
                a, b, c = (math.log(k[axis]) for k in (low, here, high))
                share = (b - a) / (c - a)
                line = grid[low] ** (1 - share) * grid[high] ** share  # type: ignore[operator]
                if grid[here] > CLIFF * line:  # type: ignore[operator]
                    found.append(
                        f"width {here[0]}, batch {here[1]}: {short(grid[here])} us, where its "
                        f"neighbours along the {name} predict {short(line)} us "
                        f"(+{100 * (grid[here] / line - 1):.0f} %)"  # type: ignore[operator]
                    )
    return sorted(found)
