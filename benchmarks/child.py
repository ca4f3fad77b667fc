"""The child process of one system: ``python -m benchmarks.child NAME``.

It reads requests as lines of JSON from standard input and answers each with one line. Whatever else
is printed goes to standard error.

=========  ===========================  ========================================================
request    arguments                    answer
=========  ===========================  ========================================================
(start)                                 seconds to import, versions, peak memory so far
open       workload, threads            numbers to agree on, seconds to the first step, peak
                                        memory, BLAS kernel families
time       seconds                      best and median microseconds of a step
=========  ===========================  ========================================================
"""

from __future__ import annotations

import gc
import json
import os
import re
import sys
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from benchmarks.machine import directory_bytes, peak_memory
from benchmarks.systems import SYSTEMS, Step
from benchmarks.timing import Stopwatch, microseconds, once
from benchmarks.workloads import CHECK_STEPS, TRAINS, Workload, make_data

#: Names of distributions where they differ from the package.
DISTRIBUTIONS = {"sklearn": ["scikit-learn"], "tensorflow": ["tensorflow-cpu", "tensorflow"]}


def version_of(package: str) -> str:
    module = sys.modules[package]
    return getattr(module, "__version__", "?")


def installed_mib(package: str) -> dict[str, float]:
    """Megabytes of the files of a package, and of it with all it requires but NumPy."""
    sizes: dict[str, float] = {}
    waiting = list(DISTRIBUTIONS.get(package, [package]))
    own = 0.0
    while waiting:
        name = waiting.pop().lower().replace("_", "-")
        if name in sizes or name == "numpy":
            continue
        try:
            found = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        files = [found.locate_file(f) for f in found.files or [] if "__pycache__" not in f.parts]
        sizes[name] = sum(os.path.getsize(str(f)) for f in files if os.path.exists(str(f))) / 2**20
        if not own:
            own = sizes[name]
        for requirement in found.requires or []:
            name, _, marker = requirement.partition(";")
            if "extra" not in marker:
                waiting.append(re.split(r"[\s<>=!~\[(]", name.strip())[0])
    if own:
        return {"own": own, "closure": sum(sizes.values())}
    # Imported from a source tree: no distribution, but a directory.
    return {"own": directory_bytes(Path(str(sys.modules[package].__file__)).parent) / 2**20}


def blas_families() -> list[str]:
    """The kernels that each loaded BLAS has chosen, as threadpoolctl tells them."""
    try:
        from threadpoolctl import threadpool_info
    except ImportError:
        return []
    pools = [p for p in threadpool_info() if p.get("user_api") == "blas"]
    return [
        f"{p['internal_api']} {p['version']} {p.get('architecture', '?')} x{p['num_threads']}"
        for p in pools
    ]


class Child:
    """Answers requests about one system."""

    def __init__(self, name: str) -> None:
        self.system = SYSTEMS[name]
        self.step: Step
        self.watch: Stopwatch | None = None

    def start(self) -> dict[str, Any]:
        import numpy  # what a framework costs is counted from here

        seconds = once(import_module, self.system.package)
        self.module = import_module(f"benchmarks.systems.{self.system.module}")
        facts = {
            "import_seconds": seconds,
            "version": version_of(self.system.package),
            "numpy": numpy.__version__,
            "installed": installed_mib(self.system.package),
            "import_mib": peak_memory(),
        }
        if self.system.package == "gradplan":
            facts["isa"] = sys.modules["gradplan"].isa()
        return facts

    def open(self, workload: dict[str, Any], threads: int) -> dict[str, Any]:
        """Prepare a workload, make its first steps and return what must agree."""
        self.step = None  # type: ignore[assignment]  # the last workload's memory goes first
        self.watch = None
        gc.collect()
        work = Workload(**{k: tuple(v) if isinstance(v, list) else v for k, v in workload.items()})
        data = make_data(work)

        def prepare() -> None:
            self.step = self.module.prepare(work, data, self.system.variant, threads)

        build = once(prepare)
        feeds = self.step.feeds
        outputs: list[Any] = []
        first = once(lambda: outputs.append(self.step.call(*feeds[0])))
        if work.kind in TRAINS:
            for i in range(1, CHECK_STEPS if self.step.steps == 1 else 1):
                outputs.append(self.step.call(*feeds[i % len(feeds)]))
        return {
            "numbers": self.numbers(outputs, work),
            "first_seconds": build + first,
            "first_steps": self.step.steps,
            "peak_mib": peak_memory(),
            "blas": blas_families(),
        }

    def numbers(self, outputs: list[Any], work: Workload) -> list[float]:
        import numpy as np

        flat = [np.asarray(self.step.read(out), np.float64).reshape(-1) for out in outputs]
        numbers = np.concatenate(flat).tolist()
        return numbers[:CHECK_STEPS] if work.kind in TRAINS else numbers

    def time(self, seconds: float) -> dict[str, Any]:
        if self.watch is None:
            self.watch = Stopwatch(self.step.call, self.step.feeds)
        return microseconds([t / self.step.steps for t in self.watch.run(seconds)])


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    child = Child(sys.argv[1])
    actions = {"start": child.start, "open": child.open, "time": child.time}
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = actions[request.pop("do")](**request)
        except Exception as error:  # a system that fails is a row of the report
            text = " ".join(str(error).split())
            answer = {"error": f"{type(error).__name__}: {text[:200]}"}
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
