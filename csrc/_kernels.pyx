# cython: language_level=3, embedsignature=True
"""The only door between Python and C: one function per kernel.

Every function checks its arguments (dtype, shape, contiguity, overlap, labels in range) before anything
is computed or changed, makes its result where `out` is not given, and releases the GIL for all but small
arrays. The rules:

- Arrays are NumPy arrays of float32 or float64, all of one call of the same dtype: another dtype is a
  TypeError, never a silent conversion.
- An input that is not contiguous, not aligned or not in native byte order is copied first.
- An output (`out`, or a variable that an update changes) must be writable, C-contiguous and of the right
  shape and dtype. It may be the same memory as an elementwise kernel's input; any other overlap is a
  ValueError.
- Lists are made by `append`: where Cython 3.3 has no memory for an element of a comprehension, it frees that
  element twice.
"""

import os

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.number cimport PyIndex_Check, PyNumber_Index
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from fastnn import processors

cnp.import_array()


include "fastnn.pxi"

# Bytes of a line of the processor's caches.
LINE = FN_LINE

# The dispatch table: the level in use.
cdef const fn_level *level = NULL


def isas():
    """The names of the instruction sets that this build and this processor support, worst first."""
    names = []
    cdef size_t i = 0
    while fn_levels[i] != NULL:
        if fn_levels[i].supported():
            names.append(fn_levels[i].name.decode())
        i += 1
    return names


def isa():
    """The name of the instruction set in use."""
    return level.name.decode()


def set_isa(name):
    """Use the instruction set `name` from now on; ValueError if this processor does not support it."""
    global level
    supported = isas()
    if name not in supported:
        raise ValueError(
            f"instruction set {name!r} is not available here; choose one of {', '.join(supported)} "
            "(environment variable FASTNN_ISA, or unset it for the best)"
        )
    cdef size_t i = 0
    while fn_levels[i].name.decode() != name:
        i += 1
    level = fn_levels[i]


set_isa(os.environ.get("FASTNN_ISA") or isas()[-1])


def set_threads(n):
    """Use at most n threads from now on."""
    remedy = f"give a number of threads from 1, the caller's alone, to {FN_MAX_THREADS}"
    if isinstance(n, bool) or not PyIndex_Check(n):
        raise TypeError(f"n must be an integer, got {n!r}; {remedy}")
    count = PyNumber_Index(n)
    if not 1 <= count <= FN_MAX_THREADS:
        raise ValueError(f"n is {count}; {remedy}")
    fn_set_threads(count)


def threads():
    """The limit on the number of threads: what was set, else what the process may use."""
    return thread_limit()


def settings():
    """What a recorded program depends on: the limit on the threads, and which instruction set is in use."""
    return thread_limit(), <size_t>level


cdef inline int thread_limit() except -1:
    if fn_threads() == 0:
        fn_set_threads(min(processors.available(), FN_MAX_THREADS))
    return fn_threads()


cdef set_threads_of_environment():
    value = os.environ.get("FASTNN_NUM_THREADS")
    if value:
        try:
            set_threads(int(value))
        except ValueError:
            raise ValueError(
                f"environment variable FASTNN_NUM_THREADS is {value!r}; set it to an integer from 1 "
                f"to {FN_MAX_THREADS}, or unset it for all processors that the process may use"
            ) from None


set_threads_of_environment()

cdef enum:
    # Below this many elements a kernel is over before another thread could have taken the GIL.
    SMALL = 16384
    # A thread takes this many elements at a time: some ten microseconds of work.
    CHUNK = 32768


include "scope.pxi"
include "program.pxi"


cdef inline int run(fn_kernel *kernel, const void *args, size_t size, size_t count, size_t elements=1,
                    size_t grain=0) except -1:
    """Runs a kernel over `count` units of so many elements each, or records that.

    A thread takes `grain` units at a time, by default as many as are worth it.
    """
    cdef size_t work = count * elements
    if grain == 0:
        grain = CHUNK // elements if 0 < elements < CHUNK else 1
    return launch(kernel, args, size, count, grain, thread_limit() if work > SMALL else 1, work)


cdef inline int launch(fn_kernel *kernel, const void *args, size_t size, size_t count, size_t grain,
                       int workers, size_t work) except -1:
    """Runs a kernel on so many threads at most, or records that. The GIL is released unless the work is
    little."""
    if is_recording():
        return recording().append(kernel, args, size, count, grain, workers, work)
    cdef PyThreadState *state = PyEval_SaveThread() if work > SMALL else NULL
    fn_parallel(kernel, args, count, grain, workers)
    if state != NULL:
        PyEval_RestoreThread(state)
    return 0


cdef inline const fn_kernels *kernels_for(cnp.ndarray x) noexcept:
    return level.f32 if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT else level.f64


cdef inline cnp.ndarray floating(object x, str name):
    """`x` as a contiguous float32 or float64 array."""
    if not isinstance(x, cnp.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(x).__name__}; use np.asarray")
    cdef cnp.ndarray a = x
    cdef int kind = cnp.PyArray_TYPE(a)
    if kind != cnp.NPY_FLOAT and kind != cnp.NPY_DOUBLE:
        raise TypeError(f"{name} must be float32 or float64, got {a.dtype}; use {name}.astype")
    if not (cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISBEHAVED_RO(a)):
        only_in_place(name)
        a = cnp.PyArray_FROM_OTF(a, kind, cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED)
    return a


cdef inline cnp.ndarray floating_like(object x, str name, cnp.ndarray like, str like_name):
    """The same, and of the dtype of `like`."""
    cdef cnp.ndarray a = floating(x, name)
    if cnp.PyArray_TYPE(a) != cnp.PyArray_TYPE(like):
        raise TypeError(
            f"{name} is {a.dtype} and {like_name} is {like.dtype}; convert one of them with astype"
        )
    return a


cdef shape_error(str name, object x, str rule, object like):
    return ValueError(f"{name} has shape {x.shape}; {rule} {like.shape}")


cdef inline cnp.ndarray same_shape(object x, str name, cnp.ndarray like, str like_name):
    cdef cnp.ndarray a = floating_like(x, name, like, like_name)
    if not cnp.PyArray_SAMESHAPE(a, like):
        raise shape_error(name, a, f"it must be that of {like_name},", like)
    return a


cdef inline int writable(cnp.ndarray a, str name) except -1:
    if not (cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISBEHAVED(a)):
        raise ValueError(
            f"{name} must be writable, aligned and C-contiguous; use np.ascontiguousarray or a copy"
        )
    return 0


cdef inline cnp.ndarray output(object out, int ndim, cnp.npy_intp *shape, cnp.ndarray like, str name):
    """`out` checked, or a new array."""
    if out is None:
        only_in_place(name)
        return cnp.PyArray_EMPTY(ndim, shape, cnp.PyArray_TYPE(like), 0)
    if not isinstance(out, cnp.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(out).__name__}")
    cdef cnp.ndarray y = out
    if cnp.PyArray_TYPE(y) != cnp.PyArray_TYPE(like):
        raise TypeError(f"{name} must be {like.dtype}, got {y.dtype}")
    if not (cnp.PyArray_NDIM(y) == ndim
            and cnp.PyArray_CompareLists(cnp.PyArray_DIMS(y), shape, ndim)):
        expected = []
        for i in range(ndim):
            expected.append(shape[i])
        raise ValueError(f"{name} has shape {out.shape}; the result has shape {tuple(expected)}")
    writable(y, name)
    return y


cdef inline cnp.ndarray output_like(object out, cnp.ndarray x):
    return output(out, cnp.PyArray_NDIM(x), cnp.PyArray_DIMS(x), x, "out")


cdef inline int apart(cnp.ndarray y, str y_name, cnp.ndarray x, str x_name, bint in_place) except -1:
    """Refuses an output that shares memory with an input; the same memory passes where `in_place`."""
    cdef const char *y_start = cnp.PyArray_BYTES(y)
    cdef const char *x_start = cnp.PyArray_BYTES(x)
    if y_start >= x_start + cnp.PyArray_NBYTES(x) or x_start >= y_start + cnp.PyArray_NBYTES(y):
        return 0
    if in_place and y_start == x_start and cnp.PyArray_NBYTES(y) == cnp.PyArray_NBYTES(x):
        return 0
    raise ValueError(f"{y_name} overlaps {x_name} in memory; give {y_name} memory of its own")


cdef cnp.ndarray unary(fn_kernel *f32, fn_kernel *f64, object x, object out):
    cdef cnp.ndarray a = floating(x, "x")
    cdef cnp.ndarray y = output_like(out, a)
    if out is not None:
        apart(y, "out", a, "x", True)
    cdef fn_unary_args g = fn_unary_args(cnp.PyArray_DATA(y), cnp.PyArray_DATA(a))
    run(f32 if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT else f64, &g, sizeof(g), cnp.PyArray_SIZE(a))
    return y


def relu(x, out=None):
    """max(x, 0), NaN where x is NaN; x of any shape."""
    return unary(level.f32.relu, level.f64.relu, x, out)


def exp(x, out=None):
    """e to the power x; x of any shape."""
    return unary(level.f32.exp, level.f64.exp, x, out)


def log(x, out=None):
    """The natural logarithm: -inf at 0, NaN below; x of any shape."""
    return unary(level.f32.log, level.f64.log, x, out)


def tanh(x, out=None):
    """The hyperbolic tangent; x of any shape."""
    return unary(level.f32.tanh, level.f64.tanh, x, out)


def sigmoid(x, out=None):
    """1 / (1 + exp(-x)); x of any shape."""
    return unary(level.f32.sigmoid, level.f64.sigmoid, x, out)


cdef cnp.ndarray gradient(fn_kernel *f32, fn_kernel *f64, object dy, object y, object out):
    cdef cnp.ndarray b = floating(y, "y")
    cdef cnp.ndarray a = same_shape(dy, "dy", b, "y")
    cdef cnp.ndarray dx = output_like(out, b)
    if out is not None:
        apart(dx, "out", a, "dy", True)
        apart(dx, "out", b, "y", True)
    cdef fn_binary_args g = fn_binary_args(
        cnp.PyArray_DATA(dx), cnp.PyArray_DATA(a), cnp.PyArray_DATA(b))
    run(f32 if cnp.PyArray_TYPE(b) == cnp.NPY_FLOAT else f64, &g, sizeof(g), cnp.PyArray_SIZE(b))
    return dx


def relu_grad(dy, y, out=None):
    """The gradient of relu's input: dy where relu's output y is positive, else 0."""
    return gradient(level.f32.relu_grad, level.f64.relu_grad, dy, y, out)


def tanh_grad(dy, y, out=None):
    """The gradient of tanh's input, from its output y: dy * (1 - y^2)."""
    return gradient(level.f32.tanh_grad, level.f64.tanh_grad, dy, y, out)


def sigmoid_grad(dy, y, out=None):
    """The gradient of sigmoid's input, from its output y: dy * y * (1 - y)."""
    return gradient(level.f32.sigmoid_grad, level.f64.sigmoid_grad, dy, y, out)


def add(x, b, out=None):
    """x + b, the shape of b being that of x or of its last axes: b is added to every row."""
    cdef cnp.ndarray a = floating(x, "x")
    cdef cnp.ndarray c = floating_like(b, "b", a, "x")
    cdef int skipped = cnp.PyArray_NDIM(a) - cnp.PyArray_NDIM(c)
    if skipped < 0 or not cnp.PyArray_CompareLists(
            cnp.PyArray_DIMS(a) + skipped, cnp.PyArray_DIMS(c), cnp.PyArray_NDIM(c)):
        raise shape_error("b", c, "it must be that of x or of its last axes,", a)
    cdef cnp.ndarray y = output_like(out, a)
    if out is not None:
        apart(y, "out", a, "x", True)
        apart(y, "out", c, "b", cnp.PyArray_SIZE(c) == cnp.PyArray_SIZE(a))
    cdef size_t size = cnp.PyArray_SIZE(a)
    cdef size_t n = cnp.PyArray_SIZE(c)
    cdef fn_binary_args whole
    cdef fn_rows_args rows
    if n == size:
        whole = fn_binary_args(cnp.PyArray_DATA(y), cnp.PyArray_DATA(a), cnp.PyArray_DATA(c))
        run(kernels_for(a).add, &whole, sizeof(whole), size)
    elif n:
        rows = rows_of(y, a, c, n)
        run(kernels_for(a).add_rows, &rows, sizeof(rows), rows.m, n)
    return y


def add_grad(dy, out=None):
    """The gradient of add's b, for a b of one axis: the sum of dy (..., n) over all but its last axis."""
    cdef cnp.ndarray a = floating(dy, "dy")
    if cnp.PyArray_NDIM(a) == 0:
        raise ValueError("dy must have at least one axis, got shape ()")
    cdef cnp.npy_intp *last = cnp.PyArray_DIMS(a) + cnp.PyArray_NDIM(a) - 1
    cdef cnp.ndarray db = output(out, 1, last, a, "out")
    if out is not None:
        apart(db, "out", a, "dy", False)
    cdef fn_rows_args g = rows_of(db, a, None, last[0])
    cdef size_t groups = (g.m + FN_GROUP - 1) // FN_GROUP
    if groups > 1:
        g.y = take_scratch(groups * g.n * cnp.PyArray_ITEMSIZE(a))
    if groups:
        run(kernels_for(a).add_grad, &g, sizeof(g), groups, FN_GROUP * g.n)
    if groups == 0:
        clear(db)
    elif groups > 1:
        add_groups(db, g.y, groups)
        give_scratch(g.y)
    return db


cdef int clear(cnp.ndarray x) except -1:
    return clear_memory(cnp.PyArray_DATA(x), cnp.PyArray_NBYTES(x))


cdef int clear_memory(void *x, size_t size) except -1:
    cdef fn_clear_args g = fn_clear_args(x, size)
    run(fn_clear, &g, sizeof(g), 1, size)
    return 0


cdef int add_groups(cnp.ndarray db, void *sums, size_t groups) except -1:
    cdef fn_rows_args g = fn_rows_args(cnp.PyArray_DATA(db), sums, NULL, groups, cnp.PyArray_SIZE(db))
    run(kernels_for(db).add_groups, &g, sizeof(g), g.n, groups)
    return 0


cdef inline fn_rows_args rows_of(cnp.ndarray y, cnp.ndarray a, cnp.ndarray b, size_t n):
    """The arguments of a kernel over rows of n elements of a, and of b if there is one."""
    cdef fn_rows_args g = fn_rows_args(cnp.PyArray_DATA(y), cnp.PyArray_DATA(a), NULL, 0, n)
    if b is not None:
        g.b = cnp.PyArray_DATA(b)
    if n:
        g.m = cnp.PyArray_SIZE(a) // n
    return g


# Scratch memory of the last call, kept for the next one: the system would take it back and clear it at
# every call. Taken and given under the GIL.
cdef void *spare = NULL
cdef size_t spare_size = 0


cdef void *take_scratch(size_t size) except NULL:
    """Memory that begins with a cache line, where vectors do not straddle two."""
    global spare, spare_size
    if is_recording():
        return recording().shared_scratch(size)
    cdef void *block = spare
    cdef size_t room = spare_size
    spare = NULL
    if block == NULL or room < size:
        PyMem_RawFree(block)
        room = size
        block = PyMem_RawMalloc(size + 2 * FN_LINE)
        if block == NULL:
            raise MemoryError(f"no memory for the {size} bytes that the kernel works in")
    cdef void **scratch = <void **>((<size_t>block + 2 * FN_LINE - 1) & ~<size_t>(FN_LINE - 1))
    scratch[-1], scratch[-2] = block, <void *>room
    return scratch


cdef int give_scratch(void *scratch) except -1:
    global spare, spare_size
    if is_recording():
        return 0
    PyMem_RawFree(spare)
    spare, spare_size = (<void **>scratch)[-1], <size_t>(<void **>scratch)[-2]
    return 0


cdef inline size_t columns_of(cnp.ndarray x, str name) except? 0:
    if cnp.PyArray_NDIM(x) == 0:
        raise ValueError(f"{name} must have at least one axis, got shape ()")
    return cnp.PyArray_DIM(x, cnp.PyArray_NDIM(x) - 1)


def softmax(x, out=None):
    """exp(x) / sum(exp(x)) over the last axis."""
    cdef cnp.ndarray a = floating(x, "x")
    cdef size_t n = columns_of(a, "x")
    cdef cnp.ndarray y = output_like(out, a)
    if out is not None:
        apart(y, "out", a, "x", True)
    cdef fn_rows_args g = rows_of(y, a, None, n)
    run(kernels_for(a).softmax, &g, sizeof(g), g.m, n)
    return y


def softmax_grad(dy, y, out=None):
    """The gradient of softmax's input, from its output y and the gradient dy of that."""
    cdef cnp.ndarray b = floating(y, "y")
    cdef cnp.ndarray a = same_shape(dy, "dy", b, "y")
    cdef size_t n = columns_of(b, "y")
    cdef cnp.ndarray dx = output_like(out, b)
    if out is not None:
        apart(dx, "out", a, "dy", True)
        apart(dx, "out", b, "y", True)
    cdef fn_rows_args g = rows_of(dx, a, b, n)
    run(kernels_for(b).softmax_grad, &g, sizeof(g), g.m, n)
    return dx


cdef cnp.ndarray class_labels(object labels, size_t m, size_t n):
    """`labels` as m contiguous int64, each in [0, n)."""
    if not isinstance(labels, cnp.ndarray) or not cnp.PyArray_ISINTEGER(labels):
        raise TypeError("labels must be a NumPy array of integers")
    cdef cnp.ndarray a = labels
    if cnp.PyArray_NDIM(a) != 1 or <size_t>cnp.PyArray_DIM(a, 0) != m:
        raise ValueError(f"labels has shape {labels.shape}; logits has {m} rows: ({m},) is needed")
    if is_recording():  # they are checked where the program makes them
        if not (cnp.PyArray_TYPE(a) == cnp.NPY_INT64 and cnp.PyArray_ISCARRAY_RO(a)):
            raise NotRecorded("labels")
        return a
    if not (cnp.PyArray_TYPE(a) == cnp.NPY_INT64 and cnp.PyArray_ISCARRAY_RO(a)):
        a = cnp.PyArray_FROM_OTF(
            labels, cnp.NPY_INT64,
            cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED | cnp.NPY_ARRAY_FORCECAST)
    cdef const int64_t *label = <const int64_t *>cnp.PyArray_DATA(a)
    cdef size_t i
    for i in range(m):
        if not 0 <= label[i] < <int64_t>n:
            raise ValueError(f"labels[{i}] is {labels[i]}; {n} classes are numbered 0 to {<int64_t>n - 1}")
    return a


def softmax_cross_entropy(logits, labels, dlogits=None, dloss=None, out=None):
    """-log(softmax(logits)[label]) for each row: logits (m, n), integer labels (m,), loss (m,).

    Where `dlogits` (m, n) is given it receives the gradient, dloss * (softmax(logits) - onehot(labels));
    `dloss` (m,) is taken as ones unless given.
    """
    cdef cnp.ndarray x = floating(logits, "logits")
    if cnp.PyArray_NDIM(x) != 2:
        raise ValueError(f"logits must have two axes, got shape {logits.shape}")
    cdef size_t m = cnp.PyArray_DIM(x, 0)
    cdef size_t n = cnp.PyArray_DIM(x, 1)
    cdef cnp.ndarray classes = class_labels(labels, m, n)
    cdef cnp.ndarray loss = output(out, 1, cnp.PyArray_DIMS(x), x, "out")
    apart(loss, "out", x, "logits", False)
    apart(loss, "out", classes, "labels", False)
    cdef cnp.ndarray gradient, scale
    cdef void *gradient_data = NULL
    cdef const void *scale_data = NULL
    if dloss is not None:
        scale = same_shape(dloss, "dloss", loss, "the loss")
        scale_data = cnp.PyArray_DATA(scale)
        apart(loss, "out", scale, "dloss", False)
    if dlogits is not None:
        gradient = output(dlogits, 2, cnp.PyArray_DIMS(x), x, "dlogits")
        gradient_data = cnp.PyArray_DATA(gradient)
        apart(gradient, "dlogits", x, "logits", True)
        apart(gradient, "dlogits", loss, "out", False)
        apart(gradient, "dlogits", classes, "labels", False)
        if dloss is not None:
            apart(gradient, "dlogits", scale, "dloss", False)
    cdef fn_cross_entropy_args g = fn_cross_entropy_args(
        cnp.PyArray_DATA(loss), gradient_data, cnp.PyArray_DATA(x),
        <const int64_t *>cnp.PyArray_DATA(classes), scale_data, n)
    run(kernels_for(x).softmax_cross_entropy, &g, sizeof(g), m, n)
    return loss


def dropout(x, double rate, key, counter, out=None):
    """x / (1 - rate), but 0 for a share `rate` of the elements, chosen at random; x of any shape.

    Which ones depends on `key` and `counter` (integers from 0 to 2^64 - 1) and on the place of the
    element in x alone; so with the same two, dropout of the output's gradient is the input's gradient.
    A counter in an array () of int64 is read when the kernel runs.
    """
    cdef cnp.ndarray a = floating(x, "x")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate}; it must be from 0 to 1")
    cdef fn_dropout_args g
    cdef uint64_t own
    g.key, g.counter = word(key, "key"), word_at(counter, &own, "counter")
    cdef cnp.ndarray y = output_like(out, a)
    if out is not None:
        apart(y, "out", a, "x", True)
    g.y, g.x = cnp.PyArray_DATA(y), cnp.PyArray_DATA(a)
    if rate == 1:
        clear(y)
        return y
    g.scale, g.threshold = 1 / (1 - rate), <uint32_t>(rate * 4294967296.0)
    run(kernels_for(a).dropout, &g, sizeof(g), cnp.PyArray_SIZE(a))
    return y


def random_order(Py_ssize_t n, key):
    """The integers from 0 to n - 1 (int64) in a random order, which depends on them and on `key` alone."""
    only_in_place("an order")
    if n < 0:
        raise ValueError(f"n is {n}; a number of elements is not negative")
    cdef cnp.ndarray order = empty(n, cnp.NPY_INT64)
    cdef fn_order_args g = fn_order_args(<int64_t *>cnp.PyArray_DATA(order), n, word(key, "key"))
    run(level.f32.random_order, &g, sizeof(g), 1, n)
    return order


cdef uint64_t word(object value, str name) except? 0:
    try:
        return PyNumber_Index(value)
    except OverflowError:
        raise ValueError(f"{name} is {value}; it must be from 0 to 2^64 - 1") from None


cdef const uint64_t *word_at(object value, uint64_t *own, str name) except NULL:
    """Where a kernel finds the word when it runs: in `own`, or in an array () of int64."""
    if isinstance(value, cnp.ndarray):
        return <const uint64_t *>cnp.PyArray_DATA(number_array(value, cnp.NPY_INT64, "int64"))
    if is_recording():
        own = <uint64_t *>recording().hold(sizeof(uint64_t))
    own[0] = word(value, name)
    return own


cdef int storage_type(cnp.ndarray x) except -1:
    """The type of the elements of x, bool being stored as 0 and 1 in bytes."""
    cdef int number = cnp.PyArray_TYPE(x)
    if number == cnp.NPY_BOOL or number == cnp.NPY_UINT8:
        return FN_UINT8
    if number == cnp.NPY_FLOAT:
        return FN_FLOAT32
    if number == cnp.NPY_DOUBLE:
        return FN_FLOAT64
    if cnp.PyArray_ISFLOAT(x) and cnp.PyArray_ITEMSIZE(x) == 2:
        return FN_FLOAT16
    if not cnp.PyArray_ISINTEGER(x):
        raise TypeError(f"x is {x.dtype}; it must be bool, an integer type, float16, float32 or float64")
    cdef bint unsigned = cnp.PyArray_ISUNSIGNED(x)
    cdef int size = cnp.PyArray_ITEMSIZE(x)
    if size == 1:
        return FN_UINT8 if unsigned else FN_INT8
    if size == 2:
        return FN_UINT16 if unsigned else FN_INT16
    if size == 4:
        return FN_UINT32 if unsigned else FN_INT32
    return FN_UINT64 if unsigned else FN_INT64


cdef int check_rows(const int64_t *rows, size_t count, int64_t m) except -1:
    cdef size_t i
    for i in range(count):
        if not 0 <= rows[i] < m:
            raise ValueError(f"rows[{i}] is {rows[i]}; the {m} rows of x are numbered from 0 to {m - 1}")
    return 0


def gather(x, rows, out, double scale=1.0, Cursor source=None):
    """The rows x[rows[i]] (int64) in out[i], converted to the dtype of `out` and multiplied by `scale`.

    x (m, ...) holds bool, integers, float16, float32 or float64 and must be C-contiguous: it is read in
    place, however large it is.
    """
    if not isinstance(x, cnp.ndarray) or not isinstance(rows, cnp.ndarray):
        raise TypeError("x and rows must be NumPy arrays; use np.asarray")
    cdef cnp.ndarray a = x
    cdef cnp.ndarray chosen = rows
    if cnp.PyArray_TYPE(chosen) != cnp.NPY_INT64 or cnp.PyArray_NDIM(chosen) != 1:
        raise TypeError(f"rows is {rows.dtype} of shape {rows.shape}; it must be int64 of one axis")
    if cnp.PyArray_NDIM(a) == 0:
        raise ValueError("x must have at least one axis, got shape ()")
    readable(a, "x")
    readable(chosen, "rows")
    cdef cnp.ndarray y = floating(out, "out")
    writable(out, "out")
    cdef int axes = cnp.PyArray_NDIM(a)
    if not (cnp.PyArray_NDIM(y) == axes and cnp.PyArray_DIM(y, 0) == cnp.PyArray_DIM(chosen, 0)
            and cnp.PyArray_CompareLists(cnp.PyArray_DIMS(y) + 1, cnp.PyArray_DIMS(a) + 1, axes - 1)):
        expected = (len(rows), *x.shape[1:])
        raise ValueError(f"out has shape {out.shape}; the result has shape {expected}")
    apart(y, "out", a, "x", False)
    apart(y, "out", chosen, "rows", False)
    cdef size_t count = cnp.PyArray_SIZE(chosen)
    cdef Cursor data = source_of(a, source)
    cdef fn_gather_args g = fn_gather_args(
        cnp.PyArray_DATA(y), &data.at, <const int64_t *>cnp.PyArray_DATA(chosen),
        0, cnp.PyArray_ITEMSIZE(a), <fn_type>storage_type(a), scale)
    if not is_recording():
        check_rows(g.rows, count, cnp.PyArray_DIM(a, 0))
    if count:
        g.n = cnp.PyArray_SIZE(y) // count
        run(kernels_for(y).gather, &g, sizeof(g), count, g.n + (g.n == 0))
    return out


cdef int readable(cnp.ndarray a, str name) except -1:
    if not (cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISBEHAVED_RO(a)):
        raise ValueError(
            f"{name} must be aligned, C-contiguous and in native byte order; use np.ascontiguousarray"
        )
    return 0


include "products.pxi"
include "sparse.pxi"
include "updates.pxi"
include "chain.pxi"
include "reductions.pxi"
