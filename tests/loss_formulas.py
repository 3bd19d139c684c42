"""The losses in NumPy, one for each sample, and targets and predictions that they are for."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
RNG = np.random.default_rng(8)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


class Formula(NamedTuple):
    """A loss of Keras's name with `options`: `value(y_true, y_pred)`, for numbers like these."""

    function: str
    of: str
    value: Callable[[Array, Array], Array]
    y_true: Array
    y_pred: Array
    options: dict[str, Any] = {}  # noqa: RUF012  # never changed


SHAPE = (4, 3)
NUMBERS = RNG.standard_normal(SHAPE)
# At least 0.1 from the targets and from 0, where some losses have a kink.
PREDICTED = NUMBERS + RNG.choice([-1, 1], SHAPE) * RNG.uniform(0.1, 3, SHAPE)
POSITIVE, SHARES = RNG.uniform(0.5, 2, (2, *SHAPE))
INSIDE = RNG.uniform(0.05, 0.95, SHAPE)
LOGITS = 2 * RNG.standard_normal(SHAPE)
BITS = RNG.integers(0, 2, SHAPE)
CLASSES = np.array([2, 0, 1, 1])
ONE_HOT = np.eye(3)[CLASSES]
DISTRIBUTION, ROWS = softmax(NUMBERS), softmax(PREDICTED)


def binary(y: Array, p: Array) -> Array:
    return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p), -1)


def categorical(y: Array, p: Array) -> Array:
    return -np.sum(y * np.log(p / p.sum(-1, keepdims=True)), -1)


def focal(y: Array, p: Array, gamma: float = 2.0, alpha: float | None = None) -> Array:
    right = np.where(y == 1, p, 1 - p)
    weight = 1.0 if alpha is None else np.where(y == 1, alpha, 1 - alpha)
    return np.mean(weight * (1 - right) ** gamma * -np.log(right), -1)


def margins(y: Array, p: Array) -> Array:
    return np.maximum(1 - y * p, 0)


def huber(y: Array, p: Array, delta: float = 1.0) -> Array:
    e = np.abs(y - p)
    return np.mean(np.where(e <= delta, e**2 / 2, delta * (e - delta / 2)), -1)


def cosine(y: Array, p: Array) -> Array:
    return -np.sum(y * p, -1) / np.linalg.norm(y, axis=-1) / np.linalg.norm(p, axis=-1)


FROM_LOGITS = {"from_logits": True}
SMOOTH = {"label_smoothing": 0.2}
BINARY = ("binary_crossentropy", "BinaryCrossentropy")
FOCAL = ("binary_focal_crossentropy", "BinaryFocalCrossentropy")
CATEGORICAL = ("categorical_crossentropy", "CategoricalCrossentropy")
SPARSE = ("sparse_categorical_crossentropy", "SparseCategoricalCrossentropy")
MSE = ("mean_squared_error", "MeanSquaredError")
MAE = ("mean_absolute_error", "MeanAbsoluteError")
MAPE = ("mean_absolute_percentage_error", "MeanAbsolutePercentageError")
MSLE = ("mean_squared_logarithmic_error", "MeanSquaredLogarithmicError")

FORMULAS = {
    "mse": Formula(*MSE, lambda y, p: np.mean((y - p) ** 2, -1), NUMBERS, PREDICTED),
    "mae": Formula(*MAE, lambda y, p: np.mean(np.abs(y - p), -1), NUMBERS, PREDICTED),
    "mape": Formula(
        *MAPE, lambda y, p: 100 * np.mean(np.abs(1 - p / y), -1), POSITIVE, 3 * POSITIVE - PREDICTED
    ),
    "msle": Formula(
        *MSLE, lambda y, p: np.mean(np.log((1 + p) / (1 + y)) ** 2, -1), POSITIVE, SHARES
    ),
    "huber": Formula("huber", "Huber", huber, NUMBERS, PREDICTED),
    "huber, delta": Formula(
        "huber", "Huber", lambda y, p: huber(y, p, 0.4), NUMBERS, PREDICTED, {"delta": 0.4}
    ),
    "log_cosh": Formula(
        "log_cosh", "LogCosh", lambda y, p: np.mean(np.log(np.cosh(y - p)), -1), NUMBERS, PREDICTED
    ),
    "cosine": Formula("cosine_similarity", "CosineSimilarity", cosine, NUMBERS, PREDICTED),
    "cosine, columns": Formula(
        "cosine_similarity",
        "CosineSimilarity",
        lambda y, p: cosine(y.T, p.T),
        NUMBERS,
        PREDICTED,
        {"axis": 0},
    ),
    "hinge": Formula(
        "hinge", "Hinge", lambda y, p: margins(y, p).mean(-1), 2 * BITS - 1, PREDICTED
    ),
    "hinge, 0 and 1": Formula(
        "hinge", "Hinge", lambda y, p: margins(2 * y - 1, p).mean(-1), BITS, PREDICTED
    ),
    "squared hinge": Formula(
        "squared_hinge",
        "SquaredHinge",
        lambda y, p: (margins(2 * y - 1, p) ** 2).mean(-1),
        BITS,
        PREDICTED,
    ),
    "categorical hinge": Formula(
        "categorical_hinge",
        "CategoricalHinge",
        lambda y, p: np.maximum(((1 - y) * p).max(-1) - (y * p).sum(-1) + 1, 0),
        ONE_HOT,
        PREDICTED,
    ),
    "kl_divergence": Formula(
        "kl_divergence",
        "KLDivergence",
        lambda y, p: np.sum(y * np.log(y / p), -1),
        DISTRIBUTION,
        INSIDE,
    ),
    "poisson": Formula(
        "poisson",
        "Poisson",
        lambda y, p: np.mean(p - y * np.log(p + 1e-7), -1),
        POSITIVE,
        SHARES,
    ),
    "binary": Formula(*BINARY, binary, BITS, INSIDE),
    "binary, logits": Formula(
        *BINARY, lambda y, z: binary(y, sigmoid(z)), BITS, LOGITS, FROM_LOGITS
    ),
    "binary, smoothed": Formula(
        *BINARY, lambda y, p: binary(0.8 * y + 0.1, p), BITS, INSIDE, SMOOTH
    ),
    "binary, columns": Formula(*BINARY, lambda y, p: binary(y.T, p.T), BITS, INSIDE, {"axis": 0}),
    "focal": Formula(*FOCAL, focal, BITS, INSIDE),
    "focal, logits": Formula(*FOCAL, lambda y, z: focal(y, sigmoid(z)), BITS, LOGITS, FROM_LOGITS),
    "focal, balanced": Formula(
        *FOCAL,
        lambda y, p: focal(y, p, 3.0, 0.4),
        BITS,
        INSIDE,
        {"apply_class_balancing": True, "alpha": 0.4, "gamma": 3.0},
    ),
    "categorical": Formula(*CATEGORICAL, categorical, DISTRIBUTION, SHARES),
    "categorical, logits": Formula(
        *CATEGORICAL, lambda y, z: categorical(y, softmax(z)), ONE_HOT, LOGITS, FROM_LOGITS
    ),
    "categorical, smoothed": Formula(
        *CATEGORICAL, lambda y, p: categorical(0.8 * y + 0.2 / 3, p), ONE_HOT, SHARES, SMOOTH
    ),
    "categorical, columns": Formula(
        *CATEGORICAL, lambda y, p: categorical(y.T, p.T), DISTRIBUTION, SHARES, {"axis": 0}
    ),
    "sparse": Formula(*SPARSE, lambda y, p: categorical(np.eye(3)[y], p), CLASSES, SHARES),
    "sparse, logits": Formula(
        *SPARSE, lambda y, z: categorical(np.eye(3)[y], softmax(z)), CLASSES, LOGITS, FROM_LOGITS
    ),
    "sparse, columns": Formula(
        *SPARSE,
        lambda y, p: categorical(np.eye(4)[y], p.T),
        np.array([3, 0, 1]),
        SHARES,
        {"axis": 0},
    ),
    "sparse, ignoring": Formula(
        *SPARSE,
        lambda y, p: np.where(y == -1, 0, categorical(np.eye(3)[y], p)),
        np.array([2, -1, 1, -1]),
        SHARES,
        {"ignore_class": -1},
    ),
}
