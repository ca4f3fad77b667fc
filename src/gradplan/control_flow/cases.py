"""``case``: a choice among several functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gradplan.control_flow.assertions import Assert
from gradplan.control_flow.bodies import flatten, pack
from gradplan.control_flow.conditionals import cond
from gradplan.dtypes import int32
from gradplan.graph import Graph, Operation, Tensor, at_user_line, get_default_graph
from gradplan.ops.array import identity
from gradplan.ops.casts import cast
from gradplan.ops.constant import constant
from gradplan.ops.logic import less_equal
from gradplan.ops.reduce import reduce_sum
from gradplan.ops.slicing import stack

__all__ = ["case"]


def case(
    pred_fn_pairs: Any,
    default: Callable[[], Any] | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """What the function of the first predicate that holds makes, or else ``default()``.

    Parameters
    ----------
    pred_fn_pairs : list of (tensor_like of bool, callable), or dict
    default : callable, optional
        Default: one of the predicates has to hold.
    exclusive : bool, optional
        Whether no two predicates may hold; without a default the last one is left out of account,
        as in TensorFlow 1. Default: False, the first that holds is taken.
    strict : bool, optional
        See :func:`cond`.
    name : str, optional

    Raises
    ------
    InvalidArgumentError
        At run time, if no predicate holds and there is no default, or two hold and ``exclusive``
        forbids it.

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [])
    >>> y = gp.case([(x < 0.0, lambda: -x), (x > 9.0, lambda: x * 0.0)], default=lambda: x)
    >>> sess = gp.Session()
    >>> print(*[sess.run(y, {x: v}) for v in (-2.0, 10.0, 3.0)])
    2.0 0.0 3.0
    """
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, dict) else pred_fn_pairs)
    if not all(isinstance(p, (list, tuple)) and len(p) == 2 and callable(p[1]) for p in pairs):
        raise TypeError(at_user_line("case: pairs of a predicate and a function are expected"))
    if default is None:
        if not pairs:
            raise ValueError(at_user_line("case: there is nothing to choose from"))
        default = _last(pairs)
    with get_default_graph().name_scope(name):
        chosen = default
        for predicate, function in reversed(pairs):

            def choose(p: Any = predicate, f: Any = function, rest: Any = chosen) -> Any:
                return cond(p, f, rest, strict=strict)

            chosen = choose
        if not exclusive:
            return chosen()
        with get_default_graph().control_dependencies([_at_most_one([p for p, _ in pairs])]):
            return chosen()


def _at_most_one(predicates: list[Any]) -> Operation:
    """What fails if two predicates hold."""
    held = stack(predicates, name="preds_c")
    number = reduce_sum(cast(held, int32), name="num_true_conds")
    names = ", ".join(getattr(p, "name", "?") for p in predicates)
    said = f"Input error: exclusive=True: more than 1 conditions ({names}) evaluated as True:"
    at_most = less_equal(number, constant(1, name="n_true_conds"))
    return Assert(at_most, [said, held], summarize=len(predicates))


def _last(pairs: list[Any]) -> Callable[[], Any]:
    """The last function, which takes the place of a default, and sees to it that it is wanted."""
    predicates = [predicate for predicate, _ in pairs]
    holds, function = pairs.pop()

    def last() -> Any:
        said = ["Input error: None of conditions evaluated as True:", stack(predicates)]
        graph = get_default_graph()
        with graph.control_dependencies([Assert(holds, said)]):
            first, out = graph.version, function()
            # What the function did not make itself would not wait.
            return pack(out, [_waiting(x, graph, first) for x in flatten(out)])

    return last


def _waiting(x: Any, graph: Graph, first: int) -> Any:
    old = isinstance(x, Tensor) and (x.op.graph is not graph or x.op.id < first)
    return identity(x) if old else x
