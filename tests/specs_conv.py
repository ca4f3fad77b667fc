"""The rows of :mod:`specs` for convolutions, pooling and normalisation. The oracles go window by
window through a padded array; transposes are taken apart into the same windows."""

import itertools

import numpy as np
from specs import FLOATS, NUMBERS, Bad, Spec, distinct, f32, normal, positive

import gradplan as gp

nn = gp.nn


# ---- windows -------------------------------------------------------------------------------------


def to_list(value, n):
    """One number for each inner dimension, from any form, channels last or second."""
    value = [1] if value is None else np.atleast_1d(value).tolist()
    if len(value) == n + 2:
        value = value[1:-1] if value[1] != 1 or value[-1] == 1 else value[2:]
    return value * n if len(value) == 1 else value


class Windows:
    """The windows of taps over the inner dimensions of [n, ..., c]."""

    def __init__(self, sizes, taps, strides, padding, dilations):
        n = len(sizes)
        self.strides, self.dilations, self.taps = to_list(strides, n), to_list(dilations, n), taps
        self.out, self.pads, self.size = [], [], int(np.prod(taps))
        if not isinstance(padding, str):
            padding = [p for p in padding if len(padding) == n or tuple(p) != (0, 0)] or padding
            padding = padding if len(padding) == n else [(0, 0)] * (n - len(padding)) + padding
        for i, (size, k, s, d) in enumerate(
            zip(sizes, taps, self.strides, self.dilations, strict=True)
        ):
            reach = (k - 1) * d + 1
            if padding == "SAME":
                total = max(0, (-(-size // s) - 1) * s + reach - size)
                before, after = total // 2, total - total // 2
            else:
                before, after = (0, 0) if padding == "VALID" else padding[i]
            self.out.append((size + before + after - reach) // s + 1)
            self.pads.append((before, after))

    def padded(self, x, value=0):
        return np.pad(x, [(0, 0), *self.pads, (0, 0)], constant_values=value)

    def places(self):
        """Each place of the result, and the slices of its window in the padded array."""
        for o in itertools.product(*map(range, self.out)):
            yield (
                o,
                tuple(
                    slice(p * s, p * s + (k - 1) * d + 1, d)
                    for p, s, k, d in zip(o, self.strides, self.taps, self.dilations, strict=True)
                ),
            )

    def cut(self, x):
        """Without the padding."""
        inside = [slice(a, d - b) for (a, b), d in zip(self.pads, x.shape[1:-1], strict=True)]
        return x[(slice(None), *inside)]


def last(x, data_format):
    """With the channels last."""
    return np.moveaxis(x, 1, -1) if data_format and data_format[1] == "C" else x


def back(x, data_format):
    return np.moveaxis(x, -1, 1) if data_format and data_format[1] == "C" else x


LETTERS = "abd"


def each(f, depthwise):
    """How a window meets the filter, for einsum: the window, the filter, the result."""
    taps = LETTERS[: f.ndim - 2]
    return f"n{taps}c", f"{taps}ck", "nck" if depthwise else "nk"


def conv(x, f, strides=None, padding="VALID", data_format=None, dilations=None, depthwise=False):
    x = last(x, data_format)
    w = Windows(x.shape[1:-1], f.shape[:-2], strides, padding, dilations)
    depth = f.shape[-1] * (f.shape[-2] if depthwise else 1)
    y, padded = np.zeros((x.shape[0], *w.out, depth), x.dtype), w.padded(x)
    a, b, c = each(f, depthwise)
    for o, at in w.places():
        part = np.einsum(f"{a},{b}->{c}", padded[(slice(None), *at)], f)
        y[(slice(None), *o)] = part.reshape(len(x), depth)
    return back(y, data_format)


def conv_input(f, dy, sizes, strides=None, padding="VALID", data_format=None, dilations=None,
               depthwise=False):  # fmt: skip
    dy = last(dy, data_format)
    dx = last(np.zeros(sizes, f.dtype), data_format)
    w = Windows(dx.shape[1:-1], f.shape[:-2], strides, padding, dilations)
    wide = w.padded(dx)
    a, b, c = each(f, depthwise)
    for o, at in w.places():
        g = dy[(slice(None), *o)]
        g = g.reshape(len(g), *f.shape[-2:]) if depthwise else g
        wide[(slice(None), *at)] += np.einsum(f"{c},{b}->{a}", g, f)
    return back(w.cut(wide), data_format)


def conv_filter(x, dy, sizes, strides=None, padding="VALID", data_format=None, dilations=None,
                depthwise=False):  # fmt: skip
    x, dy = last(x, data_format), last(dy, data_format)
    w = Windows(x.shape[1:-1], sizes[:-2], strides, padding, dilations)
    df, padded = np.zeros(sizes, x.dtype), w.padded(x)
    a, b, c = each(df, depthwise)
    for o, at in w.places():
        g = dy[(slice(None), *o)]
        g = g.reshape(len(g), sizes[-2], sizes[-1]) if depthwise else g
        df += np.einsum(f"{a},{c}->{b}", padded[(slice(None), *at)], g)
    return df


def scaled(oracle):
    return lambda *arrays, **attrs: oracle(*map(abs, arrays), **attrs)


def depthwise(oracle):
    return lambda *arrays, **attrs: oracle(*arrays, **attrs, depthwise=True)


def pooled(combine, fill):
    def oracle(x, ksize, strides=None, padding="VALID", data_format=None, dilations=None):
        x = last(x, data_format)
        n = x.ndim - 2
        w = Windows(x.shape[1:-1], to_list(ksize, n), strides, padding, dilations)
        padded, y = w.padded(x, fill(x)), np.zeros((x.shape[0], *w.out, x.shape[-1]), x.dtype)
        here = w.padded(np.ones((1, *x.shape[1:-1], 1), bool), False)
        for o, at in w.places():
            part = padded[(slice(None), *at)].reshape(len(x), w.size, x.shape[-1])
            y[(slice(None), *o)] = combine(part, here[(0, *at, 0)].sum())
        return back(y, data_format)

    return oracle


max_pool = pooled(
    lambda p, n: p.max(1), lambda x: -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
)
avg_pool = pooled(lambda p, n: p.sum(1) / x_type(p)(n), lambda x: 0)


def x_type(x):
    return x.dtype.type


def argmax_pool(x, ksize, strides, padding, include_batch_in_index=False, Targmax=np.int64):
    """By places numbered as the result numbers them."""
    y = max_pool(x, ksize, strides, padding)
    w = Windows(x.shape[1:-1], to_list(ksize, 2), strides, padding, None)
    number = np.arange(x.size).reshape(x.shape)
    if not include_batch_in_index:
        number = number % max(1, x[:1].size)
    xs, numbers = w.padded(x, -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min), None
    numbers, at_of = w.padded(number, -1), np.zeros(y.shape, Targmax)
    for o, at in w.places():
        shape = (len(x), w.size, x.shape[-1])
        part = xs[(slice(None), *at)].reshape(shape)
        places = numbers[(slice(None), *at)].reshape(shape)
        best = np.argmax(np.where(places < 0, -1, part == part.max(1, keepdims=True)), 1)
        at_of[(slice(None), *o)] = np.take_along_axis(places, best[:, None], 1)[:, 0]
    return y, at_of


def max_pool_grad(x, dy, ksize, strides, padding):
    """``dy`` to where the largest lies; every element of x is another."""
    dx = np.zeros(x.shape, dy.dtype)
    _, at = argmax_pool(x, ksize, strides, padding, include_batch_in_index=True)
    np.add.at(dx.reshape(-1), at.ravel(), dy.ravel())
    return dx


def max_pool_grad_grad(x, w, g, ksize, strides, padding):
    _, at = argmax_pool(x, ksize, strides, padding, include_batch_in_index=True)
    return g.reshape(-1)[at]


def avg_pool_grad(x, dy, ksize, strides, padding):
    w = Windows(x.shape[1:-1], to_list(ksize, x.ndim - 2), strides, padding, None)
    dx = w.padded(np.zeros(x.shape, dy.dtype))
    here = w.padded(np.ones((1, *x.shape[1:-1], 1), bool), False)
    for o, at in w.places():
        count = here[(0, *at, 0)].sum()
        share = dy[(slice(None), *o)] / dy.dtype.type(count)
        dx[(slice(None), *at)] += share.reshape(len(x), *(1,) * (x.ndim - 2), x.shape[-1])
    return w.cut(dx)


# fmt: off
# ---- cases: shapes of the inputs, attributes -----------------------------------------------------

EXPLICIT = [(0, 0), (2, 0), (1, 3), (0, 0)]
CONV = (
    ((1, 1, 1, 1), (1, 1, 1, 1), {"strides": 1, "padding": "VALID"}),
    ((2, 5, 4, 3), (3, 2, 3, 2), {"strides": [1, 1, 1, 1], "padding": "VALID"}),
    ((1, 5, 6, 2), (3, 3, 2, 3), {"strides": [1, 2, 3, 1], "padding": "SAME"}),
    ((2, 5, 5, 1), (2, 3, 1, 2), {"strides": [2, 1], "padding": EXPLICIT}),
    ((1, 7, 6, 2), (2, 3, 2, 2), {"strides": 1, "padding": "SAME", "dilations": [1, 3, 2, 1]}),
    ((1, 5, 6, 2), (2, 2, 2, 2), {"strides": 2, "padding": "VALID", "dilations": [2, 3]}),
    ((2, 3, 4, 2), (1, 1, 2, 3), {"strides": [1, 1], "padding": "SAME"}),
    ((2, 5, 4, 3), (1, 1, 3, 2), {"strides": [3, 2], "padding": "VALID"}),
    ((0, 4, 4, 2), (3, 3, 2, 2), {"strides": 1, "padding": "SAME"}),
    ((2, 4, 4, 0), (3, 3, 0, 2), {"strides": 1, "padding": "VALID"}),
    ((2, 3, 3, 2), (3, 3, 2, 2), {"strides": 1, "padding": "VALID"}),
    ((15, 4, 3, 5), (3, 2, 5, 41), {"strides": 1, "padding": "VALID"}),
    # filters as wide as the image
    ((2, 7, 3, 2), (2, 3, 2, 3), {"strides": [2, 1], "padding": "VALID"}),
    # few channels of many, and windows that are large
    ((2, 5, 6, 1), (3, 3, 1, 17), {"strides": 1, "padding": "SAME"}),
    ((7, 6, 6, 2), (5, 5, 2, 33), {"strides": 1, "padding": "VALID"}),
    ((2, 9, 8, 1), (3, 2, 1, 65), {"strides": 1, "padding": "SAME", "dilations": [2, 3]}),
    ((2, 9, 7, 1), (5, 4, 1, 65), {"strides": [2, 3], "padding": "SAME"}),
)
NCHW = (
    ((2, 3, 5, 4), (3, 2, 3, 2), {"strides": [1, 1, 2, 3], "padding": "SAME"}),
    ((2, 2, 4, 3), (1, 1, 2, 2), {"strides": 1, "padding": "VALID"}),
    ((1, 2, 5, 4), (2, 2, 2, 2), {"strides": 1, "padding": [(0, 0), (0, 0), (1, 0), (0, 2)]}),
)
VOLUMES = (
    ((1, 3, 4, 3, 2), (2, 2, 2, 2, 2), {"strides": 1, "padding": "VALID"}),
    ((1, 3, 3, 4, 1), (2, 3, 1, 1, 3), {"strides": [1, 2, 1, 2, 1], "padding": "SAME"}),
    ((1, 4, 3, 3, 2), (2, 1, 2, 2, 1), {"strides": 1, "padding": "SAME",
                                        "dilations": [1, 2, 1, 1, 1]}),
    ((2, 3, 4, 4, 1), (2, 3, 2, 1, 33), {"strides": [1, 1, 2, 1, 1], "padding": "SAME"}),
)
CHANNELS = (
    ((2, 4, 4, 3), (2, 2, 3, 1), {"strides": 1, "padding": "VALID"}),
    ((1, 5, 4, 2), (3, 2, 2, 3), {"strides": [1, 2, 2, 1], "padding": "SAME"}),
    ((1, 5, 5, 2), (2, 2, 2, 2), {"strides": 1, "padding": "SAME", "dilations": [2, 1]}),
    ((0, 4, 4, 2), (2, 2, 2, 2), {"strides": 1, "padding": "VALID"}),
    ((3, 4, 3, 37), (2, 2, 37, 1), {"strides": 1, "padding": "SAME"}),
)


def forward(cases, **more):
    return tuple(((x, f), {**attrs, **more}) for x, f, attrs in cases)


def placed(cases, form=None, deep=False):
    """(x, filter, dy, attrs) of each case: dy as the oracle has it."""
    for x, f, attrs in cases:
        zeros = np.zeros(x), np.zeros(f)
        yield x, f, conv(*zeros, **attrs, data_format=form, depthwise=deep).shape, attrs


def to_input(cases, form=None, deep=False):
    more = {"data_format": form} if form else {}
    return tuple(((f, dy), {"sizes": list(x), **attrs, **more})
                 for x, f, dy, attrs in placed(cases, form, deep))


def to_filter(cases, form=None, deep=False):
    more = {"data_format": form} if form else {}
    return tuple(((x, dy), {"sizes": list(f), **attrs, **more})
                 for x, f, dy, attrs in placed(cases, form, deep))


def sizes_first(function):
    return lambda f, dy, sizes, **attrs: function(sizes, f, dy, **attrs)


def sizes_second(function):
    return lambda x, dy, sizes, **attrs: function(x, sizes, dy, **attrs)


def transposed(function):
    return lambda f, dy, sizes, **attrs: function(dy, f, sizes, **attrs)


def linear(op, build, oracle, cases, **more):
    """Linear in each of its two inputs."""
    return Spec(op, build, oracle, (normal,), cases, FLOATS, more.pop("ulps", 4), scaled(oracle),
                (0, 1), **more)


VALID = {"strides": 1, "padding": "VALID"}
BAD_CONV = (
    Bad(ValueError, ("3", "2", "depths"), (f32(1, 4, 4, 3), f32(2, 2, 2, 1)), VALID),
    Bad(ValueError, ("rank 4", "input", "(4, 4, 3)"), (f32(4, 4, 3), f32(2, 2, 3, 1)), VALID),
    Bad(ValueError, ("rank 4", "filter", "(2, 3)"), (f32(1, 4, 4, 3), f32(2, 3)), VALID),
    Bad(ValueError, ("subtracting 5 from 4",), (f32(1, 4, 4, 1), f32(5, 1, 1, 1)), VALID),
    Bad(ValueError, ("window of size 0",), (f32(1, 4, 4, 1), f32(0, 1, 1, 1)), VALID),
    Bad(TypeError, ("float32", "float64"), (f32(1, 4, 4, 1), np.zeros((2, 2, 1, 1))), VALID),
)

# ---- pooling -------------------------------------------------------------------------------------

POOL = (
    (((1, 1, 1, 1),), {"ksize": 1, "strides": 1, "padding": "VALID"}),
    (((2, 4, 6, 3),), {"ksize": [1, 2, 2, 1], "strides": [1, 2, 2, 1], "padding": "VALID"}),
    (((1, 5, 5, 2),), {"ksize": [3, 2], "strides": [2, 1], "padding": "SAME"}),
    (((2, 5, 4, 1),), {"ksize": 3, "strides": 1, "padding": "SAME"}),
    (((1, 5, 7, 2),), {"ksize": 2, "strides": 3, "padding": "VALID"}),
    (((0, 4, 4, 2),), {"ksize": 2, "strides": 2, "padding": "VALID"}),
    (((3, 6, 5, 67),), {"ksize": 3, "strides": 2, "padding": "SAME"}),
)
POOL3D = (
    (((1, 3, 4, 3, 2),), {"ksize": 2, "strides": 1, "padding": "VALID"}),
    (((1, 4, 3, 5, 1),), {"ksize": [2, 1, 3], "strides": [2, 1, 2], "padding": "SAME"}),
)
OF_CHANNELS = (
    (((1, 3, 4, 4),), {"ksize": [1, 1, 2, 2], "strides": [1, 1, 2, 2], "padding": "VALID",
                       "data_format": "NCHW"}),
    (((2, 2, 3, 5),), {"ksize": 2, "strides": 2, "padding": "SAME", "data_format": "NCHW"}),
)
BAD_POOL = (
    Bad(ValueError, ("rank 4", "(4, 4)"), (f32(4, 4),),
        {"ksize": 2, "strides": 2, "padding": "VALID"}),
    Bad(ValueError, ("subtracting 5 from 4",), (f32(1, 4, 4, 1),),
        {"ksize": 5, "strides": 1, "padding": "VALID"}),
    Bad(TypeError, ("bool",), (np.zeros((1, 4, 4, 1), bool),),
        {"ksize": 2, "strides": 1, "padding": "VALID"}),
)


def with_grad(cases, oracle):
    return tuple(((*x, oracle(np.zeros(x[0]), **attrs).shape), attrs) for x, attrs in cases)


def with_grads(cases, oracle):
    return tuple(((x[0], oracle(np.zeros(x[0]), **attrs).shape, x[0]), attrs) for x, attrs in cases)


def pool_grad(function):
    return lambda x, dy, **attrs: gp.gradients(function(x, **attrs), x, dy)[0]


def pool_grad_grad(function):
    """The gradient's gradient with respect to dy, in direction g."""
    return lambda x, dy, g, **attrs: gp.gradients(
        gp.gradients(function(x, **attrs), x, dy)[0], dy, g)[0]


# ---- normalisation -------------------------------------------------------------------------------


def lrn(x, depth_radius=5, bias=1, alpha=1, beta=0.5):
    sums = np.zeros_like(x)
    for c in range(x.shape[-1]):
        low = max(0, c - depth_radius)
        sums[..., c] = (x[..., low:c + depth_radius + 1] ** 2).sum(-1)
    return x / (bias + alpha * sums) ** x.dtype.type(beta)


def neighbour_sum(x, radius):
    out = np.zeros_like(x)
    for c in range(x.shape[-1]):
        out[..., c] = x[..., max(0, c - radius):c + radius + 1].sum(-1)
    return out


def batch_norm(x, mean, variance, offset, scale, variance_epsilon):
    return (x - mean) / np.sqrt(variance + variance_epsilon) * scale + offset


def training(x, scale, offset, epsilon=0.001, data_format="NHWC"):
    axes = (0, 1, 2) if data_format == "NHWC" else (0, 2, 3)
    x = x.astype(np.result_type(x.dtype, np.float64))
    row = (-1, *(1,) * (4 - 1 - max(axes) % 4)) if data_format == "NCHW" else (-1,)
    n = np.prod([x.shape[a] for a in axes])
    mean, spread = x.mean(axes), x.var(axes)
    y = (x - mean.reshape(row)) / np.sqrt(spread.reshape(row) + epsilon)
    return (y * scale.reshape(row) + offset.reshape(row), mean, spread * (n / max(1, n - 1)))


def training_oracle(x, scale, offset, epsilon=0.001, data_format="NHWC"):
    if data_format == "NCHW":
        y, *more = training(np.moveaxis(x, 1, -1), scale, offset, epsilon)
        return (np.moveaxis(y, -1, 1), *more)
    return training(x, scale, offset, epsilon)


def inference(x, scale, offset, mean, variance, epsilon=0.001):
    return batch_norm(x, mean, variance, offset, scale, epsilon), mean, variance


def infer(x, scale, offset, mean, variance, epsilon=0.001):
    return nn.fused_batch_norm(x, scale, offset, mean, variance, epsilon, is_training=False)


BATCHES = (
    (((2, 3, 2, 3), (3,), (3,)), {}), (((1, 1, 1, 2), (2,), (2,)), {"epsilon": 0.1}),
    (((5, 3, 3, 1), (1,), (1,)), {}), (((2, 3, 2, 2), (3,), (3,)), {"data_format": "NCHW"}),
)

SPECS = [
    # ---- convolutions
    linear("Conv2D", nn.conv2d, conv, forward(CONV), bad=BAD_CONV),
    linear("Conv2D/channels", nn.conv2d, conv, forward(NCHW, data_format="NCHW")),
    linear("Conv2DBackpropInput", sizes_first(nn.conv2d_backprop_input), conv_input,
           to_input(CONV), bad=(
               Bad(ValueError, ("out_backprop", "3", "2"), (f32(2, 2, 1, 1), f32(1, 2, 2, 1)),
                   {"sizes": [1, 4, 4, 1], **VALID}),
               Bad(ValueError, ("input_sizes", "vector of 4"), (f32(2, 2, 1, 1), f32(1, 2, 2, 1)),
                   {"sizes": [1, 3, 3], **VALID}),
               Bad(ValueError, ("-3", "negative"), (f32(2, 2, 1, 1), f32(1, 2, 2, 1)),
                   {"sizes": [1, -3, 3, 1], **VALID}))),
    linear("Conv2DBackpropInput/channels", sizes_first(nn.conv2d_backprop_input), conv_input,
           to_input(NCHW, "NCHW")),
    linear("Conv2DBackpropInput/transpose", transposed(nn.conv2d_transpose), conv_input,
           to_input(CONV[:4])),
    linear("Conv2DBackpropFilter", sizes_second(nn.conv2d_backprop_filter), conv_filter,
           to_filter(CONV), ulps=8, bad=(
               Bad(ValueError, ("out_backprop", "3", "4"), (f32(1, 4, 4, 1), f32(1, 4, 3, 1)),
                   {"sizes": [2, 2, 1, 1], **VALID}),
               Bad(ValueError, ("depths", "1", "2"), (f32(1, 4, 4, 1), f32(1, 3, 3, 1)),
                   {"sizes": [2, 2, 2, 1], **VALID}))),
    linear("Conv2DBackpropFilter/channels", sizes_second(nn.conv2d_backprop_filter), conv_filter,
           to_filter(NCHW, "NCHW"), ulps=8),
    linear("Conv3D", nn.conv3d, conv, forward(VOLUMES)),
    linear("Conv3DBackpropInputV2", transposed(nn.conv3d_transpose), conv_input,
           to_input(VOLUMES)),
    linear("Conv3DBackpropFilterV2", sizes_second(nn.conv3d_backprop_filter), conv_filter,
           to_filter(VOLUMES), ulps=8),
    linear("Conv2D/conv1d", lambda x, f, stride, padding, **more: nn.conv1d(x, f, stride, padding,
                                                                            **more),
           lambda x, f, stride, padding, data_format=None: conv(x, f, stride, padding, data_format),
           ((((2, 7, 2), (3, 2, 2)), {"stride": 2, "padding": "SAME"}),
            (((2, 2, 7), (3, 2, 2)), {"stride": 1, "padding": "VALID", "data_format": "NCW"}))),
    linear("Conv2DBackpropInput/conv1d", transposed(nn.conv1d_transpose), conv_input,
           to_input((((2, 7, 2), (3, 2, 2), {"strides": 2, "padding": "SAME"}),))),
    linear("Conv2D/atrous", nn.atrous_conv2d,
           lambda x, f, rate, padding: conv(x, f, 1, padding, None, rate),
           ((((1, 7, 6, 2), (2, 3, 2, 2)), {"rate": 2, "padding": "SAME"}),)),
    linear("Conv3D/convolution", nn.convolution,
           lambda x, f, padding, strides: conv(x, f, strides, padding),
           ((((1, 3, 3, 3, 2), (2, 2, 2, 2, 2)), {"strides": [1, 2, 1], "padding": "SAME"}),),
           rank_needed=True),
    linear("DepthwiseConv2dNative", nn.depthwise_conv2d_native, depthwise(conv), forward(CHANNELS),
           bad=BAD_CONV[:4]),
    linear("DepthwiseConv2dNative/channels", nn.depthwise_conv2d, depthwise(conv),
           ((((2, 2, 4, 4), (2, 2, 2, 2)),
             {"strides": [1, 1, 2, 2], "padding": "SAME", "data_format": "NCHW"}),)),
    linear("DepthwiseConv2dNativeBackpropInput",
           sizes_first(nn.depthwise_conv2d_native_backprop_input), depthwise(conv_input),
           to_input(CHANNELS, deep=True)),
    linear("DepthwiseConv2dNativeBackpropFilter",
           sizes_second(nn.depthwise_conv2d_native_backprop_filter), depthwise(conv_filter),
           to_filter(CHANNELS, deep=True), ulps=8),
    Spec("Conv2D/separable", nn.separable_conv2d,
         lambda x, d, p, strides, padding: conv(conv(x, d, strides, padding, depthwise=True), p),
         (normal,), ((((1, 4, 5, 2), (2, 2, 2, 2), (1, 1, 4, 3)),
                      {"strides": [1, 2, 2, 1], "padding": "SAME"}),), FLOATS, 8,
         lambda x, d, p, **a: conv(conv(abs(x), abs(d), *a.values(), depthwise=True), abs(p)),
         (0, 1, 2)),
    # ---- pooling
    Spec("MaxPool", nn.max_pool, max_pool, (distinct,), POOL, NUMBERS, diff=(0,), bad=BAD_POOL),
    Spec("MaxPool/channels", nn.max_pool, max_pool, (distinct,), OF_CHANNELS, NUMBERS, diff=(0,)),
    Spec("MaxPool/1d", nn.max_pool1d, max_pool, (distinct,),
         ((((2, 7, 2),), {"ksize": 3, "strides": 2, "padding": "SAME"}),), diff=(0,)),
    Spec("MaxPool/pool", lambda x, window_shape, padding, dilation_rate: nn.pool(
             x, window_shape, "MAX", padding, dilation_rate),
         lambda x, window_shape, padding, dilation_rate: max_pool(
             x, window_shape, None, padding, None, dilation_rate), (distinct,),
         ((((1, 5, 6, 2),), {"window_shape": [2, 3], "padding": "VALID",
                             "dilation_rate": [2, 1]}),), diff=(0,), rank_needed=True),
    Spec("MaxPool3D", nn.max_pool3d, max_pool, (distinct,), POOL3D, NUMBERS, diff=(0,)),
    Spec("MaxPoolWithArgmax", nn.max_pool_with_argmax, argmax_pool, (distinct,),
         (*POOL[:5], POOL[6], (POOL[2][0], {**POOL[2][1], "include_batch_in_index": True}),
          (POOL[1][0], {**POOL[1][1], "Targmax": "int32"})), NUMBERS, bad=BAD_POOL),
    Spec("MaxPoolWithArgmax/value", lambda x, **a: nn.max_pool_with_argmax(x, **a)[0], max_pool,
         (distinct,), POOL[:4], NUMBERS, diff=(0,)),
    Spec("MaxPoolGrad", pool_grad(nn.max_pool), max_pool_grad, (distinct, normal),
         with_grad(POOL, max_pool), ulps=2, diff=(1,),
         scale=lambda x, dy, **a: max_pool_grad(x, abs(dy), **a)),
    Spec("MaxPoolGradGrad", pool_grad_grad(nn.max_pool), max_pool_grad_grad, (distinct, normal),
         with_grads(POOL, max_pool), diff=(2,)),
    Spec("MaxPool3DGrad", pool_grad(nn.max_pool3d), lambda x, dy, **a: numeric_max(x, dy, **a),
         (distinct, normal), with_grad(POOL3D, max_pool), ulps=2, diff=(1,),
         scale=lambda x, dy, **a: numeric_max(x, abs(dy), **a)),
    Spec("MaxPool3DGradGrad", pool_grad_grad(nn.max_pool3d),
         lambda x, dy, g, **a: picked(x, g, **a), (distinct, normal),
         with_grads(POOL3D, max_pool), diff=(2,)),
    Spec("AvgPool", nn.avg_pool, avg_pool, (normal,), POOL, FLOATS, 4,
         lambda x, **a: avg_pool(abs(x), **a), (0,), bad=BAD_POOL),
    Spec("AvgPool/channels", nn.avg_pool, avg_pool, (normal,), OF_CHANNELS, FLOATS, 4,
         lambda x, **a: avg_pool(abs(x), **a), (0,)),
    Spec("AvgPool/1d", nn.avg_pool1d, avg_pool, (normal,),
         ((((2, 2, 7),), {"ksize": 2, "strides": 2, "padding": "VALID", "data_format": "NCW"}),),
         FLOATS, 4, lambda x, **a: avg_pool(abs(x), **a), (0,)),
    Spec("AvgPool3D", nn.avg_pool3d, avg_pool, (normal,), POOL3D, FLOATS, 4,
         lambda x, **a: avg_pool(abs(x), **a), (0,)),
    Spec("AvgPoolGrad", pool_grad(nn.avg_pool), avg_pool_grad, (normal,),
         with_grad(POOL, avg_pool), FLOATS, 4, lambda x, dy, **a: avg_pool_grad(x, abs(dy), **a),
         (1,)),
    Spec("AvgPool3DGrad", pool_grad(nn.avg_pool3d), avg_pool_grad, (normal,),
         with_grad(POOL3D, avg_pool), FLOATS, 4,
         lambda x, dy, **a: avg_pool_grad(x, abs(dy), **a), (1,)),
    # ---- normalisation
    Spec("NeighbourSum", lambda x, radius: gp.gradients(nn.lrn(x, radius), x)[0],
         lambda x, radius: lrn_grad(x, radius), (normal,),
         ((((2, 1, 2, 5),), {"radius": 1}), (((1, 2, 2, 3),), {"radius": 5}),
          (((1, 2, 1, 4),), {"radius": 0})), FLOATS, 16, lambda x, radius: 1 + 0 * x, (0,)),
    Spec("NeighbourSum/lrn", nn.lrn, lrn, (normal,),
         ((((2, 1, 2, 7),), {}), (((1, 2, 2, 5),), {"depth_radius": 2, "bias": 2.0, "alpha": 0.5,
                                                   "beta": 0.75}),
          (((3, 2, 2, 33),), {"depth_radius": 4}), (((0, 2, 2, 3),), {}),
          (((1, 1, 1, 1),), {"depth_radius": 0})), FLOATS, 8, diff=(0,), bad=(
             Bad(ValueError, ("rank 4", "(3, 3)"), (f32(3, 3),)),
             Bad(TypeError, ("int32",), (np.zeros((1, 1, 1, 3), np.int32),)))),
    Spec("Add/batch_normalization", nn.batch_normalization, batch_norm,
         (normal, normal, positive, normal, normal),
         ((((4, 3), (3,), (3,), (3,), (3,)), {"variance_epsilon": 1e-3}),
          (((2, 2, 3), (2, 1), (2, 1), (3,), ()), {"variance_epsilon": 0.1})), FLOATS, 8,
         lambda x, m, v, o, s, variance_epsilon: (
             (abs(x) + abs(m)) / np.sqrt(v + variance_epsilon) * abs(s) + abs(o)),
         (0, 1, 2, 3, 4)),
    Spec("ChannelRow", nn.fused_batch_norm, training_oracle, (normal,), BATCHES,
         FLOATS, 64, lambda x, s, o, **a: tuple(
             1 + abs(t) for t in training_oracle(abs(x), abs(s), abs(o), **a)), (0, 1, 2),
         bad=(
             Bad(ValueError, ("rank 4",), (f32(2, 3), f32(3), f32(3))),
             Bad(ValueError, ("(2,)", "3"), (f32(1, 2, 2, 3), f32(2), f32(3))))),
    Spec("ChannelRow/inference", infer, inference, (normal, normal, normal, normal, positive),
         ((((2, 3, 2, 3), (3,), (3,), (3,), (3,)), {}),), FLOATS, 16,
         lambda x, s, o, m, v: (
             (abs(x) + abs(m)) / np.sqrt(v) * abs(s) + abs(o), abs(m), abs(v)), (0, 1, 2, 3, 4)),
]


def volume_argmax(x, ksize, strides, padding):
    """For volumes, the number of the largest element of each window."""
    w = Windows(x.shape[1:-1], to_list(ksize, 3), strides, padding, None)
    xs = w.padded(x, -np.inf)
    numbers = w.padded(np.arange(x.size).reshape(x.shape), -1)
    out = np.zeros((len(x), *w.out, x.shape[-1]), np.int64)
    for o, at in w.places():
        shape = (len(x), w.size, x.shape[-1])
        best = xs[(slice(None), *at)].reshape(shape).argmax(1)
        found = np.take_along_axis(numbers[(slice(None), *at)].reshape(shape), best[:, None], 1)
        out[(slice(None), *o)] = found[:, 0]
    return out


def numeric_max(x, dy, ksize, strides, padding):
    dx = np.zeros(x.shape, dy.dtype)
    np.add.at(dx.reshape(-1), volume_argmax(x, ksize, strides, padding).ravel(), dy.ravel())
    return dx


def picked(x, g, ksize, strides, padding):
    return g.reshape(-1)[volume_argmax(x, ksize, strides, padding)]


def lrn_grad(x, radius):
    base = 1 + neighbour_sum(x * x, radius)
    return 1 / np.sqrt(base) - x * neighbour_sum(x / base ** x.dtype.type(1.5), radius)
