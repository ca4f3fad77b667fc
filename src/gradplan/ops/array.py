"""The same elements in another shape, order or number: mostly views, which cost nothing to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL
from gradplan.graph import Operation, Tensor
from gradplan.names import gradient_called, is_gradient_called, named, sums_are_within
from gradplan.opdef import CALL, REDUCE, VIEW, apply, graph_of, op
from gradplan.ops.constant import constant, convert_to_tensor, has_tensor, renamed, shape_constant
from gradplan.ops.sizes import (
    bound_list,
    list_argument,
    listed,
    shape,
    shape_argument,
)

__all__ = [
    "broadcast_to",
    "expand_dims",
    "fill",
    "identity",
    "identity_n",
    "ones",
    "ones_like",
    "reshape",
    "stop_gradient",
    "sum_to_shape",
    "transpose",
    "zeros",
    "zeros_like",
]

# ---- the same buffer, seen in another way --------------------------------------------------------


@op("Identity", VIEW, T=ALL)
def identity(input: Any, name: str | None = None) -> Any:
    """The same tensor under a new name; useful as an anchor for control dependencies.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.identity(2.0)))
    2.0
    """


@identity.gradient
def _(op: Any, dy: Any) -> Any:
    return identity(dy) if is_gradient_called(op) else dy


@op("IdentityN", VIEW, types="any* -> @T*")
def _identity_n(input: Any, T: Any = (), name: str | None = None) -> Any:
    """The same tensors under new names; see :func:`identity_n`."""


@_identity_n.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return list(in_shapes)


@_identity_n.lower
def _(binder: Any, op: Any) -> None:
    for i, t in enumerate(op.inputs):
        binder.alias(op, binder.view(t), i)


@_identity_n.gradient
def _(op: Any, *dys: Any) -> Any:
    return identity_n(dys) if is_gradient_called(op) and None not in dys else dys


def identity_n(input: Sequence[Any], name: str | None = None) -> list[Tensor]:
    """The same tensors as the results of one operation: ``name:0``, ``name:1`` and so on.

    Examples
    --------
    >>> import gradplan as gp
    >>> [t.name for t in gp.identity_n([1.0, 2], name="both")]
    ['both:0', 'both:1']
    """
    graph = graph_of(input)
    with graph.as_default(), graph.name_scope(name or "IdentityN") as scope:
        given = [convert_to_tensor(x, name=f"input_{i}") for i, x in enumerate(input)]
        made = apply(_identity_n.opdef, given, {"T": tuple(t.dtype for t in given)}, scope)
        return [made] if isinstance(made, Tensor) else list(made)


def entering(x: Tensor, gradient: str, name: str = "entering") -> Tensor:
    """What a function that is one operation in TensorFlow takes, in its scope: the gradient with
    respect to it has this name there, however it is made (``names.gradient_called``)."""
    if not x.dtype.is_floating:
        return x
    sums_are_within(x.graph, x.graph.current._scope)
    return gradient_called(identity(x, name=name), gradient)


def all_entering(inputs: Sequence[Tensor], gradient: str) -> list[Tensor]:
    """The same of all that it takes: their gradients are the results of one operation."""
    out = identity_n(inputs, "entering")
    sums_are_within(out[0].graph, out[0].graph.current._scope)
    gradient_called(out[0], *[gradient] * len(out))
    return out


@op("StopGradient", VIEW, T=ALL)
def stop_gradient(input: Any, name: str | None = None) -> Any:
    """The same tensor, through which no gradient flows.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant(3.0)
    >>> float(gp.Session().run(gp.gradients(x * gp.stop_gradient(x), x)[0]))
    3.0
    """


@stop_gradient.gradient
def _(op: Any, dy: Any) -> Any:
    return None


@op("Reshape", VIEW, types="T I -> T", T=ALL, sized=1)
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The same elements, in row-major order, in another shape.

    Parameters
    ----------
    tensor : tensor_like
    shape : tensor_like of int32 or int64
        One dimension may be -1: it takes what remains. Elements may be tensors.
    name : str, optional

    Raises
    ------
    ValueError
        If the number of elements differs.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reshape([1, 2, 3, 4], [2, -1]))
    array([[1, 2],
           [3, 4]], dtype=int32)
    """


@reshape.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    target, unknown = shape_argument(value(1), in_shapes[1])
    if target is None:
        return unknown
    if any(d < -1 for d in target) or target.count(-1) > 1:
        raise ValueError(f"{list(target)} is no shape: at most one -1, nothing below")
    given = in_shapes[0]
    rest = shapes.size([d for d in target if d != -1])
    if given is None or None in given:
        return tuple(None if d == -1 else d for d in target)
    n = shapes.size(given)
    if -1 in target:
        if not rest or n % rest:
            raise ValueError(
                f"Cannot reshape a tensor with {n} elements {shapes.text(given)} to {list(target)}"
            )
        return tuple(n // rest if d == -1 else d for d in target)
    if n != rest:
        raise ValueError(
            f"Cannot reshape a tensor with {n} elements {shapes.text(given)} to shape "
            f"{shapes.text(target)} ({rest} elements)"
        )
    return target


def _lower_reshape(binder: Any, op: Any) -> None:
    view = binder.contiguous(binder.view(op.inputs[0]))
    binder.alias(op, view.reshaped(binder.shape(op.outputs[0])))


reshape.lower(_lower_reshape)


@reshape.gradient
def _(op: Any, dy: Any) -> Any:
    return reshape(dy, shape(op.inputs[0])), None


@op("ExpandDims", VIEW, types="T I* -> T", T=ALL)
def _expand_dims(input: Any, at: Any, axis: Any = (), name: str | None = None) -> Any:
    """Dimensions of size 1 put in; see :func:`expand_dims`."""


def expand_dims(input: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """Put in a dimension of size 1.

    Parameters
    ----------
    input : tensor_like
    axis : int or sequence of int, or a tensor of them
        Where the new dimensions stand in the result; negative ones count from its end.
    name : str, optional
    dim : int, optional
        Old name of ``axis``.

    Raises
    ------
    ValueError
        If ``axis`` is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.expand_dims([1.0, 2.0], -1).shape.as_list()
    [2, 1]
    """
    axis = renamed("dim", dim, "axis", axis)
    if axis is None:
        raise ValueError("expand_dims needs an axis")
    attrs, more = list_argument(axis, "axis", "ExpandDims")
    return apply(_expand_dims.opdef, [input, *more], attrs, name)


@_expand_dims.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, axes = in_shapes[0], listed(attrs["axis"], value, 1, in_shapes)
    if given is None:
        return None
    if axes is None:
        new = in_shapes[1]
        known = new is not None and None not in new
        return (None,) * (len(given) + shapes.size(new)) if known else None
    rank = len(given) + len(axes)
    if any(not -rank <= a < rank for a in axes):
        raise ValueError(f"axis {list(axes)} is not in the interval [{-rank}, {rank - 1}]")
    places = {a % rank for a in axes}
    if len(places) != len(axes):
        raise ValueError(f"axis {list(axes)} names a dimension twice")
    rest = iter(given)
    return tuple(1 if i in places else next(rest) for i in range(rank))


@_expand_dims.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    dims = binder.shape(op.outputs[0])
    places = {a % len(dims) for a in bound_list(binder, op, "axis")}
    steps = iter(view.strides)
    binder.alias(
        op, view.seen(dims, tuple(0 if i in places else next(steps) for i in range(len(dims))))
    )


@_expand_dims.gradient
def _(op: Any, dy: Any) -> Any:
    return [reshape(dy, shape(op.inputs[0])), *[None] * (len(op.inputs) - 1)]


@op("Transpose", VIEW, types="T I* -> T", T=ALL)
def _transpose(
    x: Any, order: Any, perm: Any = None, inverse: Any = False, name: str | None = None
) -> Any:
    """Dimensions in another order, ``perm`` or that in the second input; see :func:`transpose`."""


def transpose(a: Any, perm: Any = None, name: str = "transpose", conjugate: bool = False) -> Tensor:
    """Reorder the dimensions: dimension i of the result is dimension ``perm[i]`` of ``a``.

    Parameters
    ----------
    a : tensor_like
    perm : sequence of int or a tensor of them, optional
        A permutation. Default: all dimensions reversed.
    name : str, optional
    conjugate : bool, optional
        Accepted; gradplan's types are real.

    Raises
    ------
    ValueError
        If ``perm`` is no permutation of the dimensions.

    Notes
    -----
    No element moves: the result is a view with other strides.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.transpose([[1, 2], [3, 4]]))
    array([[1, 3],
           [2, 4]], dtype=int32)
    """
    attrs, more = ({"perm": None}, []) if perm is None else list_argument(perm, "perm", "Transpose")
    return apply(_transpose.opdef, [a, *more], attrs | {"inverse": False}, name or "transpose")


@_transpose.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, perm = in_shapes[0], attrs["perm"]
    if len(in_shapes) > 1:
        perm = listed(None, value, 1, in_shapes)
        if perm is None:
            n = given or in_shapes[1]
            rank = len(given) if given is not None else n[0] if n else None
            return None if rank is None else (None,) * rank
    elif perm is None:
        return None if given is None else given[::-1]
    if sorted(perm) != list(range(len(perm))) or given is not None and len(perm) != len(given):
        raise ValueError(f"perm {list(perm)} is no permutation of the dimensions of {given}")
    if attrs["inverse"]:
        perm = np.argsort(perm)
    return (None,) * len(perm) if given is None else tuple(given[p] for p in perm)


@_transpose.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    perm = op.attrs["perm"]
    if len(op.inputs) > 1:
        perm = bound_list(binder, op, "perm")
    elif perm is None:
        perm = tuple(range(len(view.dims)))[::-1]
    binder.alias(op, view.transposed(np.argsort(perm) if op.attrs["inverse"] else perm))


@_transpose.gradient
@named("transpose")
def _(op: Any, dy: Any) -> Any:
    perm = op.attrs["perm"]
    if len(op.inputs) > 1:
        back = {"perm": None, "inverse": not op.attrs["inverse"]}
        return apply(_transpose.opdef, [dy, op.inputs[1]], back), None
    return transpose(dy, None if perm is None else np.argsort(perm))


@op("BroadcastTo", VIEW, types="T I -> T", T=ALL, sized=1)
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """Repeat ``input`` along dimensions of size 1 and new leading ones, to ``shape``.

    Parameters
    ----------
    input : tensor_like
    shape : tensor_like of int32 or int64
    name : str, optional

    Raises
    ------
    ValueError
        If the shape of ``input`` does not broadcast to ``shape``.

    Notes
    -----
    No element is copied: repeated dimensions have stride 0.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.broadcast_to([1, 2], [2, 2]))
    array([[1, 2],
           [1, 2]], dtype=int32)
    """


@broadcast_to.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return _broadcast(in_shapes[0], value(1), in_shapes[1])


def _broadcast(given: Any, to: Any, of_to: Any) -> Any:
    target, unknown = shape_argument(to, of_to)
    if target is None:
        return unknown
    if any(d < 0 for d in target):
        raise ValueError(f"{list(target)} has a negative dimension")
    shapes.size(target)
    if given is not None:
        wide = shapes.broadcast(given, target)
        if len(given) > len(target) or shapes.merge(wide, target) is False:
            raise ValueError(f"{shapes.text(given)} does not broadcast to {list(target)}")
    return target


@broadcast_to.lower
def _(binder: Any, op: Any) -> None:
    binder.alias(op, binder.view(op.inputs[0]).broadcast(binder.shape(op.outputs[0])))


@broadcast_to.gradient
@named("Reshape")
def _(op: Any, dy: Any) -> Any:
    return sum_to_shape(dy, shape(op.inputs[0])), None


@op("SumToShape", REDUCE, kernel="reduce_sum", types="T I -> T", T=dtypes.NUMBERS, sized=1)
def sum_to_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    """Sum over what broadcasting from ``shape`` would repeat: the adjoint of :func:`broadcast_to`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sum_to_shape([[1.0, 2.0], [3.0, 4.0]], [1, 2]))
    array([[4., 6.]], dtype=float32)
    """


@sum_to_shape.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    target, unknown = shape_argument(value(1), in_shapes[1])
    if target is None:
        return unknown
    if in_shapes[0] is not None:
        if len(target) > len(in_shapes[0]):
            raise ValueError(f"{list(target)} has more dimensions than {shapes.text(in_shapes[0])}")
        if shapes.merge(shapes.broadcast(target, in_shapes[0]), in_shapes[0]) is False:
            raise ValueError(f"{list(target)} does not broadcast to {shapes.text(in_shapes[0])}")
    return target


@sum_to_shape.lower
def _(binder: Any, op: Any) -> None:
    x = binder.view(op.inputs[0])
    dims = binder.shape(op.outputs[0])
    if dims == x.dims:  # nothing was repeated
        return binder.alias(op, x)
    kept = (1,) * (len(x.dims) - len(dims)) + dims
    return binder.emit("reduce_sum", [binder.result(op).reshaped(kept)], [x])


@sum_to_shape.gradient
def _(op: Any, dy: Any) -> Any:
    return broadcast_to(dy, shape(op.inputs[0])), None


@op("TakeFirst", VIEW, types="T I -> T", T=ALL)
def take_first(x: Any, count: Any, name: str | None = None) -> Any:
    """The first ``count`` elements or rows of ``x``.

    It is how a result gets a size that only a run can tell: a kernel fills as much as there can be
    and counts, then the program is cut (``stages.py``) and goes on with this.
    """


@take_first.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    x, count = in_shapes[0], value(1)
    if x is None:
        return None
    if not x:
        raise ValueError("a scalar has no first elements")
    if in_shapes[1] not in (None, ()):
        raise ValueError(f"count must be a scalar, not of shape {shapes.text(in_shapes[1])}")
    if count is None:
        return (None, *x[1:])
    n = int(count)
    if n < 0 or x[0] is not None and n > x[0]:
        raise ValueError(f"{n} rows of {shapes.text(x)} cannot be taken")
    return (n, *x[1:])


@take_first.lower
def _(binder: Any, op: Any) -> None:
    binder.alias(op, binder.view(op.inputs[0]).window(0, 0, binder.shape(op.outputs[0])[0]))


@take_first.gradient
def _(op: Any, dy: Any) -> Any:
    return _pad_rows(dy, shape(op.inputs[0])), None


@op("PadRows", CALL, types="T I -> T", T=ALL, flops=0)
def _pad_rows(dy: Any, shape: Any, name: str | None = None) -> Any:
    """``dy`` with rows of zeros after it, to ``shape``: the adjoint of :func:`take_first`."""


@_pad_rows.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, unknown = shape_argument(value(1), in_shapes[1])
    return unknown if dims is None else dims


@_pad_rows.lower
def _(binder: Any, op: Any) -> None:
    dy, out = binder.view(op.inputs[0]), binder.result(op)
    binder.emit("fill_zero", [out], [])
    binder.copy(out.window(0, 0, dy.dims[0]), dy)


@_pad_rows.gradient
def _(op: Any, g: Any) -> Any:
    return take_first(g, shape(op.inputs[0])[0]), None


def sum_to_like(gradient: Tensor, x: Tensor, op: Operation) -> Tensor:
    """The gradient of a broadcasting operation with respect to its input ``x``.

    Where the static shapes prove that nothing was repeated this is ``gradient`` itself; a size
    that is not known yet is settled when the plan is bound, where an even sum costs no instruction.
    """
    if x._shape is not None and op.outputs[0]._shape is not None:
        repeated = len(x._shape) != len(op.outputs[0]._shape)
        for other in op.inputs:
            if repeated or other is x:
                continue
            if other._shape is None:
                break
            pad = (1,) * (len(x._shape) - len(other._shape)) + other._shape
            if any(b != 1 and (a != b or a is None) for a, b in zip(x._shape, pad, strict=True)):
                break
        else:
            if not repeated:
                return gradient
    out = sum_to_shape(gradient, shape(x), name="Reshape")
    out.set_shape(x._shape)
    return out


# ---- filled tensors ------------------------------------------------------------------------------


@op("Fill", VIEW, types="I T -> T", T=ALL, sized=0)
def fill(dims: Any, value: Any, name: str | None = None) -> Any:
    """A tensor of shape ``dims`` with every element ``value``, a scalar.

    Raises
    ------
    ValueError
        If ``value`` is no scalar, or a dimension is negative.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.fill([2, 2], 7))
    array([[7, 7],
           [7, 7]], dtype=int32)
    """


@fill.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    if in_shapes[1]:
        raise ValueError(f"value must be a scalar, not of shape {shapes.text(in_shapes[1])}")
    return _broadcast(in_shapes[1], value(0), in_shapes[0])


@fill.lower
def _(binder: Any, op: Any) -> None:
    binder.alias(op, binder.view(op.inputs[1]).broadcast(binder.shape(op.outputs[0])))


@fill.gradient
@named(None, "Sum")
def _(op: Any, dy: Any) -> Any:
    return None, sum_to_shape(dy, np.zeros(0, np.int32))


def zeros(shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """A tensor of zeros.

    Parameters
    ----------
    shape : tensor_like of int32 or int64
    dtype : DType, optional
        Default: float32.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.zeros([2]))
    array([0., 0.], dtype=float32)
    """
    return _filled(0, shape, dtype, name or "zeros")


def ones(shape: Any, dtype: Any = dtypes.float32, name: str | None = None) -> Tensor:
    """A tensor of ones; the arguments are those of :func:`zeros`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.ones([2], gp.int32))
    array([1, 1], dtype=int32)
    """
    return _filled(1, shape, dtype, name or "ones")


def _filled(value: int, shape: Any, dtype: Any, name: str) -> Tensor:
    wanted = dtypes.as_dtype(dtype)
    with graph_of([shape]).name_scope(name) as scope:
        scalar = constant(bool(value) if wanted.is_bool else value, wanted)
        if not isinstance(shape, Tensor):
            lists = has_tensor(shape)
            shape = convert_to_tensor(shape, dtypes.int32) if lists else shape_constant(shape)
        elif shape._shape == ():
            shape = reshape(shape, [-1])
        return broadcast_to(scalar, shape, name=scope)


def zeros_like(
    tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True
) -> Tensor:
    """Zeros in the shape, and by default the type, of ``tensor``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.zeros_like([1.0, 2.0]))
    array([0., 0.], dtype=float32)
    """
    return _filled_like(0, tensor, dtype, name or "zeros_like")


def ones_like(
    tensor: Any, dtype: Any = None, name: str | None = None, optimize: bool = True
) -> Tensor:
    """Ones in the shape, and by default the type, of ``tensor``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.ones_like([3, 4]))
    array([1, 1], dtype=int32)
    """
    return _filled_like(1, tensor, dtype, name or "ones_like")


def _filled_like(value: int, tensor: Any, dtype: Any, name: str) -> Tensor:
    tensor = convert_to_tensor(tensor)
    wanted = tensor.dtype if dtype is None else dtypes.as_dtype(dtype)
    graph = tensor.graph
    with graph.as_default(), graph.name_scope(name) as scope:
        scalar = constant(bool(value) if wanted.is_bool else value, wanted)
        out = broadcast_to(scalar, shape(tensor), name=scope)
        out.set_shape(tensor._shape)
        return out
