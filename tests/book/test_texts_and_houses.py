"""Two classes, many classes, a number: three kinds of problem on stand-ins of the known sets."""

import numpy as np
import pytest
from stand_ins import houses, multi_hot, newswires, reviews

WORDS = 500
TOPICS = 800


def binary_model(keras):
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Dense(16, activation="relu"),
            layers.Dense(16, activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def loaded_reviews():
    (train, y), (test, y_test) = reviews(words=WORDS)
    assert train.dtype == object
    assert isinstance(train[0], list)
    assert max(max(sequence) for sequence in train) < WORDS
    x, x_test = multi_hot(train, WORDS), multi_hot(test, WORDS)
    assert x.dtype == np.float64
    return (x, y.astype("float32")), (x_test, y_test.astype("float32"))


def test_reviews_with_validation_data(keras):
    """Second edition."""
    (x, y), (x_test, y_test) = loaded_reviews()
    model = binary_model(keras)
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x[200:],
        y[200:],
        epochs=8,
        batch_size=64,
        validation_data=(x[:200], y[:200]),
        verbose=0,
    )
    values = history.history
    assert set(values) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(v) == 8 for v in values.values())
    assert values["loss"][-1] < values["loss"][0]
    results = model.evaluate(x_test, y_test, verbose=0)
    assert results[1] > 0.9
    predictions = model.predict(x_test, verbose=0)
    assert predictions.shape == (600, 1)
    assert ((predictions > 0) & (predictions < 1)).all()


def test_reviews_with_functions(keras):
    """First edition: functions as loss and metric, which give the metric its name."""
    (x, y), _ = loaded_reviews()
    models, layers = keras.models, keras.layers
    model = models.Sequential()
    model.add(layers.Dense(16, activation="relu", input_shape=(WORDS,)))
    model.add(layers.Dense(16, activation="relu"))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(
        optimizer=keras.optimizers.RMSprop(learning_rate=0.001),
        loss=keras.losses.binary_crossentropy,
        metrics=[keras.metrics.binary_accuracy],
    )
    history = model.fit(x, y, epochs=2, batch_size=64, verbose=0)
    assert set(history.history) == {"loss", "binary_accuracy"}
    model.compile(optimizer="rmsprop", loss="binary_crossentropy", metrics=["acc"])
    history = model.fit(x, y, epochs=2, batch_size=64, validation_split=0.25, verbose=0)
    assert set(history.history) == {"loss", "acc", "val_loss", "val_acc"}


def test_reviews_with_a_split(keras):
    """Third edition: adam, the last part held out; labels may stay whole numbers of rank 1."""
    (x, y), (x_test, y_test) = loaded_reviews()
    model = binary_model(keras)
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x, y.astype("int64"), epochs=12, batch_size=32, validation_split=0.2, verbose=0
    )
    assert history.history["val_accuracy"][-1] > 0.9
    assert model.evaluate(x_test, y_test.astype("int64"), verbose=0)[1] > 0.9


@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("loss", ["mse", "binary_crossentropy"])
def test_variants_of_the_reviews(keras, activation, loss):
    (x, y), (x_test, y_test) = loaded_reviews()
    model = keras.Sequential(
        [
            keras.layers.Dense(32, activation=activation),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="rmsprop", loss=loss, metrics=["accuracy"])
    model.fit(x, y, epochs=8, batch_size=32, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.9


def topic_model(keras, middle=64):
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Dense(64, activation="relu"),
            layers.Dense(middle, activation="relu"),
            layers.Dense(46, activation="softmax"),
        ]
    )


def loaded_newswires():
    (train, y), (test, y_test) = newswires(words=TOPICS)
    return (multi_hot(train, TOPICS), y), (multi_hot(test, TOPICS), y_test)


def one_hot(labels, dimension=46):
    results = np.zeros((len(labels), dimension))
    for i, label in enumerate(labels):
        results[i, label] = 1.0
    return results


def test_topics_with_one_hot_labels(keras):
    (x, y), (x_test, y_test) = loaded_newswires()
    np.testing.assert_array_equal(one_hot(y), keras.utils.to_categorical(y))
    y, y_test = one_hot(y), keras.utils.to_categorical(y_test, num_classes=46)
    model = topic_model(keras)
    model.compile(optimizer="rmsprop", loss="categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x[200:], y[200:], epochs=15, batch_size=64, validation_data=(x[:200], y[:200]), verbose=0
    )
    assert set(history.history) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    loss, accuracy = model.evaluate(x_test, y_test, verbose=0)
    assert accuracy > 0.7
    predictions = model.predict(x_test, verbose=0)
    assert predictions[0].shape == (46,)
    np.testing.assert_allclose(np.sum(predictions, axis=1), 1, rtol=1e-5)
    assert np.mean(np.argmax(predictions, axis=1) == np.argmax(y_test, axis=1)) == pytest.approx(
        accuracy, abs=5e-3
    )
    assert loss < np.log(46)


def test_topics_with_integer_labels(keras):
    (x, y), (x_test, y_test) = loaded_newswires()
    model = topic_model(keras)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, epochs=10, batch_size=64, verbose=0)
    assert model.evaluate(x_test, y_test, verbose=0)[1] > 0.7


def test_top_3_accuracy(keras):
    """Third edition: a metric with a name of its own beside "accuracy"."""
    (x, y), _ = loaded_newswires()
    y = keras.utils.to_categorical(y)
    top_3_accuracy = keras.metrics.TopKCategoricalAccuracy(k=3, name="top_3_accuracy")
    model = topic_model(keras)
    model.compile(
        optimizer="adam",
        loss="categorical_crossentropy",
        metrics=["accuracy", top_3_accuracy],
    )
    history = model.fit(x, y, epochs=6, batch_size=64, validation_split=0.2, verbose=0).history
    assert set(history) == {
        "loss",
        "accuracy",
        "top_3_accuracy",
        "val_loss",
        "val_accuracy",
        "val_top_3_accuracy",
    }
    for one, three in zip(history["val_accuracy"], history["val_top_3_accuracy"], strict=True):
        assert three >= one
    assert history["val_top_3_accuracy"][-1] > 0.5


def test_a_narrow_layer_loses_information(keras):
    (x, y), _ = loaded_newswires()
    losses = []
    for middle in (4, 64):
        keras.utils.set_random_seed(1)
        model = topic_model(keras, middle)
        model.compile("rmsprop", "sparse_categorical_crossentropy", metrics=["accuracy"])
        history = model.fit(x, y, epochs=8, batch_size=64, verbose=0).history
        losses.append(history["loss"][-1])
    assert losses[0] > losses[1] + 0.5


def test_a_guess_by_chance():
    _, (_, y_test) = loaded_newswires()
    shuffled = y_test.copy()
    np.random.default_rng(0).shuffle(shuffled)
    assert np.mean(shuffled == y_test) < 0.1


def price_model(keras):
    """Builds and compiles anew at each call, as k-fold validation needs it."""
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Dense(64, activation="relu"),
            layers.Dense(64, activation="relu"),
            layers.Dense(1),
        ]
    )
    model.compile(optimizer="rmsprop", loss="mse", metrics=["mae"])
    return model


def test_k_fold_validation(keras):
    (x, y), (x_test, y_test) = houses()
    assert x.shape == (404, 13)
    assert x.dtype == y.dtype == np.float64
    mean, std = x.mean(axis=0), x.std(axis=0)
    x, x_test = (x - mean) / std, (x_test - mean) / std
    folds = 4
    count = len(x) // folds
    scores, histories = [], []
    for i in range(folds):
        part = slice(i * count, (i + 1) * count)
        x_val, y_val = x[part], y[part]
        x_train = np.concatenate([x[: i * count], x[(i + 1) * count :]], axis=0)
        y_train = np.concatenate([y[: i * count], y[(i + 1) * count :]], axis=0)
        model = price_model(keras)
        history = model.fit(
            x_train, y_train, validation_data=(x_val, y_val), epochs=40, batch_size=32, verbose=0
        )
        assert set(history.history) == {"loss", "mae", "val_loss", "val_mae"}
        histories.append(history.history["val_mae"])
        _, mae = model.evaluate(x_val, y_val, verbose=0)
        assert mae == pytest.approx(histories[-1][-1], rel=1e-4)
        scores.append(mae)
    average = [np.mean([fold[i] for fold in histories]) for i in range(40)]
    assert average[-1] < average[0] / 3
    assert np.mean(scores) < 4

    model = price_model(keras)
    model.fit(x, y, epochs=40, batch_size=32, verbose=0)
    _, test_mae = model.evaluate(x_test, y_test, verbose=0)
    assert test_mae < 4
    predictions = model.predict(x_test, verbose=0)
    assert predictions.shape == (102, 1)
    assert np.mean(np.abs(predictions[:, 0] - y_test)) == pytest.approx(test_mae, rel=1e-4)


def test_a_single_number_is_predicted_for_a_single_row(keras):
    (x, y), _ = houses()
    model = price_model(keras)
    model.fit(x, y, epochs=1, verbose=0)
    assert model.predict(x[:1], verbose=0).shape == (1, 1)
