# Scopes: a part of the door, csrc/_kernels.pyx.


cdef class Scope:
    """Gives attributes of an object other values inside a ``with`` block.

    It is here and not in Python because there a signal's handler may raise between any two steps, also
    between what is set and the block that sets it back. In C it comes before both, or inside the block.

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
            if error is not None:
                self.failed()
        finally:
            self.give(self.outside)

    def failed(self):
        """What is to be done before if the block has failed: by itself nothing."""

    cdef int give(self, dict values) except -1:
        for name, value in values.items():
            setattr(self.of, name, value)
        return 0
