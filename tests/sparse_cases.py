"""Data of mostly zeros, and a model that learns from them."""

import numpy as np

from fastnn import Sequential, layers


def data(rng, n=300, k=40, density=0.1, dtype=np.float32):
    """Whole numbers, mostly zeros, and labels 0 to 2."""
    x = rng.integers(1, 9, (n, k)) * (rng.random((n, k)) < density)
    return x.astype(dtype), rng.integers(0, 3, n)


def classifier(optimizer="sgd", units=64):
    model = Sequential(
        [layers.Dense(units, activation="relu"), layers.Dense(3, activation="softmax")]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", ["accuracy"])
    return model
