"""Constraints: what weights are replaced with after every update."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from fastnn import ops
from fastnn.configuration import Configurable, serialize
from fastnn.hyperparameters import fraction, not_negative
from fastnn.lookup import classes_of, deserializer, resolve
from fastnn.ops.axes import Axis
from fastnn.tensor import Tensor, TensorLike, convert, unshared

Projection: TypeAlias = Callable[[Tensor], Tensor]

EPSILON = 1e-7  # is added to a norm before it divides


class Constraint(Configurable):
    """Base class: a subclass defines ``__call__(w)``, which gives the nearest allowed weights.

    Examples
    --------
    >>> import fastnn
    >>> class AtMostOne(fastnn.constraints.Constraint):
    ...     def __call__(self, w):
    ...         return fastnn.minimum(w, 1.0)
    >>> layer = fastnn.layers.Dense(2, kernel_constraint=AtMostOne())
    """

    def __call__(self, w: TensorLike) -> Tensor:
        """The weights as they are."""
        return unshared(convert(w))


class NonNeg(Constraint):
    """Nothing below 0: max(w, 0)."""

    def __call__(self, w: TensorLike) -> Tensor:
        return ops.maximum(w, 0)


class UnitNorm(Constraint):
    """Vectors of length 1: w / (norm + 1e-7).

    Parameters
    ----------
    axis : int or tuple of int, default 0
        Along which a vector lies: 0 for those that go into one unit of a `Dense`.
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: TensorLike) -> Tensor:
        weights = convert(w)
        return weights / (EPSILON + _norms(weights, self.axis))


class MinMaxNorm(Constraint):
    """Vectors whose length is between two bounds: w * wanted / (norm + 1e-7), where `wanted` is
    rate * clip(norm, min_value, max_value) + (1 - rate) * norm.

    Parameters
    ----------
    min_value, max_value : float, default 0.0 and 1.0
    rate : float, default 1.0
        Below 1 the lengths approach the bounds gradually.
    axis : int or tuple of int, default 0
        As for `UnitNorm`.

    Examples
    --------
    >>> import fastnn
    >>> constraint = fastnn.constraints.MinMaxNorm(max_value=1.0)
    >>> constraint([[3.0, 0.5], [4.0, 0.0]]).numpy().round(4)
    array([[0.6, 0.5],
           [0.8, 0. ]], dtype=float32)
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axis = 0,
    ) -> None:
        self.min_value = not_negative("min_value", min_value)
        self.max_value = not_negative("max_value", max_value)
        self.rate = fraction("rate", rate)
        self.axis = axis

    def __call__(self, w: TensorLike) -> Tensor:
        weights = convert(w)
        norms = _norms(weights, self.axis)
        wanted = ops.clip(norms, self.min_value, self.max_value)
        if self.rate != 1:
            wanted = self.rate * wanted + (1 - self.rate) * norms
        return weights * (wanted / (EPSILON + norms))


class MaxNorm(Constraint):
    """Vectors no longer than a bound: w * min(norm, max_value) / (norm + 1e-7).

    Parameters
    ----------
    max_value : float, default 2
    axis : int or tuple of int, default 0
        As for `UnitNorm`.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = not_negative("max_value", max_value)
        self.axis = axis

    def __call__(self, w: TensorLike) -> Tensor:
        weights = convert(w)
        norms = _norms(weights, self.axis)
        return weights * (ops.minimum(norms, self.max_value) / (EPSILON + norms))


def _norms(w: Tensor, axis: Axis) -> Tensor:
    return ops.sqrt(ops.reduce_sum(ops.square(w), axis=axis, keepdims=True))


max_norm, min_max_norm, non_neg, unit_norm = MaxNorm, MinMaxNorm, NonNeg, UnitNorm

_NAMES = classes_of(vars(), Constraint)


def get(identifier: Any) -> Projection | None:
    """A constraint by name, class or configuration, or the callable itself; None for None."""
    if identifier is None:
        return None
    found: Projection = resolve("constraint", identifier, _NAMES)
    return found


deserialize = deserializer(get)


__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]
