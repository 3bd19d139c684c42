"""Initializers: limits and statistics by the published formulas, seeds, names, configurations."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import Variable, initializers, layers
from fastnn.random import SeedGenerator

INPUTS, OUTPUTS = 300, 200

# The standard deviation of each, and the largest magnitude that it can give.
CUT = 0.87962566103423978  # of a normal cut at 2 and -2
STATISTICS = {
    "RandomNormal": (0.05, math.inf),
    "RandomUniform": (0.05 / math.sqrt(3), 0.05),
    "TruncatedNormal": (0.05 * CUT, 0.1),
    "GlorotUniform": (math.sqrt(2 / (INPUTS + OUTPUTS)), math.sqrt(6 / (INPUTS + OUTPUTS))),
    "GlorotNormal": (math.sqrt(2 / (INPUTS + OUTPUTS)), 2 / CUT * math.sqrt(2 / 500)),
    "HeUniform": (math.sqrt(2 / INPUTS), math.sqrt(6 / INPUTS)),
    "HeNormal": (math.sqrt(2 / INPUTS), 2 / CUT * math.sqrt(2 / INPUTS)),
    "LecunUniform": (math.sqrt(1 / INPUTS), math.sqrt(3 / INPUTS)),
    "LecunNormal": (math.sqrt(1 / INPUTS), 2 / CUT * math.sqrt(1 / INPUTS)),
    "Orthogonal": (math.sqrt(1 / INPUTS), 1),
}
RANDOM = [*STATISTICS, "VarianceScaling"]


def test_the_cut_normal():
    """Its standard deviation, from the normal's density and distribution."""
    density = math.exp(-2) / math.sqrt(2 * math.pi)
    assert math.isclose(CUT, math.sqrt(1 - 4 * density / math.erf(math.sqrt(2))), rel_tol=1e-9)


@pytest.mark.parametrize("name", STATISTICS)
def test_statistics(name, dtype):
    stddev, limit = STATISTICS[name]
    values = getattr(initializers, name)()((INPUTS, OUTPUTS), dtype)
    assert values.shape == (INPUTS, OUTPUTS)
    assert values.dtype == dtype
    w = values.numpy()
    assert abs(w.mean()) < 4 * stddev / math.sqrt(w.size)
    assert abs(w.std() / stddev - 1) < 0.02
    assert abs(w).max() <= limit * (1 + 1e-6)
    if math.isfinite(limit) and name != "Orthogonal":
        assert abs(w).max() > 0.98 * limit


@pytest.mark.parametrize(
    ("shape", "options", "mode", "n"),
    [
        ((30, 50), {}, "fan_in", 30),
        ((30, 50), {}, "fan_out", 50),
        ((30, 50), {}, "fan_avg", 40),
        ((40,), {}, "fan_in", 40),
        ((), {}, "fan_in", 1),
        ((5, 6, 50), {}, "fan_in", 30),
        ((5, 6, 50), {}, "fan_out", 250),
        ((32, 4, 16), {"input_axes": [0], "output_axes": [1, 2]}, "fan_in", 32),
        ((32, 4, 16), {"input_axes": [0], "output_axes": [1, 2]}, "fan_out", 64),
    ],
)
def test_connections(shape, options, mode, n):
    make = initializers.VarianceScaling(2.0, mode, "uniform", seed=1, **options)
    limit = math.sqrt(6 / n)
    unit = fastnn.random.uniform(shape, -1, 1, np.float64, seed=1).numpy()
    np.testing.assert_allclose(make(shape, np.float64), limit * unit, atol=1e-12)


@pytest.mark.parametrize(
    ("distribution", "largest"), [("normal", 2 / CUT), ("untruncated_normal", 4.4)]
)
def test_distributions(distribution, largest):
    w = initializers.VarianceScaling(3.0, distribution=distribution)((300, 200)).numpy() * 10
    assert abs(w.std() - 1) < 0.02
    assert abs(abs(w).max() - largest) < (1e-3 if distribution == "normal" else 0.6)


def test_constants(dtype):
    np.testing.assert_array_equal(initializers.Zeros()((2, 3), dtype), np.zeros((2, 3), dtype))
    np.testing.assert_array_equal(initializers.Ones()((2,), dtype), np.ones(2, dtype))
    np.testing.assert_array_equal(initializers.Constant(1.5)((2,), dtype), [1.5, 1.5])
    np.testing.assert_array_equal(initializers.Identity(2)((2, 3), dtype), 2 * np.eye(2, 3))
    assert initializers.Identity(2)((2, 3), dtype).dtype == dtype
    given = np.arange(6.0).reshape(2, 3)
    for make in (initializers.Constant(given), initializers.get(given)):
        np.testing.assert_array_equal(make((2, 3), dtype), given)
        with pytest.raises(ValueError, match=r"shape \(2, 3\) and the weight \(3, 3\)"):
            make((3, 3))


@pytest.mark.parametrize("shape", [(5, 5), (8, 3), (3, 8), (2, 3, 4)])
def test_orthogonal(shape, dtype):
    w = initializers.Orthogonal(gain=2.0)(shape, dtype).numpy().reshape(-1, shape[-1])
    product = w.T @ w if w.shape[0] >= w.shape[1] else w @ w.T
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


@pytest.mark.parametrize("name", RANDOM)
def test_seeds(name):
    kind = getattr(initializers, name)
    seeded = kind(seed=3)
    first = seeded((4, 5)).numpy()
    np.testing.assert_array_equal(first, seeded((4, 5)))
    np.testing.assert_array_equal(first, kind.from_config(seeded.get_config())((4, 5)))
    for other in (kind(), kind(seed=SeedGenerator(3))):
        assert (other((4, 5)).numpy() != other((4, 5)).numpy()).any()
    again = [kind(seed=SeedGenerator(3))((4, 5)).numpy() for _ in range(2)]
    np.testing.assert_array_equal(*again)
    common = []
    for _ in range(2):
        fastnn.utils.set_random_seed(5)
        common.append(kind()((4, 5)).numpy())
    np.testing.assert_array_equal(*common)


@pytest.mark.parametrize("seed", [-1, 1.5, "1", True])
def test_seeds_are_integers(seed):
    with pytest.raises(ValueError, match="a seed is an integer that is not negative"):
        initializers.HeNormal(seed=seed)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("glorot_uniform", "GlorotUniform"),
        ("he_normal", "HeNormal"),
        ("lecun_uniform", "LecunUniform"),
        ("variance_scaling", "VarianceScaling"),
        ("truncated_normal", "TruncatedNormal"),
        ("normal", "RandomNormal"),
        ("uniform", "RandomUniform"),
        ("zero", "Zeros"),
        ("one", "Ones"),
        ("identity", "Identity"),
        ("IdentityInitializer", "Identity"),
        ("OrthogonalInitializer", "Orthogonal"),
        ("Constant", "Constant"),
    ],
)
def test_names(name, kind):
    found = initializers.get(name)
    assert type(found) is getattr(initializers, kind)
    for config in (
        initializers.serialize(found),
        {"class_name": kind, "config": found.get_config()},
        {"class_name": kind, "config": {}},
    ):
        again = initializers.deserialize(config)
        assert type(again) is type(found)
        assert again.get_config() == found.get_config()


def test_seed_generators_are_described():
    made = initializers.Orthogonal(seed=SeedGenerator(4))
    again = initializers.get(initializers.serialize(made))
    np.testing.assert_array_equal(made((3, 3)), again((3, 3)))


def test_classes_and_functions_of_ones_own():
    assert initializers.get(None) is None
    assert type(initializers.get(initializers.glorot_uniform)) is initializers.GlorotUniform

    def ramp(shape, dtype=None):
        return fastnn.constant(np.arange(math.prod(shape)).reshape(shape), dtype)

    layer = layers.Dense(2, kernel_initializer=ramp)
    layer(fastnn.ones((1, 3)))
    np.testing.assert_array_equal(layer.kernel, [[0, 1], [2, 3], [4, 5]])
    layer = layers.Dense(2, kernel_initializer=lambda shape, dtype: np.ones(shape))
    layer(fastnn.ones((1, 3)))
    assert layer.kernel.dtype == np.float32
    np.testing.assert_array_equal(Variable(ramp, shape=(3,), dtype="float64"), [0, 1, 2])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: initializers.VarianceScaling(mode="in"), ValueError, "mode must be one of fan_in"),
        (
            lambda: initializers.VarianceScaling(distribution="gamma"),
            ValueError,
            "distribution must be one of truncated_normal",
        ),
        (lambda: initializers.Identity()((3,)), ValueError, r"not weights of shape \(3,\)"),
        (lambda: initializers.Orthogonal()((3,)), ValueError, r"two axes or more, got \(3,\)"),
        (lambda: initializers.get("glorot"), ValueError, "unknown initializer 'glorot'"),
        (lambda: initializers.Initializer()((3,)), NotImplementedError, "must define __call__"),
        (lambda: initializers.HeNormal()((3,), np.int32), TypeError, "float32 or float64"),
        (Variable, TypeError, r"needs an initial value: write .*shape=\(2, 3\)"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_variables_by_initializer():
    v = Variable(initializer="uniform", shape=(20, 30), name="w")
    assert v.dtype == np.float32
    assert v.shape == (20, 30)
    assert 0.04 < abs(v.numpy()).max() <= 0.05
    np.testing.assert_array_equal(Variable("ones", shape=(2,), dtype="int32"), [1, 1])
    np.testing.assert_array_equal(Variable(initializer=np.ones(2)), [1, 1])


def test_integers_and_shuffles():
    drawn = fastnn.random.randint((3000,), -1, 3).numpy()
    assert drawn.dtype == np.int32
    values, counts = np.unique(drawn, return_counts=True)
    np.testing.assert_array_equal(values, [-1, 0, 1, 2])
    assert counts.min() > 650
    x = np.arange(40).reshape(4, 10)
    shuffled = fastnn.random.shuffle(x, axis=1).numpy()
    assert (shuffled[0] != x[0]).any()
    np.testing.assert_array_equal(shuffled - shuffled[0], 10 * np.arange(4)[:, None] + 0 * x)
    np.testing.assert_array_equal(np.sort(shuffled[0]), x[0])
    with pytest.raises(ValueError, match=r"axis 2 does not exist in a tensor of shape \(4, 10\)"):
        fastnn.random.shuffle(x, axis=2)
    with pytest.raises(TypeError, match="for floats use uniform"):
        fastnn.random.randint((2,), 0, 2, np.float32)
    with pytest.raises(ValueError, match="must be above minval"):
        fastnn.random.randint((2,), 2, 2)


@pytest.mark.parametrize("given", ["input_axes", "output_axes"])
def test_axes_of_inputs_and_outputs_go_together(given):
    with pytest.raises(ValueError, match="give both input_axes and output_axes"):
        initializers.GlorotUniform(**{given: [0]})
