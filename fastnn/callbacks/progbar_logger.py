"""ProgbarLogger: what `fit`, `evaluate` and `predict` show."""

from __future__ import annotations

from typing import Any

from fastnn.callbacks.callback import Callback, Logs
from fastnn.progress import Progress


class ProgbarLogger(Callback):
    """A bar while a pass over the data runs, if the output is a terminal; then a line.

    It hears how far the pass is by `advance`, and so needs no hook of batches.
    """

    def __init__(self) -> None:
        self._progress = Progress(1)
        self._epochs = 1
        self._steps: int | None = None
        self._title = ""
        self._in_fit = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        self._progress = Progress(params.get("verbose", 1))
        self._epochs, self._steps = params.get("epochs", 1), params.get("steps")

    def advance(self, done: int) -> None:
        """So many batches more are done."""
        self._progress.advance(done)

    def close(self) -> None:
        """Take the bar away."""
        self._progress.close()

    def _begin(self, title: str) -> None:
        self._title = title
        self._progress.begin(title, self._steps)

    def _end(self, logs: Logs | None) -> None:
        self._steps = self._progress.close()
        self._progress.report(self._title, logs or {})

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._in_fit = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._begin(f"Epoch {epoch + 1}/{self._epochs}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._end(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        if not self._in_fit:
            self._begin("Evaluation")

    def on_test_end(self, logs: Logs | None = None) -> None:
        if not self._in_fit:
            self._end(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin("Prediction")

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._end({})
