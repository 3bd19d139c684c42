"""Nested lists, tuples and dicts, as the arguments and results of functions come in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

Structure: TypeAlias = Any  # leaves in nested lists, tuples and dicts


def leaves(structure: Structure) -> list[Any]:
    """What is in the structure, in order."""
    if isinstance(structure, dict):
        return [leaf for part in structure.values() for leaf in leaves(part)]
    if isinstance(structure, list | tuple):
        return [leaf for part in structure for leaf in leaves(part)]
    return [structure]


def filled(structure: Structure, new: Iterator[Any]) -> Structure:
    """The same structure with other leaves."""
    if isinstance(structure, dict):
        return {name: filled(part, new) for name, part in structure.items()}
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[filled(part, new) for part in structure])
    if isinstance(structure, list | tuple):
        return type(structure)([filled(part, new) for part in structure])
    return next(new)
