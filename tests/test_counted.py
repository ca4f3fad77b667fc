"""Loops within loops that count their trips: their gradients keep what the trips took."""

import numpy as np
import pytest
from test_control_flow import X, check_derivatives

import gradplan as gp

#: How an inner loop counts within trip ``j`` of the outer one, and whether the number of its trips
#: is known when a plan is bound.
COUNTS = {
    "below a constant": (0, lambda i, x, j: i < 4, 1, True),
    "in other steps": (1, lambda i, x, j: i < 8, 3, True),
    "to a constant": (2, lambda i, x, j: gp.less_equal(i, 5), 1, True),
    "not at all": (5, lambda i, x, j: i < 4, 1, True),
    "from below": (-3, lambda i, x, j: 0 > i, 2, True),
    "to the rows": (0, lambda i, x, j: i < gp.shape(x)[0], 1, True),
    "twice the rows": (0, lambda i, x, j: i < 2 * gp.shape(x)[0], 1, True),
    "to the outer counter": (0, lambda i, x, j: i < j, 1, False),
    "and looks": (0, lambda i, x, j: (i < 3) & (gp.reduce_sum(x) < 1e9), 1, False),
}


@pytest.fixture(autouse=True)
def graph():
    with gp.Graph().as_default() as g:
        yield g


def inner(how, x, j, most=None):
    start, goes_on, step, _ = COUNTS[how]

    def body(i, h):
        return i + step, gp.tanh(h) * 1.1 + x * 0.3

    return gp.while_loop(lambda i, h: goes_on(i, x, j), body, [start, x], maximum_iterations=most)[
        1
    ]


def outer(how, x, most=None):
    def body(j, h):
        return j + 1, inner(how, gp.sin(h), j, most)

    return gp.while_loop(lambda j, h: j < 3, body, [0, x])[1]


def scans(graph):
    """Whether some body of the graph has a scan in it."""
    bodies = [b for op in graph.get_operations() for b in op.attrs.get("bodies", ())]
    return any("Scan" in op.type for b in bodies for op in b.get_operations()) or any(
        scans(b) for b in bodies
    )


@pytest.mark.parametrize("optimize", [True, False])
@pytest.mark.parametrize("how", COUNTS)
def test_loops_within_loops(how, optimize):
    check_derivatives(
        lambda x: gp.reduce_sum(gp.sin(outer(how, x))), X / 3, gp.ConfigProto(optimize=optimize)
    )


@pytest.mark.parametrize("how", COUNTS)
def test_trips_are_counted_where_that_is_known(how, graph):
    x = gp.placeholder(gp.float64, [None, 2])
    y = outer(how, x)
    assert not scans(graph)
    gp.gradients(y, x)
    assert scans(graph) is COUNTS[how][-1]


@pytest.mark.parametrize("most", [0, 2, 9])
def test_maximum_iterations(most):
    check_derivatives(lambda x: gp.reduce_sum(gp.sin(outer("below a constant", x, most))), X / 3)


def test_a_number_of_trips_that_is_fed():
    x, n = gp.placeholder(gp.float64, X.shape), gp.placeholder(gp.int32, [])

    def trip(row):
        return gp.while_loop(lambda i, h: i < n, lambda i, h: (i + 1, h * row), [0, row])[1]

    dx = gp.gradients(gp.map_fn(trip, x), x)[0]
    step = gp.Session().make_callable(dx, [x, n])
    for trips in (3, 0, 1, 3):
        np.testing.assert_allclose(step(X, trips), (trips + 1) * X**trips, 1e-12)


def test_a_number_of_trips_of_another_type():
    x = gp.constant(X)
    n, start = gp.constant(2, gp.int64), gp.constant(0, gp.int64)

    def trip(row):
        return gp.while_loop(lambda i, h: i < n, lambda i, h: (i + 1, h * row), [start, row])[1]

    dx = gp.gradients(gp.map_fn(trip, x), x)[0]
    np.testing.assert_allclose(gp.Session().run(dx), 3 * X**2, 1e-12)
