"""F scores: one number for precision and recall, of each class or of all."""

from __future__ import annotations

import numpy as np

from fastnn import ops
from fastnn.arrays import DType
from fastnn.hyperparameters import positive
from fastnn.metrics.base import Metric
from fastnn.metrics.mean import weights_for
from fastnn.ops.targets import EPSILON, matched
from fastnn.tensor import Tensor, TensorLike
from fastnn.variable import Variable

AVERAGES = None, "micro", "macro", "weighted"


class FBetaScore(Metric):
    """(1 + beta^2) * precision * recall / (beta^2 * precision + recall).

    Parameters
    ----------
    average : str or None
        None gives a score for each class, "macro" their mean, "weighted" their mean weighted with
        the number of targets; "micro" one score of all decisions.
    beta : float, default 1
        How much more recall counts than precision.
    threshold : float in (0, 1], optional
        Above which a class is predicted; by default that is the most probable one.
    name : str, default "fbeta_score"
    dtype : dtype, optional

    Raises
    ------
    ValueError
        If an argument has no such value, or the targets are not of shape (n, classes).

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.FBetaScore(beta=2.0, threshold=0.5)
    >>> y = [[1, 1, 1], [1, 0, 0], [1, 1, 0]]
    >>> metric(y, [[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]]).numpy().round(4)
    array([0.3846, 0.9091, 0.8333])
    """

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: DType = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if average not in AVERAGES:
            raise ValueError(f"average must be one of {AVERAGES}, got {average!r}")
        if threshold is not None and not 0 < threshold <= 1:
            raise ValueError(f"threshold must be a number in (0, 1], got {threshold!r}")
        self.average, self.beta, self.threshold = average, positive("beta", beta), threshold
        self._sums: dict[str, Variable] = {}

    def update_state(
        self, y_true: TensorLike, y_pred: TensorLike, sample_weight: TensorLike | None = None
    ) -> None:
        """Add a batch of targets, 0 or 1, and predictions, both (n, classes)."""
        target, scores = matched(y_true, y_pred)
        if target.ndim != 2:
            raise ValueError(
                f"{type(self).__name__}: targets and predictions have shape {target.shape}; they "
                "must have shape (n, classes)"
            )
        predicted = self._predicted(scores)
        terms = {
            "true_positives": predicted * target,
            "false_positives": predicted * (1 - target),
            "false_negatives": (1 - predicted) * target,
            "intermediate_weights": target,
        }
        if sample_weight is not None:
            weights = weights_for(target, sample_weight)
            terms = {name: term * weights for name, term in terms.items()}
        axis = None if self.average == "micro" else 0
        shape = () if self.average == "micro" else target.shape[1:]
        for name, term in terms.items():
            if name not in self._sums:
                self._sums[name] = self.add_variable(shape, "zeros", np.float64, name)
            self._sums[name].assign_add(ops.reduce_sum(term, axis=axis))

    def _predicted(self, scores: Tensor) -> Tensor:
        """1 where a class is predicted, else 0."""
        if self.threshold is not None:
            return ops.cast(ops.greater(scores, self.threshold), scores.dtype)
        largest = ops.greater_equal(scores, ops.reduce_max(scores, axis=-1, keepdims=True))
        something = ops.greater(ops.abs(scores), 1e-9)  # rows of zeros predict nothing
        return ops.cast(largest, scores.dtype) * ops.cast(something, scores.dtype)

    def result(self) -> Tensor:
        """The score, or one for each class."""
        self._require(self._sums)
        tp, fp, fn, targets = (sums.value for sums in self._sums.values())
        precision, recall = tp / (tp + fp + EPSILON), tp / (tp + fn + EPSILON)
        square = self.beta * self.beta
        scores: Tensor = (1 + square) * precision * recall / (square * precision + recall + EPSILON)
        if self.average == "weighted":
            return ops.reduce_sum(scores * targets / (ops.reduce_sum(targets) + EPSILON))
        return ops.reduce_mean(scores) if self.average == "macro" else scores


class F1Score(FBetaScore):
    """`FBetaScore` with a beta of 1: 2 * precision * recall / (precision + recall).

    Parameters
    ----------
    average, threshold, dtype
        As for `FBetaScore`.
    name : str, default "f1_score"
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: DType = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)
