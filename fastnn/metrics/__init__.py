"""Metrics: what is reported beside the loss, measured batch by batch."""

from __future__ import annotations

from typing import Any

from fastnn import losses
from fastnn.lookup import resolve
from fastnn.metrics.accuracy import (
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    sparse_categorical_accuracy,
)
from fastnn.metrics.base import Metric
from fastnn.metrics.mean import Mean, MeanMetricWrapper, Sum, name_of

__all__ = [
    "Mean",
    "MeanMetricWrapper",
    "Metric",
    "Sum",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "get",
    "sparse_categorical_accuracy",
    "to_metric",
]

_NAMES: dict[str, Any] = {
    "acc": accuracy,
    "accuracy": accuracy,
    "binary_accuracy": binary_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "mean_squared_error": losses.mean_squared_error,
    "mse": losses.mean_squared_error,
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
}


def get(identifier: Any) -> Any:
    """A metric or a function by its name; or the object itself."""
    return resolve("metric", identifier, _NAMES)


def to_metric(identifier: Any) -> Metric:
    """A metric to be reported under the name that was given, or under its own.

    Parameters
    ----------
    identifier : str, callable(y_true, y_pred), class, configuration or Metric

    Examples
    --------
    >>> import fastnn
    >>> fastnn.metrics.to_metric("acc").name
    'acc'
    """
    found = get(identifier)
    name = identifier if isinstance(identifier, str) else name_of(found)
    if not isinstance(found, Metric):
        return MeanMetricWrapper(found, name=name)
    found.name = name
    return found
