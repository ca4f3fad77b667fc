"""Steps of many variables by the same numbers are one instruction, and equal the steps apart."""

import numpy as np
import pytest
from core_plan import FLOATS, Failed, Plan, same

import gradplan as gp

rng = np.random.default_rng(3)
KERNELS = [("apply_gradient_descent", [0.1], 1), ("apply_momentum", [0.1, 0.9], 1),
           ("apply_adam", [0.9, 0.99, 0.01, 0.9, 0.99, 1e-8], 6)]  # fmt: skip
SHAPES = [(), (1,), (3, 5), (0, 4), (17,), (2, 3, 4), (40_000,), (100,), (30_001,)]


@pytest.mark.parametrize("nesterov", [0, 1])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_one_instruction_has_the_bits_of_many(isa, which, nesterov):
    kernel, numbers, at = KERNELS[which]
    attrs = [nesterov] if which else []
    for dtype in FLOATS:
        states = [
            [abs(rng.standard_normal(s)).astype(dtype) for _ in range(which + 1)] for s in SHAPES
        ]
        grads = [rng.standard_normal(s).astype(dtype) for s in SHAPES]
        grads[4][:3] = np.nan, np.inf, -np.inf
        found = []
        for joined in (True, False):
            plan = Plan()
            outs = [[plan.state(a) for a in state] for state in states]
            ins = [plan.input(g) for g in grads]
            scalars = [plan.input(np.array(v, dtype)) for v in numbers]
            if joined:
                given = [*scalars[:at], ins[0], *scalars[at:], *ins[1:]]
                plan.call(kernel, sum(outs, []), given, attrs)
            else:
                for out, grad in zip(outs, ins, strict=True):
                    plan.call(kernel, out, [*scalars[:at], grad, *scalars[at:]], attrs)
            plan.run()
            found.append(plan.states())
        for a, b in zip(*found, strict=True):
            same(a, b)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda plan, outs, ins: outs.pop(), "number of arguments"),
        (lambda plan, outs, ins: ins.pop(), "number of arguments"),
        (lambda plan, outs, ins: ins.append(ins[-1]), "number of arguments"),
        (lambda plan, outs, ins: outs.clear(), "number of arguments"),
        (lambda plan, outs, ins: ins.__setitem__(-1, ins[1]), "shapes disagree"),
        (lambda plan, outs, ins: outs.__setitem__(3, outs[0]), "shape"),
        (lambda plan, outs, ins: ins.__setitem__(0, ins[1]), "scalar"),
        (lambda plan, outs, ins: ins.__setitem__(-1, plan.input(np.zeros(4))), "dtype"),
        (lambda plan, outs, ins: outs.__setitem__(2, plan.state(np.zeros(4))), "dtype"),
        (lambda plan, outs, ins: ins.__setitem__(
            -1, plan.input(np.zeros(8, np.float32)[::2])), "contiguous"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused(change, reason):
    plan = Plan()
    outs = [plan.state(np.zeros(n, np.float32)) for n in (3, 3, 4, 4)]
    numbers = [plan.input(np.float32(0.1)) for _ in range(2)]
    grads = [plan.input(np.zeros(n, np.float32)) for n in (3, 4)]
    ins = [numbers[0], grads[0], numbers[1], grads[1]]
    change(plan, outs, ins)
    plan.call("apply_momentum", outs, ins, [0])
    with pytest.raises((ValueError, Failed), match=reason):
        plan.run()


def optimizers():
    return [gp.train.GradientDescentOptimizer(0.1), gp.train.MomentumOptimizer(0.1, 0.9),
            gp.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
            gp.train.AdamOptimizer(0.1), gp.train.RMSPropOptimizer(0.1),
            gp.train.AdagradOptimizer(0.1), gp.train.FtrlOptimizer(0.1)]  # fmt: skip


KINDS = ["fed", "clipped", "crossed", "own", "twice", "types", "computed", "shared", "parts",
         "fetched", "turned", "between"]  # fmt: skip


@pytest.mark.parametrize("which", range(7))
@pytest.mark.parametrize("kind", KINDS)
def test_steps_equal_the_unoptimised(which, kind, unoptimised):
    with gp.Graph().as_default():
        optimizer = optimizers()[which]
        values = [rng.standard_normal(4) for _ in range(5)]
        types = [np.float64 if kind == "types" and i % 2 else np.float32 for i in range(5)]
        variables = [
            gp.get_variable(f"v{i}", initializer=value.astype(dtype))
            for i, (value, dtype) in enumerate(zip(values, types, strict=True))
        ]
        feeds = [gp.placeholder(v.dtype, [4]) for v in variables]
        if kind == "clipped":
            grads, _ = gp.clip_by_global_norm(feeds, 0.5)
        elif kind == "crossed":  # the gradient of one is another one's value
            grads = [gp.identity(v) for v in [*variables[1:], variables[0]]]
        elif kind == "own":
            grads = [gp.identity(v) for v in variables]
        elif kind == "shared":
            grads = [gp.square(feeds[i // 2]) for i in range(5)]
        elif kind == "parts":
            grads = gp.unstack(gp.square(gp.stack(feeds)))
        elif kind == "turned":
            whole = gp.square(gp.reshape(feeds[0], [2, 2]))
            grads = [gp.reshape(gp.transpose(whole), [4]), *map(gp.square, feeds[1:])]
        elif kind in ("computed", "fetched"):
            grads = [f * v for f, v in zip(feeds, variables, strict=True)]
        elif kind == "between":  # each takes what the one before has written
            grads, step = [], gp.no_op()
            for f, v in zip(feeds, variables, strict=True):
                with gp.control_dependencies([step]):
                    step = optimizer.apply_gradients([(gp.square(f), v)])
                with gp.control_dependencies([step]):
                    grads.append(v * f)
        else:
            grads = feeds
        with gp.control_dependencies([step] if kind == "between" else []):
            step = optimizer.apply_gradients(list(zip(grads, variables, strict=True)))
        if kind == "twice":
            with gp.control_dependencies([step]):
                step = optimizer.apply_gradients(list(zip(grads, variables, strict=True)))
        fed = {f: rng.standard_normal(4) for f in feeds}
        found = []
        for config in (None, unoptimised):
            with gp.Session(config=config) as sess:
                sess.run(gp.global_variables_initializer())
                for _ in range(3):
                    fetched = sess.run([step, *(grads if kind == "fetched" else [])], fed)
                found.append([*sess.run(gp.global_variables()), *fetched[1:]])
        for a, b in zip(*found, strict=True):
            np.testing.assert_allclose(a, b, 1e-5, 1e-6)


def test_fed_gradients_make_one_instruction():
    with gp.Graph().as_default():
        variables = [gp.get_variable(f"v{i}", [i, 3]) for i in range(1, 101)]
        feeds = [gp.placeholder(gp.float32, v.shape) for v in variables]
        step = gp.train.AdamOptimizer().apply_gradients(list(zip(feeds, variables, strict=True)))
        sess = gp.Session()
        plan = sess.plan(step, {f: np.zeros(f.shape) for f in feeds})
        kernels = [insn.kernel for insn in plan._insns]
        assert kernels.count("apply_adam") == 1


def many(optimizer, sizes, gradient):
    """The step of variables of such sizes, each with a gradient made of a feed."""
    variables = [gp.get_variable(f"v{i}", [n]) for i, n in enumerate(sizes)]
    feeds = [gp.placeholder(gp.float32, v.shape) for v in variables]
    step = optimizer.apply_gradients(list(zip(gradient(feeds), variables, strict=True)))
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    return sess.plan(step, {f: np.ones(f.shape) for f in feeds}), variables, sess


@pytest.mark.parametrize("optimizer", [gp.train.AdamOptimizer, gp.train.RMSPropOptimizer])
def test_small_variables_are_one_run(optimizer):
    with gp.Graph().as_default():
        sizes = [3, 100, 1, 17, 64, 3, 9]
        made = optimizer(0.1)
        plan, variables, sess = many(made, sizes, lambda feeds: [gp.square(f) for f in feeds])
        steps = [i for i in plan._insns if i.op.type.startswith("Apply")]
        assert [v.dims for v in steps[0].outs] == [(sum(sizes),)] * len(steps[0].outs)
        assert len(steps) == 1 and steps[0].ins[-1].size in (1, sum(sizes))
        rest = [i for i in plan._insns if i.op.type in ("Mul", "Assign")]  # of Adam's powers
        assert plan.flops == sum(sizes) * (steps[0].op.opdef.flops + 1) + len(rest)
        assert "v4..v6 f32[197]" in str(plan)
        # Large alignments come first, so that none lies between two of them.
        places = sorted((sess.variable(v.op)[0], v.shape.num_elements()) for v in variables)
        assert all(a + 4 * n == b for (a, n), (b, _) in zip(places, places[1:], strict=False))
        assert [n for _, n in places] == [64, 100, 3, 1, 17, 3, 9]


def test_variables_and_slots_of_one_name_begin_on_cache_lines(monkeypatch):
    """As one variable as large as all would; and room for all variables is made at once."""
    made = []
    allocate = gp.Session._allocate
    monkeypatch.setattr(
        gp.Session, "_allocate", lambda self, placed: (made.append(placed), allocate(self, placed))
    )
    with gp.Graph().as_default():
        sizes, optimizer = [1000] * 9, gp.train.AdamOptimizer()
        plan, _, sess = many(optimizer, sizes, lambda feeds: [gp.square(f) for f in feeds])
        assert len(made[0]) == len(gp.global_variables())
        (step,) = [i for i in plan._insns if i.op.type == "ApplyAdam"]
        assert [(v.dims, v.storage.start() % 64) for v in step.outs] == [((9000,), 0)] * 3
        powers = [v for v in gp.global_variables() if "power" in v.name]
        assert [sess.variable(v.op)[0] % 4 for v in powers] == [0, 0]


def test_large_gradients_stay_where_they_are():
    with gp.Graph().as_default():
        rate = gp.train.RMSPropOptimizer(0.1)
        plan, _, _ = many(rate, [40_000, 8, 8], lambda feeds: [gp.square(f) for f in feeds])
        steps = [i for i in plan._insns if i.op.type.startswith("Apply")]
        assert sorted(i.outs[0].size for i in steps) == [16, 40_000]


def test_gradients_side_by_side_take_the_place_of_what_they_are_made_of():
    """Clipped gradients are written over the unclipped."""
    with gp.Graph().as_default():
        plan, _, _ = many(
            gp.train.GradientDescentOptimizer(0.1),
            [100] * 9,
            lambda feeds: gp.clip_by_global_norm([gp.exp(f) for f in feeds], 1.0)[0],
        )
        assert plan.arena_bytes == plan.live_bytes < 1.3 * 9 * 400
        assert [i.kernel for i in plan._insns].count("apply_gradient_descent") == 1
        assert plan._insns[-1].outs[0].size == 900


def test_steps_wait_no_longer_than_their_numbers_hold():
    with gp.Graph().as_default():
        sess = gp.Session()
        rate = gp.get_variable("rate", initializer=1.0, trainable=False)
        a, b = (gp.get_variable(name, initializer=np.zeros(3, np.float32)) for name in "ab")
        one = gp.placeholder(gp.float32, [3])
        first = gp.train.GradientDescentOptimizer(rate).apply_gradients([(one, a)])
        with gp.control_dependencies([first]):
            halved = rate.assign(rate * 0.5)
        with gp.control_dependencies([halved]):
            second = gp.train.GradientDescentOptimizer(rate).apply_gradients([(one, b)])
        sess.run(gp.global_variables_initializer())
        sess.run(second, {one: np.ones(3)})
        np.testing.assert_array_equal(sess.run([a, b]), [[-1] * 3, [-0.5] * 3])


def test_what_is_taken_after_a_step_is_new():
    with gp.Graph().as_default():
        sess = gp.Session()
        a, b = (gp.get_variable(name, initializer=np.ones(2, np.float32)) for name in "ab")
        one = gp.placeholder(gp.float32, [2])
        optimizer = gp.train.GradientDescentOptimizer(1.0)
        before = a * 10.0
        with gp.control_dependencies([before]):
            first = optimizer.apply_gradients([(one, a), (one, b)])
        with gp.control_dependencies([first]):
            after = gp.add_n([a * 10.0, one])
            seen = gp.py_func(lambda x: x + 1, [b.read_value()], gp.float32)
        sess.run(gp.global_variables_initializer())
        found = sess.run([before, after, seen, first, a], {one: np.ones(2)})
        np.testing.assert_array_equal(found[:3], [[10, 10], [1, 1], [1, 1]])


def test_steps_come_before_a_branch_that_was_chosen_when_it_was_planned():
    with gp.Graph().as_default():
        sess = gp.Session()
        a, b = (gp.get_variable(name, initializer=np.ones(3, np.float32)) for name in "ab")
        one, x = gp.placeholder(gp.float32, [3]), gp.placeholder(gp.float32, [None])
        step = gp.train.GradientDescentOptimizer(1.0).apply_gradients([(one, a), (one, b)])
        with gp.control_dependencies([step]):
            seen = gp.cond(gp.shape(x)[0] > 2, lambda: x + a[0], lambda: gp.concat([x, b], 0))
        sess.run(gp.global_variables_initializer())
        assert sess.run(seen, {one: np.ones(3), x: np.zeros(4)}).tolist() == [0.0] * 4
        assert sess.run(seen, {one: np.ones(3), x: [7.0]}).tolist() == [7.0, -1.0, -1.0, -1.0]


def test_steps_before_and_after_a_loop_stay_apart():
    with gp.Graph().as_default():
        sess = gp.Session()
        a, b, c = (gp.get_variable(name, initializer=np.ones(3, np.float32)) for name in "abc")
        optimizer = gp.train.GradientDescentOptimizer(1.0)
        one = gp.placeholder(gp.float32, [3])

        def body(i):
            with gp.control_dependencies([optimizer.apply_gradients([(one, b)])]):
                return i + 1

        with gp.control_dependencies([optimizer.apply_gradients([(one, a)])]):
            trips = gp.while_loop(lambda i: i < 4, body, [gp.constant(0)])
        with gp.control_dependencies([trips]):
            last = optimizer.apply_gradients([(one, c)])
        sess.run(gp.global_variables_initializer())
        sess.run(last, {one: np.ones(3)})
        found = sess.run([a, b, c])
        np.testing.assert_array_equal(found, [[0] * 3, [-3] * 3, [0] * 3])


def test_slots_of_one_name_lie_side_by_side():
    with gp.Graph().as_default():
        variables = [gp.get_variable(f"v{i}", [16]) for i in range(3)]
        loss = gp.add_n([gp.reduce_sum(gp.square(v)) for v in variables])
        optimizer = gp.train.AdamOptimizer()
        step = optimizer.minimize(loss)
        sess = gp.Session()
        sess.run(gp.global_variables_initializer())
        sess.run(step)
        for of in (lambda v: v, lambda v: optimizer.get_slot(v, "m"),
                   lambda v: optimizer.get_slot(v, "v")):  # fmt: skip
            places = [sess.variable(of(v).op)[0] for v in variables]
            assert np.diff(places).tolist() == [64, 64]
