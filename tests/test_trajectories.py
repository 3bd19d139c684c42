"""A hundred steps of every optimizer and option, against its formula in float64 NumPy.

Each formula is a generator: sent a gradient and the learning rate at step t, it gives what to
subtract from the variable.
"""

import numpy as np
import pytest

from fastnn import Variable, optimizers
from fastnn.function import function
from fastnn.optimizers import schedules

STEPS = 100
SHAPES = ((3, 4), (5,), ())


def sgd(momentum=0.0, nesterov=False):
    v, step = 0.0, None
    while True:
        g, rate, _ = yield step
        v = momentum * v - rate * g
        step = -(momentum * v - rate * g) if nesterov else -v


def rmsprop(rho=0.9, momentum=0.0, epsilon=1e-7, centered=False):
    v = mean = m = 0.0
    step = None
    while True:
        g, rate, _ = yield step
        v, mean = rho * v + (1 - rho) * g**2, rho * mean + (1 - rho) * g
        m = momentum * m + rate * g / np.sqrt(v - (mean**2 if centered else 0) + epsilon)
        step = m


def adagrad(initial_accumulator_value=0.1, epsilon=1e-7):
    a, step = initial_accumulator_value, None
    while True:
        g, rate, _ = yield step
        a = a + g**2
        step = rate * g / np.sqrt(a + epsilon)


def adadelta(rho=0.95, epsilon=1e-7):
    a = s = 0.0
    step = None
    while True:
        g, rate, _ = yield step
        a = rho * a + (1 - rho) * g**2
        d = np.sqrt(s + epsilon) / np.sqrt(a + epsilon) * g
        s = rho * s + (1 - rho) * d**2
        step = rate * d


def adam(beta_1=0.9, beta_2=0.999, epsilon=1e-7, amsgrad=False):
    m = v = peak = 0.0
    step = None
    while True:
        g, rate, t = yield step
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
        peak = np.maximum(peak, v) if amsgrad else v
        step = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(peak) + epsilon)


def adamax(beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = u = 0.0
    step = None
    while True:
        g, rate, t = yield step
        m, u = beta_1 * m + (1 - beta_1) * g, np.maximum(beta_2 * u, np.abs(g))
        step = rate / (1 - beta_1**t) * m / (u + epsilon)


def nadam(beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = v = 0.0
    step = None

    def u(t):
        return beta_1 * (1 - 0.5 * 0.96**t)

    while True:
        g, rate, t = yield step
        m, v = beta_1 * m + (1 - beta_1) * g, beta_2 * v + (1 - beta_2) * g**2
        product = np.prod([u(k) for k in range(1, t + 1)])
        m_hat = u(t + 1) * m / (1 - product * u(t + 1)) + (1 - u(t)) * g / (1 - product)
        step = rate * m_hat / (np.sqrt(v / (1 - beta_2**t)) + epsilon)


FORMULAS = {
    optimizers.SGD: sgd,
    optimizers.RMSprop: rmsprop,
    optimizers.Adagrad: adagrad,
    optimizers.Adadelta: adadelta,
    optimizers.Adam: adam,
    optimizers.AdamW: adam,
    optimizers.Adamax: adamax,
    optimizers.Nadam: nadam,
}

OPTIMIZERS = [
    (optimizers.SGD, {}),
    (optimizers.SGD, {"momentum": 0.9}),
    (optimizers.SGD, {"momentum": 0.8, "nesterov": True}),
    (optimizers.RMSprop, {}),
    (optimizers.RMSprop, {"rho": 0.7, "epsilon": 1e-3}),
    (optimizers.RMSprop, {"momentum": 0.6}),
    (optimizers.RMSprop, {"centered": True}),
    (optimizers.RMSprop, {"momentum": 0.6, "centered": True, "rho": 0.8}),
    (optimizers.Adagrad, {}),
    (optimizers.Adagrad, {"initial_accumulator_value": 0.0, "epsilon": 1e-4}),
    (optimizers.Adadelta, {}),
    (optimizers.Adadelta, {"rho": 0.8, "epsilon": 1e-4}),
    (optimizers.Adam, {}),
    (optimizers.Adam, {"beta_1": 0.0, "beta_2": 0.9, "epsilon": 1e-4}),
    (optimizers.Adam, {"amsgrad": True, "beta_2": 0.9}),
    (optimizers.AdamW, {}),
    (optimizers.AdamW, {"weight_decay": 0.1, "amsgrad": True}),
    (optimizers.Adamax, {}),
    (optimizers.Adamax, {"beta_1": 0.5, "beta_2": 0.8}),
    (optimizers.Nadam, {}),
    (optimizers.Nadam, {"beta_1": 0.5, "beta_2": 0.8}),
]

OPTIONS = [
    {},
    {"weight_decay": 0.01},
    {"clipnorm": 1.5},
    {"clipvalue": 0.7},
    {"global_clipnorm": 2.5},
    {"use_ema": True, "ema_momentum": 0.9},
    {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 7},
    {"learning_rate": schedules.ExponentialDecay(0.02, 30, 0.5)},
    {"weight_decay": 0.1, "global_clipnorm": 2.0, "use_ema": True, "ema_overwrite_frequency": 1},
]


def clipped(gradients, options):
    """The gradients of all variables, as the options have them."""

    def within(limit, norm):
        return min(1.0, limit / norm)

    if "clipvalue" in options:
        return [np.clip(g, -options["clipvalue"], options["clipvalue"]) for g in gradients]
    if "clipnorm" in options:
        return [g * within(options["clipnorm"], np.linalg.norm(g)) for g in gradients]
    if "global_clipnorm" in options:
        norm = np.sqrt(sum(np.sum(g**2) for g in gradients))
        return [g * within(options["global_clipnorm"], norm) for g in gradients]
    return gradients


def expected(formula, start, gradients, options):
    """Variables after every step, and their averages."""
    options = dict(options)
    decay, schedule = options.pop("weight_decay", 0.0), options.pop("learning_rate", 0.02)
    momentum, every = options.pop("ema_momentum", 0.99), options.pop("ema_overwrite_frequency", 0)
    averaged = options.pop("use_ema", False)
    clipping = {k: options.pop(k) for k in list(options) if "clip" in k}
    steps = [formula(**options) for _ in start]
    for step in steps:
        next(step)
    w, averages, path = [x.copy() for x in start], None, []
    for t, of_step in enumerate(gradients, 1):
        rate = schedule if isinstance(schedule, float) else 0.02 * 0.5 ** ((t - 1) / 30)
        now = clipped(of_step, clipping)
        w = [x - x * decay * rate for x in w]
        w = [x - step.send((g, rate, t)) for x, step, g in zip(w, steps, now, strict=True)]
        if averaged:
            old = averages or w
            averages = [momentum * a + (1 - momentum) * x for a, x in zip(old, w, strict=True)]
            if every and t % every == 0:
                w = averages
        path.append(w)
    return path, averages


def flat(variables):
    return np.concatenate([np.ravel(x) for x in variables])


@pytest.fixture
def problem(rng):
    start = [rng.standard_normal(shape) for shape in SHAPES]
    gradients = [[rng.standard_normal(shape) for shape in SHAPES] for _ in range(STEPS)]
    return start, gradients


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "plain")
@pytest.mark.parametrize(
    ("optimizer", "own"), OPTIMIZERS, ids=lambda x: getattr(x, "__name__", str(x))
)
def test_a_hundred_steps(optimizer, own, options, problem):
    start, gradients = problem
    if optimizer is optimizers.AdamW:
        own = {"weight_decay": 0.004, **own}
    options = own | options
    path, averages = expected(FORMULAS[optimizer], start, gradients, options)

    w = [Variable(x) for x in start]
    chosen = optimizer(**{"learning_rate": 0.02, **options})
    step = function(chosen.apply)  # op by op it makes the same bits: tests/test_both_ways.py
    found = []
    for of_step in gradients:
        step(of_step, w)
        found.append(flat(w))
    np.testing.assert_allclose(found, [flat(after) for after in path], rtol=1e-10, atol=1e-10)
    assert int(chosen.iterations) == STEPS
    if averages is not None:
        chosen.finalize_variable_values(w)
        np.testing.assert_allclose(flat(w), flat(averages), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("optimizer", "own"), OPTIMIZERS, ids=lambda x: getattr(x, "__name__", str(x))
)
def test_float32_follows_float64(optimizer, own, problem, isa):
    start, gradients = problem
    single, double = ([Variable(x, dtype=d) for x in start] for d in ("float32", "float64"))
    one, other = (function(optimizer(**own).apply) for _ in range(2))
    for of_step in gradients:
        one(of_step, single)
        other(of_step, double)
    assert {x.dtype for x in single} == {np.dtype(np.float32)}
    np.testing.assert_allclose(flat(single), flat(double), atol=1e-5)


@pytest.mark.parametrize("at", [1, 9])
@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: " ".join(options) or "plain")
@pytest.mark.parametrize(
    ("optimizer", "own"), OPTIMIZERS, ids=lambda x: getattr(x, "__name__", str(x))
)
def test_the_variables_are_the_whole_state(optimizer, own, options, at, problem):
    """Another optimizer that is given them goes on with the same bits."""
    start, gradients = problem
    w = [Variable(x) for x in start]
    first = optimizer(**{"learning_rate": 0.02, **own, **options})
    for of_step in gradients[:at]:
        first.apply(of_step, w)

    copies = [Variable(x.numpy()) for x in w]
    second = optimizer.from_config(first.get_config())
    second.build(copies)
    for x, y in zip(second.variables, first.variables, strict=True):
        assert (x.shape, x.dtype) == (y.shape, y.dtype)
        x.assign(y)
    for of_step in gradients[at : at + 4]:
        first.apply(of_step, w)
        second.apply(of_step, copies)
    np.testing.assert_array_equal(flat([*copies, *second.variables]), flat([*w, *first.variables]))
