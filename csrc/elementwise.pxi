# Elementwise functions, their gradients, and the broadcast add: a part of the door, csrc/_kernels.pyx.


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


cdef int add_groups(cnp.ndarray db, void *sums, size_t groups) except -1:
    cdef fn_rows_args g = fn_rows_args(cnp.PyArray_DATA(db), sums, NULL, groups, cnp.PyArray_SIZE(db))
    run(kernels_for(db).add_groups, &g, sizeof(g), g.n, groups)
    return 0
