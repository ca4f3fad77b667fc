"""Matrix products."""

from __future__ import annotations

from typing import Any

from gradplan import shapes
from gradplan.dtypes import NUMBERS
from gradplan.opdef import CALL, op

__all__ = ["matmul"]


def _matmul_flops(attrs: dict[str, Any], in_shapes: Any) -> int:
    """2 m k n"""
    (a, b), columns = in_shapes, 0 if attrs["transpose_b"] else 1
    return 2 * a[0] * a[1] * b[columns]


@op("MatMul", CALL, kernel="matmul", T=NUMBERS, flops=_matmul_flops, operator="__matmul__ matmul")
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
) -> Any:
    """Matrix product ``C[i, j] = sum_k A[i, k] B[k, j]``.

    Parameters
    ----------
    a : tensor_like, shape [m, k] ([k, m] with ``transpose_a``)
    b : tensor_like, shape [k, n] ([n, k] with ``transpose_b``)
        float32, float64, int32 or int64, of the type of ``a``.
    transpose_a, transpose_b : bool
        Take the transpose of that operand. No copy is made for it.
    adjoint_a, adjoint_b : bool
        The same for the real types that gradplan has.
    a_is_sparse, b_is_sparse : bool
        Accepted and ignored: hints of TensorFlow 1.
    name : str, optional

    Returns
    -------
    Tensor, shape [m, n]

    Raises
    ------
    ValueError
        If an operand is no matrix or the inner dimensions differ.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.matmul([[1.0, 2.0]], [[3.0, 4.0]], transpose_b=True))
    array([[11.]], dtype=float32)
    """
    flags = {
        "transpose_a": bool(transpose_a or adjoint_a),
        "transpose_b": bool(transpose_b or adjoint_b),
    }
    return [a, b], flags


@matmul.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    sides = []
    for s, parameter in zip(in_shapes, "ab", strict=True):
        if s is not None and len(s) != 2:
            raise ValueError(f"Shape must be rank 2 but '{parameter}' is {shapes.text(s)}")
        s = (None, None) if s is None else s
        sides.append(s[::-1] if attrs[f"transpose_{parameter}"] else s)
    (m, k), (k2, n) = sides
    if k != k2 and k is not None and k2 is not None:
        raise ValueError(
            f"Dimensions must be equal, but are {k} and {k2} for {shapes.text((m, k))} times "
            f"{shapes.text((k2, n))}"
        )
    return (m, n)


@matmul.gradient
def _(op: Any, dy: Any) -> Any:
    a, b = op.inputs
    ta, tb = op.attrs["transpose_a"], op.attrs["transpose_b"]
    # C = A B: dA = dC B', dB = A' dC; a transposed operand gets the transpose of that.
    da = matmul(b, dy, tb, True) if ta else matmul(dy, b, False, not tb)
    db = matmul(dy, a, True, ta) if tb else matmul(a, dy, not ta, False)
    return da, db


@matmul.lower
def _(binder: Any, op: Any) -> None:
    binder.emit("matmul", [binder.result(op)], binder.matrices(op, op.inputs))
