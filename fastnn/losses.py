"""Losses: how far predictions are from targets, one number for each sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fastnn import ops
from fastnn.arrays import Shape
from fastnn.lookup import resolve
from fastnn.ops.core import floating
from fastnn.ops.labels import to_classes
from fastnn.ops.neural import cross_entropy_of_classes
from fastnn.recorders import recorders
from fastnn.tensor import SoftmaxOf, Tensor, TensorLike, convert

Loss: TypeAlias = Callable[[TensorLike, TensorLike], Tensor]

EPSILON = 1e-7  # probabilities are clipped to [EPSILON, 1 - EPSILON], as in Keras


def _logits_of(y_pred: Tensor) -> Tensor | None:
    """The logits behind probabilities that softmax made, if a gradient may pass those by.

    It may not where a tape was asked to watch the probabilities, or did not see them made.
    """
    if type(y_pred.origin) is not SoftmaxOf:
        return None
    logits = y_pred.origin.logits
    seen = all(
        r.follows(y_pred) == r.follows(logits) and not r.watches(y_pred) for r in recorders.stack
    )
    return logits if seen else None


def _log_probabilities(y_pred: Tensor) -> Tensor:
    """log of the rows of y_pred, normalised to a sum of 1 and clipped."""
    p = y_pred / ops.reduce_sum(y_pred, axis=-1, keepdims=True)
    return ops.log(ops.minimum(ops.maximum(p, EPSILON), 1 - EPSILON))


def _class_labels(y_true: TensorLike, shape: Shape) -> Tensor:
    """Labels for predictions of `shape`, (n, 1) being taken as (n,), checked to be classes."""
    labels = convert(y_true)
    if not shape:
        raise ValueError("y_pred must have shape (..., classes), got shape ()")
    if labels.ndim == len(shape) and labels.shape[-1] == 1:
        labels = ops.reshape(labels, labels.shape[:-1])
    if labels.ndim < len(shape) - 1 and labels.shape == shape[: labels.ndim]:
        raise ValueError(
            f"y_true has shape {convert(y_true).shape} and y_pred {shape}; a sample has one label "
            "but several predictions: flatten the model's input with x.reshape(len(x), -1)"
        )
    if labels.shape != shape[:-1]:
        raise ValueError(
            f"y_true has shape {convert(y_true).shape} and y_pred {shape}; y_true must hold one "
            f"class for each row: shape {shape[:-1]}. For one-hot targets use "
            "categorical_crossentropy"
        )
    return to_classes(labels, shape[-1], "y_true")


def check_targets(loss: Loss, y_true: TensorLike, y_pred: Shape) -> None:
    """Refuse targets of a whole data set that the loss would refuse in some later batch.

    Parameters
    ----------
    loss : callable
    y_true : array
        All targets.
    y_pred : tuple
        The shape of the prediction for one sample, without the batch axis.
    """
    if getattr(loss, "func", loss) is sparse_categorical_crossentropy:  # or a functools.partial
        _class_labels(y_true, (len(y_true), *y_pred))


def sparse_categorical_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = False
) -> Tensor:
    """-log of the probability predicted for the true class.

    Parameters
    ----------
    y_true : whole numbers in [0, classes), shape (n,) or (n, 1)
    y_pred : tensor of shape (n, classes)
        Probabilities, or logits if `from_logits`. Probabilities that `softmax` made are traced back
        to their logits, which has no limit and loses no digits, and the gradient flows to the
        logits; others are divided by their sum and clipped to [1e-7, 1 - 1e-7], so the loss is at
        most 16.118.
    from_logits : bool, default False

    Returns
    -------
    Tensor
        One loss for each sample, shape (n,).

    Raises
    ------
    ValueError
        If the shapes do not fit, or a label is not one of the classes.

    Examples
    --------
    >>> import fastnn
    >>> loss = fastnn.losses.sparse_categorical_crossentropy([1, 0], [[0.5, 0.5], [0.25, 0.75]])
    >>> loss.numpy().round(4)
    array([0.6931, 1.3863], dtype=float32)
    """
    y_pred = floating(y_pred)
    labels = _class_labels(y_true, y_pred.shape)
    logits = y_pred if from_logits else _logits_of(y_pred)
    if logits is not None:
        return cross_entropy_of_classes(labels, logits)
    chosen = ops.one_hot(labels, y_pred.shape[-1], y_pred.dtype)
    return -ops.reduce_sum(chosen * _log_probabilities(y_pred), axis=-1)


def categorical_crossentropy(
    y_true: TensorLike, y_pred: TensorLike, from_logits: bool = False
) -> Tensor:
    """-sum(y_true * log(y_pred)) over the classes.

    Parameters
    ----------
    y_true : tensor of shape (n, classes)
        Probabilities of the classes, for example one-hot rows.
    y_pred : tensor of shape (n, classes)
        As for `sparse_categorical_crossentropy`.
    from_logits : bool, default False

    Returns
    -------
    Tensor
        One loss for each sample, shape (n,).

    Raises
    ------
    ValueError
        If the shapes differ.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    y_pred = floating(y_pred)
    y_true = convert(y_true, y_pred.dtype)
    if y_true.shape != y_pred.shape or not y_pred.ndim:
        raise ValueError(
            f"y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be equal. For "
            "integer labels use sparse_categorical_crossentropy"
        )
    logits = y_pred if from_logits else _logits_of(y_pred)
    if logits is None:
        return -ops.reduce_sum(y_true * _log_probabilities(y_pred), axis=-1)
    shifted = logits - ops.stop_gradient(ops.reduce_max(logits, axis=-1, keepdims=True))
    normaliser = ops.log(ops.reduce_sum(ops.exp(shifted), axis=-1, keepdims=True))
    return ops.reduce_sum(y_true * (normaliser - shifted), axis=-1)


def mean_squared_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The mean of (y_true - y_pred)^2 over the last axis.

    Parameters
    ----------
    y_true, y_pred : tensors of shape (n, ...)
        Equal shapes; a missing last axis of length 1 is added, so (n,) goes with (n, 1).

    Returns
    -------
    Tensor
        One loss for each sample, shape (n, ...) without the last axis.

    Raises
    ------
    ValueError
        If the shapes differ otherwise.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.mean_squared_error([1.0, 2.0], [[1.0], [4.0]])
    Tensor([0. 4.], shape=(2,), dtype=float32)
    """
    y_pred = floating(y_pred)
    y_true = convert(y_true, y_pred.dtype)
    if y_true.ndim == y_pred.ndim - 1 and y_pred.shape[-1] == 1:
        y_true = ops.expand_dims(y_true, -1)
    elif y_pred.ndim == y_true.ndim - 1 and y_true.shape[-1] == 1:
        y_pred = ops.expand_dims(y_pred, -1)
    if y_true.shape != y_pred.shape or not y_pred.ndim:
        raise ValueError(
            f"y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be equal: "
            "reshape the targets to the model's output"
        )
    return ops.reduce_mean(ops.square(y_true - y_pred), axis=-1)


_NAMES: dict[str, Loss] = {
    "categorical_crossentropy": categorical_crossentropy,
    "mean_squared_error": mean_squared_error,
    "mse": mean_squared_error,
    "sparse_categorical_crossentropy": sparse_categorical_crossentropy,
}


def get(identifier: str | Loss) -> Loss:
    """A loss by its name, or the callable itself."""
    found: Loss = resolve("loss", identifier, _NAMES)
    return found
