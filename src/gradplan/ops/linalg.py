"""The names of ``gp.linalg``; each is declared in one of the modules below."""

from gradplan.ops.array import transpose
from gradplan.ops.einsum import einsum, tensordot
from gradplan.ops.matmul import matmul, matvec
from gradplan.ops.matrices import adjoint, cross
