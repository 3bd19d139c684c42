"""Changes: how often something that recorded programs rest on got another value.

Of objects, attributes that are replaced; not what happens inside a list or dict among them.
"""

from __future__ import annotations

import threading

from fastnn._kernels import Scope

_count = 0


class _Here(threading.local):
    """Whether this thread computes with such objects, which may note things in themselves."""

    is_computing = False


_here = _Here()


def changes() -> int:
    """Their number so far, in the process."""
    return _count


def is_computing() -> bool:
    """Whether what this thread replaces now is no change."""
    return _here.is_computing


def note_change() -> None:
    """One more, unless this thread is computing."""
    global _count  # noqa: PLW0603  # one number of the process
    if not _here.is_computing:
        _count += 1


def computing() -> Scope:
    """What is replaced inside the ``with`` block is no change: nobody waits for it."""
    return Scope(_here, is_computing=True)
