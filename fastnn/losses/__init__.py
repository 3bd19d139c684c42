"""Losses: how far predictions are from targets.

Each comes as a function, which gives one number for each sample, and as a class, whose objects
reduce these to one number, weighted or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from fastnn.configuration import serialize
from fastnn.lookup import deserializer, resolve
from fastnn.losses.base import Loss, LossFunction, LossFunctionWrapper
from fastnn.losses.crossentropies import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    SparseCategoricalCrossentropy,
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from fastnn.losses.divergences import KLDivergence, Poisson, kl_divergence, poisson
from fastnn.losses.focal import BinaryFocalCrossentropy, binary_focal_crossentropy
from fastnn.losses.hinge import (
    CategoricalHinge,
    Hinge,
    SquaredHinge,
    categorical_hinge,
    hinge,
    squared_hinge,
)
from fastnn.losses.regression import (
    CosineSimilarity,
    Huber,
    LogCosh,
    MeanAbsoluteError,
    MeanAbsolutePercentageError,
    MeanSquaredError,
    MeanSquaredLogarithmicError,
    cosine_similarity,
    huber,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)

_FORMS: tuple[Any, ...] = (
    (binary_crossentropy, BinaryCrossentropy, "bce", "BCE"),
    (binary_focal_crossentropy, BinaryFocalCrossentropy),
    (categorical_crossentropy, CategoricalCrossentropy),
    (categorical_hinge, CategoricalHinge),
    (cosine_similarity, CosineSimilarity),
    (hinge, Hinge),
    (huber, Huber, "huber_loss"),
    (kl_divergence, KLDivergence, "kld", "KLD", "kullback_leibler_divergence"),
    (log_cosh, LogCosh, "logcosh"),
    (mean_absolute_error, MeanAbsoluteError, "mae", "MAE"),
    (mean_absolute_percentage_error, MeanAbsolutePercentageError, "mape", "MAPE"),
    (mean_squared_error, MeanSquaredError, "mse", "MSE"),
    (mean_squared_logarithmic_error, MeanSquaredLogarithmicError, "msle", "MSLE"),
    (poisson, Poisson),
    (sparse_categorical_crossentropy, SparseCategoricalCrossentropy),
    (squared_hinge, SquaredHinge),
)
ALIASES = {alias: function for function, _, *short in _FORMS for alias in short}
_NAMES: dict[str, Any] = {
    **{form.__name__: form for function, of, *_ in _FORMS for form in (function, of)},
    **ALIASES,
}


@overload
def get(identifier: None) -> None: ...
@overload
def get(identifier: str | type[Loss] | Mapping[str, Any] | LossFunction) -> LossFunction: ...
def get(identifier: Any) -> Any:
    """A loss by the name of its function or class, from a class or a configuration, or itself.

    Parameters
    ----------
    identifier : str, class, dict, Loss, callable(y_true, y_pred) or None
        The name of a function gives the function, that of a class an object with the default
        options; None gives None.

    Raises
    ------
    ValueError
        If there is no loss of this name.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.losses.get("mse").__name__
    'mean_squared_error'
    >>> fastnn.losses.get("Huber").delta
    1.0
    """
    return None if identifier is None else resolve("loss", identifier, _NAMES)


def to_loss(identifier: Any) -> Loss:
    """What `get` finds, as a `Loss`: the values of a function are averaged over the samples."""
    if isinstance(identifier, list | tuple) and len(identifier) == 1:
        (identifier,) = identifier  # of the only output
    found = get(identifier)
    return found if isinstance(found, Loss) else LossFunctionWrapper(found)


deserialize = deserializer(get)


__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
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
    "sparse_categorical_crossentropy",
    "squared_hinge",
]
