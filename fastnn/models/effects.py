"""Effects: what recording a step does in Python, which a program would not do again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn.configuration import Configurable
from fastnn.trace import TraceError

REMEDY = "or leave the step uncompiled: run_eagerly=True in compile"


class Effects:
    """What is so before a step is recorded; `check` says what has changed by then.

    Parameters
    ----------
    parts : list
        What the step is made of: layers, metrics and so on; functions and None are passed over.
        Attributes that are numbers, such as a count of steps, are looked at; what is in lists and
        dicts is not.
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self._parts = parts = [part for part in parts if isinstance(part, Configurable)]
        self._numbers = [_numbers(part) for part in parts]
        self._drawn = _drawn()

    def check(self) -> None:
        """TraceError if there is something; numbers are put back first."""
        changed = [
            (part, name, value)
            for part, before in zip(self._parts, self._numbers, strict=True)
            for name, value in before.items()
            if repr(vars(part).get(name)) != repr(value)
        ]
        for part, name, value in changed:
            vars(part)[name] = value  # which counts as no change
        for part, name, _ in changed:
            raise TraceError(
                f"it changes the number {type(part).__name__}.{name}, which a program would do "
                f"once and not in every step: make a Variable of it, {REMEDY}"
            )
        if _drawn() != self._drawn:
            raise TraceError(
                "it draws from the random numbers of NumPy or Python, which a program would "
                f"repeat: let a layer such as GaussianNoise draw them, {REMEDY}"
            )


def _numbers(part: Configurable) -> dict[str, float]:
    return {
        name: value
        for name, value in [*vars(part).items()]
        if type(value) in (int, float) and name not in part._aside
    }


def _drawn() -> object:
    """Where the common generators of NumPy and Python are."""
    kind, words, place, *rest = np.random.get_state(legacy=True)
    return kind, np.asarray(words).tobytes(), place, rest, random.getstate()
