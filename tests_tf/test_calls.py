"""Every call of the tables, in gradplan and in TensorFlow: all that a program can see of it."""

import importlib
import pathlib

import numpy as np
import pytest
from both import evaluate
from inputs import used
from table import has, names

import gradplan as gp

TABLES = [
    importlib.import_module(p.stem) for p in sorted(pathlib.Path(__file__).parent.glob("calls*.py"))
]
CALLS = [row for table in TABLES for row in table.CALLS]
ERRORS = [row for table in TABLES for row in table.ERRORS]
pytestmark = pytest.mark.filterwarnings("ignore")


def lacking(row):
    return sorted(name for name in names(row.program) if not has(gp, name))


def able(table):
    """The rows whose names gradplan has; ``test_names.py`` fails for the others."""
    return pytest.mark.parametrize("row", [r for r in table if not lacking(r)], ids=str)


def differences(ours, theirs, tol=None, values=True):
    """Aspect to what is unlike, of two answers of ``both.evaluate``."""
    found = {}

    def note(aspect, a, b):
        found.setdefault(aspect, f"{aspect}: gradplan {a}, TensorFlow {b}")

    if ours["error"] or theirs["error"]:
        if (ours["error"] or [0, 0])[1] != (theirs["error"] or [0, 0])[1]:
            note("error", ours["error"], theirs["error"])
        return found
    for a, b in zip(ours["names"], theirs["names"], strict=False):
        if not same_result(a, b):
            note("name", a, b)
    if ours["dtypes"] != theirs["dtypes"]:
        note("dtype", ours["dtypes"], theirs["dtypes"])
    if len(ours["shapes"]) != len(theirs["shapes"]):
        note("shape", ours["shapes"], theirs["shapes"])
    for a, b in zip(ours["shapes"], theirs["shapes"], strict=False):
        if not as_sharp(a, b):
            note("shape", a, b)
    for key in ("values", "first", "second") if values else ():
        a, b = ours.get(key), theirs.get(key)
        aspect = "value" if key == "values" else key
        if isinstance(b, str) and not isinstance(a, str):
            continue  # gradplan has a derivative that TensorFlow has not
        if a is None or b is None:
            continue  # the order before had none
        if isinstance(a, str) or isinstance(b, str):
            if a != b:
                note(aspect, a, b)
            continue
        for one, other in zip(a, b, strict=True) if len(a) == len(b) else [(a, b)]:
            if key == "second" and one is None and other is not None and not np.any(other):
                continue  # TensorFlow computes zeros where gradplan knows that nothing flows
            text = unlike(one, other, tol)
            if text:
                note(aspect, *text)
    for a, b in zip(ours.get("first names", ()), theirs.get("first names", ()), strict=False):
        if None not in (a, b) and not same_gradient(*a, *b):
            note("gradient", a, b)
    return found


#: Last steps that TensorFlow 2 alone has, and their names in TensorFlow 1; "" is the scope's.
NEWER_STEPS = {"DenseBincount": "/Bincount", "SelectV2": "/mul_1", "RandomUniform": "",
               "Slice": "", "MatMul": "", "concat": ""}  # fmt: skip


def same_result(name, theirs):
    scope, _, last = theirs.rpartition("/")
    last, colon, index = last.partition(":")
    return name == theirs or scope and name == scope + NEWER_STEPS.get(last, "/") + colon + index


def same_gradient(slices, name, theirs_slices, theirs):
    """Whether a gradient is of one kind and, in one scope, has one name; how a composition of
    operations is made, and so the scopes in it, are its own affair."""
    if slices is not theirs_slices:
        return False
    return name == theirs or name.rpartition("/")[0] != theirs.rpartition("/")[0]


def as_sharp(ours, theirs):
    """Whether a static shape tells all that TensorFlow's tells, and nothing else."""
    if theirs is None or ours is None:
        return theirs is None
    pairs = zip(ours, theirs, strict=False)
    return len(ours) == len(theirs) and all(b is None or a == b for a, b in pairs)


def unlike(a, b, tol=None):
    """None, or the two where they are not the same."""
    if a is None or b is None:
        return None if a is b else (show(a), show(b))
    a, b = np.asarray(a), np.asarray(b)
    if a.shape != b.shape or a.dtype != b.dtype:
        return f"{a.dtype}{a.shape}", f"{b.dtype}{b.shape}"
    if a.dtype.kind != "f":
        return None if np.array_equal(a, b) else (show(a), show(b))
    tol = tol or (2e-5 if a.dtype == np.float32 else 1e-10)
    finite = b[np.isfinite(b)]
    size = max(1.0, float(abs(finite).max())) if finite.size else 1.0
    alike = np.allclose(a, b, tol, tol * size, equal_nan=True)
    return None if alike else (show(a), show(b))


def show(value):
    return "None" if value is None else np.array2string(np.asarray(value), threshold=40)


def verdict(row, found):
    """Fail for what is unlike without a reason, and for a reason without a difference."""
    wrong = [text for aspect, text in found.items() if aspect not in row.differs]
    stale = [aspect for aspect in row.differs if aspect not in found]
    assert not wrong, "\n".join(["", row.program, *wrong])
    assert not stale, f"{row}: {stale} no longer differs, so the reason is to go"


@able(CALLS)
def test_call(row, tensorflow):
    arrays = used(row.program)
    orders = 2 if row.values else 0
    found = differences(
        evaluate(gp, row.program, arrays, orders=orders),
        tensorflow.evaluate(row.other, arrays, orders=orders),
        row.tol,
        row.values,
    )
    for known in (False, None):  # what is known of the shape where dimensions, or ranks, are not
        ours = evaluate(gp, row.program, arrays, known, run=False)
        theirs = tensorflow.evaluate(row.other, arrays, known, run=False)
        if theirs["error"]:
            continue  # it wants to know more: gradplan need not
        if known is None and ours["error"] and "rank" in ours["error"][2]:
            continue  # gradplan may ask for a rank, in so many words
        unknown = differences(ours, theirs)
        for aspect in ("shape", "error"):
            if aspect in unknown:
                found.setdefault(aspect, f"dims {known}: {unknown[aspect]}")
    verdict(row, found)


#: What gradplan sees in shapes and constants while the graph is built, TensorFlow when it runs.
EARLIER = (("build", "ValueError"), ("run", "InvalidArgumentError"))


@able(ERRORS)
def test_error(row, tensorflow):
    arrays = used(row.program)
    ours = evaluate(gp, row.program, arrays, orders=0)["error"]
    theirs = tensorflow.evaluate(row.other, arrays, orders=0)["error"]
    both = f"\n{row.program}\ngradplan {ours}\nTensorFlow {theirs}"
    assert ours and (theirs or row.ours), both
    if row.ours:
        assert ours[1] == row.ours and (theirs is None or theirs[1] != row.ours), both
    elif (ours[:2], theirs[:2]) != EARLIER:
        assert ours[1] == theirs[1], both
