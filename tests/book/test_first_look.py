"""A first network on digits, as each edition writes it, and the same from its parts."""

import math

import numpy as np
import pytest
from stand_ins import digits

import fastnn as tf


def check_history(history, *names, epochs):
    """`fit` returns lists of Python floats under these names, one for each epoch."""
    assert set(history.history) == set(names)
    for values in history.history.values():
        assert len(values) == epochs
        assert all(type(value) is float for value in values)
    assert history.epoch == list(range(epochs))


def test_layers_added_one_by_one(keras):
    """First edition: `add`, `input_shape`, one-hot labels."""
    models, layers, to_categorical = keras.models, keras.layers, keras.utils.to_categorical
    (x, y), (x_test, y_test) = digits()
    y, y_test = to_categorical(y), to_categorical(y_test)
    assert y.shape == (4000, 10)

    network = models.Sequential()
    network.add(layers.Dense(512, activation="relu", input_shape=(28 * 28,)))
    network.add(layers.Dense(10, activation="softmax"))
    assert [tuple(w.shape) for w in network.weights] == [(784, 512), (512,), (512, 10), (10,)]
    network.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    history = network.fit(x, y, epochs=5, batch_size=128, verbose=0)
    check_history(history, "loss", "accuracy", epochs=5)
    assert history.history["loss"][-1] < 0.3 < history.history["loss"][0]
    test_loss, test_accuracy = network.evaluate(x_test, y_test, verbose=0)
    assert 0.88 < test_accuracy < 0.97
    assert 0 < test_loss < 0.5


@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_integer_labels(keras, optimizer):
    """Second edition with rmsprop, third with adam: the same layers, sparse labels."""
    layers = keras.layers
    (x, y), (x_test, y_test) = digits()
    assert y.dtype == np.uint8
    model = keras.Sequential(
        [layers.Dense(512, activation="relu"), layers.Dense(10, activation="softmax")]
    )
    model.compile(optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=5, batch_size=128, verbose=0)
    check_history(history, "loss", "accuracy", epochs=5)
    assert history.params == {"verbose": 0, "epochs": 5, "steps": 32}

    predictions = model.predict(x_test[0:10], verbose=0)
    assert isinstance(predictions, np.ndarray)
    assert predictions.shape == (10, 10)
    assert predictions.dtype == np.float32
    np.testing.assert_allclose(predictions.sum(axis=1), 1, rtol=1e-5)
    assert predictions[0].argmax() == y_test[0] == 0
    called = keras.ops.convert_to_numpy(model(x_test[0:10]))
    np.testing.assert_allclose(predictions, called, rtol=1e-5, atol=1e-7)

    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    assert 0.88 < accuracy < 0.97
    right = model.predict(x_test, verbose=0).argmax(axis=1) == y_test
    np.testing.assert_allclose(accuracy, right.mean(), atol=2e-3)
    assert isinstance(loss, float)


def test_output_on_the_screen(keras, capsys):
    (x, y), _ = digits()
    model = keras.Sequential([keras.layers.Dense(10, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:256], y[:256], epochs=2, verbose=0)
    model.evaluate(x[:256], y[:256], verbose=0)
    assert capsys.readouterr().out == ""
    model.fit(x[:256], y[:256], epochs=2, verbose=2)
    shown = capsys.readouterr().out
    for part in ("Epoch 1/2", "Epoch 2/2", "loss: ", "accuracy: "):
        assert part in shown


class Affine:
    """A layer from variables and operations alone, as the third edition writes it."""

    def __init__(self, keras, inputs, outputs, activation):
        self.keras = keras
        self.activation = activation
        self.W = keras.Variable(shape=(inputs, outputs), initializer="uniform")
        self.b = keras.Variable(shape=(outputs,), initializer="zeros")

    def __call__(self, x):
        ops = self.keras.ops
        x = ops.matmul(x, self.W)
        x = x + self.b
        return x if self.activation is None else self.activation(x)

    @property
    def weights(self):
        return [self.W, self.b]


class Chain:
    def __init__(self, layers):
        self.layers = layers

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x

    @property
    def weights(self):
        return [weight for layer in self.layers for weight in layer.weights]


class Batches:
    def __init__(self, images, labels, size=128):
        assert len(images) == len(labels)
        self.start, self.images, self.labels, self.size = 0, images, labels, size
        self.count = math.ceil(len(images) / size)

    def next(self):
        part = slice(self.start, self.start + self.size)
        self.start += self.size
        return self.images[part], self.labels[part]


def test_forward_pass_of_variables_and_ops(keras):
    ops = keras.ops
    (x, y), _ = digits()
    model = Chain([Affine(keras, 784, 64, ops.relu), Affine(keras, 64, 10, ops.softmax)])
    assert len(model.weights) == 4
    first = keras.ops.convert_to_numpy(model.weights[0])
    assert first.shape == (784, 64)
    assert first.dtype == np.float32
    assert -0.05 <= first.min() < first.max() <= 0.05
    predictions = model(x[:50])
    assert tuple(predictions.shape) == (50, 10)
    losses = ops.sparse_categorical_crossentropy(y[:50], predictions)
    assert tuple(losses.shape) == (50,)
    assert abs(float(ops.mean(losses)) - np.log(10)) < 0.3
    labels = ops.argmax(predictions, axis=1)
    matches = ops.equal(labels, ops.convert_to_tensor(y[:50].astype("int64")))
    assert 0 <= float(ops.mean(matches)) <= 1
    w = model.weights[0]
    w.assign(w - ops.ones((784, 64)) * 0.5)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(w), first - 0.5, atol=1e-6)


def by_hand(gradients, weights):
    for gradient, weight in zip(gradients, weights, strict=True):
        weight.assign(weight - gradient * 0.3)


sgd = tf.optimizers.SGD(learning_rate=0.3)


def by_optimizer(gradients, weights):
    sgd.apply_gradients(zip(gradients, weights, strict=True))


@pytest.mark.parametrize("update", [by_hand, by_optimizer])
def test_training_of_variables_and_ops(update):
    """The loop of the third edition: operations of `keras.ops` under TensorFlow's tape."""
    keras = tf
    ops = keras.ops
    (x, y), (x_test, y_test) = digits()
    model = Chain([Affine(keras, 784, 64, ops.relu), Affine(keras, 64, 10, ops.softmax)])
    losses = []
    for _ in range(6):
        batches = Batches(x, y)
        for _ in range(batches.count):
            images, labels = batches.next()
            with tf.GradientTape() as tape:
                predictions = model(images)
                loss = ops.mean(ops.sparse_categorical_crossentropy(labels, predictions))
            update(tape.gradient(loss, model.weights), model.weights)
            losses.append(loss)
    assert len(losses) == 6 * 32
    assert len(images) == 4000 - 31 * 128
    assert float(losses[-1]) < 1 < float(losses[0])
    assert f"{losses[0]:.2f}" == f"{float(losses[0]):.2f}"
    predicted = ops.argmax(model(x_test), axis=1)
    matches = predicted == y_test
    accuracy = ops.mean(matches)
    np.testing.assert_allclose(accuracy, np.mean(matches.numpy()), rtol=1e-6)
    assert float(accuracy) > 0.8
