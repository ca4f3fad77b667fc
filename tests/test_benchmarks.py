"""The benchmark harness: it runs, its numbers agree, and its arithmetic is right. No times."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(
    not (ROOT / "benchmarks").is_dir(), reason="the benchmarks are not part of the package"
)


@pytest.fixture(autouse=True)
def importable(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))


def test_many_variables_are_stepped_as_one_is():
    import gradplan as gp
    from benchmarks.overhead import many_variables

    for optimizer in (gp.train.AdamOptimizer, gp.train.RMSPropOptimizer):
        assert many_variables(optimizer, 1, 4, 5) > 0  # it compares the values


def test_a_quick_run_writes_its_files(tmp_path):
    command = [sys.executable, "-m", "benchmarks", "--quick", "--seconds", "0.02"]
    command += ["--only", "triangle", "forward1", "chain", "--systems", "gradplan", "numpy"]
    done = subprocess.run(
        [*command, "--output", tmp_path], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert not done.returncode, done.stderr
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results["workloads"]) == {"triangle", "forward1", "chain"}
    for workload in results["workloads"].values():
        for system in ("gradplan", "numpy"):
            row = workload["systems"][system]
            assert row["status"] == "ok", row["status"]  # so their numbers agree
            assert 0 < row["us"] <= row["median_us"]
            assert row["peak_mib"] > 1 and row["first_seconds"] > 0
    text = (tmp_path / "RESULTS.md").read_text()
    assert text.strip() == done.stdout.strip()
    for heading in ("Called once per step", "Where gradplan loses", "First step", "Left out"):
        assert heading in text


def test_what_is_not_installed_is_skipped_with_its_reason(tmp_path, monkeypatch):
    from benchmarks.run import Effort, Fleet, Options
    from benchmarks.systems import SYSTEMS, System
    from benchmarks.workloads import WORKLOADS

    monkeypatch.setitem(SYSTEMS, "none", System("None", "numpy_by_hand", "", "no_such", "main"))
    fleet = Fleet(Options(0.01, 1, 1, tmp_path))
    fleet.start(["none"])
    rows = fleet.measure(WORKLOADS["triangle"], ["none"], Effort(0.01, 1, 1e-3))
    assert rows == {"none": {"status": "skipped: no_such is not installed"}}


def test_disagreement_is_found_and_named():
    from benchmarks.run import disagreements

    same = {"gradplan": [1.0, 2.0], "numpy": [1.0, 2.0001]}
    assert disagreements(same, 1e-3) == {}
    for wrong in ([1.0, 2.1], [float("nan"), 2.0], [1.0]):
        found = disagreements({**same, "other": wrong}, 1e-3)
        assert list(found) == ["other"] and found["other"].startswith("disagrees")


def test_losses_and_cliffs_are_told_from_the_ratios():
    from benchmarks.analysis import best_peer, cliffs, judge_aims, lost

    def rows(**us):
        return {name.replace("_", "-"): {"status": "ok", "us": t} for name, t in us.items()}

    digits = rows(gradplan=20.0, numpy=100.0, jax=10.0, jax_scan=1.0)
    assert best_peer(digits) == "jax" and best_peer(digits, loop=True) == "jax-scan"
    workloads = {"digits": {"systems": digits}}
    assert [(aim.factor, peer, ratio) for aim, peer, ratio in judge_aims(workloads)] == [
        (3.6, "jax", 0.5),
        (2, "numpy", 5.0),
    ]
    (sentence,) = lost(workloads, [])
    assert sentence.startswith("digits: gradplan takes 20.0 us, JAX jit 10.0 us")

    def points(times):
        return [
            {"width": 2**i, "batch": 1, "systems": rows(gradplan=t)} for i, t in enumerate(times)
        ]

    assert cliffs(points([5 + 4**i for i in range(6)])) == []
    (cliff,) = cliffs(points([10, 20, 50, 80, 160]))
    assert cliff.startswith("width 4, batch 1")


def test_single_operations_are_timed_and_the_worst_told_first():
    from benchmarks.report import best_ratio, operations

    command = [sys.executable, "-m", "benchmarks.operations", "--quick", "--json"]
    done = subprocess.run([*command, "add(x, v)", "argmax"], cwd=ROOT, capture_output=True,
                          text=True, timeout=300)  # fmt: skip
    assert not done.returncode, done.stderr
    found = json.loads(done.stdout)
    names = {(row["name"], row["size"]) for row in found["rows"]}
    assert names == {(n, s) for n in ("add(x, v)", "argmax(x, 1)") for s in ("small", "large")}
    for row in found["rows"]:
        assert "error" not in row  # so it agrees with NumPy
        assert row["us"] > 0 and row["numpy"] > 0 and row["gbytes"] > 0
    worst = min(found["rows"], key=best_ratio)
    first = operations(found, 1).split("\n")[2]
    assert worst["name"] in first and worst["size"] in first


def test_workloads_are_the_same_for_everybody():
    import numpy as np

    from benchmarks.workloads import BATCHES, WORKLOADS, make_data, sweep

    work = WORKLOADS["digits"]
    first, second = make_data(work), make_data(work)
    np.testing.assert_array_equal(first.inputs, second.inputs)
    assert first.inputs.shape == (BATCHES, 32, 64) and first.labels.max() == 9
    assert work.parameters == 64 * 128 + 128 + 128 * 64 + 64 + 64 * 10 + 10
    inputs, labels = first.whole(work.loop_steps)
    assert len(inputs) == len(labels) == work.loop_steps
    assert len({w.name for w in sweep()}) == len(sweep())
