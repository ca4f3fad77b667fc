"""Mean and variance together, and half the sum of squares: names of ``gp.nn``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradplan import dtypes
from gradplan.graph import Tensor
from gradplan.names import gradient_called, sums_are_within
from gradplan.opdef import graph_of
from gradplan.ops.array import zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.functions import reciprocal, squared_difference
from gradplan.ops.gather import gather
from gradplan.ops.math import multiply, square, subtract
from gradplan.ops.products import reduce_prod
from gradplan.ops.reduce import axis_argument, reduce_mean, reduce_sum, reduced_axes
from gradplan.ops.sizes import shape

__all__ = ["l2_loss", "moments", "sufficient_statistics", "weighted_moments"]


def l2_loss(t: Any, name: str | None = None) -> Tensor:
    """Half the sum of the squares of all elements.

    Parameters
    ----------
    t : tensor_like of float
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.nn.l2_loss([3.0, 4.0])))
    12.5
    """
    graph = graph_of([t])
    with graph.as_default(), graph.name_scope(name or "L2Loss") as scope:
        t = convert_to_tensor(t, name="t")
        squares = gradient_called(square(t), f"/{scope[:-1]}_grad/mul")
        return multiply(reduce_sum(squares), constant(0.5, t.dtype), name=scope)


def moments(
    x: Any,
    axes: Any,
    shift: Any = None,
    name: str | None = None,
    keep_dims: Any = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor]:
    """Mean and variance along ``axes``.

    Parameters
    ----------
    x : tensor_like of float
        float16 and bfloat16 are computed as float32.
    axes : int, list of int or None
        None takes all dimensions.
    shift : optional
        Accepted as in TensorFlow 1; it changes nothing.
    name : str, optional
    keep_dims, keepdims : bool, optional
        Keep the reduced dimensions as size 1. Default: False.

    Returns
    -------
    mean, variance : Tensor
        The variance is the mean of the squares of ``x - mean``, without Bessel's correction.

    Raises
    ------
    ValueError
        If an axis is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> mean, variance = gp.nn.moments([[1.0, 3.0], [2.0, 6.0]], axes=[1])
    >>> gp.Session().run([mean, variance])
    [array([2., 4.], dtype=float32), array([1., 4.], dtype=float32)]
    """
    keep = bool(keep_dims if keepdims is None else keepdims)
    along = axis_argument(axes)
    graph = graph_of([x])
    with graph.as_default(), graph.name_scope(name or "moments") as scope:
        sums_are_within(graph, scope)  # TensorFlow takes the mean there for a constant
        x = convert_to_tensor(x, name="x")
        given = x.dtype
        x = cast(x, dtypes.float32) if given in dtypes.STORED else x
        mean = reduce_mean(x, along, keepdims=True, name="mean")
        squares, name = squared_difference(x, mean), "variance" if keep else "Squeeze_1"
        variance = reduce_mean(squares, along, keepdims=keep, name=name)
        mean = mean if keep else reduce_sum(mean, along, name="Squeeze")
        return cast(mean, given), cast(variance, given)


def sufficient_statistics(
    x: Any,
    axes: Any,
    shift: Any = None,
    keep_dims: Any = None,
    name: str | None = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
    """Count, sum and sum of squares along ``axes``, of which mean and variance can be made.

    Parameters
    ----------
    x : tensor_like
    axes : list of int
    shift : tensor_like, optional
        Subtracted from ``x`` first; best is what is near the mean. Default: nothing.
    keep_dims, keepdims : bool, optional
        Keep the reduced dimensions as size 1. Default: False.
    name : str, optional

    Returns
    -------
    count, sum, squares, shift : Tensor
        ``count`` is a scalar of the type of ``x``; ``shift`` None if none was given.

    Examples
    --------
    >>> import gradplan as gp
    >>> count, total, squares, _ = gp.nn.sufficient_statistics([[1.0, 3.0], [2.0, 6.0]], [1])
    >>> gp.Session().run([count, total, squares])
    [np.float32(2.0), array([4., 8.], dtype=float32), array([10., 40.], dtype=float32)]
    """
    keep = bool(keep_dims if keepdims is None else keepdims)
    along = axis_argument(axes)
    graph = graph_of([x, shift])
    with graph.as_default(), graph.name_scope(name or "sufficient_statistics"):
        x = convert_to_tensor(x, name="x")
        dims = [None]
        if x._shape is not None:
            dims = [x._shape[a] for a in reduced_axes(along, len(x._shape))]
        if None not in dims:
            count = constant(math.prod(dims), x.dtype)  # type: ignore[arg-type]
        else:
            sizes = gather(shape(x), constant(np.array(along, np.int32)))
            count = cast(reduce_prod(sizes), x.dtype, name="count")
        moved, squares = x, square(x)
        if shift is not None:
            shift = convert_to_tensor(shift, x.dtype, "shift")
            moved, squares = subtract(x, shift), squared_difference(x, shift)
        total = reduce_sum(moved, along, keepdims=keep, name="mean_ss")
        return count, total, reduce_sum(squares, along, keepdims=keep, name="var_ss"), shift


def weighted_moments(
    x: Any,
    axes: Any,
    frequency_weights: Any,
    name: str | None = None,
    keep_dims: Any = None,
    keepdims: Any = None,
) -> tuple[Tensor, Tensor]:
    """Mean and variance along ``axes``, each element counted as often as its weight says.

    Parameters
    ----------
    x : tensor_like of float
    axes : int, list of int or None
        None takes all dimensions.
    frequency_weights : tensor_like
        Of the type of ``x``, in a shape that broadcasts with it.
    name : str, optional
    keep_dims, keepdims : bool, optional
        Keep the reduced dimensions as size 1. Default: False.

    Returns
    -------
    mean, variance : Tensor

    Examples
    --------
    >>> import gradplan as gp
    >>> mean, variance = gp.nn.weighted_moments([1.0, 2.0], [0], [3.0, 1.0])
    >>> gp.Session().run([mean, variance])
    [np.float32(1.25), np.float32(0.1875)]
    """
    keep = bool(keep_dims if keepdims is None else keepdims)
    along = axis_argument(axes)
    graph = graph_of([x, frequency_weights])
    with graph.as_default(), graph.name_scope(name or "weighted_moments"):
        x = convert_to_tensor(x, name="x")
        weights = frequency_weights
        if not hasattr(weights, "op"):
            weights = convert_to_tensor(weights, x.dtype, "frequency_weights")
        given = x.dtype
        if given in dtypes.STORED:
            x, weights = cast(x, dtypes.float32), cast(weights, dtypes.float32)
        total = reduce_sum(weights + zeros_like(x), along, keepdims=True, name="sum_of_weights")
        share = reciprocal(total)
        mean = multiply(reduce_sum(weights * x, along, keepdims=True), share)
        squares = weights * squared_difference(x, mean)
        variance = multiply(reduce_sum(squares, along, keepdims=True), share)
        if not keep:
            mean, variance = [reduce_sum(t, along, name="Squeeze") for t in (mean, variance)]
        return cast(mean, given), cast(variance, given)
