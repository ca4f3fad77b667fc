"""Reverse mode: one walk backwards over the graph that asks every operation for its gradient.

A gradient is made of ordinary operations, so it can be differentiated again. Source: A. Griewank
and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import shapes
from gradplan.dtypes import STORED, float32
from gradplan.graph import Operation, Tensor
from gradplan.ops.array import ones_like
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.math import add, cast


def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
) -> list[Tensor | None]:
    """The derivatives of the sum of ``ys`` with respect to each of ``xs``.

    Parameters
    ----------
    ys : Tensor or list of Tensor
    xs : Tensor, Variable or list of them
    grad_ys : list of tensor_like, optional
        The weight of every element of ``ys`` in the sum, None for ones. Default: all ones.
    name : str, optional
        The name scope of the new operations.
    colocate_gradients_with_ops, gate_gradients, aggregation_method : optional
        Accepted as in TensorFlow 1; they change nothing here.
    stop_gradients : list of Tensor, optional
        Tensors to take as constants.

    Returns
    -------
    list of Tensor or None
        ``sum_j grad_ys[j] * d ys[j] / d x``, of the shape of x; None where no y depends on x.

    Raises
    ------
    LookupError
        If an operation on the way has no gradient.
    TypeError
        If a y is no float.
    ValueError
        If ``grad_ys`` does not match ``ys``.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant(3.0)
    >>> first = gp.gradients(x * x * x, x)[0]
    >>> second = gp.gradients(first, x)[0]
    >>> print(*gp.Session().run([first, second]))
    27.0 18.0
    """
    y_list = [convert_to_tensor(y) for y in _as_list(ys)]
    x_list = [_tensor(x) for x in _as_list(xs)]
    if not y_list:
        raise ValueError("gradients: there is no y to differentiate")
    graph = y_list[0].graph
    with graph.as_default(), graph.name_scope(name):
        received: dict[Tensor, list[Tensor]] = {}
        for y, dy in zip(y_list, _initial(y_list, grad_ys), strict=True):
            received.setdefault(y, []).append(dy)
        stopped = {_tensor(t) for t in _as_list(stop_gradients or [])}
        totals: dict[Tensor, Tensor] = {}
        for op in reversed(_between(x_list, y_list, stopped)):
            dys = [_total(received, totals, t) for t in op.outputs]
            if any(dy is not None for dy in dys):
                _step_back(op, dys, received, stopped)
        return [_total(received, totals, x) for x in x_list]


def _tensor(x: Any) -> Tensor:
    return x if isinstance(x, Tensor) else x._as_graph_element()


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _initial(ys: Sequence[Tensor], grad_ys: Any) -> list[Tensor]:
    """What flows into the walk at each y: its weight in the sum that is differentiated."""
    given = [None] * len(ys) if grad_ys is None else _as_list(grad_ys)
    if len(given) != len(ys):
        raise ValueError(f"gradients: {len(given)} grad_ys for {len(ys)} ys")
    out = []
    for y, dy in zip(ys, given, strict=True):
        if not y.dtype.is_floating:
            raise TypeError(f"gradients: {y} is no float and has no derivative (at {y.op.source})")
        if dy is None:
            out.append(ones_like(y))
            continue
        dy = convert_to_tensor(dy, y.dtype, "grad_ys")
        if shapes.merge(dy._shape, y._shape) is False:
            raise ValueError(
                f"gradients: grad_y of shape {dy.shape} does not fit {y.op.name} of shape {y.shape}"
            )
        out.append(dy)
    return out


def _between(xs: Sequence[Tensor], ys: Sequence[Tensor], stopped: set[Tensor]) -> list[Operation]:
    """The operations on the paths from ``xs`` to ``ys``, in the order in which they were made."""
    above: set[Operation] = set()
    stack = [y.op for y in ys]
    while stack:
        op = stack.pop()
        if op not in above:
            above.add(op)
            stack.extend(t.op for t in op.inputs if t not in stopped)
    depends = set(xs)
    path = []
    for op in sorted(above, key=lambda op: op.id):
        if any(t in depends and t not in stopped for t in op.inputs):
            depends.update(op.outputs)
            path.append(op)
    return path


def _total(
    received: dict[Tensor, list[Tensor]], totals: dict[Tensor, Tensor], t: Tensor
) -> Tensor | None:
    """The sum of the gradients that arrived at ``t`` from all its consumers."""
    if t not in totals:
        if t not in received:
            return None
        total, *rest = received[t]
        for more in rest:
            total = _plus(total, more)
        totals[t] = total
    return totals[t]


def _plus(x: Tensor, y: Tensor) -> Tensor:
    if x.dtype in STORED:  # kept short, but summed as float32
        return cast(add(cast(x, float32), cast(y, float32), name="AddN"), x.dtype)
    return add(x, y, name="AddN")


def _step_back(
    op: Operation,
    dys: Sequence[Tensor | None],
    received: dict[Tensor, list[Tensor]],
    stopped: set[Tensor],
) -> None:
    gradient = op.opdef.gradient
    if gradient is None:
        if any(t.dtype.is_floating for t in op.outputs):
            raise LookupError(
                f"No gradient defined for operation '{op.name}' (op type: {op.type}, made at "
                f"{op.made_at})"
            )
        return
    graph = op.graph
    before = graph.version
    with graph.name_scope(f"{op.name}_grad".rsplit(graph._scope + "/", 1)[-1]):
        dxs = gradient(op, *dys)
    # Whoever reads the plan or an error wants to see the line of the operation that is
    # differentiated.
    for made in graph._ops[before:]:
        made.source = op.source
    for x, dx in zip(op.inputs, _as_list(dxs), strict=True):
        if dx is not None and x.dtype.is_floating and x not in stopped:
            dx.set_shape(x._shape)  # what broadcasting by a shape only known later has lost
            received.setdefault(x, []).append(dx)
