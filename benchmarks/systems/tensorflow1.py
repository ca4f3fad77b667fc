"""TensorFlow 1's graph and session (``tensorflow.compat.v1``), through ``make_callable``."""

from __future__ import annotations

from typing import Any

import tensorflow.compat.v1 as tf

from benchmarks.systems import Step, digest
from benchmarks.workloads import ADAM, LEARNING_RATE, Data, Workload

GELU = 0.7978845608028654  # sqrt(2 / pi)

tf.disable_v2_behavior()
tf.logging.set_verbosity(tf.logging.ERROR)


def mlp(x: Any, data: Data) -> Any:
    for i, (w, b) in enumerate(data.weights):
        x = tf.matmul(x, tf.get_variable(f"w{i}", initializer=w))
        x = x + tf.get_variable(f"b{i}", initializer=b)
        if i < len(data.weights) - 1:
            x = tf.nn.relu(x)
    return x


def prepare(workload: Workload, data: Data, variant: str, threads: int) -> Step:
    config = tf.ConfigProto(
        intra_op_parallelism_threads=threads, inter_op_parallelism_threads=threads
    )
    with tf.Graph().as_default():
        if workload.kind == "chain":
            x = tf.placeholder(tf.float32, [None])
            y = 0.5 * x * (1.0 + tf.tanh(GELU * (x + 0.044715 * x * x * x)))
            value = tf.reduce_mean(y * y)
            fetches = [value, tf.gradients(value, x)[0]]
            call = tf.Session(config=config).make_callable(fetches, [x])
            return Step(call, [(data.inputs[0],)], lambda out: digest(*out))
        x = tf.placeholder(tf.float32, [None, workload.sizes[0]])
        logits = mlp(x, data)
        if workload.kind == "forward":
            sess = tf.Session(config=config)
            sess.run(tf.global_variables_initializer())
            return Step(sess.make_callable(logits, [x]), [(x,) for x in data.inputs], lambda o: o)
        y = tf.placeholder(tf.float32 if workload.binary else tf.int32, [None])
        if workload.binary:
            losses = tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits[:, 0])
        else:
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
        loss = tf.reduce_mean(losses)
        if workload.optimizer == "adam":
            optimizer = tf.train.AdamOptimizer(LEARNING_RATE["adam"], **ADAM)
        else:
            optimizer = tf.train.GradientDescentOptimizer(LEARNING_RATE["sgd"])
        train = optimizer.minimize(loss)
        sess = tf.Session(config=config)
        sess.run(tf.global_variables_initializer())
        call = sess.make_callable([loss, train], [x, y])
    return Step(call, list(zip(*data[1:], strict=True)), lambda out: out[0])
