# Softmax and softmax cross-entropy over rows: a part of the door, csrc/_kernels.pyx.


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
