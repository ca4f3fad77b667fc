"""scikit-learn: ``MLPClassifier.partial_fit`` on one batch.

It cannot be given starting weights, so they are put into its attributes; it also checks and encodes
its input at every call, which is part of what it costs. Its penalty is off, and its Adam counts
samples rather than steps only for its learning-rate schedules, which are off too.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from sklearn.neural_network import MLPClassifier

from benchmarks.systems import Step
from benchmarks.workloads import ADAM, LEARNING_RATE, Data, Workload


def prepare(workload: Workload, data: Data, variant: str, threads: int) -> Step:
    rate = LEARNING_RATE[workload.optimizer]
    net = MLPClassifier(
        workload.sizes[1:-1],
        activation="relu",
        solver=workload.optimizer,
        alpha=0.0,
        batch_size=workload.batch,
        learning_rate_init=rate,
        momentum=0.0,
        nesterovs_momentum=False,
        shuffle=False,
        beta_1=ADAM["beta1"],
        beta_2=ADAM["beta2"],
        epsilon=ADAM["epsilon"],
    )
    labels = data.labels.astype(np.int32)
    classes = np.arange(max(2, workload.sizes[-1]))
    net.partial_fit(data.inputs[0], labels[0], classes=classes)
    for coefficients, intercepts, (w, b) in zip(
        net.coefs_, net.intercepts_, data.weights, strict=True
    ):
        coefficients[...], intercepts[...] = w, b
    del net._optimizer  # the next call makes a new one
    warnings.simplefilter("ignore")

    def step(x: Any, y: Any) -> float:
        net.partial_fit(x, y)
        return net.loss_

    return Step(step, list(zip(data.inputs, labels, strict=True)), lambda loss: loss)
