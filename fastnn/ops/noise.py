"""Random numbers as ops: from a key and a counter, so the same however a step is run."""

from __future__ import annotations

import numpy as np

from fastnn.arrays import Array, DType, Shape, to_dtype
from fastnn.ops.core import primitive
from fastnn.tensor import Tensor, TensorLike, convert


@primitive
def _normal(counter: Array, shape: Shape, dtype: np.dtype[np.floating], key: int) -> Array:
    # The counter stands in the second word: each use has 2^64 blocks of its own below it.
    bits = np.random.Philox(key=key, counter=[0, int(counter) % 2**64, 0, 0])
    return np.random.Generator(bits).standard_normal(shape, dtype)


def normal(shape: Shape, key: int, counter: TensorLike, dtype: DType = np.float32) -> Tensor:
    """Numbers of mean 0 and standard deviation 1, which `key` and `counter` decide.

    Parameters
    ----------
    shape : tuple of int
    key : int
        From 0 to 2^64 - 1.
    counter : tensor of int64, shape ()
    dtype : float32 (default) or float64
    """
    kind = to_dtype(dtype, floating=True)
    return _normal(convert(counter), shape=shape, dtype=kind, key=key)
