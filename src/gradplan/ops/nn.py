"""The names of ``gp.nn``; each is declared in one of the modules below."""

from gradplan.ops.activations import *
from gradplan.ops.arithmetic import log_sigmoid
from gradplan.ops.math import sigmoid, tanh
from gradplan.ops.moments import *
from gradplan.ops.softmax import *
