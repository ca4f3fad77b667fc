"""TensorFlow 2: ``tf.function(jit_compile=True)``, the whole step compiled by XLA."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from benchmarks.systems import Step, digest
from benchmarks.workloads import ADAM, LEARNING_RATE, Data, Workload

_started = False


def start(threads: int) -> None:
    """Set the thread counts, which TensorFlow takes only once and before anything has run."""
    global _started
    if not _started:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
        _started = True


def prepare(workload: Workload, data: Data, variant: str, threads: int) -> Step:
    start(threads)
    if workload.kind == "chain":
        return chain(data)
    layers = [(tf.Variable(w), tf.Variable(b)) for w, b in data.weights]

    def mlp(x: Any) -> Any:
        for w, b in layers[:-1]:
            x = tf.nn.relu(x @ w + b)
        w, b = layers[-1]
        return x @ w + b

    if workload.kind == "forward":
        forward = tf.function(mlp, jit_compile=True)
        feeds = [(x,) for x in data.inputs]
        return Step(lambda x: forward(tf.convert_to_tensor(x)).numpy(), feeds, lambda out: out)

    parameters = [p for layer in layers for p in layer]
    moments = [(tf.Variable(tf.zeros_like(p)), tf.Variable(tf.zeros_like(p))) for p in parameters]
    steps = tf.Variable(0.0)

    def update(gradients: Any) -> None:
        if workload.optimizer == "sgd":
            for p, g in zip(parameters, gradients, strict=True):
                p.assign_sub(LEARNING_RATE["sgd"] * g)
            return
        b1, b2 = ADAM["beta1"], ADAM["beta2"]
        t = steps.assign_add(1.0)
        rate = LEARNING_RATE["adam"] * tf.sqrt(1 - b2**t) / (1 - b1**t)
        for p, (m, v), g in zip(parameters, moments, gradients, strict=True):
            m.assign(b1 * m + (1 - b1) * g)
            v.assign(b2 * v + (1 - b2) * g * g)
            p.assign_sub(rate * m / (tf.sqrt(v) + ADAM["epsilon"]))

    @tf.function(jit_compile=True)
    def compiled(x: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = mlp(x)
            if workload.binary:
                losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, logits[:, 0])
            else:
                losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        update(tape.gradient(loss, parameters))
        return loss

    def step(x: np.ndarray, labels: np.ndarray) -> float:
        return float(compiled(tf.convert_to_tensor(x), tf.convert_to_tensor(labels)))

    return Step(step, list(zip(*data[1:], strict=True)), lambda loss: loss)


def chain(data: Data) -> Step:
    @tf.function(jit_compile=True)
    def both(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            value = tf.reduce_mean(tf.square(tf.nn.gelu(x, approximate=True)))
        return value, tape.gradient(value, x)

    def run(x: np.ndarray) -> Any:
        value, gradient = both(tf.convert_to_tensor(x))
        return float(value), gradient.numpy()

    return Step(run, [(data.inputs[0],)], lambda out: digest(*out))
