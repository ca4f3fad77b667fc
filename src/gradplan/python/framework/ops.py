"""``tf.python.framework.ops``: graphs, and what stands in them."""

from gradplan.custom import NotDifferentiable, RegisterGradient
from gradplan.graph import (
    Graph,
    GraphKeys,
    Operation,
    Tensor,
    get_default_graph,
    get_default_session,
    reset_default_graph,
)
from gradplan.opdef import register_tensor_conversion_function
from gradplan.ops.constant import convert_to_tensor
from gradplan.porting import colocate_with, container, device, init_scope
from gradplan.scopes import (
    add_to_collection,
    control_dependencies,
    get_collection,
    get_collection_ref,
    name_scope,
)

__all__ = [
    "Graph",
    "GraphKeys",
    "NotDifferentiable",
    "Operation",
    "RegisterGradient",
    "Tensor",
    "add_to_collection",
    "colocate_with",
    "container",
    "control_dependencies",
    "convert_to_tensor",
    "device",
    "get_collection",
    "get_collection_ref",
    "get_default_graph",
    "get_default_session",
    "init_scope",
    "name_scope",
    "register_tensor_conversion_function",
    "reset_default_graph",
]
