"""Simplify: replace an operation by a cheaper one that gives the same value.

Before::

    y = matmul(transpose(a), b) * 1.0 - 0.0

After::

    y = matmul(a, b, transpose_a=True)

This table is the one place outside the declarations that knows operations by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradplan.dtypes import int32
from gradplan.graph import Operation, Tensor
from gradplan.known import constant_value, known_sizes
from gradplan.opdef import HOST, REGISTRY
from gradplan.probe import probe
from gradplan.program import Program, is_pure, rebuild
from gradplan.tiling import add_in_order, head_of_sum

Rule = Callable[[Program, Operation, tuple[Tensor, ...]], "Sequence[Tensor] | None"]
_RULES: dict[str, Rule] = {}


def run(program: Program) -> Program:
    """See the module's text."""
    sizes = probe(program)
    first: dict[tuple[int, ...], Tensor] = {}  # of each shape the tensor that was made first
    effects: set[Operation] = set()  # what must run, and all that depends on it
    consumers, fetched = program.consumers(), set(program.fetches)

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        for t in op.outputs:
            shape = sizes.get(t)
            if shape is not None and shape not in first:
                first[shape] = t
        has_effect = op.control_inputs or op.writes or op.opdef.kind is HOST
        if has_effect or not effects.isdisjoint([t.op for t in op.inputs]):
            effects.add(op)
        kind = op.opdef.name
        if not inputs or not is_pure(op):
            return None
        shape = sizes.get(op.inputs[0]) if op not in effects else None
        if shape is not None:
            result = sizes.get(op.outputs[0]) if op.outputs else None
            if shape == result and kind in _RESHAPING:
                return inputs[:1]
            if op.opdef.static is not None and first[shape] is not op.inputs[0]:
                return _make(
                    out, op, kind, [tensors[first[shape]]], op.attrs
                )  # it looks no further
            if kind in _CUTTING and result is not None and math.prod(shape) == math.prod(result):
                return _whole(out, op, inputs, shape == result)
        rule = _RULES.get(kind)
        if rule is None or kind in _EVEN and not _even(op, sizes):
            return None
        if kind in _ALONE and (len(consumers[op.inputs[0]]) > 1 or op.inputs[0] in fetched):
            return None
        return rule(out, op, inputs)

    return rebuild(program, visit)


#: They do nothing where the shape stays what it is.
_RESHAPING = ("Reshape", "SumToShape", "BroadcastTo", "OfShape")
#: They make what they take anew, which must then be for nobody else.
_ALONE = ("ConcatPart",)
#: They refuse what broadcasts, and what stands for them would not.
_EVEN = ("AddN",)


def _even(op: Operation, sizes: dict[Tensor, tuple[int, ...]]) -> bool:
    """Whether all inputs have one shape, whatever it turns out to be."""
    given = {sizes.get(t) for t in op.inputs}
    return len(given) == 1 and None not in given


#: They only reshape where the number of elements stays what it is.
_CUTTING = ("StridedSlice", "StridedSliceGrad")


def _whole(out: Program, op: Operation, inputs: tuple[Tensor, ...], alike: bool) -> Any:
    """A slice that takes everything, such as the only column of a matrix."""
    steps = [item[2] for item in op.attrs["key"] if isinstance(item, tuple)]
    static = op.outputs[0]._shape
    if static is None or any(s is not None and (type(s) is not int or s < 0) for s in steps):
        return None
    if static.count(None) > 1 or 0 in static:  # no -1 could say it
        return None
    if alike:
        return inputs[:1]
    target = _vector(out, op, [-1 if d is None else d for d in static])
    return _make(out, op, "Reshape", [inputs[0], target], {})


def _vector(out: Program, op: Operation, values: Sequence[int]) -> Tensor:
    attrs = {"value": np.array(values, np.int32), "dtype": int32}
    return out.make(REGISTRY["Const"], (), attrs, [(int32, (len(values),))], op).outputs[0]


def _rule(*types: str) -> Callable[[Rule], Rule]:
    def register(rule: Rule) -> Rule:
        for name in types:
            _RULES[name] = rule
        return rule

    return register


def _is(t: Tensor, number: float) -> bool:
    """Whether ``t`` is a scalar constant of this value."""
    value = constant_value(t) if t.op.type == "Const" else None
    return value is not None and value.ndim == 0 and value == number


def _make(out: Program, op: Operation, name: str, inputs: Sequence[Tensor], attrs: Any) -> Any:
    result = op.outputs[0]
    return out.make(REGISTRY[name], inputs, attrs, [(result.dtype, result._shape)], op).outputs


@_rule("Identity", "IdentityN", "StopGradient", "PlaceholderWithDefault", "CustomGradient")
def _identity(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    return inputs[: len(op.outputs)]


@_rule("Sub")
def _sub(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    return inputs[:1] if _is(inputs[1], 0) else None


@_rule("Mul")
def _mul(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    for kept, other in (inputs, inputs[::-1]):
        if _is(other, 1):
            return [kept]
    if inputs[0] is inputs[1]:
        return _make(out, op, "Square", inputs[:1], {})
    return None


@_rule("RealDiv")
def _div(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    return inputs[:1] if _is(inputs[1], 1) else None


@_rule("Pow")
def _pow(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    x, y = inputs
    if _is(y, 1):
        return [x]
    if _is(y, 2):
        return _make(out, op, "Square", [x], {})
    return None


@_rule("Neg")
def _neg(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    inner = inputs[0].op
    return inner.inputs if inner.type == "Neg" and is_pure(inner) else None


@_rule("Reshape")
def _reshape(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    x, target = inputs
    if x.op.type == "Reshape" and is_pure(x.op) and -1 not in _known(target):
        return _make(out, op, "Reshape", [x.op.inputs[0], target], {})
    return None


def _known(t: Tensor) -> Any:
    value = constant_value(t)
    return (-1,) if value is None else value


@_rule("Transpose")
def _transpose(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    inner = inputs[0].op
    if inner.type != "Transpose" or not is_pure(inner):
        return None
    if len(op.inputs) > 1 or len(inner.inputs) > 1:  # only a run tells
        return None
    outer_perm, inner_perm = op.attrs["perm"], inner.attrs["perm"]
    if outer_perm is None and inner_perm is None:
        return inner.inputs
    if outer_perm is None or inner_perm is None:
        return None
    perm = tuple(inner_perm[p] for p in outer_perm)
    if perm == tuple(range(len(perm))):
        return inner.inputs
    return _make(out, op, "Transpose", inner.inputs, {"perm": perm, "inverse": False})


@_rule("AddN")
def _add_n(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    """Sums of two, which fuse with what is around them."""

    def plus(x: Tensor, y: Tensor) -> Tensor:
        return _make(out, op, "Add", [x, y], {})[0]

    return [add_in_order(inputs, plus, head_of_sum(len(inputs)))]


@_rule("MatMul")
def _matmul(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    attrs = dict(op.attrs)
    operands = list(inputs)
    for i, flag in enumerate(("transpose_a", "transpose_b")):
        inner = operands[i].op
        if inner.type != "Transpose" or not is_pure(inner) or len(inner.inputs) > 1:
            continue
        if inner.attrs["perm"] in (None, (1, 0)):
            operands[i] = inner.inputs[0]
            attrs[flag] = not attrs[flag]
    return None if attrs == op.attrs else _make(out, op, "MatMul", operands, attrs)


@_rule("ConcatPart")
def _part_of_product(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    """Of a product only the columns that are taken: the gradient of what was joined with data needs
    no more."""
    product, part = inputs[0].op, op.attrs["part"]
    if product.type != "MatMul" or not is_pure(product) or op.attrs["axis"] not in (1, -1):
        return None
    a, b = product.inputs
    known = [known_sizes(t) for t in inputs[1 : part + 2]]
    widths = [s[1] for s in known if s is not None and len(s) == 2 and s[1] is not None]
    if len(widths) <= part or b._shape is None or a.dtype.is_integer:
        return None
    start, width = sum(widths[:part]), widths[part]
    turned = product.attrs["transpose_b"]
    begin, size = ([start, 0], [width, -1]) if turned else ([0, start], [-1, width])
    dims = (width, b._shape[1]) if turned else (b._shape[0], width)
    vectors = [_vector(out, op, begin), _vector(out, op, size)]
    columns = out.make(REGISTRY["Slice"], [b, *vectors], {}, [(b.dtype, dims)], op).outputs[0]
    return _make(out, op, "MatMul", [a, columns], product.attrs)


@_rule("BatchMatMulV2")
def _batch_matmul(out: Program, op: Operation, inputs: tuple[Tensor, ...]) -> Any:
    """Of two matrices, whose rank was not known when it was built."""
    if any(t._shape is None or len(t._shape) != 2 for t in inputs):
        return None
    return _make(out, op, "MatMul", inputs, op.attrs)
