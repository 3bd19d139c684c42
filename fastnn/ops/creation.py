"""Tensors made of a rule, and what is to be known of a tensor."""

from __future__ import annotations

import numpy as np

from fastnn._kernels import wrap
from fastnn.arrays import Array, DType, Shape, to_dtype, to_shape
from fastnn.tensor import Tensor, TensorLike, constant, convert, to_array


def arange(start: float, stop: float | None = None, step: float = 1, dtype: DType = None) -> Tensor:
    """Numbers from `start` in steps up to, but not including, `stop`; with one number, from 0.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ops.arange(3)
    Tensor([0 1 2], shape=(3,), dtype=int32)
    """
    if step == 0:
        raise ValueError("arange: step must not be 0")
    first, last = (0, start) if stop is None else (start, stop)
    # Python numbers give int32 and float32, as they do elsewhere.
    kind = to_dtype(dtype or constant([first, last, step]).dtype)
    return wrap(np.arange(first, last, step).astype(kind))


def linspace(start: float, stop: float, num: int = 50, dtype: DType = None) -> Tensor:
    """`num` numbers from `start` to `stop`, both included, at equal distances."""
    return wrap(np.linspace(start, stop, num, dtype=to_dtype(dtype, floating=True)))


def eye(num_rows: int, num_columns: int | None = None, k: int = 0, dtype: DType = None) -> Tensor:
    """Ones on the `k`-th diagonal to the right of the main one of a matrix, zeros elsewhere."""
    return wrap(np.eye(num_rows, num_columns, k, dtype=to_dtype(dtype)))


def full(shape: Shape | int, fill_value: TensorLike, dtype: DType = None) -> Tensor:
    """A tensor of one value."""
    return wrap(np.full(to_shape(shape), to_array(fill_value, dtype)))


def zeros_like(x: TensorLike) -> Tensor:
    """Zeros of the shape and dtype of x."""
    return wrap(np.zeros_like(convert(x)._array))


def ones_like(x: TensorLike) -> Tensor:
    """Ones of the shape and dtype of x."""
    like = convert(x)
    array = np.empty(like.shape, like.dtype)
    array.fill(1)  # np.ones_like takes three times as long, for the gradient of every loss
    return wrap(array)


def convert_to_tensor(x: TensorLike, dtype: DType = None) -> Tensor:
    """x as a tensor: itself, what a variable holds now, or a copy of an array."""
    return convert(x, dtype) if isinstance(x, Tensor | list | tuple) else constant(x, dtype)


def convert_to_numpy(x: TensorLike) -> Array:
    """The values in an array of their own."""
    return np.array(convert(x))


def shape(x: TensorLike) -> Shape:
    """The length of each axis."""
    return convert(x).shape


def size(x: TensorLike) -> int:
    """The number of elements."""
    return convert(x).size


def ndim(x: TensorLike) -> int:
    """The number of axes."""
    return convert(x).ndim


def is_tensor(x: object) -> bool:
    """Whether x is a Tensor or a Variable."""
    return isinstance(x, Tensor)
