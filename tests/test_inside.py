"""Variables, gradients and optimizers inside loops and conditionals, and arrays out of branches."""

import numpy as np
import pytest
from specs import numerical

import gradplan as gp

UNOPTIMISED = gp.ConfigProto(optimize=False)
X = np.array([1.0, 2.0, 3.0])


@pytest.fixture(params=[None, UNOPTIMISED], ids=["optimised", "unoptimised"])
def config(request):
    return request.param


def session(config):
    sess = gp.Session(config=config)
    sess.run(gp.global_variables_initializer())
    return sess


OPTIMIZERS = {
    "descent": lambda: gp.train.GradientDescentOptimizer(0.05),
    "momentum": lambda: gp.train.MomentumOptimizer(0.05, 0.9),
    "adagrad": lambda: gp.train.AdagradOptimizer(0.05),
    "adadelta": lambda: gp.train.AdadeltaOptimizer(0.05),
    "rmsprop": lambda: gp.train.RMSPropOptimizer(0.05, centered=True),
    "adam": lambda: gp.train.AdamOptimizer(0.05),
    "ftrl": lambda: gp.train.FtrlOptimizer(0.05),
    "adamw": lambda: gp.train.AdamWOptimizer(0.01, 0.05),
    "lamb": lambda: gp.train.LAMBOptimizer(0.05),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_in_a_loop_equals_training_step_by_step(name, config):
    """Two layers and rows of a table: what one step writes, the same step reads backwards."""
    rng = np.random.default_rng(5)
    x = gp.placeholder(gp.float64, [3])
    w1 = gp.get_variable("w1", initializer=rng.standard_normal((3, 4)))
    w2 = gp.get_variable("w2", initializer=rng.standard_normal((4, 1)))
    table = gp.get_variable("table", initializer=rng.standard_normal((5, 3)))
    count = gp.train.create_global_step()
    variables = [w1, w2, table]

    def loss():
        rows = gp.nn.embedding_lookup(table, [1, 1, 3])
        hidden = gp.tanh(gp.matmul(rows * x, w1))
        return gp.reduce_sum(gp.square(gp.matmul(hidden, w2) - 1.0))

    inside = OPTIMIZERS[name]()

    def body(i):
        step = inside.minimize(loss(), global_step=count)
        with gp.control_dependencies([step]):
            return i + 1

    loop = gp.while_loop(lambda i: i < 6, body, [gp.constant(0)])
    assert not gp.get_collection(gp.GraphKeys.TRAIN_OP)
    step = OPTIMIZERS[name]().minimize(loss())
    sess = session(config)
    before = sess.run(variables)
    assert sess.run(loop, {x: X}) == 6
    found = sess.run(variables)
    assert sess.run(count) == 6
    sess.run(gp.global_variables_initializer())
    for _ in range(6):
        sess.run(step, {x: X})
    for a, b, first in zip(found, sess.run(variables), before, strict=True):
        np.testing.assert_allclose(a, b, 1e-12)
        assert not np.array_equal(a, first)


def test_a_step_in_a_branch(config):
    x, p = gp.placeholder(gp.float32, [3]), gp.placeholder(gp.bool, [])
    v = gp.get_variable("v", initializer=np.ones(3, np.float32))
    averages = gp.train.ExponentialMovingAverage(0.5)

    def train():
        loss = gp.reduce_sum(gp.square(v - x))
        with gp.control_dependencies([gp.train.GradientDescentOptimizer(0.25).minimize(loss)]):
            return averages.apply([v])

    step = gp.cond(p, train, gp.no_op)
    sess = session(config)
    sess.run(step, {x: X, p: False})
    np.testing.assert_array_equal(sess.run(v), 1.0)
    sess.run(step, {x: X, p: True})
    np.testing.assert_array_equal(sess.run(v), [1.0, 1.5, 2.0])
    np.testing.assert_array_equal(sess.run(averages.average(v)), [1.0, 1.25, 1.5])


def test_a_trip_reads_what_the_trips_before_wrote(config):
    v = gp.get_variable("v", initializer=1.0)

    def body(i):
        with gp.control_dependencies([gp.assign(v, v * 2.0)]):
            return i + 1

    before = gp.identity(v)
    loop = gp.while_loop(lambda i: i < 5, body, [gp.constant(0)])
    sess = session(config)
    assert sess.run([before, loop]) == [1.0, 5]
    assert sess.run(v) == 32.0


def test_gradients_of_variables_that_are_read_inside(config):
    v, p = gp.get_variable("v", initializer=np.float64(3.0)), gp.placeholder(gp.bool, [])
    one = gp.constant(1.0, gp.float64)

    def squared(a):
        return gp.while_loop(lambda j, b: j < 2, lambda j, b: (j + 1, b * v), [0, a])[1]

    nested = gp.while_loop(
        lambda i, a: i < 2,
        lambda i, a: (i + 1, squared(a)),
        [0, one],
    )[1]  # v^4
    ys = [
        gp.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * v.read_value()), [0, one])[1],
        gp.cond(p, lambda: v.read_value() ** 2, lambda: gp.constant(0.0, gp.float64)),
        gp.scan(lambda a, e: a * v + e, gp.constant([1.0, 2.0], gp.float64), initializer=one),
        nested,
    ]
    firsts = [gp.gradients(y, v)[0] for y in ys]
    seconds = [gp.gradients(g, v)[0] for g in firsts]
    got = session(config).run([firsts, seconds], {p: True})
    # v^3, v^2, (v + 1) + (v^2 + v + 2), v^4 at 3
    np.testing.assert_allclose(got, [[27, 6, 8, 108], [18, 2, 2, 108]])


def test_gradients_inside_of_what_is_around(config):
    x = gp.placeholder(gp.float64, [3])
    rows = gp.map_fn(lambda i: gp.gradients((x * x * x)[i], x)[0], gp.range(3), dtype=gp.float64)

    def body(i, total):
        y = gp.reduce_sum(x**3) * gp.cast(i + 1, gp.float64)
        return i + 1, total + gp.gradients(y, x)[0]

    total = gp.while_loop(lambda i, a: i < 2, body, [0, gp.zeros([3], gp.float64)])[1]
    unrelated = []

    def other(i):
        unrelated.append(gp.gradients(gp.cast(i, gp.float64), x)[0])
        return i + 1

    gp.while_loop(lambda i: i < 2, other, [0])
    assert unrelated == [None]
    got = session(config).run([rows, total, gp.gradients(total, x)[0]], {x: X})
    np.testing.assert_allclose(got[0], np.diag(3 * X**2))
    np.testing.assert_allclose(got[1], 9 * X**2)
    np.testing.assert_allclose(got[2], 18 * X)


def test_a_jacobian_by_map_fn(config):
    x = gp.placeholder(gp.float32, [3])
    y = x * x * x[0]
    rows = gp.map_fn(lambda i: gp.gradients(y[i], x)[0], gp.range(3), dtype=gp.float32)
    got, want = session(config).run([rows, gp.jacobian(y, x)], {x: X})
    np.testing.assert_allclose(got, want, rtol=1e-6)


def test_collections_are_those_of_the_graph():
    v = gp.get_variable("v", [2])
    seen = []

    def branch():
        seen.append(gp.trainable_variables())
        gp.add_to_collection("mine", 3)
        return gp.constant(1)

    gp.cond(gp.constant(True), branch, lambda: gp.constant(0))
    assert seen == [[v]] and gp.get_collection("mine") == [3]


@pytest.mark.parametrize("dynamic", [False, True])
def test_arrays_out_of_branches(dynamic, config):
    x, p = gp.placeholder(gp.float64, [3]), gp.placeholder(gp.bool, [])
    array = gp.TensorArray(gp.float64, 0 if dynamic else 2, dynamic_size=dynamic)
    more, scale = gp.cond(
        p,
        lambda: (array.write(0, x).write(1, 2.0 * x), x[0]),
        lambda: (array.write(0, x * x), x[1]),
    )
    rows = more.stack()
    sess = session(config)
    got = sess.run([rows, more.size()], {x: X, p: True})
    np.testing.assert_array_equal(got[0], [X, 2 * X])
    assert got[1] == 2
    got = sess.run([rows, more.size()], {x: X, p: False})
    np.testing.assert_array_equal(got[0], [X * X] if dynamic else [X * X, 0 * X])
    assert got[1] == (1 if dynamic else 2)
    if not dynamic:
        slope = gp.gradients(gp.reduce_sum(rows) * scale, x)[0]
        np.testing.assert_allclose(sess.run(slope, {x: X, p: True}), [3 + 18, 3, 3])
        np.testing.assert_allclose(sess.run(slope, {x: X, p: False}), 4 * X + [0, 14, 0])


def test_an_array_that_some_trips_write(config):
    x = gp.placeholder(gp.float64, [3])

    def body(i, a):
        row = x * gp.cast(i, gp.float64)
        return i + 1, gp.cond(gp.equal(i % 2, 0), lambda: a.write(i, row), lambda: a)

    first = gp.TensorArray(gp.float64, 5, element_shape=[3])
    rows = gp.while_loop(lambda i, a: i < 5, body, [0, first])[1].stack()
    slope = gp.gradients(gp.reduce_sum(gp.square(rows)), x)[0]
    got = session(config).run([rows, slope], {x: X})
    np.testing.assert_array_equal(got[0], np.outer([0, 0, 2, 0, 4], X))
    np.testing.assert_allclose(got[1], 40 * X)


def test_new_arrays_of_branches():
    x, p = gp.placeholder(gp.float32, [3]), gp.placeholder(gp.bool, [])
    new = gp.TensorArray(gp.float32, 2)
    rows = gp.cond(p, lambda: new.write(1, x), lambda: new).stack()
    assert rows.shape.as_list() == [2, 3]
    sess = gp.Session()
    np.testing.assert_array_equal(sess.run(rows, {x: X, p: False}), np.zeros((2, 3)))
    unknown = gp.placeholder(gp.float32, [None])
    with pytest.raises(ValueError, match=r"new TensorArray.*\(\?,\).*element_shape"):
        gp.cond(p, lambda: new.write(1, unknown), lambda: new)
    with pytest.raises(TypeError, match="output 0 is a TensorArray of one"):
        gp.cond(p, lambda: x, lambda: new)
    ints = gp.TensorArray(gp.int32, 2, element_shape=[])
    floats = gp.TensorArray(gp.float32, 2, element_shape=[])
    with pytest.raises(ValueError, match="same type: int32, float32"):
        gp.cond(p, lambda: ints, lambda: floats)


def test_functions_of_what_is_around_build_inside(config):
    """Whether they enter its graph or its name scopes themselves, as the caller may."""
    x = gp.constant([3.0, 4.0], name="x")
    graph = gp.get_default_graph()
    made = []

    def body(i, total):
        step = gp.cast(i, gp.float32)
        with graph.as_default() as same, graph.name_scope("own"):
            y = gp.clip_by_norm(x, step) + graph.get_tensor_by_name("x:0") * step
        made.append(y.op.name)
        assert same is graph and gp.get_default_graph() is not graph
        again = gp.get_default_graph().get_tensor_by_name("x:0")
        assert gp.get_default_graph().as_graph_element(again) is x
        return i + 1, total + y + again

    total = gp.while_loop(lambda i, a: i < 3, body, [0, gp.zeros([2])])[1]
    assert made[0].endswith("own/add")
    got = session(config).run(total)
    np.testing.assert_allclose(got, X[1:] * 0 + [3 * 6 + 1.8, 4 * 6 + 2.4], 1e-6)


def test_another_graph_inside(config):
    def body(i):
        with gp.Graph().as_default() as other:
            y = gp.constant(2) * 3
            assert y.graph is other and gp.Session().run(y) == 6
        return i + 1

    assert session(config).run(gp.while_loop(lambda i: i < 3, body, [0])) == 3


def test_what_is_inside_waits_for_what_is_around(config):
    v, p = gp.get_variable("v", initializer=1.0), gp.placeholder(gp.bool, [])
    more = v.assign_add(2.0)

    def read():
        with gp.control_dependencies([more]):
            return v.read_value()

    def body(i, total):
        return i + 1, total + gp.cond(p, read, lambda: 0.0)

    once = gp.cond(p, read, lambda: 0.0)
    loop = gp.while_loop(lambda i, a: i < 3, body, [0, 0.0])[1]
    sess = session(config)
    assert sess.run([once, loop], {p: True}) == [3.0, 9.0]
    assert sess.run(v) == 3.0
    assert sess.run(loop, {p: False}) == 0.0 and sess.run(v) == 5.0  # as in TensorFlow 1


def test_derivatives_read_variables_when_what_they_are_of_did(config):
    v, p = gp.get_variable("v", initializer=1.0), gp.placeholder(gp.bool, [])
    zero, one, count, rows = (gp.constant(c) for c in (0.0, 1.0, 0, [0.0, 0.0]))
    with gp.control_dependencies([v.assign_add(2.0)]):
        branch = gp.cond(p, lambda: v.read_value() ** 2, lambda: zero)
        loop = gp.while_loop(
            lambda i, a: i < 2, lambda i, a: (i + 1, a * v.read_value()), [count, one]
        )[1]
        folded = gp.foldl(lambda a, e: a * v.read_value(), rows, initializer=one)
    for y in (branch, loop, folded):
        g = gp.gradients(y, v, one)[0]
        sess = session(config)
        assert sess.run([y, g], {p: True}) == [9.0, 6.0]
        sess.run(v.initializer)
        assert sess.run(g, {p: True}) == 6.0


def test_the_structure_that_a_body_returns(config):
    """TensorFlow 1 gives back that of the body, not that of the loop variables."""
    pair = gp.while_loop(lambda i, a: i < 2, lambda i, a: (i + 1, a), [0, {"b": 1.0}])
    kept = gp.while_loop(lambda i, a: i < 2, lambda i, a: [i + 1, a], (0, 1.0))
    assert type(pair) is tuple and type(pair[1]) is dict and type(kept) is list
    assert session(config).run(pair) == (2, {"b": 1.0})


# ---- rows of a table around a loop ---------------------------------------------------------------


def by_while(table, at):
    steps = gp.shape(at)[0]
    return gp.while_loop(
        lambda i, s: i < steps,
        lambda i, s: (i + 1, gp.sin(s) * gp.gather(table, at[i]) + s),
        [0, gp.ones([2, 2], gp.float64)],
    )[1]


LOOPS = {
    "while": by_while,
    "map": lambda t, at: gp.map_fn(lambda i: gp.square(gp.gather(t, i)), at, gp.float64),
    "scan": lambda t, at: gp.scan(
        lambda s, i: gp.sin(s) * gp.nn.embedding_lookup(t, i), at, gp.ones([2, 2], gp.float64)
    ),
    "fold": lambda t, at: gp.foldr(
        lambda s, i: s * gp.gather(-t, i), at, gp.ones([2, 2], gp.float64)
    ),
    "two": lambda t, at: gp.map_fn(
        lambda i: gp.gather(t, i) * gp.gather_nd(t, [[i[0]], [1]]), at, gp.float64
    ),
    "loop in a loop": lambda t, at: gp.map_fn(
        lambda row: gp.map_fn(lambda i: gp.square(gp.gather(t, i)), row, gp.float64), at, gp.float64
    ),
    "sparse": lambda t, at: gp.map_fn(
        lambda i: gp.square(
            gp.nn.embedding_lookup_sparse(
                t, gp.SparseTensor([[0, 0], [0, 1]], i, [1, 2]), None, max_norm=1.5
            )
        ),
        at,
        gp.float64,
    ),
}
TABLE = np.random.default_rng(5).uniform(0.4, 1.4, (5, 2))
AT = np.array([[3, 1], [1, 3], [3, 3]], np.int32)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("how", LOOPS)
def test_rows_taken_in_a_loop_have_slices_for_their_gradient(config, how, known):
    table = gp.placeholder(gp.float64, [5, 2] if known else [None, None])
    at = gp.placeholder(gp.int32, [3, 2] if known else [None, 2])
    y = gp.reduce_sum(gp.cos(LOOPS[how](table, at)))
    (first,) = gp.gradients(y, table)
    assert isinstance(first, gp.IndexedSlices)
    whole = gp.convert_to_tensor(first)
    size = gp.reduce_sum(gp.square(whole))
    second = gp.convert_to_tensor(gp.gradients(size, table)[0])
    with session(config) as sess:
        for rows in (AT, AT[::-1] if known or how == "while" else AT[:0]):
            given = {table: TABLE, at: rows}
            slices, dense, twice = sess.run([first, whole, second], given)
            # row 0, of zeros, stands first as in TensorFlow 1
            assert slices.indices[0] == 0 and not slices.values[0].any()
            assert set(slices.indices) == {0, *rows.ravel()}
            assert slices.dense_shape.tolist() == [5, 2]
            by_hand = np.zeros((5, 2))
            np.add.at(by_hand, slices.indices, slices.values)
            np.testing.assert_allclose(dense, by_hand, 1e-12, 1e-12)
            for got, f in [(dense, y), (twice, size)]:
                run = sess.make_callable(f, [table, at])
                want = numerical(lambda v, run=run, rows=rows: run(v, rows), TABLE)
                np.testing.assert_allclose(got, want, 1e-6, 1e-8)


@pytest.mark.parametrize(
    "body",
    [
        lambda t, i: gp.gather(t, i) * gp.reduce_sum(t),
        lambda t, i: gp.gather(t, i, axis=1),
        lambda t, i: gp.gather(gp.square(t), i),
        lambda t, i: gp.cond(i > 1, lambda: gp.gather(t, i), lambda: t[0]),
        lambda t, i: gp.boolean_mask(t, t > 0.0)[i] + gp.gather(t, i),  # it has plans of its own
    ],
)
def test_where_more_than_rows_is_taken_in_a_loop_the_gradient_is_a_tensor(config, body):
    table, at = gp.placeholder(gp.float64, [2, 2]), gp.constant([1, 0, 1])
    y = gp.reduce_sum(gp.square(gp.map_fn(lambda i: body(table, i), at, gp.float64)))
    (g,) = gp.gradients(y, table)
    assert isinstance(g, gp.Tensor)
    with session(config) as sess:
        want = numerical(lambda v: sess.run(y, {table: v}), TABLE[:2])
        np.testing.assert_allclose(sess.run(g, {table: TABLE[:2]}), want, 1e-6, 1e-8)


def test_a_table_without_rows_that_no_trip_takes(config):
    table, at = gp.placeholder(gp.float64, [None, 2]), gp.placeholder(gp.int32, [None])
    (g,) = gp.gradients(gp.map_fn(lambda i: gp.gather(table, i), at, gp.float64), table)
    with session(config) as sess:
        got = sess.run(gp.convert_to_tensor(g), {table: np.zeros((0, 2)), at: []})
        assert got.shape == (0, 2)


# ---- gradients taken inside, of what is computed outside -----------------------------------------


def _model():
    rng = np.random.default_rng(0)
    x = gp.constant(rng.standard_normal((3, 3)))
    w = gp.Variable(rng.standard_normal((3, 4)))
    e = gp.Variable(rng.standard_normal((5, 3)))
    h = gp.tanh(gp.matmul(x + gp.nn.embedding_lookup(e, [1, 3, 1]), w))
    return w, e, h, gp.reduce_mean(gp.square(h))


INSIDE = {
    "outside": lambda w, e, h, loss: (loss, [w, e]),
    "mixed": lambda w, e, h, loss: (gp.reduce_sum(gp.exp(loss) * h * w[0, 0]), [w, e]),
    "several": lambda w, e, h, loss: ([loss * 2.0, h, w], [w, e]),
    "intermediate": lambda w, e, h, loss: (loss * loss, [h, w]),
    "second": lambda w, e, h, loss: (gp.reduce_sum(gp.gradients(loss, w)[0] ** 2), [w, e]),
}


@pytest.mark.parametrize("case", INSIDE)
@pytest.mark.parametrize("deep", [False, True])
def test_gradients_of_what_is_computed_around(case, deep, config):
    """As outside, in a conditional, in one within another, and in a loop."""
    model = _model()
    chosen = gp.placeholder(gp.bool, [])

    def inside():
        ys, xs = INSIDE[case](*model)
        return [gp.convert_to_tensor(dx) for dx in gp.gradients(ys, xs)]

    zeros = lambda: [gp.zeros_like(t) for t in want]  # noqa: E731
    want = inside()
    branch = (lambda: gp.cond(model[3] > 0.0, inside, zeros)) if deep else inside
    got = gp.cond(chosen, branch, zeros)
    body = lambda i, *sums: (i + 1, *[s + d for s, d in zip(sums, inside(), strict=True)])  # noqa: E731
    looped = gp.while_loop(lambda i, *_: i < 3, body, [0, *zeros()])[1:]
    again = gp.gradients(gp.reduce_sum(got[0] ** 2), model[0])[0]
    wanted = gp.gradients(gp.reduce_sum(want[0] ** 2), model[0])[0]
    sess = session(config)
    found, expected = sess.run([[*got, again], [*want, wanted]], {chosen: True})
    for g, t in zip(found, expected, strict=True):
        np.testing.assert_allclose(g, t, rtol=1e-10, atol=1e-12)
    for g, t in zip(sess.run(looped), expected, strict=False):
        np.testing.assert_allclose(g, 3 * t, rtol=1e-10, atol=1e-12)
    assert not any(t.any() for t in sess.run(got, {chosen: False}))


def test_a_conditional_trains_what_is_computed_around():
    w, e, _, loss = _model()
    chosen = gp.placeholder(gp.bool, [])
    optimizer = gp.train.MomentumOptimizer(0.5, 0.9)
    train = gp.cond(chosen, lambda: gp.group(optimizer.minimize(loss)), gp.no_op)
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        before = sess.run([w, e, loss])
        sess.run(train, {chosen: False})
        for a, b in zip(before, sess.run([w, e, loss]), strict=True):
            np.testing.assert_array_equal(a, b)
        for _ in range(20):
            sess.run(train, {chosen: True})
        assert sess.run(loss) < 0.5 * before[2]


def test_a_gradient_stops_where_it_is_told_to_outside():
    w, _, h, _ = _model()
    out = gp.cond(
        gp.placeholder_with_default(True, []),
        lambda: gp.gradients(h * gp.sin(h), w, stop_gradients=[h])[0] is None,
        lambda: gp.constant(False),
    )
    assert session(None).run(out)


def test_a_gradient_through_a_loop_around_is_refused():
    v = gp.Variable(2.0)
    y = gp.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * v), [0, v])[1]
    with pytest.raises(ValueError, match=r"through .*While.*computed outside.*test_inside.py:"):
        gp.cond(v > 0.0, lambda: gp.gradients(y, v)[0], lambda: v)
