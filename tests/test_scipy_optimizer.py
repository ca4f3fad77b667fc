"""Minimisations by SciPy against SciPy on the same functions in NumPy."""

import numpy as np
import pytest
import scipy.optimize

import gradplan as gp

Interface = gp.contrib.opt.ScipyOptimizerInterface


def rosenbrock(dtype="f8"):
    a = gp.Variable(np.array([-1.2], dtype), name="a")
    b = gp.Variable(np.ones((2, 1), dtype), name="b")
    x = gp.concat([a, gp.reshape(b, [-1])], 0)
    return a, b, gp.reduce_sum(100.0 * gp.square(x[1:] - x[:-1] ** 2) + gp.square(1.0 - x[:-1]))


def started():
    sess = gp.Session()
    sess.run(gp.global_variables_initializer())
    return sess


@pytest.mark.parametrize("method", [None, "BFGS", "CG", "TNC"])
def test_it_takes_the_steps_that_scipy_takes(method):
    a, b, loss = rosenbrock()
    kwargs = {} if method is None else {"method": method}
    options = {"maxiter": 15} if method != "TNC" else {"maxfun": 15}
    visited, losses = [], []
    with started() as sess:
        result = Interface(loss, options=options, **kwargs).minimize(
            fetches=[loss], step_callback=visited.append, loss_callback=losses.append
        )
        got = np.append(sess.run(a), sess.run(b))
        assert sess.run(loss) == result.fun
    want = scipy.optimize.minimize(
        scipy.optimize.rosen,
        [-1.2, 1.0, 1.0],
        jac=scipy.optimize.rosen_der,
        method=method or "L-BFGS-B",
        options=options,
    )
    assert result.nfev == want.nfev == len(losses)
    np.testing.assert_allclose(got, want.x, rtol=1e-6)
    np.testing.assert_array_equal(got, result.x)
    if method != "TNC":
        assert len(visited) == result.nit
    assert losses[0] == scipy.optimize.rosen([-1.2, 1.0, 1.0])


def test_float32_and_no_default_session():
    a, b, loss = rosenbrock("f4")
    sess = started()
    Interface(loss, options={"maxiter": 200}).minimize(sess)
    np.testing.assert_allclose(np.append(sess.run(a), sess.run(b)), 1.0, atol=0.02)
    with pytest.raises(ValueError, match="no default session"):
        Interface(loss).minimize()


def test_bounds():
    x = gp.Variable([3.0, 3.0, 3.0], name="x", dtype=gp.float64)
    y = gp.Variable(2.0, name="y", dtype=gp.float64)
    loss = gp.reduce_sum(gp.square(x)) + gp.square(y + 1.0)
    bounds = {x: ([1.0, -np.inf, -5.0], np.inf)}
    with started() as sess:
        Interface(loss, var_to_bounds=bounds).minimize(sess)
        np.testing.assert_allclose(sess.run(x), [1.0, 0.0, 0.0], atol=1e-6)
        np.testing.assert_allclose(sess.run(y), -1.0, atol=1e-6)


def test_equalities_and_inequalities_and_a_variable_that_stays():
    x = gp.Variable([1.0, 1.0], name="x", dtype=gp.float64)
    still = gp.Variable(4.0, name="still", dtype=gp.float64)
    radius = gp.placeholder(gp.float64, [])
    optimizer = Interface(
        -x[0] - x[1] * still,
        var_list=[x],
        equalities=[gp.reduce_sum(gp.square(x)) - radius**2],
        inequalities=[1.0 - x[1]],
    )
    assert optimizer.optimizer_kwargs["method"] == "SLSQP"
    with started() as sess:
        optimizer.minimize(sess, feed_dict={radius: 2.0})
        np.testing.assert_allclose(sess.run(x), [np.sqrt(3.0), 1.0], rtol=1e-6)
        assert sess.run(still) == 4.0


def test_a_failure_leaves_the_variables_as_they_were():
    a, b, loss = rosenbrock()

    def fail(*_):
        seen.append(float(sess.run(loss)))
        if len(seen) == 4:
            raise RuntimeError("enough")

    seen = []
    with started() as sess:
        with pytest.raises(RuntimeError, match="enough"):
            Interface(loss).minimize(sess, loss_callback=fail)
        assert len(set(seen)) == 4 and sess.run(a) == -1.2 and sess.run(b)[1] == 1.0
    with gp.Session() as sess, pytest.raises(gp.errors.FailedPreconditionError, match="a"):
        Interface(loss).minimize(sess)


def test_errors():
    w, n = gp.Variable([1.0, 2.0], name="w"), gp.Variable(1, name="n", trainable=False)
    loss = gp.reduce_sum(w * w)
    other = gp.Variable(1.0, name="other", trainable=False)
    for text, error, args, kwargs in [
        ("a scalar is minimised", ValueError, (w * w,), {}),
        ("a scalar is minimised", ValueError, (loss,), {"equalities": [w]}),
        ("no float", ValueError, (loss, [n]), {}),
        ("not a variable", TypeError, (loss, [w.value()]), {}),
        ("do not broadcast", ValueError, (loss,), {"var_to_bounds": {w: ([1.0] * 3, 2.0)}}),
        ("none of the variables", ValueError, (loss,), {"var_to_bounds": {other: (0.0, 1.0)}}),
        ("using the var_to_bounds", ValueError, (loss,), {"bounds": [(0, 1)]}),
        ("set automatically", ValueError, (loss,), {"jac": True}),
    ]:
        with pytest.raises(error, match=text):
            Interface(*args, **kwargs)
    gp.reset_default_graph()
    with pytest.raises(ValueError, match="No variables to optimize"):
        Interface(gp.constant(1.0))


def test_a_counter_among_the_trainable_variables_is_left_alone():
    step, v = gp.Variable(5), gp.Variable([3.0, 4.0])
    optimizer = gp.train.ScipyOptimizerInterface(gp.reduce_sum((v - 1.0) ** 2))
    with gp.Session() as sess:
        sess.run(gp.global_variables_initializer())
        optimizer.minimize(sess)
        np.testing.assert_allclose(sess.run(v), [1.0, 1.0], 1e-5)
        assert sess.run(step) == 5
