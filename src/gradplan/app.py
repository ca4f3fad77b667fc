"""``tf.app``: the start of a program with flags."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

from gradplan import flags

__all__ = ["flags", "run"]


def run(
    main: Callable[[list[str]], Any] | None = None, argv: Sequence[str] | None = None
) -> NoReturn:
    """Read the flags, call ``main`` with what they left of the command line, and exit.

    Parameters
    ----------
    main : callable, optional
        Called with a list, the program's name first; what it returns is the exit status. Default:
        the function ``main`` of the program.
    argv : sequence of str, optional
        Default: ``sys.argv``.

    Raises
    ------
    SystemExit
        Always, as in TensorFlow 1.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.app.run(lambda argv: print(argv), ["program", "data.csv"])
    Traceback (most recent call last):
    SystemExit
    """
    rest = flags.FLAGS(sys.argv if argv is None else argv)
    sys.exit((main or sys.modules["__main__"].main)(rest))
