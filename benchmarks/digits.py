"""MNIST as the benchmarks train on it."""

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastnn.datasets import mnist

Array = NDArray[Any]


class Data(NamedTuple):
    """Images as rows of float32 in [0, 1]."""

    name: str
    x_train: Array
    y_train: Array
    x_test: Array
    y_test: Array


@cache
def load() -> Data:
    """The whole of it where it can be had, else the sample."""
    try:
        name, splits = "MNIST", mnist.load_data()
    except (ImportError, OSError):
        name, splits = "MNIST sample", mnist.load_sample()
    (x_train, y_train), (x_test, y_test) = splits
    return Data(name, as_rows(x_train), y_train, as_rows(x_test), y_test)


@cache
def density() -> float:
    """The share of pixels that are not zero."""
    images = load().x_train
    return np.count_nonzero(images) / images.size


def as_rows(images: Array) -> Array:
    rows = images.reshape(len(images), -1).astype(np.float32)
    rows /= np.float32(255)  # in place: bench_memory.py measures the peak
    return rows
