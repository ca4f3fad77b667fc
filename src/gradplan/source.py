"""The line of the user's program that is at work: for messages."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import types
from typing import Any

#: Code of the user's program, and an instruction in it.
Site = tuple[types.CodeType, int]

_PACKAGE = os.path.dirname(os.path.abspath(__file__)) + os.sep


class _Inside(dict[str, bool]):
    """Whether a file is gradplan's own: asked some ten times an operation."""

    def __missing__(self, file: str) -> bool:
        inside = self[file] = file.startswith(_PACKAGE)
        return inside


# What `with` calls stands between a scope and the line that opens it.
_inside = _Inside({contextlib.__file__: True})


def at_user_line(message: str) -> str:
    """``message`` with the user's own source line at its end."""
    file, line = user_line()
    return f"{message} (at {file}:{line})"


def site() -> Site:
    """Where the innermost frame outside gradplan is at work."""
    frame = sys._getframe(1)
    while _inside[frame.f_code.co_filename] and (back := frame.f_back) is not None:
        frame = back
    return frame.f_code, frame.f_lasti


def line_of(site: Site) -> tuple[str, int]:
    """File and line of a site. Python looks for a line from the beginning of the code: in a script
    of a thousand lines, for longer than an operation takes to be made."""
    code, at = site
    lines = [line for start, end, line in code.co_lines() if start <= at < end and line]
    return code.co_filename, lines[0] if lines else code.co_firstlineno


def user_line() -> tuple[str, int]:
    """File and line of the innermost frame outside gradplan: the user's own source line."""
    return line_of(site())


# ---- errors of the functions that users call -----------------------------------------------------

#: Where the classes are whose methods are called for every operation or in every run.
_HOT = ("gradplan.graph", "gradplan.session", "gradplan.dtypes")


def locate(namespace: dict[str, Any]) -> None:
    """Let the public functions of a module, and the methods of its public classes, say in their
    errors which of them was called and from where.

    An error that says so already stays as it is, and so does one that comes from a function of the
    user's own.
    """
    for name, value in list(namespace.items()):
        if name.startswith("_") or not getattr(value, "__module__", "").startswith("gradplan."):
            continue
        if isinstance(value, types.FunctionType):
            namespace[name] = located(value)
        elif isinstance(value, type) and value.__module__ not in _HOT:
            for key, method in list(vars(value).items()):
                public = key in ("__init__", "__call__") or not key.startswith("_")
                if public and isinstance(method, types.FunctionType):
                    setattr(value, key, located(method))


@functools.cache
def located(function: Any) -> Any:
    """``function``, whose errors name it and the user's line."""
    if "located" in vars(function):
        return function

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (TypeError, ValueError) as error:
            _complete(error, function)
            raise

    call.located = function  # type: ignore[attr-defined]
    return call


def _complete(error: Exception, function: Any) -> None:
    step: Any = error.__traceback__
    while step is not None:
        if not _inside[step.tb_frame.f_code.co_filename]:
            return
        step = step.tb_next
    if len(error.args) != 1:
        return
    # Of functions that call each other the outermost is named: it is the one that the user knows.
    message = error.plain = getattr(error, "plain", str(error))  # type: ignore[attr-defined]
    name = function.__qualname__.removesuffix(".__init__")
    said = message.lower().replace("_", "")
    if not any([word.lower().replace("_", "") in said for word in name.split(".")]):
        message = f"{name}: {message}"
    file, line = user_line()
    error.args = (message if f"{file}:{line}" in message else f"{message} (at {file}:{line})",)
