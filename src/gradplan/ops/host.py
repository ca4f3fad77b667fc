"""``py_func``: a Python function in the midst of a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradplan import dtypes, errors, shapes
from gradplan.graph import get_default_graph
from gradplan.opdef import HOST, apply, graph_of, op

__all__ = ["py_func"]

#: What TensorFlow 1 makes of what a function raises.
_CLASSES = {
    TypeError: errors.InvalidArgumentError,
    ValueError: errors.InvalidArgumentError,
    StopIteration: errors.OutOfRangeError,
    MemoryError: errors.ResourceExhaustedError,
    NotImplementedError: errors.UnimplementedError,
    Exception: errors.UnknownError,
}
#: Of each result its rank and its dimensions, padded with zeros.
_INFO = 9


@op("PyFunc", HOST, types="any* -> int64", flops=0, fallible=True)
def _call(input: Any, func: Any = None, Tout: Any = (), name: str | None = None) -> Any:
    """Calls ``func`` and keeps what it returns; gives the shapes of that, int64 [results, 9]."""


@_call.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return (len(attrs["Tout"]), _INFO)


@_call.lower
def _(binder: Any, op: Any) -> None:
    func, wanted, kept = op.attrs["func"], op.attrs["Tout"], binder.memory(op)

    def call(*arrays: np.ndarray) -> tuple[np.ndarray]:
        try:
            returned = func(*arrays)
        except errors.OpError:
            raise
        except Exception as error:
            kind = next(k for k in _CLASSES if isinstance(error, k))
            what = f"{type(error).__name__}: {error}"
            raise _refusal(op, what, _CLASSES[kind]) from error
        if returned is None:
            returned = ()
        results = list(returned) if isinstance(returned, (list, tuple)) else [returned]
        if len(results) != len(wanted):
            raise _refusal(op, f"it returned {len(results)} values, Tout has {len(wanted)}")
        info = np.zeros((len(wanted), _INFO), np.int64)
        kept.clear()
        for i, (result, dtype) in enumerate(zip(results, wanted, strict=True)):
            array = np.asarray(result)
            if array.dtype != dtype.np:
                raise _refusal(op, f"value {i} is {array.dtype}, Tout says {dtype.name}")
            if array.ndim >= _INFO:
                raise _refusal(op, f"value {i} has {array.ndim} dimensions, more than {_INFO - 1}")
            info[i, 0], info[i, 1 : 1 + array.ndim] = array.ndim, array.shape
            kept.append(array)
        return (info,)

    binder.host(call, [binder.result(op)], [binder.view(t) for t in op.inputs])


def _refusal(op: Any, what: str, kind: Any = errors.InvalidArgumentError) -> errors.OpError:
    name = getattr(op.attrs["func"], "__name__", "function")
    message = f"PyFunc '{op.name}' calls {name}: {what} (made at {op.made_at})"
    return kind(None, op.origin, message)


@op("PyFuncResult", HOST, types="int64 -> @dtype", flops=0)
def _result(
    info: Any, of: Any = None, index: int = 0, dtype: Any = None, name: str | None = None
) -> Any:
    """Result number ``index`` of the operation ``of``, in the shape that ``info`` tells."""


@_result.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    info = value(0)
    if info is None:
        return None
    row = info[attrs["index"]]
    return tuple(int(d) for d in row[1 : 1 + row[0]])


@_result.lower
def _(binder: Any, op: Any) -> None:
    kept, index = binder.memory(op.attrs["of"]), op.attrs["index"]
    out = op.outputs[0]
    if shapes.merge(out._shape, binder.shape(out)) is False:
        what = f"value {index} has shape {shapes.text(binder.shape(out))}, set_shape said "
        raise _refusal(op.attrs["of"], what + shapes.text(out._shape))
    binder.host(lambda: (kept[index],), [binder.result(op)], [])


def py_func(
    func: Callable[..., Any],
    inp: Any,
    Tout: Any,
    stateful: bool = True,
    name: str | None = None,
) -> Any:
    """Call a Python function in every run, with arrays, and take what it returns into the graph.

    Parameters
    ----------
    func : callable
        Takes an array for each input; returns one value for each type of ``Tout``, of any shape.
    inp : list of tensor_like
    Tout : DType or list of DType
        The exact types of what is returned; an empty list for a function without results.
    stateful : bool, optional
        Accepted as in TensorFlow 1; the function is called once a run in any case.
    name : str, optional

    Returns
    -------
    Tensor, list of Tensor or Operation
        As ``Tout`` says; the operation for an empty list. State the shapes with ``set_shape`` where
        other operations need them.

    Raises
    ------
    TypeError
        If ``func`` is not callable.
    InvalidArgumentError
        In a run where it returns another number or other types of values, or other shapes than
        ``set_shape`` said; and where it raises a TypeError or ValueError. OutOfRangeError for a
        StopIteration, UnimplementedError for a NotImplementedError, ResourceExhaustedError for a
        MemoryError, UnknownError for anything else; what it raised is the cause, with its own
        traceback. No variable is changed then.

    Notes
    -----
    It has no gradient. It runs with the GIL, and costs some microseconds.

    Examples
    --------
    >>> import gradplan as gp, numpy as np
    >>> y = gp.py_func(lambda x: np.sort(x)[::-1], [[1.0, 3.0, 2.0]], gp.float32)
    >>> gp.Session().run(y)
    array([3., 2., 1.], dtype=float32)
    """
    if not callable(func):
        raise TypeError(f"py_func: func must be callable, not {func!r}")
    several = isinstance(Tout, (list, tuple))
    wanted = tuple(dtypes.as_dtype(d) for d in (Tout if several else [Tout]))
    graph = graph_of([*inp, get_default_graph()])
    name = name or ("PyFunc" if stateful else "PyFuncStateless")
    with graph.as_default(), graph.name_scope(name) as scope:
        attrs = {"func": func, "Tout": wanted}
        info = apply(_call.opdef, list(inp), attrs, "call" if wanted else scope)
        out = []
        for i, dtype in enumerate(wanted):
            attrs = {"of": info.op, "index": i, "dtype": dtype}
            out.append(apply(_result.opdef, [info], attrs, "result" if i else scope))
    if not several:
        return out[0]
    return out or info.op
