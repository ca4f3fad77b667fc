"""Random numbers: counter-based (Philox), so that they depend on seeds alone, never on threads.

Every random operation has a stream of its own in every session, two 64-bit words of state: a key
made from the seeds, and a counter. Checkpoints keep it. Source: J. K. Salmon et al., *Parallel
random numbers: as easy as 1, 2, 3*, SC 2011.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.graph import Operation, Tensor, get_default_graph
from gradplan.opdef import STATE, apply, op
from gradplan.ops.array import shape_argument
from gradplan.ops.constant import convert_to_tensor, has_tensor, shape_constant
from gradplan.ops.math import add, multiply

__all__ = ["random_normal", "random_uniform", "set_random_seed", "truncated_normal"]


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


def _declare(name: str, kernel: str) -> Any:
    def generate(shape: Any, dtype: Any = None, seed: Any = None, seed2: Any = None) -> Any: ...

    declared = op(name, STATE, kernel=kernel, types="I -> @dtype", flops=20)(generate)

    @declared.shape
    def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
        dims, unknown = shape_argument(value(0), in_shapes[0])
        if dims is not None and any(d < 0 for d in dims):
            raise ValueError(f"{list(dims)} has a negative dimension")
        if dims is not None:
            shapes.size(dims)
        return unknown if dims is None else dims

    @declared.lower
    def _(binder: Any, op: Any) -> None:
        binder.emit(op.opdef.kernel, [binder.result(op), binder.random_state(op)], [])

    @declared.gradient
    def _(op: Any, dy: Any) -> Any:
        return None

    return declared


_standard_normal = _declare("RandomStandardNormal", "random_normal")
_truncated_normal = _declare("TruncatedNormal", "truncated_normal")
_random_uniform = _declare("RandomUniform", "random_uniform")


def _draw(
    declared: Any, name: str, shape: Any, dtype: Any, seed: Any, scale: Any, shift: Any
) -> Tensor:
    """``sample * scale + shift`` under the scope ``name``, as TensorFlow 1 lays it out."""
    wanted = dtypes.as_dtype(dtype)
    if wanted not in dtypes.FLOATS:
        raise TypeError(f"{name} gives float32 or float64, not {wanted.name}: cast what it gives")
    graph = get_default_graph()
    with graph.name_scope(name) as scope:
        if not isinstance(shape, Tensor) and not has_tensor(shape):
            shape = shape_constant(shape)
        seed1, seed2 = get_seed(seed)
        attrs = {"dtype": wanted, "seed": seed1, "seed2": seed2}
        sample = apply(declared.opdef, [convert_to_tensor(shape)], attrs)
        scaled = multiply(sample, convert_to_tensor(scale, wanted, "stddev"), name="mul")
        return add(scaled, convert_to_tensor(shift, wanted, "mean"), name=scope)


def random_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normally distributed numbers, new ones in every run.

    Parameters
    ----------
    shape : shape or tensor_like of int32
    mean, stddev : tensor_like, optional
        Default: 0 and 1.
    dtype : DType, optional
        float32 or float64. Default: float32.
    seed : int, optional
        With it, or with :func:`set_random_seed`, every session gives the same sequence.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.random_normal([1000], seed=1)).shape
    (1000,)
    """
    return _draw(_standard_normal, name or "random_normal", shape, dtype, seed, stddev, mean)


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Normally distributed numbers, those beyond two standard deviations drawn again.

    The arguments are those of :func:`random_normal`.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.Session().run(gp.truncated_normal([1000], stddev=0.5, seed=1))
    >>> bool(abs(x).max() <= 1.0)
    True
    """
    return _draw(_truncated_normal, name or "truncated_normal", shape, dtype, seed, stddev, mean)


def random_uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Uniformly distributed numbers in ``[minval, maxval)``, new ones in every run.

    Parameters
    ----------
    shape : shape or tensor_like of int32
    minval, maxval : tensor_like, optional
        Default: 0 and 1.
    dtype : DType, optional
        float32 or float64. Default: float32.
    seed : int, optional
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.Session().run(gp.random_uniform([1000], -1.0, 1.0, seed=1))
    >>> bool(x.min() >= -1.0 and x.max() < 1.0)
    True
    """
    wanted = dtypes.as_dtype(dtype)
    low = convert_to_tensor(minval, wanted)
    high = convert_to_tensor(1 if maxval is None else maxval, wanted)
    return _draw(_random_uniform, name or "random_uniform", shape, wanted, seed, high - low, low)
