"""Layers that disturb their input at random, while training: Gaussian noise and AlphaDropout."""

from __future__ import annotations

import math
from typing import Any

from fastnn import ops, random
from fastnn.hyperparameters import fraction
from fastnn.layers.dropout import Dropout
from fastnn.layers.shapes import ShapePreserving
from fastnn.ops.activations import SELU_ALPHA, SELU_SCALE
from fastnn.ops.core import floating
from fastnn.ops.noise import normal
from fastnn.tensor import Tensor


class GaussianNoise(ShapePreserving):
    """While training, the inputs plus normal numbers of mean 0; otherwise the inputs as they are.

    Parameters
    ----------
    stddev : float in [0, 1]
    seed : int or SeedGenerator, optional
        Equal seeds give equal numbers, use after use; by default drawn as weights are.
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        If `stddev` is not in [0, 1].

    Examples
    --------
    >>> import fastnn
    >>> layer = fastnn.layers.GaussianNoise(0.1, seed=1)
    >>> x = fastnn.zeros((1000,))
    >>> bool((layer(x) == x).numpy().all())
    True
    >>> round(float(layer(x, training=True).numpy().std()), 2)
    0.1
    """

    def __init__(self, stddev: float, seed: random.Seed = None, **options: Any) -> None:
        super().__init__(**options)
        self.stddev = self._checked(fraction, "stddev", stddev)
        self.seed = seed
        self._stream = random.Stream(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs, with noise if `training`."""
        if not training or not self.stddev:
            return inputs
        x = floating(inputs)
        return x + self.stddev * normal(x.shape, self._stream.key, self._stream.next(), x.dtype)


class GaussianDropout(ShapePreserving):
    """While training, the inputs times normal numbers of mean 1 and variance rate / (1 - rate).

    Otherwise the inputs as they are. Srivastava et al., 2014, section 10.

    Parameters
    ----------
    rate : float in [0, 1)
    seed : int or SeedGenerator, optional
        As for `GaussianNoise`.
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        If `rate` is not in [0, 1).
    """

    def __init__(self, rate: float, seed: random.Seed = None, **options: Any) -> None:
        super().__init__(**options)
        self.rate = self._checked(fraction, "rate", rate, True)
        self.seed = seed
        self._stream = random.Stream(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs, each times its number if `training`."""
        if not training or not self.rate:
            return inputs
        x = floating(inputs)
        drawn = normal(x.shape, self._stream.key, self._stream.next(), x.dtype)
        return x * (1 + math.sqrt(self.rate / (1 - self.rate)) * drawn)


class AlphaDropout(Dropout):
    """While training, SELU's saturation for a share `rate` of the inputs; mean and variance stay.

    Otherwise the inputs as they are. Klambauer et al., "Self-normalizing neural networks", 2017.

    Parameters
    ----------
    rate : float in [0, 1)
    noise_shape : tuple, optional
        As for `Dropout`.
    seed : int or SeedGenerator, optional
        As for `Dropout`.
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        If `rate` is not in [0, 1).
    """

    _below_one = True

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs, some replaced if `training`."""
        if not training or not self.rate:
            return inputs
        x = floating(inputs)
        saturated = -SELU_ALPHA * SELU_SCALE
        slope = math.pow((1 - self.rate) * (1 + self.rate * saturated**2), -0.5)
        offset = -slope * saturated * self.rate
        kept = self._mask(x) > 0
        return slope * ops.where(kept, x, saturated) + offset
