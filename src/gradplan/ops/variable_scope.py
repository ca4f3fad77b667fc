"""``get_variable`` and the scopes that decide whether it makes a variable or finds one."""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from gradplan import dtypes, shapes
from gradplan.dtypes import DType
from gradplan.graph import Graph, GraphKeys, at_user_line, default_graph, get_default_graph
from gradplan.ops import initializers
from gradplan.ops.partitioned import PartitionedVariable, make_in_parts, partitions_of
from gradplan.ops.state import Variable

__all__ = [
    "AUTO_REUSE",
    "VariableScope",
    "create_partitioned_variables",
    "get_local_variable",
    "get_variable",
    "get_variable_scope",
    "no_regularizer",
    "variable_creator_scope",
    "variable_scope",
]


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
    initializer, regularizer, constraint, custom_getter, dtype
        Defaults of :func:`get_variable`.
    partitioner
        Default of :func:`get_variable`.
    caching_device, use_resource
        Kept as in TensorFlow 1; they change nothing here.
    original_name_scope : str
        The name scope that was opened with it.
    """

    def __init__(
        self,
        reuse: Any,
        name: str = "",
        initializer: Any = None,
        regularizer: Any = None,
        caching_device: Any = None,
        partitioner: Any = None,
        custom_getter: Any = None,
        name_scope: str = "",
        dtype: DType = dtypes.float32,
        use_resource: bool | None = None,
        constraint: Any = None,
    ) -> None:
        self.reuse = reuse
        self.name = name
        self.initializer = initializer
        self.regularizer = regularizer
        self.caching_device = caching_device
        self.partitioner = partitioner
        self.custom_getter = custom_getter
        self.original_name_scope = name_scope
        self.dtype = dtype
        self.use_resource = use_resource
        self.constraint = constraint

    def reuse_variables(self) -> None:
        """From here on, find variables instead of making them."""
        self.reuse = True

    def set_initializer(self, initializer: Any) -> None:
        self.initializer = initializer

    def set_regularizer(self, regularizer: Any) -> None:
        self.regularizer = regularizer

    def set_dtype(self, dtype: Any) -> None:
        self.dtype = dtypes.as_dtype(dtype)

    def set_use_resource(self, use_resource: bool) -> None:
        self.use_resource = use_resource

    def set_caching_device(self, caching_device: Any) -> None:
        self.caching_device = caching_device

    def set_partitioner(self, partitioner: Any) -> None:
        self.partitioner = partitioner

    def set_custom_getter(self, custom_getter: Any) -> None:
        self.custom_getter = custom_getter

    def get_collection(self, name: Any) -> list[Any]:
        """What of a collection stands under this scope."""
        prefix = f"{self.name}/" if self.name else ""
        found = get_default_graph().get_collection(name)
        return [v for v in found if (getattr(v, "name", None) or "").startswith(prefix)]

    def global_variables(self) -> list[Variable]:
        """The variables of this scope."""
        return self.get_collection(GraphKeys.GLOBAL_VARIABLES)

    def local_variables(self) -> list[Variable]:
        """The variables of this scope in the collection ``LOCAL_VARIABLES``."""
        return self.get_collection(GraphKeys.LOCAL_VARIABLES)

    def trainable_variables(self) -> list[Variable]:
        """The variables of this scope that optimizers change by default."""
        return self.get_collection(GraphKeys.TRAINABLE_VARIABLES)

    def get_variable(self, name: str, *args: Any, **kwargs: Any) -> Variable:
        """:func:`get_variable` in this scope."""
        with variable_scope(self, auxiliary_name_scope=False):
            return get_variable(name, *args, **kwargs)


class _Store:
    """The variables that get_variable made in a graph, and how often each scope was opened."""

    def __init__(self) -> None:
        self.variables: dict[str, Any] = {}
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
    regularizer: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    custom_getter: Any = None,
    reuse: Any = None,
    dtype: Any = None,
    use_resource: bool | None = None,
    constraint: Any = None,
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
    initializer, regularizer, constraint, partitioner : optional
        Defaults inside.
    caching_device, use_resource : optional
        Accepted as in TensorFlow 1; they change nothing here.
    custom_getter : callable, optional
        See :func:`get_variable`; those of the scopes around are called inside it.
    reuse : bool or AUTO_REUSE, optional
        True: variables must exist. Inherited by the scopes inside, and False is as good as None.
    dtype : DType, optional
        Default type inside.
    auxiliary_name_scope : bool, optional
        Whether a name scope is opened too. Default: True.

    Yields
    ------
    VariableScope

    Raises
    ------
    TypeError
        If there is neither a name nor a default one.
    ValueError
        If ``reuse`` is none of these, or given for a scope that is made unique.

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
        raise TypeError(at_user_line("If default_name is None then name_or_scope is required"))
    if name_or_scope is not None and not isinstance(name_or_scope, (str, VariableScope)):
        raise TypeError(
            at_user_line("VariableScope: name_or_scope must be a string or VariableScope.")
        )
    if reuse not in (None, False, True, AUTO_REUSE):
        raise ValueError(
            at_user_line(f"The reuse parameter must be True or False or None, not {reuse!r}.")
        )
    if name_or_scope is None and reuse:
        raise ValueError(at_user_line("reuse=True cannot be used without a name_or_scope"))
    graph = get_default_graph()
    store = _store(graph.root)
    outer = store.scope
    given: Any = name_or_scope if isinstance(name_or_scope, VariableScope) else None
    prefix = f"{outer.name}/" if outer.name else ""
    if given is not None:
        name, base = given.name, given
        local: Any = given.name.rsplit("/", 1)[-1]
    else:
        base = outer
        local = name_or_scope
        if local is None:
            local, count = default_name, 0
            while store.opened.get(prefix + local):
                count += 1
                local = f"{default_name}_{count}"
        name = prefix + local
    store.opened[name] = store.opened.get(name, 0) + 1
    before = dict(store.opened)
    inner = VariableScope(
        reuse or base.reuse,  # once a scope reuses, everything inside does
        name,
        base.initializer if initializer is None else initializer,
        base.regularizer if regularizer is None else regularizer,
        base.caching_device if caching_device is None else caching_device,
        base.partitioner if partitioner is None else partitioner,
        _composed(custom_getter, base.custom_getter),
        base.original_name_scope,
        base.dtype if dtype is None else dtypes.as_dtype(dtype),
        base.use_resource if use_resource is None else use_resource,
        base.constraint if constraint is None else constraint,
    )
    store.scope = inner
    try:
        if auxiliary_name_scope and local:
            # made unique by itself: a name scope may be taken where a variable scope is not
            with graph.name_scope(default_name if name_or_scope is None else local) as scope:
                if given is None:
                    inner.original_name_scope = scope
                yield inner
        else:
            if given is None:
                inner.original_name_scope = f"{graph._scope}/" if graph._scope else ""
            yield inner
    finally:
        store.scope = outer
        if given is not None:
            store.opened = before
        else:  # scopes below are numbered anew when this one is opened again
            for opened in [k for k in store.opened if k.startswith(f"{name}/")]:
                del store.opened[opened]


@contextmanager
def variable_creator_scope(variable_creator: Callable[..., Any]) -> Iterator[None]:
    """Make every variable of the default graph that is made inside by a function.

    Parameters
    ----------
    variable_creator : callable
        ``variable_creator(next_creator, **arguments)`` gives the variable, mostly
        ``next_creator(**arguments)`` with other arguments, those of :class:`Variable`. Creators of
        scopes inside are called before those of scopes around.

    Examples
    --------
    >>> import gradplan as gp
    >>> def frozen(next_creator, **arguments):
    ...     return next_creator(**{**arguments, "trainable": False})
    >>> with gp.variable_creator_scope(frozen):
    ...     v = gp.Variable(1.0)
    >>> gp.trainable_variables()
    []
    """
    extras = get_default_graph().root.extras
    before = extras.get("variable_creators", [])
    extras["variable_creators"] = [*before, variable_creator]
    try:
        yield
    finally:
        extras["variable_creators"] = before


def _composed(custom: Any, old: Any) -> Any:
    """The getter ``custom``, whose own getter goes through ``old``."""
    if custom is None or old is None:
        return old if custom is None else custom

    def getter(getter: Any, *args: Any, **kwargs: Any) -> Any:
        return custom(functools.partial(old, getter), *args, **kwargs)

    return getter


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
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
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
        Its value for the variable, unless that is None, goes to the collection
        ``REGULARIZATION_LOSSES`` when the variable is made. Default: the scope's.
    trainable : bool, optional
        Default: True.
    collections : list, optional
        Default: ``[GraphKeys.GLOBAL_VARIABLES]``.
    custom_getter : callable, optional
        ``custom_getter(getter, name, **arguments)`` is called with the full name and all arguments;
        ``getter(name, **arguments)`` makes or finds the variable. What it returns is returned.
        Default: the scope's; with one of its own, the scope's is called inside it.
    constraint : callable, optional
        Applied to the variable after every step of an optimizer. Default: the scope's.
    partitioner : callable, optional
        ``partitioner(shape=..., dtype=...)`` gives into how many parts each dimension is cut, at
        most one into more than one, such as :func:`fixed_size_partitioner`. Default: the scope's.
    caching_device, validate_shape, use_resource, synchronization, aggregation : optional
        Accepted as in TensorFlow 1; they change nothing here.

    Returns
    -------
    Variable
        With a partitioner a PartitionedVariable; or whatever the custom getter returns.

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
    graph = get_default_graph().root
    scope = _store(graph).scope
    arguments: dict[str, Any] = {
        "shape": shape,
        "dtype": dtype,
        "initializer": scope.initializer if initializer is None else initializer,
        "regularizer": scope.regularizer if regularizer is None else regularizer,
        "reuse": scope.reuse,
        "trainable": trainable,
        "collections": collections,
        "caching_device": scope.caching_device if caching_device is None else caching_device,
        "partitioner": scope.partitioner if partitioner is None else partitioner,
        "validate_shape": validate_shape,
        "use_resource": scope.use_resource if use_resource is None else use_resource,
        "constraint": scope.constraint if constraint is None else constraint,
        "synchronization": synchronization,
        "aggregation": aggregation,
    }
    full = f"{scope.name}/{name}" if scope.name else name
    getter: Callable[..., Any] = _make_or_find
    custom = _composed(custom_getter, scope.custom_getter)
    # Names of variables follow variable scopes alone.
    with default_graph(graph), graph.name_scope(None):
        if custom is None:
            return getter(full, **arguments)
        # What a custom getter asks for without saying so is the type of the scope.
        arguments["dtype"] = dtypes.as_dtype(dtype or scope.dtype) if shape is not None else dtype
        return custom(getter, full, **arguments)


def get_local_variable(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    trainable: bool = False,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    custom_getter: Any = None,
    constraint: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    """:func:`get_variable` in the collection ``LOCAL_VARIABLES``, not trained and not saved.

    The arguments are those of :func:`get_variable`; ``trainable`` is False whatever is given, as in
    TensorFlow 1.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.get_local_variable("total", [], initializer=gp.zeros_initializer())
    >>> gp.local_variables(), gp.global_variables()
    ([<gp.Variable 'total:0' shape=() dtype=float32>], [])
    """
    return get_variable(
        name,
        shape,
        dtype,
        initializer,
        regularizer,
        False,
        [*(collections or []), GraphKeys.LOCAL_VARIABLES],
        caching_device,
        partitioner,
        validate_shape,
        use_resource,
        custom_getter,
        constraint,
        synchronization,
        aggregation,
    )


def create_partitioned_variables(
    shape: Any,
    slicing: Sequence[int],
    initializer: Any,
    dtype: Any = dtypes.float32,
    trainable: bool = True,
    collections: Any = None,
    name: str | None = None,
    reuse: Any = None,
) -> list[Variable]:
    """The parts of a variable that is cut along one dimension.

    Parameters
    ----------
    shape : shape
        Of all of them together.
    slicing : list of int
        Into how many parts each dimension is cut, at most one into more than one.
    initializer : callable or tensor_like
    dtype, trainable, collections : optional
        As for :func:`get_variable`.
    name : str, optional
        Default: ``"PartitionedVariable"``, made unique.
    reuse : bool or AUTO_REUSE, optional
        As for :func:`variable_scope`.

    Raises
    ------
    ValueError
        If ``slicing`` has another length than ``shape``, or cuts several dimensions.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.create_partitioned_variables([5, 2], [2, 1], gp.zeros_initializer(), name="w")
    [<gp.Variable 'w/part_0:0' shape=(3, 2) dtype=float32>, \
<gp.Variable 'w/part_1:0' shape=(2, 2) dtype=float32>]
    """
    dims = shapes.as_shape(shape)
    if not dims or len(dims) != len(slicing):
        raise ValueError(
            f"shape {shapes.text(dims)} and slicing {slicing} must be of one length, at least 1"
        )
    with variable_scope(name, "PartitionedVariable", reuse=reuse) as scope:
        graph = get_default_graph().root
        with graph.as_default(), graph.name_scope(None):
            parts = _make_or_find(
                scope.name,
                dims,
                dtype,
                initializer,
                reuse=scope.reuse,
                trainable=trainable,
                collections=collections,
                partitioner=lambda shape, dtype: slicing,
            )
    return list(parts)


def no_regularizer(_: Any) -> None:
    """No regularization: for a variable in a scope that has a regularizer."""


def _make_or_find(
    name: str,
    shape: Any = None,
    dtype: Any = None,
    initializer: Any = None,
    regularizer: Any = None,
    reuse: Any = None,
    trainable: bool | None = None,
    collections: Any = None,
    caching_device: Any = None,
    partitioner: Any = None,
    validate_shape: bool = True,
    use_resource: bool | None = None,
    constraint: Any = None,
    synchronization: Any = None,
    aggregation: Any = None,
) -> Any:
    graph = get_default_graph().root
    store = _store(graph)
    found = store.variables.get(name)
    wanted = None if dtype is None else dtypes.as_dtype(dtype)
    dims = shapes.as_shape(shape)
    if found is not None:
        in_parts = isinstance(found, PartitionedVariable)
        if not reuse:
            first = next(iter(found)) if in_parts else found
            made = first.op.source
            raise ValueError(
                f"Variable {name} already exists, disallowed. Did you mean to set reuse=True or "
                f"reuse=tf.AUTO_REUSE in VarScope? Originally defined at {made[0]}:{made[1]}"
            )
        wants_parts = partitioner is not None and dims != ()
        if in_parts != wants_parts and not (in_parts and reuse is True):
            raise ValueError(
                f"Trying to share variable {name}, which was made "
                f"{'with' if in_parts else 'without'} a partitioner."
            )
        if shapes.merge(dims, found.shape._dims) is False:
            raise ValueError(
                f"Trying to share variable {name}, but specified shape {shapes.text(dims)} and "
                f"found shape {found.shape}."
            )
        if wanted is not None and wanted is not found.dtype:
            raise ValueError(
                f"Trying to share variable {name}, but specified dtype {wanted.name} and found "
                f"dtype {found.dtype.name}."
            )
        if wants_parts:
            wanted_parts = partitions_of(name, found.shape._dims, found.dtype, partitioner)
            if wanted_parts != (found._axis, len(found)):
                raise ValueError(
                    f"Trying to share variable {name}, but specified {wanted_parts[1]} parts along "
                    f"dimension {wanted_parts[0]} and found {found!r}."
                )
        return found
    if reuse is True:
        raise ValueError(
            f"Variable {name} does not exist, or was not created with tf.get_variable(). Did you "
            "mean to set reuse=tf.AUTO_REUSE in VarScope?"
        )
    initializer = _initializer(initializer, wanted or store.scope.dtype)
    if partitioner is not None and dims != ():
        store.variables[name] = whole = make_in_parts(
            _make_or_find,
            name,
            dims,
            wanted or store.scope.dtype,
            initializer,
            partitioner,
            regularizer=regularizer,
            reuse=reuse,
            trainable=trainable,
            collections=collections,
            constraint=constraint,
        )
        return whole
    initial, dtype_made = _initial_value(name, dims, wanted, initializer, store.scope.dtype)
    variable = Variable(
        initial,
        trainable=True if trainable is None else trainable,
        collections=collections,
        name=name,
        dtype=dtype_made,
        constraint=constraint,
    )
    store.variables[name] = variable
    if regularizer is not None:
        with graph.name_scope(f"{name}/Regularizer/"):
            loss = regularizer(variable)
        if loss is not None:
            graph.add_to_collection(GraphKeys.REGULARIZATION_LOSSES, loss)
    return variable


def _initializer(given: Any, dtype: DType) -> Any:
    """What an ``initializer`` stands for: a function, or a value."""
    if given is None:
        glorot = initializers.glorot_uniform_initializer
        given = glorot() if dtype.is_floating else initializers.Zeros()
    return given() if isinstance(given, type) else given


def _initial_value(
    full: str, dims: Any, wanted: DType | None, given: Any, default: DType
) -> tuple[Any, DType | None]:
    """What to hand to Variable: a tensor, or a callable that makes one in the variable's own
    scope."""
    dtype = wanted or default
    if not callable(given):
        if dims is not None:
            raise ValueError("If initializer is a constant, do not specify shape.")
        return given, wanted  # a value keeps its own type, unless one was asked for
    parameters = initializers.parameters_of(given)
    if dims is None and all(p.default is not p.empty for p in parameters.values()):
        return given, wanted  # a function that knows the shape itself
    if dims is None or None in dims:
        raise ValueError(
            f"Shape of a new variable ({full}) must be fully defined, but instead was "
            f"{shapes.text(dims)}."
        )
    if "dtype" in parameters:
        return lambda: given(dims, dtype=dtype), dtype
    return lambda: given(dims), dtype  # any function of a shape
