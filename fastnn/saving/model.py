"""Whole models as files: how they are made, their weights, and how their training goes on."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from fastnn import random
from fastnn._kernels import Scope
from fastnn.arrays import Array, Shape
from fastnn.caller import warn
from fastnn.configuration import custom_object_scope, deserialize, serialize
from fastnn.layers.base import Layer, layers_in
from fastnn.phase import phase
from fastnn.saving import files
from fastnn.saving.files import Path, SavedFile
from fastnn.saving.state import (
    Tensors,
    fill,
    freeze,
    go_on,
    optimizer_from,
    random_from,
    shuffles_from,
    training_state,
    weights_from,
)
from fastnn.trace import paused

if TYPE_CHECKING:
    from fastnn.models.model import Model


LARGEST_SAMPLE = 2**20  # elements that a small file may ask for
LARGEST_COUNTERS = 2**16  # numbers in all metrics, each of several arrays


def save_model(model: Model, filepath: Path, overwrite: bool = True) -> None:
    """Write a model into a file, as `Model.save` does.

    In it are the configuration of the model and its layers, the weights, and, if the model is
    compiled, all that decides how its training goes on: the arguments of `compile`, the state of
    the optimizer, and the state of random numbers.

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
        untouched then: the new file takes its place when it is complete.
    TypeError
        If something in a configuration is no plain data.
    ValueError
        If a layer is used at two places of the configuration.

    Notes
    -----
    A regularizer or a constraint that a variable was given by hand is not in the file: give it to
    the layer.

    A process that is killed while it saves leaves what it had written beside the file, under a
    hidden name that ends in ".tmp".
    """
    with paused():  # a signal may come, and its handler save, while a step is being recorded
        description, tensors = _description(model)
        files.write(filepath, description, tensors, overwrite)


def load_model(
    filepath: Path,
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,
) -> Any:
    """The model in a file that `save_model` wrote.

    If it had been trained, and is compiled, its training goes on with the same bits as if it had
    never been saved. For that fastnn's common random numbers, which shuffle the samples, go on as
    they did when it was saved; they stay as they are if it had not been trained, or `compile` is
    False.

    Nothing in a file is run as code: it names classes and functions.

    Parameters
    ----------
    filepath : path
    custom_objects : dict, optional
        Your classes and functions by name, unless they are registered by
        `register_keras_serializable`.
    compile : bool, default True
        Compile the model, if it was compiled.

    Returns
    -------
    Model

    Raises
    ------
    ValueError
        If the file is another or damaged, or names something that is not known.

    Examples
    --------
    >>> import fastnn, tempfile
    >>> model = fastnn.Sequential([fastnn.layers.Dense(1, input_shape=(3,))])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     model.save(f"{folder}/model.keras")
    ...     again = fastnn.models.load_model(f"{folder}/model.keras")
    >>> x = fastnn.ones((2, 3))
    >>> bool((model(x) == again(x)).numpy().all())
    True
    """
    with files.opened(filepath) as saved, custom_object_scope(custom_objects or {}):
        if "architecture" not in saved.description:
            saved.refuse("has only weights: make the model, and call its load_weights")
        with random.Kept(), _weights_to_come(saved):
            model = _made(saved)
        changes = weights_from(saved, model)
        freeze(saved, model)
        sources = random_from(saved, model)
        state = None
        if compile and "compile" in saved.description:
            with random.Kept():
                _compiled(saved, model)
            changes += optimizer_from(saved, model)
            state = shuffles_from(saved)
        fill(saved, changes)
    go_on(sources)
    if state is not None and model.optimizer is not None and int(model.optimizer.iterations) > 0:
        random.set_state(random.generator(), state)
    return model


def _description(model: Model) -> tuple[dict[str, Any], Tensors]:
    """A model as plain data and tensors."""
    description, tensors = training_state(model)
    if model.compiled:
        description["compile"] = model.get_compile_config()
    layers = [
        {
            "built": layer.built,
            "build": layer.get_build_config(),
            "outputs": layer.output_shapes,
            "trainable": layer.trainable,
        }
        for layer in layers_in(model)
    ]
    description |= {"architecture": serialize(model), "layers": layers}
    _refuse_shared(model, description["architecture"])
    if "'<lambda>'" in repr(description):
        warn(
            f"model {model.name!r} contains a lambda, which has no name of its own to be found by "
            "when it is loaded: define a function, def f(x): ..., for each"
        )
    return description, tensors


def _refuse_shared(model: Model, architecture: Any) -> None:
    """ValueError if a layer with weights is described at several places: it would come back as
    several.
    """
    there = Counter(
        (type(part).__name__, part.name) for part in set(layers_in(model)) if part.weights
    )
    described = Counter(layer for layer in _described_in(architecture) if layer in there)
    for _, name in described - there:
        raise ValueError(
            f"layer {name!r} stands at several places of the configuration of model "
            f"{model.name!r}, and would come back as so many layers: make the model in code, and "
            "save its weights alone, model.save_weights(...)"
        )


def _described_in(config: Any) -> Iterator[tuple[str, str]]:
    """The class and the name of all that is described in a configuration."""
    if isinstance(config, dict):
        inner = config.get("config")
        if isinstance(inner, dict):
            yield str(config.get("class_name")), str(inner.get("name"))
        for part in config.values():
            yield from _described_in(part)
    elif isinstance(config, list):
        for part in config:
            yield from _described_in(part)


def _made(saved: SavedFile) -> Model:
    """The model, with weights that are still to be read."""
    architecture = saved.field("architecture", dict)
    try:
        _check_shapes(architecture, max(saved.size // 4, LARGEST_SAMPLE))
        model: Model = deserialize(architecture)
        is_model = isinstance(model, Layer) and hasattr(model, "compile_from_config")
        if is_model:
            _build(saved, model)
    except (MemoryError, SystemError):  # NumPy raises that one too where it has no memory
        raise
    except Exception as error:
        raise ValueError(f"{saved.path}: the model cannot be made: {error}") from error
    if not is_model:
        saved.refuse(f"is damaged: it describes {type(model).__name__}, which is no model")
    return model


def _check_shapes(config: Any, limit: int) -> None:
    """Refuse an input so large that nobody can have trained a model on it."""
    if isinstance(config, dict):
        for name, part in config.items():
            if (
                name.endswith("shape")
                and isinstance(part, list)
                and math.prod(_lengths(part)) > limit
            ):
                raise ValueError(f"{name} {str(part)[:100]} is too large")
            _check_shapes(part, limit)
    elif isinstance(config, list):
        for part in config:
            _check_shapes(part, limit)


def _counters(config: Any) -> int:
    """How many numbers metrics count, such as num_thresholds times num_labels."""
    if isinstance(config, list):
        return sum(map(_counters, config))
    if not isinstance(config, dict):
        return 0
    counts = [n for name, n in config.items() if name.startswith("num_") and type(n) is int]
    return math.prod(counts) * bool(counts) + sum(map(_counters, config.values()))


def _lengths(shape: list[Any]) -> list[int]:
    return [n for n in shape if type(n) is int]


def _build(saved: SavedFile, model: Model) -> None:
    entries = iter(saved.field("layers", list))
    for layer in layers_in(model):  # those that a build makes come after it
        entry = next(entries, None)
        if not isinstance(entry, dict):
            raise ValueError(f"there is no entry for the layer {layer.name!r}")
        if entry.get("built") and not layer.built:
            layer.build_from_config(_with_shapes(entry.get("build")))
            layer.built = True
        if "trainable" in entry:
            layer.trainable = entry["trainable"]
        outputs = entry.get("outputs", [])
        if not isinstance(outputs, list):
            raise ValueError(f"the outputs of the layer {layer.name!r} should be a list of shapes")
        layer.output_shapes = [_with_shapes(shape) for shape in outputs]
    if next(entries, None) is not None:
        raise ValueError("there are entries for more layers than it has")


def _with_shapes(config: Any) -> Any:
    """Lists of lengths, which is what JSON makes of shapes, as tuples."""
    if isinstance(config, dict):
        return {name: _with_shapes(part) for name, part in config.items()}
    if not isinstance(config, list):
        return config
    if config and all(n is None or type(n) is int for n in config):
        if any(n is not None and not 0 <= n < 2**63 for n in config):
            raise ValueError(f"{str(config)[:100]} is no shape")
        return tuple(config)
    return [_with_shapes(part) for part in config]


def _compiled(saved: SavedFile, model: Model) -> None:
    config = saved.field("compile", dict)
    if _counters(config) > LARGEST_COUNTERS:
        saved.refuse("is damaged: its metrics count more than a metric can")
    try:
        model.compile_from_config(config)
    except (MemoryError, SystemError):
        raise
    except Exception as error:
        raise ValueError(f"{saved.path}: the model cannot be compiled: {error}") from error


def _weights_to_come(saved: SavedFile) -> Scope:
    """Weights made inside the block are zeros, and no more than the file has values for."""
    left = saved.size

    def zeros(shape: Shape, dtype: Any) -> Array:
        nonlocal left
        left -= math.prod(shape) * np.dtype(dtype).itemsize
        if left < 0:
            raise ValueError("its layers are larger than what is in the file")
        return np.broadcast_to(np.zeros((), dtype), shape)  # the variable's own copy is enough

    return Scope(phase, initializer=zeros)
