"""Layers and losses that are made of other operations: what is left of ``gp.nn``."""

from __future__ import annotations

import math as _math
import numbers
from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.dtypes import FLOATS, float32
from gradplan.graph import Tensor, at_user_line
from gradplan.known import constant_value
from gradplan.names import sums_are_within
from gradplan.opdef import CALL, graph_of, op
from gradplan.ops.activations import relu, softplus
from gradplan.ops.array import ones_like, shape, zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor, has_tensor
from gradplan.ops.functions import reciprocal, rsqrt
from gradplan.ops.logic import equal, greater_equal, less_equal, logical_and
from gradplan.ops.math import add, exp, log, maximum, multiply, sigmoid, square, subtract
from gradplan.ops.matmul import matmul
from gradplan.ops.reduce import reduce_mean, reduce_sum
from gradplan.ops.slicing import where
from gradplan.ops.softmax import bias_add
from gradplan.ops.variates import random_uniform

__all__ = [
    "dropout",
    "l2_normalize",
    "log_poisson_loss",
    "normalize_moments",
    "relu_layer",
    "swish",
    "weighted_cross_entropy_with_logits",
    "xw_plus_b",
    "zero_fraction",
]

# ---- dropout -------------------------------------------------------------------------------------


@op("DropoutRate", CALL, kernel="check_fraction", T=FLOATS, flops=0, fallible=True)
def _checked_rate(rate: Any, name: str | None = None) -> Any:
    """``rate``, if it is in [0, 1)."""


@_checked_rate.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    if in_shapes[0] not in (None, ()):
        raise ValueError(f"the rate must be a scalar, not of shape {shapes.text(in_shapes[0])}")
    return ()


@_checked_rate.gradient
def _(op: Any, dy: Any) -> Any:
    return dy


def dropout(
    x: Any,
    keep_prob: Any = None,
    noise_shape: Any = None,
    seed: int | None = None,
    name: str | None = None,
    rate: Any = None,
) -> Tensor:
    """Set elements to 0 with probability ``rate`` and multiply the others by ``1 / (1 - rate)``.

    Parameters
    ----------
    x : tensor_like of float
    keep_prob : scalar tensor_like, optional
        Old way to give ``1 - rate``.
    noise_shape : shape or tensor_like of int32, optional
        Elements are kept or dropped together along dimensions of size 1 here; None stands for the
        size of ``x``. Default: the shape of ``x``.
    seed : int, optional
    name : str, optional
    rate : scalar tensor_like
        In ``[0, 1)``; with a constant 0 the result is ``x`` itself.

    Raises
    ------
    ValueError
        If ``x`` is not of floats, no rate is given or both are, or the rate is out of range.
    InvalidArgumentError
        At run time, if a rate that is computed or fed is out of range.

    Notes
    -----
    N. Srivastava et al., *Dropout: a simple way to prevent neural networks from overfitting*, JMLR
    15 (2014). The gradient goes through the same mask.

    Examples
    --------
    >>> import gradplan as gp
    >>> y = gp.Session().run(gp.nn.dropout(gp.ones([1000]), rate=0.5, seed=1))
    >>> sorted(set(y.tolist()))
    [0.0, 2.0]
    """
    if keep_prob is not None:
        if rate is not None:
            raise ValueError(at_user_line("give dropout rate or keep_prob, not both"))
        if isinstance(keep_prob, Tensor):
            constant_keep = constant_value(keep_prob)
            keep_prob = keep_prob if constant_keep is None else constant_keep.item()
        try:
            rate = 1.0 - keep_prob
        except TypeError:
            raise ValueError(
                at_user_line(f"keep_prob must be a number or a tensor, not {keep_prob!r}")
            ) from None
    if rate is None:
        raise ValueError(at_user_line("dropout needs a rate"))
    graph = graph_of([x, rate])
    with graph.as_default(), graph.name_scope(name or "dropout"):
        x = convert_to_tensor(x, name="x")
        if not x.dtype.is_floating:
            raise ValueError(
                at_user_line(f"dropout scales x, which must be of floats, not {x.dtype.name}")
            )
        known: Any = rate if isinstance(rate, numbers.Real) else None
        if known is None:
            rate = convert_to_tensor(rate, x.dtype, "rate")
            known = constant_value(rate)
        if known is not None:
            if not 0 <= known < 1:
                raise ValueError(
                    at_user_line(f"the rate must be a scalar in [0, 1), not {float(known):g}")
                )
            if known == 0:
                return x
            rate = constant(float(known), x.dtype, name="rate")
        else:
            rate = _checked_rate(rate)
        drawn = random_uniform(_noise_shape(x, noise_shape), seed=seed, dtype=x.dtype)
        kept = cast(greater_equal(drawn, rate), x.dtype)
        y = x * (1.0 / (1.0 - rate)) * kept
        y.set_shape(x._shape)
        return y


def _noise_shape(x: Tensor, given: Any) -> Any:
    """What shape of noise is asked for: a None in it stands for the size of ``x``."""
    if given is None:
        return shape(x)
    if isinstance(given, Tensor) or has_tensor(given):
        return given
    dims = shapes.as_shape(given)
    if dims is None:
        return shape(x)
    if None not in dims:
        return dims
    if x._shape is not None and len(x._shape) != len(dims):
        raise ValueError(
            at_user_line(
                f"noise_shape {shapes.text(dims)} has None, so it needs the rank of x "
                f"{shapes.text(x._shape)}"
            )
        )
    sizes = shape(x)
    return [sizes[i] if d is None else d for i, d in enumerate(dims)]


# ---- layers --------------------------------------------------------------------------------------


def xw_plus_b(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """``matmul(x, weights) + biases``.

    Parameters
    ----------
    x : tensor_like, shape [batch, n]
    weights : tensor_like, shape [n, m]
    biases : tensor_like, shape [m]
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.xw_plus_b([[1.0, 2.0]], [[1.0], [1.0]], [10.0]))
    array([[13.]], dtype=float32)
    """
    graph = graph_of([x, weights, biases])
    with graph.as_default(), graph.name_scope(name or "xw_plus_b") as scope:
        return bias_add(matmul(x, weights), biases, name=scope)


def relu_layer(x: Any, weights: Any, biases: Any, name: str | None = None) -> Tensor:
    """``relu(matmul(x, weights) + biases)``; the arguments are those of :func:`xw_plus_b`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.relu_layer([[1.0, 2.0]], [[1.0, -9.0], [1.0, 1.0]], [10.0, 0.0]))
    array([[13.,  0.]], dtype=float32)
    """
    graph = graph_of([x, weights, biases])
    with graph.as_default(), graph.name_scope(name or "relu_layer") as scope:
        return relu(bias_add(matmul(x, weights), biases), name=scope)


def swish(features: Any, name: str | None = None) -> Tensor:
    """``features * sigmoid(features)``, elementwise.

    Notes
    -----
    P. Ramachandran et al., *Searching for activation functions*, arXiv 1710.05941.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.swish([0.0, 100.0]))
    array([  0., 100.], dtype=float32)
    """
    features = convert_to_tensor(features, name="features")
    with features.graph.as_default(), features.graph.name_scope(name or "swish") as scope:
        return multiply(features, sigmoid(features), name=scope)


def l2_normalize(
    x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None, dim: Any = None
) -> Tensor:
    """``x / sqrt(max(sum(x^2), epsilon))``, the sum being along ``axis``.

    Parameters
    ----------
    x : tensor_like of float
    axis : int or list of int, optional
        Default: all dimensions.
    epsilon : float, optional
        Default: 1e-12.
    name : str, optional
    dim : optional
        Old name of ``axis``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.l2_normalize([3.0, 4.0], 0))
    array([0.6, 0.8], dtype=float32)
    """
    axis = dim if axis is None else axis
    x = convert_to_tensor(x, name="x")
    with x.graph.as_default(), x.graph.name_scope(name or "l2_normalize") as scope:
        size = reduce_sum(square(x), axis, keepdims=True)
        return multiply(x, rsqrt(maximum(size, constant(epsilon, x.dtype))), name=scope)


def zero_fraction(value: Any, name: str | None = None) -> Tensor:
    """The fraction of elements that are 0, as float32; of no elements, NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.nn.zero_fraction([0.0, 1.0, 0.0, 3.0])))
    0.5
    """
    value = convert_to_tensor(value, name="value")
    with value.graph.as_default(), value.graph.name_scope(name or "zero_fraction"):
        zero = equal(value, constant(np.zeros((), value.dtype.np)))
        return reduce_mean(cast(zero, float32), name="fraction")


def normalize_moments(
    counts: Any, mean_ss: Any, variance_ss: Any, shift: Any, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """Mean and variance from a count and from sums of ``x - shift`` and of its square.

    Parameters
    ----------
    counts : tensor_like of float
    mean_ss, variance_ss : tensor_like of float
        The sums.
    shift : tensor_like of float or None
        None stands for 0.
    name : str, optional

    Returns
    -------
    mean, variance : Tensor

    Examples
    --------
    >>> import gradplan as gp
    >>> mean, variance = gp.nn.normalize_moments(2.0, 4.0, 10.0, 1.0)
    >>> [float(x) for x in gp.Session().run([mean, variance])]
    [3.0, 1.0]
    """
    graph = graph_of([counts, mean_ss, variance_ss, shift])
    with graph.as_default(), graph.name_scope(name or "normalize"):
        divisor = reciprocal(counts, name="divisor")
        name = "mean" if shift is None else "shifted_mean"
        shifted = multiply(mean_ss, divisor, name=name)
        mean = shifted if shift is None else add(shifted, shift, name="mean")
        variance = subtract(multiply(variance_ss, divisor), square(shifted), name="variance")
        return mean, variance


# ---- losses --------------------------------------------------------------------------------------


def weighted_cross_entropy_with_logits(
    labels: Any = None,
    logits: Any = None,
    pos_weight: Any = None,
    name: str | None = None,
    targets: Any = None,
) -> Tensor:
    """Cross-entropy of yes-or-no labels in which a missed yes counts ``pos_weight`` times.

    ``(1 - z) x + (1 + (pos_weight - 1) z) log(1 + exp(-x))`` for labels z and logits x.

    Parameters
    ----------
    labels : tensor_like of float
        Probabilities, of the type and shape of ``logits``.
    logits : tensor_like of float
    pos_weight : tensor_like of float
        Broadcasts.
    name : str, optional
    targets : optional
        Old name of ``labels``.

    Raises
    ------
    ValueError
        If the shapes differ or an argument is missing.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.weighted_cross_entropy_with_logits([1.0, 0.0], [0.0, 0.0], 2.0))
    array([1.3862944, 0.6931472], dtype=float32)
    """
    labels = targets if labels is None else labels
    if labels is None or logits is None or pos_weight is None:
        raise ValueError(at_user_line("labels, logits and pos_weight are needed"))
    graph = graph_of([logits, labels, pos_weight])
    with graph.as_default(), graph.name_scope(name or "logistic_loss") as scope:
        x = convert_to_tensor(logits, name="logits")
        z = convert_to_tensor(labels, x.dtype, name="labels")
        _same_shape("weighted_cross_entropy_with_logits", "logits", x, "labels", z)
        one = constant(1, x.dtype)
        weight = one + (pos_weight - one) * z
        return add((one - z) * x, weight * softplus(-x), name=scope)


def log_poisson_loss(
    targets: Any, log_input: Any, compute_full_loss: bool = False, name: str | None = None
) -> Tensor:
    """Minus the logarithm of a Poisson probability: ``exp(c) - z c`` for counts z and log-rates c.

    Parameters
    ----------
    targets : tensor_like of float
    log_input : tensor_like of float
        Of the type and shape of ``targets``.
    compute_full_loss : bool, optional
        Add Stirling's approximation ``z log(z) - z + log(2 pi z) / 2`` of ``log(z!)``, where z is
        above 1. Default: False.
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.log_poisson_loss([3.0], [0.0]))
    array([1.], dtype=float32)
    """
    graph = graph_of([targets, log_input])
    with graph.as_default(), graph.name_scope(name or "log_poisson_loss") as scope:
        sums_are_within(graph, scope)
        c = convert_to_tensor(log_input, name="log_input")
        z = convert_to_tensor(targets, c.dtype, name="targets")
        _same_shape("log_poisson_loss", "log_input", c, "targets", z)
        loss = exp(c) - c * z
        if compute_full_loss:
            few = logical_and(greater_equal(z, zeros_like(z)), less_equal(z, ones_like(z)))
            safe = where(few, ones_like(z), z)  # so that the gradient is finite as well
            half, tau = constant(0.5, z.dtype), constant(2 * _math.pi, z.dtype)
            more = safe * log(safe) - safe + half * log(tau * safe)
            loss = loss + where(few, zeros_like(z), more)
        return loss


def _same_shape(function: str, a_name: str, a: Tensor, b_name: str, b: Tensor) -> None:
    if shapes.merge(a._shape, b._shape) is False:
        raise ValueError(
            at_user_line(
                f"{function}: {a_name} and {b_name} must have the same shape "
                f"({shapes.text(a._shape)} vs {shapes.text(b._shape)})"
            )
        )
