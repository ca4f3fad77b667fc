"""Matrix products, of two matrices and of batches of them."""

from __future__ import annotations

from typing import Any

from gradplan import shapes
from gradplan.dtypes import NUMBERS
from gradplan.graph import Tensor
from gradplan.names import named
from gradplan.opdef import CALL, apply, graph_of, op
from gradplan.ops.array import expand_dims, identity, shape, sum_to_shape
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.matrices import at_least_matrix, merge_dims, swapped

__all__ = ["batch_matmul", "matmul", "matvec"]


def _matmul_flops(attrs: dict[str, Any], in_shapes: Any) -> int:
    (a, b), columns = in_shapes, 0 if attrs["transpose_b"] else 1
    return 2 * a[0] * a[1] * b[columns]


@op("MatMul", CALL, kernel="matmul", T=NUMBERS, flops=_matmul_flops)
def _matmul(
    a: Any, b: Any, transpose_a: Any = False, transpose_b: Any = False, name: str | None = None
) -> Any:
    """The product of two matrices; see :func:`matmul`."""


def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """Matrix product ``C[..., i, j] = sum_k A[..., i, k] B[..., k, j]``.

    Parameters
    ----------
    a : tensor_like, shape [..., m, k] ([..., k, m] with ``transpose_a``)
    b : tensor_like, shape [..., k, n] ([..., n, k] with ``transpose_b``)
        float32, float64, int32 or int64, of the type of ``a``. The leading dimensions of both
        broadcast.
    transpose_a, transpose_b : bool
        Take the transpose of that operand. No copy is made for it.
    adjoint_a, adjoint_b : bool
        The same for the real types that gradplan has.
    a_is_sparse, b_is_sparse : bool
        Accepted and ignored: hints of TensorFlow 1.
    name : str, optional

    Returns
    -------
    Tensor, shape [..., m, n]

    Raises
    ------
    ValueError
        If an operand is no matrix, the inner dimensions differ, an operand is asked to be
        transposed and adjoint, or the leading dimensions do not broadcast.

    Notes
    -----
    Two matrices are an operation MatMul; anything else, or what may be, is a BatchMatMulV2.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matmul([[1.0, 2.0]], [[3.0, 4.0]], transpose_b=True))
    array([[11.]], dtype=float32)
    >>> gp.matmul(gp.ones([5, 1, 2, 3]), gp.ones([4, 3, 6])).shape.as_list()
    [5, 4, 2, 6]
    """
    for side, flags in (("a", (transpose_a, adjoint_a)), ("b", (transpose_b, adjoint_b))):
        if all(flags):
            raise ValueError(f"matmul: only one of transpose_{side} and adjoint_{side} can be True")
    attrs = {
        "transpose_a": bool(transpose_a or adjoint_a),
        "transpose_b": bool(transpose_b or adjoint_b),
    }
    ranks = _rank(a), _rank(b)
    many = any(r is None or r > 2 for r in ranks)
    return apply((_batch_matmul if many else _matmul).opdef, [a, b], attrs, name or "MatMul")


def _rank(x: Any) -> int | None:
    """The rank of what stands for a tensor."""
    if isinstance(x, (list, tuple)):
        inner = _rank(x[0]) if x else 0
        return None if inner is None else inner + 1
    if hasattr(x, "_as_graph_element"):
        x = x._as_graph_element()
    if isinstance(x, Tensor):
        return None if x._shape is None else len(x._shape)
    return getattr(x, "ndim", 0)


Tensor.overload("__matmul__", lambda self, other: matmul(self, other, name="matmul"))
Tensor.overload("__rmatmul__", lambda self, other: matmul(other, self, name="matmul"))


def _product_shape(attrs: dict[str, Any], in_shapes: Any) -> Any:
    """The dimensions (m, n) of a product, from those of both matrices."""
    sides = []
    for s, parameter in zip(in_shapes, "ab", strict=True):
        s = (None, None) if s is None else s
        sides.append(s[::-1] if attrs[f"transpose_{parameter}"] else s)
    (m, k), (k2, n) = sides
    if k != k2 and k is not None and k2 is not None:
        raise ValueError(
            f"Dimensions must be equal, but are {k} and {k2} for {shapes.text((m, k))} times "
            f"{shapes.text((k2, n))}"
        )
    return (m, n)


@_matmul.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    for s, parameter in zip(in_shapes, "ab", strict=True):
        if s is not None and len(s) != 2:
            raise ValueError(f"Shape must be rank 2 but '{parameter}' is {shapes.text(s)}")
    return _product_shape(attrs, in_shapes)


@_matmul.gradient
def _(op: Any, dy: Any) -> Any:
    a, b = op.inputs
    ta, tb = op.attrs["transpose_a"], op.attrs["transpose_b"]
    # C = A B: dA = dC B', dB = A' dC; a transposed operand gets the transpose of that.
    da = matmul(b, dy, tb, True) if ta else matmul(dy, b, False, not tb)
    db = matmul(dy, a, True, ta) if tb else matmul(a, dy, not ta, False)
    return da, db


@_matmul.lower
def _(binder: Any, op: Any) -> None:
    binder.emit("matmul", [binder.result(op)], binder.matrices(op.attrs, op.inputs))


# ---- batches -------------------------------------------------------------------------------------


def _batch_flops(attrs: dict[str, Any], in_shapes: Any) -> int:
    a, b = in_shapes
    batch = shapes.broadcast(a[:-2], b[:-2]) or ()
    return shapes.size(batch) * _matmul_flops(attrs, (a[-2:], b[-2:]))  # type: ignore[arg-type]


@op("BatchMatMulV2", CALL, kernel="matmul_batch", T=NUMBERS, flops=_batch_flops)
def _batch_matmul(
    a: Any, b: Any, transpose_a: Any = False, transpose_b: Any = False, name: str | None = None
) -> Any:
    """Products of the matrices of two batches; see :func:`matmul`."""


@_batch_matmul.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    for s, parameter in zip(in_shapes, "ab", strict=True):
        at_least_matrix(s, parameter)
    out = _product_shape(attrs, [None if s is None else s[-2:] for s in in_shapes])
    if None in in_shapes:
        return None
    a, b = in_shapes
    try:
        batch: Any = shapes.broadcast(a[:-2], b[:-2])
        return (*batch, *out)
    except ValueError as error:
        raise ValueError(
            f"the leading dimensions of {shapes.text(a)} and {shapes.text(b)}: {error}"
        ) from None


def _readable(binder: Any, view: Any) -> Any:
    """``view``, or a copy whose matrices BLAS can read."""
    matrix = view.seen(view.dims[-2:], view.strides[-2:])
    return view if matrix.is_blas_matrix() else binder.contiguous(view)


@_batch_matmul.lower
def _(binder: Any, op: Any) -> None:
    a, b = [
        swapped(binder.view(t)) if op.attrs[flag] else binder.view(t)
        for t, flag in zip(op.inputs, ("transpose_a", "transpose_b"), strict=True)
    ]
    out = binder.result(op)
    batch = out.dims[:-2]
    if shapes.size(b.dims[:-2]) == 1 and (not batch or a.dense and a.dims[:-2] == batch):
        # One matrix for all: the rows of a batch are those of one tall matrix.
        b = _readable(binder, b.seen(b.dims[-2:], b.strides[-2:]))
        a = a.reshaped((shapes.size(a.dims[:-1]), a.dims[-1])) if batch else _readable(binder, a)
        binder.emit("matmul", [out.reshaped((a.dims[0], out.dims[-1]))], [a, b])
        return
    factors = [_readable(binder, v).broadcast(batch + v.dims[-2:]) for v in (a, b)]
    binder.emit("matmul_batch", [out], factors)


def _may_be_repeated(op: Any) -> tuple[str, ...]:
    a, b = [None if t._shape is None else t._shape[:-2] for t in op.inputs]
    return () if a is not None and None not in a and a == b else ("Reshape", "Reshape_1")


@_batch_matmul.gradient
@named(_may_be_repeated)
def _(op: Any, dy: Any) -> Any:
    a, b = op.inputs
    ta, tb = op.attrs["transpose_a"], op.attrs["transpose_b"]
    da = matmul(b, dy, tb, True) if ta else matmul(dy, b, False, not tb)
    if b._shape is not None and len(b._shape) == 2 and not ta:  # the sum over the batch is in it
        tall, tall_dy = [merge_dims(t, (None, 1)) for t in (a, dy)]
        return _repeated(da, a), matmul(tall_dy, tall, True) if tb else matmul(tall, tall_dy, True)
    db = matmul(dy, a, True, ta) if tb else matmul(a, dy, not ta, False)
    return _repeated(da, a), _repeated(db, b)


def _repeated(gradient: Tensor, x: Tensor) -> Tensor:
    """The gradient summed over what broadcasting repeated of ``x``."""
    known = gradient._shape is not None and None not in gradient._shape
    return gradient if known and gradient._shape == x._shape else sum_to_shape(gradient, shape(x))


def batch_matmul(
    x: Any, y: Any, adj_x: bool = False, adj_y: bool = False, name: str | None = None
) -> Tensor:
    """The old name of :func:`matmul` for batches.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.batch_matmul(gp.ones([5, 2, 3]), gp.ones([5, 4, 3]), adj_y=True).shape.as_list()
    [5, 2, 4]
    """
    return matmul(x, y, adjoint_a=adj_x, adjoint_b=adj_y, name=name or "BatchMatMul")


def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    name: str | None = None,
) -> Tensor:
    """Matrix times vector: ``c[..., i] = sum_k A[..., i, k] b[..., k]``.

    Parameters
    ----------
    a : tensor_like, shape [..., m, k] ([..., k, m] with ``transpose_a`` or ``adjoint_a``)
    b : tensor_like, shape [..., k]
        The leading dimensions broadcast.
    transpose_a, adjoint_a : bool
    a_is_sparse, b_is_sparse : bool
        Accepted and ignored.
    name : str, optional

    Returns
    -------
    Tensor, shape [..., m]

    Raises
    ------
    ValueError
        As :func:`matmul` does.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.linalg.matvec([[1.0, 2.0], [3.0, 4.0]], [1.0, 1.0]))
    array([3., 7.], dtype=float32)
    """
    graph = graph_of([a, b])
    with graph.as_default(), graph.name_scope(name or "MatVec"):
        a = convert_to_tensor(a, getattr(b, "dtype", None) if isinstance(b, Tensor) else None)
        b = convert_to_tensor(b, a.dtype)
        product = matmul(a, expand_dims(b, -1), transpose_a, adjoint_a=adjoint_a)
        return identity(product[..., 0], name="Squeeze")
