"""ONNX Runtime: the forward pass as Gemm and Relu nodes, its weights as initializers."""

from __future__ import annotations

import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.systems import Step
from benchmarks.workloads import Data, Workload


def model(workload: Workload, data: Data) -> bytes:
    nodes, constants, last = [], [], "x"
    for i, (w, b) in enumerate(data.weights):
        constants += [numpy_helper.from_array(w, f"w{i}"), numpy_helper.from_array(b, f"b{i}")]
        nodes.append(helper.make_node("Gemm", [last, f"w{i}", f"b{i}"], [f"z{i}"]))
        last = f"z{i}"
        if i < len(data.weights) - 1:
            nodes.append(helper.make_node("Relu", [last], [f"h{i}"]))
            last = f"h{i}"
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, workload.sizes[0]])
    y = helper.make_tensor_value_info(last, TensorProto.FLOAT, [None, workload.sizes[-1]])
    graph = helper.make_graph(nodes, "mlp", [x], [y], constants)
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=9).SerializeToString()


def prepare(workload: Workload, data: Data, variant: str, threads: int) -> Step:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(variant or threads)
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model(workload, data), options, providers=["CPUExecutionProvider"]
    )
    feeds = [(x,) for x in data.inputs]
    return Step(lambda x: session.run(None, {"x": x})[0], feeds, lambda out: out)
