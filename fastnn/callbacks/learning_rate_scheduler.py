"""LearningRateScheduler: a learning rate for each epoch."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from numbers import Real
from typing import Any

from fastnn.callbacks.callback import Callback
from fastnn.loop import Logs


class LearningRateScheduler(Callback):
    """Set the learning rate at the beginning of each epoch; `logs` get it as "learning_rate".

    Parameters
    ----------
    schedule : callable(epoch, learning_rate) or callable(epoch)
        Gives the new learning rate; epochs are counted from 0.
    verbose : int, default 0
        1: say what is set.

    Raises
    ------
    TypeError
        If `schedule` is no function.
    ValueError
        While training: if `schedule` gives no number.

    Examples
    --------
    >>> import fastnn
    >>> halve = fastnn.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1)])
    >>> model.compile(fastnn.optimizers.SGD(1.0), loss="mse")
    >>> history = model.fit([[0.0]], [1.0], epochs=3, callbacks=[halve], verbose=0)
    >>> history.history["learning_rate"]
    [0.5, 0.25, 0.125]
    """

    def __init__(self, schedule: Callable[..., Any], verbose: int = 0) -> None:
        if not callable(schedule):
            raise TypeError(
                f"LearningRateScheduler needs a function of the epoch, got {schedule!r}; a rate "
                "that stays is the optimizer's, as in SGD(learning_rate=0.1)"
            )
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        optimizer = self.model.optimizer
        before = (float(optimizer.learning_rate),) if _takes_two(self.schedule) else ()
        rate = self.schedule(epoch, *before)
        number = float(rate) if getattr(rate, "shape", None) == () else rate
        if isinstance(number, bool) or not isinstance(number, Real):
            raise ValueError(f"the schedule must give a number for epoch {epoch}, got {rate!r}")
        optimizer.learning_rate = float(number)
        if self.verbose:
            print(f"Epoch {epoch + 1}: LearningRateScheduler setting learning rate to {number}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)


def _takes_two(schedule: Callable[..., Any]) -> bool:
    try:
        signature(schedule).bind(0, 0.0)
    except TypeError:
        return False
    except ValueError:  # it is written in C and says nothing
        return True
    return True
