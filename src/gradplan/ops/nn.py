"""The names of ``gp.nn``; each is declared in one of the modules below."""

from gradplan.ops.activations import *
from gradplan.ops.conv import *
from gradplan.ops.depthwise import *
from gradplan.ops.math import sigmoid, tanh
from gradplan.ops.normalization import *
from gradplan.ops.pool import *
from gradplan.ops.softmax import *
