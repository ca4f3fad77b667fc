"""The names of ``gp.math``: those of the elementwise operations and reductions, as TensorFlow's."""

from gradplan.ops.activations import softplus, softsign
from gradplan.ops.arithmetic import *
from gradplan.ops.casts import *
from gradplan.ops.functions import *
from gradplan.ops.layers import l2_normalize
from gradplan.ops.logic import *
from gradplan.ops.math import *
from gradplan.ops.order import in_top_k, top_k
from gradplan.ops.products import *
from gradplan.ops.reduce import *
from gradplan.ops.segment import *
from gradplan.ops.special import *
from gradplan.ops.statistics import *
from gradplan.ops.sums import *
