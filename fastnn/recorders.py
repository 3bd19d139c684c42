"""Who is told what this thread computes: gradient tapes, traces, checks of numbers."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from fastnn._kernels import Call, Update
    from fastnn.arrays import Array
    from fastnn.sparse import SparseTensor
    from fastnn.tensor import Tensor
    from fastnn.variable import Variable


class Recorder(Protocol):
    """Someone who is told of every call of a primitive, such as a GradientTape."""

    def record(self, call: Call) -> None: ...

    def watches(self, x: Tensor) -> bool: ...

    def follows(self, x: Tensor) -> bool: ...


class Listener:
    """A recorder that no gradient is asked of."""

    def watches(self, x: Tensor) -> bool:
        """Never."""
        return False

    def follows(self, x: Tensor) -> bool:
        """Never."""
        return False


class Tracer(Recorder, Protocol):
    """A recorder that writes a program down, for any values of its tensors."""

    def varies(self, x: Tensor) -> bool:
        """Whether a value may differ from run to run."""

    def read(self, x: Tensor) -> None:
        """Someone wants to see a value: an error, if it may differ from run to run."""

    def present(self, variable: Variable) -> Tensor:
        """What stands for a variable as it is when the program comes to this point."""

    def expand(self, x: SparseTensor) -> None:
        """A matrix without its zeros is needed with all elements from here on."""

    def note_built(self, layer: object) -> None:
        """A layer makes its weights: it must be one that is there for the next run as well."""

    def refuse(self, what: str) -> None:
        """Someone does what a program cannot: an error, of which `what` is the middle."""

    def update(
        self,
        update: Update,
        variables: tuple[Variable, ...],
        inputs: tuple[Tensor, ...],
        attributes: dict[str, Any],
    ) -> None:
        """To be done whenever the program runs, and not now."""


class _Recorders(threading.local):
    """The recorders at work in this thread, innermost last; a trace is one of them.

    They are the keys of a dict: to leave it takes no memory, as leaving a list may.
    """

    def __init__(self) -> None:
        self.stack: dict[Recorder, None] = {}
        self.trace: Tracer | None = None
        # By id, the variables that have changed in an `all_or_nothing`, with what they held before.
        self.undo: dict[int, tuple[Variable, Array]] | None = None


recorders = _Recorders()


def refuse_in_a_trace(what: str) -> None:
    """TraceError if such a thing is made inside a step that is being compiled."""
    if recorders.trace is not None:
        recorders.trace.refuse(makes(what))


def makes(what: str) -> str:
    """What is refused of a step that makes such a thing."""
    return (
        f"makes a {what}, which would be one for all runs of the program: make it before, "
        "outside, or leave"
    )
