"""The machine's peaks, measured, and what gradplan's kernels reach of them.

``python -m benchmarks.roofline`` prints the table by itself. An op is timed inside a plan that runs
it on variables, without feeds or fetches; small ones many times over in one plan, on variables of
their own, so that a call's overhead is shared out.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

import gradplan as gp
from benchmarks.report import roofline
from benchmarks.timing import best

#: Elements of arrays that no cache of their own should hold.
MEMORY = 16_000_000
#: Time that one plan should take at least, at a guess of 10 GFLOP/s and 10 GB/s.
PLAN_SECONDS = 20e-6


def peak_flops(threads: int, n: int) -> float:
    """GFLOP/s of NumPy's float32 product of two square matrices."""
    a = np.ones((n, n), np.float32)
    out = np.empty_like(a)
    with threadpool_limits(threads, "blas"):
        return 2e-9 * n**3 / best(lambda: np.matmul(a, a, out=out), seconds=0.5)


def bandwidth(threads: int, elements: int) -> float:
    """GB/s of ``c = a + b``: two arrays read and one written, as in STREAM's add and triad."""
    arrays = [np.ones(elements, np.float32) for _ in range(3)]
    parts = [[part for part in np.array_split(a, threads)] for a in arrays]
    with ThreadPoolExecutor(threads) as pool:

        def add() -> None:
            list(pool.map(np.add, *parts))  # NumPy lets go of the GIL inside

        return 12e-9 * elements / best(add, seconds=0.5)


class Op(NamedTuple):
    """One op at one size; ``flops`` 0 where only bytes count."""

    name: str
    shape: str
    build: Callable[[], Any]
    flops: float
    bytes: float


def variable(*shape: int) -> Any:
    """A variable of small positive numbers, which every op can take."""
    count = int(np.prod(shape))
    return gp.Variable((np.arange(count, dtype=np.float32) % 97 / 97 + 0.01).reshape(shape))


def adam(*shape: int) -> Any:
    var, gradient = variable(*shape), variable(*shape)
    return gp.train.AdamOptimizer().apply_gradients([(gradient, var)])


def gelu(x: Any) -> Any:
    return 0.5 * x * (1.0 + gp.tanh(0.79788456 * (x + 0.044715 * x * x * x)))


def size_text(n: int) -> str:
    return f"{n // 1_000_000}M" if n >= 1_000_000 else f"{n // 1024}K"


def ops(quick: bool) -> Iterator[Op]:
    """The table's rows."""
    for n in (64, 512) if quick else (16, 32, 64, 128, 256, 512, 1024, 2048):
        yield Op("matmul", f"{n}x{n}x{n}", lambda n=n: gp.matmul(variable(n, n), variable(n, n)),
                 2.0 * n**3, 12.0 * n * n)  # fmt: skip
    for m, k, n in ((1, 64, 128), (32, 64, 128), (32, 784, 512), (128, 784, 512)):
        yield Op("matmul", f"{m}x{k}x{n}", lambda m=m, k=k, n=n: gp.matmul(variable(m, k),
                 variable(k, n)), 2.0 * m * k * n, 4.0 * (m * k + k * n + m * n))  # fmt: skip
    sizes = (4096,) if quick else (4096, 262_144, MEMORY)
    maps = {"exp": gp.exp, "tanh": gp.tanh, "relu": gp.nn.relu, "gelu chain": gelu}
    for n in sizes:
        text = size_text(n)
        yield Op("add", text, lambda n=n: variable(n) + variable(n), 0, 12.0 * n)
        for name, function in maps.items():
            yield Op(name, text, lambda n=n, f=function: f(variable(n)), 0, 8.0 * n)
        yield Op("reduce_sum, all", text, lambda n=n: gp.reduce_sum(variable(n)), 0, 4.0 * n)
        yield Op("Adam", text, lambda n=n: adam(n), 0, 28.0 * n)  # reads g p m v, writes p m v
    for rows, columns in ((32, 128), (128, 512), (512, 2048)):
        text, total = f"{rows}x{columns}", rows * columns
        for axis in (0, 1):
            yield Op(f"reduce_sum, axis {axis}", text, lambda r=rows, c=columns, a=axis:
                     gp.reduce_sum(variable(r, c), a), 0, 4.0 * total)  # fmt: skip
    for rows, columns in ((32, 10), (128, 1000)):
        yield Op("softmax", f"{rows}x{columns}", lambda r=rows, c=columns:
                 gp.nn.softmax(variable(r, c)), 0, 8.0 * rows * columns)  # fmt: skip


def op_seconds(op: Op, seconds: float) -> float:
    """Seconds of one execution."""
    copies = int(np.clip(PLAN_SECONDS / (op.flops * 1e-10 + op.bytes * 1e-10), 1, 64))
    with gp.Graph().as_default():
        targets = [op.build() for _ in range(copies)]
        group = gp.group(*[getattr(t, "op", t) for t in targets])
        with gp.Session() as sess:
            sess.run(gp.global_variables_initializer())
            return best(sess.make_callable(group), seconds=seconds) / copies


def measure(quick: bool, threads: int) -> dict[str, Any]:
    elements = MEMORY // 8 if quick else MEMORY
    size = 512 if quick else 2048
    machine = {
        "threads": threads,
        "array_mb": 4 * elements // 1_000_000,
        "gflops_1": peak_flops(1, size),
        "gflops_n": peak_flops(threads, size),
        "gbytes_1": bandwidth(1, elements),
        "gbytes_n": bandwidth(threads, elements),
    }
    rows = []
    for op in ops(quick):
        seconds = op_seconds(op, 0.02 if quick else 0.15)
        by_flops = op.flops * 1e-9 / machine["gflops_n"]
        by_bytes = op.bytes * 1e-9 / machine["gbytes_n"]
        rows.append(
            {
                "name": op.name,
                "shape": op.shape,
                "us": seconds * 1e6,
                "gflops": op.flops * 1e-9 / seconds,
                "gbytes": op.bytes * 1e-9 / seconds,
                "of_roof": max(by_flops, by_bytes) / seconds,
                "by": "flops" if by_flops > by_bytes else "memory",
            }
        )
    return {"machine": machine, "ops": rows}


if __name__ == "__main__":
    import os

    found = measure("--quick" in sys.argv, int(os.environ.get("OMP_NUM_THREADS", "2")))
    print(json.dumps(found) if "--json" in sys.argv else roofline(found))
