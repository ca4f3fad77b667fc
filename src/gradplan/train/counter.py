"""The global step: a variable that counts the steps of training."""

from __future__ import annotations

from typing import Any

from gradplan.dtypes import int64
from gradplan.graph import GraphKeys, Tensor, default_graph, get_default_graph
from gradplan.ops.array import zeros
from gradplan.ops.state import Variable
from gradplan.train.slots import under_scope

_NAME = "global_step"


def global_step(sess: Any, global_step_tensor: Any) -> int:
    """The value of the global step in a session.

    Examples
    --------
    >>> import gradplan as gp
    >>> count = gp.train.create_global_step()
    >>> with gp.Session() as sess:
    ...     sess.run(count.initializer)
    ...     gp.train.global_step(sess, count)
    0
    """
    return int(sess.run(global_step_tensor))


def create_global_step(graph: Any = None) -> Variable:
    """A new variable ``global_step`` (int64, 0 at first) of the graph.

    Raises
    ------
    ValueError
        If there is one.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.train.create_global_step()
    <gp.Variable 'global_step:0' shape=() dtype=int64>
    """
    graph = graph or get_default_graph()
    if get_global_step(graph) is not None:
        raise ValueError('"global_step" already exists.')
    with default_graph(graph.root), graph.name_scope(None):
        return Variable(
            lambda: zeros([], int64),
            trainable=False,
            collections=[GraphKeys.GLOBAL_VARIABLES, GraphKeys.GLOBAL_STEP],
            name=under_scope(_NAME),
        )


def get_or_create_global_step(graph: Any = None) -> Variable:
    """The variable ``global_step`` (int64) of the graph, made if there is none.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.train.get_or_create_global_step()
    <gp.Variable 'global_step:0' shape=() dtype=int64>
    """
    graph = graph or get_default_graph()
    found = get_global_step(graph)
    return create_global_step(graph) if found is None else found


def get_global_step(graph: Any = None) -> Variable | None:
    """The global step of the graph, or None: what is in the collection ``GLOBAL_STEP``, else the
    variable of the name ``global_step``.

    Raises
    ------
    TypeError
        If it is no scalar of integers.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.train.get_global_step() is None
    True
    """
    graph = graph or get_default_graph()
    found = list(graph.get_collection(GraphKeys.GLOBAL_STEP)) or [
        v for v in graph.get_collection(GraphKeys.GLOBAL_VARIABLES) if v.op.name == _NAME
    ]
    if not found:
        return None
    assert_global_step(found[0])
    return found[0]


def assert_global_step(global_step_tensor: Any) -> None:
    """TypeError if this cannot be a global step: no variable or tensor, no integer, no scalar.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.train.assert_global_step(gp.Variable(0.0))
    Traceback (most recent call last):
    TypeError: assert_global_step: Existing "global_step" does not have integer type: float32 ...
    """
    if not isinstance(global_step_tensor, (Variable, Tensor)):
        raise TypeError(
            f'Existing "global_step" must be a Variable or Tensor: {global_step_tensor}.'
        )
    if not global_step_tensor.dtype.is_integer:
        raise TypeError(
            f'Existing "global_step" does not have integer type: {global_step_tensor.dtype.name}'
        )
    if global_step_tensor.shape.ndims not in (0, None):
        raise TypeError(f'Existing "global_step" is not scalar: {global_step_tensor.shape}')
