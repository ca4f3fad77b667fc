"""Pooling as operations: their rules of shape, gradient and lowering. The functions of ``gp.nn``
are in ``pool.py``."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes, tiling
from gradplan.names import named
from gradplan.opdef import CALL, op
from gradplan.ops import window
from gradplan.ops.array import shape
from gradplan.ops.conv_kernels import transposed_sums
from gradplan.ops.window import ALONE, Axis, assemble, channel_axis, inner, of_rank

__all__: list[str] = []

FOUR, FIVE = (1, 1, 1, 1), (1, 1, 1, 1, 1)


def _taps_of(attrs: dict[str, Any], in_shapes: Any) -> int:
    return shapes.size(attrs["ksize"]) * max(map(shapes.size, in_shapes))


@op("MaxPool", CALL, kernel="max_pool", T=dtypes.NUMBERS, flops=_taps_of)
def max_pool_op(
    input: Any,
    ksize: Any = FOUR,
    strides: Any = FOUR,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = FOUR,
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.pool.max_pool`."""


@op("MaxPool3D", CALL, kernel="max_pool", T=dtypes.NUMBERS, flops=_taps_of)
def max_pool3d_op(
    input: Any,
    ksize: Any = FIVE,
    strides: Any = FIVE,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NDHWC",
    dilations: Any = FIVE,
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.pool.max_pool3d`."""


@op(
    "MaxPoolWithArgmax",
    CALL,
    kernel="max_pool",
    types="T -> T @Targmax",
    T=dtypes.NUMBERS,
    flops=_taps_of,
)
def max_pool_with_argmax_op(
    input: Any,
    ksize: Any = FOUR,
    strides: Any = FOUR,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = FOUR,
    Targmax: Any = dtypes.int64,
    include_batch_in_index: bool = False,
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.pool.max_pool_with_argmax`."""


@op("MaxPoolGrad", CALL, kernel="max_pool_grad", flops=_taps_of)
def max_pool_grad_op(
    orig_input: Any,
    orig_output: Any,
    grad: Any,
    ksize: Any = FOUR,
    strides: Any = FOUR,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = FOUR,
    name: str | None = None,
) -> Any:
    """``grad`` where the first largest element of each window lies, added up."""


@op("MaxPoolGradGrad", CALL, kernel="max_pool_grad_grad", flops=_taps_of)
def max_pool_grad_grad_op(
    orig_input: Any,
    orig_output: Any,
    grad: Any,
    ksize: Any = FOUR,
    strides: Any = FOUR,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = FOUR,
    name: str | None = None,
) -> Any:
    """Of ``grad``, shaped like the input, what lies where each window's first largest element is:
    the adjoint of :func:`max_pool_grad_op`."""


@op("MaxPool3DGrad", CALL, kernel="max_pool_grad", flops=_taps_of)
def max_pool3d_grad_op(
    orig_input: Any,
    orig_output: Any,
    grad: Any,
    ksize: Any = FIVE,
    strides: Any = FIVE,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NDHWC",
    dilations: Any = FIVE,
    name: str | None = None,
) -> Any:
    """:func:`max_pool_grad_op` of volumes."""


@op("MaxPool3DGradGrad", CALL, kernel="max_pool_grad_grad", flops=_taps_of)
def max_pool3d_grad_grad_op(
    orig_input: Any,
    orig_output: Any,
    grad: Any,
    ksize: Any = FIVE,
    strides: Any = FIVE,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NDHWC",
    dilations: Any = FIVE,
    name: str | None = None,
) -> Any:
    """:func:`max_pool_grad_grad_op` of volumes."""


@op("AvgPool", CALL, kernel="depthwise", flops=_taps_of)
def avg_pool_op(
    value: Any,
    ksize: Any = FOUR,
    strides: Any = FOUR,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = FOUR,
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.pool.avg_pool`."""


@op("AvgPool3D", CALL, kernel="depthwise", flops=_taps_of)
def avg_pool3d_op(
    input: Any,
    ksize: Any = FIVE,
    strides: Any = FIVE,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NDHWC",
    dilations: Any = FIVE,
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.pool.avg_pool3d`."""


@op("AvgPoolGrad", CALL, kernel="depthwise", types="I T -> T", flops=_taps_of)
def avg_pool_grad_op(
    orig_input_shape: Any,
    grad: Any,
    ksize: Any = FOUR,
    strides: Any = FOUR,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = FOUR,
    name: str | None = None,
) -> Any:
    """Each element of ``grad`` shared equally among the elements of its window."""


@op("AvgPool3DGrad", CALL, kernel="depthwise", types="I T -> T", flops=_taps_of)
def avg_pool3d_grad_op(
    orig_input_shape: Any,
    grad: Any,
    ksize: Any = FIVE,
    strides: Any = FIVE,
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NDHWC",
    dilations: Any = FIVE,
    name: str | None = None,
) -> Any:
    """:func:`avg_pool_grad_op` of volumes."""


# ---- shapes --------------------------------------------------------------------------------------


def _out_shape(attrs: dict[str, Any], x: Any) -> Any:
    form = attrs["data_format"]
    sizes = window.out_sizes(attrs, inner(x, form), inner(attrs["ksize"], form))
    c = x[channel_axis(form)]
    window.check_padded(window.axes_of(attrs, inner(x, form), inner(attrs["ksize"], form)), x[0], c)
    return assemble(x[0], sizes, c, form)


def _merged(a: Any, b: Any, what: str) -> Any:
    both = shapes.merge(a, b)
    if both is False:
        raise ValueError(f"{what} must be {shapes.text(a)}, but is {shapes.text(b)}")
    return both


def _pool_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return _out_shape(attrs, of_rank(in_shapes[0], len(attrs["data_format"]), "input"))


@max_pool_with_argmax_op.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return [_pool_shape(attrs, in_shapes, value)] * 2


def _grad_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    x, y, g = in_shapes
    x = of_rank(x, len(attrs["data_format"]), "orig_input")
    out = _merged(_out_shape(attrs, x), y, "orig_output")
    _merged(out, g, "grad")
    return x


def _grad_grad_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    x, y, g = in_shapes
    x = _merged(of_rank(x, len(attrs["data_format"]), "orig_input"), g, "grad")
    return _merged(_out_shape(attrs, x), y, "orig_output")


def _avg_grad_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    rank = len(attrs["data_format"])
    x = window.sizes_argument(value(0), in_shapes[0], rank, "orig_input_shape")
    g = _merged(_out_shape(attrs, x), of_rank(in_shapes[1], rank, "grad"), "grad")
    c = channel_axis(attrs["data_format"])
    return tuple(g[i] if i in (0, c) else d for i, d in enumerate(x))


# ---- lowering ------------------------------------------------------------------------------------


def _axes(op: Any, sizes: Any) -> list[Any]:
    form = op.attrs["data_format"]
    found = window.axes_of(op.attrs, inner(sizes, form), inner(op.attrs["ksize"], form))
    return window.three(found, ALONE)


def _words(axes: Any) -> list[int]:
    fields = ("taps", "stride", "dilation", "before")
    return [getattr(a, field) for field in fields for a in axes]


def _readable(binder: Any, t: Any, form: str) -> Any:
    view = window.inner_first(binder.view(t), form)
    return view if window.has_inner(view) else binder.contiguous(view)


def _lower_max(binder: Any, op: Any) -> None:
    form = op.attrs["data_format"]
    axes = _axes(op, binder.shape(op.inputs[0]))
    found = None
    if len(op.outputs) > 1 and binder.wanted(op, 1):
        found = window.five(binder.result(op, 1))
    x = _readable(binder, op.inputs[0], form)
    batch = bool(op.attrs.get("include_batch_in_index"))
    y = window.result_of(binder, op, form)
    binder.emit("max_pool", [y, found], [x], [*_words(axes), int(batch)])


def _lower_max_grad(binder: Any, op: Any) -> None:
    """The gradient, or the other way."""
    form = op.attrs["data_format"]
    axes = _axes(op, binder.shape(op.inputs[0]))
    x, y = (_readable(binder, t, form) for t in op.inputs[:2])
    g = binder.contiguous(window.inner_first(binder.view(op.inputs[2]), form))
    binder.emit(op.opdef.kernel, [window.result_of(binder, op, form)], [x, y, g], _words(axes))


def _counts(axes: list[Axis]) -> Any:
    """How many elements each window has, [1, d, h, w, 1]: padding counts for nothing."""
    out: Any = 1
    for axis in axes:
        first = np.arange(axis.out)[:, None] * axis.stride - axis.before
        at = first + np.arange(axis.taps) * axis.dilation
        out = np.multiply.outer(out, ((at >= 0) & (at < axis.size)).sum(1))
    return out[None, ..., None]


def _divided(binder: Any, op: Any, out: Any, x: Any, axes: list[Axis]) -> None:
    counts = _counts(axes)
    if counts.size and (counts == counts.flat[0]).all():
        counts = counts.flat[0]
    count = binder.constant(op.name, x.dtype, counts)
    binder.tile([out], [x, count], tiling.single(f"div.{x.dtype.short}", 2))


def _lower_avg(binder: Any, op: Any) -> None:
    form = op.attrs["data_format"]
    axes = _axes(op, binder.shape(op.inputs[0]))
    x = window.inner_first(binder.view(op.inputs[0]), form)
    x = window.padded(binder, x, [(a.before, a.after) for a in axes])
    y = window.result_of(binder, op, form)
    sums = binder.scratch(op.name, y.dtype, y.dims)
    words = [getattr(a, field) for field in ("stride", "dilation", "taps") for a in axes]
    binder.emit("depthwise", [sums], [x], words)
    _divided(binder, op, y, sums, axes)


def _lower_avg_grad(binder: Any, op: Any) -> None:
    form = op.attrs["data_format"]
    axes = _axes(op, binder.shape(op.outputs[0]))
    g = window.inner_first(binder.view(op.inputs[1]), form)
    share = binder.scratch(op.name, g.dtype, g.dims)
    _divided(binder, op, share, g, axes)
    transposed_sums(binder, axes, window.result_of(binder, op, form), share)


# ---- the rules, for images and volumes -----------------------------------------------------------


def _family(largest: Any, grad: Any, grad_grad: Any, average: Any, average_grad: Any) -> None:
    for declared in (largest, average):
        declared.shape(_pool_shape)
    largest.lower(_lower_max)
    average.lower(_lower_avg)
    grad.shape(_grad_shape)
    grad_grad.shape(_grad_grad_shape)
    grad.lower(_lower_max_grad)
    grad_grad.lower(_lower_max_grad)
    average_grad.shape(_avg_grad_shape)
    average_grad.lower(_lower_avg_grad)

    @largest.gradient
    def _(op: Any, dy: Any) -> Any:
        return grad(op.inputs[0], op.outputs[0], dy, **op.attrs)

    @grad.gradient
    def _(op: Any, g: Any) -> Any:
        x, y, _ = op.inputs
        return None, None, grad_grad(x, y, g, **op.attrs)

    @grad_grad.gradient
    def _(op: Any, g: Any) -> Any:
        x, y, _ = op.inputs
        return None, None, grad(x, y, g, **op.attrs)

    @average.gradient
    def _(op: Any, dy: Any) -> Any:
        return average_grad(shape(op.inputs[0]), dy, **op.attrs)

    @average_grad.gradient
    def _(op: Any, g: Any) -> Any:
        return None, average(g, **op.attrs)


_family(max_pool_op, max_pool_grad_op, max_pool_grad_grad_op, avg_pool_op, avg_pool_grad_op)
_family(
    max_pool3d_op, max_pool3d_grad_op, max_pool3d_grad_grad_op, avg_pool3d_op, avg_pool3d_grad_op
)
max_pool_with_argmax_op.lower(_lower_max)


@max_pool_with_argmax_op.gradient
@named("MaxPoolGradWithArgmax")
def _(op: Any, dy: Any, _: Any) -> Any:
    of_max = {k: v for k, v in op.attrs.items() if k not in ("Targmax", "include_batch_in_index")}
    return None if dy is None else max_pool_grad_op(op.inputs[0], op.outputs[0], dy, **of_max)
