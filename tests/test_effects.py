"""What a step does in Python at every run: fit notices it, says so, and runs op by op."""

import random

import numpy as np
import pytest

import fastnn
from fastnn import Model, Sequential, layers, metrics, optimizers

X, Y = np.ones((100, 3), np.float32), np.zeros((100, 1), np.float32)


class Noise(layers.Layer):
    def __init__(self, draw):
        super().__init__()
        self.draw = draw

    def call(self, inputs, training=False):
        return inputs + float(self.draw()) if training else inputs


@pytest.mark.parametrize("draw", [np.random.normal, random.random])
def test_random_numbers_of_others(draw):
    model = Sequential([layers.Dense(1, kernel_initializer="zeros"), Noise(draw)])
    model.compile(optimizers.SGD(0.0), "mse")
    with pytest.warns(UserWarning, match="draws from the random numbers of NumPy or Python"):
        history = model.fit(X, Y, epochs=4, verbose=0).history
    assert len(set(history["loss"])) == 4


class Count(metrics.Metric):
    """The samples, counted in Python."""

    def __init__(self):
        super().__init__(name="count")
        self.n = 0

    def reset_state(self):
        self.n = 0

    def update_state(self, y_true, y_pred, sample_weight=None):
        self.n += len(y_true)

    def result(self):
        return fastnn.constant(float(self.n))


def test_a_metric_that_counts():
    model = Sequential([layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Count()])
    with pytest.warns(UserWarning, match=r"changes the number Count\.n, .*make a Variable of it"):
        assert model.evaluate(X, Y, batch_size=10, verbose=0)[1] == 100


class Counting(Model):
    """It counts its steps."""

    def __init__(self):
        super().__init__()
        self.dense, self.steps, self.seen = layers.Dense(1), 0, 0

    def call(self, inputs):
        return self.dense(inputs)

    def train_step(self, data):
        self.steps += 1
        self.seen += len(data[0])
        return {"steps": fastnn.constant(float(self.steps))}


def test_a_model_that_counts_its_steps(recwarn):
    model = Counting()
    model.compile("sgd")
    for first in (1, 5):
        history = model.fit(X, Y, batch_size=100, epochs=4, verbose=0).history
        assert history["steps"] == list(range(first, first + 4))
    assert model.seen == 800
    assert len([w for w in recwarn if "Counting.steps" in str(w.message)]) == 1
