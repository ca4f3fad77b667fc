"""Random numbers by rejection: gamma, Poisson and categories."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import FLOATS
from gradplan.graph import Tensor, at_user_line, get_default_graph
from gradplan.opdef import STATE, graph_of, op
from gradplan.ops.array import zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.math import maximum
from gradplan.ops.streams import drawn, drawn_shape, no_gradient, shape_tensor, stream

__all__ = ["multinomial", "random_gamma", "random_poisson"]


def _samples_of_each(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    """The shape asked for, and after it that of the parameters."""
    dims, each = drawn_shape(attrs, in_shapes, value), in_shapes[1]
    if dims is None or each is None:
        return None
    both = (*dims, *each)
    if None not in both:
        shapes.size(both)
    return both


@stream("RandomGamma", "random_gamma", "I T -> T", T=FLOATS, fallible=True)
def _random_gamma(
    shape: Any, alpha: Any, seed: Any = None, seed2: Any = None, name: str | None = None
) -> Any:
    """Gamma variables of rate 1; see :func:`random_gamma`."""


_random_gamma.shape(_samples_of_each)


def random_gamma(
    shape: Any,
    alpha: Any,
    beta: Any = None,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Gamma-distributed numbers of density ``x^(alpha-1) exp(-beta x) beta^alpha / Gamma(alpha)``.

    Parameters
    ----------
    shape : shape or tensor_like of int32
        How many are drawn for each pair of parameters.
    alpha : tensor_like of float
        The shape parameter, positive.
    beta : tensor_like of float, optional
        The inverse scale; it broadcasts with ``alpha``. Default: 1.
    dtype : DType, optional
        float32 or float64, of the parameters and the result. Default: float32.
    seed : int, optional
    name : str, optional

    Returns
    -------
    Tensor
        Of shape ``shape + (alpha + beta).shape``. A gradient flows to ``beta``, none to ``alpha``.

    Raises
    ------
    InvalidArgumentError
        At run time, if an ``alpha`` is not positive and finite.

    Notes
    -----
    G. Marsaglia and W. W. Tsang, *A simple method for generating gamma variables*, ACM TOMS 26
    (2000).

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.Session().run(gp.random_gamma([1000], [3.0, 20.0], seed=1))
    >>> x.shape, x.mean(0).round().tolist()
    ((1000, 2), [3.0, 20.0])
    """
    wanted = dtypes.as_dtype(dtype)
    graph = graph_of([shape, alpha, beta])
    with graph.as_default(), graph.name_scope(name or "random_gamma"):
        alpha = convert_to_tensor(alpha, wanted, "alpha")
        beta = convert_to_tensor(1 if beta is None else beta, wanted, "beta")
        each = alpha + zeros_like(beta)
        sample = drawn(_random_gamma, [shape_tensor(shape), each], seed)
        tiny = convert_to_tensor(np.finfo(wanted.np).tiny)
        return maximum(tiny, sample / beta)


@stream("RandomPoissonV2", "random_poisson", "I T -> @dtype", T=FLOATS, fallible=True)
def _random_poisson(
    shape: Any,
    rate: Any,
    dtype: Any = None,
    seed: Any = None,
    seed2: Any = None,
    name: str | None = None,
) -> Any:
    """Poisson variables; see :func:`random_poisson`."""


_random_poisson.shape(_samples_of_each)


def random_poisson(
    lam: Any,
    shape: Any,
    dtype: Any = dtypes.float32,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Poisson-distributed counts: k with probability ``exp(-lam) lam^k / k!``.

    Parameters
    ----------
    lam : tensor_like
        The rate, not negative.
    shape : shape or tensor_like of int32
        How many are drawn for each rate.
    dtype : DType, optional
        float32, float64, int32 or int64. Default: float32.
    seed : int, optional
    name : str, optional

    Returns
    -------
    Tensor
        Of shape ``shape + lam.shape``; no gradient flows to ``lam``.

    Raises
    ------
    InvalidArgumentError
        At run time, if a rate is negative, not finite, or too large for ``dtype``.

    Notes
    -----
    W. Hörmann, *The transformed rejection method for generating Poisson random variables*,
    Insurance: Mathematics and Economics 12 (1993).

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.Session().run(gp.random_poisson([0.0, 30.0], [1000], seed=1))
    >>> x.shape, x.mean(0).round().tolist()
    ((1000, 2), [0.0, 30.0])
    """
    wanted = dtypes.as_dtype(dtype)
    if wanted not in dtypes.NUMBERS:
        raise TypeError(at_user_line(f"random_poisson does not give {wanted.name}"))
    graph = graph_of([lam, shape])
    with graph.as_default(), graph.name_scope(name or "random_poisson"):
        lam = convert_to_tensor(lam, name="lam")
        if lam.dtype.is_integer:
            lam = cast(lam, dtypes.float64)
        given = shape_tensor(shape)
        return drawn(_random_poisson, [given, lam], seed, dtype=wanted)


# ---- categories ----------------------------------------------------------------------------------

#: The most tasks that a kernel is cut into (MAX_TASKS in csrc/kernel.h): each has sums of its own.
_TASKS = 16


@op("Multinomial", STATE, types="T I -> @output_dtype", T=FLOATS, flops=20, fallible=True)
def _multinomial(
    logits: Any,
    num_samples: Any,
    output_dtype: Any = None,
    seed: Any = None,
    seed2: Any = None,
    name: str | None = None,
) -> Any:
    """Classes drawn from logits; see :func:`multinomial`."""


_multinomial.gradient(no_gradient)


@_multinomial.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    logits, n = in_shapes[0], value(1)
    if logits is not None and len(logits) != 2:
        raise ValueError(f"logits should be a matrix, but are {shapes.text(logits)}")
    if logits is not None and logits[1] == 0:
        raise ValueError(f"there is no class to draw in logits {shapes.text(logits)}")
    if in_shapes[1] not in (None, ()):
        raise ValueError(f"num_samples should be a scalar, not {shapes.text(in_shapes[1])}")
    if n is not None and int(n) < 0:
        raise ValueError(f"num_samples should not be negative, but is {int(n)}")
    return (None if logits is None else logits[0], None if n is None else int(n))


@_multinomial.lower
def _(binder: Any, op: Any) -> None:
    logits = binder.contiguous(binder.view(op.inputs[0]))
    batch, classes = logits.dims
    sums = binder.scratch(op.name, dtypes.float64, (max(1, min(batch, _TASKS)), classes))
    outs = [binder.result(op), binder.random_state(op), sums]
    binder.emit("multinomial", outs, [logits])


def multinomial(
    logits: Any,
    num_samples: Any,
    seed: int | None = None,
    name: str | None = None,
    output_dtype: Any = None,
) -> Tensor:
    """Classes drawn independently, class j of row i with probability ``softmax(logits[i])[j]``.

    Parameters
    ----------
    logits : tensor_like, shape [batch, classes]
        Unnormalised logarithms of the probabilities; -inf for a class that is never drawn.
    num_samples : int or tensor_like of int32
        How many are drawn for each row.
    seed : int, optional
    name : str, optional
    output_dtype : DType, optional
        int32 or int64. Default: int64.

    Returns
    -------
    Tensor, shape [batch, num_samples]

    Raises
    ------
    InvalidArgumentError
        At run time, if a logit is NaN or inf, or a row has none that is finite.

    Examples
    --------
    >>> import gradplan as gp
    >>> never = float("-inf")
    >>> gp.Session().run(gp.multinomial([[0.0, never], [never, 0.0]], 3))
    array([[0, 0, 0],
           [1, 1, 1]])
    """
    wanted = dtypes.int64 if output_dtype is None else dtypes.as_dtype(output_dtype)
    if wanted not in dtypes.INTEGERS:
        raise TypeError(at_user_line(f"multinomial does not give {wanted.name}"))
    graph = get_default_graph() if not isinstance(logits, Tensor) else logits.graph
    with graph.as_default(), graph.name_scope(name or "multinomial"):
        logits = convert_to_tensor(logits, name="logits")
        if logits.dtype.is_integer:
            logits = cast(logits, dtypes.float64)
        return drawn(_multinomial, [logits, num_samples], seed, output_dtype=wanted)


def categorical(
    logits: Any,
    num_samples: Any,
    dtype: Any = None,
    seed: int | None = None,
    name: str | None = None,
) -> Tensor:
    """Classes drawn independently from logits; as :func:`multinomial`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.random.categorical([[0.0, float("-inf")]], 2))
    array([[0, 0]])
    """
    return multinomial(logits, num_samples, seed, name or "categorical", dtype)
