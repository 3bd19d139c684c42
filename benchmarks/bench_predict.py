"""Predictions by a network for MNIST: of one row, and of ten thousand."""

from collections.abc import Callable
from functools import cache
from typing import Any

import digits
import numpy as np
import pytest
from numpy.typing import NDArray
from ratios import Group
from rivals import numpy_mnist
from stopwatch import REPEATS, Stopwatch
from trainees import Training, available, weights

import fastnn

Array = NDArray[Any]
Prediction = Callable[[], Any]

TRAINING = Training((784, 512, 10), 128, "sgd", 0.1)
ROWS = {1: 2000, 10_000: 3}  # and how often they are predicted
QUANTILES = {"median": 0.5, "99th percentile": 0.99}


def model_predict(x: Array) -> Prediction:
    model = TRAINING.model()
    return lambda: model.predict(x)


def compiled_call(x: Array) -> Prediction:
    call, rows = fastnn.function(TRAINING.model()), fastnn.constant(x)
    return lambda: call(rows)


def with_numpy(x: Array) -> Prediction:
    network = numpy_mnist.Network(weights(TRAINING.widths), TRAINING.batch)
    return lambda: network.predict(x)


def with_torch(x: Array) -> Prediction:
    import torch
    from rivals import torch_mnist

    network = torch_mnist.Network(weights(TRAINING.widths), TRAINING.rate)
    rows = torch.from_numpy(x)
    return lambda: network.predict(rows)


FASTNN = {"function(model)(x)": compiled_call, "model.predict(x)": model_predict}
RIVALS = {"numpy": with_numpy, "torch": with_torch}


def entries() -> list[Any]:
    """Rivals take turns at a line, and all lines come round several times."""
    return [
        pytest.param(way, rows, quantile, rival, id=f"{way}-{rows}-{quantile}-{rival}-{repeat}")
        for repeat in range(REPEATS)
        for rows in ROWS
        for way in FASTNN
        for quantile in (QUANTILES if rows == 1 else ("median",))
        for rival in available("fastnn", *RIVALS)
    ]


@cache
def prediction(way: str, rows: int) -> Prediction:
    """Predicts what the formula in float64 gives."""
    x = digits.load().x_test[:rows]
    predict = (FASTNN | RIVALS)[way](x)
    start = [w.astype(np.float64) for w in weights(TRAINING.widths)]
    expected = numpy_mnist.Network(start, 1).predict(x.astype(np.float64))
    np.testing.assert_allclose(np.asarray(predict()), expected, rtol=1e-4, atol=1e-6)
    return predict


@pytest.mark.parametrize(("way", "rows", "quantile", "rival"), entries())
def test_predict(way: str, rows: int, quantile: str, rival: str, stopwatch: Stopwatch) -> None:
    """Predictions of a trained network."""
    call = prediction(way if rival == "fastnn" else rival, rows)
    group = Group(f"{way}, {quantile}", f"{TRAINING.network}, rows {rows}", "float32")
    stopwatch.time(group, rival, call, rounds=ROWS[rows], quantile=QUANTILES[quantile])
