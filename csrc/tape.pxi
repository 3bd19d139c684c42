# What a tape notes, and the way back along it: a part of the door, csrc/_kernels.pyx.


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
        return __newobj__, (type(self),), (self._persistent, self.automatic, self._used, vars(self))

    def __setstate__(self, tuple state not None):
        self._persistent, self.automatic, self._used, attributes = state
        vars(self).update(attributes)

    def watches(self, TensorBase x not None):
        """Whether `watch` was called for exactly this tensor."""
        return id_of(x) in self.watched

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
            keys.append(key_of(x))
            depends = depends or self.is_followed(x)
        if depends:
            output = id_of(call.output)
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
        variable = variable_behind(x)
        if variable is not None:
            return self.follows_variable(variable)
        key = id_of(x)
        return key in self.computed or key in self.watched

    cpdef bint follows_variable(self, VariableBase variable) except -1:
        return (self.automatic and variable._trainable) or id_of(variable) in self.watched


cdef inline object key_of(TensorBase x):
    variable = variable_behind(x)
    return id_of(x if variable is None else variable)


def gradient_key(TensorBase x not None):
    """What gradients are collected under: the id of the variable behind a tensor, or of the tensor itself."""
    return key_of(x)


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
