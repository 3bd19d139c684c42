"""What a forked child must not take over: what threads held that it does not have."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

_forks = 0


def in_child(function: Callable[[], None]) -> Callable[[], None]:
    """Decorator: call it in every child, at once after the fork."""
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)
    return function


@in_child
def _count() -> None:
    global _forks  # noqa: PLW0603  # one number of the process
    _forks += 1


def forks() -> int:
    """How many forks lie between the first process and this one."""
    return _forks


class _Lock(AbstractContextManager[bool], Protocol):
    def acquire(self, blocking: bool = True) -> bool: ...
    def release(self) -> None: ...


class Lock:
    """A lock that a forked child finds open, even if its parent was at work under it.

    ``with lock.here():`` takes the lock of this process; every process has one of its own.

    Parameters
    ----------
    kind : callable, default threading.Lock
        Makes it; threading.RLock one that its thread may take again.
    """

    def __init__(self, kind: Callable[[], _Lock] = threading.Lock) -> None:
        self._kind = kind
        self._of: dict[int, _Lock] = {}

    def here(self) -> _Lock:
        """The lock of this process."""
        return self._of.get(_forks) or self._of.setdefault(_forks, self._kind())
