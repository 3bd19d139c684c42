"""Hyperparameters out of their range are refused where they are given, by name."""

import re

import pytest

from fastnn import callbacks, constraints, initializers, layers, losses, metrics

REFUSED = [
    (lambda: callbacks.EarlyStopping(patience="3"), "patience must be an integer and not negative"),
    (lambda: callbacks.EarlyStopping(patience=-1), "patience must be an integer and not negative"),
    (lambda: callbacks.EarlyStopping(start_from_epoch=0.5), "start_from_epoch must be an integer"),
    (lambda: callbacks.ReduceLROnPlateau(factor=-0.1), "factor must be a number in [0, 1)"),
    (lambda: callbacks.ReduceLROnPlateau(patience=None), "patience must be an integer"),
    (lambda: callbacks.ReduceLROnPlateau(cooldown=-1), "cooldown must be an integer"),
    (lambda: callbacks.ReduceLROnPlateau(min_lr=-1), "min_lr must be a number and not negative"),
    (
        lambda: layers.BatchNormalization(momentum=2, name="norm"),
        "layer 'norm': momentum must be a number in [0, 1], got 2",
    ),
    (lambda: layers.BatchNormalization(epsilon=-1), "epsilon must be a number and not negative"),
    (lambda: layers.LayerNormalization(epsilon="small"), "epsilon must be a number"),
    (lambda: layers.Dense(0.5, name="d"), "layer 'd': units must be a positive integer, got 0.5"),
    (lambda: initializers.RandomNormal(stddev=-1), "stddev must be a number and not negative"),
    (lambda: initializers.VarianceScaling(scale=0), "scale must be a positive number, got 0"),
    (lambda: constraints.MaxNorm(-1), "max_value must be a number and not negative, got -1"),
    (lambda: constraints.MinMaxNorm(min_value=-1), "min_value must be a number and not negative"),
    (lambda: constraints.MinMaxNorm(rate=2), "rate must be a number in [0, 1], got 2"),
    (lambda: losses.huber([[0.0]], [[1.0]], delta=-1), "delta must be a positive number, got -1"),
    (lambda: layers.ReLU(-1, name="r"), "layer 'r': max_value must be a number and not negative"),
    (lambda: layers.ReLU(negative_slope=None), "negative_slope must be a number and not negative"),
    (lambda: layers.ReLU(threshold=-0.1), "threshold must be a number and not negative"),
    (
        lambda: layers.LeakyReLU(negative_slope=None),
        "negative_slope must be a number and not negative",
    ),
    (lambda: layers.LeakyReLU(float("nan")), "negative_slope must be a number and not negative"),
    (lambda: layers.GaussianNoise(-0.1, name="n"), "layer 'n': stddev must be a number in [0, 1]"),
    (lambda: layers.GaussianNoise(2.0), "stddev must be a number in [0, 1]"),
    (lambda: layers.GaussianDropout(1), "rate must be a number in [0, 1), got 1"),
    (lambda: layers.AlphaDropout("half"), "rate must be a number in [0, 1)"),
    (lambda: metrics.RecallAtPrecision(0.5, 0), "num_thresholds must be a positive integer, got 0"),
    (
        lambda: losses.categorical_crossentropy([[0, 1]], [[0.5, 0.5]], label_smoothing="much"),
        "label_smoothing must be a number in [0, 1], got 'much'",
    ),
]


@pytest.mark.parametrize(("make", "message"), REFUSED)
def test_numbers_out_of_their_range_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
