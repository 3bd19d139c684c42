"""Regularizers: penalties on weights or outputs, which are added to the loss."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from fastnn import ops
from fastnn.configuration import Configurable, serialize
from fastnn.hyperparameters import not_negative
from fastnn.lookup import classes_of, deserializer, resolve
from fastnn.tensor import Tensor, TensorLike, convert

Penalty: TypeAlias = Callable[[Tensor], Tensor]


class Regularizer(Configurable):
    """Base class: a subclass defines ``__call__(x)``, which gives a number of the dtype of x.

    Examples
    --------
    >>> import fastnn
    >>> class Largest(fastnn.regularizers.Regularizer):
    ...     def __call__(self, x):
    ...         return fastnn.reduce_max(abs(x))
    >>> layer = fastnn.layers.Dense(2, kernel_regularizer=Largest())
    """

    def __call__(self, x: TensorLike) -> Tensor:
        """The penalty on x: none."""
        return convert(0.0, convert(x).dtype)


class L1L2(Regularizer):
    """l1 * sum(abs(x)) + l2 * sum(x^2).

    Parameters
    ----------
    l1, l2 : float, default 0.0
        Not negative.

    Raises
    ------
    ValueError
        If a factor is negative, not finite or no number.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.regularizers.L1L2(l1=1.0, l2=2.0)([3.0, -1.0])
    Tensor(24.0, shape=(), dtype=float32)
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = not_negative("l1", 0.0 if l1 is None else l1)
        self.l2 = not_negative("l2", 0.0 if l2 is None else l2)

    def __call__(self, x: TensorLike) -> Tensor:
        penalty = super().__call__(x)
        if self.l1:
            penalty = penalty + self.l1 * ops.reduce_sum(ops.abs(x))
        if self.l2:
            penalty = penalty + self.l2 * ops.reduce_sum(ops.square(x))
        return penalty


class L1(Regularizer):
    """l1 * sum(abs(x)); l1 is 0.01 by default."""

    def __init__(self, l1: float | None = 0.01) -> None:
        self.l1 = not_negative("l1", 0.01 if l1 is None else l1)

    def __call__(self, x: TensorLike) -> Tensor:
        return self.l1 * ops.reduce_sum(ops.abs(x))


class L2(Regularizer):
    """l2 * sum(x^2); l2 is 0.01 by default."""

    def __init__(self, l2: float | None = 0.01) -> None:
        self.l2 = not_negative("l2", 0.01 if l2 is None else l2)

    def __call__(self, x: TensorLike) -> Tensor:
        return self.l2 * ops.reduce_sum(ops.square(x))


class OrthogonalRegularizer(Regularizer):
    """factor * the mean over pairs of rows of the magnitude of their cosine.

    Parameters
    ----------
    factor : float, default 0.01
        Not negative.
    mode : "rows" (default) or "columns"
        Which vectors of a matrix are to become orthogonal.

    Raises
    ------
    ValueError
        If `factor` or `mode` is something else; on a call, if x is no matrix.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.regularizers.OrthogonalRegularizer(0.5)([[2.0, 0.0], [3.0, 0.0]])
    Tensor(0.5, shape=(), dtype=float32)
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = not_negative("factor", factor)
        if mode not in ("rows", "columns"):
            raise ValueError(f"mode must be 'rows' or 'columns', got {mode!r}")
        self.mode = mode

    def __call__(self, x: TensorLike) -> Tensor:
        matrix = convert(x)
        if matrix.ndim != 2:
            raise ValueError(
                f"OrthogonalRegularizer needs a matrix, got shape {matrix.shape}; reshape it to "
                "two axes"
            )
        vectors = ops.transpose(matrix) if self.mode == "columns" else matrix
        squares = ops.reduce_sum(ops.square(vectors), axis=1, keepdims=True)
        units = vectors / ops.sqrt(ops.maximum(squares, 1e-12))
        count = vectors.shape[0]
        others = 1 - np.eye(count, dtype=matrix.dtype)
        cosines = ops.abs(ops.matmul(units, units, transpose_b=True)) * others
        return self.factor / max(1, count * (count - 1)) * ops.reduce_sum(cosines)


def l1_l2(l1: float | None = None, l2: float | None = None) -> L1L2:
    """An `L1L2`: one that is left out is 0, and both are 0.01 if both are."""
    both = 0.01 if l1 is None and l2 is None else 0.0
    return L1L2(both if l1 is None else l1, both if l2 is None else l2)


l1, l2, orthogonal_regularizer = L1, L2, OrthogonalRegularizer

_NAMES = {**classes_of(vars(), Regularizer), "l1_l2": l1_l2(), "l1l2": L1L2}


def get(identifier: Any) -> Penalty | None:
    """A regularizer by name, class or configuration, or the callable itself; None for None."""
    if identifier is None:
        return None
    if isinstance(identifier, int | float):
        raise TypeError(f"a regularizer is no number: write L2({identifier}), or L1({identifier})")
    found: Penalty = resolve("regularizer", identifier, _NAMES)
    return found


deserialize = deserializer(get)


__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]
