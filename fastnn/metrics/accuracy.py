"""Accuracies: the share of predictions that are right."""

from __future__ import annotations

from collections.abc import Callable

from fastnn import ops
from fastnn.arrays import Shape
from fastnn.ops.core import floating
from fastnn.ops.reductions import hits
from fastnn.tensor import Tensor, TensorLike, convert


def sparse_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """1 where the most probable class is the label; y_true (n,) or (n, 1), y_pred (n, classes).

    Examples
    --------
    >>> import fastnn
    >>> fastnn.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    Tensor([1. 0.], shape=(2,), dtype=float32)
    """
    labels, predicted = convert(y_true), floating(y_pred)
    if labels.ndim == predicted.ndim and labels.shape[-1:] == (1,):
        labels = ops.reshape(labels, labels.shape[:-1])
    _check("sparse_categorical_accuracy", labels.shape, predicted.shape[:-1])
    return hits(predicted, labels)


def categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """1 where the most probable class is that of the one-hot target; both (n, classes)."""
    target, predicted = floating(y_true), floating(y_pred)
    _check("categorical_accuracy", target.shape, predicted.shape)
    return hits(predicted, ops.argmax(target, axis=-1))


def binary_accuracy(y_true: TensorLike, y_pred: TensorLike, threshold: float = 0.5) -> Tensor:
    """The share of a sample's outputs that are above `threshold` exactly where the target is 1."""
    predicted = floating(y_pred)
    target = convert(y_true, predicted.dtype)
    if target.ndim == predicted.ndim - 1 and predicted.shape[-1] == 1:
        target = ops.expand_dims(target, -1)
    _check("binary_accuracy", target.shape, predicted.shape)
    above = ops.cast(ops.greater(predicted, threshold), predicted.dtype)
    return ops.reduce_mean(ops.cast(ops.equal(above, target), predicted.dtype), axis=-1)


def accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The accuracy that the shapes of targets and predictions call for."""
    target, predicted = convert(y_true), convert(y_pred)
    return _accuracy_for(target.shape, predicted.shape)(target, predicted)


def _check(name: str, y_true: Shape, expected: Shape) -> None:
    if y_true != expected or not expected:
        raise ValueError(
            f"{name}: the targets have shape {y_true} where the predictions call for {expected}; "
            "reshape the targets or choose the accuracy that fits them"
        )


def _accuracy_for(y_true: Shape, y_pred: Shape) -> Callable[[TensorLike, TensorLike], Tensor]:
    if not y_pred or y_pred[-1] == 1:
        return binary_accuracy
    if len(y_true) < len(y_pred) or y_true[-1] == 1:
        return sparse_categorical_accuracy
    return categorical_accuracy
