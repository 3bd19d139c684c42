"""Learning-rate schedules: their formulas, in float64, and the steps that follow them."""

import math

import numpy as np
import pytest

import fastnn
from fastnn import Variable, optimizers
from fastnn.function import function
from fastnn.optimizers import schedules

STEPS = [0, 1, 2, 5, 9, 10, 11, 19, 20, 21, 30, 69, 70, 71, 100, 1000]


def polynomial(cycle):
    def rate(step):
        length = 10 * max(1, math.ceil(step / 10)) if cycle else 10
        return (0.5 - 0.01) * (1 - min(step, length) / length) ** 2.0 + 0.01

    return rate


def cosine(step):
    return 0.3 * (0.9 * 0.5 * (1 + math.cos(math.pi * min(step, 20) / 20)) + 0.1)


def warmed(step):
    if step < 10:
        return 0.1 + (0.3 - 0.1) * step / 10
    return cosine(step - 10)


def restarts(t_mul, m_mul):
    def rate(step):
        start, length, height = 0, 10, 1.0
        while step >= start + length:
            start, length, height = start + length, length * t_mul, height * m_mul
        wave = 0.5 * height * (1 + math.cos(math.pi * (step - start) / length))
        return 0.3 * (0.9 * wave + 0.1)

    return rate


SCHEDULES = {
    "exponential": (schedules.ExponentialDecay(0.3, 7, 0.9), lambda s: 0.3 * 0.9 ** (s / 7)),
    "exponential, stairs": (
        schedules.ExponentialDecay(0.3, 7, 0.9, staircase=True),
        lambda s: 0.3 * 0.9 ** (s // 7),
    ),
    "inverse": (schedules.InverseTimeDecay(0.3, 7, 0.5), lambda s: 0.3 / (1 + 0.5 * s / 7)),
    "inverse, stairs": (
        schedules.InverseTimeDecay(0.3, 7, 0.5, staircase=True),
        lambda s: 0.3 / (1 + 0.5 * (s // 7)),
    ),
    "pieces": (
        schedules.PiecewiseConstantDecay([1, 10, 20], [0.4, 0.3, 0.2, 0.1]),
        lambda s: 0.4 if s <= 1 else 0.3 if s <= 10 else 0.2 if s <= 20 else 0.1,
    ),
    "one piece": (schedules.PiecewiseConstantDecay([], [0.4]), lambda s: 0.4),
    "straight line": (
        schedules.PolynomialDecay(0.5, 10, 0.01),
        lambda step: 0.5 - 0.49 * min(step, 10) / 10,
    ),
    "polynomial": (schedules.PolynomialDecay(0.5, 10, 0.01, power=2.0), polynomial(False)),
    "polynomial, cycles": (
        schedules.PolynomialDecay(0.5, 10, 0.01, power=2.0, cycle=True),
        polynomial(True),
    ),
    "cosine": (schedules.CosineDecay(0.3, 20, alpha=0.1), cosine),
    "cosine, warmed": (
        schedules.CosineDecay(0.1, 20, alpha=0.1, warmup_target=0.3, warmup_steps=10),
        warmed,
    ),
    "cosine, warmed at once": (schedules.CosineDecay(0.1, 20, 0.1, warmup_target=0.3), cosine),
    "restarts": (schedules.CosineDecayRestarts(0.3, 10, alpha=0.1), restarts(2, 1.0)),
    "restarts, lower": (
        schedules.CosineDecayRestarts(0.3, 10, t_mul=1.0, m_mul=0.8, alpha=0.1),
        restarts(1, 0.8),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_formulas(name):
    schedule, formula = SCHEDULES[name]
    for step in STEPS:
        rate = schedule(step)
        assert (rate.shape, rate.dtype) == ((), np.float64)
        np.testing.assert_allclose(rate, formula(step), rtol=1e-12, err_msg=f"at step {step}")


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 10])
def test_restarts_come_at_their_step(factor):
    schedule = schedules.CosineDecayRestarts(1.0, 10, t_mul=factor)
    for k in range(6):
        step = sum(10 * factor**i for i in range(k))
        np.testing.assert_allclose(schedule(step), 1.0, rtol=1e-6)


@pytest.mark.parametrize("name", SCHEDULES)
def test_configurations(name):
    schedule, _ = SCHEDULES[name]
    config = schedules.serialize(schedule)
    again = schedules.deserialize(config)
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()
    sgd = optimizers.deserialize(optimizers.serialize(optimizers.SGD(schedule)))
    for step in (0, 15):
        assert float(sgd._learning_rate(step)) == float(again(step)) == float(schedule(step))


@pytest.mark.parametrize("wrapper", [function, lambda step: step], ids=["compiled", "eager"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_steps_follow(name, wrapper):
    """The first step has the rate of step 0."""
    schedule, formula = SCHEDULES[name]
    w, sgd = Variable(np.float64(0)), optimizers.SGD(schedule)
    step = wrapper(lambda: sgd.apply([np.float64(-1)], [w]))
    for n in range(25):
        np.testing.assert_allclose(sgd.learning_rate, formula(n), rtol=1e-12)
        before = float(w)
        step()
        np.testing.assert_allclose(float(w) - before, formula(n), rtol=1e-10)
    assert len(sgd.variables) == 1  # the rate is no state


class Own(schedules.LearningRateSchedule):
    """As a user of Keras writes it: the step is an integer tensor."""

    def __init__(self, start):
        self.start = start

    def __call__(self, step):
        return self.start / (fastnn.cast(step, "float32") + 1)


@pytest.mark.parametrize("wrapper", [function, lambda step: step], ids=["compiled", "eager"])
def test_ones_own_schedule(wrapper):
    w, sgd = Variable(0.0), optimizers.SGD(Own(1.0))
    step = wrapper(lambda: sgd.apply([-1.0], [w]))
    for _ in range(3):
        step()
    np.testing.assert_allclose(float(w), 1 + 1 / 2 + 1 / 3, rtol=1e-6)
    config = optimizers.serialize(sgd)
    with pytest.raises(ValueError, match="'Own' is neither"):
        optimizers.deserialize(config)
    again = optimizers.deserialize(config, custom_objects={"Own": Own})
    assert again._learning_rate.start == 1.0


def test_a_callable_without_arguments():
    w, rates = Variable(0.0), iter([0.5, 0.25])
    sgd = optimizers.SGD(lambda: next(rates))
    for _ in range(2):
        sgd.apply([-1.0], [w])
    assert float(w) == 0.75


def test_a_rate_is_one_number():
    w, sgd = Variable(0.0), optimizers.SGD(lambda: [0.1, 0.2])
    with pytest.raises(ValueError, match=r"one number.*shape \(2,\)"):
        sgd.apply([1.0], [w])
    assert (float(w), int(sgd.iterations)) == (0.0, 0)


def test_assignments_of_the_rate():
    sgd = optimizers.SGD(schedules.ExponentialDecay(0.1, 10, 0.5))
    with pytest.raises(TypeError, match=r"decided by.*learning_rate=0\.01"):
        sgd.learning_rate = 0.1
    sgd = optimizers.SGD(0.1)
    sgd.learning_rate = schedules.PolynomialDecay(sgd.learning_rate, 4, 0.0)
    assert [v.name for v in sgd.variables] == ["iterations"]
    w = Variable(np.float64(0))
    for _ in range(2):
        sgd.apply([-1.0], [w])
    np.testing.assert_allclose(w, 0.1 + 0.075)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: schedules.ExponentialDecay(0.1, 0, 0.9), "decay_steps must be a positive number"),
        (lambda: schedules.InverseTimeDecay(0.1, -1, 0.9), "decay_steps must be a positive number"),
        (lambda: schedules.PolynomialDecay(0.1, None), "decay_steps must be a positive number"),
        (lambda: schedules.CosineDecay(0.1, 0), "decay_steps must be a positive number"),
        (lambda: schedules.CosineDecayRestarts(0.1, 0), "first_decay_steps must be a positive"),
        (lambda: schedules.CosineDecayRestarts(0.1, 10, t_mul=0.5), "t_mul must be .* 1 or more"),
        (lambda: schedules.PiecewiseConstantDecay([1, 2], [1.0, 2.0]), "2 entries.*2; between"),
        (lambda: schedules.PiecewiseConstantDecay([2, 1], [1.0, 2.0, 3.0]), "must increase"),
    ],
)
def test_what_makes_no_schedule(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_base_class_says_what_is_missing():
    with pytest.raises(NotImplementedError, match="must define __call__"):
        schedules.LearningRateSchedule()(0)


@pytest.mark.parametrize("eagerly", [False, True])
def test_a_function_is_asked_for_the_rate_of_each_step(eagerly):
    rates = []

    def rate():
        rates.append(0.5 ** (len(rates) + 1))
        return rates[-1]

    model = fastnn.Sequential([fastnn.layers.Dense(1, use_bias=False, kernel_initializer="zeros")])
    model.compile(
        optimizers.SGD(rate), lambda y, y_pred: -fastnn.reduce_sum(y_pred), run_eagerly=eagerly
    )
    model.fit(np.ones((8, 1)), np.ones((8, 1)), batch_size=2, epochs=2, verbose=0)
    assert rates == [0.5**n for n in range(1, 9)]
    np.testing.assert_allclose(model.get_weights()[0], [[2 * sum(rates)]], rtol=1e-6)


@pytest.mark.parametrize("eagerly", [False, True])
def test_what_such_a_function_reads_stays_as_it_was(eagerly):
    steps = []

    def rate():
        steps.append(sgd.iterations.value)
        return 0.1

    sgd = optimizers.SGD(rate)
    model = fastnn.Sequential([fastnn.layers.Dense(1)])
    model.compile(sgd, "mse", run_eagerly=eagerly)
    model.fit(np.ones((8, 1)), np.ones((8, 1)), batch_size=2, verbose=0)
    assert [int(step) for step in steps] == [0, 1, 2, 3]
