"""The state of a model: what changes while it is trained, as tensors and plain data, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fastnn.arrays import Array
from fastnn.caller import warn
from fastnn.layers.base import Layer, layers_in
from fastnn.random import SeedGenerator, Stream, generator, is_state, set_state, state_of
from fastnn.saving.files import SavedFile
from fastnn.structure import leaves
from fastnn.variable import Variable, all_or_nothing

if TYPE_CHECKING:
    from fastnn.models.model import Model

Source: TypeAlias = Stream | SeedGenerator
Tensors: TypeAlias = dict[str, Array]
Changes: TypeAlias = list[tuple[Variable, str]]  # the tensor that each is to get
Values: TypeAlias = list[tuple[Variable, Array]]


# What a layer of Keras may define to save more than its weights.
OWN_STATE = ("save_own_variables", "load_own_variables", "save_assets", "load_assets")


def weights_by_key(model: Model) -> dict[str, Variable]:
    """All weights by names that are unique: the layer's place, then the path of the variable.

    TypeError if a layer would save more than weights.
    """
    for layer in layers_in(model):
        for method in OWN_STATE:
            if hasattr(type(layer), method):
                raise TypeError(
                    f"layer {layer.name!r} defines {method}, which is not called here: keep what "
                    "it saves in weights (add_weight), or in get_config"
                )
    places: dict[int, str] = {}
    for at, layer in enumerate(model.layers):
        for w in layer.weights:
            places.setdefault(id(w), f"{at}/{w.path}")
    return _by_unique_key((places.get(id(w), w.path), w) for w in model.weights)


def _by_unique_key(named: Iterable[tuple[str, Variable]]) -> dict[str, Variable]:
    found: dict[str, Variable] = {}
    for name, variable in named:
        key, n = name, 1
        while key in found:
            key, n = f"{name}_{n}", n + 1
        found[key] = variable
    return found


def tensors_of(variables: dict[str, Variable]) -> Tensors:
    """The values, not copied."""
    return {key: np.asarray(variable.value) for key, variable in variables.items()}


def weights_from(saved: SavedFile, model: Model) -> Changes:
    """The weights of a file for those of a model, in their order."""
    keys, own = saved.names("weights"), weights_by_key(model)
    if len(keys) != len(own):
        saved.refuse(
            f"has {len(keys)} weights ({_some(keys)}) and model {model.name!r} {len(own)} "
            f"({_some(own)}): make the model with the same layers"
        )
    return _changes(saved, keys, list(own.values()))


def _changes(saved: SavedFile, keys: list[str], variables: list[Variable]) -> Changes:
    """Which variable gets which tensor, if all fit."""
    for key, variable in zip(keys, variables, strict=True):
        kind, own = saved.kind_of(key), (variable.shape, variable.dtype.name)
        if kind != own:
            saved.refuse(
                f"has {kind[1]} of shape {kind[0]} for {key!r} and the variable "
                f"{variable.path!r} is {own[1]} of shape {own[0]}: make the model with the same "
                "layers, sizes and dtypes"
            )
    return list(zip(variables, keys, strict=True))


def values_of(saved: SavedFile, changes: Changes) -> Values:
    """The new values of variables, in memory of their own."""
    return [(variable, saved.array(key)) for variable, key in changes]


def assign(values: Values) -> None:
    """Give all variables their new values, or none."""
    with all_or_nothing():
        for variable, value in values:
            variable.assign(value)


def fill(saved: SavedFile, changes: Changes) -> None:
    """Read variables that nobody has used yet in place, which takes no more memory."""
    for variable, key in changes:
        saved.read(key, variable.mutable())


def optimizer_state(model: Model) -> tuple[dict[str, Any], Tensors]:
    """The optimizer's variables, and whose they are."""
    optimizer: Any = model.optimizer
    if optimizer is None:
        return {}, {}
    weights = weights_by_key(model)
    keys = {id(w): key for key, w in weights.items()}
    trained = [keys.get(id(w)) for w in optimizer._trainable_variables]
    if None in trained:
        warn(
            f"the optimizer of model {model.name!r} has also trained variables that are not in "
            "the model any more; it is saved as a new one, without its state"
        )
        return {}, {}
    variables = _by_unique_key(
        (f"optimizer/{at}/{w.path}", w) for at, w in enumerate(optimizer.variables)
    )
    description = {
        "optimizer": list(variables),
        "trained": trained,
        "not_decayed": [key for key, w in weights.items() if not optimizer._is_decayed(w)],
    }
    return description, tensors_of(variables)


def optimizer_from(saved: SavedFile, model: Model) -> Changes:
    """The state of a file for the optimizer of a model, which gets to know the variables."""
    if "optimizer" not in saved.description:
        return []
    optimizer: Any = model.optimizer
    if optimizer is None:
        saved.refuse(
            f"has the state of an optimizer and model {model.name!r} has none: compile it first"
        )
    keys = saved.names("optimizer")
    own = dict(zip(saved.names("weights"), weights_by_key(model).values(), strict=True))
    trained = [own.get(key) for key in saved.names("trained")]
    if None in trained:
        saved.refuse("is damaged: the optimizer has trained what is no weight of the model")
    if not optimizer.built:
        spared = [own[key] for key in saved.names("not_decayed") if key in own]
        if spared:
            optimizer.exclude_from_weight_decay(var_list=spared)
        slots = len(optimizer.slots) + optimizer.use_ema
        if slots * saved.nbytes(saved.names("trained")) > saved.nbytes(keys):
            saved.refuse("is damaged: the state of its optimizer is missing in part")
        optimizer.build(trained)
    known = optimizer._trainable_variables
    if len(keys) != len(optimizer.variables) or list(map(id, known)) != list(map(id, trained)):
        saved.refuse(
            f"has {len(keys)} variables of an optimizer ({_some(keys)}) and the optimizer "
            f"{optimizer.name!r} has {len(optimizer.variables)}: compile the model with the same "
            "optimizer and options"
        )
    return _changes(saved, keys, optimizer.variables)


def sources_in(model: Layer) -> list[Source]:
    """All sources of random numbers in the layers of a model."""
    parts = [part for layer in layers_in(model) for part in leaves(list(vars(layer).values()))]
    found = [part for part in parts if isinstance(part, Source)]
    return list({id(source): source for source in found}.values())


def random_state(model: Layer) -> list[list[int]]:
    """Where the sources of random numbers in the layers are."""
    return [_state(source) for source in sources_in(model)]


def random_from(saved: SavedFile, model: Model) -> list[tuple[Source, list[int]]]:
    """Where the sources of random numbers in the layers are to go on."""
    states, sources = saved.field("random", list), sources_in(model)
    if len(states) != len(sources):
        saved.refuse(
            f"has {len(states)} sources of random numbers and model {model.name!r} "
            f"{len(sources)}: make the model with the same layers"
        )
    for state, source in zip(states, sources, strict=True):
        if not _is_state(state, source):
            saved.refuse(f"is damaged: the state of random numbers is {str(state)[:100]}")
    return list(zip(sources, states, strict=True))


def _state(source: Source) -> list[int]:
    return source.state if isinstance(source, Stream) else state_of(source.generator)


def _is_state(value: Any, source: Source) -> bool:
    if not isinstance(source, Stream):
        return is_state(value)
    pair = isinstance(value, list) and len(value) == 2 and all(type(n) is int for n in value)
    return pair and 0 <= value[0] < 2**64 and 0 <= value[1] < 2**63


def go_on(states: list[tuple[Source, list[int]]]) -> None:
    """Put sources of random numbers where they are to go on."""
    for source, state in states:
        if isinstance(source, Stream):
            source.state = state
        else:
            set_state(source.generator, state)


def training_state(model: Model) -> tuple[dict[str, Any], Tensors]:
    """All that changes while a model is trained, as plain data and tensors."""
    weights = weights_by_key(model)
    description: dict[str, Any] = {
        "weights": list(weights),
        "frozen": [key for key, w in weights.items() if not w.trainable],
        "random": random_state(model),
    }
    tensors = tensors_of(weights)
    if model.compiled:
        more, slots = optimizer_state(model)
        description |= more | {"shuffles": state_of(generator())}
        tensors |= slots
    return description, tensors


def freeze(saved: SavedFile, model: Model) -> None:
    """Have those weights of a new model trained that were in the file's."""
    if "frozen" in saved.description:
        frozen = set(saved.names("frozen"))
        for key, w in zip(saved.names("weights"), weights_by_key(model).values(), strict=True):
            w.trainable = key not in frozen


def shuffles_from(saved: SavedFile) -> list[int]:
    """Where the common random numbers are to go on."""
    state: list[int] = saved.field("shuffles", list)
    if not is_state(state):
        saved.refuse(f"is damaged: the state of random numbers is {str(state)[:100]}")
    return state


def _some(keys: Iterable[str]) -> str:
    names = list(keys)
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
