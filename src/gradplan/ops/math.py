"""Arithmetic, comparisons, matrix products and reductions."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, BOOLEAN, FLOATS, NUMBERS
from gradplan.graph import Tensor
from gradplan.opdef import CALL, MAP, REDUCE, VIEW, apply, graph_of, op
from gradplan.ops import array
from gradplan.ops.array import broadcast_to, convert_to_tensor, expand_dims, shape, sum_to_like

# ---- arithmetic ----------------------------------------------------------------------------------


@op("Add", MAP, kernel="add", T=NUMBERS, operator="__add__ add")
def add(x: Any, y: Any, name: str | None = None) -> Any:
    """Sum of two tensors, ``x + y``, with broadcasting.

    Parameters
    ----------
    x, y : tensor_like
        float32, float64, int32 or int64, of one type; shapes that broadcast.
    name : str, optional

    Returns
    -------
    Tensor
        Of the same type and the broadcast shape. Integers wrap around.

    Raises
    ------
    TypeError
        If the types differ.
    ValueError
        If the shapes do not broadcast.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.add([1.0, 2.0], 10.0))
    array([11., 12.], dtype=float32)
    """


@add.gradient
def _(op: Any, dy: Any) -> Any:
    return sum_to_like(dy, op.inputs[0], op), sum_to_like(dy, op.inputs[1], op)


@op("Sub", MAP, kernel="sub", T=NUMBERS, operator="__sub__ sub")
def subtract(x: Any, y: Any, name: str | None = None) -> Any:
    """Difference of two tensors, ``x - y``, with broadcasting; types and errors as :func:`add`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.subtract([3, 4], 1))
    array([2, 3], dtype=int32)
    """


@subtract.gradient
def _(op: Any, dy: Any) -> Any:
    return sum_to_like(dy, op.inputs[0], op), sum_to_like(-dy, op.inputs[1], op)


@op("Mul", MAP, kernel="mul", T=NUMBERS, operator="__mul__ mul")
def multiply(x: Any, y: Any, name: str | None = None) -> Any:
    """Elementwise product, ``x * y``, with broadcasting; types and errors as :func:`add`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.multiply([1.0, 2.0], [3.0, 4.0]))
    array([3., 8.], dtype=float32)
    """


@multiply.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    return sum_to_like(dy * y, x, op), sum_to_like(dy * x, y, op)


@op("RealDiv", MAP, kernel="div", T=FLOATS)
def _real_div(x: Any, y: Any, name: str | None = None) -> Any:
    """Quotient of floats, ``x / y``; a zero divisor gives an infinity or NaN."""


@_real_div.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    dx = dy / y
    return sum_to_like(dx, x, op), sum_to_like(-dx * op.outputs[0], y, op)


def truediv(x: Any, y: Any, name: str | None = None) -> Tensor:
    """Quotient as Python's ``/``: integers are converted to float64 first.

    Parameters
    ----------
    x, y : tensor_like
        Numbers of one type, shapes that broadcast.
    name : str, optional

    Returns
    -------
    Tensor
        Floats; a zero divisor gives an infinity or NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.truediv([1, 2], 4))
    array([0.25, 0.5 ])
    """
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name or "truediv") as scope:
        x, y = _pair(x, y)
        if x.dtype.is_integer:
            x, y = cast(x, dtypes.float64), cast(y, dtypes.float64)
        return _real_div(x, y, name=scope)


def divide(x: Any, y: Any, name: str | None = None) -> Tensor:
    """The same as ``x / y``: see :func:`truediv`.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.divide(1.0, 4.0)))
    0.25
    """
    return truediv(x, y, name)


def _pair(x: Any, y: Any) -> tuple[Tensor, Tensor]:
    """Both as tensors of one type: the type of whichever is a tensor already."""
    if not hasattr(x, "op") and hasattr(y, "op"):
        return convert_to_tensor(x, y.dtype, "x"), convert_to_tensor(y)
    x = convert_to_tensor(x, name="x")
    return x, convert_to_tensor(y, x.dtype, "y")


Tensor.overload("__truediv__", lambda x, y: truediv(x, y))
Tensor.overload("__rtruediv__", lambda x, y: truediv(y, x))


@op("FloorDiv", MAP, kernel="floordiv", T=NUMBERS, fallible=True, operator="__floordiv__ floordiv")
def floordiv(x: Any, y: Any, name: str | None = None) -> Any:
    """Quotient rounded towards minus infinity, as Python's ``//``, with broadcasting.

    Raises
    ------
    InvalidArgumentError
        At run time, if an integer divisor is zero; it names the element.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.floordiv([7, -7], 2))
    array([ 3, -4], dtype=int32)
    """


@floordiv.gradient
def _(op: Any, dy: Any) -> Any:
    return None, None  # piecewise constant


@op("FloorMod", MAP, kernel="floormod", T=NUMBERS, fallible=True, operator="__mod__ mod")
def floormod(x: Any, y: Any, name: str | None = None) -> Any:
    """Remainder with the sign of the divisor, as Python's ``%``, with broadcasting.

    Raises
    ------
    InvalidArgumentError
        At run time, if an integer divisor is zero; it names the element.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.floormod([7, -7], 4))
    array([3, 1], dtype=int32)
    """


@floormod.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    return sum_to_like(dy, x, op), sum_to_like(-dy * floordiv(x, y), y, op)


@op("Pow", MAP, kernel="pow", T=NUMBERS, flops=40, fallible=True, operator="__pow__ pow")
def pow(x: Any, y: Any, name: str | None = None) -> Any:
    """``x`` to the power ``y``, with broadcasting; types as :func:`add`.

    Raises
    ------
    InvalidArgumentError
        At run time, if an integer is raised to a negative power.

    Notes
    -----
    The gradient with respect to ``y`` is ``x**y * log(x)`` where ``x > 0`` and 0 elsewhere, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.pow([2.0, 3.0], 2.0))
    array([4., 9.], dtype=float32)
    """


@pow.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    dx = dy * y * pow(x, y - 1)
    if not x.dtype.is_floating:
        return sum_to_like(dx, x, op), None
    # log of a positive number only: the other branch must not bring in a NaN.
    safe = array.where(x > 0, x, array.ones_like(x))
    return sum_to_like(dx, x, op), sum_to_like(dy * op.outputs[0] * log(safe), y, op)


@op("Maximum", MAP, kernel="maximum", T=NUMBERS)
def maximum(x: Any, y: Any, name: str | None = None) -> Any:
    """The larger of ``x`` and ``y``, with broadcasting; NaN where either is NaN.

    The gradient goes to ``x`` where ``x >= y``, else to ``y``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.maximum([1.0, 5.0], 3.0))
    array([3., 5.], dtype=float32)
    """


@op("Minimum", MAP, kernel="minimum", T=NUMBERS)
def minimum(x: Any, y: Any, name: str | None = None) -> Any:
    """The smaller of ``x`` and ``y``, with broadcasting; NaN where either is NaN.

    The gradient goes to ``x`` where ``x <= y``, else to ``y``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.minimum([1.0, 5.0], 3.0))
    array([1., 3.], dtype=float32)
    """


def _choose(op: Any, dy: Any, to_x: Any) -> Any:
    zero = array.constant(0, dy.dtype)
    return (
        sum_to_like(array.where(to_x, dy, zero), op.inputs[0], op),
        sum_to_like(array.where(to_x, zero, dy), op.inputs[1], op),
    )


@maximum.gradient
def _(op: Any, dy: Any) -> Any:
    return _choose(op, dy, greater_equal(*op.inputs))


@minimum.gradient
def _(op: Any, dy: Any) -> Any:
    return _choose(op, dy, less_equal(*op.inputs))


# ---- one operand ---------------------------------------------------------------------------------


@op("Neg", MAP, kernel="neg", T=NUMBERS, operator="__neg__ Neg")
def negative(x: Any, name: str | None = None) -> Any:
    """``-x``, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(-gp.constant([1.0, -2.0]))
    array([-1.,  2.], dtype=float32)
    """


@negative.gradient
def _(op: Any, dy: Any) -> Any:
    return -dy


@op("Abs", MAP, kernel="abs", T=NUMBERS, operator="__abs__ Abs")
def abs(x: Any, name: str | None = None) -> Any:
    """Absolute value, elementwise; its gradient is ``sign(x)``, 0 at 0.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.abs([-1.5, 2.0]))
    array([1.5, 2. ], dtype=float32)
    """


@abs.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * sign(op.inputs[0])


@op("Sign", MAP, kernel="sign", T=NUMBERS)
def sign(x: Any, name: str | None = None) -> Any:
    """-1, 0 or 1 by the sign of each element; NaN stays NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sign([-3.0, 0.0, 2.0]))
    array([-1.,  0.,  1.], dtype=float32)
    """


@sign.gradient
def _(op: Any, dy: Any) -> Any:
    return None  # piecewise constant


@op("Square", MAP, kernel="square", T=NUMBERS)
def square(x: Any, name: str | None = None) -> Any:
    """``x * x``, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.square([2, -3]))
    array([4, 9], dtype=int32)
    """


@square.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy * (x * array.constant(2, x.dtype))


@op("Sqrt", MAP, kernel="sqrt", flops=8)
def sqrt(x: Any, name: str | None = None) -> Any:
    """Square root, elementwise; NaN for negative elements.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sqrt([4.0, 2.25]))
    array([2. , 1.5], dtype=float32)
    """


@sqrt.gradient
def _(op: Any, dy: Any) -> Any:
    y = op.outputs[0]
    return dy * array.constant(0.5, y.dtype) / y


@op("Exp", MAP, kernel="exp", flops=15)
def exp(x: Any, name: str | None = None) -> Any:
    """The exponential ``e**x``, elementwise, within 2 units in the last place.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.exp([0.0, 1.0]))
    array([1.       , 2.7182817], dtype=float32)
    """


@exp.gradient
def _(op: Any, dy: Any) -> Any:
    return dy * op.outputs[0]


@op("Log", MAP, kernel="log", flops=15)
def log(x: Any, name: str | None = None) -> Any:
    """Natural logarithm, elementwise; ``log(0)`` is -inf, of a negative NaN.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.log([1.0, 0.0]))
    array([  0., -inf], dtype=float32)
    """


@log.gradient
def _(op: Any, dy: Any) -> Any:
    return dy / op.inputs[0]


@op("Log1p", MAP, kernel="log1p", flops=18)
def log1p(x: Any, name: str | None = None) -> Any:
    """``log(1 + x)``, exact to the last places for small ``x`` too.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.log1p([0.0, 1e-10]))
    array([0.e+00, 1.e-10], dtype=float32)
    """


@log1p.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    return dy / (x + array.constant(1, x.dtype))


@op("Sigmoid", MAP, kernel="sigmoid", flops=20)
def sigmoid(x: Any, name: str | None = None) -> Any:
    """The logistic function ``1 / (1 + exp(-x))``, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.sigmoid([0.0, 100.0]))
    array([0.5, 1. ], dtype=float32)
    """


@sigmoid.gradient
def _(op: Any, dy: Any) -> Any:
    return _sigmoid_grad(op.outputs[0], dy)


@op("SigmoidGrad", MAP, kernel="sigmoid_grad", flops=3)
def _sigmoid_grad(y: Any, dy: Any, name: str | None = None) -> Any:
    """``dy * y * (1 - y)``: the gradient of :func:`sigmoid` from its result."""


@_sigmoid_grad.gradient
def _(op: Any, g: Any) -> Any:
    y, dy = op.inputs
    one, two = array.constant(1, y.dtype), array.constant(2, y.dtype)
    return g * dy * (one - two * y), _sigmoid_grad(y, g)


@op("Tanh", MAP, kernel="tanh", flops=25)
def tanh(x: Any, name: str | None = None) -> Any:
    """Hyperbolic tangent, elementwise.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.tanh([0.0, 20.0]))
    array([0., 1.], dtype=float32)
    """


@tanh.gradient
def _(op: Any, dy: Any) -> Any:
    return _tanh_grad(op.outputs[0], dy)


@op("TanhGrad", MAP, kernel="tanh_grad", flops=3)
def _tanh_grad(y: Any, dy: Any, name: str | None = None) -> Any:
    """``dy * (1 - y * y)``: the gradient of :func:`tanh` from its result."""


@_tanh_grad.gradient
def _(op: Any, g: Any) -> Any:
    y, dy = op.inputs
    return g * dy * (y * array.constant(-2, y.dtype)), _tanh_grad(y, g)


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
        ``x`` itself if it has that type already. Floats are cut towards zero; numbers become a bool by
        ``!= 0``; int64 to int32 wraps.

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


# ---- comparisons and logic -----------------------------------------------------------------------


def _comparison(name: str, public: str, kernel: str, sign: str, T: Any) -> Any:
    """Declare the six comparisons, which differ in their sign alone."""

    def compare(x: Any, y: Any, name: str | None = None) -> Any: ...

    compare.__name__ = compare.__qualname__ = public
    example = [getattr(operator, f"__{kernel}__")(a, 2) for a in (1, 2, 3)]
    compare.__doc__ = f"""Whether ``x {sign} y``, elementwise, with broadcasting.

    Parameters
    ----------
    x, y : tensor_like
        Of one type; shapes that broadcast. NaN is unequal to everything.
    name : str, optional

    Returns
    -------
    Tensor
        bool, of the broadcast shape.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.{public}([1, 2, 3], 2)).tolist()
    {example}
    """
    # == compares identity, as in TensorFlow 1: tensors are keys of feed dictionaries.
    method = None if kernel in ("eq", "ne") else f"__{kernel}__ {name}"
    return op(name, MAP, kernel=kernel, types="T T -> bool", T=T, operator=method)(compare)


equal = _comparison("Equal", "equal", "eq", "==", ALL)
not_equal = _comparison("NotEqual", "not_equal", "ne", "!=", ALL)
less = _comparison("Less", "less", "lt", "<", NUMBERS)
less_equal = _comparison("LessEqual", "less_equal", "le", "<=", NUMBERS)
greater = _comparison("Greater", "greater", "gt", ">", NUMBERS)
greater_equal = _comparison("GreaterEqual", "greater_equal", "ge", ">=", NUMBERS)


@op("LogicalAnd", MAP, kernel="and", T=BOOLEAN, operator="__and__ and")
def logical_and(x: Any, y: Any, name: str | None = None) -> Any:
    """``x and y``, elementwise on bool tensors, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.logical_and([True, False], True)).tolist()
    [True, False]
    """


@op("LogicalOr", MAP, kernel="or", T=BOOLEAN, operator="__or__ or")
def logical_or(x: Any, y: Any, name: str | None = None) -> Any:
    """``x or y``, elementwise on bool tensors, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.logical_or([True, False], False)).tolist()
    [True, False]
    """


@op("LogicalXor", MAP, kernel="xor", T=BOOLEAN, operator="__xor__ xor")
def logical_xor(x: Any, y: Any, name: str | None = None) -> Any:
    """Whether exactly one of ``x`` and ``y`` holds, elementwise on bool tensors, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.logical_xor([True, False], True)).tolist()
    [False, True]
    """


@op("LogicalNot", MAP, kernel="not", T=BOOLEAN, operator="__invert__ LogicalNot")
def logical_not(x: Any, name: str | None = None) -> Any:
    """``not x``, elementwise on a bool tensor.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.logical_not([True, False])).tolist()
    [False, True]
    """


# ---- matrix product ------------------------------------------------------------------------------


def _matmul_flops(attrs: dict[str, Any], in_shapes: Any) -> int:
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
    a, b = (
        view.transposed((1, 0)) if op.attrs[flag] else view
        for view, flag in zip(
            map(binder.view, op.inputs), ("transpose_a", "transpose_b"), strict=True
        )
    )
    a, b = (v if _blas_reads(v) else binder.contiguous(v) for v in (a, b))
    binder.emit("matmul", [binder.result(op)], [a, b])


def _blas_reads(view: Any) -> bool:
    """Whether BLAS can read a matrix where it lies: its rows, or its columns, are contiguous."""
    (rows, cols), (down, across) = view.dims, view.strides
    return view.size == 0 or any(
        (n == 1 or inner == 1) and (m == 1 or outer >= n)
        for m, n, outer, inner in ((rows, cols, down, across), (cols, rows, across, down))
    )


# ---- reductions ----------------------------------------------------------------------------------


def _axes(axis: Any, reduction_indices: Any = None) -> Any:
    """The ``axis`` argument in any of its forms, as None, or a tuple of ints."""
    axis = reduction_indices if axis is None else axis
    if axis is None:
        return None
    if isinstance(axis, Tensor):
        axis = array.require_constant(axis, "axis")
    axis = np.asarray(axis)
    if axis.dtype.kind not in "iu" and axis.size:
        raise TypeError(f"axis must be an integer or a list of integers, not {axis.tolist()!r}")
    return tuple(int(a) for a in axis.ravel())


def reduced_axes(axes: Any, rank: int) -> tuple[int, ...]:
    """The axes as a sorted tuple of non-negative ints; ValueError if one is out of range or twice."""
    if axes is None:
        return tuple(range(rank))
    for a in axes:
        if not -rank <= a < rank:
            raise ValueError(f"Invalid reduction dimension {a} for input with {rank} dimensions")
    out = sorted({a % rank for a in axes})
    if len(out) != len(axes):
        raise ValueError(f"axis {list(axes)} names a dimension twice")
    return tuple(out)


def _reduced(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (s,) = in_shapes
    if s is None:
        return () if attrs["axis"] is None and not attrs["keepdims"] else None
    axes = reduced_axes(attrs["axis"], len(s))
    if attrs["keepdims"]:
        return tuple(1 if i in axes else d for i, d in enumerate(s))
    return tuple(d for i, d in enumerate(s) if i not in axes)


def _input_size(attrs: dict[str, Any], in_shapes: Any) -> int:
    return shapes.size(in_shapes[0])


def _lower_reduction(binder: Any, op: Any) -> None:
    """One kernel call; the reduced dimensions are those that are 1 in the output's view."""
    x = binder.view(op.inputs[0])
    axes = reduced_axes(op.attrs["axis"], len(x.dims))
    out = binder.result(op)
    kept = out.reshaped(tuple(1 if i in axes else d for i, d in enumerate(x.dims)))
    binder.emit(op.opdef.kernel, [kept], [x])


def _restore(op: Any, value: Any) -> Any:
    """``value``, of the reduced shape, with the reduced dimensions back as 1."""
    axes = op.attrs["axis"]
    if axes is None or op.attrs["keepdims"]:
        return value
    x = op.inputs[0]
    if x._shape is not None:
        axes = reduced_axes(axes, len(x._shape))
    return expand_dims(value, axes)


def _reduction(name: str, kernel: str, T: Any) -> Any:
    """Declare ``name`` as a reduction; decorates a function (input_tensor, axis, keepdims)."""

    def decorate(function: Any) -> Any:
        declared = op(name, REDUCE, kernel=kernel, T=T, flops=_input_size)(function)
        declared.shape(_reduced)
        declared.lower(_lower_reduction)
        return declared

    return decorate


_REDUCTION_DOC = """

    Parameters
    ----------
    input_tensor : tensor_like
    axis : int, list of int or None
        Dimensions to reduce; negative ones count from the end. None, the default, reduces all.
    keepdims : bool, optional
        Keep the reduced dimensions as size 1. Default: False.
    name : str, optional
    reduction_indices, keep_dims : optional
        Old names of ``axis`` and ``keepdims``.

    Returns
    -------
    Tensor
        Of the input's type.

    Raises
    ------
    ValueError
        If an axis is out of range.
"""


@_reduction("Sum", "reduce_sum", NUMBERS)
def reduce_sum(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Any:
    """Sum of the elements along ``axis``.{doc}
    Notes
    -----
    Floats are added in blocks, so that the error grows like the logarithm of the length (N. J. Higham,
    *Accuracy and Stability of Numerical Algorithms*, 2002, chapter 4).

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_sum([[1.0, 2.0], [3.0, 4.0]], axis=0))
    array([4., 6.], dtype=float32)
    """
    return [input_tensor], {
        "axis": _axes(axis, reduction_indices),
        "keepdims": bool(keep_dims if keepdims is None else keepdims),
    }


@reduce_sum.gradient
def _(op: Any, dy: Any) -> Any:
    return broadcast_to(_restore(op, dy), shape(op.inputs[0]))


@_reduction("Mean", "reduce_mean", NUMBERS)
def reduce_mean(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Any:
    """Mean of the elements along ``axis``; of no elements, NaN.{doc}
    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.reduce_mean([[1.0, 2.0], [3.0, 4.0]])))
    2.5
    """
    return [input_tensor], {
        "axis": _axes(axis, reduction_indices),
        "keepdims": bool(keep_dims if keepdims is None else keepdims),
    }


@reduce_mean.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    share = dy * _mean_weight(x, axis=op.attrs["axis"])
    return broadcast_to(_restore(op, share), shape(x))


@op("MeanWeight", VIEW, types="T -> T", T=NUMBERS)
def _mean_weight(x: Any, axis: Any = None, name: str | None = None) -> Any:
    """``1 / n`` for a mean of n elements along ``axis``: known as soon as the shape of x is."""


@_mean_weight.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return ()


@_mean_weight.static
def _(attrs: dict[str, Any], in_shapes: Any) -> Any:
    (s,) = in_shapes
    if s is None:
        return None
    sizes = [s[i] for i in reduced_axes(attrs["axis"], len(s))]
    return None if None in sizes else np.float64(1.0) / max(1, shapes.size(sizes))


@_mean_weight.gradient
def _(op: Any, dy: Any) -> Any:
    return None


@_reduction("Max", "reduce_max", NUMBERS)
def reduce_max(
    input_tensor: Any,
    axis: Any = None,
    keepdims: Any = None,
    name: str | None = None,
    reduction_indices: Any = None,
    keep_dims: Any = None,
) -> Any:
    """The largest element along ``axis``; NaN if there is one; of no elements, -inf.{doc}
    Notes
    -----
    The gradient is shared equally among equal maxima, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.reduce_max([[1.0, 2.0], [4.0, 3.0]], axis=1))
    array([2., 4.], dtype=float32)
    """
    return [input_tensor], {
        "axis": _axes(axis, reduction_indices),
        "keepdims": bool(keep_dims if keepdims is None else keepdims),
    }


@reduce_max.gradient
def _(op: Any, dy: Any) -> Any:
    x = op.inputs[0]
    largest = cast(equal(x, _restore(op, op.outputs[0])), x.dtype)
    count = reduce_sum(largest, op.attrs["axis"], keepdims=op.attrs["keepdims"])
    return largest * _restore(op, dy / count)


for _function in (reduce_sum, reduce_mean, reduce_max):
    _function.__doc__ = _function.__doc__.replace("{doc}", _REDUCTION_DOC)


@op("ArgMax", REDUCE, kernel="argmax", types="T -> @output_type", T=NUMBERS, flops=_input_size)
def argmax(
    input: Any,
    axis: Any = None,
    name: str | None = None,
    dimension: Any = None,
    output_type: Any = dtypes.int64,
) -> Any:
    """Index of the largest element along ``axis``; the first of equals, the first NaN if any.

    Parameters
    ----------
    input : tensor_like
    axis : int, optional
        Default: 0, as in TensorFlow 1.
    name : str, optional
    dimension : int, optional
        Old name of ``axis``.
    output_type : DType, optional
        int32 or int64. Default: int64.

    Returns
    -------
    Tensor
        Of the input's shape without ``axis``.

    Raises
    ------
    ValueError
        If ``axis`` is out of range, or that dimension is empty.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.argmax([[1.0, 5.0], [4.0, 3.0]], 1))
    array([1, 0])
    """
    axes = _axes(axis, dimension) or (0,)
    if len(axes) != 1:
        raise ValueError(f"argmax takes one axis, not {list(axes)}")
    out = dtypes.as_dtype(output_type)
    if not out.is_integer:
        raise TypeError(f"output_type must be int32 or int64, not {out.name}")
    return [input], {"axis": axes, "keepdims": False, "output_type": out}


@argmax.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    out = _reduced(attrs, in_shapes, value)
    if out is not None and 0 not in out and in_shapes[0][attrs["axis"][0]] == 0:
        raise ValueError(f"dimension {attrs['axis'][0]} of {shapes.text(in_shapes[0])} is empty")
    return out


argmax.lower(_lower_reduction)
