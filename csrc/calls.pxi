# Calls of ops, and what a tape notes of them: a part of the door, csrc/_kernels.pyx.


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
                if is_written_to(x):  # a view of such memory would change with it
                    array = cnp.PyArray_NewCopy(array, cnp.NPY_CORDER)
                    break
        output = wrap(array)
        cdef dict listening = recorders.stack
        cdef Call call
        if listening:
            call = Call(self, inputs, attributes, output)
            for recorder in listening:
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
            arrays.append(array_of(variable))
        try:
            for x in inputs:
                arrays.append(array_of(x))
            if attributes or len(inputs) != 1 or len(variables) != 1 or not changed_in_one_step(self.step, arrays):
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

    def __cinit__(self, Primitive primitive not None, tuple inputs not None, dict attributes not None,
                  TensorBase output not None):
        self.primitive, self.inputs, self.attributes, self.output = primitive, inputs, attributes, output


@cython.auto_pickle(False)
cdef class TapeBase(Member):
    """What a tape notes: the calls that depend on something that is watched."""

    cdef readonly bint _persistent, _used
    cdef bint automatic
    cdef list steps  # calls, each with the keys of its inputs and of its output
    cdef dict watched  # by key; the reference keeps an id from being reused
    cdef set computed  # keys of the outputs of `steps`

    def __cinit__(self):
        self.steps, self.watched, self.computed = [], {}, set()

    def __init__(self, bint persistent, bint automatic):
        self._persistent, self.automatic = persistent, automatic

    def __reduce__(self):
        if self.steps or self.watched:
            raise TypeError("a tape that has noted something cannot be copied; open another GradientTape")
        return new_object, (type(self),), (self._persistent, self.automatic, self._used, vars(self))

    def __setstate__(self, tuple state not None):
        self._persistent, self.automatic, self._used, attributes = state
        vars(self).update(attributes)

    def watches(self, TensorBase x not None):
        """Whether `watch` was called for exactly this tensor."""
        return <size_t><void *>x in self.watched

    def follows(self, TensorBase x not None):
        """Whether gradients can flow back from this tensor to something that is watched."""
        return self.is_followed(x)

    def record(self, Call call not None):
        """Note a call, if it depends on something that is watched and can still be asked for."""
        if call.primitive.rule is None or (self._used and not self._persistent):
            return
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
