"""Tile programs: a few elementwise operations that C runs on one tile at a time (csrc/tile.c)."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from gradplan import _core

T = TypeVar("T")

#: Numbers of the tile operations in C, by name.
NUMBERS: dict[str, int] = _core.tile_ops()


class Step(NamedTuple):
    """One line of a tile program.

    Attributes
    ----------
    name : str
        The tile operation, such as ``"add.f32"``.
    operands : tuple of int
        k >= 0 is input k of the group, -1 - i the result of step i.
    size : int
        Bytes of an element of the result.
    """

    name: str
    operands: tuple[int, ...]
    size: int


def compile_steps(
    steps: Sequence[Step],
    n_inputs: int,
    results: Sequence[int] | None = None,
    sums: Sequence[tuple[int, bool]] = (),
) -> tuple[int, ...] | None:
    """The program as C reads it.

    Parameters
    ----------
    steps : sequence of Step
    n_inputs : int
    results : sequence of int, optional
        The steps whose results are the outputs. Default: the last one alone.
    sums : sequence of (int, bool)
        The steps whose results are summed over all elements, and whether it is their mean that is
        wanted.

    Returns
    -------
    tuple of int or None
        ``(steps, temps, (operation, destination, a, b, c) ..., (operand, is mean) ...)``; the
        outputs are the first arguments, then come two for each sum (its value, its blocks), the
        inputs, and the temps. None if it needs more than ``MAX_TEMPS``.
    """
    results = (len(steps) - 1,) if results is None else tuple(results)
    return _compiled(tuple(steps), n_inputs, results, tuple(sums))


@functools.lru_cache(maxsize=1024)  # the groups of an unrolled net are many and alike
def _compiled(
    steps: tuple[Step, ...],
    n_inputs: int,
    results: tuple[int, ...],
    sums: tuple[tuple[int, bool], ...],
) -> tuple[int, ...] | None:
    merged = _with_mul_add(steps, {*results, *[i for i, _ in sums]})
    n_out = len(results) + 2 * len(sums)
    # An output is written once and stays, so what it held is never overwritten by a temp.
    place = {-1 - i: n for n, i in enumerate(results)}
    last_use = {k: i for i, step in enumerate(merged) if step for k in step.operands}
    last_use |= {-1 - i: len(steps) for i, _ in sums}
    free: list[int] = []
    temps = 0
    code = []
    for i, step in enumerate(merged):
        if step is None:
            continue
        operands = [n_out + k if k >= 0 else place[k] for k in step.operands]
        dying = [
            k
            for k in dict.fromkeys(step.operands)
            if k < 0 and last_use[k] == i and place[k] >= n_out
        ]
        # A result may take the place of an operand only if it overwrites it element by element.
        alike = [place[k] for k in dying if steps[-1 - k].size == step.size]
        free += alike
        if -1 - i not in place:
            if free:
                place[-1 - i] = free.pop()
            else:
                place[-1 - i] = n_out + n_inputs + temps
                temps += 1
        free += [place[k] for k in dying if place[k] not in alike]
        code += [NUMBERS[step.name], place[-1 - i], *operands, *[-1] * (3 - len(operands))]
    if temps > _core.MAX_TEMPS:
        return None
    closing = [word for i, mean in sums for word in (place[-1 - i], mean)]
    return (len(code) // 5, temps, *code, *closing)


def _with_mul_add(steps: Sequence[Step], wanted: set[int]) -> list[Step | None]:
    """The steps with a sum that is all that takes a product made one with it: one walk over memory
    for two, and the same bits, since both are rounded. None stands where the product was."""
    out: list[Step | None] = list(steps)
    uses = Counter(k for step in steps for k in step.operands)
    for i, step in enumerate(steps):
        name, _, dtype = step.name.partition(".")
        for at, k in enumerate(step.operands if name == "add" else ()):
            product = out[-1 - k] if k < 0 else None
            alone = uses[k] == 1 and -1 - k not in wanted
            if product is not None and alone and product.name == f"mul.{dtype}":
                operands = (*product.operands, step.operands[1 - at])
                out[i], out[-1 - k] = Step(f"mul_add.{dtype}", operands, step.size), None
                break
    return out


def uses(code: Sequence[int]) -> tuple[dict[int, int], dict[int, int]]:
    """For every argument the step that writes it, and the last step that reads it."""
    written, read = {}, {}
    for i, at in enumerate(range(2, 2 + 5 * code[0], 5)):
        written[code[at + 1]] = i
        for k in code[at + 2 : at + 5]:
            read[k] = i
    return written, read


def head_of_sum(n: int) -> int:
    """How many of ``n`` terms are added one by one before the others come by eights."""
    return n if n <= 9 else {0: 8, 1: 9}.get(n % 8, n % 8)


def add_in_order(terms: Sequence[T], plus: Callable[[T, T], T], head: int) -> T:
    """The sum of ``terms`` by ``plus``, grouped as TensorFlow's AddN groups it, so that the
    roundings are the same: ``head`` terms from left to right, then the sum of each eight more."""

    def row(part: Sequence[T]) -> T:
        total, *rest = part
        for term in rest:
            total = plus(total, term)
        return total

    total = row(terms[:head])
    for i in range(head, len(terms), 8):
        total = plus(total, row(terms[i : i + 8]))
    return total


@functools.cache
def single(name: str, arity: int) -> tuple[int, ...]:
    """The program of one operation."""
    code = compile_steps([Step(name, tuple(range(arity)), 0)], arity)
    assert code is not None
    return code
