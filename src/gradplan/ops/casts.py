"""Conversion of the element type, and of lists with tensors in them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gradplan import dtypes
from gradplan.dtypes import ALL
from gradplan.graph import Graph, Tensor, at_user_line
from gradplan.opdef import MAP, apply, op, register_tensor_conversion_function, to_tensor
from gradplan.ops.constant import convert_data, convert_to_tensor, has_tensor
from gradplan.ops.slicing import stack

__all__ = ["cast", "to_bfloat16", "to_double", "to_float", "to_int32", "to_int64"]


@op("Cast", MAP, kernel="cast", types="any -> @DstT", T=ALL, fallible=True)
def _cast(x: Any, DstT: Any = None, name: str | None = None) -> Any:
    """Conversion of the element type; see :func:`cast`."""


@_cast.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return cast(dy, x.dtype) if x.dtype.is_floating else None


def cast(x: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Convert the elements to another type.

    Parameters
    ----------
    x : tensor_like
    dtype : DType or what :func:`as_dtype` takes
    name : str, optional

    Returns
    -------
    Tensor
        ``x`` itself if it has that type already. Floats are cut towards zero; numbers become a
        bool by ``!= 0``; integers wrap in smaller ones; floats become the nearest.

    Raises
    ------
    InvalidArgumentError
        At run time, if a NaN or a float out of the range of the integer type is converted.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.cast([1.9, -1.9], gp.int32))
    array([ 1, -1], dtype=int32)
    """
    wanted = dtypes.as_dtype(dtype)
    x = convert_to_tensor(x)
    if x.dtype is wanted:
        return x
    return apply(_cast.opdef, [x], {"DstT": wanted}, name)


def _to(public: str, wanted: Any, default: str = "") -> Any:
    def convert(x: Any, name: str | None = None) -> Tensor:
        return cast(x, wanted, name or default or public.title().replace("_", ""))

    convert.__name__ = convert.__qualname__ = public
    convert.__doc__ = f"""The elements as {wanted.name}: see :func:`cast`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.{public}([1, 2]).dtype.name
    '{wanted.name}'
    """
    return convert


to_bfloat16 = _to("to_bfloat16", dtypes.bfloat16, "ToBFloat16")
to_float = _to("to_float", dtypes.float32)
to_double = _to("to_double", dtypes.float64)
to_int32 = _to("to_int32", dtypes.int32)
to_int64 = _to("to_int64", dtypes.int64)


# ---- lists ---------------------------------------------------------------------------------------


def _convert_list(value: Any, dtype: Any, name: str, graph: Graph) -> Tensor:
    """A list as a tensor; one with tensors among its elements is stacked along a new first
    dimension, and these are cast where a type is asked for, as in TensorFlow 1."""
    if not has_tensor(value):
        return convert_data(value, dtype, name, graph)
    with graph.as_default():
        if dtype is not None:
            value = _cast_in(value, dtype)
        else:
            tensors = list(_tensors_in(value))
            dtype = tensors[0].dtype
            wrong = next((t for t in tensors if t.dtype is not dtype), None)
            if wrong is not None:
                raise TypeError(
                    at_user_line(
                        f"Cannot convert a list containing a tensor of dtype {wrong.dtype.name} "
                        f"to {dtype.name} (Tensor is: {wrong}). Use gp.cast."
                    )
                )
        with graph.name_scope("packed" if name == "Const" else name) as scope:
            return stack(
                [to_tensor(v, dtype, str(i), graph) for i, v in enumerate(value)], 0, scope
            )


def _tensors_in(value: Any) -> Iterator[Any]:
    """The tensors and variables of a nested list."""
    if isinstance(value, (list, tuple)):
        for v in value:
            yield from _tensors_in(v)
    elif has_tensor(value):
        yield value


def _cast_in(value: Any, dtype: Any) -> Any:
    """A nested list whose tensors and variables have this type."""
    if isinstance(value, (list, tuple)):
        return [_cast_in(v, dtype) for v in value]
    return cast(value, dtype) if has_tensor(value) and value.dtype is not dtype else value


for _type in (list, tuple):
    register_tensor_conversion_function(_type, _convert_list)
