"""Which loops and conditionals no single plan can hold (``compiled.Stepped`` runs these).

A plan knows every shape before it runs. It cannot hold a loop that carries something of another
shape from each trip to the next, nor a body in which a shape depends on a value that the body
itself computes::

    while_loop(..., lambda i, m: (i + 1, concat([m, m], 0)))          (3, 2), (6, 2), (12, 2), ...
    map_fn(lambda row: reduce_sum(boolean_mask(row, row > 0)))        the mask's count

Whether that is so is decided when the loop is made, with numbers for the sizes that are not known
then, different ones for sizes that may differ: if all is alike under these, the loop runs inside
the plan. Large numbers show what adds to a size, small ones what cuts it off (``x[:9]``).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gradplan import errors
from gradplan.body import Body
from gradplan.graph import Graph, Operation, Tensor
from gradplan.known import assembled
from gradplan.opdef import CALL, infer_shapes
from gradplan.program import is_pure
from gradplan.shapes import Shape, size
from gradplan.stages import MAX_SIZES, is_stepped

#: Stand for sizes of which nothing is known: what an operation makes of sizes that it takes for
#: equal, though they have different numbers; the second where it looks at values besides.
_SOME, _VALUE = 999983, 999979

#: A chain of arithmetic on sizes is not longer.
_MOST_STEPS = 100

Evaluate = Callable[..., list[np.ndarray]]  # bind.evaluate


class Findings(NamedTuple):
    """What a body is like.

    Attributes
    ----------
    stepped : bool
        Whether a shape in it depends on a value that it computes.
    roots : set of Tensor
        Those of its inputs from around it from whose values a shape follows.
    enters, shapes : list of shape
        Of its arguments, and of its outputs.
    """

    stepped: bool
    roots: set[Tensor]
    enters: list[Shape | None]
    shapes: list[Shape | None]

    def unlike(self, other: Findings, benefit: bool = True) -> bool:
        """Whether its outputs have other shapes than those of another body; sizes of which nothing
        is known have the ``benefit`` of the doubt."""
        return _unlike(self.shapes, other.shapes, (_SOME,) if benefit else ())

    def changes(self, bound: Sequence[bool], benefit: bool = True) -> list[bool]:
        """Which arguments have another shape after a trip; or may have it, if not ``bound`` to one
        shape."""
        ignored = (_SOME, _VALUE) if benefit else ()
        return [
            _unlike([a], [b], ignored if sure else ())
            and not (sure and benefit and (a is None or b is None))
            for a, b, sure in zip(self.enters, self.shapes, bound, strict=True)
        ]


class _View:
    """What is found out about the tensors of a graph, as operations are visited in their order."""

    def __init__(self, numbers: Iterator[int], evaluate: Evaluate | None) -> None:
        self._numbers, self._evaluate = numbers, evaluate
        self.shapes: dict[Tensor, Shape | None] = {}
        self.values: dict[Tensor, np.ndarray | None] = {}
        self.looked_at: set[Tensor] = set()  # whose values the last operation's rule took

    def filled(self, shape: Shape | None, number: int | None = None) -> Shape | None:
        """A shape with numbers for what is not known of it."""
        if shape is None or None not in shape:
            return shape
        return tuple([(number or next(self._numbers)) if d is None else d for d in shape])

    def fed(self, t: Tensor) -> np.ndarray | None:
        """Numbers in the place of sizes that are fed."""
        shape = t._shape
        if shape is None or None in shape or len(shape) > 1 or not _is_small(shape):
            return None
        if not t.dtype.is_integer or t.dtype.size < 4:
            return None
        n = size(shape)  # type: ignore[arg-type]
        return np.array([next(self._numbers) for _ in range(n)], t.dtype.np).reshape(shape)  # type: ignore[arg-type]

    def visit(self, op: Operation) -> Sequence[Shape | None]:
        """Find the shapes of its results; those of its rule, or what is known without."""
        given, number = [self.shapes[t] for t in op.inputs], None
        found = self._inferred(op, given)
        if found is None:  # it takes sizes for equal that have different numbers
            number = _VALUE if op.asked else _SOME
            tries = [
                self._inferred(op, [*given[:i], t._shape, *given[i + 1 :]])
                for i, t in enumerate(op.inputs)
                if given[i] != t._shape
            ]
            known = [t._shape for t in op.outputs]
            found = [
                _agreed(shape, [made[k] for made in tries if made is not None])
                for k, shape in enumerate(known)
            ]
        for t, shape in zip(op.outputs, found, strict=True):
            if t not in self.shapes:
                self.shapes[t] = self.filled(_as_set(t, shape), number)
        return found

    def _inferred(
        self, op: Operation, given: Sequence[Shape | None]
    ) -> Sequence[Shape | None] | None:
        self.looked_at = set()

        def value(i: int) -> np.ndarray | None:
            found = self.value(op.inputs[i])
            if found is not None:
                self.looked_at.add(op.inputs[i])
            return found

        try:
            return infer_shapes(op.opdef, op.attrs, given, value, len(op.outputs))
        except (ValueError, TypeError, OverflowError):
            return None

    def value(self, t: Tensor) -> np.ndarray | None:
        """The value of a tensor, if it follows from shapes; if asked to, by computing it."""
        if self._stated(t) is None and t not in self.values:
            value = assembled(t, self.shapes[t], self._stated)
            if value is None and self._evaluate is not None:
                value = self._computed(t)
            self.values[t] = value
        return self.values[t]

    def _stated(self, t: Tensor) -> np.ndarray | None:
        """The value of a constant or of a shape, or one that was found before."""
        static = t.op.opdef.static
        if static is not None and t not in self.values:
            given = [self.shapes[x] for x in t.op.inputs]
            self.values[t] = None if None in given else static(t.op.attrs, given)
        return self.values.get(t)

    def _computed(self, t: Tensor) -> np.ndarray | None:
        leaves: set[Tensor] = set()
        seen, stack = {t}, [t]
        while stack:
            x = stack.pop()
            if not _is_small(self.shapes[x]):
                return None  # no size
            if x.op.opdef.static is not None or x in self.values:
                if self.value(x) is None:
                    return None
                leaves.add(x)
                continue
            kernel = x.op.opdef.kind is CALL and x.op.opdef.kernel  # it counts or looks up: data
            if kernel or not is_pure(x.op) or not x.op.inputs or len(x.op.outputs) > 1:
                return None
            new = [y for y in x.op.inputs if y not in seen]
            seen.update(new)
            stack += new
            if len(seen) > _MOST_STEPS:
                return None
        assert self._evaluate is not None
        try:
            return self._evaluate([t], self.value, leaves)[0]
        except (ValueError, errors.OpError):  # numbers that do not fit each other
            return None


class Sizes:
    """Numbers for the unknown sizes of a graph, and of the bodies in it: what is surely equal has
    one number."""

    def __init__(self, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._views: dict[tuple[Graph, bool], _View] = {}
        self._sources: dict[Tensor, tuple[Shape | None, np.ndarray | None]] = {}

    def view(self, evaluate: Evaluate | None = None) -> _View:
        """A new view with these numbers."""
        return _View(self._numbers, evaluate)

    def around(self, tensors: Sequence[Tensor], evaluate: Evaluate | None = None) -> _View:
        """A view in which there are these tensors, all of one graph."""
        if not tensors:
            return self.view(evaluate)
        graph = tensors[0].op.graph
        view = self._views.setdefault((graph, evaluate is None), self.view(evaluate))
        needed: set[Operation] = set()
        stack = [t.op for t in tensors]
        while stack:
            op = stack.pop()
            if op not in needed and not self._is_seen(op, view):
                needed.add(op)
                stack.extend([t.op for t in op.inputs])
        outside = {}
        if graph.outer is not None:
            outside = {t: x for x, t in graph.extras.get("captured", {}).items()}
        for op in sorted(needed, key=lambda op: op.id):
            if op.inputs or op.opdef.static is not None:
                view.visit(op)
                continue
            for t in op.outputs:
                if t in outside:
                    self.stand_in(view, t, outside[t], evaluate)
                else:
                    self.begin(view, t)
        return view

    @staticmethod
    def _is_seen(op: Operation, view: _View) -> bool:
        """Whether a view has all its results; a gradient may have given it more (effects.py)."""
        return bool(op.outputs) and all([t in view.shapes for t in op.outputs])

    def begin(self, view: _View, t: Tensor) -> None:
        """Let there be what nothing computes: the same in every view."""
        if t not in self._sources:
            # What a loop hands to its body is known in the run alone.
            value = view.fed(t) if t.op.graph.outer is None else None
            self._sources[t] = view.filled(t._shape), value
        shape, view.values[t] = self._sources[t]
        view.shapes[t] = view.filled(_as_set(t, shape))

    def stand_in(
        self, view: _View, t: Tensor, outer: Tensor, evaluate: Evaluate | None = None
    ) -> None:
        """Let ``t`` be in a body what ``outer`` is around it."""
        around = self.around([outer], evaluate)
        view.shapes[t], view.values[t] = around.shapes[outer], around.value(outer)


def sizes_of(graph: Graph) -> Sequence[Sizes]:
    """The numbers for a graph and all that is in it: large ones, and small ones, in two orders
    since what is cut off may come out alike by chance."""
    while graph.outer is not None:
        graph = graph.outer
    if "sizes" not in graph.extras:
        graph.extras["sizes"] = (
            Sizes(itertools.count(1000003, 7919)),
            Sizes(itertools.cycle((2, 3, 4))),
            Sizes(itertools.cycle((3, 2, 5, 4))),
        )
    return graph.extras["sizes"]


def glance(body: Body) -> Findings | None:
    """What can be said at once: where no shape in it depends on a value."""
    if any([op.asked or is_stepped(op) or op.attrs.get("roots") for op in body._ops]):
        return None
    return Findings(False, set(), [], [t._shape for t in body.outputs])


def examine(
    body: Body,
    enters: Sequence[Tensor] | None,
    around: Sequence[Tensor],
    sizes: Sizes,
    evaluate: Evaluate | None = None,
) -> Findings:
    """Go through a body that takes ``enters``, if these are known, in the first trip; ``around`` is
    what ``body.taken`` stands for. ``evaluate`` computes what follows from sizes, which takes
    time."""
    view = sizes.view(evaluate)
    if enters is None:
        for t in body.arguments:
            sizes.begin(view, t)
    else:
        for t, x in zip(body.arguments, enters, strict=True):
            view.shapes[t] = sizes.around([x], evaluate).shapes[x]
            view.values[t] = None
    first = [view.shapes[t] for t in body.arguments]
    for t, x in zip(body.taken, around, strict=True):
        sizes.stand_in(view, t, x, evaluate)
    follows: dict[Tensor, set[Tensor]] = {t: {t} for t in body.taken}  # known when it is bound
    stepped, roots = False, set()
    for op in body._ops:
        if op.outputs and op.outputs[0] in view.shapes:
            continue
        stepped = stepped or is_stepped(op)
        if op.opdef.static is not None:
            follows.update({t: set() for t in op.outputs})
        elif is_pure(op) and op.inputs and all([t in follows for t in op.inputs]):
            origin = set().union(*[follows[t] for t in op.inputs])
            if not (origin and op.opdef.kind is CALL and op.opdef.kernel):  # as in stages.py
                follows.update(dict.fromkeys(op.outputs, origin))
        found = view.visit(op)
        asked = op.attrs.get("roots", ())
        if any([s is None or None in s for s in found]):
            if all([view.shapes[t] is not None for t in op.inputs]):
                asked = op.asked
        for t in [*[op.inputs[i] for i in asked], *view.looked_at]:
            roots |= follows.get(t, set())
            stepped = stepped or t not in follows
    return Findings(stepped, roots, first, [view.shapes[t] for t in body.outputs])


def _as_set(t: Tensor, found: Shape | None) -> Shape | None:
    """The shape found for a tensor, and what ``set_shape`` said of it."""
    if t._shape is None or found is not None and len(found) != len(t._shape):
        return found
    if found is None:
        return t._shape
    return tuple([f if s is None else s for f, s in zip(found, t._shape, strict=True)])


def _agreed(known: Shape | None, found: Sequence[Shape | None]) -> Shape | None:
    """A shape, and those of its sizes on which all agree who found any."""
    if known is None:
        return None
    out = []
    for i, d in enumerate(known):
        said = {s[i] for s in found if s is not None and len(s) == len(known)} - {None}
        out.append(said.pop() if d is None and len(said) == 1 else d)
    return tuple(out)


def _is_small(shape: Shape | None) -> bool:
    return shape is not None and size(shape) <= MAX_SIZES  # type: ignore[arg-type]


def _unlike(
    shapes: Sequence[Shape | None], others: Sequence[Shape | None], ignored: Sequence[int]
) -> bool:
    """Whether shapes differ in more than sizes with these numbers; or are not the same for sure."""

    def differ(m: int | None, n: int | None) -> bool:
        return m not in ignored and n not in ignored and (m != n or n in (_SOME, _VALUE))

    for a, b in zip(shapes, others, strict=True):
        if a is None or b is None:
            if a is not b:
                return True
        elif len(a) != len(b) or any([differ(m, n) for m, n in zip(a, b, strict=True)]):
            return True
    return False
