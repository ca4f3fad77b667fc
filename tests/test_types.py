"""Small integers, float16 and bfloat16: what they are, how they are converted, kept and given back,
and what is refused."""

import operator
import sys

import core_plan
import ml_dtypes
import numpy as np
import pytest

import gradplan as gp
from gradplan import _core, dtypes

BF16 = np.dtype(ml_dtypes.bfloat16)
KINDS = {"bfloat16": BF16} | {d.name: d.np for d in dtypes.ALL if d is not gp.bfloat16}
#: Values that every type but bool holds, and what rounding does to others.
PLAIN = [0, 1, 2, 7, 100, 127]
TRICKY = [1 + 2**-8, 1 + 3 * 2**-8, 1 + 2**-8 + 2**-30, 65519.9, 65520, 3.3e38, 3.4e38, 6e-8, 3e-8,
          2.9e-8, 1e-45, 2049, 2051, -0.0, np.inf, -np.inf, np.nan]  # fmt: skip


def run(t, feeds=None):
    return gp.Session().run(t, feeds)


def same_bits(got, want):
    got, want = np.asarray(got), np.asarray(want)
    assert got.dtype == want.dtype and got.shape == want.shape
    nan = np.isnan(want.astype(float))
    np.testing.assert_array_equal(np.isnan(got.astype(float)), nan)
    assert got[~nan].tobytes() == want[~nan].tobytes()


# ---- what they are -------------------------------------------------------------------------------


def test_the_sets_are_what_their_names_say():
    assert [d.number for d in dtypes.ALL] == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert set(dtypes.ALL) == {*dtypes.BOOLEAN, *dtypes.WHOLE, *dtypes.FLOATS, *dtypes.STORED}
    assert all(d.is_integer for d in dtypes.WHOLE)
    assert all(d.is_floating for d in dtypes.FLOATS + dtypes.STORED)
    assert [d.size for d in dtypes.SMALL + dtypes.STORED] == [1, 1, 2, 2, 2]
    assert len({f"cast.{a.short}.{b.short}" for a in dtypes.ALL for b in dtypes.ALL}
               - set(_core.tile_ops())) == 0  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_names_of_a_type(name):
    d = gp.as_dtype(name)
    assert d == name and gp.as_dtype(KINDS[name]) is d and d.as_numpy_dtype == KINDS[name].type
    if not d.is_bool:
        info = np.iinfo(d.np) if d.is_integer else ml_dtypes.finfo(KINDS[name])
        assert (d.min, d.max) == (info.min, info.max)
    assert gp.as_dtype("half") is gp.float16
    with pytest.raises(TypeError, match="uint16"):
        gp.as_dtype(np.uint16)


# ---- conversions ---------------------------------------------------------------------------------


@pytest.mark.parametrize("source", KINDS)
def test_casts_of_plain_values(source, isa):
    for target in KINDS:
        for n in (1, 17, 1025):
            given = np.resize(np.array(PLAIN), n).astype(KINDS[source])
            x = gp.placeholder(source, [None])
            same_bits(run(gp.cast(x, target), {x: given}), given.astype(KINDS[target]))
        x = gp.placeholder(source, [])
        assert run(gp.cast(x, target), {x: KINDS[source].type(1)}) == 1


@pytest.mark.parametrize("source", ["float64", "float32", "float16", "bfloat16"])
def test_casts_between_floats_round_to_nearest(source, isa):
    rng = np.random.default_rng(1)
    wide = np.concatenate([TRICKY, rng.standard_normal(2000) * 10.0 ** rng.uniform(-9, 6, 2000)])
    with np.errstate(all="ignore"):
        given = wide.astype(KINDS[source])
        given = np.where(abs(given.astype(float)) < 1.2e-38, KINDS[source].type(0), given)
        for target in ("float64", "float32", "float16"):
            x = gp.placeholder(source, [None])
            same_bits(run(gp.cast(x, target), {x: given}), given.astype(KINDS[target]))
    x = gp.placeholder(source, [None])
    got = run(gp.cast(gp.cast(x, gp.bfloat16), gp.float64), {x: given}).tolist()
    for a, b in zip(given.astype(float), got, strict=True):
        near = nearest_bfloat16(a)
        assert b == near or np.isnan(b) and np.isnan(a), (a, b, near)


def nearest_bfloat16(x):
    """By exact arithmetic: the even one of the two neighbours if both are equally near."""
    if not np.isfinite(x) or x == 0:
        return x
    unit = 2.0 ** (max(np.floor(np.log2(abs(x))), -126) - 7)
    near = np.rint(x / unit) * unit  # both are exact
    return near if abs(near) < 2.0**128 else np.copysign(np.inf, x)


def test_every_float16_and_bfloat16(isa):
    bits = np.arange(2**16, dtype=np.uint16)
    for name in ("float16", "bfloat16"):
        every = bits.view(KINDS[name])
        x = gp.placeholder(name, [None])
        wide = gp.cast(x, gp.float64)
        want = every.astype(np.float64)
        if name == "bfloat16":  # what float64 computes of denormals is flushed on the way
            want = np.where(abs(want) < 2.0**-126, np.copysign(0, want), want)
        same_bits(run(wide, {x: every}), want)
        back = run(gp.cast(wide, name), {x: every})
        same_bits(back, want.astype(KINDS[name]))


def test_integers_wrap_and_floats_are_checked(isa):
    x = gp.placeholder(gp.int64, [None])
    given = np.array([-(2**63), -129, -128, -1, 0, 255, 256, 32768, 2**63 - 1])
    for name in ("uint8", "int8", "int16", "int32"):
        same_bits(run(gp.cast(x, name), {x: given}), given.astype(name))
    for source in ("float64", "float32", "float16", "bfloat16"):
        y = gp.placeholder(source, [None])
        for name, low, high in (("uint8", -1, 256), ("int8", -129, 128), ("int16", -32769, 32768)):
            session = gp.Session()
            cast = gp.cast(y, name)
            if source in ("float64", "float32"):  # what is cut to the last one that fits
                fits = np.array([low + 0.5, 0.9, high - 0.5], source)
                same_bits(session.run(cast, {y: fits}), np.trunc(fits).astype(name))
            for bad in (low * 1.01, high * 1.01, np.inf, np.nan):
                with pytest.raises(gp.errors.InvalidArgumentError, match=f"element 2 .*{name}"):
                    session.run(cast, {y: np.array([1, 2, bad], KINDS[source])})


def test_saturate_cast():
    limits = [-np.inf, -1e30, -300.5, -1, 0.5, 127.5, 256, 40000, 2**31, 2.0**63, 1e30, np.inf]
    for name in ("uint8", "int8", "int16", "int32", "int64"):
        info = np.iinfo(name)
        for source in (np.float32, np.float64):
            got = run(gp.saturate_cast(np.array(limits, source), name))
            exact = [max(info.min, min(info.max, int(x))) if np.isfinite(x) else
                     (info.max if x > 0 else info.min) for x in limits]  # fmt: skip
            last = source(info.max)  # or, where that is rounded up, the one before
            last = np.nextafter(last, source(0)) if int(last) > info.max else last
            near = [min(e, int(last)) for e in exact]
            np.testing.assert_array_equal(got, np.array(near, name))
    for source in ("int16", "int8", "int32", "int64"):
        got = run(gp.saturate_cast(np.array([-128, -1, 100], source), gp.uint8))
        assert got.tolist() == [0, 0, 100]
    assert run(gp.saturate_cast(np.array([1e6, -1e6, 1.0]), gp.float16)).tolist() == [
        65504,
        -65504,
        1,
    ]
    assert run(gp.saturate_cast(gp.constant([1e30], gp.bfloat16), gp.int8)).tolist() == [127]
    for given, wanted in (([True], gp.uint8), ([1], gp.bool)):
        with pytest.raises(TypeError, match="saturate_cast: a bool"):
            gp.saturate_cast(given, wanted)
    with pytest.raises(gp.errors.InvalidArgumentError, match="NaN"):
        run(gp.saturate_cast([np.nan], gp.uint8))


# ---- bits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimize", [True, False])
def test_bitcast(optimize):
    rng = np.random.default_rng(2)
    session = gp.Session(config=gp.ConfigProto(optimize=optimize))
    cases = [("float32", "int32", (3, 4)), ("int64", "float64", ()), ("float32", "uint8", (3,)),
             ("float32", "int64", (5, 2)), ("uint8", "int16", (4, 2)), ("int16", "float64", (0, 4)),
             ("uint8", "int64", (3, 8)), ("float16", "int16", (1025,))]  # fmt: skip
    for source, target, shape in cases:
        raw = rng.integers(0, 60, shape).astype(source)
        want = raw.view(target) if raw.ndim else np.asarray(raw).view(target)
        a, b = raw.itemsize, np.dtype(target).itemsize
        want = (
            want.reshape(shape + (a // b,))
            if a > b
            else want.reshape(shape[:-1] if b > a else shape)
        )
        x = gp.placeholder(source)
        same_bits(session.run(gp.bitcast(x, target), {x: raw}), want)
        odd = np.zeros(raw.nbytes + 64, np.uint8)[1:][: raw.nbytes]
        odd[...] = np.frombuffer(raw.tobytes(), np.uint8)  # as ill aligned as can be
        same_bits(session.run(gp.bitcast(x, target), {x: odd.view(source).reshape(shape)}), want)
        v = gp.Variable(raw)
        session.run(v.initializer)
        same_bits(session.run(gp.bitcast(v, target)), want)
    x = gp.constant([[1.0, 2.0], [3.0, 4.0]])
    got = session.run(gp.bitcast(gp.transpose(x), gp.int32))
    same_bits(got, np.array([[1, 3], [2, 4]], "f").view("i4"))
    same_bits(session.run(gp.bitcast(x[1:, :], gp.int64)), np.array([[3, 4]], "f").view("i8")[:, 0])
    with pytest.raises(ValueError, match=r"Bitcast.*last dimension must be 2.*\(3,\).*test_types"):
        gp.bitcast(np.zeros(3, "f"), gp.int64)
    with pytest.raises(TypeError, match="bool.*test_types"):
        gp.bitcast([True], gp.uint8)
    x = gp.placeholder(gp.float32)
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"last dimension must be 2.*\(\)"):
        session.run(gp.bitcast(x, gp.int64), {x: 1.0})


# ---- kept, fed and fetched -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["uint8", "int8", "int16", "float16", "bfloat16"])
def test_kept_fed_moved_and_restored(name, tmp_path):
    kind = KINDS[name]
    value = np.array([[1, 2, 3], [4, 5, 6]]).astype(kind)
    v = gp.Variable(value, name="v")
    x = gp.placeholder(name, [None, 3])
    both = gp.concat([v, x], 0)
    flag = gp.placeholder(gp.bool, [])
    fetches = [v, both, both[1:, ::-1], gp.transpose(x), gp.where(flag, x, gp.zeros_like(x))]
    for optimize in (True, False):
        session = gp.Session(config=gp.ConfigProto(optimize=optimize))
        session.run(v.initializer)
        got = session.run(fetches, {x: value + value, flag: True})
        whole = np.concatenate([value, value + value])
        wants = [value, whole, whole[1:, ::-1], (value + value).T, value + value]
        for g, w in zip(got, wants, strict=True):
            same_bits(g, w)
        session.run(v.assign(x), {x: value * value})
        same_bits(session.run(v), value * value)
    path = gp.train.Saver().save(session, str(tmp_path / "kept"))
    other = gp.Session()
    gp.train.Saver().restore(other, path)
    same_bits(other.run(v), value * value)
    other.load({v: value})
    same_bits(other.run({"v": v, "one": v[0, 0]})["v"], value)
    assert other.run(v[1, 2]) == 6
    same_bits(run(gp.constant(value)), value)
    same_bits(run(gp.constant([1, 2], name)), np.array([1, 2]).astype(kind))
    same_bits(run([gp.zeros([2], name), gp.ones([2], name)])[1], np.ones(2, kind))


def test_a_bfloat16_feed_is_numbers_whatever_their_type():
    x = gp.placeholder(gp.bfloat16, [None])
    session = gp.Session()
    wide = gp.cast(x, gp.float32)
    for given in ([1, 300], np.array([1, 300], np.uint16), np.array([1.0, 300]),
                  np.array([1, 300], BF16), np.array([1, 300], np.float16)):  # fmt: skip
        for _ in range(2):  # the second time by the way that converts nothing
            assert session.run(wide, {x: given}).tolist() == [1, 300]
    step = session.make_callable([gp.reduce_sum(wide), x[0]], [x])
    total, first = step.loop([np.arange(6, dtype=np.uint16)], 2, shuffle=False)
    assert total.tolist() == [1, 5, 9] and first.tolist() == [0, 2, 4] and first.dtype == BF16
    plain = gp.placeholder(gp.float32, [None])
    assert session.run(plain, {plain: np.array([1, 300], BF16)}).tolist() == [1, 300]
    with pytest.raises(TypeError, match="Placeholder"):
        session.run(wide, {x: ["a"]})


def test_bfloat16_between_stages():
    n = gp.placeholder(gp.float32, [None])
    kept = gp.cast(n, gp.bfloat16)
    count = gp.cast(gp.reduce_sum(gp.cast(kept, gp.float32)), gp.int32)
    got = run(gp.broadcast_to(kept[:1], gp.reshape(count, [1])), {n: [1.0, 2.0]})
    same_bits(got, np.ones(3, BF16))


def test_bfloat16_without_ml_dtypes(monkeypatch):
    x = gp.placeholder(gp.bfloat16, [None])
    v = gp.Variable(1.0)
    session = gp.Session()
    session.run(v.initializer)
    monkeypatch.setitem(sys.modules, "ml_dtypes", None)
    with pytest.raises(ImportError, match=r"gradplan\[bfloat16\].*gp.cast"):
        session.run([x, v.assign_add(1.0)], {x: [1.0]})
    assert session.run(v) == 1  # nothing ran
    assert session.run(gp.cast(x, gp.float32), {x: [1.5]}) == 1.5


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_arithmetic_on_stored_types_says_what_to_do(name):
    x = gp.constant([1.0], name)
    for build in (lambda: x + x, lambda: gp.exp(x), lambda: gp.reduce_sum(x), lambda: x < x,
                  lambda: gp.equal(x, x), lambda: gp.matmul([x], [x])):  # fmt: skip
        with pytest.raises(TypeError, match=rf"{name}.*gp.cast\(x, gp.float32\).*test_types"):
            build()


@pytest.mark.parametrize("name", ["float16", "bfloat16"])
def test_gradients_flow_through_stored_types(name):
    x = gp.placeholder(name, [2])
    y = gp.cast(x, gp.float32)
    z = gp.cast(x, gp.float64)
    total = gp.reduce_sum(y * y) + gp.cast(gp.reduce_sum(3.0 * z), gp.float32)
    (g,) = gp.gradients(total, x)  # two paths: summed as float32
    same_bits(run(g, {x: [1, 2]}), np.array([5, 7]).astype(KINDS[name]))


def test_print_of_bfloat16(capfd):
    x = gp.constant([1.0, 2.5], gp.bfloat16)
    run(gp.cast(gp.Print(x, [x], "x: "), gp.float32))
    assert capfd.readouterr().err == "x: [1 2.5]\n"


def test_moments_of_float16():
    mean, variance = run(gp.nn.moments(np.array([1, 3], np.float16), [0]))
    assert (mean, variance) == (2, 1) and mean.dtype == variance.dtype == np.float16


def test_operands_that_are_numpy():
    for kind in (np.uint8, np.int8, np.int16, np.float32):
        a, x = np.array([7, 9], kind), gp.constant(np.array([2, 4], kind))
        for build in (operator.add, operator.sub, operator.mul, operator.floordiv, operator.lt,
                      operator.ge):  # fmt: skip
            for pair, plain in (
                ((a, x), (a, [2, 4])),
                ((x, a), ([2, 4], a)),
                ((a[0], x), (a[0], [2, 4])),
            ):
                want = build(*[np.asarray(p, kind) for p in plain])
                np.testing.assert_array_equal(run(build(*pair)), want)


# ---- what the rows do not say --------------------------------------------------------------------


def test_special_functions_at_their_poles():
    inf, nan = np.inf, np.nan
    np.testing.assert_array_equal(run(gp.lgamma([0.0, -1.0, inf, nan])), [inf, inf, inf, nan])
    x, q = [1.0, 0.5, 2.0, 2.5, 2.0], [2.0, 2.0, 0.0, -0.5, inf]
    np.testing.assert_array_equal(run(gp.zeta(x, q)), [inf, nan, inf, nan, 0])
    np.testing.assert_array_equal(
        run(gp.polygamma([-1.0, 0.5, 1.0], [1.0, 1.0, 0.0])), [nan, nan, inf]
    )
    np.testing.assert_array_equal(run(gp.igamma([1.0, -1.0, 1.0], [0.0, 1.0, inf])), [0, nan, 1])
    x = np.array([-0.5, -3.25, -1e6 - 0.5])
    down = run(gp.zeta(np.float64(3), x))  # from the one below by its recurrence
    np.testing.assert_allclose(down, x**-3.0 + run(gp.zeta(np.float64(3), x + 1)), 1e-12, 1e-14)
    x = np.array([-0.25, -3.25, 0.3])  # the reflection formula
    mirrored = run(gp.digamma(1 - x) - gp.digamma(x))
    np.testing.assert_allclose(mirrored, np.pi / np.tan(np.pi * x), 1e-13)
    big = np.full(5000, 1.5)
    assert len(set(run(gp.digamma(big)).tolist())) == 1  # in tasks


def test_scans_in_tasks_are_scans():
    rng = np.random.default_rng(8)
    for shape, axis in (((3, 20000), 0), ((3, 20000), 1), ((40000,), 0), ((50, 10, 80), 1)):
        x = rng.integers(-5, 6, shape)
        np.testing.assert_array_equal(run(gp.cumsum(x, axis)), np.cumsum(x, axis))
        shifted = np.cumsum(x[::-1], 0)[::-1] - x
        np.testing.assert_array_equal(run(gp.cumsum(x, 0, True, True)), shifted)


def test_add_n_refuses_what_is_no_list():
    for function in (gp.add_n, gp.accumulate_n):
        with pytest.raises(ValueError, match="at least one.*test_types"):
            function([])
        with pytest.raises(ValueError, match="list.*test_types"):
            function(3)
    with pytest.raises(TypeError, match="float32, not int32"):
        gp.accumulate_n([[1.0]], tensor_dtype=gp.int32)
    with pytest.raises(ValueError, match=r"of shape \(2,\)"):
        gp.accumulate_n([[1.0]], shape=[2])


def test_a_failing_quotient_writes_no_variable():
    v, d = gp.Variable([1, 2]), gp.placeholder(gp.int32, [2])
    session = gp.Session()
    session.run(v.initializer)
    with pytest.raises(
        gp.errors.InvalidArgumentError, match="TruncateDiv.*division by zero.*element 1"
    ):
        session.run(v.assign(gp.truncatediv(v, d) + 1), {d: [1, 0]})
    assert session.run(v).tolist() == [1, 2]


def test_names_of_gp_math():
    for name in ("lgamma", "xlogy", "cumsum", "reduce_std", "sin", "add", "greater", "softplus"):
        assert getattr(gp.math, name) is getattr(gp, name, getattr(gp.nn, name, None))


def test_axis_of_the_wrong_kind():
    with pytest.raises(TypeError, match=r"axis must be an integer.*1\.5.*test_types"):
        gp.nn.moments([1.0], 1.5)
    with pytest.raises(ValueError, match="axis must be an integer"):
        gp.cumsum([1.0], [0, 1])


# ---- malformed plans -----------------------------------------------------------------------------

F, N = np.zeros((2, 3, 4), "f"), np.zeros((2, 3, 4), np.int32)
MALFORMED = [
    ("scan", ("f4", (2, 3, 4)), [F], [3, 0, 0], "no such scan"),
    ("scan", ("f4", (2, 3, 4)), [F], [-1, 0, 0], "no such scan"),
    ("scan", ("f4", (2, 3, 4)), [F], [2, 1, 0], "no such scan"),
    ("scan", ("f4", (2, 3, 4)), [F, F], [0, 1, 0], "no such scan"),
    ("scan", ("f4", (2, 3, 4)), [F, F], [2, 0, 0], "bad attributes"),
    ("scan", ("f4", (2, 3, 4)), [F], [0, 2, 0], "bad attributes"),
    ("scan", ("f4", (2, 3, 4)), [F], [0, 0], "attributes"),
    ("scan", ("i4", (2, 3, 4)), [N, N], [2, 1, 0], "wrong dtype"),
    ("scan", ("f4", (2, 3, 4)), [N], [0, 0, 0], "wrong dtype"),
    ("scan", ("bool", (2, 3, 4)), [N > 0], [0, 0, 0], "wrong dtype"),
    ("scan", ("f2", (2, 3, 4)), [F.astype("f2")], [0, 0, 0], "wrong dtype"),
    ("scan", ("f4", (24,)), [F.ravel()], [0, 0, 0], "three dims"),
    ("scan", ("f4", (2, 3, 5)), [F], [0, 0, 0], "shapes disagree"),
    ("scan", ("f4", (4, 3, 2)), [F.T], [0, 0, 0], "not contiguous"),
    ("special", ("f4", (3,)), [F[0, :, 0].copy()], [6], "no such function"),
    ("special", ("f4", (3,)), [F[0, :, 0].copy()], [-1], "no such function"),
    ("special", ("f4", (3,)), [F[0, :, 0].copy()], [1], "wrong number"),
    ("special", ("i4", (3,)), [N[0, :, 0].copy()], [0], "wrong dtype"),
    ("special", ("f8", (3,)), [F[0, :, 0].copy()], [0], "wrong dtype"),
    ("special", ("f4", (4,)), [F[0, :, 0].copy()], [0], "shapes disagree"),
    ("reduce_sum", ("i1", (1,)), [np.zeros(3, "i1")], [], "wrong dtype"),
    ("argmax", ("i4", (1,)), [np.zeros(3, "f2")], [], "wrong dtype"),
    ("matmul", ("i1", (1, 1)), [np.zeros((1, 1), "i1")] * 2, [], "wrong dtype"),
    ("softmax", ("f2", (1, 1)), [np.zeros((1, 1), "f2")], [], "wrong dtype"),
]  # fmt: skip


@pytest.mark.parametrize("kernel, out, ins, attrs, words", MALFORMED)
def test_malformed_plans_are_refused(kernel, out, ins, attrs, words):
    with pytest.raises(ValueError, match=words):
        core_plan.call(kernel, [out], ins, attrs)
