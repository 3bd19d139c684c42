"""Clipping: tensors, above all gradients, that are too large made smaller."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fastnn.ops.core import floating
from fastnn.ops.discrete import equal
from fastnn.ops.elementwise import cast, divide, maximum, sqrt, square, where
from fastnn.ops.reductions import reduce_sum
from fastnn.tensor import Tensor, TensorLike


def clip_by_norm(t: TensorLike, clip_norm: float) -> Tensor:
    """t scaled down to the Euclidean norm `clip_norm`, if its own is larger; NaN if it is infinite.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.clip_by_norm([3.0, 4.0], 1.0)
    Tensor([0.6 0.8], shape=(2,), dtype=float32)
    """
    x = floating(t)
    return x * _scale(_root(reduce_sum(square(x))), clip_norm)


def global_norm(t_list: Sequence[TensorLike | None]) -> Tensor:
    """The Euclidean norm (float64) of all tensors as one vector, but for those that are None.

    Examples
    --------
    >>> import fastnn
    >>> float(fastnn.global_norm([[3.0], None, [[0.0, 4.0]]]))
    5.0
    """
    squares = [reduce_sum(square(floating(t))) for t in t_list if t is not None]
    if not squares:
        raise ValueError("global_norm: there is no tensor in the list")
    return _root(sum((cast(x, np.float64) for x in squares[1:]), cast(squares[0], np.float64)))


def clip_by_global_norm(
    t_list: Sequence[TensorLike | None], clip_norm: float, use_norm: TensorLike = None
) -> tuple[list[Tensor | None], Tensor]:
    """All tensors scaled alike, so that their common norm is at most `clip_norm`; and that norm.

    If it is infinite they become NaN, which is noticed; zeros would not be.

    Parameters
    ----------
    t_list : list of tensors
        None stays so.
    clip_norm : float
    use_norm : tensor, optional
        The common norm, if it is known.
    """
    norm = global_norm(t_list) if use_norm is None else floating(use_norm)
    scale = _scale(norm, clip_norm)
    tensors = [None if t is None else floating(t) for t in t_list]
    return [None if x is None else x * cast(scale, x.dtype) for x in tensors], norm


def _root(x: Tensor) -> Tensor:
    """The square root, whose gradient at 0 is taken as 0."""
    is_zero = equal(x, 0)
    return where(is_zero, 0, sqrt(where(is_zero, 1, x)))


def _scale(norm: Tensor, limit: float) -> Tensor:
    larger = maximum(norm, limit)
    return divide(limit, larger) * divide(larger, larger)  # the second is 1, or NaN of infinity
