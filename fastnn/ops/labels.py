"""Class labels: integers from 0 to classes - 1."""

from __future__ import annotations

import numpy as np

from fastnn import _kernels
from fastnn.arrays import Array, DType, to_dtype
from fastnn.hyperparameters import count
from fastnn.ops.core import primitive
from fastnn.tensor import Tensor, TensorLike, convert

ANY = np.iinfo(np.int64).max  # as the number of classes: no label is too large


@primitive(kernel=True)
def _to_classes(x: Array, classes: int, name: str, out: Array | None = None) -> Array:
    if out is not None:
        return _kernels.labels(x, classes, out)
    bad = (x < 0) | (x >= classes)
    if x.dtype.kind == "f":
        bad |= x != np.floor(x)
    if bad.any():
        index = tuple(int(i) for i in np.argwhere(bad)[0])
        place = ", ".join(map(str, index))
        if classes == 1:
            raise ValueError(
                f"{name}[{place}] is {x[index]}, and there is one class, 0: give the last layer a "
                "unit for each class, or tell two classes apart by one unit with "
                "binary_crossentropy"
            )
        if classes == ANY or x[index] != np.floor(x[index]):
            raise ValueError(
                f"{name}[{place}] is {x[index]}; a class is a whole number, 0 or more: for other "
                "targets take a loss of numbers, such as mean_squared_error"
            )
        raise ValueError(
            f"{name}[{place}] is {x[index]}; {classes} classes are numbered by the whole "
            f"numbers 0 to {classes - 1}: count the classes from 0, or let there be more of them "
            "(units of the last layer, depth of one_hot)"
        )
    return x.astype(np.int64)


@primitive
def _one_hot(classes: Array, depth: int, dtype: np.dtype[np.generic]) -> Array:
    rows = np.zeros((*classes.shape, depth), dtype)
    np.put_along_axis(rows, classes[..., None], 1, axis=-1)
    return rows


def to_classes(labels: TensorLike, classes: int, name: str = "labels") -> Tensor:
    """`labels` as int64 in [0, classes); whole numbers of a float type are accepted, and bool.

    Raises
    ------
    ValueError
        If a label is fractional, NaN, negative or too large: the message names the first such.
    """
    tensor = convert(labels)
    if tensor.dtype.kind == "b":
        tensor = convert(tensor, np.uint8)
    return _to_classes(tensor, classes=classes, name=name)


def one_hot(
    indices: TensorLike,
    depth: int | None = None,
    dtype: DType = np.float32,
    num_classes: int | None = None,
) -> Tensor:
    """Rows of zeros with a one at each index: shape (..., depth).

    Parameters
    ----------
    indices : whole numbers
    depth : int
        Keras's word for it, `num_classes`, may be used instead.
    dtype : dtype, default float32

    Raises
    ------
    ValueError
        If an index is not a whole number in [0, depth), or `depth` is negative.
    TypeError
        If there is no depth.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.one_hot([0, 2], 3).numpy()
    array([[1., 0., 0.],
           [0., 0., 1.]], dtype=float32)
    """
    depth = num_classes if depth is None else depth
    if depth is None:
        raise TypeError("one_hot needs the number of classes: one_hot(indices, depth)")
    classes = count("depth", depth, least=0)
    return _one_hot(to_classes(indices, classes, "indices"), depth=classes, dtype=to_dtype(dtype))


@primitive(kernel=True)
def _hits(x: Array, labels: Array, out: Array | None = None) -> Array:
    return _kernels.hits(x, labels, out)


def hits(x: Tensor, labels: TensorLike) -> Tensor:
    """1 where the first largest element of a row of x, (..., n), is that of the label, else 0."""
    return _hits(x, convert(labels, x.dtype))
