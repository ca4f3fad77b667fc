"""Adam and what was made of it: AdamW and LAMB."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradplan.graph import Operation, Tensor, get_default_graph
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant
from gradplan.ops.control import group
from gradplan.ops.logic import greater, logical_and
from gradplan.ops.math import sqrt, square
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.slicing import where
from gradplan.ops.state import Variable, assign, assign_sub
from gradplan.train import steps
from gradplan.train.optimizer import Optimizer


class AdamOptimizer(Optimizer):
    """Adam.

    Parameters
    ----------
    learning_rate : float, Tensor or callable, optional
        Default: 0.001.
    beta1, beta2 : float, Tensor or callable, optional
        Decay of the moments. Default: 0.9 and 0.999.
    epsilon : float, Tensor or callable, optional
        Default: 1e-8.
    use_locking : bool, optional
    name : str, optional

    Notes
    -----
    With t the number of the step::

        m   = beta1 * m + (1 - beta1) * grad
        v   = beta2 * v + (1 - beta2) * grad**2
        var -= learning_rate * sqrt(1 - beta2**t) / (1 - beta1**t) * m / (sqrt(v) + epsilon)

    D. P. Kingma and J. Ba, *Adam: A method for stochastic optimization*, ICLR 2015, the form before
    its section 2.1. Where a gradient is some rows alone, all the others change too, as in
    TensorFlow 1: their moments decay.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0, name="w")
    >>> optimizer = gp.train.AdamOptimizer(0.1)
    >>> step = optimizer.minimize(gp.square(w))
    >>> [v.name for v in optimizer.variables()]
    ['beta1_power:0', 'beta2_power:0', 'w/Adam:0', 'w/Adam_1:0']
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adam",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr, self._beta1, self._beta2, self._epsilon = learning_rate, beta1, beta2, epsilon
        self._powers: list[Variable] = []

    def _create_slots(self, var_list: Any) -> None:
        if not self._powers:
            for value, name in ((self._beta1, "beta1_power"), (self._beta2, "beta2_power")):
                given = self._call_if_callable(value)
                self._powers.append(Variable(given, trainable=False, name=name))
        for v in var_list:
            self._moments(v)

    def _moments(self, var: Variable) -> list[Variable]:
        return [self._zeros_slot(var, "m"), self._zeros_slot(var, "v")]

    def variables(self) -> list[Variable]:
        return sorted(self._powers + super().variables(), key=lambda v: v.name)

    def _scalars(self, var: Variable) -> dict[str, Tensor]:
        given = {
            "lr": (self._lr, "learning_rate"),
            "beta1": (self._beta1, "beta1"),
            "beta2": (self._beta2, "beta2"),
            "epsilon": (self._epsilon, "epsilon"),
        }
        return {k: self._number(value, name, var.dtype) for k, (value, name) in given.items()}

    def _apply_dense(self, grad: Tensor, var: Variable) -> Any:
        m, v = self._moments(var)
        beta1_power, beta2_power = [cast(p, var.dtype) for p in self._powers]
        return steps.apply_adam(
            var._ref,
            m._ref,
            v._ref,
            beta1_power=beta1_power,
            beta2_power=beta2_power,
            grad=grad,
            **self._scalars(var),
        )

    def _finish(self, update_ops: list[Operation], name_scope: str) -> Operation:
        graph = get_default_graph()
        with graph.control_dependencies(None):
            before = [p.value() for p in self._powers]
        with graph.control_dependencies(update_ops):
            decays = ((self._beta1, "beta1"), (self._beta2, "beta2"))
            powers = [
                assign(p, b * self._number(value, name, p.dtype)).op
                for p, b, (value, name) in zip(self._powers, before, decays, strict=True)
            ]
        return group(*update_ops, *powers, name=name_scope)


class AdamWOptimizer(AdamOptimizer):
    """Adam with weights that decay by themselves, and not through the gradient.

    Parameters
    ----------
    weight_decay : float, Tensor or callable
        The part of a weight that a step takes away: ``var -= weight_decay * var``. It is not
        multiplied by the learning rate, as in TensorFlow's ``contrib.opt``.
    learning_rate, beta1, beta2, epsilon, use_locking, name :
        As for :class:`AdamOptimizer`.

    Notes
    -----
    I. Loshchilov and F. Hutter, *Decoupled weight decay regularization*, ICLR 2019.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0)
    >>> step = gp.train.AdamWOptimizer(0.1, 0.01).minimize(w * 0.0)
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     sess.run(step)
    ...     print(sess.run(w))
    0.9
    """

    def __init__(
        self,
        weight_decay: Any,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "AdamW",
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, use_locking, name)
        self._weight_decay = weight_decay

    def _apply_dense(self, grad: Tensor, var: Variable) -> Any:
        m, v = self._moments(var)
        n = self._scalars(var)
        power1, power2 = [cast(p, var.dtype) for p in self._powers]
        return steps.apply_adam_w(
            var._ref,
            m._ref,
            v._ref,
            lr=n["lr"] * sqrt(1.0 - power2) / (1.0 - power1),
            weight_decay=self._number(self._weight_decay, "weight_decay", var.dtype),
            rest1=1.0 - n["beta1"],
            rest2=1.0 - n["beta2"],
            epsilon=n["epsilon"],
            grad=grad,
        )


class LAMBOptimizer(AdamOptimizer):
    """LAMB: Adam's direction, with a step for each variable in proportion to its norm.

    Parameters
    ----------
    learning_rate, beta1, beta2, use_locking, name :
        As for :class:`AdamOptimizer`.
    epsilon : float, optional
        Default: 1e-6.
    weight_decay : float, Tensor or callable, optional
        Default: 0.01.
    exclude_from_weight_decay : callable, optional
        Says of a variable whether it shall not decay. Default: all do.

    Notes
    -----
    With ``m`` and ``v`` Adam's moments, corrected for the bias of their start::

        r    = m / (sqrt(v) + epsilon) + weight_decay * var
        var -= learning_rate * norm(var) / norm(r) * r

    where a norm of zero counts as if both were one. Y. You et al., *Large batch optimization for
    deep learning: training BERT in 76 minutes*, ICLR 2020.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable([3.0, 4.0])
    >>> optimizer = gp.train.LAMBOptimizer(0.1, weight_decay=0.0)
    >>> step = optimizer.minimize(gp.reduce_sum(w))
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     sess.run(step)
    ...     print(sess.run(w).round(3))
    [2.646 3.646]
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta1: Any = 0.9,
        beta2: Any = 0.999,
        epsilon: Any = 1e-6,
        weight_decay: Any = 0.01,
        exclude_from_weight_decay: Callable[[Variable], bool] | None = None,
        use_locking: bool = False,
        name: str = "LAMB",
    ) -> None:
        super().__init__(learning_rate, beta1, beta2, epsilon, use_locking, name)
        self._weight_decay, self._exclude = weight_decay, exclude_from_weight_decay

    def _apply_dense(self, grad: Tensor, var: Variable) -> Any:
        m, v = self._moments(var)
        n = self._scalars(var)
        power1, power2 = [cast(p, var.dtype) for p in self._powers]
        weights = var.value()
        new_m = assign(m, m.value() + (grad - m.value()) * (1.0 - n["beta1"]))
        new_v = assign(v, v.value() + (square(grad) - v.value()) * (1.0 - n["beta2"]))
        step = new_m / (1.0 - power1) / (sqrt(new_v / (1.0 - power2)) + n["epsilon"])
        if self._exclude is None or not self._exclude(var):
            step += self._number(self._weight_decay, "weight_decay", var.dtype) * weights
        size, length = _norm(weights), _norm(step)
        zero, one = constant(0, var.dtype), constant(1, var.dtype)
        both = logical_and(greater(size, zero), greater(length, zero))
        ratio = where(both, size / where(both, length, one), one)
        return group(new_m.op, new_v.op, assign_sub(var, n["lr"] * ratio * step).op)


def _norm(x: Tensor) -> Tensor:
    return sqrt(reduce_sum(square(x)))
