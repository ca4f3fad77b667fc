"""Checks of gradients against differences of values: ``gp.test`` and :func:`gp.check_gradients`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradplan.derivatives import jacobian
from gradplan.gradients import as_list, between, dense_gradients
from gradplan.graph import Tensor, at_user_line, get_default_session
from gradplan.ops.array import reshape, zeros
from gradplan.ops.constant import convert_to_tensor, placeholder
from gradplan.ops.state import Variable
from gradplan.session import Session

__all__ = [
    "check_gradients",
    "compute_gradient",
    "compute_gradient_error",
    "gpu_device_name",
    "is_built_with_cuda",
    "is_gpu_available",
]

#: A function of one array, and the magnitude that its rounding is relative to.
Value = Callable[[np.ndarray], tuple[float, float]]


def is_gpu_available(cuda_only: bool = False, min_cuda_compute_capability: Any = None) -> bool:
    """False: gradplan runs on CPUs."""
    return False


def gpu_device_name() -> str:
    """The name of a GPU: empty, since there is none."""
    return ""


def is_built_with_cuda() -> bool:
    """False: gradplan runs on CPUs."""
    return False


# ---- TensorFlow's --------------------------------------------------------------------------------


def compute_gradient(
    x: Any,
    x_shape: Any,
    y: Tensor,
    y_shape: Any,
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: Any = None,
) -> Any:
    """The Jacobian of ``y`` with respect to ``x`` twice: from the graph, and from differences.

    Parameters
    ----------
    x : Tensor or list of Tensor
        Floats that can be fed.
    x_shape : list of int, or list of them
        The shape, or the shapes, to compute it for.
    y : Tensor
    y_shape : list of int
    x_init_value : ndarray, optional
        Where. Default: random numbers between 0 and 1, always the same.
    delta : float, optional
        The step of the central differences. Default: 0.001.
    init_targets : list of Operation, optional
        What to run first.
    extra_feed_dict : dict, optional
        What else to feed.

    Returns
    -------
    tuple of ndarray, or a list of them for a list of x
        ``(theoretical, numeric)``, each with a row for every element of x and a column for every
        element of y.

    Raises
    ------
    ValueError
        If there is no default session, or a shape does not fit.
    TypeError
        If x or y is no float.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float64, [2])
    >>> with gp.Session():
    ...     theoretical, numeric = gp.test.compute_gradient(x, [2], x * x, [2], [1.0, 2.0])
    >>> theoretical
    array([[2., 0.],
           [0., 4.]])
    >>> bool(abs(numeric - theoretical).max() < 1e-9)
    True
    """
    several = isinstance(x, (list, tuple))
    xs = [convert_to_tensor(t) for t in as_list(x)]
    x_shapes = list(x_shape) if several else [x_shape]
    starts: list[Any] = [None] * len(xs)
    if x_init_value is not None:
        starts = list(x_init_value) if several else [x_init_value]
    if not len(xs) == len(x_shapes) == len(starts):
        raise ValueError(
            at_user_line(f"{len(xs)} x, {len(x_shapes)} x_shape and {len(starts)} x_init_value")
        )
    for t in (*xs, y):
        if not t.dtype.is_floating:
            raise TypeError(at_user_line(f"compute_gradient: {t} is no float"))
    session = get_default_session()
    if session is None:
        raise ValueError(
            at_user_line(
                "Cannot compute a gradient: No default session is registered. Use `with "
                "sess.as_default()`."
            )
        )
    for target in as_list(init_targets or []):
        session.run(target)
    feed = dict(extra_feed_dict or {})
    for t, s, start in zip(xs, x_shapes, starts, strict=True):
        given = np.random.default_rng(0).random(tuple(s)) if start is None else np.asarray(start)
        if given.shape != tuple(s):
            raise ValueError(
                at_user_line(f"x_init_value has shape {given.shape}, not x_shape {tuple(s)}")
            )
        feed[t] = given.astype(t.dtype.np)
    out = [_both(session, t, y, tuple(y_shape), feed, delta) for t in xs]
    return out if several else out[0]


def _both(
    session: Any, x: Tensor, y: Tensor, y_shape: tuple[int, ...], feed: dict[Any, Any], delta: float
) -> tuple[np.ndarray, np.ndarray]:
    start = feed[x]
    value = session.run(y, feed)
    if value.shape != y_shape:
        raise ValueError(at_user_line(f"y has shape {value.shape}, not y_shape {y_shape}"))
    rows, columns = start.size, value.size
    with y.graph.as_default():
        found = jacobian(y, x)
        if found is None:
            found = zeros([columns, rows], x.dtype)
        theoretical = session.run(reshape(found, [columns, rows]), feed).T
    numeric = np.empty((rows, columns), x.dtype.np)

    def at(i: int, step: float) -> np.ndarray:
        moved = start.copy()
        moved.reshape(-1)[i] += step
        return session.run(y, {**feed, x: moved}).reshape(-1)

    for i in range(rows):
        numeric[i] = (at(i, delta) - at(i, -delta)) / (2 * delta)
    return theoretical, numeric


def compute_gradient_error(
    x: Any,
    x_shape: Any,
    y: Tensor,
    y_shape: Any,
    x_init_value: Any = None,
    delta: float = 1e-3,
    init_targets: Any = None,
    extra_feed_dict: Any = None,
) -> float:
    """The largest difference between the two Jacobians of :func:`compute_gradient`.

    Parameters and errors are those of :func:`compute_gradient`; NaN if either has one.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float64, [2])
    >>> with gp.Session():
    ...     error = gp.test.compute_gradient_error(x, [2], gp.exp(x), [2])
    >>> error < 1e-5
    True
    """
    pairs = compute_gradient(
        x, x_shape, y, y_shape, x_init_value, delta, init_targets, extra_feed_dict
    )
    pairs = pairs if isinstance(pairs, list) else [pairs]
    return float(np.max([abs(a - b).max(initial=0) for a, b in pairs], initial=0))


# ---- along random directions ---------------------------------------------------------------------

#: By the bytes of the type: the step, and the relative error allowed.
_STEPS = {4: (2.0**-5, 1e-3), 8: (2.0**-10, 1e-6)}


def check_gradients(
    ys: Any,
    xs: Any,
    feed_dict: Any = None,
    session: Any = None,
    *,
    directions: int = 3,
    step: float | None = None,
    rtol: float | None = None,
    seed: int = 0,
) -> None:
    """Compare the gradients of ``ys`` with differences of their values; raise where they differ.

    Parameters
    ----------
    ys : Tensor or list of Tensor
        Floats. What is checked is the gradient of a random weighting of all their elements.
    xs : Tensor, Variable or list of them
        It begins where ``feed_dict`` says, or else at their values in the session. Variables get
        their values back.
    feed_dict : dict, optional
    session : Session, optional
        Default: the default session, or a new one.
    directions : int, optional
        Random directions to try for each x. Default: 3.
    step : float, optional
        Of the differences. Default: 2**-10, and 2**-5 for float32.
    rtol : float, optional
        The error allowed, relative to the sum of the magnitudes that the derivative is made of.
        Default: 1e-6, and 1e-3 for float32.
    seed : int, optional
        Of the weights and directions.

    Raises
    ------
    AssertionError
        For the first gradient that is wrong. It names the operation whose own gradient is not that
        of its values, an element of its input where it is wrong, and both values.
    TypeError
        If a y is no float.
    ValueError
        If no y depends on any x, or there is no y.

    Notes
    -----
    Central differences of fourth order along random directions, summed in float64 whatever the
    type of the graph: one direction shows any wrong element, for eight runs. Graphs of float64 can
    be checked far more closely. At a kink or a jump, and for random numbers, differences are not
    derivatives. What has no gradient (None) is not checked.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.constant([1.0, 2.0], gp.float64)
    >>> gp.check_gradients(gp.sin(x) * x, x)
    """
    y_list, x_list = [convert_to_tensor(y) for y in as_list(ys)], as_list(xs)
    if not y_list:
        raise ValueError(at_user_line("check_gradients: there is no y to differentiate"))
    session = session or get_default_session() or Session(graph=y_list[0].graph)
    check = _Check(session, directions, step, rtol, np.random.default_rng(seed))
    feed = dict(feed_dict or {})
    found = check.compare(y_list, x_list, feed)
    if found is None:
        raise ValueError(at_user_line("check_gradients: no y depends on any x"))
    if found:
        raise AssertionError(at_user_line(f"check_gradients: {check.blame(y_list, x_list, feed)}"))


class _Wrong(NamedTuple):
    """An element of ``xs[number]`` whose gradient is wrong, and both derivatives."""

    number: int
    element: tuple[int, ...]
    analytic: float
    numeric: float


class _Check:
    """Gradients against differences, in one session."""

    def __init__(
        self,
        session: Any,
        directions: int,
        step: float | None,
        rtol: float | None,
        rng: np.random.Generator,
    ) -> None:
        self.session, self.directions, self.rng = session, directions, rng
        self.step, self.rtol = step, rtol

    def compare(
        self, ys: list[Tensor], xs: list[Any], feed: dict[Any, Any], local: bool = False
    ) -> list[_Wrong] | None:
        """The first wrong element, in a list, which is empty if all is right; None if no y depends
        on any x. With ``local``, what the xs depend on does not count."""
        values = self.session.run(ys, feed)
        with ys[0].graph.as_default():
            seeds = [placeholder(y.dtype, np.shape(v)) for y, v in zip(ys, values, strict=True)]
            dxs = dense_gradients(ys, xs, grad_ys=seeds, stop_gradients=xs if local else None)
        given = {
            s: np.asarray(self.rng.standard_normal(np.shape(v)), s.dtype.np)
            for s, v in zip(seeds, values, strict=True)
        }
        weights = [given[s].astype(np.float64) for s in seeds]
        for number, (x, dx) in enumerate(zip(xs, dxs, strict=True)):
            if dx is None:
                continue
            start = np.asarray(self.session.run(x, feed))
            gradient = np.asarray(self.session.run(dx, {**feed, **given}), np.float64)

            def value(moved: np.ndarray, x: Any = x) -> tuple[float, float]:
                """The weighted sum of the ys, and that of the magnitudes."""
                terms = [
                    np.asarray(out, np.float64) * w
                    for out, w in zip(self._run(ys, x, moved, feed), weights, strict=True)
                ]
                return sum(float(t.sum()) for t in terms), sum(float(abs(t).sum()) for t in terms)

            try:
                wrong = self._search(value, start, gradient)
            finally:
                if isinstance(x, Variable):
                    self.session.load({x: start})
            if wrong is not None:
                return [_Wrong(number, *wrong)]
        return None if all(dx is None for dx in dxs) else []

    def _run(self, ys: list[Tensor], x: Any, value: np.ndarray, feed: dict[Any, Any]) -> Any:
        if isinstance(x, Variable):
            self.session.load({x: value})
            return self.session.run(ys, feed)
        return self.session.run(ys, {**feed, x: value})

    def _search(self, value: Value, start: np.ndarray, gradient: np.ndarray) -> Any:
        """An element at fault: the direction is cut in halves, and the worse one goes on."""
        for _ in range(self.directions):
            direction = self.rng.standard_normal(start.shape)
            if self._excess(value, start, gradient, direction)[0] <= 0:
                continue
            places = np.arange(start.size)
            while len(places) > 1:
                halves = np.array_split(places, 2)
                off = [
                    self._excess(value, start, gradient, _only(direction, half))[0]
                    for half in halves
                ]
                places = halves[int(np.argmax(off))]
            unit = _only(np.ones(start.shape), places)
            _, analytic, numeric = self._excess(value, start, gradient, unit)
            at = tuple(int(i) for i in np.unravel_index(places[0], start.shape))
            return at, analytic, numeric
        return None

    def _excess(
        self, value: Value, start: np.ndarray, gradient: np.ndarray, direction: np.ndarray
    ) -> tuple[float, float, float]:
        """By how much both derivatives along a direction differ more than they may, and they."""
        default_step, default_rtol = _STEPS.get(start.dtype.itemsize, _STEPS[4])
        step, rtol = self.step or default_step, self.rtol or default_rtol
        terms = gradient * direction
        analytic = float(terms.sum())
        coarse, _ = _derivative(value, start, direction, step)
        numeric, size = _derivative(value, start, direction, step / 2)
        rounding = 64 * float(np.finfo(start.dtype).eps) * size / step
        # What the step changes is the error of the differences, not of the gradient.
        allowed = rtol * (abs(terms).sum() + abs(numeric)) + rounding + 2 * abs(coarse - numeric)
        off = abs(analytic - numeric) - allowed
        return (np.inf if np.isnan(off) else float(off)), analytic, numeric

    def blame(self, ys: list[Tensor], xs: list[Any], feed: dict[Any, Any]) -> str:
        """The first operation whose own gradient is wrong, as the text of an error."""
        tensors = [x if isinstance(x, Tensor) else x._as_graph_element() for x in xs]
        for op in between(tensors, ys, set()):
            outs = [t for t in op.outputs if t.dtype.is_floating]
            ins = list(dict.fromkeys(t for t in op.inputs if t.dtype.is_floating))
            if not outs or any(t.op.type == "VariableV2" for t in ins):
                continue
            # Sizes and indices stay what the graph makes of them.
            here = {**feed, **dict(zip(ins, self.session.run(ins, feed), strict=True))}
            for wrong in self.compare(outs, ins, here, local=True) or []:
                return self._text(f"{op}", ins[wrong.number], wrong)
        for wrong in self.compare(ys, xs, feed) or []:
            what = "the ys, though that of every operation by itself is right (stop_gradient?),"
            return self._text(what, xs[wrong.number], wrong)
        return "differences of the ys are not their gradient, but not along all directions"

    def _text(self, what: str, x: Any, wrong: _Wrong) -> str:
        return (
            f"the gradient of {what} with respect to element {list(wrong.element)} of {x.name} is "
            f"{wrong.analytic!r}, but differences of values give {wrong.numeric!r}"
        )


def _only(direction: np.ndarray, places: np.ndarray) -> np.ndarray:
    """The direction in these places, 0 elsewhere."""
    out = np.zeros_like(direction)
    out.reshape(-1)[places] = direction.reshape(-1)[places]
    return out


def _derivative(
    value: Value, start: np.ndarray, direction: np.ndarray, step: float
) -> tuple[float, float]:
    """The central difference of fourth order, and the magnitude of what was subtracted."""

    def at(k: int) -> tuple[float, float]:
        return value(np.asarray(start + k * step * direction, start.dtype))

    near, far = (at(1), at(-1)), (at(2), at(-2))
    change = 8 * (near[0][0] - near[1][0]) - (far[0][0] - far[1][0])
    return change / (12 * step), max(size for _, size in (*near, *far))
