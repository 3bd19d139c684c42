"""Whole trainings from the same weights, over the same batches, as Keras does them."""

import numpy as np
import pytest
from keras_reference import keras

import fastnn

# Keras's arrays are not yet as NumPy 2 wants them.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

RNG = np.random.default_rng(0)
X = RNG.normal(size=(70, 6)).astype("float32")
CLASSES = (X[:, 0] > 0).astype("int64") + (X[:, 1] > 0)
NUMBERS = X[:, :2] + 0.1 * RNG.normal(size=(70, 2)).astype("float32")
WEIGHTS = RNG.uniform(0.5, 2, 70).astype("float32")


def classifier(k, **options):
    return k.Sequential(
        [
            k.layers.Dense(8, activation="relu", **options),
            k.layers.Dense(3, activation="softmax"),
        ]
    )


def regressor(k, *between, **options):
    return k.Sequential([k.layers.Dense(8, "tanh", **options), *between, k.layers.Dense(2)])


def sparse(k):
    model = classifier(k)
    model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model, CLASSES


def one_hot(k):
    model = classifier(k)
    metrics = ["accuracy", k.metrics.TopKCategoricalAccuracy(2, name="top"), "AUC"]
    model.compile("adam", "categorical_crossentropy", metrics=metrics)
    return model, np.eye(3)[CLASSES]


def smoothed(k):
    model = classifier(k, kernel_initializer="he_normal")
    model.compile("nadam", k.losses.CategoricalCrossentropy(label_smoothing=0.1))
    return model, np.eye(3)[CLASSES]


def from_logits(k):
    model = k.Sequential([k.layers.Dense(8, "relu"), k.layers.Dense(3)])
    loss = k.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(k.optimizers.SGD(0.1, momentum=0.9, nesterov=True), loss, metrics=["accuracy"])
    return model, CLASSES


def binary(k):
    model = k.Sequential([k.layers.Dense(8, "relu"), k.layers.Dense(1, "sigmoid")])
    metrics = ["acc", k.metrics.Precision(name="p"), k.metrics.Recall(name="r"), "mse"]
    model.compile(k.optimizers.Adamax(0.01), "binary_crossentropy", metrics=metrics)
    return model, (CLASSES > 1).astype("int64")


def penalised(k):
    model = regressor(
        k, kernel_regularizer=k.regularizers.L1L2(0.01, 0.02), bias_regularizer="l2",
        activity_regularizer=k.regularizers.L1(0.01),
    )  # fmt: skip
    model.compile(k.optimizers.AdamW(0.01), "mse", metrics=["mae"])
    return model, NUMBERS


def constrained(k):
    model = regressor(k, kernel_constraint=k.constraints.MaxNorm(0.5), bias_constraint="non_neg")
    model.compile(k.optimizers.Adagrad(0.1), "huber", metrics=["mae", "mape"])
    return model, NUMBERS


def clipped(k):
    rate = k.optimizers.schedules.ExponentialDecay(0.1, 3, 0.8)
    model = regressor(k)
    model.compile(k.optimizers.SGD(rate, global_clipnorm=0.5), "log_cosh", metrics=["r2_score"])
    return model, NUMBERS


def averaged(k):
    model = regressor(k)
    model.compile(k.optimizers.RMSprop(0.01, centered=True, momentum=0.5, use_ema=True), "mae")
    return model, NUMBERS


def batch_normalised(k):
    model = regressor(k, k.layers.BatchNormalization(momentum=0.8))
    model.compile("adadelta", "mse")
    return model, NUMBERS


def layer_normalised(k):
    model = regressor(k, k.layers.LayerNormalization(), k.layers.LeakyReLU(negative_slope=0.1))
    model.compile(k.optimizers.Adam(0.01, amsgrad=True), "mean_squared_error")
    return model, NUMBERS


def frozen(k):
    model = regressor(k, k.layers.Dense(5, "elu", trainable=False))
    model.compile("sgd", k.losses.MeanSquaredError(reduction="sum"), metrics=["mse"])
    return model, NUMBERS


PROGRAMS = [
    sparse, one_hot, smoothed, from_logits, binary, penalised, constrained, clipped, averaged,
    batch_normalised, layer_normalised, frozen,
]  # fmt: skip


def pair(program):
    """The model of both, with the same weights, and the targets."""
    (ours, y), (theirs, _) = (program(module) for module in (fastnn, keras))
    for model in (ours, theirs):
        model.build((None, X.shape[1]))
    theirs.set_weights(ours.get_weights())
    return ours, theirs, y


def check_equal(ours, theirs, rtol=2e-4):
    assert set(ours) == set(theirs)
    for name, values in theirs.items():
        np.testing.assert_allclose(ours[name], values, rtol=rtol, atol=1e-5, err_msg=name)


def check_weights(ours, theirs):
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=2e-5)


@pytest.mark.parametrize("program", PROGRAMS)
def test_fit(program):
    ours, theirs, y = pair(program)
    options = {"batch_size": 16, "epochs": 4, "validation_split": 0.2, "shuffle": False}
    histories = [m.fit(X, y, verbose=0, **options).history for m in (ours, theirs)]
    check_equal(*histories)
    check_weights(ours, theirs)
    values = [m.evaluate(X, y, verbose=0, return_dict=True) for m in (ours, theirs)]
    check_equal(*values)
    predictions = [m.predict(X, verbose=0) for m in (ours, theirs)]
    np.testing.assert_allclose(*predictions, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("weights", ["sample_weight", "class_weight"])
@pytest.mark.parametrize("program", [sparse, one_hot, binary])
def test_fit_with_weights(program, weights):
    ours, theirs, y = pair(program)
    given = {"sample_weight": WEIGHTS, "class_weight": {0: 0.5, 1: 2.0, 2: 1.0}}
    options = {"batch_size": 16, "epochs": 3, "shuffle": False, weights: given[weights]}
    histories = [m.fit(X, y, verbose=0, **options).history for m in (ours, theirs)]
    check_equal(*histories)
    check_weights(ours, theirs)


@pytest.mark.parametrize("program", [sparse, binary, penalised, batch_normalised])
def test_batches_on_their_own(program):
    ours, theirs, y = pair(program)
    for start in range(0, 60, 20):
        part = slice(start, start + 20)
        data = (X[part], y[part], WEIGHTS[part])
        check_equal(*[m.train_on_batch(*data, return_dict=True) for m in (ours, theirs)])
        check_equal(*[m.test_on_batch(*data, return_dict=True) for m in (ours, theirs)])
    check_weights(ours, theirs)
    predictions = [m.predict_on_batch(X) for m in (ours, theirs)]
    np.testing.assert_allclose(*predictions, rtol=1e-3, atol=1e-5)


def test_weighted_metrics_and_validation_weights():
    models = pair(sparse)
    y = models[2]
    results = []
    for module, model in ((fastnn, models[0]), (keras, models[1])):
        metric = module.metrics.SparseCategoricalAccuracy(name="weighted")
        model.compile(
            "adam", "sparse_categorical_crossentropy", metrics=["acc"], weighted_metrics=[metric]
        )
        history = model.fit(
            X[:50], y[:50], batch_size=16, epochs=3, shuffle=False, verbose=0,
            sample_weight=WEIGHTS[:50], validation_data=(X[50:], y[50:], WEIGHTS[50:]),
        )  # fmt: skip
        results.append(history.history)
    check_equal(*results)


def test_learning_rate_on_a_plateau():
    ours, theirs, y = pair(frozen)
    results = []
    for module, model in ((fastnn, ours), (keras, theirs)):
        reduce = module.callbacks.ReduceLROnPlateau("loss", factor=0.3, patience=1, min_delta=0.5)
        stop = module.callbacks.EarlyStopping("val_loss", patience=3, restore_best_weights=True)
        history = model.fit(
            X, y, batch_size=16, epochs=12, shuffle=False, verbose=0,
            callbacks=[reduce, stop], validation_split=0.2,
        )  # fmt: skip
        results.append(history.history)
    check_equal(*results)
    check_weights(ours, theirs)
