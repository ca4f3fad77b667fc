"""``get_variable`` and the scopes that decide whether it makes a variable or finds one."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import DType
from gradplan.graph import Graph, Tensor, get_default_graph
from gradplan.ops import initializers
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.state import Variable

__all__ = ["AUTO_REUSE", "VariableScope", "get_variable", "get_variable_scope", "variable_scope"]


class _Reuse(enum.Enum):
    AUTO_REUSE = 1


#: ``variable_scope(..., reuse=AUTO_REUSE)``: make a variable where there is none, else find it.
AUTO_REUSE = _Reuse.AUTO_REUSE


class VariableScope:
    """What ``variable_scope`` yields: the prefix of variable names and the defaults in force.

    Attributes
    ----------
    name : str
        The prefix, without a slash at its end.
    reuse : bool or AUTO_REUSE
    initializer, dtype
        Defaults of :func:`get_variable`.
    original_name_scope : str
        The name scope that was opened with it.
    """

    def __init__(
        self,
        reuse: Any,
        name: str = "",
        initializer: Any = None,
        dtype: DType = dtypes.float32,
        name_scope: str = "",
    ) -> None:
        self.reuse = reuse
        self.name = name
        self.initializer = initializer
        self.dtype = dtype
        self.original_name_scope = name_scope

    def reuse_variables(self) -> None:
        """From here on, find variables instead of making them."""
        self.reuse = True

    def set_initializer(self, initializer: Any) -> None:
        self.initializer = initializer

    def get_variable(self, name: str, *args: Any, **kwargs: Any) -> Variable:
        """:func:`get_variable` in this scope."""
        with variable_scope(self, auxiliary_name_scope=False):
            return get_variable(name, *args, **kwargs)


class _Store:
    """The variables that get_variable made in a graph, and how often each scope was opened."""

    def __init__(self) -> None:
        self.variables: dict[str, Variable] = {}
        self.opened: dict[str, int] = {}
        self.scope = VariableScope(False)


def _store(graph: Graph) -> _Store:
    return graph.extras.setdefault("variable_store", _Store())


def get_variable_scope() -> VariableScope:
    """The variable scope in force in the default graph."""
    return _store(get_default_graph().root).scope


@contextmanager
def variable_scope(
    name_or_scope: Any,
    default_name: str | None = None,
    values: Any = None,
    initializer: Any = None,
    reuse: Any = None,
    dtype: Any = None,
    auxiliary_name_scope: bool = True,
) -> Iterator[VariableScope]:
    """Put the variables of :func:`get_variable` under ``name/``, and say whether they may exist.

    Parameters
    ----------
    name_or_scope : str, VariableScope or None
        A scope that was yielded before is entered again under its own full name.
    default_name : str, optional
        Taken, and made unique, where ``name_or_scope`` is None.
    values : list, optional
        Accepted as in TensorFlow 1.
    initializer : optional
        Default initializer inside.
    reuse : bool or AUTO_REUSE, optional
        True: variables must exist. Inherited by the scopes inside.
    dtype : DType, optional
        Default type inside.
    auxiliary_name_scope : bool, optional
        Whether a name scope is opened too. Default: True.

    Yields
    ------
    VariableScope

    Examples
    --------
    >>> import gradplan as gp
    >>> with gp.variable_scope("layer"):
    ...     w = gp.get_variable("w", [2, 3])
    >>> with gp.variable_scope("layer", reuse=True):
    ...     same = gp.get_variable("w")
    >>> w.name, w is same
    ('layer/w:0', True)
    """
    if name_or_scope is None and default_name is None:
        raise TypeError("If default_name is None then name_or_scope is required")
    if reuse not in (None, False, True, AUTO_REUSE):
        raise ValueError(f"The reuse parameter must be True or False or None, not {reuse!r}")
    graph = get_default_graph()
    store = _store(graph)
    outer = store.scope
    given = name_or_scope if isinstance(name_or_scope, VariableScope) else None
    prefix = f"{outer.name}/" if outer.name else ""
    if given is not None:
        name, base = given.name, given
        local: str | None = given.name.rsplit("/", 1)[-1]
    else:
        base = outer
        local = name_or_scope  # a str, or None
        if local is None:
            local, count = default_name, 0
            while store.opened.get(prefix + local):  # type: ignore[operator]
                count += 1
                local = f"{default_name}_{count}"
        name = prefix + local  # type: ignore[operator]
    store.opened[name] = store.opened.get(name, 0) + 1
    # Once a scope reuses, everything inside does, unless it says otherwise.
    inherited = base.reuse if given is not None else outer.reuse
    inner = VariableScope(
        (reuse or inherited) if reuse is not False or inherited is True else False,
        name,
        base.initializer if initializer is None else initializer,
        base.dtype if dtype is None else dtypes.as_dtype(dtype),
    )
    store.scope = inner
    try:
        if auxiliary_name_scope and local:
            with graph.name_scope(local) as scope:
                inner.original_name_scope = scope
                yield inner
        else:
            inner.original_name_scope = given.original_name_scope if given else f"{graph._scope}/"
            yield inner
    finally:
        store.scope = outer
        # Scopes below are numbered anew when this one is opened again.
        for opened in [k for k in store.opened if k.startswith(f"{name}/")]:
            del store.opened[opened]


def get_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
) -> Variable:
    """The variable of this name in the current scope: made, or found where the scope reuses.

    Parameters
    ----------
    name : str
        The scope's name is put before it; name scopes are not.
    shape : shape, optional
        Needed unless the initializer is a value.
    dtype : DType, optional
        Default: that of the scope, float32.
    initializer : callable, class, tensor_like, optional
        Default: the scope's, else Glorot's uniform for floats and zeros for other types.
    regularizer : callable, optional
        Its value for the variable goes to the collection ``REGULARIZATION_LOSSES``.
    trainable : bool, optional
        Default: True.
    collections : list, optional
    caching_device, partitioner, validate_shape, use_resource : optional
        Accepted as in TensorFlow 1; they change nothing here.

    Returns
    -------
    Variable

    Raises
    ------
    ValueError
        If the variable exists and the scope does not reuse, or the other way round, or the shape or
        type differ from what was found.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.get_variable("w", [3], initializer=gp.zeros_initializer())
    <gp.Variable 'w:0' shape=(3,) dtype=float32>
    """
    if not isinstance(name, str) or not name:
        raise ValueError(f"a variable needs a name, not {name!r}")
    graph = get_default_graph()
    store = _store(graph)
    scope = store.scope
    full = f"{scope.name}/{name}" if scope.name else name
    found = store.variables.get(full)
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    dims = shapes.as_shape(shape)
    if found is not None:
        if scope.reuse is False:
            made = found.op.source
            raise ValueError(
                f"Variable {full} already exists, disallowed. Did you mean to set reuse=True or "
                f"reuse=gp.AUTO_REUSE in VarScope? Originally defined at {made[0]}:{made[1]}"
            )
        if shapes.merge(dims, found._ref._shape) is False:
            raise ValueError(
                f"Trying to share variable {full}, but specified shape {shapes.text(dims)} and "
                f"found shape {shapes.text(found._ref._shape)}."
            )
        if wanted is not None and wanted is not found.dtype:
            raise ValueError(
                f"Trying to share variable {full}, but specified dtype {wanted.name} and found "
                f"dtype {found.dtype.name}."
            )
        return found
    if scope.reuse is True:
        raise ValueError(
            f"Variable {full} does not exist, or was not created with gp.get_variable(). Did you "
            "mean to set reuse=gp.AUTO_REUSE in VarScope?"
        )
    initial, dtype_made = _initial_value(full, dims, wanted, initializer, scope)
    # Names of variables follow variable scopes alone.
    with graph.name_scope(None):
        variable = Variable(
            initial,
            trainable=True if trainable is None else trainable,
            collections=collections,
            name=full,
            dtype=dtype_made,
        )
    store.variables[full] = variable
    if regularizer is not None:
        with graph.name_scope(f"{full}/Regularizer/"):
            loss = regularizer(variable)
        if loss is not None:
            graph.add_to_collection("regularization_losses", loss)
    return variable


def _initial_value(
    full: str, dims: Any, wanted: DType | None, given: Any, scope: VariableScope
) -> Any:
    """What to hand to Variable: a tensor, or a callable that makes one in the variable's own
    scope."""
    dtype = wanted or scope.dtype
    given = scope.initializer if given is None else given
    if given is None:
        glorot = initializers.glorot_uniform_initializer
        given = glorot() if dtype.is_floating else initializers.Zeros()
    if isinstance(given, type):
        given = given()
    if not callable(given):
        if dims is not None:
            raise ValueError("If initializer is a constant, do not specify shape.")
        if isinstance(given, (Tensor, Variable)):
            return given, wanted
        # A Python or NumPy value keeps its own type, unless one was asked for.
        return convert_to_tensor(given, wanted), wanted
    if dims is None or None in dims:
        raise ValueError(
            f"Shape of a new variable ({full}) must be fully defined, but instead was "
            f"{shapes.text(dims)}."
        )
    if "dtype" in inspect.signature(given).parameters:
        return lambda: given(dims, dtype=dtype), dtype
    return lambda: given(dims), dtype  # any function of a shape
