"""The same bits: whole trainings, whatever the number of threads and the way they run."""

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, layers
from fastnn.datasets import mnist

STEPS, BATCH = 200, 20


def trained(optimizer="adam", **options):
    """The bytes of all weights after so many steps on the digits of the package."""
    fastnn.utils.set_random_seed(7)
    (x, y), _ = mnist.load_sample()
    x = x.reshape(-1, 784)[: STEPS * BATCH].astype(np.float32) / 255
    model = Sequential(
        [layers.Dense(128, "relu"), layers.Dropout(0.3), layers.Dense(10, "softmax")]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", **options)
    model.fit(x, y[: len(x)], BATCH, verbose=0)
    return b"".join(w.numpy().tobytes() for w in model.weights)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_threads_and_ways(optimizer, times, record):
    """As many steps, with threads more than there are processors, compiled and op by op."""
    with fastnn.threads(1):
        expected = trained(optimizer)
    for threads in (2, 3, 4, 7, 16)[:: times(2, 1)]:
        with fastnn.threads(threads):
            assert trained(optimizer) == expected
    assert trained(optimizer, run_eagerly=True) == expected
    record(f"trainings of {STEPS} steps by {optimizer}: 1, 2, 3, 4, 7, 16 threads", "same bits")
