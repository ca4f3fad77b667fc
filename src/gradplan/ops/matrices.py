"""Matrices in the last two dimensions of a tensor: looks at them, and what products need of
them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.dtypes import ALL, FLOATS, NUMBERS, DType
from gradplan.graph import Tensor
from gradplan.opdef import CALL, REGISTRY, VIEW, op
from gradplan.ops.array import reshape, shape, shape_argument
from gradplan.ops.casts import cast
from gradplan.ops.constant import convert_to_tensor
from gradplan.tiling import Step, compile_steps

__all__ = ["cross"]


def at_least_matrix(s: Any, parameter: str = "input") -> None:
    """ValueError where a shape is known to be none of matrices."""
    if s is not None and len(s) < 2:
        raise ValueError(f"Shape must be at least rank 2 but '{parameter}' is {shapes.text(s)}")


def number_of(x: Any, dtype: DType) -> Tensor:
    """A number that a caller gives, or a tensor of any type, as a tensor of this one."""
    return cast(x, dtype) if isinstance(x, Tensor) else convert_to_tensor(x, dtype)


def square(s: Any) -> Any:
    """A shape of square matrices; ValueError where they are known to be none."""
    at_least_matrix(s)
    if s is None:
        return None
    n = shapes.merge(s[-1:], s[-2:-1])
    if n is False:
        raise ValueError(f"Dimensions must be equal: {shapes.text(s)} are no square matrices")
    return (*s[:-2], n[0], n[0])  # type: ignore[index]


def least(m: int | None, n: int | None) -> int | None:
    """The smaller of two dimensions."""
    if m is None or n is None:
        return None
    if m != n and max(m, n) >= 1 << 29:
        # Such a number may also stand for an unknown size (probe.py), which may be the smaller one.
        raise ValueError(f"matrices [{m}, {n}] are too large")
    return min(m, n)


def swapped(view: Any) -> Any:
    """A view with its last two dimensions exchanged."""
    rank = len(view.dims)
    return view.transposed((*range(rank - 2), rank - 1, rank - 2))


# ---- looks ---------------------------------------------------------------------------------------


@op("Adjoint", VIEW, T=ALL)
def adjoint(matrix: Any, name: str | None = None) -> Any:
    """Every matrix transposed: the last two dimensions exchanged.

    Parameters
    ----------
    matrix : tensor_like, shape [..., m, n]
        Real, as all types of gradplan are.
    name : str, optional

    Raises
    ------
    ValueError
        If it has fewer than two dimensions.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.linalg.adjoint([[1, 2], [3, 4]]))
    array([[1, 3],
           [2, 4]], dtype=int32)
    """


@adjoint.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    at_least_matrix(s, "matrix")
    return None if s is None else (*s[:-2], s[-1], s[-2])


@adjoint.lower
def _(binder: Any, op: Any) -> None:
    binder.alias(op, swapped(binder.view(op.inputs[0])))


@adjoint.gradient
def _(op: Any, dy: Any) -> Any:
    return adjoint(dy)


@op("MergeDims", VIEW, T=ALL)
def merge_dims(x: Any, groups: Any = (), name: str | None = None) -> Any:
    """Neighbouring dimensions made one: ``groups`` tells how many each; of none, a 1.

    One of the groups may be None: all dimensions that remain.
    """


@merge_dims.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,), groups = in_shapes, attrs["groups"]
    if s is None:
        return (None,) * len(groups)
    rest = len(s) - sum(g or 0 for g in groups)
    if rest < 0 or None not in groups and rest:
        raise ValueError(f"{shapes.text(s)} has no {groups} dimensions to merge")
    out, at = [], 0
    for g in groups:
        part = s[at : at + (rest if g is None else g)]
        out.append(None if None in part else shapes.size(part))
        at += len(part)
    return tuple(out)


merge_dims.lower(REGISTRY["Reshape"].lower)


@merge_dims.gradient
def _(op: Any, dy: Any) -> Any:
    return reshape(dy, shape(op.inputs[0]))


@op("EqualDims", VIEW, types="T any -> T", T=ALL)
def _equal_dims(x: Any, y: Any, pairs: Any = (), name: str | None = None) -> Any:
    """``x``, if dimension i of it is as long as dimension j of ``y`` for all pairs (i, j); None
    are all dimensions of two tensors of one rank."""


@_equal_dims.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    x, y = in_shapes
    if x is None or y is None:
        return x
    if attrs["pairs"] is None:
        if shapes.merge(x, y) is False:
            raise ValueError(f"shapes {shapes.text(x)} and {shapes.text(y)} differ")
        return shapes.merge(x, y)
    out = list(x)
    for i, j in attrs["pairs"]:
        if i >= len(x) or j >= len(y) or shapes.merge((x[i],), (y[j],)) is False:
            raise ValueError(
                f"dimension {i} of {shapes.text(x)} and dimension {j} of {shapes.text(y)} differ"
            )
        out[i] = y[j] if x[i] is None else x[i]
    return tuple(out)


@_equal_dims.gradient
def _(op: Any, dy: Any) -> Any:
    return dy, None


def equal_dims(x: Tensor, y: Tensor, pairs: Iterable[tuple[int, int]]) -> Tensor:
    """``x``; that those of its dimensions are as long as those of ``y`` is seen here at the
    latest."""
    pairs = tuple(pairs)
    if x._shape is not None and y._shape is not None:
        if all(x._shape[i] == y._shape[j] is not None for i, j in pairs):
            return x
    return _equal_dims(x, y, pairs) if pairs else x


def equal_shapes(x: Tensor, y: Tensor) -> Tensor:
    """``x``, if ``y`` has the same shape."""
    return _equal_dims(x, y, None)


@op("DiagonalView", VIEW, T=ALL)
def diagonal(x: Any, square: Any = False, name: str | None = None) -> Any:
    """The main diagonals of matrices [..., m, n], a vector each; m = n if they must be square."""


@diagonal.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    at_least_matrix(s)
    if s is None:
        return None
    if attrs["square"] and shapes.merge(s[-1:], s[-2:-1]) is False:
        raise ValueError(f"the last two dimensions of {shapes.text(s)} differ")
    return (*s[:-2], least(*s[-2:]))


@diagonal.lower
def _(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    steps = (*x.strides[:-2], x.strides[-2] + x.strides[-1])
    binder.alias(op, x.seen(binder.shape(op.outputs[0]), steps))


@diagonal.gradient
def _(op: Any, dy: Any) -> Any:
    return diagonal_padded(dy, shape(op.inputs[0]))


@op("DiagonalPadded", CALL, types="T I -> T", T=ALL, flops=0)
def diagonal_padded(dy: Any, shape: Any, name: str | None = None) -> Any:
    """Zeros of ``shape`` with ``dy`` on the main diagonals."""


@diagonal_padded.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, unknown = shape_argument(value(1), in_shapes[1])
    return unknown if dims is None else dims


@diagonal_padded.lower
def _(binder: Any, op: Any) -> None:
    out, dy = binder.result(op), binder.view(op.inputs[0])
    binder.emit("fill_zero", [out], [])
    steps = (*out.strides[:-2], out.strides[-2] + out.strides[-1])
    binder.copy(out.seen(dy.dims, steps), dy)


@diagonal_padded.gradient
def _(op: Any, g: Any) -> Any:
    return diagonal(g), None


# ---- weights -------------------------------------------------------------------------------------


@op("MatrixWeights", VIEW, types="T -> T", T=FLOATS)
def _weights(
    x: Any, below: Any = 0.0, on: Any = 0.0, above: Any = 0.0, name: str | None = None
) -> Any:
    """A matrix, of the size of those of ``x``, of one number below, on and above the diagonal."""


@_weights.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return (None, None) if in_shapes[0] is None else in_shapes[0][-2:]


@_weights.static
def _(attrs: dict[str, Any], in_shapes: Any) -> Any:
    (s,) = in_shapes
    if s is None or len(s) < 2 or None in s[-2:]:
        return None
    side = np.sign(np.arange(s[-1]) - np.arange(s[-2])[:, None])
    return np.choose(side + 1, [attrs["below"], attrs["on"], attrs["above"]])


@_weights.gradient
def _(op: Any, dy: Any) -> Any:
    return None


def weights(x: Tensor, below: float, on: float, above: float) -> Tensor:
    """What triangles of ``x`` are multiplied with; an identity matrix is ``(x, 0, 1, 0)``."""
    return _weights(x, below, on, above)


# ---- the cross product ---------------------------------------------------------------------------


@op("Cross", CALL, T=NUMBERS, flops=3)
def cross(a: Any, b: Any, name: str | None = None) -> Any:
    """Cross product of vectors of three: ``(a1 b2 - a2 b1, a2 b0 - a0 b2, a0 b1 - a1 b0)``.

    Parameters
    ----------
    a, b : tensor_like, shape [..., 3]
        Of one type and shape.
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes differ, or the last dimension is not 3.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.cross([1.0, 0.0, 0.0], [0.0, 1.0, 0.0]))
    array([0., 0., 1.], dtype=float32)
    """


@cross.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    out: Any = shapes.merge(*in_shapes)
    if out is False:
        raise ValueError(
            f"shapes {shapes.text(in_shapes[0])} and {shapes.text(in_shapes[1])} differ"
        )
    if out is not None and (not out or out[-1] not in (3, None)):
        raise ValueError(f"the last dimension must be 3, but the shape is {shapes.text(out)}")
    return out


@cross.lower
def _(binder: Any, op: Any) -> None:
    a, b = [binder.view(t) for t in op.inputs]
    out, axis, kind = binder.result(op), len(a.dims) - 1, a.dtype
    products = [Step(f"mul.{kind.short}", pair, kind.size) for pair in ((0, 1), (2, 3))]
    code = compile_steps([*products, Step(f"sub.{kind.short}", (-1, -2), kind.size)], 4)
    assert code is not None
    for i in range(3):
        j, k = (i + 1) % 3, (i + 2) % 3
        factors = [v.window(axis, c, 1) for v, c in ((a, j), (b, k), (a, k), (b, j))]
        binder.tile([out.window(axis, i, 1)], factors, code)


@cross.gradient
def _(op: Any, dy: Any) -> Any:
    a, b = op.inputs
    return cross(b, dy), cross(dy, a)
