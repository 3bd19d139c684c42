# Programs of kernels: a part of the door, csrc/_kernels.pyx.


cdef extern from *:
    """
    /* The program that this thread records: others, and a forked child's only thread, go on computing. */
    static _Thread_local void *recorded_now;
    """
    void *recorded_now


class NotRecorded(Exception):
    """The call needs memory of its own, or a look at the data: a program cannot repeat it."""


@cython.auto_pickle(False)  # a copy would point at memory that it does not keep
cdef class Cursor:
    """A place in an array from which `read_next` reads, or to which `write_next` writes."""

    cdef char *at
    cdef char *end
    cdef cnp.ndarray array
    cdef bint is_written

    def move_to(self, array):
        """Point at the beginning of an array, which stays alive and is used in place.

        Runs trust it to be of the kind that their calls were recorded with, and row numbers to be in it.
        """
        if not isinstance(array, cnp.ndarray) or array.ndim == 0:
            raise ValueError(f"a cursor points into an array with axes, not {array!r}")
        readable(array, "array")
        if self.is_written:
            writable(array, "array")
        self.array = array
        self.at = cnp.PyArray_BYTES(self.array)
        self.end = self.at + cnp.PyArray_NBYTES(self.array)

    def let_go(self):
        """Point nowhere; the array need not stay alive any longer."""
        self.array, self.at, self.end = None, NULL, NULL


cdef class Program:
    """Kernels with their arguments, checked once, to be run again and again without Python."""

    cdef fn_instruction *instructions
    cdef size_t length, room
    cdef list kept
    cdef int64_t failed_at
    cdef int64_t *nanoseconds  # of the first `timed` instructions
    cdef size_t timed
    cdef size_t work
    cdef void *scratch
    cdef size_t scratch_size
    # What the next instructions depend on.
    cdef const int *when
    cdef int when_is
    cdef list cursors
    cdef dict streams  # the cursors that every run moves on, by so many bytes
    cdef dict dense  # room for compressed rows with all their elements

    def __cinit__(self):
        self.kept = []
        self.cursors = []
        self.streams = {}
        self.dense = {}

    def __dealloc__(self):
        PyMem_RawFree(self.instructions)

    def __len__(self):
        return self.length

    def record(self, call):
        """Appends what `call` asks of this module's functions; False, and nothing, if it asks for more than
        kernels can repeat.

        It is not done now. The arrays that they are given stay in use, and who records keeps them; what is in
        them may change.
        """
        global recorded_now
        if recorded_now != NULL:
            raise RuntimeError("a program is being recorded already; wait for its end")
        cdef size_t length = self.length, work = self.work
        cdef list cursors = self.cursors.copy()
        cdef dict streams = self.streams.copy()
        self.when = NULL
        # No signal can come between this and the block that takes it back, as it could in Python.
        recorded_now = <void *>self
        try:
            call()
        except BaseException as error:
            self.length, self.work, self.cursors, self.streams = length, work, cursors, streams
            if not isinstance(error, NotRecorded):
                raise
            return False
        finally:
            recorded_now = NULL
        return True

    @property
    def failed(self):
        """Whether the last run stopped at data that a kernel refused."""
        return self.failed_at != 0

    def run(self, size_t times=1, double seconds=1e9):
        """Run it so many times, or until so many seconds have passed; returns how often it ran."""
        cdef fn_program program = fn_program(self.instructions, self.length, &self.failed_at, NULL)
        if self.timed == self.length:
            program.nanoseconds = self.nanoseconds
        seconds = max(0.0, seconds) if seconds < 1e9 else 1e9  # and not NaN
        cdef int64_t until = 0 if times == 1 else fn_now() + <int64_t>(seconds * 1e9)
        cdef PyThreadState *state = NULL
        cdef Cursor cursor
        for cursor in self.cursors:
            pointing(cursor)
        for cursor, size in self.streams.items():
            check_room(cursor, times, size)
        self.failed_at = 0
        if self.work * times > SMALL:
            state = PyEval_SaveThread()
        cdef size_t done = fn_run(&program, times, until)
        if state != NULL:
            PyEval_RestoreThread(state)
        return done

    def profile(self, bint on):
        """Measure, from now on, how long each instruction takes; or no longer."""
        # What was given out before is kept: another thread may be in the midst of a run.
        self.nanoseconds = <int64_t *>self.hold(self.length * sizeof(int64_t)) if on else NULL
        self.timed = self.length

    @property
    def seconds(self):
        """The time that each instruction took since `profile`."""
        cdef list found = []
        cdef size_t i
        if self.nanoseconds:
            for i in range(self.timed):
                found.append(self.nanoseconds[i] * 1e-9)
        return found

    cdef size_t *refusal(self) except NULL:
        """Where a kernel says that it refuses its data."""
        return <size_t *>&self.failed_at

    cdef int depend(self, const int *when, bint is_set) except -1:
        """Have the instructions from here on run only where *when is set, or is not; always after NULL."""
        self.when, self.when_is = when, is_set
        return 0

    cdef void *hold(self, size_t size) except NULL:
        """Memory that stays as long as the program."""
        cdef cnp.ndarray block = np.zeros(size, np.uint8)
        self.kept.append(block)
        return cnp.PyArray_DATA(block)

    cdef void *shared_scratch(self, size_t size) except NULL:
        """Memory that all instructions work in, one after another."""
        if self.scratch == NULL or self.scratch_size < size:
            self.scratch = <void *>((<size_t>self.hold(size + FN_LINE) + FN_LINE - 1) & ~<size_t>(FN_LINE - 1))
            self.scratch_size = size
        return self.scratch

    cdef int append(self, fn_kernel *kernel, const void *args, size_t size, size_t count, size_t grain,
                    int threads, size_t work) except -1:
        cdef fn_instruction *more
        cdef void *own = self.hold(size)
        memcpy(own, args, size)
        if self.length == self.room:
            more = <fn_instruction *>PyMem_RawRealloc(
                self.instructions, (2 * self.room + 16) * sizeof(fn_instruction))
            if more == NULL:
                raise MemoryError("no memory for the instructions of the program")
            self.instructions, self.room = more, 2 * self.room + 16
        self.instructions[self.length] = fn_instruction(
            kernel, own, count, grain, threads, self.when_is, self.when)
        self.length += 1
        self.work += work
        return 0

    cdef cnp.ndarray dense_of(self, CompressedRows rows):
        """Room for these rows, or a buffer's, as a matrix."""
        if id(rows) not in self.dense:
            self.dense[id(rows)] = np.empty(rows.shape, rows.dtype)
            self.kept.append(rows)
        return self.dense[id(rows)]


cdef inline bint is_recording() noexcept:
    return recorded_now != NULL


cdef inline Program recording():
    """The program that this thread records; only where `is_recording`."""
    return <Program>recorded_now


cdef inline int only_in_place(str reason) except -1:
    """Refuses, while a program is recorded, what it could not repeat."""
    if is_recording():
        raise NotRecorded(reason)
    return 0


def copy_arrays(list sources, list targets):
    """Copy each array of `sources` into the one in its place in `targets`, as ``target[...] = source``."""
    cdef cnp.ndarray source, target
    cdef Py_ssize_t i, count = len(sources)
    only_in_place("a copy of many arrays")
    if count != len(targets):
        raise ValueError(f"{count} arrays do not fill {len(targets)}")
    for i in range(count):
        source, target = sources[i], targets[i]
        if source is None or target is None:
            raise TypeError("only NumPy arrays can be copied, got None")
        if not cnp.PyArray_SAMESHAPE(source, target):
            raise shape_error("an array", source, "it must be that of its target,", target)
        if not cnp.PyArray_ISWRITEABLE(target):
            raise ValueError(f"a target of shape {(<object>target).shape} is read-only; use a copy")
    for i in range(count):
        source, target = sources[i], targets[i]
        if are_alike(source, target):
            move(cnp.PyArray_DATA(target), cnp.PyArray_DATA(source), cnp.PyArray_NBYTES(source))
        else:
            cnp.PyArray_CopyInto(target, source)


cdef int move(void *to, const void *source, size_t size) except -1:
    cdef PyThreadState *state = PyEval_SaveThread() if size > SMALL else NULL
    memmove(to, source, size)
    if state != NULL:
        PyEval_RestoreThread(state)
    return 0


cdef inline bint are_alike(cnp.ndarray a, cnp.ndarray b):
    """Whether equal bytes are equal arrays, of numbers."""
    return (cnp.PyArray_DESCR(a) is cnp.PyArray_DESCR(b) and cnp.PyArray_SAMESHAPE(a, b)
            and cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_IS_C_CONTIGUOUS(b)
            and cnp.PyArray_TYPE(a) < cnp.NPY_OBJECT)


cdef cnp.ndarray number_array(object x, int kind, str dtype):
    if not isinstance(x, cnp.ndarray) or cnp.PyArray_TYPE(x) != kind or cnp.PyArray_SIZE(x) != 1:
        raise TypeError(f"an array () of {dtype} is expected, got {x!r}; use np.array(x, '{dtype}')")
    readable(x, "the array of a number")
    return x


def count_up(x):
    """x += 1, in place; x is an array () of int64."""
    cdef cnp.ndarray a = number_array(x, cnp.NPY_INT64, "int64")
    writable(a, "x")
    cdef fn_count_args g = fn_count_args(<int64_t *>cnp.PyArray_DATA(a))
    run(fn_count_up, &g, sizeof(g), 1)


def accumulate(total, value, double weight):
    """total += value * weight, in place: `total` holds one float64, `value` one float32 or float64."""
    cdef cnp.ndarray sum = number_array(total, cnp.NPY_DOUBLE, "float64")
    cdef cnp.ndarray a = floating(value, "value")
    writable(sum, "total")
    if cnp.PyArray_SIZE(a) != 1:
        raise ValueError(f"value has shape {value.shape}; it must hold one number")
    cdef fn_accumulate_args g = fn_accumulate_args(
        <double *>cnp.PyArray_DATA(sum), cnp.PyArray_DATA(a), cnp.PyArray_TYPE(a) == cnp.NPY_DOUBLE, weight)
    run(fn_accumulate, &g, sizeof(g), 1)


cdef int stream(fn_kernel *kernel, object x, Cursor cursor) except -1:
    cdef dict streams
    if not isinstance(x, cnp.ndarray):
        raise TypeError(f"x must be a NumPy array, got {type(x).__name__}")
    cdef cnp.ndarray a = x
    cdef fn_stream_args g
    readable(a, "x")
    g.here, g.there, g.bytes = cnp.PyArray_DATA(a), &cursor.at, cnp.PyArray_NBYTES(a)
    if is_recording():
        streams = recording().streams
        streams[cursor] = streams.get(cursor, 0) + g.bytes
    else:
        check_room(cursor, 1, g.bytes)
    run(kernel, &g, sizeof(g), 1)
    return 0


cdef Cursor pointing(Cursor cursor):
    if cursor.array is None:
        raise ValueError("the cursor points nowhere; call move_to(array) first")
    return cursor


cdef int check_room(Cursor cursor, size_t times, size_t size) except -1:
    cdef size_t left = pointing(cursor).end - cursor.at
    if size and left // size < times:
        raise ValueError(f"{left} bytes are left behind the cursor, fewer than {times} times {size}")
    return 0


def read_next(Cursor cursor not None, out):
    """Fill `out` with what comes next behind the cursor, which moves on."""
    writable(out, "out")
    stream(fn_read_next, out, cursor)


def write_next(x, Cursor cursor not None):
    """Write x behind the cursor, which moves on."""
    if cursor.array is not None:
        writable(cursor.array, "the array of the cursor")
    stream(fn_write_next, x, cursor)
    cursor.is_written = True


cdef Cursor source_of(cnp.ndarray x, Cursor source):
    """Where a kernel finds the address of x, or of what `source` points at by then."""
    if source is None:
        source = Cursor.__new__(Cursor)
        source.array, source.at = x, cnp.PyArray_BYTES(x)
    if is_recording():
        recording().cursors.append(source)
    elif source.array is not x:
        raise ValueError("source is for recorded calls; give x alone")
    return source


def pick(x, rows, out, Cursor source=None):
    """The rows x[rows[i]] (int64) in out[i], as they are: x, of any dtype, and `out` have the same.

    A recorded call reads, instead of x, what is then at `source`: an array like x.
    """
    if not (isinstance(x, cnp.ndarray) and isinstance(out, cnp.ndarray)) or x.dtype != out.dtype:
        raise TypeError("x and out must be NumPy arrays of one dtype")
    if x.dtype.hasobject:
        raise TypeError(f"rows of {x.dtype} cannot be copied as bytes; use x[rows]")
    if not isinstance(rows, cnp.ndarray) or rows.dtype != np.int64 or rows.ndim != 1:
        raise TypeError("rows must be an int64 array of one axis")
    if x.ndim == 0 or out.shape != (len(rows), *x.shape[1:]):
        raise ValueError(f"out has shape {out.shape}; {len(rows)} rows of x {x.shape} are to go there")
    readable(x, "x")
    readable(rows, "rows")
    writable(out, "out")
    apart(out, "out", x, "x", False)
    apart(out, "out", rows, "rows", False)
    cdef cnp.ndarray chosen = rows
    cdef size_t count = cnp.PyArray_SIZE(chosen)
    cdef Cursor data = source_of(x, source)
    cdef fn_pick_args g = fn_pick_args(
        cnp.PyArray_DATA(out), &data.at, <const int64_t *>cnp.PyArray_DATA(chosen), 0)
    if not is_recording():
        check_rows(g.rows, count, cnp.PyArray_DIM(x, 0))
    if count:
        g.bytes = cnp.PyArray_NBYTES(out) // count
        run(fn_pick, &g, sizeof(g), count, g.bytes + (g.bytes == 0))


def fetch_next(Cursor order not None, Py_ssize_t count, x, Cursor source not None):
    """Ask for the rows of what is at `source`, an array like x, whose numbers (int64) come next in `order`:
    at most `count` of them, which a later `pick` or `gather` then finds near. Only for a program.
    """
    if not is_recording():
        raise RuntimeError("fetch_next is a part of a program; call it inside record")
    readable(x, "x")
    cdef cnp.ndarray a = x
    if cnp.PyArray_NDIM(a) == 0 or cnp.PyArray_DIM(a, 0) == 0 or count < 0:
        raise ValueError(f"x has shape {x.shape} and count is {count}; there must be rows to ask for")
    recording().cursors.extend((order, source))
    cdef fn_fetch_args g = fn_fetch_args(
        &order.at, &order.end, &source.at, count, cnp.PyArray_NBYTES(a) // cnp.PyArray_DIM(a, 0))
    run(fn_fetch_next, &g, sizeof(g), 1)
