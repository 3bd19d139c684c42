"""Steps of training on MNIST, each hand-written: kernels called from Python, NumPy, PyTorch."""

from collections.abc import Callable, Iterator, Sequence
from itertools import cycle, islice
from typing import Any

import digits
import kernels_mnist
import numpy as np
import pytest
from digits import Data
from numpy.typing import NDArray
from ratios import Group
from rivals import installed, numpy_mnist
from stopwatch import REPEATS, Stopwatch
from trainees import weights
from work import Work

from fastnn import _kernels

Array = NDArray[Any]
Weights = Sequence[Array]
Step = Callable[[Array], float]  # from the rows of a batch to the sum of its losses

WIDTHS = (784, 512, 10)
BATCH = 128
RATE = 0.1

# Enough steps for a difference between the networks to grow, and rounds of one step.
CHECKED, ROUNDS = 100, 60


def with_kernels(start: Weights, x: Array, y: Array) -> Step:
    network = kernels_mnist.Network(start, BATCH)
    return lambda rows: network.step(x, y, rows, RATE)


def with_rows(start: Weights, x: Array, y: Array) -> Step:
    network, images = kernels_mnist.SparseNetwork(start, BATCH), _kernels.compress(x)
    return lambda rows: network.step(images, y, rows, RATE)


def with_numpy(start: Weights, x: Array, y: Array) -> Step:
    network = numpy_mnist.Network(start, BATCH)
    return lambda rows: network.step(x, y, rows, RATE)


def with_torch(start: Weights, x: Array, y: Array) -> Step:
    import torch
    from rivals import torch_mnist

    network = torch_mnist.Network(start, RATE)
    images, labels = torch.from_numpy(x), torch.from_numpy(y)
    return lambda rows: network.step(images, labels, torch.from_numpy(rows))


DENSE = "step, dense"
FASTNN = {DENSE: with_kernels, "step, zeros skipped": with_rows}
RIVALS = {"numpy": with_numpy} | ({"torch": with_torch} if installed(torch="torch_mnist") else {})


@pytest.fixture(scope="module")
def data() -> Data:
    return digits.load()


@pytest.fixture(scope="module")
def steps(data: Data) -> dict[str, Callable[[], float]]:
    """By name, one step after the other; all have learned the same in the first ones."""
    start, labels = weights(WIDTHS), data.y_train.astype(np.int64)
    made = {
        name: stepping(prepare(start, data.x_train, labels), len(labels))
        for name, prepare in (FASTNN | RIVALS).items()
    }
    losses = {name: list(islice(iterate, CHECKED)) for name, iterate in made.items()}
    for name in made:
        np.testing.assert_allclose(losses[name], losses["numpy"], rtol=1e-3, err_msg=name)
    assert losses["numpy"][-1] < losses["numpy"][0] / 2
    return {name: iterate.__next__ for name, iterate in made.items()}


def stepping(step: Step, samples: int) -> Iterator[float]:
    """Steps over whole batches in an order that is the same for all."""
    order = np.random.default_rng(0).permutation(samples)
    return map(step, cycle(order[: samples // BATCH * BATCH].reshape(-1, BATCH)))


def work(density: float) -> Work:
    """That of two products with so dense inputs for the first layer, three for the second."""
    inputs, hidden, outputs = WIDTHS
    multiply_adds = BATCH * hidden * (2 * density * inputs + 3 * outputs)
    return Work(2 * multiply_adds, 2 * sum(w.nbytes for w in weights(WIDTHS)))


@pytest.mark.parametrize("rival", ["fastnn", *RIVALS])
@pytest.mark.parametrize("variant", FASTNN)
@pytest.mark.parametrize("repeat", range(REPEATS))
def test_step(
    repeat: int,
    variant: str,
    rival: str,
    data: Data,
    steps: dict[str, Callable[[], float]],
    stopwatch: Stopwatch,
) -> None:
    """A step of training, hand-written."""
    step = steps[variant if rival == "fastnn" else rival]
    step()
    group = Group(f"{data.name} {variant}", f"784-512-10, batch {BATCH}", "float32")
    density = 1.0 if variant == DENSE else digits.density()
    stopwatch.time(group, rival, step, rounds=ROUNDS, work=work(density))
