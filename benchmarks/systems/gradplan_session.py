"""gradplan: ``Session.make_callable``, called once a step, or its loop in C."""

from __future__ import annotations

from typing import Any

import gradplan as gp
from benchmarks.systems import Step, digest
from benchmarks.workloads import ADAM, LEARNING_RATE, SIDE, Data, Workload

GELU = 0.7978845608028654  # sqrt(2 / pi)


def mlp(x: Any, data: Data) -> Any:
    """The logits of a perceptron with ReLU between its layers."""
    for i, (w, b) in enumerate(data.weights):
        x = gp.matmul(x, gp.Variable(w, name=f"w{i}")) + gp.Variable(b, name=f"b{i}")
        if i < len(data.weights) - 1:
            x = gp.nn.relu(x)
    return x


def convnet(x: Any, data: Data) -> Any:
    """The logits of two layers of convolution and a perceptron."""
    x = gp.reshape(x, [-1, SIDE, SIDE, 1])
    for i, padding in enumerate(("SAME", "VALID")):
        w, b = data.weights[i]
        x = gp.nn.conv2d(x, gp.Variable(w, name=f"f{i}"), strides=1, padding=padding)
        x = gp.nn.relu(gp.nn.bias_add(x, gp.Variable(b, name=f"c{i}")))
        x = gp.nn.max_pool(x, 2, 2, "VALID")
    dense = data._replace(weights=data.weights[2:])
    return mlp(gp.reshape(x, [-1, dense.weights[0][0].shape[0]]), dense)


def training_graph(workload: Workload, data: Data) -> tuple[Any, Any, Any, Any]:
    """Placeholders, loss and update of a training step, in the default graph."""
    x = gp.placeholder(gp.float32, [None, workload.sizes[0]], name="x")
    y = gp.placeholder(gp.float32 if workload.binary else gp.int32, [None], name="y")
    logits = (convnet if workload.filters else mlp)(x, data)
    if workload.binary:
        losses = gp.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=logits[:, 0])
    else:
        losses = gp.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits)
    loss = gp.reduce_mean(losses)
    if workload.optimizer == "adam":
        optimizer: Any = gp.train.AdamOptimizer(LEARNING_RATE["adam"], **ADAM)
    else:
        optimizer = gp.train.GradientDescentOptimizer(LEARNING_RATE["sgd"])
    return x, y, loss, optimizer.minimize(loss)


def prepare(workload: Workload, data: Data, variant: str, threads: int) -> Step:
    with gp.Graph().as_default():
        config = gp.ConfigProto(intra_op_parallelism_threads=threads)
        if workload.kind == "chain":
            x = gp.placeholder(gp.float32, [None])
            y = 0.5 * x * (1.0 + gp.tanh(GELU * (x + 0.044715 * x * x * x)))
            value = gp.reduce_mean(y * y)
            call = gp.Session(config=config).make_callable([value, gp.gradients(value, x)[0]], [x])
            return Step(call, [(data.inputs[0],)], lambda out: digest(*out))
        if workload.kind == "forward":
            x = gp.placeholder(gp.float32, [None, workload.sizes[0]])
            logits = mlp(x, data)
            sess = gp.Session(config=config)
            sess.run(gp.global_variables_initializer())
            return Step(sess.make_callable(logits, [x]), [(x,) for x in data.inputs], lambda o: o)
        x, y, loss, train = training_graph(workload, data)
        sess = gp.Session(config=config)
        sess.run(gp.global_variables_initializer())
        step = sess.make_callable([loss, train], [x, y])
    if variant == "call":
        return Step(step, list(zip(*data[1:], strict=True)), lambda out: out[0])
    if not hasattr(step, "loop"):
        raise NotImplementedError("this gradplan has no Step.loop")
    steps = workload.loop_steps
    inputs, labels = data.whole(steps)
    arrays = inputs.reshape(-1, workload.sizes[0]), labels.reshape(-1)

    def loop() -> Any:
        return step.loop(arrays, batch_size=workload.batch, steps=steps, shuffle=False)

    return Step(loop, [()], lambda out: out[0], steps)
