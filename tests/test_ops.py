"""Every operation against its row in ``specs.py``: values, gradients, shapes, errors."""

import importlib
import inspect
import pathlib
import re

import numpy as np
import pytest
from specs import FLOATS, TYPES, Bad, Spec

import gradplan as gp
from gradplan.gradients import dense_gradients
from gradplan.opdef import REGISTRY

WIDER = {np.dtype("float32"): np.float64, np.dtype("float64"): np.longdouble}
#: Every module of rows beside this one: specs.py and specs_*.py.
TABLES = [
    importlib.import_module(p.stem) for p in sorted(pathlib.Path(__file__).parent.glob("specs*.py"))
]
SPECS = [spec for table in TABLES for spec in table.SPECS]
ELSEWHERE = {op: test for table in TABLES for op, test in getattr(table, "ELSEWHERE", {}).items()}
UNOPTIMISED = gp.ConfigProto(optimize=False)
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")


def each(specs, *dtypes):
    """Parametrise by rows, and by the types that a row has among ``dtypes``."""
    if not dtypes:
        return pytest.mark.parametrize("spec", specs, ids=str)
    pairs = [(s, d) for s in specs for d in dtypes if d in s.dtypes]
    return pytest.mark.parametrize("spec, dtype", pairs, ids=[f"{s}-{d}" for s, d in pairs])


# ---- building and running one case ---------------------------------------------------------------


def static_shape(shape, unknown):
    if unknown == "rank":
        return None
    if unknown == "batch":
        return (None, *shape[1:]) if shape else ()
    return (None,) * len(shape) if unknown == "dims" else shape


class Case:
    """One operation in a graph of its own, with what is needed to run it on arrays.

    Parameters
    ----------
    unknown : str or None
        What the placeholders do not tell: "rank", "dims", or "batch" for the first dimension.
    orders : int
        1 adds the gradients of a random projection of the results, 2 those of a projection of
        the gradients too.
    """

    def __init__(self, spec, arrays, attrs, unknown=None, config=None, orders=0):
        self.spec, self.arrays, self.n = spec, arrays, spec.variables
        self.graph = gp.Graph()
        with self.graph.as_default():
            self.inputs = [gp.Variable(np.zeros_like(a)) for a in arrays[: self.n]]
            self.inputs += [
                gp.placeholder(a.dtype, static_shape(a.shape, unknown)) for a in arrays[self.n :]
            ]
            out = spec.build(*self.inputs, **attrs)
            self.outs = list(out) if isinstance(out, (tuple, list)) else [out]
            if orders:
                self.differentiate(orders)
        self.session = gp.Session(graph=self.graph, config=config)

    def differentiate(self, orders):
        rng = np.random.default_rng(7)
        diff = [i for i in self.spec.diff if i < len(self.inputs)]
        xs = [self.inputs[i] for i in diff]

        def project(ts, like):
            weights = [rng.standard_normal(a.shape).astype(a.dtype) for a in like]
            terms = [
                gp.reduce_sum(t * w) for t, w in zip(ts, weights, strict=True) if t is not None
            ]
            return weights, sum(terms[1:], terms[0]) if terms else None

        arrays = [self.arrays[i] for i in diff]
        shapes = gp.Session(graph=self.graph)
        shapes.load(dict(zip(self.inputs[: self.n], self.arrays, strict=False)))
        likes = shapes.run(self.outs, self.feeds(self.arrays))
        self.weights, f = project(self.outs, likes)
        self.first = dense_gradients(f, xs)
        if orders == 2:
            self.directions, g = project(self.first, arrays)
            self.second = [None] * len(xs) if g is None else dense_gradients(g, xs)

    def feeds(self, arrays):
        return dict(zip(self.inputs[self.n :], arrays[self.n :], strict=True))

    def run(self, fetches=None, arrays=None):
        arrays = self.arrays if arrays is None else arrays
        self.session.load(dict(zip(self.inputs[: self.n], arrays, strict=False)))
        return self.session.run(self.outs if fetches is None else fetches, self.feeds(arrays))

    def gradients(self, which, arrays=None):
        """Gradients as arrays; None counts as zeros."""
        known = [g for g in which if g is not None]
        values = iter(self.run(known, arrays) if known else [])
        diff = [i for i in self.spec.diff if i < len(self.inputs)]
        return [
            np.zeros_like(self.arrays[i]) if g is None else next(values)
            for i, g in zip(diff, which, strict=True)
        ]


def widened(arrays):
    return [a.astype(WIDER.get(a.dtype, a.dtype)) for a in arrays]


def expected(spec, arrays, attrs, widen=True):
    arrays = widened(arrays) if spec.widen and widen else arrays
    with np.errstate(all="ignore"):
        out = spec.oracle(*arrays, **attrs)
    return list(out) if isinstance(out, (tuple, list)) else [np.asarray(out)]


def scales(spec, arrays, attrs, wants):
    if spec.scale is None or arrays[0].dtype.kind != "f":
        return wants
    out = spec.scale(*widened(arrays), **attrs)
    return list(out) if isinstance(out, tuple) else [out]


def check_close(got, want, budget, scale=None, note=""):
    """``got`` is ``want`` to within ``budget`` units in the last place of ``scale``."""
    got = np.asarray(got)
    assert got.shape == want.shape, f"shape {got.shape}, not {want.shape}; {note}"
    if got.dtype.kind != "f":
        np.testing.assert_array_equal(got, want, err_msg=note)
        return
    info = np.finfo(got.dtype)
    with np.errstate(all="ignore"):
        rounded = want.astype(got.dtype)
        np.testing.assert_array_equal(np.isnan(got), np.isnan(rounded), err_msg=note)
        size = abs(want if scale is None else np.asarray(scale)).astype(got.dtype)
        unit = np.spacing(np.maximum(np.where(np.isfinite(size), size, 0), info.tiny))
        error = abs(got - want)
        # What overflows by rounding alone, and denormals, which are flushed to zero.
        near_max = abs(want) > float(info.max) * (1 - 8 * info.eps)
        fine = (
            (got == rounded) | np.isnan(rounded) | (error <= budget * unit + info.tiny) | near_max
        )
    if not fine.all():
        at = tuple(int(i) for i in np.argwhere(~fine)[0])
        pytest.fail(
            f"{note}: {got[at]!r}, not {want[at]!r} at {at}: "
            f"{float(error[at] / unit[at]):.3g} ulps, budget {budget}"
        )


def disguised(a, how):
    """An equal array that is laid out in another way."""
    how %= 6
    if how == 1:
        return a[..., ::-1].copy()[..., ::-1] if a.ndim else a
    if how == 2:
        return a.copy("F")
    if how == 3:
        a = a.copy()
        a.flags.writeable = False
    if how == 4:
        return a.astype(a.dtype.newbyteorder(">"))
    if how == 5:  # off its natural alignment
        raw = np.zeros(a.nbytes + 1, np.uint8)
        odd = raw[1:].view(a.dtype).reshape(a.shape)
        odd[...] = a
        return odd
    return a


def describe(shapes, attrs):
    return f"shapes {shapes}, attrs {attrs}"


# ---- the table itself ----------------------------------------------------------------------------


def test_every_operation_has_a_row():
    rows = {spec.type for spec in SPECS}
    missing = set(REGISTRY) - rows - set(ELSEWHERE)
    assert not missing, f"add rows to tests/specs.py for {sorted(missing)}"
    assert not (rows | set(ELSEWHERE)) - set(REGISTRY)
    assert not rows & set(ELSEWHERE)
    for test in ELSEWHERE.values():
        module, function = test.split(".")
        assert hasattr(importlib.import_module(module), function), test


def test_every_row_has_a_name_of_its_own():
    assert len({spec.op for spec in SPECS}) == len(SPECS)


@each(SPECS)
def test_row_builds_its_operation(spec):
    made = set()
    for shapes, attrs in spec.cases:
        case = Case(spec, spec.inputs(shapes, spec.dtypes[-1]), attrs)
        made |= {op.type for op in case.graph.get_operations()}
    assert spec.type in made


@each(SPECS)
def test_any_of_its_results_may_be_left_out(spec):
    for shapes, attrs in spec.cases[:2]:
        case = Case(spec, spec.inputs(shapes, spec.dtypes[-1]), attrs)
        op = [op for op in case.graph.get_operations() if op.type == spec.type][-1]
        assert case.run(op) is None
        if not op.writes:
            for t, whole in zip(case.outs, case.run(), strict=True):
                np.testing.assert_array_equal(case.run(t), whole, describe(shapes, attrs))


# ---- values --------------------------------------------------------------------------------------


@each(SPECS, *TYPES)
def test_value(spec, dtype, isa):
    for k, (shapes, attrs) in enumerate(spec.cases):
        arrays = spec.inputs(shapes, dtype)
        case = Case(spec, arrays, attrs)
        want = expected(spec, arrays, attrs)
        got = case.run(arrays=[disguised(a, k + i) for i, a in enumerate(arrays)])
        for g, w, s in zip(got, want, scales(spec, arrays, attrs, want), strict=True):
            check_close(g, w, spec.ulps, s, describe(shapes, attrs))
            assert np.asarray(g).dtype == case.outs[0].dtype.np or len(got) > 1


@each(SPECS, *TYPES)
def test_optimised_is_unoptimised(spec, dtype):
    for shapes, attrs in spec.cases:
        arrays = spec.inputs(shapes, dtype, seed=1)
        results = [Case(spec, arrays, attrs, config=c).run() for c in (None, UNOPTIMISED)]
        for a, b in zip(*results, strict=True):
            np.testing.assert_array_equal(a, b, describe(shapes, attrs))
            assert np.asarray(a).tobytes() == np.asarray(b).tobytes(), describe(shapes, attrs)


@pytest.mark.parametrize("unknown", ["batch", "dims", "rank"])
@each(SPECS)
def test_unknown_static_shape(spec, unknown):
    refused = 0
    for shapes, attrs in spec.cases:
        for dtype in spec.dtypes[:1]:
            arrays = spec.inputs(shapes, dtype)
            known = Case(spec, arrays, attrs)
            try:
                case = Case(spec, arrays, attrs, unknown=unknown)
            except ValueError as error:
                assert spec.rank_needed and unknown == "rank", describe(shapes, attrs)
                assert "rank" in str(error)
                refused += 1
                continue
            for a, b in zip(case.outs, known.outs, strict=True):
                assert a.shape.is_compatible_with(b.shape), describe(shapes, attrs)
            for a, b in zip(case.run(), known.run(), strict=True):
                np.testing.assert_array_equal(a, b, describe(shapes, attrs))
    assert not refused or refused <= len(spec.cases)


SPECIAL = (0.0, 0.5, 1.0, 2.5, 88.9, 1e-30, 1e30, np.inf)
SPECIAL += (*[-x for x in SPECIAL], np.nan)


@each([s for s in SPECS if s.elementwise], *FLOATS)
def test_nan_and_infinity(spec, dtype, isa):
    rng = np.random.default_rng(3)
    shapes = ((511,),) * max(len(s) for s, _ in spec.cases)
    arrays = [
        rng.choice(np.array([*SPECIAL, np.finfo(dtype).max], dtype), a.shape)
        if a.dtype.kind == "f" else a
        for a in spec.inputs(shapes, dtype)
    ]  # fmt: skip
    (got,) = Case(spec, arrays, {}).run()
    (want,) = expected(spec, arrays, {})
    check_close(got, want, spec.ulps, note=f"of {[a[:4] for a in arrays]}")


@each([s for s in SPECS if s.elementwise], "int32", "int64", "int8")
def test_integers_at_the_edge(spec, dtype, isa):
    rng = np.random.default_rng(4)
    info = np.iinfo(dtype)
    edges = [info.min, info.min + 1, -7, -2, -1, 1, 2, 3, 7, info.max - 1, info.max]  # divisors too
    shapes = ((511,),) * max(len(s) for s, _ in spec.cases)
    arrays = [
        rng.choice(np.array(edges, dtype), a.shape) if a.dtype.kind == "i" else a
        for a in spec.inputs(shapes, dtype)
    ]
    (got,) = Case(spec, arrays, {}).run()
    (want,) = expected(spec, arrays, {})
    np.testing.assert_array_equal(got, want)


# ---- gradients -----------------------------------------------------------------------------------

DIFFERENTIABLE = [s for s in SPECS if s.diff and "float64" in s.dtypes]
STEP = 1e-3


def small(spec):
    """The cases that a finite difference is worth its while for."""
    return [c for c in spec.cases if all(np.prod(s) <= 300 for s in c[0])]


def projected(values, weights):
    return sum((v * w).sum() for v, w in zip(values, weights, strict=True))


def derivative(function, arrays, i, direction):
    """Central difference of fourth order along ``direction`` of input ``i``."""

    def at(k):
        moved = list(arrays)
        moved[i] = arrays[i] + k * STEP * direction
        return function(moved)

    return (8 * (at(1) - at(-1)) - (at(2) - at(-2))) / (12 * STEP)


@each(DIFFERENTIABLE)
def test_gradient(spec):
    """One random direction an input, of a projection of the results, then of the gradients."""
    rng = np.random.default_rng(5)
    for shapes, attrs in small(spec):
        note = describe(shapes, attrs)
        arrays = spec.inputs(shapes, "float64")
        case = Case(spec, arrays, attrs, orders=2)
        first, second = case.gradients(case.first), case.gradients(case.second)
        diff = [i for i in spec.diff if i < len(arrays)]
        for i, g, h in zip(diff, first, second, strict=True):
            assert g.shape == h.shape == arrays[i].shape, note
            v = rng.standard_normal(arrays[i].shape)

            def value(moved, attrs=attrs, case=case):
                return projected(spec_oracle(spec, moved, attrs), case.weights)

            want = float(derivative(value, widened(arrays), i, v))
            if not np.isfinite(want):  # the mean of nothing
                assert not arrays[i].size, note
                continue
            size = 1 + float(abs(g * v).sum())
            assert abs((g * v).sum() - want) <= 1e-8 * size, f"input {i}: {note}"

            def slope(moved, case=case):
                return projected(case.gradients(case.first, moved), case.directions)

            want = float(derivative(slope, arrays, i, v))
            size = 1 + float(abs(h * v).sum()) + sum(float(abs(f).sum()) for f in first)
            assert abs((h * v).sum() - want) <= 1e-8 * size, f"second order, input {i}: {note}"


def spec_oracle(spec, arrays, attrs):
    out = spec.oracle(*arrays, **attrs)
    return out if isinstance(out, (tuple, list)) else [out]


@each(DIFFERENTIABLE)
@pytest.mark.parametrize("unknown", [None, "batch", "dims", "rank"])
def test_float32_gradient(spec, unknown):
    """It runs in float32, has its input's shape, and is that of float64; shapes may be unknown."""
    if "float32" not in spec.dtypes:
        spec = Spec(**{**spec.__dict__, "dtypes": FLOATS})
    for shapes, attrs in small(spec):
        note = describe(shapes, attrs)
        arrays = spec.inputs(shapes, "float32")
        try:
            case = Case(spec, arrays, attrs, unknown=unknown, orders=1)
        except ValueError:
            assert spec.rank_needed and unknown == "rank", note
            continue
        wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]
        reference = Case(spec, wide, attrs, orders=1)
        reference.weights = case.weights
        diff = [i for i in spec.diff if i < len(arrays)]
        got = case.gradients(case.first)
        want = reference.gradients(reference.first)
        for i, tensor, g, w in zip(diff, case.first, got, want, strict=True):
            assert g.dtype == np.float32 and g.shape == arrays[i].shape, note
            if tensor is not None:
                assert tensor.shape.is_compatible_with(arrays[i].shape), note
                assert unknown == "rank" or tensor.shape.ndims == arrays[i].ndim, note
            np.testing.assert_allclose(g, w, 2e-4, 2e-4 * (1 + abs(w).max(initial=0)), err_msg=note)


@each(DIFFERENTIABLE)
def test_optimised_gradient_is_unoptimised(spec):
    for shapes, attrs in small(spec):
        arrays = spec.inputs(shapes, "float64", seed=2)
        results = []
        for config in (None, UNOPTIMISED):
            case = Case(spec, arrays, attrs, config=config, orders=2)
            results.append(case.gradients(case.first) + case.gradients(case.second))
        for a, b in zip(*results, strict=True):
            np.testing.assert_allclose(a, b, 1e-12, 1e-12, err_msg=describe(shapes, attrs))


@each([s for s in SPECS if s.flat and "float64" in s.dtypes])
def test_flat_operation_has_no_gradient(spec):
    for shapes, attrs in small(spec):
        arrays = spec.inputs(shapes, "float64")
        case = Case(spec, arrays, attrs)
        with case.graph.as_default():
            for g in gp.gradients(case.outs, case.inputs):
                assert g is None or not np.any(case.run(g))


def test_gradient_of_cast():
    x = gp.placeholder(gp.float64, [3])
    y = gp.cast(x, gp.float32)
    (g,) = gp.gradients(gp.reduce_sum(y * y), x)
    assert g.dtype == gp.float64
    np.testing.assert_array_equal(gp.Session().run(g, {x: [1, 2, 3]}), [2, 4, 6])
    assert gp.gradients(gp.cast(gp.cast(x, gp.int32), gp.float64), x) == [None]


@pytest.mark.parametrize("build", [gp.maximum, gp.minimum])
def test_gradient_at_a_tie_goes_to_the_first(build):
    x, y = gp.constant([1.0, 2.0]), gp.constant([1.0, 2.0])
    dx, dy = gp.Session().run(gp.gradients(build(x, y), [x, y]))
    np.testing.assert_array_equal(dx, [1, 1])
    np.testing.assert_array_equal(dy, [0, 0])


def test_gradient_of_maximum_is_shared_among_equals():
    x = gp.constant([[1.0, 3.0, 3.0], [5.0, 2.0, 5.0]])
    g = gp.Session().run(gp.gradients(gp.reduce_max(x, 1), x)[0])
    np.testing.assert_array_equal(g, [[0, 0.5, 0.5], [0.5, 0, 0.5]])


def test_gradient_at_a_kink_is_zero():
    x = gp.constant([0.0, -1.0, 2.0])
    for y, want in ((gp.abs(x), [0, -1, 1]), (gp.nn.relu(x), [0, 0, 1])):
        np.testing.assert_array_equal(gp.Session().run(gp.gradients(y, x)[0]), want)


def test_gradient_of_power_at_and_below_zero():
    x, y = gp.constant([-2.0, 0.0, 2.0]), gp.constant([2.0, 2.0, 2.0])
    dx, dy = gp.Session().run(gp.gradients(gp.pow(x, y), [x, y]))
    np.testing.assert_allclose(dx, [-4, 0, 4])
    np.testing.assert_allclose(dy, [0, 0, 4 * np.log(2)], rtol=1e-6)


# ---- errors --------------------------------------------------------------------------------------

BAD = [(s, b) for s in SPECS for b in s.bad]
BAD_IDS = [f"{s}-{b.exc.__name__}-{i}" for i, (s, b) in enumerate(BAD)]


def check_message(spec, bad, error, line):
    text = str(error)
    for word in bad.words:
        assert word in text, f"{word!r} is not in: {text}"
    assert spec.type in text or spec.build.__name__ in text, (
        f"the operation {spec.type} is not named: {text}"
    )
    where = [f"test_ops.py:{line}"]
    if spec.build.__module__.startswith("specs"):
        where.append(f"{spec.build.__module__}.py:")
    assert any(re.search(re.escape(w), text) for w in where), f"no {where} in: {text}"


def build_bad(spec, bad, shape_of):
    """The call of an error case: its result, feeds, or error, and the line of the call."""
    n = spec.variables
    inputs = [gp.Variable(a) for a in bad.args[:n]]
    inputs += [gp.placeholder(a.dtype, shape_of(a)) for a in bad.args[n:]]
    line = inspect.currentframe().f_lineno + 2
    try:
        out = spec.build(*inputs, **bad.attrs)
    except Exception as error:
        return None, None, error, line
    return out, dict(zip(inputs[n:], bad.args[n:], strict=True)), None, line


@pytest.mark.parametrize("spec, bad", BAD, ids=BAD_IDS)
def test_error(spec, bad):
    out, feeds, error, line = build_bad(spec, bad, lambda a: a.shape)
    if issubclass(bad.exc, gp.errors.OpError):
        assert error is None
        session = gp.Session()
        with pytest.raises(bad.exc) as caught:
            session.run(out, feeds)
        error = caught.value
        assert error.op is not None and error.op.type == spec.type
    assert type(error) is bad.exc, repr(error)
    check_message(spec, bad, error, line)


LATE = [(s, b) for s, b in BAD if b.exc is ValueError and b.args and s.variables < len(b.args)]


@pytest.mark.parametrize("unknown", ["dims", "rank"])
@pytest.mark.parametrize("spec, bad", LATE, ids=[f"{s}-{i}" for i, (s, _) in enumerate(LATE)])
def test_error_that_only_a_feed_shows(spec, bad, unknown):
    """The gate is passed again when shapes are known: no kernel sees what does not fit."""
    out, feeds, error, line = build_bad(spec, bad, lambda a: static_shape(a.shape, unknown))
    if error is None:
        session = gp.Session()
        session.run(gp.global_variables_initializer())
        with pytest.raises(gp.errors.InvalidArgumentError) as caught:
            session.run(out, feeds)
        error = caught.value
    else:
        assert type(error) is ValueError, repr(error)
    if "rank" not in str(error) or "rank" in bad.words:  # it may ask for the rank itself
        assert spec.type in str(error) or spec.build.__name__ in str(error)
        assert f"test_ops.py:{line}" in str(error) or re.search(r"specs\w*\.py:", str(error))


# ---- operations without a row --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
def test_constant(dtype, isa):
    for shape in ((), (0,), (1,), (3,), (1025,), (2, 0, 3), (2, 3, 4, 1, 2)):
        value = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
        for how in range(6):
            given = disguised(value.copy(), how)
            got = gp.Session().run(gp.constant(given))
            assert np.asarray(got).dtype == value.dtype
            np.testing.assert_array_equal(got, value)
            if given.flags.writeable and given.size:
                t = gp.constant(given)
                given[...] = 0  # the graph has its own copy
                np.testing.assert_array_equal(gp.Session().run(t), value)


@pytest.mark.parametrize(
    "value, dtype, want",
    [(1, None, "int32"), (1.5, None, "float32"), (True, None, "bool"), (2**40, None, "int64"),
     ([], None, "float32"), (np.float64(1), None, "float64"), (1, "float64", "float64"),
     ([[1, 2.5]], None, "float32"), (np.arange(2, dtype="uint8"), "int32", "int32")],
)  # fmt: skip
def test_constant_type(value, dtype, want):
    assert gp.constant(value, dtype).dtype.name == want


@pytest.mark.parametrize(
    "value, more, exc, words",
    [("a", {}, TypeError, "'a'"), ([[1], [1, 2]], {}, ValueError, "ragged"),
     (1j, {}, TypeError, "1j"),
     (1.5, {"dtype": "int32"}, TypeError, "int32"), (2**40, {"dtype": "int32"}, TypeError, "int32"),
     (2**70, {}, TypeError, str(2**70)), (None, {}, ValueError, "None"),
     (1, {"dtype": "bool"}, TypeError, "bool"),
     ([1, 2, 3], {"shape": [2]}, ValueError, "3 values"),
     (1, {"shape": [None]}, ValueError, "shape"),
     (1, {"shape": [-1]}, ValueError, "-1"), (1, {"shape": [2**24, 2**24]}, ValueError, "2**47"),
     ([1], {"shape": [2], "verify_shape": True}, TypeError, "shape"),
     (300, {"dtype": "uint8"}, TypeError, "uint8"), (1, {"dtype": "uint16"}, TypeError, "uint16")],
)  # fmt: skip
def test_constant_refuses(value, more, exc, words):
    with pytest.raises(exc, match=re.escape(words)):
        gp.constant(value, **more)


def test_placeholder():
    session = gp.Session()
    for dtype in TYPES:
        x = gp.placeholder(dtype, [None, 2], name="x")
        value = np.array([[1, 0], [1, 1], [0, 1]]).astype(dtype)
        for how in range(6):
            got = session.run(x, {x: disguised(value, how)})
            np.testing.assert_array_equal(got, value)
            assert not np.shares_memory(got, value)
    with pytest.raises(gp.errors.InvalidArgumentError, match=f"'{x.op.name}'.*test_ops.py"):
        session.run(x)
    with pytest.raises(ValueError, match=r"\(2, 3\).*test_ops.py"):
        session.run(x, {x: np.zeros((2, 3), bool)})


@pytest.mark.parametrize(
    "dtype, value",
    [("int32", 1.5), ("int32", 2**40), ("int64", np.nan), ("bool", 2), ("float32", "a"),
     ("float32", 1j), ("float32", None), ("float32", [[1], [1, 2]])],
)  # fmt: skip
def test_placeholder_refuses(dtype, value):
    x = gp.placeholder(dtype)
    with pytest.raises((TypeError, ValueError), match="Placeholder"):
        gp.Session().run(gp.identity(x), {x: value})


@pytest.mark.parametrize("dtype", TYPES)
def test_variable(dtype):
    for shape in ((), (0,), (3,), (2, 3)):
        value = (np.arange(np.prod(shape)).reshape(shape) + 1).astype(dtype)
        v = gp.Variable(value, name="v")
        session = gp.Session()
        with pytest.raises(gp.errors.FailedPreconditionError, match="uninitialized value v"):
            session.run(v)
        session.run(v.initializer)
        got = session.run(v)
        np.testing.assert_array_equal(got, value)
        assert np.asarray(got).dtype == value.dtype
        other = gp.Session()  # every session has values of its own
        other.run(v.initializer)
        other.load({v: np.zeros_like(value)})
        np.testing.assert_array_equal(session.run(v), value)
        np.testing.assert_array_equal(other.run(v), np.zeros_like(value))


def test_group():
    a, b = gp.Variable(1.0), gp.Variable(2.0)
    session = gp.Session()
    assert session.run(gp.group(a.initializer, [b.initializer, None])) is None
    assert session.run(gp.group(a.assign_add(1.0), b.assign_add(1.0))) is None
    assert session.run([a, b]) == [2, 3]
    assert session.run(gp.no_op()) is None


def test_print_shows_words_among_its_values(capfd):
    x = gp.Print(gp.constant(2.5), ["loss", 2.5, "after", [1, 2]], "now: ")
    with gp.Session() as sess:
        sess.run(x)
    assert capfd.readouterr().err == "now: [loss][2.5][after][1 2]\n"


def test_print(capfd):
    x = gp.placeholder(gp.float32, [None])
    y = gp.Print(x, [x, gp.shape(x)], "x: ", first_n=2, summarize=2) * 2.0
    session = gp.Session()
    for _ in range(3):
        np.testing.assert_array_equal(session.run(y, {x: [1, 2.5, 3]}), [2, 5, 6])
    assert capfd.readouterr().err == "x: [1 2.5...][3]\n" * 2
    (g,) = gp.gradients(y, x)
    np.testing.assert_array_equal(session.run(g, {x: [1, 2]}), [2, 2])


# ---- operators -----------------------------------------------------------------------------------


@pytest.mark.parametrize("operator", "+ - * / // % ** < <= > >=".split())
def test_operator(operator):
    rng = np.random.default_rng(6)
    a, b = rng.uniform(1, 5, (2, 4)).astype(np.float32)
    evaluate = lambda x, y: eval(f"x {operator} y")  # noqa: E731
    x, y = gp.constant(a), gp.constant(b)
    session = gp.Session()
    v, w = gp.Variable(a), gp.Variable(b)
    pairs = [(x, y, a, b), (x, 2, a, 2), (2.0, y, 2, b), (a, y, a, b), (x, b, a, b), (v, y, a, b)]
    for left, right, *values in [*pairs, (x, w, a, b), (v, 2, a, 2), (2, w, 2, b)]:
        want = evaluate(*values)
        z = evaluate(left, right)
        session.run(gp.global_variables_initializer())
        np.testing.assert_allclose(session.run(z), want, 1e-6)


def test_operators_of_one_operand_and_of_bools():
    p, q = gp.constant([True, True, False]), gp.constant([True, False, False])
    x = gp.constant([-1.0, 2.0])
    got = gp.Session().run([p & q, p | q, p ^ q, ~p, True & p, -x, abs(x)])
    want = [[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [1, -2], [1, 2]]
    for g, w in zip(got, want, strict=True):
        np.testing.assert_array_equal(g, w)


def test_matmul_operator():
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    x, y = gp.constant(a), gp.constant(b)
    for z in (x @ y, a @ y, x @ b):
        np.testing.assert_array_equal(gp.Session().run(z), a @ b)


def test_the_table_is_legible():
    """An error case names what the message must hold."""
    for spec, bad in BAD:
        assert isinstance(bad, Bad) and bad.words, spec


@pytest.mark.parametrize("reduce", [gp.reduce_all, gp.reduce_any])
def test_truth_is_of_bools_alone(reduce):
    with pytest.raises(TypeError, match=r"(All|Any): .*must be bool, but is int32 \(at .*test_ops"):
        reduce([1, 0])


def test_old_names():
    assert gp.mul is gp.multiply and gp.sub is gp.subtract and gp.neg is gp.negative
    assert gp.mod is gp.floormod
    assert [f([1.5]).dtype.name for f in (gp.to_double, gp.to_int32, gp.to_int64)] == [
        "float64", "int32", "int64"]  # fmt: skip
    assert gp.to_float([1]).dtype is gp.float32


def test_leaky_relu_of_integers():
    got = gp.Session().run(gp.nn.leaky_relu([-2, 3], alpha=0.5))
    assert got.dtype == np.float32 and got.tolist() == [-1, 3]
