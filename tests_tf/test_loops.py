"""Random programs of conditionals and loops: values, derivatives and what they write."""

import numpy as np
import pytest
from both import evaluate
from loops import program, program_of_rows

import gradplan as gp

ARRAYS = {"x": np.array([0.5, -0.4, 0.9]), "y": np.array([-0.3, 0.8, 0.1])}
UNOPTIMISED = gp.ConfigProto(optimize=False)


ROWS = {
    "x": np.array([[0.5, -0.4], [-0.9, 0.2], [0.1, 0.3]]),
    "y": np.array([[-0.3, 0.8], [0.6, -0.7]]),
}


@pytest.mark.parametrize("seed", range(80))
def test_random_loops(seed, tensorflow):
    text = program(seed)
    compare(text, ARRAYS, True, 0 if "assign" in text else 1, tensorflow)


@pytest.mark.parametrize("seed", range(60))
def test_random_loops_whose_shapes_change(seed, tensorflow):
    compare(program_of_rows(seed), ROWS, False, 1, tensorflow)


def compare(text, arrays, known, orders, tensorflow):
    """Check values, and derivatives of so many orders; who writes has none here."""
    theirs = tensorflow.evaluate(text, arrays, known, orders)
    if theirs["error"]:
        pytest.skip(f"TensorFlow fails: {theirs['error']}")
    ours = evaluate(gp, text, arrays, known, orders)
    assert ours["error"] is None, (text, ours["error"])
    for key in ("values", "first")[: 1 + orders]:
        if isinstance(theirs[key], str):  # TensorFlow has no such derivative
            assert not known or isinstance(ours[key], str), (text, ours[key])
            continue
        assert not isinstance(ours[key], str), (text, ours[key])
        for a, b in zip(ours[key], theirs[key], strict=True):
            assert (a is None) == (b is None) or not np.any(a if b is None else b), text
            if a is not None and b is not None:
                np.testing.assert_allclose(a, b, 1e-9, 1e-11, err_msg=text)
