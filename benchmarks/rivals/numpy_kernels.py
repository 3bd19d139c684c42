"""The kernels in NumPy, written for speed: results go to `out`, and intermediates to kept memory.

Where NumPy has several ways to the same numbers the fastest is taken: sums along an axis, for
example, are products with a vector of ones, because BLAS is faster at them than `np.sum`.
"""

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@cache
def workspace(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Memory for an intermediate result, the same at every call."""
    return np.empty(shape, dtype)


@cache
def constants(value: float, n: int, dtype: np.dtype[Any]) -> Array:
    return np.full(n, value, dtype)


@cache
def row_starts(m: int, n: int) -> NDArray[np.intp]:
    """The positions of the first elements of the rows of an (m, n) array."""
    return np.arange(0, m * n, n)


def row_sums(x: Array) -> Array:
    return x @ constants(1.0, x.shape[-1], x.dtype)


def rectified(x: Array, out: Array | None) -> Array:
    # In float32 NumPy's maximum is three times slower against a scalar than against an array.
    zero = constants(0.0, x.shape[-1], x.dtype) if x.dtype == np.float32 else 0.0
    return np.maximum(x, zero, out=out)


def relu(x: Array, out: Array | None = None) -> Array:
    return rectified(x, out)


def exp(x: Array, out: Array | None = None) -> Array:
    return np.exp(x, out=out)


def log(x: Array, out: Array | None = None) -> Array:
    return np.log(x, out=out)


def tanh(x: Array, out: Array | None = None) -> Array:
    return np.tanh(x, out=out)


def tanh_grad(dy: Array, y: Array, out: Array | None = None) -> Array:
    dx = np.square(y, out=out)
    np.subtract(1.0, dx, out=dx)
    dx *= dy
    return dx


def sigmoid(x: Array, out: Array | None = None) -> Array:
    y = np.negative(x, out=out)
    np.exp(y, out=y)
    y += 1.0
    return np.reciprocal(y, out=y)


def sigmoid_grad(dy: Array, y: Array, out: Array | None = None) -> Array:
    dx = np.subtract(1.0, y, out=out)
    dx *= y
    dx *= dy
    return dx


def relu_grad(dy: Array, y: Array, out: Array | None = None) -> Array:
    positive = np.greater(y, 0.0, out=workspace(y.shape, np.dtype(bool)))
    return np.multiply(dy, positive, out=out)


def add(x: Array, b: Array, out: Array | None = None) -> Array:
    return np.add(x, b, out=out)


def add_grad(dy: Array, out: Array | None = None) -> Array:
    return np.dot(constants(1.0, len(dy), dy.dtype), dy, out=out)


def matmul(
    a: Array,
    b: Array,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Array | None = None,
    relu: bool = False,
    out: Array | None = None,
) -> Array:
    c = np.matmul(a.T if transpose_a else a, b.T if transpose_b else b, out=out)
    if bias is not None:
        c += bias
    return rectified(c, out=c) if relu else c


def softmax(x: Array, out: Array | None = None) -> Array:
    y = np.subtract(x, x.max(axis=-1, keepdims=True), out=out)
    np.exp(y, out=y)
    y /= row_sums(y)[:, np.newaxis]
    return y


def softmax_grad(dy: Array, y: Array, out: Array | None = None) -> Array:
    dx = np.subtract(dy, np.vecdot(dy, y)[:, np.newaxis], out=out)
    dx *= y
    return dx


def softmax_cross_entropy(
    logits: Array,
    labels: Array,
    dlogits: Array | None = None,
    dloss: Array | None = None,
    out: Array | None = None,
) -> Array:
    p = workspace(logits.shape, logits.dtype) if dlogits is None else dlogits
    np.subtract(logits, logits.max(axis=1, keepdims=True), out=p)
    elements, chosen = p.reshape(-1), row_starts(*p.shape) + labels
    shifted = elements[chosen]
    np.exp(p, out=p)
    sums = row_sums(p)
    loss = np.log(sums, out=out)
    loss -= shifted
    if dlogits is not None:
        p /= sums[:, np.newaxis]
        elements[chosen] -= 1.0
        if dloss is not None:
            p *= dloss[:, np.newaxis]
    return loss


def gather(x: Array, rows: Array, out: Array) -> Array:
    # Only in this mode does take write to `out` without a copy between.
    chosen = np.take(x, rows, axis=0, out=workspace(out.shape, x.dtype), mode="clip")
    np.copyto(out, chosen)
    return out


def sgd(w: Array, g: Array, learning_rate: float) -> None:
    w -= np.multiply(g, learning_rate, out=workspace(w.shape, w.dtype))


def momentum(
    w: Array,
    velocity: Array,
    g: Array,
    learning_rate: float,
    momentum: float,
    nesterov: bool = False,
) -> None:
    step = np.multiply(g, learning_rate, out=workspace(w.shape, w.dtype))
    velocity *= momentum
    velocity -= step
    if nesterov:
        w -= step
        w += np.multiply(velocity, momentum, out=step)
    else:
        w += velocity


def adagrad(w: Array, accumulator: Array, g: Array, learning_rate: float, epsilon: float) -> None:
    s = workspace(w.shape, w.dtype)
    accumulator += np.square(g, out=s)
    w -= scaled(g, accumulator, learning_rate, epsilon, out=s)


def rmsprop(
    w: Array, velocity: Array, g: Array, learning_rate: float, rho: float, epsilon: float
) -> None:
    s = workspace(w.shape, w.dtype)
    np.square(g, out=s)
    s *= 1.0 - rho
    velocity *= rho
    velocity += s
    w -= scaled(g, velocity, learning_rate, epsilon, out=s)


def scaled(g: Array, squares: Array, learning_rate: float, epsilon: float, out: Array) -> Array:
    """learning_rate * g / sqrt(squares + epsilon)."""
    np.add(squares, epsilon, out=out)
    np.sqrt(out, out=out)
    np.divide(g, out, out=out)
    out *= learning_rate
    return out


def adam(
    w: Array,
    momentum: Array,
    velocity: Array,
    g: Array,
    alpha: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> None:
    s = workspace(w.shape, w.dtype)
    np.subtract(g, momentum, out=s)
    s *= 1.0 - beta_1
    momentum += s
    np.square(g, out=s)
    s -= velocity
    s *= 1.0 - beta_2
    velocity += s
    np.sqrt(velocity, out=s)
    s += epsilon
    np.divide(momentum, s, out=s)
    s *= alpha
    w -= s
