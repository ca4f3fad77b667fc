"""TensorFlow in a process of its own: pickled arguments of ``evaluate`` in, pickled results out.

Run by the Python of an environment that has TensorFlow: neither pytest nor gradplan need be there.
"""

import inspect
import os
import pickle
import sys

os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="-1", TF_ENABLE_ONEDNN_OPTS="0")
answers = os.fdopen(os.dup(1), "wb")
os.dup2(2, 1)  # whatever else is printed must not get between the answers

import tensorflow.compat.v1 as tf  # noqa: E402
from both import evaluate  # noqa: E402

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)


def signature(name):
    """Parameters of a public function as (name, text of the default), None if there is none."""
    found = tf
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found) or inspect.isclass(found):
        return None
    parameters = inspect.signature(found).parameters.values()
    return [(p.name, "" if p.default is p.empty else repr(p.default)) for p in parameters]


def answer(result):
    pickle.dump(result, answers)
    answers.flush()


answer(tf.__version__)
while True:
    try:
        do, *arguments = pickle.load(sys.stdin.buffer)
    except EOFError:
        break
    answer(signature(*arguments) if do == "signature" else evaluate(tf, *arguments))
