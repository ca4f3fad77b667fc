"""Jacobians, Hessians, and products with them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.gradients import as_list, dense_gradients
from gradplan.graph import Tensor, at_user_line
from gradplan.ops.array import (
    broadcast_to,
    expand_dims,
    ones_like,
    reshape,
    shape,
    stop_gradient,
    transpose,
    zeros,
)
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.math import multiply
from gradplan.ops.seeds import like, unit_rows
from gradplan.ops.slicing import concat
from gradplan.vectorize import vectorize


def _dims(t: Tensor, first: int = 0) -> Tensor:
    """The dimensions of ``t`` from number ``first`` on, as a vector; a constant if they are
    known."""
    known = None if t._shape is None else t._shape[first:]
    if known is None or None in known:
        return shape(t)[first:] if first else shape(t)
    return constant(np.array(known, np.int32))


def _seeds(y: Tensor, first: int = 0) -> Tensor:
    return unit_rows(constant(1, y.dtype), _dims(y, first))


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else x._as_graph_element()


def _float(what: str, y: Any) -> Tensor:
    y = convert_to_tensor(y)
    if not y.dtype.is_floating:
        raise TypeError(at_user_line(f"{what}: {y} is no float and has no derivative"))
    return y


def jacobian(
    output: Any, inputs: Any, use_pfor: bool = True, parallel_iterations: Any = None
) -> Any:
    """The derivative of every element of ``output`` with respect to every element of ``inputs``.

    Parameters
    ----------
    output : Tensor
        Of floats, and of any shape.
    inputs : Tensor, Variable, or list of them
    use_pfor, parallel_iterations : optional
        Accepted as in TensorFlow 1; all rows are always computed at once.

    Returns
    -------
    Tensor or None, or a list of them
        ``J[i..., j...] = d output[i...] / d input[j...]``, of the shape of the output followed by
        that of the input; None where the output does not depend on it.

    Raises
    ------
    LookupError
        If an operation on the way has no gradient.
    TypeError
        If the output is no float.
    ValueError
        If an operation on the way cannot be vectorised (below) and the output's shape is unknown.

    Notes
    -----
    The gradient is built once, and then with a new first dimension for the rows of the identity
    matrix, so that one pass gives them all. An operation that does not know how to do that is made
    once for every element of the output.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([1.0, 2.0])
    >>> gp.Session().run(gp.jacobian(x * x, x))
    array([[2., 0.],
           [0., 4.]], dtype=float32)
    """
    y, several = _float("jacobian", output), isinstance(inputs, (list, tuple))
    xs = [_tensor(x) for x in as_list(inputs)]
    with y.graph.as_default(), y.graph.name_scope("jacobian"):
        seed = ones_like(y)
        rows = vectorize(dense_gradients(y, xs, grad_ys=seed), seed, _seeds(y))
        out: list[Tensor | None] = []
        for x, row in zip(xs, rows, strict=True):
            out.append(None if row is None else _shaped(row, y, x))
    return out if several else out[0]


def _shaped(rows: Tensor, y: Tensor, x: Tensor, first: int = 0) -> Tensor:
    """The rows in the shape of ``y`` followed by that of ``x`` without its first dimensions."""
    if y._shape is not None and x._shape is not None:
        known = (*y._shape, *x._shape[first:])
        if None not in known:
            return reshape(rows, known)
    out = reshape(rows, concat([_dims(y), _dims(x, first)], 0))
    if y._shape is not None and x._shape is not None:
        out._shape = known
    return out


def batch_jacobian(
    output: Any, inp: Any, use_pfor: bool = True, parallel_iterations: Any = None
) -> Tensor | None:
    """The Jacobian of each row of ``output`` with respect to the same row of ``inp``.

    Parameters
    ----------
    output : Tensor, shape [b, ...]
        Row i must depend on row i of ``inp`` alone; otherwise the result is the sum over rows.
    inp : Tensor, shape [b, ...]
    use_pfor, parallel_iterations : optional
        Accepted as in TensorFlow 1.

    Returns
    -------
    Tensor or None
        ``J[k, i..., j...] = d output[k, i...] / d inp[k, j...]``; None if the output does not
        depend on ``inp``.

    Raises
    ------
    ValueError
        If one is a scalar or of unknown rank, or their first dimensions differ.
    LookupError, TypeError
        As for :func:`jacobian`.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([[1.0, 2.0], [3.0, 4.0]])
    >>> gp.Session().run(gp.batch_jacobian(gp.reduce_sum(x * x, 1), x))
    array([[2., 4.],
           [6., 8.]], dtype=float32)
    """
    y, x = _float("batch_jacobian", output), _tensor(inp)
    for t, what in ((y, "output"), (x, "inp")):
        if not t._shape:
            raise ValueError(
                at_user_line(f"batch_jacobian: {what} needs a known rank of 1 or more: {t}")
            )
    ys, xs = y._shape, x._shape
    assert ys is not None and xs is not None
    if shapes.merge(ys[:1], xs[:1]) is False:
        raise ValueError(
            at_user_line(
                f"Need first dimension of output shape ({shapes.text(ys)}) and inp shape "
                f"({shapes.text(xs)}) to match."
            )
        )
    with y.graph.as_default(), y.graph.name_scope("batch_jacobian"):
        seed = ones_like(y)
        units = expand_dims(_seeds(y, 1), 1)  # [m, 1, ...], for rows of m elements
        m = units._shape and units._shape[0]
        if m is not None and None not in ys:
            seeds = broadcast_to(units, (m, *ys))
        else:
            seeds = broadcast_to(units, concat([shape(units)[:1], shape(y)], 0))
            seeds._shape = (m, *ys)
        (rows,) = vectorize(dense_gradients(y, x, grad_ys=seed), seed, seeds)
        if rows is None:
            return None
        return _shaped(transpose(rows, (1, 0, *range(2, len(xs) + 1))), y, x, 1)


def hessians(
    ys: Any,
    xs: Any,
    name: str = "hessians",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: Any = None,
) -> list[Tensor | None]:
    """The matrix of second derivatives of the sum of ``ys``, for each of ``xs``.

    Parameters
    ----------
    ys : Tensor or list of Tensor
    xs : Tensor, Variable or list of them
        Of any shape.
    name : str, optional
        Not used, as in TensorFlow 1.
    colocate_gradients_with_ops, gate_gradients, aggregation_method : optional
        As for :func:`gradients`.

    Returns
    -------
    list of Tensor or None
        ``H[i..., j...]``, the derivative with respect to elements i and j of x, of the shape of x
        twice; zeros where the first derivative is constant, None where no y depends on x.

    Raises
    ------
    LookupError, TypeError, ValueError
        As for :func:`gradients` and :func:`jacobian`.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([1.0, 2.0])
    >>> gp.Session().run(gp.hessians(x[0] * x[0] * x[1], x)[0])
    array([[4., 2.],
           [2., 0.]], dtype=float32)
    """
    x_list = [_float("hessians", _tensor(x)) for x in as_list(xs)]
    if not x_list:
        return []
    graph = x_list[0].graph
    with graph.as_default():
        firsts = dense_gradients(ys, x_list, aggregation_method=aggregation_method)
        return [None if f is None else _hessian(f, x) for x, f in zip(x_list, firsts, strict=True)]


def _hessian(first: Tensor, x: Tensor) -> Tensor:
    """The derivative of a gradient; what makes it has the names of TensorFlow's loop over rows."""
    flat = reshape(first, [-1])  # [n]
    with x.graph.name_scope("while"):
        rows = jacobian(flat, x)  # [n, ...]
        if rows is None:
            rows = zeros(concat([_dims(flat), _dims(x)], 0), x.dtype)
    return _shaped(rows, x, x)


def hessian_vector_product(ys: Any, xs: Any, v: Any) -> list[Tensor | None]:
    """The Hessian of the sum of ``ys`` with respect to all of ``xs`` together, times a vector.

    Parameters
    ----------
    ys : Tensor or list of Tensor
    xs : Tensor, Variable or list of them
    v : list of tensor_like
        For each x a tensor of its shape.

    Returns
    -------
    list of Tensor or None
        For each x the part of the product that has its shape; None where it is zero because
        nothing depends on x twice.

    Raises
    ------
    ValueError
        If ``xs`` and ``v`` differ in number.

    Notes
    -----
    It costs two gradients; the Hessian itself is never made. Source: B. A. Pearlmutter, *Fast exact
    multiplication by the Hessian*, Neural Computation 6 (1), 1994.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([1.0, 2.0])
    >>> gp.Session().run(gp.hessian_vector_product(x * x * x, [x], [[1.0, 1.0]])[0])
    array([ 6., 12.], dtype=float32)
    """
    x_list, vectors = as_list(xs), as_list(v)
    if len(x_list) != len(vectors):
        raise ValueError(
            at_user_line(
                f"xs and v must have the same length, not {len(x_list)} and {len(vectors)}"
            )
        )
    firsts = dense_gradients(ys, x_list)
    products = []
    for first, vector in zip(firsts, vectors, strict=True):
        if first is not None:
            with first.graph.as_default():
                weight = stop_gradient(convert_to_tensor(vector, first.dtype))
                products.append(multiply(first, like(weight, first)))
    return dense_gradients(products, x_list) if products else [None] * len(x_list)
