"""Variables in parts: values, initial values, optimizers' slots and checkpoints."""

import numpy as np
import pytest

import gradplan as gp


@pytest.mark.parametrize("optimize", [True, False])
def test_assigning_to_the_parts(optimize):
    w = gp.get_variable(
        "w", dtype=gp.float64, initializer=np.ones((5, 3)), partitioner=gp.fixed_size_partitioner(2)
    )
    other = gp.get_variable("v", [5, 3], gp.float64, partitioner=gp.fixed_size_partitioner(2))
    session = gp.Session(config=gp.ConfigProto(optimize=optimize))
    session.run(gp.global_variables_initializer())
    operations = w.assign_add(np.ones((5, 3)), read_value=False)
    assert [type(o) for o in operations] == [gp.Operation] * 2
    session.run(operations)
    parts = session.run(gp.assign_sub(w, [np.full((3, 3), 2.0), np.full((2, 3), 1.0)]))
    np.testing.assert_array_equal(np.concatenate(parts), [[0] * 3] * 3 + [[1] * 3] * 2)
    session.run(gp.assign(w, other))
    assert (session.run(w.as_tensor()) == session.run(other.as_tensor())).all()
    with pytest.raises(AssertionError, match="w has 2, not 5.*array.*test_parts"):
        w.assign([[1.0, 2.0, 3.0]] * 5)


def test_what_wants_the_parts_says_so():
    w = gp.get_variable("w", [5, 3], partitioner=gp.fixed_size_partitioner(2))
    loss = gp.reduce_sum(w)
    with pytest.raises(NotImplementedError, match="'w'.*its parts, as a list"):
        gp.gradients(loss, w)
    optimizer = gp.train.GradientDescentOptimizer(0.1)
    with pytest.raises(AttributeError, match="'w'.*its parts, as a list"):
        optimizer.minimize(loss, var_list=[w])
    with pytest.raises(AttributeError, match="'w'.*its parts, as a list"):
        optimizer.apply_gradients([(gp.ones([5, 3]), w)])
    assert [g.shape.as_list() for g in gp.gradients(loss, list(w))] == [[3, 3], [2, 3]]


def test_parts_of_the_identity():
    for axis in (0, 1):
        cut = gp.fixed_size_partitioner(3, axis=axis)
        w = gp.get_variable(f"w{axis}", [4, 5], gp.float64, gp.initializers.identity(2.0),
                            partitioner=cut)  # fmt: skip
        with gp.Session() as sess:
            sess.run(gp.global_variables_initializer())
            np.testing.assert_array_equal(sess.run(w.as_tensor()), 2 * np.eye(4, 5))


def test_reusing_parts():
    w = gp.get_variable("w", [5, 3], partitioner=gp.fixed_size_partitioner(2))
    with gp.variable_scope("", reuse=True):
        assert gp.get_variable("w", [5, 3]) is w
        with pytest.raises(ValueError, match="specified 3 parts along dimension 0 and .*parts=2"):
            gp.get_variable("w", [5, 3], partitioner=gp.fixed_size_partitioner(3))
        with pytest.raises(ValueError, match="found shape"):
            gp.get_variable("w", [])
    with gp.variable_scope("", reuse=gp.AUTO_REUSE), pytest.raises(ValueError, match="with a part"):
        gp.get_variable("w", [5, 3])
    parts = gp.create_partitioned_variables([4, 2], [1, 2], None)
    assert [v.op.name for v in parts] == [
        "PartitionedVariable/part_0",
        "PartitionedVariable/part_1",
    ]
    with pytest.raises(ValueError, match=r"\(4, 2\) and slicing \[2\]"):
        gp.create_partitioned_variables([4, 2], [2], None)


def model(partitioner, start):
    gp.reset_default_graph()
    w = gp.get_variable(
        "w", [5, 4], initializer=gp.constant_initializer(start), partitioner=partitioner
    )
    step = gp.train.AdamOptimizer(0.1).minimize(gp.reduce_sum(gp.square(gp.identity(w))))
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    return sess, w, step


CUTS = [None, gp.fixed_size_partitioner(2), gp.fixed_size_partitioner(3, axis=1),
        gp.fixed_size_partitioner(1)]  # fmt: skip


@pytest.mark.parametrize("here", CUTS)
@pytest.mark.parametrize("there", CUTS)
def test_a_checkpoint_fits_any_parts(there, here, tmp_path):
    sess, w, step = model(there, 2.0)
    sess.run(step)
    path = gp.train.Saver().save(sess, str(tmp_path / "m"))
    sess.run(step)
    expected = sess.run(gp.identity(w))
    with np.load(path + ".npz") as file:
        assert {n: file[n].shape for n in file.files} == {
            "w": (5, 4), "w/Adam": (5, 4), "w/Adam_1": (5, 4), "beta1_power": (),
            "beta2_power": ()}  # fmt: skip
    sess, w, step = model(here, -1.0)
    gp.train.Saver().restore(sess, path)
    sess.run(step)
    np.testing.assert_array_equal(sess.run(gp.identity(w)), expected)


def test_savers_of_parts(tmp_path):
    sess, w, _ = model(CUTS[1], 1.0)
    first, second = w
    sess.run(w.assign(np.arange(20.0, dtype="f").reshape(5, 4)))
    u = gp.Variable(3.0, name="u")
    sess.run(u.initializer)
    every = slice(0, 5)
    for named, names, rows in [
        ([w], ["w"], every), ([u, [second, first]], ["u", "w"], every), ({w}, ["w"], every),
        ({"a": w}, ["a"], every), ({"a": [second, first]}, ["a"], every),
        ({"a": first, "b": u}, ["a", "b"], slice(0, 3)),
        ([second, u], ["u", "w/part_1"], slice(3, 5)),
    ]:  # fmt: skip
        saver = gp.train.Saver(named)
        path = saver.save(sess, str(tmp_path / "m"))
        with np.load(path + ".npz") as file:
            assert sorted(file.files) == names
        before = sess.run(w.as_tensor())
        sess.run(w.assign(np.zeros((5, 4), "f")))
        saver.restore(sess, path)
        np.testing.assert_array_equal(sess.run(w.as_tensor())[rows], before[rows])
        sess.run(w.assign(before))


def test_savers_that_are_refused():
    w = gp.get_variable("w", [5, 4], partitioner=gp.fixed_size_partitioner(3))
    u = gp.Variable(1.0, name="u")
    first, second, third = w
    for bad, error, words in [
        (w, TypeError, "a dict or a list"), ([w, first], ValueError, "same name"),
        ([u, u], ValueError, "same name"), ({"a": w, "b": w}, ValueError, "restored twice: b"),
        ({"a": u, "b": [u]}, ValueError, "restored twice: b"), ({"a": []}, ValueError, "a is"),
        ({"a": [first, second]}, ValueError, "not all the parts"),
        ({"a": [first, first, third]}, ValueError, "not all the parts"),
        ({"a": [first, second, third, u]}, ValueError, "not all the parts"),
        ({"a": [w, 3]}, TypeError, "must hold Variables, not 3"),
    ]:  # fmt: skip
        with pytest.raises(error, match=words):
            gp.train.Saver(bad)


def test_embeddings_of_sparse_ids_take_the_parts():
    w = gp.get_variable("w", initializer=np.arange(8.0), partitioner=gp.fixed_size_partitioner(2))
    ids = gp.SparseTensor([[0, 0], [1, 1]], [1, 6], [2, 2])
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        for strategy, rows in (("mod", [4, 3]), ("div", [1, 6])):
            found = gp.nn.embedding_lookup_sparse(w, ids, None, strategy, combiner="sum")
            np.testing.assert_array_equal(sess.run(found).ravel(), rows)


@pytest.mark.parametrize("optimize", [True, False])
def test_a_variable_in_parts_is_the_whole(optimize):
    values = np.arange(15, dtype=np.float32).reshape(5, 3)
    with gp.variable_scope("s", partitioner=gp.fixed_size_partitioner(2)):
        w = gp.get_variable("w", initializer=values)
        scalar = gp.get_variable("scalar", [])
    with gp.variable_scope("s", reuse=True, partitioner=gp.fixed_size_partitioner(2)):
        assert gp.get_variable("w", [5, 3]) is w
        with pytest.raises(ValueError, match="specified shape"):
            gp.get_variable("w", [5, 4])
    assert isinstance(scalar, gp.Variable) and len(w) == 2
    assert [v.name for v in w] == ["s/w/part_0:0", "s/w/part_1:0"]
    assert (w.name, w.dtype, w.get_shape().as_list()) == ("s/w", gp.float32, [5, 3])
    y = gp.matmul(gp.ones([1, 5]), w)
    rows = gp.nn.embedding_lookup(w, [4, 0, 3], partition_strategy="div")
    step = gp.train.GradientDescentOptimizer(1.0).minimize(gp.reduce_sum(y) + scalar)
    session = gp.Session(config=gp.ConfigProto(optimize=optimize))
    session.run(gp.global_variables_initializer())
    np.testing.assert_array_equal(session.run(w.as_tensor()), values)
    np.testing.assert_array_equal(session.run(rows), values[[4, 0, 3]])
    session.run(step)
    np.testing.assert_array_equal(session.run(gp.identity(w)), values - 1)
    session.run(w.assign_add(np.ones((5, 3), np.float32)))
    session.run(w.assign_sub(values))
    assert not session.run(w.as_tensor()).any()
    session.run(w.assign(values))
    np.testing.assert_array_equal(session.run(w.as_tensor()), values)
    with pytest.raises(ValueError, match=r"sizes \[3, 2\] .* which is 4.*test_parts"):
        w.assign(values[:4])


def test_parts_are_cut_and_initialised_as_one():
    part = gp.get_variable("p", [4, 100], partitioner=gp.fixed_size_partitioner(3, axis=1))
    assert [v.shape.as_list() for v in part] == [[4, 34], [4, 33], [4, 33]]
    told = []

    def initializer(shape, dtype, partition_info):
        told.append((shape, partition_info.full_shape, partition_info.var_offset))
        return gp.zeros(shape, dtype)

    gp.get_variable("q", [3, 2], initializer=initializer, partitioner=gp.fixed_size_partitioner(9))
    assert told == [((1, 2), [3, 2], [i, 0]) for i in range(3)]
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        most = abs(sess.run(part.as_tensor())).max()
    assert 0.2 < most < np.sqrt(6 / 104)  # glorot's limit for the whole, not for a part


@pytest.mark.parametrize(
    "counts, words",
    [([2, 2], "along one dimension"), ([2], "list of 2"), ([9, 1], "9 parts"), (3, "list of 2")],
)
def test_parts_that_are_refused(counts, words):
    with pytest.raises(ValueError, match=words + r".*test_parts\.py"):
        gp.get_variable("w", [4, 4], partitioner=lambda shape, dtype: counts)
    gp.get_variable("v", [4])
    with pytest.raises(ValueError, match="already exists"):
        gp.get_variable("v", [4], partitioner=gp.fixed_size_partitioner(2))
    with gp.variable_scope("", reuse=True):
        with pytest.raises(ValueError, match="made without a partitioner"):
            gp.get_variable("v", [4], partitioner=gp.fixed_size_partitioner(2))
        with pytest.raises(ValueError, match="does not exist"):
            gp.get_variable("w", [4], partitioner=gp.fixed_size_partitioner(2))


def test_partitioners_count_bytes():
    shape = gp.TensorShape([10, 4])
    size = gp.variable_axis_size_partitioner
    assert size(32)(shape=shape, dtype=gp.float32) == [5, 1]
    assert size(32, max_shards=3)(shape=shape, dtype=gp.float32) == [3, 1]
    assert size(1)(shape=shape, dtype=gp.float64) == [10, 1]
    assert size(10**9, axis=1)(shape=shape, dtype=gp.float32) == [1, 1]
    least = gp.min_max_variable_partitioner
    assert least(4, min_slice_size=50)(shape=shape, dtype=gp.float32) == [4, 1]
    assert least(9, axis=1, min_slice_size=50)(shape=shape, dtype=gp.float32) == [1, 4]
    assert least()(shape=shape, dtype=gp.float32) == [1, 1]
    with pytest.raises(ValueError, match="axis 2"):
        least(axis=2)(shape=shape, dtype=gp.float32)
    with pytest.raises(ValueError, match="max_shards"):
        size(1, max_shards=0)
    with pytest.raises(ValueError, match="max_shard_bytes"):
        size(0)
