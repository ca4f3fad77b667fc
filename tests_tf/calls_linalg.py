"""Calls of products, decompositions, solvers and sparse tensors."""

from table import Bad, Call, rows

#: A sparse matrix of shape (3, 3), and what can be said of a decomposition whatever its signs.
SPARSE = "a = tf.SparseTensor([[0, 1], [2, 0], [2, 2]], d[0], [3, 3])\n"
EIGEN = "e, w = tf.self_adjoint_eig(goods)\n"
SVD = "s, u, v = tf.svd(tall{})\n"
#: TensorFlow 2 has an operation of that name; this is how TensorFlow 1 composes it.
EINSUM = "__import__('tensorflow.python.ops.special_math_ops', fromlist=[''])._einsum_v1"
QR = "q, r = tf.qr({})\n"

CALLS = rows(
    Call,
    "tf.matmul(mm, goods)", "tf.matmul(mm, goods, transpose_a=True)", "tf.matmul(mm, m)",
    "tf.matmul(c, c, transpose_b=True)", "tf.matmul(mm, goods, adjoint_b=True, name='bmm')",
    "tf.matmul(mm[:, None], goods)", "tf.linalg.matmul(m, rhs)", "tf.linalg.matvec(mm, tall[:2])",
    Call("tf.batch_matmul(mm, goods)", "tf.matmul(mm, goods)",
         differs={"name": "its name before TensorFlow 1.0"}),
    "tf.tensordot(x, z, 1)", "tf.tensordot(c, c, [[0, 1], [0, 1]])", "tf.tensordot(c, w, axes=1)",
    "tf.tensordot(a=x, b=y, axes=[[1], [1]], name='t')", "tf.tensordot(v, w, 0)",
    "tf.tensordot(x, y, 2)", *[Call(f"tf.einsum({a})", f"{EINSUM}({a})") for a in (
        "'ij,jk->ik', x, z", "'ij,kj', x, y", "'bij,bjk->bik', mm, goods", "'ijk->k', c",
        "'ij->ji', x", "'ij,jk,k->i', x, z, w", "'i,j->ij', v, w", "'ij,ij->', x, y",
        "'ij,jk->ki', x, z, name='e'", "'ijk,kl->ijl', c, tf.ones([c.shape[2], 2])",
        "'abi,abj->abij', c, c", "'bi,bj->bij', x, y", "'abi,bj->aij', c, c[0]",
        "'ij,ij->i', x, y", "'...ij,...jk->...ik', mm, goods", "'ij->', x", "'i,i', v, v")],
    "tf.cholesky(good)", "tf.cholesky(goods, name='chol')", "tf.linalg.cholesky(input=good)",
    "tf.cholesky_solve(lower, rhs)", "tf.matrix_triangular_solve(lower, rhs)",
    "tf.matrix_triangular_solve(matrix=lower, rhs=rhs, lower=True, adjoint=True)",
    "tf.matrix_triangular_solve(tf.transpose(lower), rhs, lower=False)",
    "tf.matrix_solve(good, rhs)", "tf.matrix_solve(matrix=m, rhs=rhs, adjoint=True)",
    "tf.matrix_solve_ls(tall, tall[:, :2])", "tf.matrix_solve_ls(tall, tall, l2_regularizer=0.5)",
    "tf.matrix_inverse(good)", "tf.matrix_inverse(input=goods, adjoint=True)",
    "tf.matrix_determinant(m)", "tf.matrix_determinant(mm)", "tf.linalg.det(goods)",
    "tf.linalg.logdet(good)", "tf.linalg.slogdet(mm)", "tf.linalg.trace(mm)", "tf.trace(m)",
    "tf.linalg.inv(good)", "tf.linalg.solve(good, rhs)", "tf.linalg.expm(m)",
    "tf.linalg.diag(d)", "tf.linalg.diag_part(m)",
    Call("tf.linalg.band_part(m, 0, -1)"),
    "tf.linalg.norm(d, axis=1)", "tf.linalg.eye(2)", "tf.linalg.triangular_solve(lower, rhs)",
    "tf.cross(x, y)", "tf.self_adjoint_eigvals(good)", "tf.linalg.eigvalsh(goods)",
    EIGEN + "out = e, tf.matmul(w * e[:, None], w, transpose_b=True)",
    "tf.svd(tall, compute_uv=False)", "tf.svd(mm)[0]", "tf.svd(tf.transpose(tall))[0]",
    "tf.matmul(goods, mm[:1])", "tf.linalg.svd(tensor=mm, compute_uv=False)",
    SVD.format("") + "out = s, tf.matmul(u * s, v, transpose_b=True)",
    SVD.format(", full_matrices=True") + "out = s, tf.shape(u), tf.shape(v)",
    QR.format("tall") + "out = tf.matmul(q, r)",
    QR.format("tall, full_matrices=True") + "out = tf.matmul(q, r), tf.matmul(q, q, True)",
    # ---- sparse
    SPARSE + "out = tf.sparse_tensor_dense_matmul(a, rhs)",
    SPARSE + "out = tf.sparse_tensor_dense_matmul(sp_a=a, b=rhs, adjoint_a=True)",
    SPARSE + "out = tf.sparse.sparse_dense_matmul(a, tf.transpose(rhs), adjoint_b=True)",
    SPARSE + "out = tf.sparse_tensor_to_dense(a)", SPARSE + "out = tf.sparse_reduce_sum(a, 1)",
    SPARSE + "out = tf.sparse_tensor_to_dense(a, default_value=1.0, validate_indices=True)",
    SPARSE + "out = tf.sparse_add(a, m)",
    SPARSE + "r = tf.sparse_reshape(a, [-1])\nout = tf.sparse_tensor_to_dense(r) * 2.0",
    SPARSE + "out = tf.sparse_retain(a, rows > 0)",
    SPARSE + "out = tf.sparse_softmax(a)", SPARSE + "out = a",
    SPARSE + "out = a.get_shape().as_list()",
    "tf.sparse_to_dense([[0, 1], [2, 0]], [3, 2], [s, 2.0])", "tf.sparse_to_dense(i[1:3], [4], 1)",
    "tf.sparse_to_dense(sparse_indices=[1], output_shape=[3], sparse_values=7, default_value=-1)",
    "out = tf.sparse_reorder(tf.SparseTensor([[2, 0], [0, 1]], d[0, :2], [3, 3]))",
    "out = tf.sparse_reorder(tf.SparseTensor([[2, 0], [0, 1]], d[0, :2], [tf.size(v), 3]))",
    *["ids_ = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], np.int64([1, 0, 1]), [2, 2])\n"
      f"out = tf.nn.embedding_lookup_sparse(x, ids_, None, combiner='{f}')"
      for f in ("sum", "mean", "sqrtn")],
    *["ids_ = tf.SparseTensor([[0, 0], [0, 1], [1, 0]], np.int64([3, 0, 1]), [2, 2])\n"
      "weights = tf.SparseTensor(ids_.indices, v, ids_.dense_shape)\n"
      f"out = tf.nn.embedding_lookup_sparse({a}, combiner='sum')"
      for a in ("big, ids_, None", "image[0], ids_, weights", "big, ids_, weights, max_norm=0.9",
                "[x, y], ids_, weights, max_norm=0.9", "[x, y], ids_, weights, 'div'")],
)  # fmt: skip

ERRORS = rows(
    Bad,
    "tf.matmul(mm, x)", "tf.matmul(mm, tall)", "tf.tensordot(x, z, 2)", "tf.tensordot(x, z, [[0], "
    "[0]])", "tf.einsum('ij,jk->ik', x)", "tf.einsum('ij,jk->ik', x, y)", "tf.einsum('i->i', x)",
    "tf.einsum('ij->ik', x)", Bad("tf.cholesky(-good)", ours="InvalidArgumentError"),
    "tf.cholesky(tall)", "tf.cholesky(n)",
    "tf.cholesky(v)", "tf.matrix_inverse(m * 0.0)", "tf.matrix_inverse(tall)",
    "tf.matrix_solve(m * 0.0, rhs)", "tf.matrix_solve(m, tall)", "tf.matrix_determinant(tall)",
    Bad("tf.matrix_triangular_solve(lower * 0.0, rhs)", ours="InvalidArgumentError"),
    "tf.self_adjoint_eig(tall)", "tf.svd(v)",
    "tf.qr(v)", "tf.cross(z, z)", "tf.trace(v)",
    "tf.sparse_tensor_dense_matmul(tf.SparseTensor([[3, 0]], [1.0], [3, 3]), m)",
    "tf.sparse_tensor_to_dense(tf.SparseTensor([[3, 0]], [1.0], [3, 3]))",
    "tf.sparse_to_dense([[0, 1], [0, 1]], [3, 2], [1.0, 2.0])", "tf.SparseTensor([0], [1.0], [3])",
)  # fmt: skip
