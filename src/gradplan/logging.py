"""``tf.logging``: Python's own logging, by TensorFlow 1's names, under the logger ``gradplan``."""

from __future__ import annotations

import logging as _logging
import sys
from collections import Counter
from typing import Any

from gradplan.graph import user_line

DEBUG = _logging.DEBUG
INFO = _logging.INFO
WARN = WARNING = _logging.WARNING
ERROR = _logging.ERROR
FATAL = _logging.FATAL

_logger = _logging.getLogger("gradplan")
_counts: Counter[tuple[str, int]] = Counter()  # how often each line of a program came


class _Stderr(_logging.StreamHandler):  # type: ignore[type-arg]
    """Writes to what ``sys.stderr`` is at that moment, unless the program set up logging itself."""

    def emit(self, record: _logging.LogRecord) -> None:
        if not _logging.getLogger().handlers:
            self.stream = sys.stderr
            super().emit(record)


if not _logger.handlers:
    _logger.addHandler(_Stderr())
    _logger.handlers[0].setFormatter(_logging.Formatter("%(levelname)s:%(name)s:%(message)s"))
    _logger.setLevel(WARN)

debug = _logger.debug
info = _logger.info
warning = warn = _logger.warning
error = _logger.error
fatal = _logger.critical  # a message; it ends nothing
log = _logger.log


def set_verbosity(v: int | str) -> None:
    """Show messages of this level and above.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.logging.set_verbosity(gp.logging.ERROR)
    >>> gp.logging.get_verbosity() == gp.logging.ERROR
    True
    >>> gp.logging.set_verbosity(gp.logging.WARN)
    """
    _logger.setLevel(v)


def get_verbosity() -> int:
    """The level from which on messages are shown; at first ``WARN``."""
    return _logger.getEffectiveLevel()


def log_if(level: int, msg: str, condition: Any, *args: Any) -> None:
    """Log if ``condition`` holds."""
    if condition:
        log(level, msg, *args)


def log_every_n(level: int, msg: str, n: int, *args: Any) -> None:
    """Log at the first call from a line of the program, and at every ``n``-th after it."""
    line = user_line()
    _counts[line] += 1
    log_if(level, msg, (_counts[line] - 1) % n == 0, *args)


def log_first_n(level: int, msg: str, n: int, *args: Any) -> None:
    """Log at the first ``n`` calls from a line of the program."""
    line = user_line()
    _counts[line] += 1
    log_if(level, msg, _counts[line] <= n, *args)


def flush() -> None:
    """Flush what the messages go to."""
    for handler in _logger.handlers:
        handler.flush()
