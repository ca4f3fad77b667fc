"""Gradients that the user defines: by the type of an operation, or for a function of his own."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from gradplan.graph import Graph, Operation, Tensor, at_user_line, user_line
from gradplan.opdef import REGISTRY, VIEW, OpDef, apply, graph_of
from gradplan.ops.array import zeros_like
from gradplan.ops.constant import convert_to_tensor
from gradplan.ops.seeds import like
from gradplan.ops.state import Variable

Gradient = Callable[..., Any]

#: What was registered beside the operations' own gradients: the function, and where it was said.
_registered: dict[str, tuple[Gradient, str]] = {}


class RegisterGradient:
    """Decorator that registers a function as the gradient of operations of one type.

    Parameters
    ----------
    op_type : str
        The type of an operation without a gradient, or a new name, for
        :meth:`Graph.gradient_override_map`.

    Raises
    ------
    TypeError
        If ``op_type`` is no string.
    KeyError
        If the type has a gradient already.

    Notes
    -----
    The function is called as ``f(op, *grads)``, with the gradient of each output (zeros for one
    that nobody took), and gives that of each input: a tensor, or None where nothing flows.

    Examples
    --------
    >>> import gradplan as gp
    >>> @gp.RegisterGradient("StraightThrough")
    ... def _(op, grad):
    ...     return grad
    >>> with gp.Graph().as_default() as graph:
    ...     x = gp.constant([0.4, 1.6])
    ...     with graph.gradient_override_map({"Round": "StraightThrough"}):
    ...         y = gp.round(x)
    ...     gp.Session().run([y, gp.gradients(y, x)[0]])
    [array([0., 2.], dtype=float32), array([1., 1.], dtype=float32)]
    """

    def __init__(self, op_type: str) -> None:
        if not isinstance(op_type, str):
            raise TypeError("op_type must be a string")
        self._op_type = op_type

    def __call__(self, f: Gradient) -> Gradient:
        if not callable(f):
            raise TypeError(f"the gradient of {self._op_type} must be a function, not {f!r}")
        _register(self._op_type, f)
        return f


def NotDifferentiable(op_type: str) -> None:
    """Say that operations of this type pass no gradient on: it is None for all their inputs.

    Raises
    ------
    TypeError
        If ``op_type`` is no string.
    KeyError
        If the type has a gradient already.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.NotDifferentiable("MyOperation")
    """
    if not isinstance(op_type, str):
        raise TypeError("op_type must be a string")
    _register(op_type, lambda op, *grads: [None] * len(op.inputs))


#: TensorFlow's older name.
NoGradient = NotDifferentiable


def _register(op_type: str, f: Gradient) -> None:
    builtin = op_type in REGISTRY and REGISTRY[op_type].gradient is not None
    if builtin or op_type in _registered:
        where = "gradplan" if builtin else _registered[op_type][1]
        raise KeyError(
            f"Registering two gradient with name '{op_type}'! (Previous registration was in "
            f"{where})"
        )
    file, line = user_line()
    _registered[op_type] = f, f"{file}:{line}"


def gradient_of(op: Operation) -> Gradient | None:
    """The function that gives the operation's gradient: the one that overrides it, a registered
    one, or its own; None if it has none."""
    name = op.gradient_type or op.opdef.name
    if name in _registered:
        return _checked(_registered[name][0])
    opdef = op.opdef if op.gradient_type is None else REGISTRY.get(name)
    return None if opdef is None else opdef.gradient


def _checked(f: Gradient) -> Gradient:
    """``f`` with zeros for the gradients of what nobody took, and its results checked."""

    def gradient(op: Operation, *dys: Tensor | None) -> list[Tensor | None]:
        dxs = f(op, *_with_zeros(op, dys))
        given = list(dxs) if isinstance(dxs, (list, tuple)) else [dxs]
        if len(given) != len(op.inputs):
            raise ValueError(
                f"Num gradients {len(given)} generated for op {op} do not match num inputs "
                f"{len(op.inputs)}"
            )
        return _fitted(op, given, op.inputs)

    return gradient


def _with_zeros(op: Operation, dys: Sequence[Tensor | None]) -> list[Tensor | None]:
    return [
        zeros_like(t) if dy is None and t.dtype.is_floating else dy
        for t, dy in zip(op.outputs, dys, strict=True)
    ]


def _fitted(op: Operation, dxs: Sequence[Any], xs: Sequence[Tensor]) -> list[Tensor | None]:
    """The gradients that a user's function gave, as tensors of the type and shape of ``xs``."""
    out: list[Tensor | None] = []
    for i, (dx, x) in enumerate(zip(dxs, xs, strict=True)):
        if dx is None or not x.dtype.is_floating:
            out.append(None)
            continue
        try:
            out.append(like(convert_to_tensor(dx, x.dtype), x))
        except (TypeError, ValueError) as error:
            raise type(error)(f"the gradient of {op} for its input {i}: {error}") from None
    return out


# ---- functions -----------------------------------------------------------------------------------


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """Decorator that gives a function the gradient which it defines itself.

    Parameters
    ----------
    f : callable
        ``f(*args) -> (y, grad)``. The arguments come as tensors; ``y`` is a tensor or a list of
        them. ``grad(*dys)`` gives the gradient for every argument, None where nothing flows. If
        ``f`` uses variables, it is called as ``grad(*dys, variables=[...])`` and gives two lists,
        for the arguments and for the variables.

    Returns
    -------
    callable
        It gives ``y``; keyword arguments are passed to ``f`` as they are.

    Raises
    ------
    TypeError
        If ``f`` does not return a pair with a function, or uses variables and ``grad`` does not
        take them.
    ValueError
        When it is differentiated: if the number of gradients, or a shape, does not fit.

    Examples
    --------
    ``log(1 + exp(x))``, whose gradient of plain operations is NaN where ``exp`` overflows:

    >>> import gradplan as gp
    >>> @gp.custom_gradient
    ... def log1pexp(x):
    ...     e = gp.exp(x)
    ...     def grad(dy):
    ...         return dy * (1 - 1 / (1 + e))
    ...     return gp.log(1 + e), grad
    >>> x = gp.constant(100.0)
    >>> float(gp.Session().run(gp.gradients(log1pexp(x), x)[0]))
    1.0
    """

    @functools.wraps(f)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        graph = graph_of(args)
        with graph.as_default():
            inputs = [convert_to_tensor(x) for x in args]
            made = f(*inputs, **kwargs)
            if not isinstance(made, tuple) or len(made) != 2 or not callable(made[1]):
                raise TypeError(
                    at_user_line(
                        "a function with a custom gradient must return a pair: its result, and "
                        f"the function that gives the gradient; not {made!r}"
                    )
                )
            return _result(made[0], made[1], inputs, graph)

    return decorated


def _result(result: Any, grad: Gradient, args: list[Tensor], graph: Graph) -> Any:
    several = isinstance(result, (list, tuple))
    results = [convert_to_tensor(y) for y in (result if several else [result])]
    variables = _variables(results, args, graph)
    parameters = inspect.signature(grad).parameters
    if variables and not (
        "variables" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    ):
        names = ", ".join(v.name for v in variables)
        raise TypeError(
            at_user_line(
                "If using @custom_gradient with a function that uses variables, then grad_fn must "
                f"accept a keyword argument 'variables' (it uses {names})"
            )
        )
    inputs = [*results, *args, *[v.value() for v in variables]]
    n = len(results)

    def gradient(op: Operation, *dys: Tensor | None) -> list[Tensor | None]:
        given = _with_zeros(op, dys)
        found = grad(*given, variables=variables) if variables else grad(*given)
        of_args, of_variables = found if variables else (found, [])
        dxs: list[Any] = []
        for what, some, wanted in (
            ("arguments", of_args, len(args)),
            ("variables", of_variables, len(variables)),
        ):
            some = list(some) if isinstance(some, (list, tuple)) else [some]
            if len(some) != wanted:
                raise ValueError(
                    f"the custom gradient function of {op} was expected to return {wanted} "
                    f"gradients of {what}, but returned {len(some)}"
                )
            dxs += some
        return [None] * n + _fitted(op, dxs, op.inputs[n:])

    outputs = apply(_identities(inputs, n, gradient), inputs, {}, "IdentityN")
    return type(result)(outputs if n > 1 else [outputs]) if several else outputs


def _identities(inputs: Sequence[Tensor], n: int, gradient: Gradient | None) -> OpDef:
    """An operation whose outputs are the first ``n`` inputs, with a gradient of its own."""
    types = tuple(t.dtype.name for t in inputs)
    opdef = OpDef(
        "CustomGradient",
        VIEW,
        inputs=tuple(f"input_{i}" for i in range(len(inputs))),
        in_types=types,
        out_types=types[:n],
        kernel=None,
        flops=0,
    )

    def lower(binder: Any, op: Operation) -> None:
        for i in range(n):
            binder.alias(op, binder.view(op.inputs[i]), i)

    opdef.shape = lambda attrs, in_shapes, value: list(in_shapes[:n])
    opdef.lower = lower
    opdef.gradient = gradient

    def batch(op: Operation, b: Any) -> Any:
        # Its gradient speaks of the tensors that it was made for, not of the batch: there is none.
        whole = [b.full(i) for i in range(len(op.inputs))]
        return apply(_identities(whole, n, None), whole, {})

    opdef.batch = batch
    return opdef


def _variables(results: Sequence[Tensor], args: Sequence[Tensor], graph: Graph) -> list[Variable]:
    """The float variables that the results depend on other than through the arguments."""
    given = set(args)
    seen: set[Operation] = set()
    read: set[Tensor] = set()
    stack = [t for t in results if t not in given]
    while stack:
        t = stack.pop()
        if t.op in seen:
            continue
        seen.add(t.op)
        read.update(t.op.outputs)
        stack.extend(x for x in t.op.inputs if x not in given)
    found: dict[Variable, None] = {}
    for key in graph.get_all_collection_keys():
        for v in graph.get_collection(key):
            if isinstance(v, Variable) and v.dtype.is_floating and v._as_graph_element() in read:
                found[v] = None
    return list(found)
