"""EarlyStopping: no more epochs than help."""

from __future__ import annotations

from fastnn.arrays import Array
from fastnn.callbacks.monitor import MonitorCallback
from fastnn.hyperparameters import count
from fastnn.loop import Logs


class EarlyStopping(MonitorCallback):
    """End the training when a number has not improved for some epochs.

    Parameters
    ----------
    monitor : str, default "val_loss"
    min_delta : float, default 0
        A smaller change is no improvement.
    patience : int, default 0
        After so many epochs without improvement the training ends.
    verbose : int, default 0
        1: say what is done.
    mode : "auto", "min" or "max", default "auto"
        Whether less or more is better; "auto" goes by the metric.
    baseline : float, optional
        An epoch that is not better than this counts as one without improvement.
    restore_best_weights : bool, default False
        Go back to the weights of the best epoch in the end, whether or not the training was ended
        early; after an error or Ctrl-C the weights are the last ones.
    start_from_epoch : int, default 0
        Epochs before this one do not count.

    Examples
    --------
    >>> import fastnn
    >>> stop = fastnn.callbacks.EarlyStopping(monitor="loss", patience=2)
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1)])
    >>> model.compile(fastnn.optimizers.SGD(0.0), loss="mse")
    >>> history = model.fit([[0.0]], [1.0], epochs=9, callbacks=[stop], verbose=0)
    >>> history.epoch
    [0, 1, 2]
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        self.patience = count("patience", patience, least=0)
        self.verbose = verbose
        self.baseline = baseline
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = count("start_from_epoch", start_from_epoch, least=0)
        self.on_train_begin()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self.wait = self.stopped_epoch = self.best_epoch = 0
        self.best = None
        self.best_weights: list[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        value = self.get_monitor_value(logs)
        if value is None or epoch < self.start_from_epoch:
            return
        self.wait += 1
        if self._is_improvement(value, self.best):
            self.best, self.best_epoch = value, epoch
            if self.restore_best_weights:
                self.best_weights = self.model.get_weights()
            if self.baseline is None or self._is_improvement(value, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.best_weights is not None:
            if self.verbose:
                print(f"The weights of epoch {self.best_epoch + 1}, the best, are restored")
            self.model.set_weights(self.best_weights)
