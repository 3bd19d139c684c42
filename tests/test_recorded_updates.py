"""apply_gradients in a loop of one's own: recorded from the second step on, as nobody notices."""

import copy
import signal

import numpy as np
import pytest
from test_both_ways import OPTIMIZERS

import fastnn
from fastnn import GradientTape, Sequential, Variable, constraints, layers, optimizers


def variables():
    rng = np.random.default_rng(3)
    return [
        Variable(rng.standard_normal(shape).astype(dtype))
        for shape, dtype in [((4, 3), "f4"), ((3,), "f4"), ((), "f8"), ((40, 30), "f4")]
    ]


def steps(optimizer, parts, count, op_by_op=False, seed=1):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        gradients = [rng.standard_normal(w.shape).astype(w.dtype) for w in parts]
        if op_by_op:
            with GradientTape():  # which looks on
                optimizer.apply_gradients(zip(gradients, parts, strict=True))
        else:
            optimizer.apply_gradients(zip(gradients, parts, strict=True))
    return [w.numpy().tobytes() for w in [*parts, *optimizer.variables]]


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_bits_are_those_op_by_op(name):
    recorded, op_by_op = (OPTIMIZERS[name]() for _ in range(2))
    assert steps(recorded, variables(), 5) == steps(op_by_op, variables(), 5, op_by_op=True)


def test_what_is_changed_between_steps_counts_from_the_next_one():
    def changed(op_by_op):
        optimizer, parts = optimizers.SGD(0.1, clipvalue=0.5), variables()
        steps(optimizer, parts, 3, op_by_op)
        optimizer.clipvalue = 0.25
        steps(optimizer, parts, 1, op_by_op)
        optimizer.learning_rate = 0.5
        steps(optimizer, parts, 2, op_by_op)
        optimizer.learning_rate = 0.25
        parts[0].assign(parts[0] * 0)
        return steps(optimizer, parts, 2, op_by_op)

    assert changed(op_by_op=False) == changed(op_by_op=True)


def test_constraints_count_where_they_are_and_as_they_are():
    def changed(op_by_op):
        optimizer, parts = optimizers.SGD(0.1), variables()
        limit = constraints.MaxNorm(0.5)
        parts[0].constraint = limit
        steps(optimizer, parts, 3, op_by_op)
        parts[0].constraint, parts[3].constraint = None, limit
        steps(optimizer, parts, 3, op_by_op)
        limit.max_value = 0.25
        return steps(optimizer, parts, 3, op_by_op)

    assert changed(op_by_op=False) == changed(op_by_op=True)


def test_some_variables_now_and_others_then():
    """As the two networks of a game have one optimizer."""

    def alternating(op_by_op):
        optimizer, parts = optimizers.Adam(0.1), variables()
        for seed in range(6):
            steps(optimizer, parts[:2] if seed % 2 else parts[1:], 1, op_by_op, seed)
        return steps(optimizer, parts, 2, op_by_op)

    assert alternating(op_by_op=False) == alternating(op_by_op=True)


class Counting(optimizers.SGD):
    updates = 0

    def update_step(self, gradient, variable, learning_rate):
        type(self).updates += 1
        super().update_step(gradient, variable, learning_rate)


def test_code_of_ones_own_runs_at_every_step():
    Counting.updates, seen = 0, []
    steps(Counting(0.1), variables(), 5)
    assert Counting.updates == 5 * len(variables())
    parts = variables()
    parts[0].constraint = lambda w: seen.append(1) or w
    steps(optimizers.SGD(0.1), parts, 5)
    assert len(seen) == 5
    rates = iter([0.5, 0.25, 0.125])
    w = Variable(0.0)
    optimizer = optimizers.SGD(lambda: next(rates))
    for expected in (-0.5, -0.75, -0.875):
        optimizer.apply_gradients([(1.0, w)])
        assert float(w) == expected


def test_a_copy_goes_on_by_itself():
    parts = variables()
    optimizer = optimizers.Adam(0.1)
    steps(optimizer, parts, 3)
    twin, own = copy.deepcopy((optimizer, parts))
    assert steps(twin, own, 3) == steps(optimizer, parts, 3)


def test_a_refused_step_changes_nothing():
    parts = variables()
    optimizer = optimizers.Adam(0.1)
    before = steps(optimizer, parts, 3)
    gradients = [np.ones(w.shape) for w in parts[:-1]] + [np.ones(3)]
    with pytest.raises(ValueError, match=r"shape \(3,\) and the variable \(40, 30\)"):
        optimizer.apply_gradients(zip(gradients, parts, strict=True))
    assert [w.numpy().tobytes() for w in [*parts, *optimizer.variables]] == before


def test_from_the_second_step_on_python_is_not_asked(monkeypatch):
    asked, update_step = [], optimizers.SGD.update_step
    monkeypatch.setattr(
        optimizers.SGD, "update_step", lambda *args: asked.append(1) or update_step(*args)
    )
    steps(optimizers.SGD(0.1), variables(), 20)
    assert len(asked) == 2 * len(variables())


def test_what_is_done_with_other_objects_asks_no_more_of_python(monkeypatch):
    asked, update_step = [], optimizers.SGD.update_step
    monkeypatch.setattr(
        optimizers.SGD, "update_step", lambda *args: asked.append(1) or update_step(*args)
    )
    optimizer, parts = optimizers.SGD(0.1), variables()
    for _ in range(5):
        steps(optimizer, parts, 1)
        other = Sequential([layers.Dense(2)])
        other.compile("adam", "mse")
        other.layers[0].use_bias = False
    assert len(asked) == 2 * len(parts)


def test_an_interruption_leaves_whole_steps():
    """Of a step of ten variables all are changed, or none."""

    def interrupt(*_):
        raise InterruptedError

    parts = [Variable(np.zeros(3, np.float32)) for _ in range(10)]
    pairs = [(fastnn.ones((3,)), w) for w in parts]
    optimizer = optimizers.SGD(1.0)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        for delay in np.linspace(20e-6, 400e-6, 300):
            with pytest.raises(InterruptedError):  # noqa: PT012  # it comes sooner or later
                signal.setitimer(signal.ITIMER_REAL, float(delay))
                while True:
                    optimizer.apply_gradients(pairs)
            assert len({w.numpy().tobytes() for w in parts}) == 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
