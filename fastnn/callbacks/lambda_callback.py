"""LambdaCallback: a callback made of functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastnn.callbacks.callback import Callback
from fastnn.lookup import near


class LambdaCallback(Callback):
    """A callback made of functions, each named as the hook that it is.

    Parameters
    ----------
    on_epoch_begin, on_epoch_end : callable(epoch, logs), optional
    on_train_begin, on_train_end : callable(logs), optional
    on_train_batch_begin, on_train_batch_end : callable(batch, logs), optional
    **more
        Any other hook of `Callback`, such as ``on_test_end``.

    Raises
    ------
    TypeError
        If a name is that of no hook and begins with "on_".

    Examples
    --------
    >>> import fastnn
    >>> show = fastnn.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs: print(epoch))
    >>> show.on_epoch_begin(3, {})
    3
    """

    def __init__(
        self,
        on_epoch_begin: Callable[..., Any] | None = None,
        on_epoch_end: Callable[..., Any] | None = None,
        on_train_begin: Callable[..., Any] | None = None,
        on_train_end: Callable[..., Any] | None = None,
        on_train_batch_begin: Callable[..., Any] | None = None,
        on_train_batch_end: Callable[..., Any] | None = None,
        **more: Callable[..., Any] | None,
    ) -> None:
        given = {
            "on_epoch_begin": on_epoch_begin,
            "on_epoch_end": on_epoch_end,
            "on_train_begin": on_train_begin,
            "on_train_end": on_train_end,
            "on_train_batch_begin": on_train_batch_begin,
            "on_train_batch_end": on_train_batch_end,
            **more,
        }
        for name in more:
            if name.startswith("on_") and not hasattr(Callback, name):
                hooks = (hook for hook in dir(Callback) if hook.startswith("on_"))
                raise TypeError(f"a callback has no hook {name!r}{near(name, hooks)}")
        vars(self).update({hook: f for hook, f in given.items() if f is not None})
