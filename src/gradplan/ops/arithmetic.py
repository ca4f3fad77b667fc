"""Elementwise arithmetic beyond that of ``math.py``: the other quotients, sums of many tensors,
conversions that saturate or keep the bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, NUMBERS, SMALL, STORED, WHOLE
from gradplan.graph import Tensor, at_user_line
from gradplan.names import named
from gradplan.opdef import MAP, VIEW, apply, graph_of, op
from gradplan.ops.activations import softplus
from gradplan.ops.array import identity, sum_to_like, zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.functions import rint
from gradplan.ops.logic import not_equal
from gradplan.ops.math import maximum, minimum, multiply, negative, square
from gradplan.ops.sums import add_n
from gradplan.views import EXTERN, View

__all__ = [
    "accumulate_n",
    "bitcast",
    "conj",
    "div_no_nan",
    "imag",
    "log_sigmoid",
    "multiply_no_nan",
    "real",
    "saturate_cast",
    "scalar_mul",
    "truncatediv",
    "truncatemod",
    "xdivy",
    "xlogy",
]

# ---- quotients -----------------------------------------------------------------------------------


@op("TruncateDiv", MAP, kernel="truncatediv", T=WHOLE, fallible=True)
def truncatediv(x: Any, y: Any, name: str | None = None) -> Any:
    """Quotient of integers rounded towards zero, as C's ``/``, with broadcasting.

    Raises
    ------
    InvalidArgumentError
        At run time, if a divisor is zero; it names the element.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.truncatediv([7, -7], 2))
    array([ 3, -3], dtype=int32)
    """


@op("TruncateMod", MAP, kernel="truncatemod", T=NUMBERS, fallible=True)
def truncatemod(x: Any, y: Any, name: str | None = None) -> Any:
    """Remainder with the sign of the dividend, as C's ``%`` and ``fmod``, with broadcasting.

    Raises
    ------
    InvalidArgumentError
        At run time, if an integer divisor is zero; it names the element.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.truncatemod([7, -7], 4))
    array([ 3, -3], dtype=int32)
    """


@truncatemod.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    quotient = rint((x - op.outputs[0]) / y)
    return sum_to_like(dy, x, op), sum_to_like(-dy * quotient, y, op)


@op("DivNoNan", MAP, kernel="div_no_nan")
def div_no_nan(x: Any, y: Any, name: str | None = "div_no_nan") -> Any:
    """``x / y``, and 0 where ``y`` is 0, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.div_no_nan([1.0, 2.0], [4.0, 0.0]))
    array([0.25, 0.  ], dtype=float32)
    """


@div_no_nan.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    dx = div_no_nan(dy, y)
    return sum_to_like(dx, x, op), sum_to_like(-dx * op.outputs[0], y, op)


@op("MulNoNan", MAP, kernel="mul_no_nan")
def multiply_no_nan(x: Any, y: Any, name: str | None = "multiply_no_nan") -> Any:
    """``x * y``, and 0 where ``y`` is 0 even if ``x`` is NaN or infinite, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.multiply_no_nan([2.0, float("nan")], [3.0, 0.0]))
    array([6., 0.], dtype=float32)
    """


@multiply_no_nan.gradient
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    return sum_to_like(multiply_no_nan(dy, y), x, op), sum_to_like(multiply_no_nan(x, dy), y, op)


@op("Xdivy", MAP, kernel="xdivy")
def _xdivy(x: Any, y: Any, name: str | None = None) -> Any:
    """See :func:`xdivy`."""


def xdivy(x: Any, y: Any, name: str | None = None) -> Tensor:
    """``x / y``, and 0 where ``x`` is 0 whatever ``y`` is, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.xdivy([1.0, 0.0], [4.0, 0.0]))
    array([0.25, 0.  ], dtype=float32)
    """
    graph = graph_of([x, y])
    with graph.as_default(), graph.name_scope(name or "xdivy"):
        return _xdivy(x, y)  # type: ignore[no-any-return]


@_xdivy.gradient
@named("Reshape", "Reshape_1")
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    dx, dy_ = dy * _xdivy(_where_not_zero(x), y), dy * _xdivy(-x, square(y))
    return sum_to_like(dx, x, op), sum_to_like(dy_, y, op)


@op("Xlogy", MAP, kernel="xlogy", flops=16)
def xlogy(x: Any, y: Any, name: str | None = None) -> Any:
    """``x * log(y)``, and 0 where ``x`` is 0 whatever ``y`` is, with broadcasting.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.xlogy([2.0, 0.0], [1.0, 0.0]))
    array([0., 0.], dtype=float32)
    """


@xlogy.gradient
@named("Reshape", "Reshape_1")
def _(op: Any, dy: Any) -> Any:
    x, y = op.inputs
    dx = dy * xlogy(_where_not_zero(x), y)
    return sum_to_like(dx, x, op), sum_to_like(dy * _xdivy(x, y), y, op)


def _where_not_zero(x: Tensor) -> Tensor:
    return cast(not_equal(x, constant(0, x.dtype)), x.dtype)


def log_sigmoid(x: Any, name: str | None = None) -> Tensor:
    """``log(1 / (1 + exp(-x)))``, exact for large negative ``x`` too.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.log_sigmoid([0.0, -1000.0]))
    array([-6.931472e-01, -1.000000e+03], dtype=float32)
    """
    graph = graph_of([x])
    with graph.as_default(), graph.name_scope(name or "LogSigmoid") as scope:
        return negative(softplus(-convert_to_tensor(x, name="x")), name=scope)


def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Tensor:
    """``scalar * x``, for a scalar.

    Parameters
    ----------
    scalar : scalar tensor_like
        Of the type of ``x``.
    x : tensor_like
    name : str, optional

    Raises
    ------
    ValueError
        If ``scalar`` is none.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.scalar_mul(2.0, [1.0, 3.0]))
    array([2., 6.], dtype=float32)
    """
    graph = graph_of([scalar, x])
    with graph.as_default():
        x = convert_to_tensor(x)
        scalar = convert_to_tensor(scalar, x.dtype, name="scalar")
        if scalar._shape not in (None, ()):
            raise ValueError(at_user_line(f"Only scalar multiply works, got {scalar}"))
        return multiply(scalar, x, name=name)


# ---- sums of many --------------------------------------------------------------------------------


def _list_of(inputs: Any, function: str) -> Sequence[Any]:
    if isinstance(inputs, Tensor) or hasattr(inputs, "_as_graph_element"):
        return [inputs]
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise ValueError(at_user_line(f"{function}: inputs must be a list of at least one tensor"))
    return inputs


def accumulate_n(
    inputs: Any, shape: Any = None, tensor_dtype: Any = None, name: str | None = None
) -> Tensor:
    """Sum of a list of tensors, as :func:`add_n`, that must be of ``shape`` and ``tensor_dtype``.

    Parameters
    ----------
    inputs : list of tensor_like
    shape : shape, optional
    tensor_dtype : DType, optional
    name : str, optional

    Raises
    ------
    ValueError
        If the list is empty, or shapes differ from one another or from ``shape``.
    TypeError
        If types differ from one another or from ``tensor_dtype``.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.accumulate_n([[1, 2], [3, 4]], shape=[2]))
    array([4, 6], dtype=int32)
    """
    wanted = None if tensor_dtype is None else dtypes.as_dtype(tensor_dtype)
    tensors = [convert_to_tensor(x) for x in _list_of(inputs, "accumulate_n")]
    dims = shapes.as_shape(shape)
    for t in tensors:
        if wanted is not None and t.dtype is not wanted:
            raise TypeError(at_user_line(f"accumulate_n: {t} is {t.dtype.name}, not {wanted.name}"))
        if shapes.merge(dims, t._shape) is False:
            raise ValueError(at_user_line(f"accumulate_n: {t} is not of shape {shapes.text(dims)}"))
    out = add_n(tensors, name=name or "AccumulateNV2")
    out.set_shape(dims)
    return out


# ---- conversions ---------------------------------------------------------------------------------


def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Tensor:
    """Convert the elements to another type; what it cannot hold becomes its least or largest value.

    Parameters
    ----------
    value : tensor_like
    dtype : DType or what :func:`as_dtype` takes
    name : str, optional

    Raises
    ------
    InvalidArgumentError
        At run time, if a NaN is converted to an integer.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.saturate_cast([-5.0, 3.7, 300.0], gp.uint8))
    array([  0,   3, 255], dtype=uint8)
    """
    wanted = dtypes.as_dtype(dtype)
    graph = graph_of([value])
    with graph.as_default(), graph.name_scope(name or "saturate_cast") as scope:
        value = convert_to_tensor(value, name="value")
        if value.dtype.is_bool or wanted.is_bool:
            raise TypeError(at_user_line("saturate_cast: a bool has no least or largest value"))
        if value.dtype in SMALL + STORED and value.dtype is not wanted:
            value = cast(value, dtypes.int32 if value.dtype in SMALL else dtypes.float32)
        given = value.dtype
        if given is wanted:
            return identity(cast(value, wanted), name=scope)
        low, high = _limit(given, wanted.min), _limit(given, wanted.max)
        if low > given.min:
            value = maximum(value, constant(low, given))
        if high < given.max:
            value = minimum(value, constant(high, given))
        return cast(value, wanted, name=scope)


def _limit(given: Any, limit: Any) -> Any:
    """The value of type ``given`` that is nearest to ``limit`` and no farther from 0."""
    if given.is_integer:
        return min(max(int(float(limit)), given.min), given.max)
    with np.errstate(over="ignore"):
        near = given.np.type(limit)
    if isinstance(limit, int) and abs(int(near)) > abs(limit):
        return np.nextafter(near, given.np.type(0))
    return min(max(near, given.min), given.max)


@op("Bitcast", VIEW, types="T -> @type", T=ALL)
def _bitcast(input: Any, type: Any = None, name: str | None = None) -> Any:
    """The same bits as another type; see :func:`bitcast`."""


@_bitcast.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    (given,), ratio, narrower = in_shapes, attrs["ratio"], attrs["narrower"]
    if given is None:
        return None
    if ratio == 1:
        return given
    if narrower:
        return (*given, ratio)
    if not given or given[-1] not in (None, ratio):
        raise ValueError(
            f"the last dimension must be {ratio} to become one {attrs['type'].name}, but the shape "
            f"is {shapes.text(given)}"
        )
    return given[:-1]


@_bitcast.lower
def _(binder: Any, op: Any) -> None:
    view, wanted = binder.view(op.inputs[0]), op.attrs["type"]
    strides: Any = view.strides
    if op.attrs["ratio"] != 1:
        view, strides = binder.contiguous(view), None
        # The caller's array is aligned for its own type alone.
        if not op.attrs["narrower"] and (
            view.storage.segment == EXTERN or view.offset % wanted.size
        ):
            view = binder.copied(view)
    dims = binder.shape(op.outputs[0])
    binder.alias(op, View(view.storage, wanted, dims, strides, view.offset))


@_bitcast.gradient
def _(op: Any, dy: Any) -> Any:
    return None


def bitcast(input: Any, type: Any, name: str | None = None) -> Tensor:
    """The same bits as elements of another type; no element is computed.

    Parameters
    ----------
    input : tensor_like
        Of any type but bool.
    type : DType or what :func:`as_dtype` takes
        Not bool.
    name : str, optional

    Returns
    -------
    Tensor
        Of the same shape where the sizes of both types are equal; with one more dimension if the
        new type is smaller; without the last one, which must be the ratio of the sizes, if it is
        larger.

    Raises
    ------
    ValueError
        If the last dimension is not the ratio of the sizes.
    TypeError
        For bool.

    Examples
    --------
    >>> import gradplan as gp
    >>> hex(gp.Session().run(gp.bitcast(1.0, gp.int32)))
    '0x3f800000'
    >>> gp.bitcast([1.0, 2.0], gp.uint8).shape.as_list()
    [2, 4]
    """
    wanted = dtypes.as_dtype(type)
    given = convert_to_tensor(input)
    if given.dtype.is_bool or wanted.is_bool:
        raise TypeError(at_user_line("Bitcast: a bool is true or false, and has no other bits"))
    small, large = sorted((given.dtype.size, wanted.size))
    attrs = {
        "type": wanted,
        "ratio": large // small,
        "narrower": wanted.size < given.dtype.size,
    }
    return apply(_bitcast.opdef, [given], attrs, name)


# ---- complex numbers, of which gradplan has the real ones ----------------------------------------


def conj(x: Any, name: str | None = None) -> Tensor:
    """The complex conjugate: of a real tensor it is the tensor itself.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.conj(2.0)))
    2.0
    """
    return convert_to_tensor(x)


def real(input: Any, name: str | None = None) -> Tensor:
    """The real part: of a real tensor it is the tensor itself.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.real(2.0)))
    2.0
    """
    return convert_to_tensor(input)


def imag(input: Any, name: str | None = None) -> Tensor:
    """The imaginary part: of a real tensor it is zeros.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.imag(2.0)))
    0.0
    """
    graph = graph_of([input])
    with graph.as_default(), graph.name_scope(name or "Imag"):
        return zeros_like(input)
