"""What layers say about shapes: lengths that they need to know, and shapes that they keep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastnn.arrays import Shape
from fastnn.layers.base import Layer


class ShapePreserving(Layer):
    """Base of layers whose output has the shape of their input."""

    _makes_floats = True

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.built = type(self).build is Layer.build  # without weights there is nothing to make

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the input."""
        return tuple(input_shape)


def position(layer: Layer, shape: Shape, axis: int) -> int:
    """The axis counted from the first; ValueError if there is none."""
    rank = len(shape)
    if not -rank <= axis < rank:
        raise ValueError(
            f"layer {layer.name!r}: axis {axis} is out of bounds for an input of shape "
            f"{tuple(shape)}; its axes are {-rank} to {rank - 1}"
        )
    return axis % rank


def known_length(layer: Layer, input_shape: Shape, axis: int) -> int:
    """The length of an axis that the layer has weights for; ValueError if it is not known."""
    length: int | None = input_shape[position(layer, input_shape, axis)]
    if length is None:
        raise ValueError(
            f"layer {layer.name!r} has weights for axis {axis} of its input and must know its "
            f"length: build it with a number there instead of {tuple(input_shape)}"
        )
    return length


def check_lengths(layer: Layer, shape: Shape, lengths: Mapping[int, int]) -> None:
    """ValueError if the axes of an input have not the lengths that the layer was built for."""
    for axis, length in lengths.items():
        if not -len(shape) <= axis < len(shape) or shape[axis] != length:
            raise ValueError(
                f"an input of shape {shape} is incompatible with the layer {layer.name!r}, which "
                f"was built for an axis {axis} of length {length}; reshape the input, or use "
                "another layer for it"
            )
