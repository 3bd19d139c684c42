"""Nested lists, tuples and dicts, as the arguments and results of functions come in."""

from __future__ import annotations

import copy
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
    """The same structure with other leaves."""
    if isinstance(structure, dict):
        items = {name: filled(part, new) for name, part in structure.items()}
        return items if type(structure) is dict else _as(structure, items)
    if not isinstance(structure, list | tuple):
        return next(new)
    parts = [filled(part, new) if isinstance(part, NODES) else next(new) for part in structure]
    if type(structure) is list:
        return parts
    if isinstance(structure, list):
        return _as(structure, parts)
    return tuple.__new__(type(structure), parts)


def _as(structure: Any, new: Any) -> Structure:
    """A dict or list of a class of its own, with other contents: order and attributes stay."""
    same = copy.copy(structure)
    same.clear()
    (same.update if isinstance(new, dict) else same.extend)(new)
    return same
