"""Regularizers, by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from fastnn.lookup import resolve
from fastnn.tensor import Tensor

Regularizer: TypeAlias = Callable[[Tensor], Tensor]

_NAMES: dict[str, Any] = {}


def get(identifier: Any) -> Regularizer | None:
    """The one of that name, or the callable itself; None for None."""
    found: Regularizer | None = (
        None if identifier is None else resolve("regularizer", identifier, _NAMES)
    )
    return found
