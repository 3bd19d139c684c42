"""Saver: the base of callbacks that save, after every epoch or every so many batches."""

from __future__ import annotations

from fastnn.callbacks.callback import Callback
from fastnn.hyperparameters import count
from fastnn.loop import Logs


class Saver(Callback):
    """Base of callbacks that save; a subclass does that in ``save(epoch, batch, logs)``.

    Parameters
    ----------
    save_freq : "epoch" or int
        When: after every epoch, or after every so many batches.
    """

    def __init__(self, save_freq: str | int) -> None:
        in_batches = save_freq != "epoch"
        self.save_freq = count('save_freq (if not "epoch")', save_freq) if in_batches else save_freq
        self._current_epoch = self._batches = 0

    def save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        """Save, after a batch of an epoch, or after all (None)."""
        raise NotImplementedError(
            f"{type(self).__name__} must define save(self, epoch, batch, logs)"
        )

    def listens(self, hook: str) -> bool:
        own = getattr(type(self), hook) is getattr(Saver, hook)
        by_epochs = own and hook == "on_train_batch_end" and self.save_freq == "epoch"
        return super().listens(hook) and not by_epochs

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._current_epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        if self.save_freq != "epoch":
            self._batches += 1
            if self._batches % int(self.save_freq) == 0:
                self.save(self._current_epoch, batch, logs or {})

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        if self.save_freq == "epoch":
            self.save(epoch, None, logs or {})
