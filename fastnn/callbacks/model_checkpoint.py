"""ModelCheckpoint: the model as a file, again and again, or whenever it is better."""

from __future__ import annotations

import os

from fastnn.callbacks.monitor import MonitorCallback
from fastnn.callbacks.saver import Saver
from fastnn.loop import Logs


class ModelCheckpoint(Saver, MonitorCallback):
    """Save the model after every epoch, every so many batches, or when it is better than before.

    Parameters
    ----------
    filepath : path
        It may hold ``{epoch:02d}``, ``{batch}`` and names in `logs`, as ``{val_loss:.2f}``. Folders
        that are missing are made.
    monitor : str, default "val_loss"
    verbose : int, default 0
        1: say what is saved.
    save_best_only : bool, default False
        Save only if the monitored number is better than ever before.
    save_weights_only : bool, default False
        As `Model.save_weights` does, instead of `Model.save`.
    mode : "auto", "min" or "max", default "auto"
        Whether less or more is better; "auto" goes by the metric.
    save_freq : "epoch" or int, default "epoch"
        When to save: after every epoch, or after every so many batches.
    initial_value_threshold : float, optional
        With `save_best_only`: what the first to be saved has to be better than.

    Raises
    ------
    ValueError
        If `save_freq` is something else.
    KeyError
        While training: if `filepath` has a name that is not in `logs`.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str | int = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        Saver.__init__(self, save_freq)
        MonitorCallback.__init__(self, monitor, mode, initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only

    def save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        """Save to the path of this epoch, if it is to be saved."""
        if self.save_best_only and not self._is_best(epoch, logs):
            return
        path = self._path(epoch, batch, logs)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)
        if self.verbose:
            print(f"Epoch {epoch + 1}: saved to {path}")

    def _is_best(self, epoch: int, logs: Logs) -> bool:
        value = self.get_monitor_value(logs)
        if value is None:
            return True  # better a file too many than none
        if self._is_improvement(value, self.best):
            self.best = value
            return True
        if self.verbose:
            print(f"Epoch {epoch + 1}: {self.monitor} is {value:.5f}, not better than {self.best}")
        return False

    def _path(self, epoch: int, batch: int | None, logs: Logs) -> str:
        known = {"epoch": epoch + 1, **({} if batch is None else {"batch": batch + 1}), **logs}
        try:
            return self.filepath.format(**known)
        except KeyError as error:
            raise KeyError(
                f"filepath {self.filepath!r} asks for {error}; available are {', '.join(known)}"
            ) from None
