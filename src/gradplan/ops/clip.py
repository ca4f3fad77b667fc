"""Clipping by values or by norms: of one tensor, or of all gradients together."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gradplan import shapes
from gradplan.graph import Tensor, at_user_line
from gradplan.names import gradient_called
from gradplan.opdef import graph_of
from gradplan.ops.array import identity, ones_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.functions import is_finite
from gradplan.ops.indexed_slices import IndexedSlices
from gradplan.ops.logic import greater
from gradplan.ops.math import maximum, minimum, sqrt, square
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.slicing import where

__all__ = [
    "clip_by_average_norm",
    "clip_by_global_norm",
    "clip_by_norm",
    "clip_by_value",
    "global_norm",
]


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """The elements, none below ``clip_value_min`` and none above ``clip_value_max``.

    Parameters
    ----------
    t, clip_value_min, clip_value_max : tensor_like
        Of one type; shapes that broadcast. ``t`` may be IndexedSlices.
    name : str, optional

    Returns
    -------
    Tensor or IndexedSlices
        ``maximum(minimum(t, clip_value_max), clip_value_min)``; the gradient flows to ``t`` where
        it lies between the two.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.clip_by_value([-2.0, 0.5, 3.0], 0.0, 1.0))
    array([0. , 0.5, 1. ], dtype=float32)
    """
    if isinstance(t, IndexedSlices):
        return t.with_values(clip_by_value(t.values, clip_value_min, clip_value_max, name))
    graph = graph_of([t, clip_value_min, clip_value_max])
    with graph.as_default(), graph.name_scope(name or "clip_by_value") as scope:
        t = convert_to_tensor(t)
        low, high = (convert_to_tensor(c, t.dtype) for c in (clip_value_min, clip_value_max))
        return maximum(minimum(t, high), low, name=scope)


def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None, name: str | None = None) -> Any:
    """``t * clip_norm / max(norm(t), clip_norm)``: scaled down where its norm is too large.

    Parameters
    ----------
    t : tensor_like of float, or IndexedSlices
        Of IndexedSlices the values are clipped.
    clip_norm : scalar tensor_like
        The largest norm; positive.
    axes : int or list of int, optional
        The dimensions that a norm is taken along. Default: all.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.clip_by_norm([3.0, 4.0], 1.0))
    array([0.6, 0.8], dtype=float32)
    """
    if isinstance(t, IndexedSlices):
        return t.with_values(clip_by_norm(t.values, clip_norm, axes, name))
    t = convert_to_tensor(t, name="t")
    with t.graph.as_default(), t.graph.name_scope(name or "clip_by_norm") as scope:
        limit = convert_to_tensor(clip_norm, t.dtype, "clip_norm")
        total = reduce_sum(square(t), axes, keepdims=True)
        some = greater(total, constant(0, t.dtype))
        # At 0 the slope of the root is infinite, though nothing depends on it there.
        norm = where(some, sqrt(where(some, total, ones_like(total))), total)
        scaled = t * limit
        _keep_shape("clip_by_norm", t, scaled, limit)
        return identity(scaled / maximum(norm, limit), name=scope)


def clip_by_average_norm(t: Any, clip_norm: Any, name: str | None = None) -> Tensor:
    """``t`` scaled down so that its norm over the number of elements is at most ``clip_norm``.

    Parameters
    ----------
    t : tensor_like of float
    clip_norm : scalar tensor_like
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.Session().run(gp.clip_by_average_norm([3.0, 4.0], 0.5))
    array([0.6, 0.8], dtype=float32)
    """
    t = convert_to_tensor(t, name="t")
    with t.graph.as_default(), t.graph.name_scope(name or "clip_by_average_norm") as scope:
        limit = convert_to_tensor(clip_norm, t.dtype, "clip_norm")
        n = reduce_sum(ones_like(t))  # found when the plan is bound
        one = constant(1, t.dtype)
        inverse = sqrt(one / reduce_sum(square(t)))
        scaled = t * limit
        _keep_shape("clip_by_average_norm", t, scaled, limit)
        return identity(scaled * minimum(inverse * n, one / limit), name=scope)


def _keep_shape(function: str, t: Tensor, scaled: Tensor, limit: Tensor) -> None:
    if shapes.merge(t._shape, scaled._shape) is False:
        raise ValueError(
            at_user_line(
                f"{function}: clip_norm of shape {shapes.text(limit._shape)} would change the "
                f"shape {shapes.text(t._shape)}"
            )
        )


def _listed(t_list: Any, function: str) -> list[Any]:
    if isinstance(t_list, str) or not isinstance(t_list, Sequence):
        raise TypeError(at_user_line(f"{function} takes a list of tensors, not {t_list!r}"))
    return list(t_list)


def _values(t: Any) -> Any:
    return t.values if isinstance(t, IndexedSlices) else t


def global_norm(t_list: Sequence[Any], name: str | None = None) -> Tensor:
    """The norm of all elements of some tensors together: ``sqrt(sum(t^2))``.

    Parameters
    ----------
    t_list : list of tensor_like, IndexedSlices or None
        What is None does not count; of IndexedSlices the values do.
    name : str, optional

    Raises
    ------
    TypeError
        If ``t_list`` is no list.
    ValueError
        If there is no tensor in it.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.global_norm([[3.0], None, [[4.0]]])))
    5.0
    """
    given = [_values(t) for t in _listed(t_list, "global_norm") if t is not None]
    if not given:
        raise ValueError(at_user_line("global_norm needs a tensor"))
    graph = graph_of(given)
    with graph.as_default(), graph.name_scope(name or "global_norm") as scope:
        values = [convert_to_tensor(t, name=f"t_{i}") for i, t in enumerate(given)]
        sums = [
            reduce_sum(gradient_called(square(v), f"/{scope}L2Loss{i and f'_{i}' or ''}_grad/mul"))
            for i, v in enumerate(values)
        ]
        total = sums[0]
        for more in sums[1:]:
            total = total + (more if more.dtype is total.dtype else cast(more, total.dtype))
        return sqrt(total, name="global_norm")


def clip_by_global_norm(
    t_list: Sequence[Any], clip_norm: Any, use_norm: Any = None, name: str | None = None
) -> tuple[list[Any], Tensor]:
    """Scale tensors down together: ``t * clip_norm / max(norm, clip_norm)`` for each.

    Parameters
    ----------
    t_list : list of tensor_like, IndexedSlices or None
        What is None stays None.
    clip_norm : scalar tensor_like
        The largest norm; positive.
    use_norm : scalar tensor_like, optional
        The norm. Default: :func:`global_norm` of ``t_list``.
    name : str, optional

    Returns
    -------
    list_clipped : list of Tensor, IndexedSlices or None
    global_norm : Tensor

    Raises
    ------
    TypeError
        If ``t_list`` is no list.

    Notes
    -----
    If the norm is infinite or NaN, so are all elements. R. Pascanu et al., *On the difficulty of
    training recurrent neural networks*, ICML 2013.

    Examples
    --------
    >>> import gradplan as gp
    >>> clipped, norm = gp.clip_by_global_norm([[3.0], [4.0]], 1.0)
    >>> gp.Session().run(clipped)
    [array([0.6], dtype=float32), array([0.8], dtype=float32)]
    >>> float(gp.Session().run(norm))
    5.0
    """
    given = _listed(t_list, "clip_by_global_norm")
    norm = global_norm(given, name) if use_norm is None else convert_to_tensor(use_norm)
    graph = norm.graph
    with graph.as_default(), graph.name_scope(name or "clip_by_global_norm") as scope:
        limit = convert_to_tensor(clip_norm, norm.dtype, "clip_norm")
        one = constant(1, norm.dtype)
        scale = where(
            is_finite(norm),
            limit * minimum(one / norm, one / limit),
            constant(math.nan, norm.dtype),
        )
        out: list[Any] = []
        for i, t in enumerate(given):
            if t is None:
                out.append(None)
                continue
            value = convert_to_tensor(_values(t), name=f"t_{i}")
            factor = scale if value.dtype is scale.dtype else cast(scale, value.dtype)
            clipped = identity(value * factor, name=f"{scope}_{i}")
            out.append(t.with_values(clipped) if isinstance(t, IndexedSlices) else clipped)
        return out, norm
