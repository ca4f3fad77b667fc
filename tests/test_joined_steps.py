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
            gp.train.AdamOptimizer(0.1), gp.train.RMSPropOptimizer(0.1)]  # fmt: skip


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("kind", ["fed", "clipped", "crossed", "own", "twice", "types"])
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
        else:
            grads = feeds
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
                    sess.run(step, fed)
                found.append(sess.run(gp.global_variables()))
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
