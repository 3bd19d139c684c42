# Dropout and random order: a part of the door, csrc/_kernels.pyx.


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
