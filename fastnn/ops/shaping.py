"""Ops that move elements without computing: reshape, transpose, concat, stack, indexing."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import accumulate
from operator import index as as_integer
from types import EllipsisType
from typing import Any

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Call, ReadFrom
from fastnn.arrays import COMPUTED_IN, Array, Shape
from fastnn.ops.axes import Axis, checked_axes, existing_axis, new_axes
from fastnn.ops.core import Gradients, operands, operator, primitive
from fastnn.tensor import Index, Tensor, TensorLike, convert, unshared
from fastnn.variable import Variable


@primitive(kernel=True)
def _reshape(x: Array, shape: Shape, out: Array | None = None) -> Array:
    if out is None:
        return x.reshape(shape)
    if x.dtype not in COMPUTED_IN:
        raise _kernels.NotRecorded(f"a copy of {x.dtype}")
    return _kernels.chain([("copy", 0)], [x.reshape(shape)], out)


@_reshape.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (reshape(dy, x.shape),)


@primitive
def _transpose(x: Array, perm: tuple[int, ...]) -> Array:
    return x.transpose(perm)


@_transpose.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    perm = call.attributes["perm"]
    return (transpose(dy, tuple(perm.index(axis) for axis in range(len(perm)))),)


@primitive
def _concat(*arrays: Array, axis: int) -> Array:
    return np.concatenate(arrays, axis=axis)


@_concat.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    axis = call.attributes["axis"]
    before = (slice(None),) * axis
    ends = np.cumsum([x.shape[axis] for x in call.inputs])
    return [
        dy[(*before, slice(int(end) - x.shape[axis], int(end)))]
        for x, end in zip(call.inputs, ends, strict=True)
    ]


@primitive
def _stack(*arrays: Array, axis: int) -> Array:
    return np.stack(arrays, axis)


@_stack.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    before = (slice(None),) * call.attributes["axis"]
    return [dy[(*before, at)] for at in range(len(call.inputs))]


@primitive
def _getitem(x: Array, index: Index) -> Array:
    return x[index]


@_getitem.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (_put(dy, index=call.attributes["index"], shape=x.shape),)


@primitive
def _put(values: Array, index: Index, shape: Shape) -> Array:
    """Zeros with `values` added at `index`: an element named twice receives both."""
    result = np.zeros(shape, values.dtype)
    np.add.at(result, index, values)
    return result


@_put.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (_getitem(dy, index=call.attributes["index"]),)


@primitive
def _take(x: Array, indices: Array, axis: int) -> Array:
    return np.take(x, indices, axis=axis)


@_take.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    x, indices = call.inputs
    return _give(dy, indices, axis=call.attributes["axis"], shape=x.shape), None


@primitive
def _give(values: Array, indices: Array, axis: int, shape: Shape) -> Array:
    """Zeros with `values` added where `_take` takes them from."""
    result = np.zeros(shape, values.dtype)
    place: Index = (*[slice(None)] * axis, indices)
    np.add.at(result, place, values)
    return result


@_give.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return _take(dy, call.inputs[1], axis=call.attributes["axis"]), None


def reshape(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """x with another shape and the same elements in the same order.

    Parameters
    ----------
    x : tensor
    shape : sequence of int
        One length may be -1: it follows from the others.

    Raises
    ------
    ValueError
        If the number of elements differs.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.reshape([[1.0, 2.0], [3.0, 4.0]], (4,)).shape
    (4,)
    """
    tensor = convert(x)
    if type(shape) is tuple and tensor.shape == shape:
        return unshared(tensor)
    given = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
    lengths = tuple(as_integer(n) for n in given)
    known = math.prod(n for n in lengths if n != -1)
    if lengths.count(-1) == 1 and known and tensor.size % known == 0:
        lengths = tuple(tensor.size // known if n == -1 else n for n in lengths)
    if min(lengths, default=0) < 0 or math.prod(lengths) != tensor.size:
        remedy = f"the product of the lengths must be {tensor.size}"
        if known == tensor.size == 0:
            remedy = "beside a length of 0 any could be -1: write the length that is meant"
        raise ValueError(
            f"reshape: a tensor of shape {tensor.shape} has {tensor.size} elements and cannot take "
            f"the shape {lengths}; {remedy}"
        )
    return _reshape(tensor, shape=lengths)


def transpose(
    x: TensorLike, perm: Sequence[int] | None = None, *, axes: Sequence[int] | None = None
) -> Tensor:
    """x with its axes in another order.

    Parameters
    ----------
    x : tensor
    perm, axes : sequence of int, optional
        TensorFlow's name and Keras's: axis i of the result is axis perm[i] of x; by default the
        order is reversed.

    Raises
    ------
    ValueError
        If not every axis is named once, or both are given.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.transpose([[1.0, 2.0, 3.0]]).shape
    (3, 1)
    """
    tensor = convert(x)
    if perm is not None and axes is not None:
        raise ValueError("transpose: perm and axes mean the same; give one of them")
    given = axes if perm is None else perm
    order = tuple(reversed(range(tensor.ndim))) if given is None else tuple(given)
    valid = all(-tensor.ndim <= a < tensor.ndim for a in order)
    if not valid or sorted(a % tensor.ndim for a in order) != list(range(tensor.ndim)):
        raise ValueError(
            f"transpose: {order} must name each of the {tensor.ndim} axes of shape "
            f"{tensor.shape} once"
        )
    return _transpose(tensor, perm=tuple(a % tensor.ndim for a in order))


def concat(values: Iterable[TensorLike], axis: int = 0) -> Tensor:
    """The tensors joined along an axis that they have.

    Parameters
    ----------
    values : tensors
        All of one shape but for the length of `axis`.
    axis : int, default 0

    Raises
    ------
    ValueError
        If there are none, or their shapes do not fit.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.concat([[[1.0, 2.0]], [[3.0, 4.0]]], axis=0).shape
    (2, 2)
    """
    tensors = _several_tensors("concat", values)
    first = tensors[0].shape
    if not first:
        raise ValueError("concat: tensors of shape () have no axis; stack(values) makes one")
    axis = existing_axis("concat", tensors[0], axis)
    for i, tensor in enumerate(tensors):
        shape = tensor.shape
        if len(shape) != len(first) or any(
            n != m for a, (n, m) in enumerate(zip(shape, first, strict=True)) if a != axis
        ):
            raise ValueError(
                f"concat: values[0] has shape {first} and values[{i}] has shape {shape}; they may "
                f"differ along axis {axis} only"
            )
    return _concat(*tensors, axis=axis)


def _several_tensors(name: str, values: Iterable[TensorLike]) -> list[Tensor]:
    """`values`, at least one, as tensors of one dtype."""
    given = list(values)
    if not given:
        raise ValueError(f"{name}: values is empty; give at least one tensor")
    return operands(*given)


def split(
    x: TensorLike,
    parts: int | Sequence[int] | None = None,
    axis: int = 0,
    *,
    indices_or_sections: int | Sequence[int] | None = None,
    num_or_size_splits: int | Sequence[int] | None = None,
) -> list[Tensor]:
    """x cut along an axis.

    Parameters
    ----------
    x : tensor
    parts : int or sequence of int
        The number of equal parts, or the places where to cut.
    axis : int, default 0
    indices_or_sections : int or sequence of int, optional
        The same, by the name that it has in Keras and NumPy.
    num_or_size_splits : int or sequence of int, optional
        The number of equal parts, or their lengths, as TensorFlow has it.

    Raises
    ------
    ValueError
        If the axis does not exist, or its length is no multiple of the number of parts, or `parts`
        may be lengths as well as places.

    Examples
    --------
    >>> import fastnn
    >>> first, second = fastnn.split([1.0, 2.0, 3.0, 4.0], 2)
    >>> second
    Tensor([3. 4.], shape=(2,), dtype=float32)
    """
    tensor = convert(x)
    at = existing_axis("split", tensor, axis)
    length = tensor.shape[at]
    if not isinstance(parts, int | np.integer | None) and sum(parts) == length > 0:
        raise ValueError(
            f"split: are {parts} lengths or places? Pass num_or_size_splits={parts} for parts of "
            f"these lengths, or indices_or_sections={parts} to cut there"
        )
    given = [n for n in (parts, indices_or_sections, num_or_size_splits) if n is not None]
    if len(given) != 1:
        raise ValueError("split: pass one of parts, indices_or_sections and num_or_size_splits")
    are_lengths = num_or_size_splits is not None
    places = _places(given[0], are_lengths, length, f"axis {axis} of shape {tensor.shape}")
    before = (slice(None),) * at
    return [
        tensor[(*before, slice(start, stop))]
        for start, stop in zip([0, *places], [*places, length], strict=True)
    ]


def _places(parts: int | Sequence[int], are_lengths: bool, length: int, axis: str) -> list[int]:
    """Where `split` cuts."""
    if isinstance(parts, int | np.integer):
        if parts < 1 or length % parts:
            raise ValueError(f"split: {axis} cannot be cut into {parts} equal parts")
        return [length // parts * n for n in range(1, int(parts))]
    if are_lengths:
        if sum(parts) != length or min(parts, default=0) < 0:
            raise ValueError(f"split: the lengths {parts} do not add up to that of {axis}")
        return [*accumulate(parts)][:-1]
    if sorted({0, length, *parts}) != [0, *parts, length]:
        raise ValueError(
            f"split: the places where to cut {axis} are {parts}; they must rise and be between 0 "
            f"and {length}: give the sums of the parts' lengths so far"
        )
    return [*parts]


def take(x: TensorLike, indices: TensorLike, axis: int | None = None) -> Tensor:
    """The elements of x at `indices` along an axis, or of x as one row.

    Parameters
    ----------
    x : tensor
    indices : tensor of integers
        Those below 0 count from the end.
    axis : int, optional

    Raises
    ------
    IndexError
        If an index is beyond the end.
    ValueError
        If the axis does not exist.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ops.take([[1.0, 2.0], [3.0, 4.0]], [1, 1], axis=0).numpy()
    array([[3., 4.],
           [3., 4.]], dtype=float32)
    """
    tensor = convert(x)
    if axis is None:
        tensor, axis = reshape(tensor, (-1,)), 0
    places = checked_indices("take", indices)
    return _take(tensor, places, axis=existing_axis("take", tensor, axis))


def checked_indices(name: str, indices: TensorLike) -> Tensor:
    """`indices` as a tensor of integers, also if there are none; TypeError for others."""
    tensor = convert(indices)
    if tensor.dtype.kind in "iu":
        return tensor
    if tensor.size == 0:
        return convert(tensor, np.int64)
    raise TypeError(
        f"{name}: indices are integers and these are {tensor.dtype}: cast them to int32, or select "
        "by a mask of bools with x[mask]"
    )


def gather(params: TensorLike, indices: TensorLike, axis: int = 0) -> Tensor:
    """`take`, along the first axis unless told otherwise."""
    return take(params, indices, axis)


def along_one_axis(name: str, x: Tensor, axis: int | EllipsisType | None) -> tuple[Tensor, int]:
    """x and the axis, or x as one row; ValueError where the libraries have different defaults."""
    if axis is ... and x.ndim > 1:
        raise ValueError(
            f"{name}: along which axis of shape {x.shape}? Pass axis=-1 for each row, 0 as is "
            "TensorFlow's default, or None for all elements, as is Keras's and NumPy's"
        )
    return (reshape(x, (-1,)), 0) if axis is None or axis is ... else (x, axis)


@operator
def stack(values: Iterable[TensorLike], axis: int = 0) -> Tensor:
    """The tensors, all of one shape, joined along a new axis.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.stack([1.0, 2.0])
    Tensor([1. 2.], shape=(2,), dtype=float32)
    """
    tensors = _several_tensors("stack", values)
    for i, tensor in enumerate(tensors):
        if tensor.shape != tensors[0].shape:
            raise ValueError(
                f"stack: values[0] has shape {tensors[0].shape} and values[{i}] has shape "
                f"{tensor.shape}; they must be equal"
            )
    return _stack(*tensors, axis=new_axes("stack", tensors[0], (axis,))[0])


def expand_dims(x: TensorLike, axis: Axis) -> Tensor:
    """x with new axes of length 1, which in the result are number `axis`, or those of a tuple."""
    tensor = convert(x)
    places = new_axes("expand_dims", tensor, axis)
    lengths = iter(tensor.shape)
    ndim = tensor.ndim + len(places)
    shape = tuple(1 if at in places else next(lengths) for at in range(ndim))
    return _reshape(tensor, shape=shape)


def squeeze(x: TensorLike, axis: Axis = None) -> Tensor:
    """x without the axis `axis`, or those of a tuple, whose length must be 1, or without all such
    axes.
    """
    tensor = convert(x)
    shape = tensor.shape
    ones = {at for at, length in enumerate(shape) if length == 1}
    places = ones if axis is None else set(checked_axes("squeeze", tensor, axis))
    if not places <= ones:
        raise ValueError(
            f"squeeze: axis {axis} of shape {shape} is not of length 1; choose from {sorted(ones)}"
        )
    return _reshape(tensor, shape=tuple(n for at, n in enumerate(shape) if at not in places))


@operator
def getitem(x: TensorLike, index: Index) -> Tensor:
    """x[index], with NumPy's rules for slices, integers, None, Ellipsis, index and bool arrays."""
    result = _getitem(convert(x), index=_plain(index))
    if isinstance(x, Variable):
        # None stands for the whole variable.
        result.origin = ReadFrom(x, (None,) if index is None else _plain(index))
    return result


def _plain(index: Index) -> Any:
    """The index with copies of its tensors, arrays and lists, since those might change.

    Also of True and False, which are other indices than 1 and 0 but equal to them.
    """
    if isinstance(index, tuple):
        return tuple(_plain(part) for part in index)
    if isinstance(index, slice):
        bounds = (index.start, index.stop, index.step)
        return slice(*[None if bound is None else as_integer(bound) for bound in bounds])
    if not isinstance(index, Tensor | np.ndarray | list | bool | np.bool_):
        return index
    copied = np.array(index)
    # A list of nothing is one of integers.
    return copied.astype(np.int64) if isinstance(index, list) and not copied.size else copied
