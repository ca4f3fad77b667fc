"""``tf.contrib.layers``: regularizers and initializers."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

from gradplan import dtypes
from gradplan.graph import GraphKeys, Tensor, get_default_graph
from gradplan.ops import initializers
from gradplan.ops.array import zeros
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.math import abs as absolute
from gradplan.ops.math import multiply
from gradplan.ops.nn import l2_loss
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.sums import add_n
from gradplan.scopes import name_scope

__all__ = [
    "apply_regularization",
    "l1_l2_regularizer",
    "l1_regularizer",
    "l2_regularizer",
    "sum_regularizer",
    "variance_scaling_initializer",
    "xavier_initializer",
    "xavier_initializer_conv2d",
]

Regularizer = Callable[[Any], "Tensor | None"]


def _checked(scale: Any) -> float:
    if isinstance(scale, numbers.Integral) and not isinstance(scale, bool):
        raise ValueError(f"scale cannot be an integer: {scale}")
    if isinstance(scale, float) and not scale >= 0.0:
        raise ValueError(f"Setting a scale less than 0 on a regularizer: {scale}")
    return scale


def _regularizer(
    scale: Any, default: str, scope: str | None, penalty: Callable[[Any], Any]
) -> Regularizer:
    if isinstance(_checked(scale), float) and scale == 0.0:
        return lambda weights: None

    def regularizer(weights: Any, name: str | None = None) -> Tensor:
        with name_scope(scope or default) as inside:
            factor = convert_to_tensor(scale, weights.dtype.base_dtype, name="scale")
            return multiply(factor, penalty(weights), name=name or inside)

    return regularizer


def l1_regularizer(scale: float, scope: str | None = None) -> Regularizer:
    """A function of weights: ``scale * sum(|w|)``.

    Parameters
    ----------
    scale : float
        Not negative; for 0.0 the function gives None.
    scope : str, optional
        Name scope.

    Raises
    ------
    ValueError
        If ``scale`` is an integer or negative.

    Examples
    --------
    >>> import gradplan as gp
    >>> regularizer = gp.contrib.layers.l1_regularizer(0.5)
    >>> float(gp.Session().run(regularizer(gp.constant([1.0, -3.0]))))
    2.0
    """
    return _regularizer(scale, "l1_regularizer", scope, lambda w: reduce_sum(absolute(w)))


def l2_regularizer(scale: float, scope: str | None = None) -> Regularizer:
    """A function of weights: ``scale * sum(w^2) / 2``; parameters as in :func:`l1_regularizer`.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.get_variable("w", initializer=[1.0, 3.0],
    ...                     regularizer=gp.contrib.layers.l2_regularizer(0.5))
    >>> gp.get_collection(gp.GraphKeys.REGULARIZATION_LOSSES)
    [<gp.Tensor 'w/Regularizer/l2_regularizer:0' shape=() dtype=float32>]
    """
    return _regularizer(scale, "l2_regularizer", scope, l2_loss)


def l1_l2_regularizer(
    scale_l1: float = 1.0, scale_l2: float = 1.0, scope: str | None = None
) -> Regularizer:
    """The sum of :func:`l1_regularizer` and :func:`l2_regularizer`."""
    return sum_regularizer(
        [l1_regularizer(scale_l1), l2_regularizer(scale_l2)], scope or "l1_l2_regularizer"
    )


def sum_regularizer(regularizer_list: Any, scope: str | None = None) -> Any:
    """The sum of several regularizers; those that are None are left out.

    Returns
    -------
    callable or None
    """
    those = [r for r in regularizer_list if r is not None]
    if not those:
        return None

    def regularizer(weights: Any) -> Tensor | None:
        with name_scope(scope or "sum_regularizer") as inside:
            terms = [t for t in (r(weights) for r in those) if t is not None]
            return add_n(terms, name=inside) if terms else None

    return regularizer


def apply_regularization(regularizer: Regularizer, weights_list: Any = None) -> Tensor:
    """The sum of a regularizer over weights, which goes to ``REGULARIZATION_LOSSES``, too.

    Parameters
    ----------
    regularizer : callable
    weights_list : list, optional
        Default: the collection ``WEIGHTS``.
    """
    graph = get_default_graph()
    weights = graph.get_collection("weights") if weights_list is None else weights_list
    if not weights:
        raise ValueError("No weights to regularize.")
    with name_scope("get_regularization_penalty"):
        terms = [t for t in (regularizer(w) for w in weights) if t is not None]
        total = add_n(terms) if terms else zeros([])
    graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, total)
    return total


def xavier_initializer(uniform: bool = True, seed: int | None = None, dtype: Any = None) -> Any:
    """Glorot's initializer: variance ``2 / (fan_in + fan_out)``.

    Parameters
    ----------
    uniform : bool, optional
        Uniform numbers (the default) or normal ones, truncated.
    seed : int, optional
    dtype : DType, optional
        Default: float32.

    Notes
    -----
    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    AISTATS 2010.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.get_variable("w", [784, 10], initializer=gp.contrib.layers.xavier_initializer())
    <gp.Variable 'w:0' shape=(784, 10) dtype=float32>
    """
    return variance_scaling_initializer(1.0, "FAN_AVG", uniform, seed, dtype)


xavier_initializer_conv2d = xavier_initializer


def variance_scaling_initializer(
    factor: float = 2.0,
    mode: str = "FAN_IN",
    uniform: bool = False,
    seed: int | None = None,
    dtype: Any = None,
) -> Any:
    """Random numbers with the variance ``factor / n``.

    Parameters
    ----------
    factor : float, optional
        Default: 2.0, which suits relu (He et al., arXiv 1502.01852).
    mode : str, optional
        What n is: ``"FAN_IN"`` (the default), ``"FAN_OUT"`` or ``"FAN_AVG"``, their mean.
    uniform : bool, optional
        Uniform numbers, instead of truncated normal ones.
    seed : int, optional
    dtype : DType, optional
        Default: float32.

    Raises
    ------
    TypeError
        If ``mode`` is none of these.
    """
    if mode not in ("FAN_IN", "FAN_OUT", "FAN_AVG"):
        raise TypeError(f"Unknown mode {mode} [FAN_IN, FAN_OUT, FAN_AVG]")
    kind = "uniform" if uniform else "truncated_normal"
    return initializers.variance_scaling_initializer(
        factor, mode.lower(), kind, seed, dtypes.float32 if dtype is None else dtype
    )
