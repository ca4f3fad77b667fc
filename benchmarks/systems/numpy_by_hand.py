"""NumPy by hand: forward, backward and update as one would write them, in place where that is
natural."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.systems import Step, digest
from benchmarks.workloads import ADAM, FILTER, LEARNING_RATE, SIDE, Data, Workload

GELU = np.float32(np.sqrt(2 / np.pi))


def forward(layers: list[tuple[Any, Any]], x: Any) -> list[Any]:
    """The input and every layer's output: the last of them the logits."""
    outputs = [x]
    for w, b in layers[:-1]:
        h = outputs[-1] @ w
        h += b
        outputs.append(np.maximum(h, 0, out=h))
    w, b = layers[-1]
    return [*outputs, outputs[-1] @ w + b]


def binary_loss(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Mean sigmoid cross-entropy, and its gradient: ``[batch, 1]``."""
    z = logits[:, 0]
    e = np.exp(-np.abs(z))
    loss = (np.maximum(z, 0) - z * labels + np.log1p(e)).mean()
    p = np.where(z >= 0, 1 / (1 + e), e / (1 + e))
    return loss, ((p - labels) / np.float32(len(z)))[:, None]


def class_loss(logits: Any, labels: Any) -> tuple[Any, Any]:
    """Mean softmax cross-entropy of class numbers, and its gradient: ``[batch, classes]``."""
    rows = np.arange(len(logits))
    logits -= logits.max(1, keepdims=True)
    d = np.exp(logits)
    sums = d.sum(1, keepdims=True)
    loss = (np.log(sums[:, 0]) - logits[rows, labels]).mean()
    d /= sums
    d[rows, labels] -= 1
    d /= len(rows)
    return loss, d


class Sgd:
    def __init__(self, parameters: list[Any]) -> None:
        self.parameters = parameters
        self.rate = np.float32(LEARNING_RATE["sgd"])

    def update(self, gradients: list[Any]) -> None:
        for p, g in zip(self.parameters, gradients, strict=True):
            g *= self.rate
            p -= g


class Adam:
    def __init__(self, parameters: list[Any]) -> None:
        self.parameters = parameters
        self.moments = [(np.zeros_like(p), np.zeros_like(p)) for p in parameters]
        self.steps = 0

    def update(self, gradients: list[Any]) -> None:
        self.steps += 1
        b1, b2 = ADAM["beta1"], ADAM["beta2"]
        scale = np.sqrt(1 - b2**self.steps) / (1 - b1**self.steps)
        rate = np.float32(LEARNING_RATE["adam"] * scale)
        for p, (m, v), g in zip(self.parameters, self.moments, gradients, strict=True):
            m *= np.float32(b1)
            m += np.float32(1 - b1) * g
            v *= np.float32(b2)
            g *= g
            g *= np.float32(1 - b2)
            v += g
            root = np.sqrt(v)
            root += np.float32(ADAM["epsilon"])
            np.divide(m, root, out=root)
            root *= rate
            p -= root


class Convolutions:
    """Two layers of convolution, ReLU and maxima of 2 x 2, by a matrix of patches each."""

    def __init__(self, layers: list[tuple[Any, Any]]) -> None:
        self.layers = layers

    def forward(self, x: Any) -> Any:
        self.saved = []
        x = np.pad(x.reshape(-1, SIDE, SIDE, 1), [(0, 0), *[(FILTER // 2,) * 2] * 2, (0, 0)])
        for w, b in self.layers:
            patches = np.lib.stride_tricks.sliding_window_view(x, (FILTER, FILTER), (1, 2))
            patches = patches.transpose(0, 1, 2, 4, 5, 3)
            shape = patches.shape[:3]
            patches = patches.reshape(-1, w[..., 0].size)
            y = patches @ w.reshape(-1, w.shape[-1])
            y += b
            y = np.maximum(y, 0, out=y).reshape(*shape, -1)
            four = y.reshape(shape[0], shape[1] // 2, 2, shape[2] // 2, 2, -1)
            four = four.transpose(0, 1, 3, 2, 4, 5).reshape(shape[0], shape[1] // 2, -1, 4, len(b))
            at = four.argmax(3)[..., None, :]
            self.saved.append((x.shape, patches, at, y))
            x = np.take_along_axis(four, at, 3)[..., 0, :]
        return x.reshape(len(x), -1)

    def backward(self, d: Any) -> list[Any]:
        gradients: list[Any] = []
        for i in (1, 0):
            w, (shape, patches, at, y) = self.layers[i][0], self.saved[i]
            n, high, wide, channels = y.shape
            four = np.zeros((n, high // 2, wide // 2, 4, channels), np.float32)
            np.put_along_axis(four, at, d.reshape(n, high // 2, wide // 2, 1, channels), 3)
            four = four.reshape(n, high // 2, wide // 2, 2, 2, channels)
            d = four.transpose(0, 1, 3, 2, 4, 5).reshape(y.shape)
            d *= y > 0
            d = d.reshape(-1, channels)
            gradients[:0] = (patches.T @ d).reshape(w.shape), d.sum(0)
            if i:
                taps = (d @ w.reshape(-1, channels).T).reshape(n, high, wide, FILTER, FILTER, -1)
                d = np.zeros(shape, np.float32)
                for h in range(FILTER):
                    for v in range(FILTER):
                        d[:, h : h + high, v : v + wide] += taps[:, :, :, h, v]
        return gradients


def prepare(workload: Workload, data: Data, variant: str, threads: int) -> Step:
    if workload.kind == "chain":
        return Step(chain, [(data.inputs[0],)], lambda out: digest(*out))
    layers = [(w.copy(), b.copy()) for w, b in data.weights]
    if workload.kind == "forward":
        return Step(lambda x: forward(layers, x)[-1], [(x,) for x in data.inputs], lambda o: o)
    optimizer = (Adam if workload.optimizer == "adam" else Sgd)([p for wb in layers for p in wb])
    images = Convolutions(layers[:2]) if workload.filters else None
    layers = layers[2:] if images else layers
    loss_of = binary_loss if workload.binary else class_loss

    def step(x: Any, labels: Any) -> Any:
        outputs = forward(layers, images.forward(x) if images else x)
        loss, d = loss_of(outputs[-1], labels)
        gradients: list[Any] = []
        for i in range(len(layers) - 1, -1, -1):
            gradients[:0] = outputs[i].T @ d, d.sum(0)
            if i:
                d = d @ layers[i][0].T
                d *= outputs[i] > 0
        if images:
            gradients[:0] = images.backward(d @ layers[0][0].T)
        optimizer.update(gradients)
        return loss

    return Step(step, list(zip(*data[1:], strict=True)), lambda loss: loss)


def chain(x: Any) -> tuple[Any, Any]:
    """``mean(gelu(x) ** 2)`` and its gradient."""
    c = np.float32(0.044715)
    squares = x * x
    t = np.tanh(GELU * (x + c * squares * x))
    y = np.float32(0.5) * x * (1 + t)
    slope = np.float32(0.5) * (1 + t + x * (1 - t * t) * (GELU * (1 + 3 * c * squares)))
    return np.mean(y * y), y * slope * np.float32(2 / len(x))
