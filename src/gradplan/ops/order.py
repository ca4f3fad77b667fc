"""Sorting and selecting: sort, argsort, top_k and what is made of ranks."""

from __future__ import annotations

from typing import Any, NamedTuple

from gradplan import dtypes, shapes
from gradplan.dtypes import INTEGERS, NUMBERS
from gradplan.graph import Tensor, at_user_line
from gradplan.names import named
from gradplan.opdef import CALL, apply, graph_of, op
from gradplan.ops.array import entering, expand_dims, identity, reshape, shape, transpose
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor, require_constant
from gradplan.ops.functions import is_finite
from gradplan.ops.gather import gather_gradient, one_hot, scalar_argument
from gradplan.ops.logic import less, logical_and
from gradplan.ops.reduce import reduce_all, reduce_max, reduce_sum
from gradplan.ops.slicing import where

__all__ = ["argsort", "invert_permutation", "sort"]

#: A part of a row at most so small is selected; a larger one is had by sorting the row.
_SELECTED = 16
#: Elements from which rows are shared among so many tasks, each with scratch of its own.
_MANY, _TASKS = 16384, 16


class TopK(NamedTuple):
    """The largest elements of every row, and where they stand."""

    values: Tensor
    indices: Tensor


@op("TopKV2", CALL, kernel="top_k", types="T I -> T int32", T=NUMBERS, flops=4)
def _top_k(
    input: Any, k: Any, sorted: bool = True, descending: bool = True, name: str | None = None
) -> Any:
    """See :func:`top_k`; the smallest first if not ``descending``."""


@_top_k.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, k = in_shapes[0], scalar_argument(value(1), in_shapes[1], "k")
    if k is not None and k < 0:
        raise ValueError(f"Need k >= 0, got {k}")
    if given is None:
        return [None, None]
    if not given:
        raise ValueError("input must have at least one dimension")
    if k is not None and given[-1] is not None and k > given[-1]:
        raise ValueError(f"input must have at least k = {k} columns, but is {shapes.text(given)}")
    if given[-1] is not None and given[-1] > 2**30:
        raise ValueError(f"rows of {given[-1]} elements are too long to number by int32")
    return [(*given[:-1], k)] * 2


@_top_k.lower
def _(binder: Any, op: Any) -> None:
    x = binder.contiguous(binder.view(op.inputs[0]))
    rows, n = shapes.size(x.dims[:-1]), x.dims[-1]
    k = binder.shape(op.outputs[0])[-1]
    outs = [
        binder.result(op, i).reshaped((rows, k)) if binder.wanted(op, i) else None for i in (0, 1)
    ]
    tasks = max(1, min(rows, _TASKS)) if x.size >= _MANY else 1
    words = 4 * (k if k * _SELECTED <= n else n)
    scratch = binder.scratch("order", dtypes.int64, (tasks, words))
    attrs = [int(op.attrs["descending"])]
    binder.emit("top_k", [*outs, scratch], [x.reshaped((rows, n))], attrs)


@_top_k.gradient
@named("Reshape_3")
def _(op: Any, dvalues: Any, dindices: Any) -> Any:
    if dvalues is None:
        return None, None
    return gather_gradient(dvalues, op.inputs[0], op.outputs[1]), None


def top_k(input: Any, k: Any = 1, sorted: bool = True, name: str | None = None) -> TopK:
    """The ``k`` largest elements along the last dimension, in descending order.

    Parameters
    ----------
    input : tensor_like
        Of one dimension or more.
    k : tensor_like of int32 or int64, optional
        At most the last dimension of ``input``. Default: 1.
    sorted : bool, optional
        Accepted; they always are.
    name : str, optional

    Returns
    -------
    values : Tensor
    indices : Tensor of int32
        Where the values stand in ``input``; of equals the lower index comes first. NaN counts as
        the largest number.

    Raises
    ------
    ValueError
        If ``k`` is negative, or larger than the last dimension.

    Examples
    --------
    >>> import gradplan as gp
    >>> values, indices = gp.nn.top_k([1.0, 5.0, 3.0, 4.0], 2)
    >>> gp.Session().run([values, indices])
    [array([5., 4.], dtype=float32), array([1, 3], dtype=int32)]
    """
    attrs = {"sorted": bool(sorted), "descending": True}
    return TopK(*apply(_top_k.opdef, [input, k], attrs, name))


def _ordered(x: Tensor, axis: Any, direction: str, which: int, function: str) -> Tensor:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise ValueError(
            at_user_line(f"{function}: direction is ASCENDING or DESCENDING, not {direction!r}")
        )
    axis = int(require_constant(axis, "axis"))
    order = None
    if axis != -1:
        if x._shape is None:
            raise ValueError(at_user_line(f"{function} along axis {axis} needs a known rank: {x}"))
        rank = len(x._shape)
        if not -rank <= axis < rank:
            raise ValueError(
                at_user_line(
                    f"{function}: axis {axis} is out of range for values {shapes.text(x._shape)}"
                )
            )
        order = list(range(rank))
        order[axis], order[-1] = order[-1], order[axis]  # its own inverse
        x = transpose(x, order)
    last = None if not x._shape else x._shape[-1]
    k = shape(x)[-1] if last is None and x._shape != () else last or 0
    attrs = {"sorted": True, "descending": direction == "DESCENDING"}
    out = apply(_top_k.opdef, [x, k], attrs)[which]
    out.set_shape(x._shape)
    out = out if order is None else transpose(out, order)
    # where TensorFlow sorts the numbers with their signs changed, it changes them back
    back = direction == "ASCENDING" and not which
    return identity(out, name="Neg_1") if back else out


def sort(
    values: Any, axis: Any = -1, direction: str = "ASCENDING", name: str | None = None
) -> Tensor:
    """The elements in order along ``axis``.

    Parameters
    ----------
    values : tensor_like
        Of one dimension or more. NaN counts as the largest number.
    axis : int, optional
        Default: the last dimension.
    direction : {"ASCENDING", "DESCENDING"}, optional
    name : str, optional

    Raises
    ------
    ValueError
        If ``axis`` is out of range, or ``direction`` is none.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sort([3, 1, 2], direction="DESCENDING"))
    array([3, 2, 1], dtype=int32)
    """
    return _sorted(values, axis, direction, 0, "sort", name)


def argsort(
    values: Any,
    axis: Any = -1,
    direction: str = "ASCENDING",
    stable: bool = False,
    name: str | None = None,
) -> Tensor:
    """The indices, as int32, that sort ``values`` along ``axis``; equals stay in their order.

    The arguments and errors are those of :func:`sort`; ``stable`` is accepted, it always is.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.argsort([3, 1, 2]))
    array([1, 2, 0], dtype=int32)
    """
    return _sorted(values, axis, direction, 1, "argsort", name)


def _sorted(
    values: Any, axis: Any, direction: str, which: int, function: str, name: str | None
) -> Tensor:
    graph = graph_of([values])
    with graph.as_default(), graph.name_scope(name or function) as scope:
        x = convert_to_tensor(values)
        if which == 0 and direction == "ASCENDING":  # TensorFlow sorts what is negated
            x = entering(x, f"/{scope}Neg_grad/Neg")
        return _ordered(x, axis, direction, which, function)


def in_top_k(predictions: Any, targets: Any, k: Any, name: str | None = None) -> Tensor:
    """Whether the target of each row is among its ``k`` largest predictions; ties count as in.

    Parameters
    ----------
    predictions : tensor_like of float, shape [n, classes]
    targets : tensor_like of int32 or int64, shape [n]
    k : tensor_like of int32 or int64
    name : str, optional

    Returns
    -------
    Tensor of bool, shape [n]
        False for a target that is out of range, and where a prediction is not finite.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.in_top_k([[0.1, 0.7, 0.2], [0.8, 0.1, 0.1]], [2, 0], 2)).tolist()
    [True, True]
    """
    graph = graph_of([predictions, targets, k])
    with graph.as_default(), graph.name_scope(name or "in_top_k"):
        x, targets, k = (convert_to_tensor(v) for v in (predictions, targets, k))
        for t, rank, what in ((x, 2, "predictions"), (targets, 1, "targets"), (k, 0, "k")):
            if t._shape is not None and len(t._shape) != rank:
                raise ValueError(
                    at_user_line(
                        f"in_top_k: {what} must be of rank {rank}, not {shapes.text(t._shape)}"
                    )
                )
        if shapes.merge(targets._shape, x._shape and x._shape[:1]) is False:
            raise ValueError(
                at_user_line(
                    f"in_top_k: targets {shapes.text(targets._shape)} do not fit predictions "
                    f"{shapes.text(x._shape)}"
                )
            )
        targets = reshape(targets, expand_dims(shape(x)[0], 0))  # an error if they differ
        here = one_hot(targets, shape(x)[1], on_value=True, off_value=False)
        lowest = constant(float("-inf"), x.dtype)
        target = reduce_max(where(here, x, lowest), 1)  # not finite if there is none
        more = reduce_sum(cast(x > expand_dims(target, -1), k.dtype), 1)
        finite = logical_and(is_finite(target), reduce_all(is_finite(x), 1))
        out = logical_and(less(more, k), finite, name=name or "InTopKV2")
        out.set_shape([None])
        return out


@op(
    "InvertPermutation",
    CALL,
    kernel="invert_permutation",
    T=INTEGERS,
    flops=0,
    fallible=True,
)
def invert_permutation(x: Any, name: str | None = None) -> Any:
    """The inverse of a permutation: ``result[x[i]] = i``.

    Parameters
    ----------
    x : tensor_like of int32 or int64
        A vector that holds each of ``0 .. len(x) - 1`` once.
    name : str, optional

    Raises
    ------
    ValueError
        If ``x`` is no vector.
    InvalidArgumentError
        At run time, if an element is out of range, or there twice.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.invert_permutation([2, 0, 1]))
    array([1, 2, 0], dtype=int32)
    """


@invert_permutation.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    if in_shapes[0] is not None and len(in_shapes[0]) != 1:
        raise ValueError(f"a permutation is a vector, not of shape {shapes.text(in_shapes[0])}")
    return in_shapes[0] or (None,)
