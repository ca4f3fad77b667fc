"""Convolutions as operations: their rules of shape, gradient and lowering. The functions of
``gp.nn`` are in ``conv.py`` and ``depthwise.py``."""

from __future__ import annotations

import math
from typing import Any

from gradplan import shapes
from gradplan.opdef import CALL, op
from gradplan.ops import window
from gradplan.ops.array import shape
from gradplan.ops.window import ALONE, assemble, channel_axis, inner, must_agree, of_rank
from gradplan.tiling import Step, compile_steps

__all__: list[str] = []

#: A gradient of a filter is cut into parts, summed afterwards, to give so many threads work.
PARTS = 16
#: From so many products on.
PARALLEL = 1 << 20
#: To add up an element of a window takes as long as so many products.
SPREAD = 80
#: Elements of windows that are made before they are added up, and most of one image.
NEAR, MOST_SPREAD = 1 << 18, 1 << 23


def _flops(attrs: dict[str, Any], in_shapes: Any) -> int:
    x, f = in_shapes[:2]
    outs = window.out_sizes(attrs, inner(x, attrs["data_format"]), f[:-2])
    return 2 * x[0] * math.prod(outs) * shapes.size(f)


def _flops_input(attrs: dict[str, Any], in_shapes: Any) -> int:
    _, f, dy = in_shapes
    return 2 * shapes.size(dy) * shapes.size(f[:-1])


def _flops_filter(attrs: dict[str, Any], in_shapes: Any) -> int:
    x, _, dy = in_shapes
    return 2 * shapes.size(dy) * int(x[channel_axis(attrs["data_format"])])


@op("Conv2D", CALL, kernel="conv", flops=_flops)
def conv2d_op(
    input: Any,
    filter: Any,
    strides: Any = (1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.conv.conv2d`."""


@op("Conv2DBackpropInput", CALL, kernel="conv", types="I T T -> T", flops=_flops_input, sized=0)
def conv2d_input_op(
    input_sizes: Any,
    filter: Any,
    out_backprop: Any,
    strides: Any = (1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.conv.conv2d_backprop_input`."""


@op("Conv2DBackpropFilter", CALL, kernel="conv_filter", types="T I T -> T", flops=_flops_filter)
def conv2d_filter_op(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any = (1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.conv.conv2d_backprop_filter`."""


@op("Conv3D", CALL, kernel="conv", flops=_flops)
def conv3d_op(
    input: Any,
    filter: Any,
    strides: Any = (1, 1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.conv.conv3d`."""


@op("Conv3DBackpropInputV2", CALL, kernel="conv", types="I T T -> T", flops=_flops_input, sized=0)
def conv3d_input_op(
    input_sizes: Any,
    filter: Any,
    out_backprop: Any,
    strides: Any = (1, 1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """The gradient of :func:`gradplan.ops.conv.conv3d` with respect to its input."""


@op("Conv3DBackpropFilterV2", CALL, kernel="conv_filter", types="T I T -> T", flops=_flops_filter)
def conv3d_filter_op(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any = (1, 1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NDHWC",
    dilations: Any = (1, 1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.conv.conv3d_backprop_filter`."""


@op("DepthwiseConv2dNative", CALL, kernel="depthwise", flops=_flops)
def depthwise_op(
    input: Any,
    filter: Any,
    strides: Any = (1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.depthwise.depthwise_conv2d_native`."""


@op(
    "DepthwiseConv2dNativeBackpropInput",
    CALL,
    kernel="depthwise",
    types="I T T -> T",
    flops=lambda attrs, s: 2 * shapes.size(s[2]) * shapes.size(s[1][:2]),
)
def depthwise_input_op(
    input_sizes: Any,
    filter: Any,
    out_backprop: Any,
    strides: Any = (1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.depthwise.depthwise_conv2d_native_backprop_input`."""


@op(
    "DepthwiseConv2dNativeBackpropFilter",
    CALL,
    kernel="depthwise_filter",
    types="T I T -> T",
    flops=lambda attrs, s: 2 * shapes.size(s[2]),
)
def depthwise_filter_op(
    input: Any,
    filter_sizes: Any,
    out_backprop: Any,
    strides: Any = (1, 1, 1, 1),
    padding: Any = "VALID",
    explicit_paddings: Any = (),
    data_format: Any = "NHWC",
    dilations: Any = (1, 1, 1, 1),
    name: str | None = None,
) -> Any:
    """See :func:`gradplan.ops.depthwise.depthwise_conv2d_native_backprop_filter`."""


# ---- shapes --------------------------------------------------------------------------------------


def _out_depth(f: Any, depthwise: bool) -> Any:
    """Channels of the result: the filter's last dimension, or that for every channel."""
    if not depthwise:
        return f[-1]
    return None if f[-1] is None or f[-2] is None else f[-1] * f[-2]


def _check(attrs: dict[str, Any], x: Any, f: Any, dy: Any, depthwise: bool) -> tuple[Any, Any, Any]:
    """The three shapes of a convolution with what is known of the others put in; ValueError where
    they contradict each other."""
    form = attrs["data_format"]
    c = channel_axis(form)
    depth = must_agree(x[c], f[-2], "the depths of input and filter differ")
    x = tuple(depth if i == c else d for i, d in enumerate(x))
    f = (*f[:-2], depth, f[-1])
    sizes = window.out_sizes(attrs, inner(x, form), f[:-2])
    window.check_padded(window.axes_of(attrs, inner(x, form), f[:-2]), x[0], depth)
    out = assemble(x[0], sizes, _out_depth(f, depthwise), form)
    known = []
    for i, (a, b) in enumerate(zip(out, dy, strict=True)):
        known.append(must_agree(a, b, f"dimension {i} of the convolution and of out_backprop"))
    x = (known[0], *x[1:])
    if not depthwise:
        f = (*f[:-1], known[c])
    return x, f, tuple(known)


def conv_shape(attrs: dict[str, Any], in_shapes: Any, value: Any, depthwise: bool = False) -> Any:
    rank = len(attrs["data_format"])
    x, f = (of_rank(s, rank, n) for s, n in zip(in_shapes, ("input", "filter"), strict=True))
    return _check(attrs, x, f, (None,) * rank, depthwise)[2]


def _input_shape(attrs: dict[str, Any], in_shapes: Any, value: Any, depthwise: bool = False) -> Any:
    rank = len(attrs["data_format"])
    x = window.sizes_argument(value(0), in_shapes[0], rank, "input_sizes")
    f, dy = of_rank(in_shapes[1], rank, "filter"), of_rank(in_shapes[2], rank, "out_backprop")
    return _check(attrs, x, f, dy, depthwise)[0]


def _filter_shape(
    attrs: dict[str, Any], in_shapes: Any, value: Any, depthwise: bool = False
) -> Any:
    rank = len(attrs["data_format"])
    f = window.sizes_argument(value(1), in_shapes[1], rank, "filter_sizes")
    x, dy = of_rank(in_shapes[0], rank, "input"), of_rank(in_shapes[2], rank, "out_backprop")
    return _check(attrs, x, f, dy, depthwise)[1]


# ---- lowering ------------------------------------------------------------------------------------


def _around(axes: Any) -> list[tuple[int, int]]:
    return [(a.before, a.after) for a in axes]


def _axes(op: Any, sizes: Any, taps: Any) -> list[Any]:
    """Three axes, for sizes in the operation's layout."""
    found = window.axes_of(op.attrs, inner(sizes, op.attrs["data_format"]), taps)
    return window.three(found, ALONE)


def _is_product(axes: Any) -> bool:
    """Whether every place of the result takes one place of the input: a product of matrices."""
    return all(a.taps == 1 and a.stride == 1 and not a.before and not a.after for a in axes)


def _slid(axes: Any) -> tuple[int, list[Any]]:
    """Along how many axes, from the first on, the filter slides, and what it does along all. Those
    that it covers whole are channels: so no product is made with what lies outside of them."""
    n = len(axes)
    for axis in reversed(axes):
        if axis.taps != axis.size or axis.before or axis.after:
            break
        n -= 1
    return n, [*axes[:n], *[ALONE] * (len(axes) - n)]


def _as_channels(view: Any, first: int, last: int) -> Any:
    """Dimensions from ``first`` to ``last`` as the last of them."""
    whole = shapes.size(view.dims[first : last + 1])
    return view.reshaped((*view.dims[:first], *[1] * (last - first), whole, *view.dims[last + 1 :]))


def _matrix(view: Any) -> Any:
    return view.reshaped((shapes.size(view.dims[:-1]), view.dims[-1]))


def lower_conv(binder: Any, op: Any, bias: Any = None, relu: bool = False) -> None:
    """One call of the kernel on the padded input."""
    x = window.inner_first(binder.view(op.inputs[0]), op.attrs["data_format"])
    f = binder.contiguous(binder.view(op.inputs[1]))
    axes = _axes(op, binder.shape(op.inputs[0]), f.dims[:-2])
    y = window.result_of(binder, op, op.attrs["data_format"])
    n, axes = _slid(axes)
    f = _as_channels(window.filter_of_five(f), n, 3)
    x = x if n == 3 else _as_channels(binder.contiguous(x), n + 1, 4)
    if _is_product(axes):
        factors = [_matrix(binder.contiguous(x)), f.reshaped(f.dims[-2:])]
        _emit_product(binder, _matrix(y), factors, bias, relu)
        return
    x = window.padded(binder, x, _around(axes))
    binder.emit(
        "conv",
        [y],
        [x, f, *([bias] if bias is not None else [])],
        [*[a.stride for a in axes], *[a.dilation for a in axes], int(relu)],
    )


def _emit_product(binder: Any, y: Any, factors: list[Any], bias: Any, relu: bool) -> None:
    short, steps = y.dtype.short, []
    if bias is not None:
        steps.append(Step(f"add.{short}", (0, 1), y.dtype.size))
    if relu:
        steps.append(Step(f"relu.{short}", (-1 if steps else 0,), y.dtype.size))
    if not steps:
        binder.emit("matmul", [y], factors)
        return
    more = [] if bias is None else [bias.broadcast(y.dims)]
    code = compile_steps(steps, 1 + len(more))
    binder.emit(
        "matmul_map",
        [y, None],
        [*factors, *more],
        code or (),
        operands=[None, None, *range(2, 2 + len(more))],
    )


def _transposed(binder: Any, axes: Any, dx: Any, dy: Any, call: Any) -> None:
    """``call(out, in, steps, (first tap, taps, step) of each axis)`` for all phases of a transposed
    convolution; what no tap reaches is 0."""
    around, calls = window.transposed_calls(axes)
    if not dx.size:
        return
    if not dy.size or len(calls) < math.prod(min(a.stride, a.size) for a in axes):
        binder.emit("fill_zero", [dx], [])
    if not dy.size or not calls:
        return
    dy = window.padded(binder, dy, around)
    for phases in calls:
        out, source = dx, dy
        for i, (phase, axis) in enumerate(zip(phases, axes, strict=True)):
            out = window.dim_window(out, i + 1, phase.first, phase.places, axis.stride)
            length = phase.places + (len(phase.taps) - 1) * phase.step
            source = source.window(i + 1, phase.start, length)
        call(out, source, [p.step for p in phases], [p.taps for p in phases])


def _lower_input(binder: Any, op: Any) -> None:
    form = op.attrs["data_format"]
    f = binder.contiguous(binder.view(op.inputs[1]))
    dy = window.inner_first(binder.view(op.inputs[2]), form)
    n, axes = _slid(_axes(op, binder.shape(op.outputs[0]), f.dims[:-2]))
    dx = _as_channels(window.result_of(binder, op, form), n + 1, 4)
    f = _as_channels(window.filter_of_five(f), n, 3)
    if _is_product(axes):
        f = f.reshaped(f.dims[-2:])
        binder.emit("matmul", [_matrix(dx)], [_matrix(binder.contiguous(dy)), f.transposed((1, 0))])
        return
    if _spread_pays(axes, dx, dy):
        _spread(binder, op, axes, dx, f, dy)
        return
    turned = f.transposed((0, 1, 2, 4, 3))
    for i, axis in enumerate(axes):  # the taps in the order in which they follow each other
        turned = window.dim_window(turned, i, axis.taps - 1, axis.taps, -1)
    turned = binder.copied(turned)

    def call(out: Any, source: Any, steps: Any, taps: Any) -> None:
        part = turned
        for i, (found, axis) in enumerate(zip(taps, axes, strict=True)):
            first = axis.taps - 1 - found[0]
            part = window.dim_window(part, i, first, len(found), -found.step)
        binder.emit("conv", [out], [source, part], [1, 1, 1, *steps, 0])

    _transposed(binder, axes, dx, dy, call)


def _spread_pays(axes: Any, dx: Any, dy: Any) -> bool:
    """Whether it is less work to make all windows of ``dx`` by one product and to add them up than
    to slide over ``dy``: where windows reach over the edges, or channels leave vectors empty."""
    lanes = 64 // dx.dtype.size
    c, k, taps = dx.dims[-1], dy.dims[-1], math.prod(a.taps for a in axes)
    slid = dx.size // max(1, c) * -(-c // lanes) * lanes * k * taps
    slid //= math.prod(a.stride for a in axes)
    window = taps * c
    places = dy.size // max(1, k)
    made = places * (-(-window // lanes) * lanes * max(k, lanes) + SPREAD * window)
    return made < slid and window * places < MOST_SPREAD * dy.dims[0]


def _spread(binder: Any, op: Any, axes: Any, dx: Any, f: Any, dy: Any) -> None:
    """The windows as products of ``dy`` with the filter, added up; some images at a time, so that
    they are still near when they are added."""
    window = math.prod(a.taps for a in axes) * dx.dims[-1]
    wide = f.reshaped((window, f.dims[-1])).transposed((1, 0))
    dy = binder.contiguous(dy)
    names = "taps", "stride", "dilation", "before"
    attrs = [getattr(axis, name) for name in names for axis in axes]
    each = max(1, NEAR * dy.dims[0] // max(1, math.prod(dy.dims[:-1]) * window))
    for start in range(0, dy.dims[0], each):
        n = min(each, dy.dims[0] - start)
        part = dy.window(0, start, n)
        made = binder.scratch(op.name, dy.dtype, (*part.dims[:-1], window))
        binder.emit("matmul", [_matrix(made)], [_matrix(part), wide])
        binder.emit("windows_add", [dx.window(0, start, n)], [made], attrs)


def _lower_filter(binder: Any, op: Any) -> None:
    form = op.attrs["data_format"]
    x, dy = (window.inner_first(binder.view(op.inputs[i]), form) for i in (0, 2))
    dims = binder.shape(op.outputs[0])
    axes = _axes(op, binder.shape(op.inputs[0]), dims[:-2])
    n, axes = _slid(axes)
    df = _as_channels(window.filter_of_five(binder.result(op)), n, 3)
    x = x if n == 3 else _as_channels(binder.contiguous(x), n + 1, 4)
    if _is_product(axes):
        factors = [_matrix(binder.contiguous(v)) for v in (x, dy)]
        factors[0] = factors[0].transposed((1, 0))
        binder.emit("matmul", [df.reshaped(df.dims[-2:])], factors)
        return
    x = window.padded(binder, x, _around(axes))
    dy = dy if window.has_inner(dy) else binder.contiguous(dy)
    dims = df.dims
    blocks = math.prod(dims[:-3]) * -(-dims[-3] * dims[-2] // 12) * -(-dims[-1] // 32)
    parts = 1
    if dy.size * dims[-2] * math.prod(dims[:-2]) >= PARALLEL:
        parts = max(1, min(dy.dims[0], -(-PARTS // max(1, blocks))))
    attrs = [*[a.stride for a in axes], *[a.dilation for a in axes]]
    if parts == 1:
        binder.emit("conv_filter", [df.reshaped((1, *df.dims))], [x, dy], attrs)
        return
    apart = binder.scratch(op.name, df.dtype, (parts, *df.dims))
    binder.emit("conv_filter", [apart], [x, dy], attrs)
    binder.emit("reduce_sum", [df.reshaped((1, df.size))], [apart.reshaped((parts, df.size))])


# ---- depthwise -----------------------------------------------------------------------------------


def _repeated(binder: Any, x: Any, times: int) -> Any:
    """Every channel so many times in a row."""
    if times == 1:
        return x
    wide = x.seen((*x.dims, times), (*x.strides, 0))
    return binder.copied(wide).reshaped((*x.dims[:-1], x.dims[-1] * times))


def _one_filter(f: Any) -> Any:
    """[h, w, c, m] as [1, h, w, c m]."""
    return f.reshaped((1, *f.dims[:2], f.dims[2] * f.dims[3]))


def _lower_depthwise(binder: Any, op: Any) -> None:
    form = op.attrs["data_format"]
    x = window.inner_first(binder.view(op.inputs[0]), form)
    f = binder.contiguous(binder.view(op.inputs[1]))
    axes = _axes(op, binder.shape(op.inputs[0]), f.dims[:2])
    y = window.result_of(binder, op, form)
    x = _repeated(binder, window.padded(binder, x, _around(axes)), f.dims[3])
    attrs = [*[a.stride for a in axes], *[a.dilation for a in axes]]
    binder.emit("depthwise", [y], [x, _one_filter(f)], attrs)


def _lower_depthwise_input(binder: Any, op: Any) -> None:
    form = op.attrs["data_format"]
    f = binder.contiguous(binder.view(op.inputs[1]))
    dy = window.inner_first(binder.view(op.inputs[2]), form)
    axes = _axes(op, binder.shape(op.outputs[0]), f.dims[:2])
    dx, times = window.result_of(binder, op, form), f.dims[3]
    wide = dx
    if times != 1:
        wide = binder.scratch(op.name, dx.dtype, (*dx.dims[:-1], dx.dims[-1] * times))
    one = _one_filter(f)

    def call(out: Any, source: Any, steps: Any, taps: Any) -> None:
        part = one
        for i, found in enumerate(taps):
            part = window.dim_window(part, i, found[0], len(found), found.step)
        binder.emit("depthwise", [out], [source, part], [1, 1, 1, *steps])

    _transposed(binder, axes, wide, dy, call)
    if times != 1:
        binder.emit("reduce_sum", [dx.reshaped((*dx.dims, 1))], [wide.reshaped((*dx.dims, times))])


def _lower_depthwise_filter(binder: Any, op: Any) -> None:
    form = op.attrs["data_format"]
    x, dy = (window.inner_first(binder.view(op.inputs[i]), form) for i in (0, 2))
    dims = binder.shape(op.outputs[0])
    axes = _axes(op, binder.shape(op.inputs[0]), dims[:2])
    df = binder.result(op)
    x = _repeated(binder, window.padded(binder, x, _around(axes)), dims[3])
    dy = dy if window.has_inner(dy) else binder.contiguous(dy)
    attrs = [*[a.stride for a in axes], *[a.dilation for a in axes]]
    binder.emit("depthwise_filter", [_one_filter(df)], [x, dy], attrs)


def transposed_sums(binder: Any, axes: Any, dx: Any, dy: Any) -> None:
    """A transposed convolution with a filter of ones: what averages do backwards."""

    def call(out: Any, source: Any, steps: Any, taps: Any) -> None:
        lengths = [len(found) for found in taps]
        binder.emit("depthwise", [out], [source], [1, 1, 1, *steps, *lengths])

    _transposed(binder, axes, dx, dy, call)


# ---- a family: a convolution, and its two gradients ----------------------------------------------


def _family(conv: Any, back_input: Any, back_filter: Any, depthwise: bool) -> None:
    """The three are linear in each of two inputs, and each the gradient of the others."""

    def with_depth(rule: Any) -> Any:
        return lambda attrs, in_shapes, value: rule(attrs, in_shapes, value, depthwise)

    conv.shape(with_depth(conv_shape))
    back_input.shape(with_depth(_input_shape))
    back_filter.shape(with_depth(_filter_shape))
    conv.lower(_lower_depthwise if depthwise else lower_conv)
    back_input.lower(_lower_depthwise_input if depthwise else _lower_input)
    back_filter.lower(_lower_depthwise_filter if depthwise else _lower_filter)

    @conv.gradient
    def _(op: Any, dy: Any) -> Any:
        x, f = op.inputs
        return (
            back_input(shape(x), f, dy, **op.attrs),
            back_filter(x, shape(f), dy, **op.attrs),
        )

    @back_input.gradient
    def _(op: Any, g: Any) -> Any:
        _, f, dy = op.inputs
        return None, back_filter(g, shape(f), dy, **op.attrs), conv(g, f, **op.attrs)

    @back_filter.gradient
    def _(op: Any, g: Any) -> Any:
        x, _, dy = op.inputs
        return back_input(shape(x), g, dy, **op.attrs), None, conv(x, g, **op.attrs)


_family(conv2d_op, conv2d_input_op, conv2d_filter_op, False)
_family(conv3d_op, conv3d_input_op, conv3d_filter_op, False)
_family(depthwise_op, depthwise_input_op, depthwise_filter_op, True)
