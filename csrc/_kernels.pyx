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
"""

import os

import numpy as np

cimport numpy as cnp
from cpython.mem cimport PyMem_RawFree, PyMem_RawMalloc
from cpython.number cimport PyIndex_Check, PyNumber_Index
from libc.stddef cimport size_t
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t
from libc.string cimport memset

from fastnn import processors

cnp.import_array()


cdef extern from "Python.h":
    ctypedef struct PyThreadState
    PyThreadState *PyEval_SaveThread()
    void PyEval_RestoreThread(PyThreadState *state)


cdef extern from "fastnn.h":
    ctypedef void fn_kernel(const void *, size_t, size_t, int) noexcept nogil

    ctypedef struct fn_unary_args:
        void *y
        const void *x

    ctypedef struct fn_binary_args:
        void *y
        const void *a
        const void *b

    ctypedef struct fn_rows_args:
        void *y
        const void *a
        const void *b
        size_t m, n

    ctypedef struct fn_cross_entropy_args:
        void *loss
        void *dlogits
        const void *logits
        const int64_t *labels
        const void *dloss
        size_t n

    ctypedef struct fn_dropout_args:
        void *y
        const void *x
        double scale
        uint64_t key, counter
        uint32_t threshold

    ctypedef enum fn_type:
        FN_UINT8, FN_INT8, FN_UINT16, FN_INT16, FN_UINT32, FN_INT32, FN_UINT64, FN_INT64
        FN_FLOAT16, FN_FLOAT32, FN_FLOAT64

    ctypedef struct fn_gather_args:
        void *y
        const void *x
        const int64_t *rows
        size_t n, itemsize
        fn_type type
        double scale

    ctypedef struct fn_update_args:
        void *w
        void *slot[2]
        const void *g
        double learning_rate
        double decay[2]
        double epsilon
        int nesterov

    ctypedef struct fn_gemm_args:
        void *c
        const void *a
        const void *b
        const void *bias
        const void *mask
        size_t m, n, k, lda, ldb, ldc
        double alpha
        int transpose_a, transpose_b, accumulate, relu
        int swapped
        size_t parts_down, parts_across
        void *scratch

    size_t FN_BLOCK_MAX

    ctypedef struct fn_sparse_args:
        fn_gemm_args product
        const int64_t *starts
        const int64_t *ends
        const int32_t *columns
        const void *values

    size_t FN_SPARSE_ROWS

    ctypedef struct fn_compress_args:
        const void *x
        size_t n
        int64_t *starts
        int32_t *columns
        void *values

    ctypedef struct fn_transpose_args:
        const fn_sparse_args *of
        int64_t *starts
        int32_t *columns
        void *values

    ctypedef struct fn_finite_args:
        const void *x
        int *infinite

    ctypedef struct fn_kernels:
        fn_kernel *relu
        fn_kernel *exp
        fn_kernel *log
        fn_kernel *tanh
        fn_kernel *sigmoid
        fn_kernel *relu_grad
        fn_kernel *tanh_grad
        fn_kernel *sigmoid_grad
        fn_kernel *add
        fn_kernel *add_rows
        fn_kernel *add_grad
        fn_kernel *add_groups
        fn_kernel *softmax
        fn_kernel *softmax_grad
        fn_kernel *softmax_cross_entropy
        fn_kernel *dropout
        fn_kernel *gather
        fn_kernel *sgd
        fn_kernel *momentum
        fn_kernel *adagrad
        fn_kernel *rmsprop
        fn_kernel *adam
        fn_kernel *gemm
        fn_kernel *sparse_gemm
        fn_kernel *expand
        fn_kernel *count_nonzeros
        fn_kernel *compress
        fn_kernel *transpose_compressed
        fn_kernel *find_infinite
        size_t gemm_scratch, sparse_scratch, sparse_strip

    ctypedef struct fn_level:
        const char *name
        int (*supported)() noexcept nogil
        const fn_kernels *f32
        const fn_kernels *f64

    const fn_level *const *fn_levels
    const int FN_MAX_THREADS
    const size_t FN_GROUP

    void fn_parallel(fn_kernel *, const void *, size_t, size_t, int) noexcept nogil
    int fn_threads() noexcept nogil
    void fn_set_threads(int) noexcept nogil
    size_t fn_gemm_cut(fn_gemm_args *, int) noexcept nogil


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
    # Bytes of a cache line.
    LINE = 64


cdef inline int run(fn_kernel *kernel, const void *args, size_t count, size_t elements=1) except -1:
    """Runs a kernel over `count` units of so many elements each; releases the GIL unless they are few."""
    if count * elements <= SMALL:
        kernel(args, 0, count, 0)
        return 0
    cdef size_t grain = CHUNK // elements
    cdef int workers = thread_limit()
    state = PyEval_SaveThread()
    fn_parallel(kernel, args, count, grain if grain else 1, workers)
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
        return cnp.PyArray_EMPTY(ndim, shape, cnp.PyArray_TYPE(like), 0)
    if not isinstance(out, cnp.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(out).__name__}")
    cdef cnp.ndarray y = out
    if cnp.PyArray_TYPE(y) != cnp.PyArray_TYPE(like):
        raise TypeError(f"{name} must be {like.dtype}, got {y.dtype}")
    if not (cnp.PyArray_NDIM(y) == ndim
            and cnp.PyArray_CompareLists(cnp.PyArray_DIMS(y), shape, ndim)):
        expected = tuple([shape[i] for i in range(ndim)])
        raise ValueError(f"{name} has shape {out.shape}; the result has shape {expected}")
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
    run(f32 if cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT else f64, &g, cnp.PyArray_SIZE(a))
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
    run(f32 if cnp.PyArray_TYPE(b) == cnp.NPY_FLOAT else f64, &g, cnp.PyArray_SIZE(b))
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
        run(kernels_for(a).add, &whole, size)
    elif n:
        rows = rows_of(y, a, c, n)
        run(kernels_for(a).add_rows, &rows, rows.m, n)
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
    run(kernels_for(a).add_grad, &g, groups, FN_GROUP * g.n)
    if groups == 0:
        memset(g.y, 0, cnp.PyArray_NBYTES(db))
    elif groups > 1:
        add_groups(db, g.y, groups)
        give_scratch(g.y)
    return db


cdef int add_groups(cnp.ndarray db, void *sums, size_t groups) except -1:
    cdef fn_rows_args g = fn_rows_args(cnp.PyArray_DATA(db), sums, NULL, groups, cnp.PyArray_SIZE(db))
    run(kernels_for(db).add_groups, &g, g.n, groups)
    return 0


cdef inline fn_rows_args rows_of(cnp.ndarray y, cnp.ndarray a, cnp.ndarray b, size_t n):
    """The arguments of a kernel over rows of n elements of a, and of b if there is one."""
    cdef fn_rows_args g = fn_rows_args(cnp.PyArray_DATA(y), cnp.PyArray_DATA(a), NULL, 0, n)
    if b is not None:
        g.b = cnp.PyArray_DATA(b)
    if n:
        g.m = cnp.PyArray_SIZE(a) // n
    return g


cdef cnp.ndarray operand(object x, str name):
    """`x` as a matrix whose rows are dense; the rows themselves may lie apart."""
    cdef cnp.ndarray a
    cdef cnp.npy_intp row, column
    if isinstance(x, cnp.ndarray) and (<cnp.ndarray>x).ndim != 2:
        raise ValueError(f"{name} must have two axes, got shape {x.shape}")
    if isinstance(x, cnp.ndarray):
        a = x
        row, column = cnp.PyArray_STRIDE(a, 0), cnp.PyArray_STRIDE(a, 1)
        if (cnp.PyArray_ISBEHAVED_RO(a) and column == cnp.PyArray_ITEMSIZE(a)
                and row % column == 0 and row >= column * cnp.PyArray_DIM(a, 1)
                and cnp.PyArray_TYPE(a) in (cnp.NPY_FLOAT, cnp.NPY_DOUBLE)):
            return a
    return floating(x, name)


def matmul(a, b, transpose_a=False, transpose_b=False, bias=None, relu=False, out=None, mask=None,
           double alpha=1.0, accumulate=False):
    """alpha times op(a) (m, k) times op(b) (k, n), plus `bias` (n,) to every row, then relu.

    a may be CompressedRows. op is the transpose where asked for, else nothing. Where `mask` (m, n) is not positive the result is
    0. With `accumulate`, which goes without bias, relu and mask, the product is added to `out`, by a
    fused multiply-add with alpha. See csrc/gemm.h for the order of the additions.
    """
    cdef CompressedRows rows = a if isinstance(a, CompressedRows) else None
    cdef cnp.ndarray left = operand(a, "a") if rows is None else rows.values
    cdef cnp.ndarray right = operand(b, "b")
    if cnp.PyArray_TYPE(left) != cnp.PyArray_TYPE(right):
        raise TypeError(f"a is {left.dtype} and b is {right.dtype}; convert one of them with astype")
    if rows is not None:
        if transpose_b or not is_finite(contiguous(right)):
            rows, left = None, rows.dense()  # 0 times infinity is NaN
        else:
            right = contiguous(right)
    cdef fn_gemm_args g
    g.transpose_a, g.transpose_b, g.relu = bool(transpose_a), bool(transpose_b), bool(relu)
    g.accumulate, g.alpha, g.swapped = bool(accumulate), alpha, 0
    measure(&g, a, b, left if rows is None else rows, right)
    cdef cnp.npy_intp[2] shape = [<cnp.npy_intp>g.m, <cnp.npy_intp>g.n]
    if g.accumulate and (out is None or bias is not None or g.relu or mask is not None):
        raise ValueError("accumulate needs out, and goes without bias, relu and mask")
    cdef cnp.ndarray c = output(out, 2, shape, left, "out")
    cdef cnp.ndarray added = None if bias is None else bias_of(bias, c, b)
    cdef cnp.ndarray kept = None if mask is None else same_shape(mask, "mask", c, "the result")
    g.bias = NULL if added is None else cnp.PyArray_DATA(added)
    g.mask = NULL if kept is None else cnp.PyArray_DATA(kept)
    if kept is not None:
        apart(c, "out", kept, "mask", False)
    if out is not None:
        if rows is None:
            apart_from_matrix(c, left, "a")
        apart_from_matrix(c, right, "b")
    if g.accumulate and g.k > FN_BLOCK_MAX:
        sgd(c, matmul(a, right, transpose_a, transpose_b), -alpha)
        return c
    g.a, g.b, g.c = cnp.PyArray_DATA(left), cnp.PyArray_DATA(right), cnp.PyArray_DATA(c)
    g.lda = cnp.PyArray_STRIDE(left, 0) // cnp.PyArray_ITEMSIZE(left)
    g.ldb = cnp.PyArray_STRIDE(right, 0) // cnp.PyArray_ITEMSIZE(right)
    g.ldc = g.n
    if rows is None:
        multiply(kernels_for(left), &g)
    else:
        multiply_compressed(rows, &g)
    return c


cdef inline cnp.ndarray contiguous(cnp.ndarray x):
    return x if cnp.PyArray_IS_C_CONTIGUOUS(x) else x.copy()


cdef int measure(fn_gemm_args *g, object a, object b, object left, cnp.ndarray right) except -1:
    """Sets m, n and k of a product, left being a's matrix and right b's."""
    cdef size_t rows, columns
    if isinstance(left, cnp.ndarray):
        rows, columns = cnp.PyArray_DIM(left, 0), cnp.PyArray_DIM(left, 1)
    else:
        rows, columns = left.shape
    g.m, g.k = (columns, rows) if g.transpose_a else (rows, columns)
    g.n = cnp.PyArray_DIM(right, not g.transpose_b)
    if <size_t>cnp.PyArray_DIM(right, g.transpose_b) != g.k:
        raise ValueError(
            f"a {a.shape} has {g.k} along axis {int(not g.transpose_a)} and b {b.shape} has "
            f"{cnp.PyArray_DIM(right, g.transpose_b)} along axis {g.transpose_b}; they must be equal"
        )
    return 0


cdef cnp.ndarray bias_of(object bias, cnp.ndarray c, object b):
    cdef cnp.ndarray added = floating_like(bias, "bias", c, "a")
    if cnp.PyArray_NDIM(added) != 1 or cnp.PyArray_DIM(added, 0) != cnp.PyArray_DIM(c, 1):
        raise ValueError(
            f"bias has shape {bias.shape}; with b {b.shape} it must be ({cnp.PyArray_DIM(c, 1)},)"
        )
    apart(c, "out", added, "bias", False)
    return added


cdef int multiply(const fn_kernels *kernels, fn_gemm_args *g) except -1:
    cdef int workers = thread_limit()
    cdef size_t parts = fn_gemm_cut(g, workers)
    g.scratch = take_scratch(kernels.gemm_scratch * min(<size_t>workers, parts))
    cdef PyThreadState *state = PyEval_SaveThread() if g.m * g.n * g.k > SMALL else NULL
    fn_parallel(kernels.gemm, g, parts, 1, workers)
    if state != NULL:
        PyEval_RestoreThread(state)
    give_scratch(g.scratch)
    return 0


# Scratch memory of the last call, kept for the next one: the system would take it back and clear it at
# every call. Taken and given under the GIL.
cdef void *spare = NULL
cdef size_t spare_size = 0


cdef void *take_scratch(size_t size) except NULL:
    """Memory that begins with a cache line, where vectors do not straddle two."""
    global spare, spare_size
    cdef void *block = spare
    cdef size_t room = spare_size
    spare = NULL
    if block == NULL or room < size:
        PyMem_RawFree(block)
        room = size
        block = PyMem_RawMalloc(size + 2 * LINE)
        if block == NULL:
            raise MemoryError(f"no memory for the {size} bytes that the kernel works in")
    cdef void **scratch = <void **>((<size_t>block + 2 * LINE - 1) & ~<size_t>(LINE - 1))
    scratch[-1], scratch[-2] = block, <void *>room
    return scratch


cdef int give_scratch(void *scratch) except -1:
    global spare, spare_size
    PyMem_RawFree(spare)
    spare, spare_size = (<void **>scratch)[-1], <size_t>(<void **>scratch)[-2]
    return 0


cdef int apart_from_matrix(cnp.ndarray c, cnp.ndarray x, str name) except -1:
    """As `apart`, for an operand whose rows may lie apart."""
    if cnp.PyArray_IS_C_CONTIGUOUS(x):
        return apart(c, "out", x, name, False)
    cdef const char *start = cnp.PyArray_BYTES(x)
    cdef const char *end = start + cnp.PyArray_STRIDE(x, 0) * cnp.PyArray_DIM(x, 0)
    if cnp.PyArray_BYTES(c) < end and start < cnp.PyArray_BYTES(c) + cnp.PyArray_NBYTES(c):
        raise ValueError(f"out overlaps {name} in memory; give out memory of its own")
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
    run(kernels_for(a).softmax, &g, g.m, n)
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
    run(kernels_for(b).softmax_grad, &g, g.m, n)
    return dx


cdef cnp.ndarray class_labels(object labels, size_t m, size_t n):
    """`labels` as m contiguous int64, each in [0, n)."""
    if not isinstance(labels, cnp.ndarray) or not cnp.PyArray_ISINTEGER(labels):
        raise TypeError("labels must be a NumPy array of integers")
    cdef cnp.ndarray a = labels
    if cnp.PyArray_NDIM(a) != 1 or <size_t>cnp.PyArray_DIM(a, 0) != m:
        raise ValueError(f"labels has shape {labels.shape}; logits has {m} rows: ({m},) is needed")
    if cnp.PyArray_ISUNSIGNED(a) and m and labels.max() >= n:
        raise label_error(labels, labels >= n, n)
    if not (cnp.PyArray_TYPE(a) == cnp.NPY_INT64 and cnp.PyArray_ISCARRAY_RO(a)):
        a = cnp.PyArray_FROM_OTF(
            labels, cnp.NPY_INT64,
            cnp.NPY_ARRAY_CARRAY_RO | cnp.NPY_ARRAY_NOTSWAPPED | cnp.NPY_ARRAY_FORCECAST)
    cdef const int64_t *label = <const int64_t *>cnp.PyArray_DATA(a)
    cdef size_t i
    for i in range(m):
        if not 0 <= label[i] < <int64_t>n:
            raise label_error(labels, (labels < 0) | (labels >= n), n)
    return a


cdef label_error(object labels, object bad, size_t n):
    first = int(bad.argmax())
    return ValueError(f"labels[{first}] is {labels[first]}; {n} classes are numbered 0 to {<int64_t>n - 1}")


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
    run(kernels_for(x).softmax_cross_entropy, &g, m, n)
    return loss


def dropout(x, double rate, key, counter, out=None):
    """x / (1 - rate), but 0 for a share `rate` of the elements, chosen at random; x of any shape.

    Which ones depends on `key` and `counter` (integers from 0 to 2^64 - 1) and on the place of the
    element in x alone; so with the same two, dropout of the output's gradient is the input's gradient.
    """
    cdef cnp.ndarray a = floating(x, "x")
    if not 0 <= rate <= 1:
        raise ValueError(f"rate is {rate}; it must be from 0 to 1")
    cdef fn_dropout_args g
    g.key, g.counter = word(key, "key"), word(counter, "counter")
    cdef cnp.ndarray y = output_like(out, a)
    if out is not None:
        apart(y, "out", a, "x", True)
    g.y, g.x = cnp.PyArray_DATA(y), cnp.PyArray_DATA(a)
    if rate == 1:
        memset(g.y, 0, cnp.PyArray_NBYTES(y))
        return y
    g.scale, g.threshold = 1 / (1 - rate), <uint32_t>(rate * 4294967296.0)
    run(kernels_for(a).dropout, &g, cnp.PyArray_SIZE(a))
    return y


cdef uint64_t word(object value, str name) except? 0:
    try:
        return PyNumber_Index(value)
    except OverflowError:
        raise ValueError(f"{name} is {value}; it must be from 0 to 2^64 - 1") from None


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


def gather(x, rows, out, double scale=1.0):
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
    cdef fn_gather_args g = fn_gather_args(
        cnp.PyArray_DATA(y), cnp.PyArray_DATA(a), <const int64_t *>cnp.PyArray_DATA(chosen),
        0, cnp.PyArray_ITEMSIZE(a), <fn_type>storage_type(a), scale)
    check_rows(g.rows, count, cnp.PyArray_DIM(a, 0))
    if count:
        g.n = cnp.PyArray_SIZE(y) // count
        run(kernels_for(y).gather, &g, count, g.n + (g.n == 0))
    return out


cdef int readable(cnp.ndarray a, str name) except -1:
    if not (cnp.PyArray_IS_C_CONTIGUOUS(a) and cnp.PyArray_ISBEHAVED_RO(a)):
        raise ValueError(
            f"{name} must be aligned, C-contiguous and in native byte order; use np.ascontiguousarray"
        )
    return 0


cdef cnp.ndarray variable(object w):
    """`w` as an array to be changed in place."""
    if not isinstance(w, cnp.ndarray):
        raise TypeError(f"w must be a NumPy array, got {type(w).__name__}")
    writable(w, "w")
    return floating(w, "w")


cdef cnp.ndarray slot(object x, str name, cnp.ndarray w):
    if not isinstance(x, cnp.ndarray):
        raise TypeError(f"{name} must be a NumPy array, got {type(x).__name__}")
    writable(x, name)
    cdef cnp.ndarray a = same_shape(x, name, w, "w")
    apart(a, name, w, "w", False)
    return a


cdef cnp.ndarray gradient_of(cnp.ndarray w, object g):
    cdef cnp.ndarray a = same_shape(g, "g", w, "w")
    apart(w, "w", a, "g", False)
    return a


cdef inline fn_update_args update_of(cnp.ndarray w, cnp.ndarray g, double learning_rate):
    cdef fn_update_args u
    memset(&u, 0, sizeof(u))
    u.w, u.g, u.learning_rate = cnp.PyArray_DATA(w), cnp.PyArray_DATA(g), learning_rate
    return u


def sgd(w, g, double learning_rate):
    """w -= learning_rate * g, in place."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    cdef fn_update_args u = update_of(weights, gradient, learning_rate)
    run(kernels_for(weights).sgd, &u, cnp.PyArray_SIZE(weights))


def momentum(w, velocity, g, double learning_rate, double momentum, nesterov=False):
    """velocity = momentum * velocity - learning_rate * g; w += velocity, or, with Nesterov's rule,
    w += momentum * velocity - learning_rate * g; in place."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray v = slot(velocity, "velocity", weights)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    apart(v, "velocity", gradient, "g", False)
    cdef fn_update_args u = update_of(weights, gradient, learning_rate)
    u.slot[0], u.decay[0], u.nesterov = cnp.PyArray_DATA(v), momentum, bool(nesterov)
    run(kernels_for(weights).momentum, &u, cnp.PyArray_SIZE(weights))


def adagrad(w, accumulator, g, double learning_rate, double epsilon):
    """accumulator += g^2; w -= learning_rate * g / sqrt(accumulator + epsilon), in place."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray a = slot(accumulator, "accumulator", weights)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    apart(a, "accumulator", gradient, "g", False)
    cdef fn_update_args u = update_of(weights, gradient, learning_rate)
    u.slot[0], u.epsilon = cnp.PyArray_DATA(a), epsilon
    run(kernels_for(weights).adagrad, &u, cnp.PyArray_SIZE(weights))


def rmsprop(w, velocity, g, double learning_rate, double rho, double epsilon):
    """velocity = rho * velocity + (1 - rho) * g^2; w -= learning_rate * g / sqrt(velocity + epsilon),
    in place."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray v = slot(velocity, "velocity", weights)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    apart(v, "velocity", gradient, "g", False)
    cdef fn_update_args u = update_of(weights, gradient, learning_rate)
    u.slot[0], u.decay[0], u.epsilon = cnp.PyArray_DATA(v), rho, epsilon
    run(kernels_for(weights).rmsprop, &u, cnp.PyArray_SIZE(weights))


def adam(w, momentum, velocity, g, double alpha, double beta_1, double beta_2, double epsilon):
    """momentum += (g - momentum) * (1 - beta_1); velocity += (g^2 - velocity) * (1 - beta_2);
    w -= alpha * momentum / (sqrt(velocity) + epsilon), in place; alpha is the learning rate times the
    correction of the bias, sqrt(1 - beta_2^t) / (1 - beta_1^t)."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray m = slot(momentum, "momentum", weights)
    cdef cnp.ndarray v = slot(velocity, "velocity", weights)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    apart(m, "momentum", v, "velocity", False)
    apart(m, "momentum", gradient, "g", False)
    apart(v, "velocity", gradient, "g", False)
    cdef fn_update_args u = update_of(weights, gradient, alpha)
    u.slot[0], u.slot[1] = cnp.PyArray_DATA(m), cnp.PyArray_DATA(v)
    u.decay[0], u.decay[1], u.epsilon = beta_1, beta_2, epsilon
    run(kernels_for(weights).adam, &u, cnp.PyArray_SIZE(weights))


include "sparse.pxi"
