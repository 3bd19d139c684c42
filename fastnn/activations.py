"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from fastnn.lookup import resolve
from fastnn.ops import relu, sigmoid, softmax, tanh
from fastnn.tensor import Tensor, TensorLike, convert

Activation: TypeAlias = Callable[[Tensor], Tensor]


def linear(x: TensorLike) -> Tensor:
    """x itself."""
    return convert(x)


_NAMES: dict[str, Activation] = {
    "linear": linear,
    "relu": relu,
    "sigmoid": sigmoid,
    "softmax": softmax,
    "tanh": tanh,
}


def get(identifier: str | Activation | None) -> Activation:
    """An activation by its name, the callable itself, or `linear` for None."""
    found: Activation = linear if identifier is None else resolve("activation", identifier, _NAMES)
    return found


__all__ = ["get", "linear", "relu", "sigmoid", "softmax", "tanh"]
