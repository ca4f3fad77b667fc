"""The machine: its facts, and an environment in which every system has equal means.

Nothing here imports NumPy; the parent process of a benchmark stays small and idle.
"""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent

#: A machine's settings that pin OpenBLAS to other kernels than it would choose by itself.
PINS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
THREADS = ("OMP", "OPENBLAS", "MKL", "BLIS", "NUMEXPR", "GRADPLAN")


def environment(threads: int) -> dict[str, str]:
    """Environment variables of a child process.

    Bytecode is written even where that is switched off: an installed package has it, and a source
    tree should not pay for compiling at every start.
    """
    unwanted = (*PINS, "PYTHONDONTWRITEBYTECODE")
    env = {k: v for k, v in os.environ.items() if k not in unwanted}
    env |= {f"{library}_NUM_THREADS": str(threads) for library in THREADS}
    env |= {
        "NPROC": str(threads),  # XLA's thread pool
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
        "TOKENIZERS_PARALLELISM": "false",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), env.get("PYTHONPATH", "")])),
    }
    return env


def _core(cpu: int) -> tuple[str, str]:
    """Package and core of a CPU: equal for hardware threads that share a core."""
    topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
    try:
        package = (topology / "physical_package_id").read_text()
        return package, (topology / "core_id").read_text()
    except OSError:
        return "", str(cpu)


def pin(threads: int) -> str:
    """Hold this process and its children to ``threads`` CPUs, of different cores if there are.

    For libraries that size their pools by the CPUs they see. Returns a remark for the report.
    """
    if not hasattr(os, "sched_setaffinity"):
        return "not pinned: the system has no affinity"
    allowed = sorted(os.sched_getaffinity(0))
    first_of_core: dict[tuple[str, str], int] = {}
    for cpu in allowed:
        first_of_core.setdefault(_core(cpu), cpu)
    first = list(first_of_core.values())
    chosen = (first + [cpu for cpu in allowed if cpu not in first])[:threads]
    os.sched_setaffinity(0, chosen)
    return f"all processes held to {len(chosen)} of {len(allowed)} CPUs"


def _proc(path: str, key: str) -> str:
    """The value of the first line of a /proc file that starts with a key."""
    try:
        for line in Path(path).read_text().splitlines():
            if line.startswith(key):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return ""


def wait_until_idle(load: float, most: float = 180.0) -> None:
    """Wait for the 1-minute average of the load to fall, as it does after a build; no longer than
    ``most`` seconds."""
    until = time.monotonic() + most
    while hasattr(os, "getloadavg") and os.getloadavg()[0] > load and time.monotonic() < until:
        time.sleep(1)


def describe() -> dict[str, str]:
    """Facts of the machine, for people."""
    memory = _proc("/proc/meminfo", "MemTotal").split()
    facts = {
        "processor": _proc("/proc/cpuinfo", "model name") or platform.processor(),
        "CPUs": str(os.cpu_count()),
        "memory": f"{int(memory[0]) / 2**20:.1f} GiB" if memory else "",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }
    if hasattr(os, "getloadavg"):
        facts["load before the run"] = f"{os.getloadavg()[0]:.2f} (1-minute average)"
    return {k: v for k, v in facts.items() if v}


def peak_memory() -> float:
    """The most memory this process has had resident, in MiB.

    Linux's ``VmHWM`` rather than ``ru_maxrss``: the latter starts at the peak of the process that
    this one was forked from.
    """
    status = _proc("/proc/self/status", "VmHWM").split()
    if status:
        return int(status[0]) / 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if platform.system() == "Darwin" else 1024)


def directory_bytes(path: Path) -> int:
    """Bytes of the files in a directory, without compiled Python."""
    files = [f for f in path.rglob("*") if f.is_file() and "__pycache__" not in f.parts]
    return sum(f.stat().st_size for f in files)
