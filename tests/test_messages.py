"""What is wrong with a call stands in its error beside the function's name and the user's line."""

import re

import numpy as np
import pytest
from specs import SPECS

import gradplan as gp

RAGGED = [[1.0], [1.0, 2.0]]
#: Rows that look at the input themselves before gradplan sees it.
LOOKING = ("PlaceholderWithDefault", "StridedSlice", "StridedSliceGrad")
WRONG = {"none": None, "ragged": RAGGED, "text": "text", "object": object()}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("spec", [s for s in SPECS if s.op not in LOOKING], ids=str)
def test_every_operation_says_where_an_input_is_wrong(spec, wrong):
    rng = np.random.default_rng(1)
    shapes, attrs = spec.cases[0]
    samples = [*spec.sample, *[spec.sample[-1]] * len(shapes)][: len(shapes)]
    arrays = [
        s(rng, shape, np.dtype(spec.dtypes[0]), shapes)
        for s, shape in zip(samples, shapes, strict=True)
    ]
    for i in range(spec.variables, len(arrays)):
        inputs = [gp.Variable(a) if k < spec.variables else a for k, a in enumerate(arrays)]
        inputs[i] = WRONG[wrong]
        try:
            spec.build(*inputs, **attrs)
        except (TypeError, ValueError) as error:
            assert re.search(r"(test_messages|specs\w*)\.py:\d+", str(error)), error
            assert re.match(r"[A-Za-z_.0-9]+[: ]", str(error)), error
        else:
            assert wrong == "none", f"input {i} may be {WRONG[wrong]!r}"


BY_SHAPE = {
    "zeros": gp.zeros,
    "ones": gp.ones,
    "fill": lambda s: gp.fill(s, 1.0),
    "constant": lambda s: gp.constant(1.0, shape=s),
    "placeholder": lambda s: gp.placeholder(gp.float32, s),
    "sparse_placeholder": lambda s: gp.sparse_placeholder(gp.float32, s),
    "broadcast_to": lambda s: gp.broadcast_to(1.0, s),
    "reshape": lambda s: gp.reshape([1.0], s),
    "random_normal": gp.random_normal,
    "random_uniform": gp.random_uniform,
    "truncated_normal": gp.truncated_normal,
    "random_gamma": lambda s: gp.random_gamma(s, 1.0),
    "random_poisson": lambda s: gp.random_poisson(1.0, s),
    "get_variable": lambda s: gp.get_variable("v", s),
    "Initializer": lambda s: gp.zeros_initializer()(s),
}


@pytest.mark.parametrize("dims", [[-1, 2], [2**40, 2**40], [2**62, 4]], ids=str)
@pytest.mark.parametrize("name", BY_SHAPE)
def test_what_takes_a_shape_says_where_it_is_wrong(name, dims):
    try:
        made = BY_SHAPE[name](dims)
    except ValueError as error:
        plain = str(error).lower().replace("_", "").replace("'", "")
        assert name.lower().replace("_", "") in plain or "BroadcastTo" in str(error), error
        assert str(dims[0]) in str(error), error
        assert "test_messages.py:" in str(error), error
    else:  # what is fed may be small
        assert "placeholder" in name and made.shape is not None


@pytest.mark.parametrize("ragged", [gp.constant, gp.convert_to_tensor, gp.Variable, gp.zeros_like])
def test_ragged_lists_are_shown(ragged):
    with pytest.raises(ValueError, match=r"ragged.*\[\[1.0\], \[1.0, 2.0\]\].*test_messages.py:"):
        ragged(RAGGED)


@pytest.mark.parametrize(
    "build, what",
    [
        (lambda: gp.zeros([2**45]), r"\(35184372088832,\).*BroadcastTo 'zeros'"),
        (lambda: gp.random_normal([2**42]), r"\(4398046511104,\).*'random_normal"),
        (lambda: gp.Variable(gp.zeros([2**44]), name="big").initializer, "bytes.*big"),
    ],
)
def test_what_finds_no_memory_is_named(build, what):
    fetch, small = build(), gp.Variable(1.0)
    with gp.Session() as sess:
        for _ in range(2):
            with pytest.raises(gp.errors.ResourceExhaustedError, match=what) as caught:
                sess.run(fetch)
            assert re.search(r"test_messages\.py:\d+", str(caught.value))
            assert caught.value.op is not None and isinstance(caught.value, MemoryError)
        if "big" not in what:
            sess.run(small.initializer)
            assert sess.run(small) == 1.0


def test_an_error_of_the_user_s_own_stays_as_it_is():
    def own(x):
        raise ValueError("mine")

    with pytest.raises(ValueError) as caught:
        gp.map_fn(own, np.ones(3, np.float32))
    assert str(caught.value) == "mine"


def test_a_scope_names_the_line_that_opens_it():
    for scope in (gp.variable_scope(None), gp.name_scope("%"), gp.control_dependencies(3)):
        with pytest.raises((TypeError, ValueError), match=r"test_messages\.py:\d+"), scope:
            pass
    with pytest.raises(TypeError, match="None"):
        gp.placeholder(None)
