"""Conditionals and loops: operations with bodies, which run inside the plan where one can hold
them."""

from gradplan.control_flow import assertions, cases, conditionals, loops, rows, tensor_array
from gradplan.control_flow.assertions import *
from gradplan.control_flow.cases import *
from gradplan.control_flow.conditionals import *
from gradplan.control_flow.loops import *
from gradplan.control_flow.rows import *
from gradplan.control_flow.tensor_array import *

__all__ = [
    name
    for module in (assertions, cases, conditionals, loops, rows, tensor_array)
    for name in module.__all__
]
