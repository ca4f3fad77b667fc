"""Loops over the rows of tensors: ``map_fn``, ``scan``, ``foldl``, ``foldr``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradplan import dtypes
from gradplan.control_flow.bodies import call, flatten, pack, results
from gradplan.control_flow.scans import scan_loop
from gradplan.control_flow.tensor_array import stacked, unstacked
from gradplan.graph import Tensor, at_user_line, get_default_graph
from gradplan.opdef import graph_of
from gradplan.ops.array import expand_dims, identity
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.slicing import concat

__all__ = ["foldl", "foldr", "map_fn", "scan"]

_NOTHING = object()


def _over_rows(
    function: Callable[..., Any],
    elems: Any,
    initializer: Any,
    name: str,
    reverse: bool,
    dtype: Any = None,
    fold: bool = False,
) -> Any:
    """What was made in every trip, stacked, after the initial value, if that is the first row
    because none is given; of a fold what is carried at the end."""
    if not callable(function):
        raise TypeError(at_user_line(f"{name}: fn must be callable"))
    graph = graph_of([x for x in flatten(elems) if isinstance(x, Tensor)] or [get_default_graph()])
    with graph.as_default(), graph.name_scope(name):
        stacks = [convert_to_tensor(x) for x in flatten(elems)]
        for x in stacks:
            if x._shape == ():
                raise ValueError(at_user_line(f"{name}: elements must have rows, not be scalars"))
        stacks = [unstacked(x) for x in stacks]
        seeded = initializer is None
        if seeded:
            initializer = pack(elems, [x[-1] if reverse else x[0] for x in stacks])
            stacks = [x[:-1] if reverse else x[1:] for x in stacks]
        maps = initializer is _NOTHING
        carried = [] if maps else [convert_to_tensor(x) for x in flatten(initializer)]
        arguments: list[Any] = [(dtypes.int64, ()), *[(t.dtype, t._shape) for t in carried]]
        arguments += [(t.dtype, None if t._shape is None else t._shape[1:]) for t in stacks]

        def step(trip: Tensor, *leaves: Tensor) -> Any:
            rows = pack(elems, leaves[len(carried) :])
            if maps:
                return function(rows)
            return function(pack(initializer, leaves[: len(carried)]), rows)

        # TensorFlow's loop counts its trips and the rows, from a number or a tensor, and carries an
        # array for each result.
        known = stacks[0]._shape is not None and stacks[0]._shape[0] is not None
        from_number = not maps and (known if reverse else not fold)
        before = ["Const"] * from_number + ["Less", "Less", "LogicalAnd", "Identity"]
        arrays = 0 if fold else len(carried) or len(flatten(elems if dtype is None else dtype))
        names = ["Identity"] * (1 + len(carried)) + ["TensorArrayReadV3"] * len(stacks)
        with graph.name_scope("while"):
            after = ["Identity"] * arrays + ["add"]
            body, returned = call(graph, step, arguments, names, before, after, counts=True)
        like = returned if maps else initializer
        leaves = flatten(returned)
        if not maps and len(leaves) != len(carried):
            raise ValueError(
                at_user_line(
                    f"{name}: fn returned {returned!r}, of another structure than the initial "
                    f"value {initializer!r}"
                )
            )
        types = [None] * len(leaves) if maps else [t.dtype for t in carried]
        if maps and dtype is not None:
            types = [dtypes.as_dtype(d) for d in flatten(dtype)]
            if len(types) != len(leaves):
                raise ValueError(
                    at_user_line(f"{name}: {len(types)} dtypes for {len(leaves)} results")
                )
        results(body, leaves, types)
        if not (maps or fold):
            body.outputs += body.outputs[: len(carried)]
        outs, n = scan_loop(0, body, carried, stacks, "loop", reverse), len(carried)
        if fold:  # the loop of TensorFlow's counts trips and rows first
            return pack(like, [identity(t, f"while/Exit_{i}") for i, t in enumerate(outs[:n], 2)])
        rows = outs[n : n + len(leaves)]
        if seeded:
            pairs = zip([expand_dims(t, 0) for t in carried], rows, strict=True)
            rows = [concat(pair[::-1] if reverse else pair, 0) for pair in pairs]
        return pack(like, [stacked(t) for t in rows])


def map_fn(
    fn: Callable[..., Any],
    elems: Any,
    dtype: Any = None,
    parallel_iterations: int | None = None,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    name: str | None = None,
) -> Any:
    """``fn`` of every row of ``elems``, stacked.

    Parameters
    ----------
    fn : callable
        Of one row, in the structure of ``elems``.
    elems : tensor_like, shape [n, ...], or a structure of them
    dtype : DType or structure of them, optional
        Of what ``fn`` gives, where that has another structure than ``elems``.
    parallel_iterations, back_prop, swap_memory, infer_shape : optional
        Accepted as in TensorFlow 1; they change nothing here.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp, numpy as np
    >>> gp.Session().run(gp.map_fn(lambda x: x * x, np.array([1.0, 2.0, 3.0])))
    array([1., 4., 9.])
    """
    return _over_rows(fn, elems, _NOTHING, name or "map", False, dtype)


def scan(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    infer_shape: bool = True,
    reverse: bool = False,
    name: str | None = None,
) -> Any:
    """``a = fn(a, row)`` for every row of ``elems``: all the values of ``a``, stacked.

    Parameters
    ----------
    fn : callable
        ``fn(a, row)`` gives the next ``a``, of the same structure, types and shapes.
    elems : tensor_like, shape [n, ...], or a structure of them
    initializer : tensor_like or structure, optional
        The first ``a``. Default: the first row, which is then the first result too.
    parallel_iterations, back_prop, swap_memory, infer_shape : optional
        Accepted as in TensorFlow 1; they change nothing here.
    reverse : bool, optional
        Go from the last row to the first. Default: False.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp, numpy as np
    >>> gp.Session().run(gp.scan(lambda a, x: a + x, np.array([1.0, 2.0, 3.0])))
    array([1., 3., 6.])
    """
    return _over_rows(fn, elems, initializer, name or "scan", reverse)


def foldl(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """``a = fn(a, row)`` for every row of ``elems``, from the first to the last: the last ``a``.

    The parameters are those of :func:`scan`.

    Examples
    --------
    >>> import gradplan as gp, numpy as np
    >>> print(gp.Session().run(gp.foldl(lambda a, x: a * 10 + x, np.array([1, 2, 3]))))
    123
    """
    return _over_rows(fn, elems, initializer, name or "foldl", False, fold=True)


def foldr(
    fn: Callable[..., Any],
    elems: Any,
    initializer: Any = None,
    parallel_iterations: int = 10,
    back_prop: bool = True,
    swap_memory: bool = False,
    name: str | None = None,
) -> Any:
    """``a = fn(a, row)`` for every row of ``elems``, from the last to the first: the last ``a``.

    The parameters are those of :func:`scan`.

    Examples
    --------
    >>> import gradplan as gp, numpy as np
    >>> print(gp.Session().run(gp.foldr(lambda a, x: a * 10 + x, np.array([1, 2, 3]))))
    321
    """
    return _over_rows(fn, elems, initializer, name or "foldr", True, fold=True)
