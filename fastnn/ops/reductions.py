"""Sums, means, maxima and minima over axes, their opposite (broadcasting), and argmax."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import EllipsisType

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Call, Primitive
from fastnn.arrays import COMPUTED_IN, Array, Shape, to_shape
from fastnn.ops.axes import Axis, checked_axes, existing_axis
from fastnn.ops.core import Gradients, computable, floating, primitive
from fastnn.ops.shaping import along_one_axis, reshape
from fastnn.tensor import Tensor, TensorLike, convert, unshared


def kept_shape(shape: Shape, axes: tuple[int, ...]) -> Shape:
    """The shape of a result whose reduced axes are kept with length 1."""
    return tuple(1 if i in axes else n for i, n in enumerate(shape))


def _reduce(
    kernel: Callable[[Array, Array | None], Array],
    function: Callable[..., Array],
    x: Array,
    axes: tuple[int, ...],
    keepdims: bool,
    out: Array | None,
) -> Array:
    """By the kernel, which reduces rows, where `axes` are the last ones; else by NumPy."""
    first = x.ndim - len(axes)
    # All axes: what follows would do the same, in more time than a small sum takes.
    if axes and first == 0 and not keepdims and x.dtype in COMPUTED_IN:
        return kernel(x.reshape(-1), out)
    if not axes or min(axes) < first or x.dtype not in COMPUTED_IN:
        if out is not None:
            raise _kernels.NotRecorded(f"axes {axes} of {x.shape}")
        in_order = np.asarray(x, order="C")  # NumPy adds up in another order if it is not
        return np.asarray(function(in_order, axis=axes, keepdims=keepdims))
    left = x.shape[:first]
    rows = x.reshape(*left, math.prod(x.shape[first:]))
    result = kernel(rows, None if out is None else out.reshape(left))
    return result.reshape(kept_shape(x.shape, axes)) if keepdims else result


@primitive(kernel=True)
def _reduce_sum(x: Array, axes: tuple[int, ...], keepdims: bool, out: Array | None = None) -> Array:
    first = len(axes)
    # A bias's gradient, the usual case: the general way takes more time than a small sum.
    if axes == (0,) and x.ndim == 2 and not keepdims and x.dtype in COMPUTED_IN:
        return _kernels.add_grad(x, out)
    if 0 < first < x.ndim and axes == tuple(range(first)) and x.dtype in COMPUTED_IN:
        rows = x.reshape(math.prod(x.shape[:first]), math.prod(x.shape[first:]))
        columns = _kernels.add_grad(rows, None if out is None else out.reshape(rows.shape[1:]))
        return columns.reshape(kept_shape(x.shape, axes) if keepdims else x.shape[first:])
    return _reduce(_kernels.sum_rows, np.sum, x, axes, keepdims, out)


@_reduce_sum.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    if dy.ndim:
        dy = reshape(dy, kept_shape(x.shape, call.attributes["axes"]))
    return (dy if dy.shape == x.shape else _broadcast_to(dy, shape=x.shape),)


@primitive(kernel=True, chain="copy")
def _broadcast_to(x: Array, shape: Shape, out: Array | None = None) -> Array:
    if out is None:
        result = np.empty(shape, x.dtype)
        result[...] = x
        return result
    if x.dtype not in COMPUTED_IN or not _kernels.chain_fits([x.shape, shape], shape):
        raise _kernels.NotRecorded(f"a broadcast of {x.dtype} {x.shape} to {shape}")
    return _kernels.chain([("copy", 0)], [x, out], out)  # out is there for its shape


@_broadcast_to.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    (x,) = call.inputs
    return (sum_to(dy, x.shape),)


@primitive(kernel=True)
def _reduce_max(x: Array, axes: tuple[int, ...], keepdims: bool, out: Array | None = None) -> Array:
    return _reduce(_kernels.max_rows, np.max, x, axes, keepdims, out)


@primitive(kernel=True)
def _reduce_min(x: Array, axes: tuple[int, ...], keepdims: bool, out: Array | None = None) -> Array:
    return _reduce(_kernels.min_rows, np.min, x, axes, keepdims, out)


@primitive(kernel=True)
def _argmax(x: Array, axis: int, out: Array | None = None) -> Array:
    if axis == x.ndim - 1 and x.dtype in COMPUTED_IN:
        return _kernels.argmax_rows(x, out)
    if out is not None:
        raise _kernels.NotRecorded(f"axis {axis} of {x.shape}")
    return np.asarray(np.argmax(x, axis=axis))


@primitive
def _argmin(x: Array, axis: int) -> Array:
    return np.asarray(np.argmin(x, axis=axis))


@primitive
def _reduce_any(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.asarray(np.any(x, axis=axes, keepdims=keepdims))


@primitive
def _reduce_all(x: Array, axes: tuple[int, ...], keepdims: bool) -> Array:
    return np.asarray(np.all(x, axis=axes, keepdims=keepdims))


def _share_among_equals(call: Call, dy: Tensor) -> Gradients:
    """Elements equal to the extreme value share its gradient."""
    (x,) = call.inputs
    axes = call.attributes["axes"]
    kept = kept_shape(x.shape, axes)
    hit = convert(x == reshape(call.output, kept), x.dtype)
    return (reshape(dy, kept) * (hit / reduce_sum(hit, axis=axes, keepdims=True)),)


_reduce_max.gradient(_share_among_equals)
_reduce_min.gradient(_share_among_equals)


def reduce_sum(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The sum over `axis`.

    Parameters
    ----------
    x : tensor
    axis : int or tuple of int, optional
        By default all axes, which gives a tensor of shape ().
    keepdims : bool, default False
        Keep the reduced axes with length 1.

    Raises
    ------
    ValueError
        If an axis does not exist or is named twice.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.reduce_sum([[1.0, 2.0], [3.0, 4.0]], axis=0)
    Tensor([4. 6.], shape=(2,), dtype=float32)
    """
    tensor = computable(x)
    return _reduce_sum(tensor, axes=checked_axes("reduce_sum", tensor, axis), keepdims=keepdims)


def reduce_mean(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`, by default over all axes; of integers in float32. NaN over no elements.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.reduce_mean([1.0, 2.0, 6.0])
    Tensor(3.0, shape=(), dtype=float32)
    """
    tensor = floating(x)
    axes = checked_axes("reduce_mean", tensor, axis)
    count = tensor.size if axis is None else math.prod(tensor.shape[a] for a in axes)
    total = _reduce_sum(tensor, axes=axes, keepdims=keepdims)
    return total if count == 1 else total / count


def reduce_max(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The maximum over `axis`, by default over all; equal maxima share the gradient."""
    return _extreme(_reduce_max, "reduce_max", x, axis, keepdims)


def reduce_min(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """The minimum over `axis`, by default over all; equal minima share the gradient."""
    return _extreme(_reduce_min, "reduce_min", x, axis, keepdims)


def _extreme(op: Primitive, name: str, x: TensorLike, axis: Axis, keepdims: bool) -> Tensor:
    tensor = computable(x)
    axes = checked_axes(name, tensor, axis)
    if any(tensor.shape[a] == 0 for a in axes):
        raise ValueError(f"{name}: the tensor of shape {tensor.shape} has no elements along {axes}")
    return op(tensor, axes=axes, keepdims=keepdims)


def broadcast_to(x: TensorLike, shape: Sequence[int]) -> Tensor:
    """x stretched to `shape` by NumPy's rules."""
    tensor = convert(x)
    target = to_shape(shape)
    if tensor.shape == target:
        return unshared(tensor)
    tail = target[len(target) - tensor.ndim :]
    if len(target) < tensor.ndim or any(
        n not in (1, t) for n, t in zip(tensor.shape, tail, strict=True)
    ):
        raise ValueError(
            f"broadcast_to: shape {tensor.shape} does not stretch to {target}; each axis, counted "
            "from the last, must be equal or 1"
        )
    return _broadcast_to(tensor, shape=target)


def sum_to(x: Tensor, shape: Shape) -> Tensor:
    """Undo broadcasting: the sum over the axes along which `shape` was stretched to that of x."""
    if x.shape == shape:
        return x
    added = x.ndim - len(shape)
    if x.shape[added:] == shape:
        return _reduce_sum(computable(x), axes=tuple(range(added)), keepdims=False)
    stretched = [added + i for i, n in enumerate(shape) if n == 1 and x.shape[added + i] != 1]
    return reshape(reduce_sum(x, axis=(*range(added), *stretched)), shape)


def argmax(x: TensorLike, axis: int | EllipsisType | None = ...) -> Tensor:
    """The index of the first largest element along `axis` (int64); no gradient.

    With None, among all elements as one row. If there are several axes one must be named, since
    TensorFlow takes the first by default, and Keras and NumPy none.

    Raises
    ------
    ValueError
        If the axis does not exist, or has no elements, or there are several and none is named.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.argmax([[1.0, 5.0, 2.0]], axis=1)
    Tensor([1], shape=(1,), dtype=int64)
    """
    return _index(_argmax, "argmax", x, axis)


def argmin(x: TensorLike, axis: int | EllipsisType | None = ...) -> Tensor:
    """The index of the first smallest element along `axis` (int64), as `argmax` has it."""
    return _index(_argmin, "argmin", x, axis)


def _index(op: Primitive, name: str, x: TensorLike, axis: int | EllipsisType | None) -> Tensor:
    tensor, axis = along_one_axis(name, convert(x), axis)
    checked = existing_axis(name, tensor, axis)
    if tensor.shape[checked] == 0:
        raise ValueError(f"{name}: the tensor of shape {tensor.shape} has no elements along {axis}")
    return op(tensor, axis=checked)


def reduce_any(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether anything over `axis` is true (not 0), by default over all axes."""
    tensor = convert(x)
    return _reduce_any(tensor, axes=checked_axes("reduce_any", tensor, axis), keepdims=keepdims)


def reduce_all(x: TensorLike, axis: Axis = None, keepdims: bool = False) -> Tensor:
    """Whether everything over `axis` is true (not 0), by default over all axes."""
    tensor = convert(x)
    return _reduce_all(tensor, axes=checked_axes("reduce_all", tensor, axis), keepdims=keepdims)
