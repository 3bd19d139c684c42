"""MonitorCallback: the base of callbacks that compare one number from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fastnn import ops
from fastnn.callbacks.callback import Callback
from fastnn.caller import warn
from fastnn.loop import Logs
from fastnn.naming import snake_case

# Words in the names of losses and metrics, and of their classes.
_LESS_IS_BETTER = (
    *("loss", "error", "mse", "mae", "mape", "msle", "entropy", "divergence"),
    *("hinge", "huber", "logcosh", "poisson", "false_"),
)
_MORE_IS_BETTER = (
    *("acc", "auc", "precision", "recall", "sensitivity", "specificity"),
    *("r2", "score", "similarity", "iou", "true_"),
)


class MonitorCallback(Callback):
    """Base of callbacks that compare one number from epoch to epoch.

    Parameters
    ----------
    monitor : str, default "val_loss"
        The name of the loss or a metric, as in `logs`.
    mode : "auto", "min" or "max", default "auto"
        Whether less or more is better; "auto" goes by the metric.
    baseline : float, optional
        What the first value has to be better than.
    min_delta : float, default 0
        A smaller change is no improvement.

    Raises
    ------
    TypeError
        If `monitor` is no name.
    ValueError
        While training: if "auto" cannot tell.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        baseline: float | None = None,
        min_delta: float = 0.0,
    ) -> None:
        if mode not in ("auto", "min", "max"):
            warn(
                f'{type(self).__name__} mode {mode!r} is unknown, "auto" is used; choose '
                '"min" or "max"'
            )
            mode = "auto"
        if not isinstance(monitor, str | None):
            raise TypeError(
                f"{type(self).__name__} monitors a loss or a metric by its name, such as "
                f'"val_loss", got {monitor!r}; give other arguments by name'
            )
        self.monitor = monitor
        self.mode = mode
        self.best = baseline
        self.min_delta = abs(min_delta)
        self.monitor_op: Callable[[Any, Any], Any] | None = None

    def get_monitor_value(self, logs: Logs | None) -> Any:
        """The monitored number; None, after a warning, if there is none of that name."""
        logs = logs or {}
        if self.monitor in logs:
            self._set_monitor_op()
        else:
            warn(
                f"{type(self).__name__} monitors {self.monitor!r}, which is not there; "
                f"available are {', '.join(logs) or 'none'}{self._remedy(logs)}"
            )
        return logs.get(self.monitor)

    def _remedy(self, logs: Mapping[str, Any]) -> str:
        name = self.monitor.removeprefix("val_")
        if name == self.monitor or name not in logs:
            return ""
        return f": pass validation_data to fit, or monitor={name!r}"

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        """Whether a value is better than another; every number is better than None and NaN."""
        if reference is None:
            return True
        if math.isnan(reference):
            return not math.isnan(value)
        assert self.monitor_op is not None
        margin = self.min_delta if self.monitor_op is ops.less else -self.min_delta
        return bool(self.monitor_op(np.float64(value + margin), np.float64(reference)))

    def _set_monitor_op(self) -> None:
        """Choose the comparison, which in mode "auto" needs the metrics of the model."""
        if self.monitor_op is None:
            rises = self.mode == "max" if self.mode != "auto" else self._rises()
            self.monitor_op = ops.greater if rises else ops.less

    def _rises(self) -> bool:
        """Whether more is better, by the class and the name of the metric."""
        name = self.monitor.removeprefix("val_")
        metrics = [m for m in getattr(self.model, "metrics", ()) if m.name == name]
        names = [*(snake_case(type(metric).__name__) for metric in metrics), name]
        for words, answer in ((_LESS_IS_BETTER, False), (_MORE_IS_BETTER, True)):
            if any(word in each for word in words for each in names):
                return answer
        raise ValueError(
            f"{type(self).__name__} cannot tell whether more or less of {self.monitor!r} is "
            'better; say mode="max" or mode="min"'
        )
