"""Seeds, and the streams of random operations: counter-based (Philox), so that they depend on seeds
alone, never on threads.

Every random operation has a stream of its own in every session, two 64-bit words of state: a key
made from the seeds, and a counter. Checkpoints keep it. Source: J. K. Salmon et al., *Parallel
random numbers: as easy as 1, 2, 3*, SC 2011.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.graph import Operation, Tensor, get_default_graph
from gradplan.opdef import STATE, op
from gradplan.ops.array import shape_argument
from gradplan.ops.constant import convert_to_tensor, has_tensor, shape_constant

__all__ = ["set_random_seed"]


def set_random_seed(seed: int) -> None:
    """Set the seed of the default graph, so that every run of the program gives the same numbers.

    Parameters
    ----------
    seed : int
        An operation without a seed of its own then takes one from this and its place in the graph.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.set_random_seed(1)
    >>> x = gp.random_normal([2])
    >>> a, b = gp.Session().run(x), gp.Session().run(x)
    >>> bool((a == b).all())
    True
    """
    get_default_graph().seed = int(seed)


def get_seed(op_seed: int | None) -> tuple[int | None, int | None]:
    """The seeds of graph and operation that a new random operation takes, as TensorFlow 1
    chooses."""
    graph = get_default_graph()
    if graph.seed is not None:
        return graph.seed, graph.version if op_seed is None else op_seed
    return (None, None) if op_seed is None else (87654321, op_seed)


def initial_state(op: Operation) -> np.ndarray:
    """The state of a random operation in a new session: int64 [2], key and counter."""
    seed, seed2 = op.attrs["seed"], op.attrs["seed2"]
    key = os.urandom(8) if seed is None else _mix(_mix(seed) + seed2).to_bytes(8, "little")
    return np.array([int.from_bytes(key, "little", signed=True), 0], np.int64)


def _mix(x: int) -> int:
    """Spread a seed over 64 bits: G. L. Steele et al., *Fast splittable pseudorandom number
    generators*, OOPSLA 2014."""
    mask = 2**64 - 1
    x = (x + 0x9E3779B97F4A7C15) & mask
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
    x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
    return x ^ x >> 31


def seeds(op_seed: int | None) -> dict[str, int | None]:
    """The attributes of a new random operation."""
    seed, seed2 = get_seed(op_seed)
    return {"seed": seed, "seed2": seed2}


def shape_tensor(shape: Any) -> Tensor:
    """A shape argument as a vector of integers."""
    if not isinstance(shape, Tensor) and not has_tensor(shape):
        shape = shape_constant(shape)
    return convert_to_tensor(shape)


def drawn_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    """The shape that the first input asks for."""
    dims, unknown = shape_argument(value(0), in_shapes[0])
    if dims is None:
        return unknown
    if any(d < 0 for d in dims):
        raise ValueError(f"{list(dims)} has a negative dimension")
    shapes.size(dims)
    return dims


def no_gradient(op: Any, *dys: Any) -> Any:
    """What is drawn at random does not follow the parameters."""
    return [None] * len(op.inputs)


def stream(name: str, kernel: str, types: str, **more: Any) -> Any:
    """Declare a random operation whose first input is a shape; decorates its function.

    Its kernel gets the result and the state as outputs and the other inputs as they are.
    """

    def decorate(function: Any) -> Any:
        declared = op(name, STATE, kernel=kernel, types=types, flops=20, sized=0, **more)(function)
        declared.shape(drawn_shape)
        declared.gradient(no_gradient)

        @declared.lower
        def _(binder: Any, op: Any) -> None:
            given = [binder.contiguous(binder.view(t)) for t in op.inputs[1:]]
            binder.emit(op.opdef.kernel, [binder.result(op), binder.random_state(op)], given)

        return declared

    return decorate
