"""Hinge losses: nothing to pay for a prediction beyond a margin of 1 on the right side."""

from __future__ import annotations

from fastnn import ops
from fastnn.losses.base import FunctionLoss
from fastnn.ops.targets import matched
from fastnn.tensor import Tensor, TensorLike


def _margins(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """max(1 - y_true * y_pred, 0); targets that are all 0 or 1 count as -1 and 1."""
    target, predicted = matched(y_true, y_pred)
    # Only 0 and 1 are their own squares.
    others = ops.reduce_sum(ops.cast(ops.not_equal(target * target, target), target.dtype))
    signs = ops.where(ops.equal(others, 0), 2 * target - 1, target)
    return ops.maximum(1 - signs * predicted, 0)


def hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The mean of max(1 - y_true * y_pred, 0) over the last axis.

    Parameters
    ----------
    y_true : tensor of shape (n, ...)
        -1 and 1; if all are 0 or 1, these are taken as -1 and 1.
    y_pred : tensor of the same shape

    Returns
    -------
    Tensor
        One loss for each sample, shape (n, ...) without the last axis.

    Raises
    ------
    ValueError
        If the shapes differ by more than a last axis of length 1.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.hinge([[1.0], [-1.0]], [[0.5], [0.5]])
    Tensor([0.5 1.5], shape=(2,), dtype=float32)
    """
    return ops.reduce_mean(_margins(y_true, y_pred), axis=-1)


def squared_hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The mean of max(1 - y_true * y_pred, 0)^2 over the last axis; arguments as for `hinge`."""
    return ops.reduce_mean(ops.square(_margins(y_true, y_pred)), axis=-1)


def categorical_hinge(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """max(the largest of the wrong classes - that of the true class + 1, 0); y_true is one-hot."""
    target, predicted = matched(y_true, y_pred)
    right = ops.reduce_sum(target * predicted, axis=-1)
    wrong = ops.reduce_max((1 - target) * predicted, axis=-1)
    return ops.maximum(wrong - right + 1, 0)


class Hinge(FunctionLoss):
    """`hinge`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(hinge)


class SquaredHinge(FunctionLoss):
    """`squared_hinge`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(squared_hinge)


class CategoricalHinge(FunctionLoss):
    """`categorical_hinge`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(categorical_hinge)
