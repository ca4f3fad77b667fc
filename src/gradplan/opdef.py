"""What an operation means: one :class:`OpDef` each, made by the :func:`op` decorator.

The decorated function is the public function; its parameters without a default are the tensor
inputs, the others (but ``name``) the attributes. Nothing else in gradplan lists operations by
name::

    @op("Softplus", MAP, kernel="softplus", flops=20)
    def softplus(features, name=None):
        '''docstring'''

    @softplus.gradient
    def _(op, dy):
        return dy * sigmoid(op.inputs[0])

Every operation of every graph passes one gate, :func:`infer`: types and shapes are checked there
when the operation is built, and again, with concrete shapes, when a plan is bound.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any

import numpy as np

from gradplan import _core, dtypes, shapes
from gradplan.dtypes import DType
from gradplan.graph import (
    Graph,
    Operation,
    Tensor,
    at_user_line,
    get_default_graph,
    user_line,
)
from gradplan.known import constant_value, sharpened
from gradplan.shapes import Shape


class Kind(enum.Enum):
    """All that fusion and aliasing need to know of an operation."""

    MAP = "elementwise with broadcasting; runs as one opcode of a tile program"
    REDUCE = "reduces dimensions"
    VIEW = "another way to look at a buffer that exists; no instruction"
    CALL = "a kernel of its own"
    STATE = "reads or writes what the session keeps between runs; never removed, merged or moved"
    HOST = "calls back into Python"


MAP, REDUCE, VIEW, CALL, STATE, HOST = Kind


#: What remains of a declaration is attached by decorators: @softplus.gradient and so on.
_RULES = ("gradient", "shape", "lower", "parts", "static", "batch")
_NAME = frozenset(["name"])
#: Of an operation that only a pass makes: any inputs, one result.
_DEFAULTS: dict[str, Any] = dict.fromkeys((*_RULES, "function", "sized", "failure"))
_DEFAULTS |= {"inputs": (), "attrs": {}, "in_types": ("any*",), "out_types": ("T",)}
_DEFAULTS |= {"type_set": (), "writes": 0, "fallible": False}


class OpDef:
    """The declaration of one operation.

    Attributes
    ----------
    name : str
        TensorFlow 1's name of the type.
    kind : Kind
    shape : callable
        ``(attrs, shapes, value) -> shape``, or a list of shapes for several outputs. ``value(i)``
        is the value of input i where it is known, else None. Raises ValueError for what does not
        fit.
    gradient : callable or None
        ``(op, *dys) -> dx`` or a sequence of them, None where nothing flows; made of public
        functions.
    kernel : str or None
        The tile operation (MAP) or kernel (CALL, REDUCE) by name, without its type.
    lower : callable or None
        ``(binder, op) -> None``: emits the instructions, where one kernel call is not enough.
    parts : callable or None
        ``(binder, op, whole) -> [(input, view)]`` of an operation that puts its inputs together:
        where in the view ``whole`` of its result each lies.
    static : callable or None
        ``(attrs, shapes) -> ndarray or None``: the value, where it follows from the shapes alone.
    batch : callable or None
        ``(op, b) -> tensor`` or a sequence of them: the outputs for a whole batch at once, along a
        new first dimension, where the kind does not tell how; ``b`` is a :class:`Batch`
        (``vectorize.py``). None for what it cannot do.
    sized : int or None
        The input that lists the dimensions of the result, -1 or unknown ones aside.
    flops : float or callable
        Per element of the result, or ``(attrs, input shapes) -> total``.
    writes : int
        The first so many inputs are variables that the operation changes.
    fallible : bool
        A value (a label, a divisor) can make the kernel fail, so state is written after it.
    failure : str or None
        What to say of a matrix for which the kernel fails.
    """

    __slots__ = (*_DEFAULTS, "flops", "kernel", "kind", "name", "type_mask", "uniform")

    name: str
    kind: Kind
    function: Callable[..., Any] | None
    gradient: Callable[..., Any] | None
    lower: Callable[..., None] | None
    parts: Callable[..., Any] | None
    static: Callable[..., Any] | None
    shape: Callable[..., Any] | None
    batch: Callable[..., Any] | None
    inputs: tuple[str, ...]
    attrs: dict[str, Any]
    in_types: tuple[str, ...]
    out_types: tuple[str, ...]
    type_set: tuple[DType, ...]
    kernel: str | None
    flops: Any
    writes: int
    fallible: bool
    sized: int | None
    failure: str | None
    uniform: bool  # every input and the only output have one type
    type_mask: int  # type_set by the bits of the types' numbers

    def __init__(self, name: str, kind: Kind, **fields: Any) -> None:
        self.name, self.kind = name, kind
        for key, value in (_DEFAULTS | fields).items():
            setattr(self, key, value)
        self.uniform = set(self.in_types) == {"T"} and self.out_types == ("T",)
        self.type_mask = sum([1 << t.number for t in self.type_set])

    def tile_name(self, in_types: Sequence[DType], out_type: DType) -> str:
        """The tile operation's full name, such as ``"add.f32"`` or ``"cast.f32.i32"``."""
        last = in_types[-1].short  # of select's three operands the first is the condition
        return f"cast.{last}.{out_type.short}" if self.kernel == "cast" else f"{self.kernel}.{last}"

    def __repr__(self) -> str:
        return f"<OpDef {self.name} {self.kind.name}>"


#: Every operation there is, by type name.
REGISTRY: dict[str, OpDef] = {}


def _parameters(function: Callable[..., Any]) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The names of a function's parameters, and the defaults of those that have one: what
    inspect.signature tells, in a tenth of the time, since there are hundreds of declarations."""
    if hasattr(function, "__signature__"):  # made by a function, not written out
        parameters = function.__signature__.parameters.values()
        defaults = {p.name: p.default for p in parameters if p.default is not p.empty}
        return tuple([p.name for p in parameters]), defaults
    names = function.__code__.co_varnames[: function.__code__.co_argcount]
    given = function.__defaults__ or ()
    return names, dict(zip(names[len(names) - len(given) :], given, strict=True))


def op(
    name: str,
    kind: Kind,
    *,
    kernel: str | None = None,
    types: str | None = None,
    T: Sequence[DType] = dtypes.FLOATS,
    flops: Any = 1,
    writes: int = 0,
    fallible: bool = False,
    failure: str | None = None,
    operator: str | None = None,
    sized: int | None = None,
) -> Any:
    """Declare an operation; decorates its public function.

    Parameters
    ----------
    name : str
        Type name, and the default name of the operations.
    kind : Kind
    kernel : str, optional
        The C kernel's name.
    types : str, optional
        Such as ``"bool T T -> T"``: ``T`` is any one of the types in ``T``, ``I`` int32 or int64,
        ``any`` any type, ``@key`` the type in that attribute, another word that very type; a star
        repeats (``@key*``: the types in that attribute; of a result ``T*``: as often as the
        attribute ``num`` says). Default: every input and the only output is ``T``.
    T : sequence of DType
        The types allowed for ``T``. Default: float32 and float64.
    flops : float or callable
        Per element of the result, or ``(attrs, input shapes) -> total``.
    writes : int
        See :class:`OpDef`.
    fallible : bool
        See :class:`OpDef`.
    failure : str, optional
        See :class:`OpDef`; what has one is fallible.
    operator : str, optional
        Python operators with their default names: ``"__add__ add"``, with ``__radd__`` where there
        is one.
    sized : int, optional
        See :class:`OpDef`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        names, defaults = _parameters(function)
        inputs = tuple([p for p in names if p not in defaults])
        default_name = defaults.pop("name", None)
        left, right = (types or "T " * len(inputs) + "-> T").split("->")
        opdef = OpDef(
            name,
            kind,
            inputs=inputs,
            attrs=defaults,
            in_types=tuple(left.split()),
            out_types=tuple(right.split()),
            type_set=tuple(T),
            kernel=kernel,
            flops=flops,
            writes=writes,
            fallible=fallible or failure is not None,
            failure=failure,
            sized=sized,
        )
        if name in REGISTRY:
            raise ValueError(f"operation {name} is declared twice")
        REGISTRY[name] = opdef
        n = len(inputs)

        @functools.wraps(function)
        def build(*args: Any, **kwargs: Any) -> Any:
            made = function(*args, **kwargs)  # Python itself reports missing or unknown arguments
            if made is None and len(args) == n and not kwargs.keys() - _NAME:  # mostly
                return apply(opdef, args, defaults, kwargs.get("name") or default_name)
            bound = dict(zip(names, args, strict=False))
            bound.update(kwargs)
            if made is None:
                made = [bound[i] for i in inputs], {k: bound.get(k, d) for k, d in defaults.items()}
            return apply(opdef, made[0], made[1], bound.get("name") or default_name)

        def setter(field: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
            def attach(f: Callable[..., Any]) -> Callable[..., Any]:
                setattr(opdef, field, f)
                return f

            return attach

        result: Any = build
        result.opdef = opdef
        opdef.function = build
        for field in _RULES:
            setattr(result, field, setter(field))
        if operator:
            _overload(operator, build)
        return result

    return decorate


def _overload(operator: str, build: Callable[..., Any]) -> None:
    method, default = operator.split()
    unary = method in ("__neg__", "__abs__", "__invert__")

    def forward(self: Any, other: Any) -> Any:
        return build(self, other, name=default)

    def reflected(self: Any, other: Any) -> Any:
        return build(other, self, name=default)

    Tensor.overload(method, (lambda self: build(self, name=default)) if unary else forward)
    if not unary and method not in ("__lt__", "__le__", "__gt__", "__ge__"):
        Tensor.overload("__r" + method[2:], reflected)


# ---- conversion to tensors -----------------------------------------------------------------------

Converter = Callable[[Any, "DType | None", str, Graph], Tensor]
_converters: list[tuple[Any, Converter]] = []
_converter_of: dict[type, Converter] = {}  # what was found among them, for each type that came


def register_tensor_conversion_function(base_type: Any, conversion_func: Converter) -> None:
    """Let values of ``base_type`` stand for tensors: ``func(value, dtype, name, graph) ->
    Tensor``."""
    _converters.append((base_type, conversion_func))
    _converter_of.clear()


def to_tensor(value: Any, dtype: DType | None, name: str, graph: Graph) -> Tensor:
    """``value`` as a tensor of ``graph``; of type ``dtype``, where one is given."""
    if not isinstance(value, Tensor):
        convert = _converter_of.get(type(value))
        if convert is None:
            convert = next(
                (f for base, f in reversed(_converters) if isinstance(value, base)), None
            )
            if convert is None and value is None:
                raise ValueError("None values not supported: it cannot be converted to a tensor")
            if convert is None:
                name = type(value).__name__
                raise TypeError(f"a {name} cannot be converted to a tensor: {value!r}")
            _converter_of[type(value)] = convert
        return convert(value, dtype, name, graph)
    if dtype is not None and value.dtype is not dtype:
        raise ValueError(
            f"Tensor conversion requested dtype {dtype.name} for Tensor with dtype "
            f"{value.dtype.name}: {value}. Use gp.cast."
        )
    if graph.outer is not None and value.op.graph.encloses(graph):
        return captured(graph, value)
    if value.graph is not graph:
        raise ValueError(f"{value} must be from the same graph as the other inputs.")
    return value


def graph_of(inputs: Sequence[Any]) -> Graph:
    """The graph of the first tensor or variable among ``inputs``, else the default graph; inside a
    loop or conditional of that graph, the inside."""
    found: Graph | None = None
    for x in inputs:
        if isinstance(x, Tensor):
            found = x.op.graph
        elif isinstance(x, (list, tuple)):
            found = next((y.op.graph for y in x if isinstance(y, Tensor)), None)
        elif hasattr(x, "_as_graph_element"):
            found = x.graph
        if found is not None:
            break
    default = get_default_graph()
    if found is None or found is default or found.encloses(default):
        return default
    if found.outer is not None:
        raise ValueError(
            at_user_line(
                "a tensor from the inside of a loop or conditional is taken outside: return it "
                "from its function instead"
            )
        )
    return found


def is_variable(t: Tensor) -> bool:
    """Whether ``t`` is the place of a variable, or stands for one inside a loop or conditional."""
    op = t.op
    return op.opdef.kind is STATE and not op.inputs or op.attrs.get("variable", False)


def captured(graph: Graph, t: Tensor) -> Tensor:
    """What stands inside a loop or conditional for a tensor from around it."""
    known = graph.extras.setdefault("captured", {})
    if t not in known:
        assert graph.outer is not None
        around = t if t.op.graph is graph.outer else captured(graph.outer, t)
        attrs = {"dtype": t.dtype, "shape": t._shape, "variable": is_variable(t)}
        name = f"captured/{t.name}"
        op = Operation(graph, REGISTRY["Placeholder"], name, (), attrs, [(t.dtype, t._shape)])
        known[around] = known[t] = graph.add(op, hidden=True).outputs[0]
    return known[t]


# ---- making an operation -------------------------------------------------------------------------

_dtype, _shape = attrgetter("dtype"), attrgetter("_shape")


def apply(
    opdef: OpDef, inputs: Sequence[Any], attrs: dict[str, Any], name: str | None = None
) -> Any:
    """Build one operation: convert the inputs, pass the gate, add it to the graph.

    Returns
    -------
    Tensor, tuple of Tensor or Operation
        The only output, all of them, or the operation itself if it has none.
    """
    graph = graph_of(inputs)
    if graph._finalized:
        raise RuntimeError("Graph is finalized and cannot be modified.")
    full_name = graph.op_name(name or opdef.name)
    tensors = _convert_inputs(opdef, inputs, full_name, graph)
    asked: list[int] = []

    def value(i: int) -> np.ndarray | None:
        found = constant_value(tensors[i])
        if found is None:
            asked.append(i)
        return found

    try:
        out = infer(opdef, attrs, [*map(_dtype, tensors)], [*map(_shape, tensors)], value)
    except (ValueError, TypeError) as error:
        file, line = user_line()
        given = ", ".join(f"{t.dtype.name}{shapes.text(t._shape)}" for t in tensors)
        raise type(error)(
            f"{opdef.name} '{full_name}': {error} (inputs: {given or 'none'}; at {file}:{line})"
        ) from None
    if asked:
        out[:1] = [(out[0][0], sharpened(opdef.name, opdef.sized, tensors, out[0][1]))]
    controls = graph.current_controls(tensors) if graph._controls else ()
    operation = Operation(graph, opdef, full_name, tensors, attrs, out, controls)
    if asked:
        operation.asked = tuple(asked)
    if graph._overrides:
        operation.gradient_type = graph._overrides.get(opdef.name)
    graph.add(operation)
    if len(operation.outputs) == 1:
        return operation.outputs[0]
    return operation.outputs or operation


def _convert_inputs(
    opdef: OpDef, inputs: Sequence[Any], full_name: str, graph: Graph
) -> tuple[Tensor, ...]:
    if all([type(x) is Tensor and x.op.graph is graph for x in inputs]):
        return tuple(inputs)
    if graph.outer is not None:
        inputs = [
            captured(graph, x) if isinstance(x, Tensor) and x.op.graph.encloses(graph) else x
            for x in inputs
        ]
    spec, names = _expand(opdef, len(inputs))
    # The type that T stands for is that of the first tensor among the inputs typed T.
    common = None
    for x, word in zip(inputs, spec, strict=True):
        if word == "T" and common is None:
            common = getattr(x, "dtype", None) if hasattr(x, "op") else None
    if common is None and "T" in spec:
        for x, word in zip(inputs, spec, strict=True):
            if word == "T" and isinstance(x, (np.ndarray, np.generic)):
                common = dtypes.as_dtype(x.dtype)
                break
    out = []
    for x, word, parameter in zip(inputs, spec, names, strict=True):
        wanted = common if word == "T" else _FIXED.get(word)
        if word == "I" and isinstance(x, (list, tuple)) and not x:
            wanted = dtypes.int32  # an empty list alone says nothing of its type
        if isinstance(x, Tensor) and x.op.graph is graph:
            out.append(x)  # a wrong type is reported by the gate, with all inputs named
            continue
        try:
            out.append(to_tensor(x, wanted, f"{full_name}/{parameter}/", graph))
        except (TypeError, ValueError) as error:
            file, line = user_line()
            raise type(error)(
                f"{opdef.name} '{full_name}', input {parameter!r}: {error} (at {file}:{line})"
            ) from None
        if word == "T" and common is None:
            common = out[-1].dtype
    return tuple(out)


_FIXED = {d.name: d for d in dtypes.ALL}


def _expand(opdef: OpDef, n: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The type words and parameter names of ``n`` inputs: a starred word stands for all that
    remain."""
    spec, names = opdef.in_types, opdef.inputs
    if spec and spec[-1].endswith("*"):
        more = n - len(spec) + 1
        base = names[len(spec) - 1] if len(names) >= len(spec) else "values"
        return (
            spec[:-1] + (spec[-1][:-1],) * more,
            names[: len(spec) - 1] + tuple(f"{base}_{i}" for i in range(more)),
        )
    return spec, names


def infer(
    opdef: OpDef,
    attrs: dict[str, Any],
    in_types: Sequence[DType],
    in_shapes: Sequence[Shape | None],
    value: Callable[[int], Any],
) -> list[tuple[DType, Shape | None]]:
    """The gate: types and shapes of the outputs, or TypeError or ValueError for what does not
    fit."""
    out_types = _infer_types(opdef, attrs, in_types)
    out_shapes = infer_shapes(opdef, attrs, in_shapes, value, len(out_types))
    if len(out_types) == len(out_shapes) == 1:
        return [(out_types[0], out_shapes[0])]
    return list(zip(out_types, out_shapes, strict=True))


def _infer_types(
    opdef: OpDef, attrs: dict[str, Any], in_types: Sequence[DType]
) -> tuple[DType, ...]:
    if opdef.uniform and len(in_types) == len(opdef.in_types):
        first = in_types[0]
        if opdef.type_mask >> first.number & 1 and in_types.count(first) == len(in_types):
            return (first,)  # nearly every operation of nearly every graph
    common = _check_types(opdef, in_types) if in_types or opdef.in_types else None
    out: list[DType] = []
    for word in opdef.out_types:
        if word[0] == "@":
            if word[-1] == "*":
                out.extend(attrs[word[1:-1]])
            else:
                out.append(attrs[word[1:]])
        elif word in ("T", "T*"):
            if common is None:
                raise TypeError("takes at least one input")
            out += [common] * (1 if word == "T" else attrs["num"])
        else:
            out.append(_FIXED[word])
    return tuple(out)


def _check_types(opdef: OpDef, in_types: Sequence[DType]) -> DType | None:
    """The type that T stands for, if any does; TypeError for inputs of types that do not fit."""
    spec, names = _expand(opdef, len(in_types))
    if len(spec) != len(in_types):
        raise TypeError(f"takes {len(spec)} inputs, not {len(in_types)}")
    common: DType | None = None
    for word, given, parameter in zip(spec, in_types, names, strict=True):
        if word == "T":
            if common is None:
                allowed: Sequence[DType] = opdef.type_set
                common = given
            else:
                allowed = (common,)
        elif word == "I":
            allowed = dtypes.INTEGERS
        elif word == "any":
            continue
        else:
            allowed = (_FIXED[word],)
        if given not in allowed:
            if word == "T" and given is not common:
                raise TypeError(
                    f"input '{parameter}' has type {given.name} that does not match type "
                    f"{allowed[0].name} of argument '{names[spec.index('T')]}'"
                )
            listed = ", ".join(d.name for d in allowed)
            hint = ""
            if given in dtypes.STORED and dtypes.float32 in allowed:
                hint = "; cast it first: gp.cast(x, gp.float32)"
            raise TypeError(
                f"input '{parameter}' has type {given.name}, not one of: {listed}{hint}"
            )
    return common


def infer_shapes(
    opdef: OpDef,
    attrs: dict[str, Any],
    in_shapes: Sequence[Shape | None],
    value: Callable[[int], Any],
    n_out: int = 1,
) -> Sequence[Shape | None]:
    """The shapes of the outputs by the operation's rule; used at build and again at bind."""
    if opdef.shape is None:
        return [broadcast_all(in_shapes)] * n_out
    out = opdef.shape(attrs, in_shapes, value)
    return out if isinstance(out, list) else [out]


def broadcast_all(in_shapes: Sequence[Shape | None]) -> Shape | None:
    """The shape to which all broadcast: the rule of elementwise operations."""
    shape: Shape | None = in_shapes[0] if in_shapes else ()
    for other in in_shapes[1:]:
        try:
            shape = shapes.broadcast(shape, other)
        except ValueError as error:
            both = " and ".join(shapes.text(s) for s in in_shapes)
            raise ValueError(f"Dimensions must be equal or 1 in {both}: {error}") from None
    return shape


def resolve() -> None:
    """Find the C kernel of every operation; ImportError for one that is missing."""
    kernels, tiles = _core.kernels(), {t.partition(".")[0] for t in _core.tile_ops()}
    for opdef in REGISTRY.values():
        if opdef.kernel is None:
            continue
        if opdef.kind is MAP or opdef.kernel in ("copy", "add", "sub"):
            found = opdef.kernel in tiles
        else:
            found = opdef.kernel in kernels
        if not found:
            raise ImportError(f"{opdef.name}: there is no C kernel {opdef.kernel!r}")
