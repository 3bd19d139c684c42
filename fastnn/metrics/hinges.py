"""Hinge metrics: how much predictions lack of a margin of 1 on the right side."""

from __future__ import annotations

from fastnn import losses
from fastnn.metrics.mean import FunctionMetric


class Hinge(FunctionMetric):
    """The mean of max(1 - y_true * y_pred, 0), targets being -1 and 1, or 0 and 1."""

    function = staticmethod(losses.hinge)


class SquaredHinge(FunctionMetric):
    """The mean of max(1 - y_true * y_pred, 0)^2, targets as for `Hinge`."""

    function = staticmethod(losses.squared_hinge)


class CategoricalHinge(FunctionMetric):
    """The mean of max(the largest of the wrong classes - that of the true class + 1, 0)."""

    function = staticmethod(losses.categorical_hinge)
