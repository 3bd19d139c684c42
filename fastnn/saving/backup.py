"""The state of a training that goes on, for `BackupAndRestore`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn import random
from fastnn.saving import files
from fastnn.saving.files import Path
from fastnn.saving.state import (
    assign,
    go_on,
    optimizer_from,
    random_from,
    shuffles_from,
    training_state,
    values_of,
    weights_from,
)
from fastnn.trace import paused

if TYPE_CHECKING:
    from fastnn.models.model import Model


def save_backup(model: Model, filepath: Path, epoch: int) -> None:
    """Write all that changes while a model is trained, and the epoch that comes next."""
    with paused():  # as in `save_model`
        description, tensors = training_state(model)
        files.write(filepath, {**description, "epoch": epoch}, tensors, overwrite=True)


def restore_backup(model: Model, filepath: Path) -> int:
    """Put a compiled model into the state of a file; returns the epoch that comes next.

    Raises
    ------
    ValueError
        If the file is another, damaged, or of another model. The weights are unchanged then.
    """
    with files.opened(filepath) as saved:
        epoch: int = saved.field("epoch", int)
        values = values_of(saved, weights_from(saved, model) + optimizer_from(saved, model))
        sources, state = random_from(saved, model), shuffles_from(saved)
    assign(values)
    go_on(sources)
    random.set_state(random.generator(), state)
    model._loops.clear()  # the keys of random numbers are in them
    return epoch
