"""Constants, placeholders, and the conversion of Python and NumPy values to tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, DType
from gradplan.graph import Graph, Tensor, at_user_line, get_default_graph
from gradplan.known import constant_value
from gradplan.opdef import VIEW, apply, graph_of, op, register_tensor_conversion_function, to_tensor
from gradplan.shapes import as_shape

__all__ = ["constant", "convert_to_tensor", "placeholder", "placeholder_with_default"]

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


#: The type of a constant that is one number of Python's, by its own and the wanted one.
_PLAIN = {
    (float, None): dtypes.float32,
    (float, dtypes.float32): dtypes.float32,
    (float, dtypes.float64): dtypes.float64,
    (int, None): dtypes.int32,
    (int, dtypes.int32): dtypes.int32,
    (int, dtypes.float32): dtypes.float32,
    (int, dtypes.float64): dtypes.float64,
}


def to_array(value: Any, dtype: DType | None = None) -> tuple[np.ndarray, DType]:
    """A fresh read-only array that holds one of gradplan's types, and which; Python's own floats
    and ints become 32 bits wide.

    Raises
    ------
    TypeError
        If the elements are no numbers, or do not fit ``dtype``: 1.5 for int32, say.
    ValueError
        If the lists are ragged.
    """
    plain = _PLAIN.get((type(value), dtype))
    if plain is not None and -(2**31) < value < 2**31:  # most constants
        out = np.array(value, plain.np)
        out.flags.writeable = False
        return out, plain
    if value is None:
        raise ValueError("None values not supported.")
    from_numpy = isinstance(value, (np.ndarray, np.generic))
    try:
        given = np.asarray(value)
        if given.dtype.kind == "O":
            given = np.asarray(_sizes(value))
    except ValueError:
        raise ValueError(
            f"the nested lists are ragged, rows differ in length: {_short(value)}"
        ) from None
    except OverflowError as error:
        raise TypeError(str(error)) from None
    if dtypes.is_bfloat16(given.dtype):
        dtype = dtype or dtypes.bfloat16
        given = dtypes.from_bits(dtypes.to_bits(given))
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
    wanted = 2 if dtype.is_floating else order[dtype.np.kind]
    if order[given.dtype.kind] > wanted and given.size:
        raise TypeError(
            f"Expected {dtype.name}, got {_short(value)} of type {given.dtype.name} instead."
        )
    if dtype.is_bool and given.dtype.kind != "b" and given.size:
        raise TypeError(f"Expected bool, got {_short(value)} of type {given.dtype.name} instead.")
    if dtype.is_integer and given.dtype.kind in "ui" and not _fits(given, dtype):
        raise TypeError(f"{_short(value)} is out of the range of {dtype.name}")
    with np.errstate(over="ignore"):
        out = (
            np.array(dtypes.to_bits(given), order="C")
            if dtype is dtypes.bfloat16
            else np.array(given, dtype=dtype.np, order="C")
        )
    out.flags.writeable = False
    return out, dtype


def _sizes(value: Any) -> Any:
    """Nested lists with the sizes that ``x.get_shape()[i]`` gave as ints."""
    if isinstance(value, (list, tuple)):
        return [_sizes(v) for v in value]
    return value.value if isinstance(value, shapes.Dimension) else value


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
    data, found = to_array(value, wanted)
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
        if flat.size == 1 and n:  # one number for all costs the memory of one
            data = np.broadcast_to(flat.reshape(()), dims)  # type: ignore[arg-type]
        else:
            last = flat[-1:] if n else flat
            data = np.concatenate([flat, np.repeat(last, n - data.size)]).reshape(dims)  # type: ignore[arg-type]
            data.flags.writeable = False
    return apply(_const.opdef, [], {"value": data, "dtype": found}, name)


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


def convert_data(value: Any, dtype: DType | None, name: str, graph: Graph) -> Tensor:
    """A constant of ``graph``."""
    data, found = to_array(value, dtype)
    attrs = {"value": data, "dtype": found}
    if get_default_graph() is graph:
        return apply(_const.opdef, [], attrs, name)
    with graph.as_default():
        return apply(_const.opdef, [], attrs, name)


def has_tensor(value: Any) -> bool:
    """Whether a nested list has a tensor or variable among its elements."""
    if isinstance(value, (list, tuple)):
        return any(map(has_tensor, value))
    return isinstance(value, Tensor) or hasattr(value, "_as_graph_element")


for _type in (bool, int, float, np.ndarray, np.generic, shapes.Dimension):
    register_tensor_conversion_function(_type, convert_data)


def _convert_shape(value: Any, dtype: DType | None, name: str, graph: Graph) -> Tensor:
    if not value.is_fully_defined():
        raise ValueError(
            f"{value} has unknown dimensions; use gp.shape(...) for the one at run time"
        )
    return convert_data(value.as_list(), dtype or dtypes.int32, name, graph)


register_tensor_conversion_function(shapes.TensorShape, _convert_shape)


def renamed(old_name: str, old: Any, name: str, value: Any) -> Any:
    """The argument ``name``, which may be given by its old name instead."""
    if old is None:
        return value
    if value is not None:
        raise ValueError(at_user_line(f"Cannot specify both '{old_name}' and '{name}'"))
    return old


def require_constant(value: Any, what: str) -> np.ndarray:
    """The value of an argument that must be known while the graph is built."""
    if not isinstance(value, Tensor):
        return to_array(value)[0]
    known = constant_value(value)
    if known is None:
        raise ValueError(f"{what} must be known while the graph is built, but is {value}")
    return known


def shape_constant(shape: Any, name: str = "shape") -> Tensor:
    """A shape, known altogether, as a vector of int32; of int64 where a dimension needs it."""
    dims = as_shape(shape)
    if dims is None or None in dims:
        raise ValueError(at_user_line(f"this shape must be known, not {shapes.text(dims)}"))
    shapes.size(dims)  # type: ignore[arg-type]
    wide = any([d > dtypes.int32.max for d in dims])  # type: ignore[operator]
    dtype = dtypes.int64 if wide else dtypes.int32
    data = np.array(dims, dtype.np)
    data.flags.writeable = False
    return apply(_const.opdef, [], {"value": data, "dtype": dtype}, name)


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
