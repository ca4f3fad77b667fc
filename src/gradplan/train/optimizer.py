"""Optimizers: ``minimize`` is ``compute_gradients`` followed by ``apply_gradients``."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from gradplan import dtypes, shapes
from gradplan.gradients import gradients
from gradplan.graph import GraphKeys, Operation, Tensor
from gradplan.opdef import STATE, op
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.control import group
from gradplan.ops.math import cast
from gradplan.ops.state import Variable, assign, assign_add, constrained, trainable_variables


def _update(name: str, kernel: str, n_variables: int, scalars: str, flops: int) -> Any:
    """Declare an update kernel: it writes its first inputs, which are variables.

    The other inputs stand in the order of TensorFlow 1; the names in ``scalars`` have rank 0, and
    ``grad`` has the variable's shape.
    """

    def decorate(function: Any) -> Any:
        types = _types(function)
        declared = op(name, STATE, kernel=kernel, flops=flops, writes=n_variables, types=types)(
            function
        )
        names, scalar_names = declared.opdef.inputs, set(scalars.split())

        @declared.shape
        def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
            for parameter, given in zip(names, in_shapes, strict=True):
                want = () if parameter in scalar_names else in_shapes[0]
                if given != want and shapes.merge(given, want) is False:
                    raise ValueError(
                        f"'{parameter}' has shape {shapes.text(given)}, not {shapes.text(want)}"
                    )
            return in_shapes[0]

        @declared.lower
        def _(binder: Any, op: Any) -> None:
            outs = [binder.written(op, i) for i in range(n_variables)]
            ins = [binder.contiguous(binder.view(t)) for t in op.inputs[n_variables:]]
            attrs = [int(v) for v in op.attrs.values()]
            binder.emit(kernel, outs, ins, attrs, updates=True)

        return declared

    return decorate


def _types(function: Any) -> str:
    parameters = inspect.signature(function).parameters.values()
    return "T " * sum(p.default is p.empty for p in parameters) + "-> T"


@_update("ApplyGradientDescent", "apply_gradient_descent", 1, "alpha", 2)
def _apply_gradient_descent(var: Any, alpha: Any, grad: Any, name: str | None = None) -> Any:
    """``var -= alpha * grad``."""


@_update("ApplyMomentum", "apply_momentum", 2, "lr momentum", 4)
def _apply_momentum(
    var: Any,
    accum: Any,
    lr: Any,
    grad: Any,
    momentum: Any,
    use_nesterov: bool = False,
    name: str | None = None,
) -> Any:
    """``accum = momentum * accum + grad; var -= lr * accum``."""


@_update("ApplyAdam", "apply_adam", 3, "beta1_power beta2_power lr beta1 beta2 epsilon", 12)
def _apply_adam(
    var: Any,
    m: Any,
    v: Any,
    beta1_power: Any,
    beta2_power: Any,
    lr: Any,
    beta1: Any,
    beta2: Any,
    epsilon: Any,
    grad: Any,
    use_nesterov: bool = False,
    name: str | None = None,
) -> Any:
    """Adam's update of ``var``, ``m`` and ``v``."""


class Optimizer:
    """Base of the optimizers.

    Parameters
    ----------
    use_locking : bool
        Accepted as in TensorFlow 1; runs on one session never overlap.
    name : str
        The name of the operations, and of the slots.

    Examples
    --------
    A step of plain gradient descent on ``w**2`` from ``w = 1``:

    >>> import gradplan as gp
    >>> w = gp.Variable(1.0)
    >>> step = gp.train.GradientDescentOptimizer(0.1).minimize(gp.square(w))
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     sess.run(step)
    ...     print(sess.run(w))
    0.8
    """

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._use_locking = use_locking
        self._name = name
        self._slots: dict[str, dict[Variable, Variable]] = {}

    def get_name(self) -> str:
        return self._name

    def minimize(
        self,
        loss: Any,
        global_step: Variable | None = None,
        var_list: Any = None,
        gate_gradients: int = 1,
        aggregation_method: Any = None,
        colocate_gradients_with_ops: bool = False,
        name: str | None = None,
        grad_loss: Any = None,
    ) -> Operation:
        """An operation that makes one step towards smaller ``loss``.

        Parameters
        ----------
        loss : Tensor
        global_step : Variable, optional
            Counted up by one after the step.
        var_list : list of Variable, optional
            What to change. Default: the trainable variables.
        gate_gradients, aggregation_method, colocate_gradients_with_ops : optional
            Accepted as in TensorFlow 1; they change nothing here.
        name : str, optional
        grad_loss : tensor_like, optional
            The weight of each element of ``loss``. Default: ones.

        Returns
        -------
        Operation

        Raises
        ------
        ValueError
            If there is nothing to change, or no variable has a gradient.
        """
        pairs = self.compute_gradients(loss, var_list, grad_loss=grad_loss)
        if not any(g is not None for g, _ in pairs):
            raise ValueError(
                "No gradients provided for any variable, check your graph for ops that do not "
                f"support gradients, between variables {[v.name for _, v in pairs]} and loss "
                f"{loss}."
            )
        return self.apply_gradients(pairs, global_step, name)

    def compute_gradients(
        self,
        loss: Any,
        var_list: Any = None,
        gate_gradients: int = 1,
        aggregation_method: Any = None,
        colocate_gradients_with_ops: bool = False,
        grad_loss: Any = None,
    ) -> list[tuple[Tensor | None, Variable]]:
        """The gradients of ``loss``, each with its variable; None where ``loss`` does not depend
        on it.

        The arguments are those of :meth:`minimize`.
        """
        loss = convert_to_tensor(loss)
        with loss.graph.as_default():
            variables = trainable_variables() if var_list is None else _variables(var_list)
            if not variables:
                raise ValueError("No variables to optimize.")
            found = gradients(loss, variables, None if grad_loss is None else [grad_loss])
        return list(zip(found, variables, strict=True))

    def apply_gradients(
        self,
        grads_and_vars: Any,
        global_step: Variable | None = None,
        name: str | None = None,
    ) -> Operation:
        """An operation that changes the variables by their gradients.

        Parameters
        ----------
        grads_and_vars : list of (tensor_like or None, Variable)
        global_step : Variable, optional
            Counted up by one afterwards.
        name : str, optional

        Raises
        ------
        ValueError
            If there is nothing to apply.
        """
        pairs = [(g, v) for g, v in grads_and_vars]
        if not pairs:
            raise ValueError("No variables provided.")
        for _, v in pairs:
            if not isinstance(v, Variable):
                raise TypeError(f"a Variable is expected with every gradient, not {v!r}")
        pairs = [(g, v) for g, v in pairs if g is not None]
        if not pairs:
            raise ValueError("No gradients provided for any variable.")
        graph = pairs[0][1].graph
        with graph.as_default(), graph.control_dependencies(None):
            self._create_slots([v for _, v in pairs])
            with graph.name_scope(name or self._name) as scope:
                self._prepare(pairs[0][1].dtype)
                updates = []
                for g, v in pairs:
                    with graph.name_scope(f"update_{v.op.name}"):
                        g = convert_to_tensor(g, v.dtype)
                        updates.append(constrained(v, self._apply(g, v).op))
                with graph.control_dependencies(updates):
                    updates += self._finish()
                if global_step is None:
                    return group(*updates, name=scope)
                with graph.control_dependencies([group(*updates, name="update")]):
                    step: Operation = assign_add(global_step, 1, name=scope).op
                return step

    # ---- slots ---------------------------------------------------------------------------------

    def get_slot(self, var: Variable, name: str) -> Variable | None:
        """The slot ``name`` that this optimizer keeps for a variable, or None."""
        return self._slots.get(name, {}).get(var)

    def get_slot_names(self) -> list[str]:
        """The names of the slots, sorted."""
        return sorted(self._slots)

    def variables(self) -> list[Variable]:
        """Every variable that the optimizer keeps: slots and powers."""
        return [v for slot in self._slots.values() for v in slot.values()]

    def _zeros_slot(self, var: Variable, slot: str) -> Variable:
        """The slot of a variable, made of zeros under ``<variable>/<optimizer>`` if it is new."""
        found = self._slots.setdefault(slot, {})
        if var not in found:
            graph = var.graph
            taken = {v.op.name for v in graph.get_collection(GraphKeys.GLOBAL_VARIABLES)}
            base, count = f"{var.op.name}/{self._name}", 0
            while f"{base}_{count}" in taken if count else base in taken:
                count += 1
            with graph.name_scope(None):
                zeros = constant(0, var.dtype, shape=var.shape, name=f"{base}/Initializer/zeros")
                name = f"{base}_{count}" if count else base
                found[var] = Variable(zeros, trainable=False, name=name)
        return found[var]

    # ---- what an optimizer defines -------------------------------------------------------------

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        """Make what the optimizer keeps for each variable; plain gradient descent keeps nothing."""

    def _prepare(self, dtype: dtypes.DType) -> None:
        """Make the tensors of the hyperparameters."""

    def _apply(self, grad: Tensor, var: Variable) -> Tensor:
        """The operation that changes one variable."""
        raise TypeError(f"{type(self).__name__} does not say how it changes a variable")

    def _finish(self) -> list[Operation]:
        """Operations to run after all updates."""
        return []


def _variables(var_list: Any) -> list[Variable]:
    variables = list(var_list) if isinstance(var_list, (list, tuple)) else [var_list]
    for v in variables:
        if not isinstance(v, Variable):
            raise TypeError(f"Argument is not a variable: {v!r}")
    return variables


def _hyperparameter(value: Any, dtype: dtypes.DType, name: str) -> Tensor:
    """A number, tensor, or function without arguments that gives one, as a scalar tensor."""
    value = value() if callable(value) else value
    return convert_to_tensor(value, dtype, name)


class GradientDescentOptimizer(Optimizer):
    """Plain gradient descent: ``var -= learning_rate * grad``.

    Parameters
    ----------
    learning_rate : float or Tensor
    use_locking : bool, optional
    name : str, optional
    """

    def __init__(
        self, learning_rate: Any, use_locking: bool = False, name: str = "GradientDescent"
    ) -> None:
        super().__init__(use_locking, name)
        self._learning_rate = learning_rate

    def _prepare(self, dtype: dtypes.DType) -> None:
        self._rate = _hyperparameter(self._learning_rate, dtype, "learning_rate")

    def _apply(self, grad: Tensor, var: Variable) -> Tensor:
        return _apply_gradient_descent(var._ref, self._rate, grad)


class MomentumOptimizer(Optimizer):
    """Gradient descent with momentum: ``accum = momentum * accum + grad; var -= learning_rate *
    accum``.

    Parameters
    ----------
    learning_rate, momentum : float or Tensor
    use_locking : bool, optional
    name : str, optional
    use_nesterov : bool, optional
        Step by ``grad + momentum * accum`` instead. I. Sutskever et al., *On the importance of
        initialization and momentum in deep learning*, ICML 2013.
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

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        for v in variables:
            self._zeros_slot(v, "momentum")

    def _prepare(self, dtype: dtypes.DType) -> None:
        self._rate = _hyperparameter(self._learning_rate, dtype, "learning_rate")
        self._momentum_t = _hyperparameter(self._momentum, dtype, "momentum")

    def _apply(self, grad: Tensor, var: Variable) -> Tensor:
        accum = self._zeros_slot(var, "momentum")
        return _apply_momentum(
            var._ref,
            accum._ref,
            self._rate,
            grad,
            self._momentum_t,
            use_nesterov=self._use_nesterov,
        )


class AdamOptimizer(Optimizer):
    """Adam.

    Parameters
    ----------
    learning_rate : float or Tensor, optional
        Default: 0.001.
    beta1, beta2 : float, optional
        Decay of the moments. Default: 0.9 and 0.999.
    epsilon : float, optional
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
    its section 2.1.
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
        self._learning_rate, self._beta1, self._beta2, self._epsilon = (
            learning_rate,
            beta1,
            beta2,
            epsilon,
        )
        self._powers: list[Variable] = []

    def _create_slots(self, variables: Sequence[Variable]) -> None:
        if not self._powers:
            graph = variables[0].graph
            with graph.name_scope(None):
                for value, name in ((self._beta1, "beta1_power"), (self._beta2, "beta2_power")):
                    initial = _hyperparameter(value, dtypes.float32, f"{name}/initial_value")
                    self._powers.append(Variable(initial, trainable=False, name=name))
        for v in variables:
            self._zeros_slot(v, "m")
            self._zeros_slot(v, "v")

    def variables(self) -> list[Variable]:
        return self._powers + super().variables()

    def _prepare(self, dtype: dtypes.DType) -> None:
        names = ("learning_rate", "beta1", "beta2", "epsilon")
        values = (self._learning_rate, self._beta1, self._beta2, self._epsilon)
        self._scalars = [
            _hyperparameter(v, dtypes.float32, n) for v, n in zip(values, names, strict=True)
        ]

    def _apply(self, grad: Tensor, var: Variable) -> Tensor:
        m, v = self._zeros_slot(var, "m"), self._zeros_slot(var, "v")
        scalars = [cast(t, var.dtype) for t in (*self._powers, *self._scalars)]
        return _apply_adam(var._ref, m._ref, v._ref, *scalars, grad)

    def _finish(self) -> list[Operation]:
        _, beta1, beta2, _ = self._scalars
        return [
            assign(power, power * beta).op
            for power, beta in zip(self._powers, (beta1, beta2), strict=True)
        ]


__all__ = [
    "AdamOptimizer",
    "GradientDescentOptimizer",
    "MomentumOptimizer",
    "Optimizer",
]
