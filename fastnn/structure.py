"""Nested lists, tuples and dicts, as the arguments and results of functions come in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

Structure: TypeAlias = Any  # leaves in nested lists, tuples and dicts
NODES = (dict, list, tuple)


def leaves(structure: Structure) -> list[Any]:
    """What is in the structure, in order."""
    if not isinstance(structure, NODES):
        return [structure]
    found: list[Any] = []
    for part in structure.values() if isinstance(structure, dict) else structure:
        if isinstance(part, NODES):
            found += leaves(part)
        else:
            found.append(part)
    return found


def filled(structure: Structure, new: Iterator[Any]) -> Structure:
    """The same structure with other leaves, of dicts as plain ones."""
    if isinstance(structure, dict):
        return {name: filled(part, new) for name, part in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[filled(part, new) for part in structure])
    if isinstance(structure, list | tuple):
        return type(structure)(
            [filled(part, new) if isinstance(part, NODES) else next(new) for part in structure]
        )
    return next(new)
