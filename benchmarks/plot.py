"""The plot: time of a training step against the size of the network, for all systems.

``python -m benchmarks.plot results.json time_per_step.png`` draws it from a finished run; the run
itself does so too, in whichever environment has matplotlib.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.analysis import times
from benchmarks.machine import ROOT, environment
from benchmarks.systems import SYSTEMS
from benchmarks.workloads import PLOT_BATCH

#: Colour, marker and whether the line is dashed: loops are dashed, gradplan is red and thick.
STYLES = {
    "gradplan": ("#d62728", "o"),
    "gradplan-loop": ("#d62728", "s"),
    "numpy": ("#7f7f7f", "v"),
    "jax": ("#1f77b4", "^"),
    "jax-scan": ("#1f77b4", "D"),
    "torch": ("#ff7f0e", "<"),
    "torch-compile": ("#8c564b", ">"),
    "tf1": ("#2ca02c", "P"),
    "tf2-xla": ("#17becf", "X"),
    "sklearn": ("#9467bd", "*"),
}


def lines(points: list[dict[str, Any]]) -> dict[str, list[tuple[int, float]]]:
    """Parameters and microseconds at the plotted batch, for each system."""
    found: dict[str, list[tuple[int, float]]] = {}
    for point in points:
        if point["batch"] == PLOT_BATCH:
            for name, us in times(point["systems"]).items():
                found.setdefault(name, []).append((point["parameters"], us))
    return {name: sorted(found[name]) for name in SYSTEMS if name in found}


def draw(results: dict[str, Any], path: Path) -> None:
    """Write the picture."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure, axes = plt.subplots(figsize=(9, 6), layout="constrained")
    drawn = lines(results["sweep"])
    for name, line in drawn.items():
        color, marker = STYLES[name]
        ours = name.startswith("gradplan")
        axes.plot(
            *zip(*line, strict=True),
            color=color,
            marker=marker,
            markersize=7 if ours else 5,
            linewidth=2.6 if ours else 1.4,
            linestyle="--" if SYSTEMS[name].loop else "-",
            zorder=3 if ours else 2,
            label=SYSTEMS[name].title,
        )
    axes.set(xscale="log", yscale="log", xlabel="parameters of the network")
    axes.set_ylabel("time of one training step")

    def duration(us: float, _: Any) -> str:
        return f"{us:g} µs" if us < 1000 else f"{us / 1000:g} ms"

    axes.yaxis.set_major_formatter(FuncFormatter(duration))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(which="major", alpha=0.5)
    axes.grid(which="minor", alpha=0.15)
    # In the order of the lines' left ends, so that the legend reads as the picture does.
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(handles)), key=lambda i: -list(drawn.values())[i][0][1])
    axes.legend(
        [handles[i] for i in order],
        [labels[i] for i in order],
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        frameon=False,
        title="dashed: loop in one call",
    )
    facts = results["machine"]
    axes.set_title(
        f"MLP 64-n-n-10, batch {PLOT_BATCH}, Adam, float32: lower is better\n"
        f"{facts.get('processor', '')}, {facts['threads']} threads, {facts['date'][:10]}",
        fontsize=11,
    )
    figure.savefig(path, dpi=120)
    plt.close(figure)


def draw_somewhere(results: Path, picture: Path, peers: Path) -> str | None:
    """Draw in this interpreter's environment or in the peers'; the reason if neither can."""
    for python in (sys.executable, str(peers / "main" / "bin" / "python")):
        if Path(python).exists():
            command = [python, "-m", "benchmarks.plot", str(results), str(picture)]
            done = subprocess.run(command, cwd=ROOT, env=environment(1), capture_output=True)
            if not done.returncode:
                return None
            last = (done.stderr.decode().strip().splitlines() or [""])[-1]
    return f"no plot: {last}"


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    draw(json.loads(source.read_text()), target)
