"""Models made again: as copies, and from JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from fastnn.configuration import deserialize
from fastnn.layers.base import Layer, layers_in
from fastnn.layers.input import InputLayer
from fastnn.models.model import Model
from fastnn.models.sequential import Sequential


def clone_model(
    model: Model,
    input_tensors: None = None,
    clone_function: Callable[[Layer], Layer] | None = None,
) -> Model:
    """A model with new layers like those of another, and new weights; it is not compiled.

    Parameters
    ----------
    model : Model
    input_tensors : None
        Here for Keras's order of arguments.
    clone_function : callable, optional
        Makes the copy of each layer of a `Sequential` (but of its `Input`); by default from its
        configuration.

    Raises
    ------
    ValueError
        If `clone_function` is given for another model than a `Sequential`, or `input_tensors` is.
    TypeError
        If it is no model.

    Examples
    --------
    >>> import fastnn
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    >>> copy = fastnn.models.clone_model(model)
    >>> copy.set_weights(model.get_weights())
    """
    if input_tensors is not None:
        raise ValueError("input_tensors are not supported: call the copy on them")
    if not isinstance(model, Model):
        raise TypeError(f"only a Model can be cloned, got {model!r}")
    config = model.get_config()
    config.pop("build_input_shape", None)
    if isinstance(model, Sequential) and "layers" in config:
        make = clone_function or _copy
        layers = [
            (_copy if isinstance(layer, InputLayer) else make)(layer) for layer in model._layers
        ]
        copy: Model = type(model).from_config({**config, "layers": []})
        for layer in layers:
            copy.add(layer)
    elif clone_function is not None:
        raise ValueError(f"model {model.name!r} is no Sequential, which clone_function is for")
    else:
        copy = type(model).from_config(config)
    for new, old in zip(layers_in(copy), layers_in(model), strict=False):
        if old.built and not new.built:
            new.build_from_config(old.get_build_config())
            new.built = True
        if clone_function is None:  # which may freeze layers, or not
            new.trainable = old.trainable
    return copy


def _copy(layer: Layer) -> Layer:
    if isinstance(layer, Model):
        return clone_model(layer)
    return type(layer).from_config(layer.get_config())


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that `Model.to_json` described; with new weights, if it had some.

    Parameters
    ----------
    json_string : str
    custom_objects : dict, optional
        Your classes and functions by name, unless they are registered.

    Raises
    ------
    ValueError
        If it describes no model, or names something that is not known.
    """
    model = deserialize(json.loads(json_string), custom_objects)
    if not isinstance(model, Model):
        raise ValueError(f"the JSON describes {type(model).__name__}, which is no model")
    return model
