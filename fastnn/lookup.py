"""Names to things: how every family (losses, optimizers, ...) resolves what a user gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Thing = TypeVar("Thing")
Function = TypeVar("Function", bound=Callable[..., Any])


def resolve(family: str, identifier: str | Function, table: Mapping[str, Function]) -> Function:
    """The function itself, or the entry of `table` of that name.

    Raises
    ------
    ValueError
        If there is no such name.
    TypeError
        If `identifier` is neither a name nor a function.
    """
    if isinstance(identifier, str):
        return by_name(family, identifier, table)
    if callable(identifier):
        return identifier
    raise TypeError(f"{family} must be a name or a function, got {identifier!r}")


def by_name(family: str, name: str, table: Mapping[str, Thing]) -> Thing:
    """The entry of `table` called `name`; ValueError with the nearest name if there is none."""
    if name in table:
        return table[name]
    import difflib

    near = difflib.get_close_matches(name, table, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(sorted(table))}"
    raise ValueError(f"unknown {family} {name!r}; {hint}")
