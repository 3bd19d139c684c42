"""Axes as arguments of ops: checked, and counted from the first."""

from __future__ import annotations

from collections.abc import Sequence
from operator import index as as_integer
from reprlib import repr as brief
from typing import Any, TypeAlias

from fastnn.tensor import Tensor

Axis: TypeAlias = int | Sequence[int] | None


def checked_axes(name: str, x: Tensor, axis: Axis) -> tuple[int, ...]:
    """`axis` as a tuple of distinct axes of x, none of them negative; all axes for None."""
    if axis is None:
        return tuple(range(x.ndim))
    its_axes = f"its axes are {-x.ndim} to {x.ndim - 1}" if x.ndim else "it has none"
    missing = f"does not exist in a tensor of shape {x.shape}; {its_axes}"
    return _places(name, axis, x.ndim, missing)


def existing_axis(name: str, x: Tensor, axis: int) -> int:
    """`axis`, counted from the first; ValueError if there is none."""
    (at,) = checked_axes(name, x, (axis,))
    return at


def new_axes(name: str, x: Tensor, axis: Axis) -> tuple[int, ...]:
    """Where new axes of x are to be, counted from the first in the result."""
    ndim = x.ndim + (len(axis) if isinstance(axis, Sequence) else 1)
    places = f"the places are {-ndim} to {ndim - 1}"
    missing = f"is no place for a new axis in a tensor of shape {x.shape}; {places}"
    return _places(name, axis, ndim, missing)


def _places(name: str, axis: Any, ndim: int, missing: str) -> tuple[int, ...]:
    try:
        given = list(map(as_integer, axis if isinstance(axis, Sequence) else (axis,)))
    except TypeError:
        raise TypeError(f"{name}: axis is an int or a tuple of int, got {brief(axis)}") from None
    for at in given:
        if not -ndim <= at < ndim:
            raise ValueError(f"{name}: axis {at} {missing}")
    places = tuple(at % ndim for at in given)
    if len(set(places)) < len(places):
        raise ValueError(f"{name}: axis {axis} names an axis twice; name each once")
    return places
