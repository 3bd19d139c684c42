"""What the kernels compute, as formulas: each takes the inputs and returns the expected results.

Called with float64 arrays, they are what every rival is checked against.
"""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Results = tuple[Array, ...]


def relu(x: Array) -> Results:
    return (np.where(x > 0, x, 0),)


def exp(x: Array) -> Results:
    return (np.exp(x),)


def log(x: Array) -> Results:
    return (np.log(x),)


def tanh(x: Array) -> Results:
    return (np.tanh(x),)


def tanh_grad(dy: Array, y: Array) -> Results:
    return (dy * (1 - y**2),)


def sigmoid(x: Array) -> Results:
    return (1 / (1 + np.exp(-x)),)


def sigmoid_grad(dy: Array, y: Array) -> Results:
    return (dy * y * (1 - y),)


def relu_grad(dy: Array, y: Array) -> Results:
    return (np.where(y > 0, dy, 0),)


def add(x: Array, b: Array) -> Results:
    return (x + b,)


def add_grad(dy: Array) -> Results:
    return (dy.sum(axis=0),)


def matmul(
    a: Array,
    b: Array,
    transpose_a: bool = False,
    transpose_b: bool = False,
    bias: Array | float = 0.0,
    relu: bool = False,
) -> Results:
    c = (a.T if transpose_a else a) @ (b.T if transpose_b else b) + bias
    return (np.where(c > 0, c, 0) if relu else c,)


def softmax(x: Array) -> Results:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return (e / e.sum(axis=1, keepdims=True),)


def softmax_grad(dy: Array, y: Array) -> Results:
    return ((dy - (dy * y).sum(axis=1, keepdims=True)) * y,)


def softmax_cross_entropy(logits: Array, labels: Array) -> Results:
    """The gradient and the loss."""
    (p,) = softmax(logits)
    onehot = np.eye(logits.shape[1])[labels]
    return p - onehot, -np.log((p * onehot).sum(axis=1))


def gather(x: Array, rows: Array) -> Results:
    return (x[rows],)


def sgd(w: Array, g: Array, learning_rate: float) -> Results:
    return (w - learning_rate * g,)


def momentum(
    w: Array,
    velocity: Array,
    g: Array,
    learning_rate: float,
    momentum: float,
    nesterov: bool = False,
) -> Results:
    v = momentum * velocity - learning_rate * g
    return w + (momentum * v - learning_rate * g if nesterov else v), v


def adagrad(
    w: Array, accumulator: Array, g: Array, learning_rate: float, epsilon: float
) -> Results:
    a = accumulator + g**2
    return w - learning_rate * g / np.sqrt(a + epsilon), a


def rmsprop(
    w: Array, velocity: Array, g: Array, learning_rate: float, rho: float, epsilon: float
) -> Results:
    v = rho * velocity + (1 - rho) * g**2
    return w - learning_rate * g / np.sqrt(v + epsilon), v


def adam(
    w: Array,
    momentum: Array,
    velocity: Array,
    g: Array,
    alpha: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> Results:
    m = beta_1 * momentum + (1 - beta_1) * g
    v = beta_2 * velocity + (1 - beta_2) * g**2
    return w - alpha * m / (np.sqrt(v) + epsilon), m, v


def in_double(x: Any) -> Any:
    return x.astype(np.float64) if isinstance(x, np.ndarray) and x.dtype.kind == "f" else x


def check(results: Iterable[Any], expected: Results, dtype: str, longest: int) -> None:
    """Rounding errors of sums grow with the square root of the number of terms."""
    tolerance = 2 * float(np.finfo(dtype).eps) * math.sqrt(longest)
    for result, wanted in zip(results, expected, strict=False):
        np.testing.assert_allclose(
            result, wanted, rtol=tolerance, atol=tolerance * np.abs(wanted).max()
        )
