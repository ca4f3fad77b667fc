"""What gradplan costs beside the work itself, each figure with its bound.

``python -m benchmarks.overhead`` prints them as a table by itself.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from time import perf_counter, sleep
from typing import Any

import numpy as np

import gradplan as gp
from benchmarks.machine import PINS, ROOT, directory_bytes, environment
from benchmarks.report import overheads
from benchmarks.systems import gradplan_session, numpy_by_hand
from benchmarks.timing import Stopwatch, best, once
from benchmarks.workloads import TRAINING, WORKLOADS, make_data

DIGITS = WORKLOADS["digits"]  # the demo's network, batch and optimizer
WHEEL_SOURCES = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")
IMPORT = """
import numpy, time
start = time.perf_counter()
import gradplan
print(time.perf_counter() - start)
"""


class Items:
    """The figures, in order; a figure that cannot be had is a row that says so."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    def add(
        self,
        name: str,
        unit: str,
        bound: float | None,
        measure: Callable[[], float | None],
        at_least: bool = False,
    ) -> None:
        try:
            value = measure()
        except Exception as error:  # one figure less, not a run less
            name, value = f"{name} ({type(error).__name__}: {str(error)[:80]})", None
        ok = None
        if value is not None and bound is not None:
            ok = value >= bound if at_least else value < bound
        row = {"name": name, "value": value, "unit": unit, "bound": bound, "ok": ok}
        self.rows.append({**row, "at_least": at_least})


def demo_graph() -> tuple[Any, Any, Any, Any]:
    return gradplan_session.training_graph(DIGITS, make_data(DIGITS))


def empty_callable() -> float:
    with gp.Graph().as_default():
        return 1e6 * best(gp.Session().make_callable(gp.no_op()))


def scalar_run() -> float:
    with gp.Graph().as_default():
        x = gp.placeholder(gp.float32, [])
        y = x * 2.0
        sess, feed = gp.Session(), {x: np.array(1, np.float32)}
        return 1e6 * best(lambda: sess.run(y, feed))


@cache
def plan_seconds() -> tuple[float, float, float]:
    """First and best seconds to plan the demo's step, and best to bind another batch size.

    To plan is to optimise and bind for the first time. The first plan of a process loads SciPy's
    BLAS.
    """
    batch, planned, bound = DIGITS.batch, [], []
    with gp.Graph().as_default():
        x, y, loss, train = demo_graph()
        for _ in range(7):
            sess = gp.Session()
            start = perf_counter()
            step = sess.make_callable([loss, train], [x, y])
            step.compiled.bind(feeds(batch))
            planned.append(perf_counter() - start)
            others = [feeds(b) for b in range(batch + 1, batch + 9)]
            bound += [once(step.compiled.bind, other) for other in others]
    return planned[0], min(planned), min(bound)


def feeds(batch: int) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((batch, DIGITS.sizes[0]), np.float32), np.zeros(batch, np.int32)


def seconds_per_op() -> float:
    found = []
    for _ in range(7):
        with gp.Graph().as_default() as graph:
            data = make_data(DIGITS)
            seconds = once(gradplan_session.training_graph, DIGITS, data)
            found.append(seconds / len(graph.get_operations()))
    return min(found)


def big_graph_seconds(ops: int) -> float:
    """Seconds to optimise and bind a graph of so many operations: a chain with a product now and
    then, so that neither fusion nor its absence is the whole story."""
    with gp.Graph().as_default() as graph:
        x = gp.placeholder(gp.float32, [None, 4])
        w = gp.Variable(np.eye(4, dtype=np.float32))
        h, factor = x, gp.constant(0.5)
        while len(graph.get_operations()) < ops:
            h = gp.tanh(gp.matmul(h, w) * factor + x)
        sess = gp.Session()
        start = perf_counter()
        sess.make_callable(h, [x]).compiled.bind((np.zeros((2, 4), np.float32),))
        return perf_counter() - start


def seconds_per_instruction() -> float:
    """From the difference between two plans of many updates of scalar variables."""
    times, counts = [], []
    for n in (500, 1500):
        with gp.Graph().as_default():
            updates = [gp.assign_add(gp.Variable(0.0), 1.0).op for _ in range(n)]
            sess = gp.Session()
            sess.run(gp.global_variables_initializer())
            step = sess.make_callable(gp.group(*updates))
            step()
            times.append(best(step))
            assert step.plan is not None
            counts.append(len(step.plan.insns))
    return (times[1] - times[0]) / (counts[1] - counts[0])


def seconds_per_trip(grows: bool) -> float:
    """Of a loop with a small body: from the difference between two numbers of trips. One that grows
    carries one row more from each trip to the next."""
    with gp.Graph().as_default():
        n = gp.placeholder(gp.int32, [])

        def body(i: Any, x: Any) -> Any:
            return i + 1, gp.concat([x, x[:1]], 0) if grows else gp.tanh(x) * 2.0

        shapes = [gp.TensorShape([]), gp.TensorShape([None if grows else 1, 4])]
        loop = gp.while_loop(lambda i, x: i < n, body, [0, gp.zeros([1, 4])], shapes)
        step = gp.Session().make_callable(loop[1], [n])
        short, long = best(lambda: step(20)), best(lambda: step(220))
        return (long - short) / 200


def many_variables(optimizer: Any, rounds: int, count: int, size: int) -> float:
    """A step over so many variables beside that over one as large as all, in turn; both give the
    same values."""
    steps, values = [], []
    for parts in (count, 1):
        with gp.Graph().as_default():
            make = {"dtype": gp.float32, "initializer": gp.ones_initializer()}
            shape = [count * size // parts]
            pairs = [
                (gp.get_variable(f"g{i}", shape, trainable=False, **make),
                 gp.get_variable(f"v{i}", shape, **make))
                for i in range(parts)
            ]  # fmt: skip
            step = optimizer(1e-3).apply_gradients(pairs)
            sess = gp.Session()
            sess.run(gp.global_variables_initializer())
            sess.run(step)
            values.append(np.concatenate(sess.run([v for _, v in pairs])))
            steps.append(Stopwatch(sess.make_callable(step)))
    assert np.array_equal(*values)
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for watch, found in zip(steps, times, strict=True):
            found += watch.run(0.1)
    return min(times[0]) / min(times[1])


def import_seconds(runs: int) -> float:
    """Best of fresh processes, the first of which may still have to write the bytecode."""
    command, env = [sys.executable, "-c", IMPORT], environment(threads=1)
    return min(float(subprocess.check_output(command, text=True, env=env)) for _ in range(runs))


def wheel_bytes(build: bool) -> float | None:
    """Bytes of the newest wheel in ``dist``, or of one built from a copy of the source."""
    wheels = sorted((ROOT / "dist").glob("gradplan*.whl"), key=os.path.getmtime)
    if wheels:
        return wheels[-1].stat().st_size
    if not build:
        return None
    with tempfile.TemporaryDirectory() as name:
        tree, out = Path(name, "tree"), Path(name, "dist")
        tree.mkdir()
        for part in ("src", "pyx", "csrc"):
            ignored = shutil.ignore_patterns("*.so", "__pycache__", "*.egg-info")
            shutil.copytree(ROOT / part, tree / part, ignore=ignored)
        for part in WHEEL_SOURCES:
            if (ROOT / part).exists():
                shutil.copy(ROOT / part, tree)
        pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
        subprocess.run([*pip, "--wheel-dir", out, tree], check=True, stdout=sys.stderr)
        return next(out.glob("*.whl")).stat().st_size


def worst_arena() -> float:
    """The most per cent by which an arena exceeds its live-set bound, of the training steps."""
    worst = 0.0
    for work in TRAINING:
        data = make_data(work)
        with gp.Graph().as_default():
            x, y, loss, train = gradplan_session.training_graph(work, data)
            fed = {x: data.inputs[0], y: data.labels[0]}
            worst = max(worst, arena_excess(gp.Session().plan([loss, train], fed)))
    return worst


def arena_excess(plan: Any) -> float:
    return 100 * (plan.arena_bytes / max(1, plan.live_bytes) - 1)


def demo_excess() -> float:
    with gp.Graph().as_default():
        x, y, loss, train = demo_graph()
        images, labels = feeds(DIGITS.batch)
        return arena_excess(gp.Session().plan([loss, train], {x: images, y: labels}))


def demo_ratio(rounds: int) -> float:
    """How many times faster the demo's step is than the same in NumPy, timed in turn."""
    data = make_data(DIGITS)
    steps = [
        system.prepare(DIGITS, data, "call", 2) for system in (gradplan_session, numpy_by_hand)
    ]
    watches = [Stopwatch(step.call, step.feeds) for step in steps]
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for watch, found in zip(watches, times, strict=True):
            sleep(0.05)  # until the other side's threads sleep
            found += watch.run(0.1)
    return min(times[1]) / min(times[0])


def measure(quick: bool) -> dict[str, Any]:
    items = Items()
    package = Path(str(gp.__file__)).parent
    add = items.add
    # Before any other plan has loaded what a plan needs.
    add("first plan of a process: the demo's step, BLAS loaded", "ms", None,
        lambda: plan_seconds()[0] * 1e3)  # fmt: skip
    add("callable of an empty plan", "us", 1, empty_callable)
    add("Session.run, a scalar fetched and one fed", "us", 6, scalar_run)
    add("demo's step beside NumPy by hand", "times", 2, lambda: demo_ratio(2 if quick else 5), True)
    add("plan the demo's step: optimise, first bind", "ms", 30, lambda: plan_seconds()[1] * 1e3)
    add("bind another batch size of the demo's step", "ms", 1, lambda: plan_seconds()[2] * 1e3)
    add("build the demo's graph, each op", "us", 20, lambda: seconds_per_op() * 1e6)
    add("optimise and bind 1,000 ops", "s", None, lambda: big_graph_seconds(1000))
    add("optimise and bind 10,000 ops", "s", 1, lambda: big_graph_seconds(10_000))
    add("a smallest instruction", "ns", 15, lambda: seconds_per_instruction() * 1e9)
    add("a trip of a while loop with a small body", "us", 1, lambda: seconds_per_trip(False) * 1e6)
    add("the same, with a body that adds a row", "us", 2, lambda: seconds_per_trip(True) * 1e6)
    rounds = 3 if quick else 20
    for optimizer in (gp.train.AdamOptimizer, gp.train.RMSPropOptimizer):
        for size in (100, 1000, 10_000):
            kind = optimizer.__name__.removesuffix("Optimizer")
            name = f"{kind} over 100 variables of {size:,} beside one of {100 * size:,}"
            add(name, "times", 1.1, partial(many_variables, optimizer, rounds, 100, size))
    add("import beyond NumPy", "ms", 50, lambda: import_seconds(3 if quick else 9) * 1e3)
    add("arena beyond the live set, demo's step", "%", 5, demo_excess)
    add("arena beyond the live set, worst of seven", "%", None, worst_arena)
    add("installed, megabytes of 10^6", "MB", None, lambda: directory_bytes(package) / 1e6)

    def wheel() -> float | None:
        size = wheel_bytes(build=not quick)
        return size and size / 1e6

    add("wheel", "MB", 5, wheel)
    return {"items": items.rows}


if __name__ == "__main__":
    if any(pin in os.environ for pin in PINS):
        raise SystemExit(f"unset {' and '.join(PINS)} first: they pin OpenBLAS's kernels")
    results = measure("--quick" in sys.argv)
    print(json.dumps(results) if "--json" in sys.argv else overheads(results))
