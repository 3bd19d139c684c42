"""The first network of the book on the whole of MNIST, where that is at hand."""

import os
from pathlib import Path

import numpy as np
import pytest

from fastnn import Sequential, isa, layers
from fastnn.datasets import mnist
from fastnn.utils import set_random_seed

pytestmark = [
    pytest.mark.skipif(
        not (Path(os.environ.get("FASTNN_DATA", "")) / "mnist").is_dir(),
        reason="FASTNN_DATA names no folder that has mnist",
    ),
    pytest.mark.skipif(isa() == "base", reason="it takes a minute without vector instructions"),
]


def test_accuracy():
    """The mean of five seeds, as one of them may be off by 0.002."""
    (x, y), (x_test, y_test) = mnist.load_data()
    assert x.shape == (60000, 28, 28)
    assert y.dtype == np.uint8
    x = x.reshape((60000, 28 * 28)).astype("float32") / 255
    x_test = x_test.reshape((10000, 28 * 28)).astype("float32") / 255
    accuracies = []
    for seed in range(5):
        set_random_seed(seed)
        model = Sequential(
            [layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")]
        )
        model.compile(
            optimizer="rmsprop", loss="sparse_categorical_crossentropy", metrics=["accuracy"]
        )
        history = model.fit(x, y, epochs=5, batch_size=128, verbose=0).history
        assert set(history) == {"loss", "accuracy"}
        assert history["accuracy"][-1] > 0.985
        accuracies.append(model.evaluate(x_test, y_test, verbose=0)[1])
    assert 0.974 < np.mean(accuracies) < 0.984
