"""The command ``gradplan``, and the tables it reads."""

from __future__ import annotations

import builtins
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from gradplan import cli, datasets

QUICK = ["--quiet", "--hidden", "8", "--epochs", "3"]


@pytest.fixture(autouse=True)
def in_a_directory_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def train(*args):
    return cli.main(["train", *args])


def figures(text):
    """The report as a dict, without the speed."""
    pairs = (line.split(None, 1) if line[:4] != "test" else line.rsplit(None, 1)
             for line in text.splitlines())  # fmt: skip
    return {key.strip(): value.strip() for key, value in pairs if key != "steps"}


def refused(capsys, *args):
    """Run; expect exit code 2 and one line, which is returned."""
    capsys.readouterr()
    assert cli.main(list(args)) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("gradplan: error: ")
    return err


def write_csv(path, header, rows):
    path.write_text("\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n")
    return str(path)


@pytest.fixture
def line_csv(tmp_path):
    """y = 3000 a - 2000 b + 10^6: real-valued, and far from zero."""
    rng = np.random.default_rng(0)
    rows = [(a, 7.0, b, 3000 * a - 2000 * b + 1e6) for a, b in rng.normal(size=(300, 2))]
    return write_csv(tmp_path / "line.csv", "a,always,b,y", rows)


def parameters(path):
    with np.load(path) as file:
        return {name: file[name] for name in file.files}


# ------------------------------------------------------------------------------------ it trains


def test_the_demo(capsys):
    assert train("--quiet") == 0
    out = capsys.readouterr().out
    found = figures(out)
    accuracy = next(line for line in out.splitlines() if line.startswith("test accuracy")).split()[
        2
    ]
    assert float(accuracy) >= 0.97
    assert "64-128-64-10, relu, adam" in found["network"]
    assert "steps per second" in out and "arena" in out and "live-set bound" in out
    path = found["checkpoint"]
    assert {"layer1/kernel", "layer1/kernel/Adam", "global_step", "input/mean"} <= set(
        parameters(path)
    )
    assert train("--quiet") == 0
    again = capsys.readouterr().out
    assert figures(again) == found and "crc32" in found["parameters"]


@pytest.mark.parametrize("optimizer", list(cli.OPTIMIZERS))
@pytest.mark.parametrize("activation", list(cli.ACTIVATIONS))
def test_every_choice(capsys, optimizer, activation):
    rate = {"adam": "0.01", "sgd": "0.5", "momentum": "0.05"}[optimizer]
    options = ["--hidden", "16", "--epochs", "20", "--quiet", "--learning-rate", rate]
    assert train(*options, "--optimizer", optimizer, "--activation", activation) == 0
    line = capsys.readouterr().out.splitlines()[2]
    assert float(line.split()[2]) > 0.9, line


def test_a_regressor(capsys, line_csv):
    assert train("--data", line_csv, "--hidden", "", "--epochs", "60", "--optimizer", "sgd",
                 "--quiet") == 0  # fmt: skip
    out = capsys.readouterr().out.splitlines()
    assert out[0].split()[1].startswith("3-1,")
    assert float(out[2].split()[-1]) < 20  # in units of y, whose deviation is 3600
    assert float(out[3].split()[-1]) > 0.999
    saved = parameters(out[-1].split()[-1])
    assert saved["target/mean"] == pytest.approx(1e6, rel=0.01) and saved["input/scale"][1] == 1


def test_words_are_classes(capsys, tmp_path):
    rng = np.random.default_rng(1)
    rows = [(f"{'left' if x < 0 else 'right'}", x, z) for x, z in rng.normal(size=(200, 2))]
    path = write_csv(tmp_path / "side.csv", "side,x,z", rows)
    assert (
        train("--data", path, "--target", "side", "--hidden", "8", "--epochs", "100", "--quiet")
        == 0
    )
    out = capsys.readouterr().out.splitlines()
    assert "2-8-2," in out[0] and float(out[2].split()[2]) > 0.9


def test_npz(capsys, tmp_path):
    images, labels = datasets.load_digits(flat=False)
    np.savez(tmp_path / "d.npz", x=images[:200], y=labels[:200])
    assert train("--data", "d.npz", *QUICK) == 0
    np.savez(tmp_path / "e.npz", pictures=images[:200], kind=labels[:200])
    assert train("--data", "e.npz", "--target", "kind", *QUICK) == 0
    first, second = (part for part in capsys.readouterr().out.split("network")[1:])
    assert first.split("parameters")[1] == second.split("parameters")[1]


# ---------------------------------------------------------------------------- it stops and goes on


@pytest.mark.parametrize("optimizer", list(cli.OPTIMIZERS))
def test_resumed_is_as_if_never_stopped(capsys, optimizer):
    common = ["--quiet", "--hidden", "8", "--optimizer", optimizer, "--seed", "5"]
    assert train(*common, "--epochs", "5", "--checkpoint", "whole") == 0
    assert train(*common, "--epochs", "2", "--checkpoint", "parts") == 0
    assert train(*common, "--epochs", "5", "--checkpoint", "parts", "--resume") == 0
    capsys.readouterr()
    (name,) = [n for n in os.listdir("whole") if n.endswith(".npz")]
    whole, parts = (parameters(f"{d}/{name}") for d in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(whole[key].tobytes() == parts[key].tobytes() for key in whole)


def test_stopped_in_the_middle_of_an_epoch(capsys, monkeypatch):
    assert train(*QUICK, "--checkpoint", "whole") == 0
    expected = figures(capsys.readouterr().out)

    calls = 0

    def advance(self):
        nonlocal calls
        calls += 1
        if calls == 61:  # in the second epoch
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(cli.Progress, "advance", advance)
        assert train(*QUICK, "--checkpoint", "parts") == 130
    out, err = capsys.readouterr()
    assert out == "" and "model-61.npz" in err and err.count("\n") == 1
    assert train(*QUICK, "--checkpoint", "parts", "--resume") == 0
    assert figures(capsys.readouterr().out)["parameters"] == expected["parameters"]


def test_ctrl_c(tmp_path):
    command = [sys.executable, "-m", "gradplan", "train", "--epochs", "1000000", "--quiet"]
    # A shell that starts a job in the background has it ignore SIGINT, and so would the child.
    heed = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **heed) as child:
        deadline = time.monotonic() + 60
        while not (tmp_path / "checkpoints").exists() and child.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(1.0)
        child.send_signal(signal.SIGINT)
        try:
            _, err = child.communicate(timeout=60)
        finally:
            child.kill()
    assert child.returncode == 130, err
    if err:  # it had begun to train
        assert err.startswith("gradplan: stopped") and err.count("\n") == 1
        assert list((tmp_path / "checkpoints").glob("model-*.npz"))


def test_resume_is_refused(capsys):
    assert "no checkpoint in none" in refused(
        capsys, "train", *QUICK, "--resume", "--checkpoint", "none"
    )
    assert train(*QUICK) == 0
    again = ["train", "--quiet", "--resume", "--epochs", "9"]
    assert "layer1/" in refused(capsys, *again, "--hidden", "9")
    assert "layer3/" in refused(capsys, *again, "--hidden", "8,10")
    assert "Momentum" in refused(capsys, *again, "--hidden", "8", "--optimizer", "momentum")
    assert "seed is 0, not 1" in refused(capsys, *again, "--hidden", "8", "--seed", "1")
    assert "batch size" in refused(capsys, *again, "--hidden", "8", "--batch-size", "64")
    assert "test rows" in refused(capsys, *again, "--hidden", "8", "--test-fraction", "0.5")
    assert "adds none" in refused(capsys, *again[:-1], "3", "--hidden", "8")
    for path in os.listdir("checkpoints"):
        if path.endswith(".npz"):
            with open(f"checkpoints/{path}", "r+b") as file:
                file.truncate(1000)
    assert "cannot be read" in refused(capsys, *again, "--hidden", "8")


# --------------------------------------------------------------------------------- it says what


def test_progress(capsys, monkeypatch):
    pytest.importorskip("tqdm")
    options = [option for option in QUICK if option != "--quiet"]
    assert train(*options) == 0
    err = capsys.readouterr().err
    assert "step" in err and "epoch 3/3 loss " in err and "accuracy" in err

    real = builtins.__import__

    def without_tqdm(name, *args, **kw):
        if name == "tqdm":
            raise ImportError(name)
        return real(name, *args, **kw)

    monkeypatch.setattr(builtins, "__import__", without_tqdm)
    assert train(*options) == 0
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and lines[2].startswith("epoch 3/3: loss ")
    assert train(*QUICK) == 0
    assert capsys.readouterr().err == ""


def test_version_and_help(capsys):
    for argv, text in ((["--version"], "gradplan "), (["train", "--help"], "tqdm")):
        with pytest.raises(SystemExit) as stop:
            cli.main(argv)
        assert stop.value.code == 0
        assert text in capsys.readouterr().out


@pytest.mark.parametrize(
    "options, words",
    [
        ([], "COMMAND"),
        (["fly"], "fly"),
        (["train", "--fly"], "--fly"),
        (["train", "--epochs", "0"], "--epochs"),
        (["train", "--epochs", "many"], "whole number"),
        (["train", "--batch-size", "-3"], "--batch-size"),
        (["train", "--hidden", "8,,8"], "--hidden"),
        (["train", "--hidden", "0"], "--hidden"),
        (["train", "--activation", "gelu"], "softplus"),
        (["train", "--optimizer", "lbfgs"], "momentum"),
        (["train", "--learning-rate", "nan"], "above 0"),
        (["train", "--learning-rate", "-1"], "above 0"),
        (["train", "--test-fraction", "1"], "between 0 and 1"),
        (["train", "--test-fraction", "0.00001"], "too few"),
        (["train", "--seed", "-1"], "--seed"),
        (["train", "--target", "x"], "--target"),
        (["train", "--data", "none.csv"], "none.csv: No such file"),
        (["train", "--data", "none.npz"], "none.npz: No such file"),
        (["train", "--data", "none.xls"], "neither"),
        (["train", "--checkpoint", "a_file"], "a_file"),
        (["train", "--optimizer", "sgd", "--learning-rate", "1e30"], "diverges"),
    ],
)
def test_wrong_options(capsys, tmp_path, options, words):
    (tmp_path / "a_file").write_text("")
    quiet = ["--quiet"] if options[:1] == ["train"] else []
    assert words in refused(capsys, *options, *quiet)


@pytest.mark.parametrize(
    "text, words",
    [
        ("", "empty"),
        ("a,b\n", "no rows"),
        ("b\n1\n2\n", "no columns"),
        ("a,b\n1,2\n3\n", "row 2: 1 cells, not 2"),
        ("a,b\n1,2\n,4\n", "row 2, column 'a': missing"),
        ("a,b\n1,2\n3,\n", "row 2, column 'b': missing"),
        ("a,b\n1,2\nx,4\n", "row 2, column 'a': 'x' is not a number"),
        ("a,b\n1,2\nnan,4\n", "row 2, column 'a': not a finite"),
        ("a,b\n1,2\n1e300,4\n", "row 2, column 'a': not a finite"),
        ("a,b\n1,2.5\n1,inf\n", "row 2: the target"),
        ("a,a\n1,2\n", "not one column 'a'"),
        ("a,b\n1,2\n", "too few"),
        ("\0\1\2", "csv"),
        ("a,b\n\udcff\udcfe,1\n", "not a CSV file"),
    ],
)
def test_wrong_csv(capsys, tmp_path, text, words):
    (tmp_path / "t.csv").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert words in refused(capsys, "train", "--data", "t.csv", "--quiet")


def test_wrong_target(capsys, line_csv):
    err = refused(capsys, "train", "--data", line_csv, "--target", "price")
    assert "'price'" in err and "a, always, b, y" in err


@pytest.mark.parametrize(
    "arrays, words",
    [
        ({}, "found nothing"),
        ({"x": np.zeros((3, 2))}, "found x [3, 2]"),
        ({"x": np.zeros((3, 2)), "y": np.zeros(4)}, "do not match"),
        ({"x": np.zeros((3, 2)), "y": np.zeros((3, 2))}, "do not match"),
        ({"a": np.zeros((3, 2)), "b": np.zeros((3, 2)), "y": np.zeros(3)}, "wanted features"),
        ({"x": np.zeros((3, 2), "c8"), "y": np.zeros(3)}, "complex64"),
        ({"x": np.full((3, 2), np.nan), "y": np.zeros(3)}, "not a finite"),
        ({"x": np.zeros((3, 0)), "y": np.zeros(3)}, "no columns"),
        ({"x": np.zeros((0, 2)), "y": np.zeros(0)}, "no rows"),
        ({"x": np.array([{}, {}]), "y": np.zeros(2)}, "not a NumPy archive"),
    ],
)
def test_wrong_npz(capsys, tmp_path, arrays, words):
    np.savez(tmp_path / "t.npz", **arrays)
    assert words in refused(capsys, "train", "--data", "t.npz", "--quiet")


def test_no_archive_at_all(capsys, tmp_path):
    for data in (b"", b"hello", b"PK\3\4 cut"):
        (tmp_path / "t.npz").write_bytes(data)
        assert "t.npz" in refused(capsys, "train", "--data", "t.npz", "--quiet")


# ------------------------------------------------------------------------------------ the tables


def test_what_is_a_class(tmp_path):
    def target(values):
        return datasets.load_table(
            write_csv(tmp_path / "t.csv", "a,b", [(0, value) for value in values])
        )

    assert target([3, 1, 3]).classes == ("1", "3") and target([3, 1, 3]).target.tolist() == [
        1,
        0,
        1,
    ]
    assert target([1.0, 2.0]).classes == ("1", "2")
    assert target([1.5, 2.0]).classes is None
    assert target(range(100)).classes is not None and target(range(101)).classes is None
    assert target(["b", "a"]).classes == ("a", "b")
    assert target(["1", "a"]).classes == ("1", "a")


def test_csv_of_a_spreadsheet(tmp_path):
    path = tmp_path / "t.CSV"
    path.write_bytes(b'\xef\xbb\xbf"the width",kind\r\n 1.5 ,"a, b"\r\n\r\n2e0,c\r\n')
    table = datasets.load_table(str(path))
    assert table.columns == ("the width",) and table.classes == ("a, b", "c")
    assert table.features.tolist() == [[1.5], [2.0]] and table.features.dtype == np.float32


def test_the_digits_name_their_source():
    with np.load(datasets._DIGITS) as file:
        assert "10.24432/C50P49" in str(file["source"]) and "CC BY 4.0" in str(file["licence"])
    images, labels = datasets.load_digits()
    assert images.shape == (1797, 64) and np.bincount(labels).min() > 170
    assert os.path.getsize(datasets._DIGITS) < 100_000
