"""Layers that hand their input on: Identity, and one that adds a penalty on it."""

from __future__ import annotations

from typing import Any

from fastnn.layers.shapes import ShapePreserving
from fastnn.regularizers import L1L2
from fastnn.tensor import Tensor


class Identity(ShapePreserving):
    """The input as it is."""

    _takes_several = True

    _makes_floats = False

    def call(self, inputs: Tensor) -> Tensor:
        """The input."""
        return inputs


class ActivityRegularization(Identity):
    """The input as it is; l1 * sum(abs(x)) + l2 * sum(x^2), per sample, is added to the loss.

    Parameters
    ----------
    l1, l2 : float, default 0
    **options
        As for every `Layer`.

    Examples
    --------
    >>> import fastnn
    >>> layer = fastnn.layers.ActivityRegularization(l1=0.5)
    >>> _ = layer([[1.0], [-2.0]])
    >>> layer.losses
    [Tensor(0.75, shape=(), dtype=float32)]
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **options: Any) -> None:
        super().__init__(activity_regularizer=L1L2(l1, l2), **options)
        self.l1 = l1
        self.l2 = l2

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal layer."""
        config = super().get_config()
        del config["activity_regularizer"]  # it follows from l1 and l2
        return config
