"""Chains of plans (pyx/chain.pxi): what they hand on, and what Python may pass to them."""

import numpy as np
import pytest

import gradplan as gp
from gradplan import _core
from gradplan.dtypes import int64


def plans(function, *given):
    """The plans of a function of arguments with these types and shapes."""
    with gp.Graph().as_default():
        feeds = [gp.placeholder(*g) for g in given]
        return gp.Session().make_callable(function(*feeds), feeds).compiled.executables


def chain(function, *given):
    """A chain of one call, with a value for each result after its arguments."""
    n = len(given)
    return _core.Chain(n, [], [_core.Call(range(n), [], plans(function, *given))])


def body(function, *given):
    return _core.Body(chain(function, *given), range(len(given)))


def array(value, dtype=np.int64):
    return np.array(value, dtype)


def run(links, args, *gives, rest=0):
    """What the links make of the values numbered ``gives``, all of them int64 vectors."""
    last = _core.Call(gives, [], plans(lambda *x: list(x), *[(int64, [None])] * len(gives)))
    made = _core.Chain(len(args), [None] * rest, [*links, last])
    executable, taken = made.bind(args)
    return [a.tolist() for a in executable.run(taken)]


NUMBER, ROW, ANY = (int64, []), (int64, [None]), (int64, None)
DOUBLED = ([0], [1], plans(lambda x: [gp.concat([x, x], 0)], ROW))


def test_what_a_link_makes_the_next_one_takes():
    again = _core.Call([1], [2], DOUBLED[2])
    links = [_core.Call(*DOUBLED), again]
    assert run(links, [array([1, 2])], 2, 0, rest=2) == [[1, 2] * 4, [1, 2]]
    # A result with a negative number is dropped.
    assert run([_core.Call([0], [-1], DOUBLED[2])], [array([3])], 0) == [[3]]
    host = _core.Host([0, 1], [1, 2], lambda values: [values[1] * 2, values[0]])
    assert run([_core.Call(*DOUBLED), host], [array([5])], 1, 2, rest=2) == [[10, 10], [5]]


@pytest.mark.parametrize("most", [-1, 0, 2])
@pytest.mark.parametrize("kept", [(True, True), (False, True)])
def test_while(most, kept):
    """It carries a number and all numbers so far; gives the square of the number and a copy."""
    asked = []

    def stack(number, rows):
        asked.append((number, [len(r) for r in rows]))
        return array([-len(rows)])

    less = body(lambda i, x: [gp.size(x, out_type=gp.int64) < 7], NUMBER, ROW)
    grow = body(lambda i, x: [i + 1, gp.concat([x, [i]], 0), i * i, x + 0], NUMBER, ROW)
    loop = _core.While([0, 1], [2, 3, 4, 5, 6], grow, 2, kept, stack, None, less, most)
    as_rows = _core.Host([2, 6], [2, 6], lambda values: [v.reshape(1) for v in values])
    trips = 5 if most < 0 else most
    got = run([loop, as_rows], [array(3), array([8, 9])], 2, 3, 4, 5, 6, rest=5)
    made = range(3, 3 + trips)
    squares = [i * i for i in made] if trips and kept[0] else [0]
    assert got == [[3 + trips], [8, 9, *made], squares, [-trips], [trips]]
    assert asked[-1] == (1, [*range(2, 2 + trips)])
    assert len(asked) == (1 if trips and kept[0] else 2)  # of no rows there is no single array
    assert loop.trip == max(trips - 1, 0)


def scan(stack, reverse=False, kept=(True, True)):
    """Carries all rows so far; gives the sum of the trip's number and row, and what it carried."""
    step = body(
        lambda at, x, row: [gp.concat([x, row], 0), gp.reduce_sum(row) + at], NUMBER, ROW, ROW
    )
    return _core.Scan([0, 1, 2], [3, 4, 5], step, 1, kept, stack, None, 1, reverse)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse):
    asked = []

    def stack(number, rows):
        asked.append((number, [len(r) for r in rows]))
        return array([len(rows)])

    rows = array([[1, 2], [3, 4], [5, 6]])
    got = run([scan(stack, reverse)], [array(9), array([0]), rows], 3, 4, 5, rest=3)
    order = rows[::-1] if reverse else rows
    assert got == [[0, *order.ravel().tolist()], [3, 8, 13], [3]]
    assert asked == [(1, [5, 3, 1] if reverse else [1, 3, 5])]  # no single array


def test_a_scan_keeps_what_is_asked_for_and_has_no_rows_without_trips():
    asked = []

    def stack(number, rows):
        asked.append((number, rows))
        return array([number])

    got = run(
        [scan(stack, kept=(True, False))], [array(0), array([7]), array([[1]])], 3, 4, 5, rest=3
    )
    assert got == [[7, 1], [1], [1]] and asked == [(1, [])]
    asked.clear()
    nothing = np.zeros((0, 2), np.int64)
    assert run([scan(stack)], [array(9), array([7]), nothing], 3, 4, 5, rest=3) == [[7], [0], [1]]
    assert asked == [(0, []), (1, [])]
    # Without rows, the first value says how many trips there are.
    count = body(lambda at, x: [x + 1, at], NUMBER, NUMBER)
    link = _core.Scan([0, 1], [2, 3], count, 1, (True,), stack, None, 0, False)
    as_rows = _core.Host([2], [2], lambda values: [values[0].reshape(1)])
    assert run([link, as_rows], [array(4), array(5)], 2, 3, rest=2) == [[9], [0, 1, 2, 3]]


def test_if():
    yes, no = body(lambda x: [x * 2], ROW), body(lambda x: [gp.concat([x, x], 0)], ROW)
    for predicate, want in ((True, [2]), (False, [1, 1])):
        link = _core.If([0, 1], [2], yes, no)
        assert run([link], [np.array(predicate), array([1])], 2, rest=1) == [want]


def test_the_plans_used_last_are_kept():
    made = []
    source = DOUBLED[2]

    def bind(args):
        made.append(len(args[0]))
        return source.find(args)

    weight = source.find((array([1]),)).weight
    assert 10_000 < weight < 20_000
    kept = _core.Plans(bind, (), 5 * weight)
    for n in (1, 2, 3, 4, 5, 1, 6, 1, 2):
        assert kept.find((np.zeros(n, np.int64),)) is kept.last
    assert made == [1, 2, 3, 4, 5, 6, 2] and len(kept) == 5
    # Four are kept however much they weigh.
    few = _core.Plans(bind, (), 0)
    made.clear()
    for n in (1, 2, 3, 4, 1, 2, 3, 5, 4, 1):
        few.find((np.zeros(n, np.int64),))
    assert made == [1, 2, 3, 4, 5, 4, 1] and len(few) == 4
    # With what shapes follow from, each value has a plan.
    valued = _core.Plans(bind, [0], 9)
    made.clear()
    for values in ([1, 2], [1, 2], [2, 1], [1, 2]):
        valued.find((array(values),))
    assert made == [2, 2]


@pytest.mark.parametrize(
    "make, error",
    [
        (lambda: _core.Chain(1, [], []), TypeError),
        (lambda: _core.Chain(1, [], [_core.Host([0], [], len)]), TypeError),
        (lambda: _core.Chain(1, [], [3]), TypeError),
        (lambda: _core.Chain(1, [], [_core.Call([1], [], DOUBLED[2])]), IndexError),
        (lambda: _core.Chain(1, [], [_core.Call([-1], [], DOUBLED[2])]), IndexError),
        (lambda: _core.Chain(1, [], [_core.Call(["a"], [], DOUBLED[2])]), TypeError),
        (lambda: _core.Call([0], [], None), TypeError),
        (lambda: _core.Body(None, []), TypeError),
        (lambda: _core.If([0], [], None, None), TypeError),
        (lambda: _core.Call(5, [], DOUBLED[2]), TypeError),
    ],
)  # fmt: skip
def test_malformed_chains_are_refused(make, error):
    with pytest.raises(error):
        make()


@pytest.mark.parametrize(
    "links, args, error",
    [
        ([_core.Call([0], [1], DOUBLED[2])], [array([1])], IndexError),  # there is no value 1
        ([_core.Call([0], [0, 0], DOUBLED[2])], [array([1])], ValueError),  # it makes but one
        ([_core.Call([0, 0], [0], DOUBLED[2])], [array([1])], ValueError),
        ([_core.Call([0], [0], DOUBLED[2])], [[1]], AttributeError),
        ([_core.Host([0], [0], lambda values: None)], [array([1])], TypeError),
        ([_core.Host([0], [0], tuple)], [array([1])], TypeError),
        ([_core.Host([0], [0], lambda values: [None])], [array([1])], AttributeError),
        ([_core.Link([0], [0])], [array([1])], TypeError),
        ([_core.If([0], [0], *[body(lambda: [gp.constant([1])])] * 2)], [array([1])], TypeError),
        ([_core.If([0], [0], *[body(lambda x: [x], ROW)] * 2)], [np.array(True)], IndexError),
        ([_core.Scan([0], [0], body(lambda x: [x], ROW), 0, (), len, None, 1, False)], [array(1)],
         (IndexError, TypeError)),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_in_the_run(links, args, error):
    with pytest.raises(error):
        run(links, list(args), 0)


@pytest.mark.parametrize(
    "stacks, error",
    [
        ([array([[1], [2]]), array([[1]])], IndexError),  # the second is shorter
        ([array([[1, 2], [3, 4]]), array([[1, 2], [3, 4]]).T], TypeError),
        ([[array([1])], array(3)], IndexError),
        ([[array([1]), array([2])], [array([1])]], IndexError),
        ([array(3), array([[1]])], TypeError),
        ([None, None], TypeError),
    ],
)
def test_what_has_no_such_rows_is_refused(stacks, error):
    step = body(lambda at, a, b: [gp.concat([a, b], 0)], NUMBER, ROW, ROW)
    link = _core.Scan([0, 1, 2], [3], step, 0, (True,), lambda i, rows: array([0]), None, 2, False)
    with pytest.raises(error):
        run([link], [array(0), *stacks], 3, rest=1)


def test_every_argument_is_given():
    made = chain(lambda x: [x], ROW)
    for args in ([], [array([1])] * 2):
        with pytest.raises(TypeError, match="1 arguments expected"):
            made.bind(args)


def test_an_executable_that_does_not_fit_is_refused():
    other = DOUBLED[2].find((array([1]),))
    for made in (None, other):
        with pytest.raises(TypeError, match="do not fit"):
            _core.Plans(lambda args, made=made: made, (), 1).find((array([1, 2]),))
    with pytest.raises(TypeError):
        _core.Plans(lambda args: 3, (), 1).find((array([1]),))


@pytest.mark.parametrize(
    "name", "Executable Callable Plans Call Host Chain Body If While Scan".split()
)
def test_nothing_is_half_made(name):
    kind = getattr(_core, name)
    with pytest.raises(TypeError):
        kind.__new__(kind)
