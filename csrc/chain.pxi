# Chains of elementwise ops: a part of the door, csrc/_kernels.pyx.

cdef extern from *:
    """
    #define NAME_AND_OPERANDS(upper, lower, operands) {#lower, operands},
    typedef struct { const char *name; int operands; } chain_op;
    static const chain_op chain_ops[] = {FN_CHAIN_OPS(NAME_AND_OPERANDS)};
    """
    ctypedef struct chain_op:
        const char *name
        int operands
    const chain_op *chain_ops


# The number of operands of every op, in the order of fn_chain_op.
CHAIN_OPS = {chain_ops[i].name.decode(): chain_ops[i].operands for i in range(FN_CHAIN_OP_COUNT)}

# The most steps and inputs of a chain.
CHAIN_STEPS, CHAIN_INPUTS = FN_CHAIN_STEPS, FN_CHAIN_INPUTS

cdef dict op_numbers = {name: number for number, name in enumerate(CHAIN_OPS)}
cdef tuple input_names = tuple([f"inputs[{i}]" for i in range(FN_CHAIN_INPUTS)])


def chain(steps, inputs, out):
    """`steps` applied to every element of `inputs`, as NumPy broadcasts them; the last result in `out`.

    A step is (op, operand, ...), an op of CHAIN_OPS and numbers: inputs[0] is 0, and so on, and the
    results of the steps follow them. Comparisons give 1 and 0; where(condition, a, b) takes a where the
    condition is not 0. Inputs are of the dtype of `out` or bool, which counts as 1 and 0; with a bool
    `out`, True where the result is not 0, they are float32 or float64, all of one, or bool. They must be
    C-contiguous, since they are read in place, and broadcast as `chain_fits` says.
    """
    cdef fn_chain_args g
    memset(&g, 0, sizeof(g))
    if not 1 <= len(inputs) <= FN_CHAIN_INPUTS:
        raise ValueError(f"there are {len(inputs)} inputs; give from 1 to {FN_CHAIN_INPUTS}")
    if not isinstance(out, cnp.ndarray):
        raise TypeError(f"out must be a NumPy array, got {type(out).__name__}")
    cdef cnp.ndarray y = out
    writable(y, "out")
    cdef const fn_kernels *kernels = chain_kernels(&g, inputs, y)
    read_steps(&g, steps)
    cdef list shapes = shapes_of(inputs)
    if not broadcast_inputs(&g, shapes, out.shape):
        raise ValueError(
            f"inputs of shapes {', '.join(map(str, shapes))} do not broadcast to out {out.shape} as a "
            "chain can: seen as a matrix, each must be all of it, a row, a column or a number, and out "
            "must have the shape of the result; use np.broadcast_to and a copy"
        )
    cdef cnp.ndarray x
    cdef int i
    for i in range(g.inputs):
        x = inputs[i]
        apart(y, "out", x, input_names[i], cnp.PyArray_SIZE(x) == cnp.PyArray_SIZE(y))
    if cnp.PyArray_SIZE(y):
        run(kernels.chain, &g, sizeof(g), cnp.PyArray_SIZE(y))
    return out


cdef object elementwise(int op, list inputs, cnp.ndarray out=None):
    """The result of an op, in `out` if there is one, for small arrays that a chain takes; else None."""
    cdef fn_chain_args g
    cdef cnp.ndarray x, like = None, largest = None
    cdef bint is_broadcast = False
    cdef int i
    if is_recording() or len(inputs) != chain_ops[op].operands:
        return None
    memset(&g, 0, sizeof(g))
    g.inputs, g.steps, g.boolean = len(inputs), 1, FN_EQUAL <= op <= FN_GREATER_EQUAL
    g.step[0].op = op
    for i in range(g.inputs):
        if type(inputs[i]) is not cnp.ndarray:
            return None
        x = inputs[i]
        g.step[0].operand[i] = i
        g.input[i].data = cnp.PyArray_DATA(x)
        g.input[i].boolean = op == FN_WHERE and i == 0 and cnp.PyArray_TYPE(x) == cnp.NPY_BOOL
        if not g.input[i].boolean:
            like = x if like is None else like
            if not is_computed_in(x) or cnp.PyArray_TYPE(x) != cnp.PyArray_TYPE(like):
                return None
        if not (cnp.PyArray_IS_C_CONTIGUOUS(x) and cnp.PyArray_ISBEHAVED_RO(x)):
            return None
        is_broadcast = is_broadcast or largest is not None and not cnp.PyArray_SAMESHAPE(x, largest)
        if largest is None or is_larger(x, largest):
            largest = x
    cdef size_t size = cnp.PyArray_SIZE(largest)
    if not 0 < size <= SMALL:
        return None
    if not is_broadcast:
        as_one_row(&g, size)
    elif not broadcast_inputs(&g, shapes_of(inputs), (<object>largest).shape):
        return None
    if out is None:
        out = cnp.PyArray_EMPTY(cnp.PyArray_NDIM(largest), cnp.PyArray_DIMS(largest),
                                cnp.NPY_BOOL if g.boolean else cnp.PyArray_TYPE(like), 0)
    g.y = cnp.PyArray_DATA(out)
    run(kernels_for(like).chain, &g, sizeof(g), size)
    return out


cdef list shapes_of(object arrays):
    cdef list shapes = []
    for x in arrays:
        shapes.append(x.shape)
    return shapes


cdef inline void as_one_row(fn_chain_args *g, size_t n) noexcept:
    """Enters that all inputs have n elements and the same shape, as that of the output."""
    cdef int i
    g.n = n
    for i in range(g.inputs):
        g.input[i].across, g.input[i].down = 1, n


cdef bint changed_elementwise(int op, list arrays) except -1:
    """Whether the first array, of a variable, was changed by an op, -1 for none, on both arrays or, where it has one
    operand, on the other alone, as `elementwise` does that.
    """
    cdef cnp.ndarray w = arrays[0], value = arrays[1]
    if op < 0 or not cnp.PyArray_SAMESHAPE(w, value) or cnp.PyArray_TYPE(w) != cnp.PyArray_TYPE(value):
        return False
    return elementwise(op, arrays[2 - chain_ops[op].operands:], w) is not None


cdef inline bint is_computed_in(cnp.ndarray x) noexcept:
    return cnp.PyArray_TYPE(x) == cnp.NPY_FLOAT or cnp.PyArray_TYPE(x) == cnp.NPY_DOUBLE


cdef inline bint is_larger(cnp.ndarray x, cnp.ndarray y) noexcept:
    """Whether it has more elements, or as many along more axes."""
    cdef size_t size = cnp.PyArray_SIZE(x), other = cnp.PyArray_SIZE(y)
    return size > other or size == other and cnp.PyArray_NDIM(x) > cnp.PyArray_NDIM(y)


def chain_fits(shapes, out_shape):
    """Whether `chain` takes inputs of these shapes for an output of that shape.

    It does where the output's axes can be parted into first and last ones, so that every input has all
    or, but for length 1, none of either: as a matrix, a row, a column or a number has.
    """
    cdef fn_chain_args g
    return 1 <= len(shapes) <= FN_CHAIN_INPUTS and bool(broadcast_inputs(&g, shapes, out_shape))


cdef const fn_kernels *chain_kernels(fn_chain_args *g, object inputs, cnp.ndarray y) except NULL:
    """Enters the memory of inputs and output; the kernels for their dtype."""
    cdef cnp.ndarray like = y
    cdef cnp.ndarray x
    cdef str like_name = "out"
    cdef int i
    g.y, g.boolean = cnp.PyArray_DATA(y), cnp.PyArray_TYPE(y) == cnp.NPY_BOOL
    if not g.boolean:
        floating(y, "out")
    g.inputs = len(inputs)
    for i in range(g.inputs):
        if not isinstance(inputs[i], cnp.ndarray):
            raise TypeError(
                f"{input_names[i]} must be a NumPy array, got {type(inputs[i]).__name__}; use np.asarray")
        x = inputs[i]
        readable(x, input_names[i])
        g.input[i].data = cnp.PyArray_DATA(x)
        g.input[i].boolean = cnp.PyArray_TYPE(x) == cnp.NPY_BOOL
        if g.input[i].boolean:
            continue
        if cnp.PyArray_TYPE(like) == cnp.NPY_BOOL:
            like, like_name = floating(x, input_names[i]), input_names[i]
        floating_like(x, input_names[i], like, like_name)
    return level.f64 if cnp.PyArray_TYPE(like) == cnp.NPY_DOUBLE else level.f32


cdef int read_steps(fn_chain_args *g, object steps) except -1:
    cdef int i, j, operand
    cdef tuple step
    g.steps = len(steps)
    if not 1 <= g.steps <= FN_CHAIN_STEPS:
        raise ValueError(f"there are {g.steps} steps; give from 1 to {FN_CHAIN_STEPS}")
    for i in range(g.steps):
        step = steps[i]
        name = step[0] if step else None
        number = op_numbers.get(name)
        if number is None:
            raise ValueError(f"steps[{i}]: there is no op {name!r}; choose one of {', '.join(CHAIN_OPS)}")
        g.step[i].op = number
        if len(step) - 1 != chain_ops[<int>number].operands:
            raise ValueError(
                f"steps[{i}]: {name} has {CHAIN_OPS[name]} operands, got {len(step) - 1}")
        for j in range(len(step) - 1):
            operand = PyNumber_Index(step[j + 1])
            if not 0 <= operand < g.inputs + i:
                raise ValueError(
                    f"steps[{i}]: operand {operand} does not exist; there are {g.inputs} inputs and "
                    f"{i} steps before, numbered 0 to {g.inputs + i - 1}")
            g.step[i].operand[j] = operand
    return 0


cdef bint broadcast_inputs(fn_chain_args *g, object shapes, tuple out_shape) except -1:
    """Enters how the inputs broadcast to an output whose first axes are rows and whose last are columns.

    Neighbouring axes along which the same inputs are repeated are as good as one; two must be left.
    """
    cdef int axes = len(out_shape)
    cdef int count = len(shapes)
    cdef int groups = 0, most_axes = 0
    cdef int rows = 0, columns = 0  # which inputs are repeated along them: bit i stands for input i
    cdef int axis, i, repeated
    cdef cnp.npy_intp length, own
    cdef tuple shape
    g.n = 1
    for axis in range(axes):
        length, repeated = out_shape[axis], 0
        for i in range(count):
            shape = shapes[i]
            own = shape[axis - axes + len(shape)] if axis >= axes - len(shape) else 1
            if own != length:
                if own != 1:
                    return False
                repeated |= 1 << i
        if repeated == (1 << count) - 1:
            return False
        if length == 1:
            continue
        if groups and repeated == columns:
            g.n *= length
            continue
        groups += 1
        rows, columns, g.n = columns if groups > 1 else repeated, repeated, length
    for i in range(count):
        shape = shapes[i]
        most_axes = max(most_axes, len(shape))
        g.input[i].across = not columns >> i & 1
        g.input[i].down = 0 if rows >> i & 1 else g.n if g.input[i].across else 1
    return groups <= 2 and most_axes == axes
