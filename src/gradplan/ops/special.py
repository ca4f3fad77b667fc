"""Functions of mathematical physics: gamma and its logarithmic derivatives, zeta, the incomplete
gamma and beta functions."""

from __future__ import annotations

from typing import Any

from gradplan.graph import Tensor
from gradplan.names import named
from gradplan.opdef import CALL, MAP, graph_of, op
from gradplan.ops.arithmetic import xlogy
from gradplan.ops.array import sum_to_like
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.math import exp, log1p
from gradplan.ops.reduce import reduce_sum

__all__ = ["betainc", "digamma", "igamma", "igammac", "lbeta", "lgamma", "polygamma", "zeta"]


def _special(name: str, number: int) -> Any:
    """Declare a function of the kernel ``special``; ``number`` is its place in csrc/special.c."""

    def lower(binder: Any, op: Any) -> None:
        dims = binder.shape(op.outputs[0])
        views = [binder.contiguous(binder.view(t).broadcast(dims)) for t in op.inputs]
        binder.emit("special", [binder.result(op)], views, [number])

    def decorate(function: Any) -> Any:
        declared = op(name, CALL, kernel="special", flops=150)(function)
        declared.lower(lower)
        return declared

    return decorate


@op("Lgamma", MAP, kernel="lgamma", flops=50)
def lgamma(x: Any, name: str | None = None) -> Any:
    """Logarithm of the absolute value of the gamma function; infinite at 0, -1, -2, ...

    Its gradient is :func:`digamma`.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.lgamma(5.0)):.4f}"  # log(4!)
    '3.1781'
    """


@lgamma.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * digamma(op.inputs[0])


@_special("Digamma", 0)
def digamma(x: Any, name: str | None = None) -> Any:
    """Derivative of ``log(gamma(x))``; its gradient is ``polygamma(1, x)``.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.digamma(1.0)):.4f}"  # minus Euler's constant
    '-0.5772'
    """


@digamma.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy * polygamma(constant(1, x.dtype), x)


@_special("Zeta", 1)
def zeta(x: Any, q: Any, name: str | None = None) -> Any:
    """Hurwitz's zeta function ``sum of (k + q)**-x for k = 0, 1, 2, ...``, with broadcasting.

    Parameters
    ----------
    x : tensor_like of float
        Above 1; NaN below it, infinite at 1.
    q : tensor_like of float
        Infinite at 0, -1, -2, ...; NaN for another negative one unless ``x`` is an integer.
    name : str, optional

    Returns
    -------
    Tensor
        The gradient flows to ``q`` alone, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.zeta(2.0, 1.0)):.4f}"  # pi * pi / 6
    '1.6449'
    """


@zeta.gradient
@named(None, "Reshape")
def _(op: Any, dy: Any) -> Any:
    x, q = op.inputs
    return None, sum_to_like(-dy * x * zeta(x + constant(1, x.dtype), q), q, op)


@_special("Polygamma", 2)
def polygamma(a: Any, x: Any, name: str | None = None) -> Any:
    """Derivative of order ``a`` of :func:`digamma` at ``x``, with broadcasting.

    Parameters
    ----------
    a : tensor_like of float
        0, 1, 2, ...; NaN for what is no such number.
    x : tensor_like of float
    name : str, optional

    Returns
    -------
    Tensor
        ``(-1)**(a + 1) * a! * zeta(a + 1, x)``; the gradient flows to ``x`` alone.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.polygamma(1.0, 1.0)):.4f}"
    '1.6449'
    """


@polygamma.gradient
@named(None, "Reshape")
def _(op: Any, dy: Any) -> Any:
    a, x = op.inputs
    return None, sum_to_like(dy * polygamma(a + constant(1, a.dtype), x), x, op)


@_special("Igamma", 3)
def igamma(a: Any, x: Any, name: str | None = None) -> Any:
    """Lower regularised incomplete gamma function P(a, x), with broadcasting:
    ``integral of t**(a - 1) * exp(-t) for t from 0 to x``, divided by ``gamma(a)``.

    Parameters
    ----------
    a, x : tensor_like of float
        ``a`` above 0, ``x`` not below 0; NaN elsewhere.
    name : str, optional

    Returns
    -------
    Tensor
        The gradient flows to ``x`` alone.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.igamma(1.0, 2.0)):.4f}"  # 1 - exp(-2)
    '0.8647'
    """


@_special("Igammac", 4)
def igammac(a: Any, x: Any, name: str | None = None) -> Any:
    """Upper regularised incomplete gamma function ``1 - P(a, x)``: see :func:`igamma`.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.igammac(1.0, 2.0)):.4f}"  # exp(-2)
    '0.1353'
    """


def _gamma_density(a: Tensor, x: Tensor) -> Tensor:
    return exp(xlogy(a - constant(1, a.dtype), x) - x - lgamma(a))


@igamma.gradient
@named(None, "Reshape_1")
def _(op: Any, dy: Any) -> Any:
    return None, sum_to_like(dy * _gamma_density(*op.inputs), op.inputs[1], op)


@igammac.gradient
@named(None, "Neg_2")
def _(op: Any, dy: Any) -> Any:
    return None, sum_to_like(-dy * _gamma_density(*op.inputs), op.inputs[1], op)


@_special("Betainc", 5)
def betainc(a: Any, b: Any, x: Any, name: str | None = None) -> Any:
    """Regularised incomplete beta function, with broadcasting: ``integral of t**(a - 1) *
    (1 - t)**(b - 1) for t from 0 to x``, divided by its value for ``x = 1``.

    Parameters
    ----------
    a, b : tensor_like of float
        Above 0.
    x : tensor_like of float
        From 0 to 1; NaN elsewhere.
    name : str, optional

    Returns
    -------
    Tensor
        The gradient flows to ``x`` alone, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.betainc(1.0, 1.0, 0.25)))
    0.25
    """


@betainc.gradient
@named(None, None, "Reshape")
def _(op: Any, dy: Any) -> Any:
    a, b, x = op.inputs
    one = constant(1, x.dtype)
    log_beta = lgamma(a) + lgamma(b) - lgamma(a + b)
    density = exp(xlogy(a - one, x) + (b - one) * log1p(-x) - log_beta)
    return None, None, sum_to_like(dy * density, x, op)


def lbeta(x: Any, name: str | None = None) -> Tensor:
    """``sum(lgamma(x)) - lgamma(sum(x))`` along the last dimension: of two numbers, the logarithm
    of the beta function.

    Examples
    --------
    >>> import gradplan as gp
    >>> f"{gp.Session().run(gp.lbeta([2.0, 3.0])):.4f}"  # log(1 / 12)
    '-2.4849'
    """
    graph = graph_of([x])
    with graph.as_default(), graph.name_scope(name or "lbeta"):
        x = convert_to_tensor(x, name="x")
        return reduce_sum(lgamma(x), -1) - lgamma(reduce_sum(x, -1))
