"""What changes several variables changes all of them, or none where memory runs out half-way."""

import itertools

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, Variable, layers, metrics, optimizers
from fastnn._kernels import Writing
from fastnn.recorders import recorders

X = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def network():
    model = Sequential([layers.Dense(2, "relu"), layers.Dense(1)])
    model(X)
    return model


def setting_weights(path):
    model = network()
    return model.weights, lambda: model.set_weights([w + 1 for w in model.get_weights()])


def loading_weights(path):
    model = network()
    network().save_weights(path)
    return model.weights, lambda: model.load_weights(path)


def adapting(path):
    layer = layers.Normalization()
    layer.adapt(X)
    return layer.weights, lambda: layer.adapt(2 * X)


def putting_in_averages(path):
    optimizer, weights = optimizers.SGD(0.1, use_ema=True), [Variable(X), Variable(X)]
    optimizer.apply([fastnn.ones_like(w) for w in weights], weights)
    optimizer.apply([fastnn.ones_like(w) for w in weights], weights)
    return weights, lambda: optimizer.finalize_variable_values(weights)


def measuring(path):
    metric = metrics.Precision()
    metric(X[:, 0] > 0, X[:, 1] > 0)
    return metric.variables, lambda: metric.update_state(X[:, 0] > 0, X[:, 2] > 0)


def forgetting(path):
    metric = metrics.MeanSquaredError()
    metric(X, 2 * X)
    return metric.variables, metric.reset_state


@pytest.mark.parametrize(
    "make",
    [setting_weights, loading_weights, adapting, putting_in_averages, measuring, forgetting],
)
def test_all_or_none(make, tmp_path, monkeypatch):
    variables, change = make(tmp_path / "weights")
    before = [v.numpy() for v in variables]
    failures = 0
    for n in itertools.count():
        calls = itertools.count()

        # Every change of a variable asks for this first.
        def failing(self, n=n, calls=calls):
            if next(calls) == n:
                raise MemoryError
            return vars(self)["undo"]

        undo = property(failing, lambda self, value: vars(self).update(undo=value))
        monkeypatch.setattr(type(recorders), "undo", undo, raising=False)
        try:
            change()
            break
        except MemoryError:
            failures += 1
        finally:
            monkeypatch.undo()
        for v, value in zip(variables, before, strict=True):
            np.testing.assert_array_equal(v, value)
            assert not isinstance(v._finite, Writing) or v._finite.is_over
    assert failures > 1
    assert any((v.numpy() != value).any() for v, value in zip(variables, before, strict=True))
