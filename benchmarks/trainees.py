"""One training by several rivals, which start from the same weights."""

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise
from typing import Any, NamedTuple

import kernels_mnist
import numpy as np
import pytest
from numpy.typing import NDArray
from rivals import installed, numpy_mnist

import fastnn
from fastnn import layers, optimizers
from fastnn._kernels import CompressedRows
from fastnn.sparse import without_zeros

Array = NDArray[Any]

# Samples on which the rivals are compared: the last batch is a short one.
CHECKED = 10_000

# PyTorch has the epsilon of RMSprop outside of the root: its is the root of this one.
OPTIMIZERS = {
    "sgd": optimizers.SGD,
    "adam": optimizers.Adam,
    "rmsprop": partial(optimizers.RMSprop, epsilon=1e-14),
}


class Training(NamedTuple):
    """Dense layers with relu between them, and how they learn: classes, or one number."""

    widths: tuple[int, ...]
    batch: int
    optimizer: str
    rate: float
    dropout: float = 0.0  # after each hidden layer

    @property
    def classifies(self) -> bool:
        return self.widths[-1] > 1

    @property
    def network(self) -> str:
        return "-".join(map(str, self.widths))

    def model(self) -> fastnn.Sequential:
        """The network in fastnn, compiled."""
        made: list[layers.Layer] = []
        for units in self.widths[1:-1]:
            made.append(layers.Dense(units, "relu"))
            if self.dropout:
                made.append(layers.Dropout(self.dropout))
        made.append(layers.Dense(self.widths[-1], "softmax" if self.classifies else None))
        model = fastnn.Sequential(made)
        loss = "sparse_categorical_crossentropy" if self.classifies else "mse"
        model.compile(OPTIMIZERS[self.optimizer](self.rate), loss)
        model(fastnn.zeros((1, self.widths[0])))
        for variable, w in zip(model.weights, weights(self.widths), strict=True):
            variable.assign(w)
        return model


def weights(widths: tuple[int, ...]) -> list[Array]:
    """The start: the weights and the biases of each layer."""
    random = np.random.default_rng(0)
    return [
        w
        for shape in pairwise(widths)
        for w in (
            (random.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32),
            np.zeros(shape[1], np.float32),
        )
    ]


@cache
def regression(inputs: int, samples: int = 100_000) -> tuple[Array, Array]:
    """A wave over the inputs, with noise."""
    random = np.random.default_rng(0)
    x, noise = (random.standard_normal((samples, n), np.float32) for n in (inputs, 1))
    return x, np.sin(x.sum(axis=1, keepdims=True)) + 0.1 * noise


Epoch = Callable[[bool], float]  # shuffled or in order; the mean loss, each batch before its update


def by_fastnn(training: Training, x: Array, y: Array) -> Epoch:
    model = training.model()

    def epoch(shuffle: bool) -> float:
        history = model.fit(x, y, batch_size=training.batch, verbose=0, shuffle=shuffle)
        return history.history["loss"][0]

    return epoch


def by_kernels(training: Training, x: Array, y: Array) -> Epoch:
    """Without the zeros where `fit` leaves them out, which are taken away beforehand."""
    images, labels = without_zeros(x, training.widths[1], passes=2), y.astype(np.int64)
    sparse = isinstance(images, CompressedRows)
    kind = kernels_mnist.SparseNetwork if sparse else kernels_mnist.Network
    sizes = {training.batch, len(x) % training.batch or training.batch}
    networks = {size: kind(weights(training.widths), size) for size in sizes}
    for network in networks.values():
        network.weights = networks[training.batch].weights

    def epoch(shuffle: bool) -> float:
        order = ordered(len(x), shuffle)
        batches = (order[at : at + training.batch] for at in range(0, len(x), training.batch))
        losses = (networks[len(rows)].step(images, labels, rows, training.rate) for rows in batches)
        return sum(losses) / len(x)

    return epoch


def by_numpy(training: Training, x: Array, y: Array) -> Epoch:
    network = numpy_mnist.Network(weights(training.widths), training.batch)
    return lambda shuffle: network.fit(x, y, ordered(len(x), shuffle), training.rate)


def by_torch(training: Training, x: Array, y: Array) -> Epoch:
    import torch
    from rivals import torch_mnist

    _, batch, optimizer, rate, dropout = training
    network = torch_mnist.Network(weights(training.widths), rate, optimizer, dropout)
    images = torch.from_numpy(x)
    labels = torch.from_numpy(y.astype(np.int64) if training.classifies else y)
    choose = {True: torch.randperm, False: torch.arange}
    return lambda shuffle: network.fit(images, labels, choose[shuffle](len(x)), batch)


def ordered(samples: int, shuffle: bool) -> Array:
    return np.random.default_rng().permutation(samples) if shuffle else np.arange(samples)


MAKERS = {"fastnn": by_fastnn, "kernels": by_kernels, "numpy": by_numpy, "torch": by_torch}


def available(*rivals: str) -> list[str]:
    """Those of the rivals that are installed."""
    missing = set() if installed(torch="torch_mnist") else {"torch"}
    return [rival for rival in rivals if rival not in missing]


def trained(
    rivals: list[str], training: Training, x: Array, y: Array, tolerance: float
) -> dict[str, Epoch]:
    """Epochs by the rivals, who learn the same from a part of the data, up to `tolerance`."""
    made = {rival: MAKERS[rival](training, x[:CHECKED], y[:CHECKED]) for rival in rivals}
    losses = {rival: [epoch(False), epoch(False)] for rival, epoch in made.items()}
    assert losses["fastnn"][1] < losses["fastnn"][0]
    for rival, those in losses.items():
        assert those == pytest.approx(losses["fastnn"], rel=tolerance), rival
    return {rival: MAKERS[rival](training, x, y) for rival in rivals}
