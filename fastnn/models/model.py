"""Model: the base of `Sequential`, and of your own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from fastnn import saving
from fastnn._kernels import Scope
from fastnn.arrays import to_open_shape
from fastnn.configuration import serialize
from fastnn.layers.base import Layer, float_type, layers_in, parts_of
from fastnn.lookup import refuse_arguments
from fastnn.models.summary import summary
from fastnn.models.trainer import Trainer
from fastnn.saving.files import Path
from fastnn.tensor import zeros
from fastnn.trace import paused
from fastnn.variable import OnTrial


class Model(Trainer):
    """A layer that can be trained: the base of `Sequential`, and of your own models.

    A subclass makes its layers in ``__init__`` and defines ``call(inputs)``, as a `Layer` does. It
    may also define ``train_step(data)``, ``test_step(data)`` or ``compute_loss`` to train in a way
    of its own: `data` is ``(x, y)`` or ``(x, y, sample_weight)``, and what a step returns, a dict
    of numbers, is reported.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> class Classifier(fastnn.Model):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = layers.Dense(8, activation="relu")
    ...         self.head = layers.Dense(3, activation="softmax")
    ...     def call(self, inputs):
    ...         return self.head(self.hidden(inputs))
    >>> Classifier()(fastnn.ones((2, 4))).shape
    (2, 3)
    """

    _is_building = False

    def __init__(self, *functional: Any, **options: Any) -> None:
        if functional or {"inputs", "outputs"} & set(options):
            raise TypeError(
                "models of inputs and outputs are not here: write Sequential([...]), or a subclass "
                "of Model with its layers and call(self, inputs)"
            )
        super().__init__(**options)

    @property
    def layers(self) -> list[Layer]:
        """The layers right inside this one."""
        return parts_of(self, Layer)

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of a name, or at a place; ValueError if there is none."""
        if index is not None and -len(self.layers) <= index < len(self.layers):
            return self.layers[index]
        for layer in self.layers:
            if name is not None and layer.name == name:
                return layer
        names = ", ".join(repr(layer.name) for layer in self.layers)
        wanted = repr(name) if index is None else f"number {index}"
        raise ValueError(f"model {self.name!r} has no layer {wanted}; it has {names or 'none'}")

    def build(self, input_shape: Sequence[int | None]) -> None:
        """Make the weights of all layers for inputs of this shape (batch axis included).

        Raises
        ------
        ValueError
            If a layer of a `Sequential` has weights for an axis whose length is None.
        """
        shape = to_open_shape(f"model {self.name!r}: input_shape", input_shape)
        if None in shape[1:]:
            self.compute_output_shape(shape)  # each layer sees which lengths are open
        lengths = tuple(1 if length is None else length for length in shape)
        if self._is_building:  # the call that is under way makes them
            return
        with Scope(self, _is_building=True), paused(), OnTrial():
            self(zeros(lengths, float_type(layers_in(self))), training=False)

    def _build_for_call(self, input_shape: Any) -> None:
        if type(self).build is not Model.build and not self._is_building:
            with Scope(self, _is_building=True):
                self.build(input_shape)

    def build_from_config(self, config: Mapping[str, Any]) -> None:
        """Note that the weights exist: those of the layers, unless `build` is the model's own."""
        if type(self).build is not Model.build:
            super().build_from_config(config)
        self.built, self._build_shape = True, config["input_shape"]

    def save(self, filepath: Path, overwrite: bool = True) -> None:
        """Write the model into a file, from which `fastnn.models.load_model` makes it again; see
        `fastnn.saving.save_model`.
        """
        saving.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Path, overwrite: bool = True) -> None:
        """Write the weights into a file; see `fastnn.saving.save_weights`."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Path, **unknown: Any) -> None:
        """Take the weights from a file; see `fastnn.saving.load_weights`."""
        refuse_arguments(Model.load_weights, unknown)
        saving.load_weights(self, filepath)

    def to_json(self, **options: Any) -> str:
        """How the model is made, without weights, for `fastnn.models.model_from_json`; `options`
        are those of ``json.dumps``.
        """
        return json.dumps(serialize(self), **{"default": serialize, **options})

    def summary(self, print_fn: Callable[[str], object] = print, **unknown: Any) -> None:
        """Print a table of the layers, the shapes of their outputs, and their parameters.

        Parameters
        ----------
        print_fn : callable, default print
            What takes the text.

        Examples
        --------
        >>> import fastnn
        >>> from fastnn import layers
        >>> hidden = layers.Dense(8, activation="relu", input_shape=(4,), name="hidden")
        >>> fastnn.Sequential([hidden, layers.Dense(1, name="head")], name="small").summary()
        Model: "small"
        layer (type)    output shape  parameters
        --------------  ------------  ----------
        hidden (Dense)  (None, 8)             40
        head (Dense)    (None, 1)              9
        Total parameters: 49 (196 bytes)
        Trainable: 49, not trainable: 0
        """
        refuse_arguments(Model.summary, unknown)
        print_fn(summary(self))
