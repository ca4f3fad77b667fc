"""Convolutions in one, two and three dimensions, and their transposes; names of ``gp.nn``."""

from __future__ import annotations

from typing import Any

from gradplan.graph import Tensor, at_user_line
from gradplan.names import gradient_called
from gradplan.ops import window
from gradplan.ops.array import expand_dims
from gradplan.ops.constant import convert_to_tensor, has_tensor
from gradplan.ops.conv_kernels import (
    conv2d_filter_op,
    conv2d_input_op,
    conv2d_op,
    conv3d_filter_op,
    conv3d_input_op,
    conv3d_op,
)
from gradplan.ops.slicing import concat
from gradplan.ops.window import one_of, window_attrs

__all__ = [
    "atrous_conv2d",
    "atrous_conv2d_transpose",
    "conv1d",
    "conv1d_transpose",
    "conv2d",
    "conv2d_backprop_filter",
    "conv2d_backprop_input",
    "conv2d_transpose",
    "conv3d",
    "conv3d_backprop_filter",
    "conv3d_backprop_filter_v2",
    "conv3d_transpose",
    "convolution",
]


def conv2d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Convolution of images: ``y[n, i, j, k] = sum over a, b, c of
    x[n, i s + a d - p, j s + b d - p, c] f[a, b, c, k]``, with strides s, dilations d, padding p.

    Parameters
    ----------
    input : tensor_like of float, shape [batch, height, width, channels]
        With ``data_format="NCHW"``: [batch, channels, height, width].
    filter : tensor_like, shape [height, width, channels, out channels]
    strides, dilations : int, or list of 1, 2 or 4 int
        Of 4, those of batch and channels must be 1. Default: 1.
    padding : {"SAME", "VALID"} or list of 4 pairs of int
        "SAME" pads with zeros so that the result has ``ceil(size / stride)`` places, the odd zero
        at the end; "VALID" pads nothing; a list says how many zeros come before and after.
    use_cudnn_on_gpu : bool, optional
        Accepted and ignored.
    data_format : {"NHWC", "NCHW"}, optional
    name : str, optional
    filters : optional
        Other name of ``filter``.

    Raises
    ------
    ValueError
        If a rank is not 4, the channels of input and filter differ, the filter is larger than the
        padded input, or an argument has none of the forms above.

    Notes
    -----
    A direct algorithm: no matrix of patches is made. What TensorFlow calls a convolution is a
    cross-correlation: the filter is not turned.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.constant([1.0, 2.0, 3.0, 4.0]), [1, 2, 2, 1])
    >>> f = gp.reshape(gp.constant([1.0, 10.0]), [1, 2, 1, 1])
    >>> gp.Session().run(gp.nn.conv2d(x, f, strides=1, padding="VALID")).ravel()
    array([21., 43.], dtype=float32)
    """
    filter = one_of(filter, filters, "filter", "filters")
    attrs = window_attrs(2, strides, padding, data_format, dilations)
    return conv2d_op(input, filter, **attrs, name=name)  # type: ignore[no-any-return]


def conv2d_backprop_input(
    input_sizes: Any,
    filter: Any = None,
    out_backprop: Any = None,
    strides: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: bool = True,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """The gradient of :func:`conv2d` with respect to its input.

    Parameters
    ----------
    input_sizes : tensor_like of int32 or int64, shape [4]
        The shape of the input.
    filter, strides, padding, data_format, dilations
        As for :func:`conv2d`.
    out_backprop : tensor_like
        The gradient with respect to the result.

    Raises
    ------
    ValueError
        If the convolution of such an input has not the shape of ``out_backprop``.

    Examples
    --------
    >>> import gradplan as gp
    >>> f, dy = gp.ones([1, 2, 1, 1]), gp.ones([1, 1, 2, 1])
    >>> dx = gp.nn.conv2d_backprop_input([1, 1, 3, 1], f, dy, 1, "VALID")
    >>> gp.Session().run(dx).ravel()
    array([1., 2., 1.], dtype=float32)
    """
    filter = one_of(filter, filters, "filter", "filters")
    attrs = window_attrs(2, strides, padding, data_format, dilations)
    out: Tensor = conv2d_input_op(input_sizes, filter, out_backprop, **attrs, name=name)
    return out


def conv2d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    use_cudnn_on_gpu: bool = True,
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of :func:`conv2d` with respect to its filter, of shape ``filter_sizes``; the
    other parameters and errors are those of :func:`conv2d_backprop_input`.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, dy = gp.ones([1, 1, 3, 1]), gp.ones([1, 1, 2, 1])
    >>> df = gp.nn.conv2d_backprop_filter(x, [1, 2, 1, 1], dy, 1, "VALID")
    >>> gp.Session().run(df).ravel()
    array([2., 2.], dtype=float32)
    """
    attrs = window_attrs(2, strides, padding, data_format, dilations)
    out: Tensor = conv2d_filter_op(input, filter_sizes, out_backprop, **attrs, name=name)
    return out


def conv2d_transpose(
    value: Any = None,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: Any = "NHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The transpose of :func:`conv2d`, sometimes called deconvolution: from the places of its
    result back to those of its input.

    Parameters
    ----------
    value : tensor_like, shape [batch, height, width, in channels]
    filter : tensor_like, shape [height, width, out channels, in channels]
    output_shape : tensor_like of int, shape [4]
    strides, padding, data_format, dilations
        Those of the convolution that takes ``output_shape`` to the shape of ``value``.
    name : str, optional
    input, filters : optional
        Other names of ``value`` and ``filter``.

    Raises
    ------
    ValueError
        If a convolution of ``output_shape`` has not the shape of ``value``.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, f = gp.ones([1, 1, 2, 1]), gp.ones([1, 2, 1, 1])
    >>> gp.Session().run(gp.nn.conv2d_transpose(x, f, [1, 1, 4, 1], [1, 2])).ravel()
    array([1., 1., 1., 1.], dtype=float32)
    """
    value = one_of(value, input, "value", "input")
    filter = one_of(filter, filters, "filter", "filters")
    attrs = window_attrs(2, strides, padding, data_format, dilations)
    name = name or "conv2d_transpose"
    out: Tensor = conv2d_input_op(output_shape, filter, value, **attrs, name=name)
    return out


def conv3d(
    input: Any,
    filter: Any = None,
    strides: Any = None,
    padding: Any = None,
    data_format: Any = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
    filters: Any = None,
) -> Tensor:
    """Convolution of volumes; as :func:`conv2d` with one dimension more.

    Parameters
    ----------
    input : tensor_like, shape [batch, depth, height, width, channels]
        With ``data_format="NCDHW"`` the channels come second.
    filter : tensor_like, shape [depth, height, width, channels, out channels]

    Examples
    --------
    >>> import gradplan as gp
    >>> y = gp.nn.conv3d(gp.ones([1, 2, 2, 2, 1]), gp.ones([2, 2, 2, 1, 1]), 1, "VALID")
    >>> gp.Session().run(y).ravel()
    array([8.], dtype=float32)
    """
    filter = one_of(filter, filters, "filter", "filters")
    attrs = window_attrs(3, strides, padding, data_format, dilations)
    return conv3d_op(input, filter, **attrs, name=name)  # type: ignore[no-any-return]


def conv3d_transpose(
    value: Any,
    filter: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: Any = "NDHWC",
    name: str | None = None,
    input: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """The transpose of :func:`conv3d`; see :func:`conv2d_transpose`.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, f = gp.ones([1, 1, 1, 1, 1]), gp.ones([1, 1, 2, 1, 1])
    >>> gp.Session().run(gp.nn.conv3d_transpose(x, f, [1, 1, 1, 2, 1], 2)).ravel()
    array([1., 1.], dtype=float32)
    """
    value = one_of(value, input, "value", "input")
    filter = one_of(filter, filters, "filter", "filters")
    attrs = window_attrs(3, strides, padding, data_format, dilations)
    name = name or "conv3d_transpose"
    out: Tensor = conv3d_input_op(output_shape, filter, value, **attrs, name=name)
    return out


def conv3d_backprop_filter(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
) -> Tensor:
    """The gradient of :func:`conv3d` with respect to its filter, of shape ``filter_sizes``.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, dy = gp.ones([1, 1, 1, 3, 1]), gp.ones([1, 1, 1, 2, 1])
    >>> df = gp.nn.conv3d_backprop_filter(x, [1, 1, 2, 1, 1], dy, 1, "VALID")
    >>> gp.Session().run(df).ravel()
    array([2., 2.], dtype=float32)
    """
    attrs = window_attrs(3, strides, padding, data_format, dilations)
    out: Tensor = conv3d_filter_op(input, filter_sizes, out_backprop, **attrs, name=name)
    return out


conv3d_backprop_filter_v2 = conv3d_backprop_filter

# ---- one dimension: an image of height 1 ---------------------------------------------------------


def _as_image(attrs: dict[str, Any]) -> dict[str, Any]:
    """The attributes of a convolution along one dimension, for an image of height 1."""
    form = attrs["data_format"]
    at = window.inner(range(3), form)[0]  # where the height of 1 is put in

    def wider(values: Any, fill: Any) -> Any:
        return (*values[:at], *fill, *values[at:])

    explicit = attrs["explicit_paddings"]
    return {
        "strides": wider(attrs["strides"], (1,)),
        "padding": attrs["padding"],
        "explicit_paddings": (*explicit[: 2 * at], 0, 0, *explicit[2 * at :]) if explicit else (),
        "data_format": {"NWC": "NHWC", "NCW": "NCHW"}[form],
        "dilations": wider(attrs["dilations"], (1,)),
    }


def conv1d(
    value: Any = None,
    filters: Any = None,
    stride: Any = None,
    padding: Any = None,
    use_cudnn_on_gpu: Any = None,
    data_format: Any = None,
    name: str | None = None,
    input: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Convolution along one dimension: :func:`conv2d` of images of height 1.

    Parameters
    ----------
    value : tensor_like, shape [batch, width, channels]
        With ``data_format="NCW"``: [batch, channels, width].
    filters : tensor_like, shape [width, channels, out channels]
    stride, dilations : int, or list of 1 or 3 int
    padding, name
        As for :func:`conv2d`.
    data_format : {"NWC", "NCW"}, optional
        Default: "NWC"; "NHWC" and "NCHW" are old names of them.
    input : optional
        Other name of ``value``.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, f = gp.ones([1, 4, 1]), gp.ones([2, 1, 1])
    >>> gp.Session().run(gp.nn.conv1d(x, f, 2, "VALID")).ravel()
    array([2., 2.], dtype=float32)
    """
    value = one_of(value, input, "value", "input")
    data_format = {"NHWC": "NWC", "NCHW": "NCW"}.get(data_format, data_format)
    attrs = _as_image(window_attrs(1, stride, padding, data_format, dilations))
    return _along_width(value, filters, attrs, name or "conv1d")


def _along_width(value: Any, filters: Any, attrs: dict[str, Any], name: str) -> Tensor:
    graph, scope = window.in_scope([value, filters], name, "conv1d")
    at = window.inner(range(4), attrs["data_format"])[0]
    with graph, scope as full:
        image = expand_dims(convert_to_tensor(value), at)
        made = conv2d_op(image, expand_dims(filters, 0), **attrs, name=full)
        return window.without(made, at)


def conv1d_transpose(
    input: Any,
    filters: Any,
    output_shape: Any,
    strides: Any,
    padding: Any = "SAME",
    data_format: Any = "NWC",
    dilations: Any = None,
    name: str | None = None,
) -> Tensor:
    """The transpose of :func:`conv1d`; see :func:`conv2d_transpose`.

    Parameters
    ----------
    input : tensor_like, shape [batch, width, in channels]
    filters : tensor_like, shape [width, out channels, in channels]
    output_shape : tensor_like of int, shape [3]

    Examples
    --------
    >>> import gradplan as gp
    >>> x, f = gp.ones([1, 2, 1]), gp.ones([2, 1, 1])
    >>> gp.Session().run(gp.nn.conv1d_transpose(x, f, [1, 3, 1], 1, "VALID")).ravel()
    array([1., 2., 1.], dtype=float32)
    """
    attrs = _as_image(window_attrs(1, strides, padding, data_format, dilations))
    graph, scope = window.in_scope([input, filters, output_shape], name, "conv1d_transpose")
    at = window.inner(range(4), attrs["data_format"])[0]
    with graph, scope as full:
        if isinstance(output_shape, Tensor) or has_tensor(output_shape):
            given = convert_to_tensor(output_shape)
            sizes: Any = concat([given[:at], [1], given[at:]], 0)
        else:
            dims = [int(d) for d in output_shape]
            if len(dims) != 3:
                raise ValueError(
                    at_user_line(f"conv1d_transpose: output_shape must have 3 elements: {dims}")
                )
            sizes = [*dims[:at], 1, *dims[at:]]
        image = expand_dims(convert_to_tensor(input), at)
        made = conv2d_input_op(sizes, expand_dims(filters, 0), image, **attrs, name=full)
        return window.without(made, at)


# ---- other names ---------------------------------------------------------------------------------


def atrous_conv2d(value: Any, filters: Any, rate: Any, padding: Any, name: Any = None) -> Tensor:
    """:func:`conv2d` whose taps are ``rate`` apart in height and width.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.constant([1.0, 2.0, 3.0]), [1, 1, 3, 1])
    >>> gp.Session().run(gp.nn.atrous_conv2d(x, gp.ones([1, 2, 1, 1]), 2, "VALID")).ravel()
    array([4.], dtype=float32)
    """
    rates = [rate, rate]
    graph, scope = window.in_scope([value, filters], name, "convolution")
    with graph, scope as full:
        made = conv2d(value, filters, 1, padding, dilations=rates, name=full)
        if rate != 1:
            gradient_called(made, f"/{full}SpaceToBatchND_grad/BatchToSpaceND")
        return window.dilated(made, rates)


def atrous_conv2d_transpose(
    value: Any, filters: Any, output_shape: Any, rate: Any, padding: Any, name: Any = None
) -> Tensor:
    """The transpose of :func:`atrous_conv2d`; ``filters`` is [height, width, out, in channels].

    Examples
    --------
    >>> import gradplan as gp
    >>> x, f = gp.ones([1, 1, 1, 1]), gp.ones([1, 2, 1, 1])
    >>> y = gp.nn.atrous_conv2d_transpose(x, f, [1, 1, 3, 1], 2, "VALID")
    >>> gp.Session().run(y).ravel()
    array([1., 0., 1.], dtype=float32)
    """
    rates = [rate, rate]
    graph, scope = window.in_scope([value, filters], name, "atrous_conv2d_transpose")
    with graph, scope:
        made = conv2d_transpose(value, filters, output_shape, 1, padding, dilations=rates)
        return window.dilated(made, rates)


def convolution(
    input: Any,
    filter: Any,
    padding: Any,
    strides: Any = None,
    dilation_rate: Any = None,
    name: str | None = None,
    data_format: Any = None,
    filters: Any = None,
    dilations: Any = None,
) -> Tensor:
    """:func:`conv1d`, :func:`conv2d` or :func:`conv3d`, by the rank of the input.

    Parameters
    ----------
    input : tensor_like of rank 3, 4 or 5
    filter : tensor_like of that rank
    padding, name, data_format
        As for these functions.
    strides, dilation_rate : sequence of int, optional
        One for each inner dimension. Default: 1.
    filters, dilations : optional
        Other names of ``filter`` and ``dilation_rate``.

    Raises
    ------
    ValueError
        If the rank is unknown or another, or strides and dilations are both above 1.

    Examples
    --------
    >>> import gradplan as gp
    >>> y = gp.nn.convolution(gp.ones([1, 3, 1]), gp.ones([2, 1, 1]), "VALID")
    >>> gp.Session().run(y).ravel()
    array([2., 2.], dtype=float32)
    """
    filter = one_of(filter, filters, "filter", "filters")
    if dilation_rate is not None and dilations is not None:
        raise ValueError(at_user_line("give dilation_rate or dilations, not both"))
    rate = dilation_rate if dilations is None else dilations
    x, f = convert_to_tensor(input), filter
    rank = window.static_rank(x, "convolution")
    if rank not in (3, 4, 5):
        raise ValueError(at_user_line(f"convolution takes inputs of rank 3, 4 or 5, not {x}"))
    attrs = window_attrs(rank - 2, strides, padding, data_format, rate)
    if any(s > 1 for s in attrs["strides"]) and any(d > 1 for d in attrs["dilations"]):
        raise ValueError(at_user_line("convolution: strides > 1 go not with dilation_rate > 1"))
    graph, scope = window.in_scope([x, f], name, "convolution")
    with graph, scope as full:
        if rank == 3:
            made = _along_width(x, f, _as_image(attrs), full)
        else:
            made = (conv2d_op if rank == 4 else conv3d_op)(x, f, **attrs, name=full)
        return window.dilated(made, attrs["dilations"])
