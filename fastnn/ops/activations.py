"""Activation functions, composed of other ops, and sparsemax."""

from __future__ import annotations

import math

import numpy as np

from fastnn._kernels import Call
from fastnn.arrays import Array
from fastnn.ops.axes import Axis, checked_axes
from fastnn.ops.core import Gradients, floating, primitive
from fastnn.ops.discrete import greater, less
from fastnn.ops.elementwise import (
    abs,
    cast,
    clip,
    exp,
    log,
    maximum,
    minimum,
    sigmoid,
    sqrt,
    square,
    tanh,
    where,
)
from fastnn.ops.neural import along_last, relu
from fastnn.ops.reductions import reduce_sum
from fastnn.ops.shaping import split
from fastnn.ops.special import erf, expm1, softplus
from fastnn.ops.statistics import finite_max
from fastnn.tensor import Tensor, TensorLike

# Klambauer et al., "Self-normalizing neural networks", 2017.
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def leaky_relu(x: TensorLike, negative_slope: float = 0.2) -> Tensor:
    """x above 0, negative_slope * x up to it. Maas, Hannun and Ng, 2013."""
    return relu(x, negative_slope)


def relu6(x: TensorLike) -> Tensor:
    """min(max(x, 0), 6)."""
    return minimum(relu(x), 6)


def elu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """x above 0, alpha * (exp(x) - 1) up to it. Clevert, Unterthiner and Hochreiter, 2015."""
    tensor = floating(x)
    # Above 0 the exponential is not used; its gradient must not become 0 * infinity there.
    return where(tensor > 0, tensor, alpha * expm1(minimum(tensor, 0)))


def selu(x: TensorLike) -> Tensor:
    """1.0507 * elu(x, alpha=1.6733), which keeps mean 0 and variance 1.

    Klambauer et al., "Self-normalizing neural networks", 2017.
    """
    return SELU_SCALE * elu(x, SELU_ALPHA)


def celu(x: TensorLike, alpha: float = 1.0) -> Tensor:
    """max(x, 0) + alpha * (exp(min(x, 0) / alpha) - 1). Barron, 2017."""
    tensor = floating(x)
    return where(tensor > 0, tensor, alpha * expm1(minimum(tensor, 0) / alpha))


def softsign(x: TensorLike) -> Tensor:
    """x / (1 + |x|)."""
    tensor = floating(x)
    return tensor / (1 + abs(tensor))


def squareplus(x: TensorLike, b: float = 4) -> Tensor:
    """(x + sqrt(x^2 + b)) / 2. Barron, 2021."""
    tensor = floating(x)
    return (tensor + sqrt(square(tensor) + b)) / 2


def silu(x: TensorLike) -> Tensor:
    """x * sigmoid(x), also called swish. Ramachandran, Zoph and Le, 2017."""
    tensor = floating(x)
    return tensor * sigmoid(tensor)


def gelu(x: TensorLike, approximate: bool = True) -> Tensor:
    """x times the probability that a standard normal number is below x.

    Hendrycks and Gimpel, "Gaussian error linear units", 2016.

    Parameters
    ----------
    x : tensor
    approximate : bool, default True
        By tanh(sqrt(2 / pi) * (x + 0.044715 x^3)) instead of erf(x / sqrt(2)).
    """
    tensor = floating(x)
    if approximate:
        cubic = tensor + 0.044715 * (square(tensor) * tensor)
        return tensor * (0.5 * (1 + tanh(math.sqrt(2 / math.pi) * cubic)))
    return tensor * (0.5 * (1 + erf(tensor * math.sqrt(0.5))))


def mish(x: TensorLike) -> Tensor:
    """x * tanh(softplus(x)). Misra, 2019."""
    tensor = floating(x)
    return tensor * tanh(softplus(tensor))


def tanh_shrink(x: TensorLike) -> Tensor:
    """x - tanh(x)."""
    tensor = floating(x)
    return tensor - tanh(tensor)


def hard_tanh(x: TensorLike) -> Tensor:
    """x, but at least -1 and at most 1."""
    return clip(floating(x), -1, 1)


def hard_sigmoid(x: TensorLike) -> Tensor:
    """x / 6 + 1/2, but at least 0 and at most 1."""
    return clip(floating(x) / 6 + 0.5, 0, 1)


def hard_silu(x: TensorLike) -> Tensor:
    """x * hard_sigmoid(x), also called hard swish. Howard et al., 2019."""
    tensor = floating(x)
    return tensor * hard_sigmoid(tensor)


def hard_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """x where it is farther than `threshold` from 0, else 0."""
    tensor = floating(x)
    return where(abs(tensor) <= threshold, 0, tensor)


def soft_shrink(x: TensorLike, threshold: float = 0.5) -> Tensor:
    """x brought nearer to 0 by `threshold`: 0 where it is not farther."""
    tensor = floating(x)
    return relu(tensor - threshold) - relu(-tensor - threshold)


def threshold(x: TensorLike, threshold: float, default_value: float) -> Tensor:
    """x where it is above `threshold`, else `default_value`."""
    tensor = floating(x)
    return where(tensor <= threshold, default_value, tensor)


def log_sigmoid(x: TensorLike) -> Tensor:
    """log(sigmoid(x)), without overflow."""
    return -softplus(-floating(x))


def sparse_sigmoid(x: TensorLike) -> Tensor:
    """(x + 1) / 2, but at least 0 and at most 1."""
    return clip(0.5 * (floating(x) + 1), 0, 1)


def sparse_plus(x: TensorLike) -> Tensor:
    """0 up to -1, x from 1 on, and (x + 1)^2 / 4 between."""
    tensor = floating(x)
    return where(less(tensor, 1), 0.25 * square(maximum(tensor, -1) + 1), tensor)


def glu(x: TensorLike, axis: int = -1) -> Tensor:
    """a * sigmoid(b), a and b being the halves of x along `axis`. Dauphin et al., 2017."""
    a, b = split(floating(x), 2, axis)
    return a * sigmoid(b)


def log_softmax(x: TensorLike, axis: Axis = -1) -> Tensor:
    """log(softmax(x)), without taking a logarithm of 0.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ops.log_softmax([0.0, 1000.0])
    Tensor([-1000.     0.], shape=(2,), dtype=float32)
    """
    tensor = floating(x)
    axes = checked_axes("log_softmax", tensor, axis)
    # Not x - logsumexp(x), which has lost digits where x is large.
    shifted = tensor - finite_max(tensor, axes)
    return shifted - log(reduce_sum(exp(shifted), axes, keepdims=True))


@primitive
def _sparsemax(x: Array) -> Array:
    if not x.size:
        return x
    with np.errstate(invalid="ignore"):
        x = x - x.max(axis=-1, keepdims=True)  # of large numbers 1 would be rounded away
        ordered = -np.sort(-x, axis=-1)
        counts = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
        excess = np.cumsum(ordered, axis=-1) - 1
        # None are kept of a row with NaN or infinity, which becomes NaN.
        kept = np.maximum(np.count_nonzero(ordered * counts > excess, axis=-1, keepdims=True), 1)
        threshold = np.take_along_axis(excess, kept - 1, axis=-1) / kept.astype(x.dtype)
        return np.asarray(np.maximum(x - threshold, 0))


@_sparsemax.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    kept = cast(greater(call.output, 0), dy.dtype)
    count = reduce_sum(kept, axis=-1, keepdims=True)
    return (kept * (dy - reduce_sum(dy * kept, axis=-1, keepdims=True) / count),)


def sparsemax(x: TensorLike, axis: int = -1) -> Tensor:
    """The nearest point to x among the probabilities, many of which are exactly 0.

    Martins and Astudillo, "From softmax to sparsemax", 2016.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.ops.sparsemax([1.0, 0.5, -2.0])
    Tensor([0.75 0.25 0.  ], shape=(3,), dtype=float32)
    """
    tensor = floating(x)
    return along_last(_sparsemax, tensor, checked_axes("sparsemax", tensor, axis))
