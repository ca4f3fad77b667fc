"""``TensorArray``: the rows of a tensor, written and read one at a time, mostly in loops.

An array is an ordinary tensor of shape [size, ...]; writing gives another array, in the place of
the old one where nobody else takes that. A new array has rows of size 0 until the first is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL
from gradplan.graph import Tensor, at_user_line
from gradplan.opdef import CALL, apply, graph_of, op
from gradplan.ops.array import identity, reshape, shape, zeros, zeros_like
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.slicing import concat
from gradplan.shapes import TensorShape, as_shape

__all__ = ["TensorArray"]


@op("TensorArrayV3", CALL, types="I -> @dtype", T=ALL, flops=0)
def _new(size: Any, dtype: Any = None, name: str | None = None) -> Any:
    """An array of which nothing is known but the number of its rows."""


@_new.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    n = value(0)
    if n is not None and int(n) < 0:
        raise ValueError(f"the size {int(n)} of an array is negative")
    return (None if n is None else int(n), 0)


@_new.lower
def _(binder: Any, op: Any) -> None:
    binder.result(op)


def is_empty_array(t: Tensor) -> bool:
    """Whether ``t`` is a new array."""
    return t.op.opdef is _new.opdef


def _check_index(index: Any, array: Any) -> None:
    if index not in (None, ()):
        raise ValueError(f"the index of a row is a scalar, not of shape {shapes.text(index)}")
    if array is not None and not array:
        raise ValueError("an array has rows, but this is a scalar")


@op("TensorArrayWriteV3", CALL, types="T I T -> T", T=ALL, flops=0, fallible=True)
def _write(handle: Any, index: Any, value: Any, name: str | None = None) -> Any:
    """``handle`` with ``value`` as its row ``index``."""


@_write.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    array, index, row = in_shapes
    _check_index(index, array)
    n = None if array is None else array[0]
    if array is None or len(array) == 2 and array[1] == 0:
        return None if row is None else (n, *row)
    if shapes.merge(array[1:], row) is False:
        raise ValueError(
            f"a row of shape {shapes.text(row)} does not fit an array whose rows have shape "
            f"{shapes.text(array[1:])}"
        )
    return array


@_write.lower
def _(binder: Any, op: Any) -> None:
    array, index, row = map(binder.view, op.inputs)
    if array.dims != binder.shape(op.outputs[0]):  # a new array
        out = binder.result(op)
        binder.emit("fill_zero", [out], [])
    elif array.dense and binder.dies(op.inputs[0]):
        out = array
        binder.alias(op, array)
    else:
        out = binder.result(op)
        binder.copy(out, array)
    binder.emit("write_row", [out], [binder.contiguous(row), index], updates=True)


@_write.gradient
def _(op: Any, dy: Any) -> Any:
    array, index, row = op.inputs
    d_row = _read(dy, index)
    if is_empty_array(array):
        return None, None, d_row
    return _write(dy, index, zeros_like(row)), None, d_row


@op("TensorArrayReadV3", CALL, kernel="read_row", types="T I -> T", T=ALL, flops=0, fallible=True)
def _read(handle: Any, index: Any, name: str | None = None) -> Any:
    """Row ``index`` of an array."""


@_read.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    array, index = in_shapes
    _check_index(index, array)
    return None if array is None else array[1:]


@_read.gradient
def _(op: Any, dy: Any) -> Any:
    array, index = op.inputs
    return _write(zeros_like(array), index, dy), None


class TensorArray:
    """An array of tensors of one shape, for loops that fill or read it row by row.

    Parameters
    ----------
    dtype : DType
    size : int or tensor_like of int32
        How many rows there are; it does not grow.
    dynamic_size : bool, optional
        Must be False: state the size.
    clear_after_read, tensor_array_name, infer_shape, colocate_with_first_write_call : optional
        Accepted as in TensorFlow 1; they change nothing here.
    handle, flow : optional
        Must be None.
    element_shape : shape, optional
        Of a row. Default: that of the first row written.
    name : str, optional

    Raises
    ------
    ValueError
        If there is no size, or it should grow.

    Examples
    --------
    >>> import gradplan as gp
    >>> def body(i, squares):
    ...     return i + 1, squares.write(i, gp.cast(i * i, gp.float32))
    >>> _, squares = gp.while_loop(lambda i, a: i < 4, body, [0, gp.TensorArray(gp.float32, 4)])
    >>> gp.Session().run(squares.stack())
    array([0., 1., 4., 9.], dtype=float32)
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Tensor | None = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        if handle is not None or flow is not None:
            raise ValueError(at_user_line("TensorArray: made anew, not from a handle"))
        if dynamic_size:
            raise ValueError(
                at_user_line("TensorArray: it does not grow; state its size, without dynamic_size")
            )
        if size is None:
            raise ValueError(at_user_line("TensorArray: Size must be provided"))
        self._dtype = dtypes.as_dtype(dtype)
        rows = as_shape(element_shape)
        with graph_of([size]).as_default():
            if rows is not None and None not in rows:
                self._value = zeros([size, *rows], self._dtype)
            else:
                attrs = {"dtype": self._dtype}
                self._value = apply(_new.opdef, [size], attrs, name or "TensorArray")

    def holding(self, value: Tensor) -> TensorArray:
        """An array like this one with other contents, [size, ...]."""
        made = object.__new__(TensorArray)
        made._dtype, made._value = self._dtype, value
        return made

    @property
    def dtype(self) -> Any:
        return self._dtype

    @property
    def value(self) -> Tensor:
        """The array as a tensor."""
        return self._value

    @property
    def flow(self) -> Tensor:
        return self._value

    @property
    def element_shape(self) -> TensorShape:
        dims = self._value._shape
        return TensorShape(None if dims is None or is_empty_array(self._value) else dims[1:])

    def size(self, name: str | None = None) -> Tensor:
        """The number of rows, an int32 scalar."""
        return reshape(shape(self._value)[0], [], name)

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """Row ``index``; InvalidArgumentError in a run where it is out of range."""
        return _read(self._value, index, name=name)

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with another row ``index``; use what is returned."""
        row = convert_to_tensor(value, None if isinstance(value, Tensor) else self._dtype)
        if row.dtype is not self._dtype:
            raise TypeError(
                at_user_line(
                    f"TensorArray: a row of type {row.dtype.name} in an array of {self._dtype.name}"
                )
            )
        return self.holding(_write(self._value, index, row, name=name))

    def stack(self, name: str | None = None) -> Tensor:
        """All rows as one tensor, [size, ...]."""
        return identity(self._value, name=name or "TensorArrayStack")

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array whose rows are those of ``value``."""
        return self.holding(convert_to_tensor(value, self._dtype))

    def concat(self, name: str | None = None) -> Tensor:
        """The rows, themselves of rank 1 or more, end to end."""
        rest = shape(self._value)[2:]
        return reshape(self._value, concat([np.array([-1], np.int32), rest], 0), name)

    def identity(self) -> TensorArray:
        return self.holding(self.stack())

    def close(self, name: str | None = None) -> None:
        """Nothing: memory is the plan's."""
