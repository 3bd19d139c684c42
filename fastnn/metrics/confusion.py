"""Counts of right and wrong decisions at thresholds, and the ratios made of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from fastnn import ops
from fastnn.arrays import DType, Shape
from fastnn.hyperparameters import count, if_given
from fastnn.losses.base import quotient
from fastnn.metrics.base import Metric
from fastnn.metrics.mean import weights_for
from fastnn.ops.targets import matched
from fastnn.tensor import Tensor, TensorLike
from fastnn.variable import Variable

Thresholds: TypeAlias = float | Sequence[float] | None

BELOW_ALL = -1e10  # what the classes outside of the first k are taken to have been predicted as


class ConfusionMetric(Metric):
    """Base of what counts decisions: of the four kinds, those for which it has variables.

    A prediction is positive if it is above the threshold; a target if it is not 0.
    """

    kinds: tuple[str, ...]
    init_thresholds: Thresholds  # as they were given, by those that take some
    true_positives: Variable
    false_positives: Variable
    true_negatives: Variable
    false_negatives: Variable

    def __init__(
        self,
        thresholds: Sequence[float],
        name: str | None,
        dtype: DType,
        top_k: int | None = None,
        class_id: int | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.thresholds = list(thresholds)
        self.top_k = if_given(count, "top_k", top_k)
        self.class_id = class_id

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        config = super().get_config()
        given = {"thresholds": self.init_thresholds} if "thresholds" in config else {}
        return config | given

    def _make_counts(self, shape: Shape) -> None:
        """Make the variables of its kinds."""
        for kind in self.kinds:
            setattr(self, kind, self.add_variable(shape, "zeros", np.float64, kind))

    def update_state(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        """Add a batch of targets and predictions, of one shape, and weights of the samples."""
        target, predicted = matched(y_true, y_pred)
        if self.top_k is not None:
            predicted = _first(predicted, self.top_k)
        if self.class_id is not None:
            target, predicted = (_of_class(self.class_id, x) for x in (target, predicted))
        positive = ops.cast(ops.not_equal(target, 0), predicted.dtype)
        negative = 1 - positive
        if sample_weight is not None:
            weights = weights_for(predicted, sample_weight)
            positive, negative = positive * weights, negative * weights
        self.add(predicted, positive, negative)

    def add(self, predicted: Tensor, positive: Tensor, negative: Tensor) -> None:
        """Add predictions whose weights stand in `positive` or in `negative`; the other is 0."""
        counts = decisions(
            self.thresholds, *(ops.reshape(x, (1, -1)) for x in (predicted, positive, negative))
        )
        for kind in self.kinds:
            getattr(self, kind).assign_add(counts[kind])

    def one_or_all(self, result: Tensor) -> Tensor:
        """A number if there is one threshold."""
        return ops.reshape(result, ()) if len(self.thresholds) == 1 else result


def decisions(
    thresholds: Sequence[float], predicted: Tensor, positive: Tensor, negative: Tensor
) -> dict[str, Tensor]:
    """The weights of the four kinds of decisions, for each threshold.

    The tensors have shape (..., 1, n), the results (..., thresholds).
    """
    levels = np.array(thresholds, predicted.dtype)[:, None]
    above = ops.greater(predicted, levels)
    tp = ops.reduce_sum(ops.where(above, positive, 0), axis=-1)
    fp = ops.reduce_sum(ops.where(above, negative, 0), axis=-1)
    return {
        "true_positives": tp,
        "false_positives": fp,
        "true_negatives": ops.reduce_sum(negative, axis=-1) - fp,
        "false_negatives": ops.reduce_sum(positive, axis=-1) - tp,
    }


def _first(predicted: Tensor, k: int) -> Tensor:
    """The k largest of each row as they are, the first of equal ones, and all others below all."""
    classes = predicted.shape[-1]
    if not 1 <= k <= classes:
        raise ValueError(f"top_k={k} of {classes} classes, shape {predicted.shape}: choose fewer")
    numbers, left = np.arange(classes, dtype=predicted.dtype), predicted
    for _ in range(k):
        largest = ops.cast(ops.expand_dims(ops.argmax(left, axis=-1), -1), predicted.dtype)
        left = ops.where(ops.equal(numbers, largest), -math.inf, left)
    return ops.where(ops.equal(left, -math.inf), predicted, BELOW_ALL)


def _of_class(class_id: int, x: Tensor) -> Tensor:
    """x[..., class_id, None], as a sum that has a kernel: all others count as 0."""
    if x.ndim < 2 or not 0 <= class_id < x.shape[-1]:
        raise ValueError(
            f"class_id={class_id} of predictions of shape {x.shape}: there must be a last axis of "
            "more classes than that"
        )
    chosen = np.arange(x.shape[-1]) == class_id
    return ops.reduce_sum(ops.where(chosen, x, 0), axis=-1, keepdims=True)


def as_thresholds(given: Thresholds, default: float = 0.5) -> list[float]:
    """The thresholds as a list; ValueError if one is not in [0, 1]."""
    if given is None:
        return [default]
    thresholds = np.asarray(given).reshape(-1).tolist()
    if not thresholds or any(t is None or not 0 <= t <= 1 for t in thresholds):
        raise ValueError(f"thresholds must be numbers in [0, 1], got {given!r}")
    return thresholds


class _Count(ConfusionMetric):
    """How many decisions of one kind there were.

    Parameters
    ----------
    thresholds : float or list of float in [0, 1], default 0.5
        A list gives a count for each.
    name : str, optional
        By default made from the class.
    dtype : dtype, optional
    """

    def __init__(
        self, thresholds: Thresholds = None, name: str | None = None, dtype: DType = None
    ) -> None:
        super().__init__(as_thresholds(thresholds), name, dtype)
        self.init_thresholds = thresholds
        self._make_counts((len(self.thresholds),))

    @property
    def accumulator(self) -> Variable:
        """The counts."""
        (kind,) = self.kinds
        counts: Variable = getattr(self, kind)
        return counts

    def result(self) -> Tensor:
        """The count, or one for each threshold."""
        return self.one_or_all(self.accumulator.value)


class TruePositives(_Count):
    """How many predictions above a threshold have a positive target.

    Parameters
    ----------
    thresholds : float or list of float in [0, 1], default 0.5
        A list gives a count for each.
    name : str, default "true_positives"
    dtype : dtype, optional

    Examples
    --------
    >>> import fastnn
    >>> float(fastnn.metrics.TruePositives()([0, 1, 1, 1], [0.9, 0.3, 0.6, 0.7]))
    2.0
    """

    kinds = ("true_positives",)


class FalsePositives(_Count):
    """How many predictions above a threshold have a target 0; arguments as for `TruePositives`."""

    kinds = ("false_positives",)


class TrueNegatives(_Count):
    """How many predictions not above a threshold have a target 0."""

    kinds = ("true_negatives",)


class FalseNegatives(_Count):
    """How many predictions not above a threshold have a positive target."""

    kinds = ("false_negatives",)


class _Share(ConfusionMetric):
    """The share of true positives among all decisions of the two kinds."""

    def __init__(
        self,
        thresholds: Thresholds = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DType = None,
    ) -> None:
        levels = as_thresholds(thresholds, 0.5 if top_k is None else BELOW_ALL)
        super().__init__(levels, name, dtype, top_k, class_id)
        self.init_thresholds = thresholds
        self._make_counts((len(self.thresholds),))

    def result(self) -> Tensor:
        """The share, or one for each threshold; 0 where there is nothing to count."""
        right, other = (getattr(self, kind) for kind in self.kinds)
        return self.one_or_all(quotient(right, right + other))


class Precision(_Share):
    """The share of positive predictions that are right.

    Parameters
    ----------
    thresholds : float or list of float in [0, 1], optional
        Above which a prediction is positive: by default 0.5, or all if `top_k` is given. A list
        gives a result for each.
    top_k : int, optional
        Only the k largest predictions of a sample can be positive.
    class_id : int, optional
        Look at this class alone.
    name : str, default "precision"
    dtype : dtype, optional

    Examples
    --------
    >>> import fastnn
    >>> round(float(fastnn.metrics.Precision()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    """

    kinds = ("true_positives", "false_positives")


class Recall(_Share):
    """The share of positive targets that are predicted; arguments as for `Precision`.

    Examples
    --------
    >>> import fastnn
    >>> round(float(fastnn.metrics.Recall()([0, 1, 1, 1], [1, 0, 1, 1])), 4)
    0.6667
    """

    kinds = ("true_positives", "false_negatives")
