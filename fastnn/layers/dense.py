"""Dense: the fully connected layer."""

from __future__ import annotations

import math
from typing import Any

from fastnn import activations, constraints, initializers, ops, regularizers
from fastnn.activations import Activation
from fastnn.arrays import Shape
from fastnn.caller import warn
from fastnn.constraints import Projection
from fastnn.hyperparameters import count
from fastnn.initializers import Start
from fastnn.layers.base import Layer
from fastnn.layers.shapes import known_length
from fastnn.regularizers import Penalty
from fastnn.tensor import Tensor, convert
from fastnn.variable import Variable

ANOTHER_AXIS = (
    "put one sample into a batch with x[None], or make a column of one feature with x[:, None]"
)


class Dense(Layer):
    """activation(x @ kernel + bias), over the last axis of x.

    A matrix of scipy.sparse is taken as it is: its zeros cost neither time nor memory.

    Parameters
    ----------
    units : int
        The length of the output's last axis; positive.
    activation : str or callable, optional
        By default none.
    use_bias : bool, default True
    kernel_initializer : str or callable, default "glorot_uniform"
    bias_initializer : str or callable, default "zeros"
    kernel_regularizer, bias_regularizer : str or callable, optional
        Penalties on the weights, added to the loss.
    activity_regularizer : str or callable, optional
        A penalty on the output, added to the loss.
    kernel_constraint, bias_constraint : str or callable, optional
        What the weights are replaced with after every update.
    **options
        `name`, `trainable`, `dtype` and `input_shape`, as for every `Layer`.

    Attributes
    ----------
    kernel : Variable of shape (inputs, units)
        Made on first use, as is `bias`.
    bias : Variable of shape (units,), or None without a bias

    Raises
    ------
    ValueError
        If `units` is not a positive integer or a name is unknown; on a call, if the input has fewer
        than two axes or its last axis is not the one that the weights were made for.

    Examples
    --------
    >>> import fastnn
    >>> layer = fastnn.layers.Dense(3, activation="relu")
    >>> layer(fastnn.ones((2, 4))).shape
    (2, 3)
    >>> layer.kernel.shape, layer.bias.shape
    ((4, 3), (3,))
    """

    kernel: Variable
    bias: Variable | None

    def __init__(
        self,
        units: int,
        activation: str | Activation | None = None,
        use_bias: bool = True,
        kernel_initializer: str | Start = "glorot_uniform",
        bias_initializer: str | Start = "zeros",
        kernel_regularizer: str | Penalty | None = None,
        bias_regularizer: str | Penalty | None = None,
        activity_regularizer: str | Penalty | None = None,
        kernel_constraint: str | Projection | None = None,
        bias_constraint: str | Projection | None = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        self.units = self._checked(count, "units", units)
        self.activation: Activation | None = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Shape) -> None:
        """Make `kernel` and `bias` for an input of this shape."""
        if self.units == 1 and self.activation is ops.softmax:
            warn(
                f"layer {self.name!r}: the softmax of a single unit is always 1; use "
                'Dense(1, "sigmoid") and binary_crossentropy for two classes',
                SyntaxWarning,
            )
        self.kernel = self.add_weight(
            (self._inputs(input_shape), self.units),
            self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
            name="kernel",
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
                name="bias",
            )

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(batch, ..., units)."""
        self._inputs(input_shape)
        return (*input_shape[:-1], self.units)

    def _inputs(self, input_shape: Shape) -> int:
        """The length of the last axis, if the input has the axes that it needs."""
        if len(input_shape) < 2:
            raise ValueError(
                f"layer {self.name!r} needs an input of shape (batch, ..., inputs), got shape "
                f"{tuple(input_shape)}; {ANOTHER_AXIS}"
            )
        return known_length(self, input_shape, -1)

    def call(self, inputs: Tensor) -> Tensor:
        """The layer's output, of shape (..., units)."""
        expected = self.kernel.shape[0]
        if inputs.ndim < 2 or inputs.shape[-1] != expected:
            raise ValueError(
                f"an input of shape {inputs.shape} is incompatible with the layer {self.name!r}, "
                f"whose kernel has shape {self.kernel.shape}: the input's axis -1 must have length "
                f"{expected}{self._remedy(inputs.shape)}"
            )
        fused = self.activation is ops.relu
        x = convert(inputs, self.kernel.dtype)
        y = ops.dense(x, self.kernel, self.bias, relu=fused)
        return y if fused or self.activation is None else self.activation(y)

    def _remedy(self, shape: Shape) -> str:
        if len(shape) < 2:
            return f"; {ANOTHER_AXIS}"
        if math.prod(shape[1:]) == self.kernel.shape[0]:
            return "; flatten it with x.reshape(len(x), -1)"
        if math.prod(shape) == self.kernel.shape[0]:
            return "; of one sample make a batch with x.reshape(1, -1)"
        return ""
