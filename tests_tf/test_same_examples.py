"""The programs in examples/ do on TensorFlow 1 what they do here: only the module is another."""

import importlib.util
import json
import os
import subprocess
from pathlib import Path

import pytest
from conftest import PYTHON

ROOT = Path(__file__).resolve().parents[1]
TEXT = """
import importlib.util, json, sys
import tensorflow.compat.v1 as tf
tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)

def load(name, path):
    spec = importlib.util.spec_from_file_location(name, path)
    sys.modules[name] = module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

sys.modules["gradplan"] = tf
load("gradplan.datasets", "src/gradplan/datasets/__init__.py")
for name in sys.argv[1:]:
    try:
        found = load("example", f"examples/{name}.py").main()
        found = {k: float(v) for k, v in found.items()}
    except Exception as error:
        found = repr(error)
    print(json.dumps({name: found}))
"""

#: Without random numbers of their own: these have to give the same figures.
SAME = ["linear_regression", "logistic_regression", "moving_average", "learning_rate_decay",
        "frozen_variable"]  # fmt: skip
#: With: these have to pass the same checks.
ALIKE = ["mlp_digits", "conv_digits", "autoencoder", "vae", "word_embeddings", "char_rnn",
         "heat_equation", "policy_gradient", "actor_critic", "maml", "gan_line", "graph_surgery",
         "several_graphs", "triangle", "neuron_sgd", "dense_layer"]  # fmt: skip


def checks():
    spec = importlib.util.spec_from_file_location("checks", ROOT / "tests/test_examples.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def theirs():
    """What each program's ``main`` returned, from one process: TensorFlow is slow to import."""
    env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}
    done = subprocess.run([PYTHON, "-c", TEXT, *SAME, *ALIKE], cwd=ROOT, env=env,
                          capture_output=True, text=True, timeout=600)  # fmt: skip
    assert not done.returncode, done.stderr[-2000:]
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return {name: found for line in lines for name, found in json.loads(line).items()}


@pytest.mark.parametrize("name", SAME)
def test_the_same_figures(name, theirs):
    ours = checks().run(ROOT / f"examples/{name}.py")
    assert theirs[name] == pytest.approx(ours, rel=2e-4, abs=1e-9)


@pytest.mark.parametrize("name", ALIKE)
def test_the_same_checks(name, theirs):
    assert isinstance(theirs[name], dict), theirs[name]
    checks().CHECKS[name](theirs[name])
