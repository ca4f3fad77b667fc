"""Variables: scopes, what a read sees, and what a failing run leaves behind."""

import numpy as np
import pytest

import gradplan as gp


@pytest.fixture(params=[True, False], ids=["optimised", "unoptimised"])
def session(request):
    def make():
        sess = gp.Session(config=gp.ConfigProto(optimize=request.param))
        sess.run(gp.global_variables_initializer())
        return sess

    return make


def test_a_read_sees_the_value_at_the_start_of_the_run(session):
    v = gp.Variable(3.0)
    more = v.assign_add(1.0)
    doubled = v * 2.0
    sess = session()
    assert sess.run([doubled, more, v, v.value()]) == [6.0, 4.0, 3.0, 3.0]
    assert sess.run(v) == 4.0


def test_a_control_edge_orders_a_read_after_the_assignment(session):
    v = gp.Variable(3.0)
    more = v.assign_add(1.0)
    with gp.control_dependencies([more]):
        after = v.read_value()
        also = v * 10.0
        same = gp.identity(v)
    sess = session()
    assert sess.run([after, v]) == [4.0, 3.0]
    assert sess.run([also, same]) == [50.0, 5.0]


def test_a_data_edge_orders_a_read_after_the_assignment(session):
    v = gp.Variable([1.0, 2.0])
    new = v.assign(v * 3.0)
    sess = session()
    assert sess.run(new + 1.0).tolist() == [4.0, 7.0]


def test_old_and_new_value_in_one_expression(session):
    v = gp.Variable([1.0, 2.0])
    old = v.value()
    both = old * 100.0 + v.assign_add([1.0, 1.0])
    assert session().run(both).tolist() == [102.0, 203.0]


def test_assignments_in_a_row(session):
    v = gp.Variable(1.0)
    first = v.assign_add(1.0)
    with gp.control_dependencies([first]):
        between = v.read_value()
        second = v.assign(between * 10.0)
    with gp.control_dependencies([second]):
        third = v.assign_sub(5.0)
    sess = session()
    assert sess.run([first, between, second, third]) == [2.0, 2.0, 20.0, 15.0]


def test_swapping_two_variables(session):
    a, b = gp.Variable([1.0, 2.0]), gp.Variable([3.0, 4.0])
    swap = gp.group(a.assign(b), b.assign(a))
    sess = session()
    sess.run(swap)
    assert [x.tolist() for x in sess.run([a, b])] == [[3.0, 4.0], [1.0, 2.0]]


def test_a_variable_assigned_a_look_at_itself(session):
    v = gp.Variable(np.arange(9.0).reshape(3, 3))
    sess = session()
    sess.run(v.assign(gp.transpose(v)))
    np.testing.assert_array_equal(sess.run(v), np.arange(9.0).reshape(3, 3).T)
    sess.run(v.assign_add(v[::-1, ::-1]))
    np.testing.assert_array_equal(sess.run(v), np.full((3, 3), 8.0))


def test_unordered_assignments_are_an_error_that_names_both():
    v = gp.Variable(1.0, name="v")
    a, b = v.assign(2.0, name="first"), v.assign_add(1.0, name="second")
    sess = gp.Session()
    with pytest.raises(
        gp.errors.InvalidArgumentError, match=r"'v'.*'first'.*'second'.*orders"
    ) as e:
        sess.run([a, b])
    assert "test_variables.py" in str(e.value) and e.value.op is b.op


def test_uninitialised_variables_are_named():
    v = gp.Variable(1.0, name="weights")
    sess = gp.Session()
    for fetch in (v, v + 1.0, v.assign_add(1.0)):
        with pytest.raises(gp.errors.FailedPreconditionError, match="uninitialized value weights"):
            sess.run(fetch)
    sess.run(v.assign(5.0))
    assert sess.run(v) == 5.0


def test_variables_belong_to_their_session():
    v = gp.Variable(1.0)
    one, two = gp.Session(), gp.Session()
    for sess in (one, two):
        sess.run(v.initializer)
    one.run(v.assign_add(1.0))
    assert (one.run(v), two.run(v)) == (2.0, 1.0)


def test_variables_made_after_the_session():
    sess = gp.Session()
    a = gp.Variable([1.0] * 100)
    sess.run(a.initializer)
    step = sess.make_callable(a.assign_add(gp.ones([100])), [])
    step()
    later = gp.Variable(np.ones(100000))
    sess.run(later.initializer)  # the block of variables moves
    assert step().tolist() == [3.0] * 100 and sess.run(later).sum() == 100000


def test_a_run_that_fails_changes_no_variable(session):
    v = gp.Variable(1.0)
    label = gp.placeholder(gp.int32, [None])
    loss = gp.nn.sparse_softmax_cross_entropy_with_logits(labels=label, logits=gp.zeros([2, 3]))
    fetches = [v.assign_add(1.0), loss]
    sess = session()
    with pytest.raises(gp.errors.InvalidArgumentError, match=r"7 at position 1 is not in \[0, 3\)"):
        sess.run(fetches, {label: [0, 7]})
    assert sess.run(v) == 1.0
    sess.run(fetches, {label: [0, 2]})
    assert sess.run(v) == 2.0


def test_load_writes_all_or_nothing():
    a, b = gp.Variable([1.0, 2.0]), gp.Variable(3)
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    with pytest.raises(ValueError, match="Cannot feed"):
        sess.load({a: [5.0, 6.0], b: [1, 2]})
    assert sess.run(a).tolist() == [1.0, 2.0]
    a.load([7.0, 8.0], sess)
    assert a.eval(sess).tolist() == [7.0, 8.0]


def test_feeding_a_variable_or_a_result():
    v = gp.Variable(2.0)
    y = v.value() * 3.0
    z = y + 1.0
    sess = gp.Session()
    sess.run(v.initializer)
    assert sess.run(z, {v.value(): 10.0}) == 31.0
    assert sess.run(z, {y: 5.0}) == 6.0
    assert sess.run([y, z], {"mul:0": 7.0}) == [7.0, 8.0]
    assert sess.run(v) == 2.0


def test_variable_scopes_and_reuse():
    with gp.variable_scope("a") as scope:
        v = gp.get_variable("v", [2])
        with gp.variable_scope("b"):
            w = gp.get_variable("w", [1])
        with pytest.raises(ValueError, match=r"Variable a/v already exists.*test_variables.py"):
            gp.get_variable("v", [2])
        scope.reuse_variables()
        assert gp.get_variable("v") is v
    with gp.variable_scope("a", reuse=True):
        assert gp.get_variable("v", [2]) is v
        with gp.variable_scope("b"):
            assert gp.get_variable("w") is w  # reuse is inherited
        with pytest.raises(ValueError, match="a/new does not exist"):
            gp.get_variable("new", [1])
        with pytest.raises(ValueError, match="specified shape .3,. and found shape .2,."):
            gp.get_variable("v", [3])
    for _ in range(2):
        with gp.variable_scope("auto", reuse=gp.AUTO_REUSE):
            x = gp.get_variable("x", [1])
    assert [u.name for u in (v, w, x)] == ["a/v:0", "a/b/w:0", "auto/x:0"]
    with gp.variable_scope(scope):
        assert gp.get_variable("v") is v
    with gp.name_scope("ignored"):
        assert gp.get_variable("plain", [1]).name == "plain:0"
        assert gp.Variable(1.0, name="kept").name == "ignored/kept:0"


def test_default_names_of_variable_scopes():
    made = []
    for _ in range(2):
        with gp.variable_scope(None, "layer"):
            made.append(gp.get_variable("w", [1]).name)
    assert made == ["layer/w:0", "layer_1/w:0"]
    assert gp.Variable(1.0).name == "Variable:0" and gp.Variable(1.0).name == "Variable_1:0"


def test_initializers_in_all_their_forms():
    with gp.variable_scope("s", initializer=gp.constant_initializer(4.0)):
        inherited = gp.get_variable("inherited", [2])
    variables = [
        gp.get_variable("class", [2], initializer=gp.zeros_initializer),
        gp.get_variable("object", [2], initializer=gp.ones_initializer()),
        gp.get_variable("value", initializer=[1.0, 2.0]),
        gp.get_variable("array", initializer=np.arange(2)),
        gp.get_variable("function", [2], initializer=lambda shape: gp.fill(shape, 3.0)),
        gp.get_variable("default", [2], dtype=gp.int32),
        inherited,
    ]
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    got = [x.tolist() for x in sess.run(variables)]
    assert got == [[0, 0], [1, 1], [1, 2], [0, 1], [3, 3], [0, 0], [4, 4]]
    assert variables[3].dtype is gp.int64
    with pytest.raises(ValueError, match="do not specify shape"):
        gp.get_variable("both", [2], initializer=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"\(bare\) must be fully defined"):
        gp.get_variable("bare")


def test_glorot_and_friends_have_their_variance():
    shape = [300, 500]
    kinds = {
        gp.glorot_uniform_initializer(seed=1): 2 / 800,
        gp.glorot_normal_initializer(seed=2): 2 / 800,
        gp.initializers.he_normal(seed=3): 2 / 300,
        gp.initializers.he_uniform(seed=4): 2 / 300,
        gp.initializers.lecun_normal(seed=5): 1 / 300,
        gp.variance_scaling_initializer(3.0, "fan_out", "untruncated_normal", seed=6): 3 / 500,
    }
    for values, want in zip(
        gp.Session().run([k(shape) for k in kinds]), kinds.values(), strict=True
    ):
        assert abs(values.var() / want - 1) < 0.02 and abs(values.mean()) < 0.001


def test_custom_getters_from_the_inside_out():
    calls = []

    def getter(tag):
        def get(getter, name, *args, **kwargs):
            calls.append((tag, name, kwargs["shape"], kwargs["dtype"]))
            return getter(name, *args, **kwargs)

        return get

    def scaled(getter, name, *args, **kwargs):
        return getter(name, *args, **kwargs) * 2.0

    with gp.variable_scope("a", custom_getter=getter("outer")) as scope:
        with gp.variable_scope("b", custom_getter=getter("inner")):
            gp.get_variable("v", [2], custom_getter=scaled, initializer=gp.ones_initializer())
    assert [c[:3] for c in calls] == [("inner", "a/b/v", [2]), ("outer", "a/b/v", [2])]
    assert calls[0][3] is gp.float32
    with gp.variable_scope(scope, reuse=True):
        twice = gp.get_variable("b/v", [2], custom_getter=scaled)
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    assert sess.run(twice).tolist() == [2.0, 2.0]


def test_what_scopes_hand_down():
    with gp.variable_scope("a", dtype=gp.float64, initializer=gp.ones_initializer()) as a:
        with gp.variable_scope("b", reuse=gp.AUTO_REUSE) as b:
            v = gp.get_variable("v", [2])
            with gp.variable_scope("c", reuse=False) as c:  # as good as None
                assert c.reuse is gp.AUTO_REUSE
            assert gp.get_variable("v", [2]) is v
        a.set_initializer(gp.zeros_initializer())
        w = gp.get_variable("w", [2])
    assert v.dtype is gp.float64 and b.trainable_variables() == [v]
    assert a.global_variables() == [v, w] and b.original_name_scope == "a/b/"
    with gp.variable_scope("other"), gp.variable_scope(b) as again:
        assert (again.name, again.original_name_scope) == ("a/b", "a/b/")
        assert gp.constant(1.0).op.name == "other/b/Const"
        assert gp.get_variable("v", [2]) is v
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    assert [x.tolist() for x in sess.run([v, w])] == [[1.0, 1.0], [0.0, 0.0]]


def test_scopes_are_numbered_anew_inside():
    names = []
    for _ in range(2):
        with gp.variable_scope("top", reuse=gp.AUTO_REUSE):
            for _ in range(2):
                with gp.variable_scope(None, "in"):
                    names.append(gp.get_variable("w", [1]).name)
    assert names == ["top/in/w:0", "top/in_1/w:0"] * 2


@pytest.mark.parametrize(
    "kind, words, scope",
    [
        (TypeError, "If default_name is None then name_or_scope is required", (None,)),
        (TypeError, "must be a string or VariableScope", (3,)),
        (ValueError, "must be True or False or None", ("a", None, None, *[None] * 5, 3)),
        (ValueError, "cannot be used without a name", (None, "a", None, *[None] * 5, True)),
    ],
)
def test_scopes_that_are_refused(kind, words, scope):
    with pytest.raises(kind, match=words), gp.variable_scope(*scope):
        pass


def test_local_variables_stand_apart():
    v = gp.get_local_variable("v", [2], initializer=gp.ones_initializer())
    assert gp.local_variables() == [v] and not v.trainable
    assert gp.global_variables() == gp.trainable_variables() == []
    sess = gp.Session()
    sess.run(gp.local_variables_initializer())
    assert sess.run(v).tolist() == [1.0, 1.0]


def test_which_variables_have_a_value(session):
    a, b = gp.Variable([1.0, 2.0], name="a"), gp.Variable(5, name="b", trainable=False)
    report, check = gp.report_uninitialized_variables(), gp.assert_variables_initialized()
    known = gp.is_variable_initialized(b)
    sess = gp.Session(config=session()._config)
    assert sess.run(report).tolist() == [b"a", b"b"] and not sess.run(known)
    sess.run(a.initializer)
    names, value = sess.run([report, a])
    assert names.tolist() == [b"b"] and value.tolist() == [1.0, 2.0]
    with pytest.raises(gp.errors.FailedPreconditionError, match="uninitialized value b"):
        sess.run(check)
    b.load(3, sess)
    sess.run(check)
    assert sess.run(known) and sess.run(report).tolist() == []
    assert gp.report_uninitialized_variables([b]).eval(session=gp.Session()).tolist() == [b"b"]


def test_initialized_value_is_the_value_or_the_initial_one(session):
    v = gp.Variable(gp.random_normal([3]), name="v")
    w = gp.Variable(v.initialized_value() * 2.0, name="w")
    sess = session()  # both in one run
    assert (sess.run(w) == 2.0 * sess.run(v)).all()
    sess = gp.Session(config=sess._config)
    sess.run(v.initializer)
    v.load([1.0, 2.0, 3.0], sess)
    sess.run(w.initializer)
    assert sess.run(w).tolist() == [2.0, 4.0, 6.0]


def test_counting_up_to_a_limit(session):
    v, loss = gp.Variable(0, name="v"), gp.Variable(1.0)
    count, more = v.count_up_to(2), loss.assign_add(1.0)
    sess = session()
    assert [sess.run([count, more]) for _ in range(2)] == [[0, 2.0], [1, 3.0]]
    with pytest.raises(gp.errors.OutOfRangeError, match=r"limit of 2.*test_variables.py"):
        sess.run([count, more])
    assert sess.run([v, loss]) == [2, 3.0]
    with pytest.raises(TypeError, match="float32"):
        loss.count_up_to(3)
    with pytest.raises(ValueError, match="scalar"):
        gp.Variable([1]).count_up_to(3)


def test_constraints_hold_after_each_step(session):
    v = gp.get_variable("v", initializer=[3.0, -4.0], constraint=lambda x: gp.maximum(x, -1.0))
    step = gp.train.GradientDescentOptimizer(0.25).minimize(gp.reduce_sum(v * v))
    sess = session()
    sess.run(step)
    assert sess.run(v).tolist() == [1.5, -1.0]
    with pytest.raises(ValueError, match="must be a callable"):
        gp.Variable(1.0, constraint=3)


def test_methods_that_change_rows():
    v = gp.Variable([1.0, 2.0, 3.0])

    class Rows:
        indices, values = [0, 2], [10.0, 20.0]

    sess = gp.Session()
    sess.run(v.initializer)
    assert sess.run(v.scatter_add(Rows)).tolist() == [11.0, 2.0, 23.0]
    assert sess.run(v.scatter_sub(Rows)).tolist() == [1.0, 2.0, 3.0]
    assert sess.run(v.scatter_update(Rows)).tolist() == [10.0, 2.0, 20.0]
    assert sess.run(v.scatter_nd_add([[1]], [5.0])).tolist() == [10.0, 7.0, 20.0]
    with pytest.raises(TypeError, match="not IndexedSlices"):
        v.scatter_add([1.0])


def test_operators_of_variables():
    a, b = gp.Variable([True, False]), gp.Variable([True, True])
    i = gp.Variable([7, 8])
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    got = sess.run([a & b, a | b, a ^ b, ~a, True & a, -i, 15 // i, i % 4, i[1]])
    want = [[1, 0], [1, 1], [0, 1], [0, 1], [1, 0], [-7, -8], [2, 1], [3, 0], 8]
    assert [g.tolist() for g in got] == want


def test_names_of_what_is_made():
    """As TensorFlow 1 has them; checked against TensorFlow itself in its compat.v1."""
    x = gp.placeholder(gp.float32, [None, 3])
    w = gp.Variable(gp.zeros([3, 1]))
    b, again = gp.Variable(0.5, name="b"), gp.Variable(1.0)
    y = gp.matmul(x, w) + b - 1.0
    with gp.variable_scope("s"):
        v = gp.get_variable("v", [2], initializer=gp.constant_initializer(0.1))
        gp.get_variable("k", initializer=3.0)
    reads = [b.value(), b.read_value(), b.read_value()]
    names = [op.name for op in gp.get_default_graph().get_operations()]
    wanted = """Placeholder zeros Variable Variable/Assign Variable/read b/initial_value b b/Assign
        b/read Variable_1/initial_value Variable_1 Variable_1/Assign Variable_1/read MatMul add
        sub/y sub s/v/Initializer/Const s/v s/v/Assign s/v/read s/k/initial_value s/k s/k/Assign
        s/k/read read read_1""".split()
    assert [n for n in names if not n.startswith("zeros/")] == wanted
    assert [t.name for t in reads] == ["b/read:0", "read:0", "read_1:0"]
    assert (again.name, y.name, v.initializer.name) == ("Variable_1:0", "sub:0", "s/v/Assign")
    assert gp.constant(1.0).name == "Const:0"


def test_variables_made_inside_loops_and_conditionals(session):
    graph = gp.get_default_graph()

    def body(i, total):
        with gp.variable_scope("loop", reuse=gp.AUTO_REUSE):
            step = gp.get_variable("step", [2], initializer=gp.constant_initializer(0.5))
        return i + 1, total + step

    with graph.as_default():  # entered again by what is made inside
        _, total = gp.while_loop(lambda i, _: i < 3, body, [0, gp.constant([1.0, 2.0])])
    chosen = gp.cond(
        gp.is_variable_initialized(gp.global_variables()[0]),
        lambda: gp.get_variable("inside", [], initializer=gp.ones_initializer()) + 1.0,
        lambda: gp.constant(0.0),
    )
    assert [v.name for v in gp.global_variables()] == ["loop/step:0", "inside:0"]
    assert gp.get_default_graph() is graph
    assert [x.tolist() for x in session().run([total, chosen])] == [[2.5, 3.5], 2.0]


# ---- templates, creators, parts ------------------------------------------------------------------


def test_a_template_shares_the_variables_of_its_first_call():
    def layer(x, width):
        w = gp.get_variable("w", [width], initializer=gp.ones_initializer())
        gp.get_local_variable("seen", [], initializer=gp.zeros_initializer())
        gp.get_variable("fixed", [], trainable=False, initializer=gp.zeros_initializer())
        return x * w

    one, two = gp.make_template("t", layer, width=2), gp.make_template("t", layer, width=2)
    assert one.variable_scope is one.variable_scope_name is None and one.variables == []
    with gp.variable_scope("around"):
        a, b = one(2.0), one(3.0)
    two(1.0)
    assert one.variable_scope_name == "around/t/" and one.name == "t"
    assert [v.name for v in one.trainable_variables] == ["around/t/w:0"]
    assert [v.name for v in one.non_trainable_variables] == ["around/t/fixed:0"]
    assert [v.name for v in one.variables][2:] == ["around/t/seen:0"]
    assert [v.name for v in two.global_variables] == ["t/w:0", "t/fixed:0"]
    assert not {a.op.inputs[1], b.op.inputs[1]} - {one.trainable_variables[0].value()}


def test_a_template_refuses_new_variables_and_starts_anew_after_an_error():
    names = iter("xab")

    def layer():
        name = next(names)
        if name == "x":
            raise KeyError(name)
        return gp.get_variable(name, [])

    template = gp.make_template("t", layer)
    with pytest.raises(KeyError):
        template()
    template()
    with pytest.raises(ValueError, match="t/b does not exist"):
        template()
    plain = gp.make_template("plain", lambda: gp.Variable(1.0))
    plain()
    with pytest.raises(ValueError, match=r"'plain' after the first time.*test_variables"):
        plain()
    with pytest.raises(ValueError, match="name cannot be None"):
        gp.make_template(None, layer)
    now = gp.make_template("now", lambda: gp.get_variable("w", []), create_scope_now_=True)
    assert now.variable_scope_name == "now/" and now().name == "now/w:0"
    own = gp.make_template("t", lambda: gp.get_variable("w", []), unique_name_="own")
    assert own().name == "own/w:0"


def test_creators_make_variables_from_the_inside_out():
    calls = []

    def creator(tag):
        def create(next_creator, **arguments):
            calls.append((tag, arguments["name"], arguments["trainable"]))
            return next_creator(**{**arguments, "trainable": tag == "outer"})

        return create

    with gp.variable_creator_scope(creator("outer")):
        with gp.variable_creator_scope(creator("inner")):
            v = gp.get_variable("v", [2])
        w = gp.Variable(1.0, False, name="w")
    u = gp.Variable(1.0)
    assert calls == [("inner", "v", True), ("outer", "v", False), ("outer", "w", False)]
    assert gp.trainable_variables() == [v, w, u]
    with pytest.raises(ZeroDivisionError), gp.variable_creator_scope(creator("outer")):
        raise ZeroDivisionError
    gp.Variable(1.0)
    assert len(calls) == 3
    with gp.variable_creator_scope(lambda next_creator, **arguments: "mine"):
        assert gp.Variable(1.0) == "mine"


@pytest.mark.parametrize("optimize", [True, False])
def test_a_run_sees_what_it_has_initialised(optimize):
    v, other = gp.Variable(1.0), gp.Variable(2.0)
    before = gp.is_variable_initialized(v)
    with gp.control_dependencies([gp.group(v.initializer, gp.no_op())]):
        after, elsewhere = gp.is_variable_initialized(v), gp.is_variable_initialized(other)
    with gp.Session(config=gp.ConfigProto(optimize=optimize)) as sess:
        assert sess.run([before, after, elsewhere]) == [False, True, False]
        assert sess.run([before, elsewhere]) == [True, False]


def test_variables_that_start_from_others():
    """One call of global_variables_initializer initialises them all, whatever the order."""
    first = gp.Variable([1.0, 2.0], name="first")
    noise = gp.random_uniform([2], seed=1)
    second = gp.Variable(first * 2.0 + noise, name="second")
    third = gp.get_variable("third", initializer=gp.reduce_sum(second) + first)
    fourth = gp.Variable(lambda: third.read_value() * 2.0, name="fourth")
    fifth = gp.Variable(noise)
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    a, b, c, d, e = sess.run([first, second, third, fourth, fifth])
    np.testing.assert_array_equal(b, a * 2 + e)  # of one draw
    np.testing.assert_allclose(c, b.sum() + a, 1e-6)
    np.testing.assert_array_equal(d, c * 2)
    sess.run(first.assign([5.0, 6.0]))
    sess.run(third.initializer)  # a variable that has a value is read
    np.testing.assert_allclose(sess.run(third), b.sum() + [5, 6], 1e-6)
    np.testing.assert_array_equal(sess.run(fourth), d)
    alone = gp.Session()
    alone.run(fourth.initializer)
    assert alone.run(gp.is_variable_initialized(fourth))
    assert not alone.run(gp.is_variable_initialized(third))


def test_what_a_writing_gave_is_assigned_to():
    """Step by step, as with TensorFlow 1's references."""
    v = gp.Variable([3.0, 1.0])
    once = gp.assign(v, v * 0.5)
    twice = gp.assign_add(once, [1.0, 1.0])
    last = gp.assign_sub(twice, [0.5, 0.5])
    with gp.Session() as sess:
        sess.run(v.initializer)
        assert sess.run(last).tolist() == [2.0, 1.0]
        assert sess.run(v).tolist() == [2.0, 1.0]
    with pytest.raises(TypeError, match="only a Variable can be assigned to"):
        gp.assign(v + 1.0, [1.0, 2.0])
