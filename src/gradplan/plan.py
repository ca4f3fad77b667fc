"""The plan: flat arrays of records that C runs, and the page that a newcomer reads first.

``str(plan)`` is a disassembly: a header, then a line for every instruction with its kernel, what
it writes and reads and where that lies, its work, and the user's source line. Nothing in a plan is
a pointer.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gradplan import _core, errors, shapes, tiling
from gradplan.graph import Operation, Tensor
from gradplan.views import ARENA, CONST, EXTERN, STATE, View

if TYPE_CHECKING:
    from gradplan.bind import Binder, Insn

#: gp_buf and gp_insn of csrc/plan.h, field by field.
BUF = np.dtype(
    [
        ("offset", "i8"),
        ("bytes", "i8"),
        ("dtype", "i4"),
        ("rank", "i4"),
        ("segment", "i4"),
        ("slot", "i4"),
        ("dims", "i8", _core.MAX_RANK),
        ("strides", "i8", _core.MAX_RANK),
    ]
)
INSN = np.dtype(
    [
        ("kernel", "i4"),
        ("op", "i4"),
        ("arg", "i4"),
        ("n_out", "i2"),
        ("n_in", "i2"),
        ("attr", "i8"),
        ("n_attr", "i8"),
        ("span", "i8"),
    ]
)
_core.check_layout(BUF, INSN)

#: Numbers of the kernels in C, by name.
KERNELS = _core.kernels()
_PAD = [(0,) * (_core.MAX_RANK - rank) for rank in range(_core.MAX_RANK + 1)]


class Plan:
    """What a session runs for one set of fetches, feeds and shapes.

    Attributes
    ----------
    bufs, insns : ndarray
        Records of the types ``BUF`` and ``INSN``.
    args, attrs : ndarray of int32, of int64
        The buffers and the constants of the instructions, end to end.
    constants : ndarray of uint8
    arena_bytes : int
        Memory of one run.
    live_bytes : int
        The most bytes alive at one instruction: a lower bound of ``arena_bytes``.
    state_bytes : int
        Bytes of the variables that the plan touches.
    """

    def __init__(self, binder: Binder, arena_bytes: int, live_bytes: int) -> None:
        self.arena_bytes = arena_bytes
        self.live_bytes = live_bytes
        self.program = binder.program
        self.feed_shapes = [binder.shape(t) for t in self.program.feeds]
        self.fetch_shapes = [binder.shape(t) for t in self.program.fetches]
        self._insns = binder.insns
        self._input_shapes = binder.shape
        self._hosts = binder.hosts
        self._needs = np.array(list(binder.needs), np.int32)
        self._sets = np.array(list(binder.sets), np.int32)
        self._constants = binder.constants
        self._encode()

    def _encode(self) -> None:
        at = 0
        for storage, value in self._constants:
            storage.offset = at
            at += (value.nbytes + 63) // 64 * 64
        self.constants = np.zeros(at, np.uint8)
        for storage, value in self._constants:
            raw = np.ascontiguousarray(value).reshape(-1).view(np.uint8)
            self.constants[storage.offset : storage.offset + value.nbytes] = raw
        # The records as words of 64 bits, two of the 32-bit fields in one: ten times faster than to
        # let NumPy convert tuples, and binding is what another batch size costs.
        bufs: list[int] = []
        insns: list[int] = []
        args: list[int] = []
        attrs: list[int] = []
        known: dict[int, int] = {}
        self.ops: list[Operation] = []
        numbers: dict[Operation, int] = {}
        for insn in self._insns:
            op = numbers.setdefault(insn.op, len(self.ops))
            if op == len(self.ops):
                self.ops.append(insn.op)
            n_out, n_in = len(insn.outs), len(insn.ins)
            insns += (
                KERNELS[insn.kernel] | op << 32,
                len(args) | n_out << 32 | n_in << 48,
                len(attrs),
                len(insn.attrs),
                insn.span,
            )
            attrs += insn.attrs
            for view in insn.outs + insn.ins:
                if view is None:
                    args.append(-1)
                    continue
                number = known.get(id(view))
                if number is None:
                    number = known[id(view)] = len(known)
                    bufs += _record(view, insn)
                args.append(number)
        self.bufs = np.array(bufs, np.int64).view(BUF)
        self.insns = np.array(insns, np.int64).view(INSN)
        self.args = np.array(args, np.int32)
        self.attrs = np.array(attrs, np.int64)

    def executable(self, state: _core.State, threads: int = 0) -> _core.Executable:
        """The plan as C runs it, on a session's memory."""
        try:
            executable = _core.Executable(
                state,
                self.bufs,
                self.insns,
                self.args,
                self.attrs,
                self.constants,
                self.arena_bytes,
                [
                    (t.dtype.np, s)
                    for t, s in zip(self.program.feeds, self.feed_shapes, strict=True)
                ],
                [
                    (t.dtype.np, s)
                    for t, s in zip(self.program.fetches, self.fetch_shapes, strict=True)
                ],
                self._needs,
                self._sets,
                self._fail,
                self._hosts,
                threads,
            )
        except MemoryError:
            raise self._too_large() from None
        executable.source = self
        return executable

    # ---- errors --------------------------------------------------------------------------------

    def _fail(self, status: int, insn: int, index: int, value: int, bound: int) -> None:
        """Raise what a status of C means (enum gp_status in csrc/plan.h)."""
        if status == -2:
            raise self._too_large() from None
        if status < 0:
            self._fail_uninitialised(insn)
        op = self._insns[insn].op
        inputs = ", ".join(
            f"{t.op.origin.name} {t.dtype.name}{shapes.text(self._input_shapes(t))}"
            for t in op.inputs
        )
        guilty = {
            2: ("floordiv", "floormod", "truncatediv", "truncatemod"),
            3: ("cast",),
            4: ("pow",),
        }.get(status, ())
        op = next((m for m in op.attrs.get("members", ()) if m.opdef.kernel in guilty), op)
        what = {
            1: f"label or index {value} at position {index} is not in [0, {bound})",
            2: f"integer division by zero at element {index}",
            3: f"element {index} is NaN or out of the range of {op.outputs[0].dtype.name}",
            4: f"integer to a negative integer power at element {index}",
            7: f"value {value} at position {index} is there twice",
            8: f"value {value} at position {index} is out of order",
            9: f"element {index} is NaN",
            10: f"{op.opdef.failure} (matrix {index} of {bound})",
            11: f"row {index} of the indices is out of order or repeated",
            12: _outside(index, value, bound) if status == 12 else "",
            13: f"minval {value} is not less than maxval {bound}",
        }.get(status, f"failed with status {status}")
        raise errors.InvalidArgumentError(
            None,
            op.origin,
            f"{op.type} '{op.origin.name}': {what} (inputs: {inputs}; made at {op.made_at})",
        )

    def _too_large(self) -> errors.ResourceExhaustedError:
        """What to say where the arena or a result finds no memory: what is largest is named."""
        made = [(t, t.op, s) for t, s in zip(self.program.fetches, self.fetch_shapes, strict=True)]
        sizes = [(shapes.size(s) * t.dtype.size, s, t.dtype, op) for t, op, s in made]
        sizes += [(v.storage.bytes, v.dims, v.dtype, i.op) for i in self._insns for v in i.views]
        nbytes, dims, dtype, op = max(sizes, key=lambda found: found[0])
        return errors.ResourceExhaustedError(
            None,
            op.origin,
            f"OOM when allocating tensor with shape {shapes.text(dims)} and type {dtype.name}, "
            f"{nbytes} bytes, for {op.type} '{op.name}' (made at {op.made_at}); the run needs "
            f"{self.arena_bytes} bytes beside its results",
        )

    def _fail_uninitialised(self, number: int) -> None:
        for insn in self._insns:
            for s in [part for view in insn.views for part in view.storage.parts]:
                if s.segment == STATE and s.slot == number:
                    raise errors.FailedPreconditionError(
                        None,
                        insn.op.origin,
                        f"Attempting to use uninitialized value {s.name} (by '{insn.op.name}', "
                        f"made at {insn.op.made_at}): run its initializer, or "
                        "global_variables_initializer(), or restore it.",
                    )
        raise errors.InternalError(None, None, f"variable number {number} is not in the plan")

    # ---- reading it ----------------------------------------------------------------------------

    @property
    def state_bytes(self) -> int:
        storages = {v.storage for insn in self._insns for v in insn.views}
        parts = {s for storage in storages for s in storage.parts if s.segment == STATE}
        return sum(s.bytes for s in parts)

    @property
    def flops(self) -> int:
        """Arithmetic operations of one run, as the declarations count them."""
        return sum(self._flops())

    def _flops(self) -> list[int]:
        """By instruction; those of an operation count at its first."""
        counted: set[Operation] = set()
        found = []
        for insn in self._insns:
            found.append(0 if insn.op in counted else _flops(insn, self._input_shapes))
            counted.add(insn.op)
        return found

    @property
    def bytes_moved(self) -> int:
        """Bytes that the instructions of one run read and write."""
        return sum(map(_moved, self._insns))

    def __len__(self) -> int:
        return len(self._insns)

    def __str__(self) -> str:
        p = self.program
        lines = [
            "fetches " + _listed(p.names, p.fetches, self.fetch_shapes),
            "feeds   " + _listed([t.name for t in p.feeds], p.feeds, self.feed_shapes),
            f"arena {self.arena_bytes:,} B (live-set bound {self.live_bytes:,} B), "
            f"state {self.state_bytes:,} B, constants {self.constants.nbytes:,} B, "
            f"{self.flops:,} flop, {self.bytes_moved:,} B moved, {len(self)} instructions",
        ]
        rows = [("#", "kernel", "out <- in", "flop", "bytes", "line")]
        for i, (insn, flops) in enumerate(zip(self._insns, self._flops(), strict=True)):
            op = insn.op
            outs = ", ".join(_place(v) for v in insn.outs if v is not None)
            ins = ", ".join(map(_place, insn.ins))
            source = f"{os.path.basename(op.source[0])}:{op.source[1]}"
            moved = f"{_moved(insn):,}"
            rows.append((str(i), insn.kernel, f"{outs} <- {ins}", f"{flops:,}", moved, source))
        widths = [min(max(len(row[c]) for row in rows), 100) for c in range(6)]
        for row, maybe in zip(rows, [None, *self._insns], strict=True):
            cells = [
                row[0].rjust(widths[0]),
                row[1].ljust(widths[1]),
                row[2].ljust(widths[2]),
                row[3].rjust(widths[3]),
                row[4].rjust(widths[4]),
                row[5],
            ]
            lines.append("  ".join(cells).rstrip())
            if maybe is not None and maybe.operands:
                lines.append(" " * (widths[0] + widths[1] + 6) + _program(maybe))
        return "\n".join(lines)


#: By enum gp_domain (csrc/plan.h).
_DOMAINS = (
    "{x:g} at position {i} must be positive and finite",
    "rate {x:g} at position {i} must be finite, not negative, and its counts must fit their type",
    "{x:g} at position {i}: logits may be -inf but neither NaN nor inf",
    "row {i} has no finite element, so that no class can be drawn",
    "{x:g} is not in [0, 1)",
    "the classes are too uneven to draw {x:.0f} different ones",
)


def _outside(index: int, value: int, domain: int) -> str:
    number = float(np.array(value, np.int64).view(np.float64))
    known = 0 <= domain < len(_DOMAINS)
    return _DOMAINS[domain].format(x=number, i=index) if known else ""


def _record(view: View, insn: Insn) -> Sequence[int]:
    """A gp_buf as 64-bit words."""
    s = view.storage.root()
    rank = len(view.dims)
    if rank > _core.MAX_RANK:
        op = insn.op
        raise errors.UnimplementedError(
            None,
            op.origin,
            f"{op.type} '{op.name}': {rank} dimensions {view.dims} are more than the "
            f"{_core.MAX_RANK} that kernels take (made at {op.made_at})",
        )
    pad = _PAD[rank]
    offset = view.storage.start() + view.offset
    slot = s.slot if s.segment == EXTERN else -1
    return (
        offset,
        view.size * view.dtype.size,
        view.dtype.number | rank << 32,
        s.segment | slot << 32,
        *view.dims,
        *pad,
        *view.strides,
        *pad,
    )


def _flops(insn: Insn, shape_of: Any) -> int:
    op = insn.op
    count = op.opdef.flops
    if callable(count):
        return int(count(op.attrs, [shape_of(t) for t in op.inputs]))
    if op.writes:  # an optimizer's step may be that of many variables
        return int(count * sum([v.size for v in insn.outs]) // op.writes)
    return int(count * sum(shapes.size(shape_of(t)) for t in op.outputs[:1]))


def _moved(insn: Insn) -> int:
    # What is broadcast is read from memory once.
    return sum(
        shapes.size([d for d, step in zip(v.dims, v.strides, strict=True) if step]) * v.dtype.size
        for v in insn.views
        if v.size
    )


def _listed(names: Sequence[str], tensors: Sequence[Tensor], dims: Sequence[Any]) -> str:
    rows = zip(names, tensors, dims, strict=True)
    told = [f"{name} {t.dtype.short}[{','.join(map(str, d))}]" for name, t, d in rows]
    return ", ".join(told) or "none"


def _place(v: View) -> str:
    """A view as ``name f32[2,3]@arena+64``."""
    s = v.storage.root()
    dims = ",".join(map(str, v.dims))
    if s.segment == EXTERN:
        where = f"slot{s.slot}"
    else:
        name = {ARENA: "arena", STATE: "state", CONST: "const"}[s.segment]
        where = f"{name}+{v.storage.start() + v.offset}"
    return f"{v.storage.name} {v.dtype.short}[{dims}]@{where}"


_TILE_NAMES: dict[int, str] = {number: name for name, number in tiling.NUMBERS.items()}


def _program(insn: Insn) -> str:
    """The tile program of an instruction: ``t0 = mul(x0, x1); y = relu(t0)``."""
    code = insn.attrs
    end = 2 + 5 * code[0]
    sums = list(zip(code[end::2], code[end + 1 :: 2], strict=True))
    sums = sums if insn.kernel == "tile_sum" else []
    tiles = insn.kernel != "matmul_map"
    n_out = len(insn.outs) - 2 * len(sums) if tiles else 1
    inputs = [k for k in insn.operands if k is not None]
    names = {k: f"x{i}" for i, k in enumerate(inputs)}
    names |= {0: "y"} if n_out == 1 else {k: f"y{k}" for k in range(n_out)}
    if not tiles:
        names[1] = "product"
    first_temp = (len(insn.outs) if tiles else 2) + len(inputs)

    def operand(k: int) -> str:
        return names.get(k, f"t{k - first_temp}")

    lines = []
    for at in range(2, end, 5):
        number, target, *operands = code[at : at + 5]
        given = ", ".join(operand(k) for k in operands if k >= 0)
        lines.append(f"{operand(target)} = {_TILE_NAMES[number].split('.')[0]}({given})")
    for i, (k, mean) in enumerate(sums):
        lines.append(f"s{i} = {'mean' if mean else 'sum'}({operand(k)})")
    return "; ".join(lines)
