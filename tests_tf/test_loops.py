"""Random programs of conditionals and loops: values, derivatives and what they write."""

import numpy as np
import pytest
from both import evaluate
from loops import program

import gradplan as gp

ARRAYS = {"x": np.array([0.5, -0.4, 0.9]), "y": np.array([-0.3, 0.8, 0.1])}
UNOPTIMISED = gp.ConfigProto(optimize=False)


@pytest.mark.parametrize("seed", range(80))
def test_random_loops(seed, tensorflow):
    text = program(seed)
    orders = 0 if "assign" in text else 1  # who writes has no gradient here
    theirs = tensorflow.evaluate(text, ARRAYS, True, orders)
    if theirs["error"]:
        pytest.skip(f"TensorFlow fails: {theirs['error']}")
    ours = evaluate(gp, text, ARRAYS, orders=orders)
    assert ours["error"] is None, (text, ours["error"])
    for key in ("values", "first")[: 1 + orders]:
        assert not isinstance(theirs[key], str) or isinstance(ours[key], str), (text, ours[key])
        for a, b in zip(ours[key], theirs[key], strict=True):
            assert (a is None) == (b is None) or not np.any(a if b is None else b), text
            if a is not None and b is not None:
                np.testing.assert_allclose(a, b, 1e-9, 1e-11, err_msg=text)
