"""BatchNormalization: features of mean 0 and variance 1, by the statistics of the batch."""

from __future__ import annotations

from typing import Any

from fastnn import initializers, ops
from fastnn.arrays import Shape
from fastnn.constraints import Projection
from fastnn.hyperparameters import fraction, not_negative, one_axis
from fastnn.initializers import Start
from fastnn.layers.affine import Affine
from fastnn.layers.shapes import check_lengths, known_length
from fastnn.regularizers import Penalty
from fastnn.tensor import Tensor, convert
from fastnn.variable import Variable


class BatchNormalization(Affine):
    """gamma * (x - mean) / sqrt(variance + epsilon) + beta, for each position along an axis.

    While training, mean and variance are those of the batch, and move the moving averages:
    moving = momentum * moving + (1 - momentum) * batch. Otherwise, and always in a layer that is
    not `trainable`, they are the moving averages. Ioffe and Szegedy, "Batch normalization:
    accelerating deep network training by reducing internal covariate shift", 2015.

    Parameters
    ----------
    axis : int, default -1
        The axis of the features.
    momentum : float, default 0.99
    epsilon : float, default 0.001
    center, scale : bool, default True
        Whether there is a `beta`, a `gamma`.
    beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer
        str or callable; "zeros", "ones", "zeros" and "ones".
    beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint : optional
        str or callable.
    **options
        As for every `Layer`.

    Attributes
    ----------
    gamma, beta, moving_mean, moving_variance : Variable of shape (features,)
        Made on first use; `gamma` and `beta` are None if they are not wanted.

    Raises
    ------
    ValueError
        On a call, if the axis is not of the length that the weights were made for.

    Examples
    --------
    >>> import fastnn
    >>> layer = fastnn.layers.BatchNormalization(epsilon=0.0)
    >>> layer([[1.0], [3.0]], training=True).numpy().ravel()
    array([-1.,  1.], dtype=float32)
    >>> layer.moving_mean
    Variable([0.02], shape=(1,), dtype=float32)
    """

    moving_mean: Variable
    moving_variance: Variable

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: str | Start = "zeros",
        gamma_initializer: str | Start = "ones",
        moving_mean_initializer: str | Start = "zeros",
        moving_variance_initializer: str | Start = "ones",
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
        self.axis = self._checked(one_axis, "axis", axis)
        self.momentum = self._checked(fraction, "momentum", momentum)
        self.epsilon = self._checked(not_negative, "epsilon", epsilon)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)

    def build(self, input_shape: Shape) -> None:
        """Make the weights for inputs of this shape."""
        shape = (known_length(self, input_shape, self.axis),)
        self._make_affine(shape)
        self.moving_mean = self.add_weight(
            shape, self.moving_mean_initializer, trainable=False, name="moving_mean"
        )
        self.moving_variance = self.add_weight(
            shape, self.moving_variance_initializer, trainable=False, name="moving_variance"
        )

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The normalized inputs, by the statistics of the batch if `training`."""
        check_lengths(self, inputs.shape, {self.axis: self.moving_mean.size})
        x = convert(inputs, self.compute_dtype)
        axis = self.axis % x.ndim
        along = tuple(n if a == axis else 1 for a, n in enumerate(x.shape[axis:], axis))
        mean, variance = self.moving_mean.value, self.moving_variance.value
        in_training = training and self.trainable
        others = tuple(a for a in range(x.ndim) if a != axis)
        if in_training:
            mean = ops.reduce_mean(x, others)
        centered = x - ops.reshape(mean, along)
        if in_training:
            variance = ops.reduce_mean(ops.square(centered), others)
            self._move(self.moving_mean, mean)
            self._move(self.moving_variance, variance)
        factor = 1 / ops.sqrt(variance + self.epsilon)
        return self._affine(centered * ops.reshape(factor, along), along)

    def _move(self, average: Variable, of_batch: Tensor) -> None:
        average.assign(average * self.momentum + of_batch * (1 - self.momentum))
