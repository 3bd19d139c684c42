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


cdef inline fn_update_args update_of(cnp.ndarray w, cnp.ndarray g, const double *learning_rate):
    cdef fn_update_args u
    memset(&u, 0, sizeof(u))
    u.w, u.g, u.learning_rate = cnp.PyArray_DATA(w), cnp.PyArray_DATA(g), learning_rate
    return u


def sgd(w, g, learning_rate):
    """w -= learning_rate * g, in place.

    Here and below the rate is a number, or an array () of float64 that is read when the kernel runs.
    """
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    cdef double own
    cdef fn_update_args u = update_of(weights, gradient, number_at(learning_rate, &own))
    run(kernels_for(weights).sgd, &u, sizeof(u), cnp.PyArray_SIZE(weights))


def momentum(w, velocity, g, learning_rate, double momentum, nesterov=False):
    """velocity = momentum * velocity - learning_rate * g; w += velocity, or, with Nesterov's rule,
    w += momentum * velocity - learning_rate * g; in place."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray v = slot(velocity, "velocity", weights)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    apart(v, "velocity", gradient, "g", False)
    cdef double own
    cdef fn_update_args u = update_of(weights, gradient, number_at(learning_rate, &own))
    u.slot[0], u.decay[0], u.nesterov = cnp.PyArray_DATA(v), momentum, bool(nesterov)
    run(kernels_for(weights).momentum, &u, sizeof(u), cnp.PyArray_SIZE(weights))


def adagrad(w, accumulator, g, learning_rate, double epsilon):
    """accumulator += g^2; w -= learning_rate * g / sqrt(accumulator + epsilon), in place."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray a = slot(accumulator, "accumulator", weights)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    apart(a, "accumulator", gradient, "g", False)
    cdef double own
    cdef fn_update_args u = update_of(weights, gradient, number_at(learning_rate, &own))
    u.slot[0], u.epsilon = cnp.PyArray_DATA(a), epsilon
    run(kernels_for(weights).adagrad, &u, sizeof(u), cnp.PyArray_SIZE(weights))


def rmsprop(w, velocity, g, learning_rate, double rho, double epsilon):
    """velocity = rho * velocity + (1 - rho) * g^2; w -= learning_rate * g / sqrt(velocity + epsilon),
    in place."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray v = slot(velocity, "velocity", weights)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    apart(v, "velocity", gradient, "g", False)
    cdef double own
    cdef fn_update_args u = update_of(weights, gradient, number_at(learning_rate, &own))
    u.slot[0], u.decay[0], u.epsilon = cnp.PyArray_DATA(v), rho, epsilon
    run(kernels_for(weights).rmsprop, &u, sizeof(u), cnp.PyArray_SIZE(weights))


def adam(w, momentum, velocity, g, alpha, double beta_1, double beta_2, double epsilon):
    """momentum += (g - momentum) * (1 - beta_1); velocity += (g^2 - velocity) * (1 - beta_2);
    w -= alpha * momentum / (sqrt(velocity) + epsilon), in place."""
    cdef cnp.ndarray weights = variable(w)
    cdef cnp.ndarray m = slot(momentum, "momentum", weights)
    cdef cnp.ndarray v = slot(velocity, "velocity", weights)
    cdef cnp.ndarray gradient = gradient_of(weights, g)
    apart(m, "momentum", v, "velocity", False)
    apart(m, "momentum", gradient, "g", False)
    apart(v, "velocity", gradient, "g", False)
    cdef double own
    cdef fn_update_args u = update_of(weights, gradient, number_at(alpha, &own))
    u.slot[0], u.slot[1] = cnp.PyArray_DATA(m), cnp.PyArray_DATA(v)
    u.decay[0], u.decay[1], u.epsilon = beta_1, beta_2, epsilon
    run(kernels_for(weights).adam, &u, sizeof(u), cnp.PyArray_SIZE(weights))
