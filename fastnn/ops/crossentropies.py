"""Cross-entropies, one number for each sample or element.

That of logits and labels of classes has a kernel. Those under the names of ``keras.ops`` are what
`fastnn.losses` are made of.
"""

from __future__ import annotations

import math

import numpy as np

from fastnn import _kernels
from fastnn._kernels import Call
from fastnn.arrays import Array, Shape
from fastnn.caller import warn
from fastnn.hyperparameters import fraction
from fastnn.ops.axes import existing_axis
from fastnn.ops.core import Gradients, floating, primitive
from fastnn.ops.discrete import not_equal
from fastnn.ops.elementwise import exp, log, stop_gradient, where
from fastnn.ops.labels import one_hot, to_classes
from fastnn.ops.neural import softmax, softmax_grad
from fastnn.ops.rearranging import moveaxis
from fastnn.ops.reductions import reduce_max, reduce_sum
from fastnn.ops.shaping import expand_dims, reshape
from fastnn.ops.special import softplus
from fastnn.ops.targets import clipped, labels_of, matched
from fastnn.recorders import recorders
from fastnn.tensor import SigmoidOf, SoftmaxOf, Tensor, TensorLike, convert


@primitive(kernel=True)
def _softmax_cross_entropy(logits: Array, labels: Array, out: Array | None = None) -> Array:
    return _kernels.softmax_cross_entropy(logits, labels, out=out)


@_softmax_cross_entropy.gradient
def _(call: Call, dy: Tensor) -> Gradients:
    logits, labels = call.inputs
    return softmax_cross_entropy_grad(dy, logits, labels), None


@primitive
def softmax_cross_entropy_grad(dloss: Array, logits: Array, labels: Array) -> Array:
    """The gradient of the logits, from that of the loss."""
    dlogits = np.empty(logits.shape, logits.dtype)  # in C order, whatever that of the logits
    _kernels.softmax_cross_entropy(logits, labels, dlogits, dloss)
    return dlogits


@softmax_cross_entropy_grad.gradient
def _(call: Call, d: Tensor) -> Gradients:
    dloss, logits, labels = call.inputs
    y = softmax(logits)
    error = y - one_hot(labels, logits.shape[-1], logits.dtype)
    return (
        lambda: reduce_sum(d * error, axis=-1),
        lambda: softmax_grad(d * expand_dims(dloss, -1), y),
        None,
    )


def softmax_cross_entropy(labels: TensorLike, logits: TensorLike) -> Tensor:
    """-log(softmax(logits)[label]), computed from the logits without ever taking a logarithm of 0.

    Parameters
    ----------
    labels : whole numbers in [0, classes), shape (...)
    logits : tensor of shape (..., classes)

    Returns
    -------
    Tensor
        Shape (...).

    Raises
    ------
    ValueError
        If the shapes do not fit or a label is not a class.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.softmax_cross_entropy([1], [[0.0, 0.0]]).numpy().round(4)
    array([0.6931], dtype=float32)
    """
    x = floating(logits)
    if x.ndim == 0:
        raise ValueError("logits must have shape (..., classes), got shape ()")
    return _of_classes(to_classes(labels, x.shape[-1]), x)


def _of_classes(classes: Tensor, x: Tensor) -> Tensor:
    """The same for labels that `to_classes` gave."""
    if classes.shape != x.shape[:-1]:
        raise ValueError(
            f"labels have shape {classes.shape} and logits {x.shape}; labels must have shape "
            f"{x.shape[:-1]}, one class for each row of logits"
        )
    rows = reshape(x, (math.prod(classes.shape), x.shape[-1]))
    loss = _softmax_cross_entropy(rows, reshape(classes, (-1,)))
    return reshape(loss, classes.shape)


def sparse_categorical_crossentropy(
    target: TensorLike,
    output: TensorLike,
    from_logits: bool = False,
    axis: int = -1,
    ignore_class: int | None = None,
) -> Tensor:
    """`losses.sparse_categorical_crossentropy`: one number for each sample."""
    y_pred, y_true = floating(output), convert(target)
    if not y_pred.ndim:
        raise ValueError("y_pred must have shape (..., classes), got shape ()")
    if y_true.ndim == y_pred.ndim:
        y_true = _classes_last(y_true, axis)
    logits = _logits(y_pred, SoftmaxOf, from_logits)
    scores = _classes_last(y_pred if logits is None else logits, axis)
    labels, valid = class_labels(y_true, scores.shape, ignore_class)
    if valid is not None:  # what is predicted there is not even looked at
        scores = where(expand_dims(valid, -1), scores, 1)
    if logits is None:
        chosen = one_hot(labels, scores.shape[-1], scores.dtype)
        values = -reduce_sum(chosen * _log_probabilities(scores), axis=-1)
    else:
        values = _of_classes(labels, scores)
    return values if valid is None else where(valid, values, 0)


def categorical_crossentropy(
    target: TensorLike,
    output: TensorLike,
    from_logits: bool = False,
    axis: int = -1,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`losses.categorical_crossentropy`: one number for each sample."""
    y_pred = floating(output)
    y_true = convert(target, y_pred.dtype)
    if y_true.shape != y_pred.shape or not y_pred.ndim:
        are_labels = y_true.ndim < max(y_pred.ndim, 2) or y_true.shape[-1] == 1
        remedy = (
            "For integer labels use sparse_categorical_crossentropy"
            if are_labels
            else "Let the last layer have a unit for each column of y_true, or count classes from 0"
        )
        raise ValueError(
            f"y_true has shape {y_true.shape} and y_pred {y_pred.shape}; they must be equal. "
            f"{remedy}"
        )
    logits = _logits(y_pred, SoftmaxOf, from_logits)
    scores = _classes_last(y_pred if logits is None else logits, axis)
    shares = smoothed(_classes_last(y_true, axis), label_smoothing, scores.shape[-1])
    if scores.shape[-1] == 1:
        warn(
            f"categorical_crossentropy of a single class (y_pred has shape {y_pred.shape}) is "
            "always 0; use binary_crossentropy for two classes with one output",
            SyntaxWarning,
        )
    if logits is None:
        return -reduce_sum(shares * _log_probabilities(scores), axis=-1)
    shifted = scores - stop_gradient(reduce_max(scores, axis=-1, keepdims=True))
    normaliser = log(reduce_sum(exp(shifted), axis=-1, keepdims=True))
    return reduce_sum(shares * (normaliser - shifted), axis=-1)


def binary_crossentropy(
    target: TensorLike,
    output: TensorLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
) -> Tensor:
    """`losses.binary_crossentropy` before it is averaged: one number for each element."""
    y_pred = floating(output)
    logits = _logits(y_pred, SigmoidOf, from_logits)
    y_true, scores = matched(target, y_pred if logits is None else logits)
    y_true = smoothed(y_true, label_smoothing, 2)
    if logits is None:
        p = clipped(scores)
        return -(y_true * log(p) + (1 - y_true) * log(1 - p))
    return y_true * softplus(-scores) + (1 - y_true) * softplus(scores)


def smoothed(target: Tensor, label_smoothing: float, classes: int) -> Tensor:
    """Targets of which a share is divided among all classes; ValueError if it is no share."""
    if not fraction("label_smoothing", label_smoothing):
        return target
    return target * (1 - label_smoothing) + label_smoothing / classes


def logits_of(y_pred: Tensor, origin: type[SoftmaxOf | SigmoidOf]) -> Tensor | None:
    """The logits behind probabilities that softmax or sigmoid, as `origin` says, made of them.

    None if a gradient may not pass the probabilities by, because a tape was asked to watch them or
    did not see them made.
    """
    made = y_pred.origin
    if type(made) is not origin:
        return None
    logits = made.logits
    seen = all(
        r.follows(y_pred) == r.follows(logits) and not r.watches(y_pred) for r in recorders.stack
    )
    return logits if seen else None


def _logits(
    y_pred: Tensor, origin: type[SoftmaxOf | SigmoidOf], from_logits: bool
) -> Tensor | None:
    """The predictions themselves if they are logits, else those of `logits_of`."""
    if not from_logits:
        return logits_of(y_pred, origin)
    if type(y_pred.origin) is origin:
        made = "softmax" if origin is SoftmaxOf else "sigmoid"
        warn(
            f"from_logits=True, but {made} made probabilities of y_pred already: leave out one of "
            "the two",
            SyntaxWarning,
        )
    return y_pred


def _log_probabilities(y_pred: Tensor) -> Tensor:
    """log of the rows of y_pred, normalised to a sum of 1 and clipped."""
    return log(clipped(y_pred / reduce_sum(y_pred, axis=-1, keepdims=True)))


def _classes_last(x: Tensor, axis: int) -> Tensor:
    """x with the axis of the classes as its last."""
    at = existing_axis("crossentropy", x, axis)
    return x if at == x.ndim - 1 else moveaxis(x, at, -1)


def _labels_of_rows(y_true: TensorLike, shape: Shape) -> Tensor:
    """Labels for predictions of `shape`, one for each row."""
    given = convert(y_true)
    labels = labels_of(given, len(shape))
    if labels.ndim < len(shape) - 1 and labels.shape == shape[: labels.ndim]:
        raise ValueError(
            f"y_true has shape {given.shape} and y_pred {shape}; a sample has one label "
            "but several predictions: flatten the model's input with x.reshape(len(x), -1)"
        )
    if labels.shape != shape[:-1]:
        raise ValueError(
            f"y_true has shape {given.shape} and y_pred {shape}; y_true must hold one "
            f"class for each row: shape {shape[:-1]}. For one-hot targets use "
            "categorical_crossentropy"
        )
    return labels


def class_labels(
    y_true: TensorLike, shape: Shape, ignore_class: int | None
) -> tuple[Tensor, Tensor | None]:
    """Labels checked to be classes, and where they are not the one to ignore."""
    labels = _labels_of_rows(y_true, shape)
    valid = None
    if ignore_class is not None:
        labels = floating(labels)
        valid = not_equal(labels, ignore_class)
        labels = where(valid, labels, 0)
    return to_classes(labels, shape[-1], "y_true"), valid
