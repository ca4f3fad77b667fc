"""Convolutions of each channel by itself; names of ``gp.nn``."""

from __future__ import annotations

from typing import Any

from gradplan.graph import Tensor, at_user_line
from gradplan.ops import window
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.conv_kernels import (
    conv2d_op,
    depthwise_filter_op,
    depthwise_input_op,
    depthwise_op,
)
from gradplan.ops.window import window_attrs

__all__ = [
    "depthwise_conv2d",
    "depthwise_conv2d_backprop_filter",
    "depthwise_conv2d_backprop_input",
    "depthwise_conv2d_native",
    "depthwise_conv2d_native_backprop_filter",
    "depthwise_conv2d_native_backprop_input",
    "separable_conv2d",
]


def depthwise_conv2d_native(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """Convolution of each channel with filters of its own: ``y[n, i, j, c m + q] = sum over a, b of
    x[n, i s + a d - p, j s + b d - p, c] f[a, b, c, q]``.

    Parameters
    ----------
    input : tensor_like, shape [batch, height, width, channels]
    filter : tensor_like, shape [height, width, channels, m]
    strides, padding, data_format, dilations
        As for :func:`gradplan.nn.conv2d`.
    name : str, optional

    Returns
    -------
    Tensor, shape [batch, height', width', channels * m]

    Raises
    ------
    ValueError
        As for :func:`gradplan.nn.conv2d`.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([[[[1.0, 2.0]]]])
    >>> f = gp.constant([[[[10.0, 20.0], [30.0, 40.0]]]])
    >>> gp.Session().run(gp.nn.depthwise_conv2d_native(x, f, 1, "VALID")).ravel()
    array([10., 20., 60., 80.], dtype=float32)
    """
    attrs = window_attrs(2, strides, padding, data_format, dilations)
    return depthwise_op(input, filter, **attrs, name=name)  # type: ignore[no-any-return]


def depthwise_conv2d_native_backprop_input(
    input_sizes: Any,
    filter: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of :func:`depthwise_conv2d_native` with respect to its input, of shape
    ``input_sizes``.

    Examples
    --------
    >>> import gradplan as gp
    >>> f, dy = gp.ones([1, 2, 1, 1]), gp.ones([1, 1, 2, 1])
    >>> dx = gp.nn.depthwise_conv2d_native_backprop_input([1, 1, 3, 1], f, dy, 1, "VALID")
    >>> gp.Session().run(dx).ravel()
    array([1., 2., 1.], dtype=float32)
    """
    attrs = window_attrs(2, strides, padding, data_format, dilations)
    out: Tensor = depthwise_input_op(input_sizes, filter, out_backprop, **attrs, name=name)
    return out


def depthwise_conv2d_native_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of :func:`depthwise_conv2d_native` with respect to its filter, of shape
    ``filter_sizes``.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, dy = gp.ones([1, 1, 3, 1]), gp.ones([1, 1, 2, 1])
    >>> df = gp.nn.depthwise_conv2d_native_backprop_filter(x, [1, 2, 1, 1], dy, 1, "VALID")
    >>> gp.Session().run(df).ravel()
    array([2., 2.], dtype=float32)
    """
    attrs = window_attrs(2, strides, padding, data_format, dilations)
    out: Tensor = depthwise_filter_op(input, filter_sizes, out_backprop, **attrs, name=name)
    return out


depthwise_conv2d_backprop_input = depthwise_conv2d_native_backprop_input
depthwise_conv2d_backprop_filter = depthwise_conv2d_native_backprop_filter


def _dilations(rate: Any, dilations: Any) -> Any:
    if rate is not None and dilations is not None:
        raise ValueError(at_user_line("give rate or dilations, not both"))
    return dilations if rate is None else rate


def depthwise_conv2d(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    rate: Any = None,
    name: str | None = None,
    data_format: Any = None,
    dilations: Any = None,
) -> Tensor:
    """:func:`depthwise_conv2d_native`, with dilations called ``rate``.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, f = gp.ones([1, 1, 3, 1]), gp.ones([1, 2, 1, 1])
    >>> gp.Session().run(gp.nn.depthwise_conv2d(x, f, [1, 1, 1, 1], "VALID", [2, 2])).ravel()
    array([2.], dtype=float32)
    """
    attrs = window_attrs(2, strides, padding, data_format, _dilations(rate, dilations))
    graph, scope = window.in_scope([input, filter], name, "depthwise")
    with graph, scope as full:
        return window.dilated(depthwise_op(input, filter, **attrs, name=full), attrs["dilations"])


def separable_conv2d(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    rate: Any = None,
    name: str | None = None,
    data_format: Any = None,
    dilations: Any = None,
) -> Tensor:
    """:func:`depthwise_conv2d`, then a convolution with a filter of height and width 1.

    Parameters
    ----------
    input : tensor_like, shape [batch, height, width, channels]
    depthwise_filter : tensor_like, shape [height, width, channels, m]
    pointwise_filter : tensor_like, shape [1, 1, channels * m, out channels]
    strides, padding, rate, data_format, dilations
        Of the first of the two.
    name : str, optional

    Raises
    ------
    ValueError
        If ``pointwise_filter`` is not [1, 1, ...], and as for :func:`gradplan.nn.conv2d`.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, f = gp.ones([1, 1, 2, 2]), gp.ones([1, 2, 2, 1])
    >>> y = gp.nn.separable_conv2d(x, f, gp.ones([1, 1, 2, 3]), 1, "VALID")
    >>> gp.Session().run(y).ravel()
    array([4., 4., 4.], dtype=float32)
    """
    attrs = window_attrs(2, strides, padding, data_format, _dilations(rate, dilations))
    inputs = [input, depthwise_filter, pointwise_filter]
    graph, scope = window.in_scope(inputs, name, "separable_conv2d")
    with graph, scope as full:
        pointwise = convert_to_tensor(pointwise_filter)
        known = pointwise._shape
        if known is not None and (len(known) != 4 or {*known[:2]} - {1, None}):
            raise ValueError(
                at_user_line(f"separable_conv2d: pointwise_filter must be [1, 1, ...]: {pointwise}")
            )
        inner = depthwise_op(input, depthwise_filter, **attrs, name="depthwise")
        last = {**window_attrs(2, 1, "VALID", data_format)}
        return conv2d_op(inner, pointwise, **last, name=full)  # type: ignore[no-any-return]
