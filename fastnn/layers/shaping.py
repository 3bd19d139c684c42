"""Layers that move elements without computing: Flatten and Reshape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from fastnn import ops
from fastnn.arrays import Shape, to_open_shape
from fastnn.layers.base import Layer
from fastnn.tensor import Tensor


class Flatten(Layer):
    """Each sample as one row: (batch, ...) becomes (batch, elements).

    Parameters
    ----------
    data_format : "channels_last" (default) or "channels_first"
        With "channels_first" axis 1 is moved to the end before.
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        If there is no such format.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.Flatten()(fastnn.ones((2, 28, 28))).shape
    (2, 784)
    """

    def __init__(self, data_format: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.data_format = data_format or "channels_last"
        if self.data_format not in ("channels_first", "channels_last"):
            raise ValueError(
                f"layer {self.name!r}: data_format must be 'channels_last' or 'channels_first', "
                f"got {data_format!r}"
            )

    def call(self, inputs: Tensor) -> Tensor:
        """The samples as rows."""
        shape = self.compute_output_shape(inputs.shape)
        if self.data_format == "channels_first" and inputs.ndim > 2:
            inputs = ops.transpose(inputs, (0, *range(2, inputs.ndim), 1))
        return ops.reshape(inputs, shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, elements); None, for any length, where a length is."""
        if len(input_shape) == 0:
            raise ValueError(f"layer {self.name!r} needs an input with a batch axis, got shape ()")
        return (input_shape[0], _product(input_shape[1:]))


class Reshape(Layer):
    """Each sample in another shape.

    Parameters
    ----------
    target_shape : tuple of int
        Without the batch axis. One length may be -1: it follows from the others.
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        If two lengths are -1 or one is smaller; on a call, if the elements of a sample do not fill
        the shape.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.Reshape((-1, 2))(fastnn.ones((5, 6))).shape
    (5, 3, 2)
    """

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        given: Shape = to_open_shape(f"layer {self.name!r}: target_shape", target_shape, least=-1)
        self.target_shape = given
        if given.count(-1) > 1 or None in given:
            raise ValueError(
                f"layer {self.name!r}: target_shape {given} may have one length that is open, -1"
            )
        self.built = True

    def call(self, inputs: Tensor) -> Tensor:
        """The samples in their new shape."""
        return ops.reshape(inputs, self.compute_output_shape(inputs.shape))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, *target_shape); None, for any length, where it is not known."""
        size, target = _product(input_shape[1:]), self.target_shape
        known = math.prod(n for n in target if n != -1)
        missing: Any = size if size is None else size // max(1, known)
        shape: Any = (input_shape[0], *(missing if n == -1 else n for n in target))
        if size is not None and math.prod(shape[1:]) != size:
            raise ValueError(
                f"layer {self.name!r}: a sample of shape {tuple(input_shape[1:])} has {size} "
                f"elements and does not fill the target_shape {target}; the product of its lengths "
                f"must be {size}"
            )
        return tuple(shape)


def _product(lengths: Sequence[Any]) -> Any:
    """The product, None if a length is."""
    return None if None in lengths else math.prod(lengths)
