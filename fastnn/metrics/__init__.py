"""Metrics: what is reported beside the loss, measured batch by batch.

Each is a class; those that are means over the samples are functions as well, which give one number
for each sample.
"""

from __future__ import annotations

from typing import Any

from fastnn.configuration import serialize
from fastnn.lookup import deserializer, resolve
from fastnn.losses import (
    ALIASES,
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from fastnn.metrics.accuracy import (
    Accuracy,
    BinaryAccuracy,
    CategoricalAccuracy,
    SparseCategoricalAccuracy,
    SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy,
    accuracy,
    binary_accuracy,
    categorical_accuracy,
    crossentropy,
    sparse_categorical_accuracy,
    sparse_top_k_categorical_accuracy,
    top_k_categorical_accuracy,
)
from fastnn.metrics.base import (
    Metric,
)
from fastnn.metrics.confusion import (
    FalseNegatives,
    FalsePositives,
    Precision,
    Recall,
    TrueNegatives,
    TruePositives,
)
from fastnn.metrics.curves import (
    AUC,
    PrecisionAtRecall,
    RecallAtPrecision,
    SensitivityAtSpecificity,
    SpecificityAtSensitivity,
)
from fastnn.metrics.f_score import (
    F1Score,
    FBetaScore,
)
from fastnn.metrics.hinges import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
)
from fastnn.metrics.mean import (
    Mean,
    MeanMetricWrapper,
    Sum,
)
from fastnn.metrics.probabilistic import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    KLDivergence,
    Poisson,
    SparseCategoricalCrossentropy,
)
from fastnn.metrics.regression import (
    CosineSimilarity,
    LogCoshError,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    R2Score,
    RootMeanSquaredError,
)
from fastnn.naming import snake_case

_FORMS = [
    thing
    for thing in vars().values()
    if getattr(thing, "__module__", "").startswith(("fastnn.losses.", "fastnn.metrics."))
    and thing not in (Metric, MeanMetricWrapper)
]
_NAMES: dict[str, Any] = {
    **{snake_case(form.__name__): form for form in _FORMS},
    **{form.__name__: form for form in _FORMS},  # of a class and a function the latter is meant
    **ALIASES,
    "acc": accuracy,
    "ce": crossentropy,
}


def get(identifier: Any) -> Any:
    """A metric or a function by its name, from a class or a configuration, or the object itself.

    Parameters
    ----------
    identifier : str, class, dict, Metric, callable(y_true, y_pred) or None
        The name of a function gives the function, that of a class an object with the default
        options; None gives None.

    Raises
    ------
    ValueError
        If there is no metric of this name.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.metrics.get("auc").num_thresholds
    200
    """
    return None if identifier is None else resolve("metric", identifier, _NAMES)


def to_metric(identifier: Any) -> Metric:
    """What `get` finds, as a `Metric` that is reported under the name given, or its own.

    Parameters
    ----------
    identifier : str, class, dict, Metric or callable(y_true, y_pred)
        The values of a function are averaged over the samples.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.metrics.to_metric("acc").name
    'acc'
    """
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        identifier = identifier.lower()  # of the kind that the loss and the shapes tell
    found = get(identifier)
    metric = found if isinstance(found, Metric) else MeanMetricWrapper(found)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


deserialize = deserializer(get)


__all__ = [
    "AUC",
    "Accuracy",
    "BinaryAccuracy",
    "BinaryCrossentropy",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "F1Score",
    "FBetaScore",
    "FalseNegatives",
    "FalsePositives",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "Mean",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanMetricWrapper",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Metric",
    "Poisson",
    "Precision",
    "PrecisionAtRecall",
    "R2Score",
    "Recall",
    "RecallAtPrecision",
    "RootMeanSquaredError",
    "SensitivityAtSpecificity",
    "SparseCategoricalAccuracy",
    "SparseCategoricalCrossentropy",
    "SparseTopKCategoricalAccuracy",
    "SpecificityAtSensitivity",
    "SquaredHinge",
    "Sum",
    "TopKCategoricalAccuracy",
    "TrueNegatives",
    "TruePositives",
    "accuracy",
    "binary_accuracy",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_accuracy",
    "categorical_crossentropy",
    "categorical_hinge",
    "crossentropy",
    "deserialize",
    "get",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "serialize",
    "sparse_categorical_accuracy",
    "sparse_categorical_crossentropy",
    "sparse_top_k_categorical_accuracy",
    "squared_hinge",
    "top_k_categorical_accuracy",
]
