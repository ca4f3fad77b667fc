"""gradplan._core's tile programs that are closed by sums."""

import numpy as np
import pytest
from core_plan import FLOATS, NAMES, Plan, same

from gradplan import _core

rng = np.random.default_rng(3)
OPS = _core.tile_ops()


@pytest.fixture(params=_core.isa_levels())
def isa(request):
    previous = _core.use_isa(request.param)
    yield request.param
    _core.use_isa(previous)


def blocks(n):
    return -(-n // _core.SUM_BLOCK)


def closed_plan(dtype, x, y, keep=True):
    """x + y, its sum and the mean of its square."""
    plan, name, shape = Plan(), NAMES[dtype], x.shape
    kept = [plan.output(dtype, shape)] if keep else []
    sums = [plan.output(dtype, ()) for _ in range(2)]
    apart = [plan.arena(dtype, (blocks(x.size),)) for _ in range(2)]
    outs = [*kept, *sums, *apart]
    ins = [plan.input(x), plan.input(y)]
    a, first_temp = len(outs), len(outs) + 2
    total = 0 if keep else first_temp
    square = first_temp + (0 if keep else 1)
    code = [2, 1 if keep else 2,
            OPS[f"add.{name}"], total, a, a + 1, -1,
            OPS[f"square.{name}"], square, total, -1, -1,
            total, 0, square, 1]  # fmt: skip
    plan.call("tile_sum", outs, ins, code)
    return plan


def separate(dtype, t):
    """The same by the reductions' own kernels."""
    plan = Plan()
    sums = [plan.output(dtype, (1,)) for _ in range(2)]
    plan.call("reduce_sum", sums[:1], [plan.input(t)])
    plan.call("reduce_mean", sums[1:], [plan.input(t * t)])
    return [r.reshape(()) for r in plan.run()]


@pytest.mark.parametrize("n", [0, 1, 5, 511, 512, 513, 1024, 1025, 5000, 70001, 300000])
def test_sums_have_the_bits_of_a_reduction(isa, n):
    for dtype in FLOATS:
        x, y = (rng.standard_normal(n).astype(dtype) for _ in range(2))
        with np.errstate(invalid="ignore"):
            want = separate(dtype, x + y)
        for threads in (1, 2, 3):
            for keep in (True, False):
                plan = closed_plan(dtype, x, y, keep)
                got = plan.build(threads=threads).run(tuple(plan.feeds))
                if keep:
                    same(got[0], x + y)
                for a, b in zip(got[-2:], want, strict=True):
                    same(np.asarray(a), b)


def test_sums_of_broadcast_and_strided_operands(isa):
    for dtype in FLOATS:
        x = rng.standard_normal((300, 70)).astype(dtype)[:, ::2]
        row = np.broadcast_to(rng.standard_normal(35).astype(dtype), x.shape)
        got = closed_plan(dtype, x, row).run()
        same(got[0], x + row)
        for a, b in zip(got[1:], separate(dtype, (x + row).ravel()), strict=True):
            same(np.asarray(a), b)


def small_plan():
    x = np.ones(4, np.float32)
    return closed_plan(FLOATS[0], x, x)


MALFORMED = {
    "length disagrees": lambda p: (p.attrs.append(0), p.insns[0].__setitem__("n_attr", 17)),
    "a tile program is expected": lambda p: p.attrs.__setitem__(0, -1),
    "operand of a sum is out of range": lambda p: p.attrs.__setitem__(12, 99),
    "bad number of sums": lambda p: p.attrs.__setitem__(0, 3),
    "a sum has the wrong dtype": lambda p: p.attrs.__setitem__(
        slice(7, 12), [OPS["lt.f32"], 7, 0, 5, -1]),
    "a tile operand is read before": lambda p: p.attrs.__setitem__(9, 1),
    "a tile operation writes an input": lambda p: p.attrs.__setitem__(8, 3),
    "a sum is a scalar": lambda p: p.args.__setitem__(1, p.args[0]),
    "too few blocks": lambda p: p.bufs[p.args[3]]["dims"].__setitem__(0, 0),
    "shapes disagree": lambda p: p.bufs[p.args[0]]["dims"].__setitem__(0, 3),
}  # fmt: skip


@pytest.mark.parametrize("message", MALFORMED)
def test_malformed_sums_are_refused(message):
    plan = small_plan()
    assert float(plan.run()[1]) == 8
    plan = small_plan()
    MALFORMED[message](plan)
    with pytest.raises(ValueError, match=f"malformed plan: .*{message}"):
        plan.build()


def test_whatever_is_changed_in_a_plan_with_sums_it_raises_or_runs():
    outcomes = set()
    for _ in range(2000):
        plan = small_plan()
        table = [plan.args, plan.attrs][rng.integers(2)]
        at = rng.integers(len(table))
        value = rng.choice([-1, 0, 1, 2, 3, 4, 5, 7, 16, 2**31 - 1, 2**62, -(2**63)])
        if table is plan.args:
            table[at] = np.int32(value & 0x7FFFFFFF if value > 0 else -1)
        else:
            table[at] = value
        try:
            plan.run()
            outcomes.add("ran")
        except ValueError as error:
            assert "malformed plan" in str(error)
            outcomes.add("refused")
    assert outcomes == {"ran", "refused"}
