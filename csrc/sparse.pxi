# Matrices of which most elements are zero: a part of the door, csrc/_kernels.pyx.

# So few rows of a product read its other operand where it lies.
FEW_ROWS = FN_SPARSE_FEW


cdef class CompressedRows:
    """A matrix (m, k) as the elements of each row that are not zero, with their columns; not changed.

    `matmul` takes it as its left operand, transposed or not. Made by `compress` or `from_csr`; an array
    of indices selects rows, which copies nothing else.
    """

    cdef cnp.ndarray starts, ends, columns, values
    cdef size_t k
    # Of a buffer: as many elements as its rows will ever have, and where the rows begin that it is for.
    cdef cnp.npy_intp room
    cdef cnp.ndarray picked_from
    cdef bint is_own  # what is stored belongs to these rows alone, and may be changed

    def __init__(self):
        raise TypeError("make CompressedRows with compress(x) or from_csr(...)")

    @property
    def shape(self):
        """(m, k)"""
        return cnp.PyArray_DIM(self.starts, 0), <cnp.npy_intp>self.k

    @property
    def dtype(self):
        """float32 or float64"""
        return self.values.dtype

    @property
    def nonzeros(self):
        """The number of elements that are stored."""
        return int((self.ends - self.starts).sum())

    def __len__(self):
        return cnp.PyArray_DIM(self.starts, 0)

    def __getitem__(self, rows):
        """The rows of a slice or of an array of indices."""
        if not isinstance(rows, slice) and not (
                isinstance(rows, cnp.ndarray) and rows.dtype.kind in "iu" and rows.ndim == 1):
            raise TypeError("rows must be a slice or an array of integers of one axis")
        if self.room:
            raise TypeError("rows of a buffer change: select from the rows that it was made of")
        starts, ends = self.starts[rows], self.ends[rows]
        return compressed(
            cnp.PyArray_FROM_OTF(starts, cnp.NPY_INT64, cnp.NPY_ARRAY_CARRAY_RO),
            cnp.PyArray_FROM_OTF(ends, cnp.NPY_INT64, cnp.NPY_ARRAY_CARRAY_RO),
            self.columns, self.values, self.k)

    def buffer(self, cnp.npy_intp m):
        """Empty rows that `pick_rows` fills, again and again, with any m rows of this matrix."""
        rows = compressed(np.zeros(m, np.int64), np.zeros(m, np.int64), self.columns, self.values, self.k)
        rows.room = max(1, m * int((self.ends - self.starts).max(initial=0)))
        rows.picked_from = self.starts
        return rows

    def dense(self, out=None):
        """The matrix as an array."""
        cdef fn_sparse_args s = sparse_of(self)
        cdef cnp.npy_intp[2] shape = [cnp.PyArray_DIM(self.starts, 0), <cnp.npy_intp>self.k]
        cdef cnp.ndarray x = output(out, 2, shape, self.values, "out")
        apart(x, "out", self.values, "the values", False)
        s.product.c = cnp.PyArray_DATA(x)
        if is_recording():
            recording().kept.append(self)
        run(kernels_for(self.values).expand, &s, sizeof(s), s.product.m, self.k)
        return x


cdef CompressedRows compressed(cnp.ndarray starts, cnp.ndarray ends, cnp.ndarray columns, cnp.ndarray values,
                               size_t k):
    cdef CompressedRows rows = CompressedRows.__new__(CompressedRows)
    rows.starts, rows.ends, rows.columns, rows.values, rows.k = starts, ends, columns, values, k
    return rows


def pick_rows(CompressedRows x not None, rows, CompressedRows out not None):
    """The rows x[rows[i]] (int64) in out[i]; `out` is a buffer of x."""
    if out.picked_from is not x.starts:
        raise ValueError("out must be made by x.buffer(m)")
    pick(x.starts, rows, out.starts)
    pick(x.ends, rows, out.ends)


cdef cnp.npy_intp stored(CompressedRows rows):
    if rows.room:
        return rows.room
    cdef const int64_t *start = <const int64_t *>cnp.PyArray_DATA(rows.starts)
    cdef const int64_t *end = <const int64_t *>cnp.PyArray_DATA(rows.ends)
    cdef cnp.npy_intp i, total = 0
    for i in range(cnp.PyArray_DIM(rows.starts, 0)):
        total += end[i] - start[i]
    return total


cdef inline cnp.ndarray empty(cnp.npy_intp length, int kind):
    return cnp.PyArray_EMPTY(1, &length, kind, 0)


cdef inline cnp.ndarray empty_columns(cnp.npy_intp length, size_t all_columns):
    return empty(length, cnp.NPY_UINT16 if all_columns <= 1 << 16 else cnp.NPY_UINT32)


cdef inline fn_columns columns_in(cnp.ndarray columns):
    return fn_columns(cnp.PyArray_DATA(columns), cnp.PyArray_TYPE(columns) == cnp.NPY_UINT16)


# Bytes of the rows that a thread compresses at a time, and how many times that between the moves.
cdef enum:
    PIECE = 1 << 19
    PIECES = 4


def compress(x, dtype=None):
    """x (m, k) as CompressedRows; with `dtype`, float32 or float64, x may be of any other and is converted.

    Some rows are converted and compressed at a time, so that there is never a dense copy of the whole and
    its memory is read once.
    """
    only_in_place("rows without their zeros")
    cdef cnp.ndarray whole = floating(x, "x") if dtype is None else convertible(x)
    if cnp.PyArray_NDIM(whole) != 2:
        raise ValueError(f"x must have two axes, got shape {x.shape}")
    cdef cnp.npy_intp i, begin, end, m = cnp.PyArray_DIM(whole, 0), room = 0
    cdef size_t k = fit_for_columns(cnp.PyArray_DIM(whole, 1))
    cdef cnp.ndarray some, columns = empty_columns(0, k), starts = empty(m + 1, cnp.NPY_INT64)
    cdef cnp.ndarray values = np.empty(0, whole.dtype if dtype is None else dtype)
    cdef const fn_kernels *kernels = kernels_for(floating(values, "dtype"))
    cdef cnp.npy_intp row = k * <size_t>cnp.PyArray_ITEMSIZE(values)
    cdef cnp.npy_intp rows = max(1, PIECE // max(1, row))
    cdef cnp.npy_intp step = min(m, rows * PIECES)
    cdef cnp.ndarray near_values = empty(step * k, cnp.PyArray_TYPE(values))
    cdef cnp.ndarray near_columns = empty_columns(step * k, k)
    cdef int64_t *start = <int64_t *>cnp.PyArray_DATA(starts)
    cdef fn_compress_args g
    start[0] = 0
    for begin in range(0, m, max(1, step)):
        some = floating(whole[begin:begin + step].astype(values.dtype, copy=False), "x")
        end = begin + cnp.PyArray_DIM(some, 0)
        g = fn_compress_args(
            cnp.PyArray_DATA(some), end - begin, k, rows, start + begin, columns_in(near_columns),
            columns_in(columns), cnp.PyArray_DATA(near_values), NULL)
        run(kernels.compress, &g, sizeof(g), (end - begin + rows - 1) // rows, rows * k)
        for i in range(begin, end):
            start[i + 1] += start[i]
        if start[end] > room:
            # As much as all rows need if they are like these; what is never used takes no memory.
            room = start[end] + <cnp.npy_intp>(1.125 * start[end] / end * (m - end))
            room = min(room, m * <cnp.npy_intp>k)
            columns = with_room(columns, start[begin], empty_columns(room, k))
            values = with_room(values, start[begin], empty(room, cnp.PyArray_TYPE(values)))
        g.to_columns, g.to = columns_in(columns), cnp.PyArray_DATA(values)
        run(kernels.move_rows, &g, sizeof(g), (end - begin + rows - 1) // rows, rows * k)
    return compressed(starts[:m], starts[1:], columns, values, k)


cdef cnp.ndarray with_room(cnp.ndarray old, cnp.npy_intp length, cnp.ndarray new):
    """`new`, into which the first `length` elements of `old` were copied."""
    new[:length] = old[:length]
    return new


cdef cnp.ndarray convertible(object x):
    if not isinstance(x, cnp.ndarray) or x.dtype.kind not in "biuf":
        raise TypeError(f"x must be a NumPy array of real numbers, got {getattr(x, 'dtype', type(x))}")
    return x


def empty_rows(cnp.npy_intp m, cnp.npy_intp k, dtype):
    """Rows with room for any matrix (m, k) of `dtype`, float32 or float64; `fill_rows` fills them."""
    cdef cnp.ndarray values = floating(np.empty(m * k, dtype), "dtype")
    cdef CompressedRows rows = compressed(
        np.zeros(m, np.int64), np.zeros(m, np.int64), empty_columns(m * k, fit_for_columns(k)), values, k)
    rows.room, rows.is_own = max(1, m * k), True
    return rows


def fill_rows(x, CompressedRows rows not None):
    """Keep of x (m, k), instead of what was there, the elements that are not zero in `rows`, of `empty_rows`."""
    cdef cnp.ndarray a = floating_like(x, "x", rows.values, "rows")
    cdef int ignored = 0
    only_in_place("rows without their zeros")
    if x.shape != rows.shape or not rows.is_own:
        raise ValueError(f"x has shape {x.shape}; make room for it with empty_rows{x.shape}")
    fill(rows, cnp.PyArray_DATA(a), rows.k, &ignored, &ignored)


cdef int fill(CompressedRows rows, const void *x, size_t ldx, const int *infinite, int *whole) except -1:
    cdef cnp.npy_intp m = cnp.PyArray_DIM(rows.starts, 0)
    cdef fn_compress_few_args g = fn_compress_few_args(
        x, m, rows.k, ldx, <int64_t *>cnp.PyArray_DATA(rows.starts), <int64_t *>cnp.PyArray_DATA(rows.ends),
        columns_in(rows.columns), cnp.PyArray_DATA(rows.values), infinite, whole)
    run(kernels_for(rows.values).compress_few, &g, sizeof(g), 1, rows.room)
    return 0


def from_csr(starts, columns, values, columns_in_all):
    """CompressedRows of (m, columns_in_all) from the three arrays of compressed rows, which are copied.

    `starts` (m + 1) tells where in `columns` and `values` each row begins; columns ascend in every row.
    """
    cdef size_t k = fit_for_columns(columns_in_all)
    data = np.array(floating(values, "values"))
    begin, at = integers(starts, "starts"), integers(columns, "columns")
    if not (begin.ndim == at.ndim == data.ndim == 1 and len(begin) and begin[0] == 0
            and begin[-1] == len(at) == len(data) and (begin[1:] >= begin[:-1]).all()):
        raise ValueError(
            f"starts {begin.shape}, columns {at.shape} and values {data.shape} do not fit together: starts "
            "must ascend from 0 to the length of the other two"
        )
    begin, ends = begin[:-1], begin[1:]
    ascending = np.diff(at, append=k) > 0
    ascending[ends[ends > 0] - 1] = True  # a row's last element, which nothing in the row follows
    if len(at) and not (at.min() >= 0 and at.max() < k and ascending.all()):
        raise ValueError(
            f"columns must lie in [0, {k}) and ascend in every row; call sum_duplicates() on a SciPy matrix"
        )
    columns = empty_columns(len(at), k)
    columns[...] = at
    return compressed(begin, ends, columns, data, k)


cdef integers(object x, str name):
    """A copy of x as int64."""
    if not isinstance(x, cnp.ndarray) or x.dtype.kind not in "iu":
        raise TypeError(f"{name} must be a NumPy array of integers, got {getattr(x, 'dtype', type(x))}")
    return np.array(x, np.int64)


cdef size_t fit_for_columns(cnp.npy_intp k) except? 0:
    if not 0 <= k < 2**31:
        raise ValueError(f"compressed rows have fewer than 2**31 columns, got {k}")
    return k


@cython.nonecheck(False)  # a struct cannot be returned with an error
cdef inline fn_sparse_args sparse_of(CompressedRows rows):
    cdef fn_sparse_args s
    memset(&s, 0, sizeof(s))
    s.product.m, s.product.k = cnp.PyArray_DIM(rows.starts, 0), rows.k
    s.starts = <const int64_t *>cnp.PyArray_DATA(rows.starts)
    s.ends = <const int64_t *>cnp.PyArray_DATA(rows.ends)
    s.columns = columns_in(rows.columns)
    s.values = cnp.PyArray_DATA(rows.values)
    return s


cdef CompressedRows transposed(CompressedRows rows):
    cdef fn_sparse_args s = sparse_of(rows)
    cdef size_t length = stored(rows)
    cdef size_t work = 4 * length  # one element takes as long as several of an elementwise kernel
    cdef size_t parts = thread_limit() if work > SMALL else 1
    cdef cnp.ndarray starts = empty(rows.k + 1, cnp.NPY_INT64)
    cdef cnp.ndarray columns = empty_columns(length, fit_for_columns(s.product.m))
    cdef cnp.ndarray values = empty(length, cnp.PyArray_TYPE(rows.values))
    cdef void *bounds = take_scratch(2 * s.product.m * parts * sizeof(int64_t))
    cdef fn_transpose_args g = fn_transpose_args(
        s, <int64_t *>cnp.PyArray_DATA(starts), <int64_t *>bounds, columns_in(columns),
        cnp.PyArray_DATA(values), parts)
    run(kernels_for(values).transpose_compressed, &g, sizeof(g), parts, work // parts, 1)
    give_scratch(bounds)
    cdef CompressedRows result = compressed(starts[:rows.k], starts[1:rows.k + 1], columns, values, s.product.m)
    result.room = max(1, <cnp.npy_intp>length)  # while a program is recorded nothing is in `starts` yet
    return result


def all_finite(x):
    """Whether no element of x is infinite or NaN."""
    only_in_place("the answer")
    return is_finite(floating(x, "x"))


cdef bint is_finite(cnp.ndarray x) except -1:
    cdef int infinite = 0
    find_infinite(x, cnp.PyArray_DATA(x), cnp.PyArray_SIZE(x), &infinite)
    return not infinite


cdef int find_infinite(cnp.ndarray like, const void *x, size_t size, int *infinite) except -1:
    cdef fn_finite_args g = fn_finite_args(x, infinite)
    run(kernels_for(like).find_infinite, &g, sizeof(g), size)
    return 0


cdef bint multiply_compressed(CompressedRows rows, fn_gemm_args *g) except -1:
    """The product of g with `rows` for its a, or their transpose; False if b is not finite."""
    cdef int infinite = 0
    multiply_rows(transposed(rows) if g.transpose_a else rows, g, &infinite, NULL, False)
    return not infinite


cdef int record_compressed(CompressedRows rows, fn_gemm_args *g, int *known) except -1:
    """Records the same and, for when b is not finite, the product with all elements of the rows.

    Where `known` is given it tells whether b is finite. With `accumulate` it tells so of c, before and,
    in this case kept up to date, after.
    """
    cdef int *infinite = known
    if known == NULL or g.accumulate:
        infinite = <int *>recording().hold(sizeof(int))
        clear_memory(infinite, sizeof(int))
    if g.accumulate:  # then it must be seen before c is changed
        find_infinite(rows.values, g.b, g.k * g.n, infinite)
    if known != NULL or g.accumulate:
        recording().depend(infinite, False)
    multiply_rows(
        transposed(rows) if g.transpose_a else rows, g,
        NULL if g.accumulate or infinite == known else infinite, known if g.accumulate else NULL,
        known != NULL)
    recording().depend(infinite, True)
    record_with_zeros(rows, g)
    if g.accumulate and known != NULL:
        find_infinite(rows.values, g.c, g.m * g.n, known)
    recording().depend(NULL, False)
    return 0


cdef int record_with_zeros(CompressedRows rows, fn_gemm_args *g) except -1:
    """Records the product with all elements of the rows."""
    cdef const fn_kernels *kernels = kernels_for(rows.values)
    cdef cnp.ndarray dense = recording().dense_of(rows)
    cdef fn_sparse_args s = sparse_of(rows)
    cdef fn_gemm_args product = g[0]
    s.product.c = cnp.PyArray_DATA(dense)
    run(kernels.expand, &s, sizeof(s), s.product.m, s.product.k)
    product.a, product.lda = s.product.c, s.product.k
    return multiply(kernels, &product)


cdef int record_few(fn_gemm_args *g, cnp.ndarray like, int *infinite) except -1:
    """Records the product of a few rows of a, without their zeros where these are many and b is finite."""
    cdef const fn_kernels *kernels = kernels_for(like)
    cdef CompressedRows rows = empty_rows(g.m, g.k, like.dtype)
    cdef int *whole = <int *>recording().hold(sizeof(int))
    fill(rows, g.a, g.lda, infinite, whole)
    recording().depend(whole, False)
    multiply_rows(rows, g, NULL, NULL, True)
    recording().depend(whole, True)
    multiply(kernels, g)
    recording().depend(NULL, False)
    return 0


cdef int multiply_rows(CompressedRows rows, fn_gemm_args *g, int *infinite, int *spoilt, bint alone) except -1:
    """The product of g with `rows` for its op(a); *infinite is set where b is not finite, and
    *spoilt where c is not after `accumulate`; both may be NULL, for what is known or does not matter. It stays
    `alone`, on one thread, where only products of few rows use the weights: they are then in its caches."""
    cdef fn_sparse_args s = sparse_of(rows)
    cdef const fn_kernels *kernels = kernels_for(rows.values)
    cdef size_t work = stored(rows) * g.n
    cdef int workers = thread_limit() if work > SMALL and not alone else 1
    s.product, s.infinite, s.spoilt = g[0], infinite, spoilt
    s.product.parts_across = 1
    if not fn_is_outer(g):
        s.product.parts_across = (g.n + kernels.sparse_strip - 1) // kernels.sparse_strip
    s.product.parts_down = (g.m + FN_SPARSE_ROWS - 1) // FN_SPARSE_ROWS
    # Two for each thread share the work evenly; with more, strips would be copied more often. They are no burden
    # to a transpose, whose rows, the weights', are many: each thread writes pages of its own.
    if work > SMALL and (g.transpose_a or s.product.parts_across * s.product.parts_down < 2 * <size_t>workers):
        s.product.parts_down = max(s.product.parts_down, min(g.m, <size_t>workers))
    cdef size_t parts = s.product.parts_down * s.product.parts_across
    s.product.scratch = take_scratch(kernels.sparse_scratch * workers)
    if is_recording():
        recording().kept.append(rows)
    launch(kernels.sparse_gemm, &s, sizeof(s), parts, 1, workers, work)
    give_scratch(s.product.scratch)
    return 0
