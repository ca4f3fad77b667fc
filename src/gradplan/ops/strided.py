"""Slices: ``x[...]``, slice and strided_slice, with bounds that are known or tensors."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from gradplan import shapes
from gradplan.dtypes import ALL
from gradplan.graph import Tensor, at_user_line
from gradplan.known import constant_value, known_sizes
from gradplan.names import gradient_called, named
from gradplan.opdef import CALL, VIEW, apply, graph_of, op
from gradplan.ops.constant import convert_to_tensor, has_tensor, require_constant
from gradplan.ops.sizes import shape, shape_argument

__all__ = ["newaxis", "slice", "strided_slice"]

#: In a slice: a new dimension of size 1.
newaxis = None

# ---- bounds by value: a view ---------------------------------------------------------------------


class Bound(NamedTuple):
    """A bound of a slice that is a tensor: number ``at`` of the operation's bounds."""

    at: int


Item = Any  # int, (start, stop, step), None or Ellipsis
Part = tuple["int | None", int, "int | None", int]


@op("StridedSlice", VIEW, types="T I* -> T", T=ALL)
def _strided_slice(input: Any, bounds: Any, key: Any = (), name: str | None = None) -> Any:
    """Slicing by Python's syntax; the key names the bounds among the inputs that are tensors."""


@op("StridedSliceGrad", CALL, types="T I I* -> T", T=ALL, flops=0)
def _strided_slice_grad(
    dy: Any, shape: Any, bounds: Any, key: Any = (), name: str | None = None
) -> Any:
    """Zeros of ``shape`` with ``dy`` in the place that :func:`_strided_slice` cut out."""


def _resolved(key: Any, value: Callable[[int], Any]) -> tuple[Item, ...]:
    """The key with the values of its bounds in their place, where they are known."""

    def resolve(bound: Any) -> Any:
        known = value(bound.at) if isinstance(bound, Bound) else None
        if known is None:
            return bound
        if known.ndim:
            raise ValueError(f"a bound must be a scalar, not of shape {known.shape}")
        return int(known)

    out = []
    for item in key:
        if isinstance(item, tuple):
            item = tuple([resolve(b) for b in item])
            if item[2] == 0:
                raise ValueError("slice step cannot be zero")
        out.append(item)
    return tuple(out)


def cut(key: Any, dims: Sequence[int | None]) -> list[Part]:
    """What each dimension of a slice's result, and each index dropped, takes from the input.

    Returns
    -------
    list of (input dimension or None, start, length or None, step)
        The input dimension is None for a new dimension; the length is -1 for a dimension that an
        index drops and None where it is not known.
    """
    n = sum(1 for item in key if item is not None and item is not Ellipsis)
    if n > len(dims):
        raise ValueError(f"Index out of range: {n} subscripts for a tensor of rank {len(dims)}")
    if Ellipsis not in key:
        key = (*key, Ellipsis)
    out: list[Part] = []
    at = 0
    for item in key:
        if item is None:
            out.append((None, 0, 1, 0))
            continue
        if item is Ellipsis:
            for _ in range(len(dims) - n):
                out.append((at, 0, dims[at], 1))
                at += 1
            continue
        dim = dims[at]
        if isinstance(item, int):
            if dim is not None and not -dim <= item < dim:
                raise ValueError(f"slice index {item} of dimension {at} out of bounds (size {dim})")
            out.append((at, item if item >= 0 or dim is None else item + dim, -1, 1))
        elif dim is None or any(isinstance(b, Bound) for b in item):
            whole = item in ((None, None, None), (None, None, 1), (0, None, None), (0, None, 1))
            out.append((at, 0, dim if whole else None, 1))
        else:
            start, stop, step = builtins.slice(*item).indices(dim)
            out.append((at, start, len(range(start, stop, step)), step))
        at += 1
    return out


def _slice_shape(key: Any, given: Any, value: Callable[[int], Any]) -> Any:
    key = _resolved(key, value)  # asks for all of the bounds, whatever is known of the input
    return None if given is None else tuple(n for _, _, n, _ in cut(key, given) if n != -1)


@_strided_slice.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return _slice_shape(attrs["key"], in_shapes[0], lambda i: value(1 + i))


@_strided_slice.lower
def _(binder: Any, op: Any) -> None:
    view = binder.view(op.inputs[0])
    key = _resolved(op.attrs["key"], lambda i: binder.value(op.inputs[1 + i]))
    binder.alias(op, view.cut(cut(key, view.dims)))


@_strided_slice.gradient
def _(op: Any, dy: Any) -> Any:
    x, *bounds = op.inputs
    dx = apply(_strided_slice_grad.opdef, [dy, shape(x), *bounds], {"key": op.attrs["key"]})
    dx.set_shape(x._shape)
    return [dx, *[None] * len(bounds)]


@_strided_slice_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, unknown = shape_argument(value(1), in_shapes[1])
    key = _resolved(attrs["key"], lambda i: value(2 + i))
    if dims is not None and in_shapes[0] is not None:
        wanted = tuple(n for _, _, n, _ in cut(key, dims) if n != -1)
        if shapes.merge(wanted, in_shapes[0]) is False:
            raise ValueError(f"dy has shape {shapes.text(in_shapes[0])}, the slice {wanted}")
    return unknown if dims is None else dims


@_strided_slice_grad.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    key = _resolved(op.attrs["key"], lambda i: binder.value(op.inputs[2 + i]))
    binder.emit("fill_zero", [out], [])
    binder.copy(out.cut(cut(key, out.dims)), binder.view(op.inputs[0]))


@_strided_slice_grad.gradient
def _(op: Any, g: Any) -> Any:
    _, _, *bounds = op.inputs
    dg = apply(_strided_slice.opdef, [g, *bounds], {"key": op.attrs["key"]})
    dg.set_shape(op.inputs[0]._shape)
    return [dg, None, *[None] * len(bounds)]


# ---- starts that a run computes: a copy, and no new plan for each --------------------------------


@op("SliceAt", CALL, types="T I* -> T", T=ALL, flops=0, fallible=True)
def _slice_at(
    x: Any, starts: Any, axes: Any = (), sizes: Any = (), drop: Any = False, name: str | None = None
) -> Any:
    """From ``starts[i]`` on ``sizes[i]`` elements along ``axes[i]``; with ``drop`` the sizes are 1,
    the axes are dropped, and a negative start counts from the end."""


def _window(attrs: dict[str, Any], dims: Any) -> Any:
    """Axes, and the shape of the window before any is dropped."""
    axes = [a + len(dims) if a < 0 else a for a in attrs["axes"]]
    if any(not 0 <= a < len(dims) for a in axes):
        n = len(axes)
        raise ValueError(f"Index out of range: {n} subscripts for a tensor of rank {len(dims)}")
    out = list(dims)
    for a, n in zip(axes, attrs["sizes"], strict=True):
        if dims[a] is not None and n > dims[a]:
            raise ValueError(
                f"a slice of size {n} along dimension {a} does not fit {shapes.text(dims)}"
            )
        out[a] = n
    return axes, tuple(out)


@_slice_at.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, *starts = in_shapes
    for s in starts:
        if s is not None and s != ():
            raise ValueError(f"an index must be a scalar, not of shape {shapes.text(s)}")
    if given is None:
        return None
    axes, window = _window(attrs, given)
    return tuple(n for i, n in enumerate(window) if not attrs["drop"] or i not in axes)


@_slice_at.lower
def _(binder: Any, op: Any) -> None:
    x, *starts = [binder.view(t) for t in op.inputs]
    axes, window = _window(op.attrs, x.dims)
    out = binder.result(op).reshaped(window)
    binder.emit("slice_at", [out], [x, *starts], [int(op.attrs["drop"]), *axes])


@_slice_at.gradient
@named("StridedSliceGrad")
def _(op: Any, dy: Any) -> Any:
    x, *starts = op.inputs
    dx = apply(_slice_at_grad.opdef, [dy, shape(x), *starts], op.attrs)
    dx.set_shape(x._shape)
    return [dx, *[None] * len(starts)]


@op("SliceAtGrad", CALL, types="T I I* -> T", T=ALL, flops=0, fallible=True)
def _slice_at_grad(
    dy: Any,
    shape: Any,
    starts: Any,
    axes: Any = (),
    sizes: Any = (),
    drop: Any = False,
    name: str | None = None,
) -> Any:
    """Zeros of ``shape`` with ``dy`` in the window that :func:`_slice_at` took."""


@_slice_at_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, unknown = shape_argument(value(1), in_shapes[1])
    return unknown if dims is None else dims


@_slice_at_grad.lower
def _(binder: Any, op: Any) -> None:
    out = binder.result(op)
    dy, starts = binder.view(op.inputs[0]), [binder.view(t) for t in op.inputs[2:]]
    axes, window = _window(op.attrs, out.dims)
    binder.emit("fill_zero", [out], [])
    dy = binder.contiguous(dy).reshaped(window)
    binder.emit("paste_at", [out], [dy, *starts], [int(op.attrs["drop"]), *axes], updates=True)


@_slice_at_grad.gradient
def _(op: Any, g: Any) -> Any:
    dy, _, *starts = op.inputs
    dg = apply(_slice_at.opdef, [g, *starts], op.attrs)
    dg.set_shape(dy._shape)
    return [dg, None, *[None] * len(starts)]


def row_put_back(dy: Any, index: Any, dims: Any) -> Any:
    """Zeros of shape ``dims``, and ``dy`` as their row ``index``."""
    attrs = {"axes": (0,), "sizes": (1,), "drop": True}
    return apply(_slice_at_grad.opdef, [dy, dims, index], attrs)


# ---- Python's syntax -----------------------------------------------------------------------------


def _index(value: Any) -> Any:
    """An int, or an integer tensor whose value only a run tells."""
    if has_tensor(value) and not isinstance(value, (list, tuple)):
        tensor = convert_to_tensor(value)
        known = constant_value(tensor)
        if tensor.dtype.is_integer and tensor._shape in (None, ()):
            return tensor if known is None else int(known)
        value = tensor
    elif not isinstance(value, bool) and hasattr(value, "__index__"):
        return value.__index__()
    raise TypeError(
        at_user_line(
            "a tensor is sliced by integers, slices, ..., None, and scalar tensors of integers; "
            f"not by {value!r}"
        )
    )


def _getitem(self: Tensor, key: Any, name: str = "strided_slice") -> Tensor:
    bounds: list[Tensor] = []
    starts: list[Tensor] = []
    axes: list[int] = []
    out: list[Item] = []

    def bound(value: Any) -> Any:
        spelled = None if value is None else _index(value)
        if not isinstance(spelled, Tensor):
            return spelled
        bounds.append(spelled)
        return Bound(len(bounds) - 1)

    items = key if isinstance(key, tuple) else (key,)
    after = None  # dimensions of the result after an ellipsis
    if any(item is Ellipsis for item in items):
        dots = next(i for i, item in enumerate(items) if item is Ellipsis)
        after = sum(1 for i in items[dots + 1 :] if not _drops(i))
    dims = 0  # of the result so far
    for item in items:
        if isinstance(item, builtins.slice):
            out.append((bound(item.start), bound(item.stop), bound(item.step)))
            if out[-1][2] == 0:
                raise ValueError(at_user_line("slice step cannot be zero"))
        elif item is None or item is Ellipsis:
            out.append(item)
            dims = dims if item is None else -after - 1  # type: ignore[operator]
        else:
            if name == "strided_slice" and hasattr(item, "graph"):
                self.graph.reserve("add")  # TensorFlow 1 makes the end of it: item + 1
            index = _index(item)
            out.append((None, None, None) if isinstance(index, Tensor) else index)
            if isinstance(index, Tensor):
                starts.append(index)
                axes.append(dims)
            else:
                continue
        dims += 1
    if out.count(Ellipsis) > 1:
        raise ValueError(at_user_line("Multiple ellipses in a slice are not allowed"))
    if not starts:
        return apply(_strided_slice.opdef, [self, *bounds], {"key": tuple(out)}, name)
    x = self
    if any(item != (None, None, None) and item is not Ellipsis for item in out):
        inside = f"{name[:-1]}/cut/" if name.endswith("/") else f"{name}/cut"
        x = apply(_strided_slice.opdef, [self, *bounds], {"key": tuple(out)}, inside)
    attrs = {"axes": tuple(axes), "sizes": (1,) * len(axes), "drop": True}
    made: Tensor = apply(_slice_at.opdef, [x, *starts], attrs, name)
    if x is not self:
        gradient_called(x, f"/{made.op.name}_grad/StridedSliceGrad")
    return made


def _drops(item: Any) -> bool:
    """Whether a subscript is an index that is known, whose dimension the first cut drops."""
    if item is None or item is Ellipsis or isinstance(item, builtins.slice):
        return False
    return not isinstance(_index(item), Tensor)


Tensor.overload("__getitem__", _getitem)


# ---- TensorFlow's functions ----------------------------------------------------------------------


def slice(input_: Any, begin: Any, size: Any, name: str | None = None) -> Tensor:
    """Cut out ``size[i]`` elements from ``begin[i]`` along every dimension i.

    Parameters
    ----------
    input_ : tensor_like
    begin : tensor_like of int32 or int64, a vector
    size : tensor_like of int32 or int64, a vector
        -1 takes all that remain.
    name : str, optional

    Raises
    ------
    ValueError
        If the slice does not fit, or the vectors are not as long as the rank.
    InvalidArgumentError
        The same, for a ``begin`` or ``size`` that only a run tells.

    Notes
    -----
    Where ``begin`` is known while the graph is built it is a view. A ``begin`` that each run tells
    anew, such as the place of a batch, costs a copy, but no new plan.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.slice([[1, 2, 3], [4, 5, 6]], [0, 1], [-1, 2]))
    array([[2, 3],
           [5, 6]], dtype=int32)
    """
    parts, graph = begin if isinstance(begin, (list, tuple)) else None, graph_of([input_])
    with graph.as_default(), graph.name_scope(name or "Slice") as scope:
        x = convert_to_tensor(input_, name="input")
        begin, size = _vector(begin, "begin"), _vector(size, "size")
        sizes, n = constant_value(size), (begin._shape or (None,))[0]
        if sizes is None or n is None or sizes.shape != (n,):
            return slice_view(x, begin, size, scope)
        first = known_sizes(begin) or (None,) * n
        later = [i for i in range(n) if first[i] is None]
        if not later or min(sizes[later]) < 0:
            return slice_view(x, begin, size, scope)
        if x._shape is None or any(
            f or s >= 0 for f, s in zip(first, sizes, strict=True) if f is not None
        ):
            now = np.array([f or 0 for f in first], np.int64)
            x = slice_view(x, now, np.array([-1 if i in later else s for i, s in enumerate(sizes)]))
        attrs = {"axes": tuple(later), "sizes": tuple(int(sizes[i]) for i in later), "drop": False}
        starts = [begin[i] if parts is None else convert_to_tensor(parts[i]) for i in later]
        return apply(_slice_at.opdef, [x, *starts], attrs, scope)


def _vector(value: Any, name: str) -> Tensor:
    if isinstance(value, (list, tuple)) and not value:
        value = np.zeros(0, np.int32)
    return convert_to_tensor(value, name=name)


@op("Slice", VIEW, types="T I I -> T", T=ALL, sized=2)
def slice_view(input: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    """A slice whose place is known when a plan is bound; see :func:`slice`."""


@slice_view.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    given, *vectors = in_shapes
    begin, size = value(1), value(2)
    known = [v[0] for v in vectors if v is not None and len(v) == 1 and v[0] is not None]
    known += [] if given is None else [len(given)]
    wrong = any(v is not None and len(v) != 1 for v in vectors)
    if wrong or len(set(known)) > 1 or known[:1] > [64]:
        listed = ", ".join(shapes.text(v) for v in vectors)
        raise ValueError(
            f"begin and size must be vectors with an element for each dimension of "
            f"{shapes.text(given)}, but have shapes {listed}"
        )
    if not known:
        return None
    dims = given if given is not None else (None,) * known[0]
    out: list[int | None] = []
    for i, dim in enumerate(dims):
        first = None if begin is None else int(begin[i])
        n = None if size is None else int(size[i])
        if n is not None and n < -1 or first is not None and first < 0:
            raise ValueError(f"begin {first} and size {n} of dimension {i} are no slice of it")
        if dim is not None and first is not None:
            n = dim - first if n == -1 else n
            if first > dim or n is not None and first + n > dim:
                raise ValueError(
                    f"begin {first} and size {n} of dimension {i} do not fit its size {dim}"
                )
        out.append(None if n == -1 else n)
    return tuple(out)


@slice_view.lower
def _(binder: Any, op: Any) -> None:
    view, dims = binder.view(op.inputs[0]), binder.shape(op.outputs[0])
    begin = [int(b) for b in binder.value(op.inputs[1])]
    parts = [(i, b, n, 1) for i, (b, n) in enumerate(zip(begin, dims, strict=True))]
    binder.alias(op, view.cut(parts))


@slice_view.gradient
@named("Pad")
def _(op: Any, dy: Any) -> Any:
    x, begin, _ = op.inputs
    dx = _slice_grad(dy, shape(x), begin)
    dx.set_shape(x._shape)
    return dx, None, None


@op("SliceGrad", CALL, types="T I I -> T", T=ALL, flops=0, sized=1)
def _slice_grad(dy: Any, shape: Any, begin: Any, name: str | None = None) -> Any:
    """Zeros of ``shape`` with ``dy`` from ``begin`` on."""


@_slice_grad.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    dims, unknown = shape_argument(value(1), in_shapes[1])
    value(2)
    return unknown if dims is None else dims


@_slice_grad.lower
def _(binder: Any, op: Any) -> None:
    out, dy = binder.result(op), binder.view(op.inputs[0])
    begin = [int(b) for b in binder.value(op.inputs[2])]
    parts = [(i, b, n, 1) for i, (b, n) in enumerate(zip(begin, dy.dims, strict=True))]
    binder.emit("fill_zero", [out], [])
    binder.copy(out.cut(parts), dy)


@_slice_grad.gradient
def _(op: Any, g: Any) -> Any:
    dg = slice_view(g, op.inputs[2], shape(op.inputs[0]))
    dg.set_shape(op.inputs[0]._shape)
    return dg, None, None


def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
    name: str | None = None,
) -> Tensor:
    """What ``x[...]`` does, spelled out: ``begin[i]:end[i]:strides[i]`` along dimension i.

    Parameters
    ----------
    input_ : tensor_like
    begin, end : tensor_like of int32 or int64, vectors of one length
    strides : tensor_like of int32 or int64, optional
        Default: ones.
    begin_mask, end_mask : int, optional
        Bit i: as if ``begin[i]`` (``end[i]``) were left out.
    ellipsis_mask : int, optional
        Bit i: subscript i is ``...``; at most one.
    new_axis_mask : int, optional
        Bit i: subscript i is None, a new dimension.
    shrink_axis_mask : int, optional
        Bit i: subscript i is the index ``begin[i]``, whose dimension is dropped.
    var : optional
        Accepted as in TensorFlow 1; must be None.
    name : str, optional

    Raises
    ------
    ValueError
        If the vectors differ in length, a stride is 0, or an index is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.strided_slice([1, 2, 3, 4, 5], [1], [5], [2]))
    array([2, 4], dtype=int32)
    """
    if var is not None:
        raise ValueError(at_user_line("strided_slice: assignment to slices is not there"))
    x = convert_to_tensor(input_)
    with x.graph.as_default():
        first, last = _elements(begin, "begin"), _elements(end, "end")
        steps = [1] * len(first) if strides is None else _elements(strides, "strides")
        if len({len(first), len(last), len(steps)}) > 1:
            raise ValueError(
                at_user_line(
                    f"strided_slice: begin, end and strides have {len(first)}, {len(last)} and "
                    f"{len(steps)} elements"
                )
            )
        key: list[Any] = []
        for i, (b, e, s) in enumerate(zip(first, last, steps, strict=True)):
            if ellipsis_mask >> i & 1:
                key.append(Ellipsis)
            elif new_axis_mask >> i & 1:
                key.append(None)
            elif shrink_axis_mask >> i & 1:
                key.append(b)
            else:
                key.append(
                    builtins.slice(
                        None if begin_mask >> i & 1 else b, None if end_mask >> i & 1 else e, s
                    )
                )
        return _getitem(x, tuple(key), name or "StridedSlice")


def _elements(value: Any, what: str) -> list[Any]:
    """The elements of a vector: ints where they are known, else tensors."""
    if isinstance(value, (list, tuple)):
        return list(value)
    if not isinstance(value, Tensor):
        return [int(v) for v in require_constant(value, what).ravel()]
    known = constant_value(value)
    if known is not None:
        return [int(v) for v in known.ravel()]
    if value._shape is None or len(value._shape) != 1 or value._shape[0] is None:
        raise ValueError(at_user_line(f"{what} must be a vector of known length, not {value}"))
    return [value[i] for i in range(value._shape[0])]
