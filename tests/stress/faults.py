"""Allocations that fail, one after another, in calls of the public interface.

It runs in a process of its own, ``python faults.py STRIDE GROUP...``, with faults.c preloaded and
PYTHONMALLOC=malloc, so that the allocations of C, of Python and of NumPy all come from there. An
interpreter that is out of memory may crash: then its last line says at which allocation. Without
arguments it prints the names of the groups of calls.
"""

import ctypes
import gc
import itertools
import json
import pickle
import sys

import numpy as np
from faulty_calls import CALLS

import fastnn
from fastnn import _kernels
from fastnn.recorders import recorders

AFTER = 10  # allocations that the sweep looks for behind the last one
LOOK = 500  # faults after which it looks for lost memory, which takes longer than a fault

C = ctypes.CDLL(None)
fail_after, bytes_in_use, kernel_blocks_in_use = (
    getattr(C, name) for name in ("fail_after", "bytes_in_use", "kernel_blocks_in_use")
)
fail_after.argtypes = [ctypes.c_long]
bytes_in_use.restype = kernel_blocks_in_use.restype = ctypes.c_long


def enter_allocator():
    """Have NumPy take the memory of arrays from faults.c, which keeps none for later."""
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p] * 3
    handler, name = (
        ctypes.addressof(ctypes.c_char.in_dll(C, symbol))
        for symbol in ("array_handler", "array_handler_name")
    )
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    table = pointer(np._core._multiarray_umath._ARRAY_API, None)
    entry = ctypes.c_void_p.from_address(table + 304 * ctypes.sizeof(ctypes.c_void_p))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(entry.value)
    set_handler(new(handler, name, None))


def same(state, other):
    """Whether they are of one step; what an optimizer has not made yet counts as its zeros."""
    pairs = itertools.zip_longest(state, other)
    return all(a == b or (None in (a, b) and not any(a or b)) for a, b in pairs)


def plain(x):
    """What can be compared of a result: shapes and bits instead of arrays."""
    if isinstance(x, fastnn.Tensor | np.ndarray):
        array = np.asarray(x)
        return array.shape, array.dtype.char, array.tobytes()
    if isinstance(x, dict):
        return {key: plain(value) for key, value in x.items()}
    return [plain(part) for part in x] if isinstance(x, list | tuple) else repr(x)


def in_use():
    """Bytes of all, and blocks of the kernels but for those of programs and of scratch memory."""
    gc.collect()
    programs = sum(isinstance(x, _kernels.Program) for x in gc.get_objects())
    return bytes_in_use(), kernel_blocks_in_use() - programs - 1


class Sweep:
    """A call of which one allocation after another fails, and what became of it."""

    def __init__(self, make):
        self.make = make
        self.context = make()
        self.first = self.context.first
        self.states = self.context.states()
        self.context.restore()
        self.expected = plain(self.context.run())
        self.found = {"failed": 0, "hidden": 0, "problems": []}

    def run(self, stride):
        start, lost = in_use()
        spared = 0
        for tries, n in enumerate(itertools.count(0, stride), 1):
            spared = 0 if self.attempt(n) else spared + 1
            done = spared > AFTER // stride
            if done or tries % LOOK == 0:
                end, now_lost = in_use()
                if now_lost > max(lost, 0):
                    self.found["problems"].append(f"up to allocation {n}: the kernels lose a block")
                lost = now_lost
            if done:
                break
        self.found["growth"] = (end - start) / max(1, self.found["failed"])
        return self.found

    def attempt(self, n):
        """Call it while an allocation fails; whether one did."""
        if self.first:
            self.context = self.make()
        self.context.restore()
        what, failed = outcome(self.context, n)
        if not failed:
            return False
        self.found["failed"] += 1
        self.found["hidden"] += is_hidden(what)
        problem = self.refused(what) or self.wrong()
        if problem:
            self.found["problems"].append(f"allocation {n}: {problem[:200]}")
            self.context = self.make()
        return True

    def refused(self, what):
        """What is wrong about an outcome."""
        if isinstance(what, MemoryError) or is_hidden(what) or plain(what) == self.expected:
            return None
        return repr(what)

    def wrong(self):
        """What is wrong with the state after a fault, or with the next call."""
        state = self.context.state()
        if not any(same(state, other) for other in self.states):
            return "the state is between two steps"
        if recorders.stack:
            recorders.stack.clear()
            return "somebody is still told of every op"
        self.context.restore()
        try:
            again = plain(self.context.run())
        except Exception as error:
            return f"the next call raises {error!r}"
        return None if again == self.expected else "the next call gives something else"


def keep_pairs():
    """Leave CPython memory for pairs: it does not survive ``for k, v in x.items()`` without any.

    It keeps as many tuples of a length for later.
    """
    pairs = [(n, n) for n in range(2000)]
    del pairs


def outcome(context, n):
    """The result of a call, or its error, while an allocation fails; and whether one did."""
    what = None
    keep_pairs()
    fail_after(n)
    try:
        what = context.run()
    except BaseException as error:
        what = error.with_traceback(None)
    try:
        return what, bool(fail_after(-1))
    except (MemoryError, ctypes.ArgumentError):  # it failed here, behind the call
        return what, False


def is_hidden(error):
    """Whether NumPy or CPython raised something else: a function of C that fails without an error
    is a SystemError, a lock that cannot be made, as a file has one, is a RuntimeError, a path whose
    method is not found is a TypeError, and an import inside of pickle a PicklingError.
    """
    of_a_lock = isinstance(error, RuntimeError) and "can't allocate" in str(error)
    of_a_path = isinstance(error, TypeError) and "os.PathLike object, not PosixPath" in str(error)
    of_pickle = isinstance(error, pickle.PicklingError) and "import of module" in str(error)
    return of_a_lock or of_a_path or of_pickle or isinstance(error, SystemError)


def sweep(stride, groups):
    """What became of the calls of these groups."""
    sys.unraisablehook = lambda unraisable: None  # what fails while an object is freed
    enter_allocator()
    gc.disable()
    gc.collect()
    gc.freeze()  # so that `in_use` looks at little
    found = {}
    for group in groups:
        for call, make in CALLS[group].items():
            print(group, call, file=sys.stderr, flush=True)
            found[f"{group}: {call}"] = Sweep(make).run(stride)
    return found


if __name__ == "__main__":
    arguments = sys.argv[1:]
    print(json.dumps(sweep(int(arguments[0]), arguments[1:]) if arguments else [*CALLS]))
