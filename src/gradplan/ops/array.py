"""Constants and placeholders, and everything that moves elements without computing on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, DType
from gradplan.graph import Graph, Operation, Tensor, get_default_graph
from gradplan.opdef import (
    CALL,
    MAP,
    REDUCE,
    VIEW,
    apply,
    constant_value,
    graph_of,
    op,
    register_tensor_conversion_function,
    to_tensor,
)
from gradplan.shapes import as_shape

# ---- constants -----------------------------------------------------------------------------------


@op("Const", VIEW, types="-> @dtype")
def _const(value: Any = None, dtype: Any = None, name: str | None = None) -> Any:
    """A value that is part of the graph; see :func:`constant`."""


@_const.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return attrs["value"].shape


@_const.static
def _(attrs: dict[str, Any], in_shapes: Any) -> Any:
    return attrs["value"]


def to_array(value: Any, dtype: DType | None = None) -> np.ndarray:
    """A fresh read-only array of one of gradplan's types; Python's own floats and ints become 32 bits wide.

    Raises
    ------
    TypeError
        If the elements are no numbers, or do not fit ``dtype``: 1.5 for int32, say.
    ValueError
        If the lists are ragged.
    """
    from_numpy = isinstance(value, (np.ndarray, np.generic))
    try:
        given = np.asarray(value)
    except ValueError:
        raise ValueError("the nested lists are ragged: rows differ in length") from None
    except OverflowError as error:
        raise TypeError(str(error)) from None
    if given.dtype.kind not in "biuf" or given.dtype.itemsize > 8:
        raise TypeError(f"{_short(value)} ({given.dtype}) holds no numbers that gradplan can take")
    if dtype is None:
        if from_numpy:
            dtype = dtypes.as_dtype(given.dtype)
        elif given.dtype.kind == "f":
            dtype = dtypes.float32
        elif given.dtype.kind == "b":
            dtype = dtypes.bool
        elif given.dtype.kind == "u" or given.size and not _fits(given, dtypes.int32):
            dtype = dtypes.int64
        else:
            # An empty list says nothing of its type; float32 is what TF1 takes.
            dtype = dtypes.int32 if given.size or given.dtype.kind == "i" else dtypes.float32
    order = {"b": 0, "u": 1, "i": 1, "f": 2}
    if order[given.dtype.kind] > order[dtype.np.kind] and given.size:
        raise TypeError(
            f"Expected {dtype.name}, got {_short(value)} of type {given.dtype.name} instead."
        )
    if dtype.is_bool and given.dtype.kind != "b" and given.size:
        raise TypeError(f"Expected bool, got {_short(value)} of type {given.dtype.name} instead.")
    if dtype.is_integer and given.dtype.kind in "ui" and not _fits(given, dtype):
        raise TypeError(f"{_short(value)} is out of the range of {dtype.name}")
    with np.errstate(over="ignore"):
        out = np.array(given, dtype=dtype.np, order="C")
    out.flags.writeable = False
    return out


def _fits(values: np.ndarray, dtype: DType) -> bool:
    return not values.size or (int(values.min()) >= dtype.min and int(values.max()) <= dtype.max)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 60 else text[:57] + "..."


def constant(
    value: Any,
    dtype: Any = None,
    shape: Any = None,
    name: str = "Const",
    verify_shape: bool = False,
) -> Tensor:
    """A tensor of constant value.

    Parameters
    ----------
    value : scalar, nested lists or ndarray
        Python floats become float32 and ints int32, as in TensorFlow 1; arrays keep their type.
    dtype : DType, optional
    shape : shape, optional
        A value with fewer elements is filled up with its last one, as in TensorFlow 1.
    name : str, optional
    verify_shape : bool, optional
        Refuse a value of another shape instead.

    Returns
    -------
    Tensor

    Raises
    ------
    TypeError
        If the value does not fit the type.
    ValueError
        If the value has more elements than the shape, or lists are ragged.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.constant([1, 2], shape=[2, 2]))
    array([[1, 2],
           [2, 2]], dtype=int32)
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    data = to_array(value, wanted)
    if shape is not None:
        dims = as_shape(shape)
        if dims is None or None in dims:
            raise ValueError(f"the shape of a constant must be known, not {shapes.text(dims)}")
        n = shapes.size(dims)  # type: ignore[arg-type]
        if verify_shape and data.shape != dims:
            raise TypeError(f"Expected Tensor's shape: {dims}, got {data.shape}.")
        if data.size > n or not data.size and n:
            raise ValueError(f"{data.size} values do not fill a constant of shape {dims}")
        flat = data.ravel()
        last = flat[-1:] if n else flat
        data = np.concatenate([flat, np.repeat(last, n - data.size)]).reshape(dims)
        data.flags.writeable = False
    return apply(_const.opdef, [], {"value": data, "dtype": dtypes.as_dtype(data.dtype)}, name)


def convert_to_tensor(
    value: Any, dtype: Any = None, name: str | None = None, preferred_dtype: Any = None
) -> Tensor:
    """``value`` as a tensor: itself if it is one, a read of a variable, else a constant.

    Parameters
    ----------
    value : tensor_like
        A list may have tensors among its elements; they are stacked.
    dtype : DType, optional
        The type it must have.
    name : str, optional
    preferred_dtype : DType, optional
        The type to take if the value allows it.

    Raises
    ------
    TypeError, ValueError
        If it cannot be converted, or has another type.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.convert_to_tensor([1.0, 2.0]).dtype
    gp.float32
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    if wanted is None and preferred_dtype is not None and not isinstance(value, Tensor):
        try:
            wanted = dtypes.as_dtype(preferred_dtype)
            return to_tensor(value, wanted, name or "Const", graph_of([value]))
        except (TypeError, ValueError):
            wanted = None
    return to_tensor(value, wanted, name or "Const", graph_of([value]))


def _convert_data(value: Any, dtype: DType | None, name: str, graph: Graph) -> Tensor:
    if isinstance(value, (list, tuple)) and _has_tensor(value):
        with graph.as_default():
            return _pack(value, dtype, name.rstrip("/"))
    data = to_array(value, dtype)
    attrs = {"value": data, "dtype": dtypes.as_dtype(data.dtype)}
    if get_default_graph() is graph:
        return apply(_const.opdef, [], attrs, name)
    with graph.as_default():
        return apply(_const.opdef, [], attrs, name)


def _has_tensor(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_has_tensor, value))
    return isinstance(value, Tensor) or hasattr(value, "_as_graph_element")


def _pack(values: Sequence[Any], dtype: DType | None, name: str) -> Tensor:
    """A list with tensors among its elements, as one tensor with a new first dimension."""
    if dtype is None:
        dtype = next((v.dtype for v in values if hasattr(v, "dtype")), None)
    rows = [expand_dims(convert_to_tensor(v, dtype), 0) for v in values]
    return concat(rows, 0, name=name)


for _type in (bool, int, float, list, tuple, np.ndarray, np.generic, shapes.Dimension):
    register_tensor_conversion_function(_type, _convert_data)


def _convert_shape(value: Any, dtype: DType | None, name: str, graph: Graph) -> Tensor:
    if not value.is_fully_defined():
        raise ValueError(f"{value} has unknown dimensions; use gp.shape(...) for the one at run time")
    return _convert_data(value.as_list(), dtype or dtypes.int32, name, graph)


register_tensor_conversion_function(shapes.TensorShape, _convert_shape)


def require_constant(value: Any, what: str) -> np.ndarray:
    """The value of an argument that must be known while the graph is built."""
    if not isinstance(value, Tensor):
        return to_array(value)
    known = constant_value(value)
    if known is None:
        raise ValueError(f"{what} must be known while the graph is built, but is {value}")
    return known


# ---- placeholders --------------------------------------------------------------------------------


@op("Placeholder", VIEW, types="-> @dtype")
def _placeholder(dtype: Any = None, shape: Any = None, name: str | None = None) -> Any:
    """A value fed to each run; see :func:`placeholder`."""


@_placeholder.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return attrs["shape"]


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor whose value is fed to every run.

    Parameters
    ----------
    dtype : DType or what :func:`as_dtype` takes
    shape : shape, optional
        None for a dimension that may differ from run to run. Default: any shape at all.
    name : str, optional

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [None, 2])
    >>> gp.Session().run(x * 2.0, {x: [[1.0, 2.0]]})
    array([[2., 4.]], dtype=float32)
    """
    attrs = {"dtype": dtypes.as_dtype(dtype), "shape": as_shape(shape)}
    return apply(_placeholder.opdef, [], attrs, name)


@op("PlaceholderWithDefault", VIEW, T=ALL)
def _placeholder_with_default(input: Any, name: str | None = None) -> Any:
    """A value that may be fed; see :func:`placeholder_with_default`."""


def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Tensor:
    """A tensor that is ``input`` unless it is fed.

    Parameters
    ----------
    input : tensor_like
    shape : shape
        Of what may be fed; must allow the default's.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> rate = gp.placeholder_with_default(0.5, [])
    >>> sess = gp.Session()
    >>> float(sess.run(rate)), float(sess.run(rate, {rate: 0.25}))
    (0.5, 0.25)
    """
    out = apply(_placeholder_with_default.opdef, [input], {}, name)
    dims = as_shape(shape)
    if shapes.merge(dims, out._shape) is False:
        raise ValueError(
            f"placeholder_with_default '{out.op.name}': the default of shape "
            f"{shapes.text(out._shape)} does not fit {shapes.text(dims)}"
        )
    out._shape = dims  # what is fed may differ from the default where this leaves room
    return out


@_placeholder_with_default.gradient
def _(op: Any, dy: Any) -> Any:
    return dy


# ---- the same buffer, seen in another way --------------------------------------------------------


def _lower_alias(binder: Any, op: Any) -> None:
    binder.alias(op, binder.view(op.inputs[0]))


_placeholder_with_default.lower(_lower_alias)


@op("Identity", VIEW, T=ALL)
def identity(input: Any, name: str | None = None) -> Any:
    """The same tensor under a new name; useful as an anchor for control dependencies.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.identity(2.0)))
    2.0
    """


identity.lower(_lower_alias)


@identity.gradient
def _(op: Any, dy: Any) -> Any:
    return dy


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


stop_gradient.lower(_lower_alias)


@stop_gradient.gradient
def _(op: Any, dy: Any) -> Any:
    return None


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


@op("Reshape", VIEW, types="T I -> T", T=ALL)
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


def _static_target(value: Any, in_shape: Any) -> Any:
    """The dimensions that a shape argument asks for (-1 as is), or None and what is known of the rank."""
    dims = value
    if dims is None:
        rank = None if in_shape is None or len(in_shape) != 1 else in_shape[0]
        return None, None if rank is None else (None,) * rank
    if dims.ndim > 1 or dims.size > 64:
        raise ValueError(f"a shape must be a vector, not an array of shape {dims.shape}")
    return tuple(int(d) for d in dims.ravel()), None


@reshape.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    target, unknown = _static_target(value(1), in_shapes[1])
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


@op("ExpandDims", VIEW, T=ALL)
def _expand_dims(input: Any, axis: Any = (), name: str | None = None) -> Any:
    """Dimensions of size 1 put in; see :func:`expand_dims`."""


def expand_dims(input: Any, axis: Any = None, name: str | None = None, dim: Any = None) -> Tensor:
    """Put in a dimension of size 1.

    Parameters
    ----------
    input : tensor_like
    axis : int or sequence of int
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
    axis = dim if axis is None else axis
    if axis is None:
        raise ValueError("expand_dims needs an axis")
    axes = tuple(int(a) for a in require_constant(axis, "axis").ravel())
    return apply(_expand_dims.opdef, [input], {"axis": axes}, name)


@_expand_dims.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,), axes = in_shapes, attrs["axis"]
    if given is None:
        return None
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
    places = {a % len(dims) for a in op.attrs["axis"]}
    steps = iter(view.strides)
    binder.alias(
        op, view.seen(dims, tuple(0 if i in places else next(steps) for i in range(len(dims))))
    )


@_expand_dims.gradient
def _(op: Any, dy: Any) -> Any:
    return reshape(dy, shape(op.inputs[0]))


@op("Transpose", VIEW, T=ALL)
def _transpose(x: Any, perm: Any = None, name: str | None = None) -> Any:
    """Dimensions in another order; see :func:`transpose`."""


def transpose(a: Any, perm: Any = None, name: str = "transpose", conjugate: bool = False) -> Tensor:
    """Reorder the dimensions: dimension i of the result is dimension ``perm[i]`` of ``a``.

    Parameters
    ----------
    a : tensor_like
    perm : sequence of int, optional
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
    if perm is not None:
        perm = tuple(int(p) for p in require_constant(perm, "perm").ravel())
    return apply(_transpose.opdef, [a], {"perm": perm}, name)


@_transpose.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,), perm = in_shapes, attrs["perm"]
    if perm is None:
        return None if given is None else given[::-1]
    if sorted(perm) != list(range(len(perm))) or given is not None and len(perm) != len(given):
        raise ValueError(f"perm {list(perm)} is no permutation of the dimensions of {given}")
    return (None,) * len(perm) if given is None else tuple(given[p] for p in perm)


@_transpose.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    perm = op.attrs["perm"]
    binder.alias(op, view.transposed(tuple(range(len(view.dims)))[::-1] if perm is None else perm))


@_transpose.gradient
def _(op: Any, dy: Any) -> Any:
    perm = op.attrs["perm"]
    return transpose(dy, None if perm is None else np.argsort(perm))


@op("BroadcastTo", VIEW, types="T I -> T", T=ALL)
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
    target, unknown = _static_target(value(1), in_shapes[1])
    if target is None:
        return unknown
    if any(d < 0 for d in target):
        raise ValueError(f"{list(target)} has a negative dimension")
    shapes.size(target)
    if in_shapes[0] is not None:
        wide = shapes.broadcast(in_shapes[0], target)
        if len(in_shapes[0]) > len(target) or shapes.merge(wide, target) is False:
            raise ValueError(f"{shapes.text(in_shapes[0])} does not broadcast to {list(target)}")
    return target


@broadcast_to.lower
def _(binder: Any, op: Any) -> None:
    binder.alias(op, binder.view(op.inputs[0]).broadcast(binder.shape(op.outputs[0])))


@broadcast_to.gradient
def _(op: Any, dy: Any) -> Any:
    return sum_to_shape(dy, shape(op.inputs[0])), None


@op("SumToShape", REDUCE, kernel="reduce_sum", types="T I -> T", T=dtypes.NUMBERS)
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
    target, unknown = _static_target(value(1), in_shapes[1])
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


def sum_to_like(gradient: Tensor, x: Tensor, op: Operation) -> Tensor:
    """The gradient of a broadcasting operation with respect to its input ``x``.

    Where the static shapes prove that nothing was repeated this is ``gradient`` itself; a size that is not known
    yet is settled when the plan is bound, where an even sum costs no instruction.
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
    out = sum_to_shape(gradient, shape(x))
    out.set_shape(x._shape)
    return out


# ---- joining and cutting -------------------------------------------------------------------------


@op("ConcatV2", CALL, types="T* -> T", T=ALL, flops=0)
def _concat(values: Any, axis: Any = 0, name: str | None = None) -> Any:
    """Tensors joined along a dimension; see :func:`concat`."""


def concat(values: Any, axis: Any, name: str = "concat") -> Tensor:
    """Join tensors along a dimension that exists.

    Parameters
    ----------
    values : list of tensor_like
        Of one type, and of shapes that differ along ``axis`` alone.
    axis : int
        Negative ones count from the end.
    name : str, optional

    Raises
    ------
    ValueError
        If there is nothing to join, the axis is out of range, or shapes differ elsewhere.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.concat([[[1, 2]], [[3, 4]]], axis=0))
    array([[1, 2],
           [3, 4]], dtype=int32)
    """
    if isinstance(values, (int, float)) or isinstance(axis, (list, tuple)) and len(axis) != 1:
        raise TypeError("concat(values, axis): the list of tensors comes first, then the axis")
    if isinstance(values, Tensor):
        values = [values]
    where = int(require_constant(axis, "axis"))
    return apply(_concat.opdef, list(values), {"axis": where}, name)


@_concat.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    if not in_shapes:
        raise ValueError("nothing to join: the list is empty")
    known = [s for s in in_shapes if s is not None]
    if not known:
        return None
    rank, axis = len(known[0]), attrs["axis"]
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is out of range for inputs of rank {rank}")
    axis %= rank
    out: Any = (None,) * rank
    for s in known:
        rest = None if len(s) != rank else s[:axis] + (None,) + s[axis + 1 :]
        out = False if rest is None else shapes.merge(out, rest)
        if out is False:
            listed = ", ".join(map(shapes.text, in_shapes))
            raise ValueError(f"shapes {listed} differ in other dimensions than axis {axis}")
    along = [None if s is None else s[axis] for s in in_shapes]
    joined = None if None in along else sum(along)
    return out[:axis] + (joined,) + out[axis + 1 :]


@_concat.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    axis = op.attrs["axis"] % len(out.dims)
    start = 0
    for t in op.inputs:
        part = binder.view(t)
        window = out.window(axis, start, part.dims[axis])
        binder.copy(window, part)
        start += part.dims[axis]


@_concat.gradient
def _(op: Any, dy: Any) -> Any:
    sizes = [shape(t) for t in op.inputs]
    axis = op.attrs["axis"]
    return [
        apply(_concat_part.opdef, [dy, *sizes], {"axis": axis, "part": i})
        for i in range(len(op.inputs))
    ]


@op("ConcatPart", VIEW, types="T I* -> T", T=ALL)
def _concat_part(dy: Any, sizes: Any, axis: Any = 0, part: Any = 0, name: str | None = None) -> Any:
    """The part of a joined tensor that came from input number ``part``, given the shapes of all."""


@_concat_part.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return _static_target(value(attrs["part"] + 1), in_shapes[attrs["part"] + 1])[0]


@_concat_part.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    axis = op.attrs["axis"] % len(view.dims)
    along = [int(binder.value(t)[axis]) for t in op.inputs[1:]]
    part = op.attrs["part"]
    binder.alias(op, view.window(axis, sum(along[:part]), along[part]))


@_concat_part.gradient
def _(op: Any, g: Any) -> Any:
    parts = [
        g if i == op.attrs["part"] else broadcast_to(constant(0, g.dtype), size)
        for i, size in enumerate(op.inputs[1:])
    ]
    return [concat(parts, op.attrs["axis"])] + [None] * len(parts)


@op("StridedSlice", VIEW, T=ALL)
def _strided_slice(input: Any, key: Any = (), name: str | None = None) -> Any:
    """Slicing by Python's syntax with constant bounds."""


@op("StridedSliceGrad", CALL, types="T I -> T", T=ALL, flops=0)
def _strided_slice_grad(dy: Any, shape: Any, key: Any = (), name: str | None = None) -> Any:
    """Zeros of ``shape`` with ``dy`` in the place that :func:`_strided_slice` cut out."""


def _spell_key(key: Any) -> Any:
    """A subscript as a tuple of ints, ``(start, stop, step)``, ``...`` and None."""
    out = []
    for item in key if isinstance(key, tuple) else (key,):
        if isinstance(item, slice):
            bounds = (item.start, item.stop, item.step)
            out.append(tuple(None if b is None else _index(b) for b in bounds))
            if out[-1][2] == 0:
                raise ValueError("slice step cannot be zero")
        elif item is None or item is Ellipsis:
            out.append(item)
        else:
            out.append(_index(item))
    if out.count(Ellipsis) > 1:
        raise ValueError("Multiple ellipses in a slice are not allowed")
    return tuple(out)


def _index(value: Any) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(
            f"a tensor is sliced by integers, slices, ... and None, known while the graph is built; "
            f"not by {value!r}"
        )
    return value.__index__()


def cut(key: Any, dims: Sequence[int | None]) -> list[tuple[int | None, int, int | None, int]]:
    """What each dimension of a slice's result, and each index dropped, takes from the input.

    Returns
    -------
    list of (input dimension or None, start, length or None, step)
        The input dimension is None for a new dimension; the length is -1 for a dimension that an
        index drops and None where it is not known.
    """
    n = sum(1 for item in key if item is not None and item is not Ellipsis)
    if n > len(dims):
        raise ValueError(f"Index out of range: {n} subscripts for a tensor of rank {len(dims)}")
    if Ellipsis not in key:
        key = (*key, Ellipsis)
    out: list[tuple[int | None, int, int | None, int]] = []
    at = 0
    for item in key:
        if item is None:
            out.append((None, 0, 1, 0))
            continue
        if item is Ellipsis:
            for _ in range(len(dims) - n):
                out.append((at, 0, dims[at], 1))
                at += 1
            continue
        dim = dims[at]
        if isinstance(item, int):
            if dim is not None and not -dim <= item < dim:
                raise ValueError(f"slice index {item} of dimension {at} out of bounds (size {dim})")
            out.append((at, item if item >= 0 or dim is None else item + dim, -1, 1))
        elif dim is None:
            whole = item in ((None, None, None), (None, None, 1), (0, None, None))
            out.append((at, 0, None, 1 if whole else item[2] or 1))
        else:
            start, stop, step = slice(*item).indices(dim)
            out.append((at, start, len(range(start, stop, step)), step))
        at += 1
    return out


@_strided_slice.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,) = in_shapes
    if given is None:
        return None
    return tuple(n for _, _, n, _ in cut(attrs["key"], given) if n != -1)


@_strided_slice.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    binder.alias(op, view.cut(cut(op.attrs["key"], view.dims)))


@_strided_slice.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    dx = apply(_strided_slice_grad.opdef, [dy, shape(x)], {"key": op.attrs["key"]})
    dx.set_shape(x._shape)
    return dx


@_strided_slice_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return _static_target(value(1), in_shapes[1])[0]


@_strided_slice_grad.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    binder.emit("fill_zero", [out], [])
    binder.copy(out.cut(cut(op.attrs["key"], out.dims)), binder.view(op.inputs[0]))


@_strided_slice_grad.gradient
def _(op: Any, g: Any) -> Any:
    return apply(_strided_slice.opdef, [g], {"key": op.attrs["key"]}), None


def _getitem(self: Tensor, key: Any) -> Tensor:
    return apply(_strided_slice.opdef, [self], {"key": _spell_key(key)}, "strided_slice")


Tensor.overload("__getitem__", _getitem)


@op("Select", MAP, kernel="select", types="bool T T -> T", T=ALL)
def _select(condition: Any, x: Any, y: Any, name: str | None = None) -> Any:
    """``x`` where the condition holds, else ``y``."""


def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Tensor:
    """Choose elements: ``x`` where ``condition`` holds, else ``y``.

    Parameters
    ----------
    condition : tensor_like of bool
        A vector chooses whole rows of an ``x`` of higher rank, as in TensorFlow 1; otherwise the three
        shapes broadcast.
    x, y : tensor_like
        Of one type.
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes do not broadcast, or ``x`` or ``y`` is missing.

    Notes
    -----
    The gradient goes to the one that was chosen; the other gets 0.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.where([True, False], [1, 2], [3, 4]))
    array([1, 4], dtype=int32)
    """
    if x is None or y is None:
        raise ValueError("where needs both x and y")
    graph = graph_of([condition, x, y])
    condition = to_tensor(condition, None, "Select/condition", graph)
    if not isinstance(x, Tensor) and isinstance(y, Tensor):
        x = to_tensor(x, y.dtype, "Select/x", graph)
    x = to_tensor(x, None, "Select/x", graph)
    if condition._shape is not None and len(condition._shape) == 1 and x._shape is not None:
        more = len(x._shape) - 1
        if more > 0:
            condition = expand_dims(condition, tuple(range(1, more + 1)))
    return apply(_select.opdef, [condition, x, y], {}, name)


@_select.gradient
def _(op: Any, dy: Any) -> Any:
    condition, x, y = op.inputs
    zero = constant(0, dy.dtype)
    return (
        None,
        sum_to_like(_select(condition, dy, zero), x, op),
        sum_to_like(_select(condition, zero, dy), y, op),
    )


# ---- filled tensors ------------------------------------------------------------------------------


def fill(dims: Any, value: Any, name: str | None = None) -> Tensor:
    """A tensor of shape ``dims`` with every element ``value``, a scalar.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.fill([2, 2], 7))
    array([[7, 7],
           [7, 7]], dtype=int32)
    """
    return broadcast_to(value, dims, name=name or "Fill")


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
    scalar = constant(np.array(value, wanted.np))
    if not isinstance(shape, Tensor) and not _has_tensor(shape):
        shape = constant(np.array(as_shape(shape), np.int32))
    return broadcast_to(scalar, shape, name=name)


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
    with tensor.graph.as_default():
        scalar = constant(np.array(value, wanted.np))
        out = broadcast_to(scalar, shape(tensor), name=name)
        out.set_shape(tensor._shape)
        return out
