"""History: what `fit` returns."""

from __future__ import annotations

from fastnn.callbacks.callback import Callback
from fastnn.loop import Logs


class History(Callback):
    """The averages of each epoch; `fit` returns it, and has it in ``model.history``.

    Attributes
    ----------
    history : dict of list of float
        "loss", each metric, and the same with "val_" in front where there was validation data.
    epoch : list of int
    params : dict
        "epochs", "steps" (batches in an epoch) and "verbose".
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
