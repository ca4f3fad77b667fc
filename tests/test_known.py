"""What is known of sizes before any run: whatever is said to be known is what a run computes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gradplan as gp
from gradplan.known import assembled, constant_value, known_sizes

UNARY = (
    lambda a, k: -a,
    lambda a, k: gp.identity(a),
    lambda a, k: gp.cast(gp.cast(a, gp.int64), gp.int32),
    lambda a, k: gp.reduce_sum(a, keepdims=True),
    lambda a, k: gp.reduce_prod(a, keepdims=True),
    lambda a, k: gp.reduce_max(a, keepdims=True),
    lambda a, k: gp.reduce_min(a, keepdims=True),
    lambda a, k: a[k:],
    lambda a, k: a[::-1],
    lambda a, k: a[: -1 - k],
    lambda a, k: gp.slice(a, [0], [1]),
    lambda a, k: gp.gather(a, [0, 0]),
    lambda a, k: gp.gather(a, a.shape[0].value - 1)[None],
    lambda a, k: gp.reshape(gp.expand_dims(a, 0), [-1]),
    lambda a, k: gp.squeeze(gp.expand_dims(a, 1), [1]),
    lambda a, k: gp.stack([a[0], k]),
    lambda a, k: gp.stack(gp.unstack(a, num=1)) if a.shape.as_list() == [1] else a,
    lambda a, k: gp.fill([3], a[0]),
    lambda a, k: gp.broadcast_to(a[:1], [2]),
    lambda a, k: gp.range(a[0], a[0] + 2 * k, k + 1),
    lambda a, k: gp.identity_n([a, a * k])[1],
)
BINARY = (
    lambda a, b: a + b,
    lambda a, b: a - b,
    lambda a, b: a * b,
    lambda a, b: a[:1] // (b * b + 1),
    lambda a, b: a % (b[:1] * b[:1] + 1),
    gp.maximum,
    gp.minimum,
)


@given(
    steps=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9), st.integers(0, 1)), max_size=8)
)
@settings(max_examples=300)
def test_what_is_known_is_what_a_run_computes(steps):
    graph = gp.Graph()
    with graph.as_default():
        x = gp.placeholder(gp.float32, [None, 3], "x")
        made = [gp.shape(x), gp.constant([2, -3]), gp.constant([4])]
        for which, other, k in steps:
            a, b = made[other % len(made)], made[-1]
            rules = (*UNARY, *BINARY)
            rule = rules[which % len(rules)]
            if rule in UNARY and None in a.shape.as_list() or 0 in a.shape.as_list():
                continue
            if rule in BINARY:
                both = {*a.shape.as_list(), *b.shape.as_list()}
                if None in both or len(both - {1}) > 1:
                    continue
            try:
                made.append(rule(a, k if rule in UNARY else b))
            except ValueError:  # an index past a shorter vector
                continue
        with gp.Session() as sess:
            values = sess.run(made, {x: np.zeros((5, 3), np.float32)})
        for t, value in zip(made, values, strict=True):
            assert gp.TensorShape(value.shape).is_compatible_with(t.shape)
            sizes = known_sizes(t)
            if sizes is None:
                continue
            assert len(sizes) == value.size
            for known, v in zip(sizes, value.ravel(), strict=True):
                assert known in (None, v), t
            exact = constant_value(t)
            if exact is not None:
                assert exact.dtype == value.dtype and exact.tolist() == value.tolist()


def test_arithmetic_that_wraps_around_or_divides_by_zero_is_not_known():
    big = gp.constant([2**31 - 1, 1])
    assert known_sizes(big + 1) == (None, 2)
    assert known_sizes(gp.cast(big, gp.int64) + 1) == (2**31, 2)
    assert known_sizes(gp.cast(gp.constant([300], gp.int64), gp.uint8)) == (None,)
    assert known_sizes(big // [0, 1]) == (None, 1)
    assert known_sizes(big % [0, 1]) == (None, 0)


def test_sums_and_products_of_nothing():
    none = gp.constant(np.zeros(0, np.int32))
    assert known_sizes(gp.reduce_sum(none)) == (0,)
    assert known_sizes(gp.reduce_prod(none)) == (1,)
    assert known_sizes(gp.reduce_max(none)) == (None,)
    assert known_sizes(none * 2) == ()


def test_floats_and_matrices_are_not_looked_at():
    assert known_sizes(gp.constant([1.5]) * 2.0) is None
    assert known_sizes(gp.constant([[1, 2]])) is None
    assert known_sizes(gp.cast(gp.constant([np.nan]) * 2.0, gp.int32)) is None
    assert known_sizes(gp.constant(np.zeros(65, np.int32))) is None


def test_a_long_chain_is_given_up():
    t = gp.constant(1)
    for _ in range(5000):
        t = t + t
    assert known_sizes(t) is None
    assert gp.zeros([2, t]).shape.as_list() == [2, None]


def test_a_long_chain_has_its_value_when_a_plan_is_bound():
    x = gp.placeholder(gp.float32, [None, 3])

    def counted(n):
        for _ in range(1500):
            n = n + 1 - 1
        return n

    y = gp.zeros([counted(gp.shape(x)[0]), 2])
    grown = gp.while_loop(
        lambda i, a: i < 3,
        lambda i, a: (i + 1, gp.zeros([counted(gp.shape(a)[0]) + 1, 2])),
        [0, gp.zeros([1, 2])],
        [gp.TensorShape([]), gp.TensorShape([None, 2])],
    )[1]
    assert y.shape.as_list() == [None, 2]
    with gp.Session() as sess:
        assert sess.run(y, {x: np.zeros((5, 3))}).shape == (5, 2)
        assert sess.run(grown).shape == (4, 2)


@pytest.mark.parametrize("n", [2, 3])
def test_a_feed_takes_the_place_of_what_was_known(n):
    two = gp.constant(2)
    twice = two * 2
    x = gp.ones([twice, 3])
    tiled = gp.tile(x, [two, 1])
    assert x.shape == (4, 3) and tiled.shape == (8, 3)
    with gp.Session() as sess:
        assert sess.run(x).shape == (4, 3)
        assert sess.run(x, {two: n}).shape == (2 * n, 3)
        assert sess.run(x, {twice: n}).shape == (n, 3)
        assert sess.run(tiled, {twice: n}).shape == (2 * n, 3)


def test_static_shapes_of_what_is_known_in_part():
    x = gp.placeholder(gp.float32, [None, 3])
    n = gp.shape(x)[0]
    assert gp.tile(x, [1, n]).shape.as_list() == [None, None]
    assert gp.tile(gp.ones([1, 3]), [n, 2]).shape.as_list() == [None, 6]
    assert gp.tile(x, [n, 0]).shape.as_list() == [None, 0]
    assert gp.pad(x, [[0, 5 - n], [1, 1]]).shape.as_list() == [None, 5]
    assert gp.pad(x, gp.zeros([2, 2], gp.int32)).shape.as_list() == [None, None]
    assert gp.pad(x, gp.stack([[0, 1], [1, 0]], 1)).shape.as_list() == [None, None]
    assert gp.reshape(x, [n // 2, -1]).shape.as_list() == [None, None]
    assert gp.scatter_nd([[0]], gp.ones([1, 3]), [n, 3]).shape.as_list() == [None, 3]
    assert gp.sparse_to_dense([[0, 0]], [n, 3], 1.0).shape.as_list() == [None, 3]


def test_assembled_asks_for_values_of_the_inputs_alone():
    a = gp.placeholder(gp.int32, [])
    t = gp.stack([a, a + 1])
    asked = []

    def value(x):
        asked.append(x)
        return np.array(5, np.int32) if x is a else constant_value(x)

    assert assembled(t, (2,), value).tolist() == [5, 6]
    assert t not in asked
