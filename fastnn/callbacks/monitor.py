"""MonitorCallback: the base of callbacks that compare one number from epoch to epoch."""

from __future__ import annotations

import math
import warnings
from typing import Any

from fastnn.callbacks.callback import Callback, Logs

_RISING = ("acc", "auc", "precision", "recall", "r2", "score", "similarity", "iou")
_FALLING = ("loss", "error", "mse", "mae", "mape", "msle", "entropy", "divergence")


class MonitorCallback(Callback):
    """Base of callbacks that compare one number from epoch to epoch.

    Parameters
    ----------
    monitor : str
        The name of the loss or a metric, as in `logs`.
    mode : "auto", "min" or "max"
        Whether less or more is better; "auto" goes by the metric.
    best : float, optional
        What the first value has to be better than.
    min_delta : float, default 0
        A smaller change is no improvement.
    """

    def __init__(
        self, monitor: str, mode: str, best: float | None = None, min_delta: float = 0.0
    ) -> None:
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f'{type(self).__name__}: mode must be "auto", "min" or "max", got {mode!r}; '
                '"auto" is used',
                stacklevel=3,
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.best = best
        self.min_delta = abs(min_delta)

    def value(self, logs: Logs | None) -> Any:
        """The monitored number; None, after a warning, if there is none of that name."""
        logs = logs or {}
        if self.monitor not in logs:
            warnings.warn(
                f"{type(self).__name__} monitors {self.monitor!r}, which is not there; "
                f"available are {', '.join(logs) or 'none'}",
                stacklevel=3,
            )
        return logs.get(self.monitor)

    def improves(self, value: float, reference: float | None) -> bool:
        """Whether a value is better than another; every number is better than None and NaN."""
        if reference is None:
            return True
        if math.isnan(reference):
            return not math.isnan(value)
        if self._rises():
            return value - self.min_delta > reference
        return value + self.min_delta < reference

    def _rises(self) -> bool:
        """Whether more is better."""
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_").lower()
        for metric in getattr(self.model, "metrics", ()):
            direction = getattr(metric, "_direction", None)
            if getattr(metric, "name", None) == name and direction is not None:
                return bool(direction == "up")
        for words, answer in ((_FALLING, False), (_RISING, True)):
            if any(word in name for word in words):
                return answer
        raise ValueError(
            f"{type(self).__name__} cannot tell whether more or less of {self.monitor!r} is "
            'better; say mode="max" or mode="min"'
        )
