"""A step of one's own under a GradientTape, compiled and op by op, against PyTorch and NumPy."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle, islice, starmap
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ratios import Group
from rivals import numpy_mnist
from stopwatch import REPEATS, Stopwatch
from trainees import Training, available, regression, weights

import fastnn
from fastnn import GradientTape, Tensor

Array = NDArray[Any]
Batches = list[tuple[Array, Array]]
Steps = Iterator[Any]  # the mean loss before each

TOLERANCES = {"SGD": 1e-3, "Adam": 0.02}  # rounding errors grow in divisions by small gradients
TRAININGS = {
    "SGD": Training((4, 16, 16, 1), 32, "sgd", 0.01),
    "Adam": Training((4, 16, 16, 1), 32, "adam", 0.001),
}
BATCHES, CHECKED = 100, 300


def own_step(training: Training) -> Callable[[Tensor, Tensor], Tensor]:
    model = training.model()
    optimizer, trained = model.optimizer, model.trainable_weights
    assert optimizer is not None

    def step(x: Tensor, y: Tensor) -> Tensor:
        with GradientTape() as tape:
            loss = fastnn.reduce_mean(fastnn.losses.mean_squared_error(y, model(x)))
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained, strict=True))
        return loss

    return step


def eagerly(training: Training, batches: Batches) -> Steps:
    return starmap(own_step(training), cycle(tensors(batches)))


def compiled(training: Training, batches: Batches) -> Steps:
    return starmap(fastnn.function(own_step(training)), cycle(tensors(batches)))


def tensors(batches: Batches) -> list[tuple[Tensor, Tensor]]:
    return [(fastnn.constant(x), fastnn.constant(y)) for x, y in batches]


def with_numpy(training: Training, batches: Batches) -> Steps:
    network = numpy_mnist.Network(weights(training.widths), training.batch)
    return (network.learn(x, y, training.rate) for x, y in cycle(batches))


def with_torch(training: Training, batches: Batches) -> Steps:
    import torch
    from rivals import torch_mnist

    network = torch_mnist.Network(weights(training.widths), training.rate, training.optimizer)
    copies = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches]
    return starmap(network.learn, cycle(copies))


FASTNN = {"own step, function": compiled, "own step, op by op": eagerly}
RIVALS = {"numpy": with_numpy, "torch": with_torch}


def entries() -> list[Any]:
    """Rivals take turns at a way, and all come round several times; NumPy's step is SGD's."""
    return [
        pytest.param(way, optimizer, rival, id=f"{way}-{optimizer}-{rival}-{repeat}")
        for repeat in range(REPEATS)
        for optimizer in TRAININGS
        for way in FASTNN
        for rival in available("fastnn", *RIVALS)
        if (rival, optimizer) != ("numpy", "Adam")
    ]


@cache
def losses(optimizer: str, way: str) -> list[float]:
    return [float(loss) for loss in islice(steps(optimizer, way), CHECKED)]


@cache
def steps(optimizer: str, way: str) -> Steps:
    """One step after the other, through all batches again and again."""
    training = TRAININGS[optimizer]
    x, y = (part[: BATCHES * training.batch] for part in regression(training.widths[0]))
    batches = list(zip(np.split(x, BATCHES), np.split(y, BATCHES), strict=True))
    return (FASTNN | RIVALS)[way](training, batches)


@pytest.mark.parametrize(("way", "optimizer", "rival"), entries())
def test_own_step(way: str, optimizer: str, rival: str, stopwatch: Stopwatch) -> None:
    """A step of one's own under a GradientTape."""
    runs = way if rival == "fastnn" else rival
    expected = losses(optimizer, "own step, op by op")
    assert np.mean(expected[-BATCHES:]) < np.mean(expected[:BATCHES])
    np.testing.assert_allclose(losses(optimizer, runs), expected, rtol=TOLERANCES[optimizer])
    group = Group(f"{way}, {optimizer}", "4-16-16-1, batch 32", "float32")
    stopwatch.time(group, rival, steps(optimizer, runs).__next__)
