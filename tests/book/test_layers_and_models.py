"""Layers of one's own, and ways to put models together."""

import numpy as np
import pytest
from stand_ins import digits, two_clouds


def plain_dense(keras):
    """A dense layer as a user writes it."""

    class PlainDense(keras.layers.Layer):
        def __init__(self, units, activation=None):
            super().__init__()
            self.units = units
            self.activation = activation

        def build(self, input_shape):
            self.W = self.add_weight(
                shape=(input_shape[-1], self.units), initializer="random_normal"
            )
            self.b = self.add_weight(shape=(self.units,), initializer="zeros")

        def call(self, inputs):
            y = keras.ops.matmul(inputs, self.W) + self.b
            return y if self.activation is None else self.activation(y)

    return PlainDense


def test_a_layer_is_built_by_its_first_call(keras):
    layer = plain_dense(keras)(units=32, activation=keras.ops.relu)
    assert not layer.built
    assert layer.weights == []
    y = layer(keras.ops.ones(shape=(2, 784)))
    assert tuple(y.shape) == (2, 32)
    assert layer.built
    kernel, bias = layer.get_weights()
    assert kernel.shape == (784, 32)
    assert kernel.dtype == np.float32
    assert abs(kernel.std() - 0.05) < 0.005
    np.testing.assert_array_equal(bias, np.zeros(32))
    y = keras.ops.convert_to_numpy(y)
    np.testing.assert_allclose(y, np.maximum(np.ones((2, 784)) @ kernel, 0), atol=1e-5)
    assert len(layer.trainable_weights) == 2
    assert layer.non_trainable_weights == []


def test_own_layers_in_a_model(keras):
    dense = plain_dense(keras)
    (x, y), (x_test, y_test) = digits()
    model = keras.Sequential(
        [dense(32, activation=keras.activations.relu), dense(10, keras.activations.softmax)]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=4, batch_size=64, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.8
    assert len(model.weights) == 4
    assert len(model.layers) == 2


def test_a_model_makes_no_use_of_its_layers_before_data_comes(keras):
    """Strings where the layer wants functions: wrong only when called."""
    dense = plain_dense(keras)
    model = keras.Sequential([dense(32, activation="relu"), dense(10, activation="softmax")])
    assert len(model.layers) == 2
    with pytest.raises(Exception, match="str"):
        model(np.ones((1, 4), "float32"))


def test_state_that_is_not_trained(keras):
    class Total(keras.Layer):
        def build(self, input_shape):
            self.total = self.add_weight(
                shape=(input_shape[-1],), initializer="zeros", trainable=False, name="total"
            )

        def call(self, inputs):
            self.total.assign(self.total + keras.ops.sum(inputs, axis=0))
            return inputs

    layer = Total()
    for _ in range(2):
        layer(np.ones((3, 2), "float32"))
    assert layer.trainable_weights == []
    assert len(layer.non_trainable_weights) == 1
    np.testing.assert_array_equal(layer.get_weights()[0], [6, 6])


def test_layers_within_layers(keras):
    class Block(keras.layers.Layer):
        def __init__(self, units, rate):
            super().__init__()
            self.dense = keras.layers.Dense(units, activation="relu")
            self.dropout = keras.layers.Dropout(rate)

        def call(self, inputs, training=False):
            return self.dropout(self.dense(inputs), training=training)

    values = keras.ops.convert_to_numpy
    block = Block(100, 0.5)
    x = np.ones((50, 8), "float32")
    at_rest = values(block(x))
    np.testing.assert_array_equal(at_rest, values(block(x, training=False)))
    at_work = values(block(x, training=True))
    kept = at_work != 0
    np.testing.assert_allclose(at_work[kept], 2 * at_rest[kept], rtol=1e-6)
    assert len(block.weights) == 2
    model = keras.Sequential([block, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(x, np.ones(50), epochs=2, verbose=0)
    assert len(model.trainable_weights) == 4


def test_variables_of_a_layer(keras):
    class Shift(keras.layers.Layer):
        def __init__(self):
            super().__init__()
            self.shift = self.add_variable(shape=(2,), initializer="ones", name="shift")
            self.scale = keras.Variable([2.0, 3.0])

        def call(self, inputs):
            return self.scale * inputs + self.shift

    layer = Shift()
    y = keras.ops.convert_to_numpy(layer(np.array([[1.0, 10.0]], "float32")))
    np.testing.assert_array_equal(y, [[3, 31]])
    assert len(layer.trainable_weights) == 2


def test_loss_of_a_layer_is_added(keras):
    class Penalty(keras.layers.Layer):
        def call(self, inputs):
            self.add_loss(0.5 * keras.ops.mean(keras.ops.square(inputs)))
            return inputs

    model = keras.Sequential([Penalty(), keras.layers.Dense(1, kernel_initializer="zeros")])
    model.compile("sgd", "mse")
    x = np.full((8, 3), 2.0, "float32")
    assert model.evaluate(x, np.zeros(8), verbose=0) == pytest.approx(2.0)
    history = model.fit(x, np.zeros(8), epochs=1, verbose=0)
    assert history.history["loss"][0] == pytest.approx(2.0)


def test_mistakes_are_refused(keras):
    with pytest.raises(ValueError, match="units"):
        keras.layers.Dense(0)
    with pytest.raises(ValueError, match="units"):
        keras.layers.Dense(-3)
    layer = keras.layers.Dense(3)
    layer(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="incompatible with the layer"):
        layer(np.ones((2, 5), "float32"))
    with pytest.raises(ValueError, match="rate"):
        keras.layers.Dropout(1.5)
    model = keras.Sequential([keras.layers.Dense(1, name="same")])
    with pytest.raises(ValueError, match="unique names"):
        model.add(keras.layers.Dense(1, name="same"))
    with pytest.raises(ValueError, match="compile"):
        model.fit(np.ones((2, 4)), np.ones(2))


@pytest.mark.parametrize("first", ["input_shape", "Input", "build", "InputLayer", "old"])
def test_shapes_known_beforehand(keras, first):
    layers = keras.layers
    dense = layers.Dense(64, activation="relu", name="hidden")
    if first == "input_shape":
        model = keras.Sequential([layers.Dense(64, "relu", input_shape=(3,), name="hidden")])
    elif first == "Input":
        model = keras.Sequential([keras.Input(shape=(3,)), dense])
    elif first == "InputLayer":
        model = keras.Sequential([layers.InputLayer(shape=(3,)), dense])
    elif first == "old":
        model = keras.Sequential([layers.InputLayer(input_shape=(3,)), dense])
    else:
        model = keras.Sequential([dense])
    model.add(layers.Dense(10, activation="softmax", name="output"))
    if first == "build":
        model.build((None, 3))
    assert [layer.name for layer in model.layers] == ["hidden", "output"]
    assert model.count_params() == 3 * 64 + 64 + 64 * 10 + 10
    assert model.get_layer("output").units == 10
    assert model.get_layer(index=0) is model.layers[0]


def test_summary(keras, capsys):
    model = keras.Sequential(name="small")
    model.add(keras.Input(shape=(3,)))
    model.add(keras.layers.Dense(64, activation="relu", name="first"))
    model.add(keras.layers.Dropout(0.5))
    model.add(keras.layers.Dense(10, activation="softmax", name="last"))
    model.summary()
    shown = capsys.readouterr().out
    for part in (
        "small",
        "first",
        "last",
        "Dense",
        "(None, 64)",
        "(None, 10)",
        "256",
        "650",
        "906",
    ):
        assert part in shown
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    assert "first" in "".join(lines)
    assert capsys.readouterr().out == ""


def test_add_and_pop(keras):
    model = keras.Sequential([keras.layers.Dense(4), keras.layers.Dense(3)])
    model.pop()
    assert len(model.layers) == 1
    model.add(keras.layers.Dense(2))
    assert model(np.ones((1, 5), "float32")).shape[-1] == 2


def test_weights_move_between_models(keras):
    def build():
        return keras.Sequential([keras.layers.Dense(4, "tanh"), keras.layers.Dense(2)])

    x = np.random.default_rng(0).normal(size=(6, 3)).astype("float32")
    one, other = build(), build()
    assert not np.allclose(one.predict(x, verbose=0), other.predict(x, verbose=0))
    other.set_weights(one.get_weights())
    np.testing.assert_array_equal(one.predict(x, verbose=0), other.predict(x, verbose=0))
    weights = one.get_weights()
    assert all(isinstance(w, np.ndarray) for w in weights)
    weights[0][:] = 0  # a copy
    assert one.get_weights()[0].any()
    with pytest.raises(ValueError, match="weights"):
        other.set_weights(weights[:2])


def test_a_subclass_of_model(keras):
    class Classifier(keras.Model):
        def __init__(self, classes):
            super().__init__()
            self.hidden = keras.layers.Dense(64, activation="relu")
            self.dropout = keras.layers.Dropout(0.2)
            self.classes = keras.layers.Dense(classes, activation="softmax")

        def call(self, inputs, training=False):
            x = self.hidden(inputs)
            return self.classes(self.dropout(x, training=training))

    (x, y), (x_test, y_test) = digits()
    model = Classifier(10)
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(x, y, epochs=4, batch_size=64, validation_split=0.1, verbose=0)
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.85
    assert model.predict(x_test[:7], verbose=0).shape == (7, 10)
    assert len(model.layers) == 3
    assert len(model.trainable_weights) == 4


@pytest.mark.parametrize("kind", [dict, list, tuple])
def test_several_inputs(keras, kind):
    class Sum(keras.Model):
        def __init__(self):
            super().__init__()
            self.first = keras.layers.Dense(1)
            self.second = keras.layers.Dense(1)

        def call(self, inputs):
            return self.first(inputs[0]) + self.second(inputs[1])

    rng = np.random.default_rng(0)
    parts = rng.normal(size=(60, 3)).astype("float32"), rng.normal(size=(60, 2)).astype("float32")
    x = {0: parts[0], 1: parts[1]} if kind is dict else kind(parts)
    y = parts[0].sum(axis=1, keepdims=True) - parts[1].sum(axis=1, keepdims=True)
    model = Sum()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    history = model.fit(x, y, batch_size=20, epochs=20, validation_split=0.1, verbose=0).history
    assert history["loss"][-1] < history["loss"][0] / 10
    p = model.predict(x, verbose=0)
    assert p.shape == (60, 1)
    assert model.evaluate(x, y, verbose=0) == pytest.approx(np.mean((p - y) ** 2), rel=1e-4)
    np.testing.assert_allclose(keras.ops.convert_to_numpy(model(x)), p, rtol=1e-5, atol=1e-6)


def test_models_within_models(keras):
    inner = keras.Sequential([keras.layers.Dense(8, "relu"), keras.layers.Dense(4)])
    model = keras.Sequential([inner, keras.layers.Dense(1, "sigmoid")])
    x, y = two_clouds(100)
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=20, batch_size=16, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.95
    assert len(model.weights) == 6


def test_layers_that_are_not_trained(keras):
    hidden, out = keras.layers.Dense(8, "relu"), keras.layers.Dense(1)
    hidden.trainable = False
    model = keras.Sequential([hidden, out])
    x, y = two_clouds(50)
    model.build((None, 2))
    before = [w.copy() for w in model.get_weights()]
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 2
    model.compile("sgd", "mse")
    model.fit(x, y, epochs=2, verbose=0)
    after = model.get_weights()
    np.testing.assert_array_equal(after[0], before[0])
    np.testing.assert_array_equal(after[1], before[1])
    assert np.abs(after[2] - before[2]).max() > 0


def test_names_of_layers(keras):
    layer = keras.layers.Dense(3)
    assert layer.name.startswith("dense")
    layer(np.ones((1, 2), "float32"))
    assert [w.name for w in layer.weights] == ["kernel", "bias"]
    assert layer.weights[0].path == f"{layer.name}/kernel"
