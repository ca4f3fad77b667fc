"""gradplan._core's matrix products, our own and BLAS's, with what follows them, on every level."""

import numpy as np
import pytest
from core_plan import EXTERN, FLOATS, NAMES, Failed, Plan, call, same

from gradplan import _core

rng = np.random.default_rng(1)
OPS = _core.tile_ops()
SIZES = [(1, 1, 1), (3, 4, 5), (1, 9, 1), (1, 9, 7), (8, 9, 1), (65, 33, 40), (4, 0, 3), (0, 3, 4),
         (4, 3, 0), (7, 1, 6), (2, 40, 150), (3, 17, 33), (64, 64, 4), (64, 32, 10), (33, 31, 17),
         (100, 2, 300), (37, 600, 5), (5, 600, 37), (13, 70, 100), (300, 20, 3),
         (1, 700, 90), (205, 530, 50), (30, 520, 550)]  # fmt: skip


@pytest.fixture(params=_core.isa_levels())
def isa(request):
    previous = _core.use_isa(request.param)
    yield request.param
    _core.use_isa(previous)


@pytest.fixture(params=["ours", "BLAS"])
def way(request):
    previous = _core.use_products({"ours": 1, "BLAS": -1}[request.param])
    yield request.param
    _core.use_products(previous)


def layouts(x):
    """x by rows, by columns and with gaps between them."""
    gaps = np.full((x.shape[0], x.shape[1] + 3), np.nan, x.dtype)
    gaps[:, 1:-2] = x
    turned = np.full((x.shape[1], x.shape[0] + 2), np.nan, x.dtype)
    turned[:, :-2] = x.T
    return [x, np.ascontiguousarray(x.T).T, gaps[:, 1:-2], turned[:, :-2].T]


def operands(m, k, n, dtype):
    a = rng.standard_normal((m, k)).astype(dtype)
    b = rng.standard_normal((k, n)).astype(dtype)
    for x, y in zip(layouts(a), layouts(b), strict=True):
        yield x, y
        yield x, b
        yield a, y


def close(got, want, k):
    eps = np.finfo(got.dtype).eps * (2 + 2 * k) * 4
    np.testing.assert_allclose(got, want, eps, eps, equal_nan=True)


def test_sizes_and_layouts(isa, way):
    for dtype in FLOATS:
        for m, k, n in SIZES:
            for x, y in operands(m, k, n, dtype):
                (got,) = call("matmul", [(dtype, (m, n))], [x, y])
                close(got, x.astype(np.longdouble) @ y.astype(np.longdouble), k)


def test_every_block(isa):
    """All numbers of rows and of columns around the blocks' own."""
    previous = _core.use_products(1)
    for dtype in FLOATS:
        for m in range(1, 27):
            for n in range(1, 36):
                a, b = (rng.integers(-9, 9, s).astype(dtype) for s in ((m, 5), (5, n)))
                for x in layouts(a)[:2]:
                    for y in layouts(b)[:2]:
                        same(call("matmul", [(dtype, (m, n))], [x, y])[0], a @ b)
    _core.use_products(previous)


def test_output_with_gaps(isa, way):
    for m, k, n in [(30, 20, 17), (30, 20, 2), (1, 5, 40)]:
        plan = Plan()
        whole = plan.output(np.float32, (m, n + 4))
        part = plan.buf(np.float32, (m, n), EXTERN, plan.bufs[whole]["slot"], 8, (n + 4, 1))
        a, b = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
        plan.call("fill_zero", [whole], [])
        plan.call("matmul", [part], [plan.input(a), plan.input(b)])
        (got,) = plan.run()
        close(got[:, 2:-2], a @ b, k)
        assert not got[:, :2].any() and not got[:, -2:].any()


def test_infinities_and_nan(isa, way):
    a = rng.standard_normal((20, 30)).astype(np.float32)
    b = rng.standard_normal((30, 40)).astype(np.float32)
    a[3, 4], b[5, 6] = np.nan, np.inf
    with np.errstate(invalid="ignore"):
        close(call("matmul", [(np.float32, (20, 40))], [a, b])[0], a @ b, 30)


# ---- with a program ----


def code(name, *steps, temps=0):
    """steps (operation, destination, operands...) as a tile program."""
    flat = []
    for op, to, *of in steps:
        flat += [OPS[op if "." in op else f"{op}.{name}"], to, *of, *[-1] * (3 - len(of))]
    return [len(steps), temps, *flat]


def relu(x):
    return np.where(x < 0, 0, x)


def programs(name):
    """Program, oracle of (product, bias, matrix, scalar), number of x: bias, matrix, scalar."""
    yield code(name), lambda p, b, g, s: p, 0
    yield code(name, ("add", 0, 1, 2)), lambda p, b, g, s: p + b, 1
    yield code(name, ("add", 0, 2, 1)), lambda p, b, g, s: p + b, 1
    yield (code(name, ("add", 3, 1, 2), ("relu", 0, 3), temps=1), lambda p, b, g, s: relu(p + b), 1)
    yield code(name, ("relu", 0, 1)), lambda p, b, g, s: relu(p), 0
    yield code(name, ("relu_grad", 0, 1, 3)), lambda p, b, g, s: np.where(g > 0, p, 0), 2
    yield (
        code(name, ("add", 4, 2, 1), ("relu", 5, 4), ("relu_grad", 0, 5, 3), temps=2),
        lambda p, b, g, s: np.where(g > 0, relu(p + b), 0),
        2,
    )
    yield (
        code(name, ("add", 5, 1, 2), ("tanh", 5, 5), ("mul", 5, 5, 4), ("add", 0, 5, 3), temps=1),
        lambda p, b, g, s: np.tanh(p + b) * s + g,
        3,
    )
    yield (
        code(name, ("add", 5, 1, 2), ("mul", 0, 5, 1), temps=1),
        lambda p, b, g, s: (p + b) * p,
        3,
    )
    yield (
        code(name, ("add", 5, 1, 2), ("mul", 0, 5, 5), ("relu", 5, 0), ("sub", 0, 5, 3), temps=1),
        lambda p, b, g, s: relu((p + b) * (p + b)) - g,
        3,
    )
    yield code(name, ("add", 0, 1, 4)), lambda p, b, g, s: p + s, 3
    yield code(name, ("add", 0, 1, 1)), lambda p, b, g, s: p + p, 0
    yield (
        code(name, (f"gt.{name}", 5, 1, 4), ("select", 0, 5, 1, 3), temps=1),
        lambda p, b, g, s: np.where(p > s, p, g),
        3,
    )


def spread(plan, x, strides, m, n):
    """Feed x seen as [m, n] by the strides."""
    number = plan.input(x)
    return plan.buf(x.dtype, (m, n), EXTERN, plan.bufs[number]["slot"], 0, strides)


def run_map(a, b, program, xs, n_x, colsum=True, gap=0):
    m, n, dtype = a.shape[0], b.shape[1], a.dtype
    bias, matrix, scalar = xs
    plan = Plan()
    ins = [plan.input(a), plan.input(b), spread(plan, bias, (0, 1), m, n), plan.input(matrix),
           spread(plan, scalar, (0, 0), m, n)]  # fmt: skip
    if gap:
        whole = plan.output(dtype, (m, n + gap))
        y = plan.buf(dtype, (m, n), EXTERN, plan.bufs[whole]["slot"], 0, (n + gap, 1))
        plan.call("fill_zero", [whole], [])
    else:
        y = plan.output(dtype, (m, n))
    sums = plan.output(dtype, (n,)) if colsum else -1
    plan.call("matmul_map", [y, sums], ins[: 2 + n_x], program)
    got = plan.run()
    return got[0][:, :n], got[1] if colsum else None


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_map(isa, way):
    for dtype in FLOATS:
        name = NAMES[dtype]
        for m, k, n in [*SIZES, (130, 3, 700)]:
            for i, (a, b) in enumerate(operands(m, k, n, dtype)):
                if i not in (0, 3, 6):
                    continue
                bias, matrix = rng.standard_normal(n), rng.standard_normal((m, n))
                xs = [
                    bias.astype(dtype),
                    layouts(matrix.astype(dtype))[i // 2],
                    np.array(0.5, dtype),
                ]
                p = a.astype(np.longdouble) @ b.astype(np.longdouble)
                (plain,) = call("matmul", [(dtype, (m, n))], [a, b])
                for program, oracle, n_x in programs(name):
                    y, sums = run_map(a, b, program, xs, n_x, gap=i)
                    if all(op not in program[2::5] for op in (OPS[f"gt.{name}"],)):
                        close(y, oracle(p, *[x.astype(np.longdouble) for x in xs]), 40 + 4 * k)
                    else:  # a comparison: by the same product
                        close(y, oracle(plain, *xs), 40 + 4 * k)
                    wide = y.astype(np.longdouble)
                    bound = 12 * np.finfo(dtype).eps * abs(wide).sum(0) + np.finfo(dtype).tiny
                    assert (abs(sums - wide.sum(0)) <= bound).all()
                    again, _ = run_map(a, b, program, xs, n_x, colsum=False, gap=i)
                    close(again, y, k)  # BLAS may get panels of other sizes


def test_map_has_the_bits_of_its_parts(isa):
    """Our own products: the program in registers or in tiles, the same as one after the other."""
    previous = _core.use_products(1)
    for dtype in FLOATS:
        name = NAMES[dtype]
        for m, k, n in [(33, 31, 17), (64, 32, 10), (1, 64, 40), (200, 8, 300), (70, 700, 90)]:
            for a, b in operands(m, k, n, dtype):
                bias = rng.standard_normal(n).astype(dtype)
                matrix = rng.standard_normal((m, n)).astype(dtype)
                bias[0], matrix[-1, -1] = np.nan, np.nan
                (p,) = call("matmul", [(dtype, (m, n))], [a, b])
                xs = (bias, matrix, np.array(1, dtype))
                got, _ = run_map(a, b, code(name, ("add", 3, 1, 2), ("relu", 0, 3), temps=1), xs, 1)
                same(got, relu(p + bias))
                got, _ = run_map(a, b, code(name, ("relu_grad", 0, 1, 3)), xs, 2)
                same(got, np.where(matrix > 0, p, 0).astype(dtype))
    _core.use_products(previous)


@pytest.mark.parametrize("k", [5, 300, 600])
@pytest.mark.parametrize("n", [3, 100, 3000])
def test_map_in_place(isa, way, n, k):
    """y where an x is, with a program that registers can end and one that they cannot."""
    m = 130
    a, b = (rng.standard_normal(s).astype(np.float32) for s in ((m, k), (k, n)))
    for steps, oracle in [
        ([("relu_grad", 0, 1, 2)], lambda p, x: np.where(x > 0, p, 0)),
        ([("mul", 0, 1, 2)], lambda p, x: p * x),
        ([("add", 3, 1, 1), ("sub", 0, 3, 2)], lambda p, x: p + p - x),
    ]:
        x = rng.standard_normal((m, n)).astype(np.float32)
        plan = Plan()
        y = plan.state(x)
        plan.call("matmul_map", [y, -1], [plan.input(a), plan.input(b), y],
                  code("f32", *steps, temps=1))  # fmt: skip
        plan.run()
        close(plan.states()[0], oracle((a @ b).astype(np.float32), x), 8 * k)


def test_map_errors(isa):
    """A value error names the element of y."""
    a = np.ones((200, 2), np.float32)
    b = np.ones((2, 300), np.float32)
    a[123] = 1e30
    b[:, :17] = 0
    program = code("f32", ("cast.f32.i32", 2, 1), ("cast.i32.f32", 0, 2), temps=1)
    with pytest.raises(Failed) as error:
        call("matmul_map", [(np.float32, (200, 300)), None], [a, b], program)
    assert error.value.args[2] == 123 * 300 + 17


def test_map_refuses():
    a, b = np.ones((4, 3), np.float32), np.ones((3, 5), np.float32)
    y, add = (np.float32, (4, 5)), code("f32", ("add", 0, 1, 2))
    wide = np.ones((4, 5), np.float32)
    for outs, ins, attrs, message in [
        ([y], [a, b], code("f32"), "number of arguments"),
        ([None, None], [a, b], code("f32"), "argument is missing"),
        ([y, None], [a, b], add, "operand is out of range"),
        ([y, None], [a, b, wide], [], "two counts"),
        ([y, None], [a, b, wide[:3]], add, "shapes disagree"),
        ([y, None], [a, b, wide.astype(float)], add, "wrong dtype"),
        ([y, (np.float32, (4,))], [a, b, wide], add, "shapes disagree"),
        ([y, (np.float64, (5,))], [a, b, wide], add, "wrong dtype"),
        ([y, None], [a, b[:2], wide], add, "shapes disagree"),
        ([(np.int32, (4, 5)), None], [a.astype(np.int32), b.astype(np.int32)], code("f32"),
         "wrong dtype"),
        ([y, None], [a, b, wide], code("f32", ("add", 2, 1, 2)), "writes an input"),
        ([y, None], [a, b, wide], code("f32", ("add", 0, 1, 9)), "out of range"),
    ]:  # fmt: skip
        with pytest.raises(ValueError, match=f"malformed plan: .*{message}"):
            call("matmul_map", outs, ins, attrs)


@pytest.mark.parametrize("dtype", FLOATS)
def test_sum(isa, way, dtype):
    """Products one after the other, of any k and layout; nothing of what y held before is in it."""
    for (m, k, n), count in [((1, 1, 1), 2), ((3, 4, 5), 11), ((1, 9, 7), 3), ((33, 31, 17), 5),
                             ((4, 0, 3), 2), ((0, 3, 4), 2), ((4, 3, 0), 2), ((64, 32, 128), 8),
                             ((2, 40, 150), 4), ((30, 520, 550), 2),
                             ((205, 70, 50), 4)]:  # fmt: skip
        plan, want = Plan(), np.zeros((m, n))
        ins: list[int] = []
        y = plan.output(dtype, (m, n))
        for i in range(count):
            deep = k * (1 + i % 2)
            a, b = (rng.standard_normal(s).astype(dtype) for s in ((m, deep), (deep, n)))
            want += a.astype(float) @ b.astype(float)
            ins += [plan.input(a), plan.input(b)] if i % 3 else [turned(plan, a), turned(plan, b)]
        plan.call("matmul_sum", [y], ins)
        (got,) = plan.run()
        size = 2e-6 if dtype == np.float32 else 4e-15
        np.testing.assert_allclose(got, want, rtol=0, atol=size * (1 + k) * count)


def turned(plan, x):
    """x, of which the columns are contiguous."""
    number = plan.input(np.ascontiguousarray(x.T))
    return plan.buf(x.dtype, x.shape, EXTERN, plan.bufs[number]["slot"], 0, (1, x.shape[0]))


def test_sum_refuses():
    a, b = np.ones((4, 3), np.float32), np.ones((3, 5), np.float32)
    y = (np.float32, (4, 5))
    for ins, message in [
        ([a], "number of arguments"),
        ([a, b, a], "number of arguments"),
        ([a, b] * 12, "number of arguments"),
        ([a, b, a, b[:2]], "shapes disagree"),
        ([a, b, a[:2], b], "shapes disagree"),
        ([a, b, a.astype(float), b.astype(float)], "wrong dtype"),
    ]:
        with pytest.raises(ValueError, match=f"malformed plan: .*{message}"):
            call("matmul_sum", [y], ins)
