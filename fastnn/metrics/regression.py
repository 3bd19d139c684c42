"""Metrics of numbers: how far predictions are from targets."""

from __future__ import annotations

import math

import numpy as np

from fastnn import losses, ops
from fastnn.arrays import DType
from fastnn.hyperparameters import count
from fastnn.losses.base import quotient
from fastnn.metrics.base import Metric
from fastnn.metrics.mean import FunctionMetric, Mean, MeanMetricWrapper, weights_for
from fastnn.ops.targets import matched
from fastnn.tensor import Tensor, TensorLike, convert
from fastnn.variable import Variable


class MeanSquaredError(FunctionMetric):
    """The mean of (y_true - y_pred)^2.

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.MeanSquaredError()
    >>> float(metric([[0.0], [0.0]], [[1.0], [2.0]]))
    2.5
    """

    function = staticmethod(losses.mean_squared_error)


class MeanAbsoluteError(FunctionMetric):
    """The mean of |y_true - y_pred|."""

    function = staticmethod(losses.mean_absolute_error)


class MeanAbsolutePercentageError(FunctionMetric):
    """100 times the mean of |y_true - y_pred| / |y_true|."""

    function = staticmethod(losses.mean_absolute_percentage_error)


class MeanSquaredLogarithmicError(FunctionMetric):
    """The mean of (log(1 + y_true) - log(1 + y_pred))^2."""

    function = staticmethod(losses.mean_squared_logarithmic_error)


class LogCoshError(FunctionMetric):
    """The mean of log(cosh(y_pred - y_true))."""

    function = staticmethod(losses.log_cosh)
    default_name = "logcosh"


class RootMeanSquaredError(Mean):
    """The root of the mean of (y_true - y_pred)^2 over all samples, not of each batch.

    Examples
    --------
    >>> import fastnn
    >>> float(fastnn.metrics.RootMeanSquaredError()([[0.0], [0.0]], [[3.0], [3.0]]))
    3.0
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: DType = None) -> None:
        super().__init__(name=name, dtype=dtype)

    def update_state(  # type: ignore[override]  # of two things what a mean takes of one
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        """Add a batch of targets and predictions."""
        target, predicted = matched(y_true, y_pred)
        super().update_state(ops.square(predicted - target), sample_weight)

    def result(self) -> Tensor:
        """The root of the mean."""
        return ops.sqrt(super().result())


def _cosine(y_true: TensorLike, y_pred: TensorLike, axis: int = -1) -> Tensor:
    return -losses.cosine_similarity(y_true, y_pred, axis=axis)


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between targets and predictions: 1 where they agree.

    Parameters
    ----------
    name : str, default "cosine_similarity"
    dtype : dtype, optional
    axis : int, default -1
        The axis along which the vectors lie.
    """

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: DType = None, axis: int = -1
    ) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


class R2Score(Metric):
    """The share of the targets' variance that predictions explain: 1 - squared error / variance.

    Parameters
    ----------
    class_aggregation : str or None, default "uniform_average"
        How the scores of the outputs become one: by their mean, by their mean weighted with the
        variances of the targets ("variance_weighted_average"), or, with None, not at all.
    num_regressors : int, default 0
        If not 0, the score adjusted for so many explanatory variables.
    name : str, default "r2_score"
    dtype : dtype, optional

    Raises
    ------
    ValueError
        If an argument has no such value, or targets are not of shape (n, outputs).

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.R2Score()
    >>> round(float(metric([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]])), 4)
    0.5714
    """

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: DType = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        known = None, "uniform_average", "variance_weighted_average"
        if class_aggregation not in known:
            raise ValueError(f"class_aggregation must be one of {known}, got {class_aggregation!r}")
        self.class_aggregation = class_aggregation
        self.num_regressors = count("num_regressors", num_regressors, least=0)
        self.num_samples = self.add_variable((), "zeros", np.float64, "num_samples")
        self._sums: dict[str, Variable] = {}

    def update_state(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        """Add a batch of targets and predictions, both (n, outputs)."""
        target, predicted = (convert(x, np.float64) for x in matched(y_true, y_pred))
        if target.ndim != 2:
            raise ValueError(
                f"R2Score: targets and predictions have shape {target.shape}; they must have shape "
                "(n, outputs)"
            )
        weights = ops.ones_like(target)
        if sample_weight is not None:
            weights = weights_for(target, sample_weight)
        if not self._sums:
            names = "origin", "squared_sum", "sum", "residual", "count"
            self._sums = {
                name: self.add_variable(target.shape[1:], "zeros", np.float64, name)
                for name in names
            }
        # From near the targets: sums of large squares would round off what these differ by.
        origin = self._sums["origin"]
        mean = quotient(ops.reduce_sum(weights * target, axis=0), ops.reduce_sum(weights, axis=0))
        origin.assign(ops.where(ops.equal(self._sums["count"], 0), mean, origin))
        distance = target - origin
        terms = {
            "squared_sum": weights * ops.square(distance),
            "sum": weights * distance,
            "residual": weights * ops.square(target - predicted),
            "count": weights,
        }
        for name, term in terms.items():
            self._sums[name].assign_add(ops.reduce_sum(term, axis=0))
        self.num_samples.assign_add(np.float64(target.size))

    def result(self) -> Tensor:
        """The score, or one for each output: 0 where the targets do not vary, NaN if the
        predictions are equal to them there.
        """
        self._require(self._sums)
        sums = self._sums
        variance = sums["squared_sum"] - quotient(ops.square(sums["sum"]), sums["count"])
        # A mean is off by some units in its last place: less than that is no variance.
        rounding = sums["count"] * ops.square(1e-14 * sums["origin"])
        variance = ops.where(variance <= rounding, 0, variance)
        scores = 1 - sums["residual"] / variance
        scores = ops.where(ops.equal(scores, -math.inf), 0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.reduce_mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.reduce_sum(variance * scores) / ops.reduce_sum(variance)
        if not self.num_regressors:
            return scores
        free = self.num_samples - self.num_regressors - 1
        adjusted = 1 - (1 - scores) * (self.num_samples - 1) / ops.maximum(free, 1)
        return ops.where(ops.greater(free, 0), adjusted, scores)
