"""The graph: operations, the tensors between them, names, scopes and collections.

A :class:`Graph` only grows, and an :class:`Operation` never changes once it is made, but that a
gradient may ask one with bodies for more results (``control_flow/effects.py``). This module
knows no operation by name; what an operation means stands in its OpDef (``opdef.py``).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from gradplan import shapes
from gradplan.dtypes import DType
from gradplan.graph_def import GraphDef, NodeDef, graph_def
from gradplan.graph_keys import Collections
from gradplan.graph_keys import GraphKeys as GraphKeys
from gradplan.names import Names
from gradplan.shapes import Shape, TensorShape
from gradplan.source import Site, line_of
from gradplan.source import at_user_line as at_user_line
from gradplan.source import site as user_site
from gradplan.source import user_line as user_line

if TYPE_CHECKING:
    import numpy as np

    from gradplan.opdef import OpDef

_FORM = 'Tensor names must be of the form "<op_name>:<output_index>".'
_ELSEWHERE = "is not an element of this graph."
_INSIDE = "is inside a loop or conditional: return it from the function that makes it."


class Operation:
    """A node of the graph.

    Attributes
    ----------
    name : str
        Unique in its graph.
    type : str
        Name of its OpDef, such as ``"MatMul"``.
    inputs, outputs : tuple of Tensor
    control_inputs : tuple of Operation
        Operations that must run before this one though it takes no value from them.
    attrs : dict
        The constants of the operation, such as ``transpose_a``.
    source : tuple of (str, int)
        The user's file and line that made it.
    asked : tuple of int
        The inputs on whose values its shape depends, and of which none was known when it was made.
    gradient_type : str or None
        The name of the gradient to take instead of its own (:meth:`Graph.gradient_override_map`).
    origin : Operation
        The operation of the user's graph that this one stands for, in whose name errors speak:
        itself, or, in the private copy that the compiler works on and where a gradient runs the
        inside of a loop or conditional again, the one it was copied from.
    """

    __slots__ = (
        "__weakref__",
        "asked",
        "attrs",
        "control_inputs",
        "gradient_type",
        "graph",
        "id",
        "inputs",
        "name",
        "opdef",
        "origin",
        "outputs",
        "site",
    )

    id: int  # its place in the graph

    def __init__(
        self,
        graph: Graph,
        opdef: OpDef,
        name: str,
        inputs: tuple[Tensor, ...],
        attrs: dict[str, Any],
        outputs: Iterable[tuple[DType, Shape | None]],
        control_inputs: tuple[Operation, ...] = (),
        site: Site | None = None,
        origin: Operation | None = None,
    ) -> None:
        self.graph = graph
        self.opdef = opdef
        self.name = name
        self.inputs = inputs
        self.attrs = attrs
        self.control_inputs = control_inputs
        self.asked: tuple[int, ...] = ()
        self.gradient_type: str | None = None
        self.site = site or graph.site or user_site()
        self.origin = origin or self
        made: list[Tensor] = []
        for dtype, shape in outputs:
            made.append(Tensor(self, len(made), dtype, shape))
        self.outputs = tuple(made)

    @property
    def type(self) -> str:
        return self.opdef.name

    @property
    def writes(self) -> int:
        """The first so many inputs are variables that it changes."""
        return self.attrs.get("writes", self.opdef.writes)

    @property
    def node_def(self) -> NodeDef:
        """The operation as data, or as text by ``str``."""
        return NodeDef(self)

    @property
    def source(self) -> tuple[str, int]:
        """The user's source line: the file and the number."""
        return line_of(self.site)

    @property
    def made_at(self) -> str:
        """The user's source line, as ``file:line``."""
        file, line = self.source
        return f"{file}:{line}"

    def values(self) -> tuple[Tensor, ...]:
        return self.outputs

    def get_attr(self, name: str) -> Any:
        """The attribute; ValueError if the operation has none of that name."""
        if name == "_gradient_op_type" and self.gradient_type is not None:
            return self.gradient_type
        if name not in self.attrs:
            raise ValueError(f"Operation '{self.name}' has no attr named '{name}'.")
        return self.attrs[name]

    def run(self, feed_dict: Any = None, session: Any = None) -> None:
        """Run the operation in ``session``, or in the default session."""
        _session_for(session, self.graph, f"run operation {self.name!r}").run(self, feed_dict)

    def __repr__(self) -> str:
        return f"<gp.Operation '{self.name}' type={self.type}>"

    def __str__(self) -> str:
        return f"{self.name} ({self.type}, made at {self.made_at})"


class Tensor:
    """The value that an operation will give: an edge of the graph, with a type and a static shape.

    The operators ``+ - * / // % ** @ - abs < <= > >= & | ^ ~`` and slicing make operations; ``==``
    compares identity, as in TensorFlow 1 (``gp.equal`` compares values).
    """

    __slots__ = ("__weakref__", "_shape", "dtype", "index", "op")
    __array_priority__ = 100  # so that ndarray + Tensor comes to Tensor.__radd__

    op: Operation
    index: int
    dtype: DType

    def __init__(self, op: Operation, index: int, dtype: DType, shape: Shape | None) -> None:
        self.op = op
        self.index = index
        self.dtype = dtype
        self._shape = shape

    @property
    def name(self) -> str:
        return f"{self.op.name}:{self.index}"

    @property
    def graph(self) -> Graph:
        return self.op.graph

    @property
    def shape(self) -> TensorShape:
        return TensorShape(self._shape)

    @property
    def value_index(self) -> int:
        return self.index

    @property
    def device(self) -> str:
        return ""

    def get_shape(self) -> TensorShape:
        """The static shape, as :class:`TensorShape`."""
        return TensorShape(self._shape)

    def set_shape(self, shape: Any) -> None:
        """Add what you know to the static shape; ValueError if it contradicts what is known."""
        try:
            self._shape = TensorShape(self._shape).merge_with(shape)._dims
        except (TypeError, ValueError) as error:
            raise type(error)(at_user_line(f"set_shape of {self}: {error}")) from None

    def consumers(self) -> list[Operation]:
        """The operations of the graph that take this tensor."""
        return [op for op in self.graph._ops if self in op.inputs]

    def eval(self, feed_dict: Any = None, session: Any = None) -> Any:
        """The tensor's value in ``session``, or in the default session."""
        return _session_for(session, self.graph, f"evaluate tensor {self.name!r}").run(
            self, feed_dict
        )

    def __repr__(self) -> str:
        return f"<gp.Tensor '{self.name}' shape={shapes.text(self._shape)} dtype={self.dtype.name}>"

    def __str__(self) -> str:
        shape = "" if self._shape is None else f", shape={shapes.text(self._shape)}"
        return f'Tensor("{self.name}"{shape}, dtype={self.dtype.name})'

    def __bool__(self) -> bool:
        raise TypeError(
            f"{self} has no value while the graph is built: use gp.where to choose by it, or "
            "test `is not None`"
        )

    def __len__(self) -> int:
        raise TypeError(f"{self} has no len(); use its shape, or gp.shape(...) at run time")

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError(f"{self} has no value yet: run it in a Session to get an array")

    if TYPE_CHECKING:  # attached by the modules of ops/, through overload

        def __getitem__(self, key: Any) -> Tensor: ...
        def __iter__(self) -> Iterator[Tensor]: ...
        def __add__(self, other: Any) -> Tensor: ...
        def __radd__(self, other: Any) -> Tensor: ...
        def __sub__(self, other: Any) -> Tensor: ...
        def __rsub__(self, other: Any) -> Tensor: ...
        def __mul__(self, other: Any) -> Tensor: ...
        def __rmul__(self, other: Any) -> Tensor: ...
        def __truediv__(self, other: Any) -> Tensor: ...
        def __rtruediv__(self, other: Any) -> Tensor: ...
        def __floordiv__(self, other: Any) -> Tensor: ...
        def __mod__(self, other: Any) -> Tensor: ...
        def __pow__(self, other: Any) -> Tensor: ...
        def __matmul__(self, other: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __invert__(self) -> Tensor: ...
        def __and__(self, other: Any) -> Tensor: ...
        def __or__(self, other: Any) -> Tensor: ...
        def __xor__(self, other: Any) -> Tensor: ...
        def __lt__(self, other: Any) -> Tensor: ...
        def __le__(self, other: Any) -> Tensor: ...
        def __gt__(self, other: Any) -> Tensor: ...
        def __ge__(self, other: Any) -> Tensor: ...

    @classmethod
    def overload(cls, operator: str, function: Callable[..., Any]) -> None:
        """Make ``function`` the meaning of a Python operator on tensors (called by ``ops/``)."""
        setattr(cls, operator, function)


class Graph(Names, Collections):
    """A computational graph: everything that will ever run in one Session.

    Examples
    --------
    >>> import gradplan as gp
    >>> g = gp.Graph()
    >>> with g.as_default():
    ...     a = gp.constant(2.0, name="a")
    ...     b = a * 3.0
    >>> [op.name for op in g.get_operations()]
    ['a', 'mul/y', 'mul']
    """

    def __init__(self) -> None:
        self._ops: list[Operation] = []
        self._start_names()
        self._controls: list[tuple[Operation, ...]] = []
        self._awaited: list[Operation] = []  # around it, for which something inside waits
        self._overrides: dict[str, str] = {}  # of gradients: type -> registered name
        self._collections: dict[Any, list[Any]] = {}
        self._finalized = False
        #: The source line to which what is made now belongs, if it is not that which makes it.
        self.site: Site | None = None
        #: For the inside of a loop or conditional (body.py): the graph that it is part of.
        self.outer: Graph | None = None
        self.seed: int | None = None
        #: What other modules keep per graph (variable store, read caches), by their own key.
        self.extras: dict[str, Any] = {}

    # ---- growing -------------------------------------------------------------------------------

    @property
    def version(self) -> int:
        """The number of operations made so far."""
        return len(self._ops)

    def trip(self) -> Tensor | None:
        """The number of the trip, int64 [], inside a loop; else None."""
        return None

    @property
    def root(self) -> Graph:
        """The graph itself, or that around all loops and conditionals that this is the inside
        of."""
        return self if self.outer is None else self.outer.root

    def encloses(self, inner: Graph) -> bool:
        """Whether ``inner`` is the inside of one of its loops or conditionals."""
        outer = inner.outer
        return outer is not None and (outer is self or self.encloses(outer))

    @property
    def current(self) -> Graph:
        """Where its operations are made now: itself, or that inside of one of its loops and
        conditionals which is being built."""
        inner = get_default_graph()
        return inner if self.encloses(inner) else self

    @property
    def finalized(self) -> bool:
        return self._finalized

    def finalize(self) -> None:
        """Allow no more operations: a loop that would grow the graph then fails at once."""
        self._finalized = True

    def add(self, op: Operation, hidden: bool = False) -> Operation:
        """Append an operation made for this graph; nobody can look up one that is ``hidden``."""
        with self._lock:
            if self._finalized:
                raise RuntimeError(
                    f"Graph is finalized and cannot be modified: '{op.name}' ({op.type}) came "
                    "after finalize(). Build every operation before the loop that runs them."
                )
            op.id = len(self._ops)
            self._ops.append(op)
            if not hidden:
                self._by_name[op.name] = op
        return op

    # ---- scopes --------------------------------------------------------------------------------

    @contextmanager
    def control_dependencies(self, control_inputs: Iterable[Any] | None) -> Iterator[None]:
        """Make what is built inside run after ``control_inputs``; None forgets those in force."""
        graph = self.current
        before = graph._controls
        if control_inputs is None:
            graph._controls = []
        else:
            if isinstance(control_inputs, (Tensor, Operation)) or not hasattr(
                control_inputs, "__iter__"
            ):
                raise TypeError(
                    at_user_line("control_dependencies takes a list of operations or tensors")
                )
            ops: list[Operation] = []
            for item in control_inputs:
                element = graph.as_graph_element(item)
                op = element.op if isinstance(element, Tensor) else element
                (ops if op.graph is graph else graph._awaited).append(op)
            graph._controls = [*before, tuple(ops)]
        try:
            yield
        finally:
            graph._controls = before

    def current_controls(self, inputs: Iterable[Tensor] = ()) -> tuple[Operation, ...]:
        """The control inputs that a new operation gets now; those it takes a value from are left
        out."""
        if not self._controls:
            return ()
        direct = {t.op for t in inputs}
        return tuple(dict.fromkeys(o for ops in self._controls for o in ops if o not in direct))

    def device(self, device_name_or_function: Any) -> AbstractContextManager[None]:
        """Accepted as in TensorFlow 1: everything runs on the CPU."""
        return nullcontext()

    def container(self, container_name: str) -> AbstractContextManager[str]:
        """Accepted as in TensorFlow 1: a session keeps its own variables."""
        return nullcontext(container_name)

    def colocate_with(self, op: Any, ignore_existing: bool = False) -> AbstractContextManager[None]:
        """Accepted as in TensorFlow 1: everything is in one place."""
        return nullcontext()

    @contextmanager
    def gradient_override_map(self, op_type_map: dict[str, str]) -> Iterator[None]:
        """Give what is built inside, by type, another gradient: one that was registered by name.

        TypeError for anything but a dictionary of strings. See :class:`gp.RegisterGradient`.
        """
        pairs = op_type_map.items() if isinstance(op_type_map, dict) else [(None, None)]
        if not all(isinstance(s, str) for pair in pairs for s in pair):
            raise TypeError("op_type_map must be a dictionary mapping strings to strings")
        graph = self.current
        before, graph._overrides = graph._overrides, {**graph._overrides, **op_type_map}
        try:
            yield
        finally:
            graph._overrides = before

    @contextmanager
    def as_default(self) -> Iterator[Graph]:
        """Make this the graph that operations are added to, in this thread.

        Inside one of its loops or conditionals, which is a part of it, nothing changes.
        """
        with default_graph(self.current):
            yield self

    # ---- looking things up ---------------------------------------------------------------------

    def get_operations(self) -> list[Operation]:
        """All operations, in the order they were made, with those inside loops and conditionals."""
        found: list[Operation] = []
        for op in self._ops:
            for body in op.attrs.get("bodies", ()):
                found += body.get_operations() if body.is_part else ()
            if self._by_name.get(op.name) is op:
                found.append(op)
        return found

    def as_graph_def(self, from_version: int | None = None, add_shapes: bool = False) -> GraphDef:
        """The operations as data, or as text by ``str``; those made since ``version`` was that."""
        return graph_def(self, from_version)

    def get_operation_by_name(self, name: str) -> Operation:
        """The operation of this name; errors as :meth:`as_graph_element` has them."""
        _require_name("Operation", name)
        return self.as_graph_element(name, allow_tensor=False)

    def get_tensor_by_name(self, name: str) -> Tensor:
        """The tensor of this name, ``"op_name:0"``; errors as :meth:`as_graph_element` has them."""
        _require_name("Tensor", name)
        return self.as_graph_element(name, allow_operation=False)

    def as_graph_element(
        self, obj: Any, allow_tensor: bool = True, allow_operation: bool = True
    ) -> Any:
        """The operation or tensor that ``obj`` (itself one, a variable, or a name) stands for.

        Raises
        ------
        TypeError
            If ``obj`` can stand for neither.
        ValueError
            If it belongs to another graph, or is a malformed name.
        KeyError
            If the graph has nothing of that name.
        """
        if isinstance(obj, str):
            return self._by_full_name(obj, allow_tensor, allow_operation)
        element = obj
        if not isinstance(obj, (Tensor, Operation)) and hasattr(obj, "_as_graph_element"):
            element = obj._as_graph_element()
        if (
            isinstance(element, Tensor)
            and allow_tensor
            or (isinstance(element, Operation) and allow_operation)
        ):
            if element.graph is not self and not element.graph.encloses(self):
                inside = self.encloses(element.graph)
                raise ValueError(at_user_line(f"{element} {_INSIDE if inside else _ELSEWHERE}"))
            return element
        wanted = " or ".join(["Tensor"] * allow_tensor + ["Operation"] * allow_operation)
        raise TypeError(
            at_user_line(f"Can not convert a {type(obj).__name__} into a {wanted}: {obj!r}")
        )

    def _by_full_name(self, name: str, allow_tensor: bool, allow_operation: bool) -> Any:
        op_name, colon, index = name.partition(":")
        op = self._by_name.get(op_name)
        if op is None and self.outer is not None:
            return self.outer._by_full_name(name, allow_tensor, allow_operation)
        if colon and allow_tensor:
            if not index.isdigit():
                raise ValueError(
                    f"The name '{name}' looks a like a Tensor name, but is not a valid one. {_FORM}"
                )
            if op is None:
                raise KeyError(
                    f"The name '{name}' refers to a Tensor which does not exist. The operation, "
                    f"'{op_name}', does not exist in the graph{self._similar(op_name)}"
                )
            if int(index) >= len(op.outputs):
                raise KeyError(
                    f"The name '{name}' refers to a Tensor which does not exist. The operation, "
                    f"'{op_name}', exists but only has {len(op.outputs)} outputs."
                )
            return op.outputs[int(index)]
        if colon:
            raise ValueError(f"Name '{name}' appears to refer to a Tensor, not a Operation.")
        if not allow_operation:
            what = "refers to an Operation" if op else "looks like an (invalid) Operation name"
            raise ValueError(f"The name '{name}' {what}, not a Tensor. {_FORM}")
        if op is None:
            raise KeyError(
                f"The name '{name}' refers to an Operation not in the graph" + self._similar(name)
            )
        return op

    def _similar(self, name: str) -> str:
        import difflib

        close = difflib.get_close_matches(name, self._by_name, 3)
        return f"; did you mean {', '.join(map(repr, close))}?" if close else "."

    def is_feedable(self, tensor: Tensor) -> bool:
        return tensor.graph is self

    def is_fetchable(self, tensor_or_op: Any) -> bool:
        return tensor_or_op.graph is self


def _require_name(kind: str, name: Any) -> None:
    if not isinstance(name, str):
        raise TypeError(f"{kind} names are strings (or similar), not {type(name).__name__}.")


class _Stack(threading.local):
    """The default graphs and sessions of a thread, innermost last."""

    def __init__(self) -> None:
        self.graphs: list[Graph] = []
        self.sessions: list[Any] = []


_stack = _Stack()


_global_graph: Graph | None = None


def get_default_graph() -> Graph:
    """The graph that operations are added to now."""
    global _global_graph
    if _stack.graphs:
        return _stack.graphs[-1]
    if _global_graph is None:
        _global_graph = Graph()
    return _global_graph


class _Innermost:
    """With it, an item is the last of a stack."""

    __slots__ = ("_item", "_stack")

    def __init__(self, stack: list[Any], item: Any) -> None:
        self._stack, self._item = stack, item

    def __enter__(self) -> None:
        self._stack.append(self._item)

    def __exit__(self, *error: object) -> None:
        if self._stack[-1] is self._item:
            self._stack.pop()
        else:  # what was entered last is left first, even if it is no longer the innermost
            del self._stack[len(self._stack) - 1 - self._stack[::-1].index(self._item)]


def default_graph(graph: Graph) -> AbstractContextManager[None]:
    """Make ``graph`` the default, even in the inside of one of its loops: to go out of it."""
    return _Innermost(_stack.graphs, graph)


def reset_default_graph() -> None:
    """Start the global default graph anew. AssertionError inside ``with graph.as_default():``."""
    global _global_graph
    if _stack.graphs:
        raise AssertionError("Do not use reset_default_graph() to clear nested graphs.")
    _global_graph = Graph()


def get_default_session() -> Any:
    """The innermost session entered with ``with session:`` in this thread, or None."""
    return _stack.sessions[-1] if _stack.sessions else None


def default_session(session: Any) -> AbstractContextManager[None]:
    """Make ``session`` the default inside the block."""
    return _Innermost(_stack.sessions, session)


def _session_for(session: Any, graph: Graph, purpose: str) -> Any:
    session = session or get_default_session()
    if session is None:
        raise ValueError(
            f"Cannot {purpose}: No default session is registered. Use `with sess.as_default()` or "
            "pass an explicit session."
        )
    if session.graph is not graph:
        raise ValueError(f"Cannot {purpose}: the session's graph is a different one.")
    return session
