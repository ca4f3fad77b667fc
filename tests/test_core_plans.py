"""gradplan._core's plans, sessions and calls: what is refused, reported, put back."""

import threading

import numpy as np
import pytest
from core_plan import BUF, EXTERN, INSN, Failed, Plan, same, tile

from gradplan import _core

rng = np.random.default_rng(1)


@pytest.fixture(params=_core.isa_levels())
def isa(request):
    previous = _core.use_isa(request.param)
    yield request.param
    _core.use_isa(previous)


def small_plan():
    """x + 1 through the arena into a fetch, with a variable on the side."""
    plan = Plan()
    x, y, out = plan.input(np.ones(4, np.float32)), plan.arena(np.float32, (4,)), None
    out = plan.output(np.float32, (4,))
    plan.state(np.zeros(4, np.float32))
    add = [1, 0, _core.tile_ops()["add.f32"], 0, 1, 2, -1]
    plan.call("tile", [y], [x, x], add)
    plan.call("tile", [out], [y, x], add)
    return plan


MALFORMED = {
    "bad offset": lambda p: p.bufs[1].__setitem__("offset", -64),
    "outside its segment": lambda p: p.bufs[1].__setitem__("offset", 64),
    "not aligned": lambda p: p.bufs[1].__setitem__("offset", 2),
    "reaches outside": lambda p: p.bufs[1]["strides"].__setitem__(0, -1),
    "stride is too large": lambda p: p.bufs[1]["strides"].__setitem__(0, 1 << 62),
    "buffer is too large": lambda p: (
        p.bufs[1].__setitem__("rank", 3),
        p.bufs[1]["dims"].__setitem__(slice(3), [0, 1 << 40, 1 << 40])),
    "dim is negative": lambda p: p.bufs[1]["dims"].__setitem__(0, -4),
    "no such dtype": lambda p: p.bufs[1].__setitem__("dtype", 10),
    "bad rank": lambda p: p.bufs[1].__setitem__("rank", 9),
    "no such segment": lambda p: p.bufs[1].__setitem__("segment", 4),
    "no such slot": lambda p: p.bufs[0].__setitem__("slot", 2),
    "lies in a feed": lambda p: p.args.__setitem__(0, 0),
    "overlaps itself": lambda p: p.bufs[1]["strides"].__setitem__(0, 0),
    "no such kernel": lambda p: p.insns[0].__setitem__("kernel", 99),
    "bad number of arguments": lambda p: p.insns[0].__setitem__("n_in", -1),
    "arguments out of range": lambda p: p.insns[1].__setitem__("arg", 4),
    "no such buffer": lambda p: p.args.__setitem__(1, 4),
    "argument is missing": lambda p: p.args.__setitem__(0, -1),
    "attributes out of range": lambda p: p.insns[1].__setitem__("attr", 8),
    "bad number of attributes": lambda p: p.insns[1].__setitem__("n_attr", 1 << 60),
    "length disagrees": lambda p: p.attrs.__setitem__(0, 1 << 62),
    "too many temporaries": lambda p: p.attrs.__setitem__(1, 13),
    "no such tile operation": lambda p: p.attrs.__setitem__(2, 9999),
    "destination is out of range": lambda p: p.attrs.__setitem__(3, 5),
    "operand is out of range": lambda p: p.attrs.__setitem__(4, 5),
    "too many operands": lambda p: p.attrs.__setitem__(6, 1),
    "read before it is written": lambda p: p.attrs.__setitem__(4, 0),
    "writes an input": lambda p: p.attrs.__setitem__(3, 1),
    "operand has the wrong dtype": lambda p: p.attrs.__setitem__(2, _core.tile_ops()["add.i32"]),
    "output has the wrong dtype": lambda p: p.attrs.__setitem__(2, _core.tile_ops()["lt.f32"]),
    "shapes disagree": lambda p: p.bufs[1]["dims"].__setitem__(0, 3),
    "wrong number of attributes": lambda p: p.insns[0].__setitem__(
        "kernel", _core.kernels()["matmul"]),
    "wrong number of arguments": lambda p: p.insns[0].__setitem__(
        "kernel", _core.kernels()["softmax"]),
}  # fmt: skip


@pytest.mark.parametrize("message", MALFORMED)
def test_malformed_plan(message):
    plan = small_plan()
    assert (plan.run()[0] == 3).all()
    plan = small_plan()
    MALFORMED[message](plan)
    with pytest.raises(ValueError, match=f"malformed plan: .*{message}"):
        plan.build()


def test_random_plans_are_refused_or_run():
    """Whatever is changed in a plan, it raises or runs."""
    outcomes = set()
    for _ in range(3000):
        plan = small_plan()
        table = [plan.bufs, plan.insns, plan.args, plan.attrs][rng.integers(4)]
        at = rng.integers(len(table))
        value = rng.choice([-1, 0, 1, 2, 3, 4, 5, 7, 16, 2**31 - 1, 2**62, -(2**63)])
        if table is plan.args:
            table[at] = np.int32(value & 0x7FFFFFFF if value > 0 else -1)
        elif table is plan.attrs:
            table[at] = value
        else:
            record = table[at]
            field = rng.choice(record.dtype.names)
            if field in ("dims", "strides"):
                record[field][rng.integers(2)] = value
            else:
                record[field] = np.array(value).astype(record.dtype[field])
        try:
            plan.run()
            outcomes.add("ran")
        except ValueError as error:
            assert "malformed plan" in str(error)
            outcomes.add("refused")
        except (KeyError, Failed):  # no such Python function, not so many variables
            pass
    assert len(outcomes) == 2


def test_layout_is_checked():
    _core.check_layout(BUF, INSN)
    with pytest.raises(ImportError, match="gp_buf"):
        _core.check_layout(INSN, INSN)


def test_feeds_and_callable():
    plan = small_plan()
    exe = plan.build()
    x = np.ones(4, np.float32)
    for bad in [(), (x, x), (x.astype(float),), (x[:3],), (x[None],), (np.ones(8, "f4")[::2],),
                (x.astype(">f4"),), ([1, 1, 1, 1],)]:  # fmt: skip
        with pytest.raises(TypeError):
            exe.run(bad)
    bound = []

    def bind(args):
        bound.append(args)
        return exe, tuple(np.ascontiguousarray(a, np.float32) for a in args)

    for pack, unpack in [(None, lambda r: r[0]), (0, lambda r: r), (tuple, lambda r: r[0])]:
        f = _core.Callable(bind, pack, 1)
        assert f.executable is None
        same(unpack(f([1, 1, 1, 1])), 3 * x)
        assert f.executable is exe and len(bound) == 1
        same(unpack(f(x)), 3 * x)
        assert len(bound) == 1
        f.reset()
        assert f.executable is None
        bound.clear()
        with pytest.raises(TypeError, match="1 arguments expected"):
            f()
        with pytest.raises(TypeError):
            f(np.ones(3))
        bound.clear()


def test_state():
    state = _core.State()
    state.grow(100, 2)
    state.write(4, np.arange(8, dtype=np.uint8))
    state.set_flag(1)
    state.grow(10_000, 3)
    same(state.read(4, 8), np.arange(8, dtype=np.uint8))
    assert [state.get_flag(i) for i in range(3)] == [False, True, False]
    assert not state.read(12, 9988).any()
    for offset, n in [(-1, 1), (0, 10_001), (10_000, 1), (2**63 - 1, 1), (0, -1)]:
        with pytest.raises(ValueError):
            state.read(offset, n)
    with pytest.raises(ValueError):
        state.write(9_999, np.zeros(2, np.uint8))
    with pytest.raises(IndexError):
        state.get_flag(3)
    for n in (1 << 60, -1 << 60, 1 << 46):
        if n > 0:
            with pytest.raises(MemoryError):
                state.grow(n, 0)
    state.close()
    state.close()
    with pytest.raises(RuntimeError, match="closed"):
        state.read(0, 1)


def test_state_grows_bit_by_bit():
    """It has more room than it was asked for, and gives away only what it was asked for."""
    state = _core.State()
    for n in range(1, 3000, 7):
        state.grow(n, 0)
        assert state.nbytes == n and not state.read(max(n - 7, 0), min(n, 7)).any()
        state.write(n - 1, np.full(1, n % 251, np.uint8))
        for offset in (n, n - 1):
            with pytest.raises(ValueError):
                state.read(offset, 2)
    whole = state.read(0, state.nbytes)
    assert whole[::7].tolist() == [n % 251 for n in range(1, 3000, 7)]
    assert whole.sum() == whole[::7].sum()


def test_variables_are_needed_and_set():
    plan = small_plan()
    plan.needs, plan.sets = [2], [2, 3]
    exe = plan.build()
    feeds = tuple(plan.feeds)
    with pytest.raises(Failed) as error:
        exe.run(feeds)
    assert error.value.args[:2] == (-1, 2)
    plan.session.set_flag(2)
    exe.run(feeds)
    assert plan.session.get_flag(3)
    plan.session.close()
    with pytest.raises(RuntimeError, match="closed"):
        exe.run(feeds)


def test_host(isa):
    plan = Plan()
    x = plan.input(np.arange(6, dtype=np.float32).reshape(2, 3)[:, ::-1])
    y = plan.output(np.float64, (2,))
    plan.call("host", [y], [x])
    tiny = np.finfo(np.float32).tiny

    def function(a):
        assert a.flags.c_contiguous and a.flags.owndata and tiny / np.float32(2) > 0
        return [a.sum(1).astype(float)]

    plan.host = {0: function}
    exe = plan.build()
    same(exe.run(tuple(plan.feeds))[0], np.array([3.0, 12.0]))

    class Odd(BaseException):
        pass

    def raises(a):
        raise Odd

    def again(a):
        exe.run(tuple(plan.feeds))

    for function, error in [(raises, Odd), (again, RuntimeError), (lambda a: None, ValueError),
                            (lambda a: [a], TypeError), (lambda a: [np.zeros(3)], ValueError),
                            (lambda a: 3, TypeError)]:  # fmt: skip
        plan.host[0] = function
        with pytest.raises(error):
            exe.run(tuple(plan.feeds))
    assert np.float32(tiny) / np.float32(2) > 0


def test_denormals_are_flushed_inside_only(isa):
    tiny = np.full(100, np.finfo(np.float32).tiny, np.float32)
    assert not tile("mul.f32", np.float32, tiny, np.float32(0.5)).any()
    assert (tiny * np.float32(0.5)).all()


def test_blas_threads_are_put_back():
    from threadpoolctl import threadpool_info, threadpool_limits

    a = np.ones((300, 300), np.float32)
    seen = []
    plan = Plan()
    product, out = plan.arena(np.float32, (300, 300)), plan.output(np.float32, (300, 300))
    x = plan.input(a)
    plan.call("matmul", [product], [x, x])
    plan.call("host", [out], [product])

    def threads():
        return {i["filepath"]: i["num_threads"] for i in threadpool_info()}

    plan.host = {0: None, 1: lambda p: (seen.append(threads()), [p])[1]}
    exe = plan.build()
    with threadpool_limits(2):
        before = threads()
        same(exe.run((a,))[0], a @ a)
        assert threads() == before
        assert 1 in seen[0].values() or not before


def small_tile(shape=(4,), one_shape=(), n=None, ones=4):
    """x + one, in an instruction that is told that argument 2 is one for all."""
    plan = Plan()
    n = int(np.prod(shape)) if n is None else n
    out = plan.output(np.float32, shape)
    x = plan.input(np.arange(int(np.prod(shape)), dtype=np.float32).reshape(shape))
    one = plan.input(np.ones(one_shape, np.float32))
    where = plan.bufs[one]["slot"]
    strides = (0,) * len(shape) if one_shape == () else None
    spread = plan.buf(np.float32, shape, EXTERN, where, 0, strides)
    add = [1, 0, _core.tile_ops()["add.f32"], 0, 1, 2, -1]
    plan.call("tile_small", [out], [x, spread], [*add, n, ones])
    return plan


def test_small_tiles(isa):
    for shape in ((1,), (_core.SMALL_TILE,), (_core.SMALL_TILE - 1, 1)):
        n = int(np.prod(shape))
        same(small_tile(shape).run()[0], np.arange(1, n + 1, dtype=np.float32).reshape(shape))
    same(small_tile((4,), (4,), ones=0).run()[0], np.arange(1, 5, dtype=np.float32))


@pytest.mark.parametrize(
    "words, options",
    [
        ("bad number of elements", {"n": 3}),
        ("bad number of elements", {"shape": (0,)}),
        ("bad number of elements", {"shape": (_core.SMALL_TILE + 1,)}),
        ("bad mask", {"ones": 8}),
        ("bad mask", {"ones": -1}),
        ("bad mask", {"ones": 1}),
        ("not one for all", {"ones": 2}),
        ("not contiguous", {"ones": 0}),
    ],
)
def test_small_tiles_are_checked(words, options):
    with pytest.raises(ValueError, match=words):
        small_tile(**options).build()


def test_threads_share_a_session():
    plan = Plan()
    counter = plan.state(np.zeros(1000, np.int64))
    total = plan.output(np.int64, (1,))
    one = plan.input(np.ones((), np.int64))
    spread = plan.buf(np.int64, (1000,), EXTERN, plan.bufs[one]["slot"], 0, (0,))
    plan.call("tile", [counter], [counter, spread],
              [1, 0, _core.tile_ops()["add.i64"], 0, 1, 2, -1])  # fmt: skip
    plan.call("reduce_sum", [total], [counter])
    exe = plan.build()
    results = [[], [], [], []]

    def work(mine):
        for _ in range(500):
            mine.append(int(exe.run(tuple(plan.feeds))[0][0]))

    threads = [threading.Thread(target=work, args=(r,)) for r in results]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert sorted(sum(results, [])) == [1000 * (i + 1) for i in range(2000)]
    assert all(r == sorted(r) for r in results)
