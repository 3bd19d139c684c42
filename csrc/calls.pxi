# Ops and their calls: a part of the door, csrc/_kernels.pyx.


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

    def __cinit__(self, forward, bint kernel, chain):
        if chain is not None and chain not in op_numbers:
            raise ValueError(f"there is no step {chain!r} of a chain; choose one of {', '.join(CHAIN_OPS)}")
        self.name = forward.__name__.strip("_")
        self.forward, self.kernel, self.chain = forward, kernel, chain
        self.step = op_numbers.get(chain, -1)


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
        array = None if attributes or self.step < 0 else elementwise(self.step, arrays)
        return self.forward(*arrays, **attributes) if array is None else array


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
        try:
            # The storage first: an input that was read from it becomes a copy thereby.
            for variable in variables:
                about_to_change(variable, writing)
                arrays.append(array_of(variable))
            for x in inputs:
                arrays.append(array_of(x))
            is_plain = len(variables) == len(inputs) == 1 and not attributes
            if not (is_plain and changed_elementwise(self.step, arrays)):
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
