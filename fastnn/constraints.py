"""Constraints, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from fastnn.lookup import resolve
from fastnn.tensor import Tensor

Constraint: TypeAlias = Callable[[Tensor], Tensor]

_NAMES: dict[str, Any] = {}


def get(identifier: Any) -> Constraint | None:
    """The one of that name, or the callable itself; None for None."""
    found: Constraint | None = (
        None if identifier is None else resolve("constraint", identifier, _NAMES)
    )
    return found
