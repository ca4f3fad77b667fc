"""csrc/control.c: plans with loops and conditionals, and those that are refused."""

import numpy as np
import pytest
from core_plan import Failed, Plan, same

from gradplan import _core

OPS = _core.tile_ops()


def tile_one(plan, op, out, *ins):
    operands = [*range(1, 1 + len(ins)), -1, -1][:3]
    plan.call("tile", [out], list(ins), [1, 0, OPS[op], 0, *operands])


def spans(plan, at, span):
    plan.insns[at]["span"] = span


def counting():
    """while i < n: i += 1"""
    plan = Plan()
    n, one = plan.input(np.int64(5)), plan.input(np.int64(1))
    zero = plan.input(np.int64(0))
    i, holds = plan.arena(np.int64, ()), plan.arena(np.bool_, ())
    plan.arena_bytes = 128
    plan.bufs[holds]["offset"] = 64
    trips, out = plan.output(np.int64, ()), plan.output(np.int64, ())
    tile_one(plan, "copy.i64", i, zero)
    plan.call("while_loop", [trips], [holds], [1, -1])
    tile_one(plan, "lt.i64", holds, i, n)
    tile_one(plan, "add.i64", i, i, one)
    tile_one(plan, "copy.i64", out, i)
    spans(plan, 1, 2)
    return plan


def scanning(reverse=0, n=3):
    """y = 2 x, row by row."""
    plan = Plan()
    xs = plan.input(np.arange(6, dtype=np.float32).reshape(3, 2))
    ys, trip = plan.output(np.float32, (3, 2)), plan.arena(np.int64, ())
    row, made = plan.arena(np.float32, (2,)), plan.arena(np.float32, (2,))
    plan.bufs[trip]["offset"], plan.bufs[row]["offset"], plan.bufs[made]["offset"] = 0, 64, 128
    plan.arena_bytes = 192
    plan.call("scan_loop", [ys, row, trip], [xs, made], [n, 1, reverse])
    tile_one(plan, "add.f32", made, row, row)
    spans(plan, 0, 1)
    return plan


def choosing(holds=True):
    plan = Plan()
    p, x = plan.input(np.bool_(holds)), plan.input(np.float32(3))
    out = plan.output(np.float32, ())
    plan.call("if_else", [], [p], [1])
    tile_one(plan, "neg.f32", out, x)
    tile_one(plan, "square.f32", out, x)
    spans(plan, 0, 2)
    return plan


def test_they_run():
    out = counting().run()
    assert (out[0], out[1]) == (5, 5)
    for reverse in (0, 1):
        same(scanning(reverse).run()[0], np.arange(0, 12, 2, dtype=np.float32).reshape(3, 2))
    assert choosing(True).run() == [-3.0] and choosing(False).run() == [9.0]


def test_the_most_trips():
    plan = counting()
    plan.attrs[plan.insns[1]["attr"] + 1] = 2
    assert plan.run() == [2, 2]


def test_rows():
    for index in (0, 2):
        plan = Plan()
        x, i = plan.input(np.arange(6.0).reshape(3, 2)), plan.input(np.int32(index))
        plan.call("read_row", [plan.output(np.float64, (2,))], [x, i])
        same(plan.run()[0], np.arange(6.0).reshape(3, 2)[index])
    for bad in (3, -1, 2**31 - 1):
        plan = Plan()
        x, i = plan.input(np.arange(6.0).reshape(3, 2)), plan.input(np.int32(bad))
        plan.call("read_row", [plan.output(np.float64, (2,))], [x, i])
        with pytest.raises(Failed) as caught:
            plan.run()
        assert caught.value.args[3:] == (bad, 3)


def set_attr(insn, at, value):
    return lambda p: p.attrs.__setitem__(int(p.insns[insn]["attr"]) + at, value)


MALFORMED = [
    (counting, "reach too far", lambda p: spans(p, 1, 4)),
    (counting, "too long", lambda p: spans(p, 1, -1)),
    (counting, "reach too far", lambda p: spans(p, 2, 2)),  # beyond what it belongs to
    (counting, "too long", set_attr(1, 0, 3)),
    (counting, "too long", set_attr(1, 0, -1)),
    (counting, "bool scalar", lambda p: p.args.__setitem__(int(p.insns[1]["arg"]) + 1, 0)),
    (counting, "int64 scalar", lambda p: p.args.__setitem__(int(p.insns[1]["arg"]), 4)),
    (counting, "wrong number of attributes", lambda p: p.insns[1].__setitem__("n_attr", 1)),
    (choosing, "too long", set_attr(0, 0, 3)),
    (choosing, "bool scalar", lambda p: p.args.__setitem__(0, 1)),
    (scanning, "shapes disagree", set_attr(0, 0, 4)),
    (scanning, "negative number of trips", set_attr(0, 0, -1)),
    (scanning, "wrong number of arguments", set_attr(0, 1, 3)),
    (scanning, "shapes disagree", set_attr(0, 1, 0)),
    (scanning, "an argument is missing", lambda p: p.args.__setitem__(1, -1)),
    (scanning, "int64 scalar", lambda p: p.args.__setitem__(2, 1)),
]  # fmt: skip


@pytest.mark.parametrize("build, words, harm", MALFORMED)
def test_malformed_plans_are_refused(build, words, harm):
    plan = build()
    harm(plan)
    with pytest.raises(ValueError, match=f"malformed plan.*{words}"):
        plan.build()


def test_too_deep():
    plan = Plan()
    p = plan.input(np.bool_(True))
    for _ in range(18):
        plan.call("if_else", [], [p], [0])
    for i in range(17):
        spans(plan, i, 17 - i)
    with pytest.raises(ValueError, match="nested too deep"):
        plan.build()
