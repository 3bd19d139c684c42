"""Losses between a distribution and its prediction: Kullback and Leibler's, and Poisson's."""

from __future__ import annotations

from fastnn import ops
from fastnn.losses.base import FunctionLoss
from fastnn.ops.targets import EPSILON, clipped, matched
from fastnn.tensor import Tensor, TensorLike


def kl_divergence(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The sum of y_true * log(y_true / y_pred) over the last axis, both clipped to [1e-7, 1].

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.kl_divergence([[0.5, 0.5]], [[0.25, 0.75]]).numpy().round(4)
    array([0.1438], dtype=float32)
    """
    target, predicted = (clipped(x, 1.0) for x in matched(y_true, y_pred))
    return ops.reduce_sum(target * ops.log(target / predicted), axis=-1)


def poisson(y_true: TensorLike, y_pred: TensorLike) -> Tensor:
    """The mean of y_pred - y_true * log(y_pred + 1e-7): counts y_true where y_pred are expected."""
    target, predicted = matched(y_true, y_pred)
    return ops.reduce_mean(predicted - target * ops.log(predicted + EPSILON), axis=-1)


class KLDivergence(FunctionLoss):
    """`kl_divergence`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(kl_divergence)


class Poisson(FunctionLoss):
    """`poisson`, reduced; the parameters are those of `Loss`."""

    function = staticmethod(poisson)
