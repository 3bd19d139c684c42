"""One seed for everything random."""

from fastnn import random


def set_random_seed(seed: int) -> None:
    """Make everything random that follows (weights, shuffles, random tensors) repeatable.

    Parameters
    ----------
    seed : int
        Not negative.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.utils.set_random_seed(1)
    >>> x = fastnn.random.normal((3,))
    >>> fastnn.utils.set_random_seed(1)
    >>> bool((x.numpy() == fastnn.random.normal((3,)).numpy()).all())
    True
    """
    random.seed(seed)
