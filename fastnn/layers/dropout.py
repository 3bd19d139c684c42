"""Dropout: a layer that forgets at random, while training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from fastnn import ops, random
from fastnn.hyperparameters import fraction
from fastnn.layers.base import Layer
from fastnn.layers.shapes import ShapePreserving
from fastnn.ops.core import floating
from fastnn.tensor import Tensor, ones


class Dropout(ShapePreserving):
    """While training, 0 for a share `rate` of the inputs and input / (1 - rate) for the rest.

    Otherwise the inputs as they are. Srivastava et al., "Dropout: a simple way to prevent neural
    networks from overfitting", 2014.

    Parameters
    ----------
    rate : float in [0, 1]
    noise_shape : tuple, optional
        The shape of the choices, which are broadcast to the input: (None, 1, 8) makes one for all
        of axis 1. None stands for the input's own length.
    seed : int or SeedGenerator, optional
        Equal seeds give equal choices, use after use; by default drawn as weights are.
    **options
        As for every `Layer`.

    Raises
    ------
    ValueError
        If `rate` is not in [0, 1], or `noise_shape` has a length that is not positive; on a call,
        if it does not fit the input.

    Examples
    --------
    >>> import fastnn
    >>> layer = fastnn.layers.Dropout(0.5, seed=1)
    >>> x = fastnn.ones((1000,))
    >>> bool((layer(x) == x).numpy().all())
    True
    >>> sorted(set(layer(x, training=True).numpy().tolist()))
    [0.0, 2.0]
    """

    _below_one: ClassVar[bool] = False  # whether a rate of 1 makes no sense

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: random.Seed = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.rate = self._checked(fraction, "rate", rate, self._below_one)
        self.noise_shape = _checked_noise_shape(self, noise_shape)
        self.seed = seed
        self._stream = random.Stream(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs, some dropped if `training`."""
        if not training or not self.rate:
            return inputs
        if self.noise_shape is not None:
            return inputs * self._mask(floating(inputs))
        return ops.dropout(inputs, self.rate, self._stream.key, self._stream.next())

    def _mask(self, x: Tensor) -> Tensor:
        """0 or 1 / (1 - rate), chosen for each element of `noise_shape`."""
        given = self.noise_shape or (None,) * x.ndim
        fits = len(given) == x.ndim and all(
            n in (None, 1, m) for n, m in zip(given, x.shape, strict=True)
        )
        if not fits:
            raise ValueError(
                f"layer {self.name!r}: an input of shape {x.shape} and noise_shape {given}; the "
                "lengths of noise_shape must be those of the input, 1 or None"
            )
        shape = tuple(m if n is None else n for n, m in zip(given, x.shape, strict=True))
        return ops.dropout(ones(shape, x.dtype), self.rate, self._stream.key, self._stream.next())


def _checked_noise_shape(
    layer: Layer, noise_shape: Sequence[int | None] | None
) -> tuple[int | None, ...] | None:
    """`noise_shape` as a tuple; ValueError if a length is neither a positive integer nor None."""
    if noise_shape is None:
        return None
    positive = [
        n is None or (isinstance(n, int | np.integer) and n > 0 and not isinstance(n, bool))
        for n in ([0] if isinstance(noise_shape, str | int) else noise_shape)
    ]
    if not all(positive):
        raise ValueError(
            f"layer {layer.name!r}: noise_shape must be a tuple of positive integers or None, got "
            f"{noise_shape!r}"
        )
    return tuple(noise_shape)
