"""A graph as data and as text, in the manner of TensorFlow's protocol buffer of that name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gradplan.dtypes import DType

if TYPE_CHECKING:
    from gradplan.graph import Graph, Operation


class NodeDef:
    """An operation: ``name``, ``op`` (its type), ``input`` (names; ``^`` marks control inputs),
    ``attr`` and ``device``."""

    def __init__(self, operation: Operation) -> None:
        self.name = operation.name
        self.op = operation.type
        self.device = ""
        self.attr: dict[str, Any] = dict(operation.attrs)
        self.input = [t.name.removesuffix(":0") for t in operation.inputs]
        self.input += [f"^{op.name}" for op in operation.control_inputs]

    def __str__(self) -> str:
        lines = [f'  name: "{self.name}"', f'  op: "{self.op}"']
        lines += [f'  input: "{name}"' for name in self.input]
        for key in sorted(self.attr):
            value = self.attr[key]
            shown = value.name if isinstance(value, DType) else " ".join(str(value).split())
            lines.append(f'  attr {{ key: "{key}" value: {shown} }}')
        return "\n".join(["node {", *lines, "}"])


class GraphDef:
    """The operations of a graph, in ``node``; its ``str`` is the whole as text.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [2], name="x")
    >>> y = gp.nn.relu(x, name="y")
    >>> [(n.name, n.op, n.input) for n in y.graph.as_graph_def().node]
    [('x', 'Placeholder', []), ('y', 'Relu', ['x'])]
    >>> print(y.graph.as_graph_def(from_version=1))
    node {
      name: "y"
      op: "Relu"
      input: "x"
    }
    """

    def __init__(self, operations: list[Operation]) -> None:
        self.node = [NodeDef(op) for op in operations]

    def __str__(self) -> str:
        return "\n".join(map(str, self.node))


def graph_def(graph: Graph, from_version: int | None = None) -> GraphDef:
    """The operations of ``graph``, or those made since it had ``from_version`` of them."""
    return GraphDef(graph._ops[from_version or 0 :])
