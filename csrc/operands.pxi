# Operands of ops and arguments of programs: a part of the door, csrc/_kernels.pyx.


cdef inline int float_type_of(object x):
    """The type number of a tensor's array if it is a tensor of this class that kernels compute with, else -1."""
    cdef cnp.ndarray array
    if type(x) is not tensor_type or type((<TensorBase>x).array) is not cnp.ndarray:
        return -1
    array = (<TensorBase>x).array
    return cnp.PyArray_TYPE(array) if is_computed_in(array) and cnp.PyArray_ISNOTSWAPPED(array) else -1


cdef inline bint is_weak_number(object x):
    """Whether it is a number of Python whose own precision would be float32 or int32."""
    return (type(x) is float or type(x) is int) and -2147483648 < x < 2147483648


cdef object number(object x, int kind):
    """A tensor of float32 or float64, by their type number, of one number."""
    cdef cnp.ndarray array = cnp.PyArray_EMPTY(0, NULL, kind, 0)
    if kind == cnp.NPY_FLOAT:
        (<float *>cnp.PyArray_DATA(array))[0] = x
    else:
        (<double *>cnp.PyArray_DATA(array))[0] = x
    return wrap(array)


def alike(a, b):
    """Two operands as tensors of one dtype, where that is the usual case: tensors of floats, variables, and
    one of them with a small number of Python; else None.
    """
    if isinstance(a, VariableBase):
        a = a.value
    if isinstance(b, VariableBase):
        b = b.value
    cdef int first = float_type_of(a), second = float_type_of(b)
    if first >= 0:
        if first == second:
            return a, b
        if is_weak_number(b):
            return a, number(b, first)
    elif second >= 0 and is_weak_number(a):
        return number(a, second), b
    return None


def broadcast_together(TensorBase x not None, TensorBase y not None):
    """Whether their shapes do, by NumPy's rules."""
    cdef cnp.ndarray a = array_of(x), b = array_of(y)
    cdef int i
    cdef cnp.npy_intp m, n
    for i in range(1, min(cnp.PyArray_NDIM(a), cnp.PyArray_NDIM(b)) + 1):
        m, n = cnp.PyArray_DIM(a, cnp.PyArray_NDIM(a) - i), cnp.PyArray_DIM(b, cnp.PyArray_NDIM(b) - i)
        if m != n and m != 1 and n != 1:
            return False
    return True


def arrays_of(tuple values not None):
    """The arrays of tensors, and arrays of floats as they are; None if there is something else among them."""
    return arrays_in(values)


cdef list arrays_in(tuple values):
    cdef list found = []
    for x in values:
        if type(x) is tensor_type:
            found.append((<TensorBase>x).array)
        elif type(x) is cnp.ndarray and is_computed_in(x) and cnp.PyArray_ISNOTSWAPPED(x):
            found.append(x)
        else:
            return None
    return found


def signature(tuple values not None, tuple others not None):
    """The shape and dtype of each of the `arrays_of` these values, and other things; None where that is None."""
    cdef list found = []
    cdef list arrays = arrays_in(values)
    if arrays is None:
        return None
    for array in arrays:
        found.append((array.shape, array.dtype))
    found.extend(others)
    return tuple(found)
