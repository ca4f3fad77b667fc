"""Rows put in or combined by index: into zeros, into copies of tensors, and into variables."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import ALL, NUMBERS
from gradplan.graph import Operation, Tensor, at_user_line
from gradplan.opdef import CALL, STATE, apply, graph_of, op
from gradplan.ops.array import (
    expand_dims,
    identity,
    ones_like,
    shape,
    shape_argument,
    zeros_like,
)
from gradplan.ops.constant import convert_to_tensor, shape_constant
from gradplan.ops.gather import (
    NEGATIVE_SKIPPED,
    check_nd_updates,
    emit_ravel,
    emit_scatter,
    emit_scatter_nd,
    gather_nd,
    scatter_rows_nd,
)
from gradplan.ops.logic import greater_equal
from gradplan.ops.math import maximum
from gradplan.ops.slicing import where
from gradplan.ops.state import reference

__all__ = [
    "scatter_add",
    "scatter_div",
    "scatter_max",
    "scatter_min",
    "scatter_mul",
    "scatter_nd",
    "scatter_nd_add",
    "scatter_nd_sub",
    "scatter_nd_update",
    "scatter_sub",
    "scatter_update",
    "tensor_scatter_add",
    "tensor_scatter_nd_add",
    "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update",
    "tensor_scatter_sub",
    "tensor_scatter_update",
]

# ---- into tensors --------------------------------------------------------------------------------


def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Tensor:
    """Zeros of ``shape`` with ``updates`` added at index vectors: the adjoint of
    :func:`gather_nd`.

    Parameters
    ----------
    indices : tensor_like of int32 or int64, shape [..., depth]
    updates : tensor_like, shape ``indices.shape[:-1] + shape[depth:]``
        Where index vectors are equal their updates are added, in order.
    shape : tensor_like of int32 or int64
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        At run time, if an index is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.scatter_nd([[1], [3], [1]], [1.0, 2.0, 4.0], [4]))
    array([0., 5., 0., 2.], dtype=float32)
    """
    return scatter_rows_nd(indices, updates, shape, name=name)


@op("LastOfEquals", CALL, kernel="last_of_equals", types="I I -> bool", flops=0, fallible=True)
def last_of_equals(indices: Any, shape: Any, name: str | None = None) -> Any:
    """Whether no later index vector equals this one: whose update is seen in the end."""


@op("RavelIndex", CALL, types="I I -> int64", flops=0, fallible=True)
def _ravel_index(indices: Any, shape: Any, name: str | None = None) -> Any:
    """The positions of index vectors in an array whose first dimensions are those of ``shape``."""


@last_of_equals.shape
@_ravel_index.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    indices = in_shapes[0]
    dims, unknown = shape_argument(value(1), in_shapes[1])
    check_nd_updates(0, unknown if dims is None else dims, indices, None, "shape")
    return None if indices is None else indices[:-1]


@_ravel_index.lower
def _(binder: Any, op: Any) -> None:
    indices = binder.view(op.inputs[0])
    dims = [int(d) for d in binder.value(op.inputs[1])[: indices.dims[-1]]]
    flat = emit_ravel(binder, indices, dims)
    binder.alias(op, flat.reshaped(binder.shape(op.outputs[0])))


@last_of_equals.lower
def _(binder: Any, op: Any) -> None:
    indices = binder.view(op.inputs[0])
    dims = [int(d) for d in binder.value(op.inputs[1])[: indices.dims[-1]]]
    flat = emit_ravel(binder, indices, dims)
    table = binder.scratch("last", dtypes.int64, (shapes.size(dims),))
    out = binder.result(op)
    binder.emit("last_of_equals", [out.reshaped(flat.dims), table], [flat])


def _tensor_scatter(name: str, how: str, T: Any) -> Any:
    def decorate(function: Any) -> Any:
        declared = op(name, CALL, types="T I T -> T", T=T, fallible=True)(function)

        @declared.shape
        def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
            tensor, indices, updates = in_shapes
            check_nd_updates(0, tensor, indices, updates, "tensor")
            return in_shapes[0]

        @declared.lower
        def _(binder: Any, op: Any) -> None:
            out = binder.result(op)
            tensor, indices, updates = map(binder.view, op.inputs)
            binder.copy(out, tensor)
            emit_scatter_nd(binder, op, out, indices, updates, how)

        return declared

    return decorate


@_tensor_scatter("TensorScatterUpdate", "set", ALL)
def tensor_scatter_nd_update(
    tensor: Any, indices: Any, updates: Any, name: str | None = None
) -> Any:
    """A copy of ``tensor`` with ``updates`` in the place of the slices at index vectors.

    Parameters
    ----------
    tensor : tensor_like
    indices : tensor_like of int32 or int64, shape [..., depth]
    updates : tensor_like, shape ``indices.shape[:-1] + tensor.shape[depth:]``
        Of equal index vectors the last one wins.
    name : str, optional

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        At run time, if an index is out of range.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.tensor_scatter_nd_update([1, 2, 3], [[2], [0]], [8, 9]))
    array([9, 2, 8], dtype=int32)
    """


@tensor_scatter_nd_update.gradient
def _(op: Any, dy: Any) -> Any:
    _, indices, updates = op.inputs
    seen = last_of_equals(indices, shape(op.inputs[0]))
    slices = gather_nd(dy, indices)
    slices.set_shape(updates._shape)
    return (
        tensor_scatter_nd_update(dy, indices, zeros_like(updates)),
        None,
        _where_rows(seen, slices, zeros_like(slices)),
    )


def _where_rows(condition: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """``where`` by a condition that has the first dimensions of ``x``."""
    if x._shape is None or condition._shape is None:
        raise ValueError(f"the gradient of an update needs indices of known rank, not {condition}")
    more = len(x._shape) - len(condition._shape)
    return where(expand_dims(condition, [*range(-more, 0)]) if more else condition, x, y)


@_tensor_scatter("TensorScatterAdd", "add", NUMBERS)
def tensor_scatter_nd_add(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """A copy of ``tensor`` with ``updates`` added to the slices at index vectors.

    The arguments are those of :func:`tensor_scatter_nd_update`; updates of equal index vectors are
    added in order.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.tensor_scatter_nd_add([1, 2, 3], [[2], [2]], [8, 9]))
    array([ 1,  2, 20], dtype=int32)
    """


@tensor_scatter_nd_add.gradient
def _(op: Any, dy: Any) -> Any:
    return identity(dy), None, gather_nd(dy, op.inputs[1])


@_tensor_scatter("TensorScatterSub", "sub", NUMBERS)
def tensor_scatter_nd_sub(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """A copy of ``tensor`` with ``updates`` subtracted from the slices at index vectors.

    The arguments are those of :func:`tensor_scatter_nd_update`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.tensor_scatter_nd_sub([1, 2, 3], [[2], [2]], [8, 9]))
    array([  1,   2, -14], dtype=int32)
    """


@tensor_scatter_nd_sub.gradient
def _(op: Any, dy: Any) -> Any:
    return identity(dy), None, -gather_nd(dy, op.inputs[1])


tensor_scatter_update = tensor_scatter_nd_update
tensor_scatter_add = tensor_scatter_nd_add
tensor_scatter_sub = tensor_scatter_nd_sub

# ---- into variables ------------------------------------------------------------------------------
#
# The indices are checked by an operation of their own, which writes nothing: so it comes before
# whatever a run writes, and a bad index leaves every variable as it was. What it gives may be -1,
# where an optimizer has less rows to change than there is room for.


def _variable_scatter(name: str, how: str, T: Any, nd: bool, lock: bool, text: str) -> Any:
    """Declare the operation ``name`` and make its public function."""

    def write(
        ref: Any, flat: Any, updates: Any, indices: Any, fallible: Any = False, name: Any = None
    ) -> Any: ...

    write.__name__ = write.__qualname__ = f"_{name.lower()}"
    declared = op(name, STATE, kernel="scatter", types="T int64 T I -> T", T=T, writes=1)(write)

    @declared.shape
    def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
        ref, _, updates, vectors = in_shapes
        if updates != () or nd:
            check_nd_updates(0, ref, vectors, updates, "the variable")
        return ref

    @declared.lower
    def _(binder: Any, op: Any) -> None:
        ref, flat, updates, vectors = map(binder.view, op.inputs)
        depth = vectors.dims[-1]
        n, rows, inner = flat.size, shapes.size(ref.dims[:depth]), shapes.size(ref.dims[depth:])
        if updates.dims == () and not nd:
            updates = updates.broadcast(flat.dims + ref.dims[depth:])
        if updates.storage is ref.storage:  # rows of the variable itself, as they were
            updates = binder.copied(updates)
        out = binder.written(op).reshaped((1, rows, inner))
        flat = binder.contiguous(flat).reshaped((1, n))
        emit_scatter(binder, out, flat, updates, how, NEGATIVE_SKIPPED)

    if name not in ("ScatterUpdate", "ScatterMin", "ScatterMax"):  # as TensorFlow 1's
        declared.gradient(lambda op, dy: [None] * 4)

    def public(
        ref: Any, indices: Any, updates: Any, use_locking: bool = lock, name: str | None = None
    ) -> Tensor:
        variable = reference(ref)
        graph = graph_of([variable])
        with graph.as_default(), graph.name_scope(name or declared.opdef.name) as scope:
            if not variable._shape:
                raise ValueError(at_user_line(f"{declared.opdef.name}: the variable is a scalar"))
            indices = convert_to_tensor(indices)
            vectors = indices if nd else expand_dims(indices, -1)
            whole = variable.shape
            flat = _ravel_index(vectors, shape_constant(whole if nd else whole[:1]))
            divides = how == "div" and variable.dtype.is_integer
            inputs = [variable, flat, updates, vectors]
            return apply(declared.opdef, inputs, {"fallible": divides}, scope)

    public.opdef = declared.opdef  # type: ignore[attr-defined]
    public.__name__ = public.__qualname__ = _public_name(name)
    public.__doc__ = text
    return public


def _public_name(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]


_DOC = """{what}

    Parameters
    ----------
    ref : Variable
    indices : tensor_like of int32 or int64
        Rows, in ``[0, ref.shape[0])``. Equal ones are taken in order.
    updates : tensor_like, shape ``indices.shape + ref.shape[1:]``
        Or a scalar.
    use_locking : bool, optional
        Accepted; runs on one session never overlap.
    name : str, optional

    Returns
    -------
    Tensor
        The new value of the variable.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        At run time, if an index is out of range{more}; the variable is as it was.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable([1, 2, 3])
    >>> sess = gp.Session()
    >>> sess.run(v.initializer)
    >>> sess.run(gp.{public}(v, [2, 0], [2, 2]))
    array({result}, dtype=int32)
    """

_ND_DOC = """{what}

    Parameters
    ----------
    ref : Variable
    indices : tensor_like of int32 or int64, shape [..., depth]
        Index vectors into the first ``depth`` dimensions. Equal ones are taken in order.
    updates : tensor_like, shape ``indices.shape[:-1] + ref.shape[depth:]``
    use_locking : bool, optional
        Accepted; runs on one session never overlap.
    name : str, optional

    Returns
    -------
    Tensor
        The new value of the variable.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    InvalidArgumentError
        At run time, if an index is out of range; the variable is as it was.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable([1, 2, 3])
    >>> sess = gp.Session()
    >>> sess.run(v.initializer)
    >>> sess.run(gp.{public}(v, [[2], [0]], [2, 2]))
    array({result}, dtype=int32)
    """


def _declare(
    name: str, how: str, T: Any, lock: bool, what: str, result: str, more: str = ""
) -> Any:
    nd = name.startswith("ScatterNd")
    text = (_ND_DOC if nd else _DOC).format(
        what=what, more=more, public=_public_name(name), result=result
    )
    return _variable_scatter(name, how, T, nd, lock, text)


scatter_update = _declare(
    "ScatterUpdate", "set", ALL, True, "Write rows of a variable when run.", "[2, 2, 2]"
)
scatter_add = _declare(
    "ScatterAdd", "add", NUMBERS, False, "Add to rows of a variable when run.", "[3, 2, 5]"
)
scatter_sub = _declare(
    "ScatterSub",
    "sub",
    NUMBERS,
    False,
    "Subtract from rows of a variable.",
    "[-1,  2,  1]",
)
scatter_mul = _declare(
    "ScatterMul", "mul", NUMBERS, False, "Multiply rows of a variable when run.", "[2, 2, 6]"
)
scatter_div = _declare(
    "ScatterDiv",
    "div",
    NUMBERS,
    False,
    "Divide rows of a variable when run; integers towards zero.",
    "[0, 2, 1]",
    ", or an integer is divided by 0",
)
scatter_min = _declare(
    "ScatterMin", "min", NUMBERS, False, "Lower rows of a variable to updates.", "[1, 2, 2]"
)
scatter_max = _declare(
    "ScatterMax", "max", NUMBERS, False, "Raise rows of a variable to updates.", "[2, 2, 3]"
)
scatter_nd_update = _declare(
    "ScatterNdUpdate", "set", ALL, True, "Write slices of a variable when run.", "[2, 2, 2]"
)
scatter_nd_add = _declare(
    "ScatterNdAdd", "add", NUMBERS, False, "Add to slices of a variable when run.", "[3, 2, 5]"
)
scatter_nd_sub = _declare(
    "ScatterNdSub", "sub", NUMBERS, False, "Subtract from slices of a variable.", "[-1,  2,  1]"
)


def checked_index(indices: Tensor, bound: Any) -> Tensor:
    """Indices as int64; a run in which one is not in ``[0, bound)`` fails and changes nothing."""
    return _ravel_index(expand_dims(indices, -1), expand_dims(bound, 0))


def checked_rows(variable: Any, indices: Tensor, drop: bool = False) -> Tensor:
    """Rows of a variable as int64, which are known to be there before anything is written; with
    ``drop``, -1 for what is negative."""
    rows = variable.shape.as_list()[0]
    if not drop:
        return checked_index(indices, rows)
    there = checked_index(maximum(indices, 0), rows)
    return where(greater_equal(indices, 0), there, -ones_like(there))


def change_rows(scatter: Any, variable: Any, rows: Tensor, updates: Tensor) -> Operation:
    """:func:`scatter_update` or the like of :func:`checked_rows`; -1 is none."""
    inputs = [reference(variable), rows, updates, expand_dims(rows, -1)]
    return apply(scatter.opdef, inputs, {"fallible": False}).op
