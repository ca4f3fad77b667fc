"""The losses of ``gp.losses``, with weights and in a collection."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes, shapes
from gradplan.graph import GraphKeys, Tensor, at_user_line
from gradplan.opdef import graph_of
from gradplan.ops import softmax
from gradplan.ops.activations import relu
from gradplan.ops.array import ones_like, reshape, shape
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.functions import squared_difference
from gradplan.ops.math import abs, log, maximum, minimum, multiply, square, subtract
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.weighted_loss import (
    Reduction,
    add_loss,
    compute_weighted_loss,
    get_losses,
    get_regularization_loss,
    get_regularization_losses,
    get_total_loss,
    over_or_zero,
    present,
    weights_of,
)

__all__ = [
    "Reduction",
    "absolute_difference",
    "add_loss",
    "compute_weighted_loss",
    "cosine_distance",
    "get_losses",
    "get_regularization_loss",
    "get_regularization_losses",
    "get_total_loss",
    "hinge_loss",
    "huber_loss",
    "log_loss",
    "mean_pairwise_squared_error",
    "mean_squared_error",
    "sigmoid_cross_entropy",
    "softmax_cross_entropy",
    "sparse_softmax_cross_entropy",
]

# ---- losses of numbers ---------------------------------------------------------------------------

_DOC = """

    Parameters
    ----------
    labels : tensor_like
    {inputs} : tensor_like
        Of the shape of ``labels``.{own}
    weights : tensor_like, optional
        A scalar, or of the rank of the losses with sizes of 1 or theirs. Default: 1.
    {rest}scope : str, optional
    loss_collection : optional
        Default: ``gp.GraphKeys.LOSSES``; None for none.
    reduction : str, optional
        See :class:`Reduction`. Default: ``SUM_BY_NONZERO_WEIGHTS``.

    Returns
    -------
    Tensor
        See :func:`compute_weighted_loss`; of type float32{kind}.

    Raises
    ------
    ValueError
        If the shapes do not fit, or ``labels`` or ``{inputs}`` is None.
"""


def _given(function: str, **arguments: Any) -> Any:
    for name, value in arguments.items():
        if value is None:
            raise ValueError(at_user_line(f"{function}: {name} must not be None."))
    return graph_of(list(arguments.values()))


def _float(x: Any, name: str) -> Tensor:
    x = convert_to_tensor(x, name=name)
    return x if x.dtype is dtypes.float32 else cast(x, dtypes.float32)


def _pair(function: str, predictions: Any, labels: Any) -> tuple[Tensor, Tensor]:
    """Both as float32, of one shape."""
    a, b = _float(predictions, "predictions"), _float(labels, "labels")
    _same(function, a, b)
    return a, b


def _same(function: str, a: Tensor, b: Tensor) -> None:
    both = shapes.merge(a._shape, b._shape)
    if both is False:
        raise ValueError(
            at_user_line(
                f"{function}: labels {shapes.text(b._shape)} must have the shape of the "
                f"predictions or logits, {shapes.text(a._shape)}"
            )
        )


def absolute_difference(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """``abs(predictions - labels)``.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.losses.absolute_difference([1.0, 2.0], [2.0, 4.0])))
    1.5
    """
    graph = _given("absolute_difference", labels=labels, predictions=predictions)
    with graph.as_default(), graph.name_scope(scope or "absolute_difference") as name:
        x, y = _pair("absolute_difference", predictions, labels)
        return compute_weighted_loss(abs(subtract(x, y)), weights, name, loss_collection, reduction)


def mean_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """``(predictions - labels)^2``.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.losses.mean_squared_error([1.0, 2.0], [2.0, 4.0])))
    2.5
    """
    graph = _given("mean_squared_error", labels=labels, predictions=predictions)
    with graph.as_default(), graph.name_scope(scope or "mean_squared_error") as name:
        x, y = _pair("mean_squared_error", predictions, labels)
        return compute_weighted_loss(
            squared_difference(x, y), weights, name, loss_collection, reduction
        )


def huber_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    delta: float = 1.0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """``d^2 / 2`` for a difference d up to ``delta``, ``delta d - delta^2 / 2`` beyond.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.losses.huber_loss([0.0, 0.0], [1.0, 3.0])))
    1.5
    """
    graph = _given("huber_loss", labels=labels, predictions=predictions)
    with graph.as_default(), graph.name_scope(scope or "huber_loss") as name:
        x, y = _pair("huber_loss", predictions, labels)
        error = abs(subtract(x, y))
        small = minimum(error, constant(delta, dtypes.float32))
        linear = subtract(error, small)
        losses = constant(0.5, dtypes.float32) * multiply(small, small)
        losses = losses + constant(delta, dtypes.float32) * linear
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def log_loss(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    epsilon: float = 1e-7,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """``-z log(p + epsilon) - (1 - z) log(1 - p + epsilon)`` for labels z and predictions p.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> f"{float(gp.Session().run(gp.losses.log_loss([1.0], [0.5]))):.4f}"
    '0.6931'
    """
    graph = _given("log_loss", labels=labels, predictions=predictions)
    with graph.as_default(), graph.name_scope(scope or "log_loss") as name:
        p, z = _pair("log_loss", predictions, labels)
        one, more = constant(1.0), constant(epsilon, dtypes.float32)
        yes = multiply(z, log(p + more))
        no = multiply(one - z, log(one - p + more))
        return compute_weighted_loss(-yes - no, weights, name, loss_collection, reduction)


def hinge_loss(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """``max(0, 1 - s logits)``, where s is -1 for a label of 0 and 1 for a label of 1.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.losses.hinge_loss([0.0, 1.0], [0.5, 2.0])))
    0.75
    """
    graph = _given("hinge_loss", labels=labels, logits=logits)
    with graph.as_default(), graph.name_scope(scope or "hinge_loss") as name:
        x, z = _pair("hinge_loss", logits, labels)
        signs = subtract(constant(2.0) * z, ones_like(z))
        losses = relu(subtract(ones_like(x), multiply(signs, x)))
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def cosine_distance(
    labels: Any,
    predictions: Any,
    axis: Any = None,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
    dim: Any = None,
) -> Tensor:
    """``1 - sum(labels * predictions)`` along ``axis``, for vectors of length 1 already.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.losses.cosine_distance([[0.0, 1.0]], [[1.0, 0.0]], 1)))
    1.0
    """
    axis = dim if axis is None else axis
    if axis is None:
        raise ValueError(at_user_line("cosine_distance: an axis must be given"))
    graph = _given("cosine_distance", labels=labels, predictions=predictions)
    with graph.as_default(), graph.name_scope(scope or "cosine_distance_loss") as name:
        x, y = _pair("cosine_distance", predictions, labels)
        losses = constant(1.0) - reduce_sum(multiply(x, y), axis, keepdims=True)
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def mean_pairwise_squared_error(
    labels: Any,
    predictions: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
) -> Tensor:
    """The mean of ``((p_i - p_j) - (z_i - z_j))^2`` over all pairs of elements of each example.

    Parameters
    ----------
    labels, predictions : tensor_like, shape [batch, ...]
        z and p.
    weights : tensor_like, optional
        A scalar, or one for each example: of shape [batch], or [batch, 1, ...]. Default: 1.
    scope : str, optional
    loss_collection : optional
        Default: ``gp.GraphKeys.LOSSES``; None for none.

    Returns
    -------
    Tensor of float32
        A scalar: the sum over the examples, which TensorFlow does not divide by their number.

    Raises
    ------
    ValueError
        If the shapes do not fit.

    Notes
    -----
    For n differences d it is ``2 (sum(d^2) / (n - 1) - sum(d)^2 / (n (n - 1)))``.

    Examples
    --------
    >>> import gradplan as gp
    >>> loss = gp.losses.mean_pairwise_squared_error([[0.0, 0.0, 0.0]], [[1.0, 2.0, 3.0]])
    >>> float(gp.Session().run(loss))
    2.0
    """
    function = "mean_pairwise_squared_error"
    graph = _given(function, labels=labels, predictions=predictions)
    with graph.as_default(), graph.name_scope(scope or function):
        x, y = _pair(function, predictions, labels)
        d = subtract(x, y)
        if d._shape == ():
            raise ValueError(at_user_line(f"{function} needs examples, not scalars"))
        if d._shape is None:
            d = reshape(d, [shape(d)[0], -1])
        rest = range(1, len(d._shape))  # type: ignore[arg-type]
        w = convert_to_tensor(weights, name="weights")
        w = w if w.dtype is dtypes.float32 else cast(w, dtypes.float32)
        if w._shape != ():
            w = reshape(w, [-1, *[1 for _ in rest]])

        def total(x: Tensor) -> Tensor:  # [batch, 1, ...]
            return reduce_sum(x, list(rest), keepdims=True)

        w = weights_of(w, total(d))
        n = total(present(w, d))
        pairs = maximum(n - constant(1.0), constant(0.0))
        squares = constant(2.0) * over_or_zero(total(square(d)), pairs)
        sums = constant(2.0) * over_or_zero(square(total(d)), n * pairs)
        loss = reduce_sum(multiply(squares - sums, w), name="value")
        add_loss(loss, loss_collection)
        return loss


# ---- cross-entropies -----------------------------------------------------------------------------


def sigmoid_cross_entropy(
    multi_class_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """Cross-entropy of independent yes-or-no labels.

    Parameters
    ----------
    multi_class_labels : tensor_like, shape [batch, classes]
        Each in {0, 1}.
    logits : tensor_like of float, shape [batch, classes]
    label_smoothing : float, optional
        Labels z become ``z (1 - label_smoothing) + label_smoothing / 2``. Default: 0.
    weights, scope, loss_collection, reduction : optional
        As of :func:`compute_weighted_loss`.

    Raises
    ------
    ValueError
        If the shapes do not fit or an argument is None.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{float(gp.Session().run(gp.losses.sigmoid_cross_entropy([[1, 0]], [[0.0, 0.0]]))):.4f}"
    '0.6931'
    """
    function = "sigmoid_cross_entropy"
    graph = _given(function, multi_class_labels=multi_class_labels, logits=logits)
    with graph.as_default(), graph.name_scope(scope or "sigmoid_cross_entropy_loss") as name:
        x = convert_to_tensor(logits, name="logits")
        z = cast(multi_class_labels, x.dtype)
        _same(function, x, z)
        if label_smoothing > 0:
            z = z * constant(1 - label_smoothing, x.dtype) + constant(
                0.5 * label_smoothing, x.dtype
            )
        losses = softmax.sigmoid_cross_entropy_with_logits(labels=z, logits=x, name="xentropy")
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def softmax_cross_entropy(
    onehot_labels: Any,
    logits: Any,
    weights: Any = 1.0,
    label_smoothing: float = 0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """Cross-entropy of labels that are probabilities of classes.

    Parameters
    ----------
    onehot_labels : tensor_like, shape [batch, classes]
        No gradient flows into them.
    logits : tensor_like of float, shape [batch, classes]
    label_smoothing : float, optional
        Labels z become ``z (1 - label_smoothing) + label_smoothing / classes``. Default: 0.
    weights, scope, loss_collection, reduction : optional
        As of :func:`compute_weighted_loss`; the losses have shape [batch].

    Raises
    ------
    ValueError
        If the shapes do not fit or an argument is None.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{float(gp.Session().run(gp.losses.softmax_cross_entropy([[1, 0]], [[0.0, 0.0]]))):.4f}"
    '0.6931'
    """
    function = "softmax_cross_entropy"
    graph = _given(function, onehot_labels=onehot_labels, logits=logits)
    with graph.as_default(), graph.name_scope(scope or "softmax_cross_entropy_loss") as name:
        x = convert_to_tensor(logits, name="logits")
        z = cast(onehot_labels, x.dtype)
        _same(function, x, z)
        if label_smoothing > 0:
            classes = cast(shape(z)[-1], x.dtype)
            z = z * constant(1 - label_smoothing, x.dtype)
            z = z + constant(label_smoothing, x.dtype) / classes
        losses = softmax.softmax_cross_entropy_with_logits(labels=z, logits=x, name="xentropy")
        return compute_weighted_loss(losses, weights, name, loss_collection, reduction)


def sparse_softmax_cross_entropy(
    labels: Any,
    logits: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """Cross-entropy of labels that are numbers of classes.

    Parameters
    ----------
    labels : tensor_like of int32 or int64, shape [batch] or [batch, 1]
    logits : tensor_like of float, shape [batch, classes]
    weights : tensor_like, optional
        A scalar, or of shape [batch] or [batch, 1]. Default: 1.
    scope, loss_collection, reduction : optional
        As of :func:`compute_weighted_loss`; the losses have the shape of ``labels``.

    Raises
    ------
    ValueError
        If the shapes do not fit or an argument is None.
    InvalidArgumentError
        At run time, if a label is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{float(gp.Session().run(gp.losses.sparse_softmax_cross_entropy([1], [[0.0, 0.0]]))):.4f}"
    '0.6931'
    """
    graph = _given("sparse_softmax_cross_entropy", labels=labels, logits=logits)
    with graph.as_default(), graph.name_scope(scope or "sparse_softmax_cross_entropy_loss") as name:
        x = convert_to_tensor(logits, name="logits")
        k = convert_to_tensor(labels, name="labels")
        w = convert_to_tensor(weights, x.dtype) if isinstance(weights, (list, tuple)) else weights
        if None not in (k._shape, x._shape) and len(k._shape or ()) == len(x._shape or ()):
            k = _without_last("labels", k)
        if isinstance(w, Tensor) or hasattr(w, "_as_graph_element") or hasattr(w, "ndim"):
            w = convert_to_tensor(w)
            if k._shape is not None and w._shape is not None and len(w._shape) == len(k._shape) + 1:
                w = _without_last("weights", w)
        losses = softmax.sparse_softmax_cross_entropy_with_logits(
            labels=k, logits=x, name="xentropy"
        )
        return compute_weighted_loss(losses, w, name, loss_collection, reduction)


def _without_last(what: str, x: Tensor) -> Tensor:
    """``x`` without its last dimension, which must be 1."""
    dims = x._shape
    assert dims is not None
    if dims[-1] not in (1, None):
        raise ValueError(
            at_user_line(f"the last dimension of the {what} {shapes.text(dims)} must be 1 or go")
        )
    return reshape(x, shape(x)[:-1])


_OWN: dict[Any, str] = {
    huber_loss: "delta : float, optional\n        Default: 1.\n    ",
    log_loss: "epsilon : float, optional\n        Default: 1e-7.\n    ",
}
for _function in (
    absolute_difference,
    mean_squared_error,
    huber_loss,
    log_loss,
    hinge_loss,
    cosine_distance,
):
    assert _function.__doc__ is not None
    _axis = "axis : int\n        Kept with size 1; ``dim`` is its old name."
    _function.__doc__ = _function.__doc__.replace(
        "{doc}",
        _DOC.format(
            inputs="logits" if _function is hinge_loss else "predictions",
            own=f"\n    {_axis}" if _function is cosine_distance else "",
            rest=_OWN.get(_function, ""),
            kind="",
        ),
    )
