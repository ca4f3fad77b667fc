"""Variables in several parts along one dimension, and what says into how many."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import DType
from gradplan.graph import Graph, Tensor, at_user_line
from gradplan.opdef import register_tensor_conversion_function, to_tensor
from gradplan.ops import strided
from gradplan.ops.array import identity
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.slicing import concat
from gradplan.ops.splitting import split
from gradplan.ops.state import SaveSliceInfo, Variable
from gradplan.shapes import TensorShape

__all__ = [
    "fixed_size_partitioner",
    "min_max_variable_partitioner",
    "variable_axis_size_partitioner",
]

Partitioner = Callable[..., list[int]]


class PartitionedVariable:
    """A variable in parts: what :func:`get_variable` gives where there is a partitioner.

    It stands for the tensor of all parts joined wherever one is expected. Its parts are variables
    of their own, which optimizers and :func:`gradients` take (``list(w)``). A Saver keeps the
    whole under its name, so that a checkpoint fits any number of parts.

    Attributes
    ----------
    name : str
    dtype : DType
    shape : TensorShape

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.get_variable("w", [5, 2], partitioner=gp.fixed_size_partitioner(2))
    >>> [v.name for v in w], [v.shape.as_list() for v in w], w.as_tensor().shape.as_list()
    (['w/part_0:0', 'w/part_1:0'], [[3, 2], [2, 2]], [5, 2])
    """

    def __init__(self, name: str, parts: Sequence[Variable], axis: int) -> None:
        self._name = name
        self._parts = list(parts)
        self._axis = axis

    @property
    def name(self) -> str:
        return self._name

    @property
    def dtype(self) -> DType:
        return self._parts[0].dtype

    @property
    def graph(self) -> Graph:
        return self._parts[0].graph

    @property
    def shape(self) -> TensorShape:
        dims = self._parts[0].shape.as_list()
        dims[self._axis] = sum(int(v.shape[self._axis]) for v in self._parts)
        return TensorShape(dims)

    def get_shape(self) -> TensorShape:
        """The static shape of all parts together."""
        return self.shape

    def __iter__(self) -> Iterator[Variable]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def as_tensor(self) -> Tensor:
        """The parts joined, as they are where this is called."""
        graph = self.graph
        with graph.as_default(), graph.name_scope(None):
            whole = self._parts[0].value()
            if len(self._parts) > 1:
                with graph.name_scope(f"{self._name}/ConcatPartitions/"):
                    whole = concat([v.value() for v in self._parts], self._axis)
            return identity(whole, name=self._name)

    def assign(
        self, value: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> list[Any]:
        """Write ``value``: a tensor of the whole shape, a list with one for each part, or another
        variable in as many parts. Gives the new values of the parts, or with ``read_value=False``
        the operations."""
        return self._each("assign", value, name, read_value)

    def assign_add(
        self, value: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> list[Any]:
        """Add ``value``; as :meth:`assign`."""
        return self._each("assign_add", value, name, read_value)

    def assign_sub(
        self, value: Any, use_locking: bool = False, name: Any = None, read_value: bool = True
    ) -> list[Any]:
        """Subtract ``value``; as :meth:`assign`."""
        return self._each("assign_sub", value, name, read_value)

    def _each(self, how: str, value: Any, name: Any, read_value: bool) -> list[Any]:
        with self.graph.as_default():
            if not isinstance(value, (list, PartitionedVariable)):
                value = split(value, [int(v.shape[self._axis]) for v in self._parts], self._axis)
            if len(value) != len(self):
                raise AssertionError(  # TensorFlow's class
                    at_user_line(
                        f"{how}: a list holds a value for each part, and {self._name} has "
                        f"{len(self)}, not {len(value)}; one value of all parts is an array"
                    )
                )
            return [
                getattr(v, how)(x, name=name, read_value=read_value)
                for v, x in zip(self._parts, value, strict=True)
            ]

    def __repr__(self) -> str:
        return (
            f"<gp.PartitionedVariable '{self._name}' shape={self.shape} dtype={self.dtype.name} "
            f"parts={len(self)}>"
        )


def partitions_of(
    name: str, dims: tuple[int, ...], dtype: DType, partitioner: Any
) -> tuple[int, int]:
    """The dimension that is cut, and into how many parts."""
    if not callable(partitioner):
        raise ValueError(at_user_line(f"Partitioner must be callable, but received: {partitioner}"))
    counts = partitioner(shape=TensorShape(dims), dtype=dtype)
    if not isinstance(counts, Sequence) or len(counts) != len(dims):
        raise ValueError(
            at_user_line(f"Partitioner did not return a list of {len(dims)} counts: {counts!r}")
        )
    cut = [i for i, n in enumerate(counts) if n != 1]
    if len(cut) > 1:
        raise ValueError(at_user_line(f"Can only slice a variable along one dimension: {counts}"))
    axis = cut[0] if cut else 0
    if not 1 <= counts[axis] <= max(dims[axis], 1):
        raise ValueError(
            at_user_line(
                f"{name}: {dims[axis]} rows along dimension {axis} cannot be {counts[axis]} parts"
            )
        )
    return axis, int(counts[axis])


def make_in_parts(
    make: Callable[..., Variable],
    name: str,
    dims: Any,
    dtype: DType,
    given: Any,
    partitioner: Any,
    **how: Any,
) -> PartitionedVariable:
    """A variable for each part, ``<name>/part_0`` and so on; ``given`` is a value of them all or
    the function that initialises each."""
    value = None if callable(given) else convert_to_tensor(given, dtype)
    dims = dims if value is None else value._shape
    if dims is None or None in dims:
        raise ValueError(
            f"Shape of a new partitioned variable ({name}) must be fully defined, but instead was "
            f"{shapes.text(dims)}."
        )
    told = value is None and "partition_info" in inspect.signature(given).parameters
    axis, count = partitions_of(name, dims, dtype, partitioner)
    made: list[Variable] = []
    for i, info in enumerate(_slices(name, dims, axis, count)):
        initial = functools.partial(given, partition_info=info) if told else given
        shape: Any = info.var_shape
        if value is not None:
            with value.graph.name_scope(f"{name}/part_{i}/PartitionedInitializer"):
                initial, shape = strided.slice(value, info.var_offset, shape), None
        made.append(make(f"{name}/part_{i}", shape, dtype, initial, **how))
        made[-1]._save_slice_info = info
    return PartitionedVariable(name, made, axis)


def _slices(name: str, dims: tuple[int, ...], axis: int, count: int) -> Iterator[SaveSliceInfo]:
    """Where the parts lie; the first ones have a row more where ``count`` does not divide."""
    at = 0
    for i in range(count):
        offset, shape = [0] * len(dims), list(dims)
        offset[axis], shape[axis] = at, dims[axis] // count + (i < dims[axis] % count)
        yield SaveSliceInfo(name, list(dims), offset, shape)
        at += shape[axis]


def fixed_size_partitioner(num_shards: int, axis: int = 0) -> Partitioner:
    """A partitioner that makes ``num_shards`` parts along ``axis``, or as many as there are rows.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.fixed_size_partitioner(3)(shape=gp.TensorShape([8, 2]), dtype=gp.float32)
    [3, 1]
    """

    def partitioner(shape: TensorShape, dtype: Any = None) -> list[int]:
        return _along(axis, shape, min(num_shards, int(shape[axis])))

    return partitioner


def variable_axis_size_partitioner(
    max_shard_bytes: int,
    axis: int = 0,
    bytes_per_string_element: int = 16,
    max_shards: int | None = None,
) -> Partitioner:
    """A partitioner that makes parts of at most ``max_shard_bytes``, and ``max_shards`` at most.

    Raises
    ------
    ValueError
        If a number is not positive.

    Examples
    --------
    >>> import gradplan as gp
    >>> p = gp.variable_axis_size_partitioner(16)
    >>> p(shape=gp.TensorShape([8, 2]), dtype=gp.float32)
    [4, 1]
    """
    if max_shard_bytes < 1 or bytes_per_string_element < 1:
        raise ValueError(f"max_shard_bytes must be positive, not {max_shard_bytes}")
    if max_shards is not None and max_shards < 1:
        raise ValueError(f"max_shards must be positive, not {max_shards}")

    def partitioner(shape: TensorShape, dtype: Any) -> list[int]:
        rows = int(shape[axis])
        row_bytes = _bytes(shape, dtype) / max(rows, 1)
        fit = max(1, math.floor(max_shard_bytes / max(row_bytes, 1)))
        count = max(1, math.ceil(rows / fit))
        return _along(axis, shape, min(count, max_shards or count))

    return partitioner


def min_max_variable_partitioner(
    max_partitions: int = 1,
    axis: int = 0,
    min_slice_size: int = 256 << 10,
    bytes_per_string_element: int = 16,
) -> Partitioner:
    """A partitioner that makes parts of at least ``min_slice_size`` bytes, at most
    ``max_partitions`` of them.

    Examples
    --------
    >>> import gradplan as gp
    >>> p = gp.min_max_variable_partitioner(max_partitions=8, min_slice_size=16)
    >>> p(shape=gp.TensorShape([8, 2]), dtype=gp.float32)
    [4, 1]
    """

    def partitioner(shape: TensorShape, dtype: Any) -> list[int]:
        if axis >= len(shape):
            raise ValueError(
                f"Cannot partition variable along axis {axis} when shape is only {shape}"
            )
        wanted = math.ceil(_bytes(shape, dtype) / min_slice_size)
        return _along(axis, shape, max(1, min(int(shape[axis]), max_partitions, wanted)))

    return partitioner


def _along(axis: int, shape: TensorShape, count: int) -> list[int]:
    counts = [1] * len(shape)
    counts[axis] = count
    return counts


def _bytes(shape: TensorShape, dtype: Any) -> int:
    return shapes.size(shape.as_list()) * dtypes.as_dtype(dtype).size  # type: ignore[arg-type]


def _joined(value: PartitionedVariable, dtype: DType | None, name: str, graph: Graph) -> Tensor:
    return to_tensor(value.as_tensor(), dtype, name, graph)


register_tensor_conversion_function(PartitionedVariable, _joined)
