"""What a callable is compiled to: programs, optimised once, and their plans by the shapes fed; the
loops among them that no plan holds."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from gradplan import _core, bind, errors, loop, passes, probe, schedule, shapes, stages
from gradplan.body import behind
from gradplan.feeds import to_feed
from gradplan.graph import Operation, Tensor
from gradplan.known import constant_value
from gradplan.opdef import is_variable
from gradplan.passes import extract
from gradplan.plan import Plan
from gradplan.program import Program

if TYPE_CHECKING:
    from gradplan.session import Session

#: Bytes of the plans that a program keeps, one for each combination of shapes; a small one has
#: 20,000. Batches of all lengths come again, and so do the trips of a loop whose shapes grow.
PLAN_BYTES = 256 << 20


@contextmanager
def uncollected() -> Iterator[None]:
    """Let Python's collector wait: of the many objects that are made inside nearly all are needed
    to the end, and it would go over them and the whole process again and again."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


class Compiled:
    """A program, optimised and ordered once for a pattern of feeds, with a plan for each
    combination of feed shapes, and of the values of those feeds that shapes depend on."""

    @uncollected()
    def __init__(
        self,
        session: Session,
        stage: stages.Stage,
        places: Mapping[Tensor, Tensor] | None = None,
        check: Callable[[Sequence[Any]], None] | None = None,
    ) -> None:
        self._session = session
        self._feeds = stage.feeds
        self._valued = [i for i, t in enumerate(stage.feeds) if t in stage.valued]
        self._optimise = session._config.optimize
        self._check = check  # of the shapes of what is fetched
        self._extracted = extract.run(stage.fetches, stage.feeds, stage.targets, stage.done, places)
        schedule.check(self._extracted)
        #: The program for each pattern of equal sizes among the feeds, optimised when first met.
        self.programs: dict[Any, tuple[Program, schedule.Schedule]] = {}
        self.executables = _core.Plans(self._make, self._valued, PLAN_BYTES)

    @property
    def plan(self) -> Plan | None:
        """The plan that was used last."""
        last = self.executables.last
        return None if last is None else last.source

    @property
    def plans(self) -> list[Plan | None]:
        return [self.plan]

    @property
    def looks_at_values(self) -> bool:
        """Whether a call with arguments of the same shapes may need another plan."""
        return bool(self._valued)

    def loop_feeds(self, arrays: Sequence[Any]) -> list[loop.Feed]:
        """The arrays of a loop, checked and converted as a whole."""
        return _loop_feeds(self._feeds, self._extracted.fetches, arrays)

    def _optimised(self, fed: Sequence[tuple[int, ...]]) -> tuple[Program, schedule.Schedule]:
        """The program for feeds of these shapes: another batch size finds that of the first."""
        pattern = probe.pattern([t._shape for t in self._feeds], fed) if self._optimise else ()
        if pattern not in self.programs:
            program = self._extracted
            if self._optimise:
                program.pattern, program.sizes = pattern, None  # not those of another pattern
                program = passes.optimise(program)
            self.programs[pattern] = program, schedule.order(program)
        return self.programs[pattern]

    def bind(self, args: Sequence[Any]) -> tuple[Any, tuple[np.ndarray, ...]]:
        """The executable for these arguments, and the arguments as arrays that it takes."""
        arrays = tuple([to_feed(t, a) for t, a in zip(self._feeds, args, strict=True)])
        return self.executables.find(arrays), arrays

    @uncollected()
    def _make(self, arrays: Sequence[Any]) -> _core.Executable:
        """A plan for arrays of new shapes."""
        for a in arrays:
            if isinstance(a, Ragged):
                raise a.refusal
        fed = [a.shape for a in arrays]
        program, order = self._optimised(fed)
        values = {program.feeds[i]: arrays[i] for i in self._valued}
        binder = bind.Binder(program, fed, self._session, order, self._optimise, values)
        plan = binder.bind()
        if self._check is not None:
            self._check(plan.fetch_shapes)
        threads = self._session._config.intra_op_parallelism_threads
        return plan.executable(self._session._state, threads)


class Staged:
    """A program whose shapes depend on values that it computes: its stages are bound and run one
    after the other, and what a later stage takes is handed on."""

    def __init__(
        self,
        session: Session,
        parts: Sequence[stages.Stage],
        feeds: Sequence[Tensor],
        places: Mapping[Tensor, Tensor] | None = None,
        check: Callable[[Sequence[Any]], None] | None = None,
    ) -> None:
        self._feeds = list(feeds)
        self._last = parts[-1]
        self._compiled: list[Compiled] = []
        number = {t: i for i, t in enumerate(feeds)}
        rest: list[np.ndarray | None] = []  # the values after the feeds, as far as they are known

        def numbered(t: Tensor, value: np.ndarray | None = None) -> int:
            if t not in number:
                number[t] = len(number)
                rest.append(value)
            return number[t]

        taken = {t for part in parts for t in part.feeds}
        taken |= {t for part in parts for op in part.steps for t in op.inputs}
        links: list[_core.Link] = []
        for part in parts:
            for op in part.steps:
                given = [t for t in op.inputs[op.writes :] if not is_variable(t)]
                for t in given:
                    if t not in number:
                        numbered(t, np.array(constant_value(t), t.dtype.np, order="C"))
                takes = [number[t] for t in given]
                gives = [-1 if t in number else numbered(t) for t in op.outputs]  # -1: it is fed
                links.append(Stepped(session, op, taken, places or {}).link(takes, gives))
            if part is not self._last and not (part.fetches or part.targets):
                continue  # there is nothing to it but loops that no plan holds
            checked = check if part is self._last else None
            compiled = Compiled(session, part, places, checked)
            self._compiled.append(compiled)
            takes = [number[t] for t in part.feeds]
            gives = [] if part is self._last else [numbered(t) for t in part.fetches]
            links.append(_core.Call(takes, gives, compiled.executables))
        self.chain = _core.Chain(len(self._feeds), rest, links)

    @property
    def plans(self) -> list[Plan | None]:
        return [c.plan for c in self._compiled]

    looks_at_values = True

    def loop_feeds(self, arrays: Sequence[Any]) -> list[loop.Feed]:
        """The arrays of a loop, checked and converted as a whole."""
        return _loop_feeds(self._feeds, self._last.fetches, arrays)

    def bind(self, args: Sequence[Any]) -> tuple[Any, tuple[np.ndarray, ...]]:
        """Run all stages but the last; the executable of that, and the arguments that it takes."""
        return self.chain.bind([to_feed(t, a) for t, a in zip(self._feeds, args, strict=True)])

    def run(self, args: Sequence[Any]) -> list[Any]:
        """What the last stage fetches."""
        executable, arrays = self.bind(args)
        return executable.run(arrays)


class Ragged(list[Any]):
    """Rows of different shapes, and the error for whoever takes them as one array."""

    def __init__(self, rows: list[Any], refusal: Exception) -> None:
        super().__init__(rows)
        self.refusal = refusal


class Stepped:
    """A loop or conditional that no plan holds: its bodies are programs of their own, bound for the
    shapes that a trip meets. It is run by a link of a chain (pyx/chain.pxi).

    Parameters
    ----------
    session : Session
    op : Operation
    taken : set of Tensor
        Those results among others that somebody takes.
    places : dict
        The variables behind placeholders of the body that ``op`` is part of.
    """

    def __init__(
        self,
        session: Session,
        op: Operation,
        taken: set[Tensor],
        places: Mapping[Tensor, Tensor],
    ) -> None:
        self._op, self._taken = op, taken
        self._kind = op.type.removeprefix("Stateless")
        #: Of what is carried: where among the arguments of the body it begins, and the number.
        self._first = self._n = 0
        #: Results of which the trips give a row each.
        self._rows: Sequence[Tensor] = op.outputs
        if self._kind == "While":
            self._n = op.attrs["arguments"]
            self._rows = op.outputs[self._n : -1]
        elif self._kind == "Scan":
            self._first, self._n = 1, op.attrs["carried"]
            self._rows = op.outputs[self._n :]
        self._loop: _core.Loop | None = None
        self._bodies: list[_core.Body] = []
        for body in op.attrs.get("bodies", ()):
            around = op.inputs[op.writes + op.attrs["arguments"] :]
            pairs = zip(body.taken, around, strict=True)
            inner = {s: places.get(t, t) for s, t in pairs if is_variable(t)}
            ops = behind(body.outputs)
            given = [t for t in body.inputs if t not in inner]
            chosen = [i for i, t in enumerate(given) if t.op in ops]
            feeds = [given[i] for i in chosen]
            parts = stages.split(body.outputs, feeds, [], body.arguments)
            check = self._check if body is op.attrs["bodies"][-1] else None
            staged = Staged(session, parts, feeds, inner, check)
            self._bodies.append(_core.Body(staged.chain, chosen))

    def link(self, takes: list[int], gives: list[int]) -> _core.Link:
        """What runs it, on the values with these numbers."""
        attrs = self._op.attrs
        if self._kind == "AddN":
            return _core.Host(takes, gives, self._add)
        if self._kind == "If":
            yes, no = self._bodies
            return _core.If(takes, gives, yes, no)
        n, start = self._n, self._start()
        kept = [t in self._taken for t in self._rows]
        if self._kind == "While":
            condition, body = self._bodies
            most = -1 if attrs["most"] is None else attrs["most"]
            self._loop = _core.While(
                takes, gives, body, n, kept, self._stacked, start, condition, most
            )
            return self._loop
        (body,) = self._bodies
        n_stacks = attrs["arguments"] - 1 - n
        self._loop = _core.Scan(
            takes, gives, body, n, kept, self._stacked, start, n_stacks, attrs["reverse"]
        )
        return self._loop

    def _add(self, stacks: list[Any]) -> list[Any]:
        sums = [np.asarray(sum(rows)) for rows in zip(*stacks, strict=True)]
        return [self._stacked(0, sums)]

    def _start(self) -> Callable[[list[Any]], list[Any]] | None:
        """What completes the values of the first trip: a new array has rows of size 0, and then of
        the size with which the body fills them."""
        body, first = self._op.attrs["bodies"][-1], self._first
        carried = range(first, first + self._n)
        if all([body.arguments[i]._shape is not None for i in carried]):
            return None

        def start(values: list[Any]) -> list[Any]:
            new = [i for i in carried if _is_new_array(body.arguments[i], values[i])]
            if not new:
                return values
            rest = iter(values[len(body.arguments) :])
            dims = [t._shape for t in body.arguments]
            for i in carried:
                dims[i] = np.shape(values[i])
            for t in body.taken:
                value: Any = None if is_variable(t) else next(rest)
                known = isinstance(value, np.ndarray)
                dims.append(value.shape if known else t._shape)
            found = body.shapes(body.inputs, dims, lambda i: None, bind.evaluate)
            out = list(values)
            for i in new:
                shape = shapes.merge(found[i - first], body.outputs[i - first]._shape)
                if isinstance(shape, tuple):
                    rows = [d or 0 for d in shape[1:]]
                    out[i] = np.zeros((len(out[i]), *rows), out[i].dtype)
            return out

        return start

    def _check(self, made: Sequence[tuple[int, ...]]) -> None:
        """Refuse results of the body of shapes that the loop does not allow."""
        arguments = self._op.attrs["bodies"][-1].arguments[self._first :]
        for i, (t, shape) in enumerate(zip(arguments[: self._n], made, strict=False)):
            if shapes.merge(t._shape, shape) is False:
                trip = self._loop.trip if self._loop is not None else 0
                raise self._refusal(
                    f"loop variable {i} has shape {shapes.text(shape)} after trip {trip}, "
                    f"but its invariant is {shapes.text(t._shape)}: allow for it with "
                    "shape_invariants"
                )

    def _stacked(self, number: int, rows: list[Any]) -> Any:
        """Rows that are no array by themselves."""
        t = self._rows[number]
        if not rows:
            dims = t._shape[1:] if t._shape is not None else ()
            return np.zeros((0, *[d or 0 for d in dims]), t.dtype.np)
        for at, row in enumerate(rows):
            if isinstance(row, Ragged):
                return Ragged(rows, row.refusal)
            if row.shape != rows[0].shape:
                what = (
                    f"the rows of one result have shapes {shapes.text(rows[0].shape)} and "
                    f"{shapes.text(row.shape)} (row {at}): they cannot be stacked"
                )
                return Ragged(rows, self._refusal(what))
        return np.stack(rows)

    def _refusal(self, what: str) -> errors.InvalidArgumentError:
        op = self._op.origin
        return errors.InvalidArgumentError(
            None, op, f"{op.type} '{op.name}': {what} (made at {op.made_at})"
        )


def _is_new_array(t: Tensor, value: Any) -> bool:
    return t._shape is None and np.ndim(value) == 2 and np.shape(value)[1] == 0


def _loop_feeds(
    feeds: Sequence[Tensor], fetches: Sequence[Tensor], arrays: Sequence[Any]
) -> list[loop.Feed]:
    if len(arrays) != len(feeds):
        raise TypeError(f"loop: {len(feeds)} feeds, but {len(arrays)} arrays")
    for t in fetches:
        if t._shape not in (None, ()):
            raise ValueError(f"loop: a fetch must be a scalar, but {t.name!r} is {t.shape}")
    out = []
    for t, a in zip(feeds, arrays, strict=True):
        array = to_feed(t, a)
        rows = array.ndim > 0 and (t._shape is None or t._shape[0] is None)
        out.append(loop.Feed(array, rows))
    return out
