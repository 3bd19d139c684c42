"""The measure of "Deep Learning with Python": `x + y`, then relu, 1,000 times, for 20x100 elements.

The book's loops in Python took 2.45 s there, NumPy 0.02 s.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from ratios import Group
from rivals import python_lists
from stopwatch import REPEATS, Stopwatch

import fastnn
from fastnn import _kernels

Array = NDArray[Any]
Step = Callable[[], Any]

STEPS = 1000
SHAPE = (20, 100)


def kernels(x: Array, y: Array) -> Step:
    return lambda: _kernels.relu(_kernels.add(x, y))


def tensors(x: Array, y: Array) -> Step:
    a, b = fastnn.constant(x), fastnn.constant(y)
    return lambda: fastnn.relu(a + b)


def with_numpy(x: Array, y: Array) -> Step:
    return lambda: np.maximum(x + y, 0.0)


def with_python(x: Array, y: Array) -> Step:
    """As in the book, loops over the elements of NumPy arrays."""

    def step() -> Array:
        z = np.empty_like(x)
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                z[i, j] = x[i, j] + y[i, j]
        for i in range(z.shape[0]):
            for j in range(z.shape[1]):
                z[i, j] = max(z[i, j], 0)
        return z

    return step


def with_lists(x: Array, y: Array) -> Step:
    """The same over lists, which are made before."""
    a, b = x.tolist(), y.tolist()
    return lambda: python_lists.relu(python_lists.add(a, b))


FASTNN = {"book, kernels": kernels, "book, tensors": tensors}
RIVALS = {"numpy": with_numpy, "lists": with_lists, "python": with_python}


@pytest.mark.parametrize("rival", ["fastnn", "numpy", "lists", "python"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("op", FASTNN)
@pytest.mark.parametrize("repeat", range(REPEATS))
def test_book(op: str, dtype: str, rival: str, repeat: int, stopwatch: Stopwatch) -> None:
    """The book's measure: x + y, then relu."""
    random = np.random.default_rng(repeat)
    x, y = (random.standard_normal(SHAPE).astype(dtype) for _ in range(2))
    prepare = {**RIVALS, "fastnn": FASTNN[op]}[rival]
    step = prepare(x, y)
    expected = np.maximum(x.astype(np.float64) + y, 0)
    np.testing.assert_allclose(np.array(step()), expected, rtol=4 * float(np.finfo(dtype).eps))

    group = Group(op, "1000 times 20x100", dtype)

    def run() -> None:
        for _ in range(STEPS):
            step()

    stopwatch.time(group, rival, run, rounds=1 if rival == "python" else None)
