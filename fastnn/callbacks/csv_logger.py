"""CSVLogger: a row of a file for each epoch."""

from __future__ import annotations

import os
from typing import Any

from fastnn.callbacks.callback import Callback
from fastnn.loop import Logs


class CSVLogger(Callback):
    """Write the loss and the metrics of each epoch into a file of comma-separated values.

    Each row is in the file when its epoch ends. The columns are "epoch" and what the first epoch
    has; what an epoch does not have is NA.

    Parameters
    ----------
    filename : path
    separator : str, default ","
    append : bool, default False
        Go on in a file that is there, instead of beginning anew.
    """

    def __init__(
        self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False
    ) -> None:
        self.filename = os.fspath(filename)
        self.sep = separator
        self.append = append
        self._columns: list[str] = []

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._columns = []
        with open(self.filename, "a" if self.append else "w", encoding="utf-8"):
            pass

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        import csv

        values = logs or {}
        if not self._columns:
            names = sorted(values)
            validated = any(name.startswith("val_") for name in names)
            self._columns = ["epoch", *names, *([] if validated else [f"val_{n}" for n in names])]
        with open(self.filename, "a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(
                file, self._columns, restval="NA", extrasaction="ignore", delimiter=self.sep
            )
            if file.tell() == 0:
                writer.writeheader()
            row = {name: _cell(value) for name, value in values.items()}
            writer.writerow({"epoch": epoch, **row})


def _cell(value: Any) -> Any:
    if isinstance(value, str) or not hasattr(value, "__iter__") or getattr(value, "ndim", 1) == 0:
        return value
    return f'"[{", ".join(map(str, value))}]"'
