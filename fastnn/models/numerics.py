"""The first number that is not finite: where a training goes wrong, found by doing it once more.

Nothing is checked while a training runs. When it turns out that its loss or a weight is not finite,
the part of it that ran at a stretch is repeated from the state before it, op by op, and every
result is looked at.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastnn._kernels import Call, Member
from fastnn.arrays import Array, is_finite
from fastnn.caller import warn
from fastnn.loop import Logs
from fastnn.models.steps import Steps
from fastnn.phase import phase
from fastnn.recorders import Listener, recorders
from fastnn.samples import Arrays
from fastnn.saving.state import go_on, random_state, sources_in
from fastnn.structure import Structure, leaves
from fastnn.tensor import Tensor
from fastnn.variable import Variable

HUGE = 1e6  # no weight of a network that learns is


class NotFiniteError(RuntimeError):
    """A number became NaN or infinite; the message says which, where and when."""


class Snapshot:
    """All that a step of training changes, but for what is measured."""

    def __init__(self, model: Steps) -> None:
        self.variables = model.weights
        if model.optimizer is not None:  # a train_step of the user's may do without
            model.optimizer.build(model.trainable_weights)
            self.variables = [*self.variables, *model.optimizer.variables]
        self._values = [variable.numpy() for variable in self.variables]
        self._random = list(zip(sources_in(model), random_state(model), strict=True))

    def restore(self) -> None:
        """Make all as it was."""
        for variable, value in zip(self.variables, self._values, strict=True):
            variable.assign(value)
        go_on(self._random)


class _Checker(Member, Listener):
    """A recorder that looks at the result of every op."""

    members_of = recorders

    def record(self, call: Call) -> None:
        """Refuse a result that is not finite, though everything that it is made of is."""
        if all(is_finite(x._array) for x in call.inputs) and not is_finite(call.output._array):
            layer = "the loss or a gradient" if phase.layer is None else f"layer {phase.layer!r}"
            inputs = ", ".join(str(x.shape) for x in call.inputs)
            where = _first(call.output._array)
            raise NotFiniteError(
                f"{layer}, op {call.primitive.name} of {inputs}: its result {where}"
            )


def is_sound(model: Steps, logs: Logs) -> bool:
    """Whether the loss, and all weights, are finite."""
    tracker = [] if model._loss_tracker is None else [model._loss_tracker.total]
    loss = logs.get("loss", 0.0)
    return bool(np.isfinite(loss).all()) and all(v.is_finite() for v in [*model.weights, *tracker])


def complain(model: Steps, cause: str, how: str | None) -> None:
    """Raise NotFiniteError or, unless `how` is "raise", warn."""
    largest = max((float(np.abs(w.numpy()).max(initial=0)) for w in model.weights), default=0.0)
    message = (
        f"the training of model {model.name!r} is not finite at {cause}. Its weights are those "
        f"before that step, the largest of them {largest:.2g}"
        f"{'; begin anew with a smaller learning rate' if largest > HUGE else ''}"
    )
    if how == "raise":
        raise NotFiniteError(message)
    warn(f"{message}. The training ends here")


def point_to_check(model: Steps, logs: Logs) -> None:
    """Say of a loss, if it is not finite, what would find out why."""
    loss = np.ravel(logs.get("loss", 0.0))
    wrong = loss[~np.isfinite(loss)]
    if len(wrong):
        warn(
            f"the loss of model {model.name!r} is {wrong[0]}: compile it with "
            "check_numerics='raise', and fit names the first number that is not finite and says "
            "what to do"
        )


def find(
    step: Callable[[Structure], object],
    arrays: Arrays,
    order: Array,
    size: int,
    model: Steps,
) -> tuple[int | None, str]:
    """Repeat the steps of a pass up to the first number that is not finite; its step, counted from
    0, if there is one, and what it is.

    The model is then as it was before the step with that number; before the first one if there is
    none. Metrics are left as the last step made them.
    """
    first = Snapshot(model)
    model.reset_metrics()
    for number, start in enumerate(range(0, len(order), size)):
        rows = order[start : start + size]
        before = Snapshot(model)
        batch = [column.batch(rows) for column in arrays.columns]
        try:
            _check_batch(arrays, batch, rows)
            _checked(step, arrays.structured(batch))
            _check_variables(before.variables)
            _check_loss(model)
        except NotFiniteError as error:
            before.restore()
            return number, f", counted from 0: {error}"
    first.restore()
    return None, ", though it is finite when it is computed op by op"


def _checked(step: Callable[[Structure], object], batch: Structure) -> None:
    with _Checker(), np.errstate(all="ignore"):  # the first of them is told of
        step(batch)


def _check_batch(arrays: Arrays, batch: list[Tensor], rows: Array) -> None:
    for at, tensor in enumerate(batch):
        if not is_finite(tensor._array):
            is_input = at < len(leaves(arrays.x))
            name = "the inputs" if is_input else "the targets or their weights"
            bad = np.argwhere(~np.isfinite(tensor._array))[0]
            raise NotFiniteError(
                f"{name} of sample {rows[bad[0]]}: an array of shape {tensor.shape[1:]} for each "
                f"sample, which has {tensor._array[tuple(bad)]} at index {_index(bad[1:])}: "
                "correct the sample or leave it out"
            )


def _check_variables(variables: list[Variable]) -> None:
    for variable in variables:
        if not is_finite(variable._array):
            raise NotFiniteError(f"the update of {variable.path!r}: it {_first(variable._array)}")


def _check_loss(model: Steps) -> None:
    if model._loss_tracker is not None and not is_finite(model._loss_tracker.total._array):
        raise NotFiniteError(
            "the loss, which is made of a constant or a variable that is not finite itself: look "
            "for one in the loss and the layers"
        )


def _first(array: Array) -> str:
    bad = np.argwhere(~np.isfinite(array))[0]
    return (
        f"has shape {array.shape} and {array[tuple(bad)]} at index {_index(bad)}: lower the "
        "learning rate, clip gradients (clipnorm=1.0) or scale the data"
    )


def _index(place: Array) -> tuple[int, ...]:
    return tuple(int(i) for i in place)
