"""Metrics of probabilities: cross-entropies and divergences."""

from __future__ import annotations

from fastnn import losses
from fastnn.arrays import DType
from fastnn.metrics.mean import FunctionMetric, MeanMetricWrapper


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean of `losses.binary_crossentropy`.

    Parameters
    ----------
    name : str, default "binary_crossentropy"
    dtype : dtype, optional
    from_logits, label_smoothing
        As for the loss.

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.BinaryCrossentropy()
    >>> round(float(metric([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.8149
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: DType = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(losses.binary_crossentropy, name, dtype, **options)


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `losses.categorical_crossentropy`.

    Parameters
    ----------
    name : str, default "categorical_crossentropy"
    dtype : dtype, optional
    from_logits, label_smoothing, axis
        As for the loss.
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: DType = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        super().__init__(losses.categorical_crossentropy, name, dtype, **options)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `losses.sparse_categorical_crossentropy`.

    Parameters
    ----------
    name : str, default "sparse_categorical_crossentropy"
    dtype : dtype, optional
    from_logits, ignore_class, axis
        As for the loss. Samples of the class that is ignored count as 0.
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: DType = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        options = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **options)


class KLDivergence(FunctionMetric):
    """The mean of `losses.kl_divergence`: the sum of y_true * log(y_true / y_pred)."""

    function = staticmethod(losses.kl_divergence)


class Poisson(FunctionMetric):
    """The mean of `losses.poisson`: y_pred - y_true * log(y_pred)."""

    function = staticmethod(losses.poisson)
