"""Imports run one way, modules stay small, and importing costs and starts nothing."""

import ast
import pathlib
import subprocess
import sys

import gradplan

ROOT = pathlib.Path(gradplan.__file__).parent

#: Each layer may import from those before it, and from itself.
LAYERS = [
    ["errors", "dtypes", "composite", "_core"],
    ["shapes", "graph_keys", "graph_def", "source"],
    ["names"],
    ["graph"],
    ["scopes", "known"],
    ["opdef"],
    ["program", "views", "tiling"],
    ["probe", "stages", "body"],
    ["schedule", "memory", "plan"],
    ["bind"],
    ["passes"],
    ["ops"],
    ["custom"],
    ["gradients", "keras", "train.checkpoint"],
    ["vectorize"],
    ["derivatives"],
    ["control_flow"],
    ["loop", "feeds"],
    ["compiled"],
    ["session"],
    ["test"],
    ["train"],
    ["porting", "app", "flags", "gfile", "logging"],
    ["compat", "contrib", "python"],
]
#: The package itself and its commands and data sets, which may import everything.
ALL_OF_THEM = ("__init__", "__main__", "cli", "datasets", "port")
#: What sees a name of an operation's module though it stands below it, and why.
EXCEPTIONS = {("session", "ops")}


def layer(module):
    best = max(
        (name for group in LAYERS for name in group if f"{module}.".startswith(f"{name}.")),
        key=len,
        default=None,
    )
    return next((i for i, group in enumerate(LAYERS) if best in group), None), best


def imported(path):
    """The gradplan modules that a file imports."""
    tree = ast.parse(path.read_text())
    for node in tree.body:  # what is imported for type checkers alone does not count
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            node.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("gradplan"):
            base = node.module.removeprefix("gradplan").strip(".")
            for alias in node.names:
                child = f"{base}.{alias.name}".strip(".")
                target = ROOT / (child.replace(".", "/"))
                exists = target.with_suffix(".py").exists() or target.is_dir() or child == "_core"
                yield child if exists else base
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.startswith("gradplan."):
                    yield alias.name.removeprefix("gradplan.")


def test_imports_run_one_way():
    wrong = []
    for path in sorted(ROOT.rglob("*.py")):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        mine, name = layer(module)
        if mine is None:
            assert module in ALL_OF_THEM, f"{module} has no layer"
            continue
        for other in imported(path):
            theirs, target = layer(other)
            if theirs is not None and theirs > mine and (name, target) not in EXCEPTIONS:
                wrong.append(f"{module} imports {other}")
    assert not wrong


def test_modules_stay_readable():
    assert not {
        p.name: n for p in ROOT.rglob("*.py") if (n := len(p.read_text().splitlines())) > 650
    }


def test_import_prints_nothing_starts_nothing_and_loads_no_blas():
    program = """if True:
        import os, sys, threading
        before = dict(os.environ)
        import numpy
        tasks = len(os.listdir("/proc/self/task")) if os.path.isdir("/proc/self/task") else 0
        import gradplan
        assert dict(os.environ) == before
        assert threading.active_count() == 1
        assert not tasks or len(os.listdir("/proc/self/task")) == tasks
        heavy = [m for m in ("scipy", "matplotlib", "tqdm", "threadpoolctl") if m in sys.modules]
        assert not heavy, heavy
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_every_public_name_is_documented():
    bare = []
    spaces = (gradplan.initializers, gradplan.losses, gradplan.random, gradplan.keras.initializers)
    for module in (gradplan, gradplan.nn, gradplan.train, *spaces):
        for name in dir(module):
            value = getattr(module, name)
            if not name.startswith("_") and callable(value) and not (value.__doc__ or "").strip():
                bare.append(f"{module.__name__}.{name}")
    assert not bare
