"""Hyperparameters: numbers of Python's, each in its range."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import index
from typing import Any, TypeVar

import numpy as np

Checked = TypeVar("Checked")


def number(value: Any) -> float:
    """`value` as a float, NaN if it is no number."""
    try:
        return math.nan if isinstance(value, bool | str) else float(value)
    except (TypeError, ValueError):
        return math.nan


def positive(name: str, value: Any) -> float:
    """A finite number above 0; ValueError otherwise, as for all here."""
    found = number(value)
    if not 0 < found < math.inf:
        raise ValueError(f"{name} must be a positive number, got {value!r}")
    return found


def not_negative(name: str, value: Any) -> float:
    """A finite number, 0 or above."""
    found = number(value)
    if not 0 <= found < math.inf:
        raise ValueError(f"{name} must be a number and not negative, got {value!r}")
    return found


def fraction(name: str, value: Any, below_one: bool = False) -> float:
    """A number from 0 to 1, with 1 or without."""
    found = number(value)
    if not 0 <= found <= 1 or (below_one and found == 1):
        interval = "[0, 1)" if below_one else "[0, 1]"
        raise ValueError(f"{name} must be a number in {interval}, got {value!r}")
    return found


def count(name: str, value: Any, least: int = 1) -> int:
    """An integer, `least` or above."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < least:
        kind = {0: "an integer and not negative", 1: "a positive integer"}[least]
        raise ValueError(f"{name} must be {kind}, got {value!r}")
    return int(value)


def flag(name: str, value: Any) -> bool:
    """True or False, or 1 or 0; TypeError otherwise."""
    if not isinstance(value, bool | int | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def if_given(check: Callable[[str, Any], Checked], name: str, value: Any) -> Checked | None:
    """What a check makes of an argument, or None."""
    return None if value is None else check(name, value)


def one_axis(name: str, value: Any) -> int:
    """An integer; TypeError otherwise."""
    try:
        return index(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer, got {value!r}") from None


def axes(name: str, value: Any) -> int | list[int]:
    """An axis or a list of axes; TypeError if there is something else than integers."""
    try:
        return index(value) if np.ndim(value) == 0 else [*map(index, value)]
    except TypeError:
        raise TypeError(f"{name} must be an integer or a list of them, got {value!r}") from None
