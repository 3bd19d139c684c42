"""Clipping: gradients that are too large made smaller."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastnn import ops
from fastnn.tensor import Tensor


def by_value(g: Tensor, limit: float) -> Tensor:
    """Each element moved into [-limit, limit]."""
    return ops.clip(g, -limit, limit)


def by_norm(g: Tensor, limit: float) -> Tensor:
    """g scaled down to the Euclidean norm `limit`, if its own is larger; NaN as below."""
    return g * _scale(ops.sqrt(_squares(g)), limit)


def by_global_norm(gradients: Sequence[Tensor], limit: float) -> list[Tensor]:
    """All gradients scaled alike, so that their common norm is at most `limit`.

    If that norm is infinite they become NaN, which is noticed; zeros would not be.
    """
    squares = ops.cast(_squares(gradients[0]), np.float64)
    for g in gradients[1:]:
        squares = squares + ops.cast(_squares(g), np.float64)
    scale = _scale(ops.sqrt(squares), limit)
    return [g * ops.cast(scale, g.dtype) for g in gradients]


def _scale(norm: Tensor, limit: float) -> Tensor:
    return limit / ops.maximum(norm, limit) + (norm - norm)


def _squares(g: Tensor) -> Tensor:
    return ops.reduce_sum(ops.square(g))
