"""Names to things: how every family (losses, optimizers, ...) resolves what a user gives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn.configuration import custom_object, deserialize


def resolve(
    family: str, identifier: Any, table: Mapping[str, Any], kind: type | None = None
) -> Any:
    """The object that a name, a class, a configuration or the object itself stands for.

    Parameters
    ----------
    family : str
        What to call it in messages: "loss".
    identifier : str, class, dict or object
    table : dict
        Classes and functions by name. A class is called without arguments.
    kind : class, optional
        What the object must be an instance of; by default it must be callable.

    Raises
    ------
    ValueError
        If there is no such name.
    TypeError
        If `identifier` is something else.
    """
    found = identifier
    if isinstance(identifier, Mapping):
        # What is registered, or in an open scope, comes before fastnn's own of the same name.
        own = {name: thing for name, thing in table.items() if custom_object(name) is None}
        found = deserialize(identifier, own)
    if isinstance(found, str):
        custom = custom_object(found)
        found = by_name(family, found, table) if custom is None else custom
    if isinstance(found, type):
        found = found()
    if not (callable(found) if kind is None else isinstance(found, kind)):
        wanted = "a function" if kind is None else f"a {kind.__name__}"
        raise TypeError(f"{family} must be a name or {wanted}, got {identifier!r}")
    return found


def by_name(family: str, name: str, table: Mapping[str, Any]) -> Any:
    """The entry of `table` called `name`; ValueError with the nearest name if there is none."""
    if name in table:
        return table[name]
    import difflib

    name = name[:100]  # longer than any; in a file it may be so long that to compare takes memory
    near = difflib.get_close_matches(name, table, n=1, cutoff=0.8)
    hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(sorted(table))}"
    raise ValueError(f"unknown {family} {name!r}; {hint}")
