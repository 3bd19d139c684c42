"""Effects: what recording a step does in Python, which a program would not do again."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator, Sequence
from functools import partial
from types import BuiltinMethodType, CodeType, FunctionType, MethodType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastnn.configuration import Configurable, is_ours
from fastnn.metrics import Metric
from fastnn.tensor import Tensor, Variable, is_gone

Generator: TypeAlias = np.random.Generator | np.random.RandomState | random.Random

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
CONTAINERS = (list, dict, tuple, set)
LARGEST = 1000  # elements of an array, or of a list, that are looked at
MISSING = object()


class Effects:
    """What is so before a step is recorded; what has changed by then can be put back.

    Parameters
    ----------
    parts : list
        What the step is made of: layers, metrics, functions and so on. Looked at are the attributes
        of those that are the user's, and the generators of random numbers that stand there or in a
        global or enclosing variable of the user's code.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        inner = _with_inner(parts)
        self._parts = [part for part in inner if not is_ours(type(part))]
        self._before = [
            {name: _Kept(value, _copied(value)) for name, value in [*vars(part).items()]}
            for part in self._parts
        ]
        self._built = [getattr(part, "built", True) for part in self._parts]
        generators = _generators([*parts, *inner])
        self._generators = [(g, _state(g), pickle.dumps(_state(g))) for g in generators]

    def state(self) -> str:
        """What keeps something in its attributes from step to step, as a part of a message; nothing
        if there is nothing.
        """
        for part, before in zip(self._parts, self._before, strict=True):
            for name in _changed(part, before):
                return f"it changes {type(part).__name__}.{name}, which a program would do once"
        return ""

    def found(self) -> str:
        """As `state`, or what is drawn."""
        if state := self.state():
            return state
        if any(pickle.dumps(_state(g)) != before for g, _, before in self._generators):
            return "it draws from random numbers of NumPy or Python, which a program would do once"
        return ""

    def put_back(self, again: Effects | None) -> None:
        """Make as it was what a step changes; what it made once, as layers are built, stays.

        Parameters
        ----------
        again : Effects, optional
            Of a second recording, if that came to its end.
        """
        for at, (part, before) in enumerate(zip(self._parts, self._before, strict=True)):
            is_built = getattr(part, "built", True) and not self._built[at]
            changed = list(_changed(part, before))
            repeated = changed if again is None else list(_changed(part, again._before[at]))
            for name in changed:
                kept, is_left = before.get(name), _holds_gone(vars(part)[name])
                if not is_left and (name not in repeated or (is_built and again is None)):
                    continue
                if kept is not None:
                    _fill(kept.value, kept.copy)
                    vars(part)[name] = kept.value  # which counts as no change
                elif is_left or not is_built:
                    del vars(part)[name]
        for generator, state, _ in self._generators:
            _go_on(generator, state)


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


class _Kept(NamedTuple):
    """An attribute, and what was in it."""

    value: Any
    copy: Any


def _copied(value: Any) -> Any:
    """What is in a container, or in a small array."""
    is_small = isinstance(value, np.ndarray) and value.size <= LARGEST
    return value.copy() if is_small or type(value) in (list, dict, set) else value


def _fill(value: Any, copy: Any) -> None:
    """Put into a container, or an array, what was in it; what layers are made of stays."""
    if isinstance(value, np.ndarray) and value is not copy:
        value[...] = copy
    elif type(value) is dict:
        by_name = {k: v for k, v in value.items() if isinstance(v, Configurable | Variable)}
        value.clear()
        value.update(by_name | copy)
    elif type(value) in (list, set):
        known = set(map(id, copy))
        made = [v for v in value if isinstance(v, Configurable | Variable) and id(v) not in known]
        value.clear()
        (value.extend if type(value) is list else value.update)([*copy, *made])


def _changed(part: Configurable, before: dict[str, _Kept]) -> Iterator[str]:
    """The names of attributes that have other values than before."""
    for name, now in [*vars(part).items()]:
        if name in part._aside:
            continue
        kept = before.get(name, _Kept(MISSING, MISSING))
        # The result of a metric is asked for after the step.
        is_lost = isinstance(part, Metric) and _holds_gone(now)
        if is_lost or not _is_as_before(now, kept.copy):
            yield name


def _is_as_before(now: Any, before: Any) -> bool:
    """Whether a value does for the same as another; of objects of other kinds nobody knows more."""
    if now is before:
        return True
    if type(now) in CONTAINERS:
        return type(now) is type(before) and _are_as_before(now, before)
    if isinstance(now, Tensor) and not isinstance(now, Variable):
        if is_gone(now):
            return isinstance(before, Tensor) and is_gone(before)  # from an earlier recording
        is_other = type(before) is not Tensor or is_gone(before)
        return not is_other and _are_equal(now._array, before._array)
    if isinstance(now, np.ndarray):
        return isinstance(before, np.ndarray) and _are_equal(now, before)
    if isinstance(now, PLAIN):
        return type(now) is type(before) and repr(now) == repr(before)
    return True


def _holds_gone(value: Any) -> bool:
    """Whether it is a tensor that a recording has left, or has one in it."""
    if type(value) in CONTAINERS:
        return any(map(_holds_gone, value.values() if isinstance(value, dict) else value))
    return isinstance(value, Tensor) and is_gone(value)


def _are_as_before(now: Any, before: Any) -> bool:
    if len(now) != len(before):
        return False
    if isinstance(now, dict):
        return now.keys() == before.keys() and all(_is_as_before(now[k], before[k]) for k in now)
    if isinstance(now, set):
        return bool(now == before)
    return all(map(_is_as_before, now, before))


def _are_equal(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    if a.shape != b.shape or a.dtype != b.dtype:
        return False
    return a.size > LARGEST or a.tobytes() == b.tobytes()


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
