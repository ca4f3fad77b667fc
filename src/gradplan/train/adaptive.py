"""Step sizes of their own for every element: Adagrad, Adadelta, RMSProp, FTRL."""

from __future__ import annotations

from typing import Any

from gradplan.ops.constant import constant
from gradplan.ops.state import Variable
from gradplan.train import steps
from gradplan.train.optimizer import StepOptimizer


class AdagradOptimizer(StepOptimizer):
    """Adagrad: ``accum += grad**2; var -= learning_rate * grad / sqrt(accum)``.

    Parameters
    ----------
    learning_rate : float, Tensor or callable
    initial_accumulator_value : float, optional
        Positive. Default: 0.1.
    use_locking : bool, optional
    name : str, optional

    Notes
    -----
    J. Duchi, E. Hazan and Y. Singer, *Adaptive subgradient methods for online learning and
    stochastic optimization*, JMLR 12, 2011.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0, name="w")
    >>> optimizer = gp.train.AdagradOptimizer(0.5)
    >>> step = optimizer.minimize(gp.square(w))
    >>> optimizer.get_slot_names(), optimizer.get_slot(w, "accumulator").name
    (['accumulator'], 'w/Adagrad:0')
    """

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        use_locking: bool = False,
        name: str = "Adagrad",
    ) -> None:
        _require_positive(initial_accumulator_value)
        super().__init__(use_locking, name)
        self._learning_rate, self._initial = learning_rate, initial_accumulator_value

    def _create_slots(self, var_list: Any) -> None:
        for v in var_list:
            self._filled_slot(v, self._initial, "accumulator")

    def _step(self, var: Variable) -> Any:
        rate = self._number(self._learning_rate, "learning_rate", var.dtype)
        slot = self._filled_slot(var, self._initial, "accumulator")
        return steps.apply_adagrad, [slot], {"lr": rate}


class ProximalAdagradOptimizer(AdagradOptimizer):
    """Adagrad with a proximal step for penalties, which may end in exact zeros.

    Parameters
    ----------
    learning_rate : float, Tensor or callable
    initial_accumulator_value : float, optional
        Positive. Default: 0.1.
    l1_regularization_strength, l2_regularization_strength : float, optional
        Default: 0.
    use_locking : bool, optional
    name : str, optional

    Notes
    -----
    ::

        accum += grad**2;  rate = learning_rate / sqrt(accum);  p = var - rate * grad
        var    = sign(p) * max(|p| - rate * l1, 0) / (1 + rate * l2)

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable([1.0, 0.1])
    >>> optimizer = gp.train.ProximalAdagradOptimizer(0.1, 1.0, l1_regularization_strength=2.0)
    >>> step = optimizer.minimize(gp.reduce_sum(w * 0.0))
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     sess.run(step)
    ...     print(sess.run(w))
    [0.8 0. ]
    """

    def __init__(
        self,
        learning_rate: Any,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: Any = 0.0,
        l2_regularization_strength: Any = 0.0,
        use_locking: bool = False,
        name: str = "ProximalAdagrad",
    ) -> None:
        super().__init__(learning_rate, initial_accumulator_value, use_locking, name)
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength

    def _step(self, var: Variable) -> Any:
        numbers = {
            "lr": self._number(self._learning_rate, "learning_rate", var.dtype),
            "l1": self._number(self._l1, "l1_regularization_strength", var.dtype),
            "l2": self._number(self._l2, "l2_regularization_strength", var.dtype),
            "one": constant(1, var.dtype),
        }
        slot = self._filled_slot(var, self._initial, "accumulator")
        return steps.apply_proximal_adagrad, [slot], numbers


class AdadeltaOptimizer(StepOptimizer):
    """Adadelta: the step is as large as past steps were against past gradients.

    Parameters
    ----------
    learning_rate : float, Tensor or callable, optional
        Default: 0.001; the paper has 1.
    rho : float, optional
        Decay of the averages. Default: 0.95.
    epsilon : float, optional
        Default: 1e-8.
    use_locking : bool, optional
    name : str, optional

    Notes
    -----
    ::

        accum        = rho * accum + (1 - rho) * grad**2
        update       = sqrt(accum_update + epsilon) / sqrt(accum + epsilon) * grad
        accum_update = rho * accum_update + (1 - rho) * update**2
        var         -= learning_rate * update

    M. D. Zeiler, *ADADELTA: An adaptive learning rate method*, arXiv 1212.5701.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0, name="w")
    >>> optimizer = gp.train.AdadeltaOptimizer(1.0)
    >>> step = optimizer.minimize(gp.square(w))
    >>> [optimizer.get_slot(w, name).name for name in optimizer.get_slot_names()]
    ['w/Adadelta:0', 'w/Adadelta_1:0']
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: Any = 0.95,
        epsilon: Any = 1e-8,
        use_locking: bool = False,
        name: str = "Adadelta",
    ) -> None:
        super().__init__(use_locking, name)
        self._lr, self._rho, self._epsilon = learning_rate, rho, epsilon

    def _create_slots(self, var_list: Any) -> None:
        for v in var_list:
            self._slots_of(v)

    def _slots_of(self, var: Variable) -> list[Variable]:
        return [self._zeros_slot(var, "accum"), self._zeros_slot(var, "accum_update")]

    def _step(self, var: Variable) -> Any:
        rho = self._number(self._rho, "rho", var.dtype)
        numbers = {
            "lr": self._number(self._lr, "lr", var.dtype),
            "rho": rho,
            "rest": 1.0 - rho,
            "epsilon": self._number(self._epsilon, "epsilon", var.dtype),
        }
        return steps.apply_adadelta, self._slots_of(var), numbers


class RMSPropOptimizer(StepOptimizer):
    """RMSProp: the gradient divided by the root of a moving average of its square.

    Parameters
    ----------
    learning_rate : float, Tensor or callable
    decay : float, optional
        Of the averages. Default: 0.9.
    momentum : float, optional
        Default: 0.
    epsilon : float, optional
        Default: 1e-10.
    use_locking : bool, optional
    centered : bool, optional
        Divide by the root of an estimate of the variance. Default: False.
    name : str, optional

    Notes
    -----
    ``rms`` starts at one::

        rms      = decay * rms + (1 - decay) * grad**2
        mg       = decay * mg + (1 - decay) * grad              (centered; else 0)
        momentum = momentum * m + learning_rate * grad / sqrt(rms - mg**2 + epsilon)
        var     -= momentum

    T. Tieleman and G. Hinton, *Neural networks for machine learning*, lecture 6.5; centered: A.
    Graves, arXiv 1308.0850.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0, name="w")
    >>> optimizer = gp.train.RMSPropOptimizer(0.01, momentum=0.9)
    >>> step = optimizer.minimize(gp.square(w))
    >>> [optimizer.get_slot(w, name).name for name in ("rms", "momentum")]
    ['w/RMSProp:0', 'w/RMSProp_1:0']
    """

    def __init__(
        self,
        learning_rate: Any,
        decay: Any = 0.9,
        momentum: Any = 0.0,
        epsilon: Any = 1e-10,
        use_locking: bool = False,
        centered: bool = False,
        name: str = "RMSProp",
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate, self._decay = learning_rate, decay
        self._momentum, self._epsilon, self._centered = momentum, epsilon, centered

    def _create_slots(self, var_list: Any) -> None:
        for v in var_list:
            self._slots_of(v)

    def _slots_of(self, var: Variable) -> list[Variable]:
        rms = self._filled_slot(var, 1, "rms")
        mean = [self._zeros_slot(var, "mg")] if self._centered else []
        return [*mean, rms, self._zeros_slot(var, "momentum")]

    def _step(self, var: Variable) -> Any:
        numbers = {
            "lr": self._number(self._learning_rate, "learning_rate", var.dtype),
            "rest": 1.0 - self._number(self._decay, "decay", var.dtype),
            "momentum": self._number(self._momentum, "momentum", var.dtype),
            "epsilon": self._number(self._epsilon, "epsilon", var.dtype),
        }
        step = steps.apply_centered_rms_prop if self._centered else steps.apply_rms_prop
        return step, self._slots_of(var), numbers


class FtrlOptimizer(StepOptimizer):
    """FTRL-proximal: follow the regularised leader, with exact zeros under an L1 penalty.

    Parameters
    ----------
    learning_rate : float, Tensor or callable
    learning_rate_power : float, optional
        Zero or negative. Default: -0.5.
    initial_accumulator_value : float, optional
        Zero or positive. Default: 0.1.
    l1_regularization_strength, l2_regularization_strength : float, optional
        Zero or positive. Default: 0.
    use_locking : bool, optional
    name : str, optional
    accum_name, linear_name : str, optional
        Names of the slots. Default: that of the optimizer.
    l2_shrinkage_regularization_strength : float, optional
        A penalty on the size that is added to the gradient in the linear term alone. Default: 0.

    Raises
    ------
    ValueError
        If a number is out of range.

    Notes
    -----
    With p for minus ``learning_rate_power``::

        new     = accum + grad**2
        linear += grad + 2 * l2_shrinkage * var - (new**p - accum**p) / learning_rate * var
        var     = -sign(linear) * max(|linear| - l1, 0) / (new**p / learning_rate + 2 * l2)
        accum   = new

    H. B. McMahan et al., *Ad click prediction: a view from the trenches*, KDD 2013.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0, name="w")
    >>> optimizer = gp.train.FtrlOptimizer(0.1, l1_regularization_strength=0.01)
    >>> step = optimizer.minimize(gp.square(w))
    >>> [optimizer.get_slot(w, name).name for name in ("accum", "linear")]
    ['w/Ftrl:0', 'w/Ftrl_1:0']
    """

    def __init__(
        self,
        learning_rate: Any,
        learning_rate_power: Any = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        use_locking: bool = False,
        name: str = "Ftrl",
        accum_name: str | None = None,
        linear_name: str | None = None,
        l2_shrinkage_regularization_strength: float = 0.0,
    ) -> None:
        super().__init__(use_locking, name)
        if initial_accumulator_value < 0.0:
            raise ValueError(
                f"initial_accumulator_value {initial_accumulator_value} needs to be positive or "
                "zero"
            )
        if isinstance(learning_rate_power, (int, float)) and learning_rate_power > 0.0:
            raise ValueError(
                f"learning_rate_power {learning_rate_power} needs to be negative or zero"
            )
        for text, strength in (
            ("l1_regularization_strength", l1_regularization_strength),
            ("l2_regularization_strength", l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength),
        ):
            if strength < 0.0:
                raise ValueError(f"{text} {strength} needs to be positive or zero")
        self._learning_rate, self._learning_rate_power = learning_rate, learning_rate_power
        self._initial = initial_accumulator_value
        self._l1, self._l2 = l1_regularization_strength, l2_regularization_strength
        self._shrinkage = l2_shrinkage_regularization_strength
        self._accum_name, self._linear_name = accum_name, linear_name

    def _create_slots(self, var_list: Any) -> None:
        for v in var_list:
            self._slots_of(v)

    def _slots_of(self, var: Variable) -> list[Variable]:
        return [
            self._filled_slot(var, self._initial, "accum", self._accum_name),
            self._zeros_slot(var, "linear", self._linear_name),
        ]

    def _step(self, var: Variable) -> Any:
        l2 = self._number(self._l2, "l2_regularization_strength", var.dtype)
        shrinkage = self._number(self._shrinkage, "l2_shrinkage_regularization_strength", var.dtype)
        numbers = {
            "lr": self._number(self._learning_rate, "learning_rate", var.dtype),
            "l1": self._number(self._l1, "l1_regularization_strength", var.dtype),
            "l2": l2 + l2,
            "shrinkage": shrinkage + shrinkage,
            "lr_power": -self._number(self._learning_rate_power, "learning_rate_power", var.dtype),
        }
        root = isinstance(self._learning_rate_power, float) and self._learning_rate_power == -0.5
        step = steps.apply_ftrl_sqrt if root else steps.apply_ftrl
        return step, self._slots_of(var), numbers


def _require_positive(value: float) -> None:
    if value <= 0.0:
        raise ValueError(f"initial_accumulator_value must be positive: {value}")
