# Reductions of rows to one number each, and class labels: a part of the door, csrc/_kernels.pyx.

# float32 holds all whole numbers up to this one.
cdef enum:
    EXACT = 1 << 24

# What has the dtype of indices.
cdef cnp.ndarray int64 = np.empty(0, np.int64)


cdef cnp.ndarray each_row(cnp.ndarray x, object out, cnp.ndarray like):
    """`out` for one number, of the dtype of `like`, for each row of x."""
    columns_of(x, "x")
    cdef cnp.ndarray y = output(out, cnp.PyArray_NDIM(x) - 1, cnp.PyArray_DIMS(x), like, "out")
    if out is not None:
        apart(y, "out", x, "x", False)
    return y


def sum_rows(x, out=None):
    """The sums of x (..., n) over its last axis."""
    cdef cnp.ndarray a = floating(x, "x")
    cdef cnp.ndarray y = each_row(a, out, a)
    cdef size_t n = columns_of(a, "x")
    cdef fn_rows_args g = rows_of(y, a, None, n)
    if n == 0:
        clear(y)
    elif n <= FN_SUM_BLOCK:
        run(kernels_for(a).sum_rows, &g, sizeof(g), g.m, n)
    else:
        sum_blocks(kernels_for(a).sum_rows, g, cnp.PyArray_ITEMSIZE(a))
    return y


cdef inline size_t sum_blocks_of(size_t n) noexcept:
    return (n + FN_SUM_BLOCK - 1) // FN_SUM_BLOCK


cdef int sum_blocks(fn_kernel *kernel, fn_rows_args g, size_t itemsize) except -1:
    """Sums the blocks of rows, then the blocks of these sums, until a row's sums are one block."""
    cdef void *y = g.y
    cdef size_t blocks = sum_blocks_of(g.n)
    cdef char *scratch = <char *>take_scratch(g.m * (blocks + sum_blocks_of(blocks)) * itemsize)
    cdef char *other = scratch + g.m * blocks * itemsize
    cdef char *sums = scratch
    while g.n > FN_SUM_BLOCK:
        blocks = sum_blocks_of(g.n)
        g.y = sums
        run(kernel, &g, sizeof(g), g.m * blocks, FN_SUM_BLOCK)
        g.a, g.n = g.y, blocks
        sums, other = other, sums
    g.y = y
    run(kernel, &g, sizeof(g), g.m, g.n)
    give_scratch(scratch)
    return 0


cdef inline size_t full_rows(cnp.ndarray x) except 0:
    """The length of the rows of x, at least 1."""
    cdef size_t n = columns_of(x, "x")
    if n == 0:
        raise ValueError(f"x has shape {(<object>x).shape}; its last axis must have at least one element")
    return n


def max_rows(x, out=None):
    """The largest elements of x (..., n) along its last axis; NaN where there is one."""
    cdef cnp.ndarray a = floating(x, "x")
    return extreme_rows(kernels_for(a).max_rows, a, out)


def min_rows(x, out=None):
    """The smallest elements of x (..., n) along its last axis; NaN where there is one."""
    cdef cnp.ndarray a = floating(x, "x")
    return extreme_rows(kernels_for(a).min_rows, a, out)


cdef extreme_rows(fn_kernel *kernel, cnp.ndarray a, out):
    cdef cnp.ndarray y = each_row(a, out, a)
    cdef fn_rows_args g = rows_of(y, a, None, full_rows(a))
    run(kernel, &g, sizeof(g), g.m, g.n)
    return y


def argmax_rows(x, out=None):
    """The index (int64) of the first largest element of x (..., n) along its last axis; of the first NaN
    where there is one."""
    cdef cnp.ndarray a = floating(x, "x")
    cdef cnp.ndarray y = each_row(a, out, int64)
    cdef fn_rows_args g = rows_of(y, a, None, full_rows(a))
    run(kernels_for(a).argmax_rows, &g, sizeof(g), g.m, g.n)
    return y


def hits(x, labels, out=None):
    """1 where the index of the first largest element of a row of x (..., n) is the label, else 0.

    The labels (...) have the dtype of x, in which the index of each of the n must be exact.
    """
    cdef cnp.ndarray a = floating(x, "x")
    cdef size_t n = full_rows(a)
    if n > EXACT and cnp.PyArray_TYPE(a) == cnp.NPY_FLOAT:
        raise ValueError(f"x has shape {x.shape}: beyond {EXACT} columns float32 cannot tell labels apart; "
                         "use float64")
    cdef cnp.ndarray y = each_row(a, out, a)
    cdef cnp.ndarray label = floating_like(labels, "labels", a, "x")
    if not cnp.PyArray_SAMESHAPE(label, y):
        raise shape_error("labels", labels, "it must be that of x without its last axis,", y)
    if out is not None:
        apart(y, "out", label, "labels", True)
    cdef fn_rows_args g = rows_of(y, a, label, n)
    run(kernels_for(a).hits, &g, sizeof(g), g.m, g.n)
    return y


def labels(x, classes, out):
    """The class labels x as int64 in `out`; ValueError where one is no whole number in [0, classes).

    x of any shape holds bool, integers, float16, float32 or float64 and must be C-contiguous.
    """
    if not isinstance(x, cnp.ndarray) or not isinstance(out, cnp.ndarray):
        raise TypeError("x and out must be NumPy arrays; use np.asarray")
    cdef cnp.ndarray a = x
    readable(a, "x")
    cdef cnp.ndarray y = output(out, cnp.PyArray_NDIM(a), cnp.PyArray_DIMS(a), int64, "out")
    apart(y, "out", a, "x", False)
    count = PyNumber_Index(classes)
    if not 0 <= count < 2**63:
        raise ValueError(f"classes is {count}; it must be from 0 to 2^63 - 1")
    cdef size_t bad = 0
    cdef size_t *found = recording().refusal() if is_recording() else &bad
    cdef fn_labels_args g = fn_labels_args(
        <int64_t *>cnp.PyArray_DATA(y), cnp.PyArray_DATA(a), found, count, <fn_type>storage_type(a))
    run(level.f32.labels, &g, sizeof(g), cnp.PyArray_SIZE(a))
    if bad:
        place = np.unravel_index(bad - 1, x.shape)
        raise ValueError(
            f"x[{', '.join(map(str, place))}] is {x[place]}; {classes} classes are numbered by the whole "
            f"numbers 0 to {classes - 1}")
    return out
