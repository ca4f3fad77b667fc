"""Gradient descent: plain, with momentum, and with a proximal step."""

from __future__ import annotations

from typing import Any

from gradplan.ops.indexed_slices import IndexedSlices
from gradplan.ops.scatter import change_rows, checked_rows, scatter_sub
from gradplan.ops.state import Variable
from gradplan.train import steps
from gradplan.train.optimizer import StepOptimizer


class GradientDescentOptimizer(StepOptimizer):
    """Plain gradient descent: ``var -= learning_rate * grad``.

    Parameters
    ----------
    learning_rate : float, Tensor or callable
    use_locking : bool, optional
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0)
    >>> step = gp.train.GradientDescentOptimizer(0.1).minimize(gp.square(w))
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     sess.run(step)
    ...     print(sess.run(w))
    0.8
    """

    def __init__(
        self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent"
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate

    def _step(self, var: Variable) -> Any:
        rate = self._number(self._learning_rate, "learning_rate", var.dtype)
        return steps.apply_gradient_descent, [], {"alpha": rate}

    def _simplest(self, grad: IndexedSlices) -> Any:
        mine = GradientDescentOptimizer._apply_sparse_duplicate_indices
        return grad._added if type(self)._apply_sparse_duplicate_indices is mine else grad

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Variable) -> Any:
        rate = self._number(self._learning_rate, "learning_rate", var.dtype)
        if not grad._drop:
            return scatter_sub(var, grad.indices, grad.values * rate)
        rows = checked_rows(var, grad.indices, drop=True)
        return change_rows(scatter_sub, var, rows, grad.values * rate)


class MomentumOptimizer(StepOptimizer):
    """Gradient descent with momentum: ``accum = momentum * accum + grad; var -= learning_rate *
    accum``.

    Parameters
    ----------
    learning_rate, momentum : float, Tensor or callable
    use_locking : bool, optional
    name : str, optional
    use_nesterov : bool, optional
        Step by ``grad + momentum * accum`` instead. I. Sutskever et al., *On the importance of
        initialization and momentum in deep learning*, ICML 2013.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0, name="w")
    >>> optimizer = gp.train.MomentumOptimizer(0.1, 0.9)
    >>> step = optimizer.minimize(gp.square(w))
    >>> optimizer.get_slot(w, "momentum")
    <gp.Variable 'w/Momentum:0' shape=() dtype=float32>
    """

    def __init__(
        self,
        learning_rate: Any,
        momentum: Any,
        use_locking: bool = False,
        name: str = "Momentum",
        use_nesterov: bool = False,
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate, self._momentum = learning_rate, momentum
        self._use_nesterov = use_nesterov

    def _create_slots(self, var_list: Any) -> None:
        for v in var_list:
            self._zeros_slot(v, "momentum")

    def _step(self, var: Variable) -> Any:
        numbers = {
            "lr": self._number(self._learning_rate, "learning_rate", var.dtype),
            "momentum": self._number(self._momentum, "momentum", var.dtype),
            "use_nesterov": self._use_nesterov,
        }
        return steps.apply_momentum, [self._zeros_slot(var, "momentum")], numbers


class ProximalGradientDescentOptimizer(StepOptimizer):
    """Gradient descent with a proximal step for penalties, which may end in exact zeros.

    Parameters
    ----------
    learning_rate : float, Tensor or callable
    l1_regularization_strength, l2_regularization_strength : float, optional
        Default: 0.
    use_locking : bool, optional
    name : str, optional

    Notes
    -----
    ::

        p   = var - learning_rate * grad
        var = sign(p) * max(|p| - learning_rate * l1, 0) / (1 + learning_rate * l2)

    J. Duchi and Y. Singer, *Efficient learning using forward-backward splitting*, NIPS 2009.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable([1.0, 0.1])
    >>> optimizer = gp.train.ProximalGradientDescentOptimizer(0.5, l1_regularization_strength=0.5)
    >>> step = optimizer.minimize(gp.reduce_sum(w * 0.0))
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     sess.run(step)
    ...     print(sess.run(w))
    [0.75 0.  ]
    """

    def __init__(
        self,
        learning_rate: Any,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        use_locking: bool = False,
        name: str = "ProximalGradientDescent",
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength

    def _step(self, var: Variable) -> Any:
        rate = self._number(self._learning_rate, "learning_rate", var.dtype)
        l1 = self._number(self._l1, "l1_regularization_strength", var.dtype)
        l2 = self._number(self._l2, "l2_regularization_strength", var.dtype)
        numbers = {"alpha": rate, "l1": rate * l1, "scale": 1.0 + rate * l2}
        return steps.apply_proximal_gradient_descent, [], numbers
