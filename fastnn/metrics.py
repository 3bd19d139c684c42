"""Metrics: what is reported beside the loss, one number for each sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fastnn import losses
from fastnn.arrays import Array, Shape
from fastnn.lookup import resolve
from fastnn.tensor import TensorLike, to_array

Metric: TypeAlias = Callable[[TensorLike, TensorLike], TensorLike]


def sparse_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Array:
    """1 where the most probable class is the label; y_true (n,) or (n, 1), y_pred (n, classes).

    Examples
    --------
    >>> import fastnn
    >>> fastnn.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    array([1., 0.], dtype=float32)
    """
    labels, predicted = to_array(y_true), to_array(y_pred)
    if labels.ndim == predicted.ndim and labels.shape[-1:] == (1,):
        labels = labels[..., 0]
    _check("sparse_categorical_accuracy", labels.shape, predicted.shape[:-1])
    return np.asarray(predicted.argmax(-1) == labels, np.float32)


def categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Array:
    """1 where the most probable class is that of the one-hot target; both (n, classes)."""
    target, predicted = to_array(y_true), to_array(y_pred)
    _check("categorical_accuracy", target.shape, predicted.shape)
    return np.asarray(target.argmax(-1) == predicted.argmax(-1), np.float32)


def binary_accuracy(y_true: TensorLike, y_pred: TensorLike, threshold: float = 0.5) -> Array:
    """The share of a sample's outputs that are above `threshold` exactly where the target is 1."""
    target, predicted = to_array(y_true), to_array(y_pred)
    if target.ndim == predicted.ndim - 1 and predicted.shape[-1] == 1:
        target = target[..., None]
    _check("binary_accuracy", target.shape, predicted.shape)
    return np.asarray(((predicted > threshold) == target).mean(-1, dtype=np.float32))


def accuracy(y_true: TensorLike, y_pred: TensorLike) -> Array:
    """The accuracy that the shapes of targets and predictions call for."""
    return _accuracy_for(to_array(y_true).shape, to_array(y_pred).shape)(y_true, y_pred)


def _check(name: str, y_true: Shape, expected: Shape) -> None:
    if y_true != expected or not expected:
        raise ValueError(
            f"{name}: the targets have shape {y_true} where the predictions call for {expected}; "
            "reshape the targets or choose the accuracy that fits them"
        )


def _accuracy_for(y_true: Shape, y_pred: Shape) -> Callable[[TensorLike, TensorLike], Array]:
    if not y_pred or y_pred[-1] == 1:
        return binary_accuracy
    if len(y_true) < len(y_pred) or y_true[-1] == 1:
        return sparse_categorical_accuracy
    return categorical_accuracy


_NAMES: dict[str, Metric] = {
    "acc": accuracy,
    "accuracy": accuracy,
    "binary_accuracy": binary_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "mean_squared_error": losses.mean_squared_error,
    "mse": losses.mean_squared_error,
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
}


def get(identifier: str | Metric) -> Metric:
    """A metric by its name, or the callable itself."""
    return resolve("metric", identifier, _NAMES)
