"""Callback: the base of all callbacks, with a hook for each turn that does nothing."""

from __future__ import annotations

from typing import Any

from fastnn.loop import Logs


class Callback:
    """Base class of all callbacks, and of your own: define the hooks that you need.

    `logs` are the loss and the metrics so far, by name; those of a batch of predictions, "outputs".
    The hooks of batches are called only if a callback defines one of them; otherwise whole epochs
    run without coming back to Python. To end the training, set ``self.model.stop_training = True``.

    Attributes
    ----------
    model : Model
        The model that is trained.
    params : dict
        "epochs" (in `fit`), "steps" (batches in an epoch) and "verbose".

    Examples
    --------
    >>> import fastnn
    >>> class Count(fastnn.callbacks.Callback):
    ...     epochs = 0
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         self.epochs += 1
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> count = Count()
    >>> history = model.fit([[1.0], [2.0]], [1.0, 2.0], epochs=3, callbacks=[count], verbose=0)
    >>> count.epochs
    3
    """

    model: Any = None
    params: dict[str, Any] | None = None

    def set_model(self, model: Any) -> None:
        """Say which model is trained; called before all else."""
        self.model = model

    def set_params(self, params: dict[str, Any]) -> None:
        """Say how it is trained."""
        self.params = params

    def listens(self, hook: str) -> bool:
        """Whether the hook of this name does anything."""
        return hook in vars(self) or getattr(type(self), hook) is not getattr(Callback, hook)

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Logs | None = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Before an epoch of training."""

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """After an epoch and its validation; callbacks that come later see changes of `logs`."""

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of training."""
        self.on_batch_begin(batch, logs)

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of training; `logs` are the averages since the epoch began."""
        self.on_batch_end(batch, logs)

    def on_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """The old name of `on_train_batch_begin`."""

    def on_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """The old name of `on_train_batch_end`."""

    def on_test_begin(self, logs: Logs | None = None) -> None:
        """Before an evaluation, which may be the validation in `fit`."""

    def on_test_end(self, logs: Logs | None = None) -> None:
        """After an evaluation."""

    def on_test_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of an evaluation."""

    def on_test_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of an evaluation."""

    def on_predict_begin(self, logs: Logs | None = None) -> None:
        """Before a prediction."""

    def on_predict_end(self, logs: Logs | None = None) -> None:
        """After a prediction."""

    def on_predict_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Before a batch of a prediction."""

    def on_predict_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """After a batch of a prediction; `logs` has its "outputs"."""
