"""Saver: checkpoints of a session's variables, as ``.npz`` files that ``numpy.load`` opens."""

from __future__ import annotations

import math
import os
from typing import Any, NamedTuple

import numpy as np

from gradplan.dtypes import bfloat16
from gradplan.graph import Operation, Tensor
from gradplan.ops.partitioned import PartitionedVariable
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
        bit for bit. The parts of a PartitionedVariable, or of a slot of it, are one array under the
        name of the whole: it may be restored to a variable in other parts, or in none. Where only
        some of them are given, each goes by its own name.
    max_to_keep : int, optional
        Older files of this Saver are deleted beyond so many; 0 or None keeps all. Default: 5.
    reshape, sharded, keep_checkpoint_every_n_hours, name, restore_sequentially, saver_def,
    builder, \
defer_build, allow_empty, write_version, pad_step_number, save_relative_paths, filename : optional
        Accepted as in TensorFlow 1. ``allow_empty`` allows that there is nothing to save.

    Raises
    ------
    ValueError
        If there is nothing to save, two variables have one name, or one is there twice.
    TypeError
        If ``var_list`` is neither list nor dict, or holds what is no variable.

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
        self._variables = _by_name(global_variables() if var_list is None else var_list)
        if not self._variables and not allow_empty:
            raise ValueError("No variables to save")
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
        variables = [v for saved in self._variables.values() for v, _ in saved.parts]
        if any(v.dtype is bfloat16 for v in variables):
            values = iter(sess._make_step(variables, [], raw=True)())
        else:
            values = iter(sess.run(variables))
        arrays = {}
        for name, saved in self._variables.items():
            if len(saved.parts) == 1:
                arrays[name] = next(values)
                continue
            arrays[name] = np.empty(saved.shape, saved.parts[0][0].dtype.np)
            for _, place in saved.parts:
                arrays[name][place] = next(values)
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
            If ``save_path`` is None or, as a NotFoundError too, there is no such file.
        NotFoundError
            If it lacks a variable.
        InvalidArgumentError
            If a value in it has another shape or type than the variable.
        DataLossError
            If the file is damaged, truncated or no checkpoint.
        """
        if save_path is None:
            raise ValueError("Can't load save_path when it is None.")
        path = os.fspath(save_path)
        path = path if path.endswith(".npz") else path + ".npz"
        wanted: dict[str, Any] = {
            name: (saved.parts[0][0].dtype.np, saved.shape)
            for name, saved in self._variables.items()
        }
        random: dict[str, Operation] = {}
        if self._everything:
            for op in sess.graph._ops:
                if "seed2" in op.attrs:
                    random[op.name + _RANDOM] = op
                    wanted[op.name + _RANDOM] = (np.dtype(np.int64), (2,))
        arrays = checkpoint.read_arrays(path, wanted, random)
        values = {random[name]: arrays[name] for name in arrays if name in random}
        for name, saved in self._variables.items():
            values |= {v.op: arrays[name][place] for v, place in saved.parts}
        sess._write(values)


class _Saved(NamedTuple):
    """What is one array in a file: a variable, or all parts of one, and where in it each lies."""

    shape: tuple[int, ...]
    parts: list[tuple[Variable, Any]]


def _by_name(var_list: Any) -> dict[str, _Saved]:
    named: dict[str, list[Variable]] = {}
    if isinstance(var_list, dict):
        named = {name: _variables_in([v]) for name, v in var_list.items()}
    elif isinstance(var_list, (list, tuple, set)):
        variables = _variables_in(var_list)
        parts: dict[str, list[Variable]] = {}
        for v in variables:
            if v._save_slice_info is not None:
                parts.setdefault(v._save_slice_info.full_name, []).append(v)
        whole = {name for name, group in parts.items() if _is_whole(group)}
        for v in variables:
            part = v._save_slice_info
            name = part.full_name if part and part.full_name in whole else v.op.name
            named.setdefault(name, []).append(v)
    else:
        raise TypeError(f"Variables to save should be passed in a dict or a list, not {var_list!r}")
    known: set[Variable] = set()
    for name, group in named.items():
        if len(group) != 1 and not _is_whole(group):
            raise ValueError(
                f"At least two variables have the same name, and are not all the parts of one: "
                f"{name} is {group}"
            )
        if not known.isdisjoint(group):
            raise ValueError(f"The same variable would be restored twice: {name} is {group}")
        known.update(group)
    return {name: _saved(group) for name, group in named.items()}


def _variables_in(nest: Any) -> list[Variable]:
    out: list[Variable] = []
    for v in nest:
        if isinstance(v, (list, tuple, PartitionedVariable)):
            out += _variables_in(v)
        elif isinstance(v, Variable):
            out.append(v)
        else:
            raise TypeError(f"var_list must hold Variables, not {v!r}")
    return out


def _is_whole(group: list[Variable]) -> bool:
    """Whether these are all the parts of one variable."""
    infos = [v._save_slice_info for v in group if v._save_slice_info is not None]
    if not len(infos) == len(group) == len(set(group)) > 0:
        return False
    if any(info.full_name != infos[0].full_name for info in infos):
        return False
    return sum([math.prod(i.var_shape) for i in infos]) == math.prod(infos[0].full_shape)


def _saved(group: list[Variable]) -> _Saved:
    infos = [v._save_slice_info for v in group if v._save_slice_info is not None]
    if len(group) > 1:
        places: list[Any] = [info.place for info in infos]
        return _Saved(tuple(infos[0].full_shape), list(zip(group, places, strict=True)))
    return _Saved(tuple(group[0].shape.as_list()), [(group[0], ...)])  # type: ignore[arg-type]
