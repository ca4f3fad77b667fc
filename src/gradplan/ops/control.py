"""Operations that order others, and those that call back into Python."""

from __future__ import annotations

import builtins
import sys
from typing import Any

import numpy as np

from gradplan import dtypes
from gradplan.dtypes import ALL
from gradplan.graph import Operation, Tensor, at_user_line, get_default_graph
from gradplan.opdef import HOST, VIEW, apply, graph_of, op
from gradplan.ops.array import identity
from gradplan.ops.constant import convert_to_tensor

__all__ = ["Print", "group", "no_op", "tuple"]


@op("NoOp", VIEW, types="->")
def no_op(name: str | None = None) -> Any:
    """An operation that does nothing; run it for the control dependencies it was made under.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.no_op())
    """


@no_op.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return []


def group(*inputs: Any, name: str | None = None) -> Operation:
    """One operation that runs all of ``inputs`` (operations, tensors, variables, or lists of them).

    Examples
    --------
    >>> import gradplan as gp
    >>> a, b = gp.Variable(1.0), gp.Variable(2.0)
    >>> gp.Session().run(gp.group(a.initializer, b.initializer))
    """
    flat: list[Any] = []
    stack = list(reversed(inputs))
    while stack:
        item = stack.pop()
        if isinstance(item, (list, builtins.tuple)):
            stack.extend(reversed(item))
        elif item is not None:
            flat.append(item)
    graph = flat[0].graph if flat and hasattr(flat[0], "graph") else get_default_graph()
    with graph.as_default(), graph.control_dependencies(flat):
        return no_op(name=name or "group_deps")


def tuple(
    tensors: Any, name: str | None = None, control_inputs: Any = None
) -> list[Tensor | Operation | None]:
    """The same tensors, none of which is there before all of them are.

    Parameters
    ----------
    tensors : list of tensor_like, Operation or None
    name : str, optional
    control_inputs : list of Operation or Tensor, optional
        What must have run as well.

    Raises
    ------
    ValueError
        If there is neither a tensor nor an operation.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(1.0)
    >>> read, _ = gp.tuple([v.value() * 1.0, v.assign_add(1.0)])
    >>> with gp.Session() as sess:
    ...     sess.run(v.initializer)
    ...     print(sess.run(read), sess.run(v))
    1.0 2.0
    """
    graph = graph_of([t for t in tensors if not isinstance(t, Operation)])
    with graph.as_default(), graph.name_scope(name or "tuple"):
        given = [
            t if t is None or isinstance(t, Operation) else convert_to_tensor(t) for t in tensors
        ]
        gates = [t for t in given if t is not None]
        if not gates:
            raise ValueError(at_user_line("tuple: tensors must have at least one tensor"))
        out: list[Tensor | Operation | None] = []
        with graph.control_dependencies([group(gates, list(control_inputs or []))]):
            for t in given:
                if t is None:
                    out.append(None)
                elif isinstance(t, Operation):
                    out.append(group(t))
                else:
                    out.append(identity(t, name="control_dependency"))
        return out


@op("Print", HOST, types="T any* -> T", T=ALL, flops=0, fallible=True)
def _print(
    input_: Any,
    data: Any,
    words: Any = (),
    message: str = "",
    first_n: int = -1,
    summarize: int = 3,
    name: str | None = None,
) -> Any:
    """Print to the standard error stream when the tensor is computed; see :func:`Print`."""


@_print.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return in_shapes[0]


@_print.gradient
def _(op: Any, dy: Any) -> Any:
    return (dy, *[None] * (len(op.inputs) - 1))


@_print.batch
def _(op: Any, b: Any) -> Any:
    return b.apply()


@_print.lower
def _(binder: Any, op: Any) -> None:
    attrs = op.attrs
    count = binder.memory(op)  # calls so far, in this session

    def show(*values: np.ndarray) -> None:
        count.append(None)
        if attrs["first_n"] < 0 or len(count) <= attrs["first_n"]:
            readable = (
                dtypes.from_bits(v) if t.dtype is dtypes.bfloat16 else v
                for t, v in zip(op.inputs[1:], values, strict=True)
            )
            shown = "".join(
                _summary(next(readable), attrs["summarize"]) if word is None else f"[{word}]"
                for word in attrs["words"]
            )
            sys.stderr.write(f"{attrs['message']}{shown}\n")

    binder.host(show, [], [binder.view(t) for t in op.inputs[1:]])
    binder.alias(op, binder.view(op.inputs[0]))


def _summary(value: np.ndarray, summarize: int) -> str:
    """The first elements as TensorFlow 1 prints them: ``[1 2 3...]``."""
    n = summarize if summarize >= 0 else value.size
    if value.ndim == 0:
        return f"[{value.item():g}]" if value.dtype.kind == "f" else f"[{value.item()}]"
    rows = []
    left = n
    for row in value.reshape(-1, value.shape[-1] or 1):
        if left <= 0:
            break
        shown = row[:left]
        left -= len(shown)
        items = " ".join(f"{x:g}" if value.dtype.kind == "f" else str(x) for x in shown.tolist())
        rows.append(items + ("..." if len(shown) < len(row) else ""))
    inside = "][".join(rows)
    more = "..." if left <= 0 and n < value.size and not inside.endswith("...") else ""
    return f"[[{inside}]{more}]" if value.ndim > 1 else f"[{inside}]"


def Print(
    input_: Any,
    data: Any,
    message: str | None = None,
    first_n: int | None = None,
    summarize: int | None = None,
    name: str | None = None,
) -> Tensor:
    """``input_``, and a line on the standard error stream each time it is computed.

    Parameters
    ----------
    input_ : tensor_like
        What the result equals.
    data : list of tensor_like or str
        The values to print.
    message : str, optional
        Printed first.
    first_n : int, optional
        Print only so many times in a session. Default: always.
    summarize : int, optional
        Elements printed of each tensor; -1 for all. Default: 3.
    name : str, optional

    Returns
    -------
    Tensor

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([1.0, 2.0])
    >>> x = gp.Print(x, [x, gp.shape(x)], "x: ")  # prints "x: [1 2][2]" when it runs
    """
    graph = graph_of([input_, *data])
    with graph.as_default():
        values = [t for t in data if not isinstance(t, str)]
        inputs = [convert_to_tensor(t) for t in (input_, *values)]
        attrs = {
            "words": builtins.tuple([t if isinstance(t, str) else None for t in data]),
            "message": message or "",
            "first_n": -1 if first_n is None else int(first_n),
            "summarize": 3 if summarize is None else int(summarize),
        }
        return apply(_print.opdef, inputs, attrs, name)
