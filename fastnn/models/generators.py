"""The random numbers of NumPy and Python that a step may draw, also in objects of the user's."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from types import BuiltinMethodType, CodeType, FunctionType, MethodType, SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from fastnn.configuration import CONTAINERS, Configurable, is_ours
from fastnn.tensor import Tensor

Generator: TypeAlias = np.random.Generator | np.random.RandomState | random.Random

GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
LOOKED_AT = (*PLAIN, *CONTAINERS, tuple, np.ndarray, Tensor, *GENERATORS)
LARGEST = 1_000_000  # elements of a container that is looked into


def position_of(generator: Generator) -> Any:
    """Where it is."""
    if isinstance(generator, np.random.Generator):
        return generator.bit_generator.state
    if isinstance(generator, np.random.RandomState):
        return generator.get_state()
    return generator.getstate()


def set_position(generator: Generator, state: Any) -> None:
    """Let it go on from where it was."""
    if isinstance(generator, np.random.Generator):
        generator.bit_generator.state = state
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(state)
    else:
        generator.setstate(state)


def generators_of(parts: Sequence[Any]) -> Iterator[Generator]:
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
        elif (attributes := opened(thing)) is not thing:
            left += attributes.values()
        else:
            continue
        seen[id(thing)] = thing


def opened(value: Any) -> Any:
    """The attributes of an object of a class of the user's; anything else as it is."""
    if isinstance(value, (*LOOKED_AT, Configurable)):
        return value
    family = type(value).__module__.partition(".")[0]
    is_of_others = family == "fastnn" or family in sys.stdlib_module_names
    if isinstance(value, type) or (is_of_others and type(value) is not SimpleNamespace):
        return value
    attributes = getattr(value, "__dict__", None)
    return attributes if type(attributes) is dict else value


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
