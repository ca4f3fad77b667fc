"""``tf.python.ops``: modules of operations."""

from gradplan.python.ops import (
    array_ops,
    control_flow_ops,
    init_ops,
    math_ops,
    nn_ops,
    random_ops,
    variable_scope,
    variables,
)

__all__ = [
    "array_ops",
    "control_flow_ops",
    "init_ops",
    "math_ops",
    "nn_ops",
    "random_ops",
    "variable_scope",
    "variables",
]
