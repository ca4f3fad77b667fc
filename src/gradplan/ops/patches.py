"""Patches of images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.dtypes import ALL, NUMBERS
from gradplan.graph import Tensor, at_user_line
from gradplan.names import named
from gradplan.opdef import CALL, VIEW, apply, op
from gradplan.ops.blocks import check_image, merged
from gradplan.ops.constant import require_constant
from gradplan.ops.sizes import shape, shape_argument

__all__ = ["extract_image_patches"]


@op("ExtractImagePatches", VIEW, T=ALL)
def _patches(
    images: Any,
    ksizes: Any = (),
    strides: Any = (),
    rates: Any = (),
    padding: Any = "VALID",
    name: str | None = None,
) -> Any:
    """See :func:`extract_image_patches`."""


def extract_image_patches(
    images: Any,
    ksizes: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
    rates: Sequence[int] | None = None,
    padding: str | None = None,
    name: str | None = None,
    sizes: Sequence[int] | None = None,
) -> Tensor:
    """Put the pixels of every patch of an image into the channels.

    Parameters
    ----------
    images : tensor_like, shape [batch, height, width, channels]
    ksizes : sequence of 4 int
        ``[1, rows, columns, 1]``: the size of a patch.
    strides : sequence of 4 int
        ``[1, down, across, 1]``: from patch to patch.
    rates : sequence of 4 int
        ``[1, down, across, 1]``: from pixel to pixel inside of a patch.
    padding : {"VALID", "SAME"}
        Patches inside of the image alone; or one for every stride, with zeros around the image.
    name : str, optional
    sizes : sequence of 4 int, optional
        Another name of ``ksizes``.

    Returns
    -------
    Tensor, shape [batch, patches down, patches across, rows * columns * channels]

    Raises
    ------
    ValueError
        If the input is no image, or an argument is not as above.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.reshape(gp.range(9), [1, 3, 3, 1])
    >>> patches = gp.extract_image_patches(x, [1, 2, 2, 1], [1] * 4, [1] * 4, "VALID")
    >>> gp.Session().run(patches)[0, 1, 1].tolist()
    [4, 5, 7, 8]
    """
    attrs: dict[str, Any] = {}
    given = {"ksizes": sizes if ksizes is None else ksizes, "strides": strides, "rates": rates}
    for what, v in given.items():
        values = () if v is None else tuple(int(n) for n in require_constant(v, what).ravel())
        if len(values) != 4 or values[0] != 1 or values[3] != 1 or min(values) < 1:
            raise ValueError(
                at_user_line(
                    f"extract_image_patches: {what} must be [1, rows, columns, 1], positive, "
                    f"not {v!r}"
                )
            )
        attrs[what] = values
    if padding not in ("VALID", "SAME"):
        raise ValueError(
            at_user_line(f"extract_image_patches: padding must be VALID or SAME, not {padding!r}")
        )
    return apply(_patches.opdef, [images], {**attrs, "padding": padding}, name)


def _windows(attrs: dict[str, Any], axis: int, d: int) -> tuple[int, int, int]:
    """How many patches there are along a dimension, and the zeros before and after it."""
    reach = (attrs["ksizes"][axis] - 1) * attrs["rates"][axis] + 1
    step = attrs["strides"][axis]
    if attrs["padding"] == "VALID":
        return max(0, (d - reach) // step + 1), 0, 0
    n = -(-d // step)
    pad = max(0, (n - 1) * step + reach - d)
    return n, pad // 2, pad - pad // 2


@_patches.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,) = in_shapes
    check_image(given)
    if given is None:
        return (None,) * 4
    _, rows, columns, _ = attrs["ksizes"]
    n, h, w, c = given
    h, w = [None if d is None else _windows(attrs, 1 + i, d)[0] for i, d in enumerate((h, w))]
    out = (n, h, w, None if c is None else c * rows * columns)
    shapes.size([d for d in out if d is not None])
    return out


def _patch_view(attrs: dict[str, Any], x: Any, counts: Sequence[int]) -> Any:
    """Every patch of a padded image, as a view [n, down, across, rows, columns, c]."""
    (n, _, _, c), (sn, sh, sw, sc) = x.dims, x.strides
    _, kh, kw, _ = attrs["ksizes"]
    _, dh, dw, _ = attrs["strides"]
    _, rh, rw, _ = attrs["rates"]
    return x.seen((n, *counts, kh, kw, c), (sn, sh * dh, sw * dw, sh * rh, sw * rw, sc))


def _around(attrs: dict[str, Any], dims: Any) -> tuple[list[int], list[tuple[int, int]]]:
    found = [_windows(attrs, 1 + i, d) for i, d in enumerate(dims[1:3])]
    return [n for n, _, _ in found], [(a, b) for _, a, b in found]


def _framed(dims: Any, pads: Any) -> tuple[tuple[int, ...], list[Any]]:
    """The shape of an image with a frame, and the part inside of it."""
    n, h, w, c = dims
    (top, bottom), (left, right) = pads
    wide = (n, h + top + bottom, w + left + right, c)
    return wide, [(0, 0, n, 1), (1, top, h, 1), (2, left, w, 1), (3, 0, c, 1)]


@_patches.lower
def _(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    counts, pads = _around(op.attrs, x.dims)
    if np.any(pads):
        dims, inside = _framed(x.dims, pads)
        wide = binder.scratch(op.name, x.dtype, dims)
        binder.emit("fill_zero", [wide], [])
        binder.copy(wide.cut(inside), x)
        x = wide
    merged(binder, op, _patch_view(op.attrs, x, counts))


@_patches.gradient
@named("transpose_1")
def _(op: Any, dy: Any) -> Any:
    dx = apply(_patches_grad.opdef, [dy, shape(op.inputs[0])], dict(op.attrs))
    dx.set_shape(op.inputs[0]._shape)
    return dx


@op("ExtractImagePatchesGrad", CALL, types="T I -> T", T=NUMBERS, sized=1)
def _patches_grad(
    dy: Any,
    shape: Any,
    ksizes: Any = (),
    strides: Any = (),
    rates: Any = (),
    padding: Any = "VALID",
    name: str | None = None,
) -> Any:
    """For every pixel of images of ``shape`` the sum over its places in the patches."""


@_patches_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, unknown = shape_argument(value(1), in_shapes[1])
    return unknown if dims is None else dims


@_patches_grad.lower
def _(binder: Any, op: Any) -> None:
    dims, dy = binder.shape(op.outputs[0]), binder.contiguous(binder.view(op.inputs[0]))
    counts, pads = _around(op.attrs, dims)
    wide_dims, inside = _framed(dims, pads)
    wide = binder.scratch(op.name, dy.dtype, wide_dims)
    binder.emit("fill_zero", [wide], [])
    to = _patch_view(op.attrs, wide, counts)
    _, rows, columns, _ = op.attrs["ksizes"]
    dy = dy.reshaped((dims[0], *counts, rows, columns, dims[3]))
    for i in range(rows):  # one pixel of every patch at a time: none of these overlap
        for j in range(columns):
            part, target = [v.index(3, i).index(3, j) for v in (dy, to)]
            binder.add(target, part)
    binder.alias(op, wide.cut(inside))


@_patches_grad.gradient
def _(op: Any, g: Any) -> Any:
    return apply(_patches.opdef, [g], dict(op.attrs)), None
