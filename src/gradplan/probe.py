"""Which unknown sizes are equal, whatever they turn out to be.

A program is optimised for a pattern of its feeds: which of their unknown dimensions are equal to
each other. ``probe`` runs the shape rules once with a large prime in the place of each different
unknown size. Two tensors whose shapes come out alike then have equal shapes for all feeds of the
pattern: no shape rule makes one such number out of others but by passing it on.
"""

from __future__ import annotations

from collections.abc import Sequence

from gradplan.graph import Operation, Tensor
from gradplan.opdef import MAP, infer_shapes
from gradplan.program import Program
from gradplan.shapes import Shape

#: Primes beyond any bound that a slice states, and small enough for int32.
_PRIMES = (
    1073741789, 1073741783, 1073741741, 1073741723, 1073741719, 1073741717, 1073741689, 1073741671,
    1073741663, 1073741651, 1073741621, 1073741567, 1073741561, 1073741527, 1073741503, 1073741477,
)  # fmt: skip

Pattern = tuple["tuple[int, ...] | None", ...]


def pattern(static: Sequence[Shape | None], actual: Sequence[tuple[int, ...]]) -> Pattern:
    """The shapes of the feeds with a prime for each different unknown size.

    Parameters
    ----------
    static : sequence of shape
        What is known of the feeds while the graph is built.
    actual : sequence of tuple of int
        The shapes that are fed.

    Returns
    -------
    tuple of shape or None
        None for a feed of unknown rank, of which nothing is assumed.
    """
    prime_of: dict[int, int] = {}
    out: list[tuple[int, ...] | None] = []
    for known, fed in zip(static, actual, strict=True):
        if known is None:
            out.append(None)
            continue
        dims = []
        for k, d in zip(known, fed, strict=True):
            if k is None and d not in prime_of:
                if len(prime_of) == len(_PRIMES):
                    return (None,) * len(static)
                prime_of[d] = _PRIMES[len(prime_of)]
            dims.append(prime_of[d] if k is None else k)
        out.append(tuple(dims))  # type: ignore[arg-type]
    return tuple(out)


def probe(program: Program) -> dict[Tensor, tuple[int, ...]]:
    """The shapes under the program's pattern; a tensor of which nothing is known is left out.

    Rules that clamp or compare sizes (``x[:5]``, squeeze, the diagonal of a matrix) tell of a large
    prime what does not hold for every size. So they are asked again with small sizes, and what is
    not the same function of the sizes then is left out too.
    """
    if program.sizes is not None:  # a pass has handed them on, but for what it made itself
        for op in program._ops:
            if op.opdef.kind is MAP and op.outputs[0] not in program.sizes:
                if all([t in program.sizes for t in op.inputs]):
                    _find(op, program.sizes)
        return program.sizes
    found = program.sizes = {}
    for t, shape in zip(program.feeds, program.pattern or (), strict=False):
        if shape is not None:
            found[t] = shape
    for op in program._ops:
        if op.outputs and op.outputs[0] in found:
            continue
        _find(op, found)
    used = [p for p in _PRIMES if any(p in s for s in program.pattern if s is not None)]
    if used:
        _keep_what_holds(program, found, dict.fromkeys(used, 0))
        _keep_what_holds(program, found, dict.fromkeys(used, 1))
        _keep_what_holds(program, found, {p: 2 + i for i, p in enumerate(used)})
    return found


def _find(op: Operation, found: dict[Tensor, tuple[int, ...]]) -> None:
    """Put the shapes of the results into ``found``, where they follow."""
    try:
        out = _infer(op, found)
    except (ValueError, TypeError, OverflowError):
        return  # sizes of which the program does not know that they must be equal
    for t, result in zip(op.outputs, out, strict=True):
        if result is not None and None not in result:
            found[t] = result  # type: ignore[assignment]


def _infer(op: Operation, found: dict[Tensor, tuple[int, ...]]) -> Sequence[Shape | None]:
    def value(i: int) -> object:
        t = op.inputs[i]
        static = t.op.opdef.static
        given = [found.get(x) for x in t.op.inputs]
        return static(t.op.attrs, given) if static and None not in given else None

    given = [found.get(t) for t in op.inputs]
    return infer_shapes(op.opdef, op.attrs, given, value, len(op.outputs))


def _keep_what_holds(
    program: Program, found: dict[Tensor, tuple[int, ...]], size_of: dict[int, int]
) -> None:
    """Take from ``found`` what is another function of the sizes where each prime is this small one.

    ``size_of`` grows: it says what each large number became.
    """
    small: dict[Tensor, tuple[int, ...]] = {}
    least = _PRIMES[-1] // 2

    def became(dims: tuple[int, ...]) -> tuple[int | None, ...]:
        return tuple([d if d < least else size_of.get(d) for d in dims])

    def is_plain(op: Operation) -> bool:
        """Whether the rule need not be asked: it is that of elementwise operations, or nothing that
        it sees is another."""
        if op.opdef.kind is MAP:
            return all([t in small for t in op.inputs])
        for t in op.inputs:
            if t not in small or small[t] is not found[t]:
                return False
            if t.op.inputs and t.op.opdef.static is not None:  # its value may be another
                return False
        return True

    for t in program.feeds:
        if t in found:
            small[t] = became(found[t])  # type: ignore[assignment]
    for op in program._ops:
        if not any([t in found for t in op.outputs]) or op.outputs[0] in small:
            continue
        out: Sequence[Shape | None]
        if is_plain(op):
            for t in op.outputs:
                if t in found:
                    same = max(found[t], default=0) < least
                    small[t] = found[t] if same else became(found[t])  # type: ignore[assignment]
            continue
        try:
            out = _infer(op, small)
        except (ValueError, TypeError, OverflowError):  # such sizes are refused: nothing is told
            out = [became(found[t]) if t in found else None for t in op.outputs]
        for t, result in zip(op.outputs, out, strict=True):
            if t not in found:
                continue
            if result is not None and None not in result and len(result) == len(found[t]):
                for large, now in zip(found[t], result, strict=True):
                    if large >= least:
                        size_of.setdefault(large, now)  # type: ignore[arg-type]
                if became(found[t]) == result:
                    same = result == found[t]
                    small[t] = found[t] if same else result  # type: ignore[assignment]
                    continue
            del found[t]
