"""Time of single operations beside NumPy or SciPy, and PyTorch where it is installed.

``python -m benchmarks.operations [WORD ...]`` prints the table, of operations with such words in
their names; ``--quick`` for a glance, ``--json`` for the figures. A row is the same calculation in
three spellings; results are compared first, then all are timed in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.children import Skipped, interpreter
from benchmarks.machine import HERE, ROOT, environment
from benchmarks.report import operations
from benchmarks.timing import best

#: gradplan's, NumPy's and PyTorch's spelling; "" where there is no such function.
ROWS = [[part.strip() for part in line.split(" ;")] for line in """
gp.add(x, y) ; x + y ; x + y
gp.add(x, v) ; x + v ; x + v
gp.maximum(x, y) ; np.maximum(x, y) ; torch.maximum(x, y)
gp.where(x > 0.5, x, y) ; np.where(x > 0.5, x, y) ; torch.where(x > 0.5, x, y)
gp.sqrt(p) ; np.sqrt(p) ; torch.sqrt(p)
gp.exp(x) ; np.exp(x) ; torch.exp(x)
gp.log(p) ; np.log(p) ; torch.log(p)
gp.tanh(x) ; np.tanh(x) ; torch.tanh(x)
gp.sigmoid(x) ; special.expit(x) ; torch.sigmoid(x)
gp.sin(x) ; np.sin(x) ; torch.sin(x)
gp.atan(x) ; np.arctan(x) ; torch.atan(x)
gp.erf(x) ; special.erf(x) ; torch.erf(x)
gp.pow(p, y) ; np.power(p, y) ; torch.pow(p, y)
gp.lgamma(p) ; special.gammaln(p) ; torch.lgamma(p)
gp.digamma(p) ; special.digamma(p) ; torch.digamma(p)
gp.nn.relu(x) ; np.maximum(x, 0) ; torch.relu(x)
gp.nn.elu(x) ; np.where(x > 0, x, np.expm1(x)) ; torch.nn.functional.elu(x)
gp.nn.softplus(x) ; np.logaddexp(0, x) ; torch.nn.functional.softplus(x)
gp.cast(x, gp.int32) ; x.astype(np.int32) ; x.to(torch.int32)
gp.reduce_sum(x) ; np.sum(x) ; torch.sum(x)
gp.reduce_sum(x, 0) ; np.sum(x, 0) ; torch.sum(x, 0)
gp.reduce_mean(x, 1) ; np.mean(x, 1) ; torch.mean(x, 1)
gp.reduce_max(x, 1) ; np.max(x, 1) ; torch.amax(x, 1)
gp.reduce_prod(x, 1) ; np.prod(x, 1) ; torch.prod(x, 1)
gp.reduce_logsumexp(x, 1) ; special.logsumexp(x, 1) ; torch.logsumexp(x, 1)
gp.argmax(x, 1) ; np.argmax(x, 1) ; torch.argmax(x, 1)
gp.cumsum(x, 1) ; np.cumsum(x, 1) ; torch.cumsum(x, 1)
gp.cumsum(x, 0) ; np.cumsum(x, 0) ; torch.cumsum(x, 0)
gp.nn.l2_loss(x) ; np.sum(x * x) / 2 ; torch.sum(x * x) / 2
gp.nn.softmax(x) ; special.softmax(x, 1) ; torch.softmax(x, 1)
gp.nn.log_softmax(x) ; special.log_softmax(x, 1) ; torch.log_softmax(x, 1)
gp.concat([x, y], 1) ; np.concatenate([x, y], 1) ; torch.cat([x, y], 1)
gp.stack([x, y], 2) ; np.stack([x, y], 2) ; torch.stack([x, y], 2)
gp.tile(x, [2, 1]) ; np.tile(x, [2, 1]) ; x.repeat(2, 1)
gp.pad(x, [[1, 1], [1, 1]]) ; np.pad(x, 1) ; torch.nn.functional.pad(x, (1, 1, 1, 1))
gp.transpose(x) + y ; x.T + y ; x.T + y
gp.reverse(x, [1]) + y ; x[:, ::-1] + y ; torch.flip(x, [1]) + y
gp.gather(x, i) ; np.take(x, i, 0) ; torch.index_select(x, 0, i)
gp.gather(x, i, axis=1) ; np.take(x, i, 1) ; torch.index_select(x, 1, i)
gp.one_hot(i, 64) ; np.eye(64, dtype="f")[i % 64] * (i < 64)[:, None] ;
gp.unsorted_segment_sum(x, i, n) ; scatter(x, i) ; torch.zeros_like(x).index_add_(0, i, x)
gp.nn.top_k(x, 5)[0] ; -np.sort(np.partition(-x, 5, 1)[:, :5], 1) ; torch.topk(x, 5, 1)[0]
gp.sort(x) ; np.sort(x, 1) ; torch.sort(x, 1)[0]
gp.unique(i)[0] ; i[np.sort(np.unique(i, return_index=True)[1])] ;
gp.matmul(c, d) ; np.matmul(c, d) ; torch.matmul(c, d)
gp.einsum('bij,bkj->bik', c, d) ; np.matmul(c, d.transpose(0, 2, 1)) ; c @ d.transpose(1, 2)
gp.cholesky(s) ; np.linalg.cholesky(s) ; torch.linalg.cholesky(s)
gp.matrix_inverse(s) ; np.linalg.inv(s) ; torch.linalg.inv(s)
gp.self_adjoint_eig(s)[0] ; np.linalg.eigvalsh(s) ; torch.linalg.eigvalsh(s)
""".strip().split("\n")]  # fmt: skip
SIZES = {"small": 64, "large": 1024}  # 16 KB, which every cache holds, and 4 MB
TOLERANCE = 2e-3


def inputs(n: int) -> dict[str, Any]:
    """The arrays that the spellings use, for matrices of n by n."""
    rng = np.random.default_rng(3)
    x, y = (rng.standard_normal((n, n), np.float32) for _ in range(2))
    c = rng.standard_normal((8, n // 4, n // 4), np.float32)
    s = x[: n // 4] @ x[: n // 4].T / n + np.eye(n // 4, dtype=np.float32)
    i = rng.integers(0, n, n).astype(np.int32)
    return {"x": x, "y": y, "v": x[0], "p": np.abs(x) + 0.1, "c": c, "d": c[::-1].copy(), "s": s,
            "i": i, "n": n}  # fmt: skip


def scatter(x: np.ndarray, i: np.ndarray) -> np.ndarray:
    out = np.zeros_like(x)
    np.add.at(out, i, x)
    return out


def torch_loop() -> None:
    """The child: a row, a size and seconds a line in, its time out."""
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    print(json.dumps(torch.__version__), flush=True)
    with torch.inference_mode():
        for line in sys.stdin:
            row, n, seconds = json.loads(line)
            given = inputs(n).items()
            space = {k: torch.from_numpy(a) if isinstance(a, np.ndarray) else a for k, a in given}
            call = eval(f"lambda: {ROWS[row][2]}", {"torch": torch, **space})
            print(json.dumps(best(call, seconds=seconds)), flush=True)


def torch_child(threads: int) -> subprocess.Popen[str] | None:
    try:
        python = interpreter("torch", HERE / ".peers")
    except Skipped:
        return None
    command = [python, "-m", "benchmarks.operations", "--torch"]
    pipe = subprocess.PIPE
    child = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT,
                             env=environment(threads))  # fmt: skip
    return child if child.stdout and child.stdout.readline() else None


def gradplan_step(text: str, n: int) -> tuple[Callable[[], Any], Any, int]:
    """A call that executes the operation, its value, and how often a call does it."""
    import gradplan as gp

    given = inputs(n)
    copies = 1 if n > 256 else 16  # small ones share out what a call costs
    with gp.Graph().as_default():
        targets = []
        for _ in range(copies):
            space = {k: gp.Variable(a) if k in "xyvpcds" else a for k, a in given.items()}
            targets.append(eval(text, {"gp": gp, **space}))
        sess = gp.Session()
        sess.run(gp.global_variables_initializer())
        return sess.make_callable(gp.group(*targets)), sess.run(targets[0]), copies


def measure(quick: bool, threads: int, words: list[str]) -> dict[str, Any]:
    from scipy import special  # which PyTorch's environment may lack

    from benchmarks.roofline import MEMORY, bandwidth

    gbytes = bandwidth(threads, MEMORY // 8 if quick else MEMORY)
    child, rows = torch_child(threads), []
    seconds, rounds = (0.02, 1) if quick else (0.05, 3)
    for number, (ours, numpys, torchs) in enumerate(ROWS):
        for size, n in SIZES.items():
            if words and not any(word in ours for word in words):
                continue
            found: dict[str, Any] = {"name": ours.replace("gp.", ""), "size": size}
            rows.append(found)
            try:
                step, value, copies = gradplan_step(ours, n)
            except Exception as error:  # one figure less, not a run less
                found["error"] = f"{type(error).__name__}: {str(error)[:80]}"
                continue
            space = {"np": np, "special": special, "scatter": scatter, **inputs(n)}
            call = eval(f"lambda: {numpys}", space)
            wanted = np.asarray(call())
            if not np.allclose(value, wanted, TOLERANCE, TOLERANCE * float(np.abs(wanted).max())):
                found["error"] = "gradplan and NumPy disagree"
                continue
            for _ in range(rounds):
                times = {"us": best(step, seconds=seconds) / copies,
                         "numpy": best(call, seconds=seconds)}  # fmt: skip
                if child and child.stdin and child.stdout and torchs:
                    child.stdin.write(json.dumps([number, n, seconds]) + "\n")
                    child.stdin.flush()
                    times["torch"] = float(child.stdout.readline())
                for key, t in times.items():
                    found[key] = min(found.get(key, 1e300), t * 1e6)
            taken = set(re.findall(r"\b[xyvpcdsi]\b", ours))
            moved = wanted.nbytes + sum(inputs(n)[k].nbytes for k in taken)
            found["gbytes"] = moved * 1e-3 / found["us"]
            found["of_memory"] = found["gbytes"] / gbytes
    if child and child.stdin:
        child.stdin.close()
        child.wait()
    return {"gbytes": gbytes, "threads": threads, "rows": rows}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.operations", description=__doc__)
    parser.add_argument("words", nargs="*", help="only operations with such words in their names")
    for flag in ("--quick", "--json", "--torch"):
        parser.add_argument(flag, action="store_true")
    args = parser.parse_args()
    if args.torch:
        return torch_loop()
    found = measure(args.quick, int(os.environ.get("OMP_NUM_THREADS", "2")), args.words)
    print(json.dumps(found) if args.json else operations(found))


if __name__ == "__main__":
    main()
