"""Epochs and steps by `Sequential.fit`, against the same training hand-written."""

from functools import cache
from typing import Any, NamedTuple

import digits
import pytest
from numpy.typing import NDArray
from ratios import Group
from stopwatch import REPEATS, Stopwatch
from trainees import Epoch, Training, available, regression, trained

Array = NDArray[Any]

MNIST, REGRESSION = (784, 512, 10), (4, 16, 16, 1)
HAND_WRITTEN = ("fastnn", "kernels", "numpy", "torch")
SGD, OTHERS = ("fastnn", "numpy", "torch"), ("fastnn", "torch")


class Case(NamedTuple):
    """What is trained on how many samples, all by default, and by whom.

    The tolerance is for the mean loss of an epoch, in relation to it.
    """

    name: str
    training: Training
    rivals: tuple[str, ...]
    samples: int | None = None
    standardised: bool = False
    tolerance: float = 1e-3


EPOCHS = (
    Case("SGD, zeros skipped", Training(MNIST, 128, "sgd", 0.1), HAND_WRITTEN),
    Case("SGD, dense", Training(MNIST, 128, "sgd", 0.05), HAND_WRITTEN, standardised=True),
    # Rounding errors grow where steps are divided by the size of gradients.
    Case("Adam", Training(MNIST, 128, "adam", 0.001), OTHERS, tolerance=0.02),
    Case("RMSprop", Training(MNIST, 128, "rmsprop", 0.001), OTHERS, tolerance=0.05),
    Case("SGD, dropout", Training(MNIST, 128, "sgd", 0.1, dropout=0.5), OTHERS, tolerance=0.05),
)
STEPS = (
    Case("SGD", Training(MNIST, 1, "sgd", 0.01), SGD, 2_000),
    Case("Adam", Training(MNIST, 1, "adam", 1e-4), OTHERS, 2_000, tolerance=0.02),
    Case("SGD", Training(MNIST, 32, "sgd", 0.1), SGD, 10_000),
    Case("Adam", Training(MNIST, 32, "adam", 0.001), OTHERS, 10_000, tolerance=0.02),
    Case("SGD", Training(REGRESSION, 32, "sgd", 0.01), SGD, 100_000),
    Case("Adam", Training(REGRESSION, 32, "adam", 0.001), OTHERS, 100_000, tolerance=0.02),
)


def entries(cases: tuple[Case, ...]) -> list[Any]:
    """Rivals take turns at a case, and all cases come round several times."""
    return [
        pytest.param(case, rival, id=f"{name(case)}-{rival}-{repeat}")
        for repeat in range(REPEATS)
        for case in cases
        for rival in available(*case.rivals)
    ]


def name(case: Case) -> str:
    return f"{case.name}, {case.training.network}, batch {case.training.batch}"


@cache
def rivals(case: Case) -> dict[str, Epoch]:
    """Those that are installed, after an epoch in which they learned the same."""
    x, y = dataset(case)
    return trained(
        available(*case.rivals), case.training, x[: case.samples], y[: case.samples], case.tolerance
    )


def dataset(case: Case) -> tuple[Array, Array]:
    if not case.training.classifies:
        return regression(case.training.widths[0])
    data = digits.load()
    return standardised() if case.standardised else data.x_train, data.y_train


@cache
def standardised() -> Array:
    """The images with a mean of 0 and a deviation of 1: no pixel is zero."""
    x = digits.load().x_train
    return (x - x.mean()) / x.std()


@pytest.mark.parametrize(("case", "rival"), entries(EPOCHS))
def test_epoch(case: Case, rival: str, stopwatch: Stopwatch) -> None:
    """An epoch of training by `Sequential.fit`, shuffled."""
    epoch, training = rivals(case)[rival], case.training
    size = f"{training.network}, batch {training.batch}"
    group = Group(f"{digits.load().name} epoch, {case.name}", size, "float32")
    stopwatch.time(group, rival, lambda: epoch(True), rounds=1)


@pytest.mark.parametrize(("case", "rival"), entries(STEPS))
def test_step_of_fit(case: Case, rival: str, stopwatch: Stopwatch) -> None:
    """A step of training, as a part of `Sequential.fit`, shuffled."""
    epoch, training = rivals(case)[rival], case.training
    assert case.samples is not None
    epoch(True)  # some take milliseconds, of which the first are slow after seconds of another's
    group = Group(f"step, {case.name}", f"{training.network}, batch {training.batch}", "float32")
    steps = -(-case.samples // training.batch)
    stopwatch.time(group, rival, lambda: epoch(True), rounds=1, steps=steps)
