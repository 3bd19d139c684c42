"""BackupAndRestore: a training that was cut off goes on where it was."""

from __future__ import annotations

import os
from contextlib import suppress

from fastnn.callbacks.saver import Saver
from fastnn.loop import Logs
from fastnn.saving.backup import restore_backup, save_backup


class BackupAndRestore(Saver):
    """Keep the state of the training in a folder, and go on from it when `fit` is called again.

    The state is all that decides how the training goes on: weights, optimizer, random numbers and
    the epoch. After epochs that are whole passes over the data it is exact: `fit` then ends with
    the same bits as if it had never been cut off. With `steps_per_epoch` a new pass begins; a state
    saved inside an epoch continues with the beginning of that epoch.

    Parameters
    ----------
    backup_dir : path
        A folder for this training alone.
    save_freq : "epoch" or int, default "epoch"
        When to save: after every epoch, or after every so many batches.
    double_checkpoint : bool, default False
        Keep the state before the last one too, and take it where the last one is damaged.
    delete_checkpoint : bool, default True
        Remove the files when the training has come to its end, and the folder if it is empty then.

    Raises
    ------
    ValueError
        If `backup_dir` is empty or `save_freq` something else; while training: if the folder holds
        the state of another model.
    """

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__(save_freq)
        if not backup_dir:
            raise ValueError("backup_dir is empty; name a folder for this training")
        self.backup_dir = os.fspath(backup_dir)
        self.double_checkpoint = double_checkpoint
        self.delete_checkpoint = delete_checkpoint
        self._paths = [os.path.join(self.backup_dir, "latest.safetensors")]
        if double_checkpoint:
            self._paths.append(os.path.join(self.backup_dir, "previous.safetensors"))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        there = [path for path in self._paths if os.path.exists(path)]
        for path in there:
            try:
                self.model._initial_epoch = restore_backup(self.model, path)
                return
            except ValueError:
                if path == there[-1]:
                    raise

    def save(self, epoch: int, batch: int | None, logs: Logs) -> None:
        """Save the state, and the epoch with which to go on."""
        os.makedirs(self.backup_dir, exist_ok=True)
        if self.double_checkpoint and os.path.exists(self._paths[0]):
            os.replace(*self._paths)
        save_backup(self.model, self._paths[0], epoch + 1 if batch is None else epoch)

    def on_train_end(self, logs: Logs | None = None) -> None:
        if self.delete_checkpoint:
            for path in self._paths:
                with suppress(OSError):
                    os.unlink(path)
            with suppress(OSError):  # there is something else in it
                os.rmdir(self.backup_dir)
