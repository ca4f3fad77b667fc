"""Optimizer steps: one operation, and one instruction, that changes a variable and its slots.

A step is declared by its formula. The formula is traced once and runs as a tile program that writes
the variables in place; where csrc/optim.c has a kernel for it, that runs instead. Sparse updates
apply the same formula to the rows that change.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from gradplan import shapes
from gradplan.dtypes import DType
from gradplan.graph import Graph, Operation
from gradplan.opdef import MAP, STATE, op
from gradplan.ops.activations import relu
from gradplan.ops.constant import placeholder
from gradplan.ops.math import abs, pow, sign, sqrt, square
from gradplan.passes.fuse import steps_of
from gradplan.tiling import compile_steps
from gradplan.views import ARENA, Storage, View, slots
from gradplan.views import STATE as STATE_SEGMENT

#: Outputs of an instruction that makes the same step of many variables; far below what C counts.
MOST_STATES = 3000
#: Elements of a gradient from which it stays where it is: a step of so many is cut into tasks.
LEAST_APART = 32768


def _step(
    name: str,
    n_variables: int,
    scalars: str,
    flops: int,
    kernel: str | None = None,
    default: str | None = None,
) -> Callable[[Callable[..., Any]], Any]:
    """Declare a step; decorates its formula.

    The first inputs are the variables that it writes, in the order in which the formula gives their
    new values. The inputs named in ``scalars`` have rank 0, and ``grad`` has the variable's shape.
    A formula is made of elementwise operations, without constants, and looks at what a variable was
    for the last time no later than when it makes the new value.
    """

    def decorate(formula: Callable[..., Any]) -> Any:
        signature = inspect.signature(formula)
        parameters = list(signature.parameters.values())
        names = [p.name for p in parameters if p.default is p.empty]
        scalar_names = set(scalars.split())

        def step(*args: Any, **kwargs: Any) -> Any:
            return None  # its arguments are those of the operation as they are

        named = inspect.Parameter("name", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=default)
        functools.update_wrapper(step, formula)
        step.__signature__ = signature.replace(parameters=[*parameters, named])  # type: ignore[attr-defined]
        types = "T " * len(names) + "-> T"
        declare = op(name, STATE, kernel=kernel, flops=flops, writes=n_variables, types=types)
        declared = declare(step)

        @declared.shape
        def _(attrs: dict[str, Any], in_shapes: Any, value: Any) -> Any:
            for parameter, given in zip(names, in_shapes, strict=True):
                want = () if parameter in scalar_names else in_shapes[0]
                if given != want and shapes.merge(given, want) is False:
                    raise ValueError(
                        f"'{parameter}' has shape {shapes.text(given)}, not {shapes.text(want)}"
                    )
            return in_shapes[0]

        @declared.lower
        def _(binder: Any, op: Any) -> None:
            outs = [binder.written(op, i) for i in range(n_variables)]
            if not outs[0].size:
                return  # variables without elements have one place
            ins = [binder.view(t) for t in op.inputs[n_variables:]]
            at = names.index("grad") - n_variables
            if kernel is not None:
                attrs: tuple[int, ...] = tuple(map(int, op.attrs.values()))
                ins = [binder.contiguous(v) for v in ins]
            else:
                attrs = _program(formula, len(names), outs[0].dtype)
                # What lies in one of the variables must be read before any of them is changed.
                ins = [
                    binder.copied(v) if any([v.storage is out.storage for out in outs]) else v
                    for v in ins
                ]
            what = kernel, attrs, at, outs[0].dtype
            steps = binder.held
            if not (isinstance(steps, Steps) and steps.what == what and steps.take(outs, ins)):
                steps = Steps(op, what)
                steps.take(outs, ins)
                binder.hold(steps)
            if not binder.optimised:
                binder.settle()

        declared.formula = formula
        return declared

    return decorate


class Steps:
    """The same step, by the same numbers, of variables that do not take each other's values: one
    pass over the memory of those that lie side by side, if their gradients do, too.

    Parameters
    ----------
    op : Operation
        The first of them.
    what : tuple
        The kernel, or None; its attributes, or the tile program; which of the inputs behind the
        variables is the gradient; the type.
    """

    def __init__(self, op: Operation, what: tuple[Any, ...]) -> None:
        self.op = op
        self.what = what
        self._ins: list[View] = []  # of the first
        self._parts: list[list[View]] = []  # the variables of a step, and its gradient
        self._written: set[int] = set()  # numbers of variables
        self._read: set[int] = set()
        self._small = True

    def may_wait(self, outs: list[View | None], ins: list[View]) -> bool:
        """Whether these steps may come after an instruction: it takes nothing that they change, nor
        changes what they take, and the gradients that are kept for it are small."""
        return self._small and self._are_apart(outs, ins)

    def _are_apart(self, outs: Sequence[View | None], ins: Sequence[View]) -> bool:
        touched, written = slots([*outs, *ins]), slots(outs)
        return self._written.isdisjoint(touched) and self._read.isdisjoint(written)

    def take(self, outs: list[View], ins: list[View]) -> bool:
        """Take a step in; or not, if it is none by the same numbers and independent of these."""
        at = self.what[2]
        if self._parts:
            pairs = enumerate(zip(ins, self._ins, strict=True))
            same = all([a.lies_at(b) for i, (a, b) in pairs if i != at])
            if not (same and self._are_apart(outs, ins)):
                return False
        else:
            self._ins = ins
        self._parts.append([*outs, ins[at]])
        self._written.update(slots(outs))
        self._read.update(slots(ins))
        self._small = self._small and ins[at].size < LEAST_APART
        return True

    def emit(self, binder: Any) -> None:
        """Make the instructions."""
        kernel, attrs, at, _ = self.what
        runs = self._runs() if binder.optimised else self._parts
        most = MOST_STATES // len(runs[0]) if kernel else 1
        for first in range(0, len(runs), most):
            some = runs[first : first + most]
            outs = [v for run in some for v in run[:-1]]
            ins = [*self._ins, *[run[-1] for run in some[1:]]]
            ins[at] = some[0][-1]
            if kernel:
                binder.emit(kernel, outs, ins, attrs, updates=True)
            else:
                binder.tile(outs, [*outs, *ins], attrs)

    def _runs(self) -> list[list[View]]:
        """The parts, with those that lie side by side as one."""
        runs: list[list[list[View]]] = []
        before: list[View] | None = None
        loose: set[Storage] = set()
        for part in sorted(self._parts, key=lambda part: part[0].storage.offset):
            fixed = part  # what lies somewhere already
            storage = part[-1].storage
            if _is_loose(part[-1]) and storage not in loose:
                loose.add(storage)
                fixed = part[:-1]
            if before and len(before) == len(fixed) and all(map(_follows, fixed, before)):
                runs[-1].append(part)
            else:
                runs.append([part])
            before = fixed
        return [
            run[0] if len(run) == 1 else [_joined(v) for v in zip(*run, strict=True)]
            for run in runs
        ]


def _is_loose(grad: View) -> bool:
    """Whether a gradient may lie wherever it is wanted."""
    s = grad.storage
    free = s.segment == ARENA and s.target is None
    return free and grad.is_whole() and grad.size < LEAST_APART


def _follows(view: View, other: View) -> bool:
    """Whether a view of a variable lies right behind another, without a gap."""
    a, b = view.storage, other.storage
    both = a.segment == b.segment == STATE_SEGMENT and view.is_whole() and other.is_whole()
    return both and a.offset == b.offset + b.bytes


def _joined(views: Sequence[View]) -> View:
    whole = Storage.run([v.storage for v in views])
    return View(whole, views[0].dtype, (sum([v.size for v in views]),))


@functools.cache
def _program(formula: Callable[..., Any], n_inputs: int, dtype: DType) -> tuple[int, ...]:
    """The tile program of a formula."""
    with Graph().as_default() as graph:
        given = [placeholder(dtype, [None]) for _ in range(n_inputs)]
        results = [t.op for t in formula(*given)]
    members = [o for o in graph._ops if o.opdef.kind is MAP]
    code = compile_steps(steps_of(members, given), n_inputs, [members.index(o) for o in results])
    if code is None:
        raise ValueError(f"{formula.__name__} needs more temporaries than a tile program has")
    return tuple(code)


@_step("ApplyGradientDescent", 1, "alpha", 2, kernel="apply_gradient_descent")
def apply_gradient_descent(var: Any, alpha: Any, grad: Any) -> Any:
    """``var -= alpha * grad``."""
    return [var - alpha * grad]


@_step("ApplyMomentum", 2, "lr momentum", 4, kernel="apply_momentum")
def apply_momentum(
    var: Any, accum: Any, lr: Any, grad: Any, momentum: Any, use_nesterov: bool = False
) -> Any:
    """``accum = momentum * accum + grad; var -= lr * accum``."""
    new = accum * momentum + grad
    return [var - lr * (grad + momentum * new if use_nesterov else new), new]


@_step(
    "ApplyAdam",
    3,
    "beta1_power beta2_power lr beta1 beta2 epsilon",
    12,
    kernel="apply_adam",
)
def apply_adam(
    var: Any,
    m: Any,
    v: Any,
    beta1_power: Any,
    beta2_power: Any,
    lr: Any,
    beta1: Any,
    beta2: Any,
    epsilon: Any,
    grad: Any,
    use_nesterov: bool = False,
) -> Any:
    """Adam's step of ``var``, ``m`` and ``v``."""
    rate = lr * sqrt(1.0 - beta2_power) / (1.0 - beta1_power)
    new_m = m + (grad - m) * (1.0 - beta1)
    new_v = v + (square(grad) - v) * (1.0 - beta2)
    ahead = new_m * beta1 + (1.0 - beta1) * grad if use_nesterov else new_m
    return [var - rate * ahead / (sqrt(new_v) + epsilon), new_m, new_v]


@_step("ApplyAdamWithWeightDecay", 3, "lr weight_decay rest1 rest2 epsilon", 13)
def apply_adam_w(
    var: Any,
    m: Any,
    v: Any,
    lr: Any,
    weight_decay: Any,
    rest1: Any,
    rest2: Any,
    epsilon: Any,
    grad: Any,
) -> Any:
    """Adam's step of weights that decay; ``lr`` is corrected already, ``rest`` is 1 - beta."""
    new_m = m + (grad - m) * rest1
    new_v = v + (square(grad) - v) * rest2
    decayed = var - weight_decay * var
    return [decayed - lr * new_m / (sqrt(new_v) + epsilon), new_m, new_v]


@_step("ApplyAdagrad", 2, "lr", 5)
def apply_adagrad(var: Any, accum: Any, lr: Any, grad: Any) -> Any:
    """``accum += grad**2; var -= lr * grad / sqrt(accum)``."""
    new = accum + square(grad)
    return [var - grad * lr / sqrt(new), new]


@_step("ApplyAdadelta", 3, "lr rho rest epsilon", 14)
def apply_adadelta(
    var: Any,
    accum: Any,
    accum_update: Any,
    lr: Any,
    rho: Any,
    rest: Any,
    epsilon: Any,
    grad: Any,
) -> Any:
    """Adadelta's step; ``rest`` is 1 - rho."""
    new = accum * rho + square(grad) * rest
    update = sqrt(accum_update + epsilon) / sqrt(new + epsilon) * grad
    new_update = accum_update * rho + square(update) * rest
    return [var - update * lr, new, new_update]


@_step("ApplyRMSProp", 3, "lr rest momentum epsilon", 11)
def apply_rms_prop(
    var: Any, ms: Any, mom: Any, lr: Any, rest: Any, momentum: Any, epsilon: Any, grad: Any
) -> Any:
    """RMSProp's step; ``rest`` is 1 - rho."""
    new_ms = ms + (square(grad) - ms) * rest
    new_mom = mom * momentum + grad * lr / sqrt(new_ms + epsilon)
    return [var - new_mom, new_ms, new_mom]


@_step("ApplyCenteredRMSProp", 4, "lr rest momentum epsilon", 16)
def apply_centered_rms_prop(
    var: Any,
    mg: Any,
    ms: Any,
    mom: Any,
    lr: Any,
    rest: Any,
    momentum: Any,
    epsilon: Any,
    grad: Any,
) -> Any:
    """RMSProp's step with the variance; ``rest`` is 1 - rho."""
    new_ms = ms + (square(grad) - ms) * rest
    new_mg = mg + (grad - mg) * rest
    new_mom = mom * momentum + grad * lr / sqrt(new_ms - square(new_mg) + epsilon)
    return [var - new_mom, new_mg, new_ms, new_mom]


def _ftrl(name: str, power: Callable[[Any, Any], Any]) -> Any:
    @_step(name, 3, "lr l1 l2 shrinkage lr_power", 20, default="ApplyFtrl")
    def apply_ftrl(
        var: Any,
        accum: Any,
        linear: Any,
        lr: Any,
        l1: Any,
        l2: Any,
        shrinkage: Any,
        lr_power: Any,
        grad: Any,
    ) -> Any:
        """FTRL-proximal's step; ``l2`` and ``shrinkage`` are twice the strengths, and ``lr_power``
        is minus that of the optimizer."""
        old = power(accum, lr_power)
        new = accum + square(grad)
        new_power = power(new, lr_power)
        new_linear = linear + (grad + shrinkage * var - (new_power - old) / lr * var)
        shrunk = sign(new_linear) * relu(abs(new_linear) - l1)
        return [-shrunk / (new_power / lr + l2), new, new_linear]

    return apply_ftrl


apply_ftrl = _ftrl("ApplyFtrl", pow)
apply_ftrl_sqrt = _ftrl("ApplyFtrlSqrt", lambda x, _: sqrt(x))


@_step("ApplyProximalGradientDescent", 1, "alpha l1 scale", 7)
def apply_proximal_gradient_descent(var: Any, alpha: Any, l1: Any, scale: Any, grad: Any) -> Any:
    """A step of gradient descent, shrunk by ``l1`` (times alpha) and divided by ``scale``."""
    moved = var - alpha * grad
    return [sign(moved) * relu(abs(moved) - l1) / scale]


@_step("ApplyProximalAdagrad", 2, "lr l1 l2 one", 12)
def apply_proximal_adagrad(
    var: Any, accum: Any, lr: Any, l1: Any, l2: Any, one: Any, grad: Any
) -> Any:
    """A step of Adagrad, shrunk by ``l1`` and divided by ``1 + l2``, each times the step size."""
    new = accum + square(grad)
    rate = lr / sqrt(new)
    moved = var - rate * grad
    return [sign(moved) * relu(abs(moved) - rate * l1) / (one + l2 * rate), new]
