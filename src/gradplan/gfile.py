"""``tf.gfile``: files and directories by TensorFlow 1's names, over Python's own modules.

What is missing is ``gp.errors.NotFoundError``, what exists already ``AlreadyExistsError``.
"""

from __future__ import annotations

import functools
import glob
import os
import shutil
from collections.abc import Callable, Iterator
from typing import Any

from gradplan import errors

__all__ = [
    "Copy",
    "DeleteRecursively",
    "Exists",
    "FastGFile",
    "GFile",
    "Glob",
    "IsDirectory",
    "ListDirectory",
    "MakeDirs",
    "MkDir",
    "Open",
    "Remove",
    "Rename",
    "Stat",
    "Walk",
]


def _raises(error: OSError) -> errors.OpError:
    """TensorFlow's exception for the system's."""
    kinds: dict[type[OSError], type[errors.OpError]] = {
        FileNotFoundError: errors.NotFoundError,
        FileExistsError: errors.AlreadyExistsError,
        PermissionError: errors.PermissionDeniedError,
        IsADirectoryError: errors.FailedPreconditionError,
        NotADirectoryError: errors.FailedPreconditionError,
    }
    kind = kinds.get(type(error), errors.FailedPreconditionError)
    return kind(None, None, f"{error.filename}; {error.strerror}")


def _translated(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except OSError as error:
            raise _raises(error) from None

    return call


def Exists(filename: Any) -> bool:
    """Whether there is a file or directory of this name."""
    return os.path.exists(filename)


def IsDirectory(dirname: Any) -> bool:
    """Whether there is a directory of this name."""
    return os.path.isdir(dirname)


@_translated
def MkDir(dirname: Any) -> None:
    """Make a directory in one that exists."""
    os.mkdir(dirname)


@_translated
def MakeDirs(dirname: Any) -> None:
    """Make a directory and those around it; it may exist.

    Examples
    --------
    >>> import gradplan as gp, tempfile
    >>> with tempfile.TemporaryDirectory() as top:
    ...     gp.gfile.MakeDirs(top + "/a/b")
    ...     with gp.gfile.GFile(top + "/a/b/c.txt", "w") as f:
    ...         f.write("one")
    ...     with gp.gfile.GFile(top + "/a/b/c.txt") as f:
    ...         print(f.read(), gp.gfile.ListDirectory(top + "/a"))
    one ['b']
    """
    os.makedirs(dirname, exist_ok=True)


@_translated
def ListDirectory(dirname: Any) -> list[str]:
    """The names in a directory, sorted."""
    return sorted(os.listdir(dirname))


def Glob(filename: Any) -> list[str]:
    """The paths that a pattern, or one of a list of patterns, fits, sorted."""
    patterns = filename if isinstance(filename, (list, tuple)) else [filename]
    return sorted({path for p in patterns for path in glob.glob(os.fspath(p))})


@_translated
def Remove(filename: Any) -> None:
    """Delete a file."""
    os.remove(filename)


@_translated
def DeleteRecursively(dirname: Any) -> None:
    """Delete a directory and all that is in it."""
    shutil.rmtree(dirname)


def _refuse_existing(path: Any, overwrite: bool) -> None:
    if not overwrite and os.path.exists(path):
        raise errors.AlreadyExistsError(None, None, f"{path}; file already exists")


@_translated
def Copy(oldpath: Any, newpath: Any, overwrite: bool = False) -> None:
    """Copy a file; AlreadyExistsError if there is one and ``overwrite`` is not set."""
    _refuse_existing(newpath, overwrite)
    shutil.copyfile(oldpath, newpath)


@_translated
def Rename(oldname: Any, newname: Any, overwrite: bool = False) -> None:
    """Rename a file; AlreadyExistsError if there is one and ``overwrite`` is not set."""
    _refuse_existing(newname, overwrite)
    os.replace(oldname, newname)


class Stat:
    """What is known of a file: ``length`` in bytes, ``mtime_nsec``, ``is_directory``."""

    def __init__(self, filename: Any) -> None:
        try:
            found = os.stat(filename)
        except OSError as error:
            raise _raises(error) from None
        self.length = found.st_size
        self.mtime_nsec = found.st_mtime_ns
        self.is_directory = os.path.isdir(filename)


def Walk(top: Any, in_order: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """``os.walk``: directory, directories in it, files in it; from the top, or from below."""
    return os.walk(os.fspath(top), topdown=in_order)


class GFile:
    """A file, opened when it is first used.

    Parameters
    ----------
    name : str
    mode : str, optional
        As for ``open``: with ``b`` it gives and takes bytes, else text in UTF-8. Default: ``"r"``.
    """

    def __init__(self, name: Any, mode: str = "r") -> None:
        self.name = name
        self.mode = mode
        self._file: Any = None

    def _opened(self) -> Any:
        if self._file is None:
            text = None if "b" in self.mode else "utf-8"
            try:
                self._file = open(self.name, self.mode, encoding=text)
            except OSError as error:
                raise _raises(error) from None
        return self._file

    def read(self, n: int = -1) -> Any:
        """The next ``n`` characters or bytes; by default all that remain."""
        return self._opened().read(n)

    def readline(self) -> Any:
        """The next line, with its end; empty at the end of the file."""
        return self._opened().readline()

    def readlines(self) -> list[Any]:
        """All lines that remain."""
        return self._opened().readlines()

    def write(self, file_content: Any) -> None:
        """Write text or bytes."""
        self._opened().write(file_content)

    def size(self) -> int:
        """The length of the file in bytes."""
        return Stat(self.name).length

    def seek(self, offset: int, whence: int = 0) -> None:
        """Go to a place in the file."""
        self._opened().seek(offset, whence)

    def tell(self) -> int:
        """The place in the file."""
        return self._opened().tell()

    def flush(self) -> None:
        """Write what is held back."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Close the file; one that is written to exists then, even if nothing was written."""
        if self.mode[0] in "wax":
            self._opened()
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> GFile:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._opened())


FastGFile = Open = GFile
