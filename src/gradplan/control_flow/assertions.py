"""``Assert`` and its kin: operations that end a run whose values are not what they should be."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from gradplan import errors
from gradplan.control_flow.conditionals import cond
from gradplan.graph import Operation, Tensor, at_user_line, get_default_graph
from gradplan.known import constant_value
from gradplan.opdef import HOST, apply, graph_of, is_variable, op
from gradplan.ops.array import identity
from gradplan.ops.constant import constant, convert_to_tensor, renamed
from gradplan.ops.control import group, no_op
from gradplan.ops.functions import is_finite
from gradplan.ops.logic import equal, greater, greater_equal, less, less_equal, not_equal
from gradplan.ops.reduce import reduce_all

__all__ = [
    "Assert",
    "add_check_numerics_ops",
    "assert_equal",
    "assert_greater",
    "assert_greater_equal",
    "assert_less",
    "assert_less_equal",
    "assert_negative",
    "assert_non_negative",
    "assert_non_positive",
    "assert_none_equal",
    "assert_positive",
    "assert_rank",
    "check_numerics",
    "verify_tensor_all_finite",
]

#: Elements that are shown of a tensor unless it is said.
_SHOWN = 3


@op("Assert", HOST, types="any* ->", flops=0, fallible=True)
def _fail(data: Any, words: Any = (), summarize: int = 3, name: str | None = None) -> Any:
    """Ends the run with InvalidArgumentError; ``words`` stand before each of ``data``."""


@_fail.shape
def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
    return []


@_fail.lower
def _(binder: Any, op: Any) -> None:
    words, most = op.attrs["words"], op.attrs["summarize"]

    def fail(*arrays: np.ndarray) -> None:
        rest = iter(arrays)
        said = _joined([next(rest) if w is None else w for w in words], most)
        raise errors.InvalidArgumentError(None, op.origin, f"{said} (made at {op.made_at})")

    binder.host(fail, [], [binder.view(t) for t in op.inputs])


def _joined(parts: Sequence[Any], most: int | None) -> str:
    most = _SHOWN if most is None else most
    told = [p if isinstance(p, str) else _shown(np.asarray(p), most) for p in parts]
    return f"assertion failed: {' '.join(told)}"


def _shown(array: np.ndarray, most: int) -> str:
    flat = [str(x) for x in array.ravel()[: None if most < 0 else most]]
    return f"[{' '.join(flat)}{'...' if array.size > len(flat) else ''}]"


def Assert(
    condition: Any, data: Sequence[Any], summarize: int | None = None, name: str | None = None
) -> Operation:
    """An operation that ends the run with InvalidArgumentError unless ``condition`` holds.

    Parameters
    ----------
    condition : tensor_like of bool
        All its elements must be true.
    data : list of tensor_like or str
        What the error shows.
    summarize : int, optional
        Elements shown of each tensor; -1 shows all. Default: 3.
    name : str, optional

    Notes
    -----
    It runs where something depends on it: put what must not run without it under
    ``control_dependencies``. No variable is changed in a run that it ends.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [])
    >>> with gp.control_dependencies([gp.Assert(x > 0.0, ["x must be positive:", x])]):
    ...     y = gp.log(x)
    >>> sess = gp.Session()
    >>> print(sess.run(y, {x: 1.0}))
    0.0
    >>> try:
    ...     sess.run(y, {x: -1.0})
    ... except gp.errors.InvalidArgumentError as error:
    ...     print(error.message.split(" (")[0])
    assertion failed: x must be positive: [-1.0]
    """
    graph = graph_of([condition, *data, get_default_graph()])
    with graph.as_default(), graph.name_scope(name or "Assert"):
        holds = reduce_all(convert_to_tensor(condition))
        words = tuple(d if isinstance(d, str) else None for d in data)
        values = [convert_to_tensor(d) for d in data if not isinstance(d, str)]
        attrs = {"words": words, "summarize": _SHOWN if summarize is None else summarize}
        fails = lambda: apply(_fail.opdef, values, attrs)  # noqa: E731
        return cond(holds, no_op, fails, name="AssertGuard").op


def _declare(name: str, words: str, relation: Any, scope: str | None = None) -> Any:
    """``assert_less`` and so on: of two tensors, or, with the scope of TensorFlow's comparison, of
    one and zero."""

    numbers, unary = getattr(np, relation.__name__), scope is not None

    def check(x: Any, y: Any, data: Any, summarize: Any, message: Any, label: Any) -> Operation:
        graph = graph_of([x, y, get_default_graph()])
        with graph.as_default(), graph.name_scope(label or name):
            x = convert_to_tensor(x)
            y = constant(0, x.dtype) if unary else convert_to_tensor(y, x.dtype)
            shown = [*([message] if message else []), f"Condition x {words} did not hold"]
            shown += [f"element-wise: x ({x.name}) =", x]
            if not unary:
                shown += [f"y ({y.name}) =", y]
            if data is not None:
                shown = list(data)
            given = [constant_value(t) for t in (x, y)]
            if not any([v is None for v in given]) and not np.all(numbers(*given)):
                known = [constant_value(d) if isinstance(d, Tensor) else d for d in shown]
                said = _joined([d for d in known if d is not None], summarize)
                raise errors.InvalidArgumentError(None, None, at_user_line(said))
            with graph.name_scope(scope) if unary else nullcontext():
                return Assert(relation(x, y), shown, summarize)

    if unary:

        def of_one(
            x: Any,
            data: Any = None,
            summarize: int | None = None,
            message: str | None = None,
            name: str | None = None,
        ) -> Operation:
            return check(x, None, data, summarize, message, name)

        made: Any = of_one
    else:

        def of_two(
            x: Any,
            y: Any,
            data: Any = None,
            summarize: int | None = None,
            message: str | None = None,
            name: str | None = None,
        ) -> Operation:
            return check(x, y, data, summarize, message, name)

        made = of_two
    made.__name__ = made.__qualname__ = name
    made.__doc__ = (
        f"An operation that ends the run unless ``x {words}`` holds for all elements.\n\n"
        "    Parameters and error as for :func:`Assert`; ``message`` comes before the values.\n"
        "    Of constants it is checked at once.\n    "
    )
    return made


assert_equal = _declare("assert_equal", "== y", equal)
assert_none_equal = _declare("assert_none_equal", "!= y", not_equal)
assert_less = _declare("assert_less", "< y", less)
assert_less_equal = _declare("assert_less_equal", "<= y", less_equal)
assert_greater = _declare("assert_greater", "> y", greater)
assert_greater_equal = _declare("assert_greater_equal", ">= y", greater_equal)
assert_positive = _declare("assert_positive", "> 0", greater, "assert_less")
assert_negative = _declare("assert_negative", "< 0", less, "assert_less")
assert_non_negative = _declare("assert_non_negative", ">= 0", greater_equal, "assert_less_equal")
assert_non_positive = _declare("assert_non_positive", "<= 0", less_equal, "assert_less_equal")


def assert_rank(
    x: Any,
    rank: Any,
    data: Any = None,
    summarize: int | None = None,
    message: str | None = None,
    name: str | None = None,
) -> Operation:
    """Check the rank of a tensor while the graph is built.

    Raises
    ------
    ValueError
        If ``x`` has another rank than ``rank``, or its rank is not known.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.assert_rank(gp.zeros([2, 3]), 2).type
    'NoOp'
    """
    x = convert_to_tensor(x)
    wanted = constant_value(convert_to_tensor(rank))
    if wanted is None or x._shape is None or len(x._shape) != int(wanted):
        raise ValueError(f"{message or ''} Tensor {x.name} must have rank {rank}, not {x.shape}")
    return no_op(name=name or "assert_type/statically_determined_correct_type")


# ---- numbers that are none -----------------------------------------------------------------------


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Tensor:
    """The same tensor; a run in which it has a NaN or an infinity ends with InvalidArgumentError.

    Parameters
    ----------
    tensor : tensor_like of float
    message : str
        What the error begins with.
    name : str, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [])
    >>> y = gp.check_numerics(gp.log(x), "log x")
    >>> try:
    ...     gp.Session().run(y, {x: -1.0})
    ... except gp.errors.InvalidArgumentError as error:
    ...     print(error.message.split(" (")[0])
    assertion failed: log x : Tensor had NaN or Inf values [nan]
    """
    graph = graph_of([tensor, get_default_graph()])
    with graph.as_default(), graph.name_scope(name or "CheckNumerics") as scope:
        tensor = convert_to_tensor(tensor, name="tensor")
        said = [f"{message} : Tensor had NaN or Inf values", tensor]
        with graph.control_dependencies([Assert(is_finite(tensor), said)]):
            return identity(tensor, name=scope)


def verify_tensor_all_finite(
    t: Any = None, msg: Any = None, name: str | None = None, x: Any = None, message: Any = None
) -> Tensor:
    """:func:`check_numerics` by its older name; ``x`` and ``message`` are ``t`` and ``msg``.

    Examples
    --------
    >>> import gradplan as gp
    >>> float(gp.Session().run(gp.verify_tensor_all_finite(2.0, "two")))
    2.0
    """
    t, msg = renamed("x", x, "t", t), renamed("message", message, "msg", msg)
    graph = graph_of([t, get_default_graph()])
    with graph.as_default(), graph.name_scope(name or "VerifyFinite") as scope:
        t = convert_to_tensor(t, name="x")
        return identity(check_numerics(t, msg), name=scope)


def add_check_numerics_ops() -> Operation:
    """An operation that checks all floats of the default graph by :func:`check_numerics`.

    What stands inside of loops and conditionals is checked by their results alone, and what writes
    a variable by what it writes.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [], name="x")
    >>> y = gp.exp(x, name="y")
    >>> check = gp.add_check_numerics_ops()
    >>> float(gp.Session().run([y, check], {x: 0.0})[0])
    1.0
    """
    computed = [
        t
        for made in get_default_graph().get_operations()
        for t in made.outputs
        if t.dtype.is_floating and not made.writes and not is_variable(t)
    ]
    return group(*[check_numerics(t, t.name) for t in computed])
