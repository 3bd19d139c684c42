"""Ops that sort elements, take them by their rank, or add them up one after another."""

from __future__ import annotations

from types import EllipsisType

import numpy as np

from fastnn._kernels import Call
from fastnn.arrays import Array, Shape
from fastnn.ops.axes import existing_axis
from fastnn.ops.core import Gradients, computable, primitive
from fastnn.ops.rearranging import flip
from fastnn.ops.shaping import along_one_axis, checked_indices
from fastnn.tensor import Tensor, TensorLike, convert


@primitive
def _argsort(x: Array, axis: int) -> Array:
    return np.argsort(x, axis=axis, kind="stable")


@primitive
def _largest(x: Array, k: int) -> Array:
    """Where the k largest of the last axis are, of equal ones the first, NaN being the largest."""
    from_the_end = np.argsort(x[..., ::-1], axis=-1, kind="stable")[..., ::-1]
    return x.shape[-1] - 1 - from_the_end[..., :k]


@primitive
def _take_along_axis(x: Array, indices: Array, axis: int) -> Array:
    return np.take_along_axis(x, indices, axis)


@_take_along_axis.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    x, indices = call.inputs
    return _give_along_axis(dy, indices, axis=call.attributes["axis"], shape=x.shape), None


@primitive
def _give_along_axis(values: Array, indices: Array, axis: int, shape: Shape) -> Array:
    """Zeros with `values` added where `_take_along_axis` takes them from."""
    result = np.zeros(shape, values.dtype)
    place = list(np.indices(indices.shape, sparse=True))
    place[axis] = indices
    np.add.at(result, tuple(place), values)
    return result


@_give_along_axis.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return _take_along_axis(dy, call.inputs[1], axis=call.attributes["axis"]), None


@primitive
def _cumsum(x: Array, axis: int) -> Array:
    return np.cumsum(x, axis=axis)


@_cumsum.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    axis = call.attributes["axis"]
    return (flip(cumsum(flip(dy, axis), axis), axis),)


def sort(x: TensorLike, axis: int = -1) -> Tensor:
    """The elements along an axis in ascending order, NaN last.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.sort([3.0, 1.0, 2.0])
    Tensor([1. 2. 3.], shape=(3,), dtype=float32)
    """
    tensor = convert(x)
    return take_along_axis(tensor, argsort(tensor, axis), axis)


def argsort(x: TensorLike, axis: int = -1) -> Tensor:
    """The indices that sort along an axis; equal elements stay in their order."""
    tensor = convert(x)
    return _argsort(tensor, axis=existing_axis("argsort", tensor, axis))


def top_k(x: TensorLike, k: int, sorted: bool = True) -> tuple[Tensor, Tensor]:
    """The k largest elements of the last axis, and their indices, the largest first.

    Parameters
    ----------
    x : tensor
    k : int
    sorted : bool
        Without effect: they are always in order.

    Raises
    ------
    ValueError
        If the last axis has fewer than k elements.

    Examples
    --------
    >>> import fastnn
    >>> values, indices = fastnn.ops.top_k([3.0, 1.0, 4.0], 2)
    >>> values, indices
    (Tensor([4. 3.], shape=(2,), dtype=float32), Tensor([2 0], shape=(2,), dtype=int64))
    """
    tensor = convert(x)
    if not tensor.ndim or k not in range(tensor.shape[-1] + 1):
        raise ValueError(
            f"top_k: there are no {k} largest elements along the last axis of shape {tensor.shape}"
        )
    indices = _largest(tensor, k=int(k))
    return take_along_axis(tensor, indices, -1), indices


def take_along_axis(x: TensorLike, indices: TensorLike, axis: int = -1) -> Tensor:
    """Of each row along an axis the elements at its own indices, as `argsort` gives them.

    Raises
    ------
    ValueError
        If there are no indices for each row.
    IndexError
        If an index is beyond the end.
    """
    tensor, places = convert(x), checked_indices("take_along_axis", indices)
    at = existing_axis("take_along_axis", tensor, axis)
    rows, given = list(tensor.shape), list(places.shape)
    if len(rows) != len(given) or rows[:at] + rows[at + 1 :] != given[:at] + given[at + 1 :]:
        raise ValueError(
            f"take_along_axis: the indices have shape {places.shape} and the tensor {tensor.shape};"
            f" but for axis {axis} they must be equal"
        )
    return _take_along_axis(tensor, places, axis=at)


def cumsum(x: TensorLike, axis: int | EllipsisType | None = ...) -> Tensor:
    """The sums of the first 1, 2, ... elements along an axis, or with None of x as one row.

    Which axis must be said where there are several: Keras's and NumPy's default is None, and
    TensorFlow's is 0.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.cumsum([1.0, 2.0, 4.0])
    Tensor([1. 3. 7.], shape=(3,), dtype=float32)
    """
    tensor = computable(x)
    tensor, axis = along_one_axis("cumsum", tensor, axis)
    return _cumsum(tensor, axis=existing_axis("cumsum", tensor, axis))
