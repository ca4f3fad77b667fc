"""The passes that close what fusion made: sums on tile programs, updates on products; the plan of a
training step, and that nothing is allocated in it."""

import ctypes
import os
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest

import gradplan as gp
from gradplan import _core

OPTIMIZERS = {
    "descent": lambda: gp.train.GradientDescentOptimizer(0.1),
    "momentum": lambda: gp.train.MomentumOptimizer(0.1, 0.9),
    "nesterov": lambda: gp.train.MomentumOptimizer(0.1, 0.9, use_nesterov=True),
    "adam": lambda: gp.train.AdamOptimizer(0.01),
}


def kernels(session, fetches, feed_dict):
    return [i.kernel for i in session.plan(fetches, feed_dict)._insns]


def network(sizes, x, seed=0):
    rng = np.random.default_rng(seed)
    for i, (a, b) in enumerate(zip(sizes[:-1], sizes[1:], strict=True)):
        w = gp.Variable(rng.standard_normal((a, b)).astype(np.float32), name=f"w{i}")
        x = gp.matmul(x, w) + gp.Variable(np.zeros(b, np.float32), name=f"b{i}")
        if i < len(sizes) - 2:
            x = gp.nn.relu(x)
    return x


def run_both(fetches, feed_dict, steps=3):
    """Results of some steps and the variables after them, optimised and not."""
    found = []
    for optimise in (True, False):
        session = gp.Session(config=gp.ConfigProto(optimize=optimise))
        session.run(gp.global_variables_initializer())
        results = [session.run(fetches, feed_dict)[0] for _ in range(steps)]
        found.append((results, session.run(gp.global_variables())))
    return found


# ---- reduce --------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 37, 512, 1300, 40000])
def test_a_sum_closes_its_group_with_the_same_bits(n):
    x = gp.placeholder(gp.float32, [None])
    y = gp.square(gp.tanh(x) - 0.5)
    fetches = [gp.reduce_sum(y), gp.reduce_mean(y), gp.reduce_sum(gp.exp(x), keepdims=True)]
    feed = {x: np.random.default_rng(n).standard_normal(n).astype(np.float32)}
    session = gp.Session()
    assert set(kernels(session, fetches, feed)) == {"tile_sum"}
    plain = gp.Session(config=gp.ConfigProto(optimize=False))
    for got, want in zip(session.run(fetches, feed), plain.run(fetches, feed), strict=True):
        np.testing.assert_array_equal(got, want)


def test_what_is_only_summed_is_never_written():
    x = gp.placeholder(gp.float32, [None])
    plan = gp.Session().plan(gp.reduce_mean(gp.square(x)), {x: np.ones(100_000)})
    assert plan.arena_bytes < 2000 and "s0 = mean(t0)" in str(plan)


def test_what_others_take_is_written_too():
    x = gp.placeholder(gp.float64, [5])
    y = gp.exp(x)
    session = gp.Session()
    fetches = [y, gp.reduce_sum(y), gp.transpose(gp.reshape(y, [1, 5]))]
    a, total, b = session.run(fetches, {x: np.arange(5.0)})
    np.testing.assert_allclose(a, np.exp(np.arange(5.0)))
    np.testing.assert_array_equal(a[:, None], b)
    assert abs(total - a.sum()) < 1e-12


def test_more_sums_than_a_kernel_has():
    x = gp.placeholder(gp.float32, [100])
    parts = [gp.exp(x * float(i)) for i in range(7)]
    fetches = [gp.reduce_sum(p) for p in parts]
    feed = {x: np.linspace(-1, 1, 100).astype(np.float32)}
    plain = gp.Session(config=gp.ConfigProto(optimize=False))
    assert gp.Session().run(fetches, feed) == plain.run(fetches, feed)


def test_sums_of_integers_and_of_an_axis_stay_reductions():
    x = gp.placeholder(gp.int32, [4])
    y = gp.placeholder(gp.float32, [4, 3])
    fetches = [gp.reduce_sum(x * 2), gp.reduce_sum(y * 2.0, 1)]
    feed = {x: [1, 2, 3, 4], y: np.ones((4, 3))}
    session = gp.Session()
    assert kernels(session, fetches, feed).count("reduce_sum") == 2
    total, rows = session.run(fetches, feed)
    assert total == 20 and rows.tolist() == [6, 6, 6, 6]


def test_a_refused_value_of_a_summed_group_names_its_operation():
    x = gp.placeholder(gp.float32, [3])
    total = gp.reduce_sum(gp.cast(gp.cast(x, gp.int32), gp.float32) * 2.0)
    with pytest.raises(gp.errors.InvalidArgumentError, match="(?i)cast"):
        gp.Session().run(total, {x: [1.0, np.nan, 2.0]})


# ---- update --------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch", [1, 3, 32, 200, 600])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_update_rides_on_its_product_with_the_same_bits(name, batch):
    rng = np.random.default_rng(batch)
    x = gp.placeholder(gp.float32, [None, 20])
    y = gp.placeholder(gp.int32, [None])
    logits = network((20, 33, 17, 5), x)
    loss = gp.reduce_mean(gp.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    step = OPTIMIZERS[name]().minimize(loss)
    feed = {x: rng.standard_normal((batch, 20)), y: rng.integers(0, 5, batch)}
    fused = batch <= _core.SMALL_DEPTH  # beyond, the product is made in slices
    assert kernels(gp.Session(), [loss, step], feed).count("matmul_update") == 3 * fused
    (losses, variables), (want, plain) = run_both([loss, step], feed)
    np.testing.assert_allclose(losses, want, 1e-6)
    for a, b in zip(variables, plain, strict=True):
        np.testing.assert_allclose(a, b, 1e-5, 1e-6)


def test_an_update_by_a_product_of_the_variable_itself():
    """Of |W' W|^2: the product's factor is what the update writes."""
    w = gp.Variable(np.random.default_rng(0).standard_normal((40, 40)).astype(np.float32) / 6)
    loss = gp.reduce_sum(gp.square(gp.matmul(w, w, transpose_a=True)))
    step = gp.train.GradientDescentOptimizer(0.01).minimize(loss)
    (losses, (got,)), (want, (plain,)) = run_both([loss, step], {})
    np.testing.assert_allclose(losses, want, 1e-5)
    np.testing.assert_allclose(got, plain, 1e-4, 1e-6)
    direct = gp.train.GradientDescentOptimizer(0.01).apply_gradients([(gp.matmul(w, w), w)])
    (_, (got,)), (_, (plain,)) = run_both([loss, direct], {}, 1)
    np.testing.assert_allclose(got, plain, 1e-5, 1e-6)


@pytest.mark.parametrize("how", ["fetched", "clipped", "controlled"])
def test_a_gradient_that_others_want_is_made(how):
    x = gp.placeholder(gp.float32, [None, 4])
    loss = gp.reduce_mean(gp.square(network((4, 3), x)))
    optimizer = gp.train.GradientDescentOptimizer(0.1)
    pairs = optimizer.compute_gradients(loss)
    gradient = pairs[0][0]
    if how == "clipped":
        pairs = [(gp.minimum(g, 0.01), v) for g, v in pairs]
    if how == "controlled":
        with gp.control_dependencies([gradient]):
            loss = gp.identity(loss)
    step = optimizer.apply_gradients(pairs)
    fetches = [loss, step, gradient] if how == "fetched" else [loss, step]
    feed = {x: np.random.default_rng(0).standard_normal((6, 4))}
    assert "matmul_update" not in kernels(gp.Session(), fetches, feed)
    (losses, variables), (want, plain) = run_both(fetches, feed)
    np.testing.assert_allclose(losses, want, 1e-6)
    for a, b in zip(variables, plain, strict=True):
        np.testing.assert_allclose(a, b, 1e-5, 1e-6)


# ---- the whole -----------------------------------------------------------------------------------


def digits():
    x = gp.placeholder(gp.float32, [None, 64], name="x")
    y = gp.placeholder(gp.int32, [None], name="y")
    logits = network((64, 128, 64, 10), x)
    loss = gp.reduce_mean(gp.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
    return x, y, loss, gp.train.AdamOptimizer().minimize(loss)


def test_plan_of_a_training_step():
    """A layer has at most three instructions: forwards with bias and activation, backwards with the
    activation's gradient and the bias's, the weights' update with its product; those of the
    biases are one."""
    x, y, loss, step = digits()
    session = gp.Session()
    plan = session.plan([loss, step], {x: np.ones((32, 64)), y: np.zeros(32)})
    named = [i.kernel for i in plan._insns]
    assert named.count("matmul_map") == 3 + 2  # the input wants no gradient
    assert named.count("matmul_update") == 3
    assert named.count("apply_adam") == 1
    assert "matmul" not in named
    layers = [k for k in named if k.startswith(("matmul", "apply"))]
    assert len(layers) <= 3 * 3 + 1
    # The loss and its gradient, the sums of the last bias's, and Adam's two powers are the rest.
    assert len(named) - len(layers) <= 8
    text = str(plan)
    assert re.search(r"state [\d,]+ B, .*[\d,]+ flop, [\d,]+ B moved, \d+ instructions", text)
    assert plan.arena_bytes == plan.live_bytes and plan.bytes_moved > 0


def test_updates_come_as_early_as_they_may():
    """So that a gradient's factors die before the next layer's are made."""
    x, y, loss, step = digits()
    plan = gp.Session().plan([loss, step], {x: np.ones((32, 64)), y: np.zeros(32)})
    named = [i.kernel for i in plan._insns]
    assert named.index("matmul_update") < len(named) - 1 - named[::-1].index("matmul_map")


COUNTER = r"""
#define _GNU_SOURCE
#include <stddef.h>
static long made;
long allocations(void) { return __atomic_load_n(&made, __ATOMIC_SEQ_CST); }
#define COUNT __atomic_add_fetch(&made, 1, __ATOMIC_SEQ_CST)
extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_realloc(void *, size_t),
    *__libc_memalign(size_t, size_t);
void *malloc(size_t n) { COUNT; return __libc_malloc(n); }
void *calloc(size_t n, size_t m) { COUNT; return __libc_calloc(n, m); }
void *realloc(void *p, size_t n) { COUNT; return __libc_realloc(p, n); }
void *memalign(size_t a, size_t n) { COUNT; return __libc_memalign(a, n); }
void *aligned_alloc(size_t a, size_t n) { COUNT; return __libc_memalign(a, n); }
int posix_memalign(void **p, size_t a, size_t n) {
  COUNT;
  *p = __libc_memalign(a, n);
  return *p ? 0 : 12;
}
"""
SCRIPT = """
import ctypes, sys
import numpy as np
import gradplan as gp
sys.path.insert(0, {tests!r})
from test_closing import network
allocations = ctypes.CDLL(None).allocations
allocations.restype = ctypes.c_long
batch, width = 64, {width}
x, y = gp.placeholder(gp.float32, [None, width]), gp.placeholder(gp.int32, [None])
logits = network((width, width, width, 10), x)
loss = gp.reduce_mean(gp.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))
train = gp.train.AdamOptimizer().minimize(loss)
session = gp.Session(config=gp.ConfigProto(intra_op_parallelism_threads=2))
session.run(gp.global_variables_initializer())
step = session.make_callable([loss, train], [x, y])
arrays = [np.ones((240 * batch, width), np.float32), np.zeros(240 * batch, np.int32)]
def count(steps):
    before = allocations()
    step.loop(arrays, batch_size=batch, steps=steps, seed=0)
    return allocations() - before
count(40)
print(min(count(240) - count(40) for _ in range(3)))
"""


@pytest.mark.skipif(
    _core.BUILD == "sanitize" or not hasattr(ctypes.CDLL(None), "__libc_memalign"),
    reason="allocations are counted in the C library's own allocator",
)
@pytest.mark.parametrize("width", [32, 300])
def test_nothing_is_allocated_in_a_step(tmp_path, width):
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "count.c", tmp_path / "count.so"
    source.write_text(COUNTER)
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", source, "-o", library], check=True)
    script = SCRIPT.format(tests=os.path.dirname(__file__), width=width)
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "LD_PRELOAD": str(library)},
        capture_output=True,
        text=True,
        check=True,
    )
    # For 200 steps more: Python may look for a signal now and then, but nothing is done in a step.
    assert int(done.stdout) < 20, done.stdout
