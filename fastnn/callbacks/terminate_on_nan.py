"""TerminateOnNaN: no training goes on from a number that is none."""

from __future__ import annotations

from typing import Literal

from fastnn.callbacks.callback import Callback


class TerminateOnNaN(Callback):
    """End the training where the loss or a weight becomes NaN or infinite, with a warning that
    names the step, the layer and the number; the weights are those before that step.

    It is what ``compile(check_numerics=...)`` does, for one call of `fit`.

    Parameters
    ----------
    raise_error : bool, default False
        Raise RuntimeError instead.
    """

    def __init__(self, raise_error: bool = False) -> None:
        self.raise_error = raise_error

    @property
    def check_numerics(self) -> Literal["raise", "warn"]:
        """What `fit` does for it."""
        return "raise" if self.raise_error else "warn"
