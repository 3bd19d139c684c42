"""Class labels: integers from 0 to classes - 1."""

from __future__ import annotations

import numpy as np

from fastnn.arrays import Array, DType, to_dtype
from fastnn.tensor import Tensor, TensorLike, to_array, wrap


def to_classes(labels: TensorLike, classes: int, name: str = "labels") -> Array:
    """`labels` as an array of integers in [0, classes); whole numbers in a float array are
    accepted.

    Raises
    ------
    ValueError
        If a label is fractional, NaN, negative or too large: the message names the first such.
    """
    array = to_array(labels)
    if array.dtype.kind == "b":
        array = array.astype(np.uint8)
    bad = (array < 0) | (array >= classes)
    if array.dtype.kind == "f":
        bad |= array != np.floor(array)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        place = ", ".join(map(str, index))
        raise ValueError(
            f"{name}[{place}] is {array[index]}; {classes} classes are numbered by the whole "
            f"numbers 0 to {classes - 1}"
        )
    return array.astype(np.int64) if array.dtype.kind == "f" else array


def one_hot(indices: TensorLike, depth: int, dtype: DType = np.float32) -> Tensor:
    """Rows of zeros with a one at each index: shape (..., depth).

    Raises
    ------
    ValueError
        If an index is not a whole number in [0, depth).

    Examples
    --------
    >>> import fastnn
    >>> fastnn.one_hot([0, 2], 3).numpy()
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    classes = to_classes(indices, depth, "indices")
    rows = np.zeros((*classes.shape, depth), to_dtype(dtype))
    np.put_along_axis(rows, classes[..., None].astype(np.intp), 1, axis=-1)
    return wrap(rows)
