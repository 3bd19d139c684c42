"""Sequential: layers one after another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, Self

from fastnn import ops
from fastnn.arrays import Shape, to_open_shape
from fastnn.configuration import serialize
from fastnn.layers.base import Layer, UnbuiltAgainOnFailure
from fastnn.layers.dense import Dense
from fastnn.layers.input import InputLayer, as_announced
from fastnn.models.model import Model
from fastnn.phase import phase
from fastnn.sparse import Samples, may_save_time, without_zeros
from fastnn.tensor import Tensor


class Sequential(Model):
    """Layers, one after another.

    The weights are made on the first call, or at once where the first layer knows its
    `input_shape`. A last axis of length 1 that it tells of may be left out of the input.

    Parameters
    ----------
    layers : list of Layer, optional
    **options
        `name` and `trainable`, as for every `Layer`.

    Raises
    ------
    TypeError
        If something in the list is not a layer, or there is another option.
    ValueError
        If a layer, or a name, is there twice, or an `Input` is not the first.

    Examples
    --------
    >>> import fastnn
    >>> from fastnn import layers
    >>> model = fastnn.Sequential([layers.Dense(8, activation="relu"), layers.Dense(1)])
    >>> model(fastnn.ones((2, 3))).shape
    (2, 1)
    >>> [w.shape for w in model.weights]
    [(3, 8), (8,), (8, 1), (1,)]
    """

    def __init__(self, layers: Sequence[Layer] = (), *more: Layer, **options: Any) -> None:
        super().__init__(**options)
        self._layers: list[Layer] = []
        if self.dtype is not None:
            raise TypeError(
                f"model {self.name!r} has no dtype of its own, its layers have: write "
                f"Dense(10, dtype={self.dtype!r})"
            )
        if isinstance(layers, Layer) or more:
            raise TypeError(
                "the layers of a model come in a list, and all else by name: write "
                "Sequential([layer, layer], name='model')"
            )
        for layer in layers or ():
            self.add(layer)

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the `Input` in front of them."""
        return [layer for layer in self._layers if not isinstance(layer, InputLayer)]

    @property
    def input_shape(self) -> Any:
        """The shape of the input, None for the batch axis; None while it is not known."""
        own = vars(self).get("input_shape")
        return _built_for(self) if own is None else own

    @input_shape.setter
    def input_shape(self, value: Any) -> None:
        vars(self)["input_shape"] = value

    def add(self, layer: Layer) -> None:
        """Append a layer; it gets its weights at once if the model has some."""
        if layer is self:
            raise ValueError(f"model {self.name!r} cannot be one of its own layers")
        if any(layer is present for present in self._layers):
            raise ValueError(f"layer {layer.name!r} is in the model already; make a new one")
        if not isinstance(layer, Layer):
            remedy = "write Activation(...) around an activation, also around its name"
            if isinstance(layer, type):
                remedy = "a class needs its arguments: Dense(10), not Dense"
            raise TypeError(f"a model is made of layers such as Dense(10), got {layer!r}; {remedy}")
        if any(layer.name == present.name for present in self._layers):
            raise ValueError(
                f"model {self.name!r} has a layer called {layer.name!r} already; the layers of a "
                "Sequential should have unique names: pass another name"
            )
        if isinstance(layer, InputLayer) and self._layers:
            raise ValueError(f"model {self.name!r} has layers already; an Input comes first")
        before = self._layers, self.output_shapes
        self._layers, self.output_shapes = [*self._layers, layer], []
        first = self._layers[0]
        shape = _built_for(self) or _built_for(first)
        if (announced := _announced_by(first)) is not None:
            shape = (None, *announced)
        if shape is not None:
            try:
                with UnbuiltAgainOnFailure(self):
                    self.build(shape)
            except BaseException:
                self._layers, self.output_shapes = before
                raise

    def _inner(self) -> list[Layer]:
        return self._layers if type(self) is Sequential else super()._inner()

    def pop(self) -> Layer:
        """Remove the last layer and return it."""
        if not self.layers:
            raise ValueError(f"model {self.name!r} has no layers to remove")
        removed = self._layers.pop()
        self.output_shapes = self._layers[-1].output_shapes if self._layers else []
        self.built = self.built and bool(self._layers)
        return removed

    def call(self, inputs: Tensor) -> Tensor:
        """The output of the last layer; a list of one array is that array to a layer of one."""
        if not self._layers:
            raise ValueError(f"model {self.name!r} has no layers: add some, or give it a list")
        x, first = inputs, self._layers[0]
        takes_one = first._is_leaf and not first._takes_several
        if takes_one and isinstance(inputs, list | tuple) and len(inputs) == 1:
            (x,) = inputs
        announced = _announced_by(first)
        if announced is not None and isinstance(x, Tensor):
            shape = as_announced(first.name, (None, *announced), x.shape)
            x = x if x.shape == shape else ops.reshape(x, shape)
        for layer in self._layers:
            x = layer(x)
        return x

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for an input of this shape; None, for any length, stays so."""
        if type(self).call is not Sequential.call:
            return super().compute_output_shape(input_shape)
        shape = tuple(input_shape)
        for layer in self._layers:
            shape = layer.compute_output_shape(shape)
        return shape

    def get_config(self) -> dict[str, Any]:
        """The layers and the options, as plain data, and the input that the model was built for."""
        uses = Counter(_leaves(self))
        for layer, times in uses.items():
            if times > 1:
                raise ValueError(
                    f"layer {layer.name!r} stands at {times} places of model {self.name!r}, and "
                    "its description would be one of so many layers: make the model in code, and "
                    "save its weights alone, model.save_weights(...)"
                )
        config = super().get_config()
        if "layers" in config:
            config["layers"] = serialize(self._layers)
        if "input_shape" in config:
            config["input_shape"] = serialize(vars(self).get("input_shape"))
        shape = _built_for(self)
        return config if shape is None else {**config, "build_input_shape": list(shape)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The model that `get_config` described; with new weights, if it had some."""
        arguments = dict(config)
        shape = arguments.pop("build_input_shape", None)
        model = super().from_config(arguments)
        if shape is not None and not model.built:
            # In a file each layer has the configuration that it is built by, if this does not do.
            ignored = (Exception,) if phase.initializer is not None else ()
            with suppress(*ignored), UnbuiltAgainOnFailure(model):
                model.build(to_open_shape("build_input_shape", shape))
        return model

    def _compressed(self, x: Samples, passes: int) -> Samples:
        first = next(iter(self.layers), None)
        # First what takes no time: a prediction of one row must not wait for the rest.
        if not isinstance(first, Dense) or not may_save_time(x.shape, first.units, passes):
            return x
        if first.compute_dtype != "float32":
            return x
        if any(map(self._is_own, ("train_step", "test_step", "predict_step"))):
            return x  # which may want to see the array
        return without_zeros(x, first.units, passes)


def _announced_by(layer: Layer) -> Shape | None:
    """The shape of a sample that a layer was made for; not what its own `build` notes there."""
    shape, built = vars(layer).get("input_shape"), layer._build_shape
    is_noted = isinstance(built, list | tuple) and shape is not None and [*shape] == [*built]
    return None if is_noted else shape


def _leaves(layer: Layer) -> list[Layer]:
    """The layers of a model, and of those inside it, in the order in which they are called."""
    if not isinstance(layer, Sequential):
        return [layer]
    return [leaf for part in layer._layers for leaf in _leaves(part)]


def _built_for(layer: Layer) -> tuple[int | None, ...] | None:
    """The shape of the input that the weights are for; None without any, or for several."""
    shape = layer._build_shape if layer.built else None
    if isinstance(shape, tuple) and all(n is None or isinstance(n, int) for n in shape):
        return (None, *shape[1:])
    return None
