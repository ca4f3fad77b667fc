"""What sparse tensors are computed with: moving and summing entries by their indices.

An entry is a row of ``indices`` [nnz, rank] and an element (or a slice) of ``values``.
"""

from __future__ import annotations

from typing import Any

from gradplan import shapes
from gradplan.dtypes import ALL, NUMBERS
from gradplan.opdef import CALL, VIEW, op
from gradplan.ops.array import expand_dims, shape, shape_argument
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.slicing import concat


def _entries(indices: Any) -> tuple[Any, Any]:
    """Number and rank of the entries."""
    if indices is None:
        return None, None
    if len(indices) != 2:
        raise ValueError(f"indices must be a matrix, but are {shapes.text(indices)}")
    return indices


@op("SparseGather", CALL, kernel="sparse_gather", types="T I -> T", T=ALL, flops=0, fallible=True)
def gather_entries(x: Any, indices: Any, name: str | None = None) -> Any:
    """``x[i, j, ...]`` for every row (i, j, ...) of the indices: elements, or what remains of
    ``x``."""


@gather_entries.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    x, (n, r) = in_shapes[0], _entries(in_shapes[1])
    if x is None or r is None:
        return None
    if r > len(x):
        raise ValueError(f"indices of {r} dimensions do not fit {shapes.text(x)}")
    return (n, *x[r:])


@gather_entries.lower
def _(binder: Any, op: Any) -> None:
    x, indices = [binder.view(t) for t in op.inputs]
    r = indices.dims[1]
    if not x.seen(x.dims[r:], x.strides[r:]).dense:
        x = binder.contiguous(x)
    binder.emit("sparse_gather", [binder.result(op)], [x, binder.contiguous(indices)])


@gather_entries.gradient
def _(op: Any, dy: Any) -> Any:
    x, indices = op.inputs
    return scatter_entries(dy, indices, shape(x)), None


@op("SparseScatter", CALL, kernel="sparse_add", types="T I I -> T", T=NUMBERS, fallible=True)
def scatter_entries(values: Any, indices: Any, shape: Any, name: str | None = None) -> Any:
    """Zeros of ``shape``, to which the values are added where the indices say."""


@scatter_entries.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (n, r), given = _entries(in_shapes[1]), in_shapes[0]
    dims, unknown = shape_argument(value(2), in_shapes[2])
    if dims is None:
        return unknown
    if any(d < 0 for d in dims):
        raise ValueError(f"{list(dims)} is no shape")
    shapes.size(dims)
    if r is not None and given is not None:
        if r > len(dims) or shapes.merge(given, (n, *dims[r:])) is False:
            raise ValueError(
                f"values {shapes.text(given)} and indices {shapes.text(in_shapes[1])} do not fit "
                f"the shape {list(dims)}"
            )
    return dims


@scatter_entries.lower
def _(binder: Any, op: Any) -> None:
    values, indices = [binder.contiguous(binder.view(t)) for t in op.inputs[:2]]
    out = binder.result(op)
    binder.emit("fill_zero", [out], [])
    binder.emit("sparse_add", [out], [indices, values])


@scatter_entries.gradient
def _(op: Any, dy: Any) -> Any:
    return gather_entries(dy, op.inputs[1]), None, None


@op(
    "SparseToDense",
    CALL,
    kernel="sparse_set",
    types="I I T T -> T",
    T=ALL,
    flops=0,
    fallible=True,
    sized=1,
)
def entries_to_dense(
    sparse_indices: Any,
    output_shape: Any,
    sparse_values: Any,
    default_value: Any,
    validate_indices: Any = True,
    name: str | None = None,
) -> Any:
    """See :func:`sparse_to_dense`; indices [nnz, rank], values [nnz] or a scalar."""


@entries_to_dense.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    indices, _, values, default = in_shapes
    n, r = _entries(indices)
    if default not in (None, ()):
        raise ValueError(f"default_value should be a scalar, not {shapes.text(default)}")
    if values not in (None, ()) and shapes.merge(values, (n,)) is False:
        raise ValueError(
            f"sparse_values {shapes.text(values)} have incorrect shape: one for each of the "
            f"indices {shapes.text(indices)}, or a scalar"
        )
    dims, unknown = shape_argument(value(1), in_shapes[1])
    if dims is None:
        return unknown
    if any(d < 0 for d in dims):
        raise ValueError(f"{list(dims)} is no shape")
    if r is not None and r != len(dims):
        raise ValueError(f"indices of {r} dimensions do not fit the shape {list(dims)}")
    shapes.size(dims)
    return dims


@entries_to_dense.lower
def _(binder: Any, op: Any) -> None:
    indices, _, values, default = op.inputs
    indices, values = [binder.contiguous(binder.view(t)) for t in (indices, values)]
    out = binder.result(op)
    binder.copy(out, binder.view(default).broadcast(out.dims))
    values = values if values.dims else values.reshaped((1,))
    binder.emit("sparse_set", [out], [indices, values], [int(bool(op.attrs["validate_indices"]))])


@entries_to_dense.gradient
def _(op: Any, dy: Any) -> Any:
    indices, _, values, _ = op.inputs
    if values._shape is None:
        raise ValueError(
            f"SparseToDense '{op.name}': the rank of the values must be known for a gradient "
            f"(made at {op.made_at})"
        )
    chosen = gather_entries(dy, indices)
    rest = reduce_sum(dy) - reduce_sum(chosen)
    return None, None, chosen if values._shape else reduce_sum(chosen), rest


@op("SparseOrder", CALL, kernel="sparse_order", types="I -> int64", flops=0)
def order_of_entries(indices: Any, name: str | None = None) -> Any:
    """The numbers of the entries in the order of their indices, row by row; equals stay in
    order."""


@order_of_entries.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return (_entries(in_shapes[0])[0],)


@order_of_entries.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    spare = binder.scratch(op.name, out.dtype, out.dims)
    binder.emit("sparse_order", [out, spare], [binder.contiguous(binder.view(op.inputs[0]))])


@op("SparseUnique", CALL, kernel="sparse_unique", types="I int64 -> int64 int64 int64", flops=0)
def unique_entries(indices: Any, order: Any, name: str | None = None) -> Any:
    """For each entry the number of its indices among the different ones, in ``order``; for each
    number the first such entry, filled up with zeros; how many there are."""


@unique_entries.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    n = _entries(in_shapes[0])[0]
    return [(n,), (n,), ()]


@op("SparseWhere", CALL, kernel="sparse_where", types="bool -> int64 int64", flops=0)
def where_true(mask: Any, name: str | None = None) -> Any:
    """The places where a vector is true, filled up with zeros, and how many there are."""


@where_true.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    if s is not None and len(s) != 1:
        raise ValueError(f"the mask must be a vector, but is {shapes.text(s)}")
    return [(None,) if s is None else s, ()]


@op("SameSizes", VIEW, types="int64 int64 -> int64")
def same_sizes(x: Any, y: Any, name: str | None = None) -> Any:
    """``x``, a shape, if ``y`` is the same one."""


@same_sizes.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    x, y = value(0), value(1)
    if x is not None and y is not None and x.tolist() != y.tolist():
        raise ValueError(f"shapes {x.tolist()} and {y.tolist()} differ")
    return in_shapes[0] if x is None else x.shape


# ---- products ------------------------------------------------------------------------------------


@op(
    "SparseTensorDenseMatMul",
    CALL,
    kernel="sparse_matmul",
    types="I T I T -> T",
    T=NUMBERS,
    flops=lambda attrs, in_shapes: 2 * in_shapes[1][0] * in_shapes[3][1],
    fallible=True,
)
def entries_matmul(
    a_indices: Any,
    a_values: Any,
    a_shape: Any,
    b: Any,
    adjoint_a: Any = False,
    name: str | None = None,
) -> Any:
    """The matrix of these entries, or its transpose, times ``b``."""


@entries_matmul.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    indices, values, a_shape, b = in_shapes
    n, r = _entries(indices)
    if r not in (2, None) or a_shape not in (None, (None,), (2,)):
        raise ValueError("Shape must be rank 2: the sparse operand is no matrix")
    if shapes.merge(values, (n,)) is False:
        raise ValueError(f"values {shapes.text(values)} of indices {shapes.text(indices)}")
    if b is not None and len(b) != 2:
        raise ValueError(f"Shape must be rank 2 but 'b' is {shapes.text(b)}")
    k, columns = (None, None) if b is None else b
    dims = shape_argument(value(2), a_shape)[0]
    if dims is None:
        return (None, columns)
    if len(dims) != 2 or min(dims) < 0:
        raise ValueError(f"Shape must be rank 2 but the sparse operand is of shape {list(dims)}")
    m, k2 = dims[::-1] if attrs["adjoint_a"] else dims
    if k is not None and k != k2:
        raise ValueError(
            f"Dimensions must be equal, but are {k2} and {k} for {shapes.text((m, k2))} times "
            f"{shapes.text(b)}"
        )
    return (m, columns)


@entries_matmul.lower
def _(binder: Any, op: Any) -> None:
    indices, values, b = [binder.contiguous(binder.view(op.inputs[i])) for i in (0, 1, 3)]
    out = binder.result(op)
    binder.emit("sparse_matmul", [out], [indices, values, b], [int(bool(op.attrs["adjoint_a"]))])


@entries_matmul.gradient
def _(op: Any, dy: Any) -> Any:
    indices, values, dims, b = op.inputs
    turned = bool(op.attrs["adjoint_a"])
    dvalues = entries_dots(indices, b, dy) if turned else entries_dots(indices, dy, b)
    return None, dvalues, None, entries_matmul(indices, values, dims, dy, adjoint_a=not turned)


@op("SparseDots", CALL, kernel="sparse_dots", types="I T T -> T", flops=2, fallible=True)
def entries_dots(indices: Any, x: Any, y: Any, name: str | None = None) -> Any:
    """For every row (i, j) of the indices the product of row i of ``x`` and row j of ``y``."""


@entries_dots.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    indices, x, y = in_shapes
    n, r = _entries(indices)
    if r not in (2, None):
        raise ValueError(f"indices must have 2 columns, but are {shapes.text(indices)}")
    for s in (x, y):
        if s is not None and len(s) != 2:
            raise ValueError(f"Shape must be rank 2 but is {shapes.text(s)}")
    if x is not None and y is not None and shapes.merge(x[1:], y[1:]) is False:
        raise ValueError(f"rows of {shapes.text(x)} and of {shapes.text(y)} differ in length")
    return (n,)


@entries_dots.gradient
def _(op: Any, dy: Any) -> Any:
    indices, x, y = op.inputs
    dims = concat([shape(x)[:1], shape(y)[:1]], 0)
    return (
        None,
        entries_matmul(indices, dy, dims, y),
        entries_matmul(indices, dy, dims, x, adjoint_a=True),
    )


@op("SparseSoftmax", CALL, kernel="sparse_softmax", types="I T -> T", flops=20, fallible=True)
def entries_softmax(indices: Any, values: Any, name: str | None = None) -> Any:
    """Softmax over the entries whose indices differ in the last column alone."""


@entries_softmax.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    indices, values = in_shapes
    n, r = _entries(indices)
    if r is not None and r < 2:
        raise ValueError(f"indices must have at least 2 columns, but are {shapes.text(indices)}")
    out = shapes.merge(values, (n,))
    if out is False:
        raise ValueError(f"values {shapes.text(values)} of indices {shapes.text(indices)}")
    return out


@entries_softmax.gradient
def _(op: Any, dy: Any) -> Any:
    indices, y = op.inputs[0], op.outputs[0]
    # The rows by number: entries of one are neighbours.
    rows = indices[:, :-1]
    number, _, _ = unique_entries(rows, order_of_entries(rows))
    number = expand_dims(number, -1)
    total = scatter_entries(dy * y, number, shape(y))
    return None, (dy - gather_entries(total, number)) * y
