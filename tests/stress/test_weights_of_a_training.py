"""The same bits: whole trainings, however they run, cut off or not, and what they predict."""

import hashlib

import numpy as np
import pytest

import fastnn
from fastnn import Sequential, layers, optimizers
from fastnn.datasets import mnist

STEPS, BATCH = 200, 20


# SHA-256 of all weights after so many steps of SGD by a network without dropout: the same on every
# level with fused multiply-add, so no change of kernels, passes or compilers may change it. These
# may, and the commit that enters another hash says which of them did: initializers, shuffles or
# updates that are meant to draw or compute something else; another order of additions, on all
# levels; other digits in the package; another stream from NumPy's Generator for the same seed.
HASH = "40fb3cfd17e467f24027b5cd311b8b84e5d880d0480a81e558c1b5da19ccaa08"


def digits():
    """The first digits of the package, and their labels."""
    (x, y), _ = mnist.load_sample()
    return x.reshape(-1, 784)[: STEPS * BATCH].astype(np.float32) / 255, y[: STEPS * BATCH]


def trained(optimizer="adam", **options):
    """The bytes of all weights after so many steps on the digits of the package."""
    fastnn.utils.set_random_seed(7)
    model = Sequential(
        [layers.Dense(128, "relu"), layers.Dropout(0.3), layers.Dense(10, "softmax")]
    )
    model.compile(optimizer, "sparse_categorical_crossentropy", **options)
    model.fit(*digits(), BATCH, verbose=0)
    return b"".join(w.numpy().tobytes() for w in model.weights)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop"])
def test_threads_and_ways(optimizer, times, record):
    """As many steps, with threads more than there are processors, compiled and op by op."""
    with fastnn.threads(1):
        expected = trained(optimizer)
    for threads in (2, 3, 4, 7, 16)[:: times(2, 1)]:
        with fastnn.threads(threads):
            assert trained(optimizer) == expected
    assert trained(optimizer, run_eagerly=True) == expected
    ways = "1, 2, 3, 4, 7, 16 threads, compiled and op by op"
    record(f"trainings of {STEPS} steps with {ways}: same bits", optimizer)


def test_the_hash(isa, record):
    if isa == "base":
        pytest.skip("without fused multiply-add the last bits may differ")
    fastnn.utils.set_random_seed(7)
    model = Sequential([layers.Dense(64, "relu"), layers.Dense(10, "softmax")])
    model.compile(optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    model.fit(*digits(), BATCH, verbose=0)
    weights = b"".join(w.numpy().tobytes() for w in model.weights)
    assert hashlib.sha256(weights).hexdigest() == HASH
    record(f"SHA-256 of the weights after {STEPS} steps of SGD", f"{HASH[:12]}... on {isa}")


def test_a_row_alone_in_any_batch_and_at_any_offset(times, record, rng):
    """Rows of images, most of them zeros, and of dense data: beside whatever others."""
    images, _ = digits()
    cases = 0
    for x in (images[:700], rng.standard_normal((700, 30)).astype(np.float32)):
        model = Sequential(
            [layers.Dense(321, "relu"), layers.LayerNormalization(), layers.Dense(10, "softmax")]
        )
        expected = model.predict(x)
        for _ in range(times(30, 2_000)):
            rows = rng.integers(0, len(x), rng.integers(1, 60) ** rng.integers(1, 3) % 700 + 1)
            if rng.random() < 0.5:
                rows = np.arange(rows.min(), min(rows.min() + len(rows), len(x)))
            batch = int(rng.integers(1, len(rows) + 40))
            np.testing.assert_array_equal(model.predict(x[rows], batch), expected[rows])
            np.testing.assert_array_equal(model(x[rows[:3]]), expected[rows[:3]])
            cases += len(rows)
    record("rows predicted in random batches and at random offsets: same bits", cases)


OPTIMIZERS = {
    "sgd": optimizers.SGD,
    "momentum": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True),
    "adagrad": optimizers.Adagrad,
    "adadelta": optimizers.Adadelta,
    "rmsprop": lambda: optimizers.RMSprop(momentum=0.5, centered=True),
    "adam": optimizers.Adam,
    "amsgrad": lambda: optimizers.Adam(amsgrad=True, global_clipnorm=1.0),
    "adamw": lambda: optimizers.AdamW(use_ema=True, ema_overwrite_frequency=7),
    "adamax": optimizers.Adamax,
    "nadam": optimizers.Nadam,
    "schedule": lambda: optimizers.Adam(optimizers.schedules.ExponentialDecay(0.01, 5, 0.8)),
}


def test_every_optimizer_is_here():
    kinds = {type(make()) for make in OPTIMIZERS.values()}
    named = {vars(optimizers)[name] for name in optimizers.__all__ if name[0].isupper()}
    assert kinds == named - {optimizers.Optimizer}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_interrupted_and_resumed(name, tmp_path, times, record, rng):
    """After random steps into a file and out of it, and on: inside an epoch and between epochs."""
    x, y = digits()
    path, steps, epochs = tmp_path / "model.keras", times(8, 30), 3

    def made():
        fastnn.utils.set_random_seed(3)
        model = Sequential(
            [
                layers.Dense(24, "relu"),
                layers.BatchNormalization(),
                layers.Dropout(0.3),
                layers.Dense(10, "softmax"),
            ]
        )
        model.compile(OPTIMIZERS[name](), "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    def run(breaks):
        """What the steps and epochs measured, and the weights in the end."""
        model, measured = made(), []
        for step in range(steps + epochs):
            if step in breaks:
                model.save(path)
                fastnn.utils.set_random_seed(99)  # which what is in the file must not leave so
                model = fastnn.models.load_model(path)
            if step < steps:
                rows = slice(step * BATCH, (step + 1) * BATCH)
                measured.append(model.train_on_batch(x[rows], y[rows]))
            else:
                measured.append(model.fit(x[:200], y[:200], 32, verbose=0).history)
        measured.append(model.evaluate(x[:300], y[:300], verbose=0))
        return measured, b"".join(w.numpy().tobytes() for w in model.weights)

    expected, runs = run(()), times(1, 15)
    for _ in range(runs):
        breaks = rng.choice(np.arange(1, steps + epochs), 2, replace=False)
        assert run(breaks) == expected
    record("trainings cut off at two random steps and resumed, by 11 optimizers: same bits", runs)
