"""Random numbers for tests of kernels."""

import numpy as np


def draw(rng, shape, dtype):
    return np.asarray(rng.standard_normal(shape), dtype)
