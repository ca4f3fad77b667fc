"""Counting: bincount and histograms."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import NUMBERS
from gradplan.graph import Tensor
from gradplan.opdef import CALL, apply, graph_of, op
from gradplan.ops.array import broadcast_to, shape
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.gather import LARGE_SKIPPED, emit_fill, emit_scatter, scalar_argument
from gradplan.ops.math import maximum, minimum
from gradplan.ops.reduce import reduce_max

__all__ = ["bincount", "histogram_fixed_width"]


@op("Bincount", CALL, kernel="scatter", types="I I T -> T", T=NUMBERS, fallible=True)
def _bincount(arr: Any, size: Any, weights: Any, name: str | None = None) -> Any:
    """See :func:`bincount`: what is not below ``size`` does not count."""


@_bincount.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    size = scalar_argument(value(1), in_shapes[1], "size")
    if size is not None and size < 0:
        raise ValueError(f"size {size} is negative")
    if shapes.merge(in_shapes[0], in_shapes[2]) is False:
        raise ValueError(
            f"weights {shapes.text(in_shapes[2])} must have the shape of arr "
            f"{shapes.text(in_shapes[0])}"
        )
    return (size,)


@_bincount.lower
def _(binder: Any, op: Any) -> None:
    out, arr = binder.result(op), binder.contiguous(binder.view(op.inputs[0]))
    weights = binder.view(op.inputs[2])
    emit_fill(binder, out, 0)
    emit_scatter(
        binder,
        out.reshaped((1, out.size, 1)),
        arr.reshaped((1, arr.size)),
        weights,
        "add",
        LARGE_SKIPPED,
    )


@_bincount.gradient
def _(op: Any, dy: Any) -> Any:
    return None, None, None


def bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = dtypes.int32,
) -> Tensor:
    """How often each integer occurs: ``result[i] = sum(arr == i)``, or the sum of the weights
    there.

    Parameters
    ----------
    arr : tensor_like of int32 or int64
        Not negative.
    weights : tensor_like, optional
        Of the shape of ``arr``; what each element counts.
    minlength, maxlength : tensor_like of int32 or int64, optional
        The least and the most elements of the result. What is too large does not count.
    dtype : DType, optional
        Of the result, if there are no weights. Default: int32.

    Returns
    -------
    Tensor
        A vector of one element more than the largest one of ``arr`` says.

    Raises
    ------
    ValueError
        If the shapes differ.
    InvalidArgumentError
        At run time, if an element is negative.

    Notes
    -----
    No gradient flows through it, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.bincount([1, 3, 1]))
    array([0, 2, 0, 1], dtype=int32)
    """
    graph = graph_of([arr, weights, minlength, maxlength])
    with graph.as_default(), graph.name_scope("bincount"):
        arr = convert_to_tensor(arr)
        size = maximum(cast(reduce_max(arr), dtypes.int64), constant(-1, dtypes.int64)) + 1
        if minlength is not None:
            size = maximum(size, cast(minlength, dtypes.int64))
        if maxlength is not None:
            size = minimum(size, cast(maxlength, dtypes.int64))
        if weights is None:
            weights = broadcast_to(constant(1, dtypes.as_dtype(dtype)), shape(arr))
        return _bincount(arr, size, weights)


@op(
    "HistogramFixedWidth",
    CALL,
    kernel="histogram",
    types="T T I -> @dtype",
    T=NUMBERS,
    flops=lambda attrs, in_shapes: 3 * shapes.size(in_shapes[0]),
    fallible=True,
)
def _histogram(
    values: Any, value_range: Any, nbins: Any, dtype: Any = dtypes.int32, name: str | None = None
) -> Any:
    """See :func:`histogram_fixed_width`."""


@_histogram.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    nbins, limits = scalar_argument(value(2), in_shapes[2], "nbins"), in_shapes[1]
    if nbins is not None and nbins < 1:
        raise ValueError(f"nbins must be positive, not {nbins}")
    if shapes.merge(limits, (2,)) is False:
        raise ValueError(f"value_range must have two elements, not shape {shapes.text(limits)}")
    return (nbins,)


@_histogram.lower
def _(binder: Any, op: Any) -> None:
    values, limits = (binder.contiguous(binder.view(t)) for t in op.inputs[:2])
    flat = values.reshaped((values.size,))
    binder.emit("histogram", [binder.result(op)], [flat, limits])


def histogram_fixed_width(
    values: Any,
    value_range: Any,
    nbins: Any = 100,
    dtype: Any = dtypes.int32,
    name: str | None = None,
) -> Tensor:
    """How many values lie in each of ``nbins`` equal parts of ``value_range``.

    Parameters
    ----------
    values : tensor_like
        What lies outside of the range counts for its first or last part.
    value_range : tensor_like, shape [2]
        Of the type of ``values``; the first element is below the second.
    nbins : tensor_like of int32 or int64, optional
        Default: 100.
    dtype : DType, optional
        int32 or int64. Default: int32.
    name : str, optional

    Raises
    ------
    ValueError
        If ``nbins`` is not positive or ``value_range`` has not two elements.
    InvalidArgumentError
        At run time, if the range is empty, or a value is NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.histogram_fixed_width([-1.0, 0.0, 1.5, 2.0, 15.0], [0.0, 5.0], nbins=5))
    array([2, 1, 1, 0, 1], dtype=int32)
    """
    out = dtypes.as_dtype(dtype)
    if not out.is_integer:
        raise TypeError(f"dtype must be int32 or int64, not {out.name}")
    graph = graph_of([values, value_range, nbins])
    with graph.as_default():
        values = convert_to_tensor(values)
        inputs = [values, value_range, nbins]
        return apply(_histogram.opdef, inputs, {"dtype": out}, name or "histogram_fixed_width")
