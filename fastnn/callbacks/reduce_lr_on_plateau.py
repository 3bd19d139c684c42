"""ReduceLROnPlateau: smaller steps where larger ones do not help any more."""

from __future__ import annotations

from fastnn.callbacks.monitor import MonitorCallback
from fastnn.hyperparameters import count, fraction, not_negative
from fastnn.loop import Logs


class ReduceLROnPlateau(MonitorCallback):
    """Reduce the learning rate when a number has not improved for some epochs.

    `logs` get it as "learning_rate".

    Parameters
    ----------
    monitor : str, default "val_loss"
    factor : float below 1, default 0.1
        What the learning rate is multiplied by.
    patience : int, default 10
        After so many epochs without improvement it is reduced.
    verbose : int, default 0
        1: say what is done.
    mode : "auto", "min" or "max", default "auto"
        Whether less or more is better; "auto" goes by the metric.
    min_delta : float, default 1e-4
        A smaller change is no improvement.
    cooldown : int, default 0
        Epochs after a reduction that do not count.
    min_lr : float, default 0
        The learning rate does not fall below it.

    Raises
    ------
    ValueError
        If `factor` is 1 or more.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.factor = fraction("factor", factor, below_one=True)
        self.patience = count("patience", patience, least=0)
        self.verbose = verbose
        self.cooldown = count("cooldown", cooldown, least=0)
        self.min_lr = not_negative("min_lr", min_lr)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.cooldown_counter = 0
        self.best = None

    def in_cooldown(self) -> bool:
        """Whether epochs do not count, so soon after a reduction."""
        return self.cooldown_counter > 0

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        logs = {} if logs is None else logs
        logs["learning_rate"] = float(self.model.optimizer.learning_rate)
        value = self.get_monitor_value(logs)
        if value is None:
            return
        if self.in_cooldown():
            self.cooldown_counter -= 1
        if self._is_improvement(value, self.best):
            self.best = value
            self.wait = 0
        elif not self.in_cooldown():
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        optimizer = self.model.optimizer
        before = float(optimizer.learning_rate)
        if before > self.min_lr:
            optimizer.learning_rate = max(before * self.factor, self.min_lr)
            self.cooldown_counter, self.wait = self.cooldown, 0
            if self.verbose:
                rate = float(optimizer.learning_rate)
                print(f"Epoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}")
