"""Moving averages of variables and tensors."""

from __future__ import annotations

from typing import Any

from gradplan import dtypes
from gradplan.graph import Operation, Tensor, default_graph, get_default_graph
from gradplan.opdef import graph_of
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant, convert_to_tensor
from gradplan.ops.control import group
from gradplan.ops.math import minimum, pow
from gradplan.ops.state import (
    Variable,
    assign,
    assign_add,
    assign_sub,
    global_variables,
    trainable_variables,
)
from gradplan.train.slots import make_slot

_COLLECTION = "moving_average_variables"


def moving_average_variables(scope: str | None = None) -> list[Variable]:
    """The variables that an :class:`gp.train.ExponentialMovingAverage` averages; with ``scope``,
    those whose name matches it.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0, name="w")
    >>> update = gp.train.ExponentialMovingAverage(0.9).apply([w])
    >>> gp.moving_average_variables()
    [<gp.Variable 'w:0' shape=() dtype=float32>]
    """
    return get_default_graph().get_collection(_COLLECTION, scope)


def assign_moving_average(
    variable: Variable,
    value: Any,
    decay: Any,
    zero_debias: bool = True,
    name: str | None = None,
) -> Tensor:
    """Move a variable towards a value: ``variable -= (1 - decay) * (variable - value)``.

    Parameters
    ----------
    variable : Variable
    value : tensor_like
        Of its shape.
    decay : float or Tensor
    zero_debias : bool, optional
        Take the variable for an average that began with 0, and correct it for that: the slot
        ``<variable>/biased`` is averaged, ``<variable>/local_step`` counts, and the variable
        becomes ``biased / (1 - decay**local_step)``. Default: True.
    name : str, optional

    Returns
    -------
    Tensor
        The new value.

    Notes
    -----
    The correction is that of D. P. Kingma and J. Ba, *Adam*, ICLR 2015, section 3.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(1.0)
    >>> moved = gp.train.assign_moving_average(v, 3.0, 0.75, zero_debias=False)
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     print(sess.run(moved))
    1.5
    """
    graph = graph_of([variable])
    with graph.as_default(), graph.name_scope(name or "AssignMovingAvg") as scope:
        rest = 1.0 - decay if isinstance(decay, (int, float)) else 1.0 - convert_to_tensor(decay)
        rest = cast(convert_to_tensor(rest, name="decay"), variable.dtype)
        value = convert_to_tensor(value, variable.dtype)
        if not zero_debias:
            return assign_sub(variable, (variable.value() - value) * rest, name=scope)
        biased = make_slot(variable, lambda: _zeros(variable), "biased")
        count = make_slot(variable, lambda: constant(0, variable.dtype), "local_step")
        new = assign_sub(biased, (biased.value() - value) * rest)
        step = assign_add(count, constant(1, variable.dtype))
        return assign(variable, new / (1.0 - pow(1.0 - rest, step)), name=scope)


def _zeros(like: Any) -> Tensor:
    return constant(0, like.dtype, shape=like.shape)


class ExponentialMovingAverage:
    """Averages of variables in which older values count less and less.

    Parameters
    ----------
    decay : float or Tensor
        How much an average keeps in a step: ``average -= (1 - decay) * (average - variable)``.
    num_updates : int, Tensor or Variable, optional
        The number of steps so far: the decay is then at most ``(1 + n) / (10 + n)``, so that an
        average moves faster at first.
    zero_debias : bool, optional
        Whether averages of tensors, which begin with 0, are corrected for that. Those of variables
        begin with the initial value. Default: False.
    name : str, optional
        Default: ``"ExponentialMovingAverage"``.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable(1.0, name="w")
    >>> ema = gp.train.ExponentialMovingAverage(0.75)
    >>> with gp.control_dependencies([w.assign(3.0)]):
    ...     update = ema.apply([w])
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     sess.run(update)
    ...     print(ema.average(w).name, sess.run(ema.average(w)))
    w/ExponentialMovingAverage:0 1.5
    """

    def __init__(
        self,
        decay: Any,
        num_updates: Any = None,
        zero_debias: bool = False,
        name: str = "ExponentialMovingAverage",
    ) -> None:
        self._decay, self._num_updates, self._zero_debias = decay, num_updates, zero_debias
        self._name = name
        self._averages: dict[Any, Variable] = {}

    @property
    def name(self) -> str:
        return self._name

    def apply(self, var_list: Any = None) -> Operation:
        """An operation that brings the averages up to date.

        Parameters
        ----------
        var_list : list of Variable or Tensor, optional
            Default: the trainable variables.

        Raises
        ------
        TypeError
            If one is no float.
        """
        variables = trainable_variables() if var_list is None else list(var_list)
        for var in variables:
            if not isinstance(var, (Tensor, Variable)) or not var.dtype.is_floating:
                raise TypeError(
                    f"The variables must be half, float, or double: {getattr(var, 'name', var)}"
                )
        graph = graph_of(variables)
        with graph.as_default():
            debiased = set()
            for var in variables:
                if var not in self._averages:
                    self._averages[var] = self._new_average(var)
                    if self._zero_debias and not isinstance(var, Variable):
                        debiased.add(var)
            with graph.name_scope(self._name) as scope:
                decay = convert_to_tensor(self._decay, name="decay")
                if self._num_updates is not None:
                    n = cast(convert_to_tensor(self._num_updates), dtypes.float32)
                    decay = minimum(decay, cast((1.0 + n) / (10.0 + n), decay.dtype))
                updates = [
                    assign_moving_average(
                        self._averages[var], var, decay, zero_debias=var in debiased
                    ).op
                    for var in variables
                ]
                return group(*updates, name=scope)

    def _new_average(self, var: Any) -> Variable:
        if isinstance(var, Variable):
            if var not in var.graph.get_collection(_COLLECTION):
                var.graph.add_to_collection(_COLLECTION, var)
            with default_graph(var.graph):  # its name stands in the current scope
                value = var.initialized_value()
            return make_slot(var, lambda: value, self._name)
        return make_slot(var, lambda: _zeros(var), self._name)

    def average(self, var: Any) -> Variable | None:
        """The variable that holds the average of ``var``; None if :meth:`apply` was not given
        it."""
        return self._averages.get(var)

    def average_name(self, var: Any) -> str:
        """The name of the operation of the average of ``var``, that it has or would have."""
        found = self._averages.get(var)
        return f"{var.op.name}/{self._name}" if found is None else found.op.name

    def variables_to_restore(self, moving_avg_variables: Any = None) -> dict[str, Variable]:
        """What a :class:`gp.train.Saver` restores so that variables get their averages.

        Parameters
        ----------
        moving_avg_variables : list of Variable, optional
            Those that have averages. Default: the trainable ones and those averaged here.

        Returns
        -------
        dict of str to Variable
            By the name in the checkpoint: that of the average for each of them, and its own for
            every other variable.

        Examples
        --------
        >>> import gradplan as gp
        >>> w = gp.Variable(1.0, name="w")
        >>> n = gp.Variable(0, name="n", trainable=False)
        >>> sorted(gp.train.ExponentialMovingAverage(0.9).variables_to_restore())
        ['n', 'w/ExponentialMovingAverage']
        """
        if moving_avg_variables is None:
            moving_avg_variables = trainable_variables() + moving_average_variables()
        averaged = dict.fromkeys(moving_avg_variables)
        names = {v.op.name for v in averaged}
        out = {self.average_name(v): v for v in averaged}
        for v in global_variables():
            if v not in averaged and v.op.name not in names:
                out.setdefault(v.op.name, v)
        return out
