"""TerminateOnNaN: no training goes on from a loss that is no number."""

from __future__ import annotations

import math

from fastnn.callbacks.callback import Callback, Logs


class TerminateOnNaN(Callback):
    """End the training when the loss is NaN or infinite after a batch.

    Parameters
    ----------
    raise_error : bool, default False
        Raise RuntimeError instead.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is None or math.isfinite(loss):
            return
        if self.raise_error:
            raise RuntimeError(f"the loss is {loss} after batch {batch}; lower the learning rate")
        print(f"The loss is {loss} after batch {batch}: the training ends")
        self.model.stop_training = True
