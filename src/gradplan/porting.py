"""What programs for TensorFlow 1 say about devices, eager execution and protocol buffers.

There is one device and one way to run, so most of it is accepted and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from gradplan.graph import Tensor, default_graph, get_default_graph
from gradplan.known import constant_value
from gradplan.ops.state import Variable

__all__ = [
    "GPUOptions",
    "GraphOptions",
    "OptimizerOptions",
    "RunMetadata",
    "RunOptions",
    "VERSION",
    "colocate_with",
    "container",
    "device",
    "disable_eager_execution",
    "disable_resource_variables",
    "disable_v2_behavior",
    "disable_v2_tensorshape",
    "enable_eager_execution",
    "enable_resource_variables",
    "executing_eagerly",
    "get_static_value",
    "init_scope",
    "is_tensor",
]

#: The version of TensorFlow whose names these are; ``gp.__version__`` is gradplan's own.
VERSION = "1.15.0"


def device(device_name_or_function: Any) -> AbstractContextManager[None]:
    """Accepted as in TensorFlow 1: everything runs on the CPU.

    Examples
    --------
    >>> import gradplan as gp
    >>> with gp.device("/gpu:0"):
    ...     x = gp.constant(1.0)
    """
    return get_default_graph().device(device_name_or_function)


def container(container_name: str) -> AbstractContextManager[str]:
    """Accepted as in TensorFlow 1: a session keeps its own variables."""
    return get_default_graph().container(container_name)


def colocate_with(op: Any, ignore_existing: bool = False) -> AbstractContextManager[None]:
    """Accepted as in TensorFlow 1: everything is in one place."""
    return get_default_graph().colocate_with(op, ignore_existing)


@contextmanager
def init_scope() -> Iterator[None]:
    """Go out of loops, conditionals and control dependencies, for what is made but once."""
    graph = get_default_graph().root
    with default_graph(graph), graph.control_dependencies(None):
        yield


def is_tensor(x: Any) -> bool:
    """Whether ``x`` is a tensor or a variable."""
    return isinstance(x, (Tensor, Variable))


def get_static_value(tensor: Any, partial: bool = False) -> np.ndarray | None:
    """The value of a tensor where it is known while the graph is built, else None.

    Examples
    --------
    >>> import gradplan as gp
    >>> gp.get_static_value(gp.shape(gp.zeros([2, 3])))
    array([2, 3], dtype=int32)
    """
    return constant_value(tensor) if isinstance(tensor, Tensor) else None


def executing_eagerly() -> bool:
    """False: gradplan builds graphs."""
    return False


def enable_eager_execution(
    config: Any = None, device_policy: Any = None, execution_mode: Any = None
) -> None:
    """RuntimeError: gradplan builds graphs and runs them in sessions."""
    raise RuntimeError("gradplan has no eager execution: build a graph and run it in a gp.Session")


def disable_eager_execution() -> None:
    """Accepted as in TensorFlow 2's ``compat.v1``: there is none."""


def disable_v2_behavior() -> None:
    """Accepted as in TensorFlow 2's ``compat.v1``: all is TensorFlow 1's."""


def disable_v2_tensorshape() -> None:
    """Accepted as in TensorFlow 2's ``compat.v1``: all is TensorFlow 1's."""


def enable_resource_variables() -> None:
    """Accepted as in TensorFlow 1: what a read sees is defined anyway (ARCHITECTURE.md)."""


def disable_resource_variables() -> None:
    """Accepted as in TensorFlow 1: see :func:`enable_resource_variables`."""


class _Options(SimpleNamespace):
    """Fields by name."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)


class GPUOptions(_Options):
    """Options for GPUs, accepted: there are none.

    Examples
    --------
    >>> import gradplan as gp
    >>> options = gp.GPUOptions(per_process_gpu_memory_fraction=0.3, allow_growth=True)
    >>> sess = gp.Session(config=gp.ConfigProto(gpu_options=options))
    """


class OptimizerOptions(_Options):
    """Options of TensorFlow's graph optimizer, accepted; ``ConfigProto(optimize=False)`` counts."""

    L0, L1 = -1, 0
    DEFAULT, OFF, ON_1, ON_2 = 0, -1, 1, 2


class GraphOptions(_Options):
    """Options of graphs, accepted; they change nothing."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**{"optimizer_options": OptimizerOptions(), **fields})


class RunOptions(_Options):
    """Options of a run, accepted by :meth:`Session.run`; they change nothing."""

    NO_TRACE, SOFTWARE_TRACE, HARDWARE_TRACE, FULL_TRACE = range(4)


class RunMetadata:
    """What a run would tell of itself. It stays empty: ``sess.plan(fetches)`` shows what runs."""

    def __init__(self) -> None:
        self.step_stats = SimpleNamespace(dev_stats=[])
        self.cost_graph = SimpleNamespace(node=[])
        self.partition_graphs: list[Any] = []


class MissingNameError(AttributeError):
    """A public name that there is not. What to use instead is looked up when it is shown, so that
    asking with ``hasattr`` costs nothing."""

    def __str__(self) -> str:
        advice = import_module("gradplan.port").missing(self.args[0]).advice
        return f"gradplan has no {self.args[0]!r}" + (f" ({advice})" if advice else "")


def refuse_names(module: ModuleType, prefix: str = "") -> Callable[[str], Any]:
    """The ``__getattr__`` of a module that tells what to use instead of a name that it has not;
    ``prefix`` stands before the name in TensorFlow's vocabulary."""

    def __getattr__(name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
        raise MissingNameError(prefix + name, name=name, obj=module)

    return __getattr__
