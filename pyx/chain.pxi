# Part of _core.pyx.
# ---- plans one after another ----
#
# Where a shape follows from what a run computes, no single plan can hold the run: it is a chain of
# calls, each of a plan for the shapes at hand, and of loops over such chains. Values are arrays, or
# lists of arrays that are no single one, since their shapes differ. Python is asked only for plans
# that are not there yet.

cdef class Plans:
    """The executables of one program, by the shapes of what it takes and the values of those
    arguments, numbered in `valued`, that shapes follow from. bind(args) makes one; those that were
    used last are kept, as many as weigh no more than `room` together, and four in any case."""
    cdef object bind
    cdef dict found
    cdef tuple valued
    cdef int64_t room, weight
    cdef readonly Executable last

    def __cinit__(self, bind, valued, int64_t room):
        self.bind, self.valued, self.room = bind, tuple(valued), room
        self.found = {}

    def __len__(self):
        return len(self.found)

    def find(self, tuple args not None):
        """The executable for arrays of these shapes."""
        return self.fitting(args)

    cdef Executable fitting(self, tuple args):
        cdef Executable exe = self.last
        if exe is not None and not self.valued and exe.fits(args):
            return exe
        key = self.key(args)
        exe = self.found.get(key)
        if exe is None or not exe.fits(args):
            exe = self.bind(args)
            if exe is None or not exe.fits(args):
                raise TypeError("the bound arguments do not fit the executable")
        self.drop(key)  # it moves to the end of those that were used
        self.found[key] = exe
        self.weight += exe.weight
        while self.weight > self.room and len(self.found) > 4:
            self.drop(next(iter(self.found)))
        self.last = exe
        return exe

    cdef int drop(self, key) except -1:
        cdef Executable exe = self.found.pop(key, None)
        if exe is not None:
            self.weight -= exe.weight
        return 0

    cdef object key(self, tuple args):
        cdef int64_t[GP_MAX_RANK + 1] words
        cdef cnp.ndarray a
        cdef bytes key = b""
        cdef int i, rank
        for value in args:
            if not cnp.PyArray_Check(value) or cnp.PyArray_NDIM(value) > GP_MAX_RANK:
                return None  # bind says what is wrong with it
            a = value
            rank = cnp.PyArray_NDIM(a)
            words[0] = rank
            for i in range(rank):
                words[i + 1] = cnp.PyArray_DIM(a, i)
            key += (<char *>words)[:8 * (rank + 1)]
        for number in self.valued:
            key += args[number].tobytes()
        return key


cdef class Link:
    """A part of a chain: makes the values numbered `gives` of those numbered `takes`; one whose
    number is negative is dropped."""
    cdef tuple takes, gives

    def __cinit__(self, takes, gives, *rest, **named):
        self.takes, self.gives = tuple(takes), tuple(gives)

    cdef list call(self, list args):
        raise TypeError("a link of no kind")

    cdef int act(self, list values) except -1:
        cdef list out = self.call(picked(values, self.takes))
        cdef Py_ssize_t i, number
        if len(out) < len(self.gives):
            raise ValueError(f"{len(self.gives)} results are expected, {len(out)} were made")
        for i in range(len(self.gives)):
            number = self.gives[i]
            if number >= 0:
                values[number] = out[i]
        return 0


cdef inline list picked(list values, tuple numbers):
    cdef Py_ssize_t number
    return [values[number] for number in numbers]


cdef class Call(Link):
    """One run of a program."""
    cdef Plans plans

    def __cinit__(self, takes, gives, Plans plans not None):
        self.plans = plans

    cdef list call(self, list args):
        cdef tuple given = tuple(args)
        return self.plans.fitting(given).arrays(given)


cdef class Host(Link):
    """A Python function from a list of values to a list of values."""
    cdef object function

    def __cinit__(self, takes, gives, function):
        self.function = function

    cdef list call(self, list args):
        return self.function(args)


cdef class Chain:
    """Links, the last of which is a Call. The values that they number are its arguments and, from
    there on, `rest`: constants, and None for those that are made."""
    cdef tuple links
    cdef list rest
    cdef Py_ssize_t n_args
    cdef Call end

    def __cinit__(self, Py_ssize_t n_args, rest, links):
        self.n_args, self.rest, self.links = n_args, list(rest), tuple(links)
        if not self.links or not isinstance(self.links[-1], Call):
            raise TypeError("the last link is a Call")
        self.end = self.links[-1]
        for link in self.links:
            for number in (<Link?>link).takes:
                if not 0 <= number < n_args + len(self.rest):
                    raise IndexError(f"there is no value {number}")

    def bind(self, args):
        """Run all links but the last: the executable of that, and what it takes."""
        cdef tuple given = self.prepared(list(args))
        return self.end.plans.fitting(given), given

    cdef tuple prepared(self, list args):
        cdef Py_ssize_t i
        if len(args) != self.n_args:
            raise TypeError(f"{self.n_args} arguments expected, {len(args)} given")
        cdef list values = args + self.rest
        for i in range(len(self.links) - 1):
            (<Link>self.links[i]).act(values)
        return tuple(picked(values, self.end.takes))

    cdef list run(self, list args):
        cdef tuple given = self.prepared(args)
        return self.end.plans.fitting(given).arrays(given)


cdef class Body:
    """A chain that is the inside of a loop or conditional; it takes those numbered `chosen` of the
    values there are."""
    cdef Chain chain
    cdef tuple chosen

    def __cinit__(self, Chain chain not None, chosen):
        self.chain, self.chosen = chain, tuple(chosen)

    cdef inline list run(self, list values):
        return self.chain.run(picked(values, self.chosen))


cdef class If(Link):
    """The first of two bodies if the first value it takes is true, else the second, on the rest."""
    cdef Body yes, no

    def __cinit__(self, takes, gives, Body yes not None, Body no not None):
        self.yes, self.no = yes, no

    cdef list call(self, list args):
        cdef Body body = self.yes if is_true(args[0]) else self.no
        return body.run(args[1:])


cdef bint is_true(value) except -1:
    cdef cnp.ndarray a = value
    if cnp.PyArray_TYPE(a) != cnp.NPY_BOOL or cnp.PyArray_SIZE(a) != 1:
        raise TypeError(f"a bool is expected, not {a.dtype}{value.shape}")
    return (<char *>cnp.PyArray_DATA(a))[0]


cdef class Loop(Link):
    """What While and Scan have in common: `body` takes `n_carried` values of the trip before and
    gives these first. Of what else a trip makes, that which is `kept` is stacked; stack(number,
    rows) stacks what is no single array. start(args), if given, completes what the first trip
    takes."""
    cdef readonly int64_t trip  # the one that runs
    cdef Body body
    cdef Py_ssize_t n_carried
    cdef tuple kept
    cdef object stack, start

    def __cinit__(self, takes, gives, Body body not None, Py_ssize_t n_carried, kept, stack, start,
                  *rest):
        self.body, self.n_carried, self.kept = body, n_carried, tuple(kept)
        self.stack, self.start = stack, start

    cdef int note(self, list rows, list made) except -1:
        """Append to `rows` what of a trip is kept."""
        cdef Py_ssize_t i
        for i in range(len(self.kept)):
            if self.kept[i]:
                (<list>rows[i]).append(made[i])
        return 0

    cdef object stacked(self, Py_ssize_t number, list rows):
        out = joined(rows)
        return self.stack(number, rows) if out is None else out


cdef class While(Loop):
    """Runs its body on values as long as `condition` holds for them, at most `most` times if that
    is not negative. The first values are those of the trip before; gives these, what else the
    trips gave, and their number."""
    cdef Body condition
    cdef int64_t most

    def __cinit__(self, takes, gives, body, n_carried, kept, stack, start,
                  Body condition not None, int64_t most):
        self.condition, self.most = condition, most

    cdef list call(self, list args):
        cdef Py_ssize_t n = self.n_carried
        cdef int64_t trip = 0
        cdef list out, rows = [[] for _ in self.kept]
        if self.start is not None:
            args = self.start(args)
        while trip != self.most and is_true(self.condition.run(args)[0]):
            self.trip = trip
            out = self.body.run(args)
            if rows:
                self.note(rows, out[n:])
            args[:n] = out[:n]
            trip += 1
            PyErr_CheckSignals()
        return args[:n] + [self.stacked(i, rows[i]) for i in range(len(rows))] + [integer(trip)]


cdef class Scan(Loop):
    """Runs its body for each row of arrays. It takes the number of trips, the values for the first
    one, then `n_stacks` arrays, and others; the body the number of the trip, the values that the
    last trip gave, a row of each array, and the others. Gives the values of the last trip, then
    what else the trips gave, and what they were given as values."""
    cdef Py_ssize_t n_stacks
    cdef bint reverse

    def __cinit__(self, takes, gives, body, n_carried, kept, stack, start, Py_ssize_t n_stacks,
                  bint reverse):
        self.n_stacks, self.reverse = n_stacks, reverse

    cdef list call(self, list args):
        cdef Py_ssize_t n = self.n_carried, first = 1 + n + self.n_stacks, i
        cdef int64_t trips, trip, at
        cdef list stacks, out, rows = [[] for _ in self.kept]
        if self.start is not None:
            args = self.start(args)
        stacks = args[1 + n:first]
        trips = len(stacks[0]) if stacks else int(args[0])
        args[1 + n:first] = [None] * self.n_stacks
        for trip in range(trips):
            at = trips - 1 - trip if self.reverse else trip
            self.trip = at
            args[0] = integer(at)
            for i in range(self.n_stacks):
                args[1 + n + i] = row_of(stacks[i], at)
            out = self.body.run(args)
            self.note(rows, out[n:] + args[1:1 + n])
            args[1:1 + n] = out[:n]
            PyErr_CheckSignals()
        if self.reverse:
            for made in rows:
                made.reverse()
        return args[1:1 + n] + [self.stacked(i, rows[i]) for i in range(len(rows))]


cdef cnp.ndarray integer(int64_t value):
    cdef cnp.ndarray out = cnp.PyArray_SimpleNew(0, NULL, cnp.NPY_INT64)
    (<int64_t *>cnp.PyArray_DATA(out))[0] = value
    return out


cdef object row_of(stack, int64_t at):
    """A row of a C-contiguous array, where it lies; or an element of a list."""
    cdef cnp.ndarray whole, row
    cdef cnp.dtype d
    if not cnp.PyArray_Check(stack):
        return stack[at]
    whole = stack
    if cnp.PyArray_NDIM(whole) < 1 or not 0 <= at < cnp.PyArray_DIM(whole, 0):
        raise IndexError(f"an array of shape {stack.shape} has no row {at}")
    if not cnp.PyArray_ISCARRAY_RO(whole):
        raise TypeError("a C-contiguous array is expected")
    d = whole.dtype
    Py_INCREF(d)
    row = PyArray_NewFromDescr(
        cnp.ndarray, d, cnp.PyArray_NDIM(whole) - 1, cnp.PyArray_DIMS(whole) + 1, NULL,
        cnp.PyArray_BYTES(whole) + at * cnp.PyArray_STRIDE(whole, 0), cnp.NPY_ARRAY_CARRAY_RO, None)
    cnp.set_array_base(row, whole)
    return row


cdef object joined(list rows):
    """Arrays of one type and shape as the rows of one; None if they are not alike, or there is
    none."""
    cdef cnp.npy_intp[GP_MAX_RANK] dims
    cdef cnp.ndarray first, row, out
    cdef cnp.dtype d
    cdef char *to
    cdef int64_t nbytes
    cdef int i, rank
    if not rows or not cnp.PyArray_Check(rows[0]):
        return None
    first = rows[0]
    rank, nbytes = cnp.PyArray_NDIM(first), cnp.PyArray_NBYTES(first)
    if rank >= GP_MAX_RANK:
        return None
    dims[0] = len(rows)
    for i in range(rank):
        dims[i + 1] = cnp.PyArray_DIM(first, i)
    for value in rows:
        if not cnp.PyArray_Check(value):
            return None
        row = value
        if (cnp.PyArray_NDIM(row) != rank or cnp.PyArray_TYPE(row) != cnp.PyArray_TYPE(first)
                or not cnp.PyArray_ISCARRAY_RO(row)):
            return None
        for i in range(rank):
            if cnp.PyArray_DIM(row, i) != dims[i + 1]:
                return None
    d = first.dtype
    Py_INCREF(d)
    out = PyArray_NewFromDescr(cnp.ndarray, d, rank + 1, dims, NULL, NULL, 0, None)
    to = <char *>cnp.PyArray_DATA(out)
    for row in rows:
        memcpy(to, cnp.PyArray_DATA(row), <size_t>nbytes)
        to += nbytes
    return out
