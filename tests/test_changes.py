"""Attributes that are replaced after a step was recorded: the next epoch, or call, sees them."""

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, callbacks, changes, layers, losses, optimizers, regularizers

X = np.random.default_rng(5).standard_normal((20, 3)).astype(np.float32)
Y = X.sum(axis=1, keepdims=True)


class Scaled(layers.Layer):
    """Times a number of Python's, noting what went through."""

    def __init__(self):
        super().__init__()
        self._scale = 1.0

    def call(self, inputs):
        self.seen = inputs
        return inputs * self._scale


class Bent(losses.Loss):
    power = 2.0

    def __init__(self):
        super().__init__()
        self.factor = 1.0

    def call(self, y_true, y_pred):
        return self.factor * abs(y_true - y_pred) ** self.power


def trained(change, eagerly):
    """The history of two epochs and the outputs, with `change` after the first."""
    fastnn.utils.set_random_seed(2)
    made = [
        Scaled(),
        layers.Dense(4, "tanh", kernel_regularizer=regularizers.L2(0.01)),
        layers.BatchNormalization(),
        layers.Rescaling(2.0),
        layers.Dense(1),
    ]
    model = Sequential(made)
    model.compile(optimizers.SGD(0.01, momentum=0.5, clipnorm=10.0), Bent(), run_eagerly=eagerly)
    model.evaluate(X[:16], Y[:16], 8, verbose=0)
    then = callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: change(model))
    history = model.fit(X, Y, 8, epochs=2, shuffle=False, verbose=0, callbacks=[then])
    return history.history["loss"], model.predict(X, 8)


def nothing(model):
    """Leave it as it is."""


@pytest.mark.parametrize(
    "change",
    [
        lambda model: setattr(model.layers[0], "_scale", 3.0),
        lambda model: setattr(model.layers[1], "activation", fastnn.nn.relu),
        lambda model: setattr(model.layers[1].kernel_regularizer, "l2", np.float32(0.5)),
        lambda model: setattr(model.layers[2], "epsilon", 0.5),
        lambda model: setattr(model.layers[3], "scale", 0.5),
        lambda model: setattr(model.optimizer, "momentum", 0.9),
        lambda model: setattr(model.optimizer, "clipnorm", 0.001),
        lambda model: setattr(model.loss, "factor", 5.0),
        lambda model: setattr(model.loss, "power", 3.0),
        lambda model: setattr(model.layers[1].kernel, "trainable", False),
        lambda model: setattr(model.layers[4].kernel, "regularizer", regularizers.L1(0.5)),
        lambda model: setattr(model.layers[4].bias, "constraint", lambda b: b * 0),
    ],
)
def test_a_change_counts_from_the_next_epoch(change):
    history, outputs = trained(change, eagerly=False)
    expected, same = trained(change, eagerly=True)
    assert history == expected
    np.testing.assert_array_equal(outputs, same)
    unchanged = trained(nothing, eagerly=False)
    assert history != unchanged[0]


def test_what_training_notes_is_no_change():
    model = Sequential(
        [Scaled(), layers.Dropout(0.5), layers.BatchNormalization(), layers.Dense(1)]
    )
    model.compile("adam", Bent(), ["mae", fastnn.metrics.RootMeanSquaredError()])

    def use():
        stop = callbacks.EarlyStopping(patience=0, restore_best_weights=True)
        model.fit(X, Y, validation_split=0.2, epochs=3, verbose=0, callbacks=[stop])
        model.evaluate(X, Y, verbose=0)
        model.train_on_batch(X, Y)
        model.predict(model(X)[:, :1] * X)

    use()
    before = changes.changes()
    use()
    assert changes.changes() == before


class Cooling(fastnn.Model):
    """Each call that trains halves a number, and multiplies by it."""

    def __init__(self):
        super().__init__()
        self.factor = 1.0

    def call(self, inputs, training=False):
        if training:
            self.factor *= 0.5
        return inputs * self.factor


def test_what_a_call_of_the_users_changes_counts():
    model = Cooling()
    model.compile("sgd", "mse")
    np.testing.assert_array_equal(model.predict(X), X)
    model(X, training=True)
    np.testing.assert_array_equal(model.predict(X), X / 2)


def test_what_a_call_leaves_behind_does_not():
    model = Sequential([Scaled()])
    model.predict(X)
    before = changes.changes()
    model(X)
    assert changes.changes() == before


def test_a_layer_built_anew_in_a_call():
    model = Sequential([layers.Dense(2)])
    first = model.predict(X)
    model.layers[0].built = False
    expected = model(X).numpy()
    assert (expected != first).any()
    np.testing.assert_array_equal(model.predict(X), expected)


class Listed(layers.Layer):
    """Times weights in a list, and an array of float64."""

    def __init__(self):
        super().__init__()
        self.weights_, self.scale = [fastnn.Variable([2.0, 2.0, 2.0])], np.ones(3)

    def call(self, inputs):
        for weight in self.weights_:
            inputs = inputs * weight
        return inputs * self.scale


def test_variables_in_lists_may_come_and_go():
    model = Sequential([Listed()])
    np.testing.assert_array_equal(model.predict(X), 2 * X)
    model.layers[0].weights_.append(fastnn.Variable([1.5, 1.5, 1.5]))
    np.testing.assert_array_equal(model.predict(X), 3 * X)
    model.layers[0].weights_.pop(0)
    np.testing.assert_allclose(model.predict(X), 1.5 * X)


def test_an_array_that_is_multiplied_in_place():
    model = Sequential([Listed()])
    model.predict(X)
    model.layers[0].scale *= 2
    np.testing.assert_array_equal(model.predict(X), 4 * X)


@pytest.mark.parametrize("eagerly", [False, True])
def test_averages_of_layers_that_are_frozen_again_go_on(eagerly):
    """Each step moves an average by a tenth of the way to what is constant then."""
    model = Sequential([layers.Dense(2), layers.Dense(1)])
    sgd = optimizers.SGD(0.05, use_ema=True, ema_momentum=0.9)
    model.compile(sgd, "mse", run_eagerly=eagerly)
    for trainable in (False, True, False):
        model.layers[0].trainable = trainable
        model.fit(X, Y, epochs=2, verbose=0)
    frozen = model.layers[0].kernel
    frozen.assign_add(np.ones((3, 2)))
    at = model.optimizer._get_variable_index(frozen)
    before = model.optimizer._model_variables_moving_average[at].numpy()
    model.fit(X, Y, epochs=3, verbose=0)
    now = model.optimizer._model_variables_moving_average[at].numpy()
    assert (now != before).all()
    np.testing.assert_allclose(now - frozen, 0.9**3 * (before - frozen), rtol=1e-4, atol=1e-7)


class Noting(fastnn.Model):
    """A model whose call leaves things of every kind in its attributes."""

    def __init__(self):
        super().__init__()
        self.dense, self.parts, self.seen = layers.Dense(1), [], {}

    def call(self, inputs):
        self.parts = []
        self.parts.append(inputs)
        self.shape_seen, self.seen = inputs.shape, {"x": inputs, "n": 3}
        self.hidden = self.dense(inputs)
        return self.hidden


class Own(optimizers.Optimizer):
    def update_step(self, gradient, variable, learning_rate):
        variable.assign_sub(fastnn.cast(learning_rate, "float32") * gradient)


def fitted(optimizer="sgd", how=(), model=None, **options):
    model = model or Sequential([layers.Dense(2, "relu"), layers.Dropout(0.5), layers.Dense(1)])
    model.compile(optimizer, "mse", ["mae"], **options)
    model.fit(X, Y, 10, epochs=3, verbose=0, validation_split=0.5, callbacks=list(how))
    return model


def direct_calls(model):
    for _ in range(3):
        model(X[:10])
        model.train_on_batch(X[:10], Y[:10])


def others_are_made(model):
    optimizers.schedules.ExponentialDecay(0.1, 10, 0.9, staircase=True)
    layers.Dense(3)(X)
    layers.BatchNormalization()(X)
    layers.Dense(2).compute_output_shape((None, 3))
    model.predict(X[:10])
    model.optimizer.build(model.trainable_weights)


@pytest.mark.parametrize(
    ("make", "use", "programs"),
    [
        (lambda: fitted(check_numerics="raise"), lambda model: None, 2),
        (lambda: fitted(how=[callbacks.TerminateOnNaN()]), lambda model: None, 2),
        (lambda: fitted(optimizers.Adam(use_ema=True)), lambda model: None, 2),
        (lambda: fitted(Own(0.1)), lambda model: None, 3),
        (lambda: fitted(optimizers.SGD(lambda: 0.1)), lambda model: None, 2),
        (lambda: fitted(how=[callbacks.ReduceLROnPlateau(patience=0)]), direct_calls, 2),
        (lambda: fitted(model=Noting()), direct_calls, 3),
        (fitted, others_are_made, 3),
    ],
    ids=["numerics", "nan", "averages", "own", "rate", "calls", "left behind", "others"],
)
def test_what_is_usual_records_nothing_anew(make, use, programs, monkeypatch):
    """A program to train, one to test, one to predict; code of one's own is recorded twice, to see
    whether it does the same again.
    """
    made, init = [], fastnn.loop.CompiledLoop.__init__
    monkeypatch.setattr(
        fastnn.loop.CompiledLoop, "__init__", lambda *args: made.append(1) or init(*args)
    )
    model = make()
    model.fit(X, Y, 10, verbose=0, validation_split=0.5)
    for _ in range(2):
        use(model)
    model.fit(X, Y, 10, verbose=0, validation_split=0.5)
    assert len(made) == programs


class Centred(layers.Layer):
    """Each call that trains keeps the mean of its inputs, and all subtract it."""

    def __init__(self, start):
        super().__init__()
        self.mean = start

    def call(self, inputs, training=False):
        if training:
            self.mean = fastnn.reduce_mean(inputs)
        return inputs if self.mean is None else inputs - self.mean


@pytest.mark.parametrize("start", [None, fastnn.constant(0.0)], ids=["none", "zero"])
def test_a_tensor_that_a_program_has_taken_in(start):
    model = Sequential([Centred(start)])
    model.predict(X)
    for shift in (5, 7):
        model(X + shift, training=True)
        np.testing.assert_allclose(model.predict(X), X - (X + shift).mean(), rtol=1e-4, atol=1e-5)
