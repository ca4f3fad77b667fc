"""What a callable is compiled to: programs, optimised once, and their plans by the shapes fed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradplan import bind, dtypes, loop, passes, probe, schedule, stages
from gradplan.feeds import to_feed
from gradplan.graph import Tensor
from gradplan.passes import extract
from gradplan.plan import Plan
from gradplan.program import Program

if TYPE_CHECKING:
    from gradplan.session import Session

#: Shapes that one callable keeps a plan for.
MAX_PLANS = 16


class Compiled:
    """A program, optimised and ordered once for a pattern of feeds, with a plan for each
    combination of feed shapes, and of the values of those feeds that shapes depend on."""

    def __init__(self, session: Session, stage: stages.Stage) -> None:
        self._session = session
        self._feeds = stage.feeds
        self._valued = [i for i, t in enumerate(stage.feeds) if t in stage.valued]
        self._optimise = session._config.optimize
        self._extracted = extract.run(stage.fetches, stage.feeds, stage.targets, stage.done)
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
            if len(self._plans) > MAX_PLANS:
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
    ) -> None:
        self._feeds = list(feeds)
        self._parts = parts
        self._compiled = [Compiled(session, part) for part in parts]

    @property
    def plans(self) -> list[Plan | None]:
        return [c.plan for c in self._compiled]

    looks_at_values = True

    def loop_feeds(self, arrays: Sequence[Any]) -> list[loop.Feed]:
        """The arrays of a loop, checked and converted as a whole."""
        return _loop_feeds(self._feeds, self._parts[-1].fetches, arrays)

    def bind(self, args: Sequence[Any]) -> tuple[Any, tuple[np.ndarray, ...]]:
        """Run all stages but the last; the executable of that, and the arguments that it takes."""
        known = {t: to_feed(t, a) for t, a in zip(self._feeds, args, strict=True)}
        for part, compiled in zip(self._parts, self._compiled, strict=True):
            executable, arrays = compiled.bind([known[t] for t in part.feeds])
            if part is not self._parts[-1]:
                for t, value in zip(part.fetches, executable.run(arrays), strict=True):
                    known[t] = value
                    if t.dtype is dtypes.bfloat16:
                        known[t] = np.asarray(value).view(dtypes.Bits)
        return executable, arrays

    def run(self, args: Sequence[Any]) -> list[Any]:
        """What the last stage fetches."""
        executable, arrays = self.bind(args)
        return executable.run(arrays)


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
