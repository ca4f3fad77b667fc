"""The inputs that every call in the tables may use, by name: small, fixed, and of all kinds."""

import ast

import numpy as np


def make():
    rng = np.random.default_rng(2024)

    def normal(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    def whole(low, high, *shape):
        return rng.integers(low, high, shape).astype(np.int32)

    square = rng.standard_normal((3, 3))
    stack = rng.standard_normal((2, 3, 3))
    return {
        # float32: matrices, a vector, a scalar, three and four dimensions, none at all
        "x": normal(2, 3),
        "y": normal(2, 3),
        "z": normal(3, 4),
        "v": normal(3),
        "w": normal(4),
        "s": normal(),
        "c": normal(2, 3, 4),
        "e": normal(0, 3),
        "big": normal(40, 17),
        "image": normal(2, 6, 5, 3),
        "filters": normal(3, 2, 3, 4),
        "depth": normal(3, 2, 3, 2),
        "signal": normal(2, 9, 3),
        "volume": normal(1, 4, 4, 4, 2),
        "column": normal(2, 1),
        "row": normal(1, 3),
        # float32 within bounds
        "p": rng.uniform(0.3, 3, (2, 3)).astype(np.float32),
        "q": rng.uniform(0.3, 3, (2, 3)).astype(np.float32),
        "u": rng.uniform(0.1, 0.9, (2, 3)).astype(np.float32),
        "prob": np.float32([[0.2, 0.3, 0.5], [0.7, 0.1, 0.2]]),
        "ties": np.float32([[1, 2, 2], [3, 0, 3]]),
        "zeros": np.float32([[0, 2, 0], [1, 3, -1]]),
        "odd": np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, np.inf, -np.inf, np.nan]),
        # float64
        "d": rng.standard_normal((2, 3)),
        "m": square,
        "good": square @ square.T + np.eye(3),
        "lower": np.tril(square) + 3 * np.eye(3),
        "mm": stack,
        "goods": stack @ stack.transpose(0, 2, 1) + np.eye(3),
        "tall": rng.standard_normal((5, 3)),
        "rhs": rng.standard_normal((3, 2)),
        # integers
        "n": whole(-9, 10, 2, 3),
        "k": whole(1, 5, 2, 3),
        "l": whole(-9, 10, 2, 3).astype(np.int64),
        "i": np.int32([2, 0, 1, 2]),
        "rows": np.int32([1, 0, 1]),
        "at": np.int32([[0, 2], [1, 0]]),
        "classes": np.int32([2, 0]),
        "ids": np.int32([0, 0, 2]),
        "many": np.int32([3, 1, 3, 7, 1, 3]),
        "perm": np.int32([2, 0, 1]),
        "lengths": np.int32([1, 3]),
        "zero": np.int32([[0, 1, 2], [3, 0, 1]]),
        "one": np.int32(1),
        # bool
        "b": np.array([[True, False, True], [False, False, True]]),
        "b2": np.array([[True, True, False], [False, True, True]]),
        "br": np.array([True, False]),
    }


INPUTS = make()


def used(text):
    """Those of the inputs that a program mentions."""
    names = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
    return {name: array for name, array in INPUTS.items() if name in names}
