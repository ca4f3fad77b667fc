"""The names of ``gp.nn``; each is declared in one of the modules below."""

from gradplan.ops.activations import *
from gradplan.ops.arithmetic import log_sigmoid
from gradplan.ops.conv import *
from gradplan.ops.depthwise import *
from gradplan.ops.embedding import *
from gradplan.ops.layers import *
from gradplan.ops.math import sigmoid, tanh
from gradplan.ops.moments import *
from gradplan.ops.normalization import *
from gradplan.ops.order import in_top_k, top_k
from gradplan.ops.pool import *
from gradplan.ops.sampling import *
from gradplan.ops.softmax import *
from gradplan.ops.sparse_embedding import *
