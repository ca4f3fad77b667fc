"""gradplan._core's kernels on their own, against NumPy and SciPy, on every ISA level."""

import numpy as np
import pytest
import scipy.special as sp
from core_plan import (
    CAST,
    DIVIDE,
    DTYPES,
    EXTERN,
    FLOATS,
    INTS,
    NAMES,
    POWER,
    RANGE,
    Failed,
    Plan,
    call,
    same,
    tile,
)

from gradplan import _core

rng = np.random.default_rng(1)


@pytest.fixture(params=_core.isa_levels())
def isa(request):
    previous = _core.use_isa(request.param)
    yield request.param
    _core.use_isa(previous)


def wild(dtype, n=3001):
    """Values of every size and kind, in the dtype's own special cases too."""
    if dtype == np.dtype(bool):
        return rng.integers(0, 2, n).astype(bool)
    if dtype in INTS:
        info = np.iinfo(dtype)
        special = [0, 1, -1, 2, -2, info.max, info.min, info.max - 1, info.min + 1, 7, -7]
        mixed = rng.integers(info.min, info.max, n, dtype=dtype) >> rng.integers(0, 60, n) % (
            dtype.itemsize * 8)  # fmt: skip
        return np.concatenate([np.array(special, dtype), mixed.astype(dtype)])
    special = [0.0, -0.0, 1, -1, 0.5, -0.5, np.inf, -np.inf, np.nan, 1e30, -1e30, 3, -3]
    spread = rng.standard_normal(n) * 10.0 ** rng.uniform(-12, 3, n)
    return np.concatenate([special, spread]).astype(dtype)


def ulps(got, want):
    """Largest error of got in units in the last place; want is more exact. Infinities and NaN must
    agree; what is below the normal range may be zero."""
    info = np.finfo(got.dtype)
    with np.errstate(over="ignore"):
        rounded = want.astype(got.dtype)
    np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded))
    finite = np.isfinite(rounded) & np.isfinite(got)
    edge = ~finite & ~np.isnan(rounded) & (abs(want) < 1.0001 * float(info.max))
    odd = ~finite & ~edge
    np.testing.assert_array_equal(got[odd], rounded[odd])
    normal = finite & (abs(want) >= info.tiny)
    assert (abs(got[finite & ~normal]) <= info.tiny).all()
    unit = np.spacing(abs(rounded[normal])).astype(want.dtype)
    return float((abs(got[normal] - want[normal]) / unit).max(initial=0))


# ---- tile operations ----

EXACT = {
    "copy": (1, "b i32 i64 f32 f64", lambda x: x),
    "neg": (1, "i32 i64 f32 f64", np.negative),
    "abs": (1, "i32 i64 f32 f64", np.abs),
    "sign": (1, "i32 i64 f32 f64", np.sign),
    "square": (1, "i32 i64 f32 f64", np.square),
    "add": (2, "i32 i64 f32 f64", np.add),
    "sub": (2, "i32 i64 f32 f64", np.subtract),
    "mul": (2, "i32 i64 f32 f64", np.multiply),
    "div": (2, "f32 f64", np.divide),
    "maximum": (2, "i32 i64 f32 f64", np.maximum),
    "minimum": (2, "i32 i64 f32 f64", np.minimum),
    "floordiv": (2, "i32 i64 f32 f64", np.floor_divide),
    "floormod": (2, "i32 i64 f32 f64", np.remainder),
    "sqrt": (1, "f32 f64", np.sqrt),
    "rsqrt": (1, "f32 f64", lambda x: 1 / np.sqrt(x)),
    "reciprocal": (1, "f32 f64", lambda x: 1 / x),
    "relu": (1, "f32 f64", lambda x: np.maximum(x, 0)),
    "relu_grad": (2, "f32 f64", lambda dy, y: np.where(y > 0, dy, 0).astype(dy.dtype)),
    "sigmoid_grad": (2, "f32 f64", lambda y, dy: dy * y * (1 - y)),
    "tanh_grad": (2, "f32 f64", lambda y, dy: dy * (1 - y * y)),
    "mul_add": (3, "i32 i64 f32 f64", lambda x, y, z: x * y + z),
    "eq": (2, "b i32 i64 f32 f64", np.equal),
    "ne": (2, "b i32 i64 f32 f64", np.not_equal),
    "lt": (2, "i32 i64 f32 f64", np.less),
    "le": (2, "i32 i64 f32 f64", np.less_equal),
    "gt": (2, "i32 i64 f32 f64", np.greater),
    "ge": (2, "i32 i64 f32 f64", np.greater_equal),
    "and": (2, "b", np.logical_and),
    "or": (2, "b", np.logical_or),
    "xor": (2, "b", np.logical_xor),
    "not": (1, "b", np.logical_not),
}
TYPE = {name: dtype for dtype, name in NAMES.items()}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("op", EXACT)
def test_exact_operation(isa, op):
    arity, types, oracle = EXACT[op]
    for name in types.split():
        xs = [rng.permutation(wild(TYPE[name])) for _ in range(arity)]
        tiny = np.finfo(xs[0].dtype).tiny if name[0] == "f" else 0
        if op in ("floordiv", "floormod") and name[0] == "i":
            xs[1][xs[1] == 0] = 3
        want = oracle(*xs)
        got = tile(f"{op}.{name}", want.dtype, *xs)
        if tiny:  # denormals are flushed
            got, want = (np.where(abs(a) < tiny, 0, a) if a.dtype != bool else a
                         for a in (got, want))  # fmt: skip
        same(got, want)


def stepped(dtype, low, high):
    x = np.concatenate([np.linspace(low, high, 20001), wild(dtype), [low, high]])
    return x.astype(dtype)


BUDGETS = {  # ulps, domain, oracle in higher precision
    "exp": (2, -800, 800, np.exp),
    "log": (2, -1, 100, np.log),
    "log1p": (4, -1.5, 50, np.log1p),
    "expm1": (4, -50, 800, np.expm1),
    "tanh": (4, -30, 30, np.tanh),
    "sigmoid": (4, -90, 90, lambda x: 1 / (1 + np.exp(-x))),
    "softplus": (4, -90, 90, lambda x: np.logaddexp(x, 0)),
    "sin": (4, -4200, 4200, np.sin),
    "cos": (4, -4200, 4200, np.cos),
    "erf": (4, -6, 6, lambda x: sp.erf(x.astype("float64")).astype(x.dtype)),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("op", BUDGETS)
def test_transcendental_operation(isa, op, record_property):
    budget, low, high, oracle = BUDGETS[op]
    for dtype, wide in zip(FLOATS, ("float64", "longdouble"), strict=True):
        x = stepped(dtype, low / (8 if dtype == np.float32 and high == 800 else 1), high)
        x = x[(abs(x) >= np.finfo(dtype).tiny) | (x == 0) | np.isnan(x)]
        error = ulps(tile(f"{op}.{NAMES[dtype]}", dtype, x), oracle(x.astype(wide)))
        record_property(f"{op}.{dtype}", error)
        assert error <= budget


@pytest.mark.parametrize("op", ["sin", "cos"])
def test_sines_near_their_zeros(isa, op):
    """Where most of the argument cancels; and each element has the same bits whatever stands beside
    it, though it be so large that another function computes that."""
    for dtype, wide in zip(FLOATS, ("float64", "longdouble"), strict=True):
        near = (np.arange(-2600, 2600) * np.pi / 2).astype(dtype)
        x = np.concatenate([near, *[np.nextafter(near, np.array(v, dtype)) for v in (1e9, -1e9)]])
        got = tile(f"{op}.{NAMES[dtype]}", dtype, x)
        assert ulps(got, getattr(np, op)(x.astype(wide))) <= 4
        beside = tile(f"{op}.{NAMES[dtype]}", dtype, np.append(x, np.array(1e6, dtype)))
        assert got.tobytes() == beside[:-1].tobytes()
        assert not np.signbit(tile(f"{op}.{NAMES[dtype]}", dtype, np.zeros(1, dtype)))[0]
        if op == "sin":
            assert np.signbit(tile(f"sin.{NAMES[dtype]}", dtype, -np.zeros(1, dtype)))[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_special_powers(isa):
    """Signs, infinities and NaN as C's pow has them."""
    one = np.array([0, -0.0, 1, -1, 2, -2, 0.5, -0.5, 3, -3, 7, 8.5, -8.5, 2**24, 2**24 + 2, 1e30,
                    -1e30, np.inf, -np.inf, np.nan])  # fmt: skip
    x, y = (v.ravel() for v in np.meshgrid(one, one))
    for dtype in FLOATS:
        want = np.power(x.astype(dtype).astype("float64"), y.astype(dtype).astype("float64"))
        want = np.where(abs(want) < np.finfo(dtype).tiny, np.copysign(0, want), want).astype(dtype)
        got = tile(f"pow.{NAMES[dtype]}", dtype, x.astype(dtype), y.astype(dtype))
        np.testing.assert_allclose(got, want, 1e-15)
        real = ~np.isnan(want)
        np.testing.assert_array_equal(np.signbit(got[real]), np.signbit(want[real]))


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_powers_are_rounded_once(isa):
    x, y = rng.uniform(0.01, 30, (2, 20000)).astype("float32")
    got = tile("pow.f32", np.float32, x, y - 15)
    assert ulps(got, np.power(x.astype("float64"), (y - 15).astype("float64"))) <= 0.51


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_pow(isa):
    for dtype in FLOATS:
        x, y = abs(wild(dtype)), np.clip(wild(dtype), -3, 3)
        np.testing.assert_allclose(tile(f"pow.{NAMES[dtype]}", dtype, x, y), x**y, 1e-6, 1e-37)
    for dtype in INTS:
        x = wild(dtype)
        y = rng.integers(0, 40, x.size).astype(dtype)
        same(tile(f"pow.{NAMES[dtype]}", dtype, x, y), x**y)


@pytest.mark.parametrize("source", DTYPES, ids=str)
def test_cast(isa, source):
    for target in DTYPES:
        x = wild(source)
        if source in FLOATS and target in INTS:
            x = x[abs(x) < 2.0**31]
        if source != target:
            with np.errstate(over="ignore"):
                want = x.astype(target)
            same(tile(f"cast.{NAMES[source]}.{NAMES[target]}", target, x), want)


def test_select(isa):
    for dtype in DTYPES:
        x, y = wild(dtype), rng.permutation(wild(dtype))
        condition = rng.integers(0, 2, x.size).astype(bool)
        same(tile(f"select.{NAMES[dtype]}", dtype, condition, x, y), np.where(condition, x, y))


@pytest.mark.parametrize(
    "op, xs, status, index",
    [
        ("floordiv.i32", ([1] * 2000 + [5], [1] * 2000 + [0]), DIVIDE, 2000),
        ("floormod.i64", ([1, 2], [0, 0]), DIVIDE, 0),
        ("pow.i32", ([2, 2, 2], [1, -1, 1]), POWER, 1),
        ("cast.f32.i32", ([1, 2**31],), CAST, 1),
        ("cast.f64.i32", ([-(2.0**31) - 1],), CAST, 0),
        ("cast.f32.i64", ([0, 0, np.nan],), CAST, 2),
        ("cast.f64.i64", ([2.0**63, 0],), CAST, 0),
    ],
)
def test_value_errors(isa, op, xs, status, index):
    dtype = TYPE[op.split(".")[1]]
    out = TYPE[op.split(".")[-1]]
    with pytest.raises(Failed) as error:
        tile(op, out, *[np.array(x, dtype) for x in xs])
    assert error.value.args[:3] == (status, 0, index)


def test_layouts(isa):
    """Broadcast, transposed, sliced, reversed and empty arguments, of either tile length."""
    for dtype in (np.float32, np.float64):
        name = "add." + NAMES[np.dtype(dtype)]
        big = rng.standard_normal((40, 7, 90)).astype(dtype)
        for x, y in [
            (big, big[:, :, ::-1]),
            (big, np.array(2.5, dtype)),
            (big, big[0]),
            (big, big[:1, :, :1]),
            (big, big[:, :1]),
            (big.T, big.T[::-1]),
            (big[::2, 1:, 5:9], big[1::2, :-1, 9:5:-1]),
            (big[:, :0], big[:, :0]),
            (big[:1, :1, :1], big[3:4, 3:4, :1]),
        ]:
            same(tile(name, dtype, x, y), x + y)


def test_program(isa):
    """Several operations, temporaries of another type, two outputs, one of them a strided slice."""
    ops = _core.tile_ops()
    x = rng.standard_normal((700, 3)).astype(np.float32)
    plan = Plan()
    whole = plan.output(np.float64, (700, 5))
    part = plan.buf(np.float64, (700, 3), EXTERN, plan.bufs[whole]["slot"], 16, (5, 1))
    second = plan.output(bool, (700, 3))
    plan.call("fill_zero", [whole], [])
    program = [ops["cast.f32.f64"], 3, 2, -1, -1, ops["square.f64"], 3, 3, -1, -1,
               ops["add.f64"], 0, 3, 3, -1, ops["gt.f64"], 1, 0, 3, -1]  # fmt: skip
    plan.call("tile", [part, second], [plan.input(x)], [4, 1, *program])
    wide, positive = plan.run()
    same(wide[:, 2:], 2 * x.astype(float) ** 2)
    same(wide[:, :2], np.zeros((700, 2)))
    same(positive, x != 0)


# ---- the other kernels ----

SHAPES = [(), (1,), (0,), (7,), (5000,), (33, 1000), (1000, 33), (3, 4, 5), (2, 0, 3), (40, 1, 9)]
REDUCTIONS = {"sum": np.sum, "prod": np.prod, "max": np.max, "min": np.min, "mean": np.mean}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("op", REDUCTIONS)
def test_reduce(isa, op):
    for dtype in DTYPES[1:]:
        for shape in SHAPES:
            x = (rng.standard_normal(shape) * 9 + 1).astype(dtype)
            views = [x, x.T] if x.size else [x]
            for view in views + [v[..., ::2] for v in views if v.ndim]:
                for axes in {(), (0,), (view.ndim - 1,), tuple(range(view.ndim))}:
                    if not view.ndim and axes:
                        continue
                    check_reduction(op, view, axes)
        if dtype in FLOATS:
            x = rng.standard_normal((50, 40)).astype(dtype)
            x[3, 4] = np.nan
            check_reduction(op, x, (0,))
            check_reduction(op, x, (1,))


def check_reduction(op, x, axes):
    shape = tuple(1 if i in axes else n for i, n in enumerate(x.shape))
    (got,) = call(f"reduce_{op}", [(x.dtype, shape)], [x])
    size = x.size // max(1, int(np.prod(shape)))
    if op in ("max", "min"):
        limit = np.finfo(x.dtype) if x.dtype in FLOATS else np.iinfo(x.dtype)
        worst = {"max": limit.min, "min": limit.max}[op]
        if x.dtype in FLOATS:
            worst = np.inf * np.sign(worst)
        same(got, REDUCTIONS[op](x, axes, keepdims=True, initial=worst).astype(x.dtype))
    elif x.dtype in INTS:
        want = (np.prod if op == "prod" else np.sum)(x, axes, dtype=x.dtype, keepdims=True)
        if op == "mean":
            want = np.trunc(want / max(1, size)).astype(x.dtype)
        same(got, want)
    else:
        want = REDUCTIONS[op](x.astype(np.longdouble), axes, keepdims=True)
        scale = np.abs(x.astype(np.longdouble)).sum(axes, keepdims=True) / (
            size if op == "mean" and size else 1)  # fmt: skip
        eps = np.finfo(x.dtype).eps * (12 if op != "prod" else 2 * size)
        bound = eps * (scale if op != "prod" else abs(want)) + np.finfo(x.dtype).tiny
        bad = ~(abs(got - want) <= bound) & ~(np.isnan(got) & np.isnan(want))
        assert not (bad & (abs(want) < np.finfo(x.dtype).max)).any()


def test_argmax(isa):
    for dtype in DTYPES[1:]:
        for shape, axis in [((5, 9), 1), ((5, 9), 0), ((4, 3, 100), 2), ((1,), 0), ((0, 4), 1)]:
            x = rng.integers(0, 9, shape).astype(dtype)
            for view in (x, x[..., ::-1]):
                if dtype in FLOATS and view.size > 40:
                    view[..., 5:7] = np.nan
                want = np.expand_dims(np.argmax(view, axis), axis)
                for out in INTS:
                    same(call("argmax", [(out, want.shape)], [view])[0], want.astype(out))
    with pytest.raises(ValueError, match="argmax of an empty axis"):
        call("argmax", [(np.int64, (4, 1))], [np.zeros((4, 0), np.float32)])


def test_matmul(isa):
    for dtype in DTYPES[1:]:
        for m, k, n in [(3, 4, 5), (1, 9, 1), (1, 9, 7), (8, 9, 1), (65, 33, 40), (4, 0, 3),
                        (0, 3, 4), (4, 3, 0), (7, 1, 6), (1, 300, 400), (300, 400, 1),
                        (1, 1, 70000), (70000, 1, 1)]:  # fmt: skip
            a = (rng.standard_normal((m, k)) * 9).astype(dtype)
            b = (rng.standard_normal((k, n)) * 9).astype(dtype)
            for x in (a, np.ascontiguousarray(a.T).T):
                for y in (b, np.ascontiguousarray(b.T).T):
                    (got,) = call("matmul", [(dtype, (m, n))], [x, y])
                    tolerance = 0 if dtype in INTS else 2e4 * np.finfo(dtype).eps
                    np.testing.assert_allclose(got, a @ b, tolerance, tolerance)
    with pytest.raises(ValueError, match="BLAS cannot read"):
        call("matmul", [(np.float32, (4, 4))], [np.ones((8, 8), np.float32)[::2, ::2]] * 2)


def test_softmax_family(isa):
    for dtype in FLOATS:
        eps = 20 * np.finfo(dtype).eps
        for m, n in [(1, 1), (5, 3), (64, 10), (300, 1), (3, 2500), (4, 0), (0, 3)]:
            x = (rng.standard_normal((m, n)) * 20).astype(dtype)
            wide = x.astype(np.longdouble)
            log_p = sp.log_softmax(wide, 1) if n else wide
            p = np.exp(log_p)
            (got,) = call("softmax", [(dtype, (m, n))], [x])
            np.testing.assert_allclose(got, p, eps * 40, eps)
            (got,) = call("log_softmax", [(dtype, (m, n))], [x])
            np.testing.assert_allclose(got, log_p, eps * 10, eps * 10)
            labels = rng.random((m, n)).astype(dtype)
            outs = [(dtype, (m,)), (dtype, (m, n))]
            loss, grad = call("softmax_xent", outs, [x, labels])
            np.testing.assert_allclose(loss, -(labels * log_p).sum(1), eps * 10, eps * 10)
            np.testing.assert_allclose(grad, p - labels, eps * 40, eps)
            same(call("softmax_xent", [outs[0], None], [x, labels])[0], loss)
            same(call("softmax_xent", [None, outs[1]], [x, labels])[0], grad)
            for index in INTS if n or not m else []:
                labels = rng.integers(0, max(n, 1), m).astype(index)
                loss, grad = call("sparse_softmax_xent", outs, [x, labels])
                hot = np.arange(n) == labels[:, None]
                np.testing.assert_allclose(loss, -(log_p * hot).sum(1), eps * 10, eps * 10)
                np.testing.assert_allclose(grad, p - hot, eps * 40, eps)
                if m:
                    labels[-1] = n
                    with pytest.raises(Failed) as error:
                        call("sparse_softmax_xent", outs, [x, labels])
                    assert error.value.args == (RANGE, 0, m - 1, n, n)


@pytest.mark.parametrize("nesterov", [0, 1])
def test_optimizers(isa, nesterov):
    for dtype in FLOATS:
        for shape in [(), (0,), (1001,), (3, 50)]:
            g, var, m = (rng.standard_normal(shape).astype(dtype) for _ in range(3))
            v = abs(m)

            def close(got, *want):
                for a, b in zip(got, want, strict=True):
                    np.testing.assert_allclose(a, b, 5e-6, 1e-6)

            def step(kernel, states, ins, attrs, dtype=dtype):
                plan = Plan()
                outs = [plan.state(s) for s in states]
                plan.call(kernel, outs, [plan.input(np.asarray(x, dtype)) for x in ins], attrs)
                plan.run()
                return plan.states()

            close(step("apply_gradient_descent", [var], [0.1, g], []), var - 0.1 * g)
            accum = 0.9 * m + g
            move = 0.1 * g + 0.1 * 0.9 * accum if nesterov else 0.1 * accum
            close(step("apply_momentum", [var, m], [0.1, g, 0.9], [nesterov]), var - move, accum)
            b1, b2, lr, e = 0.9, 0.99, 0.01, 1e-6
            m2, v2 = m + (g - m) * (1 - b1), v + (g * g - v) * (1 - b2)
            top = g * (1 - b1) + b1 * m2 if nesterov else m2
            want = var - top * lr * np.sqrt(1 - b2**3) / (1 - b1**3) / (np.sqrt(v2) + e)
            ins = [b1**3, b2**3, lr, b1, b2, e, g]
            close(step("apply_adam", [var, m, v], ins, [nesterov]), want, m2, v2)


def random(kernel, dtype, n, key=7, counter=3):
    plan = Plan()
    state = plan.state(np.array([key, counter], np.int64))
    plan.call(kernel, [plan.output(dtype, (n,)), state], [])
    (values,) = plan.run()
    return values, plan.states()[0]


def philox(key, counter):
    """One block, by the paper."""
    c, k = [counter & 0xFFFFFFFF, counter >> 32, 0, 0], [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        p, q = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [q >> 32 ^ c[1] ^ k[0], q & 0xFFFFFFFF, p >> 32 ^ c[3] ^ k[1], p & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def test_random(isa):
    key, counter = 0x123456789ABCDEF, (1 << 32) - 2
    words = np.array([philox(key, counter + i) for i in range(5)], np.uint64).reshape(-1)
    got, state = random("random_uniform", np.float32, 19, key, counter)
    same(got, ((words >> 8) * 2.0**-24).astype(np.float32)[:19])
    assert list(state) == [key, counter + 5]
    got, state = random("random_uniform", np.float64, 9, key, counter)
    same(got, ((words[1::2] >> 5 << 26) + (words[::2] >> 6))[:9] * 2.0**-53)
    assert list(state) == [key, counter + 5]
    for dtype in FLOATS:
        u, _ = random("random_uniform", dtype, 100_000)
        assert abs(u.mean() - 0.5) < 0.005 and 0 <= u.min() and u.max() < 1
        z, _ = random("random_normal", dtype, 100_000)
        assert abs(z.mean()) < 0.01 and abs(z.std() - 1) < 0.01 and np.isfinite(z).all()
        assert abs((z**4).mean() - 3) < 0.1
        same(random("random_normal", dtype, 777)[0], z[:777])
        t, _ = random("truncated_normal", dtype, 100_000)
        assert abs(t).max() <= 2 and abs(t.std() - 0.8796) < 0.01
        same(t[abs(z) <= 2], z[abs(z) <= 2])
        assert random("truncated_normal", dtype, 0)[1][1] == 3


def test_same_bits_on_all_levels_without_fma():
    """Rounding differs between levels only where vmath.h asks for FMA."""
    x = rng.standard_normal((100, 100)).astype(np.float32)
    results = []
    for level in _core.isa_levels():
        previous = _core.use_isa(level)
        results.append(call("reduce_sum", [(np.float32, (1, 100))], [x])[0])
        _core.use_isa(previous)
    for r in results:
        same(r, results[0])
