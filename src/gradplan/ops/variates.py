"""Uniform and normal random numbers, permutations and crops."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, INTEGERS
from gradplan.graph import Tensor, at_user_line, get_default_graph
from gradplan.opdef import CALL, STATE, op
from gradplan.ops.array import shape, shape_argument, zeros_like
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.math import add, multiply, subtract
from gradplan.ops.streams import (
    drawn,
    drawn_shape,
    shape_tensor,
    stream,
)

__all__ = [
    "random_crop",
    "random_normal",
    "random_shuffle",
    "random_uniform",
    "truncated_normal",
]


def _declare(name: str, kernel: str) -> Any:
    @stream(name, kernel, "I -> @dtype")
    def generate(shape: Any, dtype: Any = None, seed: Any = None, seed2: Any = None) -> Any: ...

    return generate


_standard_normal = _declare("RandomStandardNormal", "random_normal")
_truncated_normal = _declare("TruncatedNormal", "truncated_normal")
_random_uniform = _declare("RandomUniform", "random_uniform")


def _draw(declared: Any, name: str, shape: Any, dtype: Any, seed: Any, **given: Any) -> Tensor:
    """``sample * scale + shift`` under the scope ``name``, as TensorFlow 1 lays it out: by ``mean``
    and ``stddev``, or from ``min`` to ``max``."""
    wanted = dtypes.as_dtype(dtype)
    if wanted not in dtypes.FLOATS:
        raise TypeError(f"{name} gives floats, not {wanted.name}")
    graph = get_default_graph()
    with graph.name_scope(name) as scope:
        dims = shape_tensor(shape)
        shift, scale = [convert_to_tensor(v, wanted, key) for key, v in given.items()]
        sample = drawn(declared, [dims], seed, dtype=wanted)
        scale = subtract(scale, shift, name="sub") if "max" in given else scale
        return add(multiply(sample, scale, name="mul"), shift, name=scope)


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
    name = name or "random_normal"
    return _draw(_standard_normal, name, shape, dtype, seed, mean=mean, stddev=stddev)


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
    name = name or "truncated_normal"
    return _draw(_truncated_normal, name, shape, dtype, seed, mean=mean, stddev=stddev)


@stream("RandomUniformInt", "random_uniform_int", "I T T -> T", T=INTEGERS, fallible=True)
def _random_uniform_int(
    shape: Any,
    minval: Any,
    maxval: Any,
    seed: Any = None,
    seed2: Any = None,
    name: str | None = None,
) -> Any:
    """Integers in ``[minval, maxval)``, all with the same probability."""


@_random_uniform_int.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, (_, low, high) = drawn_shape(attrs, in_shapes, value), in_shapes
    if shapes.merge(low, high) is False:
        raise ValueError(
            f"minval {shapes.text(low)} and maxval {shapes.text(high)} differ in shape"
        )
    for bounds in (low, high):
        if dims is not None and bounds is not None:
            last = dims[len(dims) - len(bounds) :]
            if len(bounds) > len(dims) or shapes.merge(last, bounds) is False:
                raise ValueError(f"bounds {shapes.text(bounds)} do not fit {shapes.text(dims)}")
    return dims


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
        Default: 0, and 1 for floats; integers need a ``maxval``, and scalars.
    dtype : DType, optional
        float32, float64, int32 or int64. Default: float32.
    seed : int, optional
    name : str, optional

    Raises
    ------
    ValueError
        If integers are asked for and there is no ``maxval``.
    InvalidArgumentError
        At run time, if ``minval`` is not less than ``maxval`` for integers.

    Notes
    -----
    Every integer has exactly the same probability: D. Lemire, *Fast random integer generation in an
    interval*, ACM TOMACS 29 (2019).

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.Session().run(gp.random_uniform([1000], -1.0, 1.0, seed=1))
    >>> bool(x.min() >= -1.0 and x.max() < 1.0)
    True
    >>> set(gp.Session().run(gp.random_uniform([1000], 2, 5, gp.int32, seed=1)).tolist())
    {2, 3, 4}
    """
    wanted = dtypes.as_dtype(dtype)
    if wanted.is_integer:
        if maxval is None:
            raise ValueError(at_user_line(f"random_uniform of {wanted.name} needs a maxval"))
        with get_default_graph().name_scope(name or "random_uniform") as scope:
            bounds = [
                convert_to_tensor(v, wanted, n) for v, n in ((minval, "min"), (maxval, "max"))
            ]
            for bound in bounds:
                if bound._shape not in (None, ()):
                    raise ValueError(at_user_line(f"bounds must be scalars, not {bound}"))
            return drawn(_random_uniform_int, [shape_tensor(shape), *bounds], seed, scope)
    given = {"min": minval, "max": 1 if maxval is None else maxval}
    return _draw(_random_uniform, name or "random_uniform", shape, wanted, seed, **given)


# ---- rows and windows ----------------------------------------------------------------------------


@op("RandomShuffle", STATE, kernel="random_shuffle", types="T -> T", T=ALL, flops=0)
def _random_shuffle(
    value: Any, seed: Any = None, seed2: Any = None, name: str | None = None
) -> Any:
    """Rows in random order; see :func:`random_shuffle`."""


_random_shuffle.shape(lambda attrs, in_shapes, value: in_shapes[0])


@_random_shuffle.lower
def _(binder: Any, op: Any) -> None:
    value = binder.contiguous(binder.view(op.inputs[0]))
    binder.emit("random_shuffle", [binder.result(op), binder.random_state(op)], [value])


def random_shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """The rows of ``value``, its parts along the first dimension, in a random order.

    Parameters
    ----------
    value : tensor_like
    seed : int, optional
    name : str, optional

    Notes
    -----
    As in TensorFlow it has no gradient: :func:`gradients` through it raises LookupError.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.Session().run(gp.random_shuffle([[1, 1], [2, 2], [3, 3]], seed=1))
    >>> sorted(x.tolist())
    [[1, 1], [2, 2], [3, 3]]
    """
    return drawn(_random_shuffle, [value], seed, name)


@op("Window", CALL, kernel="window", types="T I I -> T", T=ALL, flops=0, fallible=True)
def _window(value: Any, size: Any, begin: Any, name: str | None = None) -> Any:
    """The part of ``value`` of shape ``size`` from ``begin`` on, which only the run knows."""


@_window.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given = in_shapes[0]
    dims, unknown = shape_argument(value(1), in_shapes[1])
    if dims is None:
        return unknown
    if any(d < 0 for d in dims):
        raise ValueError(f"{list(dims)} has a negative dimension")
    if given is not None:
        if len(given) != len(dims) or any(
            g is not None and d > g for g, d in zip(given, dims, strict=True)
        ):
            raise ValueError(f"value.shape {shapes.text(given)} must be >= size {list(dims)}")
    return dims


@_window.lower
def _(binder: Any, op: Any) -> None:
    views = [binder.contiguous(binder.view(op.inputs[i])) for i in (0, 2)]
    binder.emit("window", [binder.result(op)], views)


@_window.gradient
def _(op: Any, dy: Any) -> Any:
    return _window_grad(dy, shape(op.inputs[0]), op.inputs[2]), None, None


@op("WindowGrad", CALL, kernel="window_grad", types="T I I -> T", T=ALL, flops=0, fallible=True)
def _window_grad(dy: Any, shape: Any, begin: Any, name: str | None = None) -> Any:
    """``dy`` at ``begin`` in zeros of the given shape: the adjoint of the window."""


@_window_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, unknown = shape_argument(value(1), in_shapes[1])
    return unknown if dims is None else dims


@_window_grad.lower
def _(binder: Any, op: Any) -> None:
    views = [binder.contiguous(binder.view(op.inputs[i])) for i in (0, 2)]
    binder.emit("window_grad", [binder.result(op)], views)


@_window_grad.gradient
def _(op: Any, g: Any) -> Any:
    return _window(g, shape(op.inputs[0]), op.inputs[2]), None, None


def random_crop(value: Any, size: Any, seed: int | None = None, name: str | None = None) -> Tensor:
    """A part of ``value`` of shape ``size``, from a random place; every place is as likely.

    Parameters
    ----------
    value : tensor_like
    size : shape or tensor_like of int32, one size for each dimension of ``value``
    seed : int, optional
    name : str, optional

    Raises
    ------
    ValueError
        If ``size`` is larger than the shape of ``value``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.random_crop([[1, 2], [1, 2]], [1, 2], seed=1))
    array([[1, 2]], dtype=int32)
    """
    value = convert_to_tensor(value, name="value")
    with value.graph.as_default(), value.graph.name_scope(name or "random_crop") as scope:
        size = convert_to_tensor(size, dtypes.int32, "size")
        given = shape(value)
        bounds = [zeros_like(given), given - size + 1]
        begin = drawn(_random_uniform_int, [shape(given), *bounds], seed)
        return _window(value, size, begin, name=scope)
