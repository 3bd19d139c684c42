"""An epoch on MNIST by `Sequential.fit`, against the same training hand-written in NumPy."""

from collections.abc import Callable
from typing import Any, NamedTuple

import digits
import numpy as np
import pytest
from digits import Data
from numpy.typing import NDArray
from ratios import Group
from rivals.numpy_mnist import Network
from stopwatch import REPEATS, Stopwatch

import fastnn
from fastnn import layers, optimizers

Array = NDArray[Any]

BATCH = 128
RATE = 0.1


class Trainee(NamedTuple):
    """One epoch, which returns its mean loss, and predictions by the weights so far."""

    epoch: Callable[[], float]
    predict: Callable[[Array], Array]

    def accuracy(self, data: Data) -> float:
        return float(np.mean(self.predict(data.x_test).argmax(axis=1) == data.y_test))


@pytest.fixture(scope="module")
def data() -> Data:
    return digits.load()


@pytest.fixture(scope="module")
def trainees(data: Data) -> dict[str, Trainee]:
    """The rivals after one epoch from the same start, in which they learned equally well."""
    model = fastnn_model(data)
    start = [w.numpy() for w in model.weights]
    both = {"fastnn": by_fastnn(model, data), "numpy": by_numpy(start, data)}
    before = both["fastnn"].accuracy(data)
    losses = [trainee.epoch() for trainee in both.values()]
    after = [trainee.accuracy(data) for trainee in both.values()]
    assert max(losses) < np.log(10), "equal probabilities would have been as good"
    assert losses == pytest.approx([losses[0]] * 2, abs=0.02)
    assert min(after) > before + 0.5
    assert after == pytest.approx([after[0]] * 2, abs=0.01)
    return both


def fastnn_model(data: Data) -> fastnn.Sequential:
    fastnn.random.seed(0)
    model = fastnn.Sequential([layers.Dense(512, "relu"), layers.Dense(10, "softmax")])
    model.compile(optimizers.SGD(RATE), "sparse_categorical_crossentropy")
    model(data.x_train[:1])
    return model


def by_fastnn(model: fastnn.Sequential, data: Data) -> Trainee:
    def epoch() -> float:
        history = model.fit(data.x_train, data.y_train, batch_size=BATCH, verbose=0)
        return history.history["loss"][0]

    return Trainee(epoch, model.predict)


def by_numpy(start: list[Array], data: Data) -> Trainee:
    network = Network(start, BATCH)
    random = np.random.default_rng(0)
    return Trainee(lambda: network.fit(data.x_train, data.y_train, RATE, random), network.predict)


@pytest.mark.parametrize("rival", ["fastnn", "numpy"])
@pytest.mark.parametrize("repeat", range(REPEATS))
def test_epoch(
    rival: str, repeat: int, data: Data, trainees: dict[str, Trainee], stopwatch: Stopwatch
) -> None:
    """An epoch of training by `Sequential.fit`."""
    group = Group(f"{data.name} epoch", "784-512-10", "float32")
    stopwatch.time(group, rival, trainees[rival].epoch, rounds=1)
