"""The optimiser's table of contents. A pass is a pure function ``run(program) -> program``."""

from __future__ import annotations

from gradplan.passes import (
    accumulate,
    convolution,
    cse,
    epilogue,
    fold,
    fuse,
    reduce,
    replay,
    simplify,
    update,
)
from gradplan.program import Program

#: In the order in which they run, after ``extract`` has made the program.
PASSES = (
    ("replay", replay.run),  # a loop that counts its trips is made once with its gradient
    ("fold", fold.run),  # what only depends on constants is computed now
    ("simplify", simplify.run),  # x * 1 -> x, transposes into the product, and so on
    ("cse", cse.run),  # what is computed twice is computed once
    ("convolution", convolution.run),  # a convolution adds its bias and ends in relu
    ("accumulate", accumulate.run),  # many products that are only added up are one operation
    ("fuse", fuse.run),  # chains of elementwise operations become one tile program
    ("epilogue", epilogue.run),  # and run on the rows of a matrix product while these are in cache
    ("reduce", reduce.run),  # a sum of everything closes the tile program of what it sums
    ("update", update.run),  # and optimizers' steps on those of a weight gradient
)


def optimise(program: Program) -> Program:
    """Run every pass once."""
    for _, run in PASSES:
        program = run(program)
    return program
