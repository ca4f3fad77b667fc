"""Convolutions and pooling beyond the rows of specs_conv.py: arguments, fusion, threads, plans."""

import numpy as np
import pytest
from core_plan import Plan, call

import gradplan as gp

F32 = np.float32
rng = np.random.default_rng(11)


def normal(*shape, dtype=np.float64):
    return rng.standard_normal(shape).astype(dtype)


def run(fetches, feeds=None, optimize=True, threads=0):
    config = gp.ConfigProto(optimize=optimize, intra_op_parallelism_threads=threads)
    session = gp.Session(config=config)
    session.run(gp.global_variables_initializer())
    return session.run(fetches, feeds)


# ---- large enough for threads, panels and slices -------------------------------------------------


def test_large_convolution_and_its_gradients_against_scipy():
    from scipy.signal import correlate

    x, f = normal(5, 23, 19, 6), normal(4, 3, 6, 70)
    dy = normal(5, 20, 17, 70)
    a, b = gp.Variable(x), gp.Variable(f)
    y = gp.nn.conv2d(a, b, 1, "VALID")
    got, dx, df = run([y, *gp.gradients(y, [a, b], gp.Variable(dy))])
    want = [correlate(x[n], f[..., k], "valid")[..., 0] for n in range(5) for k in range(70)]
    want = np.array(want).reshape(5, 70, 20, 17).transpose(0, 2, 3, 1)
    np.testing.assert_allclose(got, want, 1e-11, 1e-11)
    direction, turn = normal(*x.shape), normal(*f.shape)
    moved, turned = run(
        [
            gp.nn.conv2d(gp.Variable(direction), b, 1, "VALID"),
            gp.nn.conv2d(a, gp.Variable(turn), 1, "VALID"),
        ]
    )
    np.testing.assert_allclose((dx * direction).sum(), (moved * dy).sum(), 1e-10)
    np.testing.assert_allclose((df * turn).sum(), (turned * dy).sum(), 1e-10)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_bits_do_not_depend_on_threads(dtype):
    x, f = (
        gp.Variable(normal(9, 20, 20, 5, dtype=dtype)),
        gp.Variable(normal(3, 3, 5, 40, dtype=dtype)),
    )
    c = gp.Variable(normal(3, 3, 40, 1, dtype=dtype))
    y = gp.nn.relu(gp.nn.conv2d(x, f, 1, "SAME"))
    z = gp.nn.depthwise_conv2d_native(gp.nn.max_pool(y, 3, 2, "SAME"), c, 1, "SAME")
    fetches = [y, z, *gp.gradients(gp.nn.avg_pool(z, 2, 2, "VALID"), [x, f, c])]
    for a, b in zip(run(fetches, threads=1), run(fetches, threads=2), strict=True):
        assert a.tobytes() == b.tobytes()


def test_a_large_filter_gradient_is_summed_in_parts():
    """Its parts depend on the shapes alone, and it is exact where all sums are."""
    x, dy = rng.integers(-3, 4, (40, 24, 24, 1)), rng.integers(-3, 4, (40, 20, 20, 33))
    a, b = gp.Variable(x.astype(F32)), gp.Variable(np.zeros((5, 5, 1, 33), F32))
    y = gp.nn.conv2d(a, b, 1, "VALID")
    g = gp.gradients(y, b, gp.Variable(dy.astype(F32)))[0]
    want = [
        [np.einsum("nhwc,nhwk->ck", x[:, i : i + 20, j : j + 20], dy) for j in range(5)]
        for i in range(5)
    ]
    np.testing.assert_array_equal(run(g), np.array(want))
    assert "reduce_sum" in kernels([g])


# ---- fusion --------------------------------------------------------------------------------------


def kernels(fetches, feeds=None):
    plan = gp.Session().plan(fetches, feeds or {})
    return [insn.kernel for insn in plan._insns]


@pytest.mark.parametrize("filters", [(3, 3, 2, 5), (1, 1, 2, 5)])
@pytest.mark.parametrize("ends", ["bias", "relu", "bias relu", "add", "bias tanh", "add relu"])
def test_a_convolution_carries_its_bias_and_relu(filters, ends):
    x = gp.placeholder(gp.float32, [None, 6, 5, 2])
    f, b = gp.Variable(normal(*filters, dtype=F32)), gp.Variable(normal(5, dtype=F32))
    y = gp.nn.conv2d(x, f, 1, "SAME")
    for end in ends.split():
        if end == "bias":
            y = gp.nn.bias_add(y, b)
        elif end == "add":
            y = b + y
        else:
            y = gp.nn.relu(y) if end == "relu" else gp.tanh(y)
    feed = {x: normal(3, 6, 5, 2, dtype=F32)}
    session, plain = gp.Session(), gp.Session(config=gp.ConfigProto(optimize=False))
    for s in (session, plain):
        s.load({f: np.ones(filters, F32) / 3, b: np.arange(5, dtype=F32) - 2})
    fetches = [y, *gp.gradients(y, [x, f, b])] if "bias" in ends else [y]
    for s, t in zip(session.run(fetches, feed), plain.run(fetches, feed), strict=True):
        assert s.tobytes() == t.tobytes()
    names = [insn.kernel for insn in session.plan([y], feed)._insns]
    wanted = "conv" if filters[0] == 3 else "matmul_map"
    assert wanted in names and len([n for n in names if n.startswith("tile")]) == (
        1 if "tanh" in ends else 0
    ) + (1 if filters[0] == 3 else 0), names  # the copy into the padding


def test_what_is_fetched_or_taken_twice_is_not_absorbed():
    x, f = gp.Variable(normal(1, 4, 4, 2)), gp.Variable(normal(3, 3, 2, 3))
    c = gp.nn.conv2d(x, f, 1, "VALID")
    y = gp.nn.relu(gp.nn.bias_add(c, gp.Variable(normal(3))))
    for fetches in ([c, y], [y, y * c], [gp.nn.relu(c + gp.Variable(normal(1, 2, 2, 1)))]):
        for a, b in zip(run(fetches), run(fetches, optimize=False), strict=True):
            assert a.tobytes() == b.tobytes()


def test_a_bias_that_does_not_fit_is_reported_at_its_own_line():
    x, b = gp.placeholder(gp.float32, [1, 4, 4, 2]), gp.placeholder(gp.float32, [None])
    y = gp.nn.relu(gp.nn.bias_add(gp.nn.conv2d(x, gp.ones([1, 1, 2, 3]), 1, "VALID"), b))
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"BiasAdd .*\(2,\).*test_conv"):
        gp.Session().run(y, {x: np.zeros((1, 4, 4, 2)), b: [1, 2]})


# ---- sizes that only a run knows -----------------------------------------------------------------


def test_transpose_to_a_shape_that_is_fed():
    x, f = normal(2, 3, 3, 2), normal(2, 2, 4, 2)
    sizes = gp.placeholder(gp.int32, [4])
    y = gp.nn.conv2d_transpose(gp.constant(x), gp.constant(f), sizes, 2, "SAME")
    session = gp.Session()
    for size in (5, 6):
        assert session.run(y, {sizes: [2, size, size, 4]}).shape == (2, size, size, 4)
    with pytest.raises(gp.errors.InvalidArgumentError, match="4 and 3"):
        session.run(y, {sizes: [2, 7, 7, 4]})
    length = gp.placeholder(gp.int32, [])
    z = gp.nn.conv1d_transpose(gp.constant(x[0]), gp.constant(f[0]), [3, length, 4], 2, "SAME")
    assert session.run(z, {length: 6}).shape == (3, 6, 4)


# ---- arguments -----------------------------------------------------------------------------------

IMAGE, FILTER = np.zeros((1, 4, 4, 1), F32), np.zeros((2, 2, 1, 1), F32)


@pytest.mark.parametrize(
    "attrs, exc, words",
    [
        ({"strides": 0}, ValueError, "positive"),
        ({"strides": [1, -1]}, ValueError, "positive"),
        ({"strides": 2**31}, ValueError, "int32"),
        ({"strides": [1, 1, 1]}, ValueError, "1, 2 or 4 elements"),
        ({"strides": [2, 1, 1, 1]}, ValueError, "batch and depth"),
        ({"strides": [1, 1, 1, 2]}, ValueError, "batch and depth"),
        ({"strides": 1.5}, TypeError, "strides"),
        ({"dilations": 0}, ValueError, "dilations"),
        ({"padding": "FULL"}, ValueError, "'FULL'"),
        ({"padding": None}, ValueError, "padding"),
        ({"padding": [(0, 0), (1, 1)]}, ValueError, "4 pairs"),
        ({"padding": [(0, 0), (-1, 1), (0, 0), (0, 0)]}, ValueError, "negative"),
        ({"padding": [(1, 0), (0, 0), (0, 0), (0, 0)]}, ValueError, "batch and depth"),
        ({"data_format": "NWHC"}, ValueError, "NWHC"),
        ({"padding": [(0, 0), (2**30, 2**30), (2**30, 0), (0, 0)]}, ValueError, r"2\*\*47"),
        ({"filters": FILTER}, ValueError, "not both"),
    ],
)
def test_conv2d_refuses(attrs, exc, words):
    with pytest.raises(exc, match=f"{words}.*test_conv.py"):
        gp.nn.conv2d(IMAGE, FILTER, **{"strides": 1, "padding": "VALID", **attrs})


@pytest.mark.parametrize(
    "make, words",
    [
        (lambda: gp.nn.conv2d(IMAGE, strides=1, padding="SAME"), "filter is missing"),
        (lambda: gp.nn.max_pool(IMAGE, 0, 1, "SAME"), "positive"),
        (lambda: gp.nn.max_pool(IMAGE, [1, 2, 2, 2], 1, "SAME"), "batch and depth"),
        (lambda: gp.nn.avg_pool(IMAGE, 2, 1, [(0, 0)] * 4), "SAME"),
        (lambda: gp.nn.avg_pool(IMAGE, 2**31 - 1, 1, "SAME"), r"2\*\*47"),
        (lambda: gp.nn.pool(IMAGE, [2, 2], "SUM", "SAME"), "AVG"),
        (lambda: gp.nn.pool(IMAGE, [2, 2], "MAX", "SAME", [2, 2], [2, 2]), "strides"),
        (lambda: gp.nn.convolution(IMAGE, FILTER, "SAME", [2, 2], [2, 2]), "strides"),
        (lambda: gp.nn.convolution(IMAGE[0, 0], FILTER, "SAME"), "rank"),
        (lambda: gp.nn.max_pool_with_argmax(IMAGE, 2, 2, "SAME", "NCHW"), "NHWC"),
        (lambda: gp.nn.separable_conv2d(IMAGE, FILTER, FILTER, 1, "SAME"), "pointwise"),
        (lambda: gp.nn.conv1d_transpose(IMAGE[0], FILTER[0], [1, 2], 1), "3 elements"),
        (lambda: gp.nn.lrn(IMAGE, -1), "negative"),
        (lambda: gp.nn.fused_batch_norm(IMAGE, [1.0], [1.0], [1.0]), "must be None"),
        (lambda: gp.nn.fused_batch_norm(IMAGE, [1.0], [1.0], [1.0], is_training=False), "both"),
        (lambda: gp.nn.bias_add(IMAGE, [1.0], "NHCW"), "NHCW"),
        (lambda: gp.nn.bias_add(gp.placeholder(gp.float32), [1.0], "NCHW"), "rank"),
    ],
)
def test_refused(make, words):
    with pytest.raises(ValueError, match=f"{words}(.|\n)*test_conv.py"):
        make()


def test_bias_add_with_the_channels_second():
    x, b = normal(2, 3, 4, 5), normal(3)
    y = gp.nn.bias_add(gp.Variable(x), gp.Variable(b), "NCHW")
    np.testing.assert_array_equal(run(y), x + b[:, None, None])


def test_first_of_equal_maxima_gets_the_gradient():
    x = gp.constant(np.ones((1, 1, 4, 1), F32))
    y, at = gp.nn.max_pool_with_argmax(x, [1, 2], [1, 2], "VALID")
    g = gp.gradients(y, x)[0]
    got, places = run([g, at])
    assert got.ravel().tolist() == [1, 0, 1, 0] and places.ravel().tolist() == [0, 2]


def test_nan_and_infinity_in_a_window():
    x = np.array([np.nan, 1, -np.inf, -np.inf, 3, np.nan], F32).reshape(1, 1, 6, 1)
    c = gp.constant(x)
    y, at = gp.nn.max_pool_with_argmax(c, [1, 2], [1, 2], "VALID")
    value, places, g = run([gp.nn.max_pool(c, [1, 2], [1, 2], "VALID"), at, gp.gradients(y, c)[0]])
    np.testing.assert_array_equal(value.ravel(), [np.nan, -np.inf, np.nan])
    assert places.ravel().tolist() == [0, 2, 5] and g.ravel().tolist() == [1, 0, 1, 0, 0, 1]


# ---- malformed plans -----------------------------------------------------------------------------

ONES = [1] * 6


def malformed(kernel, outs, ins, attrs, message):
    with pytest.raises(ValueError, match=f"malformed plan: .*{message}"):
        call(kernel, outs, ins, attrs)


def zeros(*shape, dtype=F32):
    return np.zeros(shape, dtype)


X, Y, F = zeros(1, 1, 4, 4, 2), (F32, (1, 1, 3, 3, 5)), zeros(1, 2, 2, 2, 5)


@pytest.mark.parametrize(
    "outs, ins, attrs, message",
    [
        ([Y], [X, F], [*ONES], "number of attributes"),
        ([Y], [X], [*ONES, 0], "number of arguments"),
        ([Y], [X, F, zeros(4)], [*ONES, 0], "shapes disagree"),
        ([Y], [X, F, zeros(5, dtype=np.float64)], [*ONES, 0], "wrong dtype"),
        ([Y], [X, F[0]], [*ONES, 0], "five dims"),
        ([Y], [X[0], F], [*ONES, 0], "five dims"),
        ([(F32, (2, 1, 3, 3, 5))], [X, F], [*ONES, 0], "shapes disagree"),
        ([(F32, (1, 1, 4, 3, 5))], [X, F], [*ONES, 0], "window reaches outside"),
        ([Y], [X, F], [1, 2, 1, 1, 1, 1, 0], "window reaches outside"),
        ([Y], [X, F], [1, 1, 1, 1, 1, 3, 0], "window reaches outside"),
        ([Y], [X, F], [1, 0, 1, 1, 1, 1, 0], "window reaches outside"),
        ([Y], [X, F], [1, 1, 1, 1, 1, 2**62, 0], "window reaches outside"),
        ([Y], [X, zeros(1, 2, 2, 3, 5)], [*ONES, 0], "shapes disagree"),
        ([Y], [zeros(2, 4, 4, 1, 1).T, F], [*ONES, 0], "not contiguous"),
        ([Y], [X, zeros(5, 2, 2, 2, 1).T], [*ONES, 0], "not contiguous"),
        ([(np.int32, Y[1])], [X, F], [*ONES, 0], "wrong dtype"),
    ],
)
def test_malformed_convolution(outs, ins, attrs, message):
    malformed("conv", outs, ins, attrs, message)


DY = zeros(1, 1, 3, 3, 5)
ROWS, ADDED = zeros(1, 1, 3, 3, 8), [1, 2, 2, *[1] * 6, *[0] * 3]


@pytest.mark.parametrize(
    "kernel, outs, ins, attrs, message",
    [
        ("conv_filter", [(F32, (2, 1, 2, 2, 2, 5))], [X, DY], ONES, "too many parts"),
        ("conv_filter", [(F32, (0, 1, 2, 2, 2, 5))], [X, DY], ONES, "too many parts"),
        ("conv_filter", [(F32, (1, 2, 2, 2, 5))], [X, DY], ONES, "six dims"),
        ("conv_filter", [(F32, (1, 1, 3, 2, 2, 5))], [X, DY], ONES, "reaches outside"),
        ("conv_filter", [(F32, (1, 1, 2, 2, 3, 5))], [X, DY], ONES, "shapes disagree"),
        ("depthwise", [(F32, (1, 1, 3, 3, 3))], [X, zeros(1, 2, 2, 2)], ONES, "shapes disagree"),
        ("depthwise", [(F32, (1, 1, 3, 3, 2))], [X, zeros(1, 2, 3, 2)], ONES, "reaches outside"),
        ("depthwise", [(F32, (1, 1, 3, 3, 2))], [X], ONES, "number of attributes"),
        ("depthwise", [(F32, (1, 1, 3, 3, 2))], [X], [*ONES, 1, 2, 3], "reaches outside"),
        ("depthwise_filter", [(F32, (1, 2, 2, 2))], [X, DY], ONES, "shapes disagree"),
        ("depthwise_filter", [(F32, (2, 2, 2))], [X, DY], ONES, "four dims"),
        ("max_pool", [(F32, (1, 1, 2, 2, 2)), None], [X], [1] * 12, "number of attributes"),
        ("max_pool", [(F32, (1, 1, 2, 2, 3)), None], [X], [1] * 13, "shapes disagree"),
        ("max_pool", [(F32, (1, 1, 9, 2, 2)), None], [X], [1] * 13, "too many windows"),
        ("max_pool", [(F32, (1, 1, 2, 2, 2)), None], [X], [0] + [1] * 12, "no such window"),
        ("max_pool", [(F32, (1, 1, 2, 2, 2)), None], [X], [1] * 9 + [-1, 0, 0, 0], "no such"),
        ("max_pool", [(F32, (1, 1, 2, 2, 2)), (F32, (1, 1, 2, 2, 2))], [X], [1] * 13, "dtype"),
        ("max_pool_grad", [(F32, (1, 1, 4, 4, 3))], [X, X, X], [1] * 12, "shapes disagree"),
        ("max_pool_grad", [(F32, X.shape)], [X, X, DY], [1] * 12, "shapes disagree"),
        ("max_pool_grad_grad", [(F32, X.shape)], [X, X, DY], [1] * 12, "shapes disagree"),
        ("max_pool_grad", [(F32, X.shape)], [X, X], [1] * 12, "number of arguments"),
        ("windows_add", [(F32, X.shape)], [ROWS], [1, 2, 3, *ADDED[3:]], "shapes disagree"),
        ("windows_add", [(F32, X.shape)], [ROWS], [2**31 - 1] * 3 + ADDED[3:], "shapes disagree"),
        ("windows_add", [(F32, X.shape)], [ROWS], [1, 2, 0, *ADDED[3:]], "no such window"),
        ("windows_add", [(F32, X.shape)], [ROWS], [*ADDED[:5], 3, *ADDED[6:]], "too many windows"),
        ("windows_add", [(F32, (2, 1, 4, 4, 2))], [ROWS], ADDED, "shapes disagree"),
        ("windows_add", [(np.float64, X.shape)], [ROWS], ADDED, "wrong dtype"),
        ("windows_add", [(F32, X.shape)], [ROWS], ADDED[:9], "number of attributes"),
    ],
)
def test_malformed_window(kernel, outs, ins, attrs, message):
    malformed(kernel, outs, ins, attrs, message)


def test_random_plans_are_refused_or_run():
    """Whatever is changed in the attributes and dims of a convolution, it raises or runs."""
    outcomes = set()
    for _ in range(2000):
        plan = Plan()
        x, f, dy = plan.input(X), plan.input(F), plan.input(DY)
        y, df = plan.output(*Y), plan.output(F32, (1, *F.shape))
        pooled = plan.output(F32, (1, 1, 2, 2, 2))
        plan.call("conv", [y], [x, f], [*ONES, 0])
        plan.call("conv_filter", [df], [x, dy], [*ONES])
        plan.call("max_pool", [pooled, -1], [x], [1, 2, 2, 1, 2, 2, *[1] * 3, *[0] * 4])
        plan.call("windows_add", [plan.output(F32, X.shape)], [plan.input(ROWS)], ADDED)
        value = int(rng.choice([-1, 0, 1, 2, 3, 4, 5, 7, 2**31, 2**62, -(2**63)]))
        if rng.integers(2):
            plan.attrs[rng.integers(len(plan.attrs))] = value
        else:
            record = plan.bufs[rng.integers(len(plan.bufs))]
            record[["dims", "strides"][rng.integers(2)]][rng.integers(5)] = value
        try:
            plan.run()
            outcomes.add("ran")
        except ValueError as error:
            assert "malformed plan" in str(error)
            outcomes.add("refused")
    assert outcomes == {"ran", "refused"}
