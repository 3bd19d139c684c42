"""Small helpers around training."""

from __future__ import annotations

import sys

import numpy as np

from fastnn import random
from fastnn.arrays import Array
from fastnn.configuration import custom_object_scope, register_keras_serializable
from fastnn.ops.labels import one_hot, to_classes
from fastnn.tensor import TensorLike, to_array

__all__ = [
    "custom_object_scope",
    "register_keras_serializable",
    "set_random_seed",
    "to_categorical",
]

# `from keras.utils.np_utils import to_categorical`, as Keras's first users wrote it.
np_utils = sys.modules[f"{__name__}.np_utils"] = sys.modules[__name__]


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


def to_categorical(x: TensorLike, num_classes: int | None = None) -> Array:
    """Class labels as rows of zeros with a one.

    Parameters
    ----------
    x : whole numbers, shape (n,) or (n, 1)
    num_classes : int, optional
        By default the largest label plus 1.

    Returns
    -------
    ndarray
        float64, shape (n, num_classes).

    Raises
    ------
    ValueError
        If a label is not a whole number in [0, num_classes).

    Examples
    --------
    >>> from fastnn.utils import to_categorical
    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    labels = to_array(x)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    if num_classes is None:
        num_classes = (
            int(to_classes(labels, np.iinfo(np.int64).max, "x").numpy().max(initial=-1)) + 1
        )
    to_classes(labels, num_classes, "x")
    return np.array(one_hot(labels, num_classes, np.float64))
