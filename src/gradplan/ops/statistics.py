"""Norms, variances and counts along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import graph_of
from gradplan.ops.array import entering, reshape
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.functions import squared_difference
from gradplan.ops.logic import less, less_equal, not_equal
from gradplan.ops.math import abs, multiply, pow, sqrt, square
from gradplan.ops.reduce import (
    REDUCTION_DOC,
    reduce_all,
    reduce_max,
    reduce_mean,
    reduce_sum,
    reduction_attrs,
)

__all__ = [
    "count_nonzero",
    "is_non_decreasing",
    "is_strictly_increasing",
    "norm",
    "reduce_euclidean_norm",
    "reduce_std",
    "reduce_variance",
]


def count_nonzero(
    input_tensor: Any = None,
    axis: Any = None,
    keepdims: Any = None,
    dtype: Any = dtypes.int64,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
    input: Any = None,
) -> Tensor:
    """Number of elements along ``axis`` that are not 0, or not False.

    Parameters
    ----------
    input_tensor : tensor_like
    axis : int, list of int or None
        Dimensions to reduce; negative ones count from the end. None, the default, reduces all.
    keepdims : bool, optional
        Keep the reduced dimensions as size 1. Default: False.
    dtype : DType, optional
        Of the result. Default: int64.
    name : str, optional
    reduction_indices, keep_dims, input : optional
        Old names of ``axis``, ``keepdims`` and ``input_tensor``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.count_nonzero([[0, 1, 2], [0, 0, 3]], axis=1))
    array([2, 1])
    """
    given = input if input_tensor is None else input_tensor
    if given is None:
        raise ValueError(at_user_line("count_nonzero needs an input_tensor"))
    attrs = reduction_attrs(axis, keepdims, reduction_indices, keep_dims)
    graph = graph_of([given])
    with graph.as_default(), graph.name_scope(name or "count_nonzero"):
        x = convert_to_tensor(given, name="input_tensor")
        if x.dtype in dtypes.STORED:
            x = cast(x, dtypes.float32)
        other = not_equal(x, constant(False if x.dtype.is_bool else 0, x.dtype))
        return cast(reduce_sum(cast(other, dtypes.int64), **attrs), dtype)


def is_non_decreasing(x: Any, name: str | None = None) -> Tensor:
    """Whether no element, in row-major order, is less than the one before; a scalar bool.

    Examples
    --------
    >>> import gradplan as gp
    >>> bool(gp.Session().run(gp.is_non_decreasing([1, 1, 3])))
    True
    """
    return _monotonic(less_equal, x, name or "is_non_decreasing")


def is_strictly_increasing(x: Any, name: str | None = None) -> Tensor:
    """Whether every element, in row-major order, is more than the one before; a scalar bool.

    Examples
    --------
    >>> import gradplan as gp
    >>> bool(gp.Session().run(gp.is_strictly_increasing([1, 1, 3])))
    False
    """
    return _monotonic(less, x, name or "is_strictly_increasing")


def _monotonic(ordered: Any, x: Any, name: str) -> Tensor:
    graph = graph_of([x])
    with graph.as_default(), graph.name_scope(name):
        flat = reshape(x, [-1])
        return reduce_all(ordered(flat[:-1], flat[1:]))


def reduce_euclidean_norm(
    input_tensor: Any, axis: Any = None, keepdims: Any = False, name: str | None = None
) -> Tensor:
    """``sqrt(sum(x * x))`` along ``axis``; of integers, cut towards zero.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_euclidean_norm([[3.0, 4.0], [6.0, 8.0]], axis=1))
    array([ 5., 10.], dtype=float32)
    """
    attrs = reduction_attrs(axis, keepdims)
    graph = graph_of([input_tensor])
    with graph.as_default(), graph.name_scope(name or "EuclideanNorm") as scope:
        x = convert_to_tensor(input_tensor)
        wide = x if x.dtype.is_floating else cast(x, dtypes.float64)
        squares = square(entering(wide, f"/{scope[:-1]}_grad/truediv_1"))
        out = sqrt(reduce_sum(squares, **attrs), name=scope if wide is x else None)
        return out if wide is x else cast(out, x.dtype, name=scope)


def reduce_variance(
    input_tensor: Any, axis: Any = None, keepdims: Any = False, name: str | None = None
) -> Tensor:
    """Mean of the squares of the differences from the mean along ``axis``.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.reduce_variance([1.0, 2.0, 3.0, 6.0])))
    3.5
    """
    attrs = reduction_attrs(axis, keepdims)
    graph = graph_of([input_tensor])
    with graph.as_default(), graph.name_scope(name or "reduce_variance"):
        x = _float(input_tensor, "reduce_variance")
        mean = reduce_mean(x, attrs["axis"], keepdims=True)
        return reduce_mean(squared_difference(x, mean), **attrs)


def reduce_std(
    input_tensor: Any, axis: Any = None, keepdims: Any = False, name: str | None = None
) -> Tensor:
    """Standard deviation along ``axis``: the root of :func:`reduce_variance`.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.reduce_std([1.0, 3.0])))
    1.0
    """
    graph = graph_of([input_tensor])
    with graph.as_default(), graph.name_scope(name or "reduce_std"):
        x = _float(input_tensor, "reduce_std")
        return sqrt(reduce_variance(x, axis, keepdims))


def _float(given: Any, function: str) -> Tensor:
    x = convert_to_tensor(given, name="input_tensor")
    if not x.dtype.is_floating:
        raise TypeError(at_user_line(f"{function}: the input must be float, but is {x.dtype.name}"))
    return x


for _function in (reduce_euclidean_norm, reduce_variance, reduce_std):
    _function.__doc__ = (_function.__doc__ or "").replace(
        "{doc}",
        REDUCTION_DOC.split("    reduction_indices")[0]
        + REDUCTION_DOC[REDUCTION_DOC.index("\n    Returns") :],
    )


def norm(
    tensor: Any,
    ord: Any = "euclidean",
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    keep_dims: Any = None,
) -> Tensor:
    """Norm of vectors or matrices.

    Parameters
    ----------
    tensor : tensor_like of float
    ord : {"euclidean", "fro"} or float, optional
        Of vectors "euclidean" (or 2), 1, ``np.inf`` (the largest absolute value) or any p above 0:
        ``sum(abs(x)**p)**(1/p)``. Of matrices "euclidean" or "fro" (the root of the sum of the
        squares), 1 (the largest sum of a column) or ``np.inf`` (the largest sum of a row).
        Default: "euclidean".
    axis : int, pair of int or None, optional
        The dimension of the vectors, or the two of the matrices. None, the default, takes the whole
        tensor as one vector.
    keepdims : bool, optional
        Keep the reduced dimensions as size 1. Default: False.
    name : str, optional
    keep_dims : optional
        Old name of ``keepdims``.

    Raises
    ------
    ValueError
        If ``ord`` or ``axis`` is none of these, or an axis is out of range.

    Notes
    -----
    The gradient of the Euclidean norm is not a number at 0, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([[3.0, -4.0], [0.0, 1.0]])
    >>> gp.Session().run([gp.norm(x, axis=1), gp.norm(x, 1, axis=[0, 1])])
    [array([5., 1.], dtype=float32), np.float32(5.0)]
    """
    keep = bool(keep_dims if keepdims is None else keepdims)
    axes = _norm_axes(axis)
    matrix = axes is not None and len(axes) == 2
    _check_ord(ord, matrix)
    graph, last = graph_of([tensor]), None if keep else "Squeeze"
    with graph.as_default(), graph.name_scope(name or "norm"):
        x = convert_to_tensor(tensor)
        if not x.dtype.is_floating:
            raise TypeError(at_user_line(f"norm: the tensor must be float, not {x.dtype.name}"))
        if ord in ("fro", "euclidean", 2):
            squares = multiply(x, x, name="mul")  # as TensorFlow 1, for the gradient's name
            return sqrt(reduce_sum(squares, axes, keepdims=keep), name=last)
        size = abs(x)
        if matrix:
            assert axes is not None
            lines = reduce_sum(size, axes[0 if ord == 1 else 1], keepdims=True)
            return reduce_max(lines, axes, keepdims=keep, name=last)
        if ord == 1:
            return reduce_sum(size, axes, keepdims=keep, name=last)
        if ord == np.inf:
            return reduce_max(size, axes, keepdims=keep, name=last)
        total = reduce_sum(pow(size, constant(ord, x.dtype)), axes, keepdims=keep)
        return pow(total, constant(1.0 / ord, x.dtype), name=last)


def _norm_axes(axis: Any) -> tuple[int, ...] | None:
    if axis is None:
        return None
    whole = (int, np.integer)
    axes = tuple(axis) if isinstance(axis, (list, tuple)) and len(axis) == 2 else (axis,)
    if not all(isinstance(a, whole) for a in axes) or len(axes) == 2 and axes[0] == axes[1]:
        raise ValueError(
            at_user_line(f"norm: axis must be None, an integer or two different ones, not {axis!r}")
        )
    return tuple(int(a) for a in axes)


def _check_ord(ord: Any, matrix: bool) -> None:
    if isinstance(ord, str):
        fits = ord in ("euclidean", "fro") if matrix else ord == "euclidean"
    else:
        fits = ord in (1, np.inf) if matrix else isinstance(ord, (int, float)) and ord > 0
    if not fits:
        known = "'euclidean', 'fro', 1, np.inf" if matrix else "'euclidean' or a number above 0"
        what = "matrices" if matrix else "vectors"
        raise ValueError(at_user_line(f"norm: ord of {what} must be {known}, not {ord!r}"))
