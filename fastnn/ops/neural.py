"""Ops of neural networks: relu, softmax and dropout."""

from __future__ import annotations

import math

from fastnn import _kernels
from fastnn._kernels import Call, Primitive
from fastnn.arrays import Array
from fastnn.ops.axes import Axis, checked_axes
from fastnn.ops.core import Gradients, floating, primitive
from fastnn.ops.elementwise import minimum, where
from fastnn.ops.reductions import reduce_sum
from fastnn.ops.shaping import reshape, transpose
from fastnn.tensor import SoftmaxOf, Tensor, TensorLike, convert, unshared

_relu = primitive(chain="relu")(_kernels.relu)


@_relu.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (relu_grad(dy, call.output),)


# The gradient of relu's input, from the gradient of its output and the output itself.
relu_grad = primitive(chain="relu_grad")(_kernels.relu_grad)


@relu_grad.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return relu_grad(dy, call.inputs[1]), None


@primitive(kernel=True)
def _softmax(x: Array, out: Array | None = None) -> Array:
    return _kernels.softmax(x, out)


@_softmax.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return (softmax_grad(dy, call.output),)


@primitive(kernel=True)
def softmax_grad(dy: Array, y: Array, out: Array | None = None) -> Array:
    """The gradient of softmax's input, from its output y and the gradient dy of that."""
    return _kernels.softmax_grad(dy, y, out)


@softmax_grad.gradient
def _(call: Call, d: Tensor) -> Gradients:
    dy, y = call.inputs
    along = reduce_sum(dy * y, axis=-1, keepdims=True)
    across = reduce_sum(d * y, axis=-1, keepdims=True)
    return softmax_grad(d, y), d * dy - d * along - across * dy


@primitive(kernel=True)
def _dropout(x: Array, counter: Array, rate: float, key: int, out: Array | None = None) -> Array:
    return _kernels.dropout(x, rate, key, counter, out)


@_dropout.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    return _dropout(dy, call.inputs[1], **call.attributes), None


def dropout(x: TensorLike, rate: float, key: int, counter: TensorLike) -> Tensor:
    """x / (1 - rate), but 0 for a share `rate` of the elements.

    Parameters
    ----------
    x : tensor
    rate : float in [0, 1]
    key : int
    counter : tensor of int64, shape ()
        The two decide which elements, together with their places in x.

    Raises
    ------
    ValueError
        If `rate` is outside [0, 1].
    """
    return _dropout(floating(x), convert(counter), rate=rate, key=key)


def relu(
    x: TensorLike,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Tensor:
    """max(x, 0), elementwise; NaN where x is NaN; the gradient at 0 is 0.

    Parameters
    ----------
    x : tensor
    negative_slope, threshold : float, default 0
        Up to the threshold it is negative_slope * (x - threshold) instead of 0.
    max_value : float, optional
        And at most this.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.relu([-1.0, 2.0])
    Tensor([0. 2.], shape=(2,), dtype=float32)
    """
    tensor = floating(x)
    if not negative_slope and max_value is None and not threshold:
        return _relu(tensor)
    above = tensor if max_value is None else minimum(tensor, max_value)
    below = negative_slope * (tensor - threshold if threshold else tensor) if negative_slope else 0
    return where(tensor <= threshold, below, above)


def softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """exp(x) / sum(exp(x)) over an axis, the maximum along it being subtracted first.

    Parameters
    ----------
    x : tensor of at least one axis
    axis : int or sequence of int, default -1
        With several axes all their elements together sum to 1.

    Raises
    ------
    ValueError
        If an axis does not exist.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.softmax([0.0, 0.0])
    Tensor([0.5 0.5], shape=(2,), dtype=float32)
    """
    tensor = floating(x)
    axes = checked_axes("softmax", tensor, axis)
    y = along_last(_softmax, tensor, axes)
    if axes == (tensor.ndim - 1,):
        y.origin = SoftmaxOf(unshared(tensor))
    return y


def along_last(op: Primitive, x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """`op`, which works along the last axis, along other ones, several of them being one row."""
    if axes == (x.ndim - 1,):
        return op(x)
    perm = [a for a in range(x.ndim) if a not in axes] + list(axes)
    moved = transpose(x, perm)
    apart = x.ndim - len(axes)
    rows = reshape(moved, (*moved.shape[:apart], math.prod(moved.shape[apart:])))
    return transpose(reshape(op(rows), moved.shape), [perm.index(a) for a in range(x.ndim)])
