"""Tile programs: a few elementwise operations that C runs on one tile at a time (csrc/tile.c)."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from gradplan import _core

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


def compile_steps(steps: Sequence[Step], n_inputs: int) -> list[int] | None:
    """The program as C reads it, for one output: the last step's result.

    Returns
    -------
    list of int or None
        ``[steps, temps, (operation, destination, a, b, c) ...]``; argument 0 is the output, 1 + k
        is input k, and the temps follow. None if it needs more than ``MAX_TEMPS`` temps.
    """
    last_use = {}
    for i, step in enumerate(steps):
        for k in step.operands:
            last_use[k] = i
    first_temp = 1 + n_inputs
    place: dict[int, int] = {}  # result of a step -> its register
    free: list[int] = []
    temps = 0
    code = []
    for i, step in enumerate(steps):
        operands = [1 + k if k >= 0 else place[k] for k in step.operands]
        dying = [k for k in dict.fromkeys(step.operands) if k < 0 and last_use[k] == i]
        # A result may take the place of an operand only if it overwrites it element by element.
        alike = [place[k] for k in dying if steps[-1 - k].size == step.size]
        free += alike
        if i == len(steps) - 1:
            target = 0
        elif free:
            target = free.pop()
        else:
            target = first_temp + temps
            temps += 1
        place[-1 - i] = target
        free += [place[k] for k in dying if place[k] not in alike]
        code += [NUMBERS[step.name], target, *operands, *[-1] * (3 - len(operands))]
    if temps > _core.MAX_TEMPS:
        return None
    return [len(steps), temps, *code]


@functools.cache
def single(name: str, arity: int) -> tuple[int, ...]:
    """The program of one operation."""
    code = compile_steps([Step(name, tuple(range(arity)), 0)], arity)
    assert code is not None
    return tuple(code)
