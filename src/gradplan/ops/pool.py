"""Pooling: the largest or the average of each window; names of ``gp.nn``."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes
from gradplan.graph import Tensor, at_user_line
from gradplan.ops import window
from gradplan.ops.array import expand_dims
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.pool_kernels import (
    avg_pool3d_op,
    avg_pool_op,
    max_pool3d_op,
    max_pool_op,
    max_pool_with_argmax_op,
)
from gradplan.ops.window import inner, one_of

__all__ = [
    "avg_pool",
    "avg_pool1d",
    "avg_pool2d",
    "avg_pool3d",
    "max_pool",
    "max_pool1d",
    "max_pool2d",
    "max_pool3d",
    "max_pool_with_argmax",
    "pool",
]


def _attrs(
    spatial: int, ksize: Any, strides: Any, padding: Any, data_format: Any, dilations: Any = None
) -> dict[str, Any]:
    attrs = window.window_attrs(spatial, strides, padding, data_format, dilations)
    if attrs["padding"] == "EXPLICIT":
        raise ValueError(at_user_line(f"pooling pads 'SAME' or 'VALID', not {padding!r}"))
    return {"ksize": window.along(ksize, "ksize", attrs["data_format"]), **attrs}


_DOC = """

    Parameters
    ----------
    {value} : tensor_like, shape {shape}
    ksize : int or list of int
        The size of the windows, in the forms of ``strides``.
    strides : int or list of int
        How far apart windows lie: one number, one for each inner dimension, or one for each
        dimension, of which those of batch and channels are 1.
    padding : {{"SAME", "VALID"}}
        "SAME": windows may reach over the border, where nothing is.
    data_format : str, optional
        {form}
    name : str, optional
"""

_RAISES = """
    Raises
    ------
    ValueError
        If the rank does not fit, a window is larger than the input, or an argument has none of
        the forms above.
"""


def max_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The largest element of each window, channel by channel; NaN if there is one.{doc}
        input : optional
            Other name of ``value``.
    {raises}
        Notes
        -----
        The gradient goes to the first of equals, in row-major order.

        Examples
        --------
        >>> import gradplan as gp
        >>> x = gp.reshape(gp.constant([1.0, 4.0, 3.0, 2.0]), [1, 1, 4, 1])
        >>> gp.Session().run(gp.nn.max_pool(x, [1, 2], [1, 2], "VALID")).ravel()
        array([4., 3.], dtype=float32)
    """
    value = one_of(value, input, "value", "input")
    attrs = _attrs(2, ksize, strides, padding, data_format)
    return max_pool_op(value, **attrs, name=name)  # type: ignore[no-any-return]


def avg_pool(
    value: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    name: str | None = None,
    input: Any = None,
) -> Tensor:
    """The average of each window, channel by channel; what lies over the border does not
        count.{doc}
        input : optional
            Other name of ``value``.
    {raises}
        Examples
        --------
        >>> import gradplan as gp
        >>> x = gp.reshape(gp.constant([1.0, 2.0, 3.0]), [1, 1, 3, 1])
        >>> gp.Session().run(gp.nn.avg_pool(x, [1, 2], [1, 2], "SAME")).ravel()
        array([1.5, 3. ], dtype=float32)
    """
    value = one_of(value, input, "value", "input")
    attrs = _attrs(2, ksize, strides, padding, data_format)
    return avg_pool_op(value, **attrs, name=name)  # type: ignore[no-any-return]


avg_pool2d = avg_pool


def max_pool2d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    name: str | None = None,
) -> Tensor:
    """:func:`max_pool`, whose first argument has another name.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.constant([1.0, 4.0, 3.0, 2.0]), [1, 2, 2, 1])
    >>> gp.Session().run(gp.nn.max_pool2d(x, 2, 2, "VALID")).ravel()
    array([4.], dtype=float32)
    """
    return max_pool(input, ksize, strides, padding, data_format, name)


def max_pool3d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NDHWC",
    name: str | None = None,
) -> Tensor:
    """:func:`max_pool` of volumes.{doc}{raises}
    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.constant([1.0, 2.0, 4.0, 3.0]), [1, 2, 2, 1, 1])
    >>> gp.Session().run(gp.nn.max_pool3d(x, [2, 2, 1], 1, "VALID")).ravel()
    array([4.], dtype=float32)
    """
    attrs = _attrs(3, ksize, strides, padding, data_format)
    return max_pool3d_op(input, **attrs, name=name)  # type: ignore[no-any-return]


def avg_pool3d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NDHWC",
    name: str | None = None,
) -> Tensor:
    """:func:`avg_pool` of volumes.{doc}{raises}
    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.constant([1.0, 2.0, 4.0, 3.0]), [1, 2, 2, 1, 1])
    >>> gp.Session().run(gp.nn.avg_pool3d(x, [2, 2, 1], 1, "VALID")).ravel()
    array([2.5], dtype=float32)
    """
    attrs = _attrs(3, ksize, strides, padding, data_format)
    return avg_pool3d_op(input, **attrs, name=name)  # type: ignore[no-any-return]


def max_pool1d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NWC",
    name: str | None = None,
) -> Tensor:
    """:func:`max_pool` along one dimension.{doc}{raises}
    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([[[1.0], [4.0], [3.0], [2.0]]])
    >>> gp.Session().run(gp.nn.max_pool1d(x, 2, 2, "VALID")).ravel()
    array([4., 3.], dtype=float32)
    """
    attrs = _attrs(1, ksize, strides, padding, data_format)
    return _along_width(max_pool_op, input, attrs, name or "MaxPool1d")


def avg_pool1d(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NWC",
    name: str | None = None,
) -> Tensor:
    """:func:`avg_pool` along one dimension.{doc}{raises}
    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([[[1.0], [4.0], [3.0], [2.0]]])
    >>> gp.Session().run(gp.nn.avg_pool1d(x, 2, 2, "VALID")).ravel()
    array([2.5, 2.5], dtype=float32)
    """
    attrs = _attrs(1, ksize, strides, padding, data_format)
    return _along_width(avg_pool_op, input, attrs, name or "AvgPool1D")


def _along_width(function: Any, x: Any, attrs: dict[str, Any], name: str) -> Tensor:
    """The function of images of height 1."""
    form = attrs["data_format"]
    at = inner(range(3), form)[0]
    wider = {k: (*attrs[k][:at], 1, *attrs[k][at:]) for k in ("ksize", "strides", "dilations")}
    image = {**attrs, **wider, "data_format": {"NWC": "NHWC", "NCW": "NCHW"}[form]}
    graph, scope = window.in_scope([x], name, name)
    with graph, scope as full:
        made = function(expand_dims(convert_to_tensor(x), at), **image, name=full)
        return window.without(made, at)


_FORMS = {
    1: ("[batch, width, channels]", '"NWC" (default) or "NCW".'),
    2: ("[batch, height, width, channels]", '"NHWC" (default) or "NCHW".'),
    3: ("[batch, depth, height, width, channels]", '"NDHWC" (default) or "NCDHW".'),
}
for _function, _value, _spatial in (
    (max_pool, "value", 2),
    (avg_pool, "value", 2),
    (max_pool3d, "input", 3),
    (avg_pool3d, "input", 3),
    (max_pool1d, "input", 1),
    (avg_pool1d, "input", 1),
):
    _shape, _form = _FORMS[_spatial]
    _text = _DOC.format(value=_value, shape=_shape, form=_form).rstrip()
    _function.__doc__ = (
        (_function.__doc__ or "").replace("{doc}", _text).replace("{raises}", "\n" + _RAISES)
    )


def max_pool_with_argmax(
    input: Any,
    ksize: Any,
    strides: Any,
    padding: Any,
    data_format: Any = "NHWC",
    Targmax: Any = None,
    name: str | None = None,
    output_dtype: Any = None,
    include_batch_in_index: bool = False,
) -> Any:
    """:func:`max_pool`, and where the largest elements lie.

    Parameters
    ----------
    input, ksize, strides, padding, name
        As for :func:`max_pool`.
    data_format : {"NHWC"}, optional
    Targmax : DType, optional
        int32 or int64, the type of the places. Default: int64.
    output_dtype : DType, optional
        Other name of ``Targmax``.
    include_batch_in_index : bool, optional
        Whether a place counts from the beginning of the batch, ``((n H + h) W + w) C + c``, and
        not of the image, ``(h W + w) C + c``. Default: False.

    Returns
    -------
    output, argmax : Tensor

    Raises
    ------
    ValueError
        As for :func:`max_pool`; if ``data_format`` is another.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.constant([1.0, 4.0, 3.0, 2.0]), [1, 1, 4, 1])
    >>> y, where = gp.nn.max_pool_with_argmax(x, [1, 2], [1, 2], "VALID")
    >>> gp.Session().run(where).ravel()
    array([1, 2])
    """
    if data_format != "NHWC":
        raise ValueError(
            at_user_line(f"max_pool_with_argmax has data_format 'NHWC' alone, not {data_format!r}")
        )
    if Targmax is not None and output_dtype is not None:
        raise ValueError(at_user_line("give Targmax or output_dtype, not both"))
    wanted = output_dtype if Targmax is None else Targmax
    dtype = dtypes.int64 if wanted is None else dtypes.as_dtype(wanted)
    if dtype not in dtypes.INTEGERS:
        raise TypeError(at_user_line(f"Targmax must be int32 or int64, not {dtype.name}"))
    attrs = _attrs(2, ksize, strides, padding, data_format)
    attrs |= {"Targmax": dtype, "include_batch_in_index": bool(include_batch_in_index)}
    return max_pool_with_argmax_op(input, **attrs, name=name)


def pool(
    input: Any,
    window_shape: Any,
    pooling_type: str,
    padding: Any,
    dilation_rate: Any = None,
    strides: Any = None,
    name: str | None = None,
    data_format: Any = None,
    dilations: Any = None,
) -> Tensor:
    """Pooling by the rank of the input, with windows whose elements may lie apart.

    Parameters
    ----------
    input : tensor_like of rank 3, 4 or 5
    window_shape : sequence of int
        One for each inner dimension.
    pooling_type : {"AVG", "MAX"}
    padding : {"SAME", "VALID"}
    dilation_rate, strides : sequence of int, optional
        Default: 1.
    name : str, optional
    data_format : str, optional
        As for :func:`max_pool1d`, :func:`max_pool` and :func:`max_pool3d`.
    dilations : optional
        Other name of ``dilation_rate``.

    Raises
    ------
    ValueError
        If the rank is unknown or another, strides and dilations are both above 1, or an argument
        has none of the forms above.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([[[1.0], [4.0], [3.0], [2.0]]])
    >>> gp.Session().run(gp.nn.pool(x, [2], "MAX", "VALID", dilation_rate=[2])).ravel()
    array([3., 4.], dtype=float32)
    """
    if dilation_rate is not None and dilations is not None:
        raise ValueError(at_user_line("give dilation_rate or dilations, not both"))
    if pooling_type not in ("AVG", "MAX"):
        raise ValueError(at_user_line(f"pooling_type must be 'AVG' or 'MAX', not {pooling_type!r}"))
    rate = dilation_rate if dilations is None else dilations
    x = convert_to_tensor(input)
    rank = window.static_rank(x, "pool")
    if rank not in (3, 4, 5):
        raise ValueError(at_user_line(f"pool takes inputs of rank 3, 4 or 5, not {x}"))
    attrs = _attrs(rank - 2, window_shape, strides, padding, data_format, rate)
    if any(s > 1 for s in attrs["strides"]) and any(d > 1 for d in attrs["dilations"]):
        raise ValueError(at_user_line("pool: strides > 1 go not with dilation_rate > 1"))
    largest, name = pooling_type == "MAX", name or f"{pooling_type.lower()}_pool"
    images, volumes = (max_pool_op, max_pool3d_op) if largest else (avg_pool_op, avg_pool3d_op)
    graph, scope = window.in_scope([x], name, name)
    with graph, scope as full:
        if rank == 3:
            made = _along_width(images, x, attrs, full)
        else:
            made = (images if rank == 4 else volumes)(x, **attrs, name=full)
        return window.dilated(made, attrs["dilations"])
