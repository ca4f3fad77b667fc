"""Blocks of space moved to channels or to the batch, and patches of images."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.dtypes import ALL
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import VIEW, apply, graph_of, op
from gradplan.ops.array import zeros_like
from gradplan.ops.constant import convert_to_tensor, has_tensor, require_constant
from gradplan.ops.math import floormod
from gradplan.ops.slicing import stack, unstack

__all__ = [
    "batch_to_space",
    "batch_to_space_nd",
    "depth_to_space",
    "required_space_to_batch_paddings",
    "space_to_batch",
    "space_to_batch_nd",
    "space_to_depth",
]

# ---- space and channels --------------------------------------------------------------------------


def _block_size(value: Any, op_name: str) -> int:
    size = require_constant(value, "block_size")
    if size.dtype.kind != "i" or size.ndim or size < 2:
        raise ValueError(at_user_line(f"{op_name}: block_size must be an int above 1: {value!r}"))
    return int(size)


def _channels_first(data_format: str, op_name: str) -> bool:
    if data_format not in ("NHWC", "NCHW"):
        raise ValueError(
            at_user_line(f"{op_name}: data_format must be NHWC or NCHW, not {data_format!r}")
        )
    return data_format == "NCHW"


def check_image(given: Any) -> None:
    if given is not None and len(given) != 4:
        raise ValueError(f"the input must have rank 4, but has shape {shapes.text(given)}")


@op("SpaceToDepth", VIEW, T=ALL)
def _space_to_depth(
    input: Any, block_size: Any = 2, data_format: Any = "NHWC", name: str | None = None
) -> Any:
    """See :func:`space_to_depth`."""


def space_to_depth(
    input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Tensor:
    """Move blocks of pixels to the channels.

    Parameters
    ----------
    input : tensor_like, shape [batch, height, width, channels]
    block_size : int
        Above 1; divides height and width.
    name : str, optional
    data_format : {"NHWC", "NCHW"}, optional
        Where the channels stand.

    Returns
    -------
    Tensor, shape [batch, height / block_size, width / block_size, channels * block_size**2]

    Raises
    ------
    ValueError
        If the input is no image, or the block does not divide it.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.space_to_depth([[[[1], [2]], [[3], [4]]]], 2)).tolist()
    [[[[1, 2, 3, 4]]]]
    """
    _channels_first(data_format, "space_to_depth")
    attrs = {"block_size": _block_size(block_size, "space_to_depth"), "data_format": data_format}
    return apply(_space_to_depth.opdef, [input], attrs, name)


@_space_to_depth.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,), b = in_shapes, attrs["block_size"]
    check_image(given)
    if given is None:
        return (None,) * 4
    nchw = attrs["data_format"] == "NCHW"
    n, h, w, c = (given[0], *given[2:], given[1]) if nchw else given
    if any(d is not None and d % b for d in (h, w)):
        raise ValueError(f"block_size {b} does not divide height {h} and width {w}")
    h, w = [None if d is None else d // b for d in (h, w)]
    c = None if c is None else c * b * b
    return (n, c, h, w) if nchw else (n, h, w, c)


def _split_dim(view: Any, axis: int, parts: tuple[int, int]) -> Any:
    """A view whose dimension ``axis`` is two, of sizes ``parts``."""
    step = view.strides[axis]
    return view.seen(
        view.dims[:axis] + parts + view.dims[axis + 1 :],
        view.strides[:axis] + (step * parts[1], step) + view.strides[axis + 1 :],
    )


def merged(binder: Any, op: Any, view: Any) -> None:
    """The result in row-major order: it is ``view`` with neighbouring dimensions merged."""
    binder.alias(op, binder.contiguous(view).reshaped(binder.shape(op.outputs[0])))


@_space_to_depth.lower
def _(binder: Any, op: Any) -> None:
    x, b = binder.view(op.inputs[0]), op.attrs["block_size"]
    if op.attrs["data_format"] == "NCHW":
        x = _split_dim(_split_dim(x, 3, (x.dims[3] // b, b)), 2, (x.dims[2] // b, b))
        merged(binder, op, x.transposed((0, 3, 5, 1, 2, 4)))  # of n c h b w b
    else:
        x = _split_dim(_split_dim(x, 2, (x.dims[2] // b, b)), 1, (x.dims[1] // b, b))
        merged(binder, op, x.transposed((0, 1, 3, 2, 4, 5)))  # of n h b w b c


@_space_to_depth.gradient
def _(op: Any, dy: Any) -> Any:
    return apply(_depth_to_space.opdef, [dy], dict(op.attrs))


@op("DepthToSpace", VIEW, T=ALL)
def _depth_to_space(
    input: Any, block_size: Any = 2, data_format: Any = "NHWC", name: str | None = None
) -> Any:
    """See :func:`depth_to_space`."""


def depth_to_space(
    input: Any, block_size: int, name: str | None = None, data_format: str = "NHWC"
) -> Tensor:
    """Move channels to blocks of pixels: undoes :func:`space_to_depth`.

    Parameters
    ----------
    input : tensor_like, shape [batch, height, width, channels]
    block_size : int
        Above 1; its square divides the channels.
    name : str, optional
    data_format : {"NHWC", "NCHW"}, optional
        Where the channels stand.

    Returns
    -------
    Tensor, shape [batch, height * block_size, width * block_size, channels / block_size**2]

    Raises
    ------
    ValueError
        If the input is no image, or the block's square does not divide its channels.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.depth_to_space([[[[1, 2, 3, 4]]]], 2)).tolist()
    [[[[1], [2]], [[3], [4]]]]
    """
    _channels_first(data_format, "depth_to_space")
    attrs = {"block_size": _block_size(block_size, "depth_to_space"), "data_format": data_format}
    return apply(_depth_to_space.opdef, [input], attrs, name)


@_depth_to_space.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,), b = in_shapes, attrs["block_size"]
    check_image(given)
    if given is None:
        return (None,) * 4
    nchw = attrs["data_format"] == "NCHW"
    n, h, w, c = (given[0], *given[2:], given[1]) if nchw else given
    if c is not None and c % (b * b):
        raise ValueError(f"{c} channels cannot be divided by block_size**2 = {b * b}")
    h, w = [None if d is None else d * b for d in (h, w)]
    c = None if c is None else c // (b * b)
    return (n, c, h, w) if nchw else (n, h, w, c)


@_depth_to_space.lower
def _(binder: Any, op: Any) -> None:
    x, b = binder.view(op.inputs[0]), op.attrs["block_size"]
    axis = 1 if op.attrs["data_format"] == "NCHW" else 3
    c = x.dims[axis] // (b * b)
    x = _split_dim(_split_dim(x, axis, (b, b * c)), axis + 1, (b, c))
    if axis == 1:
        merged(binder, op, x.transposed((0, 3, 4, 1, 5, 2)))  # of n b b c h w
    else:
        merged(binder, op, x.transposed((0, 1, 3, 2, 4, 5)))  # of n h w b b c


@_depth_to_space.gradient
def _(op: Any, dy: Any) -> Any:
    return apply(_space_to_depth.opdef, [dy], dict(op.attrs))


# ---- space and batch -----------------------------------------------------------------------------


def _blocked(in_shapes: Any, value: Any, what: str) -> tuple[Any, Any, int | None]:
    """Block, paddings or crops, and their number; checked as far as they are known."""
    given, of_block, of_pads = in_shapes
    block, pads = value(1), value(2)
    if of_block is not None and len(of_block) != 1:
        raise ValueError(f"block_shape must be a vector, not of shape {shapes.text(of_block)}")
    m = None if of_block is None else of_block[0]
    m = m if block is None else len(block)
    if of_pads is not None and shapes.merge(of_pads, (m, 2)) is False:
        raise ValueError(
            f"{what} must have shape ({'?' if m is None else m}, 2), not {shapes.text(of_pads)}"
        )
    if block is not None and (block < 1).any():
        raise ValueError(f"block_shape {block.tolist()} must be positive")
    if pads is not None and (pads < 0).any():
        raise ValueError(f"{what} {pads.tolist()} must not be negative")
    if given is not None and m is not None and len(given) < m + 1:
        raise ValueError(
            f"an input of shape {shapes.text(given)} has not a batch and {m} dimensions of space"
        )
    return block, pads, m


@op("SpaceToBatchND", VIEW, types="T I I -> T", T=ALL)
def space_to_batch_nd(input: Any, block_shape: Any, paddings: Any, name: str | None = None) -> Any:
    """Pad the dimensions of space by zeros, and move blocks of them to the batch.

    Parameters
    ----------
    input : tensor_like, shape [batch, *space, *rest]
    block_shape : tensor_like of int32 or int64, a vector
        The size of a block along each dimension of space.
    paddings : tensor_like of int32 or int64, shape [dimensions of space, 2]
        Zeros before and after. What is padded must be a multiple of the block.
    name : str, optional

    Returns
    -------
    Tensor, shape [batch * prod(block_shape), *(padded space / block_shape), *rest]

    Raises
    ------
    ValueError
        If the shapes do not fit, or a block does not divide what is padded.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.space_to_batch_nd([[1, 2, 3, 4]], [2], [[0, 0]]))
    array([[1, 3],
           [2, 4]], dtype=int32)
    """


@space_to_batch_nd.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    block, pads, m = _blocked(in_shapes, value, "paddings")
    given = in_shapes[0]
    if given is None:
        return None
    if block is None or pads is None or m is None:
        return (None,) * len(given) if m is None else (*(None,) * (m + 1), *given[m + 1 :])
    space = []
    for d, b, p in zip(given[1 : m + 1], block, pads, strict=True):
        wide = None if d is None else d + int(p.sum())
        if wide is not None and wide % int(b):
            raise ValueError(f"a padded dimension of {wide} cannot be cut into blocks of {b}")
        space.append(None if wide is None else wide // int(b))
    out = (None if given[0] is None else given[0] * int(block.prod()), *space, *given[m + 1 :])
    shapes.size([d for d in out if d is not None])
    return out


@space_to_batch_nd.lower
def _(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    block, pads = [binder.value(t) for t in op.inputs[1:]]
    m = len(block)
    if (pads != 0).any():
        space = [d + int(p.sum()) for d, p in zip(x.dims[1 : m + 1], pads, strict=True)]
        wide = binder.scratch(op.name, x.dtype, (x.dims[0], *space, *x.dims[m + 1 :]))
        binder.emit("fill_zero", [wide], [])
        starts = [0, *[int(p[0]) for p in pads], *[0] * (len(x.dims) - m - 1)]
        parts = [(i, s, d, 1) for i, (s, d) in enumerate(zip(starts, x.dims, strict=True))]
        binder.copy(wide.cut(parts), x)
        x = wide
    for i in reversed(range(m)):
        b = int(block[i])
        x = _split_dim(x, i + 1, (x.dims[i + 1] // b, b))
    order = [*range(2, 2 * m + 1, 2), 0, *range(1, 2 * m + 1, 2), *range(2 * m + 1, len(x.dims))]
    merged(binder, op, x.transposed(order))


@space_to_batch_nd.gradient
def _(op: Any, dy: Any) -> Any:
    dx = batch_to_space_nd(dy, op.inputs[1], op.inputs[2])
    dx.set_shape(op.inputs[0]._shape)
    return dx, None, None


@op("BatchToSpaceND", VIEW, types="T I I -> T", T=ALL)
def batch_to_space_nd(input: Any, block_shape: Any, crops: Any, name: str | None = None) -> Any:
    """Move parts of the batch to blocks of space, and crop: undoes :func:`space_to_batch_nd`.

    Parameters
    ----------
    input : tensor_like, shape [batch, *space, *rest]
    block_shape : tensor_like of int32 or int64, a vector
        The size of a block along each dimension of space.
    crops : tensor_like of int32 or int64, shape [dimensions of space, 2]
        How much to cut off before and after.
    name : str, optional

    Returns
    -------
    Tensor, shape [batch / prod(block_shape), *(space * block_shape - crops), *rest]

    Raises
    ------
    ValueError
        If the shapes do not fit, or the blocks do not divide the batch.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.batch_to_space_nd([[1, 3], [2, 4]], [2], [[0, 1]]))
    array([[1, 2, 3]], dtype=int32)
    """


@batch_to_space_nd.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    block, crops, m = _blocked(in_shapes, value, "crops")
    given = in_shapes[0]
    if given is None:
        return None
    if block is None or crops is None or m is None:
        return (None,) * len(given) if m is None else (*(None,) * (m + 1), *given[m + 1 :])
    n, parts = given[0], int(block.prod())
    if n is not None and n % parts:
        raise ValueError(f"a batch of {n} cannot be divided by blocks {block.tolist()}")
    space = []
    for d, b, c in zip(given[1 : m + 1], block, crops, strict=True):
        left = None if d is None else d * int(b) - int(c.sum())
        if left is not None and left < 0:
            raise ValueError(f"crops {c.tolist()} cut off more than {d} blocks of {b}")
        space.append(left)
    return (None if n is None else n // parts, *space, *given[m + 1 :])


@batch_to_space_nd.lower
def _(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    block, crops = [binder.value(t) for t in op.inputs[1:]]
    m = len(block)
    n = x.dims[0] // int(block.prod())
    wide = [d * int(b) for d, b in zip(x.dims[1 : m + 1], block, strict=True)]
    dims = (n, *wide, *x.dims[m + 1 :])
    for i in range(m):  # the batch to [block..., n]
        rest = x.dims[i] // int(block[i])
        x = _split_dim(x, i, (int(block[i]), rest))
    order = [m]
    for i in range(m):
        order += [m + 1 + i, i]
    order += range(2 * m + 1, len(x.dims))
    whole = binder.contiguous(x.transposed(order)).reshaped(dims)
    starts = [0, *[int(c[0]) for c in crops], *[0] * (len(dims) - m - 1)]
    out = binder.shape(op.outputs[0])
    parts = [(i, s, d, 1) for i, (s, d) in enumerate(zip(starts, out, strict=True))]
    binder.alias(op, whole.cut(parts))


@batch_to_space_nd.gradient
def _(op: Any, dy: Any) -> Any:
    dx = space_to_batch_nd(dy, op.inputs[1], op.inputs[2])
    dx.set_shape(op.inputs[0]._shape)
    return dx, None, None


def required_space_to_batch_paddings(
    input_shape: Any, block_shape: Any, base_paddings: Any = None, name: str | None = None
) -> tuple[Tensor, Tensor]:
    """The least paddings with which :func:`space_to_batch_nd` can cut space into blocks.

    Parameters
    ----------
    input_shape, block_shape : tensor_like of int32, vectors
        The dimensions of space and the blocks.
    base_paddings : tensor_like of int32, shape [dimensions of space, 2], optional
        Paddings that there must be at least. Default: none.
    name : str, optional

    Returns
    -------
    paddings, crops : Tensor, shape [dimensions of space, 2]
        For :func:`space_to_batch_nd`, and for :func:`batch_to_space_nd` to cut off again what was
        added to ``base_paddings``.

    Examples
    --------
    >>> import gradplan as gp
    >>> paddings, crops = gp.required_space_to_batch_paddings([5, 4], [3, 2])
    >>> [v.tolist() for v in gp.Session().run([paddings, crops])]
    [[[0, 1], [0, 0]], [[0, 1], [0, 0]]]
    """
    graph = graph_of([input_shape, block_shape, base_paddings])
    with graph.as_default(), graph.name_scope(name or "required_space_to_batch_paddings"):
        sizes, block = convert_to_tensor(input_shape), convert_to_tensor(block_shape)
        if base_paddings is None:
            before = after = zeros_like(block)
        else:
            before, after = unstack(convert_to_tensor(base_paddings), 2, 1)
        extra = floormod(-(sizes + before + after), block)
        crops = stack([zeros_like(extra), extra], 1, "crops")
        return stack([before, after + extra], 1, "paddings"), crops


def _square(block_size: Any) -> Any:
    """A block_size, or block_shape, as the block_shape of an image."""
    if has_tensor(block_size) and not isinstance(block_size, (list, tuple)):
        return stack([block_size, block_size])
    size = require_constant(block_size, "block_size")
    return np.array([int(size)] * 2, np.int32) if size.ndim == 0 else size


def space_to_batch(
    input: Any,
    paddings: Any,
    block_size: Any = None,
    name: str | None = None,
    block_shape: Any = None,
) -> Tensor:
    """:func:`space_to_batch_nd` of images, with square blocks.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.space_to_batch(gp.zeros([1, 4, 4, 3]), [[0, 0], [0, 0]], 2).shape.as_list()
    [4, 2, 2, 3]
    """
    block = _square(block_size) if block_shape is None else block_shape
    return space_to_batch_nd(input, block, paddings, name=name)


def batch_to_space(
    input: Any,
    crops: Any,
    block_size: Any,
    name: str | None = None,
    block_shape: Any = None,
) -> Tensor:
    """:func:`batch_to_space_nd` of images, with square blocks.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.batch_to_space(gp.zeros([4, 2, 2, 3]), [[0, 0], [0, 0]], 2).shape.as_list()
    [1, 4, 4, 3]
    """
    block = _square(block_size) if block_shape is None else block_shape
    return batch_to_space_nd(input, block, crops, name=name)
