"""Reverse mode: one walk backwards over the graph that asks every operation for its gradient.

A gradient is made of ordinary operations, so it can be differentiated again. Source: A. Griewank
and A. Walther, *Evaluating Derivatives*, 2nd ed., SIAM 2008, chapter 3.
"""

from __future__ import annotations

import enum
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gradplan import shapes
from gradplan.custom import gradient_of
from gradplan.dtypes import STORED, float32
from gradplan.graph import Graph, Operation, Tensor, default_graph
from gradplan.names import is_within
from gradplan.opdef import HOST, STATE, captured
from gradplan.ops.array import identity, ones_like, zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.indexed_slices import as_slices
from gradplan.ops.partitioned import PartitionedVariable
from gradplan.ops.seeds import like
from gradplan.ops.sums import add_n


class AggregationMethod:
    """How gradients that meet in one tensor are added: TensorFlow 1's choices.

    In gradplan each of them is the sum in one pass over memory, :func:`gp.add_n`.
    """

    ADD_N = 0
    DEFAULT = ADD_N
    EXPERIMENTAL_TREE = 1
    EXPERIMENTAL_ACCUMULATE_N = 2


class UnconnectedGradients(enum.Enum):
    """What :func:`gp.gradients` gives for an x that no y depends on: None, or zeros."""

    NONE = "none"
    ZERO = "zero"


def gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    colocate_gradients_with_ops: bool = False,
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
    unconnected_gradients: Any = UnconnectedGradients.NONE,
) -> list[Any]:
    """The derivatives of the sum of ``ys`` with respect to each of ``xs``.

    Parameters
    ----------
    ys : Tensor or list of Tensor
    xs : Tensor, Variable or list of them
    grad_ys : list of tensor_like, optional
        The weight of every element of ``ys`` in the sum, None for ones. Default: all ones.
    name : str, optional
        The name scope of the new operations.
    colocate_gradients_with_ops : bool, optional
        Accepted as in TensorFlow 1; it changes nothing here.
    gate_gradients : bool, optional
        Give the gradients of one operation the names of TensorFlow's tuples; nothing waits.
    aggregation_method : int, optional
        One of :class:`gp.AggregationMethod`; they are all the same here.
    stop_gradients : list of Tensor, optional
        Tensors to take as constants: what they were computed from gets no gradient through them.
    unconnected_gradients : UnconnectedGradients or {"none", "zero"}, optional
        What stands for an x on which no y depends. Default: None.

    Returns
    -------
    list of Tensor, IndexedSlices or None
        ``sum_j grad_ys[j] * d ys[j] / d x``, of the type and shape of x. It is
        :class:`gp.IndexedSlices` where nothing but rows of x is taken, by ``gather``,
        ``gather_nd``, ``embedding_lookup`` or ``embedding_lookup_sparse``, or by these in loops and
        branches; ``gp.convert_to_tensor`` makes a tensor of them. As in TensorFlow 1 a loop names
        row 0 beside those that it takes, and a branch that did not run all rows, with zeros.

    Raises
    ------
    LookupError
        If an operation on the way has no gradient.
    NotImplementedError
        If an x is a PartitionedVariable, and not the list of its parts.
    TypeError
        If a y is no float, or an x is no tensor.
    ValueError
        If ``grad_ys`` does not match ``ys``, in number or in shape, or an option is unknown.

    Notes
    -----
    Nothing flows through what is no float: a comparison, an index, a cast to integers.

    A branch that was not chosen still counts where its derivative is no number: 0 times infinity
    is NaN. ``gp.where(x > 0, gp.sqrt(x), 0.0)`` has NaN for its gradient at 0. Make the argument
    safe, not the result alone::

        safe = gp.where(x > 0, x, gp.ones_like(x))
        y = gp.where(x > 0, gp.sqrt(safe), gp.zeros_like(x))

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant(3.0)
    >>> first = gp.gradients(x * x * x, x)[0]
    >>> second = gp.gradients(first, x)[0]
    >>> print(*gp.Session().run([first, second]))
    27.0 18.0
    """
    found = dense_gradients(
        ys,
        xs,
        grad_ys,
        name,
        gate_gradients,
        aggregation_method,
        stop_gradients,
        unconnected_gradients,
    )
    return [as_slices(dx) for dx in found]


def dense_gradients(
    ys: Any,
    xs: Any,
    grad_ys: Any = None,
    name: str = "gradients",
    gate_gradients: bool = False,
    aggregation_method: Any = None,
    stop_gradients: Any = None,
    unconnected_gradients: Any = UnconnectedGradients.NONE,
) -> list[Tensor | None]:
    """:func:`gradients` as tensors throughout."""
    y_list = [convert_to_tensor(y) for y in as_list(ys)]
    x_list = [_tensor(x) for x in as_list(xs)]
    try:
        unconnected = UnconnectedGradients(unconnected_gradients)
    except ValueError:
        raise ValueError(
            f"Unknown value for unconnected_gradients: {unconnected_gradients!r}"
        ) from None
    if aggregation_method not in (None, 0, 1, 2):
        raise ValueError(f"Invalid aggregation_method specified {aggregation_method}.")
    if not y_list:
        raise ValueError("gradients: there is no y to differentiate")
    graph = y_list[0].graph
    stops = [_tensor(t) for t in as_list([] if stop_gradients is None else stop_gradients)]
    for t in (*y_list, *x_list):
        if t.graph is not graph and not t.graph.encloses(graph):
            raise ValueError(f"{t} must be from the same graph as {y_list[0]}.")
    with default_graph(graph), graph.name_scope(name or "gradients"):
        seeds = _initial(y_list, grad_ys)
        ends, remade = _remade(graph, x_list, y_list, set(stops))
        found = _walk(y_list, seeds, [*x_list, *ends], stops, gate_gradients)
        out = found[: len(x_list)]
        arrived = [
            (remade[t], d)
            for t, d in zip(ends.values(), found[len(x_list) :], strict=True)
            if d is not None
        ]
        if arrived:  # from there it flows on through what was made again
            ys, seeds = [t for t, _ in arrived], [d for _, d in arrived]
            inner = [remade.get(x, x) for x in x_list]
            more = _walk(ys, seeds, inner, stops, gate_gradients)
            # What arrived at one of xs itself is part of the second already.
            again = set(ends.values())
            out = [
                _sum_of([None if x in again else a, b])
                for x, a, b in zip(x_list, out, more, strict=True)
            ]
    if unconnected is UnconnectedGradients.ZERO:
        return [zeros_like(x) if dx is None else dx for x, dx in zip(x_list, out, strict=True)]
    return out


def _walk(
    ys: Sequence[Tensor],
    seeds: Sequence[Tensor],
    xs: Sequence[Tensor],
    stop_gradients: Sequence[Tensor],
    gate_gradients: bool,
) -> list[Tensor | None]:
    """The gradients with respect to ``xs``, where ``seeds`` are those of ``ys``."""
    graph = ys[0].graph
    inside = [_stand_ins(graph, x, ys) for x in xs]
    stopped = {s for t in stop_gradients for s in _stand_ins(graph, t, [])}
    starts: list[Tensor] = sum(inside, [])
    received: dict[Tensor, list[Tensor]] = {}
    for y, dy in zip(ys, seeds, strict=True):
        received.setdefault(y, []).append(dy)
    totals: dict[Tensor, Tensor] = {}
    path = between(starts, ys, stopped)
    sums_inside: dict[Operation, int] = {}
    wanted = {*starts, *[t for op in path for t in op.outputs]}
    with _only_for(graph, wanted - stopped):
        for op in reversed(path):
            dys = [None if t in stopped else _total(received, totals, t) for t in op.outputs]
            if any([dy is not None for dy in dys]):
                before = graph.version
                _step_back(op, dys, received, gate_gradients)
                if "bodies" in op.attrs:
                    sums_inside[op] = sum(map(_sums_inside, graph._ops[before:]))
    out = [_sum_of([_total(received, totals, x) for x in same]) for same in inside]
    _number(totals, ys, path, sums_inside)
    return out


def _sum_of(terms: Sequence[Tensor | None]) -> Tensor | None:
    found = [dx for dx in terms if dx is not None]
    return _sum(found) if len(found) > 1 else found[0] if found else None


def _remade(
    graph: Graph, xs: Sequence[Tensor], ys: Sequence[Tensor], stopped: set[Tensor]
) -> tuple[dict[Tensor, Tensor], dict[Tensor, Tensor]]:
    """Where ``graph`` is the inside of a loop or conditional: what stands there for tensors from
    around it which depend on ``xs``, each with the tensor; and what is on the paths to these, made
    again inside, so that a gradient can flow on.

    It is for nobody but that gradient. Only what lies on the paths is made again, so nothing is
    drawn anew.
    """
    ends: dict[Tensor, Tensor] = {}
    starts: list[Tensor] = []
    for t, stand_in, around in list(_depending(graph, xs, ys, stopped)):
        if any(_depending(t.graph, xs, [t], stopped)):
            raise ValueError(
                f"Cannot compute gradient inside a loop or conditional through {t}, which depends "
                "on what is around that again: compute it inside."
            )
        ends[stand_in] = t
        starts += around
    known: dict[Tensor, Tensor] = {}
    for op in between(starts, list(ends.values()), stopped):
        if op.type in _READS and _origin(op.outputs[0], starts) in starts:
            continue  # a read: what stands for it stands for the variable
        if op.opdef.kind in (STATE, HOST) or op.writes or "bodies" in op.attrs:
            raise ValueError(
                f"Cannot compute gradient inside a loop or conditional through {op}, which is "
                "computed outside: compute it inside."
            )
        copy = Operation(
            graph,
            op.opdef,
            op.name,
            tuple([known[t] if t in known else captured(graph, _around(t)) for t in op.inputs]),
            op.attrs,
            [(t.dtype, t._shape) for t in op.outputs],
            (),
            op.site,
            op.origin,
        )
        copy.asked, copy.gradient_type = op.asked, op.gradient_type
        known.update(zip(op.outputs, graph.add(copy, hidden=True).outputs, strict=True))
    return ends, known


def _depending(
    graph: Graph, xs: Sequence[Tensor], ys: Sequence[Tensor], stopped: set[Tensor]
) -> Iterator[tuple[Tensor, Tensor, list[Tensor]]]:
    """What ``ys`` take from around ``graph`` that is computed of ``xs`` there: the tensor, what
    stands for it inside, and what stands for ``xs`` where it is computed."""
    around_it = graph.extras.get("captured", {})
    taken = flows_into(ys) if around_it else ()
    for t, stand_in in around_it.items():
        if stand_in in taken:
            near = [x for x in xs if x.graph is t.graph or x.graph.encloses(t.graph)]
            around = [_stand_ins(t.graph, x, [t]) for x in near]
            if any([_origin(t, s) not in s and between(s, [t], stopped) for s in around]):
                yield t, stand_in, sum(around, [])


def _around(t: Tensor) -> Tensor:
    """What ``t`` stands for, outside of all loops and conditionals in which it is captured."""
    for origin, stand_in in t.graph.extras.get("captured", {}).items():
        if stand_in is t:
            return _around(origin)
    return t


_READS = ("ReadVariableOp", "Identity")


def _origin(t: Tensor, xs: Sequence[Tensor]) -> Tensor:
    """What ``t`` is a read or a copy of, as far back as one of ``xs``."""
    while t not in xs:
        before = t.op.inputs[0] if t.op.type in _READS else _around(t)
        if before is t:
            break
        t = before
    return t


@contextmanager
def _only_for(graph: Graph, wanted: set[Tensor]) -> Iterator[None]:
    """Gradients of operations with bodies leave out what else these take: it may be much work."""
    before = graph.extras.get("gradients for")
    graph.extras["gradients for"] = wanted
    try:
        yield
    finally:
        graph.extras["gradients for"] = before


def takes_gradient(op: Operation, t: Tensor) -> bool:
    """Whether a gradient with respect to an input of an operation with bodies is wanted."""
    is_written, wanted = t in op.inputs[: op.writes], op.graph.extras.get("gradients for")
    return t.dtype.is_floating and not is_written and (wanted is None or t in wanted)


def _stand_ins(graph: Graph, x: Tensor, ys: Sequence[Tensor]) -> list[Tensor]:
    """``x`` itself, or what stands for it and for its reads in the inside that ``graph`` is."""
    if not x.graph.encloses(graph):
        return [x]
    out = [captured(graph, x)]
    for t, stand_in in graph.extras["captured"].items():
        if stand_in in out or not (stand_in in ys or between([stand_in], ys, set())):
            continue
        if _origin(t, [x]) is x:
            out.append(stand_in)
    return out


def _tensor(x: Any) -> Tensor:
    if isinstance(x, Tensor):
        return x
    if isinstance(x, PartitionedVariable):
        raise NotImplementedError(
            f"gradients: {x!r} is no variable of its own: take its parts, as a list"
        )
    if not hasattr(x, "_as_graph_element"):
        raise TypeError(f"gradients: a {type(x).__name__} is neither tensor nor variable: {x!r}")
    return x._as_graph_element()


def as_list(value: Any) -> list[Any]:
    """A list or tuple as a list; anything else as the only element of one."""
    return list(value) if isinstance(value, (list, tuple)) else [value]


def _initial(ys: Sequence[Tensor], grad_ys: Any) -> list[Tensor]:
    """What flows into the walk at each y: its weight in the sum that is differentiated."""
    given = [None] * len(ys) if grad_ys is None else as_list(grad_ys)
    if len(given) != len(ys):
        raise ValueError(f"gradients: Passed {len(given)} grad_ys for {len(ys)} ys")
    out = []
    for i, (y, dy) in enumerate(zip(ys, given, strict=True)):
        if not y.dtype.is_floating:
            raise TypeError(f"gradients: {y} is no float and has no derivative (at {y.op.source})")
        if dy is None:
            out.append(ones_like(y, name=f"grad_ys_{i}"))
            continue
        dy = convert_to_tensor(dy, y.dtype, f"grad_ys_{i}/Const")
        if shapes.merge(dy._shape, y._shape) is False:
            raise ValueError(
                f"gradients: grad_y of shape {dy.shape} does not fit {y.op.name} of shape {y.shape}"
            )
        out.append(identity(like(dy, y), name=f"grad_ys_{i}"))
    return out


def between(xs: Sequence[Tensor], ys: Sequence[Tensor], stopped: set[Tensor]) -> list[Operation]:
    """The operations on the paths from ``xs`` to ``ys`` through floats, and those that such a one
    asks for a size of what is on a path; in the order in which they were made."""
    above: set[Operation] = set()
    stack = [y.op for y in ys if y not in stopped]
    while stack:
        op = stack.pop()
        if op not in above:
            above.add(op)
            stack.extend([t.op for t in op.inputs if t not in stopped])
    depends = set(xs)
    reached: set[Operation] = set()
    for op in sorted(above, key=lambda op: op.id):
        if not depends.isdisjoint(op.inputs):
            reached.add(op)
            depends.update([t for t in op.outputs if t.dtype.is_floating and t not in stopped])
    path: set[Operation] = set()
    stack = [y.op for y in ys if y not in stopped and y.op in reached]
    while stack:
        op = stack.pop()
        if op not in path:
            path.add(op)
            stack.extend([t.op for t in op.inputs if t not in stopped and t.op in reached])
    return sorted(path, key=lambda op: op.id)


def flows_into(ys: Sequence[Tensor]) -> set[Tensor]:
    """The floats from which a path through floats leads to ``ys``; these among them."""
    found: set[Tensor] = set()
    stack = list(ys)
    while stack:
        t = stack.pop()
        if t.dtype.is_floating and t not in found:
            found.add(t)
            stack.extend(t.op.inputs)
    return found


def _total(
    received: dict[Tensor, list[Tensor]], totals: dict[Tensor, Tensor], t: Tensor
) -> Tensor | None:
    """The sum of the gradients that arrived at ``t`` from all its consumers."""
    if t not in totals:
        if t not in received:
            return None
        terms = received[t]
        totals[t] = terms[0] if len(terms) == 1 else _sum(terms)
    return totals[t]


def _number(
    totals: dict[Tensor, Tensor],
    ys: Sequence[Tensor],
    path: Sequence[Operation],
    sums_inside: dict[Operation, int],
) -> None:
    """Give sums TensorFlow's numbers: there operations stand in line, each from when all that take
    its results have been walked over. (Here the last one made comes first: fewer gradients live.)
    Those inside of loops and conditionals have numbers, too: after those of what enters these,
    before those of what their bodies take.
    """
    first: dict[Operation, Tensor] = {}  # what a sum is of; it may be handed on as it is
    for t, total in totals.items():
        first.setdefault(total.op, t)
    sums = [made for made in first if _is_sum(made)]
    if len(sums) < 2 and not sums_inside:
        return
    summed: dict[Operation, list[Operation]] = {}
    for made in sums:
        op = first[made].op
        if is_within(op):
            made.graph.rename(made, f"{op.name}_grad/AddN")
        else:
            summed.setdefault(op, []).append(made)
    awaited = Counter([t.op for op in path for t in op.inputs])
    line = [(op, True) for op in dict.fromkeys([y.op for y in ys]) if not awaited[op]]
    on_path, number = set(path), 0
    for op, begins in line:  # it grows; a loop stands in it twice, and so does a sum with reshape
        now: Sequence[Tensor] = op.inputs
        if op in sums_inside:
            split = op.writes + op.attrs["arguments"]
            now = op.inputs[:split] if begins else op.inputs[split:]
            number += 0 if begins else sums_inside[op]
        elif op.type == "SumToShape":
            now = op.inputs[1:] if begins else op.inputs[:1]
            line += [(op, False)] if begins else []
        for made in summed.pop(op, ()) if begins else ():
            made.graph.rename(made, f"AddN_{number}" if number else "AddN")
            number += 1
        for t in now if op in on_path else ():
            awaited[t.op] -= 1
            if not awaited[t.op]:
                line.append((t.op, True))
        if begins and op in sums_inside:
            line.append((op, False))
    for i, made in enumerate(itertools.chain.from_iterable(summed.values()), number):
        made.graph.rename(made, f"AddN_{i}" if i else "AddN")


def _is_sum(op: Operation) -> bool:
    """Whether TensorFlow adds up what arrived; what both branches of a conditional gave as well."""
    scope, _, last = op.name.rpartition("/")
    return last.partition("_")[0] == "AddN" and scope == op.graph._scope


def _sums_inside(op: Operation) -> int:
    """How many sums gradients have made in the bodies of an operation."""
    ops = [o for body in op.attrs.get("bodies", ()) for o in body._ops]
    made = [o for o in ops if re.search(r"gradients(_\d+)?/AddN(_\d+)?$", o.name)]
    return len(made) + sum(map(_sums_inside, ops))


def _sum(terms: Sequence[Tensor]) -> Tensor:
    dtype = terms[0].dtype
    if dtype in STORED:  # kept short, but summed as float32
        return cast(add_n([cast(t, float32) for t in terms], name="AddN"), dtype)
    return add_n(terms, name="AddN")


@contextmanager
def _made_at(op: Operation) -> Iterator[None]:
    """Whoever reads a plan or an error of a gradient wants to see the line of the operation that is
    differentiated."""
    graph = op.graph
    before, graph.site = graph.site, graph.site or op.site
    try:
        yield
    finally:
        graph.site = before


def _step_back(
    op: Operation,
    dys: Sequence[Tensor | None],
    received: dict[Tensor, list[Tensor]],
    gate: bool,
) -> None:
    gradient = gradient_of(op)
    if gradient is None:
        if op.gradient_type is not None or any([t.dtype.is_floating for t in op.outputs]):
            raise LookupError(
                f"No gradient defined for operation '{op.name}' (op type: "
                f"{op.gradient_type or op.type}, made at {op.made_at})"
            )
        return
    graph = op.graph
    before = graph.version
    with graph.name_scope(f"{op.name}_grad".rsplit(graph._scope + "/", 1)[-1]), _made_at(op):
        if "bodies" in op.attrs:
            # what is computed again reads variables when the loop or conditional read them
            with graph.control_dependencies(op.control_inputs):
                dxs = as_list(gradient(op, *dys))
        else:
            dxs = as_list(gradient(op, *dys))
        names = gradient.names(op) if hasattr(gradient, "names") else ()
        names = graph.extras.get("gradient_names", {}).get(op, names)
        named = [
            (dx.op, name)
            for dx, name in zip(dxs, names, strict=False)
            if name and dx is not None and dx.op.id >= before
            if "Reshape" not in dx.op.name.rpartition("/")[2]  # of what was broadcast
        ]
        for made, name in named:
            if name[0] != "/":
                graph.rename(made, name)
        if gate and "bodies" not in op.attrs and sum([dx is not None for dx in dxs]) > 1:
            # TensorFlow's tuple waits for all of them; a plan has no use for that, but names have.
            with graph.name_scope("tuple"):
                dxs = [dx if dx is None else identity(dx, "control_dependency") for dx in dxs]
    for made, name in named:
        if name[0] == "/":
            graph.rename(made, name[1:])
    for i, (x, dx) in enumerate(zip(op.inputs, dxs, strict=True)):
        if dx is None or not x.dtype.is_floating:
            continue
        known = shapes.merge(dx._shape, x._shape)  # broadcasting by a shape not known loses it
        if known is False or dx.dtype is not x.dtype:
            raise ValueError(
                "Incompatible shapes or types between op input and calculated input gradient. "
                f"Forward operation: {op}. Input index: {i}. Original input: {x}. Calculated "
                f"input gradient: {dx}"
            )
        dx._shape = known
        received.setdefault(x, []).append(dx)
