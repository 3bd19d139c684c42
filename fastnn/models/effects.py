"""Effects: what recording a step does in Python, which a program would not do again."""

from __future__ import annotations

import pickle
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any

import numpy as np

from fastnn import random
from fastnn.configuration import CONTAINERS, Configurable, arguments_of, is_ours
from fastnn.layers.base import Layer, parts_of
from fastnn.metrics import Metric
from fastnn.models.generators import (
    LARGEST,
    PLAIN,
    generators_of,
    opened,
    position_of,
    set_position,
)
from fastnn.tensor import Tensor, is_gone
from fastnn.variable import Variable

# Compared by identity: another one is a change, whatever is in it.
GONE_BY = (Configurable, Variable, FunctionType, BuiltinFunctionType, MethodType, partial, type)
FLAT = frozenset([bool, int, float, complex, str, bytes, type(None)])
MISSING = object()

DRAWS = "it draws from random numbers of NumPy or Python, which a program would do once"


class Effects:
    """What is so before a step is recorded; what has changed by then can be put back.

    Parameters
    ----------
    parts : list
        What the step is made of: layers, metrics, functions and so on. Looked at are the attributes
        of those that are the user's, and containers, arrays and other objects of the user's in
        them, to any depth; of fastnn's own the arguments of their constructors; of layers and their
        variables what is trained, and how; and the generators of random numbers that stand there
        or in a global or enclosing variable of the user's code.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = _with_inner(parts)
        # By id, what can be changed in place, and what was in it; and how to put that back.
        self._kept: dict[int, tuple[Any, Any, Callable[[Any, Any], None]]] = {}
        for part in self._parts:
            self._kept[id(vars(part))] = vars(part), vars(part).copy(), _fill_attributes
        self._keep()
        layers = [part for part in self._parts if isinstance(part, Layer)]
        variables = [v for layer in layers for v in parts_of(layer, Variable)]
        self._chosen = [(v, _chosen_for(v)) for v in variables]
        generators = generators_of([*parts, *self._parts])
        self._generators = [(g, position_of(g), pickle.dumps(position_of(g))) for g in generators]
        self._drawn = position_of(random.generator())

    def _keep(self) -> None:
        """What the attributes hold, and what is in that."""
        left = [
            value
            for part in self._parts
            for name, value in [*vars(part).items()]  # another thread may add some
            if name not in part._aside
        ]
        room = LARGEST  # elements of all of them
        while left:
            found = left.pop()
            value = opened(found)
            if not isinstance(value, (*CONTAINERS, tuple, np.ndarray)) or id(value) in self._kept:
                continue
            size = value.size if isinstance(value, np.ndarray) else len(value)
            if size > room:  # smaller ones beside it are still looked into
                continue
            room -= size
            inside = _copied(value)
            self._kept[id(value)] = value, inside, _fill if value is found else _fill_attributes
            if not _is_flat(inside):
                left += _elements(inside)

    def state(self) -> str:
        """What keeps something in its attributes from step to step, as a part of a message; nothing
        if there is nothing.
        """
        for part in self._parts:
            before = self._kept[id(vars(part))][1]
            for name in _names(part):
                now = vars(part)[name]
                # The result of a metric is asked for after the step.
                is_lost = isinstance(part, Metric) and _holds_gone(now)
                if is_lost or not self._is_as_before(now, before.get(name, MISSING)):
                    return _changed(f"{type(part).__name__}.{name.removeprefix('_')}")
        for variable, before in self._chosen:
            for name, value in before.items():
                if getattr(variable, name) is not value:
                    return _changed(f"the {name} of the variable {variable.path!r}")
        return ""

    def found(self) -> str:
        """As `state`, or what is drawn."""
        if state := self.state():
            return state
        if any(pickle.dumps(position_of(g)) != before for g, _, before in self._generators):
            return DRAWS
        return ""

    def put_back(self) -> None:
        """Make everything as it was: the same step made again draws the same numbers."""
        for value, before, fill in self._kept.values():
            fill(value, before)
        for variable, before in self._chosen:
            for name, value in before.items():
                setattr(variable, name, value)
        for generator, state, _ in self._generators:
            set_position(generator, state)
        set_position(random.generator(), self._drawn)

    def _is_as_before(self, now: Any, before: Any) -> bool:
        """Whether a value does for the same as what another was."""
        left, seen = [(now, before)], set()
        while left:
            now, before = map(opened, left.pop())
            if (id(now), id(before)) in seen:
                continue
            seen.add((id(now), id(before)))
            then = self._kept.get(id(before), (None, before, None))[1]
            if not _holds_others(now):
                if not _is_equal(now, then):
                    return False
            elif type(now) is not type(before) or len(now) != len(then):
                return False
            elif not isinstance(now, np.ndarray) and _is_flat(then):
                if not _is_flat(now) or _in_order(now) != _in_order(then):
                    return False
            elif isinstance(now, dict) and [*now] != [*then]:
                return False
            else:
                left += zip(_elements(now), _elements(then), strict=False)
        return True


def _changed(what: str) -> str:
    return f"it changes {what}, which a program would do once"


def _chosen_for(variable: Variable) -> dict[str, Any]:
    """What somebody has chosen for a variable, apart from its values."""
    return {name: getattr(variable, name) for name in ("trainable", "regularizer", "constraint")}


def _names(part: Configurable) -> list[str]:
    """The attributes on which a computation may rest."""
    if is_ours(type(part)):
        names = [name for name in arguments_of(type(part)) if name in vars(part)]
    else:
        names = [name for name in [*vars(part)] if name not in part._aside]
    return [*names, "_trainable"] if isinstance(part, Layer) else names


def _with_inner(parts: Sequence[Any]) -> list[Configurable]:
    """The parts that have attributes, and those among these: regularizers, schedules and so on."""
    found: dict[int, Configurable] = {}
    left = list(parts)
    while left:
        part = left.pop(0)
        if isinstance(part, Configurable) and id(part) not in found:
            found[id(part)] = part
            left += vars(part).values()
    return list(found.values())


def _holds_others(value: Any) -> bool:
    """Whether it is a container, or an array of objects."""
    is_of_objects = isinstance(value, np.ndarray) and value.dtype.kind == "O"
    return is_of_objects or isinstance(value, (*CONTAINERS, tuple))


def _kind(container: Any) -> type:
    """Its class, of those whose methods nobody has overridden."""
    kinds: tuple[type, ...] = (OrderedDict, *CONTAINERS, tuple)
    return next(kind for kind in kinds if isinstance(container, kind))


def _copied(value: Any) -> Any:
    """What is in a container or an array, in one of the plain kind."""
    if isinstance(value, tuple):
        return value
    if isinstance(value, np.ndarray):
        return value.copy()
    kind: Any = _kind(value)
    if isinstance(value, dict):
        return dict(kind.items(value))
    return kind(kind.__iter__(value))


def _elements(container: Any) -> Iterable[Any]:
    if isinstance(container, np.ndarray):
        return container.ravel().tolist() if container.dtype.kind == "O" else []
    kind: Any = _kind(container)
    is_dict = isinstance(container, dict)
    found: Iterable[Any] = kind.values(container) if is_dict else kind.__iter__(container)
    return found


def _in_order(flat: Any) -> Any:
    return [*_copied(flat).items()] if isinstance(flat, dict) else _copied(flat)


def _is_flat(container: Any) -> bool:
    """Whether nothing in it can be changed."""
    if isinstance(container, np.ndarray):
        return bool(container.dtype.kind != "O")
    return FLAT.issuperset(map(type, _elements(container)))


def _is_equal(now: Any, then: Any) -> bool:
    """Whether a value does for the same as another; of objects of other kinds nobody knows more."""
    if isinstance(now, np.ndarray):
        return isinstance(then, np.ndarray) and _are_equal(now, then)
    if now is then:
        return True
    if isinstance(now, Tensor) and not isinstance(now, Variable):
        if is_gone(now):
            return isinstance(then, Tensor) and is_gone(then)  # from an earlier recording
        is_other = type(then) is not Tensor or is_gone(then)
        return not is_other and _are_equal(now._array, then._array)
    if isinstance(now, PLAIN):
        return type(now) is type(then) and repr(now) == repr(then)
    if isinstance(now, MethodType):  # another one whenever it is asked for
        return bool(now == then)
    return not isinstance(now, GONE_BY)


def _are_equal(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a is b or (a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes())


def _fill_attributes(attributes: dict[str, Any], before: dict[str, Any]) -> None:
    """Other threads must find them at any moment."""
    for name in attributes.keys() - before.keys():
        del attributes[name]
    attributes.update(before)


def _fill(value: Any, before: Any) -> None:
    """Put into a container, or an array, what was in it, and in that order."""
    if isinstance(value, tuple):
        return
    if isinstance(value, np.ndarray):
        if value.shape == before.shape and not _are_equal(value, before):
            value[...] = before
        return
    kind: Any = _kind(value)
    kind.clear(value)
    (kind.extend if kind in (list, deque) else kind.update)(value, before)


def _holds_gone(value: Any) -> bool:
    """Whether it is a tensor that a recording has left, or has one in it."""
    left, seen = [value], set()
    while left:
        thing = opened(left.pop())
        if isinstance(thing, (*CONTAINERS, tuple)) and id(thing) not in seen:
            seen.add(id(thing))
            left += _elements(thing)
        elif isinstance(thing, Tensor) and is_gone(thing):
            return True
    return False
