"""Sessions: variables, the cache of plans, feeds in and fetches out."""

from __future__ import annotations

import operator
import warnings
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradplan import _core, composite, errors, loop, memory, stages
from gradplan.compiled import Compiled, Staged
from gradplan.dtypes import bfloat16, outside
from gradplan.feeds import to_feed
from gradplan.graph import (
    Graph,
    GraphKeys,
    Operation,
    Tensor,
    _stack,
    default_session,
    get_default_graph,
)
from gradplan.opdef import STATE
from gradplan.ops.streams import initial_state
from gradplan.plan import Plan

#: Fetches that one session keeps a callable for.
MAX_CALLABLES = 1024


class ConfigProto:
    """Options of a session, by TensorFlow 1's names.

    Parameters
    ----------
    optimize : bool, optional
        False runs the graph as it was written, without passes, fusion, aliasing or reuse of
        buffers: the reference that the optimised path is tested against. Default: True.
    intra_op_parallelism_threads : int, optional
        Threads that work on one run; the results are the same bits for any number. Default, and 0:
        ``GRADPLAN_NUM_THREADS`` if that is set, else the CPUs that this process may use.
    **fields
        ``allow_soft_placement``, ``gpu_options`` and the other fields of TensorFlow 1, accepted;
        they change nothing on a CPU.

    Examples
    --------
    >>> import gradplan as gp
    >>> config = gp.ConfigProto(allow_soft_placement=True)
    >>> config.gpu_options.allow_growth = True
    >>> sess = gp.Session(config=config)
    """

    def __init__(
        self, optimize: bool = True, intra_op_parallelism_threads: int = 0, **fields: Any
    ) -> None:
        self.optimize = optimize
        self.intra_op_parallelism_threads = intra_op_parallelism_threads
        self.gpu_options = SimpleNamespace()
        self.graph_options = SimpleNamespace()
        for name, value in fields.items():
            setattr(self, name, value)


class Step(_core.Callable):
    """A compiled function of its feeds, from :meth:`Session.make_callable`.

    Calling it with one array for each feed returns the fetches, in the structure they were given
    in. Other shapes bind another plan; nothing is optimised anew.
    """

    compiled: Compiled | Staged
    pack: Any
    bind: Callable[[tuple[Any, ...]], Any]

    @property
    def plan(self) -> Plan | None:
        """The plan of the last call; ``print(step.plan)`` shows every instruction."""
        return self.compiled.plans[-1]

    @property
    def plans(self) -> list[Plan | None]:
        """The plans of the last call: several where shapes depend on values that it computes."""
        return self.compiled.plans

    def loop(
        self,
        arrays: Sequence[Any],
        batch_size: int,
        epochs: int = 1,
        steps: int | None = None,
        shuffle: bool = True,
        seed: int | None = None,
        drop_remainder: bool = False,
        on_progress: Callable[[int], Any] | None = None,
        every: float = 0.1,
    ) -> Any:
        """Run many steps over mini-batches of whole arrays, without coming back to Python.

        Parameters
        ----------
        arrays : sequence of array_like
            One for each feed. Of an array whose feed has an unknown first dimension every step
            takes
            ``batch_size`` rows; any other is fed as it is. Memory maps are read where they lie.
        batch_size : int
        epochs : int, optional
            How often to go through the rows. Default: once.
        steps : int, optional
            How many steps to run instead.
        shuffle : bool, optional
            Whether every epoch takes the rows in a new random order. Default: True.
        seed : int, optional
            Of the shuffling: epoch e takes ``numpy.random.default_rng([seed,
            e]).permutation(rows)``.
        drop_remainder : bool, optional
            Leave out the last, smaller batch of an epoch. Default: False.
        on_progress : callable, optional
            Called with the number of steps done; a true result stops the loop.
        every : float, optional
            Seconds between two such calls, about. Default: 0.1.

        Returns
        -------
        Same structure as the fetches
            For a scalar an array with a value for each step; None for operations.

        Raises
        ------
        TypeError, ValueError
            Before the first step: if arrays differ in length or do not fit their feeds, the batch
            is empty or larger than the data, or a fetch is no scalar.
        KeyboardInterrupt
            On Ctrl-C, between two steps: every variable is that of a finished step.

        Examples
        --------
        >>> import gradplan as gp, numpy as np
        >>> x = gp.placeholder(gp.float32, [None])
        >>> total = gp.Variable(0.0)
        >>> step = total.assign_add(gp.reduce_sum(x))
        >>> with gp.Session() as sess:
        ...     sess.run(total.initializer)
        ...     print(sess.make_callable(step, [x]).loop([np.arange(6.0)], 2, shuffle=False))
        [ 1.  6. 15.]
        """
        feeds = self.compiled.loop_feeds(arrays)
        order = loop.make_order(feeds, operator.index(batch_size), shuffle, seed, drop_remainder)
        count = epochs * order.steps_per_epoch if steps is None else steps
        if count < 1:
            raise ValueError(f"loop: nothing to do, with {epochs} epochs and {steps} steps")
        if isinstance(self.compiled, Staged):
            results = loop.run_each(self.compiled.run, feeds, order, count, on_progress, every)
        else:
            results = loop.run(self.compiled.bind, feeds, order, count, on_progress, every)
        if self.pack is None:
            return results
        return results[self.pack] if isinstance(self.pack, int) else self.pack(results)


class Session:
    """Runs a graph: holds the values of its variables and the plans made so far.

    Parameters
    ----------
    target : str, optional
        Must be empty: there are no remote sessions.
    graph : Graph, optional
        Default: the default graph.
    config : ConfigProto, optional

    Examples
    --------
    >>> import gradplan as gp
    >>> x = gp.placeholder(gp.float32, [None])
    >>> with gp.Session() as sess:
    ...     print(sess.run({"sum": gp.reduce_sum(x)}, {x: [1.0, 2.0]}))
    {'sum': np.float32(3.0)}
    """

    def __init__(
        self, target: str = "", graph: Graph | None = None, config: ConfigProto | None = None
    ) -> None:
        if target:
            raise ValueError(f"there are no remote sessions: target must be '', not {target!r}")
        if graph is not None and not isinstance(graph, Graph):
            raise TypeError(f"graph must be a gp.Graph, but got {type(graph).__name__}")
        self._graph = get_default_graph() if graph is None else graph
        self._config = config or ConfigProto()
        threads = self._config.intra_op_parallelism_threads
        if not isinstance(threads, int) or not 0 <= threads <= 1024:
            raise ValueError(
                f"intra_op_parallelism_threads must be from 0 to 1024, not {threads!r}"
            )
        self._state = _core.State()
        self._places: dict[Operation, tuple[int, int]] = {}  # offset in bytes, number
        self._scanned = 0
        self._bytes = 0
        self._memories: dict[Operation, list[Any]] = {}
        self._steps: dict[Any, Step] = {}
        self._version = 0
        self._growths = 0
        self._entered: list[ExitStack] = []

    @property
    def graph(self) -> Graph:
        return self._graph

    @property
    def graph_def(self) -> Graph:
        return self._graph

    # ---- running -------------------------------------------------------------------------------

    def run(
        self,
        fetches: Any,
        feed_dict: Mapping[Any, Any] | None = None,
        options: Any = None,
        run_metadata: Any = None,
    ) -> Any:
        """Compute ``fetches``.

        Parameters
        ----------
        fetches : Tensor, Operation, Variable, str, or any nesting of them
            In lists, tuples, named tuples and dictionaries.
        feed_dict : dict, optional
            Tensors (or their names) and the values they take in this run; any tensor may be fed.
            A tuple of tensors takes a tuple or list of values, nested alike.
        options, run_metadata : optional
            Accepted as in TensorFlow 1.

        Returns
        -------
        Same structure as ``fetches``
            Fresh arrays, NumPy scalars for rank 0, None for operations.

        Raises
        ------
        RuntimeError
            If the session is closed or the graph empty.
        TypeError
            If something can be neither fetched nor fed.
        ValueError
            If a fetch belongs to another graph, or a fed value has the wrong shape.
        InvalidArgumentError
            If a placeholder is not fed, shapes do not fit, or a value is refused.
        FailedPreconditionError
            If a variable was never initialised.
        """
        kind = type(fetches)
        try:
            flat = tuple(fetches) if kind is list else fetches
            if feed_dict:
                return self._steps[kind, flat, *feed_dict](*feed_dict.values())
            return self._steps[kind, flat]()
        except (AttributeError, KeyError, TypeError) as error:
            # Unhashable, or not prepared yet; an error of the run itself is not for us.
            if not isinstance(feed_dict, Mapping | None):
                raise TypeError(f"feed_dict must be a dictionary, not {feed_dict!r}") from None
            if error.__traceback__ is not None and error.__traceback__.tb_next is not None:
                raise
        feeds = dict(feed_dict) if feed_dict else {}
        step = self._prepare(fetches, list(feeds))
        return step(*feeds.values())

    def make_callable(
        self, fetches: Any, feed_list: Sequence[Any] | None = None, accept_options: bool = False
    ) -> Step:
        """A function of the feeds that runs ``fetches``: the fast way to run a step many times.

        Parameters
        ----------
        fetches
            As for :meth:`run`.
        feed_list : list of Tensor or str, optional
            What the arguments of the function are fed to, in order.
        accept_options : bool, optional
            Accepted as in TensorFlow 1.

        Returns
        -------
        Step

        Examples
        --------
        >>> import gradplan as gp
        >>> x = gp.placeholder(gp.float32, [])
        >>> double = gp.Session().make_callable(x * 2.0, [x])
        >>> float(double(4.0))
        8.0
        """
        return self._make_step(fetches, list(feed_list or []))

    def plan(self, fetches: Any, feed_dict: Mapping[Any, Any] | None = None) -> Plan:
        """The plan that :meth:`run` would use for these fetches and feeds, without running it.

        Where shapes depend on values that the run computes, it is the last of several plans, and
        the others are run.
        """
        feeds = dict(feed_dict or {})
        step = self._make_step(fetches, list(feeds))
        step.bind(tuple(feeds.values()))
        assert step.plan is not None
        return step.plan

    def _prepare(self, fetches: Any, feeds: Sequence[Any]) -> Step:
        """The step for these fetches, from the cache if it is there."""
        leaves: list[Any] = []
        outline = _outline(fetches, leaves)
        kind, nested = type(fetches), (list, tuple, dict)
        if (
            outline is None
            or kind in (list, tuple)
            and not any(isinstance(f, nested) for f in fetches)
        ):
            key = kind, tuple(fetches) if kind is list else fetches, *feeds  # as run looks it up
        else:
            key = outline, tuple(leaves), *feeds
        try:
            step = self._steps.get(key)
        except TypeError:  # an array, a set: told apart from tensors where it is taken for one
            step = None
        if step is None:
            step = self._make_step(fetches, feeds)
            if len(self._steps) >= MAX_CALLABLES:
                del self._steps[next(iter(self._steps))]
            self._steps[key] = step
        return step

    def _make_step(self, fetches: Any, feeds: Sequence[Any], raw: bool = False) -> Step:
        """A step; a ``raw`` one gives bfloat16 by the bits, as a checkpoint keeps them."""
        if self._state.closed:
            raise RuntimeError("Attempted to use a closed Session.")
        if not self._graph.version:
            raise RuntimeError(
                "The Session graph is empty. Add operations to the graph before calling run()."
            )
        self._watch_growth()
        leaves: list[Any] = []
        _outline(fetches, leaves)
        makers: list[Any] = []  # for each leaf of several tensors what makes its value of theirs
        leaves = _parts(leaves, makers)
        elements = [_element(self._graph, leaf, "fetch") for leaf in leaves]
        tensors = list(dict.fromkeys(e for e in elements if isinstance(e, Tensor)))
        targets = list(dict.fromkeys(e for e in elements if isinstance(e, Operation)))
        keys, spread = _spread(feeds)
        fed = [_element(self._graph, key, "feed_dict key") for key in keys]
        if len(set(fed)) < len(fed):
            raise ValueError("feed_dict feeds one tensor twice, under two names")
        number = {t: i for i, t in enumerate(tensors)}
        tensors, fed, targets = stages.unfold(tensors, fed, targets)
        parts = stages.split(tensors, fed, targets)
        compiled: Compiled | Staged
        if len(parts) == 1 and not parts[0].steps:
            compiled = Compiled(self, parts[0])
        else:
            compiled = Staged(self, parts, fed)
        places: list[Any] = [number.get(e) for e in elements]  # of each leaf among the results
        if makers:
            at = iter(places)
            places = [
                next(at) if maker is None else (maker[0], [next(at) for _ in range(maker[1])])
                for maker in makers
            ]
        pack: Any = None
        nests = (list, tuple, dict)
        flat = type(fetches) is list and not any([isinstance(f, nests) for f in fetches])
        if places == [0] and not isinstance(fetches, nests):
            pack = 0
        elif not (flat and places == list(range(len(fetches)))):
            pack = _packer(fetches, places)
        if not raw and any(t.dtype is bfloat16 for t in tensors):
            pack = _outside(tensors, pack)
        state = self._state if compiled.looks_at_values else None
        bind: Any = compiled.bind
        if spread is not None:
            give = spread
            bind = lambda args: compiled.bind(give(args))  # noqa: E731
        step = Step(bind, pack, len(feeds), state)
        step.compiled, step.pack, step.bind = compiled, pack, bind
        return step

    def _watch_growth(self) -> None:
        """Report the classic leak of graph programs: operations made inside the loop that runs
        them."""
        version = self._graph.version
        if self._version and version > self._version:
            self._growths += 1
            if self._growths == 100:
                last = self._graph._ops[-1]
                warnings.warn(
                    f"the graph grew before each of 100 runs: operations such as '{last.name}' "
                    f"(made at {last.made_at}) are made inside a loop. Build them "
                    "once before it; graph.finalize() finds the place.",
                    stacklevel=4,
                )
        self._version = version

    # ---- what lives between runs ---------------------------------------------------------------

    def variable(self, op: Operation) -> tuple[int, int]:
        """Where a variable lies: its offset in bytes and its number."""
        if op not in self._places:
            new = [
                o
                for o in self._graph._ops[self._scanned :]
                if o.opdef.kind is STATE and not o.inputs and not o.writes
                if o not in self._places
            ]
            trainable = {v.op for v in self._graph.get_collection(GraphKeys.TRAINABLE_VARIABLES)}
            self._allocate(memory.state_order(new, trainable))
            self._scanned = self._graph.version
        return self._places[op]

    def initialized(self, op: Operation) -> bool:
        """Whether a variable has a value."""
        return self._state.get_flag(self.variable(op)[1])

    def random_state(self, op: Operation) -> tuple[int, int]:
        """Where the state of a random operation lies; made from its seeds when first asked for."""
        if op not in self._places:
            self._allocate([(op, 16, 16)])
            offset, number = self._places[op]
            self._state.write(offset, initial_state(op).view(np.uint8))
            self._state.set_flag(number)
        return self._places[op]

    def memory(self, op: Operation) -> list[Any]:
        """A list that an operation calling back into Python keeps in this session."""
        return self._memories.setdefault(op, [])

    def _allocate(self, placed: list[tuple[Operation, int, int]]) -> None:
        """Make room for states, each with its size and alignment in bytes: all or none."""
        end, places = self._bytes, {}
        for number, (op, nbytes, alignment) in enumerate(placed, len(self._places)):
            start = -(-end // alignment) * alignment
            end, places[op] = start + nbytes, (start, number)
        try:
            self._state.grow(end, len(self._places) + len(places))
        except MemoryError:
            op, nbytes, _ = max(placed, key=lambda each: each[1])
            raise errors.ResourceExhaustedError(
                None,
                op,
                f"OOM when allocating {end - self._bytes} bytes for what lives between runs, "
                f"{nbytes} of them for {op}",
            ) from None
        self._bytes = end
        self._places.update(places)

    def load(self, values: Mapping[Any, Any]) -> None:
        """Write values to variables without growing the graph.

        Parameters
        ----------
        values : dict
            Variables and their new values; all are checked before the first is written.

        Raises
        ------
        TypeError, ValueError
            If a value's type or shape does not fit.
        """
        arrays = {v: to_feed(v._as_graph_element(), value) for v, value in values.items()}
        self._write({v.op: a for v, a in arrays.items()})

    def _write(self, arrays: Mapping[Operation, np.ndarray]) -> None:
        """Write checked arrays to variables and states of random operations, in one step."""
        parts = []
        for op, array in arrays.items():
            place = self.variable(op) if op.outputs and not op.inputs else self.random_state(op)
            parts.append((*place, np.ascontiguousarray(array).reshape(-1).view(np.uint8)))
        self._state.write_all(parts)

    def random_states(self) -> dict[Operation, np.ndarray]:
        """The state of every random operation that has run here."""
        return {
            op: self._state.read(offset, 16).view(np.int64)
            for op, (offset, _) in self._places.items()
            if op.inputs
        }

    # ---- scope ---------------------------------------------------------------------------------

    def as_default(self) -> Any:
        """A context in which ``eval`` and ``run`` of tensors and operations use this session."""
        return default_session(self)

    def __enter__(self) -> Session:
        stack = ExitStack()
        stack.enter_context(self._graph.as_default())
        stack.enter_context(default_session(self))
        self._entered.append(stack)
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._entered.pop().close()
        if not self._entered:
            self.close()

    def close(self) -> None:
        """Give the memory back; a later run raises RuntimeError. A run in flight is waited for."""
        self._state.close()
        self._steps.clear()

    def list_devices(self) -> list[str]:
        return ["/job:localhost/replica:0/task:0/device:CPU:0"]


class InteractiveSession(Session):
    """A session that is the default one from its making until it is closed.

    Examples
    --------
    >>> import gradplan as gp
    >>> sess = gp.InteractiveSession()
    >>> float(gp.constant(2.0).eval())
    2.0
    >>> sess.close()
    """

    def __init__(
        self, target: str = "", graph: Graph | None = None, config: ConfigProto | None = None
    ) -> None:
        super().__init__(target, graph, config)
        _stack.sessions.append(self)
        if graph is not None:
            _stack.graphs.append(graph)

    def close(self) -> None:
        super().close()
        stacks: list[tuple[list[Any], Any]] = [
            (_stack.sessions, self),
            (_stack.graphs, self._graph),
        ]
        for stack, item in stacks:
            if item in stack:
                stack.remove(item)


# ---- fetches -------------------------------------------------------------------------------------


def _outline(fetches: Any, leaves: list[Any]) -> Any:
    """The structure of ``fetches``, hashable; its leaves go to ``leaves`` in order."""
    if isinstance(fetches, (list, tuple)):
        return type(fetches), tuple([_outline(f, leaves) for f in fetches])
    if isinstance(fetches, dict):
        return type(fetches), tuple([(k, _outline(f, leaves)) for k, f in fetches.items()])
    leaves.append(fetches)
    return None


def _element(graph: Graph, leaf: Any, role: str) -> Any:
    try:
        found = graph.as_graph_element(leaf, allow_operation=role == "fetch")
        return graph.as_graph_element(found)  # a name may be that of something inside a loop
    except TypeError as error:
        if role == "fetch":
            raise TypeError(
                f"Fetch argument {leaf!r} has invalid type {type(leaf).__name__}, must be a "
                f"string, Tensor, Operation or Variable. ({error})"
            ) from None
        raise TypeError(f"Cannot interpret {role} as Tensor: {error}") from None
    except (KeyError, ValueError) as error:
        what = error.args[0]
        if role == "fetch":
            raise ValueError(f"Fetch argument {leaf!r} cannot be interpreted: {what}") from None
        raise TypeError(f"Cannot interpret {role} as Tensor: {what}") from None


def _parts(leaves: Sequence[Any], makers: list[Any]) -> list[Any]:
    """The leaves with the tensors of composite ones in their place. ``makers`` gets for each leaf
    what makes its value and of how many, or None; it stays empty where there is nothing to make."""
    found = [composite.fetched(leaf) for leaf in leaves]
    if not any(found):
        return list(leaves)
    out: list[Any] = []
    for leaf, parts in zip(leaves, found, strict=True):
        out += [leaf] if parts is None else parts[0]
        makers.append(None if parts is None else (parts[1], len(parts[0])))
    return out


def _spread(keys: Sequence[Any]) -> tuple[list[Any], Callable[[Any], tuple[Any, ...]] | None]:
    """The tensors that feeds stand for, and what makes arguments for them of those for the feeds;
    None where all feeds are tensors."""
    found = [composite.fed(key) for key in keys]
    if not any(found):
        return list(keys), None
    out: list[Any] = []
    for key, parts in zip(keys, found, strict=True):
        out += [key] if parts is None else parts[0]

    def spread(args: Any) -> tuple[Any, ...]:
        values: list[Any] = []
        for value, parts in zip(args, found, strict=True):
            values += [value] if parts is None else parts[1](value)
        return tuple(values)

    return out, spread


def _outside(tensors: Sequence[Tensor], pack: Any) -> Callable[[list[Any]], Any]:
    """A function that gives flat results as the caller sees them, then puts them together."""
    for t in tensors:
        if t.dtype is bfloat16:
            t.dtype.as_numpy_dtype  # noqa: B018  # an error now, not after the run, if it is missing

    def finish(out: list[Any]) -> Any:
        shown = [outside(t.dtype, value) for t, value in zip(tensors, out, strict=True)]
        if pack is None:
            return shown
        return shown[pack] if isinstance(pack, int) else pack(shown)

    return finish


def _packer(fetches: Any, places: Sequence[Any]) -> Callable[[list[Any]], Any]:
    """A function that puts flat results into the structure of ``fetches``."""
    at = iter(range(len(places)))

    def plan_of(f: Any) -> Any:
        if isinstance(f, (list, tuple)):
            parts = [plan_of(x) for x in f]
            kind = type(f)
            if hasattr(f, "_fields"):
                return lambda out: kind(*[p(out) for p in parts])
            return lambda out: kind([p(out) for p in parts])
        if isinstance(f, dict):
            items = [(k, plan_of(x)) for k, x in f.items()]
            make = OrderedDict if isinstance(f, OrderedDict) else dict
            return lambda out: make((k, p(out)) for k, p in items)
        place = places[next(at)]
        if isinstance(place, tuple):
            make_one, parts_at = place
            return lambda out: make_one([None if k is None else out[k] for k in parts_at])
        return (lambda out: None) if place is None else (lambda out: out[place])

    return plan_of(fetches)


__all__ = ["ConfigProto", "InteractiveSession", "Session", "Step", "errors"]
