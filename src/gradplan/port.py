"""``python -m gradplan.port FILE.py``: which names of TensorFlow 1 a program uses, and which of
them gradplan has.

The program is parsed, never run. With ``--coverage CSV`` the same is told of a survey of many
programs: a table with the columns ``name`` (``tf.nn.relu``) and ``programs``, how many use it.
"""

from __future__ import annotations

import argparse
import ast
import csv
import difflib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import gradplan

SUPPORTED, LATER, NEVER = "supported", "later", "never"

#: What a name begins with, when gradplan will have it or why it never will, and what to do.
#: The longest beginning that fits counts.
OUTLOOK = {
    "AttrValue NodeDef GraphDef MetaGraphDef import_graph_def graph_util "
    "python.framework.graph_util train.import_meta_graph train.export_meta_graph "
    "train.write_graph saved_model": (
        LATER,
        "graphs in files: build the graph by the same code and restore its variables",
    ),
    "RunOptions.FULL_TRACE python.client.timeline python.debug profiler": (
        NEVER,
        "sess.plan(fetches) shows every instruction",
    ),
    "Summary summary scalar_summary histogram_summary image_summary audio_summary merge_summary "
    "merge_all_summaries train.SummaryWriter train.summary_iterator "
    "contrib.layers.summarize_activation python.pywrap_tensorflow.EventsWriter "
    "contrib.tensorboard": (LATER, "summaries: fetch the values and print or plot them"),
    "app.flags flags": (LATER, "flags of this kind"),
    "contrib": (NEVER, "contrib is no part of TensorFlow 1's own vocabulary"),
    "contrib.distributions contrib.bayesflow distributions": (
        NEVER,
        "distributions: write log-densities as formulas, draw with gp.random_normal",
    ),
    "contrib.data contrib.training contrib.learn.datasets": (LATER, "data: feed NumPy arrays"),
    "contrib.eager": (NEVER, "eager execution: build a graph"),
    "contrib.keras keras": (LATER, "Keras"),
    "contrib.layers layers contrib.slim python.layers": (
        LATER,
        "layers: gp.get_variable and gp.matmul or gp.nn.conv2d under gp.variable_scope",
    ),
    "contrib.legacy_seq2seq contrib.seq2seq nn.seq2seq": (LATER, "sequence models: gp.while_loop"),
    "contrib.opt": (LATER, "optimizers: scipy.optimize over sess.make_callable"),
    "contrib.rnn nn.rnn nn.rnn_cell nn.dynamic_rnn nn.static_rnn nn.raw_rnn "
    "nn.bidirectional_dynamic_rnn nn.bidirectional_rnn nn.static_bidirectional_rnn "
    "python.ops.rnn python.ops.rnn_cell": (
        LATER,
        "recurrent cells: gp.scan or gp.while_loop",
    ),
    "data parse_single_example parse_example FixedLenFeature VarLenFeature FixedLenSequenceFeature "
    "decode_raw decode_csv io python_io read_file write_file TFRecordReader TextLineReader "
    "WholeFileReader FixedLengthRecordReader FIFOQueue RandomShuffleQueue PaddingFIFOQueue "
    "train.Example train.Feature train.Features train.Int64List train.FloatList train.BytesList "
    "train.batch train.shuffle_batch train.string_input_producer train.slice_input_producer "
    "train.range_input_producer train.match_filenames_once train.start_queue_runners "
    "train.QueueRunner train.add_queue_runner train.Coordinator": (
        LATER,
        "data: feed NumPy arrays, or run step.loop(arrays, batch_size)",
    ),
    "device_lib config.list_physical_devices config.experimental": (
        NEVER,
        "there is the CPU alone",
    ),
    "distribute tpu contrib.tpu contrib.cluster_resolver train.ClusterSpec train.Server "
    "train.replica_device_setter train.SyncReplicasOptimizer": (
        NEVER,
        "distribution: gradplan runs in one process",
    ),
    "estimator feature_column contrib.learn contrib.boosted_trees contrib.tensor_forest "
    "contrib.factorization contrib.kernel_methods": (
        NEVER,
        "estimators: build the graph and run its training step",
    ),
    "examples.tutorials.mnist": (
        LATER,
        "data: gradplan.datasets has 8 x 8 digits; for MNIST read its files with NumPy",
    ),
    "image": (LATER, "images: prepare them with NumPy or Pillow"),
    "metrics": (LATER, "metrics: gp.reduce_mean(gp.cast(gp.equal(a, b), gp.float32))"),
    "nn.ctc_loss nn.ctc_greedy_decoder edit_distance contrib.crf": (LATER, "sequence losses"),
    "python": (NEVER, "TensorFlow's insides: use the public name"),
    "string strings string_split string_to_number string_join as_string substr regex_replace "
    "encode_base64 lookup tables_initializer python.ops.lookup_ops": (
        NEVER,
        "strings: work on them in Python and feed numbers",
    ),
    "complex64 complex128 complex real imag conj angle signal spectral fft ifft contrib.signal": (
        LATER,
        "complex numbers: keep two parts",
    ),
    "train": (LATER, "a part of tf.train"),
    "train.MonitoredTrainingSession train.SingularMonitoredSession train.MonitoredSession "
    "train.Supervisor train.StopAtStepHook train.CheckpointSaverHook train.SessionRunHook": (
        LATER,
        "monitored sessions: gp.Session and gp.train.Saver",
    ),
    "load_op_library": (NEVER, "operations in C++: gp.py_func"),
    "compat.v2 enable_v2_behavior RaggedTensor function autograph GradientTape": (
        NEVER,
        "TensorFlow 2",
    ),
}
_OUTLOOK = {start: said for starts, said in OUTLOOK.items() for start in starts.split()}


class Finding(NamedTuple):
    """What is to be said of a name: whether gradplan has it, and what to use instead."""

    status: str
    advice: str


def has(name: str) -> bool:
    """Whether gradplan has a dotted name, given without the alias: ``nn.relu``.

    Examples
    --------
    >>> from gradplan import port
    >>> port.has("nn.relu"), port.has("nn.rely")
    (True, False)
    """
    found: object = gradplan
    for part in name.split("."):
        if not hasattr(found, part):
            return False
        found = getattr(found, part)
    return True


def _names() -> list[str]:
    """The public names, those of modules with a dot."""
    found = []
    for space in (
        "",
        "nn",
        "train",
        "losses",
        "math",
        "linalg",
        "random",
        "initializers",
        "sparse",
    ):
        module = getattr(gradplan, space) if space else gradplan
        for name in getattr(module, "__all__", dir(module)):
            if not name.startswith("_") and not isinstance(getattr(module, name), ModuleType):
                found.append(f"{space}.{name}".lstrip("."))
    return found


def look_up(name: str, names: Sequence[str] | None = None) -> Finding:
    """Whether gradplan has ``name``, and otherwise the nearest alternative.

    Parameters
    ----------
    name : str
        Without the alias: ``nn.relu``.
    names : list of str, optional
        Where to look for alternatives. Default: all public names.

    Examples
    --------
    >>> from gradplan import port
    >>> port.look_up("matmull").advice
    'gp.matmul?'
    >>> port.look_up("summary.scalar")
    Finding(status='later', advice='summaries: fetch the values and print or plot them')
    """
    return Finding(SUPPORTED, "") if has(name) else missing(name, names)


def missing(name: str, names: Sequence[str] | None = None) -> Finding:
    """What :func:`look_up` says of a name that gradplan has not."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        said = _OUTLOOK.get(".".join(parts[:n]))
        if said is not None and (n > 1 or len(parts) == 1 or not hasattr(gradplan, parts[0])):
            return Finding(*said)
    names = _names() if names is None else names
    same = [n for n in names if n.split(".")[-1] == parts[-1]]
    close = same or difflib.get_close_matches(name, names, 1, 0.7)
    if close:
        return Finding(LATER, f"gp.{close[0]}?")
    said = _OUTLOOK.get(parts[0])
    return Finding(*said) if said is not None else Finding(LATER, "")


# ---- programs ------------------------------------------------------------------------------------


def _target(module: str) -> str | None:
    """A module of TensorFlow, or of gradplan, without its package: None for any other."""
    for package in ("tensorflow.compat.v1", "gradplan.compat.v1", "tensorflow", "gradplan"):
        if module == package:
            return ""
        if module.startswith(f"{package}."):
            return module.removeprefix(f"{package}.")
    return None


class _Program(ast.NodeVisitor):
    """The names of TensorFlow that a program uses, each with its first line."""

    def __init__(self) -> None:
        self.aliases: dict[str, str] = {}  # a name in the program -> the dotted name in tf
        self.used: dict[str, int] = {}

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            target = _target(alias.name)
            if target is None:
                continue
            if alias.asname:
                self.aliases[alias.asname] = target
            else:
                self.aliases[alias.name.split(".")[0]] = ""
            if target:
                self._use(target, node)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        target = None if node.level else _target(node.module or "")
        if target is None:
            return
        for alias in node.names:
            if alias.name == "*":
                continue
            name = f"{target}.{alias.name}".lstrip(".")
            if name == "compat.v1":
                name = ""
            self.aliases[alias.asname or alias.name] = name
            if name:
                self._use(name, node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        parts: list[str] = []
        inner: ast.AST = node
        while isinstance(inner, ast.Attribute):
            parts.insert(0, inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name) and inner.id in self.aliases:
            name = ".".join(p for p in [self.aliases[inner.id], *parts] if p)
            self._use(name.removeprefix("compat.v1."), node)
        else:
            self.generic_visit(node)

    def _use(self, name: str, node: ast.AST) -> None:
        self.used.setdefault(name, node.lineno)  # type: ignore[attr-defined]


def used(text: str) -> dict[str, int]:
    """The names of TensorFlow that a program uses, without its alias, each with its first line.

    Parameters
    ----------
    text : str
        The program.

    Raises
    ------
    SyntaxError
        If it is none, such as one for Python 2.

    Examples
    --------
    >>> from gradplan import port
    >>> port.used("import tensorflow as t\\nx = t.nn.relu(t.constant(1.0))")
    {'nn.relu': 2, 'constant': 2}
    """
    tree = ast.parse(text)
    program = _Program()
    # Imports first: a function may use what is imported below it.
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            program.visit(node)
    program.visit(tree)
    return _without_methods(program.used)


def _without_methods(names: dict[str, int]) -> dict[str, int]:
    """Names cut off behind a class or function: ``train.Saver.restore`` is ``train.Saver``."""
    out: dict[str, int] = {}
    for name, line in names.items():
        found: object = gradplan
        kept: list[str] = []
        for part in name.split("."):
            kept.append(part)
            found = getattr(found, part, None)
            if callable(found):
                break
        out.setdefault(".".join(kept) if callable(found) else name, line)
    return out


# ---- surveys -------------------------------------------------------------------------------------


class Row(NamedTuple):
    """A name of a survey, how many programs use it, and what is to be said of it."""

    name: str
    programs: int
    finding: Finding


def survey(path: str | Path) -> list[Row]:
    """The rows of a CSV with the columns ``name`` and ``programs``, in its order.

    Raises
    ------
    ValueError
        If a column is missing, or a number of programs is none.
    """
    with open(path, newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        if not {"name", "programs"} <= set(reader.fieldnames or ()):
            raise ValueError(f"{path}: there are no columns 'name' and 'programs'")
        names = _names()
        return [
            Row(r["name"], int(r["programs"]), look_up(r["name"].removeprefix("tf."), names))
            for r in reader
        ]


def share(rows: Sequence[Row]) -> float:
    """The part of all uses, a name in a program being one, that falls on supported names."""
    total = sum(r.programs for r in rows)
    return sum(r.programs for r in rows if r.finding.status == SUPPORTED) / total if total else 1.0


def _report(rows: Sequence[Row]) -> Iterator[str]:
    for row in rows:
        said = f"{row.finding.status}  {row.finding.advice}".rstrip()
        yield f"{row.programs:6d}  {row.name:48s} {said}"
    counts = [sum(r.finding.status == s for r in rows) for s in (SUPPORTED, LATER, NEVER)]
    yield (
        f"{counts[0]} of {len(rows)} names supported, {counts[1]} later, {counts[2]} never: "
        f"{share(rows):.1%} of the uses"
    )


# ---- the command ---------------------------------------------------------------------------------


def _check(path: str) -> int:
    try:
        names = used(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        print(f"{path}: {error}", file=sys.stderr)
        return 2
    except SyntaxError as error:
        print(f"{path}:{error.lineno}: no Python 3: {error.msg}", file=sys.stderr)
        return 2
    missing = 0
    for name, line in sorted(names.items(), key=lambda item: item[1]):
        finding = look_up(name)
        if finding.status == SUPPORTED:
            print(f"{path}:{line}: tf.{name}: supported")
            continue
        missing += 1
        print(f"{path}:{line}: tf.{name}: missing; {finding.advice or finding.status}")
    print(f"{path}: {len(names) - missing} of {len(names)} names supported")
    if "__version__" in names:
        print(f"{path}: it asks for tf.__version__: say `import gradplan.compat.v1 as tf`")
    return 1 if missing else 0


def main(argv: Sequence[str] | None = None) -> int:
    """The command; its exit status is 1 if names are missing, 2 if a file is no program."""
    parser = argparse.ArgumentParser(prog="python -m gradplan.port", description=__doc__)
    parser.add_argument("files", nargs="*", metavar="FILE.py", help="programs to look at")
    parser.add_argument("--coverage", metavar="CSV", help="a survey of names")
    args = parser.parse_args(argv)
    if not args.files and not args.coverage:
        parser.error("give a program, or --coverage and a survey")
    status = max(map(_check, args.files), default=0)
    if args.coverage:
        try:
            rows = survey(args.coverage)
        except (OSError, ValueError) as error:
            print(error, file=sys.stderr)
            return 2
        print("\n".join(_report(rows)))
    return status


if __name__ == "__main__":
    try:
        status = main()
        sys.stdout.flush()
    except BrokenPipeError:  # who reads, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    sys.exit(status)
