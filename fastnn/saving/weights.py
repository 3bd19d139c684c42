"""The weights of a model as a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.saving import files
from fastnn.saving.files import Path
from fastnn.saving.state import assign, tensors_of, values_of, weights_by_key, weights_from
from fastnn.trace import paused

if TYPE_CHECKING:
    from fastnn.models.model import Model


def save_weights(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """Write the weights of a model into a file, as `Model.save_weights` does.

    Parameters
    ----------
    model : Model
    filepath : path
        With any extension: it is always a file in the safetensors format.
    overwrite : bool, default True
        Replace a file that is there.

    Raises
    ------
    OSError
        If it cannot be written, or is there and not to be replaced. What was there before is
        untouched then.
    """
    with paused():  # as in `save_model`
        weights = weights_by_key(model)
        files.write(filepath, {"weights": list(weights)}, tensors_of(weights), overwrite)


def load_weights(model: Model, filepath: Path) -> None:
    """Give a model the weights of a file, as `Model.load_weights` does.

    They are matched in order, whatever their names are.

    Parameters
    ----------
    model : Model
        Its weights must exist: it has been called on data, or knows its input.
    filepath : path
        Of a file that `save_weights` or `save_model` wrote.

    Raises
    ------
    ValueError
        If the file is another, damaged, or of a model with other weights. Nothing is changed then.
    """
    with files.opened(filepath) as saved:
        if not model.built:
            raise ValueError(
                f"model {model.name!r} has no weights yet: call it on data, or give its first "
                "layer an input_shape, before load_weights"
            )
        values = values_of(saved, weights_from(saved, model))
    assign(values)
