"""Labels and features in the forms that networks take."""

from __future__ import annotations

import numpy as np

from fastnn.arrays import Array
from fastnn.ops import abs, equal, pow, reduce_sum, where
from fastnn.ops.labels import ANY, one_hot, to_classes
from fastnn.tensor import Tensor, TensorLike, to_array


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
        num_classes = int(to_classes(labels, ANY, "x").numpy().max(initial=-1)) + 1
    to_classes(labels, num_classes, "x")
    return np.array(one_hot(labels, num_classes, np.float64))


def normalize(x: TensorLike, axis: int = -1, order: float = 2) -> Array | Tensor:
    """Divide by the norm along an axis; what is zero stays zero.

    Parameters
    ----------
    x : array or tensor
    axis : int, default -1
    order : number, default 2
        Of the norm, as in `numpy.linalg.norm`; of a tensor's, positive and finite.

    Returns
    -------
    ndarray or Tensor
        A tensor if `x` is one.

    Raises
    ------
    ValueError
        If `x` is a tensor and `order` is not positive and finite.

    Examples
    --------
    >>> from fastnn.utils import normalize
    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    if not isinstance(x, Tensor):
        array = np.asarray(x)
        norm = np.linalg.norm(array, order, axis, keepdims=True)
        return np.asarray(array / np.where(norm == 0, 1, norm))
    if not 0 < order < np.inf:
        raise ValueError(f"order is {order}; of a tensor's norm it must be positive and finite")
    total = reduce_sum(pow(abs(x), order), axis, keepdims=True)
    # Before the root, whose slope at zero is infinite.
    return x / pow(where(equal(total, 0), 1, total), 1 / order)
