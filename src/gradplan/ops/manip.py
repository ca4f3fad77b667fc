"""The names of ``gp.manip``; each is declared in one of the modules below."""

from gradplan.ops.array import reshape
from gradplan.ops.blocks import batch_to_space_nd, space_to_batch_nd
from gradplan.ops.padding import reverse, roll
from gradplan.ops.shaping import tile

__all__ = ["batch_to_space_nd", "reshape", "reverse", "roll", "space_to_batch_nd", "tile"]
