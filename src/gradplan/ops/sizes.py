"""Shapes as tensors, and the arguments that list sizes or axes: known while the graph is built, or
not."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.graph import Tensor, at_user_line
from gradplan.known import constant_value
from gradplan.opdef import VIEW, apply, op
from gradplan.ops.constant import convert_to_tensor, has_tensor, require_constant

__all__ = ["broadcast_dynamic_shape", "broadcast_static_shape", "rank", "shape", "size"]

# ---- what is known of a shape --------------------------------------------------------------------


@op("Shape", VIEW, types="any -> @out_type")
def _shape(input: Any, out_type: Any = dtypes.int32, name: str | None = None) -> Any:
    """The shape as a vector; see :func:`shape`."""


@_shape.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return (None if in_shapes[0] is None else len(in_shapes[0]),)


@_shape.static
def _(attrs: dict[str, Any], in_shapes: Any) -> Any:
    (s,) = in_shapes
    return None if s is None or None in s else np.array(s, attrs["out_type"].np)


def shape(input: Any, name: str | None = None, out_type: Any = dtypes.int32) -> Tensor:
    """The shape of ``input`` at run time, as a vector of integers.

    Parameters
    ----------
    input : tensor_like
    name : str, optional
    out_type : DType, optional
        int32 or int64. Default: int32.

    Notes
    -----
    It is known when a plan is bound, before anything runs; ``input`` itself is not computed for it.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [None, 2])
    >>> gp.Session().run(gp.shape(x), {x: [[1, 2], [3, 4], [5, 6]]})
    array([3, 2], dtype=int32)
    """
    return apply(_shape.opdef, [input], {"out_type": dtypes.as_dtype(out_type)}, name)


@op("Size", VIEW, types="any -> @out_type")
def _size(input: Any, out_type: Any = dtypes.int32, name: str | None = None) -> Any:
    """The number of elements; see :func:`size`."""


@_size.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    if s is not None and None not in s and shapes.size(s) > attrs["out_type"].max:
        raise ValueError(f"{shapes.size(s)} elements do not fit {attrs['out_type'].name}")
    return ()


@_size.static
def _(attrs: dict[str, Any], in_shapes: Any) -> Any:
    (s,) = in_shapes
    return None if s is None or None in s else np.array(shapes.size(s), attrs["out_type"].np)


def size(input: Any, name: str | None = None, out_type: Any = dtypes.int32) -> Tensor:
    """The number of elements of ``input``, a scalar.

    Parameters
    ----------
    input : tensor_like
    name : str, optional
    out_type : DType, optional
        int32 or int64. Default: int32.

    Raises
    ------
    ValueError
        If the number does not fit ``out_type``.

    Examples
    --------
    >>> import gradplan as gp
    >>> int(gp.Session().run(gp.size([[1, 2], [3, 4]])))
    4
    """
    return apply(_size.opdef, [input], {"out_type": dtypes.as_dtype(out_type)}, name)


@op("Rank", VIEW, types="any -> int32")
def rank(input: Any, name: str | None = None) -> Any:
    """The number of dimensions of ``input``, a scalar of int32.

    Examples
    --------
    >>> import gradplan as gp
    >>> int(gp.Session().run(gp.rank([[1, 2], [3, 4]])))
    2
    """


@rank.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return ()


@rank.static
def _(attrs: dict[str, Any], in_shapes: Any) -> Any:
    return None if in_shapes[0] is None else np.array(len(in_shapes[0]), np.int32)


def broadcast_static_shape(shape_x: Any, shape_y: Any) -> shapes.TensorShape:
    """The static shape of ``x + y``.

    Parameters
    ----------
    shape_x, shape_y : TensorShape

    Raises
    ------
    ValueError
        If they do not broadcast.

    Examples
    --------
    >>> import gradplan as gp
    >>> print(gp.broadcast_static_shape(gp.TensorShape([None, 3]), gp.TensorShape([5, 1, 1])))
    (5, ?, 3)
    """
    return shapes.TensorShape(shapes.broadcast(shapes.as_shape(shape_x), shapes.as_shape(shape_y)))


@op("BroadcastArgs", VIEW, T=dtypes.INTEGERS)
def _broadcast_args(s0: Any, s1: Any, name: str | None = None) -> Any:
    """The shape that two shapes broadcast to; see :func:`broadcast_dynamic_shape`."""


@_broadcast_args.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    for s in in_shapes:
        if s is not None and len(s) != 1:
            raise ValueError(f"a shape must be a vector, not an array of shape {shapes.text(s)}")
    a, b = value(0), value(1)
    if a is not None and b is not None:
        return (len(shapes.broadcast(tuple(a.tolist()), tuple(b.tolist()))),)  # type: ignore[arg-type]
    known = [s[0] for s in in_shapes if s is not None]
    return (max(known) if len(known) == 2 and None not in known else None,)


@_broadcast_args.lower
def _(binder: Any, op: Any) -> None:
    a, b = [tuple(binder.value(t).tolist()) for t in op.inputs]
    dims = shapes.broadcast(a, b)
    binder.alias(op, binder.constant(op.name, op.outputs[0].dtype, dims))


def broadcast_dynamic_shape(shape_x: Any, shape_y: Any) -> Tensor:
    """The shape of ``x + y`` at run time, from those of x and y.

    Parameters
    ----------
    shape_x, shape_y : tensor_like of int32 or int64, vectors

    Raises
    ------
    InvalidArgumentError
        If they do not broadcast.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.broadcast_dynamic_shape([2, 1], [3]))
    array([2, 3], dtype=int32)
    """
    if isinstance(shape_x, (list, tuple)) and not shape_x:
        shape_x = np.zeros(0, np.int32)
    if isinstance(shape_y, (list, tuple)) and not shape_y:
        shape_y = np.zeros(0, np.int32)
    return _broadcast_args(shape_x, shape_y)


# ---- arguments of operations ---------------------------------------------------------------------


def shape_argument(value: Any, in_shape: Any) -> Any:
    """The dimensions that a shape argument asks for (-1 as is), or None and what is known of the
    rank."""
    dims = value
    if dims is None:
        rank = None if in_shape is None or len(in_shape) != 1 else in_shape[0]
        if rank is not None and 64 < rank < 2**29:  # a larger one is an unknown length (probe.py)
            raise ValueError(f"a shape must be a vector of rank numbers, not of {rank}")
        return None, None if rank is None or rank > 64 else (None,) * rank
    if dims.ndim != 1 or dims.size > 64:
        raise ValueError(f"a shape must be a vector, not an array of shape {dims.shape}")
    return tuple(int(d) for d in dims.ravel()), None


def list_argument(value: Any, what: str, owner: str) -> tuple[dict[str, Any], list[Tensor]]:
    """An argument that lists integers: as the attribute ``what`` where they are known while the
    graph is built; else None in its place, and the tensor as one more input."""
    if isinstance(value, (list, tuple)) and has_tensor(value):
        value = convert_to_tensor(value)
    if isinstance(value, Tensor) and constant_value(value) is None:
        return {what: None}, [value]
    known = require_constant([] if value is None else value, what)
    if known.dtype.kind != "i" and known.size:
        raise TypeError(
            at_user_line(f"{owner}: {what} must be a list of integers, not {known.tolist()!r}")
        )
    return {what: tuple(int(v) for v in known.ravel())}, []


def listed(attr: Any, value: Any, i: int, in_shapes: Any) -> tuple[int, ...] | None:
    """What :func:`list_argument` put away, in a shape rule; ``i`` is the input it may be."""
    if attr is not None:
        return attr
    given = value(i)
    if in_shapes[i] is not None and len(in_shapes[i]) > 1:
        raise ValueError(f"a list of integers has shape {shapes.text(in_shapes[i])}")
    return None if given is None else tuple(int(v) for v in given.ravel())


def bound_list(binder: Any, op: Any, what: str, i: int = 1) -> tuple[int, ...]:
    """The same, in a ``lower`` rule."""
    if op.attrs[what] is not None:
        return op.attrs[what]
    return tuple(int(v) for v in binder.value(op.inputs[i]).ravel())


def n_listed(op: Any, what: str, i: int = 1) -> int | None:
    """How many integers were listed, where that is known."""
    if op.attrs[what] is not None:
        return len(op.attrs[what])
    dims = op.inputs[i]._shape
    return None if dims is None or None in dims else shapes.size(dims)
