"""Normalisation over batches and over neighbouring channels; names of ``gp.nn``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import CALL, VIEW, graph_of, op
from gradplan.ops import math, window
from gradplan.ops.array import all_entering, entering, identity_n, reshape, shape
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.functions import rsqrt, squared_difference
from gradplan.ops.math import maximum, square
from gradplan.ops.reduce import reduce_mean

__all__ = [
    "batch_norm_with_global_normalization",
    "batch_normalization",
    "fused_batch_norm",
    "local_response_normalization",
    "lrn",
]


def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: Any,
    name: str | None = None,
) -> Tensor:
    """``(x - mean) / sqrt(variance + variance_epsilon) * scale + offset``.

    Parameters
    ----------
    x : tensor_like of float
    mean, variance : tensor_like
        Of shapes that broadcast to that of ``x``.
    offset, scale : tensor_like or None
        Likewise; None leaves that step out.
    variance_epsilon : float
    name : str, optional

    Notes
    -----
    S. Ioffe and C. Szegedy, Batch Normalization, 2015. It is computed as ``x * a + b``.

    Examples
    --------
    >>> import gradplan as gp
    >>> y = gp.nn.batch_normalization([[1.0], [3.0]], [2.0], [1.0], None, [10.0], 0.0)
    >>> gp.Session().run(y).ravel()
    array([-10.,  10.], dtype=float32)
    """
    graph, scope = window.in_scope([x, mean, variance], name, "batchnorm")
    with graph, scope:
        x = convert_to_tensor(x)

        def given(t: Any) -> Any:
            """Numbers stay Python's own, so that no operation adds two of them."""
            if t is None or isinstance(t, (int, float, np.ndarray, np.generic)):
                return t
            return convert_to_tensor(t, x.dtype if isinstance(t, (list, tuple)) else None)

        mean, variance, offset, scale = map(given, (mean, variance, offset, scale))
        factor = rsqrt(variance + variance_epsilon)
        if scale is not None:
            factor = factor * scale
        scaled = x * cast(factor, x.dtype)
        return scaled + cast(-mean * factor if offset is None else offset - mean * factor, x.dtype)


def batch_norm_with_global_normalization(
    t: Any = None,
    m: Any = None,
    v: Any = None,
    beta: Any = None,
    gamma: Any = None,
    variance_epsilon: Any = None,
    scale_after_normalization: Any = None,
    name: str | None = None,
    input: Any = None,
    mean: Any = None,
    variance: Any = None,
) -> Tensor:
    """:func:`batch_normalization` with offset ``beta``, and scale ``gamma`` where
    ``scale_after_normalization`` says so; ``input``, ``mean`` and ``variance`` are other names.

    Examples
    --------
    >>> import gradplan as gp
    >>> y = gp.nn.batch_norm_with_global_normalization(
    ...     [[1.0], [3.0]], [2.0], [1.0], [5.0], [10.0], 0.0, False)
    >>> gp.Session().run(y).ravel()
    array([4., 6.], dtype=float32)
    """
    t = window.one_of(t, input, "t", "input")
    m = window.one_of(m, mean, "m", "mean")
    v = window.one_of(v, variance, "v", "variance")
    scale = gamma if scale_after_normalization else None
    return batch_normalization(t, m, v, beta, scale, variance_epsilon, name)


def fused_batch_norm(
    x: Any,
    scale: Any,
    offset: Any,
    mean: Any = None,
    variance: Any = None,
    epsilon: Any = 0.001,
    data_format: Any = "NHWC",
    is_training: bool = True,
    name: str | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Batch normalisation of images, by the statistics of the batch or by given ones.

    Parameters
    ----------
    x : tensor_like of float, shape [batch, height, width, channels]
    scale, offset : tensor_like, shape [channels]
    mean, variance : tensor_like, shape [channels]
        The statistics, if ``is_training`` is false; else they are left out.
    epsilon : float, optional
        Added to the variance; at least 1.001e-5. Default: 0.001.
    data_format : {"NHWC", "NCHW"}, optional
    is_training : bool, optional
        Whether the statistics are those of ``x``. Default: True.
    name : str, optional

    Returns
    -------
    y : Tensor
        ``(x - mean) / sqrt(variance + epsilon) * scale + offset``.
    batch_mean, batch_variance : Tensor, shape [channels]
        What a moving average takes up: the mean, and the variance with n - 1 for n elements of a
        channel (``y`` is made with n); or the statistics that were given.

    Raises
    ------
    ValueError
        If a rank or the number of channels does not fit, or statistics are given where there
        should be none, or the other way round.

    Notes
    -----
    S. Ioffe and C. Szegedy, Batch Normalization, 2015.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.constant([1.0, 3.0]), [2, 1, 1, 1])
    >>> y, mean, variance = gp.nn.fused_batch_norm(x, [10.0], [5.0], epsilon=1e-4)
    >>> print(gp.Session().run([mean, variance]))
    [array([2.], dtype=float32), array([2.], dtype=float32)]
    """
    form = window.layout(data_format, 2)
    given = [mean is not None, variance is not None]
    if any(given) if is_training else not all(given):
        wanted = "must be None" if is_training else "must both be given"
        raise ValueError(
            at_user_line(
                f"fused_batch_norm: mean and variance {wanted} where is_training is {is_training}"
            )
        )
    graph = graph_of([x, scale, offset])
    if is_training:  # TensorFlow 1 makes empty statistics
        graph.reserve("Const", "Const")
    with graph.as_default(), graph.name_scope(name or "FusedBatchNormV3") as full:
        x = convert_to_tensor(x)
        scale, offset = (convert_to_tensor(t, x.dtype) for t in (scale, offset))
        called = f"/{full[:-1]}_grad/FusedBatchNormGradV3"
        x, scale, offset = all_entering([x, scale, offset], called)
        channel = window.channel_axis(form)
        axes = [i for i in range(4) if i != channel]

        def row(value: Any, key: str) -> Any:
            return _channel_row(value, x, channel=channel, name=key)

        factor, shift = row(scale, "scale"), row(offset, "offset")
        if is_training:
            center = reduce_mean(x, axes, keepdims=True)
            spread = reduce_mean(squared_difference(x, center), axes, keepdims=True)
            n, one = cast(_number(x, axes), x.dtype), constant(1, x.dtype)
            mean = reshape(center, [-1])
            variance = reshape(spread * (n / maximum(n - one, one)), [-1])
        else:
            mean, variance = (convert_to_tensor(t, x.dtype) for t in (mean, variance))
            center, spread = row(mean, "mean_row"), row(variance, "variance_row")
        eps = constant(max(float(epsilon), 1.001e-5), x.dtype)
        y = math.add((x - center) * (rsqrt(spread + eps) * factor), shift)
        y.set_shape([None] * 4)
        return tuple(identity_n([y, mean, variance], full))  # type: ignore[return-value]


@op("ChannelRow", VIEW, types="T T -> T")
def _channel_row(row: Any, x: Any, channel: int = 3, name: str | None = None) -> Any:
    """``row``, of a number for each channel of ``x``, so that it broadcasts to ``x``."""


@_channel_row.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    channel = attrs["channel"]
    x = window.of_rank(in_shapes[1], 4, "x")
    row = shapes.merge(window.of_rank(in_shapes[0], 1, "a row of channels"), (x[channel],))
    if row is False:
        raise ValueError(f"{shapes.text(in_shapes[0])} holds no number for each of {x[channel]}")
    return tuple(row[0] if i == channel else 1 for i in range(4))  # type: ignore[index]


@_channel_row.lower
def _(binder: Any, op: Any) -> None:
    dims = binder.shape(op.outputs[0])
    step = binder.view(op.inputs[0]).strides[0]
    steps = [step if i == op.attrs["channel"] else 0 for i in range(4)]
    binder.alias(op, binder.view(op.inputs[0]).seen(dims, steps))


@_channel_row.gradient
def _(op: Any, dy: Any) -> Any:
    return reshape(dy, shape(op.inputs[0])), None


def _number(x: Tensor, axes: Any) -> Any:
    """Elements of a channel."""
    sizes = shape(x)
    return sizes[axes[0]] * sizes[axes[1]] * sizes[axes[2]]


@op("NeighbourSum", CALL, kernel="reduce_sum", flops=lambda attrs, s: shapes.size(s[0]))
def _neighbour_sum(x: Any, radius: int = 0, name: str | None = None) -> Any:
    """Of each element and those up to ``radius`` before and after it along the last dimension."""


@_neighbour_sum.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return window.of_rank(in_shapes[0], 4, "input")


@_neighbour_sum.gradient
def _(op: Any, dy: Any) -> Any:
    return _neighbour_sum(dy, op.attrs["radius"])


@_neighbour_sum.lower
def _(binder: Any, op: Any) -> None:
    """With zeros around, a window is another look at the same memory, and its sum a reduction."""
    x, out = binder.view(op.inputs[0]), binder.result(op)
    channels, rows = x.dims[-1], shapes.size(x.dims[:-1])
    radius = min(op.attrs["radius"], channels)
    wide = binder.scratch(op.name, x.dtype, (*x.dims[:-1], channels + 2 * radius))
    binder.emit("fill_zero", [wide], [])
    binder.copy(wide.window(3, radius, channels), x)
    windows = wide.seen((rows, channels, 2 * radius + 1), (channels + 2 * radius, 1, 1))
    binder.emit("reduce_sum", [out.reshaped((rows, channels, 1))], [windows])


def lrn(
    input: Any,
    depth_radius: Any = 5,
    bias: Any = 1,
    alpha: Any = 1,
    beta: Any = 0.5,
    name: str | None = None,
) -> Tensor:
    """Local response normalisation: ``input / (bias + alpha * s) ** beta``, where s is the sum of
    the squares of up to ``depth_radius`` channels on either side and of the element itself.

    Parameters
    ----------
    input : tensor_like of float, shape [batch, height, width, channels]
    depth_radius : int, optional
        Default: 5.
    bias, alpha, beta : float, optional
        Default: 1, 1, 0.5.
    name : str, optional

    Raises
    ------
    ValueError
        If the rank is not 4, or ``depth_radius`` is negative.

    Notes
    -----
    A. Krizhevsky, I. Sutskever and G. Hinton, ImageNet Classification with Deep Convolutional
    Neural Networks, 2012.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.constant([3.0, 4.0]), [1, 1, 1, 2])
    >>> gp.Session().run(gp.nn.lrn(x, 1, bias=0.0)).ravel()
    array([0.6, 0.8], dtype=float32)
    """
    radius = int(np.asarray(depth_radius))
    if radius < 0:
        raise ValueError(at_user_line(f"lrn: depth_radius must not be negative, but is {radius}"))
    graph, scope = window.in_scope([input], name, "LRN")
    with graph, scope as full:
        x = entering(convert_to_tensor(input), f"/{full[:-1]}_grad/LRNGrad")
        sums = _neighbour_sum(square(x), radius)
        base = constant(bias, x.dtype) + constant(alpha, x.dtype) * sums
        factor = rsqrt(base) if beta == 0.5 else base ** constant(-beta, x.dtype)
        out: Tensor = math.multiply(x, factor, name=full)
        out.set_shape([None] * 4)
        return out


local_response_normalization = lrn
