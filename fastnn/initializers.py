"""How weights start. An initializer is a function from a shape and a dtype to a tensor."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from fastnn import random
from fastnn.arrays import DType, Shape
from fastnn.lookup import resolve
from fastnn.tensor import Tensor, ones, zeros

Initializer: TypeAlias = Callable[[Shape, DType], Tensor]


def glorot_uniform(shape: Shape, dtype: DType = np.float32) -> Tensor:
    """Uniform in +-sqrt(6 / (inputs + outputs)), the last two axes being inputs and outputs.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
    2010, equation 16.

    Examples
    --------
    >>> from fastnn import initializers
    >>> w = initializers.glorot_uniform((784, 512))
    >>> bool(abs(w.numpy()).max() <= 0.068042)
    True
    """
    inputs, outputs = (shape[0], shape[0]) if len(shape) == 1 else shape[-2:]
    limit = math.sqrt(6 / max(1, inputs + outputs))
    return random.uniform(shape, -limit, limit, dtype)


def random_normal(shape: Shape, dtype: DType = np.float32) -> Tensor:
    """Normal with mean 0 and standard deviation 0.05."""
    return random.normal(shape, 0.0, 0.05, dtype)


def random_uniform(shape: Shape, dtype: DType = np.float32) -> Tensor:
    """Uniform in [-0.05, 0.05)."""
    return random.uniform(shape, -0.05, 0.05, dtype)


_NAMES: dict[str, Initializer] = {
    "glorot_uniform": glorot_uniform,
    "ones": ones,
    "random_normal": random_normal,
    "random_uniform": random_uniform,
    "uniform": random_uniform,
    "zeros": zeros,
}


def get(identifier: str | Initializer) -> Initializer:
    """An initializer by its name, or the callable itself."""
    found: Initializer = resolve("initializer", identifier, _NAMES)
    return found
