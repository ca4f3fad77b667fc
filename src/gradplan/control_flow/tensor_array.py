"""``TensorArray``: the rows of a tensor, written and read one at a time, mostly in loops.

An array is an ordinary tensor of shape [size, ...]; writing gives another array, in the place of
the old one where nobody else takes that. A new array has rows of size 0 until the first is written.

One of dynamic size is written after :func:`grown` has given it room. In a loop it goes with its
size, since there may be more room than that (``sizing.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.body import Body
from gradplan.dtypes import ALL
from gradplan.graph import Tensor, at_user_line, get_default_graph
from gradplan.known import constant_value
from gradplan.opdef import CALL, apply, captured, graph_of, op
from gradplan.ops.array import (
    entering,
    expand_dims,
    identity,
    reshape,
    shape,
    take_first,
    zeros,
    zeros_like,
)
from gradplan.ops.casts import cast
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.gather import gather
from gradplan.ops.math import maximum
from gradplan.ops.reduce import reduce_max
from gradplan.ops.scatter import tensor_scatter_nd_update
from gradplan.ops.slicing import concat, where
from gradplan.ops.strided import row_put_back
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


#: The scope of what finds out how many rows an array has to have: TensorFlow has no operations for
#: that, so they use up no names.
ROOM = "room"


def resized(t: Tensor, least: Any) -> Tensor:
    """An array, new or not, with ``least`` or more rows."""
    if is_empty_array(t):
        size: Any = t.op.inputs[0]
        known = constant_value(size)
        if known is not None and not isinstance(least, Tensor):
            size = np.int32(max(int(known), int(least)))
        else:
            size = maximum(cast(size, dtypes.int32), cast(least, dtypes.int32))
        return apply(_new.opdef, [size], t.op.attrs, "TensorArray")
    return grown(t, least)


def _check_index(index: Any, array: Any) -> None:
    if index not in (None, ()):
        raise ValueError(f"the index of a row is a scalar, not of shape {shapes.text(index)}")
    if array is not None and not array:
        raise ValueError("an array has rows, but this is a scalar")


@op("TensorArrayWriteV3", CALL, types="T I T -> T", T=ALL, flops=0, fallible=True)
def write(handle: Any, index: Any, value: Any, name: str | None = None) -> Any:
    """``handle`` with ``value`` as its row ``index``."""


@write.shape
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


@write.lower
def _(binder: Any, op: Any) -> None:
    array, index, row = map(binder.view, op.inputs)
    if array.dims != binder.shape(op.outputs[0]):  # a new array
        out = binder.result(op)
        binder.emit("fill_zero", [out], [])
    else:
        out = binder.taken_over(op)
    binder.emit("write_row", [out], [binder.contiguous(row), index], updates=True)


@write.gradient
def _(op: Any, dy: Any) -> Any:
    array, index, row = op.inputs
    d_row = _read(dy, index)
    if is_empty_array(array):
        return None, None, d_row
    return write(dy, index, zeros_like(row)), None, d_row


@op("TensorArrayGrow", CALL, types="T I -> T", T=ALL, flops=0)
def grown(handle: Any, least: Any, name: str | None = None) -> Any:
    """``handle`` with rows of zeros after it, so that there are ``least`` or more."""


@grown.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    array, least = in_shapes[0], value(1)
    if array is None:
        return None
    if not array:
        raise ValueError("an array has rows, but this is a scalar")
    known = array[0] is not None and least is not None
    return (max(array[0], int(least)) if known else None, *array[1:])


@grown.lower
def _(binder: Any, op: Any) -> None:
    array, dims = binder.view(op.inputs[0]), binder.shape(op.outputs[0])
    if array.dims == dims:
        binder.alias(op, array)
        return
    out = binder.result(op)
    binder.emit("fill_zero", [out], [])
    binder.copy(out.window(0, 0, array.dims[0]), array)


@grown.gradient
def _(op: Any, dy: Any) -> Any:
    least = constant_value(op.inputs[1])
    if least is not None and int(least) <= 0:
        return dy, None
    return take_first(dy, shape(op.inputs[0])[0]), None


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
    return row_put_back(dy, index, shape(array)), None


class TensorArray:
    """An array of tensors of one shape, for loops that fill or read it row by row.

    Parameters
    ----------
    dtype : DType
    size : int or tensor_like of int32, optional
        How many rows there are. Default: 0, of an array of dynamic size.
    dynamic_size : bool, optional
        Whether writing a row after the last makes the array longer. Default: False.
    clear_after_read, tensor_array_name, infer_shape, colocate_with_first_write_call : optional
        Accepted as in TensorFlow 1; they change nothing here: rows are of one shape, and may be
        read and written any number of times.
    handle, flow : optional
        Must be None.
    element_shape : shape, optional
        Of a row. Default: that of the first row written.
    name : str, optional

    Raises
    ------
    ValueError
        If there is no size.

    Notes
    -----
    A row that was never written is zero.

    How many rows an array of dynamic size gets in a loop is found out by running first what that
    depends on, which is usually the counter alone. Where the trips themselves depend on rows that
    were read or on variables that the loop writes, a trip has plans of its own.

    Examples
    --------
    >>> import gradplan as gp
    >>> def body(i, squares):
    ...     return i + 1, squares.write(i, gp.cast(i * i, gp.float32))
    >>> _, squares = gp.while_loop(lambda i, a: i < 4, body, [0, gp.TensorArray(gp.float32, 4)])
    >>> gp.Session().run(squares.stack())
    array([0., 1., 4., 9.], dtype=float32)
    >>> rows = gp.TensorArray(gp.float32, size=0, dynamic_size=True)
    >>> _, rows = gp.while_loop(lambda i, a: i < 3, body, [0, rows])
    >>> gp.Session().run([rows.stack(), rows.size()])
    [array([0., 1., 4.], dtype=float32), np.int32(3)]
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
        self.dynamic = bool(dynamic_size)
        self._size: Tensor | None = None
        if size is None and self.dynamic:
            size = 0
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

    def holding(self, value: Tensor, size: Tensor | None = None) -> TensorArray:
        """An array like this one with other contents, [size, ...]; or more rows, if a size is
        given."""
        made = object.__new__(TensorArray)
        made._dtype, made._value, made.dynamic, made._size = self._dtype, value, self.dynamic, size
        return made

    @property
    def dtype(self) -> Any:
        return self._dtype

    @property
    def value(self) -> Tensor:
        """The array as a tensor, with all rows that there is room for."""
        return self._value

    @property
    def is_exact(self) -> bool:
        """Whether there is no more room than rows."""
        return self._size is None

    @property
    def flow(self) -> Tensor:
        return self._value

    @property
    def element_shape(self) -> TensorShape:
        dims = self._value._shape
        return TensorShape(None if dims is None or is_empty_array(self._value) else dims[1:])

    def size(self, name: str | None = None) -> Tensor:
        """The number of rows, an int32 scalar."""
        if self._size is not None:
            return identity(self._size, name=name or "TensorArraySizeV3")
        graph = graph_of([self._value])
        with graph.as_default(), graph.name_scope(name or "TensorArraySizeV3") as scope:
            return reshape(shape(self._value)[0], [], scope)

    def read(self, index: Any, name: str | None = None) -> Tensor:
        """Row ``index``; InvalidArgumentError in a run where it is out of range."""
        return _read(self._value, index, name=name)

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with another row ``index``; use what is returned. One of dynamic size grows if
        there is no such row yet."""
        row = convert_to_tensor(value, None if isinstance(value, Tensor) else self._dtype)
        if row.dtype is not self._dtype:
            raise TypeError(
                at_user_line(
                    f"TensorArray: a row of type {row.dtype.name} in an array of {self._dtype.name}"
                )
            )
        room = self._with_room(index) if self.dynamic else self
        rows = room._value if self.dynamic else self._in_body()
        with get_default_graph().name_scope(name or "TensorArrayWrite"):
            new = write(rows, index, row, name="TensorArrayWriteV3")
        return self.holding(new, room._size if self.dynamic else None)

    def _in_body(self) -> Tensor:
        """The contents; of a new array made anew in the body that is traced, if one is, where no
        memory is handed in that has no rows yet."""
        value, graph = self._value, get_default_graph()
        if is_empty_array(value) and isinstance(graph, Body) and value.graph is not graph:
            return apply(_new.opdef, [captured(graph, value.op.inputs[0])], value.op.attrs)
        return value

    def _with_room(self, index: Any) -> TensorArray:
        """The array with a row of this number, in place of growing one row at a time twice as long
        where its size is kept apart."""
        graph = graph_of([self._value, index])
        with graph.as_default(), graph.name_scope(ROOM):
            at = convert_to_tensor(index)
            known = constant_value(at)
            if self._size is None and known is not None:
                needed: Any = np.int32(max(int(known) + 1, 0))
            else:
                needed = cast(at, dtypes.int32) + 1
            if self._size is None:
                return self.holding(resized(self._value, needed))
            rows = shape(self._value)[0]
            least = where(needed > rows, maximum(needed, rows * 2), zeros_like(rows))
            return self.holding(grown(self._value, least), maximum(self._size, needed))

    def stack(self, name: str | None = None) -> Tensor:
        """All rows as one tensor, [size, ...]."""
        return stacked(self._rows(), name)

    def _rows(self) -> Tensor:
        return self._value if self._size is None else take_first(self._value, self._size)

    def gather(self, indices: Any, name: str | None = None) -> Tensor:
        """The rows of these numbers, [n, ...]."""
        return gather(self._rows(), indices, name=name or "TensorArrayGatherV3")

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the rows of ``value``, [n, ...], as its rows ``indices``, an int32 vector.
        One of dynamic size grows to hold them."""
        graph, scope = graph_of([self._value, indices, value]), name or "TensorArrayScatter"
        with graph.as_default(), graph.name_scope(scope) as scope:
            at, rows = convert_to_tensor(indices), convert_to_tensor(value, self._dtype)
            rows = entering(rows, f"/{scope}TensorArrayScatterV3_grad/TensorArrayGatherV3")
            array = self._with_room(maximum(reduce_max(at), -1)) if self.dynamic else self
            room = array._value
            if is_empty_array(self._value):
                room = zeros(concat([shape(room)[:1], shape(rows)[1:]], 0), self._dtype)
            written = tensor_scatter_nd_update(room, expand_dims(at, -1), rows)
            return self.holding(written, array._size)

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array whose rows are parts of ``value``, which lay end to end: ``lengths`` of them
        each, which must be all the same."""
        graph, scope = graph_of([value, lengths, self._value]), name or "TensorArraySplit"
        with graph.as_default(), graph.name_scope(scope) as scope:
            whole, each = convert_to_tensor(value, self._dtype), convert_to_tensor(lengths)
            known = constant_value(each)
            if known is not None and len(set(known.ravel().tolist())) > 1:
                raise ValueError(
                    at_user_line(
                        f"TensorArray: rows are of one shape, but the lengths are {known.tolist()}"
                    )
                )
            if known is not None and known.size:
                first: Any = np.array([known.size, int(known.ravel()[0])], np.int32)
            else:
                one = expand_dims(cast(maximum(reduce_max(each), 0), dtypes.int32), 0)
                first = concat([shape(each), one], 0)
            dims = concat([first, shape(whole)[1:]], 0)
            whole = entering(whole, f"/{scope}TensorArraySplitV3_grad/TensorArrayConcatV3")
            return self.holding(reshape(whole, dims))

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array whose rows are those of ``value``."""
        return self.holding(unstacked(convert_to_tensor(value, self._dtype), name))

    def concat(self, name: str | None = None) -> Tensor:
        """The rows, themselves of rank 1 or more, end to end."""
        rows = self._rows()
        with rows.graph.as_default(), rows.graph.name_scope(name or "TensorArrayConcatV3") as scope:
            return reshape(rows, concat([np.array([-1], np.int32), shape(rows)[2:]], 0), scope)

    def identity(self) -> TensorArray:
        return self.holding(identity(self._value), self._size)

    def close(self, name: str | None = None) -> None:
        """Nothing: memory is the plan's."""


def unstacked(x: Tensor, name: str | None = None) -> Tensor:
    """What an array is made of, by the names that TensorFlow has for that and its gradient."""
    with x.graph.as_default(), x.graph.name_scope(name or "TensorArrayUnstack") as scope:
        step = "TensorArrayScatter/TensorArrayScatterV3"
        return entering(x, f"/{scope}{step}_grad/TensorArrayGatherV3", step)


def stacked(rows: Tensor, name: str | None = None) -> Tensor:
    """The rows of an array, by the name that they have in TensorFlow when they are put together."""
    with graph_of([rows]).name_scope(name or "TensorArrayStack"):
        return identity(rows, name=name or "TensorArrayGatherV3")  # type: ignore[no-any-return]


def with_rows_of(array: TensorArray, other: TensorArray) -> Tensor:
    """The contents of ``array``; if it is new, zeros in rows such as ``other`` has."""
    rows = other.value._shape
    if not is_empty_array(array.value) or is_empty_array(other.value):
        return array.value
    if rows is None or None in rows[1:]:
        raise ValueError(
            at_user_line(
                "cond: a new TensorArray stands beside one whose rows have the shape "
                f"{shapes.text(None if rows is None else rows[1:])}; give it an element_shape"
            )
        )
    return zeros([array.value.op.inputs[0], *rows[1:]], array.dtype)
