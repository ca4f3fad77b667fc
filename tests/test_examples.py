"""Every file in examples/ runs, and shows what its text says."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


def run(path: Path) -> dict[str, float]:
    spec = importlib.util.spec_from_file_location(f"example_{path.stem}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.__doc__
    return module.main()


def triangle(found):
    assert 0.6 < found["linear"] < 0.8
    assert found["2-3-1"] > 0.97


def chain_rule(found):
    assert found["paths"] == 7
    assert found["sum"] == pytest.approx(found["gradients"], rel=1e-14)


def neuron_sgd(found):
    assert found["difference"] < 1e-12
    assert found["accuracy"] == 1


def dense_layer(found):
    assert found.keys() == {"dL/dW", "dL/db", "dL/dX"}
    assert max(found.values()) < 1e-14


def frozen_variable(found):
    assert found["shift"] == 4
    assert found["trainable"] == 1
    assert found["slope"] == pytest.approx(found["best"], rel=1e-5)
    assert found["moved"] != 4


CHECKS = {f.__name__: f for f in (triangle, chain_rule, neuron_sgd, dense_layer, frozen_variable)}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_example(path, capsys):
    CHECKS[path.stem](run(path))
    assert capsys.readouterr().out


def test_no_example_is_missing():
    assert CHECKS.keys() == {path.stem for path in EXAMPLES}
