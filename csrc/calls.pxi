# Tensors and calls of ops: a part of the door, csrc/_kernels.pyx.
#
# A step that runs op by op calls dozens of small ops. What Python takes to pass such a call on, to wrap its
# result and to note it for a tape is ten times what the kernel takes: so that much is compiled, and
# fastnn/tensor.py, ops/core.py, tape.py and backward.py stand on it.


from weakref import ref as _reference

from fastnn.recorders import recorders as _recorders

# Not by their names in the module, which take a search.
cdef object reference = _reference
cdef object recorders = _recorders

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
    return x.array


cdef inline object key_of(TensorBase x):
    """What gradients are collected under: the id of the variable behind a tensor, or of the tensor itself."""
    origin = x.origin
    if type(origin) is ReadFrom and (<ReadFrom>origin).index is None:
        return <size_t><void *>(<ReadFrom>origin).variable
    return <size_t><void *>x


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
    _finite : bool or Writing
        Whether all values are finite, or what changed them since that was known.
    """

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
        return self.array


cdef object value_of(VariableBase variable):
    trace = recorders.trace
    if trace is not None:
        return trace.present(variable)
    cdef TensorBase x = None if variable.snapshot is None else variable.snapshot()
    if x is None or x.array is not variable.array:  # it may have its copy already
        x = wrap(variable.array, ReadFrom(variable, None))
        variable.snapshot = reference(x)
    return x


cdef int about_to_change(VariableBase variable, Writing writing) except -1:
    """Note that it is about to change, and give what was read a copy, if somebody still has it."""
    variable._finite = writing
    cdef dict undo = recorders.undo
    if undo is not None and <size_t><void *>variable not in undo:
        undo[<size_t><void *>variable] = variable, variable.array.copy()
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


def kinds(tuple values not None, *others):
    """The shape and dtype of each of the `arrays_of` these values, and other things; None if there are none."""
    cdef list found = []
    cdef list arrays = arrays_in(values)
    if arrays is None:
        return None
    for array in arrays:
        found.append(array.shape)
        found.append(array.dtype)
    found.extend(others)
    return tuple(found)


def key(TensorBase x not None):
    """What gradients are collected under: the id of the variable behind a tensor, or of the tensor itself."""
    return key_of(x)


def wrap(array, origin=None):
    """A Tensor over `array`, which is known to be fit for one."""
    cdef TensorBase x = tensor_type.__new__(tensor_type)
    x.array, x.origin = array, origin
    return x


def copies(list arrays not None):
    """A Tensor over a copy of each array."""
    cdef list found = []
    for array in arrays:
        found.append(wrap(cnp.PyArray_NewCopy(array, cnp.NPY_CORDER)))
    return found


cdef inline int computed_in(object x):
    """The type number of a tensor's array if it is a tensor of this class that kernels compute with, else -1."""
    cdef cnp.ndarray array
    if type(x) is not tensor_type or type((<TensorBase>x).array) is not cnp.ndarray:
        return -1
    array = (<TensorBase>x).array
    return cnp.PyArray_TYPE(array) if is_computed_in(array) and cnp.PyArray_ISNOTSWAPPED(array) else -1


cdef inline bint is_small(object x):
    """Whether it is a number of Python whose own precision would be float32 or int32."""
    return (type(x) is float or type(x) is int) and -2147483648 < x < 2147483648


cdef object number(object x, int kind):
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
        a = value_of(a)
    if isinstance(b, VariableBase):
        b = value_of(b)
    cdef int first = computed_in(a), second = computed_in(b)
    if first >= 0:
        if first == second:
            return a, b
        if is_small(b):
            return a, number(b, first)
    elif second >= 0 and is_small(a):
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


cdef class Op:
    """What a function over arrays is to tapes and traces: a Primitive or an Update.

    Attributes
    ----------
    kernel : bool
        Whether `forward` takes `out`, and then does nothing but call kernels, or raises NotRecorded: so a
        program can do without Python.
    chain : str, optional
        The op's name as a step of `chain`, for an elementwise one.
    """

    cdef readonly object name, forward, chain
    cdef readonly bint kernel
    cdef int step  # the number of `chain`, or -1

    def __init__(self, forward, bint kernel, chain):
        self.name = forward.__name__.strip("_")
        self.forward, self.kernel, self.chain = forward, kernel, chain
        self.step = -1 if chain is None else op_numbers[chain]


cdef class Primitive(Op):
    """An op that gives a new array; made by the decorator `primitive`."""

    cdef readonly object rule

    def gradient(self, rule):
        """Decorator that sets the rule from the output's gradient to the inputs' gradients."""
        self.rule = rule
        return rule

    def __call__(self, *inputs, **attributes):
        array = self.applied(inputs, attributes)
        cdef TensorBase x, output
        if type(array) is not cnp.ndarray:
            array = np.asarray(array)
        elif cnp.PyArray_BASE(array) != NULL:
            for x in inputs:
                if is_written_to(x):
                    array = cnp.PyArray_NewCopy(array, cnp.NPY_KEEPORDER)  # a view of such memory would change with it
                    break
        output = wrap(array)
        cdef dict listening = recorders.stack
        cdef Call call
        if listening:
            call = Call(self, inputs, attributes, output)
            for recorder in listening:
                if isinstance(recorder, TapeBase):
                    (<TapeBase>recorder).note(call)
                else:
                    recorder.record(call)
        return output

    cdef object applied(self, tuple inputs, dict attributes):
        cdef list arrays = []
        cdef TensorBase x
        for x in inputs:
            arrays.append(array_of(x))
        if attributes:
            return self.forward(*arrays, **attributes)
        array = None if self.step < 0 else of_one_step(self.step, arrays)
        if array is not None:
            return array
        if len(arrays) == 1:
            return self.forward(arrays[0])
        if len(arrays) == 2:
            return self.forward(arrays[0], arrays[1])
        return self.forward(*arrays)


cdef class Update(Op):
    """An op that changes variables in place, and has no gradient; made by the decorator `update`.

    Its function takes the storage of the variables, then the arrays of the inputs, then attributes.
    """

    def __call__(self, tuple variables not None, *inputs, **attributes):
        if recorders.trace is not None:
            recorders.trace.update(self, variables, inputs, attributes)
            return
        cdef Writing writing = Writing()
        cdef list arrays = []
        cdef VariableBase variable
        cdef TensorBase x
        # The storage first: an input that was read from it becomes a copy thereby.
        for variable in variables:
            about_to_change(variable, writing)
            arrays.append(variable.array)
        try:
            for x in inputs:
                arrays.append(array_of(x))
            if attributes or self.step < 0 or not changed_in_one_step(self.step, arrays):
                self.forward(*arrays, **attributes)
        finally:
            writing.is_over = True


@cython.auto_pickle(False)
cdef class Call:
    """One application of a primitive."""

    cdef readonly Primitive primitive
    cdef readonly tuple inputs
    cdef readonly dict attributes
    cdef readonly TensorBase output

    def __init__(self, Primitive primitive not None, tuple inputs not None, dict attributes not None,
                 TensorBase output not None):
        self.primitive, self.inputs, self.attributes, self.output = primitive, inputs, attributes, output


@cython.auto_pickle(False)
cdef class TapeBase(Member):
    """What a tape notes: the calls that depend on something that is watched.

    Attributes
    ----------
    _steps : list of (Call, keys of its inputs, key of its output)
    """

    cdef readonly bint _persistent, _used
    cdef bint automatic
    cdef list steps
    cdef dict watched  # by key; the reference keeps an id from being reused
    cdef set computed  # keys of the outputs of `steps`

    def __init__(self, bint persistent, bint automatic):
        self._persistent, self.automatic = persistent, automatic
        self.steps, self.watched, self.computed = [], {}, set()

    def __reduce__(self):
        return type(self), (self._persistent, self.automatic)  # the copy of a tape has noted nothing yet

    def watches(self, TensorBase x not None):
        """Whether `watch` was called for exactly this tensor."""
        return <size_t><void *>x in self.watched

    def follows(self, TensorBase x not None):
        """Whether gradients can flow back from this tensor to something that is watched."""
        return self.is_followed(x)

    def record(self, Call call not None):
        """Note a call, if it depends on something that is watched and can still be asked for."""
        self.note(call)

    def _watch(self, TensorBase x not None):
        self.watched[key_of(x)] = x

    def _take(self):
        """The calls noted so far, which a tape that is not persistent gives away."""
        self._used = True
        if self._persistent:
            return self.steps.copy()
        steps, self.steps, self.computed = self.steps, [], set()
        return steps

    cdef bint is_followed(self, TensorBase x) except -1:
        origin = x.origin
        if type(origin) is ReadFrom and (<ReadFrom>origin).index is None:
            return self.follows_variable((<ReadFrom>origin).variable)
        key = <size_t><void *>x
        return key in self.computed or key in self.watched

    cpdef bint follows_variable(self, variable) except -1:
        return (self.automatic and variable._trainable) or <size_t><void *>variable in self.watched

    cdef int note(self, Call call) except -1:
        if call.primitive.rule is None or (self._used and not self._persistent):
            return 0
        cdef list keys = []
        cdef bint depends = False
        cdef TensorBase x
        for x in call.inputs:
            key = key_of(x)
            keys.append(key)
            depends = depends or key in self.computed
        for x in call.inputs:
            depends = depends or self.is_followed(x)
        if depends:
            output = <size_t><void *>call.output
            self.steps.append((call, keys, output))
            self.computed.add(output)
        return 0


def described(list path not None, dict gradients not None, list sources not None):
    """A way back along the calls of a tape without its numbers, by which its program is found.

    Returns
    -------
    kind : tuple
        What a program for this way depends on.
    tensors : list
        Those of the path, then the gradients that are given.
    places : dict
        Among them, by key.

    None if the way is of this run alone: by a matrix without its zeros, an index that is an array, or what a
    variable held before it changed.
    """
    cdef list tensors = [], parts = [settings()], keys
    cdef dict places = {}
    cdef Call call
    cdef TensorBase x
    cdef Py_ssize_t i
    for call, keys, output in path:
        if "rows" in call.attributes:
            return None
        parts.append(call.primitive)
        parts.extend(call.attributes.values())
        for i in range(len(keys)):
            x = call.inputs[i]
            at = places.get(keys[i])
            if at is None:
                at = places[keys[i]] = len(tensors)
                tensors.append(x)
                add_kind(parts, x)
            elif tensors[at] is not x:
                return None
            parts.append(at)
        places[output] = len(tensors)
        tensors.append(call.output)
    for target, x in gradients.items():
        parts.append(places.setdefault(target, -len(tensors)))
        add_kind(parts, x)
        tensors.append(x)
    for source in sources:
        parts.append(places.get(source))
    kind = tuple(parts)
    try:
        hash(kind)
    except TypeError:
        return None
    return kind, tensors, places


cdef int add_kind(list parts, TensorBase x) except -1:
    array = array_of(x)
    parts.append(array.shape)
    parts.append(array.dtype)
    return 0
