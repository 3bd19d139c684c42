"""Rescaling: inputs brought to another range by numbers that are known."""

from __future__ import annotations

from typing import Any

from fastnn.layers.shapes import ShapePreserving
from fastnn.tensor import Tensor, TensorLike, convert


class Rescaling(ShapePreserving):
    """x * scale + offset.

    Parameters
    ----------
    scale : float or array
        1 / 255 brings pixels into [0, 1].
    offset : float or array, default 0
    **options
        As for every `Layer`.

    Examples
    --------
    >>> import fastnn
    >>> import numpy as np
    >>> fastnn.layers.Rescaling(1 / 127.5, offset=-1)(np.array([0, 255], np.uint8))
    Tensor([-1.  1.], shape=(2,), dtype=float32)
    """

    def __init__(self, scale: TensorLike, offset: TensorLike = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.scale = scale
        self.offset = offset

    def call(self, inputs: Tensor) -> Tensor:
        """The inputs in their new range."""
        x = convert(inputs, self.compute_dtype)
        return x * convert(self.scale, x.dtype) + convert(self.offset, x.dtype)
