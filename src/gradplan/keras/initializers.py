"""The initializers under Keras's names and with its defaults, and by strings."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes
from gradplan.graph import at_user_line
from gradplan.ops import initializers as _base
from gradplan.ops.initializers import (
    Constant,
    Identity,
    Initializer,
    Ones,
    Orthogonal,
    VarianceScaling,
    Zeros,
    glorot_normal,
    glorot_uniform,
    he_normal,
    he_uniform,
    lecun_normal,
    lecun_uniform,
)

__all__ = [
    "Constant",
    "Identity",
    "Initializer",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "constant",
    "deserialize",
    "get",
    "glorot_normal",
    "glorot_uniform",
    "he_normal",
    "he_uniform",
    "identity",
    "lecun_normal",
    "lecun_uniform",
    "normal",
    "ones",
    "orthogonal",
    "random_normal",
    "random_uniform",
    "serialize",
    "truncated_normal",
    "uniform",
    "zeros",
]


class RandomNormal(_base.RandomNormal):
    """Normal numbers; Keras's default standard deviation is 0.05."""

    def __init__(
        self,
        mean: float = 0.0,
        stddev: float = 0.05,
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        super().__init__(mean, stddev, seed, dtype)


class TruncatedNormal(_base.TruncatedNormal):
    """Normal numbers within two standard deviations; Keras's default for that is 0.05."""

    def __init__(
        self,
        mean: float = 0.0,
        stddev: float = 0.05,
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        super().__init__(mean, stddev, seed, dtype)


class RandomUniform(_base.RandomUniform):
    """Uniform numbers; Keras's default interval is [-0.05, 0.05)."""

    def __init__(
        self,
        minval: float = -0.05,
        maxval: float | None = 0.05,
        seed: int | None = None,
        dtype: Any = dtypes.float32,
    ) -> None:
        super().__init__(minval, maxval, seed, dtype)


constant = Constant
identity = Identity
normal = random_normal = RandomNormal
ones = Ones
orthogonal = Orthogonal
truncated_normal = TruncatedNormal
uniform = random_uniform = RandomUniform
zeros = Zeros


def serialize(initializer: Initializer) -> dict[str, Any]:
    """Class and configuration of an initializer, for :func:`deserialize`.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.keras.initializers.serialize(gp.keras.initializers.Zeros())
    {'class_name': 'Zeros', 'config': {'dtype': 'float32'}}
    """
    return {"class_name": type(initializer).__name__, "config": initializer.get_config()}


def deserialize(config: dict[str, Any]) -> Any:
    """The initializer that :func:`serialize` describes.

    Examples
    --------
    >>> import gradplan as gp
    >>> kept = gp.keras.initializers.serialize(gp.keras.initializers.Constant(2.0))
    >>> gp.keras.initializers.deserialize(kept).value
    2.0
    """
    return _named(config["class_name"])(**config.get("config", {}))


def _named(name: str) -> Any:
    if name not in __all__ or name in ("get", "serialize", "deserialize", "Initializer"):
        raise ValueError(at_user_line(f"{name!r} is no initializer"))
    return globals()[name]


def get(identifier: Any) -> Any:
    """An initializer from its name, its configuration or itself; None from None.

    Parameters
    ----------
    identifier : str, dict, callable or None

    Raises
    ------
    ValueError
        If there is none of that name.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.keras.initializers.get("he_normal").scale
    2.0
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        return _named(identifier)()
    if isinstance(identifier, dict):
        return deserialize(identifier)
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(at_user_line(f"{identifier!r} names no initializer"))
