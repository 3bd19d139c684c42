"""Sums and means of values over all samples, and means of what a function gives for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fastnn import ops
from fastnn._kernels import wrap
from fastnn.arrays import DType, Shape
from fastnn.configuration import FunctionWrapper, is_ours
from fastnn.losses.base import fitted, quotient
from fastnn.metrics.base import Metric
from fastnn.ops.core import floating
from fastnn.ops.targets import same_rank
from fastnn.ops.updates import accumulate
from fastnn.tensor import Tensor, TensorLike, convert

ONE = wrap(np.ones(()))


class Sum(Metric):
    """The sum of all values, each times its weight.

    Parameters
    ----------
    name : str, default "sum"
    dtype : dtype, optional

    Examples
    --------
    >>> import fastnn
    >>> float(fastnn.metrics.Sum()([1.0, 3.0, 5.0, 7.0], sample_weight=[1, 1, 0, 0]))
    4.0
    """

    def __init__(self, name: str | None = "sum", dtype: DType = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", np.float64, name="total")

    def update_state(self, values: TensorLike, sample_weight: TensorLike | None = None) -> None:
        """Add values, of any shape."""
        x = floating(values)
        if sample_weight is not None:
            x = x * weights_for(x, sample_weight)
        accumulate((self.total,), ops.reduce_sum(x))

    def result(self) -> Tensor:
        """The sum, in float64."""
        return self.total.value


class Mean(Metric):
    """The mean of all values, each with its weight.

    Parameters
    ----------
    name : str, default "mean"
    dtype : dtype, optional

    Attributes
    ----------
    total, count : Variable
        The sum of the samples' values times their weights, and of the weights; in float64.

    Examples
    --------
    >>> import fastnn
    >>> mean = fastnn.metrics.Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> mean.update_state([5.0])
    >>> float(mean.result())
    3.0
    """

    def __init__(self, name: str | None = "mean", dtype: DType = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", np.float64, name="total")
        self.count = self.add_variable((), "zeros", np.float64, name="count")

    def update_state(self, values: TensorLike, sample_weight: TensorLike | None = None) -> None:
        """Add a batch of values, one or several for each sample.

        Parameters
        ----------
        values : tensor of shape () or (n, ...)
        sample_weight : number or tensor of shape (n,), optional
            One weight for all, for each sample, or for each value.

        Raises
        ------
        ValueError
            If weights and values do not fit each other.
        """
        x = floating(values)
        samples = x.shape[0] if x.ndim else 1
        if x.size and (sample_weight is None or isinstance(sample_weight, int | float)):
            weight = samples * (1.0 if sample_weight is None else float(sample_weight))
            accumulate((self.total,), ops.reduce_mean(x) if x.ndim else x, weight=weight)
            accumulate((self.count,), ONE, weight=weight)
        elif x.size:
            weights = weights_for(x, sample_weight)
            share = samples / x.size  # of a sample, that each of its values has
            accumulate((self.total,), ops.reduce_sum(x * weights), weight=share)
            accumulate((self.count,), ops.reduce_sum(weights), weight=share)

    def result(self) -> Tensor:
        """The mean, in float64; 0 if there was nothing."""
        return quotient(self.total, self.count)


def weights_for(x: Tensor, sample_weight: TensorLike) -> Tensor:
    """The weights stretched to the shape of x; those of samples count for all their values."""
    weights = fitted(sample_weight, x)
    return ops.broadcast_to(weights, x.shape) if x.ndim else weights


class MeanMetricWrapper(FunctionWrapper, Mean):
    """The mean over all samples of what a function gives for each.

    Targets (n,) and predictions (n, 1), or the reverse, are given to it in equal shapes.

    Parameters
    ----------
    fn : callable(y_true, y_pred, **options)
        Returns one number for each sample, or one for the batch, which then counts for each of its
        samples.
    name : str, optional
        By default the function's.
    dtype : dtype, optional
    **options
        Given to the function.

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.MeanMetricWrapper(lambda y, p: abs(p - y), name="distance")
    >>> metric.update_state(fastnn.constant([0.0, 0.0]), fastnn.constant([1.0, 2.0]))
    >>> float(metric.result())
    1.5
    """

    def __init__(
        self,
        fn: Callable[..., TensorLike],
        name: str | None = None,
        dtype: DType = None,
        **options: Any,
    ) -> None:
        super().__init__(name=name or name_of(fn), dtype=dtype)
        self._wrap(fn, options)

    def update_state(  # type: ignore[override]  # of two things what a mean takes of one
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        """Add a batch of targets and predictions, and weights as for `Mean`."""
        # Ours look at the ranks themselves.
        if not is_ours(self.fn) and isinstance(y_true, Tensor) and isinstance(y_pred, Tensor):
            y_true, y_pred = same_rank(y_true, y_pred)
        found = self.fn(y_true, y_pred, **self.options)
        if found is None:
            raise TypeError(f"the metric {self.name!r} returned None; end it with return")
        values = convert(found)
        if sample_weight is None and not values.ndim:
            sample_weight = _samples(y_pred)
        super().update_state(values, sample_weight)


class FunctionMetric(MeanMetricWrapper):
    """The mean of a function that takes no options."""

    function: ClassVar[Callable[..., Tensor]]
    default_name: ClassVar[str | None] = None  # if it is not the function's

    def __init__(self, name: str | None = None, dtype: DType = None) -> None:
        function = type(self).function
        super().__init__(function, name or self.default_name, dtype)


def _samples(y_pred: TensorLike) -> int:
    shape: Shape = convert(y_pred).shape
    return shape[0] if shape else 1


def name_of(thing: Any) -> str:
    """What a function or an object is called."""
    return str(
        getattr(thing, "name", None) or getattr(thing, "__name__", None) or type(thing).__name__
    )
