"""The line of the user's program that is at work: for messages."""

from __future__ import annotations

import os
import sys

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep
_inside: dict[str, bool] = {}  # whether a file is gradplan's own: asked some ten times an operation


def at_user_line(message: str) -> str:
    """``message`` with the user's own source line at its end."""
    file, line = user_line()
    return f"{message} (at {file}:{line})"


def user_line() -> tuple[str, int]:
    """File and line of the innermost frame outside gradplan: the user's own source line."""
    frame = sys._getframe(1)
    while True:
        file = frame.f_code.co_filename
        inside = _inside.get(file)
        if inside is None:
            inside = _inside[file] = file.startswith(_PACKAGE)
        if not inside or frame.f_back is None:
            return file, frame.f_lineno
        frame = frame.f_back
