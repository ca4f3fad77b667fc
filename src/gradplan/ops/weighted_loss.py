"""How losses are weighted, reduced to one number and gathered in a collection."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import FLOATS
from gradplan.graph import GraphKeys, Tensor, at_user_line, get_default_graph
from gradplan.opdef import VIEW, graph_of, op
from gradplan.ops.array import broadcast_to, ones_like, shape, zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.logic import equal
from gradplan.ops.math import add, multiply
from gradplan.ops.reduce import reduce_mean, reduce_sum
from gradplan.ops.slicing import where

__all__ = [
    "Reduction",
    "add_loss",
    "compute_weighted_loss",
    "get_losses",
    "get_regularization_loss",
    "get_regularization_losses",
    "get_total_loss",
]


class Reduction:
    """How weighted losses become one number.

    Attributes
    ----------
    NONE
        They do not.
    SUM
        Their sum.
    MEAN
        Their sum over the sum of the weights.
    SUM_OVER_BATCH_SIZE
        Their sum over their number.
    SUM_BY_NONZERO_WEIGHTS, SUM_OVER_NONZERO_WEIGHTS
        Their sum over the number of those whose weight is not 0.
    """

    NONE = "none"
    SUM = "weighted_sum"
    SUM_OVER_BATCH_SIZE = "weighted_sum_over_batch_size"
    MEAN = "weighted_mean"
    SUM_BY_NONZERO_WEIGHTS = "weighted_sum_by_nonzero_weights"
    SUM_OVER_NONZERO_WEIGHTS = SUM_BY_NONZERO_WEIGHTS

    @classmethod
    def all(cls) -> tuple[str, ...]:
        """All of them."""
        return (
            cls.NONE,
            cls.SUM,
            cls.MEAN,
            cls.SUM_OVER_BATCH_SIZE,
            cls.SUM_BY_NONZERO_WEIGHTS,
        )

    @classmethod
    def validate(cls, key: Any) -> None:
        """ValueError unless ``key`` is one of them."""
        if key not in cls.all():
            raise ValueError(at_user_line(f"{key!r} is no Reduction: take one of {cls.all()}"))


@op("WeightsOfLosses", VIEW, types="T any -> T", T=FLOATS)
def weights_of(weights: Any, losses: Any, name: str | None = None) -> Any:
    """``weights``, a scalar or of the rank of ``losses`` with sizes of theirs or 1."""


@weights_of.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    weights, losses = in_shapes
    if weights in (None, ()) or losses is None:
        return weights
    if len(weights) != len(losses) or any(
        w not in (1, None, d) and d is not None for w, d in zip(weights, losses, strict=True)
    ):
        raise ValueError(
            f"weights can not be broadcast to values: weights {shapes.text(weights)} are neither a "
            f"scalar nor of sizes 1 or those of the losses {shapes.text(losses)}"
        )
    return weights


@weights_of.gradient
def _(op: Any, dy: Any) -> Any:
    return dy, None


def compute_weighted_loss(
    losses: Any,
    weights: Any = 1.0,
    scope: str | None = None,
    loss_collection: Any = GraphKeys.LOSSES,
    reduction: str = Reduction.SUM_BY_NONZERO_WEIGHTS,
) -> Tensor:
    """``losses * weights``, reduced, and put into a collection.

    Parameters
    ----------
    losses : tensor_like of float, shape [batch, ...]
    weights : tensor_like, optional
        A scalar, or of the rank of ``losses`` with sizes of 1 or theirs. Default: 1.
    scope : str, optional
    loss_collection : optional
        Default: ``gp.GraphKeys.LOSSES``; None for none.
    reduction : str, optional
        See :class:`Reduction`. Default: ``SUM_BY_NONZERO_WEIGHTS``.

    Returns
    -------
    Tensor
        A scalar, of the type of ``losses``, unless ``reduction`` is ``NONE``; of no losses, 0.

    Raises
    ------
    ValueError
        If the weights do not fit or the reduction is none.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.losses.compute_weighted_loss([1.0, 2.0, 4.0], [1.0, 0.0, 2.0])))
    4.5
    """
    Reduction.validate(reduction)
    graph = graph_of([losses, weights])
    with graph.as_default(), graph.name_scope(scope or "weighted_loss"):
        losses = convert_to_tensor(losses, name="losses")
        kind = losses.dtype if losses.dtype in FLOATS else dtypes.float32
        x = losses if losses.dtype is kind else cast(losses, kind)
        number = isinstance(weights, (int, float)) and not isinstance(weights, bool)
        w = _weights(weights, kind, x)
        alone = number and weights == 1 and reduction != Reduction.NONE
        loss = x if alone else multiply(x, w)
        if reduction == Reduction.SUM_OVER_BATCH_SIZE or (
            reduction == Reduction.SUM_BY_NONZERO_WEIGHTS and number and weights != 0
        ):
            loss = _mean_or_zero(loss)
        elif reduction != Reduction.NONE:
            loss = reduce_sum(loss)
        if reduction == Reduction.MEAN:
            loss = over_or_zero(loss, reduce_sum(ones_like(x) * w))
        elif reduction == Reduction.SUM_BY_NONZERO_WEIGHTS and not (number and weights != 0):
            loss = over_or_zero(loss, reduce_sum(present(w, x)))
        if kind is not losses.dtype:
            loss = cast(loss, losses.dtype)
        add_loss(loss, loss_collection)
        return loss


def _weights(weights: Any, kind: dtypes.DType, losses: Tensor) -> Tensor:
    w = convert_to_tensor(weights, name="weights")
    if w._shape == ():
        return w if w.dtype is kind else cast(w, kind)
    return weights_of(w if w.dtype is kind else cast(w, kind), losses)


def present(weights: Tensor, losses: Tensor) -> Tensor:
    """1 for every loss whose weight is not 0, else 0."""
    zero = equal(weights, constant(0, weights.dtype))
    kept = where(zero, zeros_like(weights), ones_like(weights))
    return broadcast_to(kept, shape(losses))


def _mean_or_zero(x: Tensor) -> Tensor:
    """The mean of all elements; 0 if there are none, which is known when a plan is bound."""
    n = reduce_sum(ones_like(x))
    return where(equal(n, zeros_like(n)), zeros_like(n), reduce_mean(x), name="value")


def over_or_zero(total: Tensor, n: Tensor) -> Tensor:
    """``total / n``, and 0 where n is 0, with a gradient of 0 there."""
    none = equal(n, constant(0, n.dtype))
    return where(none, zeros_like(total), total / where(none, ones_like(n), n), name="value")


# ---- the collection ------------------------------------------------------------------------------


def add_loss(loss: Tensor, loss_collection: Any = GraphKeys.LOSSES) -> None:
    """Put a loss into a collection, unless that is None or empty.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.losses.add_loss(gp.constant(1.0))
    >>> len(gp.losses.get_losses())
    1
    """
    if loss_collection:
        loss.graph.add_to_collection(loss_collection, loss)


def get_losses(scope: str | None = None, loss_collection: Any = GraphKeys.LOSSES) -> list[Any]:
    """The losses in a collection, or those whose names begin with ``scope``."""
    return get_default_graph().get_collection(loss_collection, scope)


def get_regularization_losses(scope: str | None = None) -> list[Any]:
    """What regularizers of variables have added, or that of it whose names begin with ``scope``."""
    return get_losses(scope, GraphKeys.REGULARIZATION_LOSSES)


def _sum(terms: list[Any], name: str) -> Tensor:
    total = terms[0]
    for term in terms[1:]:
        total = add(total, term)
    return add(total, constant(0, total.dtype), name=name)


def get_regularization_loss(
    scope: str | None = None, name: str = "total_regularization_loss"
) -> Tensor:
    """The sum of :func:`get_regularization_losses`; 0 if there are none.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.losses.get_regularization_loss()))
    0.0
    """
    terms = get_regularization_losses(scope)
    return _sum(terms, name) if terms else constant(0.0)


def get_total_loss(
    add_regularization_losses: bool = True, name: str = "total_loss", scope: str | None = None
) -> Tensor:
    """The sum of all losses in the collection, and of those of regularizers.

    Parameters
    ----------
    add_regularization_losses : bool, optional
        Default: True.
    name : str, optional
    scope : str, optional
        Take those alone whose names begin with it.

    Raises
    ------
    ValueError
        If there are none.

    Examples
    --------
    >>> import gradplan as gp
    >>> loss = gp.losses.absolute_difference([1.0, 2.0], [2.0, 2.0])
    >>> float(gp.Session().run(gp.losses.get_total_loss()))
    0.5
    """
    terms = get_losses(scope)
    if add_regularization_losses:
        terms = terms + get_regularization_losses(scope)
    if not terms:
        raise ValueError(at_user_line("there is no loss in the collection to add up"))
    return _sum(terms, name)
