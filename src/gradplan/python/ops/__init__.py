"""``tf.python.ops``: its modules are all ``gp`` itself, ``nn_ops`` is ``gp.nn``."""

import sys

import gradplan

nn_ops = nn = gradplan.nn
array_ops = check_ops = clip_ops = control_flow_ops = init_ops = linalg_ops = gradplan
math_ops = random_ops = state_ops = variable_scope = variables = gradplan

# So that `from gradplan.python.ops.array_ops import concat` finds them, too.
sys.modules.update(
    {
        f"{__name__}.{name}": value
        for name, value in list(globals().items())
        if value is gradplan or value is gradplan.nn
        if name != "gradplan"
    }
)
