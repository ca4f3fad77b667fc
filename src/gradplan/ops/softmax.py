"""Softmax and the cross-entropies, which are ``gp.nn``'s, and the bias."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes, shapes
from gradplan.graph import Tensor, at_user_line
from gradplan.names import gradient_called, named
from gradplan.opdef import CALL, MAP, graph_of, op
from gradplan.ops import math
from gradplan.ops.array import expand_dims, identity, shape, stop_gradient, sum_to_shape, transpose
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor, renamed
from gradplan.ops.logic import greater_equal
from gradplan.ops.math import exp, log1p, multiply, negative
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.slicing import where

__all__ = [
    "bias_add",
    "log_softmax",
    "sigmoid_cross_entropy_with_logits",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softmax_cross_entropy_with_logits_v2",
    "sparse_softmax_cross_entropy_with_logits",
]


@op("BiasAdd", MAP, kernel="add", T=dtypes.NUMBERS)
def _bias_add(value: Any, bias: Any, name: str | None = None) -> Any:
    """A vector added along the last dimension; see :func:`bias_add`."""


@_bias_add.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, bias = in_shapes
    if bias is not None and len(bias) != 1:
        raise ValueError(f"bias must be a vector, but is {shapes.text(bias)}")
    if given is not None and len(given) < 2:
        raise ValueError(f"value must have at least 2 dimensions, but is {shapes.text(given)}")
    if given is not None and bias is not None and shapes.merge(given[-1:], bias) is False:
        raise ValueError(
            f"bias {shapes.text(bias)} does not fit the last dimension of {shapes.text(given)}"
        )
    return given


@_bias_add.gradient
@named(None, "BiasAddGrad")
def _(op: Any, dy: Any) -> Any:
    return dy, sum_to_shape(dy, shape(op.inputs[1]))


@_bias_add.batch
def _(op: Any, b: Any) -> Any:
    return math.add(b.full(0), b.aligned(1, b.rank(op.inputs[0])))


def bias_add(
    value: Any, bias: Any, data_format: str | None = None, name: str | None = None
) -> Tensor:
    """``value + bias``, where ``bias`` is a vector along the dimension of the channels: the last
    of ``value``, or the second.

    Parameters
    ----------
    value : tensor_like, shape [..., n]
        Of two dimensions or more.
    bias : tensor_like, shape [n]
    data_format : {"NHWC", "NCHW"}, optional
        With "NCHW" (or another that begins with "NC") ``value`` has shape [batch, n, ...].
    name : str, optional

    Raises
    ------
    ValueError
        If ``bias`` is no vector or its length differs, ``data_format`` is another, or the channels
        come second in a tensor of unknown rank.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.bias_add([[1.0, 2.0]], [10.0, 20.0]))
    array([[11., 22.]], dtype=float32)
    """
    if data_format in (None, "", "NHWC", "NWC", "NDHWC"):
        return _bias_add(value, bias, name=name)  # type: ignore[no-any-return]
    if data_format not in ("NCHW", "NCW", "NCDHW"):
        raise ValueError(at_user_line(f"bias_add knows no data_format {data_format!r}"))
    value = convert_to_tensor(value)
    if value._shape is None:
        raise ValueError(at_user_line(f"bias_add with channels second needs a known rank: {value}"))
    rank = len(value._shape)
    if rank < 2:
        raise ValueError(
            at_user_line(f"bias_add: value must have at least 2 dimensions, but is {value}")
        )
    graph = value.graph
    with graph.as_default(), graph.name_scope(name or "BiasAdd") as scope:
        added = _bias_add(transpose(value, [0, *range(2, rank), 1]), bias)
        gradient_called(added, None, f"/{scope[:-1]}_grad/BiasAddGrad")
        return transpose(added, [0, rank - 1, *range(1, rank - 1)], name=scope)


# ---- softmax -------------------------------------------------------------------------------------


def _at_least_vector(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    if in_shapes[0] == ():
        raise ValueError("softmax needs at least one dimension")
    return in_shapes[0]


def _rows(view: Any) -> Any:
    """A contiguous view as a matrix whose rows are its last dimension."""
    return view.reshaped((shapes.size(view.dims[:-1]), view.dims[-1]))


def _lower_rows(binder: Any, op: Any) -> None:
    x = binder.contiguous(binder.view(op.inputs[0]))
    binder.emit(op.opdef.kernel, [_rows(binder.result(op))], [_rows(x)])


@op("Softmax", CALL, kernel="softmax", flops=20)
def _softmax(logits: Any, name: str | None = None) -> Any:
    """Softmax along the last dimension; see :func:`softmax`."""


@op("LogSoftmax", CALL, kernel="log_softmax", flops=20)
def _log_softmax(logits: Any, name: str | None = None) -> Any:
    """Logarithm of the softmax along the last dimension; see :func:`log_softmax`."""


for _declared in (_softmax, _log_softmax):
    _declared.shape(_at_least_vector)
    _declared.lower(_lower_rows)
    _declared.batch(lambda op, b: b.apply())


@_softmax.gradient
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return (dy - reduce_sum(dy * y, -1, keepdims=True)) * y


@_log_softmax.gradient
def _(op: Any, dy: Any) -> Any:
    return dy - reduce_sum(dy, -1, keepdims=True) * exp(op.outputs[0])


def _along(axis: Any, dim: Any, logits: Any, function: Any, name: str | None) -> Tensor:
    """``function`` of the last dimension, applied along another one."""
    axis = renamed("dim", dim, "axis", axis)
    logits = convert_to_tensor(logits)
    if axis is None or axis == -1:
        return function(logits, name=name)
    if logits._shape is None:
        raise ValueError(at_user_line(f"softmax along axis {axis} needs a known rank: {logits}"))
    rank = len(logits._shape)
    if not -rank <= axis < rank:
        raise ValueError(at_user_line(f"softmax: axis {axis} is out of range for rank {rank}"))
    if axis == rank - 1:
        return function(logits, name=name)
    # of TensorFlow's transpositions
    graph_of([logits]).reserve(*(2 * ("Rank", "Sub", "range", "range", "concat")))
    order = list(range(rank))
    order[axis], order[-1] = order[-1], order[axis]  # its own inverse
    return transpose(function(transpose(logits, order)), order, name=name or "transpose")


def softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """``exp(logits) / sum(exp(logits))`` along ``axis``, computed without overflow.

    Parameters
    ----------
    logits : tensor_like of float
    axis : int, optional
        Default: the last dimension.
    name : str, optional
    dim : int, optional
        Old name of ``axis``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.softmax([1000.0, 1000.0]))
    array([0.5, 0.5], dtype=float32)
    """
    return _along(axis, dim, logits, _softmax, name)


def log_softmax(logits: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """``logits - log(sum(exp(logits)))`` along ``axis``; the arguments are those of
    :func:`softmax`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.log_softmax([0.0, 0.0]))
    array([-0.6931472, -0.6931472], dtype=float32)
    """
    return _along(axis, dim, logits, _log_softmax, name)


# ---- cross-entropies -----------------------------------------------------------------------------


@op("SoftmaxCrossEntropyWithLogits", CALL, kernel="softmax_xent", types="T T -> T T", flops=25)
def _softmax_xent(features: Any, labels: Any, name: str | None = None) -> Any:
    """The loss of each row and its gradient ``softmax(features) - labels``, in one pass."""


@_softmax_xent.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    both = shapes.merge(*in_shapes)
    if both is False:
        raise ValueError(
            f"logits and labels must have the same shape, but are {shapes.text(in_shapes[0])} and "
            f"{shapes.text(in_shapes[1])}"
        )
    if both == ():
        raise ValueError("logits and labels need at least one dimension")
    return [None, None] if both is None else [both[:-1], both]  # type: ignore[index]


@_softmax_xent.lower
def _(binder: Any, op: Any) -> None:
    logits, labels = (_rows(binder.contiguous(binder.view(t))) for t in op.inputs)
    _emit_xent(binder, op, logits, labels)


def _emit_xent(binder: Any, op: Any, logits: Any, labels: Any) -> None:
    """An output that nobody takes is not computed."""
    rows, classes = logits.dims
    loss, backprop = (binder.result(op, i) if binder.wanted(op, i) else None for i in (0, 1))
    binder.emit(
        op.opdef.kernel,
        [loss and loss.reshaped((rows,)), backprop and backprop.reshaped((rows, classes))],
        [logits, labels],
    )


@_softmax_xent.gradient
def _(op: Any, dloss: Any, dbackprop: Any) -> Any:
    logits = op.inputs[0]
    log_p = _log_softmax(logits)
    dx, dlabels = None, None
    if dloss is not None:
        dx = expand_dims(dloss, -1) * op.outputs[1]
        dlabels = -expand_dims(dloss, -1) * log_p
    if dbackprop is not None:
        more = _through_softmax(exp(log_p), dbackprop)
        dx = more if dx is None else dx + more
        dlabels = -dbackprop if dlabels is None else dlabels - dbackprop
    return dx, dlabels


def _batch_of_rows(op: Any, b: Any) -> Any:
    return b.apply([b.full(0), b.full(1)])


_softmax_xent.batch(_batch_of_rows)


def _through_softmax(p: Tensor, g: Tensor) -> Tensor:
    """The Jacobian of the softmax, ``diag(p) - p p'``, times g, row by row."""
    return (g - reduce_sum(g * p, -1, keepdims=True)) * p


@op(
    "SparseSoftmaxCrossEntropyWithLogits",
    CALL,
    kernel="sparse_softmax_xent",
    types="T I -> T T",
    flops=25,
    fallible=True,
)
def _sparse_softmax_xent(features: Any, labels: Any, name: str | None = None) -> Any:
    """The loss of each row and its gradient, in one pass, from the number of the right class."""


@_sparse_softmax_xent.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    logits, labels = in_shapes
    if logits is None:
        return [labels, None]
    if logits == ():
        raise ValueError("logits need at least one dimension")
    rows = shapes.merge(logits[:-1], labels)
    if rows is False:
        raise ValueError(
            "labels must have the shape of logits without its last dimension: "
            f"{shapes.text(labels)} does not fit {shapes.text(logits)}"
        )
    return [rows, rows + logits[-1:]]  # type: ignore[operator]


@_sparse_softmax_xent.lower
def _(binder: Any, op: Any) -> None:
    logits, labels = (binder.contiguous(binder.view(t)) for t in op.inputs)
    logits = _rows(logits)
    _emit_xent(binder, op, logits, labels.reshaped(logits.dims[:1]))


_sparse_softmax_xent.batch(_batch_of_rows)


@_sparse_softmax_xent.gradient
def _(op: Any, dloss: Any, dbackprop: Any) -> Any:
    dx = None
    if dloss is not None:
        dx = expand_dims(dloss, -1) * op.outputs[1]
    if dbackprop is not None:
        more = _through_softmax(_softmax(op.inputs[0]), dbackprop)
        dx = more if dx is None else dx + more
    return dx, None


def _named(function: str, sentinel: Any, labels: Any, logits: Any) -> None:
    if sentinel is not None or labels is None or logits is None:
        raise ValueError(
            f"Only call `{function}` with named arguments (labels=..., logits=...): their order "
            "has been a source of errors"
        )


def softmax_cross_entropy_with_logits_v2(
    _sentinel: Any = None,
    labels: Any = None,
    logits: Any = None,
    axis: Any = None,
    name: str | None = None,
    dim: Any = None,
) -> Tensor:
    """Cross-entropy ``-sum(labels * log(softmax(logits)))`` along ``axis``.

    Parameters
    ----------
    labels : tensor_like of float
        Probabilities, of the shape of ``logits``; the gradient flows into them too.
    logits : tensor_like of float
    axis : int, optional
        The dimension of the classes. Default: the last.
    name : str, optional
    dim : int, optional
        Old name of ``axis``.

    Returns
    -------
    Tensor
        Of the shape of ``logits`` without ``axis``.

    Raises
    ------
    ValueError
        If called with positional arguments, or shapes differ.

    Examples
    --------
    >>> import gradplan as gp
    >>> loss = gp.nn.softmax_cross_entropy_with_logits_v2(labels=[[0.0, 1.0]], logits=[[0.0, 0.0]])
    >>> gp.Session().run(loss)
    array([0.6931472], dtype=float32)
    """
    _named("softmax_cross_entropy_with_logits_v2", _sentinel, labels, logits)
    axis = renamed("dim", dim, "axis", axis)
    logits = convert_to_tensor(logits)
    labels = convert_to_tensor(labels)
    if labels.dtype is not logits.dtype:
        labels = cast(labels, logits.dtype)
    order: list[int] = []
    if axis is not None and axis != -1:
        if logits._shape is None:
            raise ValueError(f"axis {axis} needs logits of known rank, but has {logits}")
        order = list(range(len(logits._shape)))
        if not -len(order) <= axis < len(order):
            raise ValueError(
                at_user_line(
                    f"softmax_cross_entropy_with_logits: axis {axis} is out of range for logits of "
                    f"shape {shapes.text(logits._shape)}"
                )
            )
        order.append(order.pop(axis))
    graph, name = logits.graph, name or "softmax_cross_entropy_with_logits"
    with graph.as_default(), graph.name_scope(name) as scope:
        if order:
            logits, labels = transpose(logits, order), transpose(labels, order)
        losses = _softmax_xent(logits, labels, name=scope)[0]
        of_each = [f"/{scope}{last}_grad/Reshape" for last in ("Reshape", "Reshape_1")]
        return identity(gradient_called(losses, *of_each), name="Reshape_2")


def softmax_cross_entropy_with_logits(
    _sentinel: Any = None,
    labels: Any = None,
    logits: Any = None,
    dim: Any = -1,
    name: str | None = None,
    axis: Any = None,
) -> Tensor:
    """Cross-entropy as :func:`softmax_cross_entropy_with_logits_v2`, without a gradient to the
    labels.

    Examples
    --------
    >>> import gradplan as gp
    >>> loss = gp.nn.softmax_cross_entropy_with_logits(labels=[[0.0, 1.0]], logits=[[0.0, 0.0]])
    >>> gp.Session().run(loss)
    array([0.6931472], dtype=float32)
    """
    _named("softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    graph = graph_of([labels, logits])
    default = "softmax_cross_entropy_with_logits_sg"
    with graph.as_default(), graph.name_scope(name or default) as scope:
        return softmax_cross_entropy_with_logits_v2(
            labels=stop_gradient(labels, name="labels_stop_gradient"),
            logits=logits,
            axis=dim if axis is None else axis,
            name=scope,
        )


def sparse_softmax_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Cross-entropy ``-log(softmax(logits)[label])`` of each row.

    Parameters
    ----------
    labels : tensor_like of int32 or int64
        Number of the right class, in ``[0, classes)``; the shape of ``logits`` without its last
        dimension.
    logits : tensor_like of float, shape [..., classes]
    name : str, optional

    Returns
    -------
    Tensor
        Of the shape of ``labels``.

    Raises
    ------
    ValueError
        If called with positional arguments, or shapes differ.
    InvalidArgumentError
        At run time, if a label is out of range; it names the first.

    Examples
    --------
    >>> import gradplan as gp
    >>> loss = gp.nn.sparse_softmax_cross_entropy_with_logits(labels=[1], logits=[[0.0, 0.0]])
    >>> gp.Session().run(loss)
    array([0.6931472], dtype=float32)
    """
    _named("sparse_softmax_cross_entropy_with_logits", _sentinel, labels, logits)
    scope = name or "SparseSoftmaxCrossEntropyWithLogits"
    logits = convert_to_tensor(logits)
    with logits.graph.as_default(), logits.graph.name_scope(scope):
        loss = _sparse_softmax_xent(logits, labels, name=scope)[0]
        one_row_each = logits._shape is not None and len(logits._shape) == 2
        return loss if one_row_each else identity(loss, name="Reshape_2")


def sigmoid_cross_entropy_with_logits(
    _sentinel: Any = None, labels: Any = None, logits: Any = None, name: str | None = None
) -> Tensor:
    """Cross-entropy of independent yes-or-no labels: ``max(x, 0) - x * z + log(1 + exp(-abs(x)))``.

    Parameters
    ----------
    labels : tensor_like of float
        Probabilities z, of the type and shape of ``logits``.
    logits : tensor_like of float
        x, before the sigmoid.
    name : str, optional

    Returns
    -------
    Tensor
        Of the same shape.

    Raises
    ------
    ValueError
        If called with positional arguments, or shapes differ.

    Examples
    --------
    >>> import gradplan as gp
    >>> loss = gp.nn.sigmoid_cross_entropy_with_logits(labels=[1.0], logits=[0.0])
    >>> gp.Session().run(loss)
    array([0.6931472], dtype=float32)
    """
    _named("sigmoid_cross_entropy_with_logits", _sentinel, labels, logits)
    x = convert_to_tensor(logits, name="logits")
    z = convert_to_tensor(labels, x.dtype, name="labels")
    if shapes.merge(x._shape, z._shape) is False:
        raise ValueError(
            f"logits and labels must have the same shape ({shapes.text(x._shape)} vs "
            f"{shapes.text(z._shape)})"
        )
    with x.graph.as_default(), x.graph.name_scope(name or "logistic_loss") as scope:
        # Both choices by the same condition, so that the gradient at 0 is that of the sigmoid.
        positive = greater_equal(x, constant(0, x.dtype))
        positive_part = where(positive, x, constant(0, x.dtype))
        minus_abs = where(positive, negative(x), x)
        return math.add(
            positive_part - multiply(x, z, name="mul"), log1p(exp(minus_abs)), name=scope
        )
