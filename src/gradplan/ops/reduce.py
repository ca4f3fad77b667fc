"""Reductions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes, tiling
from gradplan.dtypes import NUMBERS, REALS, SMALL
from gradplan.graph import Tensor, at_user_line
from gradplan.names import named
from gradplan.opdef import REDUCE, VIEW, graph_of, op
from gradplan.ops.array import broadcast_to, expand_dims, identity, shape, stop_gradient
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor, has_tensor, renamed, require_constant
from gradplan.ops.functions import is_finite
from gradplan.ops.logic import equal, greater
from gradplan.ops.math import exp, log
from gradplan.ops.slicing import where

__all__ = [
    "arg_max",
    "arg_min",
    "argmax",
    "argmin",
    "reduce_all",
    "reduce_any",
    "reduce_logsumexp",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_sum",
]


def axis_argument(axis: Any, reduction_indices: Any = None) -> Any:
    """The ``axis`` argument in any of its forms, as None, or a tuple of ints."""
    axis = renamed("reduction_indices", reduction_indices, "axis", axis)
    if axis is None:
        return None
    if has_tensor(axis):
        axis = require_constant(convert_to_tensor(axis), "axis")
    axis = np.asarray(axis)
    if axis.dtype.kind not in "iu" and axis.size:
        raise TypeError(
            at_user_line(f"axis must be an integer or a list of integers, not {axis.tolist()!r}")
        )
    return tuple(int(a) for a in axis.ravel())


def reduction_attrs(
    axis: Any, keepdims: Any, reduction_indices: Any = None, keep_dims: Any = None
) -> dict[str, Any]:
    """The attributes of a reduction, from its arguments and their old names."""
    keep = renamed("keep_dims", keep_dims, "keepdims", keepdims)
    return {"axis": axis_argument(axis, reduction_indices), "keepdims": bool(keep)}


def reserve_axes(x: Any, known: bool) -> None:
    """The names of the axes of a reduction of everything, whose number is ``known`` or not: they
    are an attribute here."""
    graph_of([x]).reserve(*(["Const"] if known else ["Rank", "range"]))


def _knows_axes(x: Any) -> bool:
    """Whether TensorFlow makes a constant of the axes: of a rank that it knows and that is not 0,
    before it has made a tensor of ``x``."""
    element = x._as_graph_element() if hasattr(x, "_as_graph_element") else x
    return isinstance(element, Tensor) and bool(element._shape)


def reduction(
    x: Any, axis: Any, keepdims: Any, reduction_indices: Any, keep_dims: Any
) -> tuple[list[Any], dict[str, Any]]:
    """The input and the attributes of a reduction."""
    attrs = reduction_attrs(axis, keepdims, reduction_indices, keep_dims)
    if attrs["axis"] is None:
        reserve_axes(x, _knows_axes(x))
    return [x], attrs


def reduced_axes(axes: Any, rank: int) -> tuple[int, ...]:
    """The axes as a sorted tuple of non-negative ints; ValueError if one is out of range or
    twice."""
    if axes is None:
        return tuple(range(rank))
    for a in axes:
        if not -rank <= a < rank:
            raise ValueError(f"Invalid reduction dimension {a} for input with {rank} dimensions")
    out = sorted({a % rank for a in axes})
    if len(out) != len(axes):
        raise ValueError(f"axis {list(axes)} names a dimension twice")
    return tuple(out)


def _reduced(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    if s is None:
        return () if attrs["axis"] is None and not attrs["keepdims"] else None
    axes = reduced_axes(attrs["axis"], len(s))
    if attrs["keepdims"]:
        return tuple(1 if i in axes else d for i, d in enumerate(s))
    return tuple(d for i, d in enumerate(s) if i not in axes)


def _input_size(attrs: dict[str, Any], in_shapes: Any) -> int:
    """1 for an element of the input"""
    return shapes.size(in_shapes[0])


def _lower_reduction(binder: Any, op: Any) -> None:
    """One kernel call; the reduced dimensions are those that are 1 in the output's view.

    Small integers are reduced as int32, of which the low bits are the sum or product that wraps.
    """
    x = binder.view(op.inputs[0])
    axes = reduced_axes(op.attrs["axis"], len(x.dims))
    out = binder.result(op)
    kept = out.reshaped(tuple(1 if i in axes else d for i, d in enumerate(x.dims)))
    if x.dtype not in SMALL:
        binder.emit(op.opdef.kernel, [kept], [x])
        return
    wide = binder.scratch(op.name, dtypes.int32, x.dims)
    total = binder.scratch(op.name, dtypes.int32, kept.dims)
    binder.tile([wide], [x], tiling.single(f"cast.{x.dtype.short}.i32", 1))
    binder.emit(op.opdef.kernel, [total], [wide])
    if op.opdef.kernel in ("reduce_max", "reduce_min") and not x.size:
        limit = x.dtype.min if op.opdef.kernel == "reduce_max" else x.dtype.max
        nothing = binder.constant(op.name, dtypes.int32, np.array(limit, np.int32))
        binder.copy(total, nothing.broadcast(total.dims))
    binder.tile([kept], [total], tiling.single(f"cast.i32.{x.dtype.short}", 1))


def restored(op: Any, value: Any) -> Any:
    """``value``, of the reduced shape, with the reduced dimensions back as 1."""
    axes = op.attrs["axis"]
    if axes is None or op.attrs["keepdims"]:
        return value
    x = op.inputs[0]
    if x._shape is not None:
        axes = reduced_axes(axes, len(x._shape))
    return expand_dims(value, axes)


def declare_reduction(name: str, kernel: str, T: Any) -> Any:
    """Declare ``name`` as a reduction; decorates a function (input_tensor, axis, keepdims)."""

    def decorate(function: Any) -> Any:
        declared = op(name, REDUCE, kernel=kernel, T=T, flops=_input_size)(function)
        declared.shape(_reduced)
        declared.lower(_lower_reduction)
        return declared

    return decorate


REDUCTION_DOC = """

    Parameters
    ----------
    input_tensor : tensor_like
    axis : int, list of int or None
        Dimensions to reduce; negative ones count from the end. None, the default, reduces all.
    keepdims : bool, optional
        Keep the reduced dimensions as size 1. Default: False.
    name : str, optional
    reduction_indices, keep_dims : optional
        Old names of ``axis`` and ``keepdims``.

    Returns
    -------
    Tensor
        Of the input's type.

    Raises
    ------
    ValueError
        If an axis is out of range.
"""


@declare_reduction("Sum", "reduce_sum", REALS)
def reduce_sum(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Any:
    """Sum of the elements along ``axis``.{doc}
    Notes
    -----
    Floats are added in blocks, so that the error grows like the logarithm of the length (N. J.
    Higham,
    *Accuracy and Stability of Numerical Algorithms*, 2002, chapter 4).

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_sum([[1.0, 2.0], [3.0, 4.0]], axis=0))
    array([4., 6.], dtype=float32)
    """
    return reduction(input_tensor, axis, keepdims, reduction_indices, keep_dims)


@reduce_sum.gradient
@named("Tile")
def _(op: Any, dy: Any) -> Any:
    return broadcast_to(restored(op, dy), shape(op.inputs[0]))


@declare_reduction("Mean", "reduce_mean", REALS)
def reduce_mean(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Any:
    """Mean of the elements along ``axis``; of no elements, NaN.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.reduce_mean([[1.0, 2.0], [3.0, 4.0]])))
    2.5
    """
    return reduction(input_tensor, axis, keepdims, reduction_indices, keep_dims)


@reduce_mean.gradient
@named("truediv")
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    share = dy * _mean_weight(x, axis=op.attrs["axis"])
    return broadcast_to(restored(op, share), shape(x))


@op("MeanWeight", VIEW, types="T -> T", T=NUMBERS)
def _mean_weight(x: Any, axis: Any = None, name: str | None = None) -> Any:
    """``1 / n`` for a mean of n elements along ``axis``: known as soon as the shape of x is."""


@_mean_weight.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return ()


@_mean_weight.static
def _(attrs: dict[str, Any], in_shapes: Any) -> Any:
    (s,) = in_shapes
    if s is None:
        return None
    sizes = [s[i] for i in reduced_axes(attrs["axis"], len(s))]
    return None if None in sizes else np.float64(1.0) / max(1, shapes.size(sizes))


@_mean_weight.gradient
def _(op: Any, dy: Any) -> Any:
    return None


@declare_reduction("Max", "reduce_max", REALS)
def reduce_max(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Any:
    """The largest element along ``axis``; NaN if there is one; of no elements, -inf.{doc}
    Notes
    -----
    The gradient is shared equally among equal maxima, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_max([[1.0, 2.0], [4.0, 3.0]], axis=1))
    array([2., 4.], dtype=float32)
    """
    return reduction(input_tensor, axis, keepdims, reduction_indices, keep_dims)


@declare_reduction("Min", "reduce_min", REALS)
def reduce_min(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Any:
    """The smallest element along ``axis``; NaN if there is one; of no elements, inf.{doc}
    Notes
    -----
    The gradient is shared equally among equal minima, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_min([[1.0, 2.0], [4.0, 3.0]], axis=1))
    array([1., 3.], dtype=float32)
    """
    return reduction(input_tensor, axis, keepdims, reduction_indices, keep_dims)


@reduce_max.gradient
@reduce_min.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    chosen = cast(equal(x, restored(op, op.outputs[0])), x.dtype)
    count = reduce_sum(chosen, op.attrs["axis"], keepdims=op.attrs["keepdims"])
    return chosen * restored(op, dy / count)


def reduce_all(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Tensor:
    """Whether all bools along ``axis`` are true; of none, true.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_all([[True, False], [True, True]], axis=1)).tolist()
    [False, True]
    """
    along = reduction_attrs(axis, keepdims, reduction_indices, keep_dims)
    return _of_bools(reduce_min, "All", input_tensor, along, name)


def reduce_any(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Tensor:
    """Whether any bool along ``axis`` is true; of none, false.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_any([[True, False], [False, False]], axis=1)).tolist()
    [True, False]
    """
    along = reduction_attrs(axis, keepdims, reduction_indices, keep_dims)
    return _of_bools(reduce_max, "Any", input_tensor, along, name)


def _of_bools(
    reduction: Any, default: str, x: Any, along: dict[str, Any], name: str | None
) -> Tensor:
    """The reduction of 0 and 1; of no elements it gives the least or the largest int32."""
    if along["axis"] is None:
        reserve_axes(x, _knows_axes(x))
    graph = graph_of([x])
    with graph.as_default(), graph.name_scope(name or default) as scope:
        x = convert_to_tensor(x)
        if x.dtype is not dtypes.bool:
            raise TypeError(
                at_user_line(f"{default}: input_tensor must be bool, but is {x.dtype.name}")
            )
        return greater(reduction(cast(x, dtypes.int32), **along), constant(0), name=scope)


def reduce_logsumexp(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Tensor:
    """``log(sum(exp(x)))`` along ``axis``, without overflow; of no elements, -inf.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.reduce_logsumexp([1000.0, 1000.0])):.3f}"
    '1000.693'
    """
    axes, keep = reduction_attrs(axis, keepdims, reduction_indices, keep_dims).values()
    graph = graph_of([input_tensor])
    with graph.as_default(), graph.name_scope(name or "ReduceLogSumExp") as scope:
        x = convert_to_tensor(input_tensor)
        largest = stop_gradient(reduce_max(x, axes, keepdims=True))
        zero = constant(0, x.dtype)
        shift = where(is_finite(largest), largest, zero)  # inf - inf is no number
        out = log(reduce_sum(exp(x - shift), axes, keepdims=True)) + shift
        # the sum of what is one element along the axes: it only drops them
        return identity(out, name=scope) if keep else reduce_sum(out, axes, name=scope)


for _function in (
    reduce_sum,
    reduce_mean,
    reduce_max,
    reduce_min,
    reduce_all,
    reduce_any,
    reduce_logsumexp,
):
    _function.__doc__ = (_function.__doc__ or "").replace("{doc}", REDUCTION_DOC)


@op("ArgMax", REDUCE, kernel="argmax", types="T -> @output_type", T=NUMBERS, flops=_input_size)
def argmax(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = dtypes.int64,
) -> Any:
    """Index of the largest element along ``axis``; the first of equals, the first NaN if any.

    Parameters
    ----------
    input : tensor_like
    axis : int, optional
        Default: 0, as in TensorFlow 1.
    name : str, optional
    dimension : int, optional
        Old name of ``axis``.
    output_type : DType, optional
        int32 or int64. Default: int64.

    Returns
    -------
    Tensor
        Of the input's shape without ``axis``.

    Raises
    ------
    ValueError
        If ``axis`` is out of range, or that dimension is empty.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.argmax([[1.0, 5.0], [4.0, 3.0]], 1))
    array([1, 0])
    """
    axes = axis_argument(renamed("dimension", dimension, "axis", axis)) or (0,)
    if len(axes) != 1:
        raise ValueError(f"argmax takes one axis, not {list(axes)}")
    out = dtypes.as_dtype(output_type)
    if out not in dtypes.INTEGERS:
        raise TypeError(f"output_type must be int32 or int64, not {out.name}")
    return [input], {"axis": axes, "keepdims": False, "output_type": out}


@argmax.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    out = _reduced(attrs, in_shapes, value)
    if out is not None and 0 not in out and in_shapes[0][attrs["axis"][0]] == 0:
        raise ValueError(f"dimension {attrs['axis'][0]} of {shapes.text(in_shapes[0])} is empty")
    return out


argmax.lower(_lower_reduction)


def argmin(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = dtypes.int64,
) -> Tensor:
    """Index of the smallest element along ``axis``; parameters and errors as :func:`argmax`.

    The first of equals, the first NaN if any.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.argmin([[1.0, 5.0], [4.0, 3.0]], 1))
    array([0, 1])
    """
    graph = graph_of([input])
    with graph.as_default(), graph.name_scope(name or "ArgMin") as scope:
        x = convert_to_tensor(input)
        # the order of the integers turned round: -x would wrap for the least of them
        turned = -x if x.dtype.is_floating else constant(-1, x.dtype) - x
        return argmax(turned, axis, scope, dimension, output_type)


def arg_max(
    input: Any, dimension: Any, output_type: Any = dtypes.int64, name: str | None = None
) -> Tensor:
    """TensorFlow's older :func:`argmax`, with its arguments in another order.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.arg_max([[1.0, 5.0], [4.0, 3.0]], 1))
    array([1, 0])
    """
    return argmax(input, dimension, name, output_type=output_type)


def arg_min(
    input: Any, dimension: Any, output_type: Any = dtypes.int64, name: str | None = None
) -> Tensor:
    """TensorFlow's older :func:`argmin`, with its arguments in another order.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.arg_min([[1.0, 5.0], [4.0, 3.0]], 1))
    array([0, 1])
    """
    return argmin(input, dimension, name, output_type=output_type)
