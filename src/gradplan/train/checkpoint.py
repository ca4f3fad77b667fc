"""The checkpoint file: named arrays in an uncompressed ``.npz``, complete or absent.

This module knows files and nothing of graphs; :class:`Saver` stands on it.

A checkpoint is a zip archive of ``.npy`` members that a bare ``np.load`` opens. Two things are done
otherwise than ``np.savez`` and ``np.load`` do them:

*Writing* goes to a temporary file beside the target, which is flushed to the disk and then renamed
over it, so that whoever looks sees the old file or the new one, whatever happens in between. (A
process killed meanwhile leaves a ``.NAME.*.tmp`` behind, which may be deleted.) Equal arrays give
equal bytes.

*Reading* trusts nothing. The members must tile the file exactly, each one's header is matched
against one pattern and its length against its shape before memory is taken, the CRC is checked and
nothing is ever unpickled. Since only stored (not compressed) members are read, no file can ask for
more memory than its own size.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import zlib
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from .. import errors

StrPath = str | os.PathLike[str]
Spec = tuple[np.dtype[Any], tuple[int, ...]]

SUFFIX = ".npz"
STATE_FILE = "checkpoint"

_TYPES = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8")
_MAX_RANK = 32
_MAX_BYTES = 2**47  # more than any machine maps: also bounds the dimensions beside a zero
_MAX_HEADER = 4096  # NumPy writes 118 bytes; 32 dimensions of 20 digits take some 800
_MAX_NAME = 4096
_UTF8_NAME = 0x800  # zip flag: the member's name is UTF-8; no other flag is expected

_NPY_MAGIC = b"\x93NUMPY\x01\x00"
_NPY_HEADER = re.compile(
    rb"\{'descr': '([^']*)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\),? ?\} *\n"
)
_ZIP_ERRORS = (  # all but its own that zipfile lets through for a directory of arbitrary bytes
    struct.error,
    ValueError,
    OverflowError,
    NotImplementedError,
    EOFError,
    MemoryError,
)
_LOCAL_HEADER = struct.Struct("<4s2xH18xHH")  # magic, flags, length of name, length of extra


# ---------------------------------------------------------------------------------------- writing


@contextmanager
def _replacing(path: StrPath) -> Iterator[BinaryIO]:
    """Open a temporary file that takes the place of ``path`` when the block ends well."""
    path = os.path.abspath(path)
    directory, base = os.path.split(path)
    temporary = os.path.join(directory, f".{base[:200]}.{os.urandom(6).hex()}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _sync_directory(directory)


def _sync_directory(directory: str) -> None:
    """Make a rename inside ``directory`` survive a loss of power."""
    if os.name != "posix":  # elsewhere a directory cannot be opened, and need not be
        return
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that has no such thing
            raise
    finally:
        os.close(fd)


def _check_name(name: str) -> None:
    """Refuse a name that no zip tool should be asked to unpack."""
    bad = not isinstance(name, str) or not name or name[0] == "/" or "\0" in name or "\\" in name
    if bad or ".." in name.split("/") or len(name.encode()) > _MAX_NAME:
        raise ValueError(f"{str(name)[:80]!r} cannot name an array in a checkpoint")


def write_arrays(path: StrPath, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays to ``path``, all or nothing.

    Parameters
    ----------
    path : str or path
        The file, with its ``.npz``. An existing one is replaced once the new one is complete.
    arrays : mapping of str to ndarray
        Booleans, integers and floats of any shape and memory layout, by name.

    Raises
    ------
    ValueError
        A name is no relative path (empty, absolute, with ``..``, NUL or a backslash), is there
        twice, or an array is of another type. Nothing is written then.
    OSError
        The system failed the write. The old file, if there was one, is still there.
    """
    ready: dict[str, np.ndarray] = {}
    for name, value in arrays.items():
        _check_name(name)
        if name in ready:
            raise ValueError(f"two arrays of the name {name!r}")
        array = np.asarray(value)
        if array.dtype.str[1:] not in _TYPES:
            raise ValueError(f"{name!r} is of type {array.dtype}, which a checkpoint cannot hold")
        ready[name] = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    import zipfile  # here: it takes a tenth of the time that importing gradplan does

    with _replacing(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, array in ready.items():
            member = zipfile.ZipInfo(name + ".npy")  # dated 1980, so that equal arrays give
            member.create_system = 3  # equal bytes on every system
            with archive.open(member, "w", force_zip64=array.nbytes >= 2**31 - 2**16) as out:
                out.write(_npy_header(array))
                out.write(array.reshape(-1).view(np.uint8).data)


def _npy_header(array: np.ndarray) -> bytes:
    """Return the ``.npy`` header, padded so that the data starts at a multiple of 64 bytes."""
    text = f"{{'descr': '{array.dtype.str}', 'fortran_order': False, 'shape': {array.shape}, }}"
    length = len(_NPY_MAGIC) + 2 + len(text) + 1
    text += " " * (-length % 64) + "\n"
    return _NPY_MAGIC + struct.pack("<H", len(text)) + text.encode("ascii")


# ---------------------------------------------------------------------------------------- reading


class _Member(NamedTuple):
    """A member's whereabouts: its .npy bytes are ``file[start:start + size]``."""

    start: int
    size: int
    crc: int


class _Damaged(Exception):
    """What is wrong with a file; the caller adds which file."""


def _members(file: BinaryIO) -> dict[str, _Member]:
    """List the arrays of an archive after checking that its members tile it from end to end.

    Zip directories are easily made to overlap, hide or repeat members. One whose members lie end
    to end from the first byte to the directory, each header agreeing with it, can do none of that.
    """
    import zipfile

    try:
        with zipfile.ZipFile(file) as archive:
            infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
            directory = archive.start_dir
    except (zipfile.BadZipFile, *_ZIP_ERRORS) as error:
        raise _Damaged(f"it is no complete .npz archive ({error})") from None
    found: dict[str, _Member] = {}
    end = 0
    for info in infos:
        name = info.orig_filename
        if info.compress_type != zipfile.ZIP_STORED:
            raise _Damaged(f"member {name!r} is compressed (np.savez writes it uncompressed)")
        if info.header_offset != end or end > directory - _LOCAL_HEADER.size:
            raise _Damaged(f"member {name!r} does not start where the one before it ends")
        file.seek(end)
        header = file.read(_LOCAL_HEADER.size)
        magic, flags, name_length, extra_length = _LOCAL_HEADER.unpack(header)
        if magic != b"PK\3\4" or flags != info.flag_bits or flags & ~_UTF8_NAME:
            raise _Damaged(f"member {name!r} has a wrong header")
        encoding = "utf-8" if flags & _UTF8_NAME else "cp437"
        if file.read(name_length) != name.encode(encoding):
            raise _Damaged(f"member {name!r} goes by another name in its own header")
        if info.compress_size != info.file_size:
            raise _Damaged(f"member {name!r} has two different lengths")
        if not name.endswith(".npy"):
            raise _Damaged(f"member {name!r} is not an array (.npy)")
        if name[:-4] in found:
            raise _Damaged(f"member {name!r} is there twice")
        start = end + _LOCAL_HEADER.size + name_length + extra_length
        end = start + info.file_size
        found[name[:-4]] = _Member(start, info.file_size, info.CRC)
    if end != directory:
        raise _Damaged("there are bytes between the last member and the directory")
    return found


class _Array(NamedTuple):
    """What a .npy header says of the bytes after it."""

    dtype: np.dtype[Any]  # as stored: perhaps of the other byte order
    fortran: bool
    shape: tuple[int, ...]
    header: bytes


def _read_header(file: BinaryIO, name: str, member: _Member) -> _Array:
    """Read and check a member's .npy header; its data has then exactly the right length."""
    file.seek(member.start)
    prefix = file.read(min(member.size, len(_NPY_MAGIC) + 2))
    if len(prefix) < len(_NPY_MAGIC) + 2 or not prefix.startswith(_NPY_MAGIC):
        raise _Damaged(f"array {name!r} is not in .npy format 1.0")
    (length,) = struct.unpack("<H", prefix[-2:])
    if length > min(_MAX_HEADER, member.size - len(prefix)):
        raise _Damaged(f"array {name!r} has a header of {length} bytes")
    text = file.read(length)
    match = _NPY_HEADER.fullmatch(text)
    if match is None:
        raise _Damaged(f"array {name!r} has a header that cannot be read")
    descr = match[1].decode("latin-1")
    if "O" in descr:
        raise _Damaged(f"array {name!r} holds pickled Python objects, which are never read")
    if descr[:1] not in ("<", ">", "|", "=") or descr[1:] not in _TYPES:
        raise _Damaged(f"array {name!r} is of type {descr!r}, which a checkpoint cannot hold")
    dtype = np.dtype(descr)
    shape = tuple(int(dim) for dim in match[3].replace(b",", b" ").split())
    count = bound = dtype.itemsize
    for dim in shape:
        count *= dim
        bound *= max(dim, 1)
    if len(shape) > _MAX_RANK or bound > _MAX_BYTES:
        raise _Damaged(f"array {name!r} has an impossible shape")
    size = member.size - len(prefix) - length
    if size != count:
        raise _Damaged(f"array {name!r} of shape {shape} has {size} bytes and needs {count}")
    return _Array(dtype, match[2] == b"True", shape, prefix + text)


def _read_data(file: BinaryIO, name: str, member: _Member, info: _Array) -> np.ndarray:
    """Read a member's data and check its CRC; the file stands at the end of the header."""
    raw = np.empty(info.shape, info.dtype, order="F" if info.fortran else "C")
    flat = raw.reshape(-1, order="A").view(np.uint8)  # a view: its memory in the file's order
    view, done = flat.data, 0
    while done < len(view):
        got = file.readinto(view[done:])  # type: ignore[attr-defined]
        if not got:
            raise _Damaged(f"array {name!r} ends after {done} bytes of {len(view)}")
        done += got
    if zlib.crc32(view, zlib.crc32(info.header)) != member.crc:
        raise _Damaged(f"array {name!r} does not match its checksum")
    if info.dtype.kind == "b" and flat.size and flat.max() > 1:
        raise _Damaged(f"array {name!r} holds bytes that are neither false nor true")
    return np.asarray(raw, info.dtype.newbyteorder("="), order="C")


def _compare(path: str, name: str, info: _Array, spec: Spec) -> None:
    """Refuse an array that is not of the type and shape the caller wants."""
    dtype, shape = np.dtype(spec[0]), tuple(spec[1])
    if info.dtype.newbyteorder("=") != dtype or info.shape != shape:
        raise errors.InvalidArgumentError(
            None,
            None,
            f"{name!r} is {info.dtype.newbyteorder('=')} of shape {info.shape} in the checkpoint "
            f"{path}, but {dtype} of shape {shape} here",
        )


class NoCheckpointError(errors.NotFoundError, ValueError):
    """There is no such file: a ValueError in TensorFlow 1.15, a NotFoundError before."""


def _not_found(path: str, name: str, names: Iterable[str]) -> errors.NotFoundError:
    names = list(names)
    import difflib  # only an error needs it

    close = difflib.get_close_matches(name, names, n=3) or names[:3]
    has = ", ".join(repr(other) for other in close)
    hint = f"; it has {has}" + (", ..." if len(names) > len(close) else "") if has else ""
    return errors.NotFoundError(None, None, f"{name!r} is not in the checkpoint {path}{hint}")


def read_arrays(
    path: StrPath, wanted: Mapping[str, Spec] | None = None, optional: Container[str] = ()
) -> dict[str, np.ndarray]:
    """Read named arrays from ``path``, checking everything and unpickling nothing.

    Parameters
    ----------
    path : str or path
        The file, with its ``.npz``.
    wanted : mapping of str to (dtype, shape), optional
        The arrays to read and what they have to be. Default: all of them, as they are.
    optional : container of str
        Names in ``wanted`` that may be missing; the result leaves them out then.

    Returns
    -------
    dict of str to ndarray
        Fresh arrays in C order and the machine's byte order.

    Raises
    ------
    errors.NotFoundError
        No such file, or a wanted name is not in it.
    errors.InvalidArgumentError
        An array has another type or shape than wanted.
    errors.DataLossError
        The file is damaged, truncated, foreign, or holds pickled objects.
    errors.PermissionDeniedError
        The system does not let the file be read.
    """
    with _opened(path) as (file, members):
        result = {}
        for name in members if wanted is None else wanted:
            if name not in members:
                if name in optional:
                    continue
                raise _not_found(os.fspath(path), name, members)
            info = _read_header(file, name, members[name])
            if wanted is not None:
                _compare(os.fspath(path), name, info, wanted[name])
            result[name] = _read_data(file, name, members[name], info)
        return result


def read_specs(path: StrPath) -> dict[str, Spec]:
    """The type and the shape of every array of a file; raises what :func:`read_arrays` does."""
    with _opened(path) as (file, members):
        found = {name: _read_header(file, name, member) for name, member in members.items()}
        return {name: (info.dtype, info.shape) for name, info in found.items()}


@contextmanager
def _opened(path: StrPath) -> Iterator[tuple[BinaryIO, dict[str, _Member]]]:
    """A checkpoint and what is in it; whatever is wrong with it is an error of ours."""
    path = os.fspath(path)
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe would wait for ever
            raise _Damaged("it is not a regular file")
        with open(path, "rb") as file:
            yield file, _members(file)
    except _Damaged as error:
        message = f"the checkpoint {path} cannot be read: {error}"
        raise errors.DataLossError(None, None, message) from None
    except (FileNotFoundError, NotADirectoryError):
        raise NoCheckpointError(None, None, f"there is no checkpoint {path}") from None
    except PermissionError as error:
        message = f"the checkpoint {path} cannot be opened: {error.strerror}"
        raise errors.PermissionDeniedError(None, None, message) from None
    except OSError as error:
        message = f"the checkpoint {path} cannot be read: {error.strerror}"
        raise errors.DataLossError(None, None, message) from None


# ---------------------------------------------------------------------------------- the state file


@dataclass
class CheckpointState:
    """What the state file of a checkpoint directory says, paths joined to the directory.

    Attributes
    ----------
    model_checkpoint_path : str
        Prefix of the latest checkpoint.
    all_model_checkpoint_paths : list of str
        Prefixes of all that are kept, oldest first.
    """

    model_checkpoint_path: str
    all_model_checkpoint_paths: list[str] = field(default_factory=list)


_STATE_LINE = re.compile(rb'(\w+): "((?:[^"\\\n]|\\.)*)"')
_ESCAPE = re.compile(rb"\\([0-7]{1,3}|.)")
_LETTERS = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _quote(path: str) -> bytes:
    """Write a string as TensorFlow's text format does: octal escapes for all but plain ASCII."""
    plain = (
        chr(c) if 32 <= c < 127 and c not in b'"\\' else f"\\{c:03o}" for c in os.fsencode(path)
    )
    return f'"{"".join(plain)}"'.encode("ascii")


def _unquote(text: bytes) -> str:
    def plain(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8) & 255]) if code.isdigit() else _LETTERS.get(code, code)

    return os.fsdecode(_ESCAPE.sub(plain, text))


def update_state(
    directory: StrPath, latest: str, kept: Sequence[str], latest_filename: str | None = None
) -> None:
    """Write the state file of ``directory``: which checkpoint is the latest, which are kept.

    Prefixes inside the directory are written relative to it, so that it can be moved whole.
    """
    directory = os.path.abspath(directory)

    def relative(prefix: str) -> str:
        head, tail = os.path.split(os.path.abspath(prefix))
        return tail if head == directory else os.path.join(head, tail)

    lines = [b"model_checkpoint_path: " + _quote(relative(latest))]
    lines += [b"all_model_checkpoint_paths: " + _quote(relative(prefix)) for prefix in kept]
    with _replacing(os.path.join(directory, latest_filename or STATE_FILE)) as file:
        file.write(b"\n".join(lines) + b"\n")


def read_state(
    directory: StrPath, latest_filename: str | None = None
) -> tuple[str | None, list[str]]:
    """Return the latest prefix and those kept; ``(None, [])`` if the state file is no good."""
    directory = os.fspath(directory)
    try:
        with open(os.path.join(directory, latest_filename or STATE_FILE), "rb") as file:
            lines = file.read().splitlines()
    except OSError:
        return None, []
    latest: str | None = None
    kept: list[str] = []
    for line in lines:
        match = _STATE_LINE.fullmatch(line.strip())
        if match is None:
            if line.strip():
                return None, []  # no part of a damaged file is believed
        elif match[1] == b"model_checkpoint_path":
            latest = os.path.join(directory, _unquote(match[2]))
        elif match[1] == b"all_model_checkpoint_paths":
            kept.append(os.path.join(directory, _unquote(match[2])))
    return (latest, kept) if latest is not None else (None, [])


def checkpoint_exists(checkpoint_prefix: str) -> bool:
    """Tell whether there is a checkpoint of this prefix (a file of that name and ``.npz``)."""
    return os.path.isfile(os.fspath(checkpoint_prefix) + SUFFIX)


def _is_complete(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return bool(_members(file))
    except (OSError, _Damaged):
        return False


def latest_checkpoint(checkpoint_dir: StrPath, latest_filename: str | None = None) -> str | None:
    """Find the newest checkpoint in a directory.

    Parameters
    ----------
    checkpoint_dir : str or path
        The directory that checkpoints were saved in.
    latest_filename : str, optional
        Name of the state file, if not ``"checkpoint"``.

    Returns
    -------
    str or None
        The checkpoint's prefix, which :meth:`Saver.restore` takes (without ``.npz``), or None.

    Notes
    -----
    When the state file is missing, damaged, or names a file that is gone, the complete ``.npz``
    file that was written last is taken instead.
    """
    latest, _ = read_state(checkpoint_dir, latest_filename)
    if latest is not None and checkpoint_exists(latest):
        return latest
    found = []
    with suppress(OSError), os.scandir(checkpoint_dir) as entries:
        for entry in entries:
            if entry.name.endswith(SUFFIX) and entry.is_file():
                step = re.search(r"-(\d+)$", entry.name.removesuffix(SUFFIX))
                order = int(step[1]) if step else -1  # two saves within a tick of the clock
                found.append((entry.stat().st_mtime_ns, order, entry.name))
    for *_, name in sorted(found, reverse=True):
        path = os.path.join(checkpoint_dir, name)
        if _is_complete(path):
            return path.removesuffix(SUFFIX)
    return None


def get_checkpoint_state(
    checkpoint_dir: StrPath, latest_filename: str | None = None
) -> CheckpointState | None:
    """Return what the state file of a directory says, or None when there is none.

    Parameters
    ----------
    checkpoint_dir : str or path
        The directory that checkpoints were saved in.
    latest_filename : str, optional
        Name of the state file, if not ``"checkpoint"``.

    Returns
    -------
    CheckpointState or None
        With ``model_checkpoint_path`` and ``all_model_checkpoint_paths``.
    """
    latest, kept = read_state(checkpoint_dir, latest_filename)
    return None if latest is None else CheckpointState(latest, kept)
