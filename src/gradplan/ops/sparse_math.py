"""Operations on sparse tensors."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes
from gradplan.graph import Tensor, at_user_line
from gradplan.known import known_sizes
from gradplan.opdef import apply, graph_of
from gradplan.ops.array import (
    broadcast_to,
    expand_dims,
    identity,
    identity_n,
    reshape,
    take_first,
)
from gradplan.ops.array import shape as size_of
from gradplan.ops.constant import constant, convert_to_tensor, renamed, require_constant
from gradplan.ops.entries import (
    entries_matmul,
    entries_softmax,
    entries_to_dense,
    gather_entries,
    order_of_entries,
    same_sizes,
    scatter_entries,
    unique_entries,
    where_true,
)
from gradplan.ops.logic import greater_equal
from gradplan.ops.math import abs as magnitude
from gradplan.ops.math import add, divide, floordiv, floormod, multiply
from gradplan.ops.matrices import adjoint, equal_shapes, number_of
from gradplan.ops.products import cumprod
from gradplan.ops.reduce import reduce_sum, reduced_axes, reserve_axes
from gradplan.ops.slicing import concat
from gradplan.ops.sparse_tensor import SparseTensor, SparseTensorValue, sparse_rank, to_sparse

__all__ = [
    "sparse_add",
    "sparse_reduce_sum",
    "sparse_reorder",
    "sparse_reshape",
    "sparse_retain",
    "sparse_softmax",
    "sparse_tensor_dense_matmul",
    "sparse_tensor_to_dense",
    "sparse_to_dense",
]


def sparse_tensor_dense_matmul(
    sp_a: Any, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Tensor:
    """The product of a sparse matrix and a dense one.

    Parameters
    ----------
    sp_a : SparseTensor, shape [m, k]
        Its indices may come in any order; repeated ones add up.
    b : tensor_like, shape [k, n]
        Of the type of ``sp_a``.
    adjoint_a, adjoint_b : bool, optional
        Take the transpose of that operand.
    name : str, optional

    Returns
    -------
    Tensor, shape [m, n]

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        When run, if an index is out of range.

    Notes
    -----
    The gradient flows to the values and to ``b``.

    Examples
    --------
    >>> import gradplan as gp
    >>> a = gp.SparseTensor([[0, 1], [1, 0]], [2.0, 3.0], [2, 2])
    >>> gp.Session().run(gp.sparse_tensor_dense_matmul(a, [[1.0, 2.0], [3.0, 4.0]]))
    array([[6., 8.],
           [3., 6.]], dtype=float32)
    """
    sp_a = to_sparse(sp_a, "sp_a")
    with sp_a.graph.as_default(), sp_a.graph.name_scope(name or "SparseTensorDenseMatMul"):
        b = convert_to_tensor(b, None if isinstance(b, Tensor) else sp_a.dtype)
        operands = [sp_a.indices, sp_a.values, sp_a.dense_shape, adjoint(b) if adjoint_b else b]
        return apply(entries_matmul.opdef, operands, {"adjoint_a": bool(adjoint_a)})


def sparse_to_dense(
    sparse_indices: Any,
    output_shape: Any,
    sparse_values: Any,
    default_value: Any = 0,
    validate_indices: bool = True,
    name: str | None = None,
) -> Tensor:
    """A dense tensor of ``default_value``, but for some elements.

    Parameters
    ----------
    sparse_indices : tensor_like of int32 or int64, shape [nnz, rank], [nnz] or []
        A vector holds indices of a vector; a scalar is one of them.
    output_shape : tensor_like of int32 or int64, shape [rank]
    sparse_values : tensor_like, shape [nnz] or []
        A scalar stands for all.
    default_value : scalar, optional
        Default: 0.
    validate_indices : bool, optional
        Whether indices must be in order, row by row, and none repeated. Otherwise the last of equal
        ones counts. Default: True.
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        When run, if indices are out of range, out of order or repeated.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sparse_to_dense([1, 3], [5], [1.0, 2.0], -1.0))
    array([-1.,  1., -1.,  2., -1.], dtype=float32)
    """
    graph = graph_of([sparse_indices, output_shape, sparse_values, default_value])
    with graph.as_default(), graph.name_scope(name or "SparseToDense") as scope:
        indices = convert_to_tensor(sparse_indices)
        like = default_value.dtype if isinstance(default_value, Tensor) else None
        values = convert_to_tensor(sparse_values, like, name="sparse_values")
        default = convert_to_tensor(_zero_of(values.dtype, default_value), values.dtype)
        if indices._shape is None:
            raise ValueError(at_user_line("sparse_to_dense: the rank of the indices must be known"))
        if len(indices._shape) > 2:
            raise ValueError(
                at_user_line(
                    "sparse_to_dense: sparse_indices should be a scalar, vector, or matrix, but "
                    f"are of shape {indices.shape}"
                )
            )
        if len(indices._shape) < 2:
            indices = reshape(indices, [-1, 1])
        attrs = {"validate_indices": bool(validate_indices)}
        return apply(entries_to_dense.opdef, [indices, output_shape, values, default], attrs, scope)


def _zero_of(dtype: Any, value: Any) -> Any:
    return False if dtype.is_bool and type(value) is int and value == 0 else value


def sparse_tensor_to_dense(
    sp_input: Any,
    default_value: Any = None,
    validate_indices: bool = True,
    name: str | None = None,
) -> Tensor:
    """A sparse tensor as a dense one; parameters and errors as :func:`sparse_to_dense`.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.SparseTensor([[0, 1], [1, 0]], [5, 6], [2, 2])
    >>> gp.Session().run(gp.sparse_tensor_to_dense(x, -1))
    array([[-1,  5],
           [ 6, -1]], dtype=int32)
    """
    sp, other = to_sparse(sp_input), 0 if default_value is None else default_value
    return sparse_to_dense(sp.indices, sp.dense_shape, sp.values, other, validate_indices, name)


def sparse_reorder(sp_input: Any, name: str | None = None) -> SparseTensor:
    """The same sparse tensor with its indices in order, row by row; equal ones stay in order.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.SparseTensor([[1, 0], [0, 1]], [5.0, 6.0], [2, 2])
    >>> gp.Session().run(gp.sparse_reorder(x)).values
    array([6., 5.], dtype=float32)
    """
    sp = to_sparse(sp_input)
    with sp.graph.as_default(), sp.graph.name_scope(name or "SparseReorder") as scope:
        rows = expand_dims(order_of_entries(sp.indices), -1)
        indices, values = identity_n(_chosen(sp, rows), scope)
    with sp.graph.as_default():
        known = sp.shape.is_fully_defined()
        dense_shape = sp.shape.as_list() if known else identity(sp.dense_shape)
        return SparseTensor(indices, values, dense_shape)


def sparse_reshape(sp_input: Any, shape: Any, name: str | None = None) -> SparseTensor:
    """The same entries in the same order, of a dense tensor that was reshaped.

    Parameters
    ----------
    sp_input : SparseTensor
    shape : tensor_like of int
        One of its sizes may be -1: it is what is left.
    name : str, optional

    Raises
    ------
    ValueError, InvalidArgumentError
        If it has another number of elements; the second in a run.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.SparseTensor([[0, 2], [1, 0]], [5.0, 6.0], [2, 3])
    >>> gp.Session().run(gp.sparse_reshape(x, [3, -1])).indices
    array([[1, 0],
           [1, 1]])
    """
    sp = to_sparse(sp_input)
    with sp.graph.as_default(), sp.graph.name_scope(name or "SparseReshape") as scope:
        whole = broadcast_to(constant(False), sp.dense_shape)  # only its shape is looked at
        after = size_of(reshape(whole, shape), out_type=dtypes.int64)
        steps = [cumprod(d, exclusive=True, reverse=True) for d in (sp.dense_shape, after)]
        place = reduce_sum(multiply(sp.indices, steps[0]), 1, keepdims=True)
        indices = floormod(floordiv(place, steps[1]), after)
        indices, dense_shape = identity_n([indices, after], scope)
        return SparseTensor(indices, sp.values, dense_shape)


def _chosen(sp: SparseTensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Indices and values of the entries of these numbers, a column."""
    indices = gather_entries(sp.indices, rows, name="GatherV2")
    values = gather_entries(sp.values, rows, name="GatherV2")
    values.set_shape([None])
    return indices, values


def sparse_retain(sp_input: Any, to_retain: Any) -> SparseTensor:
    """Some of the entries of a sparse tensor.

    Parameters
    ----------
    sp_input : SparseTensor
    to_retain : tensor_like of bool, shape [nnz]
        Which.

    Raises
    ------
    ValueError
        If there are more or fewer entries.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.SparseTensor([[0], [2]], [5.0, 6.0], [4])
    >>> gp.Session().run(gp.sparse_retain(x, [False, True])).values
    array([6.], dtype=float32)
    """
    sp = to_sparse(sp_input)
    with sp.graph.as_default():  # in no scope of its own, as in TensorFlow 1
        mask = convert_to_tensor(to_retain, dtypes.bool)
        places, count = where_true(equal_shapes(mask, sp.values), name="Where")
        rows = expand_dims(take_first(places, count), -1, name="Reshape")
        indices, values = _chosen(sp, rows)
        return SparseTensor(indices, values, identity(sp.dense_shape))


def sparse_reduce_sum(
    sp_input: Any,
    axis: Any = None,
    keepdims: Any = None,
    reduction_axes: Any = None,
    keep_dims: Any = None,
) -> Tensor:
    """Sum of the elements of a sparse tensor along ``axis``, dense.

    Parameters
    ----------
    sp_input : SparseTensor
    axis : int, list of int or None
        Dimensions to reduce; negative ones count from the end. None, the default, reduces all.
    keepdims : bool, optional
        Keep the reduced dimensions as size 1. Default: False.
    reduction_axes, keep_dims : optional
        Old names of ``axis`` and ``keepdims``.

    Raises
    ------
    ValueError
        If an axis is out of range, or the rank is needed and not known.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.SparseTensor([[0, 0], [0, 2], [1, 1]], [1.0, 1.0, 1.0], [2, 3])
    >>> gp.Session().run(gp.sparse_reduce_sum(x, 1))
    array([2., 1.], dtype=float32)
    """
    sp = to_sparse(sp_input)
    axis = reduction_axes if axis is None else axis
    keep = bool(keep_dims if keepdims is None else keepdims)
    rank = sparse_rank(sp)
    if axis is None:
        reserve_axes(sp.values, rank is not None)
    with sp.graph.as_default(), sp.graph.name_scope("SparseReduceSum") as scope:
        if axis is None and not keep:
            return reduce_sum(sp.values, name=scope)
        if rank is None:
            raise ValueError(at_user_line("sparse_reduce_sum: the rank must be known"))
        given = None if axis is None else [int(a) for a in require_constant(axis, "axis").ravel()]
        try:
            axes = reduced_axes(given, rank)
        except ValueError as error:
            raise ValueError(at_user_line(f"sparse_reduce_sum: {error}")) from None
        kept = [i for i in range(rank) if i not in axes]
        whole = sp.dense_shape
        if kept:
            columns = concat([sp.indices[:, i : i + 1] for i in kept], 1)
            sizes = concat([whole[i : i + 1] for i in kept], 0)
            out = scatter_entries(sp.values, columns, sizes)
            known = known_sizes(whole) or (None,) * rank
            out.set_shape([known[i] for i in kept])
        else:
            out = reduce_sum(sp.values)
        return expand_dims(out, axes, name=scope) if keep and axes else identity(out, name=scope)


def sparse_add(a: Any, b: Any, threshold: Any = None, thresh: Any = None) -> Any:
    """The sum of two tensors of which one at least is sparse.

    Parameters
    ----------
    a, b : SparseTensor or tensor_like
        Of one shape and type.
    threshold : number, optional
        Of two sparse tensors: smaller sums are left out. Default: 0, which keeps all.
    thresh : number, optional
        Old name of ``threshold``.

    Returns
    -------
    SparseTensor or Tensor
        Dense if one of them is. Of two sparse ones the union of their indices, in order.

    Raises
    ------
    TypeError
        If both are dense.
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.SparseTensor([[0], [2]], [5.0, 6.0], [4])
    >>> gp.Session().run(gp.sparse_add(x, gp.ones([4])))
    array([6., 1., 7., 1.], dtype=float32)
    >>> gp.Session().run(gp.sparse_add(x, x)).values
    array([10., 12.], dtype=float32)
    """
    threshold = renamed("thresh", thresh, "threshold", threshold)
    kinds = [isinstance(x, (SparseTensor, SparseTensorValue)) for x in (a, b)]
    if not any(kinds):
        raise TypeError(at_user_line("sparse_add: at least one input should be a SparseTensor"))
    if not all(kinds):
        sp, dense = (a, b) if kinds[0] else (b, a)
        sp = to_sparse(sp)
        with sp.graph.as_default(), sp.graph.name_scope("SparseTensorDenseAdd") as scope:
            dense = convert_to_tensor(dense, None if isinstance(dense, Tensor) else sp.dtype)
            more = scatter_entries(sp.values, sp.indices, sp.dense_shape)
            return add(dense, equal_shapes(more, dense), name=scope)
    a, b = to_sparse(a), to_sparse(b)
    with a.graph.as_default(), a.graph.name_scope("SparseAdd") as scope:
        indices = concat([a.indices, b.indices], 0)
        values = concat([a.values, b.values], 0)
        number, first, count = unique_entries(indices, order_of_entries(indices))
        sums = scatter_entries(values, expand_dims(number, -1), size_of(values))
        rows = gather_entries(indices, expand_dims(take_first(first, count), -1))
        dense_shape = same_sizes(a.dense_shape, b.dense_shape)
        out = rows, take_first(sums, count), dense_shape
        if threshold is not None and (isinstance(threshold, Tensor) or threshold != 0):
            sums = SparseTensor(*out)
            least = number_of(threshold, sums.dtype)
            kept = sparse_retain(sums, greater_equal(magnitude(sums.values), least))
            out = kept.indices, kept.values, kept.dense_shape
        results = identity_n(out, scope)
    return SparseTensor(*results)


def sparse_softmax(sp_input: Any, name: str | None = None) -> SparseTensor:
    """Softmax along the last dimension over the elements that are there.

    Parameters
    ----------
    sp_input : SparseTensor of float, rank at least 2
        With indices in order.
    name : str, optional

    Raises
    ------
    ValueError
        If it is a vector.
    InvalidArgumentError
        When run, if the indices are out of order or repeated.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.SparseTensor([[0, 0], [0, 2], [1, 1]], [1.0, 1.0, 3.0], [2, 3])
    >>> gp.Session().run(gp.sparse_softmax(x)).values
    array([0.5, 0.5, 1. ], dtype=float32)
    """
    sp = to_sparse(sp_input)
    with sp.graph.as_default(), sp.graph.name_scope(name or "SparseSoftmax"):
        return sp.with_values(entries_softmax(sp.indices, sp.values))


def _with_dense(name: str, function: Any) -> Any:
    def compute(self: SparseTensor, other: Any) -> SparseTensor:
        with self.graph.as_default(), self.graph.name_scope(name) as scope:
            dense = convert_to_tensor(other, None if isinstance(other, Tensor) else self.dtype)
            wide = broadcast_to(dense, self.dense_shape)
            others = gather_entries(wide, self.indices)
            return self.with_values(function(self.values, others, name=scope))

    return compute


# What is not there stays 0; the dense operand broadcasts.
for _method, _name, _function in (
    ("__mul__", "mul", multiply),
    ("__truediv__", "truediv", divide),
):
    setattr(SparseTensor, _method, _with_dense(_name, _function))
