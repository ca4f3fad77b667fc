"""Conditionals whose branches give results of different shapes."""

import numpy as np
import pytest

import gradplan as gp

UNOPTIMISED = gp.ConfigProto(optimize=False)
X = np.array([1.0, -2.0, 3.0])


@pytest.fixture(params=[None, UNOPTIMISED], ids=["optimised", "unoptimised"])
def config(request):
    return request.param


@pytest.fixture
def x():
    return gp.placeholder(gp.float64, [None])


def run(config, fetches, feed):
    sess = gp.Session(config=config)
    sess.run(gp.global_variables_initializer())
    return sess.run(fetches, feed)


def alike(found, wanted, rtol=1e-12):
    for a, b in zip(found, wanted, strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(a, b, rtol)


@pytest.mark.parametrize("given", [X, X[:1], X[:0]], ids=len)
@pytest.mark.parametrize("p", [True, False])
@pytest.mark.parametrize("q", [True, False])
def test_gradients_of_any_order(x, given, p, q, config):
    ps, qs = gp.placeholder(gp.bool, []), gp.placeholder(gp.bool, [])
    y = gp.cond(
        ps,
        lambda: gp.cond(qs, lambda: x**2, lambda: gp.concat([x, x**3], 0)),
        lambda: gp.reshape(gp.reduce_sum(x**4), [1]),
    )
    first = gp.gradients(y, x)[0]
    second = gp.gradients(first, x)[0]
    assert y.shape.as_list() == [None]
    if p and q:
        wanted = given**2, 2 * given, 2 + 0 * given
    elif p:
        wanted = np.concatenate([given, given**3]), 1 + 3 * given**2, 6 * given
    else:
        wanted = np.array([np.sum(given**4)]), 4 * given**3, 12 * given**2
    alike(run(config, [y, first, second], {x: given, ps: p, qs: q}), wanted)


@pytest.mark.parametrize("p", [True, False])
def test_of_different_ranks(p, config):
    x, ps = gp.placeholder(gp.float64, [3]), gp.placeholder(gp.bool, [])
    y = gp.cond(ps, lambda: x**2, lambda: gp.reshape(x, [3, 1]) * x)
    assert y.shape.ndims is None
    wanted = (X**2, 2 * X) if p else (np.outer(X, X), 2 * X.sum() * np.ones(3))
    alike(run(config, [y, gp.gradients(y, x)[0]], {x: X, ps: p}), wanted)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_predicate_that_the_run_computes(x, sign, config):
    given = X * sign
    y = gp.cond(gp.reduce_sum(x) > 0, lambda: gp.boolean_mask(x, x > 0) ** 2, lambda: x[:1])
    g = gp.gradients(gp.reduce_sum(y) * gp.cast(gp.size(y), gp.float64), x)[0]
    positive = given > 0
    if sign > 0:
        wanted = given[positive] ** 2, positive * 2 * given * positive.sum()
    else:
        wanted = given[:1], [1.0, 0.0, 0.0]
    alike(run(config, [y, g], {x: given}), wanted)


def test_in_the_trips_of_a_loop(x, config):
    def body(i, total):
        part = gp.cond(gp.equal(i % 2, 0), lambda: x * total, lambda: (x * total)[:1])
        return i + 1, total + gp.reduce_sum(part)

    _, y = gp.while_loop(lambda i, a: i < 3, body, [0, gp.constant(1.0, gp.float64)])
    # (1 + s)(1 + a)(1 + s) with the sum s and the first a of x
    s, a = X.sum(), X[0]
    slope = 2 * (1 + s) * (1 + a) + np.array([(1 + s) ** 2, 0, 0])
    alike(run(config, [y, gp.gradients(y, x)[0]], {x: X}), [(1 + s) ** 2 * (1 + a), slope])


@pytest.mark.parametrize("p", [True, False])
def test_in_a_loop_that_knows_the_predicate(x, p, config):
    ps = gp.placeholder(gp.bool, [])

    def body(i, total):
        part = gp.cond(ps, lambda: x * total, lambda: (x * total)[:1])
        return i + 1, total + gp.reduce_sum(part)

    _, y = gp.while_loop(lambda i, a: i < 3, body, [0, gp.constant(1.0, gp.float64)])
    t, one = (X.sum(), np.ones(3)) if p else (X[0], np.eye(3)[0])
    wanted = (1 + t) ** 3, 3 * (1 + t) ** 2 * one
    alike(run(config, [y, gp.gradients(y, x)[0]], {x: X, ps: p}), wanted)


def test_for_every_row(config):
    x = gp.placeholder(gp.float64, [None, None])

    def row(r):
        return gp.reduce_sum(gp.cond(r[0] > 0, lambda: r**2, lambda: r[1:] ** 3))

    y = gp.map_fn(row, x)
    given = np.stack([X, -X])
    wanted = [14.0, 8.0 - 27.0], np.stack([2 * X, [0, *(3 * X[1:] ** 2)]])
    alike(run(config, [y, gp.gradients(y, x)[0]], {x: given}), wanted)


@pytest.mark.parametrize("p", [True, False])
def test_only_the_chosen_branch_writes(x, p, config):
    ps, v = gp.placeholder(gp.bool, []), gp.Variable(np.float64(5.0))

    def add():
        with gp.control_dependencies([v.assign_add(gp.reduce_sum(x))]):
            return gp.identity(x)

    y = gp.cond(ps, add, lambda: x[:1])
    with gp.control_dependencies([y]):
        after = v.read_value()
    wanted = (X, 7.0) if p else (X[:1], 5.0)
    alike(run(config, [y, after], {x: X, ps: p}), wanted)


@pytest.mark.parametrize("given", [X, np.tile(X, 4)], ids=len)
def test_rows_that_only_some_trips_write(x, given, config):
    array = gp.TensorArray(gp.float64, size=0, dynamic_size=True)

    def body(i, k, rows):
        k, rows = gp.cond(x[i] > 0, lambda: (k + 1, rows.write(k, x[i] ** 2)), lambda: (k, rows))
        return i + 1, k, rows

    _, k, array = gp.while_loop(lambda i, k, a: i < gp.size(x), body, [0, 0, array])
    y = array.stack()
    positive = given > 0
    wanted = given[positive] ** 2, positive.sum(), positive * 2 * given
    alike(run(config, [y, k, gp.gradients(y, x)[0]], {x: given}), wanted)


def test_a_size_and_what_is_computed_beside_it(config):
    """What shapes follow from is known when a plan is bound, though a kernel takes it too."""
    n, v = gp.placeholder(gp.int32, []), gp.Variable(3)
    m = n // 2 + 1
    lengths = gp.placeholder(gp.int32, [3])
    dims = lengths * 2 + 1
    total = gp.reduce_sum(dims)
    fetches = [
        gp.range(m),
        gp.maximum(v, m) * 2,
        gp.zeros(dims),
        dims * v,
        gp.ones([total]),
        gp.maximum(total, v) + dims,
    ]
    wanted = [
        np.arange(4),
        8,
        np.zeros([3, 5, 1]),
        [9, 15, 3],
        np.ones(9),
        [12, 14, 10],
    ]
    alike(run(config, fetches, {n: 7, lengths: [1, 2, 0]}), wanted)
