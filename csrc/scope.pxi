# Scopes: a part of the door, csrc/_kernels.pyx.
#
# They are here and not in Python because there a signal's handler may raise between any two steps, also between
# what is set and the block that sets it back. In C it comes before both, or inside the block.


cdef class Scope:
    """Gives attributes of an object other values inside a ``with`` block.

    Parameters
    ----------
    of : object
    **values
        Of its attributes.
    """

    cdef object of
    cdef dict inside, outside

    def __init__(self, of, **values):
        self.of, self.inside = of, values
        self.outside = {name: getattr(of, name) for name in values}

    def __enter__(self):
        self.give(self.inside)
        return self

    def __exit__(self, kind, error, traceback):
        try:
            self.ended(error is not None)
        finally:
            self.give(self.outside)

    def ended(self, failed):
        """What is to be done before, whether the block has failed or not: by itself nothing."""

    cdef int give(self, dict values) except -1:
        for name, value in values.items():
            setattr(self.of, name, value)
        return 0


cdef class Member:
    """Is in the stack of an object, the keys of a dict, inside a ``with`` block.

    Attributes
    ----------
    members_of : object
        Of the class.
    """

    def __enter__(self):
        cdef dict stack = self.members_of.stack
        if self in stack:
            kind = type(self).__name__
            raise RuntimeError(f"this {kind} is open already; nest another {kind}() instead")
        stack[self] = None
        return self

    def __exit__(self, *error):
        cdef dict stack = self.members_of.stack
        if self not in stack:
            raise RuntimeError(
                f"this {type(self).__name__} is not open in this thread: leave its with block once, in the thread "
                "that entered it")
        del stack[self]


cdef class Limit:
    """At most n threads inside a ``with`` block."""

    cdef object n
    cdef list before

    def __init__(self, n):
        self.n, self.before = n, []

    def __enter__(self):
        before = thread_limit()
        set_threads(self.n)
        self.before.append(before)

    def __exit__(self, *error):
        fn_set_threads(self.before.pop())
