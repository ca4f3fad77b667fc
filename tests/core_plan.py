"""Small plans built by hand for the tests of gradplan._core."""

import numpy as np

from gradplan import _core

BUF = np.dtype(
    [("offset", "i8"), ("bytes", "i8"), ("dtype", "i4"), ("rank", "i4"), ("segment", "i4"),
     ("slot", "i4"), ("dims", "i8", 8), ("strides", "i8", 8)]
)  # fmt: skip
INSN = np.dtype(
    [("kernel", "i4"), ("op", "i4"), ("arg", "i4"), ("n_out", "i2"), ("n_in", "i2"),
     ("attr", "i8"), ("n_attr", "i8"), ("span", "i8")]
)  # fmt: skip
DTYPES = [np.dtype(t) for t in ("bool", "int32", "int64", "float32", "float64")]
#: In the order of enum gp_dtype; bfloat16 is kept as uint16.
NUMBERED = DTYPES + [np.dtype(t) for t in ("uint8", "int8", "int16", "float16", "uint16")]
NAMES = dict(zip(DTYPES, ("b", "i32", "i64", "f32", "f64"), strict=True))
FLOATS, INTS = DTYPES[3:], DTYPES[1:3]
ARENA, STATE, CONST, EXTERN = range(4)
RANGE, DIVIDE, CAST, POWER, HOST = range(1, 6)


class Failed(Exception):
    """status, insn, index, value, bound"""


def fail(*error):
    raise Failed(*error)


class Plan:
    """Builds a plan an array at a time: every method returns the buffer's number."""

    def __init__(self):
        self.bufs, self.insns, self.args, self.attrs = [], [], [], []
        self.feeds, self.fetches, self.saved = [], [], []
        self.arena_bytes = self.state_bytes = 0
        self.needs = self.sets = ()
        self.host = {}

    def buf(self, dtype, shape, segment, slot=-1, offset=0, strides=None):
        dtype = np.dtype(dtype)
        if strides is None:
            strides = [int(np.prod(shape[i + 1 :])) for i in range(len(shape))]
        b = np.zeros((), BUF)
        b["offset"], b["dtype"], b["rank"] = offset, NUMBERED.index(dtype), len(shape)
        b["segment"], b["slot"] = segment, slot
        b["dims"][: len(shape)], b["strides"][: len(shape)] = shape, strides
        self.bufs.append(b)
        return len(self.bufs) - 1

    def input(self, array):
        """A feed; a strided view becomes a strided buffer on its contiguous base."""
        array = np.asanyarray(array)
        base = array
        while not base.flags.c_contiguous or isinstance(base.base, np.ndarray):
            base = base.base
        self.feeds.append(base)
        offset = array.ctypes.data - base.ctypes.data if array.size else 0
        strides = [s // array.itemsize for s in array.strides]
        return self.buf(array.dtype, array.shape, EXTERN, len(self.feeds) - 1, offset, strides)

    def output(self, dtype, shape):
        self.fetches.append((np.dtype(dtype), tuple(shape)))
        return self.buf(dtype, shape, EXTERN, -2 - len(self.fetches))

    def arena(self, dtype, shape):
        offset = self.arena_bytes
        self.arena_bytes += -(-int(np.prod(shape)) * np.dtype(dtype).itemsize // 64) * 64
        return self.buf(dtype, shape, ARENA, -1, offset)

    def state(self, array):
        array = np.array(array)
        self.saved.append((self.state_bytes, array))
        self.state_bytes += -(-array.nbytes // 64) * 64
        return self.buf(array.dtype, array.shape, STATE, -1, self.saved[-1][0])

    def call(self, kernel, outs, ins, attrs=()):
        insn = np.zeros((), INSN)
        number = _core.kernels()[kernel] if isinstance(kernel, str) else kernel
        insn["kernel"], insn["arg"], insn["n_out"], insn["n_in"] = (
            number, len(self.args), len(outs), len(ins))  # fmt: skip
        insn["attr"], insn["n_attr"] = (len(self.attrs) if len(attrs) else -1), len(attrs)
        self.args += [*outs, *ins]
        self.attrs += attrs
        self.insns.append(insn)

    def build(self, state=None, **changes):
        for b in self.bufs:
            if b["slot"] < -1:
                b["slot"] = len(self.feeds) - 3 - b["slot"]
        self.session = state or _core.State()
        self.session.grow(self.state_bytes, 8)
        for offset, array in self.saved:
            self.session.write(offset, array.reshape(-1).view(np.uint8))
        parts = {
            "bufs": np.array(self.bufs, BUF),
            "insns": np.array(self.insns, INSN),
            "args": np.array(self.args, np.int32),
            "attrs": np.array(self.attrs, np.int64),
            "constants": np.zeros(0, np.uint8),
            "arena_bytes": self.arena_bytes,
            "feeds": [(a.dtype, a.shape) for a in self.feeds],
            "fetches": self.fetches,
            "needs": np.array(self.needs, np.int32),
            "sets": np.array(self.sets, np.int32),
            "on_error": fail,
            "host": self.host,
        }
        return _core.Executable(self.session, **(parts | changes))

    def run(self):
        return self.build().run(tuple(self.feeds))

    def states(self):
        return [
            self.session.read(offset, a.nbytes).view(a.dtype).reshape(a.shape)
            for offset, a in self.saved
        ]


def call(kernel, outs, ins, attrs=()):
    """One instruction; outs are (dtype, shape), or None for an absent one."""
    plan = Plan()
    out = [-1 if o is None else plan.output(*o) for o in outs]
    plan.call(kernel, out, [plan.input(a) for a in ins], list(attrs))
    return plan.run()


def tile(op, out_dtype, *ins):
    """One tile operation on arrays that broadcast."""
    ins = np.broadcast_arrays(*ins, subok=True) if len(ins) > 1 else ins
    operands = [*range(1, 1 + len(ins)), -1, -1][:3]
    program = [1, 0, _core.tile_ops()[op], 0, *operands]
    return call("tile", [(out_dtype, ins[0].shape)], ins, program)[0]


def same(got, want):
    want = np.asarray(want)
    assert got.dtype == want.dtype and got.shape == want.shape
    np.testing.assert_array_equal(got, want)
