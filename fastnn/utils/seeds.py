"""One seed for everything random."""

import random as python_random

import numpy as np

from fastnn import random
from fastnn.hyperparameters import count


def set_random_seed(seed: int) -> None:
    """Make everything random that follows (weights, shuffles, random tensors) repeatable.

    As in Keras, also what Python's `random` and the functions of `numpy.random` draw.

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
    seed = count("seed", seed, least=0)
    random.seed(seed)
    python_random.seed(seed)
    np.random.seed(seed % 2**32)  # it takes no more bits
