"""The systems that are timed: one module each, all with one function.

``prepare(workload, data, variant, threads)`` returns a :class:`Step`: a function that does one
unit of work from NumPy arrays to NumPy arrays or scalars, as a user of that system would write it.
Whatever can be done once, outside the step, is done in ``prepare``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple


class Step(NamedTuple):
    """What a child process times.

    Attributes
    ----------
    call : callable
        Does the work; waits for its result.
    feeds : list of tuple
        Arguments, taken in turn.
    read : callable
        From what ``call`` returns to the numbers that must agree among systems.
    steps : int
        Steps that one call makes; above 1 where the loop itself is compiled.
    """

    call: Callable[..., Any]
    feeds: Sequence[tuple[Any, ...]]
    read: Callable[[Any], Any]
    steps: int = 1


class System(NamedTuple):
    """Where a system lives and what it can do.

    Attributes
    ----------
    module : str
        Of this package.
    variant : str
        For the module: which of its ways to run.
    package : str
        What must be importable.
    environment : str
        Directory under ``benchmarks/.peers``; empty for the interpreter that runs the benchmarks.
    kinds : tuple of str
        Kinds of workload.
    loop : bool
        Whether one call runs many steps.
    sweeps : str
        "all" points of the sweep, or only some of the plotted "line", for what compiles for long.
    """

    title: str
    module: str
    variant: str
    package: str
    environment: str
    kinds: tuple[str, ...] = ("train", "forward", "chain", "convnet")
    loop: bool = False
    sweeps: str = "all"


_TRAIN = ("train",)
_MLP = ("train", "forward", "chain")

SYSTEMS = {
    "gradplan": System("gradplan", "gradplan_session", "call", "gradplan", ""),
    "gradplan-loop": System(
        "gradplan loop", "gradplan_session", "loop", "gradplan", "", ("train", "convnet"), loop=True
    ),
    "numpy": System("NumPy by hand", "numpy_by_hand", "", "numpy", ""),
    "jax": System("JAX jit", "jax_xla", "jit", "jax", "main", _MLP),
    "jax-scan": System("JAX lax.scan", "jax_xla", "scan", "jax", "main", _TRAIN, True, "line"),
    "torch": System("PyTorch eager", "pytorch", "eager", "torch", "main"),
    "torch-compile": System(
        "PyTorch compiled", "pytorch", "compile", "torch", "main", sweeps="line"
    ),
    "tf1": System("TensorFlow 1 graph", "tensorflow1", "", "tensorflow", "tensorflow", _MLP),
    "tf2-xla": System(
        "TensorFlow XLA", "tensorflow2", "", "tensorflow", "tensorflow", _MLP, sweeps="line"
    ),
    "sklearn": System(
        "scikit-learn MLP", "scikit_learn", "", "sklearn", "main", _TRAIN, sweeps="line"
    ),
    "onnx": System("ONNX Runtime", "onnx_runtime", "", "onnxruntime", "main", ("forward",)),
    "onnx-1": System(
        "ONNX Runtime, 1 thread", "onnx_runtime", "1", "onnxruntime", "main", ("forward",)
    ),
}
OURS = ("gradplan", "gradplan-loop")


def digest(value: Any, gradient: Any) -> list[float]:
    """What must agree of an elementwise chain: its value and a part of its gradient."""
    return [float(value), *map(float, gradient.reshape(-1)[::4099])]
