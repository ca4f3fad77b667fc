# Part of _core.pyx.
# ---- memory ----

cdef struct block:  # zeroed, aligned to 64 bytes
    void *raw
    char *data
    int64_t bytes
    int64_t room  # bytes that it can have where it is


cdef int allocate(block *b, int64_t nbytes) except -1:
    if nbytes < 0 or nbytes > GP_MAX_BYTES:
        raise MemoryError(f"{nbytes} bytes are asked for")
    cdef void *raw = calloc(<size_t>nbytes + 64, 1)
    if raw == NULL:
        raise MemoryError(f"{nbytes} bytes could not be allocated")
    b.raw = raw
    b.data = <char *>((<uintptr_t>raw + 63) & ~<uintptr_t>63)
    b.bytes = b.room = nbytes
    return 0


cdef int grow_block(block *b, int64_t nbytes) except -1:
    """Enlarge b, keeping its contents. It is given more room than it asks for, since what is made
    one by one would otherwise be copied each time; memory that is not touched costs nothing."""
    cdef block larger
    if nbytes <= b.bytes:
        return 0
    if nbytes > b.room:
        try:
            # None where AddressSanitizer is to see what is written beyond.
            allocate(&larger, nbytes if BUILD == "sanitize" else nbytes + nbytes // 4)
        except MemoryError:
            allocate(&larger, nbytes)
        if b.bytes:
            memcpy(larger.data, b.data, <size_t>b.bytes)
        free(b.raw)
        b[0] = larger
    b.bytes = nbytes
    return 0


cdef class State:
    """The memory of one session: its variables, which of them are initialised, and the arena in
    which its plans run, one at a time."""
    cdef block variables, flags, arena
    cdef PyThread_type_lock lock
    cdef unsigned long owner  # thread that holds the lock, 0 if none; the GIL guards it
    cdef int64_t cleared  # how often a variable ceased to be initialised
    cdef bint held  # by hold(), for several runs
    cdef bint running
    cdef readonly bint closed

    def __cinit__(self):
        self.lock = PyThread_allocate_lock()
        if self.lock == NULL:
            raise MemoryError("no lock for a session")
        allocate(&self.variables, 0)
        allocate(&self.flags, 0)
        allocate(&self.arena, 0)

    def __dealloc__(self):
        free(self.variables.raw)
        free(self.flags.raw)
        free(self.arena.raw)
        if self.lock != NULL:
            PyThread_free_lock(self.lock)

    cdef int acquire(self) except -1:
        cdef unsigned long me = PyThread_get_thread_ident()
        if self.owner == me and self.running:
            raise RuntimeError("the session is in the middle of a run: a Python function "
                               "called by that run cannot use it")
        if not (self.held and self.owner == me) and not PyThread_acquire_lock(self.lock, 0):
            with nogil:
                PyThread_acquire_lock(self.lock, 1)
        self.owner = me
        self.running = True
        if self.closed:
            self.release()
            raise RuntimeError("the session is closed")
        return 0

    cdef inline void release(self) noexcept:
        self.running = False
        if not self.held:
            self.owner = 0
            PyThread_release_lock(self.lock)

    cdef int hold(self) except -1:
        """Keep other threads out, till unhold(), of what takes several runs."""
        self.acquire()
        self.held, self.running = True, False
        return 0

    cdef void unhold(self) noexcept:
        self.held = False
        self.release()

    @property
    def nbytes(self):
        return self.variables.bytes

    @property
    def nvars(self):
        return self.flags.bytes

    @property
    def arena_bytes(self):
        return self.arena.bytes

    def grow(self, int64_t nbytes, int64_t nvars):
        """Room for at least so many bytes of variables and so many variables; zeros beyond."""
        self.acquire()
        try:
            grow_block(&self.variables, nbytes)
            grow_block(&self.flags, nvars)
        finally:
            self.release()

    def read(self, int64_t offset, int64_t nbytes):
        """A fresh uint8 array of the bytes at `offset`."""
        cdef cnp.ndarray out
        self.acquire()
        try:
            self.check_range(offset, nbytes)
            out = np.empty(nbytes, np.uint8)
            memcpy(cnp.PyArray_DATA(out), self.variables.data + offset, <size_t>nbytes)
        finally:
            self.release()
        return out

    def write(self, int64_t offset, values):
        """Replace the bytes at `offset` by a uint8 array's."""
        cdef cnp.ndarray array = np.ascontiguousarray(values)
        if array.dtype != np.uint8:
            raise TypeError(f"uint8 expected, not {array.dtype}")
        self.acquire()
        try:
            self.check_range(offset, array.nbytes)
            memcpy(self.variables.data + offset, cnp.PyArray_DATA(array), <size_t>array.nbytes)
        finally:
            self.release()

    def write_all(self, parts):
        """Write (offset, variable, uint8 array) for each part and mark the variables initialised:
        all of them or, if one does not fit, none."""
        cdef cnp.ndarray array
        parts = [(offset, variable, np.ascontiguousarray(values)) for offset, variable, values in parts]
        self.acquire()
        try:
            for offset, variable, array in parts:
                if array.dtype != np.uint8:
                    raise TypeError(f"uint8 expected, not {array.dtype}")
                self.check_range(offset, array.nbytes)
                self.check_variable(variable)
            for offset, variable, array in parts:
                memcpy(self.variables.data + <int64_t>offset, cnp.PyArray_DATA(array), <size_t>array.nbytes)
                self.flags.data[<int64_t>variable] = 1
        finally:
            self.release()

    cdef int check_range(self, int64_t offset, int64_t nbytes) except -1:
        if offset < 0 or nbytes < 0 or offset > self.variables.bytes - nbytes:
            raise ValueError(f"{nbytes} bytes at {offset} are outside the {self.variables.bytes} "
                             "bytes of variables")
        return 0

    cdef int check_variable(self, int64_t variable) except -1:
        if variable < 0 or variable >= self.flags.bytes:
            raise IndexError(f"no variable {variable}: there are {self.flags.bytes}")
        return 0

    def get_flag(self, int64_t variable):
        """Whether the variable is initialised. A Python function that a run calls may ask, too: of
        what the run itself initialises it hears no."""
        cdef bint inside = self.running and self.owner == PyThread_get_thread_ident()
        if not inside:
            self.acquire()
        try:
            self.check_variable(variable)
            return self.flags.data[variable] != 0
        finally:
            if not inside:
                self.release()

    def set_flag(self, int64_t variable, bint value=True):
        self.acquire()
        try:
            self.check_variable(variable)
            self.flags.data[variable] = value
            self.cleared += not value
        finally:
            self.release()

    def close(self):
        """Give the memory back, after a run in flight. Everything raises RuntimeError afterwards."""
        if self.closed:
            return
        self.acquire()
        self.closed = True
        free(self.variables.raw)
        free(self.flags.raw)
        free(self.arena.raw)
        memset(&self.variables, 0, sizeof(block))
        memset(&self.flags, 0, sizeof(block))
        memset(&self.arena, 0, sizeof(block))
        self.release()


def place(nbytes, first, last):
    """Where buffers lie, of so many bytes and alive from instruction `first` to `last`, and the
    bytes of all together: each takes the smallest gap that fits among those before it."""
    cdef cnp.ndarray sizes = np.array(nbytes, np.int64), begin = np.array(first, np.int64)
    cdef cnp.ndarray end = np.array(last, np.int64), offsets = np.empty(sizes.size, np.int64)
    cdef int64_t n = sizes.size, peak
    if not sizes.ndim == begin.ndim == end.ndim == 1 or not n == begin.size == end.size:
        raise ValueError("three lists of one length are expected")
    if n and sizes.min() < 0:
        raise ValueError("a buffer has a negative size")
    if sum(nbytes) >> 62:
        raise MemoryError(f"{sum(nbytes)} bytes are asked for")
    cdef cnp.ndarray room = np.empty(n * GP_PLACE_BYTES, np.uint8)
    with nogil:
        peak = gp_place(n, <int64_t *>cnp.PyArray_DATA(sizes), <int64_t *>cnp.PyArray_DATA(begin),
                        <int64_t *>cnp.PyArray_DATA(end), <int64_t *>cnp.PyArray_DATA(offsets),
                        cnp.PyArray_DATA(room))
    return offsets.tolist(), peak
