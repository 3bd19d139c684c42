"""Accuracies: the share of predictions that are right."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np

from fastnn import losses, ops
from fastnn.arrays import DType, Shape
from fastnn.hyperparameters import count
from fastnn.metrics.mean import FunctionMetric, MeanMetricWrapper
from fastnn.ops.core import floating
from fastnn.ops.labels import hits
from fastnn.ops.targets import labels_of, same_rank
from fastnn.tensor import Tensor, TensorLike, convert

Choice = TypeVar("Choice")


def sparse_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """1 where the most probable class is the label; y_true (n,) or (n, 1), y_pred (n, classes).

    Examples
    --------
    >>> import fastnn
    >>> fastnn.metrics.sparse_categorical_accuracy([1, 0], [[0.1, 0.9], [0.2, 0.8]])
    Tensor([1. 0.], shape=(2,), dtype=float32)
    """
    predicted = floating(y_pred)
    return hits(predicted, _labels("sparse_categorical_accuracy", y_true, predicted.shape))


def categorical_accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """1 where the most probable class is that of the one-hot target; both (n, classes)."""
    target, predicted = floating(y_true), floating(y_pred)
    _check("categorical_accuracy", target.shape, predicted.shape)
    return hits(predicted, ops.argmax(target, axis=-1))


def binary_accuracy(y_true: TensorLike, y_pred: TensorLike, threshold: float = 0.5) -> Tensor:
    """1 where an output is above `threshold` as the target, 1 or 0, says it should be.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.metrics.binary_accuracy([[1, 0], [1, 1]], [[0.6, 0.2], [0.7, 0.4]]).numpy()
    array([[1., 1.],
           [1., 0.]], dtype=float32)
    """
    predicted = floating(y_pred)
    target, predicted = same_rank(convert(y_true, predicted.dtype), predicted)
    _check("binary_accuracy", target.shape, predicted.shape)
    above = ops.cast(ops.greater(predicted, threshold), predicted.dtype)
    return ops.cast(ops.equal(above, target), predicted.dtype)


def top_k_categorical_accuracy(y_true: TensorLike, y_pred: TensorLike, k: int = 5) -> Tensor:
    """1 where the class of the one-hot target is among the `k` most probable ones.

    A class that ties with the last of the k is among them.
    """
    target, predicted = floating(y_true), floating(y_pred)
    _check("top_k_categorical_accuracy", target.shape, predicted.shape)
    return _in_top_k(ops.argmax(target, axis=-1), predicted, k)


def sparse_top_k_categorical_accuracy(
    y_true: TensorLike, y_pred: TensorLike, k: int = 5, from_sorted_ids: bool = False
) -> Tensor:
    """1 where the label is among the `k` most probable classes; y_true (n,) or (n, 1).

    A class that ties with the last of the k is among them.

    Parameters
    ----------
    y_true : tensor of shape (n,) or (n, 1)
    y_pred : tensor of shape (n, classes)
    k : int, default 5
    from_sorted_ids : bool, default False
        `y_pred` holds classes, the most probable one first, instead of their probabilities.

    Examples
    --------
    >>> import fastnn
    >>> scores = [[0.1, 0.7, 0.2], [0.6, 0.3, 0.1]]
    >>> fastnn.metrics.sparse_top_k_categorical_accuracy([2, 2], scores, k=2)
    Tensor([1. 0.], shape=(2,), dtype=float32)
    """
    predicted = floating(y_pred)
    labels = _labels("sparse_top_k_categorical_accuracy", y_true, predicted.shape)
    if not from_sorted_ids:
        return _in_top_k(labels, predicted, k)
    first = predicted[..., : count("k", k)]
    same = ops.equal(first, ops.expand_dims(convert(labels, first.dtype), -1))
    return ops.reduce_max(ops.cast(same, first.dtype), axis=-1)


def accuracy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The accuracy that the shapes of targets and predictions call for.

    It is binary if the predictions have a last axis of length 1, sparse categorical if the targets
    have one axis less or a last one of length 1, and else categorical.
    """
    target, predicted = convert(y_true), convert(y_pred)
    choices = binary_accuracy, sparse_categorical_accuracy, categorical_accuracy
    return _fitting(target.shape, predicted.shape, choices)(target, predicted)


def crossentropy(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The cross-entropy that the shapes call for, as for `accuracy`."""
    target, predicted = convert(y_true), convert(y_pred)
    choices = (
        losses.binary_crossentropy,
        losses.sparse_categorical_crossentropy,
        losses.categorical_crossentropy,
    )
    return _fitting(target.shape, predicted.shape, choices)(target, predicted)


def _fitting(y_true: Shape, y_pred: Shape, choices: tuple[Choice, Choice, Choice]) -> Choice:
    """The one of three functions (binary, sparse, categorical) for targets and predictions."""
    binary, sparse, categorical = choices
    if not y_pred or y_pred[-1] == 1:
        return binary
    return sparse if len(y_true) < len(y_pred) or y_true[-1] == 1 else categorical


def _equality(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """1 where both are equal."""
    predicted = floating(y_pred)
    target, predicted = same_rank(convert(y_true, predicted.dtype), predicted)
    _check("Accuracy", target.shape, predicted.shape)
    return ops.cast(ops.equal(target, predicted), predicted.dtype)


def _labels(name: str, y_true: TensorLike, y_pred: Shape) -> Tensor:
    labels = labels_of(y_true, len(y_pred))
    _check(name, labels.shape, y_pred[:-1])
    return labels


def _check(name: str, y_true: Shape, expected: Shape) -> None:
    if not expected:
        raise ValueError(
            f"{name}: the predictions have too few axes: they must be rows, one for each sample"
        )
    if y_true != expected:
        raise ValueError(
            f"{name}: the targets have shape {y_true} where the predictions call for {expected}; "
            "reshape the targets or choose the accuracy that fits them"
        )


def _in_top_k(labels: Tensor, scores: Tensor, k: int) -> Tensor:
    """1 where fewer than k scores are above that of the label, or NaN."""
    classes = scores.shape[-1]
    numbers = np.arange(classes, dtype=scores.dtype)
    is_label = ops.equal(numbers, ops.expand_dims(convert(labels, scores.dtype), -1))
    of_label = ops.reduce_max(ops.where(is_label, scores, -math.inf), axis=-1, keepdims=True)
    not_above = ops.cast(ops.less_equal(scores, of_label), scores.dtype)
    enough = ops.greater(ops.reduce_sum(not_above, axis=-1), max(classes - count("k", k), 0))
    return ops.cast(enough, scores.dtype)


class Accuracy(FunctionMetric):
    """The share of predictions that equal their targets, number by number.

    ``metrics=["accuracy"]`` in `compile` means something else: the accuracy of the most probable
    class, or of what is above 0.5.

    Examples
    --------
    >>> import fastnn
    >>> float(fastnn.metrics.Accuracy()([1, 2, 3, 4], [0, 2, 3, 4]))
    0.75
    """

    function = staticmethod(_equality)
    default_name = "accuracy"


class BinaryAccuracy(MeanMetricWrapper):
    """The share of outputs that are above `threshold` exactly where the target is 1.

    Parameters
    ----------
    name : str, default "binary_accuracy"
    dtype : dtype, optional
    threshold : float, default 0.5
        0 for logits.

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.BinaryAccuracy()
    >>> float(metric([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]]))
    0.75
    """

    def __init__(
        self, name: str | None = "binary_accuracy", dtype: DType = None, threshold: float = 0.5
    ) -> None:
        if not isinstance(threshold, int | float | np.number) or not math.isfinite(threshold):
            raise ValueError(f"threshold must be a number, such as 0 for logits, got {threshold!r}")
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(FunctionMetric):
    """The share of samples whose most probable class is that of the one-hot target."""

    function = staticmethod(categorical_accuracy)


class SparseCategoricalAccuracy(FunctionMetric):
    """The share of samples whose most probable class is the label."""

    function = staticmethod(sparse_categorical_accuracy)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """The share of samples whose one-hot target is among the `k` most probable classes.

    Parameters
    ----------
    k : int, default 5
    name : str, default "top_k_categorical_accuracy"
    dtype : dtype, optional

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.TopKCategoricalAccuracy(k=1)
    >>> float(metric([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]]))
    0.5
    """

    def __init__(
        self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: DType = None
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=count("k", k))


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """The share of samples whose label is among the `k` most probable classes.

    Parameters
    ----------
    k : int, default 5
    name : str, default "sparse_top_k_categorical_accuracy"
    dtype : dtype, optional
    from_sorted_ids : bool, default False
        As for the function.
    """

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: DType = None,
        from_sorted_ids: bool = False,
    ) -> None:
        options = {"k": count("k", k), "from_sorted_ids": from_sorted_ids}
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, **options)
