"""Initial values of variables: what ``gp.initializers`` offers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradplan import dtypes, shapes
from gradplan.graph import Tensor, at_user_line
from gradplan.ops import array, variates
from gradplan.ops import constant as constants

__all__ = [
    "constant_initializer",
    "glorot_normal_initializer",
    "glorot_uniform_initializer",
    "ones_initializer",
    "orthogonal_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "truncated_normal_initializer",
    "uniform_unit_scaling_initializer",
    "variance_scaling_initializer",
    "zeros_initializer",
]


class Initializer:
    """Base of the initializers: called with a shape, gives the tensor of initial values.

    ``partition_info``, a SaveSliceInfo, tells of the whole variable where it makes a part of one.
    """

    dtype: dtypes.DType = dtypes.float32
    #: The arguments that make an equal initializer, beside ``dtype``.
    arguments: tuple[str, ...] = ()

    def __call__(self, shape: Any, dtype: Any = None, partition_info: Any = None) -> Tensor:
        dims = shapes.as_shape(shape)
        if dims is None or None in dims:
            raise ValueError(f"the shape of a variable must be known, not {shapes.text(dims)}")
        wanted = self.dtype if dtype is None else dtypes.as_dtype(dtype)
        return self.make_part(dims, wanted, partition_info)

    def make_part(self, dims: Any, dtype: dtypes.DType, part: Any) -> Tensor:
        """A part of something larger, unless ``part`` is None."""
        return self.make(dims, dtype)

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        raise TypeError(f"{type(self).__name__} does not say what it makes")

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal initializer, for :meth:`from_config`.

        Examples
        --------
        >>> import gradplan as gp
        >>> gp.random_normal_initializer(stddev=0.5).get_config()
        {'mean': 0.0, 'stddev': 0.5, 'seed': None, 'dtype': 'float32'}
        """
        return {k: getattr(self, k) for k in self.arguments} | {"dtype": self.dtype.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The initializer that :meth:`get_config` describes.

        Examples
        --------
        >>> import gradplan as gp
        >>> gp.initializers.Constant.from_config({"value": 2.0, "dtype": "float64"}).value
        2.0
        """
        return cls(**config)


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

    arguments = ("value",)

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

    arguments = ("mean", "stddev", "seed")

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
        return variates.random_normal(dims, self.mean, self.stddev, dtype, self.seed)


class TruncatedNormal(RandomNormal):
    """Normal numbers, those beyond two standard deviations drawn again."""

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        return variates.truncated_normal(dims, self.mean, self.stddev, dtype, self.seed)


class RandomUniform(Initializer):
    """Uniform numbers in ``[minval, maxval)``; ``maxval`` None means 1."""

    arguments = ("minval", "maxval", "seed")

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
        return variates.random_uniform(dims, self.minval, self.maxval, dtype, self.seed)


class UniformUnitScaling(Initializer):
    """Uniform in ``±factor sqrt(3 / n)``, where n is the product of all dimensions but the last.

    Notes
    -----
    It keeps the scale of its input's variance: D. Sussillo and L. F. Abbott, *Random walk
    initialization for training very deep feedforward networks*, arXiv 1412.6558.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.Session().run(gp.uniform_unit_scaling_initializer(seed=1)([3, 100]))
    >>> bool(abs(x).max() < 1.0)
    True
    """

    arguments = ("factor", "seed")

    def __init__(
        self, factor: float = 1.0, seed: int | None = None, dtype: Any = dtypes.float32
    ) -> None:
        self.factor, self.seed = factor, seed
        self.dtype = dtypes.as_dtype(dtype)

    def make_part(self, dims: Any, dtype: dtypes.DType, part: Any) -> Tensor:
        whole = dims if part is None else part.full_shape
        limit = self.factor * math.sqrt(3.0 / max(1, math.prod(whole[:-1])))
        return variates.random_uniform(dims, -limit, limit, dtype, self.seed)


class Identity(Initializer):
    """The identity matrix, times ``gain``; only for matrices.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.initializers.identity(2.0)([2, 3]))
    array([[2., 0., 0.],
           [0., 2., 0.]], dtype=float32)
    """

    arguments = ("gain",)

    def __init__(self, gain: float = 1.0, dtype: Any = dtypes.float32) -> None:
        self.gain = gain
        self.dtype = dtypes.as_dtype(dtype)

    def make_part(self, dims: Any, dtype: dtypes.DType, part: Any) -> Tensor:
        if len(dims) != 2:
            raise ValueError(
                at_user_line(f"the identity initializer makes matrices, not {shapes.text(dims)}")
            )
        row, column = [0, 0] if part is None else part.var_offset
        eye = np.eye(dims[0], dims[1], row - column)
        return constants.constant(self.gain * eye, dtype, name="mul")


class Orthogonal(Initializer):
    """A random matrix with orthogonal rows or columns, whichever are fewer, times ``gain``.

    A shape of more dimensions is that of a matrix whose rows are all of them but the last.

    Parameters
    ----------
    gain : float, optional
        Default: 1.
    seed : int, optional
    dtype : DType, optional

    Notes
    -----
    Every such matrix is as likely (F. Mezzadri, *How to generate random matrices from the classical
    compact groups*, Notices of the AMS 54, 2007). A. M. Saxe et al., *Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks*, ICLR 2014.
    """

    arguments = ("gain", "seed")

    def __init__(
        self, gain: float = 1.0, seed: int | None = None, dtype: Any = dtypes.float32
    ) -> None:
        self.gain, self.seed = gain, seed
        self.dtype = dtypes.as_dtype(dtype)

    def make(self, dims: Any, dtype: dtypes.DType) -> Tensor:
        from gradplan.ops import linalg  # which may itself need initial values
        from gradplan.ops.math import sign

        if len(dims) < 2:
            raise ValueError(
                at_user_line(f"an orthogonal matrix has two dimensions, not {shapes.text(dims)}")
            )
        rows, cols = math.prod(dims[:-1]), dims[-1]
        tall = (max(rows, cols), min(rows, cols))
        normal = variates.random_normal(tall, dtype=dtype, seed=self.seed)
        q, r = linalg.qr(normal, full_matrices=False)
        q = q * sign(linalg.diag_part(r, "DiagPart"))  # else q is not uniform
        q = array.transpose(q, name="matrix_transpose/transpose") if rows < cols else q
        return constants.constant(self.gain, dtype, name="mul_1/x") * array.reshape(q, dims)


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

    arguments = ("scale", "mode", "distribution", "seed")

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

    def make_part(self, dims: Any, dtype: dtypes.DType, part: Any) -> Tensor:
        fan_in, fan_out = _fans(dims if part is None else part.full_shape)
        n = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, n)
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return variates.random_uniform(dims, -limit, limit, dtype, self.seed)
        if self.distribution == "untruncated_normal":
            return variates.random_normal(dims, 0.0, math.sqrt(variance), dtype, self.seed)
        # Cutting at two standard deviations leaves 0.8796 of the standard deviation.
        stddev = math.sqrt(variance) / 0.87962566103423978
        return variates.truncated_normal(dims, 0.0, stddev, dtype, self.seed)


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


def he_normal(seed: int | None = None, dtype: Any = dtypes.float32) -> VarianceScaling:
    """Truncated normal of variance ``2 / inputs``, meant for relu."""
    return VarianceScaling(2.0, "fan_in", "truncated_normal", seed, dtype)


def he_uniform(seed: int | None = None, dtype: Any = dtypes.float32) -> VarianceScaling:
    """Uniform of variance ``2 / inputs``, meant for relu."""
    return VarianceScaling(2.0, "fan_in", "uniform", seed, dtype)


def lecun_normal(seed: int | None = None, dtype: Any = dtypes.float32) -> VarianceScaling:
    """Truncated normal of variance ``1 / inputs``."""
    return VarianceScaling(1.0, "fan_in", "truncated_normal", seed, dtype)


def lecun_uniform(seed: int | None = None, dtype: Any = dtypes.float32) -> VarianceScaling:
    """Uniform of variance ``1 / inputs``."""
    return VarianceScaling(1.0, "fan_in", "uniform", seed, dtype)


_PARAMETERS = inspect.signature(Initializer()).parameters


def parameters_of(given: Any) -> Mapping[str, inspect.Parameter]:
    """The parameters of what is called for an initial value, mostly an initializer of these."""
    own = type(given).__call__ is Initializer.__call__
    return _PARAMETERS if own else inspect.signature(given).parameters


# The names of tf.initializers and of tf itself.
zeros_initializer = zeros = Zeros
ones_initializer = ones = Ones
constant_initializer = constant = Constant
random_normal_initializer = random_normal = RandomNormal
random_uniform_initializer = random_uniform = RandomUniform
truncated_normal_initializer = truncated_normal = TruncatedNormal
uniform_unit_scaling_initializer = uniform_unit_scaling = UniformUnitScaling
variance_scaling_initializer = variance_scaling = VarianceScaling
orthogonal_initializer = orthogonal = Orthogonal
identity = Identity
glorot_uniform = glorot_uniform_initializer
glorot_normal = glorot_normal_initializer
