"""What is timed: networks, their starting weights and their batches, the same for every system."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # the parent process reads the table below without loading NumPy
    import numpy as np

#: Batches that a workload cycles through.
BATCHES = 16
#: Training steps whose losses must agree before a system is timed.
CHECK_STEPS = 20
LEARNING_RATE = {"sgd": 0.05, "adam": 1e-3}
#: Epsilon is below the usual 1e-8 because systems add it at two places, to the root of the second
#: moment or of the corrected one; the larger value is enough to move a loss by 3e-4 in 20 steps.
ADAM = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-10}


#: The kinds of workload whose step is one of training.
TRAINS = ("train", "convnet")
#: A convnet takes images of so many pixels a side, and its filters are so large.
SIDE, FILTER = 28, 5


@dataclass(frozen=True)
class Workload:
    """One thing to time.

    Attributes
    ----------
    kind : str
        "train": one step of an MLP with ReLU between its layers; the loss is the mean sparse
        softmax cross-entropy, or the sigmoid cross-entropy where there is one output.
        "convnet": the same behind two layers of convolution (the first padded, the second not),
        each with ReLU and a maximum of 2 x 2. "forward": the logits of an MLP. "chain": the mean
        of ``gelu(x) ** 2`` over ``batch`` elements, with its gradient.
    sizes : tuple of int
        Units of every layer, the input first.
    optimizer : str
        "sgd" or "adam".
    filters : tuple of int
        Channels of the convolutions.
    """

    name: str
    kind: str
    sizes: tuple[int, ...]
    batch: int
    optimizer: str = "sgd"
    filters: tuple[int, ...] = ()

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of all weights but the biases, whose lengths are their last dimensions."""
        units = self.sizes
        out: list[tuple[int, ...]] = []
        if self.filters:
            first, second = self.filters
            out = [(FILTER, FILTER, 1, first), (FILTER, FILTER, first, second)]
            units = (((SIDE // 2 - FILTER + 1) // 2) ** 2 * second, *units[1:])
        return out + list(zip(units[:-1], units[1:], strict=True))

    @property
    def parameters(self) -> int:
        return sum(math.prod(s) + s[-1] for s in self.shapes)

    @property
    def flops(self) -> int:
        """Of the matrix products of one step, and of the convolutions."""
        places = [SIDE**2, (SIDE // 2 - FILTER + 1) ** 2] if self.filters else []
        places += [1] * (len(self.shapes) - len(places))
        layers = [n * math.prod(s) for n, s in zip(places, self.shapes, strict=True)]
        forward = 2 * self.batch * sum(layers)
        if self.kind in TRAINS:
            return 3 * forward - 2 * self.batch * layers[0]  # nobody wants the input's gradient
        return forward

    @property
    def binary(self) -> bool:
        return self.sizes[-1] == 1

    @property
    def loop_steps(self) -> int:
        """Steps of one call of a system that runs whole loops: as many as 64 MB of batches hold."""
        row_bytes = 4 * (self.sizes[0] + 1)
        cycles = 64_000_000 // (BATCHES * self.batch * row_bytes)
        return BATCHES * max(2, min(10, cycles))

    @property
    def title(self) -> str:
        if self.kind == "chain":
            return f"{self.batch:,} elements"
        hidden = self.sizes[1:-1]
        if len(hidden) > 8 and len(set(hidden)) == 1:
            layers = f"{self.sizes[0]}-{hidden[0]} x{len(hidden)}-{self.sizes[-1]}"
        else:
            layers = "-".join(map(str, self.sizes))
        if self.filters:
            layers = "-".join(
                [str(self.sizes[0]), *[f"c{n}" for n in self.filters], *layers.split("-")[1:]]
            )
        rule = {"sgd": "SGD", "adam": "Adam"}[self.optimizer] if self.kind in TRAINS else ""
        return f"{layers} b{self.batch} {rule}".strip()


TRAINING = (
    Workload("triangle", "train", (2, 16, 1), 32, "sgd"),
    Workload("digits", "train", (64, 128, 64, 10), 32, "adam"),
    Workload("deep", "train", (32,) * 65 + (10,), 32, "sgd"),
    Workload("policy", "train", (8, 64, 64, 4), 64, "adam"),
    Workload("critic", "train", (23, 256, 256, 1), 256, "adam"),
    Workload("mnist", "train", (784, 512, 256, 10), 128, "adam"),
    Workload("wide", "train", (1024, 2048, 2048, 10), 512, "adam"),
    Workload("lenet", "convnet", (SIDE**2, 120, 84, 10), 64, "adam", (6, 16)),
)
INFERENCE = (
    Workload("forward1", "forward", (64, 128, 64, 10), 1),
    Workload("forward32", "forward", (64, 128, 64, 10), 32),
)
CHAIN = Workload("chain", "chain", (1,), 1_000_000)
WORKLOADS = {w.name: w for w in (*TRAINING, *INFERENCE, CHAIN)}

SWEEP_WIDTHS = (16, 32, 64, 128, 256, 512, 1024)
SWEEP_BATCHES = (1, 4, 16, 32, 128, 512)
#: The batch at which the plot follows every system, those that compile for long included.
PLOT_BATCH = 32


def sweep(quick: bool = False) -> list[Workload]:
    """The points of the width x batch sweep: 64 inputs, two hidden layers, 10 outputs, Adam."""
    widths = SWEEP_WIDTHS[::3] if quick else SWEEP_WIDTHS
    batches = (1, PLOT_BATCH) if quick else SWEEP_BATCHES
    return [
        Workload(f"w{width}b{batch}", "train", (64, width, width, 10), batch, "adam")
        for width in widths
        for batch in batches
    ]


class Data(NamedTuple):
    """Starting weights and batches of a workload, all float32 but class labels, which are int32."""

    weights: list[tuple[np.ndarray, np.ndarray]]
    inputs: np.ndarray  # [BATCHES, batch, sizes[0]]
    labels: np.ndarray  # [BATCHES, batch]

    def whole(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Inputs and labels of ``steps`` batches, a multiple of BATCHES, along the first axis."""
        import numpy as np

        times = steps // BATCHES
        inputs = np.concatenate([self.inputs] * times)
        return inputs, np.concatenate([self.labels] * times)


def make_data(workload: Workload) -> Data:
    """Draw weights (normal, He's scale, zero biases) and batches (normal) from one fixed seed.

    With this seed no unit comes so near to zero in the checked steps of the named workloads that
    rounding decides on which side of ReLU's corner it lies: weights that differ by 3e-7 of
    themselves change no loss by more than 1e-6. (With most others the losses of the deep network
    part by up to 3e-3, whoever computes them.)
    """
    import numpy as np

    rng = np.random.default_rng(18)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape, dtype=np.float32)

    if workload.kind == "chain":
        return Data([], normal(1, workload.batch), np.zeros((1, 0), np.int32))
    weights = [
        (normal(*s) * np.float32(np.sqrt(2 / math.prod(s[:-1]))), np.zeros(s[-1], np.float32))
        for s in workload.shapes
    ]
    shape = BATCHES, workload.batch
    inputs = normal(*shape, workload.sizes[0])
    labels = rng.integers(0, max(2, workload.sizes[-1]), shape)
    return Data(weights, inputs, labels.astype(np.float32 if workload.binary else np.int32))
