"""Dimensions dropped, swapped, repeated or asserted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, NUMBERS
from gradplan.graph import Tensor, at_user_line
from gradplan.names import named
from gradplan.opdef import CALL, REDUCE, VIEW, apply, graph_of, op
from gradplan.ops.array import broadcast_to, identity, identity_n, reshape, transpose
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.math import maximum
from gradplan.ops.ranges import range as sequence
from gradplan.ops.sizes import bound_list, list_argument, listed, rank, shape, shape_argument, size
from gradplan.ops.slicing import concat, stack
from gradplan.shapes import as_shape

__all__ = [
    "ensure_shape",
    "guarantee_const",
    "matrix_transpose",
    "meshgrid",
    "shape_n",
    "squeeze",
    "tile",
]

# ---- the same elements ---------------------------------------------------------------------------


@op("Squeeze", VIEW, types="T I* -> T", T=ALL)
def _squeeze(input: Any, at: Any, axis: Any = (), name: str | None = None) -> Any:
    """Dimensions of size 1 dropped; see :func:`squeeze`."""


def squeeze(
    input: Any, axis: Any = None, name: str | None = None, squeeze_dims: Any = None
) -> Tensor:
    """Drop dimensions of size 1.

    Parameters
    ----------
    input : tensor_like
    axis : int or sequence of int, or a tensor of them, optional
        Which ones; negative ones count from the end. Default, and for an empty list: all of them.
    name : str, optional
    squeeze_dims : optional
        Old name of ``axis``.

    Raises
    ------
    ValueError
        If a dimension in ``axis`` is not there, or not of size 1.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.squeeze([[[1.0], [2.0]]]).shape.as_list()
    [2]
    """
    if axis is not None and squeeze_dims is not None:
        raise ValueError(at_user_line("squeeze: give axis or squeeze_dims, not both"))
    attrs, more = list_argument(squeeze_dims if axis is None else axis, "axis", "Squeeze")
    return apply(_squeeze.opdef, [input, *more], attrs, name)


def _squeezed(axes: tuple[int, ...], dims: tuple[int | None, ...]) -> set[int]:
    rank = len(dims)
    for a in axes:
        if not -rank <= a < rank:
            raise ValueError(f"axis {a} is not in [{-rank}, {rank})")
        if dims[a] not in (None, 1):
            raise ValueError(f"dimension {a} is {dims[a]}, not 1, and cannot be dropped")
    return {a % rank for a in axes} if axes else {i for i, d in enumerate(dims) if d == 1}


@_squeeze.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, axes = in_shapes[0], listed(attrs["axis"], value, 1, in_shapes)
    if given is None or axes is None or not axes and None in given:
        return None
    places = _squeezed(axes, given)
    return tuple(d for i, d in enumerate(given) if i not in places)


@_squeeze.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    places = _squeezed(bound_list(binder, op, "axis"), view.dims)
    kept = [i for i in range(len(view.dims)) if i not in places]
    binder.alias(op, view.transposed(kept))


@_squeeze.gradient
def _(op: Any, dy: Any) -> Any:
    return [reshape(dy, shape(op.inputs[0])), *[None] * (len(op.inputs) - 1)]


def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Tensor:
    """Swap the last two dimensions.

    Parameters
    ----------
    a : tensor_like, of rank 2 at least
    name : str, optional
    conjugate : bool, optional
        Accepted; gradplan's types are real.

    Raises
    ------
    ValueError
        If ``a`` has no two dimensions.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.matrix_transpose(gp.zeros([5, 2, 3])).shape.as_list()
    [5, 3, 2]
    """
    a = convert_to_tensor(a)
    with a.graph.as_default(), a.graph.name_scope(name):
        if a._shape is None:
            n = rank(a)
            return transpose(a, concat([sequence(maximum(n - 2, 0)), [n - 1], [n - 2]], 0))
        n = len(a._shape)
        if n < 2:
            raise ValueError(at_user_line(f"matrix_transpose: {a} must have rank 2 at least"))
        return transpose(a, [*range(n - 2), n - 1, n - 2])


@op("EnsureShape", VIEW, T=ALL)
def _ensure_shape(input: Any, shape: Any = None, name: str | None = None) -> Any:
    """The same tensor, whose shape is asserted; see :func:`ensure_shape`."""


def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Tensor:
    """The same tensor, with a static shape that is checked when it runs.

    Parameters
    ----------
    x : tensor_like
    shape : shape
        None for a dimension of any size.
    name : str, optional

    Raises
    ------
    ValueError
        If the static shape contradicts ``shape``.
    InvalidArgumentError
        If the shape at run time does.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32)
    >>> print(gp.ensure_shape(x, [None, 3]).shape)
    (?, 3)
    """
    return apply(_ensure_shape.opdef, [x], {"shape": as_shape(shape)}, name)


@_ensure_shape.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    merged = shapes.merge(in_shapes[0], attrs["shape"])
    if merged is False:
        raise ValueError(
            f"shape {shapes.text(in_shapes[0])} is not compatible with expected shape "
            f"{shapes.text(attrs['shape'])}"
        )
    return merged


@_ensure_shape.gradient
def _(op: Any, dy: Any) -> Any:
    return dy


def shape_n(
    input: Sequence[Any], out_type: Any = dtypes.int32, name: str | None = None
) -> list[Tensor]:
    """The shapes of several tensors: a list of what :func:`shape` gives.

    Examples
    --------
    >>> import gradplan as gp
    >>> [s.tolist() for s in gp.Session().run(gp.shape_n([[1.0, 2.0], [[3.0]]]))]
    [[2], [1, 1]]
    """
    graph = graph_of(input)
    with graph.as_default(), graph.name_scope(name or "ShapeN") as scope:
        return identity_n([shape(x, out_type=out_type) for x in input], scope)


def guarantee_const(input: Any, name: str | None = None) -> Tensor:
    """The same tensor; TensorFlow 1's hint that it will never change, of which nothing is made.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.guarantee_const(2.0)))
    2.0
    """
    return identity(input, name or "GuaranteeConst")


# ---- repetition ----------------------------------------------------------------------------------


@op("Tile", CALL, types="T I -> T", T=ALL, flops=0)
def tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    """Repeat ``input`` ``multiples[i]`` times along every dimension i.

    Parameters
    ----------
    input : tensor_like
    multiples : tensor_like of int32 or int64, a vector
    name : str, optional

    Raises
    ------
    ValueError
        If the vector is not as long as the rank, or a multiple is negative.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.tile([[1, 2]], [2, 2]))
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]], dtype=int32)
    """


@tile.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, times = in_shapes[0], value(1)
    n = in_shapes[1]
    if n is not None and (len(n) != 1 or given is not None and n[0] not in (None, len(given))):
        raise ValueError(
            f"multiples must have an element for each dimension of {shapes.text(given)}, "
            f"not shape {shapes.text(n)}"
        )
    if times is not None and (times < 0).any():
        raise ValueError(f"multiples {times.tolist()} must not be negative")
    if given is None:
        if n is None or n[0] is None:
            return None
        given = (None,) * n[0]
    if times is None:
        return (None,) * len(given)
    out = tuple(
        0 if m == 0 else None if d is None else d * int(m)
        for d, m in zip(given, times, strict=True)
    )
    shapes.size([d for d in out if d is not None])
    return out


def _repeated(dims: Sequence[int], times: Sequence[int]) -> tuple[list[int], list[bool]]:
    """The dims of the result with every repetition as a dimension of its own, and which are."""
    out: list[int] = []
    new: list[bool] = []
    for d, m in zip(dims, times, strict=True):
        if m != 1:
            out.append(m)
            new.append(True)
        out.append(d)
        new.append(False)
    return out, new


#: Dimensions that a kernel takes.
_MOST = 8


def _steps(dims: tuple[int, ...], times: Sequence[int]) -> list[tuple[int, ...]]:
    """The multiples in as many steps as it takes to stay within the rank of kernels."""
    if len(_repeated(dims, times)[0]) <= _MOST:
        return [tuple(times)]
    return [
        tuple(m if i == axis else 1 for i in range(len(dims)))
        for axis, m in enumerate(times)
        if m != 1
    ]


def _one_axis(dims: Sequence[int], times: Sequence[int]) -> tuple[list[int], list[int]]:
    """The same repetition of an array of rank 2 at most, where only one axis is repeated."""
    axis = next((i for i, m in enumerate(times) if m != 1), None)
    if axis is None:
        return [int(np.prod(dims))], [1]
    return [int(np.prod(dims[:axis])), int(np.prod(dims[axis:]))], [1, times[axis]]


@tile.lower
def _(binder: Any, op: Any) -> None:
    view, out = binder.view(op.inputs[0]), binder.result(op)
    times = [int(m) for m in binder.value(op.inputs[1])]
    steps = _steps(view.dims, times)
    for i, step in enumerate(steps):
        dims = tuple(d * m for d, m in zip(view.dims, step, strict=True))
        to = out if i == len(steps) - 1 else binder.scratch(op.name, view.dtype, dims)
        each: Sequence[int] = step
        if len(steps) > 1:
            flat, each = _one_axis(view.dims, step)
            view = binder.contiguous(view).reshaped(tuple(flat))
        wide, new = _repeated(view.dims, each)
        strides = iter(view.strides)
        x = view.seen(wide, [0 if n else next(strides) for n in new])
        binder.copy(to.reshaped(tuple(wide)), x)
        view = to


@tile.gradient
@named("Sum")
def _(op: Any, dy: Any) -> Any:
    dx = _tile_grad(dy, op.inputs[1], shape(op.inputs[0]))
    dx.set_shape(op.inputs[0]._shape)
    return dx, None


@op("TileGrad", REDUCE, types="T I I -> T", T=NUMBERS, kernel="reduce_sum", sized=2)
def _tile_grad(dy: Any, multiples: Any, shape: Any, name: str | None = None) -> Any:
    """The sum over the repetitions that :func:`tile` made of an input of ``shape``."""


@_tile_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    value(1)
    dims, unknown = shape_argument(value(2), in_shapes[2])
    return unknown if dims is None else dims


@_tile_grad.lower
def _(binder: Any, op: Any) -> None:
    dims, dy = binder.shape(op.outputs[0]), binder.view(op.inputs[0])
    times = [int(m) for m in binder.value(op.inputs[1])]
    out = binder.result(op)
    steps = _steps(dims, times)[::-1]
    for i, step in enumerate(steps):
        rest = tuple(d if m == 1 else n for d, m, n in zip(dy.dims, step, dims, strict=True))
        to = out if i == len(steps) - 1 else binder.scratch(op.name, dy.dtype, rest)
        wide, new = _repeated(*(_one_axis(rest, step) if len(steps) > 1 else (rest, step)))
        x = binder.contiguous(dy).reshaped(tuple(wide))
        kept = tuple(1 if n else d for d, n in zip(wide, new, strict=True))
        binder.emit("reduce_sum", [to.reshaped(kept)], [x])
        dy = to


@_tile_grad.gradient
def _(op: Any, g: Any) -> Any:
    return tile(g, op.inputs[1]), None, None


def meshgrid(*args: Any, indexing: str = "xy", name: str = "meshgrid") -> list[Tensor]:
    """The coordinates of a grid: each vector spread over the dimensions of all.

    Parameters
    ----------
    *args : tensor_like, vectors (or scalars)
    indexing : {"xy", "ij"}, optional
        "ij": result k varies along dimension k. "xy", the default: the first two dimensions are
        swapped.
    name : str, optional

    Returns
    -------
    list of Tensor
        One for each vector, all of one shape; views.

    Raises
    ------
    ValueError
        If ``indexing`` is neither, or something has rank 2.

    Examples
    --------
    >>> import gradplan as gp
    >>> x, y = gp.Session().run(gp.meshgrid([1, 2, 3], [4, 5]))
    >>> x.tolist(), y.tolist()
    ([[1, 2, 3], [1, 2, 3]], [[4, 4, 4], [5, 5, 5]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(at_user_line(f"meshgrid: indexing must be 'xy' or 'ij', not {indexing!r}"))
    vectors = [convert_to_tensor(a) for a in args]
    for v in vectors:
        if v._shape is not None and len(v._shape) > 1:
            raise ValueError(at_user_line(f"meshgrid: {v} is no vector"))
    places = list(range(len(vectors)))
    if indexing == "xy":
        places[:2] = places[:2][::-1]
    if not vectors:
        return []
    with vectors[0].graph.as_default(), vectors[0].graph.name_scope(name):
        sizes = stack([size(vectors[k]) for k in places])
        out = []
        for v, place in zip(vectors, places, strict=True):
            column = [-1 if k == place else 1 for k in range(len(vectors))]
            out.append(broadcast_to(reshape(v, column), sizes, name="mul"))
        return out
