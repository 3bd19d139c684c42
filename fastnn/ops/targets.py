"""Targets and predictions: what losses and metrics see to before they compare the two."""

from __future__ import annotations

from fastnn.arrays import Shape
from fastnn.ops.core import floating
from fastnn.ops.elementwise import clip
from fastnn.ops.shaping import expand_dims, reshape, squeeze
from fastnn.tensor import Tensor, TensorLike, convert

EPSILON = 1e-7  # probabilities are clipped to [EPSILON, 1 - EPSILON], as in Keras


def same_rank(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Both with as many axes, if one has just a last axis of length 1 more.

    So (n,) goes with (n, 1), as (n, 1); from others the axis is taken away.
    """
    if a.ndim == b.ndim + 1 and a.shape[-1] == 1:
        return (a, expand_dims(b, -1)) if b.ndim == 1 else (squeeze(a, -1), b)
    if b.ndim == a.ndim + 1 and b.shape[-1] == 1:
        return same_rank(b, a)[::-1]
    return a, b


def matched(y_true: TensorLike, y_pred: TensorLike) -> tuple[Tensor, Tensor]:
    """Targets and predictions as floats of one dtype and one shape; ValueError if they differ."""
    y_pred = floating(y_pred)
    target, predicted = same_rank(convert(y_true, y_pred.dtype), y_pred)
    if not predicted.ndim:
        raise ValueError("y_true and y_pred are single numbers: give lists, [y_true] and [y_pred]")
    if target.shape != predicted.shape:
        raise ValueError(
            f"y_true has shape {target.shape} and y_pred {predicted.shape}; they must be equal: "
            f"{_remedy(target.shape, predicted.shape)}"
        )
    return target, predicted


def _remedy(target: Shape, predicted: Shape) -> str:
    """What to change where targets and predictions differ in shape."""
    count = predicted[-1]
    if len(predicted) > 2 and len(target) < 3:
        return "flatten the model's input first, with x.reshape(len(x), -1) or layers.Flatten()"
    if len(target) == 1 or target[-1] == 1:
        return (
            f"for one number a sample give the last layer one unit, as Dense(1); labels of {count} "
            "classes are for sparse_categorical_crossentropy and accuracy, and other losses and "
            f"metrics take them as rows, utils.to_categorical(y, {count})"
        )
    return f"the last layer should have {target[-1]} units, one for each column of the targets"


def labels_of(y_true: TensorLike, ndim: int) -> Tensor:
    """Labels for the rows of predictions with so many axes, (n, 1) being taken as (n,)."""
    labels = convert(y_true)
    if labels.ndim == ndim and labels.shape[-1:] == (1,):
        return reshape(labels, labels.shape[:-1])
    return labels


def clipped(x: Tensor, high: float = 1 - EPSILON) -> Tensor:
    """x where it is in [EPSILON, high], else the nearer of the two; NaN stays."""
    return clip(x, EPSILON, high)
