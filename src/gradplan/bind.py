"""Bind: a Program and the concrete shapes of its feeds become a Plan.

Every operation passes the gate again with concrete shapes, in the program's order; then those that
are alive are lowered to instructions in the schedule's order; then memory is laid out.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Collection, Container, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from gradplan import _core, errors, memory, schedule, shapes, tiling
from gradplan.dtypes import DType, int64
from gradplan.graph import Operation, Tensor
from gradplan.known import assembled, constant_value
from gradplan.opdef import HOST, MAP, REGISTRY, VIEW, Kind, infer_shapes
from gradplan.plan import Plan
from gradplan.program import Program, is_pure
from gradplan.views import ARENA, CONST, EXTERN, STATE, Storage, View, collapse, slots


class StateLayout(Protocol):
    """Where a session keeps what lives between runs."""

    def variable(self, op: Operation) -> tuple[int, int]:
        """Offset in bytes and number of a variable."""

    def initialized(self, op: Operation) -> bool:
        """Whether a variable has a value."""

    def random_state(self, op: Operation) -> tuple[int, int]:
        """Offset and number of the state of a random operation."""

    def memory(self, op: Operation) -> list[Any]:
        """A list of the session's own for an operation that calls back into Python."""


#: What more take, each through a look with gaps, is copied to be a part of another result.
PART_TAKERS = 2


class Insn:
    """An instruction before it is encoded.

    ``span`` instructions after it are its own, and ``around`` are the views that live as long as it
    and they run.

    Attributes
    ----------
    kernel : str
    outs, ins : list of View
        An output that is not wanted is None.
    attrs : sequence of int
    op : Operation
    operands : sequence of int or None
        Where ``attrs`` are a tile program: how it calls each of ``ins``; None for one that it does
        not know, such as the factors of a product. Empty for other kernels.
    """

    __slots__ = ("around", "attrs", "ins", "kernel", "op", "operands", "outs", "span", "views")

    def __init__(
        self,
        kernel: str,
        outs: list[Any],
        ins: list[View],
        attrs: Sequence[int],
        op: Operation,
        operands: Sequence[int | None] = (),
    ) -> None:
        self.kernel = kernel
        self.outs = outs
        self.ins = ins
        self.attrs = attrs
        self.op = op
        self.operands = operands
        self.span = 0
        self.around: list[View] = []
        self.views = [v for v in outs if v is not None] + ins


class Binder:
    """Lowers one program for one set of feed shapes; the ``lower`` rules of operations call it."""

    def __init__(
        self,
        program: Program,
        feed_shapes: Sequence[tuple[int, ...]],
        state: StateLayout | None = None,
        order: schedule.Schedule | None = None,
        optimised: bool = True,
        values: Mapping[Tensor, np.ndarray] | None = None,
    ) -> None:
        self.program = program
        self.state = state
        self.insns: list[Insn] = []
        self.hosts: dict[int, Callable[..., Any]] = {}
        self.constants: list[tuple[Storage, np.ndarray]] = []
        self.needs: dict[int, None] = {}  # variables that must have a value, in order
        self.sets: dict[int, None] = {}
        self._order = order or schedule.order(program)
        self.optimised = optimised
        self._shapes: dict[Tensor, tuple[int, ...]] = dict(
            zip(program.feeds, feed_shapes, strict=True)
        )
        # What follows from constants and shapes, and whether it takes shapes to know it.
        self._values: dict[Tensor, np.ndarray] = dict(values or {})  # of feeds, to begin with
        self._known: dict[Tensor, bool] = dict.fromkeys(self._values, True)
        self._views: dict[Tensor, View] = {}
        self._copies: dict[Any, View] = {}
        self._variables: dict[Tensor, View] = {}
        self._asked: set[tuple[Operation, int]] = (
            set()
        )  # inputs known by value when shapes are found
        self._takers: Counter[Tensor] | None = None
        self._places: dict[Tensor, View] = {}
        self._op: Any = None
        self.held: Any = None

    # ---- the three steps -----------------------------------------------------------------------

    def bind(self) -> Plan:
        """Infer, lower, lay out."""
        self._infer()
        if self.program.used is None:  # the same for all shapes
            self.program.used = self._used()
        self._used_tensors, live = self.program.used
        for i, t in enumerate(self.program.feeds):
            nbytes = shapes.size(self._shapes[t]) * t.dtype.size
            storage = Storage(t.op.name, nbytes, EXTERN, 0, i)
            self._views[t] = View(storage, t.dtype, self._shapes[t])
        wanted: dict[Tensor, list[int]] = {}  # the numbers of a fetch
        for i, t in enumerate(self.program.fetches):
            wanted.setdefault(t, []).append(i)
        for t in self._lower_all(live):
            if t in wanted and self.view(t).storage.segment == STATE:
                for i in wanted.pop(t):  # now, before the variable is written
                    self.copy(self._fetch_view(t, i), self.view(t))
        self._fetch(wanted)
        if self.optimised:
            memory.alias(self.insns)
        peak, bound = memory.place(self.insns, reuse=self.optimised)
        return Plan(self, peak, bound)

    def _lower_all(self, live: set[Operation]) -> Iterator[Tensor]:
        """Lower what is alive, in order; yields every result as it is made."""
        if self.optimised:
            self._place_parts(live)
        for op in self._order.ops:
            if op not in live:
                continue
            self._op = op
            self._lower(op)
            for t in op.outputs:
                if t in self._order.snapshots:
                    self._views[t] = self.copied(self._views[t])
                yield t
        self.settle()

    def _place_parts(self, live: set[Operation]) -> None:
        """Let elementwise results that are put together with others (concat, stack) be computed
        where they will lie there, so that nothing is copied. What is looked at much besides stays
        in a row of its own."""
        takers = self._count_takers()
        fetched = set(self.program.fetches)
        for op in self._order.ops:
            if op not in live or op.opdef.parts is None:
                continue
            t = op.outputs[0]
            whole = self.scratch(op.name, t.dtype, self._shapes[t])
            for part, place in op.opdef.parts(self, op, whole):
                if (
                    part.op.opdef.kind is MAP
                    and part.op in live
                    and part not in self._places
                    and part not in fetched
                    and takers[part] <= PART_TAKERS
                ):
                    self._places[part] = place
                    self._places[t] = whole

    def inside(
        self, program: Program, given: Sequence[View], values: Mapping[int, np.ndarray]
    ) -> list[View]:
        """Lower a program that is the inside of the operation at hand: where its results lie.

        Parameters
        ----------
        program : Program
        given : sequence of View
            Where its feeds lie.
        values : dict
            Of feeds, by number, that shapes depend on.
        """
        self.settle()  # which the inside cannot see
        known = {program.feeds[i]: value for i, value in values.items()}
        dims = [v.dims for v in given]
        inner = Binder(program, dims, self.state, None, self.optimised, known)
        inner.insns, inner.hosts, inner.constants = self.insns, self.hosts, self.constants
        inner.needs, inner.sets = self.needs, self.sets
        inner._infer()
        inner._used_tensors, live = inner._used()
        for t, view in zip(program.feeds, given, strict=True):
            inner._views[t] = inner._variables[t] = view
        fetched = set(program.fetches)
        for t in inner._lower_all(live):
            if t in fetched and inner.view(t).storage.segment == STATE:
                inner._views[t] = inner.copied(inner.view(t))
        self._shapes.update(inner._shapes)
        return [inner.view(t) for t in program.fetches]

    def _infer(self) -> None:
        shapes_of = self._shapes
        for op in self._order.ops:
            if op.outputs and op.outputs[0] in shapes_of:
                continue  # a feed
            static = op.opdef.static is not None
            if static or op.inputs and is_pure(op) and all([t in self._known for t in op.inputs]):
                shaped = static and op.inputs or any([self._known[t] for t in op.inputs])
                for t in op.outputs:
                    self._known[t] = bool(shaped)
            given = [shapes_of[t] for t in op.inputs]
            try:
                out = infer_shapes(
                    op.opdef, op.attrs, given, functools.partial(self._ask, op), len(op.outputs)
                )
            except (ValueError, TypeError) as error:
                op, given, reason = _culprit(op, given, error)
                listed = ", ".join(
                    f"{t.op.origin.name} {t.dtype.name}{shapes.text(s)}"
                    for t, s in zip(op.inputs, given, strict=True)
                )
                raise errors.InvalidArgumentError(
                    None,
                    op.origin,
                    f"{op.type} '{op.origin.name}': {reason} (inputs: {listed}; made at "
                    f"{op.made_at})",
                ) from None
            for t, s in zip(op.outputs, out, strict=True):
                if s is None or None in s:
                    raise errors.InvalidArgumentError(
                        None,
                        op.origin,
                        f"{op.type} '{op.origin.name}': its shape {shapes.text(s)} depends on "
                        f"values not known before the run (made at {op.made_at})",
                    )
                shapes_of[t] = s  # type: ignore[assignment]

    def _ask(self, op: Operation, i: int) -> np.ndarray | None:
        """The value of an input, for a shape rule; such an input is not computed by the run."""
        value = self.value(op.inputs[i])
        if value is not None:
            self._asked.add((op, i))
        return value

    def value(self, t: Tensor) -> np.ndarray | None:
        """The value of a tensor, where it follows from constants and shapes alone."""
        if t not in self._known:  # what waits for something else has its value all the same
            return constant_value(t)
        if self._stated(t) is None:
            found = assembled(t, self._shapes[t], self._stated)  # gp.shape(x)[0] * 2, mostly
            if found is None:
                found = evaluate([t], self.value, self._values)[0]
            self._values[t] = found
        return self._values[t]

    def _stated(self, t: Tensor) -> np.ndarray | None:
        """The value of a constant or of a shape, or one that was found before."""
        static = t.op.opdef.static
        if static is not None and t not in self._values and t in self._known:
            value = static(t.op.attrs, [self._shapes[x] for x in t.op.inputs])
            self._values[t] = np.asarray(value, t.dtype.np)
        return self._values.get(t)

    def _used(self) -> tuple[set[Tensor], set[Operation]]:
        """The tensors that the run itself takes, and the operations that it executes.

        An input that was asked for its value is known by now, and so is what follows from shapes.
        Behind these only what has an effect is executed.
        """
        used = set(self.program.fetches)
        live: set[Operation] = set()
        known: set[Operation] = set()
        stack = [t.op for t in used] + list(self.program.targets)
        behind: list[Operation] = []
        while stack or behind:
            if not stack:
                op = behind.pop()
                if op in known or op in live:
                    continue
                known.add(op)
                if op.control_inputs or op.writes or op.opdef.kind is HOST:
                    stack.append(op)
                else:
                    behind.extend([t.op for t in op.inputs])
                continue
            op = stack.pop()
            if op in live:
                continue
            live.add(op)
            stack.extend(op.control_inputs)
            for i, t in enumerate(op.inputs):
                if op.opdef.static is not None or (op, i) in self._asked:
                    behind.append(t.op)
                    continue
                used.add(t)
                if self._folds(t):
                    behind.append(t.op)
                else:
                    stack.append(t.op)
        return used, live

    def _folds(self, t: Tensor) -> bool:
        """Whether arithmetic on shapes is done now, not in the run; a view costs nothing there."""
        return self.optimised and self._known.get(t, False) and t.op.opdef.kind is not VIEW

    def _lower(self, op: Operation) -> None:
        opdef = op.opdef
        if opdef.static is not None or op.outputs and op.outputs[0] in self._views:
            return  # a value known by now, or a feed
        if opdef.lower is not None:
            opdef.lower(self, op)
        elif opdef.parts is not None:
            for t, place in opdef.parts(self, op, self.result(op)):
                self.copy(place, self.view(t))
        elif opdef.kind is MAP:
            self.map(self.result(op), [self.view(t) for t in op.inputs], op)
        elif opdef.kind is VIEW:
            if op.outputs:
                self.alias(op, self.view(op.inputs[0]))
        else:
            views = [self.contiguous(self.view(t)) for t in op.inputs]
            self.emit(opdef.kernel, [self.result(op, i) for i in range(len(op.outputs))], views)

    def _fetch(self, wanted: Container[Tensor]) -> None:
        """Let what is fetched, and wanted still, be computed where it is fetched to; else copy it
        there."""
        n_feeds = len(self.program.feeds)
        for i, t in enumerate(self.program.fetches):
            if t not in wanted:
                continue
            self._op = t.op
            view = self.view(t)
            s = view.storage
            if s.segment == ARENA and s.target is None and view.is_whole():
                s.segment, s.slot = EXTERN, n_feeds + i
            else:
                self.copy(self._fetch_view(t, i), view)

    def _fetch_view(self, t: Tensor, i: int) -> View:
        dims = self._shapes[t]
        nbytes = shapes.size(dims) * t.dtype.size
        slot = len(self.program.feeds) + i
        return View(Storage(t.op.name, nbytes, EXTERN, 0, slot), t.dtype, dims)

    # ---- what the lower rules use --------------------------------------------------------------

    def shape(self, t: Tensor) -> tuple[int, ...]:
        """The concrete shape of a tensor."""
        return self._shapes[t]

    def wanted(self, op: Operation, i: int) -> bool:
        """Whether anybody takes output ``i``; the first is made where nobody takes any."""
        used = [t in self._used_tensors for t in op.outputs]
        return used[i] or not (i or any(used))

    def view(self, t: Tensor) -> View:
        """Where a tensor lies."""
        view = self._views.get(t)
        if view is None:
            value = self.value(t)
            assert value is not None, f"{t} is taken before it is made"
            view = self._views[t] = self.constant(t.op.name, t.dtype, value)
        return view

    def alias(self, op: Operation, view: View, i: int = 0) -> None:
        """Let the operation's result ``i`` be ``view``: no instruction."""
        self._views[op.outputs[i]] = view

    def result(self, op: Operation, i: int = 0) -> View:
        """The memory for output ``i``: new, without gaps, in row-major order; or a part of another
        result of which it is all that is taken."""
        t = op.outputs[i]
        name = op.attrs["names"][i] if "names" in op.attrs else op.name
        view = self._places.get(t) or self.scratch(name, t.dtype, self._shapes[t])
        self._views[t] = view
        return view

    def scratch(self, name: str, dtype: DType, dims: tuple[int, ...]) -> View:
        """New memory that is no operation's result."""
        return View(Storage(name, shapes.size(dims) * dtype.size), dtype, dims)

    def constant(self, name: str, dtype: DType, value: Any) -> View:
        """A value that is known by now, kept with the plan."""
        array = np.asarray(value, dtype.np)
        dims, strides = array.shape, None
        if array.size and not any(array.strides):  # one number for all of them
            array, strides = array.flat[:1], (0,) * len(dims)
        storage = Storage(name, array.nbytes, CONST)
        self.constants.append((storage, array))
        return View(storage, dtype, dims, strides)

    def written(self, op: Operation, i: int = 0) -> View:
        """The variable that the operation writes as its input ``i``; its result lies there too."""
        view = self.variable(op.inputs[i])
        if i < len(op.outputs):
            self._views[op.outputs[i]] = view
        return view

    def taken_over(self, op: Operation) -> View:
        """The place of the first input, which the result then has too, if nobody else takes that;
        else a copy of it."""
        t, view = op.inputs[0], self.view(op.inputs[0])
        if view.dense and view.storage.segment == ARENA and self._count_takers()[t] == 1:
            self.alias(op, view)
            return view
        out = self.result(op)
        self.copy(out, view)
        return out

    def _count_takers(self) -> Counter[Tensor]:
        if self._takers is None:
            # what follows from a shape takes nothing
            ops = [op for op in self.program._ops if op.opdef.static is None]
            self._takers = Counter(x for op in ops for x in op.inputs)
            self._takers.update(self.program.fetches)
        return self._takers

    def contiguous(self, view: View) -> View:
        """``view`` itself if it is row-major without gaps, else a copy."""
        if view.dense:
            return view
        key = (id(view.storage), view.offset, view.dims, view.strides)
        if view.storage.segment == STATE:
            return self.copied(view)  # the variable may be written between two uses
        if key not in self._copies:
            self._copies[key] = self.copied(view)
        return self._copies[key]

    def copied(self, view: View) -> View:
        """A copy, row-major and without gaps."""
        new = self.scratch(view.storage.name, view.dtype, view.dims)
        self.copy(new, view)
        return new

    def copy(self, out: View, x: View) -> None:
        """An instruction that copies elements, both of any strides; or none if they lie there."""
        if x.lies_at(out):
            return
        self.tile([out], [x], tiling.single(f"copy.{x.dtype.short}", 1))

    def add(self, out: View, x: View) -> None:
        """An instruction that adds ``x`` to what ``out`` holds; no two elements of which are
        one."""
        self.tile([out], [out, x], tiling.single(f"add.{x.dtype.short}", 2))

    def matrices(self, attrs: Mapping[str, Any], factors: Sequence[Tensor]) -> list[View]:
        """The factors of a product as BLAS reads them: transposed where its attributes say so."""
        out = []
        for t, flag in zip(factors, ("transpose_a", "transpose_b"), strict=True):
            view = self.view(t).transposed((1, 0)) if attrs[flag] else self.view(t)
            out.append(view if view.is_blas_matrix() else self.contiguous(view))
        return out

    def map(self, out: View, views: list[View], op: Operation) -> None:
        """An instruction that computes one elementwise operation."""
        name = op.opdef.tile_name([v.dtype for v in views], out.dtype)
        self.tile([out], views, tiling.single(name, len(views)))

    def tile(
        self, outs: list[View], views: list[View], code: Sequence[int], sums: Sequence[View] = ()
    ) -> None:
        """An instruction that runs a tile program over one shape, that of all ``outs``.

        ``sums`` are the places for the sums that ``code`` tells of.
        """
        dims = outs[0].dims if outs else tuple(np.broadcast_shapes(*[v.dims for v in views]))
        wide = [v.broadcast(dims) for v in views]
        if any(out.storage.segment == STATE for out in outs):
            # A transposed look at the variable itself would see what was written already.
            out = outs[0]
            wide = [
                self.copied(v)
                if v.storage is out.storage and (v.offset, v.strides) != (out.offset, out.strides)
                else v
                for v in wide
            ]
        flat = collapse([*outs, *wide])
        blocks = -(-shapes.size(dims) // _core.SUM_BLOCK)
        apart = [self.scratch(s.storage.name, s.dtype, (blocks,)) for s in sums]
        results, n = [*flat[: len(outs)], *sums, *apart], len(outs)
        operands = range(len(results), len(results) + len(wide))
        kernel = "tile_sum" if sums else "tile"
        size = flat[0].size
        if not sums and 0 < size <= _core.SMALL_TILE and all([v.is_row_or_one() for v in flat]):
            spread = [k for k, v in enumerate(flat) if v.strides == (0,) and size > 1]
            kernel, code = "tile_small", [*code, size, sum([1 << k for k in spread])]
        self.emit(kernel, results, flat[n:], code, operands=operands)

    def emit(
        self,
        kernel: Any,
        outs: list[Any],
        ins: list[View],
        attrs: Sequence[int] = (),
        operands: Sequence[int | None] = (),
        updates: bool = False,
        unset: bool = False,
    ) -> Insn:
        """Append an instruction; ``updates`` says that it reads its outputs too, ``unset`` that it
        knows how to take variables without a value."""
        if self.held is not None and not self.held.may_wait(outs, ins):
            self.settle()
        self._touch([] if unset else (ins + outs) if updates else ins, outs)
        insn = Insn(kernel, outs, ins, attrs, self._op, operands)
        self.insns.append(insn)
        return insn

    def emit_around(self, kernel: str, outs: list[Any], ins: list[View], attrs: Any = ()) -> Insn:
        """Append an instruction that runs those after it."""
        self.settle()
        return self.emit(kernel, outs, ins, attrs)

    def hold(self, group: Any) -> None:
        """Keep a group of operations open to those that follow, until an instruction is emitted of
        which ``group.may_wait(outs, ins)`` is false: ``group.emit(binder)`` comes before that."""
        self.settle()
        self.held = group

    def settle(self) -> None:
        """Emit what is held."""
        if self.held is not None:
            group, self.held = self.held, None
            op, self._op = self._op, group.op
            group.emit(self)
            self._op = op

    def _touch(self, read: list[Any], written: list[Any]) -> None:
        """Note which variables must have a value before the run, and which have one after it."""
        for slot in slots(read):
            if slot not in self.sets:
                self.needs.setdefault(slot)
        for slot in slots(written):
            self.sets.setdefault(slot)

    def host(
        self,
        function: Callable[..., Any],
        outs: list[View],
        ins: list[View],
        unset: bool = False,
    ) -> None:
        """An instruction that calls ``function(*arrays)``, with the GIL; see :meth:`emit`."""
        self.emit("host", outs, ins, unset=unset)
        self.hosts[len(self.insns) - 1] = function

    def memory(self, op: Operation) -> list[Any]:
        """The session's own list for this operation."""
        return [] if self.state is None else self.state.memory(op.origin)

    def random_state(self, op: Operation) -> View:
        """Key and counter of a random operation, int64 [2], which advances them."""
        if op.opdef.kind is not Kind.STATE:
            return self.copied(self.view(op.inputs[-1]))
        assert self.state is not None
        offset, number = self.state.random_state(op.origin)
        storage = Storage(f"{op.name} state", 16, STATE, offset, number)
        return View(storage, int64, (2,))

    def variable(self, t: Tensor) -> View:
        """Where the session keeps a variable; ``t`` is the result of its operation."""
        view = self._variables.get(t)
        if view is None:
            assert self.state is not None
            dims = self._shapes[t]
            offset, number = self.state.variable(t.op.origin)
            nbytes = shapes.size(dims) * t.dtype.size
            storage = Storage(t.op.name, nbytes, STATE, offset, number)
            view = self._variables[t] = View(storage, t.dtype, dims)
        return view


def _culprit(op: Operation, given: Any, error: Exception) -> tuple[Operation, Any, Exception]:
    """The operation at fault: of a fused group, the member whose inputs do not fit."""
    shape_of = dict(zip(op.attrs.get("taken", ()), given, strict=False))
    for member in op.attrs.get("members", ()):
        inner = [shape_of[t] for t in member.inputs]
        try:
            shape_of[member.outputs[0]] = infer_shapes(
                member.opdef, member.attrs, inner, lambda i: None
            )[0]
        except (ValueError, TypeError) as first:
            return member, inner, first
    return op, given, error


# ---- evaluation without a session ----------------------------------------------------------------


def evaluate(
    tensors: Sequence[Tensor],
    value: Callable[[Tensor], Any] = constant_value,
    given: Collection[Tensor] = (),
) -> list[np.ndarray]:
    """The values of tensors that depend on known ones alone, by the unoptimised path.

    Parameters
    ----------
    tensors : sequence of Tensor
    value : callable
        The value of a tensor whose operation has a ``static`` rule, or that is in ``given``.
    given : collection of Tensor, optional
    """

    def is_leaf(op: Operation) -> bool:
        if op.opdef.static is not None:  # the shape of what has none yet is found here
            return all([value(t) is not None for t in op.outputs])
        return all([t in given for t in op.outputs])

    out = Program()
    copies: dict[Tensor, Tensor] = {}
    needed: set[Operation] = set()
    stack = [t.op for t in tensors]
    while stack:
        op = stack.pop()
        if op not in needed:
            needed.add(op)
            if not is_leaf(op):
                stack.extend([t.op for t in op.inputs])
    for op in sorted(needed, key=lambda op: op.id):
        if not is_leaf(op):
            made = out.again(op, [copies[t] for t in op.inputs])
            copies.update(zip(op.outputs, made.outputs, strict=True))
            continue
        for t in op.outputs:
            known = np.asarray(value(t), t.dtype.np)
            attrs = {"value": known, "dtype": t.dtype}
            made = out.make(REGISTRY["Const"], (), attrs, [(t.dtype, known.shape)], op)
            copies[t] = made.outputs[0]
    out.fetches, out.names = [copies[t] for t in tensors], [t.name for t in tensors]
    plan = Binder(out, [], optimised=False).bind()
    return [np.asarray(v) for v in plan.executable(_core.State()).run(())]
