"""Effects: what recording a step does in Python, which a program would not do again."""

from __future__ import annotations

import pickle
import random
import sys
from collections import OrderedDict, deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from fastnn import random as fastnn_random
from fastnn.configuration import CONTAINERS, Configurable, arguments_of, is_ours
from fastnn.metrics import Metric
from fastnn.tensor import Tensor, is_gone
from fastnn.variable import Variable

Generator: TypeAlias = np.random.Generator | np.random.RandomState | random.Random

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
FLAT = frozenset([bool, int, float, complex, str, bytes, type(None)])
LOOKED_AT = (*PLAIN, *CONTAINERS, tuple, np.ndarray, Tensor)
LARGEST = 1_000_000  # elements of all containers and arrays that are looked into
MISSING = object()


class Effects:
    """What is so before a step is recorded; what has changed by then can be put back.

    Parameters
    ----------
    parts : list
        What the step is made of: layers, metrics, functions and so on. Looked at are the attributes
        of those that are the user's, and containers, arrays and other objects of the user's in
        them, to any depth; of fastnn's own the arguments of their constructors; and the generators
        of random numbers that stand there or in a global or enclosing variable of the user's code.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = _with_inner(parts)
        # By id, what can be changed in place, and what was in it.
        self._kept: dict[int, tuple[Any, Any]] = {}
        self._attributes: set[int] = set()  # those of it that are an object's attributes
        for part in self._parts:
            self._kept[id(vars(part))] = vars(part), vars(part).copy()
            self._attributes.add(id(vars(part)))
        self._keep()
        generators = _generators([*parts, *self._parts])
        self._generators = [(g, _state(g), pickle.dumps(_state(g))) for g in generators]
        self._drawn = _state(fastnn_random.generator())

    def _keep(self) -> None:
        """What the attributes hold, and what is in that."""
        left = [
            value
            for part in self._parts
            for name, value in [*vars(part).items()]  # another thread may add some
            if name not in part._aside
        ]
        room = LARGEST
        while left:
            found = left.pop()
            value = _opened(found)
            if not isinstance(value, (*CONTAINERS, tuple, np.ndarray)) or id(value) in self._kept:
                continue
            if value is not found:
                self._attributes.add(id(value))
            size = value.size if isinstance(value, np.ndarray) else len(value)
            if size > room:  # smaller ones beside it are still looked into
                continue
            room -= size
            inside = _copied(value)
            self._kept[id(value)] = value, inside
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
                    return f"it changes {type(part).__name__}.{name}, which a program would do once"
        return ""

    def found(self) -> str:
        """As `state`, or what is drawn."""
        if state := self.state():
            return state
        if any(pickle.dumps(_state(g)) != before for g, _, before in self._generators):
            return "it draws from random numbers of NumPy or Python, which a program would do once"
        return ""

    def put_back(self) -> None:
        """Make everything as it was: the same step made again draws the same numbers."""
        for value, before in self._kept.values():
            if id(value) in self._attributes:
                _fill_attributes(value, before)
            else:
                _fill(value, before)
        for generator, state, _ in self._generators:
            _go_on(generator, state)
        _go_on(fastnn_random.generator(), self._drawn)

    def _is_as_before(self, now: Any, before: Any) -> bool:
        """Whether a value does for the same as what another was."""
        left, seen = [(now, before)], set()
        while left:
            now, before = map(_opened, left.pop())
            if (id(now), id(before)) in seen:
                continue
            seen.add((id(now), id(before)))
            then = self._kept.get(id(before), (None, before))[1]
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


def _names(part: Configurable) -> list[str]:
    """The attributes on which a computation may rest."""
    if is_ours(type(part)):
        return [name for name in arguments_of(type(part)) if name in vars(part)]
    return [name for name in [*vars(part)] if name not in part._aside]


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


def _opened(value: Any) -> Any:
    """The attributes of an object of a class of the user's; anything else as it is."""
    if isinstance(value, (*LOOKED_AT, Configurable)):
        return value
    family = type(value).__module__.partition(".")[0]
    is_of_others = family == "fastnn" or family in sys.stdlib_module_names
    if isinstance(value, type) or (is_of_others and type(value) is not SimpleNamespace):
        return value
    attributes = getattr(value, "__dict__", None)
    return attributes if type(attributes) is dict else value


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
    return True


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
        thing = _opened(left.pop())
        if isinstance(thing, (*CONTAINERS, tuple)) and id(thing) not in seen:
            seen.add(id(thing))
            left += _elements(thing)
        elif isinstance(thing, Tensor) and is_gone(thing):
            return True
    return False


def _state(generator: Generator) -> Any:
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state()
    return generator.getstate()


def _go_on(generator: Generator, state: Any) -> None:
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)


def _generators(parts: Sequence[Any]) -> Iterator[Generator]:
    """The common ones of NumPy and Python, those among the attributes of the parts, and those in
    the variables of the user's functions.
    """
    seen: dict[int, Any] = {}
    left = [np.random.random, random.random, *parts]
    for part in parts:
        if isinstance(part, Configurable):
            left += vars(part).values()
            own = [kind for kind in type(part).__mro__[:-1] if not is_ours(kind)]
            left += [f for kind in own for f in vars(kind).values()]
    while left:
        thing = left.pop()
        if id(thing) in seen:
            continue
        if isinstance(thing, BuiltinMethodType | MethodType):  # such as generator.normal
            left += [thing.__self__, getattr(thing, "__func__", None)]
        elif isinstance(thing, FunctionType) and not is_ours(thing):
            left += _variables_of(thing)
        elif isinstance(thing, property | staticmethod | classmethod):
            left.append(thing.fget if isinstance(thing, property) else thing.__func__)
        elif isinstance(thing, partial):
            left += [thing.func, *thing.args, *thing.keywords.values()]
        elif type(thing) in (list, tuple, dict) and len(thing) <= LARGEST:
            left += thing.values() if isinstance(thing, dict) else thing
        elif isinstance(thing, GENERATORS) and not isinstance(thing, random.SystemRandom):
            yield thing
        else:
            continue
        seen[id(thing)] = thing


def _variables_of(function: FunctionType) -> Iterator[Any]:
    """The values of a function's global and enclosing variables, and of its defaults."""
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # it has no value yet
            continue
    for name in _names_in(function.__code__):
        if name in function.__globals__:
            yield function.__globals__[name]


def _names_in(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)
