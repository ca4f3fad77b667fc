"""JAX: the step under ``jit`` with its state donated, or the whole loop as one ``lax.scan``."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.systems import Step, digest
from benchmarks.workloads import ADAM, LEARNING_RATE, Data, Workload


def mlp(layers: Any, x: Any) -> Any:
    for w, b in layers[:-1]:
        x = jax.nn.relu(x @ w + b)
    w, b = layers[-1]
    return x @ w + b


def loss_of(layers: Any, x: Any, labels: Any) -> Any:
    logits = mlp(layers, x)
    if logits.shape[1] == 1:
        z = logits[:, 0]
        return jnp.mean(jnp.maximum(z, 0) - z * labels + jnp.log1p(jnp.exp(-jnp.abs(z))))
    picked = jnp.take_along_axis(jax.nn.log_softmax(logits), labels[:, None], axis=1)
    return -jnp.mean(picked)


def sgd(state: Any, x: Any, labels: Any) -> Any:
    loss, gradients = jax.value_and_grad(loss_of)(state, x, labels)
    return jax.tree.map(lambda p, g: p - LEARNING_RATE["sgd"] * g, state, gradients), loss


def adam(state: Any, x: Any, labels: Any) -> Any:
    layers, m, v, t = state
    loss, gradients = jax.value_and_grad(loss_of)(layers, x, labels)
    b1, b2, t = ADAM["beta1"], ADAM["beta2"], t + 1
    rate = LEARNING_RATE["adam"] * jnp.sqrt(1 - b2**t) / (1 - b1**t)
    m = jax.tree.map(lambda m, g: b1 * m + (1 - b1) * g, m, gradients)
    v = jax.tree.map(lambda v, g: b2 * v + (1 - b2) * g * g, v, gradients)
    layers = jax.tree.map(
        lambda p, m, v: p - rate * m / (jnp.sqrt(v) + ADAM["epsilon"]), layers, m, v
    )
    return (layers, m, v, t), loss


def chain(x: Any) -> Any:
    return jnp.mean(jnp.square(jax.nn.gelu(x, approximate=True)))


def prepare(workload: Workload, data: Data, variant: str, threads: int) -> Step:
    if workload.kind == "chain":
        both = jax.jit(jax.value_and_grad(chain))

        def run(x: Any) -> Any:
            value, gradient = both(x)
            return float(value), np.asarray(gradient)

        return Step(run, [(data.inputs[0],)], lambda out: digest(*out))
    layers = [(jnp.array(w), jnp.array(b)) for w, b in data.weights]
    if workload.kind == "forward":
        compiled = jax.jit(mlp)
        feeds = [(x,) for x in data.inputs]
        return Step(lambda x: np.asarray(compiled(layers, x)), feeds, lambda out: out)
    update, state = sgd, layers
    if workload.optimizer == "adam":
        zeros = [jax.tree.map(jnp.zeros_like, layers) for _ in range(2)]
        update, state = adam, (layers, *zeros, jnp.zeros((), jnp.float32))
    if variant == "scan":
        steps = workload.loop_steps
        arrays = tuple(map(jnp.asarray, data.whole(steps)))

        def whole_loop(state: Any, arrays: Any) -> Any:
            return jax.lax.scan(lambda s, batch: update(s, *batch), state, arrays)

        scan = jax.jit(whole_loop, donate_argnums=0)

        def loop() -> Any:
            nonlocal state
            state, losses = scan(state, arrays)
            return np.asarray(losses)

        return Step(loop, [()], lambda losses: losses, steps)
    compiled = jax.jit(update, donate_argnums=0)

    def step(x: Any, labels: Any) -> float:
        nonlocal state
        state, loss = compiled(state, x, labels)
        return float(loss)

    return Step(step, list(zip(*data[1:], strict=True)), lambda loss: loss)
