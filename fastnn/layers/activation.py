"""Activations as layers of their own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastnn import activations, constraints, initializers, ops, regularizers
from fastnn.activations import Activation as Function
from fastnn.arrays import Shape
from fastnn.constraints import Projection
from fastnn.hyperparameters import axes, not_negative
from fastnn.initializers import Start
from fastnn.layers.shapes import ShapePreserving, check_lengths, known_length, position
from fastnn.regularizers import Penalty
from fastnn.tensor import Tensor, TensorLike, convert
from fastnn.variable import Variable


class Activation(ShapePreserving):
    """activation(x).

    Parameters
    ----------
    activation : str or callable
    **options
        As for every `Layer`.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.Activation("relu")([-1.0, 2.0])
    Tensor([0. 2.], shape=(2,), dtype=float32)
    """

    def __init__(self, activation: str | Function | None, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def call(self, inputs: Tensor) -> Tensor:
        """The activation of the inputs."""
        return self.activation(inputs)


class ReLU(ShapePreserving):
    """x above `threshold`, but at most `max_value`; negative_slope * (x - threshold) up to it.

    Parameters
    ----------
    max_value : float, optional
        By default there is no limit.
    negative_slope, threshold : float, default 0
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        If a number is negative or missing.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.ReLU(max_value=10, negative_slope=0.5)([-10.0, 5.0, 20.0])
    Tensor([-5.  5. 10.], shape=(3,), dtype=float32)
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        if max_value is not None:
            max_value = self._checked(not_negative, "max_value", max_value)
        self.max_value = max_value
        self.negative_slope = self._checked(not_negative, "negative_slope", negative_slope)
        self.threshold = self._checked(not_negative, "threshold", threshold)

    def call(self, inputs: Tensor) -> Tensor:
        """The rectified inputs."""
        return ops.relu(inputs, self.negative_slope, self.max_value, self.threshold)


class LeakyReLU(ShapePreserving):
    """x above 0, negative_slope * x up to it. Maas, Hannun and Ng, 2013.

    Parameters
    ----------
    negative_slope : float, default 0.3
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        If the slope is negative or missing.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.LeakyReLU(negative_slope=0.5)([-10.0, 5.0])
    Tensor([-5.  5.], shape=(2,), dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = self._checked(not_negative, "negative_slope", negative_slope)

    def call(self, inputs: Tensor) -> Tensor:
        """The rectified inputs."""
        return ops.leaky_relu(inputs, self.negative_slope)


class ELU(ShapePreserving):
    """x above 0, alpha * (exp(x) - 1) up to it. Clevert, Unterthiner and Hochreiter, 2015.

    Parameters
    ----------
    alpha : float, default 1
    **options
        As for every `Layer`.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.ELU()([-100.0, 5.0])
    Tensor([-1.  5.], shape=(2,), dtype=float32)
    """

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = alpha

    def call(self, inputs: Tensor) -> Tensor:
        """The activation of the inputs."""
        return ops.elu(inputs, self.alpha)


class PReLU(ShapePreserving):
    """x above 0, alpha * x up to it, `alpha` being learned. He et al., 2015.

    Parameters
    ----------
    alpha_initializer : str or callable, default "zeros"
    alpha_regularizer, alpha_constraint : str or callable, optional
    shared_axes : list of int, optional
        Axes along which there is one `alpha`; by default each element of a sample has its own.
    **options
        As for every `Layer`.

    Attributes
    ----------
    alpha : Variable
        Of the shape of a sample, with length 1 along `shared_axes`; made on first use.
    """

    alpha: Variable

    def __init__(
        self,
        alpha_initializer: str | Start = "zeros",
        alpha_regularizer: str | Penalty | None = None,
        alpha_constraint: str | Projection | None = None,
        shared_axes: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        given = self._checked(axes, "shared_axes", () if shared_axes is None else shared_axes)
        self.shared_axes = [given] if isinstance(given, int) else given

    def build(self, input_shape: Shape) -> None:
        """Make `alpha` for inputs of this shape."""
        shared = {position(self, input_shape, axis) for axis in self.shared_axes}
        self._axes = [axis for axis in range(1, len(input_shape)) if axis not in shared]
        lengths = {axis: known_length(self, input_shape, axis) for axis in self._axes}
        self.alpha = self.add_weight(
            tuple(lengths.get(axis, 1) for axis in range(1, len(input_shape))),
            self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
            name="alpha",
        )

    def call(self, inputs: Tensor) -> Tensor:
        """The activation of the inputs."""
        rank = 1 + self.alpha.ndim
        if inputs.ndim != rank:
            raise ValueError(
                f"layer {self.name!r} was built for inputs of {rank} axes, the batch's among them, "
                f"and got the shape {inputs.shape}: reshape them, or use another layer for them"
            )
        check_lengths(self, inputs.shape, {a: self.alpha.shape[a - 1] for a in self._axes})
        x = convert(inputs, self.compute_dtype)
        return ops.relu(x) - self.alpha * ops.relu(-x)


class Softmax(ShapePreserving):
    """exp(x) / sum(exp(x)) over an axis.

    Parameters
    ----------
    axis : int or list of int, default -1
        With several axes all their elements together sum to 1.
    **options
        As for every `Layer`.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.Softmax()([[0.0, 0.0]])
    Tensor([[0.5 0.5]], shape=(1, 2), dtype=float32)
    """

    def __init__(self, axis: int | list[int] = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = self._checked(axes, "axis", axis)

    def call(self, inputs: Tensor, mask: TensorLike = None) -> Tensor:
        """The probabilities; 0 where `mask` is given and False, and the others sum to 1."""
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        along = [position(self, inputs.shape, axis) for axis in given]
        if mask is None:
            return ops.softmax(inputs, along)
        kept = ops.broadcast_to(mask, inputs.shape)
        lowest = float(np.finfo(np.float32).min)  # and not -inf: a row may be masked altogether
        return ops.where(kept, ops.softmax(ops.where(kept, inputs, lowest), along), 0)
