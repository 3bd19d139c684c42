"""Names to things: how every family (losses, optimizers, ...) resolves a string."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

Thing = TypeVar("Thing")


def by_name(family: str, name: str, table: Mapping[str, Thing]) -> Thing:
    """The entry of `table` called `name`; ValueError with the nearest name if there is none."""
    try:
        return table[name]
    except KeyError:
        pass
    raise ValueError(f"unknown {family} {name!r}; {suggestion(name, table)}")


def suggestion(name: str, names: Iterable[str]) -> str:
    """The nearest of `names`, or all of them."""
    import difflib

    known = sorted(names)
    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(known)}"
