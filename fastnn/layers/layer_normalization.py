"""LayerNormalization: samples of mean 0 and variance 1, each by its own statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastnn import ops
from fastnn.arrays import Shape
from fastnn.constraints import Projection
from fastnn.hyperparameters import axes, not_negative
from fastnn.initializers import Start
from fastnn.layers.affine import Affine
from fastnn.layers.shapes import check_lengths, known_length, position
from fastnn.regularizers import Penalty
from fastnn.tensor import Tensor, convert


class LayerNormalization(Affine):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, with the statistics of each sample.

    Ba, Kiros and Hinton, "Layer normalization", 2016.

    Parameters
    ----------
    axis : int or list of int, default -1
        What mean and variance are taken over; `gamma` and `beta` have the shape of these axes.
    epsilon : float, default 0.001
    center, scale : bool, default True
        Whether there is a `beta`, a `gamma`.
    beta_initializer, gamma_initializer : str or callable, default "zeros" and "ones"
    beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint : optional
        str or callable.
    **options
        As for every `Layer`.

    Attributes
    ----------
    gamma, beta : Variable
        Made on first use; None if they are not wanted.

    Raises
    ------
    TypeError
        If `axis` is neither an integer nor a list of them.
    ValueError
        On a call, if the axes are not of the lengths that the weights were made for.

    Examples
    --------
    >>> import fastnn
    >>> fastnn.layers.LayerNormalization(epsilon=0.0)([[1.0, 3.0], [10.0, 30.0]]).numpy()
    array([[-1.,  1.],
           [-1.,  1.]], dtype=float32)
    """

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Start = "zeros",
        gamma_initializer: str | Start = "ones",
        beta_regularizer: str | Penalty | None = None,
        gamma_regularizer: str | Penalty | None = None,
        beta_constraint: str | Projection | None = None,
        gamma_constraint: str | Projection | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            center=center,
            scale=scale,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
            **options,
        )
        chosen = self._checked(axes, "axis", axis)
        self.axis = chosen if isinstance(chosen, int) else sorted(chosen)
        self.epsilon = self._checked(not_negative, "epsilon", epsilon)

    def build(self, input_shape: Shape) -> None:
        """Make `gamma` and `beta` for inputs of this shape."""
        given = [self.axis] if isinstance(self.axis, int) else self.axis
        in_order = sorted(given, key=lambda axis: position(self, input_shape, axis))
        self._lengths = {axis: known_length(self, input_shape, axis) for axis in in_order}
        self._make_affine(tuple(self._lengths.values()))

    def call(self, inputs: Tensor) -> Tensor:
        """The normalized inputs."""
        check_lengths(self, inputs.shape, self._lengths)
        x = convert(inputs, self.compute_dtype)
        own = tuple(axis % x.ndim for axis in self._lengths)
        first = min(own)
        along = tuple(n if a in own else 1 for a, n in enumerate(x.shape[first:], first))
        centered = x - ops.reduce_mean(x, own, keepdims=True)
        variance = ops.reduce_mean(ops.square(centered), own, keepdims=True)
        return self._affine(centered / ops.sqrt(variance + self.epsilon), along)
