"""Turns: one thread at a time trains a model, or measures with its metrics.

Nobody waits for a turn: who finds another at work is refused, and is told so. Each caller writes
itself down behind those who are there, looks who they are, and strikes itself out at its end. So
there is nothing that could stay locked: striking out is one step, which an exception, or Ctrl-C at
whatever moment, cannot come between, and a forked child does not count callers of its parent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, Protocol, TypeVar

from fastnn.forks import forks

P = ParamSpec("P")
R = TypeVar("R")


class Caller:
    """Who called which method."""

    def __init__(self, method: str) -> None:
        self.method, self.thread, self.forks = method, threading.get_ident(), forks()


class TakesTurns(Protocol):
    """A model that knows who is at work with it."""

    name: str
    _callers: dict[Caller, None]


M = TypeVar("M", bound=TakesTurns)


def in_turn(
    method: Callable[Concatenate[M, P], R],
) -> Callable[Concatenate[M, P], R]:
    """Decorator: refuse to run a method of a model out of turn."""

    @wraps(method)
    def in_its_turn(model: M, /, *args: P.args, **kwargs: P.kwargs) -> R:
        caller = Caller(method.__name__)
        try:
            model._callers[caller] = None
            _refuse_out_of_turn(model, caller)
            return method(model, *args, **kwargs)
        finally:
            model._callers.pop(caller, None)  # there may have been no memory to write it down

    return in_its_turn


def is_nested(model: TakesTurns) -> bool:
    """Whether it was called in the midst of another method, by a callback or by the data."""
    return len(_callers_here(model)) > 1


def _callers_here(model: TakesTurns) -> list[Caller]:
    return [caller for caller in [*model._callers] if caller.forks == forks()]


def _refuse_out_of_turn(model: TakesTurns, caller: Caller) -> None:
    first = _callers_here(model)[0]
    if first.thread != caller.thread:
        raise RuntimeError(
            f"model {model.name!r}: {caller.method} was called while another thread is in the "
            f"midst of its {first.method}, and its weights and metrics serve one at a time: call "
            "one after the other, or give each thread a model of its own, copy.deepcopy(model)"
        )
    if first is not caller and caller.method == "fit":
        raise RuntimeError(
            f"model {model.name!r}: fit was called in the midst of its {first.method}, by a "
            "callback or by the data: call train_on_batch there, or fit when that has ended"
        )
