"""Losses of numbers: how far each prediction is from its target."""

from __future__ import annotations

import math

from fastnn import ops
from fastnn.arrays import DType
from fastnn.hyperparameters import positive
from fastnn.losses.base import FunctionLoss, LossFunctionWrapper
from fastnn.ops.targets import EPSILON, matched
from fastnn.tensor import Tensor, TensorLike


def mean_squared_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The mean of (y_true - y_pred)^2 over the last axis.

    Parameters
    ----------
    y_true, y_pred : tensors of shape (n, ...)
        Equal shapes, or one with a last axis of length 1 more: (n,) goes with (n, 1).

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
    target, predicted = matched(y_true, y_pred)
    # In this order the gradient needs no change of sign.
    return ops.reduce_mean(ops.square(predicted - target), axis=-1)


def mean_absolute_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The mean of |y_true - y_pred| over the last axis; shapes as for `mean_squared_error`."""
    target, predicted = matched(y_true, y_pred)
    return ops.reduce_mean(ops.abs(target - predicted), axis=-1)


def mean_absolute_percentage_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """100 times the mean of |y_true - y_pred| / max(|y_true|, 1e-7) over the last axis."""
    target, predicted = matched(y_true, y_pred)
    relative = ops.abs((target - predicted) / ops.maximum(ops.abs(target), EPSILON))
    return 100 * ops.reduce_mean(relative, axis=-1)


def mean_squared_logarithmic_error(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The mean of (log(1 + y_true) - log(1 + y_pred))^2; numbers below 1e-7 count as 1e-7."""
    logarithms = [ops.log(ops.maximum(x, EPSILON) + 1) for x in matched(y_true, y_pred)]
    return ops.reduce_mean(ops.square(logarithms[0] - logarithms[1]), axis=-1)


def huber(y_true: TensorLike, y_pred: TensorLike, delta: float = 1.0) -> Tensor:
    """The mean of e^2 / 2 where e = |y_true - y_pred| <= delta, else delta * (e - delta / 2).

    Raises
    ------
    ValueError
        If `delta` is not positive, or the shapes differ.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.huber([[0.0], [0.0]], [[1.0], [3.0]])
    Tensor([0.5 2.5], shape=(2,), dtype=float32)
    """
    delta = positive("delta", delta)
    target, predicted = matched(y_true, y_pred)
    error = ops.abs(target - predicted)
    far = delta * error - delta * delta / 2
    return ops.reduce_mean(ops.where(error <= delta, ops.square(error) / 2, far), axis=-1)


def log_cosh(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The mean of log(cosh(y_pred - y_true)): e^2 / 2 near 0, |e| - log 2 far from it.

    It is computed as e + softplus(-2 e) - log 2, which does not overflow.
    """
    target, predicted = matched(y_true, y_pred)
    error = predicted - target
    return ops.reduce_mean(error + ops.softplus(-2 * error) - math.log(2), axis=-1)


def cosine_similarity(y_true: TensorLike, y_pred: TensorLike, axis: int = -1) -> Tensor:
    """Minus the cosine of the angle between targets and predictions: -1 where they agree.

    Rows shorter than 1e-7 are divided by that instead of by their length.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.cosine_similarity([[0.0, 1.0]], [[0.0, 2.0]])
    Tensor([-1.], shape=(1,), dtype=float32)
    """
    target, predicted = (_unit(x, axis) for x in matched(y_true, y_pred))
    return -ops.reduce_sum(target * predicted, axis=axis)


def _unit(x: Tensor, axis: int) -> Tensor:
    squares = ops.reduce_sum(ops.square(x), axis=axis, keepdims=True)
    return x / ops.sqrt(ops.maximum(squares, EPSILON**2))


class MeanSquaredError(FunctionLoss):
    """`mean_squared_error`, reduced; the parameters are those of `Loss`.

    Examples
    --------
    >>> import fastnn
    >>> loss = fastnn.losses.MeanSquaredError()
    >>> float(loss([[0.0], [0.0]], [[1.0], [2.0]]))
    2.5
    """

    function = staticmethod(mean_squared_error)


class MeanAbsoluteError(FunctionLoss):
    """`mean_absolute_error`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(mean_absolute_error)


class MeanAbsolutePercentageError(FunctionLoss):
    """`mean_absolute_percentage_error`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(FunctionLoss):
    """`mean_squared_logarithmic_error`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(mean_squared_logarithmic_error)


class Huber(LossFunctionWrapper):
    """`huber`, reduced; `delta` is where it turns from squares to lines, the rest as for `Loss`."""

    delta: float

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: DType = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


class LogCosh(FunctionLoss):
    """`log_cosh`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(log_cosh)


class CosineSimilarity(LossFunctionWrapper):
    """`cosine_similarity` along `axis`, reduced; the other parameters are those of `Loss`."""

    axis: int

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: DType = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)
