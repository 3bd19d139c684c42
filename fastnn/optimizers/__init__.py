"""Optimizers: how gradients change variables. The formulas are Keras 3's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, overload

from fastnn import configuration
from fastnn.configuration import serialize
from fastnn.lookup import classes_of, refusal, resolve
from fastnn.optimizers import schedules
from fastnn.optimizers.adadelta import Adadelta
from fastnn.optimizers.adagrad import Adagrad
from fastnn.optimizers.adam import Adam, AdamW
from fastnn.optimizers.adamax import Adamax
from fastnn.optimizers.base import Optimizer
from fastnn.optimizers.nadam import Nadam
from fastnn.optimizers.rmsprop import RMSprop
from fastnn.optimizers.sgd import SGD

__all__ = [
    "SGD",
    "Adadelta",
    "Adagrad",
    "Adam",
    "AdamW",
    "Adamax",
    "Nadam",
    "Optimizer",
    "RMSprop",
    "deserialize",
    "get",
    "schedules",
    "serialize",
]

_NAMES = {
    name.lower(): kind for name, kind in classes_of(vars(), Optimizer).items() if kind != Optimizer
}


@overload
def get(identifier: None) -> None: ...
@overload
def get(identifier: str | type[Optimizer] | Mapping[str, Any] | Optimizer) -> Optimizer: ...
def get(identifier: Any) -> Optimizer | None:
    """An optimizer by its name (in any case), by its class or its configuration, or the object
    itself; None for None.

    Examples
    --------
    >>> import fastnn
    >>> float(fastnn.optimizers.get("RMSprop").learning_rate)
    0.001
    """
    if identifier is None:
        return None
    if isinstance(identifier, Mapping):
        identifier = deserialize(identifier)
    name = identifier.lower() if isinstance(identifier, str) else identifier
    found: Optimizer = resolve("optimizer", name, _NAMES, Optimizer)
    return found


def deserialize(
    config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None
) -> Optimizer:
    """The optimizer that `serialize` described; fastnn's own are found in any case."""
    known = _NAMES.get(str(config.get("class_name")).lower())
    place = {"module": "fastnn.optimizers", "class_name": known.__name__} if known else {}
    optimizer: Optimizer = configuration.deserialize({**config, **place}, custom_objects)
    return optimizer


__getattr__ = refusal(
    __name__,
    __all__,
    {},
    f"; the optimizers are {', '.join(kind.__name__ for kind in _NAMES.values())}: choose one, or "
    "write a subclass of Optimizer",
)
