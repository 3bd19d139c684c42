"""Ops that put elements in other places, once or several times, made of those of shaping.py."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as as_integer

import numpy as np

from fastnn.ops.axes import Axis, checked_axes, existing_axis
from fastnn.ops.reductions import broadcast_to
from fastnn.ops.shaping import getitem, reshape, take, transpose
from fastnn.tensor import Tensor, TensorLike, convert, to_array


def flip(x: TensorLike, axis: Axis = None) -> Tensor:
    """x with the order of its elements reversed along an axis or several, by default all.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ops.flip([1.0, 2.0, 3.0])
    Tensor([3. 2. 1.], shape=(3,), dtype=float32)
    """
    tensor = convert(x)
    axes = checked_axes("flip", tensor, axis)
    return getitem(
        tensor, tuple(slice(None, None, -1 if a in axes else 1) for a in range(tensor.ndim))
    )


def roll(x: TensorLike, shift: int, axis: int | None = None) -> Tensor:
    """x with each element moved `shift` places along an axis, or through x as one row, and what
    leaves at the end back at the beginning.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ops.roll([1.0, 2.0, 3.0], 1)
    Tensor([3. 1. 2.], shape=(3,), dtype=float32)
    """
    tensor = convert(x)
    if axis is None:
        return reshape(roll(reshape(tensor, (-1,)), shift, 0), tensor.shape)
    at = existing_axis("roll", tensor, axis)
    length = tensor.shape[at]
    if not length:
        return tensor
    return take(tensor, np.roll(np.arange(length), as_integer(shift)), at)


def repeat(x: TensorLike, repeats: int | Sequence[int], axis: int | None = None) -> Tensor:
    """x with each element along an axis, or of x as one row, so many times, one after another.

    Parameters
    ----------
    x : tensor
    repeats : int, or sequence of int with one for each element
    axis : int, optional

    Examples
    --------
    >>> import fastnn
    >>> fastnn.repeat([1.0, 2.0], 2)
    Tensor([1. 1. 2. 2.], shape=(4,), dtype=float32)
    """
    tensor = convert(x)
    if axis is None:
        tensor, axis = reshape(tensor, (-1,)), 0
    at = existing_axis("repeat", tensor, axis)
    given, length = to_array(repeats), tensor.shape[at]
    fits = given.dtype.kind in "iu" and given.shape in [(), (1,), (length,)]
    counts = given.astype(np.int64)
    if not fits or np.any(counts < 0):
        raise ValueError(
            f"repeat: repeats {repeats!r} must be an integer that is not negative, or one for each "
            f"of the {length} elements of axis {axis} of shape {tensor.shape}"
        )
    return take(tensor, np.repeat(np.arange(length), counts), at)


def tile(x: TensorLike, repeats: int | Sequence[int]) -> Tensor:
    """x put side by side with itself, so many times along each axis.

    Parameters
    ----------
    x : tensor
    repeats : int or sequence of int
        For the last axes, if there are fewer than axes; for new ones before the first, if more.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.tile([[1.0, 2.0]], (2, 1)).shape
    (2, 2)
    """
    tensor = convert(x)
    times = [as_integer(n) for n in np.ravel(repeats)]
    if any(n < 0 for n in times):
        raise ValueError(f"tile: repeats {repeats!r} must not be negative")
    times = [1] * (tensor.ndim - len(times)) + times
    shape = [1] * (len(times) - tensor.ndim) + list(tensor.shape)
    apart = reshape(tensor, [n for length in shape for n in (1, length)])
    tiled = broadcast_to(apart, [n for pair in zip(times, shape, strict=True) for n in pair])
    return reshape(tiled, [n * length for n, length in zip(times, shape, strict=True)])


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """x with two axes exchanged."""
    tensor = convert(x)
    order = list(range(tensor.ndim))
    first, second = (existing_axis("swapaxes", tensor, a) for a in (axis1, axis2))
    order[first], order[second] = second, first
    return transpose(tensor, order)


def moveaxis(x: TensorLike, source: Axis, destination: Axis) -> Tensor:
    """x with an axis, or several, in other places, and the others in their order."""
    tensor = convert(x)
    moved, places = (checked_axes("moveaxis", tensor, axis) for axis in (source, destination))
    if len(moved) != len(places):
        raise ValueError(f"moveaxis: source {source} and destination {destination} must match")
    order = [a for a in range(tensor.ndim) if a not in moved]
    for place, axis in sorted(zip(places, moved, strict=True)):
        order.insert(place, axis)
    return transpose(tensor, order)


def ravel(x: TensorLike) -> Tensor:
    """The elements of x in one row."""
    return reshape(x, (-1,))


def outer(a: TensorLike, b: TensorLike) -> Tensor:
    """Every element of a times every element of b, (a.size, b.size)."""
    return reshape(a, (-1, 1)) * reshape(b, (1, -1))
