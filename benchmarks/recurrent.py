"""A recurrent net unrolled over 50 steps, beside TensorFlow 1's graph.

``python -m benchmarks.recurrent [DIRECTORY OF PEERS]`` runs one program in both, timed in turn: 32
units, inputs and rows of a batch, gradient descent. Losses are compared first. ``plan`` is a first
step less a later one. Of eight programs the best counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import HERE, ROOT, environment
from benchmarks.timing import best, once

TIMES, SIZE, ROUNDS = 50, 32, 8


def build(tf: Any, kind: str) -> Any:
    """A call that trains a step and returns the loss."""
    rng, gates = np.random.default_rng(0), 1 if kind == "tanh" else 4
    start = rng.normal(0, 0.1, [2 * SIZE, gates * SIZE]).astype(np.float32)
    data = rng.normal(size=[TIMES + 1, SIZE, SIZE]).astype(np.float32)
    with tf.Graph().as_default():
        x, y = (tf.placeholder(tf.float32, a.shape) for a in (data[:-1], data[-1]))
        w, b = tf.Variable(start), tf.Variable(tf.zeros([gates * SIZE]))
        h = c = tf.zeros([SIZE, SIZE])
        for step in tf.unstack(x):
            z = tf.matmul(tf.concat([step, h], 1), w) + b
            if kind == "tanh":
                h = tf.tanh(z)
                continue
            i, j, f, o = tf.split(z, 4, 1)
            c = c * tf.sigmoid(f + 1.0) + tf.sigmoid(i) * tf.tanh(j)
            h = tf.tanh(c) * tf.sigmoid(o)
        loss = tf.reduce_mean(tf.square(h - y))
        train = tf.train.GradientDescentOptimizer(0.1).minimize(loss)
        config = tf.ConfigProto(intra_op_parallelism_threads=2, inter_op_parallelism_threads=2)
        sess = tf.Session(config=config)
        sess.run(tf.global_variables_initializer())
        call = sess.make_callable([loss, train], [x, y])
    return lambda: float(call(data[:-1], data[-1])[0])


def answer(tf: Any) -> None:
    """The child: for a kind on a line its losses, and milliseconds to plan and of a step."""
    getattr(tf, "disable_v2_behavior", int)()
    for kind in map(str.strip, sys.stdin):
        step = build(tf, kind)
        first, losses, later = once(step), [step() for _ in range(4)], best(step)
        print(json.dumps([losses, (first - later) * 1e3, later * 1e3]), flush=True)


def main() -> None:
    peers = Path(sys.argv[1] if sys.argv[1:] else HERE / ".peers")
    pythons = {"gradplan": sys.executable, "tensorflow.compat.v1": peers / "tensorflow/bin/python"}
    options: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": ROOT}
    children = {name: subprocess.Popen([python, "-m", "benchmarks.recurrent", "--child", name],
                                       env=environment(2), **options)
                for name, python in pythons.items()}  # fmt: skip
    for kind in ("tanh", "lstm"):
        found: dict[str, list[Any]] = {name: [] for name in children}
        for name, process in list(children.items()) * ROUNDS:
            print(kind, file=process.stdin, flush=True)
            found[name].append(json.loads((process.stdout or sys.stdin).readline()))
        np.testing.assert_allclose(*(rows[0][0] for rows in found.values()), rtol=1e-5)
        for name, rows in found.items():
            plan, step = (min(row[i] for row in rows) for i in (1, 2))
            print(f"{kind} {name:20} plan {plan:6.1f} ms, step {step:.3f} ms")


if __name__ == "__main__":
    answer(import_module(sys.argv[2])) if "--child" in sys.argv else main()
