# Part of _core.pyx.
# ---- many steps in one call ----

SIGNAL_SECONDS = 0.01  # between two looks for Ctrl-C
cdef int64_t signal_ns = <int64_t>(SIGNAL_SECONDS * 1e9)


cdef int check_row_array(const array_spec *s, int i, object value, int64_t batch) except -1:
    """An array whose rows are gathered into feed i."""
    cdef array_spec whole = s[0]
    if s.rank == 0 or s.dims[0] != batch:
        raise ValueError(f"feed {i} has shape {tuple([s.dims[k] for k in range(s.rank)])}: its rows are not "
                         f"a batch of {batch}")
    if cnp.PyArray_Check(value) and cnp.PyArray_NDIM(value) > 0:
        whole.dims[0] = cnp.PyArray_DIM(value, 0)
        if spec_fits(&whole, value):
            return 0
    raise TypeError(f"feed {i}: rows of {DTYPES[s.dtype]}{tuple([s.dims[k] for k in range(1, s.rank)])} are "
                    f"expected in a C-contiguous array, not {getattr(value, 'dtype', type(value).__name__)}"
                    f"{getattr(value, 'shape', '')}")


cdef int check_order(cnp.ndarray order, int64_t needed, int64_t n_rows) except -1:
    if (cnp.PyArray_NDIM(order) != 1 or order.dtype != np.int64
            or not cnp.PyArray_ISCARRAY_RO(order)):
        raise TypeError("order: a C-contiguous vector of int64 is expected")
    if order.shape[0] < needed:
        raise ValueError(f"order: {needed} rows are needed, {order.shape[0]} are given")
    cdef const int64_t *rows = <const int64_t *>cnp.PyArray_DATA(order)
    cdef int64_t i
    for i in range(needed):
        if not 0 <= rows[i] < n_rows:
            raise IndexError(f"order: row {rows[i]} at {i} is not in [0, {n_rows})")
    return 0


cdef run_loop(Executable self, tuple arrays, tuple gathered, order, int64_t batch, int64_t steps,
              double every_seconds, callback):
    cdef State state = self.state
    cdef gp_run *run = &self.c_run
    cdef gp_loop loop
    cdef gp_gathered *feed
    cdef gp_error error
    cdef int64_t i, limit
    cdef int status
    cdef object host_error = None
    cdef list staging = [], results = []

    # everything is checked before the first step
    if len(arrays) != self.n_feeds or len(gathered) != self.n_feeds:
        raise TypeError(f"{self.n_feeds} arrays expected, {len(arrays)} and {len(gathered)} flags given")
    if batch < 1 or steps < 0:
        raise ValueError(f"a batch of {batch} rows, {steps} steps")
    if batch > GP_MAX_BYTES // 8 or steps > GP_MAX_BYTES // 8 // batch:
        raise ValueError(f"{steps} batches of {batch} rows are too many")
    if every_seconds != every_seconds:
        raise ValueError("every_seconds is not a number")
    if callback is not None and not callable(callback):
        raise TypeError("callback: a function is expected")
    for i in range(self.n_fetches):
        if self.fetches[i].rank != 0:
            raise ValueError(f"fetch {i} has rank {self.fetches[i].rank}: a loop keeps scalars only")
    memset(&loop, 0, sizeof(loop))
    loop.batch, loop.steps, loop.n_rows = batch, steps, -1
    cdef Memory feeds = Memory(self.n_feeds, sizeof(gp_gathered))
    loop.gathered = <gp_gathered *>feeds.data
    for i in range(self.n_feeds):
        if not gathered[i]:
            if not spec_fits(&self.feeds[i], arrays[i]):
                raise TypeError(f"feed {i} does not fit the plan: "
                                f"{getattr(arrays[i], 'dtype', type(arrays[i]).__name__)}"
                                f"{getattr(arrays[i], 'shape', '')}")
            continue
        check_row_array(&self.feeds[i], i, arrays[i], batch)
        if loop.n_rows not in (-1, arrays[i].shape[0]):
            raise ValueError(f"feed {i} has {arrays[i].shape[0]} rows, another {loop.n_rows}")
        loop.n_rows = arrays[i].shape[0]
        feed = &(<gp_gathered *>feeds.data)[loop.n_gathered]
        loop.n_gathered += 1
        feed.slot = i
        feed.row_bytes = spec_bytes(&self.feeds[i]) // batch
        feed.data = <const char *>cnp.PyArray_DATA(<cnp.ndarray>arrays[i])
        if order is not None:
            staging.append(new_array(&self.feeds[i]))
            feed.staging = <char *>cnp.PyArray_DATA(<cnp.ndarray>staging[-1])
    cdef Memory rows = Memory(batch if order is not None else 0, 8)
    loop.rows = <int64_t *>rows.data
    if order is not None:
        if not cnp.PyArray_Check(order):
            raise TypeError("order: a C-contiguous vector of int64 is expected")
        check_order(order, steps * batch, max(loop.n_rows, 0))
        loop.order = <const int64_t *>cnp.PyArray_DATA(<cnp.ndarray>order)
    elif loop.n_gathered and steps * batch > loop.n_rows:
        raise ValueError(f"{steps} batches of {batch} rows are more than the {loop.n_rows} there are")
    cdef Memory pointers = Memory(self.n_fetches, sizeof(char *))
    loop.results, loop.n_results = <char **>pointers.data, self.n_fetches
    for i in range(self.n_fetches):
        results.append(np.empty(steps, DTYPES[self.fetches[i].dtype]))
        loop.results[i] = <char *>cnp.PyArray_DATA(<cnp.ndarray>results[i])

    every = max(every_seconds, 0.0)
    due = clock() + every
    while loop.done < steps:
        limit = signal_ns
        if callback is not None:
            limit = min(limit, <int64_t>(max(0.0, min(due - clock(), 1.0)) * 1e9))
        state.acquire()
        status = self.begin(&error)
        if status == GP_OK:
            for i in range(self.n_feeds):  # a callback may have run the same plan
                run.slot[i] = <char *>cnp.PyArray_DATA(<cnp.ndarray>arrays[i])
            with nogil:
                status = gp_loop_run(self.table, run, &loop, limit)
            host_error = self.end(status, &error)
            if loop.done:
                self.mark()  # though a later step failed
        state.release()
        if status == GP_ERR_ROW:
            raise IndexError(f"order: row {error.value} at {error.index} is not in [0, {error.bound})")
        if status != GP_OK:
            self.fail(&error, host_error)
        PyErr_CheckSignals()
        if callback is not None and loop.done < steps and clock() >= due:
            if callback(loop.done):
                break
            due = clock() + every
    if loop.done < steps:
        results = [r[:loop.done].copy() for r in results]
    return results, loop.done
