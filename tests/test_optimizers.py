"""Optimizers against published numbers, steps worked by hand, and their contract."""

import copy
import pickle

import numpy as np
import pytest

import fastnn
from fastnn import Variable, optimizers

W, G = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 6.0, 7.0, 2.0])
ROOT = np.sqrt(0.001)  # of Adam's 1 - beta_2


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (optimizers.SGD, [0.5, -1, -0.5, 3]),
        (optimizers.RMSprop, [-0.58113804, 0.41886119, 1.41886119, 2.41886137]),
        (optimizers.Adagrad, [0.52326873, 1.500693, 2.50050942, 3.50613521]),
        (optimizers.Adam, W - 0.5 * ROOT * G / (ROOT * G + 1e-7)),
    ],
)
def test_one_step(optimizer, expected, isa):
    """The formulas of Keras 3, worked out in float64."""
    w = Variable(W)
    optimizer(learning_rate=0.5).apply_gradients([(G, w)])
    np.testing.assert_allclose(w, expected, atol=5e-8)


# Ten weights of 1 after five steps, the first with the gradient 0.01, the others with 0.1, 0.2, ...
# 1.0, with and without Nesterov's rule; worked out in float64 from the formulas of Keras 3.
ROWS = {
    False: "990541 981492 972443 963394 954345 945296 936247 927198 918149 909100",
    True: "987387 975243 963099 950955 938811 926667 914523 902379 890235 878090",
}


@pytest.mark.parametrize("nesterov", ROWS)
def test_momentum(nesterov, isa):
    w = Variable(np.ones(10))
    optimizer = optimizers.SGD(learning_rate=0.01, momentum=0.9, nesterov=nesterov)
    velocity, expected_w = 0.0, np.ones(10)
    for gradient in [np.full(10, 0.01), *[np.arange(1, 11) / 10] * 4]:
        optimizer.apply_gradients([(gradient, w)])
        velocity = 0.9 * velocity - 0.01 * gradient
        expected_w = expected_w + (0.9 * velocity - 0.01 * gradient if nesterov else velocity)
        np.testing.assert_allclose(w, expected_w, rtol=1e-14)
    row = np.array(ROWS[nesterov].split(), float) / 1e6
    np.testing.assert_allclose(w, row, atol=6e-7)


def test_epsilon_is_under_the_root():
    """The first steps of RMSprop for small gradients tell where epsilon stands."""
    for gradient, step in [(1e-3, 2.236e-3), (1e-4, 3.147e-4), (1e-5, 3.162e-5), (1e-6, 3.162e-6)]:
        w = Variable(np.zeros(1))
        optimizers.RMSprop().apply_gradients([([gradient], w)])
        np.testing.assert_allclose(-w.numpy(), step, rtol=3e-4)


def test_adam_by_hand():
    """Two steps with different gradients: the correction of the bias, and both running means."""
    w = Variable(np.array([1.0]))
    adam = optimizers.Adam(learning_rate=0.1)
    m = v = 0.0
    expected = 1.0
    for t, g in [(1, 0.5), (2, -2.0)]:
        adam.apply_gradients([([g], w)])
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
        rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        expected -= rate * m / (np.sqrt(v) + 1e-7)
        np.testing.assert_allclose(w, [expected], rtol=1e-12)


def test_float32_follows_float64(rng):
    for name in ("sgd", "rmsprop", "adagrad", "adam"):
        single, double = Variable(np.ones(50, np.float32)), Variable(np.ones(50))
        one, other = optimizers.get(name), optimizers.get(name)
        for _ in range(20):
            g = rng.standard_normal(50)
            one.apply_gradients([(g, single)])
            other.apply_gradients([(g, double)])
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, double, atol=1e-5)


def test_names_classes_and_objects():
    assert isinstance(optimizers.get("RMSprop"), optimizers.RMSprop)
    assert isinstance(optimizers.get(optimizers.Adam), optimizers.Adam)
    sgd = optimizers.SGD()
    assert optimizers.get(sgd) is sgd
    with pytest.raises(ValueError, match="unknown optimizer 'rmspropp'; did you mean 'rmsprop'"):
        optimizers.get("rmspropp")
    with pytest.raises(TypeError, match="optimizer must be"):
        optimizers.get(3)


def test_defaults():
    for name, rate in [("sgd", 0.01), ("rmsprop", 0.001), ("adagrad", 0.001), ("adam", 0.001)]:
        assert float(optimizers.get(name).learning_rate) == rate


def test_the_old_name_of_the_learning_rate():
    sgd = optimizers.SGD(lr=0.05, momentum=0.9, nesterov=True)
    assert (float(sgd.learning_rate), sgd.momentum, sgd.nesterov) == (0.05, 0.9, True)
    assert float(optimizers.RMSprop(0.1).learning_rate) == 0.1


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf, "0.1", None, True, [0.1]])
@pytest.mark.parametrize("optimizer", [optimizers.SGD, optimizers.Adam])
def test_learning_rates_are_numbers_and_not_negative(optimizer, rate):
    with pytest.raises(ValueError, match="learning_rate must be a number and not negative, got"):
        optimizer(learning_rate=rate)


@pytest.mark.parametrize(
    "make",
    [
        lambda: optimizers.SGD(momentum=1.1),
        lambda: optimizers.SGD(momentum=-0.1),
        lambda: optimizers.SGD(momentum="0.9"),
        lambda: optimizers.RMSprop(rho=2.0),
        lambda: optimizers.RMSprop(epsilon=0),
        lambda: optimizers.Adagrad(initial_accumulator_value=-1),
        lambda: optimizers.Adam(beta_1=1.0),
        lambda: optimizers.SGD(momentum=None),
        lambda: optimizers.Adagrad(initial_accumulator_value="a"),
    ],
)
def test_other_numbers_have_their_range(make):
    with pytest.raises(ValueError, match="must"):
        make()


def test_the_learning_rate_can_be_changed():
    sgd = optimizers.SGD(0.1)
    sgd.learning_rate = 0.5
    w = Variable([1.0])
    sgd.apply_gradients([([1.0], w)])
    np.testing.assert_array_equal(w, [0.5])
    with pytest.raises(ValueError, match="not negative"):
        sgd.learning_rate = -1
    assert float(sgd.learning_rate) == 0.5


def test_variables():
    adam, w = optimizers.Adam(0.25), Variable([1.0, 2.0])
    adam.apply_gradients(iter([([1.0, 1.0], w)]))
    iterations, rate, momentum, velocity = adam.variables
    assert (int(iterations), float(rate)) == (1, 0.25)
    np.testing.assert_allclose(momentum, [0.1, 0.1], rtol=1e-6)
    np.testing.assert_allclose(velocity, [0.001, 0.001], rtol=1e-4)


BAD_PAIRS = {
    "shape": (
        lambda w: [([1.0], w[0]), ([1.0, 1.0, 1.0], w[1])],
        ValueError,
        r"\(3,\) and .* \(2,\)",
    ),
    "twice": (lambda w: [([1.0], w[0]), ([1.0], w[0])], ValueError, "comes twice"),
    "no variable": (lambda w: [([1.0], w[0]), ([1.0], fastnn.ones((1,)))], TypeError, "Variable"),
    "integers": (lambda w: [([1.0], w[0]), ([1], Variable([1]))], TypeError, "float32 or float64"),
    "strings": (lambda w: [([1.0], w[0]), (["a", "b"], w[1])], TypeError, "real numbers"),
    "no gradient": (lambda w: [(None, w[0]), (None, w[1])], ValueError, "no gradient to apply"),
    "no pairs": (lambda w: [], ValueError, "no gradient to apply"),
}


@pytest.mark.parametrize(("pairs", "error", "message"), BAD_PAIRS.values(), ids=BAD_PAIRS.keys())
@pytest.mark.parametrize("name", ["sgd", "adam"])
def test_a_refused_step_changes_nothing(name, pairs, error, message):
    w = [Variable([1.0], name="first"), Variable([2.0, 3.0], name="second")]
    optimizer = optimizers.get(name)
    optimizer.apply_gradients([([1.0], w[0]), ([1.0, 1.0], w[1])])
    before = [v.numpy() for v in [*w, *optimizer.variables]]
    with pytest.raises(error, match=message):
        optimizer.apply_gradients(pairs(w))
    for kept, v in zip(before, [*w, *optimizer.variables], strict=True):
        np.testing.assert_array_equal(v, kept)


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_a_copy_goes_on_where_the_original_was(clone):
    pair = Variable([1.0, 2.0]), optimizers.Adam(0.1)
    pair[1].apply_gradients([([1.0, 2.0], pair[0])])
    copied = clone(pair)
    for w, adam in (pair, copied):
        adam.apply_gradients([([3.0, -1.0], w)])
        assert len(adam.variables) == 4
    np.testing.assert_array_equal(copied[0], pair[0])


def test_missing_gradients_are_passed_over_with_a_warning():
    a, b = Variable([1.0]), Variable([1.0], name="second")
    with pytest.warns(UserWarning, match=r"no gradient for \['second'\]"):
        optimizers.SGD(0.5).apply_gradients([([1.0], a), (None, b)])
    assert (float(a[0]), float(b[0])) == (0.5, 1.0)


def test_a_gradient_may_be_the_variable_itself():
    w = Variable([2.0, 4.0])
    optimizers.SGD(0.5).apply_gradients([(w, w)])
    np.testing.assert_array_equal(w, [1, 2])
