"""Convolution: its bias and relu are done before a block of the result leaves the registers.

Before::

    c = conv2d(x, f)      b = bias_add(c, bias)      y = relu(b)

After::

    y = ConvolutionMap(x, f, bias)

It runs before ``fuse``, which takes whatever else follows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from gradplan import shapes
from gradplan.graph import Operation, Tensor
from gradplan.opdef import CALL, REGISTRY, OpDef
from gradplan.program import Program, is_pure, rebuild

#: The operations that the kernel of convolutions runs forwards, and the sums with a vector.
CONVOLUTIONS = ("Conv2D", "Conv3D")
SUMS = ("BiasAdd", "Add", "AddV2")


class Chain(NamedTuple):
    """A convolution and what is done with its result, of which there is at least one thing."""

    conv: Operation
    bias: Tensor | None
    members: list[Operation]


def _shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    conv = attrs["members"][0]
    out = conv.opdef.shape(conv.attrs, in_shapes[:2], value)
    if len(in_shapes) > 2 and shapes.merge(in_shapes[2], out[-1:]) is False:
        raise ValueError(f"bias {shapes.text(in_shapes[2])} does not fit {shapes.text(out)}")
    return out


def _lower(binder: Any, op: Operation) -> None:
    bias = binder.contiguous(binder.view(op.inputs[2])) if len(op.inputs) > 2 else None
    op.attrs["members"][0].opdef.lower(binder, op, bias, op.attrs["relu"])


CONVOLUTION_MAP = OpDef(
    "ConvolutionMap",
    CALL,
    kernel="conv",
    flops=lambda attrs, s: REGISTRY[attrs["members"][0].type].flops(attrs, s),
)
CONVOLUTION_MAP.shape = _shape
CONVOLUTION_MAP.lower = _lower


def run(program: Program) -> Program:
    """See the module's text."""
    consumers = program.consumers()
    kept = program.kept() | {t for op in program.pinned() for t in op.outputs}
    chains: dict[Operation, Chain] = {}  # by the last member
    inside: set[Operation] = set()  # the others
    for op in program._ops:
        if op.type in CONVOLUTIONS and op.attrs["data_format"][-1] == "C" and is_pure(op):
            chain = _chain(op, consumers, kept)
            if chain is not None:
                chains[chain.members[-1]] = chain
                inside.update(chain.members[:-1])
    if not chains:
        return program

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        if op in inside:
            return op.outputs  # nobody but the chain will look at it
        chain = chains.get(op)
        if chain is None:
            return None
        taken = [*chain.conv.inputs, *([] if chain.bias is None else [chain.bias])]
        attrs = {
            **chain.conv.attrs,
            "relu": op.type == "Relu",
            "members": chain.members,
            "taken": taken,
        }
        result = [(op.outputs[0].dtype, op.outputs[0]._shape)]
        return out.make(CONVOLUTION_MAP, [tensors[t] for t in taken], attrs, result, op).outputs

    return rebuild(program, visit)


def _chain(conv: Operation, consumers: Any, kept: set[Tensor]) -> Chain | None:
    members, bias = [conv], None
    follower = _follower(conv, consumers, kept)
    if follower is not None and follower.type in SUMS:
        bias = _vector(follower, conv.outputs[0])
        if bias is not None:
            members.append(follower)
            follower = _follower(follower, consumers, kept)
    if follower is not None and follower.type == "Relu":
        members.append(follower)
    return Chain(conv, bias, members) if len(members) > 1 else None


def _follower(op: Operation, consumers: Any, kept: set[Tensor]) -> Operation | None:
    """The only operation that takes the result, if it may take the result's place."""
    users = consumers[op.outputs[0]]
    if op.outputs[0] in kept or len(users) != 1 or not is_pure(users[0]):
        return None
    return users[0]  # type: ignore[no-any-return]


def _vector(op: Operation, result: Tensor) -> Tensor | None:
    """The other operand of a sum, if it is a number for each channel."""
    others = [t for t in op.inputs if t is not result]
    if len(others) != 1 or op.type == "BiasAdd" and op.inputs[0] is not result:
        return None
    static, channels = others[0]._shape, result._shape
    if static is None or channels is None or len(static) != 1 or static[0] is None:
        return None
    return others[0] if static[0] == channels[-1] else None
