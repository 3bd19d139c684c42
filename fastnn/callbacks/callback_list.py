"""CallbackList: many callbacks, called as one."""

from __future__ import annotations

from typing import Any, Self

from fastnn.callbacks.callback import Callback
from fastnn.callbacks.history import History
from fastnn.callbacks.progbar_logger import ProgbarLogger
from fastnn.callbacks.terminate_on_nan import TerminateOnNaN
from fastnn.loop import Logs
from fastnn.structure import leaves


class CallbackList(Callback):
    """Callbacks that are called one after another, in the order given.

    Used in a ``with`` block it takes the progress bar away at the end, whatever happened.

    Parameters
    ----------
    callbacks : Callback or list of Callback, optional
    add_history : bool, default False
        Append a `History` if there is none.
    add_progbar : bool, default False
        Append a `ProgbarLogger` if there is none.
    model : Model, optional
    **params
        What `set_params` of each is called with: "epochs", "steps", "verbose".

    Attributes
    ----------
    callbacks : list of Callback

    Raises
    ------
    TypeError
        If something else than a Callback is in the list.
    """

    def __init__(
        self,
        callbacks: Callback | list[Any] | None = None,
        add_history: bool = False,
        add_progbar: bool = False,
        model: Any = None,
        **params: Any,
    ) -> None:
        self.callbacks: list[Callback] = [] if callbacks is None else leaves(callbacks)
        for callback in self.callbacks:
            if not isinstance(callback, Callback):
                raise TypeError(
                    f"callbacks are made from classes such as EarlyStopping(), got {callback!r}"
                )
        if add_history and self._first(History) is None:
            self.append(History())
        if add_progbar and self._first(ProgbarLogger) is None:
            self.append(ProgbarLogger())
        self._progress = self._first(ProgbarLogger)
        if model is not None:
            self.set_model(model)
        if params:
            self.set_params(params)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._progress is not None:
            self._progress.close()

    def append(self, callback: Callback) -> None:
        """Add a callback, to be called last."""
        self.callbacks.append(callback)

    def _first(self, kind: type[Callback]) -> Any:
        return next((c for c in self.callbacks if isinstance(c, kind)), None)

    def set_model(self, model: Any) -> None:
        """Tell all which model is trained; it gets the `History` as ``model.history``."""
        super().set_model(model)
        history = self._first(History)
        if history is not None:
            model.history = history
        for callback in self.callbacks:
            callback.set_model(model)

    def set_params(self, params: dict[str, Any]) -> None:
        """Tell all how it is trained."""
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def wants_batches(self, kind: str) -> bool:
        """Whether anybody listens to the batches of a kind: "train", "test" or "predict"."""
        hooks = [f"on_{kind}_batch_begin", f"on_{kind}_batch_end"]
        if kind == "train":
            hooks += ["on_batch_begin", "on_batch_end"]
        return any(callback.listens(hook) for callback in self.callbacks for hook in hooks)

    @property
    def check_numerics(self) -> str | None:
        """What `fit` is to do about numbers that are not finite, if a callback says so."""
        found = self._first(TerminateOnNaN)
        return None if found is None else found.check_numerics

    def advance(self, done: int) -> None:
        """Tell the progress bar, if there is one, how many batches more are done."""
        if self._progress is not None:
            self._progress.advance(done)

    def _call(self, hook: str, *arguments: Any) -> None:
        *where, logs = arguments
        plain = {name: _plain(value) for name, value in (logs or {}).items()}
        for callback in self.callbacks:
            getattr(callback, hook)(*where, plain)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        self._call("on_train_begin", logs)

    def on_train_end(self, logs: Logs | None = None) -> None:
        self._call("on_train_end", logs)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_begin", epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        self._call("on_epoch_end", epoch, logs)

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_train_batch_begin", batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_train_batch_end", batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_batch_begin", batch, logs)

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_batch_end", batch, logs)

    def on_test_begin(self, logs: Logs | None = None) -> None:
        self._call("on_test_begin", logs)

    def on_test_end(self, logs: Logs | None = None) -> None:
        self._call("on_test_end", logs)

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_test_batch_begin", batch, logs)

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_test_batch_end", batch, logs)

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        self._call("on_predict_begin", logs)

    def on_predict_end(self, logs: Logs | None = None) -> None:
        self._call("on_predict_end", logs)

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_predict_batch_begin", batch, logs)

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        self._call("on_predict_batch_end", batch, logs)


def _plain(value: Any) -> Any:
    """A Python float where the value is one number."""
    return float(value) if getattr(value, "shape", None) == () else value
