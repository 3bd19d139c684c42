"""ProgbarLogger: what `fit`, `evaluate` and `predict` show, on a terminal and elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any, Literal, TypeAlias

from fastnn.callbacks.callback import Callback
from fastnn.loop import Logs

Verbose: TypeAlias = Literal["auto", 0, 1, 2]


class ProgbarLogger(Callback):
    """By ``params["verbose"]``: nothing (0), or a line for each pass over the data (2), and before
    it a bar while the pass runs, if the output is a terminal (1 and "auto").

    It hears how far the pass is by `advance`, and so needs no hook of batches.
    """

    def __init__(self) -> None:
        self._verbose: Verbose = 1
        self._epochs = 1
        self._steps: int | None = None  # of a pass; None if nobody knows
        self._title = ""
        self._start = 0.0
        self._done = 0
        self._bar: Any = None
        self._in_fit = False
        self._is_validating = False  # whose batches are not those of the bar

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        if verbose not in ("auto", 0, 1, 2):
            raise ValueError(f'verbose must be "auto", 0, 1 or 2, got {verbose!r}')
        self._verbose = verbose
        self._epochs, self._steps = params.get("epochs", 1), params.get("steps")

    def advance(self, done: int) -> None:
        """So many batches more are done."""
        if self._is_validating:
            return
        self._done += done
        if self._bar is not None:
            self._bar.update(done)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _begin(self, title: str) -> None:
        self.close()
        self._title, self._start, self._done = title, time.perf_counter(), 0
        if self._verbose in ("auto", 1) and sys.stdout.isatty():
            from tqdm import tqdm

            self._bar = tqdm(None, title, self._steps, leave=False, file=sys.stdout, unit="step")

    def _end(self, logs: Logs | None = None) -> None:
        self.close()
        self._steps = self._done
        if self._verbose != 0:
            seconds = time.perf_counter() - self._start
            values = [f" - {name}: {_short(value)}" for name, value in (logs or {}).items()]
            print(f"{self._title} - {seconds:.2f} s{''.join(values)}", flush=True)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._in_fit, self._is_validating = True, False

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._in_fit = False

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._begin(f"Epoch {epoch + 1}/{self._epochs}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._end(logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._is_validating = self._in_fit
        if not self._in_fit:
            self._begin("Evaluation")

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._is_validating = False
        if not self._in_fit:
            self._end(logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._begin("Prediction")

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._end()


def _short(value: Any) -> str:
    if not isinstance(value, float):
        return str(value)
    return f"{value:.4e}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"
