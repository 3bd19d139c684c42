"""Dropout: a layer that forgets at random, while training."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastnn import ops, random
from fastnn.layers.base import Layer
from fastnn.tensor import Tensor


class Dropout(Layer):
    """While training, 0 for a share `rate` of the inputs and input / (1 - rate) for the rest.

    Otherwise the inputs as they are. Srivastava et al., "Dropout: a simple way to prevent neural
    networks from overfitting", 2014.

    Parameters
    ----------
    rate : float in [0, 1]
    seed : int, optional
        Equal seeds give equal choices, use after use; by default drawn as weights are.
    **options
        `name` and `trainable`, as for every `Layer`.

    Raises
    ------
    ValueError
        If `rate` is not in [0, 1].

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

    def __init__(self, rate: float, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        if (
            isinstance(rate, bool)
            or not isinstance(rate, int | float | np.number)
            or not 0 <= rate <= 1
        ):
            raise ValueError(f"layer {self.name!r}: rate must be from 0 to 1, got {rate!r}")
        self.rate = float(rate)
        self.seed = seed
        self._stream = random.Stream(seed)

    def call(self, inputs: Tensor, training: bool = False) -> Tensor:
        """The inputs, some dropped if `training`."""
        if not training or not self.rate:
            return inputs
        return ops.dropout(inputs, self.rate, self._stream.key, self._stream.next())
