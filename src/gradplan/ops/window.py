"""Windows that slide over the inner dimensions of a tensor: what convolutions and pooling share.

Kernels know one layout, ``[n, d, h, w, c]``, and neither padding nor transposed convolutions. The
helpers here make that of every other form, by views where they can: other layouts are transposed
looks, padding is a copy with zeros around, and a transposed convolution with stride s is s
convolutions an axis, each of the output's gradient with every s-th element of the filter.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradplan import shapes
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import graph_of
from gradplan.ops.array import identity

__all__: list[str] = []

FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}


class Axis(NamedTuple):
    """What a window does along one dimension; ``size`` and ``out`` are of the larger and the
    smaller tensor."""

    size: int
    out: int
    taps: int
    stride: int
    dilation: int
    before: int
    after: int


# ---- arguments -----------------------------------------------------------------------------------


def layout(data_format: Any, spatial: int) -> str:
    """The name of the layout, by default the one with the channels last."""
    if data_format is None or data_format == "":
        return FORMATS[spatial][0]
    if data_format not in FORMATS[spatial]:
        raise ValueError(
            at_user_line(f"data_format must be one of {FORMATS[spatial]}, not {data_format!r}")
        )
    return str(data_format)


def channel_axis(data_format: str) -> int:
    return data_format.index("C")


def along(value: Any, name: str, data_format: str) -> tuple[int, ...]:
    """Strides, dilations or window sizes for every dimension of the layout.

    ``value`` is one int, one for each inner dimension, or one for each dimension; None is 1.
    """
    spatial = len(data_format) - 2
    given = [1] if value is None else np.atleast_1d(np.asarray(value)).tolist()
    if not all(type(v) is int for v in given):
        raise TypeError(at_user_line(f"{name} must be an integer or a list of them, not {value!r}"))
    channel = channel_axis(data_format)
    if len(given) in (1, spatial):
        inner = given * spatial if len(given) == 1 else given
        full = [1, *inner[: channel - 1], 1, *inner[channel - 1 :]]
    elif len(given) == spatial + 2:
        full = given
    else:
        raise ValueError(
            at_user_line(f"{name} must have 1, {spatial} or {spatial + 2} elements, not {value!r}")
        )
    if any(v < 1 or v >= 2**31 for v in full):
        raise ValueError(at_user_line(f"{name} must be positive int32, but is {value!r}"))
    if full[0] != 1 or full[channel] != 1:
        raise ValueError(
            at_user_line(f"{name} must be 1 in the batch and depth dimensions, but is {value!r}")
        )
    return tuple(full)


def inner(values: Sequence[Any], data_format: str) -> tuple[Any, ...]:
    """Of a value for each dimension those of the inner dimensions, in order."""
    channel = channel_axis(data_format)
    return tuple(v for i, v in enumerate(values) if i not in (0, channel))


def padding_of(padding: Any, data_format: str) -> tuple[str, tuple[int, ...]]:
    """The attributes ``padding`` and ``explicit_paddings``."""
    if isinstance(padding, str):
        if padding.upper() not in ("SAME", "VALID"):
            raise ValueError(
                at_user_line(f"padding must be 'SAME', 'VALID' or a list, not {padding!r}")
            )
        return padding.upper(), ()
    try:
        pairs = [(int(a), int(b)) for a, b in padding]
    except (TypeError, ValueError):
        raise ValueError(
            at_user_line(
                f"padding must be 'SAME', 'VALID' or a pair for each dimension, not {padding!r}"
            )
        ) from None
    if len(pairs) != len(data_format):
        raise ValueError(
            at_user_line(f"padding must have {len(data_format)} pairs, not {padding!r}")
        )
    flat = tuple(n for pair in pairs for n in pair)
    if any(n < 0 or n >= 2**31 for n in flat):
        raise ValueError(at_user_line(f"padding must not be negative or huge: {padding!r}"))
    if any(pairs[0]) or any(pairs[channel_axis(data_format)]):
        raise ValueError(
            at_user_line(f"padding must be 0 in the batch and depth dimensions: {padding!r}")
        )
    return "EXPLICIT", flat


def window_attrs(
    spatial: int, strides: Any, padding: Any, data_format: Any, dilations: Any = None
) -> dict[str, Any]:
    """The attributes of a convolution."""
    form = layout(data_format, spatial)
    kind, explicit = padding_of(padding, form)
    return {
        "strides": along(strides, "strides", form),
        "padding": kind,
        "explicit_paddings": explicit,
        "data_format": form,
        "dilations": along(dilations, "dilations", form),
    }


# ---- shapes --------------------------------------------------------------------------------------


def pads(
    attrs: dict[str, Any], i: int, size: int, taps: int, stride: int, dilation: int
) -> tuple[int, int]:
    """Zeros before and after along inner dimension i."""
    if attrs["padding"] == "VALID":
        return 0, 0
    if attrs["padding"] == "SAME":
        total = max(0, (-(-size // stride) - 1) * stride + (taps - 1) * dilation + 1 - size)
        return total // 2, total - total // 2
    explicit = attrs["explicit_paddings"]
    pairs = list(zip(explicit[::2], explicit[1::2], strict=True))
    return inner(pairs, attrs["data_format"])[i]  # type: ignore[no-any-return]


def axes_of(attrs: dict[str, Any], sizes: Sequence[Any], taps: Sequence[Any]) -> list[Any]:
    """For every inner dimension its :class:`Axis`, or None where something is not known.

    Raises
    ------
    ValueError
        If a window is larger than what it slides over.
    """
    form = attrs["data_format"]
    strides = inner(attrs["strides"], form)
    dilations = inner(attrs["dilations"], form)
    out: list[Axis | None] = []
    for i, (size, k, s, d) in enumerate(zip(sizes, taps, strides, dilations, strict=True)):
        if k is not None and k < 1:
            raise ValueError(f"a window of size {k} is none")
        if size is None or k is None:
            out.append(None)
            continue
        before, after = pads(attrs, i, size, k, s, d)
        reach = (k - 1) * d + 1
        padded = shapes.size([size + before + after])
        if padded < reach and not (size == 0 and attrs["padding"] == "SAME"):
            raise ValueError(
                f"Negative dimension size caused by subtracting {reach} from {padded}: the window "
                f"is larger than inner dimension {i}, of size {size}"
            )
        places = max(0, (padded - reach) // s + 1)
        out.append(Axis(size, places, k, s, d, before, after))
    return out


def check_padded(axes: Sequence[Any], *others: Any) -> None:
    """ValueError if the padded tensor would have more elements than there can be."""
    padded_sizes = [a.size + a.before + a.after for a in axes if a is not None]
    shapes.size([d for d in (*padded_sizes, *others) if d is not None])


def out_sizes(attrs: dict[str, Any], sizes: Sequence[Any], taps: Sequence[Any]) -> list[Any]:
    """The sizes of a result along the inner dimensions, None where they are not known."""
    out = []
    strides = inner(attrs["strides"], attrs["data_format"])
    for axis, size, stride in zip(axes_of(attrs, sizes, taps), sizes, strides, strict=True):
        if axis is not None:
            out.append(axis.out)
        elif size is not None and attrs["padding"] == "SAME":
            out.append(-(-size // stride))
        else:
            out.append(None)
    return out


def assemble(n: Any, spatial: Sequence[Any], c: Any, data_format: str) -> tuple[Any, ...]:
    """A shape in the layout."""
    out = [n, *spatial]
    out.insert(channel_axis(data_format), c)
    return tuple(out)


def of_rank(shape: Any, rank: int, name: str) -> tuple[Any, ...]:
    """The shape, Nones if it is unknown; ValueError if it has another rank."""
    if shape is None:
        return (None,) * rank
    if len(shape) != rank:
        raise ValueError(f"{name} must be rank {rank}, but is {shapes.text(shape)}")
    return tuple(shape)


def sizes_argument(value: Any, in_shape: Any, rank: int, name: str) -> tuple[Any, ...]:
    """The shape that an input holds as its value; Nones where it is not known yet."""
    if in_shape is not None and (len(in_shape) != 1 or in_shape[0] not in (None, rank)):
        raise ValueError(f"{name} must be a vector of {rank}, but is {shapes.text(in_shape)}")
    if value is None:
        return (None,) * rank
    if value.shape != (rank,):
        raise ValueError(f"{name} must be a vector of {rank}, but is {value.tolist()}")
    dims = tuple(int(d) for d in value)
    if any(d < 0 for d in dims):
        raise ValueError(f"{name} {list(dims)} has a negative dimension")
    shapes.size(dims)
    return dims


def must_agree(a: Any, b: Any, text: str) -> Any:
    """The known one of two sizes; ValueError if both are known and differ."""
    if a is not None and b is not None and a != b:
        raise ValueError(f"{text}: {a} and {b}")
    return a if b is None else b


# ---- views ---------------------------------------------------------------------------------------


def inner_first(view: Any, data_format: str) -> Any:
    """A look at a tensor as [n, d, h, w, c]."""
    rank, channel = len(data_format), channel_axis(data_format)
    order = [i for i in range(rank) if i != channel] + [channel]
    return five(view.transposed(order))


def five(view: Any) -> Any:
    """[n, ..., c] with dims of 1 put in before the inner ones, to five."""
    more = 5 - len(view.dims)
    dims, steps = view.dims, view.strides
    return view.seen((dims[0], *(1,) * more, *dims[1:]), (steps[0], *(0,) * more, *steps[1:]))


def filter_of_five(view: Any) -> Any:
    """A filter [..., c, k] likewise, as [d, h, w, c, k]."""
    more = 5 - len(view.dims)
    return view.seen((1,) * more + view.dims, (0,) * more + view.strides)


def three(axes: Sequence[Any], empty: Any) -> list[Any]:
    return [empty] * (3 - len(axes)) + list(axes)


ALONE = Axis(1, 1, 1, 1, 1, 0, 0)


def result_of(binder: Any, op: Any, data_format: str) -> Any:
    """New memory for a result, as [n, d, h, w, c] without gaps, whatever its layout."""
    dims = binder.shape(op.outputs[0])
    channel = channel_axis(data_format)
    if channel == len(dims) - 1:
        return five(binder.result(op))
    last = tuple(d for j, d in enumerate(dims) if j != channel) + (dims[channel],)
    view = binder.scratch(op.name, op.outputs[0].dtype, last)
    order = list(range(len(dims) - 1))
    order.insert(channel, len(dims) - 1)
    binder.alias(op, view.transposed(order))
    return five(view)


def has_inner(view: Any) -> Any:
    """Whether the channels lie side by side."""
    return view.dims[-1] == 1 or view.strides[-1] == 1 or view.size == 0


def padded(binder: Any, view: Any, around: Sequence[tuple[int, int]]) -> Any:
    """[n, d, h, w, c] with zeros around, or as it is where there are none and C can read it.

    Negative numbers cut off.
    """
    for i, (a, b) in enumerate(around):
        if a < 0 or b < 0:
            start, stop = max(0, -a), view.dims[i + 1] - max(0, -b)
            view = view.window(i + 1, min(start, view.dims[i + 1]), max(0, stop - start))
    around = [(max(0, a), max(0, b)) for a, b in around]
    if not any(map(any, around)):
        return view if has_inner(view) else binder.contiguous(view)
    n, *sizes, c = view.dims
    dims = (n, *[s + a + b for s, (a, b) in zip(sizes, around, strict=True)], c)
    new = binder.scratch(view.storage.name, view.dtype, dims)
    binder.emit("fill_zero", [new], [])
    inside = new
    for i, (a, _) in enumerate(around):
        inside = inside.window(i + 1, a, sizes[i])
    if view.size:
        binder.copy(inside, view)
    return new


class Phase(NamedTuple):
    """The places of a transposed convolution along one axis that the same taps reach.

    Attributes
    ----------
    first, places : int
        Places ``first + stride * j``.
    taps : sequence of int
        In the order in which they follow each other in the output's gradient, ``step`` apart.
    start, step : int
        Where the first tap of the first place lies.
    """

    first: int
    places: int
    taps: range
    start: int
    step: int


def phases(axis: Axis) -> list[Phase]:
    """Place p of the larger tensor meets tap t at ``(p + before - t * dilation) / stride`` of the
    smaller one, where that is whole."""
    apart = math.gcd(axis.stride, axis.dilation)
    every, step = axis.stride // apart, axis.dilation // apart
    out = []
    for first in range(min(axis.stride, axis.size)):
        places = -(-(axis.size - first) // axis.stride)
        at = first + axis.before
        hits = [
            t for t in range(min(every, axis.taps)) if (at - t * axis.dilation) % axis.stride == 0
        ]
        taps = range(hits[0], axis.taps, every)[::-1] if hits else range(0)
        start = (at - taps[0] * axis.dilation) // axis.stride if hits else 0
        out.append(Phase(first, places, taps, start, step))
    return out


def transposed_calls(axes: Sequence[Axis]) -> tuple[list[tuple[int, int]], list[Any]]:
    """How much the output's gradient is padded, and for each combination of phases that any tap
    reaches its three phases, with starts that count in the padded one."""
    each = [phases(axis) for axis in axes]
    around, moved = [], []
    for axis, found in zip(axes, each, strict=True):
        reached = [p for p in found if p.taps]
        low = min([p.start for p in reached], default=0)
        high = max(
            [p.start + (len(p.taps) - 1) * p.step + p.places for p in reached], default=axis.out
        )
        around.append((-low, high - axis.out))
        moved.append([p._replace(start=p.start - low) for p in reached])
    calls = [(d, h, w) for d in moved[0] for h in moved[1] for w in moved[2]]
    return around, calls


def dim_window(view: Any, first: int, start: int, count: int, step: int) -> Any:
    """``count`` elements ``step`` apart along dimension ``first``."""
    dims, steps = list(view.dims), list(view.strides)
    dims[first], steps[first] = count, steps[first] * step
    return view.seen(dims, steps, 0 if 0 in view.dims else start * view.strides[first])


def one_of(given: Any, other: Any, name: str, old: str) -> Any:
    """An argument that has two names."""
    if given is not None and other is not None:
        raise ValueError(at_user_line(f"give {name} or {old}, not both"))
    if given is None and other is None:
        raise ValueError(at_user_line(f"{name} is missing"))
    return other if given is None else given


def in_scope(inputs: Sequence[Any], name: str | None, default: str) -> Any:
    """The graph of the inputs and a name scope of it, for compositions."""
    graph = graph_of([x for x in inputs if x is not None])
    return graph.as_default(), graph.name_scope(name or default)


def static_rank(x: Tensor, what: str) -> int:
    """The rank, which must be known."""
    if x._shape is None:
        raise ValueError(at_user_line(f"{what} needs an input of known rank, but has {x}"))
    return len(x._shape)


def without(x: Tensor, axis: int) -> Tensor:
    """``x`` without dimension ``axis``, of size 1."""
    key = (slice(None),) * axis + (0,)
    return identity(x[key], name="Squeeze")


def dilated(x: Tensor, dilations: Sequence[Any]) -> Tensor:
    """What a window gave, by its name in TensorFlow, which makes a batch of what is skipped."""
    return identity(x, name="BatchToSpaceND") if any(d != 1 for d in dilations) else x
