"""What is read off the curves that decisions draw as the threshold moves."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastnn import ops
from fastnn.arrays import DType
from fastnn.hyperparameters import count, fraction
from fastnn.losses.base import quotient
from fastnn.metrics.confusion import ConfusionMetric, as_thresholds, decisions
from fastnn.ops.targets import EPSILON
from fastnn.tensor import Tensor

ALL_KINDS = "true_positives", "false_positives", "true_negatives", "false_negatives"
CURVES = "ROC", "PR", "PRGAIN"
SUMMATIONS = "interpolation", "minoring", "majoring"


def _even(count: int) -> list[float]:
    """So many thresholds from 0 to 1."""
    return [0.5] if count == 1 else [i / (count - 1) for i in range(count)]


class AUC(ConfusionMetric):
    """The area under a curve that decisions draw as the threshold moves from 0 to 1.

    Parameters
    ----------
    num_thresholds : int, default 200
        How many points of the curve are computed.
    curve : str, default "ROC"
        "ROC": true against false positive rates; "PR": precision against recall; "PRGAIN": their
        gains (Flach and Kull, "Precision-Recall-Gain curves", 2015).
    summation_method : str, default "interpolation"
        Between two points the curve is a line (for "PR" that of Davis and Goadrich, "The
        relationship between precision-recall and ROC curves", 2006), or as high as the lower
        ("minoring") or the higher point ("majoring").
    name : str, default "auc"
    dtype : dtype, optional
    thresholds : list of float in [0, 1], optional
        Instead of evenly spaced ones.
    multi_label : bool, default False
        Average the areas of the outputs instead of taking all outputs together.
    num_labels : int, optional
        The number of outputs, if their variables are to be made at once.
    label_weights : list of float, optional
        Weights of the outputs.
    from_logits : bool, default False
        Apply a sigmoid to the predictions, which are to be in [0, 1].

    Raises
    ------
    ValueError
        If an argument has no such value.

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.AUC(num_thresholds=3)
    >>> round(float(metric([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])), 4)
    0.75
    """

    kinds = ALL_KINDS

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: DType = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Sequence[float] | None = None,
        from_logits: bool = False,
    ) -> None:
        if thresholds is None and count("num_thresholds", num_thresholds) < 2:
            raise ValueError(f"num_thresholds must be 2 or more, got {num_thresholds}")
        if str(curve).upper() not in CURVES or str(summation_method).lower() not in SUMMATIONS:
            raise ValueError(
                f"curve must be one of {CURVES} and summation_method one of {SUMMATIONS}, got "
                f"{curve!r} and {summation_method!r}"
            )
        if num_labels and not multi_label:
            raise ValueError("num_labels is for multi_label=True: pass that too, or leave it out")
        inner = _even(num_thresholds)[1:-1] if thresholds is None else sorted(thresholds)
        # The outer ones are passed by all predictions and by none.
        levels = [-EPSILON, *(as_thresholds(inner) if inner else []), 1 + EPSILON]
        super().__init__(levels, name, dtype)
        self.num_thresholds = len(levels)
        self.init_thresholds = thresholds
        self.curve, self.summation_method = curve.upper(), summation_method.lower()
        self.multi_label, self.num_labels = multi_label, num_labels
        self.label_weights, self.from_logits = label_weights, from_logits
        if not multi_label:
            self._make_counts((self.num_thresholds,))
        elif num_labels:
            self._make_counts((self.num_thresholds, num_labels))

    def add(self, predicted: Tensor, positive: Tensor, negative: Tensor) -> None:
        """Add predictions, each with its weight."""
        if self.from_logits:
            predicted = ops.sigmoid(predicted)
        predicted = ops.clip(predicted, 0, 1)
        if self.multi_label:
            self._add_by_label(predicted, positive, negative)
            return
        if self.label_weights is not None:
            weights = np.asarray(self.label_weights, predicted.dtype)
            positive, negative = positive * weights, negative * weights
        super().add(predicted, positive, negative)

    def _add_by_label(self, predicted: Tensor, positive: Tensor, negative: Tensor) -> None:
        samples, labels = _rows(predicted)
        if not self.variables:
            self._make_counts((self.num_thresholds, labels))
        rows = [
            ops.reshape(ops.transpose(x), (labels, 1, samples))
            for x in (predicted, positive, negative)
        ]
        counts = decisions(self.thresholds, *rows)
        for kind in self.kinds:
            getattr(self, kind).assign_add(ops.transpose(counts[kind]))

    def result(self) -> Tensor:
        """The area."""
        self._require(self.variables)
        tp, fp, tn, fn = (getattr(self, kind).value for kind in self.kinds)
        if (self.curve, self.summation_method) == ("PR", "interpolation"):
            return self._one(_areas_between(tp, fp, fn))
        x, y = _points(self.curve, tp, fp, tn, fn)
        left, right = y[:-1], y[1:]
        heights = {
            "interpolation": (left + right) / 2,
            "minoring": ops.minimum(left, right),
            "majoring": ops.maximum(left, right),
        }
        return self._one((x[:-1] - x[1:]) * heights[self.summation_method])

    def _one(self, areas: Tensor) -> Tensor:
        """The sum of the parts of the area, averaged over the outputs."""
        if not self.multi_label:
            return ops.reduce_sum(areas)
        by_label = ops.reduce_sum(areas, axis=0)
        if self.label_weights is None:
            return ops.reduce_mean(by_label)
        weights = np.asarray(self.label_weights, np.float64)
        return ops.divide(ops.reduce_sum(by_label * weights), weights.sum())


def _rows(predicted: Tensor) -> tuple[int, int]:
    if predicted.ndim != 2:
        raise ValueError(
            f"AUC: y_pred has shape {predicted.shape}; with multi_label=True it must be (n, labels)"
        )
    samples, labels = predicted.shape
    return samples, labels


def _points(curve: str, tp: Tensor, fp: Tensor, tn: Tensor, fn: Tensor) -> tuple[Tensor, Tensor]:
    """The curve, from its right end to its left one."""
    if curve == "ROC":
        return quotient(fp, fp + tn), quotient(tp, tp + fn)
    if curve == "PR":
        return quotient(tp, tp + fn), quotient(tp, tp + fp)
    odds = quotient(tp + fn, tn + fp)
    none = ops.equal(tp, 0)
    recall_gain = ops.where(none, 0, ops.maximum(1 - odds * quotient(fn, tp), 0))
    return recall_gain, ops.where(none, 1, 1 - odds * quotient(fp, tp))


def _areas_between(tp: Tensor, fp: Tensor, fn: Tensor) -> Tensor:
    """The areas under the precision-recall curve between neighbouring points.

    Between them true positives grow linearly with all positives p: tp = a + b * p, so that the area
    is the integral of tp / p, which is b * dp + a * log(p1 / p0).
    """
    p = tp + fp
    more, less = p[:-1], p[1:]
    gained = tp[:-1] - tp[1:]
    slope = quotient(gained, ops.maximum(more - less, 0))
    start = tp[1:] - slope * less
    both = ops.where(ops.greater(more, 0), ops.greater(less, 0), False)
    growth = ops.where(both, quotient(more, less), 1)
    return quotient(slope * (gained + start * ops.log(growth)), ops.maximum(tp[1:] + fn[1:], 0))


class _Best(ConfusionMetric):
    """The largest of one rate (`rate`) where another (`floor`) is at least so much."""

    kinds = ALL_KINDS
    rate: str
    floor: str

    def __init__(
        self,
        floor: float,
        num_thresholds: int,
        class_id: int | None,
        name: str | None,
        dtype: DType,
    ) -> None:
        self.num_thresholds = count("num_thresholds", num_thresholds)
        super().__init__(_even(self.num_thresholds), name, dtype, class_id=class_id)
        setattr(self, self.floor, fraction(self.floor, floor))
        self._make_counts((num_thresholds,))

    def result(self) -> Tensor:
        """The rate at the best of the thresholds; 0 if none is good enough."""
        tp, fp, tn, fn = (getattr(self, kind).value for kind in self.kinds)
        rates = {
            "precision": quotient(tp, tp + fp),
            "recall": quotient(tp, tp + fn),
            "sensitivity": quotient(tp, tp + fn),
            "specificity": quotient(tn, tn + fp),
        }
        enough = ops.greater_equal(rates[self.floor], getattr(self, self.floor))
        return ops.reduce_max(ops.where(enough, rates[self.rate], 0))


class SensitivityAtSpecificity(_Best):
    """The largest sensitivity tp / (tp + fn) at a specificity of at least so much.

    Parameters
    ----------
    specificity : float in [0, 1]
        Of tn / (tn + fp).
    num_thresholds : int, default 200
        How many thresholds from 0 to 1 are tried.
    class_id : int, optional
        Look at this class alone.
    name : str, optional
        By default made from the class.
    dtype : dtype, optional

    Examples
    --------
    >>> import fastnn
    >>> metric = fastnn.metrics.SensitivityAtSpecificity(0.5)
    >>> float(metric([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]))
    0.5
    """

    rate, floor = "sensitivity", "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)


class SpecificityAtSensitivity(_Best):
    """The largest specificity at a sensitivity of at least so much; the other arguments are those
    of `SensitivityAtSpecificity`.
    """

    rate, floor = "specificity", "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)


class PrecisionAtRecall(_Best):
    """The largest precision at a recall of at least so much; the other arguments are those of
    `SensitivityAtSpecificity`.
    """

    rate, floor = "precision", "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)


class RecallAtPrecision(_Best):
    """The largest recall at a precision of at least so much; the other arguments are those of
    `SensitivityAtSpecificity`.
    """

    rate, floor = "recall", "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: DType = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
