# Tensors and variables, as far as every op goes through them: a part of the door, csrc/_kernels.pyx.
#
# A step that runs op by op calls dozens of small ops. What Python takes to find the arrays of such a call, to
# pass it on, to wrap its result and to note it for a tape is ten times what the kernel takes: so that much is
# compiled, here and in operands.pxi, calls.pxi and tape.pxi, and fastnn/tensor.py, variable.py, ops/core.py,
# tape.py, backward.py and function.py stand on it. It checks what would crash, and trusts its callers for the rest.


cdef type tensor_type = None


def set_tensor_type(type kind not None):
    """Make the results of ops tensors of this class, a TensorBase."""
    global tensor_type
    if not issubclass(kind, TensorBase):
        raise TypeError(f"{kind.__name__} is no class of tensors: derive it from TensorBase")
    tensor_type = kind


@cython.auto_pickle(False)
cdef class TensorBase:
    """What a tensor holds: its array, and where that comes from, or None."""

    cdef object array
    cdef public object origin
    cdef public bint is_in_a_program  # whether a program has taken the values in
    cdef object __weakref__

    @property
    def _array(self):
        return array_of(self)

    @_array.setter
    def _array(self, array):
        self.array = array

    @property
    def shape(self):
        """The length of each axis."""
        return array_of(self).shape

    @property
    def dtype(self):
        """The type of the elements, a NumPy dtype."""
        return array_of(self).dtype

    @property
    def ndim(self):
        """The number of axes (the rank)."""
        return array_of(self).ndim

    @property
    def size(self):
        """The number of elements."""
        return array_of(self).size

    def _made(self):
        """The array of a tensor that had none yet."""
        raise AttributeError(f"this {type(self).__name__} has no array; give it one by its constructor")


@cython.auto_pickle(False)
cdef class ReadFrom:
    """The origin of a tensor that was read from a variable: whole (index None) or in part."""

    cdef readonly object variable, index

    def __init__(self, variable, index):
        self.variable, self.index = variable, index


cdef class Shared:
    """The origin of a tensor over an array of somebody's who may change it: for one op alone."""


cdef inline object array_of(TensorBase x):
    if x.array is None:
        x.array = x._made()
        if x.array is None:
            raise TypeError(f"{type(x).__name__}._made() gives no array")
    return x.array


cdef inline object id_of(object x):
    return <size_t><void *>x


cdef inline object variable_behind(TensorBase x):
    """The variable that all of a tensor was read from, or None."""
    origin = x.origin
    return (<ReadFrom>origin).variable if type(origin) is ReadFrom and (<ReadFrom>origin).index is None else None


cdef inline bint is_written_to(TensorBase x):
    """Whether its memory is a variable's or a user's."""
    return type(x.origin) is ReadFrom or type(x.origin) is Shared


cdef class Writing:
    """A change of variables, under way or over."""

    cdef public bint is_over

    def __init__(self, bint is_over=False):
        self.is_over = is_over


@cython.auto_pickle(False)
cdef class VariableBase(TensorBase):
    """What a variable holds beside: what is known of its values, and what was read of them.

    Attributes
    ----------
    _trainable : bool
        Whether tapes watch it by themselves.
    _finite : bool or Writing
        Whether all values are finite, or what changed them since that was known.
    """

    cdef public bint _trainable
    cdef public object _finite
    cdef object snapshot  # a weak reference

    @property
    def value(self):
        """The variable as it is now, as a tensor that later assignments do not change, unless they come from
        another thread at this moment.
        """
        return value_of(self)

    def mutable(self, Writing writing=None):
        """The storage itself, to be changed in place by an update."""
        about_to_change(self, Writing(True) if writing is None else writing)
        return array_of(self)


cdef object value_of(VariableBase variable):
    trace = recorders.trace
    if trace is not None:
        return trace.present(variable)
    cdef TensorBase x = None if variable.snapshot is None else variable.snapshot()
    if x is None or x.array is not variable.array:  # it may have its copy already
        x = wrap(variable.array, ReadFrom(variable, None))
        variable.snapshot = PyWeakref_NewRef(x, None)
    return x


cdef int about_to_change(VariableBase variable, Writing writing) except -1:
    """Note that it is about to change, and give what was read a copy, if somebody still has it."""
    variable._finite = writing
    cdef dict undo = recorders.undo
    if undo is not None and id_of(variable) not in undo:
        undo[id_of(variable)] = variable, variable.array.copy()
    cdef TensorBase x
    if variable.snapshot is not None:
        x = variable.snapshot()
        if x is not None:
            x.array = variable.array.copy()
        variable.snapshot = None
    return 0


def all_about_to_change(list variables not None, Writing writing not None):
    """Prepare variables for a change: what was read of them becomes a copy."""
    for variable in variables:
        about_to_change(variable, writing)


def wrap(array, origin=None):
    """A Tensor over `array`, which is known to be fit for one."""
    cdef TensorBase x = tensor_type.__new__(tensor_type)
    x.array, x.origin = array, origin
    return x


def copies(list arrays not None):
    """A Tensor over a copy of each array."""
    cdef list found = []
    for array in arrays:
        if not isinstance(array, cnp.ndarray):
            raise TypeError(f"only NumPy arrays can be copied, got {array!r}")
        found.append(wrap(cnp.PyArray_NewCopy(array, cnp.NPY_CORDER)))
    return found
