"""Padding, reversing and rolling."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.dtypes import ALL, NUMBERS
from gradplan.graph import Tensor, at_user_line
from gradplan.names import named
from gradplan.opdef import CALL, VIEW, apply, graph_of, op
from gradplan.ops.constant import convert_to_tensor, require_constant
from gradplan.ops.math import negative
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.sizes import bound_list, list_argument, listed, shape, shape_argument
from gradplan.ops.strided import slice_view

__all__ = ["pad", "reverse", "reverse_sequence", "reverse_v2", "roll"]

# ---- padding -------------------------------------------------------------------------------------


def pad(
    tensor: Any,
    paddings: Any,
    mode: str = "CONSTANT",
    name: str | None = None,
    constant_values: Any = 0,
) -> Tensor:
    """Put elements before and after those of a tensor, along each dimension.

    Parameters
    ----------
    tensor : tensor_like
    paddings : tensor_like of int32 or int64, shape [rank, 2]
        How many before and after.
    mode : {"CONSTANT", "REFLECT", "SYMMETRIC"}, optional
        What they are: ``constant_values``; the mirror image of what is inside, without the
        outermost elements; or with them.
    name : str, optional
    constant_values : scalar tensor_like, optional
        Default: 0.

    Raises
    ------
    ValueError
        If the paddings have another shape, are negative, or pass the mirror image.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.pad([1, 2, 3], [[2, 1]], "REFLECT"))
    array([3, 2, 1, 2, 3, 2], dtype=int32)
    """
    kind = mode.upper() if isinstance(mode, str) else mode
    if kind not in ("CONSTANT", "REFLECT", "SYMMETRIC"):
        raise ValueError(
            at_user_line(f"pad: mode must be CONSTANT, REFLECT or SYMMETRIC, not {mode!r}")
        )
    if isinstance(paddings, (list, tuple)) and not paddings:
        paddings = np.zeros((0, 2), np.int32)
    if kind != "CONSTANT":
        return _mirror_pad(tensor, paddings, mode=kind, name=name)
    zero = not hasattr(constant_values, "op") and not np.any(constant_values)
    graph = graph_of([tensor, paddings, constant_values])
    with graph.as_default(), graph.name_scope(name or ("Pad" if zero else "PadV2")) as scope:
        tensor = convert_to_tensor(tensor, name="input")
        filling = convert_to_tensor(constant_values, tensor.dtype, "constant_values")
        return _pad(tensor, paddings, filling, name=scope)


def _padded(in_shapes: Any, value: Any, mode: str = "") -> Any:
    given, of_pads = in_shapes[0], in_shapes[1]
    pads = value(1)
    n = None if given is None else len(given)
    if of_pads is not None and shapes.merge(of_pads, (n, 2)) is False:
        raise ValueError(
            f"paddings must have shape [{'rank' if n is None else n}, 2] for an input of shape "
            f"{shapes.text(given)}, not {shapes.text(of_pads)}"
        )
    if pads is not None and (pads < 0).any():
        raise ValueError(f"paddings {pads.tolist()} must not be negative")
    if given is None:
        return (None,) * of_pads[0] if of_pads is not None and of_pads[0] is not None else None
    if pads is None:
        return (None,) * len(given)
    if mode:
        for i, (d, most) in enumerate(zip(given, pads.max(1, initial=0), strict=True)):
            if d is not None and most > d - (mode == "REFLECT") and most:
                raise ValueError(
                    f"paddings {pads[i].tolist()} of dimension {i} pass the mirror image of "
                    f"{d} elements in mode {mode}"
                )
    out = tuple(None if d is None else d + int(p.sum()) for d, p in zip(given, pads, strict=True))
    shapes.size([d for d in out if d is not None])
    return out


@op("PadV2", CALL, types="T I T -> T", T=ALL, flops=0)
def _pad(input: Any, paddings: Any, constant_values: Any, name: str | None = None) -> Any:
    """Padding by a constant; see :func:`pad`."""


@_pad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    if in_shapes[2] not in (None, ()):
        raise ValueError(f"constant_values must be a scalar, not {shapes.text(in_shapes[2])}")
    return _padded(in_shapes, value)


@_pad.lower
def _(binder: Any, op: Any) -> None:
    x, out = binder.view(op.inputs[0]), binder.result(op)
    pads = binder.value(op.inputs[1])
    if (pads != 0).any():
        binder.copy(out, binder.view(op.inputs[2]).broadcast(out.dims))
    binder.copy(_inside(out, pads, x.dims), x)


def _inside(out: Any, pads: Any, dims: Any) -> Any:
    """The part of a padded view that is not padding."""
    return out.cut([(i, int(pads[i][0]), d, 1) for i, d in enumerate(dims)])


@_pad.gradient
@named("Slice_1")
def _(op: Any, dy: Any) -> Any:
    x, paddings, _ = op.inputs
    inside = slice_view(dy, paddings[:, 0], shape(x))
    inside.set_shape(x._shape)
    return inside, None, reduce_sum(dy) - reduce_sum(inside)


@op("MirrorPad", CALL, types="T I -> T", T=ALL, flops=0)
def _mirror_pad(input: Any, paddings: Any, mode: Any = "REFLECT", name: str | None = None) -> Any:
    """Padding by the mirror image; see :func:`pad`."""


@_mirror_pad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return _padded(in_shapes, value, attrs["mode"])


def _mirrors(wide: Any, x: Any, pads: Any, mode: str) -> list[tuple[Any, Any]]:
    """Pairs of parts of the padded view and of the mirror images in ``x`` that they hold; the first
    is the inside."""
    skip = 1 if mode == "REFLECT" else 0
    choices = []
    for i, (d, (before, after)) in enumerate(zip(x.dims, pads, strict=True)):
        before, after = int(before), int(after)
        parts = [((i, before, d, 1), (i, 0, d, 1))]
        if before:  # backwards from the end of the image
            parts.append(((i, 0, before, 1), (i, before - 1 + skip, before, -1)))
        if after:
            parts.append(((i, before + d, after, 1), (i, d - 1 - skip, after, -1)))
        choices.append(parts)
    pairs = []
    for chosen in itertools.product(*choices):
        pairs.append((wide.cut([a for a, _ in chosen]), x.cut([b for _, b in chosen])))
    return pairs


@_mirror_pad.lower
def _(binder: Any, op: Any) -> None:
    x, out = binder.view(op.inputs[0]), binder.result(op)
    for to, part in _mirrors(out, x, binder.value(op.inputs[1]), op.attrs["mode"]):
        binder.copy(to, part)


@_mirror_pad.gradient
def _(op: Any, dy: Any) -> Any:
    x, paddings = op.inputs
    dx = apply(_mirror_pad_grad.opdef, [dy, paddings, shape(x)], {"mode": op.attrs["mode"]})
    dx.set_shape(x._shape)
    return dx, None


@op("MirrorPadGrad", CALL, types="T I I -> T", T=NUMBERS, sized=2)
def _mirror_pad_grad(
    dy: Any, paddings: Any, shape: Any, mode: Any = "REFLECT", name: str | None = None
) -> Any:
    """For every element of the input of ``shape`` the sum over its images in ``dy``."""


@_mirror_pad_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    value(1)
    dims, unknown = shape_argument(value(2), in_shapes[2])
    return unknown if dims is None else dims


@_mirror_pad_grad.lower
def _(binder: Any, op: Any) -> None:
    dy, out = binder.view(op.inputs[0]), binder.result(op)
    (inside, _), *rest = _mirrors(dy, out, binder.value(op.inputs[1]), op.attrs["mode"])
    binder.copy(out, inside)
    for part, to in rest:
        binder.add(to, part)


@_mirror_pad_grad.gradient
def _(op: Any, g: Any) -> Any:
    return _mirror_pad(g, op.inputs[1], mode=op.attrs["mode"]), None, None


# ---- reversing -----------------------------------------------------------------------------------


@op("ReverseV2", VIEW, types="T I* -> T", T=ALL)
def _reverse(tensor: Any, at: Any, axis: Any = (), name: str | None = None) -> Any:
    """The same elements backwards; see :func:`reverse`."""


def reverse(tensor: Any, axis: Any, name: str | None = None) -> Tensor:
    """Turn dimensions around: the last element comes first.

    Parameters
    ----------
    tensor : tensor_like
    axis : sequence of int, or a tensor of them
        Negative ones count from the end.
    name : str, optional

    Raises
    ------
    ValueError
        If an axis is out of range, or named twice.

    Notes
    -----
    No element moves: the result is a view with negative strides.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reverse([[1, 2], [3, 4]], [1]))
    array([[2, 1],
           [4, 3]], dtype=int32)
    """
    attrs, more = list_argument(axis, "axis", "ReverseV2")
    return apply(_reverse.opdef, [tensor, *more], attrs, name)


reverse_v2 = reverse


def _checked_axes(axes: tuple[int, ...], rank: int) -> list[int]:
    if any(not -rank <= a < rank for a in axes):
        raise ValueError(f"axis {list(axes)} is out of range for an input of rank {rank}")
    out = [a % rank for a in axes]
    if len(set(out)) < len(out):
        raise ValueError(f"axis {list(axes)} names a dimension twice")
    return out


@_reverse.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, axes = in_shapes[0], listed(attrs["axis"], value, 1, in_shapes)
    if given is not None and axes is not None:
        _checked_axes(axes, len(given))
    return given


@_reverse.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    axes = _checked_axes(bound_list(binder, op, "axis"), len(view.dims))
    parts = [(i, d - 1, d, -1) if i in axes else (i, 0, d, 1) for i, d in enumerate(view.dims)]
    binder.alias(op, view.cut(parts))


@_reverse.gradient
def _(op: Any, dy: Any) -> Any:
    more = list(op.inputs[1:])
    return [apply(_reverse.opdef, [dy, *more], dict(op.attrs)), *[None] * len(more)]


@op("ReverseSequence", CALL, types="T I -> T", T=ALL, flops=0, fallible=True)
def _reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_dim: Any = 0,
    batch_dim: Any = 0,
    name: str | None = None,
) -> Any:
    """Sequences of different lengths backwards; see :func:`reverse_sequence`."""


def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    name: str | None = None,
    seq_dim: int | None = None,
    batch_dim: int | None = None,
) -> Tensor:
    """Turn around the first ``seq_lengths[i]`` steps of example i; the others stay.

    Parameters
    ----------
    input : tensor_like
    seq_lengths : tensor_like of int32 or int64, a vector
        One for each example.
    seq_axis : int
        The dimension of the steps.
    batch_axis : int, optional
        The dimension of the examples. Default: 0.
    name : str, optional
    seq_dim, batch_dim : int, optional
        Old names of the two.

    Raises
    ------
    ValueError
        If an axis is out of range, both are one, or there are not as many lengths as examples.
    InvalidArgumentError
        If a length is negative or above the number of steps.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reverse_sequence([[1, 2, 3], [4, 5, 6]], [2, 3], seq_axis=1))
    array([[2, 1, 3],
           [6, 5, 4]], dtype=int32)
    """
    if None not in (seq_axis, seq_dim) or None not in (batch_axis, batch_dim):
        raise ValueError(at_user_line("reverse_sequence: give the axis by one of its names"))
    steps = seq_dim if seq_axis is None else seq_axis
    batch = (batch_dim or 0) if batch_axis is None else batch_axis
    if steps is None:
        raise ValueError(at_user_line("reverse_sequence needs seq_axis"))
    attrs = {
        "seq_dim": int(require_constant(steps, "seq_axis")),
        "batch_dim": int(require_constant(batch, "batch_axis")),
    }
    return apply(_reverse_sequence.opdef, [input, seq_lengths], attrs, name)


@_reverse_sequence.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, lengths = in_shapes
    if lengths is not None and len(lengths) != 1:
        raise ValueError(f"seq_lengths must be a vector, not of shape {shapes.text(lengths)}")
    if given is None:
        return None
    steps, batch = attrs["seq_dim"], attrs["batch_dim"]
    rank = len(given)
    if not -rank <= steps < rank or not -rank <= batch < rank or (steps - batch) % rank == 0:
        raise ValueError(
            f"seq_axis {steps} and batch_axis {batch} must be two dimensions of an input of rank "
            f"{rank}"
        )
    n = given[batch]
    if lengths is not None and None not in (n, lengths[0]) and n != lengths[0]:
        raise ValueError(f"there are {lengths[0]} seq_lengths for {n} examples")
    return given


@_reverse_sequence.lower
def _(binder: Any, op: Any) -> None:
    x, lengths = [binder.contiguous(binder.view(t)) for t in op.inputs]
    out, rank = binder.result(op), len(x.dims)
    steps, batch = op.attrs["seq_dim"] % rank, op.attrs["batch_dim"] % rank
    first, second = sorted((steps, batch))
    dims = x.dims
    five = (
        shapes.size(dims[:first]),
        dims[first],
        shapes.size(dims[first + 1 : second]),
        dims[second],
        shapes.size(dims[second + 1 :]),
    )
    ins = [x.reshaped(five), lengths]
    binder.emit("reverse_sequence", [out.reshaped(five)], ins, [int(steps < batch)])


@_reverse_sequence.gradient
def _(op: Any, dy: Any) -> Any:
    return apply(_reverse_sequence.opdef, [dy, op.inputs[1]], dict(op.attrs)), None


# ---- rolling -------------------------------------------------------------------------------------


@op("Roll", CALL, types="T I I* -> T", T=ALL, flops=0)
def _roll(input: Any, shift: Any, at: Any, axis: Any = (), name: str | None = None) -> Any:
    """Elements moved around; see :func:`roll`."""


def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Tensor:
    """Move elements along dimensions; those pushed out at one end come in at the other.

    Parameters
    ----------
    input : tensor_like, of rank 1 at least
    shift : scalar or vector tensor_like of int32 or int64
        How far, towards higher indices; negative: towards lower.
    axis : int or sequence of int, or a tensor of them
        One for each shift; negative ones count from the end. Shifts of one axis add up.
    name : str, optional

    Raises
    ------
    ValueError
        If an axis is out of range, or there are not as many shifts as axes.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.roll([0, 1, 2, 3, 4], shift=2, axis=0))
    array([3, 4, 0, 1, 2], dtype=int32)
    """
    attrs, more = list_argument(axis, "axis", "Roll")
    if isinstance(shift, (list, tuple)) and not shift:
        shift = np.zeros(0, np.int32)
    return apply(_roll.opdef, [input, shift, *more], attrs, name)


@_roll.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, of_shift = in_shapes[:2]
    shift, axes = value(1), listed(attrs["axis"], value, 2, in_shapes)
    if given == ():
        raise ValueError("a scalar cannot be rolled: the input must have rank 1 at least")
    if of_shift is not None and len(of_shift) > 1:
        raise ValueError(f"shift must be a scalar or vector, not of shape {shapes.text(of_shift)}")
    n = None if of_shift is None or None in of_shift else shapes.size(of_shift)
    n = n if shift is None else shift.size
    if axes is not None and n is not None and n != len(axes):
        raise ValueError(f"there are {n} shifts for {len(axes)} axes")
    if given is not None and axes is not None:
        for a in axes:
            if not -len(given) <= a < len(given):
                raise ValueError(f"axis {a} is out of range for an input of rank {len(given)}")
    return given


@_roll.lower
def _(binder: Any, op: Any) -> None:
    x, out = binder.view(op.inputs[0]), binder.result(op)
    rank = len(x.dims)
    by = [0] * rank
    axes = bound_list(binder, op, "axis", 2)
    for s, a in zip(binder.value(op.inputs[1]).ravel(), axes, strict=True):
        by[a % rank] += int(s)
    choices = []
    for i, (d, s) in enumerate(zip(x.dims, by, strict=True)):
        s %= max(d, 1)
        parts = [((i, s, d - s, 1), (i, 0, d - s, 1))]
        if s:
            parts.append(((i, 0, s, 1), (i, d - s, s, 1)))
        choices.append(parts)
    for chosen in itertools.product(*choices):
        binder.copy(out.cut([a for a, _ in chosen]), x.cut([b for _, b in chosen]))


@_roll.gradient
def _(op: Any, dy: Any) -> Any:
    _, shift, *more = op.inputs
    dx = apply(_roll.opdef, [dy, negative(shift), *more], dict(op.attrs))
    return [dx, None, *[None] * len(more)]
