"""No growth: what is done thousands of times leaves no memory and no references behind."""

import copy
import ctypes
import gc
import sys
from pathlib import Path

import numpy as np
import pytest

import fastnn
from fastnn import GradientTape, Sequential, Variable, _kernels, layers, optimizers

pytestmark = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")

PAGE = 4096
MOST = 2 * 2**20  # bytes by which the process may grow
GROWTH = "growth of the process; references to what stays are as many as before"
X = np.random.default_rng(0).random((800, 4)).astype(np.float32)
Y = X[:, :1].copy()


def resident():
    """The bytes in use: what was freed goes back to the system first, where glibc can do that."""
    gc.collect()
    getattr(ctypes.CDLL(None), "malloc_trim", int)(0)
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def grown(action, times, *kept):
    """By how much the process grows while `action` is called with 0, 1, ...; in words.

    Python's own count of blocks says what a page that was there already would hide; the references
    are those to the objects `kept`.
    """
    for i in range(max(10, times // 10)):
        action(i)
    before, blocks = resident(), sys.getallocatedblocks()
    references = [sys.getrefcount(x) for x in kept]
    for i in range(times):
        action(i)
    after, more = resident(), sys.getallocatedblocks() - blocks
    assert [sys.getrefcount(x) for x in kept] == references
    assert more < max(500, times // 10)
    assert after - before < MOST
    return f"{max(0, after - before) / 1024:.0f} KB"


def compiled(*between, width=16, loss="mse", **options):
    model = Sequential([layers.Dense(width, "relu"), *between, layers.Dense(1)])
    model.compile(**{"optimizer": "adam", "loss": loss, **options})
    return model


def test_steps_of_fit(times, record):
    model = compiled(layers.Dropout(0.1), metrics=["mae"])
    model.fit(X, Y, 8, verbose=0)
    steps = times(5_000, 200_000)
    figure = grown(lambda i: model.fit(X, Y, 8, verbose=0), steps // 100, X, Y, *model.weights)
    record(GROWTH, f"{figure} in {steps:,} steps of fit")


def steps_of_my_own(compile):
    """A step in the way of README, as a program or op by op."""
    w1, b1, w2 = (Variable(x) for x in (np.full((4, 8), 0.1), np.zeros(8), np.full((8, 1), 0.1)))
    optimizer = optimizers.Adam()

    def step(x, y):
        with GradientTape() as tape:
            loss = fastnn.reduce_mean((fastnn.nn.relu(x @ w1 + b1) @ w2 - y) ** 2)
        optimizer.apply_gradients(zip(tape.gradient(loss, [w1, b1, w2]), [w1, b1, w2], strict=True))
        return loss

    x, y = fastnn.constant(X[:8], "float64"), fastnn.constant(Y[:8], "float64")
    run = fastnn.function(step) if compile else step
    return lambda i: run(x, y), (x, y, w1, b1, w2)


@pytest.mark.parametrize(
    ("way", "usual", "stress"), [("by @function", 3_000, 200_000), ("op by op", 300, 20_000)]
)
def test_steps_of_my_own(way, usual, stress, times, record):
    action, kept = steps_of_my_own(way == "by @function")
    steps = times(usual, stress)
    record(GROWTH, f"{grown(action, steps, *kept)} in {steps:,} steps {way}")


def test_predictions(times, record):
    """Of many sizes, in batches of many sizes: more kinds than programs are kept."""
    model = compiled()
    sizes = [(1, 1), (800, 128), *((n, 32) for n in range(1, 40)), *((40, n) for n in range(1, 30))]

    def action(i):
        rows, batch = sizes[i % len(sizes)] if i % 10 == 0 else (8, 32)
        model.predict(X[:rows], batch)

    n = times(1_000, 20_000)
    record(GROWTH, f"{grown(action, n, X, *model.weights)} in {n:,} predictions")


class Doubled(layers.Layer):
    """A layer of somebody else's."""

    def build(self, input_shape):
        self.scale = self.add_weight((), "ones")

    def call(self, inputs):
        self.add_loss(fastnn.reduce_mean(inputs**2))
        return 2 * inputs * self.scale


BETWEEN = [
    lambda: layers.Dropout(0.2),
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.PReLU,
    Doubled,
    lambda: layers.Dense(5, kernel_regularizer="l2", kernel_constraint="unit_norm"),
    lambda: layers.GaussianNoise(0.1),
]
OPTIMIZERS = [lambda: optimizers.SGD(1e-4), optimizers.Adam, optimizers.RMSprop, optimizers.Nadam]


def test_models_that_come_and_go(tmp_path, times, record):
    """Of all kinds; some with zeros skipped, op by op, copied, or from a file."""
    zeros = np.zeros((200, 400), np.float32)
    zeros[:, ::40] = 1

    def action(i):
        kind = BETWEEN[i % len(BETWEEN)]()
        optimizer = OPTIMIZERS[i % len(OPTIMIZERS)]()
        sparse, eager = i % 3 == 0, i % 11 == 0
        x = zeros if sparse else X[:200]
        model = compiled(
            kind,
            width=320 if sparse else 8,
            optimizer=optimizer,
            run_eagerly=eager,
            metrics=["mae"],
        )
        size = 20 + i % 50
        model.fit(x, Y[:200], size, epochs=2, validation_split=0.2, verbose=0)
        if i % 5 == 0:
            model.save(tmp_path / "model.keras")
            custom = {"Doubled": Doubled}
            model = fastnn.models.load_model(tmp_path / "model.keras", custom_objects=custom)
        elif i % 5 == 1:
            model = copy.deepcopy(model)
        model.evaluate(x, Y[:200], size, verbose=0)
        model.predict(x, size)

    n = times(10, 500)
    record(GROWTH, f"{grown(action, n, X, Y, zeros)} in {n} models built, fitted and discarded")


def failures(folder):
    """Calls that are refused, of every part of the package."""
    model, layer, w = compiled(), layers.Dense(3), Variable([1.0, 2.0])
    model.fit(X, Y, verbose=0)
    layer(X)
    (folder / "damaged").write_bytes(b"no model" * 20)

    @fastnn.function
    def looking(x):
        return x if fastnn.reduce_sum(x) > 0 else -x

    def raising(y, p):
        raise KeyError("mine")

    def in_a_loss():
        model = compiled(loss=raising)
        model.fit(X[:8], Y[:8], verbose=0)

    def in_a_callback():
        stop = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: {}["missing"])
        model.fit(X[:8], Y[:8], verbose=0, callbacks=[stop])

    def fit_within_fit():
        again = fastnn.callbacks.LambdaCallback(on_epoch_end=lambda *_: model.fit(X, Y))
        model.fit(X[:8], Y[:8], verbose=0, callbacks=[again])

    def under_a_tape():
        with GradientTape() as tape:
            y = w * 2.0 + fastnn.ones((3,))
        tape.gradient(y, w)

    return [
        lambda: model.fit(X, Y[:7], verbose=0),
        lambda: model.fit(X[:, :3], Y, verbose=0),
        lambda: model.fit(X, Y, epochs=-1),
        lambda: model.predict(X[:, :2]),
        lambda: model.predict("text"),
        lambda: model.set_weights([X]),
        lambda: compiled(loss="sparse_categorical_crossentropy").fit(X, X[:, 0] - 5, verbose=0),
        lambda: model.compile("no such optimizer", "mse"),
        lambda: layers.Dense(-1),
        lambda: layers.Dense(3, no_such_option=1),
        lambda: layer(X[:, :3]),
        lambda: fastnn.matmul(X, X),
        lambda: fastnn.constant([1.0, 2.0]) + fastnn.constant([1.0, 2.0, 3.0]),
        lambda: fastnn.reshape(X, (7, 3)),
        lambda: w.assign([1.0]),
        lambda: _kernels.matmul(X, X),
        lambda: _kernels.relu(np.arange(3)),
        lambda: _kernels.labels(np.array([9]), 3, np.array([0])),
        lambda: looking(X),
        lambda: fastnn.models.load_model(folder / "damaged"),
        lambda: fastnn.models.load_model(folder / "missing"),
        lambda: fastnn.set_num_threads(0),
        in_a_loss,
        in_a_callback,
        fit_within_fit,
        under_a_tape,
    ]


def test_errors(tmp_path, times, record):
    calls = failures(tmp_path)

    def action(i):
        try:
            calls[i % len(calls)]()
        except Exception:
            return
        raise AssertionError(f"call {i % len(calls)} was not refused")

    n = times(1_000, 20_000)
    record(GROWTH, f"{grown(action, n, X, Y)} in {n:,} errors of {len(calls)} kinds")
