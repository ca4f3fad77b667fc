"""Activations: functions of one number that stand between the layers of a network."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes
from gradplan.graph import Tensor
from gradplan.names import gradient_called, named
from gradplan.opdef import MAP, graph_of, op
from gradplan.ops.casts import to_float
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.logic import greater, less
from gradplan.ops.math import abs, multiply, sigmoid, square
from gradplan.ops.slicing import concat, where

__all__ = ["crelu", "elu", "leaky_relu", "relu", "relu6", "selu", "softplus", "softsign"]


@op("Relu", MAP, kernel="relu", T=dtypes.FLOATS)
def relu(features: Any, name: str | None = None) -> Any:
    """Rectified linear: ``max(features, 0)``, elementwise; NaN stays NaN. Its gradient at 0 is 0.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.relu([-1.0, 2.0]))
    array([0., 2.], dtype=float32)
    """


@relu.gradient
def _(op: Any, dy: Any) -> Any:
    return _relu_grad(dy, op.outputs[0])


@op("ReluGrad", MAP, kernel="relu_grad", T=dtypes.FLOATS)
def _relu_grad(gradients: Any, features: Any, name: str | None = None) -> Any:
    """``gradients`` where ``features > 0``, else 0; ``features`` may be relu's input or result."""


@_relu_grad.gradient
def _(op: Any, g: Any) -> Any:
    return _relu_grad(g, op.inputs[1]), None


@op("Softplus", MAP, kernel="softplus", flops=20)
def softplus(features: Any, name: str | None = None) -> Any:
    """``log(1 + exp(features))``, elementwise, without overflow.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.softplus([0.0, 100.0]))
    array([  0.6931472, 100.       ], dtype=float32)
    """


@softplus.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * sigmoid(op.inputs[0])


@op("Relu6", MAP, kernel="relu6", flops=2)
def relu6(features: Any, name: str | None = None) -> Any:
    """``min(max(features, 0), 6)``, elementwise; NaN stays NaN. Its gradient at 0 and 6 is 0.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.relu6([-1.0, 2.0, 7.0]))
    array([0., 2., 6.], dtype=float32)
    """


@relu6.gradient
@named("Relu6Grad")
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return where(less(y, constant(6, y.dtype)), _relu_grad(dy, y), constant(0, dy.dtype))


@op("Elu", MAP, kernel="elu", flops=20)
def elu(features: Any, name: str | None = None) -> Any:
    """Exponential linear: ``features`` from 0 on, ``exp(features) - 1`` below.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.elu([-1.0, 2.0]))
    array([-0.63212055,  2.        ], dtype=float32)
    """


@elu.gradient
@named("EluGrad")
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return where(less(y, constant(0, y.dtype)), dy * (y + constant(1, y.dtype)), dy)


@op("Selu", MAP, kernel="selu", flops=20)
def selu(features: Any, name: str | None = None) -> Any:
    """Scaled exponential linear: ``scale * features`` from 0 on, below it
    ``scale * alpha * (exp(features) - 1)``, with scale 1.0507... and alpha 1.6733...

    Notes
    -----
    G. Klambauer et al., *Self-Normalizing Neural Networks*, 2017.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.selu([-1.0, 2.0]))
    array([-1.1113307,  2.101402 ], dtype=float32)
    """


@selu.gradient
@named("SeluGrad")
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    scale, low = constant(1.0507009873554805, y.dtype), constant(1.7580993408473769, y.dtype)
    return where(less(y, constant(0, y.dtype)), dy * (y + low), dy * scale)


@op("Softsign", MAP, kernel="softsign", flops=6)
def softsign(features: Any, name: str | None = None) -> Any:
    """``features / (1 + abs(features))``, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.softsign([-1.0, 3.0]))
    array([-0.5 ,  0.75], dtype=float32)
    """


@softsign.gradient
@named("SoftsignGrad")
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy / square(abs(x) + constant(1, x.dtype))


def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Tensor:
    """``features`` where they are positive, ``alpha * features`` where not, elementwise.

    Parameters
    ----------
    features : tensor_like
        Floats; integers become float32, as in TensorFlow.
    alpha : float, optional
        The slope below 0. Default: 0.2.
    name : str, optional

    Returns
    -------
    Tensor
        Of the shape and type of ``features``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.leaky_relu([-1.0, 2.0]))
    array([-0.2,  2. ], dtype=float32)
    """
    graph = graph_of([features])
    with graph.as_default(), graph.name_scope(name or "LeakyRelu") as scope:
        features = convert_to_tensor(features)
        if features.dtype.is_integer:
            features = to_float(features)
        slope = convert_to_tensor(alpha, features.dtype)
        positive = greater(features, constant(0, features.dtype))
        factor = where(positive, constant(1, features.dtype), slope)
        out = multiply(features, factor, name=scope)
        return gradient_called(out, "LeakyReluGrad")


def crelu(features: Any, name: str | None = None, axis: int = -1) -> Tensor:
    """The positive part and the negative part, ``concat([relu(x), relu(-x)], axis)``.

    Parameters
    ----------
    features : tensor_like
        float32 or float64.
    name : str, optional
    axis : int, optional
        Dimension that becomes twice as large. Default: the last.

    Returns
    -------
    Tensor

    Notes
    -----
    W. Shang et al., *Understanding and Improving Convolutional Neural Networks via Concatenated
    Rectified Linear Units*, 2016.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.nn.crelu([-1.0, 2.0]))
    array([0., 2., 1., 0.], dtype=float32)
    """
    graph = graph_of([features])
    with graph.as_default(), graph.name_scope(name or "CRelu"):
        features = convert_to_tensor(features)
        parts = [relu(features, name="positive"), relu(-features, name="negative")]
        return concat(parts, axis, name="Relu")
