"""Which variables have a value yet, and the old names of what gives them one."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradplan import dtypes, errors
from gradplan.body import behind
from gradplan.composite import register_session_run_conversion_functions
from gradplan.graph import Graph, GraphKeys, Operation, Tensor, get_default_graph
from gradplan.opdef import HOST, apply, op
from gradplan.ops.array import identity
from gradplan.ops.constant import constant
from gradplan.ops.logic import logical_not
from gradplan.ops.slicing import stack
from gradplan.ops.state import (
    Variable,
    _read,
    assign_add,
    global_variables,
    global_variables_initializer,
    local_variables,
    local_variables_initializer,
    reference,
    variables_initializer,
)
from gradplan.scopes import name_scope

__all__ = [
    "all_variables",
    "assert_variables_initialized",
    "count_up_to",
    "initialize_all_variables",
    "initialize_local_variables",
    "initialize_variables",
    "is_variable_initialized",
    "model_variables",
    "moving_average_variables",
    "report_uninitialized_variables",
]


@op("IsVariableInitialized", HOST, types="-> bool", flops=0)
def _is_initialized(variable: Any = None, name: str | None = None) -> Any:
    """Whether the variable of the operation ``variable`` has a value when the run starts, or what
    comes before this in the run has given it one."""


@_is_initialized.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return ()


@_is_initialized.lower
def _(binder: Any, op: Any) -> None:
    state, variable = binder.state, op.attrs["variable"]
    state.initialized(variable)  # it has a place from here on
    given = _written_before(op, variable)
    binder.host(lambda: (np.array(given or state.initialized(variable)),), [binder.result(op)], [])


def _written_before(op: Any, variable: Operation) -> bool:
    """Whether an operation that the run does before ``op`` writes the variable."""
    seen: set[Any] = set()
    stack = list(op.control_inputs)
    while stack:
        before = stack.pop()
        if before not in seen:
            seen.add(before)
            if variable in [t.op.origin for t in before.inputs[: before.writes]]:
                return True
            stack += [*before.control_inputs, *[t.op for t in before.inputs]]
    return False


def is_variable_initialized(variable: Any) -> Tensor:
    """Whether a variable has a value: at the start of the run, or by what control dependencies
    order before this.

    Parameters
    ----------
    variable : Variable

    Returns
    -------
    Tensor
        A scalar bool.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(1.0)
    >>> known = gp.is_variable_initialized(v)
    >>> with gp.Session() as sess:
    ...     before = bool(sess.run(known))
    ...     sess.run(v.initializer)
    ...     print(before, bool(sess.run(known)))
    False True
    """
    place = reference(variable).op
    with place.graph.as_default():
        return apply(_is_initialized.opdef, [], {"variable": place})


@op("AssertVariablesInitialized", HOST, types="->", flops=0, fallible=True)
def _assert_initialized(variables: Any = (), name: str | None = None) -> Any:
    """Fails if the variable of one of the operations ``variables`` has no value."""


@_assert_initialized.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return []


@_assert_initialized.lower
def _(binder: Any, op: Any) -> None:
    state, variables = binder.state, op.attrs["variables"]
    for variable in variables:
        state.initialized(variable)  # it has a place from here on

    def check() -> None:
        for variable in variables:
            if not state.initialized(variable):
                message = f"Attempting to use uninitialized value {variable.name}"
                raise errors.FailedPreconditionError(
                    None, op.origin, f"{message} (in '{op.name}', made at {op.made_at})"
                )

    binder.host(check, [], [])


@op("InitializedValue", HOST, types="T T -> T", T=dtypes.ALL, flops=0)
def _value_or_initial(ref: Any, initial: Any, name: str | None = None) -> Any:
    """The value of the variable ``ref`` where it has one when the run starts, else ``initial``."""


@_value_or_initial.lower
def _(binder: Any, op: Any) -> None:
    state, variable = binder.state, op.inputs[0].op.origin
    state.initialized(variable)

    def choose(value: np.ndarray, initial: np.ndarray) -> tuple[np.ndarray]:
        return (value if state.initialized(variable) else initial,)

    views = [binder.view(t) for t in op.inputs]
    binder.host(choose, [binder.result(op)], views, unset=True)


def value_or_initial(variable: Variable) -> Tensor:
    """The variable's value where it has one when the run starts, else its initial value."""
    graph = variable.graph
    graph.reserve("IsVariableInitialized")  # what TensorFlow's conditional asks
    with graph.as_default(), graph.control_dependencies(None), graph.name_scope("cond"):
        inputs = [variable._ref, variable.initial_value]
        return apply(_value_or_initial.opdef, inputs, {}, "Merge")


def from_initial_values(value: Tensor, name: str) -> Tensor:
    """What initialises the variable ``name``: ``value``, where variables that have none yet when
    the run starts stand for their initial values, since nothing says which is initialised first."""
    graph = value.graph
    keys = GraphKeys.GLOBAL_VARIABLES, GraphKeys.LOCAL_VARIABLES
    known = {v.op: v for key in keys for v in graph.get_collection(key)}
    instead: dict[Tensor, Tensor] = {}
    for step in sorted(behind([value]), key=lambda o: o.id):
        if step.opdef is _read.opdef and step.inputs[0].op in known:
            instead[step.outputs[0]] = value_or_initial(known[step.inputs[0].op])
        elif any([t in instead for t in step.inputs]):
            with graph.name_scope(None):
                copy_name = graph.unique_name(f"{step.name}_{name}_0")
            copy = Operation(
                graph,
                step.opdef,
                copy_name,
                tuple([instead.get(t, t) for t in step.inputs]),
                step.attrs,
                [(t.dtype, t._shape) for t in step.outputs],
                site=step.site,
            )
            copy.asked = step.asked
            instead.update(zip(step.outputs, graph.add(copy).outputs, strict=True))
    return instead.get(value, value)


@op("CountUpTo", HOST, types="T -> T", T=dtypes.INTEGERS, flops=0, fallible=True)
def _below(ref: Any, limit: int = 0, name: str | None = None) -> Any:
    """``ref``, a scalar; the run fails if it is not below ``limit``."""


@_below.lower
def _(binder: Any, op: Any) -> None:
    limit = op.attrs["limit"]

    def check(value: np.ndarray) -> tuple[np.ndarray]:
        if value >= limit:
            raise errors.OutOfRangeError(
                None,
                op.origin,
                f"Reached limit of {limit} (in '{op.name}', made at {op.made_at})",
            )
        return (value,)

    binder.host(check, [binder.result(op)], [binder.view(op.inputs[0])])


def count_up_to(ref: Any, limit: int, name: str | None = None) -> Tensor:
    """Add 1 to a variable when run, as long as it is below ``limit``; gives what it was before.

    Parameters
    ----------
    ref : Variable
        A scalar of int32 or int64.
    limit : int
    name : str, optional

    Raises
    ------
    OutOfRangeError
        At run time, if the variable has reached the limit; it stays as it is.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(0)
    >>> count = gp.count_up_to(v, 2)
    >>> with gp.Session() as sess:
    ...     sess.run(v.initializer)
    ...     print([int(sess.run(count)) for _ in range(2)])
    [0, 1]
    """
    place = reference(ref)
    if place._shape != ():
        raise ValueError(f"count_up_to takes a scalar variable, not {place}")
    with place.graph.as_default():
        before = apply(_below.opdef, [place], {"limit": int(limit)}, name)
        with place.graph.control_dependencies([before]):
            after = assign_add(place, 1)
        with place.graph.control_dependencies([after]):
            return identity(before)


class VariableNames:
    """Names of those variables for which a vector of bools is true; fetched as an array of bytes,
    as TensorFlow 1's tensors of strings are."""

    def __init__(self, chosen: Tensor, names: list[str]) -> None:
        self.chosen = chosen
        self.names = names

    @property
    def graph(self) -> Graph:
        return self.chosen.graph

    @property
    def op(self) -> Operation:
        return self.chosen.op

    @property
    def name(self) -> str:
        return self.chosen.name

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """The names in ``session``, or in the default session."""
        return self._pick([self.chosen.eval(feed_dict, session)])

    def _pick(self, fetched: list[Any]) -> Any:
        names = [n.encode() for n, c in zip(self.names, fetched[0], strict=True) if c]
        return np.array(names, dtype=object)


register_session_run_conversion_functions(VariableNames, lambda v: ([v.chosen], v._pick))


def report_uninitialized_variables(
    var_list: Any = None, name: str = "report_uninitialized_variables"
) -> VariableNames:
    """The names of the variables that have no value when the run starts.

    Parameters
    ----------
    var_list : list of Variable, optional
        Default: the global and local variables of the graph.
    name : str, optional

    Returns
    -------
    VariableNames
        To be fetched alone or among others: an array of names, as bytes.

    Examples
    --------
    >>> import gradplan as gp
    >>> a, b = gp.Variable(1.0, name="a"), gp.Variable(2.0, name="b")
    >>> names = gp.report_uninitialized_variables()
    >>> with gp.Session() as sess:
    ...     sess.run(a.initializer)
    ...     print(sess.run(names))
    [b'b']
    """
    variables = global_variables() + local_variables() if var_list is None else list(var_list)
    with name_scope(name) as scope:
        known = [is_variable_initialized(v) for v in variables]
        unknown = logical_not(stack(known)) if known else constant([], dtypes.bool)
        return VariableNames(identity(unknown, name=scope), [v.op.name for v in variables])


def assert_variables_initialized(var_list: Any = None) -> Operation | None:
    """An operation that fails if a variable has no value when the run starts; None without any.

    Parameters
    ----------
    var_list : list of Variable, optional
        Default: the global and local variables of the graph.

    Raises
    ------
    FailedPreconditionError
        When it is run, naming the first such variable.
    """
    variables = global_variables() + local_variables() if var_list is None else list(var_list)
    if not variables:
        return None
    with variables[0].graph.as_default():
        attrs = {"variables": [v.op for v in variables]}
        return apply(_assert_initialized.opdef, [], attrs, "assert_variables_initialized")


# ---- old names -----------------------------------------------------------------------------------


def all_variables() -> list[Variable]:
    """The old name of :func:`global_variables`."""
    return global_variables()


def initialize_all_variables() -> Operation:
    """The old name of :func:`global_variables_initializer`."""
    return global_variables_initializer()


def initialize_local_variables() -> Operation:
    """The old name of :func:`local_variables_initializer`."""
    return local_variables_initializer()


def initialize_variables(var_list: Any, name: str = "init") -> Operation:
    """The old name of :func:`variables_initializer`."""
    return variables_initializer(var_list, name)


def model_variables(scope: str | None = None) -> list[Variable]:
    """The variables of the collection ``MODEL_VARIABLES``; ``scope`` as for
    :func:`global_variables`."""
    return get_default_graph().get_collection(GraphKeys.MODEL_VARIABLES, scope)


def moving_average_variables(scope: str | None = None) -> list[Variable]:
    """The variables of which moving averages are kept; ``scope`` as for
    :func:`global_variables`."""
    return get_default_graph().get_collection(GraphKeys.MOVING_AVERAGE_VARIABLES, scope)
