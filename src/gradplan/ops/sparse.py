"""The names of ``gp.sparse``; each is declared in one of the modules below."""

from gradplan.ops.sparse_math import (
    sparse_add,
    sparse_reduce_sum,
    sparse_reorder,
    sparse_reshape,
    sparse_retain,
    sparse_softmax,
    sparse_tensor_dense_matmul,
    sparse_tensor_to_dense,
)
from gradplan.ops.sparse_tensor import SparseTensor, SparseTensorValue, sparse_placeholder

add = sparse_add
matmul = sparse_dense_matmul = sparse_tensor_dense_matmul
placeholder = sparse_placeholder
reduce_sum = sparse_reduce_sum
reorder = sparse_reorder
reshape = sparse_reshape
retain = sparse_retain
softmax = sparse_softmax
to_dense = sparse_tensor_to_dense
