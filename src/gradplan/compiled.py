"""What a callable is compiled to: programs, optimised once, and their plans by the shapes fed; the
loops among them that run from Python."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradplan import bind, dtypes, errors, loop, passes, probe, schedule, shapes, stages
from gradplan.body import behind
from gradplan.feeds import to_feed
from gradplan.graph import Operation, Tensor
from gradplan.opdef import constant_value, is_variable
from gradplan.passes import extract
from gradplan.plan import Plan
from gradplan.program import Program

if TYPE_CHECKING:
    from gradplan.session import Session

#: Shapes that one callable keeps a plan for.
MAX_PLANS = 16

#: Those that the inside of a loop keeps whose shapes grow: one for each trip, if it is not longer.
MAX_TRIP_PLANS = 512


class Compiled:
    """A program, optimised and ordered once for a pattern of feeds, with a plan for each
    combination of feed shapes, and of the values of those feeds that shapes depend on."""

    def __init__(
        self,
        session: Session,
        stage: stages.Stage,
        places: Mapping[Tensor, Tensor] | None = None,
        most: int = MAX_PLANS,
    ) -> None:
        self._session = session
        self._feeds = stage.feeds
        self._valued = [i for i, t in enumerate(stage.feeds) if t in stage.valued]
        self._optimise = session._config.optimize
        self._most = most
        self._extracted = extract.run(stage.fetches, stage.feeds, stage.targets, stage.done, places)
        schedule.order(self._extracted)  # what cannot be ordered is refused here
        #: The program for each pattern of equal sizes among the feeds, optimised when first met.
        self.programs: dict[Any, tuple[Program, schedule.Schedule]] = {}
        self._plans: OrderedDict[Any, tuple[Plan, Any]] = OrderedDict()
        self.plan: Plan | None = None

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
        key: Any = tuple([a.shape for a in arrays])
        fed = key
        if self._valued:
            key += tuple([arrays[i].tobytes() for i in self._valued])
        if key in self._plans:
            self._plans.move_to_end(key)
            plan, executable = self._plans[key]
        else:
            program, order = self._optimised(fed)
            values = {program.feeds[i]: arrays[i] for i in self._valued}
            binder = bind.Binder(program, fed, self._session, order, self._optimise, values)
            plan = binder.bind()
            threads = self._session._config.intra_op_parallelism_threads
            executable = plan.executable(self._session._state, threads)
            self._plans[key] = plan, executable
            if len(self._plans) > self._most:
                self._plans.popitem(last=False)
        self.plan = plan
        return executable, arrays


class Staged:
    """A program whose shapes depend on values that it computes: its stages are bound and run one
    after the other, and what a later stage takes is handed on."""

    def __init__(
        self,
        session: Session,
        parts: Sequence[stages.Stage],
        feeds: Sequence[Tensor],
        places: Mapping[Tensor, Tensor] | None = None,
        most: int = MAX_PLANS,
    ) -> None:
        self._feeds = list(feeds)
        self._parts = parts
        self._compiled = [Compiled(session, part, places, most) for part in parts]
        taken = {t for part in parts for t in part.feeds}
        taken |= {t for part in parts for op in part.steps for t in op.inputs}
        self._steps = [
            [Stepped(session, op, taken, places or {}) for op in part.steps] for part in parts
        ]

    @property
    def plans(self) -> list[Plan | None]:
        return [c.plan for c in self._compiled]

    looks_at_values = True

    def loop_feeds(self, arrays: Sequence[Any]) -> list[loop.Feed]:
        """The arrays of a loop, checked and converted as a whole."""
        return _loop_feeds(self._feeds, self._parts[-1].fetches, arrays)

    def bind(self, args: Sequence[Any]) -> tuple[Any, tuple[np.ndarray, ...]]:
        """Run all stages but the last; the executable of that, and the arguments that it takes."""
        known = {
            t: a if isinstance(a, Ragged) else to_feed(t, a)
            for t, a in zip(self._feeds, args, strict=True)
        }
        for part, compiled, steps in zip(self._parts, self._compiled, self._steps, strict=True):
            for step in steps:
                step.run(known)
            is_last = part is self._parts[-1]
            if not (is_last or part.fetches or part.targets):
                continue  # there is nothing to it but loops that run from Python
            executable, arrays = compiled.bind([_even(known[t]) for t in part.feeds])
            if not is_last:
                for t, value in zip(part.fetches, executable.run(arrays), strict=True):
                    known[t] = _kept(t, value)
        return executable, arrays

    def run(self, args: Sequence[Any]) -> list[Any]:
        """What the last stage fetches."""
        executable, arrays = self.bind(args)
        return executable.run(arrays)


def _kept(t: Tensor, value: Any) -> Any:
    """A result, as it is fed again."""
    if isinstance(value, Ragged):
        return value
    return np.asarray(value).view(dtypes.Bits) if t.dtype is dtypes.bfloat16 else value


class Ragged(list[Any]):
    """Rows of different shapes, and the error for whoever takes them as one array."""

    def __init__(self, rows: list[Any], refusal: Exception) -> None:
        super().__init__(rows)
        self.refusal = refusal


def _even(value: Any) -> Any:
    if isinstance(value, Ragged):
        raise value.refusal
    return value


def _is_new_array(t: Tensor, value: Any) -> bool:
    return t._shape is None and np.ndim(value) == 2 and np.shape(value)[1] == 0


class Stepped:
    """A loop or conditional that runs from Python: its bodies are programs of their own, bound for
    the shapes that a trip meets.

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
        self._first = op.writes + op.attrs.get("arguments", len(op.inputs))
        self._bodies = []
        for body in op.attrs.get("bodies", ()):
            around = dict(zip(body.taken, op.inputs[self._first :], strict=True))
            inner = {s: places.get(t, t) for s, t in around.items() if is_variable(t)}
            ops = behind(body.outputs)
            given = [t for t in body.inputs if t not in inner]
            chosen = [i for i, t in enumerate(given) if t.op in ops]
            feeds = [given[i] for i in chosen]
            parts = stages.split(body.outputs, feeds, [], body.arguments)
            self._bodies.append((Staged(session, parts, feeds, inner, MAX_TRIP_PLANS), chosen))
        self._steps = {
            "If": self._choose,
            "While": self._repeat,
            "Scan": self._go_through,
            "AddN": self._add,
        }

    def run(self, known: dict[Tensor, Any]) -> None:
        """Put its results into ``known``, which has what it takes."""
        op = self._op
        values = []
        for t in op.inputs[op.writes :]:
            if t not in known and not is_variable(t):
                known[t] = _kept(t, np.asarray(constant_value(t), t.dtype.np))
        arguments = [known[t] for t in op.inputs[op.writes : self._first]]
        given = [known[t] for t in op.inputs[self._first :] if not is_variable(t)]
        values = self._steps[op.type.removeprefix("Stateless")](arguments, given)
        for t, value in zip(op.outputs, values, strict=True):
            known.setdefault(t, _kept(t, value))  # but for what is fed

    def _choose(self, arguments: list[Any], given: list[Any]) -> list[Any]:
        return self._call(0 if arguments[0] else 1, given)

    def _repeat(self, carried: list[Any], given: list[Any]) -> list[Any]:
        most, trips = self._op.attrs["most"], 0
        carried = self._arrays(carried, given)
        while (most is None or trips < most) and self._call(0, [*carried, *given])[0]:
            carried = self._handed_on(self._call(1, [*carried, *given]), trips)
            trips += 1
        return [*carried, np.int64(trips)]

    def _go_through(self, arguments: list[Any], given: list[Any]) -> list[Any]:
        n = self._op.attrs["carried"]
        carried, stacks = arguments[1 : 1 + n], arguments[1 + n :]
        trips = len(stacks[0]) if stacks else int(arguments[0])
        carried = self._arrays(carried, given, 1)
        outs = self._op.outputs[n:]
        body_rows = self._op.attrs["bodies"][0].arguments[1 + n :]
        rows: list[list[Any]] = [[] for _ in outs]
        for at in reversed(range(trips)) if self._op.attrs["reverse"] else range(trips):
            before = carried
            row = [_kept(t, stack[at]) for t, stack in zip(body_rows, stacks, strict=True)]
            out = self._call(0, [np.int64(at), *carried, *row, *given])
            carried = self._handed_on(out[:n], at, 1)
            for t, kept, made in zip(outs, rows, [*out[n:], *before], strict=True):
                if t in self._taken:
                    kept.append(made if isinstance(made, Ragged) else np.asarray(made))
        if self._op.attrs["reverse"]:
            rows = [kept[::-1] for kept in rows]
        return [*carried, *[self._stacked(t, kept) for t, kept in zip(outs, rows, strict=True)]]

    def _add(self, stacks: list[Any], given: list[Any]) -> list[Any]:
        sums = [np.asarray(sum(rows)) for rows in zip(*stacks, strict=True)]
        return [self._stacked(self._op.outputs[0], sums)]

    def _call(self, k: int, values: Sequence[Any]) -> list[Any]:
        """The results of body ``k``, which need not take all."""
        body, chosen = self._bodies[k]
        return body.run([values[i] for i in chosen])

    def _arrays(self, carried: list[Any], given: list[Any], first: int = 0) -> list[Any]:
        """What the first trip takes, ``first`` arguments of the body after others: new arrays,
        whose rows have size 0, as the body fills them."""
        body = self._op.attrs["bodies"][-1]
        places = list(enumerate(body.arguments[first : first + len(carried)]))
        new = [i for i, t in places if _is_new_array(t, carried[i])]
        if not new:
            return carried
        rest = iter(given)
        dims = [t._shape for t in body.arguments]
        dims[first : first + len(carried)] = [np.shape(a) for a in carried]
        for t in body.taken:
            value: Any = None if is_variable(t) else next(rest)
            known = value is not None and not isinstance(value, Ragged)
            dims.append(np.shape(value) if known else t._shape)
        found = body.shapes(body.inputs, dims, lambda i: None, bind.evaluate)
        out = list(carried)
        for i in new:
            shape = shapes.merge(found[i], body.outputs[i]._shape)
            if isinstance(shape, tuple):
                rows = [d or 0 for d in shape[1:]]
                out[i] = _kept(
                    body.arguments[first + i], np.zeros((len(out[i]), *rows), out[i].dtype)
                )
        return out

    def _handed_on(self, results: Sequence[Any], trip: int, first: int = 0) -> list[Any]:
        """What a trip gave, as the next one takes it: of a shape that the loop allows."""
        arguments = self._op.attrs["bodies"][-1].arguments[first:]
        out = []
        for i, (t, value) in enumerate(zip(arguments, results, strict=False)):
            if shapes.merge(t._shape, value.shape) is False:
                raise self._refusal(
                    f"loop variable {i} has shape {shapes.text(value.shape)} after trip {trip}, "
                    f"but its invariant is {shapes.text(t._shape)}: allow for it with "
                    "shape_invariants"
                )
            out.append(_kept(t, value))
        return out

    def _stacked(self, t: Tensor, rows: list[Any]) -> Any:
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
