# The optimizers' updates: a part of the door, csrc/_kernels.pyx.


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


cdef inline const double *number_at(object x, double *own) except NULL:
    """Where a kernel finds the number x when it runs: in `own`, or in x if it is an array () of float64."""
    if isinstance(x, cnp.ndarray):
        return <const double *>cnp.PyArray_DATA(number_array(x, cnp.NPY_DOUBLE, "float64"))
    if is_recording():
        own = <double *>recording().hold(sizeof(double))
    own[0] = x
    return own


cdef int change(fn_kernel *f32, fn_kernel *f64, object w, tuple slots, object g, object learning_rate,
                double decay=0, double second_decay=0, double epsilon=0, bint nesterov=False) except -1:
    """Changes w and its `slots`, of which each is a name and an array, by a rule."""
    cdef cnp.ndarray weights = variable(w)
    cdef list arrays = []
    for name, x in slots:
        arrays.append(slot(x, name, weights))
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    cdef Py_ssize_t i, j
    cdef double own
    cdef fn_update_args u
    memset(&u, 0, sizeof(u))
    for i in range(len(arrays)):
        for j in range(i + 1, len(arrays)):
            apart(arrays[i], slots[i][0], arrays[j], slots[j][0], False)
        apart(arrays[i], slots[i][0], gradient, "g", False)
        u.slot[i] = cnp.PyArray_DATA(arrays[i])
    u.w, u.g = cnp.PyArray_DATA(weights), cnp.PyArray_DATA(gradient)
    u.learning_rate = number_at(learning_rate, &own)
    u.decay[0], u.decay[1], u.epsilon, u.nesterov = decay, second_decay, epsilon, nesterov
    return run(f32 if cnp.PyArray_TYPE(weights) == cnp.NPY_FLOAT else f64, &u, sizeof(u),
               cnp.PyArray_SIZE(weights))


def sgd(w, g, learning_rate):
    """w -= learning_rate * g, in place.

    Here and below the rate is a number, or an array () of float64 that is read when the kernel runs.
    """
    change(level.f32.sgd, level.f64.sgd, w, (), g, learning_rate)


def momentum(w, velocity, g, learning_rate, double momentum, nesterov=False):
    """velocity = momentum * velocity - learning_rate * g; w += velocity, or, with Nesterov's rule,
    w += momentum * velocity - learning_rate * g; in place."""
    change(level.f32.momentum, level.f64.momentum, w, (("velocity", velocity),), g, learning_rate,
           momentum, 0, 0, bool(nesterov))


def adagrad(w, accumulator, g, learning_rate, double epsilon):
    """accumulator += g^2; w -= learning_rate * g / sqrt(accumulator + epsilon), in place."""
    change(level.f32.adagrad, level.f64.adagrad, w, (("accumulator", accumulator),), g, learning_rate,
           0, 0, epsilon)


def rmsprop(w, velocity, g, learning_rate, double rho, double epsilon):
    """velocity = rho * velocity + (1 - rho) * g^2; w -= learning_rate * g / sqrt(velocity + epsilon),
    in place."""
    change(level.f32.rmsprop, level.f64.rmsprop, w, (("velocity", velocity),), g, learning_rate,
           rho, 0, epsilon)


def adam(w, momentum, velocity, g, alpha, double beta_1, double beta_2, double epsilon):
    """momentum += (g - momentum) * (1 - beta_1); velocity += (g^2 - velocity) * (1 - beta_2);
    w -= alpha * momentum / (sqrt(velocity) + epsilon), in place."""
    change(level.f32.adam, level.f64.adam, w, (("momentum", momentum), ("velocity", velocity)), g, alpha,
           beta_1, beta_2, epsilon)
