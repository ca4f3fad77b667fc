"""gradplan._core's pool of threads: the same bits for any number, forks, sessions side by side."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from core_plan import CAST, FLOATS, Failed, Plan, same

from gradplan import _core

rng = np.random.default_rng(1)
OPS = _core.tile_ops()


@pytest.fixture(params=_core.isa_levels())
def isa(request):
    previous = _core.use_isa(request.param)
    yield request.param
    _core.use_isa(previous)


def broadcast(plan, number, shape, strides):
    """Another look at a buffer."""
    record = plan.bufs[number].copy()
    record["rank"] = len(shape)
    record["dims"][: len(shape)], record["strides"][: len(shape)] = shape, strides
    plan.bufs.append(record)
    return len(plan.bufs) - 1


def large_plan(dtype, m=300, k=130, n=500):
    """One of everything that is cut into tasks."""
    name = {4: "f32", 8: "f64"}[dtype.itemsize]

    def state(*shape):
        return plan.state(rng.standard_normal(shape).astype(dtype))

    plan = Plan()
    x = plan.input(rng.standard_normal((m, k)).astype(dtype))
    w, bias = state(k, n), state(n)
    row = broadcast(plan, bias, (m, n), (0, 1))
    h, dh, dw = (plan.output(dtype, s) for s in ((m, n), (m, n), (k, n)))
    sums, total = plan.output(dtype, (n,)), plan.output(dtype, (1, 1))
    means, p = plan.output(dtype, (m, 1)), plan.output(dtype, (m, n))
    add, relu, tanh = (OPS[f"{op}.{name}"] for op in ("add", "relu", "tanh"))
    plan.call("matmul_map", [h, sums], [x, w, row],
              [2, 1, add, 3, 1, 2, -1, relu, 0, 3, -1, -1])  # fmt: skip
    plan.call("tile", [dh], [h, row], [2, 1, add, 3, 1, 2, -1, tanh, 0, 3, -1, -1])
    plan.call("matmul", [dw], [broadcast(plan, x, (k, m), (1, k)), dh])
    plan.call("matmul_sum", [plan.output(dtype, (m, n))], [x, w] * 4)
    plan.call("reduce_sum", [total], [dh])
    plan.call("reduce_mean", [means], [dh])
    plan.call("softmax", [p], [dh])
    numbers = [plan.state(np.array(v, dtype)) for v in (0.9, 0.99, 0.01, 0.9, 0.99, 1e-8)]
    moments = [plan.state(np.full((k, n), 0.1, dtype)) for _ in range(2)]
    plan.call("apply_adam", [w, *moments], [*numbers, dw], [0])
    more = [plan.state(np.full((k, n), 0.1, dtype)) for _ in range(3)]
    plan.call("matmul_update", more, [broadcast(plan, x, (k, m), (1, k)), dh, *numbers], [2, 1])
    return plan


def results(plan, threads, state=None):
    got = plan.build(state, threads=threads).run(tuple(plan.feeds))
    return got + plan.states()


def test_same_bits_for_any_number_of_threads(isa):
    for dtype in FLOATS:
        for shape in [(300, 130, 500), (2000, 60, 20), (9, 700, 900)]:
            plan = large_plan(dtype, *shape)
            want = results(plan, 1)
            for threads in (2, 3, 4, 8):
                for _ in range(3):
                    for a, b in zip(results(plan, threads), want, strict=True):
                        same(a, b)


def test_same_bits_whatever_the_trials_find():
    """The executor tries whether threads pay: in 2,200 runs more than once each way."""
    plans = [large_plan(np.dtype(np.float32), 64, 64, 64)] * 2
    found = []
    for plan, threads in zip(plans, (1, 2), strict=True):
        exe = plan.build(threads=threads)
        outs = [exe.run(tuple(plan.feeds)) for _ in range(2200)]
        found.append([a for out in outs for a in out] + plan.states())
    for a, b in zip(*found, strict=True):
        same(a, b)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="there is no affinity here")
def test_workers_keep_to_the_cpus_of_the_process():
    allowed = os.sched_getaffinity(0)
    plan = large_plan(np.dtype(np.float32))
    want = results(plan, 3)
    try:
        for cpus in (allowed, {min(allowed)}):
            os.sched_setaffinity(0, cpus)
            time.sleep(0.01)  # the workers fall asleep, and are sent to other CPUs when woken
            for a, b in zip(results(plan, 3), want, strict=True):
                same(a, b)
            for task in map(int, os.listdir("/proc/self/task")):
                assert os.sched_getaffinity(task) <= allowed
    finally:
        os.sched_setaffinity(0, allowed)


def test_values_with_threads(isa):
    dtype = np.dtype(np.float64)
    plan = large_plan(dtype)
    x, (w, bias) = plan.feeds[0], [a for _, a in plan.saved[:2]]
    h, dh, dw, sums, total, means, p = results(plan, 4)[:7]
    np.testing.assert_allclose(h, np.maximum(x @ w + bias, 0), 1e-10, 1e-10)
    np.testing.assert_allclose(sums, h.sum(0), 1e-10)
    np.testing.assert_allclose(dh, np.tanh(h + bias), 1e-10)
    np.testing.assert_allclose(dw, x.T @ dh, 1e-8, 1e-9)
    np.testing.assert_allclose(total, dh.sum(keepdims=True), 1e-10)
    np.testing.assert_allclose(means, dh.mean(1, keepdims=True), 1e-10)
    np.testing.assert_allclose(p, np.exp(dh) / np.exp(dh).sum(1, keepdims=True), 1e-10)


@pytest.mark.parametrize("nesterov", [0, 1])
@pytest.mark.parametrize("which", [0, 1, 2])
def test_update_is_the_product_and_the_step(isa, which, nesterov):
    kernel = ["apply_gradient_descent", "apply_momentum", "apply_adam"][which]
    numbers = [[0.1], [0.1, 0.9], [0.9, 0.99, 0.01, 0.9, 0.99, 1e-8]][which]
    at = [1, 1, 6][which]  # where the kernel takes the gradient
    for dtype in FLOATS:
        for m, k, n in [(33, 20, 40), (1, 5, 7), (70, 9, 600), (5, 0, 4), (0, 3, 4), (3, 4, 0),
                        (300, 40, 3)]:  # fmt: skip
            a, b = (rng.standard_normal(s).astype(dtype) for s in ((k, m), (k, n)))
            states = [abs(rng.standard_normal((m, n))).astype(dtype) for _ in range(which + 1)]
            found = []
            for fused in (True, False):
                plan = Plan()
                outs = [plan.state(s) for s in states]
                ins = [plan.input(a.T), plan.input(b)] if a.size else [
                    plan.buf(dtype, (m, k), 2, -1), plan.input(b)]  # fmt: skip
                scalars = [plan.input(np.array(v, dtype)) for v in numbers]
                if fused:
                    plan.call("matmul_update", outs, ins + scalars, [which, nesterov])
                else:
                    grad = plan.arena(dtype, (m, n))
                    plan.call("matmul", [grad], ins)
                    scalars.insert(at, grad)
                    plan.call(kernel, outs, scalars, [nesterov] if which else [])
                plan.run()
                found.append(plan.states())
            for x, y in zip(*found, strict=True):
                if _core.BUILD == "hostile":
                    np.testing.assert_allclose(x, y, 1e-4, 1e-5)
                else:
                    same(x, y)


def test_update_refuses():
    def build(attrs=(0, 0), shape=(3, 4), scalar=(), k=2, dtype=np.float32):
        plan = Plan()
        var = plan.state(np.ones(shape, np.float32))
        ins = [plan.input(np.ones(s, np.float32)) for s in ((3, 2), (k, 4))]
        plan.call("matmul_update", [var], [*ins, plan.input(np.ones(scalar, dtype))], list(attrs))
        return plan.build()

    build()
    for changes, message in [
        ({"attrs": (3, 0)}, "no such optimizer"),
        ({"attrs": (-1, 0)}, "no such optimizer"),
        ({"attrs": (0,)}, "number of attributes"),
        ({"attrs": (1, 0)}, "number of arguments"),
        ({"shape": (4, 3)}, "shapes disagree"),
        ({"shape": (12,)}, "matrix is expected"),
        ({"scalar": (1,)}, "scalar is expected"),
        ({"k": 3}, "shapes disagree"),
        ({"dtype": np.float64}, "wrong dtype"),
    ]:
        with pytest.raises(ValueError, match=f"malformed plan: .*{message}"):
            build(**changes)


def test_first_error_wins():
    x = np.ones(200_000, np.float32)
    x[[70_000, 150_000, 199_999]] = np.inf
    for threads in (1, 2, 8):
        plan = Plan()
        out = plan.output(np.int32, x.shape)
        plan.call("tile", [out], [plan.input(x)], [1, 0, OPS["cast.f32.i32"], 0, 1, -1, -1])
        with pytest.raises(Failed) as error:
            plan.build(threads=threads).run((x,))
        assert error.value.args[:3] == (CAST, 0, 70_000)


def test_denormals_are_flushed_in_workers():
    tiny = np.full(500_000, np.finfo(np.float32).tiny, np.float32)
    plan = Plan()
    out = plan.output(np.float32, tiny.shape)
    half = plan.input(np.array(0.5, np.float32))
    ins = [plan.input(tiny), broadcast(plan, half, tiny.shape, (0,))]
    plan.call("tile", [out], ins, [1, 0, OPS["mul.f32"], 0, 1, 2, -1])
    assert not plan.build(threads=4).run(tuple(plan.feeds))[0].any()


def test_sessions_side_by_side():
    """Each on its own; one has the pool, the others do their tasks alone."""
    plans = [large_plan(np.dtype(np.float32)) for _ in range(4)]
    wants = [results(p, 1) for p in plans]
    exes = [p.build(threads=3) for p in plans]
    wrong = []

    def work(i):
        for _ in range(20):
            got = exes[i].run(tuple(plans[i].feeds))
            for offset, array in plans[i].saved:  # as it was
                exes_state[i].write(offset, array.reshape(-1).view(np.uint8))
            if not all((a == b).all() for a, b in zip(got, wants[i], strict=False)):
                wrong.append(i)

    exes_state = [p.session for p in plans]
    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert not wrong


def test_fork():
    """The child has no workers, and makes its own."""
    plan = large_plan(np.dtype(np.float32))
    want = results(plan, 2)
    assert _core.pool_workers() >= 1
    stop = []

    def busy():
        mine = large_plan(np.dtype(np.float32))
        while not stop:
            results(mine, 3)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        for _ in range(5):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    before = _core.pool_workers()
                    fine = all((a == b).all() for a, b in zip(results(plan, 2), want, strict=True))
                    code = 0 if fine and before == 0 and _core.pool_workers() == 1 else 2
                finally:
                    os._exit(code)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            for a, b in zip(results(plan, 2), want, strict=True):
                same(a, b)
    finally:
        stop.append(1)
        thread.join()


def test_idle_workers_sleep():
    results(large_plan(np.dtype(np.float32)), 8)
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.3)
    assert time.process_time() - before < 0.1


def test_number_of_threads():
    previous = _core.set_num_threads(3)
    assert _core.num_threads() == 3 and _core.set_num_threads(previous) == 3
    for bad in (0, -1, 10**9, "2", True):
        with pytest.raises(TypeError if isinstance(bad, (str, bool)) else ValueError):
            _core.set_num_threads(bad)
    assert _core.num_threads() == previous
    with pytest.raises(ValueError, match="threads"):
        large_plan(np.dtype(np.float32)).build(threads=-2)


@pytest.mark.parametrize("value", ["0", "-3", "many", "1e9", "100000", "2.5"])
def test_garbage_in_the_environment(value):
    env = os.environ | {"GRADPLAN_NUM_THREADS": value}
    command = [sys.executable, "-c", "import gradplan._core"]
    got = subprocess.run(command, env=env, capture_output=True, text=True)
    last = got.stderr.strip().splitlines()[-1]
    assert got.returncode and last.startswith(f"ImportError: GRADPLAN_NUM_THREADS={value!r}")


def test_environment_and_import():
    """The variable is obeyed, and importing starts no thread."""
    code = """
import os, numpy
before = len(os.listdir("/proc/self/task"))
from gradplan import _core
print(_core.num_threads(), len(os.listdir("/proc/self/task")) - before, _core.pool_workers())
"""
    env = os.environ | {"GRADPLAN_NUM_THREADS": "5"}
    got = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    assert got.stdout.split() == ["5", "0", "0"], got.stderr


def test_cpu_quota(tmp_path):
    """cgroup v2 and v1, the tightest of a group and its parents."""
    two = tmp_path / "two"
    (two / "a/b").mkdir(parents=True)
    (two / "cpu.max").write_text("max 100000\n")
    (two / "a/cpu.max").write_text("150000 100000\n")
    (two / "a/b/cpu.max").write_text("400000 100000\n")
    own = tmp_path / "own"
    own.write_text("0::/a/b\n")
    assert _core.cpu_quota(str(two), str(own)) == 2
    own.write_text("0::/\n")
    assert _core.cpu_quota(str(two), str(own)) is None
    one = tmp_path / "cpu,cpuacct/x"
    one.mkdir(parents=True)
    (one / "cpu.cfs_quota_us").write_text("250000\n")
    (one / "cpu.cfs_period_us").write_text("100000\n")
    own.write_text("4:memory:/x\n3:cpu,cpuacct:/x\n")
    assert _core.cpu_quota(str(tmp_path), str(own)) == 3
    (one / "cpu.cfs_quota_us").write_text("-1\n")
    assert _core.cpu_quota(str(tmp_path), str(own)) is None
    own.write_text("nonsense\n")
    assert _core.cpu_quota(str(tmp_path), str(own)) is None
    assert _core.cpu_quota(str(tmp_path), str(tmp_path / "none")) is None
