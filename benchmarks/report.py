"""The report: the same text for the terminal and for ``RESULTS.md``, made from the results only."""

from __future__ import annotations

from typing import Any

from benchmarks.analysis import best_peer, cliffs, judge_aims, lost, times
from benchmarks.systems import SYSTEMS
from benchmarks.tables import bullets, short, table
from benchmarks.workloads import TRAINS


def document(results: dict[str, Any]) -> str:
    """The whole report."""
    workloads, points = results["workloads"], results["sweep"]
    parts = [
        "# Benchmark results",
        "Written by `python -m benchmarks`; not to be edited by hand. Times are the best of "
        "interleaved rounds, in microseconds of wall time for one step. In brackets: how many "
        "times as long as gradplan the system takes; below 1 it is faster.",
        machine(results),
    ]
    if workloads:
        parts += ["## Called once per step from Python", comparison(workloads, "gradplan")]
        if any(w["kind"] in TRAINS for w in workloads.values()):
            parts += ["## The loop inside one call", comparison(workloads, "gradplan-loop")]
        parts += ["## Against the aims", aims(workloads)]
    if workloads or points:
        parts += ["## Where gradplan loses", losses(workloads, points)]
    if points:
        parts += ["## Sweep", sweep(points)]
    if workloads:
        parts += [
            "## First step and peak memory",
            "Seconds from the system's import to the end of the first step (of the first call, "
            "for loops), compilation included, and the most MiB resident after the checked "
            "steps, the interpreter and NumPy included. Each in a fresh process.",
            starts(workloads),
        ]
        parts += ["## Import and size on disk", imports(results)]
    if results["overhead"]:
        parts += ["## Overheads", overheads(results["overhead"])]
    if results["roofline"]:
        parts += ["## Roofline", roofline(results["roofline"])]
    if results["operations"]:
        parts += ["## The ten operations that fare worst", operations(results["operations"], 10)]
    parts += ["## Left out", left_out(results)]
    return "\n\n".join(parts) + "\n"


def machine(results: dict[str, Any]) -> str:
    lines = [f"{key}: {value}" for key, value in results["machine"].items()]
    for name, facts in results["systems"].items():
        if name == "gradplan":
            lines.append(f"gradplan's ISA level: {facts['isa']}")
        if name in ("gradplan", "numpy"):
            lines.append(f"BLAS of {name}: {', '.join(facts.get('blas', [])) or 'unknown'}")
    versions = {SYSTEMS[n].package: f["version"] for n, f in results["systems"].items()}
    lines.append("versions: " + ", ".join(f"{n} {v}" for n, v in sorted(versions.items())))
    return bullets(lines, "")


def comparison(workloads: dict[str, Any], ours: str) -> str:
    """Workloads down, systems across, of those that are called as ``ours`` is."""
    loop = SYSTEMS[ours].loop
    rows_of = {n: w["systems"] for n, w in workloads.items() if not loop or w["kind"] in TRAINS}
    present = {n for rows in rows_of.values() for n in rows}
    names = [n for n in SYSTEMS if n in present and SYSTEMS[n].loop == loop]
    rows = []
    for workload, systems in rows_of.items():
        found = times(systems)
        cells = [f"{workload}: {workloads[workload]['title']}"]
        for name in names:
            if name not in systems:
                cells.append("")
            elif name not in found:
                cells.append(systems[name]["status"].partition(":")[0])
            elif name == ours or ours not in found:
                cells.append(short(found[name]))
            else:
                cells.append(f"{short(found[name])} ({found[name] / found[ours]:.2f}x)")
        rows.append(cells)
    return table(["us", *[SYSTEMS[n].title for n in names]], rows)


def aims(workloads: dict[str, Any]) -> str:
    rows = []
    for aim, peer, ratio in judge_aims(workloads):
        against = SYSTEMS[peer].title + (" (best peer)" if aim.peer == "best" else "")
        verdict = "ok" if ratio >= aim.factor else f"{100 * (1 - ratio / aim.factor):.0f} % short"
        ours = SYSTEMS[aim.ours].title
        rows.append([aim.workload, ours, against, f"{aim.factor:g}x", f"{ratio:.2f}x", verdict])
    if not rows:
        return "None was measured in this run."
    return table(["workload", "", "against", "aim", "found", ""], rows)


def losses(workloads: dict[str, Any], points: list[dict[str, Any]]) -> str:
    return bullets(lost(workloads, points), "Nowhere in what was measured.")


def sweep(points: list[dict[str, Any]]) -> str:
    widths = sorted({p["width"] for p in points})
    batches = sorted({p["batch"] for p in points})
    at = {(p["width"], p["batch"]): p["systems"] for p in points}
    ours: list[list[str]] = []
    against: list[list[str]] = []
    for batch in batches:
        ours.append([f"batch {batch}"])
        against.append([f"batch {batch}"])
        for width in widths:
            systems = at[width, batch]
            found, peer = times(systems), best_peer(systems)
            ours[-1].append(short(found["gradplan"]) if "gradplan" in found else "")
            both = peer and "gradplan" in found
            against[-1].append(f"{found[peer] / found['gradplan']:.2f}x {peer}" if both else "")
    header = [f"width {width}" for width in widths]
    return "\n\n".join(
        [
            "A training step of 64-width-width-10 with Adam, called once per step. Microseconds "
            "of gradplan, and the time of the best peer beside it:",
            table(["gradplan, us", *header], ours),
            table(["best peer", *header], against),
            "Points more than 10 % slower than the line between their neighbours (on a log-log "
            "scale, where an honest cost is convex):",
            bullets(cliffs(points), "None."),
        ]
    )


def starts(workloads: dict[str, Any]) -> str:
    names = [n for n in SYSTEMS if any(n in w["systems"] for w in workloads.values())]
    rows = []
    for name in names:
        cells = [SYSTEMS[name].title]
        for result in workloads.values():
            row = result["systems"].get(name, {})
            known = "first_seconds" in row
            cells.append(f"{row['first_seconds']:.2f} s, {row['peak_mib']:.0f}" if known else "")
        rows.append(cells)
    return table(["s, MiB", *workloads], rows)


def imports(results: dict[str, Any]) -> str:
    rows = {}
    for name, facts in results["systems"].items():
        package, size = SYSTEMS[name].package, facts["installed"]
        if package != "numpy" and package not in rows:
            rows[package] = [
                package,
                f"{facts['import_seconds'] * 1e3:.0f} ms",
                f"{size['own']:.1f} MiB" if size else "",
                f"{size['closure']:.0f} MiB" if "closure" in size else "",
            ]
    header = ["", "import beyond NumPy", "package", "with requirements but NumPy"]
    return table(header, list(rows.values()))


def overheads(found: dict[str, Any]) -> str:
    if "error" in found:
        return f"Not measured: {found['error']}."
    rows = []
    for item in found["items"]:
        value, bound = item["value"], item["bound"]
        verdict = "" if bound is None or value is None else "ok" if item["ok"] else "over"
        cells = [item["name"], "" if value is None else f"{short(value)} {item['unit']}"]
        sign = ">=" if item.get("at_least") else "<"
        rows.append([*cells, "" if bound is None else f"{sign} {bound:g} {item['unit']}", verdict])
    return table(["", "measured", "bound", ""], rows)


def roofline(found: dict[str, Any]) -> str:
    if "error" in found:
        return f"Not measured: {found['error']}."
    peak = found["machine"]
    rows = []
    for op in found["ops"]:
        rate = f"{op['gflops']:.1f}" if op["gflops"] else ""
        share = f"{100 * op['of_roof']:.0f} %"
        rows.append(
            [op["name"], op["shape"], short(op["us"]), rate, f"{op['gbytes']:.1f}", share, op["by"]]
        )
    return "\n\n".join(
        [
            f"Measured here: sgemm {peak['gflops_1']:.0f} GFLOP/s on one thread, "
            f"{peak['gflops_n']:.0f} on {peak['threads']}; memory (`c = a + b`, arrays of "
            f"{peak['array_mb']} MB) {peak['gbytes_1']:.1f} GB/s on one thread, "
            f"{peak['gbytes_n']:.1f} on {peak['threads']}. The share is of the lower roof: peak "
            "flops, or flops (bytes, where there are none to speak of) at memory's speed; what "
            "lies in a cache can be above 100 %.",
            table(["gradplan", "shape", "us", "GFLOP/s", "GB/s", "of roof", "roof"], rows),
        ]
    )


def best_ratio(row: dict[str, Any]) -> float:
    """How many times as long as gradplan the best of the others takes; below 1 it is faster."""
    return min(row[k] for k in ("numpy", "torch") if k in row) / row["us"]


def operations(found: dict[str, Any], worst: int | None = None) -> str:
    """Single operations; or of those that were measured the ``worst``, worst first."""
    if "error" in found:
        return f"Not measured: {found['error']}."
    measured = [row for row in found["rows"] if "error" not in row]
    if worst:
        measured = sorted(measured, key=best_ratio)[:worst]
    rows = []
    for row in measured:
        cells = [row["name"], row["size"], short(row["us"]), f"{row['gbytes']:.1f}"]
        cells.append(f"{100 * row['of_memory']:.0f} %")
        cells += [f"{row[k] / row['us']:.2f}x" if k in row else "" for k in ("numpy", "torch")]
        rows.append(cells)
    header = ["operation", "size", "us", "GB/s", "of memory", "NumPy or SciPy", "PyTorch"]
    failed = [f"{r['name']}, {r['size']}: {r['error']}" for r in found["rows"] if "error" in r]
    return "\n\n".join([table(header, rows), *([bullets(failed, "")] if failed else [])])


def left_out(results: dict[str, Any]) -> str:
    """Every system that was not timed somewhere, with the reason, once."""
    where: dict[tuple[str, str], list[str]] = {}
    cases = [(n, w["systems"]) for n, w in results["workloads"].items()]
    cases += [(f"w{p['width']}b{p['batch']}", p["systems"]) for p in results["sweep"]]
    for workload, rows in cases:
        for name, row in rows.items():
            if row["status"] != "ok":
                where.setdefault((name, row["status"]), []).append(workload)
    lines = []
    for (name, status), found in where.items():
        listed = ", ".join(found[:6]) + (f" and {len(found) - 6} more" if len(found) > 6 else "")
        lines.append(f"{SYSTEMS[name].title}, {status} ({listed})")
    lines += results["remarks"]
    return bullets(lines, "Nothing.")
