"""Sparse tensors, and training that leaves zeros out: the same bits as without."""

import copy

import numpy as np
import pytest
from sparse_cases import classifier, data

import fastnn
from fastnn import GradientTape, Sequential, Variable, _kernels, layers, ops, optimizers
from fastnn.loop import CompiledLoop
from fastnn.models import sequential
from fastnn.ops import products
from fastnn.ops.core import update
from fastnn.program import Program
from fastnn.sparse import SparseTensor, without_zeros
from fastnn.variable import assignments


def sparse_tensor(rng):
    x, _ = data(rng, 9, 5, 0.3)
    return SparseTensor(_kernels.compress(x)), x


def test_a_sparse_tensor_is_a_tensor(rng):
    t, x = sparse_tensor(rng)
    assert (t.shape, t.dtype, t.ndim, t.size, len(t)) == ((9, 5), np.float32, 2, 45, 9)
    with pytest.raises(AttributeError, match="'SparseTensor' object has no attribute 'nothing'"):
        t.nothing  # noqa: B018  # reading is what raises
    np.testing.assert_array_equal(t, x)
    np.testing.assert_array_equal(2 * t[1:, ::2] + 1, 2 * x[1:, ::2] + 1)
    np.testing.assert_array_equal(fastnn.cast(t, "float64"), x)
    np.testing.assert_array_equal(copy.deepcopy(t), x)
    np.testing.assert_array_equal(fastnn.matmul(t, x, transpose_b=True), x @ x.T)
    np.testing.assert_array_equal(fastnn.matmul(t, x[0]), x @ x[0])
    np.testing.assert_array_equal(fastnn.matmul(t, np.stack([x.T, x.T])), np.stack([x @ x.T] * 2))


def test_products_make_no_array_of_the_rows(rng, monkeypatch):
    t, x = sparse_tensor(rng)
    monkeypatch.setattr(SparseTensor, "_made", lambda self: pytest.fail("an array was made"))
    w = Variable(rng.standard_normal((5, 20)).astype(np.float32))
    with GradientTape() as tape:
        y = ops.reduce_sum(ops.dense(t, w, relu=True) * fastnn.matmul(t, w))
    gradient = tape.gradient(y, w)
    with GradientTape() as tape:
        y = ops.reduce_sum(ops.dense(x, w, relu=True) * fastnn.matmul(x, w))
    assert gradient.numpy().tobytes() == tape.gradient(y, w).numpy().tobytes()


def test_a_sparse_tensor_that_is_watched_has_a_gradient(rng):
    t, x = sparse_tensor(rng)
    w = Variable(rng.standard_normal((5, 20)).astype(np.float32))
    for product in (ops.dense, fastnn.matmul):
        with GradientTape() as tape:
            tape.watch(t)
            y = ops.reduce_sum(product(t, w))
        dt, dw = tape.gradient(y, [t, w])
        np.testing.assert_allclose(dt, np.tile(w.numpy().sum(1), (9, 1)), rtol=1e-5)
        np.testing.assert_allclose(dw, np.tile(x.sum(0)[:, None], 20), rtol=1e-5)


def recorded(monkeypatch, module, rule):
    """Lets a module decide by `rule`; gives the list of what that will have returned."""
    made = []

    def decide(*arguments):
        made.append(rule(*arguments))
        return made[-1]

    monkeypatch.setattr(module, "without_zeros", decide)
    return made


def never(x, *_):
    return x


@pytest.mark.parametrize("product", [ops.dense, fastnn.matmul])
def test_products_leave_out_the_zeros_of_an_array(product, dtype, monkeypatch, rng):
    """Where there are many and the product is large; the bits are the same."""
    x, _ = data(rng, 100, 40, dtype=dtype)
    w = Variable(rng.standard_normal((40, 400)).astype(dtype))
    results, kinds = [], []
    for rule in (without_zeros, never):
        made = recorded(monkeypatch, products, rule)
        with GradientTape() as tape:
            y = product(x, w)
        results.append([y.numpy().tobytes(), tape.gradient(y, w).numpy().tobytes()])
        kinds += [type(part) for part in made]
    assert results[0] == results[1]
    assert kinds == [_kernels.CompressedRows, np.ndarray]


def test_products_that_are_never_compressed(monkeypatch, rng):
    """Those whose gradient may be wanted, narrow ones, and those of integers."""
    x, _ = data(rng, 100, 40)
    w = Variable(rng.standard_normal((40, 400)).astype(np.float32))
    made = recorded(monkeypatch, products, without_zeros)
    watched = fastnn.constant(x)
    with GradientTape() as tape:
        tape.watch(watched)
        y = fastnn.matmul(watched, w)
    np.testing.assert_allclose(tape.gradient(y, watched)[0], w.numpy().sum(1), rtol=1e-4)
    fastnn.matmul(x, w[:, :399])
    fastnn.matmul(x.astype(int), np.ones((40, 400), int))
    assert made == []


def test_epochs_without_zeros_are_recorded_once(monkeypatch, rng):
    x, y = data(rng, 1500)
    fits, init = [], CompiledLoop.__init__
    monkeypatch.setattr(
        CompiledLoop, "__init__", lambda loop, *args: fits.append(1) or init(loop, *args)
    )
    compressed = recorded(monkeypatch, sequential, without_zeros)
    model = classifier(units=400)
    for times in (1, 2):
        model.fit(x, y, 64, epochs=3, verbose=0)
        assert len(fits) == len(compressed) == times


@pytest.mark.parametrize("optimizer", [optimizers.SGD, optimizers.Adam])
@pytest.mark.parametrize("source", [np.float32, np.float64, np.uint8])
def test_leaving_zeros_out_changes_no_bit(optimizer, source, monkeypatch, rng):
    """Of the history, the weights, the predictions; 1200 samples make a last batch of 48."""
    x, y = data(rng, 1500, dtype=source)
    results, kinds = [], []
    for rule in (without_zeros, never):
        made = recorded(monkeypatch, sequential, rule)
        recorded(monkeypatch, products, never)
        fastnn.utils.set_random_seed(1)
        model = classifier(optimizer(0.01), units=400)
        history = model.fit(x, y, 64, 3, verbose=0, validation_split=0.2).history
        history["evaluated"] = model.evaluate(x, y, verbose=0)
        weights = [w.numpy().tobytes() for w in model.weights]
        results.append((history, weights, model.predict(x).tobytes()))
        kinds.append([type(part) for part in made])
    assert results[0] == results[1]
    assert kinds == [[_kernels.CompressedRows] * 4, [np.ndarray] * 4]


def test_a_layer_of_float64_without_weights_sees_them_too(rng):
    x = (rng.random((2000, 50)) < 0.05) * rng.standard_normal((2000, 50))
    model = Sequential([layers.Dense(500, dtype="float64")])
    first = model.predict(x)
    np.testing.assert_array_equal(first, model(x))


def test_a_layer_of_float64_keeps_its_bits(monkeypatch, rng):
    x, y = data(rng)
    results = []
    for rule in (without_zeros, never):
        recorded(monkeypatch, sequential, rule)
        fastnn.utils.set_random_seed(1)
        model = classifier()
        model(x[:1])
        model.layers[0].kernel = Variable(np.linspace(-1, 1, 40 * 64).reshape(40, 64))
        model.fit(x, y, 64, 4, verbose=0, shuffle=False)
        assert model.layers[0].kernel.dtype == np.float64
        results.append(model.layers[0].kernel.numpy().tobytes())
    assert results[0] == results[1]


def test_when_zeros_are_left_out(rng):
    """Only from matrices with enough rows and zeros, for enough work."""

    def left_out(x, units=64, passes=10):
        return isinstance(without_zeros(x, units, passes), _kernels.CompressedRows)

    x, _ = data(rng, 400, 100)
    assert left_out(x)
    assert left_out(x.astype(np.uint8))
    assert left_out(x[:, ::-1].astype(float))
    assert not left_out(x[:60])
    assert not left_out(x.reshape(400, 10, 10))
    assert not left_out(x, passes=6)
    assert not left_out(x, units=4, passes=1000)
    assert left_out(data(rng, 400, 100, 0.005)[0], units=4, passes=1000)
    assert not left_out(data(rng, 400, 100, 0.4)[0], units=1000)
    rows = _kernels.compress(x)
    assert without_zeros(rows, 4, 1) is rows


def test_only_a_dense_layer_that_comes_first_decides(monkeypatch, rng):
    x, _ = data(rng)

    class Scale(layers.Layer):
        def call(self, inputs):
            return inputs * 2

    made = recorded(monkeypatch, sequential, without_zeros)
    Sequential([Scale(), layers.Dense(500)]).predict(x)
    assert made == []


def test_weights_that_became_infinite_in_many_rows_are_known_to_be(rng):
    x = np.eye(64, dtype=np.float32)
    one, bias, y = x[:1], np.zeros(512, np.float32), np.zeros((64, 512), np.float32)
    y[5] = 1e30

    def results(compiled):
        w, sgd = Variable(np.ones((64, 512), np.float32)), optimizers.SGD(1e30)

        def step(x, y, one):
            with GradientTape() as tape:
                loss = fastnn.reduce_sum(x @ w * y)
            sgd.apply_gradients([(tape.gradient(loss, w), w)])
            return one @ w + bias

        got = (fastnn.function(step) if compiled else step)(x, y, one).numpy()
        return got, w.numpy(), w.is_finite()

    with np.errstate(over="ignore", invalid="ignore"):
        eager, compiled = results(False), results(True)
    assert np.isnan(eager[0]).all()
    assert not eager[2]
    for a, b in zip(eager, compiled, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_is_assigned_while_somebody_looks_whether_all_is_finite_is_not_forgotten(monkeypatch):
    """As another thread may do."""
    w, look = Variable(np.ones((2, 3), np.float32)), _kernels.all_finite

    def slowly(array):
        found = look(array)
        w.assign(np.full((2, 3), np.inf))
        return found

    monkeypatch.setattr(_kernels, "all_finite", slowly)
    w.is_finite()
    monkeypatch.undo()
    assert not w.is_finite()


def test_what_is_found_finite_in_the_midst_of_an_assignment_is_not_remembered(monkeypatch):
    w = Variable(np.ones((2, 3), np.float32))

    @update()
    def slowly(storage, value):
        assert w.is_finite()
        storage[...] = value

    monkeypatch.setitem(assignments, "assign", slowly)
    w.assign(np.full((2, 3), np.inf))
    monkeypatch.undo()
    assert not w.is_finite()


def test_weights_assigned_during_a_prediction_count_from_the_next_one_on(rng, monkeypatch):
    x, _ = data(rng, 600, 400, 0.02)
    model, run = Sequential([layers.Dense(600)]), Program._run
    model.predict(x, 1)
    w = model.layers[0].kernel
    spoilt = w.numpy()
    spoilt[7] = np.inf

    def and_assign(*args):
        done = run(*args)
        w.assign(spoilt)
        return done

    monkeypatch.setattr(Program, "_run", and_assign)
    model.predict(x, 1)
    monkeypatch.undo()
    assert np.isnan(model.predict(x, 1)).any()
