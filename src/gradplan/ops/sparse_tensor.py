"""Sparse tensors: three tensors that a graph passes on as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradplan import dtypes, shapes
from gradplan.composite import register_session_run_conversion_functions
from gradplan.dtypes import DType
from gradplan.graph import Graph, Operation, Tensor, at_user_line, get_default_session
from gradplan.known import constant_value
from gradplan.opdef import graph_of
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor, placeholder
from gradplan.shapes import TensorShape, as_shape

__all__ = ["SparseTensor", "SparseTensorValue", "sparse_placeholder"]


class SparseTensorValue(NamedTuple):
    """The arrays of a sparse tensor: what a run gives for one, and what is fed to one.

    Attributes
    ----------
    indices : array of int64, shape [nnz, rank]
    values : array, shape [nnz]
    dense_shape : array of int64, shape [rank]
    """

    indices: Any
    values: Any
    dense_shape: Any


class SparseTensor:
    """A tensor that is zero but for some elements: their indices, their values, and its shape.

    Parameters
    ----------
    indices : tensor_like of int64, shape [nnz, rank]
        One row for each element. Some operations want them in order, row by row; see
        :func:`sparse_reorder`.
    values : tensor_like, shape [nnz]
    dense_shape : tensor_like of int64, shape [rank]

    Raises
    ------
    ValueError
        If the shapes do not fit.
    TypeError
        If indices or shape are no int64.

    Notes
    -----
    ``Session.run`` fetches it as a :class:`SparseTensorValue`, and a feed for one is such a value,
    or any three arrays.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.SparseTensor([[0, 0], [1, 2]], [1.0, 2.0], [2, 3])
    >>> gp.Session().run(gp.sparse_tensor_to_dense(x))
    array([[1., 0., 0.],
           [0., 0., 2.]], dtype=float32)
    """

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        graph = graph_of([indices, values, dense_shape])
        with graph.as_default(), graph.name_scope("SparseTensor"):
            self._indices = _int64(indices, "indices")
            self._values = convert_to_tensor(values, name="values")
            self._dense_shape = _int64(dense_shape, "dense_shape")
        given = [t._shape for t in (self._indices, self._values, self._dense_shape)]
        for s, rank, name in zip(
            given, (2, 1, 1), ("indices", "values", "dense_shape"), strict=True
        ):
            if s is not None and len(s) != rank:
                raise ValueError(
                    at_user_line(f"SparseTensor: {name} {shapes.text(s)} must have rank {rank}")
                )
        i, v, d = [s or (None,) * r for s, r in zip(given, (2, 1, 1), strict=True)]
        if shapes.merge(i, (*v, *d)) is False:
            raise ValueError(
                at_user_line(
                    f"SparseTensor: indices {shapes.text(i)}, values {shapes.text(v)} and "
                    f"dense_shape {shapes.text(d)} do not fit together"
                )
            )

    @classmethod
    def from_value(cls, value: Any) -> SparseTensor:
        """A constant one of a :class:`SparseTensorValue`; a SparseTensor itself."""
        return value if isinstance(value, SparseTensor) else cls(*_three(value))

    @property
    def indices(self) -> Tensor:
        return self._indices

    @property
    def values(self) -> Tensor:
        return self._values

    @property
    def dense_shape(self) -> Tensor:
        return self._dense_shape

    @property
    def op(self) -> Operation:
        return self._values.op

    @property
    def name(self) -> str:
        return self._values.name

    @property
    def dtype(self) -> DType:
        return self._values.dtype

    @property
    def graph(self) -> Graph:
        return self._values.graph

    @property
    def shape(self) -> TensorShape:
        """What is known of the shape while the graph is built."""
        known = constant_value(self._dense_shape)
        if known is not None:
            return TensorShape([int(d) for d in known])
        rank = sparse_rank(self)
        return TensorShape(None if rank is None else [None] * rank)

    def get_shape(self) -> TensorShape:
        return self.shape

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """Its value in ``session``, or in the default session."""
        session = session or get_default_session()
        if session is None:
            raise ValueError(f"Cannot evaluate {self}: there is no default session")
        return session.run(self, feed_dict)

    def with_values(self, values: Tensor) -> SparseTensor:
        """Other values at the same places."""
        return SparseTensor(self._indices, values, self._dense_shape)

    def __repr__(self) -> str:
        return (
            f"SparseTensor(indices={self._indices}, values={self._values}, "
            f"dense_shape={self._dense_shape})"
        )


def _int64(value: Any, name: str) -> Tensor:
    if not isinstance(value, Tensor) and isinstance(value, (list, tuple)) and not len(value):
        value = np.zeros((0, 0) if name == "indices" else 0, np.int64)
    return convert_to_tensor(value, dtypes.int64, name)


def _three(value: Any) -> Sequence[Any]:
    if not isinstance(value, (tuple, list)) or len(value) != 3:
        raise TypeError(
            "the value of a SparseTensor is a SparseTensorValue, or (indices, values, "
            f"dense_shape), not {value!r}"
        )
    return value


def sparse_rank(sp: SparseTensor) -> int | None:
    """The rank, where it is known."""
    i, d = sp._indices._shape, sp._dense_shape._shape
    rank = None if i is None else i[1]
    return d[0] if rank is None and d is not None else rank


def to_sparse(value: Any, what: str = "sp_input") -> SparseTensor:
    """What an operation takes for a sparse operand."""
    if isinstance(value, SparseTensor):
        return value
    if isinstance(value, SparseTensorValue):
        return SparseTensor(*value)
    raise TypeError(at_user_line(f"{what} must be a SparseTensor, but is {type(value).__name__}"))


register_session_run_conversion_functions(
    SparseTensor,
    lambda sp: ([sp.indices, sp.values, sp.dense_shape], lambda three: SparseTensorValue(*three)),
    lambda sp, value: list(
        zip((sp.indices, sp.values, sp.dense_shape), _three(value), strict=True)
    ),
    lambda sp: [sp.indices, sp.values, sp.dense_shape],
)


def sparse_placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> SparseTensor:
    """A sparse tensor whose value is fed to every run.

    Parameters
    ----------
    dtype : DType or what :func:`as_dtype` takes
    shape : shape or Tensor, optional
        None for a dimension that may differ from run to run; a tensor stands for the dense shape
        as it is. Default: any shape at all.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.sparse_placeholder(gp.float32)
    >>> total = gp.sparse_reduce_sum(x)
    >>> value = gp.SparseTensorValue([[0, 1], [2, 0]], [1.0, 2.0], [3, 2])
    >>> float(gp.Session().run(total, {x: value}))
    3.0
    """
    name = name or "SparsePlaceholder"
    dims = None if isinstance(shape, Tensor) else as_shape(shape)
    rank = None if dims is None else len(dims)
    if isinstance(shape, Tensor):
        dense_shape = cast(shape, dtypes.int64)
        rank = dense_shape._shape[0] if dense_shape._shape else None
    elif dims is None or None in dims:
        dense_shape = placeholder(dtypes.int64, [rank], name=f"{name}/shape")
    else:
        dense_shape = constant(np.array(dims, np.int64), name=f"{name}/shape")
    return SparseTensor(
        placeholder(dtypes.int64, [None, rank], name=f"{name}/indices"),
        placeholder(dtype, [None], name=f"{name}/values"),
        dense_shape,
    )
