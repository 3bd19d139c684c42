"""Effects: what recording a step does in Python, which a program would not do again."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from types import CodeType, FunctionType
from typing import Any, TypeAlias

import numpy as np

from fastnn.configuration import Configurable
from fastnn.tensor import Tensor, is_gone
from fastnn.trace import TraceError

Attribute: TypeAlias = tuple[Configurable, str, Any, Any]  # with its value, and a copy of that

REMEDY = "or leave the step uncompiled: run_eagerly=True in compile"
GENERATORS = (np.random.Generator, np.random.RandomState, random.Random)


class Effects:
    """What is so before a step is recorded; `check` says what has changed by then.

    Parameters
    ----------
    parts : list
        What the step is made of: layers, metrics, functions and so on. Looked at are attributes
        that are numbers, such as a count of steps, tensors, lists and dicts, and the generators of
        random numbers that stand there or in a global or enclosing variable of the user's code.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self._attributes = list(_attributes([p for p in parts if isinstance(p, Configurable)]))
        self._generators = list(_generators(parts))
        self._drawn = self._states()

    def check(self, used: Sequence[Tensor]) -> None:
        """TraceError if there is something; attributes are put back first.

        Parameters
        ----------
        used : list of Tensor
            What the program takes for constants.
        """
        constants = set(map(id, used))
        changed = [a for a in self._attributes if _is_changed(a, constants)]
        for part, name, value, before in changed:
            if isinstance(value, list | dict):
                value.clear()
                (value.extend if isinstance(value, list) else value.update)(before)
            vars(part)[name] = value  # which counts as no change
        for part, name, _, _ in changed:
            raise TraceError(
                f"it changes {type(part).__name__}.{name}, which a program would do once and not "
                f"in every step: make a Variable of it, {REMEDY}"
            )
        if self._states() != self._drawn:
            raise TraceError(
                "it draws from the random numbers of NumPy or Python, which a program would "
                f"repeat: let a layer such as GaussianNoise draw them, {REMEDY}"
            )

    def _states(self) -> list[object]:
        """Where the common generators of NumPy and Python are, and those of the step."""
        kind, words, place, *rest = np.random.get_state(legacy=True)
        common: list[object] = [kind, np.asarray(words).tobytes(), place, rest, random.getstate()]
        return common + list(map(_state, self._generators))


def _attributes(parts: list[Configurable]) -> Iterator[Attribute]:
    for part in parts:
        for name, value in [*vars(part).items()]:
            if name in part._aside:
                continue
            if type(value) in (int, float, Tensor):
                yield part, name, value, value
            elif type(value) in (list, dict):
                yield part, name, value, value.copy()


def _is_changed(attribute: Attribute, constants: set[int]) -> bool:
    part, name, value, before = attribute
    now = vars(part).get(name)
    if type(value) is Tensor:
        # One that is only put there is no harm: whoever reads it later is told that it is gone.
        read = id(value) in constants
        return now is not value and isinstance(now, Tensor) and (read or not is_gone(now))
    if isinstance(value, list | dict):
        return now is value and _has_other_values(value, before)
    return repr(now) != repr(value)


def _has_other_values(now: Any, before: Any) -> bool:
    """Whether there are other tensors or numbers in a list or dict than before."""
    old, new = (x.values() if isinstance(x, dict) else x for x in (before, now))
    known = set(map(id, old))
    return any(type(x) in (Tensor, float, np.ndarray) and id(x) not in known for x in new)


def _state(generator: Any) -> str:
    if isinstance(generator, np.random.Generator):
        return repr(generator.bit_generator.state)
    is_numpys = isinstance(generator, np.random.RandomState)
    return repr(generator.get_state() if is_numpys else generator.getstate())


def _generators(parts: Sequence[Any]) -> Iterator[Any]:
    """Those among the attributes of the parts, and in the variables of the user's functions."""
    seen: dict[int, Any] = {}
    left = list(parts)
    for part in parts:
        if isinstance(part, Configurable):
            left += vars(part).values()
            own = [kind for kind in type(part).__mro__[:-1] if not _is_ours(kind)]
            left += [f for kind in own for f in vars(kind).values()]
    while left:
        thing = left.pop()
        owner = getattr(thing, "__self__", None)  # of generator.normal
        if id(thing) in seen:
            continue
        if isinstance(thing, FunctionType) and not _is_ours(thing):
            left += _variables_of(thing)
        elif isinstance(owner, GENERATORS):
            left.append(owner)
        elif isinstance(thing, GENERATORS):
            yield thing
        else:
            continue
        seen[id(thing)] = thing


def _is_ours(thing: FunctionType | type) -> bool:
    return str(thing.__module__).startswith("fastnn.")


def _variables_of(function: FunctionType) -> Iterator[Any]:
    """The values of a function's global and enclosing variables."""
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
