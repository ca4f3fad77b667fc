"""Whole minimisations by SciPy: L-BFGS-B, SLSQP and the others, on variables of a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.dtypes import float64
from gradplan.gradients import dense_gradients
from gradplan.graph import Tensor, at_user_line, get_default_session
from gradplan.ops.array import reshape, zeros_like
from gradplan.ops.casts import cast
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.slicing import concat
from gradplan.ops.state import Variable, trainable_variables


class ScipyOptimizerInterface:
    """Minimises a scalar by ``scipy.optimize.minimize``, gradients by :func:`gp.gradients`.

    Parameters
    ----------
    loss : scalar Tensor
    var_list : list of Variable, optional
        What to change. Default: the trainable variables that are floats.
    equalities, inequalities : list of scalar Tensor, optional
        What has to be zero, and what has to be zero or more; for methods that take constraints,
        such as SLSQP.
    var_to_bounds : dict of Variable to (lower, upper), optional
        Numbers or arrays that broadcast to the variable; infinities are no bounds.
    method : str, optional
        Default: ``"L-BFGS-B"``, or ``"SLSQP"`` where there are constraints.
    options, tol : optional
        These and other keywords go to ``scipy.optimize.minimize`` as they are, such as
        ``options={"maxiter": 100}``.

    Raises
    ------
    ValueError
        If loss or a constraint is no scalar, there is no variable, bounds do not fit, or a keyword
        is one that is set here.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.Variable([7.0, 7.0], name="x", dtype=gp.float64)
    >>> loss = gp.reduce_sum(gp.square(x - [1.0, 2.0]))
    >>> optimizer = gp.contrib.opt.ScipyOptimizerInterface(
    ...     loss, inequalities=[x[0] - 3.0], method="SLSQP")
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     result = optimizer.minimize(sess)
    ...     print(sess.run(x).round(6))
    [3. 2.]
    """

    def __init__(
        self,
        loss: Any,
        var_list: Sequence[Variable] | None = None,
        equalities: Sequence[Any] | None = None,
        inequalities: Sequence[Any] | None = None,
        var_to_bounds: dict[Variable, Any] | None = None,
        **optimizer_kwargs: Any,
    ) -> None:
        self._loss = convert_to_tensor(loss)
        with self._loss.graph.as_default():
            floats = [v for v in trainable_variables() if v.dtype.is_floating]
            self._vars = floats if var_list is None else list(var_list)
            if not self._vars:
                raise ValueError("No variables to optimize.")
            for v in self._vars:
                if not isinstance(v, Variable):
                    raise TypeError(f"Argument is not a variable: {v!r}")
                if not v.dtype.is_floating:
                    raise ValueError(f"Invalid type {v.dtype!r} for {v.name}: no float")
            self._dims = [tuple(int(n or 0) for n in v._ref._shape or ()) for v in self._vars]
            self._ends = np.cumsum([shapes.size(d) for d in self._dims])[:-1]
            self._bounds = self._packed_bounds(var_to_bounds or {})
            self._constraints = [
                (kind, *self._with_gradient(t))
                for kind, given in (("eq", equalities), ("ineq", inequalities))
                for t in given or []
            ]
            self._value, self._slope = self._with_gradient(self._loss)
        for name in optimizer_kwargs:
            if name == "bounds":
                raise ValueError("Bounds must be set using the var_to_bounds argument")
            if name in ("jac", "callback", "constraints", "fun", "x0", "args"):
                raise ValueError(
                    f"Optimizer keyword arg '{name}' is set automatically and cannot be injected "
                    "manually"
                )
        self.optimizer_kwargs = dict(optimizer_kwargs)
        if optimizer_kwargs.get("method") is None:
            self.optimizer_kwargs["method"] = "SLSQP" if self._constraints else "L-BFGS-B"

    def _with_gradient(self, given: Any) -> tuple[Tensor, Tensor]:
        """A scalar and its gradient with respect to all variables, as one vector of float64."""
        value = convert_to_tensor(given)
        if value._shape not in ((), None):
            raise ValueError(
                at_user_line(f"a scalar is minimised or constrained, not {value.name} of shape "
                             f"{value.shape}")
            )  # fmt: skip
        parts = [
            zeros_like(v) if g is None else g
            for g, v in zip(dense_gradients(value, self._vars), self._vars, strict=True)
        ]
        flat = [cast(reshape(g, [-1]), float64) for g in parts]
        return cast(value, float64), concat(flat, 0)

    def _packed_bounds(self, given: dict[Variable, Any]) -> np.ndarray | None:
        for v in given:
            if v not in self._vars:
                raise ValueError(f"there are bounds for {v.name}, which is none of the variables")
        if not given:
            return None
        rows = []
        for v, dims in zip(self._vars, self._dims, strict=True):
            low, high = given.get(v, (-np.inf, np.inf))
            try:
                ends = [np.broadcast_to(np.asarray(b, np.float64), dims) for b in (low, high)]
            except ValueError:
                raise ValueError(
                    f"bounds of {v.name} do not broadcast to its shape {v.shape}"
                ) from None
            rows.append(np.stack([b.ravel() for b in ends], 1))
        return np.concatenate(rows)

    def minimize(
        self,
        session: Any = None,
        feed_dict: dict[Any, Any] | None = None,
        fetches: Sequence[Any] | None = None,
        step_callback: Callable[[np.ndarray], Any] | None = None,
        loss_callback: Callable[..., Any] | None = None,
        **run_kwargs: Any,
    ) -> Any:
        """Minimise, and write the variables of the session.

        Parameters
        ----------
        session : Session, optional
            Default: the default session.
        feed_dict : dict, optional
            What is fed to every evaluation.
        fetches : list, optional
            What ``loss_callback`` is called with, one argument each.
        step_callback : callable, optional
            Called after each iteration with all variables as one vector.
        loss_callback : callable, optional
            Called after each evaluation of the loss.
        **run_kwargs : optional
            Accepted as in TensorFlow 1: options and metadata of runs change nothing here.

        Returns
        -------
        scipy.optimize.OptimizeResult
            Where it ended and why. TensorFlow 1 gives None.

        Raises
        ------
        ValueError
            If there is no session.
        FailedPreconditionError
            If a variable is not initialised.

        Notes
        -----
        If an evaluation or a callback raises an exception, the variables are as they were.
        """
        import scipy.optimize

        session = session or get_default_session()
        if session is None:
            raise ValueError("minimize needs a session: there is no default session")
        feeds = dict(feed_dict or {})
        start = [np.asarray(a) for a in session.run(self._vars)]
        x0 = np.concatenate([a.ravel().astype(np.float64) for a in start])
        run = _Evaluator(self, session, feeds)
        extra = list(fetches or [])
        evaluate = run.function([self._value, self._slope, *extra])

        def loss_and_slope(x: np.ndarray) -> tuple[float, np.ndarray]:
            value, slope, *fetched = evaluate(x)
            if loss_callback is not None:
                loss_callback(*fetched)
            return float(value), slope

        constraints = [
            {"type": kind, "fun": run.scalar(value), "jac": run.vector(slope)}
            for kind, value, slope in self._constraints
        ]
        callback = None if step_callback is None else (lambda xk, *_: step_callback(xk) and None)
        try:
            result = scipy.optimize.minimize(
                loss_and_slope,
                x0,
                jac=True,
                callback=callback,
                constraints=constraints,
                bounds=self._bounds,
                **self.optimizer_kwargs,
            )
        except BaseException:
            session.load(dict(zip(self._vars, start, strict=True)))
            raise
        run.write(result.x)
        import logging

        logging.getLogger("gradplan").info(
            "Optimization terminated with:\n  Message: %s\n  Objective function value: %f\n"
            "  Number of iterations: %s\n  Number of functions evaluations: %s",
            result.message, result.fun, getattr(result, "nit", "-"), result.nfev,
        )  # fmt: skip
        return result


class _Evaluator:
    """Evaluates tensors of a session at values of its variables."""

    def __init__(self, owner: ScipyOptimizerInterface, session: Any, feeds: dict[Any, Any]) -> None:
        self._owner, self._session = owner, session
        self._keys, self._values = list(feeds), list(feeds.values())
        self._at: np.ndarray | None = None

    def write(self, x: np.ndarray) -> None:
        if self._at is not None and np.array_equal(self._at, x):
            return
        owner = self._owner
        parts = np.split(np.asarray(x, np.float64), owner._ends)
        self._session.load(
            {
                v: part.reshape(dims).astype(v.dtype.np)
                for v, dims, part in zip(owner._vars, owner._dims, parts, strict=True)
            }
        )
        self._at = np.array(x)

    def function(self, tensors: Sequence[Any]) -> Callable[[np.ndarray], Any]:
        call = self._session.make_callable(list(tensors), self._keys)

        def evaluate(x: np.ndarray) -> Any:
            self.write(x)
            return call(*self._values)

        return evaluate

    def scalar(self, tensor: Tensor) -> Callable[[np.ndarray], float]:
        evaluate = self.function([tensor])
        return lambda x: float(evaluate(x)[0])

    def vector(self, tensor: Tensor) -> Callable[[np.ndarray], np.ndarray]:
        evaluate = self.function([tensor])
        return lambda x: np.array(evaluate(x)[0])
