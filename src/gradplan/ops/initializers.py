"""Initial values of variables: what ``gp.initializers`` offers."""

from __future__ import annotations

import math
from typing import Any

from gradplan import dtypes, shapes
from gradplan.graph import Tensor
from gradplan.ops import array, random
from gradplan.ops import constant as constants

__all__ = [
    "constant_initializer",
    "glorot_normal_initializer",
    "glorot_uniform_initializer",
    "ones_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "truncated_normal_initializer",
    "variance_scaling_initializer",
    "zeros_initializer",
]


class Initializer:
    """Base of the initializers: called with a shape, gives the tensor of initial values."""

    dtype: dtypes.DType = dtypes.float32

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        dims = shapes.as_shape(shape)
        if dims is None or None in dims:
            raise ValueError(f"the shape of a variable must be known, not {shapes.text(dims)}")
        wanted = self.dtype if dtype is None else dtypes.as_dtype(dtype)
        return self.make(dims, wanted)

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not say what it makes")


class Zeros(Initializer):
    """All zeros."""

    def __init__(self, dtype: Any = dtypes.float32) -> None:
        self.dtype = dtypes.as_dtype(dtype)

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        return array.zeros(dims, dtype)


class Ones(Initializer):
    """All ones."""

    def __init__(self, dtype: Any = dtypes.float32) -> None:
        self.dtype = dtypes.as_dtype(dtype)

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        return array.ones(dims, dtype)


class Constant(Initializer):
    """The given scalar, or list or array of values filled up with its last one.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.constant_initializer(0.5)([2]))
    array([0.5, 0.5], dtype=float32)
    """

    def __init__(
        self, value: Any = 0, dtype: Any = dtypes.float32, verify_shape: bool = False
    ) -> None:
        self.value = value
        self.dtype = dtypes.as_dtype(dtype)
        self.verify_shape = verify_shape

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        return constants.constant(self.value, dtype, dims, verify_shape=self.verify_shape)


class RandomNormal(Initializer):
    """Normal numbers with this mean and standard deviation."""

    def __init__(
        self,
        mean: float = 0.0,
        stddev: float = 1.0,
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, seed
        self.dtype = dtypes.as_dtype(dtype)

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        return random.random_normal(dims, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomNormal):
    """Normal numbers, those beyond two standard deviations drawn again."""

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        return random.truncated_normal(dims, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(Initializer):
    """Uniform numbers in ``[minval, maxval)``; ``maxval`` None means 1."""

    def __init__(
        self,
        minval: float = 0.0,
        maxval: float | None = None,
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        self.minval, self.maxval, self.seed = minval, maxval, seed
        self.dtype = dtypes.as_dtype(dtype)

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        return random.random_uniform(dims, self.minval, self.maxval, dtype, self.seed)


class VarianceScaling(Initializer):
    """Random numbers of variance ``scale / n``, n being a number of connections of the layer.

    Parameters
    ----------
    scale : float, optional
        Positive. Default: 1.
    mode : {"fan_in", "fan_out", "fan_avg"}, optional
        n is the number of inputs, of outputs, or their mean.
    distribution : {"truncated_normal", "normal", "untruncated_normal", "uniform"}, optional
        ``"normal"`` means truncated, as in TensorFlow 1.
    seed : int, optional
    dtype : DType, optional

    Notes
    -----
    Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural networks*,
    AISTATS 2010; He et al., *Delving deep into rectifiers*, ICCV 2015.

    Examples
    --------
    >>> import gradplan as gp
    >>> init = gp.variance_scaling_initializer(2.0, seed=1)
    >>> gp.Session().run(init([100, 3])).shape
    (100, 3)
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        if scale <= 0:
            raise ValueError(f"scale must be positive, not {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise ValueError(f"mode must be fan_in, fan_out or fan_avg, not {mode!r}")
        names = ("truncated_normal", "normal", "untruncated_normal", "uniform")
        if distribution not in names:
            raise ValueError(
                f"distribution must be one of {', '.join(names)}, not {distribution!r}"
            )
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed
        self.dtype = dtypes.as_dtype(dtype)

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        fan_in, fan_out = _fans(dims)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.random_uniform(dims, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return random.random_normal(dims, 0.0, math.sqrt(variance), dtype, self.seed)
        # Cutting at two standard deviations leaves 0.8796 of the standard deviation.
        stddev = math.sqrt(variance) / 0.87962566103423978
        return random.truncated_normal(dims, 0.0, stddev, dtype, self.seed)


def _fans(dims: Any) -> tuple[float, float]:
    """Inputs and outputs of a layer with weights of this shape; a filter counts its area."""
    if not dims:
        return 1.0, 1.0
    if len(dims) == 1:
        return float(dims[0]), float(dims[0])
    area = math.prod(dims[:-2])
    return float(dims[-2] * area), float(dims[-1] * area)


def glorot_uniform_initializer(
    seed: int | None = None, dtype: Any = dtypes.float32
) -> VarianceScaling:
    """Uniform in ``±sqrt(6 / (inputs + outputs))``: the default of :func:`get_variable`."""
    return VarianceScaling(1.0, "fan_avg", "uniform", seed, dtype)


def glorot_normal_initializer(
    seed: int | None = None, dtype: Any = dtypes.float32
) -> VarianceScaling:
    """Truncated normal of variance ``2 / (inputs + outputs)``."""
    return VarianceScaling(1.0, "fan_avg", "truncated_normal", seed, dtype)


def he_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal of variance ``2 / inputs``, meant for relu."""
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed)


def he_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform of variance ``2 / inputs``, meant for relu."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed)


def lecun_normal(seed: int | None = None) -> VarianceScaling:
    """Truncated normal of variance ``1 / inputs``."""
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed)


def lecun_uniform(seed: int | None = None) -> VarianceScaling:
    """Uniform of variance ``1 / inputs``."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed)


# The names of tf.initializers and of tf itself.
zeros_initializer = zeros = Zeros
ones_initializer = ones = Ones
constant_initializer = constant = Constant
random_normal_initializer = random_normal = RandomNormal
random_uniform_initializer = random_uniform = RandomUniform
truncated_normal_initializer = truncated_normal = TruncatedNormal
variance_scaling_initializer = variance_scaling = VarianceScaling
glorot_uniform = glorot_uniform_initializer
glorot_normal = glorot_normal_initializer
