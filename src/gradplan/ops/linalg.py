"""The names of ``gp.linalg``; each is declared in one of the modules below."""

from gradplan.ops.diagonals import diag as tensor_diag
from gradplan.ops.diagonals import diag_part as tensor_diag_part
from gradplan.ops.diagonals import (
    matrix_band_part,
    matrix_diag,
    matrix_diag_part,
    matrix_set_diag,
    trace,
)
from gradplan.ops.einsum import einsum, tensordot
from gradplan.ops.exponential import expm
from gradplan.ops.factor import qr, self_adjoint_eig, self_adjoint_eigvals, svd
from gradplan.ops.layers import l2_normalize
from gradplan.ops.least_squares import matrix_solve_ls
from gradplan.ops.matmul import matmul, matvec
from gradplan.ops.matrices import adjoint, cross
from gradplan.ops.ranges import eye
from gradplan.ops.shaping import matrix_transpose
from gradplan.ops.solve import (
    cholesky,
    cholesky_solve,
    log_matrix_determinant,
    logdet,
    matrix_determinant,
    matrix_inverse,
    matrix_solve,
    matrix_triangular_solve,
)
from gradplan.ops.statistics import norm

band_part = matrix_band_part
det = matrix_determinant
diag = matrix_diag
diag_part = matrix_diag_part
eigh = self_adjoint_eig
eigvalsh = self_adjoint_eigvals
inv = matrix_inverse
lstsq = matrix_solve_ls
set_diag = matrix_set_diag
slogdet = log_matrix_determinant
solve = matrix_solve
transpose = matrix_transpose
triangular_solve = matrix_triangular_solve
