"""PyTorch: a module and a fused optimizer, eager, or with the loss under ``torch.compile``."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from benchmarks.systems import Step, digest
from benchmarks.workloads import ADAM, FILTER, LEARNING_RATE, SIDE, Data, Workload


def mlp(data: Data) -> torch.nn.Sequential:
    layers: list[torch.nn.Module] = []
    for w, b in data.weights:
        linear = torch.nn.Linear(*w.shape)
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(w.T.copy()))
            linear.bias.copy_(torch.from_numpy(b))
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1])


def convnet(data: Data) -> torch.nn.Sequential:
    """In PyTorch's own layout, so the weights of the first dense layer are put into its order."""
    layers: list[torch.nn.Module] = [torch.nn.Unflatten(1, (1, SIDE, SIDE))]
    for (w, b), padding in zip(data.weights[:2], (FILTER // 2, 0), strict=True):
        conv = torch.nn.Conv2d(w.shape[2], w.shape[3], FILTER, padding=padding)
        with torch.no_grad():
            conv.weight.copy_(torch.from_numpy(w.transpose(3, 2, 0, 1).copy()))
            conv.bias.copy_(torch.from_numpy(b))
        layers += [conv, torch.nn.ReLU(), torch.nn.MaxPool2d(2)]
    channels, (w, b) = len(data.weights[1][1]), data.weights[2]
    pixels = w.reshape(-1, channels, w.shape[1]).transpose(1, 0, 2).reshape(w.shape)
    dense = data._replace(weights=[(pixels, b), *data.weights[3:]])
    return torch.nn.Sequential(*layers, torch.nn.Flatten(), *mlp(dense))


def optimizer_of(workload: Workload, net: torch.nn.Module) -> torch.optim.Optimizer:
    rate = LEARNING_RATE[workload.optimizer]
    if workload.optimizer == "sgd":
        return torch.optim.SGD(net.parameters(), rate, fused=True)
    betas = ADAM["beta1"], ADAM["beta2"]
    return torch.optim.Adam(net.parameters(), rate, betas, ADAM["epsilon"], fused=True)


def chain_value(x: torch.Tensor) -> torch.Tensor:
    return functional.gelu(x, approximate="tanh").square().mean()


def prepare(workload: Workload, data: Data, variant: str, threads: int) -> Step:
    torch.set_num_threads(threads)
    torch._dynamo.reset()

    def compiled(function: Any) -> Any:
        return torch.compile(function, dynamic=False) if variant == "compile" else function

    if workload.kind == "chain":
        value_of = compiled(chain_value)

        def run(array: np.ndarray) -> Any:
            x = torch.from_numpy(array).requires_grad_()
            value = value_of(x)
            value.backward()
            return value.item(), x.grad.numpy()

        return Step(run, [(data.inputs[0],)], lambda out: digest(*out))
    net = (convnet if workload.filters else mlp)(data)
    if workload.kind == "forward":
        infer = compiled(net)

        @torch.inference_mode()
        def predict(x: np.ndarray) -> np.ndarray:
            return infer(torch.from_numpy(x)).numpy()

        return Step(predict, [(x,) for x in data.inputs], lambda out: out)
    optimizer = optimizer_of(workload, net)

    def loss_of(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        if workload.binary:
            return functional.binary_cross_entropy_with_logits(net(x)[:, 0], labels)
        return functional.cross_entropy(net(x), labels)

    loss_of = compiled(loss_of)

    def step(x: np.ndarray, labels: np.ndarray) -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(torch.from_numpy(x), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
        return loss.item()

    labels = data.labels if workload.binary else data.labels.astype(np.int64)
    return Step(step, list(zip(data.inputs, labels, strict=True)), lambda loss: loss)
