"""Sums of many tensors, which gradients are when a value is used more than once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan import _core, shapes
from gradplan.dtypes import REALS
from gradplan.graph import at_user_line
from gradplan.opdef import CALL, apply, op
from gradplan.ops.array import identity
from gradplan.ops.constant import convert_to_tensor
from gradplan.tiling import Step, add_in_order, compile_steps, head_of_sum

__all__ = ["add_n"]


@op(
    "AddN",
    CALL,
    types="T* -> T",
    T=REALS,
    flops=lambda attrs, in_shapes: (len(in_shapes) - 1) * shapes.size(in_shapes[0]),
)
def _add_n(inputs: Any, name: str | None = None) -> Any:
    """The sum of all; see :func:`add_n`."""


def add_n(inputs: Any, name: str | None = None) -> Any:
    """The sum of tensors of one shape: ``inputs[0] + inputs[1] + ...``, in one pass over memory.

    Parameters
    ----------
    inputs : list of tensor_like
        At least one; of one type and shape.
    name : str, optional

    Raises
    ------
    ValueError
        If the list is empty, or shapes differ: nothing is broadcast.

    Notes
    -----
    It is rounded as TensorFlow rounds it: from left to right up to nine terms, then by eights.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.add_n([[1, 2], [10, 20], [100, 200]]))
    array([111, 222], dtype=int32)
    """
    if not isinstance(inputs, (list, tuple)) or not inputs:
        raise ValueError(
            at_user_line(
                "add_n: inputs must be a list of at least one Tensor of one type and shape"
            )
        )
    if len(inputs) == 1:
        only = convert_to_tensor(inputs[0])
        return only if name is None else identity(only, name=name)
    return apply(_add_n.opdef, list(inputs), {}, name)


@_add_n.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    out: Any = None
    for i, given in enumerate(in_shapes):
        merged = shapes.merge(out, given)
        if merged is False:
            raise ValueError(
                f"Inputs must have the same size and shape. Input 0: {shapes.text(in_shapes[0])} "
                f"!= input {i}: {shapes.text(given)}"
            )
        out = merged
    return out


@_add_n.lower
def _(binder: Any, op: Any) -> None:
    """One tile program for as many terms as an instruction may have arguments."""
    views, out = [binder.view(t) for t in op.inputs], binder.result(op)
    dtype = out.dtype

    def emit(out: Any, views: Sequence[Any], head: int) -> None:
        steps: list[Step] = []

        def plus(a: int, b: int) -> int:
            steps.append(Step(f"add.{dtype.short}", (a, b), dtype.size))
            return -len(steps)

        add_in_order(range(len(views)), plus, head)
        code = compile_steps(steps, len(views))
        assert code is not None, "a sum of sums needs two registers"
        binder.tile([out], views, code)

    head = head_of_sum(len(views))
    while len(views) >= _core.MAX_ARGS:
        part = binder.scratch(op.name, dtype, out.dims)
        emit(part, views[: head + 8], head)
        views, head = [part, *views[head + 8 :]], 1
    emit(out, views, head)


@_add_n.gradient
def _(op: Any, dy: Any) -> Any:
    return [dy] * len(op.inputs)


@_add_n.batch
def _(op: Any, b: Any) -> Any:
    return b.apply([b.full(i) for i in range(len(op.inputs))])
