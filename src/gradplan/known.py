"""What is known of a tensor before any run: constants, shapes, and the integers made of these.

Before::

    Const [2] --> Mul --> Pack --> Reshape [?, ?]      x of static shape (?, 3)
    Shape(x)[1] --^        ^
    Shape(x)[0] -----------'

After::

    Pack is known to be [?, 6], and so Reshape has the static shape (?, 6)

Static shapes are found by this while the graph is built, and shapes when a plan is bound, without a
plan for the arithmetic. Sizes are scalars and short vectors of integers; one that is not known is
None. A rule says by the type of an operation what is known of its result.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradplan import shapes
from gradplan.graph import Tensor
from gradplan.shapes import Shape

Sizes = tuple[int | None, ...]
Values = Callable[[Tensor], np.ndarray | None]
Rule = Callable[[Tensor, Callable[[Tensor], Sizes | None]], Sizes | None]

#: Longer vectors than shapes can be are not looked at.
_LONGEST = 64
#: So many operations upwards are looked at: programs count up in chains of thousands.
_DEEPEST = 32


def constant_value(tensor: Tensor) -> np.ndarray | None:
    """The value of a tensor that is known before any run; it may be fed all the same."""
    found = _stated(tensor)
    return assembled(tensor, tensor._shape, _stated) if found is None else found


def _stated(tensor: Tensor) -> np.ndarray | None:
    """The value of a constant, or of what follows from a known shape."""
    static = tensor.op.opdef.static
    return None if static is None else static(tensor.op.attrs, [t._shape for t in tensor.op.inputs])


def known_sizes(tensor: Tensor, value: Values = _stated) -> Sizes | None:
    """What is known before any run of a scalar or vector of integers, element by element; None if
    it is nothing at all.

    The shape of ``x`` with static shape (?, 3) is known to be (?, 3), and so are parts of it.
    ``value`` gives values that are known.
    """
    array = value(tensor)
    return _made_of(tensor, value) if array is None else _listed(array)


def assembled(tensor: Tensor, shape: Shape | None, value: Values) -> np.ndarray | None:
    """The value of a tensor of this shape, if it is made of known sizes."""
    if tensor.op.type not in _RULES or shape is None or len(shape) > 1:
        return None
    if not tensor.dtype.is_integer:
        return None
    sizes = _made_of(tensor, value)
    if sizes is None or None in sizes or len(sizes) != shapes.size(shape):  # type: ignore[arg-type]
        return None
    return np.array(sizes, tensor.dtype.np).reshape(shape)  # type: ignore[arg-type]


def _made_of(tensor: Tensor, value: Values) -> Sizes | None:
    """What follows from the inputs of an operation."""
    found: dict[Tensor, Sizes | None] = {}
    depth = 0

    def made(t: Tensor) -> Sizes | None:
        nonlocal depth
        rule = _RULES.get(t.op.type)
        if rule is None or len(t._shape or ()) > 1 or depth == _DEEPEST:
            return None
        depth += 1
        result = _in_range(t, rule(t, sizes))
        depth -= 1
        return result

    def sizes(t: Tensor) -> Sizes | None:
        if t not in found:
            array = value(t)
            found[t] = made(t) if array is None else _listed(array)
        return found[t]

    return made(tensor)


def _listed(array: np.ndarray) -> Sizes | None:
    return tuple(map(int, array.ravel())) if array.ndim < 2 and array.size <= _LONGEST else None


def _in_range(t: Tensor, sizes: Sizes | None) -> Sizes | None:
    """Integers wrap around in a run; what does so is not known."""
    if sizes is None or not t.dtype.is_integer:
        return None
    least, most = t.dtype.min, t.dtype.max
    return tuple([d if d is None or least <= d <= most else None for d in sizes])


def sharpened(
    type: str, sized: int | None, inputs: Sequence[Tensor], shape: Shape | None
) -> Shape | None:
    """The static shape of a result, and what is known of it where not all of the input that tells
    it is; ``sized``: the input that lists the dimensions."""
    given = inputs[0]._shape
    found: Sizes | None = None
    if type == "Tile":
        times = known_sizes(inputs[1])
        if times is not None and given is not None:
            found = tuple(map(_product, given, times))
    elif type in ("PadV2", "MirrorPad"):
        pads = _rows(inputs[1])
        if pads is not None and given is not None:
            found = tuple([_total(d, *pad) for d, pad in zip(given, pads, strict=True)])
    elif sized is not None:
        found = known_sizes(inputs[sized])
        if found is not None and inputs[sized]._shape != (len(found),):
            return shape
        if found is not None and found.count(-1) == 1 and None not in found and given:
            if None not in given:  # -1 takes what the others leave
                n, rest = shapes.size(given), -math.prod(found)  # type: ignore[arg-type]
                if rest > 0 and n % rest == 0:
                    found = tuple([n // rest if d == -1 else d for d in found])
    if found is None:
        return shape
    merged = shapes.merge(shape, tuple([None if d is None or d < 0 else d for d in found]))
    return shape if merged is False else merged  # type: ignore[return-value]


def _product(a: int | None, b: int | None) -> int | None:
    return 0 if a == 0 or b == 0 else None if a is None or b is None else a * b


def _total(*sizes: int | None) -> int | None:
    return None if None in sizes else sum(sizes)  # type: ignore[arg-type]


def _rows(matrix: Tensor) -> list[Sizes] | None:
    """What is known of a matrix with two columns, row by row."""
    op, columns = matrix.op, (None, None)
    if op.type != "Pack" or op.attrs["axis"] != 0:
        return None
    return [known_sizes(row) or columns for row in op.inputs]


# ---- the rules -----------------------------------------------------------------------------------

_RULES: dict[str, Rule] = {}


def _rule(*types: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        _RULES.update(dict.fromkeys(types, rule))
        return rule

    return register


@_rule("Shape")
def _(out: Tensor, sizes: Any) -> Any:
    return out.op.inputs[0]._shape


@_rule("Identity", "ExpandDims", "Squeeze", "Reshape")
def _(out: Tensor, sizes: Any) -> Any:
    return sizes(out.op.inputs[0])


@_rule("IdentityN")
def _(out: Tensor, sizes: Any) -> Any:
    return sizes(out.op.inputs[out.index])


@_rule("Cast")
def _(out: Tensor, sizes: Any) -> Any:
    (x,) = out.op.inputs
    return sizes(x) if x.dtype.is_integer else None


def _elementwise(function: Callable[..., int]) -> Rule:
    def of(row: Sizes) -> int | None:
        try:
            return None if None in row else function(*row)
        except ZeroDivisionError:
            return None

    def rule(out: Tensor, sizes: Any) -> Sizes | None:
        given = [sizes(t) for t in out.op.inputs]
        if None in given:
            return None
        lengths = {len(s) for s in given} - {1} or {1}
        (n,) = lengths  # the gate has seen that the shapes broadcast
        return tuple(
            [of(row) for row in zip(*[s if len(s) == n else s * n for s in given], strict=True)]
        )

    return rule


_ARITHMETIC: dict[str, Callable[..., int]] = {
    "Add": operator.add,
    "Sub": operator.sub,
    "Mul": operator.mul,
    "FloorDiv": operator.floordiv,
    "FloorMod": operator.mod,
    "Maximum": lambda a, b: max(a, b),
    "Minimum": lambda a, b: min(a, b),
    "Neg": operator.neg,
}
for _type, _function in _ARITHMETIC.items():
    _RULES[_type] = _elementwise(_function)


def _reduction(function: Callable[[Any], int], of_none: int | None) -> Rule:
    def rule(out: Tensor, sizes: Any) -> Sizes | None:
        x = out.op.inputs[0]
        given = sizes(x)
        if given is None or x._shape == () or out.op.attrs["axis"] == ():
            return given
        if not given:
            return (of_none,)
        return (None if None in given else function(given),)

    return rule


_RULES["Sum"] = _reduction(sum, 0)
_RULES["Prod"] = _reduction(math.prod, 1)
_RULES["Max"] = _reduction(max, None)
_RULES["Min"] = _reduction(min, None)


@_rule("ConcatV2")
def _(out: Tensor, sizes: Any) -> Any:
    whole: list[int | None] = []
    for t in out.op.inputs:
        part = sizes(t)
        if part is None:
            if t._shape is None or len(t._shape) != 1 or t._shape[0] is None:
                return None
            part = (None,) * t._shape[0]
        whole += part
    return tuple(whole)


@_rule("Pack")
def _(out: Tensor, sizes: Any) -> Any:
    if out._shape is None:
        return None
    parts = [sizes(t) for t in out.op.inputs]
    return tuple([p and p[0] for p in parts])


@_rule("Unpack")
def _(out: Tensor, sizes: Any) -> Any:
    whole = sizes(out.op.inputs[0])
    return whole and whole[out.index : out.index + 1]


@_rule("StridedSlice")
def _(out: Tensor, sizes: Any) -> Any:
    op = out.op
    whole, key = sizes(op.inputs[0]), op.attrs["key"]
    if whole is None or len(op.inputs) > 1 or len(key) != 1 or op.inputs[0]._shape == ():
        return None
    if isinstance(key[0], int):
        return (whole[key[0]],)
    return whole[slice(*key[0])] if isinstance(key[0], tuple) else None


@_rule("Slice")
def _(out: Tensor, sizes: Any) -> Any:
    whole, begin, size = map(sizes, out.op.inputs)
    if whole is None or begin is None or size is None or None in (*begin, *size):
        return None
    (first,), (n,) = begin, size
    return whole[first:] if n == -1 else whole[first : first + n]


@_rule("GatherV2")
def _(out: Tensor, sizes: Any) -> Any:
    params, indices, axis = out.op.inputs
    whole, at = sizes(params), sizes(indices)
    if whole is None or at is None or params._shape == () or out.op.attrs["batch_dims"]:
        return None
    return tuple([whole[i] if i is not None and 0 <= i < len(whole) else None for i in at])


@_rule("BroadcastTo", "Fill")
def _(out: Tensor, sizes: Any) -> Any:
    given = sizes(out.op.inputs[out.op.type == "Fill"])
    if given is None or out._shape is None or None in out._shape:
        return None
    n = shapes.size(out._shape)  # type: ignore[arg-type]
    return given if len(given) == n else given * n if len(given) == 1 and n <= _LONGEST else None


@_rule("Range")
def _(out: Tensor, sizes: Any) -> Any:
    given = [sizes(t) for t in out.op.inputs]
    if None in given or (None,) in given:
        return None
    (start,), (limit,), (delta,) = given
    found = range(start, limit, delta) if delta else ()
    return tuple(found) if len(found) <= _LONGEST else None
