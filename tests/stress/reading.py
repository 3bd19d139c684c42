"""What must hold when a file is read, whatever is in it: for the tests and the fuzzers."""

import os
import sys
import tracemalloc
from contextlib import contextmanager
from functools import cache

MEMORY = 16 * 2**20  # bytes, beyond those of the file
SECONDS = 20  # for one file

# Nothing can be seen or done by these; "open" is looked at.
HARMLESS = {"builtins.id", "object.__getattr__", "sys._getframe", "array.__new__", "code.__new__"}


class Auditor:
    """Tells what Python was asked to do."""

    events = None

    def __call__(self, event, arguments):
        if self.events is not None and event not in HARMLESS:
            self.events.append((event, *(str(each)[:500] for each in arguments[:2])))

    @contextmanager
    def watching(self):
        self.events = []
        try:
            yield self.events
        finally:
            self.events = None


@cache  # a hook cannot be taken away again
def auditor():
    hook = Auditor()
    sys.addaudithook(hook)
    return hook


def tried(read, path, size):
    """Whether a read succeeds, while tracemalloc traces.

    It may raise ValueError, open the file for reading, and take its size and a little of memory.
    """
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    refusal = None
    with auditor().watching() as events:
        try:
            read()
        except ValueError as error:
            refusal = str(error)
    taken = tracemalloc.get_traced_memory()[1] - before
    assert taken <= size + MEMORY, f"{taken:,} bytes for a file of {size:,}"
    opened = [("open", str(path), mode) for mode in ("r", "rb")]
    more = [event for event in events if event not in opened]
    assert more == [], more  # in the message too where pytest does not write it
    assert refusal is None or str(path) in refusal or path.name in refusal
    return refusal is None


def put(path, content):
    """Write a file, in place, which takes less time than a new file."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT), "wb", buffering=0) as file:
        file.write(content)
        file.truncate()
