"""The planner: on lifetimes drawn at random, and on plans of whole graphs."""

import numpy as np
import pytest
import test_random_graphs as random_graphs
from hypothesis import given, settings
from hypothesis import strategies as st

import gradplan as gp
from gradplan import _core, bind, memory, passes, schedule, tiling
from gradplan.dtypes import float32, float64
from gradplan.passes import extract
from gradplan.views import ARENA, EXTERN, Storage, View

ALIGN = memory.ALIGNMENT


def aligned(n):
    """What n bytes take; what is empty has an address of its own too."""
    return max(1, -(-n // ALIGN)) * ALIGN


def view(n, dtype=float32, segment=ARENA, name="s", **where):
    storage = Storage(name, n * dtype.size, segment, **where)
    return View(storage, dtype, (n,))


def insn(outs, ins, elementwise=False):
    code = tiling.single("neg.f32" if len(ins) == 1 else "add.f32", len(ins)) if elementwise else ()
    operands = range(len(outs), len(outs) + len(ins)) if elementwise else ()
    return bind.Insn("tile", outs, ins, code, None, operands)


def storages_of(insns):
    """The storages in the arena and the instructions that touch them, found the slow way."""
    touched = {}
    for i, one in enumerate(insns):
        for v in one.views:
            root = v.storage.root()
            if root.segment == ARENA:
                touched.setdefault(id(root), (root, set()))[1].add(i)
    return list(touched.values())


def check_layout(insns, peak, bound):
    """No two buffers that live at one time overlap; the peak is the end of the last one."""
    found = [(s, min(at), max(at)) for s, at in storages_of(insns)]
    for s, _, _ in found:
        assert s.offset % ALIGN == 0 and 0 <= s.offset and s.offset + s.bytes <= peak
    for k, (a, first, last) in enumerate(found):
        for b, begin, end in found[:k]:
            if first <= end and begin <= last and a.bytes and b.bytes:
                assert a.offset + a.bytes <= b.offset or b.offset + b.bytes <= a.offset
    for one in insns:  # nor do the results of one instruction, in whose place they be
        made = [v for v in one.outs if v is not None and v.size and v.dense]
        places = [(v.storage.root().segment, v.storage.start() + v.offset) for v in made]
        ends = [at + v.size * v.dtype.size for v, (_, at) in zip(made, places, strict=True)]
        arena = sorted((at, end) for (where, at), end in zip(places, ends, strict=True)
                       if where == ARENA)  # fmt: skip
        assert all(end <= start for (_, end), (start, _) in zip(arena, arena[1:], strict=False))
    live = [sum(aligned(s.bytes) for s, f, e in found if f <= i <= e) for i in range(len(insns))]
    assert bound == max(live, default=0) <= peak
    assert peak <= sum(aligned(s.bytes) for s, _, _ in found)


# ---- lifetimes -----------------------------------------------------------------------------------

intervals = st.lists(
    st.tuples(st.integers(0, 15), st.integers(0, 6), st.integers(0, 400)), min_size=1, max_size=30
)


@settings(max_examples=200)
@given(intervals)
def test_place(drawn):
    """Buffers (birth, further life, floats); one instruction a moment."""
    n = max(first + more for first, more, _ in drawn) + 1
    taken = [[] for _ in range(n)]
    for first, more, size in drawn:
        v = view(size)
        for i in {first, first + more}:
            taken[i].append(v)
    insns = [insn(views[:1], views[1:]) for views in taken]
    peak, bound = memory.place(insns)
    check_layout(insns, peak, bound)
    peak, bound = memory.place(insns, reuse=False)
    check_layout(insns, peak, bound)
    places = [s.offset for s, _ in storages_of(insns) if s.bytes]
    assert len(set(places)) == len(places)


@settings(max_examples=200)
@given(intervals)
def test_each_takes_the_smallest_gap_among_those_before_it(drawn):
    placed, want = [], []
    for first, more, size in drawn:
        among = sorted(
            (low, high) for low, high, f, e in placed if f <= first + more and first <= e
        )
        gaps, end = [], 0
        for low, high in among:
            if low - end >= size:
                gaps.append((low - end, end))
            end = max(end, high)
        want.append(min(gaps)[1] if gaps else end)
        placed.append((want[-1], want[-1] + size, first, first + more))
    firsts, mores, sizes = zip(*drawn, strict=True)
    lasts = [f + m for f, m in zip(firsts, mores, strict=True)]
    assert _core.place(sizes, firsts, lasts) == (want, max(high for _, high, _, _ in placed))


@pytest.mark.parametrize(
    "given, error",
    [
        (([1], [0], [0, 0]), ValueError),
        (([1], [], [0]), ValueError),
        (([[1]], [[0]], [[0]]), ValueError),
        (([-1], [0], [0]), ValueError),
        (([2**61] * 2, [0] * 2, [0] * 2), MemoryError),
        (([2**63], [0], [0]), OverflowError),
        ((["a"], [0], [0]), (TypeError, ValueError)),
    ],
)
def test_place_refuses_what_are_no_buffers(given, error):
    with pytest.raises(error):
        _core.place(*given)


def test_place_of_nothing():
    assert _core.place([], [], []) == ([], 0)
    assert memory.place([]) == (0, 0)
    assert memory.place([insn([view(3, segment=EXTERN)], [view(3, segment=EXTERN)])]) == (0, 0)


def test_place_reuses_the_smallest_gap_that_fits():
    a, b, c = view(100), view(10), view(100)
    insns = [insn([a], []), insn([b], [a]), insn([c], [b])]
    assert memory.place(insns) == (aligned(400) + aligned(40),) * 2
    assert a.storage.offset == c.storage.offset == 0


def test_views_keep_their_storage_alive():
    a = view(64)
    half = a.seen((32,), (1,), 32)
    b = view(64)
    insns = [insn([a], []), insn([b], [view(1, segment=EXTERN)]), insn([view(32)], [half])]
    memory.place(insns)
    assert a.storage.offset != b.storage.offset


# ---- in place ------------------------------------------------------------------------------------


def chain(make_out=lambda a: view(64), read_later=False, elementwise=True, look=lambda a: a):
    """a is made; out comes of it; perhaps a is read again. Returns whether out takes a's place."""
    a = view(64)
    out = make_out(a)
    insns = [insn([a], []), insn([out], [look(a)], elementwise), insn([view(1)], [out])]
    if read_later:
        insns.append(insn([view(1)], [a]))
    memory.alias(insns)
    check_layout(insns, *memory.place(insns))
    return out.storage.root() is a.storage


def test_a_result_takes_the_place_of_what_dies():
    assert chain()


@pytest.mark.parametrize(
    "case",
    [
        {"read_later": True},
        {"elementwise": False},
        {"make_out": lambda a: view(32)},
        {"make_out": lambda a: view(64, float64)},
        {"make_out": lambda a: view(64, segment=EXTERN)},
        {"look": lambda a: a.seen((64,), (-1,), 63)},
        {"look": lambda a: a.seen((64,), (0,))},
        {"look": lambda a: a.seen((8, 8), (1, 8))},
    ],
    ids=["read later", "not elementwise", "smaller", "another type", "fetched", "reversed",
         "repeated", "transposed"],
)  # fmt: skip
def test_a_result_takes_no_place(case):
    assert not chain(**case)


def test_another_look_at_what_dies_forbids_it():
    a, out = view(64), view(64)
    insns = [
        insn([a], []),
        insn([out], [a, a.seen((64,), (-1,), 63)], True),
        insn([view(1)], [out]),
    ]
    memory.alias(insns)
    assert out.storage.root() is not a.storage


def test_only_one_result_takes_a_place():
    a, b, c = view(64), view(64), view(64)
    insns = [insn([a], []), insn([b], [a], True), insn([c], [b], True), insn([view(1)], [c, b])]
    memory.alias(insns)
    check_layout(insns, *memory.place(insns))
    assert b.storage.root() is a.storage and c.storage.root() is c.storage


@pytest.mark.parametrize("read", ["both", "first", "second", "neither"])
def test_only_one_of_two_results_takes_a_place(read):
    """The other one does not, though nobody reads the first."""
    a, b, c = view(64), view(64), view(64)
    neg = tiling.single("neg.f32", 1)[2]
    steps = [(neg, to, of, -1, -1) for to, of in ((3, 2), (0, 3), (1, 3))]  # by way of a register
    both = bind.Insn("tile", [b, c], [a], (3, 1, *sum(steps, ())), None, [2])
    wanted = {"both": [b, c], "first": [b], "second": [c], "neither": []}[read]
    insns = [insn([a], []), both, insn([view(1)], wanted)]
    memory.alias(insns)
    check_layout(insns, *memory.place(insns))
    assert [b.storage.root(), c.storage.root()].count(a.storage) == 1


def test_sums_of_what_shares_a_tile_with_its_gradient():
    """The square, which only its mean takes, and the gradient are made of one thing that dies."""
    with gp.Graph().as_default():
        x, p = gp.placeholder(gp.float32, [None, 5]), gp.placeholder(gp.bool, [])
        w = gp.get_variable("w", [5, 1], initializer=gp.ones_initializer())
        kept = gp.get_variable("kept", [5], initializer=gp.zeros_initializer(), trainable=False)
        m = gp.reduce_mean(x, 0)

        def update():
            with gp.control_dependencies([kept.assign(m)]):
                return gp.identity(m)

        mean = gp.cond(p, update, lambda: m * 0.5)
        loss = gp.reduce_mean(gp.square(gp.matmul(x - mean, w) - 1.0))
        step = gp.train.AdamOptimizer().minimize(loss)
        feeds = {x: np.random.default_rng(0).standard_normal((64, 5)), p: True}
        found = []
        for optimise in (True, False):
            session = gp.Session(config=gp.ConfigProto(optimize=optimise))
            session.run(gp.global_variables_initializer())
            plan = session.plan([loss, step], feeds)
            check_layout(plan._insns, plan.arena_bytes, plan.live_bytes)
            found.append(session.run([loss, step], feeds)[0])
        np.testing.assert_allclose(*found, 1e-5)


def test_a_chain_runs_in_one_place():
    views = [view(64) for _ in range(10)]
    insns = [insn([views[0]], [])]
    insns += [insn([y], [x], True) for x, y in zip(views, views[1:], strict=False)]
    memory.alias(insns)
    assert memory.place(insns) == (256, 256)


# ---- whole graphs --------------------------------------------------------------------------------


def plan_of(graph, fetches, feeds, optimise=True):
    session = gp.Session(graph=graph, config=gp.ConfigProto(optimize=optimise))
    return session.plan(fetches, feeds)


@settings(max_examples=150)
@given(random_graphs.programs)
def test_random_graphs(steps):
    with gp.Graph().as_default() as graph:
        g = random_graphs.Drawing()
        for step in steps:
            g.step(*step)
        fetches = [v.tensor for v in g.pool[-3:]]
        feeds = {x: g.sample(x, random_graphs.BATCH) for x in g.feeds}
        for optimise in (True, False):
            plan = plan_of(graph, fetches, feeds, optimise)
            check_layout(plan._insns, plan.arena_bytes, plan.live_bytes)
            if not optimise:
                places = [s.offset for s, _ in storages_of(plan._insns) if s.bytes]
                assert len(set(places)) == len(places)
                total = sum(aligned(s.bytes) for s, _ in storages_of(plan._insns))
                assert plan.arena_bytes == total
                assert all(v.storage.target is None for i in plan._insns for v in i.views)


def training_step(layers=(64, 128, 64, 10), batch=32):
    """A classifier's step of Adam; the fetches and feeds."""
    x = gp.placeholder(gp.float32, [None, layers[0]])
    k = gp.placeholder(gp.int32, [None])
    h = x
    for i, (a, b) in enumerate(zip(layers, layers[1:], strict=False)):
        w = gp.get_variable(f"w{i}", [a, b], initializer=gp.glorot_uniform_initializer(seed=i))
        h = gp.matmul(h, w) + gp.get_variable(f"b{i}", [b], initializer=gp.zeros_initializer())
        h = gp.nn.relu(h) if i < len(layers) - 2 else h
    loss = gp.reduce_mean(gp.nn.sparse_softmax_cross_entropy_with_logits(labels=k, logits=h))
    step = gp.train.AdamOptimizer(0.01).minimize(loss)
    rng = np.random.default_rng(0)
    feeds = {x: rng.standard_normal((batch, layers[0])), k: rng.integers(0, layers[-1], batch)}
    return [loss, step], feeds


@pytest.mark.parametrize("batch", [1, 32, 333])
def test_training_step_is_near_its_bound(batch):
    fetches, feeds = training_step(batch=batch)
    plan = plan_of(gp.get_default_graph(), fetches, feeds)
    check_layout(plan._insns, plan.arena_bytes, plan.live_bytes)
    assert plan.arena_bytes <= 1.05 * plan.live_bytes, str(plan)
    plain = plan_of(gp.get_default_graph(), fetches, feeds, optimise=False)
    assert plan.arena_bytes < plain.arena_bytes / (2 if batch > 1 else 1)


def test_training_step_is_the_same_unoptimised():
    fetches, feeds = training_step()
    losses = []
    for optimise in (True, False):
        session = gp.Session(config=gp.ConfigProto(optimize=optimise))
        session.run(gp.global_variables_initializer())
        losses.append([session.run(fetches, feeds)[0] for _ in range(10)])
    np.testing.assert_allclose(*losses, rtol=2e-5)
    assert losses[0][-1] < losses[0][0]


def test_deep_net_keeps_no_more_than_its_activations():
    """Without gradients two layers are alive at a time, however many there are."""
    x = gp.placeholder(gp.float32, [100, 50])
    w = gp.Variable(np.eye(50, dtype=np.float32))
    h = x
    for _ in range(30):
        h = gp.tanh(gp.matmul(h, w))
    plan = plan_of(gp.get_default_graph(), gp.reduce_sum(h), {x: np.ones((100, 50))})
    assert plan.arena_bytes == plan.live_bytes <= 2 * aligned(100 * 50 * 4) + 64


def test_what_is_fetched_lies_in_no_arena():
    x = gp.placeholder(gp.float32, [1000])
    h = gp.exp(x)
    y = gp.reduce_max(h)
    assert plan_of(gp.get_default_graph(), [h, y], {x: np.ones(1000)}).arena_bytes == 0


def test_results_are_arrays_of_their_own():
    x = gp.placeholder(gp.float32, [4])
    views = [x, gp.identity(x), gp.reshape(x, [2, 2]), x[::-1], gp.transpose(gp.reshape(x, [2, 2]))]
    for optimise in (True, False):
        session = gp.Session(config=gp.ConfigProto(optimize=optimise))
        feed = np.arange(4, dtype=np.float32)
        out = session.run(views, {x: feed})
        for k, a in enumerate(out):
            assert a.flags.writeable and a.flags.c_contiguous
            assert not np.shares_memory(a, feed)
            assert not any(np.shares_memory(a, b) for b in out[:k])
        before = [a.copy() for a in out]
        session.run(views, {x: feed + 1})
        for a, b in zip(out, before, strict=True):
            np.testing.assert_array_equal(a, b)


def test_the_schedule_is_kept_by_the_layout():
    """Binding by hand, as a session does: the same plan each time."""
    fetches, feeds = training_step()
    tensors, targets = [fetches[0]], [fetches[1]]
    program = passes.optimise(extract.run(tensors, list(feeds), targets))
    session = gp.Session()
    texts = set()
    for _ in range(3):
        shapes = [np.shape(v) for v in feeds.values()]
        order = schedule.order(program)
        texts.add(str(bind.Binder(program, shapes, session, order, True).bind()))
    assert len(texts) == 1
