"""Replay: a loop that is made again for its gradient, as a scan that keeps what every trip took, is
made once where the scan needs nothing that the loop finds.

Before::

    h, trips = while(i < n; h)      rows = scan(n; h)      dh = scan_grad(rows)

After::

    h, rows = scan(n; h)      dh = scan_grad(rows)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gradplan.graph import Operation, Tensor
from gradplan.program import Program, is_pure, rebuild


def run(program: Program) -> Program:
    """See the module's text."""
    again: dict[Operation, Operation] = {}  # by the loop in the user's graph
    for op in program._ops:
        if op.attrs.get("again") is not None and is_pure(op):
            again.setdefault(op.attrs["again"], op)
    scans = {  # by the loop that is left out
        op: again[op.origin]
        for op in program._ops
        if op.type == "StatelessWhile" and op.origin in again and is_pure(op)
        if _makes(again[op.origin], op)
    }
    if not scans:
        return program

    def visit(
        out: Program, op: Operation, inputs: tuple[Tensor, ...], tensors: dict[Tensor, Tensor]
    ) -> Sequence[Tensor] | None:
        if op not in scans:
            return None
        scan = scans[op]
        carried = scan.outputs[: len(op.outputs) - 1]
        return [tensors[t] for t in (*carried, scan.inputs[0])]

    return rebuild(program, visit, _order(program, scans))


def _makes(scan: Operation, loop: Operation) -> bool:
    """Whether a scan starts from what a loop starts from, and does not wait for it."""
    n = loop.attrs["arguments"]
    waits_for = {t.op for t in scan.inputs}
    stack = list(waits_for)
    while stack:
        new = {t.op for t in stack.pop().inputs} - waits_for
        waits_for |= new
        stack += new
    return scan.inputs[1 : 1 + n] == loop.inputs[:n] and loop not in waits_for


def _order(program: Program, scans: Mapping[Operation, Operation]) -> list[Operation]:
    """The program's operations with a scan before the loop that it stands for."""
    out: list[Operation] = []
    done: set[Operation] = set()
    for op in program._ops:
        stack = [op]
        while stack:
            before = [t.op for t in stack[-1].inputs]
            before += stack[-1].control_inputs
            before += [scans[stack[-1]]] if stack[-1] in scans else []
            waiting = [b for b in before if b not in done]
            if waiting:
                stack += waiting
                continue
            last = stack.pop()
            if last not in done:
                done.add(last)
                out.append(last)
    return out
