"""The table of a model's layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastnn.layers.base import Layer
from fastnn.table import table

if TYPE_CHECKING:
    from fastnn.models.model import Model


def summary(model: Model) -> str:
    """Each layer with the shape of its output and its parameters, and their sums."""
    rows = [
        [f"{layer.name} ({type(layer).__name__})", _output(layer), _parameters(layer)]
        for layer in model.layers
    ]
    count, trained = (sum(w.size for w in of) for of in (model.weights, model.trainable_weights))
    size = sum(w.size * w.dtype.itemsize for w in model.weights)
    built = all(layer.built for layer in model.layers)
    totals = [
        f"Total parameters: {count:,} ({size:,} bytes)",
        f"Trainable: {trained:,}, not trainable: {count - trained:,}",
    ]
    unknown = [
        "Total parameters: not known before the model is called on data, or begins with Input"
    ]
    return "\n".join(
        [
            f'Model: "{model.name}"',
            table(["layer (type)", "output shape", "parameters"], rows),
            *(totals if built else unknown),
        ]
    )


def _output(layer: Layer) -> str:
    return ", ".join(map(str, layer.output_shapes)) or "?"


def _parameters(layer: Layer) -> str:
    return f"{layer.count_params():,}" if layer.built else "? (not built)"
