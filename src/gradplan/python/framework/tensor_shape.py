"""``tf.python.framework.tensor_shape``."""

from gradplan.shapes import Dimension, TensorShape

__all__ = ["Dimension", "TensorShape", "as_shape", "matrix", "scalar", "unknown_shape", "vector"]

as_shape = TensorShape


def scalar() -> TensorShape:
    """The shape of a scalar."""
    return TensorShape([])


def vector(length: int | None) -> TensorShape:
    """The shape of a vector."""
    return TensorShape([length])


def matrix(rows: int | None, cols: int | None) -> TensorShape:
    """The shape of a matrix."""
    return TensorShape([rows, cols])


def unknown_shape(rank: int | None = None, ndims: int | None = None) -> TensorShape:
    """A shape of which nothing is known, or the rank alone."""
    known = rank if rank is not None else ndims
    return TensorShape(None if known is None else [None] * known)
