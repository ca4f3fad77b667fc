"""The command: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import Any

from benchmarks.children import Skipped, run_program
from benchmarks.machine import HERE, describe, pin, wait_until_idle
from benchmarks.plot import draw_somewhere, lines
from benchmarks.report import document
from benchmarks.run import Fleet, Options, run_sweep, run_workloads, say
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import WORKLOADS

PARTS = (*WORKLOADS, "sweep", "overhead", "roofline", "operations")

#: The load, a 1-minute average, up to which a machine counts as idle.
IDLE = 0.5
BUSY = "The machine was not idle when the run began: these times are not to be relied on."


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = p.add_argument
    add("--quick", action="store_true", help="a glance: short rounds, few points of the sweep")
    add("--only", nargs="+", metavar="NAME", choices=PARTS, default=PARTS, help=", ".join(PARTS))
    add("--systems", nargs="+", metavar="NAME", choices=SYSTEMS, default=list(SYSTEMS),
        help=", ".join(SYSTEMS))  # fmt: skip
    add("--seconds", type=float, metavar="S", help="for a system on a workload (1; quick: 0.1)")
    add("--threads", type=int, default=2, metavar="N", help="for every system (2)")
    add("--output", type=Path, default=HERE, metavar="DIR", help="where the results go")
    add("--peers", type=Path, default=HERE / ".peers", metavar="DIR",
        help="the environments that `make bench-peers` made")  # fmt: skip
    return p


def program(module: str, wanted: bool, options: Options) -> dict[str, Any]:
    """The results of one of the programs that look at gradplan alone."""
    if not wanted:
        return {}
    began = perf_counter()
    try:
        found = run_program(
            module, *(["--quick"] if options.quick else []), threads=options.threads
        )
    except Skipped as reason:
        found = {"error": str(reason)}
    say(f"{module}: {perf_counter() - began:.0f} s")
    return found


def run(args: argparse.Namespace) -> dict[str, Any]:
    """All that was asked for, as one object."""
    seconds = args.seconds or (0.1 if args.quick else 1.0)
    rounds = 2 if args.quick else 5
    options = Options(seconds, rounds, args.threads, args.peers.resolve(), args.quick)
    if not args.quick:
        wait_until_idle(IDLE)
    facts = describe()
    busy = float(facts.get("load before the run", "0").split()[0])
    facts["threads"] = str(args.threads)
    facts["CPUs of the run"] = pin(args.threads)
    facts["date"] = datetime.now(UTC).isoformat(timespec="minutes")
    facts["settings"] = f"{seconds:g} s for a system on a workload, in {rounds} rounds"
    fleet = Fleet(options)
    # gradplan alone first: what is measured there needs the quietest machine.
    overhead = program("overhead", "overhead" in args.only, options)
    roofline = program("roofline", "roofline" in args.only, options)
    operations = program("operations", "operations" in args.only, options)
    works = [work for name, work in WORKLOADS.items() if name in args.only]
    return {
        "machine": facts,
        "overhead": overhead,
        "roofline": roofline,
        "operations": operations,
        "workloads": run_workloads(fleet, works, args.systems),
        "sweep": run_sweep(fleet, args.systems) if "sweep" in args.only else [],
        "systems": {name: fleet.facts[name] for name in SYSTEMS if name in fleet.facts},
        "remarks": [BUSY] if busy > IDLE else [],
    }


def main(argv: list[str] | None = None) -> None:
    args = parser().parse_args(argv)
    began = perf_counter()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache  # else a second run's first steps are quick
        results = run(args)
    results["machine"]["duration"] = f"{perf_counter() - began:.0f} s"
    args.output.mkdir(parents=True, exist_ok=True)
    json_path = (args.output / "results.json").resolve()
    picture = (args.output / "time_per_step.png").resolve()

    def write() -> None:
        json_path.write_text(json.dumps(results, indent=1) + "\n")

    write()
    if lines(results["sweep"]):
        reason = draw_somewhere(json_path, picture, args.peers.resolve())
        if reason:
            results["remarks"].append(reason)
            write()
    text = document(results)
    (args.output / "RESULTS.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
