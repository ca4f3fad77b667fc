"""Learning rates that change with the number of the step."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import graph_of
from gradplan.ops.array import identity
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.functions import ceil, cos, floor
from gradplan.ops.logic import equal, less_equal
from gradplan.ops.math import exp, log, minimum, multiply, pow, sqrt
from gradplan.ops.slicing import where
from gradplan.ops.variates import random_normal


def _schedule(title: str) -> Callable[[Any], Any]:
    """A function of the rate and the step, both made floats of one type, under a name scope."""

    def decorate(function: Any) -> Any:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def schedule(learning_rate: Any, global_step: Any, *args: Any, **kwargs: Any) -> Tensor:
            if global_step is None:
                text = f"global_step is required for {function.__name__}."
                raise ValueError(at_user_line(text))
            given = [learning_rate, global_step, *args, *kwargs.values()]
            graph = graph_of(given)
            bound = signature.bind(learning_rate, global_step, *args, **kwargs)
            name = bound.arguments.get("name") or title
            with graph.as_default(), graph.name_scope(name) as scope:
                rate = convert_to_tensor(learning_rate, name="learning_rate")
                step = cast(convert_to_tensor(global_step), rate.dtype)
                return identity(function(rate, step, *args, **kwargs), name=scope)

        return schedule

    return decorate


def _as(rate: Tensor, value: Any) -> Tensor:
    """A number or tensor in the type of the rate."""
    if isinstance(value, (int, float)):
        return constant(value, rate.dtype)
    return cast(convert_to_tensor(value), rate.dtype)


def _part(rate: Tensor, step: Tensor, decay_steps: Any, staircase: bool = False) -> Tensor:
    part = step / _as(rate, decay_steps)
    return floor(part) if staircase else part


@_schedule("ExponentialDecay")
def exponential_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Any:
    """``learning_rate * decay_rate ** (global_step / decay_steps)``.

    Parameters
    ----------
    learning_rate : float or Tensor
    global_step : int, Tensor or Variable
    decay_steps : int or Tensor
    decay_rate : float or Tensor
    staircase : bool, optional
        Round the exponent down. Default: False.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> rate = gp.train.exponential_decay(0.8, 25, 10, 0.5, staircase=True)
    >>> print(gp.Session().run(rate).round(3))
    0.2
    """
    return learning_rate * pow(
        _as(learning_rate, decay_rate),
        _part(learning_rate, global_step, decay_steps, staircase),
    )


@_schedule("ExponentialDecay")
def natural_exp_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Any:
    """``learning_rate * exp(-decay_rate * global_step / decay_steps)``; with ``staircase`` the
    quotient is rounded down. The arguments are those of :func:`exponential_decay`.

    Examples
    --------
    >>> import gradplan as gp
    >>> rate = gp.train.natural_exp_decay(0.5, 0, 10, 0.5)
    >>> print(gp.Session().run(rate).round(3))
    0.5
    """
    part = _part(learning_rate, global_step, decay_steps, staircase)
    return learning_rate * exp(-_as(learning_rate, decay_rate) * part)


@_schedule("InverseTimeDecay")
def inverse_time_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    decay_rate: Any,
    staircase: bool = False,
    name: str | None = None,
) -> Any:
    """``learning_rate / (1 + decay_rate * global_step / decay_steps)``; with ``staircase`` the
    quotient is rounded down. The arguments are those of :func:`exponential_decay`.

    Examples
    --------
    >>> import gradplan as gp
    >>> rate = gp.train.inverse_time_decay(0.5, 20, 10, 0.5)
    >>> print(gp.Session().run(rate).round(3))
    0.25
    """
    part = _part(learning_rate, global_step, decay_steps, staircase)
    return learning_rate / (1.0 + _as(learning_rate, decay_rate) * part)


@_schedule("PolynomialDecay")
def polynomial_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    end_learning_rate: Any = 0.0001,
    power: Any = 1.0,
    cycle: bool = False,
    name: str | None = None,
) -> Any:
    """``(learning_rate - end) * (1 - step / decay_steps) ** power + end``, where the step is at
    most ``decay_steps``.

    Parameters
    ----------
    learning_rate : float or Tensor
    global_step : int, Tensor or Variable
    decay_steps : int or Tensor
    end_learning_rate : float or Tensor, optional
        Default: 0.0001.
    power : float or Tensor, optional
        Default: 1.
    cycle : bool, optional
        Where the step is beyond, take the next multiple of ``decay_steps`` instead. Default: False.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> rate = gp.train.polynomial_decay(1.0, 5, 10, 0.5)
    >>> print(gp.Session().run(rate).round(3))
    0.75
    """
    end, steps = _as(learning_rate, end_learning_rate), _as(learning_rate, decay_steps)
    if cycle:
        times = ceil(global_step / steps)
        one, zero = _as(learning_rate, 1), _as(learning_rate, 0)
        steps = steps * where(equal(global_step, zero), one, times)
    else:
        global_step = minimum(global_step, steps)
    left = 1.0 - global_step / steps
    return (learning_rate - end) * pow(left, _as(learning_rate, power)) + end


@_schedule("CosineDecay")
def cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    alpha: Any = 0.0,
    name: str | None = None,
) -> Any:
    """``learning_rate * ((1 - alpha) * (1 + cos(pi * step / decay_steps)) / 2 + alpha)``, where
    the step is at most ``decay_steps``.

    Parameters
    ----------
    learning_rate : float or Tensor
    global_step : int, Tensor or Variable
    decay_steps : int or Tensor
    alpha : float or Tensor, optional
        The part of the rate that stays. Default: 0.
    name : str, optional

    Notes
    -----
    I. Loshchilov and F. Hutter, *SGDR: Stochastic gradient descent with warm restarts*, ICLR 2017.

    Examples
    --------
    >>> import gradplan as gp
    >>> rate = gp.train.cosine_decay(1.0, 10, 10, 0.25)
    >>> print(gp.Session().run(rate).round(3))
    0.25
    """
    steps, alpha = _as(learning_rate, decay_steps), _as(learning_rate, alpha)
    wave = _wave(minimum(global_step, steps) / steps)
    return learning_rate * ((1.0 - alpha) * wave + alpha)


def _wave(part: Tensor) -> Tensor:
    return 0.5 * (1.0 + cos(part * math.pi))


@_schedule("SGDRDecay")
def cosine_decay_restarts(
    learning_rate: Any,
    global_step: Any,
    first_decay_steps: Any,
    t_mul: Any = 2.0,
    m_mul: Any = 1.0,
    alpha: Any = 0.0,
    name: str | None = None,
) -> Any:
    """:func:`cosine_decay`, begun again when it has come to its end.

    Parameters
    ----------
    learning_rate : float or Tensor
    global_step : int, Tensor or Variable
    first_decay_steps : int or Tensor
        The length of the first period.
    t_mul, m_mul : float or Tensor, optional
        Each period is ``t_mul`` times as long as the one before, and starts at ``m_mul`` times its
        rate. Default: 2 and 1.
    alpha : float or Tensor, optional
        Default: 0.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> step = gp.placeholder(gp.int32, [])
    >>> rate = gp.train.cosine_decay_restarts(1.0, step, 10)
    >>> print(*[gp.Session().run(rate, {step: n}).round(3) for n in (0, 5, 10, 20)])
    1.0 0.5 1.0 0.5
    """
    m_mul, alpha = _as(learning_rate, m_mul), _as(learning_rate, alpha)
    part = global_step / _as(learning_rate, first_decay_steps)
    even = floor(part)
    if isinstance(t_mul, (int, float)):
        periods, part = (even, part - even) if t_mul == 1 else _geometric(part, t_mul)
    else:
        t = _as(learning_rate, t_mul)
        one = _as(learning_rate, 1)
        same = equal(t, one)
        periods, rest = _geometric(part, where(same, one + one, t))
        periods, part = where(same, even, periods), where(same, part - even, rest)
    wave = pow(m_mul, periods) * _wave(part)
    return learning_rate * ((1.0 - alpha) * wave + alpha)


def _geometric(part: Tensor, t_mul: Any) -> tuple[Tensor, Tensor]:
    """The number of whole periods, and the part of the one that follows."""
    t = _as(part, t_mul)
    periods = floor(log(1.0 - part * (1.0 - t)) / log(t))
    length = pow(t, periods)
    return periods, (part - (1.0 - length) / (1.0 - t)) / length


@_schedule("LinearCosineDecay")
def linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Any:
    """``learning_rate * ((alpha + 1 - p) * (1 + cos(2 pi num_periods p)) / 2 + beta)``, where p is
    the part of ``decay_steps`` that has passed, at most 1.

    Parameters
    ----------
    learning_rate : float or Tensor
    global_step : int, Tensor or Variable
    decay_steps : int or Tensor
    num_periods, alpha, beta : float or Tensor, optional
        Default: 0.5, 0 and 0.001.
    name : str, optional

    Notes
    -----
    I. Bello et al., *Neural optimizer search with reinforcement learning*, ICML 2017.

    Examples
    --------
    >>> import gradplan as gp
    >>> rate = gp.train.linear_cosine_decay(1.0, 5, 10, beta=0.0)
    >>> print(gp.Session().run(rate).round(3))
    0.25
    """
    steps = _as(learning_rate, decay_steps)
    step = minimum(global_step, steps)
    return _linear_cosine(learning_rate, step / steps, (steps - step) / steps, num_periods, alpha,
                          beta)  # fmt: skip


def _linear_cosine(
    rate: Tensor, part: Tensor, linear: Tensor, num_periods: Any, alpha: Any, beta: Any
) -> Tensor:
    wave = _wave(2.0 * _as(rate, num_periods) * part)
    return rate * ((_as(rate, alpha) + linear) * wave + _as(rate, beta))


@_schedule("NoisyLinearCosineDecay")
def noisy_linear_cosine_decay(
    learning_rate: Any,
    global_step: Any,
    decay_steps: Any,
    initial_variance: Any = 1.0,
    variance_decay: Any = 0.55,
    num_periods: Any = 0.5,
    alpha: Any = 0.0,
    beta: Any = 0.001,
    name: str | None = None,
) -> Any:
    """:func:`linear_cosine_decay` with noise of variance ``initial_variance / (1 + step) **
    variance_decay`` on the linear term, drawn anew in every run.

    Parameters
    ----------
    learning_rate : float or Tensor
    global_step : int, Tensor or Variable
    decay_steps : int or Tensor
    initial_variance, variance_decay : float or Tensor, optional
        Default: 1 and 0.55.
    num_periods, alpha, beta : float or Tensor, optional
        Default: 0.5, 0 and 0.001.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> rate = gp.train.noisy_linear_cosine_decay(1.0, 5, 10, 0.0, beta=0.0)
    >>> print(gp.Session().run(rate).round(3))
    0.25
    """
    steps = _as(learning_rate, decay_steps)
    step = minimum(global_step, steps)
    variance = _as(learning_rate, initial_variance) / pow(
        1.0 + step, _as(learning_rate, variance_decay)
    )
    noise = multiply(random_normal([], dtype=learning_rate.dtype), sqrt(variance))
    linear = (steps - step) / steps + noise
    return _linear_cosine(learning_rate, step / steps, linear, num_periods, alpha, beta)


def piecewise_constant(
    x: Any, boundaries: Sequence[Any], values: Sequence[Any], name: str | None = None
) -> Tensor:
    """``values[i]`` for x between ``boundaries[i - 1]`` (excluded) and ``boundaries[i]``
    (included).

    Parameters
    ----------
    x : int, float, Tensor or Variable
        A scalar, such as the global step.
    boundaries : list of numbers or tensors
        Increasing; of the type of x.
    values : list of numbers or tensors
        One more than there are boundaries.
    name : str, optional

    Raises
    ------
    ValueError
        If the lengths do not fit, or a boundary is no number of the type of x.

    Examples
    --------
    >>> import gradplan as gp
    >>> step = gp.placeholder(gp.int64, [])
    >>> rate = gp.train.piecewise_constant(step, [10, 20], [1.0, 0.5, 0.25])
    >>> print(*[gp.Session().run(rate, {step: n}) for n in (0, 10, 11, 21)])
    1.0 1.0 0.5 0.25
    """
    if len(boundaries) != len(values) - 1:
        raise ValueError(
            at_user_line("The length of boundaries should be 1 less than the length of values")
        )
    graph = graph_of([x, *boundaries, *values])
    with graph.as_default(), graph.name_scope(name or "PiecewiseConstant"):
        x = convert_to_tensor(x)
        limits = [convert_to_tensor(b) for b in boundaries]
        for b in limits:
            if b.dtype is not x.dtype and (b.dtype.is_floating or not x.dtype.is_integer):
                raise ValueError(
                    at_user_line(
                        f"Boundaries ({b.dtype.name}) must have the same dtype as x "
                        f"({x.dtype.name})."
                    )
                )
        results = [convert_to_tensor(v, name="values") for v in values]
        for v in results:
            if v.dtype is not results[0].dtype:
                raise ValueError(
                    at_user_line(
                        f"Values must have elements all with the same dtype ({v.dtype.name} vs "
                        f"{results[0].dtype.name})."
                    )
                )
        chosen = results[-1]
        for b, v in zip(reversed(limits), reversed(results[:-1]), strict=True):
            chosen = where(less_equal(x, cast(b, x.dtype)), v, chosen)
        return identity(chosen, name="case/cond/Merge")
