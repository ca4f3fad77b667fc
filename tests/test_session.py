"""Feeds in, fetches out, callables, and what a session refuses."""

import gc
import threading
from collections import OrderedDict, namedtuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import gradplan as gp
from gradplan import compiled

Pair = namedtuple("Pair", "left right")


def test_fetches_keep_their_structure():
    a, b = gp.constant(1.0, name="a"), gp.constant([2, 3], name="b")
    nothing = gp.no_op()
    sess = gp.Session()
    got = sess.run({"x": [a, (b, nothing)], "y": Pair(a, "b:0"), "z": OrderedDict(k=a)})
    assert got["x"][0] == 1.0 and got["x"][1][0].tolist() == [2, 3] and got["x"][1][1] is None
    assert isinstance(got["y"], Pair) and got["y"].right.tolist() == [2, 3]
    assert isinstance(got["z"], OrderedDict) and got["z"] == {"k": 1.0}
    assert sess.run([]) == [] and sess.run({}) == {} and sess.run(()) == ()
    assert sess.run(nothing) is None and sess.run([nothing]) == [None] and sess.run("NoOp") is None
    assert (
        sess.run((a,)) == (1.0,)
        and sess.run([a]) == [1.0]
        and sess.run([[a], [a]]) == [[1.0], [1.0]]
    )
    assert type(sess.run(Pair(a, a))) is Pair and type(sess.run((a, a))) is tuple


NESTS = st.recursive(
    st.sampled_from(["scalar", "rows", "variable", "operation", "sparse"]),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.tuples(inner, inner).map(lambda both: Pair(*both)),
        st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    ),
    max_leaves=6,
)


@given(nest=NESTS, feed=st.booleans())
def test_any_nest_of_fetches_keeps_its_structure(nest, feed):
    with gp.Graph().as_default(), gp.Session() as sess:
        fetches = {
            "scalar": gp.constant(2.0),
            "rows": gp.placeholder_with_default([1.0, 3.0], [2], name="rows"),
            "variable": gp.Variable([4.0]),
            "operation": gp.no_op(),
            "sparse": gp.SparseTensor([[1]], [5.0], [2]),
        }
        values = {
            "scalar": 2.0,
            "rows": [7.0, 8.0] if feed else [1.0, 3.0],
            "variable": [4.0],
            "operation": None,
            "sparse": ([[1]], [5.0], [2]),
        }
        sess.run(fetches["variable"].initializer)

        def build(part, leaf):
            if isinstance(part, dict):
                return {k: build(v, leaf) for k, v in part.items()}
            if isinstance(part, Pair):
                return Pair(*[build(v, leaf) for v in part])
            return type(part)(build(v, leaf) for v in part) if type(part) is not str else leaf(part)

        def check(part, got):
            if type(part) is str:
                if part == "sparse":
                    assert type(got) is gp.SparseTensorValue
                    for a, b in zip(got, values[part], strict=True):
                        np.testing.assert_array_equal(a, b)
                elif values[part] is None:
                    assert got is None
                else:
                    np.testing.assert_array_equal(got, values[part])
                return
            assert type(got) is type(part) and len(got) == len(part)
            for k in part if isinstance(part, dict) else range(len(part)):
                check(part[k], got[k])

        asked = build(nest, fetches.__getitem__)
        for _ in range(2):  # the second finds what the first prepared
            check(nest, sess.run(asked, {"rows:0": [7.0, 8.0]} if feed else None))


def test_nests_are_fed_like_nests():
    a, b, c = (gp.placeholder(gp.float32, [None], name=n) for n in "abc")
    state = Pair(a, (b, c))
    new = Pair(a + 1.0, (b * 2.0, a + b + c))
    sess = gp.Session()
    zero = Pair([0.0], ([1.0], [2.0]))
    once = sess.run(new, {state: zero})
    twice = sess.run(new, {state: once})
    assert type(twice) is Pair and [float(x[0]) for x in (twice.left, *twice.right)] == [2, 4, 6]
    assert sess.run(a, {(a, b): ([5.0], [6.0])}).tolist() == [5.0]
    step = sess.make_callable(new, [state])
    assert step(once).right[1].tolist() == [6.0]
    sparse = gp.sparse_placeholder(gp.float32, [2])
    dense = gp.sparse_tensor_to_dense(sparse)
    got = sess.run(dense, {(a, sparse): ([1.0], gp.SparseTensorValue([[1]], [3.0], [2]))})
    assert got.tolist() == [0.0, 3.0]
    for value, words in (
        ([[1.0]], "1 values for .*takes 2 values"),
        (np.zeros((2, 1)), "takes 2 values"),
        (([1.0], [2.0]), "takes 2 values"),
    ):
        with pytest.raises(ValueError, match=words):
            sess.run(new, {state: value})
    with pytest.raises(ValueError, match="feeds one tensor twice"):
        sess.run(new, {state: zero, a: [1.0]})
    with pytest.raises(TypeError, match="feed_dict must be a dictionary"):
        sess.run(new, [a])


def test_types_of_what_comes_out():
    sess = gp.Session()
    scalar, vector = sess.run([gp.constant(1.5), gp.constant([1.5])])
    assert type(scalar) is np.float32 and vector.dtype == np.float32 and vector.flags.owndata
    flag, index = sess.run([gp.constant(True), gp.argmax([1.0, 2.0], 0)])
    assert type(flag) is np.bool_ and type(index) is np.int64


def test_fetches_are_fresh_arrays():
    x = gp.placeholder(gp.float32, [2])
    v = gp.Variable([1.0, 2.0])
    c = gp.constant([5.0, 6.0])
    sess = gp.Session()
    sess.run(v.initializer)
    fed = np.array([1.0, 2.0], "f")
    for fetch in (x, gp.identity(x), gp.reshape(x, [2, 1]), v, c, x + 1.0):
        first = sess.run(fetch, {x: fed})
        kept = first.copy()
        first[...] = -1
        np.testing.assert_array_equal(sess.run(fetch, {x: fed}), kept)
    assert fed.tolist() == [1.0, 2.0] and sess.run(v).tolist() == [1.0, 2.0]


def test_one_tensor_fetched_twice():
    x = gp.constant([1.0, 2.0]) * 2.0
    a, b = gp.Session().run([x, x])
    assert a.tolist() == b.tolist() == [2.0, 4.0]


@pytest.mark.parametrize(
    "value",
    [
        [[1, 2, 3], [4, 5, 6]],
        ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0)),
        np.arange(1, 7).reshape(2, 3),
        np.arange(1.0, 7.0).reshape(2, 3),
        np.arange(1, 7, dtype=">f4").reshape(2, 3),
        np.arange(1, 7, dtype="f").reshape(3, 2).T.copy().T.reshape(2, 3),
        np.asfortranarray(np.arange(1, 7, dtype="f").reshape(2, 3)),
        np.arange(1, 13, dtype="f").reshape(2, 6)[:, ::2] * [[1.0], [1.0]],
        np.frombuffer(b"\0" + np.arange(1, 7, dtype="f").tobytes(), "f", offset=1).reshape(2, 3),
        np.arange(1, 7, dtype=np.uint8).reshape(2, 3),
        np.arange(1, 7, dtype=np.float16).reshape(2, 3),
    ],
    ids=lambda v: getattr(getattr(v, "dtype", None), "str", type(v).__name__),
)
def test_feeds_of_every_kind(value):
    x = gp.placeholder(gp.float32, [None, 3])
    want = np.asarray(value, "f") * 2
    np.testing.assert_array_equal(gp.Session().run(x * 2.0, {x: value}), want)


def test_read_only_and_strided_feeds():
    x = gp.placeholder(gp.float32, [None, 3])
    sess = gp.Session()
    base = np.arange(24, dtype="f").reshape(4, 6)
    for view in (
        base[:, ::2],
        base[::-1, :3],
        base.T[:3, :3],
        np.broadcast_to(base[0, :3], (4, 3)),
    ):
        np.testing.assert_array_equal(sess.run(x + 1.0, {x: view}), view + 1)
    base.flags.writeable = False
    np.testing.assert_array_equal(sess.run(x + 1.0, {x: base[:, :3]}), base[:, :3] + 1)


def test_feeds_that_are_refused_change_nothing():
    x = gp.placeholder(gp.float32, [None, 3], name="x")
    n = gp.placeholder(gp.int32, [None], name="n")
    v = gp.Variable(1.0)
    step = [v.assign_add(1.0), x * 2.0, n + 1]
    sess = gp.Session()
    sess.run(v.initializer)
    good = {x: np.ones((2, 3)), n: [1, 2]}
    cases = [
        (
            {x: np.ones((2, 4))},
            ValueError,
            r"shape \(2, 4\) for Tensor 'x:0'.*\(\?, 3\).*test_session",
        ),
        ({x: np.ones(3)}, ValueError, "Cannot feed value of shape"),
        ({x: "text"}, TypeError, "Cannot feed 'x:0'"),
        ({x: [[1j, 2, 3]]}, TypeError, "complex"),
        ({x: [[1], [2, 3]]}, ValueError, "ragged"),
        ({x: None}, TypeError, "Cannot feed"),
        ({x: v}, TypeError, "cannot be a tensor"),
        ({n: [1.5]}, TypeError, "element 0 is"),
        ({n: [2**40]}, TypeError, "int32 cannot hold"),
        ({n: [float("nan")]}, TypeError, "int32 cannot hold"),
        ({"y:0": 1.0}, TypeError, "Cannot interpret feed_dict key"),
        ({3: 1.0}, TypeError, "Cannot interpret feed_dict key"),
        ({x.op: 1.0}, TypeError, "Cannot interpret feed_dict key"),
    ]
    for feed, error, words in cases:
        with pytest.raises(error, match=words):
            sess.run(step, {**good, **feed})
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"feed a value.*'n'.*int32.*\(\?,\)"):
        sess.run(step, {x: good[x]})
    with pytest.raises(ValueError, match="twice"):
        sess.run(step, {**good, "x:0": good[x]})
    assert sess.run(v) == 1.0
    sess.run(step, good)
    assert sess.run(v) == 2.0


def test_shapes_that_only_clash_at_run_time_are_named():
    a = gp.placeholder(gp.float32, name="a")
    b = gp.placeholder(gp.float32, name="b")
    total, product = gp.add(a, b, name="total"), gp.matmul(a, b, name="product")
    sess = gp.Session()
    for fetch in (total, product):
        with pytest.raises(gp.errors.InvalidArgumentError) as caught:
            sess.run(fetch, {a: np.ones((2, 3)), b: np.ones((4, 5))})
        text = str(caught.value)
        assert fetch.op.name in text and "(2, 3)" in text and "(4, 5)" in text
        assert "test_session.py:" in text and caught.value.op is fetch.op
    with pytest.raises(gp.errors.InvalidArgumentError, match="rank 2"):
        sess.run(product, {a: np.ones(3), b: np.ones(3)})


def test_fetches_that_are_refused():
    gp.constant(1.0, name="a")
    sess = gp.Session()
    for fetch, error in [
        (3, TypeError),
        (None, TypeError),
        ("b:0", ValueError),
        (["a:0", 2.0], TypeError),
    ]:
        with pytest.raises(error, match="Fetch argument"):
            sess.run(fetch)
    with pytest.raises(RuntimeError, match="graph is empty"):
        gp.Session(graph=gp.Graph()).run([])


def test_a_closed_session():
    v = gp.Variable(1.0)
    with gp.Session() as sess:
        sess.run(v.initializer)
        step = sess.make_callable(v.assign_add(1.0))
        step()
        assert v.eval() == 2.0
    for use in (
        lambda: sess.run(v),
        step,
        lambda: sess.make_callable(v),
        lambda: v.load(1.0, sess),
    ):
        with pytest.raises(RuntimeError, match="closed"):
            use()
    sess.close()


def test_default_sessions():
    x = gp.constant(2.0)
    with pytest.raises(ValueError, match="No default session"):
        x.eval()
    with gp.Session() as sess:
        assert gp.get_default_session() is sess
        assert x.eval() == 2.0 and (x * 2.0).eval() == 4.0
    assert gp.get_default_session() is None
    interactive = gp.InteractiveSession()
    assert gp.placeholder_with_default(3.0, []).eval() == 3.0
    x.op.run()
    interactive.close()
    assert gp.get_default_session() is None
    other = gp.Graph()
    with gp.Session(graph=other), pytest.raises(ValueError, match="different"):
        x.eval()


def test_callables():
    x, y = gp.placeholder(gp.float32, [None]), gp.placeholder(gp.float32, [])
    sess = gp.Session()
    f = sess.make_callable({"sum": x + y, "both": [x, y]}, [x, y])
    assert f([1.0, 2.0], 3.0)["sum"].tolist() == [4.0, 5.0]
    assert f(np.ones(5, "f"), np.float32(1.0))["sum"].tolist() == [2.0] * 5
    assert f.plan.feed_shapes == [(5,), ()]
    for arguments in ((), ([1.0],), ([1.0], 2.0, 3.0)):
        with pytest.raises(TypeError):
            f(*arguments)
    with pytest.raises(ValueError, match="Cannot feed"):
        f(1.0, 2.0)
    assert f([1.0], 1.0)["sum"].tolist() == [2.0]


@pytest.mark.parametrize("room", [compiled.PLAN_BYTES, 200_000, 0])
def test_other_shapes_bind_other_plans_of_one_program(room, monkeypatch):
    monkeypatch.setattr(compiled, "PLAN_BYTES", room)
    x = gp.placeholder(gp.float32, [None, 2])
    step = gp.Session().make_callable(gp.reduce_sum(x * 2.0, 0), [x])
    programs = step.compiled.programs
    for n in [*range(40), 3, 0]:
        assert step(np.ones((n, 2), "f")).tolist() == [2.0 * n] * 2
    assert len(programs) == 1
    weight = step.compiled.executables.last.weight
    assert 10_000 < weight < 20_000  # the least recently used are forgotten
    assert len(step.compiled.executables) == min(40, max(4, room // weight))


def test_print_goes_to_stderr(capfd):
    x = gp.constant([[1.0, 2.5], [3.0, 4.0]])
    y = gp.Print(x, [x, gp.shape(x), gp.reduce_sum(x)], "seen: ", summarize=3)
    quiet = gp.Print(x, [x], first_n=2)
    sess = gp.Session()
    assert sess.run(y * 2.0).tolist() == [[2.0, 5.0], [6.0, 8.0]]
    assert capfd.readouterr().err == "seen: [[1 2.5][3...]][2 2][10.5]\n"
    for _ in range(4):
        sess.run(quiet)
    assert len(capfd.readouterr().err.splitlines()) == 2
    assert gp.Session().run(gp.gradients(y, x)[0]).tolist() == [[1.0, 1.0], [1.0, 1.0]]


def test_str_of_a_plan_reads_like_the_program():
    x = gp.placeholder(gp.float32, [None, 4], name="x")
    w = gp.get_variable("w", [4, 3])
    y = gp.nn.relu(gp.matmul(x, w, name="product") + 1.0)
    text = str(gp.Session().plan(y, {x: np.ones((8, 4))}))
    for words in (
        "x:0 f32[8,4]",
        "live-set bound",
        "matmul",
        "w f32[4,3]@state+0",
        "test_session.py:",
    ):
        assert words in text
    assert "relu" in text and "flop" in text


def test_the_plan_counts_its_work():
    x = gp.placeholder(gp.float32, [None, 4])
    plan = gp.Session().plan(gp.matmul(x, gp.ones([4, 3])), {x: np.ones((8, 4))})
    assert plan.flops == 2 * 8 * 4 * 3
    assert plan.arena_bytes >= plan.live_bytes


def test_many_threads_on_one_session():
    x = gp.placeholder(gp.float32, [None])
    v = gp.Variable(0.0)
    add = v.assign_add(gp.reduce_sum(x))
    sess = gp.Session()
    sess.run(v.initializer)

    def work(n):
        for _ in range(200):
            sess.run(add, {x: np.ones(n, "f")})

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 3, 4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sess.run(v) == 200 * 10


@pytest.mark.parametrize("threads", [-1, 1.5, 10**6, "two"])
def test_a_number_of_threads_that_cannot_be(threads):
    with pytest.raises(ValueError, match="intra_op_parallelism_threads"):
        gp.Session(config=gp.ConfigProto(intra_op_parallelism_threads=threads))


def test_any_number_of_threads_gives_the_same_bits():
    x = gp.placeholder(gp.float32, [None, 300])
    w = gp.Variable(np.random.default_rng(0).normal(size=(300, 400)).astype("f"))
    loss = gp.reduce_mean(gp.square(gp.nn.tanh(gp.matmul(x, w))))
    step = gp.train.AdamOptimizer(0.01).minimize(loss)
    data = np.random.default_rng(1).normal(size=(500, 300)).astype("f")
    found = []
    for threads in (1, 2, 3, 4, 8):
        sess = gp.Session(config=gp.ConfigProto(intra_op_parallelism_threads=threads))
        sess.run(gp.global_variables_initializer())
        found.append([sess.run([loss, step], {x: data})[0] for _ in range(4)])
        found[-1].append(sess.run(w).tobytes())
    assert all(f == found[0] for f in found)


def test_huge_shapes_are_refused():
    x = gp.placeholder(gp.float32, [None, 1])
    sess = gp.Session()
    with pytest.raises(MemoryError):
        sess.run(gp.broadcast_to(x, [2**40, 4]) + 1.0, {x: np.ones((1, 1))})
    with pytest.raises(ValueError, match="2\\*\\*47"):
        gp.zeros([2**40, 2**40])
    with pytest.raises(ValueError, match="2\\*\\*47"):
        gp.zeros([2**40, 2**40, 0])  # the strides would overflow though there is no element
    assert sess.run(gp.identity(x), {x: np.ones((0, 1))}).shape == (0, 1)


@pytest.mark.parametrize("wrong", [3, np.zeros(3), {1, 2}, 2.5])
def test_what_cannot_be_fetched_is_named(wrong):
    x = gp.constant(1)
    for fetches in (wrong, [x, wrong], {"a": wrong}):
        with pytest.raises(TypeError, match=f"has invalid type {type(wrong).__name__}, must be"):
            gp.Session().run(fetches)


@pytest.mark.parametrize("enabled", [True, False])
def test_planning_leaves_the_collector_as_it_was(enabled):
    x = gp.placeholder(gp.float32, [None])
    y, bad = gp.tanh(x) * 2.0, gp.reshape(x, [3])
    sess, before = gp.Session(), gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        sess.run(y, {x: [1.0]})
        assert gc.isenabled() is enabled
        with pytest.raises(gp.errors.InvalidArgumentError):
            sess.run(bad, {x: [1.0]})
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()
