"""Saver: checkpoints of a session's variables, as ``.npz`` files that ``numpy.load`` opens."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from gradplan.dtypes import bfloat16
from gradplan.graph import Operation, Tensor
from gradplan.ops.state import Variable, global_variables
from gradplan.train import checkpoint

#: The array of a random operation's key and counter is named after it.
_RANDOM = "/random_state"


class Saver:
    """Saves and restores variables.

    Parameters
    ----------
    var_list : list of Variable, or dict of str to Variable, optional
        What to save; a dict gives the names in the file. Default: all variables made so far,
        optimizer slots among them, and the state of random operations, so that training goes on
        bit for bit.
    max_to_keep : int, optional
        Older files of this Saver are deleted beyond so many; 0 or None keeps all. Default: 5.
    reshape, sharded, keep_checkpoint_every_n_hours, name, restore_sequentially, saver_def,
    builder, \
defer_build, allow_empty, write_version, pad_step_number, save_relative_paths, filename : optional
        Accepted as in TensorFlow 1. ``allow_empty`` allows that there is nothing to save.

    Raises
    ------
    ValueError
        If there is nothing to save, or two variables have one name.

    Notes
    -----
    A file is complete or absent: it is written under another name, synchronised to disk and
    renamed.

    Examples
    --------
    >>> import gradplan as gp, tempfile
    >>> v = gp.Variable(3.0, name="v")
    >>> saver = gp.train.Saver()
    >>> with gp.Session() as sess, tempfile.TemporaryDirectory() as folder:
    ...     sess.run(v.initializer)
    ...     path = saver.save(sess, folder + "/model", global_step=7)
    ...     v.load(0.0, sess)
    ...     saver.restore(sess, path)
    ...     print(path.endswith("model-7"), sess.run(v))
    True 3.0
    """

    def __init__(
        self,
        var_list: Any = None,
        reshape: bool = False,
        sharded: bool = False,
        max_to_keep: int | None = 5,
        keep_checkpoint_every_n_hours: float = 10000.0,
        name: str | None = None,
        restore_sequentially: bool = False,
        saver_def: Any = None,
        builder: Any = None,
        defer_build: bool = False,
        allow_empty: bool = False,
        write_version: Any = None,
        pad_step_number: bool = False,
        save_relative_paths: bool = False,
        filename: str | None = None,
    ) -> None:
        self._everything = var_list is None
        variables = global_variables() if var_list is None else var_list
        if not isinstance(variables, dict):
            named: dict[str, Variable] = {}
            for v in variables:
                _require_variable(v)
                if named.setdefault(v.op.name, v) is not v:
                    raise ValueError(f"At least two variables have the same name: {v.op.name}")
            variables = named
        for v in variables.values():
            _require_variable(v)
        if not variables and not allow_empty:
            raise ValueError("No variables to save")
        self._variables: dict[str, Variable] = dict(variables)
        self._max_to_keep = max_to_keep or 0
        self._pad = pad_step_number
        self._kept: list[str] = []

    @property
    def last_checkpoints(self) -> list[str]:
        """The prefixes of the files that this Saver wrote and kept, oldest first."""
        return list(self._kept)

    def set_last_checkpoints(self, last_checkpoints: Any) -> None:
        """Take these prefixes for what this Saver wrote before, oldest first."""
        self._kept = list(last_checkpoints)

    recover_last_checkpoints = set_last_checkpoints

    def save(
        self,
        sess: Any,
        save_path: str,
        global_step: Any = None,
        latest_filename: str | None = None,
        meta_graph_suffix: str = "meta",
        write_meta_graph: bool = True,
        write_state: bool = True,
    ) -> str:
        """Write a checkpoint.

        Parameters
        ----------
        sess : Session
        save_path : str
            Prefix of the file's path; ``.npz`` is added.
        global_step : int, Tensor or Variable, optional
            Its value is added to the prefix, after a hyphen.
        latest_filename : str, optional
            Name of the file in which ``latest_checkpoint`` looks. Default: ``"checkpoint"``.
        meta_graph_suffix, write_meta_graph : optional
            Accepted as in TensorFlow 1; the graph is not saved.
        write_state : bool, optional
            Whether to update that file. Default: True.

        Returns
        -------
        str
            The prefix, with the step: what :meth:`restore` takes.

        Raises
        ------
        ValueError
            If the directory does not exist.
        FailedPreconditionError
            If a variable is not initialised.
        """
        prefix = os.fspath(save_path)
        if global_step is not None:
            if isinstance(global_step, (Tensor, Variable)):
                global_step = sess.run(global_step)
            step = int(global_step)
            prefix += f"-{step:08d}" if self._pad else f"-{step}"
        directory = os.path.dirname(prefix) or "."
        if not os.path.isdir(directory):
            raise ValueError(f"Parent directory of {save_path} doesn't exist, can't save.")
        names = list(self._variables)
        saved = [self._variables[n] for n in names]
        if any(v.dtype is bfloat16 for v in saved):
            values = sess._make_step(saved, [], raw=True)()
        else:
            values = sess.run(saved)
        arrays = {n: np.asarray(v) for n, v in zip(names, values, strict=True)}
        if self._everything:
            for op, state in sess.random_states().items():
                arrays[op.name + _RANDOM] = state
        checkpoint.write_arrays(prefix + ".npz", arrays)
        kept = [p for p in self._kept if p != prefix] + [prefix]
        old = kept[: -self._max_to_keep] if self._max_to_keep else []
        self._kept = kept[len(old) :]
        if write_state:
            checkpoint.update_state(directory, prefix, self._kept, latest_filename)
        for p in old:
            if os.path.exists(p + ".npz"):
                os.remove(p + ".npz")
        return prefix

    def restore(self, sess: Any, save_path: str) -> None:
        """Read a checkpoint; every value is checked before the first variable changes.

        Parameters
        ----------
        sess : Session
        save_path : str
            What :meth:`save` returned; a path with ``.npz`` at its end is taken too.

        Raises
        ------
        ValueError
            If ``save_path`` is None.
        NotFoundError
            If there is no such file, or it lacks a variable.
        InvalidArgumentError
            If a value in it has another shape or type than the variable.
        DataLossError
            If the file is damaged, truncated or no checkpoint.
        """
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        path = os.fspath(save_path)
        path = path if path.endswith(".npz") else path + ".npz"
        places: dict[str, Operation] = {n: v.op for n, v in self._variables.items()}
        wanted: dict[str, Any] = {
            n: (v.dtype.np, tuple(v.shape.as_list())) for n, v in self._variables.items()
        }
        random = []
        if self._everything:
            for op in sess.graph.get_operations():
                if "seed2" in op.attrs:
                    random.append(op.name + _RANDOM)
                    places[random[-1]] = op
                    wanted[random[-1]] = (np.dtype(np.int64), (2,))
        arrays = checkpoint.read_arrays(path, wanted, random)
        sess._write({places[n]: a for n, a in arrays.items()})


def _require_variable(v: Any) -> None:
    if not isinstance(v, Variable):
        raise TypeError(f"var_list must hold Variables, not {v!r}")
