# The matrix product: a part of the door, csrc/_kernels.pyx.

# The longest inner axis for which `accumulate` adds in one pass.
LONGEST_ACCUMULATED = FN_BLOCK_MAX


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
                and row & (column - 1) == 0 and row >= column * cnp.PyArray_DIM(a, 1)
                and cnp.PyArray_TYPE(a) in (cnp.NPY_FLOAT, cnp.NPY_DOUBLE)):
            return a
    return floating(x, name)


def matmul(a, b, transpose_a=False, transpose_b=False, bias=None, relu=False, out=None, mask=None,
           double alpha=1.0, accumulate=False, rate=None, infinite=None):
    """alpha times op(a) (m, k) times op(b) (k, n), plus `bias` (n,) to every row, then relu.

    a may be CompressedRows. op is the transpose where asked for, else nothing. Where `mask` (m, n) is
    not positive the result is 0. With `accumulate`, which goes without bias, relu and mask, the product
    is added to `out`, by a fused multiply-add with alpha. Where `rate`, an array () of float64, is given,
    alpha is the number in it with a minus. `infinite`, an array () of int32, is for recorded calls: it is
    0 as long as b, or with `accumulate` out, is finite, so that zeros of a can be left out; with
    `accumulate` the call itself keeps it up to date. See csrc/gemm.h for the order of the additions.
    """
    cdef CompressedRows rows = a if isinstance(a, CompressedRows) else None
    cdef cnp.ndarray left = operand(a, "a") if rows is None else rows.values
    cdef cnp.ndarray right = operand(b, "b")
    if cnp.PyArray_TYPE(left) != cnp.PyArray_TYPE(right):
        raise TypeError(f"a is {left.dtype} and b is {right.dtype}; convert one of them with astype")
    if rows is not None:
        right = contiguous(right)
        if transpose_b or accumulate and not is_recording() and not is_finite(right):
            only_in_place("a")
            rows, left = None, rows.dense()
    cdef fn_gemm_args g
    g.transpose_a, g.transpose_b, g.relu = bool(transpose_a), bool(transpose_b), bool(relu)
    g.accumulate, g.alpha, g.swapped, g.rate = bool(accumulate), alpha, 0, NULL
    cdef double own
    if rate is not None:
        g.rate = number_at(rate, &own)
    measure(&g, a, b, left if rows is None else rows, right)
    cdef cnp.npy_intp[2] shape = [<cnp.npy_intp>g.m, <cnp.npy_intp>g.n]
    if infinite is not None and rows is None and (g.transpose_a or g.transpose_b or g.accumulate):
        raise ValueError("infinite goes with compressed rows, or with a and b as they are")
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
        only_in_place("the product")
        sgd(c, matmul(a, right, transpose_a, transpose_b), -alpha if rate is None else rate)
        return c
    g.a, g.b, g.c = cnp.PyArray_DATA(left), cnp.PyArray_DATA(right), cnp.PyArray_DATA(c)
    g.lda, g.ldb = elements_between_rows(left), elements_between_rows(right)
    g.ldc = g.n
    cdef int *known = NULL
    if infinite is not None and is_recording():
        known = <int *>cnp.PyArray_DATA(number_array(infinite, cnp.NPY_INT32, "int32"))
    if rows is None and known != NULL:
        record_few(&g, left, known)
    elif rows is None:
        multiply(kernels_for(left), &g)
    elif is_recording():
        record_compressed(rows, &g, known)
    elif not multiply_compressed(rows, &g):  # and 0 times infinity is NaN
        matmul(rows.dense(), right, transpose_a, False, bias, relu, c, mask, alpha, accumulate, rate)
    return c


cdef inline size_t elements_between_rows(cnp.ndarray x) noexcept:
    # Shifted, which takes less time than to divide: of a small product's, a twentieth.
    return cnp.PyArray_STRIDE(x, 0) >> (2 if cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT else 3)


cdef inline cnp.ndarray contiguous(cnp.ndarray x):
    if cnp.PyArray_IS_C_CONTIGUOUS(x):
        return x
    only_in_place("b")
    return x.copy()


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
    launch(kernels.gemm, g, sizeof(g[0]), parts, 1, 1 if parts == 1 else workers, g.m * g.n * g.k)
    give_scratch(g.scratch)
    return 0


cdef int apart_from_matrix(cnp.ndarray c, cnp.ndarray x, str name) except -1:
    """As `apart`, for an operand whose rows may lie apart."""
    if cnp.PyArray_IS_C_CONTIGUOUS(x):
        return apart(c, "out", x, name, False)
    cdef const char *start = cnp.PyArray_BYTES(x)
    cdef const char *end = start + cnp.PyArray_DIM(x, 1) * cnp.PyArray_ITEMSIZE(x)
    end += cnp.PyArray_STRIDE(x, 0) * (cnp.PyArray_DIM(x, 0) - 1)
    if cnp.PyArray_BYTES(c) < end and start < cnp.PyArray_BYTES(c) + cnp.PyArray_NBYTES(c):
        raise ValueError(f"out overlaps {name} in memory; give out memory of its own")
    return 0
