"""What the rows of specs_linalg.py cannot hold: signs, plans, errors of a run, threads."""

import numpy as np
import pytest
from core_plan import Plan

import gradplan as gp

InvalidArgument = gp.errors.InvalidArgumentError


def rng(seed=0):
    return np.random.default_rng(seed)


def run(fetches, feeds=None):
    return gp.Session().run(fetches, feeds)


# ---- products ------------------------------------------------------------------------------------


def test_two_matrices_are_fused_even_if_their_rank_was_not_known():
    x, w = gp.placeholder(gp.float32), gp.placeholder(gp.float32)
    y = gp.nn.relu(gp.matmul(x, w) + 1.0)
    assert y.op.inputs[0].op.inputs[0].op.type == "BatchMatMulV2"
    feeds = {x: np.ones((4, 3), np.float32), w: np.ones((3, 2), np.float32)}
    np.testing.assert_array_equal(run(y, feeds), np.full((4, 2), 4))
    a, b = gp.placeholder(gp.float32, [None, 3]), gp.placeholder(gp.float32, [3, 2])
    assert gp.matmul(a, b).op.type == "MatMul"
    plan = gp.Session().plan(gp.nn.relu(gp.matmul(a, b) + 1.0), {a: feeds[x], b: feeds[w]})
    assert [gp.plan.KERNELS["matmul_map"]] == plan.insns["kernel"].tolist()


def test_a_batch_times_one_matrix_is_one_product():
    x, w = gp.placeholder(gp.float32, [None, None, 3]), gp.placeholder(gp.float32, [3, 2])
    y = gp.matmul(x, w)
    grads = gp.gradients(gp.reduce_sum(y * y), [x, w])
    feeds = {x: np.ones((4, 5, 3), np.float32), w: np.ones((3, 2), np.float32)}
    plan = gp.Session().plan([y, *grads], feeds)
    assert gp.plan.KERNELS["matmul_batch"] not in plan.insns["kernel"]


def test_one_operand_is_transposed_once():
    with pytest.raises(ValueError, match="only one of transpose_a and adjoint_a"):
        gp.matmul([[1.0]], [[1.0]], transpose_a=True, adjoint_a=True)


def test_large_batches_are_the_same_bits_for_any_number_of_threads(isa):
    for shape in ((40, 33, 65), (3, 300, 300)):
        a = rng().standard_normal(shape).astype(np.float32)
        outs = []
        for threads in (1, 2):
            config = gp.ConfigProto(intra_op_parallelism_threads=threads)
            x = gp.constant(a)
            outs.append(gp.Session(config=config).run(gp.matmul(x, x + 1.0, adjoint_b=True)))
        assert outs[0].tobytes() == outs[1].tobytes()
        np.testing.assert_allclose(outs[0], a @ np.swapaxes(a + 1, 1, 2), 1e-3, 1e-3)


def test_axes_that_differ_in_size_are_found_when_bound():
    x, y = gp.placeholder(gp.float32, [None] * 4), gp.placeholder(gp.float32, [None] * 4)
    feeds = {x: np.ones((2, 3, 2, 2)), y: np.ones((3, 2, 2, 2))}
    for out in (gp.einsum("abij,abjk->abik", x, y), gp.tensordot(x, y, [[0, 1], [0, 1]])):
        with pytest.raises(
            InvalidArgument, match=r"\(2, 3, 2, 2\).*\(3, 2, 2, 2\) differ.*test_lin"
        ):
            run(out, feeds)
    z = gp.placeholder(gp.float32, [None, None])
    with pytest.raises(InvalidArgument, match=r"\(2, 3\)"):
        run(gp.einsum("ii->i", z), {z: np.ones((2, 3))})
    w = gp.placeholder(gp.float32)
    with pytest.raises(InvalidArgument, match=r"Transpose.*test_linalg"):
        run(gp.einsum("ij->ij", w), {w: np.ones(2)})


@pytest.mark.parametrize(
    "equation, given, exc, words",
    [(3, [[1.0]], TypeError, "string"), ("i->", [[1.0], [2.0]], ValueError, "1 operands"),
     ("i", [], ValueError, "no operands"), ("i.j", [[1.0]], ValueError, "letters"),
     ("i...j...", [[[1.0]]], ValueError, "letters"), ("i->j", [[1.0]], ValueError, "no operand")],
)  # fmt: skip
def test_einsum_refuses(equation, given, exc, words):
    with pytest.raises(exc, match=f"einsum.*{words}.*test_linalg"):
        gp.einsum(equation, *given)
    with pytest.raises(TypeError, match="unexpected.*optimize"):
        gp.einsum("i", [1.0], optimize=True)


# ---- decompositions ------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 4, 4), (3, 0), (0, 3)])
@pytest.mark.parametrize("full", [False, True])
def test_factors_multiply_to_the_matrix(shape, full):
    a = rng().standard_normal(shape)
    s, u, v, q, r = run([*gp.svd(a, full), *gp.qr(a, full)])
    p = min(shape[-2:])
    for x in (u, v, q):
        gram = np.swapaxes(x, -1, -2) @ x
        np.testing.assert_allclose(gram - np.eye(x.shape[-1]), np.zeros(gram.shape), atol=1e-12)
    assert u.shape[-2:] == (shape[-2], shape[-2] if full else p)
    assert v.shape[-2:] == (shape[-1], shape[-1] if full else p)
    vt = np.swapaxes(v, -1, -2)
    np.testing.assert_allclose((u[..., :p] * s[..., None, :]) @ vt[..., :p, :], a, atol=1e-12)
    np.testing.assert_allclose(q @ r, a, atol=1e-12)
    np.testing.assert_array_equal(r, np.triu(r))


def test_eigenvectors():
    a = rng().standard_normal((3, 6, 6))
    e, v = run(gp.self_adjoint_eig(a))  # the lower triangle alone
    low = np.tril(a) + np.swapaxes(np.tril(a, -1), 1, 2)
    np.testing.assert_allclose(low @ v, v * e[:, None, :], atol=1e-12)
    np.testing.assert_allclose(run(gp.self_adjoint_eigvals(a)), e, atol=1e-12)


def test_a_batch_is_the_same_bits_for_any_number_of_threads():
    a = rng().standard_normal((40, 24, 24))
    spd = a @ np.swapaxes(a, 1, 2) + np.eye(24)
    outs = []
    for threads in (1, 2):
        session = gp.Session(config=gp.ConfigProto(intra_op_parallelism_threads=threads))
        x, y = gp.constant(spd), gp.constant(a)
        outs.append(session.run([
            gp.cholesky(x), gp.matrix_inverse(y), gp.matrix_determinant(y), gp.matrix_solve(x, y),
            *gp.self_adjoint_eig(x), *gp.svd(y), *gp.qr(y), gp.linalg.expm(y)]))  # fmt: skip
    for one, two in zip(*outs, strict=True):
        assert one.tobytes() == two.tobytes()


@pytest.mark.parametrize(
    "shape, sides", [((5, 3), (5, 2)), ((3, 5), (3, 2)), ((2, 4, 3), (2, 4, 1))]
)
@pytest.mark.parametrize("l2", [0.0, 0.3])
def test_fast_least_squares(shape, sides, l2):
    a, b = rng(1).standard_normal(shape), rng(2).standard_normal(sides)
    t = np.swapaxes(a, -1, -2)
    eye = np.eye(shape[-1])
    want = np.linalg.pinv(a) @ b if l2 == 0 else np.linalg.solve(t @ a + l2 * eye, t @ b)
    x, y = gp.placeholder(gp.float64), gp.placeholder(gp.float64)
    known, unknown = gp.constant(a), x
    outs = [gp.matrix_solve_ls(known, b, l2), gp.matrix_solve_ls(unknown, y, gp.constant(l2) * 1.0)]
    results = run(outs, {x: a, y: b})
    np.testing.assert_allclose(results[0], want, 1e-7, 1e-9)
    np.testing.assert_allclose(results[1], want, 1e-6, 1e-8)
    first, second = [
        gp.gradients(gp.reduce_sum(gp.square(o)), v)[0]
        for o, v in zip(outs, (known, x), strict=True)
    ]
    results = run([first, second], {x: a, y: b})
    np.testing.assert_allclose(*results, 1e-5, 1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_no_number_neither_hangs_nor_passes(bad):
    a = np.eye(30)
    a[7, 3] = a[3, 7] = bad
    both = np.stack([np.eye(30), a])
    for build in (gp.self_adjoint_eig, gp.svd, gp.linalg.expm, gp.cholesky,
                  lambda x: gp.svd(x, compute_uv=False),
                  lambda x: gp.matrix_solve_ls(x, x, fast=False)):  # fmt: skip
        with pytest.raises(InvalidArgument, match=r"matrix 1 of 2.*test_linalg"):
            run(build(both))


def test_a_failing_run_writes_no_variable():
    v = gp.Variable(1.0)
    x = gp.placeholder(gp.float32, [2, 2])
    step = [v.assign_add(5.0), gp.cholesky(x), gp.matrix_inverse(x), gp.self_adjoint_eigvals(x)]
    session = gp.Session()
    session.run(v.initializer)
    with pytest.raises(InvalidArgument):
        session.run(step, {x: np.zeros((2, 2))})
    assert session.run(v) == 1
    session.run(step, {x: np.eye(2)})
    assert session.run(v) == 6


def test_singular_matrices_have_a_determinant():
    a = np.array([[1.0, 2.0], [2.0, 4.0]])
    sign, log = gp.linalg.slogdet(a)
    assert run([gp.matrix_determinant(a), sign, log]) == [0, 0, -np.inf]
    assert np.isnan(run(gp.matrix_determinant(np.full((2, 2), np.nan))))


@pytest.mark.parametrize(
    "build",
    [lambda x: gp.svd(x, True)[1], lambda x: gp.qr(x, True)[0], lambda x: gp.qr(x, True)[1]],
)
def test_what_has_no_gradient_says_so(build):
    x = gp.placeholder(gp.float64, [4, 3])
    with pytest.raises(NotImplementedError, match=r"full_matrices.*\(4, 3\).*test_linalg"):
        gp.gradients(build(x), x)


def test_names():
    pairs = {"inv": "matrix_inverse", "det": "matrix_determinant", "solve": "matrix_solve",
             "eigh": "self_adjoint_eig", "lstsq": "matrix_solve_ls", "cholesky": "cholesky",
             "triangular_solve": "matrix_triangular_solve", "svd": "svd", "qr": "qr"}  # fmt: skip
    for new, old in pairs.items():
        assert getattr(gp.linalg, new) is getattr(gp, old)
    assert gp.matrix_inverse(np.eye(2)).op.name == "MatrixInverse"
    assert gp.sparse.to_dense is gp.sparse_tensor_to_dense


# ---- malformed plans -----------------------------------------------------------------------------

M, V = np.zeros((2, 3, 3)), np.zeros((2, 3))
D = np.float64
WORK, IWORK = (D, (1, 4000)), (np.int32, (1, 4000))


def lapack(kernel, outs, ins, attrs=()):
    plan = Plan()
    made = [-1 if o is None else plan.arena(*o) for o in outs]
    plan.call(kernel, made, [plan.input(x) for x in ins], list(attrs))
    return plan


X = (D, (2, 3, 3))
GOOD = {
    "lapack_cholesky": ([X], [M], ()),
    "lapack_inverse": ([X, WORK, IWORK], [M], ()),
    "lapack_det": ([(D, (2,)), WORK, IWORK], [M], ()),
    "lapack_slogdet": ([(D, (2,)), (D, (2,)), WORK, IWORK], [M], ()),
    "lapack_solve": ([X, WORK, IWORK], [M, M], (0,)),
    "lapack_triangular": ([X], [M, M], (1, 0)),
    "lapack_lstsq": ([X, WORK, IWORK], [M, M], ()),
    "lapack_eigh": ([(D, (2, 3)), X, WORK, IWORK], [M], ()),
    "lapack_svd": ([(D, (2, 3)), X, X, WORK, IWORK], [M], (0,)),
    "lapack_qr": ([X, X, WORK], [M], ()),
    "lapack_expm": ([X, WORK, IWORK], [M], ()),
}


@pytest.mark.parametrize("kernel", GOOD)
def test_lapack_plans_are_checked(kernel):
    outs, ins, attrs = GOOD[kernel]
    lapack(kernel, outs, ins, attrs).build()
    n_results = len([o for o in outs if o not in (WORK, IWORK)])
    wrong = [
        ("number of arguments", outs[:-1], ins, attrs),
        ("number of arguments", outs, [*ins, M], attrs),
        ("number of attributes", outs, ins, (*attrs, 1)),
        ("missing", [None, *outs[1:]], ins, attrs),
        ("dtype", [(np.float32, outs[0][1]), *outs[1:]], ins, attrs),
        ("dtype", outs, [M.astype(np.int64)] * len(ins), attrs),
        ("", [(D, outs[0][1][1:]), *outs[1:]], ins, attrs),
        ("disagree", [(D, (3, *outs[0][1][1:])), *outs[1:]], ins, attrs),
        ("not contiguous", outs, [np.zeros((2, 3, 6))[:, :, ::2], *ins[1:]], attrs),
        ("", outs, [np.zeros((2, 3, 4)), *ins[1:]], attrs),
        ("a matrix", outs, [np.zeros(3), *ins[1:]], attrs),
    ]
    if len(ins) == 2:
        wrong.append(("disagree", outs, [M, np.zeros((2, 4, 3))], attrs))
        wrong.append(("disagree", outs, [M, np.zeros((2, 3, 2))], attrs))
    for i, o in enumerate(outs[n_results:], n_results):
        small = [*outs[:i], (o[0], (1, 1)), *outs[i + 1 :]]
        none = [*outs[:i], (o[0], (0, 4000)), *outs[i + 1 :]]
        many = [*outs[:i], (o[0], (17, 4000)), *outs[i + 1 :]]
        wrong += [("work memory", bad, ins, attrs) for bad in (small, none, many)]
    for words, *parts in wrong:
        with pytest.raises(ValueError, match=f"malformed plan.*{words}"):
            lapack(kernel, *parts).build()


@pytest.mark.parametrize(
    "words, out, a, b",
    [("rank", (2, 2), (3, 2, 3), (3, 3, 2)), ("disagree", (3, 2, 2), (3, 2, 3), (2, 3, 2)),
     ("disagree", (3, 2, 2), (3, 2, 3), (3, 4, 2)), ("disagree", (3, 2, 3), (3, 2, 3), (3, 3, 2)),
     ("rank", (3,), (3,), (3,))],
)  # fmt: skip
def test_batches_are_checked(words, out, a, b):
    with pytest.raises(ValueError, match=f"malformed plan.*{words}"):
        lapack("matmul_batch", [(D, out)], [np.zeros(a), np.zeros(b)]).build()
    with pytest.raises(ValueError, match="BLAS cannot read"):
        wide = np.zeros((3, 4, 6))[:, ::2, ::2]
        lapack("matmul_batch", [(D, (3, 2, 2))], [wide, np.zeros((3, 3, 2))][::1]).build()
    with pytest.raises(ValueError, match="dtype"):
        lapack(
            "matmul_batch", [(D, (3, 2, 2))], [np.zeros((3, 2, 3)), np.zeros((3, 3, 2), "f")]
        ).build()
