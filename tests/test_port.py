"""The tool that looks at programs for TensorFlow 1."""

import os
import subprocess
import sys

import pytest

import gradplan
from gradplan import port

PROGRAM = """
import os
import numpy as np
import tensorflow.compat.v1 as tf
import tensorflow as tf2
from tensorflow.python.framework import ops
from tensorflow.examples.tutorials.mnist import input_data
from tensorflow import nn as layers
from tensorflow.contrib import layers as contrib_layers

def main():
    x = tf.placeholder(tf.float32, [None, 2])
    y = layers.relu(tf.matmul(x, tf2.Variable(np.ones((2, 2)))))
    ops.reset_default_graph()
    saver = tf.train.Saver.restore
    mnist = input_data.read_data_sets("data")
    tf.summary.scalar("y", y)
    tf2.compat.v1.reduce_sum(y)
    contrib_layers.xavier_initializer()
    tf.matmull(x, y)
    x.tf.nothing, os.path.join("tf", "nn")
"""


def test_names_are_found_under_every_alias():
    names = port.used(PROGRAM)
    assert set(names) == {
        "Variable",
        "contrib.layers",
        "contrib.layers.xavier_initializer",
        "examples.tutorials.mnist.input_data",
        "examples.tutorials.mnist.input_data.read_data_sets",
        "float32",
        "matmul",
        "matmull",
        "nn",
        "nn.relu",
        "placeholder",
        "python.framework.ops",
        "python.framework.ops.reset_default_graph",
        "reduce_sum",
        "summary.scalar",
        "train.Saver",
    }
    assert names["placeholder"] == 12 and names["matmull"] == 20


def test_a_program_with_missing_names(tmp_path, capsys):
    path = tmp_path / "program.py"
    path.write_text(PROGRAM)
    assert port.main([str(path)]) == 1
    out = capsys.readouterr().out
    assert f"{path}:20: tf.matmull: missing; gp.matmul?\n" in out
    assert f"{path}:12: tf.placeholder: supported\n" in out
    assert "tf.summary.scalar: missing; summaries:" in out
    assert "input_data.read_data_sets: missing; data:" in out


def test_a_program_that_runs_as_it_is(tmp_path, capsys):
    path = tmp_path / "program.py"
    path.write_text("import tensorflow as tf\nprint(tf.__version__, tf.constant(1.0))\n")
    assert port.main([str(path)]) == 0
    assert "2 of 2 names supported" in (out := capsys.readouterr().out)
    assert "import gradplan.compat.v1 as tf" in out


def test_what_is_no_program(tmp_path, capsys):
    path = tmp_path / "old.py"
    path.write_text("print 1\n")
    assert port.main([str(path), str(tmp_path / "none.py")]) == 2
    err = capsys.readouterr().err
    assert f"{path}:1: no Python 3" in err and "none.py" in err


def test_coverage_of_a_survey(tmp_path, capsys):
    path = tmp_path / "names.csv"
    path.write_text(
        "name,programs\ntf.matmul,6\ntf.estimator.Estimator,1\ntf.keras.layers.Dense,1\n"
    )
    assert port.main(["--coverage", str(path)]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "1 of 3 names supported, 1 later, 1 never: 75.0% of the uses"
    path.write_text("one,two\n1,2\n")
    assert port.main(["--coverage", str(path)]) == 2


def test_the_nearest_name():
    assert port.look_up("nn.sigmoidd") == (port.LATER, "gp.nn.sigmoid?")
    assert port.look_up("relu") == (port.LATER, "gp.nn.relu?")
    assert port.look_up("estimator.Anything").status == port.NEVER
    assert port.look_up("quite_another_thing") == (port.LATER, "")


def test_it_runs_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "gradplan.port"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and "FILE.py" in done.stderr


@pytest.mark.parametrize(
    "name, words",
    [
        ("summary", r"no 'summary' \(summaries: fetch"),
        ("reduce_meen", r"no 'reduce_meen' \(gp.reduce_mean\?\)"),
        ("nn.rellu", r"no 'nn.rellu' \(gp.nn.relu\?\)"),
        ("nn.dynamic_rnn", "no 'nn.dynamic_rnn' .*gp.scan"),
        ("train.SummaryWriter", "no 'train.SummaryWriter' .summaries"),
        ("losses.squared", "no 'losses.squared'"),
        ("_private", "module 'gradplan' has no attribute '_private'"),
    ],
)
def test_a_missing_name_tells_what_to_use(name, words):
    module, _, last = f"gradplan.{name}".rpartition(".")
    found = gradplan if module == "gradplan" else getattr(gradplan, module.split(".")[1])
    assert not hasattr(found, last)
    with pytest.raises(AttributeError, match=words):
        getattr(found, last)


def test_a_reader_that_has_seen_enough(tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import tensorflow as tf\ntf.constant(1)\n")
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        done = subprocess.run(
            [sys.executable, "-m", "gradplan.port", str(program)],
            stdout=closed,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "")
