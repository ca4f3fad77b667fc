"""Variables: what a session keeps between runs, and the operations that write it."""

from __future__ import annotations

import functools
import inspect
from typing import Any, NamedTuple

from gradplan import dtypes, shapes
from gradplan.body import behind
from gradplan.dtypes import ALL, REALS, DType
from gradplan.graph import Graph, GraphKeys, Operation, Tensor, default_graph, get_default_graph
from gradplan.opdef import (
    STATE,
    VIEW,
    apply,
    graph_of,
    op,
    register_tensor_conversion_function,
)
from gradplan.ops.constant import convert_to_tensor
from gradplan.shapes import TensorShape

__all__ = [
    "Variable",
    "assign",
    "assign_add",
    "assign_sub",
    "global_variables",
    "global_variables_initializer",
    "local_variables",
    "local_variables_initializer",
    "trainable_variables",
    "variables_initializer",
]


@op("VariableV2", STATE, types="-> @dtype")
def _variable(shape: Any = (), dtype: Any = None, name: str | None = None) -> Any:
    """The place of a variable's value in the session."""


@_variable.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return attrs["shape"]


@_variable.lower
def _(binder: Any, op: Any) -> None:
    binder.alias(op, binder.variable(op.outputs[0]))


@op("ReadVariableOp", VIEW, T=ALL)
def _read(resource: Any, name: str | None = None) -> Any:
    """The value of a variable: that at the start of the run, unless a control or data edge from an
    assignment orders the read after it."""


@_read.gradient
def _(op: Any, dy: Any) -> Any:
    return dy


# ---- writing -------------------------------------------------------------------------------------


def _written_shape(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    ref, given = in_shapes
    if shapes.merge(ref, given) is False:
        raise ValueError(
            f"a value of shape {shapes.text(given)} does not fit the variable's shape "
            f"{shapes.text(ref)}"
        )
    return ref


def _lower_write(binder: Any, op: Any) -> None:
    """One tile operation whose result lies where the variable does."""
    ref, value = map(binder.view, op.inputs)
    arguments = [value] if op.type == "Assign" else [ref, value]
    binder.map(binder.written(op), arguments, op)


def _declare_write(name: str, kernel: str, T: Any) -> Any:
    def write(ref: Any, value: Any, name: str | None = None) -> Any: ...

    write.__name__ = write.__qualname__ = f"_{name.lower()}"
    declared = op(name, STATE, kernel=kernel, T=T, writes=1)(write)
    declared.shape(_written_shape)
    declared.lower(_lower_write)
    declared.gradient(lambda op, dy: (None, None))  # as in TensorFlow 1
    return declared


_assign = _declare_write("Assign", "copy", ALL)
_assign_add = _declare_write("AssignAdd", "add", REALS)
_assign_sub = _declare_write("AssignSub", "sub", REALS)
_WRITES = {"assign": _assign, "assign_add": _assign_add, "assign_sub": _assign_sub}


def reference(variable: Any) -> Tensor:
    """The tensor that stands for the place of a variable."""
    tensor = variable._ref if isinstance(variable, Variable) else variable
    if not isinstance(tensor, Tensor) or tensor.op.type != "VariableV2":
        raise TypeError(f"only a Variable can be assigned to, not {variable!r}")
    return tensor


def _write(how: str, ref: Any, value: Any, name: str | None) -> Any:
    """By an operation, or by the method of a variable in parts, which makes one for each."""
    if not isinstance(ref, (Variable, Tensor)) and hasattr(ref, how):
        return getattr(ref, how)(value, name=name)
    if (
        isinstance(ref, Tensor) and ref.op.writes == 1
    ):  # what a writing gave stands for the variable
        with ref.graph.control_dependencies([ref.op]):
            return _WRITES[how](ref.op.inputs[0], value, name=name)
    return _WRITES[how](reference(ref), value, name=name)


def assign(
    ref: Any,
    value: Any,
    validate_shape: bool | None = None,
    use_locking: bool | None = None,
    name: str | None = None,
) -> Tensor:
    """Write ``value`` to a variable when run; the result is the new value.

    Parameters
    ----------
    ref : Variable
        Of one in parts each is written, and the result is a list.
    value : tensor_like
        Of the variable's type and shape.
    validate_shape, use_locking : bool, optional
        Accepted; shapes are always validated, and runs on one session never overlap.
    name : str, optional

    Raises
    ------
    ValueError
        If the shape does not fit. Two assignments to one variable that no edge orders are an error
        when they are planned together.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(1.0)
    >>> sess = gp.Session()
    >>> float(sess.run(gp.assign(v, 5.0)))
    5.0
    """
    return _write("assign", ref, value, name)


def assign_add(
    ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None
) -> Tensor:
    """Add ``value`` to a variable when run; the result is the new value. See :func:`assign`.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(1.0)
    >>> sess = gp.Session()
    >>> sess.run(v.initializer)
    >>> float(sess.run(gp.assign_add(v, 5.0)))
    6.0
    """
    return _write("assign_add", ref, value, name)


def assign_sub(
    ref: Any, value: Any, use_locking: bool | None = None, name: str | None = None
) -> Tensor:
    """Subtract ``value`` from a variable when run; the result is the new value. See :func:`assign`.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(1.0)
    >>> sess = gp.Session()
    >>> sess.run(v.initializer)
    >>> float(sess.run(gp.assign_sub(v, 5.0)))
    -4.0
    """
    return _write("assign_sub", ref, value, name)


# ---- Variable ------------------------------------------------------------------------------------


class SaveSliceInfo(NamedTuple):
    """Of which variable another one is a part, and where it lies in it.

    Attributes
    ----------
    full_name : str
    full_shape : list of int
        Of all parts together.
    var_offset : list of int
        Where the part begins.
    var_shape : list of int
        Of the part.
    """

    full_name: str
    full_shape: list[int]
    var_offset: list[int]
    var_shape: list[int]

    @property
    def place(self) -> tuple[slice, ...]:
        """What cuts the part out of the whole."""
        ends = zip(self.var_offset, self.var_shape, strict=True)
        return tuple([slice(at, at + size) for at, size in ends])


class _Created(type):
    """Calls of a class go through the creators in force (``variable_creator_scope``)."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        creators = get_default_graph().root.extras.get("variable_creators")
        if not creators:
            return super().__call__(*args, **kwargs)
        given = inspect.signature(cls.__init__).bind(None, *args, **kwargs)  # type: ignore[misc]
        given.apply_defaults()
        create: Any = super().__call__
        for creator in creators:
            create = functools.partial(creator, create)
        return create(**{k: v for k, v in given.arguments.items() if k != "self"})


class Variable(metaclass=_Created):
    """A tensor that keeps its value between the runs of a session.

    Parameters
    ----------
    initial_value : tensor_like or callable
        What running ``initializer`` writes; a callable without arguments that gives it.
    trainable : bool, optional
        Whether optimizers change it by default. Default: True.
    collections : list, optional
        Default: ``[GraphKeys.GLOBAL_VARIABLES]``.
    validate_shape, caching_device, variable_def, expected_shape, import_scope, use_resource,
    synchronization, aggregation, shape : optional
        Accepted as in TensorFlow 1; they change nothing here.
    name : str, optional
        Default: ``"Variable"``, made unique.
    dtype : DType, optional
        Default: that of the initial value.
    constraint : callable, optional
        A function of the value; optimizers write its result after each of their steps.

    Attributes
    ----------
    name : str
    initializer : Operation
        Writes the initial value; run it, or ``global_variables_initializer()``, before anything
        else.

    Raises
    ------
    ValueError
        If there is no initial value, or its shape is not known while the graph is built.

    Examples
    --------
    >>> import gradplan as gp
    >>> w = gp.Variable([1.0, 2.0], name="w")
    >>> with gp.Session() as sess:
    ...     sess.run(w.initializer)
    ...     print(sess.run(w * 10.0))
    [10. 20.]
    """

    __array_priority__ = 100
    _save_slice_info: SaveSliceInfo | None = None  # of a part

    def __init__(
        self,
        initial_value: Any = None,
        trainable: bool = True,
        collections: Any = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        expected_shape: Any = None,
        import_scope: str | None = None,
        constraint: Any = None,
        use_resource: bool | None = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
    ) -> None:
        if initial_value is None:
            raise ValueError("initial_value must be specified.")
        if constraint is not None and not callable(constraint):
            raise ValueError("The `constraint` argument must be a callable.")
        graph = graph_of([initial_value]).root
        wanted = None if dtype is None else dtypes.as_dtype(dtype)
        with (
            default_graph(graph),
            graph.control_dependencies(None),
            graph.name_scope(name or "Variable") as scope,
        ):
            # Everything that is made for the variable stands under its own name.
            with graph.name_scope("Initializer" if callable(initial_value) else scope):
                given = initial_value() if callable(initial_value) else initial_value
                value = convert_to_tensor(given, wanted, name="initial_value")
            if value._shape is None or None in value._shape:
                raise ValueError(
                    f"initial_value of '{scope[:-1]}' must have a shape that is known while the "
                    f"graph is built, whatever validate_shape is: {value}"
                )
            attrs = {"shape": value._shape, "dtype": value.dtype}
            self._ref: Tensor = apply(_variable.opdef, [], attrs, scope)
            if any([op.opdef is _read.opdef for op in behind([value])]):
                from gradplan.ops.initialized import from_initial_values

                value = from_initial_values(value, scope[:-1])
            self._initial_value = value
            self._initializer: Operation = _assign(self._ref, value, name=f"{scope}Assign/").op
            self._snapshot: Tensor = _read(self._ref, name=f"{scope}read/")
        self._scope = scope
        self._trainable = trainable
        self._constraint = constraint
        keys = [GraphKeys.GLOBAL_VARIABLES] if collections is None else list(collections)
        if trainable and GraphKeys.TRAINABLE_VARIABLES not in keys:
            keys.append(GraphKeys.TRAINABLE_VARIABLES)
        for key in keys:
            graph.add_to_collection(key, self)

    @property
    def name(self) -> str:
        return self._ref.name

    @property
    def op(self) -> Operation:
        return self._ref.op

    @property
    def graph(self) -> Graph:
        return self._ref.graph

    @property
    def dtype(self) -> DType:
        return self._ref.dtype

    @property
    def shape(self) -> TensorShape:
        return self._ref.shape

    @property
    def trainable(self) -> bool:
        return self._trainable

    @property
    def constraint(self) -> Any:
        """The function given to the constructor, or None."""
        return self._constraint

    @property
    def initializer(self) -> Operation:
        return self._initializer

    @property
    def initial_value(self) -> Tensor:
        return self._initial_value

    @property
    def device(self) -> str:
        return ""

    def get_shape(self) -> TensorShape:
        """The static shape."""
        return self._ref.shape

    def initialized_value(self) -> Tensor:
        """The value, or where the variable has none yet its initial value: for the initial value
        of another variable."""
        from gradplan.ops.initialized import value_or_initial

        return value_or_initial(self)

    def value(self) -> Tensor:
        """The variable's value, read under the control dependencies in force here, and within a
        loop or conditional there: in a trip as the trips before have left it."""
        graph = graph_of([self])
        if graph.current_controls() or graph is not self.graph:
            return self.read_value()
        return self._snapshot

    def read_value(self) -> Tensor:
        """A new read of the value, under the control dependencies in force here."""
        with graph_of([self]).as_default():
            return _read(self._ref, name="read")

    def assign(
        self,
        value: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """See :func:`assign`; with ``read_value=False`` the operation instead of the new value."""
        out = assign(self, value, name=name)
        return out if read_value else out.op

    def assign_add(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """See :func:`assign_add`."""
        out = assign_add(self, delta, name=name)
        return out if read_value else out.op

    def assign_sub(
        self,
        delta: Any,
        use_locking: bool = False,
        name: str | None = None,
        read_value: bool = True,
    ) -> Any:
        """See :func:`assign_sub`."""
        out = assign_sub(self, delta, name=name)
        return out if read_value else out.op

    def count_up_to(self, limit: int) -> Tensor:
        """See :func:`count_up_to`."""
        from gradplan.ops.initialized import count_up_to

        return count_up_to(self, limit)

    def scatter_add(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Tensor:
        """Add ``sparse_delta``, an IndexedSlices, to the rows that it names."""
        return self._scatter("scatter_add", sparse_delta, name)

    def scatter_sub(self, sparse_delta: Any, use_locking: bool = False, name: Any = None) -> Tensor:
        """Subtract ``sparse_delta``, an IndexedSlices, from the rows that it names."""
        return self._scatter("scatter_sub", sparse_delta, name)

    def scatter_update(
        self, sparse_delta: Any, use_locking: bool = False, name: Any = None
    ) -> Tensor:
        """Write ``sparse_delta``, an IndexedSlices, to the rows that it names."""
        return self._scatter("scatter_update", sparse_delta, name)

    def scatter_nd_add(self, indices: Any, updates: Any, name: str | None = None) -> Tensor:
        """See :func:`scatter_nd_add`."""
        from gradplan.ops import scatter

        return scatter.scatter_nd_add(self, indices, updates, name=name)

    def scatter_nd_sub(self, indices: Any, updates: Any, name: str | None = None) -> Tensor:
        """See :func:`scatter_nd_sub`."""
        from gradplan.ops import scatter

        return scatter.scatter_nd_sub(self, indices, updates, name=name)

    def scatter_nd_update(self, indices: Any, updates: Any, name: str | None = None) -> Tensor:
        """See :func:`scatter_nd_update`."""
        from gradplan.ops import scatter

        return scatter.scatter_nd_update(self, indices, updates, name=name)

    def _scatter(self, how: str, delta: Any, name: Any) -> Tensor:
        from gradplan.ops import scatter

        if not hasattr(delta, "indices"):
            raise TypeError(f"sparse_delta is not IndexedSlices: {delta}")
        return getattr(scatter, how)(self, delta.indices, delta.values, name=name)

    def eval(self, session: Any = None) -> Any:
        """The value in ``session``, or in the default session."""
        return self._ref.eval(session=session)

    def load(self, value: Any, session: Any = None) -> None:
        """Write ``value`` in ``session``, or in the default session, without growing the graph."""
        from gradplan.graph import _session_for

        _session_for(session, self.graph, f"load variable {self.name!r}").load({self: value})

    def set_shape(self, shape: Any) -> None:
        """Check that the variable has this shape; it is fixed by the initial value."""
        self._ref.set_shape(shape)

    def _as_graph_element(self) -> Tensor:
        return self._ref

    def __repr__(self) -> str:
        return (
            f"<gp.Variable '{self.name}' shape={shapes.text(self._ref._shape)} "
            f"dtype={self.dtype.name}>"
        )

    def __iter__(self) -> Any:
        raise TypeError("'Variable' object is not iterable.")

    def __getitem__(self, key: Any) -> Tensor:
        return self.value()[key]


def _overload(operator: str) -> None:
    setattr(Variable, operator, lambda self, *args: getattr(self.value(), operator)(*args))


for _operator in (
    "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod pow rpow matmul "
    "rmatmul neg abs invert and rand or ror xor rxor lt le gt ge"
).split():
    _overload(f"__{_operator}__")


def _convert(value: Variable, dtype: DType | None, name: str, graph: Graph) -> Tensor:
    if dtype is not None and value.dtype is not dtype:
        raise ValueError(
            f"Tensor conversion requested dtype {dtype.name} for Variable with dtype "
            f"{value.dtype.name}: {value!r}"
        )
    if value.graph is not graph and not value.graph.encloses(graph):
        raise ValueError(f"{value!r} must be from the same graph as the other inputs.")
    with graph.as_default():
        return value.value()


register_tensor_conversion_function(Variable, _convert)


def constrained(variable: Any, update: Operation) -> Operation:
    """``update``, and then the variable's constraint, if it has one."""
    constraint = getattr(variable, "constraint", None)
    if constraint is None:
        return update
    with graph_of([variable]).control_dependencies([update]):
        return assign(variable, constraint(variable.read_value())).op


# ---- all variables -------------------------------------------------------------------------------


def global_variables(scope: str | None = None) -> list[Variable]:
    """The variables of the default graph; with ``scope``, those whose name matches it.

    Parameters
    ----------
    scope : str, optional
        A regular expression, matched at the start of the name.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(1.0, name="v", trainable=False)
    >>> gp.global_variables()
    [<gp.Variable 'v:0' shape=() dtype=float32>]
    """
    return get_default_graph().get_collection(GraphKeys.GLOBAL_VARIABLES, scope)


def trainable_variables(scope: str | None = None) -> list[Variable]:
    """The variables that optimizers change by default; ``scope`` as for :func:`global_variables`.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(1.0, name="v", trainable=False)
    >>> gp.trainable_variables()
    []
    """
    return get_default_graph().get_collection(GraphKeys.TRAINABLE_VARIABLES, scope)


def local_variables(scope: str | None = None) -> list[Variable]:
    """The variables of the collection ``LOCAL_VARIABLES``, which Savers leave out."""
    return get_default_graph().get_collection(GraphKeys.LOCAL_VARIABLES, scope)


def variables_initializer(var_list: Any, name: str = "init") -> Operation:
    """An operation that initialises all of ``var_list``."""
    from gradplan.ops.control import group

    return group(*[v.initializer for v in var_list], name=name)


def global_variables_initializer() -> Operation:
    """An operation that writes the initial values of all variables made so far.

    Examples
    --------
    >>> import gradplan as gp
    >>> v = gp.Variable(2.0)
    >>> with gp.Session() as sess:
    ...     sess.run(gp.global_variables_initializer())
    ...     print(sess.run(v))
    2.0
    """
    return variables_initializer(global_variables(), "init")


def local_variables_initializer() -> Operation:
    """An operation that initialises the variables of the collection ``LOCAL_VARIABLES``."""
    return variables_initializer(local_variables())


__all__ = [
    "Variable",
    "assign",
    "assign_add",
    "assign_sub",
    "global_variables",
    "global_variables_initializer",
    "local_variables",
    "local_variables_initializer",
    "trainable_variables",
    "variables_initializer",
]
