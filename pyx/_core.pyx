# cython: language_level=3
"""The only extension module: plans in, arrays out. It checks what Python hands it, owns the memory
of sessions and plans, and runs plans without the GIL. It imports nothing of gradplan."""
import os
import sys
from time import monotonic as clock

cimport numpy as cnp
from cpython.ref cimport Py_INCREF
from cpython.list cimport PyList_New, PyList_SET_ITEM
from cpython.pycapsule cimport PyCapsule_GetName, PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy, memset
from plan cimport *

import numpy as np

cnp.import_array()

cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1

cdef extern from "pythread.h" nogil:
    ctypedef void *PyThread_type_lock
    PyThread_type_lock PyThread_allocate_lock()
    void PyThread_free_lock(PyThread_type_lock)
    int PyThread_acquire_lock(PyThread_type_lock, int)
    void PyThread_release_lock(PyThread_type_lock)
    unsigned long PyThread_get_thread_ident()

cdef extern from "numpy/arrayobject.h":
    object PyArray_NewFromDescr(type, cnp.dtype, int, cnp.npy_intp *, cnp.npy_intp *, void *, int,
                                object)

cdef extern from *:
    """
    #include <stddef.h>
    #define GP_FIELD(type, field) {#field, offsetof(type, field)}
    typedef struct { const char *name; size_t offset; } gp_field;
    static const gp_field gp_buf_fields[] = {
        GP_FIELD(gp_buf, offset), GP_FIELD(gp_buf, bytes), GP_FIELD(gp_buf, dtype),
        GP_FIELD(gp_buf, rank), GP_FIELD(gp_buf, segment), GP_FIELD(gp_buf, slot),
        GP_FIELD(gp_buf, dims), GP_FIELD(gp_buf, strides), {0, sizeof(gp_buf)}};
    static const gp_field gp_insn_fields[] = {
        GP_FIELD(gp_insn, kernel), GP_FIELD(gp_insn, op), GP_FIELD(gp_insn, arg),
        GP_FIELD(gp_insn, n_out), GP_FIELD(gp_insn, n_in), GP_FIELD(gp_insn, attr),
        GP_FIELD(gp_insn, n_attr), GP_FIELD(gp_insn, span), {0, sizeof(gp_insn)}};
    #ifndef GP_BUILD
    #define GP_BUILD "release"
    #endif
    """
    ctypedef struct gp_field:
        const char *name
        size_t offset
    const gp_field *gp_buf_fields
    const gp_field *gp_insn_fields
    const char *GP_BUILD

MAX_RANK = GP_MAX_RANK
MAX_ARGS = GP_MAX_ARGS
MAX_TEMPS = GP_MAX_TEMPS
SUM_BLOCK = GP_SUM_BLOCK
MAX_SUMS = GP_MAX_SUMS
SMALL_DEPTH = GP_SMALL_DEPTH
SMALL_TILE = GP_SMALL_TILE
BUILD = GP_BUILD.decode()

# NumPy's type numbers and dtypes, in the order of enum gp_dtype
# (bfloat16, which NumPy does not have, is kept as its bits)
cdef int[10] TYPENUM = [cnp.NPY_BOOL, cnp.NPY_INT32, cnp.NPY_INT64, cnp.NPY_FLOAT32, cnp.NPY_FLOAT64,
                        cnp.NPY_UINT8, cnp.NPY_INT8, cnp.NPY_INT16, cnp.NPY_FLOAT16, cnp.NPY_UINT16]
cdef list DTYPES = [cnp.PyArray_DescrFromType(number) for number in TYPENUM]


# ---- what there is ----

cdef const gp_table *table  # of the current ISA level


cdef check_fields(name, dtype, const gp_field *field):
    found = {f: dtype.fields[f][1] for f in dtype.names}
    while field.name != NULL:
        if found.pop(field.name.decode(), None) != field.offset:
            raise ImportError(f"{name}.{field.name.decode()} is not where C has it")
        field += 1
    if found or dtype.itemsize != field.offset:
        raise ImportError(f"{name} has {dtype.itemsize} bytes, fields {list(dtype.names)}; "
                          f"C has {field.offset} bytes")


def check_layout(buf_dtype, insn_dtype):
    """Assert that NumPy's structured dtypes are C's gp_buf and gp_insn, field by field."""
    check_fields("gp_buf", np.dtype(buf_dtype), gp_buf_fields)
    check_fields("gp_insn", np.dtype(insn_dtype), gp_insn_fields)


def kernels():
    """Kernel names and their numbers."""
    return {table.kernels[i].name.decode(): i for i in range(table.n_kernels)}


def tile_ops():
    """Tile operations ("add.f32") and their numbers."""
    return {table.tiles[i].name.decode(): i for i in range(table.n_tiles)}


def isa_levels():
    """ISA levels this CPU can run, lowest first."""
    return tuple([gp_table_at(i).isa.decode() for i in range(gp_n_tables())])


def isa():
    """The level that new executables use."""
    return table.isa.decode()


def use_isa(name):
    """Choose the level for executables made from now on; returns the previous one."""
    global table
    levels = isa_levels()
    if name not in levels:
        raise ValueError(f"no ISA level {name!r} here: choose from {', '.join(levels)}")
    previous = isa()
    table = gp_table_at(levels.index(name))
    return previous


table = gp_table_at(gp_n_tables() - 1)
if os.environ.get("GRADPLAN_ISA"):
    try:
        use_isa(os.environ["GRADPLAN_ISA"])
    except ValueError as error:
        raise ImportError(f"GRADPLAN_ISA: {error}") from None


include "pool.pxi"
include "blas.pxi"
include "state.pxi"


# ---- plans ----

cdef struct array_spec:  # a feed or fetch
    int dtype  # enum gp_dtype
    int rank
    cnp.npy_intp[8] dims


cdef int dtype_number(dtype) except -1:
    cdef cnp.dtype d = np.dtype(dtype)
    for i in range(GP_NDTYPES):
        if d == DTYPES[i]:
            return i
    raise TypeError(f"dtype {d} is not supported")


cdef class Memory:
    """A C array that lives as long as this object."""
    cdef void *data

    def __cinit__(self, int64_t count, int64_t size):
        self.data = calloc(<size_t>(count if count > 0 else 1), <size_t>size)
        if self.data == NULL:
            raise MemoryError("no memory for a plan")

    def __dealloc__(self):
        free(self.data)


cdef Memory copy_array(values, int64_t size, str what, int64_t *count):
    """A private copy of a one-dimensional array whose items have `size` bytes."""
    cdef cnp.ndarray a = np.ascontiguousarray(values)
    if a.ndim != 1 or a.dtype.itemsize != size or a.dtype.kind not in "Viu":
        raise ValueError(f"{what}: a vector of {size}-byte records or integers is expected")
    count[0] = a.shape[0]
    cdef Memory m = Memory(count[0], size)
    memcpy(m.data, cnp.PyArray_DATA(a), <size_t>(count[0] * size))
    return m


cdef Memory copy_specs(specs, int64_t *count):
    specs = tuple(specs)
    count[0] = len(specs)
    cdef Memory m = Memory(count[0], sizeof(array_spec))
    cdef array_spec *s = <array_spec *>m.data
    cdef int64_t size
    for dtype, shape in specs:
        s.dtype = dtype_number(dtype)
        if len(shape) > GP_MAX_RANK:
            raise ValueError(f"rank {len(shape)} is above {GP_MAX_RANK}")
        s.rank = len(shape)
        bytes_ = gp_itemsize(s.dtype)
        for i, dim in enumerate(shape):
            if dim < 0:
                raise ValueError(f"shape {tuple(shape)} has a negative dim")
            bytes_ *= max(int(dim), 1)
            if bytes_ > GP_MAX_BYTES:
                raise ValueError(f"shape {tuple(shape)} is too large")
            s.dims[i] = dim
        s += 1
    return m


cdef int64_t spec_bytes(const array_spec *s) noexcept:
    cdef int64_t n = gp_itemsize(s.dtype)
    for i in range(s.rank):
        n *= s.dims[i]
    return n


cdef inline bint spec_fits(const array_spec *s, object value) noexcept:
    """Whether the value can be read where it lies."""
    cdef cnp.ndarray a
    cdef int type_num
    if not cnp.PyArray_Check(value):
        return False
    a = <cnp.ndarray>value
    type_num = cnp.PyArray_TYPE(a)
    if type_num != TYPENUM[s.dtype] and not cnp.PyArray_EquivTypenums(type_num, TYPENUM[s.dtype]):
        return False  # C has two names for one integer type
    if cnp.PyArray_NDIM(a) != s.rank or not cnp.PyArray_ISCARRAY_RO(a):
        return False
    cdef int i
    for i in range(s.rank):
        if cnp.PyArray_DIM(a, i) != s.dims[i]:
            return False
    return True


cdef class Executable:
    """A checked plan, bound to a session's State."""
    cdef State state
    cdef const gp_table *table
    cdef gp_plan plan
    cdef gp_run c_run
    cdef bint multiplies
    cdef bint converts  # a feed is bfloat16: NumPy's uint16 would be taken for its bits
    cdef int threads  # 0: the default
    cdef int64_t n_feeds, n_fetches, n_needs, n_sets, max_var, state_bytes, arena_bytes
    cdef int64_t found, marked  # state.cleared, when all `needs` were there, and all `sets` made
    cdef array_spec *feeds
    cdef array_spec *fetches
    cdef int32_t *needs
    cdef int32_t *sets
    cdef list owned  # the Memory behind all these pointers
    cdef block const_block
    cdef object on_error, host, host_error
    cdef public object source  # what it was made from, for people
    cdef readonly int64_t weight  # bytes of it and of what it was made from

    def __cinit__(self, State state not None, bufs, insns, args, attrs, constants, int64_t arena_bytes,
                  feeds, fetches, needs, sets, on_error, host=None, threads=0):
        self.state, self.on_error, self.host = state, on_error, host
        self.table = table
        self.threads = checked_threads(threads) if threads else 0
        self.owned = []
        cdef gp_plan *p = &self.plan
        p.bufs = <const gp_buf *>self.keep(copy_array(bufs, sizeof(gp_buf), "bufs", &p.n_bufs))
        p.insns = <const gp_insn *>self.keep(
            copy_array(insns, sizeof(gp_insn), "insns", &p.n_insns))
        p.args = <const int32_t *>self.keep(copy_array(args, 4, "args", &p.n_args))
        p.attrs = <const int64_t *>self.keep(copy_array(attrs, 8, "attrs", &p.n_attrs))
        self.needs = <int32_t *>self.keep(copy_array(needs, 4, "needs", &self.n_needs))
        self.sets = <int32_t *>self.keep(copy_array(sets, 4, "sets", &self.n_sets))
        self.feeds = <array_spec *>self.keep(copy_specs(feeds, &self.n_feeds))
        self.fetches = <array_spec *>self.keep(copy_specs(fetches, &self.n_fetches))

        cdef cnp.ndarray values = np.ascontiguousarray(constants)
        if values.dtype != np.uint8:
            raise TypeError(f"constants: uint8 expected, not {values.dtype}")
        allocate(&self.const_block, values.nbytes)
        memcpy(self.const_block.data, cnp.PyArray_DATA(values), <size_t>values.nbytes)
        if arena_bytes < 0 or arena_bytes > GP_MAX_BYTES:
            raise MemoryError(f"an arena of {arena_bytes} bytes is asked for")
        self.arena_bytes = arena_bytes
        p.segment_bytes[<int>GP_ARENA] = arena_bytes
        p.segment_bytes[<int>GP_STATE] = GP_MAX_BYTES  # what is really needed: state_bytes, below
        p.segment_bytes[<int>GP_CONST] = self.const_block.bytes

        p.n_feeds = self.n_feeds
        p.n_slots = self.n_feeds + self.n_fetches
        cdef int64_t *slot_bytes = <int64_t *>self.keep(Memory(p.n_slots, 8))
        for i in range(self.n_feeds):
            slot_bytes[i] = spec_bytes(&self.feeds[i])
            self.converts = self.converts or self.feeds[i].dtype == GP_BF16
        for i in range(self.n_fetches):
            slot_bytes[self.n_feeds + i] = spec_bytes(&self.fetches[i])
        p.slot_bytes = slot_bytes
        # Measured: most of it are the objects of which the records were made.
        self.weight = 10_000 + 730 * p.n_bufs + 2 * self.const_block.bytes
        self.c_run.plan = p
        self.c_run.slot = <char **>self.keep(Memory(p.n_slots, sizeof(char *)))
        self.c_run.ptr = <char **>self.keep(Memory(p.n_bufs, sizeof(char *)))
        self.c_run.externs = <int32_t *>self.keep(Memory(p.n_bufs, 4))
        self.c_run.host = call_host
        self.c_run.host_data = <void *>self
        self.max_var = self.found = self.marked = -1
        self.check_variables(self.needs, self.n_needs)
        self.check_variables(self.sets, self.n_sets)
        self.check_plan()
        state.acquire()
        try:
            grow_block(&state.arena, arena_bytes)
        finally:
            state.release()

    def __dealloc__(self):
        free(self.const_block.raw)

    cdef void *keep(self, Memory m) except NULL:
        self.owned.append(m)
        return m.data

    cdef int check_variables(self, const int32_t *numbers, int64_t n) except -1:
        for i in range(n):
            if numbers[i] < 0:
                raise ValueError(f"no variable {numbers[i]}")
            self.max_var = max(self.max_var, numbers[i])
        return 0

    cdef int check_plan(self) except -1:
        cdef int64_t insn, buf, begin, end
        cdef const gp_plan *p = &self.plan
        cdef const gp_insn *ins
        cdef dict names = kernels()
        cdef set products = {names[name] for name in names if name.startswith("matmul")}
        cdef set lapack = {names[name] for name in names if name.startswith("lapack")}
        for i in range(p.n_insns):
            ins = &p.insns[i]
            if ins.kernel in lapack:
                load_lapack()
                self.multiplies = True
            if ins.kernel == names["special"]:
                load_special()
            if (ins.kernel in products and ins.n_out > 0 and 0 <= ins.arg < p.n_args
                    and 0 <= p.args[ins.arg] < p.n_bufs
                    and p.bufs[p.args[ins.arg]].dtype in (GP_F32, GP_F64)):
                self.multiplies = True
        if self.multiplies:
            load_blas()
        cdef const char *wrong = gp_plan_check(self.table, p, &insn, &buf)
        if wrong != NULL:
            where = f"instruction {insn}" if insn >= 0 else f"buffer {buf}"
            if insn >= 0 and 0 <= p.insns[insn].kernel < len(names):
                where += f" ({list(names)[p.insns[insn].kernel]})"
            raise ValueError(f"malformed plan: {where}: {wrong.decode()}")
        for i in range(p.n_bufs):
            gp_extent(&p.bufs[i], &begin, &end)
            if p.bufs[i].segment == GP_STATE:
                self.state_bytes = max(self.state_bytes, end)
            elif p.bufs[i].segment == GP_EXTERN:
                self.c_run.externs[self.c_run.n_externs] = i
                self.c_run.n_externs += 1
        return 0

    @property
    def isa(self):
        return self.table.isa.decode()

    cdef bint fits(self, tuple args) noexcept:
        cdef int64_t i
        if len(args) != self.n_feeds:
            return False
        for i in range(self.n_feeds):
            if not spec_fits(&self.feeds[i], args[i]):
                return False
        return True

    def run(self, tuple args not None):
        """The fetches, for feeds that are C-contiguous arrays of exactly the right type."""
        if not self.fits(args):
            raise TypeError("the feeds do not fit the plan: " + ", ".join(
                f"{getattr(a, 'dtype', type(a).__name__)}{getattr(a, 'shape', '')}" for a in args))
        return self.launch(args)

    cdef list launch(self, tuple args):
        """Run it on feeds that fit; of rank 0, the fetches are NumPy's scalars."""
        cdef list out = self.arrays(args)
        cdef int64_t i
        for i in range(self.n_fetches):
            if self.fetches[i].rank == 0:
                out[i] = cnp.PyArray_ToScalar(cnp.PyArray_DATA(<cnp.ndarray>out[i]), out[i])
        return out

    cdef list arrays(self, tuple args):
        """Run it on feeds that fit."""
        cdef State state = self.state
        cdef gp_run *run = &self.c_run
        cdef list out = PyList_New(self.n_fetches)
        cdef cnp.ndarray array
        cdef gp_error error
        cdef object host_error = None
        cdef int64_t i
        cdef int status
        try:
            for i in range(self.n_fetches):
                array = new_array(&self.fetches[i])
                Py_INCREF(array)
                PyList_SET_ITEM(out, i, array)
        except MemoryError:
            self.on_error(-2, 0, i, 0, 0)
            raise

        state.acquire()
        status = self.begin(&error)
        if status == GP_OK:
            for i in range(self.n_feeds):
                run.slot[i] = <char *>cnp.PyArray_DATA(<cnp.ndarray>args[i])
            for i in range(self.n_fetches):
                run.slot[self.n_feeds + i] = <char *>cnp.PyArray_DATA(<cnp.ndarray>out[i])
            with nogil:
                status = gp_plan_run(self.table, run)
            host_error = self.end(status, &error)
        state.release()

        if status != GP_OK:
            self.fail(&error, host_error)
        return out

    cdef int begin(self, gp_error *error) noexcept:
        """Make ready for runs, with the state's lock held: GP_OK, or what ready() says."""
        cdef State state = self.state
        cdef gp_run *run = &self.c_run
        cdef int status = self.ready(error)
        if status != GP_OK:
            return status
        run.base[<int>GP_ARENA] = state.arena.data
        run.base[<int>GP_STATE] = state.variables.data
        run.base[<int>GP_CONST] = self.const_block.data
        run.threads = self.threads or default_threads
        if self.multiplies:
            hold_blas()
        return GP_OK

    cdef object end(self, int status, gp_error *error):
        """After runs that begin() allowed; returns what a Python function in them raised."""
        if self.multiplies:
            release_blas()
        if status == GP_OK:
            self.mark()
            return None
        error[0] = self.c_run.error
        host_error, self.host_error = self.host_error, None
        return host_error

    cdef void mark(self) noexcept:
        """The variables that a run sets are initialised."""
        cdef int64_t i
        if self.marked == self.state.cleared:
            return
        for i in range(self.n_sets):
            self.state.flags.data[self.sets[i]] = 1
        self.marked = self.state.cleared

    cdef int fail(self, gp_error *error, host_error) except -1:
        if host_error is not None:
            raise host_error
        self.on_error(error.status, error.insn, error.index, error.value, error.bound)
        raise RuntimeError(f"instruction {error.insn} failed with status {error.status}")

    def loop(self, tuple arrays not None, tuple gathered not None, order, int64_t batch, int64_t steps,
             double every_seconds=1, callback=None):
        """Run `steps` times inside one call, without the GIL.

        arrays : one for each feed, C-contiguous and of the feed's dtype. gathered : for each whether a
        step feeds a batch of its rows; the others are fed whole. order : int64 [steps * batch], the rows
        of all batches one after the other, or None for rows as they come; every one is checked before
        the first step. The rows of a batch that are consecutive are not copied. Every fetch is a scalar.

        callback(steps done) is called every so many seconds; what is true stops the loop, and so does
        an exception, Ctrl-C's too, between two steps. It may use the session.

        Returns a list with an array of the scalars of every step for each fetch, and the steps done.
        """
        return run_loop(self, arrays, gathered, order, batch, steps, every_seconds, callback)

    cdef int ready(self, gp_error *error) noexcept:
        """Whether the state has all that the plan reads: GP_OK, or -1 with a variable's number."""
        cdef State state = self.state
        cdef int64_t i
        memset(error, 0, sizeof(gp_error))
        error.status = -1
        if self.state_bytes > state.variables.bytes or self.max_var >= state.flags.bytes:
            error.insn = <int32_t>self.max_var
            return -1
        if self.found == state.cleared:
            return GP_OK
        for i in range(self.n_needs):
            if not state.flags.data[self.needs[i]]:
                error.insn = self.needs[i]
                return -1
        self.found = state.cleared
        return GP_OK

    cdef int host_instruction(self, int64_t number) except -1:
        """Call instruction `number`'s Python function on copies and store what it returns."""
        cdef const gp_insn *ins = &self.plan.insns[number]
        cdef list inputs = [self.view(ins, ins.n_out + i).copy() for i in range(ins.n_in)]
        results = self.host[number](*inputs)
        if results is None:
            results = ()
        if len(results) != ins.n_out:
            raise ValueError(f"the function returned {len(results)} arrays, {ins.n_out} expected")
        outputs = []
        for i, result in enumerate(results):
            to = self.view(ins, i)
            result = np.asarray(result)
            if result.dtype != to.dtype:
                raise TypeError(f"result {i} has dtype {result.dtype}, {to.dtype} expected")
            if result.shape != to.shape:
                raise ValueError(f"result {i} has shape {result.shape}, {to.shape} expected")
            outputs.append((to, result))
        for to, result in outputs:
            to[...] = result
        return 0

    cdef cnp.ndarray view(self, const gp_insn *ins, int i):
        """Argument i as an array on the run's own memory."""
        cdef int32_t number = self.plan.args[ins.arg + i]
        cdef const gp_buf *b = &self.plan.bufs[number]
        cdef cnp.dtype d = DTYPES[b.dtype]
        cdef cnp.npy_intp[8] dims
        cdef cnp.npy_intp[8] strides
        for k in range(b.rank):
            dims[k] = b.dims[k]
            strides[k] = b.strides[k] * gp_itemsize(b.dtype)
        Py_INCREF(d)
        return PyArray_NewFromDescr(cnp.ndarray, d, b.rank, dims, strides, self.c_run.ptr[number],
                                    cnp.NPY_ARRAY_WRITEABLE, None)


cdef inline cnp.ndarray new_array(const array_spec *s):
    cdef cnp.dtype d = <cnp.dtype>DTYPES[s.dtype]
    Py_INCREF(d)
    return PyArray_NewFromDescr(cnp.ndarray, d, s.rank, <cnp.npy_intp *>s.dims, NULL, NULL, 0, None)


cdef int call_host(void *data, int64_t insn) noexcept with gil:
    cdef Executable self = <Executable>data
    try:
        if insn < 0:
            PyErr_CheckSignals()
        else:
            self.host_instruction(insn)
    except BaseException as error:
        self.host_error = error
        return 1
    return 0


include "loop.pxi"
include "chain.pxi"


cdef class Callable:
    """A compiled function of its feeds. bind(args) -> (Executable, args converted) is asked only
    when the arguments do not fit the executable of the last call; or every time, with other threads
    kept out of `state`, if that is given: since bind itself runs something, or looks at values."""
    cdef object bind, pack
    cdef Py_ssize_t n_feeds, index
    cdef Executable current
    cdef State state

    def __cinit__(self, bind, pack, Py_ssize_t n_feeds, State state=None):
        self.bind, self.pack, self.n_feeds, self.state = bind, pack, n_feeds, state
        self.index = -1
        if isinstance(pack, int):
            if pack < 0:
                raise ValueError("pack: the number of a fetch is not negative")
            self.index = pack

    @property
    def executable(self):
        """The executable of the last call, or None."""
        return self.current

    def reset(self):
        """Forget it: the next call binds anew."""
        self.current = None

    def __call__(self, *args):
        cdef Executable exe = self.current
        cdef list out
        if len(args) != self.n_feeds:
            raise TypeError(f"{self.n_feeds} arguments expected, {len(args)} given")
        if self.state is not None:
            return self.call_held(args)
        if exe is None or exe.converts or not exe.fits(args):
            exe, args = self.bind(args)
            if exe is None or not exe.fits(args):
                raise TypeError("the bound arguments do not fit the executable")
            self.current = exe
        return self.packed(exe.launch(args))

    cdef call_held(self, tuple args):
        self.state.hold()
        try:
            exe, args = self.bind(args)
            self.current = exe
            out = (<Executable?>exe).run(args)
        finally:
            self.state.unhold()
        return self.packed(out)

    cdef inline packed(self, list out):
        if self.index >= 0:
            return out[self.index]
        return out if self.pack is None else self.pack(out)
