"""Every activation function in NumPy, by its name."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from loss_formulas import sigmoid, softmax

Array = np.ndarray[Any, np.dtype[Any]]

erf = np.vectorize(math.erf, otypes=[float])


def softplus(x: Array) -> Array:
    return np.logaddexp(0, x)


def elu(x: Array, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * (np.exp(x) - 1))


def glu(x: Array) -> Array:
    a, b = np.split(x, 2, -1)
    return a * sigmoid(b)


def sparsemax(x: Array) -> Array:
    """The threshold by bisection: what is above it must sum to 1."""
    low, high = x.min(-1, keepdims=True) - 1, x.max(-1, keepdims=True)
    for _ in range(100):
        middle = (low + high) / 2
        more = np.maximum(x - middle, 0).sum(-1, keepdims=True) > 1
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    return np.maximum(x - low, 0)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "celu": elu,
    "elu": elu,
    "exponential": np.exp,
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "glu": glu,
    "hard_shrink": lambda x: x * (abs(x) > 0.5),
    "hard_sigmoid": lambda x: np.clip(x / 6 + 0.5, 0, 1),
    "hard_silu": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_swish": lambda x: x * np.clip(x / 6 + 0.5, 0, 1),
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "leaky_relu": lambda x: np.where(x > 0, x, 0.2 * x),
    "linear": lambda x: x,
    "log_sigmoid": lambda x: -softplus(-x),
    "log_softmax": lambda x: np.log(softmax(x)),
    "mish": lambda x: x * np.tanh(softplus(x)),
    "relu": lambda x: np.maximum(x, 0),
    "relu6": lambda x: np.clip(x, 0, 6),
    "selu": lambda x: 1.0507009873554804934193 * elu(x, 1.6732632423543772848170),
    "sigmoid": sigmoid,
    "silu": lambda x: x * sigmoid(x),
    "soft_shrink": lambda x: np.where(abs(x) > 0.5, x - 0.5 * np.sign(x), 0),
    "softmax": softmax,
    "softplus": softplus,
    "softsign": lambda x: x / (1 + abs(x)),
    "sparse_plus": lambda x: np.where(x < 1, (np.maximum(x, -1) + 1) ** 2 / 4, x),
    "sparse_sigmoid": lambda x: np.clip((x + 1) / 2, 0, 1),
    "sparsemax": sparsemax,
    "squareplus": lambda x: (x + np.sqrt(x**2 + 4)) / 2,
    "swish": lambda x: x * sigmoid(x),
    "tanh": np.tanh,
    "tanh_shrink": lambda x: x - np.tanh(x),
}
