"""Matrices of scipy.sparse as the input of a layer, and of fit, evaluate and predict."""

import copy
import itertools
import tracemalloc

import numpy as np
import pytest
from sparse_cases import classifier, data

import fastnn
from fastnn import Sequential, layers
from fastnn.recorders import recorders

scipy_sparse = pytest.importorskip("scipy.sparse")


FORMATS = {
    f"{kind} {name}": getattr(scipy_sparse, f"{kind}_{name}")
    for kind in ("csr", "csc", "coo", "lil", "dok")
    for name in ("array", "matrix")
}


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("source", [np.float32, np.float64, np.int64, np.uint8, bool])
def test_scipy_formats(form, source, rng):
    x, y = data(rng, dtype=source)
    model = classifier()
    assert model(form(x)).numpy().tobytes() == model(x).numpy().tobytes()
    assert model.predict(form(x)).tobytes() == model.predict(x).tobytes()
    assert model.evaluate(form(x), y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_fit_on_scipy_is_fit_on_the_array(rng):
    x, y = data(rng)
    trained = []
    for make in (scipy_sparse.csr_array, np.asarray):
        fastnn.utils.set_random_seed(1)
        model = classifier("adam", units=4)
        history = model.fit(
            make(x), y, 64, 2, verbose=0, validation_data=(make(x[:50]), y[:50])
        ).history
        history |= model.fit(make(x), y, 64, verbose=0, validation_split=0.1).history
        trained.append((history, [w.numpy().tobytes() for w in model.weights]))
    assert trained[0] == trained[1]


FIRST = [
    layers.Dropout(0.5),
    layers.GaussianNoise(0.1),
    layers.BatchNormalization(),
    layers.LayerNormalization(),
    layers.Activation("tanh"),
    layers.Rescaling(0.5),
    layers.Flatten(),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("first", FIRST, ids=lambda layer: layer.name)
def test_any_layer_may_come_first(first, rng):
    """Compiled, without a warning; the same bits as on the array, and as op by op."""
    x, y = data(rng)
    trained = set()
    for make, eagerly in itertools.product((scipy_sparse.csr_array, np.asarray), (False, True)):
        fastnn.utils.set_random_seed(1)
        model = Sequential([copy.deepcopy(first), layers.Dense(3)])
        model.compile("adam", "mse", run_eagerly=eagerly)
        model.fit(make(x), y[:, None] == np.arange(3), 64, 2, verbose=0)
        outputs = [w.numpy() for w in model.weights] + [model.predict(make(x))]
        trained.add(b"".join(array.tobytes() for array in outputs))
    assert len(trained) == 1


def test_scipy_is_never_dense_as_a_whole(rng):
    """Of 2,000 words each text has 5: all of them as an array would be 80 MB."""
    columns = rng.integers(0, 2000, 50_000)
    texts = scipy_sparse.csr_array(
        (np.ones(50_000), columns, np.arange(0, 50_001, 5)), shape=(10_000, 2000)
    )
    model = classifier(units=16)
    model(texts[:1])
    tracemalloc.start()
    model.fit(texts, np.zeros(10_000), 1000, verbose=0)
    model.predict(texts)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_scipy_duplicates_are_summed_in_a_copy():
    values, columns, starts = np.array([1.0, 2.0, 4.0]), np.array([2, 0, 2]), np.array([0, 3, 3])
    matrix = scipy_sparse.csr_matrix((values, columns, starts), shape=(2, 3))
    layer = layers.Dense(2, kernel_initializer="ones")
    np.testing.assert_array_equal(layer(matrix), [[7, 7], [0, 0]])
    np.testing.assert_array_equal(layer(matrix.copy()[:, ::-1]), [[7, 7], [0, 0]])
    np.testing.assert_array_equal(matrix.indices, [2, 0, 2])
    np.testing.assert_array_equal(matrix.data, [1, 2, 4])


def test_scipy_data_that_are_refused(rng):
    x, y = data(rng)
    model = classifier()
    model(x)
    rows = scipy_sparse.csr_array(x)
    with pytest.raises(ValueError, match=r"\(128, 39\) is incompatible with the layer"):
        model.predict(rows[:, :39])
    with pytest.raises(ValueError, match="x has 300 samples"):
        model.fit(rows, y[:9], verbose=0)
    with pytest.raises(ValueError, match=r"x has shape \(0, 40\)"):
        model.fit(rows[:0], y[:0], verbose=0)
    with pytest.raises(TypeError, match="x: a tensor holds real numbers, not complex"):
        model.predict(rows.astype(complex))
    with pytest.raises(ValueError, match=r"two axes, got shape \(40,\)"):
        model(scipy_sparse.coo_array(x[0]))
    with pytest.raises(TypeError, match="y: "):
        model.fit(x, rows, verbose=0)


def test_targets_are_arrays(rng):
    x, _ = data(rng)
    with pytest.raises(TypeError, match=r"y: a matrix of scipy\.sparse .* write x\.toarray\(\)"):
        classifier().fit(x, scipy_sparse.csr_matrix(x[:, :1]), verbose=0)


@pytest.mark.parametrize("source", [np.float64, np.int64])
def test_scipy_in_float64(source):
    x = np.array([[0.1, 0.0], [1 / 3, 2.0**24 + 1]]).astype(source)
    model = Sequential(
        [layers.Dense(1, dtype="float64", use_bias=False, kernel_initializer="ones")]
    )
    for given in (x, scipy_sparse.csr_array(x)):
        np.testing.assert_array_equal(model.predict(given)[:, 0], x.sum(1))
        np.testing.assert_array_equal(model(given)[:, 0], x.sum(1))


def test_batches_that_come_alone_are_not_recorded(rng):
    """To record each takes longer than to run it; a data set that comes again is."""
    recorded = []

    class Noting(layers.Layer):
        def call(self, inputs):
            recorded.append(recorders.trace is not None)
            return inputs

    def model():
        fastnn.utils.set_random_seed(1)
        made = Sequential([layers.Dense(8, activation="relu"), Noting(), layers.Dense(3)])
        loss = fastnn.losses.SparseCategoricalCrossentropy(from_logits=True)
        made.compile("adam", loss)
        return made

    x, y = data(rng, n=64)
    sparse = model()
    for at in range(0, 64, 16):
        sparse.train_on_batch(scipy_sparse.csr_array(x[at : at + 16]), y[at : at + 16])
    assert not any(recorded)
    dense = model()
    for at in range(0, 64, 16):
        dense.train_on_batch(x[at : at + 16], y[at : at + 16])
    for found, expected in zip(sparse.get_weights(), dense.get_weights(), strict=True):
        np.testing.assert_array_equal(found, expected)
    recorded.clear()
    sparse.fit(scipy_sparse.csr_array(x), y, batch_size=64, epochs=3, verbose=0)
    assert recorded.count(True) == 1
