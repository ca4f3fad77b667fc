"""Optimizer: ``minimize`` is ``compute_gradients`` followed by ``apply_gradients``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradplan.dtypes import DType, float32, float64
from gradplan.gradients import gradients
from gradplan.graph import GraphKeys, Operation, Tensor, default_graph, get_default_graph
from gradplan.opdef import graph_of
from gradplan.ops.array import ones, zeros
from gradplan.ops.casts import cast
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.control import group
from gradplan.ops.gather import gather_rows
from gradplan.ops.indexed_slices import IndexedSlices
from gradplan.ops.initializers import constant_initializer
from gradplan.ops.partitioned import PartitionedVariable
from gradplan.ops.scatter import change_rows, checked_rows, scatter_update
from gradplan.ops.segment import unsorted_segment_sum
from gradplan.ops.sets import padded_unique, unique
from gradplan.ops.sizes import size
from gradplan.ops.state import Variable, assign_add, constrained, trainable_variables
from gradplan.train.slots import make_slot


class Optimizer:
    """Base of the optimizers.

    Parameters
    ----------
    use_locking : bool
        Accepted as in TensorFlow 1; runs on one session never overlap.
    name : str
        The name of the operations, and of the slots.

    Notes
    -----
    An optimizer of your own defines ``_apply_dense(grad, var)``, which gives the operation that
    changes a variable, and where it needs them ``_create_slots(var_list)``, which calls
    ``_zeros_slot(var, slot_name, op_name)``, ``_prepare()``, which makes tensors of its numbers,
    ``_apply_sparse(grad, var)`` for :class:`gp.IndexedSlices`, and ``_finish(update_ops,
    name_scope)``.

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

    GATE_NONE, GATE_OP, GATE_GRAPH = 0, 1, 2

    def __init__(self, use_locking: bool, name: str) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._use_locking = use_locking
        self._name = name
        self._slots: dict[str, dict[Variable, Variable]] = {}
        self._numbers: dict[str, Tensor] = {}  # of the call of apply_gradients under way
        self._scope = ""  # and the name scope that they stand in

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
        gate_gradients : int, optional
            GATE_OP, the default, names gradients as TensorFlow's tuples; nothing waits for another.
        aggregation_method, colocate_gradients_with_ops : optional
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
        pairs = self.compute_gradients(
            loss, var_list, gate_gradients, aggregation_method, grad_loss=grad_loss
        )
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
    ) -> list[tuple[Any, Variable]]:
        """The gradients of ``loss``, each with its variable; None where ``loss`` does not depend
        on it.

        Parameters
        ----------
        loss, var_list, gate_gradients, aggregation_method, colocate_gradients_with_ops, grad_loss :
            As for :meth:`minimize`.

        Returns
        -------
        list of (Tensor or IndexedSlices or None, Variable)
            IndexedSlices where nothing but rows of the variable is used, by ``gather`` or
            ``embedding_lookup``.

        Raises
        ------
        ValueError
            If there is no variable, or the loss is no float, or a variable with a gradient.
        TypeError
            If ``loss`` is a function.
        """
        if callable(loss):
            raise TypeError("`loss` must be a tensor: a function is for eager execution alone")
        if gate_gradients not in (0, 1, 2):
            raise ValueError(
                "gate_gradients must be one of: Optimizer.GATE_NONE, Optimizer.GATE_OP, "
                f"Optimizer.GATE_GRAPH.  Not {gate_gradients}"
            )
        loss = convert_to_tensor(loss)
        with loss.graph.as_default():
            variables = trainable_variables() if var_list is None else _variables(var_list)
            if not variables:
                raise ValueError("No variables to optimize.")
            _require_float(loss)
            # Gradients write nothing: only what applies them has to wait for what is under way,
            # such as UPDATE_OPS, and without control inputs they fuse.
            with loss.graph.control_dependencies(None):
                found = gradients(
                    loss,
                    variables,
                    None if grad_loss is None else [grad_loss],
                    gate_gradients=gate_gradients == Optimizer.GATE_OP,
                    aggregation_method=aggregation_method,
                )
            pairs = list(zip(found, variables, strict=True))
            for g, v in pairs:  # an integer without a gradient is a counter, mostly
                if g is not None:
                    _require_float(v)
            return pairs

    def apply_gradients(
        self,
        grads_and_vars: Any,
        global_step: Any = None,
        name: str | None = None,
    ) -> Operation:
        """An operation that changes the variables by their gradients.

        Parameters
        ----------
        grads_and_vars : list of (tensor_like, IndexedSlices or None, Variable)
            A variable whose gradient is None stays as it is.
        global_step : Variable, optional
            Counted up by one afterwards.
        name : str, optional

        Raises
        ------
        ValueError
            If there is nothing to apply.
        """
        given = list(grads_and_vars)
        if not given:
            raise ValueError("No variables provided.")
        for _, v in given:
            _require_variable(v)
        pairs = [(g, v) for g, v in given if g is not None]
        if not pairs:
            raise ValueError(
                f"No gradients provided for any variable: {[v.name for _, v in given]}."
            )
        for _, v in pairs:
            _require_float(v)
        variables = [v for _, v in pairs]
        graph, outermost = graph_of(variables), variables[0].graph
        with default_graph(outermost), outermost.control_dependencies(None):
            self._create_slots(variables)
        with graph.as_default():
            with graph.name_scope(name or self._name) as scope:
                self._numbers, self._scope = {}, scope
                self._prepare()
                updates = []
                for g, v in pairs:
                    with graph.name_scope(f"update_{v.op.name}"):
                        if isinstance(g, IndexedSlices):
                            g = self._simplest(g)
                        if isinstance(g, IndexedSlices):
                            made = self._apply_sparse_duplicate_indices(g, v)
                        else:
                            made = self._apply_dense(convert_to_tensor(g, v.dtype), v)
                        done = made.op if isinstance(made, Tensor) else made
                        updates.append(constrained(v, done))
                if global_step is None:
                    train = self._finish(updates, scope)
                else:
                    with graph.control_dependencies([self._finish(updates, "update")]):
                        train = assign_add(global_step, 1, name=scope).op
        if graph is outermost and train not in graph.get_collection(GraphKeys.TRAIN_OP):
            graph.add_to_collection(GraphKeys.TRAIN_OP, train)
        return train

    # ---- slots ---------------------------------------------------------------------------------

    def get_slot(self, var: Variable, name: str) -> Variable | None:
        """The slot ``name`` that this optimizer keeps for a variable, or None."""
        return self._slots.get(name, {}).get(var)

    def get_slot_names(self) -> list[str]:
        """The names of the slots, sorted."""
        return sorted(self._slots)

    def variables(self) -> list[Variable]:
        """Every variable that the optimizer keeps, slots and powers, by their names."""
        found = [v for slot in self._slots.values() for v in slot.values()]
        return sorted(found, key=lambda v: v.name)

    def _get_or_make_slot(
        self, var: Variable, val: Any, slot_name: str, op_name: str | None = None
    ) -> Variable:
        """The slot of a variable, made under ``<variable>/<op_name>`` if it is new; ``val`` is its
        initial value, or a function that gives it."""
        found = self._slots.setdefault(slot_name, {})
        if var not in found:
            found[var] = make_slot(var, val, op_name or self._name)
        return found[var]

    def _zeros_slot(self, var: Variable, slot_name: str, op_name: str | None = None) -> Variable:
        """:meth:`_get_or_make_slot` with zeros."""
        return self._filled_slot(var, 0, slot_name, op_name)

    def _filled_slot(
        self, var: Variable, value: Any, slot_name: str, op_name: str | None = None
    ) -> Variable:
        def initial() -> Tensor:
            make = {0: zeros, 1: ones}.get(value)
            return (make or constant_initializer(value))(var.shape, var.dtype)

        return self._get_or_make_slot(var, initial, slot_name, op_name)

    # ---- numbers -------------------------------------------------------------------------------

    def _call_if_callable(self, param: Any) -> Any:
        """A number, or what a function without arguments gives."""
        return param() if callable(param) else param

    def _number(self, value: Any, name: str, dtype: DType) -> Tensor:
        """A hyperparameter as a scalar of the type of a variable.

        As in TensorFlow 1 a Python number is rounded to float32 first, whatever the variable is.
        """
        if name not in self._numbers:
            given = self._call_if_callable(value)
            with get_default_graph().name_scope(self._scope):
                self._numbers[name] = convert_to_tensor(given, name=name)
        return cast(self._numbers[name], dtype)

    # ---- what an optimizer defines -------------------------------------------------------------

    def _create_slots(self, var_list: Sequence[Variable]) -> None:
        """Make what the optimizer keeps for each variable; plain gradient descent keeps nothing."""

    def _prepare(self) -> None:
        """Make the tensors of the hyperparameters."""

    def _apply_dense(self, grad: Tensor, var: Variable) -> Any:
        """The operation that changes one variable."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it changes a variable")

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Variable) -> Any:
        """:meth:`_apply_sparse` with the sum of all rows that have one index."""
        if type(self)._apply_sparse is Optimizer._apply_sparse:
            return self._apply_sparse(grad, var)
        with graph_of([var]).as_default():
            taken = grad if grad._taken._drop else grad._taken  # no index that is none
            different = unique(taken.indices)
            rows = unsorted_segment_sum(taken.values, different.idx, size(different.y))
            return self._apply_sparse(IndexedSlices(rows, different.y, grad.dense_shape), var)

    def _apply_sparse(self, grad: IndexedSlices, var: Variable) -> Any:
        """The operation that changes one variable, or some rows of it alone."""
        whole = IndexedSlices(grad.values, grad.indices, var.shape.as_list())
        return self._apply_dense(convert_to_tensor(whole, var.dtype), var)

    def _simplest(self, grad: IndexedSlices) -> Any:
        """What gives the same numbers as a gradient and is less work."""
        own = type(self)
        ours = [c._apply_sparse_duplicate_indices for c in (Optimizer, StepOptimizer)]
        if own._apply_sparse_duplicate_indices not in ours:
            return grad
        dense = grad._dense
        as_whole = own._apply_sparse is Optimizer._apply_sparse
        if as_whole or own._apply_sparse is StepOptimizer._apply_sparse and grad._names_all:
            return grad if dense is None else dense
        return grad

    def _finish(self, update_ops: list[Operation], name_scope: str) -> Operation:
        """The operation for all updates together, and what is to be done after them."""
        return group(*update_ops, name=name_scope)


class StepOptimizer(Optimizer):
    """An optimizer that changes variables, or rows of them, by a step (``train/steps.py``)."""

    def _step(self, var: Variable) -> tuple[Any, list[Variable], dict[str, Any]]:
        """The step, the slots that it changes after the variable, and its numbers by name."""
        raise NotImplementedError(f"{type(self).__name__} does not say how it changes a variable")

    def _apply_dense(self, grad: Tensor, var: Variable) -> Any:
        step, slots, numbers = self._step(var)
        return step(*[v._ref for v in (var, *slots)], grad=grad, **numbers)

    def _apply_sparse(self, grad: IndexedSlices, var: Variable) -> Any:
        return self._step_of_rows(var, checked_rows(var, grad.indices), grad.values)

    def _apply_sparse_duplicate_indices(self, grad: IndexedSlices, var: Variable) -> Any:
        """The same, by one plan however many of the rows are distinct."""
        if type(self)._apply_sparse is not StepOptimizer._apply_sparse:
            return super()._apply_sparse_duplicate_indices(grad, var)
        with graph_of([var]).as_default():
            taken = grad._taken
            rows, at = padded_unique(checked_rows(var, taken.indices, taken._drop))
            rows = rows[: int(var.shape.as_list()[0] or 0) + 1]  # each row once, and -1
            return self._step_of_rows(var, rows, unsorted_segment_sum(taken.values, at, size(rows)))

    def _step_of_rows(self, var: Variable, rows: Tensor, grad: Tensor) -> Operation:
        """The step on rows of a variable, of which -1 is none."""
        step, slots, numbers = self._step(var)
        changed = (var, *slots)
        old = [gather_rows(v.value(), rows, 0, drop=True) for v in changed]
        new = step.formula(*old, grad=grad, **numbers)
        done = [change_rows(scatter_update, v, rows, x) for v, x in zip(changed, new, strict=True)]
        return group(*done)


def _variables(var_list: Any) -> list[Variable]:
    variables = list(var_list) if isinstance(var_list, (list, tuple)) else [var_list]
    for v in variables:
        _require_variable(v)
    return variables


def _require_variable(v: Any) -> None:
    if isinstance(v, PartitionedVariable):
        raise AttributeError(f"{v!r} is no variable of its own: give its parts, as a list")
    if not isinstance(v, Variable):
        raise TypeError(f"Argument is not a variable: {v!r}")


def _require_float(t: Any) -> None:
    if t.dtype not in (float32, float64):
        raise ValueError(
            f"Invalid type {t.dtype!r} for {t.name}, expected: ['float32', 'float64']."
        )
