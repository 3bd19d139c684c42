# cython: language_level=3, embedsignature=True, nonecheck=True
"""The only door between Python and C: one function per kernel, and what every op goes through before and after its
kernel, which takes longer in Python than a small kernel does (tensors.pxi and those that it names).

Every kernel's function checks its arguments (dtype, shape, contiguity, overlap, labels in range) before anything
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
from copyreg import __newobj__

import numpy as np

cimport cython
cimport numpy as cnp
from cpython.mem cimport PyMem_RawCalloc, PyMem_RawFree, PyMem_RawMalloc, PyMem_RawRealloc
from cpython.number cimport PyIndex_Check, PyNumber_Index
from cpython.weakref cimport PyWeakref_NewRef
from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from fastnn import processors

# A variable of C: a name of the module is searched for in a dict, at every op.
cdef object recorders
from fastnn.recorders import recorders

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
include "tensors.pxi"
include "operands.pxi"
include "calls.pxi"
include "tape.pxi"
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


cdef int clear(cnp.ndarray x) except -1:
    return clear_memory(cnp.PyArray_DATA(x), cnp.PyArray_NBYTES(x))


cdef int clear_memory(void *x, size_t size) except -1:
    cdef fn_clear_args g = fn_clear_args(x, size)
    run(fn_clear, &g, sizeof(g), 1, size)
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


cdef int readable(cnp.ndarray a, str name) except -1:
    if not (cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISBEHAVED_RO(a)):
        raise ValueError(
            f"{name} must be aligned, C-contiguous and in native byte order; use a copy, {name}.copy()"
        )
    return 0


include "elementwise.pxi"
include "softmax.pxi"
include "random.pxi"
include "gather.pxi"
include "products.pxi"
include "sparse.pxi"
include "updates.pxi"
include "chain.pxi"
include "reductions.pxi"
