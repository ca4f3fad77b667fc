"""Checkpoints read by name, without a graph or a session."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gradplan.dtypes import DType, as_dtype, bfloat16
from gradplan.graph import at_user_line
from gradplan.train import checkpoint


class CheckpointReader:
    """What is in a checkpoint; see :func:`NewCheckpointReader`, which makes one.

    Every call reads the file anew, and checks it as :meth:`Saver.restore` does.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.get_variable_to_shape_map()

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        """The shape of every array, by its name."""
        return {name: list(shape) for name, (_, shape) in self._specs().items()}

    def get_variable_to_dtype_map(self) -> dict[str, DType]:
        """The type of every array, by its name; bfloat16, as in the file, for its bits."""
        return {name: _dtype(found) for name, (found, _) in self._specs().items()}

    def has_tensor(self, name: str) -> bool:
        """Whether there is an array of this name."""
        return name in self._specs()

    def get_tensor(self, name: str) -> np.ndarray:
        """An array, fresh; NotFoundError if there is none of this name."""
        specs = self._specs()
        wanted = {name: specs.get(name, (np.dtype(np.float32), ()))}
        return checkpoint.read_arrays(self._path, wanted)[name]

    def _specs(self) -> dict[str, checkpoint.Spec]:
        return checkpoint.read_specs(self._path)


def _dtype(found: np.dtype[Any]) -> DType:
    return bfloat16 if found == np.uint16 else as_dtype(found)


def NewCheckpointReader(filepattern: str) -> CheckpointReader:
    """A reader of one checkpoint.

    Parameters
    ----------
    filepattern : str
        What :meth:`Saver.save` returned; a path with ``.npz`` at its end is taken too.

    Raises
    ------
    NotFoundError
        If there is no such file.
    DataLossError
        If it is damaged, truncated or no checkpoint.

    Examples
    --------
    >>> import gradplan as gp, tempfile
    >>> v = gp.get_variable("v", initializer=[1.0, 2.0])
    >>> with gp.Session() as sess, tempfile.TemporaryDirectory() as directory:
    ...     sess.run(v.initializer)
    ...     reader = gp.train.NewCheckpointReader(gp.train.Saver().save(sess, directory + "/model"))
    ...     print(reader.get_variable_to_shape_map(), reader.get_tensor("v"))
    {'v': [2]} [1. 2.]
    """
    path = os.fspath(filepattern)
    suffix = checkpoint.SUFFIX
    return CheckpointReader(path if path.endswith(suffix) else path + suffix)


def load_checkpoint(ckpt_dir_or_file: str) -> CheckpointReader:
    """A reader of a checkpoint, or of the latest one of a directory.

    Parameters
    ----------
    ckpt_dir_or_file : str

    Raises
    ------
    ValueError
        If a directory has no checkpoint.
    NotFoundError, DataLossError
        As for :func:`NewCheckpointReader`.

    Examples
    --------
    >>> import gradplan as gp, tempfile
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     gp.train.load_checkpoint(directory)
    Traceback (most recent call last):
    ValueError: ...
    """
    path = os.fspath(ckpt_dir_or_file)
    if not os.path.isdir(path):
        return NewCheckpointReader(path)
    latest = checkpoint.latest_checkpoint(path)
    if latest is None:
        raise ValueError(
            at_user_line(
                f"Couldn't find 'checkpoint' file or checkpoints in given directory {path}"
            )
        )
    return NewCheckpointReader(latest)


def list_variables(ckpt_dir_or_file: str) -> list[tuple[str, list[int]]]:
    """Names and shapes of all arrays of a checkpoint, by their names.

    Parameters
    ----------
    ckpt_dir_or_file : str
        As for :func:`load_checkpoint`, with its errors.

    Examples
    --------
    >>> import gradplan as gp, tempfile
    >>> v = gp.get_variable("v", initializer=[1.0, 2.0])
    >>> with gp.Session() as sess, tempfile.TemporaryDirectory() as directory:
    ...     sess.run(v.initializer)
    ...     path = gp.train.Saver().save(sess, directory + "/model")
    ...     gp.train.list_variables(directory)
    [('v', [2])]
    """
    return sorted(load_checkpoint(ckpt_dir_or_file).get_variable_to_shape_map().items())


def load_variable(ckpt_dir_or_file: str, name: str) -> np.ndarray:
    """One array of a checkpoint; ``v:0`` is ``v``.

    Parameters
    ----------
    ckpt_dir_or_file : str
        As for :func:`load_checkpoint`, with its errors.
    name : str

    Raises
    ------
    NotFoundError
        If there is none of this name.

    Examples
    --------
    >>> import gradplan as gp, tempfile
    >>> v = gp.get_variable("v", initializer=[1.0, 2.0])
    >>> with gp.Session() as sess, tempfile.TemporaryDirectory() as directory:
    ...     sess.run(v.initializer)
    ...     path = gp.train.Saver().save(sess, directory + "/model")
    ...     print(gp.train.load_variable(path, "v"))
    [1. 2.]
    """
    return load_checkpoint(ckpt_dir_or_file).get_tensor(name.removesuffix(":0"))
