"""Layers that disturb while training: distributions, seeds, what stays, errors."""

import numpy as np
import pytest

import fastnn
from fastnn import layers
from fastnn.function import function
from fastnn.ops.noise import normal

MAKERS = {
    "Dropout": lambda **o: layers.Dropout(0.4, **o),
    "Dropout, noise_shape": lambda **o: layers.Dropout(0.4, noise_shape=(None, 1), **o),
    "GaussianNoise": lambda **o: layers.GaussianNoise(0.4, **o),
    "GaussianDropout": lambda **o: layers.GaussianDropout(0.4, **o),
    "AlphaDropout": lambda **o: layers.AlphaDropout(0.4, **o),
}
every_layer = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


@every_layer
def test_equal_seeds_disturb_alike(make):
    x = np.ones((40, 50), np.float32)
    first, second, other = (make(seed=seed) for seed in (1, 1, 2))
    before = x
    for _ in range(3):
        y = first(x, training=True).numpy()
        np.testing.assert_array_equal(second(x, training=True), y)
        assert (other(x, training=True).numpy() != y).any()
        assert (y != before).any()
        before = y


@every_layer
def test_a_generator_of_seeds_gives_each_layer_its_own(make):
    x = np.ones((40, 50), np.float32)
    seeds, again = fastnn.random.SeedGenerator(3), fastnn.random.SeedGenerator(3)
    first, second, same = make(seed=seeds), make(seed=seeds), make(seed=again)
    y = first(x, training=True).numpy()
    assert (second(x, training=True).numpy() != y).any()
    np.testing.assert_array_equal(same(x, training=True), y)


@every_layer
@pytest.mark.parametrize("seed", ["a", -3, 1.5])
def test_what_is_no_seed(make, seed):
    with pytest.raises(ValueError, match="a seed is an integer that is not negative"):
        make(seed=seed)


@every_layer
def test_it_disturbs_while_training_only(make):
    x = fastnn.constant(np.linspace(-2, 2, 300, dtype=np.float32).reshape(30, 10))
    layer = make()
    for call in (lambda: layer(x), lambda: layer(x, training=False)):
        np.testing.assert_array_equal(call(), x)
    assert layer(x, training=True).shape == x.shape


@every_layer
def test_the_common_seed_decides(make):
    def drawn():
        fastnn.utils.set_random_seed(5)
        return make()(np.ones((9, 9), np.float32), training=True).numpy()

    np.testing.assert_array_equal(drawn(), drawn())


def test_distributions(dtype, rng):
    """Mean and standard deviation of what comes out of a million numbers."""
    x = fastnn.constant(rng.standard_normal((1000, 1000)).astype(dtype))
    noise = layers.GaussianNoise(0.3, seed=1)(x, training=True).numpy() - x.numpy()
    np.testing.assert_allclose((noise.mean(), noise.std()), (0, 0.3), atol=2e-3)
    factor = layers.GaussianDropout(0.2, seed=1)(fastnn.ones_like(x), training=True).numpy()
    np.testing.assert_allclose((factor.mean(), factor.std()), (1, 0.5), atol=3e-3)
    y = layers.AlphaDropout(0.25, seed=1)(x, training=True).numpy()
    np.testing.assert_allclose((y.mean(), y.std()), (0, 1), atol=5e-3)
    assert {noise.dtype, factor.dtype, y.dtype} == {np.dtype(dtype)}


def test_alpha_dropout_saturates():
    """The formula of the paper, section "New dropout technique", with alpha' = -1.7581."""
    x = np.linspace(-3, 3, 1000, dtype=np.float32)
    y = layers.AlphaDropout(0.25, seed=1)(x, training=True).numpy()
    lowest = -1.7580993408473766
    a = (0.75 * (1 + 0.25 * lowest**2)) ** -0.5
    b = -a * 0.25 * lowest
    dropped = np.isclose(y, a * lowest + b, atol=1e-6)
    assert 0.2 < dropped.mean() < 0.3
    np.testing.assert_allclose(y[~dropped], (a * x + b)[~dropped], rtol=1e-4, atol=1e-5)


def test_choices_are_shared_along_axes_of_length_1():
    x = np.ones((100, 20, 3), np.float32)
    y = layers.Dropout(0.5, noise_shape=(None, 1, 3), seed=1)(x, training=True).numpy()
    assert (y == y[:, :1]).all()
    assert set(np.unique(y)) == {0.0, 2.0}
    assert 0.4 < (y[:, 0] == 0).mean() < 0.6


def test_normal_numbers_of_a_key_and_a_counter():
    """What NumPy's Philox draws there; other counters and keys draw others."""
    bits = np.random.Philox(key=7, counter=[0, 3, 0, 0])
    expected = np.random.Generator(bits).standard_normal((4, 5), np.float32)
    drawn = normal((4, 5), 7, np.int64(3))
    np.testing.assert_array_equal(drawn, expected)
    long = normal((100_000,), 7, np.int64(3)).numpy()
    for key, counter in ((7, 4), (8, 3)):
        other = normal((100_000,), key, np.int64(counter)).numpy()
        assert abs(np.corrcoef(long, other)[0, 1]) < 0.02
    assert normal((2,), 2**64 - 1, np.int64(0), "float64").dtype == np.float64


def test_a_program_goes_on_with_the_numbers():
    """Compiled steps draw what the calls op by op would have drawn."""
    x = fastnn.ones((5, 6))
    compiled, eager = (layers.GaussianNoise(0.5, seed=3) for _ in range(2))
    step = function(lambda x: compiled(x, training=True))
    for _ in range(3):
        np.testing.assert_array_equal(step(x), eager(x, training=True))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Dropout(0.5, noise_shape="ab"), "noise_shape must be a tuple of positive"),
        (lambda: layers.Dropout(0.5, noise_shape=(0, 1)), "noise_shape must be a tuple"),
        (lambda: layers.Dropout(0.5, noise_shape=(1.5, 1)), "noise_shape must be a tuple"),
        (lambda: layers.AlphaDropout(0.5, noise_shape=3), "noise_shape must be a tuple"),
        (
            lambda: layers.Dropout(0.5, noise_shape=(None, 2))(np.ones((2, 3)), training=True),
            r"shape \(2, 3\) and noise_shape \(None, 2\)",
        ),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
