"""Data to learn from: the handwritten digits that ship with the package, and tables in files.

Needs NumPy alone, nothing of the rest of gradplan.
"""

from __future__ import annotations

import csv
import os
import zipfile
from typing import Any, NamedTuple

import numpy as np

__all__ = ["Table", "load_digits", "load_table"]

_DIGITS = os.path.join(os.path.dirname(__file__), "digits.npz")
_MAX_CLASSES = 100


def load_digits(flat: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Return the UCI optical handwritten digits: 1797 images of 8 by 8 pixels.

    Parameters
    ----------
    flat : bool
        Whether each image is one row of 64 numbers (default) or 8 rows of 8.

    Returns
    -------
    images : ndarray of float32, [1797, 64] or [1797, 8, 8]
        Darkness of each pixel, 0 (paper) to 1 (ink) in steps of 1/16.
    labels : ndarray of int64, [1797]
        The digit that is shown, 0 to 9.

    Notes
    -----
    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
    Repository, 1998, doi:10.24432/C50P49; its test set, from 13 writers. Licence: CC BY 4.0.
    The file names both beside the data, as ``source`` and ``licence``.

    Examples
    --------
    >>> images, labels = load_digits()
    >>> images.shape, images.dtype.name, float(images.min()), float(images.max())
    ((1797, 64), 'float32', 0.0, 1.0)
    >>> labels[:10].tolist()
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    >>> load_digits(flat=False)[0][0, 0].tolist()
    [0.0, 0.0, 0.3125, 0.8125, 0.5625, 0.0625, 0.0, 0.0]
    """
    with np.load(_DIGITS) as data:
        images = data["images"].astype(np.float32) / np.float32(16)
        labels = data["labels"].astype(np.int64)
    return (images.reshape(-1, 64) if flat else images), labels


class Table(NamedTuple):
    """Rows of numbers, and for each row what is to be predicted from it.

    Attributes
    ----------
    features : ndarray of float32, [rows, columns]
    target : ndarray, [rows]
        Class numbers as int64 where ``classes`` is given, else values as float64.
    classes : tuple of str or None
        The name of each class, in the order of its number; None for a real-valued target.
    columns : tuple of str
        The name of each feature.
    """

    features: np.ndarray
    target: np.ndarray
    classes: tuple[str, ...] | None
    columns: tuple[str, ...]


def load_table(path: str, target: str | None = None) -> Table:
    """Read a table from ``FILE.csv`` or ``FILE.npz``.

    A target of words, or of at most 100 different integers, names classes; any other is a number
    to be predicted.

    Parameters
    ----------
    path : str
        A CSV file whose first row names the columns, all numbers but for the target; or a NumPy
        archive of two arrays, the features ``[rows, ...]`` and the target ``[rows]``.
    target : str, optional
        The column or array to predict. Default: the last column of a CSV file, the array called
        ``y`` of an archive.

    Returns
    -------
    Table

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It is not such a table; the message is one line that names the row and the column.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     path = directory + "/fruit.csv"
    ...     with open(path, "w") as file:
    ...         _ = file.write("weight,width,kind\\n150,7,apple\\n120,4,banana\\n160,8,apple\\n")
    ...     table = load_table(path)
    >>> table.features.tolist(), table.target.tolist(), table.classes
    ([[150.0, 7.0], [120.0, 4.0], [160.0, 8.0]], [0, 1, 0], ('apple', 'banana'))
    """
    if path.lower().endswith(".csv"):
        features, raw, columns = _read_csv(path, target)
    elif path.lower().endswith(".npz"):
        features, raw, columns = _read_npz(path, target)
    else:
        raise ValueError(f"{path}: neither a .csv nor a .npz file")
    if not features.shape[0] or not features.shape[1]:
        raise ValueError(f"{path}: no rows, or no columns beside the target")
    with np.errstate(over="ignore"):
        features = features.astype(np.float32)
    if not np.isfinite(features).all():
        row, column = np.argwhere(~np.isfinite(features))[0]
        raise ValueError(f"{path}: row {row + 1}, column {columns[column]!r}: not a finite number")
    values, classes = _classes(raw)
    if classes is None and not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{path}: row {row + 1}: the target is not a finite number")
    return Table(features, values, classes, tuple(columns))


def _classes(raw: np.ndarray) -> tuple[np.ndarray, tuple[str, ...] | None]:
    """Number the classes of a target, or return it as it is where it is real-valued."""
    numeric = raw.dtype.kind in "biuf"
    if numeric and raw.dtype.kind == "f" and not (np.isfinite(raw) & (raw == np.floor(raw))).all():
        return raw.astype(np.float64), None
    names, numbers = np.unique(raw, return_inverse=True)
    if numeric and len(names) > _MAX_CLASSES:
        return raw.astype(np.float64), None
    return numbers.astype(np.int64), tuple(
        str(int(name)) if numeric else str(name) for name in names
    )


def _read_csv(path: str, target: str | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        try:
            header, *rows = [row for row in csv.reader(file) if row] or [[]]
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path}: not a CSV file ({error})") from None
    header = [name.strip() for name in header]
    if not header:
        raise ValueError(f"{path}: empty")
    name = header[-1] if target is None else target
    if header.count(name) != 1:
        raise ValueError(f"{path}: not one column {name!r} among {', '.join(header)}")
    at = header.index(name)
    for number, row in enumerate(rows, 1):
        if len(row) != len(header):
            raise ValueError(f"{path}: row {number}: {len(row)} cells, not {len(header)}")
        if not row[at].strip():
            raise ValueError(f"{path}: row {number}, column {name!r}: missing")
    features = np.empty((len(rows), len(header) - 1))
    for column, title in enumerate(header[:at] + header[at + 1 :]):
        source = column + (column >= at)
        for i, row in enumerate(rows):
            try:
                features[i, column] = float(row[source])
            except ValueError:
                what = f"{row[source]!r} is not a number" if row[source].strip() else "missing"
                where = f"row {i + 1}, column {title!r}"
                raise ValueError(f"{path}: {where}: {what}") from None
    cells = np.array([row[at].strip() for row in rows])
    try:
        goal = cells.astype(np.float64)
    except ValueError:
        goal = cells
    return features, goal, header[:at] + header[at + 1 :]


def _read_npz(path: str, target: str | None) -> tuple[np.ndarray, np.ndarray, list[str]]:
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays: dict[str, Any] = dict(archive) if hasattr(archive, "files") else {}
    except (ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(f"{path}: not a NumPy archive ({error})") from None
    name = "y" if target is None else target
    others = [other for other in arrays if other != name and arrays[other].ndim]
    if name not in arrays or len(others) != 1 and "x" not in others:
        has = ", ".join(f"{key} {list(array.shape)}" for key, array in arrays.items()) or "nothing"
        raise ValueError(f"{path}: wanted features and the target {name!r}, found {has}")
    x, y = arrays["x" if "x" in others else others[0]], arrays[name]
    for array in (x, y):
        if array.dtype.kind not in ("biuf" if array is x else "biufSU"):
            raise ValueError(f"{path}: an array of type {array.dtype} cannot be learnt from")
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1 or not x.ndim or len(x) != len(y):
        raise ValueError(
            f"{path}: features {list(x.shape)} and target {list(y.shape)} do not match"
        )
    x = x.reshape(len(x), -1) if x.size else np.empty((len(x), 0))
    return x.astype(np.float64), y, [str(column) for column in range(x.shape[1])]
