"""How many threads the kernels use."""

from __future__ import annotations

from contextlib import ContextDecorator
from typing import SupportsIndex

from fastnn import _kernels


def set_num_threads(n: SupportsIndex) -> None:
    """Use at most `n` threads from now on, in the whole process.

    Until this is called the limit is the environment variable FASTNN_NUM_THREADS, else the number
    of processors that the process may use: those of its affinity, or fewer if its control group
    has a smaller quota. Small work stays on one thread, and results have the same bits for every
    number of threads.

    Parameters
    ----------
    n : int
        From 1, the calling thread alone, to 256.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is out of range.

    Examples
    --------
    >>> before = get_num_threads()
    >>> set_num_threads(2)
    >>> get_num_threads()
    2
    >>> set_num_threads(before)
    """
    _kernels.set_threads(n)


def get_num_threads() -> int:
    """The largest number of threads that a kernel may use now.

    Examples
    --------
    >>> with threads(3):
    ...     get_num_threads()
    3
    """
    return _kernels.threads()


class threads(_kernels.Limit, ContextDecorator):  # noqa: N801  # it is called as a function is
    """A scope in which at most `n` threads are used; after it the limit from before holds again.

    The limit is that of the whole process: it also holds for kernels that other Python threads
    call meanwhile. Of scopes that overlap in several threads the last one to end decides.

    Parameters
    ----------
    n : int
        As in `set_num_threads`.

    Examples
    --------
    >>> import fastnn
    >>> with fastnn.threads(1):
    ...     y = fastnn.matmul(fastnn.ones((2, 3)), fastnn.ones((3, 2)))
    """

    def __init__(self, n: SupportsIndex) -> None:
        super().__init__(n)
