"""Rows chosen by index: gather and its kin, one_hot, and the adjoints that scatter gradients."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, NUMBERS
from gradplan.graph import Tensor, at_user_line
from gradplan.names import gradient_called, named
from gradplan.opdef import CALL, apply, graph_of, op
from gradplan.ops.array import reshape, shape, shape_argument
from gradplan.ops.constant import convert_to_tensor

__all__ = ["batch_gather", "gather", "gather_nd", "one_hot"]

#: What becomes of an index outside of its bounds (enum outside in csrc/index.h).
FAILS, NEGATIVE_SKIPPED, LARGE_SKIPPED = range(3)
#: How a row is combined with the one that is there (enum scatter in csrc/scatter.c).
SCATTERS = {"set": 0, "add": 1, "sub": 2, "mul": 3, "div": 4, "min": 5, "max": 6}

# ---- what the lower rules of this module and of its neighbours use -------------------------------


def scalar_argument(value: Any, in_shape: Any, what: str) -> int | None:
    """The value of a scalar input as an int, or None where it is not known yet."""
    if in_shape not in (None, ()) or value is not None and value.ndim:
        raise ValueError(f"{what} must be a scalar, not of shape {shapes.text(in_shape)}")
    return None if value is None else int(value)


def merged_shape(lead: Any, rest: Any) -> Any:
    """Two parts of a shape end to end; None where either is unknown."""
    return None if lead is None or rest is None else (*lead, *rest)


def emit_fill(binder: Any, out: Any, value: Any) -> None:
    """An instruction that fills a view without gaps with one value."""
    if value == 0:
        binder.emit("fill_zero", [out], [])
        return
    raw = np.array(value, out.dtype.np).tobytes().ljust(8, b"\0")
    binder.emit("fill", [out], [], [int.from_bytes(raw, "little", signed=True)])


def emit_ravel(binder: Any, indices: Any, dims: Any) -> Any:
    """The positions of index vectors, the last dimension of ``indices``, in an array of ``dims``:
    a vector of int64."""
    n, depth = shapes.size(indices.dims[:-1]), indices.dims[-1]
    flat = binder.scratch("flat indices", dtypes.int64, (n,))
    rows = binder.contiguous(indices).reshaped((n, depth))
    binder.emit("ravel_index", [flat], [rows], list(dims))
    return flat


def emit_scatter(
    binder: Any,
    out: Any,
    indices: Any,
    updates: Any,
    how: str,
    outside: int = FAILS,
    segments: bool = False,
) -> None:
    """An instruction that combines rows of ``updates`` into rows of ``out`` [groups, rows, inner]
    by ``indices`` [batches, n]; ``segments`` says that the first row of each run of equal indices
    is set."""
    dims = (out.dims[0], indices.dims[1], out.dims[2])
    if updates.size > 1 and not any(updates.strides):  # one value for all: one row is enough
        row = updates.seen((dims[2],), (0,))
        updates = (row if dims[2] == 1 else binder.copied(row)).seen(dims, (0, 0, 1))
    else:
        updates = binder.contiguous(updates).reshaped(dims)
    attrs = [SCATTERS[how], outside, int(segments)]
    binder.emit("scatter", [out], [indices, updates], attrs, updates=True)


# ---- gather --------------------------------------------------------------------------------------


@op("GatherV2", CALL, kernel="gather", types="T I I -> T", T=ALL, flops=0, fallible=True)
def gather_rows(
    params: Any,
    indices: Any,
    axis: Any,
    batch_dims: Any = 0,
    drop: bool = False,
    name: str | None = None,
) -> Any:
    """See :func:`gather`; with ``drop``, zeros for a negative index."""


@op("GatherGrad", CALL, types="T I I I -> T", T=NUMBERS, flops=1, fallible=True)
def gather_grad(
    dy: Any,
    indices: Any,
    shape: Any,
    axis: Any,
    batch_dims: Any = 0,
    drop: bool = False,
    name: str | None = None,
) -> Any:
    """The adjoint of gather: zeros of ``shape`` with the slices of ``dy`` added where ``indices``
    points."""


def _batch_and_axis(attrs: dict[str, Any], axis: Any, params: Any, indices: Any) -> Any:
    """How many leading dimensions both share, and the dimension that is indexed."""
    batch = attrs["batch_dims"]
    if not -len(indices) <= batch <= len(indices):
        raise ValueError(f"batch_dims {batch} is out of range for indices {shapes.text(indices)}")
    batch += len(indices) if batch < 0 else 0
    if axis is None:
        return batch, None
    rank = len(params)
    if not -rank <= axis < rank:
        raise ValueError(f"axis {axis} is out of range for params {shapes.text(params)}")
    axis %= rank
    if batch > axis:
        raise ValueError(f"batch_dims {batch} is larger than axis {axis}")
    if shapes.merge(params[:batch], indices[:batch]) is False:
        raise ValueError(
            f"params {shapes.text(params)} and indices {shapes.text(indices)} differ in their "
            f"first {batch} dimensions"
        )
    return batch, axis


@gather_rows.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    params, indices, of_axis = in_shapes
    axis = scalar_argument(value(2), of_axis, "axis")
    if params == ():
        raise ValueError("params must have at least one dimension")
    if params is None or indices is None:
        return None
    batch, axis = _batch_and_axis(attrs, axis, params, indices)
    if axis is None:
        return (None,) * (len(params) - 1 + len(indices) - batch)
    return params[:axis] + indices[batch:] + params[axis + 1 :]


def _gather_views(binder: Any, op: Any, params: tuple[int, ...], axis: Any) -> Any:
    """The dims [groups, rows, inner] of params, and the indices [batches, n]."""
    indices = binder.contiguous(binder.view(op.inputs[1]))
    batch, axis = _batch_and_axis(op.attrs, int(binder.value(axis)), params, indices.dims)
    groups, inner = shapes.size(params[:axis]), shapes.size(params[axis + 1 :])
    flat = shapes.size(indices.dims[:batch]), shapes.size(indices.dims[batch:])
    return (groups, params[axis], inner), indices.reshaped(flat)


@gather_rows.lower
def _(binder: Any, op: Any) -> None:
    params = binder.contiguous(binder.view(op.inputs[0]))
    dims, indices = _gather_views(binder, op, params.dims, op.inputs[2])
    out = binder.result(op).reshaped((dims[0], indices.dims[1], dims[2]))
    binder.emit("gather", [out], [params.reshaped(dims), indices], [int(op.attrs["drop"])])


def _last_reshape(op: Any) -> tuple[str]:
    batch, indices = op.attrs["batch_dims"], op.inputs[1]._shape
    batch += len(indices) if batch < 0 and indices is not None else 0
    return (f"Reshape_{4 + batch if batch else 2}",)


@gather_rows.gradient
@named(_last_reshape)
def _(op: Any, dy: Any) -> Any:
    params, indices, axis = op.inputs
    return gather_grad(dy, indices, shape(params), axis, **op.attrs), None, None


@gather_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    axis = scalar_argument(value(3), in_shapes[3], "axis")
    dims, unknown = shape_argument(value(2), in_shapes[2])
    dy, indices = in_shapes[:2]
    if dims is None or dy is None or indices is None:
        return unknown if dims is None else dims
    batch, axis = _batch_and_axis(attrs, axis, dims, indices)
    if axis is not None:
        want = dims[:axis] + indices[batch:] + dims[axis + 1 :]
        if shapes.merge(want, dy) is False:
            raise ValueError(f"dy has shape {shapes.text(dy)}, not {shapes.text(want)}")
    return dims


@gather_grad.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    dims, indices = _gather_views(binder, op, out.dims, op.inputs[3])
    binder.emit("fill_zero", [out], [])
    dy, drop = binder.view(op.inputs[0]), int(op.attrs["drop"])
    emit_scatter(binder, out.reshaped(dims), indices, dy, "add", drop)


@gather_grad.gradient
def _(op: Any, g: Any) -> Any:
    return gather_rows(g, op.inputs[1], op.inputs[3], **op.attrs), None, None, None


def gather_gradient(dy: Any, params: Any, indices: Any) -> Any:
    """The gradient of elements taken from the last dimension of ``params``, row by row."""
    return gather_grad(dy, indices, shape(params), -1, batch_dims=-1)


def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    name: str | None = None,
    axis: Any = None,
    batch_dims: int = 0,
) -> Tensor:
    """Slices of ``params`` along ``axis``, chosen by ``indices``.

    ``result[a.., i.., b..] = params[a.., indices[i..], b..]``, where ``a..`` are the dimensions
    before ``axis``. The first ``batch_dims`` dimensions are shared by both.

    Parameters
    ----------
    params : tensor_like
        Of one dimension or more.
    indices : tensor_like of int32 or int64
        In ``[0, params.shape[axis])``.
    validate_indices : bool, optional
        Accepted; they always are.
    name : str, optional
    axis : int or tensor, optional
        Default: ``batch_dims``.
    batch_dims : int, optional
        Negative ones count from the rank of ``indices``.

    Returns
    -------
    Tensor
        Of shape ``params.shape[:axis] + indices.shape[batch_dims:] + params.shape[axis + 1:]``.

    Raises
    ------
    ValueError
        If ``axis`` or ``batch_dims`` is out of range.
    InvalidArgumentError
        At run time, if an index is out of range; it names the first.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.gather([[1, 2], [3, 4], [5, 6]], [2, 0]))
    array([[5, 6],
           [1, 2]], dtype=int32)
    """
    if axis is None:
        axis = batch_dims
        if batch_dims < 0:
            axis = batch_dims + _rank_of(indices, "gather", "indices")
    attrs = {"batch_dims": int(batch_dims), "drop": False}
    return apply(gather_rows.opdef, [params, indices, axis], attrs, name)


def _rank_of(x: Any, function: str, what: str) -> int:
    x = convert_to_tensor(x)
    if x._shape is None:
        raise ValueError(at_user_line(f"{function} needs {what} of known rank, but has {x}"))
    return len(x._shape)


def batch_gather(params: Any, indices: Any, name: str | None = None) -> Tensor:
    """Slices of each row: :func:`gather` with all dimensions of ``indices`` but the last shared.

    Raises
    ------
    ValueError
        If the shapes do not fit, or the rank of ``indices`` is not known.
    InvalidArgumentError
        At run time, if an index is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.batch_gather([[1, 2], [3, 4]], [[1], [0]]))
    array([[2],
           [3]], dtype=int32)
    """
    graph = graph_of([params, indices])
    with graph.as_default(), graph.name_scope(name or "BatchGather") as scope:
        indices = convert_to_tensor(indices, name="indices")
        rank = _rank_of(indices, "batch_gather", "indices")
        if not rank:
            raise ValueError(at_user_line("batch_gather: indices must be at least a vector"))
        out = gather(params, indices, name="Reshape_3", axis=rank - 1, batch_dims=rank - 1)
        return gradient_called(out, f"/{scope}Reshape_2_grad/Reshape")


# ---- gather_nd and its adjoint -------------------------------------------------------------------


@op("GatherNd", CALL, types="T I -> T", T=ALL, flops=0, fallible=True)
def gather_nd(params: Any, indices: Any, name: str | None = None, batch_dims: int = 0) -> Any:
    """Elements or slices of ``params`` at index vectors, the last dimension of ``indices``.

    ``result[i..] = params[indices[i.., 0], indices[i.., 1], ...]``

    Parameters
    ----------
    params : tensor_like
    indices : tensor_like of int32 or int64, shape [..., depth]
        ``depth`` is at most the rank of ``params``, less ``batch_dims``.
    name : str, optional
    batch_dims : int, optional
        Leading dimensions that both share. Default: 0.

    Returns
    -------
    Tensor
        Of shape ``indices.shape[:-1] + params.shape[batch_dims + depth:]``.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        At run time, if an index is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.gather_nd([[1, 2], [3, 4]], [[0, 1], [1, 0]]))
    array([2, 3], dtype=int32)
    """
    return [params, indices], {"batch_dims": int(batch_dims)}


def _depth_of(batch: int, whole: Any, indices: Any, what: str) -> int | None:
    """The length of the index vectors; ValueError if they do not fit an array of shape
    ``whole``."""
    if indices is None:
        return None
    if not 0 <= batch < max(1, len(indices)) or indices == ():
        raise ValueError(
            f"indices {shapes.text(indices)} must have more than batch_dims = {batch} dimensions"
        )
    depth = indices[-1]
    if whole is None:
        return depth
    if depth is not None and batch + depth > len(whole):
        raise ValueError(
            f"index vectors of length {depth} are longer than the rank of {what} "
            f"{shapes.text(whole)}"
        )
    if shapes.merge(whole[:batch], indices[:batch]) is False:
        raise ValueError(
            f"{what} {shapes.text(whole)} and indices {shapes.text(indices)} differ in their first "
            f"{batch} dimensions"
        )
    return depth


@gather_nd.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    params, indices = in_shapes
    depth = _depth_of(attrs["batch_dims"], params, indices, "params")
    if depth is None or params is None:
        return None
    return indices[:-1] + params[attrs["batch_dims"] + depth :]


def _nd_views(binder: Any, batch: int, whole: tuple[int, ...], indices: Any) -> Any:
    """The dims [batches, rows, inner] of an array, and the indices [batches, n] of its rows."""
    depth = indices.dims[-1]
    dims = whole[batch : batch + depth]
    lead = shapes.size(whole[:batch])
    flat = emit_ravel(binder, indices, dims)
    rows = flat.reshaped((lead, shapes.size(indices.dims[batch:-1])))
    return (lead, shapes.size(dims), shapes.size(whole[batch + depth :])), rows


@gather_nd.lower
def _(binder: Any, op: Any) -> None:
    params = binder.contiguous(binder.view(op.inputs[0]))
    indices = binder.view(op.inputs[1])
    dims, rows = _nd_views(binder, op.attrs["batch_dims"], params.dims, indices)
    out = binder.result(op).reshaped((dims[0], rows.dims[1], dims[2]))
    binder.emit("gather", [out], [params.reshaped(dims), rows], [FAILS])


@gather_nd.gradient
def _(op: Any, dy: Any) -> Any:
    params, indices = op.inputs
    return scatter_rows_nd(indices, dy, shape(params), **op.attrs), None


@op("ScatterNd", CALL, types="I T I -> T", T=NUMBERS, fallible=True, sized=2)
def scatter_rows_nd(
    indices: Any, updates: Any, shape: Any, batch_dims: int = 0, name: str | None = None
) -> Any:
    """Zeros of ``shape`` with ``updates`` added; see :func:`gradplan.scatter_nd`."""


@scatter_rows_nd.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, unknown = shape_argument(value(2), in_shapes[2])
    if dims is not None:
        if any(d < 0 for d in dims):
            raise ValueError(f"shape {list(dims)} has a negative dimension")
        shapes.size(dims)
    whole = unknown if dims is None else dims
    indices, updates = in_shapes[:2]
    check_nd_updates(attrs["batch_dims"], whole, indices, updates, "shape")
    return whole


def check_nd_updates(batch: int, whole: Any, indices: Any, updates: Any, what: str) -> None:
    """ValueError if ``updates`` has not a slice of ``whole`` for every index vector."""
    depth = _depth_of(batch, whole, indices, what)
    if depth is None or whole is None:
        return
    want = indices[:-1] + whole[batch + depth :]
    if shapes.merge(want, updates) is False:
        raise ValueError(
            f"updates must have shape {shapes.text(want)} for indices {shapes.text(indices)} and "
            f"{what} {shapes.text(whole)}, but have {shapes.text(updates)}"
        )


@scatter_rows_nd.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    emit_fill(binder, out, 0)
    indices, updates = map(binder.view, op.inputs[:2])
    emit_scatter_nd(binder, op, out, indices, updates, "add")


def emit_scatter_nd(binder: Any, op: Any, out: Any, indices: Any, updates: Any, how: str) -> None:
    """Instructions that combine ``updates`` into ``out`` by index vectors."""
    dims, rows = _nd_views(binder, op.attrs.get("batch_dims", 0), out.dims, indices)
    emit_scatter(binder, out.reshaped(dims), rows, updates, how)


@scatter_rows_nd.gradient
def _(op: Any, g: Any) -> Any:
    return None, gather_nd(g, op.inputs[0], **op.attrs), None


# ---- one_hot -------------------------------------------------------------------------------------


@op("OneHot", CALL, kernel="one_hot", types="I I T T -> T", T=ALL, flops=0)
def _one_hot(
    indices: Any, depth: Any, on_value: Any, off_value: Any, axis: int = -1, name: str | None = None
) -> Any:
    """See :func:`one_hot`."""


@_one_hot.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    indices, axis = in_shapes[0], attrs["axis"]
    depth = scalar_argument(value(1), in_shapes[1], "depth")
    for given, what in zip(in_shapes[2:], ("on_value", "off_value"), strict=True):
        scalar_argument(None, given, what)
    if depth is not None and depth < 0:
        raise ValueError(f"depth {depth} is negative")
    if axis < -1:
        raise ValueError(f"axis {axis} is out of range: it is -1, or at least 0")
    if indices is None:
        return None
    if axis > len(indices):
        raise ValueError(f"axis {axis} is out of range for indices {shapes.text(indices)}")
    at = len(indices) if axis == -1 else axis
    return (*indices[:at], depth, *indices[at:])


@_one_hot.lower
def _(binder: Any, op: Any) -> None:
    indices = binder.contiguous(binder.view(op.inputs[0]))
    axis = len(indices.dims) if op.attrs["axis"] == -1 else op.attrs["axis"]
    outer, inner = shapes.size(indices.dims[:axis]), shapes.size(indices.dims[axis:])
    out = binder.result(op)
    numbers = [binder.view(t) for t in op.inputs[2:]]
    out = out.reshaped((outer, out.dims[axis], inner))
    binder.emit("one_hot", [out], [indices.reshaped((outer, inner)), *numbers])


@_one_hot.gradient
def _(op: Any, dy: Any) -> Any:
    return None, None, None, None


def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: Any = None,
    dtype: Any = None,
    name: str | None = None,
) -> Tensor:
    """``on_value`` where the new dimension ``axis`` equals the index, ``off_value`` elsewhere.

    Parameters
    ----------
    indices : tensor_like of int32 or int64
        One that is out of range gives ``off_value`` alone.
    depth : tensor_like of int32 or int64
        The size of the new dimension.
    on_value, off_value : scalar tensor_like, optional
        Default: 1 and 0.
    axis : int, optional
        Where the new dimension stands in the result. Default: -1, the last.
    dtype : DType, optional
        Default: that of ``on_value`` or ``off_value``, else float32.
    name : str, optional

    Raises
    ------
    ValueError
        If ``depth`` is negative or ``axis`` is out of range.
    TypeError
        If the types of the values differ from each other or from ``dtype``.

    Notes
    -----
    No gradient flows through it, as in TensorFlow.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.one_hot([1, -1, 0], 2))
    array([[0., 1.],
           [0., 0.],
           [1., 0.]], dtype=float32)
    """
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    graph = graph_of([indices, depth, on_value, off_value])
    with graph.as_default(), graph.name_scope(name or "one_hot") as scope:
        values = []
        for given, default in ((on_value, 1), (off_value, 0)):
            values.append(default if given is None else _value_of(given, wanted))
        kinds = [v.dtype for v in values if isinstance(v, Tensor)]
        if wanted is None:
            wanted = kinds[0] if kinds else dtypes.float32
        for kind in kinds:
            if kind is not wanted:
                raise TypeError(
                    at_user_line(
                        f"one_hot: on_value and off_value must have dtype {wanted.name}, but one "
                        f"has {kind.name}"
                    )
                )
        on, off = (
            v if isinstance(v, Tensor) else convert_to_tensor(np.array(v, wanted.np), name=word)
            for v, word in zip(values, _one_hot.opdef.inputs[2:], strict=True)
        )
        attrs = {"axis": -1 if axis is None else int(axis)}
        return apply(_one_hot.opdef, [indices, depth, on, off], attrs, scope)


def _value_of(given: Any, dtype: Any) -> Tensor:
    """A value as a tensor: of ``dtype`` if it has no type of its own."""
    typed = hasattr(given, "dtype") or dtype is None or type(given) is bool
    return convert_to_tensor(given, None if typed else dtype)


def merge_dims(x: Tensor, axis: int, n: int) -> Tensor:
    """``x`` with ``n`` dimensions from ``axis`` on made one."""
    if n == 1:
        return x
    assert x._shape is not None
    dims: list[Any] = list(x._shape)
    if None in dims:
        sizes = shape(x)
        dims = [sizes[i] if d is None else d for i, d in enumerate(dims)]
    merged: Any = 1
    for d in dims[axis : axis + n]:
        merged = merged * d
    return reshape(x, [*dims[:axis], merged, *dims[axis + n :]])
