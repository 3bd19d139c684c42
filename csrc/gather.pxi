# Rows picked and converted: a part of the door, csrc/_kernels.pyx.


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
