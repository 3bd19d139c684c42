"""Variances, norms, products: what is computed from sums and extremes over axes."""

from __future__ import annotations

import math

import numpy as np

from fastnn.ops.axes import Axis, checked_axes
from fastnn.ops.core import computable, floating
from fastnn.ops.elementwise import abs, exp, log, sqrt, square, stop_gradient, where
from fastnn.ops.reductions import (
    kept_shape,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_sum,
)
from fastnn.ops.shaping import concat, reshape, transpose
from fastnn.tensor import Tensor, TensorLike, convert, zeros


def reduce_variance(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean of the squared distances from the mean over `axis`, by default over all axes.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ops.var([1.0, 3.0])
    Tensor(1.0, shape=(), dtype=float32)
    """
    tensor = floating(x)
    distances = tensor - reduce_mean(tensor, axis, keepdims=True)
    return reduce_mean(square(distances), axis, keepdims)


def reduce_std(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The square root of the variance over `axis`, by default over all axes."""
    return sqrt(reduce_variance(x, axis, keepdims))


def reduce_prod(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The product over `axis`, by default over all axes; 1 over no elements.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.reduce_prod([[1.0, 2.0], [3.0, 4.0]], axis=0)
    Tensor([3. 8.], shape=(2,), dtype=float32)
    """
    tensor = computable(x)
    if tensor.dtype.kind != "f":  # as NumPy: bytes would overflow
        tensor = convert(tensor, np.prod(np.ones(0, tensor.dtype)).dtype)
    axes = checked_axes("reduce_prod", tensor, axis)
    others = tuple(a for a in range(tensor.ndim) if a not in axes)
    lengths = tuple(tensor.shape[a] for a in others)
    count = math.prod(tensor.shape[a] for a in axes)
    factors = reshape(transpose(tensor, (*axes, *others)), (count, *lengths))
    if not count:
        factors = reduce_sum(factors, axis=0, keepdims=True) + np.ones((), tensor.dtype)
    while len(factors) > 1:  # by halves: as few ops as can be, and zeros need no care
        half = len(factors) // 2
        products = factors[:half] * factors[half : 2 * half]
        factors = concat([products, factors[2 * half :]]) if len(factors) % 2 else products
    return reshape(factors, kept_shape(tensor.shape, axes) if keepdims else lengths)


def logsumexp(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """log(sum(exp(x))) over `axis`, by default over all axes, the maximum being subtracted first.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.logsumexp([1000.0, 1000.0]).numpy().round(2)
    np.float32(1000.69)
    """
    tensor = floating(x)
    axes = checked_axes("logsumexp", tensor, axis)
    largest = finite_max(tensor, axes)
    result = log(reduce_sum(exp(tensor - largest), axes, keepdims=True)) + largest
    shape = tuple(n for a, n in enumerate(tensor.shape) if a not in axes)
    return result if keepdims else reshape(result, shape)


def finite_max(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """What exponentials are kept small by, through which no gradient flows: the largest element
    along the axes, which stay as axes of length 1, or 0 where it is not finite or there is none.
    """
    if any(x.shape[a] == 0 for a in axes):
        return zeros(kept_shape(x.shape, axes), x.dtype)
    largest = stop_gradient(reduce_max(x, axes, keepdims=True))
    return where(abs(largest) < float("inf"), largest, 0)


def norm(
    x: TensorLike,
    ord: float | str | None = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Tensor:
    """The length of vectors, or of all elements as one vector.

    Parameters
    ----------
    x : tensor
    ord : None, "euclidean" or "fro"; 2; 1; inf; -inf
        The root of the sum of squares (default), for vectors also called 2; for vectors too the sum
        of magnitudes, their maximum or minimum.
    axis : int or tuple of int, optional
        Where a vector lies; by default along all axes.
    keepdims : bool, default False

    Raises
    ------
    ValueError
        If `ord` is something else.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.norm([[3.0, 4.0], [0.0, 2.0]], axis=1)
    Tensor([5. 2.], shape=(2,), dtype=float32)
    """
    tensor = floating(x)
    of_vectors = len(checked_axes("norm", tensor, axis)) == 1
    if ord in (None, "euclidean", "fro") or (ord == 2 and of_vectors):
        return sqrt(reduce_sum(square(tensor), axis, keepdims))
    if of_vectors:
        for known, reduction in (
            (1, reduce_sum),
            (float("inf"), reduce_max),
            (float("-inf"), reduce_min),
        ):
            if ord == known:
                return reduction(abs(tensor), axis, keepdims)
    raise ValueError(
        f"norm: ord {ord!r} over axis {axis} of shape {tensor.shape}; ord is None, "
        "'euclidean' or 'fro', or for vectors (one axis) 2, 1, inf or -inf"
    )
