"""What conditionals and loops share: bodies traced from functions, and how they are lowered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from gradplan import bind, dtypes, passes, probe, shapes
from gradplan.body import Body
from gradplan.control_flow.growing import Findings, Sizes, examine, glance, sizes_of
from gradplan.dtypes import DType
from gradplan.graph import Graph, Operation, Tensor, at_user_line
from gradplan.opdef import CALL, STATE, apply, captured, graph_of, op
from gradplan.ops.array import identity
from gradplan.ops.constant import convert_to_tensor
from gradplan.passes import extract
from gradplan.shapes import Shape


def trace(
    outer: Graph,
    function: Callable[..., Any],
    arguments: Sequence[tuple[DType, Shape | None]],
    name: str,
) -> tuple[Body, Any]:
    """A body made by calling ``function`` on its arguments, and what the function returned."""
    body = Body(outer, arguments)
    with body.as_default(), body.name_scope(name):
        returned = function(*body.arguments)
    return body, returned


def call(
    outer: Graph,
    function: Callable[..., Any],
    arguments: Sequence[tuple[DType, Shape | None]],
    names: Sequence[str],
    before: Sequence[str] = (),
    after: Sequence[str] = (),
    repeats: bool = True,
    counts: bool = False,
) -> tuple[Body, Any]:
    """A body made of a user's function, what it returned beside it.

    Things inside have the names that they have in TensorFlow, where all is in one graph: ``names``
    are those of the arguments, and ``before`` and ``after`` these some are reserved. ``repeats``
    says whether the body runs in trips, ``counts`` whether its first argument is their number.
    """
    outer.reserve(*before)
    body = Body(outer, arguments, names)
    body.reserve(*after)
    body.repeats = repeats
    if counts:  # its first argument is the number of the trip
        body.trip_number = body.arguments[0]
    with body.as_default():
        returned = function(*body.arguments)
    return body, returned


def flatten(structure: Any) -> list[Any]:
    """The leaves of nested lists, tuples and dictionaries, in order (keys sorted)."""
    if isinstance(structure, dict):
        return [x for k in sorted(structure) for x in flatten(structure[k])]
    if isinstance(structure, (list, tuple)):
        return [x for part in structure for x in flatten(part)]
    return [structure]


def pack(structure: Any, leaves: Sequence[Any]) -> Any:
    """``leaves`` in the structure of ``structure``."""
    rest = iter(leaves)

    def build(part: Any) -> Any:
        if isinstance(part, dict):
            made = {k: build(part[k]) for k in sorted(part)}
            return type(part)((k, made[k]) for k in part)
        if isinstance(part, (list, tuple)):
            made_list = [build(p) for p in part]
            return type(part)(*made_list) if hasattr(part, "_fields") else type(part)(made_list)
        return next(rest)

    return build(structure)


def outline(structure: Any) -> Any:
    """What two structures have in common if they are nested alike; lists and tuples are."""
    if isinstance(structure, dict):
        return {k: outline(v) for k, v in structure.items()}
    if isinstance(structure, (list, tuple)):
        return [outline(part) for part in structure]
    return None


def shape_leaves(structure: Any, n: int) -> list[Any]:
    if isinstance(structure, shapes.TensorShape):
        return [structure]
    out = []
    if isinstance(structure, dict):
        structure = [structure[k] for k in sorted(structure)]
    for part in structure:
        out += shape_leaves(part, 0) if isinstance(part, (list, tuple, dict)) else [part]
    if n and len(out) != n:
        raise ValueError(at_user_line(f"while_loop: {len(out)} shape invariants for {n} variables"))
    return out


def results(body: Body, returned: Any, dtypes_wanted: Sequence[DType | None] | None = None) -> None:
    """Make what a function returned the outputs of its body; an operation becomes a bool."""
    leaves = flatten(returned)
    wanted = dtypes_wanted or [None] * len(leaves)
    with body.as_default():
        for leaf, dtype in zip(leaves, wanted, strict=True):
            if isinstance(leaf, Operation):
                with body.control_dependencies([leaf]):
                    out = identity(convert_to_tensor(True), "control_dependency")
            else:
                out = convert_to_tensor(leaf, dtype)
            body.outputs.append(captured(body, out) if out.graph is not body else out)


def apart(outs: Sequence[Tensor], counted: bool = False) -> list[Tensor]:
    """The results of one operation by the names that they have in TensorFlow, where each has an
    operation, and the first of all is a counter if trips are ``counted``."""
    last = outs[0].op.name.rpartition("/")[2]
    return [identity(t, name=last) if i or counted else t for i, t in enumerate(outs)]


def _program(body: Body, inputs: Sequence[Tensor], binder: Any, given: Sequence[Any]) -> Any:
    """The body as a program, optimised as its graph is."""
    if not binder.optimised:
        return extract.run(body.outputs, inputs, [])
    pattern = probe.pattern([t._shape for t in inputs], [v.dims for v in given])
    if pattern not in body.programs:
        program = extract.run(body.outputs, inputs, [])
        program.pattern = pattern
        body.programs[pattern] = passes.optimise(program)
    return body.programs[pattern]


def inside(binder: Any, op: Operation, body: Body, views: Sequence[Any]) -> Any:
    """Lower a body: where its results lie. ``views`` are those of its inputs, in order."""
    inputs = body.inputs
    program = _program(body, inputs, binder, views)
    first = op.writes + op.attrs["arguments"]
    values = {}
    for i in body.asked(inputs):
        if i >= len(body.arguments):
            value = binder.value(op.inputs[first + i - len(body.arguments)])
            if value is not None:
                values[i] = value
    return binder.inside(program, views, values)


def captured_views(binder: Any, op: Operation) -> list[Any]:
    """Where what bodies take from around them lies; a copy of what they may overwrite."""
    written = set(op.inputs[: op.writes])
    places = {binder.view(t).storage for t in written}
    out = []
    for t in op.inputs[op.writes + op.attrs["arguments"] :]:
        view = binder.view(t)
        out.append(binder.copied(view) if view.storage in places and t not in written else view)
    return out


def shape_values(body: Body, first: int, value: Any) -> Any:
    """``value`` for a body's shape rules: of its captures, which are inputs from ``first`` on."""
    n = len(body.arguments)
    return lambda i: value(first + i - n) if i >= n else None


def declare(name: str, stateful: str, doc: str) -> Any:
    """An operation with bodies, twice: where they have effects it must run exactly as asked."""
    types = "any* -> @types*"

    def build(inputs: Any, types: Any = (), bodies: Any = ()) -> Any: ...

    build.__doc__ = doc

    pure = op(name, CALL, types=types, T=dtypes.ALL, flops=_flops)(build)
    active = op(stateful, STATE, types=types, T=dtypes.ALL, flops=_flops)(build)

    class Both:
        """Attaches a rule to both."""

        def __getattr__(self, rule: str) -> Any:
            def attach(function: Any) -> Any:
                getattr(active, rule)(function)
                return getattr(pure, rule)(function)

            return attach

    return Both(), pure.opdef, active.opdef


def _flops(attrs: dict[str, Any], in_shapes: Any) -> int:
    return 0


def make(
    defs: tuple[Any, Any],
    bodies: Sequence[Body],
    arguments: Sequence[Tensor],
    types: Sequence[DType],
    name: str,
    grows: Callable[[Findings, bool], bool] | None = None,
    starts: Sequence[Tensor] | None = None,
    stepped: bool = False,
    **attrs: Any,
) -> Sequence[Tensor]:
    """One operation with bodies: its inputs are variables they write, ``arguments``, captures.

    ``grows`` says of what was found out about the last body whether no plan can hold it though no
    shape in it depends on what it computes (with or without the benefit of the doubt), ``stepped``
    that none can; ``starts`` are the arguments of the first trip. Of an ``If`` the attribute
    ``settled`` becomes true where its bodies give other shapes, so that the predicate has to be
    known when it is bound.
    """
    captures = list(dict.fromkeys(t for body in bodies for t in body.captures))
    written = list(dict.fromkeys(t for body in bodies for t in body.written()))
    captures = [t for t in captures if t not in written] + written
    for body in bodies:
        body.taken = [captured(body, t) for t in captures]
    all_sizes = sizes_of(bodies[0])

    def look(sizes: Sizes, evaluate: Any = None) -> list[Findings]:
        return [examine(body, starts, captures, sizes, evaluate) for body in bodies]

    def varies(found: list[Findings], benefit: bool) -> bool:
        return grows(found[-1], benefit) if grows else found[0].unlike(found[1], benefit)

    is_if = "settled" in attrs
    outputs = [t for body in bodies for t in body.outputs]
    if grows is not None or is_if and any(t._shape is None or None in t._shape for t in outputs):
        looks = [look(sizes) for sizes in all_sizes]
        found = looks[0]
        varied = any(
            varies(first, False) and varies(look(sizes, bind.evaluate), True)  # that takes time
            for first, sizes in zip(looks, all_sizes, strict=True)
        )
    else:
        found = [glance(body) or examine(body, starts, captures, all_sizes[0]) for body in bodies]
        varied = is_if and varies(found, True)
    if is_if:
        attrs["settled"] = attrs["settled"] or varied
    stepped = stepped or any([f.stepped for f in found]) or varied and not is_if
    first = len(written) + len(arguments)
    roots = [
        first + i
        for i in range(len(captures))
        if any([body.taken[i] in f.roots for body, f in zip(bodies, found, strict=True)])
    ]
    if attrs.get("settled"):
        roots.append(len(written))
    attrs |= {
        "stepped": stepped,
        "roots": () if stepped else tuple(roots),
        "types": tuple(types),
        "bodies": tuple(bodies),
        "writes": len(written),
        "arguments": len(arguments),
        "fallible": any(body.is_fallible for body in bodies),
    }
    opdef = defs[any(body.has_effects for body in bodies)]
    inputs = [*written, *arguments, *captures]
    with graph_of(inputs).control_dependencies([op for body in bodies for op in body._awaited]):
        made = apply(opdef, inputs, attrs, name)
    outs = made if isinstance(made, tuple) else (made,)
    if attrs["roots"]:
        outs[0].op.asked = tuple(sorted({*outs[0].op.asked, *roots}))
    return outs
