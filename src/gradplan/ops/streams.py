"""Seeds, and the streams of random operations: counter-based (Philox), so that they depend on seeds
alone, never on threads.

Every random operation has a stream of its own in every session, two 64-bit words of state: a key
made from the seeds, and a counter. Checkpoints keep it. Inside loops and conditionals it has one
for each run and each trip. Source: J. K. Salmon et al., *Parallel random numbers: as easy as 1, 2,
3*, SC 2011.
"""

from __future__ import annotations

import copy
import functools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.graph import Graph, Operation, Tensor, get_default_graph
from gradplan.opdef import CALL, REGISTRY, STATE, OpDef, apply, captured, graph_of, op
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


@op("RandomStream", STATE, kernel="random_stream", types="int64 -> int64", flops=0)
def _random_stream(
    number: Any, seed: Any = None, seed2: Any = None, name: str | None = None
) -> Any:
    """Key and counter of a stream of its own for each run, int64 [2]. ``number`` is 0: what keeps
    something in the session and has no input is the place of a variable."""


@op("FoldStream", CALL, kernel="fold_stream", types="int64 int64 -> int64", flops=0)
def _fold_stream(stream: Any, number: Any, name: str | None = None) -> Any:
    """Key and counter of stream ``number`` of those that belong to ``stream``."""


for _declared in (_random_stream, _fold_stream):
    _declared.shape(lambda attrs, in_shapes, value: (2,))


@_random_stream.lower
def _(binder: Any, op: Any) -> None:
    binder.emit(op.opdef.kernel, [binder.result(op), binder.random_state(op)], [])


@functools.cache
def _with_stream(opdef: OpDef) -> OpDef:
    """The operation as it is inside loops and conditionals: its last input is a stream."""
    pure = copy.copy(opdef)
    pure.kind, pure.uniform = CALL, False
    pure.inputs, pure.in_types = (*opdef.inputs, "stream"), (*opdef.in_types, "int64")
    rule = opdef.shape
    assert rule is not None
    pure.shape = lambda attrs, in_shapes, value: rule(attrs, in_shapes[:-1], value)
    return pure


def drawn(
    declared: Any, inputs: Sequence[Any], seed: int | None, name: str | None = None, **attrs: Any
) -> Any:
    """A new random operation.

    Its numbers come from a state that the session keeps. Inside a loop or conditional they are a
    function of a stream, one for each run, and of the number of the trip: whoever runs the inside
    again, as gradients do, finds the same numbers.
    """
    graph, opdef = graph_of(inputs), declared.opdef
    given, number = get_seed(seed)
    attrs |= {"seed": given, "seed2": number}
    if graph.outer is None:
        return apply(opdef, inputs, attrs, name)
    root = graph.root
    count = root.extras["streams"] = root.extras.get("streams", 0) + 1
    own = f"{graph._scope}/stream_{count}"

    def hidden(where: Graph, opdef: OpDef, inputs: tuple[Tensor, ...], attrs: Any) -> Tensor:
        shape = attrs["value"].shape if opdef.name == "Const" else (2,)
        op = Operation(where, opdef, own, inputs, attrs, [(dtypes.int64, shape)])
        return where.add(op, hidden=True).outputs[0]

    def within(where: Graph) -> Tensor:
        if where.outer is None:
            zero = {"value": np.array(0, np.int64), "dtype": dtypes.int64}
            first = hidden(root, REGISTRY["Const"], (), zero)
            # The numbers of operations begin anew in every body, but streams are counted.
            seeds = {
                "seed": given,
                "seed2": count if seed is None and given is not None else number,
            }
            return hidden(root, _random_stream.opdef, (first,), seeds)
        around, trip = captured(where, within(where.outer)), where.trip()
        return around if trip is None else hidden(where, _fold_stream.opdef, (around, trip), {})

    return apply(_with_stream(opdef), [*inputs, within(graph)], attrs, name)


def parameters(op: Operation) -> tuple[Tensor, ...]:
    """The inputs of a random operation without its stream."""
    return op.inputs if op.opdef.kind is STATE else op.inputs[:-1]


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
            given = [binder.contiguous(binder.view(t)) for t in parameters(op)[1:]]
            binder.emit(op.opdef.kernel, [binder.result(op), binder.random_state(op)], given)

        return declared

    return decorate
