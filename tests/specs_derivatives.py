"""Rows for what derivatives are made of: see ``specs.py``."""

import numpy as np
from specs import ALL, NUMBERS, Spec, normal

import gradplan as gp
from gradplan.ops.seeds import of_shape, unit_rows


def add_n(*xs):
    return gp.add_n(list(xs))


def units(one, shape):
    n = int(np.prod(shape))
    return (np.eye(n, dtype=one.dtype) * one).reshape(n, *shape)


SPECS = [
    Spec("AddN", add_n, lambda *xs: np.sum(xs, 0), (normal,),
         tuple(((s,) * n, {}) for s, n in (
             ((), 2), ((0,), 3), ((3,), 9), ((2, 3), 10), ((1,), 25), ((37,), 50), ((1025,), 3))),
         NUMBERS, 25, lambda *xs: np.sum(np.abs(xs), 0), (0, 1)),
    Spec("OfShape", of_shape, lambda x, shape: x, (normal,),
         tuple(((s,), {"shape": list(s)}) for s in ((), (0,), (2, 3), (1025,))), ALL, diff=(0,)),
    Spec("UnitRows", unit_rows, units, (normal,),
         tuple((((),), {"shape": s}) for s in ([], [0], [1], [5], [2, 3], [2, 0])),
         NUMBERS, diff=(0,)),
]  # fmt: skip
