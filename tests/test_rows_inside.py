"""Rows taken in branches and in loops: their gradients are IndexedSlices, and which rows these name
decides what optimizers change. The rules are TensorFlow 1's, the numbers NumPy's."""

import numpy as np
import pytest

import gradplan as gp

V, D = 7, 3
TABLE = np.random.default_rng(0).normal(size=(V, D))
IDS = np.array([[4, 2], [4, 4], [6, 1], [3, 5]])
ALL = set(range(V))


@pytest.fixture(params=[True, False], ids=["optimised", "unoptimised"])
def config(request):
    return gp.ConfigProto(optimize=request.param)


class Given:
    """The placeholders, and what programs and their oracles are made of."""

    def __init__(self, known):
        self.w = gp.Variable(TABLE)
        self.ids = gp.placeholder(gp.int32, [4, 2 if known else None])
        self.p = gp.placeholder(gp.bool, [4])
        self.n = gp.placeholder(gp.int32, [4])
        self.none = gp.zeros(gp.stack([gp.shape(self.ids)[1], D]), gp.float64)

    def rows(self, i):
        return gp.gather(self.w, self.ids[i])

    def loop(self, n, body):
        """The sum of ``body(i)`` for i < n."""
        return gp.while_loop(lambda i, s: i < n, lambda i, s: (i + 1, s + body(i)), [0, self.none])[
            1
        ]

    def taken(self, p, i):
        return gp.cond(p, lambda: self.rows(i), lambda: self.none)


#: name: the program; for (p, n) which rows of IDS it takes, in order; which rows count beside them.
PROGRAMS = {
    "cond": (
        lambda t: t.taken(t.p[0], 0),
        lambda p, n: [0] if p[0] else [],
        lambda p, n: set() if p[0] else ALL,
    ),
    "both": (
        lambda t: gp.cond(t.p[0], lambda: t.rows(0), lambda: t.rows(1) + t.rows(2)),
        lambda p, n: [0] if p[0] else [1, 2],
        lambda p, n: ALL,
    ),
    "beside": (
        lambda t: t.rows(1) + t.taken(t.p[0], 0),
        lambda p, n: [1, 0] if p[0] else [1],
        lambda p, n: set() if p[0] else ALL,
    ),
    "case": (
        lambda t: gp.case(
            [(t.p[0], lambda: t.none), (t.p[1], lambda: t.rows(1))], default=lambda: t.none
        ),
        lambda p, n: [1] if p[1] and not p[0] else [],
        lambda p, n: set() if p[1] and not p[0] else ALL,
    ),
    "cond in cond": (
        lambda t: gp.cond(
            t.p[0], lambda: t.taken(gp.reduce_all(t.p[1:3]), 0) + t.rows(2), lambda: t.none
        ),
        lambda p, n: ([0, 2] if p[1] and p[2] else [2]) if p[0] else [],
        lambda p, n: set() if p[0] and p[1] and p[2] else ALL,
    ),
    "cond in while": (
        lambda t: t.loop(t.n[0], lambda i: t.taken(t.p[i], i)),
        lambda p, n: [i for i in range(n[0]) if p[i]],
        lambda p, n: {0} if all(p[: n[0]]) else ALL,
    ),
    "cond in map": (
        lambda t: gp.reduce_sum(
            gp.map_fn(lambda x: t.taken(x[0], x[1]), (t.p, gp.range(4)), gp.float64), 0
        ),
        lambda p, n: [i for i in range(4) if p[i]],
        lambda p, n: {0} if all(p) else ALL,
    ),
    "map in cond": (
        lambda t: gp.cond(
            t.p[0],
            lambda: gp.reduce_sum(gp.map_fn(t.rows, gp.range(3), gp.float64), 0),
            lambda: t.none,
        ),
        lambda p, n: [0, 1, 2] if p[0] else [],
        lambda p, n: {0} if p[0] else ALL,
    ),
    "while in cond": (
        lambda t: gp.cond(t.p[0], lambda: t.loop(t.n[0], t.rows), lambda: t.none),
        lambda p, n: list(range(n[0])) if p[0] else [],
        lambda p, n: {0} if p[0] else ALL,
    ),
    "while in while": (
        lambda t: t.loop(3, lambda i: t.loop(t.n[i], t.rows)),
        lambda p, n: [j for i in range(3) for j in range(n[i])],
        lambda p, n: {0},
    ),
    "cond in while in while": (
        lambda t: t.loop(2, lambda i: t.loop(t.n[i], lambda j: t.taken(t.p[j], j))),
        lambda p, n: [j for i in range(2) for j in range(n[i]) if p[j]],
        lambda p, n: {0} if all([p[j] for i in range(2) for j in range(n[i])]) else ALL,
    ),
    "growing": (  # which has plans of its own
        lambda t: gp.reduce_sum(
            gp.reshape(
                gp.while_loop(
                    lambda i, s: i < t.n[0],
                    lambda i, s: (i + 1, gp.concat([s, t.rows(i)], 0)),
                    [0, t.none],
                    [gp.TensorShape([]), gp.TensorShape([None, D])],
                )[1],
                [-1, 2, D],
            ),
            0,
        ),
        lambda p, n: list(range(n[0])),
        lambda p, n: {0},
    ),
}


@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_steps(config, name, known):
    """The gradient, the rows that it names, and steps of momentum, which move what they name."""
    program, takes, beside = PROGRAMS[name]
    given, rng = Given(known), np.random.default_rng(1)
    weights = gp.placeholder(gp.float64, [2, D])
    optimizer = gp.train.MomentumOptimizer(0.5, 0.75)  # which float32 has exactly
    ((g, w),) = optimizer.compute_gradients(gp.reduce_sum(program(given) * weights))
    assert isinstance(g, gp.IndexedSlices) and g.dense_shape is not None
    step = optimizer.apply_gradients([(g, w)])
    value, accum = TABLE.copy(), np.zeros((V, D))
    with gp.Session(config=config) as sess:
        sess.run(gp.global_variables_initializer())
        for k in range(6):
            p, n = rng.integers(0, 3, 4) > 0 if k else np.ones(4, bool), rng.integers(0, 4, 4)
            x = rng.normal(size=(2, D))
            dense, named = np.zeros((V, D)), beside(p, n)
            for i in takes(p, n):
                np.add.at(dense, IDS[i], x)
                named = named | {*IDS[i]}
            feed = {given.ids: IDS, given.p: p, given.n: n, weights: x}
            found, whole = sess.run([g, gp.convert_to_tensor(g)], feed)
            assert {*found.indices} == named
            np.testing.assert_allclose(whole, dense, rtol=1e-12, atol=1e-12)
            sess.run(step, feed)
            at = sorted(named)
            accum[at] = 0.75 * accum[at] + dense[at]
            value[at] -= 0.5 * accum[at]
            np.testing.assert_allclose(sess.run(w), value, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["cond", "both", "cond in while", "while in while"])
@pytest.mark.parametrize("make", [gp.train.GradientDescentOptimizer, gp.train.AdamOptimizer])
def test_optimizers_to_which_other_rows_are_nothing(make, name):
    """They take what is less work, with the numbers of the whole gradient."""
    program, rng = PROGRAMS[name][0], np.random.default_rng(2)
    values = []
    for whole in (False, True):
        with gp.Graph().as_default(), gp.Session() as sess:
            given, optimizer = Given(True), make(0.1)
            ((g, w),) = optimizer.compute_gradients(gp.reduce_sum(gp.tanh(program(given))))
            g = gp.convert_to_tensor(g) if whole else g
            step = optimizer.apply_gradients([(g, w)])
            sess.run(gp.global_variables_initializer())
            rng = np.random.default_rng(2)
            for _ in range(5):
                feed = {given.p: rng.integers(0, 2, 4) > 0, given.n: rng.integers(0, 4, 4)}
                sess.run(step, {given.ids: IDS} | feed)
            values.append(sess.run(w))
    np.testing.assert_allclose(*values, rtol=1e-12)


@pytest.mark.parametrize(
    "base, method",
    [
        (gp.train.GradientDescentOptimizer, "_apply_sparse_duplicate_indices"),
        (gp.train.AdagradOptimizer, "_apply_sparse_duplicate_indices"),
        (gp.train.AdagradOptimizer, "_apply_sparse"),
        (gp.train.AdamOptimizer, "_apply_sparse"),
    ],
)
def test_an_optimizer_of_ones_own_gets_the_rows(base, method):
    seen = []

    def apply(self, grad, var):
        seen.append(grad)
        return gp.no_op()

    mine = type("Mine", (base,), {method: apply})
    mine(0.1).minimize(gp.reduce_sum(PROGRAMS["both"][0](Given(True))))
    assert len(seen) == 1 and isinstance(seen[0], gp.IndexedSlices)


def test_rows_of_a_branch_are_those_that_it_takes(config):
    """One by one, as TensorFlow gives them; the other branch gives zeros for them."""
    given = Given(True)
    loss = gp.reduce_sum(given.taken(given.p[0], 1) * [[1.0], [10.0]])
    (g,) = gp.gradients(loss, given.w)
    with gp.Session(config=config) as sess:
        sess.run(gp.global_variables_initializer())
        taken, other = [
            sess.run(g, {given.ids: IDS, given.p: [p] * 4, given.n: [0] * 4}) for p in (True, False)
        ]
    np.testing.assert_array_equal(taken.indices, [4, 4])
    np.testing.assert_array_equal(taken.values, [[1.0] * D, [10.0] * D])
    assert {*other.indices} == ALL and not other.values.any()


def test_a_branch_that_takes_the_whole():
    given = Given(True)
    y = gp.cond(given.p[0], lambda: given.rows(0), lambda: given.none + gp.reduce_sum(given.w))
    (g,) = gp.gradients(y, given.w)
    assert isinstance(g, gp.Tensor)
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for p, wanted in ((True, [0, 0, 1, 0, 1, 0, 0]), (False, [2 * D] * V)):
            found = sess.run(g, {given.ids: IDS, given.p: [p] * 4})
            np.testing.assert_array_equal(found, np.repeat(wanted, D).reshape(V, D))


def test_a_number_that_is_random():
    """The other branch draws too, and finds the same number."""
    given = Given(True)

    def some():
        drawn = gp.random_uniform([2]) < 0.5
        return gp.reduce_sum(gp.gather(given.w, gp.boolean_mask(given.ids[0], drawn)))

    (g,) = gp.gradients(gp.cond(given.p[0], some, lambda: gp.constant(0.0, gp.float64)), given.w)
    assert isinstance(g, gp.IndexedSlices)
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        fed = {given.ids: IDS, given.p: [True] * 4}
        found = [sess.run([g.values, g.indices], fed) for _ in range(40)]
        assert {len(values) for values, _ in found} == {0, 1, 2}
        assert all((values == 1).all() for values, _ in found)
        assert {i for _, indices in found for i in indices} == set(IDS[0])
        values, indices = sess.run([g.values, g.indices], {given.ids: IDS, given.p: [False] * 4})
        assert set(indices) == set(range(V)) and not values.any()


@pytest.mark.parametrize("size", [V, None])
def test_tables_of_unknown_size(config, size):
    """What is fed may be a table too: rows of it in a loop in a branch."""
    table = gp.placeholder(gp.float64, [size, D])
    p, n = gp.placeholder(gp.bool, []), gp.placeholder(gp.int32, [])
    zero = gp.zeros([D], gp.float64)

    def summed():
        start = [0, zero]
        return gp.while_loop(
            lambda i, s: i < n, lambda i, s: (i + 1, s + gp.gather(table, i)), start
        )[1]

    (g,) = gp.gradients(gp.cond(p, summed, lambda: zero), table)
    with gp.Session(config=config) as sess:
        for m in (0, 2):
            found = sess.run(g, {table: TABLE, p: True, n: m})
            np.testing.assert_array_equal(found.indices, [0, *range(m)])  # TensorFlow's row 0
            np.testing.assert_array_equal(found.values, [[0.0] * D, *np.ones((m, D))])
        found = sess.run(g, {table: TABLE, p: False, n: 3})
        assert set(found.indices) == set(range(V)) and not found.values.any()


@pytest.mark.parametrize("inside", ["cond", "map", "while"])
def test_parts_of_a_table(config, inside):
    """A negative index, of what another part holds, names no row."""
    parts = [gp.Variable(TABLE[k::3]) for k in range(3)]
    p = gp.placeholder(gp.bool, [])
    zero = gp.zeros([2, D], gp.float64)

    def rows(i):
        return gp.nn.embedding_lookup(parts, gp.gather(IDS, i))

    y = {
        "cond": lambda: gp.cond(p, lambda: rows(0), lambda: zero),
        "map": lambda: gp.map_fn(rows, np.array([0], np.int32), gp.float64),
        "while": lambda: gp.while_loop(
            lambda i, s: i < 1, lambda i, s: (i + 1, s + rows(i)), [0, zero]
        )[1],
    }[inside]()
    grads = gp.gradients(y, parts)
    assert all([isinstance(g, gp.IndexedSlices) for g in grads])
    first = {0} if inside != "cond" else set()
    with gp.Session(config=config) as sess:
        sess.run(gp.global_variables_initializer())
        found = sess.run(grads, {p: True})
        assert [{*f.indices} for f in found] == [first, first | {1}, first | {0}]
        assert [f.values.sum() for f in found] == [0, D, D]


def test_second_derivatives():
    """Of what a gradient gives, through a conditional and through a loop with one inside."""
    for name in ("cond", "cond in while"):
        with gp.Graph().as_default(), gp.Session() as sess:
            given = Given(True)
            y = gp.reduce_sum(PROGRAMS[name][0](given) ** 3)
            (g,) = gp.gradients(y, given.w)
            (h,) = gp.gradients(gp.convert_to_tensor(g), given.w)
            sess.run(gp.global_variables_initializer())
            ids = np.array([[4, 2], [3, 1], [6, 1], [3, 5]])
            feed = {given.ids: ids, given.p: [True] * 4, given.n: [1] * 4}
            wanted = np.zeros((V, D))
            wanted[[4, 2]] = 6 * TABLE[[4, 2]]
            np.testing.assert_allclose(sess.run(gp.convert_to_tensor(h), feed), wanted, rtol=1e-12)


@pytest.mark.parametrize("name", ["cond in while", "cond in map", "while in while", "case"])
@pytest.mark.parametrize("known", [True, False], ids=["known", "unknown"])
def test_nothing_runs_from_python_for_it(name, known):
    gp.gradients(PROGRAMS[name][0](Given(known)), gp.trainable_variables())

    def ops(graph):
        for op in graph.get_operations() if hasattr(graph, "get_operations") else graph._ops:
            yield op
            for body in op.attrs.get("bodies", ()):
                yield from ops(body)

    inside = [op for op in ops(gp.get_default_graph()) if "bodies" in op.attrs]
    assert inside and not any([op.attrs["stepped"] for op in inside])
    assert not any([op.attrs.get("settled") for op in inside])


@pytest.mark.parametrize("inside", ["cond", "while", "map"])
def test_a_table_without_rows(config, inside):
    """From which nothing is taken: it has no row 0 either."""
    table, n = gp.placeholder(gp.float64, [None, D]), gp.placeholder(gp.int32, [])
    zero = gp.zeros([D], gp.float64)

    def summed():
        return gp.while_loop(
            lambda i, s: i < n, lambda i, s: (i + 1, s + gp.gather(table, i)), [0, zero]
        )[1]

    y = {
        "cond": lambda: gp.cond(n < 1, summed, lambda: zero),
        "while": summed,
        "map": lambda: gp.map_fn(lambda i: gp.gather(table, i), gp.range(n), gp.float64),
    }[inside]()
    (g,) = gp.gradients(y, table)
    with gp.Session(config=config) as sess:
        for rows in (0, 1, 0):
            found = sess.run(g, {table: np.ones((rows, D)), n: 0})
            np.testing.assert_array_equal(found.indices, range(rows))
            np.testing.assert_array_equal(found.values, np.zeros((rows, D)))


def test_a_branch_that_guards_against_a_table_without_rows(config):
    x = gp.placeholder(gp.float64, [None, D])
    table = x * 2.0
    y = gp.cond(
        gp.shape(table)[0] > 0,
        lambda: gp.gather(table, [0, 0]),
        lambda: gp.zeros([2, D], gp.float64),
    )
    (g,) = gp.gradients(y, x)
    with gp.Session(config=config) as sess:
        np.testing.assert_array_equal(sess.run(g, {x: np.ones((2, D))}), [[4.0] * D, [0.0] * D])
        assert sess.run(g, {x: np.ones((0, D))}).shape == (0, D)


def test_many_tensors_on_the_way():
    """Of which each is two others: their gradients are sums of sums, which are not all told."""
    w = gp.Variable(np.ones((V, D)))
    table = gp.identity(w)
    for _ in range(2000):
        table = -table
    (g,) = gp.gradients(gp.gather(table, [1, 1]), w)
    assert isinstance(g, gp.IndexedSlices)
    for _ in range(6):
        table = table + table
    (whole,) = gp.gradients(gp.gather(table, [1, 1]), w)
    assert isinstance(whole, gp.Tensor)
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        np.testing.assert_array_equal(sess.run(g.values), np.ones((2, D)))
        assert sess.run(whole)[1, 0] == 2.0**7
