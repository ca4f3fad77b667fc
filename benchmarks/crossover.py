"""Where BLAS begins to beat our own matrix products: the table behind is_small in csrc/gemm.c.

    python benchmarks/crossover.py [--isa v4] [--dtype float32] [--blas Haswell]

For every size and form (N: by rows, T: transposed) the time of BLAS over ours, each the best of
many runs in turn in one process; a plan of many products, so that the call counts and Python does
not. Above 1 ours is faster. OPENBLAS_CORETYPE is unset, or set by --blas: a CPU with no more than
v3 would run OpenBLAS's Haswell kernels, one of the baseline Nehalem's.
"""

import argparse
import os
import sys
import time
from pathlib import Path

CUBES = [8, 16, 24, 32, 48, 64, 96, 128, 160, 192, 256, 320, 384, 512]
SHAPES = [(n, n, n) for n in CUBES] + [
    (32, 64, 128), (32, 128, 64), (32, 64, 10), (64, 32, 128), (64, 32, 10), (32, 10, 64),
    (64, 8, 64), (64, 64, 4), (8, 64, 64), (64, 4, 64), (32, 2, 16), (2, 32, 16),
    (32, 16, 1), (16, 32, 1), (32, 1, 16), (256, 256, 1), (256, 1, 256), (256, 23, 256),
    (23, 256, 256), (256, 256, 23), (128, 256, 10), (256, 128, 10), (128, 10, 256),
    (1, 64, 128), (1, 128, 64), (1, 64, 10), (1, 256, 256), (1, 512, 512), (1, 784, 512),
    (1, 2048, 2048),
    (2, 64, 128), (4, 64, 128), (8, 64, 128), (8, 512, 512), (16, 512, 512), (512, 64, 64),
    (4096, 64, 64), (64, 4096, 64), (64, 64, 4096), (10000, 8, 8), (8, 10000, 8), (8, 8, 10000),
    (128, 784, 512), (784, 128, 512), (128, 512, 256), (512, 128, 256), (128, 512, 784),
    (64, 1024, 256), (128, 1024, 512), (512, 1024, 1024), (1024, 1024, 1024), (512, 2048, 2048),
]  # fmt: skip
FORMS = ["NN", "TN", "NT"]


def plan_of(plan, core, m, k, n, form, dtype, repeats):
    """A plan that multiplies `repeats` times in its own memory; operands are copied there first."""
    copy = [1, 0, core.tile_ops()[{4: "copy.f32", 8: "copy.f64"}[dtype.itemsize]], 0, 1, -1, -1]

    def operand(rows, cols, transposed):
        shape = (cols, rows) if transposed else (rows, cols)
        feed = plan.input(np.random.default_rng(0).standard_normal(shape).astype(dtype))
        there = plan.arena(dtype, shape)
        plan.call("tile", [there], [feed], copy)
        if not transposed:
            return there
        record = plan.bufs[there].copy()
        record["dims"][:2], record["strides"][:2] = (rows, cols), (1, rows)
        plan.bufs.append(record)
        return len(plan.bufs) - 1

    a, b = operand(m, k, form[0] == "T"), operand(k, n, form[1] == "T")
    product = plan.arena(dtype, (m, n))
    for _ in range(repeats):
        plan.call("matmul", [product], [a, b])
    return plan.build()


def measure(core, plan, m, k, n, form, dtype):
    """Best seconds of one product: ours, BLAS."""
    repeats = max(1, min(300, int(4e6 / (m * k * n + 20000))))
    exe = plan_of(plan, core, m, k, n, form, dtype, repeats)
    feeds = tuple(plan.feeds)
    best = {1: 1e9, -1: 1e9}
    end, rounds = time.perf_counter() + 0.15, 0
    while time.perf_counter() < end or rounds < 5:
        rounds += 1
        for way in best:
            core.use_products(way)
            for _ in range(3):
                start = time.perf_counter()
                exe.run(feeds)
                best[way] = min(best[way], time.perf_counter() - start)
    core.use_products(0)
    return best[1] / repeats, best[-1] / repeats


def main():
    from core_plan import Plan
    from threadpoolctl import threadpool_info

    from gradplan import _core

    dtype = np.dtype(options.dtype)
    if options.isa:
        _core.use_isa(options.isa)
    _core.load_blas()
    kernels = {i["architecture"] for i in threadpool_info() if i.get("architecture")}
    print(f"{_core.isa()} {dtype}, OpenBLAS kernels {', '.join(kernels)}; ns ours, BLAS / ours")
    print(f"{'m':>6}{'k':>6}{'n':>6}{'mkn':>12}" + "".join(f"{form:>20}" for form in FORMS))
    for m, k, n in SHAPES:
        row = f"{m:6}{k:6}{n:6}{m * k * n:12,}"
        for form in FORMS:
            ours, blas = measure(_core, Plan(), m, k, n, form, dtype)
            row += f"{ours * 1e9:13,.0f}{blas / ours:7.2f}"
        print(row, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--isa")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--blas")
    options = parser.parse_args()
    os.environ.pop("OPENBLAS_CORETYPE", None)
    if options.blas:
        os.environ["OPENBLAS_CORETYPE"] = options.blas
    import numpy as np

    sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
    main()
