"""What a program needs so that changing its import line suffices."""

import subprocess
import sys

import numpy as np
import pytest

import gradplan as gp
from gradplan.flags import _Flags, _list, _truth


def test_a_program_of_its_time(tmp_path):
    path = tmp_path / "program.py"
    path.write_text(
        """
import gradplan.compat.v1 as tf
from gradplan.python.framework import ops

assert int(tf.__version__.split(".")[0]) == 1 and tf.__version__ >= "1.0"
tf.disable_v2_behavior()
tf.disable_eager_execution()
tf.enable_resource_variables()
assert not tf.executing_eagerly() and not tf.test.is_gpu_available()
flags = tf.app.flags
flags.DEFINE_integer("steps", 3, "how many steps")
flags.DEFINE_string("name", "none", "100% a name")
flags.DEFINE_boolean("loud", True, "whether to tell")
FLAGS = flags.FLAGS

def main(argv):
    ops.reset_default_graph()
    tf.logging.set_verbosity(tf.logging.INFO)
    with tf.device("/cpu:0"), tf.container("c"):
        v = tf.Variable(0.0)
    options = tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE)
    config = tf.ConfigProto(gpu_options=tf.GPUOptions(allow_growth=True))
    step = tf.contrib.framework.get_or_create_global_step()
    with tf.Session(config=config) as sess:
        sess.run(tf.initialize_all_variables())
        for _ in range(FLAGS.steps):
            sess.run(v.assign_add(1.0), options=options, run_metadata=tf.RunMetadata())
        tf.logging.info("%s %d", FLAGS.name, sess.run(v))
    print(argv[1:], FLAGS.loud)

if __name__ == "__main__":
    tf.app.run()
"""
    )
    done = subprocess.run(
        [sys.executable, str(path), "-steps=5", "--name", "x", "--noloud", "more"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        "['more'] False\n",
        "INFO:gradplan:x 5\n",
    )


def flags():
    made = _Flags()
    made._define("rate", 0.5, "a number", float)
    made._define("on", False, None, _truth)
    made._define("names", ["a"], None, _list)
    made._define("kind", "x", None, str, ["x", "y"])
    return made


def test_forms_of_the_command_line():
    f = flags()
    rest = f(
        ["prog", "--rate", "2", "left", "--on", "right", "--names=b, c", "--other", "--kind=y"]
    )
    assert rest == ["prog", "left", "right", "--other"]
    assert f.flag_values_dict() == {"rate": 2.0, "on": True, "names": ["b", "c"], "kind": "y"}
    f(["prog", "--on=false"])
    assert f.on is False and f.rate == 2.0
    f.rate = 3.0
    assert f.rate == 3.0 and f["rate"].value == 3.0 and "rate" in f and list(f)[0] == "rate"
    assert getattr(f, "__flags")["rate"] == 3.0


@pytest.mark.parametrize("word", ["--rate=fast", "--kind=z", "--on=perhaps"])
def test_bad_flags_end_the_program(word, capsys):
    with pytest.raises(SystemExit) as stopped:
        flags()(["prog", word])
    assert stopped.value.code == 2 and word.split("=")[0] in capsys.readouterr().err


def test_what_is_no_flag():
    f = flags()
    with pytest.raises(ValueError, match="'rate' is defined twice"):
        f._define("rate", 1, None, int)
    with pytest.raises(AttributeError, match="no flag 'rte'"):
        f.rte()
    with pytest.raises(AttributeError, match="no flag 'rte'"):
        f.rte = 1
    f._required.append("rate")
    f._values["rate"] = None
    with pytest.raises(SystemExit):
        f(["prog"])


def test_files(tmp_path):
    top = str(tmp_path)
    gp.gfile.MakeDirs(f"{top}/a/b")
    with gp.gfile.FastGFile(f"{top}/a/one.txt", "w") as file:
        file.write("first\nsecond\n")
    with gp.gfile.GFile(f"{top}/a/one.txt", "rb") as file:
        assert file.read(5) == b"first" and file.tell() == 5 and file.size() == 13
    assert list(gp.gfile.Open(f"{top}/a/one.txt")) == ["first\n", "second\n"]
    gp.gfile.Copy(f"{top}/a/one.txt", f"{top}/a/two.txt")
    for refused in (gp.gfile.Copy, gp.gfile.Rename):
        with pytest.raises(gp.errors.AlreadyExistsError, match="two.txt"):
            refused(f"{top}/a/one.txt", f"{top}/a/two.txt")
    gp.gfile.Rename(f"{top}/a/one.txt", f"{top}/a/two.txt", overwrite=True)
    assert gp.gfile.Glob(f"{top}/a/*.txt") == [f"{top}/a/two.txt"]
    assert gp.gfile.ListDirectory(f"{top}/a") == ["b", "two.txt"]
    assert list(gp.gfile.Walk(top))[0] == (top, ["a"], [])
    assert gp.gfile.Stat(f"{top}/a").is_directory and gp.gfile.IsDirectory(f"{top}/a")
    gp.gfile.Remove(f"{top}/a/two.txt")
    gp.gfile.DeleteRecursively(f"{top}/a")
    assert not gp.gfile.Exists(f"{top}/a")
    gone = f"{top}/none"
    gfile = gp.gfile
    for call in (gfile.Remove, gfile.ListDirectory, gfile.Stat, lambda n: gfile.GFile(n).read()):
        with pytest.raises(gp.errors.NotFoundError, match="none"):
            call(gone)


def test_logging_by_level_and_by_line(caplog):
    before = gp.logging.get_verbosity()
    try:
        gp.logging.info("not shown")
        gp.logging.warn("shown %d", 1)
        gp.logging.set_verbosity("INFO")
        for i in range(5):
            gp.logging.log_first_n(gp.logging.INFO, "first %d", 2, i)
            gp.logging.log_every_n(gp.logging.ERROR, "every %d", 3, i)
    finally:
        gp.logging.set_verbosity(before)
    assert caplog.messages == ["shown 1", "first 0", "every 0", "first 1", "every 3"]


def test_nests():
    from collections import namedtuple

    pair = namedtuple("pair", "left right")
    tree = {"b": pair(1, [2, 3]), "a": (4,)}
    assert gp.nest.flatten(tree) == [4, 1, 2, 3]
    packed = gp.nest.pack_sequence_as(tree, [10, 20, 30, 40])
    assert packed == {"b": pair(20, [30, 40]), "a": (10,)} and list(packed) == ["b", "a"]
    assert gp.nest.map_structure(lambda x: -x, tree)["b"] == pair(-1, [-2, -3])
    with pytest.raises(ValueError, match="4 elements, but flat_sequence had 1"):
        gp.nest.pack_sequence_as(tree, [1])
    with pytest.raises(ValueError, match="same nested structure"):
        gp.nest.assert_same_structure([1, 2], [1, [2]])
    with pytest.raises(TypeError, match="list and tuple"):
        gp.nest.map_structure(max, [1], (2,))


def test_regularizers():
    w = np.array([[1.0, -2.0], [3.0, 0.5]])
    layers = gp.contrib.layers
    with gp.variable_scope("s", regularizer=layers.l2_regularizer(0.1)):
        a = gp.get_variable("a", initializer=w)
        gp.get_variable("b", initializer=w, regularizer=layers.l1_l2_regularizer(0.5, 0.25))
        gp.get_variable("c", initializer=w, regularizer=gp.no_regularizer)
        gp.get_variable("d", initializer=w, regularizer=layers.l1_regularizer(0.0))
    with gp.variable_scope("s", reuse=True):
        assert gp.get_variable("a", [2, 2], gp.float64) is a
    losses = gp.get_collection(gp.GraphKeys.REGULARIZATION_LOSSES)
    assert [t.op.name for t in losses] == [
        "s/a/Regularizer/l2_regularizer",
        "s/b/Regularizer/l1_l2_regularizer",
    ]
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    l1, l2 = np.abs(w).sum(), (w * w).sum() / 2
    np.testing.assert_allclose(sess.run(losses), [0.1 * l2, 0.5 * l1 + 0.25 * l2], rtol=1e-15)
    np.testing.assert_allclose(
        sess.run(gp.losses.get_regularization_loss()), 0.1 * l2 + 0.5 * l1 + 0.25 * l2, rtol=1e-15
    )
    with pytest.raises(ValueError, match="cannot be an integer"):
        layers.l2_regularizer(1)
    with pytest.raises(ValueError, match="less than 0"):
        layers.l1_regularizer(-0.5)


def test_error_codes():
    errors = gp.errors
    assert errors.exception_type_from_error_code(errors.OUT_OF_RANGE) is errors.OutOfRangeError
    assert errors.error_code_from_exception_type(errors.NotFoundError) == errors.NOT_FOUND == 5
    assert len(errors._CLASSES) == 16
